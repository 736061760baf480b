//! Standing back: an operator that writes nothing, and objects for which it writes nothing.

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use mooring_sandbox::{control_plane::AuditedCall, stage, stage::Signal};
use serde_json::{Value, json};

use crate::{
    kill::get,
    support::{
        HUB_ACCOUNT, NAMESPACE, Setting, World, condition,
        hands::loose_trust,
        manifest::{EDIT, managed_cluster},
        message,
    },
};

/// Sets the mode of a cluster.
async fn mode(world: &World, name: &str, mode: &str) {
    world
        .patch("ManagedCluster", name, json!({"spec": {"mode": mode}}))
        .await;
}

fn steps(object: &Value) -> Vec<String> {
    let steps = object["status"]["plan"]["steps"].as_array().into_iter().flatten();
    steps.map(|step| step.as_str().unwrap().to_owned()).collect()
}

/// What the operator wrote to Kubernetes besides what it has to say, and besides its own Lease.
fn beside_telling(writes: &[AuditedCall]) -> Vec<String> {
    let telling = |call: &&AuditedCall| {
        call.resource.ends_with("/status") || ["events", "leases"].contains(&call.resource.as_str())
    };
    let beside = writes.iter().filter(|call| !telling(call));
    beside
        .map(|call| format!("{} {} {}", call.verb, call.resource, call.name))
        .collect()
}

