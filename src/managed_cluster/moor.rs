//! One pass over a cluster that stays: look at everything, and carry out what that leads to.

use std::time::Instant;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, runtime::reflector::Store};

use crate::{
    api::{FINALIZER, ManagedCluster, ManagedClusterStatus},
    argocd::WantedSecret,
    aws::Account,
    kubernetes::finalizer,
};

use super::{
    Context, Error, LAST_STEP,
    apply::{self, Outcome, Site},
    blocked::Blocked,
    log_plan,
    management::Management,
    observe::Secrets,
    plan,
    request::Request,
    status::{Facts, Pass},
    step::{Plan, Step},
    survey::{Ground, Survey},
    turn::{admitted, door, permitted},
    withheld::Withheld,
};

/// Makes the cluster true, as far as it can be; `None` when a person changed the object before its turn came.
pub(super) async fn moor(cluster: &ManagedCluster, old: &ManagedClusterStatus, context: &Context) -> Option<Pass> {
    let asked = match permitted(cluster, old, context) {
        Ok((_, request)) => request,
        Err(pass) => return Some(pass),
    };
    let Ok(_admission) = admitted(cluster, old, &asked.identity, context).await? else {
        return Some(Pass::Failed(Error::ShuttingDown));
    };
    // The turn may have taken minutes to come: what counts is what is allowed now.
    let (management, request) = match permitted(cluster, old, context) {
        Ok(both) => both,
        Err(pass) => return Some(pass),
    };
    let Some(store) = context.secrets.get(&management.namespace) else {
        return Some(Pass::Waiting(Blocked::NamespaceNotServed {
            namespace: management.namespace.clone(),
        }));
    };
    let work = Work {
        cluster,
        old,
        request: &request,
        management: &management,
        store,
        secrets: Api::namespaced(context.client.clone(), &management.namespace),
        withheld: Withheld::of(&cluster.metadata, cluster.spec.mode, context.read_only),
        context,
    };
    let deadline = context.timing.pass_deadline + LAST_STEP;
    Some(match Box::pin(tokio::time::timeout(deadline, work.pass())).await {
        Ok(Ok(pass)) => pass,
        Ok(Err(error)) => Pass::Failed(error),
        Err(_) => Pass::Failed(Error::Deadline(deadline.as_secs())),
    })
}

/// What a pass works on, once it may look.
struct Work<'a> {
    cluster: &'a ManagedCluster,
    old: &'a ManagedClusterStatus,
    request: &'a Request,
    management: &'a Management,
    store: &'a Store<Secret>,
    secrets: Api<Secret>,
    withheld: Option<Withheld>,
    context: &'a Context,
}

/// What a look at everything led to.
struct Sight {
    plan: Plan,
    facts: Facts,
    /// Whether something of ours stands already.
    stands: bool,
}

impl Work<'_> {
    fn uid(&self) -> &str {
        &self.request.identity.uid
    }

    fn ground(&self) -> Ground<'_> {
        Ground {
            request: self.request,
            management: self.management,
            old: self.old,
        }
    }

    async fn pass(self) -> Result<Pass, Error> {
        let deadline = Instant::now() + self.context.timing.pass_deadline;
        let account = self
            .context
            .aws
            .enter(&door(&self.request.identity, self.management))
            .await?;
        let sight = match self.look(&account).await? {
            Ok(sight) => sight,
            Err(blocked) => return Ok(Pass::Waiting(blocked)),
        };
        log_plan(&self.request.identity.name, &sight.plan);
        match self.withheld {
            Some(withheld) => Ok(Pass::Withheld(withheld, sight.plan, sight.facts)),
            None => self.carry_out(sight, &account, deadline).await,
        }
    }

    /// Looks at everything and plans; or says what must be waited for first.
    async fn look(&self, account: &Account) -> Result<Result<Sight, Blocked>, Error> {
        let (uid, memory) = (self.uid(), &self.context.memory);
        let ground = self.ground();
        let spoke = ground.spoke(account).await?;
        // Made again while it cannot be seen yet, the role would only be refused as there already.
        let unseen = spoke.role.is_none() && ground.recorded_role().is_some();
        if unseen && memory.just_made_role(uid, self.context.timing.confirm_after) {
            return Ok(Err(Blocked::RolePropagating));
        }
        let desired = ground.desired(&spoke);
        let secrets = self.look_at_secrets(desired.usable_secret()).await?;
        let survey = Survey {
            spoke,
            secrets,
            desired,
        };
        let confirmed = memory.confirmed(uid, self.context.timing.confirm_after);
        let plan = ground.plan(&survey, confirmed.as_ref());
        memory.suspect(uid, plan.suspicion.as_ref());
        let wanted = survey.desired.usable_secret();
        let wanted_name = wanted.map(|wanted| wanted.name.as_str()).unwrap_or_default();
        let primary = plan::primary(&survey.secrets, wanted_name, self.old.secret.as_deref());
        let named = |wanted: &WantedSecret| WantedSecret {
            name: primary.map_or(&wanted.name, |primary| &primary.name).clone(),
            ..wanted.clone()
        };
        memory.want_secret(uid, wanted.map(named));
        let facts = Facts {
            secret: primary.map(|secret| secret.name.clone()),
            existing_role: plan::existing_role(&survey.desired, survey.spoke.role.as_ref()),
            cluster: survey.spoke.cluster.clone(),
            not_admitted: (!self.management.admits(&self.request.deployer)).then(|| self.request.deployer.to_string()),
        };
        Ok(Ok(Sight {
            stands: ground.recorded_role().is_some() || !survey.secrets.own.is_empty(),
            plan,
            facts,
        }))
    }

    /// Looks at the cluster Secrets, and claims the server and the name of the one wanted unless nothing is written.
    async fn look_at_secrets(&self, wanted: Option<&WantedSecret>) -> Result<Secrets, Error> {
        let mut found = self.ground().secrets(self.store, &self.secrets, wanted).await?;
        let free = found.others.iter().all(|other| other.deleting);
        if let Some(wanted) = wanted.filter(|_| free) {
            let stands = found.own.iter().any(|own| !own.deleting);
            let take = self.withheld.is_none();
            found.claimed = self.context.memory.claim(self.uid(), wanted, stands, take);
        }
        Ok(found)
    }

    async fn carry_out(&self, sight: Sight, account: &Account, deadline: Instant) -> Result<Pass, Error> {
        let Sight {
            plan,
            mut facts,
            stands,
        } = sight;
        // What stands must be let go of in order, also when somebody took our finalizer off.
        if plan.steps.is_empty() && !stands {
            return Ok(Pass::Applied(plan, Outcome::default(), facts));
        }
        let (api, metadata) = (self.context.api(), &self.cluster.metadata);
        if finalizer::add(&api, metadata, FINALIZER).await? == finalizer::Hold::TooLate {
            return Ok(Pass::Releasing("the object is being removed".to_owned(), None));
        }
        let site = Site {
            account: Some(account),
            cluster: &self.request.identity.cluster,
            deployer: &self.request.deployer,
            secrets: &self.secrets,
            deadline,
            stopping: &|| self.context.aws.is_closed(),
            metrics: &self.context.metrics,
        };
        let outcome = apply::apply(&plan.steps, site).await;
        if let Some(made) = outcome.made_role() {
            self.context.memory.made_role(self.uid(), &made.id);
        }
        for step in plan.steps.iter().filter(|_| outcome.stop().is_none()) {
            if let Step::ApplySecret { secret, .. } = step {
                facts.secret = Some(secret.name.clone());
            }
        }
        Ok(Pass::Applied(plan, outcome, facts))
    }
}
