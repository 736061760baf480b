//! Accounts, and the way to what is in them. "Seen" is what reads get while a write is on its way; "latest" is what
//! the service itself knows, against which writes are checked.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{Credentials, Ids, ManagedPolicy, Profile, Provider, Role, State};
use crate::aws::contract::Caller;
use crate::aws::eventual::Eventual;

/// One account.
#[derive(Debug)]
pub(in crate::aws) struct Account {
    pub(in crate::aws) partition: &'static str,
    pub(super) root: Credentials,
    /// By name in lower case: names "are not distinguished by case" and are unique whatever the path.
    pub(in crate::aws) roles: BTreeMap<String, Eventual<Arc<Role>>>,
    /// Customer managed policies, by name in lower case.
    pub(in crate::aws) policies: BTreeMap<String, Eventual<Arc<ManagedPolicy>>>,
    /// Instance profiles, by name in lower case.
    pub(in crate::aws) profiles: BTreeMap<String, Eventual<Arc<Profile>>>,
    /// OpenID Connect providers, by ARN.
    pub(in crate::aws) providers: BTreeMap<String, Eventual<Arc<Provider>>>,
}

/// The account in an ARN.
pub(super) fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4)
}

/// The last part of the path of a role's or policy's ARN.
fn name_of(arn: &str) -> Option<String> {
    arn.rsplit('/').next().map(str::to_lowercase)
}

impl State {
    pub(super) fn add_account(&mut self, account: &str, partition: &'static str) {
        if self.accounts.contains_key(account) {
            return;
        }
        let root = Caller {
            account: account.to_owned(),
            arn: format!("arn:{partition}:iam::{account}:root"),
            user_id: account.to_owned(),
            session: None,
        };
        let root = self.issue(root, None);
        let account_state = Account {
            partition,
            root,
            roles: BTreeMap::new(),
            policies: BTreeMap::new(),
            profiles: BTreeMap::new(),
            providers: BTreeMap::new(),
        };
        self.accounts.insert(account.to_owned(), account_state);
    }

    pub(in crate::aws) fn account(&self, account: &str) -> Option<&Account> {
        self.accounts.get(account)
    }

    /// Writes a role as it is from now on; `None` deletes it.
    pub(in crate::aws) fn write_role(&mut self, account: &str, name: &str, role: Option<Role>) {
        let now = self.instant();
        let key = name.to_lowercase();
        if let Some(role) = &role {
            self.roles.insert(role.id.clone(), (account.to_owned(), key.clone()));
        }
        if let Some(account) = self.accounts.get_mut(account) {
            account.roles.entry(key).or_default().write(now, role.map(Arc::new));
        }
    }

    /// Writes a managed policy as it is from now on; `None` deletes it.
    pub(in crate::aws) fn write_policy(&mut self, account: &str, name: &str, policy: Option<ManagedPolicy>) {
        let now = self.instant();
        if let Some(account) = self.accounts.get_mut(account) {
            account
                .policies
                .entry(name.to_lowercase())
                .or_default()
                .write(now, policy.map(Arc::new));
        }
    }

    /// Writes an instance profile as it is from now on; `None` deletes it.
    pub(in crate::aws) fn write_profile(&mut self, account: &str, name: &str, profile: Option<Profile>) {
        let now = self.instant();
        if let Some(account) = self.accounts.get_mut(account) {
            let known = account.profiles.entry(name.to_lowercase()).or_default();
            known.write(now, profile.map(Arc::new));
        }
    }

    /// Writes an OpenID Connect provider as it is from now on; `None` deletes it.
    pub(in crate::aws) fn write_provider(&mut self, account: &str, arn: &str, provider: Option<Provider>) {
        let now = self.instant();
        if let Some(account) = self.accounts.get_mut(account) {
            let known = account.providers.entry(arn.to_owned()).or_default();
            known.write(now, provider.map(Arc::new));
        }
    }

