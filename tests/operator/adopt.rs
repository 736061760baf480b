//! Whose things are: roles that others keep, and two objects that claim one thing.

use std::collections::{BTreeMap, BTreeSet};

use kube::api::{ListParams, Patch, PatchParams};
use mooring::policy::trust;
use mooring_sandbox::{
    aws::{Effect, Fault, contract::Service},
    control_plane::{About, ApiEffect, ApiFault},
    stage::{self, Signal, is_ready},
};
use serde_json::{Value, json};

use crate::support::{
    HUB_ACCOUNT, NAMESPACE, Setting, World, condition,
    hands::{SeenRole, iam_tags, loose_trust, policy_arn},
    manifest::{ADMIN, EDIT, VIEW, managed_cluster},
    message,
};

const SPOKE: &str = "222222222222";

/// A `ManagementRole` that lets roles named `argocd-*` in.
pub(crate) fn setting(spokes: &[&str]) -> Setting {
    let mut setting = Setting::of(spokes);
    setting.management["spec"]["allow"][0]["deployerRoles"] = json!(["arn:aws:iam::*:role/argocd-*"]);
    setting
}

fn existing(arn: &str) -> Value {
    json!({"access": {"deployerRole": {"type": "Existing", "arn": arn}}})
}

pub(crate) fn arn(name: &str) -> String {
    format!("arn:aws:iam::{SPOKE}:role/{name}")
}

/// A role that a pipeline makes.
pub(crate) fn make(world: &World, name: &str, trust: &str, tags: &[(&str, &str)]) {
    let tags: BTreeMap<String, String> = tags
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let input = json!({"RoleName": name, "AssumeRolePolicyDocument": trust, "Tags": iam_tags(&tags)});
    world.iam(SPOKE, "CreateRole", input);
}

pub(crate) fn ours(world: &World) -> String {
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
    let external_id = "an-external-id-of-theirs";
    let mut other = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::333333333333:root"}, "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": external_id}},
    }]});
    make(&world, "argocd-shut", &other.to_string(), &[]);
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

    // Of one that does not let us in the statement to add is told, and nothing of what stands there; nothing is made.
    world.moor("shut", existing(&arn("argocd-shut"))).await;
    let object = world.until_reason("ManagedCluster", "shut", "TrustMissing").await;
    assert_eq!(condition(&object, "Stalled").unwrap().1, "TrustMissing");
    assert_eq!(world.writes("shut", 0), Vec::<String>::new());
    let told = message(&object);
    let events = world.told("shut", "TrustMissing").await;
    for told in [object.to_string(), events, world.log()] {
        assert!(!told.contains(external_id), "{told}");
    }
    let statement = format!("{{{}", told.split_once(": {").unwrap().1);
    let statement: Value = serde_json::from_str(&statement).unwrap();
    other["Statement"].as_array_mut().unwrap().push(statement);
    let input = json!({"RoleName": "argocd-shut", "PolicyDocument": other.to_string()});
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
    assert!(message(&object).contains("for shared"), "{}", message(&object));
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
    // One lets the role go while the other looks at it: AWS's answer for a role that is just gone is a refusal, where
    // the reader is held to a path.
    world.never_denied_but(|call| call.operation.contains("RolePolic") && !call.write);
}

/// How somebody wired a cluster by hand: a role in its account, an entry for it, and a cluster Secret.
pub(crate) struct Wired {
    pub(crate) name: String,
    pub(crate) account: String,
    pub(crate) role: String,
}

impl Wired {
    pub(crate) async fn by_hand(world: &World, name: &str, trusts: &str) -> Self {
        let account = world.cluster(name).account.clone();
        let wired = Self {
            role: format!("arn:aws:iam::{account}:role/argocd-{name}"),
            account,
            name: name.to_owned(),
        };
        let input = json!({
            "RoleName": format!("argocd-{name}"), "AssumeRolePolicyDocument": hand_made_trust(trusts).to_string(),
            "Tags": [{"Key": "terraform", "Value": "yes"}],
        });
        world.iam(&wired.account, "CreateRole", input);
        world
            .eventually("the entry is made", async || {
                let entry = json!({"principalArn": wired.role, "kubernetesGroups": ["team-theirs"]});
                world.try_eks(name, "CreateAccessEntry", entry).ok()
            })
            .await;
        for policy in [ADMIN, VIEW] {
            world
                .eventually("the policy is associated", async || {
                    let input = json!({
                        "principalArn": wired.role, "policyArn": policy_arn(policy), "accessScope": {"type": "cluster"},
                    });
                    world.try_eks(name, "AssociateAccessPolicy", input).ok()
                })
                .await;
        }
        let cluster = world.eks(name, "DescribeCluster", json!({}))["cluster"].clone();
        let config = json!({
            "tlsClientConfig": {"caData": cluster["certificateAuthority"]["data"]},
            "awsAuthConfig": {"clusterName": name, "roleARN": wired.role},
        });
        world
            .apply(&json!({
                "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
                "metadata": {
                    "name": format!("by-hand-{name}"), "namespace": NAMESPACE,
                    "labels": {"argocd.argoproj.io/secret-type": "cluster", "team": "theirs"},
                },
                "stringData": {
                    "name": name, "server": cluster["endpoint"], "config": config.to_string(),
                    "shard": "1", "note": "theirs to keep",
                },
            }))
            .await;
        wired
    }

    pub(crate) fn spec(&self) -> Value {
        json!({"adoptExisting": true, "access": {"deployerRole": {"arn": self.role}}})
    }

