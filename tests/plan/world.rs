//! What stands in one spoke account and in Argo CD's namespace, in memory: steps change it as AWS and the API server
//! would, and every step that touches what is not ours fails the test.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use jiff::Timestamp;
use k8s_openapi::{
    ByteString,
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{OwnerReference, Time},
};
use mooring::{
    api::{AccessEntryStatus, ManagedCluster, ManagementRole},
    argocd::{ClusterSecret, WantedSecret, cut_down, parse},
    aws::{Role, RolePolicies},
    domain::{
        arn::PolicyArn,
        eks::{AccessEntry, Associations, AuthenticationMode, Cluster, ClusterState, generated_username},
        ownership::{ADOPT_TAG, Marked, Tags},
    },
    managed_cluster::{
        Plan, Step,
        desired::{Desired, desired},
        living::{Lives, Living},
        management::Management,
        observe::{Adoptable, Known, Secrets, Spoke},
        plan::{self, KnownEntry, Memory, entry_tags},
        removal::{TakenOver, plan_removal},
        request::Request,
        step::Suspicion,
        unmoved::Unmoved,
    },
};
use serde_json::json;

pub(crate) const UID: &str = "11111111-aaaa-4bbb-8ccc-222222222222";
const ENDPOINT: &str = "https://0123456789ABCDEF0123456789ABCDEF.gr7.eu-west-1.eks.amazonaws.com";

/// How many passes write at most, whatever stands there: the one after them finds nothing to do.
pub(crate) const PASSES: usize = 3;

/// A cluster's spec, below `metadata`.
pub(crate) const ADMIN: &str = r#"
accountId: "222222222222"
region: eu-west-1
access:
  policies: [{name: AmazonEKSClusterAdminPolicy}]
"#;

pub(crate) fn cluster_object(spec: &str) -> ManagedCluster {
    let spec: serde_json::Value = serde_saphyr::from_str(spec).unwrap();
    serde_json::from_value(json!({
        "apiVersion": "mooring.dev/v1alpha1",
        "kind": "ManagedCluster",
        "metadata": {"name": "prod-eu", "uid": UID, "generation": 1},
        "spec": spec,
    }))
    .unwrap()
}

pub(crate) fn management() -> Management {
    static READ: LazyLock<Management> = LazyLock::new(read_management);
    READ.clone()
}

fn read_management() -> Management {
    let object: ManagementRole = serde_json::from_value(json!({
        "apiVersion": "mooring.dev/v1alpha1",
        "kind": "ManagementRole",
        "metadata": {"name": "default", "uid": "m"},
        "spec": {
            "cluster": {"name": "hub", "region": "eu-west-1"},
            "allow": [{"accounts": ["222222222222"], "kubernetesGroups": ["*"], "deployerRoles": ["arn:aws:iam::*:role/argocd*"], "accessPolicies": [
                {"name": "AmazonEKSClusterAdminPolicy", "scope": "Cluster"},
                {"name": "AmazonEKSEditPolicy", "scope": "Cluster"},
                {"name": "AmazonEKSViewPolicy", "scope": "Cluster"},
            ]}],
        },
        "status": {
            "conditions": [],
            "hub": {"accountId": "111111111111", "region": "eu-west-1", "name": "hub", "arn": "arn:aws:eks:eu-west-1:111111111111:cluster/hub"},
            "role": {"arn": "arn:aws:iam::111111111111:role/mooring/111111111111-eu-west-1-hub/management-default-b949815e", "id": "AROAMANAGEMENT"},
            "assumable": ["arn:aws:iam::222222222222:role/mooring/111111111111-eu-west-1-hub/default/*"],
        },
    }))
    .unwrap();
    Management::read(&object).unwrap()
}

pub(crate) fn request(spec: &str) -> Request {
    Request::parse(&cluster_object(spec), &management()).unwrap()
}

