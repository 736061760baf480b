//! A stage with its operator, and the words in which the tests speak of it.

pub(crate) mod bootstrap;
mod describe;
pub(crate) mod hands;
pub(crate) mod judged;
pub(crate) mod manifest;
pub(crate) mod relay;
pub(crate) mod secrets;
pub(crate) mod verifier;

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use k8s_openapi::api::{
    coordination::v1::{Lease, LeaseSpec},
    core::v1::Secret,
    events::v1::Event,
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use mooring::domain::{
    arn::{ClusterArn, RoleArn},
    hub::Hub,
};
use mooring_sandbox::{
    aws::{self, Call},
    control_plane::{AuditMark, AuditedCall},
    stage::{self, ClusterSpec, Fleet, Operator, OperatorOptions, Signal, Stage},
};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Two stages at a time: each takes 300 MB.
static STAGES: Semaphore = Semaphore::const_new(2);

/// Makes room for so many stages more, for a test that nothing runs beside.
pub(crate) fn make_room(stages: usize) {
    STAGES.add_permits(stages);
}

/// What the operator logs last where it lost its lease.
const LOST: &str = "the lease is lost: this process ends";

/// Long enough for a machine that does other things too; nothing is asserted on time.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) const HUB_ACCOUNT: &str = "111111111111";
pub(crate) const NAMESPACE: &str = "argocd";
pub(crate) const LEASE: &str = "mooring-controller";

/// What a world is made of.
pub(crate) struct Setting {
    pub(crate) fleet: Fleet,
    pub(crate) aws: aws::Settings,
    /// The `ManagementRole`, which the accounts are set up for.
    pub(crate) management: Value,
    /// Boundaries that deployer roles may bear besides `AWSDenyAll`.
    pub(crate) boundaries: Vec<String>,
    pub(crate) flags: Vec<String>,
    /// Whether the operator goes through the faulting proxy in front of the API server.
    pub(crate) proxied: bool,
}

impl Setting {
    /// A hub and these spokes, each `account/region/name`, and a `ManagementRole` that allows what the tests ask for.
    pub(crate) fn of(spokes: &[&str]) -> Self {
        let spoke = |text: &&str| {
            let parts: Vec<&str> = text.split('/').collect();
            ClusterSpec::new(parts[0], parts[1], parts[2])
        };
        let fleet = Fleet {
            hub: ClusterSpec::new(HUB_ACCOUNT, "eu-west-1", "hub"),
            spokes: spokes.iter().map(spoke).collect(),
        };
        Self {
            management: manifest::management_role(&fleet),
            fleet,
            aws: aws::Settings::default(),
            boundaries: Vec::new(),
            flags: Vec::new(),
            proxied: false,
        }
    }

    pub(crate) fn flag(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }
}

/// A stage on which the operator runs.
pub(crate) struct World {
    pub(crate) stage: Stage,
    pub(crate) setting: Setting,
    operator: Mutex<Option<Operator>>,
    logs: Mutex<String>,
    asked: AtomicU64,
    _permit: SemaphorePermit<'static>,
}

impl World {
    /// Starts stage and operator, without any object of ours.
    pub(crate) async fn start(setting: Setting) -> Self {
        let world = Self::without_operator(setting).await;
        world.install().await;
        world.start_operator().await;
        world
    }

    /// Starts the stage only, and sets its accounts up: not even the CRDs are there.
    pub(crate) async fn without_operator(setting: Setting) -> Self {
        let permit = STAGES.acquire().await.unwrap();
        let stage = Stage::start(setting.fleet.clone(), setting.aws.clone()).await.unwrap();
        stage.bootstrap(&bootstrap::printed(&setting)).unwrap();
        if setting.proxied {
            stage.proxy().await.unwrap();
        }
        let argocd = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        stage.hub.apply_yaml(&argocd.to_string()).await.unwrap();
        for file in ["00-namespace.yaml", "10-rbac.yaml"] {
            stage.apply_file(&folder("deploy/install").join(file)).await.unwrap();
        }
        Self {
            stage,
            setting,
            operator: Mutex::default(),
            logs: Mutex::default(),
            asked: AtomicU64::new(0),
            _permit: permit,
        }
    }

    /// Starts stage and operator, and waits until the management role stands.
    pub(crate) async fn ready(setting: Setting) -> Self {
        let world = Self::start(setting).await;
        world.apply(&world.setting.management.clone()).await;
        world.is_ready("ManagementRole", "default").await;
        world
    }

    /// The definitions of our kinds.
    pub(crate) async fn install(&self) {
        self.stage.apply_folder(&folder("crds")).await.unwrap();
    }

    pub(crate) async fn start_operator(&self) {
        let operator = Operator::start(&self.stage, &self.operator_options()).await.unwrap();
        *self.operator() = Some(operator);
    }

    /// How the operator is run.
    pub(crate) fn operator_options(&self) -> OperatorOptions {
        let said = |flag: &str| self.setting.flags.iter().any(|given| given == flag);
        // Tests remove more than anybody would by accident.
        let defaults = [("--log-level", "info,mooring=debug"), ("--removals-per-hour", "0")];
        let unsaid = defaults.into_iter().filter(|(flag, _)| !said(flag));
        let flags = ["--log-format", "json"]
            .into_iter()
            .chain(unsaid.flat_map(|(flag, value)| [flag, value]))
            .map(str::to_owned)
            .chain(self.setting.flags.iter().cloned());
        OperatorOptions {
            command: "controller",
            binary: env!("CARGO_BIN_EXE_mooring").into(),
            role_arn: format!("arn:aws:iam::{HUB_ACCOUNT}:role/{}", bootstrap::OPERATOR_ROLE),
            namespace: bootstrap::OPERATOR_NAMESPACE.to_owned(),
            service_account: Some(bootstrap::OPERATOR_SERVICE_ACCOUNT.to_owned()),
            flags: flags.collect(),
        }
    }

    pub(crate) fn operator(&self) -> MutexGuard<'_, Option<Operator>> {
        self.operator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the operator by a signal, and gives its exit code. The Lease of one that was killed is made as it was
    /// installed, so that the next one does not wait: nobody can know better that it is dead.
    pub(crate) async fn end_operator(&self, signal: Signal) -> String {
        let operator = self.operator().take().unwrap();
        operator.signal(signal).unwrap();
        let code = operator.wait_for_exit(PATIENCE).await.unwrap();
        if signal == Signal::Kill {
            self.patch_lease(&json!({"spec": null})).await;
        }
        self.logs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_str(&operator.log_text());
        code
    }

    /// Starts the operator again where it ended because it lost its lease, as the kubelet would: a starved machine can
    /// keep it from renewing in time. However else it ended is for the test to see.
    pub(crate) async fn keep_running(&self) {
        let ended = {
            let mut operator = self.operator();
            operator.take_if(|operator| operator.exited().is_some() && operator.log_text().contains(LOST))
        };
        if let Some(operator) = ended {
            eprintln!("the operator lost its lease, and is started again");
            self.logs
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_str(&operator.log_text());
            self.start_operator().await;
        }
    }

    async fn keep_it_running<T>(&self) -> T {
        loop {
            self.keep_running().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Everything that operators of this world logged.
    pub(crate) fn log(&self) -> String {
        let mut text = self.logs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(operator) = self.operator().as_ref() {
            text.push_str(&operator.log_text());
        }
        text
    }

    pub(crate) fn cluster(&self, name: &str) -> &ClusterSpec {
        self.stage
            .fleet
            .clusters()
            .find(|cluster| cluster.name == name)
            .unwrap()
    }

    pub(crate) fn hub(&self) -> Hub {
        Hub {
            cluster: arn(&self.stage.fleet.hub),
            management_role: "default".parse().unwrap(),
        }
    }

    /// The deployer role that a cluster would have.
    pub(crate) fn deployer(&self, name: &str) -> RoleArn {
        self.hub().deployer_role(&arn(self.cluster(name)))
    }

    pub(crate) fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.stage.client().unwrap(), bootstrap::OPERATOR_NAMESPACE)
    }

    /// The operators' Lease.
    pub(crate) async fn lease(&self) -> LeaseSpec {
        let lease = self.leases().get(LEASE).await.unwrap();
        lease.spec.unwrap_or_default()
    }

    pub(crate) async fn patch_lease(&self, patch: &Value) {
        let params = PatchParams::default();
        self.leases().patch(LEASE, &params, &Patch::Merge(patch)).await.unwrap();
    }

    // Objects

    pub(crate) async fn apply(&self, manifest: &Value) {
        self.stage.hub.apply_yaml(&manifest.to_string()).await.unwrap();
    }

    /// Applies the `ManagedCluster` of a cluster of the fleet, with this over the plain one.
    pub(crate) async fn moor(&self, name: &str, spec: Value) {
        self.apply(&manifest::managed_cluster(self.cluster(name), spec)).await;
    }

    pub(crate) async fn get(&self, kind: &str, name: &str) -> Option<Value> {
        let found = self.stage.mooring(kind).unwrap().get_opt(name).await.unwrap();
        found.map(|object| serde_json::to_value(object).unwrap())
    }

    pub(crate) async fn patch(&self, kind: &str, name: &str, patch: Value) {
        self.stage.patch(kind, name, patch).await.unwrap();
    }

    pub(crate) async fn delete(&self, kind: &str, name: &str) {
        let api = self.stage.mooring(kind).unwrap();
        api.delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Waits until an object is as asked; what the operator logged is shown when it does not come to that.
    pub(crate) async fn until(&self, kind: &str, name: &str, what: impl Fn(&Value) -> bool) -> Value {
        let found = tokio::select! {
            found = self.stage.wait(kind, name, PATIENCE, what) => found,
            never = self.keep_it_running() => never,
        };
        let found = found.unwrap_or_else(|error| panic!("{}\n{error}", tail(&self.log())));
        describe::describe(self, kind, name, &found).await;
        found
    }

    pub(crate) async fn is_ready(&self, kind: &str, name: &str) -> Value {
        self.until(kind, name, stage::is_ready).await
    }

    /// Waits until `Ready` has a reason for the present generation.
    pub(crate) async fn until_reason(&self, kind: &str, name: &str, reason: &str) -> Value {
        let observed = |object: &Value| object["status"]["observedGeneration"] == object["metadata"]["generation"];
        self.until(kind, name, |object| {
            stage::ready(object).1 == reason && observed(object)
        })
        .await
    }

    pub(crate) async fn until_gone(&self, kind: &str, name: &str) {
        self.until(kind, name, Value::is_null).await;
    }

    /// Moors a cluster plainly and waits until it is ready.
    pub(crate) async fn moored(&self, name: &str) -> Value {
        self.moor(name, json!({})).await;
        self.is_ready("ManagedCluster", name).await
    }

    /// Waits for anything else.
    pub(crate) async fn eventually<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(Instant::now() < deadline, "{}\nstill not: {what}", tail(&self.log()));
            self.keep_running().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.stage.client().unwrap(), NAMESPACE)
    }

    /// The cluster Secret of a `ManagedCluster`.
    pub(crate) async fn secret(&self, name: &str) -> Option<Secret> {
        self.stage.cluster_secret(NAMESPACE, name).await.unwrap()
    }

    /// The events about an object, as `reason: note`.
    pub(crate) async fn events(&self, name: &str) -> Vec<String> {
        let api: Api<Event> = Api::namespaced(self.stage.client().unwrap(), "default");
        let events = api.list(&ListParams::default()).await.unwrap();
        let about = |event: &Event| {
            event
                .regarding
                .as_ref()
                .is_some_and(|about| about.name.as_deref() == Some(name))
        };
        let text = |event: Event| {
            format!(
                "{}: {}",
                event.reason.unwrap_or_default(),
                event.note.unwrap_or_default()
            )
        };
        events.items.into_iter().filter(about).map(text).collect()
    }

    /// Waits for an event about an object that begins so: they are written after the status that says the same.
    pub(crate) async fn told(&self, object: &str, beginning: &str) -> String {
        self.eventually(&format!("an event `{beginning}` about {object}"), async || {
            let events = self.events(object).await;
            events.into_iter().find(|event| event.starts_with(beginning))
        })
        .await
    }

    // Passes and calls

    /// Asks for a pass.
    pub(crate) async fn ask(&self, kind: &str, name: &str) {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let annotation = json!({"mooring.dev/reconcile-requested-at": format!("{number}")});
        self.patch(kind, name, json!({"metadata": {"annotations": annotation}}))
            .await;
    }

    /// Asks for a pass over an object that calls AWS, and waits until it is over: until the next one, also asked for,
    /// has begun. Passes over one object never overlap.
    pub(crate) async fn whole_pass(&self, kind: &str, name: &str) {
        for _ in 0..2 {
            let mark = self.mark();
            self.ask(kind, name).await;
            self.eventually("a pass", async || {
                let calls = self.calls(name, mark);
                calls
                    .iter()
                    .any(|call| call.operation == "DescribeCluster")
                    .then_some(())
            })
            .await;
        }
    }

    pub(crate) fn mark(&self) -> u64 {
        self.stage.aws.log().mark()
    }

    /// The calls that were made for one object, the entering of its account included.
    pub(crate) fn calls(&self, object: &str, mark: u64) -> Vec<Call> {
        let session = format!("{object}@{}", self.stage.fleet.hub.name);
        let mut calls = self.stage.aws.log().since(mark);
        calls.retain(|call| {
            let by = call.caller.as_ref().and_then(|caller| caller.session.as_ref());
            by.is_some_and(|by| by.session_name == session) || call.text("RoleSessionName") == Some(&session)
        });
        calls
    }

    /// The writes that were made on AWS for one object, in order.
    pub(crate) fn writes(&self, object: &str, mark: u64) -> Vec<String> {
        let calls = self.calls(object, mark);
        calls
            .into_iter()
            .filter(|call| call.write)
            .map(|call| call.operation)
            .collect()
    }

    pub(crate) async fn audit_mark(&self) -> AuditMark {
        self.stage.hub.audit_mark().await.unwrap()
    }

    /// The operator's own writes to Kubernetes.
    pub(crate) async fn kubernetes_writes(&self, mark: AuditMark) -> Vec<AuditedCall> {
        let user = format!(
            "system:serviceaccount:{}:{}",
            bootstrap::OPERATOR_NAMESPACE,
            bootstrap::OPERATOR_SERVICE_ACCOUNT
        );
        self.stage.hub.writes_by(&user, mark).await.unwrap()
    }

    /// No call was ever refused for want of permission, except by a fault or where a test made it so.
    pub(crate) fn never_denied(&self) {
        self.never_denied_but(|_| false);
    }

    /// The same where a test takes away by hand what a pass is just looking at.
    pub(crate) fn never_denied_but(&self, expected: impl Fn(&Call) -> bool) {
        let denied: Vec<String> = (self.stage.aws.log().all().into_iter())
            .filter(|call| call.error().is_some_and(|code| code.starts_with("AccessDenied")) && !call.fault)
            .filter(|call| !expected(call))
            .map(|call| format!("{} {:?} {:?}", call.operation, call.input, call.checks))
            .collect();
        assert!(denied.is_empty(), "denied: {denied:#?}");
    }
}

pub(crate) fn arn(cluster: &ClusterSpec) -> ClusterArn {
    ClusterArn {
        region: cluster.region.parse().unwrap(),
        account: cluster.account.parse().unwrap(),
        name: cluster.name.parse().unwrap(),
    }
}

/// A condition's status, reason and message.
pub(crate) fn condition(object: &Value, kind: &str) -> Option<(String, String, String)> {
    let conditions = object["status"]["conditions"].as_array()?;
    let found = conditions.iter().find(|condition| condition["type"] == kind)?;
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    Some((text("status"), text("reason"), text("message")))
}

/// The message of `Ready`.
pub(crate) fn message(object: &Value) -> String {
    condition(object, "Ready").unwrap_or_default().2
}

/// A GET of an operator's own address: status and body; nothing where it does not answer within 10 s.
pub(crate) fn get(operator: &Operator, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(operator.address()?).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: mooring\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
}

/// A folder of the project.
pub(crate) fn folder(path: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The end of a log, fit to be read.
pub(crate) fn tail(log: &str) -> String {
    let told = |line: &&str| !line.contains("\"outcome\":\"ok\"");
    let lines: Vec<String> = (log.lines().filter(told))
        .map(|line| line.chars().skip(14).take(400).collect())
        .collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
