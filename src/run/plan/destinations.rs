//! Who would gain a cluster as a destination, and who would lose it: Argo CD's Applications and ApplicationSets.

use kube::Client;

use crate::{
    argocd::{APPLICATION_SETS, APPLICATIONS, Application, ApplicationSet, Change, Target},
    kubernetes::{KubernetesError, objects},
    managed_cluster::{in_use, preview::Looked},
};

/// How many objects a page has: an Application may be a megabyte large, most of it status that is passed over.
const PAGE: u32 = 100;

/// All Applications and ApplicationSets, or why they could not be listed. Without Argo CD's definitions there are none.
pub(super) struct Destinations(Result<Found, String>);

struct Found {
    applications: Vec<Application>,
    sets: Vec<ApplicationSet>,
}

impl Destinations {
    /// Lists them once for all clusters.
    pub(super) async fn look(client: &Client) -> Self {
        let listed: Result<_, KubernetesError> = futures::future::try_join(
            objects::read_all(client, APPLICATIONS, PAGE),
            objects::read_all(client, APPLICATION_SETS, PAGE),
        )
        .await;
        let found = listed.map(|(applications, sets)| Found {
            applications: applications.unwrap_or_default(),
            sets: sets.unwrap_or_default(),
        });
        Self(found.map_err(|error| error.to_string()))
    }

    /// The same as a removal looks at them; `None` where they could not be listed.
    pub(super) fn found(&self) -> Option<in_use::Found> {
        let Found { applications, sets } = self.0.as_ref().ok()?;
        Some(in_use::Found {
            applications: applications.clone(),
            sets: Ok(sets.clone()),
        })
    }

    /// Tells what becomes of them when Argo CD knows a cluster otherwise afterwards, or not at all.
    pub(super) fn tell(&self, before: Option<&Target>, after: Option<&Target>, looked: &mut Looked) {
        let Found { applications, sets } = match &self.0 {
            Ok(found) => found,
            Err(why) => return looked.unseen.push(why.clone()),
        };
        let Change {
            gained,
            lost,
            sets_gained,
            sets_lost,
        } = Change::between(before, after, applications, sets);
        let application = |id: String| format!("Application {id}");
        let set = |(id, sure): (String, bool)| {
            format!(
                "ApplicationSet {id}{}",
                if sure {
                    ""
                } else {
                    ", perhaps: its generator cannot be read in full"
                }
            )
        };
        looked.gains = gained.into_iter().map(application).collect();
        looked.gains.extend(sets_gained.into_iter().map(set));
        looked.loses = lost.into_iter().map(application).collect();
        looked.loses.extend(sets_lost.into_iter().map(set));
    }
}
