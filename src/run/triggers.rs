//! What a change means: which objects are looked at again. Our own writes come back through the watches too, and must
//! not cause passes that cost AWS calls and change nothing. Decides only; the queues are fed by the caller.

use std::collections::{BTreeSet, HashMap, HashSet};

use k8s_openapi::api::core::v1::Secret;
use kube::{Resource, ResourceExt, core::DeserializeGuard};

use crate::{
    api::{
        CLOSED_ACCOUNTS, CONFIRM_HUB, ManagedCluster, ManagementRole, PAUSED, RECONCILE_REQUESTED_AT,
        REMOVALS_CONFIRMED_AT,
    },
    argocd::{ClusterSecret, WantedSecret},
    kubernetes::reflect::Touched,
    managed_cluster::{
        Memories,
        management::Management,
        request::{Identity, Request},
        withheld::stands_back,
    },
};

type Cluster = DeserializeGuard<ManagedCluster>;
type Role = DeserializeGuard<ManagementRole>;

/// What to look at again.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// `ManagedCluster`s, by name.
    pub(super) clusters: Vec<String>,
    /// `ManagementRole`s at once, by name.
    pub(super) roles: Vec<String>,
    /// `ManagementRole`s whose set of clusters may have changed, by name.
    pub(super) sets: Vec<String>,
}

/// What a person can change about an object. A change of anything else, its status above all, is no reason for a pass.
#[derive(PartialEq, Eq)]
struct Asked {
    uid: Option<String>,
    generation: Option<i64>,
    deleting: bool,
    requested: Option<String>,
    paused: Option<String>,
    closed: Option<String>,
    confirmed_hub: Option<String>,
    confirmed: Option<String>,
}

impl Asked {
    fn of(object: &impl Resource<DynamicType = ()>) -> Self {
        let annotation = |key: &str| object.meta().annotations.as_ref().and_then(|all| all.get(key)).cloned();
        Self {
            uid: object.meta().uid.clone(),
            generation: object.meta().generation,
            deleting: object.meta().deletion_timestamp.is_some(),
            requested: annotation(RECONCILE_REQUESTED_AT),
            paused: annotation(PAUSED),
            closed: annotation(CLOSED_ACCOUNTS),
            confirmed_hub: annotation(CONFIRM_HUB),
            confirmed: annotation(REMOVALS_CONFIRMED_AT),
        }
    }
}

/// What was seen last of each object.
#[derive(Default)]
pub(super) struct Triggers {
    clusters: HashMap<String, Asked>,
    gates: HashMap<String, String>,
    roles: HashMap<String, Asked>,
    names: HashMap<String, String>,
    secrets: HashMap<String, (String, String)>,
    assumed: HashMap<String, String>,
    /// What others wrote on our Secrets.
    beside: HashMap<String, BTreeSet<String>>,
    /// The namespaces of the hub that give more than themselves.
    guarded: BTreeSet<String>,
}

impl Triggers {
    /// Nothing was seen yet. `guarded` are the namespaces of the hub that give more than themselves.
    pub(super) fn new(guarded: BTreeSet<String>) -> Self {
        Self {
            guarded,
            ..Self::default()
        }
    }

    /// A `ManagedCluster` came, changed or went. `role` gives the `ManagementRole` of a name.
    pub(super) fn cluster(
        &mut self,
        touched: &Touched<Cluster>,
        role: impl Fn(&str) -> Option<std::sync::Arc<Role>>,
    ) -> Due {
        let object = touched.object();
        let name = object.name_any();
        let mut due = Due::default();
        let parsed = object.0.as_ref().ok();
        if matches!(touched, Touched::Deleted(_)) {
            self.clusters.remove(&name);
            self.gates.remove(&name);
            self.names.retain(|_, known| *known != name);
            due.sets
                .extend(parsed.map(|cluster| cluster.spec.management_role.clone()));
            return due;
        }
        if let Some(uid) = &object.meta().uid {
            self.names.insert(uid.clone(), name.clone());
        }
        let asked = Asked::of(object.as_ref());
        let mut changed = self.clusters.get(&name) != Some(&asked);
        if changed {
            self.clusters.insert(name.clone(), asked);
        }
        if let Some(cluster) = parsed {
            let role = role(&cluster.spec.management_role);
            let gate = self.gate(cluster, role.as_deref());
            // The store may be ahead of what was told of the ManagementRole; what is told later finds nothing new.
            let known = self.gates.insert(name.clone(), gate.clone());
            changed |= known.is_some_and(|known| known != gate);
            // A role to keep is known by the status alone; everything else by what a person or the ManagementRole did.
            let kept = cluster.metadata.deletion_timestamp.is_some();
            if (changed || kept) && self.widens(cluster, role.as_deref()) {
                due.sets.push(cluster.spec.management_role.clone());
            }
        }
        if changed {
            due.clusters.push(name);
        }
        due
    }

