//! The operator may end before and after every write to Kubernetes: each is held up by an admission policy, and then
//! the process is killed.

use mooring_sandbox::{control_plane::AuditMark, stage::Signal};
use serde_json::{Value, json};

use crate::{
    keeping::{remade, tells_of_the_server},
    support::{
        Setting, World,
        bootstrap::{OPERATOR_NAMESPACE, OPERATOR_SERVICE_ACCOUNT},
        manifest::VIEW,
    },
};

/// One kind of write that the operator makes for one object.
#[derive(Clone, Copy)]
struct Point {
    object: &'static str,
    group: &'static str,
    resource: &'static str,
    operation: &'static str,
    /// What tells the object apart, in CEL.
    is: &'static str,
}

impl Point {
    const fn own(object: &'static str, resource: &'static str) -> Self {
        Self {
            object,
            group: "mooring.dev",
            resource,
            operation: "UPDATE",
            is: "object.metadata.name",
        }
    }
}

const SECRET: &str = "object.metadata.annotations['mooring.dev/managed-cluster']";
const OLD_SECRET: &str = "oldObject.metadata.annotations['mooring.dev/managed-cluster']";

/// The writes of a creation in order: finalizer, Secret, status, event.
const CREATE: [Point; 4] = [
    Point::own("finalizer", "managedclusters"),
    Point {
        object: "secret",
        group: "",
        resource: "secrets",
        operation: "CREATE",
        is: SECRET,
    },
    Point::own("status", "managedclusters/status"),
    Point {
        object: "event",
        group: "events.k8s.io",
        resource: "events",
        operation: "CREATE",
        is: "object.regarding.name",
    },
];

/// The writes of a removal: Secret, status, finalizer.
const DELETE: [Point; 3] = [
    Point {
        object: "secret",
        group: "",
        resource: "secrets",
        operation: "DELETE",
        is: OLD_SECRET,
    },
    Point::own("status", "managedclusters/status"),
    Point::own("finalizer", "managedclusters"),
];

const MANAGEMENT: [Point; 2] = [
    Point::own("default", "managementroles"),
    Point::own("default", "managementroles/status"),
];

fn operator() -> String {
    format!("system:serviceaccount:{OPERATOR_NAMESPACE}:{OPERATOR_SERVICE_ACCOUNT}")
}

fn policies(number: usize, point: Point) -> [Value; 2] {
    let name = format!("held-{number}-{}", point.object);
    let expression = format!(
        "request.userInfo.username != '{}' || {} != '{}'",
        operator(),
        point.is,
        point.object
    );
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Ignore",
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [point.group], "apiVersions": ["*"], "operations": [point.operation],
                "resources": [point.resource],
            }]},
            "validations": [{"expression": expression, "message": "held", "reason": "Forbidden"}],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    });
    [policy, binding]
}

/// Holds the points up; every try of the operator is refused from then on.
async fn hold(world: &World, points: &[Point]) {
    for (number, point) in points.iter().enumerate() {
        for object in policies(number, *point) {
            world.apply(&object).await;
        }
    }
    // The API server takes up policies from a watch of its own.
    let probe = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe", "namespace": "default"}});
    let mut policy = policies(points.len(), CREATE[1]);
    let rule = &mut policy[0]["spec"]["matchConstraints"]["resourceRules"][0];
    rule["resources"] = json!(["configmaps"]);
    rule["operations"] = json!(["CREATE", "UPDATE"]);
    policy[0]["spec"]["validations"][0]["expression"] = json!("object.metadata.name != 'probe'");
    for object in policy {
        world.apply(&object).await;
    }
    world
        .eventually("the policies to be in force", async || {
            world.stage.hub.apply_yaml(&probe.to_string()).await.err().map(|_| ())
        })
        .await;
}

async fn let_go(world: &World, points: usize) {
    use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
    use kube::{
        Api,
        api::{DeleteParams, ListParams},
    };
    let client = world.stage.client().unwrap();
    let (delete, all) = (DeleteParams::default(), ListParams::default());
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client.clone());
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(client);
    assert_eq!(policies.list(&all).await.unwrap().items.len(), points + 1);
    bindings.delete_collection(&delete, &all).await.unwrap();
    policies.delete_collection(&delete, &all).await.unwrap();
    let probe = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe", "namespace": "default"}});
    world
        .eventually("the policies to be gone", async || {
            world.stage.hub.apply_yaml(&probe.to_string()).await.ok().map(|_| ())
        })
        .await;
    let maps: Api<k8s_openapi::api::core::v1::ConfigMap> = Api::namespaced(world.stage.client().unwrap(), "default");
    maps.delete("probe", &delete).await.unwrap();
}

