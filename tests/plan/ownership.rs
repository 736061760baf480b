//! Whose things are: a deployer role that somebody else keeps, and things that others made and that are taken over.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use mooring::{
    aws::Role,
    domain::{
        eks::{AccessEntry, AccessPolicyArn, AccessScope},
        ownership::Owner,
    },
    managed_cluster::{Part, Step, living::Lives, plan::suspended},
    policy::{self, trust},
};
use serde_json::json;

use crate::{
    golden,
    world::{ADMIN, World, brief, endpoint, foreign_secret, management, owned_by},
};

pub(crate) const THEIRS: &str = "arn:aws:iam::222222222222:role/argocd-prod";
pub(crate) const EXISTING: &str = r#"
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
    world.role = Some(Role {
        arn: THEIRS.into(),
        id: "AROATHEIRS".into(),
        name: "argocd-prod".into(),
        trust: trust.into(),
        tags: [("terraform".to_owned(), "yes".to_owned())].into(),
        ..Role::default()
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
            r#"there is no such role: have its owner make it, in account 222222222222, without a policy of its own and with this trust policy: {"Version":"2012-10-17","Statement":[{"Sid":"ManagementRole""#,
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
            "bears the tags of Mooring",
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
            "bears the tags of Mooring",
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
            r#"add this statement to its list Statement, beside all that stands there: {"Sid":"ManagementRole","Effect":"Allow""#,
        ),
        (
            "denied",
            |w| {
                w.role().trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}]}"#.into();
            },
            &["!TrustMissing"],
            "take out of it what denies that (statement number 1: Deny sts:AssumeRole to anyone)",
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

/// What the owner of a role wrote into its trust policy is his to show, an external ID above all.
const EXTERNAL_ID: &str = "an-external-id-of-theirs";

fn asks_for_an_external_id() -> serde_json::Value {
    json!({
        "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
        "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}},
    })
}

