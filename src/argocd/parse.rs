//! Any cluster Secret, read with Argo CD's own rules: is it one that Argo CD can read, and where does it lead?
//!
//! One that Argo CD cannot read hurts everybody: while it is there no ApplicationSet deletes anything, since its list
//! of clusters is all or nothing (v3.6.1, `applicationset/utils/clusterUtils.go`, `util/settings/cluster_informer.go`).
//! What is secret in it (passwords, bearer tokens, client keys) is checked and not kept.

use std::collections::BTreeSet;

use base64::{
    Engine, alphabet,
    engine::{GeneralPurpose, GeneralPurposeConfig},
};
use k8s_openapi::{ByteString, api::core::v1::Secret};

use super::{
    cluster_secret::{ADOPTED_ANNOTATION, WantedSecret},
    lenient::{Node, fields, flag, text, wrong},
    program::{Exec, Program, take_exec},
    server::Server,
    usage::skips_reconcile,
};

/// Go's `base64.StdEncoding`: padded, and not strict about the bits that pad.
const GO: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// How Argo CD proves who it is to a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// A token of EKS, minted for a cluster's name as a role.
    Aws {
        /// What is signed into the header `x-k8s-aws-id`.
        cluster_name: String,
        /// The role that is assumed; empty for the pod's own.
        role_arn: String,
        /// A profile of the pod's AWS configuration; empty as a rule.
        profile: String,
    },
    /// The same by a program that Argo CD runs.
    Program(Program),
    /// Something else, by the names of the fields of `config` that hold it: another program, a password, a bearer token, a
    /// client certificate, or nothing.
    Other(BTreeSet<&'static str>),
}

impl Default for Credentials {
    fn default() -> Self {
        Self::Other(BTreeSet::new())
    }
}

impl Credentials {
    /// The role that Argo CD assumes by them, where they name one.
    #[must_use]
    pub fn role(&self) -> Option<&str> {
        let role = match self {
            Self::Aws { role_arn, .. } => role_arn,
            Self::Program(program) => &program.role_arn,
            Self::Other(_) => return None,
        };
        Some(role.as_str()).filter(|role| !role.is_empty())
    }
}

/// A cluster Secret as Argo CD understands it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own, and any of them may be set"
)]
pub struct SeenCluster {
    /// The cluster's name in Argo CD.
    pub name: String,
    /// The API server's URL.
    pub server: Server,
    /// The namespaces that Argo CD is held to; none for the whole cluster.
    pub namespaces: Vec<String>,
    /// Whether cluster-scoped resources are managed beside namespaces.
    pub cluster_resources: bool,
    /// The project that the cluster belongs to; empty for none.
    pub project: String,
    /// The certificate authorities as PEM; empty for the system's.
    pub certificate_authority: Vec<u8>,
    /// The name that the certificate is held to, in place of the URL's host; empty for that.
    pub server_name: String,
    /// Whether the certificate is not looked at.
    pub insecure: bool,
    /// Whether Argo CD is to go there by a proxy of the Secret's own.
    pub proxied: bool,
    /// How Argo CD proves who it is.
    pub credentials: Credentials,
    /// Whether Argo CD is told to leave the cluster alone ([`SKIP_RECONCILE`](super::SKIP_RECONCILE)).
    pub skips_reconcile: bool,
    /// Whether it was somebody else's before it was ours: then it keeps what they wrote and the spec says nothing of.
    pub adopted: bool,
}

