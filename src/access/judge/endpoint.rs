//! The API server: reached, and with the certificate that the cluster Secret expects.

use super::{failed, passed, unknown};
use crate::{
    access::{
        chain::Found,
        evidence::{Attempt, Evidence, NOT_NEEDED, Unreached, Vantage},
        reason::Reason,
        subject::Subject,
    },
    argocd::fingerprint_of_base64,
    aws::{Look, SpokeCluster},
};

pub(super) fn judge(subject: &Subject, evidence: &Evidence) -> Found {
    let secret = match &evidence.secret {
        Look::Seen(Ok(secret)) => secret,
        // Without a Secret there is nothing to go by; the hop of Argo CD says so.
        Look::Seen(Err(_)) | Look::Absent | Look::Unseen(_) => return Found::NotReached,
    };
    if let Some(differs) = evidence.destination.differs(secret) {
        let (name, namespace) = (&subject.secret, &subject.hub.namespace);
        // The record may be older than the Secret.
        let unread = match &evidence.spoke_documents.cluster {
            Look::Unseen(why) if why != NOT_NEEDED => {
                format!(". What EKS gives for the cluster by now could not be read: {why}")
            }
            Look::Seen(_) | Look::Absent | Look::Unseen(_) => String::new(),
        };
        return failed(
            Reason::DestinationDiffers,
            format!("cluster Secret {name} in namespace {namespace} {differs}; no token is sent there{unread}"),
            format!(
                "{}; if it stays so, somebody else writes it too: kubectl -n {namespace} get secret {name} -o yaml \
                 --show-managed-fields says who",
                subject.mending.will("write it back")
            ),
        );
    }
    let server = evidence.destination.server.as_str();
    let why = match &evidence.endpoint {
        Attempt::NotMade => return Found::NotReached,
        Attempt::Done(status) if *status >= 500 => {
            return failed(
                Reason::ApiServerFailing,
                format!("{server} answers with HTTP {status}"),
                format!(
                    "look at the cluster's health: aws eks describe-cluster --region {} --name {} --query cluster.health",
                    subject.cluster.region, subject.cluster.name
                ),
            );
        }
        Attempt::Done(_) => return passed(format!("{server} answers, with the certificate of the cluster Secret")),
        Attempt::Failed(why) => why,
    };
    match why {
        Unreached::Certificate(why) => untrusted(subject, evidence, why),
        Unreached::Name(why) => unreachable(
            subject,
            evidence,
            Reason::NameNotResolved,
            &format!("the name of {server} does not resolve: {why}"),
        ),
        Unreached::Refused(why) => unreachable(
            subject,
            evidence,
            Reason::ConnectionRefused,
            &format!("{server} refuses the connection: {why}"),
        ),
        Unreached::TimedOut(why) => unreachable(
            subject,
            evidence,
            Reason::ConnectionTimedOut,
            &format!("{server} does not answer in time: {why}"),
        ),
        Unreached::Other(why) => unreachable(
            subject,
            evidence,
            Reason::ConnectionFailed,
            &format!("the connection to {server} breaks off: {why}"),
        ),
    }
}

/// A certificate that is not vouched for: the cluster may have another authority by now than the Secret.
fn untrusted(subject: &Subject, evidence: &Evidence, why: &str) -> Found {
    let server = &evidence.destination.server;
    let said = format!(
        "the certificate of {server} is not one that the cluster Secret's certificate authority vouches for: {why}"
    );
    let proxy = "something between Argo CD and the cluster ends TLS: take the endpoint out of that proxy (NO_PROXY)";
    let rotated = "give the Secret the certificate authority that EKS gives now";
    let (said, next) = match &evidence.spoke_documents.cluster {
        Look::Seen(cluster) => match cluster.certificate_authority.as_deref().and_then(fingerprint_of_base64) {
            Some(now) if now != evidence.destination.certificate_authority => (
                format!("{said}. EKS gives another certificate authority for the cluster by now"),
                subject.mending.will(rotated),
            ),
            Some(_) | None => (
                format!("{said}. It is the one that EKS gives for the cluster"),
                proxy.to_owned(),
            ),
        },
        Look::Absent => (
            format!("{said}. EKS knows no cluster {} any more", subject.cluster),
            gone(subject),
        ),
        Look::Unseen(why) => (
            format!("{said}. What EKS gives for the cluster could not be read: {why}"),
            format!(
                "compare it with aws eks describe-cluster --name {} --region {} --query cluster.certificateAuthority: if it \
                 is another, {}; if it is the same, {proxy}",
                subject.cluster.name,
                subject.cluster.region,
                subject.mending.will(rotated)
            ),
        ),
    };
    failed(Reason::CertificateNotTrusted, said, next)
}

