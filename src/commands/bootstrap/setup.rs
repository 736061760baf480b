//! What each account needs, made from the request. Pure.

use std::collections::BTreeSet;

use super::{
    Options,
    documents::{AccountSetup, BootstrapError, INLINE_QUOTA, MANAGED_QUOTA, ManagedPolicy, Provider, SetupRole},
};
use crate::{
    aws::grants::{self, ManagementGrant},
    domain::{
        arn::{OidcProviderArn, PolicyArn, RoleArn},
        glob::Glob,
        hub::Hub,
        name::{AccountId, KubernetesName, RoleName},
        ownership::{HUB_TAG, OBJECT_TAG, Tags},
    },
    management_role::request::{Request, RoleOwner},
    policy::{self, Document},
};

/// One `ManagementRole` in the account that its hub is in.
pub(super) struct Setup<'a> {
    request: &'a Request,
    options: &'a Options,
    hub: &'a Hub,
    operator: RoleArn,
    verifier: RoleArn,
    provider: Option<OidcProviderArn>,
    /// The accounts of `allow`: IDs, or `*`.
    allowed: Vec<Glob>,
}

impl<'a> Setup<'a> {
    pub(super) fn new(request: &'a Request, options: &'a Options) -> Result<Self, BootstrapError> {
        let hub = &request.hub;
        // Names of roles are unique without regard to case.
        let mut names = BTreeSet::new();
        for name in [
            &options.operator_role,
            &options.verifier_role,
            &request.provisioner,
            &request.reader,
            &request.role.name,
        ] {
            if !names.insert(name.as_str().to_ascii_lowercase()) {
                return Err(BootstrapError::OneName(name.clone()));
            }
        }
        if let Some(arn) = options.readers.iter().find(|arn| arn.partition != hub.partition()) {
            return Err(BootstrapError::OtherReader {
                arn: arn.clone(),
                hub: hub.partition().name(),
            });
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
            operator: hub.provisioner(&hub.cluster.account, &options.operator_role),
            verifier: hub.provisioner(&hub.cluster.account, &options.verifier_role),
            provider: issuer.map(|issuer| hub.oidc_provider(issuer)).transpose()?,
            allowed: allowed.into_iter().collect(),
            request,
            options,
            hub,
        })
    }

    pub(super) fn everywhere(&self) -> bool {
        self.allowed.iter().any(|glob| glob.0 == "*")
    }

    /// The accounts to make documents for, the hub's own first.
    pub(super) fn accounts(&self) -> Result<Vec<AccountId>, BootstrapError> {
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

    pub(super) fn account(&self, account: &AccountId, notes: &mut Vec<String>) -> Result<AccountSetup, BootstrapError> {
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
            setup.roles.push(self.verifier(notes)?);
        }
        setup.roles.push(self.provisioner(account)?);
        setup.roles.push(self.reader(account)?);
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
        let mut document =
            grants::management_boundary(self.hub, &self.request.role, &self.allowed, &self.request.allow);
        if document.quota_length() > MANAGED_QUOTA {
            document = grants::management_boundary(
                self.hub,
                &self.request.role,
                &[Glob("*".to_owned())],
                &self.request.allow,
            );
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
        let document = self.entering(grants::operator_policy, &self.request.provisioner, "operator", notes);
        let service_account = &self.options.operator_service_account;
        notes.push(self.credentials("operator", &self.operator, service_account));
        self.role(
            &self.operator,
            format!(
                "The Mooring operator on {} works with this role.",
                self.hub.cluster.name
            ),
            self.pod_trust(service_account),
            document,
        )
    }

    fn verifier(&self, notes: &mut Vec<String>) -> Result<SetupRole, BootstrapError> {
        let document = self.entering(grants::verifier_policy, &self.request.reader, "verifier", notes);
        let service_account = &self.options.verifier_service_account;
        notes.push(self.credentials("verifier", &self.verifier, service_account));
        self.role(
            &self.verifier,
            format!(
                "The Mooring verifier on {} looks with this role.",
                self.hub.cluster.name
            ),
            self.pod_trust(service_account),
            document,
        )
    }

    /// The policy of a pod that enters accounts by a role of this name.
    fn entering(
        &self,
        policy: impl Fn(&Hub, &[Glob], &RoleName) -> Document,
        by: &RoleName,
        who: &str,
        notes: &mut Vec<String>,
    ) -> Document {
        let document = policy(self.hub, &self.allowed, by);
        if document.quota_length() <= INLINE_QUOTA {
            return document;
        }
        notes.push(format!(
            "the accounts of spec.allow are too many for the {who}'s policy ({INLINE_QUOTA} characters): it may try role {by} in any account, and each account's own trust policy decides"
        ));
        policy(self.hub, &[Glob("*".to_owned())], by)
    }

    fn pod_trust(&self, service_account: &KubernetesName) -> Document {
        let namespace = &self.options.operator_namespace;
        policy::operator_trust(self.hub, self.provider.as_ref(), namespace, service_account)
    }

    fn credentials(&self, who: &str, role: &RoleArn, service_account: &KubernetesName) -> String {
        let (hub, namespace) = (self.hub, &self.options.operator_namespace);
        match &self.provider {
            Some(_) => format!(
                "the {who} gets its credentials once its service account {namespace}/{service_account} has the annotation eks.amazonaws.com/role-arn: {role}"
            ),
            None => format!(
                "the {who} gets its credentials once EKS Pod Identity knows it: aws eks create-pod-identity-association --region {} --cluster-name {} --namespace {namespace} --service-account {service_account} --role-arn {role} (for IRSA instead, add --hub-issuer)",
                hub.cluster.region, hub.cluster.name
            ),
        }
    }

    fn management(&self, account: &AccountId) -> Option<ManagementGrant> {
        let (hub, request) = (self.hub, self.request);
        (*account == hub.cluster.account).then(|| ManagementGrant {
            role: request.role.clone(),
            boundary: request.boundary.clone(),
            provider: self.provider.clone(),
            existing: request.role_owner == RoleOwner::Existing,
        })
    }

    fn reader(&self, account: &AccountId) -> Result<SetupRole, BootstrapError> {
        let (hub, request) = (self.hub, self.request);
        let mut readers = self.options.readers.clone();
        readers.push(self.verifier.clone());
        self.role(
            &hub.provisioner(account, &request.reader),
            format!(
                "Whoever looks at what Mooring on {} made in account {account} does so by this role.",
                hub.cluster.name
            ),
            policy::reader_trust(&readers, &request.external_id),
            grants::reader_policy(hub, account, &request.allow, self.management(account).as_ref()),
        )
    }

    fn provisioner(&self, account: &AccountId) -> Result<SetupRole, BootstrapError> {
        let (hub, request) = (self.hub, self.request);
        let management = self.management(account);
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
