//! What `mooring bootstrap` prints, as the calls with which an administrator of each account makes it.

use serde_json::{Value, json};

use super::StageError;

/// One call to IAM of an account's administrator.
pub struct SetUp {
    /// The account: 12 digits.
    pub account: String,
    /// `CreateRole`.
    pub operation: &'static str,
    /// Its input.
    pub input: Value,
    /// What stands after it, in words; none if it only adds to what the call before it made.
    pub makes: Option<String>,
}

/// The calls that set the accounts up, in order: OIDC providers, managed policies, roles with their inline policies.
///
/// # Errors
/// When the text has another form.
pub fn set_up(printed: &Value) -> Result<Vec<SetUp>, StageError> {
    let shape = || StageError::new("what `mooring bootstrap` printed has another form than the stage reads");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut calls = Vec::new();
    for account in printed["accounts"].as_array().ok_or_else(shape)? {
        let id = account["accountId"].as_str().ok_or_else(shape)?;
        let mut call = |operation, input, makes: Option<String>| {
            let account = id.to_owned();
            calls.push(SetUp {
                account,
                operation,
                input,
                makes,
            });
        };
        for provider in account["oidcProviders"].as_array().into_iter().flatten() {
            let input = json!({"Url": provider["url"], "ClientIDList": provider["clientIds"]});
            let made = format!("OIDC provider {}", text(&provider["arn"]));
            call("CreateOpenIDConnectProvider", input, Some(made));
        }
        for policy in account["managedPolicies"].as_array().into_iter().flatten() {
            let input = json!({
                "PolicyName": policy["name"], "Description": policy["description"],
                "PolicyDocument": policy["document"].to_string(), "Tags": tags(&policy["tags"]),
            });
            let made = format!("policy {} in {id}", text(&policy["name"]));
            call("CreatePolicy", input, Some(made));
        }
        for role in account["roles"].as_array().into_iter().flatten() {
            let input = json!({
                "RoleName": role["name"], "Path": role["path"], "Description": role["description"],
                "AssumeRolePolicyDocument": role["trustPolicy"].to_string(), "Tags": tags(&role["tags"]),
            });
            call(
                "CreateRole",
                input,
                Some(format!("role {} in {id}", text(&role["name"]))),
            );
            for (policy, document) in role["inlinePolicies"].as_object().ok_or_else(shape)? {
                let document = document.to_string();
                let input = json!({"RoleName": role["name"], "PolicyName": policy, "PolicyDocument": document});
                call("PutRolePolicy", input, None);
            }
        }
    }
    Ok(calls)
}

/// Tags as the IAM API takes them.
fn tags(tags: &Value) -> Value {
    let tags = tags.as_object().into_iter().flatten();
    tags.map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}
