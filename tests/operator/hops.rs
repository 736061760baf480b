//! The chain, proved: any one hop broken by hand is told by `Connected` and by the doctor as that hop, for that reason,
//! and no other; and mended, by hand or by the operator, it holds again. All the while nothing that operator, verifier
//! and doctor write anywhere holds a token, however much they are asked to log.

use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use mooring::access::{Hop, Reason};
use mooring_sandbox::aws::{AuthenticationMode, ClusterSeed, Effect, Fault, FaultId};
use serde_json::{Value, json};

use crate::{
    connected::{Hands, SPOKE, connected, malformed, project, with_projects, world},
    support::{
        HUB_ACCOUNT, NAMESPACE,
        hands::document,
        manifest::{ADMIN, VIEW},
        secrets::Given,
        verifier::SERVICE_ACCOUNTS,
    },
};

/// Ways to break one hop.
#[derive(Clone, Copy, Debug)]
enum Way {
    ServiceAccountDeleted,
    AnnotationTakenOff,
    PodFromBefore,
    ServiceAccountNotInTheManifests,
    ProviderDeleted,
    ProviderForAnotherAudience,
    ManagementTrustsAnotherSubject,
    ManagementTrustsAnotherAudience,
    ManagementTrustDenies,
    ManagementRoleDeleted,
    PermissionPolicyDeleted,
    BoundaryDenies,
    RegionDisabled,
    DeployerTrustsAnother,
    DeployerDeleted,
    EndpointClosed,
    EndpointPrivate,
    EndpointShowsAnotherCertificate,
    SecretHasAnotherAuthority,
    SecretLeadsElsewhere,
    ModeConfigMap,
    EntryDeleted,
    DeployerMadeAnew,
    PolicyNarrowed,
    SecretDeleted,
    SecretNamesAnotherRole,
    SecretHeldToANamespace,
    SecretSkipsReconcile,
    SecretCannotBeRead,
    SomebodysSecretCannotBeRead,
    SettingUnknown,
    NoProjectAdmits,
}

/// Each way, and where and why the chain is then broken.
const TABLE: &[(Way, Hop, Reason)] = &[
    (
        Way::ServiceAccountDeleted,
        Hop::ServiceAccount,
        Reason::ServiceAccountMissing,
    ),
    (
        Way::AnnotationTakenOff,
        Hop::ServiceAccount,
        Reason::ServiceAccountNotAnnotated,
    ),
    (Way::PodFromBefore, Hop::ServiceAccount, Reason::PodsPredateBinding),
    (Way::ServiceAccountNotInTheManifests, Hop::Token, Reason::TokenForbidden),
    (Way::ProviderDeleted, Hop::ManagementRole, Reason::OidcProviderMissing),
    (
        Way::ProviderForAnotherAudience,
        Hop::ManagementRole,
        Reason::AudienceNotTrusted,
    ),
    (
        Way::ManagementTrustsAnotherSubject,
        Hop::ManagementRole,
        Reason::SubjectNotTrusted,
    ),
    (
        Way::ManagementTrustsAnotherAudience,
        Hop::ManagementRole,
        Reason::AudienceNotTrusted,
    ),
    (
        Way::ManagementTrustDenies,
        Hop::ManagementRole,
        Reason::RefusedByTrustPolicy,
    ),
    (
        Way::ManagementRoleDeleted,
        Hop::ManagementRole,
        Reason::ManagementRoleMissing,
    ),
    (
        Way::PermissionPolicyDeleted,
        Hop::DeployerRole,
        Reason::RefusedByIdentityPolicy,
    ),
    (
        Way::BoundaryDenies,
        Hop::DeployerRole,
        Reason::RefusedByPermissionsBoundary,
    ),
    (Way::RegionDisabled, Hop::DeployerRole, Reason::RegionDisabled),
    (
        Way::DeployerTrustsAnother,
        Hop::DeployerRole,
        Reason::RefusedByTrustPolicy,
    ),
    (Way::DeployerDeleted, Hop::DeployerRole, Reason::DeployerRoleMissing),
    (Way::EndpointClosed, Hop::Endpoint, Reason::ConnectionRefused),
    (Way::EndpointPrivate, Hop::Endpoint, Reason::PrivateEndpoint),
    (
        Way::EndpointShowsAnotherCertificate,
        Hop::Endpoint,
        Reason::CertificateNotTrusted,
    ),
    (
        Way::SecretHasAnotherAuthority,
        Hop::Endpoint,
        Reason::DestinationDiffers,
    ),
    (Way::SecretLeadsElsewhere, Hop::Endpoint, Reason::DestinationDiffers),
    (
        Way::ModeConfigMap,
        Hop::Authentication,
        Reason::AuthenticationModeConfigMap,
    ),
    (Way::EntryDeleted, Hop::Authentication, Reason::NoAccessEntry),
    (Way::DeployerMadeAnew, Hop::Authentication, Reason::StalePrincipal),
    (Way::PolicyNarrowed, Hop::Authorization, Reason::ScopeTooNarrow),
    (Way::SecretDeleted, Hop::ArgoCd, Reason::ClusterSecretMissing),
    (Way::SecretHeldToANamespace, Hop::ArgoCd, Reason::ClusterSecretDiffers),
    (Way::SecretSkipsReconcile, Hop::ArgoCd, Reason::ClusterSecretDiffers),
    (Way::SecretNamesAnotherRole, Hop::ArgoCd, Reason::ClusterSecretDiffers),
    (Way::SecretCannotBeRead, Hop::ArgoCd, Reason::ClusterSecretMalformed),
    (
        Way::SomebodysSecretCannotBeRead,
        Hop::ArgoCd,
        Reason::ClusterSecretMalformed,
    ),
    (Way::SettingUnknown, Hop::ArgoCd, Reason::ArgoCdSettingInvalid),
    (Way::NoProjectAdmits, Hop::ArgoCd, Reason::NoProjectAdmits),
];

