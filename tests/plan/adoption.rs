//! Whatever others made, marked and opened: passes come to rest, what nobody opened stays as it is, and what others wrote
//! on a thing that is taken over stays with it, also when the object goes.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::ByteString;
use mooring::{
    aws::{Role, RolePolicies},
    domain::{
        eks::{AccessEntry, AccessPolicyArn, AccessScope, ClusterState},
        ownership::{HOLD_TAG, Marked, Owner, Tags},
    },
    managed_cluster::living::Lives,
    policy::{Document, trust},
};
use proptest::prelude::*;
use serde_json::json;

use crate::world::{PASSES, UID, World, endpoint, foreign_secret, management, owned_by};

const ROLE: &str = "arn:aws:iam::222222222222:role/argocd-prod";
const HUB: &str = "arn:aws:eks:eu-west-1:111111111111:cluster/hub";
const OTHER: &str = "arn:aws:eks:eu-west-1:999999999999:cluster/other";
const POLICIES: [&str; 3] = [
    "AmazonEKSClusterAdminPolicy",
    "AmazonEKSEditPolicy",
    "AmazonEKSViewPolicy",
];

/// Tags as people, other hubs, lost objects and forgers write them.
fn tags() -> impl Strategy<Value = Tags> {
    let pairs = vec![
        ("terraform", "yes"),
        ("mooring.dev/adopt", HUB),
        ("mooring.dev/adopt", HUB),
        ("mooring.dev/adopt", OTHER),
        ("mooring.dev/adopted", "true"),
        ("mooring.dev/hub", HUB),
        ("mooring.dev/hub", OTHER),
        ("mooring.dev/uid", "lost"),
        ("mooring.dev/uid", "living"),
        ("mooring.dev/uid", UID),
        ("mooring.dev/object", "prod-eu"),
        ("mooring.dev/role-id", "AROATHEIRS"),
        ("mooring.dev/role-id", "AROAOTHER"),
        (HOLD_TAG, "INC-42"),
    ];
    proptest::sample::subsequence(pairs, 0..6).prop_map(|pairs| {
        pairs
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    })
}

