//! The chain, proved: each hop broken by hand is told as that hop and no other, and holds again once it is mended.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use mooring_sandbox::{
    aws::{Effect, Fault},
    stage::Signal,
};
use serde_json::{Value, json};

use crate::support::{
    HUB_ACCOUNT, NAMESPACE, Setting, World, condition,
    hands::{document, policy_arn},
    manifest::{ADMIN, VIEW},
    verifier::SERVICE_ACCOUNTS,
};

const SPOKE: &str = "prod-eu";

/// What no output may hold: the beginnings of web identity tokens, of EKS tokens, and of STS's session tokens.
pub(crate) fn tells_no_token(text: &str) {
    for secret in ["eyJ", "k8s-aws-v1.", "X-Amz-Signature", "IQoJ", "FwoG"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

async fn world() -> World {
    let mut setting = Setting::of(&["222222222222/eu-central-1/prod-eu"]);
    setting.fleet = setting.fleet.with_servers();
    // What is broken by hand stays broken until it is mended by hand.
    setting.management["spec"]["bindServiceAccounts"] = json!(false);
    let world = World::ready(setting).await;
    world.with_verifier().await;
    world.moored(SPOKE).await;
    world
}

/// What is broken and mended by hand.
pub(crate) struct Hands<'a>(pub(crate) &'a World);

impl Hands<'_> {
    fn management(&self, operation: &str, mut input: Value) -> Value {
        input["RoleName"] = json!(self.0.hub().management_role_arn(None).name.as_str());
        self.0.iam(HUB_ACCOUNT, operation, input)
    }

    fn trust_of_management(&self) -> Value {
        document(&self.management("GetRole", json!({}))["Role"]["AssumeRolePolicyDocument"])
    }

    fn trust_management(&self, trust: &Value) {
        self.management("UpdateAssumeRolePolicy", json!({"PolicyDocument": trust.to_string()}));
    }

    fn provider(&self) -> String {
        let issuer = self.0.stage.fleet.hub.issuer();
        let host = issuer.strip_prefix("https://").unwrap();
        format!("arn:aws:iam::{HUB_ACCOUNT}:oidc-provider/{host}")
    }

    fn make_provider(&self, audience: &str) {
        let input = json!({"Url": self.0.stage.fleet.hub.issuer(), "ClientIDList": [audience]});
        self.0.iam(HUB_ACCOUNT, "CreateOpenIDConnectProvider", input);
    }

    fn drop_provider(&self) {
        let input = json!({"OpenIDConnectProviderArn": self.provider()});
        self.0.iam(HUB_ACCOUNT, "DeleteOpenIDConnectProvider", input);
    }

    fn associate(&self, policy: &str) {
        let input = json!({"policyArn": policy_arn(policy), "accessScope": {"type": "cluster"}});
        self.0.entry(SPOKE, "AssociateAccessPolicy", input);
    }

    pub(crate) fn disassociate(&self, policy: &str) {
        let input = json!({"policyArn": policy_arn(policy)});
        self.0.entry(SPOKE, "DisassociateAccessPolicy", input);
    }

    /// Makes the deployer role again, under the same name and with the same documents.
    fn remake_deployer(&self) {
        let arn = self.0.deployer(SPOKE);
        let seen = self.0.seen_role(SPOKE).unwrap();
        self.0.role(SPOKE, "DeleteRole", json!({}));
        let input = json!({
            "Path": arn.path, "AssumeRolePolicyDocument": seen.trust.to_string(), "PermissionsBoundary": seen.boundary,
        });
        self.0.role(SPOKE, "CreateRole", input);
    }

    async fn patch_secret(&self, name: &str, config: &str) {
        let patch = json!({"stringData": {"config": config}});
        let secrets = self.0.secrets();
        secrets
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
    }

    /// Holds when every hop is walked; told when not.
    pub(crate) async fn holds(&self) {
        let said = self.0.doctor(&[SPOKE]).await;
        assert_eq!((said.code, said.troubles()), (0, vec![]), "{}", said.text);
    }

    /// One hop is broken, for this reason, and no other is.
    pub(crate) async fn says(&self, hop: &str, reason: &str) -> String {
        let said = self.0.doctor(&[SPOKE]).await;
        assert_eq!(said.troubles(), [(hop.to_owned(), reason.to_owned())], "{}", said.text);
        tells_no_token(&said.text);
        assert_ne!(said.code, 0);
        said.text
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_hop_is_told_when_it_is_broken_and_holds_once_it_is_mended() {
    let world = world().await;
    // What is broken is to stay so until it is mended here.
    world.end_operator(Signal::Terminate).await;
    let hands = Hands(&world);
    hands.holds().await;
    service_accounts(&hands).await;
    exchange(&hands).await;
    deployer_role(&hands).await;

    // What the API server knows and allows.
    hands.associate(VIEW);
    hands.disassociate(ADMIN);
    let said = hands.says("Authorization", "ScopeTooNarrow").await;
    assert!(
        said.contains("use every verb on every resource in the whole cluster"),
        "{said}"
    );
    hands.associate(ADMIN);
    hands.holds().await;

    argo_cd(&hands).await;

    // Last what only the operator mends.
    let spec = world.cluster(SPOKE).clone();
    hands.remake_deployer();
    hands.says("Authentication", "StalePrincipal").await;
    world.entry(SPOKE, "DeleteAccessEntry", json!({}));
    hands.says("Authentication", "NoAccessEntry").await;
    let mode = |seed: &mut mooring_sandbox::aws::ClusterSeed| {
        seed.authentication_mode = mooring_sandbox::aws::AuthenticationMode::ConfigMap;
    };
    world
        .stage
        .aws
        .update_cluster(&spec.account, &spec.region, SPOKE, mode)
        .unwrap();
    hands.says("Authentication", "AuthenticationModeConfigMap").await;
    world.role(SPOKE, "DeleteRole", json!({}));
    hands.says("DeployerRole", "DeployerRoleMissing").await;
}

async fn service_accounts(hands: &Hands<'_>) {
    let world = hands.0;
    // Service accounts, and their pods.
    world.bind(SERVICE_ACCOUNTS[2], false).await;
    hands.says("ServiceAccount", "ServiceAccountNotAnnotated").await;
    world.bind(SERVICE_ACCOUNTS[2], true).await;
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "argocd-server-0", "namespace": NAMESPACE},
        "spec": {"serviceAccountName": SERVICE_ACCOUNTS[2], "containers": [{"name": "a", "image": "a"}]},
    });
    world.apply(&pod).await;
    hands.says("ServiceAccount", "PodsPredateBinding").await;
    let pods: Api<Pod> = Api::namespaced(world.stage.client().unwrap(), NAMESPACE);
    let now = DeleteParams::default().grace_period(0);
    pods.delete("argocd-server-0", &now).await.unwrap();

    // A service account that the manifests of the verifier do not name.
    let four: Vec<&str> = SERVICE_ACCOUNTS.into_iter().chain(["argocd-other"]).collect();
    world
        .patch("ManagementRole", "default", json!({"spec": {"serviceAccounts": four}}))
        .await;
    hands.says("ServiceAccount", "ServiceAccountMissing").await;
    world.bind("argocd-other", true).await;
    hands.says("Token", "TokenForbidden").await;
    world
        .patch(
            "ManagementRole",
            "default",
            json!({"spec": {"serviceAccounts": SERVICE_ACCOUNTS}}),
        )
        .await;
}

