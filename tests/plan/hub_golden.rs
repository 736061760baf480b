//! Plans of a `ManagementRole`: in brief here, in full in the golden files; and who its members are.

use std::collections::BTreeSet;

use mooring::management_role::step::POLICY_NAME;
use serde_json::{Map, Value, json};

use crate::{
    golden,
    hub::{ISSUER, World, attached, brief, cluster},
    world::others_tags,
};

const PATTERN: &str = "arn:aws:iam::222222222222:role/mooring/111111111111-eu-west-1-hub/default/*";
const PROD: &str = "arn:aws:iam::222222222222:role/mooring/111111111111-eu-west-1-hub/default/prod-eu-49950450";

type Case = (&'static str, Value, fn(&mut World), &'static [&'static str]);

fn prod() -> mooring::api::ManagedCluster {
    cluster("222222222222", "prod-eu", &json!({}))
}

fn wanted(world: &World) -> Vec<String> {
    world.members().wanted.into_iter().collect()
}

#[test]
fn it_is_made_in_two_passes_and_then_rests() {
    for (name, spec) in [
        ("per-account", json!({})),
        ("explicit", json!({"assumePolicy": "Explicit"})),
    ] {
        let mut world = World::new(&spec, vec![prod()]);
        let first = world.pass();
        assert_eq!(brief(&first), ["CreateOidcProvider", "CreateRole", "!JustMade"]);
        assert!(
            first.assumable.is_empty(),
            "clusters must not stand on a policy that is not there"
        );
        let second = world.pass();
        assert_eq!(brief(&second), ["PutPolicy"]);
        assert_eq!(
            second.assumable.iter().collect::<Vec<_>>(),
            [if name == "explicit" { PROD } else { PATTERN }]
        );
        assert!(world.plan().is_clean());
        golden(&format!("management-{name}"), &[first, second]);
    }
}

/// The role was made for an object of this name that is no more.
fn left_behind(world: &mut World, confirmed: Option<&str>) {
    world.recorded = None;
    world.role().tags.insert("mooring.dev/uid".into(), "former".into());
    world.request.confirmed_hub = confirmed.map(str::to_owned);
}

#[test]
fn each_state_leads_to_its_own_plan() {
    let none = || json!({});
    let cases: [Case; 37] = [
        ("steady", none(), |_| {}, &[]),
        ("hub-missing", none(), |w| w.observed.cluster = None, &["!HubNotFound"]),
        (
            "hub-mismatch",
            none(),
            |w| w.observed.issuer_here = "https://other".into(),
            &["!HubMismatch"],
        ),
        (
            "hub-without-issuer",
            none(),
            |w| w.observed.cluster.as_mut().unwrap().issuer = None,
            &["!HubMismatch"],
        ),
        // Both agree, but not with what was recorded: the hub was made again under its name.
        (
            "hub-replaced",
            none(),
            |w| w.recorded_issuer = Some("https://oidc.eks.eu-west-1.amazonaws.com/id/OLD".into()),
            &["!HubMismatch"],
        ),
        (
            "hub-replaced-and-another-confirmed",
            none(),
            |w| {
                w.recorded_issuer = Some("https://oidc.eks.eu-west-1.amazonaws.com/id/OLD".into());
                w.request.confirmed_hub = Some("https://oidc.eks.eu-west-1.amazonaws.com/id/OTHER".into());
            },
            &["!HubMismatch"],
        ),
        // Then trust and provider follow; the old provider stays.
        (
            "hub-replaced-and-confirmed",
            none(),
            |w| {
                w.recorded_issuer = Some("https://oidc.eks.eu-west-1.amazonaws.com/id/OLD".into());
                w.request.confirmed_hub = Some(ISSUER.into());
                w.observed.provider = None;
                w.role().trust = w.role().trust.replace("EXAMPLED539D4633E53DE1B71EXAMPLE", "OLD");
            },
            &["CreateOidcProvider", "SetTrust"],
        ),
        ("role-left-behind", none(), |w| left_behind(w, None), &["!RoleNotOurs"]),
        (
            "role-left-behind-and-confirmed",
            none(),
            |w| left_behind(w, Some(ISSUER)),
            &["!StalePrincipal"],
        ),
        (
            "role-replaced",
            none(),
            |w| {
                w.role().id = "AROASTRANGER".into();
                w.role().tags.clear();
            },
            &["!StalePrincipal"],
        ),
        // A read from before we deleted it.
        (
            "stranger-that-was-deleted",
            none(),
            |w| {
                w.role().id = "AROASTRANGER".into();
                w.deleted = Some("AROASTRANGER".into());
            },
            &["!Propagating"],
        ),
        (
            "unusable-issuer",
            none(),
            |w| {
                w.observed.issuer_here = "https://x:8443/id".into();
                w.observed.cluster.as_mut().unwrap().issuer = Some("https://x:8443/id".into());
            },
            &["!UnusableIssuer"],
        ),
        (
            "provider-gone",
            none(),
            |w| w.observed.provider = None,
            &["CreateOidcProvider"],
        ),
        (
            "audience-gone",
            none(),
            |w| w.observed.provider.as_mut().unwrap().client_ids.clear(),
            &["AddAudience"],
        ),
        (
            "required-provider-gone",
            json!({"oidcProvider": "Require"}),
            |w| w.observed.provider = None,
            &["!OidcProviderMissing"],
        ),
        // A role cannot be made to trust what is not there.
        (
            "required-provider-never-there",
            json!({"oidcProvider": "Require"}),
            |w| {
                w.observed.provider = None;
                w.observed.role = None;
                w.observed.policy = None;
                w.recorded = None;
            },
            &["!OidcProviderMissing"],
        ),
        (
            "required-audience-gone",
            json!({"oidcProvider": "Require"}),
            |w| w.observed.provider.as_mut().unwrap().client_ids.clear(),
            &["!AudienceMissing"],
        ),
        ("trust", none(), |w| w.role().trust = "{}".into(), &["SetTrust"]),
        (
            "longest-session",
            none(),
            |w| w.role().longest_session = Some(43_200),
            &["UpdateRole"],
        ),
        ("description", none(), |w| w.role().description = None, &["UpdateRole"]),
        (
            "all-of-the-role",
            none(),
            |w| {
                w.role().trust.clear();
                w.role().boundary = None;
                w.role().tags.clear();
            },
            &["SetBoundary", "SetTrust", "TagRole"],
        ),
        (
            "role-gone",
            none(),
            |w| {
                w.observed.role = None;
                w.observed.policy = None;
                w.observed.policies.inline.clear();
            },
            &["CreateRole", "!JustMade"],
        ),
        (
            "role-elsewhere",
            none(),
            |w| w.role().arn = "arn:aws:iam::111111111111:role/x".into(),
            &["!RoleNotOurs"],
        ),
        (
            "role-in-another-case",
            none(),
            |w| {
                let (path, name) = w
                    .role()
                    .arn
                    .clone()
                    .rsplit_once('/')
                    .map(|(a, b)| (a.to_owned(), b.to_owned()))
                    .unwrap();
                w.role().arn = format!("{path}/{}", name.to_ascii_uppercase());
                w.role().id = "AROATHEIRS".into();
            },
            &["!RoleNotOurs"],
        ),
        (
            "role-foreign",
            none(),
            |w| {
                w.recorded = None;
                w.role().tags.clear();
            },
            &["!RoleNotOurs"],
        ),
        (
            "role-of-another",
            none(),
            |w| {
                w.recorded = None;
                let tags = others_tags(&w.role().tags.clone());
                w.role().tags = tags;
            },
            &["!RoleNotOurs"],
        ),
        (
            "stranger",
            none(),
            |w| w.role().id = "AROASTRANGER".into(),
            &["!StalePrincipal"],
        ),
        (
            "stranger-confirmed",
            none(),
            |w| {
                w.role().id = "AROASTRANGER".into();
                w.role().boundary = None;
                w.confirmed = Some("AROASTRANGER".into());
            },
            &["SetBoundary", "DeletePolicy", "DeleteRole", "CreateRole", "!JustMade"],
        ),
        (
            "stranger-with-policies",
            none(),
            |w| {
                w.role().id = "AROASTRANGER".into();
                w.observed.policies = attached("a");
                w.confirmed = Some("AROASTRANGER".into());
            },
            &["!StalePrincipal"],
        ),
        ("policy-gone", none(), |w| w.observed.policy = None, &["PutPolicy"]),
        (
            "policy-unreadable",
            none(),
            |w| w.observed.policy = Some("?".into()),
            &["PutPolicy"],
        ),
        (
            "policy-widened",
            none(),
            |w| w.observed.policy = Some(w.observed.policy.clone().unwrap().replace(PATTERN, "*")),
            &["PutPolicy"],
        ),
        ("no-member-left", none(), |w| w.clusters.clear(), &["DeletePolicy"]),
        (
            "no-member-left-and-one-unreadable",
            none(),
            |w| {
                w.clusters.clear();
                w.unreadable = true;
            },
            &[],
        ),
        (
            "foreign-policy",
            none(),
            |w| {
                w.observed.policies.attached.insert("a".into());
                w.observed.policy = None;
            },
            &["PutPolicy", "!ForeignPolicyAttached"],
        ),
        (
            "existing-missing",
            json!({"identity": {"type": "Existing", "roleArn": "arn:aws:iam::111111111111:role/argocd"}}),
            |w| w.observed.role = None,
            &["!RoleMissing"],
        ),
        (
            "existing-elsewhere",
            json!({"identity": {"type": "Existing", "roleArn": "arn:aws:iam::111111111111:role/a/argocd"}}),
            |_| {},
            &["!RoleNotOurs"],
        ),
    ];
    let mut all = Map::new();
    for (name, spec, change, wanted) in cases {
        let mut world = World::kept(&json!({}), vec![prod()]);
        world.request = crate::hub::request(&spec);
        change(&mut world);
        let plan = world.pass();
        assert_eq!(brief(&plan), wanted, "{name}");
        world.confirmed = None;
        let second = world.plan();
        let policy_follows = brief(&plan).contains(&"!JustMade".to_owned());
        assert!(
            second.steps.is_empty() || policy_follows,
            "{name}: {:?}",
            brief(&second)
        );
        all.insert(name.to_owned(), serde_json::to_value(&plan).unwrap());
    }
    golden("management", &all);
}

#[test]
fn an_existing_role_is_looked_at_and_never_written() {
    let spec = json!({"identity": {"type": "Existing", "roleArn": "arn:aws:iam::111111111111:role/argocd"}});
    let mut world = World::kept(&json!({}), vec![prod()]);
    world.request = crate::hub::request(&spec);
    world.role().arn = "arn:aws:iam::111111111111:role/argocd".into();
    world.role().trust = "{}".into();
    world.role().tags.clear();
    assert!(world.plan().is_clean());
    assert!(world.plan_removal().is_clean());
}

/// Whom an existing role lets in is looked at, since naming it on others would give them nothing.
#[test]
fn of_an_existing_role_it_is_known_whose_web_identity_it_does_not_let_in() {
    let arn = "arn:aws:iam::111111111111:role/argocd";
    let mut world = World::kept(&json!({}), vec![prod()]);
    let ours = world.role().trust.clone();
    assert_eq!(world.plan().untrusted, BTreeSet::new());
    world.request = crate::hub::request(&json!({"identity": {"type": "Existing", "roleArn": arn}}));
    world.role().arn = arn.into();
    let agent = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}]}"#;
    let all = [
        "argocd-application-controller",
        "argocd-applicationset-controller",
        "argocd-server",
    ];
    for (trust, untrusted) in [
        (ours.clone(), &all[..0]),
        (agent.to_owned(), &all),
        (ours.replace("/id/EXAMPLE", "/id/ANOTHER"), &all),
        (ours.replace(":argocd-server", ":argocd-repo-server"), &all[2..]),
        // What does not parse, or depends on what is not known, keeps nobody from being bound.
        ("no document".to_owned(), &all[..0]),
        (ours.replace("StringEquals", "DateGreaterThan"), &all[..0]),
    ] {
        world.role().trust.clone_from(&trust);
        let plan = world.plan();
        assert!(plan.is_clean());
        assert_eq!(
            plan.untrusted,
            untrusted.iter().map(|name| (*name).to_owned()).collect(),
            "{trust}"
        );
    }
}

