//! What a release stored is read, updated and removed by every later one.
//!
//! `tests/upgrade/vVERSION` holds what a release leaves behind, one file an object: the object with its status and its
//! managed fields as the API server keeps them, and what stands for it in AWS and in Argo CD's namespace. `make record`
//! writes the folder of the present version, by running it; nobody writes there by hand. The folder of a version that
//! was released never changes again.

mod fields;
mod others;
mod record;
mod restore;

use std::{collections::BTreeMap, path::PathBuf};

use mooring_sandbox::stage::{Signal, is_ready};
use serde_json::{Value, json};

use self::others::{ADOPTED, Before, CUT, EXISTING, NARROWED, ROLE_STAYS, WATCHED};
use crate::support::{Setting, World, folder, manifest, message};

/// The files of one release, by name.
type Files = BTreeMap<String, Value>;

/// Clusters that are recorded while they stand.
const STANDING: [&str; 9] = [
    "full", "plain", "refused", SUSPENDED, ADOPTED, NARROWED, CUT, EXISTING, WATCHED,
];

/// Those of them that are as their spec says when an operator of today first sees them.
const MOORED: [&str; 4] = ["full", "plain", ADOPTED, EXISTING];

/// One of them, whose access is taken away.
const SUSPENDED: &str = "suspended";

/// A cluster that is recorded while it is being removed.
const GOING: &str = "going";

/// A cluster that was removed with Retain: its role is left, and the `ManagementRole` remembers it.
const KEPT: &str = "kept";

fn versions() -> PathBuf {
    folder("tests/upgrade")
}

fn present() -> String {
    format!("v{}", env!("CARGO_PKG_VERSION"))
}

/// Whether the changelog has the present version as a release.
fn released() -> bool {
    let changelog = std::fs::read_to_string(folder("CHANGELOG.md")).unwrap();
    changelog.contains(&format!("## [{}]", env!("CARGO_PKG_VERSION")))
}

fn setting() -> Setting {
    let spokes = [
        "222222222222/eu-west-1/full",
        "222222222222/eu-west-1/plain",
        "222222222222/eu-west-1/refused",
        "222222222222/eu-west-1/adopted",
        "222222222222/eu-west-1/narrowed",
        "222222222222/eu-west-1/cut",
        "222222222222/eu-west-1/existing",
        "222222222222/eu-west-1/watched",
        "333333333333/eu-central-1/going",
        "333333333333/eu-central-1/suspended",
        "333333333333/eu-central-1/kept",
    ];
    let mut setting = Setting::of(&spokes).flag(&["--confirm-after", "2s"]);
    let full = json!({
        "argocdNamespace": "argocd", "identity": {"type": "IRSA"},
        "serviceAccounts": ["argocd-application-controller", "argocd-server"],
        "bindServiceAccounts": false, "restartWorkloads": false, "oidcProvider": "Manage",
        "role": {"permissionsBoundary": "mooring-management", "tags": {"team": "platform"}},
        "assumePolicy": "PerAccount",
        "provisioner": {
            "roleName": "mooring-provisioner", "readerRoleName": "mooring-reader", "externalId": "a-shared-word",
        },
    });
    manifest::merge(&mut setting.management["spec"], full);
    let allow = &mut setting.management["spec"]["allow"][0];
    manifest::merge(
        allow,
        json!({
            "regions": ["eu-*"], "clusters": ["*"], "projects": ["*"],
            "deployerRoles": ["arn:aws:iam::*:role/argocd-*"],
        }),
    );
    setting
}