    /// A `ManagementRole` came, changed or went; `clusters` are all `ManagedCluster`s.
    pub(super) fn role(&mut self, touched: &Touched<Role>, clusters: &[std::sync::Arc<Cluster>]) -> Due {
        let object = touched.object();
        let name = object.name_any();
        let mut due = Due::default();
        let standing = match touched {
            Touched::Applied(_) => {
                let asked = Asked::of(object.as_ref());
                if self.roles.get(&name) != Some(&asked) {
                    due.roles.push(name.clone());
                    self.roles.insert(name.clone(), asked);
                }
                Some(object.as_ref())
            }
            Touched::Deleted(_) => {
                self.roles.remove(&name);
                None
            }
        };
        for cluster in clusters.iter().filter_map(|cluster| cluster.0.as_ref().ok()) {
            if cluster.spec.management_role != name {
                continue;
            }
            let gate = self.gate(cluster, standing);
            let known = self.gates.get(&cluster.name_any());
            if known.is_none() || known == Some(&gate) {
                continue;
            }
            due.clusters.push(cluster.name_any());
            self.gates.insert(cluster.name_any(), gate);
            // A ManagementRole that is not ready gathers the whole set by itself, at its own pace: were it marked at
            // each change of what it says, a message that differs from try to try would drive it round and round.
            if standing.is_some_and(usable) && self.widens(cluster, standing) {
                due.sets.push(name.clone());
            }
        }
        due.sets.dedup();
        due
    }

    /// A cluster Secret came, changed or went; `roles` are all `ManagementRole`s.
    pub(super) fn secret(
        &mut self,
        touched: &Touched<Secret>,
        memories: &Memories,
        roles: &[std::sync::Arc<Role>],
    ) -> Due {
        let secret = ClusterSecret::read(touched.object());
        let now = (secret.server.clone(), secret.cluster_name.clone());
        let before = match touched {
            Touched::Applied(_) => self.secrets.insert(secret.uid.clone(), now.clone()),
            Touched::Deleted(_) => self.secrets.remove(&secret.uid),
        };
        // Who was in the way of somebody before it was changed is out of it now.
        let claims = before.into_iter().filter(|before| *before != now).chain([now.clone()]);
        let mut uids: HashSet<String> = claims
            .flat_map(|(server, name)| memories.claiming(&server, &name))
            .collect();
        if let Some(owner) = &secret.owner {
            let wanted = memories.wanted_secret(owner);
            let as_wanted = matches!(touched, Touched::Applied(_))
                && wanted.as_ref().is_some_and(|wanted| self.is_as_wanted(&secret, wanted));
            // Our own write comes back as what is wanted: it concerns nobody. A copy of it has another name.
            if as_wanted {
                uids.remove(owner);
            } else if wanted.is_some() {
                uids.insert(owner.clone());
            }
        }
        if matches!(touched, Touched::Deleted(_)) {
            self.beside.remove(&secret.uid);
        }
        let mut clusters: Vec<String> = uids.iter().filter_map(|uid| self.names.get(uid).cloned()).collect();
        clusters.sort();
        Due {
            clusters,
            sets: self.acting(touched, &secret, roles),
            ..Due::default()
        }
    }

    /// Whether a Secret is as it is wanted, and nobody has written anything beside that was not seen before.
    fn is_as_wanted(&mut self, secret: &ClusterSecret, wanted: &WantedSecret) -> bool {
        let beside = secret.others_marks(wanted);
        let known = if beside.is_empty() {
            self.beside.remove(&secret.uid).unwrap_or_default()
        } else {
            self.beside
                .insert(secret.uid.clone(), beside.clone())
                .unwrap_or_default()
        };
        secret.name == wanted.name && secret.owners.is_empty() && secret.difference(wanted).is_none() && known == beside
    }

