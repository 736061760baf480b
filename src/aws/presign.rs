//! The EKS token: a presigned `GetCallerIdentity` that EKS itself sends (aws-iam-authenticator, `token.go`).

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign},
    sign::v4,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::domain::name::Region;

/// What signature version 4 leaves as it is in a query (AWS, "Create a canonical request").
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What EKS ignores, and every client sends; the token is good for 15 minutes (aws-iam-authenticator, `Verify`).
const EXPIRES: Duration = Duration::from_mins(1);

/// The header that binds a token to one cluster.
const CLUSTER_HEADER: &str = "x-k8s-aws-id";

/// What every token begins with.
pub(super) const TOKEN_PREFIX: &str = "k8s-aws-v1.";

/// The token of these credentials for a cluster.
///
/// Always for AWS's own regional host, whatever endpoint this process calls STS at: EKS takes no other.
pub(super) fn eks_token(
    credentials: Credentials,
    region: &Region,
    cluster: &str,
    now: SystemTime,
) -> Result<String, String> {
    let url = presigned(credentials, region, cluster, now)?;
    Ok(format!("{TOKEN_PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(url)))
}

fn presigned(credentials: Credentials, region: &Region, cluster: &str, now: SystemTime) -> Result<String, String> {
    let host = format!("sts.{region}.{}", region.partition().dns_suffix());
    let mut url = format!("https://{host}/?Action=GetCallerIdentity&Version=2011-06-15");
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(EXPIRES);
    let identity = credentials.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region.as_str())
        .name("sts")
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| error.to_string())?
        .into();
    let headers = [("host", host.as_str()), (CLUSTER_HEADER, cluster)].into_iter();
    // Its own text may hold what was to be signed.
    let request = SignableRequest::new("GET", url.as_str(), headers, SignableBody::Bytes(b""))
        .map_err(|_| format!("a request for cluster {cluster:?} cannot be signed"))?;
    let (signed, _) = sign(request, &params)
        .map_err(|_| format!("a request for cluster {cluster:?} cannot be signed"))?
        .into_parts();
    for (name, value) in signed.params() {
        url.push('&');
        url.push_str(name);
        url.push('=');
        url.extend(utf8_percent_encode(value, QUERY));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What botocore 1.43.11 (`SigV4QueryAuth`) makes of the same request at the same time.
    const BOTOCORE: &str = "https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ASIAEXAMPLE%2F20261105%2Feu-west-1%2Fsts%2Faws4_request&X-Amz-Date=20261105T123456Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id&X-Amz-Security-Token=FwoGZXIvYXdzEXAMPLE%2F%2Ftoken%2Bwith%2Fall%3D%3D&X-Amz-Signature=57efb8acb06e814dd5b47b6ed1c4ed1a309ecaa1f0cfde914928c922d4ec2f63";

    fn credentials() -> Credentials {
        Credentials::new(
            "ASIAEXAMPLE",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            Some("FwoGZXIvYXdzEXAMPLE//token+with/all==".to_owned()),
            None,
            "test",
        )
    }

    fn at() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_793_882_096)
    }

    #[test]
    fn the_request_is_signed_as_botocore_signs_it() {
        let url = presigned(credentials(), &"eu-west-1".parse().unwrap(), "prod-eu", at()).unwrap();
        let parts = |url: &str| {
            let (host, query) = url.split_once('?').unwrap();
            let query: BTreeSet<String> = query.split('&').map(str::to_owned).collect();
            (host.to_owned(), query)
        };
        assert_eq!(parts(&url), parts(BOTOCORE));
    }

    #[test]
    fn the_token_is_unpadded_base64_for_urls_behind_its_prefix() {
        let token = eks_token(credentials(), &"eu-west-1".parse().unwrap(), "prod-eu", at()).unwrap();
        let encoded = token.strip_prefix("k8s-aws-v1.").unwrap();
        assert!(!encoded.contains(['=', '+', '/']));
        let url = BASE64_URL_SAFE_NO_PAD.decode(encoded).unwrap();
        assert!(url.starts_with(b"https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&"));
    }

    #[test]
    fn every_partition_has_its_own_host() {
        for (region, host) in [
            ("cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn/?"),
            ("us-gov-west-1", "https://sts.us-gov-west-1.amazonaws.com/?"),
            ("eusc-de-east-1", "https://sts.eusc-de-east-1.amazonaws.eu/?"),
            ("us-iso-east-1", "https://sts.us-iso-east-1.c2s.ic.gov/?"),
        ] {
            let url = presigned(credentials(), &region.parse().unwrap(), "c", at()).unwrap();
            assert!(url.starts_with(host), "{url}");
        }
    }
}
