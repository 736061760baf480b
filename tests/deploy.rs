//! What is shipped to be applied: every manifest of `deploy`, against a real API server.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]

mod common;

use std::{fs, path::Path};

use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::{Api, Client, api::PostParams};
use mooring::{
    api::{HubStatus, ManagedCluster, ManagementRole, ManagementRoleStatus, RoleStatus},
    managed_cluster::{management::Management, request::Request},
};
use serde_json::Value;

use common::{send, server};

/// The documents of the YAML files in a folder, in the order of their names.
fn documents(folder: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(folder);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let is_manifest = |path: &&std::path::PathBuf| path.is_file() && !path.ends_with("kustomization.yaml");
    let texts = paths
        .iter()
        .filter(is_manifest)
        .map(|path| fs::read_to_string(path).unwrap());
    texts
        .flat_map(|text| serde_saphyr::from_multiple::<Value>(&text).unwrap())
        .collect()
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Where objects of this kind and namespace are created.
fn collection(object: &Value) -> String {
    let kind = text(object, "/kind").to_lowercase();
    let plural = match kind.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{kind}s"),
    };
    let root = match text(object, "/apiVersion") {
        "v1" => "/api/v1".to_owned(),
        group => format!("/apis/{group}"),
    };
    match text(object, "/metadata/namespace") {
        "" => format!("{root}/{plural}"),
        namespace => format!("{root}/namespaces/{namespace}/{plural}"),
    }
}

/// The definitions, the namespaces and everything of `deploy/install`, for real and once.
async fn installed() -> Client {
    static ONCE: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    let server = server().await;
    let install = || async {
        let argocd = "{apiVersion: v1, kind: Namespace, metadata: {name: argocd}}";
        server.apply_yaml(argocd).await.unwrap();
        for document in documents("install") {
            server.apply_yaml(&document.to_string()).await.unwrap();
        }
    };
    ONCE.get_or_init(install).await;
    server.admin().unwrap()
}

/// Warnings are where the API server tells of what the pod security standard `restricted` would refuse.
#[tokio::test(flavor = "multi_thread")]
async fn every_manifest_is_taken_strictly_and_without_a_warning() {
    let client = installed().await;
    let (install, examples) = (documents("install"), documents("examples"));
    assert!(install.len() >= 25 && examples.len() == 5);
    let adopt = documents("examples/adopt");
    assert_eq!(adopt.len(), 3);
    for mut document in install.into_iter().chain(examples).chain(adopt) {
        let name = format!("{}-again", text(&document, "/metadata/name"));
        document["metadata"]["name"] = name.into();
        let answer = send(&client, "POST", &collection(&document), &document, true).await;
        let what = format!("{} {}", document["kind"], document["metadata"]["name"]);
        if let Err(refusal) = answer.result {
            panic!("{what}: {} {:?}", refusal.message, refusal.causes);
        }
        assert_eq!(answer.warnings, Vec::<String>::new(), "{what}");
    }
}

/// The examples are story A: one hub account, two spoke accounts, three clusters in two regions, and the hub.
#[test]
fn the_management_role_of_the_examples_allows_its_clusters() {
    let examples = documents("examples");
    let of_kind = |kind: &str| {
        examples
            .iter()
            .filter(|object| object["kind"] == kind)
            .cloned()
            .collect::<Vec<_>>()
    };
    let mut role: ManagementRole = serde_json::from_value(of_kind("ManagementRole").remove(0)).unwrap();
    role.status = Some(ManagementRoleStatus {
        hub: Some(HubStatus {
            account_id: "111111111111".into(),
            region: "eu-west-1".into(),
            name: "hub".into(),
            arn: "arn:aws:eks:eu-west-1:111111111111:cluster/hub".into(),
            issuer: Some("https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF".into()),
        }),
        role: Some(RoleStatus {
            arn: "arn:aws:iam::111111111111:role/mooring/argocd".into(),
            id: "AROAEXAMPLE".into(),
        }),
        ..ManagementRoleStatus::default()
    });
    let management = Management::read(&role).unwrap();
    let mut places = Vec::new();
    for cluster in of_kind("ManagedCluster") {
        let mut cluster: ManagedCluster = serde_json::from_value(cluster).unwrap();
        cluster.metadata.uid = Some("00000000-0000-0000-0000-000000000000".into());
        places.push((cluster.spec.account_id.clone(), cluster.spec.region.clone()));
        Request::parse(&cluster, &management).unwrap();
        // None asks for the least of what is not allowed.
        cluster.spec.access.kubernetes_groups.push("masters".into());
        Request::parse(&cluster, &management).unwrap_err();
    }
    places.sort();
    let place = |account: &str, region: &str| (account.to_owned(), region.to_owned());
    assert_eq!(
        places,
        [
            place("111111111111", "eu-west-1"),
            place("222222222222", "eu-west-1"),
            place("333333333333", "eu-central-1"),
            place("333333333333", "eu-west-1"),
        ]
    );
}

