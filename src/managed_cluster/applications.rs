//! Argo CD's Applications and ApplicationSets, listed when a removal must know who uses a cluster and at no other time:
//! nothing is watched, and little is kept of each.

use std::{
    sync::{Arc, Weak},
    time::Instant,
};

use kube::Client;
use tokio::sync::Mutex;

use crate::{
    argocd::{APPLICATION_SETS, APPLICATIONS},
    kubernetes::{KubernetesError, objects},
};

use super::in_use::Found;

/// How many objects a page has: an Application may be a megabyte large, most of it status that is passed over.
const PAGE: u32 = 100;

/// Lists all Applications and all ApplicationSets: one may be about to make the first. Without Argo CD's definitions there
/// are none.
///
/// # Errors
/// When Applications could not be listed: that is never taken for there being none.
pub async fn look(client: &Client) -> Result<Found, KubernetesError> {
    let Some(applications) = objects::read_all(client, APPLICATIONS, PAGE).await? else {
        return Ok(Found {
            applications: Vec::new(),
            sets: Ok(Vec::new()),
        });
    };
    let sets = objects::read_all(client, APPLICATION_SETS, PAGE).await;
    Ok(Found {
        applications,
        sets: sets.map(Option::unwrap_or_default).map_err(|error| error.to_string()),
    })
}

/// Looks that removals share: many that ask at the same time cause one list, and none is given one that began before it
/// asked.
#[derive(Debug, Default)]
pub struct Looks {
    last: Mutex<Option<(Instant, Weak<Found>)>>,
}

impl Looks {
    /// What Argo CD has now.
    ///
    /// # Errors
    /// As [`look`].
    pub async fn look(&self, client: &Client) -> Result<Arc<Found>, KubernetesError> {
        let asked = Instant::now();
        let mut last = self.last.lock().await;
        let since = last.as_ref().filter(|(began, _)| *began >= asked);
        if let Some(found) = since.and_then(|(_, found)| found.upgrade()) {
            return Ok(found);
        }
        let began = Instant::now();
        let found = Arc::new(look(client).await?);
        *last = Some((began, Arc::downgrade(&found)));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::kubernetes::fake::{answering, refusal};

    fn page(items: &Value) -> (u16, Value) {
        (200, json!({"metadata": {}, "items": items}))
    }

    #[tokio::test]
    async fn without_argo_cds_definitions_there_is_nobody_and_a_refusal_is_not_nobody() {
        let (client, _) = answering([
            refusal(404, "NotFound"),
            refusal(403, "Forbidden"),
            refusal(500, "InternalError"),
        ]);
        assert_eq!(look(&client).await.unwrap().applications, []);
        assert!(
            look(&client)
                .await
                .unwrap_err()
                .to_string()
                .contains("applications.argoproj.io")
        );
        assert!(look(&client).await.is_err());
    }

    #[tokio::test]
    async fn sets_are_listed_though_there_is_no_application_and_are_told_where_they_cannot_be() {
        let one = json!([{"metadata": {"namespace": "a", "name": "b"}, "spec": {"destination": {"name": "c"}}}]);
        let (client, _) = answering([page(&json!([])), page(&one), page(&one), refusal(403, "Forbidden")]);
        let found = look(&client).await.unwrap();
        assert_eq!(
            (found.applications.len(), found.sets.unwrap()[0].id()),
            (0, "a/b".to_owned())
        );
        let found = look(&client).await.unwrap();
        assert_eq!(found.applications[0].id(), "a/b");
        assert!(found.sets.unwrap_err().contains("applicationsets.argoproj.io"));
    }

    #[tokio::test]
    async fn those_who_ask_together_share_a_list_and_nobody_gets_an_old_one() {
        let (client, asked) = answering(std::array::from_fn::<_, 4, _>(|_| page(&json!([]))));
        let looks = Looks::default();
        let busy = looks.last.lock().await;
        let all = async { futures::join!(looks.look(&client), looks.look(&client), looks.look(&client)) };
        let (together, ()) = futures::join!(all, async { drop(busy) });
        let (one, two, three) = (together.0.unwrap(), together.1.unwrap(), together.2.unwrap());
        assert!(Arc::ptr_eq(&one, &two) && Arc::ptr_eq(&two, &three));
        assert_eq!(asked.lock().unwrap().len(), 2, "one list of each kind");
        looks.look(&client).await.unwrap();
        assert_eq!(asked.lock().unwrap().len(), 4, "asked later");
    }
}
