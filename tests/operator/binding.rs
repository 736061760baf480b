//! Argo CD's service accounts are bound, and its workloads restarted, by nothing more than one annotation each; and what
//! others wrote is theirs. No controller manager runs, so pods are made by hand.

use std::collections::BTreeSet;

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{Pod, PodTemplateSpec, ServiceAccount},
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use mooring_sandbox::{control_plane::AuditMark, stage::Signal};
use serde_json::{Value, json};

use crate::support::{NAMESPACE, Setting, World, condition};

const CONTROLLER: &str = "argocd-application-controller";
const SETS: &str = "argocd-applicationset-controller";
pub(crate) const SERVER: &str = "argocd-server";
const ANNOTATION: &str = "eks.amazonaws.com/role-arn";
pub(crate) const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";
const CONDITION: &str = "ServiceAccountsBound";
const MANAGER: &str = "mooring-bind-default";

fn setting(spec: &Value) -> Setting {
    let mut setting = Setting::of(&[]);
    for (key, value) in spec.as_object().into_iter().flatten() {
        setting.management["spec"][key] = value.clone();
    }
    setting
}

/// A world with the admission policies that go with the operator's RBAC, and no `ManagementRole` yet.
async fn world(spec: &Value) -> World {
    let world = World::start(setting(spec)).await;
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/install/11-controller-admission.yaml");
    world.stage.apply_file(&file).await.unwrap();
    world
}

fn accounts(world: &World) -> Api<ServiceAccount> {
    Api::namespaced(world.stage.client().unwrap(), NAMESPACE)
}

async fn account(world: &World, name: &str) -> ServiceAccount {
    accounts(world).get(name).await.unwrap()
}

pub(crate) async fn named_role(world: &World, name: &str) -> Option<String> {
    let annotations = account(world, name).await.metadata.annotations;
    annotations.and_then(|all| all.get(ANNOTATION).cloned())
}

pub(crate) async fn make_account(world: &World, name: &str) {
    let metadata = json!({
        "name": name, "namespace": NAMESPACE,
        "labels": {"app.kubernetes.io/part-of": "argocd"}, "annotations": {"example.com/theirs": "x"},
    });
    let object = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, "imagePullSecrets": [{"name": "pull"}]});
    world.apply(&object).await;
}

/// Sets, or with null takes off, the annotation as a field manager.
async fn annotate(world: &World, manager: &str, name: &str, role: Value) {
    let params = PatchParams {
        field_manager: Some(manager.to_owned()),
        ..PatchParams::default()
    };
    let patch = json!({"metadata": {"annotations": {ANNOTATION: role}}});
    accounts(world)
        .patch(name, &params, &Patch::Merge(&patch))
        .await
        .unwrap();
}

/// Whether we own anything of a service account, and what.
fn ours(account: &ServiceAccount) -> Option<Value> {
    let entries = account.metadata.managed_fields.as_deref().unwrap_or_default();
    let by_us = |name: &str| name.starts_with("mooring") && name != "mooring-sandbox";
    let mine: Vec<_> = entries
        .iter()
        .filter(|entry| entry.manager.as_deref().is_some_and(by_us))
        .collect();
    assert!(mine.len() <= 1, "{mine:#?}");
    let entry = mine.first()?;
    assert_eq!(
        (entry.manager.as_deref(), entry.operation.as_deref()),
        (Some(MANAGER), Some("Apply"))
    );
    Some(entry.fields_v1.as_ref().unwrap().0.clone())
}

pub(crate) async fn make_workload(world: &World, kind: &str, name: &str, account: &str) {
    let object = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "serviceName": name, "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}, "annotations": {"example.com/theirs": "x"}},
                "spec": {"serviceAccountName": account, "containers": [{"name": "argocd", "image": "argocd"}]},
            },
        },
    });
    let mut object = object;
    if kind == "Deployment" {
        object["spec"].as_object_mut().unwrap().remove("serviceName");
    }
    world.apply(&object).await;
}

