//! The sandbox's own control plane: that it is a real one, and that it goes away.
#![allow(
    clippy::unwrap_used,
    reason = "the helpers below are test code too, which clippy does not see"
)]

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use mooring_sandbox::control_plane::{AuditMark, ControlPlane, Error, Options};
use serde_json::{Value, json};

fn config_map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()
}

#[tokio::test]
async fn two_stand_side_by_side_and_do_not_see_each_other() {
    let start = Instant::now();
    let (one, two) = tokio::join!(
        ControlPlane::start(Options::named("one")),
        ControlPlane::start(Options::named("two"))
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    println!("two ready after {:?}", start.elapsed());
    assert_eq!(one.etcd_folder(), two.etcd_folder());
    assert_ne!(one.url(), two.url());
    let version = one.admin().unwrap().apiserver_version().await.unwrap();
    assert!(version.git_version.starts_with("v1.3"), "{}", version.git_version);

    let of = |plane: &ControlPlane| Api::<ConfigMap>::namespaced(plane.admin().unwrap(), "default");
    of(&one)
        .create(&PostParams::default(), &config_map("mine"))
        .await
        .unwrap();
    assert_eq!(
        of(&one).get("mine").await.unwrap().metadata.name.as_deref(),
        Some("mine")
    );
    assert!(of(&two).get_opt("mine").await.unwrap().is_none());

    let (folder, etcd) = (one.folder().to_owned(), one.etcd_folder().to_owned());
    one.stop().await;
    assert!(
        !folder.exists() && etcd.exists(),
        "etcd stays while a control plane needs it"
    );
    of(&two)
        .create(&PostParams::default(), &config_map("still"))
        .await
        .unwrap();
    two.stop().await;
}

/// The second half runs in a child process, this very test started again with a variable set.
#[tokio::test]
async fn nothing_outlives_a_process_that_is_killed() {
    const CHILD: &str = "MOORING_TEST_GUARD_CHILD";
    if std::env::var_os(CHILD).is_some() {
        let plane = ControlPlane::start(Options::named("doomed")).await.unwrap();
        println!("folders {} {}", plane.folder().display(), plane.etcd_folder().display());
        std::future::pending::<()>().await;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["nothing_outlives_a_process_that_is_killed", "--exact", "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let folders = lines
        .map_while(Result::ok)
        .find_map(|line| Some(line.split_once("folders ")?.1.to_owned()))
        .unwrap();
    let folders: Vec<PathBuf> = folders.split(' ').map(PathBuf::from).collect();
    assert_eq!(folders.iter().filter(|folder| folder.is_dir()).count(), 2);
    assert_eq!(processes_of(&folders), ["etcd", "kube-apiserver"]);

    child.kill().unwrap();
    child.wait().unwrap();
    let start = Instant::now();
    while !processes_of(&folders).is_empty() || folders.iter().any(|folder| folder.exists()) {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "left: {:?} {folders:?}",
            processes_of(&folders)
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("gone after {:?}", start.elapsed());
}

/// The servers that were started with one of these folders in their arguments.
fn processes_of(folders: &[PathBuf]) -> Vec<String> {
    let listed = Command::new("ps").args(["-eo", "args"]).output().unwrap().stdout;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let ours = listed.lines().filter(|line| {
        folders
            .iter()
            .any(|folder| line.contains(&folder.display().to_string()))
    });
    let programs = ours.filter_map(|line| Path::new(line.split(' ').next()?).file_name()?.to_str());
    let mut names: Vec<String> = programs
        .filter(|name| !name.contains("sh"))
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[tokio::test]
async fn tokens_are_what_a_projected_volume_would_hold() {
    let issuer = "https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF";
    let options = Options {
        issuer: Some(issuer.to_owned()),
        ..Options::named("hub")
    };
    let hub = ControlPlane::start(options).await.unwrap();
    hub.apply_yaml(
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: argocd-server, namespace: argocd}\n---\n\
         apiVersion: v1\nkind: Namespace\nmetadata: {name: argocd}\n",
    )
    .await
    .unwrap();
    let token = hub.token("argocd", "argocd-server", "sts.amazonaws.com").await.unwrap();
    let claims = claims(&token);
    assert_eq!(claims["iss"], issuer);
    assert_eq!(claims["sub"], "system:serviceaccount:argocd:argocd-server");
    assert_eq!(claims["aud"], json!(["sts.amazonaws.com"]));
    assert_eq!(hub.issuer(), issuer);

    let keys = hub.jwks().await.unwrap();
    let header = token.split('.').next().unwrap();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    assert_eq!(
        (&header["alg"], &header["kid"]),
        (&json!("RS256"), &keys["keys"][0]["kid"])
    );
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1);

    // For AWS, so not for this API server.
    let stranger = hub.client_with_token(&token, "test").unwrap();
    let refused = Api::<ConfigMap>::default_namespaced(stranger)
        .list(&ListParams::default())
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, kube::Error::Api(status) if status.code == 401),
        "{refused}"
    );

    let missing = hub.token("argocd", "nobody", "sts.amazonaws.com").await.unwrap_err();
    assert!(
        missing
            .to_string()
            .contains("request a token of service account argocd/nobody"),
        "{missing}"
    );

    // A kubeconfig is that service account and nothing more.
    let lifetime = Duration::from_mins(30);
    let path = hub
        .kubeconfig_for_service_account("argocd", "argocd-server", lifetime)
        .await
        .unwrap();
    assert_private(&path);
    let kubeconfig = Kubeconfig::read_from(&path).unwrap();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap();
    assert_eq!(config.default_namespace, "argocd");
    let client = kube::Client::try_from(config).unwrap();
    let secrets = Api::<Secret>::default_namespaced(client)
        .list(&ListParams::default())
        .await
        .unwrap_err();
    assert!(
        secrets
            .to_string()
            .contains("system:serviceaccount:argocd:argocd-server"),
        "{secrets}"
    );
    hub.stop().await;
}

fn assert_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        path.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777,
        0o700
    );
}

