//! The way of a call through the fake: latency, faults, throttling, validation, the service, the log.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::authenticator::Authenticator;
use super::contract::{Answer, ApiError, Caller, Request, Service};
use super::eventual;
use super::faults::{self, Effect, Faults};
use super::log::{self, Call, CallLog, Outcome};
use super::operations::Operation;
use super::service::eks::Eks;
use super::throttle::Throttles;
use super::trail;
use super::wire::endpoint::Endpoint;
use super::world::World;

/// Errors that any operation may give, which AWS's models do not list: the "common errors" of the API references.
const COMMON: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "ValidationError",
    "InvalidParameterException",
    "InvalidParameterValue",
];

/// How long each service takes to answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// IAM.
    pub iam: Duration,
    /// STS.
    pub sts: Duration,
    /// EKS.
    pub eks: Duration,
}

impl From<Duration> for Latency {
    fn from(all: Duration) -> Self {
        Self {
            iam: all,
            sts: all,
            eks: all,
        }
    }
}

impl Latency {
    fn of(&self, service: Service) -> Duration {
        match service {
            Service::Iam => self.iam,
            Service::Sts => self.sts,
            Service::Eks => self.eks,
        }
    }
}

/// Everything behind the wire.
pub(crate) struct Core {
    pub(crate) world: World,
    pub(crate) eks: Eks,
    pub(crate) log: CallLog,
    pub(crate) faults: Faults,
    pub(crate) throttles: Throttles,
    pub(crate) latency: Latency,
    pub(crate) authenticator: Authenticator,
    /// When each role session began its last write that was carried out.
    pub(crate) last_writes: Mutex<HashMap<String, Instant>>,
}

/// How a call that is carried out is answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answering {
    Plainly,
    FromThePast,
    WithAClosedConnection,
    Never,
}

/// What becomes of a call.
enum Fate {
    Refused(ApiError),
    Hung,
    Closed,
    CarriedOut(Answering),
}

/// A call of an operation that there is, as it arrived.
pub(crate) struct Arrival<'a> {
    pub(crate) at: Timestamp,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) operation: &'static Operation,
    /// Who signed it, nobody for an unsigned operation, or what is wrong with the signature.
    pub(crate) caller: Result<Option<Caller>, ApiError>,
    pub(crate) access_key: String,
    pub(crate) input: Result<Map<String, Value>, ApiError>,
}

/// A call of no operation.
pub(crate) struct Unknown<'a> {
    pub(crate) at: Timestamp,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) operation: &'a str,
    pub(crate) error: &'a ApiError,
}

/// A call of which nothing is known yet but what was asked, and where.
fn begun(at: Timestamp, endpoint: &Endpoint, operation: &Operation) -> Call {
    Call {
        sequence: 0,
        at,
        service: endpoint.service,
        operation: operation.name.to_owned(),
        account: String::new(),
        region: endpoint.region.clone(),
        caller: None,
        access_key: String::new(),
        input: Map::new(),
        outcome: Outcome::Done,
        throttled: false,
        write: operation.write,
        checks: Vec::new(),
        fault: false,
    }
}

impl Core {
    /// Answers a call that came over the wire. `None`: the connection is to be closed instead.
    pub(crate) async fn receive(&self, arrival: Arrival<'_>) -> Option<Answer> {
        let Arrival {
            at,
            endpoint,
            operation,
            caller,
            access_key,
            input,
        } = arrival;
        let latency = self.latency.of(endpoint.service);
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let account = account(&caller, &input);
        let mut call = Call {
            account,
            caller: caller.as_ref().ok().cloned().flatten(),
            access_key,
            input: input.as_ref().map(log::kept).unwrap_or_default(),
            ..begun(at, endpoint, operation)
        };
        let (caller, input) = match (caller, input) {
            (Ok(caller), Ok(input)) => (caller, input),
            (Err(error), _) | (_, Err(error)) => return Some(self.end(call, Err(error))),
        };
        let session = session(caller.as_ref(), &input).map(str::to_owned);
        let struck_by = faults::Called {
            operation: operation.name,
            account: &call.account,
            region: &call.region,
            session: session.as_deref(),
        };
        let effect = self.faults.strike(&struck_by);
        call.fault = effect.is_some();
        let answering = match fate(effect, operation, caller.as_ref()) {
            Fate::Refused(error) => return Some(self.end(call, Err(error))),
            Fate::Hung => {
                self.log.write(Call {
                    outcome: Outcome::Hung,
                    ..call
                });
                return std::future::pending().await;
            }
            Fate::Closed => {
                self.log.write(Call {
                    outcome: Outcome::Closed,
                    ..call
                });
                return None;
            }
            Fate::CarriedOut(answering) => answering,
        };
        if let Err(error) = self
            .throttles
            .take(endpoint.service, &call.account, &endpoint.region, Instant::now())
        {
            call.throttled = true;
            return Some(self.end(call, Err(error)));
        }
        let request = Request {
            service: endpoint.service,
            operation: operation.name,
            partition: endpoint.partition,
            region: endpoint.region.clone(),
            caller,
            input,
        };
        let past = (answering == Answering::FromThePast)
            .then(|| self.last_write(session.as_deref()))
            .flatten();
        let before = Instant::now();
        let (answer, checks) = trail::collect(|| match past {
            Some(moment) => eventual::as_of(moment, || self.carry_out(operation, &request)),
            None => self.carry_out(operation, &request),
        });
        call.checks = checks;
        if let Some(session) = session.filter(|_| operation.write && answer.is_ok()) {
            let mut writes = self.last_writes.lock().unwrap_or_else(PoisonError::into_inner);
            writes.insert(session, before);
        }
        let unanswered = |call| {
            self.log.write(Call {
                outcome: Outcome::Unanswered,
                ..call
            });
        };
        match answering {
            Answering::Plainly | Answering::FromThePast => Some(self.end(call, answer)),
            Answering::WithAClosedConnection => {
                unanswered(call);
                None
            }
            Answering::Never => {
                unanswered(call);
                std::future::pending().await
            }
        }
    }

