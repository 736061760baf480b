//! Access that is taken away and given back, and what its owner holds.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, api::ListParams};
use mooring_sandbox::{
    aws::{BearerToken, Effect, Fault},
    stage::{self, Signal},
};
use serde_json::{Value, json};

use crate::support::{
    HUB_ACCOUNT, PATIENCE, Setting, World, condition,
    hands::{iam_tags, loose_trust, policy_arn},
    manifest::{ADMIN, EDIT, VIEW, managed_cluster},
    message,
    secrets::tells_no_token,
};

pub(crate) async fn mode(world: &World, name: &str, mode: &str) {
    world
        .patch("ManagedCluster", name, json!({"spec": {"mode": mode}}))
        .await;
}

fn none() -> Vec<String> {
    Vec::new()
}

/// A session of the deployer role lists something on the cluster: whether its API server knows who asks.
pub(crate) async fn let_in(world: &World, name: &str) -> bool {
    let session = format!("argocd-{:08x}", fastrand::u32(..));
    let deployer = world.deployer(name).to_string();
    let session = world.stage.aws.session(&deployer, &session, &[]).unwrap();
    let token = BearerToken::new(name, "eu-west-1").sign(&session).unwrap();
    shown(world, name, &token).await
}

async fn shown(world: &World, name: &str, token: &str) -> bool {
    let client = world
        .stage
        .server(name)
        .unwrap()
        .client_with_token(token, "argocd")
        .unwrap();
    match Api::<ConfigMap>::namespaced(client, "default")
        .list(&ListParams::default())
        .await
    {
        Ok(_) => true,
        Err(kube::Error::Api(status)) if status.code == 401 => false,
        // Known for as long as kube-apiserver keeps an accepted token, and allowed nothing any more.
        Err(kube::Error::Api(status)) if status.code == 403 => true,
        Err(error) => panic!("{error}"),
    }
}

/// Runs `mooring revoke` as the hub's administrator: the exit code, what it printed, and its progress.
pub(crate) async fn revoke(world: &World, name: &str, flags: &[&str]) -> (i32, Value, String) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_mooring"));
    command
        .args(["revoke", "-o", "json", name])
        .args(flags)
        .env_clear()
        .envs(world.stage.aws.env())
        .env("KUBECONFIG", world.stage.hub.admin_kubeconfig())
        .kill_on_drop(true);
    let output = command.output().await.unwrap();
    let (out, progress) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    let said = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{progress}"));
    (output.status.code().unwrap(), said, progress)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_takes_the_access_away_first_and_keeps_the_rest() {
    let mut setting = Setting::of(&[
        "222222222222/eu-west-1/live",
        "333333333333/eu-west-1/beyond",
        "444444444444/eu-west-1/unseen",
        "555555555555/eu-west-1/never",
        "666666666666/eu-west-1/hung",
    ]);
    setting.fleet.spokes[0].server = true;
    let world = World::ready(setting).await;
    world.with_verifier().await;
    tokio::join!(live(&world), beyond(&world), never(&world));
    world.never_denied();
    tokio::join!(unseen(&world), hung(&world));
    nobody_works(&world).await;
}

/// Nobody waits in an emergency for an operator that does not run: what does without it is told while it is waited for.
async fn nobody_works(world: &World) {
    mode(world, "unseen", "Enforce").await;
    world.is_ready("ManagedCluster", "unseen").await;
    world.moored("live").await;
    world.end_operator(Signal::Kill).await;
    let (code, said, progress) = revoke(world, "unseen", &["--timeout", "10s"]).await;
    assert_eq!(
        (code, &said["entry"]["reason"]),
        (1, &json!("NotLookedAt")),
        "{said:#} {progress}"
    );
    let by_hand = format!(
        "to take it away now: aws eks delete-access-entry --region eu-west-1 --cluster-name unseen --principal-arn {}",
        world.deployer("unseen")
    );
    for words in [
        "set spec.mode of unseen to Suspended",
        "warning: nobody holds the operator's lease",
        by_hand.as_str(),
    ] {
        assert!(progress.contains(words), "{words}: {progress}");
    }
    // Whoever has run that is told by the same command what the cluster does.
    let (code, said, progress) = revoke(world, "live", &["--timeout", "5s"]).await;
    assert_eq!(
        (code, &said["entry"]["reason"], &said["probe"]["state"]),
        (1, &json!("NotLookedAt"), &json!("LetIn")),
        "{said:#} {progress}"
    );
    world.entry("live", "DeleteAccessEntry", json!({}));
    world
        .eventually("the cluster to know the role no more", async || {
            (!let_in(world, "live").await).then_some(())
        })
        .await;
    let (code, said, progress) = revoke(world, "live", &["--timeout", "5s"]).await;
    assert_eq!(
        (code, &said["entry"]["state"], &said["probe"]["state"]),
        (0, &json!("Away"), &json!("Refused")),
        "{said:#} {progress}"
    );
}