const BOATS: &str = r#"
apiVersion: test.mooring.dev/v1
kind: Boat
metadata: {name: argo}
spec: {oars: 50, message: "to Colchis"}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.test.mooring.dev}
spec:
  group: test.mooring.dev
  scope: Cluster
  names: {kind: Boat, plural: boats, singular: boat}
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns:
    - {name: Oars, type: integer, jsonPath: .spec.oars}
    - {name: Message, type: string, jsonPath: .spec.message, priority: 1}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties: {oars: {type: integer}, message: {type: string}}
            x-kubernetes-validations:
            - {rule: "self.oars % 2 == 0", message: "oars come in pairs: write an even number"}
"#;

#[tokio::test]
async fn a_definition_is_waited_for_refuses_by_cel_and_prints_as_kubectl_does() {
    let plane = ControlPlane::start(Options::named("boats")).await.unwrap();
    let applied = plane.apply_yaml(BOATS).await.unwrap();
    let kinds: Vec<_> = applied
        .iter()
        .map(|object| object.types.as_ref().unwrap().kind.as_str())
        .collect();
    assert_eq!(kinds, ["CustomResourceDefinition", "Boat"]);
    assert_eq!(
        plane.apply_yaml(BOATS).await.unwrap().len(),
        2,
        "applying again is no error"
    );

    let odd = "{apiVersion: test.mooring.dev/v1, kind: Boat, metadata: {name: odd}, spec: {oars: 7}}";
    let refused = plane.apply_yaml(odd).await.unwrap_err().to_string();
    assert!(
        refused.starts_with("cannot apply Boat odd: ") && refused.contains("oars come in pairs"),
        "{refused}"
    );
    let unknown = "{apiVersion: test.mooring.dev/v1, kind: Ship, metadata: {name: x}}";
    assert!(matches!(plane.apply_yaml(unknown).await, Err(Error::Request { .. })));

    let path = "/apis/test.mooring.dev/v1/boats";
    assert_eq!(plane.table(path, false).await.unwrap(), "NAME   OARS\nargo   50\n");
    assert_eq!(
        plane.table(path, true).await.unwrap(),
        "NAME   OARS   MESSAGE\nargo   50     to Colchis\n"
    );
    let namespaces = plane
        .table("/api/v1/namespaces/default/configmaps", false)
        .await
        .unwrap();
    assert_eq!(namespaces, "No resources found\n");
    let all = plane
        .table("/apis/rbac.authorization.k8s.io/v1/roles", false)
        .await
        .unwrap();
    assert!(all.starts_with("NAMESPACE     NAME  "), "{all}");
    assert_private(&plane.admin_kubeconfig());
    plane.stop().await;
}