#[test]
fn an_unreadable_member_keeps_what_stands_and_nothing_that_somebody_slipped_in() {
    let mut world = World::kept(&json!({}), vec![prod()]);
    world.clusters.clear();
    world.unreadable = true;
    let evil = r#"","arn:aws:iam::333333333333:role/evil","*","arn:aws:iam::*:role/mooring/111111111111-eu-west-1-hub/default/*"#;
    let policy = world
        .observed
        .policy
        .clone()
        .unwrap()
        .replace(&format!("\"{PATTERN}\""), &format!("[\"{PATTERN}{evil}\"]"));
    assert!(policy.contains("evil"), "{policy}");
    world.observed.policy = Some(policy);
    let plan = world.pass();
    assert_eq!(brief(&plan), ["PutPolicy"]);
    assert_eq!(plan.assumable.into_iter().collect::<Vec<_>>(), [PATTERN]);
}

#[test]
fn what_somebody_takes_away_while_a_member_cannot_be_read_is_put_back() {
    let mut world = World::kept(&json!({}), vec![prod()]);
    world.recorded_ways = [PATTERN.to_owned()].into();
    world.clusters.clear();
    world.unreadable = true;
    world.observed.policy = None;
    let plan = world.pass();
    assert_eq!(brief(&plan), ["PutPolicy"]);
    assert_eq!(Vec::from_iter(plan.assumable), [PATTERN]);
    world.unreadable = false;
    assert_eq!(brief(&world.plan()), ["DeletePolicy"], "nobody needs it");
}

