//! Takes each hop, and reads what explains a refusal. The edges decide nothing: what they bring is judged elsewhere.

mod argocd;
mod hub;
mod probe;
mod spoke;

use std::{collections::HashMap, sync::Arc, time::Duration};

use kube::Client;
use tokio::{sync::Mutex, time::Instant};

use self::hub::HubView;
use super::{
    chain::{Found, Hop, Trouble, Walk},
    destination::Destination,
    evidence::{ArgoCdEvidence, Evidence, Vantage},
    judge::{self, judge},
    reason::Reason,
    subject::{HubSubject, Subject},
};
use crate::{
    argocd::{SeenCluster, Settings},
    aws::{Look, Reader, Walker},
};

/// How long one walk may take; each call in it has a shorter limit of its own.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// For how long what was seen of the hub explains a refusal.
const REFUSED_LASTS: Duration = Duration::from_secs(10);

/// What walks share: the edges, and the hub's part of the chain.
pub struct Edges {
    /// The hub's API server.
    pub client: Client,
    /// The hops at AWS.
    pub walker: Walker,
    /// What explains a refusal.
    pub reader: Reader,
    /// Where walks start.
    pub vantage: Vantage,
    /// For how long the hub's part of the chain stands for all clusters of a `ManagementRole`.
    pub hub_lasts: Duration,
    hubs: Mutex<HashMap<String, Arc<Mutex<Option<Kept>>>>>,
    argocds: Mutex<HashMap<String, Arc<Mutex<Option<KeptArgoCd>>>>>,
}

struct Kept {
    subject: HubSubject,
    view: Arc<HubView>,
}

struct KeptArgoCd {
    until: Instant,
    evidence: Arc<ArgoCdEvidence>,
}

/// A walk, with what it takes to look at its last hop again.
#[derive(Clone, Debug)]
pub struct Walked {
    /// What was found.
    pub walk: Walk,
    /// The generation of the spec that was walked.
    pub generation: Option<i64>,
    /// Argo CD's settings as they were: they decide what the cluster is asked.
    pub settings: Look<Settings>,
    /// The cluster Secret as it was.
    pub secret: Look<Result<SeenCluster, String>>,
    /// Where the cluster's API server was.
    pub destination: Destination,
}

impl Edges {
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(client: Client, walker: Walker, reader: Reader, vantage: Vantage, hub_lasts: Duration) -> Self {
        Self {
            client,
            walker,
            reader,
            vantage,
            hub_lasts,
            hubs: Mutex::default(),
            argocds: Mutex::default(),
        }
    }

    /// Walks one chain, and judges what that brought.
    pub async fn walk(&self, subject: &Subject) -> Walked {
        let walking = Box::pin(self.gather(subject));
        if let Ok(evidence) = tokio::time::timeout(DEADLINE, walking).await {
            return Walked {
                walk: judge(subject, &evidence),
                generation: subject.generation,
                settings: evidence.argocd.settings.clone(),
                secret: evidence.secret,
                destination: evidence.destination,
            };
        }
        let trouble = Trouble::new(
            Reason::WalkTimedOut,
            format!("the walk was not over within {} s", DEADLINE.as_secs()),
            "nothing: it is walked again; look at name resolution and proxies if it stays so",
        );
        Walked {
            walk: Walk {
                hops: [(Hop::ServiceAccount, Found::Unknown(trouble))].into(),
            },
            generation: subject.generation,
            settings: Look::Unseen("the walk was cut off".to_owned()),
            secret: Look::Unseen("the walk was cut off".to_owned()),
            destination: subject.destination.clone(),
        }
    }

    /// The walk again, with Argo CD's side as it is now and everything else as it was found; `None` where the cluster
    /// is to be asked something else now.
    pub async fn look_again(&self, subject: &Subject, walked: &Walked) -> Option<Walk> {
        let argocd = self.argocd(&subject.hub.namespace).await;
        if argocd.settings != walked.settings {
            return None;
        }
        let mut walk = walked.walk.clone();
        if walk.hops.contains_key(&Hop::ArgoCd) {
            let found = judge::argo_cd(subject, &walked.destination, &walked.secret, &argocd);
            walk.hops.insert(Hop::ArgoCd, found);
        }
        Some(walk)
    }

    /// Looks at Argo CD's side anew, for all who ask from now on.
    pub async fn argocd_anew(&self, namespace: &str) {
        let slot = self.argocd_slot(namespace).await;
        let mut slot = slot.lock().await;
        self.look_at_argocd(namespace, &mut slot).await;
    }

    /// What was seen of the hub's side of a `ManagementRole` is no longer so: whoever asks from now on looks anew.
    pub async fn hub_anew(&self, management_role: &str) {
        self.hubs.lock().await.remove(management_role);
    }

