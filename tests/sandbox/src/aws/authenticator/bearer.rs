//! Bearer tokens as `aws eks get-token` and argocd-k8s-auth make them, and as an attacker would.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as Signer;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;

use super::token::{CLUSTER_ID, PREFIX};
use crate::aws::world::Credentials;

/// `X-Amz-Expires` of every client; STS does not regard it.
const EXPIRES: Duration = Duration::from_mins(1);

/// A token could not be signed.
#[derive(Debug, thiserror::Error)]
#[error("the presigned GetCallerIdentity could not be made: {0}")]
pub struct SignError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// A token for a cluster, before it is signed.
#[derive(Clone, Debug)]
pub struct BearerToken {
    /// The cluster's name, which goes signed into the header `x-k8s-aws-id`; `None` leaves the header out.
    pub cluster: Option<String>,
    /// The host of STS that it names.
    pub host: String,
    /// The region that it is signed for.
    pub region: String,
    /// What follows the host.
    pub path_and_query: String,
    /// When it was signed.
    pub signed_at: SystemTime,
    /// `X-Amz-Expires`.
    pub expires: Duration,
}

impl BearerToken {
    /// A token as clients make it now, by way of STS in `region`, which is the client's and need not be the cluster's.
    #[must_use]
    pub fn new(cluster: &str, region: &str) -> Self {
        let suffix = if region.starts_with("cn-") {
            "amazonaws.com.cn"
        } else {
            "amazonaws.com"
        };
        Self {
            cluster: Some(cluster.to_owned()),
            host: format!("sts.{region}.{suffix}"),
            region: region.to_owned(),
            path_and_query: "/?Action=GetCallerIdentity&Version=2011-06-15".to_owned(),
            signed_at: SystemTime::now(),
            expires: EXPIRES,
        }
    }

    /// The token.
    ///
    /// # Errors
    /// When host, path or header cannot stand in a request.
    pub fn sign(&self, credentials: &Credentials) -> Result<String, SignError> {
        self.presign(credentials).map(|url| Self::wrap(&url))
    }

    /// The presigned URL in the token.
    ///
    /// # Errors
    /// As [`BearerToken::sign`].
    pub fn presign(&self, credentials: &Credentials) -> Result<String, SignError> {
        let identity = Signer::new(
            &credentials.access_key_id,
            &credentials.secret_access_key,
            credentials.session_token.clone(),
            None,
            "mooring-sandbox",
        )
        .into();
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(self.expires);
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("sts")
            .time(self.signed_at)
            .settings(settings)
            .build()
            .map_err(|error| SignError(error.into()))?
            .into();
        let url = format!("https://{}{}", self.host, self.path_and_query);
        let cluster = self.cluster.as_deref().map(|cluster| (CLUSTER_ID, cluster));
        let headers = std::iter::once(("host", self.host.as_str())).chain(cluster);
        let failed = |error: aws_sigv4::http_request::SigningError| SignError(error.into());
        let request = SignableRequest::new("GET", url.as_str(), headers, SignableBody::Bytes(b"")).map_err(failed)?;
        let (instructions, _) = sign(request, &params).map_err(failed)?.into_parts();
        let mut signed = Request::get(&url).body(()).map_err(|error| SignError(error.into()))?;
        instructions.apply_to_request_http1x(&mut signed);
        Ok(signed.uri().to_string())
    }

    /// A token of any text.
    #[must_use]
    pub fn wrap(url: &str) -> String {
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(url))
    }
}
