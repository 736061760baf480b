//! A `ManagementRole` that is being removed, or taken for that: what it waits for, and what is taken away then.

use crate::{
    api::{FINALIZER, ManagementRole, Mode},
    aws::ReadBy,
    domain::arn::RoleArn,
    kubernetes::{finalizer, issuer::issuer},
    managed_cluster::{Withheld, in_words, management::closed_accounts, preview::Looked},
    management_role::{
        Blocked,
        binding::{
            self,
            plan::let_go,
            request::manager,
            step::Step::{self, Release},
        },
        observe::observe_for_removal,
        plan::{Left, plan_removal},
        preview,
        remaining::{Kept, kept, unseen},
        request::{Request, RoleOwner},
    },
    run::plan::{Look, fleet::Fleet},
};

impl Look {
    /// Plans the removal, in the operator's order. What cannot be looked at is told, and so is the rest.
    pub(super) async fn role_going(
        &self,
        role: &ManagementRole,
        (request, by): (&Request, &ReadBy),
        fleet: &Fleet,
        looked: &mut Looked,
    ) {
        if !finalizer::bears(&role.metadata, FINALIZER) {
            let note = "it does not bear Mooring's finalizer: nothing was made for it, and nothing is taken away";
            looked.notes.push(note.to_owned());
            return;
        }
        if let Some(withheld) = Withheld::of(&role.metadata, Mode::Enforce, false) {
            looked
                .notes
                .push(withheld.removal_waits(&format!("mgr {}", request.name)));
        }
        let naming = fleet.naming(&request.name);
        let mut waits: Vec<Blocked> = naming
            .map(|naming| naming.blocked([].into(), false))
            .into_iter()
            .collect();
        let ours = request.role_owner == RoleOwner::Mooring;
        if ours {
            match self.acting(request).await {
                Ok(secrets) if secrets.is_empty() => {}
                Ok(secrets) => waits.push(Blocked::SecretsRemain {
                    namespace: request.namespace.to_string(),
                    secrets,
                }),
                Err(why) => looked.unseen.push(why),
            }
            waits.extend(self.kept(role, (request, by), looked).await);
        }
        let manager = manager(&request.name);
        match binding::observe::accounts(&self.client, request.namespace.as_str(), &manager).await {
            Ok(accounts) => {
                let release = |account: &binding::observe::Target| Release {
                    account: account.clone(),
                };
                let steps: Vec<Step> = let_go(&accounts).map(release).collect();
                looked.changes.extend(preview::binding_changes(&steps));
            }
            Err(error) => looked.unseen.push(error.to_string()),
        }
        if ours {
            waits.extend(self.in_account(role, (request, by), looked).await);
        }
        looked.waits.extend(waits.iter().map(Blocked::message));
    }

    /// The deployer roles that were kept and may trust it.
    async fn kept(
        &self,
        role: &ManagementRole,
        (request, by): (&Request, &ReadBy),
        looked: &mut Looked,
    ) -> Option<Blocked> {
        let mut all = Kept::default();
        let recorded = role.status.as_ref().map(|status| status.retained.as_slice());
        for deployer in kept(&role.metadata, recorded.unwrap_or_default()) {
            if let Err(why) = self.look_for(&deployer, (request, by), &mut all).await {
                looked.unseen.push(unseen(&deployer, &why));
            }
        }
        all.blocked(&request.name, closed_accounts(&role.metadata))
    }

    async fn look_for(
        &self,
        deployer: &RoleArn,
        (request, by): (&Request, &ReadBy),
        all: &mut Kept,
    ) -> Result<(), String> {
        let region = &request.hub.cluster.region;
        let account = self.reader.enter(by, &deployer.account, region).await?;
        let found = account.role(&deployer.name).await.map_err(|error| in_words(&error))?;
        all.add(request, deployer, Ok(found)).map_err(|error| in_words(&error))
    }

    /// What is taken away in the hub's account.
    async fn in_account(
        &self,
        role: &ManagementRole,
        (request, by): (&Request, &ReadBy),
        looked: &mut Looked,
    ) -> Vec<Blocked> {
        let hub = &request.hub.cluster;
        let observed = match self.reader.enter(by, &hub.account, &hub.region).await {
            Ok(account) => match issuer(&self.client).await {
                Ok(here) => {
                    let observed = Box::pin(observe_for_removal(&account, request, here)).await;
                    observed.map_err(|error| in_words(&error))
                }
                Err(error) => Err(error.to_string()),
            },
            Err(why) => Err(why),
        };
        let observed = match observed {
            Ok(observed) => observed,
            Err(why) => {
                looked.unseen.push(why);
                return Vec::new();
            }
        };
        let recorded = role.status.clone().unwrap_or_default();
        let plan = plan_removal(request, &observed, &Left::by(&recorded));
        looked.changes.extend(preview::changes(&plan.steps, &observed));
        plan.blocked
    }
}
