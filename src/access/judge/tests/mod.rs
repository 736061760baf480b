//! Every reason, from evidence whose words are AWS's own (IAM user guide, "Troubleshoot access denied error messages"
//! and "Troubleshoot OIDC federation"; STS and EKS API references).

mod argocd;
mod endpoint;
mod roles;
mod service_account;
mod table;

use std::{collections::BTreeSet, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;

use super::*;
use crate::{
    access::evidence::*,
    access::{
        scope::asks,
        subject::tests::{AUTHORITY, ISSUER, subject},
    },
    api::IdentityType,
    argocd::{Credentials, Presentation, Project, SeenCluster, Server},
    aws::{ErrorKind, Look, RoleDocuments, SpokeCluster, SpokeEntry},
    domain::{eks::AuthenticationMode, ownership::ROLE_ID_TAG},
    kubernetes::Failure,
    policy::{AUDIENCE, assume_deployers, deployer_trust, irsa_trust},
};

const DENY_ALL: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;

/// A chain that holds.
fn holding(subject: &Subject) -> Evidence {
    let role = subject.hub.role.to_string();
    let account = |name: &String| ServiceAccountEvidence {
        name: name.clone(),
        annotation: Look::Seen(Some(role.clone())),
        pods: Look::Seen(vec![PodSeen {
            name: format!("{name}-0"),
            binding: PodBinding::Role,
        }]),
        token: Attempt::Done(Claims { issuer: ISSUER.into() }),
        exchange: Attempt::Done(()),
    };
    let secret = SeenCluster {
        name: "prod".into(),
        server: Server::new(&subject.destination.server),
        certificate_authority: AUTHORITY.to_vec(),
        credentials: Credentials::Aws {
            cluster_name: "prod".into(),
            role_arn: subject.deployer.to_string(),
            profile: String::new(),
        },
        ..SeenCluster::default()
    };
    let everywhere = json!({"destinations": [{"server": "*", "namespace": "*"}]});
    Evidence {
        vantage: Vantage::Hub,
        hub: HubEvidence {
            service_accounts: subject.hub.service_accounts.iter().map(account).collect(),
        },
        argocd: Arc::new(ArgoCdEvidence {
            malformed: Look::Seen(Vec::new()),
            projects: Look::Seen(vec![Project::read("default", &everywhere)]),
            settings: Look::Absent,
        }),
        hub_documents: HubDocuments::default(),
        secret: Look::Seen(Ok(secret)),
        destination: subject.destination.clone(),
        deployer: Attempt::Done(()),
        spoke_documents: SpokeDocuments::default(),
        token_length: Some(1200),
        endpoint: Attempt::Done(200),
        reviews: asks(&subject.policies, &[], false, false)
            .into_iter()
            .map(|ask| (ask, Answer::Allowed(true)))
            .collect(),
        every_kind: None,
        roles: None,
    }
}

/// Both roles as Mooring makes them.
fn documented(subject: &Subject, evidence: &mut Evidence) {
    let provider = subject.hub.hub.oidc_provider(ISSUER).unwrap();
    let accounts: Vec<_> = subject
        .hub
        .service_accounts
        .iter()
        .map(|name| name.parse().unwrap())
        .collect();
    let trust = irsa_trust(&provider, &"argocd".parse().unwrap(), &accounts);
    let deployers = assume_deployers(&[subject.deployer.to_string()].into(), None).unwrap();
    evidence.hub_documents = HubDocuments {
        role: Look::Seen(RoleDocuments {
            id: "AROAMANAGEMENT".into(),
            created: Some(1),
            trust: trust.to_json(),
            policies: Look::Seen(vec![deployers.to_json()]),
            boundary: Look::Seen(deployers.to_json()),
        }),
        provider: Look::Seen(vec![AUDIENCE.into()]),
    };
    evidence.spoke_documents.role = Look::Seen(RoleDocuments {
        id: "AROADEPLOYER".into(),
        created: Some(1),
        trust: deployer_trust(&subject.hub.role).to_json(),
        policies: Look::Absent,
        boundary: Look::Absent,
    });
}

fn refusal(kind: ErrorKind, code: &str, message: &str) -> AwsRefusal {
    AwsRefusal {
        kind,
        code: code.into(),
        message: message.into(),
    }
}

/// Nothing behind the first service account's token.
fn cut_at_exchange(evidence: &mut Evidence, refused: &AwsRefusal) {
    for account in &mut evidence.hub.service_accounts {
        account.exchange = Attempt::Failed(refused.clone());
    }
    evidence.deployer = Attempt::NotMade;
    without_token(evidence);
}

fn cut_at_deployer(evidence: &mut Evidence, kind: ErrorKind, code: &str, message: &str) {
    evidence.deployer = Attempt::Failed(refusal(kind, code, message));
    without_token(evidence);
}

fn without_token(evidence: &mut Evidence) {
    evidence.token_length = None;
    evidence.endpoint = Attempt::Done(401);
    evidence.reviews.clear();
}

fn denied(why: &str) -> String {
    let deployer = subject().deployer;
    format!(
        "User: arn:aws:sts::111111111111:assumed-role/management-default-b949815e/mooring-verify-prod is not authorized to \
         perform: sts:AssumeRole on resource: {deployer}{why}"
    )
}

type Break = Box<dyn Fn(&mut Subject, &mut Evidence)>;

fn web(kind: ErrorKind, code: &'static str, message: &'static str, more: fn(&mut Evidence)) -> Break {
    Box::new(move |subject, evidence| {
        documented(subject, evidence);
        cut_at_exchange(evidence, &refusal(kind, code, message));
        more(evidence);
    })
}

fn hop3(why: &'static str, more: fn(&mut Subject, &mut Evidence)) -> Break {
    Box::new(move |subject, evidence| {
        documented(subject, evidence);
        cut_at_deployer(evidence, ErrorKind::Denied, "AccessDenied", &denied(why));
        more(subject, evidence);
    })
}

fn sts(kind: ErrorKind, code: &'static str, message: &'static str) -> Break {
    Box::new(move |_, evidence| cut_at_deployer(evidence, kind, code, message))
}

fn unreachable(why: fn(String) -> Unreached, public: bool, cidrs: &'static [&'static str]) -> Break {
    Box::new(move |_, evidence| {
        evidence.endpoint = Attempt::Failed(why("client error (Connect)".into()));
        evidence.reviews.clear();
        evidence.spoke_documents.cluster = Look::Seen(SpokeCluster {
            authentication_mode: AuthenticationMode::Api,
            public,
            public_cidrs: cidrs.iter().map(|cidr| (*cidr).into()).collect(),
            endpoint: None,
            certificate_authority: None,
        });
    })
}