/// `number` clusters of one account, with names long enough to fill a policy.
fn many(number: usize) -> Vec<mooring::api::ManagedCluster> {
    (0..number)
        .map(|i| cluster("222222222222", &format!("c{i:03}-{}", "x".repeat(40)), &json!({})))
        .collect()
}

#[test]
fn a_full_policy_fits_first_what_stands() {
    let explicit = json!({"assumePolicy": "Explicit"});
    let mut world = World::kept(&explicit, many(100).split_off(30));
    let standing = world.observed.assumable(&world.request.hub, &BTreeSet::new());
    // The thirty that come now sort before those that stand.
    world.clusters = many(100);
    let plan = world.pass();
    assert_eq!(brief(&plan), ["PutPolicy", "!PolicyFull"]);
    assert!(standing.is_subset(&plan.assumable), "somebody lost the way");
    assert!(
        plan.assumable.len() > standing.len() && plan.assumable.len() < 100,
        "{}",
        plan.assumable.len()
    );
    assert!(world.plan().steps.is_empty(), "a full policy rests");
    // Room that is made is used.
    world.clusters.truncate(40);
    assert_eq!(brief(&world.pass()), ["PutPolicy"]);
    assert!(world.plan().is_clean());
}

#[test]
fn a_pattern_is_kept_while_the_roles_behind_it_do_not_fit_one_by_one() {
    let mut world = World::kept(&json!({}), many(100));
    world.request = crate::hub::request(&json!({"assumePolicy": "Explicit"}));
    for _ in 0..2 {
        let plan = world.pass();
        assert!(plan.assumable.contains(PATTERN), "everybody left out would be cut off");
        assert!(brief(&plan).contains(&"!PolicyFull".to_owned()));
    }
    assert!(world.plan().steps.is_empty());
    world.clusters.truncate(10);
    assert_eq!(brief(&world.pass()), ["PutPolicy"]);
    assert_eq!(world.observed.assumable(&world.request.hub, &BTreeSet::new()).len(), 10);
    assert!(world.plan().is_clean());
}