fn deployments() -> Vec<Value> {
    let install = documents("install").into_iter();
    let deployments: Vec<Value> = install.filter(|object| object["kind"] == "Deployment").collect();
    assert_eq!(deployments.len(), 2, "the controller and the verifier");
    deployments
}

/// The release and its image are one version.
#[test]
fn the_images_are_of_this_version() {
    for deployment in deployments() {
        let image = text(&deployment, "/spec/template/spec/containers/0/image");
        assert_eq!(
            image,
            format!("ghcr.io/mooring-dev/mooring:{}", env!("CARGO_PKG_VERSION"))
        );
    }
}

/// Every flag that a Deployment passes is one that the binary takes.
#[test]
fn the_arguments_are_those_of_the_command_line() {
    use clap::Parser;
    for deployment in deployments() {
        let arguments = deployment.pointer("/spec/template/spec/containers/0/args").unwrap();
        let arguments = arguments.as_array().unwrap().iter();
        let arguments = arguments.map(|argument| argument.as_str().unwrap());
        mooring::cli::Cli::try_parse_from(["mooring"].into_iter().chain(arguments)).unwrap();
    }
}

async fn may(client: &Client, spec: SelfSubjectAccessReviewSpec) -> bool {
    let review = SelfSubjectAccessReview {
        spec,
        ..SelfSubjectAccessReview::default()
    };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    reviews
        .create(&PostParams::default(), &review)
        .await
        .unwrap()
        .status
        .unwrap()
        .allowed
}

fn resource(namespace: &str, group: &str, resource: &str, verb: &str) -> SelfSubjectAccessReviewSpec {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    SelfSubjectAccessReviewSpec {
        resource_attributes: Some(ResourceAttributes {
            namespace: Some(namespace.into()),
            group: Some(group.into()),
            resource: Some(resource.into()),
            subresource: Some(subresource.into()),
            verb: Some(verb.into()),
            ..ResourceAttributes::default()
        }),
        ..SelfSubjectAccessReviewSpec::default()
    }
}

const EVERY_VERB: [&str; 8] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
];

/// The operator's service account may do what the code does, and nothing beside it.
#[tokio::test(flavor = "multi_thread")]
async fn the_service_account_may_do_what_the_code_does_and_nothing_else() {
    installed().await;
    let server = server().await;
    let groups = [
        "system:serviceaccounts",
        "system:serviceaccounts:mooring-system",
        "system:authenticated",
    ];
    let user = "system:serviceaccount:mooring-system:mooring-controller";
    let client = server.client_of_user(user, &groups).unwrap();
    let follow: &[&str] = &["get", "list", "watch", "patch"];
    let keep: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];
    for (namespace, group, what, allowed) in [
        ("", "mooring.dev", "managedclusters", follow),
        ("", "mooring.dev", "managementroles", follow),
        ("", "mooring.dev", "managedclusters/status", &["patch"]),
        ("", "mooring.dev", "managementroles/status", &["patch"]),
        ("argocd", "", "secrets", keep),
        ("default", "events.k8s.io", "events", &["create", "patch"]),
        // Of one by name alone: see below.
        ("mooring-system", "coordination.k8s.io", "leases", &["create"]),
        ("kube-system", "coordination.k8s.io", "leases", &[]),
        ("argocd", "coordination.k8s.io", "leases", &[]),
        ("", "", "secrets", &[]),
        ("kube-system", "", "secrets", &[]),
        ("mooring-system", "", "secrets", &[]),
        ("default", "", "secrets", &[]),
        ("kube-system", "events.k8s.io", "events", &[]),
        ("argocd", "", "serviceaccounts", &["list", "watch", "patch"]),
        ("argocd", "", "serviceaccounts/token", &[]),
        ("argocd", "", "pods", &["list"]),
        ("argocd", "", "pods/exec", &[]),
        ("argocd", "", "configmaps", &[]),
        ("argocd", "apps", "deployments", &["list", "patch"]),
        ("argocd", "apps", "statefulsets", &["list", "patch"]),
        ("argocd", "apps", "daemonsets", &["list", "patch"]),
        ("argocd", "apps", "deployments/scale", &[]),
        ("argocd", "apps", "replicasets", &[]),
        ("kube-system", "", "serviceaccounts", &[]),
        ("mooring-system", "apps", "deployments", &[]),
        ("", "argoproj.io", "applications", &["list"]),
        ("team-a", "argoproj.io", "applicationsets", &["list"]),
        ("argocd", "argoproj.io", "appprojects", &[]),
        ("", "rbac.authorization.k8s.io", "clusterroles", &[]),
        ("argocd", "rbac.authorization.k8s.io", "rolebindings", &[]),
        ("", "apiextensions.k8s.io", "customresourcedefinitions", &[]),
        ("", "", "nodes", &[]),
        ("", "", "namespaces", &[]),
    ] {
        for verb in EVERY_VERB {
            let granted = may(&client, resource(namespace, group, what, verb)).await;
            assert_eq!(granted, allowed.contains(&verb), "{verb} {what} in {namespace:?}");
        }
    }
    assert!(!may(&client, resource("", "", "serviceaccounts", "impersonate")).await);
    takes_its_own_lease(&client, "mooring-controller", "mooring-verifier").await;
    let path = |path: &str| SelfSubjectAccessReviewSpec {
        non_resource_attributes: Some(NonResourceAttributes {
            path: Some(path.into()),
            verb: Some("get".into()),
        }),
        ..SelfSubjectAccessReviewSpec::default()
    };
    assert!(may(&client, path("/.well-known/openid-configuration")).await);
    assert!(!may(&client, path("/metrics")).await);
}

