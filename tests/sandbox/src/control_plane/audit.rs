//! Who asked the API server for what: its audit log, read back.

use std::{
    fs::File,
    io::{BufRead, BufReader, Seek, SeekFrom},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use serde::Deserialize;

use super::{ControlPlane, Error, api_server::AUDIT_LOG};

const PATIENCE: Duration = Duration::from_secs(10);

/// The path that a fence asks for; such requests are never listed.
const FENCE: &str = "/version?mooring-sandbox-fence=";

static FENCES: AtomicU64 = AtomicU64::new(0);

/// A moment in the audit log. The default is its beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuditMark(u64);

/// One request that the API server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditedCall {
    /// The user that the request counted as, for instance `system:serviceaccount:mooring-system:mooring`.
    pub user: String,
    /// What the client called itself.
    pub user_agent: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// The resource with its subresource, for instance `managedclusters/status`. Empty for paths such as `/version`.
    pub resource: String,
    /// The namespace; empty for cluster-scoped resources.
    pub namespace: String,
    /// The object; empty for a list.
    pub name: String,
    /// The HTTP status that was answered.
    pub code: u16,
    /// True when nothing was to be stored (`dryRun=All`).
    pub dry_run: bool,
}

impl AuditedCall {
    /// True for a writing verb that succeeded and was no dry run, also if it changed nothing. Note that `create` of
    /// a review or token is one too: they are told by their resource.
    #[must_use]
    pub fn is_write(&self) -> bool {
        let writes = ["create", "update", "patch", "delete", "deletecollection"];
        writes.contains(&self.verb.as_str()) && !self.dry_run && self.code < 300
    }

    fn is_by(&self, who: &str) -> bool {
        self.user == who || self.user_agent == who || self.user_agent.starts_with(&format!("{who}/"))
    }
}

impl ControlPlane {
    /// The audit log as of now, to count from later.
    ///
    /// # Errors
    /// [`Error::AuditOff`] without [`Options::audit`](super::Options::audit); [`Error::AuditBehind`] if the log stands still.
    pub async fn audit_mark(&self) -> Result<AuditMark, Error> {
        Ok(self.read_audit(AuditMark::default()).await?.1)
    }

    /// Every call since the mark by a user (`system:serviceaccount:ns:name`) or user agent (`mooring`, which
    /// `mooring/0.1.0` matches too). A watch is listed when it starts.
    ///
    /// # Errors
    /// As [`ControlPlane::audit_mark`].
    pub async fn calls_by(&self, who: &str, since: AuditMark) -> Result<Vec<AuditedCall>, Error> {
        let (mut calls, _) = self.read_audit(since).await?;
        calls.retain(|call| call.is_by(who));
        Ok(calls)
    }

    /// Of [`ControlPlane::calls_by`], the writes ([`AuditedCall::is_write`]) but for those to Leases, by which a process
    /// only says every few seconds that it lives.
    ///
    /// # Errors
    /// As [`ControlPlane::audit_mark`].
    pub async fn writes_by(&self, who: &str, since: AuditMark) -> Result<Vec<AuditedCall>, Error> {
        let mut calls = self.calls_by(who, since).await?;
        calls.retain(|call| call.is_write() && call.group != "coordination.k8s.io");
        Ok(calls)
    }

    /// The log is written as requests end, which a client may learn a moment earlier. So a request of our own goes
    /// first, and the log is read up to where that one shows.
    async fn read_audit(&self, since: AuditMark) -> Result<(Vec<AuditedCall>, AuditMark), Error> {
        if !self.audit {
            return Err(Error::AuditOff(self.name().to_owned()));
        }
        let fence = format!("{FENCE}{}", FENCES.fetch_add(1, Ordering::Relaxed));
        let failed = |source| Error::request("ask for the version")(source);
        let request = http::Request::get(&fence).body(Vec::new());
        let request = request.map_err(|error| failed(kube::Error::HttpError(error)))?;
        self.admin()?.request_text(request).await.map_err(failed)?;
        let path = self.folder().join(AUDIT_LOG);
        let start = Instant::now();
        loop {
            let read = read(&path, since, &fence).map_err(|source| Error::file("read", &path)(source))?;
            if let Some(found) = read {
                return Ok(found);
            }
            if start.elapsed() > PATIENCE {
                return Err(Error::AuditBehind {
                    path,
                    waited: start.elapsed(),
                });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The calls from the mark up to the fence; nothing if the fence is not there yet.
fn read(path: &Path, since: AuditMark, fence: &str) -> std::io::Result<Option<(Vec<AuditedCall>, AuditMark)>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(since.0))?;
    let (mut file, mut at, mut calls, mut line) = (BufReader::new(file), since.0, Vec::new(), String::new());
    loop {
        line.clear();
        let length = file.read_line(&mut line)?;
        if length == 0 || !line.ends_with('\n') {
            return Ok(None);
        }
        at += u64::try_from(length).unwrap_or_default();
        let event: Event = serde_json::from_str(&line)?;
        if event.request_uri == fence {
            return Ok(Some((calls, AuditMark(at))));
        }
        if event.counts() && !event.request_uri.starts_with(FENCE) {
            calls.push(event.into());
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    stage: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    verb: String,
    user: User,
    impersonated_user: Option<User>,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: Object,
    #[serde(default)]
    response_status: Status,
}

#[derive(Debug, Default, Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Object {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
    api_group: String,
}

#[derive(Debug, Default, Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
}

impl Event {
    /// A long-running request is written twice, when it starts to answer and when it ends.
    fn counts(&self) -> bool {
        match self.stage.as_str() {
            "ResponseStarted" => true,
            "ResponseComplete" => self.verb != "watch",
            _ => false,
        }
    }
}

impl From<Event> for AuditedCall {
    fn from(event: Event) -> Self {
        let object = event.object_ref;
        let subresource = if object.subresource.is_empty() { "" } else { "/" };
        Self {
            user: event.impersonated_user.unwrap_or(event.user).username,
            user_agent: event.user_agent,
            verb: event.verb,
            group: object.api_group,
            resource: format!("{}{subresource}{}", object.resource, object.subresource),
            namespace: object.namespace,
            name: object.name,
            code: event.response_status.code,
            dry_run: event.request_uri.contains("dryRun=All"),
        }
    }
}
