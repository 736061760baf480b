//! What of a plan for the management role is done although a step of it was refused.

use mooring::management_role::{Plan, Step};
use serde_json::json;

use crate::hub::{World, cluster, request};

const OPEN: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}"#;

/// The policy of the role before anybody changed it.
fn ours() -> String {
    let first = cluster("222222222222", "first", &json!({}));
    World::kept(&json!({}), vec![first]).observed.policy.unwrap()
}

/// Everything of the role is amiss, its policy gives what it should not, and a cluster in another account is new.
fn amiss() -> World {
    let first = cluster("222222222222", "first", &json!({}));
    let mut world = World::kept(&json!({}), vec![first.clone()]);
    world.clusters = vec![first, cluster("333333333333", "new", &json!({}))];
    world.observed.provider = None;
    let theirs = r#"{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"arn:aws:iam::444444444444:role/theirs"}"#;
    let ours = world.observed.policy.take().unwrap();
    world.observed.policy = Some(ours.replace("]}", &format!(",{theirs}]}}")));
    let role = world.role();
    role.trust = OPEN.into();
    role.boundary = None;
    role.tags.remove("mooring.dev/uid");
    role.description = Some("theirs".into());
    world
}

/// What is done of the plan where `refused` are refused, in order.
fn done<'a>(plan: &'a Plan, refused: &[&str]) -> Vec<&'a Step> {
    let (mut failed, mut done) = (Vec::new(), Vec::new());
    for step in &plan.steps {
        match step.despite(&failed) {
            Some(step) if refused.contains(&step.name()) => failed.push(step),
            Some(step) => done.push(step),
            None => {}
        }
    }
    done
}

fn policy(steps: &[&Step]) -> String {
    steps
        .iter()
        .find_map(|step| match step {
            Step::PutPolicy { document, .. } => Some(document.to_json()),
            _ => None,
        })
        .unwrap_or_default()
}

#[test]
fn what_gives_nobody_anything_keeps_nothing_from_being_mended() {
    let plan = amiss().plan();
    let names: Vec<&str> = plan.steps.iter().map(Step::name).collect();
    assert_eq!(
        names,
        [
            "CreateOidcProvider",
            "SetBoundary",
            "SetTrust",
            "TagRole",
            "UpdateRole",
            "PutPolicy"
        ]
    );
    for refused in [
        vec!["CreateOidcProvider"],
        vec!["TagRole"],
        vec!["UpdateRole"],
        vec!["CreateOidcProvider", "TagRole", "UpdateRole"],
    ] {
        let done = done(&plan, &refused);
        assert_eq!(done.len(), plan.steps.len() - refused.len(), "{refused:?}");
        let policy = policy(&done);
        assert!(
            policy.contains("222222222222") && policy.contains("333333333333") && !policy.contains("theirs"),
            "{refused:?}: {policy}"
        );
    }
}

#[test]
fn while_boundary_or_trust_is_not_ours_the_role_is_given_nothing_and_what_it_should_not_have_is_taken() {
    let plan = amiss().plan();
    for refused in [
        vec!["SetBoundary"],
        vec!["SetTrust"],
        vec!["SetBoundary", "SetTrust"],
        vec!["TagRole", "SetTrust"],
    ] {
        let done = done(&plan, &refused);
        assert_eq!(done.len(), plan.steps.len() - refused.len(), "{refused:?}");
        let policy = policy(&done);
        assert!(
            policy.contains("222222222222") && !policy.contains("333333333333") && !policy.contains("theirs"),
            "{refused:?}: {policy}"
        );
    }
    // Nothing is to be taken, and the new one waits.
    let mut world = amiss();
    world.observed.policy = Some(ours());
    let only_gives = world.plan();
    assert_eq!(only_gives.steps.last().map(Step::name), Some("PutPolicy"));
    assert_eq!(policy(&done(&only_gives, &["SetTrust"])), "");
    // Where somebody denies or narrows, to write it anew could give more: then neither that is done, nor is a way lost.
    for (found, narrowed) in [
        (r#""Effect":"Allow""#, r#""Effect":"Deny""#),
        (
            r#""Effect":"Allow""#,
            r#""Condition":{"Bool":{"a":"true"}},"Effect":"Allow""#,
        ),
        (
            r#"{"Sid""#,
            r#"{"Effect":"Deny","Action":"s3:*","Resource":"*"},{"Sid""#,
        ),
        (r#""Statement""#, r#""Unknown""#),
    ] {
        assert!(ours().contains(found));
        world.observed.policy = Some(ours().replace(found, narrowed));
        let plan = world.plan();
        assert_eq!(plan.steps.last().map(Step::name), Some("PutPolicy"), "{narrowed}");
        let done = done(&plan, &["SetTrust"]);
        assert_eq!(done.last().map(|step| step.name()), Some("UpdateRole"), "{narrowed}");
    }
    // And a policy that gives everything is cut down to what is wanted of it, which is no more than it gave.
    world.observed.policy = Some(ours().replace(
        "arn:aws:iam::222222222222:role/mooring/111111111111-eu-west-1-hub/default/*",
        "*",
    ));
    let plan = world.plan();
    let all = policy(&done(&plan, &["SetTrust"]));
    assert!(all.contains("222222222222") && all.contains("333333333333"), "{all}");
}

#[test]
fn on_a_role_without_its_boundary_nobody_new_is_let_in() {
    let both = json!({"serviceAccounts": ["argocd-server", "argocd-application-controller"]});
    let mut world = World::kept(&json!({"serviceAccounts": ["argocd-server"]}), vec![]);
    world.request = request(&both);
    world.role().boundary = None;
    let plan = world.plan();
    let names = |refused: &[&str]| done(&plan, refused).iter().map(|step| step.name()).collect::<Vec<_>>();
    assert_eq!(names(&[]), ["SetBoundary", "SetTrust"]);
    assert_eq!(names(&["SetBoundary"]), [""; 0]);
    // A stranger is worse than Argo CD's own.
    world.role().trust = OPEN.into();
    let plan = world.plan();
    let left: Vec<&str> = done(&plan, &["SetBoundary"]).iter().map(|step| step.name()).collect();
    assert_eq!(left, ["SetTrust"]);
}
