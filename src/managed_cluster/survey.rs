//! What a look at everything brings, and the plan that it leads to: the same for a pass of the controller and for
//! `mooring plan`, which differ only in whether the plan is carried out.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, runtime::reflector::Store};

use crate::{
    api::{AccessEntryStatus, ManagedClusterStatus, Mode},
    argocd::WantedSecret,
    aws::{Account, AwsError},
    domain::arn::PolicyArn,
    kubernetes::KubernetesError,
};

use super::{
    desired::{Desired, desired},
    living::Living,
    management::Management,
    observe::{self, LookAtRole, Secrets, Spoke},
    plan::{self, Memory, suspended},
    request::Request,
    step::{Plan, Suspicion},
    unmoved::Unmoved,
};

/// What a look starts from.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// What is asked for.
    pub request: &'a Request,
    /// What it stands on.
    pub management: &'a Management,
    /// What was recorded.
    pub old: &'a ManagedClusterStatus,
    /// All `ManagedCluster`s that are there.
    pub living: &'a Living,
}

/// What stands, and what should.
#[derive(Clone, Debug)]
pub struct Survey {
    /// In the cluster's account.
    pub spoke: Spoke,
    /// In Argo CD's namespace.
    pub secrets: Secrets,
    /// What should stand.
    pub desired: Desired,
}

impl Desired {
    /// The cluster Secret, where one can be written.
    #[must_use]
    pub fn usable_secret(&self) -> Option<&WantedSecret> {
        self.secret.as_ref().and_then(|secret| secret.as_ref().ok())
    }
}

impl Ground<'_> {
    /// The unique ID of the role that was recorded.
    #[must_use]
    pub fn recorded_role(&self) -> Option<&str> {
        self.old.deployer_role.as_ref().map(|role| role.id.as_str())
    }

    /// Whether the access is to be taken away and the rest only kept.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.request.identity.mode == Mode::Suspended
    }

    /// Looks at the cluster's account; at the access entry only where it is to stay.
    ///
    /// # Errors
    /// The first read that failed.
    pub async fn spoke(&self, account: &Account) -> Result<Spoke, AwsError> {
        let (cluster, deployer) = (&self.request.identity.cluster, &self.request.deployer);
        let look = self.look_at_role();
        if self.is_suspended() {
            return Box::pin(observe::spoke_without_entry(account, cluster, deployer, look)).await;
        }
        Box::pin(observe::spoke(account, cluster, deployer, look)).await
    }

    /// The same with the access entry in any case.
    ///
    /// # Errors
    /// The first read that failed.
    pub async fn spoke_with_entry(&self, account: &Account) -> Result<Spoke, AwsError> {
        let (cluster, deployer) = (&self.request.identity.cluster, &self.request.deployer);
        Box::pin(observe::spoke(account, cluster, deployer, self.look_at_role())).await
    }

    fn look_at_role(&self) -> Option<LookAtRole<'_>> {
        let request = self.request;
        let ours = request.identity.existing.is_none();
        ours.then(|| LookAtRole {
            recorded: self.recorded_role(),
            always: request.boundary != PolicyArn::deny_all(self.management.hub.partition()),
            adopt: request.adopt,
        })
    }

    /// Looks at the cluster Secrets, of which `store` holds all that Argo CD sees.
    ///
    /// # Errors
    /// When the API server could not be asked for the name that a new Secret would take.
    pub async fn secrets(
        &self,
        store: &Store<Secret>,
        api: &Api<Secret>,
        wanted: Option<&WantedSecret>,
    ) -> Result<Secrets, KubernetesError> {
        let mut known = observe::Known::recorded(&self.request.identity.uid, self.old, self.living);
        let server = wanted.and_then(|wanted| wanted.data.get("server"));
        known.servers.extend(server.map(String::as_str));
        let mut found = observe::secrets(store, wanted, &known);
        if let Some(wanted) = wanted {
            // A Secret that stands is never renamed, so the name that it has is looked at first.
            if let Some(name) = known.name.filter(|name| *name != wanted.name) {
                found.look_under(api, name, &known).await?;
                found.name_taken = None;
            }
            // One that is going stands for nothing: the name may be somebody else's by now.
            if found.own.iter().all(|own| own.deleting) {
                found.look_under(api, &wanted.name, &known).await?;
            }
        }
        let stands = found.own.iter().any(|own| !own.deleting);
        if let Some(wanted) = wanted.filter(|_| self.request.adopt && !stands) {
            found.adoptable = observe::adoptable(api, &found, wanted).await?;
        }
        Ok(found)
    }

    /// What should stand, given what was found in the account.
    #[must_use]
    pub fn desired(&self, spoke: &Spoke) -> Desired {
        desired(self.request, self.management, spoke.cluster.as_ref())
    }

    /// What is to be recorded of an access entry that was taken over, or is now.
    #[must_use]
    pub fn given(&self, survey: &Survey) -> Option<AccessEntryStatus> {
        if self.is_suspended() {
            return self.old.access_entry.clone();
        }
        plan::given(&survey.desired, &survey.spoke, &self.memory(&survey.spoke, None, &[]))
    }

    fn memory<'b>(&'b self, spoke: &'b Spoke, confirmed: Option<&'b Suspicion>, unmoved: &'b [Unmoved]) -> Memory<'b> {
        Memory {
            owner: &self.request.owner,
            recorded_role: self.recorded_role(),
            recorded_secret: self.old.secret.as_deref(),
            confirmed,
            unmoved,
            given: self.old.access_entry.as_ref(),
            living: self.living,
            role: spoke.role_of_others(&self.request.identity),
        }
    }

    /// The steps between the two. `confirmed` is what an earlier look suspected, and `unmoved` are the scopes that were
    /// given and did not show.
    #[must_use]
    pub fn plan(&self, survey: &Survey, confirmed: Option<&Suspicion>, unmoved: &[Unmoved]) -> Plan {
        let memory = self.memory(&survey.spoke, confirmed, unmoved);
        let Survey {
            spoke,
            secrets,
            desired,
        } = survey;
        if self.is_suspended() {
            suspended::keep(desired, spoke, secrets, &memory)
        } else {
            plan::plan(desired, spoke, secrets, &memory)
        }
    }
}
