//! The policies that limit a caller, brought together and asked.

use super::{MissingRole, Role, State};
use crate::aws::authz::{Context, Decision, Document, access_denied, evaluate_in, trust_decision};
use crate::aws::contract::{ApiError, Caller, Check, Request};
use crate::aws::trail;

/// The policies of a caller, as they are seen now.
pub(in crate::aws) struct Policies {
    identity: Vec<Document>,
    boundary: Option<Document>,
    session: Option<Document>,
    tags: Vec<(String, String)>,
}

impl State {
    /// Decides whether the caller's policies allow all of the checks.
    pub(in crate::aws) fn authorize(
        &mut self,
        caller: &Caller,
        checks: &[Check],
        request: &Request,
    ) -> Result<(), ApiError> {
        trail::note(checks);
        if caller.session.is_none() {
            return Ok(());
        }
        self.used(caller, request);
        let policies = self.policies_of(caller);
        for check in checks {
            if let Decision::Denied(denial) = self.decide(&policies, check, caller, request) {
                return Err(access_denied(request.service, &caller.arn, check, Some(denial)));
            }
        }
        Ok(())
    }

    /// As `authorize`, for a role of the caller's account that does not exist.
    pub(in crate::aws) fn authorize_missing_role(
        &mut self,
        caller: &Caller,
        check: &Check,
        request: &Request,
    ) -> Result<(), ApiError> {
        let Some((start, name)) = check.resource.split_once(":role/").filter(|_| caller.session.is_some()) else {
            return Ok(());
        };
        if self.settings.missing_role == MissingRole::AnyPath {
            let policies = self.policies_of(caller);
            let documents = policies
                .identity
                .iter()
                .chain(&policies.boundary)
                .chain(&policies.session);
            let candidates = documents
                .flat_map(Document::resources)
                .filter_map(path_of)
                .map(|path| Check {
                    resource: format!("{start}:role{path}{name}"),
                    ..check.clone()
                });
            for candidate in candidates {
                if self.decide(&policies, &candidate, caller, request).is_allowed() {
                    trail::note(&[candidate]);
                    self.used(caller, request);
                    return Ok(());
                }
            }
        }
        self.authorize(caller, std::slice::from_ref(check), request)
    }

    /// Decides whether a role session may do `check` on `role`, by its own policies and the role's trust policy.
    pub(in crate::aws) fn decide_trust(
        &self,
        policies: &Policies,
        role: &Role,
        check: &Check,
        caller: &Caller,
        request: &Request,
    ) -> Decision {
        trail::note(std::slice::from_ref(check));
        let mut context = Context::new(check, Some(caller));
        self.complete(&mut context, policies, &request.region);
        trust_decision(
            &policies.identity,
            policies.boundary.as_ref(),
            policies.session.as_ref(),
            &role.trust.document,
            &context,
            caller,
            caller.account == role.account,
        )
    }

    fn decide(&self, policies: &Policies, check: &Check, caller: &Caller, request: &Request) -> Decision {
        let mut context = Context::new(check, Some(caller));
        self.complete(&mut context, policies, &request.region);
        evaluate_in(
            &policies.identity,
            policies.boundary.as_ref(),
            policies.session.as_ref(),
            &context,
            caller,
        )
    }

    fn complete(&self, context: &mut Context<'_>, policies: &Policies, region: &str) {
        for (key, value) in &policies.tags {
            context.add(&format!("aws:PrincipalTag/{key}"), value);
        }
        context.add("aws:RequestedRegion", region);
        self.add_clock(context);
    }

    /// The keys that every request has.
    pub(in crate::aws) fn add_clock(&self, context: &mut Context<'_>) {
        let now = self.timestamp();
        context.add("aws:CurrentTime", &now.to_string());
        context.add("aws:EpochTime", &now.as_second().to_string());
        context.add("aws:SourceIp", "127.0.0.1");
    }

    /// The policies that limit a caller. A role that is gone has none left, so its sessions may do nothing.
    pub(in crate::aws) fn policies_of(&self, caller: &Caller) -> Policies {
        let session = caller.session.as_ref();
        let role = session.and_then(|session| self.role_by_id(&session.role_id));
        let (mut identity, mut boundary, mut tags) = (Vec::new(), None, Vec::new());
        if let Some(role) = role {
            identity.extend(role.inline.values().map(|policy| policy.document.clone()));
            let attached = role.attached.keys().filter_map(|arn| self.policy(&role.account, arn));
            identity.extend(attached.map(|policy| policy.document()));
            boundary = role.boundary.as_ref().map(|arn| {
                self.policy(&role.account, arn)
                    .map(|policy| policy.document())
                    .unwrap_or_default()
            });
            tags.extend(role.tags.iter().map(|(key, value)| (key.to_owned(), value.to_owned())));
        }
        let policy = session.and_then(|session| session.policy.as_ref());
        Policies {
            identity,
            boundary,
            session: policy.map(|text| {
                let known = self.session_policies.get(text).cloned();
                known.unwrap_or_else(|| Document::parse(text).unwrap_or_default())
            }),
            tags,
        }
    }

    /// Notes that a role was used, for `RoleLastUsed`.
    pub(in crate::aws) fn used(&mut self, caller: &Caller, request: &Request) {
        if let Some(session) = &caller.session {
            self.last_used
                .insert(session.role_id.clone(), (self.timestamp(), request.region.clone()));
        }
    }
}

/// A path that a resource of a policy stands for: `/mooring/hub/` of `arn:aws:iam::*:role/mooring/hub/*`.
fn path_of(resource: &str) -> Option<String> {
    let role = resource.splitn(6, ':').nth(5)?.strip_prefix("role")?;
    let end = role.rfind('/')?;
    Some(role[..=end].replace(['*', '?'], "a"))
}
