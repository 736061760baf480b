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
    evidence::{Evidence, Vantage},
    judge::judge,
    reason::Reason,
    subject::{HubSubject, Subject},
};
use crate::aws::{Reader, Walker};

/// How long one walk may take; each call in it has a shorter limit of its own.
pub const DEADLINE: Duration = Duration::from_secs(90);

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
}

struct Kept {
    subject: HubSubject,
    until: Instant,
    view: Arc<HubView>,
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
        }
    }

    /// Walks one chain, and judges what that brought.
    pub async fn walk(&self, subject: &Subject) -> Walk {
        let walking = Box::pin(self.gather(subject));
        if let Ok(evidence) = tokio::time::timeout(DEADLINE, walking).await {
            return judge(subject, &evidence);
        }
        let trouble = Trouble {
            reason: Reason::WalkTimedOut,
            message: format!("the walk was not over within {} s", DEADLINE.as_secs()),
            next: "nothing: it is walked again; look at name resolution and proxies if it stays so".to_owned(),
            candidates: Vec::new(),
        };
        Walk {
            hops: [(Hop::ServiceAccount, Found::Unknown(trouble))].into(),
        }
    }

    async fn gather(&self, subject: &Subject) -> Evidence {
        let hub = self.hub(&subject.hub).await;
        let spoke = spoke::look(self, subject, &hub).await;
        let explain = hub.is_refused() || spoke.is_denied();
        Evidence {
            vantage: self.vantage,
            hub: hub.evidence.clone(),
            hub_documents: if explain {
                hub.documents(self, &subject.hub).await
            } else {
                super::evidence::HubDocuments::default()
            },
            secret: spoke.secret,
            deployer: spoke.deployer,
            spoke_documents: spoke.documents,
            token_length: spoke.token_length,
            endpoint: spoke.endpoint,
            reviews: spoke.reviews,
        }
    }

    /// The hub's part, walked once for all clusters that ask at about the same time. What is broken is soon looked at
    /// again, so that mending it shows.
    async fn hub(&self, subject: &HubSubject) -> Arc<HubView> {
        let name = subject.hub.management_role.to_string();
        let slot = Arc::clone(self.hubs.lock().await.entry(name).or_default());
        let mut slot = slot.lock().await;
        if let Some(kept) = slot.as_ref()
            && kept.subject == *subject
            && Instant::now() < kept.until
            && kept.view.is_usable()
        {
            return Arc::clone(&kept.view);
        }
        let view = Arc::new(hub::look(self, subject).await);
        let lasts = if view.is_whole() {
            self.hub_lasts
        } else {
            self.hub_lasts.min(Duration::from_secs(10))
        };
        *slot = Some(Kept {
            subject: subject.clone(),
            until: Instant::now() + lasts,
            view: Arc::clone(&view),
        });
        view
    }
}
