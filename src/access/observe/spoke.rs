//! The cluster's side: the deployer role, the API server, what it allows, and what explains it when it does not.

use futures::future::join_all;

use super::{Edges, argocd, hub::HubView, probe::Probe};
use crate::{
    access::{
        destination::Destination,
        evidence::{Answer, ArgoCdEvidence, Attempt, AwsRefusal, SpokeDocuments, Unreached},
        scope::{self, Ask},
        subject::Subject,
    },
    argocd::{Credentials, SeenCluster, Settings},
    aws::{EksToken, ErrorKind, Look, RoleSession, verify_session_name},
};

/// What was seen of the cluster's side.
pub(super) struct SpokeView {
    pub(super) secret: Look<Result<SeenCluster, String>>,
    pub(super) destination: Destination,
    pub(super) deployer: Attempt<(), AwsRefusal>,
    pub(super) documents: SpokeDocuments,
    pub(super) token_length: Option<usize>,
    pub(super) endpoint: Attempt<u16, Unreached>,
    pub(super) reviews: Vec<(Ask, Answer)>,
    pub(super) every_kind: Option<Answer>,
    pub(super) roles: Option<(Ask, Answer)>,
}

impl SpokeView {
    /// Whether a policy may have refused the deployer role.
    pub(super) fn is_denied(&self) -> bool {
        matches!(&self.deployer, Attempt::Failed(refused) if by_policy(refused))
    }
}

/// Whether documents can explain a refusal.
fn by_policy(refused: &AwsRefusal) -> bool {
    matches!(
        refused.kind,
        ErrorKind::Denied | ErrorKind::Unknown | ErrorKind::CredentialsUnavailable
    )
}

pub(super) async fn look(edges: &Edges, subject: &Subject, hub: &HubView, argocd: &ArgoCdEvidence) -> SpokeView {
    let secret = argocd::secret(&edges.client, &subject.hub.namespace, &subject.secret).await;
    let (deployer, session) = deployer(edges, subject, hub).await;
    let mut view = SpokeView {
        secret,
        destination: subject.destination.clone(),
        deployer,
        documents: SpokeDocuments::default(),
        token_length: None,
        endpoint: Attempt::NotMade,
        reviews: Vec::new(),
        every_kind: None,
        roles: None,
    };
    if let Look::Seen(Ok(secret)) = view.secret.clone() {
        if view.destination.differs(&secret).is_some() {
            ask_eks(edges, subject, &secret, &mut view).await;
        }
        // What leads elsewhere is sent nothing: no token, and no question either.
        if view.destination.differs(&secret).is_none() {
            ask(edges, subject, &secret, session, argocd.settings.known(), &mut view).await;
        }
    }
    explain(edges, subject, &mut view).await;
    view
}

/// What EKS gives for the cluster now. The operator records it after it has written the Secret, so what was recorded may
/// be older than the Secret.
async fn ask_eks(edges: &Edges, subject: &Subject, secret: &SeenCluster, view: &mut SpokeView) {
    view.documents.cluster = Box::pin(edges.reader.cluster(&subject.hub.read_by, &subject.cluster)).await;
    if let Look::Seen(cluster) = &view.documents.cluster {
        let given = Destination::of(cluster).filter(|given| given.differs(secret).is_none());
        view.destination = given.unwrap_or_else(|| subject.destination.clone());
    }
}

async fn ask(
    edges: &Edges,
    subject: &Subject,
    secret: &SeenCluster,
    session: Option<RoleSession>,
    settings: Settings,
    view: &mut SpokeView,
) {
    let token = session.and_then(|session| mint(edges, subject, secret, &session));
    view.token_length = token.as_ref().map(EksToken::length);
    match Probe::new(secret, token.as_ref()) {
        Ok(probe) => {
            view.endpoint = probe.version().await;
            let known = matches!(view.endpoint, Attempt::Done(status) if status != 401 && status < 500);
            if known && token.is_some() {
                view.reviews = reviews(subject, secret, settings.impersonation, &probe).await;
                if settings.every_kind && !silent(&view.reviews) {
                    let every_kind = probe.may(&scope::every_kind(&secret.namespaces)).await;
                    if every_kind == Answer::Allowed(false) && settings.roles {
                        let roles = scope::roles(&secret.namespaces);
                        view.roles = Some((roles.clone(), probe.may(&roles).await));
                    }
                    view.every_kind = Some(every_kind);
                }
            }
        }
        Err(why) => view.endpoint = Attempt::Failed(why),
    }
}

async fn deployer(edges: &Edges, subject: &Subject, hub: &HubView) -> (Attempt<(), AwsRefusal>, Option<RoleSession>) {
    let Some(from) = &hub.session else {
        return (Attempt::NotMade, None);
    };
    let (region, name) = (
        &subject.hub.hub.cluster.region,
        verify_session_name(&subject.hub.hub, &subject.name),
    );
    match edges.walker.assume(region, from, &subject.deployer, &name).await {
        Ok(session) => (Attempt::Done(()), Some(session)),
        Err(error) => (Attempt::Failed(AwsRefusal::from(error)), None),
    }
}