    /// What the owners of the account and of Argo CD do to have it taken over.
    pub(crate) async fn open(&self, world: &World) {
        let hub = world.hub().cluster.to_string();
        let tags = json!([{"Key": "mooring.dev/adopt", "Value": hub}]);
        let input = json!({"RoleName": format!("argocd-{}", self.name), "Tags": tags});
        world.iam(&self.account, "TagRole", input);
        let entry = self.entry(world).expect("an entry");
        let input = json!({"resourceArn": entry["accessEntryArn"], "tags": {"mooring.dev/adopt": hub}});
        let spec = world.cluster(&self.name);
        let aws = &world.stage.aws;
        aws.call_in(
            &spec.region,
            &aws.root(&spec.account),
            Service::Eks,
            "TagResource",
            input,
        )
        .unwrap();
        let patch = json!({"metadata": {"annotations": {"mooring.dev/adopt": self.name}}});
        world
            .secrets()
            .patch(&self.secret(), &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .unwrap();
    }

    pub(crate) fn secret(&self) -> String {
        format!("by-hand-{}", self.name)
    }

    pub(crate) fn entry(&self, world: &World) -> Option<Value> {
        let principal = json!({"principalArn": self.role});
        let answer = world.try_eks(&self.name, "DescribeAccessEntry", principal).ok()?;
        Some(answer["accessEntry"].clone())
    }

    pub(crate) fn policies(&self, world: &World) -> BTreeSet<String> {
        let principal = json!({"principalArn": self.role});
        let answer = world.eks(&self.name, "ListAssociatedAccessPolicies", principal);
        let policies = answer["associatedAccessPolicies"].as_array().unwrap().iter();
        let name = |policy: &Value| {
            policy["policyArn"]
                .as_str()
                .unwrap()
                .rsplit('/')
                .next()
                .unwrap()
                .to_owned()
        };
        policies.map(name).collect()
    }

    pub(crate) fn seen_role(&self, world: &World) -> Option<SeenRole> {
        world.seen_role_named(&self.account, &format!("argocd-{}", self.name))
    }
}

/// Two objects that take one role over and are looked at side by side: one of them gets it, and the other says who. One that
/// only looks is in nobody's way.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_objects_that_take_one_role_over_at_the_same_time_one_gives_way() {
    let spokes = ["one", "two", "watches"].map(|name| format!("222222222222/eu-west-1/{name}"));
    let world = World::ready(setting(&spokes.each_ref().map(String::as_str))).await;
    let hub = world.hub().cluster.to_string();
    make(&world, "argocd-both", &ours(&world), &[("mooring.dev/adopt", &hub)]);
    let spec = json!({"adoptExisting": true, "access": {"deployerRole": {"arn": arn("argocd-both")}}});
    let mut watching = spec.clone();
    watching["mode"] = json!("Observe");
    world.moor("watches", watching).await;
    world.whole_pass("ManagedCluster", "watches").await;
    let watches = world.get("ManagedCluster", "watches").await.unwrap();
    assert!(
        watches["status"]["plan"].to_string().contains("argocd-both"),
        "{watches}"
    );
    tokio::join!(world.moor("one", spec.clone()), world.moor("two", spec.clone()));
    let settled = async |name: &str| {
        let object = world
            .until("ManagedCluster", name, |object| {
                ["Moored", "NotAdoptable"].contains(&stage::ready(object).1.as_str())
            })
            .await;
        (stage::ready(&object).1, name.to_owned(), message(&object))
    };
    let mut both = [settled("one").await, settled("two").await];
    both.sort();
    let [(moored, first, _), (refused, second, told)] = both;
    assert_eq!((moored.as_str(), refused.as_str()), ("Moored", "NotAdoptable"));
    assert!(told.contains(&format!("ManagedCluster {first}")), "{told}");
    let object = world.get("ManagedCluster", &first).await.unwrap();
    let role = world.seen_role_named(SPOKE, "argocd-both").unwrap();
    assert_eq!(json!(role.tags["mooring.dev/uid"]), object["metadata"]["uid"]);
    assert_eq!(world.writes(&second, 0), Vec::<String>::new());
    // Its removal does not touch the role of the first.
    world.delete("ManagedCluster", &second).await;
    world.until_gone("ManagedCluster", &second).await;
    assert_eq!(world.seen_role_named(SPOKE, "argocd-both").unwrap(), role);

    // Whoever has the role in his code takes off what is not in it, and the operator that starts remembers nothing: what
    // the first has recorded keeps the role from the second.
    world.end_operator(Signal::Terminate).await;
    let marks = json!(["mooring.dev/hub", "mooring.dev/uid", "mooring.dev/object"]);
    let untag = json!({"RoleName": "argocd-both", "TagKeys": marks});
    world.iam(SPOKE, "UntagRole", untag);
    let mark = world.mark();
    world.moor(&second, spec).await;
    world.start_operator().await;
    let told = world.until_reason("ManagedCluster", &second, "NotAdoptable").await;
    assert!(
        message(&told).contains(&format!("ManagedCluster {first}")),
        "{}",
        message(&told)
    );
    world.delete("ManagedCluster", &second).await;
    world.until_gone("ManagedCluster", &second).await;
    assert_eq!(world.writes(&second, mark), Vec::<String>::new());
    world.ask("ManagedCluster", &first).await;
    world
        .eventually("the role to be marked again", async || {
            (world.seen_role_named(SPOKE, "argocd-both") == Some(role.clone())).then_some(())
        })
        .await;
}

/// The trust policy of a role that somebody made for `trusts`, as the recipes have it.
pub(crate) fn hand_made_trust(trusts: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": trusts}, "Action": "sts:AssumeRole",
    }]})
}

