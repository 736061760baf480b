//! What is refused: told to the person who can act, and nothing made.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, PostParams};
use mooring::argocd::{Connection, Presentation};
use mooring_sandbox::{
    aws::{AuthenticationMode, ClusterStatus},
    stage,
};
use serde_json::{Value, json};

use crate::support::{
    HUB_ACCOUNT, Setting, World, condition, folder,
    hands::{iam_tags, loose_trust, policy_arn},
    manifest::{ADMIN, EDIT, VIEW, managed_cluster},
    message,
};

/// Waits for a reason, and sees that a person is asked to act.
async fn refused(world: &World, name: &str, reason: &str, words: &str) -> Value {
    let object = world.until_reason("ManagedCluster", name, reason).await;
    let (status, told, text) =
        condition(&object, "Stalled").unwrap_or_else(|| panic!("{name} is not stalled: {object:#}"));
    assert_eq!((status.as_str(), told.as_str()), ("True", reason));
    assert!(text.contains(words), "{name}: {text}");
    assert_eq!(condition(&object, "Ready").unwrap().0, "False");
    object
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_allowed_is_refused_before_any_call_and_what_stands_is_kept() {
    let mut setting = Setting::of(&[
        "222222222222/eu-west-1/policy",
        "222222222222/eu-west-1/scope",
        "222222222222/eu-west-1/group",
        "222222222222/eu-west-1/project",
        "222222222222/eu-west-1/no-project",
        "222222222222/eu-west-2/region",
        "222222222222/eu-west-1/another-name",
        "222222222222/eu-west-1/kept",
        "444444444444/eu-west-1/account",
        "111111111111/eu-west-1/not-hub",
    ]);
    let clusters = ["policy", "scope", "group", "project", "no-project", "region", "kept"];
    let spoke = json!({
        "accounts": ["222222222222"], "regions": ["eu-west-1"], "clusters": clusters,
        "accessPolicies": [{"name": VIEW, "scope": "Cluster"}, {"name": EDIT, "scope": "Namespace"}],
        "kubernetesGroups": ["team-*"], "projects": ["team-*"],
    });
    let hub = json!({"accounts": [HUB_ACCOUNT], "accessPolicies": [{"name": VIEW, "scope": "Cluster"}]});
    setting.management["spec"]["allow"] = json!([spoke, hub]);
    let world = World::ready(setting).await;
    let view = |over: Value| {
        let mut spec = json!({"access": {"policies": [{"name": VIEW}]}, "argocd": {"project": "team-a"}});
        crate::support::manifest::merge(&mut spec, over);
        spec
    };
    let asked = [
        (
            "policy",
            view(json!({"access": {"policies": [{"name": ADMIN}]}})),
            ADMIN,
        ),
        ("scope", view(json!({"access": {"policies": [{"name": EDIT}]}})), EDIT),
        (
            "group",
            view(json!({"access": {"kubernetesGroups": ["masters"]}})),
            "masters",
        ),
        ("project", view(json!({"argocd": {"project": "platform"}})), "platform"),
        (
            "no-project",
            json!({"access": {"policies": [{"name": VIEW}]}}),
            "project",
        ),
        ("region", view(json!({})), "eu-west-2"),
        ("another-name", view(json!({})), "another-name"),
        ("account", view(json!({})), "444444444444"),
    ];
    let mark = world.mark();
    for (name, spec, _) in &asked {
        world.moor(name, spec.clone()).await;
    }
    for (name, _, words) in &asked {
        refused(&world, name, "NotAllowed", words).await;
        assert!(world.calls(name, mark).is_empty(), "{name}");
        assert!(world.secret(name).await.is_none(), "{name}");
    }
    kept(&world, view(json!({}))).await;
    // Even an object that is refused can be removed.
    world.delete("ManagedCluster", "policy").await;
    world.until_gone("ManagedCluster", "policy").await;
    world.never_denied();
    other_hubs(&world).await;
}

/// One that asks for less is made, and one that was made goes on when it asks for too much: nothing is taken away.
async fn kept(world: &World, spec: Value) {
    world.moor("kept", spec).await;
    world.is_ready("ManagedCluster", "kept").await;
    let (role, entry, secret) = (
        world.seen_role("kept"),
        world.seen_entry("kept"),
        world.secret("kept").await,
    );
    let (mark, assumable) = (world.mark(), world.assumable());
    let mut shrunk = world.setting.management["spec"]["allow"].clone();
    shrunk[0]["accessPolicies"] = json!([{"name": EDIT, "scope": "Namespace"}]);
    world
        .patch("ManagementRole", "default", json!({"spec": {"allow": shrunk}}))
        .await;
    let object = refused(world, "kept", "NotAllowed", VIEW).await;
    assert!(message(&object).contains("kept as it is"), "{}", message(&object));
    world.is_ready("ManagementRole", "default").await;
    let now = (
        world.seen_role("kept"),
        world.seen_entry("kept"),
        world.secret("kept").await,
    );
    let trusted = role.clone();
    assert_eq!(now, (role, entry, secret));
    assert_eq!((world.assumable(), world.writes("kept", mark)), (assumable, Vec::new()));
    // What somebody adds meanwhile is told, and goes once the spec is allowed again.
    let added = json!({"policyArn": policy_arn(ADMIN), "accessScope": {"type": "cluster"}});
    world.entry("kept", "AssociateAccessPolicy", added);
    world.ask("ManagedCluster", "kept").await;
    let object = world
        .until("ManagedCluster", "kept", |object| {
            condition(object, "AccessEntryReady")
                .is_some_and(|(_, reason, told)| reason == "NotAllowed" && told.contains(ADMIN))
        })
        .await;
    assert!(message(&object).contains(&format!("Besides, its access entry gives access policy {ADMIN}")));
    // And so is who may act as its role by now.
    let loose = json!({"PolicyDocument": crate::support::hands::loose_trust(HUB_ACCOUNT)});
    world.role("kept", "UpdateAssumeRolePolicy", loose);
    world.ask("ManagedCluster", "kept").await;
    world
        .until("ManagedCluster", "kept", |object| {
            condition(object, "DeployerRoleReady")
                .is_some_and(|(_, reason, told)| reason == "NotAllowed" && told.contains("restore the trust policy"))
        })
        .await;
    assert_eq!(world.writes("kept", mark), Vec::<String>::new());
    let allow = world.setting.management["spec"]["allow"].clone();
    world
        .patch("ManagementRole", "default", json!({"spec": {"allow": allow}}))
        .await;
    world.is_ready("ManagedCluster", "kept").await;
    assert_eq!(world.seen_role("kept"), trusted);
    assert_eq!(
        world.seen_entry("kept").unwrap().policies,
        [(VIEW.to_owned(), "*".to_owned())].into()
    );
}

/// A `ManagementRole` that is missing, names another cluster, or writes to a namespace that is not served.
async fn other_hubs(world: &World) {
    let named = |name: &str, of: &str| {
        let mut manifest = managed_cluster(world.cluster("no-project"), json!({"clusterName": "no-project"}));
        manifest["metadata"]["name"] = json!(name);
        manifest["spec"]["managementRole"] = json!(of);
        manifest
    };
    let management = |name: &str, spec: Value| {
        let mut manifest = world.setting.management.clone();
        manifest["metadata"]["name"] = json!(name);
        crate::support::manifest::merge(&mut manifest["spec"], spec);
        manifest["spec"]["allow"][0]["accessPolicies"] = json!([{"name": ADMIN, "scope": "Cluster"}]);
        manifest["spec"]["allow"][0]["projects"] = json!(["*"]);
        manifest
    };
    let mark = world.mark();
    world.apply(&named("orphan", "nobody")).await;
    refused(
        world,
        "orphan",
        "ManagementRoleMissing",
        "there is no ManagementRole nobody",
    )
    .await;

    world
        .apply(&management("mismatch", json!({"cluster": {"name": "not-hub"}})))
        .await;
    let object = world.until_reason("ManagementRole", "mismatch", "HubMismatch").await;
    let described = world.cluster("not-hub").issuer();
    assert!(message(&object).contains(&described), "{}", message(&object));
    assert_eq!(condition(&object, "HubReady").unwrap().0, "False");
    world.apply(&named("waits", "mismatch")).await;
    let waiting = world
        .until_reason("ManagedCluster", "waits", "ManagementRoleNotReady")
        .await;
    assert!(message(&waiting).contains("HubMismatch"), "{}", message(&waiting));

    let existing = |role: &str| {
        let arn = format!("arn:aws:iam::{HUB_ACCOUNT}:role/{role}");
        json!({"identity": {"type": "Existing", "roleArn": arn}, "argocdNamespace": "elsewhere"})
    };
    // Argo CD is not handed what Mooring works by.
    for own in ["mooring-operator", "mooring-provisioner"] {
        world.apply(&management("own", existing(own))).await;
        let object = world.until_reason("ManagementRole", "own", "InvalidSpec").await;
        assert!(
            message(&object).contains("by which Mooring enters every account"),
            "{}",
            message(&object)
        );
        world.delete("ManagementRole", "own").await;
        world.until_gone("ManagementRole", "own").await;
    }
    let input = json!({"RoleName": "argocd", "AssumeRolePolicyDocument": loose_trust(HUB_ACCOUNT)});
    world.iam(HUB_ACCOUNT, "CreateRole", input);
    world.apply(&management("elsewhere", existing("argocd"))).await;
    let object = world
        .until_reason("ManagementRole", "elsewhere", "NamespaceNotServed")
        .await;
    assert_eq!(condition(&object, "Stalled").unwrap().1, "NamespaceNotServed");
    assert_eq!(condition(&object, "RoleReady").unwrap().0, "True");
    let policy = condition(&object, "PolicyReady").unwrap();
    assert_eq!((policy.0.as_str(), policy.1.as_str()), ("Unknown", "NotLookedAt"));
    world
        .until("ManagementRole", "elsewhere", |object| {
            condition(object, "ServiceAccountsBound").is_some_and(|bound| {
                bound.1 == "NamespaceNotServed"
                    && bound
                        .2
                        .contains("does not let in the web identities of argocd-application-controller")
            })
        })
        .await;
    world.apply(&named("unserved", "elsewhere")).await;
    refused(world, "unserved", "NamespaceNotServed", "--argocd-namespace elsewhere").await;

    for name in ["orphan", "waits", "unserved"] {
        assert!(world.calls(name, mark).is_empty(), "{name}");
    }
    for name in ["mismatch", "elsewhere"] {
        assert_eq!(world.writes(name, mark), Vec::<String>::new(), "{name}");
    }
    // It comes, and everything goes on.
    for name in ["orphan", "waits", "unserved"] {
        world.delete("ManagedCluster", name).await;
        world.until_gone("ManagedCluster", name).await;
    }
    for name in ["mismatch", "elsewhere"] {
        world.delete("ManagementRole", name).await;
        world.until_gone("ManagementRole", name).await;
    }
}

/// Whoever writes workloads where an Argo CD runs, or the operator, has the fleet.
#[tokio::test(flavor = "multi_thread")]
async fn on_the_hub_a_namespace_of_an_argo_cd_or_of_the_operator_takes_more_than_a_namespace() {
    let mut setting = Setting::of(&[]).flag(&["--argocd-namespace", "argocd,argocd-two"]);
    setting.management["spec"]["allow"] =
        json!([{"accounts": [HUB_ACCOUNT], "accessPolicies": [{"name": EDIT, "scope": "Namespace"}]}]);
    let world = World::without_operator(setting).await;
    world.install().await;
    let second = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "argocd-two"}});
    world.apply(&second).await;
    let rights = std::fs::read_to_string(folder("deploy/install").join("10-rbac.yaml")).unwrap();
    let rights = rights.replace("namespace: argocd\n", "namespace: argocd-two\n");
    world.stage.hub.apply_yaml(&rights).await.unwrap();
    world.start_operator().await;
    world.apply(&world.setting.management.clone()).await;
    world.is_ready("ManagementRole", "default").await;
    let edit = |namespace: &str| {
        json!({
            "access": {"policies": [{"name": EDIT, "namespaces": [namespace]}]}, "argocd": {"namespaces": ["team-a"]},
        })
    };
    let mark = world.mark();
    for (namespace, reached) in [
        ("argocd", "argocd"),
        ("argocd-two", "argocd-two"),
        ("argocd-*", "argocd-two"),
        ("mooring-system", "mooring-system"),
        ("*s*", "mooring-system, kube-system"),
    ] {
        world.moor("hub", edit(namespace)).await;
        let says = format!(", which match {reached}");
        refused(&world, "hub", "NotAllowed", &says).await;
    }
    assert!(world.calls("hub", mark).is_empty());
    assert!(
        world.assumable().is_empty(),
        "nor does the management role's policy grow"
    );
    world.moor("hub", edit("team-a")).await;
    world.is_ready("ManagedCluster", "hub").await;
    world.never_denied();
}

