//! A `ManagedCluster` that is being removed, or taken for that: what is taken away, and what it waits for first.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, runtime::reflector::Store};

use super::{Look, destinations::Destinations};
use crate::{
    api::{ManagedCluster, ManagedClusterStatus, Mode},
    argocd::ClusterSecret,
    aws::{Account, ReadBy},
    domain::{
        arn::{PolicyArn, RoleArn},
        hub,
    },
    managed_cluster::{
        self, Plan, Withheld, in_use,
        ledger::{self, Hub, Stage},
        living::Living,
        management::Management,
        observe::{self, Known, Secrets, Spoke},
        plan::{KnownEntry, primary},
        preview::{self, Looked},
        removal::{TakenOver, plan_removal, plan_suspended},
        request::Identity,
        step::Part,
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
    hub: hub::Hub,
    living: Living,
}

/// How many removals an hour the operator allows, and what it counts.
pub(super) struct Removals<'a> {
    pub(super) hub: Hub<'a>,
    pub(super) limit: u32,
}

/// What a removal looks at, and besides what the access entry gives, which is lost with it.
pub(super) async fn whole_spoke(account: &Account, identity: &Identity, deployer: &RoleArn) -> Result<Spoke, String> {
    let spoke = Box::pin(observe::spoke_for_removal(account, identity, deployer, None)).await;
    with_associations(account, identity, deployer, spoke.map_err(|error| error.to_string())?).await
}

async fn with_associations(
    account: &Account,
    identity: &Identity,
    deployer: &RoleArn,
    mut spoke: Spoke,
) -> Result<Spoke, String> {
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
        let at = &identity.cluster;
        // What is retained is not looked at, but for the access that goes first.
        let spoke = if identity.retain && identity.mode != Mode::Suspended {
            None
        } else {
            let account = self.reader.enter(read_by, &at.account, &at.region).await?;
            Some(if identity.retain {
                let owner = identity.owner(&management.hub);
                let known = KnownEntry {
                    recorded: old.access_entry.as_ref(),
                    living: &self.living,
                    role: None,
                };
                let seen = observe::entry_with_role(&account, &identity, &deployer, &owner, known);
                let spoke = Box::pin(seen).await.map_err(|error| error.to_string())?;
                with_associations(&account, &identity, &deployer, spoke).await?
            } else {
                Box::pin(whole_spoke(&account, &identity, &deployer)).await?
            })
        };
        Ok(Going {
            identity,
            namespace: management.namespace.clone(),
            others,
            secrets,
            name_taken,
            spoke,
            hub: management.hub.clone(),
            living: self.living.clone(),
        })
    }
}

impl Going {
    /// Plans it. What comes first because the cluster is in use is told by the destinations of Applications.
    pub(super) fn plan(self, cluster: &ManagedCluster, destinations: &Destinations, removals: &Removals<'_>) -> Looked {
        let recorded = cluster.status.as_ref().and_then(|status| status.secret.as_deref());
        let mut looked = Looked::default();
        let mut first = Plan::default();
        // What was taken away before is told where the operator knows it.
        let stage = Stage::of(&self.secrets, false);
        let held = ledger::held(
            &removals.hub,
            removals.limit,
            (&cluster.metadata, stage),
            &self.identity,
        );
        first.blocked.extend(held);
        if let Some(found) = destinations.found() {
            first = first.followed_by(self.in_argocd(cluster).foresee(self.identity.while_in_use, &found));
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
            looked
                .notes
                .push(withheld.removal_waits(&format!("mgc {}", self.identity.name)));
        }
        let before = primary(&self.secrets, "", recorded).map(ClusterSecret::target);
        destinations.tell(before.as_ref(), None, &mut looked);
        let waits = !first.blocked.is_empty();
        let plan = self.whole(cluster, first);
        let cut = matches!(plan.steps.first(), Some(step) if self.identity.mode == Mode::Suspended && step.part() == Part::AccessEntry);
        if waits && cut {
            let note = "the access entry goes at once, since spec.mode is Suspended, whatever the rest waits for";
            looked.notes.push(note.to_owned());
        }
        let spoke = self.spoke.unwrap_or_default();
        looked.changes = preview::changes(&plan.steps, &spoke, &self.secrets, recorded);
        looked.waits = plan.blocked.iter().map(managed_cluster::Blocked::message).collect();
        looked
    }

