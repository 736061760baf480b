//! `mooring plan`: it tells what the operator then does, exactly, and does nothing itself.

mod laid_over;
mod role_removal;

use std::collections::BTreeMap;

use kube::api::{Patch, PatchParams};
use mooring_sandbox::{control_plane::AuditMark, stage};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    adopt::{Wired, by_hand_manager, hand_made_trust},
    letting_go::{application, argocd, set},
    support::{
        HUB_ACCOUNT, NAMESPACE, Setting, World,
        bootstrap::OPERATOR_NAMESPACE,
        folder,
        hands::{loose_trust, policy_arn},
        judged::fed,
        manifest::{ADMIN, EDIT, VIEW, managed_cluster},
        verifier::VERIFIER,
    },
};

/// A person who has on the hub what is shipped for people, and nothing else.
const PERSON: &str = "person";

/// What a plan said.
struct Said {
    code: i32,
    /// By kind and name.
    objects: BTreeMap<String, Value>,
    text: String,
}

impl Said {
    /// The names of the steps on an object.
    fn steps(&self, object: &str) -> Vec<String> {
        let changes = self.objects[object]["changes"].as_array().unwrap();
        let step = |change: &Value| change["step"].as_str().unwrap().to_owned();
        changes.iter().map(step).collect()
    }

    fn change(&self, object: &str, step: &str) -> &Value {
        let changes = self.objects[object]["changes"].as_array().unwrap();
        let found = changes.iter().find(|change| change["step"] == step);
        found.unwrap_or_else(|| panic!("no {step}: {}", self.text))
    }
}

/// The calls by which the operator carries the steps of AWS out.
fn calls(steps: &[String]) -> Vec<&str> {
    let call = |step: &String| match step.as_str() {
        "CreateRole" => Some("CreateRole"),
        "PutPolicy" => Some("PutRolePolicy"),
        "SetTrust" => Some("UpdateAssumeRolePolicy"),
        "CreateAccessEntry" => Some("CreateAccessEntry"),
        "SetGroups" | "SetUsername" => Some("UpdateAccessEntry"),
        "Associate" | "Rescope" => Some("AssociateAccessPolicy"),
        "Disassociate" => Some("DisassociateAccessPolicy"),
        "DeletePolicy" => Some("DeleteRolePolicy"),
        "DeleteRole" => Some("DeleteRole"),
        "ApplySecret" => None,
        other => panic!("a step that this test does not know: {other}"),
    };
    steps.iter().filter_map(call).collect()
}

struct Planner {
    world: World,
    mark: AuditMark,
}

