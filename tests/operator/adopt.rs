//! Whose things are: roles that others keep, and two objects that claim one thing.

use std::collections::BTreeMap;

use mooring::policy::trust;
use mooring_sandbox::aws::contract::Service;
use serde_json::{Value, json};

use crate::support::{
    Setting, World, condition,
    hands::{iam_tags, loose_trust},
    manifest::managed_cluster,
    message,
};

const SPOKE: &str = "222222222222";

/// A `ManagementRole` that lets roles named `argocd-*` in.
fn setting(spokes: &[&str]) -> Setting {
    let mut setting = Setting::of(spokes);
    setting.management["spec"]["allow"][0]["deployerRoles"] = json!(["arn:aws:iam::*:role/argocd-*"]);
    setting
}

fn existing(arn: &str) -> Value {
    json!({"access": {"deployerRole": {"type": "Existing", "arn": arn}}})
}

fn arn(name: &str) -> String {
    format!("arn:aws:iam::{SPOKE}:role/{name}")
}

/// A role that a pipeline makes.
fn make(world: &World, name: &str, trust: &str, tags: &[(&str, &str)]) {
    let tags: BTreeMap<String, String> = tags
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let input = json!({"RoleName": name, "AssumeRolePolicyDocument": trust, "Tags": iam_tags(&tags)});
    world.iam(SPOKE, "CreateRole", input);
}

fn ours(world: &World) -> String {
    trust::with_ours("", &world.hub().management_role_arn(None)).to_json()
}