impl SeenCluster {
    /// What of the config would be lost when Mooring takes the Secret over, and what it changes, in words. `wanted` is what
    /// it then holds, where that is known.
    #[must_use]
    pub fn taken_over(&self, wanted: Option<&WantedSecret>) -> (Vec<String>, String) {
        let mut lost = Vec::new();
        if self.proxied {
            lost.push("proxyUrl".to_owned());
        }
        if !self.server_name.is_empty() {
            lost.push("tlsClientConfig.serverName".to_owned());
        }
        let whose = match (self.credentials.role(), &self.credentials) {
            (Some(role), _) => format!("role {role}"),
            (None, Credentials::Other(_)) => "credentials that are not AWS's".to_owned(),
            (None, Credentials::Aws { .. } | Credentials::Program(_)) => "Argo CD's own credentials".to_owned(),
        };
        let (was, by, besides) = match &self.credentials {
            Credentials::Program(program) => {
                let besides = program.besides_in_words();
                (
                    format!("{whose} by {} (execProviderConfig)", program.name),
                    " by awsAuthConfig",
                    besides.map(|besides| format!("; what that program is told besides goes ({besides})")),
                )
            }
            Credentials::Aws { .. } | Credentials::Other(_) => (whose, "", None),
        };
        let besides = besides.unwrap_or_default();
        let unchecked = if self.insecure {
            ", and the cluster's certificate is checked from now on"
        } else {
            ""
        };
        let other = wanted.and_then(WantedSecret::certificate_authority);
        let other = other.filter(|other| *other != self.certificate_authority);
        let authority = match other {
            Some(_) if self.certificate_authority.is_empty() => {
                ", and by the certificate authority that EKS gives in place of the system's"
            }
            Some(_) => ", and by the certificate authority that EKS gives in place of another",
            None => "",
        };
        (
            lost,
            format!("it used {was}, and uses the deployer role{by} from now on{unchecked}{authority}{besides}"),
        )
    }
}

/// Reads a cluster Secret.
///
/// # Errors
/// Says what Argo CD would stumble over; no value of the Secret is in it.
pub fn read(secret: &Secret) -> Result<SeenCluster, String> {
    let bytes = |key: &str| {
        let value = secret.data.as_ref().and_then(|data| data.get(key));
        value.map_or(&[][..], |ByteString(bytes)| bytes.as_slice())
    };
    let plain = |key: &str| String::from_utf8_lossy(bytes(key)).into_owned();
    let namespaces = plain("namespaces");
    let annotations = secret.metadata.annotations.clone().unwrap_or_default();
    let mut seen = SeenCluster {
        name: plain("name"),
        server: Server::new(&plain("server")),
        namespaces: namespaces
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
        cluster_resources: bytes("clusterResources") == b"true",
        project: plain("project"),
        skips_reconcile: skips_reconcile(&annotations),
        adopted: annotations.contains_key(ADOPTED_ANNOTATION),
        ..SeenCluster::default()
    };
    let config = bytes("config");
    if !config.is_empty() {
        // Go takes invalid UTF-8 and replaces it. The parser's own message would show a piece of what may be secret.
        let node: Node = serde_json::from_str(&String::from_utf8_lossy(config)).map_err(|error| {
            format!(
                "data.config is not JSON (line {}, column {})",
                error.line(),
                error.column()
            )
        })?;
        take_config(&node, &mut seen)?;
    }
    Ok(seen)
}

fn take_config(node: &Node, seen: &mut SeenCluster) -> Result<(), String> {
    let mut proxy = String::new();
    let (mut aws, mut exec) = (None, None);
    let mut own = BTreeSet::new();
    let known = [
        "username",
        "password",
        "bearerToken",
        "tlsClientConfig",
        "awsAuthConfig",
        "execProviderConfig",
        "disableCompression",
        "proxyUrl",
    ];
    fields(node, "data.config", &known, |name, value| {
        let of = format!("data.config.{name}");
        match name {
            "tlsClientConfig" => take_tls(value, &of, seen, &mut own),
            "awsAuthConfig" => take_aws(value, &of, &mut aws),
            "execProviderConfig" => take_exec(value, &of, &mut exec),
            "disableCompression" => flag(value, &of, &mut false),
            "proxyUrl" => text(value, &of, &mut proxy),
            _ => {
                let mut secret = String::new();
                text(value, &of, &mut secret)?;
                note(&mut own, name, value, secret.is_empty());
                Ok(())
            }
        }
    })?;
    seen.proxied = !proxy.is_empty();
    // In the order in which Argo CD asks for them (v3.6.1, `types.go`, `RawRestConfig`).
    seen.credentials = if let Some([cluster_name, role_arn, profile]) = aws {
        Credentials::Aws {
            cluster_name,
            role_arn,
            profile,
        }
    } else if let Some(Exec {
        command,
        arguments,
        environment,
    }) = exec
    {
        let program = Program::read(&command, &arguments, &environment);
        program.map_or_else(|| Credentials::Other(BTreeSet::from([EXEC])), Credentials::Program)
    } else {
        Credentials::Other(own)
    };
    Ok(())
}

/// The field of a program.
const EXEC: &str = "execProviderConfig";

/// Notes whether a field holds something secret. `null` leaves what was there.
fn note(own: &mut BTreeSet<&'static str>, name: &'static str, value: &Node, empty: bool) {
    if *value == Node::Null {
    } else if empty {
        own.remove(name);
    } else {
        own.insert(name);
    }
}

