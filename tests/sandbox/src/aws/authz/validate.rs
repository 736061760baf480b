//! What IAM refuses when a policy is written, in its own words.
//!
//! The grammar is IAM user guide `reference_policies_grammar`; the messages are those that users of IAM report, and
//! that moto's tests (`tests/test_iam/test_iam_policies.py`) have recorded from AWS.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Malformed;
use super::document::{statements, texts};

const PARTITIONS: &[&str] = &[
    "aws",
    "aws-cn",
    "aws-us-gov",
    "aws-iso",
    "aws-iso-b",
    "aws-iso-e",
    "aws-iso-f",
    "aws-eusc",
];
const IAM_RESOURCES: &[&str] = &[
    "user/",
    "federated-user/",
    "role/",
    "group/",
    "instance-profile/",
    "mfa/",
    "server-certificate/",
    "policy/",
    "sms-mfa/",
    "saml-provider/",
    "oidc-provider/",
    "report/",
    "access-report/",
];
const TRUST_ACTIONS: &[&str] = &[
    "sts:assumerole",
    "sts:assumerolewithsaml",
    "sts:assumerolewithwebidentity",
    "sts:tagsession",
    "sts:setsourceidentity",
    "sts:setcontext",
    "sts:*",
];

fn refuse<T>(message: impl Into<String>) -> Result<T, Malformed> {
    Err(Malformed(message.into()))
}

/// Refuses what no identity policy, boundary or session policy may hold.
pub(super) fn identity(document: &Value, partition: Option<&str>) -> Result<(), Malformed> {
    top(document)?;
    if document["Version"] != "2012-10-17" {
        let old = document["Version"].is_null() || document["Version"] == "2008-10-17";
        return if old {
            refuse("Policy document must be version 2012-10-17 or greater.")
        } else {
            Err(Malformed::syntax())
        };
    }
    for statement in statements(document) {
        if statement.contains_key("Principal") || statement.contains_key("NotPrincipal") {
            return refuse("Policy document should not specify a principal.");
        }
        common(statement)?;
        let resources = one_of(statement, "Resource", "NotResource")?;
        if resources.is_empty() {
            return refuse("Policy statement must contain resources.");
        }
        resources.iter().try_for_each(|arn| resource(arn, partition))?;
    }
    let sids = sids(document);
    if !sids.iter().all(|sid| sid.chars().all(|c| c.is_ascii_alphanumeric())) {
        return refuse(
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*",
        );
    }
    unique(&sids)
}

/// Refuses what no trust policy may hold. Principals themselves are looked up by the world.
pub(super) fn trust(document: &Value) -> Result<(), Malformed> {
    if let Some(object) = document.as_object()
        && !object.contains_key("Statement")
    {
        return refuse("Missing required field Statement");
    }
    top(document)?;
    if !["2012-10-17", "2008-10-17"]
        .iter()
        .any(|version| document["Version"] == *version)
        && !document["Version"].is_null()
    {
        return Err(Malformed::syntax());
    }
    for statement in statements(document) {
        if statement.contains_key("Resource") || statement.contains_key("NotResource") {
            return refuse("Has prohibited field Resource");
        }
        match (statement.get("Principal"), statement.get("NotPrincipal")) {
            (None, None) => return refuse("Missing required field Principal"),
            (Some(_), Some(_)) => return Err(Malformed::syntax()),
            (Some(principal), None) | (None, Some(principal)) => principals(principal)?,
        }
        common(statement)?;
        let actions = one_of(statement, "Action", "NotAction")?;
        if !actions
            .iter()
            .all(|action| TRUST_ACTIONS.contains(&action.to_ascii_lowercase().as_str()))
        {
            return refuse("AssumeRole policy may only specify STS AssumeRole actions.");
        }
    }
    unique(&sids(document))
}

