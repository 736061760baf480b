//! `mooring import`: the edges, for a person. What was found is printed by `commands::import`.

use std::time::Duration;

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use serde_json::Value;

use super::{Error, Guarded};
use crate::{
    api::{ManagedCluster, ManagementRole},
    argocd::{ClusterSecret, SECRET_TYPE},
    aws::{self, Account, ReadBy, Reader},
    cli::{ImportArgs, given},
    domain::arn::{ClusterArn, RoleArn},
    kubernetes::{connect::connect, objects},
    managed_cluster::{
        by_hand::{self, Access, Becomes, Found, Hub, Looked, Unseen, Wired},
        census::add_listed,
        in_words,
        living::Living,
        observe::{self, LookAtRole, Spoke},
    },
};

/// How many accounts are looked at at the same time.
const AT_ONCE: usize = 4;

/// Reads Argo CD's cluster Secrets and looks up what they are about. `progress` is told a line at a time.
///
/// # Errors
/// When the Secrets or our objects cannot be read, or the hub that was named is not there, or not that of the
/// `ManagementRole`.
pub async fn import(args: &ImportArgs, progress: impl Fn(&str)) -> Result<Found, Error> {
    let client = connect(None, None).await?;
    let hub = Hub {
        cluster: ClusterArn {
            region: args.hub_region.clone(),
            account: args.hub_account.clone(),
            name: args.hub_cluster.clone(),
        },
        namespace: args.argocd_namespace.to_string(),
        management_role: args.management_role.clone(),
        reader_role: args.reader_role.to_string(),
        external_id: args.external_id.clone(),
    };
    let role = objects::stored::<ManagementRole>(&client, hub.management_role.as_str()).await;
    let role = role.or_else(|error| if error.is_not_found() { Ok(None) } else { Err(error) })?;
    let role = role.map(serde_json::to_value).transpose().map_err(Error::Unreadable)?;
    if let Some(role) = &role {
        same_hub(role, &hub)?;
    }
    let api: Api<Secret> = Api::namespaced(client.clone(), args.argocd_namespace.as_str());
    let (key, value) = SECRET_TYPE;
    let secrets = objects::list_labelled(&api, &format!("{key}={value}")).await?;
    let living = living(&client).await?;
    let (wired, left) = by_hand::read(&secrets, &hub, &living);
    let behind = wired.iter().filter(|one| one.left_by().is_some()).count();
    progress(&format!(
        "{} wired by hand, {behind} left behind by ManagedClusters that are gone, and {} more cannot be imported; looking at the accounts, and changing nothing",
        match wired.len() - behind {
            1 => "1 cluster Secret was".to_owned(),
            count => format!("{count} cluster Secrets were"),
        },
        left.len()
    ));
    let settings = aws::Settings {
        ca_bundle: given(args.ca_bundle.clone()),
        operation_timeout: Duration::from_secs(20),
        ..aws::Settings::default()
    };
    let reader = Reader::connect(settings).await?;
    let by = ReadBy {
        region: args.hub_region.clone(),
        role: args.reader_role.clone(),
        external_id: args.external_id.clone(),
    };
    let hub_seen = match Box::pin(is_there(&reader, &by, &hub.cluster)).await {
        Ok(true) => true,
        Ok(false) => return Err(Error::NoSuchHub(hub.cluster.to_string())),
        Err(why) => {
            // What another ManagementRole says of this hub, the operator has seen.
            let others = objects::list(&Api::<Guarded<ManagementRole>>::all(client.clone())).await;
            let others = others.unwrap_or_default().into_iter().filter_map(|other| other.0.ok());
            for other in others.filter(|other| other.status.as_ref().is_some_and(|status| status.hub.is_some())) {
                same_hub(&serde_json::to_value(&other).map_err(Error::Unreadable)?, &hub)?;
            }
            progress(&format!(
                "whether {} is there could not be looked at: {why}",
                hub.cluster
            ));
            false
        }
    };
    let looks = wired.into_iter().map(|one| look(&reader, &by, one));
    let looked: Vec<Looked> = stream::iter(looks).buffered(AT_ONCE).collect().await;
    Ok(Found {
        hub,
        hub_seen,
        role,
        living,
        secrets: secrets.iter().map(ClusterSecret::read).collect(),
        looked,
        left,
    })
}

