//! `mooring import`: the edges, for a person. What was found is printed by `commands::import`.

use std::time::Duration;

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;

use super::Error;
use crate::{
    argocd::SECRET_TYPE,
    aws::{self, ReadBy, Reader},
    cli::{ImportArgs, given},
    domain::arn::ClusterArn,
    kubernetes::{connect::connect, objects},
    managed_cluster::{
        by_hand::{self, Hub, Left, Looked, Wired},
        observe::{self, LookAtPolicies, Spoke},
    },
};

/// How many accounts are looked at at the same time.
const AT_ONCE: usize = 4;

/// Reads Argo CD's cluster Secrets and looks up what they are about. `progress` is told a line at a time.
///
/// # Errors
/// When the Secrets cannot be read.
pub async fn import(args: &ImportArgs, progress: impl Fn(&str)) -> Result<(Hub, Vec<Looked>, Vec<Left>), Error> {
    let client = connect(None, None).await?;
    let api: Api<Secret> = Api::namespaced(client, args.argocd_namespace.as_str());
    let (key, value) = SECRET_TYPE;
    let secrets = objects::list_labelled(&api, &format!("{key}={value}")).await?;
    let (wired, left) = by_hand::read(&secrets);
    progress(&format!(
        "{} cluster Secrets were wired by hand, and {} more cannot be imported; looking at the accounts, and changing nothing",
        wired.len(),
        left.len()
    ));
    let settings = aws::Settings {
        ca_bundle: given(args.ca_bundle.clone()),
        operation_timeout: Duration::from_secs(20),
        ..aws::Settings::default()
    };
    let reader = Reader::connect(settings).await?;
    let hub = Hub {
        cluster: ClusterArn {
            region: args.hub_region.clone(),
            account: args.hub_account.clone(),
            name: args.hub_cluster.clone(),
        },
        namespace: args.argocd_namespace.to_string(),
        management_role: args.management_role.to_string(),
    };
    let by = ReadBy {
        region: args.hub_region.clone(),
        role: args.reader_role.clone(),
        external_id: args.external_id.clone(),
    };
    let looks = wired.into_iter().map(|one| look(&reader, &by, one));
    let looked: Vec<Looked> = stream::iter(looks).buffered(AT_ONCE).collect().await;
    Ok((hub, looked, left))
}

async fn look(reader: &Reader, by: &ReadBy, wired: Wired) -> Looked {
    let spoke = Box::pin(spoke(reader, by, &wired)).await;
    Looked { wired, spoke }
}

async fn spoke(reader: &Reader, by: &ReadBy, wired: &Wired) -> Result<Spoke, String> {
    let account = reader.enter(by, &wired.cluster.account, &wired.cluster.region).await?;
    Box::pin(observe::spoke(
        &account,
        &wired.cluster,
        &wired.role,
        LookAtPolicies::Always,
    ))
    .await
    .map_err(|error| crate::managed_cluster::in_words(&error))
}
