//! What a bearer token must be before anything is asked of AWS: `k8s-aws-v1.` and, in unpadded base64url, a presigned
//! `GetCallerIdentity` that can be nothing else.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use percent_encoding::percent_decode_str;

use super::log::Refusal;
use crate::aws::contract::Service;
use crate::aws::wire::endpoint::Endpoint;

pub(super) const PREFIX: &str = "k8s-aws-v1.";
/// The header that binds a token to a cluster.
pub(super) const CLUSTER_ID: &str = "x-k8s-aws-id";
/// Bytes of a token, checked before all else.
pub(super) const MAX_LENGTH: usize = 4_096;
/// From `X-Amz-Date`, whatever `X-Amz-Expires` says.
const LIFETIME: SignedDuration = SignedDuration::from_mins(15);
/// `X-Amz-Expires`: seconds.
const EXPIRES: std::ops::RangeInclusive<i64> = 0..=900;
/// `20261123T152931Z`.
const DATE_LENGTH: usize = 16;
/// The parameters that a token may have, in lower case.
const PARAMETERS: [&str; 9] = [
    "action",
    "version",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
];

/// The request in a token, which may be sent.
#[derive(Debug)]
pub(super) struct Presigned {
    pub(super) endpoint: Endpoint,
    pub(super) host: String,
    /// As it was signed.
    pub(super) query: String,
    pub(super) access_key_id: String,
}

fn malformed(why: impl Into<String>) -> Refusal {
    Refusal::Format(why.into())
}

impl Presigned {
    /// Reads a token for a cluster in `partition` at `now`.
    pub(super) fn read(token: &str, partition: &str, now: Timestamp) -> Result<Self, Refusal> {
        let url = decode(token)?;
        let (scheme, host, path, query) = take_apart(&url)?;
        if scheme != "https" {
            return Err(malformed(format!("unexpected scheme {scheme:?} in pre-signed URL")));
        }
        let endpoint =
            sts(host, partition).ok_or_else(|| malformed(format!("unexpected hostname {host:?} in pre-signed URL")))?;
        if path != "/" {
            return Err(malformed("unexpected path in pre-signed URL"));
        }
        let parameters = parameters(query)?;
        let parameter = |name: &str| parameters.get(name).map(String::as_str).unwrap_or_default();
        if parameter("action") != "GetCallerIdentity" {
            return Err(malformed("unexpected action parameter in pre-signed URL"));
        }
        let signed = parameter("x-amz-signedheaders");
        if !signed.split(';').any(|name| name.eq_ignore_ascii_case(CLUSTER_ID)) {
            let why = format!("client did not sign the {CLUSTER_ID} header in the pre-signed URL");
            return Err(malformed(why));
        }
        let expires = parameter("x-amz-expires");
        if !expires.parse().is_ok_and(|seconds: i64| EXPIRES.contains(&seconds)) {
            let why = format!("invalid X-Amz-Expires parameter in pre-signed URL: {expires}");
            return Err(malformed(why));
        }
        check_age(parameter("x-amz-date"), now)?;
        let credential = parameter("x-amz-credential");
        Ok(Self {
            endpoint,
            host: host.to_owned(),
            query: query.to_owned(),
            access_key_id: credential.split('/').next().unwrap_or_default().to_owned(),
        })
    }
}

fn decode(token: &str) -> Result<String, Refusal> {
    if token.len() > MAX_LENGTH {
        return Err(malformed("token is too large"));
    }
    let encoded = token
        .strip_prefix(PREFIX)
        .ok_or_else(|| malformed(format!("token is missing expected {PREFIX:?} prefix")))?;
    // What the decoder says names a character of the token.
    let bytes = URL_SAFE_NO_PAD
        .decode(encoded)
        .map_err(|_| malformed("illegal base64 data: it must be base64url without padding"))?;
    let url = String::from_utf8(bytes).map_err(|_| malformed("the pre-signed URL is not text"))?;
    if url.chars().any(|c| c.is_control() || c == ' ') {
        return Err(malformed("the pre-signed URL has a control character or a blank"));
    }
    Ok(url)
}

/// Scheme, host with port, path and query. A fragment is never sent.
fn take_apart(url: &str) -> Result<(&str, &str, &str, &str), Refusal> {
    let (scheme, rest) = url
        .split_once("://")
        .ok_or_else(|| malformed("unexpected scheme \"\" in pre-signed URL"))?;
    let (host, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let rest = rest.split('#').next().unwrap_or_default();
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    Ok((scheme, host, path, query))
}

/// The endpoint of STS that a host is: regional, FIPS or dual-stack in the cluster's partition; the global one exists in
/// `aws` alone. Compared as written: no port, no user, no capital letter.
fn sts(host: &str, partition: &str) -> Option<Endpoint> {
    let endpoint = Endpoint::of_host(host)?;
    let exact = !host.chars().any(|c| c.is_ascii_uppercase());
    (exact && endpoint.service == Service::Sts && endpoint.partition == partition).then_some(endpoint)
}

/// The parameters by their names in lower case; each once, and none that is not known.
fn parameters(query: &str) -> Result<BTreeMap<String, String>, Refusal> {
    let mut found = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (unescape(name)?, unescape(value)?);
        let lower = name.to_ascii_lowercase();
        if !PARAMETERS.contains(&lower.as_str()) {
            return Err(malformed(format!("non-whitelisted query parameter {name:?}")));
        }
        if found.insert(lower, value).is_some() {
            return Err(malformed("query parameter with multiple values not supported"));
        }
    }
    Ok(found)
}

fn unescape(text: &str) -> Result<String, Refusal> {
    let wrong = || malformed("malformed query parameter");
    let escapes_hold = text.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if !escapes_hold || text.contains(';') {
        return Err(wrong());
    }
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text).decode_utf8().map_err(|_| wrong())?;
    Ok(decoded.into_owned())
}

fn check_age(date: &str, now: Timestamp) -> Result<(), Refusal> {
    if date.is_empty() {
        return Err(malformed("X-Amz-Date parameter must be present in pre-signed URL"));
    }
    let signed = Some(date)
        .filter(|date| date.len() == DATE_LENGTH)
        .and_then(|date| DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok())
        .and_then(|time| time.to_zoned(TimeZone::UTC).ok())
        .ok_or_else(|| malformed(format!("error parsing X-Amz-Date parameter {date:?}")))?
        .timestamp();
    if now.duration_since(signed) > LIFETIME {
        let minutes = LIFETIME.as_mins();
        let why = format!("X-Amz-Date parameter is expired ({minutes} minute expiration) {signed}");
        return Err(malformed(why));
    }
    Ok(())
}
