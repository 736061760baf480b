//! The chain walked for real, from a projected token of a service account to an object on a cluster, through nothing but
//! what the operator made; and everybody else refused.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, ObjectMeta, PostParams},
};
use mooring_sandbox::{
    aws::{Refusal, Unmapped},
    stage::Destination,
};
use serde_json::json;

use crate::support::{NAMESPACE, Setting, World, manifest::VIEW};

const SERVICE_ACCOUNT: &str = "argocd-application-controller";

async fn destination(world: &World, name: &str) -> Destination {
    Destination::of(&world.secret(name).await.unwrap()).unwrap()
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
        let error = world.stage.pod(namespace, account, role).await.unwrap_err();
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
    let management = world.stage.pod(NAMESPACE, SERVICE_ACCOUNT, role).await.unwrap();
    for name in ["prod-eu", "hub"] {
        let destination = destination(&world, name).await;
        assert_eq!(destination.server, world.stage.server(name).unwrap().url());
        assert_eq!(
            create(
                destination.client(&world.stage, &management).unwrap(),
                "made-by-argo-cd"
            )
            .await,
            200
        );
        let made = config_maps(world.stage.server(name).unwrap().admin().unwrap());
        made.get("made-by-argo-cd").await.unwrap();
        made.delete("made-by-argo-cd", &DeleteParams::default()).await.unwrap();
    }

    // Narrowed in the spec, narrowed on the cluster.
    let destination = destination(&world, "prod-eu").await;
    let view = json!({"spec": {"access": {"policies": [{"name": VIEW}]}}});
    world.patch("ManagedCluster", "prod-eu", view).await;
    world.is_ready("ManagedCluster", "prod-eu").await;
    assert_eq!(
        create(destination.client(&world.stage, &management).unwrap(), "a").await,
        403
    );
    assert_eq!(list(destination.client(&world.stage, &management).unwrap()).await, 200);

    // Removed, and a token that is still good gets nowhere.
    let kept = destination.client(&world.stage, &management).unwrap();
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
