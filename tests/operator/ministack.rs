//! A second opinion on the wire: the same life of a fleet against ministack, an AWS that is not ours, with its policy
//! evaluation on. The operator is the binary that users run, on a real API server, with IRSA; it calls AWS's own hosts.
//! What stands on AWS is read from ministack by botocore, AWS's own client.
//!
//! ministack 1.5.33 checks signatures, and evaluates identity, trust, boundary and session policies; what it has to be
//! told about roles and access entries for that is in `tests/sandbox/ministack/serve.py`. What it does not model, and
//! what is therefore seen on the fake AWS only:
//!
//! - The signature of a web identity token: whoever writes the right claims comes in, so that only the claims are held
//!   to the trust policy here.
//! - The principal of a trust policy need not exist and is not pinned to an ID; role names differ by case and may have
//!   65 characters; an access entry may name a role that is not there, a group of `system:`, or a policy that is none.
//! - Permission to tag an access entry while it is made, and `iam:PassRole`.
//! - Pod Identity's agent: `aws:SourceAccount` is no key that it knows.
//! - Clusters that answer, that are being updated, or that have no access entries (`CONFIG_MAP`); AWS's being eventually
//!   consistent, its quotas and its throttling.

use std::collections::BTreeSet;
use std::time::Instant;

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use mooring::domain::{arn::RoleArn, hub::Hub};
use mooring_sandbox::{
    aws::{Relayed, contract::Service},
    control_plane::{ControlPlane, Options},
    ministack::{Ministack, Refused},
    stage::{self, ClusterSpec, Operator, OperatorOptions},
};
use serde_json::{Value, json};

use crate::support::{
    HUB_ACCOUNT, NAMESPACE, PATIENCE, Setting, arn,
    bootstrap::{self, OPERATOR_NAMESPACE, OPERATOR_ROLE, OPERATOR_SERVICE_ACCOUNT},
    folder,
    hands::{loose_trust, policy_arn},
    manifest::{ADMIN, EDIT, VIEW, managed_cluster},
};

const DENY_ALL: &str = "arn:aws:iam::aws:policy/AWSDenyAll";

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_is_made_kept_mended_and_let_go_on_an_aws_that_is_not_ours() {
    let ground = Ground::start(Setting::of(&[
        "222222222222/eu-west-1/first",
        "333333333333/eu-central-1/second",
    ]))
    .await;
    ground.create().await;
    ground.the_chain_is_what_ministack_evaluates().await;
    ground.resync().await;
    ground.drift().await;
    ground.resync().await;
    ground.remove().await;
    let refused: Vec<Relayed> = (ground.aws.asked().into_iter())
        .filter(|call| call.status == Some(403) || call.status.is_none_or(|status| status >= 500))
        .collect();
    assert!(refused.is_empty(), "the operator was refused: {refused:#?}");
}

/// A hub, ministack, and the operator.
struct Ground {
    operator: Operator,
    aws: Ministack,
    hub: ControlPlane,
    setting: Setting,
}

impl Ground {
    async fn start(setting: Setting) -> Self {
        let hub = ControlPlane::start(Options {
            issuer: Some(setting.fleet.hub.issuer()),
            ..Options::named("hub")
        })
        .await
        .unwrap();
        let aws = Ministack::start(&setting.fleet, &hub.ca_pem()).await.unwrap();
        for call in stage::set_up(&bootstrap::printed(&setting)).unwrap() {
            let of = (call.account.as_str(), "eu-west-1");
            let done = aws.call(of, Service::Iam, call.operation, call.input).await;
            done.unwrap_or_else(|refused| panic!("{} in {}: {refused}", call.operation, call.account));
        }
        let argocd = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        hub.apply_yaml(&argocd.to_string()).await.unwrap();
        for file in [
            "crds/managedclusters.yaml",
            "crds/managementroles.yaml",
            "deploy/install/00-namespace.yaml",
            "deploy/install/10-rbac.yaml",
        ] {
            let text = std::fs::read_to_string(folder(file)).unwrap();
            hub.apply_yaml(&text).await.unwrap();
        }
        let operator = Self::operator(&hub, &aws).await;
        Self {
            operator,
            aws,
            hub,
            setting,
        }
    }

