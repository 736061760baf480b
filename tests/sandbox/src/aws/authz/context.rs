//! The request context: what a policy may ask about a request.

use std::collections::BTreeMap;

use crate::aws::contract::{Caller, Check};

/// The values of condition keys in one request. Names of keys are not case-sensitive, the part after the slash of
/// a tag key included (IAM user guide, `reference_policies_elements_condition`).
#[derive(Clone, Debug)]
pub struct Context<'a> {
    action: &'a str,
    resource: &'a str,
    request: &'a BTreeMap<String, Vec<String>>,
    more: Vec<(String, Vec<String>)>,
}

impl<'a> Context<'a> {
    /// The context of a check: the service's own keys, and those that follow from who calls.
    #[must_use]
    pub fn new(check: &'a Check, caller: Option<&Caller>) -> Self {
        let mut context = Self {
            action: check.action,
            resource: &check.resource,
            request: &check.context,
            more: Vec::new(),
        };
        context.add("aws:SecureTransport", "true");
        if let Some(account) = check.resource.split(':').nth(4).filter(|account| !account.is_empty()) {
            context.add("aws:ResourceAccount", account);
        }
        if let Some(caller) = caller {
            context.add_caller(caller);
        }
        context
    }

    fn add_caller(&mut self, caller: &Caller) {
        self.add("aws:PrincipalAccount", &caller.account);
        self.add("aws:userid", &caller.user_id);
        self.add("aws:PrincipalIsAWSService", "false");
        self.add("aws:ViaAWSService", "false");
        let Some(session) = &caller.session else {
            self.add("aws:PrincipalArn", &caller.arn);
            self.add("aws:PrincipalType", "Account");
            return;
        };
        self.add("aws:PrincipalArn", &session.role_arn);
        self.add("aws:PrincipalType", "AssumedRole");
        for (key, value) in &session.tags {
            self.add(&format!("aws:PrincipalTag/{key}"), value);
        }
    }

    /// Adds a key, unless the request has it already.
    pub fn add(&mut self, key: &str, value: &str) {
        if self.values(key).is_none() {
            self.more.push((key.to_owned(), vec![value.to_owned()]));
        }
    }

    /// `iam:CreateRole`.
    #[must_use]
    pub fn action(&self) -> &str {
        self.action
    }

    /// The ARN of what is acted on, or `*`.
    #[must_use]
    pub fn resource(&self) -> &str {
        self.resource
    }

    /// The values of a key; `None` when the request does not have it. A key without values is absent.
    #[must_use]
    pub fn values(&self, key: &str) -> Option<&[String]> {
        let own = self.request.iter().map(|(name, values)| (name.as_str(), values));
        let more = self.more.iter().map(|(name, values)| (name.as_str(), values));
        own.chain(more)
            .find(|(name, values)| name.eq_ignore_ascii_case(key) && !values.is_empty())
            .map(|(_, values)| values.as_slice())
    }
}
