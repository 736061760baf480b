//! The verifier and the doctor at work, and what is done by hand to break a hop.

use std::time::Duration;

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use mooring_sandbox::stage::Signal;
use serde_json::{Value, json};

use crate::{
    apart::opened,
    hops::{decoded, encoded},
    support::{
        HUB_ACCOUNT, NAMESPACE, Setting, World, condition,
        hands::{document, iam_tags, policy_arn},
        secrets::tells_no_token,
    },
};

pub(crate) const SPOKE: &str = "prod-eu";

/// Whether `Connected` has this status and reason.
pub(crate) fn connected(object: &Value, status: &str, reason: &str) -> bool {
    condition(object, "Connected").is_some_and(|(is, why, _)| is == status && why == reason)
}

/// A world with one moored cluster, and all that the verifier is given.
pub(crate) async fn world(flags: &[&str]) -> World {
    let mut setting = Setting::of(&["222222222222/eu-central-1/prod-eu"]).flag(flags);
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
    pub(crate) fn management(&self, operation: &str, mut input: Value) -> Value {
        input["RoleName"] = json!(self.0.hub().management_role_arn(None).name.as_str());
        self.0.iam(HUB_ACCOUNT, operation, input)
    }

    pub(crate) fn trust_of_management(&self) -> Value {
        document(&self.management("GetRole", json!({}))["Role"]["AssumeRolePolicyDocument"])
    }

    pub(crate) fn trust_management(&self, trust: &Value) {
        self.management("UpdateAssumeRolePolicy", json!({"PolicyDocument": trust.to_string()}));
    }

    fn provider(&self) -> String {
        let issuer = self.0.stage.fleet.hub.issuer();
        let host = issuer.strip_prefix("https://").unwrap();
        format!("arn:aws:iam::{HUB_ACCOUNT}:oidc-provider/{host}")
    }

    pub(crate) fn make_provider(&self, audience: &str) {
        let input = json!({"Url": self.0.stage.fleet.hub.issuer(), "ClientIDList": [audience]});
        self.0.iam(HUB_ACCOUNT, "CreateOpenIDConnectProvider", input);
    }

    pub(crate) fn drop_provider(&self) {
        let input = json!({"OpenIDConnectProviderArn": self.provider()});
        self.0.iam(HUB_ACCOUNT, "DeleteOpenIDConnectProvider", input);
    }

    pub(crate) fn associate(&self, policy: &str) {
        let input = json!({"policyArn": policy_arn(policy), "accessScope": {"type": "cluster"}});
        self.0.entry(SPOKE, "AssociateAccessPolicy", input);
    }

    pub(crate) fn disassociate(&self, policy: &str) {
        let input = json!({"policyArn": policy_arn(policy)});
        self.0.entry(SPOKE, "DisassociateAccessPolicy", input);
    }

    /// Makes the deployer role again, under the same name and with the same documents and tags.
    pub(crate) fn remake_deployer(&self) {
        let arn = self.0.deployer(SPOKE);
        let seen = self.0.seen_role(SPOKE).unwrap();
        self.0.role(SPOKE, "DeleteRole", json!({}));
        let input = json!({
            "Path": arn.path, "AssumeRolePolicyDocument": seen.trust.to_string(), "PermissionsBoundary": seen.boundary,
            "Tags": iam_tags(&seen.tags),
        });
        self.0.role(SPOKE, "CreateRole", input);
    }

    /// Writes keys of the cluster Secret over.
    pub(crate) async fn patch_secret(&self, name: &str, data: Value) {
        let patch = json!({"stringData": data});
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
async fn the_verifier_writes_one_condition_and_nobody_drops_what_the_other_wrote() {
    let world = world(&[]).await;
    let mut verifier = world.verifier(&["--interval", "5s", "--distance", "1s"]).await;
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
    // CloudTrail tells its sessions from Argo CD's, at either hop.
    let sessions = world.stage.aws.log().all();
    let name = |call: &mooring_sandbox::aws::Call| call.text("RoleSessionName").unwrap_or_default().to_owned();
    let deployer = world.deployer(SPOKE).to_string();
    for (operation, role, expected) in [
        ("AssumeRoleWithWebIdentity", "management", "mooring-verify-hub"),
        ("AssumeRole", deployer.as_str(), "mooring-verify-prod-eu"),
    ] {
        let into = |call: &&mooring_sandbox::aws::Call| {
            call.operation == operation && call.text("RoleArn").is_some_and(|arn| arn.contains(role))
        };
        let names: std::collections::BTreeSet<String> = sessions.iter().filter(into).map(name).collect();
        assert_eq!(names, [expected.to_owned()].into(), "{operation}");
    }

    assert!(verifier.terminate().await.success());
    let text = verifier.log();
    tells_no_token(&text);
    assert!(
        text.contains("what is known of it changed") && !text.contains("panicked"),
        "{text}"
    );
}

/// Argo CD's definition of AppProjects, cut down to what a watch needs, and the project that every Argo CD has.
pub(crate) async fn with_projects(world: &World) {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    world
        .apply(&json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "appprojects.argoproj.io"},
            "spec": {
                "group": "argoproj.io", "scope": "Namespaced", "names": {"kind": "AppProject", "plural": "appprojects"},
                "versions": [{"name": "v1alpha1", "served": true, "storage": true, "schema": schema}],
            },
        }))
        .await;
    let applied = async || {
        let project = project("*").to_string();
        world.stage.hub.apply_yaml(&project).await.ok()
    };
    world.eventually("AppProjects are served", applied).await;
}

