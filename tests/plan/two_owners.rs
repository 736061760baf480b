//! One role or access entry that two objects, or two hubs, have or want: neither fights, and whoever goes leaves it to the
//! one that stays; by example.

use mooring::{
    domain::arn::{ClusterArn, RoleArn},
    managed_cluster::{
        Blocked, Part, Plan,
        living::{Lives, Living},
    },
    policy::trust,
};

use crate::{
    ownership::{EXISTING, HUB, THEIRS, tags, wired_by_hand},
    world::{ADMIN, UID, World, brief, living, request},
};

pub(crate) const OTHER_HUB: &str = "arn:aws:eks:eu-west-1:999999999999:cluster/other";
pub(crate) const SECOND: &str = "uid-of-the-second";

fn messages(plan: &Plan) -> String {
    plan.blocked.iter().map(Blocked::message).collect::<Vec<_>>().join("\n")
}

fn beside(plan: &Plan) -> String {
    plan.beside.values().flatten().cloned().collect::<Vec<_>>().join("\n")
}

/// Whether a plan writes to the role or to the entry.
fn writes(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| step.part() != Part::Secret)
}

fn taken_over() -> World {
    let mut world = wired_by_hand();
    world.pass();
    world.pass();
    assert!(world.plan().is_clean());
    world
}

/// Of an object that stands on the role that another one has, on a cluster of its own.
fn second(first: &World, lives: Lives) -> World {
    let mut world = wired_by_hand();
    world.request.owner.uid = SECOND.into();
    world.request.owner.object = "second".into();
    world.request.identity.uid = SECOND.into();
    world.role.clone_from(&first.role);
    (world.entry, world.pinned) = (None, None);
    world.secrets.clear();
    world.living = living(&[SECOND]);
    world.living.insert(UID.into(), lives);
    world
}

fn first_lives(world: &World) -> Lives {
    Lives {
        name: "prod-eu".into(),
        cluster: Some(world.request.identity.cluster.clone()),
        role: world.recorded_role.clone(),
        entry: world.given.as_ref().and_then(|given| given.arn.clone()),
        ..Lives::default()
    }
}

fn without_marks(world: &mut World) {
    world
        .role()
        .tags
        .retain(|key, _| !key.starts_with("mooring.dev/") || key == "mooring.dev/adopt");
}

#[test]
fn a_role_that_a_living_object_has_recorded_is_taken_over_by_no_other_whatever_tags_it_bears() {
    let mut first = taken_over();
    let marked = first.role.clone();
    let lives = first_lives(&first);
    without_marks(&mut first);
    for (tags_of, going) in [
        (first.role.clone(), false),
        (first.role.clone(), true),
        (marked.clone(), false),
    ] {
        let mut world = second(&first, Lives { going, ..lives.clone() });
        world.role = tags_of;
        let plan = world.plan();
        assert!(!writes(&plan) && brief(&plan)[0] == "!NotAdoptable", "{plan:?}");
        assert!(
            messages(&plan).contains("ManagedCluster prod-eu"),
            "{}",
            messages(&plan)
        );
    }
    // Nobody has it: it is opened, and taken over.
    let mut world = second(&first, Lives::default());
    assert_eq!(brief(&world.pass())[0], "AdoptRole");
    // And one that somebody uses whose role it is not would be shut out.
    let user = Lives {
        existing: true,
        ..lives
    };
    assert_eq!(brief(&second(&first, user).plan())[0], "!NotAdoptable");
}

