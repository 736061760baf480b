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

/// Requests, by the object that they are about.
#[derive(Debug, Clone, Default)]
pub struct About {
    words: Vec<String>,
    nameless: bool,
}

impl About {
    /// An object whose name is, or holds, one of these words.
    #[must_use]
    pub fn words<S: Into<String>>(words: impl IntoIterator<Item = S>) -> Self {
        Self {
            words: words.into_iter().map(Into::into).collect(),
            nameless: false,
        }
    }

    /// And those whose path names no object: lists, and what is no resource. Watches are not among them, since nothing
    /// tells when they begin.
    #[must_use]
    pub fn or_nameless(self) -> Self {
        Self { nameless: true, ..self }
    }

    pub(super) fn covers(&self, request: &ApiRequest) -> bool {
        let nameless = request.about.is_empty() && request.verb != "watch";
        self.nameless && nameless || self.tells_of(&request.about)
    }

    /// Whether a text holds one of the words.
    fn tells_of(&self, text: &str) -> bool {
        self.words.iter().any(|word| text.contains(word.as_str()))
    }
}

/// A fault, and the requests that it falls on.
#[derive(Debug, Clone)]
pub struct ApiFault {
    kind: Option<String>,
    about: Option<About>,
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

    /// Only on these requests.
    #[must_use]
    pub fn about(self, about: &About) -> Self {
        Self {
            about: Some(about.clone()),
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
        kind && !lags && self.about.as_ref().is_none_or(|about| about.covers(request))
    }
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
                if let ApiEffect::Lag(by) = armed.fault.effect
                    && armed.fault.about.as_ref().is_some_and(|about| about.tells_of(line))
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
        let words = About::words(["p-01"]);
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

    #[test]
    fn lists_are_meant_where_requests_are_that_name_no_object() {
        let request = |verb, about: &str| ApiRequest {
            verb,
            resource: "secrets".to_owned(),
            about: about.to_owned(),
        };
        let named = About::words(["p-01"]);
        let also = named.clone().or_nameless();
        for (verb, about, by_name, by_both) in [
            ("get", "p-01", true, true),
            ("get", "p-02", false, false),
            ("list", "", false, true),
            ("watch", "", false, false),
        ] {
            let request = request(verb, about);
            assert_eq!(
                (named.covers(&request), also.covers(&request)),
                (by_name, by_both),
                "{verb} {about}"
            );
        }
        assert!(
            About::words([""]).covers(&request("watch", "")),
            "a word that every text holds"
        );
    }
}