    /// Argo CD's side, looked at once for all clusters that ask at about the same time.
    async fn argocd(&self, namespace: &str) -> Arc<ArgoCdEvidence> {
        let slot = self.argocd_slot(namespace).await;
        let mut slot = slot.lock().await;
        match slot.as_ref().filter(|kept| Instant::now() < kept.until) {
            Some(kept) => Arc::clone(&kept.evidence),
            None => self.look_at_argocd(namespace, &mut slot).await,
        }
    }

    async fn argocd_slot(&self, namespace: &str) -> Arc<Mutex<Option<KeptArgoCd>>> {
        let mut all = self.argocds.lock().await;
        Arc::clone(all.entry(namespace.to_owned()).or_default())
    }

    async fn look_at_argocd(&self, namespace: &str, slot: &mut Option<KeptArgoCd>) -> Arc<ArgoCdEvidence> {
        let evidence = Arc::new(argocd::look(&self.client, namespace).await);
        *slot = Some(KeptArgoCd {
            until: Instant::now() + self.hub_lasts,
            evidence: Arc::clone(&evidence),
        });
        evidence
    }

    async fn gather(&self, subject: &Subject) -> Evidence {
        let (mut hub, argocd) = Box::pin(futures::future::join(
            self.hub(&subject.hub, self.hub_lasts),
            self.argocd(&subject.hub.namespace),
        ))
        .await;
        let mut spoke = Box::pin(spoke::look(self, subject, &hub, &argocd)).await;
        if spoke.is_denied() && hub.age() >= REFUSED_LASTS {
            // What refuses may lie on the hub's side, and what was seen of that is minutes old.
            hub = self.hub(&subject.hub, REFUSED_LASTS).await;
            spoke = Box::pin(spoke::look(self, subject, &hub, &argocd)).await;
        }
        let explain = hub.is_refused() || spoke.is_denied();
        Evidence {
            vantage: self.vantage,
            hub: hub.evidence.clone(),
            argocd,
            hub_documents: if explain {
                hub.documents(self, &subject.hub).await
            } else {
                super::evidence::HubDocuments::default()
            },
            secret: spoke.secret,
            destination: spoke.destination,
            deployer: spoke.deployer,
            spoke_documents: spoke.documents,
            token_length: spoke.token_length,
            endpoint: spoke.endpoint,
            reviews: spoke.reviews,
            every_kind: spoke.every_kind,
            roles: spoke.roles,
        }
    }

    /// The hub's part, walked once for all clusters that ask at about the same time. What is broken is soon looked at
    /// again, so that mending it shows.
    async fn hub(&self, subject: &HubSubject, lasts: Duration) -> Arc<HubView> {
        let name = subject.hub.management_role.to_string();
        let slot = Arc::clone(self.hubs.lock().await.entry(name).or_default());
        let mut slot = slot.lock().await;
        if let Some(Kept { view, subject: of }) = slot.as_ref() {
            let lasts = if view.is_whole() {
                lasts
            } else {
                lasts.min(REFUSED_LASTS)
            };
            if of == subject && view.age() < lasts && view.is_usable() {
                return Arc::clone(view);
            }
        }
        let view = Arc::new(hub::look(self, subject).await);
        *slot = Some(Kept {
            subject: subject.clone(),
            view: Arc::clone(&view),
        });
        view
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use kube::client::Body;
    use serde_json::json;

    use super::*;
    use crate::{access::subject::tests, aws::Settings};

    /// The hub's API server answers each question, and no list of it comes to an end.
    #[tokio::test]
    async fn a_walk_that_is_not_over_in_time_is_cut_off_and_says_so() {
        let endless = tower::service_fn(|_: http::Request<Body>| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let page = json!({"kind": "List", "apiVersion": "v1", "metadata": {"continue": "more"}, "items": []});
            Ok::<_, Infallible>(http::Response::new(Body::from(page.to_string().into_bytes())))
        });
        let settings = Settings::default();
        let (walker, reader) = (Walker::connect(&settings).await, Reader::connect(settings).await);
        let lasts = Duration::from_mins(1);
        let edges = Edges::new(
            Client::new(endless, "default"),
            walker.unwrap(),
            reader.unwrap(),
            Vantage::Hub,
            lasts,
        );
        let subject = Subject::read(&tests::cluster(), Some(&tests::role())).unwrap();
        tokio::time::pause();
        let began = Instant::now();
        let found = edges.walk(&subject).await;
        assert_eq!(began.elapsed().as_secs(), DEADLINE.as_secs());
        let (_, trouble) = found.walk.unknown().unwrap();
        assert_eq!(trouble.reason, Reason::WalkTimedOut);
        assert_eq!(found.walk.broken(), None, "what was not looked at is not broken");
        assert!(matches!(found.secret, Look::Unseen(_)));
    }
}
