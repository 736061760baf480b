//! What the management role may assume, and the steps to it.

use std::collections::BTreeSet;

use crate::{
    domain::{arn::RoleArn, name::RoleName},
    policy::{self, Document, Effect},
};

use super::role::foreign_policies;
use crate::management_role::{
    members::Members,
    observe::Observed,
    request::Request,
    step::{Blocked, Plan, Step},
};

/// The most characters that a role's inline policies may have together, white space not counted (IAM user guide,
/// "IAM and STS quotas").
const INLINE_QUOTA: usize = 10_240;

pub(super) fn plan_policy(
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
        // And what somebody else took away meanwhile is put back.
        wanted.extend(recorded.iter().cloned());
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
        (Some(document), None) => plan.steps.push(Step::PutPolicy {
            name,
            document,
            differences: Vec::new(),
            taking: None,
        }),
        (Some(document), Some(found)) => {
            let differences = policy::differences_of(found, &document);
            if !differences.is_empty() {
                plan.steps.push(Step::PutPolicy {
                    taking: taking(&name, found, (&fitting, &standing), itself).map(Box::new),
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
    let foreign = foreign_policies(observed);
    if !foreign.is_empty() {
        plan.blocked.push(Blocked::ForeignPolicyAttached {
            role: request.role.to_string(),
            policies: foreign,
            bounded: observed
                .role
                .as_ref()
                .is_none_or(|role| role.has_boundary(&request.boundary)),
        });
    }
}

/// The step that leaves of what was found what is wanted, and gives nothing; `None` where it would change nothing. A way
/// that stands is never lost by it: where somebody denies or narrows, so that to write it anew may give more, nothing is
/// done either.
fn taking(
    name: &RoleName,
    found: &str,
    (wanted, standing): (&BTreeSet<String>, &BTreeSet<String>),
    itself: Option<&RoleArn>,
) -> Option<Step> {
    let read = Document::parse(found).ok()?;
    let denies = read.statements.iter().any(|one| one.effect == Effect::Deny);
    let given = |resource: &str| policy::gives(&read, resource);
    if denies || !wanted.intersection(standing).all(|way| given(way)) {
        return None;
    }
    let kept: BTreeSet<String> = wanted.iter().filter(|way| given(way)).cloned().collect();
    let itself = itself.filter(|role| given(&role.to_string()));
    let name = name.clone();
    let Some(document) = policy::assume_deployers(&kept, itself) else {
        return Some(Step::DeletePolicy { name });
    };
    let differences = policy::differences(&read, &document);
    (!differences.is_empty()).then_some(Step::PutPolicy {
        name,
        document,
        differences,
        taking: None,
    })
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
