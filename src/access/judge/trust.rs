//! The management role's trust policy, held against one token: which of subject, audience and issuer it does not name.

use super::failed;
use crate::{
    access::{chain::Found, evidence::ServiceAccountEvidence, reason::Reason, subject::Subject},
    aws::RoleDocuments,
    domain::arn::OidcProviderArn,
    policy::{
        AUDIENCE, Document, Principals, Ruling, Statement,
        trust::{rules_on_token, token_refused_by},
    },
};

/// Whether the trust policy surely lets this token in, or `false` where that cannot be told.
///
/// # Errors
/// What in it does not let the token in.
pub(super) fn lets_in(
    subject: &Subject,
    account: &ServiceAccountEvidence,
    role: &RoleDocuments,
    said: &str,
    issuer: &str,
) -> Result<bool, Found> {
    let provider = subject.hub.hub.oidc_provider(issuer);
    let (Ok(document), Ok(provider)) = (Document::parse(&role.trust), provider) else {
        return Ok(false);
    };
    let token_subject = subject.hub.token_subject(&account.name);
    // Each of the two known to be what it is, or not.
    let ruling = |sub: bool, aud: bool| {
        let (sub, aud) = (sub.then_some(token_subject.as_str()), aud.then_some(AUDIENCE));
        rules_on_token(&document, &provider, sub, aud)
    };
    let whole = ruling(true, true);
    if !whole.refuses() {
        return Ok(matches!(whole, Ruling::AllowedByName | Ruling::AllowedToAccount));
    }
    let mends = subject.hub.mending.will_to_role("put its trust policy back");
    let by = token_refused_by(&document, &provider, &token_subject, AUDIENCE);
    let by = by.map(|by| format!(": {by}")).unwrap_or_default();
    if whole == Ruling::Denied {
        return Err(failed(
            Reason::RefusedByTrustPolicy,
            format!("the trust policy of {} denies it{by}. {said}", subject.hub.role),
            mends,
        ));
    }
    // What would be allowed if one of the two were not known to differ says which of the two it is.
    let (reason, why) = if !ruling(false, true).refuses() {
        let why = format!("does not name the subject {token_subject}");
        (Reason::SubjectNotTrusted, why)
    } else if !ruling(true, false).refuses() {
        (
            Reason::AudienceNotTrusted,
            format!("asks for another audience than {AUDIENCE}"),
        )
    } else if !ruling(false, false).refuses() {
        let why = format!("names neither the subject {token_subject} nor the audience {AUDIENCE}");
        (Reason::SubjectNotTrusted, why)
    } else if document
        .statements
        .iter()
        .any(|statement| names_federated(statement, &provider))
    {
        let why = "does not allow sts:AssumeRoleWithWebIdentity to it".to_owned();
        (Reason::RefusedByTrustPolicy, why)
    } else {
        let why = format!("does not trust {provider}, the OIDC provider of this hub");
        (Reason::WrongIssuer, why)
    };
    Err(failed(
        reason,
        format!("the trust policy of {} {why}{by}. {said}", subject.hub.role),
        mends,
    ))
}

fn names_federated(statement: &Statement, provider: &OidcProviderArn) -> bool {
    match &statement.principal {
        Some(Principals::Of(kinds)) => kinds
            .get("Federated")
            .is_some_and(|named| named.contains(&provider.to_string())),
        Some(Principals::Anyone) | None => false,
    }
}