/// A hand-made management role of the hub's account, as the recipes have it.
pub(crate) fn by_hand_manager(world: &World) -> String {
    let input = json!({"RoleName": "argocd-manager", "AssumeRolePolicyDocument": loose_trust(HUB_ACCOUNT)});
    let made = world.try_iam(HUB_ACCOUNT, "CreateRole", input);
    assert!(made.is_ok() || made.is_err_and(|error| error.code == "EntityAlreadyExists"));
    format!("arn:aws:iam::{HUB_ACCOUNT}:role/argocd-manager")
}

/// Whatever is taken off the Secret, it is the same one, and what others wrote stays.
async fn stripped(world: &World, wired: &Wired, uid: Option<String>) {
    let annotations =
        json!({"mooring.dev/uid": null, "mooring.dev/managed-cluster": null, "mooring.dev/adopted": null});
    let bare = json!({"metadata": {"annotations": annotations, "labels": {"argocd.argoproj.io/secret-type": null}}});
    world
        .secrets()
        .patch(&wired.secret(), &PatchParams::default(), &Patch::Merge(&bare))
        .await
        .unwrap();
    world.ask("ManagedCluster", "wired").await;
    let secret = world
        .eventually("the Secret is put back", async || world.secret("wired").await)
        .await;
    assert_eq!(secret.metadata.name, Some(wired.secret()), "never renamed");
    assert_eq!(secret.metadata.uid, uid);
    assert_eq!(secret.data.unwrap()["shard"].0, b"1");
    assert_eq!(secret.metadata.annotations.unwrap()["mooring.dev/adopted"], "true");
    assert_eq!(
        secret.metadata.labels.unwrap()["argocd.argoproj.io/secret-type"],
        "cluster"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_wired_by_hand_is_taken_over_once_its_owners_have_opened_it() {
    let world = World::ready(setting(&[
        "222222222222/eu-west-1/wired",
        "333333333333/eu-west-1/moved",
    ]))
    .await;
    let manager = by_hand_manager(&world);
    let wired = Wired::by_hand(&world, "wired", &manager).await;
    let before = (
        wired.seen_role(&world),
        wired.entry(&world),
        world.secrets().get(&wired.secret()).await.unwrap().data,
    );
    // Nobody has opened it: told, and nothing is changed.
    world.moor("wired", wired.spec()).await;
    let object = world.until_reason("ManagedCluster", "wired", "NotAdoptable").await;
    assert!(message(&object).contains("aws iam tag-role"), "{}", message(&object));
    assert_eq!(world.writes("wired", 0), Vec::<String>::new());
    let now = (
        wired.seen_role(&world),
        wired.entry(&world),
        world.secrets().get(&wired.secret()).await.unwrap().data,
    );
    assert_eq!(now, before);

    // Everybody has opened it, and instances run with its role.
    world.iam(SPOKE, "CreateInstanceProfile", json!({"InstanceProfileName": "web"}));
    let held = json!({"InstanceProfileName": "web", "RoleName": "argocd-wired"});
    world.iam(SPOKE, "AddRoleToInstanceProfile", held.clone());
    wired.open(&world).await;
    world.ask("ManagedCluster", "wired").await;
    let object = world
        .until("ManagedCluster", "wired", |object| {
            message(object).contains("remove-role-from-instance-profile --instance-profile-name web")
        })
        .await;
    assert_eq!(stage::ready(&object).1, "NotAdoptable");
    assert_eq!(world.writes("wired", 0), Vec::<String>::new());
    world.iam(SPOKE, "RemoveRoleFromInstanceProfile", held);
    world.ask("ManagedCluster", "wired").await;
    let object = world.is_ready("ManagedCluster", "wired").await;
    for told in ["argocd-manager", "team-theirs", VIEW, "shard"] {
        assert!(message(&object).contains(told), "{told}: {}", message(&object));
    }
    let (was, is) = (before.0.unwrap(), wired.seen_role(&world).unwrap());
    assert_eq!((&is.arn, &is.id), (&was.arn, &was.id));
    assert_eq!(is.trust["Statement"].as_array().unwrap().len(), 2);
    assert_eq!(is.tags["terraform"], "yes");
    assert_eq!(object["status"]["deployerRole"]["id"], was.id);
    assert!(enters(&world, &wired.role));
    assert_eq!(wired.policies(&world), [ADMIN.to_owned(), VIEW.to_owned()].into());
    let secret = world.secrets().get(&wired.secret()).await.unwrap();
    let data = secret.data.unwrap();
    assert_eq!(
        (data["shard"].0.as_slice(), data["note"].0.as_slice()),
        (&b"1"[..], &b"theirs to keep"[..])
    );
    assert_eq!(secret.metadata.labels.unwrap()["team"], "theirs");
    let secrets = world.secrets().list(&ListParams::default()).await.unwrap();
    assert_eq!(secrets.items.len(), 1, "no second Secret");
    let read = world.argo_cd_reads().await;
    let read = read.values().next().unwrap();
    assert_eq!(
        (&read["shard"], &read["awsAuthConfig"]["roleARN"]),
        (&json!(1), &json!(wired.role)),
        "{read}"
    );
    // A look more changes nothing.
    let mark = world.mark();
    world.whole_pass("ManagedCluster", "wired").await;
    assert_eq!(world.writes("wired", mark), Vec::<String>::new());
    let calls = world.calls("wired", mark);
    let looked = calls.iter().any(|call| call.operation == "ListInstanceProfilesForRole");
    assert!(!looked, "it is ours by now");
    stripped(&world, &wired, secret.metadata.uid).await;
    // What the spec gave it takes away again, and what others gave stays.
    let narrower = json!({"spec": {"access": {"policies": [{"name": EDIT}]}}});
    world.patch("ManagedCluster", "wired", narrower).await;
    world
        .eventually("the entry is narrowed", async || {
            (wired.policies(&world) == [EDIT.to_owned(), VIEW.to_owned()].into()).then_some(())
        })
        .await;
    // A second object for the same thing is told who has it.
    let mut second = managed_cluster(world.cluster("wired"), wired.spec());
    second["metadata"]["name"] = json!("second");
    second["spec"]["clusterName"] = json!("wired");
    world.apply(&second).await;
    let object = world.until_reason("ManagedCluster", "second", "NotAdoptable").await;
    assert!(message(&object).contains("for wired"), "{}", message(&object));
    world.delete("ManagedCluster", "second").await;
    world.until_gone("ManagedCluster", "second").await;

    world.delete("ManagedCluster", "wired").await;
    world.until_gone("ManagedCluster", "wired").await;
    let left = wired.seen_role(&world).unwrap();
    assert_eq!(left.id, was.id);
    assert_eq!(left.trust, was.trust, "ours is taken out of it");
    assert_eq!(wired.policies(&world), [VIEW.to_owned()].into());
    assert!(world.secrets().get_opt(&wired.secret()).await.unwrap().is_none());

    moved(&world).await;
    world.never_denied();
}

/// What nobody else has a part in is Mooring's from then on, and goes with the object.
pub(crate) async fn moved(world: &World) {
    let manager = world.hub().management_role_arn(None).to_string();
    let moved = Wired::by_hand(world, "moved", &manager).await;
    let input = json!({"RoleName": "argocd-moved", "PolicyDocument": ours(world)});
    world.iam(&moved.account, "UpdateAssumeRolePolicy", input);
    let principal = json!({"principalArn": moved.role, "policyArn": policy_arn(ADMIN)});
    world.eks("moved", "DisassociateAccessPolicy", principal);
    world.eks(
        "moved",
        "UpdateAccessEntry",
        json!({"principalArn": moved.role, "kubernetesGroups": []}),
    );
    moved.open(world).await;
    let mut spec = moved.spec();
    spec["access"]["policies"] = json!([{"name": VIEW}]);
    world.moor("moved", spec).await;
    world.is_ready("ManagedCluster", "moved").await;
    // Drift is mended there as anywhere.
    let input = json!({"RoleName": "argocd-moved", "PolicyDocument": loose_trust("333333333333")});
    world.iam(&moved.account, "UpdateAssumeRolePolicy", input);
    world.ask("ManagedCluster", "moved").await;
    world
        .eventually("our statement is back", async || {
            let role = moved.seen_role(world).unwrap();
            (role.trust["Statement"].as_array().is_some_and(|all| all.len() == 2)).then_some(())
        })
        .await;
    let input = json!({"RoleName": "argocd-moved", "PolicyDocument": ours(world)});
    world.iam(&moved.account, "UpdateAssumeRolePolicy", input);
    world.whole_pass("ManagedCluster", "moved").await;
    world.delete("ManagedCluster", "moved").await;
    world.until_gone("ManagedCluster", "moved").await;
    assert!(moved.seen_role(world).is_none() && moved.entry(world).is_none());
}

/// What an object that is no more left behind under Mooring's own path is taken over without a tag.
pub(crate) async fn left_behind(world: &World, name: &str) {
    let spec = json!({"access": {"policies": [{"name": VIEW}]}, "deletion": {"policy": "Retain"}});
    world.moor(name, spec).await;
    world.is_ready("ManagedCluster", name).await;
    let before = world.seen_role(name).unwrap();
    world.delete("ManagedCluster", name).await;
    world.until_gone("ManagedCluster", name).await;
    let spec = json!({"access": {"policies": [{"name": VIEW}]}, "adoptExisting": true});
    world.moor(name, spec).await;
    let object = world.is_ready("ManagedCluster", name).await;
    let after = world.seen_role(name).unwrap();
    assert_eq!(after.id, before.id);
    assert_eq!(json!(after.tags["mooring.dev/uid"]), object["metadata"]["uid"]);
}

/// What the spec gives to an entry of others is recorded before it is given; and when nobody wants it taken over any more
/// before all of it was, the removal takes out what was written.
#[tokio::test(flavor = "multi_thread")]
async fn an_adoption_that_is_called_off_midway_leaves_nothing_once_the_object_goes() {
    let world = World::ready(setting(&["222222222222/eu-west-1/wired"])).await;
    let manager = by_hand_manager(&world);
    let wired = Wired::by_hand(&world, "wired", &manager).await;
    wired.open(&world).await;
    let before = (
        wired.seen_role(&world).unwrap(),
        wired.entry(&world),
        wired.policies(&world),
    );
    let secret = || async { world.secrets().get(&wired.secret()).await.unwrap().data };
    let data = secret().await;
    let faults = world.stage.aws.faults();
    let on = |effect| Fault::on("TagResource", effect).in_account(SPOKE);
    let hung = faults.add(on(Effect::Hang).first(1)).unwrap();
    let denied = faults.add(on(Effect::AccessDenied).from(2)).unwrap();
    world.moor("wired", wired.spec()).await;
    let object = world
        .eventually("what will be given is recorded", async || {
            let object = world.get("ManagedCluster", "wired").await?;
            object["status"]["accessEntry"].is_object().then_some(object)
        })
        .await;
    let recorded = &object["status"];
    let will_give = json!({"adopted": true, "policies": [policy_arn(ADMIN)]});
    assert_eq!(recorded["accessEntry"], will_give);
    assert!(condition(&object, "Ready").is_none(), "the pass goes on: {recorded:#}");
    world.until_reason("ManagedCluster", "wired", "AccessDenied").await;
    let tags = wired.seen_role(&world).unwrap().tags;
    assert_eq!(
        json!(tags["mooring.dev/uid"]),
        object["metadata"]["uid"],
        "the role is marked"
    );

    let mark = world.mark();
    world
        .patch("ManagedCluster", "wired", json!({"spec": {"adoptExisting": false}}))
        .await;
    world
        .until_reason("ManagedCluster", "wired", "AccessEntryNotOurs")
        .await;
    faults.remove(hung);
    faults.remove(denied);
    world.whole_pass("ManagedCluster", "wired").await;
    assert_eq!(world.writes("wired", mark), Vec::<String>::new());
    world.delete("ManagedCluster", "wired").await;
    world.until_gone("ManagedCluster", "wired").await;
    assert_eq!(wired.seen_role(&world).unwrap().trust, before.0.trust);
    assert_eq!((wired.entry(&world), wired.policies(&world)), (before.1, before.2));
    assert_eq!(secret().await, data);
}

/// A takeover whose trust policy is refused ends there: what is not marked as taken over is not written to.
#[tokio::test(flavor = "multi_thread")]
async fn an_adoption_that_is_refused_at_the_role_leaves_the_entry_alone() {
    let world = World::ready(setting(&["222222222222/eu-west-1/wired"])).await;
    let manager = by_hand_manager(&world);
    let wired = Wired::by_hand(&world, "wired", &manager).await;
    wired.open(&world).await;
    let before = (wired.entry(&world), wired.policies(&world));
    let refused = Fault::on("UpdateAssumeRolePolicy", Effect::AccessDenied).in_account(SPOKE);
    let refused = world.stage.aws.faults().add(refused).unwrap();
    world.moor("wired", wired.spec()).await;
    world.until_reason("ManagedCluster", "wired", "AccessDenied").await;
    let calls = world.calls("wired", 0).into_iter().map(|call| call.operation);
    let of_entry =
        |call: &String| call.contains("AccessEntry") || call.contains("AccessPolicy") || call == "TagResource";
    let writes = |call: &String| !call.starts_with("Describe") && !call.starts_with("List");
    let tried: Vec<String> = calls.filter(|call| of_entry(call) && writes(call)).collect();
    assert_eq!(tried, Vec::<String>::new());
    assert_eq!((wired.entry(&world), wired.policies(&world)), before);
    world.stage.aws.faults().remove(refused);
    world.ask("ManagedCluster", "wired").await;
    world.is_ready("ManagedCluster", "wired").await;
}

/// Its owner takes the tag off again: AWS then lets Mooring write nothing to the role, which is told once something is to
/// be written, and nothing of it is tried.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_its_owner_closes_again_is_kept_and_told_how_to_open_and_let_go_of_once_it_is() {
    let world = World::ready(setting(&["222222222222/eu-west-1/wired"]).flag(&["--confirm-after", "2s"])).await;
    let manager = by_hand_manager(&world);
    let wired = Wired::by_hand(&world, "wired", &manager).await;
    let theirs = wired.seen_role(&world).unwrap().trust;
    wired.open(&world).await;
    world.moor("wired", wired.spec()).await;
    world.is_ready("ManagedCluster", "wired").await;
    world.whole_pass("ManagedCluster", "wired").await;
    let by_hand = |operation: &str, mut input: Value| {
        input["RoleName"] = json!("argocd-wired");
        world.iam(SPOKE, operation, input);
    };
    let close = || by_hand("UntagRole", json!({"TagKeys": ["mooring.dev/adopt"]}));
    let hub = world.hub().cluster.to_string();
    let open = || {
        let tags = json!([{"Key": "mooring.dev/adopt", "Value": hub}]);
        by_hand("TagRole", json!({"Tags": tags}));
    };
    let command = format!("aws iam tag-role --role-name argocd-wired --tags Key=mooring.dev/adopt,Value={hub}");

    // Nothing is to be written, and so nothing is told.
    close();
    let mark = world.mark();
    world.whole_pass("ManagedCluster", "wired").await;
    world.is_ready("ManagedCluster", "wired").await;
    assert_eq!(world.writes("wired", mark), Vec::<String>::new());

    // Drift of the role stays, with the command that opens it; what the spec takes away goes all the same.
    by_hand("DeleteRolePermissionsBoundary", json!({}));
    let drifted = wired.seen_role(&world);
    let narrower = json!({"spec": {"access": {"policies": [{"name": EDIT}]}}});
    world.patch("ManagedCluster", "wired", narrower).await;
    let object = world.until_reason("ManagedCluster", "wired", "NotOpened").await;
    let told = message(&object);
    assert!(told.contains(&command) && told.contains("boundary"), "{told}");
    assert_eq!(condition(&object, "Stalled").unwrap().1, "NotOpened");
    world
        .eventually("the entry is narrowed", async || {
            (wired.policies(&world) == [EDIT.to_owned(), VIEW.to_owned()].into()).then_some(())
        })
        .await;
    assert_eq!(wired.seen_role(&world), drifted);
    open();
    world.ask("ManagedCluster", "wired").await;
    world.is_ready("ManagedCluster", "wired").await;
    let boundary = wired.seen_role(&world).unwrap().boundary;
    assert!(boundary.is_some_and(|arn| arn.ends_with("AWSDenyAll")));

    // So it goes though the trust policy cannot be written, by which others get in still.
    let refused = Fault::on("UpdateAssumeRolePolicy", Effect::AccessDenied).in_account(SPOKE);
    let faults = world.stage.aws.faults();
    let refused = faults.add(refused).unwrap();
    by_hand("UpdateAssumeRolePolicy", json!({"PolicyDocument": loose_trust(SPOKE)}));
    let admin = json!({"spec": {"access": {"policies": [{"name": ADMIN}]}}});
    world.patch("ManagedCluster", "wired", admin).await;
    world
        .eventually("what the spec does not give any more is taken away", async || {
            (wired.policies(&world) == [ADMIN.to_owned(), VIEW.to_owned()].into()).then_some(())
        })
        .await;
    let object = world.until_reason("ManagedCluster", "wired", "AccessDenied").await;
    assert!(
        message(&object).contains("iam:UpdateAssumeRolePolicy"),
        "{}",
        message(&object)
    );
    faults.remove(refused);
    by_hand("UpdateAssumeRolePolicy", json!({"PolicyDocument": theirs.to_string()}));
    world.ask("ManagedCluster", "wired").await;
    world.is_ready("ManagedCluster", "wired").await;

    // A removal takes the rest away, and waits with what it may not write.
    close();
    let kept = wired.seen_role(&world);
    world.delete("ManagedCluster", "wired").await;
    let object = world.until_reason("ManagedCluster", "wired", "NotOpened").await;
    assert!(message(&object).contains(&command), "{}", message(&object));
    world
        .eventually("what the spec gave is taken away", async || {
            (wired.policies(&world) == [VIEW.to_owned()].into()).then_some(())
        })
        .await;
    let taken =
        |object: &Value| condition(object, "AccessEntryReady").is_some_and(|(_, reason, _)| reason == "Releasing");
    world.until("ManagedCluster", "wired", taken).await;
    assert!(world.secrets().get_opt(&wired.secret()).await.unwrap().is_none());
    assert_eq!(wired.seen_role(&world), kept);
    open();
    world.ask("ManagedCluster", "wired").await;
    world.until_gone("ManagedCluster", "wired").await;
    assert_eq!(wired.seen_role(&world).unwrap().trust, theirs);
    world.never_denied();
}

/// An entry whose role was made again before anybody opened it lets nobody in, and EKS does not show that.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_a_role_that_is_gone_is_told_and_left_to_those_who_gave_something_to_it() {
    let world = World::ready(setting(&["222222222222/eu-west-1/wired"])).await;
    let manager = by_hand_manager(&world);
    let wired = Wired::by_hand(&world, "wired", &manager).await;
    world.stage.aws.advance(std::time::Duration::from_mins(5));
    world.iam(SPOKE, "DeleteRole", json!({"RoleName": "argocd-wired"}));
    make(&world, "argocd-wired", &ours(&world), &[]);
    wired.open(&world).await;
    let before = (wired.seen_role(&world), wired.entry(&world));
    world.moor("wired", wired.spec()).await;
    let object = world.until_reason("ManagedCluster", "wired", "StalePrincipal").await;
    let told = message(&object);
    assert_eq!(condition(&object, "Stalled").unwrap().1, "StalePrincipal");
    assert!(told.contains("team-theirs") && told.contains(VIEW), "{told}");
    let command = format!(
        "aws eks delete-access-entry --region eu-west-1 --cluster-name wired --principal-arn {}",
        wired.role
    );
    assert!(told.contains(&command), "{told}");
    assert_eq!(world.writes("wired", 0), Vec::<String>::new());
    assert_eq!((wired.seen_role(&world), wired.entry(&world)), before);
    // Its owner does what was told.
    world.eks("wired", "DeleteAccessEntry", json!({"principalArn": wired.role}));
    world.ask("ManagedCluster", "wired").await;
    world.is_ready("ManagedCluster", "wired").await;
    let role = wired.seen_role(&world).unwrap();
    assert_eq!(wired.entry(&world).unwrap()["tags"]["mooring.dev/role-id"], role.id);
    assert_eq!(wired.policies(&world), [ADMIN.to_owned()].into());
    world.never_denied();
}

