//! Drift is mended, by whoever it was made, and what users added beside is left alone.

use std::collections::BTreeMap;

use futures::future::join_all;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use mooring_sandbox::stage::is_ready;

use crate::support::{
    HUB_ACCOUNT, Setting, World, condition, folder,
    hands::{SeenEntry, SeenRole, iam_tags, loose_trust, policy_arn},
    manifest::{ADMIN, EDIT, VIEW},
    message,
};

/// One cluster for each harm.
pub(crate) const SPOKES: [&str; 18] = [
    "222222222222/eu-west-1/trust",
    "222222222222/eu-west-1/no-boundary",
    "222222222222/eu-west-1/other-boundary",
    "222222222222/eu-west-1/role-tags",
    "222222222222/eu-west-1/groups",
    "222222222222/eu-west-1/username",
    "222222222222/eu-west-1/extra-policy",
    "222222222222/eu-west-1/scope",
    "222222222222/eu-west-1/lost-policy",
    "333333333333/eu-central-1/entry-tags",
    "333333333333/eu-central-1/lost-entry",
    "333333333333/eu-central-1/lost-role",
    "333333333333/eu-central-1/stale-entry",
    "333333333333/eu-central-1/secret-data",
    "333333333333/eu-central-1/secret-gone",
    "333333333333/eu-central-1/secret-copy",
    "333333333333/eu-central-1/secret-fixed",
    "333333333333/eu-central-1/secret-owned",
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_changed_by_hand_is_put_back_and_then_left_alone() {
    let world = World::without_operator(Setting::of(&SPOKES).flag(&["--confirm-after", "2s"])).await;
    // What RBAC cannot say holds the operator, too.
    let admission = folder("deploy/install").join("11-controller-admission.yaml");
    world.stage.apply_file(&admission).await.unwrap();
    world.install().await;
    world.start_operator().await;
    world.apply(&world.setting.management.clone()).await;
    world.is_ready("ManagementRole", "default").await;
    everything(&world).await;
    world.never_denied();
}

/// Moors the clusters of [`SPOKES`], breaks each in its own way, and sees each mended.
pub(crate) async fn everything(world: &World) {
    let name = |spoke: &str| spoke.rsplit('/').next().unwrap().to_owned();
    for spoke in SPOKES {
        let spec = json!({"access": {
            "policies": [{"name": VIEW}, {"name": EDIT, "namespaces": ["team-a"]}], "kubernetesGroups": ["team-a"],
        }});
        world.moor(&name(spoke), spec).await;
    }
    join_all(SPOKES.map(|spoke| async move {
        world.is_ready("ManagedCluster", &name(spoke)).await;
    }))
    .await;
    tokio::join!(roles(world), entries(world), destructive(world), secrets(world));
    let (mark, audit) = (world.mark(), world.audit_mark().await);
    join_all(SPOKES.map(|spoke| async move { world.whole_pass("ManagedCluster", &name(spoke)).await })).await;
    let writes: Vec<String> = SPOKES
        .iter()
        .flat_map(|spoke| world.writes(&name(spoke), mark))
        .collect();
    assert!(writes.is_empty(), "a second pass finds nothing: {writes:?}");
    let writes = world.kubernetes_writes(audit).await;
    assert!(writes.is_empty(), "{writes:#?}");
    // The spec of one is edited, too.
    for spoke in SPOKES.iter().filter(|spoke| !spoke.ends_with("/secret-fixed")) {
        let events = world.events(&name(spoke)).await;
        let changed: Vec<&String> = events.iter().filter(|event| event.starts_with("Changed: ")).collect();
        assert!(changed.is_empty(), "nobody changed the spec of {spoke}: {changed:?}");
    }
}

#[derive(Debug)]
struct Before {
    role: SeenRole,
    entry: SeenEntry,
}

fn before(world: &World, name: &str) -> Before {
    Before {
        role: world.seen_role(name).unwrap(),
        entry: world.seen_entry(name).unwrap(),
    }
}

/// Asks for a pass and waits until role and entry are what they were, and an event has said what was mended.
async fn mended(world: &World, name: &str, before: &Before, event: &str, writes: &[&str]) {
    let mark = world.mark();
    world.ask("ManagedCluster", name).await;
    world
        .eventually(&format!("{name} is mended"), async || {
            let role = world.seen_role(name)?;
            let entry = world.seen_entry(name)?;
            (role == before.role && entry == before.entry).then_some(())
        })
        .await;
    told(world, name, event).await;
    assert_eq!(world.writes(name, mark), writes, "{name}");
}

async fn told(world: &World, name: &str, event: &str) {
    world
        .eventually(&format!("an event on {name}: {event}"), async || {
            let events = world.events(name).await;
            events
                .iter()
                .any(|text| text.starts_with("DriftMended: ") && text.contains(event))
                .then_some(())
        })
        .await;
}

async fn roles(world: &World) {
    let trust = async {
        let before = before(world, "trust");
        let by_hand = json!({"PolicyDocument": loose_trust(HUB_ACCOUNT)});
        world.role("trust", "UpdateAssumeRolePolicy", by_hand);
        mended(
            world,
            "trust",
            &before,
            "take away statement: Allow sts:AssumeRole to arn:aws:iam::111111111111:root",
            &["UpdateAssumeRolePolicy"],
        )
        .await;
    };
    let no_boundary = async {
        let before = before(world, "no-boundary");
        world.role("no-boundary", "DeleteRolePermissionsBoundary", json!({}));
        let event = "(it had none)";
        mended(world, "no-boundary", &before, event, &["PutRolePermissionsBoundary"]).await;
    };
    let other_boundary = async {
        let before = before(world, "other-boundary");
        let open = json!({"PermissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess"});
        world.role("other-boundary", "PutRolePermissionsBoundary", open);
        let by_hand = json!({"PolicyDocument": loose_trust("222222222222")});
        world.role("other-boundary", "UpdateAssumeRolePolicy", by_hand);
        // The provisioner may change the trust only of a role that has the boundary.
        let writes = ["PutRolePermissionsBoundary", "UpdateAssumeRolePolicy"];
        mended(
            world,
            "other-boundary",
            &before,
            "(it was arn:aws:iam::aws:policy/AdministratorAccess)",
            &writes,
        )
        .await;
    };
    let tags = async {
        let mut before = before(world, "role-tags");
        let keys: Vec<&String> = before.role.tags.keys().collect();
        world.role("role-tags", "UntagRole", json!({"TagKeys": keys}));
        let added: BTreeMap<String, String> = [("owner".to_owned(), "finance".to_owned())].into();
        world.role("role-tags", "TagRole", json!({"Tags": iam_tags(&added)}));
        before.role.tags.extend(added);
        mended(
            world,
            "role-tags",
            &before,
            "(mooring.dev/hub, mooring.dev/object, mooring.dev/uid)",
            &["TagRole"],
        )
        .await;
        let settings = json!({"Description": "theirs", "MaxSessionDuration": 43_200});
        world.role("role-tags", "UpdateRole", settings);
        let event = "set the description and the longest session of";
        mended(world, "role-tags", &before, event, &["UpdateRole"]).await;
    };
    tokio::join!(trust, no_boundary, other_boundary, tags);
}

/// Who the sessions are to Kubernetes.
async fn identities(world: &World) {
    let groups = async {
        let before = before(world, "groups");
        world.entry(
            "groups",
            "UpdateAccessEntry",
            json!({"kubernetesGroups": ["team-a", "masters"]}),
        );
        mended(
            world,
            "groups",
            &before,
            "to [team-a], taking away masters",
            &["UpdateAccessEntry"],
        )
        .await;
    };
    let username = async {
        let before = before(world, "username");
        assert!(before.entry.username.ends_with("/{{SessionName}}"), "{before:?}");
        let input = json!({"username": "alice", "kubernetesGroups": ["masters"]});
        world.entry("username", "UpdateAccessEntry", input);
        let event = format!(
            "the user name of the access entry back to {} (it was alice)",
            before.entry.username
        );
        mended(world, "username", &before, &event, &["UpdateAccessEntry"]).await;
    };
    tokio::join!(groups, username);
}

async fn entries(world: &World) {
    let extra = async {
        let before = before(world, "extra-policy");
        let admin = json!({"policyArn": policy_arn(ADMIN), "accessScope": {"type": "cluster"}});
        world.entry("extra-policy", "AssociateAccessPolicy", admin);
        let event = format!("take away {ADMIN}, associated in the whole cluster");
        mended(world, "extra-policy", &before, &event, &["DisassociateAccessPolicy"]).await;
    };
    let scope = async {
        let before = before(world, "scope");
        let wider = json!({"policyArn": policy_arn(EDIT), "accessScope": {"type": "cluster"}});
        world.entry("scope", "AssociateAccessPolicy", wider);
        let event = format!("hold {EDIT} to namespaces team-a (it was associated in the whole cluster)");
        mended(world, "scope", &before, &event, &["AssociateAccessPolicy"]).await;
    };
    let lost = async {
        let before = before(world, "lost-policy");
        world.entry(
            "lost-policy",
            "DisassociateAccessPolicy",
            json!({"policyArn": policy_arn(VIEW)}),
        );
        let event = format!("associate {VIEW}");
        mended(world, "lost-policy", &before, &event, &["AssociateAccessPolicy"]).await;
    };
    let tags = async {
        let mut before = before(world, "entry-tags");
        let arn = before.entry.arn.clone();
        world.eks(
            "entry-tags",
            "UntagResource",
            json!({"resourceArn": arn, "tagKeys": ["mooring.dev/object"]}),
        );
        world.eks(
            "entry-tags",
            "TagResource",
            json!({"resourceArn": arn, "tags": {"owner": "finance"}}),
        );
        before.entry.tags.insert("owner".to_owned(), "finance".to_owned());
        mended(
            world,
            "entry-tags",
            &before,
            "restore the tags of the access entry (mooring.dev/object)",
            &["TagResource"],
        )
        .await;
    };
    let gone = async {
        let mut before = before(world, "lost-entry");
        world.entry("lost-entry", "DeleteAccessEntry", json!({}));
        let mark = world.mark();
        world.ask("ManagedCluster", "lost-entry").await;
        let entry = world
            .eventually("the entry is made again", async || {
                let entry = world.seen_entry("lost-entry")?;
                (entry.policies == before.entry.policies).then_some(entry)
            })
            .await;
        // An ARN of EKS's ends in an ID.
        before.entry.arn.clone_from(&entry.arn);
        assert_eq!(
            (entry, world.seen_role("lost-entry").unwrap()),
            (before.entry, before.role)
        );
        told(world, "lost-entry", "create the access entry").await;
        let writes = world.writes("lost-entry", mark);
        assert_eq!(
            writes,
            ["CreateAccessEntry", "AssociateAccessPolicy", "AssociateAccessPolicy"]
        );
    };
    tokio::join!(identities(world), extra, scope, lost, tags, gone);
}

/// What only a deletion heals waits for a second look.
async fn destructive(world: &World) {
    let role = async {
        let before = before(world, "lost-role");
        world.role("lost-role", "DeleteRole", json!({}));
        let mark = world.mark();
        world.ask("ManagedCluster", "lost-role").await;
        afresh(world, "lost-role", &before, mark).await;
        let writes = world.writes("lost-role", mark);
        assert_eq!(
            writes[..3],
            ["DeleteAccessEntry", "CreateRole", "CreateAccessEntry"],
            "{writes:?}"
        );
    };
    let entry = async {
        // The tag that says which role an entry was made for is put back: what was recorded of it says so too.
        let before = before(world, "stale-entry");
        let untag = json!({"resourceArn": before.entry.arn, "tagKeys": ["mooring.dev/role-id"]});
        world.eks("stale-entry", "UntagResource", untag);
        let mark = world.mark();
        world.ask("ManagedCluster", "stale-entry").await;
        world
            .until("ManagedCluster", "stale-entry", |_| {
                world
                    .seen_entry("stale-entry")
                    .is_some_and(|entry| entry.tags.contains_key("mooring.dev/role-id"))
            })
            .await;
        assert_eq!(world.writes("stale-entry", mark), ["TagResource"]);
        assert_eq!(world.seen_entry("stale-entry").unwrap(), before.entry);
        assert_eq!(world.seen_role("stale-entry").unwrap(), before.role);
    };
    tokio::join!(role, entry);
}

async fn afresh(world: &World, name: &str, before: &Before, mark: u64) {
    let object = world
        .until("ManagedCluster", name, |object| {
            mooring_sandbox::stage::is_ready(object)
                && world
                    .writes(name, mark)
                    .iter()
                    .any(|write| write == "CreateAccessEntry")
        })
        .await;
    let (role, entry) = (world.seen_role(name).unwrap(), world.seen_entry(name).unwrap());
    assert_eq!(object["status"]["deployerRole"]["id"], json!(role.id));
    assert_eq!(entry.tags["mooring.dev/role-id"], role.id);
    assert_eq!(
        (&entry.policies, &entry.groups),
        (&before.entry.policies, &before.entry.groups)
    );
    let looks = world
        .calls(name, mark)
        .iter()
        .filter(|call| call.operation == "DescribeAccessEntry")
        .count();
    assert!(looks >= 2, "{name} was healed after {looks} look");
    world.told(name, "StalePrincipal: ").await;
}

/// Changes the Secret as a person does.
async fn change(world: &World, secret: &Secret, change: Value) {
    let name = secret.metadata.name.clone().unwrap();
    let patch = Patch::Merge(change);
    world
        .secrets()
        .patch(&name, &PatchParams::default(), &patch)
        .await
        .unwrap();
}

/// Waits until the Secret of a cluster is what it was, whatever others wrote beside.
async fn same(world: &World, name: &str, before: &Secret) -> Secret {
    world
        .eventually(&format!("the Secret of {name} is put back"), async || {
            let now = world.secret(name).await?;
            let label = |secret: &Secret| {
                let labels = secret.metadata.labels.clone().unwrap_or_default();
                labels.get("argocd.argoproj.io/secret-type").cloned()
            };
            let ours = |secret: &Secret| {
                let mut data = secret.data.clone().unwrap_or_default();
                data.remove("note");
                data
            };
            (ours(&now) == ours(before) && label(&now) == label(before)).then_some(now)
        })
        .await
}

async fn secret_data(world: &World) {
    let name = "secret-data";
    let before = world.secret(name).await.unwrap();
    let by_hand = json!({"stringData": {"config": "{}", "note": "by hand"}, "metadata": {"labels": {"mine": "yes"}}});
    change(world, &before, by_hand).await;
    let after = same(world, name, &before).await;
    told(world, name, "(data config)").await;
    assert_eq!(after.data.as_ref().unwrap()["note"], ByteString(b"by hand".to_vec()));
    assert_eq!(
        after.metadata.labels.as_ref().unwrap()["mine"],
        "yes",
        "a label of a user's is left alone"
    );
    assert_eq!(after.metadata.uid, before.metadata.uid);
    change(world, &after, json!({"stringData": {"shard": "7", "project": "other"}})).await;
    same(world, name, &before).await;
    told(world, name, "project, shard").await;
    let unmarked = json!({"argocd.argoproj.io/secret-type": null});
    change(world, &after, json!({"metadata": {"labels": unmarked}})).await;
    same(world, name, &before).await;
    let annotations = json!({"mooring.dev/managed-cluster": null, "mine": "too"});
    change(world, &after, json!({"metadata": {"annotations": annotations}})).await;
    let after = same(world, name, &before).await;
    assert_eq!(after.metadata.annotations.as_ref().unwrap()["mine"], "too");
    // Nothing on it tells any more whose it is, as after `argocd cluster add --upsert`.
    let annotations = json!({"mooring.dev/managed-cluster": null, "mooring.dev/uid": null});
    let anew = json!({"metadata": {"annotations": annotations}, "stringData": {"config": "{}"}});
    change(world, &after, anew).await;
    let after = same(world, name, &before).await;
    assert_eq!(after.metadata.uid, before.metadata.uid);
    let owner = |secret: &Secret| secret.metadata.annotations.as_ref().unwrap()["mooring.dev/uid"].clone();
    assert_eq!(owner(&after), owner(&before));
    told(world, name, "annotation mooring.dev/uid").await;
    // What stays may bring deployments, so it is told; and nobody asks.
    let own = before.metadata.name.as_deref().unwrap();
    let beside = format!("annotation mine, label mine=yes of cluster Secret {own}");
    world
        .until("ManagedCluster", name, |object| {
            let (_, _, secret) = condition(object, "SecretReady").unwrap_or_default();
            is_ready(object) && message(object).contains(&beside) && secret.contains(&beside)
        })
        .await;
}

/// With its owner Kubernetes would delete the Secret, and with that go the Applications of ApplicationSets.
async fn secret_owned(world: &World) {
    let name = "secret-owned";
    let before = world.secret(name).await.unwrap();
    let owner = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "theirs", "uid": "1"}]);
    let disowned = async || {
        world
            .eventually("nobody owns the Secret", async || {
                let now = world.secret(name).await?;
                now.metadata.owner_references.is_none().then_some(())
            })
            .await;
    };
    change(world, &before, json!({"metadata": {"ownerReferences": owner}})).await;
    disowned().await;
    told(world, name, "take the ownerReference to ConfigMap theirs off").await;
    // All at once, of which each may keep the others from being mended.
    let all = json!({
        "metadata": {"ownerReferences": owner, "labels": {"argocd.argoproj.io/secret-type": null}},
        "stringData": {"shard": "7", "config": "{}"},
    });
    change(world, &before, all).await;
    let after = same(world, name, &before).await;
    assert!(!after.data.unwrap().contains_key("shard"));
    disowned().await;
}

