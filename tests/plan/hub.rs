//! A hub's account and a `ManagementRole`, for tests of its plans.

use std::collections::BTreeSet;

use mooring::{
    api::{ManagedCluster, ManagementRole},
    aws::{OidcProvider, Role, RolePolicies},
    domain::eks::{AuthenticationMode, Cluster, ClusterState},
    management_role::{
        Plan, Step,
        members::{Member, Members},
        observe::Observed,
        plan::{self, Left, Memory},
        request::Request,
        step::POLICY_NAME,
    },
};
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE";

pub(crate) fn object(change: &Value) -> ManagementRole {
    let mut spec = json!({
        "cluster": {"name": "hub", "region": "eu-west-1"},
        "allow": [{"accounts": ["*"], "accessPolicies": [{"name": "AmazonEKSClusterAdminPolicy", "scope": "Cluster"}]}],
    });
    for (key, value) in change.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    serde_json::from_value(json!({
        "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagementRole",
        "metadata": {"name": "default", "uid": "management-uid", "generation": 1},
        "spec": spec,
    }))
    .unwrap()
}

pub(crate) fn request(change: &Value) -> Request {
    Request::parse(&object(change), &"111111111111".parse().unwrap()).unwrap()
}

/// A `ManagedCluster` of one account, with what its status and metadata should say besides.
pub(crate) fn cluster(account: &str, name: &str, change: &Value) -> ManagedCluster {
    let mut object = json!({
        "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagedCluster",
        "metadata": {"name": name, "uid": format!("uid-{name}")},
        "spec": {"accountId": account, "region": "eu-west-1", "access": {"policies": [{"name": "AmazonEKSClusterAdminPolicy"}]}},
    });
    for (path, value) in change.as_object().into_iter().flatten() {
        let (parent, key) = path.rsplit_once('/').unwrap();
        if object.pointer(parent).is_none() {
            object[&parent[1..]] = json!({});
        }
        object.pointer_mut(parent).unwrap()[key] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

/// The hub's account.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) request: Request,
    pub(crate) observed: Observed,
    pub(crate) clusters: Vec<ManagedCluster>,
    pub(crate) unreadable: bool,
    pub(crate) retained: BTreeSet<String>,
    /// Cluster Secrets whose role is the management role; `None`: nobody looked.
    pub(crate) acting: Option<BTreeSet<String>>,
    pub(crate) recorded: Option<String>,
    pub(crate) recorded_issuer: Option<String>,
    pub(crate) recorded_ways: BTreeSet<String>,
    pub(crate) deleted: Option<String>,
    pub(crate) confirmed: Option<String>,
    made: u32,
}

impl World {
    pub(crate) fn new(change: &Value, clusters: Vec<ManagedCluster>) -> Self {
        Self {
            request: request(change),
            observed: Observed {
                cluster: Some(Cluster {
                    arn: "arn:aws:eks:eu-west-1:111111111111:cluster/hub".into(),
                    state: ClusterState::Active,
                    endpoint: None,
                    certificate_authority: None,
                    version: None,
                    issuer: Some(ISSUER.into()),
                    authentication_mode: AuthenticationMode::Api,
                    public_endpoint: true,
                    connected: false,
                    outpost_id: None,
                }),
                issuer_here: ISSUER.into(),
                ..Observed::default()
            },
            clusters,
            unreadable: false,
            retained: BTreeSet::new(),
            acting: Some(BTreeSet::new()),
            recorded: None,
            recorded_issuer: None,
            recorded_ways: BTreeSet::new(),
            deleted: None,
            confirmed: None,
            made: 0,
        }
    }

    /// The same once everything is made.
    pub(crate) fn kept(change: &Value, clusters: Vec<ManagedCluster>) -> Self {
        let mut world = Self::new(change, clusters);
        world.pass();
        world.pass();
        assert!(world.plan().is_clean(), "{:?}", world.plan());
        world
    }

    pub(crate) fn role(&mut self) -> &mut Role {
        self.observed.role.as_mut().unwrap()
    }

    pub(crate) fn members(&self) -> Members {
        let mut members: Vec<Member<'_>> = self.clusters.iter().map(Member::Known).collect();
        if self.unreadable {
            members.push(Member::Unreadable);
        }
        Members {
            acting: self.acting.clone(),
            ..Members::gather(
                &self.request,
                &members,
                &self.observed.assumable(&self.request.hub, &BTreeSet::new()),
                &self.retained,
            )
        }
    }

    pub(crate) fn memory(&self) -> Memory<'_> {
        Memory {
            recorded_role: self.recorded.as_deref(),
            recorded_issuer: self.recorded_issuer.as_deref(),
            recorded_ways: self.recorded_ways.clone(),
            confirmed: self.confirmed.as_deref(),
            deleted: self.deleted.as_deref(),
        }
    }

    pub(crate) fn plan(&self) -> Plan {
        let memory = self.memory();
        plan::plan(&self.request, &self.observed, &self.members(), &memory)
    }

    pub(crate) fn plan_removal(&self) -> Plan {
        let left = Left {
            role: self.recorded.as_deref(),
            issuer: self.recorded_issuer.as_deref(),
            kept: !self.retained.is_empty(),
        };
        plan::plan_removal(&self.request, &self.observed, &left)
    }

    pub(crate) fn pass(&mut self) -> Plan {
        let (plan, retained) = (self.plan(), self.members().retained);
        for step in &plan.steps {
            self.apply(step);
        }
        self.retained = retained;
        plan
    }

    pub(crate) fn apply(&mut self, step: &Step) {
        match step {
            Step::CreateOidcProvider { .. } => {
                assert!(self.observed.provider.is_none());
                self.observed.provider = Some(OidcProvider {
                    client_ids: ["sts.amazonaws.com".to_owned()].into(),
                });
            }
            Step::AddAudience { audience, .. } => {
                self.observed
                    .provider
                    .as_mut()
                    .unwrap()
                    .client_ids
                    .insert(audience.clone());
            }
            Step::CreateRole { role } => {
                assert!(self.observed.role.is_none() && self.observed.provider.is_some());
                self.made += 1;
                let id = format!("AROAMADE{}", self.made);
                self.recorded = Some(id.clone());
                self.observed.role = Some(Role {
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
                self.bounded();
                assert!(self.observed.policies.is_empty(), "DeleteConflict");
                self.observed.role = None;
                self.recorded = None;
            }
            Step::SetBoundary { boundary, .. } => self.role().boundary = Some(boundary.to_string()),
            Step::SetTrust { trust, .. } => self.role().trust = trust.to_json(),
            Step::TagRole { tags, .. } => self.role().tags.extend(tags.clone()),
            Step::UpdateRole { description, .. } => {
                self.bounded();
                let role = self.role();
                role.description = Some(description.clone());
                role.longest_session = None;
            }
            Step::PutPolicy { document, .. } => {
                self.bounded();
                assert!(document.quota_length() <= 10_240, "LimitExceeded");
                self.observed.policies.inline.insert(POLICY_NAME.into());
                self.observed.policy = Some(document.to_json());
            }
            Step::DeletePolicy { .. } => {
                self.bounded();
                self.observed.policies.inline.remove(POLICY_NAME);
                self.observed.policy = None;
            }
        }
    }

    fn bounded(&self) {
        let boundary = self.observed.role.as_ref().and_then(|role| role.boundary.clone());
        assert_eq!(
            boundary,
            Some(self.request.boundary.to_string()),
            "the provisioner may not do this"
        );
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new(&json!({}), Vec::new())
    }
}

/// Empty policies, as AWS gives them for a role that carries none.
pub(crate) fn attached(arn: &str) -> RolePolicies {
    RolePolicies {
        attached: [arn.to_owned()].into(),
        ..RolePolicies::default()
    }
}

pub(crate) fn brief(plan: &Plan) -> Vec<String> {
    let steps = plan.steps.iter().map(|step| step.name().to_owned());
    steps
        .chain(plan.blocked.iter().map(|blocked| format!("!{}", blocked.reason())))
        .collect()
}
