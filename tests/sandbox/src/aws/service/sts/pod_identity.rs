//! What EKS Pod Identity does when a pod asks its agent for credentials (EKS user guide, `pod-id-how-it-works`,
//! `pod-id-abac`, `pod-id-role`).

use std::collections::BTreeMap;

use crate::aws::authz::{Context, Decision, Principal, access_denied, trust_only};
use crate::aws::contract::{ApiError, Check, Service};
use crate::aws::world::{Credentials, NewSession, State};

const SERVICE: &str = "pods.eks.amazonaws.com";
/// Pod Identity's credentials last six hours.
const SECONDS: i64 = 21_600;

/// The pod that asks.
#[derive(Debug)]
pub(in crate::aws) struct Pod<'a> {
    pub(in crate::aws) cluster_arn: &'a str,
    pub(in crate::aws) namespace: &'a str,
    pub(in crate::aws) service_account: &'a str,
    pub(in crate::aws) name: &'a str,
}

/// Opens a session of a role for a pod.
pub(in crate::aws) fn assume_for_pod(
    state: &mut State,
    role_arn: &str,
    pod: &Pod<'_>,
) -> Result<Credentials, ApiError> {
    let cluster = pod.cluster_arn.rsplit('/').next().unwrap_or_default();
    let uid = uid();
    let tags: BTreeMap<String, String> = [
        ("eks-cluster-arn", pod.cluster_arn),
        ("eks-cluster-name", cluster),
        ("kubernetes-namespace", pod.namespace),
        ("kubernetes-service-account", pod.service_account),
        ("kubernetes-pod-name", pod.name),
        ("kubernetes-pod-uid", &uid),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect();
    let keys: Vec<String> = tags.keys().cloned().collect();
    let mut context: BTreeMap<String, Vec<String>> = tags
        .iter()
        .map(|(key, value)| (format!("aws:RequestTag/{key}"), vec![value.clone()]))
        .collect();
    context.insert("aws:TagKeys".to_owned(), keys.clone());
    context.insert("sts:TransitiveTagKeys".to_owned(), keys.clone());
    context.insert("aws:SourceArn".to_owned(), vec![pod.cluster_arn.to_owned()]);
    let account = pod.cluster_arn.split(':').nth(4).unwrap_or_default();
    context.insert("aws:SourceAccount".to_owned(), vec![account.to_owned()]);
    context.insert("aws:PrincipalIsAWSService".to_owned(), vec!["true".to_owned()]);
    context.insert("aws:PrincipalServiceName".to_owned(), vec![SERVICE.to_owned()]);

    let role = state.role_by_arn(role_arn);
    for action in ["sts:AssumeRole", "sts:TagSession"] {
        let check = Check {
            action,
            resource: role_arn.to_owned(),
            context: context.clone(),
        };
        let mut keys = Context::new(&check, None);
        state.add_clock(&mut keys);
        let decision = role
            .as_ref()
            .map(|role| trust_only(&role.trust.document, Principal::Service(SERVICE), &keys));
        let denial = match decision {
            Some(Decision::Allowed) => continue,
            Some(Decision::Denied(denial)) => Some(denial),
            None => None,
        };
        return Err(access_denied(Service::Sts, SERVICE, &check, denial));
    }
    let role = role.ok_or_else(|| crate::aws::service::no_role(role_arn))?;
    let session: String = format!("eks-{cluster}-{}-{}", pod.name, &uid[..8])
        .chars()
        .take(64)
        .collect();
    let new = NewSession {
        seconds: SECONDS,
        tags,
        transitive: keys,
        ..NewSession::named(&session)
    };
    Ok(state.open_session(&role, new))
}

fn uid() -> String {
    let id = fastrand::u128(..);
    let hex = format!("{id:032x}");
    format!(
        "{}-{}-4{}-a{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..]
    )
}