    /// What is taken away, `first` what comes before, in the operator's order.
    fn whole(&self, cluster: &ManagedCluster, first: Plan) -> Plan {
        let identity = &self.identity;
        let nothing = ManagedClusterStatus::default();
        let old = cluster.status.as_ref().unwrap_or(&nothing);
        let boundary = cluster.spec.access.deployer_role.permissions_boundary.as_deref();
        let boundary = boundary.and_then(|arn| arn.parse().ok());
        let boundary = boundary.unwrap_or_else(|| PolicyArn::deny_all(self.hub.partition()));
        let (deployer, owner) = (identity.deployer(&self.hub), identity.owner(&self.hub));
        let taken_over = TakenOver::of(identity, old, &self.living);
        let recorded = identity.recorded_role(old);
        let rest = |spoke: Option<&Spoke>| {
            plan_removal(&deployer, &boundary, &owner, recorded, spoke, &self.secrets, taken_over)
        };
        match &self.spoke {
            Some(spoke) if identity.mode == Mode::Suspended => {
                plan_suspended(identity, &owner, taken_over, spoke, first, rest)
            }
            spoke => first.followed_by(rest(spoke.as_ref())),
        }
    }

    fn in_argocd<'a>(&'a self, cluster: &'a ManagedCluster) -> in_use::Going<'a> {
        let status = cluster.status.as_ref();
        let own = self.secrets.own.iter();
        in_use::Going {
            object: &self.identity.name,
            secrets: own.filter(|secret| !secret.deleting && secret.is_cluster()).collect(),
            server: status.and_then(|status| status.cluster.as_ref()?.endpoint.as_deref()),
            name: Some(self.identity.argocd_name.as_str()).filter(|_| !self.name_taken),
            namespace: &self.namespace,
            others: self.others.iter().map(String::as_str).collect(),
            cut_off: in_use::cut_off(self.identity.mode, status),
            earlier: in_use::Earlier::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use serde_json::json;

    use super::*;
    use crate::{
        domain::{
            arn::ClusterArn,
            eks::{AccessEntry, AccessPolicyArn, AccessScope, Associations},
        },
        managed_cluster::Step,
    };

    fn suspended(policy: &str) -> ManagedCluster {
        let object = json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagedCluster",
            "metadata": {"name": "prod", "uid": "uid-prod", "deletionTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {
                "accountId": "222222222222", "region": "eu-west-1", "mode": "Suspended",
                "access": {"kubernetesGroups": ["ours"]}, "deletion": {"policy": policy},
            },
            "status": {"conditions": [], "accessEntry": {"arn": "arn:entry", "kubernetesGroups": ["ours"], "adopted": true}},
        });
        serde_json::from_value(object).unwrap()
    }

    /// It, with an access entry that was taken over and to which others gave a group and a policy.
    fn going(cluster: &ManagedCluster) -> Going {
        let hub = hub::Hub {
            cluster: ClusterArn {
                region: "eu-west-1".parse().unwrap(),
                account: "111111111111".parse().unwrap(),
                name: "hub".parse().unwrap(),
            },
            management_role: "default".parse().unwrap(),
        };
        let identity = Identity::of(cluster).unwrap();
        let entry = AccessEntry {
            arn: "arn:entry".to_owned(),
            principal: identity.deployer(&hub).to_string(),
            kind: "STANDARD".to_owned(),
            username: None,
            groups: ["ours", "theirs"].map(str::to_owned).into(),
            created: None,
            tags: identity.owner(&hub).tags(),
        };
        let policy = AccessPolicyArn::from_aws("arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy");
        let metadata = ObjectMeta {
            name: Some("cluster-prod".to_owned()),
            ..ObjectMeta::default()
        };
        let secret = ClusterSecret::read(&Secret {
            metadata,
            ..Secret::default()
        });
        Going {
            identity,
            namespace: "argocd".to_owned(),
            others: Vec::new(),
            secrets: Secrets {
                own: vec![secret],
                ..Secrets::default()
            },
            name_taken: false,
            spoke: Some(Spoke {
                entry: Some(entry),
                associations: Some(Associations::from([(policy, AccessScope::Cluster)])),
                ..Spoke::default()
            }),
            hub,
            living: Living::default(),
        }
    }

    #[test]
    fn the_access_of_what_is_suspended_goes_whole_and_first_whatever_is_kept_and_waited_for() {
        for policy in ["Retain", "Delete"] {
            let cluster = suspended(policy);
            let going = going(&cluster);
            let first = Plan::waiting(managed_cluster::Blocked::RolePropagating);
            let plan = going.whole(&cluster, first);
            let steps: Vec<_> = plan.steps.iter().map(Step::name).collect();
            assert_eq!(steps, ["DeleteAccessEntry", "DeleteSecret"], "{policy}");
            assert_eq!(plan.blocked.len(), 1, "{policy}");
            let spoke = going.spoke.as_ref().unwrap();
            let changes = preview::changes(&plan.steps, spoke, &going.secrets, None);
            let lost = &changes[0].lost;
            for part in ["Kubernetes group theirs", "AmazonEKSViewPolicy"] {
                assert!(lost.iter().any(|one| one.contains(part)), "{policy}: {part}: {lost:?}");
            }
        }
    }
}