fn top(document: &Value) -> Result<(), Malformed> {
    let object = document.as_object().ok_or_else(Malformed::syntax)?;
    let known = object
        .keys()
        .all(|key| ["Version", "Id", "Statement"].contains(&key.as_str()));
    let id = object.get("Id").is_none_or(Value::is_string);
    let statement = match &document["Statement"] {
        Value::Object(_) => true,
        Value::Array(many) => !many.is_empty() && many.iter().all(Value::is_object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    if known && id && statement {
        Ok(())
    } else {
        Err(Malformed::syntax())
    }
}

fn common(statement: &Map<String, Value>) -> Result<(), Malformed> {
    const KNOWN: &[&str] = &[
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    ];
    let known = statement.keys().all(|key| KNOWN.contains(&key.as_str()));
    let sid = statement.get("Sid").is_none_or(Value::is_string);
    if !known || !sid {
        return Err(Malformed::syntax());
    }
    let actions = one_of(statement, "Action", "NotAction")?;
    if actions.is_empty() {
        return refuse("Policy statement must contain actions.");
    }
    if !["Allow", "Deny"]
        .iter()
        .any(|effect| statement.get("Effect").is_some_and(|value| value == effect))
    {
        return Err(Malformed::syntax());
    }
    actions.iter().try_for_each(|name| action(name))?;
    condition(statement.get("Condition"))
}

fn condition(condition: Option<&Value>) -> Result<(), Malformed> {
    let Some(condition) = condition else { return Ok(()) };
    let scalar = |value: &Value| value.is_string() || value.is_boolean() || value.is_number();
    let values = |value: &Value| scalar(value) || value.as_array().is_some_and(|many| many.iter().all(scalar));
    let operators = condition.as_object().ok_or_else(Malformed::syntax)?;
    for keys in operators.values() {
        let keys = keys.as_object().ok_or_else(Malformed::syntax)?;
        if !keys.values().all(values) {
            return Err(Malformed::syntax());
        }
        if keys.keys().any(|key| !key.contains(':')) {
            return refuse("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
        }
    }
    Ok(())
}

/// The texts of an element and its negation, of which a statement has one at most.
fn one_of(statement: &Map<String, Value>, plain: &str, negated: &str) -> Result<Vec<String>, Malformed> {
    let value = match (statement.get(plain), statement.get(negated)) {
        (Some(_), Some(_)) => return Err(Malformed::syntax()),
        (Some(value), None) | (None, Some(value)) => value,
        (None, None) => return Ok(Vec::new()),
    };
    let fits = value.is_string() || value.as_array().is_some_and(|many| many.iter().all(Value::is_string));
    if fits {
        Ok(texts(value))
    } else {
        Err(Malformed::syntax())
    }
}

fn action(name: &str) -> Result<(), Malformed> {
    if name == "*" {
        return Ok(());
    }
    let Some((vendor, rest)) = name.split_once(':') else {
        return refuse("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
    };
    if rest.contains(':') {
        return refuse("Actions/Condition can contain only one colon.");
    }
    if vendor.is_empty() || !vendor.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return refuse(format!("Vendor {vendor} is not valid"));
    }
    Ok(())
}

fn resource(arn: &str, partition: Option<&str>) -> Result<(), Malformed> {
    if arn == "*" {
        return Ok(());
    }
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    if parts.first() != Some(&"arn") {
        return refuse(format!("Resource {arn} must be in ARN format or \"*\"."));
    }
    let [_, own, service, region, _, path] = parts.as_slice() else {
        return refuse("The policy failed legacy parsing");
    };
    let fits = partition.map_or_else(|| PARTITIONS.contains(own), |partition| *own == partition);
    if !fits && *own != "*" {
        return refuse(format!("Partition \"{own}\" is not valid for resource \"{arn}\"."));
    }
    if *service == "iam" {
        if !region.is_empty() {
            return refuse(format!("IAM resource {arn} cannot contain region information."));
        }
        if !path.starts_with('*') && *path != "root" && !IAM_RESOURCES.iter().any(|start| path.starts_with(start)) {
            return refuse(format!(
                "IAM resource path must either be \"*\" or start with {}.",
                IAM_RESOURCES.join(", ")
            ));
        }
    }
    Ok(())
}

fn principals(principal: &Value) -> Result<(), Malformed> {
    if principal == "*" {
        return Ok(());
    }
    let kinds = principal
        .as_object()
        .filter(|kinds| !kinds.is_empty())
        .ok_or_else(Malformed::syntax)?;
    for (kind, names) in kinds {
        let fits = names.is_string()
            || names
                .as_array()
                .is_some_and(|many| !many.is_empty() && many.iter().all(Value::is_string));
        if !["AWS", "Service", "Federated", "CanonicalUser"].contains(&kind.as_str()) || !fits {
            return Err(Malformed::syntax());
        }
    }
    Ok(())
}

fn sids(document: &Value) -> Vec<String> {
    statements(document)
        .iter()
        .filter_map(|statement| statement.get("Sid"))
        .flat_map(texts)
        .collect()
}

fn unique(sids: &[String]) -> Result<(), Malformed> {
    let distinct: BTreeSet<&String> = sids.iter().collect();
    if distinct.len() == sids.len() {
        Ok(())
    } else {
        refuse("Statement IDs (SID) in a single policy must be unique.")
    }
}