/// Kubernetes lets every service account read the issuer by default; clusters that take that away still work.
#[test]
fn the_issuer_may_be_read_by_a_rule_of_our_own() {
    let install = documents("install");
    let role = install.iter().find(|object| object["kind"] == "ClusterRole").unwrap();
    let rules = role["rules"].as_array().unwrap();
    assert!(
        rules
            .iter()
            .any(|rule| rule["nonResourceURLs"][0] == "/.well-known/openid-configuration")
    );
}

/// A client that counts as a service account of the operator's namespace.
async fn as_service_account(name: &str) -> Client {
    let groups = [
        "system:serviceaccounts",
        "system:serviceaccounts:mooring-system",
        "system:authenticated",
    ];
    let user = format!("system:serviceaccount:mooring-system:{name}");
    server().await.client_of_user(&user, &groups).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_verifier_may_look_and_write_its_condition_and_nothing_else() {
    installed().await;
    let client = as_service_account("mooring-verifier").await;
    let follow: &[&str] = &["get", "list", "watch"];
    for (namespace, group, what, allowed) in [
        ("", "mooring.dev", "managedclusters", follow),
        ("", "mooring.dev", "managementroles", follow),
        ("", "mooring.dev", "managedclusters/status", &["patch"]),
        ("", "mooring.dev", "managementroles/status", &[]),
        ("argocd", "", "serviceaccounts", follow),
        ("argocd", "", "pods", &["list"]),
        ("argocd", "", "secrets", follow),
        ("argocd", "argoproj.io", "appprojects", &["list", "watch"]),
        ("argocd", "argoproj.io", "applications", &[]),
        // Of three by name alone.
        ("argocd", "", "serviceaccounts/token", &[]),
        ("argocd", "", "configmaps", &[]),
        ("mooring-system", "", "serviceaccounts/token", &[]),
        ("mooring-system", "", "secrets", &[]),
        ("kube-system", "", "secrets", &[]),
        ("default", "events.k8s.io", "events", &[]),
        ("mooring-system", "coordination.k8s.io", "leases", &["create"]),
        ("argocd", "apps", "deployments", &[]),
        ("", "rbac.authorization.k8s.io", "clusterroles", &[]),
    ] {
        for verb in EVERY_VERB {
            let granted = may(&client, resource(namespace, group, what, verb)).await;
            assert_eq!(granted, allowed.contains(&verb), "{verb} {what} in {namespace:?}");
        }
    }
    for (name, allowed) in [("argocd-cm", follow), ("argocd-rbac-cm", &[])] {
        for verb in EVERY_VERB.into_iter().filter(|verb| *verb != "create") {
            let mut review = resource("argocd", "", "configmaps", verb);
            review.resource_attributes.as_mut().unwrap().name = Some(name.to_owned());
            assert_eq!(may(&client, review).await, allowed.contains(&verb), "{verb} {name}");
        }
    }
    takes_its_own_lease(&client, "mooring-verifier", "mooring-controller").await;
}

/// People may look, once somebody binds the roles to them, and change nothing.
#[tokio::test(flavor = "multi_thread")]
async fn people_may_look_and_nothing_else() {
    installed().await;
    let admin = server().await.admin().unwrap();
    let subject = serde_json::json!([{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "somebody"}]);
    for (kind, of, namespace) in [
        ("ClusterRoleBinding", "ClusterRole", None),
        ("RoleBinding", "Role", Some("argocd")),
    ] {
        let binding = serde_json::json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
            "metadata": {"name": "people", "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": of, "name": "mooring-reader"},
            "subjects": subject,
        });
        let answer = send(&admin, "POST", &collection(&binding), &binding, false).await;
        assert!(answer.result.is_ok(), "{kind}");
    }
    let client = server()
        .await
        .client_of_user("somebody", &["system:authenticated"])
        .unwrap();
    // The API server learns of a binding a moment later.
    for (namespace, group, what) in [("", "mooring.dev", "managedclusters"), ("argocd", "", "secrets")] {
        let bound = async {
            while !may(&client, resource(namespace, group, what, "get")).await {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        };
        let patience = std::time::Duration::from_mins(1);
        tokio::time::timeout(patience, bound).await.expect("the bindings work");
    }
    let look: &[&str] = &["get", "list"];
    let follow: &[&str] = &["get", "list", "watch"];
    for (namespace, group, what, allowed) in [
        ("", "mooring.dev", "managedclusters", follow),
        ("", "mooring.dev", "managementroles", follow),
        ("", "mooring.dev", "managedclusters/status", &[]),
        ("", "argoproj.io", "applications", &["list"]),
        ("", "argoproj.io", "applicationsets", &["list"]),
        ("argocd", "argoproj.io", "appprojects", &["list"]),
        ("argocd", "", "secrets", look),
        ("", "", "secrets", &[]),
        ("kube-system", "", "secrets", &[]),
        ("mooring-system", "", "secrets", &[]),
        ("argocd", "", "serviceaccounts", look),
        ("argocd", "", "serviceaccounts/token", &[]),
        ("argocd", "", "pods", &["list"]),
        ("argocd", "", "pods/exec", &[]),
        ("argocd", "apps", "deployments", &["list"]),
        ("argocd", "apps", "statefulsets", &["list"]),
        ("argocd", "apps", "daemonsets", &["list"]),
    ] {
        for verb in EVERY_VERB {
            let granted = may(&client, resource(namespace, group, what, verb)).await;
            assert_eq!(granted, allowed.contains(&verb), "{verb} {what} in {namespace:?}");
        }
    }
}

