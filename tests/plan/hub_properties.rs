//! Whatever the hub's account looks like, and whatever a `ManagementRole` asks: passes come to rest, nothing foreign is
//! touched, and the role is given what the spec and its members ask for, and no more.

use std::collections::BTreeSet;

use mooring::{
    aws::RolePolicies,
    domain::ownership::{HOLD_TAG, Marked, Tags},
    management_role::{Plan, Step, request::RoleOwner, step::POLICY_NAME},
    policy,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    hub::{ISSUER, World, cluster, request},
    world::{PASSES, others_tags},
};

const WIDE: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
const OPEN: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}"#;
/// What AWS shows of a principal that was deleted.
const GHOST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"AROAEXAMPLEGONE"},"Action":"sts:AssumeRole"}]}"#;

/// A spec that the CRD's rules let through.
fn spec() -> impl Strategy<Value = Value> {
    (
        any::<bool>(),
        any::<bool>(),
        proptest::sample::subsequence(
            vec!["argocd-server", "argocd-application-controller", "argocd-extra"],
            1..=3,
        ),
        proptest::sample::select(vec!["argocd", "gitops"]),
        proptest::option::of(Just(json!({"team": "platform"}))),
    )
        .prop_map(|(manage, explicit, accounts, namespace, tags)| {
            let mut spec = json!({
                "oidcProvider": if manage { "Manage" } else { "Require" },
                "assumePolicy": if explicit { "Explicit" } else { "PerAccount" },
                "serviceAccounts": accounts, "argocdNamespace": namespace,
            });
            if let Some(tags) = tags {
                spec["tags"] = tags;
            }
            spec
        })
}

