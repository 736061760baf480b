//! A cluster that takes no access entry now, whatever the spec says.

use super::Memory;
use crate::{
    domain::eks::{AuthenticationMode, ClusterState},
    managed_cluster::{blocked::Blocked, desired::Desired, observe::Spoke},
};

/// Why a cluster cannot be moored as it is. Who may use its role does not hang on that.
pub(super) fn unusable_cluster(desired: &Desired, spoke: &Spoke, memory: &Memory<'_>) -> Option<Blocked> {
    let Some(cluster) = &spoke.cluster else {
        // A Secret is written last, so the cluster was there when it was.
        let cluster = desired.cluster.clone();
        let moored = memory.recorded_secret.is_some();
        return Some(if moored {
            Blocked::ClusterGone { cluster }
        } else {
            Blocked::ClusterNotFound { cluster }
        });
    };
    if cluster.connected {
        return Some(Blocked::ConnectedCluster);
    }
    if cluster.authentication_mode == AuthenticationMode::ConfigMap {
        return Some(Blocked::AccessEntriesDisabled {
            cluster: desired.cluster.clone(),
        });
    }
    match cluster.state {
        ClusterState::Active | ClusterState::Updating => None,
        state @ (ClusterState::Creating
        | ClusterState::Pending
        | ClusterState::Deleting
        | ClusterState::Failed
        | ClusterState::Unknown) => Some(Blocked::ClusterNotActive {
            cluster: desired.cluster.clone(),
            state,
        }),
    }
}
