//! `mooring render` and `mooring bootstrap`, by the real binary: held against the facts of AWS and the design, not
//! against earlier output.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use mooring::{
    commands::{
        bootstrap::{Bootstrap, BootstrapError, Options, bootstrap},
        manifests::Manifests,
    },
    policy::Document,
};
use serde_json::{Value, json};

const ROLE: &str = r#"
apiVersion: mooring.dev/v1alpha1
kind: ManagementRole
metadata: {name: default}
spec:
  cluster: {name: hub, region: eu-west-1}
  allow:
  - accounts: ["222222222222", "333333333333"]
    accessPolicies:
    - {name: AmazonEKSClusterAdminPolicy, scope: Cluster}
    - {name: AmazonEKSViewPolicy, scope: Namespace}
    kubernetesGroups: ["argocd-*"]
  - accounts: ["111111111111"]
    clusters: [hub]
    accessPolicies: [{name: AmazonEKSClusterAdminPolicy, scope: Cluster}]
"#;

const CLUSTERS: &str = r#"
apiVersion: mooring.dev/v1alpha1
kind: ManagedCluster
metadata: {name: prod-eu}
spec:
  accountId: "222222222222"
  region: eu-west-1
  access: {policies: [{name: AmazonEKSClusterAdminPolicy}]}
  argocd: {labels: {environment: production}}
---
apiVersion: mooring.dev/v1alpha1
kind: ManagedCluster
metadata: {name: team}
spec:
  accountId: "333333333333"
  region: eu-central-1
  clusterName: shared
  access:
    policies: [{name: AmazonEKSViewPolicy, namespaces: [team-b, team-a]}]
    kubernetesGroups: [argocd-team]
---
apiVersion: mooring.dev/v1alpha1
kind: ManagedCluster
metadata: {name: hub}
spec:
  accountId: "111111111111"
  region: eu-west-1
  access: {policies: [{name: AmazonEKSClusterAdminPolicy}]}
"#;

const ISSUER: &str = "oidc.eks.eu-west-1.amazonaws.com/id/ABC";
const HUB: &str = "arn:aws:eks:eu-west-1:111111111111:cluster/hub";
const PATH: &str = "role/mooring/111111111111-eu-west-1-hub/default";

struct Run {
    ok: bool,
    code: Option<i32>,
    out: String,
    err: String,
}

fn mooring(args: &[&str], input: &str) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mooring"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that fails at its flags reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Run {
        ok: output.status.success(),
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn render(input: &str, more: &[&str]) -> (Run, Vec<Value>) {
    let run = mooring(&[&["render", "-f", "-"], more].concat(), input);
    let documents = serde_saphyr::from_multiple(&run.out).unwrap();
    (run, documents)
}

const KNOWN: [&str; 4] = [
    "--hub-account",
    "111111111111",
    "--hub-issuer",
    "https://oidc.eks.eu-west-1.amazonaws.com/id/ABC",
];

fn both(role: &str, clusters: &str) -> String {
    format!("{role}---{clusters}")
}

/// The document of one object.
fn of<'a>(documents: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = documents.iter().find(|document| {
        document[kind] == name && (kind == "managedCluster" || document.get("managedCluster").is_none())
    });
    found.unwrap_or_else(|| panic!("no {kind} {name} in {documents:#?}"))
}

#[track_caller]
fn means(document: &Value, expected: &Value) {
    let parse = |value: &Value| Document::parse(&value.to_string()).unwrap();
    assert!(parse(document).means(&parse(expected)), "{document:#}");
}

fn options() -> Options {
    Options {
        account: None,
        hub_account: Some("111111111111".parse().unwrap()),
        hub_issuer: None,
        operator_role: "mooring-operator".parse().unwrap(),
        operator_namespace: "mooring-system".parse().unwrap(),
        operator_service_account: "mooring-controller".parse().unwrap(),
        verifier_role: "mooring-verifier".parse().unwrap(),
        verifier_service_account: "mooring-verifier".parse().unwrap(),
        readers: Vec::new(),
        deployer_boundaries: Vec::new(),
    }
}

fn boot(role: &str, options: &Options) -> Result<Bootstrap, BootstrapError> {
    let mut manifests = Manifests::default();
    manifests.add(&"test", role);
    assert_eq!(manifests.invalid, Vec::<String>::new());
    bootstrap(&manifests.roles[0], options)
}

fn accounts(bootstrap: &Bootstrap) -> Vec<&str> {
    bootstrap
        .accounts
        .iter()
        .map(|account| account.account_id.as_str())
        .collect()
}

