//! Whatever the world looks like, and whatever was asked: passes come to rest, and nothing foreign is touched.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use mooring::{
    api::ManagedCluster,
    aws::RolePolicies,
    domain::{
        eks::{AccessPolicyArn, AccessScope, AuthenticationMode, ClusterState},
        ownership::{HOLD_TAG, Marked, Tags},
    },
    managed_cluster::{Blocked, Plan, Step, request::Request, step::Part},
};
use proptest::prelude::*;
use serde_json::json;

use crate::{
    standing_back::{cut, keep},
    world::{ADMIN, World, cluster_object, endpoint, foreign_secret, management, others_tags, owned_by},
};

const POLICIES: [&str; 3] = [
    "AmazonEKSClusterAdminPolicy",
    "AmazonEKSEditPolicy",
    "AmazonEKSViewPolicy",
];

fn arn(name: &str) -> AccessPolicyArn {
    AccessPolicyArn::from_aws(&format!("arn:aws:eks::aws:cluster-access-policy/{name}"))
}

fn spaces() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(vec!["a", "b", "c"], 0..=3)
}

/// A spec that the CRD's rules let through.
fn object() -> impl Strategy<Value = ManagedCluster> {
    (
        proptest::sample::subsequence(POLICIES.to_vec(), 0..=3),
        proptest::collection::vec(spaces(), 3),
        proptest::sample::subsequence(vec!["team-a", "team-b"], 0..=2),
        any::<bool>(),
        any::<bool>(),
        proptest::option::of(0..9_i32),
        proptest::sample::subsequence(vec!["env", "tier"], 0..=2),
    )
        .prop_map(|(policies, scopes, groups, bounded, project, shard, labels)| {
            let policies: Vec<_> = policies
                .iter()
                .zip(scopes)
                .map(|(name, namespaces)| json!({"name": name, "namespaces": namespaces}))
                .collect();
            let labels: BTreeMap<_, _> = labels.iter().map(|key| (*key, "x")).collect();
            let mut argocd = json!({ "labels": labels });
            if project {
                argocd["project"] = "team".into();
            }
            if let Some(shard) = shard {
                argocd["shard"] = shard.into();
            }
            let mut role = json!({});
            if bounded {
                role["permissionsBoundary"] = "arn:aws:iam::222222222222:policy/limit".into();
            }
            let spec = json!({
                "accountId": "222222222222", "region": "eu-west-1", "argocd": argocd,
                "access": {"policies": policies, "kubernetesGroups": groups, "deployerRole": role},
            });
            cluster_object(&spec.to_string())
        })
}

fn parse(object: &ManagedCluster) -> Request {
    Request::parse(object, &management()).unwrap()
}