#[test]
fn members_grow_at_once_and_shrink_with_care() {
    let mut world = World::kept(&json!({"assumePolicy": "Explicit"}), vec![prod()]);
    assert_eq!(wanted(&world), [PROD]);
    // Being removed: until the object is gone, its role may still be there.
    world.clusters = vec![cluster(
        "222222222222",
        "prod-eu",
        &json!({"/metadata/deletionTimestamp": "2026-01-01T00:00:00Z", "/metadata/finalizers": ["mooring.dev/finalizer"]}),
    )];
    assert_eq!(wanted(&world), [PROD]);
    world.clusters.clear();
    assert!(wanted(&world).is_empty());
    // Another ManagementRole's is no member.
    world.clusters = vec![cluster(
        "222222222222",
        "prod-eu",
        &json!({"/spec/managementRole": "other"}),
    )];
    assert!(wanted(&world).is_empty());
}

#[test]
fn what_allow_does_not_cover_adds_nothing_and_keeps_what_stands() {
    let narrow = json!({"assumePolicy": "Explicit", "allow": [{"accounts": ["333333333333"]}]});
    let mut world = World::new(&narrow, vec![prod()]);
    assert!(wanted(&world).is_empty(), "never made, not allowed");
    let mut standing = World::kept(&json!({"assumePolicy": "Explicit"}), vec![prod()]);
    standing.request = crate::hub::request(&narrow);
    assert_eq!(wanted(&standing), [PROD], "the policy has it");
    standing.clusters = vec![cluster(
        "222222222222",
        "prod-eu",
        &json!({"/metadata/deletionTimestamp": "2026-01-01T00:00:00Z", "/metadata/finalizers": ["mooring.dev/finalizer"]}),
    )];
    assert_eq!(wanted(&standing), [PROD], "also while it is being removed");
    world.clusters = vec![cluster(
        "222222222222",
        "prod-eu",
        &json!({"/status/deployerRole": {"arn": PROD, "id": "A"}}),
    )];
    assert_eq!(wanted(&world), [PROD], "its role was made");
}

