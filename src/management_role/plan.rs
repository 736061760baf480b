//! 3. and 4. desired and plan: what the management role should be, and the steps to it. Pure and infallible.

mod policy;
mod role;

use std::collections::BTreeSet;

use crate::{
    api::ManagementRoleStatus,
    aws::WantedRole,
    domain::{
        arn::OidcProviderArn,
        name::KubernetesName,
        ownership::{HOLD_TAG, Marked},
    },
    policy::{AUDIENCE, irsa_trust, lack::lacks_itself, trust::lets_web_identity_in, trusts_itself},
};

use super::{
    members::Members,
    observe::Observed,
    request::{Request, RoleOwner},
    step::{Blocked, Part, Plan, Step},
};

/// What earlier passes left to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory<'a> {
    /// The unique ID of the role that we recorded when we made it.
    pub recorded_role: Option<&'a str>,
    /// The hub's issuer that we recorded.
    pub recorded_issuer: Option<&'a str>,
    /// What we recorded that the role may assume.
    pub recorded_ways: BTreeSet<String>,
    /// The ID of a role that an earlier look suspected, long enough ago to act on.
    pub confirmed: Option<&'a str>,
    /// The ID of the role that this process deleted last: AWS gives none twice, so it is a read from before that.
    pub deleted: Option<&'a str>,
}

/// The role that should exist. It trusts `itself` only where a cluster Secret needs that: a session that was stolen could
/// renew itself by it.
#[must_use]
pub fn desired_role(request: &Request, provider: &OidcProviderArn, itself: bool) -> WantedRole {
    let mut trust = irsa_trust(provider, &request.namespace, &request.service_accounts);
    trust.statements.extend(itself.then(|| trusts_itself(&request.role)));
    let mut tags = request.tags.clone();
    tags.extend(request.owner.tags());
    WantedRole {
        arn: request.role.clone(),
        trust,
        boundary: request.boundary.clone(),
        tags,
        description: format!(
            "Argo CD on {} acts with this role. Made by Mooring for ManagementRole {}.",
            request.hub.cluster.name, request.name
        ),
    }
}

/// The issuer that EKS gives for the hub.
fn issuer_of(observed: &Observed) -> String {
    let cluster = observed.cluster.as_ref();
    cluster.and_then(|cluster| cluster.issuer.clone()).unwrap_or_default()
}

/// Why the hub is not known to be the cluster that the operator runs on, where it is not.
#[must_use]
pub fn not_the_hub(request: &Request, observed: &Observed, recorded: Option<&str>) -> Option<Blocked> {
    if observed.cluster.is_none() {
        return Some(Blocked::HubNotFound {
            cluster: request.hub.cluster.clone(),
        });
    }
    let (described, here) = (issuer_of(observed), observed.issuer_here.clone());
    if described != here {
        return Some(Blocked::HubMismatch {
            cluster: request.hub.cluster.clone(),
            described,
            here,
        });
    }
    replaced(request, &here, recorded)
}

/// Both agree on an issuer that is another than before: the hub was made again under its name, or this object was restored
/// on another cluster. What follows would hand the fleet to it, so a person says that first.
#[must_use]
pub fn replaced(request: &Request, issuer: &str, recorded: Option<&str>) -> Option<Blocked> {
    let recorded = recorded.filter(|recorded| *recorded != issuer && !confirmed(request, issuer))?;
    Some(Blocked::HubReplaced {
        object: request.name.clone(),
        recorded: recorded.to_owned(),
        issuer: issuer.to_owned(),
        confirmed: request.confirmed_hub.clone(),
    })
}

