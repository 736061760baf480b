//! The token, and its exchange for the management role (`AssumeRoleWithWebIdentity`).
//!
//! Sources of AWS's words: IAM user guide, "Troubleshoot OIDC federation"; STS `AssumeRoleWithWebIdentity`, errors.

use super::{
    failed, passed,
    refusal::{self, PolicyKind},
    together, trust, unknown,
};
use crate::{
    access::{
        chain::{Found, Trouble},
        evidence::{Attempt, AwsRefusal, Evidence, ServiceAccountEvidence},
        reason::Reason,
        subject::Subject,
    },
    api::CONFIRM_HUB,
    aws::{ErrorKind, Look},
    kubernetes::Failure,
    policy::AUDIENCE,
};

/// The tokens of the `ServiceAccount`s.
pub(super) fn token(subject: &Subject, evidence: &Evidence) -> Found {
    let each = evidence.hub.service_accounts.iter().map(|account| {
        let found = match &account.token {
            Attempt::NotMade => Found::NotReached,
            Attempt::Done(_) => passed("issued"),
            Attempt::Failed(refused) if refused.failure == Failure::NotFound => Found::NotReached,
            Attempt::Failed(refused) if refused.failure == Failure::Forbidden => unknown(
                Reason::TokenForbidden,
                format!(
                    "no token could be requested for ServiceAccount {}/{}: {}",
                    subject.hub.namespace, account.name, refused.message
                ),
                format!(
                    "let whoever runs this create serviceaccounts/token for {} in namespace {}: the verifier's Role names \
                     service accounts, and so does the admission policy beside it; add what spec.serviceAccounts of \
                     ManagementRole {} has and they have not",
                    account.name, subject.hub.namespace, subject.hub.hub.management_role
                ),
            ),
            Attempt::Failed(refused) => unknown(
                Reason::TokenNotIssued,
                format!("the API server gave no token for ServiceAccount {}: {}", account.name, refused.message),
                "look at the hub's API server; the walk is tried again",
            ),
        };
        (account.name.as_str(), found)
    });
    together(each.collect(), |count| {
        format!("issued for {count} service accounts, for the audience {AUDIENCE}")
    })
}

/// The exchange.
pub(super) fn exchange(subject: &Subject, evidence: &Evidence) -> Found {
    let each = evidence.hub.service_accounts.iter().map(|account| {
        let found = match &account.exchange {
            Attempt::NotMade => Found::NotReached,
            Attempt::Done(()) => passed("assumed"),
            Attempt::Failed(refused) => {
                let found = refused_exchange(subject, evidence, account, refused);
                if account.may_be_by_pod_identity(subject.hub.identity) {
                    doubted(found)
                } else {
                    found
                }
            }
        };
        (account.name.as_str(), found)
    });
    together(each.collect(), |count| {
        format!("{count} service accounts can assume {}", subject.hub.role)
    })
}

/// A refusal that may concern nobody.
fn doubted(found: Found) -> Found {
    match found {
        Found::Failed(trouble) => Found::Unknown(Trouble {
            message: format!(
                "{}. No pod of it shows whether that is in its way: EKS Pod Identity may give it the role",
                trouble.message
            ),
            ..trouble
        }),
        found @ (Found::Unknown(_) | Found::Passed { .. } | Found::NotReached) => found,
    }
}