/// Who could take the other's Lease could stop it for good.
async fn takes_its_own_lease(client: &Client, own: &str, other: &str) {
    for (name, allowed) in [(own, &["get", "update"][..]), (other, &[])] {
        for verb in EVERY_VERB.into_iter().filter(|verb| *verb != "create") {
            let mut review = resource("mooring-system", "coordination.k8s.io", "leases", verb);
            review.resource_attributes.as_mut().unwrap().name = Some(name.to_owned());
            assert_eq!(may(client, review).await, allowed.contains(&verb), "{verb} {name}");
        }
    }
}

/// RBAC lets each make a Lease of any name, since it cannot name what is not there: the admission policies do.
#[tokio::test(flavor = "multi_thread")]
async fn each_process_makes_its_own_lease_and_no_other() {
    installed().await;
    for (own, other, who) in [
        ("mooring-controller", "mooring-verifier", "operator"),
        ("mooring-verifier", "mooring-controller", "verifier"),
    ] {
        let client = as_service_account(own).await;
        let make = async |name: &str| {
            let lease = serde_json::json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": {"name": name, "namespace": "mooring-system"}, "spec": {"holderIdentity": "somebody"},
            });
            let answer = send(&client, "POST", &collection(&lease), &lease, true).await;
            answer.result.map(drop).map_err(|refusal| refusal.message)
        };
        let refusal = format!("the {who} makes its own Lease, {own}, and no other");
        let mut refused = String::new();
        // The API server takes up policies from a watch of its own.
        for _ in 0..200 {
            refused = make("somebodys").await.err().unwrap_or_default();
            if refused.contains(&refusal) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert!(refused.contains(&refusal), "{refused}");
        // Whether it is there or not.
        let refused = make(other).await.unwrap_err();
        assert!(refused.contains(&refusal), "{refused}");
        let mine = make(own).await;
        assert!(
            mine.clone().err().is_none_or(|why| why.contains("already exists")),
            "{mine:?}"
        );
    }
}

/// What the Deployments run asks for the Leases that are installed, in the namespace that they are in, and nobody holds
/// them: the first process does not wait.
#[test]
fn the_leases_are_those_that_the_processes_ask_for() {
    use clap::{CommandFactory, Parser};
    let install = documents("install");
    let mut leases = Vec::new();
    for deployment in deployments() {
        let container = deployment.pointer("/spec/template/spec/containers/0").unwrap();
        let arguments = container["args"].as_array().unwrap().iter();
        let arguments = arguments.map(|argument| argument.as_str().unwrap());
        let cli = mooring::cli::Cli::try_parse_from(["mooring"].into_iter().chain(arguments)).unwrap();
        let (command, lease) = match cli.command {
            mooring::cli::Command::Controller(args) => {
                ("controller", mooring::cli::ControllerSettings::from(args).lease)
            }
            mooring::cli::Command::Verifier(args) => ("verifier", args.lease.settings("mooring-verifier")),
            other @ (mooring::cli::Command::Doctor(_)
            | mooring::cli::Command::Import(_)
            | mooring::cli::Command::Plan(_)
            | mooring::cli::Command::Revoke(_)
            | mooring::cli::Command::Render(_)
            | mooring::cli::Command::Bootstrap(_)
            | mooring::cli::Command::Crd) => panic!("{other:?}"),
        };
        let lease = lease.expect("replicas agree");
        let object = install
            .iter()
            .find(|object| object["kind"] == "Lease" && text(object, "/metadata/name") == lease.name)
            .unwrap();
        assert_eq!(text(object, "/metadata/namespace"), lease.namespace);
        assert_eq!(text(&deployment, "/metadata/namespace"), lease.namespace);
        assert_eq!(object["spec"], Value::Null);
        leases.push(lease.name);
        // An old pod and a new one are there together in a rollout.
        assert_eq!(text(&deployment, "/spec/strategy/type"), "RollingUpdate");
        let cli = mooring::cli::Cli::command();
        let command = cli.find_subcommand(command).unwrap();
        for variable in container["env"].as_array().unwrap() {
            let name = variable["name"].as_str().unwrap();
            let known = |arg: &clap::Arg| arg.get_env().is_some_and(|env| env == name);
            assert!(command.get_arguments().any(known), "{name}");
        }
    }
    assert_eq!(leases, ["mooring-controller", "mooring-verifier"]);
}

