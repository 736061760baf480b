//! The hub's side: service accounts, their pods, a token of each, and its exchange for the management role.

use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{Pod, ServiceAccount},
};
use kube::{
    Api,
    api::{ListParams, PostParams},
};
use tokio::{sync::OnceCell, time::Instant};

use super::Edges;
use crate::{
    access::{
        evidence::{
            Attempt, AwsRefusal, Claims, HubDocuments, HubEvidence, KubernetesRefusal, PodSeen, ServiceAccountEvidence,
        },
        subject::HubSubject,
    },
    aws::{Look, RoleSession, WebToken, verify_session_name},
    kubernetes::{
        error::call,
        objects,
        pods::{Given, ROLE_ANNOTATION, runs},
    },
    policy::AUDIENCE,
};

/// The shortest life that Kubernetes gives a token, in seconds (`authentication.k8s.io/v1`, `TokenRequestSpec`).
const SHORTEST: i64 = 600;

/// What was seen of the hub, with a session of the management role to go on with.
pub(super) struct HubView {
    pub(super) evidence: HubEvidence,
    pub(super) session: Option<RoleSession>,
    looked: Instant,
    documents: OnceCell<HubDocuments>,
}

impl HubView {
    /// Whether the session, if there is one, lasts for another walk.
    pub(super) fn is_usable(&self) -> bool {
        self.session.as_ref().is_none_or(RoleSession::is_fresh)
    }

    /// How long ago it was seen.
    pub(super) fn age(&self) -> Duration {
        self.looked.elapsed()
    }

    /// Whether an exchange was refused.
    pub(super) fn is_refused(&self) -> bool {
        let refused = |account: &ServiceAccountEvidence| matches!(account.exchange, Attempt::Failed(_));
        self.evidence.service_accounts.iter().any(refused)
    }

    /// Whether every service account came through, as far as it can be walked. One that is not there has nothing to be
    /// walked, and is looked at anew as soon as it is made, since service accounts are watched.
    pub(super) fn is_whole(&self) -> bool {
        let through = |account: &ServiceAccountEvidence| {
            account.exchange == Attempt::Done(()) || account.is_by_pod_identity() || account.annotation == Look::Absent
        };
        self.evidence.service_accounts.iter().all(through)
    }

    /// The documents of the hub's account: read once for all clusters that ask at about the same time.
    pub(super) async fn documents(&self, edges: &Edges, subject: &HubSubject) -> HubDocuments {
        let read = async || {
            let by = &subject.read_by;
            let issuer = self
                .evidence
                .service_accounts
                .iter()
                .find_map(|account| match &account.token {
                    Attempt::Done(claims) => Some(claims.issuer.as_str()),
                    Attempt::NotMade | Attempt::Failed(_) => None,
                });
            let provider = async {
                let issuer = issuer.or(subject.issuer.as_deref()).unwrap_or_default();
                match subject.hub.oidc_provider(issuer) {
                    Ok(arn) => edges.reader.provider(by, &arn).await,
                    Err(error) => Look::Unseen(error.to_string()),
                }
            };
            let role = edges.reader.role(by, &subject.role, true);
            let (role, provider) = Box::pin(futures::future::join(role, provider)).await;
            HubDocuments { role, provider }
        };
        Box::pin(self.documents.get_or_init(read)).await.clone()
    }
}

pub(super) async fn look(edges: &Edges, subject: &HubSubject) -> HubView {
    let names = subject.service_accounts.iter();
    let accounts = Box::pin(join_all(names.map(|name| service_account(edges, subject, name)))).await;
    let (mut service_accounts, mut session) = (Vec::new(), None);
    for (evidence, own) in accounts {
        service_accounts.push(evidence);
        session = session.or(own);
    }
    HubView {
        evidence: HubEvidence { service_accounts },
        session,
        looked: Instant::now(),
        documents: OnceCell::new(),
    }
}

