//! Letting go, in order, whatever the state of things.

use k8s_openapi::ByteString;
use kube::{
    Api,
    api::{DeleteParams, PostParams},
    core::DynamicObject,
};
use mooring_sandbox::{
    aws::{Effect, Fault},
    stage::{Signal, is_ready, ready},
};
use serde_json::{Value, json};

use crate::support::{Setting, World, condition, hands::loose_trust, message};

fn spokes() -> Setting {
    Setting::of(&[
        "222222222222/eu-west-1/ordered",
        "777777777777/eu-west-1/half-made",
        "888888888888/eu-west-1/late",
        "121212121212/eu-west-1/unshown",
        "999999999999/eu-west-1/unread",
        "333333333333/eu-west-1/no-role",
        "333333333333/eu-west-1/no-cluster",
        "333333333333/eu-west-1/foreign",
        "333333333333/eu-west-1/drifted",
        "444444444444/eu-west-1/shut",
        "555555555555/eu-west-1/retained",
        "555555555555/eu-west-1/disowned",
        "666666666666/eu-west-1/garbled",
    ])
    .flag(&["--confirm-after", "2s"])
}

#[tokio::test(flavor = "multi_thread")]
async fn removal_goes_in_order_and_leaves_nothing() {
    let world = World::ready(spokes()).await;
    tokio::join!(
        ordered(&world),
        half_made(&world),
        late(&world),
        unshown(&world),
        unread(&world),
        missing(&world),
        foreign(&world),
        drifted(&world)
    );
    world.never_denied();
    shut(&world).await;
    retained(&world).await;
}

/// Who pauses an object hears of no removal after that, also where the removal has waited for its turn all the while.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_heard_by_a_removal_that_waits_for_its_turn() {
    let spokes = [
        "222222222222/eu-west-1/first",
        "222222222222/eu-west-1/second",
        "222222222222/eu-west-1/waits",
    ];
    let world = World::ready(Setting::of(&spokes).flag(&["--passes-per-account", "1", "--confirm-after", "2s"])).await;
    for name in ["first", "second", "waits"] {
        world.moored(name).await;
    }
    let faults = world.stage.aws.faults();
    let hung = faults
        .add(Fault::on("DeleteAccessEntry", Effect::Hang).first(2))
        .unwrap();
    // A removal may take the turn that is kept for edits, or the other one.
    for name in ["first", "second"] {
        world.delete("ManagedCluster", name).await;
        let asked = async || {
            let calls = world.calls(name, 0);
            calls
                .iter()
                .any(|call| call.operation == "DeleteAccessEntry")
                .then_some(())
        };
        world.eventually("the account to be busy", asked).await;
    }
    let before = world.log().len();
    world.delete("ManagedCluster", "waits").await;
    let waits = async || {
        let log = world.log();
        let asks = |line: &str| line.contains("asking for its turn") && line.contains("waits");
        log[before..].lines().any(asks).then_some(())
    };
    world.eventually("the removal to wait", waits).await;
    let mark = world.mark();
    let pause = json!({"metadata": {"annotations": {"mooring.dev/paused": "true"}}});
    world.patch("ManagedCluster", "waits", pause).await;
    faults.remove(hung);
    for name in ["first", "second"] {
        all_gone(&world, name).await;
    }
    let told = world.until_reason("ManagedCluster", "waits", "Paused").await;
    assert!(message(&told).contains("let the removal go on"), "{}", message(&told));
    assert_eq!(world.writes("waits", mark), Vec::<String>::new());
    assert!(world.secret("waits").await.is_some() && world.seen_entry("waits").is_some());
    assert!(world.seen_role("waits").is_some());
}

/// Waits until an object, its Secret, its entry and its role are gone.
async fn all_gone(world: &World, name: &str) {
    world.until_gone("ManagedCluster", name).await;
    assert!(world.secret(name).await.is_none(), "{name}");
    assert_eq!(world.seen_role(name), None, "{name}");
}

