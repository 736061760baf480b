//! The cluster Secret that we write, as Argo CD reads it.
//!
//! Source: argoproj/argo-cd v3.6.1, `util/db/cluster.go` (`SecretToCluster`), `util/db/secrets.go`
//! (`URIToSecretName`), `pkg/apis/application/v1alpha1/types.go` (`ClusterConfig`).

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;

use super::application::Target;

/// The type of Secrets that hold anything: Argo CD's own have it (argo-cd, `util/db/secrets.go` sets none), and so have ours.
pub const OPAQUE: &str = "Opaque";

/// The label by which Argo CD finds cluster Secrets, and its value.
pub const SECRET_TYPE: (&str, &str) = ("argocd.argoproj.io/secret-type", "cluster");
/// The annotation that holds the UID of the `ManagedCluster`. It survives on a copy that Argo CD makes.
pub const OWNER_ANNOTATION: &str = "mooring.dev/uid";
/// The annotation that holds the name of the `ManagedCluster`, for people.
pub const CLUSTER_ANNOTATION: &str = "mooring.dev/managed-cluster";
/// The annotation by which the owner of Argo CD opens a cluster Secret that others made to a `ManagedCluster`, by name.
pub const ADOPT_ANNOTATION: &str = "mooring.dev/adopt";
/// The annotation of a Secret that was taken over.
pub const ADOPTED_ANNOTATION: &str = "mooring.dev/adopted";
/// Every data key that Argo CD reads; all of them are ours on our Secrets.
pub const KEYS: [&str; 7] = [
    "name",
    "server",
    "config",
    "namespaces",
    "clusterResources",
    "project",
    "shard",
];

/// How a cluster is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// The API server's URL exactly as EKS gives it: Argo CD compares it with regard to case.
    pub server: String,
    /// The certificate authority exactly as EKS gives it: base64 of one or several PEM blocks. Any byte changed here
    /// makes Argo CD list the whole cluster again.
    pub certificate_authority: String,
    /// The EKS cluster's name, which goes into the signed header `x-k8s-aws-id`.
    pub cluster_name: String,
    /// The role that Argo CD assumes.
    pub role_arn: String,
}

/// What the `ManagedCluster` says of how Argo CD presents the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Presentation {
    /// The cluster's name in Argo CD.
    pub name: String,
    /// The project that it belongs to.
    pub project: Option<String>,
    /// The namespaces that Argo CD manages; none for the whole cluster.
    pub namespaces: Vec<String>,
    /// Whether cluster-scoped resources are managed beside namespaces.
    pub cluster_resources: Option<bool>,
    /// The application controller's shard.
    pub shard: Option<i32>,
    /// Labels of the Secret.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the Secret.
    pub annotations: BTreeMap<String, String>,
}

/// A connection that Argo CD could not use: one malformed cluster Secret stops every ApplicationSet from deleting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConnection {
    /// The endpoint is no URL that Argo CD can use.
    #[error("the cluster's endpoint {0:?} is not an https:// URL without a path")]
    Server(String),
    /// The certificate authority is not base64 of PEM.
    #[error("the cluster's certificate authority is not base64 of PEM certificates")]
    CertificateAuthority,
}

/// The Secret that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WantedSecret {
    /// The Secret's name: the one that Argo CD itself would give it, so that `argocd cluster add` finds it.
    pub name: String,
    /// Argo CD's keys that are set, as text.
    pub data: BTreeMap<String, String>,
    /// Labels, Argo CD's own included.
    pub labels: BTreeMap<String, String>,
    /// Annotations, ours included.
    pub annotations: BTreeMap<String, String>,
}

impl WantedSecret {
    /// The cluster that it is to Argo CD.
    #[must_use]
    pub fn target(&self) -> Target {
        let text = |key: &str| self.data.get(key).cloned().unwrap_or_default();
        Target {
            server: text("server"),
            name: text("name"),
            project: Some(text("project")),
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
        }
    }
}

/// `config`, in the order and form of Go's `json.Marshal(ClusterConfig)`, so that a rewrite by Argo CD changes nothing.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClusterConfig<'a> {
    tls_client_config: TlsClientConfig<'a>,
    aws_auth_config: AwsAuthConfig<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TlsClientConfig<'a> {
    insecure: bool,
    ca_data: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AwsAuthConfig<'a> {
    cluster_name: &'a str,
    #[serde(rename = "roleARN")]
    role_arn: &'a str,
}

