//! One pass over a cluster that stays: look at everything, and carry out what that leads to.

use std::time::Instant;

use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Api, runtime::reflector::Store};

use crate::{
    api::{FINALIZER, ManagedCluster, ManagedClusterStatus},
    argocd::WantedSecret,
    aws::Account,
    kubernetes::finalizer,
};

use super::{
    Context, Error, LAST_STEP,
    apply::{self, OurSecret, Outcome, Site},
    bare::is_bare,
    beyond::refused,
    blocked::Blocked,
    census::living,
    claim::what_one_alone_can_have,
    living::Living,
    log_plan,
    management::Management,
    memory::SHOWN_LATE,
    observe::{Secrets, Spoke},
    plan,
    release::gone,
    request::Request,
    server::{ServerChanged, left_to_tell},
    status::{Facts, Pass, Releasing},
    step::{Plan, Step},
    survey::{Ground, Survey},
    turn::{admitted, door, lane, permitted},
    withheld::Withheld,
};

/// Makes the cluster true, as far as it can be; `None` when a person changed the object before its turn came.
pub(super) async fn moor(cluster: &ManagedCluster, old: &ManagedClusterStatus, context: &Context) -> Option<Pass> {
    let asked = match permitted(cluster, old, context) {
        Ok((_, request)) => request,
        Err(Pass::Refused(refusal, _)) => return Box::pin(refused(cluster, old, refusal, context)).await,
        Err(pass) => return Some(pass),
    };
    let Ok(_admission) = admitted(
        &cluster.metadata,
        &asked.identity,
        lane(&cluster.metadata, old),
        context,
    )
    .await?
    else {
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
    let pass = async {
        let work = Work {
            metadata: &cluster.metadata,
            old,
            request: &request,
            management: &management,
            store,
            secrets: Api::namespaced(context.client.clone(), &management.namespace),
            withheld: Withheld::of(&cluster.metadata, cluster.spec.mode, context.read_only),
            living: living(context).await?,
            context,
        };
        work.pass().await
    };
    let deadline = context.timing.pass_deadline + LAST_STEP;
    Some(match Box::pin(tokio::time::timeout(deadline, pass)).await {
        Ok(Ok(pass)) => pass,
        Ok(Err(error)) => Pass::Failed(error),
        Err(_) => Pass::Failed(Error::Deadline(deadline.as_secs())),
    })
}

/// What a pass works on, once it may look.
pub(super) struct Work<'a> {
    pub(super) metadata: &'a ObjectMeta,
    pub(super) old: &'a ManagedClusterStatus,
    pub(super) request: &'a Request,
    pub(super) management: &'a Management,
    pub(super) store: &'a Store<Secret>,
    pub(super) secrets: Api<Secret>,
    pub(super) withheld: Option<Withheld>,
    pub(super) living: Living,
    pub(super) context: &'a Context,
}

/// What a look at everything led to.
pub(super) struct Sight {
    pub(super) plan: Plan,
    pub(super) facts: Facts,
    spoke: Spoke,
    /// Whether something of ours stands already.
    stands: bool,
}