fn mint(edges: &Edges, subject: &Subject, secret: &SeenCluster, session: &RoleSession) -> Option<EksToken> {
    let in_secret = match &secret.credentials {
        Credentials::Aws { cluster_name, .. } => cluster_name.as_str(),
        Credentials::Program(_) | Credentials::Other(_) => "",
    };
    let region = &subject.hub.hub.cluster.region;
    let minted = edges.walker.eks_token(region, session, subject.token_name(in_secret));
    minted
        .inspect_err(|error| tracing::warn!(object = subject.name, error, "no EKS token was minted"))
        .ok()
}

/// Whether something that was asked was not said.
fn silent(answers: &[(Ask, Answer)]) -> bool {
    answers.iter().any(|(_, answer)| matches!(answer, Answer::Refused(_)))
}

async fn reviews(
    subject: &Subject,
    secret: &SeenCluster,
    impersonation: bool,
    probe: &Probe<'_>,
) -> Vec<(Ask, Answer)> {
    let asks = scope::asks(
        &subject.policies,
        &secret.namespaces,
        secret.cluster_resources,
        impersonation,
    );
    let mut answers = Vec::new();
    // Three at a time: nothing to an API server, and quick enough. What does not say once is not asked on: it would keep
    // the other clusters waiting.
    for some in asks.chunks(3) {
        let answered = join_all(some.iter().map(|ask| probe.may(ask))).await;
        answers.extend(some.iter().cloned().zip(answered));
        if silent(&answers) {
            break;
        }
    }
    answers
}

/// Reads documents, only where something was refused and they can say why.
async fn explain(edges: &Edges, subject: &Subject, view: &mut SpokeView) {
    let by = &subject.hub.read_by;
    if view.is_denied() {
        view.documents.role = Box::pin(edges.reader.role(by, &subject.deployer, false)).await;
    }
    let unreached = matches!(view.endpoint, Attempt::Failed(_));
    let unknown = view.token_length.is_some() && view.endpoint == Attempt::Done(401);
    if unreached || unknown {
        view.documents.cluster = Box::pin(edges.reader.cluster(by, &subject.cluster)).await;
    }
    // Access that was taken away and is there all the same: whether the entry gives it is worth a look.
    let known = matches!(view.endpoint, Attempt::Done(status) if status != 401 && status < 500);
    if subject.suspended && known && view.token_length.is_some() {
        let entry = edges.reader.entry(by, &subject.cluster, &subject.deployer);
        let cluster = edges.reader.cluster(by, &subject.cluster);
        (view.documents.entry, view.documents.cluster) = Box::pin(futures::future::join(entry, cluster)).await;
    }
    if unknown {
        let entry = edges.reader.entry(by, &subject.cluster, &subject.deployer);
        let role = edges.reader.role(by, &subject.deployer, false);
        (view.documents.entry, view.documents.role) = Box::pin(futures::future::join(entry, role)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use axum::{Router, http::StatusCode};
    use tokio::{net::TcpListener, sync::Barrier};

    use super::*;
    use crate::{access::subject::tests::subject, argocd::Server};

    const REVIEW: &str = r#"{"kind":"SelfSubjectAccessReview","apiVersion":"authorization.k8s.io/v1","spec":{},"status":{"allowed":true}}"#;

    /// The questions of a spec that has many, to what answers so.
    async fn asked(answers: Router) -> Vec<(Ask, Answer)> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, answers).into_future());
        let many: Vec<String> = (0..30).map(|n| format!("team-{n}")).collect();
        let secret = SeenCluster {
            server: Server::new(&server),
            namespaces: many.clone(),
            ..SeenCluster::default()
        };
        let mut subject = subject();
        subject.policies = vec![("AmazonEKSEditPolicy".to_owned(), many)];
        let probe = Probe::new(&secret, None).ok().unwrap();
        reviews(&subject, &secret, false, &probe).await
    }

    #[tokio::test]
    async fn what_does_not_say_is_not_asked_on() {
        let failing = Router::new().fallback(async || StatusCode::SERVICE_UNAVAILABLE);
        let answers = asked(failing).await;
        assert_eq!(answers.len(), 3, "{answers:?}");
    }

    /// The API server answers once it was asked three things, and takes a moment for each, in which no fourth may come.
    #[tokio::test]
    async fn a_cluster_is_asked_three_things_at_a_time() {
        let (three, now, most) = (
            Arc::new(Barrier::new(3)),
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicUsize::new(0)),
        );
        let counted = Arc::clone(&most);
        let answer = move || {
            let (three, now, most) = (Arc::clone(&three), Arc::clone(&now), Arc::clone(&counted));
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                three.wait().await;
                tokio::time::sleep(Duration::from_millis(50)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                (StatusCode::CREATED, REVIEW)
            }
        };
        let answers = asked(Router::new().fallback(answer)).await;
        assert_eq!(answers.len(), scope::MOST);
        assert!(
            answers.iter().all(|(_, answer)| *answer == Answer::Allowed(true)),
            "{answers:?}"
        );
        assert_eq!(most.load(Ordering::SeqCst), 3);
    }
}
