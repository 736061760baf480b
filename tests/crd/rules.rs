//! Every CEL rule with a manifest that it lets through and one that it refuses, with the sentence that the user reads.

use futures::{StreamExt, stream};
use serde_json::{Value, json};

use crate::{
    common::{send, server},
    manifests::{Kind, merged},
    schema::nodes,
};

/// A rule of a definition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rule {
    pub(crate) kind: Kind,
    pub(crate) path: String,
    pub(crate) message: String,
    expression: String,
}

impl Rule {
    /// Whether it holds a change against what was, and not an object against itself.
    pub(crate) fn on_update(&self) -> bool {
        self.expression.contains("oldSelf")
    }
}

/// All rules of both definitions.
pub(crate) fn all_rules() -> Vec<Rule> {
    let mut rules = Vec::new();
    for kind in Kind::ALL {
        for node in nodes(&kind.schema()) {
            for rule in node.schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
                rules.push(Rule {
                    kind,
                    path: node.path.clone(),
                    message: rule["message"].as_str().expect("every rule has a sentence").to_owned(),
                    expression: rule["rule"].as_str().unwrap().to_owned(),
                });
            }
        }
    }
    rules
}

/// A rule, and changes to the smallest manifest (JSON merge patches of its spec) that it lets through or refuses.
struct Case {
    kind: Kind,
    path: &'static str,
    says: &'static str,
    accepted: Vec<Value>,
    refused: Vec<Value>,
}

/// One change for each of the values.
fn each(values: &[&str], change: impl Fn(&str) -> Value) -> Vec<Value> {
    values.iter().map(|value| change(value)).collect()
}

const ROLE_NAME: &str = "a role's name is 1 to 64 letters, digits or characters of _+=,.@-, without a path";
const TAG_KEY: &str = "a tag's key has 1 to 128 characters and does not start with aws: or mooring.dev/";
const TAG: &str = "tags are made of letters, digits, spaces and the characters _.:/=+-@";
const ACCESS_POLICY: &str = "the name of an access policy is written alone, as in AmazonEKSViewPolicy, not as an ARN";
const REGIONS: [&str; 6] = [
    "eu-west-1",
    "us-gov-east-1",
    "cn-northwest-1",
    "eusc-de-east-1",
    "us-isob-east-1",
    "ap-southeast-7",
];
const NO_REGIONS: [&str; 6] = ["", "eu-west", "EU-WEST-1", "eu-west-1a", "eu_west_1", "*"];
const NO_CLUSTERS: [&str; 5] = ["", "-prod", "prod.eu", "prod/eu", "prod*"];
const LABELS: [&str; 4] = ["dns/is.a/name", "UPPER", "-dash", "dot."];

