//! AWS's own SDK clients, sent through the fake's proxy as an operator's clients are.

#![allow(dead_code, unreachable_pub, reason = "each test file takes what it needs")]

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sts::config::RuntimeComponents;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use mooring_sandbox::aws::{Credentials, FakeAws};
use serde_json::{Value, json};

/// The configuration of an SDK client in a region, without retries.
pub fn config(aws: &FakeAws, region: &str, credentials: &Credentials) -> SdkConfig {
    config_with(aws, region, credentials, RetryConfig::disabled())
}

/// The configuration of an SDK client in a region.
pub fn config_with(aws: &FakeAws, region: &str, credentials: &Credentials, retries: RetryConfig) -> SdkConfig {
    let store = TrustStore::empty().with_pem_certificate(std::fs::read(aws.ca_bundle()).unwrap());
    let tls = TlsContext::builder().with_trust_store(store).build().unwrap();
    let proxy = ProxyConfig::https(aws.proxy_url()).unwrap();
    let client = Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = Connector::builder().proxy_config(proxy.clone());
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        let provider = Provider::Rustls(CryptoMode::AwsLc);
        builder.tls_provider(provider).tls_context(tls.clone()).build()
    });
    let credentials = aws_credential_types::Credentials::new(
        &credentials.access_key_id,
        &credentials.secret_access_key,
        credentials.session_token.clone(),
        None,
        "test",
    );
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(client)
        .retry_config(retries)
        .timeout_config(
            TimeoutConfig::builder()
                .operation_timeout(std::time::Duration::from_secs(10))
                .build(),
        )
        .build()
}

/// A trust policy that lets the root of an account in.
pub fn trust(partition: &str, account: &str) -> String {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"AWS": format!("arn:{partition}:iam::{account}:root")},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }]})
    .to_string()
}

/// Makes a role by hand, with an inline policy of these statements. Gives its ARN.
pub fn role(aws: &FakeAws, account: &str, path: &str, name: &str, statements: &Value) -> String {
    use mooring_sandbox::aws::contract::Service::Iam;
    let root = aws.root(account);
    let input = json!({"RoleName": name, "Path": path, "AssumeRolePolicyDocument": trust("aws", account)});
    let output = aws.call(&root, Iam, "CreateRole", input).unwrap();
    let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    if statements.as_array().is_some_and(|statements| !statements.is_empty()) {
        let input = json!({"RoleName": name, "PolicyName": "test", "PolicyDocument": document});
        aws.call(&root, Iam, "PutRolePolicy", input).unwrap();
    }
    output["Role"]["Arn"].as_str().unwrap().to_owned()
}

/// Code and message of an SDK error.
#[macro_export]
macro_rules! refusal {
    ($result:expr) => {{
        use aws_sdk_iam::error::ProvideErrorMetadata as _;
        let error = $result.await.expect_err("must be refused");
        let status = error.raw_response().map_or(0, |response| response.status().as_u16());
        (
            status,
            error.code().unwrap_or_default().to_owned(),
            error.message().unwrap_or_default().to_owned(),
        )
    }};
}
