//! The ways in which a call can go wrong, and how each is brought about.

use std::time::Duration;

use mooring_sandbox::{
    aws::{Effect, Fault, FaultId, contract::Service},
    control_plane::{About, ApiEffect, ApiFault, ApiFaultId},
};

use super::calls::Point;
use crate::support::World;

/// How often the operators of the sweeps try a call to AWS, as their flag says it: what falls on both tries ends the pass,
/// and what falls on one is made good inside the call.
pub(super) const ATTEMPTS: [&str; 2] = ["--aws-attempts", "2"];

/// A way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// Too many requests.
    Throttled,
    /// An error of the server's own.
    Failing,
    /// Refused; a next try is not.
    Denied,
    /// No answer at the first try, and nothing was carried out.
    TimedOut,
    /// No answer, however often it is tried, and nothing was carried out.
    Unanswered,
    /// No answer, and it was carried out.
    TimedOutAfter,
    /// The connection is closed, and nothing was carried out.
    Reset,
    /// The connection is closed, and it was carried out.
    ResetAfter,
    /// The same, and the try that follows is refused, so that the pass ends without knowing what it did.
    Lost,
    /// The answer is from before the last write.
    Stale,
}

const READ: [Way; 6] = [
    Way::Throttled,
    Way::Failing,
    Way::Denied,
    Way::TimedOut,
    Way::Reset,
    Way::Unanswered,
];
const WRITE: [Way; 3] = [Way::TimedOutAfter, Way::ResetAfter, Way::Lost];

impl Way {
    /// The ways in which this call can go wrong.
    pub(super) fn of(point: &Point) -> Vec<Self> {
        let mut ways = READ.to_vec();
        if point.write {
            ways.extend(WRITE);
        }
        if point.service.is_some() && !point.write && point.after_write {
            ways.push(Self::Stale);
        }
        // Without retries inside a call of Kubernetes, the next try is the next pass.
        ways.retain(|way| point.service.is_some() || !matches!(way, Self::Lost | Self::Unanswered));
        ways
    }
}

/// Faults that stand for one cluster.
#[derive(Default)]
pub(super) struct Armed {
    aws: Vec<FaultId>,
    api: Vec<ApiFaultId>,
}

impl Armed {
    /// For the object whose sessions have this name, and whose requests to the API server are these.
    pub(super) fn arm(world: &World, session: &str, about: &About, point: &Point, way: Way) -> Self {
        match point.service {
            Some(service) => Self {
                aws: on_aws(world, session, point, service, way),
                api: Vec::new(),
            },
            None => Self {
                aws: Vec::new(),
                api: vec![on_api(world, about, point, way)],
            },
        }
    }

    /// What watches tell the operator of the cluster comes late.
    pub(super) fn lag(world: &World, about: &About, by: Duration) -> Self {
        let fault = ApiFault::on_any(ApiEffect::Lag(by)).about(about);
        Self {
            aws: Vec::new(),
            api: vec![world.stage.proxied().unwrap().faults().add(fault)],
        }
    }

    /// Whether all of them have fallen.
    pub(super) fn struck(&self, world: &World) -> bool {
        let (aws, api) = (world.stage.aws.faults(), world.stage.proxied().unwrap().faults());
        self.aws.iter().all(|id| aws.struck(*id) > 0) && self.api.iter().all(|id| api.struck(*id) > 0)
    }

    /// Whether one of them has fallen.
    pub(super) fn began(&self, world: &World) -> bool {
        let (aws, api) = (world.stage.aws.faults(), world.stage.proxied().unwrap().faults());
        self.aws.iter().any(|id| aws.struck(*id) > 0) || self.api.iter().any(|id| api.struck(*id) > 0)
    }

    pub(super) fn lift(self, world: &World) {
        let (aws, api) = (world.stage.aws.faults(), world.stage.proxied().unwrap().faults());
        self.aws.into_iter().for_each(|id| aws.remove(id));
        self.api.into_iter().for_each(|id| api.remove(id));
    }
}

fn on_aws(world: &World, session: &str, point: &Point, service: Service, way: Way) -> Vec<FaultId> {
    let error = |status, code, message: &str| Effect::Error {
        status,
        code,
        message: message.to_owned(),
    };
    let (throttling, failing) = match service {
        Service::Eks => (error(429, "ThrottlingException", "Rate exceeded"), "ServerException"),
        Service::Iam | Service::Sts => (error(400, "Throttling", "Rate exceeded"), "ServiceFailure"),
    };
    let failing = error(500, failing, "It failed.");
    // The SDK tries again by itself (`ATTEMPTS`).
    let effects = match way {
        Way::Throttled => vec![throttling.clone(), throttling],
        Way::Failing => vec![failing.clone(), failing],
        Way::Denied => vec![Effect::AccessDenied],
        Way::TimedOut => vec![Effect::Hang],
        Way::Unanswered => vec![Effect::Hang, Effect::Hang],
        Way::TimedOutAfter => vec![Effect::HangAfter],
        Way::Reset => vec![Effect::CloseBefore, Effect::CloseBefore],
        Way::ResetAfter => vec![Effect::CloseAfter],
        Way::Lost => vec![Effect::CloseAfter, Effect::AccessDenied],
        Way::Stale => vec![Effect::Stale],
    };
    let add = |(effect, nth)| {
        let fault = Fault::on(&point.kind, effect).in_session(session).nth(nth);
        world.stage.aws.faults().add(fault).unwrap()
    };
    effects.into_iter().zip(point.nth..).map(add).collect()
}

fn on_api(world: &World, about: &About, point: &Point, way: Way) -> ApiFaultId {
    let effect = match way {
        Way::Throttled => ApiEffect::Refuse(429),
        Way::Failing => ApiEffect::Refuse(500),
        Way::Denied => ApiEffect::Refuse(403),
        Way::TimedOut | Way::Unanswered => ApiEffect::Hang,
        Way::TimedOutAfter => ApiEffect::HangAfter,
        Way::Reset => ApiEffect::Close,
        Way::ResetAfter | Way::Lost => ApiEffect::CloseAfter,
        Way::Stale => ApiEffect::Lag(Duration::from_secs(3)),
    };
    let fault = ApiFault::on(&point.kind, effect).about(about).nth(point.nth);
    world.stage.proxied().unwrap().faults().add(fault)
}
