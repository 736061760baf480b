//! A role that was made, and that nobody could write down since the operator ended right after: an object that keeps its
//! role keeps that one too, and its `ManagementRole` names it.

use std::time::Duration;

use mooring_sandbox::{
    aws::{Effect, Fault},
    control_plane::{About, ApiEffect, ApiFault},
    stage::{Signal, ready},
};
use serde_json::{Value, json};

use crate::support::{HUB_ACCOUNT, Setting, World, hands::loose_trust, message};

/// A policy that somebody gave.
fn theirs_allow() -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]})
}

fn pause(value: &Value) -> Value {
    json!({"metadata": {"annotations": {"mooring.dev/paused": value}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_was_made_and_never_recorded_is_found_kept_and_named() {
    let world = World::ready(
        Setting::of(&[
            "222222222222/eu-west-1/made",
            "333333333333/eu-west-1/shut",
            "444444444444/eu-west-1/never",
            "555555555555/eu-west-1/freed",
            "666666666666/eu-west-1/closed",
        ])
        .flag(&["--confirm-after", "2s"]),
    )
    .await;
    let names = ["made", "shut", "never"];
    let faults = world.stage.aws.faults();
    for name in names {
        let account = &world.cluster(name).account;
        let fault = |effect| Fault::on("CreateRole", effect).in_account(account);
        let struck = if name == "never" {
            vec![fault(Effect::Hang)]
        } else {
            vec![fault(Effect::CloseAfter).nth(1), fault(Effect::Hang).nth(2)]
        };
        for fault in struck {
            faults.add(fault).unwrap();
        }
        world.moor(name, json!({"deletion": {"policy": "Retain"}})).await;
    }
    world
        .eventually("the passes are held", async || {
            let struck = |name: &str| world.calls(name, 0).iter().filter(|call| call.fault).count();
            (struck("made") >= 2 && struck("shut") >= 2 && struck("never") >= 1).then_some(())
        })
        .await;
    world.end_operator(Signal::Kill).await;
    faults.clear();
    let made = world.seen_role("made").unwrap();
    assert!(world.seen_role("shut").is_some() && world.seen_role("never").is_none());
    let input = json!({"RoleName": "mooring-provisioner", "PolicyDocument": loose_trust("333333333333")});
    world.iam("333333333333", "UpdateAssumeRolePolicy", input);
    for name in names {
        let object = world.get("ManagedCluster", name).await.unwrap();
        assert_eq!(object["status"]["deployerRole"], Value::Null, "{object}");
        world.delete("ManagedCluster", name).await;
    }
    world.start_operator().await;

    world.until_gone("ManagedCluster", "made").await;
    assert_eq!(world.seen_role("made"), Some(made.clone()), "it is kept as it is");
    let told = world.told("made", "Retained: ").await;
    assert!(told.contains(&made.arn), "{told}");
    assert_eq!(retained(&world).await, json!([made.arn]));
    assert!(
        world.assumable().iter().any(|arn| arn.contains("222222222222")),
        "the management role keeps its way to it"
    );
    // Where no role was made, none is named; and nobody takes one look's word for that.
    world.until_gone("ManagedCluster", "never").await;
    let looks = world.calls("never", 0);
    let looks = looks.iter().filter(|call| call.operation == "GetRole").count();
    assert!(looks >= 3, "one before it was to be made and two after: {looks}");

    // An account that cannot be entered is not abandoned by itself.
    let told = world.until_reason("ManagedCluster", "shut", "AccountNotEntered").await;
    let says = "kubectl annotate mgr default --overwrite mooring.dev/closed-accounts=333333333333";
    assert!(message(&told).contains(says), "{}", message(&told));
    assert!(told["status"]["conditions"].to_string().contains("Stalled"), "{told}");
    let closed = json!({"metadata": {"annotations": {"mooring.dev/closed-accounts": "333333333333"}}});
    world.patch("ManagementRole", "default", closed).await;
    world.until_gone("ManagedCluster", "shut").await;
    assert_eq!(retained(&world).await, json!([made.arn]));

    freed(&world, &made.arn).await;
    paused(&world, &made.arn).await;

    // Whoever made a management role of that name would hold what trusts it.
    let told = world
        .until_reason("ManagementRole", "default", "RetainedDeployers")
        .await;
    let (told, closed) = (message(&told), world.deployer("closed").to_string());
    assert!(told.contains(&made.arn) && !told.contains(&closed), "{told}");
    world.role("made", "DeleteRole", json!({}));
    world.ask("ManagementRole", "default").await;
    world.until_gone("ManagementRole", "default").await;
}

/// The object is what tells of a role that is kept, so it stays until the `ManagementRole` does.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_stays_until_its_management_role_names_what_is_kept() {
    let spokes = ["222222222222/eu-west-1/kept", "222222222222/eu-west-1/beside"];
    let mut setting = Setting::of(&spokes).flag(&["--confirm-after", "2s"]);
    setting.proxied = true;
    let world = World::ready(setting).await;
    for name in ["kept", "beside"] {
        world.moor(name, json!({"deletion": {"policy": "Retain"}})).await;
        world.is_ready("ManagedCluster", name).await;
    }
    let stands = (world.seen_role("kept").unwrap(), world.seen_entry("kept").unwrap());
    let faults = world.stage.proxied().unwrap().faults();
    let unrecorded = ApiFault::on("patch managementroles.mooring.dev/status", ApiEffect::Refuse(500));
    let unrecorded = faults.add(unrecorded.about(&About::words(["default"])));
    world.delete("ManagedCluster", "kept").await;
    let told = world.until_reason("ManagedCluster", "kept", "RetentionPending").await;
    let says = "waiting for ManagementRole default to record that the deployer role is kept";
    assert!(message(&told).contains(says), "{}", message(&told));
    world
        .eventually("the record to be tried", async || {
            (faults.struck(unrecorded) > 0).then_some(())
        })
        .await;
    // As often as it is looked at, and longer than a second look takes.
    for _ in 0..3 {
        world.ask("ManagedCluster", "kept").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(world.get("ManagedCluster", "kept").await.is_some());
    }
    assert_eq!(retained(&world).await, Value::Null);
    faults.remove(unrecorded);
    for (kind, name) in [("ManagementRole", "default"), ("ManagedCluster", "kept")] {
        world.ask(kind, name).await;
    }
    world.until_gone("ManagedCluster", "kept").await;
    assert_eq!(retained(&world).await, json!([stands.0.arn]));
    assert!(world.secret("kept").await.is_none());
    assert_eq!(
        (world.seen_role("kept").unwrap(), world.seen_entry("kept").unwrap()),
        stands
    );
    // A pause is for what is made: what is kept is recorded, and the object goes.
    let other = world.seen_role("beside").unwrap();
    world.patch("ManagementRole", "default", pause(&json!("true"))).await;
    world.until_reason("ManagementRole", "default", "Paused").await;
    let mark = world.mark();
    world.delete("ManagedCluster", "beside").await;
    world.until_gone("ManagedCluster", "beside").await;
    let mut kept = [stands.0.arn.clone(), other.arn.clone()];
    kept.sort();
    assert_eq!(retained(&world).await, json!(kept));
    assert_eq!(world.seen_role("beside").unwrap(), other);
    assert_eq!(world.writes("default", mark), Vec::<String>::new());
}

/// The deployer roles that the `ManagementRole` lists.
async fn retained(world: &World) -> Value {
    let management = world.get("ManagementRole", "default").await.unwrap();
    management["status"]["retained"].clone()
}

/// What is nobody's to hold any more is let go of: a role that is gone. One whose owner lets another in instead stays named: he
/// may change his mind.
async fn freed(world: &World, made: &str) {
    for name in ["freed", "closed"] {
        world.moor(name, json!({"deletion": {"policy": "Retain"}})).await;
        world.is_ready("ManagedCluster", name).await;
        world.delete("ManagedCluster", name).await;
        world.until_gone("ManagedCluster", name).await;
    }
    let may_enter = |name: &str| {
        let account = &world.cluster(name).account;
        world.assumable().iter().any(|arn| arn.contains(account))
    };
    assert_eq!(retained(world).await.as_array().unwrap().len(), 3);
    assert!(may_enter("freed") && may_enter("closed"));
    world.role("freed", "DeleteRole", json!({}));
    // Another Argo CD's, on the same hub: its account is named, and of it another role alone.
    let another = format!("arn:aws:iam::{HUB_ACCOUNT}:role/argocd-by-hand");
    let theirs = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{HUB_ACCOUNT}:root")}, "Action": "sts:AssumeRole",
        "Condition": {"ArnEquals": {"aws:PrincipalArn": another}},
    }]});
    let input = json!({"PolicyDocument": theirs.to_string()});
    world.role("closed", "UpdateAssumeRolePolicy", input);
    world.ask("ManagementRole", "default").await;
    let closed = world.deployer("closed").to_string();
    world
        .eventually("the role that is gone is let go", async || {
            (retained(world).await == json!([made, closed]) && !may_enter("freed")).then_some(())
        })
        .await;
    assert!(may_enter("made") && may_enter("closed"), "and no other");
    let told = world.told("default", "NoLongerRetained: ").await;
    assert!(
        told.contains(&world.deployer("freed").to_string()) && !told.contains(&closed),
        "{told}"
    );
}

/// Where nothing is written, everything is told that would hold its removal up.
async fn paused(world: &World, made: &str) {
    let role = world.hub().management_role_arn(None);
    let policy = |operation: &str, mut input: Value| {
        input["RoleName"] = json!(role.name.as_str());
        input["PolicyName"] = json!("theirs");
        world.iam(HUB_ACCOUNT, operation, input);
    };
    world.patch("ManagementRole", "default", pause(&json!("true"))).await;
    policy("PutRolePolicy", json!({"PolicyDocument": theirs_allow().to_string()}));
    let mark = world.mark();
    world.delete("ManagementRole", "default").await;
    let told = world
        .until("ManagementRole", "default", |object| {
            message(object).contains("is being removed") && message(object).contains("theirs")
        })
        .await;
    assert_eq!(ready(&told).1, "Paused");
    for part in ["mooring.dev/paused is set", made] {
        assert!(message(&told).contains(part), "{part}: {}", message(&told));
    }
    assert_eq!(world.writes("default", mark), Vec::<String>::new());
    policy("DeleteRolePolicy", json!({}));
    world.patch("ManagementRole", "default", pause(&Value::Null)).await;
}