fn refused_exchange(
    subject: &Subject,
    evidence: &Evidence,
    account: &ServiceAccountEvidence,
    refused: &AwsRefusal,
) -> Found {
    let what = format!(
        "AssumeRoleWithWebIdentity of {} as ServiceAccount {}/{}",
        subject.hub.role, subject.hub.namespace, account.name
    );
    let said = format!(
        "AWS says of ServiceAccount {}/{}: {}: {}",
        subject.hub.namespace, account.name, refused.code, refused.message
    );
    let keys_unread =
        refused.message.contains("retrieve verification key") || refused.code.contains("IDPCommunication");
    if let Some(found) = refusal::general(subject, evidence.vantage, &what, refused).filter(|_| !keys_unread) {
        return found;
    }
    let issuer = match &account.token {
        Attempt::Done(claims) => claims.issuer.as_str(),
        Attempt::NotMade | Attempt::Failed(_) => "",
    };
    let expected = subject.hub.issuer.as_deref();
    if expected.is_some_and(|expected| expected != issuer) {
        return failed(
            Reason::WrongIssuer,
            format!(
                "the tokens of this hub are issued by {issuer}, and the management role trusts {}. {said}",
                expected.unwrap_or_default()
            ),
            format!(
                "the hub was recreated, or this is another cluster: check spec.cluster of ManagementRole {0}. Where it is Argo CD's \
                 cluster now, a person confirms it: kubectl annotate mgr {0} --overwrite {CONFIRM_HUB}={issuer}; {1}",
                subject.hub.hub.management_role,
                subject
                    .hub
                    .mending
                    .will("trust the issuer that EKS describes for that cluster")
            ),
        );
    }
    let message = refused.message.as_str();
    if message.contains("No OpenIDConnect provider found") {
        return provider_missing(subject, &said, issuer);
    }
    if message.contains("Incorrect token audience") {
        return failed(
            Reason::AudienceNotTrusted,
            format!("the OIDC provider of {issuer} does not list the audience {AUDIENCE}. {said}"),
            audience_next(subject, issuer),
        );
    }
    if keys_unread {
        return failed(
            Reason::IssuerUnreachable,
            said,
            format!(
                "check that {issuer}/.well-known/openid-configuration can be read from the internet: STS gets the keys \
                 from there. A hub that was recreated just now takes some minutes"
            ),
        );
    }
    if of_the_token(&refused.code) {
        return failed(
            Reason::TokenRejected,
            said,
            "compare the clocks of the hub and of AWS, and check that the hub's API server signs with the keys that its issuer publishes",
        );
    }
    if refused.kind == ErrorKind::Denied {
        return denied(subject, evidence, account, refused, said, issuer);
    }
    Found::Failed(Trouble {
        candidates: vec![Reason::StsUnreachable, Reason::TokenRejected],
        ..Trouble::new(
            Reason::Undetermined,
            said,
            format!(
                "this is no answer that STS has for a token: check what stands between this pod and sts.{} (HTTPS_PROXY and \
                 NO_PROXY, a proxy's own page of refusal)",
                subject.hub.hub.cluster.region
            ),
        )
    })
}

/// What STS answers to a token that it does not take (STS API reference, `AssumeRoleWithWebIdentity`, errors).
fn of_the_token(code: &str) -> bool {
    let code = code.strip_suffix("Exception").unwrap_or(code);
    ["InvalidIdentityToken", "ExpiredToken", "IDPRejectedClaim"].contains(&code)
}

fn provider_missing(subject: &Subject, said: &str, issuer: &str) -> Found {
    failed(
        Reason::OidcProviderMissing,
        format!(
            "account {} has no IAM OIDC provider for {issuer}. {said}",
            subject.hub.hub.cluster.account
        ),
        format!(
            "make it: aws iam create-open-id-connect-provider --url {issuer} --client-id-list {AUDIENCE}; or set \
             spec.oidcProvider of ManagementRole {} to Manage",
            subject.hub.hub.management_role
        ),
    )
}

fn audience_next(subject: &Subject, issuer: &str) -> String {
    let arn = subject.hub.hub.oidc_provider(issuer).map(|arn| arn.to_string());
    format!(
        "aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn {} --client-id {AUDIENCE}; or \
         set spec.oidcProvider of ManagementRole {} to Manage",
        arn.unwrap_or_else(|_| "ARN".to_owned()),
        subject.hub.hub.management_role
    )
}

