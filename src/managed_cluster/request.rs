//! 1. request: the raw resource, parsed once into names that cannot be wrong, and held against `allow`. Pure.

mod stored;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    api::{Access, DeletionPolicy, DeployerRoleType, ManagedCluster, ManagedClusterStatus, Mode, WhileInUse},
    argocd::Presentation,
    domain::{
        allow::{self, Asked, AskedPolicy, NotAllowed},
        arn::{ClusterArn, PolicyArn, RoleArn},
        eks::{AccessPolicyArn, AccessScope, Associations},
        hub::Hub,
        name::{InvalidName, Partition, RoleName},
        ownership::{Owner, Tags},
        role_pattern::{of_another_hub, reserved},
    },
};

pub use self::stored::retains;
use super::management::Management;

/// What never changes in a `ManagedCluster`, and all that its removal needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The object's name.
    pub name: String,
    /// The object's UID.
    pub uid: String,
    /// The EKS cluster.
    pub cluster: ClusterArn,
    /// The `ManagementRole` that it names.
    pub management_role: String,
    /// The deployer role's name, where the spec chose one.
    pub role_name: Option<RoleName>,
    /// The deployer role, where it is somebody else's: it is never written to.
    pub existing: Option<RoleArn>,
    /// The deployer role, where it stands already and is ours to take over.
    pub adopted: Option<RoleArn>,
    /// The deployer role as it was recorded, where the object does not say it any more.
    pub recorded: Option<RoleArn>,
    /// Whether that is one that others made, and nobody can read whether it was taken over: its mark alone says so.
    pub unsure: bool,
    /// Whether only the Secret is removed with the object.
    pub retain: bool,
    /// How far to go for it.
    pub mode: Mode,
    /// What its removal does while Applications still deploy to the cluster.
    pub while_in_use: WhileInUse,
    /// The cluster's name in Argo CD.
    pub argocd_name: String,
}