/// A name that a spec chose for its deployer role.
const OF_ITS_OWN: &str = "a-name-of-its-own";

fn pattern(world: &World, name: &str) -> String {
    let role = world.deployer(name);
    format!("arn:aws:iam::{}:role{}*", role.account, role.path)
}

/// Secret, access entry, deployer role, and only then what the management role may assume.
async fn ordered(world: &World) {
    world.moored("ordered").await;
    assert!(world.assumable().contains(&pattern(world, "ordered")));
    let faults = world.stage.aws.faults();
    let mark = world.mark();
    let stop = |operation: &str| {
        let fault = Fault::on(operation, Effect::AccessDenied).in_account("222222222222");
        faults.add(fault).unwrap()
    };
    let (entry, role) = (stop("DeleteAccessEntry"), stop("DeleteRole"));
    // Of another cluster, though its annotations were copied from ours.
    let mut theirs = world.secret("ordered").await.unwrap();
    theirs.metadata = kube::api::ObjectMeta {
        name: Some("theirs".to_owned()),
        labels: theirs.metadata.labels,
        annotations: theirs.metadata.annotations,
        ..kube::api::ObjectMeta::default()
    };
    let data = theirs.data.as_mut().unwrap();
    data.insert("name".to_owned(), ByteString(b"theirs".to_vec()));
    data.insert("server".to_owned(), ByteString(b"https://theirs.example.com".to_vec()));
    world.secrets().create(&PostParams::default(), &theirs).await.unwrap();
    world.delete("ManagedCluster", "ordered").await;
    let told = world.until_reason("ManagedCluster", "ordered", "AccessDenied").await;
    assert!(message(&told).contains("eks:DeleteAccessEntry"), "{}", message(&told));
    let left = world.secret("ordered").await.unwrap().metadata.name;
    assert_eq!(left.as_deref(), Some("theirs"), "the Secret goes first, and no other");
    world
        .secrets()
        .delete("theirs", &DeleteParams::default())
        .await
        .unwrap();
    assert!(world.seen_entry("ordered").is_some() && world.seen_role("ordered").is_some());
    faults.remove(entry);
    world.ask("ManagedCluster", "ordered").await;
    world
        .until("ManagedCluster", "ordered", |object| {
            message(object).contains("iam:DeleteRole")
        })
        .await;
    assert!(world.seen_entry("ordered").is_none() && world.seen_role("ordered").is_some());
    assert!(
        world.assumable().contains(&pattern(world, "ordered")),
        "the way stays as long as the role does"
    );
    faults.remove(role);
    world.ask("ManagedCluster", "ordered").await;
    all_gone(world, "ordered").await;
    world
        .eventually("the management role's policy shrinks", async || {
            (!world.assumable().contains(&pattern(world, "ordered"))).then_some(())
        })
        .await;
    let calls = world.stage.aws.log().since(mark);
    // Others are removed at the same time.
    let of_it = world.calls("ordered", mark);
    let at = |operation: &str| {
        of_it
            .iter()
            .rposition(|call| call.operation == operation && call.error().is_none())
    };
    let policy = calls.iter().rposition(|call| {
        ["PutRolePolicy", "DeleteRolePolicy"].contains(&call.operation.as_str()) && call.account.starts_with("1111")
    });
    assert!(at("DeleteAccessEntry") < at("DeleteRole"));
    assert!(policy.is_some());
}

/// What was never made whole is taken away all the same.
async fn half_made(world: &World) {
    let faults = world.stage.aws.faults();
    let fault = Fault::on("CreateAccessEntry", Effect::AccessDenied).in_account("777777777777");
    let stop = faults.add(fault.first(1)).unwrap();
    world.moor("half-made", json!({})).await;
    world.until_reason("ManagedCluster", "half-made", "AccessDenied").await;
    assert!(world.seen_role("half-made").is_some());
    world.delete("ManagedCluster", "half-made").await;
    all_gone(world, "half-made").await;
    faults.remove(stop);
    assert_eq!(
        world.writes("half-made", 0),
        ["CreateRole", "CreateAccessEntry", "DeleteRole"]
    );
}

