//! The permission policies that the operator's roles are given, generated from the table of calls and from what the
//! platform team allows: the narrowest that serve. Pure.
//!
//! Every `*` in them, and why it is there:
//! - `role/*`, to look only: a role that does not exist has no path to be judged by (see `look`).
//! - `role/mooring/.../*`: the roles of this hub and `ManagementRole`. Nobody chooses a path, so nothing else is there.
//! - `cluster/*`, a region `*` and `access-entry/.../role/ACCOUNT/*`: what `allow` leaves open. An access entry's ARN
//!   ends in the role's name and an ID of EKS's; whether the path is part of it is not documented, so entries are
//!   bound by `eks:principalArn` instead (service authorization reference, EKS).
//! - `oidc-provider/*`: only as long as the hub's issuer is not known.
//! - an account `*`: only where `allow` says `*`.
//! - `assumed-role/*` as a user name: EKS makes it from the role's name and leaves the session's open.
//! - groups: the globs of `allow`, as they are.
//! - the end of a role's name: where `deployerRoles` of `allow` has it. To IAM it covers what is below such a path too.

use std::collections::BTreeSet;

use super::calls::{CALLS, Guard, Target};
use crate::{
    domain::{
        allow::{Allowance, ScopeKind},
        arn::{OidcProviderArn, PolicyArn, RoleArn},
        eks::AccessPolicyArn,
        glob::Glob,
        hub::Hub,
        name::{AccountId, RoleName},
        ownership::HUB_TAG,
    },
    policy::{self, Document, Statement},
};

use super::adoption_policy::adoptions;

pub use super::reader_policy::{reader_policy, verifier_policy};
pub use super::session_policy::{session_policy_for_cluster, session_policy_for_management};

/// What the provisioner of the hub's own account may do beside: keep the management role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagementGrant {
    /// The management role.
    pub role: RoleArn,
    /// Its permissions boundary, made by bootstrap.
    pub boundary: PolicyArn,
    /// The hub's OIDC provider, once the issuer is known.
    pub provider: Option<OidcProviderArn>,
    /// The role belongs to somebody else: it is only read.
    pub existing: bool,
}

/// The permission policy of the provisioner role in one account. `management` is for the hub's own account. Without
/// `deployer_boundaries`, deployer roles bear `AWSDenyAll`.
///
/// It has no statement where `allow` does not cover the account and there is no `management`: such an account needs
/// no provisioner, and IAM takes no such policy.
#[must_use]
pub fn provisioner_policy(
    hub: &Hub,
    account: &AccountId,
    allow: &[Allowance],
    management: Option<&ManagementGrant>,
    deployer_boundaries: &[PolicyArn],
) -> Document {
    let covering: Vec<_> = allow
        .iter()
        .filter(|entry| entry.accounts.iter().any(|glob| glob.matches(account.as_str())))
        .collect();
    let mut statements = Vec::new();
    let deployers = !covering.is_empty();
    if deployers {
        let boundaries = match deployer_boundaries {
            [] => vec![PolicyArn::deny_all(hub.partition())],
            given => given.to_vec(),
        };
        statements.extend(roles(
            hub,
            "Deployer",
            Target::DeployerRole,
            &roles_of(hub, account),
            &boundaries,
        ));
    }
    statements.extend(adoptions(hub, account, &covering, deployer_boundaries));
    for (index, entry) in covering.iter().enumerate() {
        let around = covering.iter().copied().filter(|other| other.covers(entry));
        statements.extend(
            Entries {
                hub,
                account,
                entry,
                around: around.collect(),
                number: index + 1,
            }
            .statements(),
        );
    }
    if let Some(grant) = management {
        statements.extend(keep_management(hub, grant));
    }
    if deployers || management.is_some() {
        for statement in &mut statements {
            // What may look at any role need not be told which.
            statement.action.remove(super::Call::GetRole.action());
        }
        statements.retain(|statement| !statement.action.is_empty());
        statements.push(look(format!("arn:{}:iam::{account}:role/*", hub.partition())));
    }
    Document::new(statements)
}

/// The permission policy of the operator's own role: to enter the accounts of `accounts` (IDs, or `*`) and the hub's
/// own through their provisioner roles, and nothing else. `GetCallerIdentity` needs no permission.
#[must_use]
pub fn operator_policy(hub: &Hub, accounts: &[Glob], provisioner: &RoleName) -> Document {
    entering("Provisioners", hub, accounts, provisioner)
}

