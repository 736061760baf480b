//! Access that was taken away, on a cluster whose `aws-auth` still lets the role in.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, api::DeleteParams};
use mooring_sandbox::{
    aws::{AuthenticationMode, ClusterSeed},
    stage,
};
use serde_json::json;

use crate::{
    connected::connected,
    support::{Setting, World, condition, secrets::tells_no_token},
    suspended::{let_in, mode, revoke},
};

const NAME: &str = "mapped";

/// Maps the deployer role on the cluster itself, as people did before there were access entries: without its path.
async fn map(world: &World) {
    let deployer = world.deployer(NAME);
    let role = format!("arn:aws:iam::{}:role/{}", deployer.account, deployer.name);
    let roles = json!([{"rolearn": role, "username": "argocd", "groups": ["system:masters"]}]);
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "aws-auth", "namespace": "kube-system"},
        "data": {"mapRoles": roles.to_string()},
    });
    let server = world.stage.server(NAME).unwrap();
    server.apply_yaml(&map.to_string()).await.unwrap();
}

async fn unmap(world: &World) {
    let client = world.stage.server(NAME).unwrap().admin().unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(client, "kube-system");
    maps.delete("aws-auth", &DeleteParams::default()).await.unwrap();
}

fn authenticates_by(world: &World, mode: AuthenticationMode) {
    let change = |seed: &mut ClusterSeed| seed.authentication_mode = mode;
    let aws = &world.stage.aws;
    aws.update_cluster("222222222222", "eu-west-1", NAME, change).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_in_aws_auth_that_outlives_the_entry_is_told_until_it_is_gone() {
    let mut setting = Setting::of(&["222222222222/eu-west-1/mapped"]);
    setting.fleet.spokes[0].server = true;
    let world = World::ready(setting).await;
    world.with_verifier().await;
    authenticates_by(&world, AuthenticationMode::ApiAndConfigMap);
    world.moored(NAME).await;
    map(&world).await;
    let mut verifier = world.verifier(&["--interval", "5s", "--distance", "1s"]).await;
    // The entry takes precedence, so the mapping is nobody's trouble while it stands.
    world
        .until("ManagedCluster", NAME, |object| connected(object, "True", "ChainHolds"))
        .await;

    let (code, said, progress) = revoke(&world, NAME, &["--timeout", "20s"]).await;
    assert_eq!(code, 1, "{said:#} {progress}");
    assert_eq!(said["revoked"], false);
    assert_eq!(said["entry"]["state"], "Away");
    assert_eq!(
        (&said["probe"]["state"], &said["probe"]["reason"]),
        (&json!("LetIn"), &json!("ResidualAccess")),
        "{said:#}"
    );
    let next = said["probe"]["next"].as_str().unwrap();
    for words in [
        "mapRoles",
        "kubectl -n kube-system edit configmap aws-auth",
        "authenticationMode=API",
    ] {
        assert!(next.contains(words), "{next}");
    }
    assert!(progress.contains("not yet: ResidualAccess"), "{progress}");
    tells_no_token(&format!("{said} {progress}"));
    assert_eq!(world.seen_entry(NAME), None);
    let told = world
        .until("ManagedCluster", NAME, |object| {
            connected(object, "True", "ResidualAccess")
        })
        .await;
    assert!(condition(&told, "Connected").unwrap().2.contains("aws-auth"));
    assert_eq!(stage::ready(&told).1, "Suspended", "the operator did what it can do");
    let doctor = world.doctor(&[NAME]).await;
    assert_eq!(
        (doctor.code, doctor.troubles()),
        (1, vec![("Authentication".to_owned(), "ResidualAccess".to_owned())]),
        "{}",
        doctor.text
    );

    unmap(&world).await;
    let (code, said, progress) = revoke(&world, NAME, &[]).await;
    assert_eq!(
        (code, &said["probe"]["state"]),
        (0, &json!("Refused")),
        "{said:#} {progress}"
    );
    world
        .until("ManagedCluster", NAME, |object| connected(object, "False", "Suspended"))
        .await;
    verifier.kill().await;
    assert!(!let_in(&world, NAME).await);

    // Without access entries the mapping alone counts: nothing else is left to end it.
    map(&world).await;
    world
        .eventually("the mapping to let in", async || {
            let_in(&world, NAME).await.then_some(())
        })
        .await;
    authenticates_by(&world, AuthenticationMode::Api);
    let (code, said, progress) = revoke(&world, NAME, &[]).await;
    assert_eq!(
        (code, &said["probe"]["state"]),
        (0, &json!("Refused")),
        "the mode ends every mapping, as was said: {said:#} {progress}"
    );
    mode(&world, NAME, "Enforce").await;
    world.until_reason("ManagedCluster", NAME, "Moored").await;
    assert!(let_in(&world, NAME).await, "back");
    world.never_denied();
}
