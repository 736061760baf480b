//! A `ManagedCluster` that is being removed, or taken for that: what is taken away, and what it waits for first.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, runtime::reflector::Store};

use super::{Look, destinations::Destinations};
use crate::{
    api::{ManagedCluster, ManagedClusterStatus, Mode},
    argocd::ClusterSecret,
    aws::{Account, ReadBy},
    domain::arn::{PolicyArn, RoleArn},
    managed_cluster::{
        self, Plan, Withheld, in_use,
        ledger::{self, Hub},
        management::Management,
        observe::{self, Known, Secrets, Spoke},
        plan::primary,
        preview::{self, Looked},
        removal::{TakenOver, plan_removal},
        request::Identity,
    },
};

/// What was seen of it.
pub(super) struct Going {
    identity: Identity,
    /// Argo CD's namespace.
    namespace: String,
    /// The namespaces of other Argo CDs.
    others: Vec<String>,
    secrets: Secrets,
    /// Whether another cluster has the name in Argo CD that the spec gives it.
    name_taken: bool,
    spoke: Option<Spoke>,
    /// What is taken away in the end.
    plan: Plan,
}

/// How many removals an hour the operator allows, and what it counts.
pub(super) struct Removals<'a> {
    pub(super) hub: Hub<'a>,
    pub(super) limit: u32,
}

/// What a removal looks at, and besides what the access entry gives, which is lost with it.
pub(super) async fn whole_spoke(account: &Account, identity: &Identity, deployer: &RoleArn) -> Result<Spoke, String> {
    let spoke = Box::pin(observe::spoke_for_removal(account, identity, deployer, None)).await;
    let mut spoke = spoke.map_err(|error| error.to_string())?;
    if spoke.entry.is_some() && spoke.associations.is_none() {
        let found = account.associations(&identity.cluster.name, deployer).await;
        spoke.associations = found.map_err(|error| error.to_string())?;
    }
    Ok(spoke)
}

impl Look {
    /// Looks at what a removal has still to take away.
    pub(super) async fn going(
        &self,
        cluster: &ManagedCluster,
        management: &Management,
        read_by: &ReadBy,
        store: &Store<Secret>,
        others: Vec<String>,
    ) -> Result<Going, String> {
        let identity = Identity::of(cluster).map_err(|error| error.to_string())?;
        let nothing = ManagedClusterStatus::default();
        let old = cluster.status.as_ref().unwrap_or(&nothing);
        let deployer = identity.deployer(&management.hub);
        let known = Known::recorded(&identity.uid, old, &self.living);
        let api = Api::namespaced(self.client.clone(), &management.namespace);
        let secrets = observe::own_secrets(store, &api, &known)
            .await
            .map_err(|error| error.to_string())?;
        let name_taken = observe::is_anothers_name(store, &identity.argocd_name, &secrets);
        let spoke = if identity.retain {
            None
        } else {
            let at = &identity.cluster;
            let account = self.reader.enter(read_by, &at.account, &at.region).await?;
            Some(Box::pin(whole_spoke(&account, &identity, &deployer)).await?)
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
            TakenOver::of(&identity, old, &self.living),
        );
        Ok(Going {
            identity,
            namespace: management.namespace.clone(),
            others,
            secrets,
            name_taken,
            spoke,
            plan,
        })
    }
}

impl Going {
    /// Plans it. What comes first because the cluster is in use is told by the destinations of Applications.
    pub(super) fn plan(self, cluster: &ManagedCluster, destinations: &Destinations, removals: &Removals<'_>) -> Looked {
        let recorded = cluster.status.as_ref().and_then(|status| status.secret.as_deref());
        let mut looked = Looked::default();
        let mut plan = Plan::default();
        let held = ledger::held(&removals.hub, removals.limit, &cluster.metadata, &self.identity);
        plan.blocked.extend(held);
        if let Some(found) = destinations.found() {
            plan = plan.followed_by(self.in_argocd(cluster).foresee(self.identity.while_in_use, &found));
        }
        if self.identity.retain {
            let kept = if self.identity.mode == Mode::Suspended {
                "the deployer role is kept, since spec.deletion.policy is Retain"
            } else {
                "the deployer role and the access entry are kept, since spec.deletion.policy is Retain"
            };
            looked.notes.push(kept.to_owned());
        }
        if let Some(withheld) = Withheld::of(&cluster.metadata, self.identity.mode, false) {
            looked.notes.push(withheld.removal_waits());
        }
        let before = primary(&self.secrets, "", recorded).map(ClusterSecret::target);
        destinations.tell(before.as_ref(), None, &mut looked);
        let plan = plan.followed_by(self.plan);
        let spoke = self.spoke.unwrap_or_default();
        looked.changes = preview::changes(&plan.steps, &spoke, &self.secrets, recorded);
        looked.waits = plan.blocked.iter().map(managed_cluster::Blocked::message).collect();
        looked
    }

    fn in_argocd<'a>(&'a self, cluster: &'a ManagedCluster) -> in_use::Going<'a> {
        let status = cluster.status.as_ref().and_then(|status| status.cluster.as_ref());
        let own = self.secrets.own.iter();
        in_use::Going {
            object: &self.identity.name,
            secrets: own.filter(|secret| !secret.deleting && secret.is_cluster()).collect(),
            server: status.and_then(|cluster| cluster.endpoint.as_deref()),
            name: Some(self.identity.argocd_name.as_str()).filter(|_| !self.name_taken),
            namespace: &self.namespace,
            others: self.others.iter().map(String::as_str).collect(),
            cut_off: (self.identity.mode == Mode::Suspended).then_some(in_use::BY_SUSPENSION),
            earlier: in_use::Earlier::default(),
        }
    }
}