pub(super) fn entering(sid: &str, hub: &Hub, accounts: &[Glob], by: &RoleName) -> Document {
    let own = Glob(hub.cluster.account.to_string());
    let mut accounts = accounts.to_vec();
    accounts.push(own);
    let roles = widest(&accounts)
        .into_iter()
        .map(|account| format!("arn:{}:iam::{account}:role/{by}", hub.partition()));
    Document::new(vec![allow(sid, Target::Provisioner, Guard::Resource).on(roles)])
}

/// The permissions boundary of the management role: whatever its policy says, it can only assume roles under the
/// hub's path, in the accounts of `accounts` (IDs, or `*`), those that `allow` names beside, and itself, which cluster
/// Secrets that people wired by hand may need. Only its own policy and its trust, both Mooring's, give any of it.
#[must_use]
pub fn management_boundary(hub: &Hub, role: &RoleArn, accounts: &[Glob], allow_entries: &[Allowance]) -> Document {
    let (partition, path) = (hub.partition(), hub.path());
    let mut roles: BTreeSet<String> = widest(accounts)
        .into_iter()
        .map(|account| format!("arn:{partition}:iam::{account}:role{path}*"))
        .collect();
    for entry in allow_entries {
        let named = entry.deployer_roles.iter();
        roles.extend(named.flat_map(|pattern| pattern.in_accounts(&entry.accounts)));
    }
    // The same two actions as for a provisioner: one hop is like the other.
    Document::new(vec![
        allow("Deployers", Target::Provisioner, Guard::Resource).on(roles),
        allow(policy::ITSELF, Target::Provisioner, Guard::Resource).on([role]),
    ])
}

/// Allows all actions that the table of calls lists for this target under this guard.
pub(super) fn allow(sid: &str, on: Target, guard: Guard) -> Statement {
    let needs = CALLS.iter().flat_map(|row| row.needs);
    Statement::allow(
        sid,
        needs
            .filter(|need| need.on == on && need.guard == guard)
            .map(|need| need.action),
    )
}

/// A glob of ours as a pattern of IAM's, in which `?` and `$` mean something too (IAM user guide, "Policy variables").
fn pattern(glob: &Glob) -> String {
    glob.0
        .chars()
        .map(|c| match c {
            '?' | '$' => format!("${{{c}}}"),
            other => other.to_string(),
        })
        .collect()
}

/// The patterns that are left when `*` covers all others.
fn widest(globs: &[Glob]) -> BTreeSet<String> {
    if globs.iter().any(|glob| glob.0 == "*") {
        return ["*".to_owned()].into();
    }
    globs.iter().map(pattern).collect()
}

fn roles_of(hub: &Hub, account: &AccountId) -> String {
    format!("arn:{}:iam::{account}:role{}*", hub.partition(), hub.path())
}

pub(super) fn any_provider(hub: &Hub) -> String {
    format!("arn:{}:iam::{}:oidc-provider/*", hub.partition(), hub.cluster.account)
}

pub(super) fn hub_tag(kind: &str) -> String {
    format!("aws:{kind}/{HUB_TAG}")
}

/// Reading, keeping and marking roles of one kind.
fn roles(hub: &Hub, sid: &str, target: Target, resource: &str, boundaries: &[PolicyArn]) -> [Statement; 3] {
    [
        allow(&format!("{sid}Read"), target, Guard::Resource).on([resource]),
        allow(&format!("{sid}Write"), target, Guard::Boundary)
            .on([resource])
            .when("StringEquals", "iam:PermissionsBoundary", boundaries),
        allow(&format!("{sid}Tag"), target, Guard::OurTags).on([resource]).when(
            "StringEquals",
            &hub_tag("RequestTag"),
            [&hub.cluster],
        ),
    ]
}

/// A request for a role names no path, and where no such role exists there is none to judge it by: whoever may look
/// under one path only is then told `AccessDenied`, and could not tell absence from refusal; nor could he tell of a role
/// that has the name in another case. So the provisioner may look at any role's own description, and at nothing in it but
/// trust, boundary and tags.
fn look(at: String) -> Statement {
    Statement::allow("Look", [super::Call::GetRole.action()]).on([at])
}

/// What one entry of `allow` gives in one account: apart from the others, so that nothing that one gives on its clusters is
/// given on those of another. What entries give that hold for all of its clusters is given on them together, as where a
/// request is judged.
struct Entries<'a> {
    hub: &'a Hub,
    account: &'a AccountId,
    entry: &'a Allowance,
    /// The entry itself, and those that hold for each of its clusters too.
    around: Vec<&'a Allowance>,
    number: usize,
}

