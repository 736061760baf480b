//! Who the management role is for: from the watches, and from the API server where something would be taken away.

use std::{collections::BTreeSet, sync::Arc};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, core::DeserializeGuard};

use super::{
    Context, Error,
    members::{self, Member, Members},
    observe::Observed,
    request::Request,
};
use crate::{
    api::{ManagedCluster, ManagementRoleStatus},
    argocd::SECRET_TYPE,
    kubernetes::objects,
};

/// Gathers the members from the watch. Before anything is taken away, the API server itself is asked: a watch can lag,
/// and a set that is too small cuts everybody off. Of those that were kept, what is to be `let_go` needs nothing any more.
pub(super) async fn members(
    request: &Request,
    observed: &Observed,
    (old, let_go): (&ManagementRoleStatus, &BTreeSet<String>),
    context: &Context,
) -> Result<Members, Error> {
    let standing = observed.assumable(&request.hub, &old.assumable.iter().cloned().collect());
    let kept = old.retained.iter().filter(|arn| !let_go.contains(*arn));
    let recorded: BTreeSet<String> = kept.cloned().collect();
    let gather = |objects: &[Arc<DeserializeGuard<ManagedCluster>>]| {
        Members::gather(request, &members_of(objects), &standing, &recorded)
    };
    let mut seen = gather(&context.clusters.state());
    seen.acting = acting(request, observed.assumes_itself(), context).await?;
    if standing.is_subset(&seen.wanted) {
        return Ok(seen);
    }
    let live = gather(&live(context).await?);
    Ok(Members {
        acting: seen.acting,
        wanted: seen.wanted.union(&live.wanted).cloned().collect(),
        retained: live.retained,
        unreadable: seen.unreadable || live.unreadable,
    })
}

/// The cluster Secrets by which Argo CD assumes the management role itself; `None` in a namespace that is not served.
/// Before what they need is taken away, the API server itself is asked.
pub(super) async fn acting(
    request: &Request,
    stands: bool,
    context: &Context,
) -> Result<Option<BTreeSet<String>>, Error> {
    let namespace = request.namespace.to_string();
    let Some(store) = context.secrets.get(&namespace) else {
        return Ok(None);
    };
    let known = store.state();
    let mut secrets = members::acting(&request.role, known.iter().map(AsRef::as_ref));
    if secrets.is_empty() && stands {
        let api = Api::<Secret>::namespaced(context.client.clone(), &namespace);
        let (key, value) = SECRET_TYPE;
        let live = objects::list_labelled(&api, &format!("{key}={value}")).await?;
        secrets = members::acting(&request.role, live.iter());
    }
    Ok(Some(secrets))
}

pub(super) fn members_of(objects: &[Arc<DeserializeGuard<ManagedCluster>>]) -> Vec<Member<'_>> {
    objects
        .iter()
        .map(|object| object.0.as_ref().map_or(Member::Unreadable, Member::Known))
        .collect()
}

/// All `ManagedCluster`s as the API server has them now.
pub(super) async fn live(context: &Context) -> Result<Vec<Arc<DeserializeGuard<ManagedCluster>>>, Error> {
    let api: Api<DeserializeGuard<ManagedCluster>> = Api::all(context.client.clone());
    Ok(objects::list(&api).await?.into_iter().map(Arc::new).collect())
}
