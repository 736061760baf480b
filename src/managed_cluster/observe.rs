//! 2. observe: what AWS and Argo CD's namespace hold. Reads only; a read that fails is an error, never an absence.

mod secrets;

use std::collections::BTreeSet;

use futures::try_join;

use crate::{
    api::AccessEntryStatus,
    aws::{Account, AwsError, ErrorKind, Role, RolePolicies},
    domain::{
        arn::{ClusterArn, RoleArn},
        eks::{AccessEntry, Associations, Cluster},
        ownership::Owner,
    },
};

pub use self::secrets::{Adoptable, Known, Secrets, adoptable, is_anothers_name, own_secrets, secrets};
use super::{
    plan::{KnownEntry, hangs_on_its_role, taken_over},
    request::Identity,
};

/// What stands in the cluster's account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spoke {
    /// The cluster.
    pub cluster: Option<Cluster>,
    /// The role under the deployer role's name, whoever made it.
    pub role: Option<Role>,
    /// The policies on that role, where they were looked for.
    pub role_policies: Option<RolePolicies>,
    /// The ARNs of the instance profiles that hold that role, where they were looked for.
    pub instance_profiles: Option<BTreeSet<String>>,
    /// The access entry of the deployer role.
    pub entry: Option<AccessEntry>,
    /// The access policies of the entry.
    pub associations: Option<Associations>,
}

impl Spoke {
    /// The deployer role that others may have a part in, since it stands outside of our path.
    #[must_use]
    pub fn role_of_others(&self, identity: &Identity) -> Option<&Role> {
        let named = identity.adopted.as_ref()?.to_string();
        self.role.as_ref().filter(|role| role.arn == named)
    }
}

/// How closely the deployer role is looked at, unless it is somebody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookAtRole<'a> {
    /// The unique ID of the one that was recorded.
    pub recorded: Option<&'a str>,
    /// Whether policies on that one matter too: with AWSDenyAll as its boundary they change nothing.
    pub always: bool,
    /// Whether another one may be taken over, so that the instance profiles matter that hold it.
    pub adopt: bool,
}

/// A role with what it carries, as far as that was looked at.
#[derive(Default)]
struct Carrying {
    role: Option<Role>,
    policies: Option<RolePolicies>,
    profiles: Option<BTreeSet<String>>,
}

/// Reads the cluster's account in at most four calls beside each other, and two or three more where it matters what the
/// role carries; `look` is `None` where the role is somebody else's.
///
/// The policies are read after the role is known to be there: AWS judges a read of a role that is not there by its name
/// without our path, which the provisioner may only ask for with `GetRole`.
///
/// # Errors
/// The first read that failed.
pub async fn spoke(
    account: &Account,
    cluster: &ClusterArn,
    deployer: &RoleArn,
    look: Option<LookAtRole<'_>>,
) -> Result<Spoke, AwsError> {
    let (found, carrying, (entry, associations)) = try_join!(
        account.cluster(&cluster.name),
        Box::pin(looked_at(account, deployer, look)),
        entry(account, cluster, deployer),
    )?;
    Ok(Spoke {
        cluster: found,
        role: carrying.role,
        role_policies: carrying.policies,
        instance_profiles: carrying.profiles,
        entry,
        associations,
    })
}

async fn looked_at(account: &Account, deployer: &RoleArn, look: Option<LookAtRole<'_>>) -> Result<Carrying, AwsError> {
    let role = account.role(&deployer.name).await?;
    let (Some(look), Some(seen)) = (look, role.as_ref().filter(|role| role.arn == deployer.to_string())) else {
        return Ok(Carrying {
            role,
            ..Carrying::default()
        });
    };
    let another = look.recorded != Some(seen.id.as_str());
    if another || look.always {
        return what_it_carries(account, deployer, role, another && look.adopt).await;
    }
    Ok(Carrying {
        role,
        ..Carrying::default()
    })
}

async fn what_it_carries(
    account: &Account,
    deployer: &RoleArn,
    role: Option<Role>,
    adopt: bool,
) -> Result<Carrying, AwsError> {
    let profiles = async {
        if !adopt {
            return Ok(None);
        }
        account.instance_profiles(&deployer.name).await.map(Some)
    };
    match try_join!(account.role_policies(&deployer.name), profiles) {
        Ok((policies, profiles)) => Ok(Carrying {
            role,
            policies: Some(policies),
            profiles,
        }),
        Err(refused) => {
            account.gone_since(&deployer.name, refused).await?;
            Ok(Carrying::default())
        }
    }
}

