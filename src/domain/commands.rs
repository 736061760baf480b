//! The commands that more than one message prints for people to run.

use std::fmt::Display;

use super::ownership::{ADOPT_TAG, ADOPTED_TAG, HOLD_TAG, HUB_TAG, OBJECT_TAG, UID_TAG};

/// Shows the operator's pods, in whatever namespace they are: by the label that `deploy/install` gives them.
pub const OPERATOR_PODS: &str = "kubectl get pods -A -l app.kubernetes.io/name=mooring";

/// Shows the operator's Deployments, wherever they are.
pub const OPERATOR_DEPLOYMENTS: &str = "kubectl get deployments -A -l app.kubernetes.io/name=mooring";

/// Has the removal of a `ManagedCluster` treat those who use the cluster as `policy` says, a value of
/// `spec.deletion.whileInUse`.
#[must_use]
pub fn while_in_use(object: impl Display, policy: &str) -> String {
    format!(r#"kubectl patch mgc {object} --type merge -p '{{"spec":{{"deletion":{{"whileInUse":"{policy}"}}}}}}'"#)
}

/// Has Mooring write for a `ManagedCluster` again, and give the access that was taken away.
#[must_use]
pub fn enforce(object: impl Display) -> String {
    format!(r#"kubectl patch {object} --type merge -p '{{"spec":{{"mode":"Enforce"}}}}'"#)
}

/// Has Mooring take the access of a `ManagedCluster` away.
#[must_use]
pub fn suspend(object: impl Display) -> String {
    format!(r#"kubectl patch mgc {object} --type merge -p '{{"spec":{{"mode":"Suspended"}}}}'"#)
}

/// Has the removal of a `ManagedCluster` delete its deployer role.
#[must_use]
pub fn delete_role_too(object: impl Display) -> String {
    format!(r#"kubectl patch mgc {object} --type merge -p '{{"spec":{{"deletion":{{"policy":"Delete"}}}}}}'"#)
}

/// Has a `ManagedCluster` take over what stands already.
#[must_use]
pub fn adopt_existing(object: impl Display) -> String {
    format!(r#"kubectl patch mgc {object} --type merge -p '{{"spec":{{"adoptExisting":true}}}}'"#)
}

/// Deletes an Application of Argo CD, by `NAMESPACE/NAME`. Other kinds are named `Application` too.
#[must_use]
pub fn delete_application(id: &str) -> String {
    format!("kubectl delete applications.argoproj.io {}", placed(id))
}

/// Takes the finalizers off an Application of Argo CD, by `NAMESPACE/NAME`: its deletion then leaves what it deployed.
#[must_use]
pub fn free_application(id: &str) -> String {
    without_finalizers(format_args!("applications.argoproj.io {}", placed(id)))
}

/// The arguments that name a thing in a namespace, by `NAMESPACE/NAME`.
fn placed(id: &str) -> String {
    id.split_once('/')
        .map_or_else(|| id.to_owned(), |(namespace, name)| format!("-n {namespace} {name}"))
}

/// Takes every finalizer off a Secret.
#[must_use]
pub fn free_secret(namespace: impl Display, name: impl Display) -> String {
    without_finalizers(format_args!("secret -n {namespace} {name}"))
}

/// Takes every finalizer off a `ManagementRole`: it goes, and nothing is taken away for it.
#[must_use]
pub fn free_management_role(name: impl Display) -> String {
    without_finalizers(format_args!("mgr {name}"))
}

/// Takes every finalizer off a `ManagedCluster`: it goes, and nothing is taken away for it.
#[must_use]
pub fn free_managed_cluster(name: impl Display) -> String {
    without_finalizers(format_args!("mgc {name}"))
}

fn without_finalizers(what: impl Display) -> String {
    format!(r#"kubectl patch {what} --type merge -p '{{"metadata":{{"finalizers":null}}}}'"#)
}

/// Sets how many pods of Argo CD's ApplicationSet controller run. It bears this label in Argo CD's own manifests and in
/// its Helm chart, which names it otherwise.
#[must_use]
pub fn scale_application_sets(namespace: impl Display, replicas: u8) -> String {
    format!(
        "kubectl scale deployment -n {namespace} -l app.kubernetes.io/name=argocd-applicationset-controller --replicas={replicas}"
    )
}

/// Lets a cluster take access entries.
#[must_use]
pub fn let_take_access_entries(region: impl Display, cluster: impl Display) -> String {
    format!(
        "aws eks update-cluster-config --region {region} --name {cluster} --access-config authenticationMode=API_AND_CONFIG_MAP"
    )
}

/// Deletes the access entry of a principal.
#[must_use]
pub fn delete_access_entry(region: impl Display, cluster: impl Display, principal: impl Display) -> String {
    format!("aws eks delete-access-entry --region {region} --cluster-name {cluster} --principal-arn {principal}")
}

/// Opens a role to a hub, for its owner.
#[must_use]
pub fn open_role(name: impl Display, hub: impl Display) -> String {
    format!("aws iam tag-role --role-name {name} --tags Key={ADOPT_TAG},Value={hub}")
}

/// Opens an access entry, by its ARN, to a hub, for its owner.
#[must_use]
pub fn open_access_entry(region: impl Display, arn: impl Display, hub: impl Display) -> String {
    format!("aws eks tag-resource --region {region} --resource-arn {arn} --tags {ADOPT_TAG}={hub}")
}

/// Takes off a role what Mooring leaves on it with the role: its boundary, and our tags.
#[must_use]
pub fn free_role(name: impl Display) -> String {
    let tags = [HUB_TAG, UID_TAG, OBJECT_TAG, ADOPTED_TAG, ADOPT_TAG].join(" ");
    format!(
        "aws iam delete-role-permissions-boundary --role-name {name} && aws iam untag-role --role-name {name} --tag-keys {tags}"
    )
}

/// Takes the tag that holds it off an access entry, by its ARN.
#[must_use]
pub fn let_go_of_access_entry(region: impl Display, arn: impl Display) -> String {
    format!("aws eks untag-resource --region {region} --resource-arn {arn} --tag-keys {HOLD_TAG}")
}
