//! Readers of what people write into files, annotations and flags, and of certificates.

use std::time::Duration;

use k8s_openapi::{ByteString, jiff::Timestamp};
use mooring::{
    api::{CLOSED_ACCOUNTS, ManagementRole},
    argocd::{
        certificates_in_base64,
        cluster_secret::{Connection, Presentation},
        fingerprint, fingerprint_of_base64,
    },
    aws::{authorities, decoded},
    cli::{Cli, Command},
    commands::{
        manifests::Manifests,
        render::{Options, render},
    },
    managed_cluster::{
        breaker::meant_until,
        management::{Management, closed_accounts},
    },
    text::without_passwords,
};
use serde::Serialize;
use serde_json::{Value, json};

/// A file of manifests: whatever is in it is read, passed over or refused, what was read reads back as the same, and what
/// it leads to is printed as YAML.
pub(crate) fn manifest(input: &[u8]) {
    let mut manifests = Manifests::default();
    manifests.add(&"input", &String::from_utf8_lossy(input));
    let mut again = Manifests::default();
    let objects = manifests.roles.iter().map(printed);
    for object in objects.chain(manifests.clusters.iter().map(printed)) {
        again.add(&"again", &object);
    }
    assert_eq!(again.invalid, Vec::<String>::new());
    assert_eq!(again.roles, manifests.roles);
    assert_eq!(again.clusters, manifests.clusters);
    let options = Options {
        hub_account: Some(crate::account()),
        hub_issuer: None,
    };
    let rendered = render(&manifests, &options);
    let mut read = Manifests::default();
    read.add(&"rendered", &rendered.yaml);
    let no_yaml = |problem: &&String| problem.contains("is not YAML");
    assert_eq!(read.invalid.iter().find(no_yaml), None, "{}", rendered.yaml);
    for role in &manifests.roles {
        let _ = Management::read_for_removal(role);
    }
}

fn printed(object: &impl Serialize) -> String {
    serde_json::to_string(object).unwrap_or_else(|error| panic!("{error}"))
}

/// What somebody wrote into an annotation, a flag or a URL, and what IAM encoded.
pub(crate) fn word(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    assert_eq!(decoded(&encoded), text);
    let _ = decoded(&text);

    let now = Timestamp::UNIX_EPOCH;
    if let Ok(until) = meant_until(&text, now) {
        assert!(until.duration_since(now) <= k8s_openapi::jiff::SignedDuration::from_mins(5));
    }

    let role = json!({
        "metadata": {"name": "default", "annotations": {CLOSED_ACCOUNTS: text}},
        "spec": {"cluster": {"name": "hub", "region": "eu-west-1"}, "allow": []},
    });
    let role: ManagementRole = serde_json::from_value(role).unwrap_or_else(|error| panic!("{error}"));
    for account in closed_accounts(&role.metadata) {
        assert!(!account.is_empty() && account.trim() == account && !account.contains(','));
    }

    for (scheme, _) in without_passwords(&text).match_indices("://") {
        let shown = &without_passwords(&text)[scheme + 3..];
        let authority = shown.split(char::is_whitespace).next().unwrap_or_default();
        assert!(!authority.contains('@'), "{shown}");
    }

    // What a shell cannot hand over.
    if !text.contains('\0') {
        let flag = format!("--resync-interval={text}");
        let read = Cli::parse_from_environment(["mooring", "controller", &flag]);
        if let Some(Command::Controller(read)) = read.ok().map(|cli| cli.command) {
            let year = Duration::from_hours(365 * 24);
            assert!(
                (Duration::from_secs(1)..=year).contains(&read.resync_interval),
                "{text}"
            );
            assert!(
                text.chars().all(|c| c.is_ascii_digit() || "hms".contains(c)),
                "{text:?} is read as {:?}",
                read.resync_interval
            );
        }
    }
}

/// Certificate authorities: as a bundle for AWS, and as EKS gives them, which go into a cluster Secret byte for byte.
pub(crate) fn certificate(input: &[u8]) {
    if let Ok((usable, left_out)) = authorities(input) {
        // What is used of a bundle is a bundle of which all is used.
        assert_eq!(authorities(&usable), Ok((usable, Vec::new())), "{left_out:?}");
    }
    let text = String::from_utf8_lossy(input);
    let encoded = serde_json::to_value(ByteString(input.to_vec())).unwrap_or_default();
    let encoded = encoded.as_str().unwrap_or_default();
    assert_eq!(fingerprint_of_base64(encoded), Some(fingerprint(input)));
    for given in [encoded, &text] {
        let known = certificates_in_base64(given);
        let connection = Connection {
            server: "https://A.gr7.eu-west-1.eks.amazonaws.com".to_owned(),
            certificate_authority: given.to_owned(),
            cluster_name: "prod".to_owned(),
            role_arn: "arn:aws:iam::222222222222:role/x".to_owned(),
        };
        let secret = connection.present(&Presentation::default(), "uid", "prod");
        // None is written that Argo CD could not read.
        assert_eq!(secret.is_ok(), known > 0);
        let Ok(secret) = secret else { continue };
        let written = secret.certificate_authority();
        assert_eq!(written.as_deref().map(fingerprint), fingerprint_of_base64(given));
        let config: Value = serde_json::from_str(&secret.data["config"]).unwrap_or_default();
        assert_eq!(config["tlsClientConfig"]["caData"], given);
    }
}