async fn live(world: &World) {
    world.moored("live").await;
    let session = world
        .stage
        .aws
        .session(&world.deployer("live").to_string(), "argocd-before", &[])
        .unwrap();
    let token = BearerToken::new("live", "eu-west-1").sign(&session).unwrap();
    assert!(shown(world, "live", &token).await);
    let (role, secret) = (world.seen_role("live").unwrap(), world.secret("live").await.unwrap());
    let (mark, audit) = (world.mark(), world.audit_mark().await);
    let (code, said, progress) = revoke(world, "live", &[]).await;
    assert_eq!(
        (code, &said["entry"]["state"], &said["probe"]["state"]),
        (0, &json!("Away"), &json!("Refused")),
        "{said:#} {progress}"
    );
    assert!(progress.contains("set spec.mode of live to Suspended"), "{progress}");
    tells_no_token(&format!("{said} {progress}"));
    let told = world.until_reason("ManagedCluster", "live", "Suspended").await;
    assert_eq!(world.seen_entry("live"), None);
    let calls: Vec<String> = world
        .calls("live", mark)
        .into_iter()
        .map(|call| call.operation)
        .collect();
    let cut = calls.iter().position(|call| call == "DeleteAccessEntry").unwrap();
    let before: Vec<&str> = calls[..cut].iter().map(String::as_str).collect();
    assert!(
        before
            .iter()
            .all(|call| ["AssumeRole", "DescribeAccessEntry"].contains(call)),
        "nothing else is asked first: {before:?}"
    );
    assert_eq!(world.writes("live", mark), ["DeleteAccessEntry"]);
    let stays = world.deployer("live").to_string();
    assert_eq!(
        world.argo_cd_reads().await["live"]["awsAuthConfig"]["roleARN"],
        json!(stays)
    );
    assert_eq!(stage::ready(&told).0, "False", "Argo CD cannot deploy there");
    assert!(
        told["status"]["accessEntry"].is_null(),
        "what is gone is not named: {}",
        told["status"]["accessEntry"]
    );
    for (kind, status, reason) in [
        ("AccessEntryReady", "False", "Suspended"),
        ("DeployerRoleReady", "True", "AsSpecified"),
        ("SecretReady", "True", "AsSpecified"),
    ] {
        let found = condition(&told, kind).unwrap();
        assert_eq!((found.0.as_str(), found.1.as_str()), (status, reason), "{kind}");
    }
    assert_eq!(condition(&told, "Stalled"), None);
    // A token of before is no use either, once the API server asks again.
    world
        .eventually("the token of before to be refused", async || {
            (!shown(world, "live", &token).await).then_some(())
        })
        .await;
    assert!(!let_in(world, "live").await);

    for _ in 0..2 {
        world.whole_pass("ManagedCluster", "live").await;
    }
    assert_eq!(world.writes("live", mark), ["DeleteAccessEntry"]);
    let writes = world.kubernetes_writes(audit).await;
    let beside = writes
        .iter()
        .filter(|call| call.resource != "managedclusters/status" && call.resource != "events");
    let own: Vec<_> = beside
        .filter(|call| call.name == "live" || call.resource == "secrets")
        .collect();
    assert!(
        own.iter()
            .all(|call| call.name != secret.metadata.name.clone().unwrap()),
        "{own:#?}"
    );
    assert_eq!(world.seen_role("live").unwrap(), role);
    assert_eq!(world.secret("live").await.unwrap().data, secret.data);

    by_hand(world).await;
    mode(world, "live", "Enforce").await;
    world.until_reason("ManagedCluster", "live", "Moored").await;
    assert!(let_in(world, "live").await, "back");
    assert_eq!(world.seen_role("live").unwrap().id, role.id);
    assert_eq!(world.secret("live").await.unwrap().metadata.uid, secret.metadata.uid);
    mode(world, "live", "Suspended").await;
    world.until_reason("ManagedCluster", "live", "Suspended").await;
    world.delete("ManagedCluster", "live").await;
    world.until_gone("ManagedCluster", "live").await;
    assert_eq!(world.seen_role("live"), None);
}