/// Waits until the operator has run into each of the points, and kills it.
async fn killed_at(world: &World, points: &[Point], since: AuditMark) {
    world
        .eventually("every write to be held up", async || {
            let calls = world.stage.hub.calls_by(&operator(), since).await.unwrap();
            let struck = |point: &Point| {
                let refused = |call: &&mooring_sandbox::control_plane::AuditedCall| {
                    call.code == 403 && call.group == point.group && call.resource == point.resource
                };
                let named = |name: &str| point.group != "mooring.dev" || name == point.object;
                calls.iter().filter(refused).any(|call| named(&call.name))
            };
            points.iter().all(struck).then_some(())
        })
        .await;
    world.end_operator(Signal::Kill).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_write_to_kubernetes_it_ends_in_the_same_state() {
    let names = CREATE.map(|point| point.object);
    let spokes = names.map(|name| format!("222222222222/eu-west-1/{name}"));
    let spokes = spokes.each_ref().map(String::as_str);
    let world = World::start(Setting::of(&spokes).flag(&["--confirm-after", "2s"])).await;
    for (number, point) in MANAGEMENT.into_iter().enumerate() {
        let mark = world.audit_mark().await;
        hold(&world, &[point]).await;
        if number == 0 {
            world.apply(&world.setting.management.clone()).await;
        } else {
            world.start_operator().await;
        }
        killed_at(&world, &[point], mark).await;
        let_go(&world, 1).await;
    }
    world.start_operator().await;
    let object = world.is_ready("ManagementRole", "default").await;
    let role = world.hub().management_role_arn(None);
    let seen = world.seen_role_named("111111111111", role.name.as_str()).unwrap();
    assert_eq!(object["status"]["role"]["id"], json!(seen.id));

    let mark = world.audit_mark().await;
    hold(&world, &CREATE).await;
    for name in names {
        world
            .moor(name, json!({"access": {"policies": [{"name": VIEW}]}}))
            .await;
    }
    killed_at(&world, &CREATE, mark).await;
    let_go(&world, CREATE.len()).await;
    assert_eq!(
        world.seen_role("finalizer"),
        None,
        "nothing is made that nothing would take away"
    );
    assert!(world.secret("secret").await.is_none() && world.seen_entry("secret").is_some());
    assert!(world.secret("status").await.is_some());
    world.start_operator().await;
    for name in names {
        let object = world.is_ready("ManagedCluster", name).await;
        let (role, entry) = (world.seen_role(name).unwrap(), world.seen_entry(name).unwrap());
        assert_eq!(object["status"]["deployerRole"]["id"], json!(role.id), "{name}");
        assert_eq!(entry.tags["mooring.dev/role-id"], role.id, "{name}");
        assert!(world.secret(name).await.is_some(), "{name}");
        let mark = world.mark();
        world.whole_pass("ManagedCluster", name).await;
        assert_eq!(world.writes(name, mark), Vec::<String>::new(), "{name}");
    }

    // Another cluster under the name of one: what Argo CD is to be restarted for is recorded before the Secret has it.
    let (mark, status) = (world.audit_mark().await, CREATE[2]);
    hold(&world, &[status]).await;
    remade(&world, status.object);
    world.ask("ManagedCluster", status.object).await;
    killed_at(&world, &[status], mark).await;
    let_go(&world, 1).await;
    world.start_operator().await;
    world.until("ManagedCluster", status.object, tells_of_the_server).await;

    let mark = world.audit_mark().await;
    hold(&world, &DELETE).await;
    for name in names {
        world.delete("ManagedCluster", name).await;
    }
    killed_at(&world, &DELETE, mark).await;
    let_go(&world, DELETE.len()).await;
    world.start_operator().await;
    for name in names {
        world.until_gone("ManagedCluster", name).await;
        assert_eq!((world.seen_role(name), world.seen_entry(name)), (None, None), "{name}");
        assert!(world.secret(name).await.is_none(), "{name}");
    }
    world
        .eventually("nothing may be assumed", async || {
            world.assumable().is_empty().then_some(())
        })
        .await;
    world.never_denied();
}