/// The project `default`, which admits what has this name in Argo CD.
pub(crate) fn project(admits: &str) -> Value {
    let destinations = json!([{"name": admits, "namespace": "*"}]);
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
        "metadata": {"name": "default", "namespace": NAMESPACE}, "spec": {"destinations": destinations},
    })
}

/// Somebody's cluster Secret that Argo CD cannot read.
pub(crate) fn malformed() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "somebodys", "namespace": NAMESPACE, "labels": {"argocd.argoproj.io/secret-type": "cluster"}},
        "stringData": {"name": "x", "server": "https://x", "config": "{'bearerToken': 'hunter2'}"},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_at_argo_cds_side_is_told_when_it_is_made_and_nobody_else_is_asked() {
    let world = world(&[]).await;
    with_projects(&world).await;
    // Nothing comes by the schedule.
    let verifier = world.verifier(&["--interval", "3h", "--distance", "1s"]).await;
    let until = async |status: &str, reason: &str| {
        let found = world
            .until("ManagedCluster", SPOKE, |object| connected(object, status, reason))
            .await;
        condition(&found, "Connected").unwrap().2
    };
    until("True", "ChainHolds").await;
    let mark = world.mark();
    world.apply(&malformed()).await;
    let message = until("False", "ClusterSecretMalformed").await;
    assert!(
        message.contains("somebodys") && !message.contains("hunter2"),
        "{message}"
    );
    world
        .secrets()
        .delete("somebodys", &DeleteParams::default())
        .await
        .unwrap();
    until("True", "ChainHolds").await;
    world.apply(&project("another")).await;
    until("False", "NoProjectAdmits").await;
    world.apply(&project("prod-*")).await;
    until("True", "ChainHolds").await;
    let walks = |call: &mooring_sandbox::aws::Call| {
        call.text("RoleSessionName")
            .is_some_and(|name| name.starts_with("mooring-verify"))
    };
    let walked: Vec<_> = world.stage.aws.log().since(mark).into_iter().filter(walks).collect();
    assert!(walked.is_empty(), "{walked:#?}");
    // Where the chain begins is another matter: that is walked, also while no operator tells of it.
    world.end_operator(Signal::Terminate).await;
    world.bind("argocd-server", false).await;
    until("False", "ServiceAccountNotAnnotated").await;
    world.bind("argocd-server", true).await;
    until("True", "ChainHolds").await;
    let accounts = Api::<ServiceAccount>::namespaced(world.stage.client().unwrap(), NAMESPACE);
    accounts
        .delete("argocd-server", &DeleteParams::default())
        .await
        .unwrap();
    until("False", "ServiceAccountMissing").await;
    world.bind("argocd-server", true).await;
    until("True", "ChainHolds").await;
    // The cluster's own Secret is another matter: that is walked.
    let paused = json!({"metadata": {"annotations": {"mooring.dev/paused": "true"}}});
    world.patch("ManagedCluster", SPOKE, paused).await;
    let secret = world.secret(SPOKE).await.unwrap().metadata.name.unwrap();
    Hands(&world)
        .patch_secret(&secret, json!({"server": "https://me:hunter2@elsewhere.example"}))
        .await;
    let message = until("False", "DestinationDiffers").await;
    assert!(
        message.contains("https://<not shown>@elsewhere.example") && message.contains("mooring.dev/paused-"),
        "{message}"
    );
    let text = verifier.log();
    assert!(!text.contains("hunter2"), "{text}");
}

