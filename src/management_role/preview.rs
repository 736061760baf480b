//! What a plan would change of what stands, for people to read before it is carried out. Pure.

use crate::{
    aws::Role,
    managed_cluster::preview::{Change, Side, Value, boundary_of, new_role, settings_of, tag_values},
    policy::{self, Document},
};

use super::{
    binding,
    members::Members,
    observe::Observed,
    plan::{Memory, plan},
    request::Request,
    step::{Blocked, Plan, Step},
};

/// The ID of a role that does not stand yet, where a pass that follows its making is foreseen.
const NOT_YET: &str = "";

/// The plan of this pass, and of the one that follows it where this one ends with the role being made; and what a second
/// look is asked to confirm is taken for confirmed.
#[must_use]
pub fn foresee(request: &Request, observed: &Observed, members: &Members, memory: &Memory<'_>) -> Plan {
    let mut first = plan(request, observed, members, memory);
    let suspected = first.blocked.iter().find_map(|blocked| {
        if let Blocked::Unconfirmed { id } = blocked {
            Some(id.clone())
        } else {
            None
        }
    });
    if let Some(id) = &suspected {
        let memory = Memory {
            confirmed: Some(id),
            ..memory.clone()
        };
        first = plan(request, observed, members, &memory);
    }
    let made = first.steps.iter().find_map(|step| {
        if let Step::CreateRole { role } = step {
            Some(role.clone())
        } else {
            None
        }
    });
    let Some(made) = made.filter(|_| first.blocked.contains(&Blocked::JustMade)) else {
        return first;
    };
    let then = Observed {
        role: Some(Role {
            arn: made.arn.to_string(),
            id: NOT_YET.to_owned(),
            name: made.arn.name.to_string(),
            trust: made.trust.to_json(),
            boundary: Some(made.boundary.to_string()),
            description: Some(made.description.clone()),
            tags: made.tags.clone(),
            ..Role::default()
        }),
        policies: crate::aws::RolePolicies::default(),
        policy: None,
        ..observed.clone()
    };
    let memory = Memory {
        recorded_role: Some(NOT_YET),
        ..memory.clone()
    };
    let mut second = plan(request, &then, members, &memory);
    // What comes before the role is in the first plan already.
    second.steps.retain(|step| !first.steps.contains(step));
    first.steps.append(&mut second.steps);
    first.blocked = second.blocked;
    first.assumable = second.assumable;
    first.acting = second.acting;
    first
}

/// What the steps of a plan change of what stands.
#[must_use]
pub fn changes(steps: &[Step], observed: &Observed) -> Vec<Change> {
    steps.iter().map(|step| change(step, observed)).collect()
}

fn change(step: &Step, observed: &Observed) -> Change {
    let plain = Change::plain(step.name(), Side::Aws, step.words());
    let role = observed.role.as_ref();
    match step {
        Step::CreateOidcProvider { tags, .. } => plain.with_values(tag_values(None, tags)),
        Step::AddAudience { audience, .. } => plain.with_values(vec![Value {
            of: "audience".to_owned(),
            before: None,
            after: Some(audience.clone()),
        }]),
        Step::CreateRole { role } => new_role(plain, role),
        Step::DeleteRole { .. } => plain.losing(role.map(|role| format!("every session of role {}", role.arn))),
        Step::SetBoundary { boundary, .. } => plain.with_values(vec![boundary_of(role, &boundary.to_string())]),
        Step::TagRole { tags, .. } => plain.with_values(tag_values(role.map(|role| &role.tags), tags)),
        Step::UpdateRole { description, .. } => plain.with_values(settings_of(role, description)),
        Step::PutPolicy {
            document, differences, ..
        } if differences.is_empty() => {
            let all = policy::differences(&Document::new(Vec::new()), document);
            plain.with_policy(&all)
        }
        Step::SetTrust { differences, .. } | Step::PutPolicy { differences, .. } => plain.with_policy(differences),
        Step::DeletePolicy { .. } => {
            let nothing = Document::new(Vec::new());
            let found = observed.policy.as_deref().unwrap_or_default();
            plain.with_policy(&policy::differences_of(found, &nothing))
        }
    }
}

/// What binding the service accounts changes.
#[must_use]
pub fn binding_changes(steps: &[binding::step::Step]) -> Vec<Change> {
    let change = |step: &binding::step::Step| {
        let values = match step {
            binding::step::Step::Bind { role, .. } => vec![Value {
                of: format!("annotation {}", binding::observe::ROLE_ANNOTATION),
                before: None,
                after: Some(role.clone()),
            }],
            binding::step::Step::Release { .. } | binding::step::Step::Restart { .. } => Vec::new(),
        };
        Change::plain(step.name(), Side::Kubernetes, step.words()).with_values(values)
    };
    steps.iter().map(change).collect()
}
