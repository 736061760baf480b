//! 2. observe: what AWS holds for the management role. Reads only; a read that fails is an error, never an absence.

use std::collections::BTreeSet;

use futures::try_join;

use crate::{
    aws::{Account, AwsError, OidcProvider, Role, RolePolicies},
    domain::{arn::RoleArn, eks::Cluster, hub::Hub},
    policy::{Document, Effect, ITSELF},
};

use super::{request::Request, step::POLICY_NAME};

/// What stands in the hub's account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The hub.
    pub cluster: Option<Cluster>,
    /// The issuer of the API server that we run on.
    pub issuer_here: String,
    /// The provider of the hub's issuer.
    pub provider: Option<OidcProvider>,
    /// The role under the management role's name, whoever made it.
    pub role: Option<Role>,
    /// The policies on that role.
    pub policies: RolePolicies,
    /// The text of our policy.
    pub policy: Option<String>,
}

impl Observed {
    /// What the role may assume by our policy as it stands: of whatever else somebody wrote into it, nothing is taken
    /// over. A role outside of the hub's path is ours to have named only when we `recorded` that we did.
    #[must_use]
    pub fn assumable(&self, hub: &Hub, recorded: &BTreeSet<String>) -> BTreeSet<String> {
        let document = self.policy.as_deref().and_then(|text| Document::parse(text).ok());
        document
            .into_iter()
            .flat_map(|document| document.statements)
            .filter(|statement| statement.effect == Effect::Allow)
            .flat_map(|statement| statement.resource)
            .filter(|resource| issued(hub, resource) || recorded.contains(resource))
            .collect()
    }

    /// Whether the role may assume itself, or is on the way to it: by its trust or its policy as they stand.
    #[must_use]
    pub fn assumes_itself(&self) -> bool {
        let trust = self.role.as_ref().map(|role| role.trust.as_str());
        trust.into_iter().chain(self.policy.as_deref()).any(names_itself)
    }
}

/// Whether a policy has the statement by which the role may assume itself.
fn names_itself(text: &str) -> bool {
    Document::parse(text).is_ok_and(|document| {
        let mut all = document.statements.iter();
        all.any(|statement| statement.sid.as_deref() == Some(ITSELF))
    })
}

/// Whether we may have issued it: a deployer role under the hub's path, or everything under that path in one account.
fn issued(hub: &Hub, resource: &str) -> bool {
    let named = resource
        .strip_suffix('*')
        .map_or_else(|| resource.to_owned(), |path| format!("{path}x"));
    named
        .parse::<RoleArn>()
        .is_ok_and(|role| role.partition == hub.partition() && role.path == hub.path())
        && (!resource.ends_with('*') || resource.ends_with("/*"))
}

/// Reads everything in two rounds: the hub and the role, and then what their issuer and their being there lead to.
///
/// # Errors
/// The first read that failed.
pub async fn observe(account: &Account, request: &Request, issuer_here: String) -> Result<Observed, AwsError> {
    let (cluster, role) = try_join!(
        account.cluster(&request.hub.cluster.name),
        account.role(&request.role.name)
    )?;
    // The provider of another cluster's issuer is none of ours, and the provisioner may not look at it.
    let issuer = cluster
        .as_ref()
        .and_then(|cluster| cluster.issuer.as_deref())
        .filter(|issuer| *issuer == issuer_here);
    let provider = async {
        match issuer.and_then(|issuer| request.hub.oidc_provider(issuer).ok()) {
            Some(arn) => account.oidc_provider(&arn).await,
            None => Ok(None),
        }
    };
    let (provider, (role, policies, policy)) = try_join!(provider, with_policies(account, request, role))?;
    Ok(Observed {
        cluster,
        issuer_here,
        provider,
        role,
        policies,
        policy,
    })
}

/// The policies on a role of ours that is there: AWS judges a read of one that is not by its name without our path.
async fn with_policies(
    account: &Account,
    request: &Request,
    role: Option<Role>,
) -> Result<(Option<Role>, RolePolicies, Option<String>), AwsError> {
    let name = &request.role.name;
    if role.as_ref().is_none_or(|role| role.arn != request.role.to_string()) {
        return Ok((role, RolePolicies::default(), None));
    }
    match try_join!(account.role_policies(name), account.role_policy(name, POLICY_NAME)) {
        Ok((policies, policy)) => Ok((role, policies, policy)),
        Err(refused) => {
            account.gone_since(name, refused).await?;
            Ok((None, RolePolicies::default(), None))
        }
    }
}

/// Reads what is looked at of a role that somebody else owns: whether it is there.
///
/// # Errors
/// The first read that failed.
pub async fn observe_existing(account: &Account, request: &Request, issuer_here: String) -> Result<Observed, AwsError> {
    let (cluster, role) = try_join!(
        account.cluster(&request.hub.cluster.name),
        account.role(&request.role.name)
    )?;
    Ok(Observed {
        cluster,
        issuer_here,
        role,
        ..Observed::default()
    })
}

/// Reads what a removal has to take away, and the hub.
///
/// # Errors
/// The first read that failed.
pub async fn observe_for_removal(
    account: &Account,
    request: &Request,
    issuer_here: String,
) -> Result<Observed, AwsError> {
    let (cluster, role) = try_join!(
        account.cluster(&request.hub.cluster.name),
        account.role(&request.role.name)
    )?;
    // What another hub made is none of ours, and the provisioner may not look into it.
    let described = cluster.as_ref().and_then(|cluster| cluster.issuer.as_ref());
    let (role, policies, policy) = if described == Some(&issuer_here) {
        with_policies(account, request, role).await?
    } else {
        (role, RolePolicies::default(), None)
    };
    Ok(Observed {
        cluster,
        issuer_here,
        role,
        policies,
        policy,
        ..Observed::default()
    })
}