/// The plans that were logged for an object, in order.
fn plans(world: &World, object: &str) -> Vec<Value> {
    let log = world.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let fields = lines.map(|line| {
        if line["fields"].is_object() {
            line["fields"].clone()
        } else {
            line
        }
    });
    let planned = fields.filter(|fields| fields["object"] == object && fields["plan"].is_string());
    planned
        .map(|fields| serde_json::from_str(fields["plan"].as_str().unwrap()).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn observe_writes_nothing_and_tells_what_enforce_then_does() {
    let world = World::ready(Setting::of(&[
        "222222222222/eu-west-1/unmade",
        "333333333333/eu-west-1/standing",
        "333333333333/eu-west-1/shared",
        "444444444444/eu-west-1/let-go",
    ]))
    .await;
    unmade(&world).await;
    tokio::join!(standing(&world), shared(&world), let_go(&world));
    world.never_denied();
}

/// The first cluster of its account: not even the management role's policy grows for it.
async fn unmade(world: &World) {
    let audit = world.audit_mark().await;
    world.moor("unmade", json!({"mode": "Observe"})).await;
    let told = world.until_reason("ManagedCluster", "unmade", "Observe").await;
    let deployer = world.deployer("unmade").to_string();
    let first = [
        format!("let the management role assume {deployer}"),
        format!("create role {deployer}"),
        format!("create the access entry of {deployer}"),
        "associate AmazonEKSClusterAdminPolicy in the whole cluster".to_owned(),
    ];
    let steps = steps(&told);
    assert_eq!(steps[..4], first, "{steps:?}");
    assert!(steps[4].starts_with("create cluster Secret cluster-"), "{steps:?}");
    assert_eq!(steps.len(), 5, "{steps:?}");
    assert!(
        message(&told).contains("spec.mode is Observe, so this is not done: let"),
        "{}",
        message(&told)
    );
    assert_eq!(condition(&told, "ClusterReady").unwrap().0, "True");
    assert_eq!(condition(&told, "DeployerRoleReady").unwrap().1, "Observe");
    assert_eq!(condition(&told, "Stalled"), None);
    assert!(told["metadata"]["finalizers"].is_null());
    assert!(told["status"]["cluster"]["endpoint"].is_string(), "it was looked at");
    world.whole_pass("ManagedCluster", "unmade").await;
    world.whole_pass("ManagementRole", "default").await;
    assert_eq!(world.writes("unmade", 0), Vec::<String>::new());
    assert!(world.assumable().is_empty(), "{:?}", world.assumable());
    let writes = world.kubernetes_writes(audit).await;
    assert_eq!(beside_telling(&writes), Vec::<String>::new());

    let observed = plans(world, "unmade").pop().unwrap();
    mode(world, "unmade", "Enforce").await;
    let made = world.until_reason("ManagedCluster", "unmade", "Moored").await;
    assert!(made["status"]["plan"].is_null(), "the plan goes with the mode");
    let enforced = plans(world, "unmade");
    assert!(enforced.contains(&observed), "{observed:#} is not among {enforced:#?}");
    assert!(world.assumable().len() == 1 && world.secret("unmade").await.is_some());
}

/// What was made before the mode became Observe stays as it is, whatever becomes of it and of the spec.
async fn standing(world: &World) {
    world.moored("standing").await;
    mode(world, "standing", "Observe").await;
    let told = world.until_reason("ManagedCluster", "standing", "Observe").await;
    assert!(stage::is_ready(&told), "nothing is to be done: {}", message(&told));
    assert_eq!(told["status"]["plan"], json!({"steps": []}));
    let (mark, entry) = (world.mark(), world.seen_entry("standing"));
    let loose = json!({"PolicyDocument": loose_trust(HUB_ACCOUNT)});
    world.role("standing", "UpdateAssumeRolePolicy", loose);
    let edit = json!({"spec": {"access": {"policies": [{"name": EDIT}]}, "argocd": {"labels": {"env": "prod"}}}});
    world.patch("ManagedCluster", "standing", edit).await;
    let told = world
        .until("ManagedCluster", "standing", |object| steps(object).len() == 4)
        .await;
    let words = steps(&told);
    assert!(
        words[0].starts_with("restore the trust policy of standing-"),
        "{words:?}"
    );
    let open = "(found open to whomever account 111111111111 lets assume it): add statement ManagementRole";
    assert!(words[0].contains(open), "{words:?}");
    assert_eq!(
        words[1..3],
        [
            "associate AmazonEKSEditPolicy in the whole cluster",
            "take away AmazonEKSClusterAdminPolicy, associated in the whole cluster"
        ]
    );
    assert!(words[3].starts_with("write cluster Secret "), "{words:?}");
    assert_eq!(stage::ready(&told), ("False".to_owned(), "Observe".to_owned()));

    // Its removal is not carried out either, and says what to do.
    world.delete("ManagedCluster", "standing").await;
    let told = world
        .until("ManagedCluster", "standing", |object| {
            message(object).contains("spec.mode is Observe: run `kubectl patch mgc standing --type merge -p")
        })
        .await;
    assert_eq!(stage::ready(&told).1, "Observe");
    let secret = world.secret("standing").await.unwrap().metadata.name.unwrap();
    let left = [
        format!("delete cluster Secret {secret}"),
        "delete the access entry".to_owned(),
        format!("delete role {}", world.deployer("standing").name),
    ];
    assert_eq!(steps(&told), left);
    assert_eq!(world.writes("standing", mark), Vec::<String>::new());
    assert_eq!(world.seen_entry("standing"), entry);
    assert!(world.secret("standing").await.is_some() && world.seen_role("standing").is_some());
    mode(world, "standing", "Enforce").await;
    world.until_gone("ManagedCluster", "standing").await;
    assert_eq!(
        (world.seen_role("standing"), world.seen_entry("standing")),
        (None, None)
    );
}

/// An object that only looks keeps no other from the same cluster.
async fn shared(world: &World) {
    world.moor("shared", json!({"mode": "Observe"})).await;
    world.until_reason("ManagedCluster", "shared", "Observe").await;
    let mut other = managed_cluster(world.cluster("shared"), json!({"clusterName": "shared"}));
    other["metadata"]["name"] = json!("shared-too");
    world.apply(&other).await;
    world.until_reason("ManagedCluster", "shared-too", "Moored").await;
    world.ask("ManagedCluster", "shared").await;
    let told = world
        .until("ManagedCluster", "shared", |object| {
            condition(object, "DeployerRoleReady").is_some_and(|told| told.1 == "RoleNotOurs")
        })
        .await;
    assert!(
        told["status"]["plan"]["blocked"][0]
            .as_str()
            .unwrap()
            .contains("shared-too"),
        "{:#}",
        told["status"]["plan"]
    );
    assert_eq!(world.writes("shared", 0), Vec::<String>::new());
}

/// Nothing was made for it, so nothing holds it.
async fn let_go(world: &World) {
    world.moor("let-go", json!({"mode": "Observe"})).await;
    world.until_reason("ManagedCluster", "let-go", "Observe").await;
    world.delete("ManagedCluster", "let-go").await;
    world.until_gone("ManagedCluster", "let-go").await;
    assert_eq!(world.writes("let-go", 0), Vec::<String>::new());
}

fn accounts(world: &World) -> Api<ServiceAccount> {
    Api::namespaced(world.stage.client().unwrap(), NAMESPACE)
}

/// The role that Argo CD's server is bound to.
async fn bound(world: &World) -> Option<String> {
    let annotations = accounts(world)
        .get("argocd-server")
        .await
        .unwrap()
        .metadata
        .annotations?;
    annotations.get("eks.amazonaws.com/role-arn").cloned()
}

/// Leaves something to be mended, something to be made, and something to be removed.
async fn undone(world: &World) {
    let mut loose = json!({"PolicyDocument": loose_trust(HUB_ACCOUNT)});
    world.role("kept", "UpdateAssumeRolePolicy", loose.clone());
    loose["RoleName"] = json!(world.hub().management_role_arn(None).name.as_str());
    world.iam(HUB_ACCOUNT, "UpdateAssumeRolePolicy", loose);
    world.delete("ManagedCluster", "going").await;
    world.moor("new", json!({})).await;
    let unbind = Patch::Merge(json!({"metadata": {"annotations": {"eks.amazonaws.com/role-arn": null}}}));
    let accounts = accounts(world);
    accounts
        .patch("argocd-server", &PatchParams::default(), &unbind)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_operator_tells_everything_and_writes_nothing() {
    let mut world = World::ready(Setting::of(&[
        "222222222222/eu-west-1/kept",
        "222222222222/eu-west-1/going",
        "333333333333/eu-west-1/new",
    ]))
    .await;
    world.moored("kept").await;
    world.moored("going").await;
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "argocd-server", "namespace": NAMESPACE}});
    world.apply(&account).await;
    world
        .eventually("the service account to be bound", async || bound(&world).await)
        .await;
    world.end_operator(Signal::Terminate).await;
    undone(&world).await;

    let (mark, audit) = (world.mark(), world.audit_mark().await);
    world.setting.flags.push("--read-only".to_owned());
    world.start_operator().await;
    let told = world.until_reason("ManagedCluster", "kept", "ReadOnly").await;
    assert!(
        message(&told)
            .starts_with("the operator runs with --read-only, so this is not done: restore the trust policy of kept-"),
        "{}",
        message(&told)
    );
    let told = world.until_reason("ManagedCluster", "new", "ReadOnly").await;
    for words in [
        "let the management role assume ",
        "create role ",
        "create cluster Secret ",
    ] {
        assert!(message(&told).contains(words), "{}", message(&told));
    }
    let told = world
        .until("ManagedCluster", "going", |object| {
            message(object).contains("--read-only: start the operator without --read-only")
        })
        .await;
    assert_eq!(stage::ready(&told).1, "ReadOnly");
    assert!(message(&told).contains("delete role going-"), "{}", message(&told));
    let told = world.until_reason("ManagementRole", "default", "ReadOnly").await;
    assert!(
        message(&told).contains("restore the trust policy of management-default"),
        "{}",
        message(&told)
    );
    let told = world
        .until("ManagementRole", "default", |object| {
            condition(object, "ServiceAccountsBound").is_some_and(|told| told.1 == "ReadOnly")
        })
        .await;
    let words = condition(&told, "ServiceAccountsBound").unwrap().2;
    assert!(words.contains("argocd-server"), "{words}");
    for name in ["kept", "new"] {
        world.whole_pass("ManagedCluster", name).await;
    }

    let written: Vec<String> = (world.stage.aws.log().since(mark).into_iter())
        .filter(|call| call.write)
        .map(|call| format!("{} {:?}", call.operation, call.input))
        .collect();
    assert_eq!(written, Vec::<String>::new());
    let writes = world.kubernetes_writes(audit).await;
    assert_eq!(beside_telling(&writes), Vec::<String>::new());
    assert!(writes.iter().any(|call| call.resource == "managedclusters/status"));
    let served = |path: &str| get(&world, path).unwrap().1;
    assert!(served("/metrics").contains("mooring_read_only 1"));
    assert!(served("/readyz").contains("read-only: nothing is written but status and events"));
    assert!(world.log().contains("nothing is written but status and events"));

    world.end_operator(Signal::Terminate).await;
    world.setting.flags.pop();
    world.start_operator().await;
    world.until_gone("ManagedCluster", "going").await;
    for name in ["kept", "new"] {
        world.until_reason("ManagedCluster", name, "Moored").await;
    }
    world.until_reason("ManagementRole", "default", "Ready").await;
    world
        .eventually("the service account to be bound again", async || bound(&world).await)
        .await;
    world.never_denied();
}