fn gone(subject: &Subject) -> String {
    format!(
        "if the cluster is gone for good, delete ManagedCluster {}",
        subject.name
    )
}

/// A connection that is not made: what EKS says of the endpoint tells more than the socket does.
fn unreachable(subject: &Subject, evidence: &Evidence, reason: Reason, said: &str) -> Found {
    let network = match &evidence.spoke_documents.cluster {
        Look::Seen(cluster) => Some(cluster),
        Look::Absent => {
            return failed(
                reason,
                format!("{said}. EKS knows no cluster {} any more", subject.cluster),
                gone(subject),
            );
        }
        Look::Unseen(_) => None,
    };
    let said = &match &evidence.spoke_documents.cluster {
        Look::Unseen(why) => format!("{said}. What EKS says of the endpoint could not be read: {why}"),
        Look::Seen(_) | Look::Absent => said.to_owned(),
    };
    let elsewhere = network
        .and_then(|cluster| cluster.endpoint.as_deref())
        .map(|endpoint| endpoint.trim_end_matches('/'))
        .filter(|endpoint| *endpoint != evidence.destination.server);
    if let Some(endpoint) = elsewhere {
        return failed(
            reason,
            format!("{said}. EKS gives the endpoint {endpoint} for the cluster by now: it was made again"),
            subject.mending.will("lead the Secret there"),
        );
    }
    // A firewall lets packets fall, and changes nothing about names.
    let silent = reason == Reason::ConnectionTimedOut;
    match network {
        Some(SpokeCluster { public: false, .. }) => unknown(
            Reason::PrivateEndpoint,
            format!("{said}. The endpoint is private"),
            match evidence.vantage {
                Vantage::Hub => {
                    "route the hub's VPC to the cluster's (peering or a transit gateway), let the cluster's security group \
                     take port 443 from the hub, and let the hub resolve the endpoint's name; whether Argo CD gets there by \
                     another way, Argo CD's own connection status says"
                }
                Vantage::Person => "nothing: run this where Argo CD runs, or look at the condition Connected",
            },
        ),
        Some(SpokeCluster { public_cidrs, .. }) if silent && !open_to_all(public_cidrs) => {
            let message = format!("{said}. The endpoint is public to {} only", public_cidrs.join(", "));
            let next = format!(
                "add the address by which the hub reaches the internet (its NAT gateway's) to the cluster's \
                 publicAccessCidrs, a list that is replaced whole: in account {}, aws eks update-cluster-config --name {} \
                 --region {} --resources-vpc-config publicAccessCidrs={},ADDRESS/32",
                subject.cluster.account,
                subject.cluster.name,
                subject.cluster.region,
                public_cidrs.join(",")
            );
            match evidence.vantage {
                Vantage::Hub => failed(Reason::PublicAccessLeavesHubOut, message, next),
                Vantage::Person => unknown(Reason::PublicAccessLeavesHubOut, message, next),
            }
        }
        Some(_) | None => {
            let read = network.is_some();
            let next = format!(
                "check from a pod of Argo CD that the endpoint can be reached (name resolution, routes, HTTPS_PROXY and \
                 NO_PROXY, network policies), and whether the cluster's endpoint is private or held to some networks: aws eks \
                 describe-cluster --name {} --region {} --query cluster.resourcesVpcConfig",
                subject.cluster.name, subject.cluster.region
            );
            // What a person's machine cannot reach proves nothing about the hub; nor does what the hub cannot reach, where
            // nobody knows whether the endpoint is private.
            match evidence.vantage {
                Vantage::Hub if read => failed(reason, said, next),
                Vantage::Hub | Vantage::Person => unknown(reason, said, next),
            }
        }
    }
}

fn open_to_all(cidrs: &[String]) -> bool {
    cidrs.is_empty() || cidrs.iter().any(|cidr| cidr == "0.0.0.0/0")
}