impl Planner {
    async fn new(setting: Setting) -> Self {
        let world = World::start(setting).await;
        let shipped = folder("deploy/install").join("40-reader-rbac.yaml");
        world.stage.apply_file(&shipped).await.unwrap();
        let subjects = json!([{"kind": "ServiceAccount", "name": PERSON, "namespace": OPERATOR_NAMESPACE}]);
        let of = |kind: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "mooring-reader"});
        for object in [
            json!({"apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": {"name": PERSON, "namespace": OPERATOR_NAMESPACE}}),
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": PERSON},
                "roleRef": of("ClusterRole"), "subjects": subjects}),
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "metadata": {"name": PERSON, "namespace": NAMESPACE}, "roleRef": of("Role"), "subjects": subjects}),
        ] {
            world.apply(&object).await;
        }
        let mark = world.audit_mark().await;
        Self { world, mark }
    }

    /// Runs the command as a person whose AWS credentials the reader roles let in.
    async fn plan(&self, arguments: &[&str], files: &[&Value]) -> Said {
        let hub = &self.world.stage.fleet.hub;
        let lifetime = std::time::Duration::from_hours(1);
        let kubeconfig = self
            .world
            .stage
            .hub
            .kubeconfig_for_service_account(OPERATOR_NAMESPACE, PERSON, lifetime);
        let cluster = format!("arn:aws:eks:{}:{}:cluster/{}", hub.region, hub.account, hub.name);
        let role = format!("arn:aws:iam::{HUB_ACCOUNT}:role/{VERIFIER}");
        let aws = &self.world.stage.aws;
        let pod = aws.pod_identity(&role, &cluster, OPERATOR_NAMESPACE, VERIFIER, "laptop");
        let mut command = Command::new(env!("CARGO_BIN_EXE_mooring"));
        command.args(["plan", "-o", "json"]).args(arguments);
        if !files.is_empty() {
            command.args(["-f", "-"]);
        }
        command
            .env_clear()
            .envs(aws.env())
            .envs(pod.unwrap())
            .env("KUBECONFIG", kubeconfig.await.unwrap());
        let documents: Vec<String> = files.iter().map(|file| format!("---\n{file}\n")).collect();
        let output = fed(&mut command, &documents.concat()).await;
        let out = String::from_utf8(output.stdout).unwrap();
        let text = format!("{out}{}", String::from_utf8(output.stderr).unwrap());
        let objects: Vec<Value> = serde_json::from_str(&out).unwrap_or_default();
        let name = |object: &Value| {
            let part = |key: &str| object[key].as_str().unwrap().to_owned();
            format!("{} {}", part("kind"), part("name"))
        };
        Said {
            code: output.status.code().unwrap(),
            objects: objects.into_iter().map(|object| (name(&object), object)).collect(),
            text,
        }
    }

    /// Nothing was ever written by whoever planned: not to AWS, where the reader's sessions are known by their name, and
    /// not to Kubernetes.
    async fn wrote_nothing(&self) {
        let log = self.world.stage.aws.log().all();
        let by_reader = |call: &&mooring_sandbox::aws::Call| {
            let session = call.caller.as_ref().and_then(|caller| caller.session.as_ref());
            session.is_some_and(|session| session.role_name == "mooring-reader")
        };
        let reads: Vec<_> = log.iter().filter(by_reader).collect();
        assert!(!reads.is_empty());
        let writes: Vec<_> = reads.iter().filter(|call| call.write).collect();
        assert!(writes.is_empty(), "{writes:#?}");
        let user = format!("system:serviceaccount:{OPERATOR_NAMESPACE}:{PERSON}");
        let calls = self.world.stage.hub.calls_by(&user, self.mark).await.unwrap();
        assert!(!calls.is_empty());
        let writes: Vec<_> = calls.iter().filter(|call| call.is_write()).collect();
        assert!(writes.is_empty(), "{writes:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_tells_exactly_what_applying_then_writes_and_writes_nothing_itself() {
    let planner = Planner::new(Setting::of(&[
        "222222222222/eu-west-1/first",
        "333333333333/eu-central-1/second",
        "222222222222/eu-west-1/third",
    ]))
    .await;
    new_manifests(&planner).await;
    drift(&planner).await;
    narrowed(&planner).await;
    destinations(&planner).await;
    removals(&planner).await;
    standing_back(&planner).await;
    refused(&planner).await;
    planner.wrote_nothing().await;
    planner.world.never_denied();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_tells_of_what_others_made_and_of_what_is_not_done() {
    let spokes = [
        "222222222222/eu-west-1/wired",
        "222222222222/eu-west-1/kept",
        "222222222222/eu-west-1/one",
    ];
    let mut setting = Setting::of(&spokes);
    setting.management["spec"]["allow"][0]["deployerRoles"] = json!(["arn:aws:iam::*:role/argocd-*"]);
    let planner = Planner::new(setting).await;
    let world = &planner.world;
    world.apply(&world.setting.management).await;
    world.is_ready("ManagementRole", "default").await;
    argocd(world).await;
    adoption(&planner).await;
    existing(&planner).await;
    one_role_for_two(&planner).await;
    world.moored("one").await;
    held(&planner).await;
    paused(&planner).await;
    ghost(&planner).await;
    unconfirmed(&planner).await;
    planner.wrote_nothing().await;
}

/// Who deploys to a cluster by hand-wired things gains nothing when those are taken over, and may lose it by what changes.
async fn adoption(planner: &Planner) {
    let world = &planner.world;
    let manager = by_hand_manager(world);
    let wired = Wired::by_hand(world, "wired", &manager).await;
    wired.open(world).await;
    application(world, "argocd/wired", json!({"name": "wired"})).await;
    let theirs = json!([{"clusters": {"selector": {"matchLabels": {"team": "theirs"}}}}]);
    set(world, "argocd/theirs", theirs).await;
    let mut spec = wired.spec();
    spec["argocd"] = json!({"labels": {"team": "ours"}, "shard": 2});
    let manifest = managed_cluster(world.cluster("wired"), spec);
    let said = planner.plan(&[], &[&manifest]).await;
    let object = "ManagedCluster wired";
    assert_eq!(said.code, 2, "{}", said.text);
    let steps = said.steps(object);
    for step in ["AdoptRole", "AdoptAccessEntry", "ApplySecret"] {
        assert!(steps.contains(&step.to_owned()), "{step}: {}", said.text);
    }
    let told = &said.objects[object]["destinations"];
    let lost = json!({"gain": [], "lose": ["ApplicationSet argocd/theirs"]});
    assert_eq!(*told, lost, "{}", said.text);
    let secret = said.change(object, "ApplySecret");
    let words = secret["words"].as_str().unwrap();
    assert!(words.ends_with("it overwrites data shard, label team"), "{words}");
    let values = secret["values"].as_array().unwrap();
    let value = |of: &str| values.iter().find(|value| value["of"] == of);
    let between = |of: &str| value(of).map(|value| (value["before"].clone(), value["after"].clone()));
    assert_eq!(
        between("label team"),
        Some((json!("theirs"), json!("ours"))),
        "{}",
        said.text
    );
    assert_eq!(
        between("shard"),
        Some((json!("<not shown>"), json!("2"))),
        "{}",
        said.text
    );
    for same in ["name", "server"] {
        assert!(value(same).is_none(), "{same}: {}", said.text);
    }
    world.apply(&manifest).await;
    world.is_ready("ManagedCluster", "wired").await;
    assert_eq!(planner.plan(&["--all"], &[]).await.code, 0);
}

/// Somebody else's role is never written to: what it lacks is printed.
async fn existing(planner: &Planner) {
    let world = &planner.world;
    let input = json!({"RoleName": "argocd-kept", "AssumeRolePolicyDocument": hand_made_trust(&by_hand_manager(world)).to_string()});
    world.iam("222222222222", "CreateRole", input);
    let arn = "arn:aws:iam::222222222222:role/argocd-kept";
    let spec = json!({"access": {"deployerRole": {"type": "Existing", "arn": arn}}});
    let said = planner
        .plan(&[], &[&managed_cluster(world.cluster("kept"), spec)])
        .await;
    let object = &said.objects["ManagedCluster kept"];
    assert_eq!(said.code, 2, "{}", said.text);
    assert!(said.steps("ManagedCluster kept").is_empty(), "{}", said.text);
    let waits = object["waitsFor"].to_string();
    assert!(
        waits.contains("Have its owner add this statement") && waits.contains(arn),
        "{}",
        said.text
    );
}

/// Of two that would make one role the second is told of the first, as the operator would tell it.
async fn one_role_for_two(planner: &Planner) {
    let world = &planner.world;
    let of = |cluster: &str, role: &str| {
        let spec = json!({"access": {"deployerRole": {"name": role}}});
        managed_cluster(world.cluster(cluster), spec)
    };
    let (kept, one) = (of("kept", "shared"), of("one", "Shared"));
    let said = planner.plan(&[], &[&kept, &one]).await;
    assert_eq!(said.steps("ManagedCluster kept")[0], "CreateRole", "{}", said.text);
    assert!(said.steps("ManagedCluster one").is_empty(), "{}", said.text);
    let waits = said.objects["ManagedCluster one"]["waitsFor"].to_string();
    assert!(
        waits.contains("ManagedCluster kept") && waits.contains("a role is one object's"),
        "{}",
        said.text
    );
}

/// What its owner holds is not planned to be written, and is told.
async fn held(planner: &Planner) {
    let world = &planner.world;
    let role = world.deployer("one").name.to_string();
    let tags = json!([{"Key": "mooring.dev/hold", "Value": "INC-42"}]);
    world.iam("222222222222", "TagRole", json!({"RoleName": role, "Tags": tags}));
    let edit = json!({"policyArn": policy_arn(EDIT), "accessScope": {"type": "cluster"}});
    world.entry("one", "AssociateAccessPolicy", edit);
    world.role(
        "one",
        "UpdateAssumeRolePolicy",
        json!({"PolicyDocument": loose_trust(HUB_ACCOUNT)}),
    );
    let said = planner.plan(&["--all"], &[]).await;
    let steps = said.steps("ManagedCluster one");
    assert!(!steps.contains(&"SetTrust".to_owned()), "{}", said.text);
    let waits = said.objects["ManagedCluster one"]["waitsFor"].to_string();
    assert!(
        waits.contains("mooring.dev/hold") && waits.contains("INC-42"),
        "{}",
        said.text
    );
    world.iam(
        "222222222222",
        "UntagRole",
        json!({"RoleName": role, "TagKeys": ["mooring.dev/hold"]}),
    );
    let said = planner.plan(&["--all"], &[]).await;
    assert_eq!(
        said.steps("ManagedCluster one"),
        ["SetTrust", "Disassociate"],
        "{}",
        said.text
    );
}

/// What would be done of a paused object is told, and that it is not done.
async fn paused(planner: &Planner) {
    let world = &planner.world;
    let pause = |value: Value| json!({"metadata": {"annotations": {"mooring.dev/paused": value}}});
    world
        .stage
        .patch("ManagedCluster", "one", pause(json!("true")))
        .await
        .unwrap();
    let said = planner.plan(&["--all"], &[]).await;
    let notes = said.objects["ManagedCluster one"]["notes"].to_string();
    let nothing = "so the operator does nothing of this";
    assert!(notes.contains(nothing), "{}", said.text);
    let of_role = |said: &Said| said.objects["ManagementRole default"]["notes"].to_string();
    assert!(!of_role(&said).contains(nothing), "{}", said.text);
    for (value, told) in [(json!("true"), true), (Value::Null, false)] {
        (world.stage.patch("ManagementRole", "default", pause(value)).await).unwrap();
        let said = planner.plan(&["--all"], &[]).await;
        assert_eq!(of_role(&said).contains(nothing), told, "{}", said.text);
    }
    assert_eq!(
        said.steps("ManagedCluster one"),
        ["SetTrust", "Disassociate"],
        "{}",
        said.text
    );
}

/// A role that is gone is made anew, and the entry that was pinned to it after a second look alone. The object is paused.
async fn ghost(planner: &Planner) {
    let world = &planner.world;
    let role = world.deployer("one").name.to_string();
    world.iam("222222222222", "DeleteRole", json!({"RoleName": role}));
    let said = planner.plan(&["--all"], &[]).await;
    let steps = said.steps("ManagedCluster one");
    for step in ["DeleteAccessEntry", "CreateRole", "CreateAccessEntry"] {
        assert!(steps.contains(&step.to_owned()), "{step}: {}", said.text);
    }
    let notes = said.objects["ManagedCluster one"]["notes"].to_string();
    assert!(notes.contains("done only after a second look"), "{}", said.text);
}

/// A hub that is another than the one that was recorded, before the operator has looked: nothing is done for anybody until a
/// person says so.
async fn unconfirmed(planner: &Planner) {
    let world = &planner.world;
    world.end_operator(stage::Signal::Terminate).await;
    let issuer = world.stage.fleet.hub.issuer();
    let api = world.stage.mooring("ManagementRole").unwrap();
    let recorded = Patch::Merge(json!({"status": {"hub": {"issuer": format!("{issuer}-former")}}}));
    let params = PatchParams::default();
    api.patch_status("default", &params, &recorded).await.unwrap();
    let said = planner.plan(&["--all"], &[]).await;
    assert_eq!(said.code, 1, "{}", said.text);
    assert!(said.steps("ManagementRole default").is_empty(), "{}", said.text);
    let confirm = format!("kubectl annotate mgr default --overwrite mooring.dev/confirm-hub={issuer}");
    let waits = said.objects["ManagementRole default"]["waitsFor"].to_string();
    assert!(waits.contains(&confirm), "{}", said.text);
    for name in ["one", "wired"] {
        let object = &said.objects[&format!("ManagedCluster {name}")];
        assert!(object["why"].to_string().contains(&confirm), "{name}: {}", said.text);
        assert!(
            object.get("changes").is_none_or(|changes| changes == &json!([])),
            "{}",
            said.text
        );
    }
    let confirmed = json!({"metadata": {"annotations": {"mooring.dev/confirm-hub": issuer}}});
    world.patch("ManagementRole", "default", confirmed).await;
    let said = planner.plan(&["--all"], &[]).await;
    let waits = said.objects["ManagementRole default"]["waitsFor"].to_string();
    assert!(!waits.contains("confirm-hub"), "{}", said.text);
    assert!(
        said.steps("ManagedCluster one").contains(&"CreateRole".to_owned()),
        "{}",
        said.text
    );
}

/// Nothing is there: neither on the hub nor in AWS.
async fn new_manifests(planner: &Planner) {
    let world = &planner.world;
    let management = world.setting.management.clone();
    let first = managed_cluster(world.cluster("first"), json!({}));
    let said = planner.plan(&[], &[&management, &first]).await;
    assert_eq!(said.code, 2, "{}", said.text);
    let (of_role, of_cluster) = (said.steps("ManagementRole default"), said.steps("ManagedCluster first"));
    assert_eq!(of_role, ["CreateRole", "PutPolicy"], "{}", said.text);
    assert_eq!(
        of_cluster,
        ["CreateRole", "CreateAccessEntry", "Associate", "ApplySecret"],
        "{}",
        said.text
    );
    let policy = &said.change("ManagementRole default", "PutPolicy")["policy"];
    let pattern = "arn:aws:iam::222222222222:role/mooring/111111111111-eu-west-1-hub/default/*";
    let added = &policy[0]["add"][0];
    assert_eq!(
        (&added["Action"], &added["Resource"]),
        (&json!(["sts:AssumeRole", "sts:TagSession"]), &json!(pattern)),
        "{}",
        said.text
    );

    let mark = world.mark();
    world.apply(&management).await;
    world.is_ready("ManagementRole", "default").await;
    world.moored("first").await;
    assert_eq!(world.writes("default", mark), calls(&of_role));
    assert_eq!(world.writes("first", mark), calls(&of_cluster));
    for arguments in [&["--all"][..], &[]] {
        let files: &[&Value] = if arguments.is_empty() {
            &[&management, &first]
        } else {
            &[]
        };
        let again = planner.plan(arguments, files).await;
        assert_eq!(again.code, 0, "{}", again.text);
    }
}

/// What somebody changed by hand, before the operator looks.
async fn drift(planner: &Planner) {
    let world = &planner.world;
    world.moored("second").await;
    let by_hand = json!({"PolicyDocument": loose_trust(HUB_ACCOUNT)});
    world.role("second", "UpdateAssumeRolePolicy", by_hand);
    let edit = json!({"policyArn": policy_arn(EDIT), "accessScope": {"type": "cluster"}});
    world.entry("second", "AssociateAccessPolicy", edit);
    world.entry("second", "UpdateAccessEntry", json!({"kubernetesGroups": ["masters"]}));
    let said = planner.plan(&["--all"], &[]).await;
    assert_eq!(said.code, 2, "{}", said.text);
    assert_eq!(
        said.objects["ManagedCluster first"]["result"], "Unchanged",
        "{}",
        said.text
    );
    let steps = said.steps("ManagedCluster second");
    assert_eq!(steps, ["SetTrust", "SetGroups", "Disassociate"], "{}", said.text);
    let management = world.hub().management_role_arn(None).to_string();
    let trust = said.change("ManagedCluster second", "SetTrust")["policy"].to_string();
    for part in ["sts:TagSession", "ArnEquals aws:PrincipalArn", &management] {
        assert!(trust.contains(part), "{part}: {}", said.text);
    }
    let lost = |step: &str| said.change("ManagedCluster second", step)["lost"].clone();
    assert_eq!(lost("SetGroups"), json!(["Kubernetes group masters"]));
    assert_eq!(lost("Disassociate"), json!([format!("{EDIT} in the whole cluster")]));

    let mark = world.mark();
    world.ask("ManagedCluster", "second").await;
    world
        .eventually("drift is mended", async || {
            let entry = world.seen_entry("second")?;
            (entry.groups.is_empty() && entry.policies.len() == 1).then_some(())
        })
        .await;
    world.whole_pass("ManagedCluster", "second").await;
    assert_eq!(world.writes("second", mark), calls(&steps));
    let again = planner.plan(&["--all"], &[]).await;
    assert_eq!(again.code, 0, "{}", again.text);
}

/// A manifest that differs from what is applied, and takes access away.
async fn narrowed(planner: &Planner) {
    let world = &planner.world;
    let narrow = json!({"access": {"policies": [{"name": VIEW}, {"name": EDIT, "namespaces": ["team-a"]}]}});
    let manifest = managed_cluster(world.cluster("first"), narrow);
    let said = planner.plan(&[], &[&manifest]).await;
    assert_eq!(said.code, 2, "{}", said.text);
    assert_eq!(said.objects.len(), 1, "{}", said.text);
    let steps = said.steps("ManagedCluster first");
    assert_eq!(steps, ["Associate", "Associate", "Disassociate"], "{}", said.text);
    assert_eq!(
        said.change("ManagedCluster first", "Disassociate")["lost"],
        json!([format!("{ADMIN} in the whole cluster")])
    );
    // Planned, not applied: the hub is as it was.
    assert_eq!(planner.plan(&["--all"], &[]).await.code, 0);
    let mark = world.mark();
    world.apply(&manifest).await;
    world.until("ManagedCluster", "first", stage::is_ready).await;
    assert_eq!(world.writes("first", mark), calls(&steps));
    assert_eq!(planner.plan(&[], &[&manifest]).await.code, 0);
}

/// Applications and ApplicationSets that gain or lose a cluster.
async fn destinations(planner: &Planner) {
    let world = &planner.world;
    argocd(world).await;
    application(world, "argocd/early", json!({"name": "third"})).await;
    application(world, "argocd/elsewhere", json!({"name": "first"})).await;
    let production = json!([{"clusters": {"selector": {"matchLabels": {"env": "prod"}}}}]);
    set(world, "argocd/fleet", production).await;
    let labelled = managed_cluster(world.cluster("third"), json!({"argocd": {"labels": {"env": "prod"}}}));
    let all = json!(["Application argocd/early", "ApplicationSet argocd/fleet"]);
    let said = planner.plan(&[], &[&labelled]).await;
    let told = &said.objects["ManagedCluster third"]["destinations"];
    assert_eq!(*told, json!({"gain": all, "lose": []}), "{}", said.text);
    world.apply(&labelled).await;
    world.is_ready("ManagedCluster", "third").await;
    let renamed = managed_cluster(world.cluster("third"), json!({"argocd": {"name": "other"}}));
    let said = planner.plan(&[], &[&renamed]).await;
    let told = &said.objects["ManagedCluster third"]["destinations"];
    assert_eq!(*told, json!({"gain": [], "lose": all}), "{}", said.text);
    assert_eq!(said.steps("ManagedCluster third"), ["ApplySecret"], "{}", said.text);
}

/// What is not deleted yet, and what is.
async fn removals(planner: &Planner) {
    let world = &planner.world;
    let object = "ManagedCluster third";
    let waits = |said: &Said, part: &str| {
        let waits = said.objects[object]["waitsFor"].as_array().unwrap();
        waits.iter().any(|one| one.as_str().unwrap().contains(part))
    };
    let said = planner.plan(&["--removal", "third"], &[]).await;
    assert_eq!(said.code, 2, "{}", said.text);
    assert_eq!(said.objects.len(), 1, "{}", said.text);
    let all = ["DeleteSecret", "DeleteAccessEntry", "DeleteRole"];
    assert_eq!(said.steps(object), all, "{}", said.text);
    assert!(
        waits(&said, "1 Application still deploys to this cluster (argocd/early)"),
        "{}",
        said.text
    );
    let lost = &said.objects[object]["destinations"]["lose"];
    assert_eq!(
        *lost,
        json!(["Application argocd/early", "ApplicationSet argocd/fleet"]),
        "{}",
        said.text
    );
    assert!(!waits(&said, "removals of ManagedClusters"), "{}", said.text);
    // A Secret without Argo CD's label goes as well.
    let pause = |value: Value| json!({"metadata": {"annotations": {"mooring.dev/paused": value}}});
    world.patch("ManagedCluster", "third", pause(json!("true"))).await;
    world.until_reason("ManagedCluster", "third", "Paused").await;
    let secret = world.secret("third").await.unwrap().metadata.name.unwrap();
    let mark = async |value: Value| {
        let patch = json!({"metadata": {"labels": {"argocd.argoproj.io/secret-type": value}}});
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        world.secrets().patch(&secret, &params, &patch).await.unwrap();
    };
    mark(Value::Null).await;
    let unmarked = planner.plan(&["--removal", "third"], &[]).await;
    assert_eq!(unmarked.steps(object), all, "{}", unmarked.text);
    mark(json!("cluster")).await;
    world.patch("ManagedCluster", "third", pause(Value::Null)).await;
    world.is_ready("ManagedCluster", "third").await;
    // One more than the operator would allow.
    let arguments = ["--removal", "third,second", "--removals-per-hour", "1"];
    let said = planner.plan(&arguments, &[]).await;
    assert!(
        waits(&said, "2 removals of ManagedClusters were asked for"),
        "{}",
        said.text
    );
    let said = planner.plan(&["--removal", "nobody"], &[]).await;
    assert_eq!(said.code, 3);
    assert!(said.text.contains("there is no ManagedCluster nobody"), "{}", said.text);

    // It is as it was, and the same is told once it is deleted.
    assert_eq!(planner.plan(&["--all"], &[]).await.code, 0);
    let mark = world.mark();
    world.delete("ManagedCluster", "third").await;
    world
        .until_reason("ManagedCluster", "third", "ApplicationsStillTargeting")
        .await;
    let said = planner.plan(&["--all"], &[]).await;
    assert_eq!(said.steps(object), all, "{}", said.text);
    assert!(waits(&said, "(argocd/early)"), "{}", said.text);
    assert_eq!(world.writes("third", mark), Vec::<String>::new());
}

/// What the operator does though access is taken away, and what it does not though it is planned.
async fn standing_back(planner: &Planner) {
    let world = &planner.world;
    let object = "ManagedCluster first";
    let access = json!({"policies": [{"name": VIEW}, {"name": EDIT, "namespaces": ["team-a"]}]});
    let cut = managed_cluster(world.cluster("first"), json!({"mode": "Suspended", "access": access}));
    let said = planner.plan(&[], &[&cut]).await;
    assert_eq!(said.code, 2, "{}", said.text);
    assert_eq!(said.steps(object), ["DeleteAccessEntry"], "{}", said.text);
    let lost = |said: &Said| said.change(object, "DeleteAccessEntry")["lost"].to_string();
    assert!(
        lost(&said).contains(VIEW) && lost(&said).contains("team-a"),
        "{}",
        said.text
    );
    // A spec that asks for too much keeps nobody's access, and hides nothing of what is done.
    let access = json!({"policies": [{"name": "AmazonEKSAdminViewPolicy"}]});
    let beyond = managed_cluster(world.cluster("first"), json!({"mode": "Suspended", "access": access}));
    let said = planner.plan(&[], &[&beyond]).await;
    assert_eq!(said.code, 1, "{}", said.text);
    assert_eq!(said.steps(object), ["DeleteAccessEntry"], "{}", said.text);
    assert!(lost(&said).contains(VIEW), "{}", said.text);
    let unseen = said.objects[object]["notLookedAt"].to_string();
    assert!(
        unseen.contains("does not allow access policy AmazonEKSAdminViewPolicy"),
        "{}",
        said.text
    );

    let observed = managed_cluster(
        world.cluster("first"),
        json!({"mode": "Observe", "access": {"policies": [{"name": VIEW}]}}),
    );
    let said = planner.plan(&[], &[&observed]).await;
    assert_eq!(said.steps(object), ["Disassociate"], "{}", said.text);
    let notes = said.objects[object]["notes"].to_string();
    assert!(
        notes.contains("spec.mode is Observe, so the operator does nothing of this"),
        "{}",
        said.text
    );
}

/// What cannot be planned is said, with the other objects' plans, and the exit code is another.
async fn refused(planner: &Planner) {
    let world = &planner.world;
    let mut outside = managed_cluster(world.cluster("second"), json!({"accountId": "444444444444"}));
    outside["metadata"]["name"] = json!("outside");
    let mut nobodys = managed_cluster(world.cluster("second"), json!({"managementRole": "nobody"}));
    nobodys["metadata"]["name"] = json!("nobodys");
    let second = managed_cluster(
        world.cluster("second"),
        json!({"access": {"kubernetesGroups": ["team-a"]}}),
    );
    let said = planner.plan(&[], &[&outside, &nobodys, &second]).await;
    assert_eq!(said.code, 1, "{}", said.text);
    for (name, part) in [("outside", "444444444444"), ("nobodys", "no ManagementRole nobody")] {
        let object = &said.objects[&format!("ManagedCluster {name}")];
        assert_eq!(object["result"], "Refused", "{}", said.text);
        assert!(object["why"].as_str().unwrap().contains(part), "{}", said.text);
    }
    assert_eq!(said.steps("ManagedCluster second"), ["SetGroups"], "{}", said.text);

    // A cluster of that name is not there: it is waited for, and nothing is made.
    let mut missing = managed_cluster(world.cluster("second"), json!({"clusterName": "elsewhere"}));
    missing["metadata"]["name"] = json!("missing");
    let said = planner.plan(&[], &[&missing]).await;
    assert_eq!(said.code, 2, "{}", said.text);
    assert!(said.steps("ManagedCluster missing").is_empty());
    assert_eq!(
        said.objects["ManagedCluster missing"]["waitsFor"]
            .as_array()
            .unwrap()
            .len(),
        1
    );

    let nothing = planner
        .plan(&[], &[&json!({"apiVersion": "v1", "kind": "List", "items": []})])
        .await;
    assert_eq!(nothing.code, 3);
    assert!(
        nothing.text.contains("neither a ManagedCluster nor a ManagementRole"),
        "{}",
        nothing.text
    );
}