/// One thing that somebody else, or a pass that broke off, did to a world.
#[derive(Clone, Debug)]
enum Deed {
    RoleGone,
    RoleRemade,
    RoleTags(Whose),
    RoleElsewhere,
    RoleUnbounded,
    RoleTrust,
    RolePolicy,
    EntryGone,
    EntryTags(Whose),
    EntryOfOtherRole,
    EntryGroups,
    EntryUsername,
    EntryRemade,
    ForgetEntry,
    Associate(usize, Vec<&'static str>),
    Disassociate(usize),
    Secret(SecretDeed),
    RoleHeld,
    EntryHeld,
    ClusterGone,
    Cluster(ClusterState),
    ConfigMap,
    EndpointGone,
    ForgetRole,
    ForgetSecret,
}

#[derive(Clone, Copy, Debug)]
enum Whose {
    Nobody,
    Another,
    OursAndTheirs,
}

#[derive(Clone, Copy, Debug)]
enum SecretDeed {
    Gone,
    Copied,
    Unlabelled,
    Disowned,
    Value,
    Shard,
    Owned,
    Fixed,
    Held,
    Going,
    SameServer,
    SameName,
    Unrelated,
}

fn deed() -> impl Strategy<Value = Deed> {
    use SecretDeed as S;
    let whose = || proptest::sample::select(vec![Whose::Nobody, Whose::Another, Whose::OursAndTheirs]);
    let secret = vec![
        S::Gone,
        S::Copied,
        S::Unlabelled,
        S::Disowned,
        S::Held,
        S::Value,
        S::Shard,
        S::Owned,
        S::Fixed,
        S::Going,
        S::SameServer,
        S::SameName,
        S::Unrelated,
    ];
    let plain = vec![
        Deed::RoleGone,
        Deed::RoleRemade,
        Deed::RoleElsewhere,
        Deed::RoleUnbounded,
        Deed::RoleTrust,
        Deed::RolePolicy,
        Deed::EntryGone,
        Deed::EntryOfOtherRole,
        Deed::EntryGroups,
        Deed::EntryUsername,
        Deed::EntryRemade,
        Deed::ForgetEntry,
        Deed::ForgetRole,
        Deed::ForgetSecret,
        Deed::RoleHeld,
        Deed::EntryHeld,
    ];
    let cluster = vec![
        Deed::ClusterGone,
        Deed::Cluster(ClusterState::Creating),
        Deed::Cluster(ClusterState::Updating),
        Deed::Cluster(ClusterState::Failed),
        Deed::Cluster(ClusterState::Deleting),
        Deed::ConfigMap,
        Deed::EndpointGone,
    ];
    prop_oneof![
        8 => proptest::sample::select(plain),
        2 => whose().prop_map(Deed::RoleTags),
        2 => whose().prop_map(Deed::EntryTags),
        2 => (0..3_usize, spaces()).prop_map(|(policy, spaces)| Deed::Associate(policy, spaces)),
        1 => (0..3_usize).prop_map(Deed::Disassociate),
        5 => proptest::sample::select(secret).prop_map(Deed::Secret),
        1 => proptest::sample::select(cluster),
    ]
}

fn retag(tags: &mut Tags, whose: Whose) {
    match whose {
        Whose::Nobody => tags.clear(),
        Whose::Another => *tags = others_tags(tags),
        Whose::OursAndTheirs => {
            tags.insert("theirs".into(), "x".into());
        }
    }
}

fn hold(tags: &mut Tags) {
    tags.insert(HOLD_TAG.into(), "incident".into());
}

fn held(world: &World) -> bool {
    let role = world.role.as_ref().map(|role| &role.tags);
    let entry = world.entry.as_ref().map(|entry| &entry.tags);
    role.into_iter().chain(entry).any(|tags| tags.contains_key(HOLD_TAG))
}

fn happen(world: &mut World, deed: &Deed) {
    match deed {
        Deed::RoleGone => {
            world.role = None;
            world.policies = RolePolicies::default();
        }
        Deed::EntryGone => {
            world.entry = None;
            world.associations.clear();
            world.pinned = None;
        }
        Deed::Associate(policy, spaces) if world.entry.is_some() => {
            let scope = if spaces.is_empty() {
                AccessScope::Cluster
            } else {
                AccessScope::Namespaces(spaces.iter().map(|space| (*space).to_owned()).collect())
            };
            world.associations.insert(arn(POLICIES[*policy]), scope);
        }
        Deed::Disassociate(policy) => {
            world.associations.remove(&arn(POLICIES[*policy]));
        }
        Deed::Secret(deed) => secret(world, *deed),
        Deed::ClusterGone => world.cluster = None,
        Deed::ForgetRole => world.recorded_role = None,
        Deed::ForgetEntry => world.given = None,
        Deed::ForgetSecret => world.recorded_secret = None,
        Deed::RolePolicy if world.role.is_some() => {
            world.policies.inline.insert("theirs".into());
        }
        _ => {}
    }
    if let Some(role) = &mut world.role {
        match deed {
            Deed::RoleRemade => role.id = format!("{}X", role.id),
            Deed::RoleTags(whose) => retag(&mut role.tags, *whose),
            Deed::RoleElsewhere => {
                role.arn = format!("arn:aws:iam::222222222222:role/elsewhere/{}", role.name);
                role.id = "AROAELSEWHERE".into();
            }
            Deed::RoleUnbounded => role.boundary = None,
            Deed::RoleTrust => role.trust = "{}".into(),
            Deed::RoleHeld => hold(&mut role.tags),
            _ => {}
        }
    }
    if let Some(entry) = &mut world.entry {
        match deed {
            Deed::EntryTags(whose) => retag(&mut entry.tags, *whose),
            Deed::EntryOfOtherRole => {
                entry.tags.insert("mooring.dev/role-id".into(), "AROAOTHER".into());
            }
            Deed::EntryHeld => hold(&mut entry.tags),
            Deed::EntryUsername => entry.username = Some("theirs".into()),
            Deed::EntryRemade => {
                entry.arn.push('X');
                entry.tags.clear();
            }
            Deed::EntryGroups => {
                entry.groups.insert("theirs".into());
            }
            _ => {}
        }
    }
    if let Some(cluster) = &mut world.cluster {
        match deed {
            Deed::Cluster(state) => cluster.state = *state,
            Deed::ConfigMap => cluster.authentication_mode = AuthenticationMode::ConfigMap,
            Deed::EndpointGone => cluster.endpoint = None,
            _ => {}
        }
    }
}

fn secret(world: &mut World, deed: SecretDeed) {
    let foreign = match deed {
        SecretDeed::SameServer => Some(("same-server", endpoint(), "x")),
        SecretDeed::SameName => Some(("same-name", "https://x", "prod-eu")),
        SecretDeed::Unrelated => Some(("unrelated", "https://y", "y")),
        _ => None,
    };
    if let Some((name, server, cluster)) = foreign {
        world.secrets.insert(name.into(), foreign_secret(name, server, cluster));
        return;
    }
    let ours = world.secrets.keys().find(|name| name.starts_with("cluster-")).cloned();
    let Some(name) = ours else { return };
    let secret = world.secrets.get_mut(&name).unwrap();
    let mut set = |key: &str, value: &str| {
        let value = ByteString(value.as_bytes().to_vec());
        secret.data.as_mut().unwrap().insert(key.into(), value);
    };
    match deed {
        SecretDeed::Value => set("config", "{}"),
        SecretDeed::Shard => set("shard", "77"),
        SecretDeed::Owned => secret.metadata.owner_references = Some(vec![owned_by("ConfigMap", "theirs")]),
        SecretDeed::Fixed => secret.immutable = Some(true),
        SecretDeed::Unlabelled => secret.metadata.labels = None,
        SecretDeed::Disowned => secret.metadata.annotations = None,
        SecretDeed::Held => secret.metadata.finalizers = Some(vec!["example.com/theirs".into()]),
        SecretDeed::Going => secret.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH)),
        SecretDeed::Copied => {
            let mut copy = secret.clone();
            copy.metadata.name = Some("a-copy".into());
            copy.metadata.uid = Some("uid-copy".into());
            world.secrets.insert("a-copy".into(), copy);
        }
        SecretDeed::Gone => {
            world.secrets.remove(&name);
        }
        SecretDeed::SameServer | SecretDeed::SameName | SecretDeed::Unrelated => {}
    }
}

