//! The table of calls: every operation of AWS that the operator makes, the IAM actions it takes, what it acts on,
//! which condition binds it, and why it is made. The policies in `deploy/aws/` are generated from it
//! ([`super::grants`]), and every error names its action from it, so neither can say anything else than the code does.
//!
//! Actions, resource types and condition keys are those of the Service Authorization Reference.

/// An AWS service, by its prefix in IAM actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// AWS Security Token Service.
    Sts,
    /// Amazon Elastic Kubernetes Service.
    Eks,
    /// AWS Identity and Access Management.
    Iam,
}

impl Service {
    /// The prefix of its IAM actions.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sts => "sts",
            Self::Eks => "eks",
            Self::Iam => "iam",
        }
    }
}

/// What an action is granted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// No resource: the action needs no permission.
    Nothing,
    /// The provisioner role of an account.
    Provisioner,
    /// An EKS cluster that `allow` covers, or the hub.
    Cluster,
    /// An access entry on such a cluster.
    AccessEntry,
    /// A role under the hub's path in a spoke's account.
    DeployerRole,
    /// A role outside of the hub's path that `allow` names, and that the account's owner has opened to us.
    AdoptedRole,
    /// The management role, by its exact ARN.
    ManagementRole,
    /// The IAM OIDC provider of the hub's issuer.
    OidcProvider,
    /// What only a walk of the chain touches, with credentials that are not the operator's: nothing is granted for it.
    Walk,
}

/// The condition that an action is granted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guard {
    /// The resource's ARN alone: reads, and acts that can only make an exactly named thing what it should be.
    Resource,
    /// `iam:PermissionsBoundary` is the boundary of such roles.
    Boundary,
    /// `aws:RequestTag/mooring.dev/hub` is our hub.
    OurTags,
    /// A new entry of ours: principal under our path, type `STANDARD`, our tag, allowed groups, no user name.
    NewEntry,
    /// An entry of ours: principal under our path, type `STANDARD`, bearing our tag.
    OurEntry,
    /// An entry of ours, and only allowed groups.
    OurEntryGroups,
    /// An entry of ours, and an allowed access policy with an allowed scope.
    OurEntryPolicies,
}

/// One IAM action that a call takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// `iam:CreateRole`.
    pub action: &'static str,
    /// What it is granted on.
    pub on: Target,
    /// The condition that it is granted under.
    pub guard: Guard,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The call.
    pub call: Call,
    /// The service that it goes to.
    pub service: Service,
    /// The operation's name in the service's API.
    pub operation: &'static str,
    /// The IAM actions that it takes; the first is the call's own.
    pub needs: &'static [Need],
    /// Whether it changes anything in AWS.
    pub writes: bool,
    /// Why it is made: one sentence, for people.
    pub why: &'static str,
}

const fn need(action: &'static str, on: Target, guard: Guard) -> Need {
    Need { action, on, guard }
}

macro_rules! calls {
    ($($service:ident $kind:ident $call:ident $operation:literal [$($action:literal $on:ident $guard:ident),* $(,)?] $why:literal)*) => {
        /// A call to AWS.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Call {
            $(#[doc = $why] $call,)*
        }

        /// Every call, in the order in which a pass makes them.
        pub const CALLS: &[Row] = &[
            $(Row {
                call: Call::$call,
                service: Service::$service,
                operation: $operation,
                needs: &[$(need($action, Target::$on, Guard::$guard)),*],
                writes: calls!(@writes $kind),
                why: $why,
            },)*
        ];
    };
    (@writes reads) => { false };
    (@writes writes) => { true };
}