impl Connection {
    /// The Secret that presents this connection.
    ///
    /// # Errors
    /// When Argo CD could not use it; nothing is written then.
    pub fn present(&self, as_: &Presentation, uid: &str, object: &str) -> Result<WantedSecret, InvalidConnection> {
        let host = self
            .host()
            .ok_or_else(|| InvalidConnection::Server(self.server.clone()))?;
        if !is_pem(&self.certificate_authority) {
            return Err(InvalidConnection::CertificateAuthority);
        }
        let mut data: BTreeMap<String, String> = [
            ("name".to_owned(), as_.name.clone()),
            ("server".to_owned(), self.server.clone()),
            ("config".to_owned(), self.config()),
        ]
        .into();
        let mut set = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                data.insert(key.to_owned(), value);
            }
        };
        set(
            "namespaces",
            (!as_.namespaces.is_empty()).then(|| as_.namespaces.join(",")),
        );
        set("clusterResources", as_.cluster_resources.map(|flag| flag.to_string()));
        set("project", as_.project.clone());
        set("shard", as_.shard.map(|shard| shard.to_string()));
        let mut labels = as_.labels.clone();
        labels.insert(SECRET_TYPE.0.to_owned(), SECRET_TYPE.1.to_owned());
        let mut annotations = as_.annotations.clone();
        annotations.insert(OWNER_ANNOTATION.to_owned(), uid.to_owned());
        annotations.insert(CLUSTER_ANNOTATION.to_owned(), object.to_owned());
        let name = format!(
            "cluster-{}-{}",
            host.to_ascii_lowercase(),
            fnv32a(self.server.as_bytes())
        );
        Ok(WantedSecret {
            name,
            data,
            labels,
            annotations,
        })
    }

    /// The host of `server`, where that is an `https://` URL with nothing behind the host and port.
    fn host(&self) -> Option<&str> {
        let authority = self.server.strip_prefix("https://")?;
        let host = authority.split(':').next()?;
        let plain = authority
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-.:".contains(c));
        (plain && !host.is_empty()).then_some(host)
    }

    fn config(&self) -> String {
        let config = ClusterConfig {
            tls_client_config: TlsClientConfig {
                insecure: false,
                ca_data: &self.certificate_authority,
            },
            aws_auth_config: AwsAuthConfig {
                cluster_name: &self.cluster_name,
                role_arn: &self.role_arn,
            },
        };
        serde_json::to_string(&config)
            .unwrap_or_default()
            .replace('&', "\\u0026")
            .replace('<', "\\u003c")
            .replace('>', "\\u003e")
    }
}

fn is_pem(certificate_authority: &str) -> bool {
    STANDARD
        .decode(certificate_authority)
        .is_ok_and(|pem| pem.windows(27).any(|window| window == b"-----BEGIN CERTIFICATE-----"))
}

/// FNV-1a, 32 bits (Go's `hash/fnv`, `New32a`).
fn fnv32a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::argocd) fn connection() -> Connection {
        Connection {
            server: "https://0123456789ABCDEF0123456789ABCDEF.gr7.eu-west-1.eks.amazonaws.com".into(),
            certificate_authority: STANDARD.encode("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"),
            cluster_name: "prod".into(),
            role_arn: "arn:aws:iam::111122223333:role/argocd-prod".into(),
        }
    }

    pub(in crate::argocd) fn presentation() -> Presentation {
        Presentation {
            name: "prod".into(),
            ..Presentation::default()
        }
    }

    #[test]
    fn fnv32a_agrees_with_its_published_vectors() {
        // draft-eastlake-fnv, appendix C: FNV-1a 32 of "", "a" and "foobar".
        assert_eq!(fnv32a(b""), 0x811c_9dc5);
        assert_eq!(fnv32a(b"a"), 0xe40c_292c);
        assert_eq!(fnv32a(b"foobar"), 0xbf9c_f968);
    }

    #[test]
    fn config_is_byte_for_byte_what_go_marshals() {
        // The order of ClusterConfig's fields, compact, empties left out (types.go; run with Go's encoder).
        let secret = connection().present(&presentation(), "uid", "prod").unwrap();
        let ca = &connection().certificate_authority;
        assert_eq!(
            secret.data["config"],
            format!(
                r#"{{"tlsClientConfig":{{"insecure":false,"caData":"{ca}"}},"awsAuthConfig":{{"clusterName":"prod","roleARN":"arn:aws:iam::111122223333:role/argocd-prod"}}}}"#
            )
        );
        assert_eq!(secret.data.len(), 3);
        assert!(
            secret
                .name
                .starts_with("cluster-0123456789abcdef0123456789abcdef.gr7.eu-west-1.eks.amazonaws.com-")
        );
    }

    #[test]
    fn every_key_is_written_as_argo_cd_parses_it() {
        let presentation = Presentation {
            project: Some("team".into()),
            namespaces: vec!["a".into(), "b".into()],
            cluster_resources: Some(true),
            shard: Some(2),
            ..presentation()
        };
        let data = connection().present(&presentation, "uid", "prod").unwrap().data;
        assert_eq!(data["namespaces"], "a,b");
        assert_eq!(data["clusterResources"], "true");
        assert_eq!(data["shard"], "2");
        assert_eq!(data["project"], "team");
        assert!(data.keys().all(|key| KEYS.contains(&key.as_str())) && data.len() == KEYS.len());
    }

    #[test]
    fn a_connection_that_argo_cd_cannot_use_is_never_written() {
        for server in [
            "",
            "http://x",
            "https://",
            "https://x/",
            "https://x y",
            "arn:aws:eks:eu-west-1:1:cluster/x",
        ] {
            let broken = Connection {
                server: server.into(),
                ..connection()
            };
            assert!(
                matches!(
                    broken.present(&presentation(), "u", "n"),
                    Err(InvalidConnection::Server(_))
                ),
                "{server}"
            );
        }
        for ca in [
            "",
            "-----BEGIN CERTIFICATE-----",
            "not base64 !",
            &STANDARD.encode("hello"),
        ] {
            let broken = Connection {
                certificate_authority: ca.into(),
                ..connection()
            };
            assert_eq!(
                broken.present(&presentation(), "u", "n"),
                Err(InvalidConnection::CertificateAuthority),
                "{ca}"
            );
        }
    }
}