/// Who may not read the role in IAM may still ask EKS what it gives the role; what nobody saw is not guessed.
async fn no_guess_is_printed(world: &World, arguments: &[&str]) {
    let faults = world.stage.aws.faults();
    let deny = |operation: &str| {
        let fault = Fault::on(operation, Effect::AccessDenied).in_account(SPOKE);
        faults.add(fault).unwrap()
    };
    let fresh = [arguments, &["--management-role", "other"]].concat();
    let role_unread = deny("GetRole");
    let seen_in_part = world.as_verifier(&fresh).await.output().await.unwrap();
    let entry_unread = deny("DescribeAccessEntry");
    let unseen = world.as_verifier(&fresh).await.output().await.unwrap();
    faults.remove(role_unread);
    faults.remove(entry_unread);
    let in_part = String::from_utf8(seen_in_part.stdout).unwrap();
    assert_eq!(seen_in_part.status.code(), Some(1), "{in_part}");
    for line in [
        "It allows what was found, and no more",
        "Not looked at: iam:GetRole",
        "team-theirs",
        ADMIN,
    ] {
        assert!(in_part.contains(line), "{line}\n{in_part}");
    }
    let unseen = String::from_utf8(unseen.stdout).unwrap();
    assert!(unseen.matches("# fill in").count() == 2, "{unseen}");
    for guess in ["AmazonEKS", "team-theirs", "and no more"] {
        assert!(!unseen.contains(guess), "{guess}\n{unseen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_import_prints_takes_the_cluster_over() {
    let world = World::ready(setting(&["222222222222/eu-west-1/wired"])).await;
    world.with_verifier().await;
    let manager = by_hand_manager(&world);
    let wired = Wired::by_hand(&world, "wired", &manager).await;
    let arguments = [
        "import",
        "--hub-cluster",
        "hub",
        "--hub-region",
        "eu-west-1",
        "--hub-account",
        HUB_ACCOUNT,
    ];
    let output = world.as_verifier(&arguments).await.output().await.unwrap();
    let (out, told) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(output.status.success(), "{told}");
    for line in [
        "#   aws iam tag-role --role-name argocd-wired",
        "#   kubectl annotate secret -n argocd by-hand-wired mooring.dev/adopt=wired",
        "#   take over cluster Secret by-hand-wired",
        "argocd-manager",
    ] {
        assert!(out.contains(line), "{line}\n{out}\n{told}");
    }
    assert_eq!(
        world
            .stage
            .aws
            .log()
            .all()
            .iter()
            .filter(|call| call.write && call.caller.as_ref().is_some_and(|by| by.arn.contains("mooring-reader")))
            .count(),
        0
    );
    assert!(
        !out.contains("kind: ManagementRole")
            && out.contains("ManagementRole default, which is on the hub, allows all"),
        "{out}"
    );
    no_guess_is_printed(&world, &arguments).await;
    let misspelt = [
        "import",
        "--hub-cluster",
        "hubb",
        "--hub-region",
        "eu-west-1",
        "--hub-account",
        HUB_ACCOUNT,
    ];
    for (name, says) in [
        ("default", "ManagementRole default on this hub says"),
        (
            "other",
            "there is no EKS cluster arn:aws:eks:eu-west-1:111111111111:cluster/hubb",
        ),
    ] {
        let arguments = [&misspelt[..], &["--management-role", name]].concat();
        let output = world.as_verifier(&arguments).await.output().await.unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(3) && told.contains(says), "{told}");
        assert!(output.stdout.is_empty());
    }
    let manifest = out
        .split("---\n")
        .find(|text| text.contains("kind: ManagedCluster"))
        .unwrap();
    let manifest: Value = serde_saphyr::from_str(manifest).unwrap();
    assert_eq!(manifest["spec"]["access"]["kubernetesGroups"], json!(["team-theirs"]));
    wired.open(&world).await;
    world.apply(&manifest).await;
    let object = world.is_ready("ManagedCluster", "wired").await;
    assert_eq!(object["status"]["deployerRole"]["arn"], wired.role);
    assert!(enters(&world, &wired.role));
    world.never_denied();
}

async fn until_it_enters(world: &World, itself: &str) {
    world
        .eventually("the role may assume itself", async || {
            enters(world, itself).then_some(())
        })
        .await;
}

/// A cluster Secret by which Argo CD, which is the management role already, assumes it once more.
pub(crate) async fn acts_as_itself(world: &World, name: &str, role: &str) {
    // By a program as well as by `awsAuthConfig`.
    let config = if name == "by-hand-too" {
        let args = ["eks", "get-token", "--cluster-name", "wired", "--role-arn", role];
        json!({"execProviderConfig": {"command": "aws", "args": args}})
    } else {
        json!({"awsAuthConfig": {"clusterName": "wired", "roleARN": role}})
    };
    let labels = json!({"argocd.argoproj.io/secret-type": "cluster"});
    world
        .apply(&json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
            "stringData": {"name": name, "server": format!("https://{name}.example.com"), "config": config.to_string()},
        }))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_whose_role_is_the_management_role_itself_works_as_long_as_it_is_there() {
    let world = World::ready(Setting::of(&["222222222222/eu-west-1/one"])).await;
    world.moored("one").await;
    let role = world.hub().management_role_arn(None);
    let itself = role.to_string();
    let seen = || world.seen_role_named(HUB_ACCOUNT, role.name.as_str()).unwrap();
    let (before, deployer) = (seen(), world.deployer("one").to_string());
    assert!(!enters(&world, &itself));
    // One of another role, and one in another namespace, give nothing.
    acts_as_itself(&world, "other", &arn("argocd-other")).await;
    for name in ["by-hand", "by-hand-too"] {
        acts_as_itself(&world, name, &itself).await;
    }
    until_it_enters(&world, &itself).await;
    let object = world
        .eventually("the status names both Secrets", async || {
            let object = world.get("ManagementRole", "default").await?;
            let both = json!(["by-hand", "by-hand-too"]);
            (object["status"]["assumesItselfFor"] == both).then_some(object)
        })
        .await;
    assert!(message(&object).contains("by-hand-too"), "{}", message(&object));
    assert!(enters(&world, &deployer), "and what it could it can");
    let mark = world.mark();
    world.whole_pass("ManagementRole", "default").await;
    assert_eq!(world.writes("default", mark), Vec::<String>::new());
    // The first goes, and the second still needs it; then that is made to name another role.
    world
        .secrets()
        .delete("by-hand", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    world
        .eventually("the status names the other", async || {
            let object = world.get("ManagementRole", "default").await?;
            (object["status"]["assumesItselfFor"] == json!(["by-hand-too"])).then_some(())
        })
        .await;
    assert!(enters(&world, &itself));
    // A removal would cut it off.
    world.delete("ManagedCluster", "one").await;
    world.until_gone("ManagedCluster", "one").await;
    world.delete("ManagementRole", "default").await;
    let object = world.until_reason("ManagementRole", "default", "SecretsRemain").await;
    assert!(message(&object).contains("by-hand-too"), "{}", message(&object));
    assert_eq!(seen().id, before.id);
    acts_as_itself(&world, "by-hand-too", &arn("argocd-other")).await;
    world.until_gone("ManagementRole", "default").await;
    assert!(world.seen_role_named(HUB_ACCOUNT, role.name.as_str()).is_none());
    world.never_denied();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_management_role_ceases_to_assume_itself_with_the_last_secret_that_needs_it() {
    let world = World::ready(Setting::of(&["222222222222/eu-west-1/one"])).await;
    world.moored("one").await;
    let role = world.hub().management_role_arn(None);
    let itself = role.to_string();
    let seen = || world.seen_role_named(HUB_ACCOUNT, role.name.as_str()).unwrap();
    let before = seen();
    acts_as_itself(&world, "by-hand", &itself).await;
    until_it_enters(&world, &itself).await;
    world
        .secrets()
        .delete("by-hand", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    world
        .eventually("it may no more", async || {
            let object = world.get("ManagementRole", "default").await?;
            (seen() == before && object["status"]["assumesItselfFor"].is_null()).then_some(())
        })
        .await;
    assert!(!enters(&world, &itself) && enters(&world, world.deployer("one").to_string().as_str()));
    world.never_denied();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_tells_what_others_had_given_the_entry_and_does_not_give_it_back() {
    let world = World::ready(setting(&["222222222222/eu-west-1/wired"])).await;
    let manager = by_hand_manager(&world);
    let wired = Wired::by_hand(&world, "wired", &manager).await;
    wired.open(&world).await;
    world.moor("wired", wired.spec()).await;
    world.is_ready("ManagedCluster", "wired").await;
    let mode = |mode: &str| json!({"spec": {"mode": mode}});
    // Taken back while EKS still tells what others gave, the suspension takes nothing away.
    let before = wired.entry(&world);
    let faults = world.stage.aws.faults();
    let slow = Fault::on("ListAssociatedAccessPolicies", Effect::Hang).in_account("222222222222");
    let slow = faults.add(slow.first(1)).unwrap();
    let mark = world.mark();
    world.patch("ManagedCluster", "wired", mode("Suspended")).await;
    world
        .eventually("a look that hangs", async || {
            let calls = world.calls("wired", mark);
            calls.iter().any(|call| call.fault).then_some(())
        })
        .await;
    world.patch("ManagedCluster", "wired", mode("Enforce")).await;
    world
        .until("ManagedCluster", "wired", |object| {
            is_ready(object) && object["status"]["observedGeneration"] == object["metadata"]["generation"]
        })
        .await;
    assert_eq!(world.writes("wired", mark), Vec::<String>::new());
    assert_eq!(wired.entry(&world), before);
    faults.remove(slow);
    world.patch("ManagedCluster", "wired", mode("Suspended")).await;
    let object = world.until_reason("ManagedCluster", "wired", "Suspended").await;
    let told = message(&object);
    for what in ["Kubernetes group team-theirs", &format!("access policy {VIEW}")] {
        assert!(told.contains(what), "{what}: {told}");
    }
    assert!(!told.contains(ADMIN), "what the spec gives comes back: {told}");
    assert!(wired.entry(&world).is_none());
    // It is remembered for as long as that lasts.
    world.whole_pass("ManagedCluster", "wired").await;
    let object = world.get("ManagedCluster", "wired").await.unwrap();
    let lost = object["status"]["accessEntry"]["lost"].as_array().unwrap().len();
    assert_eq!(lost, 2, "{}", object["status"]["accessEntry"]);
    world.patch("ManagedCluster", "wired", mode("Enforce")).await;
    let object = world.is_ready("ManagedCluster", "wired").await;
    assert_eq!(wired.policies(&world), [ADMIN.to_owned()].into());
    assert_eq!(wired.entry(&world).unwrap()["kubernetesGroups"], json!([]));
    assert!(
        object["status"]["accessEntry"]["lost"].is_null(),
        "{}",
        object["status"]
    );
    world.never_denied();
}

/// AWS shows the unique ID of a principal that was deleted, and takes no document with one.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_gone_from_a_trust_policy_of_others_is_named_and_holds_no_removal_up() {
    let world = World::ready(setting(&[
        "222222222222/eu-west-1/stays",
        "222222222222/eu-west-1/goes",
    ]))
    .await;
    let manager = by_hand_manager(&world);
    let mut both = Vec::new();
    for name in ["stays", "goes"] {
        let wired = Wired::by_hand(&world, name, &manager).await;
        wired.open(&world).await;
        world.moor(name, wired.spec()).await;
        world.is_ready("ManagedCluster", name).await;
        both.push(wired);
    }
    world.iam(HUB_ACCOUNT, "DeleteRole", json!({"RoleName": "argocd-manager"}));
    let ghosts = |wired: &Wired| wired.seen_role(&world).unwrap().trust.to_string().contains("AROA");
    assert!(both.iter().all(ghosts));

    world.ask("ManagedCluster", "stays").await;
    world.told("stays", "StalePrincipal: done: let ").await;
    assert!(!ghosts(&both[0]) && enters(&world, &both[0].role));
    world.delete("ManagedCluster", "goes").await;
    world.until_gone("ManagedCluster", "goes").await;
    assert_eq!(both[1].seen_role(&world), None, "nobody has a part in it any more");
    world.never_denied();
}

/// What an object was about to take over that is there no more is free, also for the one that is made under its name.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_made_anew_is_not_in_his_own_way() {
    let mut setting = setting(&["222222222222/eu-west-1/anew"]);
    setting.proxied = true;
    let world = World::ready(setting).await;
    let hub = world.hub().cluster.to_string();
    make(&world, "argocd-anew", &ours(&world), &[("mooring.dev/adopt", &hub)]);
    let faults = world.stage.proxied().unwrap().faults();
    let about = About::words(["anew"]);
    let unheld = faults.add(ApiFault::on("patch managedclusters.mooring.dev", ApiEffect::Refuse(500)).about(&about));
    let spec = json!({"adoptExisting": true, "access": {"deployerRole": {"arn": arn("argocd-anew")}}});
    world.moor("anew", spec.clone()).await;
    world
        .eventually("a finalizer that is refused", async || {
            (faults.struck(unheld) > 0).then_some(())
        })
        .await;
    world.delete("ManagedCluster", "anew").await;
    world.until_gone("ManagedCluster", "anew").await;
    faults.clear();
    world.moor("anew", spec).await;
    world.is_ready("ManagedCluster", "anew").await;
    world.never_denied();
}
