//! Where a token may be sent: to the API server that EKS gives for the cluster, and nowhere else. Pure.
//!
//! Whoever may edit the cluster Secret would otherwise be handed the cluster: by another server, or by another
//! certificate authority and a name server or router that is theirs.

use crate::{
    argocd::{SeenCluster, fingerprint, fingerprint_of_base64},
    aws::SpokeCluster,
};

/// The API server of a cluster, as EKS gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Its URL, without slashes at its end.
    pub server: String,
    /// The fingerprint of the certificate authority that vouches for it.
    pub certificate_authority: String,
}

impl Destination {
    /// The one that EKS gives; `None` while it gives none.
    #[must_use]
    pub fn of(cluster: &SpokeCluster) -> Option<Self> {
        let server = cluster.endpoint.as_deref()?.trim_end_matches('/').to_owned();
        let certificate_authority = fingerprint_of_base64(cluster.certificate_authority.as_deref()?)?;
        Some(Self {
            server,
            certificate_authority,
        })
    }

    /// What of a cluster Secret leads elsewhere, as the end of a sentence about it; `None` where it leads here.
    #[must_use]
    pub fn differs(&self, secret: &SeenCluster) -> Option<String> {
        let server = &self.server;
        if secret.server.as_str() != server {
            return Some(format!(
                "leads to {}, and the cluster's endpoint is {server}",
                secret.server
            ));
        }
        let why = if secret.insecure {
            "does not have the certificate checked"
        } else if !secret.server_name.is_empty() {
            "has the certificate checked for another name than the endpoint's"
        } else if secret.proxied {
            "sends Argo CD by a proxy of its own (proxyUrl)"
        } else if secret.certificate_authority.is_empty() {
            "names no certificate authority, so that any that the pod trusts would do"
        } else if fingerprint(&secret.certificate_authority) != self.certificate_authority {
            "has the certificate checked against another certificate authority than the one that EKS gives for the cluster"
        } else {
            return None;
        };
        Some(why.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::argocd::Server;

    #[test]
    fn only_the_clusters_own_endpoint_behind_its_own_certificate_authority_is_the_destination() {
        let destination = Destination {
            server: "https://own.example".into(),
            certificate_authority: fingerprint(b"PEM"),
        };
        let own = SeenCluster {
            server: Server::new("https://own.example/"),
            certificate_authority: b"PEM".to_vec(),
            ..SeenCluster::default()
        };
        assert_eq!(destination.differs(&own), None);
        for (change, says) in [
            (
                (|seen| seen.server = Server::new("https://u:hunter2@elsewhere.example")) as fn(&mut SeenCluster),
                "leads to https://<not shown>@elsewhere.example",
            ),
            (|seen| seen.insecure = true, "checked"),
            (|seen| seen.server_name = "elsewhere.example".into(), "another name"),
            (|seen| seen.proxied = true, "proxy"),
            (|seen| seen.certificate_authority.clear(), "no certificate authority"),
            (
                |seen| seen.certificate_authority = b"PEM of another".to_vec(),
                "another certificate authority",
            ),
            // One more that would vouch too.
            (
                |seen| seen.certificate_authority.extend(b"PEM of another"),
                "another certificate authority",
            ),
        ] {
            let mut seen = own.clone();
            change(&mut seen);
            let why = destination.differs(&seen).unwrap();
            assert!(why.contains(says) && !why.contains("hunter2"), "{why}");
        }
    }
}