/// A world with an active cluster, and nothing of ours.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) request: Request,
    /// The management role that it stands on.
    pub(crate) management: Management,
    pub(crate) cluster: Option<Cluster>,
    pub(crate) role: Option<Role>,
    pub(crate) policies: RolePolicies,
    /// The ARNs of the instance profiles that hold the role.
    pub(crate) profiles: BTreeSet<String>,
    pub(crate) entry: Option<AccessEntry>,
    pub(crate) associations: Associations,
    pub(crate) secrets: BTreeMap<String, Secret>,
    pub(crate) recorded_role: Option<String>,
    pub(crate) recorded_secret: Option<String>,
    /// The UID that was recorded with that name, and whether that Secret was taken over.
    pub(crate) recorded_secret_uid: Option<String>,
    pub(crate) recorded_secret_adopted: bool,
    /// The unique ID that EKS pinned the entry to, which it never shows.
    pub(crate) pinned: Option<String>,
    pub(crate) suspected: Option<Suspicion>,
    /// Scopes that were given and did not show.
    pub(crate) unmoved: Vec<Unmoved>,
    /// What was recorded that the spec gave to an entry that was taken over.
    pub(crate) given: Option<AccessEntryStatus>,
    /// All objects of the hub.
    pub(crate) living: Living,
    made: u32,
}

impl World {
    pub(crate) fn new(spec: &str) -> Self {
        Self {
            request: request(spec),
            management: management(),
            cluster: Some(Cluster {
                arn: "arn:aws:eks:eu-west-1:222222222222:cluster/prod-eu".into(),
                state: ClusterState::Active,
                endpoint: Some(ENDPOINT.into()),
                certificate_authority: Some(
                    "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUIKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=".into(),
                ),
                version: Some("1.33".into()),
                issuer: None,
                authentication_mode: AuthenticationMode::Api,
                public_endpoint: true,
                connected: false,
                outpost_id: None,
            }),
            role: None,
            policies: RolePolicies::default(),
            profiles: BTreeSet::new(),
            entry: None,
            associations: Associations::new(),
            secrets: BTreeMap::new(),
            recorded_role: None,
            recorded_secret: None,
            recorded_secret_uid: None,
            recorded_secret_adopted: false,
            pinned: None,
            suspected: None,
            unmoved: Vec::new(),
            given: None,
            living: living(&[UID]),
            made: 0,
        }
    }

    /// The same world once everything is made.
    pub(crate) fn moored(spec: &str) -> Self {
        let mut world = Self::new(spec);
        let plan = world.pass();
        assert!(plan.blocked.is_empty(), "{plan:?}");
        world
    }

    pub(crate) fn role(&mut self) -> &mut Role {
        self.role.as_mut().unwrap()
    }

    pub(crate) fn entry(&mut self) -> &mut AccessEntry {
        self.entry.as_mut().unwrap()
    }

    pub(crate) fn secret(&mut self) -> &mut Secret {
        self.secrets.values_mut().next().unwrap()
    }

    pub(crate) fn desired(&self) -> Desired {
        desired(&self.request, &self.management, self.cluster.as_ref())
    }

    pub(crate) fn spoke(&self) -> Spoke {
        let deny_all = self.request.boundary == PolicyArn::deny_all(self.request.deployer.partition);
        let matter = |role: &Role| {
            role.arn == self.request.deployer.to_string()
                && self.request.identity.existing.is_none()
                && (!deny_all || self.recorded_role.as_ref() != Some(&role.id))
        };
        let adoptable =
            |role: &&Role| matter(role) && self.request.adopt && self.recorded_role.as_ref() != Some(&role.id);
        Spoke {
            cluster: self.cluster.clone(),
            instance_profiles: self.role.as_ref().filter(adoptable).map(|_| self.profiles.clone()),
            role_policies: self
                .role
                .as_ref()
                .filter(|role| matter(role))
                .map(|_| self.policies.clone()),
            role: self.role.clone(),
            entry: self.entry.clone(),
            associations: self.entry.as_ref().map(|_| self.associations.clone()),
        }
    }

    pub(crate) fn found(&self) -> Secrets {
        let mut found = Secrets::default();
        let wanted = self.desired().secret.and_then(Result::ok).map(|secret| secret.name);
        for secret in self.secrets.values() {
            let labelled = secret.metadata.labels.as_ref().is_some_and(|labels| {
                labels
                    .get("argocd.argoproj.io/secret-type")
                    .is_some_and(|value| value == "cluster")
            });
            let mut secret = secret.clone();
            cut_down(&mut secret);
            let known = self.known_secret();
            let read = known.read(&secret);
            let by_name = Some(&read.name) == wanted.as_ref();
            if read.owner.as_deref() == Some(UID) || known.owns(&read) {
                if labelled || by_name || known.name == Some(&read.name) {
                    found.own.push(read);
                }
                continue;
            }
            if by_name {
                found.name_taken = Some(read.name.clone());
            }
            if labelled {
                found.others.push(read);
            }
        }
        if !found.own.iter().all(|own| own.deleting) {
            found.name_taken = None;
        } else if self.request.adopt {
            found.adoptable = self.adoptable(&found);
        }
        found
    }