/// That the `ManagementRole` on the hub is of the hub that was named: another one's is nothing to print over.
fn same_hub(role: &Value, hub: &Hub) -> Result<(), Error> {
    let name = role.pointer("/metadata/name").and_then(Value::as_str);
    let account = role.pointer("/status/hub/accountId").and_then(Value::as_str);
    for (flag, given, at) in [
        ("--hub-cluster", hub.cluster.name.to_string(), "/spec/cluster/name"),
        ("--hub-region", hub.cluster.region.to_string(), "/spec/cluster/region"),
        ("--argocd-namespace", hub.namespace.clone(), "/spec/argocdNamespace"),
        (
            "--hub-account",
            hub.cluster.account.to_string(),
            "/status/hub/accountId",
        ),
    ] {
        let stands = role.pointer(at).and_then(Value::as_str);
        if (at != "/status/hub/accountId" || account.is_some()) && stands != Some(given.as_str()) {
            return Err(Error::OtherHub {
                role: name.unwrap_or_default().to_owned(),
                flag,
                given,
                stands: stands.unwrap_or_default().to_owned(),
            });
        }
    }
    Ok(())
}

async fn is_there(reader: &Reader, by: &ReadBy, hub: &ClusterArn) -> Result<bool, String> {
    let account = reader.enter(by, &hub.account, &hub.region).await?;
    let found = account.cluster(&hub.name).await;
    found.map(|found| found.is_some()).map_err(|error| in_words(&error))
}

/// The `ManagedCluster`s that are there. Before Mooring is installed there are none.
async fn living(client: &Client) -> Result<Living, Error> {
    let all = objects::list(&Api::<Guarded<ManagedCluster>>::all(client.clone())).await;
    let all = all.or_else(|error| {
        if error.is_not_found() {
            Ok(Vec::new())
        } else {
            Err(error)
        }
    })?;
    let mut living = Living::default();
    for object in &all {
        add_listed(&mut living, object, client).await?;
    }
    Ok(living)
}

async fn look(reader: &Reader, by: &ReadBy, wired: Wired) -> Looked {
    let account = reader.enter(by, &wired.cluster.account, &wired.cluster.region).await;
    let account = match account {
        Ok(account) => account,
        Err(why) => {
            return Looked {
                spoke: Err(Unseen { why, access: None }),
                former: None,
                wired,
            };
        }
    };
    let former = match &wired.becomes {
        Becomes::LeftFor(_) => Box::pin(access(&account, &wired.cluster, &wired.role)).await,
        Becomes::Named | Becomes::Own | Becomes::Chosen => None,
    };
    Looked {
        spoke: Box::pin(spoke(&account, &wired)).await,
        former,
        wired,
    }
}

async fn spoke(account: &Account, wired: &Wired) -> Result<Spoke, Unseen> {
    let look = LookAtRole {
        recorded: None,
        always: true,
        adopt: true,
    };
    let deployer = wired.deployer();
    let error = match Box::pin(observe::spoke(account, &wired.cluster, deployer, Some(look))).await {
        Ok(spoke) => return Ok(spoke),
        Err(error) => error,
    };
    // Who may not read the role in IAM may still ask EKS what it gives the role.
    Err(Unseen {
        why: in_words(&error),
        access: Box::pin(access(account, &wired.cluster, deployer)).await,
    })
}

/// What EKS gives a role on a cluster; `None` where that could not be looked at.
async fn access(account: &Account, cluster: &ClusterArn, role: &RoleArn) -> Option<Access> {
    let found = Box::pin(observe::entry(account, cluster, role)).await;
    found.ok().map(|(entry, associations)| Access { entry, associations })
}
