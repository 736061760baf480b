//! Faults that a test asks for: by operation, by account, by session, by the number of the call.

use std::sync::{Mutex, PoisonError};

use super::contract::{ApiError, Caller, Service};
use super::operations::{self, Operation};

/// What goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// An error instead of the call being carried out.
    Error {
        /// The HTTP status.
        status: u16,
        /// The error's code.
        code: &'static str,
        /// What it says.
        message: String,
    },
    /// Refused as a service control policy refuses it.
    AccessDenied,
    /// No answer ever; the call is not carried out.
    Hang,
    /// The call is carried out, and there is no answer ever.
    HangAfter,
    /// The connection is closed before the call is carried out.
    CloseBefore,
    /// The call is carried out, and then the connection is closed instead of an answer.
    CloseAfter,
    /// A read is answered with what was there just before the last write that the same session made, as long as no clock
    /// was moved; where it has made none yet, with what is there.
    Stale,
}

/// Which of the matching calls go wrong, counted from the moment the fault is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Every,
    Nth(u64),
    First(u64),
    From(u64),
}

/// A fault, and the calls that it falls on.
#[derive(Clone, Debug)]
pub struct Fault {
    operation: Option<String>,
    account: Option<String>,
    region: Option<String>,
    session: Option<String>,
    which: Which,
    effect: Effect,
}

impl Fault {
    /// Falls on every call of an operation, `CreateRole` for instance.
    #[must_use]
    pub fn on(operation: &str, effect: Effect) -> Self {
        Self {
            operation: Some(operation.to_owned()),
            account: None,
            region: None,
            session: None,
            which: Which::Every,
            effect,
        }
    }

    /// Falls on every call.
    #[must_use]
    pub fn on_any(effect: Effect) -> Self {
        Self {
            operation: None,
            account: None,
            region: None,
            session: None,
            which: Which::Every,
            effect,
        }
    }

    /// Only on calls with the credentials of this account (`AssumeRoleWithWebIdentity`: of the role's).
    #[must_use]
    pub fn in_account(self, account: &str) -> Self {
        Self {
            account: Some(account.to_owned()),
            ..self
        }
    }

    /// Only on calls to this region's endpoint.
    #[must_use]
    pub fn in_region(self, region: &str) -> Self {
        Self {
            region: Some(region.to_owned()),
            ..self
        }
    }

    /// Only on calls of a role session of this name, and on those that ask for it.
    #[must_use]
    pub fn in_session(self, name: &str) -> Self {
        Self {
            session: Some(name.to_owned()),
            ..self
        }
    }

    /// Only on the nth matching call, counted from one.
    #[must_use]
    pub fn nth(self, number: u64) -> Self {
        Self {
            which: Which::Nth(number),
            ..self
        }
    }

    /// Only on the first matching calls.
    #[must_use]
    pub fn first(self, calls: u64) -> Self {
        Self {
            which: Which::First(calls),
            ..self
        }
    }

    /// Only on the nth matching call, counted from one, and on those that come after it.
    #[must_use]
    pub fn from(self, number: u64) -> Self {
        Self {
            which: Which::From(number),
            ..self
        }
    }

    fn matches(&self, called: &Called<'_>) -> bool {
        let is = |wanted: &Option<String>, value: Option<&str>| wanted.is_none() || wanted.as_deref() == value;
        is(&self.operation, Some(called.operation))
            && is(&self.account, Some(called.account))
            && is(&self.region, Some(called.region))
            && is(&self.session, called.session)
    }
}

/// A call, as faults tell it from others.
pub(crate) struct Called<'a> {
    pub(crate) operation: &'a str,
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
    pub(crate) session: Option<&'a str>,
}

/// A fault names an operation that the fake does not have: it would never fall.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the fake AWS has no operation {0}: a fault on it would never fall; see the tables in aws/operations")]
pub struct UnknownOperation(String);

/// Names a fault that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultId(u64);

struct Armed {
    id: FaultId,
    fault: Fault,
    matched: u64,
    struck: u64,
}

#[derive(Default)]
struct State {
    armed: Vec<Armed>,
    next: u64,
}

/// The faults in force.
#[derive(Default)]
pub struct Faults {
    state: Mutex<State>,
}

