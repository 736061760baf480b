//! The scenes of the demo.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::{Demo, reach::reach};
use crate::{
    aws::contract::Service,
    stage::{StageError, is_ready, ready},
};

/// Argo CD's namespace.
pub(super) const ARGOCD: &str = "argocd";
pub(super) const LIMIT: Duration = Duration::from_secs(90);
const CLUSTERS: [&str; 4] = ["hub", "platform", "prod-eu", LET_GO];

/// The one that is deleted.
const LET_GO: &str = "tools";

pub(super) async fn all(demo: &Demo<'_>) -> Result<(), StageError> {
    moor(demo).await?;
    connected(demo).await?;
    show(demo).await?;
    reach(demo).await?;
    refuse(demo).await?;
    break_and_mend(demo).await?;
    narrow(demo).await?;
    let_go(demo).await?;
    still_connected(demo).await?;
    last_word(demo)
}

pub(super) fn expect(holds: bool, what: &str) -> Result<(), StageError> {
    if holds {
        Ok(())
    } else {
        Err(StageError::new(format!("this is not so: {what}")))
    }
}

async fn moor(demo: &Demo<'_>) -> Result<(), StageError> {
    demo.teller
        .scene("Apply deploy/examples: one ManagementRole, four ManagedClusters");
    for applied in demo.stage.apply_folder(&demo.examples).await? {
        demo.teller.say(&format!("applied {applied}"));
    }
    let api = demo.stage.mooring("ManagedCluster")?;
    let started = Instant::now();
    let mut told: BTreeMap<String, String> = BTreeMap::new();
    loop {
        let mut open = CLUSTERS.len();
        for object in api.list(&ListParams::default()).await? {
            let name = object.metadata.name.clone().unwrap_or_default();
            let object = serde_json::to_value(&object)?;
            let (status, reason) = ready(&object);
            let now = if status.is_empty() {
                "waiting".to_owned()
            } else {
                format!("Ready={status} ({reason})")
            };
            if told.get(&name) != Some(&now) {
                demo.teller.say(&format!("{name}: {now}"));
                told.insert(name, now);
            }
            open -= usize::from(is_ready(&object));
        }
        if open == 0 {
            break;
        }
        if started.elapsed() > LIMIT {
            return Err(StageError::new(format!(
                "{open} clusters are not Ready after {} s",
                LIMIT.as_secs()
            )));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    demo.teller.proved("all four clusters are moored");
    Ok(())
}

async fn show(demo: &Demo<'_>) -> Result<(), StageError> {
    demo.teller.scene("What there is now");
    let table = demo
        .stage
        .hub
        .table("/apis/mooring.dev/v1alpha1/managedclusters", false)
        .await?;
    demo.teller.shows("kubectl get mgc", &table);
    let roles = demo
        .stage
        .hub
        .table("/apis/mooring.dev/v1alpha1/managementroles", false)
        .await?;
    demo.teller.shows("kubectl get mgr", &roles);
    let secret = demo
        .stage
        .cluster_secret(ARGOCD, "prod-eu")
        .await?
        .ok_or_else(|| StageError::new("prod-eu has no cluster Secret"))?;
    let data = texts(&secret);
    let mut config: Value = serde_json::from_str(data.get("config").map_or("", String::as_str))?;
    let role = config["awsAuthConfig"]["roleARN"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    config["tlsClientConfig"]["caData"] = json!("<the cluster's certificate authority>");
    let shown = json!({
        "metadata": {"name": secret.metadata.name, "labels": secret.metadata.labels, "annotations": secret.metadata.annotations},
        "data, decoded": {"name": data.get("name"), "server": data.get("server"), "config": config},
    });
    demo.teller
        .shows("the cluster Secret of prod-eu", &serde_json::to_string_pretty(&shown)?);
    expect(
        data.get("name").is_some_and(|name| name == "prod-eu"),
        "Argo CD knows the cluster as prod-eu",
    )?;
    let mut made = String::new();
    for cluster in CLUSTERS {
        let object = demo.stage.wait("ManagedCluster", cluster, LIMIT, is_ready).await?;
        let arn = object["status"]["deployerRole"]["arn"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let found = role_of(demo, &arn)?;
        let boundary = text(&found["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"]);
        made.extend([arn.as_str(), "\n    boundary ", boundary.as_str(), "\n"]);
    }
    demo.teller.shows("the deployer roles", &made);
    expect(made.contains(&role), "the Secret names the deployer role")?;
    demo.teller
        .proved("no credential is stored anywhere: the Secret holds an address, a certificate and a role's name");
    Ok(())
}

async fn refuse(demo: &Demo<'_>) -> Result<(), StageError> {
    demo.teller
        .scene("Somebody asks for more than the platform team allows");
    let mark = demo.stage.aws.log().mark();
    let greedy = json!({
        "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagedCluster", "metadata": {"name": "greedy"},
        "spec": {
            "accountId": "333333333333", "region": "eu-west-1", "clusterName": "shared-platform",
            "access": {"policies": [{"name": "AmazonEKSClusterAdminPolicy"}]}, "argocd": {"project": "platform"},
        },
    });
    demo.stage.hub.apply_yaml(&greedy.to_string()).await?;
    let refused = demo
        .stage
        .wait("ManagedCluster", "greedy", LIMIT, |object| {
            ready(object).1 == "NotAllowed"
        })
        .await?;
    let conditions = refused["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let message = conditions
        .iter()
        .find(|condition| condition["type"] == "Ready")
        .map(|c| text(&c["message"]));
    demo.teller.say(&message.unwrap_or_default());
    let calls = demo.stage.aws.log().since(mark);
    let for_it = calls.iter().filter(|call| {
        call.caller.as_ref().is_some_and(|caller| caller.arn.contains("greedy"))
            || call.text("RoleSessionName").is_some_and(|name| name.contains("greedy"))
    });
    expect(for_it.count() == 0, "AWS was not called for it")?;
    demo.teller
        .proved("refused, with the reason on the object, and nothing was made");
    let api = demo.stage.mooring("ManagedCluster")?;
    api.delete("greedy", &kube::api::DeleteParams::default()).await?;
    demo.stage
        .wait("ManagedCluster", "greedy", LIMIT, Value::is_null)
        .await?;
    Ok(())
}

/// The condition that the verifier writes: verdict, reason and message.
fn connection(object: &Value) -> (String, String, String) {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.iter().find(|condition| condition["type"] == "Connected");
    found.map_or_else(Default::default, |found| {
        (text(&found["status"]), text(&found["reason"]), text(&found["message"]))
    })
}

async fn until_connected(demo: &Demo<'_>, cluster: &str, verdict: &str) -> Result<Value, StageError> {
    demo.stage
        .wait("ManagedCluster", cluster, LIMIT, |object| {
            connection(object).0 == verdict
        })
        .await
}

/// The verifier walks the chain as Argo CD does.
async fn connected(demo: &Demo<'_>) -> Result<(), StageError> {
    demo.teller
        .scene("Prove it: walk the chain to each cluster, hop by hop");
    for cluster in CLUSTERS {
        let object = until_connected(demo, cluster, "True").await?;
        let (_, reason, message) = connection(&object);
        demo.teller.say(&format!("{cluster}: Connected ({reason}): {message}"));
    }
    demo.teller.proved("every hop of every chain holds");
    Ok(())
}

async fn break_and_mend(demo: &Demo<'_>) -> Result<(), StageError> {
    demo.teller.scene("Somebody breaks a trust policy by hand");
    let object = demo.stage.wait("ManagedCluster", "prod-eu", LIMIT, is_ready).await?;
    let arn = text(&object["status"]["deployerRole"]["arn"]);
    let before = trust_of(demo, &arn)?;
    let (account, name) = account_and_name(&arn);
    let pause = |value: Value| json!({"metadata": {"annotations": {"mooring.dev/paused": value}}});
    demo.stage
        .patch("ManagedCluster", "prod-eu", pause(json!("true")))
        .await?;
    demo.teller
        .say("Mooring is paused for prod-eu, for you to see what comes of it");
    let anybody = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::333333333333:root"}, "Action": "sts:AssumeRole"}]});
    let root = demo.stage.aws.root(&account);
    let input = json!({"RoleName": name, "PolicyDocument": anybody.to_string()});
    demo.stage
        .aws
        .call(&root, Service::Iam, "UpdateAssumeRolePolicy", input)?;
    demo.teller
        .say("the deployer role of prod-eu now trusts account 333333333333 instead of Argo CD");
    let broken = until_connected(demo, "prod-eu", "False").await?;
    let (_, reason, message) = connection(&broken);
    demo.teller.say(&format!("Connected is False ({reason}): {message}"));
    expect(
        reason == "RefusedByTrustPolicy",
        "the reason is the hop that was broken",
    )?;
    demo.stage
        .patch("ManagedCluster", "prod-eu", pause(Value::Null))
        .await?;
    until(demo, "the trust policy is as it was", || {
        Ok(trust_of(demo, &arn)? == before)
    })
    .await?;
    until_connected(demo, "prod-eu", "True").await?;
    demo.teller
        .proved("told at the hop that was broken; mended as soon as the pause ended, and Connected again");
    Ok(())
}

async fn narrow(demo: &Demo<'_>) -> Result<(), StageError> {
    demo.teller
        .scene("Narrow prod-eu from the whole cluster to one namespace");
    let object = demo.stage.wait("ManagedCluster", "prod-eu", LIMIT, is_ready).await?;
    let arn = text(&object["status"]["deployerRole"]["arn"]);
    let scope = || -> Result<String, StageError> {
        let root = demo.stage.aws.root("222222222222");
        let input = json!({"clusterName": "prod-eu", "principalArn": arn});
        let listed = demo
            .stage
            .aws
            .call(&root, Service::Eks, "ListAssociatedAccessPolicies", input)?;
        let policies = listed["associatedAccessPolicies"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let shown = policies.iter().map(|policy| {
            let name = text(&policy["policyArn"])
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .to_owned();
            format!("{name} {}", policy["accessScope"])
        });
        Ok(shown.collect::<Vec<_>>().join(", "))
    };
    demo.teller.say(&format!("before: {}", scope()?));
    let patch =
        json!({"spec": {"access": {"policies": [{"name": "AmazonEKSClusterAdminPolicy", "namespaces": ["web"]}]}}});
    demo.stage.patch("ManagedCluster", "prod-eu", patch).await?;
    demo.stage.wait("ManagedCluster", "prod-eu", LIMIT, is_ready).await?;
    until(demo, "the wider access is gone", || {
        let now = scope()?;
        Ok(now.contains("\"web\"") && !now.contains("\"cluster\""))
    })
    .await?;
    demo.teller.say(&format!("after:  {}", scope()?));
    let secret = demo
        .stage
        .cluster_secret(ARGOCD, "prod-eu")
        .await?
        .map(|secret| texts(&secret))
        .unwrap_or_default();
    expect(
        secret.get("namespaces").is_some_and(|names| names == "web"),
        "Argo CD is held to namespace web too",
    )?;
    demo.teller
        .proved("the wider access is gone, and Argo CD is held to the namespace too");
    Ok(())
}

async fn let_go(demo: &Demo<'_>) -> Result<(), StageError> {
    demo.teller.scene("Delete a ManagedCluster");
    let object = demo.stage.wait("ManagedCluster", LET_GO, LIMIT, is_ready).await?;
    let arn = text(&object["status"]["deployerRole"]["arn"]);
    let audit = demo.stage.hub.audit_mark().await?;
    let mark = demo.stage.aws.log().mark();
    let api = demo.stage.mooring("ManagedCluster")?;
    api.delete(LET_GO, &kube::api::DeleteParams::default()).await?;
    demo.stage.wait("ManagedCluster", LET_GO, LIMIT, Value::is_null).await?;
    let writes = demo.stage.hub.writes_by("mooring", audit).await?;
    let secret = writes
        .iter()
        .find(|call| call.verb == "delete" && call.resource == "secrets");
    expect(secret.is_some(), "the cluster Secret was deleted")?;
    demo.teller
        .say("1. the cluster Secret was deleted, so that Argo CD deploys there no more");
    let about = |call: &&crate::aws::Call| call.account == "333333333333" && call.write && call.error().is_none();
    let made: Vec<String> = demo
        .stage
        .aws
        .log()
        .since(mark)
        .iter()
        .filter(about)
        .map(|call| call.operation.clone())
        .collect();
    let at = |operation: &str| made.iter().position(|made| made == operation);
    expect(
        at("DeleteAccessEntry").is_some() && at("DeleteAccessEntry") < at("DeleteRole"),
        "entry before role",
    )?;
    demo.teller
        .say("2. the access entry was deleted, and with it every way into the cluster");
    demo.teller.say("3. the deployer role was deleted");
    let secret = demo.stage.cluster_secret(ARGOCD, LET_GO).await?;
    expect(secret.is_none() && role_of(demo, &arn).is_err(), "nothing is left")?;
    demo.teller.proved("gone in order, and nothing is left behind");
    Ok(())
}

/// After all that was done, every cluster that is left is connected, by a walk of the spec of now.
async fn still_connected(demo: &Demo<'_>) -> Result<(), StageError> {
    demo.teller.scene("And in the end");
    let left = CLUSTERS.into_iter().filter(|cluster| *cluster != LET_GO);
    for cluster in left.clone() {
        let walked = |object: &Value| {
            let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
            conditions.any(|condition| {
                condition["type"] == "Connected"
                    && condition["status"] == "True"
                    && condition["observedGeneration"] == object["metadata"]["generation"]
            })
        };
        demo.stage.wait("ManagedCluster", cluster, LIMIT, walked).await?;
    }
    demo.teller.proved(&format!(
        "Connected is True for {}",
        left.collect::<Vec<_>>().join(", ")
    ));
    Ok(())
}

fn last_word(demo: &Demo<'_>) -> Result<(), StageError> {
    demo.teller.scene("And under which rights");
    let calls = demo.stage.aws.log().all();
    let denied: Vec<String> = calls
        .iter()
        .filter(|call| call.error().is_some_and(|code| code.contains("AccessDenied")))
        // What the demo itself and the verifier tried, to be refused.
        .filter(|call| !["AssumeRoleWithWebIdentity", "AssumeRole"].contains(&call.operation.as_str()))
        .map(|call| format!("{} in {}", call.operation, call.account))
        .collect();
    expect(
        denied.is_empty(),
        &format!("nothing was denied, but: {}", denied.join(", ")),
    )?;
    demo.teller.proved(&format!(
        "{} AWS calls, none denied, under exactly the policies that `mooring bootstrap` printed",
        calls.len()
    ));
    Ok(())
}

async fn until(demo: &Demo<'_>, what: &str, holds: impl Fn() -> Result<bool, StageError>) -> Result<(), StageError> {
    let started = Instant::now();
    while !holds()? {
        if started.elapsed() > LIMIT {
            return Err(StageError::new(format!("not within {} s: {what}", LIMIT.as_secs())));
        }
        if let Some(code) = demo.operator.exited() {
            return Err(StageError::new(format!("the operator ended with code {code}")));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn account_and_name(arn: &str) -> (String, String) {
    let account = arn.split(':').nth(4).unwrap_or_default().to_owned();
    (account, arn.rsplit('/').next().unwrap_or_default().to_owned())
}

fn role_of(demo: &Demo<'_>, arn: &str) -> Result<Value, StageError> {
    let (account, name) = account_and_name(arn);
    let root = demo.stage.aws.root(&account);
    Ok(demo
        .stage
        .aws
        .call(&root, Service::Iam, "GetRole", json!({"RoleName": name}))?)
}

fn trust_of(demo: &Demo<'_>, arn: &str) -> Result<String, StageError> {
    Ok(text(&role_of(demo, arn)?["Role"]["AssumeRolePolicyDocument"]))
}

fn texts(secret: &Secret) -> BTreeMap<String, String> {
    let data = secret.data.iter().flatten();
    data.map(|(key, value)| {
        let text = String::from_utf8_lossy(&value.0).into_owned();
        (
            key.clone(),
            if text.is_empty() {
                STANDARD.encode(&value.0)
            } else {
                text
            },
        )
    })
    .collect()
}