impl Identity {
    /// Reads the identity from the object as the API server has it, whether or not the rest of it can be read.
    ///
    /// # Errors
    /// When a name is not a name: the CRD's rules were not in force when the object was stored.
    pub fn read(object: &Value) -> Result<Self, InvalidName> {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str);
        let name = text("/metadata/name").unwrap_or_default();
        let role_name = text("/spec/access/deployerRole/name");
        let existing = text("/spec/access/deployerRole/type") == Some("Existing");
        let arn = text("/spec/access/deployerRole/arn").unwrap_or_default();
        Ok(Self {
            name: name.to_owned(),
            uid: text("/metadata/uid").unwrap_or_default().to_owned(),
            cluster: ClusterArn {
                account: text("/spec/accountId").unwrap_or_default().parse()?,
                region: text("/spec/region").unwrap_or_default().parse()?,
                name: text("/spec/clusterName").unwrap_or(name).parse()?,
            },
            management_role: text("/spec/managementRole").unwrap_or("default").to_owned(),
            role_name: role_name.map(str::parse).transpose()?,
            existing: existing.then(|| arn.parse()).transpose()?,
            adopted: (!existing && !arn.is_empty()).then(|| arn.parse()).transpose()?,
            recorded: None,
            unsure: false,
            retain: retains(object) != Ok(false),
            mode: match text("/spec/mode") {
                Some("Observe") => Mode::Observe,
                Some("Suspended") => Mode::Suspended,
                Some(_) | None => Mode::Enforce,
            },
            while_in_use: match text("/spec/deletion/whileInUse") {
                Some("Drain") => WhileInUse::Drain,
                Some("Proceed") => WhileInUse::Proceed,
                Some(_) | None => WhileInUse::Block,
            },
            argocd_name: text("/spec/argocd/name").unwrap_or(name).to_owned(),
        })
    }

    /// The same of an object that could be read.
    ///
    /// # Errors
    /// As [`Identity::read`].
    pub fn of(object: &ManagedCluster) -> Result<Self, InvalidName> {
        let (name, spec) = (object.metadata.name.clone().unwrap_or_default(), &object.spec);
        let role = &spec.access.deployer_role;
        let existing = role.kind == DeployerRoleType::Existing;
        Ok(Self {
            uid: object.metadata.uid.clone().unwrap_or_default(),
            cluster: ClusterArn {
                account: spec.account_id.parse()?,
                region: spec.region.parse()?,
                name: spec.cluster_name.as_ref().unwrap_or(&name).parse()?,
            },
            management_role: spec.management_role.clone(),
            role_name: role.name.as_deref().map(str::parse).transpose()?,
            existing: existing
                .then(|| role.arn.as_deref().unwrap_or_default().parse())
                .transpose()?,
            adopted: role.arn.as_deref().filter(|_| !existing).map(str::parse).transpose()?,
            recorded: None,
            unsure: false,
            retain: spec.deletion.policy == DeletionPolicy::Retain,
            mode: spec.mode,
            while_in_use: spec.deletion.while_in_use,
            argocd_name: spec.argocd.name.clone().unwrap_or_else(|| name.clone()),
            name,
        })
    }

    /// The deployer role: under the hub's path in the cluster's account, or somebody else's where that one stands.
    #[must_use]
    pub fn deployer(&self, hub: &Hub) -> RoleArn {
        if let Some(known) = self.recorded.as_ref().or_else(|| self.named()) {
            return known.clone();
        }
        let derived = hub.deployer_role(&self.cluster);
        match &self.role_name {
            Some(name) => RoleArn {
                name: name.clone(),
                ..derived
            },
            None => derived,
        }
    }

    /// The deployer role, where the spec names it by its ARN: one that stands already.
    #[must_use]
    pub fn named(&self) -> Option<&RoleArn> {
        self.existing.as_ref().or(self.adopted.as_ref())
    }

    /// The unique ID of the role that we recorded as made by us. Of a role that is somebody else's, or may be, nothing is
    /// ours by that.
    #[must_use]
    pub fn recorded_role<'a>(&self, status: &'a ManagedClusterStatus) -> Option<&'a str> {
        let recorded = status
            .deployer_role
            .as_ref()
            .filter(|_| self.existing.is_none() && !self.unsure);
        recorded.map(|role| role.id.as_str())
    }

    /// Who makes what is made for this object.
    #[must_use]
    pub fn owner(&self, hub: &Hub) -> Owner {
        Owner {
            hub: hub.cluster.clone(),
            uid: self.uid.clone(),
            object: self.name.clone(),
        }
    }
}

/// A `ManagedCluster` that may be made true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What never changes.
    pub identity: Identity,
    /// The deployer role.
    pub deployer: RoleArn,
    /// Who makes it.
    pub owner: Owner,
    /// The access policies and their scopes.
    pub associations: Associations,
    /// The Kubernetes groups.
    pub groups: BTreeSet<String>,
    /// The deployer role's permissions boundary.
    pub boundary: PolicyArn,
    /// The platform team's own tags.
    pub tags: Tags,
    /// How Argo CD presents the cluster.
    pub presentation: Presentation,
    /// Whether what others made is taken over.
    pub adopt: bool,
}

/// What Argo CD calls the cluster that it runs on (Argo CD, `util/db/cluster.go`).
const IN_CLUSTER: &str = "in-cluster";

/// Why a `ManagedCluster` is not made true until a person acts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A name in it is none.
    #[error("the spec cannot be used: {0}")]
    Invalid(#[from] InvalidName),
    /// It asks for more than the `ManagementRole` allows.
    #[error("ManagementRole {management_role} does not allow {}", .beyond.words())]
    NotAllowed {
        /// Whose `allow` it is.
        management_role: String,
        /// Each thing beyond it.
        beyond: NotAllowed,
    },
    /// The cluster is in another partition than the hub.
    #[error(
        "region {region} is in partition {partition}, the hub in {hub}: a role is never assumed across partitions, so this cluster needs a hub of its own there"
    )]
    OtherPartition {
        /// The cluster's region.
        region: String,
        /// Its partition.
        partition: &'static str,
        /// The hub's partition.
        hub: &'static str,
    },
    /// The deployer role that it names can be nobody's, whatever is allowed.
    #[error(
        "spec.access.deployerRole.arn {arn} cannot be a deployer role: it is {why}. Name a role that only Argo CD uses, or none, in a new ManagedCluster"
    )]
    UnusableRole {
        /// The role.
        arn: RoleArn,
        /// Why.
        why: String,
    },
}