fn take_tls(node: &Node, of: &str, seen: &mut SeenCluster, own: &mut BTreeSet<&'static str>) -> Result<(), String> {
    let known = ["insecure", "serverName", "certData", "keyData", "caData"];
    fields(node, of, &known, |name, value| {
        let of = format!("{of}.{name}");
        match name {
            "insecure" => flag(value, &of, &mut seen.insecure),
            "serverName" => text(value, &of, &mut seen.server_name),
            "caData" => binary(value, &of, &mut seen.certificate_authority),
            _ => {
                let mut secret = Vec::new();
                binary(value, &of, &mut secret)?;
                let name = if name == "keyData" {
                    "tlsClientConfig.keyData"
                } else {
                    "tlsClientConfig.certData"
                };
                note(own, name, value, secret.is_empty());
                Ok(())
            }
        }
    })
}

fn take_aws(node: &Node, of: &str, into: &mut Option<[String; 3]>) -> Result<(), String> {
    if *node == Node::Null {
        *into = None;
        return Ok(());
    }
    let [cluster_name, role_arn, profile] = into.get_or_insert_default();
    let known = ["clusterName", "roleARN", "profile"];
    fields(node, of, &known, |name, value| {
        let of = format!("{of}.{name}");
        match name {
            "clusterName" => text(value, &of, cluster_name),
            "roleARN" => text(value, &of, role_arn),
            _ => text(value, &of, profile),
        }
    })
}