#[test]
fn of_two_objects_that_have_recorded_one_role_neither_fights_and_the_one_that_goes_leaves_it() {
    let first = taken_over();
    let lives = first_lives(&first);
    let mut world = second(&first, lives.clone());
    world.recorded_role.clone_from(&first.recorded_role);
    let second_has_it = Lives {
        name: "second".into(),
        role: first.recorded_role.clone(),
        ..Lives::default()
    };
    // Whose mark it bears has it.
    let plan = world.pass();
    assert!(!writes(&plan) && messages(&plan).contains("prod-eu"), "{plan:?}");
    // It bears the mark of the one that goes: the role is the other's still.
    let owner = world.request.owner.clone();
    world.role().tags.extend(owner.tags());
    let removal = world.plan_removal();
    assert!(!writes(&removal) && removal.blocked.is_empty(), "{removal:?}");
    assert!(
        beside(&removal).contains("ManagedCluster prod-eu has recorded it as its own"),
        "{removal:?}"
    );
    // Where both go, one of them takes it away.
    let mut both = world.clone();
    both.living.insert(
        UID.into(),
        Lives {
            going: true,
            ..lives.clone()
        },
    );
    assert!(writes(&both.plan_removal()));

    // The one that stays gives way while the other is there, and goes on by itself.
    let mut first = first;
    first.role.clone_from(&world.role);
    first.living.insert(SECOND.into(), second_has_it);
    let plan = first.pass();
    assert!(!writes(&plan) && messages(&plan).contains("second"), "{plan:?}");
    let removal = first.plan_removal();
    assert!(
        !removal.steps.iter().any(|step| step.part() == Part::DeployerRole),
        "{removal:?}"
    );
    first.living = living(&[UID]);
    assert_eq!(brief(&first.pass()), ["TagRole"]);
    assert!(first.plan().is_clean());
}

fn other_hub() -> ClusterArn {
    ClusterArn {
        region: "eu-west-1".parse().unwrap(),
        account: "999999999999".parse().unwrap(),
        name: "other".parse().unwrap(),
    }
}

pub(crate) fn other_management_role() -> RoleArn {
    "arn:aws:iam::999999999999:role/mooring/999999999999-eu-west-1-other/management-default-00000000"
        .parse()
        .unwrap()
}

/// Its owner hands what was taken over to another hub, and that takes it over.
fn handed_over() -> World {
    let mut world = taken_over();
    let marks = tags(&[
        ("mooring.dev/hub", OTHER_HUB),
        ("mooring.dev/uid", "theirs"),
        ("mooring.dev/object", "theirs"),
        ("mooring.dev/adopt", OTHER_HUB),
    ]);
    world.role().trust = trust::with_ours(&world.role().trust.clone(), &other_management_role()).to_json();
    world.role().tags.extend(marks.clone());
    world.entry().tags.extend(marks);
    world
}

#[test]
fn what_was_handed_to_another_hub_is_that_hubs_also_once_its_tags_are_gone() {
    let mut world = handed_over();
    let all_off = |world: &mut World| {
        world.role().tags.retain(|key, _| !key.starts_with("mooring.dev/"));
        world.entry().tags.retain(|key, _| !key.starts_with("mooring.dev/"));
    };
    let closed = |world: &mut World| {
        world.role().tags.remove("mooring.dev/adopt");
        world.entry().tags.remove("mooring.dev/adopt");
    };
    for (when, change, owner) in [
        ("handed over", (|_: &mut World| {}) as fn(&mut World), OTHER_HUB),
        ("closed", closed, OTHER_HUB),
        ("tags off", all_off, "role/mooring/999999999999-eu-west-1-other/"),
    ] {
        change(&mut world);
        for _ in 0..2 {
            let plan = world.pass();
            let told = messages(&plan);
            assert!(!writes(&plan) && told.contains(owner), "{when}: {plan:?}");
            assert!(
                when == "closed" || !told.contains("aws iam tag-role"),
                "{when}: who does that takes it from that hub: {told}"
            );
        }
        let removal = world.plan_removal();
        assert!(!writes(&removal) && removal.blocked.is_empty(), "{when}: {removal:?}");
        assert!(
            beside(&removal).contains(THEIRS) && beside(&removal).contains(owner),
            "{when}: {removal:?}"
        );
        // Also where it is asked for no more.
        let mut asked_no_more = world.clone();
        asked_no_more.request.adopt = false;
        let plan = asked_no_more.plan();
        assert!(!writes(&plan) && messages(&plan).contains(owner), "{when}: {plan:?}");
    }
    // Its owner gives it back.
    for tags in [
        &mut world.role.as_mut().unwrap().tags,
        &mut world.entry.as_mut().unwrap().tags,
    ] {
        tags.insert("mooring.dev/adopt".into(), HUB.into());
    }
    assert!(writes(&world.pass()));
    world.pass();
    assert!(world.plan().is_clean(), "{:?}", world.plan());
}

