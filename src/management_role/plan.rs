//! 3. and 4. desired and plan: what the management role should be, and the steps to it. Pure and infallible.

mod role;

use std::collections::BTreeSet;

use crate::{
    aws::WantedRole,
    domain::{
        arn::{OidcProviderArn, RoleArn},
        name::KubernetesName,
        ownership::{HOLD_TAG, Marked},
    },
    policy::{self, AUDIENCE, Document, lack::lacks_itself},
};

use super::{
    members::Members,
    observe::Observed,
    request::{Request, RoleOwner},
    step::{Blocked, Part, Plan, Step},
};

/// The most characters that a role's inline policies may have together, white space not counted (IAM user guide,
/// "IAM and STS quotas").
const INLINE_QUOTA: usize = 10_240;

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
    let mut trust = policy::irsa_trust(provider, &request.namespace, &request.service_accounts);
    trust
        .statements
        .extend(itself.then(|| policy::trusts_itself(&request.role)));
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

/// Plans one pass.
#[must_use]
pub fn plan(request: &Request, observed: &Observed, members: &Members, memory: &Memory<'_>) -> Plan {
    let mut plan = Plan {
        assumable: observed.assumable(&request.hub, &memory.recorded_ways),
        ..Plan::default()
    };
    let Some(cluster) = &observed.cluster else {
        plan.blocked.push(Blocked::HubNotFound);
        return plan;
    };
    let issuer = cluster.issuer.clone().unwrap_or_default();
    if issuer != observed.issuer_here {
        plan.blocked.push(Blocked::HubMismatch {
            described: issuer,
            here: observed.issuer_here.clone(),
        });
        return plan;
    }
    // Both agree on an issuer that is another than before: the hub was made again under its name, or this object was
    // restored on another cluster. What follows would hand the fleet to it, so a person says that first.
    if let Some(recorded) = memory.recorded_issuer.filter(|recorded| *recorded != issuer)
        && !confirmed(request, &issuer)
    {
        plan.blocked.push(Blocked::HubReplaced {
            object: request.name.clone(),
            recorded: recorded.to_owned(),
            issuer,
        });
        return plan;
    }
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
        plan_policy(&mut plan, request, observed, (members, itself), &memory.recorded_ways);
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
        policy::trust::lets_web_identity_in(trust, &provider, request.namespace.as_str(), name.as_str()).refuses()
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

fn plan_policy(
    plan: &mut Plan,
    request: &Request,
    observed: &Observed,
    (members, itself): (&Members, bool),
    recorded: &BTreeSet<String>,
) {
    let itself = itself.then_some(&request.role);
    let standing = observed.assumable(&request.hub, recorded);
    let mut wanted = members.wanted.clone();
    if members.unreadable {
        // Nobody knows what an object that does not parse needs, so nothing is taken away meanwhile.
        wanted.extend(standing.iter().cloned());
    }
    let (mut fitting, mut left_out) = fit(&wanted, &standing, itself);
    // A pattern of a wider assumePolicy goes only when it is not the way of one that would be left out.
    let ways: BTreeSet<String> = standing
        .iter()
        .filter(|way| {
            way.strip_suffix('*')
                .is_some_and(|path| left_out.iter().any(|one| one.starts_with(path)))
        })
        .cloned()
        .collect();
    if !ways.is_empty() {
        wanted.extend(ways);
        (fitting, left_out) = fit(&wanted, &standing, itself);
    }
    let document = policy::assume_deployers(&fitting, itself);
    let name = request.role.name.clone();
    match (document, observed.policy.as_deref()) {
        (None, None) => {}
        (None, Some(_)) => plan.steps.push(Step::DeletePolicy { name }),
        (Some(document), found) => {
            let differences = found.map_or_else(Vec::new, |found| policy::differences_of(found, &document));
            if found.is_none() || !differences.is_empty() {
                plan.steps.push(Step::PutPolicy {
                    name,
                    document,
                    differences,
                });
            }
        }
    }
    plan.assumable = fitting;
    if !left_out.is_empty() {
        plan.blocked.push(Blocked::PolicyFull { left_out });
    }
    let foreign = role::foreign_policies(observed);
    if !foreign.is_empty() {
        plan.blocked.push(Blocked::ForeignPolicyAttached {
            role: request.role.to_string(),
            policies: foreign,
        });
    }
}

/// As many resources as one policy takes: first those that stand, then the new ones in order, so that a full policy
/// never takes a way from anybody.
fn fit(
    wanted: &BTreeSet<String>,
    standing: &BTreeSet<String>,
    itself: Option<&RoleArn>,
) -> (BTreeSet<String>, BTreeSet<String>) {
    let kept = wanted.intersection(standing);
    let new = wanted.difference(standing);
    let alone = policy::assume_deployers(&BTreeSet::new(), itself).unwrap_or_else(|| Document::new(vec![]));
    let empty = alone.quota_length() + 120;
    let mut room = INLINE_QUOTA.saturating_sub(empty);
    let (mut fitting, mut left_out) = (BTreeSet::new(), BTreeSet::new());
    for resource in kept.chain(new) {
        // Two quotation marks and a comma.
        let length = resource.len() + 3;
        if length <= room {
            room -= length;
            fitting.insert(resource.clone());
        } else {
            left_out.insert(resource.clone());
        }
    }
    (fitting, left_out)
}

/// Plans a removal, once no cluster stands on the role any more.
#[must_use]
pub fn plan_removal(request: &Request, observed: &Observed, recorded_role: Option<&str>) -> Plan {
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
    let foreign = role::foreign_policies(observed);
    if !foreign.is_empty() {
        plan.blocked.push(Blocked::ForeignPolicyAttached {
            role: request.role.to_string(),
            policies: foreign,
        });
        return plan;
    }
    let name = request.role.name.clone();
    if role.boundary.as_deref() != Some(request.boundary.to_string().as_str()) {
        plan.steps.push(Step::SetBoundary {
            name: name.clone(),
            boundary: request.boundary.clone(),
            found: role.boundary.clone(),
        });
    }
    if observed.policy.is_some() {
        plan.steps.push(Step::DeletePolicy { name: name.clone() });
    }
    plan.steps.push(Step::DeleteRole { name });
    withhold(&mut plan, observed);
    plan
}
