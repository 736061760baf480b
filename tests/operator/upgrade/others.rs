//! Objects that stand on what others made, and one that only looks.

use std::collections::{BTreeMap, BTreeSet};

use kube::api::{DeleteParams, Patch, PatchParams};
use mooring_sandbox::{aws::contract::Service, control_plane::AuditMark};
use serde_json::{Value, json};

use crate::{
    adopt::{Wired, acts_as_itself, arn, by_hand_manager, hand_made_trust, make, ours},
    support::{
        HUB_ACCOUNT, World,
        hands::{SeenEntry, SeenRole, document, policy_arn},
        manifest::{ADMIN, EDIT, VIEW},
        message,
    },
};

/// A cluster that somebody had wired by hand, and that was taken over.
pub(super) const ADOPTED: &str = "adopted";

/// Another, of which less is asked while no operator runs.
pub(super) const NARROWED: &str = "narrowed";

/// Another, whose access is taken away, with what others had given to its entry.
pub(super) const CUT: &str = "cut";

/// A cluster Secret that somebody wired by hand, whose role is the management role itself.
const ITSELF: &str = "by-hand-itself";

/// A cluster that is reached by a role that a pipeline keeps.
pub(super) const EXISTING: &str = "existing";

/// A cluster for which nothing is done: its status tells what would be.
pub(super) const WATCHED: &str = "watched";

/// Clusters whose role is left when they go: others made it.
pub(super) const ROLE_STAYS: [&str; 4] = [ADOPTED, NARROWED, CUT, EXISTING];

/// Has all of them stand. The one that only looks comes last, since its plan tells of the management role's policy too.
pub(super) async fn moor(world: &World) {
    let manager = by_hand_manager(world);
    for name in [ADOPTED, NARROWED, CUT] {
        let wired = Wired::by_hand(world, name, &manager).await;
        wired.open(world).await;
        let mut spec = wired.spec();
        spec["access"]["kubernetesGroups"] = json!(["team-a"]);
        world.moor(name, spec).await;
    }
    make(world, "argocd-existing", &ours(world), &[("terraform", "yes")]);
    let role = json!({"type": "Existing", "arn": arn("argocd-existing")});
    world.moor(EXISTING, json!({"access": {"deployerRole": role}})).await;
    for name in ROLE_STAYS {
        world.is_ready("ManagedCluster", name).await;
    }
    let cut = json!({"spec": {"mode": "Suspended"}});
    world.patch("ManagedCluster", CUT, cut).await;
    world.until_reason("ManagedCluster", CUT, "Suspended").await;
    world.whole_pass("ManagedCluster", CUT).await;
    itself(world).await;
    world
        .until("ManagementRole", "default", |object| {
            object["status"]["assumesItselfFor"] == json!([ITSELF])
        })
        .await;
    world.moor(WATCHED, json!({"mode": "Observe"})).await;
    world.until_reason("ManagedCluster", WATCHED, "Observe").await;
}

async fn itself(world: &World) {
    let role = world.hub().management_role_arn(None);
    acts_as_itself(world, ITSELF, &role.to_string()).await;
}

/// What people do while no operator runs. What was taken over is known by its status from then on, and not by the marks
/// that anybody can take off who may tag; and what was given to it, by that alone.
pub(super) async fn meanwhile(world: &World) {
    itself(world).await;
    let entry = wired(world, ADOPTED).entry(world).expect("an entry");
    let untag = json!({"resourceArn": entry["accessEntryArn"], "tagKeys": ["mooring.dev/adopted"]});
    world.eks(ADOPTED, "UntagResource", untag);
    let unmarked = json!({"metadata": {"annotations": {"mooring.dev/adopted": null}}});
    let (secret, params) = (secret_name(ADOPTED), PatchParams::default());
    let patch = Patch::Merge(unmarked);
    world.secrets().patch(&secret, &params, &patch).await.unwrap();
    let narrower = json!({"spec": {"access": {"policies": [{"name": EDIT}], "kubernetesGroups": ["team-b"]}}});
    world.patch("ManagedCluster", NARROWED, narrower).await;
}

