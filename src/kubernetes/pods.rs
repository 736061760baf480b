//! What a pod was given of AWS by the pod identity webhook of EKS. Pure.
//!
//! The webhook acts when a pod is made, and never later. Where a service account has both an EKS Pod Identity association
//! and the annotation of IRSA, the association goes before, and the annotation gives nothing. A container that sets the
//! variables of its way itself keeps them, and one that the pod's annotation `eks.amazonaws.com/skip-containers` names is
//! given nothing (aws/amazon-eks-pod-identity-webhook, `pkg/handler/handler.go`: `buildPodPatchConfig`,
//! `addEnvToContainer`, `getContainersToSkip`).
//!
//! Which container of a pod is Argo CD's own does not show, so that all of them are read together: a sidecar with a role
//! of its own decides nothing. A role that only a sidecar has is taken for the pod's.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;

/// The annotation by which the webhook gives the pods of a service account a role (EKS user guide, "Assign IAM roles to
/// Kubernetes service accounts").
pub const ROLE_ANNOTATION: &str = "eks.amazonaws.com/role-arn";

/// The variable that names the role of a web identity.
const ROLE_VARIABLE: &str = "AWS_ROLE_ARN";

/// The variable that leads to the agent of EKS Pod Identity (EKS user guide, "Understand how EKS Pod Identity works").
const CREDENTIALS_VARIABLE: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";

/// What the containers of a pod were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// The roles that they name.
    roles: BTreeSet<String>,
    /// Whether one of them is led to the agent of EKS Pod Identity.
    pod_identity: bool,
}

/// How a pod gets its AWS credentials, as far as one role is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodBinding {
    /// By a web identity: a container names the role.
    Role,
    /// By EKS Pod Identity. Which role that gives is known to EKS alone.
    PodIdentity,
    /// Its containers name other roles than that, and none is led to EKS Pod Identity.
    Others(BTreeSet<String>),
    /// It was given nothing: the SDK falls back to the node's role.
    Nothing,
}

impl PodBinding {
    /// Whether the pod may have the role: by a web identity or by EKS Pod Identity.
    #[must_use]
    pub fn may_have_role(&self) -> bool {
        match self {
            Self::Role | Self::PodIdentity => true,
            Self::Others(_) | Self::Nothing => false,
        }
    }
}

impl Given {
    /// Reads a pod. Init containers are over when Argo CD runs, and say nothing.
    #[must_use]
    pub fn of(pod: &Pod) -> Self {
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        let mut given = Self::default();
        for variable in containers.flat_map(|container| container.env.iter().flatten()) {
            let value = variable.value.as_deref().unwrap_or_default();
            match variable.name.as_str() {
                _ if value.is_empty() => {}
                ROLE_VARIABLE => {
                    given.roles.insert(value.to_owned());
                }
                CREDENTIALS_VARIABLE => given.pod_identity = true,
                _ => {}
            }
        }
        given
    }

    /// How the pod gets its credentials, as far as `role` is concerned.
    #[must_use]
    pub fn binding(&self, role: &str) -> PodBinding {
        if self.roles.contains(role) {
            PodBinding::Role
        } else if self.pod_identity {
            PodBinding::PodIdentity
        } else if self.roles.is_empty() {
            PodBinding::Nothing
        } else {
            PodBinding::Others(self.roles.clone())
        }
    }
}

/// Whether a pod runs, or is about to: it has not ended, and is not ending.
#[must_use]
pub fn runs(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Succeeded" | "Failed"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ROLE: &str = "arn:aws:iam::111111111111:role/management";
    const OTHER: &str = "arn:aws:iam::111111111111:role/metrics";

    fn pod(containers: &Value, status: &Value) -> Pod {
        let spec = json!({"containers": containers});
        serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec, "status": status})).unwrap()
    }

    fn role(arn: &str) -> Value {
        json!([{"name": "AWS_ROLE_ARN", "value": arn}, {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "f"}])
    }

    fn agent() -> Value {
        json!([{"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "http://169.254.170.23/v1/credentials"}])
    }

    /// Containers in either order: none of them is known to be Argo CD's.
    #[test]
    fn the_containers_of_a_pod_are_read_together_whichever_comes_first() {
        let others = |roles: &[&str]| PodBinding::Others(roles.iter().map(|role| (*role).to_owned()).collect());
        for (one, two, binding) in [
            (role(ROLE), role(ROLE), PodBinding::Role),
            // A sidecar with a role of its own, and one that is skipped.
            (role(OTHER), role(ROLE), PodBinding::Role),
            (json!([]), role(ROLE), PodBinding::Role),
            // One that names the role itself beside an association.
            (agent(), role(ROLE), PodBinding::Role),
            (agent(), agent(), PodBinding::PodIdentity),
            (role(OTHER), agent(), PodBinding::PodIdentity),
            (json!([]), agent(), PodBinding::PodIdentity),
            (role(OTHER), json!([]), others(&[OTHER])),
            (role(OTHER), role("arn:x"), others(&[OTHER, "arn:x"])),
            (json!([]), json!([]), PodBinding::Nothing),
        ] {
            for (first, second) in [(&one, &two), (&two, &one)] {
                let containers = json!([{"name": "a", "env": first}, {"name": "b", "env": second}]);
                let given = Given::of(&pod(&containers, &json!({})));
                assert_eq!(given.binding(ROLE), binding, "{containers}");
            }
        }
    }

    #[test]
    fn a_container_without_variables_or_with_empty_ones_was_given_nothing() {
        let from = json!([{"name": "AWS_ROLE_ARN", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]);
        for env in [json!(null), role(""), from] {
            let given = Given::of(&pod(&json!([{"name": "a", "env": env}]), &json!({})));
            assert_eq!(given.binding(ROLE), PodBinding::Nothing, "{env}");
        }
    }

    #[test]
    fn a_pod_that_has_ended_or_is_going_does_not_run() {
        let of = |phase: &str| pod(&json!([]), &json!({"phase": phase}));
        assert!(runs(&of("Running")) && runs(&of("Pending")) && runs(&pod(&json!([]), &json!({}))));
        assert!(!runs(&of("Succeeded")) && !runs(&of("Failed")));
        let mut going = of("Running");
        going.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        assert!(!runs(&going));
    }
}