/// Two objects of one EKS cluster, each with a role of its own: one is not cut off while the other is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoke_names_the_other_object_of_its_cluster_until_that_is_revoked_too() {
    let mut setting = Setting::of(&["222222222222/eu-west-1/live"]);
    setting.fleet.spokes[0].server = true;
    let world = World::ready(setting).await;
    world.with_verifier().await;
    world.moored("live").await;
    let own = json!({"clusterName": "live", "access": {"deployerRole": {"name": "second"}}});
    let mut second = managed_cluster(world.cluster("live"), own);
    second["metadata"]["name"] = json!("second");
    world.apply(&second).await;
    let told = world.until_reason("ManagedCluster", "second", "DuplicateCluster").await;
    let lets_in = "role/mooring/111111111111-eu-west-1-hub/default/second and its access entry stand all the same";
    assert!(message(&told).contains(lets_in), "{}", message(&told));

    let (code, said, progress) = revoke(&world, "live", &[]).await;
    assert_eq!(
        (code, &said["entry"]["state"]),
        (1, &json!("Away")),
        "{said:#} {progress}"
    );
    assert_eq!(
        said["others"]["objects"][0]["command"], "mooring revoke second",
        "{said:#}"
    );
    assert!(
        progress.contains("ManagedCluster second is of the same EKS cluster"),
        "{progress}"
    );
    let (_, said, _) = revoke(&world, "second", &[]).await;
    assert_eq!(
        (&said["entry"]["state"], &said["others"]["state"]),
        (&json!("Away"), &json!("LetNobodyIn")),
        "{said:#}"
    );
    let (code, said, _) = revoke(&world, "live", &[]).await;
    assert_eq!(code, 0, "{said:#}");
}

/// An entry that comes back, and a role that is changed, while access is taken away.
async fn by_hand(world: &World) {
    let loose = json!({"PolicyDocument": loose_trust(HUB_ACCOUNT)});
    let role = world.seen_role("live").unwrap();
    world.role("live", "UpdateAssumeRolePolicy", loose);
    let tags: Value = json!(role.tags);
    world.entry("live", "CreateAccessEntry", json!({"tags": tags}));
    let admin = json!({"policyArn": policy_arn(ADMIN), "accessScope": {"type": "cluster"}});
    world.entry("live", "AssociateAccessPolicy", admin);
    world.ask("ManagedCluster", "live").await;
    world
        .eventually("the entry to go again", async || {
            world.seen_entry("live").is_none().then_some(())
        })
        .await;
    world
        .eventually("the trust to be restored", async || {
            (world.seen_role("live").unwrap() == role).then_some(())
        })
        .await;
    world.told("live", "AccessTakenAway: ").await;
    let mended = world.told("live", "DriftMended: ").await;
    assert!(mended.contains("restore the trust policy"), "{mended}");
    // Somebody else's is told, and left to them.
    world.entry("live", "CreateAccessEntry", json!({}));
    world.ask("ManagedCluster", "live").await;
    let told = world.until_reason("ManagedCluster", "live", "AccessEntryNotOurs").await;
    assert!(
        message(&told).starts_with("spec.mode is Suspended, and Argo CD's access still stands: ")
            && message(&told).contains("aws eks delete-access-entry"),
        "{}",
        message(&told)
    );
    assert_eq!(condition(&told, "Stalled").unwrap().1, "AccessEntryNotOurs");
    assert!(world.seen_entry("live").is_some());
    world.entry("live", "DeleteAccessEntry", json!({}));
    world.ask("ManagedCluster", "live").await;
    world.until_reason("ManagedCluster", "live", "Suspended").await;
}

