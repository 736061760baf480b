//! The EKS token: does the API server know who asks?
//!
//! A 401 says no more than that. What maps the role is in EKS: the authentication mode, the access entry, and the role
//! that the entry was made for, whose unique ID EKS keeps and does not show (EKS API, `AccessEntry.principalArn`).

use super::{failed, passed};
use crate::{
    access::{
        chain::{Found, Trouble},
        evidence::{Attempt, Evidence},
        reason::Reason,
        subject::Subject,
    },
    api::condition::ConditionType,
    aws::{Look, SpokeEntry},
    domain::{
        commands::{OPERATOR_PODS, let_take_access_entries},
        eks::AuthenticationMode,
        ownership::ROLE_ID_TAG,
    },
};

/// The longest token that the authenticator of an EKS cluster takes, in characters (aws-iam-authenticator,
/// `maxTokenLenBytes`).
const LONGEST_TOKEN: usize = 4096;

pub(super) fn judge(subject: &Subject, evidence: &Evidence) -> Found {
    let (Some(length), Attempt::Done(status)) = (evidence.token_length, &evidence.endpoint) else {
        return Found::NotReached;
    };
    match status {
        401 if subject.suspended => failed(
            Reason::Suspended,
            format!(
                "the API server of {} does not know sessions of {} (HTTP 401), since spec.mode is Suspended",
                subject.cluster, subject.deployer
            ),
            if subject.mending.is_going() {
                "nothing: it is being removed, and a removal gives no access back"
            } else {
                "nothing, while the suspension is meant; spec.mode: Enforce gives the access back"
            },
        ),
        401 => refused(subject, evidence, length),
        500.. => Found::NotReached,
        _ if subject.suspended => let_in(subject, evidence),
        _ => passed(format!("known as a session of {}", subject.deployer)),
    }
}

/// Access was taken away, and the API server still knows who asks.
fn let_in(subject: &Subject, evidence: &Evidence) -> Found {
    let (cluster, deployer) = (&subject.cluster, &subject.deployer);
    let said = format!("spec.mode is Suspended, and the API server of {cluster} still knows sessions of {deployer}");
    let told = subject.told(ConditionType::AccessEntryReady).map_or_else(
        || format!("The operator has not said why: see that it runs (`{OPERATOR_PODS}`)"),
        |told| format!("The operator says {told}"),
    );
    if matches!(evidence.spoke_documents.entry, Look::Seen(_)) {
        let next = format!("see why it was not deleted: kubectl describe mgc {}", subject.name);
        return failed(
            Reason::AccessStands,
            format!("{said}: its access entry is there. {told}"),
            next,
        );
    }
    if let Look::Seen(seen) = &evidence.spoke_documents.cluster
        && seen.authentication_mode == AuthenticationMode::Api
    {
        return failed(
            Reason::AccessStands,
            format!(
                "{said}, though its access entry is gone, as far as can be seen, and nothing else lets anybody in (authentication \
                 mode API): the API server has not heard of it yet"
            ),
            "look again in a minute",
        );
    }
    failed(
        Reason::ResidualAccess,
        format!(
            "{said}, though its access entry is gone, as far as can be seen: either the API server has not heard of it yet, or a \
             mapping in ConfigMap aws-auth lets it in"
        ),
        format!(
            "if the entry was deleted less than a minute ago, look again. Otherwise take out what lets the role in there, in \
             mapRoles or mapAccounts (kubectl -n kube-system edit configmap aws-auth, on {}). Where all else that ConfigMap \
             lets in, nodes included, has an access entry by now, its mappings can be ended for good, which cannot be undone: \
             in account {}, aws eks update-cluster-config --name {} --region {} --access-config authenticationMode=API",
            cluster.name, cluster.account, cluster.name, cluster.region
        ),
    )
}

fn refused(subject: &Subject, evidence: &Evidence, length: usize) -> Found {
    let cluster = &subject.cluster;
    let said = format!(
        "the API server of {cluster} does not know sessions of {} (HTTP 401)",
        subject.deployer
    );
    let documents = &evidence.spoke_documents;
    if length > LONGEST_TOKEN {
        return failed(
            Reason::TokenTooLarge,
            format!("{said}. The EKS token has {length} characters, and the cluster takes {LONGEST_TOKEN}"),
            "make the session smaller: set disableSessionTags on the EKS Pod Identity association, or use IRSA",
        );
    }
    if let Look::Seen(seen) = &documents.cluster
        && seen.authentication_mode == AuthenticationMode::ConfigMap
    {
        return failed(
            Reason::AuthenticationModeConfigMap,
            format!("{said}. The cluster's authentication mode is CONFIG_MAP, so it takes no access entries"),
            format!(
                "{} (there is no way back, so Mooring does not do it)",
                let_take_access_entries(&cluster.region, &cluster.name)
            ),
        );
    }
    match &documents.entry {
        Look::Absent => failed(
            Reason::NoAccessEntry,
            format!("{said}. There is no access entry for it"),
            subject.mending.undone("deleted it", "make it again"),
        ),
        Look::Seen(entry) => match stale(subject, evidence, entry) {
            Some(why) => failed(
                Reason::StalePrincipal,
                format!("{said}. {why}: an entry holds for the role that was there when it was made, not for its name"),
                subject.mending.will("delete the entry and make it anew"),
            ),
            // A cluster that has an access entry takes them: there is no way back to CONFIG_MAP (EKS user guide, "Grant IAM
            // users access to Kubernetes with EKS access entries").
            None => failed(
                Reason::Unauthorized,
                format!("{said}, although its access entry is there"),
                format!(
                    "wait a minute if the entry was made just now; otherwise look into the cluster's authenticator log, which says \
                     why (aws eks update-cluster-config --region {} --name {} --logging \
                     '{{\"clusterLogging\":[{{\"types\":[\"authenticator\"],\"enabled\":true}}]}}' writes one)",
                    cluster.region, cluster.name
                ),
            ),
        },
        Look::Unseen(why) => {
            let mut candidates = vec![Reason::NoAccessEntry, Reason::StalePrincipal];
            if matches!(documents.cluster, Look::Unseen(_)) {
                candidates.push(Reason::AuthenticationModeConfigMap);
            }
            let mut next = format!(
                "look at the entry: aws eks describe-access-entry --cluster-name {} --region {} --principal-arn {} (it \
                 could not be read from here: {why})",
                cluster.name, cluster.region, subject.deployer
            );
            if let Some(told) = subject.told(ConditionType::AccessEntryReady) {
                next.push_str(". The operator says ");
                next.push_str(told);
            }
            Found::Failed(Trouble {
                candidates,
                ..Trouble::new(Reason::Undetermined, said, next)
            })
        }
    }
}

/// Why the entry cannot be for the role that is there now, if it cannot.
fn stale(subject: &Subject, evidence: &Evidence, entry: &SpokeEntry) -> Option<String> {
    let (id, made) = match &evidence.spoke_documents.role {
        Look::Seen(role) => (Some(role.id.as_str()), role.created),
        Look::Absent | Look::Unseen(_) => (subject.deployer_id.as_deref(), None),
    };
    let tag = entry.tags.get(ROLE_ID_TAG);
    if let (Some(id), Some(tag)) = (id, tag)
        && id != tag
    {
        return Some(format!(
            "Its access entry was made for role ID {tag}, and the role is {id} now"
        ));
    }
    // An entry can only be made for a role that exists.
    let (Some(role), Some(entry)) = (made, entry.created) else {
        return None;
    };
    (role > entry).then(|| "Its access entry is older than the role".to_owned())
}