#[tokio::test(flavor = "multi_thread")]
async fn clusters_that_cannot_be_moored_and_secrets_of_others_are_told() {
    let world = World::ready(Setting::of(&[
        "222222222222/eu-west-1/config-map",
        "222222222222/eu-west-1/missing",
        "222222222222/eu-west-1/creating",
        "222222222222/eu-west-1/failed",
        "333333333333/eu-west-1/same-server",
        "333333333333/eu-west-1/same-name",
        "333333333333/eu-west-1/name-taken",
        "333333333333/eu-west-1/first",
        "222222222222/eu-west-1/second",
    ]))
    .await;
    tokio::join!(unusable(&world), other_secrets(&world));
    world.never_denied();
}

async fn unusable(world: &World) {
    let aws = &world.stage.aws;
    let change = |name: &str, change: &dyn Fn(&mut mooring_sandbox::aws::ClusterSeed)| {
        let spec = world.cluster(name);
        aws.update_cluster(&spec.account, &spec.region, name, change).unwrap();
    };
    change("config-map", &|seed| {
        seed.authentication_mode = AuthenticationMode::ConfigMap
    });
    change("creating", &|seed| seed.status = ClusterStatus::Creating);
    change("failed", &|seed| seed.status = ClusterStatus::Failed);
    aws.remove_cluster("222222222222", "eu-west-1", "missing").unwrap();
    for name in ["config-map", "creating", "failed", "missing"] {
        world.moor(name, json!({})).await;
    }
    refused(world, "config-map", "AccessEntriesDisabled", "API_AND_CONFIG_MAP").await;
    refused(world, "missing", "ClusterNotFound", "EKS has no cluster missing in account 222222222222, region eu-west-1 (DescribeCluster: ResourceNotFoundException)").await;
    refused(world, "failed", "ClusterNotActive", "FAILED").await;
    let waiting = world
        .until_reason("ManagedCluster", "creating", "ClusterNotActive")
        .await;
    assert_eq!(condition(&waiting, "Stalled"), None, "it comes by itself");
    for name in ["config-map", "creating", "failed", "missing"] {
        assert_eq!(world.writes(name, 0), Vec::<String>::new(), "{name}");
        assert_eq!(world.seen_role(name), None, "{name}");
    }
    // Nobody asks for a pass here: a cluster that is being made is looked at again by itself.
    change("creating", &|seed| seed.status = ClusterStatus::Active);
    world.is_ready("ManagedCluster", "creating").await;
    change("config-map", &|seed| {
        seed.authentication_mode = AuthenticationMode::ApiAndConfigMap
    });
    world.ask("ManagedCluster", "config-map").await;
    world.is_ready("ManagedCluster", "config-map").await;
}