/// The same edit asks for what nobody may have.
async fn beyond(world: &World) {
    world.moored("beyond").await;
    let mark = world.mark();
    let spec = json!({"mode": "Suspended", "access": {"policies": [{"name": "AmazonEKSAdminViewPolicy"}]}});
    world.patch("ManagedCluster", "beyond", json!({"spec": spec})).await;
    let told = world.until_reason("ManagedCluster", "beyond", "Suspended").await;
    assert!(
        message(&told).contains("does not allow access policy AmazonEKSAdminViewPolicy"),
        "{}",
        message(&told)
    );
    assert_eq!(world.seen_entry("beyond"), None);
    assert_eq!(world.writes("beyond", mark), ["DeleteAccessEntry"]);
    // Nothing is to be done, and Argo CD cannot deploy all the same; nor is it hidden that something cannot be looked at.
    let pause = json!({"metadata": {"annotations": {"mooring.dev/paused": "true"}}});
    world.patch("ManagedCluster", "beyond", pause).await;
    let told = world
        .until("ManagedCluster", "beyond", |object| {
            message(object).contains("nothing will be written while mooring.dev/paused is set")
        })
        .await;
    assert_eq!(stage::ready(&told), ("False".to_owned(), "Suspended".to_owned()));
    assert_eq!(condition(&told, "AccessEntryReady").unwrap().1, "Suspended");
    assert!(
        message(&told)
            .contains("spec.mode Enforce would be refused as the spec is: ManagementRole default does not allow"),
        "{}",
        message(&told)
    );
}

/// Suspended from the start: nothing is made, and nothing holds it.
async fn never(world: &World) {
    world.moor("never", json!({"mode": "Suspended"})).await;
    let told = world.until_reason("ManagedCluster", "never", "Suspended").await;
    assert_eq!(condition(&told, "DeployerRoleReady").unwrap().1, "Suspended");
    assert_eq!(condition(&told, "SecretReady").unwrap().1, "Suspended");
    assert!(told["metadata"]["finalizers"].is_null());
    assert_eq!(world.writes("never", 0), none());
    let way = world.deployer("never").account.to_string();
    assert!(!world.assumable().iter().any(|way_in| way_in.contains(&way)));
    let (code, said, progress) = revoke(world, "never", &[]).await;
    assert_eq!(
        (code, &said["entry"]["state"]),
        (2, &json!("Never")),
        "nothing was there to be taken away: {said:#} {progress}"
    );
    world.delete("ManagedCluster", "never").await;
    world.until_gone("ManagedCluster", "never").await;
    // Nothing was made, and nobody looks: whoever revokes it is told so, and does not wait for what will not come.
    let mut orphan = managed_cluster(world.cluster("never"), json!({"managementRole": "nobody"}));
    orphan["metadata"]["name"] = json!("orphan");
    orphan["metadata"]["annotations"] = json!({"mooring.dev/paused": "true"});
    world.apply(&orphan).await;
    let revoked = revoke(world, "orphan", &["--timeout", "10m"]);
    let (code, said, progress) = tokio::time::timeout(PATIENCE, revoked).await.unwrap();
    assert_eq!(
        (code, &said["entry"]["state"]),
        (2, &json!("NotMade")),
        "{said:#} {progress}"
    );
    world.delete("ManagedCluster", "orphan").await;
    world.until_gone("ManagedCluster", "orphan").await;
}

/// What else there is cannot be looked at, so that nothing could be given.
async fn unseen(world: &World) {
    world.moored("unseen").await;
    let faults = world.stage.aws.faults();
    let denied = ["GetRole", "DescribeCluster", "ListAssociatedAccessPolicies"].map(|operation| {
        faults
            .add(Fault::on(operation, Effect::AccessDenied).in_account("444444444444"))
            .unwrap()
    });
    mode(world, "unseen", "Suspended").await;
    let told = world.until_reason("ManagedCluster", "unseen", "Suspended").await;
    assert!(
        message(&told).contains("What stays could not be looked at: "),
        "{}",
        message(&told)
    );
    assert_eq!(world.seen_entry("unseen"), None);
    for fault in denied {
        faults.remove(fault);
    }
    let refused = Fault::on("DeleteAccessEntry", Effect::AccessDenied).in_account("444444444444");
    let refused = faults.add(refused).unwrap();
    let tags: Value = json!(world.seen_role("unseen").unwrap().tags);
    world.entry("unseen", "CreateAccessEntry", json!({"tags": tags}));
    world.ask("ManagedCluster", "unseen").await;
    let told = world.until_reason("ManagedCluster", "unseen", "AccessDenied").await;
    assert!(
        message(&told).starts_with("spec.mode is Suspended, and Argo CD's access still stands: "),
        "{}",
        message(&told)
    );
    faults.remove(refused);
    world.ask("ManagedCluster", "unseen").await;
    world.until_reason("ManagedCluster", "unseen", "Suspended").await;
    assert_eq!(world.seen_entry("unseen"), None);
    // What was done is told, though nobody can look at what came of it.
    let (code, said, progress) = revoke(world, "unseen", &["--ca-bundle", "/nowhere.pem"]).await;
    assert_eq!(
        (code, &said["entry"]["state"], &said["probe"]["state"]),
        (2, &json!("Away"), &json!("NotSeen")),
        "{said:#} {progress}"
    );
    assert!(
        said["probe"]["why"].as_str().unwrap().contains("/nowhere.pem"),
        "{said:#}"
    );
}