/// The access that was taken away is given back as the spec gives it, and what went with it is told.
pub(super) async fn is_given_back(world: &World) {
    world.whole_pass("ManagedCluster", CUT).await;
    let object = world.get("ManagedCluster", CUT).await.unwrap();
    let lost = &object["status"]["accessEntry"]["lost"];
    assert_eq!(lost.as_array().map(Vec::len), Some(2), "it is remembered: {lost}");
    assert!(wired(world, CUT).entry(world).is_none());
    let enforce = json!({"spec": {"mode": "Enforce"}});
    world.patch("ManagedCluster", CUT, enforce).await;
    let object = world.is_ready("ManagedCluster", CUT).await;
    assert!(object["status"]["accessEntry"]["lost"].is_null());
    let told = world.told(CUT, "NotGivenBack: ").await;
    for what in ["Kubernetes group team-theirs", VIEW] {
        assert!(told.contains(what), "{what}: {told}");
    }
    assert_eq!(wired(world, CUT).policies(world), [ADMIN.to_owned()].into());
}

/// The management role goes on to assume itself for the Secret that needs it, and stays for as long as that is there.
pub(super) async fn itself_goes(world: &World) {
    let told = world.until_reason("ManagementRole", "default", "SecretsRemain").await;
    assert!(message(&told).contains(ITSELF), "{}", message(&told));
    let arn = world.hub().management_role_arn(None);
    let input = json!({"RoleName": arn.name.as_str(), "PolicyName": "mooring-assume-deployers"});
    let policy = document(&world.iam(HUB_ACCOUNT, "GetRolePolicy", input)["PolicyDocument"]);
    assert!(policy.to_string().contains(&format!("\"{arn}\"")), "{policy}");
    world.secrets().delete(ITSELF, &DeleteParams::default()).await.unwrap();
}

/// What was there before an operator of today saw it.
pub(super) struct Before {
    existing: Option<SeenRole>,
    secrets: BTreeMap<&'static str, Option<String>>,
    audit: AuditMark,
}

impl Before {
    pub(super) async fn of(world: &World) -> Self {
        let mut secrets = BTreeMap::new();
        for name in [ADOPTED, NARROWED] {
            secrets.insert(name, world.secret(name).await.unwrap().metadata.uid);
        }
        Self {
            existing: existing_role(world),
            secrets,
            audit: world.audit_mark().await,
        }
    }

    /// What was taken over is known for that, and each goes on as it was asked to.
    pub(super) async fn goes_on(&self, world: &World) {
        for (name, group, policy) in [(ADOPTED, "team-a", ADMIN), (NARROWED, "team-b", EDIT)] {
            self.others_part_stays(world, name, group, policy).await;
            let object = world.get("ManagedCluster", name).await.unwrap();
            let (entry, given) = (&object["status"]["accessEntry"], json!([policy_arn(policy)]));
            assert_eq!(entry["adopted"], true, "{entry}");
            assert_eq!(
                (&entry["policies"], &entry["kubernetesGroups"]),
                (&given, &json!([group]))
            );
            assert_eq!(object["status"]["secretAdopted"], true, "{name}");
        }
        self.existing_with(world, &[]);
        self.only_looks(world).await;
    }

    /// The same after an edit of the groups, and of the policies of the one that only looks.
    pub(super) async fn is_edited(&self, world: &World, group: &str) {
        self.others_part_stays(world, ADOPTED, group, ADMIN).await;
        self.existing_with(world, &[group]);
        let edit = json!({"spec": {"access": {"policies": [{"name": VIEW}]}}});
        world.patch("ManagedCluster", WATCHED, edit).await;
        let object = world.until_reason("ManagedCluster", WATCHED, "Observe").await;
        let plan = &object["status"]["plan"];
        assert!(
            plan["steps"].to_string().contains(VIEW),
            "the plan is a new one: {plan}"
        );
        self.only_looks(world).await;
    }

    /// What others gave stands beside what the spec gives now, and nothing else.
    async fn others_part_stays(&self, world: &World, name: &str, group: &str, policy: &str) {
        let wired = wired(world, name);
        let entry = wired.entry(world).expect("an entry");
        let groups = entry["kubernetesGroups"].as_array().unwrap().iter();
        let groups: BTreeSet<&str> = groups.map(|group| group.as_str().unwrap()).collect();
        assert_eq!(groups, ["team-theirs", group].into(), "{name}");
        assert_eq!(
            wired.policies(world),
            [policy.to_owned(), VIEW.to_owned()].into(),
            "{name}"
        );
        let role = wired.seen_role(world).unwrap();
        assert_eq!(role.trust["Statement"].as_array().unwrap().len(), 2, "{}", role.trust);
        let secret = world.secret(name).await.unwrap();
        assert_eq!(secret.metadata.name, Some(secret_name(name)), "never renamed");
        assert_eq!(secret.metadata.uid, self.secrets[name]);
        assert_eq!(secret.metadata.labels.unwrap()["team"], "theirs");
        let data = secret.data.unwrap();
        assert_eq!(
            (data["shard"].0.as_slice(), data["note"].0.as_slice()),
            (&b"1"[..], &b"theirs to keep"[..])
        );
    }