/// A pod as the webhook would leave it: with the role where its service account names one.
async fn make_pod(
    world: &World,
    name: &str,
    workload: &str,
    account: &str,
    role: Option<&str>,
    template: &PodTemplateSpec,
) {
    let env = role.map_or(json!([]), |role| json!([{"name": "AWS_ROLE_ARN", "value": role}]));
    let annotations = template.metadata.as_ref().and_then(|meta| meta.annotations.clone());
    let object = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": workload}, "annotations": annotations},
        "spec": {
            "serviceAccountName": account, "automountServiceAccountToken": false,
            "containers": [{"name": "argocd", "image": "argocd", "env": env}],
        },
    });
    world.apply(&object).await;
}

async fn remove_pod(world: &World, name: &str) {
    let pods: Api<Pod> = Api::namespaced(world.stage.client().unwrap(), NAMESPACE);
    let at_once = DeleteParams {
        grace_period_seconds: Some(0),
        ..DeleteParams::default()
    };
    pods.delete(name, &at_once).await.unwrap();
}

/// What a restart would change of a workload: its generation and the annotations of its pod template.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    generation: i64,
    template: PodTemplateSpec,
}

impl Seen {
    fn restarted(&self) -> bool {
        let annotations = self.template.metadata.as_ref().unwrap().annotations.as_ref().unwrap();
        assert_eq!(annotations["example.com/theirs"], "x");
        annotations.contains_key(RESTARTED_AT)
    }
}

async fn deployment(world: &World, name: &str) -> Seen {
    let api: Api<Deployment> = Api::namespaced(world.stage.client().unwrap(), NAMESPACE);
    let object = api.get(name).await.unwrap();
    Seen {
        generation: object.metadata.generation.unwrap(),
        template: object.spec.unwrap().template,
    }
}

async fn stateful_set(world: &World, name: &str) -> Seen {
    let api: Api<StatefulSet> = Api::namespaced(world.stage.client().unwrap(), NAMESPACE);
    let object = api.get(name).await.unwrap();
    Seen {
        generation: object.metadata.generation.unwrap(),
        template: object.spec.unwrap().template,
    }
}

/// Waits for the condition to have a reason, and gives its status and message.
async fn told(world: &World, reason: &str) -> (String, String) {
    let object = world
        .until("ManagementRole", "default", |object| {
            condition(object, CONDITION).is_some_and(|(_, found, _)| found == reason)
        })
        .await;
    let (status, _, message) = condition(&object, CONDITION).unwrap();
    (status, message)
}

/// What the operator wrote to others' objects, as `resource/name`.
async fn writes(world: &World, mark: AuditMark) -> Vec<String> {
    let all = world.kubernetes_writes(mark).await;
    let theirs = all
        .into_iter()
        .filter(|write| write.group != "mooring.dev" && write.group != "events.k8s.io");
    theirs
        .map(|write| format!("{}/{}", write.resource, write.name))
        .collect()
}

