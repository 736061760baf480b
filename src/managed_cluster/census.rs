//! What is known of all `ManagedCluster`s that are there, gathered from the watch, from what passes of this process told last,
//! and, of those that cannot be read, from what is stored.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Client, core::DeserializeGuard};

use crate::{
    api::ManagedCluster,
    kubernetes::{KubernetesError, objects},
};

use super::{
    Context,
    living::{Lives, Living},
};

/// All objects that are there, those that cannot be read among them.
///
/// # Errors
/// When what is stored of one that cannot be read could not be asked for: what it recorded would protect nothing.
pub(super) async fn living(context: &Context) -> Result<Living, KubernetesError> {
    let mut living = Living::default();
    for object in context.clusters.state() {
        match &object.0 {
            Ok(cluster) => living.add(cluster),
            Err(unread) => {
                let uid = unread.metadata.uid.clone().unwrap_or_default();
                if let Some(lives) = unreadable(context, &unread.metadata, &uid).await? {
                    living.insert(uid, lives);
                }
            }
        }
    }
    Ok(living)
}

/// Adds an object that was listed, for those who remember nothing.
///
/// # Errors
/// When what is stored of one that cannot be read could not be asked for.
pub async fn add_listed(
    living: &mut Living,
    object: &DeserializeGuard<ManagedCluster>,
    client: &Client,
) -> Result<(), KubernetesError> {
    match &object.0 {
        Ok(cluster) => living.add(cluster),
        Err(unread) => {
            if let Some((uid, lives)) = stored(client, &unread.metadata).await? {
                living.insert(uid, lives);
            }
        }
    }
    Ok(())
}

/// What is stored under the name of an object that cannot be read, with its UID.
async fn stored(client: &Client, metadata: &ObjectMeta) -> Result<Option<(String, Lives)>, KubernetesError> {
    let name = metadata.name.as_deref().unwrap_or_default();
    let stored = objects::stored::<ManagedCluster>(client, name).await?;
    Ok(stored.and_then(|stored| {
        let lives = Lives::stored(&serde_json::to_value(&stored).unwrap_or_default());
        Some((stored.metadata.uid?, lives))
    }))
}

/// An object that cannot be read, which is asked for once for each of its versions; `None` where it is gone.
async fn unreadable(context: &Context, metadata: &ObjectMeta, uid: &str) -> Result<Option<Lives>, KubernetesError> {
    let version = metadata.resource_version.as_deref().unwrap_or_default();
    let lives = if let Some(lives) = context.memory.lives(uid, version) {
        lives
    } else {
        let stored = stored(&context.client, metadata).await?;
        let Some((_, lives)) = stored.filter(|(of, _)| of == uid) else {
            return Ok(None);
        };
        context.memory.read_lives(uid, version, &lives);
        lives
    };
    // What a pass came to last may not be written yet.
    Ok(Some(match context.memory.status(uid) {
        Some(told) => lives.recorded(told.deployer_role.as_ref(), told.access_entry.as_ref()),
        None => lives,
    }))
}