/// What is kept of the controller while nodes are drained is what a Service would find.
#[test]
fn the_budget_and_the_spread_are_of_the_controllers_pods() {
    let install = documents("install");
    let budget = install
        .iter()
        .find(|object| object["kind"] == "PodDisruptionBudget")
        .unwrap();
    let deployment = &deployments()[0];
    assert_eq!(deployment["spec"]["replicas"], 2);
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!(&budget["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(
        budget["spec"]["maxUnavailable"], 1,
        "one that must stay would keep a single replica from ever moving"
    );
    let spread = deployment
        .pointer("/spec/template/spec/topologySpreadConstraints")
        .unwrap();
    let spread = spread.as_array().unwrap();
    assert!(spread.iter().all(|one| &one["labelSelector"]["matchLabels"] == labels));
    assert_eq!(spread.len(), 2);
}

/// Asks for a token until the answer is as expected: admission policies come into force some moments after they are
/// made.
async fn token(client: &Client, namespace: &str, name: &str, spec: &Value) -> Result<(), String> {
    let request = serde_json::json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec,
    });
    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
    let answer = send(client, "POST", &path, &request, false).await;
    answer.result.map(drop).map_err(|refusal| refusal.message)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_verifier_gets_tokens_for_sts_of_argo_cds_service_accounts_and_the_operator_none() {
    use serde_json::json;
    installed().await;
    let server = server().await;
    let ours = [
        "argocd-application-controller",
        "argocd-applicationset-controller",
        "argocd-server",
    ];
    for (namespace, name) in ours
        .map(|name| ("argocd", name))
        .into_iter()
        .chain([("argocd", "argocd-repo-server"), ("default", "argocd-server")])
    {
        let account =
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}});
        server.apply_yaml(&account.to_string()).await.unwrap();
    }
    let verifier = as_service_account("mooring-verifier").await;
    let sts = json!({"audiences": ["sts.amazonaws.com"], "expirationSeconds": 600});
    let elsewhere = json!({"audiences": ["https://kubernetes.default.svc"], "expirationSeconds": 600});
    let in_force = async || token(&verifier, "argocd", ours[0], &elsewhere).await.is_err();
    for _ in 0..200 {
        if in_force().await {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    for name in ours {
        token(&verifier, "argocd", name, &sts).await.unwrap();
        for (spec, why) in [
            (&elsewhere, "audience"),
            (&json!({"expirationSeconds": 600}), "audience"),
            (
                &json!({"audiences": ["sts.amazonaws.com", "vault"], "expirationSeconds": 600}),
                "audience",
            ),
            (&json!({"audiences": [], "expirationSeconds": 600}), "audience"),
            (
                &json!({"audiences": ["sts.amazonaws.com"], "expirationSeconds": 3600}),
                "ten minutes",
            ),
            (&json!({"audiences": ["sts.amazonaws.com"]}), "ten minutes"),
        ] {
            let refused = token(&verifier, "argocd", name, spec).await.unwrap_err();
            assert!(refused.contains(why), "{spec}: {refused}");
        }
    }
    for (namespace, name) in [
        ("argocd", "argocd-repo-server"),
        ("default", "argocd-server"),
        ("mooring-system", "mooring-controller"),
        ("mooring-system", "mooring-verifier"),
    ] {
        let refused = token(&verifier, namespace, name, &sts).await.unwrap_err();
        assert!(refused.contains("forbidden"), "{refused}");
    }
    // RBAC refused those. Where somebody has given the verifier more by RBAC, the admission policy still holds it.
    let rule = json!([{"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]}]);
    // By a group that it has in this test alone.
    let group = "more-than-mooring-gives";
    let subject = json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}]);
    let reference =
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "more-than-mooring-gives"});
    for object in [
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": "more-than-mooring-gives"}, "rules": rule,
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": "more-than-mooring-gives"}, "roleRef": reference, "subjects": subject,
        }),
    ] {
        server.apply_yaml(&object.to_string()).await.unwrap();
    }
    let user = "system:serviceaccount:mooring-system:mooring-verifier";
    let verifier = server.client_of_user(user, &["system:authenticated", group]).unwrap();
    for (namespace, name) in [("argocd", "argocd-repo-server"), ("default", "argocd-server")] {
        let mut refused = String::new();
        // The authorizer hears of a new role some moments after it was made.
        for _ in 0..200 {
            refused = token(&verifier, namespace, name, &sts).await.unwrap_err();
            if !refused.contains("cannot create resource") {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert!(
            refused.contains("the verifier asks for tokens of Argo CD's service accounts and no others"),
            "{namespace}/{name}: {refused}"
        );
    }
    let operator = as_service_account("mooring-controller").await;
    for name in ours {
        let refused = token(&operator, "argocd", name, &sts).await.unwrap_err();
        assert!(refused.contains("forbidden"), "{refused}");
    }
}

/// The operator takes a role for its own by the ID in the status: who writes Connected must not be able to write that.
#[tokio::test(flavor = "multi_thread")]
async fn the_verifier_writes_one_condition_of_a_status_and_not_what_the_operator_recorded() {
    use kube::api::{DynamicObject, Patch, PatchParams};
    use serde_json::json;
    let admin = installed().await;
    let server = server().await;
    let object = json!({
        "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagedCluster", "metadata": {"name": "status-of"},
        "spec": {"accountId": "222222222222", "region": "eu-west-1", "access": {"policies": [{"name": "AmazonEKSViewPolicy"}]}},
    });
    server.apply_yaml(&object.to_string()).await.unwrap();
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "reason": "Why", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let kind = kube::core::ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk(
        "mooring.dev",
        "v1alpha1",
        "ManagedCluster",
    ));
    let api = |client: &Client| Api::<DynamicObject>::all_with(client.clone(), &kind);
    let write = async |client: &Client, manager: &str, status: Value| {
        let patch = json!({"apiVersion": "mooring.dev/v1alpha1", "kind": "ManagedCluster", "status": status});
        let parameters = PatchParams::apply(manager).force();
        api(client)
            .patch_status("status-of", &parameters, &Patch::Apply(&patch))
            .await
    };
    let role = json!({"arn": "arn:aws:iam::222222222222:role/ours", "id": "AROAOURS"});
    let recorded = json!({"conditions": [condition("Ready", "True")], "deployerRole": role, "secret": "cluster-x"});
    write(&admin, "mooring", recorded).await.unwrap();
    let verifier = as_service_account("mooring-verifier").await;
    for status in ["True", "False"] {
        let written = write(
            &verifier,
            "mooring-verifier",
            json!({"conditions": [condition("Connected", status)]}),
        )
        .await;
        let conditions = written.unwrap().data["status"]["conditions"].as_array().unwrap().len();
        assert_eq!(conditions, 2, "beside the operator's");
    }
    // The API server takes up policies from a watch of its own.
    let probe =
        json!({"apiVersion": "mooring.dev/v1alpha1", "kind": "ManagedCluster", "status": {"secret": "cluster-y"}});
    let dry = PatchParams::apply("mooring-verifier").force().dry_run();
    for _ in 0..200 {
        if api(&verifier)
            .patch_status("status-of", &dry, &Patch::Apply(&probe))
            .await
            .is_err()
        {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let forged = json!({"arn": "arn:aws:iam::222222222222:role/ours", "id": "AROATHEIRS"});
    let condition_of = |kind: &str| json!([condition(kind, "False")]);
    let mut forgeries = vec![
        ("deployerRole".to_owned(), forged),
        ("conditions".to_owned(), condition_of("Ready")),
        ("conditions".to_owned(), condition_of("Stalled")),
    ];
    // Every field of the status that there is, also those that a later release adds.
    let definition = <mooring::api::ManagedCluster as kube::CustomResourceExt>::crd();
    let schema = serde_json::to_value(&definition.spec.versions[0].schema).unwrap();
    let properties = &schema["openAPIV3Schema"]["properties"]["status"]["properties"];
    for (field, schema) in properties.as_object().unwrap() {
        if field != "conditions" {
            forgeries.push((field.clone(), some_value(schema)));
        }
    }
    assert!(forgeries.len() > 8, "{forgeries:?}");
    for (field, value) in forgeries {
        let refused = write(&verifier, "mooring-verifier", json!({field.clone(): value})).await;
        let refused = refused.expect_err(&field).to_string();
        assert!(
            refused.contains("the verifier writes the condition Connected"),
            "{field}: {refused}"
        );
    }
    // Taking a field away is a forgery too: a role that is not recorded is made anew.
    let taken = json!({"status": {"secret": null}});
    let refused = api(&verifier)
        .patch_status("status-of", &PatchParams::default(), &Patch::Merge(&taken))
        .await;
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("the verifier writes the condition Connected and nothing else"),
        "{refused}"
    );
}

/// Some value that such a schema takes.
fn some_value(schema: &Value) -> Value {
    use serde_json::json;
    if let Some(one) = schema["enum"].as_array().and_then(|all| all.first()) {
        return one.clone();
    }
    match schema["type"].as_str().unwrap() {
        "object" => {
            let required = schema["required"].as_array().into_iter().flatten();
            let named = required.map(|name| name.as_str().unwrap());
            named
                .map(|name| (name.to_owned(), some_value(&schema["properties"][name])))
                .collect::<serde_json::Map<_, _>>()
                .into()
        }
        "array" => json!([some_value(&schema["items"])]),
        "integer" => json!(7),
        "boolean" => json!(true),
        "string" if schema["format"] == "date-time" => json!("2026-01-01T00:00:00Z"),
        "string" => json!("somebody-elses"),
        other => panic!("{other}"),
    }
}

/// Who may patch a Deployment could run anything as its service account, and who may patch a service account could give
/// it another role, secret or owner: RBAC gives both, and the admission policies take them back but for what is needed.
#[tokio::test(flavor = "multi_thread")]
async fn the_operator_binds_and_restarts_and_changes_nothing_else_of_argo_cd() {
    use k8s_openapi::api::{
        apps::v1::{DaemonSet, Deployment, StatefulSet},
        core::v1::ServiceAccount,
    };
    use serde_json::json;
    installed().await;
    let server = server().await;
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "bound", "namespace": "argocd", "labels": {"a": "b"}, "annotations": {"theirs": "x"}},
        "imagePullSecrets": [{"name": "pull"}],
    });
    server.apply_yaml(&account.to_string()).await.unwrap();
    for kind in ["Deployment", "StatefulSet", "DaemonSet"] {
        let mut object = json!({
            "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "restarted", "namespace": "argocd"},
            "spec": {
                "selector": {"matchLabels": {"app": "x"}},
                "template": {
                    "metadata": {"labels": {"app": "x"}, "annotations": {"theirs": "x"}},
                    "spec": {"serviceAccountName": "bound", "containers": [{"name": "c", "image": "argocd"}]},
                },
            },
        });
        if kind == "StatefulSet" {
            object["spec"]["serviceName"] = json!("x");
        }
        server.apply_yaml(&object.to_string()).await.unwrap();
    }
    let operator = as_service_account("mooring-controller").await;
    let template = |change: Value| json!({"spec": {"template": change}});
    let annotations = |change: Value| template(json!({"metadata": {"annotations": change}}));
    let role = |value: Value| json!({"metadata": {"annotations": {"eks.amazonaws.com/role-arn": value}}});
    let accounts: Api<ServiceAccount> = Api::namespaced(operator.clone(), "argocd");
    // The API server takes up policies from a watch of its own.
    for _ in 0..200 {
        let other = json!({"metadata": {"labels": {"a": "c"}}});
        let workload = template(json!({"metadata": {"labels": {"b": "c"}}}));
        let deployments: Api<Deployment> = Api::namespaced(operator.clone(), "argocd");
        if patched(&accounts, "bound", &other, true).await.is_err()
            && patched(&deployments, "restarted", &workload, true).await.is_err()
        {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    patched(&accounts, "bound", &role(json!("arn:a")), false).await.unwrap();
    patched(&accounts, "bound", &role(json!("arn:b")), false).await.unwrap();
    patched(&accounts, "bound", &role(Value::Null), false).await.unwrap();
    for change in [
        json!({"metadata": {"annotations": {"theirs": "y"}}}),
        json!({"metadata": {"annotations": {"theirs": null}}}),
        json!({"metadata": {"annotations": {"eks.amazonaws.com/token-expiration": "86400"}}}),
        json!({"metadata": {"labels": {"a": "c"}}}),
        json!({"metadata": {"finalizers": ["example.com/held"]}}),
        json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "x"}]}}),
        json!({"secrets": [{"name": "s"}]}),
        json!({"imagePullSecrets": []}),
        json!({"automountServiceAccountToken": false}),
    ] {
        let refused = patched(&accounts, "bound", &change, false)
            .await
            .expect_err(&change.to_string());
        assert!(
            refused.contains("the operator sets the annotation"),
            "{change}: {refused}"
        );
    }
    let restart =
        annotations(json!({"kubectl.kubernetes.io/restartedAt": "now", "mooring.dev/restarted-for": "arn:a"}));
    let image = template(json!({"spec": {"containers": [{"name": "c", "image": "mine"}]}}));
    let account = template(json!({"spec": {"serviceAccountName": "default"}}));
    let refusals = [
        image,
        account,
        template(json!({"spec": {"hostNetwork": true}})),
        template(json!({"metadata": {"labels": {"b": "c"}}})),
        annotations(json!({"theirs": null})),
        annotations(json!({"theirs": "y"})),
        annotations(json!({"inject": "sidecar"})),
        json!({"metadata": {"finalizers": ["example.com/held"]}}),
    ];
    let deployments: Api<Deployment> = Api::namespaced(operator.clone(), "argocd");
    let stateful_sets: Api<StatefulSet> = Api::namespaced(operator.clone(), "argocd");
    let daemon_sets: Api<DaemonSet> = Api::namespaced(operator, "argocd");
    patched(&deployments, "restarted", &restart, false).await.unwrap();
    patched(&stateful_sets, "restarted", &restart, false).await.unwrap();
    patched(&daemon_sets, "restarted", &restart, false).await.unwrap();
    for change in &refusals {
        for refused in [
            patched(&deployments, "restarted", change, false).await,
            patched(&stateful_sets, "restarted", change, false).await,
            patched(&daemon_sets, "restarted", change, false).await,
        ] {
            let refused = refused.expect_err(&change.to_string());
            assert!(refused.contains("the operator "), "{change}: {refused}");
        }
    }
    let replicas = json!({"spec": {"replicas": 0}});
    assert!(patched(&deployments, "restarted", &replicas, false).await.is_err());
    assert!(patched(&stateful_sets, "restarted", &replicas, false).await.is_err());
}