    /// The operator as a pod with IRSA has it: a projected token, and the role that it is for.
    async fn operator(hub: &ControlPlane, aws: &Ministack) -> Operator {
        let token = hub.token(OPERATOR_NAMESPACE, OPERATOR_SERVICE_ACCOUNT, "sts.amazonaws.com");
        let file = hub.folder().join("web-identity-token");
        std::fs::write(&file, token.await.unwrap()).unwrap();
        let role_arn = format!("arn:aws:iam::{HUB_ACCOUNT}:role/{OPERATOR_ROLE}");
        let mut variables = aws.env();
        variables.push(("AWS_ROLE_ARN".to_owned(), role_arn.clone()));
        variables.push(("AWS_WEB_IDENTITY_TOKEN_FILE".to_owned(), file.display().to_string()));
        let flags = ["--log-format", "json", "--log-level", "info,mooring=debug"];
        let options = OperatorOptions {
            command: "controller",
            binary: env!("CARGO_BIN_EXE_mooring").into(),
            role_arn,
            namespace: OPERATOR_NAMESPACE.to_owned(),
            service_account: Some(OPERATOR_SERVICE_ACCOUNT.to_owned()),
            flags: flags.map(str::to_owned).to_vec(),
        };
        Operator::with_environment(hub, variables, &options).await.unwrap()
    }

    // The acts

    async fn create(&self) {
        self.apply(&self.setting.management).await;
        self.until("ManagementRole", "default", stage::is_ready).await;
        let held = json!({"access": {
            "policies": [{"name": VIEW}, {"name": EDIT, "namespaces": ["team-a", "team-b"]}],
            "kubernetesGroups": ["team-a"],
            "deployerRole": {"tags": {"cost-centre": "42"}},
        }});
        self.apply(&managed_cluster(self.spoke("first"), json!({}))).await;
        self.apply(&managed_cluster(self.spoke("second"), held)).await;
        for name in ["first", "second"] {
            self.until("ManagedCluster", name, stage::is_ready).await;
        }
        self.stands().await;
    }