    /// What was recorded of the cluster Secret.
    fn known_secret(&self) -> Known<'_> {
        Known {
            owner: UID,
            name: self.recorded_secret.as_deref(),
            uid: self.recorded_secret_uid.as_deref(),
            adopted: self.recorded_secret_adopted,
            servers: vec![ENDPOINT],
            living: &self.living,
        }
    }

    /// Whether a Secret is ours: by its annotation, or by the name and the UID that were recorded.
    pub(crate) fn secret_is_ours(&self, secret: &Secret) -> bool {
        let annotations = secret.metadata.annotations.as_ref();
        let owner = annotations.and_then(|all| all.get("mooring.dev/uid"));
        let recorded = self.recorded_secret.is_some()
            && self.recorded_secret == secret.metadata.name
            && self.recorded_secret_uid == secret.metadata.uid;
        owner.is_some_and(|owner| owner == UID) || (recorded && owner.is_none())
    }

    /// The only Secret in the way, if it is of the same server.
    fn adoptable(&self, found: &Secrets) -> Option<Adoptable> {
        let wanted = self.desired().secret.and_then(Result::ok)?;
        let same =
            |other: &&ClusterSecret| other.server == wanted.data["server"] || other.cluster_name == wanted.data["name"];
        let mut ways = found.others.iter().filter(same);
        let (Some(secret), None) = (ways.next(), ways.next()) else {
            return None;
        };
        let (lost, changes) = parse::read(&self.secrets[&secret.name]).unwrap().taken_over(None);
        (secret.server == wanted.data["server"]).then(|| Adoptable {
            secret: secret.clone(),
            lost,
            changes,
        })
    }

    /// What would be done, the last look's suspicion being confirmed.
    pub(crate) fn plan(&self) -> Plan {
        self.plan_of(&self.spoke())
    }

    /// The same of an account that was looked at otherwise.
    pub(crate) fn plan_of(&self, spoke: &Spoke) -> Plan {
        self.plan_with(spoke, &self.found())
    }

    /// The same of an account and Secrets that were looked at otherwise.
    pub(crate) fn plan_with(&self, spoke: &Spoke, found: &Secrets) -> Plan {
        let memory = Memory {
            owner: &self.request.owner,
            recorded_role: self.recorded_role.as_deref(),
            recorded_secret: self.recorded_secret.as_deref(),
            confirmed: self.suspected.as_ref(),
            unmoved: &self.unmoved,
            given: self.given.as_ref(),
            living: &self.living,
            role: spoke.role_of_others(&self.request.identity),
        };
        plan::plan(&self.desired(), spoke, found, &memory)
    }

    /// One pass, with every step done.
    pub(crate) fn pass(&mut self) -> Plan {
        let plan = self.look();
        for step in &plan.steps {
            self.apply(step);
        }
        plan
    }

    /// Looks until there is something to do: what only a deletion heals takes two.
    pub(crate) fn pass_until_steps(&mut self) {
        if self.plan().steps.is_empty() {
            self.look();
        }
    }

    /// A pass that breaks off after so many steps, before it could write down what it did.
    pub(crate) fn break_off(&mut self, after: usize) -> Plan {
        let plan = self.look();
        let known = (self.recorded_role.clone(), self.given.clone());
        let secret = (
            self.recorded_secret.clone(),
            self.recorded_secret_uid.clone(),
            self.recorded_secret_adopted,
        );
        for step in plan.steps.iter().take(after) {
            self.apply(step);
        }
        (self.recorded_role, self.given) = known;
        (
            self.recorded_secret,
            self.recorded_secret_uid,
            self.recorded_secret_adopted,
        ) = secret;
        plan
    }

    /// A look, with what it leaves to know.
    fn look(&mut self) -> Plan {
        let plan = self.plan();
        let found = self.found();
        let wanted = self.desired().secret.and_then(Result::ok).map(|secret| secret.name);
        let primary = plan::primary(
            &found,
            wanted.as_deref().unwrap_or_default(),
            self.recorded_secret.as_deref(),
        );
        if let Some(secret) = primary {
            self.recorded_secret = Some(secret.name.clone());
            self.recorded_secret_uid = Some(secret.uid.clone());
            self.recorded_secret_adopted = secret.adopted();
        }
        self.suspected.clone_from(&plan.suspicion);
        self.given = self.recorded();
        plan
    }

    /// What a look leads to being recorded of the access entry.
    pub(crate) fn recorded(&self) -> Option<AccessEntryStatus> {
        let spoke = self.spoke();
        let memory = Memory {
            owner: &self.request.owner,
            recorded_role: self.recorded_role.as_deref(),
            recorded_secret: self.recorded_secret.as_deref(),
            confirmed: None,
            unmoved: &[],
            given: self.given.as_ref(),
            living: &self.living,
            role: spoke.role_of_others(&self.request.identity),
        };
        plan::given(&self.desired(), &spoke, &memory)
    }

    pub(crate) fn plan_removal(&self) -> Plan {
        let existing = self.request.identity.existing.is_some();
        let spoke = Spoke {
            role_policies: Some(self.policies.clone()),
            role: self.role.clone().filter(|_| !existing),
            ..self.spoke()
        };
        plan_removal(
            &self.request.deployer,
            &self.request.boundary,
            &self.request.owner,
            self.recorded_role.as_deref().filter(|_| !existing),
            Some(&spoke),
            &self.found(),
            TakenOver {
                role: self.request.identity.adopted.is_some(),
                entry: self.known_entry(),
            },
        )
    }

    /// What is known of the access entry beside its tags.
    pub(crate) fn known_entry(&self) -> KnownEntry<'_> {
        KnownEntry {
            recorded: self.given.as_ref(),
            living: &self.living,
            role: (self.role.as_ref()).filter(|_| self.request.identity.adopted.is_some()),
        }
    }

    fn role_is_ours(&self) -> bool {
        let theirs = self.request.identity.existing.is_some();
        !theirs
            && self.role.as_ref().is_some_and(|role| {
                role.arn == self.request.deployer.to_string()
                    && (self.request.owner.judge(&role.tags) == Marked::Ours
                        || self.recorded_role.as_ref() == Some(&role.id))
            })
    }

    /// Whether its owner has opened a thing to us, or an object of ours that is no more left it behind.
    pub(crate) fn opened(&self, tags: &Tags) -> bool {
        let hub = Some(self.request.owner.hub.to_string());
        let left_behind = tags.get("mooring.dev/hub") == hub.as_ref()
            && tags
                .get("mooring.dev/uid")
                .is_some_and(|uid| !self.living.contains(uid));
        self.request.adopt && (tags.get(ADOPT_TAG) == hub.as_ref() || left_behind)
    }

    /// What the provisioner's policy asks for before a role is written to.
    fn writable(&self) {
        let role = self.role.as_ref().unwrap();
        assert!(
            self.role_is_ours() || self.opened(&role.tags),
            "a role that is not ours"
        );
        let hub = self.request.owner.hub.to_string();
        let named = self.request.identity.adopted.is_some();
        assert!(
            !named || role.tags.get(ADOPT_TAG) == Some(&hub),
            "a role that nobody opened"
        );
    }

    /// Has the entry be one that was made for another role than the one that stands.
    pub(crate) fn of_another_role(&mut self) {
        let another = "AROAOTHER".to_owned();
        self.entry().tags.insert("mooring.dev/role-id".into(), another.clone());
        if let Some(given) = &mut self.given {
            given.role_id = Some(another);
        }
    }

    /// Whether the provisioner may write to the entry: it bears our mark.
    pub(crate) fn entry_is_ours(&self) -> bool {
        self.entry
            .as_ref()
            .is_some_and(|entry| self.request.owner.judge(&entry.tags) == Marked::Ours)
    }

    /// Whether it is the entry that we made or took over, whatever tags it bears.
    pub(crate) fn entry_is_recorded(&self) -> bool {
        let recorded = self.given.as_ref().and_then(|given| given.arn.as_ref());
        self.entry.as_ref().is_some_and(|entry| recorded == Some(&entry.arn))
    }

    fn bounded(&self) {
        let boundary = self
            .role
            .as_ref()
            .and_then(|role| role.boundary.clone())
            .unwrap_or_default();
        let known = [
            &self.request.boundary,
            &PolicyArn::deny_all(self.request.deployer.partition),
        ];
        assert!(
            known.into_iter().any(|known| known.to_string() == boundary),
            "the provisioner may not do this to a role with boundary {boundary}"
        );
    }

    pub(crate) fn apply(&mut self, step: &Step) {
        match step {
            Step::CreateRole { role } => {
                assert!(self.role.is_none(), "EntityAlreadyExists");
                self.made += 1;
                let id = format!("AROAMADE{}", self.made);
                self.recorded_role = Some(id.clone());
                self.policies = RolePolicies::default();
                self.role = Some(Role {
                    arn: role.arn.to_string(),
                    id,
                    name: role.arn.name.to_string(),
                    trust: role.trust.to_json(),
                    boundary: Some(role.boundary.to_string()),
                    description: Some(role.description.clone()),
                    tags: role.tags.clone(),
                    ..Role::default()
                });
            }
            Step::DeleteRole { .. } => {
                assert!(
                    self.role_is_ours() && self.policies.is_empty(),
                    "deletes what it must not"
                );
                self.bounded();
                let role = self.role.take().unwrap();
                if self.recorded_role == Some(role.id) {
                    self.recorded_role = None;
                }
            }
            Step::SetBoundary { boundary, .. } => {
                self.writable();
                self.role().boundary = Some(boundary.to_string());
            }
            Step::SetTrust { trust, .. } | Step::AddTrust { trust, .. } | Step::LeaveRole { trust, .. } => {
                self.writable();
                self.bounded();
                let trust = trust.to_json();
                assert!(
                    !trust.contains(r#""AROA"#),
                    "MalformedPolicyDocument: Invalid principal in policy: {trust}"
                );
                self.role().trust = trust;
            }
            Step::TagRole { tags, .. } => {
                assert!(self.role_is_ours());
                self.role().tags.extend(tags.clone());
            }
            Step::UpdateRole { description, .. } => {
                self.writable();
                self.bounded();
                let role = self.role();
                role.description = Some(description.clone());
                role.longest_session = None;
            }
            Step::AdoptRole { id, tags, .. } => {
                self.writable();
                assert!(
                    self.policies.is_empty() && self.profiles.is_empty(),
                    "a role that something else uses"
                );
                assert_eq!(*id, self.role().id);
                self.role().tags.extend(tags.clone());
                self.recorded_role = Some(id.clone());
            }
            Step::AdoptAccessEntry { tags, .. } => {
                let entry = self.entry.as_ref().unwrap();
                assert!(
                    self.opened(&entry.tags) && !self.entry_is_ours(),
                    "an entry that nobody opened"
                );
                self.entry().tags.extend(tags.clone());
                let given = self.given.get_or_insert_default();
                given.arn = self.entry.as_ref().map(|entry| entry.arn.clone());
                given.role_id = tags.get("mooring.dev/role-id").cloned();
                given.adopted.get_or_insert(false);
            }
            Step::CreateAccessEntry { entry, role_id } => {
                assert!(self.entry.is_none(), "ResourceInUseException");
                let role = self.role.as_ref().expect("an unknown principal");
                assert!(
                    self.recorded_role.as_ref() == Some(&role.id) || self.request.identity.existing.is_some(),
                    "an entry for a role that we did not make"
                );
                let id = role_id.clone().unwrap_or_else(|| role.id.clone());
                assert_eq!(id, role.id);
                self.pinned = Some(role.id.clone());
                self.associations.clear();
                self.made += 1;
                let arn = format!(
                    "arn:aws:eks:eu-west-1:222222222222:access-entry/prod-eu/role/222222222222/x/{}",
                    self.made
                );
                self.given = Some(AccessEntryStatus {
                    arn: Some(arn.clone()),
                    role_id: Some(id.clone()),
                    adopted: Some(false),
                    ..AccessEntryStatus::default()
                });
                self.entry = Some(AccessEntry {
                    arn,
                    principal: entry.principal.to_string(),
                    kind: "STANDARD".into(),
                    username: Some(generated_username(&entry.principal)),
                    groups: entry.groups.clone(),
                    created: None,
                    tags: entry_tags(&entry.tags, Some(&id)),
                });
            }
            Step::DeleteAccessEntry => {
                assert!(self.entry_is_ours());
                self.entry = None;
                self.associations.clear();
                self.pinned = None;
            }
            Step::SetGroups { groups, .. } => {
                assert!(self.entry_is_ours());
                self.entry().groups.clone_from(groups);
            }
            Step::SetUsername { username, groups, .. } => {
                assert!(self.entry_is_ours());
                self.entry().groups.clone_from(groups);
                self.entry().username = Some(username.clone());
            }
            Step::TagAccessEntry { tags, .. } => {
                assert!(
                    self.entry_is_ours() || self.entry_is_recorded(),
                    "an entry that is not ours"
                );
                self.entry().tags.extend(tags.clone());
            }
            Step::Associate { policy, scope }
            | Step::Rescope { policy, scope, .. }
            | Step::Reassociate { policy, scope, .. } => {
                assert!(self.entry_is_ours());
                let named = self.request.associations.get(policy);
                assert_eq!(named, Some(scope), "a policy or scope that the spec does not name");
                self.associations.insert(policy.clone(), scope.clone());
            }
            Step::Disassociate { policy, .. } => {
                assert!(self.entry_is_ours());
                assert!(self.associations.remove(policy).is_some());
            }
            Step::ApplySecret {
                secret, uid, adopts, ..
            } => {
                if adopts.is_some() {
                    self.take_over(&secret.name);
                }
                let there = self.secrets.get(&secret.name);
                assert_eq!(
                    *uid,
                    there.and_then(|there| there.metadata.uid.clone()),
                    "not the one looked at"
                );
                self.apply_secret(secret);
            }
            Step::NullSecretKeys { name, keys, .. } => {
                let secret = self.our_secret(name);
                assert!(secret.immutable != Some(true), "the API server refuses this");
                for key in keys {
                    secret.data.as_mut().unwrap().remove(key);
                }
            }
            Step::DropLabels { name, labels, .. } => {
                let secret = self.our_secret(name);
                for label in labels {
                    secret.metadata.labels.as_mut().unwrap().remove(label);
                }
            }
            Step::DropOwners { name, .. } => {
                self.our_secret(name).metadata.owner_references = None;
            }
            Step::DeleteSecret { name, .. } => {
                let secret = self.our_secret(name);
                if secret.metadata.finalizers.is_some() {
                    secret.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
                } else {
                    self.secrets.remove(name);
                }
            }
        }
    }

    /// Marks a Secret that its owner has opened to the object, as the apply that follows does.
    fn take_over(&mut self, name: &str) {
        let annotations = self
            .secrets
            .get_mut(name)
            .unwrap()
            .metadata
            .annotations
            .get_or_insert_default();
        assert_eq!(
            annotations.get("mooring.dev/adopt").map(String::as_str),
            Some("prod-eu")
        );
        annotations.insert("mooring.dev/uid".into(), UID.into());
    }

    fn our_secret(&mut self, name: &str) -> &mut Secret {
        assert!(self.secret_is_ours(&self.secrets[name]), "a Secret that is not ours");
        self.secrets.get_mut(name).unwrap()
    }

    /// A server-side apply by our field manager: what we applied before and do not any more goes.
    fn apply_secret(&mut self, wanted: &WantedSecret) {
        if self.secrets.contains_key(&wanted.name) {
            self.our_secret(&wanted.name);
        }
        let data: BTreeMap<String, ByteString> = wanted
            .data
            .iter()
            .map(|(k, v)| (k.clone(), ByteString(v.clone().into_bytes())))
            .collect();
        let mut secret = self.secrets.remove(&wanted.name).unwrap_or_else(|| {
            let mut secret = Secret::default();
            secret.metadata.name = Some(wanted.name.clone());
            secret.metadata.uid = Some(format!("secret-{}", wanted.name));
            secret
        });
        assert!(secret.metadata.deletion_timestamp.is_none(), "a write to what is going");
        let stands = secret.data.clone().unwrap_or_default();
        let before = ours(&secret);
        let keep = |map: &str, key: &str| !before.contains(&(map.to_owned(), key.to_owned()));
        let labels = secret.metadata.labels.get_or_insert_default();
        labels.retain(|key, _| keep("labels", key));
        labels.extend(wanted.labels.clone());
        let annotations = secret.metadata.annotations.get_or_insert_default();
        annotations.retain(|key, _| keep("annotations", key));
        annotations.extend(wanted.annotations.clone());
        let found = secret.data.get_or_insert_default();
        found.retain(|key, _| keep("data", key));
        found.extend(data);
        assert!(
            secret.immutable != Some(true) || *found == stands,
            "the API server refuses this"
        );
        let fields = |map: &BTreeMap<String, String>| -> serde_json::Value {
            map.keys()
                .map(|key| (format!("f:{key}"), json!({})))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        secret.metadata.managed_fields = serde_json::from_value(json!([{
            "manager": "mooring", "operation": "Apply",
            "fieldsV1": {
                "f:data": fields(&wanted.data),
                "f:metadata": {"f:labels": fields(&wanted.labels), "f:annotations": fields(&wanted.annotations)},
            },
        }]))
        .unwrap();
        secret.metadata.resource_version = Some("1".into());
        self.recorded_secret = Some(wanted.name.clone());
        self.recorded_secret_uid.clone_from(&secret.metadata.uid);
        self.recorded_secret_adopted = wanted.annotations.contains_key("mooring.dev/adopted");
        self.secrets.insert(wanted.name.clone(), secret);
    }
}

fn ours(secret: &Secret) -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    for entry in secret.metadata.managed_fields.iter().flatten() {
        let Some(fields) = &entry.fields_v1 else { continue };
        for (map, path) in [
            ("data", "/f:data"),
            ("labels", "/f:metadata/f:labels"),
            ("annotations", "/f:metadata/f:annotations"),
        ] {
            let keys = fields.0.pointer(path).and_then(serde_json::Value::as_object);
            all.extend(
                keys.into_iter()
                    .flatten()
                    .map(|(key, _)| (map.to_owned(), key[2..].to_owned())),
            );
        }
    }
    all
}