/// The answer to a merge patch.
async fn patched<K>(api: &Api<K>, name: &str, patch: &Value, dry_run: bool) -> Result<(), String>
where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    use kube::api::{Patch, PatchParams};
    let params = PatchParams {
        dry_run,
        ..PatchParams::default()
    };
    let answer = api.patch(name, &params, &Patch::Merge(patch)).await;
    answer.map(drop).map_err(|error| error.to_string())
}

/// Who can write a Secret could have Kubernetes put a token of Argo CD's into it, or take Argo CD's own Secrets away.
#[tokio::test(flavor = "multi_thread")]
async fn the_operator_writes_cluster_secrets_and_no_others() {
    use k8s_openapi::api::core::v1::Secret;
    use kube::api::{DeleteParams, Patch, PatchParams};
    use serde_json::json;
    let admin = installed().await;
    let operator = as_service_account("mooring-controller").await;
    let secrets = |client: &Client| Api::<Secret>::namespaced(client.clone(), "argocd");
    let cluster = |name: &str, kind: &str, annotations: Value| {
        let labels = json!({"argocd.argoproj.io/secret-type": "cluster"});
        let metadata = json!({"name": name, "labels": labels, "annotations": annotations});
        json!({"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": metadata})
    };
    let ours = json!({"mooring.dev/uid": "u"});
    let token = json!({"kubernetes.io/service-account.name": "argocd-application-controller", "mooring.dev/uid": "u"});
    // What the operator wrote has its field manager, and nothing else has.
    let apply = async |client: &Client, object: &Value, manager: &str| {
        let parameters = PatchParams::apply(manager).force();
        let name = text(object, "/metadata/name");
        secrets(client)
            .patch(name, &parameters, &Patch::Apply(object))
            .await
            .map(drop)
    };
    let theirs =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "argocd-secret"}, "stringData": {"a": "b"}});
    apply(&admin, &theirs, "kubectl").await.unwrap();
    apply(&admin, &cluster("by-hand", "Opaque", json!({})), "kubectl")
        .await
        .unwrap();
    let opened = json!({"mooring.dev/adopt": "prod"});
    for name in ["opened", "opened-too"] {
        apply(&admin, &cluster(name, "Opaque", opened.clone()), "kubectl")
            .await
            .unwrap();
    }
    let minted = cluster("minted", "kubernetes.io/service-account-token", token);
    // The API server takes up policies from a watch of its own.
    for _ in 0..200 {
        let dry = PatchParams::apply("mooring").force().dry_run();
        if secrets(&operator)
            .patch("minted", &dry, &Patch::Apply(&minted))
            .await
            .is_err()
        {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let mut plain = cluster("plain", "Opaque", ours.clone());
    plain["metadata"]["labels"] = json!({});
    for refused in [&minted, &plain, &theirs, &cluster("by-hand", "Opaque", ours.clone())] {
        let said = apply(&operator, refused, "mooring").await.unwrap_err().to_string();
        assert!(
            said.contains("the operator") && said.contains("no others"),
            "{refused}: {said}"
        );
    }
    // What the owner of Argo CD has opened is taken over, and deleted only then.
    for name in ["argocd-secret", "by-hand", "opened-too"] {
        let said = secrets(&operator).delete(name, &DeleteParams::default()).await;
        assert!(said.unwrap_err().to_string().contains("that it made"), "{name}");
    }
    apply(&operator, &cluster("opened", "Opaque", ours.clone()), "mooring")
        .await
        .unwrap();
    secrets(&operator)
        .delete("opened", &DeleteParams::default())
        .await
        .unwrap();
    for _ in 0..2 {
        apply(&operator, &cluster("ours", "Opaque", ours.clone()), "mooring")
            .await
            .unwrap();
        // Whoever writes it anew takes the annotations off, and the field manager stays.
        let bare = json!({"metadata": {"annotations": null}});
        secrets(&admin)
            .patch("ours", &PatchParams::default(), &Patch::Merge(&bare))
            .await
            .unwrap();
    }
    secrets(&operator)
        .delete("ours", &DeleteParams::default())
        .await
        .unwrap();
}
