//! `mooring bootstrap`: everything that the owner of an account makes once, before Mooring can work there. The
//! documents come from the table of calls and from `spec.allow`, so they are the narrowest that serve.
//!
//! It prints JSON, since IAM takes JSON: each document can be cut out and given to `aws iam` as it stands.

mod documents;
mod setup;

use std::{fmt::Write, fs, path::Path};

pub use documents::{AccountSetup, Bootstrap, BootstrapError, ManagedPolicy, Provider, SetupRole};

use self::setup::Setup;
use super::{Printed, definition, manifests, manifests::Manifests, script};
use crate::{
    api::ManagementRole,
    cli::BootstrapArgs,
    domain::{
        allow::Allowance,
        arn::{PolicyArn, RoleArn},
        commands::{open_access_entry, open_role},
        hub::Hub,
        name::{AccountId, KubernetesName, RoleName},
    },
    management_role::request::Request,
};

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
    /// The name of the verifier's own role.
    pub verifier_role: RoleName,
    /// The service account that the verifier runs as.
    pub verifier_service_account: KubernetesName,
    /// Roles that may enter accounts by the reader roles besides the verifier's.
    pub readers: Vec<RoleArn>,
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
            verifier_role: args.verifier_role.clone(),
            verifier_service_account: args.verifier_service_account.clone(),
            readers: args.readers.clone(),
            deployer_boundaries: args.deployer_boundaries.clone(),
        }
    }
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
    let refused = definition::refused(&serde_json::to_value(manifest).unwrap_or_default());
    if !refused.is_empty() {
        return Err(BootstrapError::NotDefined(name, refused.join("; ")));
    }
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
    bootstrap.notes.extend(half_meeting(&request.allow));
    if request.allow.iter().any(|entry| !entry.deployer_roles.is_empty()) {
        bootstrap.notes.push(how_to_open(&request.hub));
    }
    Ok(bootstrap)
}

/// The entries that hold for some clusters together and neither for all of the other's: what they give there together, an IAM
/// policy cannot say without giving it elsewhere.
fn half_meeting(allow: &[Allowance]) -> Option<String> {
    let numbered = || allow.iter().zip(1..);
    let apart = |one: &Allowance, two: &Allowance| {
        let gives = |entry: &Allowance| !entry.deployer_roles.is_empty() || !entry.kubernetes_groups.is_empty();
        let accounts = one.accounts.iter().any(|glob| {
            two.accounts
                .iter()
                .any(|other| glob == other || glob.0 == "*" || other.0 == "*")
        });
        accounts && one.meets(two) && !one.covers(two) && !two.covers(one) && (gives(one) || gives(two))
    };
    let pairs = numbered().flat_map(|(one, at)| {
        let later = numbered().filter(move |(_, of)| *of > at);
        later
            .filter(move |(two, _)| apart(one, two))
            .map(move |(_, of)| format!("{at} and {of}"))
    });
    let pairs: Vec<String> = pairs.collect();
    (!pairs.is_empty()).then(|| {
        format!(
            "entries {} of spec.allow hold for some clusters together, and neither for all clusters of the other: AWS lets Mooring give there what each of them gives, and not a deployer role or group of the one with a policy of the other. Write an entry of its own for those clusters",
            pairs.join(", ")
        )
    })
}

/// What the owner of an account does besides, for a `ManagedCluster` with `adoptExisting`.
fn how_to_open(hub: &Hub) -> String {
    format!(
        "none of these lets Mooring write to a role of spec.allow.deployerRoles before its owner has opened it to this hub: `{}`. An access entry is opened by `{}`",
        open_role("NAME", &hub.cluster),
        open_access_entry("REGION", "ENTRY-ARN", &hub.cluster)
    )
}

/// Runs the command.
///
/// # Errors
/// Says what a person must change in the command, or which file cannot be read or written. What is refused of the
/// manifest itself is a failure of what is printed.
pub fn run(args: &BootstrapArgs) -> Result<Printed, String> {
    let refused = |failures: Vec<String>| Printed {
        failures,
        ..Printed::default()
    };
    let manifests = Manifests::read(std::slice::from_ref(&args.file))?;
    if !manifests.invalid.is_empty() {
        return Ok(refused(manifests.invalid));
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
    let bootstrap = match bootstrap(manifest, &Options::from(args)) {
        Ok(bootstrap) => bootstrap,
        Err(error) if error.is_of_the_manifest() => return Ok(refused(vec![error.to_string()])),
        Err(error) => return Err(error.to_string()),
    };
    let mut notes = bootstrap.notes.clone();
    let out = match &args.output_dir {
        None => serde_json::to_string_pretty(&bootstrap).map_err(|error| error.to_string())? + "\n",
        Some(directory) => {
            let written = write(&bootstrap, directory)?;
            notes.push(
                "read the documents, then run in each account, with credentials that may write IAM there:".to_owned(),
            );
            let script = |account: &AccountSetup| {
                let script = directory.join(account.account_id.as_str()).join(script::SCRIPT);
                format!("  {}", script.display())
            };
            notes.extend(bootstrap.accounts.iter().map(script));
            written
        }
    };
    Ok(Printed {
        out,
        notes,
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