/// A pass that is giving access when the mode changes gives nothing more.
async fn hung(world: &World) {
    let faults = world.stage.aws.faults();
    let lost = Fault::on("CreateRole", Effect::Hang)
        .in_account("666666666666")
        .first(1);
    let lost = faults.add(lost).unwrap();
    world.moor("hung", json!({})).await;
    world
        .eventually("the role to be asked for", async || {
            let calls = world.calls("hung", 0);
            calls.iter().any(|call| call.operation == "CreateRole").then_some(())
        })
        .await;
    mode(world, "hung", "Suspended").await;
    world.until_reason("ManagedCluster", "hung", "Suspended").await;
    let writes = world.writes("hung", 0);
    assert!(writes.iter().all(|write| write == "CreateRole"), "{writes:?}");
    assert_eq!(world.seen_entry("hung"), None);
    faults.remove(lost);
    let told = world.get("ManagedCluster", "hung").await.unwrap();
    assert!(
        told["status"]["deployerRole"]["id"].is_string(),
        "what was made is recorded"
    );
}

/// Sets a tag of a cluster's access entry, or takes it off.
fn tag_entry(world: &World, name: &str, value: Option<&str>) {
    let arn = world.seen_entry(name).unwrap().arn;
    let (operation, input) = match value {
        Some(value) => (
            "TagResource",
            json!({"resourceArn": arn, "tags": {"mooring.dev/hold": value}}),
        ),
        None => (
            "UntagResource",
            json!({"resourceArn": arn, "tagKeys": ["mooring.dev/hold"]}),
        ),
    };
    world.eks(name, operation, input);
}

