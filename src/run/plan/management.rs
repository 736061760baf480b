//! A `ManagementRole`: what its own plan is, and what its clusters stand on once that is carried out.

mod going;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Secret;
use kube::Api;

use super::{Hub, Look, fleet::Fleet, unread::Unread};
use crate::{
    api::{ManagementRole, Mode},
    argocd::SECRET_TYPE,
    aws::ReadBy,
    domain::name::{AccountId, InvalidName},
    kubernetes::{issuer::issuer, objects},
    managed_cluster::{
        Withheld,
        management::{Management, NoManagement, unparsable},
        preview::{Looked, Planned, Unplanned},
    },
    management_role::{
        self, binding,
        members::{Members, acting, as_management},
        observe::{Observed, observe, observe_existing},
        plan::Memory,
        request::{Request, RoleOwner},
        step::Part,
    },
};

impl Look {
    /// Plans a `ManagementRole`, and gives what its clusters stand on afterwards.
    pub(super) async fn management(&self, role: &ManagementRole, fleet: &Fleet) -> (Planned, Result<Hub, String>) {
        let name = role.metadata.name.clone().unwrap_or_default();
        let mut planned = Planned {
            kind: "ManagementRole",
            name: name.clone(),
            of: None,
            looked: Ok(Looked::default()),
        };
        match Box::pin(self.role(role, fleet)).await {
            Err(why) => {
                let for_clusters = match &why {
                    Unplanned::Refused(_) => format!("ManagementRole {name} is refused"),
                    Unplanned::Unseen(_) => format!("ManagementRole {name} could not be planned"),
                };
                planned.looked = Err(why);
                (planned, Err(for_clusters))
            }
            Ok((request, looked, hub)) => {
                planned.of = Some(request.hub.cluster.to_string());
                planned.looked = Ok(looked);
                (planned, hub)
            }
        }
    }

    async fn role(
        &self,
        role: &ManagementRole,
        fleet: &Fleet,
    ) -> Result<(Request, Looked, Result<Hub, String>), Unplanned> {
        let refused = |refusal: management_role::request::Refusal| Unplanned::Refused(refusal.to_string());
        let read_by = |request: &Request| ReadBy {
            region: request.hub.cluster.region.clone(),
            role: request.reader.clone(),
            external_id: request.external_id.clone(),
        };
        let known = role.status.as_ref().and_then(|status| status.hub.as_ref());
        let known = known.and_then(|hub| hub.account_id.parse::<AccountId>().ok());
        let mut looked = Looked::default();
        let account = if let Some(account) = known.or_else(|| self.hub_account.clone()) {
            account
        } else {
            // What it is parsed with only fills ARNs that are not used for this.
            let by = read_by(&Request::parse(role, &nobody()?).map_err(refused)?);
            let own = self.reader.own_account(&by).await?;
            looked.notes.push(format!(
                    "the hub's account is not recorded yet, and is taken to be {own}, that of your AWS credentials; where it is another, give that with --hub-account"
                ));
            own
        };
        let request = Request::parse(role, &account).map_err(refused)?;
        let request = request.guarding(&self.guarded);
        let by = read_by(&request);
        if role.metadata.deletion_timestamp.is_some() {
            Box::pin(self.role_going(role, (&request, &by), fleet, &mut looked)).await;
            let management = Management::read_for_removal(role).map_err(in_words);
            let hub = management.map(|management| Hub {
                management: management.guarding(&request.guarded),
                read_by: by,
                unread: None,
            });
            return Ok((request, looked, hub));
        }
        let issuer_here = issuer(&self.client).await.map_err(|error| error.to_string())?;
        let account = self.reader.enter(&by, &account, &request.hub.cluster.region).await?;
        let observed = match request.role_owner {
            RoleOwner::Mooring => Box::pin(observe(&account, &request, issuer_here)).await,
            RoleOwner::Existing => Box::pin(observe_existing(&account, &request, issuer_here)).await,
        };
        let observed = observed.map_err(|error| error.to_string())?;
        let old = role.status.clone().unwrap_or_default();
        let memory = Memory {
            recorded_role: old.role.as_ref().map(|role| role.id.as_str()),
            recorded_ways: old.assumable.iter().cloned().collect(),
            recorded_issuer: old.hub.as_ref().and_then(|hub| hub.issuer.as_deref()),
            ..Memory::default()
        };
        let standing = observed.assumable(&request.hub, &memory.recorded_ways);
        let recorded = old.retained.iter().cloned().collect();
        let mut members = Members::gather(&request, &fleet.members(), &standing, &recorded);
        match self.acting(&request).await {
            Ok(acting) => members.acting = Some(acting),
            // What stands for them is kept in the plan.
            Err(why) => looked.unseen.push(why),
        }
        let plan = management_role::preview::foresee(&request, &observed, &members, &memory);
        looked.changes = management_role::preview::changes(&plan.steps, &observed);
        looked.waits = plan.blocked.iter().map(management_role::Blocked::message).collect();
        let namespace = request.namespace.to_string();
        let unserved = self.served.as_ref().is_some_and(|served| !served.contains(&namespace));
        if unserved {
            let blocked = management_role::Blocked::NamespaceNotServed { namespace };
            looked.waits.push(blocked.message());
        } else if plan.in_the_way().is_none() {
            self.binding(role, (&request, &plan), &mut looked).await;
        }
        let mut plan = plan;
        if let Some(withheld) = Withheld::of(&role.metadata, Mode::Enforce, false) {
            looked
                .notes
                .push(withheld.nothing_done(&format!("mgr {}", request.name)));
            // Its clusters stand on what there is.
            plan.assumable = standing;
        }
        let hub = hub(role, &request, &observed, plan).map(|management| Hub {
            management,
            read_by: by,
            unread: None,
        });
        Ok((request, looked, hub))
    }

