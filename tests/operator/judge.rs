//! Argo CD's own, released code reads every cluster Secret that Mooring wrote, and deploys with it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use mooring_sandbox::argocd::Judge;
use serde_json::json;

use crate::support::{
    NAMESPACE, Setting, World,
    judged::{judge, lines, said},
    manifest::{EDIT, VIEW},
};

const SERVICE_ACCOUNT: &str = "argocd-application-controller";

/// What the pod identity webhook gives a pod of Argo CD's: a token on its file system, and the role's name.
async fn environment(world: &World, judge: &Judge, token: &str) -> BTreeMap<String, String> {
    // It goes with the hub's own files.
    let file = world.stage.hub.folder().join("projected-token");
    std::fs::write(&file, token).unwrap();
    let role = world.get("ManagementRole", "default").await.unwrap();
    let role = role["status"]["role"]["arn"].as_str().unwrap().to_owned();
    let mut variables: BTreeMap<String, String> = world.stage.aws.env().into_iter().collect();
    variables.insert("AWS_ROLE_ARN".to_owned(), role);
    variables.insert("AWS_WEB_IDENTITY_TOKEN_FILE".to_owned(), file.display().to_string());
    variables.insert("PATH".to_owned(), judge.folder().display().to_string());
    variables.insert("HOME".to_owned(), world.stage.hub.folder().display().to_string());
    variables
}

#[tokio::test(flavor = "multi_thread")]
async fn argo_cd_reads_what_mooring_writes_and_deploys_with_it_and_no_further() {
    let mut setting = Setting::of(&["222222222222/eu-central-1/wide", "333333333333/eu-west-1/narrow"]);
    setting.fleet = setting.fleet.with_servers();
    let judge_program = Judge::prepare().await.unwrap();
    let world = World::ready(setting).await;
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": SERVICE_ACCOUNT, "namespace": NAMESPACE}});
    world.apply(&account).await;
    let view = json!({"policies": [{"name": VIEW}, {"name": EDIT, "namespaces": ["team-a"]}]});
    let argocd = json!({"namespaces": ["team-a", "default"], "shard": 1, "project": "team", "labels": {"env": "prod"}});
    world.moor("narrow", json!({"access": view, "argocd": argocd})).await;
    world.moored("wide").await;
    world.moored("hub").await;
    world.is_ready("ManagedCluster", "narrow").await;
    for name in ["wide", "narrow"] {
        let team = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-a"}});
        world
            .stage
            .server(name)
            .unwrap()
            .apply_yaml(&team.to_string())
            .await
            .unwrap();
    }
    let hub = &world.stage.hub;
    let token = hub
        .token(NAMESPACE, SERVICE_ACCOUNT, "sts.amazonaws.com")
        .await
        .unwrap();
    let environment = environment(&world, &judge_program, &token).await;

    for name in ["wide", "narrow", "hub"] {
        let secret = world.secret(name).await.unwrap();
        let output = judge(&judge_program, &["secret"], &environment, &secret).await;
        assert!(output.status.success(), "{name}: {}", said(&output));
        let read = lines(&output).remove(0);
        assert_eq!(read["name"], name);
        assert_eq!(read["server"], json!(world.stage.server(name).unwrap().url()));
        assert_eq!(read["canonicalConfig"], json!(true), "{name}: {read}");
        assert_eq!(
            read["argocdSecretName"], read["secretName"],
            "as `argocd cluster add` would name it"
        );
        let role = world.deployer(name).to_string();
        assert_eq!(read["awsAuthConfig"]["roleARN"], json!(role), "{name}");
        assert_eq!(read["awsAuthConfig"]["clusterName"], name);
        assert_eq!(read["tls"]["insecure"], json!(false));
        if name == "narrow" {
            assert_eq!((&read["project"], &read["shard"]), (&json!("team"), &json!(1)));
            assert_eq!(read["namespaces"], json!(["team-a", "default"]));
        }
    }

    let wide = world.secret("wide").await.unwrap();
    let narrow = world.secret("narrow").await.unwrap();
    let deploy = async |secret: &Secret, arguments: &[&str]| {
        let output = judge(&judge_program, &[&["deploy"], arguments].concat(), &environment, secret).await;
        assert!(
            !said(&output).contains("k8s-aws-v1.") && !said(&output).contains(&token),
            "a token was told"
        );
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        let actions = lines(&output);
        actions
            .iter()
            .map(|line| line["action"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let (everything, inside, outside) = tokio::join!(
        deploy(&wide, &["-namespace", "default"]),
        deploy(&narrow, &["-namespace", "team-a"]),
        // It may look there, and not write.
        deploy(
            &narrow,
            &["-namespace", "default", "-expect-status", "403", "-expect-at", "create"]
        ),
    );
    assert_eq!(everything, ["list", "create", "delete"]);
    assert_eq!(inside, ["list", "create", "delete"]);
    assert_eq!(outside, ["list", "create"]);
    world.never_denied();
}