fn managed_cluster() -> Vec<Case> {
    let case = |path, says, accepted, refused| Case {
        kind: Kind::ManagedCluster,
        path,
        says,
        accepted,
        refused,
    };
    let long = |prefix: &str, length: usize| format!("{prefix}{}", "x".repeat(length - prefix.len()));
    let access = |change: Value| json!({"spec": {"access": change}});
    let role = |change: Value| json!({"spec": {"access": {"deployerRole": change}}});
    let argocd = |change: Value| json!({"spec": {"argocd": change}});
    let policies =
        |namespaces: &[&str]| json!({"policies": [{"name": "AmazonEKSViewPolicy", "namespaces": namespaces}]});
    let boundary = |arn: &str| role(json!({"permissionsBoundary": arn}));
    vec![
        case(
            "",
            "the object's name is no EKS cluster name: write the cluster's name in spec.clusterName",
            vec![
                json!({"metadata": {"name": "prod"}}),
                json!({"metadata": {"name": "prod.eu"}, "spec": {"clusterName": "prod"}}),
            ],
            vec![
                json!({"metadata": {"name": "prod.eu"}}),
                json!({"metadata": {"name": "a".repeat(101)}}),
            ],
        ),
        case(
            "spec",
            "a namespace of access.policies is a pattern, which Argo CD does not know: list the namespaces it means in argocd.namespaces",
            vec![
                access(policies(&["team-a"])),
                json!({"spec": {"access": policies(&["team-*"]), "argocd": {"namespaces": ["team-a"]}}}),
                access(json!({"policies": [{"name": "A", "namespaces": ["team-*"]}, {"name": "B"}]})),
            ],
            vec![
                access(policies(&["team-*"])),
                access(policies(&["team-a", "team-*"])),
                access(json!({"policies": [{"name": "A", "namespaces": ["a"]}, {"name": "B", "namespaces": ["b*"]}]})),
            ],
        ),
        case(
            "spec.accountId",
            "accountId is the 12 digits of an AWS account in quotation marks, as in \"222222222222\"",
            vec![json!({"spec": {"accountId": "012345678901"}})],
            each(
                &["", "22222222222", "2222222222222", "2222-2222-2222", "*"],
                |id| json!({"spec": {"accountId": id}}),
            ),
        ),
        case(
            "spec.region",
            "region is an AWS region's code, as in eu-west-1",
            each(&REGIONS, |region| json!({"spec": {"region": region}})),
            each(&NO_REGIONS, |region| json!({"spec": {"region": region}})),
        ),
        case(
            "spec.clusterName",
            "clusterName is an EKS cluster's name: 1 to 100 letters, digits, hyphens or underscores, the first a letter or digit",
            each(
                &["p", "Prod_eu-1", &"a".repeat(100)],
                |name| json!({"spec": {"clusterName": name}}),
            ),
            each(
                &[&NO_CLUSTERS[..], &[&"a".repeat(101)]].concat(),
                |name| json!({"spec": {"clusterName": name}}),
            ),
        ),
        case(
            "spec.managementRole",
            "managementRole is the name of a ManagementRole, as in default",
            each(
                &["d", "team-a", &"a".repeat(63)],
                |name| json!({"spec": {"managementRole": name}}),
            ),
            each(
                &["", "Default", "-a", "a-", "a.b", &"a".repeat(64)],
                |name| json!({"spec": {"managementRole": name}}),
            ),
        ),
        case(
            "spec.access",
            "access gives nothing: write at least one of access.policies, as in [{name: AmazonEKSClusterAdminPolicy}], or of access.kubernetesGroups",
            vec![access(
                json!({"kubernetesGroups": null, "policies": [{"name": "AmazonEKSClusterAdminPolicy"}]}),
            )],
            vec![
                access(json!({"kubernetesGroups": null})),
                access(json!({"kubernetesGroups": [], "policies": []})),
                access(json!({"kubernetesGroups": null, "deployerRole": {"name": "argocd"}})),
            ],
        ),
        case(
            "spec.access.policies[].name",
            ACCESS_POLICY,
            each(&["AmazonEKSClusterAdminPolicy"], |name| {
                access(json!({"policies": [{"name": name}]}))
            }),
            each(
                &[
                    "",
                    "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
                    "*",
                    "Amazon EKS",
                ],
                |name| access(json!({"policies": [{"name": name}]})),
            ),
        ),
        case(
            "spec.access.policies[].namespaces",
            "a namespace is lower-case letters, digits and hyphens, as in team-a, and * for any run of them; leave namespaces out for the whole cluster",
            vec![
                access(policies(&["team-a", "1"])),
                access(policies(&[])),
                access(policies(&[&"a".repeat(63)])),
                json!({"spec": {"access": policies(&["team-*", "*-a", "a*b"]), "argocd": {"namespaces": ["team-a"]}}}),
            ],
            each(
                &[
                    "",
                    "*",
                    "*-*",
                    "Team",
                    "-team",
                    "team-",
                    "a.b",
                    "team?",
                    &"a".repeat(64),
                ],
                |name| json!({"spec": {"access": policies(&[name]), "argocd": {"namespaces": ["team-a"]}}}),
            ),
        ),
        case(
            "spec.access.kubernetesGroups",
            "EKS refuses groups that start with system:, eks:, aws:, amazon: or iam: - bind a group of your own with a ClusterRoleBinding, or use an access policy",
            each(&["systems", "team:system:a"], |group| {
                access(json!({"kubernetesGroups": [group]}))
            }),
            each(&["system:masters", "eks:a", "aws:a", "amazon:a", "iam:a"], |group| {
                access(json!({"kubernetesGroups": ["fine", group]}))
            }),
        ),
        case(
            "spec.access.kubernetesGroups",
            "a Kubernetes group has 1 to 128 characters",
            each(&["g", &"g".repeat(128)], |group| {
                access(json!({"kubernetesGroups": [group]}))
            }),
            each(&["", &"g".repeat(129)], |group| {
                access(json!({"kubernetesGroups": [group]}))
            }),
        ),
        case(
            "spec.access.deployerRole",
            "deployerRole.type Existing needs deployerRole.arn: the role that is used",
            vec![
                role(json!({"type": "Existing", "arn": "arn:aws:iam::222222222222:role/argocd"})),
                role(json!({"type": "Managed"})),
                role(json!({"type": "Managed", "arn": "arn:aws:iam::222222222222:role/argocd"})),
            ],
            vec![
                role(json!({"type": "Existing"})),
                role(json!({"type": "Existing", "name": "argocd"})),
            ],
        ),
        case(
            "spec.access.deployerRole",
            "deployerRole.arn names a role that stands already, and name one that Mooring makes: write one of the two",
            vec![
                role(json!({"name": "argocd"})),
                role(json!({"arn": "arn:aws:iam::222222222222:role/argocd"})),
            ],
            vec![
                role(json!({"type": "Existing", "arn": "arn:aws:iam::222222222222:role/argocd", "name": "argocd"})),
                role(json!({"arn": "arn:aws:iam::222222222222:role/argocd", "name": "argocd"})),
            ],
        ),
        case(
            "spec.access.deployerRole",
            "deployerRole.permissionsBoundary does not go with type Existing: Mooring writes nothing to that role",
            vec![
                role(json!({"type": "Existing", "arn": "arn:aws:iam::222222222222:role/argocd", "tags": {"a": "b"}})),
                role(json!({
                    "arn": "arn:aws:iam::222222222222:role/argocd",
                    "permissionsBoundary": "arn:aws:iam::aws:policy/AWSDenyAll",
                })),
            ],
            vec![role(json!({
                "type": "Existing", "arn": "arn:aws:iam::222222222222:role/argocd",
                "permissionsBoundary": "arn:aws:iam::aws:policy/AWSDenyAll",
            }))],
        ),
        case(
            "spec.access.deployerRole.arn",
            "deployerRole.arn is the ARN of an IAM role, as in arn:aws:iam::222222222222:role/argocd, without wildcards",
            each(
                &[
                    "arn:aws:iam::222222222222:role/argocd",
                    "arn:aws-us-gov:iam::222222222222:role/ci/team/Argo_CD+=,.@-1",
                ],
                |arn| role(json!({"type": "Existing", "arn": arn})),
            ),
            each(
                &[
                    "",
                    "argocd",
                    "arn:aws:iam::222222222222:role/*",
                    "arn:aws:iam::222222222222:role/a/*/argocd",
                    "arn:aws:iam::222222222222:role/${aws:username}",
                    "arn:aws:iam::222222222222:role//argocd",
                    "arn:aws:iam::222222222222:role/argocd?",
                    "arn:aws:iam::*:role/argocd",
                    "arn:aws:iam::222222222222:user/argocd",
                    "arn:aws:sts::222222222222:assumed-role/argocd/x",
                ],
                |arn| role(json!({"type": "Existing", "arn": arn})),
            ),
        ),
        case(
            "spec.access.deployerRole.name",
            ROLE_NAME,
            each(&["a", "Argo_CD+=,.@-1", &"r".repeat(64)], |name| {
                role(json!({"name": name}))
            }),
            each(&["", "path/role", "role*", "role name", &"r".repeat(65)], |name| {
                role(json!({"name": name}))
            }),
        ),
        case(
            "spec.access.deployerRole.permissionsBoundary",
            "permissionsBoundary is the ARN of an IAM policy, as in arn:aws:iam::222222222222:policy/limit, without wildcards",
            each(
                &[
                    "arn:aws:iam::222222222222:policy/limit",
                    "arn:aws-us-gov:iam::aws:policy/AWSDenyAll",
                    "arn:aws-cn:iam::222222222222:policy/a/b/limit",
                ],
                boundary,
            ),
            each(
                &[
                    "",
                    "limit",
                    "arn:aws:iam::222222222222:policy/*",
                    "arn:aws:iam::222222222222:role/limit",
                    "arn:aws:iam::222222222222:policy//limit",
                    "arn:aws:iam::22222222222?:policy/limit",
                ],
                boundary,
            ),
        ),
        case(
            "spec.access.deployerRole.tags",
            TAG_KEY,
            each(&["team", "awsome", &"k".repeat(128)], |key| {
                role(json!({"tags": {key: "v"}}))
            }),
            each(&["aws:team", "AWS:team", "mooring.dev/hub", &"k".repeat(129)], |key| {
                role(json!({"tags": {key: "v"}}))
            }),
        ),
        case(
            "spec.access.deployerRole.tags",
            TAG,
            each(&["", "a b_.:/=+@-9", &"v".repeat(256)], |value| {
                role(json!({"tags": {"cost centre": value}}))
            }),
            vec![
                role(json!({"tags": {"team*": "a"}})),
                role(json!({"tags": {"team": "a*"}})),
                role(json!({"tags": {"team": "ä"}})),
            ],
        ),
        case(
            "spec.argocd",
            "clusterResources only means something beside namespaces: list them in argocd.namespaces, or leave clusterResources out",
            vec![
                argocd(json!({"clusterResources": true, "namespaces": ["a"]})),
                argocd(json!({"clusterResources": false, "namespaces": ["a"]})),
            ],
            vec![
                argocd(json!({"clusterResources": true})),
                argocd(json!({"clusterResources": false})),
            ],
        ),
        case(
            "spec.argocd.name",
            "argocd.name is letters, digits and the characters ._/@:+-, starting and ending with a letter or digit",
            each(&["p", "Prod/eu@1:a+b_c.d", &"n".repeat(253)], |name| {
                argocd(json!({"name": name}))
            }),
            each(&["", "prod eu", "-prod", "prod.", "prod*", &"n".repeat(254)], |name| {
                argocd(json!({"name": name}))
            }),
        ),
        case(
            "spec.argocd.name",
            "in-cluster is Argo CD's own name for the cluster it runs on: write another",
            vec![argocd(json!({"name": "in-cluster-2"}))],
            vec![argocd(json!({"name": "in-cluster"}))],
        ),
        case(
            "spec.argocd.project",
            "argocd.project is the name of an AppProject, as in team-a",
            each(&["a", "team-a.b"], |name| argocd(json!({"project": name}))),
            each(&["", "Team", "team_a", "*", "-a"], |name| {
                argocd(json!({"project": name}))
            }),
        ),
        case(
            "spec.argocd.labels",
            "argocd.labels may not hold argocd.argoproj.io/secret-type, kubernetes-version or instance, app.kubernetes.io/instance, or anything of mooring.dev/: Argo CD or Mooring writes these",
            each(
                &["secret-type", "argocd.argoproj.io/other", "app.kubernetes.io/name"],
                |key| argocd(json!({"labels": {key: "v"}})),
            ),
            each(
                &[
                    "argocd.argoproj.io/secret-type",
                    "argocd.argoproj.io/kubernetes-version",
                    "argocd.argoproj.io/instance",
                    "app.kubernetes.io/instance",
                    "mooring.dev/anything",
                ],
                |key| argocd(json!({"labels": {"fine": "v", key: "v"}})),
            ),
        ),
        case(
            "spec.argocd.labels",
            "a label is a Kubernetes label: at most 63 letters, digits, hyphens, underscores or dots; put anything longer in argocd.annotations",
            vec![
                argocd(json!({"labels": {"env": "", "example.com/Env_1.a": "Prod-eu_1.a"}})),
                argocd(json!({"labels": {long("a", 63): long("b", 63), long("example.com/", 63 + 12): "v"}})),
            ],
            [
                each(&LABELS, |key| argocd(json!({"labels": {format!("{key}/{key}"): "v"}}))),
                each(
                    &["a b", "arn:aws:iam::222222222222:role/a", "-a", &"v".repeat(64)],
                    |value| argocd(json!({"labels": {"env": value}})),
                ),
                vec![argocd(json!({"labels": {long("a", 64): "v"}}))],
            ]
            .concat(),
        ),
        case(
            "spec.argocd.annotations",
            "argocd.annotations may not hold managed-by, argocd.argoproj.io/refresh, hydrate, tracking-id or installation-id, kubectl's last-applied-configuration, or anything of mooring.dev/: Argo CD or Mooring writes these",
            each(&["managed-by-us", "argocd.argoproj.io/other"], |key| {
                argocd(json!({"annotations": {key: "v"}}))
            }),
            each(
                &[
                    "argocd.argoproj.io/refresh",
                    "argocd.argoproj.io/hydrate",
                    "argocd.argoproj.io/tracking-id",
                    "argocd.argoproj.io/installation-id",
                    "managed-by",
                    "kubectl.kubernetes.io/last-applied-configuration",
                    "mooring.dev/anything",
                ],
                |key| argocd(json!({"annotations": {"fine": "v", key: "v"}})),
            ),
        ),
        case(
            "spec.argocd.annotations",
            "an annotation's key is a Kubernetes name, as in example.com/vpc-id",
            vec![argocd(
                json!({"annotations": {"example.com/vpc-id": "any {text}\nat *all*", "k": "x".repeat(1024)}}),
            )],
            each(&["a b", "a/b/c", "-a", &"k".repeat(64)], |key| {
                argocd(json!({"annotations": {key: "v"}}))
            }),
        ),
        case(
            "spec.argocd.namespaces",
            "argocd.namespaces is empty: leave it out for the whole cluster",
            vec![argocd(json!({"namespaces": ["a"]}))],
            vec![argocd(json!({"namespaces": []}))],
        ),
        case(
            "spec.argocd.namespaces",
            "a namespace is lower-case letters, digits and hyphens, as in team-a; Argo CD knows no patterns here",
            vec![argocd(json!({"namespaces": ["team-a", "b", "a".repeat(63)]}))],
            each(&["", "team-*", "Team", "-a", "a,b", &"a".repeat(64)], |name| {
                argocd(json!({"namespaces": ["fine", name]}))
            }),
        ),
        case(
            "spec.argocd.shard",
            "shard is 0 to 1000: with a negative one no application controller would handle the cluster",
            vec![argocd(json!({"shard": 0})), argocd(json!({"shard": 1000}))],
            vec![argocd(json!({"shard": -1})), argocd(json!({"shard": 1001}))],
        ),
    ]
}