/// Bytes as base64, in which Go passes over line breaks.
fn binary(node: &Node, of: &str, into: &mut Vec<u8>) -> Result<(), String> {
    match node {
        Node::Null => {
            into.clear();
            Ok(())
        }
        Node::Text(text) => {
            let joined: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
            *into = GO
                .decode(joined)
                .map_err(|_| format!("{of} is not base64 (of PEM, with padding, and not for URLs)"))?;
            Ok(())
        }
        // Go also takes a list of numbers, which nobody writes.
        Node::List(_) => Ok(()),
        Node::Bool(_) | Node::Number | Node::Object(_) => Err(wrong(of, "base64 in a string", node)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn secret(data: &[(&str, &str)]) -> Secret {
        let data: BTreeMap<String, ByteString> = data
            .iter()
            .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())))
            .collect();
        Secret {
            data: Some(data),
            ..Secret::default()
        }
    }

    fn config(config: &str) -> Result<SeenCluster, String> {
        read(&secret(&[("config", config)]))
    }

    #[test]
    fn what_we_write_is_read_as_it_is_meant() {
        let uid = crate::argocd::cluster_secret::tests::connection();
        let wanted = uid
            .present(&crate::argocd::cluster_secret::tests::presentation(), "u", "prod")
            .unwrap();
        let data: Vec<(&str, &str)> = wanted.data.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let seen = read(&secret(&data)).unwrap();
        assert_eq!(seen.server.as_str(), uid.server);
        assert_eq!(
            seen.credentials,
            Credentials::Aws {
                cluster_name: "prod".into(),
                role_arn: uid.role_arn.clone(),
                profile: String::new(),
            }
        );
        assert!(seen.certificate_authority.starts_with(b"-----BEGIN CERTIFICATE-----"));
        assert!(!seen.insecure && seen.namespaces.is_empty());
    }

    #[test]
    fn plain_keys_are_read_as_argo_cd_reads_them() {
        let seen = read(&secret(&[
            ("name", "a\n"),
            ("server", "https://x//"),
            ("namespaces", " a, b,,"),
            ("clusterResources", "True"),
            ("shard", "not a number"),
        ]))
        .unwrap();
        assert_eq!((seen.name.as_str(), seen.server.as_str()), ("a\n", "https://x"));
        assert_eq!(seen.namespaces, ["a", "b"]);
        assert!(!seen.cluster_resources, "only the text true is true");
    }

    /// Each was run with Argo CD's own code.
    #[test]
    fn what_argo_cd_takes_is_not_malformed() {
        for text in [
            "",
            "null",
            "{}",
            r#"{"AWSAUTHCONFIG":{"clustername":"c","roleArn":"r"}}"#,
            r#"{"tlsClientConfig":null,"execProviderConfig":null}"#,
            r#"{"unknown":{"anything":[1]},"proxyUrl":"http://x"}"#,
            "{\"tlsClientConfig\":{\"caData\":\"TEFB\\nTEFB\"}}",
            r#"{"execProviderConfig":{"command":"c","args":["a"],"env":{"A":"b"},"config":{"any":1}}}"#,
        ] {
            config(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        }
        let merged = config(r#"{"awsAuthConfig":{"clusterName":"c"},"awsAuthConfig":{"roleARN":"r"}}"#).unwrap();
        let Credentials::Aws {
            cluster_name, role_arn, ..
        } = merged.credentials
        else {
            panic!("no AWS credentials")
        };
        assert_eq!((cluster_name.as_str(), role_arn.as_str()), ("c", "r"));
    }

    /// Only what Argo CD goes by is told, by name: a program before what is in the Secret itself, and AWS's before both.
    #[test]
    fn how_argo_cd_comes_to_the_cluster_is_told_in_its_own_order() {
        let own = r#""username":"u","password":"hunter2","bearerToken":"","tlsClientConfig":{"certData":"TEFB","keyData":null}"#;
        let other = |text: &str| match config(text).unwrap().credentials {
            Credentials::Other(by) => by.into_iter().collect::<Vec<_>>().join(" "),
            other @ (Credentials::Aws { .. } | Credentials::Program(_)) => panic!("{other:?}"),
        };
        assert_eq!(other("{}"), "");
        assert_eq!(
            other(&format!("{{{own}}}")),
            "password tlsClientConfig.certData username"
        );
        assert_eq!(other(r#"{"bearerToken":"hunter2","bearerToken":""}"#), "");
        assert_eq!(other(r#"{"bearerToken":"hunter2","bearerToken":null}"#), "bearerToken");
        let shell = r#""execProviderConfig":{"command":"sh","args":["-c","aws eks get-token"]}"#;
        assert_eq!(other(&format!("{{{own},{shell}}}")), "execProviderConfig");
        let exec = r#""execProviderConfig":{"command":"aws","args":["--region","eu-west-1","eks","get-token","--cluster-name","prod","--role-arn","r"],"env":{"AWS_PROFILE":"p"}}"#;
        let Credentials::Program(program) = config(&format!("{{{own},{exec}}}")).unwrap().credentials else {
            panic!("no program")
        };
        assert_eq!(
            (
                program.cluster_name.as_str(),
                program.role_arn.as_str(),
                program.profile.as_str()
            ),
            ("prod", "r", "p")
        );
        let aws = r#""awsAuthConfig":{"clusterName":"c","roleARN":"of-aws"}"#;
        let both = config(&format!("{{{exec},{aws}}}")).unwrap();
        assert_eq!(both.credentials.role(), Some("of-aws"));
        let seen = config(&format!("{{{exec}}}")).unwrap();
        assert_eq!(
            seen.taken_over(None),
            (
                Vec::new(),
                "it used role r by aws eks get-token (execProviderConfig), and uses the deployer role by awsAuthConfig from now on".to_owned()
            )
        );
    }

    #[test]
    fn what_argo_cd_stumbles_over_is_named_without_its_values() {
        for (text, names) in [
            ("{'single':1}", "not JSON"),
            (r#"{"tlsClientConfig":{}} trailing"#, "not JSON"),
            (
                r#"{"tlsClientConfig":{"insecure":"false"}}"#,
                "data.config.tlsClientConfig.insecure",
            ),
            (
                r#"{"tlsClientConfig":{"caData":"-----BEGIN hunter2-----"}}"#,
                "tlsClientConfig.caData is not base64",
            ),
            (r#"{"tlsClientConfig":{"caData":"TEF"}}"#, "caData"),
            (r#"{"tlsClientConfig":{"caData":"TE F"}}"#, "caData"),
            (r#"{"tlsClientConfig":{"caData":"-_-_"}}"#, "caData"),
            (r#"{"bearerToken":["hunter2"]}"#, "data.config.bearerToken is array"),
            (r#"{"awsAuthConfig":"hunter2"}"#, "awsAuthConfig is string"),
            (r#"{"execProviderConfig":{"args":"hunter2"}}"#, "args"),
            (r#"["hunter2"]"#, "data.config is array"),
        ] {
            let why = config(text).unwrap_err();
            assert!(why.contains(names), "{text}: {why}");
            assert!(!why.contains("hunter2"), "{why}");
        }
    }
}
