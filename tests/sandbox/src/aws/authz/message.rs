//! What AWS says when it denies (IAM user guide, `troubleshoot_access-denied`).

use super::{Denial, PolicyType};
use crate::aws::contract::{ApiError, Check, Service};

/// `AccessDenied` of IAM and STS, `AccessDeniedException` of EKS, both with status 403. Without a denial the message
/// names no policy type, as AWS leaves it out when caller and resource are in different accounts.
#[must_use]
pub fn access_denied(service: Service, caller: &str, check: &Check, denial: Option<Denial>) -> ApiError {
    let code = match service {
        Service::Iam | Service::Sts => "AccessDenied",
        Service::Eks => "AccessDeniedException",
    };
    let action = check.action;
    let why = match denial {
        None => String::new(),
        Some(Denial::Explicit(policy)) => format!(" with an explicit deny in {}", explicit(policy)),
        Some(Denial::Implicit(policy)) => format!(" because no {} allows the {action} action", implicit(policy)),
    };
    let resource = named(action, &check.resource);
    let message = format!("User: {caller} is not authorized to perform: {action} on resource: {resource}{why}");
    ApiError::new(403, code, message)
}

/// What STS says to a web identity that the role does not trust, and of a role that does not exist.
#[must_use]
pub fn web_identity_denied() -> ApiError {
    ApiError::new(
        403,
        "AccessDenied",
        "Not authorized to perform sts:AssumeRoleWithWebIdentity",
    )
}

fn explicit(policy: PolicyType) -> &'static str {
    match policy {
        PolicyType::Identity => "an identity-based policy",
        PolicyType::Boundary => "a permissions boundary",
        PolicyType::Session => "a session policy",
        PolicyType::Trust => "the role trust policy",
    }
}

fn implicit(policy: PolicyType) -> &'static str {
    match policy {
        PolicyType::Identity => "identity-based policy",
        PolicyType::Boundary => "permissions boundary",
        PolicyType::Session => "session policy",
        PolicyType::Trust => "role trust policy",
    }
}

/// IAM names a role by `role NAME`, without its path, in the operations that take nothing but its name, and a policy
/// by `policy ARN`: "is not authorized to perform: iam:GetRole on resource: role cdk-...-role-341538367464-eu-west-2"
/// (aws/aws-cdk#27067, terraform-aws-eks#2517). `CreateRole`, `TagRole` and `PassRole` give the ARN.
fn named(action: &str, resource: &str) -> String {
    let Some(operation) = action.strip_prefix("iam:") else {
        return resource.to_owned();
    };
    let path = resource.splitn(6, ':').nth(5).unwrap_or_default();
    if let Some(role) = path.strip_prefix("role/")
        && !["CreateRole", "TagRole", "UntagRole", "PassRole"].contains(&operation)
    {
        return format!("role {}", role.rsplit('/').next().unwrap_or(role));
    }
    if path.starts_with("policy/") {
        return format!("policy {resource}");
    }
    resource.to_owned()
}
