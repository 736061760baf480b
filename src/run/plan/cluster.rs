//! A `ManagedCluster`: looked at beside the others, and planned in the order of their names.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, runtime::reflector::Store};

use super::{
    Hub, Look,
    destinations::Destinations,
    going::{Going, Removals, whole_spoke},
};
use crate::{
    api::{ManagedCluster, ManagedClusterStatus, Mode},
    argocd::ClusterSecret,
    aws::ReadBy,
    domain::name::AccountId,
    managed_cluster::{
        self, Plan, Step, Withheld,
        living::Living,
        management::Management,
        observe::Secrets,
        plan::{self, KnownEntry, suspended},
        preview::{self, Looked, Planned, Unplanned},
        request::{Identity, Request},
        survey::{Ground, Survey},
    },
};

/// What was seen of a cluster, before it is planned.
pub(super) struct Sight<'a> {
    cluster: &'a ManagedCluster,
    seen: Result<Seen, Unplanned>,
}

enum Seen {
    /// It stays, and is planned beside the others.
    Staying(Box<Staying>),
    /// Its access is taken away, and nothing else is known of it.
    Cut(Box<Looked>),
    /// It is being removed, or taken for that.
    Going(Box<Going>),
}

struct Staying {
    request: Request,
    management: Management,
    survey: Survey,
    living: Living,
}

impl Look {
    pub(super) async fn cluster<'a>(
        &self,
        cluster: &'a ManagedCluster,
        hubs: &BTreeMap<String, Result<Hub, String>>,
        stores: &HashMap<String, Result<Store<Secret>, String>>,
    ) -> Sight<'a> {
        let seen = Box::pin(self.see(cluster, hubs, stores)).await;
        Sight { cluster, seen }
    }

    async fn see(
        &self,
        cluster: &ManagedCluster,
        hubs: &BTreeMap<String, Result<Hub, String>>,
        stores: &HashMap<String, Result<Store<Secret>, String>>,
    ) -> Result<Seen, Unplanned> {
        let name = &cluster.spec.management_role;
        let hub = hubs.get(name).ok_or_else(|| {
            Unplanned::Refused(format!(
                "there is no ManagementRole {name}, neither on the hub nor in the files"
            ))
        })?;
        let Hub {
            management,
            read_by,
            unread,
        } = hub.as_ref().map_err(Clone::clone)?;
        let namespace = &management.namespace;
        if self.served.as_ref().is_some_and(|served| !served.contains(namespace)) {
            let namespace = namespace.clone();
            let blocked = managed_cluster::Blocked::NamespaceNotServed { namespace };
            return Err(Unplanned::Refused(blocked.message()));
        }
        let store = stores
            .get(&management.namespace)
            .ok_or_else(|| format!("namespace {} was not looked at", management.namespace))?;
        let store = store.as_ref().map_err(Clone::clone)?;
        if cluster.metadata.deletion_timestamp.is_some() {
            let others = stores.keys().filter(|other| **other != management.namespace);
            let others = others.cloned().collect();
            let going = Box::pin(self.going(cluster, management, read_by, store, others)).await?;
            return Ok(Seen::Going(Box::new(going)));
        }
        if let Some(why) = unread {
            return Box::pin(self.cut(cluster, management, read_by, why)).await;
        }
        let request = match Request::parse(cluster, management) {
            Ok(request) => request,
            Err(refusal) => return Box::pin(self.cut(cluster, management, read_by, &refusal.to_string())).await,
        };
        let identity = &request.identity.cluster;
        let account = self.reader.enter(read_by, &identity.account, &identity.region).await?;
        let nothing = ManagedClusterStatus::default();
        let ground = Ground {
            request: &request,
            management,
            old: cluster.status.as_ref().unwrap_or(&nothing),
            living: &self.living,
        };
        let spoke = ground
            .spoke_with_entry(&account)
            .await
            .map_err(|error| error.to_string())?;
        let desired = ground.desired(&spoke);
        let api = Api::namespaced(self.client.clone(), &management.namespace);
        let secrets = ground.secrets(store, &api, desired.usable_secret()).await;
        let secrets = secrets.map_err(|error| error.to_string())?;
        let survey = Survey {
            spoke,
            secrets,
            desired,
        };
        Ok(Seen::Staying(Box::new(Staying {
            management: management.clone(),
            request,
            survey,
            living: self.living.clone(),
        })))
    }
}

