//! The rules of the access policies for people and programs, as the EKS user guide's "Review access policy permissions"
//! has them (2026). That page lists each policy in full; here `AmazonEKSEditPolicy` is what `AmazonEKSViewPolicy` has
//! and more, and `AmazonEKSAdminPolicy` is that and more, which is the same.
//!
//! Abridged: the policies for EKS's own components (`AmazonEKSAutoNodePolicy`, `AmazonEKSNetworkingPolicy`, ...) and the
//! newer ones for single purposes allow nothing here.

/// What is allowed: any of the verbs on any of the resources in any of the API groups. `*` is everything, subresources
/// included; the core group is `""`.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) groups: &'static [&'static str],
    pub(super) resources: &'static [&'static str],
    pub(super) verbs: &'static [&'static str],
}

/// An access policy.
#[derive(Debug)]
pub(super) struct Policy {
    name: &'static str,
    rules: &'static [&'static [Rule]],
    /// Whether it allows every verb on every path that is no resource.
    pub(super) every_path: bool,
}

impl Policy {
    /// The policy of an ARN: `arn:PARTITION:eks::aws:cluster-access-policy/NAME`.
    pub(super) fn of_arn(arn: &str) -> Option<&'static Self> {
        let (_, name) = arn.split_once(":cluster-access-policy/")?;
        POLICIES.iter().find(|policy| policy.name == name)
    }

    /// All of its rules.
    pub(super) fn rules(&self) -> impl Iterator<Item = &'static Rule> {
        self.rules.iter().copied().flatten()
    }
}

const fn policy(name: &'static str, rules: &'static [&'static [Rule]]) -> Policy {
    Policy {
        name,
        rules,
        every_path: false,
    }
}

const POLICIES: &[Policy] = &[
    Policy {
        name: "AmazonEKSClusterAdminPolicy",
        rules: &[&[rule(ALL, ALL, ALL)]],
        every_path: true,
    },
    policy("AmazonEKSAdminPolicy", &[VIEW, EDIT, ADMIN]),
    policy("AmazonEKSEditPolicy", &[VIEW, EDIT]),
    policy("AmazonEKSViewPolicy", &[VIEW]),
    policy("AmazonEKSAdminViewPolicy", &[&[rule(ALL, ALL, READ)]]),
];

const fn rule(
    groups: &'static [&'static str],
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
) -> Rule {
    Rule {
        groups,
        resources,
        verbs,
    }
}

const ALL: &[&str] = &["*"];
const CORE: &[&str] = &[""];
const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];

const VIEW: &[Rule] = &[
    rule(
        &["apps"],
        &[
            "controllerrevisions",
            "daemonsets",
            "daemonsets/status",
            "deployments",
            "deployments/scale",
            "deployments/status",
            "replicasets",
            "replicasets/scale",
            "replicasets/status",
            "statefulsets",
            "statefulsets/scale",
            "statefulsets/status",
        ],
        READ,
    ),
    rule(
        &["autoscaling"],
        &["horizontalpodautoscalers", "horizontalpodautoscalers/status"],
        READ,
    ),
    rule(
        &["batch"],
        &["cronjobs", "cronjobs/status", "jobs", "jobs/status"],
        READ,
    ),
    rule(&["discovery.k8s.io"], &["endpointslices"], READ),
    rule(
        &["extensions"],
        &[
            "daemonsets",
            "daemonsets/status",
            "deployments",
            "deployments/scale",
            "deployments/status",
            "ingresses",
            "ingresses/status",
            "networkpolicies",
            "replicasets",
            "replicasets/scale",
            "replicasets/status",
            "replicationcontrollers/scale",
        ],
        READ,
    ),
    rule(
        &["networking.k8s.io"],
        &["ingresses", "ingresses/status", "networkpolicies"],
        READ,
    ),
    rule(
        &["policy"],
        &["poddisruptionbudgets", "poddisruptionbudgets/status"],
        READ,
    ),
    rule(
        CORE,
        &[
            "configmaps",
            "endpoints",
            "persistentvolumeclaims",
            "persistentvolumeclaims/status",
            "pods",
            "replicationcontrollers",
            "replicationcontrollers/scale",
            "serviceaccounts",
            "services",
            "services/status",
        ],
        READ,
    ),
    rule(
        CORE,
        &[
            "bindings",
            "events",
            "limitranges",
            "namespaces/status",
            "pods/log",
            "pods/status",
            "replicationcontrollers/status",
            "resourcequotas",
            "resourcequotas/status",
        ],
        READ,
    ),
    rule(CORE, &["namespaces"], READ),
];

/// What `AmazonEKSEditPolicy` has beyond `VIEW`.
const EDIT: &[Rule] = &[
    rule(
        &["apps"],
        &[
            "daemonsets",
            "deployments",
            "deployments/rollback",
            "deployments/scale",
            "replicasets",
            "replicasets/scale",
            "statefulsets",
            "statefulsets/scale",
        ],
        WRITE,
    ),
    rule(&["autoscaling"], &["horizontalpodautoscalers"], WRITE),
    rule(&["batch"], &["cronjobs", "jobs"], WRITE),
    rule(
        &["extensions"],
        &[
            "daemonsets",
            "deployments",
            "deployments/rollback",
            "deployments/scale",
            "ingresses",
            "networkpolicies",
            "replicasets",
            "replicasets/scale",
            "replicationcontrollers/scale",
        ],
        WRITE,
    ),
    rule(&["networking.k8s.io"], &["ingresses", "networkpolicies"], WRITE),
    rule(&["policy"], &["poddisruptionbudgets"], WRITE),
    rule(
        CORE,
        &[
            "pods/attach",
            "pods/exec",
            "pods/portforward",
            "pods/proxy",
            "secrets",
            "services/proxy",
        ],
        READ,
    ),
    rule(CORE, &["serviceaccounts"], &["impersonate"]),
    rule(
        CORE,
        &["pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy"],
        WRITE,
    ),
    rule(
        CORE,
        &[
            "configmaps",
            "events",
            "persistentvolumeclaims",
            "replicationcontrollers",
            "replicationcontrollers/scale",
            "secrets",
            "serviceaccounts",
            "services",
            "services/proxy",
        ],
        WRITE,
    ),
];

/// What `AmazonEKSAdminPolicy` has beyond `EDIT`.
const ADMIN: &[Rule] = &[
    rule(&["authorization.k8s.io"], &["localsubjectaccessreviews"], &["create"]),
    rule(&["rbac.authorization.k8s.io"], &["rolebindings", "roles"], READ),
    rule(&["rbac.authorization.k8s.io"], &["rolebindings", "roles"], WRITE),
];