#[test]
fn a_cluster_for_which_nothing_new_is_made_adds_nothing_and_keeps_what_stands() {
    let explicit = json!({"assumePolicy": "Explicit"});
    for change in [
        json!({"/spec/mode": "Observe"}),
        json!({"/spec/mode": "Suspended"}),
        json!({"/metadata/annotations": {"mooring.dev/paused": "true"}}),
    ] {
        let member = |more: &Value| {
            let mut all = change.clone();
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            vec![cluster("222222222222", "prod-eu", &all)]
        };
        let world = World::new(&explicit, member(&json!({})));
        assert!(wanted(&world).is_empty(), "{change}");
        let made = member(&json!({"/status/deployerRole": {"arn": PROD, "id": "A"}}));
        assert_eq!(wanted(&World::new(&explicit, made)), [PROD], "{change}");
        let mut admitted = World::kept(&explicit, vec![prod()]);
        admitted.clusters = member(&json!({}));
        assert_eq!(wanted(&admitted), [PROD], "{change}");
    }
}

#[test]
fn a_kept_deployer_role_keeps_its_way_when_its_object_is_gone() {
    let going = json!({
        "/spec/deletion": {"policy": "Retain"},
        "/metadata/deletionTimestamp": "2026-01-01T00:00:00Z",
        "/metadata/finalizers": ["mooring.dev/finalizer"],
        "/status/deployerRole": {"arn": PROD, "id": "A"},
    });
    let mut world = World::kept(&json!({"assumePolicy": "Explicit"}), vec![prod()]);
    world.clusters = vec![cluster("222222222222", "prod-eu", &going)];
    world.pass();
    world.clusters.clear();
    assert_eq!(world.retained, BTreeSet::from([PROD.to_owned()]));
    assert_eq!(wanted(&world), [PROD]);
    assert!(world.plan().is_clean());
    // The same cluster moored again is an ordinary member, once the role is its own.
    world.clusters = vec![prod()];
    assert_eq!(world.members().retained, BTreeSet::from([PROD.to_owned()]));
    let made = json!({"/status/deployerRole": {"arn": PROD, "id": "B"}});
    world.clusters = vec![cluster("222222222222", "prod-eu", &made)];
    assert!(world.members().retained.is_empty());
    // One that is somebody else's trusts the management role as well, also where another object uses it still.
    let existing = "arn:aws:iam::222222222222:role/argocd-prod";
    let mut used = json!({
        "/spec/access/deployerRole": {"type": "Existing", "arn": existing},
        "/status/deployerRole": {"arn": existing, "id": "A"},
    });
    let stays = cluster("222222222222", "stays", &used);
    used.as_object_mut().unwrap().extend(going.as_object().unwrap().clone());
    used["/status/deployerRole"]["arn"] = json!(existing);
    let goes = || cluster("222222222222", "goes", &used);
    for members in [vec![goes()], vec![stays.clone(), goes()], vec![goes(), stays.clone()]] {
        let world = World::kept(&json!({}), members);
        assert_eq!(world.members().retained, BTreeSet::from([existing.to_owned()]));
    }
    // What one kept stays kept, whoever uses the role beside it and goes later.
    let mut world = World::kept(&json!({}), vec![stays.clone(), goes()]);
    for clusters in [vec![stays], vec![]] {
        world.clusters = clusters;
        world.pass();
        assert_eq!(world.retained, BTreeSet::from([existing.to_owned()]));
        assert_eq!(wanted(&world), [existing]);
    }
    // One whose role was never made leaves nothing to keep.
    let mut never = World::new(
        &json!({}),
        vec![cluster(
            "222222222222",
            "prod-eu",
            &json!({
                "/spec/deletion": {"policy": "Retain"},
                "/metadata/deletionTimestamp": "2026-01-01T00:00:00Z",
            }),
        )],
    );
    never.pass();
    assert!(never.retained.is_empty());
}

