//! The chain walked for real, from a projected token of a service account to an object on a cluster, through nothing but
//! what the operator made; and everybody else refused.

use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, ListParams, ObjectMeta, PostParams},
    config::AuthInfo,
};
use mooring_sandbox::aws::{BearerToken, Credentials, Refusal, Unmapped, contract::ApiError, contract::Service::Sts};
use serde_json::{Value, json};

use crate::support::{HUB_ACCOUNT, NAMESPACE, Setting, World, manifest::VIEW};

const SERVICE_ACCOUNT: &str = "argocd-application-controller";

/// What Argo CD does with a cluster Secret.
struct Destination {
    server: String,
    config: Value,
}

impl Destination {
    fn of(secret: &Secret) -> Self {
        let data = secret.data.as_ref().unwrap();
        let text = |key: &str| String::from_utf8(data[key].0.clone()).unwrap();
        Self {
            server: text("server"),
            config: serde_json::from_str(&text("config")).unwrap(),
        }
    }

    fn text(&self, part: &str, member: &str) -> &str {
        self.config[part][member].as_str().unwrap()
    }

    /// A client with a new token, of a new session of the role that the Secret names.
    fn client(&self, world: &World, management: &Credentials) -> Client {
        let session = format!("argocd-{:08x}", fastrand::u32(..));
        let input = json!({"RoleArn": self.text("awsAuthConfig", "roleARN"), "RoleSessionName": session});
        let answer = world.stage.aws.call(management, Sts, "AssumeRole", input).unwrap();
        let cluster = self.text("awsAuthConfig", "clusterName");
        // By way of the hub's own region, wherever the cluster is.
        let token = BearerToken::new(cluster, &world.stage.fleet.hub.region)
            .sign(&Credentials::of_answer(&answer).unwrap())
            .unwrap();
        let authority = STANDARD.decode(self.text("tlsClientConfig", "caData")).unwrap();
        let mut config = Config::new(self.server.parse().unwrap());
        config.root_cert = Some(vec![der(&String::from_utf8(authority).unwrap())]);
        config.auth_info = AuthInfo {
            token: Some(token.into()),
            ..AuthInfo::default()
        };
        config.default_retry = false;
        Client::try_from(config).unwrap()
    }
}

/// The certificate of one PEM block.
fn der(pem: &str) -> Vec<u8> {
    let lines = pem.lines().filter(|line| !line.starts_with("-----"));
    STANDARD.decode(lines.collect::<String>()).unwrap()
}

/// The credentials of a service account's pod.
async fn pod(world: &World, namespace: &str, account: &str, role: &str) -> Result<Credentials, ApiError> {
    let hub = &world.stage.hub;
    let token = hub.token(namespace, account, "sts.amazonaws.com").await.unwrap();
    let input = json!({"RoleArn": role, "RoleSessionName": "pod", "WebIdentityToken": token});
    let anybody = world.stage.aws.root(HUB_ACCOUNT);
    let answer = world
        .stage
        .aws
        .call(&anybody, Sts, "AssumeRoleWithWebIdentity", input)?;
    Ok(Credentials::of_answer(&answer).unwrap())
}

fn config_maps(client: Client) -> Api<ConfigMap> {
    Api::namespaced(client, "default")
}

async fn create(client: Client, name: &str) -> u16 {
    let object = ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    };
    status(config_maps(client).create(&PostParams::default(), &object).await)
}

async fn list(client: Client) -> u16 {
    status(config_maps(client).list(&ListParams::default()).await)
}

fn status<T>(result: Result<T, kube::Error>) -> u16 {
    match result {
        Ok(_) => 200,
        Err(kube::Error::Api(status)) => status.code,
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moored_cluster_is_reached_from_argo_cds_service_account_and_from_nowhere_else() {
    let mut setting = Setting::of(&["222222222222/eu-central-1/prod-eu"]);
    setting.fleet = setting.fleet.with_servers();
    let world = World::ready(setting).await;
    for (namespace, name) in [
        (NAMESPACE, SERVICE_ACCOUNT),
        (NAMESPACE, "other"),
        ("default", SERVICE_ACCOUNT),
    ] {
        let metadata = json!({"name": name, "namespace": namespace});
        world
            .apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}))
            .await;
    }
    for name in ["prod-eu", "hub"] {
        world.moored(name).await;
    }
    let management_role = world.get("ManagementRole", "default").await.unwrap();
    let role = management_role["status"]["role"]["arn"].as_str().unwrap();

    for (namespace, account) in [(NAMESPACE, "other"), ("default", SERVICE_ACCOUNT)] {
        let error = pod(&world, namespace, account, role).await.unwrap_err();
        let said = (error.code, error.message.as_str());
        assert_eq!(
            said,
            (
                "AccessDenied",
                "Not authorized to perform sts:AssumeRoleWithWebIdentity"
            ),
            "{namespace}/{account}"
        );
    }
    let management = pod(&world, NAMESPACE, SERVICE_ACCOUNT, role).await.unwrap();
    for name in ["prod-eu", "hub"] {
        let secret = world.secret(name).await.unwrap();
        let destination = Destination::of(&secret);
        assert_eq!(destination.server, world.stage.server(name).unwrap().url());
        assert_eq!(
            create(destination.client(&world, &management), "made-by-argo-cd").await,
            200
        );
        let made = config_maps(world.stage.server(name).unwrap().admin().unwrap());
        made.get("made-by-argo-cd").await.unwrap();
        made.delete("made-by-argo-cd", &DeleteParams::default()).await.unwrap();
    }

    // Narrowed in the spec, narrowed on the cluster.
    let secret = world.secret("prod-eu").await.unwrap();
    let destination = Destination::of(&secret);
    let view = json!({"spec": {"access": {"policies": [{"name": VIEW}]}}});
    world.patch("ManagedCluster", "prod-eu", view).await;
    world.is_ready("ManagedCluster", "prod-eu").await;
    assert_eq!(create(destination.client(&world, &management), "a").await, 403);
    assert_eq!(list(destination.client(&world, &management)).await, 200);

    // Removed, and a token that is still good gets nowhere.
    let kept = destination.client(&world, &management);
    world.delete("ManagedCluster", "prod-eu").await;
    world.until_gone("ManagedCluster", "prod-eu").await;
    assert_eq!(list(kept).await, 401);
    let refusal = world.stage.aws.token_reviews().last_refusal().unwrap();
    assert!(
        matches!(
            &refusal,
            Refusal::Unmapped {
                why: Unmapped::NoEntry,
                ..
            }
        ),
        "{refusal}"
    );
}