async fn exchange(hands: &Hands<'_>) {
    // The exchange.
    hands.drop_provider();
    hands.says("ManagementRole", "OidcProviderMissing").await;
    hands.make_provider("somebody-else");
    hands.says("ManagementRole", "AudienceNotTrusted").await;
    hands.drop_provider();
    hands.make_provider("sts.amazonaws.com");
    let trust = hands.trust_of_management();
    let other = |from: &str, to: &str| serde_json::from_str::<Value>(&trust.to_string().replace(from, to)).unwrap();
    hands.trust_management(&other("serviceaccount:argocd:", "serviceaccount:other:"));
    hands.says("ManagementRole", "SubjectNotTrusted").await;
    hands.trust_management(&other(r#":aud":"sts.amazonaws.com""#, r#":aud":"other""#));
    hands.says("ManagementRole", "AudienceNotTrusted").await;
    hands.trust_management(&other("\"Allow\"", "\"Deny\""));
    hands.says("ManagementRole", "RefusedByTrustPolicy").await;
    hands.trust_management(&trust);
    hands.holds().await;
}

async fn deployer_role(hands: &Hands<'_>) {
    let world = hands.0;
    // Into the deployer role: AWS says nothing of why across accounts, the documents do.
    let trusted = world.seen_role(SPOKE).unwrap().trust;
    let nobody = trusted.to_string().replace("management-default", "nobody");
    world.role(SPOKE, "UpdateAssumeRolePolicy", json!({"PolicyDocument": nobody}));
    hands.says("DeployerRole", "RefusedByTrustPolicy").await;
    world.role(
        SPOKE,
        "UpdateAssumeRolePolicy",
        json!({"PolicyDocument": trusted.to_string()}),
    );
    let policy = json!({"PolicyName": "mooring-assume-deployers"});
    let mut kept = policy.clone();
    kept["PolicyDocument"] =
        json!(document(&hands.management("GetRolePolicy", policy.clone())["PolicyDocument"]).to_string());
    hands.management("DeleteRolePolicy", policy);
    hands.says("DeployerRole", "RefusedByIdentityPolicy").await;
    hands.management("PutRolePolicy", kept);
    let boundary = |name: &str| json!({"PermissionsBoundary": name});
    hands.management(
        "PutRolePermissionsBoundary",
        boundary("arn:aws:iam::aws:policy/AWSDenyAll"),
    );
    hands.says("DeployerRole", "RefusedByPermissionsBoundary").await;
    let own = format!("arn:aws:iam::{HUB_ACCOUNT}:policy/mooring-management");
    hands.management("PutRolePermissionsBoundary", boundary(&own));
    let disabled = Effect::Error {
        status: 403,
        code: "RegionDisabledException",
        message: "STS is not activated in this region for account:222222222222.".to_owned(),
    };
    let fault = world.stage.aws.faults().add(Fault::on("AssumeRole", disabled)).unwrap();
    hands.says("DeployerRole", "RegionDisabled").await;
    world.stage.aws.faults().remove(fault);
    hands.holds().await;
}

async fn argo_cd(hands: &Hands<'_>) {
    let world = hands.0;
    // Argo CD's side.
    let broken = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "somebodys", "namespace": NAMESPACE, "labels": {"argocd.argoproj.io/secret-type": "cluster"}},
        "stringData": {"name": "x", "server": "https://x", "config": "{'bearerToken': 'hunter2'}"},
    });
    world.apply(&broken).await;
    let said = hands.says("ArgoCd", "ClusterSecretMalformed").await;
    assert!(said.contains("somebodys") && !said.contains("hunter2"), "{said}");
    world
        .secrets()
        .delete("somebodys", &DeleteParams::default())
        .await
        .unwrap();
    let secret = world.secret(SPOKE).await.unwrap();
    let name = secret.metadata.name.clone().unwrap();
    let config = String::from_utf8(secret.data.unwrap()["config"].0.clone()).unwrap();
    let other = world.stage.hub.ca_pem();
    let other = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, other);
    let mut wrong: Value = serde_json::from_str(&config).unwrap();
    wrong["tlsClientConfig"]["caData"] = json!(other);
    hands.patch_secret(&name, &wrong.to_string()).await;
    hands.says("Endpoint", "CertificateNotTrusted").await;
    hands.patch_secret(&name, &config.replace("prod-eu-", "other-")).await;
    hands.says("ArgoCd", "ClusterSecretDiffers").await;
    hands.patch_secret(&name, &config).await;
    hands.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_verifier_writes_one_condition_and_nobody_drops_what_the_other_wrote() {
    let world = world().await;
    let log = std::env::temp_dir().join(format!("mooring-verifier-{}.log", fastrand::u64(..)));
    let mut verifier = world.verifier(&["--interval", "5s", "--distance", "1s"], &log).await;
    let connected = |object: &Value, status: &str, reason: &str| {
        condition(object, "Connected").is_some_and(|(is, why, _)| is == status && why == reason)
    };
    let object = world
        .until("ManagedCluster", SPOKE, |object| {
            connected(object, "True", "ChainHolds")
        })
        .await;
    let managers = object["metadata"]["managedFields"].as_array().unwrap();
    let owned = |manager: &str| -> String {
        let of = managers
            .iter()
            .filter(|entry| entry["manager"] == manager && entry["subresource"] == "status");
        of.map(|entry| entry["fieldsV1"].to_string()).collect()
    };
    assert!(owned("mooring-verifier").contains("Connected") && !owned("mooring-verifier").contains("Ready"));
    assert!(owned("mooring").contains("Ready") && !owned("mooring").contains("Connected"));

    // The operator looks again, also after a restart, and has nothing to write.
    let audit = world.audit_mark().await;
    world.whole_pass("ManagedCluster", SPOKE).await;
    world.end_operator(Signal::Terminate).await;
    world.start_operator().await;
    world.whole_pass("ManagedCluster", SPOKE).await;
    let writes = world.kubernetes_writes(audit).await;
    let of_status: Vec<_> = writes
        .iter()
        .filter(|call| format!("{call:?}").contains("status"))
        .collect();
    assert!(of_status.is_empty(), "{of_status:#?}");

    // Broken by hand, told; mended by the operator, told.
    let before = world.get("ManagedCluster", SPOKE).await.unwrap();
    world.entry(SPOKE, "DeleteAccessEntry", json!({}));
    let broken = world
        .until("ManagedCluster", SPOKE, |object| {
            connected(object, "False", "NoAccessEntry")
        })
        .await;
    assert_eq!(
        condition(&broken, "Ready"),
        condition(&before, "Ready"),
        "Ready does not include it"
    );
    world.ask("ManagedCluster", SPOKE).await;
    world
        .until("ManagedCluster", SPOKE, |object| {
            connected(object, "True", "ChainHolds")
        })
        .await;

    // Where nothing changes nothing is written.
    let seen = world.get("ManagedCluster", SPOKE).await.unwrap();
    let user = "system:serviceaccount:mooring-system:mooring-verifier";
    let audit = world.audit_mark().await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    let writes = world.stage.hub.writes_by(user, audit).await.unwrap();
    let patches: Vec<_> = writes
        .iter()
        .filter(|call| format!("{call:?}").contains("status"))
        .collect();
    assert!(patches.is_empty(), "{patches:#?}");
    let again = world.get("ManagedCluster", SPOKE).await.unwrap();
    assert_eq!(
        seen["metadata"]["resourceVersion"],
        again["metadata"]["resourceVersion"]
    );
    // CloudTrail tells its sessions from Argo CD's.
    let named = |call: &mooring_sandbox::aws::Call| {
        call.text("RoleSessionName")
            .is_some_and(|name| name.starts_with("mooring-verify"))
    };
    assert!(
        world
            .stage
            .aws
            .log()
            .all()
            .iter()
            .any(|call| call.operation == "AssumeRoleWithWebIdentity" && named(call))
    );

    let pid = verifier.id().unwrap().to_string();
    std::process::Command::new("kill")
        .args(["-TERM", &pid])
        .status()
        .unwrap();
    assert!(verifier.wait().await.unwrap().success());
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::remove_file(&log).unwrap();
    tells_no_token(&text);
    assert!(
        text.contains("what is known of it changed") && !text.contains("panicked"),
        "{text}"
    );
}