impl Look {
    /// What becomes of an object that asks for what it may not have: nothing, but that the access of one that is suspended
    /// is taken away all the same.
    async fn cut(
        &self,
        cluster: &ManagedCluster,
        management: &Management,
        read_by: &ReadBy,
        refusal: &str,
    ) -> Result<Seen, Unplanned> {
        let suspended = |identity: &Identity| identity.mode == Mode::Suspended;
        let identity = Identity::of(cluster)
            .ok()
            .filter(suspended)
            .ok_or_else(|| Unplanned::Refused(refusal.to_owned()))?;
        let at = &identity.cluster;
        let account = self.reader.enter(read_by, &at.account, &at.region).await?;
        let deployer = identity.deployer(&management.hub);
        let spoke = Box::pin(whole_spoke(&account, &identity, &deployer)).await?;
        let recorded = cluster.status.as_ref().and_then(|status| status.access_entry.as_ref());
        let known = KnownEntry {
            recorded,
            living: &self.living,
            role: spoke.role_of_others(&identity),
        };
        let plan = suspended::cut(&identity.owner(&management.hub), known, spoke.entry.as_ref());
        Ok(Seen::Cut(Box::new(Looked {
            changes: preview::changes(&plan.steps, &spoke, &Secrets::default(), None),
            waits: plan.blocked.iter().map(managed_cluster::Blocked::message).collect(),
            notes: withheld_note(cluster).into_iter().collect(),
            unseen: vec![format!("what stays while spec.mode is Suspended: {refusal}")],
            ..Looked::default()
        })))
    }
}

/// That the operator does nothing of a plan.
fn withheld_note(cluster: &ManagedCluster) -> Option<String> {
    let withheld = Withheld::of(&cluster.metadata, cluster.spec.mode, false)?;
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    Some(withheld.nothing_done(&format!("mgc {name}")))
}

/// What objects planned before take, of which one alone can have each.
#[derive(Default)]
pub(super) struct Claims {
    secrets: Vec<Claim>,
    /// The object that makes or takes over a deployer role, by account and name in lower case: IAM tells names apart by
    /// neither path nor case.
    roles: BTreeMap<(AccountId, String), String>,
}

/// A server and a name in Argo CD.
struct Claim {
    server: String,
    name: String,
    object: String,
}

impl Sight<'_> {
    /// Plans what was seen. `claims` are of the objects planned before, so that of two that want the same one gives way.
    pub(super) fn planned(self, claims: &mut Claims, destinations: &Destinations, removals: &Removals<'_>) -> Planned {
        let cluster = Identity::of(self.cluster)
            .ok()
            .map(|identity| identity.cluster.to_string());
        Planned {
            kind: "ManagedCluster",
            name: self.cluster.metadata.name.clone().unwrap_or_default(),
            of: cluster,
            looked: self.seen.map(|seen| match seen {
                Seen::Staying(seen) => seen.plan(self.cluster, claims, destinations),
                Seen::Cut(looked) => *looked,
                Seen::Going(going) => going.plan(self.cluster, destinations, removals),
            }),
        }
    }
}