#[test]
fn a_mark_of_another_hub_on_a_role_that_is_opened_to_this_one_alone_takes_nothing_from_it() {
    let mut world = taken_over();
    let forged = tags(&[("mooring.dev/hub", OTHER_HUB), ("mooring.dev/uid", "theirs")]);
    world.role().tags.extend(forged.clone());
    world.entry().tags.extend(forged);
    world.entry().tags.remove("mooring.dev/adopt");
    world.role().trust = trust::with_ours("", &other_management_role()).to_json();
    assert!(writes(&world.pass()));
    assert!(world.plan().is_clean());
}

/// Two hubs that both name a role of somebody else's, on one cluster: the entry is handed over, and its tags go.
#[test]
fn two_hubs_do_not_fight_over_an_entry_that_was_handed_over() {
    let existing = format!("adoptExisting: true{EXISTING}");
    let mut ours = World::new(&existing);
    let by_hand = wired_by_hand();
    ours.role.clone_from(&by_hand.role);
    ours.role().trust = trust::with_ours("", &crate::world::management().role).to_json();
    ours.role().tags.clear();
    ours.entry.clone_from(&by_hand.entry);
    ours.associations = by_hand.associations;
    ours.pass();
    ours.pass();
    assert!(ours.plan().is_clean(), "{:?}", ours.plan());

    let mut theirs = ours.clone();
    theirs.request.owner.hub = other_hub();
    theirs.request.owner.uid = SECOND.into();
    theirs.given = None;
    theirs.living = living(&[SECOND]);
    theirs.entry().tags.insert("mooring.dev/adopt".into(), OTHER_HUB.into());
    let plan = theirs.pass();
    assert!(brief(&plan).contains(&"AdoptAccessEntry".to_owned()), "{plan:?}");
    theirs.pass();

    ours.entry.clone_from(&theirs.entry);
    assert!(!writes(&ours.pass()));
    // Whoever has the entry in his code takes every tag off that is not there.
    ours.entry().tags.clear();
    theirs.entry().tags.clear();
    for _ in 0..2 {
        let plan = ours.pass();
        assert!(!writes(&plan) && !plan.blocked.is_empty(), "{plan:?}");
        assert!(!writes(&ours.plan_removal()));
        let plan = theirs.pass();
        assert!(plan.blocked.is_empty(), "{plan:?}");
        ours.entry.clone_from(&theirs.entry);
    }
    assert!(theirs.plan().is_clean());
}

/// What another hub made of what was `handed_over` to it, once both are closed again; and what this hub, which was down
/// meanwhile, still has recorded.
fn closed_while_we_were_down() -> (World, World) {
    let ours = handed_over();
    let mut theirs = ours.clone();
    theirs.request.owner.hub = other_hub();
    theirs.request.owner.uid = "theirs".into();
    theirs.request.owner.object = "theirs".into();
    theirs.living = living(&["theirs"]);
    let mut ours = ours;
    for world in [&mut ours, &mut theirs] {
        world.role().tags.remove("mooring.dev/adopt");
        world.entry().tags.remove("mooring.dev/adopt");
    }
    (ours, theirs)
}