#[tokio::test]
async fn the_audit_log_tells_who_wrote_what() {
    let plane = ControlPlane::start(Options::named("audited")).await.unwrap();
    let of = |agent: &str| Api::<ConfigMap>::namespaced(plane.admin_named(agent).unwrap(), "default");
    let (ours, other) = (of("mooring/0.1.0"), of("mooring-sister/1"));
    ours.create(&PostParams::default(), &config_map("a")).await.unwrap();
    other.create(&PostParams::default(), &config_map("b")).await.unwrap();
    ours.get("b").await.unwrap();
    ours.create(
        &PostParams {
            dry_run: true,
            ..PostParams::default()
        },
        &config_map("c"),
    )
    .await
    .unwrap();
    ours.create(&PostParams::default(), &config_map("a")).await.unwrap_err();

    let all = plane.calls_by("mooring", AuditMark::default()).await.unwrap();
    let seen: Vec<_> = all
        .iter()
        .map(|call| (call.verb.as_str(), call.name.as_str(), call.code, call.dry_run))
        .collect();
    assert_eq!(
        seen,
        [
            ("create", "a", 201, false),
            ("get", "b", 200, false),
            ("create", "c", 201, true),
            ("create", "a", 409, false)
        ]
    );
    let writes = plane.writes_by("mooring", AuditMark::default()).await.unwrap();
    let written: Vec<_> = writes
        .iter()
        .map(|call| (call.resource.as_str(), call.name.as_str()))
        .collect();
    assert_eq!(written, [("configmaps", "a")]);
    assert_eq!(
        (writes[0].user.as_str(), writes[0].namespace.as_str()),
        ("mooring-sandbox:admin", "default")
    );

    let mark = plane.audit_mark().await.unwrap();
    assert_eq!(plane.writes_by("mooring", mark).await.unwrap(), []);
    let patch = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"x": "y"}});
    ours.patch("a", &PatchParams::apply("test"), &Patch::Apply(patch))
        .await
        .unwrap();
    let writes = plane.writes_by("mooring", mark).await.unwrap();
    assert_eq!(
        writes.iter().map(|call| call.verb.as_str()).collect::<Vec<_>>(),
        ["patch"]
    );
    assert_eq!(plane.writes_by("mooring-sandbox:admin", mark).await.unwrap().len(), 1);
    plane.stop().await;

    let quiet = ControlPlane::start(Options {
        audit: false,
        ..Options::named("quiet")
    })
    .await
    .unwrap();
    assert!(matches!(quiet.audit_mark().await, Err(Error::AuditOff(name)) if name == "quiet"));
}

#[tokio::test]
async fn a_server_that_does_not_start_shows_its_own_log() {
    let options = Options {
        extra_args: vec!["--no-such-flag".to_owned()],
        ..Options::named("broken")
    };
    let error = ControlPlane::start(options).await.unwrap_err();
    assert!(
        matches!(
            &error,
            Error::Ended {
                server: "kube-apiserver",
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("unknown flag: --no-such-flag"), "{error}");
}

/// Answers reviews as the fake EKS would: the token `let-alice-in` is alice, and alice may list config maps.
async fn webhook() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let stream = TokioIo::new(listener.accept().await.unwrap().0);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(stream, service_fn(review)));
        }
    });
    url
}