/// Every field that a cluster's spec has, as far as they go together; `fields` holds it.
fn full() -> Value {
    json!({
        "clusterName": "full", "managementRole": "default", "mode": "Enforce",
        "access": {
            "policies": [{"name": manifest::VIEW}, {"name": manifest::EDIT, "namespaces": ["team-a"]}],
            "kubernetesGroups": ["team-a"],
            "deployerRole": {
                "type": "Managed", "name": "a-name-of-its-own", "permissionsBoundary": "arn:aws:iam::aws:policy/AWSDenyAll",
                "tags": {"owner": "finance"},
            },
        },
        "argocd": {
            "name": "full-in-argocd", "project": "team", "labels": {"env": "prod"},
            "annotations": {"example.com/vpc": "v"}, "namespaces": ["team-a"], "clusterResources": false, "shard": 2,
        },
        "adoptExisting": false, "deletion": {"policy": "Delete", "whileInUse": "Block"},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_every_release_stored_is_read_updated_and_removed() {
    let folders = std::fs::read_dir(versions()).unwrap();
    let mut folders: Vec<PathBuf> = folders
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    assert!(!folders.is_empty(), "make record writes the first");
    for folder in folders {
        println!("{}", folder.display());
        Box::pin(lives_on(&read(&folder))).await;
    }
}

fn read(folder: &std::path::Path) -> Files {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect()
}

async fn lives_on(files: &Files) {
    let world = World::without_operator(setting()).await;
    world.install().await;
    restore::all(&world, files).await;
    let before: Vec<_> = STANDING.map(|name| (world.named_role(files, name), name)).to_vec();
    others::meanwhile(&world).await;
    let others = Before::of(&world).await;
    world.start_operator().await;
    world.is_ready("ManagementRole", "default").await;
    world.until_gone("ManagedCluster", GOING).await;
    assert_eq!(
        world.named_role(files, GOING),
        None,
        "the removal is carried on to its end"
    );
    for name in MOORED {
        world.whole_pass("ManagedCluster", name).await;
        let object = world.is_ready("ManagedCluster", name).await;
        assert_eq!(
            object["status"]["observedGeneration"], object["metadata"]["generation"],
            "{name} is read"
        );
        let made = [
            "CreateRole",
            "DeleteRole",
            "CreateAccessEntry",
            "DeleteAccessEntry",
            "DisassociateAccessPolicy",
        ];
        let writes = world.writes(name, 0);
        assert!(
            !writes.iter().any(|write| made.contains(&write.as_str())),
            "{name} goes on as it was: {writes:?}"
        );
    }
    for name in [NARROWED, WATCHED] {
        world.whole_pass("ManagedCluster", name).await;
    }
    world.is_ready("ManagedCluster", NARROWED).await;
    world.until_reason("ManagedCluster", WATCHED, "Observe").await;
    others.goes_on(&world).await;
    world.until_reason("ManagedCluster", "refused", "NotAllowed").await;
    world.whole_pass("ManagedCluster", SUSPENDED).await;
    world.until_reason("ManagedCluster", SUSPENDED, "Suspended").await;
    // A role's description is not recorded.
    let writes = world.writes(SUSPENDED, 0);
    assert!(writes.iter().all(|write| write == "UpdateRole"), "{writes:?}");
    assert_eq!(world.seen_entry(SUSPENDED), None, "its access stays away");
    others::is_given_back(&world).await;
    for (role, name) in &before {
        assert_eq!(world.named_role(files, name), *role, "{name}: the same role");
    }
    // An edit is made true, and each can be removed: no rule stands in the way of status, labels or finalizers.
    let edit = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"access": {"kubernetesGroups": ["team-b"]}}});
    for name in MOORED {
        world.patch("ManagedCluster", name, edit.clone()).await;
        world.until("ManagedCluster", name, is_ready).await;
    }
    let writes = world.writes("full", 0);
    assert!(writes.iter().any(|write| write == "UpdateAccessEntry"), "{writes:?}");
    others.is_edited(&world, "team-b").await;
    let edit = json!({"spec": {"role": {"tags": {"team": "another"}}}});
    world.patch("ManagementRole", "default", edit).await;
    world.is_ready("ManagementRole", "default").await;
    let role = world.hub().management_role_arn(None);
    let role = world
        .seen_role_named(role.account.as_str(), role.name.as_str())
        .unwrap();
    assert_eq!(role.tags["team"], "another");
    for name in STANDING {
        world.delete("ManagedCluster", name).await;
    }
    for name in STANDING {
        world.until_gone("ManagedCluster", name).await;
        if !ROLE_STAYS.contains(&name) {
            assert_eq!(world.named_role(files, name), None, "{name}");
        }
        assert!(world.secret(name).await.is_none(), "{name}");
    }
    others.stays_with_others(&world).await;
    world.delete("ManagementRole", "default").await;
    others::itself_goes(&world).await;
    let told = world
        .until_reason("ManagementRole", "default", "RetainedDeployers")
        .await;
    let kept = files[&format!("{KEPT}.json")]["role"]["arn"].as_str().unwrap();
    assert!(message(&told).contains(kept), "{}", message(&told));
    let (account, name) = (kept.split(':').nth(4).unwrap(), kept.rsplit('/').next().unwrap());
    world.iam(account, "DeleteRole", json!({"RoleName": name}));
    world.ask("ManagementRole", "default").await;
    world.until_gone("ManagementRole", "default").await;
    world.never_denied();
    world.end_operator(Signal::Terminate).await;
}

impl World {
    /// The unique ID of the role that was recorded for a cluster, if it still stands.
    fn named_role(&self, files: &Files, cluster: &str) -> Option<String> {
        let arn = files[&format!("{cluster}.json")]["role"]["arn"].as_str()?;
        let (account, name) = (arn.split(':').nth(4).unwrap(), arn.rsplit('/').next().unwrap());
        self.seen_role_named(account, name).map(|role| role.id)
    }
}

/// The present code stores what the newest folder holds, from the moment that the version is a release. Until then the
/// folder is written anew by `make record` as often as one likes.
#[tokio::test(flavor = "multi_thread")]
async fn the_newest_recorded_objects_are_those_that_the_present_code_stores() {
    let recording = std::env::var("MOORING_RECORD").is_ok();
    if !recording && !released() {
        println!("{} is not a release yet: nothing to compare", present());
        return;
    }
    let folder = versions().join(present());
    assert!(
        !(recording && released() && folder.exists()),
        "{} was released: its objects never change again; raise the version in Cargo.toml",
        present()
    );
    let world = World::ready(setting()).await;
    let files = record::all(&world).await;
    if recording {
        record::write(&folder, &files);
        return;
    }
    assert!(folder.exists(), "make record writes what {} stores", present());
    let stored = read(&folder);
    for (name, file) in &files {
        assert_eq!(
            stored.get(name),
            Some(file),
            "{name} is stored in another way than {} did; raise the version in Cargo.toml and `make record`",
            present()
        );
    }
    assert_eq!(stored.len(), files.len());
}