    /// The `ManagementRole`s whose own role Argo CD assumes by a Secret from now on, or no more.
    fn acting(
        &mut self,
        touched: &Touched<Secret>,
        secret: &ClusterSecret,
        roles: &[std::sync::Arc<Role>],
    ) -> Vec<String> {
        let stands = matches!(touched, Touched::Applied(_)) && !secret.deleting;
        let now = secret.role.clone().filter(|_| stands);
        let before = match &now {
            Some(arn) => self.assumed.insert(secret.uid.clone(), arn.clone()),
            None => self.assumed.remove(&secret.uid),
        };
        if before == now {
            return Vec::new();
        }
        let namespace = touched.object().metadata.namespace.as_deref().unwrap_or_default();
        roles
            .iter()
            .filter_map(|role| role.0.as_ref().ok())
            .filter(|role| role.spec.argocd_namespace == namespace)
            .filter(|role| {
                let arn = role.status.as_ref().and_then(|status| status.role.as_ref());
                arn.is_some_and(|role| [&before, &now].iter().any(|of| of.as_ref() == Some(&role.arn)))
            })
            .map(ResourceExt::name_any)
            .collect()
    }
}

impl Triggers {
    /// Everything about a `ManagementRole` that a cluster's pass depends on.
    fn gate(&self, cluster: &ManagedCluster, role: Option<&Role>) -> String {
        let Some(role) = role else { return "missing".to_owned() };
        let management = match &role.0 {
            Ok(role) => Management::read(role).map(|read| read.guarding(&self.guarded)),
            Err(unparsable) => return unparsable.error.clone(),
        };
        let management = match management {
            Ok(management) => management,
            Err(none) => return format!("{none:?}"),
        };
        let identity = Identity::of(cluster);
        let deployer = identity.map(|identity| identity.deployer(&management.hub));
        let (admitted, retained) = deployer.map_or((false, false), |deployer| {
            (
                management.admits(&deployer),
                management.retained.contains(&deployer.to_string()),
            )
        });
        let full = management.full && !admitted;
        // Only who is being removed may wait for a person's word on removals, or on an account that is closed.
        let going = cluster.metadata.deletion_timestamp.is_some();
        let annotations = role.meta().annotations.as_ref().filter(|_| going);
        let words = annotations.map(|all| [REMOVALS_CONFIRMED_AT, CLOSED_ACCOUNTS].map(|key| all.get(key)));
        let hub = found_by(role);
        format!(
            "{} {} {} {:?} {} {admitted} {full} {retained} {words:?} {hub:?} {:?}",
            management.going,
            management.role,
            management.provisioner,
            management.external_id,
            management.namespace,
            Request::parse(cluster, &management).map(|_| ())
        )
    }

    /// Whether the management role must come to know something about a cluster: a deployer role to assume, or one to keep.
    fn widens(&self, cluster: &ManagedCluster, role: Option<&Role>) -> bool {
        let Some(Ok(management)) = role.and_then(|role| role.0.as_ref().ok()).map(Management::read) else {
            return true;
        };
        let management = management.guarding(&self.guarded);
        let Ok(identity) = Identity::of(cluster) else {
            return false;
        };
        let deployer = identity.deployer(&management.hub);
        if cluster.metadata.deletion_timestamp.is_some() {
            let recorded = || {
                cluster
                    .status
                    .as_ref()
                    .is_some_and(|status| status.deployer_role.is_some())
            };
            return identity.retain
                && (identity.existing.is_none() || recorded())
                && !management.retained.contains(&deployer.to_string());
        }
        let allowed = !stands_back(cluster) && Request::parse(cluster, &management).is_ok();
        (allowed && !management.admits(&deployer)) || management.retained.contains(&deployer.to_string())
    }
}

fn usable(role: &Role) -> bool {
    role.0.as_ref().is_ok_and(|role| Management::read(role).is_ok())
}

