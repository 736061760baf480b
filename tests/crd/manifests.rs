//! Manifests in which every field of a spec is set, and the means to change one.

use serde_json::{Value, json};

/// One of the two kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    ManagementRole,
    ManagedCluster,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::ManagementRole, Self::ManagedCluster];

    /// Where the API server keeps them.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::ManagementRole => "/apis/mooring.dev/v1alpha1/managementroles",
            Self::ManagedCluster => "/apis/mooring.dev/v1alpha1/managedclusters",
        }
    }

    /// The definition, as it is shipped.
    pub(crate) fn definition(self) -> Value {
        let yaml = match self {
            Self::ManagementRole => mooring::commands::crd::management_roles(),
            Self::ManagedCluster => mooring::commands::crd::managed_clusters(),
        };
        serde_saphyr::from_str(&yaml).unwrap()
    }

    /// The schema of the only version.
    pub(crate) fn schema(self) -> Value {
        self.definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
    }

    /// Nothing that could be left out.
    pub(crate) fn smallest(self) -> Value {
        let spec = match self {
            Self::ManagementRole => json!({
                "cluster": {"name": "hub", "region": "eu-west-1"},
                "allow": [{"accounts": ["*"]}],
            }),
            Self::ManagedCluster => json!({
                "accountId": "222222222222",
                "region": "eu-west-1",
                "access": {"kubernetesGroups": ["deployers"]},
            }),
        };
        self.manifest(&spec)
    }

    /// Between them, every field of the spec.
    pub(crate) fn full(self) -> Vec<Value> {
        let specs = match self {
            Self::ManagementRole => {
                let spec = json!({
                    "cluster": {"name": "hub", "region": "eu-west-1"},
                    "argocdNamespace": "argocd",
                    "identity": {"type": "IRSA"},
                    "serviceAccounts": ["argocd-server"],
                    "bindServiceAccounts": false,
                    "restartWorkloads": true,
                    "oidcProvider": "Manage",
                    "role": {"name": "argocd", "permissionsBoundary": "mooring-management", "tags": {"team": "platform"}},
                    "assumePolicy": "PerAccount",
                    "provisioner": {"roleName": "mooring-provisioner", "readerRoleName": "mooring-reader", "externalId": "a-secret-word"},
                    "allow": [{
                        "accounts": ["222222222222"],
                        "regions": ["eu-*"],
                        "clusters": ["prod-*"],
                        "accessPolicies": [{"name": "AmazonEKSViewPolicy", "scope": "Cluster"}],
                        "kubernetesGroups": ["team-*"],
                        "projects": ["team-*"],
                        "deployerRoles": ["arn:aws:iam::*:role/argocd-*"],
                    }],
                });
                let existing = json!({
                    "identity": {"type": "Existing", "roleArn": "arn:aws:iam::111111111111:role/argocd"},
                    "role": null,
                });
                vec![spec.clone(), merged(&spec, &existing)]
            }
            Self::ManagedCluster => {
                let spec = json!({
                "accountId": "222222222222",
                "region": "eu-west-1",
                "clusterName": "prod",
                "managementRole": "default",
                "access": {
                    "policies": [{"name": "AmazonEKSViewPolicy", "namespaces": ["team-a"]}],
                    "kubernetesGroups": ["deployers"],
                    "deployerRole": {
                        "type": "Managed",
                        "name": "argocd-deployer",
                        "permissionsBoundary": "arn:aws:iam::222222222222:policy/limit",
                        "tags": {"team": "platform"},
                    },
                },
                "argocd": {
                    "name": "prod",
                    "project": "team-a",
                    "labels": {"env": "prod"},
                    "annotations": {"example.com/vpc-id": "vpc-1"},
                    "namespaces": ["team-a"],
                    "clusterResources": true,
                    "shard": 1,
                },
                "mode": "Observe",
                "adoptExisting": true,
                "deletion": {"policy": "Retain", "whileInUse": "Drain"},
                });
                let arn = "arn:aws:iam::222222222222:role/argocd";
                let existing = json!({"access": {"deployerRole": {
                    "type": "Existing", "arn": arn, "name": null, "permissionsBoundary": null,
                }}});
                vec![spec.clone(), merged(&spec, &existing)]
            }
        };
        specs.iter().map(|spec| self.manifest(spec)).collect()
    }

    fn manifest(self, spec: &Value) -> Value {
        json!({
            "apiVersion": "mooring.dev/v1alpha1",
            "kind": format!("{self:?}"),
            "metadata": {"name": "example"},
            "spec": spec,
        })
    }
}

/// A JSON merge patch (RFC 7386): null takes a field away.
pub(crate) fn merged(target: &Value, patch: &Value) -> Value {
    let Value::Object(fields) = patch else {
        return patch.clone();
    };
    let mut result = target.as_object().cloned().unwrap_or_default();
    for (name, change) in fields {
        if change.is_null() {
            result.remove(name);
        } else {
            let before = result.get(name).unwrap_or(&Value::Null);
            result.insert(name.clone(), merged(before, change));
        }
    }
    Value::Object(result)
}

/// The place of a path such as `spec.allow[].accounts` in an object, each list by its first item.
pub(crate) fn pointer(path: &str) -> String {
    let steps = path.replace("[]", ".0");
    steps
        .split('.')
        .fold(String::new(), |pointer, step| pointer + "/" + step)
}

/// The object with this value there, parents included that are not there; null stays null.
pub(crate) fn with(object: &Value, path: &str, value: Value) -> Value {
    let mut object = object.clone();
    let mut place = &mut object;
    for step in pointer(path).split('/').skip(1) {
        place = match step.parse::<usize>() {
            Ok(index) => &mut place[index],
            Err(_) => &mut place[step],
        };
    }
    *place = value;
    object
}

/// The object without the field; `None` if it is not there.
pub(crate) fn without(object: &Value, path: &str) -> Option<Value> {
    let mut object = object.clone();
    let at = pointer(path);
    let (parent, field) = at.rsplit_once('/')?;
    object.pointer_mut(parent)?.as_object_mut()?.remove(field)?;
    Some(object)
}