/// What it takes to mend what was broken.
enum Mend {
    /// The operator does it, once it is asked to look.
    Operator(&'static str),
    /// The operator does it as soon as it is let.
    Unpause,
    /// A person takes the fault away.
    Fault(FaultId),
    /// EKS gives for the cluster what it gave before.
    Cluster(Box<ClusterSeed>),
    /// A person puts this back.
    Back(Value),
}

impl Hands<'_> {
    pub(crate) fn cluster_is(&self, change: impl FnOnce(&mut ClusterSeed)) {
        let spec = self.0.cluster(SPOKE);
        let aws = &self.0.stage.aws;
        aws.update_cluster(&spec.account, &spec.region, SPOKE, change).unwrap();
    }

    /// EKS gives something else for the cluster, and the operator has heard of it.
    pub(crate) async fn eks_gives(&self, change: impl FnOnce(&mut ClusterSeed)) -> ClusterSeed {
        let mut before = None;
        self.cluster_is(|seed| {
            before = Some(seed.clone());
            change(seed);
        });
        self.0.ask("ManagedCluster", SPOKE).await;
        before.unwrap()
    }

    /// Changes the cluster Secret while the operator keeps its hands off it.
    async fn secret_is(&self, change: impl FnOnce(&mut Value, &mut Value)) -> Mend {
        let secret = self.paused().await;
        let data = secret.data.unwrap();
        let text = |key: &str| String::from_utf8(data[key].0.clone()).unwrap();
        let mut config: Value = serde_json::from_str(&text("config")).unwrap();
        let mut server = json!(text("server"));
        change(&mut config, &mut server);
        let config = config.as_str().map_or_else(|| config.to_string(), str::to_owned);
        let name = secret.metadata.name.unwrap();
        self.patch_secret(&name, json!({"config": config, "server": server}))
            .await;
        Mend::Unpause
    }

    async fn skip_reconcile(&self, value: &Value) {
        let annotations = json!({"metadata": {"annotations": {"argocd.argoproj.io/skip-reconcile": value}}});
        let name = self.0.secret(SPOKE).await.unwrap().metadata.name.unwrap();
        let patch = Patch::Merge(annotations);
        self.0
            .secrets()
            .patch(&name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    async fn respect_rbac(&self, value: &str) {
        let metadata = json!({"name": "argocd-cm", "namespace": NAMESPACE});
        let data = json!({"resource.respectRBAC": value});
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data});
        self.0.apply(&map).await;
    }

    async fn paused(&self) -> k8s_openapi::api::core::v1::Secret {
        self.pause(&json!("true")).await;
        self.0.secret(SPOKE).await.unwrap()
    }