calls! {
    Sts reads GetCallerIdentity "GetCallerIdentity" ["sts:GetCallerIdentity" Nothing Resource]
        "Tells which account and role the operator runs as; AWS grants it to everybody."
    Sts reads AssumeRole "AssumeRole" ["sts:AssumeRole" Provisioner Resource, "sts:TagSession" Provisioner Resource]
        "Enters an account through its provisioner role, with a session cut down to one object."

    Eks reads DescribeCluster "DescribeCluster" ["eks:DescribeCluster" Cluster Resource]
        "Reads a cluster's endpoint, certificate authority, issuer and authentication mode."
    Eks reads DescribeAccessEntry "DescribeAccessEntry" ["eks:DescribeAccessEntry" AccessEntry Resource]
        "Reads whether our role has an access entry, whose it is and which groups it gives."
    Eks reads ListAssociatedAccessPolicies "ListAssociatedAccessPolicies" ["eks:ListAssociatedAccessPolicies" AccessEntry Resource]
        "Reads which access policies our entry has, and where they hold."
    Eks writes CreateAccessEntry "CreateAccessEntry" ["eks:CreateAccessEntry" Cluster NewEntry, "eks:TagResource" AccessEntry OurTags]
        "Lets the deployer role into the cluster, marked as ours from the start."
    Eks writes UpdateAccessEntry "UpdateAccessEntry" ["eks:UpdateAccessEntry" AccessEntry OurEntryGroups]
        "Sets the Kubernetes groups of our entry in place."
    Eks writes TagAccessEntry "TagResource" ["eks:TagResource" AccessEntry OurTags]
        "Puts back our tags on an access entry."
    Eks writes AssociateAccessPolicy "AssociateAccessPolicy" ["eks:AssociateAccessPolicy" AccessEntry OurEntryPolicies]
        "Gives our entry an access policy that the platform team allows."
    Eks writes DisassociateAccessPolicy "DisassociateAccessPolicy" ["eks:DisassociateAccessPolicy" AccessEntry OurEntry]
        "Takes an access policy from our entry when the spec no longer asks for it."
    Eks writes DeleteAccessEntry "DeleteAccessEntry" ["eks:DeleteAccessEntry" AccessEntry OurEntry]
        "Takes our entry away when the cluster is removed, or its role was made anew."

    Iam reads GetRole "GetRole" ["iam:GetRole" DeployerRole Resource, "iam:GetRole" ManagementRole Resource]
        "Reads a role's unique ID, trust policy, boundary and tags."
    Iam reads ListRolePolicies "ListRolePolicies" ["iam:ListRolePolicies" DeployerRole Resource, "iam:ListRolePolicies" AdoptedRole Resource, "iam:ListRolePolicies" ManagementRole Resource]
        "Reads which inline policies a role carries, to report any that is not ours."
    Iam reads ListAttachedRolePolicies "ListAttachedRolePolicies" ["iam:ListAttachedRolePolicies" DeployerRole Resource, "iam:ListAttachedRolePolicies" AdoptedRole Resource, "iam:ListAttachedRolePolicies" ManagementRole Resource]
        "Reads which managed policies a role carries, to report any that is not ours."
    Iam reads ListInstanceProfilesForRole "ListInstanceProfilesForRole" ["iam:ListInstanceProfilesForRole" DeployerRole Resource, "iam:ListInstanceProfilesForRole" AdoptedRole Resource]
        "Reads which instance profiles hold a role before it is taken over, since instances then run with it."
    Iam reads GetRolePolicy "GetRolePolicy" ["iam:GetRolePolicy" ManagementRole Resource]
        "Reads the management role's permission policy."
    Iam writes CreateRole "CreateRole" ["iam:CreateRole" DeployerRole Boundary, "iam:TagRole" DeployerRole OurTags, "iam:CreateRole" ManagementRole Boundary, "iam:TagRole" ManagementRole OurTags]
        "Makes a deployer role or the management role, with its boundary and our tags from the start."
    Iam writes UpdateAssumeRolePolicy "UpdateAssumeRolePolicy" ["iam:UpdateAssumeRolePolicy" DeployerRole Boundary, "iam:UpdateAssumeRolePolicy" AdoptedRole Boundary, "iam:UpdateAssumeRolePolicy" ManagementRole Boundary]
        "Puts back a role's trust policy."
    Iam writes PutRolePermissionsBoundary "PutRolePermissionsBoundary" ["iam:PutRolePermissionsBoundary" DeployerRole Boundary, "iam:PutRolePermissionsBoundary" AdoptedRole Boundary, "iam:PutRolePermissionsBoundary" ManagementRole Boundary]
        "Puts back a role's permissions boundary."
    Iam writes UpdateRole "UpdateRole" ["iam:UpdateRole" DeployerRole Boundary, "iam:UpdateRole" ManagementRole Boundary]
        "Puts back a role's description, and how long its sessions may last."
    Iam writes TagRole "TagRole" ["iam:TagRole" DeployerRole OurTags, "iam:TagRole" AdoptedRole OurTags, "iam:TagRole" ManagementRole OurTags]
        "Puts back our tags on a role, or marks one that is taken over."
    Iam writes PutRolePolicy "PutRolePolicy" ["iam:PutRolePolicy" ManagementRole Boundary]
        "Writes which deployer roles the management role may assume."
    Iam writes DeleteRolePolicy "DeleteRolePolicy" ["iam:DeleteRolePolicy" ManagementRole Boundary]
        "Takes the management role's permission policy away when no cluster is left."
    Iam writes DeleteRole "DeleteRole" ["iam:DeleteRole" DeployerRole Boundary, "iam:DeleteRole" AdoptedRole Boundary, "iam:DeleteRole" ManagementRole Boundary]
        "Deletes a role of ours when its object is removed."

    Iam reads GetOpenIdConnectProvider "GetOpenIDConnectProvider" ["iam:GetOpenIDConnectProvider" OidcProvider Resource]
        "Reads whether the hub's issuer is known to IAM, and for which audiences."
    Iam writes CreateOpenIdConnectProvider "CreateOpenIDConnectProvider" ["iam:CreateOpenIDConnectProvider" OidcProvider OurTags, "iam:TagOpenIDConnectProvider" OidcProvider OurTags]
        "Makes the hub's issuer known to IAM, which IRSA needs; it is never deleted."
    Iam writes AddClientIdToOpenIdConnectProvider "AddClientIDToOpenIDConnectProvider" ["iam:AddClientIDToOpenIDConnectProvider" OidcProvider Resource]
        "Adds the audience sts.amazonaws.com to the hub's issuer where it is missing."

    Sts reads AssumeRoleWithWebIdentity "AssumeRoleWithWebIdentity" ["sts:AssumeRoleWithWebIdentity" Walk Resource]
        "Proves that a service account of Argo CD can become the management role."
    Sts reads AssumeDeployerRole "AssumeRole" ["sts:AssumeRole" Walk Resource]
        "Proves that the management role can become a deployer role."
    Iam reads GetPolicy "GetPolicy" ["iam:GetPolicy" Walk Resource]
        "Reads which version of a boundary or attached policy is in force, to explain a refusal."
    Iam reads GetPolicyVersion "GetPolicyVersion" ["iam:GetPolicyVersion" Walk Resource]
        "Reads a boundary or attached policy, to explain a refusal."
}

