//! A cluster's authenticator: it takes the bearer token of `aws eks get-token` and of Argo CD, asks STS whose it is,
//! and looks for the access entry.
//!
//! Sources: `pkg/token/token.go`, `pkg/arn` and `pkg/server` of kubernetes-sigs/aws-iam-authenticator, whose `Verify`
//! this holds to check by check; EKS user guide, "Grant IAM users access to Kubernetes with EKS access entries". Every
//! check of a token is made as there and none is looser. Nodes (entries of other types than `STANDARD`) are not
//! modelled.

mod bearer;
mod log;
mod token;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

pub use bearer::{BearerToken, SignError};
pub use log::{Refusal, ReviewLog, TokenReview, User};

use self::token::{CLUSTER_ID, Presigned};
use super::dispatch::Core;
use super::identity::Identity;
use super::service::eks::Key;
use super::wire;
use super::wire::endpoint::Partition;

/// How long STS may take to say whose a token is.
const PATIENCE: Duration = Duration::from_secs(10);

/// The authenticators of all clusters: their clock, and what they said.
#[derive(Default)]
pub(crate) struct Authenticator {
    ahead: Mutex<Duration>,
    log: ReviewLog,
}

impl Authenticator {
    /// What was said of every token.
    pub(crate) fn log(&self) -> &ReviewLog {
        &self.log
    }

    /// Lets tokens age.
    pub(crate) fn advance(&self, by: Duration) {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }

    fn now(&self) -> Timestamp {
        let ahead = *self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, ahead) = (Timestamp::now(), SignedDuration::try_from(ahead));
        ahead.ok().and_then(|ahead| now.checked_add(ahead).ok()).unwrap_or(now)
    }

    /// Says who has a token on a cluster, and writes that down.
    pub(crate) async fn review(&self, core: &Core, cluster: &Key, token: &str) -> Result<Authenticated, Refusal> {
        let result = self.verify(core, cluster, token).await;
        let outcome = result.as_ref().map(|found| found.user.clone()).map_err(Clone::clone);
        self.log.write(self.now(), cluster, outcome);
        result
    }

    async fn verify(&self, core: &Core, cluster: &Key, token: &str) -> Result<Authenticated, Refusal> {
        let (_, region, name) = cluster;
        let partition = Partition::of_region(region).map_or("aws", |partition| partition.id);
        let presigned = Presigned::read(token, partition, self.now())?;
        let identity = caller_identity(core, &presigned, name).await?;
        let mapped = core.eks.map(cluster, &identity).map_err(|why| Refusal::Unmapped {
            arn: identity.arn.clone(),
            why,
        })?;
        let user = User {
            username: mapped.username,
            groups: mapped.groups,
            uid: identity.uid(),
            arn: identity.arn.clone(),
        };
        Ok(Authenticated { user, identity })
    }
}

/// A user whom the authenticator let in.
#[derive(Debug)]
pub(crate) struct Authenticated {
    user: User,
    identity: Identity,
}

impl Authenticated {
    /// The status of the `TokenReview`.
    pub(crate) fn status(&self) -> Value {
        json!({"authenticated": true, "user": {
            "username": self.user.username,
            "uid": self.user.uid,
            "groups": self.user.groups,
            "extra": self.identity.extra(),
        }})
    }
}

/// Carries the presigned request out, with the cluster's own name in the header that its signature covers.
async fn caller_identity(core: &Core, presigned: &Presigned, cluster: &str) -> Result<Identity, Refusal> {
    let failed = |why: String| Refusal::Sts(why);
    let request = Request::get(format!("/?{}", presigned.query))
        .header(header::HOST, &presigned.host)
        .header(header::ACCEPT, "application/json")
        .header(CLUSTER_ID, cluster)
        .body(());
    let (parts, ()) = request
        .map_err(|error| failed(format!("error during GET: {error}")))?
        .into_parts();
    let body = Bytes::new();
    let exchange = wire::exchange(core, &presigned.endpoint, &parts, &body);
    let response = tokio::time::timeout(PATIENCE, exchange)
        .await
        .map_err(|_| failed(format!("error during GET: no answer within {} s", PATIENCE.as_secs())))?
        .map_err(|_| failed("error during GET: EOF".to_owned()))?;
    let status = response.status();
    let Ok(body) = response.into_body().collect().await;
    let answer: Value = serde_json::from_slice(&body.to_bytes()).map_err(|error| failed(error.to_string()))?;
    if status != StatusCode::OK {
        let text = |member: &str| answer["Error"][member].as_str().unwrap_or_default().to_owned();
        return Err(failed(format!(
            "error from AWS (expected 200, got {}): {}: {}",
            status.as_u16(),
            text("Code"),
            text("Message")
        )));
    }
    let result = &answer["GetCallerIdentityResponse"]["GetCallerIdentityResult"];
    let text = |member: &str| result[member].as_str().unwrap_or_default();
    Identity::new(text("Arn"), text("Account"), text("UserId"), &presigned.access_key_id).map_err(failed)
}

#[cfg(test)]
mod tests;