impl Request {
    /// Parses the spec and holds it against what is allowed.
    ///
    /// # Errors
    /// Says what a person must change.
    pub fn parse(object: &ManagedCluster, management: &Management) -> Result<Self, Refusal> {
        let identity = Identity::of(object)?;
        let (partition, hub) = (identity.cluster.region.partition(), management.hub.partition());
        if partition != hub {
            return Err(Refusal::OtherPartition {
                region: identity.cluster.region.to_string(),
                partition: partition.name(),
                hub: hub.name(),
            });
        }
        let access = &object.spec.access;
        if let Some(arn) = identity.named()
            && let Some(why) = unusable(arn, &identity, management)
        {
            return Err(Refusal::UnusableRole { arn: arn.clone(), why });
        }
        allow::judge(&management.allow, &asked(object, &identity, management)).map_err(|beyond| {
            Refusal::NotAllowed {
                management_role: management.hub.management_role.to_string(),
                beyond,
            }
        })?;
        let boundary = match access.deployer_role.permissions_boundary.as_deref() {
            Some(arn) => arn.parse()?,
            None => PolicyArn::deny_all(partition),
        };
        let associations = associations(access, partition)?;
        let argocd = &object.spec.argocd;
        let name = argocd.name.clone().unwrap_or_else(|| identity.name.clone());
        if name == IN_CLUSTER {
            return Err(Refusal::Invalid(InvalidName {
                kind: "a name that Argo CD can give to another cluster",
                value: name,
                hint: "it is Argo CD's own name for the cluster that it runs on: write another one in spec.argocd.name",
            }));
        }
        let presentation = Presentation {
            name,
            project: argocd.project.clone(),
            namespaces: argocd
                .namespaces
                .clone()
                .unwrap_or_else(|| namespaces_of(&associations)),
            cluster_resources: argocd.cluster_resources,
            shard: argocd.shard,
            labels: argocd.labels.clone(),
            annotations: argocd.annotations.clone(),
        };
        Ok(Self {
            deployer: identity.deployer(&management.hub),
            owner: identity.owner(&management.hub),
            associations,
            groups: access.kubernetes_groups.iter().cloned().collect(),
            boundary,
            tags: access.deployer_role.tags.clone(),
            presentation,
            adopt: object.spec.adopt_existing,
            identity,
        })
    }
}

/// The access policies that a spec asks for, with their scopes.
///
/// # Errors
/// Which of them is no name of one.
pub(super) fn associations(access: &Access, partition: Partition) -> Result<Associations, InvalidName> {
    let policies = access.policies.iter().map(|policy| {
        let scope = match policy.namespaces.as_slice() {
            [] => AccessScope::Cluster,
            namespaces => AccessScope::Namespaces(namespaces.iter().cloned().collect()),
        };
        AccessPolicyArn::new(partition, &policy.name).map(|arn| (arn, scope))
    });
    policies.collect()
}

/// Why a role that the spec names can be no deployer role.
fn unusable(role: &RoleArn, identity: &Identity, management: &Management) -> Option<String> {
    let is = |name: &RoleName| role.name.as_str().eq_ignore_ascii_case(name.as_str());
    if role.account != identity.cluster.account {
        return Some(format!(
            "in account {}, and the cluster in {}",
            role.account, identity.cluster.account
        ));
    }
    if role.partition != management.hub.partition() {
        return Some(format!(
            "in partition {}, and the hub in {}",
            role.partition,
            management.hub.partition()
        ));
    }
    if *role == management.role {
        return Some("the management role itself".to_owned());
    }
    if is(&management.provisioner) || is(&management.reader) {
        return Some("the role by which Mooring enters the account".to_owned());
    }
    of_another_hub(role, &management.hub).or_else(|| reserved(role).map(str::to_owned))
}

