//! Each way to break the chain, by hop.

use super::*;

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
            Reason::ArgoCdSettingInvalid,
            change(|_, evidence| {
                let data = [("resource.respectRBAC".to_owned(), "yes".to_owned())];
                argocd(evidence).settings = Look::Seen(crate::argocd::Settings::read(&data.into()));
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
                seen(evidence).credentials = Credentials::default();
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

#[test]
fn every_reason_is_reached() {
    let mut reached: BTreeSet<Reason> = table().into_iter().map(|(_, reason, _)| reason).collect();
    // Told where there is no evidence: of what is not made yet, and of a walk that was cut off.
    reached.extend([Reason::NotMoored, Reason::WalkTimedOut]);
    let missing: Vec<_> = Reason::ALL.iter().filter(|reason| !reached.contains(reason)).collect();
    assert!(missing.is_empty(), "{missing:?}");
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
