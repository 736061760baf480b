//! What the doctor would say if Argo CD itself had come as an impostor came: the judge is given the refusal in its own
//! words, and the documents of both sides as they are in this world.

use std::sync::Arc;

use mooring::{
    access::{
        Found, Hop, Reason, Subject,
        evidence::{
            Answer, ArgoCdEvidence, Attempt, AwsRefusal, Claims, Evidence, HubDocuments, HubEvidence,
            KubernetesRefusal, PodBinding, PodSeen, ServiceAccountEvidence, SpokeDocuments, Vantage,
        },
        judge, scope,
    },
    api::{ManagedCluster, ManagementRole},
    argocd::{Credentials, Project, SeenCluster, Server, fingerprint},
    aws::{ErrorKind, Look, RoleDocuments, SpokeCluster, SpokeEntry},
    domain::eks::AuthenticationMode,
    kubernetes::Failure,
};
use serde_json::json;

use super::{Met, SPOKE, World};
use crate::support::{HUB_ACCOUNT, hands::document};

/// What stands for the certificate authority of the cluster.
const AUTHORITY: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// The chain of the cluster as the doctor reads it.
pub(super) async fn subject(world: &World) -> Subject {
    let cluster = world.get("ManagedCluster", SPOKE).await.unwrap();
    let cluster: ManagedCluster = serde_json::from_value(cluster).unwrap();
    let role = world.get("ManagementRole", "default").await.unwrap();
    let role: ManagementRole = serde_json::from_value(role).unwrap();
    let mut subject = Subject::read(&cluster, Some(&role)).unwrap();
    subject.destination.certificate_authority = fingerprint(AUTHORITY);
    subject
}

/// Evidence of a chain that holds.
fn holding(subject: &Subject) -> Evidence {
    let role = subject.hub.role.to_string();
    let issuer = subject.hub.issuer.clone().unwrap();
    let account = |name: &String| ServiceAccountEvidence {
        name: name.clone(),
        annotation: Look::Seen(Some(role.clone())),
        pods: Look::Seen(vec![PodSeen {
            name: format!("{name}-0"),
            binding: PodBinding::Role,
        }]),
        token: Attempt::Done(Claims { issuer: issuer.clone() }),
        exchange: Attempt::Done(()),
    };
    let asks = scope::asks(&subject.policies, &[], false, false);
    Evidence {
        vantage: Vantage::Hub,
        hub: HubEvidence {
            service_accounts: subject.hub.service_accounts.iter().map(account).collect(),
        },
        argocd: Arc::new(ArgoCdEvidence {
            malformed: Look::Seen(Vec::new()),
            projects: Look::Seen(vec![Project::read(
                "default",
                &json!({"destinations": [{"server": "*", "namespace": "*"}]}),
            )]),
            settings: Look::Absent,
        }),
        hub_documents: HubDocuments::default(),
        secret: Look::Seen(Ok(SeenCluster {
            name: subject.name.clone(),
            server: Server::new(&subject.destination.server),
            certificate_authority: AUTHORITY.to_vec(),
            credentials: Credentials::Aws {
                cluster_name: subject.cluster.name.to_string(),
                role_arn: subject.deployer.to_string(),
                profile: String::new(),
            },
            ..SeenCluster::default()
        })),
        destination: subject.destination.clone(),
        deployer: Attempt::Done(()),
        spoke_documents: SpokeDocuments::default(),
        token_length: Some(1_200),
        endpoint: Attempt::Done(200),
        reviews: asks.into_iter().map(|ask| (ask, Answer::Allowed(true))).collect(),
        every_kind: None,
        roles: None,
    }
}

/// The one hop in trouble.
fn verdict(subject: &Subject, evidence: &Evidence) -> (Hop, Reason) {
    let walk = judge(subject, evidence);
    let told: Vec<_> = (walk.hops.iter())
        .filter_map(|(hop, found)| match found {
            Found::Failed(trouble) | Found::Unknown(trouble) => Some((*hop, trouble.reason)),
            Found::Passed { .. } | Found::NotReached => None,
        })
        .collect();
    let [one] = told.as_slice() else {
        panic!("{walk:#?}");
    };
    *one
}

/// AWS's refusal as the walk would have it.
fn refusal(met: &Met) -> AwsRefusal {
    let (code, message) = met.said.split_once(": ").unwrap();
    let kind = match code {
        "AccessDenied" => ErrorKind::Denied,
        "InvalidIdentityToken" | "ExpiredTokenException" => ErrorKind::CredentialsUnavailable,
        other => panic!("{other} is not among what STS refuses here with"),
    };
    AwsRefusal {
        kind,
        code: code.to_owned(),
        message: message.to_owned(),
    }
}

/// Nobody comes to the API server but without a token.
fn without_token(evidence: &mut Evidence) {
    evidence.token_length = None;
    evidence.endpoint = Attempt::Done(401);
    evidence.reviews.clear();
}