/// Whether a session of the management role gets into a role.
fn enters(world: &World, role: &str) -> bool {
    let management = world.hub().management_role_arn(None).to_string();
    let credentials = world.stage.aws.session(&management, "argocd", &[]).unwrap();
    let input = json!({"RoleArn": role, "RoleSessionName": "argocd"});
    let aws = &world.stage.aws;
    aws.call(&credentials, Service::Sts, "AssumeRole", input).is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_a_pipeline_keeps_is_used_and_never_written_to() {
    let world = World::ready(setting(&[
        "222222222222/eu-west-1/kept",
        "222222222222/eu-west-1/shut",
        "333333333333/eu-west-1/beside",
    ]))
    .await;
    make(&world, "argocd-kept", &ours(&world), &[("terraform", "yes")]);
    let other = loose_trust("333333333333");
    make(&world, "argocd-shut", &other, &[]);
    make(&world, "argocd-near", &ours(&world), &[]);
    let before = world.seen_role_named(SPOKE, "argocd-kept");

    world.moor("kept", existing(&arn("argocd-kept"))).await;
    let object = world.is_ready("ManagedCluster", "kept").await;
    assert_eq!(object["status"]["deployerRole"]["arn"], arn("argocd-kept"));
    assert_eq!(object["status"]["deployerRole"]["id"], before.clone().unwrap().id);
    assert_eq!(world.writes("kept", 0), ["CreateAccessEntry", "AssociateAccessPolicy"]);
    let secret = world.secret("kept").await.unwrap();
    let config = String::from_utf8(secret.data.unwrap()["config"].0.clone()).unwrap();
    assert!(config.contains(&arn("argocd-kept")), "{config}");
    // The management role gets there, and to no role beside it that trusts it as well.
    assert!(world.assumable().contains(&arn("argocd-kept")));
    assert!(enters(&world, &arn("argocd-kept")) && !enters(&world, &arn("argocd-near")));

    // One that does not let us in is told the trust policy to set, and nothing is made.
    world.moor("shut", existing(&arn("argocd-shut"))).await;
    let object = world.until_reason("ManagedCluster", "shut", "TrustMissing").await;
    assert_eq!(condition(&object, "Stalled").unwrap().1, "TrustMissing");
    assert_eq!(world.writes("shut", 0), Vec::<String>::new());
    let told = message(&object);
    let document = format!("{{{}", told.rsplit(": {").next().unwrap());
    assert!(document.contains("333333333333"), "what stands there stays: {document}");
    let input = json!({"RoleName": "argocd-shut", "PolicyDocument": document});
    world.iam(SPOKE, "UpdateAssumeRolePolicy", input);
    world.ask("ManagedCluster", "shut").await;
    world.is_ready("ManagedCluster", "shut").await;
    assert!(enters(&world, &arn("argocd-shut")));

    // The role stays when the object goes, and the way to it does not.
    world.delete("ManagedCluster", "kept").await;
    world.until_gone("ManagedCluster", "kept").await;
    assert_eq!(world.seen_role_named(SPOKE, "argocd-kept"), before);
    assert!(world.secret("kept").await.is_none());
    world
        .eventually("the way is taken away", async || {
            (!world.assumable().contains(&arn("argocd-kept"))).then_some(())
        })
        .await;
    assert!(!enters(&world, &arn("argocd-kept")) && enters(&world, &arn("argocd-shut")));
    world.never_denied();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_a_role_that_the_platform_team_did_not_write_down() {
    let spokes = [
        "222222222222/eu-west-1/admin",
        "222222222222/eu-west-1/provisioner",
        "222222222222/eu-west-1/made",
        "222222222222/eu-west-1/of-another",
        "222222222222/eu-west-1/marked",
    ];
    let world = World::ready(setting(&spokes)).await;
    world.moored("made").await;
    make(&world, "administrator", &ours(&world), &[]);
    make(
        &world,
        "argocd-marked",
        &ours(&world),
        &[("mooring.dev/hub", "arn:aws:eks:eu-west-1:999999999999:cluster/another")],
    );
    let deployer = world.deployer("made").to_string();
    let assumable = world.assumable();
    for (name, role, reason, words) in [
        ("admin", arn("administrator"), "NotAllowed", "deployer role"),
        (
            "provisioner",
            arn("mooring-provisioner"),
            "UnusableRole",
            "by which Mooring enters",
        ),
        ("of-another", deployer, "UnusableRole", "for objects of its own"),
        ("marked", arn("argocd-marked"), "UnusableRole", "cluster/another"),
    ] {
        world.moor(name, existing(&role)).await;
        let object = world.until_reason("ManagedCluster", name, reason).await;
        assert!(message(&object).contains(words), "{name}: {}", message(&object));
        assert_eq!(condition(&object, "Stalled").unwrap().0, "True");
        assert_eq!(world.writes(name, 0), Vec::<String>::new(), "{name}");
        assert!(world.secret(name).await.is_none(), "{name}");
    }
    // A name that is written down gets its way in the management role's policy, and the rest none.
    let mut now = world.assumable();
    now.remove(&arn("argocd-marked"));
    assert_eq!(now, assumable);
    world.never_denied();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_objects_for_one_cluster_the_second_says_who_has_it() {
    let world = World::ready(Setting::of(&["222222222222/eu-west-1/shared"])).await;
    world.moored("shared").await;
    let (role, entry, secret) = (
        world.seen_role("shared"),
        world.seen_entry("shared"),
        world.secret("shared").await,
    );
    let mut second = managed_cluster(world.cluster("shared"), json!({"clusterName": "shared"}));
    second["metadata"]["name"] = json!("second");
    world.apply(&second).await;
    let object = world.until_reason("ManagedCluster", "second", "RoleNotOurs").await;
    assert!(message(&object).contains("made it for shared"), "{}", message(&object));
    let mark = world.mark();
    world.whole_pass("ManagedCluster", "shared").await;
    world.whole_pass("ManagedCluster", "second").await;
    assert_eq!(world.writes("shared", mark), Vec::<String>::new());
    assert_eq!(world.writes("second", 0), Vec::<String>::new());
    let now = (
        world.seen_role("shared"),
        world.seen_entry("shared"),
        world.secret("shared").await,
    );
    assert_eq!(now, (role.clone(), entry, secret));
    // The second is removed without touching what is the first's, and has its turn when the first is gone.
    world.delete("ManagedCluster", "second").await;
    world.until_gone("ManagedCluster", "second").await;
    assert_eq!(world.seen_role("shared"), role);
    world.apply(&second).await;
    world.until_reason("ManagedCluster", "second", "RoleNotOurs").await;
    world.delete("ManagedCluster", "shared").await;
    world.until_gone("ManagedCluster", "shared").await;
    world.ask("ManagedCluster", "second").await;
    world.is_ready("ManagedCluster", "second").await;
    world.never_denied();
}