/// Plans one pass.
#[must_use]
pub fn plan(request: &Request, observed: &Observed, members: &Members, memory: &Memory<'_>) -> Plan {
    let mut plan = Plan {
        assumable: observed.assumable(&request.hub, &memory.recorded_ways),
        ..Plan::default()
    };
    if let Some(blocked) = not_the_hub(request, observed, memory.recorded_issuer) {
        plan.blocked.push(blocked);
        return plan;
    }
    let issuer = issuer_of(observed);
    if request.role_owner == RoleOwner::Existing {
        plan_existing(&mut plan, request, observed, members, &issuer);
        return plan;
    }
    let provider = match request.hub.oidc_provider(&issuer) {
        Ok(provider) => provider,
        Err(why) => {
            plan.blocked.push(Blocked::UnusableIssuer { why: why.to_string() });
            return plan;
        }
    };
    plan_provider(&mut plan, request, observed, &provider);
    if !plan.blocked.is_empty() && observed.role.is_none() {
        // A role cannot trust a provider that is not there, and AWS's refusal would hide what is to be done.
        return plan;
    }
    let itself = members
        .acting
        .as_ref()
        .map_or_else(|| observed.assumes_itself(), |secrets| !secrets.is_empty());
    plan.acting = members.acting.clone().unwrap_or_default();
    let wanted = desired_role(request, &provider, itself);
    role::plan_role(&mut plan, request, observed, &wanted, (memory, &issuer));
    let role_stands = plan.blocked.iter().all(|blocked| blocked.part() != Some(Part::Role));
    if role_stands {
        policy::plan_policy(&mut plan, request, observed, (members, itself), &memory.recorded_ways);
    }
    if withhold(&mut plan, observed) {
        plan.assumable = observed.assumable(&request.hub, &memory.recorded_ways);
        plan.acting.retain(|_| observed.assumes_itself());
    }
    plan
}

/// Somebody else's emergency: a role that bears the tag `mooring.dev/hold` is not written to. What is left out is told.
/// Whether it is so.
fn withhold(plan: &mut Plan, observed: &Observed) -> bool {
    let Some((role, value)) = observed
        .role
        .as_ref()
        .and_then(|role| Some((role, role.tags.get(HOLD_TAG)?)))
    else {
        return false;
    };
    let (undone, steps): (Vec<Step>, Vec<Step>) = std::mem::take(&mut plan.steps)
        .into_iter()
        .partition(|step| matches!(step.part(), Part::Role | Part::Policy));
    plan.steps = steps;
    plan.blocked.retain(|blocked| *blocked != Blocked::JustMade);
    let held = Blocked::Held {
        arn: role.arn.clone(),
        value: value.clone(),
        undone: undone.iter().map(Step::words).collect(),
        shuts_out: undone.iter().any(Step::shuts_out),
    };
    plan.blocked.insert(0, held);
    true
}

fn plan_existing(plan: &mut Plan, request: &Request, observed: &Observed, members: &Members, issuer: &str) {
    match &observed.role {
        None => plan.blocked.push(Blocked::RoleMissing {
            arn: request.role.to_string(),
        }),
        Some(role) if role.arn != request.role.to_string() => plan.blocked.push(Blocked::RoleNotOurs {
            arn: role.arn.clone(),
            owner: format!("identity.roleArn says {}", request.role),
        }),
        Some(role) => {
            plan.untrusted = untrusted(request, &role.trust, issuer);
            let secrets = members.acting.clone().unwrap_or_default();
            let lack = lacks_itself(&role.trust, &request.role).filter(|_| !secrets.is_empty());
            plan.blocked.extend(lack.map(|lack| Blocked::SelfTrustMissing {
                arn: role.arn.clone(),
                secrets,
                lack,
            }));
        }
    }
}

/// The service accounts whose web identities a trust policy surely does not let in.
fn untrusted(request: &Request, trust: &str, issuer: &str) -> BTreeSet<String> {
    let Ok(provider) = request.hub.oidc_provider(issuer) else {
        return BTreeSet::new();
    };
    let refused = |name: &&KubernetesName| {
        lets_web_identity_in(trust, &provider, request.namespace.as_str(), name.as_str()).refuses()
    };
    let accounts = request.service_accounts.iter();
    accounts.filter(refused).map(ToString::to_string).collect()
}

