//! `mooring bootstrap`: everything that the owner of an account makes once, before Mooring can work there. The
//! documents come from the table of calls and from `spec.allow`, so they are the narrowest that serve.
//!
//! It prints JSON, since IAM takes JSON: each document can be cut out and given to `aws iam` as it stands.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::Path,
};

use serde::Serialize;

use super::{Printed, manifests, manifests::Manifests, script};
use crate::{
    api::ManagementRole,
    aws::grants::{self, ManagementGrant},
    cli::BootstrapArgs,
    domain::{
        allow::Glob,
        arn::{ClusterArn, OidcProviderArn, PolicyArn, RoleArn},
        hub::Hub,
        name::{AccountId, InvalidName, KubernetesName, RoleName},
        ownership::{HUB_TAG, OBJECT_TAG, Tags},
    },
    management_role::request::{Refusal, Request, RoleOwner},
    policy::{self, Document},
};

/// Characters of a role's inline policies together, and of one managed policy, white space not counted (IAM user
/// guide, "IAM and STS quotas").
const INLINE_QUOTA: usize = 10_240;
const MANAGED_QUOTA: usize = 6_144;

/// What the manifest does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The one account to make documents for; all that are named when left out.
    pub account: Option<AccountId>,
    /// The hub's account; that of `identity.roleArn` when left out.
    pub hub_account: Option<AccountId>,
    /// The hub's OIDC issuer, `https://...`. Without it the operator gets its credentials by EKS Pod Identity alone.
    pub hub_issuer: Option<String>,
    /// The name of the operator's own role.
    pub operator_role: RoleName,
    /// The namespace that the operator runs in.
    pub operator_namespace: KubernetesName,
    /// The service account that the operator runs as.
    pub operator_service_account: KubernetesName,
    /// Permissions boundaries that deployer roles may bear besides `AWSDenyAll`.
    pub deployer_boundaries: Vec<PolicyArn>,
}

impl From<&BootstrapArgs> for Options {
    fn from(args: &BootstrapArgs) -> Self {
        Self {
            account: args.account.clone(),
            hub_account: args.hub_account.clone(),
            hub_issuer: args.hub_issuer.clone(),
            operator_role: args.operator_role.clone(),
            operator_namespace: args.operator_namespace.clone(),
            operator_service_account: args.operator_service_account.clone(),
            deployer_boundaries: args.deployer_boundaries.clone(),
        }
    }
}

/// Everything to be made, by account; the hub's own account first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bootstrap {
    /// The `ManagementRole` that it is for.
    pub management_role: String,
    /// The hub's EKS cluster.
    pub hub: ClusterArn,
    /// What is made where.
    pub accounts: Vec<AccountSetup>,
    /// What a person should know, a sentence each; told on standard error.
    #[serde(skip)]
    pub notes: Vec<String>,
}

/// What is made in one account, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountSetup {
    /// The account.
    pub account_id: AccountId,
    /// OIDC providers that role trust policies name: IAM takes no trust policy without them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub oidc_providers: Vec<Provider>,
    /// Managed policies.
    pub managed_policies: Vec<ManagedPolicy>,
    /// Roles.
    pub roles: Vec<SetupRole>,
}

/// An IAM OIDC provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Provider {
    /// Its ARN.
    pub arn: OidcProviderArn,
    /// The issuer.
    pub url: String,
    /// The audiences.
    pub client_ids: Vec<String>,
}

/// A managed policy at the root path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManagedPolicy {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: PolicyArn,
    /// For people.
    pub description: String,
    /// Its tags, by which a second run knows it again.
    pub tags: Tags,
    /// The policy.
    pub document: Document,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SetupRole {
    /// Its name.
    pub name: RoleName,
    /// Its path, `/`.
    pub path: String,
    /// Its ARN.
    pub arn: RoleArn,
    /// For people.
    pub description: String,
    /// Its tags, by which a second run knows it again.
    pub tags: Tags,
    /// Who may assume it.
    pub trust_policy: Document,
    /// What it may do. The name holds the `ManagementRole`'s, so that two of one hub can share the role.
    pub inline_policies: BTreeMap<String, Document>,
}