    /// The cluster Secrets by which Argo CD assumes the management role itself.
    async fn acting(&self, request: &Request) -> Result<BTreeSet<String>, String> {
        let (key, value) = SECRET_TYPE;
        let secrets = Api::<Secret>::namespaced(self.client.clone(), request.namespace.as_str());
        let found = objects::list_labelled(&secrets, &format!("{key}={value}")).await;
        let found = found.map_err(|error| error.to_string())?;
        Ok(acting(&request.role, found.iter()))
    }

    /// Adds what binding the service accounts would change.
    async fn binding(
        &self,
        role: &ManagementRole,
        (request, planned): (&Request, &management_role::Plan),
        looked: &mut Looked,
    ) {
        let mut binding = binding::request::Request::of(role);
        // Bound once it stands, which the plan before this leads to.
        binding.role.get_or_insert_with(|| request.role.to_string());
        binding.untrusted.clone_from(&planned.untrusted);
        match binding::observe::observe(&self.client, &binding).await {
            Err(error) => looked.unseen.push(error.to_string()),
            Ok(observed) => {
                let recorded = role.status.iter().flat_map(|status| &status.restarted);
                let restarted = recorded.map(|one| (one.uid.clone(), one.role.clone())).collect();
                let memory = binding::plan::Memory {
                    written: &BTreeMap::new(),
                    restarted: &restarted,
                    now: jiff::Timestamp::now(),
                };
                let plan = binding::plan::plan(&binding, &observed, &memory);
                looked
                    .changes
                    .extend(management_role::preview::binding_changes(&plan.steps));
                let obstacles = plan.obstacles.iter();
                looked
                    .notes
                    .extend(obstacles.map(|obstacle| obstacle.message(&binding)));
            }
        }
    }
}

impl Hub {
    /// The way into accounts by a `ManagementRole` that cannot be read, as far as what is stored tells it.
    pub(super) fn unread(unread: &Unread) -> Result<Self, String> {
        let Unread { name, why, stored, .. } = unread;
        let role = unparsable::read(stored);
        let role = role.map_err(|more| unparsable::in_words(name, &format!("{why}; {more}")))?;
        let management = Management::read_for_removal(&role).map_err(in_words)?;
        Ok(Self {
            read_by: ReadBy {
                region: management.hub.cluster.region.clone(),
                role: management.reader.clone(),
                external_id: management.external_id.clone(),
            },
            management,
            unread: Some(unparsable::in_words(name, why)),
        })
    }
}

/// An account for what needs none.
fn nobody() -> Result<AccountId, String> {
    "000000000000".parse().map_err(|error: InvalidName| error.to_string())
}

/// What clusters stand on once the plan is carried out.
fn hub(
    role: &ManagementRole,
    request: &Request,
    observed: &Observed,
    plan: management_role::Plan,
) -> Result<Management, String> {
    // Whatever was recorded of it: until that is settled, the operator writes nothing for its clusters.
    if let Some(blocked) = plan.blocked.iter().find(|blocked| blocked.part() == Some(Part::Hub)) {
        return Err(format!("ManagementRole {}: {}", request.name, blocked.message()));
    }
    let mut management = match Management::read(role) {
        Ok(management) => management.guarding(&request.guarded),
        // It has not been looked at yet: the plan tells whether it will stand.
        Err(NoManagement::NotReady { .. }) if observed.cluster.is_some() && plan.in_the_way().is_none() => {
            as_management(request)
        }
        Err(none) => return Err(in_words(none)),
    };
    if request.role_owner == RoleOwner::Mooring {
        management.assumable = Some(plan.assumable);
    }
    Ok(management)
}

fn in_words(none: NoManagement) -> String {
    let (NoManagement::Missing(why) | NoManagement::Unreadable(why) | NoManagement::NotReady { why, .. }) = none;
    why
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn unread(change: impl FnOnce(&mut Value)) -> Unread {
        let mut stored = json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagementRole", "metadata": {"name": "default", "uid": "u"},
            "spec": {
                "cluster": {"name": "hub", "region": "eu-west-1"}, "argocdNamespace": "cd", "allow": "everything",
                "provisioner": {"readerRoleName": "look", "externalId": "x"},
            },
            "status": {
                "hub": {"accountId": "111111111111", "region": "eu-west-1", "name": "hub", "arn": "arn:hub"},
                "role": {"arn": "arn:aws:iam::111111111111:role/mooring/argocd", "id": "AROAR"},
            },
        });
        change(&mut stored);
        Unread::stored("ManagementRole", "default", "spec.allow: no list", stored)
    }

    #[test]
    fn a_management_role_that_cannot_be_read_gives_the_way_into_accounts_and_says_why_it_gives_no_more() {
        let hub = Hub::unread(&unread(|_| {})).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(hub.read_by.role.as_str(), "look");
        assert_eq!(hub.read_by.external_id.as_deref(), Some("x"));
        assert_eq!(hub.management.namespace, "cd");
        assert!(hub.management.allow.is_empty());
        let why = hub.unread.unwrap();
        let says = "ManagementRole default cannot be read: spec.allow: no list (";
        assert!(
            why.starts_with(says) && why.contains("kubectl describe mgr default"),
            "{why}"
        );

        let why = Hub::unread(&unread(|object| object["spec"]["cluster"] = json!(7)))
            .err()
            .unwrap();
        assert!(why.contains("cannot be read: spec.allow: no list; spec: "), "{why}");
    }
}