fn plan_provider(plan: &mut Plan, request: &Request, observed: &Observed, arn: &OidcProviderArn) {
    let has_audience = observed
        .provider
        .as_ref()
        .map(|provider| provider.client_ids.contains(AUDIENCE));
    let (arn, text) = (arn.clone(), arn.to_string());
    match (has_audience, request.manage_provider) {
        (Some(true), _) => {}
        (None, true) => plan.steps.push(Step::CreateOidcProvider {
            arn,
            tags: request.owner.tags(),
        }),
        (Some(false), true) => plan.steps.push(Step::AddAudience {
            arn,
            audience: AUDIENCE.to_owned(),
        }),
        (None, false) => plan.blocked.push(Blocked::OidcProviderMissing { arn: text }),
        (Some(false), false) => plan.blocked.push(Blocked::AudienceMissing { arn: text }),
    }
}

/// Whether a person has said that the cluster with this issuer is the hub now.
fn confirmed(request: &Request, issuer: &str) -> bool {
    request.confirmed_hub.as_deref() == Some(issuer)
}

/// What was recorded of an object that is being removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left<'a> {
    /// The unique ID of the role that we made.
    pub role: Option<&'a str>,
    /// The hub's issuer.
    pub issuer: Option<&'a str>,
    /// Whether deployer roles were kept.
    pub kept: bool,
}

impl<'a> Left<'a> {
    /// What a status says.
    #[must_use]
    pub fn by(status: &'a ManagementRoleStatus) -> Self {
        Self {
            role: status.role.as_ref().map(|role| role.id.as_str()),
            issuer: status.hub.as_ref().and_then(|hub| hub.issuer.as_deref()),
            kept: !status.retained.is_empty(),
        }
    }
}

/// What holds a removal up where the operator does not know itself to be on the hub, and why it does not.
#[must_use]
pub fn not_its_hub(request: &Request, hub: Blocked) -> Blocked {
    Blocked::NotItsHub {
        object: request.name.clone(),
        arn: request.role.to_string(),
        hub: Box::new(hub),
    }
}

/// Plans a removal, once no cluster stands on the role any more. An operator that is not known to run on the hub takes
/// nothing away: the role may be what the hub lives on. Where nothing was ever made, nothing is in the way.
#[must_use]
pub fn plan_removal(request: &Request, observed: &Observed, left: &Left<'_>) -> Plan {
    let plan = take_away(request, observed, left.role);
    let nothing = plan.is_clean() && !left.kept || request.role_owner == RoleOwner::Existing;
    match not_the_hub(request, observed, left.issuer).filter(|_| !nothing) {
        Some(hub) => Plan {
            blocked: vec![not_its_hub(request, hub)],
            ..Plan::default()
        },
        None => plan,
    }
}

fn take_away(request: &Request, observed: &Observed, recorded_role: Option<&str>) -> Plan {
    let mut plan = Plan::default();
    let Some(role) = observed
        .role
        .as_ref()
        .filter(|_| request.role_owner == RoleOwner::Mooring)
    else {
        return plan;
    };
    let ours = role.arn == request.role.to_string()
        && (request.owner.judge(&role.tags) == Marked::Ours || recorded_role == Some(role.id.as_str()));
    if !ours {
        return plan;
    }
    let name = request.role.name.clone();
    let bounded = role.has_boundary(&request.boundary);
    if !bounded {
        plan.steps.push(Step::SetBoundary {
            name: name.clone(),
            boundary: request.boundary.clone(),
            found: role.boundary.clone(),
        });
    }
    let foreign = role::foreign_policies(observed);
    if !foreign.is_empty() {
        plan.blocked.push(Blocked::ForeignPolicyAttached {
            role: request.role.to_string(),
            policies: foreign,
            bounded,
        });
        withhold(&mut plan, observed);
        return plan;
    }
    if observed.policy.is_some() {
        plan.steps.push(Step::DeletePolicy { name: name.clone() });
    }
    plan.steps.push(Step::DeleteRole { name });
    withhold(&mut plan, observed);
    plan
}