    /// The way to the role is kept, and the role is its owner's.
    fn existing_with(&self, world: &World, groups: &[&str]) {
        let entry = existing_entry(world).expect("an entry");
        assert_eq!(entry.groups, groups.iter().map(|group| (*group).to_owned()).collect());
        assert_eq!(entry.policies.keys().collect::<Vec<_>>(), [ADMIN]);
        self.role_is_untouched(world);
    }

    fn role_is_untouched(&self, world: &World) {
        let calls = world.calls(EXISTING, 0);
        let tried = calls.iter().filter(|call| call.write && call.service == Service::Iam);
        let tried: Vec<&String> = tried.map(|call| &call.operation).collect();
        assert_eq!(tried, Vec::<&String>::new());
        assert_eq!(existing_role(world), self.existing);
    }

    /// Nothing is written for an object of mode Observe but its status.
    async fn only_looks(&self, world: &World) {
        let object = world.get("ManagedCluster", WATCHED).await.unwrap();
        let steps = object["status"]["plan"]["steps"].as_array().unwrap();
        assert!(!steps.is_empty(), "{object}");
        assert_eq!(object["metadata"]["finalizers"], Value::Null);
        self.nothing_is_made(world).await;
    }

    async fn nothing_is_made(&self, world: &World) {
        assert_eq!(world.writes(WATCHED, 0), Vec::<String>::new());
        assert_eq!((world.seen_role(WATCHED), world.seen_entry(WATCHED)), (None, None));
        assert!(world.secret(WATCHED).await.is_none());
        let writes = world.kubernetes_writes(self.audit).await;
        let of_it = writes.iter().filter(|call| call.name == WATCHED);
        let resources: BTreeSet<&str> = of_it.map(|call| call.resource.as_str()).collect();
        assert_eq!(resources, ["managedclusters/status"].into());
    }

    /// Of what was taken over Mooring's part goes, and what others gave to it stays.
    pub(super) async fn stays_with_others(&self, world: &World) {
        // Its entry was made anew, and is Mooring's; its role never was.
        let cut = wired(world, CUT);
        let trust = cut.seen_role(world).unwrap().trust;
        assert_eq!(trust, hand_made_trust(&by_hand_manager(world)));
        assert!(cut.entry(world).is_none());
        for name in [ADOPTED, NARROWED] {
            let wired = wired(world, name);
            let role = wired.seen_role(world).unwrap();
            assert_eq!(
                role.trust,
                hand_made_trust(&by_hand_manager(world)),
                "ours is taken out of it"
            );
            assert_eq!(role.tags["terraform"], "yes");
            let entry = wired.entry(world).expect("an entry");
            assert_eq!(entry["kubernetesGroups"], json!(["team-theirs"]), "{name}");
            assert_eq!(wired.policies(world), [VIEW.to_owned()].into(), "{name}");
            let secret = world.secrets().get_opt(&secret_name(name)).await.unwrap();
            assert!(secret.is_none(), "{name}");
        }
        assert_eq!(existing_entry(world), None);
        self.role_is_untouched(world);
        self.nothing_is_made(world).await;
    }
}

/// What [`Wired::by_hand`] made in the world that was recorded.
fn wired(world: &World, name: &str) -> Wired {
    Wired {
        name: name.to_owned(),
        account: world.cluster(name).account.clone(),
        role: arn(&format!("argocd-{name}")),
    }
}

fn secret_name(name: &str) -> String {
    format!("by-hand-{name}")
}

fn existing_role(world: &World) -> Option<SeenRole> {
    world.seen_role_named(&world.cluster(EXISTING).account, "argocd-existing")
}

fn existing_entry(world: &World) -> Option<SeenEntry> {
    world.seen_entry_of(EXISTING, &arn("argocd-existing").parse().unwrap())
}
