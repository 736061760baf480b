//! 5. apply: carries a plan out, and makes no choices.

use std::time::Instant;

use tracing::info;

use crate::{
    aws::{Account, AwsError, ErrorKind},
    telemetry::Metrics,
};

use super::{
    despite::keeps_the_role,
    error,
    step::{Blocked, POLICY_NAME, Part, Step},
};

/// Where a plan is carried out.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    /// The hub's account.
    pub account: &'a Account,
    /// When the pass must be over: no step starts after it.
    pub deadline: Instant,
    /// Whether the operator is stopping: no step starts then either.
    pub stopping: &'a (dyn Fn() -> bool + Sync),
    /// Whether a person has changed or paused the object since the plan was made: no step starts then either.
    pub overtaken: &'a (dyn Fn() -> bool + Sync),
    /// Counters.
    pub metrics: &'a Metrics,
}

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// AWS refused or could not be reached.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The pass ran out of time before the step was begun.
    #[error("the pass ran out of time before this step")]
    OutOfTime,
    /// The operator is stopping.
    #[error("the operator is stopping; the next one goes on")]
    Stopping,
}

impl Failure {
    /// Whether only a person can mend it: a try without one fails in the same way.
    fn needs_a_person(&self) -> bool {
        match self {
            Self::Aws(cause) => error::stalled(cause),
            Self::OutOfTime | Self::Stopping => false,
        }
    }
}

/// What stopped a plan.
#[derive(Debug)]
pub enum Stop {
    /// AWS needs time.
    Blocked(Blocked),
    /// A step failed.
    Failed(Part, Failure),
}

/// What became of a plan. Only [`apply`] makes one.
#[derive(Debug, Default)]
pub struct Outcome {
    done: Vec<Step>,
    made_role: Option<(String, String)>,
    went_through: bool,
    stop: Option<Stop>,
}

impl Outcome {
    /// The steps that were done, in words.
    #[must_use]
    pub fn done(&self) -> Vec<String> {
        self.done.iter().map(Step::words).collect()
    }

    /// Whether a step was done as it was planned.
    #[must_use]
    pub fn did(&self, step: &Step) -> bool {
        self.done.contains(step)
    }

    /// ARN and unique ID of the role that was made.
    #[must_use]
    pub fn made_role(&self) -> Option<&(String, String)> {
        self.made_role.as_ref()
    }

    /// Whether the recorded role was deleted.
    #[must_use]
    pub fn role_deleted(&self) -> bool {
        self.done.iter().any(|step| matches!(step, Step::DeleteRole { .. }))
    }

    /// Whether every one of these steps of the plan was done. Where there is none, that says so only of a plan that was
    /// gone through to its end, whatever was refused on the way.
    fn all<'a>(&self, mut steps: impl Iterator<Item = &'a Step>) -> bool {
        self.went_through && steps.all(|step| self.did(step))
    }

    /// Whether the policy is as it was planned, so that what the plan says the role may assume is true.
    #[must_use]
    pub fn policy_done(&self, steps: &[Step]) -> bool {
        self.all(steps.iter().filter(|step| step.part() == Part::Policy))
    }

    /// Whether the trust policy is as it was planned.
    #[must_use]
    pub fn trust_done(&self, steps: &[Step]) -> bool {
        self.all(steps.iter().filter(|step| matches!(step, Step::SetTrust { .. })))
    }

    /// Whether of the policy only that was done which takes away.
    #[must_use]
    pub fn policy_narrowed(&self, steps: &[Step]) -> bool {
        steps.iter().any(
            |step| matches!(step, Step::PutPolicy { taking: Some(taking), .. } if !self.did(step) && self.did(taking)),
        )
    }

    /// What stopped the plan.
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        self.stop.as_ref()
    }

    /// What stopped the plan, taken out.
    #[must_use]
    pub fn into_stop(self) -> Option<Stop> {
        self.stop
    }
}

