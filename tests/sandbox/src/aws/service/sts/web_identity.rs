//! `AssumeRoleWithWebIdentity`: a token of an OpenID Connect issuer instead of a signature.

use std::collections::BTreeMap;

use serde_json::json;

use super::{assumed, invalid, least_token, packed, seconds, session_policy};
use crate::aws::authz::{Context, Principal, trust_only, web_identity_denied};
use crate::aws::contract::{Answer, ApiError, Check, Request};
use crate::aws::service::input::Input;
use crate::aws::world::{Identity, NewSession, Provider, State};

pub(super) fn answer(state: &mut State, request: &Request, input: Input<'_>) -> Answer {
    let (arn, name) = (input.needed("RoleArn")?, input.needed("RoleSessionName")?);
    let account = arn.split(':').nth(4).unwrap_or_default().to_owned();
    if input.has("ProviderId") {
        return Err(invalid(
            "The sandbox does not model ProviderId: it knows OpenID Connect tokens only.",
        ));
    }
    let policy = session_policy(state, input, &account, request.partition)?;
    let token = Identity::parse(input.needed("WebIdentityToken")?).ok_or_else(no_jwt)?;
    let (subject, audience, provider) = verify(state, &account, request.partition, &token)?;

    let role = state.role_by_arn(arn).ok_or_else(web_identity_denied)?;
    let mut context: BTreeMap<String, Vec<String>> = BTreeMap::new();
    context.insert(format!("{}:sub", provider.url), vec![subject.clone()]);
    context.insert(format!("{}:aud", provider.url), vec![audience.clone()]);
    context.insert("aws:FederatedProvider".to_owned(), vec![provider.arn.clone()]);
    context.insert("sts:RoleSessionName".to_owned(), vec![name.to_owned()]);
    let check = Check {
        action: "sts:AssumeRoleWithWebIdentity",
        resource: arn.to_owned(),
        context,
    };
    let mut keys = Context::new(&check, None);
    state.add_clock(&mut keys);
    if !trust_only(&role.trust.document, Principal::Federated(&provider.arn), &keys).is_allowed() {
        return Err(web_identity_denied());
    }
    let used = packed(policy.as_ref().map(|(text, _)| text.as_str()), std::iter::empty());
    let new = NewSession {
        seconds: seconds(input, &role)?,
        policy,
        least_token: least_token(input),
        ..NewSession::named(name)
    };
    let credentials = state.open_session(&role, new);
    let mut output = assumed(state, &role, name, &credentials);
    output["SubjectFromWebIdentityToken"] = json!(subject);
    output["Audience"] = json!(audience);
    output["Provider"] = json!(provider.arn);
    if let Some(used) = used {
        output["PackedPolicySize"] = json!(used);
    }
    Ok(output)
}

fn bad_token(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "InvalidIdentityToken", message)
}

fn no_jwt() -> ApiError {
    bad_token("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
}

/// The subject, the audience and the provider of a token that is what it says: its issuer has a provider in the
/// role's account, signed it, it is in force, and it is for one of the provider's client IDs.
fn verify(
    state: &State,
    account: &str,
    partition: &str,
    token: &Identity,
) -> Result<(String, String, Provider), ApiError> {
    let issuer = token
        .text("iss")
        .ok_or_else(|| bad_token("Missing a required claim: iss"))?;
    let host = issuer.strip_prefix("https://").unwrap_or(issuer).trim_end_matches('/');
    let arn = format!("arn:{partition}:iam::{account}:oidc-provider/{host}");
    let provider = state
        .provider(account, &arn)
        .ok_or_else(|| bad_token(format!("No OpenIDConnect provider found in your account for {issuer}")))?;
    let signed = state.issuer(issuer).and_then(|issuer| issuer.signed(token)).ok_or_else(|| {
        bad_token(
            "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements",
        )
    })?;
    if !signed {
        return Err(bad_token("The ID Token provided has an invalid signature"));
    }
    let now = state.timestamp().as_second();
    let expires = token
        .time("exp")
        .ok_or_else(|| bad_token("Missing a required claim: exp"))?;
    if now >= expires {
        let message =
            format!("Token expired: current date/time {now} must be before the expiration date/time {expires}");
        return Err(ApiError::new(400, "ExpiredTokenException", message));
    }
    if let Some(from) = token.time("nbf").filter(|from| now < *from) {
        return Err(bad_token(format!(
            "Token is not yet valid: current date/time {now} must not be before {from}"
        )));
    }
    let subject = token
        .text("sub")
        .ok_or_else(|| bad_token("Missing a required claim: sub"))?;
    let audiences = token.audiences();
    let audience = audiences
        .into_iter()
        .find(|audience| provider.clients.contains(audience));
    let audience = audience.ok_or_else(|| bad_token("Incorrect token audience"))?;
    Ok((subject.to_owned(), audience, Provider::clone(&provider)))
}
