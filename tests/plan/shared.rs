//! What others have a part in: what is recorded of it, what stays theirs, and what its owner closes again; by example.

use std::collections::BTreeSet;

use mooring::{
    api::AccessEntryStatus,
    domain::{arn::RoleArn, eks::AccessScope, ownership::Owner},
    managed_cluster::{
        Blocked, Part, Plan, Step,
        living::Lives,
        plan::{existing_role, suspended},
    },
    policy::trust,
};

use crate::{
    ownership::{EXISTING, HUB, TAKE_OVER, TAKEN_OVER, THEIRS, policy, tags, wired_by_hand},
    world::{ADMIN, World, brief, endpoint, foreign_secret, request},
};

const OTHER_HUB: &str = "arn:aws:eks:eu-west-1:999999999999:cluster/other";

/// A world that was wired by hand and is ours by now.
fn taken_over() -> World {
    let mut world = wired_by_hand();
    world.pass();
    world.pass();
    assert!(world.plan().is_clean());
    world
}

fn messages(plan: &Plan) -> String {
    plan.blocked.iter().map(Blocked::message).collect::<Vec<_>>().join("\n")
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Terraform makes its role anew, and whoever opened the former one does not know: the access is gone, and that is told
/// before what keeps the new one from being taken over.
#[test]
fn a_role_that_was_taken_over_and_made_again_is_told_as_that_until_its_owner_opens_the_new_one() {
    let mut world = taken_over();
    let former = world.role().id.clone();
    world.role().id = "AROANEW".into();
    world.role().tags.clear();
    let entry = world.entry.clone();
    for _ in 0..3 {
        let plan = world.pass();
        assert_eq!(brief(&plan), ["!StalePrincipal"]);
        let told = messages(&plan);
        let open = format!("aws iam tag-role --role-name argocd-prod --tags Key=mooring.dev/adopt,Value={HUB}");
        for part in [
            &former,
            "AROANEW",
            "lets nobody in",
            "not taken over: the owner of the account",
            &open,
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
    assert_eq!(world.entry, entry, "nothing is written");
    assert!(!world.role().tags.keys().any(|key| key.starts_with("mooring.dev/")));
    world.role().tags.insert("mooring.dev/adopt".into(), HUB.into());
    for _ in 0..3 {
        world.pass();
    }
    let told = messages(&world.plan());
    assert!(
        told.contains("for a role that is gone") && told.contains("Delete it"),
        "others gave it something: {told}"
    );
    world.entry = None;
    world.associations.clear();
    for _ in 0..3 {
        world.pass();
    }
    assert!(world.plan().is_clean() && world.entry.is_some());
}

/// Somebody sets another hub's statement in the place of ours, on a role that is opened to this hub: whom putting ours back shuts
/// out is said.
#[test]
fn whose_statement_ours_takes_the_place_of_is_said() {
    let mut world = taken_over();
    let other: RoleArn =
        "arn:aws:iam::999999999999:role/mooring/999999999999-eu-west-1-other/management-default-00000000"
            .parse()
            .unwrap();
    world.role().trust = trust::with_ours(&world.role().trust.clone(), &other).to_json();
    let words: Vec<String> = world.pass().steps.iter().map(Step::words).collect();
    let says =
        format!("beside what stands there and in the place of the statement for {other}, which that lets in no more");
    assert!(words.len() == 1 && words[0].ends_with(&says), "{words:?}");
    assert!(world.plan().is_clean());
}

/// The owner takes the tag off: nothing can be written to the role, which only matters once something has to be.
#[test]
fn a_role_that_its_owner_closes_again_is_kept_as_it_is_and_what_is_not_done_is_told() {
    let open = format!("aws iam tag-role --role-name argocd-prod --tags Key=mooring.dev/adopt,Value={HUB}");
    for closed in [None, Some(OTHER_HUB)] {
        let mut world = taken_over();
        world.role().tags.remove("mooring.dev/adopt");
        let closed = closed.map(|hub| ("mooring.dev/adopt".to_owned(), hub.to_owned()));
        world.role().tags.extend(closed);
        assert!(world.plan().is_clean(), "nothing is to be written to it");

        // Whatever else is to be done is done, and narrowed first of all.
        world.role().boundary = None;
        world.request = request(&TAKEN_OVER.replace("ClusterAdmin", "Edit"));
        let before = world.role.clone();
        let plan = world.pass();
        assert_eq!(
            brief(&plan),
            [
                "Associate AmazonEKSEditPolicy",
                "Disassociate AmazonEKSClusterAdminPolicy",
                "!NotOpened"
            ]
        );
        let told = messages(&plan);
        assert!(
            told.contains(THEIRS) && told.contains("boundary") && told.contains(&open),
            "{told}"
        );
        assert!(plan.blocked[0].stalled(), "a person has to act");
        assert_eq!(brief(&world.pass()), ["!NotOpened"]);
        assert_eq!(world.role, before);

        // The tag is set again, and it goes on.
        world.role().tags.insert("mooring.dev/adopt".into(), HUB.into());
        assert_eq!(brief(&world.pass()), ["SetBoundary"]);
        assert!(world.plan().is_clean());
    }
}

#[test]
fn the_removal_of_a_role_that_its_owner_has_closed_waits_and_says_how_to_open_it() {
    let mut world = taken_over();
    world.role().tags.remove("mooring.dev/adopt");
    let removal = world.plan_removal();
    assert_eq!(
        brief(&removal),
        ["DeleteSecret", "Disassociate AmazonEKSClusterAdminPolicy", "!NotOpened"]
    );
    assert!(
        messages(&removal).contains("aws iam tag-role --role-name argocd-prod"),
        "{}",
        messages(&removal)
    );
    for step in &removal.steps {
        world.apply(step);
    }
    assert_eq!(
        brief(&world.plan_removal()),
        ["!NotOpened"],
        "nothing is lost by waiting"
    );
    world.role().tags.insert("mooring.dev/adopt".into(), HUB.into());
    let removal = world.plan_removal();
    assert_eq!(brief(&removal), ["LeaveRole"]);
    world.apply(&removal.steps[0]);
    assert_eq!(brief(&world.plan_removal()), [""; 0]);

    // Its owner takes our statement out himself, or deletes the role: nothing is left to do.
    let mut world = taken_over();
    let theirs = wired_by_hand().role().trust.clone();
    world.role().tags.remove("mooring.dev/adopt");
    world.role().trust = theirs;
    assert!(!brief(&world.plan_removal()).contains(&"!NotOpened".to_owned()));
    world.role = None;
    assert!(!brief(&world.plan_removal()).contains(&"!NotOpened".to_owned()));
}

/// Under our path our own tags do not make a role ours, and a tag for another hub opens nothing to this one.
#[test]
fn a_role_under_our_path_with_forged_tags_is_taken_over_only_where_it_was_opened_to_this_hub() {
    let forged = |opened: &str| {
        let mut world = World::moored(&format!("{ADMIN}adoptExisting: true\n"));
        world.role().id = "AROASTRANGER".into();
        world.role().tags.insert("mooring.dev/adopt".into(), opened.into());
        world
    };
    assert_eq!(brief(&forged(OTHER_HUB).plan()), ["!StalePrincipal"]);
    let ours = forged(HUB);
    assert!(
        messages(&ours.plan()).contains("access entry was made for role ID"),
        "{}",
        messages(&ours.plan())
    );
    let mut world = forged(HUB);
    (world.entry, world.recorded_role) = (None, None);
    assert_eq!(brief(&world.plan())[0], "AdoptRole");
    let mut unwished = World::moored(ADMIN);
    unwished.role().id = "AROASTRANGER".into();
    unwished.role().tags.insert("mooring.dev/adopt".into(), HUB.into());
    (unwished.entry, unwished.recorded_role) = (None, None);
    assert_eq!(
        brief(&unwished.plan()),
        ["!StalePrincipal"],
        "nobody wants it taken over, so it is made afresh once a second look agrees"
    );
}

/// Without `name` Argo CD calls a cluster by its server, and without `project` it is for all of them (Argo CD,
/// `util/db/cluster.go`, `SecretToCluster`).
#[test]
fn a_secret_by_hand_that_names_neither_itself_nor_a_project_is_taken_over() {
    let mut world = wired_by_hand();
    let data = world.secret().data.as_mut().unwrap();
    assert!(data.remove("name").is_some() && !data.contains_key("project"));
    assert_eq!(brief(&world.plan()), TAKE_OVER);
}

#[test]
fn of_two_secrets_by_hand_for_one_server_none_is_taken_over() {
    let mut world = wired_by_hand();
    let second = foreign_secret("second", endpoint(), "second");
    world.secrets.insert("second".into(), second);
    let plan = world.plan();
    assert_eq!(brief(&plan), ["!DuplicateCluster"]);
    assert!(
        messages(&plan).contains("Leave one of them and delete the others"),
        "{}",
        messages(&plan)
    );
}

#[test]
fn what_a_lost_object_left_behind_gets_its_description_back() {
    let mut world = World::moored(&format!("{ADMIN}adoptExisting: true\n"));
    let gone = Owner {
        uid: "gone".into(),
        ..world.request.owner.clone()
    };
    world.role().tags.extend(gone.tags());
    world.role().description = Some("by hand".into());
    world.role().longest_session = Some(43_200);
    (world.recorded_role, world.entry) = (None, None);
    assert_eq!(brief(&world.pass())[..2], ["UpdateRole", "AdoptRole"]);
    // What others have a part in keeps theirs.
    let mut world = wired_by_hand();
    world.role().longest_session = Some(43_200);
    assert_eq!(brief(&world.pass()), TAKE_OVER);
}

#[test]
fn what_is_recorded_of_an_entry_of_ours_outlives_a_look_that_does_not_show_it() {
    let mut world = World::moored(ADMIN);
    world.pass();
    let ours = world.given.clone().unwrap();
    assert_eq!(
        (ours.adopted, ours.arn.as_ref()),
        (Some(false), world.entry.as_ref().map(|entry| &entry.arn))
    );

    let mut unseen = world.clone();
    unseen.entry = None;
    unseen.given.as_mut().unwrap().lost = set(&["Kubernetes group theirs"]);
    assert_eq!(
        unseen.recorded(),
        Some(ours.clone()),
        "and what a suspension took is told once"
    );

    let mut theirs = world.clone();
    theirs.entry().arn = "arn:another".into();
    theirs.entry().tags.clear();
    assert_eq!(
        theirs.recorded(),
        None,
        "another's entry in its place is not ours, and ours is gone"
    );
    theirs.entry().arn = ours.arn.clone().unwrap();
    assert_eq!(theirs.recorded(), Some(ours), "by its ARN it is, whatever its tags");

    world.entry = None;
    world.given = Some(AccessEntryStatus {
        lost: set(&["Kubernetes group theirs"]),
        ..AccessEntryStatus::default()
    });
    assert_eq!(world.recorded(), None, "nothing that stands is recorded");
}

#[test]
fn of_an_entry_that_was_taken_over_what_the_spec_gave_is_recorded_while_it_stands() {
    let mut world = taken_over();
    world.request.groups = set(&["ours"]);
    world.pass();
    let given = world.recorded().unwrap();
    assert_eq!(given.adopted, Some(true));
    assert_eq!(given.kubernetes_groups, set(&["ours"]));
    assert_eq!(given.policies, set(&[policy("AmazonEKSClusterAdminPolicy").as_str()]));

    let known = world.given.as_mut().unwrap();
    known.lost = set(&["Kubernetes group theirs"]);
    known.kubernetes_groups = set(&["gone", "former"]);
    known.policies = set(&["arn:gone", policy("AmazonEKSViewPolicy").as_str()]);
    world.entry().groups.insert("former".into());
    let given = world.recorded().unwrap();
    assert_eq!(given.lost, BTreeSet::new());
    assert_eq!(
        given.kubernetes_groups,
        set(&["former", "ours"]),
        "what stands there no more is forgotten"
    );
    assert_eq!(
        given.policies,
        set(&[
            policy("AmazonEKSClusterAdminPolicy").as_str(),
            policy("AmazonEKSViewPolicy").as_str()
        ])
    );
    // Before it bears our mark it is not recorded as ours.
    let fresh = wired_by_hand().recorded().unwrap();
    assert_eq!((fresh.arn, fresh.adopted), (None, Some(true)));
}

#[test]
fn only_the_existing_role_that_the_spec_names_is_recorded() {
    let mut world = World::new(EXISTING);
    let mut role = wired_by_hand().role.unwrap();
    assert!(existing_role(&world.desired(), Some(&role)).is_some());
    role.arn = "arn:aws:iam::222222222222:role/ci/argocd-prod".into();
    assert_eq!(existing_role(&world.desired(), Some(&role)), None);
    world.request = request(ADMIN);
    assert_eq!(existing_role(&world.desired(), Some(&role)), None);
}

/// Of an entry whose role is gone only what others gave is named: the rest Mooring gives again.
#[test]
fn what_is_told_of_a_stale_entry_is_what_others_gave_it() {
    let stale = |change: fn(&mut World)| {
        let mut world = taken_over();
        change(&mut world);
        world.role().id = "AROAAGAIN".into();
        world.recorded_role = Some("AROAAGAIN".into());
        messages(&world.plan())
    };
    let told = stale(|world| {
        world.given.as_mut().unwrap().kubernetes_groups.insert("former".into());
        world.entry().groups.insert("former".into());
        world.request = request(&TAKEN_OVER.replace("ClusterAdmin", "Edit"));
    });
    assert!(
        told.contains("others gave it AmazonEKSViewPolicy, theirs, which"),
        "{told}"
    );
    let told = stale(|world| {
        world.entry().groups.clear();
        world.associations.remove(&policy("AmazonEKSViewPolicy"));
        world.entry().username = Some("alice".into());
    });
    assert!(told.contains("others gave it user name alice, which"), "{told}");
}

/// What this hub made for an object that is no more is the new object's whole. What another hub made, or what bears our
/// tags without saying for which role, others may have a part in.
#[test]
fn others_have_a_part_in_all_but_what_this_hub_made() {
    for (marks, shared) in [
        (
            &[("mooring.dev/hub", HUB), ("mooring.dev/role-id", "AROATHEIRS")][..],
            false,
        ),
        (
            &[("mooring.dev/hub", OTHER_HUB), ("mooring.dev/role-id", "AROATHEIRS")],
            true,
        ),
        (&[("mooring.dev/hub", HUB)], true),
    ] {
        let mut world = wired_by_hand();
        world.entry().tags = tags(&[("mooring.dev/uid", "gone"), ("mooring.dev/adopt", HUB)]);
        world.entry().tags.extend(tags(marks));
        world.pass();
        assert_eq!(world.entry().groups.contains("theirs"), shared, "{marks:?}");
        assert_eq!(
            world.associations.contains_key(&policy("AmazonEKSViewPolicy")),
            shared,
            "{marks:?}"
        );
        assert_eq!(
            world.entry().tags.contains_key("mooring.dev/adopted"),
            shared,
            "{marks:?}"
        );
    }
}

/// While a role of others stands under our name, our entry is narrowed and given nothing.
#[test]
fn beside_a_role_that_is_not_ours_the_entry_is_not_widened() {
    let scope = |names: &[&str]| AccessScope::Namespaces(set(names));
    let mut world = World::moored(ADMIN);
    let admin = policy("AmazonEKSClusterAdminPolicy");
    world.role().id = "AROATHEIRS".into();
    world.role().tags = tags(&[("terraform", "yes")]);
    world.associations.insert(admin.clone(), scope(&["a"]));
    assert_eq!(brief(&world.plan()), ["!StalePrincipal"], "the spec gives more");
    world.associations.insert(admin, AccessScope::Cluster);
    world.associations.insert(policy("AmazonEKSViewPolicy"), scope(&["a"]));
    assert_eq!(
        brief(&world.plan()),
        ["Disassociate AmazonEKSViewPolicy", "!StalePrincipal"]
    );
}

#[test]
fn of_two_that_want_one_server_or_name_in_argo_cd_the_second_gives_way() {
    let world = World::new(ADMIN);
    let none = world.found();
    let with = |change: &dyn Fn(&mut World)| {
        let mut world = world.clone();
        world.living.insert("living".into(), Lives::default());
        world
            .secrets
            .insert("theirs".into(), foreign_secret("theirs", endpoint(), "theirs"));
        change(&mut world);
        world.plan()
    };
    let plan = with(&|_| {});
    assert_eq!(brief(&plan).last().unwrap(), "!DuplicateCluster");
    assert!(
        messages(&plan).contains(
            "so have it taken over: set spec.adoptExisting, and spec.argocd.name to \"theirs\", its name there, and `kubectl annotate secret -n argocd theirs mooring.dev/adopt="
        ),
        "{}",
        messages(&plan)
    );
    let two = with(&|world| {
        let too = foreign_secret("theirs-too", endpoint(), "theirs-too");
        world.secrets.insert("theirs-too".into(), too);
    });
    let told = messages(&two);
    assert!(
        told.contains("Leave one of them and delete the others"),
        "it takes over one: {told}"
    );
    let plan = with(&|world| {
        let marks = tags(&[("mooring.dev/uid", "living"), ("mooring.dev/managed-cluster", "first")]);
        world.secret().metadata.annotations = Some(marks);
    });
    let told = messages(&plan);
    assert!(
        told.contains("that of ManagedCluster first") && told.contains("already: delete this one"),
        "{told}"
    );

    // Role and entry are made all the same; they are told of once they stand, and not before.
    let second = |change: &dyn Fn(&mut World)| {
        let mut world = world.clone();
        let theirs = foreign_secret("theirs", endpoint(), "theirs");
        world.secrets.insert("theirs".into(), theirs);
        change(&mut world);
        world
    };
    let lets_in = "by them Argo CD's management role is let in on the cluster";
    let mut made = second(&|_| {});
    assert!(!messages(&made.plan()).contains(lets_in), "nothing stands yet");
    made.pass();
    let told = messages(&made.plan());
    let role = made.request.deployer.to_string();
    assert!(told.contains(lets_in) && told.contains(&role), "{told}");
    // An entry of somebody else's gives nothing by this object.
    made.entry().tags.clear();
    made.given = None;
    assert!(!messages(&made.plan()).contains(lets_in), "{}", messages(&made.plan()));

    // One that is about to write its Secret has it as well.
    let mut claimed = none.clone();
    claimed.claimed = vec!["first".into()];
    let plan = world.plan_with(&world.spoke(), &claimed);
    assert_eq!(brief(&plan).last().unwrap(), "!DuplicateCluster");
    assert!(
        messages(&plan).contains("that of ManagedCluster first"),
        "{}",
        messages(&plan)
    );

    // What goes is in nobody's way.
    let mut going = with_secret(&world);
    for other in &mut going.others {
        other.deleting = true;
    }
    assert_eq!(
        brief(&world.plan_with(&world.spoke(), &going)).last().unwrap(),
        "ApplySecret"
    );
}

fn with_secret(world: &World) -> mooring::managed_cluster::observe::Secrets {
    let mut world = world.clone();
    world
        .secrets
        .insert("theirs".into(), foreign_secret("theirs", endpoint(), "theirs"));
    let found = world.found();
    assert_eq!(found.others.len(), 1);
    found
}

/// An immutable Secret that holds what the spec gives already is taken over: only its labels and annotations are written.
#[test]
fn an_immutable_secret_that_holds_what_is_wanted_is_taken_over() {
    let mut world = taken_over();
    let mut secret = world.secret().clone();
    secret.immutable = Some(true);
    let annotations = secret.metadata.annotations.as_mut().unwrap();
    annotations.retain(|key, _| !key.starts_with("mooring.dev/"));
    annotations.insert("mooring.dev/adopt".into(), "prod-eu".into());
    let mut world = wired_by_hand();
    *world.secret() = secret;
    assert_eq!(brief(&world.plan()), TAKE_OVER);
}

/// A Secret of ours that stands is kept, and one that others made beside it is not taken over as well.
#[test]
fn nothing_is_taken_over_beside_a_secret_of_ours() {
    let world = taken_over();
    let fresh = wired_by_hand().found();
    let mut both = world.found();
    both.others = fresh.others;
    both.adoptable = fresh.adoptable;
    assert!(both.adoptable.is_some() && !both.own.is_empty());
    assert_eq!(brief(&world.plan_with(&world.spoke(), &both)), ["!DuplicateCluster"]);
}

/// Argo CD shards by the UID of the Secret that it knew first.
#[test]
fn of_two_secrets_of_ours_the_recorded_one_stays_whatever_its_name() {
    let mut world = World::moored(ADMIN);
    let wanted = world.secret().clone();
    let mut known = wanted.clone();
    known.metadata.name = Some("known-before".to_owned());
    known.metadata.uid = Some("known-before".to_owned());
    world.secrets.insert("known-before".into(), known);
    world.recorded_secret = Some("known-before".to_owned());
    let plan = world.plan();
    let gone: Vec<&str> = plan.steps.iter().filter_map(deleted_secret).collect();
    assert_eq!(gone, [wanted.metadata.name.as_deref().unwrap()], "{plan:?}");
}

fn deleted_secret(step: &Step) -> Option<&str> {
    if let Step::DeleteSecret { name, .. } = step {
        Some(name)
    } else {
        None
    }
}

#[test]
fn what_is_not_ours_to_remove_is_neither_waited_for_nor_touched() {
    // Marked in the middle of an adoption, opened to another hub by now, and never recorded.
    let mut world = wired_by_hand();
    world.break_off(3);
    world.role().tags.insert("mooring.dev/adopt".into(), OTHER_HUB.into());
    let steps = brief(&world.plan_removal());
    assert!(
        !steps.contains(&"LeaveRole".to_owned()) && !steps.contains(&"!NotOpened".to_owned()),
        "{steps:?}"
    );
    // Somebody else's, and held by its owner.
    let mut world = World::moored(ADMIN);
    world.role().tags = tags(&[("mooring.dev/hold", "incident")]);
    (world.recorded_role, world.entry) = (Some("AROAFORMER".into()), None);
    assert_eq!(brief(&world.plan_removal()), ["DeleteSecret"]);
    // AWS gives the ID in the place of the ARN right after a role was made.
    let mut world = World::moored(ADMIN);
    world.role().arn = world.role().id.clone();
    assert_eq!(brief(&world.plan_removal()).last().unwrap(), "!Propagating");
}

#[test]
fn beside_policies_of_others_an_entry_that_is_not_ours_is_left_alone() {
    let mut world = World::moored(&format!(
        "{ADMIN}  deployerRole: {{permissionsBoundary: \"arn:aws:iam::222222222222:policy/b\"}}\n"
    ));
    world.policies.inline.insert("s3".into());
    world
        .associations
        .insert(policy("AmazonEKSViewPolicy"), AccessScope::Cluster);
    assert_eq!(
        brief(&world.plan()),
        ["Disassociate AmazonEKSViewPolicy", "!ForeignPolicyAttached"],
        "ours is narrowed all the same"
    );
    (world.entry().arn, world.entry().tags) = ("arn:another".into(), tags(&[("terraform", "yes")]));
    let mut told = brief(&world.plan());
    told.sort();
    assert_eq!(told, ["!AccessEntryNotOurs", "!ForeignPolicyAttached"]);

    // Nor is it taken over meanwhile, and the role is mended all the same.
    world.request.adopt = true;
    let for_it = world.role().id.clone();
    world.entry().tags = tags(&[("mooring.dev/adopt", HUB), ("mooring.dev/role-id", &for_it)]);
    world.role().boundary = None;
    assert_eq!(brief(&world.plan()), ["SetBoundary", "!ForeignPolicyAttached"]);
}

/// What is the matter with a Secret keeps an entry from being taken over, and not the role that was Mooring's before from being
/// closed to whom somebody let in.
#[test]
fn an_adoption_that_waits_keeps_no_role_from_being_mended() {
    let mut world = World::moored(&format!("{ADMIN}adoptExisting: true\n"));
    let for_it = world.role().id.clone();
    (world.entry().arn, world.entry().tags) = (
        "arn:another".into(),
        tags(&[("mooring.dev/adopt", HUB), ("mooring.dev/role-id", &for_it)]),
    );
    world.role().trust.clear();
    let adopts = brief(&world.plan());
    assert_eq!(adopts[..2], ["SetTrust", "AdoptAccessEntry"], "{adopts:?}");
    world
        .secrets
        .insert("d".into(), foreign_secret("d", "https://other", "prod-eu"));
    assert_eq!(brief(&world.plan()), ["SetTrust", "!DuplicateCluster"]);
    // One that is none of ours is not, and not let out of its boundary either.
    world.recorded_role = Some("AROAFORMER".into());
    assert!(
        brief(&world.plan()).iter().all(|told| told.starts_with('!')),
        "{:?}",
        brief(&world.plan())
    );
}

#[test]
fn an_entry_that_others_made_for_a_role_that_is_not_there_is_left_to_them() {
    let mut world = World::new(&format!("{ADMIN}adoptExisting: true\n"));
    let mut entry = wired_by_hand().entry.unwrap();
    entry.principal = world.request.deployer.to_string();
    world.entry = Some(entry);
    let plan = world.plan();
    assert_eq!(brief(&plan), ["!StalePrincipal"]);
    assert!(
        messages(&plan).contains("nobody can tell for which it was made"),
        "{}",
        messages(&plan)
    );
}

#[test]
fn what_the_spec_gave_is_not_said_to_be_lost_by_a_suspension() {
    let world = taken_over();
    let mut entry = world.entry.clone().unwrap();
    entry.groups.insert("ours".into());
    let mut given = world.given.clone().unwrap();
    given.kubernetes_groups.insert("ours".into());
    let lost = suspended::lost(&entry, Ok(&world.associations), Some(&given));
    assert_eq!(
        lost,
        set(&[
            "Kubernetes group theirs",
            "access policy AmazonEKSViewPolicy in the whole cluster"
        ])
    );
}

#[test]
fn nothing_is_recorded_as_made_of_a_role_that_somebody_else_owns() {
    let status = serde_json::from_value(serde_json::json!({
        "conditions": [], "deployerRole": {"arn": THEIRS, "id": "AROATHEIRS"},
    }))
    .unwrap();
    assert_eq!(request(EXISTING).identity.recorded_role(&status), None);
    assert_eq!(request(TAKEN_OVER).identity.recorded_role(&status), Some("AROATHEIRS"));
}

/// Somebody whom others let in by the trust policy of their role is deleted: AWS shows his unique ID from then on, and takes
/// no document with it.
#[test]
fn who_is_gone_from_the_trust_policy_of_others_is_named_and_taken_out_also_when_the_role_is_left() {
    const GHOST: &str = "AROAEXAMPLEEXAMPLE123";
    let with_ghost = |alone: bool| {
        let mut world = taken_over();
        let principal = if alone {
            format!("\"{GHOST}\"")
        } else {
            format!("[\"{GHOST}\",\"arn:aws:iam::111111111111:root\"]")
        };
        let by_hand = "\"arn:aws:iam::111111111111:role/argocd-manager\"";
        let trust = world.role().trust.replace(by_hand, &principal);
        assert!(trust.contains(GHOST), "{trust}");
        world.role().trust = trust;
        world
    };
    for alone in [false, true] {
        let mut world = with_ghost(alone);
        let plan = world.pass();
        assert_eq!(brief(&plan), ["AddTrust"]);
        assert!(
            plan.steps[0].meets_a_ghost() && plan.steps[0].words().contains(GHOST),
            "{plan:?}"
        );
        assert!(world.plan().is_clean());

        let mut world = with_ghost(alone);
        let removal = world.plan_removal();
        for step in &removal.steps {
            world.apply(step);
        }
        let last = removal.steps.last().unwrap();
        if alone {
            assert!(world.role.is_none(), "nobody has a part in it: {removal:?}");
        } else {
            assert!(last.meets_a_ghost() && last.words().contains(GHOST), "{removal:?}");
            assert!(world.role().trust.contains("arn:aws:iam::111111111111:root"));
            let again = world.plan_removal();
            assert!(
                !again.steps.iter().any(|step| step.part() == Part::DeployerRole),
                "{again:?}"
            );
        }
    }
    // Where nothing of ours is in it, the ghost is theirs.
    let mut world = with_ghost(false);
    world.role().trust = trust::without_ours(&world.role().trust).unwrap().to_json().replace(
        "\"arn:aws:iam::111111111111:root\"",
        &format!("[\"{GHOST}\",\"arn:aws:iam::111111111111:root\"]"),
    );
    assert!(world.role().trust.contains(GHOST));
    let removal = world.plan_removal();
    assert!(
        !removal.steps.iter().any(|step| step.part() == Part::DeployerRole),
        "{removal:?}"
    );
}