impl Work<'_> {
    pub(super) fn uid(&self) -> &str {
        &self.request.identity.uid
    }

    fn recorded_role(&self) -> Option<&str> {
        self.old.deployer_role.as_ref().map(|role| role.id.as_str())
    }

    fn ground(&self) -> Ground<'_> {
        Ground {
            request: self.request,
            management: self.management,
            old: self.old,
            living: &self.living,
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
            Some(withheld) => {
                let facts = Facts {
                    server_changed: self.left_to_tell(false).await,
                    ..sight.facts
                };
                Ok(Pass::Withheld(withheld, sight.plan, facts))
            }
            None => self.carry_out(sight, &account, deadline).await,
        }
    }

    /// Looks at everything and plans; or says what must be waited for first.
    pub(super) async fn look(&self, account: &Account) -> Result<Result<Sight, Blocked>, Error> {
        let (uid, memory) = (self.uid(), &self.context.memory);
        let ground = self.ground();
        let spoke = ground.spoke(account).await?;
        if let Some(blocked) = self.just_done(&spoke) {
            return Ok(Err(blocked));
        }
        let desired = ground.desired(&spoke);
        let secrets = self.look_at_secrets(desired.usable_secret()).await?;
        let survey = Survey {
            spoke,
            secrets,
            desired,
        };
        let confirmed = memory.confirmed(uid, self.context.timing.confirm_after);
        let unmoved = memory.unmoved(uid, self.context.timing.confirm_after);
        let enforced = self.withheld.is_none() && !ground.is_suspended();
        let pending = self.management.pending(&self.request.deployer).filter(|_| enforced);
        let plan = plan::awaiting(ground.plan(&survey, confirmed.as_ref(), &unmoved), pending);
        if let Some(blocked) = self.adopted_by_another(&plan) {
            return Ok(Err(blocked));
        }
        memory.suspect(uid, plan.suspicion.as_ref());
        memory.still_unmoved(uid, survey.spoke.associations.as_ref());
        let access_entry = ground.given(&survey);
        let Survey {
            spoke,
            secrets,
            desired,
        } = survey;
        let wanted = desired.usable_secret();
        let wanted_name = wanted.map(|wanted| wanted.name.as_str()).unwrap_or_default();
        let primary = plan::primary(&secrets, wanted_name, self.old.secret.as_deref());
        memory.want_secret(uid, wanted.map(|wanted| plan::as_kept(wanted, primary)));
        let deployer = &self.request.deployer;
        let facts = Facts {
            secret: primary.map(|secret| OurSecret {
                name: secret.name.clone(),
                uid: secret.uid.clone(),
                adopted: secret.adopted(),
            }),
            existing_role: plan::existing_role(&desired, spoke.role.as_ref()),
            access_entry,
            cluster: spoke.cluster.clone(),
            server_changed: None,
            suspended: ground.is_suspended(),
            unseen: None,
            refused: None,
            bare: false,
            not_admitted: (!ground.is_suspended() && !self.management.admits(deployer)).then(|| deployer.to_string()),
        };
        Ok(Ok(Sight {
            stands: self.recorded_role().is_some() || !secrets.own.is_empty(),
            plan,
            facts,
            spoke,
        }))
    }

    async fn left_to_tell(&self, just_now: bool) -> Option<ServerChanged> {
        let told = self.old.server_changed_at.as_ref().map(|at| at.0);
        let (client, namespace) = (&self.context.client, &self.management.namespace);
        left_to_tell(client, namespace, just_now, told).await
    }

    /// What is told where another object takes over the same at this moment.
    fn adopted_by_another(&self, plan: &Plan) -> Option<Blocked> {
        let identity = &self.request.identity;
        let (part, what) = what_one_alone_can_have(identity, &self.request.deployer);
        let how = (plan.adopts(), self.withheld.is_none());
        let (memory, present) = (&self.context.memory, self.context.present());
        let other = memory.claim_adoption((self.uid(), &identity.name), &present, &what, how)?;
        Some(Blocked::NotAdoptable {
            what,
            why: format!(
                "ManagedCluster {other} asks for it too, and one alone can have it: delete one of the two, and make it again with another access.deployerRole.arn"
            ),
            part,
        })
    }

    /// What this process did just now, and AWS does not show yet.
    fn just_done(&self, spoke: &Spoke) -> Option<Blocked> {
        let (uid, memory) = (self.uid(), &self.context.memory);
        // Made again while it cannot be seen yet, the role would only be refused as there already.
        let unseen = spoke.role.is_none() && self.recorded_role().is_some();
        if unseen && memory.just_made_role(uid, self.context.timing.confirm_after)
            || memory.was_healed(uid, spoke.role.as_ref().map(|role| &role.id), SHOWN_LATE)
        {
            return Some(Blocked::RolePropagating);
        }
        let entry = spoke.entry.as_ref().map(|entry| &entry.arn);
        memory.was_healed(uid, entry, SHOWN_LATE).then(|| Blocked::Propagating {
            what: "the deletion of the former access entry".to_owned(),
        })
    }

    /// Looks at the cluster Secrets, and claims the server and the name of the one wanted unless nothing is written.
    async fn look_at_secrets(&self, wanted: Option<&WantedSecret>) -> Result<Secrets, Error> {
        let mut found = self.ground().secrets(self.store, &self.secrets, wanted).await?;
        let free = found.others.iter().all(|other| other.deleting);
        if let Some(wanted) = wanted.filter(|_| free) {
            let stands = found.own.iter().any(|own| !own.deleting);
            let take = self.withheld.is_none();
            let claimed = (self.management.namespace.as_str(), wanted);
            found.claimed = (self.context.memory).claim(self.uid(), &self.context.present(), claimed, (stands, take));
        }
        Ok(found)
    }

    pub(super) async fn carry_out(&self, sight: Sight, account: &Account, deadline: Instant) -> Result<Pass, Error> {
        let Sight {
            plan,
            mut facts,
            spoke,
            stands,
        } = sight;
        // What stands must be let go of in order, also when somebody took our finalizer off.
        if plan.steps.is_empty() && !stands {
            return Ok(Pass::Applied(plan, Outcome::default(), facts));
        }
        let (api, metadata) = (self.context.api(), self.metadata);
        if finalizer::add(&api, metadata, FINALIZER).await? == finalizer::Hold::TooLate {
            return Ok(Pass::Releasing(Releasing::again("the object is being removed")));
        }
        self.record_first(&plan, &facts).await?;
        let site = Site {
            account: Some(account),
            cluster: &self.request.identity.cluster,
            deployer: &self.request.deployer,
            secrets: &self.secrets,
            deadline,
            stopping: &|| self.context.aws.is_closed(),
            stood_back: &|| self.context.stood_back(self.metadata, self.request.identity.mode),
            metrics: &self.context.metrics,
        };
        let outcome = apply::apply(&plan.steps, site).await;
        if let Some(made) = outcome.made_role() {
            self.context.memory.made_role(self.uid(), &made.id);
        }
        self.context.memory.healed(self.uid(), gone(Some(&spoke), &outcome));
        self.context
            .memory
            .rescoped(self.uid(), outcome.unmoved(), outcome.reassociated());
        facts.bare = outcome.stop().is_some()
            && spoke
                .entry
                .as_ref()
                .zip(spoke.associations.as_ref())
                .is_some_and(|(entry, found)| {
                    let (did, torn) = (|step: &Step| outcome.did(step), outcome.torn());
                    is_bare(entry, found, &plan.steps, did, torn)
                });
        facts.server_changed = self.left_to_tell(outcome.server_changed()).await;
        facts.secret = outcome.secret().cloned().or(facts.secret);
        Ok(Pass::Applied(plan, outcome, facts))
    }
}
