//! Two hubs that name one role, and its access entry on one cluster: whatever their owner opens, closes and tags in
//! between, they come to rest, and one of them has it.

use mooring::{
    aws::Role,
    domain::{arn::ClusterArn, eks::AccessEntry},
    managed_cluster::{Part, Plan},
    policy::trust,
};
use proptest::prelude::*;

use crate::{
    ownership::{EXISTING, HUB, TAKEN_OVER, THEIRS, wired_by_hand},
    two_owners::{OTHER_HUB, SECOND, other_management_role},
    world::{PASSES, World, living, management},
};

/// Something that happens to what both name.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A pass of the one hub or of the other.
    Pass(usize),
    /// The owner opens both to one hub.
    Open(usize),
    Close,
    /// The owner's tool takes off every tag that is not in its code.
    Untag,
}

const HUBS: [&str; 2] = [HUB, OTHER_HUB];

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (0..2_usize).prop_map(Event::Pass),
        2 => (0..2_usize).prop_map(Event::Open),
        1 => Just(Event::Close),
        1 => Just(Event::Untag),
    ];
    proptest::collection::vec(event, 0..12)
}

/// Both hubs; what they share is that of the first.
fn hubs(existing: bool, entry: bool) -> [World; 2] {
    let spec = if existing {
        format!("adoptExisting: true{EXISTING}")
    } else {
        TAKEN_OVER.to_owned()
    };
    let mut first = World::new(&spec);
    let by_hand = wired_by_hand();
    first.role.clone_from(&by_hand.role);
    if entry {
        first.entry.clone_from(&by_hand.entry);
        first.associations = by_hand.associations;
        first.pinned = by_hand.pinned;
    }
    if existing {
        // Whose role it is has let both in.
        let both = trust::with_ours("", &management().role).to_json().replace(
            &format!("\"{}\"", management().role),
            &format!("[\"{}\",\"{}\"]", management().role, other_management_role()),
        );
        first.role().trust = both;
    }
    let mut second = first.clone();
    second.request.owner.hub = ClusterArn {
        account: "999999999999".parse().unwrap(),
        region: "eu-west-1".parse().unwrap(),
        name: "other".parse().unwrap(),
    };
    assert_eq!(second.request.owner.hub.to_string(), OTHER_HUB);
    second.request.owner.uid = SECOND.into();
    second.request.identity.uid = SECOND.into();
    second.management.role = other_management_role();
    second.living = living(&[SECOND]);
    [first, second]
}

fn share(from: &World, to: &mut World) {
    to.role.clone_from(&from.role);
    to.policies = from.policies.clone();
    to.entry.clone_from(&from.entry);
    to.associations.clone_from(&from.associations);
    to.pinned.clone_from(&from.pinned);
}

/// Whether a plan writes to what both name, and whether something there is in its way.
fn of_both(plan: &Plan) -> (bool, bool) {
    let shared = |part: Part| part == Part::DeployerRole || part == Part::AccessEntry;
    (
        plan.steps.iter().any(|step| shared(step.part())),
        plan.blocked.iter().any(|blocked| shared(blocked.part())),
    )
}

fn pass(hubs: &mut [World; 2], which: usize) -> (bool, bool) {
    let plan = hubs[which].pass();
    let [first, second] = hubs;
    if which == 0 {
        share(first, second);
    } else {
        share(second, first);
    }
    of_both(&plan)
}

fn happen(hubs: &mut [World; 2], event: Event) {
    if let Event::Pass(which) = event {
        pass(hubs, which);
        return;
    }
    let tag = |tags: &mut mooring::domain::ownership::Tags| match event {
        Event::Open(to) => drop(tags.insert("mooring.dev/adopt".into(), HUBS[to].into())),
        Event::Close => drop(tags.remove("mooring.dev/adopt")),
        Event::Untag => tags.retain(|key, _| !key.starts_with("mooring.dev/")),
        Event::Pass(_) => {}
    };
    for hub in hubs {
        hub.role.iter_mut().for_each(|role: &mut Role| tag(&mut role.tags));
        hub.entry
            .iter_mut()
            .for_each(|entry: &mut AccessEntry| tag(&mut entry.tags));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn two_hubs_over_one_thing_come_to_rest_and_one_has_it(existing: bool, entry: bool, events in events()) {
        let mut hubs = hubs(existing, entry);
        assert_eq!(hubs[0].request.deployer.to_string(), THEIRS);
        for event in &events {
            happen(&mut hubs, *event);
        }
        let mut written = Vec::new();
        for _ in 0..=PASSES {
            written = [0, 1].map(|which| pass(&mut hubs, which).0).to_vec();
        }
        prop_assert_eq!(&written, &[false, false], "they fight: {:?} {:?}", hubs[0].plan(), hubs[1].plan());
        let stopped = [0, 1].map(|which| of_both(&hubs[which].plan()).1);
        prop_assert!(stopped[0] || stopped[1], "both have it: {:?} {:?}", hubs[0].plan(), hubs[1].plan());
    }
}