/// Why there is nothing to print.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BootstrapError {
    /// The hub's account is not known.
    #[error("{0}")]
    HubAccount(String),
    /// The manifest cannot be used.
    #[error("ManagementRole {0}: {1}")]
    Refused(String, Refusal),
    /// An account in `allow`, the issuer, or another name, is none.
    #[error("{0}")]
    Invalid(#[from] InvalidName),
    /// The account asked for is not one that the `ManagementRole` speaks of.
    #[error(
        "account {account} is neither the hub's own nor in spec.allow of ManagementRole {management_role}: Mooring needs nothing there until spec.allow names it"
    )]
    NotAllowed {
        /// The account.
        account: AccountId,
        /// The object.
        management_role: String,
    },
    /// Two roles of one account would have one name.
    #[error(
        "the operator's role and the provisioner role are both named {0}, and both are made in the hub's account: choose another --operator-role"
    )]
    OneName(RoleName),
    /// A boundary of another partition.
    #[error("--deployer-boundary {arn} is in partition {}, the hub in {hub}: name a policy of that partition", arn.partition)]
    OtherPartition {
        /// The boundary.
        arn: PolicyArn,
        /// The hub's partition.
        hub: &'static str,
    },
    /// A policy that IAM does not take.
    #[error(
        "the policy of role {role} in account {account} has {length} characters, and IAM gives a role's inline policies {INLINE_QUOTA}: let fewer entries of spec.allow cover the account, or fewer regions and clusters in each"
    )]
    TooLong {
        /// The role.
        role: RoleName,
        /// The account.
        account: AccountId,
        /// Its length.
        length: usize,
    },
}

/// Everything that must exist before the operator can work for this `ManagementRole`.
///
/// # Errors
/// Says what a person must change in the manifest or add to the command.
pub fn bootstrap(manifest: &ManagementRole, options: &Options) -> Result<Bootstrap, BootstrapError> {
    let name = manifest.metadata.name.clone().unwrap_or_default();
    let account = manifests::hub_account(manifest, options.hub_account.as_ref()).map_err(BootstrapError::HubAccount)?;
    let request =
        Request::parse(manifest, &account).map_err(|refusal| BootstrapError::Refused(name.clone(), refusal))?;
    let setup = Setup::new(&request, options)?;
    let accounts = setup.accounts()?;
    let mut bootstrap = Bootstrap {
        management_role: name,
        hub: request.hub.cluster.clone(),
        accounts: Vec::new(),
        notes: Vec::new(),
    };
    for account in &accounts {
        bootstrap.accounts.push(setup.account(account, &mut bootstrap.notes)?);
    }
    if setup.everywhere() && options.account.is_none() {
        let named: Vec<_> = accounts.iter().map(AccountId::as_str).collect();
        bootstrap.notes.push(format!(
            "spec.allow covers every account (\"*\"), and only those that the ManagementRole names are printed ({}): run this again with --account for each other account",
            named.join(", ")
        ));
    }
    Ok(bootstrap)
}

struct Setup<'a> {
    request: &'a Request,
    options: &'a Options,
    hub: &'a Hub,
    operator: RoleArn,
    provider: Option<OidcProviderArn>,
    /// The accounts of `allow`: IDs, or `*`.
    allowed: Vec<Glob>,
}

impl<'a> Setup<'a> {
    fn new(request: &'a Request, options: &'a Options) -> Result<Self, BootstrapError> {
        let hub = &request.hub;
        let (operator, provisioner) = (&options.operator_role, &request.provisioner);
        // Names of roles are unique without regard to case.
        if operator.as_str().eq_ignore_ascii_case(provisioner.as_str()) {
            return Err(BootstrapError::OneName(operator.clone()));
        }
        if let Some(arn) = options
            .deployer_boundaries
            .iter()
            .find(|arn| arn.partition != hub.partition())
        {
            return Err(BootstrapError::OtherPartition {
                arn: arn.clone(),
                hub: hub.partition().name(),
            });
        }
        let issuer = options.hub_issuer.as_deref();
        let allowed: BTreeSet<_> = request
            .allow
            .iter()
            .flat_map(|entry| &entry.accounts)
            .cloned()
            .collect();
        Ok(Self {
            operator: hub.provisioner(&hub.cluster.account, operator),
            provider: issuer.map(|issuer| hub.oidc_provider(issuer)).transpose()?,
            allowed: allowed.into_iter().collect(),
            request,
            options,
            hub,
        })
    }