#[test]
fn the_statement_that_is_told_lets_us_in_beside_those_that_stand_and_of_these_nothing_is_told() {
    let mut world = made_by_others("{}");
    let mut trust = json!({"Version": "2012-10-17", "Statement": [asks_for_an_external_id()]});
    world.role().trust = trust.to_string();
    let plan = world.plan();
    let message = plan.blocked[0].message();
    let logged = serde_json::to_string(&plan).unwrap();
    for told in [&message, &logged] {
        assert!(!told.contains(EXTERNAL_ID), "{told}");
    }
    let statement = message.split_once(": {").map(|(_, rest)| format!("{{{rest}")).unwrap();
    let statement: serde_json::Value = serde_json::from_str(&statement).unwrap();
    trust["Statement"].as_array_mut().unwrap().push(statement);
    world.role().trust = trust.to_string();
    assert!(world.pass().blocked.is_empty());
    assert!(world.plan().is_clean());
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

pub(crate) const HUB: &str = "arn:aws:eks:eu-west-1:111111111111:cluster/hub";
pub(crate) const TAKEN_OVER: &str = r#"
accountId: "222222222222"
region: eu-west-1
adoptExisting: true
access:
  policies: [{name: AmazonEKSClusterAdminPolicy}]
  deployerRole: {arn: "arn:aws:iam::222222222222:role/argocd-prod"}
"#;
const THEIR_TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:role/argocd-manager"},"Action":"sts:AssumeRole"}]}"#;
const THEIR_SECRET: &str = "prod-cluster";

pub(crate) fn policy(name: &str) -> AccessPolicyArn {
    AccessPolicyArn::from_aws(&format!("arn:aws:eks::aws:cluster-access-policy/{name}"))
}

pub(crate) fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// A cluster that was wired by hand, with Terraform, and opened to us by everybody it belongs to.
pub(crate) fn wired_by_hand() -> World {
    let mut world = World::new(TAKEN_OVER);
    world.role = Some(Role {
        arn: THEIRS.into(),
        id: "AROATHEIRS".into(),
        name: "argocd-prod".into(),
        trust: THEIR_TRUST.into(),
        tags: tags(&[("terraform", "yes"), ("mooring.dev/adopt", HUB)]),
        ..Role::default()
    });
    world.entry = Some(AccessEntry {
        arn: "arn:aws:eks:eu-west-1:222222222222:access-entry/prod-eu/role/222222222222/argocd-prod/1".into(),
        principal: THEIRS.into(),
        kind: "STANDARD".into(),
        groups: ["theirs".to_owned()].into(),
        tags: tags(&[("terraform", "yes"), ("mooring.dev/adopt", HUB)]),
        ..AccessEntry::default()
    });
    world.pinned = Some("AROATHEIRS".into());
    world.associations = [
        (policy("AmazonEKSClusterAdminPolicy"), AccessScope::Cluster),
        (policy("AmazonEKSViewPolicy"), AccessScope::Cluster),
    ]
    .into();
    let mut secret = foreign_secret(THEIR_SECRET, endpoint(), "prod-eu");
    let data = secret.data.as_mut().unwrap();
    let config =
        r#"{"awsAuthConfig":{"clusterName":"prod-eu","roleARN":"arn:aws:iam::222222222222:role/argocd-prod"}}"#;
    for (key, value) in [("config", config), ("shard", "1"), ("note", "ours to keep")] {
        data.insert(key.into(), ByteString(value.as_bytes().to_vec()));
    }
    secret.metadata.annotations = Some(tags(&[("mooring.dev/adopt", "prod-eu"), ("team", "platform")]));
    world.secrets.insert(THEIR_SECRET.into(), secret);
    world
}

pub(crate) const TAKE_OVER: [&str; 5] = [
    "AdoptRole",
    "SetBoundary",
    "AddTrust",
    "AdoptAccessEntry",
    "ApplySecret",
];

#[test]
fn what_was_wired_by_hand_is_taken_over_and_what_others_wrote_stays() {
    let mut world = wired_by_hand();
    let plan = world.pass();
    assert_eq!(brief(&plan), TAKE_OVER);
    golden("adopt", &plan);
    let second = world.plan();
    assert!(second.is_clean(), "{second:?}");
    let beside: Vec<&String> = second.beside.values().flatten().collect();
    for told in [
        "argocd-manager",
        "Kubernetes group theirs",
        "AmazonEKSViewPolicy",
        "shard of cluster Secret",
    ] {
        assert!(beside.iter().any(|text| text.contains(told)), "{told}: {beside:?}");
    }
    assert_eq!(world.secrets.len(), 1);
    let secret = world.secrets[THEIR_SECRET].clone();
    let data = secret.data.unwrap();
    assert_eq!(data["note"].0, b"ours to keep");
    assert_eq!(data["shard"].0, b"1");
    assert_eq!(secret.metadata.annotations.unwrap()["team"], "platform");
    assert_eq!(world.associations.len(), 2);
    assert!(world.role().trust.contains("argocd-manager") && world.role().tags.contains_key("terraform"));
    assert!(!trust::lets_in(&world.role().trust, &management().role).refuses());
    // Without the wish it stays ours.
    world.request.adopt = false;
    assert!(world.plan().is_clean());
}

#[test]
fn a_pass_that_breaks_off_anywhere_takes_over_again() {
    let whole = wired_by_hand().plan().steps;
    for done in 0..whole.len() {
        let mut world = wired_by_hand();
        world.break_off(done);
        for _ in 0..3 {
            let plan = world.pass();
            let deletes = plan.steps.iter().any(|step| {
                matches!(
                    step,
                    Step::DeleteRole { .. } | Step::DeleteAccessEntry | Step::DeleteSecret { .. }
                )
            });
            assert!(!deletes, "after {done}: {plan:?}");
        }
        assert!(world.plan().is_clean(), "after {done}: {:?}", world.plan());
        assert_eq!(world.recorded_role.as_deref(), Some("AROATHEIRS"));
    }
}

#[test]
fn what_the_spec_gave_to_a_shared_entry_it_takes_away_again_and_nothing_else() {
    let mut world = wired_by_hand();
    world.pass();
    world.pass();
    world.request = crate::world::request(&TAKEN_OVER.replace("ClusterAdmin", "Edit"));
    let plan = world.pass();
    assert_eq!(
        brief(&plan),
        [
            "Associate AmazonEKSEditPolicy",
            "Disassociate AmazonEKSClusterAdminPolicy"
        ]
    );
    assert!(world.pass().is_clean());
    assert_eq!(
        world.associations.keys().map(AccessPolicyArn::name).collect::<Vec<_>>(),
        ["AmazonEKSEditPolicy", "AmazonEKSViewPolicy"]
    );
}

#[test]
fn what_others_wrote_into_the_trust_of_a_role_that_is_taken_over_is_in_no_plan_that_is_told_or_logged() {
    let mut world = wired_by_hand();
    let trust = json!({"Version": "2012-10-17", "Statement": [asks_for_an_external_id()]}).to_string();
    world.role().trust = trust;
    let silent = |plan: &mooring::managed_cluster::Plan| {
        let words: Vec<String> = plan.steps.iter().map(Step::words).collect();
        let told = format!("{} {words:?} {:?}", serde_json::to_string(plan).unwrap(), plan.beside);
        assert!(!told.contains(EXTERNAL_ID), "{told}");
    };
    let plan = world.pass();
    assert_eq!(brief(&plan), TAKE_OVER);
    silent(&plan);
    silent(&world.plan());
    let removal = world.plan_removal();
    assert!(brief(&removal).contains(&"LeaveRole".to_owned()), "{removal:?}");
    silent(&removal);
    assert!(world.role().trust.contains(EXTERNAL_ID), "it stays");
}

/// A user name that others gave to the sessions of their entry is theirs, as a group is: who made it may have bound
/// roles to it.
#[test]
fn the_user_name_of_a_shared_entry_is_told_and_stays() {
    let mut world = wired_by_hand();
    world.entry().groups.clear();
    world.associations.remove(&policy("AmazonEKSViewPolicy"));
    world.entry().username = Some("alice".into());
    world.pass();
    let plan = world.pass();
    assert!(plan.is_clean(), "{plan:?}");
    let beside: Vec<&String> = plan.beside.values().flatten().collect();
    assert!(beside.iter().any(|text| *text == "user name alice"), "{beside:?}");
    let removal = world.plan_removal();
    assert_eq!(
        brief(&removal),
        ["DeleteSecret", "Disassociate AmazonEKSClusterAdminPolicy", "LeaveRole"]
    );
    let lost = suspended::lost(
        world.entry.as_ref().unwrap(),
        Ok(&world.associations),
        world.given.as_ref(),
    );
    assert_eq!(lost, ["user name alice".to_owned()].into());
}

/// Whoever takes our tags off an entry that was taken over takes nothing of others' from it by that.
#[test]
fn an_entry_that_was_taken_over_is_shared_whatever_its_tags_say() {
    let mut world = wired_by_hand();
    world.pass();
    world.pass();
    let whole = world.entry().tags.clone();
    for key in ["mooring.dev/hub", "mooring.dev/uid", "mooring.dev/adopted"] {
        world.entry().tags.remove(key);
    }
    let removal = world.plan_removal();
    assert_eq!(
        brief(&removal),
        [
            "DeleteSecret",
            "TagAccessEntry",
            "Disassociate AmazonEKSClusterAdminPolicy",
            "LeaveRole"
        ]
    );
    assert_eq!(brief(&world.pass()), ["TagAccessEntry"]);
    assert_eq!(world.entry().tags, whole);
    assert_eq!(world.associations.len(), 2);
    assert!(world.plan().is_clean());
}

#[test]
fn a_shared_trust_policy_that_cannot_be_read_is_not_written_and_its_role_not_deleted() {
    let mut world = wired_by_hand();
    world.pass();
    world.pass();
    world.role().trust = "no document".into();
    let plan = world.plan();
    assert_eq!(brief(&plan), ["!NotAdoptable"]);
    let told = plan.blocked[0].message();
    assert!(told.contains("its trust policy cannot be read"), "{told}");
    let removal = world.plan_removal();
    let steps = ["DeleteSecret", "Disassociate AmazonEKSClusterAdminPolicy"];
    assert_eq!(brief(&removal), steps);
    let left = &removal.beside[&Part::DeployerRole];
    assert!(left.iter().any(|left| left.contains("cannot be read")), "{left:?}");
}

#[test]
fn a_removal_takes_what_mooring_wrote_and_leaves_what_is_others() {
    let mut world = wired_by_hand();
    world.pass();
    world.pass();
    let removal = world.plan_removal();
    assert_eq!(
        brief(&removal),
        ["DeleteSecret", "Disassociate AmazonEKSClusterAdminPolicy", "LeaveRole"]
    );
    golden("adopt-removal", &removal);
    for step in &removal.steps {
        world.apply(step);
    }
    assert_eq!(
        brief(&world.plan_removal()),
        Vec::<String>::new(),
        "a later look is clean"
    );
    assert!(trust::lets_in(&world.role().trust, &management().role).refuses());
    assert!(world.role().trust.contains("argocd-manager"));
    assert_eq!(world.associations.len(), 1);

    // What nobody else has a part in goes.
    let mut world = wired_by_hand();
    world.role().trust = lets_us_in();
    world.entry().groups.clear();
    world.associations.remove(&policy("AmazonEKSViewPolicy"));
    world.pass();
    world.pass();
    let removal = world.plan_removal();
    assert_eq!(brief(&removal), ["DeleteSecret", "DeleteAccessEntry", "DeleteRole"]);
    for step in &removal.steps {
        world.apply(step);
    }
}

/// Each refusal is told, and changes nothing.
#[test]
fn what_is_not_opened_or_is_in_use_is_not_taken_over() {
    type Change = fn(&mut World);
    let cases: [(&str, Change, &[&str], &str); 30] = [
        (
            "not-asked",
            |w| w.request.adopt = false,
            &["!RoleNotOurs", "!AccessEntryNotOurs"],
            "adoptExisting",
        ),
        (
            "role-absent",
            |w| w.role = None,
            &["!UnusableRole"],
            "no such role to take over",
        ),
        (
            "role-not-opened",
            |w| {
                w.role().tags.remove("mooring.dev/adopt");
            },
            &["!NotAdoptable"],
            "aws iam tag-role --role-name argocd-prod --tags Key=mooring.dev/adopt",
        ),
        (
            "role-for-another-hub",
            |w| {
                w.role().tags.insert(
                    "mooring.dev/adopt".into(),
                    "arn:aws:eks:eu-west-1:9:cluster/other".into(),
                );
            },
            &["!NotAdoptable"],
            "opens it to arn:aws:eks:eu-west-1:9:cluster/other",
        ),
        (
            "role-of-a-living-object",
            |w| {
                w.living.insert("other".into(), Lives::default());
                let owner = Owner {
                    uid: "other".into(),
                    ..w.request.owner.clone()
                };
                w.role().tags.extend(owner.tags());
            },
            &["!NotAdoptable"],
            "which is there still",
        ),
        (
            "role-of-the-hub-itself",
            |w| {
                w.role().tags.insert("mooring.dev/hub".into(), HUB.into());
            },
            &["!NotAdoptable"],
            "itself works by",
        ),
        (
            "role-with-a-statement-of-our-name",
            |w| {
                w.role().trust = r#"{"Version":"2012-10-17","Statement":[{"Sid":"ManagementRole","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:role/argocd-manager"},"Action":"sts:AssumeRole"}]}"#.into();
            },
            &["!NotAdoptable"],
            "have its owner give that statement another Sid",
        ),
        (
            "role-that-another-argo-cd-uses",
            |w| {
                let another = "arn:aws:iam::111111111111:role/mooring/another/management-default";
                w.role().trust = policy::deployer_trust(&another.parse().unwrap()).to_json();
            },
            &["!NotAdoptable"],
            "have its owner give that statement another Sid",
        ),
        (
            "role-with-permissions",
            |w| {
                w.policies
                    .attached
                    .insert("arn:aws:iam::aws:policy/ReadOnlyAccess".into());
            },
            &["!NotAdoptable"],
            "ReadOnlyAccess",
        ),
        (
            "role-with-inline-policy",
            |w| {
                w.policies.inline.insert("s3".into());
            },
            &["!NotAdoptable"],
            "carries policies (s3)",
        ),
        (
            "role-in-an-instance-profile",
            |w| {
                w.profiles
                    .insert("arn:aws:iam::222222222222:instance-profile/p/web".into());
            },
            &["!NotAdoptable"],
            "instance profile arn:aws:iam::222222222222:instance-profile/p/web, so instances run with it, or may: once none needs it, `aws iam remove-role-from-instance-profile --instance-profile-name web --role-name argocd-prod`",
        ),
        (
            "role-in-two-instance-profiles",
            |w| {
                w.profiles = ["web", "batch"]
                    .map(|name| format!("arn:aws:iam::222222222222:instance-profile/{name}"))
                    .into();
            },
            &["!NotAdoptable"],
            "instance-profile/batch and 1 more, so",
        ),
        (
            "role-of-a-service",
            |w| {
                w.role().trust = THEIR_TRUST.replace(
                    "\"AWS\":\"arn:aws:iam::111111111111:role/argocd-manager\"",
                    "\"Service\":\"ec2.amazonaws.com\"",
                );
            },
            &["!NotAdoptable"],
            "ec2.amazonaws.com",
        ),
        (
            "role-with-ghost",
            |w| {
                w.role().trust =
                    THEIR_TRUST.replace("arn:aws:iam::111111111111:role/argocd-manager", "AROAEXAMPLEEXAMPLE123");
            },
            &["!NotAdoptable"],
            "AROAEXAMPLEEXAMPLE123",
        ),
        (
            "role-with-ghost-of-a-user",
            |w| {
                w.role().trust =
                    THEIR_TRUST.replace("arn:aws:iam::111111111111:role/argocd-manager", "AIDAEXAMPLEEXAMPLE123");
            },
            &["!NotAdoptable"],
            "AIDAEXAMPLEEXAMPLE123",
        ),
        (
            "role-unreadable",
            |w| w.role().trust = "{}".into(),
            &["!NotAdoptable"],
            "cannot be read",
        ),
        (
            "entry-not-opened",
            |w| {
                w.entry().tags.remove("mooring.dev/adopt");
            },
            &["!NotAdoptable"],
            "aws eks tag-resource --region eu-west-1 --resource-arn arn:aws:eks",
        ),
        (
            "nothing-opened",
            |w| {
                w.role().tags.remove("mooring.dev/adopt");
                w.entry().tags.remove("mooring.dev/adopt");
                w.secret().metadata.annotations = None;
            },
            &["!NotAdoptable", "!NotAdoptable", "!NotAdoptable"],
            "kubectl annotate secret -n argocd prod-cluster mooring.dev/adopt=prod-eu",
        ),
        (
            "entry-of-a-role-that-is-gone",
            |w| {
                (w.entry().created, w.role().created) = (Some(1_000), Some(1_061));
                w.pinned = Some("AROAFORMER".into());
            },
            &["!StalePrincipal"],
            "others gave it AmazonEKSViewPolicy, theirs, which Mooring does not take away. Delete it (in account 222222222222, `aws eks delete-access-entry --region eu-west-1 --cluster-name prod-eu --principal-arn arn:aws:iam::222222222222:role/argocd-prod`)",
        ),
        (
            "entry-for-nodes",
            |w| w.entry().kind = "EC2_LINUX".into(),
            &["!NotAdoptable"],
            "EC2_LINUX",
        ),
        (
            "secret-not-opened",
            |w| w.secret().metadata.annotations = None,
            &["!NotAdoptable"],
            "kubectl annotate secret -n argocd prod-cluster mooring.dev/adopt=prod-eu",
        ),
        (
            "secret-opened-to-another",
            |w| {
                w.secret()
                    .metadata
                    .annotations
                    .as_mut()
                    .unwrap()
                    .insert("mooring.dev/adopt".into(), "true".into());
            },
            &["!NotAdoptable"],
            "has not opened it to this object",
        ),
        (
            "secret-of-a-living-object",
            |w| {
                w.living.insert("other".into(), Lives::default());
                w.secret()
                    .metadata
                    .annotations
                    .as_mut()
                    .unwrap()
                    .insert("mooring.dev/uid".into(), "other".into());
            },
            &["!NotAdoptable"],
            "which is there still",
        ),
        (
            "secret-of-another-name",
            |w| {
                w.secret()
                    .data
                    .as_mut()
                    .unwrap()
                    .insert("name".into(), ByteString(b"production".to_vec()));
            },
            &["!NotAdoptable"],
            "set spec.argocd.name",
        ),
        (
            "secret-of-another-project",
            |w| {
                w.secret()
                    .data
                    .as_mut()
                    .unwrap()
                    .insert("project".into(), ByteString(b"team-b".to_vec()));
            },
            &["!NotAdoptable"],
            "another Argo CD project",
        ),
        (
            "secret-behind-a-proxy",
            |w| {
                let config = br#"{"proxyUrl":"http://proxy:3128","tlsClientConfig":{"serverName":"api"}}"#;
                w.secret()
                    .data
                    .as_mut()
                    .unwrap()
                    .insert("config".into(), ByteString(config.to_vec()));
            },
            &["!NotAdoptable"],
            "proxyUrl and tlsClientConfig.serverName",
        ),
        (
            "secret-of-a-controller",
            |w| w.secret().metadata.owner_references = Some(vec![owned_by("SealedSecret", "prod")]),
            &["!NotAdoptable"],
            "SealedSecret prod's (metadata.ownerReferences)",
        ),
        (
            "secret-of-another-type",
            |w| w.secret().type_ = Some("argocd/cluster".to_owned()),
            &["!NotAdoptable"],
            "its type is \"argocd/cluster\"",
        ),
        (
            "secret-immutable",
            |w| w.secret().immutable = Some(true),
            &["!NotAdoptable"],
            "it is immutable",
        ),
        (
            "two-secrets",
            |w| {
                let second = foreign_secret("second", endpoint(), "other");
                w.secrets.insert("second".into(), second);
            },
            &["!DuplicateCluster"],
            "prod-cluster has the same server",
        ),
    ];
    for (name, change, wanted, says) in cases {
        let mut world = wired_by_hand();
        change(&mut world);
        let plan = world.plan();
        assert_eq!(brief(&plan), wanted, "{name}");
        let told: Vec<String> = plan
            .blocked
            .iter()
            .map(mooring::managed_cluster::Blocked::message)
            .collect();
        assert!(told.iter().any(|text| text.contains(says)), "{name}: {told:?}");
        for step in &plan.steps {
            world.apply(step);
        }
    }
}

#[test]
fn a_shared_entry_whose_role_was_made_again_is_not_deleted_with_what_others_gave_it() {
    let again = |world: &mut World| {
        world.pass();
        world.pass();
        world.role().id = "AROAAGAIN".into();
        world.recorded_role = Some("AROAAGAIN".into());
    };
    let mut world = wired_by_hand();
    again(&mut world);
    let plan = world.plan();
    assert_eq!(brief(&plan), ["!StalePrincipal"]);
    assert!(
        plan.blocked[0].message().contains("theirs"),
        "{}",
        plan.blocked[0].message()
    );
    let mut world = wired_by_hand();
    world.entry().groups.clear();
    world.associations.remove(&policy("AmazonEKSViewPolicy"));
    again(&mut world);
    assert_eq!(brief(&world.pass()), ["!StalePrincipal"]);
    assert_eq!(brief(&world.pass())[0], "DeleteAccessEntry");
}

/// An entry can only be made for a role that is there. Which role it is pinned to EKS never shows, so its age has to tell;
/// the clocks of IAM and EKS may differ.
#[test]
fn an_entry_that_is_older_than_its_role_is_made_afresh_after_two_looks() {
    let aged = |entry, role| {
        let mut world = wired_by_hand();
        world.entry().groups.clear();
        world.associations.remove(&policy("AmazonEKSViewPolicy"));
        (world.entry().created, world.role().created) = (entry, role);
        world
    };
    for (entry, role) in [
        (Some(1_000), Some(1_060)),
        (Some(1_000), Some(900)),
        (None, Some(9_000)),
        (Some(1_000), None),
    ] {
        assert_eq!(brief(&aged(entry, role).plan()), TAKE_OVER, "{entry:?} {role:?}");
    }
    let mut world = aged(Some(1_000), Some(1_061));
    world.pinned = Some("AROAFORMER".into());
    let plan = world.pass();
    assert_eq!(brief(&plan), ["!StalePrincipal"]);
    let told = plan.blocked[0].message();
    assert!(
        told.contains("older than the deployer role") && told.contains("AROATHEIRS"),
        "{told}"
    );
    let plan = world.pass();
    assert_eq!(
        brief(&plan),
        [
            "AdoptAccessEntry",
            "DeleteAccessEntry",
            "AdoptRole",
            "SetBoundary",
            "AddTrust",
            "CreateAccessEntry",
            "Associate AmazonEKSClusterAdminPolicy",
            "ApplySecret"
        ]
    );
    assert_eq!(world.pinned.as_deref(), Some("AROATHEIRS"));
    assert!(world.plan().is_clean());
}

/// Marks, the role's ID among them, are written by whoever may tag. What they say is not recorded while the entry's age speaks
/// against it: once recorded it would be believed, and no second look would agree.
#[test]
fn forged_marks_do_not_keep_an_entry_that_is_older_than_its_role() {
    let mut world = World::moored(ADMIN);
    let id = world.role().id.clone();
    assert_eq!(world.entry().tags.get("mooring.dev/role-id"), Some(&id));
    (world.entry().created, world.role().created) = (Some(1_000), Some(9_000));
    world.pinned = Some("AROAFORMER".into());
    // What Mooring recorded of an entry that it made is stronger than clocks.
    assert!(world.plan().is_clean());
    world.given = None;
    assert_eq!(brief(&world.pass()), ["!StalePrincipal"]);
    assert_eq!(world.given.as_ref().and_then(|given| given.role_id.clone()), None);
    let plan = world.pass();
    assert!(brief(&plan).contains(&"CreateAccessEntry".to_owned()), "{plan:?}");
    assert_eq!(world.pinned, Some(id));
    assert!(world.plan().is_clean());
}

/// The tag on an entry can be set by whoever may tag: what he adds must not stay by it.
#[test]
fn nobody_makes_his_own_of_our_entry_by_the_mark_of_what_was_taken_over() {
    let mut world = World::moored(ADMIN);
    let forge = |world: &mut World| {
        let mark = ("mooring.dev/adopted".to_owned(), "true".to_owned());
        world.entry().tags.extend([mark]);
        world.entry().groups.insert("theirs".into());
        world.entry().username = Some("alice".into());
        let view = policy("AmazonEKSViewPolicy");
        world.associations.insert(view, AccessScope::Cluster);
    };
    forge(&mut world);
    assert_eq!(
        brief(&world.pass()),
        ["SetUsername", "Disassociate AmazonEKSViewPolicy"]
    );
    let second = world.plan();
    assert!(second.is_clean() && second.beside.is_empty(), "{second:?}");
    forge(&mut world);
    let removal = world.plan_removal();
    assert_eq!(brief(&removal), ["DeleteSecret", "DeleteAccessEntry", "DeleteRole"]);
    assert!(removal.beside.is_empty(), "{removal:?}");
    let lost = suspended::lost(
        world.entry.as_ref().unwrap(),
        Ok(&world.associations),
        world.given.as_ref(),
    );
    assert!(lost.is_empty(), "{lost:?}");
}

/// Where nothing was recorded of an entry, as when the status was lost or a former release wrote it, the mark has to do:
/// what others gave would be taken away otherwise.
#[test]
fn without_a_record_the_mark_tells_that_an_entry_was_taken_over() {
    for lost in [true, false] {
        let mut world = wired_by_hand();
        world.pass();
        if lost {
            world.given = None;
        } else {
            world.given.as_mut().unwrap().adopted = None;
        }
        let plan = world.pass();
        assert!(plan.is_clean(), "{plan:?}");
        assert_eq!(world.given.as_ref().unwrap().adopted, Some(true));
        assert_eq!(world.associations.len(), 2);
    }
}

/// The mark of a Secret that was taken over is copied with its manifest, and set by hand.
#[test]
fn a_mark_that_others_set_on_our_secret_lets_none_of_their_keys_stay() {
    let mut world = World::moored(ADMIN);
    let secret = world.secret();
    let annotations = secret.metadata.annotations.get_or_insert_default();
    annotations.insert("mooring.dev/adopted".into(), "true".into());
    secret
        .data
        .as_mut()
        .unwrap()
        .insert("shard".into(), ByteString(b"7".to_vec()));
    assert_eq!(brief(&world.pass()), ["NullSecretKeys"]);
    assert!(!world.secret().data.as_ref().unwrap().contains_key("shard"));
    assert!(world.plan().is_clean());
    // After a restore nobody's fields are known, and the mark has to do.
    let mut world = wired_by_hand();
    world.pass();
    world.secret().metadata.managed_fields = None;
    world.pass();
    assert_eq!(world.secret().data.as_ref().unwrap()["shard"].0, b"1");
}

/// What the owner's keys stay by is recorded: whoever takes the mark off, or everything, takes none of them away.
#[test]
fn a_secret_that_was_taken_over_keeps_its_name_and_the_keys_of_others_whatever_is_taken_off() {
    let takes_off: [fn(&mut Secret); 4] = [
        |secret| {
            let annotations = secret.metadata.annotations.as_mut().unwrap();
            annotations.remove("mooring.dev/adopted");
        },
        |secret| secret.metadata.annotations = None,
        |secret| secret.metadata.labels = None,
        |secret| (secret.metadata.annotations, secret.metadata.labels) = (None, None),
    ];
    for take_off in takes_off {
        let mut world = wired_by_hand();
        world.pass();
        let before = world.secret().clone();
        take_off(world.secret());
        assert_eq!(brief(&world.pass()), ["ApplySecret"]);
        assert_eq!(world.secrets.len(), 1, "never a second one");
        let after = world.secret();
        assert_eq!(after.data, before.data);
        assert_eq!(after.metadata.uid, before.metadata.uid);
        let mark = |secret: &Secret| {
            secret
                .metadata
                .annotations
                .as_ref()
                .map(|all| all["mooring.dev/adopted"].clone())
        };
        assert_eq!(mark(after), mark(&before));
        assert!(world.plan().is_clean());
        take_off(world.secret());
        world.plan_removal().steps.iter().for_each(|step| world.apply(step));
        assert!(world.secrets.is_empty());
    }
}

/// Whoever takes the wish away while a role is being taken over is told what stands, and a removal takes it out.
#[test]
fn an_adoption_that_is_called_off_is_told_and_its_removal_takes_out_what_was_written() {
    let whole = wired_by_hand().plan().steps;
    for done in 0..whole.len() {
        let mut world = wired_by_hand();
        let before = world.clone();
        world.break_off(done);
        world.request.adopt = false;
        let plan = world.pass();
        assert!(plan.steps.is_empty(), "after {done}: {plan:?}");
        let told: Vec<String> = plan
            .blocked
            .iter()
            .map(mooring::managed_cluster::Blocked::message)
            .collect();
        if done > 0 {
            assert!(
                told[0].contains("which was taking it over") && told[0].contains("delete this ManagedCluster"),
                "after {done}: {told:?}"
            );
        } else {
            assert!(
                told[0].contains("aws iam tag-role") && told[0].contains(r#"{"spec":{"adoptExisting":true}}"#),
                "{told:?}"
            );
        }
        for step in world.plan_removal().steps {
            world.apply(&step);
        }
        assert_eq!(brief(&world.plan_removal()), Vec::<String>::new(), "after {done}");
        assert_eq!(world.role().trust, before.role.as_ref().unwrap().trust, "after {done}");
        assert_eq!(world.entry().groups, before.entry.as_ref().unwrap().groups);
        let others = (policy("AmazonEKSViewPolicy"), AccessScope::Cluster);
        assert_eq!(world.associations.get(&others.0), Some(&others.1));
    }
    // Its owner closes it meanwhile: nothing may be written there, and that is told.
    let mut world = wired_by_hand();
    world.break_off(3);
    world.role().tags.remove("mooring.dev/adopt");
    let removal = world.plan_removal();
    assert!(!brief(&removal).contains(&"LeaveRole".to_owned()), "{removal:?}");
    let beside: Vec<&String> = removal.beside.values().flatten().collect();
    assert!(
        beside
            .iter()
            .any(|text| text.contains("what Mooring wrote in its trust policy")),
        "{beside:?}"
    );
}

/// IAM tells names apart by neither path nor case.
#[test]
fn a_role_that_has_our_name_in_another_case_or_path_is_told_before_anything_is_made() {
    let named = format!("{ADMIN}  deployerRole: {{name: argocd-Prod}}\n");
    for (spec, change, differs) in [
        (ADMIN, str::to_ascii_uppercase as fn(&str) -> String, "case"),
        (named.as_str(), str::to_ascii_lowercase, "case"),
        (named.as_str(), str::to_owned, "path"),
    ] {
        let mut world = World::moored(spec);
        let mut role = world.role.clone().unwrap();
        let (path, name) = role.arn.rsplit_once('/').unwrap();
        role.arn = if differs == "case" {
            format!("{path}/{}", change(name))
        } else {
            format!("arn:aws:iam::222222222222:role/ci/{name}")
        };
        role.name = change(&role.name);
        (role.id, role.tags) = ("AROATHEIRS".into(), tags(&[("terraform", "yes")]));
        world = World::new(spec);
        world.role = Some(role.clone());
        for _ in 0..3 {
            let plan = world.pass();
            assert_eq!(brief(&plan), ["!RoleNotOurs"], "{differs}");
            let told = plan.blocked[0].message();
            assert!(
                told.contains(&role.arn) && told.contains(&format!("the name in another {differs}")),
                "{told}"
            );
        }
        assert!(world.secrets.is_empty() && world.entry.is_none());
        assert_eq!(world.role.as_ref(), Some(&role));
        assert_eq!(brief(&world.plan_removal()), Vec::<String>::new());
    }
}

/// Whose it is that has our name in another path or case is told as of any other role of Mooring's: the object or the hub.
#[test]
fn a_role_of_moorings_that_has_our_name_in_another_case_or_path_is_told_with_its_owner() {
    const OTHER: &str = "arn:aws:eks:eu-west-1:999999999999:cluster/other";
    let named = format!("{ADMIN}  deployerRole: {{name: argocd-prod}}\n");
    let of = |hub: &str, uid: &str, object: &str| {
        tags(&[
            ("mooring.dev/hub", hub),
            ("mooring.dev/uid", uid),
            ("mooring.dev/object", object),
        ])
    };
    for (marks, says, next) in [
        (
            of(HUB, "living", "beside"),
            &["for beside (UID living)", "moors"][..],
            "make this ManagedCluster anew with another access.deployerRole.name",
        ),
        (
            tags(&[]),
            &["ManagedCluster beside has recorded it as its own"],
            "make this ManagedCluster anew with another access.deployerRole.name",
        ),
        (
            of(OTHER, "living", "prod"),
            &[OTHER, "for prod (UID living)"],
            "have it removed there first, or choose another access.deployerRole.name",
        ),
        (
            of(HUB, "lost", "lost"),
            &["for lost (UID lost)", "it has the name in another path"],
            "choose another access.deployerRole.name in a new ManagedCluster",
        ),
        (
            tags(&[("mooring.dev/hub", HUB)]),
            &["one of the roles that the Mooring of arn:aws:eks:eu-west-1:111111111111:cluster/hub itself works by"],
            "choose another access.deployerRole.name in a new ManagedCluster",
        ),
    ] {
        let mut world = World::moored(&named);
        let mut role = world.role.clone().unwrap();
        role.arn = "arn:aws:iam::222222222222:role/mooring/other/second/ARGOCD-prod".into();
        (role.id, role.name) = ("AROATHEIRS".into(), "ARGOCD-prod".into());
        let recorded = marks.is_empty();
        let mut beside = world.request.identity.cluster.clone();
        beside.name = "beside".parse().unwrap();
        role.tags = marks;
        world = World::new(&named);
        let lives = Lives {
            name: "beside".into(),
            cluster: Some(beside.clone()),
            role: recorded.then(|| role.id.clone()),
            ..Lives::default()
        };
        world.living.insert("living".into(), lives);
        world.role = Some(role.clone());
        let plan = world.pass();
        assert_eq!(brief(&plan), ["!RoleNotOurs"]);
        let told = plan.blocked[0].message();
        for part in says.iter().chain([&next]) {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(
            !told.contains("adoptExisting") && !told.contains("delete-role"),
            "what Mooring made is never taken over, and may be in use: {told}"
        );
        assert_eq!(world.role.as_ref(), Some(&role));
    }
}

/// The likeliest cause of a role that is not ours, and what to do about it, come first.
#[test]
fn whose_a_role_under_our_name_is_leads_to_what_is_to_be_done() {
    const OTHER: &str = "arn:aws:eks:eu-west-1:999999999999:cluster/other";
    for (marks, next) in [
        (
            &[("mooring.dev/hub", HUB), ("mooring.dev/uid", "living")][..],
            "that ManagedCluster is there and moors this cluster too, so one of the two is one too many: delete the one that has no cluster Secret",
        ),
        (
            &[("mooring.dev/hub", HUB), ("mooring.dev/uid", "lost")],
            "that object is there no more, so it left the role behind: take it over with `kubectl patch mgc prod-eu --type merge -p",
        ),
        (
            &[
                ("mooring.dev/hub", HUB),
                ("mooring.dev/uid", "lost"),
                ("mooring.dev/object", "prod-eu"),
            ],
            "that was an earlier object of this name, and is there no more, so it left the role behind",
        ),
        (
            &[("mooring.dev/hub", OTHER), ("mooring.dev/uid", "living")],
            "the cluster is moored by the Mooring of arn:aws:eks:eu-west-1:999999999999:cluster/other",
        ),
        (&[], "somebody made it by hand, or took its tags off"),
    ] {
        let mut world = World::moored(ADMIN);
        let lives = Lives {
            cluster: Some(world.request.identity.cluster.clone()),
            ..Lives::default()
        };
        world.living.insert("living".into(), lives);
        world.role().tags = tags(marks);
        (world.recorded_role, world.entry) = (None, None);
        let plan = world.plan();
        assert_eq!(brief(&plan), ["!RoleNotOurs"]);
        let told = plan.blocked[0].message();
        assert!(told.contains(&format!("): {next}")), "{told}");
    }
}

/// What was not looked at is never taken for absent.
#[test]
fn a_role_is_not_taken_over_before_everything_it_carries_was_looked_at() {
    let world = wired_by_hand();
    let whole = world.spoke();
    for spoke in [
        mooring::managed_cluster::observe::Spoke {
            instance_profiles: None,
            ..whole.clone()
        },
        mooring::managed_cluster::observe::Spoke {
            role_policies: None,
            ..whole.clone()
        },
    ] {
        let plan = world.plan_of(&spoke);
        assert_eq!(brief(&plan), ["!NotAdoptable"]);
        assert!(plan.steps.is_empty());
    }
}

/// What an object of this hub left behind: the cluster's object was made again, or its status was lost.
#[test]
fn what_a_lost_object_left_behind_is_taken_over_whole() {
    let adopt = format!("{ADMIN}adoptExisting: true\n");
    let lost = |spec: &str| {
        let mut world = World::moored(spec);
        let gone = Owner {
            uid: "gone".into(),
            ..world.request.owner.clone()
        };
        world.role().tags.extend(gone.tags());
        world.entry().tags.extend(gone.tags());
        world
            .associations
            .insert(policy("AmazonEKSViewPolicy"), AccessScope::Cluster);
        let annotations = world.secret().metadata.annotations.as_mut().unwrap();
        annotations.insert("mooring.dev/uid".into(), "gone".into());
        annotations.insert("mooring.dev/adopt".into(), "prod-eu".into());
        (world.recorded_role, world.recorded_secret, world.given) = (None, None, None);
        world
    };
    assert_eq!(brief(&lost(ADMIN).plan()), ["!RoleNotOurs", "!AccessEntryNotOurs"]);
    let mut world = lost(&adopt);
    world.role().trust = THEIR_TRUST.into();
    let plan = world.pass();
    assert_eq!(
        brief(&plan),
        [
            "SetTrust",
            "AdoptRole",
            "AdoptAccessEntry",
            "Disassociate AmazonEKSViewPolicy",
            "ApplySecret"
        ]
    );
    assert!(
        !world.role().trust.contains("argocd-manager"),
        "under our path nobody else has a part"
    );
    let second = world.plan();
    assert!(second.is_clean() && second.beside.is_empty(), "{second:?}");
    // The object that made it is there still.
    let mut world = lost(&adopt);
    world.living.insert("gone".into(), Lives::default());
    assert_eq!(
        brief(&world.plan()),
        ["!NotAdoptable", "!NotAdoptable", "!NotAdoptable"]
    );
}

/// Every mix of whose a role, an entry and a Secret are: the model fails on a write to what nobody opened, three passes
/// settle it, and what is refused is as it was.
#[test]
fn in_every_mix_of_owners_only_what_is_opened_is_written_to() {
    type Mark = (&'static str, &'static [(&'static str, &'static str)]);
    const OTHER: &str = "arn:aws:eks:eu-west-1:999999999999:cluster/other";
    let marks: [Mark; 8] = [
        ("unmarked", &[]),
        ("opened", &[("mooring.dev/adopt", HUB)]),
        ("opened-to-another", &[("mooring.dev/adopt", OTHER)]),
        (
            "of-a-lost-object",
            &[("mooring.dev/hub", HUB), ("mooring.dev/uid", "lost")],
        ),
        (
            "of-a-living-object",
            &[
                ("mooring.dev/hub", HUB),
                ("mooring.dev/uid", "living"),
                ("mooring.dev/adopt", HUB),
            ],
        ),
        (
            "of-a-lost-hub",
            &[
                ("mooring.dev/hub", OTHER),
                ("mooring.dev/uid", "lost"),
                ("mooring.dev/adopt", HUB),
            ],
        ),
        (
            "of-another-hub",
            &[("mooring.dev/hub", OTHER), ("mooring.dev/uid", "lost")],
        ),
        (
            "of-the-hub-itself",
            &[("mooring.dev/hub", HUB), ("mooring.dev/adopt", HUB)],
        ),
    ];
    let secrets: [Mark; 4] = [
        ("unmarked", &[]),
        ("opened", &[("mooring.dev/adopt", "prod-eu")]),
        ("opened-to-another", &[("mooring.dev/adopt", "prod-us")]),
        (
            "of-a-living-object",
            &[("mooring.dev/adopt", "prod-eu"), ("mooring.dev/uid", "living")],
        ),
    ];
    let mut settled = 0;
    for adopt in [false, true] {
        for (role, role_tags) in marks {
            for (entry, entry_tags) in marks {
                for (secret, annotations) in secrets {
                    let name = format!("adopt {adopt}, role {role}, entry {entry}, Secret {secret}");
                    let mut world = wired_by_hand();
                    world.request.adopt = adopt;
                    world.living.insert("living".into(), Lives::default());
                    world.role().tags = tags(role_tags);
                    world.entry().tags = tags(entry_tags);
                    world.secret().metadata.annotations = Some(tags(annotations));
                    let before = (world.role.clone(), world.entry.clone(), world.secrets.clone());
                    for _ in 0..3 {
                        world.pass();
                    }
                    let last = world.plan();
                    assert!(last.steps.is_empty(), "{name}: {last:?}");
                    if last.blocked.is_empty() {
                        settled += 1;
                        continue;
                    }
                    // What stands in the way was not touched.
                    for blocked in &last.blocked {
                        let touched = match blocked.part() {
                            mooring::managed_cluster::Part::DeployerRole => world.role != before.0,
                            mooring::managed_cluster::Part::AccessEntry => world.entry != before.1,
                            _ => world.secrets != before.2,
                        };
                        assert!(!touched, "{name}: {blocked:?}");
                    }
                }
            }
        }
    }
    // Two marks let a role outside of our path be taken over, three an entry, and one a Secret.
    assert_eq!(settled, 2 * 3);
}

#[test]
fn what_its_owner_holds_is_not_taken_over_and_nothing_is_made_that_would_stand_on_it() {
    let hold = |tags: &mut BTreeMap<String, String>| tags.insert("mooring.dev/hold".into(), "incident".into());
    let mut world = wired_by_hand();
    (world.entry, world.pinned) = (None, None);
    world.associations.clear();
    hold(&mut world.role().tags);
    assert_eq!(
        brief(&world.plan()),
        ["!Held"],
        "no entry for a role that is others' still"
    );
    let mut world = wired_by_hand();
    hold(&mut world.entry().tags);
    assert_eq!(
        brief(&world.plan()),
        ["!Held"],
        "nor the role for an entry that is, and no Secret"
    );
    let told = world.plan().blocked[0].message();
    for left in ["take over role", "take over access entry", "let arn:", "cluster Secret"] {
        assert!(told.contains(left), "{left}: {told}");
    }
    // What is ours already is kept beside it, and goes on once it is let go of.
    world.entry().tags.remove("mooring.dev/hold");
    assert_eq!(brief(&world.pass()), TAKE_OVER);
}