fn directory(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn the_management_role_is_shown_with_what_its_clusters_need() {
    let (run, documents) = render(&both(ROLE, CLUSTERS), &KNOWN);
    assert!(run.ok && run.err.is_empty(), "{}", run.err);
    let role = &of(&documents, "managementRole", "default")["role"];
    let arn = role["arn"].as_str().unwrap();
    assert!(
        arn.starts_with("arn:aws:iam::111111111111:role/mooring/111111111111-eu-west-1-hub/management-default-"),
        "{arn}"
    );
    assert_eq!(
        role["permissionsBoundary"],
        "arn:aws:iam::111111111111:policy/mooring-management"
    );
    // EKS user guide, "Assign IAM roles to Kubernetes service accounts": aud and sub, both by StringEquals; Argo CD's
    // manual names the three service accounts.
    let subjects = ["application-controller", "applicationset-controller", "server"]
        .map(|name| format!("system:serviceaccount:argocd:argocd-{name}"));
    means(
        &role["trustPolicy"],
        &json!({"Version": "2012-10-17", "Statement": [{"Sid": "ArgoCD", "Effect": "Allow",
            "Principal": {"Federated": format!("arn:aws:iam::111111111111:oidc-provider/{ISSUER}")},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {format!("{ISSUER}:aud"): "sts.amazonaws.com", format!("{ISSUER}:sub"): subjects}}}]}),
    );
    let accounts = ["111111111111", "222222222222", "333333333333"];
    means(
        &role["inlinePolicies"]["mooring-assume-deployers"],
        &json!({"Version": "2012-10-17", "Statement": [{"Sid": "Deployers", "Effect": "Allow",
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Resource": accounts.map(|account| format!("arn:aws:iam::{account}:{PATH}/*"))}]}),
    );
    assert_eq!(role["tags"]["mooring.dev/hub"], HUB);
    assert_eq!(role["tags"]["mooring.dev/uid"], "<UID>");
}

#[test]
fn a_cluster_is_shown_with_every_hop_to_it() {
    let (_, documents) = render(&both(ROLE, CLUSTERS), &KNOWN);
    let management = of(&documents, "managementRole", "default")["role"]["arn"].clone();
    let prod = of(&documents, "managedCluster", "prod-eu");
    assert_eq!(prod["cluster"], "arn:aws:eks:eu-west-1:222222222222:cluster/prod-eu");
    let role = &prod["deployerRole"];
    let arn = role["arn"].as_str().unwrap();
    let hash = arn
        .strip_prefix(&format!("arn:aws:iam::222222222222:{PATH}/prod-eu-"))
        .unwrap();
    assert!(hash.len() == 8 && hash.chars().all(|c| c.is_ascii_hexdigit()), "{arn}");
    assert_eq!(role["permissionsBoundary"], "arn:aws:iam::aws:policy/AWSDenyAll");
    assert_eq!(role["inlinePolicies"], json!({}), "a deployer role has no permissions");
    means(
        &role["trustPolicy"],
        &json!({"Version": "2012-10-17", "Statement": [{"Sid": "ManagementRole", "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::111111111111:root"}, "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": {"ArnEquals": {"aws:PrincipalArn": management}}}]}),
    );
    let entry = &prod["accessEntry"];
    assert_eq!(entry["principalArn"], arn);
    assert_eq!(entry["type"], "STANDARD");
    assert_eq!(entry["kubernetesGroups"], json!([]));
    assert_eq!(entry["tags"]["mooring.dev/hub"], HUB);
    assert_eq!(
        entry["accessPolicies"],
        json!([{"policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy", "accessScope": "cluster"}])
    );
    let session = &prod["operatorSession"];
    assert_eq!(
        session["provisionerRole"],
        "arn:aws:iam::222222222222:role/mooring-provisioner"
    );
    let policy = session["sessionPolicy"].to_string();
    assert!(
        policy.contains(arn) && !policy.contains("333333333333") && policy.len() < 2048,
        "{policy}"
    );
}

#[test]
fn the_cluster_secret_is_shown_with_words_for_what_only_aws_knows() {
    let (_, documents) = render(&both(ROLE, CLUSTERS), &KNOWN);
    let prod = of(&documents, "managedCluster", "prod-eu");
    let secret = &prod["clusterSecret"];
    assert_eq!(secret["namespace"], "argocd");
    assert_eq!(
        secret["labels"],
        json!({"argocd.argoproj.io/secret-type": "cluster", "environment": "production"})
    );
    assert_eq!(secret["annotations"]["mooring.dev/uid"], "<UID>");
    let data = &secret["data"];
    assert_eq!((&data["name"], data.get("namespaces")), (&json!("prod-eu"), None));
    assert_eq!(data["server"], "<endpoint of prod-eu, from eks:DescribeCluster>");
    let config: Value = serde_json::from_str(data["config"].as_str().unwrap()).unwrap();
    assert_eq!(
        config,
        json!({"awsAuthConfig": {"clusterName": "prod-eu", "roleARN": prod["deployerRole"]["arn"]},
            "tlsClientConfig": {"insecure": false, "caData": "<certificate authority of prod-eu, from eks:DescribeCluster>"}})
    );

    let team = of(&documents, "managedCluster", "team");
    assert_eq!(team["cluster"], "arn:aws:eks:eu-central-1:333333333333:cluster/shared");
    assert_eq!(team["accessEntry"]["kubernetesGroups"], json!(["argocd-team"]));
    assert_eq!(
        team["accessEntry"]["accessPolicies"],
        json!([{"policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy", "accessScope": "namespace", "namespaces": ["team-a", "team-b"]}])
    );
    assert_eq!(team["clusterSecret"]["data"]["namespaces"], "team-a,team-b");
}

#[test]
fn what_allow_does_not_give_fails_the_command_and_leaves_the_rest() {
    let greedy = CLUSTERS
        .replace("[argocd-team]", "[masters]")
        .replace("333333333333", "444444444444");
    let (run, documents) = render(&both(ROLE, &greedy), &KNOWN);
    assert!(!run.ok);
    assert!(
        run.err.contains(
            "ManagedCluster team: ManagementRole default does not allow cluster shared in account 444444444444"
        ),
        "{}",
        run.err
    );
    let team = of(&documents, "managedCluster", "team");
    assert!(
        team["refused"].as_str().unwrap().contains("does not allow") && team.get("deployerRole").is_none(),
        "{team:#}"
    );
    assert!(
        of(&documents, "managedCluster", "prod-eu")
            .get("deployerRole")
            .is_some()
    );
    let policy = of(&documents, "managementRole", "default")["role"]["inlinePolicies"].to_string();
    assert!(
        policy.contains("222222222222") && !policy.contains("444444444444"),
        "{policy}"
    );

    let (run, _) = render(&both(ROLE, &CLUSTERS.replace("[argocd-team]", "[masters]")), &KNOWN);
    assert!(
        !run.ok && run.err.contains("does not allow Kubernetes group masters"),
        "{}",
        run.err
    );
}

#[test]
fn an_existing_role_says_its_account_and_what_it_needs() {
    let role = ROLE.replace(
        "  allow:",
        "  identity: {type: Existing, roleArn: \"arn:aws:iam::111111111111:role/argocd\"}\n  allow:",
    );
    let (run, documents) = render(&both(&role, CLUSTERS), &[]);
    assert!(run.ok, "{}", run.err);
    let shown = &of(&documents, "managementRole", "default")["role"];
    assert_eq!(shown["arn"], "arn:aws:iam::111111111111:role/argocd");
    assert_eq!(
        shown["neededPermissions"]["Statement"][0]["Resource"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert!(shown.get("trustPolicy").is_none() && shown.get("inlinePolicies").is_none());

    let made = boot(
        &role,
        &Options {
            hub_account: None,
            ..options()
        },
    )
    .unwrap();
    assert!(made.accounts[0].managed_policies.is_empty());
    let provisioner = made.accounts[0].roles.last().unwrap();
    let json = provisioner.inline_policies["mooring-default"].to_json();
    assert!(
        !json.contains("iam:PutRolePolicy") && json.contains("iam:GetRole"),
        "{json}"
    );
    let elsewhere = boot(
        &role,
        &Options {
            hub_account: Some("222222222222".parse().unwrap()),
            ..options()
        },
    );
    assert!(
        elsewhere
            .unwrap_err()
            .to_string()
            .contains("identity.roleArn is in account 111111111111")
    );
}

#[test]
fn what_cannot_be_known_offline_is_asked_for() {
    let (run, _) = render(&both(ROLE, CLUSTERS), &[]);
    assert!(
        run.out.is_empty() && run.err.contains("add --hub-account with the 12 digits"),
        "{}",
        run.err
    );
    let (run, _) = render(CLUSTERS, &KNOWN);
    assert!(
        !run.ok
            && run
                .err
                .contains("names ManagementRole default, which is in none of the files"),
        "{}",
        run.err
    );
    let (run, documents) = render(&both(ROLE, CLUSTERS), &KNOWN[..2]);
    assert!(run.ok, "{}", run.err);
    let trust = of(&documents, "managementRole", "default")["role"]["trustPolicy"].to_string();
    assert!(
        trust.contains("<OIDC issuer of hub without https://, from eks:DescribeCluster>:sub"),
        "{trust}"
    );
}

#[test]
fn manifests_are_read_strictly_from_files_and_standard_input() {
    let directory = directory("strict");
    let (role, clusters) = (directory.join("role.yaml"), directory.join("clusters.yaml"));
    fs::write(
        &role,
        format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: argocd}}\n---{ROLE}"),
    )
    .unwrap();
    fs::write(&clusters, CLUSTERS.replace("labels:", "label:")).unwrap();
    let files = [role.to_str().unwrap(), clusters.to_str().unwrap()];
    let run = mooring(&[&["render", "-f"], &files[..], &KNOWN].concat(), "");
    assert!(!run.ok);
    assert!(
        run.err
            .contains("clusters.yaml, document 1, ManagedCluster prod-eu: spec.argocd.label is not a field"),
        "{}",
        run.err
    );
    assert!(run.err.contains("passed over Namespace v1"), "{}", run.err);
    assert!(run.out.contains("managedCluster: team"), "the others are shown");

    let run = mooring(&["render", "-f", "/nowhere.yaml"], "");
    assert!(
        !run.ok && run.err.contains("/nowhere.yaml cannot be read"),
        "{}",
        run.err
    );
    let run = mooring(&["render", "-f", "-"], "apiVersion: v1\nkind: Namespace\n");
    assert!(
        !run.ok && run.err.contains("there is no ManagedCluster or ManagementRole"),
        "{}",
        run.err
    );
    let run = mooring(&["bootstrap", "-f", "-"], CLUSTERS);
    assert!(
        !run.ok && run.err.contains("standard input holds no ManagementRole"),
        "{}",
        run.err
    );
    let two = format!("{ROLE}---{}", ROLE.replace("name: default", "name: second"));
    let run = mooring(&["bootstrap", "-f", "-"], &two);
    assert!(
        !run.ok && run.err.contains("holds 2 ManagementRoles (default, second)"),
        "{}",
        run.err
    );
}

#[test]
fn clusters_that_stand_in_each_others_way_are_told() {
    let second = CLUSTERS
        .replace("metadata: {name: team}", "metadata: {name: again}")
        .replace("  clusterName: shared\n", "  argocd: {name: prod-eu}\n");
    let (run, _) = render(&both(ROLE, &second), &KNOWN);
    assert!(
        !run.ok
            && run.err.contains(
                "ManagedCluster again and ManagedCluster prod-eu are both for cluster name prod-eu in Argo CD"
            ),
        "{}",
        run.err
    );
    let same = format!(
        "{CLUSTERS}---\n{}",
        CLUSTERS
            .split("---")
            .next()
            .unwrap()
            .replace("{name: prod-eu}", "{name: copy}")
            .replace("  access:", "  clusterName: prod-eu\n  access:")
    );
    let (run, _) = render(&both(ROLE, &same), &KNOWN);
    assert!(
        !run.ok
            && run
                .err
                .contains("are both for EKS cluster arn:aws:eks:eu-west-1:222222222222:cluster/prod-eu"),
        "{}",
        run.err
    );
}

#[test]
fn an_explicit_policy_that_does_not_fit_is_told() {
    let role = ROLE.replace("  allow:", "  assumePolicy: Explicit\n  allow:");
    let (_, documents) = render(&both(&role, CLUSTERS), &KNOWN);
    let policy = &of(&documents, "managementRole", "default")["role"]["inlinePolicies"]["mooring-assume-deployers"];
    let wanted: BTreeSet<_> = ["prod-eu", "team", "hub"]
        .map(|name| {
            of(&documents, "managedCluster", name)["deployerRole"]["arn"]
                .as_str()
                .unwrap()
        })
        .into();
    let found: BTreeSet<_> = policy["Statement"][0]["Resource"]
        .as_array()
        .unwrap()
        .iter()
        .map(|arn| arn.as_str().unwrap())
        .collect();
    assert_eq!(found, wanted);

    let one = CLUSTERS.split("---").next().unwrap();
    let many: Vec<_> = (0..200)
        .map(|n| one.replace("{name: prod-eu}", &format!("{{name: prod-{n}}}")))
        .collect();
    let (run, _) = render(&both(&role, &many.join("---")), &KNOWN);
    assert!(
        !run.ok
            && run
                .err
                .contains("ManagementRole default: the role's policy has no room for"),
        "{}",
        run.err
    );
}

#[test]
fn china_is_never_told_of_the_commercial_partition() {
    let china = |text: &str| {
        text.replace("eu-west-1", "cn-north-1")
            .replace("eu-central-1", "cn-northwest-1")
    };
    let issuer = "https://oidc.eks.cn-north-1.amazonaws.com.cn/id/ABC";
    let flags = ["--hub-account", "111111111111", "--hub-issuer", issuer];
    let (run, documents) = render(&both(&china(ROLE), &china(CLUSTERS)), &flags);
    assert!(run.ok, "{}", run.err);
    assert_eq!(
        of(&documents, "managedCluster", "prod-eu")["deployerRole"]["permissionsBoundary"],
        "arn:aws-cn:iam::aws:policy/AWSDenyAll"
    );
    let directory = directory("china");
    let booted = mooring(&[&["bootstrap", "-f", "-"], &flags[..]].concat(), &china(ROLE));
    let written = mooring(
        &[
            &["bootstrap", "-f", "-", "--output-dir", directory.to_str().unwrap()],
            &flags[..],
        ]
        .concat(),
        &china(ROLE),
    );
    assert!(booted.ok && written.ok, "{}", booted.err);
    let files: String = written
        .out
        .lines()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    for text in [&run.out, &booted.out, &booted.err, &files] {
        assert!(text.contains("arn:aws-cn:") && !text.contains("arn:aws:"), "{text}");
    }
    assert!(
        booted.out.contains("\"sts.amazonaws.com\""),
        "the audience is the same in China"
    );

    // A hub reaches no cluster of another partition.
    let (run, _) = render(&both(ROLE, &china(CLUSTERS)), &KNOWN);
    assert!(
        !run.ok && run.err.contains("a role is never assumed across partitions"),
        "{}",
        run.err
    );
}

#[test]
fn bootstrap_gives_the_hub_account_and_every_account_that_is_named() {
    let run = mooring(&[&["bootstrap", "-f", "-"], &KNOWN[..]].concat(), ROLE);
    assert!(run.ok, "{}", run.err);
    assert!(
        run.err
            .contains("eks.amazonaws.com/role-arn: arn:aws:iam::111111111111:role/mooring-operator"),
        "{}",
        run.err
    );
    let document: Value = serde_json::from_str(&run.out).unwrap();
    let accounts = document["accounts"].as_array().unwrap();
    let ids: Vec<_> = accounts
        .iter()
        .map(|account| account["accountId"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["111111111111", "222222222222", "333333333333"]);

    let hub = &accounts[0];
    assert_eq!(
        hub["oidcProviders"],
        json!([{"arn": format!("arn:aws:iam::111111111111:oidc-provider/{ISSUER}"), "url": format!("https://{ISSUER}"), "clientIds": ["sts.amazonaws.com"]}])
    );
    assert_eq!(hub["managedPolicies"][0]["name"], "mooring-management");
    means(
        &hub["managedPolicies"][0]["document"],
        &json!({"Version": "2012-10-17", "Statement": [{"Sid": "Deployers", "Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Resource": ids.iter().map(|account| format!("arn:aws:iam::{account}:{PATH}/*")).collect::<Vec<_>>()},
            {"Sid": "Itself", "Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Resource": "arn:aws:iam::111111111111:role/mooring/111111111111-eu-west-1-hub/management-default-b949815e"}]}),
    );
    let operator = &hub["roles"][0];
    assert_eq!(
        (&operator["name"], &operator["path"]),
        (&json!("mooring-operator"), &json!("/"))
    );
    // EKS user guide, "How EKS Pod Identity works"; pinned as the design's row 4 says.
    means(
        &operator["trustPolicy"],
        &json!({"Version": "2012-10-17", "Statement": [
            {"Sid": "PodIdentity", "Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": ["sts:AssumeRole", "sts:TagSession"],
                "Condition": {"StringEquals": {"aws:SourceAccount": "111111111111", "aws:RequestTag/eks-cluster-arn": HUB,
                    "aws:RequestTag/kubernetes-namespace": "mooring-system", "aws:RequestTag/kubernetes-service-account": "mooring-controller"}}},
            {"Sid": "Irsa", "Effect": "Allow", "Principal": {"Federated": format!("arn:aws:iam::111111111111:oidc-provider/{ISSUER}")}, "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": {format!("{ISSUER}:aud"): "sts.amazonaws.com", format!("{ISSUER}:sub"): "system:serviceaccount:mooring-system:mooring-controller"}}}]}),
    );
    means(
        &operator["inlinePolicies"]["mooring-default"],
        &json!({"Version": "2012-10-17", "Statement": [{"Sid": "Provisioners", "Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Resource": ids.iter().map(|account| format!("arn:aws:iam::{account}:role/mooring-provisioner")).collect::<Vec<_>>()}]}),
    );
    let verifier = &hub["roles"][1];
    assert_eq!(verifier["name"], "mooring-verifier");
    means(
        &verifier["inlinePolicies"]["mooring-default"],
        &json!({"Version": "2012-10-17", "Statement": [{"Sid": "Readers", "Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Resource": ids.iter().map(|account| format!("arn:aws:iam::{account}:role/mooring-reader")).collect::<Vec<_>>()}]}),
    );
    for account in accounts {
        let [.., provisioner, reader] = account["roles"].as_array().unwrap().as_slice() else {
            unreachable!()
        };
        assert_eq!(provisioner["name"], "mooring-provisioner");
        assert_eq!(reader["name"], "mooring-reader");
        means(
            &reader["trustPolicy"],
            &json!({"Version": "2012-10-17", "Statement": [{"Sid": "Readers111111111111", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
                "Action": ["sts:AssumeRole", "sts:TagSession"], "Condition": {"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::111111111111:role/mooring-verifier"}}}]}),
        );
        let looks = reader["inlinePolicies"]["mooring-default"].to_string();
        for writes in [
            "Create",
            "Delete",
            "Put",
            "Update",
            "Tag",
            "Associate",
            "Disassociate",
            "AddClient",
        ] {
            assert!(!looks.contains(&format!(":{writes}")), "{looks}");
        }
        means(
            &provisioner["trustPolicy"],
            &json!({"Version": "2012-10-17", "Statement": [{"Sid": "Operator", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
                "Action": ["sts:AssumeRole", "sts:TagSession"], "Condition": {"ArnEquals": {"aws:PrincipalArn": operator["arn"]}}}]}),
        );
        let policy = provisioner["inlinePolicies"]["mooring-default"].to_string();
        let own = account["accountId"] == "111111111111";
        assert_eq!(
            policy.contains("iam:PutRolePolicy"),
            own,
            "only the hub's account keeps the management role"
        );
        assert_eq!(
            policy.contains("AmazonEKSViewPolicy"),
            !own,
            "what allow gives, account by account"
        );
    }
}

#[test]
fn bootstrap_takes_one_account_and_names_those_that_are_left() {
    let everywhere = ROLE.replace("\"333333333333\"", "\"*\"");
    let all = boot(&everywhere, &options()).unwrap();
    assert_eq!(accounts(&all), ["111111111111", "222222222222"]);
    assert!(
        all.notes
            .iter()
            .any(|note| note.contains("run this again with --account")),
        "{:?}",
        all.notes
    );
    let one = boot(
        &everywhere,
        &Options {
            account: Some("444444444444".parse().unwrap()),
            ..options()
        },
    )
    .unwrap();
    assert_eq!(accounts(&one), ["444444444444"]);
    assert_eq!(one.notes, Vec::<String>::new());
    assert!(one.accounts[0].managed_policies.is_empty() && one.accounts[0].roles.len() == 2);

    let own = boot(
        ROLE,
        &Options {
            account: Some("111111111111".parse().unwrap()),
            ..options()
        },
    )
    .unwrap();
    assert_eq!(accounts(&own), ["111111111111"]);
    let stranger = boot(
        ROLE,
        &Options {
            account: Some("444444444444".parse().unwrap()),
            ..options()
        },
    );
    assert!(
        stranger
            .unwrap_err()
            .to_string()
            .contains("account 444444444444 is neither the hub's own nor in spec.allow")
    );
}

#[test]
fn bootstrap_says_what_it_cannot_do() {
    let run = mooring(&["bootstrap", "-f", "-"], ROLE);
    assert!(
        !run.ok && run.out.is_empty() && run.err.contains("add --hub-account"),
        "{}",
        run.err
    );
    let same = boot(
        ROLE,
        &Options {
            operator_role: "Mooring-Provisioner".parse().unwrap(),
            ..options()
        },
    );
    assert!(same.unwrap_err().to_string().contains("--operator-role"));
    let foreign = boot(
        ROLE,
        &Options {
            deployer_boundaries: vec!["arn:aws-cn:iam::222222222222:policy/b".parse().unwrap()],
            ..options()
        },
    );
    assert!(
        foreign
            .unwrap_err()
            .to_string()
            .contains("is in partition aws-cn, the hub in aws")
    );
    let wrong = boot(&ROLE.replace("\"222222222222\"", "\"2222*\""), &options());
    assert!(
        wrong
            .unwrap_err()
            .to_string()
            .contains("\"2222*\" is not an AWS account")
    );
    let entry = "  - accounts: [\"222222222222\"]\n    clusters: [a, b, c]\n    accessPolicies: [{name: AmazonEKSViewPolicy, scope: Cluster}]\n";
    let long = boot(&format!("{ROLE}{}", entry.repeat(4)), &options());
    assert!(
        long.unwrap_err()
            .to_string()
            .contains("role mooring-provisioner in account 222222222222 has")
    );
}

#[test]
fn own_boundaries_and_external_ids_go_where_they_belong() {
    let role = ROLE.replace(
        "  allow:",
        "  provisioner: {roleName: door, externalId: secret-word}\n  allow:",
    );
    let boundary = "arn:aws:iam::222222222222:policy/limit";
    let made = boot(
        &role,
        &Options {
            deployer_boundaries: vec![boundary.parse().unwrap()],
            ..options()
        },
    )
    .unwrap();
    for account in &made.accounts {
        let [.., provisioner, reader] = account.roles.as_slice() else {
            unreachable!()
        };
        assert_eq!(provisioner.name.as_str(), "door");
        let asked = &reader.trust_policy.statements[0].condition["StringEquals"]["sts:ExternalId"];
        assert_eq!(*asked, ["secret-word".to_owned()].into());
        let condition = &provisioner.trust_policy.statements[0].condition;
        assert_eq!(
            condition["StringEquals"]["sts:ExternalId"],
            ["secret-word".to_owned()].into()
        );
        let policy = provisioner.inline_policies["mooring-default"].to_json();
        assert_eq!(
            policy.contains(boundary),
            account.account_id.as_str() == "222222222222",
            "{policy}"
        );
        assert!(policy.contains("AWSDenyAll"), "the default stays good");
    }
}

#[test]
fn too_many_accounts_for_a_policy_become_every_account_and_that_is_said() {
    let many: Vec<_> = (0..199).map(|n| format!("\"{}\"", 200_000_000_000_u64 + n)).collect();
    let made = boot(&ROLE.replace("\"222222222222\"", &many.join(", ")), &options()).unwrap();
    let boundary = &made.accounts[0].managed_policies[0].document;
    assert_eq!(
        boundary.statements[0].resource,
        [format!("arn:aws:iam::*:{PATH}/*")].into()
    );
    let operator = &made.accounts[0].roles[0].inline_policies["mooring-default"];
    assert_eq!(
        operator.statements[0].resource,
        ["arn:aws:iam::*:role/mooring-provisioner".to_owned()].into()
    );
    assert_eq!(
        made.notes.iter().filter(|note| note.contains("too many for")).count(),
        2,
        "{:?}",
        made.notes
    );
}

#[test]
fn what_a_policy_cannot_say_and_what_owners_do_besides_is_told() {
    let told = |allow: &str| {
        let at = ROLE.find("  allow:").unwrap();
        let made = boot(&format!("{}  allow:\n{allow}", &ROLE[..at]), &options()).unwrap();
        made.notes.join("\n")
    };
    let role = "arn:aws:iam::222222222222:role/argocd-deployer";
    let named = told(&format!(
        "  - accounts: [\"222222222222\"]\n    deployerRoles: [\"{role}\"]\n"
    ));
    for command in [
        format!("`aws iam tag-role --role-name NAME --tags Key=mooring.dev/adopt,Value={HUB}`"),
        format!("`aws eks tag-resource --region REGION --resource-arn ENTRY-ARN --tags mooring.dev/adopt={HUB}`"),
    ] {
        assert!(named.contains(&command), "{named}");
    }
    assert!(!named.contains("hold for some clusters together"), "{named}");
    let first = "  - accounts: [\"222222222222\"]\n    clusters: [\"prod-*\"]\n    accessPolicies: [{name: AmazonEKSViewPolicy, scope: Cluster}]\n";
    for (clusters, tells) in [("*-eu", true), ("prod-eu", false), ("*", false), ("dev-*", false)] {
        let second = format!(
            "  - accounts: [\"222222222222\"]\n    clusters: [\"{clusters}\"]\n    deployerRoles: [\"{role}\"]\n"
        );
        let told = told(&format!("{first}{second}"));
        assert_eq!(
            told.contains("entries 1 and 2 of spec.allow hold for some clusters together"),
            tells,
            "{clusters}: {told}"
        );
    }
}

/// Stands in for the AWS CLI: tells its account, says what is there as told, and writes down what it is asked.
const AWS: &str = r#"#!/bin/sh
printf '%s\n' "$*" >> "$CALLS"
case "$1 $2" in
  "sts get-caller-identity") echo "$ACCOUNT" ;;
  "iam get-"*)
    if [ -z "$ROLE_OWNER" ]; then
      echo "An error occurred (${REFUSED:-NoSuchEntity}) when calling the operation" >&2
      exit 254
    fi
    case "$*" in
      *AssumeRolePolicyDocument*) cat "${STANDING:-role-$4-trust.json}" ;;
      *get-role*) printf '%s\t%s\t%s\n' "${ROLE_PATH:-/}" "$ROLE_OWNER" "${ROLE_UID:-None}" ;;
      *get-open-id*) echo "${AUDIENCE:-True}" ;;
      *get-policy*) printf '%s\t%s\n' "$ROLE_OWNER" "$OBJECT" ;;
    esac ;;
  "iam list-policies")
    [ -z "$POLICIES_REFUSED" ] || { echo "An error occurred ($POLICIES_REFUSED)" >&2; exit 254; }
    printf 'other\tarn:aws:iam::111111111111:policy/other\n%s\n' "$POLICIES" ;;
  "iam list-role-policies") echo "${SHARING:-}" ;;
  "iam list-policy-versions") case "$*" in *length*) echo 5 ;; *) echo v2 ;; esac ;;
esac
for argument in "$@"; do
  case "$argument" in file://*) [ -s "${argument#file://}" ] || exit 1 ;; esac
done
"#;

/// A `PATH` that finds the stand-in first.
#[cfg(unix)]
fn path_with_aws(directory: &Path) -> std::ffi::OsString {
    use std::os::unix::fs::PermissionsExt;

    let bin = directory.join("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("aws"), AWS).unwrap();
    fs::set_permissions(bin.join("aws"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&path))).unwrap()
}

/// What bootstrap writes into a directory.
#[cfg(unix)]
fn bootstrapped(directory: &Path) -> Run {
    let run = mooring(
        &[
            &["bootstrap", "-f", "-", "--output-dir", directory.to_str().unwrap()],
            &KNOWN[..],
        ]
        .concat(),
        ROLE,
    );
    assert!(run.ok, "{}", run.err);
    run
}

#[cfg(unix)]
#[test]
fn the_script_creates_and_updates() {
    let directory = directory("script");
    let run = bootstrapped(&directory);
    let printed: Value =
        serde_json::from_str(&mooring(&[&["bootstrap", "-f", "-"], &KNOWN[..]].concat(), ROLE).out).unwrap();
    let file =
        |name: &str| -> Value { serde_json::from_str(&fs::read_to_string(directory.join(name)).unwrap()).unwrap() };
    for account in ["111111111111", "222222222222"] {
        let script = directory.join(account).join("apply.sh");
        assert!(
            run.err.contains(&format!("mooring:   {}", script.display())),
            "{}",
            run.err
        );
    }
    let role = &printed["accounts"][1]["roles"][0];
    assert_eq!(
        file("222222222222/role-mooring-provisioner-trust.json"),
        role["trustPolicy"]
    );
    assert_eq!(
        file("222222222222/role-mooring-provisioner-policy.json"),
        role["inlinePolicies"]["mooring-default"]
    );
    assert_eq!(
        file("111111111111/policy-mooring-management.json"),
        printed["accounts"][0]["managedPolicies"][0]["document"]
    );

    let script = Script::in_directory(directory);
    let (ok, writes, err, asked) = script.run(&[]);
    assert!(ok, "{err}");
    let with = |first: &[&'static str], role: &[&'static str]| [first, &role.repeat(4)].concat();
    assert_eq!(
        writes,
        with(
            &["create-open-id-connect-provider", "create-policy"],
            &["create-role", "put-role-policy"]
        )
    );
    assert!(
        asked.contains(&format!("--tags Key=mooring.dev/hub,Value={HUB}")),
        "{asked}"
    );
    assert!(asked.contains("put-role-policy --role-name mooring-provisioner --policy-name mooring-default --policy-document file://role-mooring-provisioner-policy.json"), "{asked}");

    let policy = &["delete-policy-version", "create-policy-version"];
    let (ok, writes, err, _) = script.run(&[("ROLE_OWNER", HUB)]);
    assert!(ok, "{err}");
    let trusted = with(policy, &["update-assume-role-policy", "put-role-policy"]);
    assert_eq!(writes, trusted);

    let standing = script.directory.join("standing.json");
    fs::write(&standing, r#"{"Version": "2012-10-17", "Statement": []}"#).unwrap();
    let standing = standing.to_str().unwrap();
    let (ok, writes, err, _) = script.run(&[("ROLE_OWNER", HUB), ("STANDING", standing)]);
    assert!(ok, "{err}");
    assert_eq!(writes, trusted, "it alone says whom its roles let in");

    let shared = [
        ("ROLE_OWNER", HUB),
        ("STANDING", standing),
        ("SHARING", "mooring-other"),
    ];
    let (ok, writes, err, _) = script.run(&shared);
    assert!(
        !ok && writes.is_empty() && err.contains("(policies mooring-other)") && err.contains("--replace-trust"),
        "{writes:?} {err}"
    );
    let (ok, writes, err, _) = script.run_with(&shared, &["--replace-trust"]);
    assert!(ok, "{err}");
    assert_eq!(writes, trusted);
    let (ok, writes, err, _) = script.run(&[("ROLE_OWNER", HUB), ("SHARING", "mooring-other")]);
    assert!(ok, "{err}");
    assert_eq!(writes, trusted, "they say the same");
    for argument in ["--help", "--dry-run"] {
        let (ok, writes, err, asked) = script.run_with(&[("ROLE_OWNER", HUB)], &[argument]);
        assert!(
            !ok && writes.is_empty() && asked.is_empty() && err.contains("usage: sh apply.sh [--replace-trust]"),
            "{err}"
        );
    }
}

#[cfg(unix)]
#[test]
fn the_script_changes_nothing_where_one_thing_is_not_its_own() {
    let directory = directory("script-refuses");
    bootstrapped(&directory);
    let script = Script::in_directory(directory);
    let other = "arn:aws:eks:eu-west-1:111111111111:cluster/other";
    let standing = script.directory.join("standing.json");
    let statement =
        json!({"Sid": "TheirsToo", "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"});
    let document = json!({"Version": "2012-10-17", "Statement": [statement]});
    fs::write(&standing, serde_json::to_string_pretty(&document).unwrap()).unwrap();
    let standing = standing.to_str().unwrap();
    let readers = script.directory.join("readers.json");
    let statement = json!({
        "Effect": "Allow", "Action": "sts:AssumeRole",
        "Condition": {"ArnEquals": {"aws:PrincipalArn": ["arn:aws:iam::111111111111:role/some,person"]}},
    });
    let document = json!({"Version": "2012-10-17", "Statement": [statement]});
    fs::write(&readers, serde_json::to_string_pretty(&document).unwrap()).unwrap();
    let readers = readers.to_str().unwrap();
    let accounts = script.directory.join("accounts.json");
    let mut document: Value = serde_json::from_str(
        &fs::read_to_string(script.directory.join("111111111111/role-mooring-operator-trust.json")).unwrap(),
    )
    .unwrap();
    for statement in document["Statement"].as_array_mut().unwrap() {
        let asked = &mut statement["Condition"]["StringEquals"];
        if asked["aws:RequestTag/kubernetes-namespace"].is_null() {
            continue;
        }
        asked["aws:RequestTag/kubernetes-namespace"] = json!("platform");
        asked["aws:RequestTag/kubernetes-service-account"] = json!("op");
        // What changes and what is nobody's any more is nothing that is lost.
        asked["sts:ExternalId"] = json!(["of-before"]);
        statement["Principal"]["AWS"] = json!("AROAEXAMPLEOFONEGONE");
    }
    fs::write(&accounts, serde_json::to_string_pretty(&document).unwrap()).unwrap();
    let accounts = accounts.to_str().unwrap();
    let not_made = "role mooring-operator was not made by bootstrap for";
    for (environment, told) in [
        (
            &[("ACCOUNT", "222222222222")][..],
            "these documents are for account 111111111111, the credentials are of 222222222222",
        ),
        (&[("ROLE_OWNER", other)], "was not made for"),
        (&[("ROLE_OWNER", HUB), ("OBJECT", "other")], "was not made for"),
        (&[("ROLE_OWNER", HUB), ("ROLE_PATH", "/teams/")], not_made),
        (&[("ROLE_OWNER", HUB), ("ROLE_UID", "8f1e")], not_made),
        (&[("REFUSED", "AccessDenied")], "(AccessDenied)"),
        (
            &[("ROLE_OWNER", HUB), ("STANDING", standing)],
            r#"does not, or not so: "*" "TheirsToo". Run"#,
        ),
        (
            &[("ROLE_OWNER", HUB), ("STANDING", readers)],
            r#"does not, or not so: "arn:aws:iam::111111111111:role/some,person". Run"#,
        ),
        (
            &[("ROLE_OWNER", HUB), ("STANDING", accounts)],
            r#"does not, or not so: "op" "platform". Run"#,
        ),
        (
            &[("ROLE_OWNER", HUB), ("AUDIENCE", "False")],
            "aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn arn:aws:iam::111111111111:oidc-provider/",
        ),
        (
            &[(
                "POLICIES",
                "Mooring-Management\tarn:aws:iam::111111111111:policy/ci/Mooring-Management",
            )],
            "there is arn:aws:iam::111111111111:policy/ci/Mooring-Management",
        ),
        (&[("POLICIES_REFUSED", "Throttling")], "(Throttling)"),
    ] {
        let (ok, writes, err, _) = script.run(environment);
        assert!(
            !ok && writes.is_empty() && err.contains(told),
            "{environment:?} {writes:?} {err}"
        );
    }
}

/// The script of the hub's account, run with the stand-in for the AWS CLI.
#[cfg(unix)]
struct Script {
    directory: PathBuf,
    path: std::ffi::OsString,
}

#[cfg(unix)]
impl Script {
    fn in_directory(directory: PathBuf) -> Self {
        let path = path_with_aws(&directory);
        Self { directory, path }
    }

    fn run(&self, environment: &[(&str, &str)]) -> (bool, Vec<String>, String, String) {
        self.run_with(environment, &[])
    }

    /// Whether it succeeded, the writes that it asked for, its standard error, and all that it asked.
    fn run_with(&self, environment: &[(&str, &str)], arguments: &[&str]) -> (bool, Vec<String>, String, String) {
        let calls = self.directory.join("calls");
        let _ = fs::remove_file(&calls);
        // Whoever exports CDPATH, to a folder with the like in it, is not led there.
        let elsewhere = self.directory.join("elsewhere");
        fs::create_dir_all(elsewhere.join("111111111111")).unwrap();
        let output = Command::new("sh")
            .arg("111111111111/apply.sh")
            .args(arguments)
            .current_dir(&self.directory)
            .env("CDPATH", &elsewhere)
            .env("PATH", &self.path)
            .env("CALLS", &calls)
            .env("ACCOUNT", "111111111111")
            .env("OBJECT", "default")
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let asked = fs::read_to_string(&calls).unwrap_or_default();
        let writes = asked
            .lines()
            .filter(|line| !line.contains(" get-") && !line.contains(" list-"))
            .map(|line| line.split(' ').nth(1).unwrap().to_owned())
            .collect();
        (
            output.status.success(),
            writes,
            String::from_utf8(output.stderr).unwrap(),
            asked,
        )
    }
}

#[test]
fn the_definitions_are_printed() {
    let run = mooring(&["crd"], "");
    assert!(run.ok && run.err.is_empty());
    let names: Vec<Value> = serde_saphyr::from_multiple(&run.out).unwrap();
    let names: BTreeSet<_> = names
        .iter()
        .map(|crd| crd["metadata"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["managedclusters.mooring.dev", "managementroles.mooring.dev"].into()
    );
}

#[test]
fn people_may_look_by_the_reader_roles_alone() {
    let person =
        "arn:aws:iam::999999999999:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Platform_0123456789abcdef";
    let made = boot(
        ROLE,
        &Options {
            readers: vec![person.parse().unwrap()],
            ..options()
        },
    )
    .unwrap();
    for role in made.accounts.iter().flat_map(|account| &account.roles) {
        let named = role.trust_policy.to_json().contains(person);
        assert_eq!(named, role.name.as_str() == "mooring-reader", "{}", role.arn);
    }
    let elsewhere = Options {
        readers: vec!["arn:aws-cn:iam::999999999999:role/person".parse().unwrap()],
        ..options()
    };
    assert!(boot(ROLE, &elsewhere).unwrap_err().to_string().contains("--reader"));
    let same = Options {
        verifier_role: "Mooring-Reader".parse().unwrap(),
        ..options()
    };
    assert!(boot(ROLE, &same).unwrap_err().to_string().contains("--verifier-role"));
}

/// A script must not take a command that saw no cluster for one that found something.
#[test]
fn a_command_that_cannot_begin_says_so_by_a_code_of_its_own() {
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_mooring"))
            .args(args)
            .env("KUBECONFIG", "/nowhere/kubeconfig")
            .env("HOME", "/nowhere")
            .env_remove("KUBERNETES_SERVICE_HOST")
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let import = [
        "import",
        "--hub-cluster",
        "hub",
        "--hub-region",
        "eu-west-1",
        "--hub-account",
        "111111111111",
    ];
    for args in [
        &["doctor", "prod-eu"][..],
        &["plan", "--all"],
        &["revoke", "prod-eu"],
        &import,
    ] {
        let (code, said) = run(args);
        assert_eq!(code, Some(3), "{args:?}: {said}");
        assert!(
            said.starts_with("mooring: ") && said.contains("set KUBECONFIG to the kubeconfig of the hub"),
            "{said}"
        );
    }
    for args in [
        &["doctor", "--nonsense"][..],
        &["plan"],
        &["revoke"],
        &["import", "--hub-account", "111"],
        &["render"],
        &["nonsense"],
        &[],
    ] {
        let (code, said) = run(args);
        assert_eq!(code, Some(3), "{args:?}: {said}");
    }
    for args in [&["--help"][..], &["--version"], &["plan", "--help"]] {
        assert_eq!(run(args).0, Some(0), "{args:?}");
    }
    let (code, said) = run(&["plan", "-f", "/nowhere/x.yaml"]);
    assert_eq!(code, Some(3), "{said}");
}

#[test]
fn a_manifest_that_is_refused_is_told_from_a_command_that_did_not_begin() {
    let misspelt = ROLE.replace("allow:", "alow:");
    let beyond = both(
        ROLE,
        &CLUSTERS.replace("AmazonEKSClusterAdminPolicy", "AmazonEKSAdminPolicy"),
    );
    let nothing = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: x}\n";
    let whole = both(ROLE, CLUSTERS);
    let account = ["--hub-account", "111111111111"];
    let bootstrap = [&["bootstrap", "-f", "-"][..], &account].concat();
    let render = [&["render", "-f", "-"][..], &account].concat();
    let plan = vec!["plan", "-f", "-"];
    let elsewhere = [&bootstrap[..], &["--account", "999999999999"]].concat();
    let one_name = [&bootstrap[..], &["--verifier-role", "mooring-reader"]].concat();
    for (args, input, code) in [
        (&render, whole.as_str(), 0),
        (&render, &misspelt, 1),
        (&render, &beyond, 1),
        (&render, CLUSTERS, 1),
        (&render, nothing, 3),
        (&render[..3].to_vec(), &whole, 3),
        (&bootstrap, &whole, 0),
        (&bootstrap, &misspelt, 1),
        (&bootstrap, &ROLE.replace("\"111111111111\"", "\"1\""), 1),
        (&bootstrap, CLUSTERS, 3),
        (&bootstrap, nothing, 3),
        (&bootstrap[..3].to_vec(), &whole, 3),
        (&elsewhere, &whole, 3),
        (&one_name, &whole, 3),
        (&plan, &misspelt, 1),
    ] {
        let run = mooring(args, input);
        assert_eq!(run.code, Some(code), "{args:?}: {}", run.err);
        assert!(code == 0 || run.err.starts_with("mooring: "), "{args:?}: {}", run.err);
        assert!(code != 3 || run.out.is_empty(), "{args:?}: {}", run.out);
    }
}

/// What the environment gives is not shown as if it had to be given.
#[test]
fn the_usage_in_an_error_names_what_is_required_alone() {
    let usage = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_mooring"))
            .args(args)
            .env("AWS_CA_BUNDLE", "/nowhere/bundle.pem")
            .env("MOORING_READ_ONLY", "true")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(3), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    for (args, shows) in [
        (
            &["plan"][..],
            "Usage: mooring plan <--file <FILE>...|--all|--removal <NAME>>",
        ),
        (&["revoke"], "Usage: mooring revoke <CLUSTER>"),
        (&["revoke", "a", "b"], "Usage: mooring revoke [OPTIONS] <CLUSTER>"),
        (&["controller", "--nonsense"], "Usage: mooring controller [OPTIONS]"),
        (&["doctor", "-o", "yaml"], "[possible values: table, json]"),
    ] {
        let said = usage(args);
        assert!(
            said.contains(shows) && !said.contains("--ca-bundle"),
            "{args:?}: {said}"
        );
    }
}

/// EKS is asked in one region, and a person's own default may be another.
#[test]
fn every_command_for_eks_that_is_printed_names_its_region() {
    let mut folders = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    let mut commands = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            // A string goes on in the next line behind a backslash; documentation prints nothing.
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            let code: String = code.map(|line| line.trim().trim_end_matches('\\')).collect();
            for (at, _) in code.match_indices("aws eks ") {
                let command = one_command(&code[at..]);
                // What a cluster Secret may run is named, and nobody is told to run it.
                if command.starts_with("aws eks get-token") {
                    continue;
                }
                assert!(command.contains("--region"), "{}: {command}", path.display());
                commands += 1;
            }
        }
    }
    assert!(commands > 10, "{commands}");
}

/// A command at the beginning of code: it ends with the string that it stands in, with its backtick, or where another
/// begins.
fn one_command(code: &str) -> &str {
    let mut before = ' ';
    let ends = |(at, c): (usize, char)| {
        let quoted = std::mem::replace(&mut before, c) == '\\';
        let next = at > 0 && code[at..].starts_with("aws ");
        (c == '`' || c == '"' && !quoted || next).then_some(at)
    };
    let end = code.char_indices().find_map(ends);
    &code[..end.unwrap_or(code.len())]
}

#[test]
fn a_command_ends_where_its_string_or_the_next_one_does() {
    for (code, command) in [
        ("aws eks a --b `aws eks c --region d`", "aws eks a --b "),
        ("aws eks a --b; aws eks c --region d", "aws eks a --b; "),
        ("aws eks a\", \"aws eks c --region d\"", "aws eks a"),
        (
            "aws eks a '{\\\"b\\\":1}' --region d\", e",
            "aws eks a '{\\\"b\\\":1}' --region d",
        ),
    ] {
        assert_eq!(one_command(code), command);
    }
}

#[test]
fn a_directory_is_read_as_kubectl_reads_one() {
    let directory = directory("manifests");
    fs::write(directory.join("b.yaml"), CLUSTERS).unwrap();
    fs::write(directory.join("a.yml"), ROLE).unwrap();
    fs::write(directory.join("notes.txt"), "not: [a manifest").unwrap();
    fs::create_dir(directory.join("deeper.yaml")).unwrap();
    let at = directory.to_str().unwrap();
    let of = |files: &str| mooring(&[&["render", "-f", files], &KNOWN[..]].concat(), "");
    let whole = of(at);
    assert!(whole.ok, "{}", whole.err);
    let (from_input, _) = render(&format!("{ROLE}---{CLUSTERS}"), &KNOWN);
    assert_eq!(whole.out, from_input.out);
    let empty = of(directory.join("deeper.yaml").to_str().unwrap());
    assert!(
        !empty.ok && empty.err.contains("holds no file that ends in .json, .yaml, .yml"),
        "{}",
        empty.err
    );
}

#[test]
fn a_kind_that_is_misspelt_fails() {
    let (run, _) = render(
        &format!("{ROLE}---{}", CLUSTERS.replacen("ManagedCluster", "ManagedClustr", 1)),
        &KNOWN,
    );
    assert!(
        !run.ok && run.err.contains("no kind ManagedClustr: is ManagedCluster meant?"),
        "{}",
        run.err
    );
}
