//! The call log: every call that reached AWS over the wire, for tests to read.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::contract::{Caller, Check, Service};

/// The longest text of an input that the log keeps: the trust policy of a deployer role is shorter, and a permission policy
/// may be longer.
const MAX_TEXT: usize = 1024;
/// Members of an input that are secrets.
const SECRETS: &[&str] = &["WebIdentityToken", "TokenCode"];
/// How many calls are kept; older ones are forgotten, so that a sandbox may stand for days.
const MAX_CALLS: usize = 500_000;

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Counts from zero, in the order in which calls came to their end.
    pub sequence: u64,
    /// When it arrived.
    pub at: Timestamp,
    /// The service called.
    pub service: Service,
    /// `CreateRole`; what the request said when there is no such operation.
    pub operation: String,
    /// The caller's account; of `AssumeRoleWithWebIdentity` the role's. Empty when nobody was recognised.
    pub account: String,
    /// The region of the endpoint; for IAM the one that its partition signs with.
    pub region: String,
    /// Who called, if the signature was good.
    pub caller: Option<Caller>,
    /// The access key that it was signed with, good or not: it tells two sessions of one name apart. Empty when it was
    /// not signed.
    pub access_key: String,
    /// The input, without secrets and without texts of more than 1,024 bytes.
    pub input: Map<String, Value>,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether it was refused for its rate.
    pub throttled: bool,
    /// Whether the operation changes anything, carried out or not.
    pub write: bool,
    /// What was checked against the caller's policies, with the condition keys of the request.
    pub checks: Vec<Check>,
    /// Whether a fault fell on it.
    pub fault: bool,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Carried out.
    Done,
    /// Refused.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The error's code.
        code: &'static str,
    },
    /// Never answered, and not carried out.
    Hung,
    /// The connection was closed before it was carried out.
    Closed,
    /// Carried out (or refused), but the connection was closed instead of an answer, or there was none ever.
    Unanswered,
}

impl Call {
    /// The name of the role session that it was made in, or that it asked for.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        let by = || Some(self.caller.as_ref()?.session.as_ref()?.session_name.as_str());
        self.text("RoleSessionName").or_else(by)
    }

    /// The text of a member of the input.
    #[must_use]
    pub fn text(&self, member: &str) -> Option<&str> {
        self.input.get(member).and_then(Value::as_str)
    }

    /// The code of the error that it was refused with.
    #[must_use]
    pub fn error(&self) -> Option<&'static str> {
        match self.outcome {
            Outcome::Refused { code, .. } => Some(code),
            Outcome::Done | Outcome::Hung | Outcome::Closed | Outcome::Unanswered => None,
        }
    }
}

#[derive(Default)]
struct State {
    calls: VecDeque<Call>,
    next: u64,
}

/// The log.
#[derive(Default)]
pub struct CallLog {
    state: Mutex<State>,
}

impl CallLog {
    /// A place in the log, for [`CallLog::since`].
    #[must_use]
    pub fn mark(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).next
    }

    /// Every call from a mark on.
    #[must_use]
    pub fn since(&self, mark: u64) -> Vec<Call> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let first = state.calls.partition_point(|call| call.sequence < mark);
        state.calls.range(first..).cloned().collect()
    }

    /// The calls from a mark on that are asked for.
    #[must_use]
    pub fn select(&self, mark: u64, wanted: impl Fn(&Call) -> bool) -> Vec<Call> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let first = state.calls.partition_point(|call| call.sequence < mark);
        let calls = state.calls.range(first..);
        calls.filter(|call| wanted(call)).cloned().collect()
    }

    /// Every call that is kept.
    #[must_use]
    pub fn all(&self) -> Vec<Call> {
        self.since(0)
    }

    /// How often each operation was called from a mark on, throttled calls included.
    #[must_use]
    pub fn counts(&self, mark: u64) -> BTreeMap<String, usize> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let first = state.calls.partition_point(|call| call.sequence < mark);
        let mut counts = BTreeMap::new();
        for call in state.calls.range(first..) {
            *counts.entry(call.operation.clone()).or_default() += 1;
        }
        counts
    }

    /// Writes a call down; its sequence number is given here.
    pub(crate) fn write(&self, call: Call) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = state.next;
        state.next += 1;
        if state.calls.len() == MAX_CALLS {
            state.calls.pop_front();
        }
        state.calls.push_back(Call { sequence, ..call });
    }
}

/// An input as the log keeps it.
pub(crate) fn kept(input: &Map<String, Value>) -> Map<String, Value> {
    let short = |value: &Value| value.as_str().is_none_or(|text| text.len() <= MAX_TEXT);
    let keep = |name: &str, value: &Value| !SECRETS.contains(&name) && short(value);
    let members = input.iter().filter(|(name, value)| keep(name, value));
    members.map(|(name, value)| (name.clone(), value.clone())).collect()
}