fn management_role() -> Vec<Case> {
    let case = |path, says, accepted, refused| Case {
        kind: Kind::ManagementRole,
        path,
        says,
        accepted,
        refused,
    };
    let spec = |change: Value| json!({"spec": change});
    let allow = |field: &str, value: &str| json!({"spec": {"allow": [{"accounts": ["*"], field: [value]}]}});
    let tags = |tags: Value| json!({"spec": {"role": {"tags": tags}}});
    let existing = json!({"type": "Existing", "roleArn": "arn:aws:iam::111111111111:role/argocd"});
    let arn = |arn: &str| json!({"spec": {"identity": {"type": "Existing", "roleArn": arn}}});
    vec![
        case(
            "",
            "the name of a ManagementRole becomes part of IAM paths: at most 63 lower-case letters, digits and hyphens",
            each(
                &["default", "a", &"a".repeat(63)],
                |name| json!({"metadata": {"name": name}}),
            ),
            each(&["a.b", &"a".repeat(64)], |name| json!({"metadata": {"name": name}})),
        ),
        case(
            "spec",
            "role.name and role.tags are for a role that Mooring makes: leave them out with identity type Existing",
            vec![
                spec(json!({"identity": existing.clone()})),
                spec(json!({"identity": existing.clone(), "role": {"permissionsBoundary": "limit"}})),
                spec(json!({"role": {"name": "argocd", "tags": {"team": "platform"}}})),
            ],
            vec![
                spec(json!({"identity": existing.clone(), "role": {"name": "argocd"}})),
                spec(json!({"identity": existing.clone(), "role": {"tags": {"team": "platform"}}})),
            ],
        ),
        case(
            "spec.cluster.name",
            "cluster.name is an EKS cluster's name: 1 to 100 letters, digits, hyphens or underscores, the first a letter or digit",
            each(&["h", "Hub_eu-1", &"a".repeat(100)], |name| {
                spec(json!({"cluster": {"name": name}}))
            }),
            each(&[&NO_CLUSTERS[..], &[&"a".repeat(101)]].concat(), |name| {
                spec(json!({"cluster": {"name": name}}))
            }),
        ),
        case(
            "spec.cluster.region",
            "cluster.region is an AWS region's code, as in eu-west-1",
            each(&REGIONS, |region| spec(json!({"cluster": {"region": region}}))),
            each(&NO_REGIONS, |region| spec(json!({"cluster": {"region": region}}))),
        ),
        case(
            "spec.argocdNamespace",
            "argocdNamespace is a namespace, as in argocd",
            each(&["a", "argo-cd", &"a".repeat(63)], |name| {
                spec(json!({"argocdNamespace": name}))
            }),
            each(&["", "Argo", "-a", "a.b", &"a".repeat(64)], |name| {
                spec(json!({"argocdNamespace": name}))
            }),
        ),
        case(
            "spec.identity",
            "identity.roleArn goes with type Existing, and only with it: with IRSA Mooring makes the role",
            vec![
                spec(json!({"identity": {"type": "IRSA"}})),
                spec(json!({"identity": existing.clone()})),
            ],
            vec![
                spec(json!({"identity": {"type": "Existing"}})),
                spec(json!({"identity": {"type": "IRSA", "roleArn": "arn:aws:iam::111111111111:role/argocd"}})),
                spec(json!({"identity": {"roleArn": "arn:aws:iam::111111111111:role/argocd"}})),
            ],
        ),
        case(
            "spec.identity.roleArn",
            "identity.roleArn is the ARN of an IAM role, as in arn:aws:iam::111111111111:role/argocd, without wildcards",
            each(
                &[
                    "arn:aws:iam::111111111111:role/argocd",
                    "arn:aws-cn:iam::111111111111:role/a/b/argocd",
                ],
                arn,
            ),
            each(
                &[
                    "",
                    "argocd",
                    "arn:aws:iam::111111111111:role/*",
                    "arn:aws:iam::111111111111:user/argocd",
                    "arn:aws:iam::*:role/argocd",
                    "arn:aws:iam::111111111111:role/$x",
                ],
                arn,
            ),
        ),
        case(
            "spec.serviceAccounts",
            "serviceAccounts is empty: leave it out for Argo CD's own three, or list those that may use the role",
            vec![spec(json!({"serviceAccounts": ["argocd-server"]}))],
            vec![spec(json!({"serviceAccounts": []}))],
        ),
        case(
            "spec.serviceAccounts",
            "a service account is named without its namespace, as in argocd-server, and without wildcards",
            vec![spec(json!({"serviceAccounts": ["a", "a.b-c"]}))],
            each(
                &[
                    "",
                    "argocd:argocd-server",
                    "argocd/argocd-server",
                    "argocd-*",
                    "Argo",
                    "*",
                ],
                |name| spec(json!({"serviceAccounts": ["argocd-server", name]})),
            ),
        ),
        case(
            "spec.role.name",
            ROLE_NAME,
            each(&["a", "Argo_CD+=,.@-1", &"r".repeat(64)], |name| {
                spec(json!({"role": {"name": name}}))
            }),
            each(&["", "path/role", "role*", "role name", &"r".repeat(65)], |name| {
                spec(json!({"role": {"name": name}}))
            }),
        ),
        case(
            "spec.role.permissionsBoundary",
            "permissionsBoundary is the name of an IAM policy in the hub's account, as in mooring-management, not its ARN",
            each(&["a", "Limit_+=,.@-1", &"b".repeat(128)], |name| {
                spec(json!({"role": {"permissionsBoundary": name}}))
            }),
            each(
                &[
                    "",
                    "arn:aws:iam::111111111111:policy/limit",
                    "a/b",
                    "limit*",
                    &"b".repeat(129),
                ],
                |name| spec(json!({"role": {"permissionsBoundary": name}})),
            ),
        ),
        case(
            "spec.role.tags",
            TAG_KEY,
            each(&["team", "awsome", &"k".repeat(128)], |key| tags(json!({key: "v"}))),
            each(&["aws:team", "Aws:team", "mooring.dev/hub", &"k".repeat(129)], |key| {
                tags(json!({key: "v"}))
            }),
        ),
        case(
            "spec.role.tags",
            TAG,
            each(&["", "a b_.:/=+@-9", &"v".repeat(256)], |value| {
                tags(json!({"cost centre": value}))
            }),
            vec![tags(json!({"team*": "a"})), tags(json!({"team": "a*"}))],
        ),
        case(
            "spec.provisioner.roleName",
            "provisioner.roleName is the name of an IAM role, as in mooring-provisioner, without a path",
            each(&["a", "Mooring_+=,.@-1", &"r".repeat(64)], |name| {
                spec(json!({"provisioner": {"roleName": name}}))
            }),
            each(&["", "path/role", "role*", "role/", &"r".repeat(65)], |name| {
                spec(json!({"provisioner": {"roleName": name}}))
            }),
        ),
        case(
            "spec.provisioner.readerRoleName",
            "provisioner.readerRoleName is the name of an IAM role, as in mooring-reader, without a path",
            each(&["a", "Mooring_+=,.@-1", &"r".repeat(64)], |name| {
                spec(json!({"provisioner": {"readerRoleName": name}}))
            }),
            each(&["", "path/role", "role*", "role/", &"r".repeat(65)], |name| {
                spec(json!({"provisioner": {"readerRoleName": name}}))
            }),
        ),
        case(
            "spec.provisioner.externalId",
            "externalId is 2 to 1224 letters, digits or characters of _+=,.@:/-",
            each(&["ab", "A_+=,.@:/-1", &"x".repeat(1224)], |id| {
                spec(json!({"provisioner": {"externalId": id}}))
            }),
            each(&["", "a", "a b", "a*", &"x".repeat(1225)], |id| {
                spec(json!({"provisioner": {"externalId": id}}))
            }),
        ),
        case(
            "spec.allow",
            "allow is empty, so that no ManagedCluster could be made: write at least one entry, as in {accounts: [\"222222222222\"], accessPolicies: [{name: AmazonEKSViewPolicy, scope: Cluster}]}",
            vec![spec(json!({"allow": [{"accounts": ["222222222222"]}]}))],
            vec![spec(json!({"allow": []}))],
        ),
        case(
            "spec.allow[].accounts",
            "accounts is empty: list the accounts that may be used, or write \"*\" for any account",
            vec![spec(json!({"allow": [{"accounts": ["*"]}]}))],
            vec![spec(json!({"allow": [{"accounts": []}]}))],
        ),
        case(
            "spec.allow[].accounts",
            "accounts are 12 digits in quotation marks each, as in \"222222222222\", or \"*\" for any account",
            vec![spec(json!({"allow": [{"accounts": ["222222222222", "*"]}]}))],
            each(&["", "2222", "2*", "**", "22222222222a"], |id| {
                spec(json!({"allow": [{"accounts": ["222222222222", id]}]}))
            }),
        ),
        case(
            "spec.allow[].regions",
            "regions are codes or globs, as in eu-west-1 or eu-*",
            each(&["eu-west-1", "eu-*", "*"], |glob| allow("regions", glob)),
            each(&["", "EU-*", "eu-?est-1", "eu west"], |glob| allow("regions", glob)),
        ),
        case(
            "spec.allow[].clusters",
            "clusters are EKS cluster names or globs, as in prod-*",
            each(&["prod", "Prod_*", "*"], |glob| allow("clusters", glob)),
            each(&["", "prod.eu", "prod?", "a/b"], |glob| allow("clusters", glob)),
        ),
        case(
            "spec.allow[].accessPolicies[].name",
            ACCESS_POLICY,
            vec![spec(
                json!({"allow": [{"accounts": ["*"], "accessPolicies": [{"name": "AmazonEKSViewPolicy", "scope": "Namespace"}]}]}),
            )],
            each(
                &[
                    "",
                    "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
                    "*",
                    "Amazon*",
                ],
                |name| {
                    spec(
                        json!({"allow": [{"accounts": ["*"], "accessPolicies": [{"name": name, "scope": "Cluster"}]}]}),
                    )
                },
            ),
        ),
        case(
            "spec.allow[].kubernetesGroups",
            "EKS refuses groups that start with system:, eks:, aws:, amazon: or iam: - name groups of your own",
            each(&["deployers", "team:*", "*"], |glob| allow("kubernetesGroups", glob)),
            each(
                &["", "system:masters", "system:*", "eks:a", "aws:a", "amazon:a", "iam:a"],
                |glob| allow("kubernetesGroups", glob),
            ),
        ),
        case(
            "spec.allow[].kubernetesGroups",
            "the only wildcard is *",
            each(&["team-*"], |glob| allow("kubernetesGroups", glob)),
            each(&["team-?", "${team}"], |glob| allow("kubernetesGroups", glob)),
        ),
        case(
            "spec.allow[].projects",
            "projects are names of AppProjects or globs, as in team-*",
            each(&["team-a", "team-*", "a.b", "*"], |glob| allow("projects", glob)),
            each(&["", "Team-*", "team_a", "team?"], |glob| allow("projects", glob)),
        ),
        case(
            "spec.allow[].deployerRoles",
            "deployerRoles are ARNs of IAM roles, as in arn:aws:iam::222222222222:role/argocd; * may only stand for the whole account and at the end of the name",
            each(
                &[
                    "arn:aws:iam::222222222222:role/argocd",
                    "arn:aws:iam::*:role/argocd-*",
                    "arn:aws-cn:iam::*:role/ci/argocd",
                ],
                |arn| allow("deployerRoles", arn),
            ),
            each(
                &[
                    "",
                    "*",
                    "arn:aws:iam::*:role/*",
                    "arn:aws:iam::*:role/*/argocd",
                    "arn:aws:iam::2222*:role/argocd",
                    "arn:aws:iam::222222222222:role/a*d",
                    "arn:aws:iam::222222222222:role/argocd?",
                    "arn:aws:iam::222222222222:role/${aws:username}",
                    "arn:*:iam::222222222222:role/argocd",
                    "arn:aws:iam::222222222222:user/argocd",
                ],
                |arn| allow("deployerRoles", arn),
            ),
        ),
        case(
            "spec.allow[].deployerRoles",
            "deployerRoles may not reach below /mooring/, /aws-reserved/ or /aws-service-role/: Mooring's own roles, and AWS's, are nobody's deployer roles; write more of the name before *",
            each(
                &[
                    "arn:aws:iam::*:role/mooring-argocd",
                    "arn:aws:iam::*:role/moored*",
                    "arn:aws:iam::*:role/aws-deploy*",
                    "arn:aws:iam::*:role/ci/a*",
                ],
                |arn| allow("deployerRoles", arn),
            ),
            each(
                &[
                    "arn:aws:iam::*:role/mooring/111111111111-eu-west-1-hub/default/prod",
                    "arn:aws:iam::*:role/Mooring/x",
                    "arn:aws:iam::*:role/mooring*",
                    "arn:aws:iam::*:role/m*",
                    "arn:aws:iam::*:role/a*",
                    "arn:aws:iam::*:role/aws-r*",
                    "arn:aws:iam::*:role/aws-service-role*",
                    "arn:aws:iam::222222222222:role/aws-reserved/sso.amazonaws.com/x",
                    "arn:aws:iam::222222222222:role/aws-service-role/eks.amazonaws.com/x",
                ],
                |arn| allow("deployerRoles", arn),
            ),
        ),
    ]
}