impl Entries<'_> {
    fn statements(&self) -> Vec<Statement> {
        let clusters = self.arns(|cluster| format!("cluster/{cluster}"));
        let entries = self.arns(|cluster| format!("access-entry/{cluster}/role/{}/*", self.account));
        let user_names = format!("arn:{}:sts::{}:assumed-role/*", self.hub.partition(), self.account);
        let our_tags = hub_tag("RequestTag");
        let hub = &self.hub.cluster;
        let mut statements = vec![
            self.allow("Cluster", Target::Cluster, Guard::Resource).on(&clusters),
            self.allow("EntryRead", Target::AccessEntry, Guard::Resource)
                .on(&entries),
            self.groups(
                self.principal(
                    self.allow("EntryCreate", Target::Cluster, Guard::NewEntry)
                        .on(&clusters),
                ),
            )
            .when("StringEquals", &our_tags, [hub])
            .when("Null", "eks:username", ["true"]),
            self.allow("EntryTag", Target::AccessEntry, Guard::OurTags)
                .on(&entries)
                .when("StringEquals", &our_tags, [hub]),
            // The user name's key may hold the name that EKS made, or the one asked for, which is that one again.
            self.groups(
                self.ours(
                    self.allow("EntryGroups", Target::AccessEntry, Guard::OurEntryGroups)
                        .on(&entries),
                ),
            )
            .when("StringLikeIfExists", "eks:username", [user_names]),
            self.ours(
                self.allow("EntryRemove", Target::AccessEntry, Guard::OurEntry)
                    .on(&entries),
            ),
        ];
        for (sid, scope, kinds) in [
            ("PolicyCluster", "cluster", &[ScopeKind::Cluster][..]),
            (
                "PolicyNamespace",
                "namespace",
                &[ScopeKind::Cluster, ScopeKind::Namespace],
            ),
        ] {
            let policies: BTreeSet<_> = self
                .around
                .iter()
                .flat_map(|entry| &entry.access_policies)
                .filter(|(_, widest)| kinds.contains(widest))
                .filter_map(|(name, _)| AccessPolicyArn::new(self.hub.partition(), name).ok())
                .collect();
            if !policies.is_empty() {
                let statement = self.ours(
                    self.allow(sid, Target::AccessEntry, Guard::OurEntryPolicies)
                        .on(&entries),
                );
                statements.push(statement.when("ArnEquals", "eks:policyArn", policies).when(
                    "StringEquals",
                    "eks:accessScope",
                    [scope],
                ));
            }
        }
        statements
    }

    fn allow(&self, sid: &str, on: Target, guard: Guard) -> Statement {
        allow(&format!("{sid}{}", self.number), on, guard)
    }

    fn arns(&self, resource: impl Fn(&str) -> String) -> BTreeSet<String> {
        let (partition, account) = (self.hub.partition(), self.account);
        let clusters = widest(&self.entry.clusters);
        widest(&self.entry.regions)
            .iter()
            .flat_map(|region| clusters.iter().map(move |cluster| (region, cluster)))
            .map(|(region, cluster)| format!("arn:{partition}:eks:{region}:{account}:{}", resource(cluster)))
            .collect()
    }

    fn principal(&self, statement: Statement) -> Statement {
        let own = [Glob(self.account.to_string())];
        let mut principals: BTreeSet<String> = [roles_of(self.hub, self.account)].into();
        let named = self.around.iter().flat_map(|entry| &entry.deployer_roles);
        principals.extend(named.flat_map(|pattern| pattern.in_accounts(&own)));
        statement.when("ArnLike", "eks:principalArn", principals).when(
            "StringEquals",
            "eks:accessEntryType",
            ["STANDARD"],
        )
    }

    fn ours(&self, statement: Statement) -> Statement {
        self.principal(statement)
            .when("StringEquals", &hub_tag("ResourceTag"), [&self.hub.cluster])
    }

    fn groups(&self, statement: Statement) -> Statement {
        let groups: Vec<Glob> = self
            .around
            .iter()
            .flat_map(|entry| entry.kubernetes_groups.iter().cloned())
            .collect();
        if groups.is_empty() {
            statement.when("Null", "eks:kubernetesGroups", ["true"])
        } else {
            statement.when("ForAllValues:StringLike", "eks:kubernetesGroups", widest(&groups))
        }
    }
}