    fn everywhere(&self) -> bool {
        self.allowed.iter().any(|glob| glob.0 == "*")
    }

    /// The accounts to make documents for, the hub's own first.
    fn accounts(&self) -> Result<Vec<AccountId>, BootstrapError> {
        let own = &self.hub.cluster.account;
        let named = self
            .allowed
            .iter()
            .filter(|glob| glob.0 != "*")
            .map(|glob| glob.0.parse());
        let named: BTreeSet<AccountId> = named.collect::<Result<_, _>>()?;
        match &self.options.account {
            Some(account) if account == own || named.contains(account) || self.everywhere() => {
                Ok(vec![account.clone()])
            }
            Some(account) => Err(BootstrapError::NotAllowed {
                account: account.clone(),
                management_role: self.request.name.clone(),
            }),
            None => Ok(std::iter::once(own)
                .chain(named.iter().filter(|account| *account != own))
                .cloned()
                .collect()),
        }
    }

    fn account(&self, account: &AccountId, notes: &mut Vec<String>) -> Result<AccountSetup, BootstrapError> {
        let mut setup = AccountSetup {
            account_id: account.clone(),
            oidc_providers: Vec::new(),
            managed_policies: Vec::new(),
            roles: Vec::new(),
        };
        if *account == self.hub.cluster.account {
            setup.oidc_providers = self.providers(notes);
            if self.request.role_owner == RoleOwner::Mooring {
                setup.managed_policies.push(self.boundary(notes));
            }
            setup.roles.push(self.operator(notes)?);
        }
        setup.roles.push(self.provisioner(account)?);
        Ok(setup)
    }

    fn providers(&self, notes: &mut Vec<String>) -> Vec<Provider> {
        let (Some(arn), Some(url)) = (&self.provider, &self.options.hub_issuer) else {
            return Vec::new();
        };
        if !self.request.manage_provider {
            notes.push(format!(
                "spec.oidcProvider is Require: OIDC provider {arn} with audience {} must be there before the operator's role can be made",
                policy::AUDIENCE
            ));
            return Vec::new();
        }
        vec![Provider {
            arn: arn.clone(),
            url: url.clone(),
            client_ids: vec![policy::AUDIENCE.to_owned()],
        }]
    }

    fn boundary(&self, notes: &mut Vec<String>) -> ManagedPolicy {
        let mut document = grants::management_boundary(self.hub, &self.allowed);
        if document.quota_length() > MANAGED_QUOTA {
            document = grants::management_boundary(self.hub, &[Glob("*".to_owned())]);
            notes.push(format!(
                "the accounts of spec.allow are too many for one managed policy ({MANAGED_QUOTA} characters): policy {} is for roles under {} in any account",
                self.request.boundary.name,
                self.hub.path()
            ));
        }
        let mut tags = self.tags();
        tags.insert(OBJECT_TAG.to_owned(), self.request.name.clone());
        ManagedPolicy {
            name: self.request.boundary.name.clone(),
            arn: self.request.boundary.clone(),
            description: format!(
                "What the management role of ManagementRole {} may do at most: assume the deployer roles of its hub.",
                self.request.name
            ),
            tags,
            document,
        }
    }

    fn operator(&self, notes: &mut Vec<String>) -> Result<SetupRole, BootstrapError> {
        let (hub, options) = (self.hub, self.options);
        let (namespace, service_account) = (&options.operator_namespace, &options.operator_service_account);
        let mut document = grants::operator_policy(hub, &self.allowed, &self.request.provisioner);
        if document.quota_length() > INLINE_QUOTA {
            document = grants::operator_policy(hub, &[Glob("*".to_owned())], &self.request.provisioner);
            notes.push(format!(
                "the accounts of spec.allow are too many for the operator's policy ({INLINE_QUOTA} characters): it may try role {} in any account, and each account's own trust policy decides",
                self.request.provisioner
            ));
        }
        let operator = &self.operator;
        notes.push(match &self.provider {
            Some(_) => format!("the operator gets its credentials once its service account {namespace}/{service_account} has the annotation eks.amazonaws.com/role-arn: {operator}"),
            None => format!(
                "the operator gets its credentials once EKS Pod Identity knows it: aws eks create-pod-identity-association --region {} --cluster-name {} --namespace {namespace} --service-account {service_account} --role-arn {operator} (for IRSA instead, add --hub-issuer)",
                hub.cluster.region, hub.cluster.name
            ),
        });
        self.role(
            operator,
            format!("The Mooring operator on {} works with this role.", hub.cluster.name),
            policy::operator_trust(hub, self.provider.as_ref(), namespace, service_account),
            document,
        )
    }

