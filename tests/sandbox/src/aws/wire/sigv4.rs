//! Signature Version 4, verified as AWS does: the request is canonicalised as it arrived and signed again with the
//! secret of its access key.
//!
//! Source: "Create a signed AWS API request" (IAM user guide) and the common errors of the three services' API
//! references. EKS has names of its own for the same errors.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use http::HeaderMap;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::encoding::{decode_query, encode};
use super::endpoint::Endpoint;
use crate::aws::contract::{ApiError, Caller, Service};
use crate::aws::world::World;

/// A request as it came off the wire.
pub(super) struct Received<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

/// What a request says of its own signature.
struct Claim {
    access_key_id: String,
    date: String,
    region: String,
    service: String,
    time: String,
    signed_headers: String,
    signature: String,
    session_token: Option<String>,
}

/// The errors of signatures in the words of one service.
struct Words {
    service: Service,
}

/// Verifies who sent a request.
pub(super) fn verify(received: &Received<'_>, endpoint: &Endpoint, world: &World) -> Result<Caller, ApiError> {
    let words = Words {
        service: endpoint.service,
    };
    let claim = Claim::read(received, &words)?;
    claim.check_scope(endpoint, &words)?;
    let key = world
        .credentials(&claim.access_key_id)
        .ok_or_else(|| words.invalid_token())?;
    if key.caller.arn.split(':').nth(1) != Some(endpoint.partition) {
        return Err(words.invalid_token());
    }
    let time = claim.check_time(Timestamp::now(), &words)?;
    let signing_key = generate_signing_key(&key.secret_access_key, time, &claim.region, &claim.service);
    let text = claim.string_to_sign(received, &words)?;
    if calculate_signature(signing_key, text.as_bytes()) != claim.signature {
        return Err(words.mismatch(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access \
             Key and signing method. Consult the service documentation for details.",
        ));
    }
    if key.session_token != claim.session_token {
        return Err(words.invalid_token());
    }
    if key.expiration.is_some_and(|expiration| expiration <= world.now()) {
        return Err(words.expired_token());
    }
    Ok(key.caller)
}

/// The access key that a request names in its header, whether or not it is signed with it.
pub(super) fn access_key(received: &Received<'_>) -> Option<String> {
    let authorization = received.headers.get("authorization")?.to_str().ok()?;
    let (_, credential) = authorization.split_once("Credential=")?;
    Some(credential.split('/').next()?.to_owned())
}

impl Claim {
    fn read(received: &Received<'_>, words: &Words) -> Result<Self, ApiError> {
        let header = |name: &str| received.headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(authorization) = header("authorization") {
            let Some(parts) = authorization.strip_prefix("AWS4-HMAC-SHA256") else {
                return Err(words.incomplete("Authorization header requires the algorithm 'AWS4-HMAC-SHA256'."));
            };
            let part = |name: &str| {
                let value = parts
                    .split(',')
                    .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
                value.ok_or_else(|| words.incomplete(&format!("Authorization header requires '{name}' parameter.")))
            };
            let time = header("x-amz-date").ok_or_else(|| {
                words.incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
            })?;
            let session_token = header("x-amz-security-token").map(str::to_owned);
            Self::new(
                part("Credential")?,
                part("SignedHeaders")?,
                part("Signature")?,
                time,
                session_token,
                words,
            )
        } else {
            let parameters = decode_query(received.query);
            let parameter = |name: &str| {
                parameters
                    .iter()
                    .find(|(key, _)| key == name)
                    .map(|(_, value)| value.as_str())
            };
            let Some(signature) = parameter("X-Amz-Signature") else {
                return Err(words.missing());
            };
            let required = |name: &str| {
                parameter(name)
                    .ok_or_else(|| words.incomplete(&format!("AWS query-string parameters must include '{name}'.")))
            };
            let session_token = parameter("X-Amz-Security-Token").map(str::to_owned);
            let (credential, signed) = (required("X-Amz-Credential")?, required("X-Amz-SignedHeaders")?);
            Self::new(
                credential,
                signed,
                signature,
                required("X-Amz-Date")?,
                session_token,
                words,
            )
        }
    }

