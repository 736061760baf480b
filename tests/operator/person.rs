//! The doctor as a person runs it, with a kubeconfig and AWS credentials of his own, and what walks cost.

use std::{
    collections::BTreeMap,
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mooring_sandbox::{aws::Call, control_plane::AuditMark, stage::Signal};
use serde_json::{Value, json};
use tokio::{net::TcpListener, process::Command};

use crate::{
    connected::{Hands, SPOKE, connected, world},
    support::{
        HUB_ACCOUNT, Setting, World, bootstrap::OPERATOR_NAMESPACE, condition, manifest::EDIT, secrets::tells_no_token,
    },
};

const PERSON: &str = "person";
const TWO: [&str; 2] = ["222222222222/eu-central-1/prod-eu", "333333333333/eu-west-1/prod-us"];

/// What may be done on the hub.
#[derive(Clone, Copy)]
enum Rights {
    /// Look at Mooring's own objects, as the verbs of kubectl's `view` are.
    View,
    /// Everything.
    Admin,
    /// Nothing.
    Nothing,
}

/// Lets the person do this and no more.
async fn may(world: &World, rights: Rights) {
    let rules = match rights {
        Rights::View => json!([{"apiGroups": ["mooring.dev"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]),
        Rights::Admin => json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]),
        Rights::Nothing => json!([]),
    };
    for object in [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": PERSON, "namespace": OPERATOR_NAMESPACE}}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": PERSON}, "rules": rules}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": PERSON},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": PERSON},
            "subjects": [{"kind": "ServiceAccount", "name": PERSON, "namespace": OPERATOR_NAMESPACE}]}),
    ] {
        world.apply(&object).await;
    }
}

struct Said {
    code: i32,
    table: String,
    progress: String,
}

/// Runs the doctor with the person's kubeconfig, and with these AWS credentials or none.
async fn doctor(world: &World, credentials: &BTreeMap<String, String>, arguments: &[&str]) -> Said {
    let lifetime = Duration::from_hours(1);
    let hub = &world.stage.hub;
    let kubeconfig = hub
        .kubeconfig_for_service_account(OPERATOR_NAMESPACE, PERSON, lifetime)
        .await
        .unwrap();
    let output: Output = Command::new(env!("CARGO_BIN_EXE_mooring"))
        .arg("doctor")
        .args(arguments)
        .env_clear()
        .envs(world.stage.aws.env())
        .envs(credentials)
        .env("KUBECONFIG", kubeconfig)
        .output()
        .await
        .unwrap();
    let (table, progress) = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8(bytes).unwrap())
        .into();
    tells_no_token(&format!("{table}{progress}"));
    Said {
        code: output.status.code().unwrap(),
        table,
        progress,
    }
}

/// The same, once RBAC has taken a change in: authorization is a moment behind what was written.
async fn doctor_ends(world: &World, code: i32, credentials: &BTreeMap<String, String>, arguments: &[&str]) -> Said {
    world
        .eventually(&format!("the doctor ends with {code}"), async || {
            let said = doctor(world, credentials, arguments).await;
            (said.code == code).then_some(said)
        })
        .await
}