#[test]
fn the_entry_of_a_role_that_was_handed_to_another_hub_goes_with_it_once_both_are_closed() {
    let (mut ours, theirs) = closed_while_we_were_down();
    let arn = ours.entry().arn.clone();
    assert_eq!(ours.given.as_ref().unwrap().arn.as_ref(), Some(&arn), "still recorded");
    // Whatever the spec gives by now.
    for spec in [None, Some("AmazonEKSEditPolicy")] {
        let mut ours = ours.clone();
        if let Some(policy) = spec {
            let narrowed = crate::ownership::TAKEN_OVER.replace("AmazonEKSClusterAdminPolicy", policy);
            ours.request = request(&narrowed);
        }
        let removal = ours.plan_removal();
        assert!(!writes(&removal) && removal.blocked.is_empty(), "{removal:?}");
        assert!(
            beside(&removal).contains(&arn) && beside(&removal).contains(OTHER_HUB),
            "{removal:?}"
        );
        let cut = crate::standing_back::cut(&ours);
        assert_eq!(brief(&cut), ["!AccessEntryNotOurs"], "{cut:?}");
        for adopt in [true, false] {
            let mut ours = ours.clone();
            ours.request.adopt = adopt;
            for _ in 0..2 {
                let plan = ours.pass();
                assert!(!writes(&plan) && messages(&plan).contains(OTHER_HUB), "{plan:?}");
            }
            assert_eq!(ours.given, None, "it is forgotten");
            // And stays that hub's when its owner takes every tag off again.
            ours.entry().tags.clear();
            assert!(!writes(&ours.pass()) && !writes(&ours.plan_removal()));
        }
    }

    // Nor does the other side have anything to mend after that.
    let mut theirs = theirs;
    ours.pass();
    theirs.entry.clone_from(&ours.entry);
    theirs.role.clone_from(&ours.role);
    let entry = theirs.entry.clone();
    let settled = theirs.pass();
    assert!(
        !settled
            .steps
            .iter()
            .any(|step| matches!(step.part(), Part::AccessEntry))
            && theirs.entry == entry,
        "{settled:?}"
    );
}

/// Anybody writes a tag who may tag: while the role is ours its entry is, by what was recorded.
#[test]
fn an_entry_with_the_mark_of_another_hub_is_ours_as_long_as_its_role_is() {
    let forged = tags(&[("mooring.dev/hub", OTHER_HUB), ("mooring.dev/uid", "theirs")]);
    let still_ours = |world: &World, case: &str| {
        let arn = world.entry.as_ref().unwrap().arn.clone();
        let mut passed = world.clone();
        let plan = passed.pass();
        assert!(brief(&plan).contains(&"TagAccessEntry".to_owned()), "{case}: {plan:?}");
        assert_eq!(passed.given.as_ref().unwrap().arn.as_ref(), Some(&arn), "{case}");
        let cut = brief(&crate::standing_back::cut(world));
        assert!(cut.contains(&"DeleteAccessEntry".to_owned()), "{case}: {cut:?}");
        let removal = world.plan_removal();
        let entry = removal.steps.iter().any(|step| step.part() == Part::AccessEntry);
        assert!(entry, "{case}: {removal:?}");
    };
    let mut closed = taken_over();
    closed.entry().tags.extend(forged.clone());
    closed.entry().tags.remove("mooring.dev/adopt");
    still_ours(&closed, "its role bears our mark");

    // Under our own path no role is handed over, whatever it bears and whomever it lets in.
    let mut made = World::moored(ADMIN);
    made.entry().tags.extend(forged.clone());
    made.role().tags.extend(forged.clone());
    made.role().trust = trust::with_ours("", &other_management_role()).to_json();
    still_ours(&made, "its role stands under our path");

    // The entry of a role that is that hub's, and that its owner has opened to us.
    let (mut opened, _) = closed_while_we_were_down();
    opened.entry().tags.insert("mooring.dev/adopt".into(), HUB.into());
    let removal = opened.plan_removal();
    assert!(
        removal.steps.iter().any(|step| step.part() == Part::AccessEntry),
        "{removal:?}"
    );
    // Its tags say nothing, and its role is that hub's: what was made for a cluster that only we moor is taken away.
    let (mut bare, _) = closed_while_we_were_down();
    bare.entry().tags.clear();
    let removal = bare.plan_removal();
    assert!(
        removal.steps.iter().any(|step| step.part() == Part::AccessEntry),
        "{removal:?}"
    );
}

