//! Every reason, from evidence whose words are AWS's own (IAM user guide, "Troubleshoot access denied error messages"
//! and "Troubleshoot OIDC federation"; STS and EKS API references).

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

/// Each way to break the chain, and where and why it is then said to be broken.
#[allow(clippy::too_many_lines, reason = "a table")]
fn table() -> Vec<(Hop, Reason, Break)> {
    use ErrorKind::{CredentialsUnavailable, Denied, LimitExceeded, RegionDisabled, ServerError, Unreachable};
    use Hop::{ArgoCd, Authentication, Authorization, DeployerRole, Endpoint, ManagementRole, ServiceAccount, Token};
    vec![
        (
            ServiceAccount,
            Reason::ServiceAccountMissing,
            change(|_, evidence| {
                account(evidence).annotation = Look::Absent;
            }),
        ),
        (
            ServiceAccount,
            Reason::ServiceAccountNotAnnotated,
            change(|_, evidence| {
                account(evidence).annotation = Look::Seen(None);
            }),
        ),
        (
            ServiceAccount,
            Reason::ServiceAccountNotAssociated,
            change(|subject, evidence| {
                subject.hub.identity = IdentityType::Existing;
                account(evidence).annotation = Look::Seen(None);
            }),
        ),
        (
            ServiceAccount,
            Reason::PodIdentityNotWalked,
            change(|subject, evidence| {
                subject.hub.identity = IdentityType::Existing;
                account(evidence).pods = Look::Seen(vec![pod("p", PodBinding::PodIdentity)]);
                account(evidence).token = Attempt::NotMade;
                account(evidence).exchange = Attempt::NotMade;
            }),
        ),
        (
            ServiceAccount,
            Reason::PodsPredateBinding,
            change(|_, evidence| {
                account(evidence).pods = Look::Seen(vec![pod("p", PodBinding::Nothing)]);
            }),
        ),
        (
            Token,
            Reason::TokenForbidden,
            change(|_, evidence| {
                account(evidence).token = Attempt::Failed(KubernetesRefusal {
                    failure: Failure::Forbidden,
                    message: "could not request a token of serviceaccounts/argocd-server: forbidden (403)".into(),
                });
                account(evidence).exchange = Attempt::NotMade;
            }),
        ),
        (
            Token,
            Reason::TokenNotIssued,
            change(|_, evidence| {
                account(evidence).token = Attempt::Failed(KubernetesRefusal {
                    failure: Failure::Unreachable,
                    message: "no answer within 20 s".into(),
                });
                account(evidence).exchange = Attempt::NotMade;
            }),
        ),
        // The errors of IRSA.
        (
            ManagementRole,
            Reason::OidcProviderMissing,
            web(
                CredentialsUnavailable,
                "InvalidIdentityToken",
                "No OpenIDConnect provider found in your account for https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF",
                |_| {},
            ),
        ),
        (
            ManagementRole,
            Reason::OidcProviderMissing,
            web(Denied, "AccessDenied", WEB_DENIED, |evidence| {
                evidence.hub_documents.provider = Look::Absent;
            }),
        ),
        (
            ManagementRole,
            Reason::AudienceNotTrusted,
            web(
                CredentialsUnavailable,
                "InvalidIdentityToken",
                "Incorrect token audience",
                |_| {},
            ),
        ),
        (
            ManagementRole,
            Reason::AudienceNotTrusted,
            web(Denied, "AccessDenied", WEB_DENIED, |evidence| {
                hub_role(evidence).trust = hub_role(evidence)
                    .trust
                    .replace(r#":aud":"sts.amazonaws.com""#, r#":aud":"sts""#);
            }),
        ),
        (
            ManagementRole,
            Reason::SubjectNotTrusted,
            web(Denied, "AccessDenied", WEB_DENIED, |evidence| {
                hub_role(evidence).trust = hub_role(evidence)
                    .trust
                    .replace("serviceaccount:argocd:", "serviceaccount:other:");
            }),
        ),
        (
            ManagementRole,
            Reason::WrongIssuer,
            web(Denied, "AccessDenied", WEB_DENIED, |evidence| {
                hub_role(evidence).trust = hub_role(evidence)
                    .trust
                    .replace("0123456789ABCDEF0123456789ABCDEF", "OLD");
            }),
        ),
        (
            ManagementRole,
            Reason::WrongIssuer,
            web(
                CredentialsUnavailable,
                "InvalidIdentityToken",
                "No OpenIDConnect provider found in your account for https://oidc.eks.eu-west-1.amazonaws.com/id/NEW",
                |evidence| {
                    for account in &mut evidence.hub.service_accounts {
                        account.token = Attempt::Done(Claims {
                            issuer: "https://oidc.eks.eu-west-1.amazonaws.com/id/NEW".into(),
                        });
                    }
                },
            ),
        ),
        (
            ManagementRole,
            Reason::RefusedByTrustPolicy,
            web(Denied, "AccessDenied", WEB_DENIED, |evidence| {
                hub_role(evidence).trust = hub_role(evidence).trust.replace("Allow", "Deny");
            }),
        ),
        (
            ManagementRole,
            Reason::ManagementRoleMissing,
            web(Denied, "AccessDenied", WEB_DENIED, |evidence| {
                evidence.hub_documents.role = Look::Absent;
            }),
        ),
        (
            ManagementRole,
            Reason::IssuerUnreachable,
            web(
                CredentialsUnavailable,
                "InvalidIdentityToken",
                "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements",
                |_| {},
            ),
        ),
        (
            ManagementRole,
            Reason::IssuerUnreachable,
            web(ServerError, "IDPCommunicationError", "", |_| {}),
        ),
        (
            ManagementRole,
            Reason::TokenRejected,
            web(
                CredentialsUnavailable,
                "ExpiredTokenException",
                "Token expired: current date/time 2 must be before the expiration date/time 1",
                |_| {},
            ),
        ),
        (
            ManagementRole,
            Reason::RefusedByResourceControlPolicy,
            web(
                Denied,
                "AccessDenied",
                "Not authorized to perform sts:AssumeRoleWithWebIdentity with an explicit deny in a resource control policy",
                |_| {},
            ),
        ),
        (
            ManagementRole,
            Reason::Undetermined,
            web(Denied, "AccessDenied", WEB_DENIED, |_| {}),
        ),
        (
            ManagementRole,
            Reason::Undetermined,
            web(Denied, "AccessDenied", WEB_DENIED, |evidence| {
                evidence.hub_documents = HubDocuments::default();
            }),
        ),
        // Into the deployer role: the documents first.
        (
            DeployerRole,
            Reason::DeployerRoleMissing,
            hop3("", |_, evidence| {
                evidence.spoke_documents.role = Look::Absent;
            }),
        ),
        (
            DeployerRole,
            Reason::RefusedByTrustPolicy,
            hop3("", |_, evidence| {
                spoke_role(evidence).trust = spoke_role(evidence).trust.replace("management-default", "other");
            }),
        ),
        (
            DeployerRole,
            Reason::RefusedByTrustPolicy,
            hop3("", |_, evidence| {
                let id = r#""AWS":"AROAEXAMPLEEXAMPLE123""#;
                spoke_role(evidence).trust = spoke_role(evidence)
                    .trust
                    .replace(r#""AWS":"arn:aws:iam::111111111111:root""#, id);
            }),
        ),
        (
            DeployerRole,
            Reason::RefusedByTrustPolicy,
            hop3("", |_, evidence| {
                spoke_role(evidence).trust = spoke_role(evidence).trust.replace(
                    r#""Condition":{"#,
                    r#""Condition":{"StringEquals":{"sts:ExternalId":"x"},"#,
                );
            }),
        ),
        (
            DeployerRole,
            Reason::RefusedByIdentityPolicy,
            hop3("", |_, evidence| {
                hub_role(evidence).policies = Look::Seen(Vec::new());
            }),
        ),
        (
            DeployerRole,
            Reason::RefusedByIdentityPolicy,
            hop3("", |_, evidence| {
                hub_role(evidence).policies = Look::Seen(vec![DENY_ALL.into()]);
            }),
        ),
        (
            DeployerRole,
            Reason::RefusedByPermissionsBoundary,
            hop3("", |_, evidence| {
                hub_role(evidence).boundary = Look::Seen(DENY_ALL.into());
            }),
        ),
        // A deny in a document wins over what AWS says of another.
        (
            DeployerRole,
            Reason::RefusedByPermissionsBoundary,
            hop3(
                " because no role trust policy allows the sts:AssumeRole action",
                |_, evidence| {
                    hub_role(evidence).boundary = Look::Seen(DENY_ALL.into());
                },
            ),
        ),
        // AWS's own phrases.
        (
            DeployerRole,
            Reason::RefusedByServiceControlPolicy,
            hop3(" with an explicit deny in a service control policy", |_, _| {}),
        ),
        (
            DeployerRole,
            Reason::RefusedByServiceControlPolicy,
            hop3(
                " because no service control policy allows the sts:AssumeRole action",
                |_, _| {},
            ),
        ),
        (
            DeployerRole,
            Reason::RefusedByResourceControlPolicy,
            hop3(" with an explicit deny in a resource control policy", |_, _| {}),
        ),
        (
            DeployerRole,
            Reason::RefusedByEndpointPolicy,
            hop3(
                " because no VPC endpoint policy allows the sts:AssumeRole action",
                |_, _| {},
            ),
        ),
        (
            DeployerRole,
            Reason::RefusedBySessionPolicy,
            hop3(" because no session policy allows the sts:AssumeRole action", |_, _| {}),
        ),
        (
            DeployerRole,
            Reason::RefusedByTrustPolicy,
            hop3(
                " because no role trust policy allows the sts:AssumeRole action",
                |_, evidence| {
                    evidence.spoke_documents = SpokeDocuments::default();
                },
            ),
        ),
        (
            DeployerRole,
            Reason::RefusedByIdentityPolicy,
            hop3(
                " because no identity-based policy allows the sts:AssumeRole action",
                |_, evidence| {
                    evidence.hub_documents = HubDocuments::default();
                },
            ),
        ),
        (
            DeployerRole,
            Reason::RefusedByPermissionsBoundary,
            hop3(
                " because no permissions boundary allows the sts:AssumeRole action",
                |_, evidence| {
                    evidence.hub_documents = HubDocuments::default();
                },
            ),
        ),
        (DeployerRole, Reason::Undetermined, hop3("", |_, _| {})),
        (
            DeployerRole,
            Reason::Undetermined,
            hop3("", |_, evidence| {
                evidence.hub_documents = HubDocuments::default();
                evidence.spoke_documents = SpokeDocuments::default();
            }),
        ),
        (
            DeployerRole,
            Reason::TagSessionRefused,
            change(|subject, evidence| {
                documented(subject, evidence);
                spoke_role(evidence).trust = spoke_role(evidence).trust.replace(r#","sts:TagSession""#, "");
                let message = denied("").replace("sts:AssumeRole", "sts:TagSession");
                cut_at_deployer(evidence, ErrorKind::Denied, "AccessDenied", &message);
            }),
        ),
        (
            DeployerRole,
            Reason::TagSessionRefused,
            change(|_, evidence| {
                let message = denied("").replace("sts:AssumeRole", "sts:TagSession");
                cut_at_deployer(evidence, ErrorKind::Denied, "AccessDenied", &message);
            }),
        ),
        (
            DeployerRole,
            Reason::RegionDisabled,
            sts(
                RegionDisabled,
                "RegionDisabledException",
                "STS is not activated in this region for account:222222222222. Your account administrator can activate STS in this region using the IAM Console.",
            ),
        ),
        (
            DeployerRole,
            Reason::SessionTooLarge,
            sts(
                LimitExceeded,
                "PackedPolicyTooLarge",
                "Packed size of session tags consumes 101% of allotted space.",
            ),
        ),
        (
            DeployerRole,
            Reason::StsUnreachable,
            sts(Unreachable, "Dispatch", "dispatch failure: io error: dns error"),
        ),
        (
            DeployerRole,
            Reason::StsUnavailable,
            sts(ServerError, "ServiceUnavailable", ""),
        ),
        // The endpoint.
        (
            Endpoint,
            Reason::NameNotResolved,
            unreachable(Unreached::Name, true, &["0.0.0.0/0"]),
        ),
        (
            Endpoint,
            Reason::ConnectionRefused,
            unreachable(Unreached::Refused, true, &["10.0.0.0/8"]),
        ),
        (
            Endpoint,
            Reason::ConnectionTimedOut,
            unreachable(Unreached::TimedOut, true, &["0.0.0.0/0"]),
        ),
        (
            Endpoint,
            Reason::ConnectionFailed,
            unreachable(Unreached::Other, true, &["0.0.0.0/0"]),
        ),
        (
            Endpoint,
            Reason::PrivateEndpoint,
            unreachable(Unreached::TimedOut, false, &[]),
        ),
        (
            Endpoint,
            Reason::PublicAccessLeavesHubOut,
            unreachable(Unreached::TimedOut, true, &["203.0.113.5/32"]),
        ),
        (
            Endpoint,
            Reason::CertificateNotTrusted,
            unreachable(Unreached::Certificate, true, &[]),
        ),
        (
            Endpoint,
            Reason::DestinationDiffers,
            change(|_, evidence| {
                seen(evidence).server = Server::new("https://elsewhere");
                without_token(evidence);
                evidence.endpoint = Attempt::NotMade;
            }),
        ),
        (
            Endpoint,
            Reason::DestinationDiffers,
            change(|_, evidence| {
                seen(evidence).certificate_authority.push(b'\n');
                without_token(evidence);
                evidence.endpoint = Attempt::NotMade;
            }),
        ),
        (
            Endpoint,
            Reason::ApiServerFailing,
            change(|_, evidence| {
                evidence.endpoint = Attempt::Done(503);
                evidence.reviews.clear();
            }),
        ),
        // 401.
        (
            Authentication,
            Reason::AuthenticationModeConfigMap,
            unauthorized(AuthenticationMode::ConfigMap, Look::Absent),
        ),
        (
            Authentication,
            Reason::NoAccessEntry,
            unauthorized(AuthenticationMode::Api, Look::Absent),
        ),
        (
            Authentication,
            Reason::StalePrincipal,
            unauthorized(AuthenticationMode::Api, Look::Seen(("AROAEARLIER", 5))),
        ),
        (
            Authentication,
            Reason::StalePrincipal,
            unauthorized(AuthenticationMode::ApiAndConfigMap, Look::Seen(("AROADEPLOYER", 0))),
        ),
        (
            Authentication,
            Reason::Unauthorized,
            unauthorized(AuthenticationMode::Api, Look::Seen(("AROADEPLOYER", 5))),
        ),
        (
            Authentication,
            Reason::Undetermined,
            unauthorized(AuthenticationMode::Api, Look::Unseen("not allowed".into())),
        ),
        (
            Authentication,
            Reason::TokenTooLarge,
            change(|_, evidence| {
                evidence.endpoint = Attempt::Done(401);
                evidence.token_length = Some(4097);
                evidence.reviews.clear();
            }),
        ),
        // Access that was taken away.
        (
            Authentication,
            Reason::Suspended,
            change(|subject, evidence| {
                subject.suspended = true;
                evidence.endpoint = Attempt::Done(401);
                evidence.spoke_documents.entry = Look::Absent;
                evidence.reviews.clear();
            }),
        ),
        (
            Authentication,
            Reason::ResidualAccess,
            change(|subject, evidence| {
                subject.suspended = true;
                evidence.spoke_documents.entry = Look::Absent;
            }),
        ),
        (
            Authentication,
            Reason::AccessStands,
            change(|subject, evidence| {
                subject.suspended = true;
                let (tags, created) = (std::collections::BTreeMap::new(), None);
                evidence.spoke_documents.entry = Look::Seen(SpokeEntry { tags, created });
            }),
        ),
        // 403, and no.
        (
            Authorization,
            Reason::Forbidden,
            change(|_, evidence| {
                evidence.reviews[0].1 =
                    Answer::Refused("selfsubjectaccessreviews.authorization.k8s.io is forbidden (403)".into());
            }),
        ),
        (
            Authorization,
            Reason::ApiServerFailing,
            change(|_, evidence| {
                evidence.reviews[0].1 = Answer::Refused("no answer within 12 s".into());
            }),
        ),
        (
            Authorization,
            Reason::ScopeTooNarrow,
            change(|_, evidence| {
                evidence.reviews[0].1 = Answer::Allowed(false);
            }),
        ),
        // Argo CD.
        (
            ArgoCd,
            Reason::ClusterSecretMissing,
            change(|_, evidence| {
                evidence.secret = Look::Absent;
            }),
        ),
        (
            ArgoCd,
            Reason::ClusterSecretMalformed,
            change(|_, evidence| {
                evidence.secret = Look::Seen(Err("data.config is not JSON (line 1, column 2)".into()));
            }),
        ),
        (
            ArgoCd,
            Reason::ClusterSecretMalformed,
            change(|_, evidence| {
                argocd(evidence).malformed = Look::Seen(vec![("somebodys".into(), "data.config is not JSON".into())]);
            }),
        ),
        (
            ArgoCd,
            Reason::ClusterSecretDiffers,
            change(|_, evidence| {
                seen(evidence).credentials = Credentials::Other;
            }),
        ),
        (
            ArgoCd,
            Reason::NoProjectAdmits,
            change(|_, evidence| {
                argocd(evidence).projects = Look::Seen(vec![Project::read("default", &json!({}))]);
            }),
        ),
        (
            ArgoCd,
            Reason::ArgoCdNotSeen,
            change(|_, evidence| {
                argocd(evidence).projects = Look::Unseen("forbidden".into());
            }),
        ),
        (
            ArgoCd,
            Reason::ArgoCdNotSeen,
            change(|_, evidence| {
                argocd(evidence).settings = Look::Unseen("forbidden".into());
            }),
        ),
    ]
}

#[test]
fn what_eks_did_not_tell_of_an_endpoint_is_said() {
    let subject = subject();
    let mut evidence = holding(&subject);
    evidence.endpoint = Attempt::Failed(Unreached::TimedOut("no answer".into()));
    evidence.reviews.clear();
    evidence.spoke_documents.cluster = Look::Unseen("not authorized to perform eks:DescribeCluster".into());
    let walk = judge(&subject, &evidence);
    // It may be private, and then nothing is broken.
    assert_eq!(walk.broken(), None);
    let (hop, trouble) = walk.unknown().unwrap();
    assert_eq!((hop, trouble.reason), (Hop::Endpoint, Reason::ConnectionTimedOut));
    assert!(trouble.message.contains("eks:DescribeCluster"), "{}", trouble.message);
}

/// What EKS gives by now is what tells a cluster that changed from something that stands between.
#[test]
fn a_cluster_that_eks_gives_otherwise_by_now_is_told_as_that() {
    let subject = subject();
    let mut evidence = holding(&subject);
    let mut told = |endpoint: Option<&str>, authority: Option<&str>, why: fn(String) -> Unreached| {
        unreachable(why, true, &[])(&mut subject.clone(), &mut evidence);
        if let Look::Seen(cluster) = &mut evidence.spoke_documents.cluster {
            cluster.endpoint = endpoint.map(str::to_owned);
            cluster.certificate_authority = authority.map(|pem| BASE64_STANDARD.encode(pem));
        }
        let walk = judge(&subject, &evidence);
        let (hop, trouble) = walk.broken().unwrap();
        assert_eq!(hop, Hop::Endpoint);
        (trouble.message.clone(), trouble.next.clone())
    };
    let own = std::str::from_utf8(AUTHORITY).unwrap();
    for (authority, says, next) in [
        (Some(own), "It is the one that EKS gives", "NO_PROXY"),
        (
            Some("another"),
            "another certificate authority for the cluster by now",
            "Mooring will give the Secret",
        ),
        (None, "It is the one that EKS gives", "NO_PROXY"),
    ] {
        let (message, what_next) = told(None, authority, Unreached::Certificate);
        assert!(
            message.contains(says) && what_next.contains(next),
            "{message} {what_next}"
        );
    }
    let elsewhere = "https://4567.gr7.eu-central-1.eks.amazonaws.com";
    for why in [
        Unreached::Name,
        Unreached::Refused,
        Unreached::TimedOut,
        Unreached::Other,
    ] {
        let (message, next) = told(Some(elsewhere), None, why);
        assert!(
            message.contains(&format!("gives the endpoint {elsewhere}")),
            "{message}"
        );
        assert!(next.contains("Mooring will lead the Secret there"), "{next}");
        let (message, _) = told(Some(&format!("{}/", subject.destination.server)), None, why);
        assert!(!message.contains("gives the endpoint"), "{message}");
    }
}

/// What the Secret says of the cluster is what Argo CD goes by, whatever the spec says.
#[test]
fn a_secret_that_says_otherwise_than_the_spec_is_told_for_what_it_says() {
    type Change = fn(&mut SeenCluster);
    let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let spec = Presentation {
        name: "prod".into(),
        namespaces: names(&["b", "a"]),
        project: Some("team".into()),
        cluster_resources: Some(true),
        ..Presentation::default()
    };
    let mut subject = subject();
    let mut evidence = holding(&subject);
    let secret = seen(&mut evidence);
    (secret.namespaces, secret.project, secret.cluster_resources) = (names(&["a", "b"]), "team".into(), true);
    let evidence = evidence;
    let told = |subject: &Subject, change: Change| {
        let mut evidence = evidence.clone();
        change(seen(&mut evidence));
        let walk = judge(subject, &evidence);
        walk.broken().map(|(hop, trouble)| {
            assert_eq!((hop, trouble.reason), (Hop::ArgoCd, Reason::ClusterSecretDiffers));
            trouble.message.clone()
        })
    };
    let changes: [(Change, &str); 5] = [
        (
            |secret| secret.name = "other".into(),
            r#"names the cluster "other", and the spec "prod""#,
        ),
        (
            |secret| secret.namespaces.push("c".into()),
            "holds Argo CD to a, b, c, and the spec to a, b",
        ),
        (
            |secret| secret.namespaces.clear(),
            "holds Argo CD to no namespaces, but the whole cluster, and the spec to a, b",
        ),
        (
            |secret| secret.project.clear(),
            r#"gives the cluster to project "", and the spec to "team""#,
        ),
        (
            |secret| secret.cluster_resources = false,
            "has clusterResources false, and the spec true",
        ),
    ];
    subject.presentation = Some(spec.clone());
    assert_eq!(told(&subject, |_| {}), None);
    for (change, says) in changes {
        let message = told(&subject, change).unwrap();
        assert!(message.ends_with(says), "{message}");
    }
    // While the operator has not acted on the spec, the Secret says what the former did.
    subject.presentation = None;
    for (change, _) in changes {
        assert_eq!(told(&subject, change), None);
    }
    // What was somebody else's keeps what the spec leaves open, and nothing else does.
    subject.presentation = Some(Presentation {
        name: "prod".into(),
        ..Presentation::default()
    });
    assert_eq!(told(&subject, |secret| secret.adopted = true), None);
    assert!(told(&subject, |_| {}).is_some());
    let message = told(&subject, |secret| {
        (secret.skips_reconcile, secret.adopted) = (true, true);
    })
    .unwrap();
    assert!(message.contains("leaves the whole cluster alone"), "{message}");
}

/// What `resource.exclusions` leaves out may be just what is refused: then it is told and breaks nothing.
#[test]
fn a_cluster_whose_kinds_may_not_all_be_listed_is_told_with_the_setting() {
    let subject = subject();
    let mut evidence = holding(&subject);
    let roles = |answer| Some((crate::access::scope::roles(&[]), answer));
    for (every_kind, roles, says) in [
        (None, None, false),
        (Some(Answer::Allowed(true)), None, false),
        (Some(Answer::Refused("no answer".into())), None, false),
        (Some(Answer::Allowed(false)), None, true),
        (Some(Answer::Allowed(false)), roles(Answer::Allowed(true)), true),
        (
            Some(Answer::Allowed(false)),
            roles(Answer::Refused("no answer".into())),
            true,
        ),
    ] {
        (evidence.every_kind, evidence.roles) = (every_kind, roles);
        let walk = judge(&subject, &evidence);
        assert!(walk.holds(), "{walk:?}");
        let finding = crate::access::status::finding(&walk);
        assert_eq!(
            (
                finding.reason,
                finding.message.contains("resource.respectRBAC to normal in argocd-cm")
            ),
            ("ChainHolds", says)
        );
    }
    evidence.roles = roles(Answer::Allowed(false));
    let walk = judge(&subject, &evidence);
    let (hop, trouble) = walk.broken().unwrap();
    assert_eq!((hop, trouble.reason), (Hop::Authorization, Reason::ScopeTooNarrow));
    assert!(
        trouble
            .message
            .contains("may not list clusterroles.rbac.authorization.k8s.io in the whole cluster")
    );
    assert!(
        trouble
            .next
            .contains("kubectl -n argocd patch configmap argocd-cm --type merge"),
        "{}",
        trouble.next
    );
}

#[test]
fn a_chain_that_holds_holds() {
    let subject = subject();
    let walk = judge(&subject, &holding(&subject));
    assert!(walk.holds(), "{walk:#?}");
}

#[test]
fn each_break_is_told_at_its_hop_with_its_reason_and_at_no_other() {
    for (hop, reason, break_it) in table() {
        let mut subject = subject();
        let mut evidence = holding(&subject);
        break_it(&mut subject, &mut evidence);
        let walk = judge(&subject, &evidence);
        let told: Vec<(Hop, Reason)> = walk
            .hops
            .iter()
            .filter_map(|(hop, found)| match found {
                Found::Failed(trouble) | Found::Unknown(trouble) => Some((*hop, trouble.reason)),
                Found::Passed { .. } | Found::NotReached => None,
            })
            .collect();
        assert_eq!(told, [(hop, reason)], "{walk:#?}");
        let (Found::Failed(trouble) | Found::Unknown(trouble)) = walk.at(hop) else {
            unreachable!("{walk:?}")
        };
        assert!(trouble.message.len() > 20 && trouble.next.len() > 6, "{trouble:?}");
        assert_eq!(
            trouble.candidates.is_empty(),
            reason != Reason::Undetermined,
            "{trouble:?}"
        );
    }
}

/// Where Mooring mends what it made it says so, and where it stands back it does not promise to.
#[test]
fn nothing_is_promised_while_mooring_stands_back() {
    let promised = |paused: bool| {
        let mut promises = 0;
        for (hop, _, break_it) in table() {
            let mut subject = subject();
            if paused {
                let pause = |metadata: &mut kube::core::ObjectMeta| {
                    metadata.annotations = Some([(crate::api::PAUSED.to_owned(), "true".to_owned())].into());
                };
                let (mut cluster, mut role) = (
                    crate::access::subject::tests::cluster(),
                    crate::access::subject::tests::role(),
                );
                pause(&mut cluster.metadata);
                pause(&mut role.metadata);
                subject = Subject::read(&cluster, Some(&role)).unwrap();
            }
            let mut evidence = holding(&subject);
            break_it(&mut subject, &mut evidence);
            let walk = judge(&subject, &evidence);
            if let Found::Failed(trouble) | Found::Unknown(trouble) = walk.at(hop) {
                promises += usize::from(trouble.next.contains("Mooring will"));
                assert!(
                    !trouble.next.contains("Mooring mends") && !trouble.next.contains("Mooring puts"),
                    "{trouble:?}"
                );
            }
        }
        promises
    };
    assert!(promised(false) >= 10, "{}", promised(false));
    assert_eq!(promised(true), 0);
}

#[test]
fn no_password_of_a_url_is_told() {
    let subject = subject();
    let mut evidence = holding(&subject);
    seen(&mut evidence).server = Server::new("https://admin:hunter2@elsewhere");
    argocd(&mut evidence).projects = Look::Unseen("by proxy http://me:hunter2@proxy:3128: refused".into());
    let told = |evidence: &Evidence| serde_json::to_string(&judge(&subject, evidence)).unwrap();
    assert!(
        told(&evidence).contains("leads to https://<not shown>@elsewhere"),
        "{}",
        told(&evidence)
    );
    assert!(!told(&evidence).contains("hunter2"));
    seen(&mut evidence).server = Server::new(&subject.destination.server);
    assert!(
        told(&evidence).contains("http://<not shown>@proxy:3128"),
        "{}",
        told(&evidence)
    );
    assert!(!told(&evidence).contains("hunter2") && !format!("{evidence:?}").contains("admin:hunter2"));
}

#[test]
fn every_reason_is_reached() {
    let mut reached: BTreeSet<Reason> = table().into_iter().map(|(_, reason, _)| reason).collect();
    // Told where there is no evidence: of what is not made yet, and of a walk that was cut off.
    reached.extend([Reason::NotMoored, Reason::WalkTimedOut]);
    let missing: Vec<_> = Reason::ALL.iter().filter(|reason| !reached.contains(reason)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn what_a_document_rules_out_is_no_candidate() {
    let subject = subject();
    let mut evidence = holding(&subject);
    documented(&subject, &mut evidence);
    cut_at_deployer(&mut evidence, ErrorKind::Denied, "AccessDenied", &denied(""));
    let candidates = |evidence: &Evidence| {
        let walk = judge(&subject, evidence);
        let Found::Failed(trouble) = walk.at(Hop::DeployerRole) else {
            panic!("{walk:?}")
        };
        trouble.candidates.clone()
    };
    let of_organisation = [
        Reason::RefusedByServiceControlPolicy,
        Reason::RefusedByResourceControlPolicy,
        Reason::RefusedByEndpointPolicy,
    ];
    assert_eq!(candidates(&evidence), of_organisation);
    evidence.spoke_documents = SpokeDocuments::default();
    let more = candidates(&evidence);
    assert_eq!(more[..2], [Reason::DeployerRoleMissing, Reason::RefusedByTrustPolicy]);
    assert_eq!(more[2..], of_organisation);
}

#[test]
fn in_one_account_a_trust_that_names_the_role_needs_no_identity_policy() {
    let mut subject = subject();
    subject.deployer.account = subject.hub.role.account.clone();
    let mut evidence = holding(&subject);
    documented(&subject, &mut evidence);
    hub_role(&mut evidence).policies = Look::Seen(Vec::new());
    let named = format!(r#""AWS":"{}""#, subject.hub.role);
    spoke_role(&mut evidence).trust = spoke_role(&mut evidence)
        .trust
        .replace(r#""AWS":"arn:aws:iam::111111111111:root""#, &named);
    cut_at_deployer(&mut evidence, ErrorKind::Denied, "AccessDenied", &denied(""));
    let walk = judge(&subject, &evidence);
    assert_eq!(walk.broken().unwrap().1.reason, Reason::Undetermined);
}

#[test]
fn what_a_persons_machine_cannot_reach_proves_nothing() {
    let subject = subject();
    for (why, expected) in [
        (
            Unreached::TimedOut as fn(String) -> Unreached,
            Reason::ConnectionTimedOut,
        ),
        (Unreached::Name, Reason::NameNotResolved),
    ] {
        let mut evidence = holding(&subject);
        evidence.vantage = Vantage::Person;
        evidence.endpoint = Attempt::Failed(why("x".into()));
        evidence.reviews.clear();
        let walk = judge(&subject, &evidence);
        assert_eq!(walk.broken(), None);
        assert_eq!(walk.unknown().unwrap().1.reason, expected);
    }
}

/// Policies that look at the network (`aws:SourceVpc` and its like) may refuse a person's machine and not the hub.
#[test]
fn a_refusal_that_no_document_makes_proves_nothing_from_a_persons_machine() {
    const PHRASE: &str = " with an explicit deny in a service control policy";
    let subject = subject();
    let person = |break_it: &Break| {
        let mut evidence = holding(&subject);
        evidence.vantage = Vantage::Person;
        break_it(&mut subject.clone(), &mut evidence);
        judge(&subject, &evidence)
    };
    let web_phrase =
        "Not authorized to perform sts:AssumeRoleWithWebIdentity with an explicit deny in a resource control policy";
    for (break_it, hop, reason) in [
        (
            change(|_, evidence| cut_at_deployer(evidence, ErrorKind::Denied, "AccessDenied", &denied(PHRASE))),
            Hop::DeployerRole,
            Reason::RefusedByServiceControlPolicy,
        ),
        (
            change(|_, evidence| cut_at_deployer(evidence, ErrorKind::Denied, "AccessDenied", &denied(""))),
            Hop::DeployerRole,
            Reason::Undetermined,
        ),
        (
            web(ErrorKind::Denied, "AccessDenied", web_phrase, |_| {}),
            Hop::ManagementRole,
            Reason::RefusedByResourceControlPolicy,
        ),
        (
            web(ErrorKind::Denied, "AccessDenied", WEB_DENIED, |_| {}),
            Hop::ManagementRole,
            Reason::Undetermined,
        ),
    ] {
        let walk = person(&break_it);
        assert_eq!(walk.broken(), None, "{reason}");
        let (at, trouble) = walk.unknown().unwrap();
        assert_eq!((at, trouble.reason), (hop, reason));
        assert!(
            trouble.next.starts_with("look at the condition Connected"),
            "{}",
            trouble.next
        );
    }
    // What a document says it says to everybody.
    let trust = web(ErrorKind::Denied, "AccessDenied", WEB_DENIED, |evidence| {
        hub_role(evidence).trust = hub_role(evidence).trust.replace("Allow", "Deny");
    });
    assert_eq!(person(&trust).broken().unwrap().1.reason, Reason::RefusedByTrustPolicy);
}

#[test]
fn several_service_accounts_with_one_trouble_are_named_together() {
    let subject = subject();
    let mut evidence = holding(&subject);
    for account in &mut evidence.hub.service_accounts {
        account.annotation = Look::Seen(None);
    }
    let walk = judge(&subject, &evidence);
    let (_, trouble) = walk.broken().unwrap();
    assert!(trouble.message.contains("argocd-application-controller"), "{trouble:?}");
    assert!(trouble.message.ends_with("(the same of argocd-server)"), "{trouble:?}");
}

/// Which pods run, what the annotation says, and what is told of the service account.
#[test]
fn an_association_goes_before_whatever_the_annotation_says() {
    use IdentityType::{Existing, Irsa};
    use PodBinding::{Nothing, PodIdentity, Role};
    let (not_walked, predates) = (Reason::PodIdentityNotWalked, Reason::PodsPredateBinding);
    let subject = subject();
    let (own, other) = (
        subject.hub.role.to_string(),
        "arn:aws:iam::111111111111:role/x".to_owned(),
    );
    for annotation in [None, Some(own.clone()), Some(other)] {
        let unannotated = if annotation.as_ref() == Some(&own) {
            predates
        } else {
            Reason::ServiceAccountNotAnnotated
        };
        for (identity, bindings, reason) in [
            (Existing, vec![PodIdentity], not_walked),
            (Irsa, vec![PodIdentity], not_walked),
            (Existing, vec![Role, PodIdentity], not_walked),
            (Irsa, vec![Role, PodIdentity], not_walked),
            // What runs without either started before the association, or before the annotation.
            (Existing, vec![PodIdentity, Nothing], predates),
            (Irsa, vec![PodIdentity, Nothing], unannotated),
        ] {
            let (mut subject, mut evidence) = (subject.clone(), holding(&subject));
            subject.hub.identity = identity;
            let account = account(&mut evidence);
            account.annotation = Look::Seen(annotation.clone());
            account.pods = Look::Seen(bindings.iter().map(|binding| pod("p", binding.clone())).collect());
            // A token is exchanged for the pods that use one.
            let unbound = identity == Existing && annotation.is_none();
            assert_eq!(
                account.is_exchanged(identity),
                bindings.contains(&Role) && !unbound,
                "{bindings:?}"
            );
            let walk = judge(&subject, &evidence);
            let told = walk
                .broken()
                .or_else(|| walk.unknown())
                .map(|(hop, trouble)| (hop, trouble.reason));
            assert_eq!(
                told,
                Some((Hop::ServiceAccount, reason)),
                "{identity:?} {annotation:?} {bindings:?}"
            );
            assert_eq!(walk.broken().is_none(), reason == not_walked, "{walk:?}");
            let deletes = walk
                .unknown()
                .is_some_and(|(_, trouble)| trouble.next.contains("delete it"));
            assert_eq!(deletes, reason == not_walked && identity == Irsa, "{walk:?}");
        }
    }
}

/// An existing role may be given by EKS Pod Identity, and only a pod shows by what it comes.
#[test]
fn what_refuses_a_web_identity_that_no_pod_is_seen_to_use_breaks_nothing() {
    let mut subject = subject();
    subject.hub.identity = IdentityType::Existing;
    let refused = refusal(ErrorKind::Denied, "AccessDenied", WEB_DENIED);
    let told = |subject: &Subject, pods: &Look<Vec<PodSeen>>| {
        let mut evidence = holding(subject);
        documented(subject, &mut evidence);
        hub_role(&mut evidence).trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}]}"#.into();
        cut_at_exchange(&mut evidence, &refused);
        for account in &mut evidence.hub.service_accounts {
            account.pods.clone_from(pods);
        }
        judge(subject, &evidence).at(Hop::ManagementRole).clone()
    };
    for pods in [Look::Unseen("forbidden".into()), Look::Seen(Vec::new())] {
        let found = told(&subject, &pods);
        let Found::Unknown(trouble) = &found else {
            panic!("{found:?}")
        };
        assert_eq!(trouble.reason, Reason::WrongIssuer);
        assert!(
            trouble.message.contains("EKS Pod Identity may give it the role"),
            "{trouble:?}"
        );
    }
    let used = Look::Seen(vec![pod("p", PodBinding::Role)]);
    assert!(
        matches!(told(&subject, &used), Found::Failed(_)),
        "a pod that uses one is refused"
    );
    subject.hub.identity = IdentityType::Irsa;
    assert!(matches!(told(&subject, &Look::Seen(Vec::new())), Found::Failed(_)));
}

#[test]
fn an_association_does_not_show_where_no_pod_runs() {
    let mut subject = subject();
    subject.hub.identity = IdentityType::Existing;
    let mut evidence = holding(&subject);
    account(&mut evidence).annotation = Look::Seen(None);
    account(&mut evidence).pods = Look::Seen(Vec::new());
    let walk = judge(&subject, &evidence);
    assert_eq!(walk.broken(), None);
    let (hop, trouble) = walk.unknown().unwrap();
    assert_eq!(
        (hop, trouble.reason),
        (Hop::ServiceAccount, Reason::ServiceAccountNotAssociated)
    );
    assert!(trouble.message.contains("no pod of it runs"), "{trouble:?}");
}

/// A pod with other roles only says which.
#[test]
fn a_pod_of_other_roles_is_told_with_all_of_them() {
    let subject = subject();
    let mut evidence = holding(&subject);
    let others = PodBinding::Others(["arn:a".to_owned(), "arn:b".to_owned()].into());
    account(&mut evidence).pods = Look::Seen(vec![pod("p", others)]);
    let walk = judge(&subject, &evidence);
    let (_, trouble) = walk.broken().unwrap();
    assert_eq!(trouble.reason, Reason::PodsPredateBinding);
    assert!(
        trouble.message.contains("its containers name arn:a, arn:b"),
        "{trouble:?}"
    );
}

#[test]
fn the_verifier_says_which_service_account_its_role_leaves_out() {
    let subject = subject();
    let mut evidence = holding(&subject);
    account(&mut evidence).exchange = Attempt::NotMade;
    account(&mut evidence).token = Attempt::Failed(KubernetesRefusal {
        failure: Failure::Forbidden,
        message: "forbidden (403)".into(),
    });
    let walk = judge(&subject, &evidence);
    let (hop, trouble) = walk.unknown().unwrap();
    assert_eq!(hop, Hop::Token);
    assert!(
        trouble
            .next
            .contains("serviceaccounts/token for argocd-application-controller"),
        "{trouble:?}"
    );
    assert!(
        matches!(walk.at(Hop::ManagementRole), Found::Passed { .. }),
        "the other one came through"
    );
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
