//! A fleet that somebody wired by hand, taken over as `mooring import` prints it.

use std::collections::BTreeMap;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, Patch, PatchParams};
use mooring_sandbox::aws::contract::Service;
use serde_json::{Value, json};

use crate::{
    adopt::{Wired, by_hand_manager, setting},
    support::{HUB_ACCOUNT, World},
};

/// How many clusters, in as many accounts as there are digits here.
const CLUSTERS: usize = 50;
const ACCOUNTS: [char; 5] = ['2', '3', '4', '5', '6'];

/// What stands before the commands that are printed beside a manifest.
const COMMAND: &str = "#   ";

/// Runs a command that was printed for a cluster, as the owner of its account or of Argo CD's namespace. Gives whether it is
/// one of those that open something.
async fn run(world: &World, name: &str, command: &str) -> bool {
    let words: Vec<&str> = command.split(' ').collect();
    let tag = |text: &str| -> (String, String) {
        let (key, value) = text.split_once('=').unwrap();
        (key.to_owned(), value.to_owned())
    };
    match *words.as_slice() {
        ["aws", "iam", "tag-role", "--role-name", role, "--tags", pair] => {
            let (key, value) = pair.strip_prefix("Key=").unwrap().split_once(",Value=").unwrap();
            let input = json!({"RoleName": role, "Tags": [{"Key": key, "Value": value}]});
            world.iam(&world.cluster(name).account, "TagRole", input);
        }
        [
            "aws",
            "eks",
            "tag-resource",
            "--region",
            region,
            "--resource-arn",
            arn,
            "--tags",
            pair,
        ] => {
            let input = json!({"resourceArn": arn, "tags": BTreeMap::from([tag(pair)])});
            let aws = &world.stage.aws;
            let owner = aws.root(&world.cluster(name).account);
            aws.call_in(region, &owner, Service::Eks, "TagResource", input).unwrap();
        }
        ["kubectl", "annotate", "secret", "-n", "argocd", secret, pair] => {
            let patch = json!({"metadata": {"annotations": BTreeMap::from([tag(pair)])}});
            let (secrets, params) = (world.secrets(), PatchParams::default());
            secrets.patch(secret, &params, &Patch::Merge(&patch)).await.unwrap();
        }
        _ => return false,
    }
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_that_was_wired_by_hand_is_taken_over_as_import_prints_it() {
    let names: Vec<String> = (0..CLUSTERS).map(|number| format!("wired-{number:02}")).collect();
    let account = |number: usize| ACCOUNTS[number % ACCOUNTS.len()].to_string().repeat(12);
    let spokes = names.iter().enumerate();
    let spokes: Vec<String> = spokes
        .map(|(number, name)| format!("{}/eu-west-1/{name}", account(number)))
        .collect();
    let spokes: Vec<&str> = spokes.iter().map(String::as_str).collect();
    let world = World::ready(setting(&spokes)).await;
    world.with_verifier().await;
    let manager = by_hand_manager(&world);
    let wired = join_all(names.iter().map(|name| Wired::by_hand(&world, name, &manager))).await;
    let uids = async || {
        let all = world.secrets().list(&ListParams::default()).await.unwrap();
        let uid = |wired: &Wired| {
            let of = |secret: &&Secret| secret.metadata.name.as_ref() == Some(&wired.secret());
            all.iter().find(of).and_then(|secret| secret.metadata.uid.clone())
        };
        wired.iter().map(uid).collect::<Vec<_>>()
    };
    let before = uids().await;
    assert!(before.iter().all(Option::is_some));

    let hub = ["--hub-cluster", "hub", "--hub-region", "eu-west-1"];
    let arguments = [&["import"][..], &hub, &["--hub-account", HUB_ACCOUNT]].concat();
    let output = world.as_verifier(&arguments).await.output().await.unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    let out = String::from_utf8(output.stdout).unwrap();
    let documents = out.split("---\n").filter(|text| text.contains("kind: ManagedCluster"));
    let documents: Vec<(&str, Value)> = documents
        .map(|text| (text, serde_saphyr::from_str(text).unwrap()))
        .collect();
    assert_eq!(documents.len(), CLUSTERS, "one for each\n{out}");

    // What each manifest asks of the owners, and the manifests, as one pull request.
    for (text, manifest) in &documents {
        let name = manifest["spec"]["clusterName"].as_str();
        let name = name.or_else(|| manifest["metadata"]["name"].as_str()).unwrap();
        let mut ran = 0;
        for command in text.lines().filter_map(|line| line.strip_prefix(COMMAND)) {
            ran += usize::from(run(&world, name, command).await);
        }
        assert_eq!(ran, 3, "role, access entry and cluster Secret are opened\n{text}");
    }
    join_all(documents.iter().map(|(_, manifest)| world.apply(manifest))).await;
    for (_, manifest) in &documents {
        world
            .is_ready("ManagedCluster", manifest["metadata"]["name"].as_str().unwrap())
            .await;
    }
    assert_eq!(uids().await, before, "every Secret is the one that was there");
    for wired in &wired {
        let role = wired.seen_role(&world).unwrap();
        assert_eq!(role.tags["terraform"], "yes");
        assert_eq!(role.tags["mooring.dev/hub"], world.hub().cluster.to_string());
        assert_eq!(wired.policies(&world).len(), 2, "what others gave stays");
    }
    world.never_denied();
}