/// One thing that somebody else, or a pass that broke off, did to the hub's account.
#[derive(Clone, Debug)]
enum Deed {
    RoleGone,
    RoleRemade,
    RoleElsewhere,
    Untagged,
    TaggedByAnother,
    TaggedBeside,
    Boundary(Option<&'static str>),
    Trust(&'static str),
    Policy(Option<&'static str>),
    OthersPolicy,
    OthersAttached,
    Held,
    ProviderGone,
    ProviderOf(&'static str),
    Forget,
    Issuer,
    Acting(Option<&'static str>),
    Member(&'static str, &'static str),
    MemberGoes,
    Unreadable,
}

fn deed() -> impl Strategy<Value = Deed> {
    let deeds = vec![
        Deed::RoleGone,
        Deed::RoleRemade,
        Deed::RoleElsewhere,
        Deed::Untagged,
        Deed::TaggedByAnother,
        Deed::TaggedBeside,
        Deed::Boundary(None),
        Deed::Boundary(Some("arn:aws:iam::aws:policy/AdministratorAccess")),
        Deed::Trust("{}"),
        Deed::Trust(OPEN),
        Deed::Trust(GHOST),
        Deed::Policy(None),
        Deed::Policy(Some(WIDE)),
        Deed::Policy(Some("no JSON")),
        Deed::OthersPolicy,
        Deed::OthersAttached,
        Deed::Held,
        Deed::ProviderGone,
        Deed::ProviderOf("somebody-else"),
        Deed::Forget,
        Deed::Issuer,
        Deed::Acting(None),
        Deed::Acting(Some("hand-wired")),
        Deed::Member("222222222222", "prod-us"),
        Deed::Member("333333333333", "prod-ap"),
        Deed::MemberGoes,
        Deed::Unreadable,
    ];
    proptest::sample::select(deeds)
}

fn happen(world: &mut World, deed: &Deed) {
    match deed {
        Deed::RoleGone => {
            world.observed.role = None;
            world.observed.policies = RolePolicies::default();
            world.observed.policy = None;
        }
        Deed::Policy(policy) if world.observed.role.is_some() => {
            world.observed.policy = policy.map(str::to_owned);
            let inline = &mut world.observed.policies.inline;
            if policy.is_some() {
                inline.insert(POLICY_NAME.into());
            } else {
                inline.remove(POLICY_NAME);
            }
        }
        Deed::OthersPolicy if world.observed.role.is_some() => {
            world.observed.policies.inline.insert("theirs".into());
        }
        Deed::OthersAttached if world.observed.role.is_some() => {
            let theirs = "arn:aws:iam::aws:policy/ReadOnlyAccess";
            world.observed.policies.attached.insert(theirs.into());
        }
        Deed::ProviderGone => world.observed.provider = None,
        Deed::ProviderOf(audience) => {
            if let Some(provider) = &mut world.observed.provider {
                provider.client_ids = [(*audience).to_owned()].into();
            }
        }
        Deed::Forget => world.recorded = None,
        Deed::Issuer => world.recorded_issuer = Some("https://former.example/id".into()),
        Deed::Acting(secret) => world.acting = secret.map(|secret| [secret.to_owned()].into()),
        Deed::Member(account, name) => world.clusters.push(cluster(account, name, &json!({}))),
        Deed::MemberGoes => {
            world.clusters.pop();
        }
        Deed::Unreadable => world.unreadable = true,
        _ => {}
    }
    let Some(role) = &mut world.observed.role else { return };
    match deed {
        Deed::RoleRemade => role.id = format!("{}X", role.id),
        Deed::RoleElsewhere => {
            role.arn = format!("arn:aws:iam::111111111111:role/elsewhere/{}", role.name);
            role.id = "AROAELSEWHERE".into();
        }
        Deed::Untagged => role.tags.clear(),
        Deed::TaggedByAnother => role.tags = others_tags(&role.tags),
        Deed::TaggedBeside => {
            role.tags.insert("theirs".into(), "x".into());
        }
        Deed::Held => {
            role.tags.insert(HOLD_TAG.into(), "incident".into());
        }
        Deed::Boundary(boundary) => role.boundary = boundary.map(str::to_owned),
        Deed::Trust(trust) => (*trust).clone_into(&mut role.trust),
        _ => {}
    }
}

fn world() -> impl Strategy<Value = World> {
    (spec(), spec(), any::<bool>(), proptest::collection::vec(deed(), 0..6)).prop_map(|(before, after, made, deeds)| {
        let mut world = World::new(&before, vec![cluster("222222222222", "prod-eu", &json!({}))]);
        if made {
            // Whoever keeps the provider himself has made it.
            world.observed.provider = Some(mooring::aws::OidcProvider {
                client_ids: ["sts.amazonaws.com".to_owned()].into(),
            });
            world.pass();
            world.pass();
            world.recorded_issuer = Some(ISSUER.into());
        }
        for deed in &deeds {
            happen(&mut world, deed);
        }
        world.request = request(&after);
        world
    })
}

fn is_ours(world: &World) -> bool {
    world.observed.role.as_ref().is_some_and(|role| {
        role.arn == world.request.role.to_string()
            && (world.request.owner.judge(&role.tags) == Marked::Ours || world.recorded.as_ref() == Some(&role.id))
    })
}

/// What is not ours or is held, as text: no pass may change it. What others gave an audience to stays as well.
fn foreign(world: &World) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(role) = &world.observed.role
        && (!is_ours(world) || role.tags.contains_key(HOLD_TAG))
    {
        all.push(format!(
            "{role:?} {:?} {:?}",
            world.observed.policies, world.observed.policy
        ));
    }
    let beside = |all: &BTreeSet<String>| {
        all.iter()
            .filter(|name| *name != POLICY_NAME)
            .cloned()
            .collect::<Vec<_>>()
    };
    let policies = &world.observed.policies;
    all.push(format!("{:?} {:?}", beside(&policies.inline), policies.attached));
    let audiences = world.observed.provider.iter().flat_map(|provider| &provider.client_ids);
    all.extend(audiences.filter(|audience| *audience != "sts.amazonaws.com").cloned());
    all
}

/// A plan may only ever send our own boundary, and documents that let in and go where the spec says.
fn sound(world: &World, plan: &Plan) {
    let provider = world.request.hub.oidc_provider(ISSUER).unwrap();
    let accounts = &world.request.service_accounts;
    let namespace = &world.request.namespace;
    let trusted = policy::irsa_trust(&provider, namespace, accounts).statements;
    for step in &plan.steps {
        let trust = match step {
            Step::CreateRole { role } => {
                assert_eq!(role.boundary, world.request.boundary);
                Some(&role.trust)
            }
            Step::SetBoundary { boundary, .. } => {
                assert_eq!(boundary, &world.request.boundary);
                None
            }
            Step::SetTrust { trust, .. } => Some(trust),
            Step::PutPolicy { document, .. } => {
                let text = document.to_json();
                let members = world.members();
                let named = members.wanted.iter().filter(|one| text.contains(one.as_str())).count();
                let stood = world.observed.assumable(&world.request.hub, &BTreeSet::new());
                let itself = world.request.role.to_string();
                let itself = (!plan.acting.is_empty()).then_some(&itself);
                let known =
                    |way: &&String| members.wanted.contains(*way) || stood.contains(*way) || Some(*way) == itself;
                let ways = document.statements.iter().flat_map(|statement| &statement.resource);
                let given: Vec<_> = ways.filter(|way| !known(way)).collect();
                assert!(given.is_empty(), "given by no spec: {given:?}");
                assert!(
                    !text.contains(r#""Resource":"*""#) && !text.contains(r#""Action":"*""#),
                    "{text}"
                );
                assert!(named > 0 || world.unreadable || !plan.acting.is_empty(), "{text}");
                None
            }
            Step::CreateOidcProvider { .. }
            | Step::AddAudience { .. }
            | Step::DeleteRole { .. }
            | Step::TagRole { .. }
            | Step::UpdateRole { .. }
            | Step::DeletePolicy { .. } => None,
        };
        for statement in trust.iter().flat_map(|trust| &trust.statements) {
            let itself = *statement == policy::trusts_itself(&world.request.role);
            assert!(
                trusted.contains(statement) || itself && !plan.acting.is_empty(),
                "{statement:?} is trusted"
            );
        }
    }
}

/// A look that suspects a role is agreed to by the next.
fn agreed(world: &World) -> Option<String> {
    world.observed.role.as_ref().map(|role| role.id.clone())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn passes_come_to_rest_and_touch_nothing_foreign(mut world in world()) {
        let untouched = foreign(&world);
        let mut rested = false;
        for pass in 0..=PASSES {
            let plan = world.plan();
            sound(&world, &plan);
            world.pass();
            prop_assert_eq!(&foreign(&world), &untouched);
            let suspects = world.confirmed.is_none() && world.observed.role.is_some();
            rested = plan.steps.is_empty() && !suspects;
            if rested {
                break;
            }
            // Two looks agree before a stranger of our name goes; then it is made afresh, and then it is given its policy.
            prop_assert!(pass < PASSES, "still at it: {:?}", plan);
            world.confirmed = agreed(&world);
        }
        prop_assert!(rested);
        let plan = world.plan();
        if plan.is_clean() && world.request.role_owner == RoleOwner::Mooring {
            let role = world.observed.role.clone().unwrap();
            prop_assert_eq!(role.boundary.clone(), Some(world.request.boundary.to_string()));
            prop_assert!(is_ours(&world));
            let provider = world.request.hub.oidc_provider(ISSUER).unwrap();
            let itself = !plan.acting.is_empty();
            let wanted = mooring::management_role::plan::desired_role(&world.request, &provider, itself);
            prop_assert!(policy::differences_of(&role.trust, &wanted.trust).is_empty(), "{}", role.trust);
            prop_assert!(wanted.tags.iter().all(|(key, value)| role.tags.get(key) == Some(value)));
            // Each member has its way.
            for way in &world.members().wanted {
                prop_assert!(plan.assumable.contains(way), "{way} is not in {:?}", plan.assumable);
            }
        }
    }

    #[test]
    fn a_removal_leaves_nothing_of_ours_and_all_else(mut world in world()) {
        let untouched = foreign(&world);
        for _ in 0..2 {
            let plan = world.plan_removal();
            for step in &plan.steps {
                world.apply(step);
            }
        }
        prop_assert_eq!(&foreign(&world), &untouched);
        let plan = world.plan_removal();
        prop_assert!(plan.steps.is_empty());
        let tags = world.observed.role.as_ref().map(|role| role.tags.clone()).unwrap_or_default();
        if plan.blocked.is_empty() && !held(&tags) {
            prop_assert!(!is_ours(&world), "what is ours is gone");
        }
        prop_assert!(world.observed.provider.is_none() || !untouched.is_empty(), "a provider is never deleted");
    }
}

fn held(tags: &Tags) -> bool {
    tags.contains_key(HOLD_TAG)
}