fn cases() -> Vec<Case> {
    managed_cluster().into_iter().chain(management_role()).collect()
}

/// The path of a schema in the words of an error: an index in every list. Items of a set are refused as a whole.
fn field(path: &str, told: &str) -> bool {
    let without_indexes =
        told.split('[')
            .enumerate()
            .fold(String::new(), |told, (at, part)| match part.split_once(']') {
                Some((index, rest)) if at > 0 && index.parse::<usize>().is_ok() => told + "[]" + rest,
                _ => told + part,
            });
    without_indexes == path || (path.is_empty() && matches!(told, "<nil>" | "" | "metadata.name"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_lets_through_and_refuses_with_its_sentence() {
    let client = server().await.admin().unwrap();
    let mut tries = Vec::new();
    for case in cases() {
        assert!(!case.accepted.is_empty() && !case.refused.is_empty(), "{}", case.says);
        tries.extend(
            case.accepted
                .iter()
                .map(|change| (case.kind, case.path, None, change.clone())),
        );
        tries.extend(
            case.refused
                .iter()
                .map(|change| (case.kind, case.path, Some(case.says), change.clone())),
        );
    }
    let wrong: Vec<String> = stream::iter(tries)
        .map(|(kind, path, says, change)| {
            let client = client.clone();
            async move {
                let object = merged(&kind.smallest(), &change);
                match (says, send(&client, "POST", kind.path(), &object, true).await.result) {
                    (None, Ok(_)) => None,
                    (None, Err(refusal)) => Some(format!("{kind:?} {change}: refused: {}", refusal.message)),
                    (Some(says), Ok(_)) => Some(format!("{kind:?} {change}: accepted, not refused with: {says}")),
                    (Some(says), Err(refusal)) => {
                        let told = |cause: &kube::core::response::StatusCause| {
                            cause.message.ends_with(&format!(": {says}")) && field(path, &cause.field)
                        };
                        let alone = refusal.causes.iter().all(told) && !refusal.causes.is_empty();
                        (!alone)
                            .then(|| format!("{kind:?} {change}: not {says:?} alone at {path}: {:#?}", refusal.causes))
                    }
                }
            }
        })
        .buffer_unordered(8)
        .filter_map(|wrong| async { wrong })
        .collect()
        .await;
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// A rule without a case here is a sentence that nobody has read.
#[test]
fn every_rule_has_a_case_and_every_case_a_rule() {
    let cases = cases();
    let rules: Vec<Rule> = all_rules().into_iter().filter(|rule| !rule.on_update()).collect();
    for rule in &rules {
        let tried = cases
            .iter()
            .filter(|c| c.kind == rule.kind && c.path == rule.path && c.says == rule.message);
        assert_eq!(
            tried.count(),
            1,
            "rule of {:?} at {:?}: {}",
            rule.kind,
            rule.path,
            rule.message
        );
    }
    for case in &cases {
        let found = rules
            .iter()
            .any(|rule| case.kind == rule.kind && case.path == rule.path && case.says == rule.message);
        assert!(
            found,
            "no rule of {:?} at {:?} says: {}",
            case.kind, case.path, case.says
        );
    }
}