/// A token that the hub's API server does not give.
pub(super) fn token(subject: &Subject, met: &Met) -> (Hop, Reason) {
    let mut evidence = holding(subject);
    for account in &mut evidence.hub.service_accounts {
        account.token = Attempt::Failed(KubernetesRefusal {
            failure: Failure::Forbidden,
            message: met.said.clone(),
        });
        account.exchange = Attempt::NotMade;
    }
    evidence.deployer = Attempt::NotMade;
    without_token(&mut evidence);
    verdict(subject, &evidence)
}

/// A token of `issuer` that `who` (namespace and name) did not get the role for.
pub(super) fn exchange(
    world: &World,
    mut subject: Subject,
    who: (&str, &str),
    issuer: &str,
    role: &str,
    met: &Met,
) -> (Hop, Reason) {
    who.0.clone_into(&mut subject.hub.namespace);
    subject.hub.service_accounts = vec![who.1.to_owned()];
    subject.hub.role = role.parse().unwrap();
    let mut evidence = holding(&subject);
    let account = &mut evidence.hub.service_accounts[0];
    account.token = Attempt::Done(Claims {
        issuer: issuer.to_owned(),
    });
    account.exchange = Attempt::Failed(refusal(met));
    evidence.hub_documents = HubDocuments {
        role: documents(world, role),
        provider: Look::Seen(vec!["sts.amazonaws.com".to_owned()]),
    };
    evidence.deployer = Attempt::NotMade;
    without_token(&mut evidence);
    verdict(&subject, &evidence)
}

/// A role that another one, in the place of the management role, did not get.
pub(super) fn deployer(world: &World, mut subject: Subject, by: &str, role: &str, met: &Met) -> (Hop, Reason) {
    subject.hub.role = by.parse().unwrap();
    subject.deployer = role.parse().unwrap();
    let mut evidence = holding(&subject);
    evidence.deployer = Attempt::Failed(refusal(met));
    evidence.hub_documents.role = documents(world, by);
    evidence.spoke_documents.role = documents(world, role);
    without_token(&mut evidence);
    verdict(&subject, &evidence)
}

/// A token of a session of `role`, so many characters long, that the API server did not take.
pub(super) fn bearer(world: &World, mut subject: Subject, role: &str, length: usize) -> (Hop, Reason) {
    subject.deployer = role.parse().unwrap();
    let mut evidence = holding(&subject);
    evidence.token_length = Some(length);
    evidence.endpoint = Attempt::Done(401);
    evidence.reviews.clear();
    let principal = json!({"principalArn": role});
    let entry = world
        .try_eks(SPOKE, "DescribeAccessEntry", principal)
        .ok()
        .map(|answer| {
            let entry = &answer["accessEntry"];
            SpokeEntry {
                tags: serde_json::from_value(entry["tags"].clone()).unwrap(),
                #[allow(clippy::cast_possible_truncation, reason = "seconds since 1970")]
                created: entry["createdAt"].as_f64().map(|seconds| seconds as i64),
            }
        });
    evidence.spoke_documents = SpokeDocuments {
        role: documents(world, role),
        cluster: Look::Seen(SpokeCluster {
            authentication_mode: AuthenticationMode::Api,
            public: true,
            public_cidrs: vec!["0.0.0.0/0".to_owned()],
            endpoint: None,
            certificate_authority: None,
        }),
        entry: entry.map_or(Look::Absent, Look::Seen),
    };
    verdict(&subject, &evidence)
}

/// A role with all its documents, as the doctor's reader role would read them.
fn documents(world: &World, arn: &str) -> Look<RoleDocuments> {
    let (account, name) = (arn.split(':').nth(4).unwrap(), arn.rsplit('/').next().unwrap());
    let Ok(answer) = world.try_iam(account, "GetRole", json!({"RoleName": name})) else {
        return Look::Absent;
    };
    let role = &answer["Role"];
    if role["Arn"] != arn {
        return Look::Absent;
    }
    let inline = world.iam(account, "ListRolePolicies", json!({"RoleName": name}));
    let inline = inline["PolicyNames"].as_array().unwrap().iter().map(|policy| {
        let input = json!({"RoleName": name, "PolicyName": policy});
        document(&world.iam(account, "GetRolePolicy", input)["PolicyDocument"]).to_string()
    });
    let boundary = role["PermissionsBoundary"]["PermissionsBoundaryArn"].as_str();
    Look::Seen(RoleDocuments {
        id: role["RoleId"].as_str().unwrap().to_owned(),
        created: None,
        trust: document(&role["AssumeRolePolicyDocument"]).to_string(),
        policies: Look::Seen(inline.collect()),
        boundary: boundary.map_or(Look::Absent, |arn| Look::Seen(managed_policy(world, arn))),
    })
}

/// The document of a managed policy.
fn managed_policy(world: &World, arn: &str) -> String {
    let policy = world.iam(HUB_ACCOUNT, "GetPolicy", json!({"PolicyArn": arn}));
    let version = &policy["Policy"]["DefaultVersionId"];
    let input = json!({"PolicyArn": arn, "VersionId": version});
    let version = world.iam(HUB_ACCOUNT, "GetPolicyVersion", input);
    document(&version["PolicyVersion"]["Document"]).to_string()
}