/// What was deleted and that AWS still shows is waited for, and not deleted again.
async fn late(world: &World) {
    world.moored("late").await;
    let faults = world.stage.aws.faults();
    let stale = ["GetRole", "ListRolePolicies", "ListAttachedRolePolicies"].map(|operation| {
        let fault = Fault::on(operation, Effect::Stale).in_account("888888888888");
        faults.add(fault).unwrap()
    });
    let mark = world.mark();
    world.delete("ManagedCluster", "late").await;
    world.until_reason("ManagedCluster", "late", "Propagating").await;
    assert_eq!(world.seen_role("late"), None);
    for fault in stale {
        faults.remove(fault);
    }
    all_gone(world, "late").await;
    assert_eq!(world.writes("late", mark), ["DeleteAccessEntry", "DeleteRole"]);
}

/// An access entry that was made right before does not show for a while, and is not left behind for that.
async fn unshown(world: &World) {
    let faults = world.stage.aws.faults();
    let fault = |operation: &str, effect| Fault::on(operation, effect).in_account("121212121212");
    let stop = faults
        .add(fault("AssociateAccessPolicy", Effect::AccessDenied))
        .unwrap();
    world.moor("unshown", json!({})).await;
    world.until_reason("ManagedCluster", "unshown", "AccessDenied").await;
    faults.remove(stop);
    let absent = Effect::Error {
        status: 404,
        code: "ResourceNotFoundException",
        message: "The specified principalArn could not be found.".to_owned(),
    };
    let hidden = faults.add(fault("DescribeAccessEntry", absent).first(2)).unwrap();
    world.delete("ManagedCluster", "unshown").await;
    all_gone(world, "unshown").await;
    assert_eq!(faults.struck(hidden), 2);
    faults.remove(hidden);
    assert_eq!(world.seen_entry("unshown"), None);
}

/// A look that fails is no look that found nothing: the role would be left without anybody who knows of it.
async fn unread(world: &World) {
    world.moored("unread").await;
    let faults = world.stage.aws.faults();
    let fault = Fault::on("ListAttachedRolePolicies", Effect::AccessDenied).in_account("999999999999");
    let denied = faults.add(fault).unwrap();
    world.delete("ManagedCluster", "unread").await;
    let told = world.until_reason("ManagedCluster", "unread", "AccessDenied").await;
    let says = message(&told);
    assert!(says.contains("iam:ListAttachedRolePolicies"), "{says}");
    assert!(world.seen_entry("unread").is_some() && world.seen_role("unread").is_some());
    faults.remove(denied);
    world.ask("ManagedCluster", "unread").await;
    all_gone(world, "unread").await;
    assert_eq!(world.seen_entry("unread"), None);
}

async fn missing(world: &World) {
    world.moored("no-role").await;
    world.role("no-role", "DeleteRole", json!({}));
    world.delete("ManagedCluster", "no-role").await;
    all_gone(world, "no-role").await;
    assert_eq!(world.seen_entry("no-role"), None);

    world.moored("no-cluster").await;
    let spec = world.cluster("no-cluster").clone();
    world
        .stage
        .aws
        .remove_cluster(&spec.account, &spec.region, "no-cluster")
        .unwrap();
    world.delete("ManagedCluster", "no-cluster").await;
    all_gone(world, "no-cluster").await;
}

