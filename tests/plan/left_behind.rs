//! What was left behind: by an object or a hub that is no more, by an operator that ended before it could write down what
//! it had made, and by others in what is ours.

use mooring::{
    domain::ownership::Owner,
    managed_cluster::{Blocked, Part, Plan, Step, living::Lives},
    policy::trust,
};

use crate::{
    ownership::{HUB, TAKE_OVER, wired_by_hand},
    world::{ADMIN, UID, World, brief, management},
};

const OTHER_HUB: &str = "arn:aws:eks:eu-west-1:999999999999:cluster/other";

/// A world that an object that is no more has moored, with what stood there then.
fn left_behind() -> World {
    let mut world = World::moored(&format!("{ADMIN}adoptExisting: true\n"));
    let gone = Owner {
        uid: "gone".into(),
        ..world.request.owner.clone()
    };
    world.role().tags.extend(gone.tags());
    world.entry().tags.extend(gone.tags());
    (world.recorded_role, world.recorded_secret, world.given) = (None, None, None);
    world.secrets.clear();
    world
}

fn messages(plan: &Plan) -> String {
    plan.blocked.iter().map(Blocked::message).collect::<Vec<_>>().join("\n")
}

/// By that tag people see what others may have a part in.
#[test]
fn what_mooring_itself_left_behind_is_not_marked_as_taken_over_from_others() {
    let marks = |plan: &Plan| -> Vec<bool> {
        let tags = plan.steps.iter().filter_map(|step| match step {
            Step::AdoptRole { tags, .. } => Some(tags),
            _ => None,
        });
        tags.map(|tags| tags.contains_key("mooring.dev/adopted")).collect()
    };
    assert_eq!(marks(&left_behind().plan()), [false]);
    assert_eq!(marks(&wired_by_hand().plan()), [true]);
}

/// EKS pins an entry to the role that stood there when it was made, and never shows which that was.
#[test]
fn an_entry_that_a_lost_object_made_for_a_role_that_is_gone_is_made_afresh() {
    let mut world = left_behind();
    world
        .entry()
        .tags
        .insert("mooring.dev/role-id".into(), "AROAFORMER".into());
    world.pinned = Some("AROAFORMER".into());
    let plan = world.pass();
    assert_eq!(brief(&plan), ["!StalePrincipal"]);
    assert!(messages(&plan).contains("AROAFORMER"), "{}", messages(&plan));
    let steps = brief(&world.pass());
    for step in ["AdoptAccessEntry", "DeleteAccessEntry", "CreateAccessEntry"] {
        assert!(steps.contains(&step.to_owned()), "{step}: {steps:?}");
    }
}

/// Whoever may ask for a cluster may choose the name of its deployer role, and so the name of one that was kept for another.
#[test]
fn a_role_that_was_kept_for_another_cluster_is_its_owners_to_open() {
    let mut world = left_behind();
    world.request.identity.role_name = Some(world.request.deployer.name.clone());
    let adopts = |world: &World| brief(&world.plan()).contains(&"AdoptRole".to_owned());
    assert!(adopts(&world), "it was made for this cluster");
    let made_for = world.role().description.clone().unwrap();
    for other in [
        made_for.replace(" deploys to prod-eu in ", " deploys to other in "),
        made_for.replace(" in eu-west-1 with ", " in eu-west-2 with "),
        "somebody wrote this".to_owned(),
    ] {
        assert_ne!(other, made_for);
        world.role().description = Some(other);
        assert_eq!(brief(&world.plan()), ["!NotAdoptable"]);
        let told = messages(&world.plan());
        assert!(told.contains("aws iam tag-role") && told.contains(HUB), "{told}");
    }
    world.role().tags.insert("mooring.dev/adopt".into(), HUB.into());
    assert!(adopts(&world));
    // One that has the name of this cluster need not say so.
    world.role().tags.remove("mooring.dev/adopt");
    world.request.identity.role_name = None;
    assert!(adopts(&world));
}