/// A look at the hub that found all well is kept for minutes; what is refused meanwhile is judged by what stands now.
#[tokio::test(flavor = "multi_thread")]
async fn two_breaks_in_a_row_are_each_told_for_what_they_are() {
    let world = world(&[]).await;
    let hands = Hands(&world);
    for (kind, name) in [("ManagementRole", "default"), ("ManagedCluster", SPOKE)] {
        let paused = json!({"metadata": {"annotations": {"mooring.dev/paused": "true"}}});
        world.patch(kind, name, paused).await;
    }
    let verifier = world.verifier(&["--interval", "3h", "--distance", "1s"]).await;
    let walked = async |number: u32, status: &str, reason: &str| {
        let label = json!({"spec": {"argocd": {"labels": {"number": number.to_string()}}}});
        world.patch("ManagedCluster", SPOKE, label).await;
        world
            .until("ManagedCluster", SPOKE, |object| connected(object, status, reason))
            .await;
    };
    walked(0, "True", "ChainHolds").await;

    let trusted = world.seen_role(SPOKE).unwrap().trust.to_string();
    let nobody = trusted.replace("management-default", "nobody");
    world.role(SPOKE, "UpdateAssumeRolePolicy", json!({"PolicyDocument": nobody}));
    walked(1, "False", "RefusedByTrustPolicy").await;
    world.role(SPOKE, "UpdateAssumeRolePolicy", json!({"PolicyDocument": trusted}));
    walked(2, "True", "ChainHolds").await;

    // Longer than one reading of the documents explains, and much shorter than the look at the hub lasts.
    tokio::time::sleep(Duration::from_secs(11)).await;
    let named = json!({"PolicyName": "mooring-assume-deployers"});
    let allowed = document(&hands.management("GetRolePolicy", named.clone())["PolicyDocument"]);
    hands.management("DeleteRolePolicy", named);
    walked(3, "False", "RefusedByIdentityPolicy").await;
    let policy = json!({"PolicyName": "mooring-assume-deployers", "PolicyDocument": allowed.to_string()});
    hands.management("PutRolePolicy", policy);
    walked(4, "True", "ChainHolds").await;

    // The session that the look at the hub brought lives on at AWS for a while; its role does not.
    tokio::time::sleep(Duration::from_secs(11)).await;
    hands.management("DeleteRolePolicy", json!({"PolicyName": "mooring-assume-deployers"}));
    hands.management("DeleteRole", json!({}));
    walked(5, "False", "ManagementRoleMissing").await;
    let text = verifier.log();
    tells_no_token(&text);
}

/// The operator records what EKS gives after it has written the Secret: in between, the record is the older one.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_has_what_eks_gives_by_now_is_followed_whatever_was_recorded() {
    let world = world(&[]).await;
    let hands = Hands(&world);
    world.end_operator(Signal::Terminate).await;
    // Two certificate authorities, as while EKS rotates from one to the other.
    let other = world.stage.hub.ca_pem();
    let (mut one, mut both) = (String::new(), String::new());
    hands.cluster_is(|seed| {
        one.clone_from(&seed.ca_data);
        both = encoded(&format!("{}{other}", decoded(&one)));
        seed.ca_data.clone_from(&both);
    });
    let secret = world.secret(SPOKE).await.unwrap();
    let config = &secret.data.unwrap()["config"].0;
    let mut config: Value = serde_json::from_slice(config).unwrap();
    config["tlsClientConfig"]["caData"] = json!(both);
    let name = secret.metadata.name.unwrap();
    hands.patch_secret(&name, json!({"config": config.to_string()})).await;
    hands.holds().await;
    // What EKS does not give is still nowhere that a token is sent.
    hands.cluster_is(|seed| seed.ca_data = one);
    hands.says("Endpoint", "DestinationDiffers").await;
}

/// What was said of an object does not outlive that it can be read.
#[tokio::test(flavor = "multi_thread")]
async fn of_what_cannot_be_read_any_more_nothing_is_said_to_hold() {
    let world = world(&[]).await;
    // Nothing comes by the schedule.
    let verifier = world.verifier(&["--interval", "3h", "--distance", "1s"]).await;
    let until = async |status: &str, reason: &str, says: &str| {
        let told = |object: &Value| {
            let message = condition(object, "Connected").unwrap_or_default().2;
            connected(object, status, reason) && message.contains(says)
        };
        world.until("ManagedCluster", SPOKE, told).await
    };
    let access = until("True", "ChainHolds", "").await["spec"]["access"].clone();
    let allow = world.get("ManagementRole", "default").await.unwrap()["spec"]["allow"].clone();
    opened(&world, "managementroles", "ManagementRole", "default").await;
    opened(&world, "managedclusters", "ManagedCluster", SPOKE).await;
    let wrong = json!({"spec": {"allow": "everything"}});
    world.patch("ManagementRole", "default", wrong).await;
    until("Unknown", "NotMoored", "ManagementRole default cannot be read").await;
    world
        .patch("ManagementRole", "default", json!({"spec": {"allow": allow}}))
        .await;
    until("True", "ChainHolds", "").await;
    let wrong = json!({"spec": {"access": "everything"}});
    world.patch("ManagedCluster", SPOKE, wrong).await;
    until("Unknown", "NotMoored", "ManagedCluster prod-eu cannot be read").await;
    world
        .patch("ManagedCluster", SPOKE, json!({"spec": {"access": access}}))
        .await;
    until("True", "ChainHolds", "").await;
    assert!(!verifier.log().contains("panicked"));
}