/// What somebody has made immutable can be mended by nobody but a person.
async fn secret_fixed(world: &World) {
    let name = "secret-fixed";
    let before = world.secret(name).await.unwrap();
    change(world, &before, json!({"immutable": true})).await;
    world
        .until("ManagedCluster", name, |object| {
            is_ready(object) && message(object).contains("immutable: true")
        })
        .await;
    // Labels can still be written, and what is in it cannot.
    let unmarked = json!({"argocd.argoproj.io/secret-type": null});
    change(world, &before, json!({"metadata": {"labels": unmarked}})).await;
    same(world, name, &before).await;
    let shard = json!({"spec": {"argocd": {"shard": 3}}});
    world.patch("ManagedCluster", name, shard).await;
    let told = world.until_reason("ManagedCluster", name, "SecretImmutable").await;
    assert!(condition(&told, "Stalled").is_some(), "a person must act");
    assert!(message(&told).contains("(data shard)"), "{}", message(&told));
    // As the message says.
    let own = before.metadata.name.clone().unwrap();
    world.secrets().delete(&own, &DeleteParams::default()).await.unwrap();
    world.is_ready("ManagedCluster", name).await;
    let after = world.secret(name).await.unwrap();
    assert_eq!(after.metadata.name, before.metadata.name);
    assert_eq!(
        (after.immutable, &after.data.unwrap()["shard"]),
        (None, &ByteString(b"3".to_vec()))
    );
}

