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
    let is_manifest = |path: &&std::path::PathBuf| !path.ends_with("kustomization.yaml");
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
    let plural = format!("{}s", text(object, "/kind").to_lowercase());
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
    assert!(install.len() >= 9 && examples.len() == 5);
    for mut document in install.into_iter().chain(examples) {
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

/// The release and its image are one version, and the image is named once.
#[test]
fn the_image_is_of_this_version() {
    let install = documents("install");
    let deployment = install.iter().find(|object| object["kind"] == "Deployment").unwrap();
    let image = text(deployment, "/spec/template/spec/containers/0/image");
    assert_eq!(
        image,
        format!("ghcr.io/mooring-dev/mooring:{}", env!("CARGO_PKG_VERSION"))
    );
}

/// Every flag that the Deployment passes is one that the binary takes.
#[test]
fn the_arguments_are_those_of_the_command_line() {
    use clap::Parser;
    let install = documents("install");
    let deployment = install.iter().find(|object| object["kind"] == "Deployment").unwrap();
    let arguments = deployment
        .pointer("/spec/template/spec/containers/0/args")
        .unwrap()
        .as_array()
        .unwrap();
    let arguments = arguments.iter().map(|argument| argument.as_str().unwrap());
    mooring::cli::Cli::try_parse_from(["mooring"].into_iter().chain(arguments)).unwrap();
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
        ("", "", "secrets", &[]),
        ("kube-system", "", "secrets", &[]),
        ("mooring-system", "", "secrets", &[]),
        ("default", "", "secrets", &[]),
        ("kube-system", "events.k8s.io", "events", &[]),
        ("argocd", "", "serviceaccounts", &[]),
        ("argocd", "", "serviceaccounts/token", &[]),
        ("argocd", "", "pods", &[]),
        ("argocd", "", "pods/exec", &[]),
        ("argocd", "", "configmaps", &[]),
        ("argocd", "apps", "deployments", &[]),
        ("argocd", "argoproj.io", "applications", &[]),
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