/// Objects of which nothing is known but that they are there.
pub(crate) fn living(uids: &[&str]) -> Living {
    let mut living = Living::default();
    for uid in uids {
        living.insert((*uid).to_owned(), Lives::default());
    }
    living
}

/// What an owner writes on an object for it to go with the owner.
pub(crate) fn owned_by(kind: &str, name: &str) -> OwnerReference {
    OwnerReference {
        api_version: "example.com/v1".into(),
        kind: kind.into(),
        name: name.into(),
        uid: format!("uid-{name}"),
        ..OwnerReference::default()
    }
}

/// A cluster Secret of somebody else's.
pub(crate) fn foreign_secret(name: &str, server: &str, cluster: &str) -> Secret {
    serde_json::from_value(json!({
        "metadata": {"name": name, "uid": format!("uid-{name}"), "labels": {"argocd.argoproj.io/secret-type": "cluster"}},
        "stringData": null,
    }))
    .map(|mut secret: Secret| {
        secret.data = Some(
            [("server", server), ("name", cluster), ("config", "{}")]
                .map(|(key, value)| (key.to_owned(), ByteString(value.as_bytes().to_vec())))
                .into(),
        );
        secret
    })
    .unwrap()
}

pub(crate) fn endpoint() -> &'static str {
    ENDPOINT
}

/// Our tags as another object of our hub would write them.
pub(crate) fn others_tags(tags: &Tags) -> Tags {
    let mut tags = tags.clone();
    tags.insert("mooring.dev/uid".into(), "somebody-else".into());
    tags
}

/// A plan in brief: steps by name, and `!` and the reason of what is in the way.
pub(crate) fn brief(plan: &Plan) -> Vec<String> {
    let steps = plan.steps.iter().map(|step| match step {
        Step::Associate { policy, .. }
        | Step::Rescope { policy, .. }
        | Step::Reassociate { policy, .. }
        | Step::Disassociate { policy, .. } => {
            format!("{} {}", step.name(), policy.name())
        }
        _ => step.name().to_owned(),
    });
    let blocked = plan.blocked.iter().map(|blocked| format!("!{}", blocked.reason()));
    steps.chain(blocked).collect()
}