async fn secrets(world: &World) {
    let api = world.secrets();
    let gone = async {
        let name = "secret-gone";
        let before = world.secret(name).await.unwrap();
        let own = before.metadata.name.clone().unwrap();
        api.delete(&own, &DeleteParams::default()).await.unwrap();
        let after = same(world, name, &before).await;
        assert_eq!(after.metadata.name.as_ref(), Some(&own));
        told(world, name, "create cluster Secret").await;
    };
    let copy = async {
        let name = "secret-copy";
        let before = world.secret(name).await.unwrap();
        let mut copy = before.clone();
        copy.metadata = kube::api::ObjectMeta {
            name: Some("resurrected".to_owned()),
            labels: before.metadata.labels.clone(),
            annotations: before.metadata.annotations.clone(),
            ..kube::api::ObjectMeta::default()
        };
        // Somebody took the manifest, annotations and all, to write another cluster's: that is theirs.
        let mut template = copy.clone();
        template.metadata.name = Some("template".to_owned());
        let data = template.data.as_mut().unwrap();
        data.insert("name".to_owned(), ByteString(b"theirs".to_vec()));
        data.insert("server".to_owned(), ByteString(b"https://theirs.example.com".to_vec()));
        api.create(&PostParams::default(), &template).await.unwrap();
        api.create(&PostParams::default(), &copy).await.unwrap();
        world
            .eventually("the copy goes", async || {
                let found = api.get_opt("resurrected").await.unwrap();
                found.is_none().then_some(())
            })
            .await;
        told(world, name, "delete cluster Secret resurrected").await;
        let ours = api.get(before.metadata.name.as_deref().unwrap()).await.unwrap();
        assert_eq!(ours.metadata.uid, before.metadata.uid);
        assert!(api.get_opt("template").await.unwrap().is_some());
    };
    tokio::join!(secret_data(world), secret_owned(world), secret_fixed(world), gone, copy);
}