impl Call {
    /// The call's row.
    #[must_use]
    pub const fn row(self) -> &'static Row {
        // The macro writes enum and table from one list, so that a call's number is its row's.
        &CALLS[self as usize]
    }

    /// The call's own IAM action, `iam:CreateRole`.
    #[must_use]
    pub fn action(self) -> &'static str {
        self.row()
            .needs
            .first()
            .map_or_else(|| self.row().operation, |need| need.action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_finds_its_own_row_and_action() {
        for row in CALLS {
            assert_eq!(row.call.row(), row);
            let prefix = format!("{}:", row.service.name());
            assert!(row.needs.iter().all(|need| need.action.starts_with(&prefix)), "{row:?}");
            assert_eq!(
                row.call.action(),
                format!("{prefix}{}", row.operation),
                "the call's own action comes first"
            );
            assert!(row.why.ends_with('.'), "{row:?}");
        }
    }

    #[test]
    fn every_write_but_one_is_bound_by_a_condition() {
        let unbound: Vec<_> = CALLS
            .iter()
            .filter(|row| row.writes)
            .flat_map(|row| row.needs)
            .filter(|need| need.guard == Guard::Resource)
            .map(|need| need.action)
            .collect();
        // It can only add an audience to one provider, and an adopted provider bears no tag of ours.
        assert_eq!(unbound, ["iam:AddClientIDToOpenIDConnectProvider"]);
        let reads_with_guard = CALLS.iter().filter(|row| !row.writes).flat_map(|row| row.needs);
        assert!(reads_with_guard.into_iter().all(|need| need.guard == Guard::Resource));
    }
}