/// The credentials of the hub's account, as `aws configure` gives them to a shell.
fn of_the_hub(world: &World) -> BTreeMap<String, String> {
    let root = world.stage.aws.root(HUB_ACCOUNT);
    let mut variables = BTreeMap::from([
        ("AWS_ACCESS_KEY_ID".to_owned(), root.access_key_id.clone()),
        ("AWS_SECRET_ACCESS_KEY".to_owned(), root.secret_access_key.clone()),
    ]);
    variables.extend(
        root.session_token
            .iter()
            .map(|token| ("AWS_SESSION_TOKEN".to_owned(), token.clone())),
    );
    variables
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_runs_with_what_a_person_has_and_says_what_it_could_not_look_at() {
    let mut setting = Setting::of(&TWO);
    setting.fleet = setting.fleet.with_servers();
    let world = World::ready(setting).await;
    world.with_verifier().await;
    for name in ["prod-eu", "prod-us"] {
        world.moored(name).await;
    }
    let nobody = BTreeMap::new();

    // Who may do all sees all, of all clusters or of one.
    may(&world, Rights::Admin).await;
    let hub = of_the_hub(&world);
    let said = doctor_ends(&world, 0, &hub, &[]).await;
    for name in ["prod-eu", "prod-us"] {
        let line = said.table.lines().find(|line| line.contains(name)).unwrap();
        assert!(line.contains("connected"), "{}", said.table);
    }
    assert!(
        said.progress.contains("1 of 2: ") && said.progress.contains("2 of 2: "),
        "{}",
        said.progress
    );
    assert!(!said.progress.contains("lease"), "{}", said.progress);
    let one = doctor(&world, &hub, &["prod-us"]).await;
    assert_eq!(one.code, 0, "{}", one.table);
    assert!(!one.table.contains("prod-eu"), "{}", one.table);

    // The hops need no credentials of the person's own: the token of Argo CD's service account is enough.
    let said = doctor(&world, &nobody, &[]).await;
    assert_eq!(said.code, 0, "{} {}", said.table, said.progress);

    // One of two is broken. What explains it needs AWS credentials, and that they are not there is said.
    world.entry("prod-us", "DeleteAccessEntry", json!({}));
    let said = doctor_ends(&world, 1, &nobody, &[]).await;
    for word in [
        "BROKEN",
        "prod-us",
        "Undetermined",
        "NoAccessEntry",
        "no AWS credentials",
    ] {
        assert!(said.table.contains(word), "{word}: {}", said.table);
    }
    let broken = said.table.lines().find(|line| line.contains("prod-eu")).unwrap();
    assert!(broken.contains("connected"), "{}", said.table);

    // Who may look at Mooring's own objects only: nothing of the chain can be walked, and nothing is called broken.
    may(&world, Rights::View).await;
    let said = doctor_ends(&world, 2, &nobody, &["prod-eu"]).await;
    for word in ["unknown", "serviceaccounts", "get and list secrets", "forbidden"] {
        assert!(said.table.contains(word), "{word}: {}", said.table);
    }
    let unseen = "whether an operator works, which would mend what it made, could not be looked at: ";
    assert!(said.progress.contains(unseen), "{}", said.progress);
    assert!(!said.table.contains("BROKEN"), "{}", said.table);

    // Who may not even do that is told so, and a name that is none is too.
    may(&world, Rights::Nothing).await;
    let said = doctor_ends(&world, 3, &nobody, &[]).await;
    assert!(said.progress.contains("managedclusters"), "{}", said.progress);
    may(&world, Rights::View).await;
    world
        .eventually("a name that is none is told", async || {
            let said = doctor(&world, &nobody, &["prod-ue"]).await;
            (said.code == 3 && said.progress.contains("prod-ue")).then_some(())
        })
        .await;

    // What Mooring would mend nobody mends while no operator works, whatever the hops say.
    may(&world, Rights::Admin).await;
    world.end_operator(Signal::Terminate).await;
    let said = doctor_ends(&world, 0, &hub, &["prod-eu"]).await;
    let line = said.progress.lines().last().unwrap();
    assert!(line.contains("nobody has held the operator's lease since 20"), "{line}");
}

/// How many walks there were, how many sessions they took at AWS, and how many requests at the cluster.
async fn cost(world: &World, mark: u64, audit: AuditMark) -> (usize, usize, usize) {
    let walks = |call: &&Call| {
        let into = call.text("RoleArn").is_some_and(|arn| arn.contains("prod-eu"));
        call.operation == "AssumeRole" && into
    };
    let ours = |call: &Call| {
        let named = call.text("RoleSessionName").unwrap_or_default();
        named.starts_with("mooring-verify-")
    };
    let calls = world.stage.aws.log().select(mark, ours);
    let spoke = world.stage.server(SPOKE).unwrap();
    let asked = spoke.calls_by("mooring-verify", audit).await.unwrap();
    (calls.iter().filter(walks).count(), calls.len(), asked.len())
}

/// A walk of a chain that holds is one call to AWS and a handful of questions to the cluster; the hub's part is shared.
#[tokio::test(flavor = "multi_thread")]
async fn walks_keep_to_their_budget_and_ask_a_cluster_a_handful_of_questions() {
    let world = world(&[]).await;
    let many: Vec<String> = (0..30).map(|n| format!("team-{n}")).collect();
    let spec =
        json!({"spec": {"access": {"policies": [{"name": EDIT, "namespaces": many}]}, "argocd": {"namespaces": many}}});
    world.patch("ManagedCluster", SPOKE, spec).await;
    world.is_ready("ManagedCluster", SPOKE).await;
    let (mark, audit) = (
        world.mark(),
        world.stage.server(SPOKE).unwrap().audit_mark().await.unwrap(),
    );
    let mut verifier = world.verifier(&["--interval", "2s", "--distance", "1s"]).await;
    world
        .eventually("some walks", async || {
            (cost(&world, mark, audit).await.0 >= 4).then_some(())
        })
        .await;
    verifier.terminate().await;
    let (walks, calls, asked) = cost(&world, mark, audit).await;
    // Each look at the hub's part is three exchanges, and here each walk has one of its own; the last was cut short.
    assert!(calls <= (walks + 1) * 4, "{calls} sessions in {walks} walks");
    // Documents are read only where something is refused.
    let read = world.stage.aws.log().select(mark, |call| {
        call.caller
            .as_ref()
            .is_some_and(|caller| format!("{caller:?}").contains("mooring-verify-reader"))
    });
    assert!(read.is_empty(), "{read:#?}");
    // /version, and the questions; the last walk was cut short.
    let most = 1 + mooring::access::scope::MOST;
    assert!(asked <= walks * most, "{asked} requests in {walks} walks");
    assert!(asked >= (walks - 1) * most, "{asked} requests in {walks} walks");
    let object = world.get("ManagedCluster", SPOKE).await.unwrap();
    assert!(connected(&object, "True", "ChainHolds"), "{object}");
    let told = condition(&object, "Connected").unwrap().2;
    assert!(told.contains("138 more were not asked"), "{told}");
    Hands(&world).holds().await;
    let text = verifier.log();
    tells_no_token(&text);
}

/// The hub's part of the chain is walked once for all clusters of a `ManagementRole`.
#[tokio::test(flavor = "multi_thread")]
async fn clusters_share_the_look_at_the_hub() {
    let mut setting = Setting::of(&TWO);
    setting.fleet = setting.fleet.with_servers();
    setting.management["spec"]["bindServiceAccounts"] = json!(false);
    let world = World::ready(setting).await;
    world.with_verifier().await;
    for name in ["prod-eu", "prod-us"] {
        world.moored(name).await;
    }
    let mark = world.mark();
    let _verifier = world
        .verifier(&["--interval", "3h", "--distance", "1s", "--walks", "1"])
        .await;
    for name in ["prod-eu", "prod-us"] {
        let told = |object: &Value| connected(object, "True", "ChainHolds");
        world.until("ManagedCluster", name, told).await;
    }
    let exchanges = |call: &Call| call.operation == "AssumeRoleWithWebIdentity";
    let made = world.stage.aws.log().select(mark, exchanges);
    assert_eq!(made.len(), 3, "one for each service account: {made:#?}");
}

/// How many there are now, and how many there were at once at the most.
#[derive(Clone, Default)]
struct Count(Arc<(AtomicUsize, AtomicUsize)>);

/// Takes connections, keeps each for two seconds, and counts them with those of others.
async fn counting(count: Count) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let count = count.clone();
            let now = count.0.0.fetch_add(1, Ordering::SeqCst) + 1;
            count.0.1.fetch_max(now, Ordering::SeqCst);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(2)).await;
                count.0.0.fetch_sub(1, Ordering::SeqCst);
                drop(stream);
            });
        }
    });
    endpoint
}

/// Clusters that are slow to answer are not all walked at once, however many there are, and hold up not all others.
#[tokio::test(flavor = "multi_thread")]
async fn no_more_chains_are_walked_at_once_than_the_flag_says() {
    const THREE: [&str; 3] = ["one", "two", "three"];
    let (account, region) = ("222222222222", "eu-central-1");
    let spokes = THREE.map(|name| format!("{account}/{region}/{name}"));
    let mut setting = Setting::of(&spokes.each_ref().map(String::as_str));
    setting.management["spec"]["bindServiceAccounts"] = json!(false);
    let world = World::ready(setting).await;
    world.with_verifier().await;
    let count = Count::default();
    for name in THREE {
        let endpoint = counting(count.clone()).await;
        let aws = &world.stage.aws;
        aws.update_cluster(account, region, name, |seed| seed.endpoint = endpoint)
            .unwrap();
    }
    for name in THREE {
        world.moored(name).await;
    }
    let _verifier = world.verifier(&["--interval", "3h", "--walks", "2"]).await;
    for name in THREE {
        let told = |object: &Value| connected(object, "False", "ConnectionFailed");
        world.until("ManagedCluster", name, told).await;
    }
    assert_eq!(count.0.1.load(Ordering::SeqCst), 2);
}