/// Carries out the steps in order. After the first that is not done only that follows which is done despite it
/// ([`Step::despite`]), where only a person can mend what failed and the role stays. The first is what is told.
pub async fn apply(steps: &[Step], site: Site<'_>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut failed: Vec<&Step> = Vec::new();
    let goes_on = keeps_the_role(steps);
    for step in steps {
        let Some(step) = step.despite(&failed) else {
            continue;
        };
        if (site.overtaken)() {
            outcome.stop.get_or_insert(Stop::Blocked(Blocked::StoodBack));
            return outcome;
        }
        let result = if (site.stopping)() {
            Err(Failure::Stopping)
        } else if Instant::now() >= site.deadline {
            Err(Failure::OutOfTime)
        } else {
            run(step, site.account).await.map_err(Failure::Aws)
        };
        match result {
            Ok(made) => {
                site.metrics.step_applied(step.name(), "done");
                info!(step = step.name(), "{}", step.words());
                outcome.made_role = made.or(outcome.made_role);
                outcome.done.push(step.clone());
            }
            Err(failure) => {
                let person = failure.needs_a_person();
                let why = stopped(step, failure, site.metrics);
                outcome.stop.get_or_insert(why);
                if !person || !goes_on {
                    return outcome;
                }
                failed.push(step);
            }
        }
    }
    outcome.went_through = true;
    outcome
}

/// What is told of a step that is not done.
fn stopped(step: &Step, failure: Failure, metrics: &Metrics) -> Stop {
    let why = stop(step, failure);
    match &why {
        Stop::Failed(_, failure) => metrics.step_failed(step.name(), failure),
        Stop::Blocked(_) => metrics.step_applied(step.name(), "blocked"),
    }
    why
}

fn stop(step: &Step, failure: Failure) -> Stop {
    let Failure::Aws(error) = &failure else {
        return Stop::Failed(step.part(), failure);
    };
    let waits = match step {
        Step::CreateRole { .. } => {
            matches!(
                error.kind,
                ErrorKind::AlreadyExists | ErrorKind::InvalidPrincipal | ErrorKind::Conflict
            )
        }
        // A role that was made in the pass before may not be visible everywhere.
        Step::PutPolicy { .. }
        | Step::SetTrust { .. }
        | Step::SetBoundary { .. }
        | Step::UpdateRole { .. }
        | Step::TagRole { .. } => {
            matches!(
                error.kind,
                ErrorKind::NotFound | ErrorKind::InvalidPrincipal | ErrorKind::Conflict
            )
        }
        Step::CreateOidcProvider { .. }
        | Step::AddAudience { .. }
        | Step::DeleteRole { .. }
        | Step::DeletePolicy { .. } => error.kind == ErrorKind::Conflict,
    };
    if waits {
        Stop::Blocked(Blocked::Propagating)
    } else {
        Stop::Failed(step.part(), failure)
    }
}

async fn run(step: &Step, account: &Account) -> Result<Option<(String, String)>, AwsError> {
    match step {
        Step::CreateOidcProvider { arn, tags } => account.create_oidc_provider(arn, tags).await?,
        Step::AddAudience { arn, audience } => account.add_client_id(arn, audience).await?,
        Step::CreateRole { role } => {
            let role = account.create_role(role).await?;
            return Ok(Some((role.arn, role.id)));
        }
        Step::DeleteRole { name } => account.delete_role(name).await?,
        Step::SetBoundary { name, boundary, .. } => account.set_boundary(name, boundary).await?,
        Step::SetTrust { name, trust, .. } => account.set_trust(name, trust).await?,
        Step::TagRole { name, tags, .. } => account.tag_role(name, tags).await?,
        Step::UpdateRole { name, description, .. } => account.update_role(name, description).await?,
        Step::PutPolicy { name, document, .. } => account.put_role_policy(name, POLICY_NAME, document).await?,
        Step::DeletePolicy { name } => account.delete_role_policy(name, POLICY_NAME).await?,
    }
    Ok(None)
}