/// A cluster Secret that somebody else wrote.
async fn put(world: &World, name: &str, label: bool, data: &[(&str, &str)]) -> Secret {
    let text: BTreeMap<&str, &str> = data.iter().copied().collect();
    let mut manifest = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": text});
    if label {
        manifest["metadata"]["labels"] = json!({"argocd.argoproj.io/secret-type": "cluster"});
    }
    let secret = serde_json::from_value(manifest).unwrap();
    world.secrets().create(&PostParams::default(), &secret).await.unwrap()
}

async fn other_secrets(world: &World) {
    let server = world.cluster("same-server").endpoint();
    // Argo CD reads a server without its trailing slashes.
    let slash = format!("{server}/");
    put(world, "by-hand-server", true, &[("server", &slash), ("name", "mine")]).await;
    put(
        world,
        "by-hand-name",
        true,
        &[("server", "https://example.com"), ("name", "same-name")],
    )
    .await;
    let spec = world.cluster("name-taken");
    let described = world.eks("name-taken", "DescribeCluster", json!({}));
    let authority = described["cluster"]["certificateAuthority"]["data"].as_str().unwrap();
    let connection = Connection {
        server: spec.endpoint(),
        certificate_authority: authority.to_owned(),
        cluster_name: spec.name.clone(),
        role_arn: String::new(),
    };
    let own_name = connection.present(&Presentation::default(), "", "").unwrap().name;
    let taken = put(world, &own_name, false, &[("password", "theirs")]).await;

    for (name, reason, by) in [
        ("same-server", "DuplicateCluster", "by-hand-server"),
        ("same-name", "DuplicateCluster", "by-hand-name"),
        ("name-taken", "SecretNotOurs", own_name.as_str()),
    ] {
        world.moor(name, json!({})).await;
        let object = refused(world, name, reason, by).await;
        assert_eq!(
            condition(&object, "AccessEntryReady").unwrap().0,
            "True",
            "what comes before is made"
        );
        assert!(world.secret(name).await.is_none());
    }
    assert_eq!(world.secrets().get(&own_name).await.unwrap(), taken, "untouched");
    for (name, secret) in [
        ("same-server", "by-hand-server"),
        ("same-name", "by-hand-name"),
        ("name-taken", &own_name),
    ] {
        world.secrets().delete(secret, &DeleteParams::default()).await.unwrap();
        if name == "name-taken" {
            // It bore no label of Argo CD's, so nobody watches it.
            world.ask("ManagedCluster", name).await;
        }
        world.is_ready("ManagedCluster", name).await;
    }
    // Two of ours that want one name: the first has it, and nobody fights.
    let same = json!({"argocd": {"name": "the-same"}});
    world.moor("first", same.clone()).await;
    world.is_ready("ManagedCluster", "first").await;
    world.moor("second", same).await;
    refused(world, "second", "DuplicateCluster", "has the same name").await;
    world.delete("ManagedCluster", "first").await;
    world.until_gone("ManagedCluster", "first").await;
    world.is_ready("ManagedCluster", "second").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_made_under_our_names_is_never_used() {
    let setting = Setting::of(&[
        "222222222222/eu-west-1/settled",
        "222222222222/eu-west-1/other-path",
        "222222222222/eu-west-1/other-case",
        "222222222222/eu-west-1/named",
        "222222222222/eu-west-1/untagged",
        "222222222222/eu-west-1/untagged-again",
        "222222222222/eu-west-1/of-another",
        "222222222222/eu-west-1/forged",
        "222222222222/eu-west-1/forged-open",
        "222222222222/eu-west-1/forged-policy",
        "222222222222/eu-west-1/swapped",
        "222222222222/eu-west-1/entry",
        "222222222222/eu-west-1/unmarked",
    ]);
    let world = World::ready(setting.flag(&["--confirm-after", "2s"])).await;
    world.moored("settled").await;
    tokio::join!(
        strangers(&world),
        forged(&world),
        swapped(&world),
        foreign_entry(&world),
        unmarked_entry(&world)
    );
    made_anew(&world).await;
    world.never_denied();
}

/// Whoever makes a refused object anew, as he is told, is not in his own way.
async fn made_anew(world: &World) {
    let spec = json!({"access": {"deployerRole": {"name": "anew"}}});
    make(world, "untagged-again", None, &BTreeMap::new(), true);
    world.moor("untagged-again", json!({})).await;
    refused(world, "untagged-again", "RoleNotOurs", "").await;
    world.delete("ManagedCluster", "untagged-again").await;
    world.until_gone("ManagedCluster", "untagged-again").await;
    world.moor("untagged-again", spec).await;
    world.until_reason("ManagedCluster", "untagged-again", "Moored").await;
}

/// Applies the object paused, so that its UID is known before the operator acts.
async fn announced(world: &World, name: &str) -> String {
    let mut manifest = managed_cluster(world.cluster(name), json!({}));
    manifest["metadata"]["annotations"] = json!({"mooring.dev/paused": "true"});
    world.apply(&manifest).await;
    let object = world.get("ManagedCluster", name).await.unwrap();
    object["metadata"]["uid"].as_str().unwrap().to_owned()
}

async fn let_go(world: &World, name: &str) {
    world
        .patch(
            "ManagedCluster",
            name,
            json!({"metadata": {"annotations": {"mooring.dev/paused": null}}}),
        )
        .await;
}

/// The tags that we would give.
fn marks(world: &World, name: &str, uid: &str) -> BTreeMap<String, String> {
    let hub = world.hub().cluster.to_string();
    [
        ("mooring.dev/hub", hub.as_str()),
        ("mooring.dev/uid", uid),
        ("mooring.dev/object", name),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

fn make(world: &World, name: &str, path: Option<&str>, tags: &BTreeMap<String, String>, boundary: bool) {
    let arn = world.deployer(name);
    let mut input = json!({
        "RoleName": arn.name.as_str(), "Path": path.unwrap_or(&arn.path), "AssumeRolePolicyDocument": loose_trust("222222222222"),
        "Tags": iam_tags(tags),
    });
    if boundary {
        input["PermissionsBoundary"] = json!("arn:aws:iam::aws:policy/AWSDenyAll");
    }
    world.iam("222222222222", "CreateRole", input);
}

/// Roles of our name that do not say they are ours are refused, and not touched.
async fn strangers(world: &World) {
    make(world, "other-path", Some("/mine/"), &BTreeMap::new(), false);
    make(world, "untagged", None, &BTreeMap::new(), true);
    for (name, path) in [
        (world.deployer("other-case").name.as_str().to_ascii_uppercase(), "/"),
        ("Argocd-named".to_owned(), "/mine/"),
    ] {
        let trust = loose_trust("222222222222");
        let input = json!({"RoleName": name, "Path": path, "AssumeRolePolicyDocument": trust});
        world.iam("222222222222", "CreateRole", input);
    }
    make(
        world,
        "of-another",
        None,
        &marks(world, "of-another", "another-uid"),
        true,
    );
    for (name, words) in [
        ("other-path", "/mine/other-path-"),
        ("other-case", "role/OTHER-CASE-"),
        ("named", "role/mine/Argocd-named"),
        ("untagged", "bears no tag of Mooring's"),
        ("of-another", "another-uid"),
    ] {
        let own_name = (name == "named").then_some("argocd-Named");
        let seen = || match own_name {
            Some(own) => world.seen_role_named("222222222222", own),
            None => world.seen_role(name),
        };
        let before = seen().unwrap();
        let spec = own_name.map_or_else(|| json!({}), |own| json!({"access": {"deployerRole": {"name": own}}}));
        world.moor(name, spec).await;
        refused(world, name, "RoleNotOurs", words).await;
        assert_eq!(seen().unwrap(), before);
        assert_eq!(world.writes(name, 0), Vec::<String>::new(), "{name}");
        assert_eq!(world.seen_entry(name), None);
        // Its removal does not touch it either.
        world.delete("ManagedCluster", name).await;
        world.until_gone("ManagedCluster", name).await;
        assert_eq!(seen().unwrap(), before);
        assert_eq!(world.writes(name, 0), Vec::<String>::new(), "{name}");
    }
}

/// A role that was made with our very tags before we came is never pinned to an entry.
async fn forged(world: &World) {
    for (name, boundary) in [("forged", true), ("forged-open", false), ("forged-policy", true)] {
        let uid = announced(world, name).await;
        make(world, name, None, &marks(world, name, &uid), boundary);
    }
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    world.role(
        "forged-policy",
        "PutRolePolicy",
        json!({"PolicyName": "mine", "PolicyDocument": policy.to_string()}),
    );
    let before: BTreeMap<&str, _> = ["forged", "forged-open", "forged-policy"]
        .map(|name| (name, world.seen_role(name).unwrap()))
        .into();
    for name in before.keys() {
        let_go(world, name).await;
    }
    for name in ["forged", "forged-open"] {
        let object = world.is_ready("ManagedCluster", name).await;
        let role = world.seen_role(name).unwrap();
        assert_ne!(role.id, before[name].id, "{name} was made afresh");
        assert_ne!(role.trust, before[name].trust);
        assert_eq!(object["status"]["deployerRole"]["id"], json!(role.id));
        assert_eq!(world.seen_entry(name).unwrap().tags["mooring.dev/role-id"], role.id);
        let calls = world.calls(name, 0);
        let at = |operation: &str| calls.iter().position(|call| call.operation == operation).unwrap();
        assert!(
            at("DeleteRole") < at("CreateRole") && at("CreateRole") < at("CreateAccessEntry"),
            "{name}"
        );
        let looks = calls[..at("DeleteRole")]
            .iter()
            .filter(|call| call.operation == "GetRole")
            .count();
        assert!(looks >= 2, "{name}: two looks agreed");
    }
    let object = refused(world, "forged-policy", "ForeignPolicyAttached", "--policy-name mine`").await;
    assert!(object["status"]["deployerRole"].is_null());
    assert_eq!(world.seen_role("forged-policy").unwrap(), before["forged-policy"]);
    // It is not used after a second look either.
    tokio::time::sleep(Duration::from_secs(3)).await;
    world.whole_pass("ManagedCluster", "forged-policy").await;
    assert_eq!(world.writes("forged-policy", 0), Vec::<String>::new());
}

/// Somebody puts a role of his own, tagged as ours, in the place of the one that we made.
async fn swapped(world: &World) {
    world.moored("swapped").await;
    let before = world.seen_role("swapped").unwrap();
    world.role("swapped", "DeleteRole", json!({}));
    make(world, "swapped", None, &before.tags, true);
    let forged = world.seen_role("swapped").unwrap();
    let mark = world.mark();
    world.ask("ManagedCluster", "swapped").await;
    world
        .until("ManagedCluster", "swapped", |object| {
            stage::is_ready(object) && object["status"]["deployerRole"]["id"] != json!(before.id)
        })
        .await;
    let after = world.seen_role("swapped").unwrap();
    assert!(after.id != forged.id && after.trust == before.trust);
    assert_eq!(
        world.seen_entry("swapped").unwrap().tags["mooring.dev/role-id"],
        after.id
    );
    let writes = world.writes("swapped", mark);
    assert_eq!(
        writes[..4],
        ["DeleteAccessEntry", "DeleteRole", "CreateRole", "CreateAccessEntry"],
        "{writes:?}"
    );
}

/// An entry that somebody else made is refused, and not touched.
async fn foreign_entry(world: &World) {
    let name = "entry";
    world.moored(name).await;
    world.entry(name, "DeleteAccessEntry", json!({}));
    world.entry(name, "CreateAccessEntry", json!({"kubernetesGroups": ["theirs"]}));
    let (before, mark) = (world.seen_entry(name).unwrap(), world.mark());
    world.ask("ManagedCluster", name).await;
    refused(world, name, "AccessEntryNotOurs", "bears no tag of Mooring's").await;
    world.whole_pass("ManagedCluster", name).await;
    assert_eq!(world.seen_entry(name).unwrap(), before);
    assert_eq!(world.writes(name, mark), Vec::<String>::new());
    // Its removal leaves the entry, and takes the role.
    world.delete("ManagedCluster", name).await;
    world.until_gone("ManagedCluster", name).await;
    assert_eq!((world.seen_entry(name).unwrap(), world.seen_role(name)), (before, None));
}

/// Whoever takes our tags off our entry does not take the entry away: it is known by its ARN, and narrowed, suspended and
/// removed like any other.
async fn unmarked_entry(world: &World) {
    let name = "unmarked";
    world.moored(name).await;
    let before = world.seen_entry(name).unwrap();
    let recorded = world.get("ManagedCluster", name).await.unwrap();
    assert_eq!(recorded["status"]["accessEntry"]["arn"], json!(before.arn));
    let untag = |keys: &[&str]| {
        let arn = world.seen_entry(name).unwrap().arn;
        world.eks(name, "UntagResource", json!({"resourceArn": arn, "tagKeys": keys}));
        world.mark()
    };
    let theirs = json!({"kubernetesGroups": ["theirs"], "username": "alice"});
    world.entry(name, "UpdateAccessEntry", theirs);
    let mark = untag(&["mooring.dev/hub", "mooring.dev/uid"]);
    world.ask("ManagedCluster", name).await;
    world
        .eventually("the entry is mended", async || {
            (world.seen_entry(name)? == before).then_some(())
        })
        .await;
    world
        .told(
            name,
            "DriftMended: done: restore the tags of the access entry (mooring.dev/hub, mooring.dev/uid)",
        )
        .await;
    let writes = ["TagResource", "UpdateAccessEntry"];
    assert_eq!(world.writes(name, mark), writes);

    let mark = untag(&["mooring.dev/uid"]);
    let mode = |mode: &str| json!({"spec": {"mode": mode}});
    world.patch("ManagedCluster", name, mode("Suspended")).await;
    world.until_reason("ManagedCluster", name, "Suspended").await;
    assert_eq!(world.seen_entry(name), None);
    assert_eq!(world.writes(name, mark), ["TagResource", "DeleteAccessEntry"]);
    world.patch("ManagedCluster", name, mode("Enforce")).await;
    world.is_ready("ManagedCluster", name).await;

    untag(&["mooring.dev/hub"]);
    world.delete("ManagedCluster", name).await;
    world.until_gone("ManagedCluster", name).await;
    assert_eq!((world.seen_entry(name), world.seen_role(name)), (None, None));
}

/// Two objects that want one name in Argo CD and are looked at side by side: one of them gets it. Who writes nothing, or
/// cannot have it anyway, is in nobody's way.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_clusters_that_want_one_name_at_the_same_time_one_gives_way() {
    let spokes = [
        "222222222222/eu-west-1/one",
        "333333333333/eu-west-1/two",
        "444444444444/eu-west-1/watches",
        "555555555555/eu-west-1/hindered",
    ];
    let world = World::ready(Setting::of(&spokes)).await;
    let same = json!({"argocd": {"name": "same"}});
    world
        .moor("watches", json!({"argocd": {"name": "same"}, "mode": "Observe"}))
        .await;
    world.whole_pass("ManagedCluster", "watches").await;
    let described = world.eks("hindered", "DescribeCluster", json!({}));
    let server = described["cluster"]["endpoint"].as_str().unwrap();
    put(&world, "theirs", true, &[("name", "theirs"), ("server", server)]).await;
    world.moor("hindered", same.clone()).await;
    world
        .until_reason("ManagedCluster", "hindered", "DuplicateCluster")
        .await;
    tokio::join!(world.moor("one", same.clone()), world.moor("two", same));
    let settled = async |name: &str| {
        let object = world
            .until("ManagedCluster", name, |object| {
                ["Moored", "DuplicateCluster"].contains(&stage::ready(object).1.as_str())
            })
            .await;
        stage::ready(&object).1
    };
    let mut reasons = [settled("one").await, settled("two").await];
    reasons.sort();
    assert_eq!(reasons, ["DuplicateCluster", "Moored"]);
    let secrets = [world.secret("one").await, world.secret("two").await];
    assert_eq!(secrets.iter().flatten().count(), 1);
    let (winner, loser) = if secrets[0].is_some() {
        ("one", "two")
    } else {
        ("two", "one")
    };
    let told = world.get("ManagedCluster", loser).await.unwrap();
    assert!(message(&told).contains("same"), "{}", message(&told));
    world.delete("ManagedCluster", winner).await;
    world.until_gone("ManagedCluster", winner).await;
    world.is_ready("ManagedCluster", loser).await;
}