/// "Not authorized to perform sts:AssumeRoleWithWebIdentity" is all that STS says of a trust policy that does not
/// match, and of a role that is not there: the documents tell which.
fn denied(
    subject: &Subject,
    evidence: &Evidence,
    account: &ServiceAccountEvidence,
    refused: &AwsRefusal,
    said: String,
    issuer: &str,
) -> Found {
    let documents = &evidence.hub_documents;
    let role = match &documents.role {
        Look::Absent => {
            return missing(subject, &said);
        }
        Look::Seen(role) => Some(role),
        Look::Unseen(_) => None,
    };
    if documents.provider == Look::Absent {
        return provider_missing(subject, &said, issuer);
    }
    if let Look::Seen(audiences) = &documents.provider
        && !audiences.iter().any(|audience| audience == AUDIENCE)
    {
        return failed(Reason::AudienceNotTrusted, said, audience_next(subject, issuer));
    }
    let allows = match role.map(|role| trust::lets_in(subject, account, role, &said, issuer)) {
        Some(Err(found)) => return found,
        Some(Ok(allows)) => allows,
        None => false,
    };
    let perimeter = format!(
        "if its trust is right, look for a data perimeter keyed on aws:PrincipalOrgID in a resource control policy on \
         account {} or in the policy of the VPC endpoint for STS: a web identity belongs to no organisation",
        subject.hub.role.account
    );
    if let Some(kind) = refusal::by_phrase(&refused.message) {
        let found = failed(kind.reason(), said, next(subject, kind, perimeter));
        return refusal::unproven(evidence.vantage, found);
    }
    let mut candidates = Vec::new();
    if role.is_none() {
        candidates.extend([
            Reason::SubjectNotTrusted,
            Reason::AudienceNotTrusted,
            Reason::WrongIssuer,
            Reason::ManagementRoleMissing,
        ]);
    }
    candidates.extend([Reason::RefusedByResourceControlPolicy, Reason::RefusedByEndpointPolicy]);
    if role.is_some() && !allows {
        candidates.insert(0, Reason::RefusedByTrustPolicy);
    }
    let unseen = match &documents.role {
        Look::Unseen(why) => format!(" (the role's trust policy could not be read: {why})"),
        Look::Seen(_) | Look::Absent if allows => " (the role's trust policy allows it)".to_owned(),
        Look::Seen(_) | Look::Absent => {
            " (whether the role's trust policy allows it is not clear: look at its conditions)".to_owned()
        }
    };
    let found = Found::Failed(Trouble {
        candidates,
        ..Trouble::new(
            Reason::Undetermined,
            said + &unseen,
            if role.is_some() {
                perimeter
            } else {
                format!(
                    "run `mooring doctor` with credentials that may read the role in account {}; {perimeter}",
                    subject.hub.role.account
                )
            },
        )
    });
    refusal::unproven(evidence.vantage, found)
}

/// The role is not there.
pub(super) fn missing(subject: &Subject, said: &str) -> Found {
    failed(
        Reason::ManagementRoleMissing,
        format!("there is no role {}. {said}", subject.hub.role),
        subject.hub.mending.undone_to_role("deleted it", "make it again"),
    )
}

/// A web identity has no policies of its own, so it is the role's side, or what stands before STS, that refuses it.
fn next(subject: &Subject, kind: PolicyKind, perimeter: String) -> String {
    let role = &subject.hub.role;
    let organisation = |policy: &str| {
        format!(
            "ask whoever runs the AWS organisation: a {policy} control policy on account {} does not let a web identity assume \
             {role}",
            role.account
        )
    };
    match kind {
        PolicyKind::Trust => format!(
            "let the trust policy of {role} allow sts:AssumeRoleWithWebIdentity to the service accounts: {}",
            subject.hub.mending.will_to_role("put it back")
        ),
        PolicyKind::ServiceControl => organisation("service"),
        PolicyKind::ResourceControl => organisation("resource"),
        PolicyKind::Endpoint => format!(
            "let the policy of the VPC endpoint for STS in the hub's VPC allow sts:AssumeRoleWithWebIdentity on {role}"
        ),
        PolicyKind::Identity | PolicyKind::Boundary | PolicyKind::Session => perimeter,
    }
}