impl Faults {
    /// Puts a fault in force.
    ///
    /// # Errors
    /// When no table has its operation.
    pub fn add(&self, fault: Fault) -> Result<FaultId, UnknownOperation> {
        if let Some(name) = &fault.operation
            && !operations::all().any(|operation| operation.name == name)
        {
            return Err(UnknownOperation(name.clone()));
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let id = FaultId(state.next);
        state.next += 1;
        state.armed.push(Armed {
            id,
            fault,
            matched: 0,
            struck: 0,
        });
        Ok(id)
    }

    /// Takes a fault away again.
    pub fn remove(&self, id: FaultId) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .armed
            .retain(|armed| armed.id != id);
    }

    /// On how many calls a fault has fallen so far; none once it was taken away.
    #[must_use]
    pub fn struck(&self, id: FaultId) -> u64 {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let armed = state.armed.iter().find(|armed| armed.id == id);
        armed.map_or(0, |armed| armed.struck)
    }

    /// Takes every fault away.
    pub fn clear(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).armed.clear();
    }

    /// Counts a call, and gives what goes wrong with it: the effect of the first fault that falls on it.
    pub(crate) fn strike(&self, called: &Called<'_>) -> Option<Effect> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut struck = None;
        for armed in &mut state.armed {
            if !armed.fault.matches(called) {
                continue;
            }
            armed.matched += 1;
            let falls = match armed.fault.which {
                Which::Every => true,
                Which::Nth(number) => armed.matched == number,
                Which::First(calls) => armed.matched <= calls,
                Which::From(number) => armed.matched >= number,
            };
            if falls && struck.is_none() {
                armed.struck += 1;
                struck = Some(armed.fault.effect.clone());
            }
        }
        struck
    }
}

/// `AccessDenied` as a service control policy gives it, which no policy of the account itself can mend.
pub(crate) fn denied(operation: &Operation, caller: Option<&Caller>) -> ApiError {
    let action = format!("{}:{}", operation.service.name(), operation.name);
    let user = caller.map_or_else(String::new, |caller| format!("User: {} is ", caller.arn));
    let message = format!(
        "{user}not authorized to perform: {action} on resource: * with an explicit deny in a service control policy"
    );
    let code = match operation.service {
        Service::Iam | Service::Sts => "AccessDenied",
        Service::Eks => "AccessDeniedException",
    };
    ApiError::new(403, code, message)
}

#[cfg(test)]
mod tests {
    use super::{Called, Effect, Fault, Faults};
    use crate::aws::contract::Service;
    use crate::aws::operations::find;

    #[test]
    fn faults_fall_on_the_calls_that_they_name() {
        let faults = Faults::default();
        let describe = find(Service::Eks, "DescribeCluster").unwrap().name;
        let list = find(Service::Eks, "ListAccessPolicies").unwrap().name;
        let second = faults
            .add(Fault::on("DescribeCluster", Effect::Hang).in_account("1").nth(2))
            .unwrap();
        faults
            .add(Fault::on_any(Effect::CloseAfter).in_account("2").first(1))
            .unwrap();
        let strike = |operation: &'static str, account: &'static str, region: &'static str, session| {
            faults.strike(&Called {
                operation,
                account,
                region,
                session,
            })
        };
        let at = |operation, account| strike(operation, account, "eu-west-1", None);
        assert_eq!(at(describe, "1"), None);
        assert_eq!(at(list, "1"), None, "another operation is not counted");
        assert_eq!(at(describe, "1"), Some(Effect::Hang));
        assert_eq!(at(describe, "1"), None);
        assert_eq!(at(list, "2"), Some(Effect::CloseAfter));
        assert_eq!(at(list, "2"), None);
        assert_eq!((faults.struck(second), faults.struck(super::FaultId(9))), (1, 0));
        faults.remove(second);
        faults.clear();
        faults.add(Fault::on_any(Effect::Hang).in_region("us-east-1")).unwrap();
        assert_eq!(strike(list, "1", "eu-west-1", None), None);
        assert_eq!(strike(list, "1", "us-east-1", None), Some(Effect::Hang));
        faults.clear();
        faults
            .add(Fault::on_any(Effect::Stale).in_session("a@hub").from(2))
            .unwrap();
        let by = |session| strike(list, "1", "eu-west-1", session);
        assert_eq!((by(None), by(Some("a@hub")), by(Some("b@hub"))), (None, None, None));
        assert_eq!(by(Some("a@hub")), Some(Effect::Stale));
        assert_eq!(by(Some("a@hub")), Some(Effect::Stale));
        assert!(
            faults.add(Fault::on("DescribeClutser", Effect::Hang)).is_err(),
            "a typing error is told"
        );
    }
}
