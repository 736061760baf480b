//! OpenID Connect providers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::call::{Call, exists, invalid, limit, missing, request_tags, resource_tags, tagged};
use super::{nothing, render};
use crate::aws::contract::{Answer, ApiError, Check};
use crate::aws::service::written;
use crate::aws::world::{Provider, State, Tags};

/// Providers that one account may have (quota L-858F3967; 700 on request).
const MOST_PROVIDERS: usize = 100;
/// Client IDs that one provider may have.
const MOST_CLIENTS: usize = 100;

pub(super) fn create(state: &mut State, call: &Call<'_>) -> Answer {
    let url = call.input.needed("Url")?;
    let host = url.strip_prefix("https://").filter(|host| !host.is_empty());
    let issuer = host.map(|host| host.trim_end_matches('/'));
    let arn = call.arn(&format!("oidc-provider/{}", issuer.unwrap_or(url)));
    let new = call.input.tags();
    authorize_create(state, call, &arn, &new)?;

    let issuer = issuer
        .filter(|issuer| !issuer.contains(['?', '#', ':']))
        .ok_or_else(|| ApiError::new(400, "ValidationError", "Invalid Open ID Connect Provider URL"))?;
    let tags = tagged(Tags::default(), &new)?;
    if state.latest_provider(call.account, &arn).is_some() {
        return Err(exists(format!("Provider with url https://{issuer} already exists.")));
    }
    let providers = state.account(call.account).map_or(0, |account| account.providers.len());
    if providers >= MOST_PROVIDERS {
        return Err(limit(format!(
            "Cannot exceed quota for OpenIdConnectProvidersPerAccount: {MOST_PROVIDERS}"
        )));
    }
    let clients = call.input.texts("ClientIDList");
    at_most(clients.len())?;
    let mut thumbprints = call.input.texts("ThumbprintList");
    if thumbprints.is_empty() {
        thumbprints.push(thumbprint(issuer));
    }
    let provider = Provider {
        arn: arn.clone(),
        url: issuer.to_owned(),
        clients,
        thumbprints,
        created: state.timestamp(),
        tags,
    };
    let mut output = json!({"OpenIDConnectProviderArn": arn});
    if provider.tags.len() > 0 {
        output["Tags"] = json!(render::tags(&provider.tags));
    }
    state.write_provider(call.account, &arn, Some(provider));
    Ok(output)
}

fn authorize_create(state: &mut State, call: &Call<'_>, arn: &str, tags: &[(String, String)]) -> Result<(), ApiError> {
    let context: BTreeMap<String, Vec<String>> = request_tags(tags).into_iter().collect();
    let check = |action| Check {
        action,
        resource: arn.to_owned(),
        context: context.clone(),
    };
    let mut checks = vec![check("iam:CreateOpenIDConnectProvider")];
    if !tags.is_empty() {
        checks.push(check("iam:TagOpenIDConnectProvider"));
    }
    call.authorize(state, &checks)
}

/// "If it is not included, IAM will retrieve and use the top intermediate certificate authority thumbprint": forty
/// hexadecimal digits that stand for the issuer here.
fn thumbprint(issuer: &str) -> String {
    use std::fmt::Write as _;
    let digest = Sha256::digest(issuer.as_bytes());
    digest.iter().take(20).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn at_most(clients: usize) -> Result<(), ApiError> {
    if clients > MOST_CLIENTS {
        return Err(limit(format!(
            "Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {MOST_CLIENTS}"
        )));
    }
    Ok(())
}

/// The provider that a call is about, when the caller may do `action` on it.
fn provider(
    state: &mut State,
    call: &Call<'_>,
    action: &'static str,
    keys: Vec<(String, Vec<String>)>,
    read: fn(&State, &str, &str) -> Option<Arc<Provider>>,
) -> Result<Arc<Provider>, ApiError> {
    let arn = call.input.needed("OpenIDConnectProviderArn")?;
    let found = read(state, call.account, arn);
    let mut context: BTreeMap<String, Vec<String>> = keys.into_iter().collect();
    if let Some(provider) = &found {
        resource_tags(&mut context, &provider.tags);
    }
    let check = Check {
        action,
        resource: arn.to_owned(),
        context,
    };
    call.authorize(state, &[check])?;
    if !arn.contains(":oidc-provider/") {
        return Err(invalid(format!("Invalid ARN: {arn}")));
    }
    found.ok_or_else(|| missing(format!("OpenIDConnect Provider not found for arn {arn}")))
}

pub(super) fn get(state: &mut State, call: &Call<'_>) -> Answer {
    let provider = provider(state, call, "iam:GetOpenIDConnectProvider", Vec::new(), State::provider)?;
    Ok(json!({
        "Url": provider.url,
        "ClientIDList": provider.clients,
        "ThumbprintList": provider.thumbprints,
        "CreateDate": written(provider.created),
        "Tags": render::tags(&provider.tags),
    }))
}

pub(super) fn list(state: &mut State, call: &Call<'_>) -> Answer {
    let check = Check {
        action: "iam:ListOpenIDConnectProviders",
        resource: "*".to_owned(),
        context: BTreeMap::new(),
    };
    call.authorize(state, &[check])?;
    let arns = state.providers(call.account);
    let arns: Vec<_> = arns.into_iter().map(|arn| json!({"Arn": arn})).collect();
    Ok(json!({"OpenIDConnectProviderList": arns}))
}

/// "This operation is idempotent; it does not fail or return an error if you add an existing client ID".
pub(super) fn add_client(state: &mut State, call: &Call<'_>) -> Answer {
    let action = "iam:AddClientIDToOpenIDConnectProvider";
    let provider = provider(state, call, action, Vec::new(), State::latest_provider)?;
    let client = call.input.needed("ClientID")?;
    let mut provider = Arc::unwrap_or_clone(provider);
    if !provider.clients.iter().any(|known| known == client) {
        provider.clients.push(client.to_owned());
        at_most(provider.clients.len())?;
        write(state, call, provider);
    }
    Ok(nothing())
}

pub(super) fn tag(state: &mut State, call: &Call<'_>) -> Answer {
    let tags = call.input.tags();
    let action = "iam:TagOpenIDConnectProvider";
    let provider = provider(state, call, action, request_tags(&tags), State::latest_provider)?;
    let mut provider = Arc::unwrap_or_clone(provider);
    provider.tags = tagged(provider.tags, &tags)?;
    write(state, call, provider);
    Ok(nothing())
}

/// One that is not there is `NoSuchEntity` (API reference). Roles that trust it are not looked at.
pub(super) fn delete(state: &mut State, call: &Call<'_>) -> Answer {
    let action = "iam:DeleteOpenIDConnectProvider";
    let provider = provider(state, call, action, Vec::new(), State::latest_provider)?;
    state.write_provider(call.account, &provider.arn, None);
    Ok(nothing())
}

fn write(state: &mut State, call: &Call<'_>, provider: Provider) {
    let arn = provider.arn.clone();
    state.write_provider(call.account, &arn, Some(provider));
}