async fn service_account(
    edges: &Edges,
    subject: &HubSubject,
    name: &str,
) -> (ServiceAccountEvidence, Option<RoleSession>) {
    let api: Api<ServiceAccount> = Api::namespaced(edges.client.clone(), &subject.namespace);
    let (annotation, pods) = futures::future::join(annotation(&api, name), pods(edges, subject, name)).await;
    let mut evidence = ServiceAccountEvidence {
        name: name.to_owned(),
        token: Attempt::NotMade,
        exchange: Attempt::NotMade,
        annotation,
        pods,
    };
    if !evidence.is_exchanged(subject.identity) {
        return (evidence, None);
    }
    let token = match request_token(&api, name).await {
        Ok((token, claims)) => {
            evidence.token = Attempt::Done(claims);
            token
        }
        Err(refused) => {
            evidence.token = Attempt::Failed(refused);
            return (evidence, None);
        }
    };
    let region = &subject.hub.cluster.region;
    let session_name = verify_session_name(&subject.hub, subject.hub.cluster.name.as_str());
    match edges
        .walker
        .exchange(region, &subject.role, &session_name, &token)
        .await
    {
        Ok(session) => {
            evidence.exchange = Attempt::Done(());
            (evidence, Some(session))
        }
        Err(error) => {
            evidence.exchange = Attempt::Failed(AwsRefusal::from(error));
            (evidence, None)
        }
    }
}

async fn annotation(api: &Api<ServiceAccount>, name: &str) -> Look<Option<String>> {
    match objects::get_opt(api, name).await {
        Ok(Some(account)) => Look::Seen(
            account
                .metadata
                .annotations
                .and_then(|mut all| all.remove(ROLE_ANNOTATION)),
        ),
        Ok(None) => Look::Absent,
        Err(error) => Look::Unseen(error.to_string()),
    }
}

async fn pods(edges: &Edges, subject: &HubSubject, name: &str) -> Look<Vec<PodSeen>> {
    let api: Api<Pod> = Api::namespaced(edges.client.clone(), &subject.namespace);
    let params = ListParams::default().fields(&format!("spec.serviceAccountName={name}"));
    match objects::list_chosen(&api, params).await {
        Ok(pods) => {
            let role = subject.role.to_string();
            let seen = |pod: &Pod| PodSeen {
                name: pod.metadata.name.clone().unwrap_or_default(),
                binding: Given::of(pod).binding(&role),
            };
            Look::Seen(pods.iter().filter(|pod| runs(pod)).map(seen).collect())
        }
        Err(error) => Look::Unseen(error.to_string()),
    }
}

async fn request_token(api: &Api<ServiceAccount>, name: &str) -> Result<(WebToken, Claims), KubernetesRefusal> {
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: vec![AUDIENCE.to_owned()],
            expiration_seconds: Some(SHORTEST),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let object = objects::describe(api, name);
    let params = PostParams::default();
    let answer = call(
        "request a token of",
        &object,
        api.create_token_request(name, &params, &request),
    )
    .await
    .map_err(|error| KubernetesRefusal::from(&error))?;
    let token = answer.status.map(|status| status.token).unwrap_or_default();
    let claims = Claims::of(&token);
    Ok((WebToken::new(token), claims))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::evidence::PodBinding;

    fn account(binding: PodBinding, exchange: Attempt<(), AwsRefusal>) -> ServiceAccountEvidence {
        ServiceAccountEvidence {
            name: "a".into(),
            annotation: Look::Seen(None),
            pods: Look::Seen(vec![PodSeen {
                name: "p".into(),
                binding,
            }]),
            token: Attempt::NotMade,
            exchange,
        }
    }

    /// One that never is would be looked at anew by every walk.
    #[test]
    fn a_look_is_whole_where_nothing_is_left_to_be_walked() {
        let whole = |service_accounts: Vec<ServiceAccountEvidence>| {
            let view = HubView {
                evidence: HubEvidence { service_accounts },
                session: None,
                looked: Instant::now(),
                documents: OnceCell::new(),
            };
            view.is_whole()
        };
        let through = || account(PodBinding::Role, Attempt::Done(()));
        let by_pod_identity = || account(PodBinding::PodIdentity, Attempt::NotMade);
        let missing = || ServiceAccountEvidence {
            annotation: Look::Absent,
            ..account(PodBinding::Nothing, Attempt::NotMade)
        };
        assert!(whole(vec![through(), by_pod_identity(), missing()]));
        assert!(!whole(vec![through(), account(PodBinding::Nothing, Attempt::NotMade)]));
        let refused = AwsRefusal {
            kind: crate::aws::ErrorKind::Denied,
            code: "AccessDenied".into(),
            message: "no".into(),
        };
        assert!(!whole(vec![
            by_pod_identity(),
            account(PodBinding::Role, Attempt::Failed(refused))
        ]));
    }
}
