//! The way of a call through the fake: latency, faults, throttling, validation, the service, the log.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::authenticator::Authenticator;
use super::contract::{Answer, ApiError, Caller, Request, Service};
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
            sequence: 0,
            at,
            service: endpoint.service,
            operation: operation.name.to_owned(),
            account,
            region: endpoint.region.clone(),
            caller: caller.as_ref().ok().cloned().flatten(),
            access_key,
            input: input.as_ref().map(log::kept).unwrap_or_default(),
            outcome: Outcome::Done,
            throttled: false,
            write: operation.write,
            checks: Vec::new(),
            fault: false,
        };
        let (caller, input) = match (caller, input) {
            (Ok(caller), Ok(input)) => (caller, input),
            (Err(error), _) | (_, Err(error)) => return Some(self.end(call, Err(error))),
        };
        let effect = self.faults.strike(operation, &call.account, &call.region);
        call.fault = effect.is_some();
        let closes_after = match effect {
            Some(Effect::Error { status, code, message }) => {
                return Some(self.end(call, Err(ApiError::new(status, code, message))));
            }
            Some(Effect::AccessDenied) => {
                return Some(self.end(call, Err(faults::denied(operation, caller.as_ref()))));
            }
            Some(Effect::Hang) => {
                self.log.write(Call {
                    outcome: Outcome::Hung,
                    ..call
                });
                return std::future::pending().await;
            }
            Some(Effect::CloseBefore) => {
                self.log.write(Call {
                    outcome: Outcome::Closed,
                    ..call
                });
                return None;
            }
            Some(Effect::CloseAfter) => true,
            None => false,
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
        let (answer, checks) = trail::collect(|| self.carry_out(operation, &request));
        call.checks = checks;
        if closes_after {
            self.log.write(Call {
                outcome: Outcome::Unanswered,
                ..call
            });
            return None;
        }
        Some(self.end(call, answer))
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