fn hold_role(world: &World, name: &str, value: &str) {
    let tags = [("mooring.dev/hold".to_owned(), value.to_owned())].into();
    world.role(name, "TagRole", json!({"Tags": iam_tags(&tags)}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_owner_holds_is_not_written_to_and_the_drift_is_told() {
    let world = World::ready(Setting::of(&[
        "222222222222/eu-west-1/held-role",
        "333333333333/eu-west-1/held-entry",
        "444444444444/eu-west-1/beside",
        "555555555555/eu-west-1/new",
    ]))
    .await;
    tokio::join!(held_role(&world), held_entry(&world));
    world.never_denied();
    emptied_management(&world).await;
    held_management(&world).await;
}

/// In an incident somebody empties the management role's policy and holds it: Argo CD is out. What others do to a cluster
/// that stands is taken back all the same, and nothing new is made.
async fn emptied_management(world: &World) {
    world.moored("beside").await;
    let role = world.hub().management_role_arn(None);
    let by_hand = |operation: &str, mut input: Value| {
        input["RoleName"] = json!(role.name.as_str());
        world.iam(HUB_ACCOUNT, operation, input);
    };
    let tags = [("mooring.dev/hold".to_owned(), "incident".to_owned())].into();
    by_hand("TagRole", json!({"Tags": iam_tags(&tags)}));
    by_hand("DeleteRolePolicy", json!({"PolicyName": "mooring-assume-deployers"}));
    world.ask("ManagementRole", "default").await;
    world.until_reason("ManagementRole", "default", "Held").await;
    let before = world.seen_entry("beside").unwrap();
    let edit = json!({"policyArn": policy_arn(EDIT), "accessScope": {"type": "cluster"}});
    world.entry("beside", "AssociateAccessPolicy", edit);
    world.ask("ManagedCluster", "beside").await;
    world
        .eventually("the policy of others to be taken away", async || {
            (world.seen_entry("beside").unwrap() == before).then_some(())
        })
        .await;
    world.until_reason("ManagedCluster", "beside", "PolicyPending").await;
    world.moor("new", json!({})).await;
    world.until_reason("ManagedCluster", "new", "PolicyPending").await;
    assert!(world.calls("new", 0).is_empty(), "nothing is done in its account");
    by_hand("UntagRole", json!({"TagKeys": ["mooring.dev/hold"]}));
    world.ask("ManagementRole", "default").await;
    for name in ["beside", "new"] {
        world.is_ready("ManagedCluster", name).await;
        world.delete("ManagedCluster", name).await;
        world.until_gone("ManagedCluster", name).await;
    }
}

async fn held_role(world: &World) {
    let name = "held-role";
    world.moored(name).await;
    hold_role(world, name, "INC-42");
    world.ask("ManagedCluster", name).await;
    let told = world.until_reason("ManagedCluster", name, "Held").await;
    assert!(stage::is_ready(&told), "{}", message(&told));
    assert!(
        message(&told).contains("bears the tag mooring.dev/hold (\"INC-42\")"),
        "{}",
        message(&told)
    );
    let mark = world.mark();
    let trust = world.role(name, "GetRole", json!({}))["Role"]["AssumeRolePolicyDocument"].clone();
    world.role(
        name,
        "UpdateAssumeRolePolicy",
        json!({"PolicyDocument": loose_trust(HUB_ACCOUNT)}),
    );
    world.role(name, "UntagRole", json!({"TagKeys": ["mooring.dev/uid"]}));
    let groups = json!({"spec": {"access": {"kubernetesGroups": ["team-a"]}}});
    world.patch("ManagedCluster", name, groups).await;
    let told = world
        .until("ManagedCluster", name, |object| {
            stage::ready(object) == ("False".to_owned(), "Held".to_owned())
        })
        .await;
    for words in ["INC-42", "restore the trust policy", "restore the tags"] {
        assert!(message(&told).contains(words), "{}", message(&told));
    }
    assert_eq!(condition(&told, "DeployerRoleReady").unwrap().1, "Held");
    let (verdict, reason, words) = condition(&told, "AccessEntryReady").unwrap();
    assert_eq!((verdict.as_str(), reason.as_str()), ("False", "Held"));
    assert!(
        words.contains("set the Kubernetes groups of the access entry to [team-a]"),
        "{words}"
    );
    assert_eq!(condition(&told, "Stalled").unwrap().1, "Held");
    let none = Vec::<String>::new();
    assert_eq!(
        world.writes(name, mark),
        none,
        "whoever else may act as the role would have it too"
    );
    let trust = crate::support::hands::document(&trust);
    let restored = json!({"PolicyDocument": trust.to_string()});
    world.role(name, "UpdateAssumeRolePolicy", restored);
    world.ask("ManagedCluster", name).await;
    let given = || world.seen_entry(name).unwrap().groups == ["team-a".to_owned()].into();
    world
        .eventually("what is not held to go on", async || given().then_some(()))
        .await;

    let mark = world.mark();
    world.delete("ManagedCluster", name).await;
    let told = world
        .until("ManagedCluster", name, |object| {
            message(object).contains("delete role held-role-")
        })
        .await;
    assert_eq!(stage::ready(&told).1, "Held");
    assert_eq!(world.writes(name, mark), ["DeleteAccessEntry"]);
    let role = world.seen_role(name).unwrap();
    assert_eq!(role.tags["mooring.dev/hold"], "INC-42");
    assert!(world.secret(name).await.is_none());
    world.ask("ManagedCluster", name).await;
    let told = world
        .until("ManagedCluster", name, |object| {
            object["status"]["accessEntry"].is_null() && object["status"]["secret"].is_null()
        })
        .await;
    assert!(
        message(&told)
            .contains("there is no cluster Secret and no access entry; what there is of the deployer role stands"),
        "{}",
        message(&told)
    );
    world.role(name, "UntagRole", json!({"TagKeys": ["mooring.dev/hold"]}));
    world.ask("ManagedCluster", name).await;
    world.until_gone("ManagedCluster", name).await;
    assert_eq!(world.seen_role(name), None);
}

async fn held_entry(world: &World) {
    let name = "held-entry";
    world.moored(name).await;
    tag_entry(world, name, Some(""));
    let mark = world.mark();
    let narrower = json!({"spec": {"access": {"policies": [{"name": VIEW}]}, "argocd": {"labels": {"env": "prod"}}}});
    world.patch("ManagedCluster", name, narrower).await;
    let told = world.until_reason("ManagedCluster", name, "Held").await;
    for words in ["associate AmazonEKSViewPolicy", "take away AmazonEKSClusterAdminPolicy"] {
        assert!(message(&told).contains(words), "{}", message(&told));
    }
    assert_eq!(world.writes(name, mark), none());
    let secret = world.secret(name).await.unwrap();
    assert_eq!(secret.metadata.labels.unwrap()["env"], "prod", "the Secret is not held");

    // Nobody's emergency is undone by another's.
    mode(world, name, "Suspended").await;
    let told = world
        .until("ManagedCluster", name, |object| {
            message(object).contains("Argo CD's access still stands")
        })
        .await;
    assert_eq!(stage::ready(&told).1, "Held");
    assert!(message(&told).contains("delete the access entry"), "{}", message(&told));
    // It was Held before, which was no alarm: this is one.
    world
        .told(name, "Held: spec.mode is Suspended, and Argo CD's access still stands")
        .await;
    let (code, said, _) = revoke(world, name, &[]).await;
    assert_eq!((code, &said["entry"]["reason"]), (1, &json!("Held")), "{said:#}");
    let (entry, role) = (world.seen_entry(name).unwrap().arn, world.deployer(name));
    let commands: Vec<&str> = said["next"]
        .as_array()
        .unwrap()
        .iter()
        .map(|way| way["command"].as_str().unwrap())
        .collect();
    assert_eq!(
        commands,
        [
            format!("aws eks untag-resource --region eu-west-1 --resource-arn {entry} --tag-keys mooring.dev/hold"),
            format!("aws eks delete-access-entry --region eu-west-1 --cluster-name {name} --principal-arn {role}"),
        ]
    );
    world.delete("ManagedCluster", name).await;
    world
        .until("ManagedCluster", name, |object| {
            message(object).contains("delete the access entry; delete role held-entry-")
        })
        .await;
    assert_eq!(world.writes(name, mark), none());
    assert!(world.seen_entry(name).is_some() && world.seen_role(name).is_some());
    tag_entry(world, name, None);
    world.ask("ManagedCluster", name).await;
    world.until_gone("ManagedCluster", name).await;
    assert_eq!((world.seen_role(name), world.seen_entry(name)), (None, None));
}

async fn held_management(world: &World) {
    // The last cluster has just gone, and with it what the role's policy allowed.
    world.whole_pass("ManagementRole", "default").await;
    let role = world.hub().management_role_arn(None);
    let by_hand = |operation: &str, mut input: Value| {
        input["RoleName"] = json!(role.name.as_str());
        world.iam(HUB_ACCOUNT, operation, input);
    };
    let tags = [("mooring.dev/hold".to_owned(), "audit".to_owned())].into();
    by_hand("TagRole", json!({"Tags": iam_tags(&tags)}));
    by_hand(
        "UpdateAssumeRolePolicy",
        json!({"PolicyDocument": loose_trust(HUB_ACCOUNT)}),
    );
    let mark = world.mark();
    world.ask("ManagementRole", "default").await;
    let told = world.until_reason("ManagementRole", "default", "Held").await;
    assert!(
        message(&told).contains("(\"audit\")") && message(&told).contains("restore the trust policy"),
        "{}",
        message(&told)
    );
    world.delete("ManagementRole", "default").await;
    world
        .until("ManagementRole", "default", |object| {
            message(object).contains("delete role management-default")
        })
        .await;
    assert_eq!(world.writes("default", mark), none());
    by_hand("UntagRole", json!({"TagKeys": ["mooring.dev/hold"]}));
    world.ask("ManagementRole", "default").await;
    world.until_gone("ManagementRole", "default").await;
}