/// What is given to a role is given to whoever else may act as it.
#[test]
fn nothing_more_is_given_to_a_held_role_that_somebody_else_may_use() {
    let mut world = World::moored(ADMIN);
    world.role().tags.insert("mooring.dev/hold".into(), "INC-42".into());
    world.associations.clear();
    let gives = "Associate AmazonEKSClusterAdminPolicy".to_owned();
    assert!(brief(&world.plan()).contains(&gives), "{:?}", brief(&world.plan()));
    world.role().trust = r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]}"#.into();
    assert_eq!(brief(&world.plan()), ["!Held", "!Held"]);
    assert_eq!(world.plan().blocked[1].part(), Part::AccessEntry);
    let told = messages(&world.plan());
    for undone in ["found open to anybody in AWS", "associate AmazonEKSClusterAdminPolicy"] {
        assert!(told.contains(undone), "{told}");
    }
}

/// Objects that were restored from a backup of etcd keep their UIDs, on a hub of another name.
#[test]
fn what_the_same_object_made_on_a_former_hub_is_no_living_objects() {
    let mut world = wired_by_hand();
    for (key, value) in [("mooring.dev/hub", OTHER_HUB), ("mooring.dev/uid", UID)] {
        world.role().tags.insert(key.into(), value.into());
        world.entry().tags.insert(key.into(), value.into());
    }
    assert_eq!(brief(&world.plan()), TAKE_OVER);
    // An object of this hub that is there keeps what is its own, also where its owner opened it.
    world.role().tags.insert("mooring.dev/hub".into(), HUB.into());
    world.role().tags.insert("mooring.dev/uid".into(), "another".into());
    world.living.insert("another".to_owned(), Lives::default());
    assert_eq!(brief(&world.plan()), ["!NotAdoptable"]);
}

/// Right after it was made AWS may name a role by its ID (Terraform AWS provider, `iam/role.go`,
/// `waitRoleARNIsNotUniqueID`), and an operator that ended then has not recorded it.
#[test]
fn a_role_on_its_way_is_waited_for_also_where_nobody_wrote_it_down() {
    let mut world = World::moored(ADMIN);
    world.recorded_role = None;
    world.role().arn = world.role().id.clone();
    let plan = world.plan();
    assert_eq!(brief(&plan), ["!Propagating"]);
    assert!(!plan.blocked[0].stalled(), "nobody has to act");
    assert_eq!(brief(&world.plan_removal()).last().unwrap(), "!Propagating");
    // Whose it is that does not bear our mark is told once it has a name, and a removal does not wait for it.
    world.role().tags.clear();
    assert_eq!(brief(&world.plan()), ["!Propagating"]);
    assert!(!brief(&world.plan_removal()).contains(&"!Propagating".to_owned()));
}

#[test]
fn what_others_wrote_into_the_trust_policy_of_a_role_of_ours_does_not_keep_it() {
    let mut world = World::moored(ADMIN);
    let theirs = wired_by_hand().role().trust.clone();
    world.role().trust = trust::with_ours(&theirs, &management().role).to_json();
    let removal = world.plan_removal();
    assert_eq!(brief(&removal).last().unwrap(), "DeleteRole");
    assert!(removal.beside.is_empty(), "{removal:?}");
}

#[test]
fn a_secret_by_hand_is_in_the_way_where_nobody_asked_to_have_it_taken_over() {
    let found = wired_by_hand().found();
    assert!(found.adoptable.is_some());
    let mut world = World::moored(ADMIN);
    world.secrets.clear();
    assert_eq!(brief(&world.plan_with(&world.spoke(), &found)), ["!DuplicateCluster"]);
}

/// Only what a person has to see to holds an adoption up: a Secret that is going is gone soon.
#[test]
fn an_adoption_goes_on_while_a_secret_of_ours_is_on_its_way_out() {
    let mut going = World::moored(ADMIN).found();
    going.own[0].deleting = true;
    let mut world = wired_by_hand();
    world.secrets.clear();
    let plan = world.plan_with(&world.spoke(), &going);
    assert_eq!(
        brief(&plan),
        [
            "AdoptRole",
            "SetBoundary",
            "AddTrust",
            "AdoptAccessEntry",
            "!SecretGoing"
        ]
    );
}
