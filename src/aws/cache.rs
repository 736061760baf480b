//! The sessions in use: one for each object, kept until shortly before it ends, begun once however many ask.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use tracing::Instrument;

use super::{
    calls::Call,
    error::{AwsError, ErrorKind},
    session::Door,
};

/// How long before its end a session is no longer used: a pass and its retries must fit in.
const MARGIN: Duration = Duration::from_mins(2);

/// A session of a role. Deliberately without `Debug`.
pub(super) struct Session {
    pub(super) credentials: Credentials,
    pub(super) ends: SystemTime,
}

impl Session {
    fn is_fresh(&self, now: SystemTime) -> bool {
        self.ends.duration_since(now).is_ok_and(|left| left > MARGIN)
    }
}

/// What makes two sessions the same.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Key {
    provisioner: String,
    external_id: Option<String>,
    object: String,
    session_policy: String,
}

impl Key {
    pub(super) fn of(door: &Door) -> Self {
        Self {
            provisioner: door.provisioner.to_string(),
            external_id: door.external_id.clone(),
            object: door.object.clone(),
            session_policy: door.session_policy.to_json(),
        }
    }
}

type Begun = Shared<BoxFuture<'static, Result<Arc<Session>, AwsError>>>;

/// The sessions in use, and those being begun.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<Arc<Key>, Begun>>);

impl Sessions {
    fn all(&self) -> MutexGuard<'_, HashMap<Arc<Key>, Begun>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn get<F>(&self, key: &Arc<Key>, assume: impl FnOnce() -> F) -> Result<Arc<Session>, AwsError>
    where
        F: Future<Output = Result<Arc<Session>, AwsError>> + Send + 'static,
    {
        let begun = {
            let mut all = self.all();
            let usable = |begun: &Begun| match begun.peek() {
                None => true,
                Some(Ok(session)) => session.is_fresh(SystemTime::now()),
                Some(Err(_)) => false,
            };
            if let Some(begun) = all.get(key).filter(|begun| usable(begun)) {
                begun.clone()
            } else {
                // One walk for each new session keeps the map to those of the last hour.
                all.retain(|_, begun| usable(begun));
                // On a task of its own, so that it goes on when the pass that asked first is given up.
                let task = tokio::spawn(assume().in_current_span());
                let begun = task
                    .map(|outcome| outcome.unwrap_or_else(|error| Err(stopped(&error))))
                    .boxed()
                    .shared();
                all.insert(Arc::clone(key), begun.clone());
                begun
            }
        };
        begun.await
    }

    pub(super) fn forget(&self, key: &Arc<Key>, session: &Arc<Session>) {
        let mut all = self.all();
        let same = |begun: &Begun| matches!(begun.peek(), Some(Ok(held)) if Arc::ptr_eq(held, session));
        if all.get(key).is_some_and(same) {
            all.remove(key);
        }
    }
}

/// The runtime takes the task down only when it stops itself.
fn stopped(error: &tokio::task::JoinError) -> AwsError {
    AwsError {
        call: Call::AssumeRole,
        kind: ErrorKind::ShuttingDown,
        code: "ShuttingDown".to_owned(),
        message: error.to_string(),
        request_id: None,
        resource: "a session".to_owned(),
        acting_as: "the operator's own role".into(),
    }
}
