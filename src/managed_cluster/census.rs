//! What is known of all `ManagedCluster`s that are there, gathered from the watch, from what passes of this process told last,
//! and, of those that cannot be read, from what is stored.

use std::time::Duration;

use futures::{StreamExt, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Client, core::DeserializeGuard};
use tokio::time::Instant;

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
    let (mut living, unread) = readable(context);
    for (uid, metadata) in unread {
        if let Some(lives) = unreadable(context, &metadata, &uid).await? {
            living.insert(uid, lives);
        }
    }
    Ok(living)
}

/// The same for what takes access away, which waits for nobody: of an object that cannot be read, nor asked for in time,
/// that counts which was known of it last. At the least it is there, so that what bears its mark is not taken from it. They
/// are asked for together, and the time is that of all.
pub(super) async fn living_as_known(context: &Context) -> Living {
    let (mut living, unread) = readable(context);
    let deadline = Instant::now() + ASKED_FOR;
    let asked = unread.into_iter().map(|(uid, metadata)| async move {
        let lives = match tokio::time::timeout_at(deadline, unreadable(context, &metadata, &uid)).await {
            Ok(Ok(lives)) => lives,
            Ok(Err(_)) | Err(_) => Some(last_known(context, &metadata, &uid)),
        };
        lives.map(|lives| (uid, lives))
    });
    let mut asked = stream::iter(asked).buffer_unordered(AT_ONCE);
    while let Some(answer) = asked.next().await {
        if let Some((uid, lives)) = answer {
            living.insert(uid, lives);
        }
    }
    living
}

/// The objects that can be read, and the UID and metadata of each that cannot.
fn readable(context: &Context) -> (Living, Vec<(String, ObjectMeta)>) {
    let (mut living, mut unread) = (Living::default(), Vec::new());
    for object in context.clusters.state() {
        match &object.0 {
            Ok(cluster) => living.add(cluster),
            Err(broken) => unread.push((broken.metadata.uid.clone().unwrap_or_default(), broken.metadata.clone())),
        }
    }
    (living, unread)
}

/// How long what takes access away waits for what is stored of objects that cannot be read.
const ASKED_FOR: Duration = Duration::from_secs(2);

/// How many of them are asked for at once.
const AT_ONCE: usize = 8;

fn last_known(context: &Context, metadata: &ObjectMeta, uid: &str) -> Lives {
    let lives = context.memory.last_lives(uid).unwrap_or_else(|| Lives {
        name: metadata.name.clone().unwrap_or_default(),
        ..Lives::default()
    });
    as_told(context, uid, lives)
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
    Ok(Some(as_told(context, uid, lives)))
}

/// The same with what a pass came to last, which may not be written yet.
fn as_told(context: &Context, uid: &str, lives: Lives) -> Lives {
    match context.memory.status(uid) {
        Some(told) => lives.recorded(told.deployer_role.as_ref(), told.access_entry.as_ref()),
        None => lives,
    }
}