impl Staying {
    /// Who makes or takes over the role before this object does, where it would.
    fn has_its_role(&self, plan: &Plan, claims: &mut Claims) -> Option<String> {
        let makes = |step: &Step| matches!(step, Step::CreateRole { .. } | Step::AdoptRole { .. });
        if !plan.steps.iter().any(makes) {
            return None;
        }
        let object = &self.request.identity.name;
        let deployer = &self.request.deployer;
        let role = (deployer.account.clone(), deployer.name.to_string().to_lowercase());
        let first = claims.roles.entry(role).or_insert_with(|| object.clone());
        (first != object).then(|| first.clone())
    }

    fn plan(mut self, cluster: &ManagedCluster, claims: &mut Claims, destinations: &Destinations) -> Looked {
        let nothing = ManagedClusterStatus::default();
        let old = cluster.status.as_ref().unwrap_or(&nothing);
        let mut looked = Looked::default();
        if let Some(wanted) = self.survey.desired.usable_secret() {
            let text = |key: &str| wanted.data.get(key).cloned().unwrap_or_default();
            let (server, name) = (text("server"), text("name"));
            let stands = self.survey.secrets.own.iter().any(|own| !own.deleting);
            let same = (claims.secrets.iter()).filter(|claim| claim.server == server || claim.name == name);
            let same: Vec<String> = same.filter(|_| !stands).map(|claim| claim.object.clone()).collect();
            self.survey.secrets.claimed = same;
            let object = self.request.identity.name.clone();
            claims.secrets.push(Claim { server, name, object });
        }
        let ground = Ground {
            request: &self.request,
            management: &self.management,
            old,
            living: &self.living,
        };
        let mut plan = ground.plan(&self.survey, None, &[]);
        if let Some(suspicion) = plan.suspicion.clone() {
            plan = ground.plan(&self.survey, Some(&suspicion), &[]);
            looked
                .notes
                .push("done only after a second look, some time later, agrees".to_owned());
        }
        if ground.is_suspended() {
            let known = KnownEntry {
                recorded: old.access_entry.as_ref(),
                living: &self.living,
                role: self.survey.spoke.role_of_others(&self.request.identity),
            };
            let mut cut = suspended::cut(&self.request.owner, known, self.survey.spoke.entry.as_ref());
            cut.steps.append(&mut plan.steps);
            cut.blocked.append(&mut plan.blocked);
            plan = cut;
        }
        let withheld = Withheld::of(&cluster.metadata, cluster.spec.mode, false);
        looked.notes.extend(withheld_note(cluster));
        let name = self.management.hub.management_role.to_string();
        if self.management.going && ground.recorded_role().is_none() {
            plan = Plan::waiting(managed_cluster::Blocked::ManagementRoleGoing { name });
        } else if withheld.is_none() && !ground.is_suspended() {
            let pending = self.management.pending(&self.request.deployer);
            plan = match pending {
                Some(pending) if ground.recorded_role().is_none() => Plan::waiting(pending),
                pending => plan::awaiting(plan, pending),
            };
        }
        if let Some(first) = self.has_its_role(&plan, claims) {
            looked.waits.push(format!(
                "ManagedCluster {first}, which is planned before this one, has role {} then, and a role is one object's: give this one another access.deployerRole, or leave one out if both moor the same cluster",
                self.request.deployer
            ));
            plan = Plan::default();
        }
        looked.changes = preview::changes(
            &plan.steps,
            &self.survey.spoke,
            &self.survey.secrets,
            old.secret.as_deref(),
        );
        for blocked in &plan.blocked {
            // What a suspended cluster does not get is not waited for.
            let told = if matches!(blocked, managed_cluster::Blocked::Suspended { .. }) {
                &mut looked.notes
            } else {
                &mut looked.waits
            };
            told.push(blocked.message());
        }
        for step in &plan.steps {
            if let Step::ApplySecret { secret, .. } = step {
                let now = preview::replaced(step, &self.survey.secrets, old.secret.as_deref());
                let (before, after) = (now.map(ClusterSecret::target), secret.target_over(now));
                destinations.tell(before.as_ref(), Some(&after), &mut looked);
            }
        }
        looked
    }
}
