//! Whose things are: a deployer role that somebody else keeps.

use mooring::{managed_cluster::Step, policy::trust};

use crate::{
    golden,
    world::{World, brief, management},
};

const THEIRS: &str = "arn:aws:iam::222222222222:role/argocd-prod";
const EXISTING: &str = r#"
accountId: "222222222222"
region: eu-west-1
access:
  policies: [{name: AmazonEKSClusterAdminPolicy}]
  deployerRole: {type: Existing, arn: "arn:aws:iam::222222222222:role/argocd-prod"}
"#;

fn lets_us_in() -> String {
    trust::with_ours("", &management().role).to_json()
}

/// A role that a pipeline made.
fn made_by_others(trust: &str) -> World {
    let mut world = World::new(EXISTING);
    world.role = Some(mooring::aws::Role {
        arn: THEIRS.into(),
        id: "AROATHEIRS".into(),
        name: "argocd-prod".into(),
        trust: trust.into(),
        boundary: None,
        tags: [("terraform".to_owned(), "yes".to_owned())].into(),
    });
    world
}

#[test]
fn an_existing_role_is_used_and_never_written_to() {
    let mut world = made_by_others(&lets_us_in());
    let before = world.role.clone();
    let plan = world.pass();
    assert_eq!(
        brief(&plan),
        [
            "CreateAccessEntry",
            "Associate AmazonEKSClusterAdminPolicy",
            "ApplySecret"
        ]
    );
    golden("existing", &plan);
    assert!(world.plan().is_clean());
    // Whatever its owner does to it, short of shutting us out, is his affair.
    world.role().boundary = Some("arn:aws:iam::222222222222:policy/theirs".into());
    world.role().tags.clear();
    assert!(world.plan().is_clean());
    world.role.clone_from(&before);
    let removal = world.plan_removal();
    assert_eq!(brief(&removal), ["DeleteSecret", "DeleteAccessEntry"]);
    for step in &removal.steps {
        world.apply(step);
    }
    assert_eq!(world.role, before);
}

#[test]
fn what_keeps_an_existing_role_from_use_is_told_and_changes_nothing() {
    type Change = fn(&mut World);
    let cases: [(&str, Change, &[&str], &str); 7] = [
        (
            "missing",
            |w| w.role = None,
            &["!UnusableRole"],
            "there is no such role",
        ),
        (
            "elsewhere",
            |w| w.role().arn = "arn:aws:iam::222222222222:role/ci/argocd-prod".into(),
            &["!UnusableRole"],
            "role/ci/argocd-prod",
        ),
        (
            "provisioner",
            |w| {
                let hub = w.request.owner.hub.to_string();
                w.role().tags.insert("mooring.dev/hub".into(), hub);
            },
            &["!UnusableRole"],
            "bears the mark of Mooring",
        ),
        (
            "of-another-object",
            |w| {
                let tags = mooring::domain::ownership::Owner {
                    uid: "other".into(),
                    ..w.request.owner.clone()
                };
                w.role().tags.extend(tags.tags());
            },
            &["!UnusableRole"],
            "bears the mark of Mooring",
        ),
        (
            "on-its-way",
            |w| w.role().arn = "AROATHEIRS".into(),
            &["!Propagating"],
            "takes seconds",
        ),
        (
            "trust",
            |w| {
                w.role().trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:role/argocd-manager"},"Action":"sts:AssumeRole"}]}"#.into();
            },
            &["!TrustMissing"],
            r#"argocd-manager"},"Action":"sts:AssumeRole"},{"Sid":"ManagementRole","Effect":"Allow""#,
        ),
        (
            "denied",
            |w| {
                w.role().trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}]}"#.into();
            },
            &["!TrustMissing"],
            "take that statement out",
        ),
    ];
    for (name, change, wanted, says) in cases {
        let mut world = made_by_others(&lets_us_in());
        change(&mut world);
        let plan = world.plan();
        assert_eq!(brief(&plan), wanted, "{name}");
        let message = plan.blocked[0].message();
        assert!(message.contains(says), "{name}: {message}");
    }
}

#[test]
fn the_trust_that_is_told_is_the_one_that_lets_us_in() {
    let mut world = made_by_others("{}");
    world.role().trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#.into();
    let message = world.plan().blocked[0].message();
    let document = message.rsplit(": {").next().map(|rest| format!("{{{rest}")).unwrap();
    world.role().trust = document;
    assert!(world.pass().blocked.is_empty());
    assert!(world.plan().is_clean());
    assert!(world.role().trust.contains("ec2.amazonaws.com"));
}

#[test]
fn while_an_existing_role_shuts_us_out_a_narrower_spec_still_narrows() {
    let mut world = made_by_others(&lets_us_in());
    world.pass();
    world.role().trust = "{}".into();
    assert!(
        world.plan().is_clean(),
        "what cannot be read is not told as shutting out"
    );
    world.role().trust = r#"{"Version":"2012-10-17","Statement":[]}"#.into();
    let view = EXISTING.replace("ClusterAdmin", "View");
    world.request = crate::world::request(&view);
    let plan = world.plan();
    assert_eq!(
        brief(&plan),
        [
            "Associate AmazonEKSViewPolicy",
            "Disassociate AmazonEKSClusterAdminPolicy",
            "!TrustMissing"
        ]
    );
}

#[test]
fn an_entry_for_an_existing_role_that_was_made_again_is_healed_after_two_looks() {
    let mut world = made_by_others(&lets_us_in());
    world.pass();
    world.role().id = "AROAAGAIN".into();
    assert_eq!(brief(&world.pass()), ["!StalePrincipal"]);
    let healed = world.pass();
    assert_eq!(healed.steps[0], Step::DeleteAccessEntry);
    assert_eq!(world.pinned.as_deref(), Some("AROAAGAIN"));
    assert!(world.plan().is_clean());
}