fn trusts() -> impl Strategy<Value = String> {
    let statement = |principal: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole"}}]}}"#
        )
    };
    let manager = statement(r#"{"AWS":"arn:aws:iam::111111111111:role/argocd-manager"}"#);
    let ours = trust::with_ours("", &management().role).to_json();
    let both = trust::with_ours(&manager, &management().role).to_json();
    proptest::sample::select(vec![
        ours.clone(),
        ours,
        both,
        manager.clone(),
        manager,
        statement(r#"{"Service":"ec2.amazonaws.com"}"#),
        statement(r#"{"AWS":"AROAABCDEFGHIJKLMNOPQ"}"#),
        statement(r#""*""#),
        "{".to_owned(),
    ])
}

fn role(arn: &'static str) -> impl Strategy<Value = Option<(Role, RolePolicies)>> {
    let boundary = proptest::sample::select(vec![
        None,
        Some("arn:aws:iam::aws:policy/AWSDenyAll".to_owned()),
        Some("arn:aws:iam::222222222222:policy/theirs".to_owned()),
    ]);
    let role =
        (tags(), trusts(), boundary, proptest::bool::weighted(0.1)).prop_map(move |(tags, trust, boundary, policy)| {
            let role = Role {
                arn: arn.into(),
                id: "AROATHEIRS".into(),
                name: arn.rsplit('/').next().unwrap().into(),
                trust,
                boundary,
                tags,
                ..Role::default()
            };
            let mut policies = RolePolicies::default();
            policies.inline.extend(policy.then(|| "theirs".to_owned()));
            (role, policies)
        });
    proptest::option::weighted(0.9, role)
}

fn policies() -> impl Strategy<Value = BTreeMap<AccessPolicyArn, AccessScope>> {
    let scope = proptest::sample::select(vec![
        AccessScope::Cluster,
        AccessScope::Namespaces(BTreeSet::from(["a".to_owned()])),
        AccessScope::Namespaces(BTreeSet::from(["a".to_owned(), "b".to_owned()])),
    ]);
    let policy = proptest::sample::select(POLICIES.to_vec());
    let arn = |name: &str| AccessPolicyArn::from_aws(&format!("arn:aws:eks::aws:cluster-access-policy/{name}"));
    proptest::collection::btree_map(policy.prop_map(arn), scope, 0..3)
}

type Entry = (AccessEntry, BTreeMap<AccessPolicyArn, AccessScope>);

fn entry(principal: &'static str) -> impl Strategy<Value = Option<Entry>> {
    let kind = prop_oneof![9 => Just("STANDARD"), 1 => Just("EC2_LINUX")];
    let groups = proptest::sample::subsequence(vec!["theirs", "team-a"], 0..=2);
    let entry = (tags(), kind, groups, policies()).prop_map(move |(tags, kind, groups, policies)| {
        let entry = AccessEntry {
            arn: "arn:aws:eks:eu-west-1:222222222222:access-entry/prod-eu/role/222222222222/x/1".into(),
            principal: principal.into(),
            kind: kind.into(),
            groups: groups.into_iter().map(str::to_owned).collect(),
            tags,
            ..AccessEntry::default()
        };
        (entry, policies)
    });
    proptest::option::weighted(0.8, entry)
}

/// Annotations and data of a hand-made cluster Secret, which has our cluster's server; whether it is immutable, and whether
/// it goes with something else.
fn secret() -> impl Strategy<Value = Option<((Tags, BTreeMap<String, String>), (bool, bool))>> {
    let annotations = vec![
        ("mooring.dev/adopt", "prod-eu"),
        ("mooring.dev/adopt", "prod-us"),
        ("mooring.dev/uid", "lost"),
        ("mooring.dev/uid", "living"),
        ("mooring.dev/managed-cluster", "prod-eu"),
        ("team", "platform"),
    ];
    let data = vec![
        ("name", "prod-eu"),
        ("name", "other"),
        ("shard", "1"),
        ("note", "kept"),
        ("project", "team"),
    ];
    let texts = |pairs: Vec<(&str, &str)>| {
        pairs
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    };
    let secret = (
        proptest::sample::subsequence(annotations, 0..4),
        proptest::sample::subsequence(data, 0..4),
    )
        .prop_map(move |(annotations, data)| (texts(annotations), texts(data)));
    let odd = || proptest::bool::weighted(0.1);
    let secret = (secret, (odd(), odd()));
    proptest::option::weighted(0.7, secret)
}

/// How the spec says whose the role is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// Under our path, by the name that we would give it.
    Ours,
    /// Wherever it is, by its ARN.
    Named,
    /// It stays its owner's.
    Existing,
}

fn spec(how: How, adopt: bool, policy: &str, groups: &[&str]) -> String {
    let role = match how {
        How::Ours => json!({}),
        How::Named => json!({"arn": ROLE}),
        How::Existing => json!({"type": "Existing", "arn": ROLE}),
    };
    json!({
        "accountId": "222222222222", "region": "eu-west-1", "adoptExisting": adopt,
        "access": {"policies": [{"name": policy}], "kubernetesGroups": groups, "deployerRole": role},
    })
    .to_string()
}

fn world() -> impl Strategy<Value = (World, World)> {
    let how = proptest::sample::select(vec![How::Ours, How::Named, How::Named, How::Existing]);
    let ours = World::new(crate::world::ADMIN).request.deployer.to_string();
    let ours: &'static str = Box::leak(ours.into_boxed_str());
    (
        how,
        proptest::bool::weighted(0.8),
        (role(ours), role(ROLE)),
        (entry(ours), entry(ROLE)),
        secret(),
        proptest::sample::select(POLICIES.to_vec()),
        proptest::sample::subsequence(vec!["team-a"], 0..=1),
        (
            proptest::bool::weighted(0.05),
            proptest::bool::weighted(0.2),
            proptest::bool::weighted(0.1),
        ),
    )
        .prop_map(
            |(how, adopt, roles, entries, secret, policy, groups, (creating, aged, profile))| {
                // Only `Named` is asked to be taken over where the role is elsewhere.
                let adopt = adopt || how == How::Named;
                let mut world = World::new(&spec(how, adopt, policy, &groups));
                world.living.insert("living".into(), Lives::default());
                let (role, entry) = if how == How::Ours {
                    (roles.0, entries.0)
                } else {
                    (roles.1, entries.1)
                };
                if let Some((role, policies)) = role {
                    (world.role, world.policies) = (Some(role), policies);
                }
                if let Some((entry, policies)) = entry {
                    (world.entry, world.associations) = (Some(entry), policies);
                    world.pinned = world.role.as_ref().map(|role| role.id.clone());
                    if aged && let Some(role) = &mut world.role {
                        role.created = Some(9_000);
                        world.entry().created = Some(1_000);
                        world.pinned = Some("AROAFORMER".into());
                    }
                }
                world
                    .profiles
                    .extend(profile.then(|| "arn:aws:iam::222222222222:instance-profile/web".to_owned()));
                if let Some(((annotations, data), (immutable, owned))) = secret {
                    let mut secret = foreign_secret("by-hand", endpoint(), "");
                    let all = secret.data.as_mut().unwrap();
                    all.extend(
                        data.into_iter()
                            .map(|(key, value)| (key, ByteString(value.into_bytes()))),
                    );
                    secret.metadata.annotations = Some(annotations);
                    secret.metadata.owner_references = owned.then(|| vec![owned_by("SealedSecret", "theirs")]);
                    secret.immutable = immutable.then_some(true);
                    world.secrets.insert("by-hand".into(), secret);
                }
                if creating {
                    world.cluster.as_mut().unwrap().state = ClusterState::Creating;
                }
                (world.clone(), world)
            },
        )
}

/// What no pass may change, as text: what is neither ours nor opened to us.
fn shut(world: &World) -> Vec<String> {
    let mut all = Vec::new();
    let owner: &Owner = &world.request.owner;
    let existing = world.request.identity.existing.is_some();
    if let Some(role) = &world.role {
        let ours = owner.judge(&role.tags) == Marked::Ours || world.recorded_role.as_ref() == Some(&role.id);
        if existing || !(ours || world.opened(&role.tags)) {
            all.push(format!("{role:?} {:?}", world.policies));
        }
    }
    if let Some(entry) = &world.entry
        && owner.judge(&entry.tags) != Marked::Ours
        && !world.opened(&entry.tags)
    {
        all.push(format!("{entry:?} {:?}", world.associations));
    }
    for secret in world.secrets.values() {
        let annotations = secret.metadata.annotations.clone().unwrap_or_default();
        let opened = world.request.adopt
            && annotations.get("mooring.dev/adopt").is_some_and(|to| to == "prod-eu")
            && annotations
                .get("mooring.dev/uid")
                .is_none_or(|uid| !world.living.contains(uid) || uid == UID);
        if annotations.get("mooring.dev/uid").map(String::as_str) != Some(UID) && !opened {
            all.push(format!("{secret:?}"));
        }
    }
    all
}

/// What others wrote, and that must still be there. `before` is the world that they left.
fn theirs_stays(before: &World, world: &World) -> Result<(), TestCaseError> {
    let (Some(was), Some(is)) = (&before.role, &world.role) else {
        return Ok(());
    };
    if was.id != is.id {
        return Ok(());
    }
    for (key, value) in &was.tags {
        if !key.starts_with("mooring.dev/") {
            prop_assert_eq!(is.tags.get(key), Some(value));
        }
    }
    prop_assert_eq!(is.tags.get(HOLD_TAG), was.tags.get(HOLD_TAG), "a hold");
    // Under our path nobody else has a part.
    if world.request.identity.adopted.is_some()
        && let (Some(was), Ok(is)) = (trust::without_ours(&was.trust), Document::parse(&is.trust))
    {
        for statement in &was.statements {
            prop_assert!(is.statements.contains(statement), "{statement:?} is lost");
        }
    }
    let note = |world: &World| {
        let secret = world.secrets.get("by-hand")?;
        secret.data.as_ref()?.get("note").cloned()
    };
    if world.secrets.contains_key("by-hand") {
        prop_assert_eq!(note(world), note(before));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn what_others_made_is_taken_over_whole_or_left_alone((before, mut world) in world()) {
        let untouched = shut(&world);
        let held = |tags: Option<&Tags>| tags.is_some_and(|tags| tags.contains_key(HOLD_TAG));
        let (role, entry) = (world.role.clone(), world.entry.clone());
        let mut rested = false;
        for pass in 0..=PASSES {
            let suspected = world.suspected.clone();
            let plan = world.pass();
            let now = shut(&world);
            for one in &untouched {
                prop_assert!(now.contains(one), "{one} is touched by {plan:?}");
            }
            // What is suspected stays suspected while it is held.
            rested = plan.steps.is_empty() && plan.suspicion == suspected;
            if rested {
                break;
            }
            prop_assert!(pass < PASSES, "still at it: {plan:?}");
        }
        prop_assert!(rested);
        theirs_stays(&before, &world)?;
        if held(role.as_ref().map(|role| &role.tags)) {
            prop_assert_eq!(&world.role, &role);
        }
        if held(entry.as_ref().map(|entry| &entry.tags)) {
            prop_assert_eq!(&world.entry, &entry);
        }
        let plan = world.plan();
        if plan.blocked.is_empty() {
            // All that was asked stands.
            for (policy, scope) in &world.request.associations {
                prop_assert_eq!(world.associations.get(policy), Some(scope));
            }
            prop_assert!(world.request.groups.is_subset(&world.entry.as_ref().unwrap().groups));
            prop_assert!(!trust::lets_in(&world.role.as_ref().unwrap().trust, &management().role).refuses());
            prop_assert_eq!(&world.pinned, &world.role.as_ref().map(|role| role.id.clone()));
        }
    }

    /// Wherever a pass breaks off before it could write down what it did, the next ones come to the same; and when the wish is
    /// taken away, they write no more to what was not theirs yet, and a removal takes out whatever was written.
    #[test]
    fn an_adoption_that_breaks_off_is_carried_through_or_taken_back(
        (before, mut world) in world(), after in 0_usize..9, called_off: bool,
    ) {
        let mut straight = world.clone();
        for _ in 0..4 {
            straight.pass();
        }
        world.pass_until_steps();
        let broken = world.break_off(after);
        world.request.adopt &= !called_off;
        let held = before.role.iter().any(|role| role.tags.contains_key(HOLD_TAG))
            || before.entry.iter().any(|entry| entry.tags.contains_key(HOLD_TAG));
        for _ in 0..4 {
            world.pass();
        }
        if !called_off {
            prop_assert_eq!(world.plan().steps, straight.plan().steps, "{:?}", broken);
            prop_assert_eq!(&world.associations, &straight.associations);
            let role = |world: &World| world.role.as_ref().map(|role| (role.id.clone(), role.trust.clone(), role.tags.clone()));
            if before.role.is_some() && !world.role.as_ref().is_some_and(|role| role.id.starts_with("AROAMADE")) {
                prop_assert_eq!(role(&world), role(&straight));
            }
        }
        for _ in 0..2 {
            for step in world.plan_removal().steps {
                world.apply(&step);
            }
        }
        theirs_stays(&before, &world)?;
        if held || world.request.identity.adopted.is_none() {
            return Ok(());
        }
        if let (Some(was), Some(is)) = (&before.role, &world.role)
            && let (Ok(was), Ok(is)) = (Document::parse(&was.trust), Document::parse(&is.trust))
        {
            for statement in &is.statements {
                prop_assert!(was.statements.contains(statement), "{statement:?} is left after {broken:?}");
            }
        }
        if let (Some(was), Some(is)) = (&before.entry, &world.entry) {
            prop_assert!(is.groups.is_subset(&was.groups), "{:?} is left after {broken:?}", is.groups);
            for policy in world.associations.keys() {
                prop_assert!(before.associations.contains_key(policy), "{policy:?} is left after {broken:?}");
            }
        }
    }

    #[test]
    fn a_removal_gives_back_what_others_have_a_part_in((before, mut world) in world()) {
        for _ in 0..3 {
            world.pass();
        }
        let untouched = shut(&world);
        for _ in 0..2 {
            for step in world.plan_removal().steps {
                world.apply(&step);
            }
        }
        prop_assert!(world.plan_removal().steps.is_empty());
        let now = shut(&world);
        for one in &untouched {
            prop_assert!(now.contains(one), "{one} is touched");
        }
        theirs_stays(&before, &world)?;
        if world.request.identity.existing.is_some() {
            prop_assert_eq!(&world.role, &before.role);
        }
    }
}