fn role_of(world: &World) -> String {
    world.hub().management_role_arn(None).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn service_accounts_are_bound_by_one_annotation_and_what_started_before_is_restarted_once() {
    let world = world(&json!({"restartWorkloads": true})).await;
    let role = role_of(&world);
    for name in [CONTROLLER, SETS, SERVER, "argocd-repo-server"] {
        make_account(&world, name).await;
    }
    make_workload(&world, "Deployment", "release-server", SERVER).await;
    make_workload(&world, "StatefulSet", "release-controller", CONTROLLER).await;
    make_workload(&world, "Deployment", "release-sets", SETS).await;
    make_workload(&world, "Deployment", "release-repo", "argocd-repo-server").await;
    let plain = deployment(&world, "release-server").await;
    for (pod, workload, account, role) in [
        ("server-old", "release-server", SERVER, None),
        (
            "controller-old",
            "release-controller",
            CONTROLLER,
            Some("arn:aws:iam::111111111111:role/node"),
        ),
        ("sets-new", "release-sets", SETS, Some(role.as_str())),
        ("repo-old", "release-repo", "argocd-repo-server", None),
    ] {
        make_pod(&world, pod, workload, account, role, &plain.template).await;
    }
    let audit = world.audit_mark().await;
    world.apply(&world.setting.management.clone()).await;
    world.is_ready("ManagementRole", "default").await;

    // The restart waits for the webhook a few seconds.
    world
        .eventually("both are restarted", async || {
            let server = deployment(&world, "release-server").await.restarted();
            (server && stateful_set(&world, "release-controller").await.restarted()).then_some(())
        })
        .await;
    let (status, message) = told(&world, "Restarting").await;
    assert_eq!(status, "False");
    assert!(
        message.contains("deployment/release-server, statefulset/release-controller"),
        "{message}"
    );
    for name in ["release-sets", "release-repo"] {
        assert!(!deployment(&world, name).await.restarted(), "{name}");
    }
    for name in [CONTROLLER, SETS, SERVER] {
        let account = account(&world, name).await;
        let only = json!({"f:metadata": {"f:annotations": {(format!("f:{ANNOTATION}")): {}}}});
        assert_eq!(ours(&account), Some(only), "{name}");
        let annotations = account.metadata.annotations.unwrap();
        assert_eq!(
            (
                annotations[ANNOTATION].as_str(),
                annotations["example.com/theirs"].as_str()
            ),
            (role.as_str(), "x")
        );
        assert_eq!(account.image_pull_secrets.unwrap().len(), 1);
    }
    assert_eq!(ours(&account(&world, "argocd-repo-server").await), None);
    let written: BTreeSet<String> = writes(&world, audit).await.into_iter().collect();
    assert_eq!(written.len(), 5, "{written:?}");
    let events = world.events("default").await;
    for part in [
        "Restarted: done: restart",
        "deployment/release-server",
        "ServiceAccountsChanged: done: bind service account ",
        "bind service account argocd-server to the role",
    ] {
        assert!(events.iter().any(|event| event.contains(part)), "{part}: {events:#?}");
    }

    replaced(&world, &role).await;
    steady(&world).await;
    not_injected(&world).await;
    world.never_denied();
}

/// The pods are made anew, as a controller would, and have the role.
async fn replaced(world: &World, role: &str) {
    let server = deployment(world, "release-server").await;
    let controller = stateful_set(world, "release-controller").await;
    make_pod(
        world,
        "server-new",
        "release-server",
        SERVER,
        Some(role),
        &server.template,
    )
    .await;
    make_pod(
        world,
        "controller-new",
        "release-controller",
        CONTROLLER,
        Some(role),
        &controller.template,
    )
    .await;
    remove_pod(world, "server-old").await;
    remove_pod(world, "controller-old").await;
    let (status, _) = told(world, "Bound").await;
    assert_eq!(status, "True");
}

/// Nothing is written while nothing changes, nor by an operator that starts anew and remembers nothing.
async fn steady(world: &World) {
    world.whole_pass("ManagementRole", "default").await;
    let before = (
        deployment(world, "release-server").await,
        stateful_set(world, "release-controller").await,
    );
    let audit = world.audit_mark().await;
    world.whole_pass("ManagementRole", "default").await;
    let all = world.kubernetes_writes(audit).await;
    assert!(all.is_empty(), "{all:#?}");
    let audit = world.audit_mark().await;
    world.end_operator(Signal::Terminate).await;
    world.start_operator().await;
    world.whole_pass("ManagementRole", "default").await;
    let all = world.kubernetes_writes(audit).await;
    assert!(all.is_empty(), "{all:#?}");
    let after = (
        deployment(world, "release-server").await,
        stateful_set(world, "release-controller").await,
    );
    assert_eq!(before, after);
}

/// A pod that started after the restart and has no role all the same is told, and nothing is restarted again.
async fn not_injected(world: &World) {
    let before = deployment(world, "release-server").await;
    make_pod(
        world,
        "server-without",
        "release-server",
        SERVER,
        None,
        &before.template,
    )
    .await;
    world.ask("ManagementRole", "default").await;
    let (status, message) = told(world, "NotInjected").await;
    assert_eq!(status, "False");
    assert!(
        message.contains("server-without") && message.contains("webhook"),
        "{message}"
    );
    world.whole_pass("ManagementRole", "default").await;
    assert_eq!(deployment(world, "release-server").await, before);
    world.is_ready("ManagementRole", "default").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_wrote_is_left_alone_and_only_what_is_ours_is_let_go() {
    let world = world(&json!({})).await;
    let role = role_of(&world);
    make_account(&world, SERVER).await;
    make_account(&world, CONTROLLER).await;
    annotate(&world, "helm", SERVER, json!(role)).await;
    annotate(
        &world,
        "somebody",
        CONTROLLER,
        json!("arn:aws:iam::111111111111:role/other"),
    )
    .await;
    let before = account(&world, SERVER).await;
    let audit = world.audit_mark().await;
    world.apply(&world.setting.management.clone()).await;
    world.is_ready("ManagementRole", "default").await;
    let (status, message) = told(&world, "ServiceAccountMissing").await;
    assert_eq!(status, "False");
    for part in [SETS, CONTROLLER, "role/other", "field manager somebody"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(account(&world, SERVER).await, before, "Helm did it already");
    assert_eq!(writes(&world, audit).await, Vec::<String>::new(), "nor is one made");
    assert!(accounts(&world).get_opt(SETS).await.unwrap().is_none());

    // What comes, and what is corrected, is noticed without anything being asked of AWS.
    let mark = world.mark();
    make_account(&world, SETS).await;
    let (_, message) = told(&world, "BoundElsewhere").await;
    assert!(message.contains(CONTROLLER), "{message}");
    assert_eq!(named_role(&world, SETS).await.as_deref(), Some(role.as_str()));
    annotate(&world, "somebody", CONTROLLER, Value::Null).await;
    told(&world, "Bound").await;
    held_by_an_empty_map(&world).await;
    assert_eq!(named_role(&world, CONTROLLER).await.as_deref(), Some(role.as_str()));
    assert!(world.calls("default", mark).is_empty());

    by_hand(&world, &role).await;
    let_go(&world, &role).await;

    // A removal lets go as well, and takes nothing of Helm's.
    world
        .patch(
            "ManagementRole",
            "default",
            json!({"spec": {"bindServiceAccounts": true}}),
        )
        .await;
    told(&world, "RestartNeeded").await;
    assert!(ours(&account(&world, SETS).await).is_some());
    world.delete("ManagementRole", "default").await;
    world.until_gone("ManagementRole", "default").await;
    for name in [CONTROLLER, SETS] {
        assert_eq!(
            (named_role(&world, name).await, ours(&account(&world, name).await)),
            (None, None),
            "{name}"
        );
    }
    assert_eq!(account(&world, SERVER).await, before);
    world.never_denied();
}

/// Whoever applies an empty map holds all of it to the API server, which then refuses ours: that is told, not fought.
async fn held_by_an_empty_map(world: &World) {
    let role = named_role(world, CONTROLLER).await.unwrap();
    let accounts = accounts(world);
    accounts.delete(CONTROLLER, &DeleteParams::default()).await.unwrap();
    told(world, "ServiceAccountMissing").await;
    let apply = async |annotations: Option<Value>| {
        let mut metadata = json!({"name": CONTROLLER, "namespace": NAMESPACE});
        if let Some(annotations) = annotations {
            metadata["annotations"] = annotations;
        }
        let object = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata});
        let params = PatchParams::apply("platform").force();
        accounts
            .patch(CONTROLLER, &params, &Patch::Apply(&object))
            .await
            .unwrap();
    };
    apply(Some(json!({}))).await;
    let (status, message) = told(world, "HeldByOthers").await;
    assert_eq!(status, "False");
    for part in [
        CONTROLLER,
        "\"platform\"",
        ".metadata.annotations",
        "annotations: {}",
        &role,
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(named_role(world, CONTROLLER).await, None);
    apply(None).await;
    told(world, "Bound").await;
    assert_eq!(named_role(world, CONTROLLER).await, Some(role));
}

/// With restarts off, the workloads are named with the command, and left alone.
async fn by_hand(world: &World, role: &str) {
    make_workload(world, "Deployment", "argo-cd-argocd-server", SERVER).await;
    make_workload(world, "Deployment", "argo-cd-sets", SETS).await;
    let before = deployment(world, "argo-cd-argocd-server").await;
    make_pod(world, "server", "argo-cd-argocd-server", SERVER, None, &before.template).await;
    make_pod(world, "sets", "argo-cd-sets", SETS, Some(role), &before.template).await;
    world.ask("ManagementRole", "default").await;
    let (status, message) = told(world, "RestartNeeded").await;
    assert_eq!(status, "False");
    assert!(
        message.contains("`kubectl rollout restart -n argocd deployment/argo-cd-argocd-server`"),
        "{message}"
    );
    assert_eq!(deployment(world, "argo-cd-argocd-server").await, before);
    world.is_ready("ManagementRole", "default").await;
}

async fn let_go(world: &World, role: &str) {
    world
        .patch(
            "ManagementRole",
            "default",
            json!({"spec": {"bindServiceAccounts": false}}),
        )
        .await;
    let (status, message) = told(world, "NotManaged").await;
    assert_eq!(status, "False");
    let command = format!("`kubectl annotate serviceaccount -n argocd {CONTROLLER} {SETS} {ANNOTATION}={role}`");
    assert!(message.contains(&command), "{message}");
    for name in [CONTROLLER, SETS] {
        assert_eq!(
            (named_role(world, name).await, ours(&account(world, name).await)),
            (None, None),
            "{name}"
        );
    }
    assert_eq!(named_role(world, SERVER).await.as_deref(), Some(role), "Helm's");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_annotation_that_is_taken_off_again_and_again_is_told_and_not_fought_for() {
    let world = world(&json!({"serviceAccounts": [SERVER]})).await;
    let role = role_of(&world);
    make_account(&world, SERVER).await;
    world.apply(&world.setting.management.clone()).await;
    told(&world, "Bound").await;
    let stands = async || {
        named_role(&world, SERVER)
            .await
            .is_some_and(|found| found == role)
            .then_some(())
    };
    let audit = world.audit_mark().await;
    for _ in 0..3 {
        annotate(&world, "gitops", SERVER, Value::Null).await;
        world.eventually("it is put back", stands).await;
    }
    // The API server records a manager for what it holds; this one labels the service account, as such tools do.
    let params = PatchParams {
        field_manager: Some("gitops".to_owned()),
        ..PatchParams::default()
    };
    let patch = json!({"metadata": {"labels": {"gitops": "x"}, "annotations": {ANNOTATION: null}}});
    accounts(&world)
        .patch(SERVER, &params, &Patch::Merge(&patch))
        .await
        .unwrap();
    let (status, message) = told(&world, "Fought").await;
    assert_eq!(status, "False");
    assert!(message.contains("gitops") && message.contains(SERVER), "{message}");
    assert_eq!(named_role(&world, SERVER).await, None);
    assert_eq!(writes(&world, audit).await.len(), 3);
    world.is_ready("ManagementRole", "default").await;
    // Until a person says that it is settled.
    world.ask("ManagementRole", "default").await;
    told(&world, "Bound").await;
    world.eventually("it is put back", stands).await;
    world.never_denied();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_look_the_condition_says_so_and_nothing_else_is_held_up() {
    let mut setting = setting(&json!({"serviceAccounts": [SERVER], "restartWorkloads": true}));
    setting.fleet.spokes = Setting::of(&["222222222222/eu-west-1/one"]).fleet.spokes;
    setting.management["spec"]["allow"][0]["accounts"] = json!(["222222222222"]);
    let world = World::start(setting).await;
    make_account(&world, SERVER).await;
    let grant = async |resources: &[(&str, &str, &[&str])]| {
        let mut rules = vec![
            json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch", "create", "patch", "delete"]}),
        ];
        rules
            .extend((resources.iter()).map(
                |(group, resource, verbs)| json!({"apiGroups": [group], "resources": [resource], "verbs": verbs}),
            ));
        let metadata = json!({"name": "mooring-controller", "namespace": NAMESPACE});
        world
            .apply(&json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": rules}))
            .await;
    };
    grant(&[]).await;
    world.apply(&world.setting.management.clone()).await;
    world.is_ready("ManagementRole", "default").await;
    let (status, message) = told(&world, "NotPermitted").await;
    assert_eq!(status, "Unknown");
    assert!(
        message.contains("serviceaccounts") && message.contains("10-rbac.yaml"),
        "{message}"
    );
    world.moored("one").await;
    world.is_ready("ManagementRole", "default").await;

    // Bound, but nobody knows what runs.
    let follow: &[&str] = &["list", "watch", "patch"];
    grant(&[("", "serviceaccounts", follow)]).await;
    world.ask("ManagementRole", "default").await;
    let (status, message) = told(&world, "NotLookedAt").await;
    assert_eq!(status, "Unknown");
    assert!(message.contains("in the namespace \"argocd\""), "{message}");
    assert_eq!(named_role(&world, SERVER).await, Some(role_of(&world)));

    // And known, but not to be restarted.
    make_workload(&world, "Deployment", "server", SERVER).await;
    let before = deployment(&world, "server").await;
    make_pod(&world, "p", "server", SERVER, None, &before.template).await;
    grant(&[
        ("", "serviceaccounts", follow),
        ("", "pods", &["list"]),
        ("apps", "*", &["list"]),
    ])
    .await;
    world.ask("ManagementRole", "default").await;
    let (_, message) = told(&world, "NotPermitted").await;
    assert!(message.contains("deployments.apps/server"), "{message}");
    assert_eq!(deployment(&world, "server").await, before);

    // A removal is not held up either; what was written under a right that is gone stays.
    grant(&[]).await;
    world.delete("ManagedCluster", "one").await;
    world.until_gone("ManagedCluster", "one").await;
    world.delete("ManagementRole", "default").await;
    world.until_gone("ManagementRole", "default").await;
    assert_eq!(named_role(&world, SERVER).await, Some(role_of(&world)));
    world.never_denied();
}

/// Takes the annotations of a restart off, as whoever owns the workload by GitOps does.
async fn take_back(world: &World, workload: &str) {
    let api: Api<Deployment> = Api::namespaced(world.stage.client().unwrap(), NAMESPACE);
    let params = PatchParams {
        field_manager: Some("gitops".to_owned()),
        ..PatchParams::default()
    };
    let annotations = json!({RESTARTED_AT: null, "mooring.dev/restarted-for": null});
    let patch = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
    api.patch(workload, &params, &Patch::Merge(&patch)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_that_somebody_takes_back_is_told_and_not_done_again_nor_by_an_operator_that_starts_anew() {
    let world = world(&json!({"restartWorkloads": true, "serviceAccounts": [SERVER]})).await;
    make_account(&world, SERVER).await;
    make_workload(&world, "Deployment", "server", SERVER).await;
    let plain = deployment(&world, "server").await;
    // The webhook never acts: whatever pod comes is without the role.
    make_pod(&world, "server-old", "server", SERVER, None, &plain.template).await;
    world.apply(&world.setting.management.clone()).await;
    let restarted = async || deployment(&world, "server").await.restarted().then_some(());
    world.eventually("it is restarted", restarted).await;
    told(&world, "Restarting").await;

    take_back(&world, "server").await;
    let (status, message) = told(&world, "RestartUndone").await;
    assert_eq!(status, "False");
    assert!(message.contains("deployment/server"), "{message}");
    let before = deployment(&world, "server").await;
    assert!(!before.restarted());
    let object = world.get("ManagementRole", "default").await.unwrap();
    assert_eq!(object["status"]["restarted"][0]["workload"], "deployment/server");
    assert_eq!(object["status"]["restarted"][0]["role"], json!(role_of(&world)));

    world.end_operator(Signal::Terminate).await;
    world.start_operator().await;
    let looked = async || {
        let log = world.operator().as_ref().unwrap().log_text();
        log.contains("no service account or workload to write to").then_some(())
    };
    world.eventually("the binding is looked at", looked).await;
    assert_eq!(deployment(&world, "server").await, before);
    told(&world, "RestartUndone").await;
    world.told("default", "RestartUndone").await;

    // Until a person asks for one more.
    world.ask("ManagementRole", "default").await;
    world.eventually("it is restarted once more", restarted).await;
    world.never_denied();
}