fn world() -> impl Strategy<Value = World> {
    (
        object(),
        object(),
        any::<bool>(),
        proptest::collection::vec(deed(), 0..6),
    )
        .prop_map(|(before, after, moored, deeds)| {
            let mut world = World::new(ADMIN);
            world.request = parse(&before);
            if moored {
                world.pass();
                world.pass();
            }
            for deed in &deeds {
                happen(&mut world, deed);
            }
            world.request = parse(&after);
            world
        })
}

fn ours(world: &World, tags: &Tags) -> bool {
    world.request.owner.judge(tags) == Marked::Ours
}

/// What is not ours or is held, as text: no pass may change it.
fn foreign(world: &World) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(role) = &world.role
        && (role.arn != world.request.deployer.to_string()
            || role.tags.contains_key(HOLD_TAG)
            || (!ours(world, &role.tags) && world.recorded_role.as_ref() != Some(&role.id)))
    {
        all.push(format!("{role:?} {:?}", world.policies));
    }
    if let Some(entry) = &world.entry
        && (entry.tags.contains_key(HOLD_TAG) || !ours(world, &entry.tags) && !world.entry_is_recorded())
    {
        all.push(format!("{entry:?} {:?}", world.associations));
    }
    for secret in world.secrets.values() {
        if !world.secret_is_ours(secret) {
            all.push(format!("{secret:?}"));
        }
    }
    all
}