#[test]
fn an_entry_that_another_living_object_has_recorded_is_left_to_it() {
    let mut world = taken_over();
    let arn = world.entry().arn.clone();
    world.entry().tags.clear();
    assert!(writes(&world.plan()), "ours by what was recorded");
    let other = |going| Lives {
        name: "second".into(),
        entry: Some(arn.clone()),
        going,
        ..Lives::default()
    };
    world.living.insert(SECOND.into(), other(true));
    assert!(writes(&world.plan_removal()), "it goes itself");
    world.living.insert(SECOND.into(), other(false));
    let removal = world.plan_removal();
    let entry = removal.steps.iter().any(|step| step.part() == Part::AccessEntry);
    assert!(!entry, "{removal:?}");
    // Whatever its owner opened before, it is not taken over from an object that stands on it.
    let hub = world.request.owner.hub.to_string();
    world.entry().tags.insert("mooring.dev/adopt".into(), hub);
    for adopt in [true, false] {
        world.request.adopt = adopt;
        let plan = world.pass();
        assert!(messages(&plan).contains("ManagedCluster second"), "{plan:?}");
        assert!(
            !plan.steps.iter().any(|step| step.part() == Part::AccessEntry),
            "{plan:?}"
        );
    }
}

/// Anybody may write it who may tag.
#[test]
fn the_mark_of_another_object_alone_takes_no_role_from_the_one_that_has_recorded_it() {
    let mut world = taken_over();
    world.living.insert(SECOND.into(), Lives::default());
    let lives = first_lives(&world);
    world.living.insert(UID.into(), lives);
    world.role().tags.insert("mooring.dev/uid".into(), SECOND.into());
    let plan = world.plan();
    assert!(plan.blocked.is_empty(), "{plan:?}");
    assert_eq!(brief(&plan), ["TagRole"]);
    // That object has recorded it as well: it is that one's.
    let role = world.recorded_role.clone();
    world.living.insert(
        SECOND.into(),
        Lives {
            role,
            ..Lives::default()
        },
    );
    let plan = world.plan();
    assert!(!writes(&plan) && !plan.blocked.is_empty(), "{plan:?}");
}

/// Under our path two objects may choose one name, and anybody may tag.
#[test]
fn a_role_under_our_path_of_a_living_object_is_neither_made_afresh_nor_deleted_nor_said_to_be_nobodys() {
    let named = |cluster: &str| {
        request(&format!(
            "{}clusterName: {cluster}\n",
            ADMIN.replace("access:\n", "access:\n  deployerRole: {name: chosen}\n")
        ))
    };
    let mut first = World::new(ADMIN);
    first.request = named("prod-eu");
    first.pass();
    let of = |cluster: &str, lives: Lives| {
        let mut world = World::new(ADMIN);
        world.request = named(cluster);
        world.request.owner.uid = SECOND.into();
        world.request.identity.uid = SECOND.into();
        world.role.clone_from(&first.role);
        world.living = living(&[SECOND]);
        world.living.insert(UID.into(), lives);
        world
    };
    let lives = first_lives(&first);
    let told = |world: &World| {
        let plan = world.plan();
        assert_eq!(brief(&plan), ["!RoleNotOurs"], "{plan:?}");
        messages(&plan)
    };
    let same = told(&of("prod-eu", lives.clone()));
    assert!(
        same.contains("one too many: delete the one that has no cluster Secret"),
        "{same}"
    );
    let another = told(&of("prod-us", lives.clone()));
    assert!(
        another.contains("cluster/prod-eu by it")
            && another.contains("another access.deployerRole.name")
            && !another.contains("delete"),
        "{another}"
    );
    // Its tags are off, or those of the second are on it.
    let mut bare = of("prod-us", lives.clone());
    bare.role().tags.clear();
    let message = told(&bare);
    assert!(
        message.contains("ManagedCluster prod-eu") && !message.contains("delete"),
        "{message}"
    );
    let mut forged = of("prod-us", lives);
    let owner = forged.request.owner.clone();
    forged.role().tags.extend(owner.tags());
    assert!(told(&forged).contains("ManagedCluster prod-eu"));
    assert!(!writes(&forged.plan_removal()));
    forged.living = Living::default();
    assert!(writes(&forged.plan_removal()));
}