/// A policy that somebody put on our role is named, and nothing is deleted over it.
async fn foreign(world: &World) {
    world.moored("foreign").await;
    let policy =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]});
    world.role(
        "foreign",
        "PutRolePolicy",
        json!({"PolicyName": "theirs", "PolicyDocument": policy.to_string()}),
    );
    world.delete("ManagedCluster", "foreign").await;
    let told = world
        .until_reason("ManagedCluster", "foreign", "ForeignPolicyAttached")
        .await;
    assert!(message(&told).contains("--policy-name theirs`"), "{}", message(&told));
    assert!(world.seen_role("foreign").is_some());
    world.role("foreign", "DeleteRolePolicy", json!({"PolicyName": "theirs"}));
    world.ask("ManagedCluster", "foreign").await;
    all_gone(world, "foreign").await;
}

/// A role whose boundary and tags were taken off by hand is still ours to delete.
async fn drifted(world: &World) {
    world.moored("drifted").await;
    let tags: Vec<String> = world.seen_role("drifted").unwrap().tags.into_keys().collect();
    world.role("drifted", "DeleteRolePermissionsBoundary", json!({}));
    world.role("drifted", "UntagRole", json!({"TagKeys": tags}));
    world.delete("ManagedCluster", "drifted").await;
    all_gone(world, "drifted").await;
    assert_eq!(world.seen_entry("drifted"), None);
}