    fn provisioner(&self, account: &AccountId) -> Result<SetupRole, BootstrapError> {
        let (hub, request) = (self.hub, self.request);
        let management = (*account == hub.cluster.account).then(|| ManagementGrant {
            role: request.role.clone(),
            boundary: request.boundary.clone(),
            provider: self.provider.clone(),
            existing: request.role_owner == RoleOwner::Existing,
        });
        // A role's boundary is a policy of its own account, or AWS's.
        let given = self.options.deployer_boundaries.iter();
        let mut boundaries: Vec<_> = given
            .filter(|arn| arn.account.as_ref().is_none_or(|of| of == account))
            .cloned()
            .collect();
        if !boundaries.is_empty() {
            boundaries.push(PolicyArn::deny_all(hub.partition()));
        }
        self.role(
            &hub.provisioner(account, &request.provisioner),
            format!("Mooring on {} enters account {account} by this role.", hub.cluster.name),
            policy::provisioner_trust(&self.operator, &request.external_id),
            grants::provisioner_policy(hub, account, &request.allow, management.as_ref(), &boundaries),
        )
    }

    fn role(
        &self,
        arn: &RoleArn,
        description: String,
        trust: Document,
        allowed: Document,
    ) -> Result<SetupRole, BootstrapError> {
        let length = allowed.quota_length();
        if length > INLINE_QUOTA {
            return Err(BootstrapError::TooLong {
                role: arn.name.clone(),
                account: arn.account.clone(),
                length,
            });
        }
        Ok(SetupRole {
            name: arn.name.clone(),
            path: arn.path.clone(),
            arn: arn.clone(),
            description,
            tags: self.tags(),
            trust_policy: trust,
            inline_policies: [(format!("mooring-{}", self.request.name), allowed)].into(),
        })
    }

    fn tags(&self) -> Tags {
        [(HUB_TAG.to_owned(), self.hub.cluster.to_string())].into()
    }
}

/// Runs the command.
///
/// # Errors
/// Says what a person must change in the manifest or the command, or which file cannot be written.
pub fn run(args: &BootstrapArgs) -> Result<Printed, String> {
    let manifests = Manifests::read(std::slice::from_ref(&args.file))?;
    if !manifests.invalid.is_empty() {
        return Err(manifests.invalid.join("\n"));
    }
    let [manifest] = manifests.roles.as_slice() else {
        let names: Vec<_> = manifests
            .roles
            .iter()
            .filter_map(|role| role.metadata.name.as_deref())
            .collect();
        return Err(match names.len() {
            0 => format!("{} holds no ManagementRole of mooring.dev/v1alpha1", args.file),
            count => format!(
                "{} holds {count} ManagementRoles ({}): give a file with one",
                args.file,
                names.join(", ")
            ),
        });
    };
    let bootstrap = bootstrap(manifest, &Options::from(args)).map_err(|error| error.to_string())?;
    let out = match &args.output_dir {
        None => serde_json::to_string_pretty(&bootstrap).map_err(|error| error.to_string())? + "\n",
        Some(directory) => write(&bootstrap, directory)?,
    };
    Ok(Printed {
        out,
        notes: bootstrap.notes,
        failures: Vec::new(),
    })
}

/// Writes the files and names them, one a line.
fn write(bootstrap: &Bootstrap, directory: &Path) -> Result<String, String> {
    let mut written = String::new();
    for (name, text) in script::files(bootstrap) {
        let path = directory.join(name);
        let failed = |error: std::io::Error| format!("{} cannot be written: {error}", path.display());
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        fs::write(&path, text).map_err(failed)?;
        if path.ends_with(script::SCRIPT) {
            executable(&path).map_err(failed)?;
        }
        let _ = writeln!(written, "{}", path.display());
    }
    Ok(written)
}

#[cfg(unix)]
fn executable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn executable(_: &Path) -> std::io::Result<()> {
    Ok(())
}