fn keep_management(hub: &Hub, grant: &ManagementGrant) -> Vec<Statement> {
    let role = grant.role.to_string();
    let hub_cluster = allow("Hub", Target::Cluster, Guard::Resource).on([&hub.cluster]);
    if grant.existing {
        return vec![
            Statement::allow("ManagementRead", [super::Call::GetRole.action()]).on([role]),
            hub_cluster,
        ];
    }
    let provider = grant
        .provider
        .as_ref()
        .map_or_else(|| any_provider(hub), ToString::to_string);
    let mut statements = roles(
        hub,
        "Management",
        Target::ManagementRole,
        &role,
        std::slice::from_ref(&grant.boundary),
    )
    .to_vec();
    statements.extend([
        allow("Provider", Target::OidcProvider, Guard::Resource).on([&provider]),
        allow("ProviderCreate", Target::OidcProvider, Guard::OurTags)
            .on([&provider])
            .when("StringEquals", &hub_tag("RequestTag"), [&hub.cluster]),
        hub_cluster,
    ]);
    statements
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::arn::ClusterArn;
    use crate::policy::Effect;

    const BOUNDARY: &str = "arn:aws:iam::111111111111:policy/mooring-management";

    fn globs(texts: &[&str]) -> Vec<Glob> {
        texts.iter().map(|text| Glob((*text).to_owned())).collect()
    }

    fn cluster(account: &str, region: &str, name: &str) -> ClusterArn {
        ClusterArn {
            region: region.parse().unwrap(),
            account: account.parse().unwrap(),
            name: name.parse().unwrap(),
        }
    }

    fn hub() -> Hub {
        Hub {
            cluster: cluster("111111111111", "eu-west-1", "hub"),
            management_role: "default".parse().unwrap(),
        }
    }

    fn allowance() -> Allowance {
        Allowance {
            accounts: globs(&["222222222222"]),
            regions: globs(&["*"]),
            clusters: globs(&["prod-*"]),
            access_policies: vec![
                ("AmazonEKSClusterAdminPolicy".into(), ScopeKind::Cluster),
                ("AmazonEKSEditPolicy".into(), ScopeKind::Namespace),
            ],
            kubernetes_groups: vec![],
            projects: globs(&["*"]),
            deployer_roles: vec![],
        }
    }

    fn management() -> ManagementGrant {
        ManagementGrant {
            role: hub().management_role_arn(None),
            boundary: BOUNDARY.parse().unwrap(),
            provider: Some(
                hub()
                    .oidc_provider("https://oidc.eks.eu-west-1.amazonaws.com/id/ABC")
                    .unwrap(),
            ),
            existing: false,
        }
    }

    fn spoke(allow: &[Allowance]) -> Document {
        provisioner_policy(&hub(), &"222222222222".parse().unwrap(), allow, None, &[])
    }

    fn own(allow: &[Allowance], management: &ManagementGrant) -> Document {
        provisioner_policy(&hub(), &"111111111111".parse().unwrap(), allow, Some(management), &[])
    }

    fn find<'a>(document: &'a Document, sid: &str) -> &'a Statement {
        document
            .statements
            .iter()
            .find(|statement| statement.sid.as_deref() == Some(sid))
            .unwrap()
    }

    #[test]
    fn the_policy_of_one_spoke_is_exactly_this() {
        let path = "role/mooring/111111111111-eu-west-1-hub/default/*";
        let entry = "arn:aws:eks:*:222222222222:access-entry/prod-*/role/222222222222/*";
        let hub = "arn:aws:eks:eu-west-1:111111111111:cluster/hub";
        let principal = format!(r#""ArnLike":{{"eks:principalArn":"arn:aws:iam::222222222222:{path}"}}"#);
        let expected = [
            format!(r#"{{"Sid":"DeployerRead","Effect":"Allow","Action":["iam:ListAttachedRolePolicies","iam:ListInstanceProfilesForRole","iam:ListRolePolicies"],"Resource":"arn:aws:iam::222222222222:{path}"}}"#),
            format!(r#"{{"Sid":"DeployerWrite","Effect":"Allow","Action":["iam:CreateRole","iam:DeleteRole","iam:PutRolePermissionsBoundary","iam:UpdateAssumeRolePolicy","iam:UpdateRole"],"Resource":"arn:aws:iam::222222222222:{path}","Condition":{{"StringEquals":{{"iam:PermissionsBoundary":"arn:aws:iam::aws:policy/AWSDenyAll"}}}}}}"#),
            format!(r#"{{"Sid":"DeployerTag","Effect":"Allow","Action":"iam:TagRole","Resource":"arn:aws:iam::222222222222:{path}","Condition":{{"StringEquals":{{"aws:RequestTag/mooring.dev/hub":"{hub}"}}}}}}"#),
            r#"{"Sid":"Cluster1","Effect":"Allow","Action":"eks:DescribeCluster","Resource":"arn:aws:eks:*:222222222222:cluster/prod-*"}"#.to_owned(),
            format!(r#"{{"Sid":"EntryRead1","Effect":"Allow","Action":["eks:DescribeAccessEntry","eks:ListAssociatedAccessPolicies"],"Resource":"{entry}"}}"#),
            format!(r#"{{"Sid":"EntryCreate1","Effect":"Allow","Action":"eks:CreateAccessEntry","Resource":"arn:aws:eks:*:222222222222:cluster/prod-*","Condition":{{{principal},"Null":{{"eks:kubernetesGroups":"true","eks:username":"true"}},"StringEquals":{{"aws:RequestTag/mooring.dev/hub":"{hub}","eks:accessEntryType":"STANDARD"}}}}}}"#),
            format!(r#"{{"Sid":"EntryTag1","Effect":"Allow","Action":"eks:TagResource","Resource":"{entry}","Condition":{{"StringEquals":{{"aws:RequestTag/mooring.dev/hub":"{hub}"}}}}}}"#),
            format!(r#"{{"Sid":"EntryGroups1","Effect":"Allow","Action":"eks:UpdateAccessEntry","Resource":"{entry}","Condition":{{{principal},"Null":{{"eks:kubernetesGroups":"true"}},"StringEquals":{{"aws:ResourceTag/mooring.dev/hub":"{hub}","eks:accessEntryType":"STANDARD"}},"StringLikeIfExists":{{"eks:username":"arn:aws:sts::222222222222:assumed-role/*"}}}}}}"#),
            format!(r#"{{"Sid":"EntryRemove1","Effect":"Allow","Action":["eks:DeleteAccessEntry","eks:DisassociateAccessPolicy"],"Resource":"{entry}","Condition":{{{principal},"StringEquals":{{"aws:ResourceTag/mooring.dev/hub":"{hub}","eks:accessEntryType":"STANDARD"}}}}}}"#),
            format!(r#"{{"Sid":"PolicyCluster1","Effect":"Allow","Action":"eks:AssociateAccessPolicy","Resource":"{entry}","Condition":{{"ArnEquals":{{"eks:policyArn":"arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"}},{principal},"StringEquals":{{"aws:ResourceTag/mooring.dev/hub":"{hub}","eks:accessEntryType":"STANDARD","eks:accessScope":"cluster"}}}}}}"#),
            format!(r#"{{"Sid":"PolicyNamespace1","Effect":"Allow","Action":"eks:AssociateAccessPolicy","Resource":"{entry}","Condition":{{"ArnEquals":{{"eks:policyArn":["arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy","arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"]}},{principal},"StringEquals":{{"aws:ResourceTag/mooring.dev/hub":"{hub}","eks:accessEntryType":"STANDARD","eks:accessScope":"namespace"}}}}}}"#),
            r#"{"Sid":"Look","Effect":"Allow","Action":"iam:GetRole","Resource":"arn:aws:iam::222222222222:role/*"}"#.to_owned(),
        ];
        let expected = format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, expected.join(","));
        assert_eq!(spoke(&[allowance()]).to_json(), expected);
    }

    #[test]
    fn no_policy_is_open_and_every_write_is_bound() {
        let open = Allowance {
            accounts: globs(&["*"]),
            clusters: globs(&["*"]),
            kubernetes_groups: globs(&["*"]),
            ..allowance()
        };
        let unknown = ManagementGrant {
            provider: None,
            ..management()
        };
        let existing = ManagementGrant {
            existing: true,
            ..management()
        };
        let writes: BTreeSet<_> = CALLS
            .iter()
            .filter(|row| row.writes)
            .flat_map(|row| row.needs)
            .map(|n| n.action)
            .collect();
        for document in [
            spoke(std::slice::from_ref(&open)),
            own(std::slice::from_ref(&open), &management()),
            own(&[], &unknown),
            own(&[], &existing),
            operator_policy(&hub(), &globs(&["*"]), &"mooring-provisioner".parse().unwrap()),
            management_boundary(&hub(), &management().role, &globs(&["*"]), &[]),
        ] {
            let mut sids = BTreeSet::new();
            for statement in &document.statements {
                let sid = statement.sid.clone().unwrap();
                assert!(sid.chars().all(|c| c.is_ascii_alphanumeric()), "{sid}");
                assert!(sids.insert(sid.clone()), "{sid} twice");
                assert_eq!(statement.effect, Effect::Allow);
                assert!(!statement.action.is_empty() && !statement.resource.is_empty(), "{sid}");
                assert!(
                    statement.not_action.is_empty() && statement.not_resource.is_empty(),
                    "{sid}"
                );
                assert!(statement.action.iter().all(|action| !action.contains('*')), "{sid}");
                assert!(
                    statement
                        .resource
                        .iter()
                        .all(|arn| arn.starts_with("arn:aws:") && arn.len() > 20),
                    "{sid}"
                );
                let bound = !statement.condition.is_empty() || sid == "Provider";
                assert!(
                    bound || !statement.action.iter().any(|action| writes.contains(action.as_str())),
                    "{sid}"
                );
            }
        }
    }

    #[test]
    fn allowances_are_not_mixed() {
        let groups = Allowance {
            regions: globs(&["eu-west-1", "eu-west-2"]),
            clusters: globs(&["dev"]),
            access_policies: vec![],
            kubernetes_groups: globs(&["team-*", "a?b$c"]),
            ..allowance()
        };
        let elsewhere = Allowance {
            accounts: globs(&["333333333333"]),
            ..allowance()
        };
        let document = spoke(&[elsewhere, allowance(), groups]);
        let second = document
            .statements
            .iter()
            .filter(|s| s.sid.as_ref().is_some_and(|sid| sid.ends_with('2')));
        for statement in second.clone() {
            assert!(
                statement
                    .resource
                    .iter()
                    .all(|arn| arn.contains("/dev") && arn.contains(":eu-west-")),
                "{statement:?}"
            );
        }
        assert_eq!(second.count(), 6, "no access policies, so none to associate");
        assert!(!document.to_json().contains("333333333333"));
        let groups = &find(&document, "EntryGroups2").condition["ForAllValues:StringLike"]["eks:kubernetesGroups"];
        // `?` and `$` are plain in our globs, and must be plain to IAM.
        assert_eq!(*groups, ["a${?}b${$}c".to_owned(), "team-*".to_owned()].into());
        assert!(find(&document, "EntryCreate1").condition["Null"].contains_key("eks:kubernetesGroups"));
        assert!(!find(&document, "EntryCreate2").condition["Null"].contains_key("eks:kubernetesGroups"));
    }

    #[test]
    fn an_account_that_is_not_allowed_gets_nothing() {
        let other = Allowance {
            accounts: globs(&["333333333333"]),
            ..allowance()
        };
        assert!(spoke(&[other]).statements.is_empty());
    }

    #[test]
    fn the_hub_account_keeps_exactly_the_management_role() {
        let document = own(&[], &management());
        let role = hub().management_role_arn(None).to_string();
        let write = find(&document, "ManagementWrite");
        assert_eq!(write.resource, [role.clone()].into());
        assert!(write.action.contains("iam:PutRolePolicy") && write.action.contains("iam:DeleteRole"));
        assert_eq!(
            write.condition["StringEquals"]["iam:PermissionsBoundary"],
            [BOUNDARY.to_owned()].into()
        );
        assert!(
            find(&document, "Provider")
                .resource
                .iter()
                .all(|arn| arn.ends_with("/id/ABC"))
        );
        // Any role may be looked at, so that one that has the name in another case is told as that and not as a refusal.
        let look = find(&document, "Look");
        assert_eq!(look.resource, ["arn:aws:iam::111111111111:role/*".to_owned()].into());
        assert_eq!(look.action, ["iam:GetRole".to_owned()].into());
        let others = document.statements.iter().filter(|one| *one != look);
        assert!(!Document::new(others.cloned().collect()).to_json().contains('*'));

        let existing = own(
            &[],
            &ManagementGrant {
                existing: true,
                ..management()
            },
        );
        let all: BTreeSet<_> = existing
            .statements
            .iter()
            .flat_map(|statement| &statement.action)
            .collect();
        assert_eq!(
            all.into_iter().collect::<Vec<_>>(),
            ["eks:DescribeCluster", "iam:GetRole"]
        );
    }

    #[test]
    fn own_boundaries_replace_the_default() {
        let boundaries = [
            "arn:aws:iam::222222222222:policy/team".parse().unwrap(),
            PolicyArn::deny_all(hub().partition()),
        ];
        let document = provisioner_policy(
            &hub(),
            &"222222222222".parse().unwrap(),
            &[allowance()],
            None,
            &boundaries,
        );
        let named = &find(&document, "DeployerWrite").condition["StringEquals"]["iam:PermissionsBoundary"];
        assert_eq!(*named, boundaries.iter().map(ToString::to_string).collect());
    }

    #[test]
    fn the_operator_and_the_management_role_only_assume() {
        let operator = operator_policy(
            &hub(),
            &globs(&["222222222222"]),
            &"mooring-provisioner".parse().unwrap(),
        );
        assert_eq!(
            operator.to_json(),
            r#"{"Version":"2012-10-17","Statement":[{"Sid":"Provisioners","Effect":"Allow","Action":["sts:AssumeRole","sts:TagSession"],"Resource":["arn:aws:iam::111111111111:role/mooring-provisioner","arn:aws:iam::222222222222:role/mooring-provisioner"]}]}"#
        );
        let boundary = management_boundary(&hub(), &management().role, &globs(&["222222222222", "*"]), &[]);
        assert_eq!(
            boundary.to_json(),
            r#"{"Version":"2012-10-17","Statement":[{"Sid":"Deployers","Effect":"Allow","Action":["sts:AssumeRole","sts:TagSession"],"Resource":"arn:aws:iam::*:role/mooring/111111111111-eu-west-1-hub/default/*"},{"Sid":"Itself","Effect":"Allow","Action":["sts:AssumeRole","sts:TagSession"],"Resource":"arn:aws:iam::111111111111:role/mooring/111111111111-eu-west-1-hub/management-default-b949815e"}]}"#
        );
    }

    #[test]
    fn roles_outside_of_the_path_are_let_in_where_they_are_written_down_and_changed_where_they_are_opened() {
        let named = Allowance {
            deployer_roles: vec!["arn:aws:iam::*:role/argocd-*".parse().unwrap()],
            ..allowance()
        };
        let apart = Allowance {
            clusters: vec![Glob("elsewhere".to_owned())],
            ..allowance()
        };
        let document = spoke(&[named.clone(), apart, allowance()]);
        let role = "arn:aws:iam::222222222222:role/argocd-*".to_owned();
        let path = format!("arn:aws:iam::222222222222:role{}*", hub().path());
        for (sid, principals) in [
            ("EntryCreate1", vec![role.clone(), path.clone()]),
            ("EntryRemove1", vec![role.clone(), path.clone()]),
            ("EntryCreate2", vec![path.clone()]),
            // What is judged together is given together.
            ("EntryCreate3", vec![role.clone(), path.clone()]),
            ("PolicyCluster3", vec![role.clone(), path.clone()]),
        ] {
            assert_eq!(
                find(&document, sid).condition["ArnLike"]["eks:principalArn"],
                principals.into_iter().collect(),
                "{sid}"
            );
        }
        let hub_arn = hub().cluster.to_string();
        for statement in document
            .statements
            .iter()
            .filter(|statement| statement.resource.contains(&role))
        {
            let sid = statement.sid.as_deref().unwrap();
            let opened = statement
                .condition
                .get("StringEquals")
                .and_then(|keys| keys.get("aws:ResourceTag/mooring.dev/adopt"));
            let looks = statement.action.iter().all(|action| action.starts_with("iam:List"));
            assert!(looks || opened == Some(&[hub_arn.clone()].into()), "{sid}");
            assert!(!statement.action.contains("iam:CreateRole"), "{sid}");
        }
        let without = spoke(&[allowance()]).to_json();
        assert!(!without.contains("Adopt"), "{without}");
        let boundary = management_boundary(
            &hub(),
            &management().role,
            &named.accounts,
            std::slice::from_ref(&named),
        );
        assert_eq!(boundary.statements[0].resource, [role, path].into());
    }

    /// What an entry gives on one cluster is given on no other, though another entry holds for that one as well.
    #[test]
    fn what_holds_everywhere_is_given_beside_what_holds_somewhere_and_not_the_other_way_round() {
        let everywhere = Allowance {
            clusters: globs(&["*"]),
            ..allowance()
        };
        let somewhere = Allowance {
            clusters: globs(&["dev-1"]),
            access_policies: vec![],
            kubernetes_groups: globs(&["platform-admins"]),
            deployer_roles: vec!["arn:aws:iam::*:role/dev-pipeline".parse().unwrap()],
            ..allowance()
        };
        let document = spoke(&[everywhere, somewhere]);
        let role = "arn:aws:iam::222222222222:role/dev-pipeline";
        let named = |sid: &str| find(&document, sid).condition["ArnLike"]["eks:principalArn"].contains(role);
        assert!(
            !named("EntryCreate1") && !named("PolicyCluster1"),
            "{}",
            document.to_json()
        );
        assert!(
            named("EntryCreate2") && named("PolicyCluster2"),
            "{}",
            document.to_json()
        );
        let groups = |sid: &str| find(&document, sid).condition.get("ForAllValues:StringLike").cloned();
        assert_eq!(groups("EntryCreate1"), None);
        assert!(groups("EntryCreate2").is_some());
        let on = &find(&document, "PolicyCluster2").resource;
        assert!(on.iter().all(|resource| resource.contains("/dev-1/")), "{on:?}");
    }

    /// Whoever may write deployer roles in the hub's account may not by that rewrite whom the management role trusts,
    /// nor may the management role assume itself by such a pattern.
    #[test]
    fn no_pattern_for_deployer_roles_holds_the_management_role() {
        let everywhere = Allowance {
            accounts: globs(&["*"]),
            ..allowance()
        };
        let role = hub().management_role_arn(None).to_string();
        let provisioner = own(&[everywhere], &management());
        let boundary = management_boundary(&hub(), &management().role, &globs(&["*"]), &[]);
        let mut patterns = 0;
        for statement in provisioner.statements.iter().chain(&boundary.statements) {
            let sid = statement.sid.as_deref().unwrap_or_default();
            for resource in statement.resource.iter().filter(|_| sid.starts_with("Deployer")) {
                assert!(!Glob(resource.clone()).matches(&role), "{sid}: {resource}");
                patterns += 1;
            }
        }
        assert_eq!(patterns, 4, "to read, to write and to tag, and the boundary's");
    }

    #[test]
    fn partitions_follow_the_hub() {
        let hub = Hub {
            cluster: cluster("111111111111", "cn-north-1", "hub"),
            management_role: "default".parse().unwrap(),
        };
        let grant = ManagementGrant {
            role: hub.management_role_arn(None),
            boundary: hub.hub_policy(&"b".parse().unwrap()),
            provider: None,
            existing: false,
        };
        let everywhere = Allowance {
            accounts: globs(&["*"]),
            ..allowance()
        };
        let text = provisioner_policy(&hub, &hub.cluster.account, &[everywhere], Some(&grant), &[]).to_json();
        assert!(text.contains("arn:aws-cn:") && !text.contains("arn:aws:"), "{text}");
    }

    /// 10,240 characters of inline policies for a role, 2,048 for a session policy, white space not counted (IAM user
    /// guide, "IAM and STS quotas").
    #[test]
    fn what_is_sensible_fits_the_quotas() {
        let everywhere = Allowance {
            accounts: globs(&["*"]),
            regions: globs(&["eu-west-1", "eu-central-1"]),
            clusters: globs(&["prod-*", "staging-*"]),
            kubernetes_groups: globs(&["team-*"]),
            ..allowance()
        };
        let anywhere = Allowance {
            regions: globs(&["*"]),
            clusters: globs(&["*"]),
            ..everywhere.clone()
        };
        for (allow, management, fits) in [
            (vec![everywhere.clone()], None, true),
            (vec![everywhere.clone()], Some(management()), true),
            (vec![anywhere.clone(), anywhere.clone()], Some(management()), true),
            // Three entries of `allow` for one account belong into one, or into managed policies.
            (vec![everywhere.clone(), everywhere.clone(), everywhere], None, false),
        ] {
            let hub = hub();
            let document = provisioner_policy(&hub, &hub.cluster.account, &allow, management.as_ref(), &[]);
            let length = document.quota_length();
            assert_eq!(length < 10_240, fits, "{length} characters for {} entries", allow.len());
        }

        let long = "c".repeat(100);
        let hub = Hub {
            cluster: cluster("111111111111", "us-gov-west-1", &long),
            management_role: "m".repeat(253).parse().unwrap(),
        };
        let spoke = cluster("222222222222", "us-gov-west-1", &long);
        let one = session_policy_for_cluster(&hub, &spoke, &hub.deployer_role(&spoke), true);
        assert!(one.quota_length() < 2_048, "{}", one.quota_length());
        let own = session_policy_for_management(&hub, &hub.management_role_arn(None));
        assert!(own.quota_length() < 2_048, "{}", own.quota_length());
    }

    #[test]
    fn a_session_reaches_one_role_and_one_cluster() {
        let spoke = cluster("222222222222", "eu-west-1", "prod-eu");
        let role = hub().deployer_role(&spoke);
        let document = session_policy_for_cluster(&hub(), &spoke, &role, true);
        let resources: BTreeSet<_> = document
            .statements
            .iter()
            .flat_map(|statement| &statement.resource)
            .cloned()
            .collect();
        let entry = "arn:aws:eks:eu-west-1:222222222222:access-entry/prod-eu/role/222222222222/*".to_owned();
        let look = "arn:aws:iam::222222222222:role/*".to_owned();
        let any = document.statements.iter().find(|one| one.resource.contains(&look));
        assert_eq!(any.unwrap().action, ["iam:GetRole".to_owned()].into());
        assert_eq!(resources, [role.to_string(), look, spoke.to_string(), entry].into());
        let theirs = "arn:aws:iam::222222222222:role/argocd".parse().unwrap();
        let looks = session_policy_for_cluster(&hub(), &spoke, &theirs, false);
        let iam: BTreeSet<_> = looks
            .statements
            .iter()
            .flat_map(|statement| &statement.action)
            .filter(|action| action.starts_with("iam:"))
            .collect();
        assert_eq!(iam.into_iter().collect::<Vec<_>>(), ["iam:GetRole"]);
    }
}