/// An account that cannot be entered any more is never abandoned by itself.
async fn shut(world: &World) {
    world.moored("shut").await;
    let provisioner = json!({"RoleName": "mooring-provisioner"});
    let role = world.iam("444444444444", "GetRole", provisioner);
    let trust = crate::support::hands::document(&role["Role"]["AssumeRolePolicyDocument"]);
    let change = |document: &str| {
        let input = json!({"RoleName": "mooring-provisioner", "PolicyDocument": document});
        world.iam("444444444444", "UpdateAssumeRolePolicy", input);
    };
    change(&loose_trust("444444444444"));
    // A session that is already there would still do.
    world.end_operator(Signal::Kill).await;
    world.start_operator().await;
    world.delete("ManagedCluster", "shut").await;
    let told = world
        .until("ManagedCluster", "shut", |object| {
            message(object).contains("cannot be entered to remove the rest")
        })
        .await;
    assert!(
        message(&told)
            .contains(r#"`kubectl patch mgc shut --type merge -p '{"spec":{"deletion":{"policy":"Retain"}}}'`"#),
        "{}",
        message(&told)
    );
    assert!(message(&told).contains("sts:AssumeRole"), "{}", message(&told));
    assert!(
        world.secret("shut").await.is_none(),
        "nothing may deploy there any more"
    );
    assert!(world.seen_role("shut").is_some() && world.seen_entry("shut").is_some());
    assert!(world.assumable().contains(&pattern(world, "shut")));
    change(&trust.to_string());
    world.ask("ManagedCluster", "shut").await;
    all_gone(world, "shut").await;
    assert_eq!(world.seen_entry("shut"), None);
}

/// `Retain` keeps role and entry, and so the management role and its way there.
async fn retained(world: &World) {
    world.moor("retained", json!({"deletion": {"policy": "Retain"}})).await;
    world.is_ready("ManagedCluster", "retained").await;
    let (role, entry, mark) = (world.seen_role("retained"), world.seen_entry("retained"), world.mark());
    world.delete("ManagedCluster", "retained").await;
    world.until_gone("ManagedCluster", "retained").await;
    assert!(world.secret("retained").await.is_none());
    assert_eq!(
        (world.seen_role("retained"), world.seen_entry("retained")),
        (role, entry)
    );
    assert_eq!(world.writes("retained", mark), Vec::<String>::new());
    world.moor("disowned", json!({"deletion": {"policy": "Retain"}})).await;
    world.is_ready("ManagedCluster", "disowned").await;
    world.delete("ManagedCluster", "disowned").await;
    world.until_gone("ManagedCluster", "disowned").await;
    let (arn, disowned) = (
        world.deployer("retained").to_string(),
        world.deployer("disowned").to_string(),
    );
    let events = world.events("retained").await;
    let kept = |event: &&String| event.starts_with("Removed: done: delete cluster Secret ") && event.contains(&arn);
    assert!(events.iter().any(|event| kept(&event)), "{events:?}");
    let management = world.get("ManagementRole", "default").await.unwrap();
    assert_eq!(management["status"]["retained"], json!([disowned, arn]));
    world.whole_pass("ManagementRole", "default").await;
    assert!(world.assumable().contains(&pattern(world, "retained")));

    // The management role outlives what trusts it.
    world.delete("ManagementRole", "default").await;
    let told = world
        .until_reason("ManagementRole", "default", "RetainedDeployers")
        .await;
    for kept in [&arn, &disowned] {
        assert!(message(&told).contains(kept), "{}", message(&told));
    }
    // One that trusts it no more does not hold it.
    let theirs = json!({"PolicyDocument": loose_trust("222222222222")});
    world.role("disowned", "UpdateAssumeRolePolicy", theirs);
    world.ask("ManagementRole", "default").await;
    world
        .until("ManagementRole", "default", |object| {
            message(object).contains(&arn) && !message(object).contains(&disowned)
        })
        .await;
    let management = world.hub().management_role_arn(None);
    let seen = || world.seen_role_named(management.account.as_str(), management.name.as_str());
    assert!(seen().is_some());
    world.role("retained", "DeleteRole", json!({}));
    world.ask("ManagementRole", "default").await;
    world.until_gone("ManagementRole", "default").await;
    assert_eq!(seen(), None);
    assert!(world.seen_role("disowned").is_some(), "it is somebody's still");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_management_role_waits_for_its_clusters_and_an_object_gone_bad_blocks_nothing() {
    let world = World::ready(spokes()).await;
    world.moored("ordered").await;
    let named = json!({"access": {"deployerRole": {"name": OF_ITS_OWN}}});
    world.moor("garbled", named).await;
    world.is_ready("ManagedCluster", "garbled").await;
    let deployer = mooring::domain::arn::RoleArn {
        name: OF_ITS_OWN.parse().unwrap(),
        ..world.deployer("garbled")
    };
    let stands = || {
        let role = world.seen_role_named(deployer.account.as_str(), OF_ITS_OWN);
        (role.is_some(), world.seen_entry_of("garbled", &deployer).is_some())
    };
    assert_eq!(stands(), (true, true));
    let (garbled, kept) = (pattern(&world, "garbled"), pattern(&world, "ordered"));
    world.end_operator(Signal::Terminate).await;

    // Stored by a release whose definition knew other rules: an object that this one cannot read.
    definition(
        &world,
        ("ManagedCluster", "garbled"),
        &json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
    )
    .await;
    world
        .patch(
            "ManagedCluster",
            "garbled",
            json!({"spec": {"access": "everything", "deletion": {"policy": "KeepEntry"}}}),
        )
        .await;
    world.start_operator().await;
    let recorded = world.get("ManagedCluster", "garbled").await.unwrap()["status"]["deployerRole"].clone();
    let told = world
        .until("ManagedCluster", "garbled", |object| ready(object).1 == "InvalidSpec")
        .await;
    assert!(recorded["id"].is_string());
    assert_eq!(
        told["status"]["deployerRole"], recorded,
        "what makes the role ours is not forgotten"
    );
    // Nobody knows what it needs, so nothing is taken from the management role while it is there.
    world.delete("ManagedCluster", "ordered").await;
    all_gone(&world, "ordered").await;
    world.whole_pass("ManagementRole", "default").await;
    assert!(world.assumable().contains(&garbled) && world.assumable().contains(&kept));
    // The management role waits for whoever names it, and for whoever may.
    world.delete("ManagementRole", "default").await;
    let told = world.until_reason("ManagementRole", "default", "ClustersRemain").await;
    let says = "this ManagementRole is being removed, and waits: ManagedCluster garbled cannot be read";
    assert!(message(&told).starts_with(says), "{}", message(&told));
    assert_eq!(condition(&told, "Stalled").unwrap().1, "ClustersRemain");
    // What its service accounts lacked is nobody's to mend now.
    let bound = |object: &Value| condition(object, "ServiceAccountsBound").map(|(_, reason, _)| reason);
    world
        .until("ManagementRole", "default", |object| {
            bound(object).is_some_and(|reason| reason == "NotLookedAt")
        })
        .await;
    // What a removal keeps, nobody can read: nothing is removed by a guess.
    world.delete("ManagedCluster", "garbled").await;
    let told = world
        .until("ManagedCluster", "garbled", |object| {
            message(object).contains("spec.deletion.policy is \"KeepEntry\"")
        })
        .await;
    assert!(message(&told).contains("set spec.deletion.policy to Delete or to Retain"));
    assert!(world.secret("garbled").await.is_some());
    assert_eq!(stands(), (true, true));
    keeps_nothing_unlisted(&world).await;
    assert!(world.secret("garbled").await.is_some());
    assert_eq!(stands(), (true, true));
    // The role that the spec does not name any more is the one that was recorded.
    let delete = json!({"spec": {"deletion": {"policy": "Delete"}}});
    world.patch("ManagedCluster", "garbled", delete).await;
    all_gone(&world, "garbled").await;
    assert_eq!(stands(), (false, false));
    world.until_gone("ManagementRole", "default").await;
    let management = world.hub().management_role_arn(None);
    assert_eq!(
        world.seen_role_named(management.account.as_str(), management.name.as_str()),
        None
    );
    let provider = world
        .hub()
        .oidc_provider(&world.stage.fleet.hub.issuer())
        .unwrap()
        .to_string();
    let input = json!({"OpenIDConnectProviderArn": provider});
    world.iam("111111111111", "GetOpenIDConnectProvider", input);
    world.never_denied();
    assert!(
        world
            .get("ManagementRole", "default")
            .await
            .is_none_or(|object| !is_ready(&object))
    );
}

/// Nobody would keep the management role from going, on which a role that is kept stands.
async fn keeps_nothing_unlisted(world: &World) {
    let retain = json!({"spec": {"deletion": {"policy": "Retain"}}});
    world.patch("ManagedCluster", "garbled", retain).await;
    let told = world
        .until("ManagedCluster", "garbled", |object| {
            message(object).contains("as spec.deletion.policy Retain says")
        })
        .await;
    for says in [
        "spec.access: ",
        "kubectl edit mgc garbled",
        r#"deleted, `kubectl patch mgc garbled --type merge -p '{"spec":{"deletion":{"policy":"Delete"}}}'`"#,
    ] {
        assert!(message(&told).contains(says), "{says}: {}", message(&told));
    }
    assert!(condition(&told, "Stalled").is_some(), "a person has to act");
}

/// Puts another schema in the place of the one for objects of this kind, `name` being one of them.
pub(crate) async fn definition(world: &World, (kind, name): (&str, &str), schema: &Value) {
    let gvk = kube::core::GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let resource = kube::core::ApiResource::from_gvk(&gvk);
    let api: Api<DynamicObject> = Api::all_with(world.stage.client().unwrap(), &resource);
    let definition = format!("{}s.mooring.dev", kind.to_lowercase());
    let mut found = api.get(&definition).await.unwrap();
    let version = &mut found.data["spec"]["versions"][0];
    version["schema"]["openAPIV3Schema"] = schema.clone();
    version.as_object_mut().unwrap().remove("selectableFields");
    api.replace(&definition, &PostParams::default(), &found).await.unwrap();
    world
        .eventually("the other definition is served", async || {
            let patch = json!({"spec": {"unknown": "kept"}});
            world.patch(kind, name, patch).await;
            let object = world.get(kind, name).await?;
            (object["spec"]["unknown"] == "kept").then_some(())
        })
        .await;
}
