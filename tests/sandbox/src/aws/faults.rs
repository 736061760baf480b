//! Faults that a test asks for: by operation, by account, by the number of the call.

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
    /// The connection is closed before the call is carried out.
    CloseBefore,
    /// The call is carried out, and then the connection is closed instead of an answer.
    CloseAfter,
}

/// Which of the matching calls go wrong, counted from the moment the fault is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Every,
    Nth(u64),
    First(u64),
}

/// A fault, and the calls that it falls on.
#[derive(Clone, Debug)]
pub struct Fault {
    operation: Option<String>,
    account: Option<String>,
    region: Option<String>,
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
        state.armed.push(Armed { id, fault, matched: 0 });
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

    /// Takes every fault away.
    pub fn clear(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).armed.clear();
    }

    /// Counts a call, and gives what goes wrong with it: the effect of the first fault that falls on it.
    pub(crate) fn strike(&self, operation: &Operation, account: &str, region: &str) -> Option<Effect> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut struck = None;
        for armed in &mut state.armed {
            let by_name = armed.fault.operation.as_ref().is_none_or(|name| name == operation.name);
            let by_account = armed.fault.account.as_ref().is_none_or(|wanted| wanted == account);
            let by_region = armed.fault.region.as_ref().is_none_or(|wanted| wanted == region);
            if !(by_name && by_account && by_region) {
                continue;
            }
            armed.matched += 1;
            let falls = match armed.fault.which {
                Which::Every => true,
                Which::Nth(number) => armed.matched == number,
                Which::First(calls) => armed.matched <= calls,
            };
            if falls && struck.is_none() {
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
    use super::{Effect, Fault, Faults};
    use crate::aws::contract::Service;
    use crate::aws::operations::find;

    #[test]
    fn faults_fall_on_the_calls_that_they_name() {
        let faults = Faults::default();
        let describe = find(Service::Eks, "DescribeCluster").unwrap();
        let list = find(Service::Eks, "ListAccessPolicies").unwrap();
        let second = faults
            .add(Fault::on("DescribeCluster", Effect::Hang).in_account("1").nth(2))
            .unwrap();
        faults
            .add(Fault::on_any(Effect::CloseAfter).in_account("2").first(1))
            .unwrap();
        assert_eq!(faults.strike(describe, "1", "eu-west-1"), None);
        assert_eq!(
            faults.strike(list, "1", "eu-west-1"),
            None,
            "another operation is not counted"
        );
        assert_eq!(faults.strike(describe, "1", "eu-west-1"), Some(Effect::Hang));
        assert_eq!(faults.strike(describe, "1", "eu-west-1"), None);
        assert_eq!(faults.strike(list, "2", "eu-west-1"), Some(Effect::CloseAfter));
        assert_eq!(faults.strike(list, "2", "eu-west-1"), None);
        faults.remove(second);
        faults.clear();
        faults.add(Fault::on_any(Effect::Hang).in_region("us-east-1")).unwrap();
        assert_eq!(faults.strike(list, "1", "eu-west-1"), None);
        assert_eq!(faults.strike(list, "1", "us-east-1"), Some(Effect::Hang));
        faults.clear();
        assert!(
            faults.add(Fault::on("DescribeClutser", Effect::Hang)).is_err(),
            "a typing error is told"
        );
    }
}