async fn review(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let mut review: Value = serde_json::from_slice(&request.collect().await?.to_bytes()).unwrap();
    let spec = &review["spec"];
    let status = if review["kind"] == "TokenReview" {
        json!({"authenticated": spec["token"] == "let-alice-in", "user": {"username": "alice"}})
    } else {
        let wanted = &spec["resourceAttributes"];
        json!({"allowed": spec["user"] == "alice" && wanted["verb"] == "list" && wanted["resource"] == "configmaps"})
    };
    review["status"] = status;
    let response = Response::builder().header("content-type", "application/json");
    Ok(response.body(Full::from(review.to_string())).unwrap())
}

#[tokio::test]
async fn a_spoke_asks_its_webhooks_who_and_whether() {
    let url = Some(webhook().await);
    let webhooks = Options {
        authentication_webhook: url.clone(),
        authorization_webhook: url,
        ..Options::named("spoke")
    };
    let spoke = ControlPlane::start(webhooks).await.unwrap();
    let alice = spoke.client_with_token("let-alice-in", "test").unwrap();
    Api::<ConfigMap>::default_namespaced(alice.clone())
        .list(&ListParams::default())
        .await
        .unwrap();
    let refused = Api::<Secret>::default_namespaced(alice)
        .list(&ListParams::default())
        .await
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("User \"alice\" cannot list resource \"secrets\""),
        "{refused}"
    );
    let stranger = spoke.client_with_token("let-me-in", "test").unwrap();
    let refused = Api::<ConfigMap>::default_namespaced(stranger)
        .list(&ListParams::default())
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, kube::Error::Api(status) if status.code == 401),
        "{refused}"
    );
    // RBAC stands beside the webhook.
    let auditors = spoke.client_of_user("bob", &["auditors"]).unwrap();
    let list = async || {
        Api::<Secret>::default_namespaced(auditors.clone())
            .list(&ListParams::default())
            .await
    };
    list().await.unwrap_err();
    spoke
        .apply_yaml(
            "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: auditors},\n\
             roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin},\n\
             subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: auditors}]}",
        )
        .await
        .unwrap();
    eventually(async || list().await.is_ok()).await;
    spoke.stop().await;
}

const ONE_AUDIENCE: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: one-audience}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [serviceaccounts/token]}
  validations:
  - {expression: 'object.spec.audiences == ["sts.amazonaws.com"]', message: only for AWS}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: one-audience}
spec: {policyName: one-audience, validationActions: [Deny]}
"#;

#[tokio::test]
async fn an_admission_policy_holds_tokens_to_one_audience() {
    let hub = ControlPlane::start(Options::named("policed")).await.unwrap();
    hub.apply_yaml("{apiVersion: v1, kind: ServiceAccount, metadata: {name: argocd-server}}")
        .await
        .unwrap();
    hub.apply_yaml(ONE_AUDIENCE).await.unwrap();
    eventually(async || {
        hub.token("default", "argocd-server", "https://elsewhere.example")
            .await
            .is_err()
    })
    .await;
    let refused = hub.token("default", "argocd-server", hub.issuer()).await.unwrap_err();
    assert!(refused.to_string().contains("only for AWS"), "{refused}");
    hub.token("default", "argocd-server", "sts.amazonaws.com")
        .await
        .unwrap();
    hub.stop().await;
}

#[tokio::test]
async fn the_shared_one_is_one_and_serves_every_runtime() {
    let address = ControlPlane::shared().await.unwrap().url();
    let elsewhere = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let shared = ControlPlane::shared().await.unwrap();
            shared.table("/api/v1/namespaces", false).await.unwrap();
            shared.url()
        })
    });
    assert_eq!(elsewhere.join().unwrap(), address);
}

async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < Duration::from_secs(30), "not within 30 s");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
