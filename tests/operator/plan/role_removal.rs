//! The removal of a `ManagementRole`: what it waits for, and what is taken away then.

use serde_json::{Value, json};

use super::{Planner, Said, calls};
use crate::support::{HUB_ACCOUNT, NAMESPACE, Setting, World, condition, message};

const OBJECT: &str = "ManagementRole default";

/// What is taken away, in order.
const STEPS: [&str; 3] = ["ReleaseServiceAccount", "DeletePolicy", "DeleteRole"];

fn waits(said: &Said) -> Vec<String> {
    let waits = said.objects[OBJECT]["waitsFor"].as_array().unwrap();
    waits.iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

/// The object once its removal waits for this, and that the plan says the same, and what is taken away after it.
async fn waiting(planner: &Planner, reason: &str, steps: &[&str]) -> Said {
    let object = planner.world.until_reason("ManagementRole", "default", reason).await;
    let told = message(&object);
    let said = planner.plan(&["--all"], &[]).await;
    assert_eq!(said.code, 2, "{}", said.text);
    assert!(
        waits(&said)
            .iter()
            .any(|wait| told == format!("this ManagementRole is being removed, and waits: {wait}")),
        "{told}\n{}",
        said.text
    );
    assert_eq!(said.steps(OBJECT), steps, "{}", said.text);
    said
}

async fn bound(world: &World) {
    let metadata = json!({"name": "argocd-server", "namespace": NAMESPACE});
    world
        .apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}))
        .await;
    world
        .eventually("the service account is bound", async || {
            let object = world.get("ManagementRole", "default").await?;
            let (_, _, told) = condition(&object, "ServiceAccountsBound")?;
            told.contains("argocd-application-controller").then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_tells_what_the_removal_of_a_management_role_waits_for_and_then_takes_away() {
    let planner = Planner::new(Setting::of(&[
        "222222222222/eu-west-1/kept",
        "333333333333/eu-west-1/gone",
    ]))
    .await;
    let world = &planner.world;
    world.apply(&world.setting.management).await;
    world.is_ready("ManagementRole", "default").await;
    world.moored("gone").await;
    world.moor("kept", json!({"deletion": {"policy": "Retain"}})).await;
    world.is_ready("ManagedCluster", "kept").await;
    bound(world).await;
    let role = world.hub().management_role_arn(None);
    let config = json!({"awsAuthConfig": {"clusterName": "theirs", "roleARN": role.to_string()}}).to_string();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": "by-hand", "namespace": NAMESPACE, "labels": {"argocd.argoproj.io/secret-type": "cluster"}},
        "stringData": {"name": "theirs", "server": "https://theirs.example.com", "config": config},
    });
    world.apply(&secret).await;
    let policies = |operation: &str, mut input: Value| {
        input["RoleName"] = json!(role.name.as_str());
        input["PolicyName"] = json!("theirs");
        world.iam(HUB_ACCOUNT, operation, input);
    };
    let nothing = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]});
    policies("PutRolePolicy", json!({"PolicyDocument": nothing.to_string()}));

    // Before it is deleted, and what the hub has of it is as it was.
    let said = planner.plan(&["--removal", "mgr/default"], &[]).await;
    assert_eq!((said.code, said.objects.len()), (2, 1), "{}", said.text);
    let told = waits(&said).join("\n");
    for part in [
        "ManagedClusters gone, kept still name it",
        "(by-hand)",
        "--policy-name theirs",
    ] {
        assert!(told.contains(part), "{part}: {}", said.text);
    }
    // A foreign policy keeps the role from going.
    assert_eq!(said.steps(OBJECT), STEPS[..1], "{}", said.text);
    let both = planner.plan(&["--removal", "mgr/default,gone"], &[]).await;
    let told = waits(&both).join("\n");
    assert!(
        told.contains("ManagedCluster kept still names it")
            && told.contains("ManagedCluster gone is being removed as well"),
        "{}",
        both.text
    );
    let nobody = planner.plan(&["--removal", "mgr/nobody"], &[]).await;
    assert_eq!(nobody.code, 3, "{}", nobody.text);
    assert!(
        nobody.text.contains("there is no ManagementRole nobody"),
        "{}",
        nobody.text
    );
    let object = world.get("ManagementRole", "default").await.unwrap();
    assert_eq!(object["metadata"]["deletionTimestamp"], Value::Null);

    // As it is told while it waits, one thing after another.
    world.delete("ManagementRole", "default").await;
    waiting(&planner, "ClustersRemain", &STEPS[..1]).await;
    for name in ["gone", "kept"] {
        world.delete("ManagedCluster", name).await;
        world.until_gone("ManagedCluster", name).await;
    }
    waiting(&planner, "SecretsRemain", &STEPS[..1]).await;
    let secrets = world.secrets();
    secrets
        .delete("by-hand", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    waiting(&planner, "RetainedDeployers", &STEPS[..1]).await;
    world.role("kept", "DeleteRole", json!({}));
    world.ask("ManagementRole", "default").await;
    // While the role stays, pods go on with it.
    waiting(&planner, "ForeignPolicyAttached", &STEPS[..1]).await;

    let pause = |value: Value| json!({"metadata": {"annotations": {"mooring.dev/paused": value}}});
    world.patch("ManagementRole", "default", pause(json!("true"))).await;
    world.until_reason("ManagementRole", "default", "Paused").await;
    policies("DeleteRolePolicy", json!({}));
    let said = planner.plan(&["--all"], &[]).await;
    assert_eq!((said.code, waits(&said).len()), (2, 0), "{}", said.text);
    let steps = said.steps(OBJECT);
    assert_eq!(steps, STEPS, "{}", said.text);
    let notes = said.objects[OBJECT]["notes"].to_string();
    assert!(notes.contains("mooring.dev/paused"), "{}", said.text);
    let lost = said.change(OBJECT, "DeleteRole")["lost"].to_string();
    assert!(lost.contains(&role.to_string()), "{}", said.text);
    let mark = world.mark();
    world.patch("ManagementRole", "default", pause(Value::Null)).await;
    world.until_gone("ManagementRole", "default").await;
    assert_eq!(world.writes("default", mark), calls(&steps[1..]));
    planner.wrote_nothing().await;
}