    async fn pause(&self, value: &Value) {
        let annotations = json!({"metadata": {"annotations": {"mooring.dev/paused": value}}});
        self.0.patch("ManagedCluster", SPOKE, annotations).await;
    }

    async fn service_accounts(&self, more: Option<&str>) {
        let names: Vec<&str> = SERVICE_ACCOUNTS.into_iter().chain(more).collect();
        let spec = json!({"spec": {"serviceAccounts": names}});
        self.0.patch("ManagementRole", "default", spec).await;
    }

    fn trust_otherwise(&self, from: &str, to: &str) -> Mend {
        let trust = self.trust_of_management();
        let other = serde_json::from_str(&trust.to_string().replace(from, to)).unwrap();
        assert_ne!(trust, other, "{from} is not there");
        self.trust_management(&other);
        Mend::Back(trust)
    }

    fn boundary(&self, policy: &str) {
        self.management("PutRolePermissionsBoundary", json!({"PermissionsBoundary": policy}));
    }

    #[allow(clippy::too_many_lines, reason = "a table of ways, one after another")]
    async fn breaks(&self, way: Way) -> Mend {
        let world = self.0;
        let policy = json!({"PolicyName": "mooring-assume-deployers"});
        let by_hand = Mend::Back(Value::Null);
        match way {
            Way::ServiceAccountDeleted => {
                let accounts: Api<ServiceAccount> = Api::namespaced(world.stage.client().unwrap(), NAMESPACE);
                accounts
                    .delete(SERVICE_ACCOUNTS[2], &DeleteParams::default())
                    .await
                    .unwrap();
                by_hand
            }
            Way::AnnotationTakenOff => {
                world.bind(SERVICE_ACCOUNTS[2], false).await;
                by_hand
            }
            Way::PodFromBefore => {
                let pod = json!({
                    "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "argocd-server-0", "namespace": NAMESPACE},
                    "spec": {"serviceAccountName": SERVICE_ACCOUNTS[2], "containers": [{"name": "a", "image": "a"}]},
                });
                world.apply(&pod).await;
                by_hand
            }
            Way::ServiceAccountNotInTheManifests => {
                world.bind("argocd-other", true).await;
                self.service_accounts(Some("argocd-other")).await;
                by_hand
            }
            Way::ProviderDeleted => {
                self.drop_provider();
                by_hand
            }
            Way::ProviderForAnotherAudience => {
                self.drop_provider();
                self.make_provider("somebody-else");
                by_hand
            }
            Way::ManagementTrustsAnotherSubject => {
                self.trust_otherwise("serviceaccount:argocd:", "serviceaccount:other:")
            }
            Way::ManagementTrustsAnotherAudience => {
                self.trust_otherwise(r#":aud":"sts.amazonaws.com""#, r#":aud":"other""#)
            }
            Way::ManagementTrustDenies => self.trust_otherwise("\"Allow\"", "\"Deny\""),
            Way::ManagementRoleDeleted => {
                self.management("DeleteRolePolicy", policy);
                self.management("DeleteRole", json!({}));
                Mend::Operator("ManagementRole")
            }
            Way::PermissionPolicyDeleted => {
                let kept = document(&self.management("GetRolePolicy", policy.clone())["PolicyDocument"]);
                self.management("DeleteRolePolicy", policy);
                Mend::Back(kept)
            }
            Way::BoundaryDenies => {
                self.boundary("arn:aws:iam::aws:policy/AWSDenyAll");
                by_hand
            }
            Way::RegionDisabled => {
                let disabled = Effect::Error {
                    status: 403,
                    code: "RegionDisabledException",
                    message: "STS is not activated in this region for account:222222222222.".to_owned(),
                };
                Mend::Fault(world.stage.aws.faults().add(Fault::on("AssumeRole", disabled)).unwrap())
            }
            Way::DeployerTrustsAnother => {
                let trusted = world.seen_role(SPOKE).unwrap().trust.to_string();
                let nobody = trusted.replace("management-default", "nobody");
                world.role(SPOKE, "UpdateAssumeRolePolicy", json!({"PolicyDocument": nobody}));
                Mend::Operator("ManagedCluster")
            }
            Way::DeployerDeleted => {
                world.role(SPOKE, "DeleteRole", json!({}));
                Mend::Operator("ManagedCluster")
            }
            Way::EndpointClosed => {
                let closed = |seed: &mut ClusterSeed| "https://127.0.0.1:1".clone_into(&mut seed.endpoint);
                Mend::Cluster(Box::new(self.eks_gives(closed).await))
            }
            Way::EndpointPrivate => {
                let private = |seed: &mut ClusterSeed| {
                    "https://127.0.0.1:1".clone_into(&mut seed.endpoint);
                    seed.endpoint_public_access = false;
                };
                Mend::Cluster(Box::new(self.eks_gives(private).await))
            }
            Way::EndpointShowsAnotherCertificate => {
                let other = encoded(&world.stage.hub.ca_pem());
                Mend::Cluster(Box::new(self.eks_gives(|seed| seed.ca_data = other).await))
            }
            Way::SecretHasAnotherAuthority => {
                let other = encoded(&world.stage.hub.ca_pem());
                self.secret_is(|config, _| config["tlsClientConfig"]["caData"] = json!(other))
                    .await
            }
            Way::SecretLeadsElsewhere => {
                self.secret_is(|_, server| *server = json!("https://me:hunter2@127.0.0.1:1"))
                    .await
            }
            Way::ModeConfigMap => {
                self.cluster_is(|seed| seed.authentication_mode = AuthenticationMode::ConfigMap);
                by_hand
            }
            Way::EntryDeleted => {
                world.entry(SPOKE, "DeleteAccessEntry", json!({}));
                Mend::Operator("ManagedCluster")
            }
            Way::DeployerMadeAnew => {
                self.remake_deployer();
                Mend::Operator("ManagedCluster")
            }
            Way::PolicyNarrowed => {
                self.associate(VIEW);
                self.disassociate(ADMIN);
                Mend::Operator("ManagedCluster")
            }
            Way::SecretDeleted => {
                let name = self.paused().await.metadata.name.unwrap();
                world.secrets().delete(&name, &DeleteParams::default()).await.unwrap();
                Mend::Unpause
            }
            Way::SecretNamesAnotherRole => {
                let other = "arn:aws:iam::222222222222:role/other";
                self.secret_is(|config, _| config["awsAuthConfig"]["roleARN"] = json!(other))
                    .await
            }
            Way::SecretHeldToANamespace => {
                let name = self.paused().await.metadata.name.unwrap();
                self.patch_secret(&name, json!({"namespaces": "other"})).await;
                Mend::Unpause
            }
            Way::SecretSkipsReconcile => {
                self.skip_reconcile(&json!("true")).await;
                by_hand
            }
            Way::SecretCannotBeRead => {
                self.secret_is(|config, _| *config = json!("{'bearerToken': 'hunter2'}"))
                    .await
            }
            Way::SomebodysSecretCannotBeRead => {
                world.apply(&malformed()).await;
                by_hand
            }
            Way::SettingUnknown => {
                self.respect_rbac("nomral").await;
                by_hand
            }
            Way::NoProjectAdmits => {
                world.apply(&project("another")).await;
                by_hand
            }
        }
    }

    async fn mends(&self, way: Way, how: Mend) {
        let world = self.0;
        let back = match how {
            Mend::Operator(kind) => {
                let name = if kind == "ManagedCluster" { SPOKE } else { "default" };
                return world.ask(kind, name).await;
            }
            Mend::Unpause => return self.pause(&Value::Null).await,
            Mend::Fault(fault) => return world.stage.aws.faults().remove(fault),
            Mend::Cluster(before) => {
                self.eks_gives(|seed| *seed = *before).await;
                return;
            }
            Mend::Back(back) => back,
        };
        match way {
            Way::ServiceAccountDeleted | Way::AnnotationTakenOff => world.bind(SERVICE_ACCOUNTS[2], true).await,
            Way::PodFromBefore => {
                let pods: Api<Pod> = Api::namespaced(world.stage.client().unwrap(), NAMESPACE);
                let now = DeleteParams::default().grace_period(0);
                pods.delete("argocd-server-0", &now).await.unwrap();
            }
            Way::ServiceAccountNotInTheManifests => self.service_accounts(None).await,
            Way::ProviderDeleted => self.make_provider("sts.amazonaws.com"),
            Way::ProviderForAnotherAudience => {
                self.drop_provider();
                self.make_provider("sts.amazonaws.com");
            }
            Way::ManagementTrustsAnotherSubject | Way::ManagementTrustsAnotherAudience | Way::ManagementTrustDenies => {
                self.trust_management(&back)
            }
            Way::PermissionPolicyDeleted => {
                let input = json!({"PolicyName": "mooring-assume-deployers", "PolicyDocument": back.to_string()});
                self.management("PutRolePolicy", input);
            }
            Way::BoundaryDenies => self.boundary(&format!("arn:aws:iam::{HUB_ACCOUNT}:policy/mooring-management")),
            Way::ModeConfigMap => self.cluster_is(|seed| seed.authentication_mode = AuthenticationMode::Api),
            Way::SomebodysSecretCannotBeRead => {
                world
                    .secrets()
                    .delete("somebodys", &DeleteParams::default())
                    .await
                    .unwrap();
            }
            Way::SecretSkipsReconcile => self.skip_reconcile(&Value::Null).await,
            Way::SettingUnknown => self.respect_rbac("normal").await,
            Way::NoProjectAdmits => world.apply(&project("*")).await,
            other => panic!("{other:?} is mended by the operator"),
        }
    }
}

pub(crate) fn encoded(pem: &str) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pem)
}