    /// Everything that was made is as the specs say, by AWS's documentation and not by ours.
    async fn stands(&self) {
        let management = self.identity().management_role_arn(None);
        let role = self.role(HUB_ACCOUNT, management.name.as_str()).await.unwrap();
        let provider = self.provider();
        assert_eq!(role["Arn"], management.to_string());
        let boundary = format!("arn:aws:iam::{HUB_ACCOUNT}:policy/mooring-management");
        assert_eq!(role["PermissionsBoundary"]["PermissionsBoundaryArn"], boundary);
        let trust = &role["AssumeRolePolicyDocument"]["Statement"];
        assert_eq!(trust[0]["Principal"], json!({"Federated": provider}));
        for (name, account, region) in [
            ("first", "222222222222", "eu-west-1"),
            ("second", "333333333333", "eu-central-1"),
        ] {
            let object = self.get("ManagedCluster", name).await;
            let deployer = self.deployer(name);
            let role = self.role(account, deployer.name.as_str()).await.unwrap();
            assert_eq!(role["Arn"], deployer.to_string());
            let of_status = &object["status"]["deployerRole"];
            assert_eq!((&of_status["arn"], &of_status["id"]), (&role["Arn"], &role["RoleId"]));
            let expected = json!({"Version": "2012-10-17", "Statement": [{
                "Sid": "ManagementRole", "Effect": "Allow",
                "Principal": {"AWS": format!("arn:aws:iam::{HUB_ACCOUNT}:root")},
                "Action": ["sts:AssumeRole", "sts:TagSession"],
                "Condition": {"ArnEquals": {"aws:PrincipalArn": management.to_string()}},
            }]});
            assert_eq!(role["AssumeRolePolicyDocument"], expected, "{name}");
            assert_eq!(
                role["PermissionsBoundary"]["PermissionsBoundaryArn"], DENY_ALL,
                "{name}"
            );
            let of = (account, region);
            for (list, operation) in [
                ("PolicyNames", "ListRolePolicies"),
                ("AttachedPolicies", "ListAttachedRolePolicies"),
            ] {
                let carried = self
                    .iam(account, operation, json!({"RoleName": role["RoleName"]}))
                    .await;
                assert_eq!(carried[list], json!([]), "{name}");
            }
            let entry = self.entry(of, name).await.unwrap();
            assert_eq!(entry["type"], "STANDARD");
            let (groups, mut tags) = (
                &entry["kubernetesGroups"],
                json!({
                    "mooring.dev/hub": format!("arn:aws:eks:eu-west-1:{HUB_ACCOUNT}:cluster/hub"),
                    "mooring.dev/uid": object["metadata"]["uid"], "mooring.dev/object": name,
                }),
            );
            if name == "second" {
                tags["cost-centre"] = json!("42");
            }
            let on_role: serde_json::Map<String, Value> = (role["Tags"].as_array().unwrap().iter())
                .map(|tag| (tag["Key"].as_str().unwrap().to_owned(), tag["Value"].clone()))
                .collect();
            assert_eq!(json!(on_role), tags, "{name}");
            tags["mooring.dev/role-id"] = role["RoleId"].clone();
            assert_eq!(entry["tags"], tags, "{name}");
            let (expected, expected_groups) = if name == "first" {
                (
                    BTreeSet::from([(policy_arn(ADMIN), "cluster".to_owned(), Vec::new())]),
                    json!([]),
                )
            } else {
                let namespaces = vec!["team-a".to_owned(), "team-b".to_owned()];
                let view = (policy_arn(VIEW), "cluster".to_owned(), Vec::new());
                let edit = (policy_arn(EDIT), "namespace".to_owned(), namespaces);
                (BTreeSet::from([view, edit]), json!(["team-a"]))
            };
            assert_eq!(*groups, expected_groups, "{name}");
            assert_eq!(self.policies(of, name).await, expected, "{name}");
            self.secret(name, &role["Arn"]).await;
        }
    }

    /// Argo CD's service account comes to the deployer role by what was made, and nobody else does; the role itself may
    /// nothing. It is ministack that says so.
    async fn the_chain_is_what_ministack_evaluates(&self) {
        let management = self.identity().management_role_arn(None).to_string();
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": NAMESPACE}});
        for name in ["argocd-server", "somebody"] {
            let mut account = account.clone();
            account["metadata"]["name"] = json!(name);
            self.hub.apply_yaml(&account.to_string()).await.unwrap();
        }
        let enter = async |service_account: &str, audience: &str, role: &str| {
            let token = self.hub.token(NAMESPACE, service_account, audience).await.unwrap();
            let input = json!({"RoleArn": role, "RoleSessionName": "argocd", "WebIdentityToken": token});
            let of = (HUB_ACCOUNT, "eu-west-1");
            self.aws
                .call(of, Service::Sts, "AssumeRoleWithWebIdentity", input)
                .await
        };
        for refused in [
            enter("somebody", "sts.amazonaws.com", &management).await,
            enter("argocd-server", "https://example.com", &management).await,
        ] {
            assert_eq!(refused.unwrap_err().code, "AccessDenied");
        }
        let argocd = enter("argocd-server", "sts.amazonaws.com", &management).await.unwrap();
        let argocd = &argocd["Credentials"];
        let assume = async |credentials: &Value, role: &str| {
            let input = json!({"RoleArn": role, "RoleSessionName": "argocd"});
            self.aws
                .call_as(credentials, "eu-west-1", Service::Sts, "AssumeRole", input)
                .await
        };
        let root = json!({"AccessKeyId": HUB_ACCOUNT, "SecretAccessKey": "test"});
        for name in ["first", "second"] {
            let deployer = self.deployer(name).to_string();
            // The hub's root user may everything there, but is not the management role.
            assert_eq!(assume(&root, &deployer).await.unwrap_err().code, "AccessDenied");
            let session = assume(argocd, &deployer).await.unwrap();
            let spoke = self.spoke(name);
            let describe = json!({"name": name});
            let looked = self.aws.call_as(
                &session["Credentials"],
                &spoke.region,
                Service::Eks,
                "DescribeCluster",
                describe,
            );
            assert_eq!(looked.await.unwrap_err().code, "AccessDeniedException");
            // The way in of the operator is closed to Argo CD, by identity policy and by trust policy.
            let provisioner = format!("arn:aws:iam::{}:role/mooring-provisioner", spoke.account);
            assert_eq!(assume(argocd, &provisioner).await.unwrap_err().code, "AccessDenied");
            assert_eq!(assume(&root, &provisioner).await.unwrap_err().code, "AccessDenied");
        }
    }

