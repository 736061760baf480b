//! Principals of trust policies: IAM turns the ARN of a role into the role's unique ID when a policy is saved, and
//! back when it is shown, as long as that very role exists (IAM user guide, `reference_policies_elements_principal`).

use serde_json::Value;

use super::accounts::account_of;
use super::{State, Trust};
use crate::aws::authz::{Document, Malformed};

/// The identity providers that are named by domain, not by ARN (IAM user guide, web identity principals).
const DOMAINS: &[&str] = &[
    "cognito-identity.amazonaws.com",
    "www.amazon.com",
    "graph.facebook.com",
    "accounts.google.com",
];

impl State {
    /// Reads a trust policy for a role in `partition`, its principals as they are seen now. Account roots count when
    /// the world has the account, as AWS refuses an account that does not exist.
    pub(in crate::aws) fn trust(&self, text: &str, partition: &str) -> Result<Trust, Malformed> {
        let invalid = |_| Malformed("This policy contains invalid Json".to_owned());
        let mut value: Value = serde_json::from_str(text).map_err(invalid)?;
        Document::trust(&value)?;
        each_principal(&mut value, |kind, name| match kind {
            "AWS" => self.resolve(name, partition).ok_or_else(|| refused("AWS", name)),
            "Service" if is_service(name) => Ok(name.to_owned()),
            "Service" => Err(refused("SERVICE", name)),
            "Federated" if is_provider(name, partition) => Ok(name.to_owned()),
            "Federated" => Err(Malformed(
                "Federated principals must be valid domain names or SAML metadata ARNs".to_owned(),
            )),
            _ => Err(refused("CANONICALUSER", name)),
        })?;
        let document = Document::trust(&value)?;
        Ok(Trust { value, document })
    }

    /// A trust policy as IAM shows it.
    pub(in crate::aws) fn render(&self, trust: &Trust) -> String {
        let mut value = trust.value.clone();
        let shown = each_principal(&mut value, |_, name| {
            Ok(self
                .role_by_id(name)
                .map_or_else(|| name.to_owned(), |role| role.arn.clone()))
        });
        if shown.is_err() {
            return trust.value.to_string();
        }
        value.to_string()
    }

    fn resolve(&self, name: &str, partition: &str) -> Option<String> {
        let known = |account: &str| {
            self.account(account)
                .is_some_and(|account| account.partition == partition)
        };
        if name == "*" {
            return Some(name.to_owned());
        }
        if name.len() == 12 && name.bytes().all(|b| b.is_ascii_digit()) {
            return known(name).then(|| format!("arn:{partition}:iam::{name}:root"));
        }
        if self.role_by_id(name).is_some() {
            return Some(name.to_owned());
        }
        let account = account_of(name)?;
        if !known(account) {
            return None;
        }
        if name == format!("arn:{partition}:iam::{account}:root") {
            return Some(name.to_owned());
        }
        if let Some(session) = name.strip_prefix(&format!("arn:{partition}:sts::{account}:assumed-role/")) {
            let (role, session) = session.split_once('/')?;
            let valid = !session.is_empty() && !session.contains('/') && self.role(account, role).is_some();
            return valid.then(|| name.to_owned());
        }
        self.role_by_arn(name).map(|role| role.id.clone())
    }
}

fn refused(kind: &str, name: &str) -> Malformed {
    Malformed(format!("Invalid principal in policy: \"{kind}\":\"{name}\""))
}

fn is_service(name: &str) -> bool {
    let host = name.strip_suffix(".cn").unwrap_or(name);
    host.strip_suffix(".amazonaws.com").is_some_and(|service| {
        !service.is_empty()
            && service
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
    })
}

fn is_provider(name: &str, partition: &str) -> bool {
    let path = name
        .strip_prefix(&format!("arn:{partition}:iam::"))
        .and_then(|rest| rest.split_once(':'));
    DOMAINS.contains(&name)
        || path.is_some_and(|(_, path)| path.starts_with("oidc-provider/") || path.starts_with("saml-provider/"))
}

/// Replaces every principal of a document; a list of one becomes the one, as IAM shows it.
fn each_principal(
    document: &mut Value,
    mut replace: impl FnMut(&str, &str) -> Result<String, Malformed>,
) -> Result<(), Malformed> {
    let statements = match document.get_mut("Statement") {
        Some(Value::Array(many)) => many.iter_mut().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    };
    for statement in statements.into_iter().filter_map(Value::as_object_mut) {
        for (_, principal) in statement
            .iter_mut()
            .filter(|(key, _)| ["Principal", "NotPrincipal"].contains(&key.as_str()))
        {
            for (kind, names) in principal.as_object_mut().into_iter().flatten() {
                let found = crate::aws::service::strings(names);
                let mut changed = Vec::with_capacity(found.len());
                for name in found {
                    changed.push(replace(kind, &name)?);
                }
                *names = match changed.as_slice() {
                    [one] => Value::from(one.as_str()),
                    many => Value::from(many),
                };
            }
        }
    }
    Ok(())
}
