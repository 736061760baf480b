//! What goes wrong between a client and the API server, as a test asks for it.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::call::ApiRequest;

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiEffect {
    /// A status instead of an answer, and nothing is carried out: 429, 500, 403.
    Refuse(u16),
    /// No answer ever, and nothing is carried out.
    Hang,
    /// The request is carried out, and there is no answer ever.
    HangAfter,
    /// The connection is closed before anything is carried out.
    Close,
    /// The request is carried out, and the connection is closed instead of an answer.
    CloseAfter,
    /// What watches tell of the object comes this much later. Falls on no request.
    Lag(Duration),
}

/// A fault, and the requests that it falls on.
#[derive(Debug, Clone)]
pub struct ApiFault {
    kind: Option<String>,
    about: Option<Vec<String>>,
    first: u64,
    last: u64,
    effect: ApiEffect,
}

impl ApiFault {
    /// Falls on requests of one kind ([`ApiRequest::kind`]).
    #[must_use]
    pub fn on(kind: &str, effect: ApiEffect) -> Self {
        Self {
            kind: Some(kind.to_owned()),
            ..Self::on_any(effect)
        }
    }

    /// Falls on every request.
    #[must_use]
    pub fn on_any(effect: ApiEffect) -> Self {
        Self {
            kind: None,
            about: None,
            first: 1,
            last: u64::MAX,
            effect,
        }
    }

    /// Only on requests about an object whose name is, or holds, one of these words.
    #[must_use]
    pub fn about(self, words: &[String]) -> Self {
        Self {
            about: Some(words.to_vec()),
            ..self
        }
    }

    /// Only on the nth matching request, counted from one from the moment the fault is added.
    #[must_use]
    pub fn nth(self, number: u64) -> Self {
        Self {
            first: number,
            last: number,
            ..self
        }
    }

    fn matches(&self, request: &ApiRequest) -> bool {
        let kind = self.kind.as_ref().is_none_or(|kind| *kind == request.kind());
        let lags = matches!(self.effect, ApiEffect::Lag(_));
        kind && !lags && self.about.as_ref().is_none_or(|words| tells_of(&request.about, words))
    }
}

/// Whether a text holds one of the words.
pub(super) fn tells_of(text: &str, words: &[String]) -> bool {
    words.iter().any(|word| text.contains(word.as_str()))
}

/// Names a fault that was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiFaultId(u64);

struct Armed {
    id: ApiFaultId,
    fault: ApiFault,
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
pub struct ApiFaults {
    state: Mutex<State>,
}

impl ApiFaults {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a fault in force.
    pub fn add(&self, fault: ApiFault) -> ApiFaultId {
        self.with(|state| {
            let id = ApiFaultId(state.next);
            state.next += 1;
            state.armed.push(Armed {
                id,
                fault,
                matched: 0,
                struck: 0,
            });
            id
        })
    }

    /// Takes a fault away again.
    pub fn remove(&self, id: ApiFaultId) {
        self.with(|state| state.armed.retain(|armed| armed.id != id));
    }

    /// Takes every fault away.
    pub fn clear(&self) {
        self.with(|state| state.armed.clear());
    }

    /// On how many requests, or changes that a watch told, a fault has fallen so far.
    #[must_use]
    pub fn struck(&self, id: ApiFaultId) -> u64 {
        self.with(|state| {
            let armed = state.armed.iter().find(|armed| armed.id == id);
            armed.map_or(0, |armed| armed.struck)
        })
    }

    /// Counts a request, and gives what goes wrong with it: the effect of the first fault that falls on it.
    pub(super) fn strike(&self, request: &ApiRequest) -> Option<ApiEffect> {
        self.with(|state| {
            let mut struck = None;
            for armed in state.armed.iter_mut().filter(|armed| armed.fault.matches(request)) {
                armed.matched += 1;
                let falls = (armed.fault.first..=armed.fault.last).contains(&armed.matched);
                if falls && struck.is_none() {
                    armed.struck += 1;
                    struck = Some(armed.fault.effect);
                }
            }
            struck
        })
    }

    /// How much later a line of a watch is to come.
    pub(super) fn lag(&self, line: &str) -> Duration {
        self.with(|state| {
            let mut lag = Duration::ZERO;
            for armed in &mut state.armed {
                let words = armed.fault.about.as_deref().unwrap_or_default();
                if let ApiEffect::Lag(by) = armed.fault.effect
                    && tells_of(line, words)
                {
                    armed.struck += 1;
                    lag = by;
                }
            }
            lag
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_fall_on_the_requests_that_they_name() {
        let faults = ApiFaults::default();
        let request = |verb, about: &str| ApiRequest {
            verb,
            resource: "secrets".to_owned(),
            about: about.to_owned(),
        };
        let words = ["p-01".to_owned()];
        let second = faults.add(ApiFault::on("get secrets", ApiEffect::Refuse(500)).about(&words).nth(2));
        let lag = faults.add(ApiFault::on_any(ApiEffect::Lag(Duration::from_secs(1))).about(&words));
        assert_eq!(faults.strike(&request("get", "cluster-p-01-1")), None);
        assert_eq!(faults.strike(&request("get", "p-02")), None, "another object");
        assert_eq!(faults.strike(&request("patch", "p-01")), None, "another verb");
        assert_eq!(faults.strike(&request("get", "p-01")), Some(ApiEffect::Refuse(500)));
        assert_eq!(faults.strike(&request("get", "p-01")), None);
        assert_eq!(faults.lag(r#"{"name":"p-01"}"#), Duration::from_secs(1));
        assert_eq!(faults.lag(r#"{"name":"p-02"}"#), Duration::ZERO);
        assert_eq!((faults.struck(second), faults.struck(lag)), (1, 1));
        faults.remove(lag);
        assert_eq!(faults.lag("p-01"), Duration::ZERO);
        faults.add(ApiFault::on_any(ApiEffect::Close));
        assert_eq!(faults.strike(&request("patch", "p-02")), Some(ApiEffect::Close));
        faults.clear();
        assert_eq!(faults.strike(&request("patch", "p-02")), None);
    }
}
