//! Plans of a cluster whose access is taken away, and of one that its owner holds.

use mooring::{
    domain::{eks::AuthenticationMode, ownership::HOLD_TAG},
    managed_cluster::{
        Blocked, Plan, Step,
        plan::{Memory, suspended},
    },
};

use crate::world::{ADMIN, World};

fn names(plan: &Plan) -> Vec<&'static str> {
    plan.steps.iter().map(Step::name).collect()
}

pub(crate) fn cut(world: &World) -> Plan {
    suspended::cut(&world.request.owner, world.known_entry(), world.entry.as_ref())
}

pub(crate) fn keep(world: &World) -> Plan {
    let memory = Memory {
        owner: &world.request.owner,
        recorded_role: world.recorded_role.as_deref(),
        recorded_secret: world.recorded_secret.as_deref(),
        confirmed: None,
        unmoved: &[],
        given: None,
        living: &world.living,
        role: None,
    };
    suspended::keep(&world.desired(), &world.spoke(), &world.found(), &memory)
}

fn moored() -> World {
    World::moored(ADMIN)
}

#[test]
fn the_entry_goes_at_once_whoever_it_was_made_for_and_one_of_others_is_told() {
    let mut world = moored();
    assert_eq!(names(&cut(&world)), ["DeleteAccessEntry"]);
    world
        .entry()
        .tags
        .insert("mooring.dev/role-id".into(), "AROAOTHER".into());
    assert_eq!(names(&cut(&world)), ["DeleteAccessEntry"], "nothing is confirmed first");
    world.entry().tags.remove("mooring.dev/uid");
    assert_eq!(
        names(&cut(&world)),
        ["TagAccessEntry", "DeleteAccessEntry"],
        "it is known by its ARN, and may be deleted once it bears the mark"
    );
    world.entry().tags.clear();
    world.entry().arn.push_str("-theirs");
    let plan = cut(&world);
    assert!(plan.steps.is_empty() && matches!(plan.blocked[..], [Blocked::EntryNotOurs { .. }]));
    world.entry = None;
    assert!(cut(&world).is_clean());
}

#[test]
fn what_was_made_is_kept_and_nothing_is_made() {
    let mut world = moored();
    world.pass();
    assert!(keep(&world).is_clean());
    world.role().trust = "{}".into();
    world.secret().data.as_mut().unwrap().clear();
    assert_eq!(names(&keep(&world)), ["SetTrust", "ApplySecret"]);
    // A Secret that is lost would take Applications with it.
    world.secrets.clear();
    assert_eq!(names(&keep(&world)), ["SetTrust", "ApplySecret"]);
    world.role = None;
    let plan = keep(&world);
    assert_eq!(names(&plan), ["ApplySecret"]);
    assert!(matches!(plan.blocked[..], [Blocked::Suspended { .. }]), "{plan:?}");

    let never = World::new(ADMIN);
    let plan = keep(&never);
    assert!(plan.steps.is_empty() && plan.blocked.len() == 2, "{plan:?}");
    let mut shut = moored();
    shut.cluster.as_mut().unwrap().authentication_mode = AuthenticationMode::ConfigMap;
    assert!(keep(&shut).steps.is_empty());
    shut.role().trust = "{}".into();
    assert_eq!(names(&keep(&shut)), ["SetTrust"], "whatever becomes of the cluster");
}

fn held(plan: &Plan) -> Vec<(String, Vec<String>)> {
    let held = plan.blocked.iter().filter_map(|blocked| match blocked {
        Blocked::Held { value, undone, .. } => Some((value.clone(), undone.clone())),
        _ => None,
    });
    held.collect()
}

#[test]
fn a_held_role_is_not_written_to_and_the_rest_goes_on() {
    let mut world = moored();
    world.pass();
    world.role().tags.insert(HOLD_TAG.into(), "INC-42".into());
    let plan = world.plan();
    assert!(plan.is_clean(), "{plan:?}");
    assert_eq!(held(&plan), [("INC-42".to_owned(), Vec::<String>::new())]);
    world.role().trust = "{}".into();
    world.role().boundary = None;
    world.entry().groups.insert("more".into());
    let plan = world.plan();
    assert_eq!(names(&plan), ["SetGroups"]);
    assert_eq!(held(&plan)[0].1.len(), 2);
    let plan = world.plan_removal();
    assert_eq!(names(&plan), ["DeleteSecret", "DeleteAccessEntry"]);
    assert_eq!(held(&plan)[0].1.len(), 2, "boundary and role");
}

#[test]
fn a_held_entry_keeps_its_role_from_being_deleted() {
    let mut world = moored();
    world.pass();
    world.entry().tags.insert(HOLD_TAG.into(), String::new());
    assert!(world.plan().is_clean());
    world.entry().groups.insert("more".into());
    world.role().trust = "{}".into();
    let plan = world.plan();
    assert_eq!(names(&plan), ["SetTrust"]);
    let told = held(&plan);
    assert_eq!((told.len(), told[0].0.as_str(), told[0].1.len()), (1, "", 1));
    assert!(
        told[0].1[0].starts_with("set the Kubernetes groups of the access entry to []"),
        "{told:?}"
    );
    assert_eq!(names(&world.plan_removal()), ["DeleteSecret"]);
    assert_eq!(held(&world.plan_removal())[0].1.len(), 2, "entry and role");
    let plan = cut(&world);
    assert!(plan.steps.is_empty());
    assert_eq!(held(&plan)[0].1, ["delete the access entry"]);
}