    /// Passes over what is as it should be read, and write nothing. Passes over one object never overlap: when the second
    /// of each has begun, the first is over.
    async fn resync(&self) {
        let start = self.aws.asked().len();
        for name in ["first", "second", "first", "second"] {
            let before = self.aws.asked().len();
            self.ask("ManagedCluster", name).await;
            let looked =
                |call: &Relayed| call.operation == "ListAssociatedAccessPolicies" && call.input["clusterName"] == name;
            self.eventually("a pass", async || {
                self.aws.asked()[before..].iter().any(looked).then_some(())
            })
            .await;
        }
        let calls = self.aws.asked();
        let writes: Vec<&Relayed> = calls[start..].iter().filter(|call| writes(call)).collect();
        assert!(writes.is_empty(), "{writes:#?}");
    }

    /// Whatever is changed by hand comes back.
    async fn drift(&self) {
        let (first, second) = (("222222222222", "eu-west-1"), ("333333333333", "eu-central-1"));
        let role = json!({"RoleName": self.deployer("first").name.as_str()});
        let with = |mut input: Value, more: Value| {
            crate::support::manifest::merge(&mut input, more);
            input
        };
        let trust = json!({"PolicyDocument": loose_trust(HUB_ACCOUNT)});
        self.iam(first.0, "UpdateAssumeRolePolicy", with(role.clone(), trust))
            .await;
        self.iam(first.0, "DeleteRolePermissionsBoundary", role.clone()).await;
        self.iam(
            first.0,
            "UntagRole",
            with(role.clone(), json!({"TagKeys": ["mooring.dev/object"]})),
        )
        .await;
        let of_first = json!({"clusterName": "first", "principalArn": self.deployer("first").to_string()});
        let wider = json!({"policyArn": policy_arn(EDIT), "accessScope": {"type": "cluster"}});
        self.eks(first, "AssociateAccessPolicy", with(of_first.clone(), wider.clone()))
            .await;
        let lost = json!({"policyArn": policy_arn(ADMIN)});
        self.eks(first, "DisassociateAccessPolicy", with(of_first, lost)).await;

        let of_second = json!({"clusterName": "second", "principalArn": self.deployer("second").to_string()});
        self.eks(second, "AssociateAccessPolicy", with(of_second.clone(), wider))
            .await;
        self.mended("second").await;
        self.eks(second, "DeleteAccessEntry", of_second).await;
        for name in ["first", "second"] {
            self.mended(name).await;
        }
        let management = self.identity().management_role_arn(None);
        let policy = json!({
            "RoleName": management.name.as_str(), "PolicyName": "mooring-assume-deployers",
            "PolicyDocument": json!({"Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Action": "sts:*", "Resource": "*",
            }]}).to_string(),
        });
        let read = json!({"RoleName": management.name.as_str(), "PolicyName": "mooring-assume-deployers"});
        let before = self.iam(HUB_ACCOUNT, "GetRolePolicy", read.clone()).await;
        self.iam(HUB_ACCOUNT, "PutRolePolicy", policy).await;
        self.ask("ManagementRole", "default").await;
        self.eventually("the management policy is put back", async || {
            (self.iam(HUB_ACCOUNT, "GetRolePolicy", read.clone()).await == before).then_some(())
        })
        .await;
        self.stands().await;
    }

    /// Asks for passes until the last of them finds nothing to do.
    async fn mended(&self, name: &str) {
        let spoke = self.spoke(name).clone();
        let of = (spoke.account.as_str(), spoke.region.as_str());
        let policies = if name == "first" { 1 } else { 2 };
        self.ask("ManagedCluster", name).await;
        self.eventually("drift is mended", async || {
            let role = self.role(of.0, self.deployer(name).name.as_str()).await.ok()?;
            let tags = role["Tags"].as_array()?;
            let whole = role["PermissionsBoundary"]["PermissionsBoundaryArn"] == DENY_ALL
                && role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"].is_object()
                && tags.iter().any(|tag| tag["Key"] == "mooring.dev/object");
            self.entry(of, name).await.ok()?;
            let held = self.policies(of, name).await;
            let wider = (policy_arn(EDIT), "cluster".to_owned(), Vec::new());
            (whole && held.len() == policies && !held.contains(&wider)).then_some(())
        })
        .await;
    }

    /// Deleting leaves nothing of ours anywhere.
    async fn remove(&self) {
        for (kind, names) in [
            ("ManagedCluster", ["first", "second"].as_slice()),
            ("ManagementRole", &["default"]),
        ] {
            for name in names {
                self.api(kind).delete(name, &DeleteParams::default()).await.unwrap();
            }
            for name in names {
                self.until(kind, name, Value::is_null).await;
            }
        }
        for cluster in self.setting.fleet.clusters() {
            let roles = self
                .iam(&cluster.account, "ListRoles", json!({"PathPrefix": "/mooring/"}))
                .await;
            assert_eq!(roles["Roles"], json!([]));
            let of = (cluster.account.as_str(), cluster.region.as_str());
            let entries = self
                .eks(of, "ListAccessEntries", json!({"clusterName": cluster.name}))
                .await;
            assert_eq!(entries["accessEntries"], json!([]));
        }
        let secrets: Api<Secret> = Api::namespaced(self.hub.admin().unwrap(), NAMESPACE);
        assert_eq!(secrets.list(&ListParams::default()).await.unwrap().items.len(), 0);
        // It is shared with others, and was there before.
        let provider = self.provider();
        self.iam(
            HUB_ACCOUNT,
            "GetOpenIDConnectProvider",
            json!({"OpenIDConnectProviderArn": provider}),
        )
        .await;
    }

    // What is there

    fn identity(&self) -> Hub {
        Hub {
            cluster: arn(&self.setting.fleet.hub),
            management_role: "default".parse().unwrap(),
        }
    }

    /// The ARN of the hub's OIDC provider.
    fn provider(&self) -> String {
        let issuer = self.setting.fleet.hub.issuer();
        let host = issuer.trim_start_matches("https://");
        format!("arn:aws:iam::{HUB_ACCOUNT}:oidc-provider/{host}")
    }

    fn spoke(&self, name: &str) -> &ClusterSpec {
        self.setting
            .fleet
            .spokes
            .iter()
            .find(|spoke| spoke.name == name)
            .unwrap()
    }

    fn deployer(&self, name: &str) -> RoleArn {
        self.identity().deployer_role(&arn(self.spoke(name)))
    }

    async fn iam(&self, account: &str, operation: &str, input: Value) -> Value {
        let answer = self
            .aws
            .call((account, "eu-west-1"), Service::Iam, operation, input)
            .await;
        answer.unwrap_or_else(|refused| panic!("{operation}: {refused}"))
    }

    async fn eks(&self, of: (&str, &str), operation: &str, input: Value) -> Value {
        let answer = self.aws.call(of, Service::Eks, operation, input).await;
        answer.unwrap_or_else(|refused| panic!("{operation}: {refused}"))
    }

    async fn role(&self, account: &str, name: &str) -> Result<Value, Refused> {
        let input = json!({"RoleName": name});
        let answer = self
            .aws
            .call((account, "eu-west-1"), Service::Iam, "GetRole", input)
            .await?;
        Ok(answer["Role"].clone())
    }

    async fn entry(&self, of: (&str, &str), cluster: &str) -> Result<Value, Refused> {
        let input = json!({"clusterName": cluster, "principalArn": self.deployer(cluster).to_string()});
        let answer = self.aws.call(of, Service::Eks, "DescribeAccessEntry", input).await?;
        Ok(answer["accessEntry"].clone())
    }

    /// The access policies of a deployer: ARN, type of scope, namespaces.
    async fn policies(&self, of: (&str, &str), cluster: &str) -> BTreeSet<(String, String, Vec<String>)> {
        let input = json!({"clusterName": cluster, "principalArn": self.deployer(cluster).to_string()});
        let answer = self.eks(of, "ListAssociatedAccessPolicies", input).await;
        let texts = |value: &Value| -> Vec<String> {
            let texts = value.as_array().into_iter().flatten().filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        };
        let policy = |policy: &Value| {
            let scope = &policy["accessScope"];
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let mut namespaces = texts(&scope["namespaces"]);
            namespaces.sort();
            (text(&policy["policyArn"]), text(&scope["type"]), namespaces)
        };
        answer["associatedAccessPolicies"]
            .as_array()
            .unwrap()
            .iter()
            .map(policy)
            .collect()
    }

    /// Argo CD's Secret of a cluster leads to the endpoint that ministack gives, by the role that ministack has.
    async fn secret(&self, name: &str, role: &Value) {
        let secrets: Api<Secret> = Api::namespaced(self.hub.admin().unwrap(), NAMESPACE);
        let secrets = secrets.list(&ListParams::default()).await.unwrap();
        let text = |secret: &Secret, key: &str| {
            let data = secret.data.as_ref().unwrap();
            String::from_utf8(data[key].0.clone()).unwrap()
        };
        let secret = secrets
            .items
            .iter()
            .find(|secret| text(secret, "name") == name)
            .unwrap();
        assert_eq!(text(secret, "server"), self.spoke(name).endpoint());
        let config: Value = serde_json::from_str(&text(secret, "config")).unwrap();
        assert_eq!(config["awsAuthConfig"], json!({"clusterName": name, "roleARN": role}));
    }

    // Objects, and waiting for them

    fn api(&self, kind: &str) -> Api<kube::api::DynamicObject> {
        stage::mooring(self.hub.admin().unwrap(), kind)
    }

    async fn apply(&self, manifest: &Value) {
        self.hub.apply_yaml(&manifest.to_string()).await.unwrap();
    }

    async fn get(&self, kind: &str, name: &str) -> Value {
        serde_json::to_value(self.api(kind).get(name).await.unwrap()).unwrap()
    }

    async fn ask(&self, kind: &str, name: &str) {
        let now = format!("{}", self.aws.asked().len());
        let patch = json!({"metadata": {"annotations": {"mooring.dev/reconcile-requested-at": now}}});
        self.api(kind)
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
    }

    async fn until(&self, kind: &str, name: &str, what: impl Fn(&Value) -> bool) -> Value {
        let found = stage::wait(&self.api(kind), kind, name, PATIENCE, what).await;
        found.unwrap_or_else(|error| panic!("{}\n{error}", self.told()))
    }

    async fn eventually<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(Instant::now() < deadline, "{}\nstill not: {what}", self.told());
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }

    /// The end of what was logged, and what ministack refused.
    fn told(&self) -> String {
        let refused = |call: &Relayed| {
            Some(format!(
                "{} {:?}: {}",
                call.operation,
                call.input,
                call.refusal.as_ref()?
            ))
        };
        let refused: Vec<String> = self.aws.asked().iter().filter_map(refused).collect();
        format!(
            "{}\nministack's log: {}\nrefused: {refused:#?}",
            crate::support::tail(&self.operator.log_text()),
            self.aws.log_tail()
        )
    }
}

/// `AssumeRole` and its kind change nothing.
fn writes(call: &Relayed) -> bool {
    call.write && call.service != Service::Sts
}