    fn last_write(&self, session: Option<&str>) -> Option<Instant> {
        let writes = self.last_writes.lock().unwrap_or_else(PoisonError::into_inner);
        writes.get(session?).copied()
    }

    /// Writes down a call that named no operation.
    pub(crate) fn refuse(&self, unknown: &Unknown<'_>) {
        let Unknown {
            at,
            endpoint,
            operation,
            error,
        } = *unknown;
        self.log.write(Call {
            sequence: 0,
            at,
            service: endpoint.service,
            operation: operation.to_owned(),
            account: String::new(),
            region: endpoint.region.clone(),
            caller: None,
            access_key: String::new(),
            input: Map::new(),
            outcome: Outcome::Refused {
                status: error.status,
                code: error.code,
            },
            throttled: false,
            write: false,
            checks: Vec::new(),
            fault: false,
        });
    }

    /// Validates a request and has its service carry it out.
    pub(crate) fn carry_out(&self, operation: &Operation, request: &Request) -> Answer {
        operation.validate(&request.input)?;
        let answer = match request.service {
            Service::Iam => self.world.iam(request),
            Service::Sts => self.world.sts(request),
            Service::Eks => self.eks.answer(&self.world, request),
        };
        answer.map_err(|error| {
            if operation.errors.contains(&error.code) || COMMON.contains(&error.code) {
                return error;
            }
            let ApiError { code, message, .. } = error;
            let name = operation.name;
            let message = format!("the fake answers {code}, which AWS's model does not have for {name}: {message}");
            ApiError::new(500, "InternalFailure", message)
        })
    }

    fn end(&self, call: Call, answer: Answer) -> Answer {
        let outcome = match &answer {
            Ok(_) => Outcome::Done,
            Err(error) => Outcome::Refused {
                status: error.status,
                code: error.code,
            },
        };
        self.log.write(Call { outcome, ..call });
        answer
    }
}

/// What becomes of a call on which this fault falls, or none.
fn fate(effect: Option<Effect>, operation: &Operation, caller: Option<&Caller>) -> Fate {
    match effect {
        None => Fate::CarriedOut(Answering::Plainly),
        Some(Effect::Error { status, code, message }) => Fate::Refused(ApiError::new(status, code, message)),
        Some(Effect::AccessDenied) => Fate::Refused(faults::denied(operation, caller)),
        Some(Effect::Hang) => Fate::Hung,
        Some(Effect::HangAfter) => Fate::CarriedOut(Answering::Never),
        Some(Effect::CloseBefore) => Fate::Closed,
        Some(Effect::CloseAfter) => Fate::CarriedOut(Answering::WithAClosedConnection),
        Some(Effect::Stale) => Fate::CarriedOut(Answering::FromThePast),
    }
}

/// The role session that a call is made in, or asks for.
fn session<'a>(caller: Option<&'a Caller>, input: &'a Map<String, Value>) -> Option<&'a str> {
    let asked = input.get("RoleSessionName").and_then(Value::as_str);
    asked.or_else(|| Some(caller?.session.as_ref()?.session_name.as_str()))
}

/// The account that a call counts for.
fn account(caller: &Result<Option<Caller>, ApiError>, input: &Result<Map<String, Value>, ApiError>) -> String {
    if let Ok(Some(caller)) = caller {
        return caller.account.clone();
    }
    let role = input
        .as_ref()
        .ok()
        .and_then(|input| input.get("RoleArn"))
        .and_then(Value::as_str);
    role.and_then(|arn| arn.split(':').nth(4))
        .unwrap_or_default()
        .to_owned()
}