/// What would be deleted to be made afresh stays whole.
#[test]
fn nothing_is_half_healed_while_it_is_held() {
    for (role, entry) in [(true, false), (false, true), (true, true)] {
        let mut world = moored();
        world.pass();
        // Somebody made the role again under our tags: role and entry would be made afresh.
        world.role().id = "AROASTRANGER".into();
        if role {
            world.role().tags.insert(HOLD_TAG.into(), "x".into());
        }
        if entry {
            world.entry().tags.insert(HOLD_TAG.into(), "x".into());
        }
        world.pass();
        let plan = world.plan();
        assert!(plan.steps.is_empty(), "{role} {entry}: {:?}", names(&plan));
        assert!(
            held(&plan)
                .iter()
                .any(|(_, undone)| undone.iter().any(|step| step.starts_with("delete role")))
        );
    }
}

/// What is to be taken over and is held stays whole, and nothing is given to it.
#[test]
fn nothing_is_given_to_a_role_that_is_held_before_it_is_taken_over() {
    let adopting = format!("{ADMIN}adoptExisting: true\n");
    for entry in [false, true] {
        let mut world = World::moored(&adopting);
        let hub = world.request.owner.hub.to_string();
        let theirs = [("mooring.dev/adopt".to_owned(), hub)];
        world.role().tags = theirs.clone().into();
        world.role().tags.insert(HOLD_TAG.into(), "INC-42".into());
        world.entry().tags = theirs.into();
        if !entry {
            world.entry = None;
            world.associations.clear();
        }
        world.secrets.clear();
        (world.recorded_role, world.recorded_secret, world.given) = (None, None, None);
        let plan = world.plan();
        assert!(plan.steps.is_empty(), "{entry}: {:?}", names(&plan));
        assert!(held(&plan)[0].1.len() > 1, "{plan:?}");
    }
}

#[test]
fn what_goes_with_an_entry_that_was_taken_over_is_what_the_spec_did_not_give() {
    use mooring::{
        api::AccessEntryStatus,
        domain::eks::{AccessPolicyArn, AccessScope, Associations},
    };
    let mut world = moored();
    let policy = |name: &str| AccessPolicyArn::from_aws(&format!("arn:aws:eks::aws:cluster-access-policy/{name}"));
    let ours = policy("AmazonEKSClusterAdminPolicy");
    let given = AccessEntryStatus {
        policies: [ours.as_str().to_owned()].into(),
        ..AccessEntryStatus::default()
    };
    let found: Associations = [
        (ours, AccessScope::Cluster),
        (policy("AmazonEKSViewPolicy"), AccessScope::Cluster),
    ]
    .into();
    let entry = world.entry();
    entry.groups.insert("theirs".into());
    assert!(
        suspended::lost(entry, Ok(&found), Some(&given)).is_empty(),
        "ours alone"
    );
    entry.tags.insert("mooring.dev/adopted".into(), "true".into());
    let lost = suspended::lost(entry, Ok(&found), Some(&given));
    assert_eq!(lost.len(), 2, "{lost:?}");
    assert!(lost.contains("Kubernetes group theirs"));
    assert!(lost.iter().any(|what| what.contains("AmazonEKSViewPolicy")), "{lost:?}");
    let unseen = suspended::lost(entry, Err("ThrottlingException"), Some(&given));
    assert!(
        unseen.iter().any(|what| what.contains("could not be looked at")),
        "{unseen:?}"
    );
}

#[test]
fn a_suspension_keeps_what_is_held_as_it_is_and_tells_what_it_does_not_do() {
    let mut world = moored();
    world.role().boundary = None;
    assert_eq!(names(&keep(&world)), ["SetBoundary"]);
    world.role().tags.insert(HOLD_TAG.into(), "incident".into());
    let plan = keep(&world);
    assert!(plan.steps.is_empty(), "{plan:?}");
    assert!(matches!(plan.blocked[..], [Blocked::Held { .. }]), "{plan:?}");

    let mut world = World::moored(&format!(
        "{ADMIN}  deployerRole: {{permissionsBoundary: \"arn:aws:iam::222222222222:policy/b\"}}\n"
    ));
    world.policies.inline.insert("s3".into());
    let plan = keep(&world);
    assert!(
        matches!(plan.blocked[..], [Blocked::ForeignPolicyAttached { .. }]),
        "{plan:?}"
    );
}

/// Whoever owns the account ends sessions that stand by deleting the entry, and holds the role.
#[test]
fn for_a_role_that_is_held_no_entry_is_made() {
    let mut world = moored();
    (world.entry, world.pinned) = (None, None);
    world.associations.clear();
    world.role().tags.insert("mooring.dev/hold".into(), "incident".into());
    let plan = world.plan();
    assert!(plan.steps.is_empty(), "{plan:?}");
    let told = plan.blocked[0].message();
    assert!(
        told.contains("create the access entry") && told.contains("untag-role"),
        "{told}"
    );
    world.role().tags.remove("mooring.dev/hold");
    assert_eq!(names(&world.pass())[0], "CreateAccessEntry");
    assert!(world.plan().is_clean());
}