/// What tells a `ManagementRole` whether its status is of this hub: the issuer that it records, and a person's word.
fn found_by(role: &Role) -> (Option<&String>, Option<&String>) {
    let hub = role.0.as_ref().ok().and_then(|role| role.status.as_ref()?.hub.as_ref());
    let annotations = role.meta().annotations.as_ref();
    (
        hub.and_then(|hub| hub.issuer.as_ref()),
        annotations.and_then(|all| all.get(CONFIRM_HUB)),
    )
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use k8s_openapi::{ByteString, apimachinery::pkg::apis::meta::v1::OwnerReference};
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        api::ManagedClusterStatus,
        argocd::{Connection, Presentation},
    };

    const PATTERN: &str = "arn:aws:iam::222222222222:role/mooring/111111111111-eu-west-1-hub/default/*";
    const DEPLOYER: &str = "arn:aws:iam::222222222222:role/mooring/111111111111-eu-west-1-hub/default/a-";

    fn merged(mut object: Value, change: &Value) -> Value {
        for (path, value) in change.as_object().into_iter().flatten() {
            let (parent, key) = path.rsplit_once('/').unwrap();
            if object.pointer(parent).is_none() {
                object[&parent[1..]] = json!({});
            }
            object.pointer_mut(parent).unwrap()[key] = value.clone();
        }
        object
    }

    fn cluster(name: &str, change: &Value) -> Arc<Cluster> {
        let object = json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagedCluster",
            "metadata": {"name": name, "uid": format!("uid-{name}"), "generation": 1},
            "spec": {"accountId": "222222222222", "region": "eu-west-1", "access": {"policies": [{"name": "AmazonEKSViewPolicy"}]}},
        });
        Arc::new(serde_json::from_value(merged(object, change)).unwrap())
    }

    fn role(change: &Value) -> Arc<Role> {
        let object = json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagementRole",
            "metadata": {"name": "default", "uid": "m", "generation": 1},
            "spec": {
                "cluster": {"name": "hub", "region": "eu-west-1"},
                "allow": [{"accounts": ["*"], "accessPolicies": [{"name": "AmazonEKSViewPolicy", "scope": "Cluster"}]}],
            },
            "status": {
                "conditions": [],
                "hub": {"accountId": "111111111111", "region": "eu-west-1", "name": "hub", "arn": "x"},
                "role": {"arn": "arn:aws:iam::111111111111:role/mooring/management", "id": "A"},
                "assumable": [PATTERN],
            },
        });
        Arc::new(serde_json::from_value(merged(object, change)).unwrap())
    }

    fn applied<K>(object: &Arc<K>) -> Touched<K> {
        Touched::Applied(Arc::clone(object))
    }

    /// Triggers that have seen the clusters `a` and `b` under this ManagementRole.
    fn seen(role: &Arc<Role>) -> (Triggers, Vec<Arc<Cluster>>) {
        let mut triggers = Triggers::default();
        let clusters = vec![cluster("a", &json!({})), cluster("b", &json!({}))];
        for cluster in &clusters {
            triggers.cluster(&applied(cluster), |_| Some(Arc::clone(role)));
        }
        triggers.role(&applied(role), &clusters);
        (triggers, clusters)
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_cluster_is_looked_at_when_a_person_changed_it_and_not_for_its_status() {
        let role = role(&json!({}));
        let get = |_: &str| Some(Arc::clone(&role));
        let mut triggers = Triggers::default();
        let mut due = |change: Value| triggers.cluster(&applied(&cluster("a", &change)), get);
        assert_eq!(due(json!({})).clusters, names(&["a"]));
        let written = json!({"/metadata/resourceVersion": "2", "/status/secret": "x", "/metadata/finalizers": ["mooring.dev/finalizer"]});
        assert_eq!(due(written), Due::default());
        for change in [
            json!({"/metadata/generation": 2}),
            json!({"/metadata/annotations": {"mooring.dev/reconcile-requested-at": "now"}}),
            json!({"/metadata/annotations": {"mooring.dev/paused": "true"}}),
            json!({"/metadata/annotations": {"mooring.dev/removals-confirmed-at": "2026-01-01T00:00:00Z"}}),
            json!({"/metadata/annotations": {"mooring.dev/confirm-hub": "https://issuer"}}),
            json!({"/metadata/deletionTimestamp": "2026-01-01T00:00:00Z"}),
            json!({"/metadata/uid": "another"}),
        ] {
            let first = due(change.clone());
            assert_eq!(first.clusters, names(&["a"]), "{change}");
            assert_eq!(due(change), Due::default());
        }
        assert_eq!(
            due(json!({"/metadata/uid": "another", "/metadata/annotations": {"theirs": "x"}})),
            Due::default()
        );
    }

    #[test]
    fn a_set_is_marked_when_it_widens_and_when_a_cluster_is_gone() {
        let ready = role(&json!({}));
        let other = cluster("c", &json!({"/spec/accountId": "333333333333"}));
        let get = |_: &str| Some(Arc::clone(&ready));
        let (mut triggers, clusters) = seen(&ready);
        assert_eq!(
            triggers.cluster(&applied(&cluster("d", &json!({}))), get).sets,
            names(&[]),
            "its account's pattern is there"
        );
        assert_eq!(triggers.cluster(&applied(&other), get).sets, names(&["default"]));
        // Its own status comes back while the policy is still on its way.
        let waiting = cluster(
            "c",
            &json!({"/spec/accountId": "333333333333", "/status/conditions": []}),
        );
        assert_eq!(triggers.cluster(&applied(&waiting), get), Due::default());
        let refused = cluster(
            "e",
            &json!({"/spec/accountId": "333333333333", "/spec/access": {"policies": [{"name": "AmazonEKSEditPolicy"}]}}),
        );
        assert_eq!(
            triggers.cluster(&applied(&refused), get).sets,
            names(&[]),
            "not allowed"
        );
        let gone = triggers.cluster(&Touched::Deleted(Arc::clone(&clusters[0])), get);
        assert_eq!(
            gone,
            Due {
                sets: names(&["default"]),
                ..Due::default()
            }
        );
    }

    #[test]
    fn a_cluster_for_which_nothing_is_made_widens_nothing_until_it_is() {
        let ready = role(&json!({}));
        let get = |_: &str| Some(Arc::clone(&ready));
        let (mut triggers, _) = seen(&ready);
        let abroad = |generation: i64, change: Value| {
            let mut all = json!({"/spec/accountId": "333333333333", "/metadata/generation": generation});
            all.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            applied(&cluster("c", &all))
        };
        for (generation, change) in [
            (1, json!({"/spec/mode": "Observe"})),
            (2, json!({"/spec/mode": "Suspended"})),
            (2, json!({"/metadata/annotations": {"mooring.dev/paused": "true"}})),
        ] {
            let due = triggers.cluster(&abroad(generation, change.clone()), get);
            assert_eq!(due.sets, names(&[]), "{change}");
            assert_eq!(due.clusters, names(&["c"]), "{change}");
        }
        assert_eq!(
            triggers.cluster(&abroad(3, json!({"/spec/mode": "Enforce"})), get).sets,
            names(&["default"])
        );
    }

    #[test]
    fn a_removal_that_keeps_its_role_marks_the_set_until_that_is_recorded() {
        let deployer = Identity::of(cluster("a", &json!({})).0.as_ref().unwrap()).unwrap();
        let going = cluster(
            "a",
            &json!({"/metadata/deletionTimestamp": "2026-01-01T00:00:00Z", "/spec/deletion": {"policy": "Retain"}}),
        );
        let ready = role(&json!({}));
        let (mut triggers, _) = seen(&ready);
        assert_eq!(
            triggers.cluster(&applied(&going), |_| Some(Arc::clone(&ready))).sets,
            names(&["default"])
        );
        // The role's record came into the status only now.
        assert_eq!(
            triggers.cluster(&applied(&going), |_| Some(Arc::clone(&ready))).sets,
            names(&["default"])
        );
        let hub = Management::read(ready.0.as_ref().unwrap()).unwrap().hub;
        let kept = deployer.deployer(&hub).to_string();
        assert!(kept.starts_with(DEPLOYER));
        let recorded = role(&json!({"/status/retained": [kept]}));
        let due = triggers.role(&applied(&recorded), std::slice::from_ref(&going));
        assert_eq!(due.clusters, names(&["a"]), "it waits for that");
        assert_eq!(
            triggers.cluster(&applied(&going), |_| Some(Arc::clone(&recorded))).sets,
            names(&[])
        );
        // A role that somebody else owns is kept as well, once it was seen.
        let arn = "arn:aws:iam::222222222222:role/argocd";
        let of_others = |status: Value| {
            cluster(
                "b",
                &json!({
                    "/metadata/deletionTimestamp": "2026-01-01T00:00:00Z", "/spec/deletion": {"policy": "Retain"},
                    "/spec/access/deployerRole": {"type": "Existing", "arn": arn}, "/status": status,
                }),
            )
        };
        let seen_role = json!({"conditions": [], "deployerRole": {"arn": arn, "id": "AROAX"}});
        for (status, marked) in [(json!({"conditions": []}), vec![]), (seen_role, vec!["default"])] {
            let object = of_others(status);
            assert_eq!(
                triggers.cluster(&applied(&object), |_| Some(Arc::clone(&ready))).sets,
                names(&marked)
            );
        }
    }

    #[test]
    fn a_persons_word_on_removals_wakes_those_that_are_being_removed() {
        let ready = role(&json!({}));
        let (mut triggers, mut clusters) = seen(&ready);
        clusters.push(cluster(
            "going",
            &json!({"/metadata/deletionTimestamp": "2026-01-01T00:00:00Z"}),
        ));
        triggers.cluster(&applied(&clusters[2]), |_| Some(Arc::clone(&ready)));
        let word = json!({"mooring.dev/removals-confirmed-at": "2026-01-01T00:00:00Z"});
        let due = triggers.role(&applied(&role(&json!({"/metadata/annotations": word}))), &clusters);
        assert_eq!(due.clusters, names(&["going"]));
        // That a removal has begun is written there too, and concerns nobody.
        let begun = json!([{"name": "going", "uid": "u", "requestedAt": "2026-01-01T00:00:00Z"}]);
        let recorded = role(&json!({"/metadata/annotations": word, "/status/removals": begun}));
        assert_eq!(triggers.role(&applied(&recorded), &clusters), Due::default());
    }

    #[test]
    fn a_management_role_that_becomes_ready_wakes_those_that_name_it() {
        let unready = role(&json!({"/status/role": null}));
        let (mut triggers, mut clusters) = seen(&unready);
        clusters.push(cluster("c", &json!({"/spec/managementRole": "other"})));
        triggers.cluster(&applied(&clusters[2]), |_| None);
        let due = triggers.role(&applied(&role(&json!({}))), &clusters);
        assert_eq!(
            due,
            Due {
                clusters: names(&["a", "b"]),
                ..Due::default()
            }
        );
        assert_eq!(triggers.role(&applied(&role(&json!({}))), &clusters), Due::default());
        let gone = triggers.role(&Touched::Deleted(role(&json!({}))), &clusters);
        assert_eq!(gone.clusters, names(&["a", "b"]));
    }

    #[test]
    fn a_status_that_concerns_nobody_wakes_nobody() {
        let (mut triggers, clusters) = seen(&role(&json!({})));
        for change in [
            json!({"/status/assumable": [PATTERN, PATTERN.replace("2222", "3333")]}),
            json!({"/status/retained": ["arn:aws:iam::333333333333:role/x"]}),
            json!({"/status/observedGeneration": 7}),
        ] {
            assert_eq!(
                triggers.role(&applied(&role(&change)), &clusters),
                Due::default(),
                "{change}"
            );
        }
        let lost = triggers.role(&applied(&role(&json!({"/status/assumable": []}))), &clusters);
        assert_eq!(
            lost,
            Due {
                clusters: names(&["a", "b"]),
                sets: names(&["default"]),
                ..Due::default()
            }
        );
    }

    #[test]
    fn a_policy_without_room_wakes_those_that_found_none() {
        let full = json!([{"type": "PolicyReady", "status": "False", "reason": "PolicyFull", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
        let (mut triggers, clusters) = seen(&role(&json!({"/status/assumable": []})));
        let told = role(&json!({"/status/assumable": [], "/status/conditions": full}));
        assert_eq!(triggers.role(&applied(&told), &clusters).clusters, names(&["a", "b"]));
        let (mut triggers, clusters) = seen(&role(&json!({})));
        let told = role(&json!({"/status/conditions": full}));
        assert_eq!(
            triggers.role(&applied(&told), &clusters),
            Due::default(),
            "these have theirs"
        );
    }

    #[test]
    fn a_management_role_that_fails_again_and_again_is_not_driven_by_what_it_says() {
        let says = |message: &str| {
            let ready = json!([{"type": "Ready", "status": "False", "reason": "AccountNotEntered", "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
            role(&json!({"/status/role": null, "/status/conditions": ready}))
        };
        let (mut triggers, clusters) = seen(&says("first"));
        let again = says("second");
        let due = triggers.role(&applied(&again), &clusters);
        assert_eq!((due.roles, due.sets), (names(&[]), names(&[])));
        // The clusters repeat what it says in their own status, which comes back too.
        let told = cluster("a", &json!({"/status/conditions": []}));
        assert_eq!(
            triggers.cluster(&applied(&told), |_| Some(Arc::clone(&again))),
            Due::default()
        );
    }

    #[test]
    fn a_role_that_the_store_knows_before_its_change_is_told_still_wakes_its_clusters() {
        let unready = role(&json!({"/status/role": null}));
        let (mut triggers, clusters) = seen(&unready);
        let ready = role(&json!({}));
        // The cluster's status comes first, and is judged by the store, which is ahead.
        let due = triggers.cluster(&applied(&clusters[0]), |_| Some(Arc::clone(&ready)));
        assert_eq!(due.clusters, names(&["a"]));
        assert_eq!(triggers.role(&applied(&ready), &clusters).clusters, names(&["b"]));
    }

    fn wanted(uid: &str, host: &str, name: &str) -> WantedSecret {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let connection = Connection {
            server: format!("https://{host}.eks.amazonaws.com"),
            certificate_authority: STANDARD.encode("-----BEGIN CERTIFICATE-----\n"),
            cluster_name: name.into(),
            role_arn: "arn:aws:iam::222222222222:role/x".into(),
        };
        let presentation = Presentation {
            name: name.into(),
            ..Presentation::default()
        };
        connection.present(&presentation, uid, name).unwrap()
    }

    fn secret(wanted: &WantedSecret, change: impl FnOnce(&mut Secret)) -> Arc<Secret> {
        let mut secret = Secret::default();
        secret.metadata.name = Some(wanted.name.clone());
        secret.metadata.uid = Some(format!("secret-{}", wanted.name));
        secret.metadata.labels = Some(wanted.labels.clone());
        secret.metadata.annotations = Some(wanted.annotations.clone());
        let data: BTreeMap<_, _> = wanted
            .data
            .iter()
            .map(|(k, v)| (k.clone(), ByteString(v.clone().into_bytes())))
            .collect();
        secret.data = Some(data);
        change(&mut secret);
        crate::argocd::cut_down(&mut secret);
        Arc::new(secret)
    }

    /// `a` and `b` have both written their Secrets.
    fn written() -> (Triggers, Memories, WantedSecret, WantedSecret) {
        let (triggers, _) = seen(&role(&json!({})));
        let memories = Memories::default();
        let (a, b) = (wanted("uid-a", "AAA", "a"), wanted("uid-b", "BBB", "b"));
        for (uid, secret) in [("uid-a", &a), ("uid-b", &b)] {
            memories.want_secret(uid, Some(secret.clone()));
            let status = ManagedClusterStatus {
                secret: Some(secret.name.clone()),
                ..ManagedClusterStatus::default()
            };
            memories.told_status(uid, &status, true);
        }
        (triggers, memories, a, b)
    }

    #[test]
    fn our_own_secret_coming_back_causes_nothing_and_every_other_change_does() {
        let (mut triggers, memories, a, _) = written();
        assert_eq!(
            triggers.secret(&applied(&secret(&a, |_| {})), &memories, &[]),
            Due::default()
        );
        let changes: [fn(&mut Secret); 5] = [
            |s| {
                s.data
                    .as_mut()
                    .unwrap()
                    .insert("config".into(), ByteString(b"{}".to_vec()));
            },
            |s| {
                s.data
                    .as_mut()
                    .unwrap()
                    .insert("shard".into(), ByteString(b"1".to_vec()));
            },
            |s| {
                s.data
                    .as_mut()
                    .unwrap()
                    .insert("server".into(), ByteString(b"https://x".to_vec()));
            },
            |s| s.metadata.annotations = None,
            |s| s.metadata.labels = None,
        ];
        for change in changes {
            triggers.secret(&applied(&secret(&a, |_| {})), &memories, &[]);
            assert_eq!(
                triggers.secret(&applied(&secret(&a, change)), &memories, &[]).clusters,
                names(&["a"])
            );
        }
        assert_eq!(
            triggers
                .secret(&Touched::Deleted(secret(&a, |_| {})), &memories, &[])
                .clusters,
            names(&["a"])
        );
        let theirs = secret(&a, |s| {
            s.metadata.labels.as_mut().unwrap().insert("theirs".into(), "x".into());
        });
        assert_eq!(
            triggers.secret(&applied(&theirs), &memories, &[]).clusters,
            names(&["a"]),
            "a label may bring deployments: it is told"
        );
        assert_eq!(
            triggers.secret(&applied(&theirs), &memories, &[]),
            Due::default(),
            "once"
        );
        assert_eq!(
            triggers.secret(&applied(&secret(&a, |_| {})), &memories, &[]).clusters,
            names(&["a"]),
            "it is off again"
        );
        let owned = secret(&a, |s| {
            s.metadata.owner_references = Some(vec![OwnerReference::default()]);
        });
        for _ in 0..2 {
            assert_eq!(
                triggers.secret(&applied(&owned), &memories, &[]).clusters,
                names(&["a"])
            );
        }
    }

    #[test]
    fn a_copy_that_says_the_same_is_noticed() {
        let (mut triggers, memories, a, _) = written();
        let copy = secret(&a, |s| {
            s.metadata.name = Some("copy".into());
            s.metadata.uid = Some("copy".into());
        });
        assert_eq!(triggers.secret(&applied(&copy), &memories, &[]).clusters, names(&["a"]));
    }

    #[test]
    fn a_duplicate_concerns_whom_it_is_in_the_way_of_when_it_comes_and_when_it_goes() {
        let (mut triggers, memories, _, b) = written();
        let duplicate = |server: Option<&str>| {
            secret(&b, |s| {
                s.metadata.uid = Some("duplicate".into());
                s.metadata.annotations = None;
                let data = s.data.as_mut().unwrap();
                data.insert("name".into(), ByteString(b"theirs".to_vec()));
                if let Some(server) = server {
                    data.insert("server".into(), ByteString(server.as_bytes().to_vec()));
                }
            })
        };
        assert_eq!(
            triggers.secret(&applied(&duplicate(None)), &memories, &[]).clusters,
            names(&["b"])
        );
        // It is made another cluster's: it is out of the way.
        assert_eq!(
            triggers
                .secret(&applied(&duplicate(Some("https://z"))), &memories, &[])
                .clusters,
            names(&["b"])
        );
        assert_eq!(
            triggers.secret(&applied(&duplicate(Some("https://z"))), &memories, &[]),
            Due::default()
        );
        triggers.secret(&applied(&duplicate(None)), &memories, &[]);
        assert_eq!(
            triggers
                .secret(&Touched::Deleted(duplicate(None)), &memories, &[])
                .clusters,
            names(&["b"])
        );
    }

    #[test]
    fn a_set_is_marked_when_a_secret_of_its_namespace_begins_or_ends_to_name_the_role_itself() {
        let memories = Memories::default();
        let roles = [role(&json!({}))];
        let by_hand = |namespace: &str, arn: &str| {
            let config = json!({"awsAuthConfig": {"clusterName": "x", "roleARN": arn}}).to_string();
            let mut secret = Secret::default();
            secret.metadata.uid = Some("by-hand".into());
            secret.metadata.namespace = Some(namespace.into());
            secret.data = Some([("config".to_owned(), ByteString(config.into_bytes()))].into());
            crate::argocd::cut_down(&mut secret);
            Arc::new(secret)
        };
        let (itself, other) = (
            "arn:aws:iam::111111111111:role/mooring/management",
            "arn:aws:iam::111111111111:role/other",
        );
        let mut triggers = Triggers::default();
        let mut sets = |touched: Touched<Secret>| triggers.secret(&touched, &memories, &roles).sets;
        assert_eq!(sets(applied(&by_hand("elsewhere", itself))), names(&[]));
        assert_eq!(sets(applied(&by_hand("argocd", other))), names(&["default"]), "no more");
        assert_eq!(sets(applied(&by_hand("argocd", itself))), names(&["default"]));
        assert_eq!(sets(applied(&by_hand("argocd", itself))), names(&[]), "nothing new");
        assert_eq!(sets(Touched::Deleted(by_hand("argocd", itself))), names(&["default"]));
        assert_eq!(sets(applied(&by_hand("argocd", other))), names(&[]));
    }
}
