//! What another terminal needs to use a stage: a kubeconfig, AWS's own configuration files, and the variables that
//! name them.

use std::{
    collections::BTreeSet,
    fmt::{self, Write},
    path::PathBuf,
    time::Duration,
};

use serde_json::json;

use super::{Stage, StageError};
use crate::{
    aws::{Credentials, contract::Service},
    control_plane::guard::write_private,
};

/// The role in the hub's account, and the profile, of somebody who may look into accounts by their reader roles, where
/// those name it (`mooring bootstrap --reader`): a root user may assume no role.
pub const PERSON: &str = "person";

/// How long the person's credentials last: no stage is used for longer.
const DAY: Duration = Duration::from_hours(24);

/// Variables of the user's own that would go before those of the sandbox: botocore takes keys in the environment
/// before a profile's, and curl and Python take the lower-case names of proxies first.
const IN_THE_WAY: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ENDPOINT_URL",
    "https_proxy",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
];

/// The variables that lead kubectl, the aws CLI and boto3 to a stage. Shown as lines for a shell; no secret is among
/// them, since keys stand in a file that only this user can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exports {
    variables: Vec<(String, String)>,
    accounts: Vec<String>,
    script: PathBuf,
}

impl Exports {
    /// The variables.
    #[must_use]
    pub fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    /// The accounts, each with a profile of its name; the hub's is the default.
    #[must_use]
    pub fn accounts(&self) -> &[String] {
        &self.accounts
    }

    /// A file with the same lines, for `. FILE`.
    #[must_use]
    pub fn script(&self) -> &PathBuf {
        &self.script
    }
}

impl fmt::Display for Exports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "unset {}", IN_THE_WAY.join(" "))?;
        for (name, value) in &self.variables {
            writeln!(f, "export {name}='{value}'")?;
        }
        Ok(())
    }
}

impl Stage {
    /// Writes a profile of the root user of each account of the fleet, and of `others`, into the hub's folder, and gives
    /// the variables that lead there. The folder, and with it every key, goes with the stage.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn exports(&self, others: &[String]) -> Result<Exports, StageError> {
        let hub = &self.fleet.hub;
        let clusters = self.fleet.clusters().map(|cluster| &cluster.account);
        let mut accounts: BTreeSet<String> = clusters.chain(others).cloned().collect();
        accounts.remove(&hub.account);
        let accounts: Vec<String> = std::iter::once(hub.account.clone()).chain(accounts).collect();
        let (mut config, mut credentials) = (String::new(), String::new());
        for (profile, account) in
            std::iter::once(("default", &hub.account)).chain(accounts.iter().map(|account| (account.as_str(), account)))
        {
            let section = if profile == "default" {
                "default".to_owned()
            } else {
                format!("profile {profile}")
            };
            let root = self.aws.root(account);
            // Writing to a string cannot fail.
            let _ = writeln!(config, "[{section}]\nregion = {}\n", hub.region);
            let _ = writeln!(
                credentials,
                "[{profile}]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
                root.access_key_id, root.secret_access_key
            );
        }
        let person = self.person()?;
        let _ = writeln!(config, "[profile {PERSON}]\nregion = {}\n", hub.region);
        let _ = writeln!(
            credentials,
            "[{PERSON}]\naws_access_key_id = {}\naws_secret_access_key = {}\naws_session_token = {}\n",
            person.access_key_id,
            person.secret_access_key,
            person.session_token.unwrap_or_default()
        );
        let folder = self.hub.folder();
        let (config_file, credentials_file) = (folder.join("aws.config"), folder.join("aws.credentials"));
        write_private(&config_file, config.as_bytes())?;
        write_private(&credentials_file, credentials.as_bytes())?;
        let mut variables = vec![(
            "KUBECONFIG".to_owned(),
            self.hub.admin_kubeconfig().display().to_string(),
        )];
        variables.extend(self.aws.env());
        variables.extend([
            ("AWS_CONFIG_FILE".to_owned(), config_file.display().to_string()),
            (
                "AWS_SHARED_CREDENTIALS_FILE".to_owned(),
                credentials_file.display().to_string(),
            ),
            ("AWS_PROFILE".to_owned(), hub.account.clone()),
        ]);
        let exports = Exports {
            variables,
            accounts,
            script: folder.join("env.sh"),
        };
        write_private(&exports.script, exports.to_string().as_bytes())?;
        Ok(exports)
    }

    /// The ARN of the role that the profile [`PERSON`] has.
    #[must_use]
    pub fn person_arn(&self) -> String {
        format!("arn:aws:iam::{}:role/{PERSON}", self.fleet.hub.account)
    }

    /// Makes the person's role, once, and gives credentials of it.
    fn person(&self) -> Result<Credentials, StageError> {
        let account = &self.fleet.hub.account;
        let root = self.aws.root(account);
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{account}:root")}, "Action": "sts:AssumeRole"}]});
        let policy = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"], "Resource": "arn:aws:iam::*:role/mooring-reader"}]});
        let role = json!({"RoleName": PERSON, "AssumeRolePolicyDocument": trust.to_string()});
        match self.aws.call(&root, Service::Iam, "CreateRole", role) {
            Err(refused) if refused.code != "EntityAlreadyExists" => return Err(refused.into()),
            Ok(_) | Err(_) => {}
        }
        let policy = json!({"RoleName": PERSON, "PolicyName": "readers", "PolicyDocument": policy.to_string()});
        self.aws.call(&root, Service::Iam, "PutRolePolicy", policy)?;
        Ok(self.aws.long_session(&self.person_arn(), PERSON, DAY)?)
    }
}