/// The part of a spec that `allow` speaks of.
fn asked(object: &ManagedCluster, identity: &Identity, management: &Management) -> Asked {
    let access = &object.spec.access;
    let on_the_hub = identity.cluster == management.hub.cluster;
    Asked {
        account: identity.cluster.account.clone(),
        region: identity.cluster.region.clone(),
        cluster: identity.cluster.name.clone(),
        access_policies: access
            .policies
            .iter()
            .map(|policy| AskedPolicy {
                name: policy.name.clone(),
                namespaces: policy.namespaces.clone(),
            })
            .collect(),
        guarded_namespaces: management.guarded.iter().filter(|_| on_the_hub).cloned().collect(),
        kubernetes_groups: access.kubernetes_groups.iter().cloned().collect(),
        project: object.spec.argocd.project.clone(),
        deployer_role: identity.named().cloned(),
    }
}

/// The namespaces that Argo CD is held to when the spec does not say: those of the access policies, when every one of
/// them is held to namespaces.
fn namespaces_of(associations: &Associations) -> Vec<String> {
    let mut namespaces = BTreeSet::new();
    for scope in associations.values() {
        match scope {
            AccessScope::Cluster => return Vec::new(),
            AccessScope::Namespaces(names) => namespaces.extend(names.iter().cloned()),
        }
    }
    namespaces.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::allow::{Allowance, ScopeKind};

    fn object(spec: &Value) -> ManagedCluster {
        let mut object = json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagedCluster", "metadata": {"name": "prod", "uid": "u"},
            "spec": {"accountId": "222222222222", "region": "eu-west-1", "access": {}},
        });
        for (key, value) in spec.as_object().into_iter().flatten() {
            object["spec"][key] = value.clone();
        }
        serde_json::from_value(object).unwrap()
    }

    fn management() -> Management {
        let any = || vec![crate::domain::glob::Glob("*".into())];
        Management {
            hub: Hub {
                cluster: ClusterArn {
                    region: "eu-west-1".parse().unwrap(),
                    account: "111111111111".parse().unwrap(),
                    name: "hub".parse().unwrap(),
                },
                management_role: "default".parse().unwrap(),
            },
            role: "arn:aws:iam::111111111111:role/m".parse().unwrap(),
            provisioner: "mooring-provisioner".parse().unwrap(),
            reader: "mooring-reader".parse().unwrap(),
            external_id: None,
            namespace: "argocd".into(),
            allow: vec![Allowance {
                accounts: any(),
                regions: any(),
                clusters: any(),
                access_policies: vec![
                    ("Edit".into(), ScopeKind::Namespace),
                    ("View".into(), ScopeKind::Cluster),
                ],
                kubernetes_groups: any(),
                projects: any(),
                deployer_roles: vec!["arn:aws:iam::*:role/argocd*".parse().unwrap()],
            }],
            assumable: None,
            retained: BTreeSet::new(),
            guarded: ["argocd", "argocd-two", "the-operators"].map(str::to_owned).into(),
            closed: BTreeSet::new(),
            going: false,
            full: false,
        }
    }

    fn parse(spec: &Value) -> Result<Request, Refusal> {
        Request::parse(&object(spec), &management())
    }

    #[test]
    fn argo_cd_is_held_to_the_namespaces_of_the_policies_unless_the_spec_says_otherwise() {
        let edit = json!({"name": "Edit", "namespaces": ["b", "a"]});
        for (access, argocd, namespaces) in [
            (json!([edit]), json!({}), vec!["a", "b"]),
            (
                json!([edit, {"name": "View", "namespaces": ["c", "a"]}]),
                json!({}),
                vec!["a", "b", "c"],
            ),
            (json!([edit, {"name": "View"}]), json!({}), vec![]),
            (json!([]), json!({}), vec![]),
            (json!([edit]), json!({"namespaces": ["x"]}), vec!["x"]),
        ] {
            let request =
                parse(&json!({"access": {"policies": access, "kubernetesGroups": ["g"]}, "argocd": argocd})).unwrap();
            assert_eq!(request.presentation.namespaces, namespaces, "{access}");
        }
    }

    #[test]
    fn an_object_by_the_name_of_argo_cds_own_cluster_needs_another_there() {
        let mut named = object(&json!({}));
        named.metadata.name = Some("in-cluster".to_owned());
        let refusal = Request::parse(&named, &management()).unwrap_err();
        assert!(refusal.to_string().contains("argocd.name"), "{refusal}");
        named.spec.argocd.name = Some("prod".to_owned());
        assert!(Request::parse(&named, &management()).is_ok());
    }

    #[test]
    fn on_the_hub_the_namespaces_of_every_argo_cd_and_of_the_operator_are_more_than_namespaces() {
        let edit = |namespace: &str, name: &str, account: &str| {
            let spec = json!({"accountId": account, "clusterName": name, "access": {"policies": [{"name": "Edit", "namespaces": [namespace]}]}});
            parse(&spec)
        };
        for namespace in ["argocd", "argocd-two", "the-operators", "kube-system"] {
            let refusal = edit(namespace, "hub", "111111111111").unwrap_err();
            assert!(
                refusal.to_string().contains(&format!(
                    "Edit in namespaces {namespace}, which match {namespace}, where "
                )),
                "{refusal}"
            );
        }
        assert!(edit("team-a", "hub", "111111111111").is_ok());
        assert!(edit("argocd", "spoke", "111111111111").is_ok());
        assert!(
            edit("argocd-two", "hub", "222222222222").is_ok(),
            "a spoke of the same name"
        );
        let all = edit("*", "hub", "111111111111").unwrap_err().to_string();
        assert!(
            all.contains("Edit in namespaces *, which match argocd, argocd-two, the-operators, kube-system"),
            "{all}"
        );
    }

    #[test]
    fn an_existing_role_is_one_of_the_clusters_account_that_the_platform_team_wrote_down() {
        let named = |account: &str, arn: &str| {
            parse(&json!({"accountId": account, "access": {"deployerRole": {"type": "Existing", "arn": arn}}}))
        };
        let request = named("222222222222", "arn:aws:iam::222222222222:role/argocd-prod").unwrap();
        assert_eq!(
            request.deployer.to_string(),
            "arn:aws:iam::222222222222:role/argocd-prod"
        );
        assert_eq!(request.identity.existing, Some(request.deployer));
        for (account, arn, says) in [
            (
                "222222222222",
                "arn:aws:iam::222222222222:role/admin",
                "does not allow deployer role",
            ),
            (
                "222222222222",
                "arn:aws:iam::222222222222:role/ci/argocd",
                "does not allow deployer role",
            ),
            (
                "222222222222",
                "arn:aws:iam::333333333333:role/argocd",
                "in account 333333333333",
            ),
            (
                "222222222222",
                "arn:aws-cn:iam::222222222222:role/argocd",
                "in partition aws-cn",
            ),
            (
                "222222222222",
                "arn:aws:iam::222222222222:role/Mooring-Provisioner",
                "by which Mooring enters",
            ),
            (
                "222222222222",
                "arn:aws:iam::222222222222:role/x/mooring-reader",
                "by which Mooring enters",
            ),
            (
                "111111111111",
                "arn:aws:iam::111111111111:role/m",
                "the management role itself",
            ),
            (
                "222222222222",
                "arn:aws:iam::222222222222:role/mooring/111111111111-eu-west-1-hub/default/other-1234abcd",
                "for objects of its own",
            ),
            (
                "222222222222",
                "arn:aws:iam::222222222222:role/mooring/999999999999-eu-west-1-old/default/other-1234abcd",
                "`aws iam list-roles --path-prefix /mooring/999999999999-eu-west-1-old/`",
            ),
            (
                "222222222222",
                "arn:aws:iam::222222222222:role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS",
                "service-linked",
            ),
            (
                "222222222222",
                "arn:aws:iam::222222222222:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_1",
                "single sign-on",
            ),
            (
                "222222222222",
                "arn:aws:iam::222222222222:role/argocd*",
                "without wildcards",
            ),
        ] {
            let refusal = named(account, arn).unwrap_err().to_string();
            assert!(refusal.contains(says), "{arn}: {refusal}");
        }
    }

    #[test]
    fn what_cannot_be_read_whole_still_tells_whose_its_role_is() {
        let read = |role: Value| {
            Identity::read(&json!({"metadata": {"name": "prod", "uid": "u"}, "spec": {
                "accountId": "222222222222", "region": "eu-west-1", "access": {"deployerRole": role}, "argocd": 7,
            }}))
        };
        let arn = "arn:aws:iam::222222222222:role/argocd";
        let identity = read(json!({"type": "Existing", "arn": arn})).unwrap();
        assert_eq!(identity.existing.map(|arn| arn.to_string()).as_deref(), Some(arn));
        assert_eq!(read(json!({"name": "mine"})).unwrap().existing, None);
        // A role that cannot be told is not taken for one of ours, which would be deleted.
        assert!(read(json!({"type": "Existing"})).is_err());
    }

    #[test]
    fn names_default_to_the_objects_and_the_boundary_to_deny_all() {
        let request = parse(&json!({})).unwrap();
        assert_eq!(
            (
                request.presentation.name.as_str(),
                request.identity.cluster.name.as_str()
            ),
            ("prod", "prod")
        );
        assert_eq!(request.boundary.to_string(), "arn:aws:iam::aws:policy/AWSDenyAll");
        let named = parse(&json!({
            "clusterName": "other",
            "argocd": {"name": "shown"},
            "access": {"deployerRole": {"name": "mine", "tags": {"a": "b"}}},
        }))
        .unwrap();
        assert_eq!(
            (named.presentation.name.as_str(), named.identity.cluster.name.as_str()),
            ("shown", "other")
        );
        let path = "arn:aws:iam::222222222222:role/mooring/111111111111-eu-west-1-hub/default/mine";
        assert_eq!(
            (named.deployer.to_string().as_str(), named.tags["a"].as_str()),
            (path, "b")
        );
    }

    #[test]
    fn what_is_beyond_allow_or_the_partition_is_refused_by_name() {
        let beyond =
            parse(&json!({"access": {"policies": [{"name": "Edit"}, {"name": "Admin", "namespaces": ["a"]}]}}));
        let Err(Refusal::NotAllowed { beyond, .. }) = beyond else {
            unreachable!()
        };
        let beyond: Vec<&str> = beyond.0.iter().map(|one| one.what.as_str()).collect();
        assert_eq!(
            beyond,
            [
                "access policy Edit in the whole cluster",
                "access policy Admin in namespaces"
            ]
        );
        let abroad = parse(&json!({"region": "cn-north-1"})).unwrap_err();
        assert!(
            matches!(
                abroad,
                Refusal::OtherPartition {
                    partition: "aws-cn",
                    hub: "aws",
                    ..
                }
            ),
            "{abroad}"
        );
        for wrong in [
            json!({"accountId": "2"}),
            json!({"region": "eu-west-*"}),
            json!({"clusterName": "a*"}),
            json!({"access": {"deployerRole": {"name": "a/b"}}}),
            json!({"access": {"deployerRole": {"permissionsBoundary": "arn:aws:iam::222222222222:policy/*"}}}),
        ] {
            assert!(matches!(parse(&wrong), Err(Refusal::Invalid(_))), "{wrong}");
        }
    }

    #[test]
    fn both_ways_to_read_an_identity_agree() {
        for spec in [
            json!({}),
            json!({"clusterName": "other", "managementRole": "second", "deletion": {"policy": "Retain"}}),
            json!({"access": {"deployerRole": {"name": "mine"}}}),
            json!({"mode": "Enforce"}),
            json!({"mode": "Observe"}),
            json!({"mode": "Suspended"}),
            json!({"deletion": {"whileInUse": "Drain"}}),
            json!({"deletion": {"whileInUse": "Proceed", "policy": "Retain"}}),
        ] {
            let object = object(&spec);
            let raw = serde_json::to_value(&object).unwrap();
            assert_eq!(Identity::read(&raw), Identity::of(&object), "{spec}");
        }
    }
}