    fn seen<'a, T>(&self, value: &'a Eventual<T>) -> Option<&'a T> {
        value.seen(self.instant(), self.settings.propagation)
    }

    /// A role by name, as reads see it. Names are looked up without regard to case.
    pub(in crate::aws) fn role(&self, account: &str, name: &str) -> Option<Arc<Role>> {
        self.seen(self.account(account)?.roles.get(&name.to_lowercase())?)
            .cloned()
    }

    /// A role by name, as it was last written.
    pub(in crate::aws) fn latest_role(&self, account: &str, name: &str) -> Option<Arc<Role>> {
        self.account(account)?
            .roles
            .get(&name.to_lowercase())?
            .latest()
            .cloned()
    }

    /// A role by its exact ARN, as reads see it.
    pub(in crate::aws) fn role_by_arn(&self, arn: &str) -> Option<Arc<Role>> {
        self.role(account_of(arn)?, &name_of(arn)?)
            .filter(|role| role.arn == arn)
    }

    /// A role by its exact ARN, as it was last written.
    pub(super) fn latest_role_by_arn(&self, arn: &str) -> Option<Arc<Role>> {
        self.latest_role(account_of(arn)?, &name_of(arn)?)
            .filter(|role| role.arn == arn)
    }

    /// A role by its unique ID, as reads see it; gone when another has taken its name.
    pub(in crate::aws) fn role_by_id(&self, id: &str) -> Option<Arc<Role>> {
        let (account, name) = self.roles.get(id)?;
        self.role(account, name).filter(|role| role.id == id)
    }

    /// A managed policy by ARN, as it was last written: AWS's own of the account's partition, or one of the account.
    pub(in crate::aws) fn latest_policy(&self, account: &str, arn: &str) -> Option<Arc<ManagedPolicy>> {
        self.policy_with(account, arn, Eventual::latest)
    }

    /// A managed policy by ARN, as reads see it.
    pub(in crate::aws) fn policy(&self, account: &str, arn: &str) -> Option<Arc<ManagedPolicy>> {
        self.policy_with(account, arn, |policy| self.seen(policy))
    }

    fn policy_with<'a>(
        &'a self,
        account: &str,
        arn: &str,
        read: impl Fn(&'a Eventual<Arc<ManagedPolicy>>) -> Option<&'a Arc<ManagedPolicy>>,
    ) -> Option<Arc<ManagedPolicy>> {
        let own = self.account(account)?;
        if account_of(arn) == Some("aws") {
            return ManagedPolicy::of_aws(own.partition, arn);
        }
        read(own.policies.get(&name_of(arn)?)?)
            .filter(|policy| policy.arn == arn)
            .cloned()
    }

    /// An instance profile by name, as it was last written.
    pub(in crate::aws) fn latest_profile(&self, account: &str, name: &str) -> Option<Profile> {
        let known = self.account(account)?.profiles.get(&name.to_lowercase())?;
        known.latest().map(|profile| Profile::clone(profile))
    }

    /// The instance profiles of an account, as reads see them.
    pub(in crate::aws) fn profiles(&self, account: &str) -> Vec<Arc<Profile>> {
        let all = self
            .account(account)
            .into_iter()
            .flat_map(|account| account.profiles.values());
        all.filter_map(|profile| self.seen(profile)).cloned().collect()
    }

    /// Whether an instance profile holds the role of a unique ID, as the service itself knows.
    pub(in crate::aws) fn is_in_profile(&self, account: &str, role_id: &str) -> bool {
        let all = self
            .account(account)
            .into_iter()
            .flat_map(|account| account.profiles.values());
        let mut all = all.filter_map(Eventual::latest);
        all.any(|profile| profile.role.as_deref() == Some(role_id))
    }

    /// An OpenID Connect provider, as reads see it.
    pub(in crate::aws) fn provider(&self, account: &str, arn: &str) -> Option<Arc<Provider>> {
        self.seen(self.account(account)?.providers.get(arn)?).cloned()
    }

    /// An OpenID Connect provider, as it was last written.
    pub(in crate::aws) fn latest_provider(&self, account: &str, arn: &str) -> Option<Arc<Provider>> {
        self.account(account)?.providers.get(arn)?.latest().cloned()
    }

    /// The ARNs of an account's OpenID Connect providers, as reads see them.
    pub(in crate::aws) fn providers(&self, account: &str) -> Vec<String> {
        let of = |account: &Account| {
            let seen = account
                .providers
                .iter()
                .filter(|(_, provider)| self.seen(provider).is_some());
            seen.map(|(arn, _)| arn.clone()).collect()
        };
        self.account(account).map(of).unwrap_or_default()
    }

    /// How many roles of an account use a managed policy: attached, and as their permissions boundary.
    pub(in crate::aws) fn uses(&self, account: &str, arn: &str) -> (usize, usize) {
        let roles = self
            .account(account)
            .into_iter()
            .flat_map(|account| account.roles.values());
        roles
            .filter_map(Eventual::latest)
            .fold((0, 0), |(attached, boundary), role| {
                (
                    attached + usize::from(role.attached.contains_key(arn)),
                    boundary + usize::from(role.boundary.as_deref() == Some(arn)),
                )
            })
    }

    /// New unique IDs.
    pub(in crate::aws) fn new_id(&mut self, prefix: &str) -> String {
        Ids::unique(&mut self.ids, prefix, 17)
    }

    /// All access keys.
    pub(super) fn keys_mut(&mut self) -> &mut HashMap<String, super::KeyRecord> {
        &mut self.keys
    }
}