pub(crate) fn decoded(data: &str) -> String {
    let pem = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, data);
    String::from_utf8(pem.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn any_one_hop_that_is_broken_is_told_as_that_hop_and_no_other_and_holds_once_it_is_mended() {
    // Argo CD's pods are nobody's here, and whatever is asked to be logged is.
    let world = world(&["--confirm-after", "1s", "--log-level", "trace"]).await;
    with_projects(&world).await;
    let flags = ["--interval", "3s", "--distance", "1s", "--log-level", "trace"];
    let verifier = world.verifier(&flags).await;
    let hands = Hands(&world);
    let mut said = String::new();
    let until = async |status: &str, reason: &str| {
        let object = world
            .until("ManagedCluster", SPOKE, |object| connected(object, status, reason))
            .await;
        object.to_string()
    };
    said.push_str(&until("True", "ChainHolds").await);
    hands.holds().await;
    for (way, hop, reason) in TABLE.iter().copied() {
        let began = std::time::Instant::now();
        let mend = hands.breaks(way).await;
        // What cannot be looked at is no proof that it is broken.
        let unknown = [Reason::TokenForbidden, Reason::PrivateEndpoint].contains(&reason);
        let status = if unknown { "Unknown" } else { "False" };
        let object = until(status, reason.as_str()).await;
        assert!(object.contains(&format!("{hop}: ")), "{way:?}: {object}");
        said.push_str(&object);
        said.push_str(&hands.says(&format!("{hop:?}"), reason.as_str()).await);
        hands.mends(way, mend).await;
        said.push_str(&until("True", "ChainHolds").await);
        let (way, took) = (format!("{way:?}"), began.elapsed().as_secs_f64());
        println!("{way:<34} {:<16} {:<30} {took:>4.1} s", hop.title(), reason.as_str());
    }
    hands.holds().await;

    // Nothing of all that was written holds a secret, or what stood for one.
    let (operator, verifier) = (world.log(), verifier.log());
    let role = world.get("ManagementRole", "default").await.unwrap().to_string();
    let events = [world.events("default").await, world.events(SPOKE).await]
        .concat()
        .join("\n");
    let given = Given::by(&world.stage.aws);
    assert!(given.len() > TABLE.len(), "{} secrets", given.len());
    for (what, text) in [
        ("the operator's log", &operator),
        ("the verifier's log", &verifier),
        ("the status of the ManagementRole", &role),
        ("events", &events),
        ("what Connected and the doctor said", &said),
    ] {
        assert!(text.len() > 200, "there is nothing to look at in {what}: {text}");
        assert!(
            !given.in_text(text) && !text.contains("hunter2"),
            "a secret is in {what}"
        );
        // It would be found.
        let middle = (text.len() / 2..=text.len())
            .find(|at| text.is_char_boundary(*at))
            .unwrap();
        let (before, after) = text.split_at(middle);
        assert!(given.in_text(&format!("{before} {} {after}", given.any())), "{what}");
    }
    for (what, text) in [("the operator", &operator), ("the verifier", &verifier)] {
        let loud = |target: &str| text.contains("\"level\":\"DEBUG\"") && text.contains(target);
        assert!(
            loud("\"target\":\"hyper") && loud("\"target\":\"aws_"),
            "{what} was not asked to log all"
        );
        assert!(!text.contains("panicked"), "{what}");
    }
}