#[test]
fn a_removal_takes_policy_and_role_and_leaves_what_is_not_ours() {
    let cases: [(&str, fn(&mut World), &[&str]); 7] = [
        ("everything", |_| {}, &["DeletePolicy", "DeleteRole"]),
        (
            "nothing-to-assume",
            |w| {
                w.observed.policy = None;
                w.observed.policies.inline.remove(POLICY_NAME);
            },
            &["DeleteRole"],
        ),
        (
            "boundary-gone",
            |w| w.role().boundary = None,
            &["SetBoundary", "DeletePolicy", "DeleteRole"],
        ),
        (
            "foreign-policy",
            |w| {
                w.observed.policies.inline.insert("x".into());
            },
            &["!ForeignPolicyAttached"],
        ),
        (
            "foreign-policy-and-no-boundary",
            |w| {
                w.observed.policies.inline.insert("x".into());
                w.role().boundary = None;
            },
            &["SetBoundary", "!ForeignPolicyAttached"],
        ),
        (
            "role-foreign",
            |w| {
                w.recorded = None;
                w.role().tags.clear();
            },
            &[],
        ),
        ("role-gone", |w| w.observed.role = None, &[]),
    ];
    let mut all = Map::new();
    for (name, change, wanted) in cases {
        let mut world = World::kept(&json!({}), vec![prod()]);
        change(&mut world);
        let plan = world.plan_removal();
        assert_eq!(brief(&plan), wanted, "{name}");
        for step in &plan.steps {
            world.apply(step);
        }
        assert!(world.plan_removal().steps.is_empty());
        all.insert(name.to_owned(), serde_json::to_value(&plan).unwrap());
    }
    golden("management-removal", &all);
}

/// Whoever acts as the role may do what its policies and its boundary both allow.
#[test]
fn the_boundary_is_said_to_hold_a_role_only_where_it_has_it() {
    let mut world = World::kept(&json!({}), vec![prod()]);
    world.observed.policies.attached.insert("a".into());
    let told = |world: &World| [world.plan(), world.plan_removal()].map(|plan| plan.blocked[0].message());
    for told in told(&world) {
        assert!(told.contains("boundary holds it to assuming"), "{told}");
    }
    world.role().boundary = None;
    for told in told(&world) {
        assert!(told.contains("found without the permissions boundary"), "{told}");
    }
}

#[test]
fn a_removal_on_another_hub_takes_nothing_away_of_what_may_be_that_ones() {
    let elsewhere: [(&str, fn(&mut World)); 3] = [
        ("HubMismatch", |w| w.observed.issuer_here = "https://other".into()),
        ("HubMismatch", |w| w.recorded_issuer = Some("https://former".into())),
        ("HubNotFound", |w| w.observed.cluster = None),
    ];
    for (reason, change) in elsewhere {
        let mut world = World::kept(&json!({}), vec![]);
        change(&mut world);
        let plan = world.plan_removal();
        assert_eq!(brief(&plan), [format!("!{reason}")]);
        assert!(plan.blocked[0].stalled() && !plan.is_clean());
        let message = plan.blocked[0].message();
        assert!(message.contains("kubectl patch mgr default"), "{message}");
        // What only the record of the role makes ours is not taken either.
        world.role().tags.clear();
        assert_eq!(brief(&world.plan_removal()), [format!("!{reason}")]);
        // Where nothing was made for it nothing is in the way, unless there are roles that may trust it.
        world.observed.role = None;
        assert_eq!(brief(&world.plan_removal()), [""; 0]);
        world.retained.insert(PROD.to_owned());
        assert_eq!(brief(&world.plan_removal()), [format!("!{reason}")]);
    }
    let mut confirmed = World::kept(&json!({}), vec![]);
    confirmed.recorded_issuer = Some("https://former".into());
    confirmed.request.confirmed_hub = Some(ISSUER.into());
    assert_eq!(brief(&confirmed.plan_removal()), ["DeleteRole"]);
}