    fn new(
        credential: &str,
        signed_headers: &str,
        signature: &str,
        time: &str,
        session_token: Option<String>,
        words: &Words,
    ) -> Result<Self, ApiError> {
        let scope: Vec<&str> = credential.split('/').collect();
        let [access_key_id, date, region, service, "aws4_request"] = scope.as_slice() else {
            return Err(words.incomplete(&format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got \
                 '{credential}'"
            )));
        };
        Ok(Self {
            access_key_id: (*access_key_id).to_owned(),
            date: (*date).to_owned(),
            region: (*region).to_owned(),
            service: (*service).to_owned(),
            time: time.to_owned(),
            signed_headers: signed_headers.to_owned(),
            signature: signature.to_owned(),
            session_token,
        })
    }

    fn check_scope(&self, endpoint: &Endpoint, words: &Words) -> Result<(), ApiError> {
        if self.region != endpoint.region {
            return Err(words.mismatch("Credential should be scoped to a valid region. "));
        }
        if self.service != endpoint.service.name() {
            let right = endpoint.service.name();
            return Err(words.mismatch(&format!("Credential should be scoped to correct service: '{right}'. ")));
        }
        Ok(())
    }

    /// The moment of signing, if it is near enough to now: 15 minutes for IAM and STS, 5 for EKS.
    fn check_time(&self, now: Timestamp, words: &Words) -> Result<SystemTime, ApiError> {
        let signed = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", &self.time)
            .and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC))
            .map_err(|_| {
                words.incomplete(&format!(
                    "Date must be in ISO-8601 'basic format'. Got '{}'.",
                    self.time
                ))
            })?
            .timestamp();
        if !self.time.starts_with(&self.date) {
            let message = format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: \
                 '{}' != '{}', from '{}'.",
                self.date,
                self.time.get(..8).unwrap_or_default(),
                self.time
            );
            return Err(words.mismatch(&message));
        }
        let minutes = words.allowed_skew_minutes();
        let skew = jiff::SignedDuration::from_mins(minutes);
        let basic = |time: Timestamp| time.strftime("%Y%m%dT%H%M%SZ").to_string();
        let compared =
            |sign: &str, limit: Timestamp| format!("{} ({} {sign} {minutes} min.)", basic(limit), basic(now));
        if signed < now - skew {
            let message = format!(
                "Signature expired: {} is now earlier than {}",
                self.time,
                compared("-", now - skew)
            );
            return Err(words.mismatch(&message));
        }
        if signed > now + skew {
            let limit = compared("+", now + skew);
            return Err(words.mismatch(&format!(
                "Signature not yet current: {} is still later than {limit}",
                self.time
            )));
        }
        let seconds = u64::try_from(signed.as_second()).unwrap_or_default();
        Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    fn string_to_sign(&self, received: &Received<'_>, words: &Words) -> Result<String, ApiError> {
        let canonical = self.canonical_request(received, words)?;
        Ok(format!(
            "AWS4-HMAC-SHA256\n{}\n{}/{}/{}/aws4_request\n{}",
            self.time,
            self.date,
            self.region,
            self.service,
            sha256(canonical.as_bytes())
        ))
    }

    fn canonical_request(&self, received: &Received<'_>, words: &Words) -> Result<String, ApiError> {
        let mut canonical = format!("{}\n{}\n", received.method, canonical_path(received.path));
        let mut parameters: Vec<(String, String)> = decode_query(received.query)
            .into_iter()
            .filter(|(name, _)| name != "X-Amz-Signature")
            .map(|(name, value)| (encode(&name), encode(&value)))
            .collect();
        parameters.sort();
        for (index, (name, value)) in parameters.iter().enumerate() {
            let separator = if index == 0 { "" } else { "&" };
            let _ = write!(canonical, "{separator}{name}={value}");
        }
        canonical.push('\n');
        let mut host = false;
        for name in self.signed_headers.split(';') {
            host |= name == "host";
            let values: Vec<String> = received
                .headers
                .get_all(name)
                .iter()
                .map(|value| {
                    String::from_utf8_lossy(value.as_bytes())
                        .split_whitespace()
                        .collect::<Vec<_>>()
                        .join(" ")
                })
                .collect();
            let _ = writeln!(canonical, "{name}:{}", values.join(","));
        }
        if !host {
            return Err(words.mismatch("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."));
        }
        let _ = write!(canonical, "\n{}\n{}", self.signed_headers, sha256(received.body));
        Ok(canonical)
    }
}

/// Every segment encoded once more, as every service but S3 has it.
fn canonical_path(path: &str) -> String {
    path.split('/').map(encode).collect::<Vec<_>>().join("/")
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

impl Words {
    fn pick(&self, query: &'static str, json: &'static str) -> &'static str {
        match self.service {
            Service::Iam | Service::Sts => query,
            Service::Eks => json,
        }
    }

    fn allowed_skew_minutes(&self) -> i64 {
        match self.service {
            Service::Iam | Service::Sts => 15,
            Service::Eks => 5,
        }
    }

    fn missing(&self) -> ApiError {
        let code = self.pick("MissingAuthenticationToken", "MissingAuthenticationTokenException");
        ApiError::new(
            403,
            code,
            self.pick(
                "Request is missing Authentication Token",
                "Missing Authentication Token",
            ),
        )
    }

    fn incomplete(&self, message: &str) -> ApiError {
        ApiError::new(
            400,
            self.pick("IncompleteSignature", "IncompleteSignatureException"),
            message,
        )
    }

    fn invalid_token(&self) -> ApiError {
        let code = self.pick("InvalidClientTokenId", "UnrecognizedClientException");
        ApiError::new(403, code, "The security token included in the request is invalid.")
    }

    fn expired_token(&self) -> ApiError {
        let code = self.pick("ExpiredToken", "ExpiredTokenException");
        ApiError::new(403, code, "The security token included in the request is expired")
    }

    fn mismatch(&self, message: &str) -> ApiError {
        ApiError::new(
            403,
            self.pick("SignatureDoesNotMatch", "InvalidSignatureException"),
            message,
        )
    }
}

#[cfg(test)]
mod tests;