/// Reads the access entry alone: what a suspension takes away, and waits for nothing else.
///
/// # Errors
/// When EKS cannot be asked, or refuses.
pub async fn access_entry(
    account: &Account,
    cluster: &ClusterArn,
    deployer: &RoleArn,
) -> Result<Option<AccessEntry>, AwsError> {
    Box::pin(or_disabled(account.access_entry(&cluster.name, deployer))).await
}

/// The same with the deployer role, where it takes that to tell whose the entry is. `known` is what is known of the entry
/// without.
///
/// # Errors
/// The first read that failed: an entry that may be another hub's is not touched by a guess.
pub async fn entry_with_role(
    account: &Account,
    identity: &Identity,
    deployer: &RoleArn,
    owner: &Owner,
    known: KnownEntry<'_>,
) -> Result<Spoke, AwsError> {
    let entry = access_entry(account, &identity.cluster, deployer).await?;
    let asked =
        identity.adopted.is_some() && (entry.as_ref()).is_some_and(|entry| hangs_on_its_role(owner, known, entry));
    let role = if asked {
        account.role(&deployer.name).await?
    } else {
        None
    };
    Ok(Spoke {
        role,
        entry,
        ..Spoke::default()
    })
}

/// Reads what a suspension keeps: everything but the access entry.
///
/// # Errors
/// The first read that failed.
pub async fn spoke_without_entry(
    account: &Account,
    cluster: &ClusterArn,
    deployer: &RoleArn,
    look: Option<LookAtRole<'_>>,
) -> Result<Spoke, AwsError> {
    let role = Box::pin(looked_at(account, deployer, look));
    let (cluster, carrying) = try_join!(account.cluster(&cluster.name), role)?;
    Ok(Spoke {
        cluster,
        role: carrying.role,
        role_policies: carrying.policies,
        instance_profiles: carrying.profiles,
        ..Spoke::default()
    })
}

/// Reads what a removal has to take away: the cluster itself does not matter, nor a role that is somebody else's.
/// `recorded` is what is known of the access entry.
///
/// # Errors
/// The first read that failed.
pub async fn spoke_for_removal(
    account: &Account,
    identity: &Identity,
    deployer: &RoleArn,
    recorded: Option<&AccessEntryStatus>,
) -> Result<Spoke, AwsError> {
    let cluster = &identity.cluster;
    let role = async {
        if identity.existing.is_some() {
            return Ok(Carrying::default());
        }
        let look = LookAtRole {
            recorded: None,
            always: true,
            adopt: false,
        };
        looked_at(account, deployer, Some(look)).await
    };
    let entry = or_disabled(account.access_entry(&cluster.name, deployer));
    let (carrying, entry) = try_join!(Box::pin(role), entry)?;
    // What others gave to an entry that was taken over stays.
    let shared = entry.as_ref().is_some_and(|entry| taken_over(recorded, entry));
    let associations = if shared {
        Box::pin(or_disabled(account.associations(&cluster.name, deployer))).await?
    } else {
        None
    };
    Ok(Spoke {
        role: carrying.role,
        role_policies: carrying.policies,
        entry,
        associations,
        ..Spoke::default()
    })
}

/// Reads the access entry of a role, and its access policies.
///
/// # Errors
/// The first read that failed.
pub async fn entry(
    account: &Account,
    cluster: &ClusterArn,
    deployer: &RoleArn,
) -> Result<(Option<AccessEntry>, Option<Associations>), AwsError> {
    try_join!(
        or_disabled(account.access_entry(&cluster.name, deployer)),
        or_disabled(account.associations(&cluster.name, deployer)),
    )
}

/// A cluster that takes no access entries has none; its authentication mode, read beside this, says so.
async fn or_disabled<T>(read: impl Future<Output = Result<Option<T>, AwsError>>) -> Result<Option<T>, AwsError> {
    match read.await {
        Err(error) if error.kind == ErrorKind::AccessEntriesDisabled => Ok(None),
        result => result,
    }
}
