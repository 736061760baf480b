//! A `ManagementRole`: what its own plan is, and what its clusters stand on once that is carried out.

mod going;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Secret;
use kube::Api;

use super::{Hub, Look, fleet::Fleet};
use crate::{
    api::ManagementRole,
    argocd::SECRET_TYPE,
    aws::ReadBy,
    domain::name::{AccountId, InvalidName},
    kubernetes::{issuer::issuer, objects},
    managed_cluster::{
        management::{Management, NoManagement},
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
        if plan.in_the_way().is_none() {
            self.binding(role, (&request, &plan), &mut looked).await;
        }
        let hub = hub(role, &request, &observed, plan).map(|management| Hub {
            management,
            read_by: by,
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