/// A role must say that it trusts itself (IAM user guide, "Methods to assume a role"), and the policy of one that is
/// trusted by its account must let it.
#[test]
fn it_may_assume_itself_as_long_as_a_cluster_secret_needs_that_and_no_longer() {
    for spec in [json!({}), json!({"assumePolicy": "Explicit"})] {
        let mut world = World::new(&spec, vec![prod()]);
        world.pass();
        world.pass();
        let (trust, policy) = (world.role().trust.clone(), world.observed.policy.clone());
        assert!(!world.observed.assumes_itself());
        world.acting = Some(["by-hand".to_owned()].into());
        let itself = world.request.role.to_string();
        let plan = world.pass();
        assert_eq!(brief(&plan), ["SetTrust", "PutPolicy"]);
        assert_eq!(plan.acting.iter().collect::<Vec<_>>(), ["by-hand"]);
        assert!(world.plan().is_clean() && world.observed.assumes_itself());
        for text in [world.role().trust.clone(), world.observed.policy.clone().unwrap()] {
            let document: Value = serde_json::from_str(&text).unwrap();
            let all = document["Statement"].as_array().unwrap();
            let ours: Vec<_> = all.iter().filter(|one| one["Sid"] == "Itself").collect();
            assert_eq!((all.len(), ours.len()), (2, 1), "beside what was there: {text}");
            assert!(ours[0].to_string().contains(&itself) && !ours[0].to_string().contains('*'));
        }
        // Nobody could look: what stands is kept. What there was is not given to anybody else.
        world.acting = None;
        assert!(world.plan().is_clean());
        world.acting = Some([].into());
        assert_eq!(brief(&world.pass()), ["SetTrust", "PutPolicy"]);
        assert_eq!(
            (world.role().trust.clone(), world.observed.policy.clone()),
            (trust, policy)
        );
        world.acting = None;
        assert!(world.plan().is_clean(), "and where nobody looks, nothing is given");
    }
}

#[test]
fn a_role_of_somebody_elses_that_does_not_trust_itself_is_told_what_to_set() {
    let arn = "arn:aws:iam::111111111111:role/argocd-manager";
    let secret = "an-external-id-of-theirs";
    let mut trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "111111111111"},
        "Condition": {"StringEquals": {"sts:ExternalId": secret}},
    }]});
    let mut world = World::new(&json!({"identity": {"type": "Existing", "roleArn": arn}}), vec![prod()]);
    world.observed.role = Some(mooring::aws::Role {
        arn: arn.into(),
        id: "AROATHEIRS".into(),
        name: "argocd-manager".into(),
        trust: trust.to_string(),
        ..mooring::aws::Role::default()
    });
    assert_eq!(brief(&world.plan()), [""; 0]);
    world.acting = Some(["by-hand".to_owned()].into());
    let plan = world.plan();
    assert_eq!(brief(&plan), ["!SelfTrustMissing"]);
    assert!(plan.is_clean(), "it stands in nobody's way");
    let told = plan.blocked[0].message();
    assert!(told.contains("by-hand") && told.contains("aws:PrincipalArn"), "{told}");
    let logged = serde_json::to_string(&plan).unwrap();
    assert!(!told.contains(secret) && !logged.contains(secret), "{told} {logged}");
    let statement = told.split_once(": {").map(|(_, rest)| format!("{{{rest}")).unwrap();
    let statement: Value = serde_json::from_str(&statement).unwrap();
    trust["Statement"].as_array_mut().unwrap().push(statement);
    world.observed.role.as_mut().unwrap().trust = trust.to_string();
    assert_eq!(brief(&world.plan()), [""; 0]);
}
