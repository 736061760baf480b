//! What is planned for the service accounts of an Argo CD, from objects as the API server gives them.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use mooring::management_role::binding::{
    observe::{Account, Observed, Pod, RESTARTED_FOR, ROLE_ANNOTATION, Running, Workload},
    plan::{self, Memory, SETTLE, TRIES},
    request::Request,
    status,
    step::{Obstacle, Plan},
};
use serde_json::{Value, from_value, json};

use crate::hub;

const ROLE: &str = "arn:aws:iam::111111111111:role/mooring/management";
const OTHER: &str = "arn:aws:iam::111111111111:role/another";
const NOW: &str = "2026-11-01T12:00:00Z";
const LONG_AGO: &str = "2026-11-01T09:00:00Z";
const SERVER: &str = "argocd-server";
const CONTROLLER: &str = "argocd-application-controller";

/// Who wrote the annotation: a field manager, how it writes, and when.
type By = (&'static str, &'static str, &'static str);

const US: By = ("mooring-bind-default", "Apply", LONG_AGO);
const HELM: By = ("helm", "Update", LONG_AGO);

fn service_account(name: &str, value: Option<&str>, by: &[By]) -> Value {
    let fields = json!({"f:metadata": {"f:annotations": {(format!("f:{ROLE_ANNOTATION}")): {}}}});
    let managed: Vec<Value> = (by.iter())
        .map(|(manager, operation, time)| json!({"manager": manager, "operation": operation, "time": time, "fieldsV1": fields}))
        .chain([json!({"manager": "argocd-install", "operation": "Update", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:metadata": {"f:labels": {}}}})])
        .collect();
    let annotations = value.map(|value| json!({ROLE_ANNOTATION: value}));
    json!({"name": name, "uid": format!("uid-{name}"), "resourceVersion": "1", "annotations": annotations, "managedFields": managed})
}

fn pod(name: &str, account: &str, role: Option<&str>, restarted_for: Option<&str>) -> Value {
    let env = role.map(
        |role| json!([{"name": "AWS_ROLE_ARN", "value": role}, {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "/x"}]),
    );
    let annotations = restarted_for.map(|role| json!({RESTARTED_FOR: role}));
    json!({
        "metadata": {"name": name, "labels": {"app": account}, "annotations": annotations},
        "spec": {"serviceAccountName": account, "containers": [{"name": "sidecar"}, {"name": "c", "env": env}]},
        "status": {"phase": "Running"},
    })
}

/// What the webhook gives a pod by EKS Pod Identity.
fn by_pod_identity(name: &str, account: &str, restarted_for: Option<&str>) -> Value {
    let mut pod = pod(name, account, None, restarted_for);
    pod["spec"]["containers"][1]["env"] =
        json!([{"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "http://169.254.170.23/v1/credentials"}]);
    pod
}

fn existing(change: &Value) -> Value {
    let mut change = change.clone();
    change["identity"] = json!({"type": "Existing", "roleArn": ROLE});
    change
}

fn workload(kind: &str, name: &str, account: &str, restarted_for: Option<&str>) -> Value {
    let annotations = restarted_for.map(|role| json!({RESTARTED_FOR: role}));
    json!({
        "kind": kind,
        "metadata": {"name": name, "uid": format!("uid-{name}"), "resourceVersion": "1"},
        "spec": {
            "serviceName": name, "selector": {"matchLabels": {"app": account}},
            "template": {
                "metadata": {"labels": {"app": account}, "annotations": annotations},
                "spec": {"serviceAccountName": account, "containers": []},
            },
        },
    })
}

/// A namespace, and what is asked for it.
struct Case {
    request: Request,
    accounts: Vec<Value>,
    pods: Vec<Value>,
    workloads: Vec<Value>,
    written: BTreeMap<String, usize>,
    restarted: BTreeMap<String, String>,
    unseen: Option<&'static str>,
}

impl Case {
    fn new(change: &Value) -> Self {
        let mut object = hub::object(change);
        let holds = |kind: &str| json!({"type": kind, "status": "True", "reason": "AsSpecified", "message": "m", "lastTransitionTime": NOW});
        let status =
            json!({"conditions": [holds("HubReady"), holds("RoleReady")], "role": {"arn": ROLE, "id": "AROA"}});
        object.status = Some(from_value(status).unwrap());
        if change["serviceAccounts"].is_null() {
            object.spec.service_accounts = vec![SERVER.to_owned()];
        }
        Self {
            request: Request::of(&object),
            accounts: Vec::new(),
            pods: Vec::new(),
            workloads: Vec::new(),
            written: BTreeMap::new(),
            restarted: BTreeMap::new(),
            unseen: None,
        }
    }

    fn plain() -> Self {
        Self::new(&json!({}))
    }

    fn account(mut self, name: &str, value: Option<&str>, by: &[By]) -> Self {
        self.accounts.push(service_account(name, value, by));
        self
    }

    fn pod(mut self, name: &str, account: &str, role: Option<&str>) -> Self {
        self.pods.push(pod(name, account, role, None));
        self
    }

    fn workload(mut self, kind: &str, name: &str, account: &str) -> Self {
        self.workloads.push(workload(kind, name, account, None));
        self
    }

    fn observed(&self) -> Observed {
        let accounts = self.accounts.iter().map(|meta| {
            let account = Account::of(&from_value(meta.clone()).unwrap(), &self.request.manager());
            (account.target.name.clone(), account)
        });
        let workload = |object: &Value| {
            let object = object.clone();
            match object["kind"].as_str().unwrap() {
                "Deployment" => Workload::of_deployment(from_value(object).unwrap()),
                "StatefulSet" => Workload::of_stateful_set(from_value(object).unwrap()),
                _ => Workload::of_daemon_set(from_value(object).unwrap()),
            }
        };
        let pods = self.pods.iter().map(|pod| from_value(pod.clone()).unwrap());
        let running = Running {
            pods: pods.filter_map(|pod| Pod::of(&pod)).collect(),
            workloads: self.workloads.iter().filter_map(workload).collect(),
        };
        Observed {
            accounts: accounts.collect(),
            running: self.unseen.map_or(Ok(running), |why| Err(why.to_owned())),
        }
    }

    fn plan(&self) -> Plan {
        self.plan_at(NOW)
    }

    fn plan_at(&self, now: &str) -> Plan {
        let memory = Memory {
            written: &self.written,
            restarted: &self.restarted,
            now: now.parse::<Timestamp>().unwrap(),
        };
        plan::plan(&self.request, &self.observed(), &memory)
    }

    /// Steps as `name target`.
    fn steps(&self) -> Vec<String> {
        steps(&self.plan())
    }

    /// Status, reason and message of the condition when nothing is left to do.
    fn told(&self) -> (&'static str, &'static str, String) {
        let plan = self.plan();
        assert!(plan.steps.is_empty(), "{:?}", plan.steps);
        let finding = status::finding(&self.request, &plan);
        (finding.verdict.as_str(), finding.reason, finding.message)
    }
}

fn steps(plan: &Plan) -> Vec<String> {
    let text = |step| {
        let value = serde_json::to_value(step).unwrap();
        let target = value.get("account").or_else(|| value.get("workload")).unwrap();
        format!(
            "{} {}",
            value["step"].as_str().unwrap(),
            target["name"].as_str().unwrap()
        )
    };
    plan.steps.iter().map(text).collect()
}

const NONE: &[&str] = &[];

#[test]
fn a_service_account_that_names_nothing_is_bound_and_one_that_names_the_role_is_left_alone() {
    let free = Case::plain().account(SERVER, None, &[]);
    assert_eq!(free.steps(), ["Bind argocd-server"]);
    for by in [&[US] as &[By], &[HELM], &[US, HELM], &[]] {
        let bound = Case::plain().account(SERVER, Some(ROLE), by);
        assert_eq!(bound.plan(), Plan::default(), "{by:?}");
        assert_eq!(bound.told().1, "Bound");
        assert_eq!(bound.plan().look_again(), None);
    }
    // Ours alone, of an earlier role: ours to change.
    let old = Case::plain().account(SERVER, Some(OTHER), &[US]);
    assert_eq!(old.steps(), ["Bind argocd-server"]);
    // Others of the namespace are nobody's business.
    let beside = Case::plain()
        .account(SERVER, Some(ROLE), &[US])
        .account("argocd-repo-server", Some(OTHER), &[HELM]);
    assert_eq!(beside.plan(), Plan::default());
}

#[test]
fn what_another_manager_set_is_reported_and_not_overwritten() {
    let another: By = ("mooring-bind-second", "Apply", LONG_AGO);
    // The same manager's name, by update: somebody who calls himself as we do is not us.
    let pretender: By = ("mooring-bind-default", "Update", LONG_AGO);
    for by in [HELM, another, pretender] {
        let case = Case::plain().account(SERVER, Some(OTHER), &[by]);
        let (status, reason, message) = case.told();
        assert_eq!((status, reason), ("False", "BoundElsewhere"));
        for part in [SERVER, OTHER, by.0, ROLE] {
            assert!(message.contains(part), "{part}: {message}");
        }
    }
    let shared = Case::plain().account(SERVER, Some(OTHER), &[US, HELM]);
    assert_eq!(shared.told().1, "BoundElsewhere");
    let empty = Case::plain().account(SERVER, Some(""), &[HELM]);
    assert_eq!(empty.told().1, "BoundElsewhere");
    let unrecorded = Case::plain().account(SERVER, Some(OTHER), &[]);
    assert!(unrecorded.told().2.contains("before managed fields"));
}

#[test]
fn a_missing_one_is_named_and_the_others_are_bound_all_the_same() {
    let both = json!({"serviceAccounts": [SERVER, CONTROLLER]});
    let case = Case::new(&both).account(SERVER, None, &[]);
    assert_eq!(case.steps(), ["Bind argocd-server"]);
    let case = Case::new(&both).account(SERVER, Some(ROLE), &[US]);
    let (status, reason, message) = case.told();
    assert_eq!((status, reason), ("False", "ServiceAccountMissing"));
    assert!(message.contains(CONTROLLER) && !message.contains(SERVER), "{message}");
    let none = Case::new(&both);
    assert!(none.told().2.contains("argocd-application-controller, argocd-server"));
}

#[test]
fn an_annotation_that_is_taken_off_again_and_again_is_told_and_written_no_more() {
    let mut case = Case::plain().account(SERVER, None, &[]);
    let uid = format!("uid-{SERVER}");
    case.written.insert(uid.clone(), TRIES - 1);
    assert_eq!(case.steps(), ["Bind argocd-server"]);
    case.written.insert(uid.clone(), TRIES);
    let (status, reason, message) = case.told();
    assert_eq!((status, reason), ("False", "Fought"));
    for part in [SERVER, "argocd-install", "kubectl annotate mgr default"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    // It stands again by somebody's hand, or another service account took the name.
    let stands = Case {
        written: case.written.clone(),
        ..Case::plain().account(SERVER, Some(ROLE), &[HELM])
    };
    assert_eq!(stands.told().1, "Bound");
    case.written = BTreeMap::from([("uid-of-one-that-was".to_owned(), TRIES)]);
    assert_eq!(case.steps(), ["Bind argocd-server"]);
}

#[test]
fn what_is_asked_for_no_more_is_let_go_and_only_what_is_ours() {
    let narrower = Case::plain()
        .account(SERVER, Some(ROLE), &[US])
        .account(CONTROLLER, Some(ROLE), &[US])
        .account("theirs", Some(ROLE), &[HELM]);
    assert_eq!(narrower.steps(), ["Release argocd-application-controller"]);
    let off = json!({"bindServiceAccounts": false});
    for by in [&[US] as &[By], &[US, HELM]] {
        assert_eq!(
            Case::new(&off).account(SERVER, Some(ROLE), by).steps(),
            ["Release argocd-server"]
        );
    }
    assert_eq!(Case::new(&off).account(SERVER, Some(ROLE), &[HELM]).steps(), NONE);
    // Also while the role is not known to stand.
    let mut unready = Case::new(&off).account(SERVER, Some(ROLE), &[US]);
    unready.request.role = None;
    assert_eq!(unready.steps(), ["Release argocd-server"]);
    let mut unready = Case::plain().account(SERVER, None, &[]);
    unready.request.role = None;
    assert_eq!(unready.steps(), NONE);
}

#[test]
fn without_binding_it_says_what_to_annotate_unless_that_is_done() {
    let off = json!({"bindServiceAccounts": false, "serviceAccounts": [SERVER, CONTROLLER]});
    let case = Case::new(&off)
        .account(SERVER, None, &[])
        .account(CONTROLLER, None, &[]);
    let (status, reason, message) = case.told();
    assert_eq!((status, reason), ("False", "NotManaged"));
    let command = format!("`kubectl annotate serviceaccount -n argocd {CONTROLLER} {SERVER} {ROLE_ANNOTATION}={ROLE}`");
    assert!(message.contains(&command), "{message}");
    let done = Case::new(&off)
        .account(SERVER, Some(ROLE), &[HELM])
        .account(CONTROLLER, Some(ROLE), &[HELM]);
    assert_eq!((done.told().0, done.told().1), ("True", "NotManaged"));
    let half = Case::new(&off)
        .account(SERVER, Some(ROLE), &[HELM])
        .account(CONTROLLER, Some(OTHER), &[HELM]);
    assert_eq!(half.told().1, "BoundElsewhere");
    let running = done.pod("p", SERVER, None).workload("Deployment", "d", SERVER);
    assert_eq!(running.told().1, "RestartNeeded");
}

fn bound(change: &Value) -> Case {
    let mut change = change.clone();
    change["serviceAccounts"] = json!([SERVER, CONTROLLER]);
    Case::new(&change)
        .account(SERVER, Some(ROLE), &[US])
        .account(CONTROLLER, Some(ROLE), &[HELM])
}

#[test]
fn workloads_whose_pods_started_before_are_named_with_the_command() {
    let case = bound(&json!({}))
        .workload("Deployment", "release-argocd-server", SERVER)
        .workload("StatefulSet", "release-argocd-application-controller", CONTROLLER)
        .workload("Deployment", "redis", "argocd-redis")
        .pod("server-1", SERVER, None)
        .pod("controller-0", CONTROLLER, Some(OTHER))
        .pod("redis-1", "argocd-redis", None);
    let (status, reason, message) = case.told();
    assert_eq!((status, reason), ("False", "RestartNeeded"));
    let command = "`kubectl rollout restart -n argocd deployment/release-argocd-server statefulset/release-argocd-application-controller`";
    assert!(message.contains(command), "{message}");
    assert_eq!(case.plan().look_again(), Some(Duration::from_mins(1)));
    // A pod of each that has the role is enough to be let be; one that has not is not.
    let half = bound(&json!({}))
        .workload("Deployment", "d", SERVER)
        .pod("new", SERVER, Some(ROLE))
        .pod("old", SERVER, None);
    assert_eq!(half.told().1, "RestartNeeded");
    let fine = bound(&json!({}))
        .workload("DaemonSet", "d", SERVER)
        .pod("new", SERVER, Some(ROLE));
    assert_eq!(fine.told().1, "Bound");
}

#[test]
fn pods_that_ended_or_are_ending_do_not_count_and_those_without_a_workload_are_named() {
    let mut case = bound(&json!({"restartWorkloads": true})).pod("alone", SERVER, None);
    let (_, reason, message) = case.told();
    assert_eq!(reason, "RestartNeeded");
    assert!(
        message.contains("alone") && !message.contains("rollout restart"),
        "{message}"
    );
    case.pods[0]["status"]["phase"] = json!("Succeeded");
    assert_eq!(case.told().1, "Bound");
    case.pods[0]["status"]["phase"] = json!("Running");
    case.pods[0]["metadata"]["deletionTimestamp"] = json!(NOW);
    assert_eq!(case.told().1, "Bound");
    // A selector that does not choose the pod, or another service account, makes a workload another's.
    let mut other = bound(&json!({"restartWorkloads": true}))
        .pod("p", SERVER, None)
        .workload("Deployment", "d", SERVER);
    other.workloads[0]["spec"]["selector"] =
        json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": [SERVER]}]});
    assert_eq!(other.told().1, "RestartNeeded");
    other.workloads[0]["spec"]["selector"] = json!({"matchLabels": {"app": SERVER}});
    assert_eq!(other.steps(), ["Restart d"]);
    other.workloads[0]["spec"]["template"]["spec"]["serviceAccountName"] = json!("another");
    assert!(other.told().2.contains("no Deployment"));
}

#[test]
fn each_workload_that_needs_it_is_restarted_once_for_a_role() {
    let on = json!({"restartWorkloads": true});
    let mut case = bound(&on)
        .workload("Deployment", "server", SERVER)
        .workload("StatefulSet", "controller", CONTROLLER)
        .pod("server-1", SERVER, None)
        .pod("server-2", SERVER, None)
        .pod("controller-0", CONTROLLER, Some(ROLE));
    assert_eq!(case.steps(), ["Restart server"]);
    // Restarted: its old pods are on their way out, however long that takes.
    case.workloads[0] = workload("Deployment", "server", SERVER, Some(ROLE));
    let (status, reason, message) = case.told();
    assert_eq!((status, reason), ("False", "Restarting"));
    assert!(message.contains("deployment/server"), "{message}");
    assert_eq!(case.plan().look_again(), Some(Duration::from_secs(10)));
    // The new ones have the role.
    case.pods[0] = pod("server-3", SERVER, Some(ROLE), Some(ROLE));
    case.pods[1] = pod("server-4", SERVER, Some(ROLE), Some(ROLE));
    assert_eq!(case.told().1, "Bound");
    // Or they have it not, and another restart would change nothing.
    case.pods[0] = pod("server-3", SERVER, None, Some(ROLE));
    let (status, reason, message) = case.told();
    assert_eq!((status, reason), ("False", "NotInjected"));
    assert!(message.contains("server-3") && message.contains("webhook"), "{message}");
    // Another role is another matter.
    case.workloads[0] = workload("Deployment", "server", SERVER, Some(OTHER));
    case.pods[0] = pod("server-3", SERVER, Some(OTHER), Some(OTHER));
    assert_eq!(case.steps(), ["Restart server"]);
    // A paused Deployment would not move.
    case.workloads[0]["spec"]["paused"] = json!(true);
    assert_eq!(case.told().1, "RestartNeeded");
}

/// Whoever owns the pod template takes the annotations of a restart off, and the webhook does not act: the pods that come
/// are as those that went.
#[test]
fn a_restart_that_is_undone_is_told_and_not_done_again() {
    let on = json!({"restartWorkloads": true});
    let mut case = bound(&on)
        .workload("Deployment", "server", SERVER)
        .pod("server-1", SERVER, None);
    case.restarted.insert("uid-server".into(), ROLE.into());
    let (status, reason, message) = case.told();
    assert_eq!((status, reason), ("False", "RestartUndone"));
    for part in [
        "deployment/server",
        RESTARTED_FOR,
        "kubectl annotate mgr default",
        "rollout restart -n argocd",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(case.plan().look_again(), Some(Duration::from_mins(1)));
    // The webhook acted all the same: there is nothing to tell.
    case.pods[0] = pod("server-1", SERVER, Some(ROLE), None);
    assert_eq!(case.told().1, "Bound");
    // Where Mooring restarts nothing, a person is told to.
    case.pods[0] = pod("server-1", SERVER, None, None);
    case.request.restart = false;
    assert_eq!(case.told().1, "RestartNeeded");
    // For another role, or of another workload, it was never done.
    case.request.restart = true;
    case.restarted = [("uid-server".to_owned(), OTHER.to_owned())].into();
    assert_eq!(case.steps(), ["Restart server"]);
    case.restarted = [("uid-of-one-that-was".to_owned(), ROLE.to_owned())].into();
    assert_eq!(case.steps(), ["Restart server"]);
}

/// An upgrade by Helm annotates the service account and replaces the pods at once: nothing is left to restart.
#[test]
fn what_is_being_replaced_already_is_waited_for() {
    let on = json!({"restartWorkloads": true});
    for (kind, on_its_way, done) in [
        (
            "Deployment",
            json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 1}),
            json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2}),
        ),
        (
            "StatefulSet",
            json!({"observedGeneration": 2, "replicas": 1, "currentRevision": "a", "updateRevision": "b"}),
            json!({"observedGeneration": 2, "replicas": 1, "currentRevision": "b", "updateRevision": "b"}),
        ),
        (
            "DaemonSet",
            json!({"observedGeneration": 2, "currentNumberScheduled": 2, "updatedNumberScheduled": 1, "desiredNumberScheduled": 2, "numberMisscheduled": 0, "numberReady": 1}),
            json!({"observedGeneration": 2, "currentNumberScheduled": 2, "updatedNumberScheduled": 2, "desiredNumberScheduled": 2, "numberMisscheduled": 0, "numberReady": 2}),
        ),
    ] {
        let mut case = bound(&on).workload(kind, "w", SERVER).pod("p", SERVER, None);
        case.workloads[0]["metadata"]["generation"] = json!(2);
        case.workloads[0]["status"] = on_its_way;
        assert_eq!(case.told().1, "Restarting", "{kind}");
        assert_eq!(case.plan().look_again(), Some(Duration::from_secs(10)));
        if kind != "Deployment" {
            let mut by_hand = case.workloads[0].clone();
            by_hand["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
            let waits_for_nobody = Case {
                workloads: vec![by_hand],
                ..bound(&on).pod("p", SERVER, None)
            };
            assert_eq!(waits_for_nobody.steps(), ["Restart w"], "{kind}");
        }
        case.workloads[0]["status"] = done;
        assert_eq!(case.steps(), ["Restart w"], "{kind}");
        case.workloads[0]["metadata"]["generation"] = json!(3);
        assert_eq!(case.told().1, "Restarting", "{kind}: not looked at yet");
        // Whoever restarts by hand is told all the while.
        case.request.restart = false;
        assert_eq!(case.told().1, "RestartNeeded", "{kind}");
    }
}

#[test]
fn a_restart_waits_until_the_webhook_knows_the_annotation() {
    let at = |second: &str| -> By {
        (
            "mooring-bind-default",
            "Apply",
            Box::leak(format!("2026-11-01T{second}Z").into_boxed_str()),
        )
    };
    let case = |second: &str| {
        Case::new(&json!({"restartWorkloads": true}))
            .account(SERVER, Some(ROLE), &[at(second)])
            .workload("Deployment", "server", SERVER)
            .pod("p", SERVER, None)
    };
    let fresh = case("11:59:58");
    assert_eq!(fresh.told().1, "Restarting");
    assert_eq!(fresh.plan().settling, Some(Duration::from_secs(3)));
    assert_eq!(fresh.plan().look_again(), Some(Duration::from_secs(3)));
    assert_eq!(case("11:59:55").steps(), ["Restart server"]);
    // A clock that is ahead of the API server's, or behind it by an hour, does not stop it.
    assert_eq!(case("13:00:00").steps(), ["Restart server"]);
    assert_eq!(case("12:00:00").plan().settling, Some(SETTLE));
}

/// The webhook gives a pod one of the two, and an association goes before the annotation.
#[test]
fn a_pod_by_pod_identity_is_never_restarted_nor_said_to_lack_the_role() {
    let on = json!({"restartWorkloads": true});
    for (change, words) in [
        (on.clone(), "delete-pod-identity-association"),
        (existing(&on), "has nothing to bind"),
    ] {
        let mut case =
            bound(&change)
                .workload("Deployment", "server", SERVER)
                .pod("controller-0", CONTROLLER, Some(ROLE));
        for restarted_for in [None, Some(ROLE)] {
            case.pods.push(by_pod_identity("server-1", SERVER, restarted_for));
            let (status, reason, message) = case.told();
            assert_eq!((status, reason), ("Unknown", "PodIdentity"), "{restarted_for:?}");
            for part in [
                SERVER,
                ROLE,
                words,
                "list-pod-identity-associations --region eu-west-1 --cluster-name hub --namespace argocd",
            ] {
                assert!(message.contains(part), "{part}: {message}");
            }
            assert!(!message.contains(CONTROLLER), "{message}");
            case.pods.pop();
        }
        assert_eq!(case.plan().look_again(), None);
        // Beside it one that started with nothing: a person restarts that, since the restart meets the other too.
        case.pods.push(by_pod_identity("server-1", SERVER, None));
        for restarted_for in [None, Some(ROLE)] {
            case.pods.push(pod("server-old", SERVER, None, restarted_for));
            case.workloads[0] = workload("Deployment", "server", SERVER, restarted_for);
            let (status, reason, message) = case.told();
            assert_eq!((status, reason), ("False", "RestartNeeded"), "{restarted_for:?}");
            assert!(message.contains("deployment/server"), "{message}");
            case.pods.pop();
        }
        // Old pods go on by what they have.
        case.pods.push(pod("server-old", SERVER, Some(ROLE), None));
        assert_eq!(case.told().1, "PodIdentity");
    }
}

#[test]
fn an_existing_role_that_lets_no_web_identity_in_is_named_on_no_service_account() {
    let both = existing(&json!({"serviceAccounts": [SERVER, CONTROLLER]}));
    let mut case = Case::new(&both)
        .account(SERVER, None, &[])
        .account(CONTROLLER, None, &[]);
    assert_eq!(
        case.steps(),
        ["Bind argocd-application-controller", "Bind argocd-server"]
    );
    case.request.untrusted = [SERVER.to_owned()].into();
    assert_eq!(case.steps(), ["Bind argocd-application-controller"]);
    case.request.untrusted.insert(CONTROLLER.to_owned());
    let (status, reason, message) = case.told();
    assert_eq!((status, reason), ("False", "WebIdentityNotTrusted"));
    for part in [
        "argocd-application-controller, argocd-server",
        "annotates none of them",
        "aws eks create-pod-identity-association --region eu-west-1 --cluster-name hub --namespace argocd --role-arn arn:aws:iam::111111111111:role/mooring/management",
        "sts:AssumeRoleWithWebIdentity",
        "system:serviceaccount:argocd:NAME",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(case.plan().look_again(), Some(Duration::from_mins(1)));
    // Their associations were made, and the pods of one restarted since.
    case.pods = vec![by_pod_identity("server-1", SERVER, None)];
    let (_, reason, message) = case.told();
    assert_eq!(reason, "WebIdentityNotTrusted");
    assert!(message.contains("them: argocd-application-controller."), "{message}");
    assert!(message.contains("nothing to bind: argocd-server."), "{message}");
    case.pods.push(by_pod_identity("controller-0", CONTROLLER, None));
    assert_eq!((case.told().0, case.told().1), ("Unknown", "PodIdentity"));
    // What runs by the role's name is refused by now, and is to be restarted for the association.
    case.pods.push(pod("server-old", SERVER, Some(ROLE), None));
    assert_eq!(case.told().1, "RestartNeeded");
    case.pods.pop();
    // What cannot be looked at may run by an association.
    case.unseen = Some("could not list pods: forbidden");
    assert_eq!((case.told().0, case.told().1), ("Unknown", "NotLookedAt"));
}

/// An annotation that stood before, ours or theirs, is left where it is: it is in nobody's way.
#[test]
fn what_names_a_role_that_lets_no_web_identity_in_is_told_and_kept() {
    for by in [US, HELM] {
        let mut case =
            Case::new(&existing(&json!({})))
                .account(SERVER, Some(ROLE), &[by])
                .pod("server-1", SERVER, Some(ROLE));
        assert_eq!(case.told().1, "Bound");
        case.request.untrusted = [SERVER.to_owned()].into();
        assert_eq!((case.told().0, case.told().1), ("False", "WebIdentityNotTrusted"));
        case.pods = vec![by_pod_identity("server-1", SERVER, None)];
        assert_eq!((case.told().0, case.told().1), ("Unknown", "PodIdentity"));
    }
    let off = existing(&json!({"bindServiceAccounts": false}));
    let mut case = Case::new(&off).account(SERVER, Some(ROLE), &[US]);
    case.request.untrusted = [SERVER.to_owned()].into();
    assert_eq!(case.steps(), ["Release argocd-server"]);
}

/// Both ways give the role: whoever moves from one to the other.
#[test]
fn what_runs_by_an_association_needs_no_annotation_of_an_existing_role() {
    for (bind, value, by) in [
        (true, None, &[] as &[By]),
        (true, Some(OTHER), &[HELM]),
        (false, None, &[]),
        (true, Some(ROLE), &[US]),
    ] {
        let mut case = Case::new(&existing(&json!({"bindServiceAccounts": bind}))).account(SERVER, value, by);
        case.pods = vec![by_pod_identity("server-1", SERVER, None)];
        assert_eq!((case.told().0, case.told().1), ("Unknown", "PodIdentity"), "{value:?}");
        // No association gives a role that Mooring makes.
        let mut irsa = Case::new(&json!({"bindServiceAccounts": bind})).account(SERVER, value, by);
        irsa.pods.clone_from(&case.pods);
        if value.is_none() && bind {
            assert_eq!(irsa.steps(), ["Bind argocd-server"]);
        } else if value != Some(ROLE) {
            assert!(
                ["BoundElsewhere", "NotManaged"].contains(&irsa.told().1),
                "{}",
                irsa.told().1
            );
            assert!(
                irsa.told().2.contains("delete-pod-identity-association"),
                "{}",
                irsa.told().2
            );
        }
    }
}

/// Which container is Argo CD's own does not show.
#[test]
fn a_sidecar_with_a_role_of_its_own_decides_nothing() {
    let mut case = bound(&json!({"restartWorkloads": true}))
        .workload("Deployment", "server", SERVER)
        .pod("server-1", SERVER, Some(ROLE));
    let own = json!([{"name": "AWS_ROLE_ARN", "value": OTHER}]);
    case.pods[0]["spec"]["containers"][0]["env"] = own.clone();
    assert_eq!(case.told().1, "Bound");
    case.pods = vec![pod("server-1", SERVER, None, None)];
    case.pods[0]["spec"]["containers"][0]["env"] = own.clone();
    assert_eq!(case.steps(), ["Restart server"]);
    case.pods = vec![by_pod_identity("server-1", SERVER, None)];
    case.pods[0]["spec"]["containers"][0]["env"] = own;
    assert_eq!(case.told().1, "PodIdentity");
}

#[test]
fn what_cannot_be_looked_at_is_unknown_and_said_beside_what_is_known() {
    let unseen = Case {
        unseen: Some("could not list pods: forbidden"),
        ..Case::plain().account(SERVER, Some(ROLE), &[US])
    };
    let (status, reason, message) = unseen.told();
    assert_eq!((status, reason), ("Unknown", "NotLookedAt"));
    assert!(
        message.contains("could not list pods: forbidden") && message.contains("10-rbac.yaml"),
        "{message}"
    );
    let worse = Case {
        unseen: Some("no"),
        ..Case::plain().account(SERVER, Some(OTHER), &[HELM])
    };
    assert_eq!((worse.told().0, worse.told().1), ("False", "BoundElsewhere"));
    assert_eq!(worse.plan().look_again(), Some(Duration::from_mins(1)));
}

#[test]
fn the_role_counts_only_while_hub_and_role_are_known_to_be_right() {
    let mut object = hub::object(&json!({}));
    assert_eq!(Request::of(&object).role, None);
    let status = |hub: &str, role: &str| {
        let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "reason": "R", "message": "m", "lastTransitionTime": NOW});
        json!({"conditions": [condition("HubReady", hub), condition("RoleReady", role), condition("Ready", "False")], "role": {"arn": ROLE, "id": "A"}})
    };
    for (hub, role, stands) in [
        ("True", "True", true),
        ("False", "True", false),
        ("True", "Unknown", false),
        ("Unknown", "True", false),
    ] {
        object.status = Some(from_value(status(hub, role)).unwrap());
        assert_eq!(Request::of(&object).role.is_some(), stands, "{hub} {role}");
    }
}

/// In a condition the first obstacle gives the reason, and all are told.
#[test]
fn several_obstacles_are_told_together() {
    let three = json!({"serviceAccounts": [SERVER, CONTROLLER, "gone"]});
    let case = Case::new(&three)
        .account(SERVER, Some(ROLE), &[US])
        .account(CONTROLLER, Some(OTHER), &[HELM])
        .workload("Deployment", "d", SERVER)
        .pod("p", SERVER, None);
    let plan = case.plan();
    let reasons: Vec<_> = plan.obstacles.iter().map(Obstacle::reason).collect();
    assert_eq!(reasons, ["ServiceAccountMissing", "BoundElsewhere", "RestartNeeded"]);
    let (_, reason, message) = case.told();
    assert_eq!(reason, "ServiceAccountMissing");
    assert!(
        message.contains("gone") && message.contains("helm") && message.contains("deployment/d"),
        "{message}"
    );
}
