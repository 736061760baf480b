//! Who an identity is on a cluster: by access entry, and by the `ConfigMap` `aws-auth` where the mode still has it.
//!
//! Source: EKS user guide, "Grant IAM users and roles access to Kubernetes APIs": the three modes, and "access entries
//! take precedence" where both name a principal.

use std::time::Instant;

use super::cluster::AuthenticationMode;
use super::entry::{Access, Entry};
use super::{Cluster, Eks, Key};
use crate::aws::identity::Identity;

/// One item of `mapRoles`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleMapping {
    /// The role's ARN without its path: one with a path never matches. No unique ID is kept, so a role made anew matches.
    pub role_arn: String,
    /// The user name, with variables.
    pub username: String,
    /// The groups; `system:` ones too.
    pub groups: Vec<String>,
}

/// A user on a cluster.
#[derive(Debug)]
pub(in crate::aws) struct Mapped {
    pub(in crate::aws) username: String,
    pub(in crate::aws) groups: Vec<String>,
}

/// Why an identity has no access to a cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unmapped {
    /// The cluster is gone.
    #[error("there is no such cluster")]
    NoCluster,
    /// The cluster does not have access entries, and `aws-auth` does not name it.
    #[error("the authentication mode is CONFIG_MAP, and aws-auth does not map it")]
    NotInConfigMap,
    /// Nothing names it.
    #[error("no access entry has it as its principal")]
    NoEntry,
    /// An entry has its name, but was made for a principal that is gone.
    #[error("the access entry of {principal} was made for another principal of that name, which was deleted since")]
    OtherId {
        /// The entry's principal.
        principal: String,
    },
}

impl Eks {
    /// What a cluster's access entries make of an identity: the entry that pins its unique ID.
    pub(crate) fn access(&self, key: &Key, identity: &Identity) -> Option<Access> {
        let state = self.state();
        let now = Instant::now() + state.ahead;
        let cluster = state.clusters.get(key)?;
        cluster
            .entries_at(now, state.propagation)
            .find_map(|entry| entry.access(identity))
    }

    /// Who an identity is on a cluster.
    pub(crate) fn map(&self, key: &Key, identity: &Identity) -> Result<Mapped, Unmapped> {
        if let Some(Access { username, groups, .. }) = self.access(key, identity) {
            return Ok(Mapped { username, groups });
        }
        let state = self.state();
        let now = Instant::now() + state.ahead;
        let cluster = state.clusters.get(key).ok_or(Unmapped::NoCluster)?;
        if let Some(mapped) = cluster.aws_auth(identity) {
            return Ok(mapped);
        }
        if cluster.seed.authentication_mode == AuthenticationMode::ConfigMap {
            return Err(Unmapped::NotInConfigMap);
        }
        let mut entries = cluster.entries_at(now, state.propagation);
        Err(entries
            .find(|entry| entry.names(identity))
            .map_or(Unmapped::NoEntry, |entry| Unmapped::OtherId {
                principal: entry.principal.clone(),
            }))
    }
}

impl Cluster {
    /// The entries that a read sees; none in the mode that does not have them.
    fn entries_at(&self, now: Instant, delay: std::time::Duration) -> impl Iterator<Item = &Entry> {
        let has_entries = self.seed.authentication_mode != AuthenticationMode::ConfigMap;
        let entries = self.entries.values().filter(move |_| has_entries);
        entries.filter_map(move |entry| entry.seen(now, delay))
    }

    /// What `aws-auth` makes of an identity.
    fn aws_auth(&self, identity: &Identity) -> Option<Mapped> {
        let mut mappings = match self.seed.authentication_mode {
            AuthenticationMode::Api => [].iter(),
            AuthenticationMode::ApiAndConfigMap | AuthenticationMode::ConfigMap => self.seed.aws_auth.iter(),
        };
        let mapping = mappings.find(|mapping| mapping.role_arn.eq_ignore_ascii_case(&identity.canonical_arn))?;
        Some(Mapped {
            username: identity.fill(&mapping.username),
            groups: mapping.groups.clone(),
        })
    }
}
