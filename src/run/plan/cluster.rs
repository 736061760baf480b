//! A `ManagedCluster`: looked at beside the others, and planned in the order of their names.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, runtime::reflector::Store};

use super::{Hub, Look, destinations::Destinations};
use crate::{
    api::{ManagedCluster, ManagedClusterStatus},
    argocd::{ClusterSecret, Target},
    aws::ReadBy,
    domain::arn::PolicyArn,
    managed_cluster::{
        self, Plan, Step, Withheld,
        management::Management,
        observe::{self, Known},
        plan::primary,
        plan::suspended,
        preview::{self, Looked, Planned},
        removal::{TakenOver, plan_removal},
        request::{Identity, Request},
        survey::{Ground, Survey},
    },
};

/// What was seen of a cluster, before it is planned.
pub(super) struct Sight<'a> {
    cluster: &'a ManagedCluster,
    seen: Result<Seen, String>,
}

enum Seen {
    /// It stays, and is planned beside the others.
    Staying(Box<Staying>),
    /// It is being removed.
    Going(Box<Looked>, Option<Target>),
}

struct Staying {
    request: Request,
    management: Management,
    survey: Survey,
    living: BTreeSet<String>,
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
    ) -> Result<Seen, String> {
        let name = &cluster.spec.management_role;
        let hub = hubs
            .get(name)
            .ok_or_else(|| format!("there is no ManagementRole {name}, neither on the hub nor in the files"))?;
        let Hub { management, read_by } = hub.as_ref().map_err(Clone::clone)?;
        let store = stores
            .get(&management.namespace)
            .ok_or_else(|| format!("namespace {} was not looked at", management.namespace))?;
        let store = store.as_ref().map_err(Clone::clone)?;
        if cluster.metadata.deletion_timestamp.is_some() {
            return Box::pin(self.going(cluster, management, read_by, store)).await;
        }
        let request = Request::parse(cluster, management).map_err(|refusal| refusal.to_string())?;
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

    /// What a removal has still to take away.
    async fn going(
        &self,
        cluster: &ManagedCluster,
        management: &Management,
        read_by: &ReadBy,
        store: &Store<Secret>,
    ) -> Result<Seen, String> {
        let identity = Identity::of(cluster).map_err(|error| error.to_string())?;
        let nothing = ManagedClusterStatus::default();
        let old = cluster.status.as_ref().unwrap_or(&nothing);
        let deployer = identity.deployer(&management.hub);
        let server = old.cluster.as_ref().and_then(|cluster| cluster.endpoint.as_deref());
        let known = Known {
            name: old.secret.as_deref(),
            servers: server.into_iter().collect(),
        };
        let secrets = observe::secrets(store, &identity.uid, None, &known);
        let spoke = if identity.retain {
            None
        } else {
            let at = &identity.cluster;
            let account = self.reader.enter(read_by, &at.account, &at.region).await?;
            let spoke = Box::pin(observe::spoke_for_removal(&account, &identity, &deployer)).await;
            Some(spoke.map_err(|error| error.to_string())?)
        };
        let boundary = cluster.spec.access.deployer_role.permissions_boundary.as_deref();
        let boundary = boundary.and_then(|arn| arn.parse().ok());
        let plan = plan_removal(
            &deployer,
            &boundary.unwrap_or_else(|| PolicyArn::deny_all(management.hub.partition())),
            &identity.owner(&management.hub),
            identity.recorded_role(old),
            spoke.as_ref(),
            &secrets,
            TakenOver::of(&identity, old),
        );
        let before = primary(&secrets, "", old.secret.as_deref()).map(ClusterSecret::target);
        let looked = Looked {
            changes: preview::changes(&plan.steps, &spoke.unwrap_or_default(), &secrets, old.secret.as_deref()),
            waits: plan.blocked.iter().map(managed_cluster::Blocked::message).collect(),
            notes: vec!["it is being removed; what the removal waits for is told by its status".to_owned()],
            ..Looked::default()
        };
        Ok(Seen::Going(Box::new(looked), before))
    }
}

/// A server and a name in Argo CD that an object planned before takes.
pub(super) struct Claim {
    server: String,
    name: String,
    object: String,
}

impl Sight<'_> {
    /// Plans what was seen. `claims` are of the objects planned before, so that of two that want the same one gives way.
    pub(super) fn planned(self, claims: &mut Vec<Claim>, destinations: &Destinations) -> Planned {
        let cluster = Identity::of(self.cluster)
            .ok()
            .map(|identity| identity.cluster.to_string());
        Planned {
            kind: "ManagedCluster",
            name: self.cluster.metadata.name.clone().unwrap_or_default(),
            of: cluster,
            looked: self.seen.map(|seen| match seen {
                Seen::Staying(seen) => seen.plan(self.cluster, claims, destinations),
                Seen::Going(mut looked, before) => {
                    destinations.tell(before.as_ref(), None, &mut looked);
                    *looked
                }
            }),
        }
    }
}

impl Staying {
    fn plan(mut self, cluster: &ManagedCluster, claims: &mut Vec<Claim>, destinations: &Destinations) -> Looked {
        let nothing = ManagedClusterStatus::default();
        let old = cluster.status.as_ref().unwrap_or(&nothing);
        let mut looked = Looked::default();
        if let Some(wanted) = self.survey.desired.usable_secret() {
            let text = |key: &str| wanted.data.get(key).cloned().unwrap_or_default();
            let (server, name) = (text("server"), text("name"));
            let stands = self.survey.secrets.own.iter().any(|own| !own.deleting);
            let same = claims
                .iter()
                .filter(|claim| claim.server == server || claim.name == name);
            let same: Vec<String> = same.filter(|_| !stands).map(|claim| claim.object.clone()).collect();
            self.survey.secrets.claimed = same;
            let object = self.request.identity.name.clone();
            claims.push(Claim { server, name, object });
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
            let mut cut = suspended::cut(&self.request.owner, self.survey.spoke.entry.as_ref());
            cut.steps.append(&mut plan.steps);
            cut.blocked.append(&mut plan.blocked);
            plan = cut;
        }
        let withheld = Withheld::of(&cluster.metadata, cluster.spec.mode, false);
        if let Some(withheld) = withheld {
            looked.notes.push(format!(
                "{}, so the operator does nothing of this: {}",
                withheld.why(),
                withheld.end()
            ));
        }
        let name = self.management.hub.management_role.to_string();
        if self.management.going && ground.recorded_role().is_none() {
            plan = Plan::waiting(managed_cluster::Blocked::ManagementRoleGoing { name });
        } else if withheld.is_none() && !ground.is_suspended() && !self.management.admits(&self.request.deployer) {
            plan = Plan::waiting(managed_cluster::Blocked::PolicyPending { name });
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
                let now = primary(&self.survey.secrets, &secret.name, old.secret.as_deref());
                let (before, after) = (now.map(ClusterSecret::target), secret.target_over(now));
                destinations.tell(before.as_ref(), Some(&after), &mut looked);
            }
        }
        looked
    }
}