/// What holds of every plan, wherever it is planned.
fn sound(world: &World, plan: &Plan) {
    let at = |wanted: fn(&Step) -> bool| plan.steps.iter().position(wanted);
    if let Some(secret) = at(|step| matches!(step, Step::ApplySecret { .. })) {
        // What is held stays as it is, and lets nobody in who was not.
        let held = |blocked: &Blocked| matches!(blocked, Blocked::Held { .. });
        let kept = |step: &Step| matches!(step, Step::ApplySecret { uid: Some(_), .. });
        // And one that stands is kept where Argo CD can use it.
        let keeps = |blocked: &Blocked| blocked.leaves_access() || held(blocked);
        let kept = plan.blocked.iter().all(keeps) && kept(&plan.steps[secret]);
        assert!(
            kept || plan.blocked.iter().all(held),
            "a Secret is written behind {:?}",
            plan.blocked
        );
        let rest = &plan.steps[secret..];
        assert!(
            rest.iter().all(|step| step.part() == Part::Secret),
            "not last: {rest:?}"
        );
    }
    let stranger = world
        .role
        .as_ref()
        .is_some_and(|role| world.recorded_role.as_ref() != Some(&role.id));
    let gives = |step: &Step| {
        // A narrower scope takes away.
        if let Step::Rescope { scope, found, .. } | Step::Reassociate { scope, found, .. } = step {
            return !found.covers(scope);
        }
        matches!(step, Step::CreateAccessEntry { .. } | Step::Associate { .. })
    };
    if let Some(entry) = at(gives)
        && stranger
    {
        let deleted = at(|step| matches!(step, Step::DeleteRole { .. }));
        assert!(
            deleted.is_some_and(|deleted| deleted < entry),
            "an entry for a stranger"
        );
    }
    let narrowing = at(|step| {
        matches!(step, Step::SetGroups { groups, found } if !groups.is_superset(found))
            || matches!(step, Step::Disassociate { .. })
    });
    let widening = plan.steps.iter().rposition(|step| {
        matches!(step, Step::Associate { .. })
            || matches!(step, Step::Rescope { scope, found, .. } if scope.covers(found))
    });
    if let (Some(narrowing), Some(widening)) = (narrowing, widening) {
        assert!(widening < narrowing, "narrowed before it was widened");
    }
    let exchanged = at(|step| matches!(step, Step::SetGroups { groups, found } if !groups.is_subset(found)));
    let taken = at(|step| matches!(step, Step::Disassociate { .. }));
    if let (Some(exchanged), Some(taken)) = (exchanged, taken) {
        assert!(exchanged < taken, "a policy went before the group that stands for it");
    }
    assert!(plan.blocked.is_sorted_by_key(Blocked::part));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn passes_come_to_rest_and_touch_nothing_foreign(mut world in world()) {
        let untouched = foreign(&world);
        let mut rested = false;
        // One that suspects, and one that acts; what comes after it finds nothing to do.
        for pass in 0..=2 {
            let (plan, suspected) = (world.plan(), world.suspected.clone());
            sound(&world, &plan);
            world.pass();
            prop_assert_eq!(&foreign(&world), &untouched);
            // What is held stays, however sure two looks are.
            let sure = plan.suspicion.is_none() || held(&world) && plan.suspicion == suspected;
            rested = plan.steps.is_empty() && sure;
            if rested {
                break;
            }
            prop_assert!(pass < 2, "still at it: {:?}", plan);
        }
        prop_assert!(rested);
        if world.plan().blocked.is_empty() {
            // All that was asked stands, and nothing else.
            prop_assert_eq!(&world.associations, &world.request.associations);
            let groups = world.entry().groups.clone();
            prop_assert_eq!(&groups, &world.request.groups);
            prop_assert_eq!(world.entry().others_username(), None);
            prop_assert!(world.entry_is_ours());
            prop_assert_eq!(&world.pinned, &world.recorded_role);
            let found = world.found();
            let own: Vec<_> = found.own.iter().filter(|own| !own.deleting).collect();
            prop_assert!(own.len() == 1 && own[0].owners.is_empty(), "{:?}", own);
        }
    }

    #[test]
    fn after_a_whole_pass_there_is_nothing_left_to_do(before in object(), after in object()) {
        let mut world = World::new(ADMIN);
        for object in [before, after] {
            world.request = parse(&object);
            let plan = world.pass();
            sound(&world, &plan);
            prop_assert!(plan.blocked.is_empty());
            prop_assert!(world.plan().is_clean(), "{:?}", world.plan());
        }
    }

    /// Whatever stands there, suspending takes our entry away, gives nothing to anybody, and comes to rest.
    #[test]
    fn a_suspension_only_takes_access_away(mut world in world()) {
        let untouched = foreign(&world);
        for plan in [cut, keep] {
            let plan = plan(&world);
            for step in &plan.steps {
                let gives = matches!(
                    step,
                    Step::CreateRole { .. } | Step::CreateAccessEntry { .. } | Step::Associate { .. } | Step::SetGroups { .. }
                );
                prop_assert!(!gives, "{:?}", step);
                world.apply(step);
            }
            prop_assert_eq!(&foreign(&world), &untouched);
        }
        prop_assert!(cut(&world).steps.is_empty(), "{:?}", cut(&world));
        prop_assert!(keep(&world).steps.is_empty(), "{:?}", keep(&world));
        if cut(&world).blocked.is_empty() {
            prop_assert!(!world.entry_is_ours() && !world.entry_is_recorded());
        }
    }

    /// What one look suspects and the next does not see is not acted on, nor what the next sees otherwise.
    #[test]
    fn what_a_second_look_does_not_confirm_is_not_deleted(object in object(), deeds in proptest::collection::vec(deed(), 1..6)) {
        let mut truth = World::new(ADMIN);
        truth.request = parse(&object);
        truth.pass();
        truth.pass();
        prop_assert!(truth.plan().is_clean());
        let mut seen = truth.clone();
        for deed in &deeds {
            happen(&mut seen, deed);
        }
        // The first look was of something stale.
        let first = seen.plan();
        let deletes = |plan: &Plan| {
            plan.steps.iter().any(|step| matches!(step, Step::DeleteRole { .. } | Step::DeleteAccessEntry))
        };
        prop_assert!(!deletes(&first), "{:?}", first);
        truth.suspected.clone_from(&first.suspicion);
        prop_assert!(truth.plan().is_clean(), "{:?}", truth.plan());
        // Another stranger than the first look saw.
        truth.role().id = "AROAANOTHER".into();
        prop_assert!(!deletes(&truth.plan()), "{:?}", truth.plan());
    }

    #[test]
    fn a_removal_leaves_nothing_of_ours_and_all_else(mut world in world()) {
        let untouched = foreign(&world);
        let mut plan = world.plan_removal();
        let before = (world.role.clone(), world.entry.clone(), world.associations.clone());
        for step in &plan.steps {
            world.apply(step);
        }
        prop_assert_eq!(&foreign(&world), &untouched);
        prop_assert!(world.plan_removal().steps.is_empty());
        if world.found().own.iter().any(|own| own.deleting) {
            // As long as one is held, nothing behind it goes.
            prop_assert!(plan.blocked.iter().any(|blocked| blocked.reason() == "SecretGoing"), "{:?}", plan);
            prop_assert_eq!(&before, &(world.role.clone(), world.entry.clone(), world.associations.clone()));
            world.secrets.retain(|_, secret| secret.metadata.deletion_timestamp.is_none());
            plan = world.plan_removal();
            for step in &plan.steps {
                world.apply(step);
            }
            prop_assert!(world.plan_removal().steps.is_empty());
        }
        if !held(&world) {
            prop_assert!(!world.entry_is_ours() && !world.entry_is_recorded());
        }
        prop_assert!(world.found().own.is_empty());
        if plan.blocked.is_empty() {
            let standing = world.role.as_ref().map(|role| format!("{role:?} {:?}", world.policies));
            prop_assert!(standing.is_none_or(|role| untouched.contains(&role)));
        }
    }
}