fn unauthorized(mode: AuthenticationMode, entry: Look<(&'static str, i64)>) -> Break {
    Box::new(move |subject, evidence| {
        documented(subject, evidence);
        evidence.endpoint = Attempt::Done(401);
        evidence.reviews.clear();
        evidence.spoke_documents.cluster = Look::Seen(SpokeCluster {
            authentication_mode: mode,
            public: true,
            public_cidrs: vec!["0.0.0.0/0".into()],
            endpoint: None,
            certificate_authority: None,
        });
        evidence.spoke_documents.entry = match &entry {
            Look::Seen((id, created)) => Look::Seen(SpokeEntry {
                tags: [(ROLE_ID_TAG.to_owned(), (*id).to_owned())].into(),
                created: Some(*created),
            }),
            Look::Absent => Look::Absent,
            Look::Unseen(why) => Look::Unseen(why.clone()),
        };
    })
}

fn change(with: fn(&mut Subject, &mut Evidence)) -> Break {
    Box::new(with)
}

fn account(evidence: &mut Evidence) -> &mut ServiceAccountEvidence {
    &mut evidence.hub.service_accounts[0]
}

fn pod(name: &str, binding: PodBinding) -> PodSeen {
    PodSeen {
        name: name.into(),
        binding,
    }
}

fn argocd(evidence: &mut Evidence) -> &mut ArgoCdEvidence {
    Arc::make_mut(&mut evidence.argocd)
}

fn seen(evidence: &mut Evidence) -> &mut SeenCluster {
    let Look::Seen(Ok(seen)) = &mut evidence.secret else {
        panic!("no Secret")
    };
    seen
}

fn hub_role(evidence: &mut Evidence) -> &mut RoleDocuments {
    let Look::Seen(role) = &mut evidence.hub_documents.role else {
        panic!("no documents")
    };
    role
}

fn spoke_role(evidence: &mut Evidence) -> &mut RoleDocuments {
    let Look::Seen(role) = &mut evidence.spoke_documents.role else {
        panic!("no documents")
    };
    role
}

const WEB_DENIED: &str = "Not authorized to perform sts:AssumeRoleWithWebIdentity";

#[test]
fn a_chain_that_holds_holds() {
    let subject = subject();
    let walk = judge(&subject, &holding(&subject));
    assert!(walk.holds(), "{walk:#?}");
}

#[test]
fn a_walk_is_told_as_data_too() {
    let subject = subject();
    let mut evidence = holding(&subject);
    evidence.reviews[0].1 = Answer::Allowed(false);
    let value = serde_json::to_value(judge(&subject, &evidence)).unwrap();
    assert_eq!(value["hops"]["Token"]["verdict"], "Passed");
    assert_eq!(value["hops"]["Authorization"]["verdict"], "Failed");
    assert_eq!(value["hops"]["Authorization"]["reason"], "ScopeTooNarrow");
}
