//! What is to be walked: one `ManagedCluster` with its `ManagementRole`, as far as both have come. Pure.

use crate::{
    api::{
        IdentityType, ManagedCluster, ManagementRole, Mode,
        condition::{ConditionType, Verdict, find},
    },
    argocd::Presentation,
    aws::ReadBy,
    domain::{
        arn::{ClusterArn, RoleArn},
        commands::OPERATOR_PODS,
        eks::is_cluster_id,
        hub::Hub,
        name::InvalidName,
    },
    managed_cluster::{
        management::{Management, NoManagement},
        request::{Identity, Request},
    },
};

use super::{chain::Trouble, destination::Destination, mending::Mending, reason::Reason};

/// What the operator itself says does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The condition's type.
    pub condition: String,
    /// Its reason and message.
    pub says: String,
}

/// The hub's part of a chain, the same for all clusters of a `ManagementRole`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubSubject {
    /// The hub and the object.
    pub hub: Hub,
    /// Argo CD's namespace.
    pub namespace: String,
    /// The `ServiceAccount`s.
    pub service_accounts: Vec<String>,
    /// How they come to the role.
    pub identity: IdentityType,
    /// Whether Mooring binds them to the role (`bindServiceAccounts`).
    pub binds: bool,
    /// The management role.
    pub role: RoleArn,
    /// The hub's OIDC issuer, as AWS described it.
    pub issuer: Option<String>,
    /// Whether Mooring mends the role.
    pub mending: Mending,
    /// By which role documents are read.
    pub read_by: ReadBy,
    /// The resource version of the `ManagementRole`: whatever changes at it, its status too, is worth a new look.
    pub version: Option<String>,
}

/// One chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The object's name.
    pub name: String,
    /// The object's UID.
    pub uid: String,
    /// The object's generation.
    pub generation: Option<i64>,
    /// The hub's part.
    pub hub: HubSubject,
    /// The EKS cluster.
    pub cluster: ClusterArn,
    /// The deployer role.
    pub deployer: RoleArn,
    /// The unique ID of the deployer role that was recorded when it was made.
    pub deployer_id: Option<String>,
    /// The API server, as AWS described it.
    pub destination: Destination,
    /// The name of the cluster Secret.
    pub secret: String,
    /// What the spec has the cluster Secret say beside that; `None` while the operator has not seen this spec, or refuses
    /// it.
    pub presentation: Option<Presentation>,
    /// The access policies by name, and the namespaces that each is held to.
    pub policies: Vec<(String, Vec<String>)>,
    /// Whether access is taken away on purpose.
    pub suspended: bool,
    /// What the operator says does not hold.
    pub told: Vec<Told>,
    /// Whether Mooring mends what it made for the cluster.
    pub mending: Mending,
}

impl HubSubject {
    /// Reads a `ManagementRole`.
    ///
    /// # Errors
    /// When it has not come far enough to be walked.
    pub fn read(object: &ManagementRole) -> Result<Self, Trouble> {
        Self::of(object, management(object)?)
    }

    fn of(object: &ManagementRole, management: Management) -> Result<Self, Trouble> {
        let reader = &object.spec.provisioner.reader_role_name;
        let role = reader
            .parse()
            .map_err(|error: InvalidName| not_moored(error.to_string(), "write the name of an IAM role there"))?;
        Ok(Self {
            read_by: ReadBy {
                region: management.hub.cluster.region.clone(),
                role,
                external_id: management.external_id,
            },
            hub: management.hub,
            namespace: management.namespace,
            service_accounts: object.spec.service_accounts.clone(),
            identity: object.spec.identity.kind,
            binds: object.spec.bind_service_accounts,
            role: management.role,
            mending: Mending::of_role(object),
            version: object.metadata.resource_version.clone(),
            issuer: object
                .status
                .as_ref()
                .and_then(|status| status.hub.as_ref()?.issuer.clone()),
        })
    }

    /// A `ServiceAccount` as tokens name it.
    #[must_use]
    pub fn token_subject(&self, service_account: &str) -> String {
        format!("system:serviceaccount:{}:{service_account}", self.namespace)
    }
}

impl Subject {
    /// The trouble of an object that is there and cannot be read, by its kind and name: it is never told as missing.
    #[must_use]
    pub fn unreadable(kind: &str, name: &str, error: &str) -> Trouble {
        not_moored(
            format!("{kind} {name} cannot be read: {error}"),
            &format!(
                "correct that in it: `kubectl describe {} {name}` names the field; where a newer release of mooring brought it, run that one",
                if kind == "ManagementRole" { "mgr" } else { "mgc" }
            ),
        )
    }

    /// Reads a `ManagedCluster` and the `ManagementRole` that it names.
    ///
    /// # Errors
    /// When they have not come far enough to be walked: the trouble says for what to wait.
    pub fn read(cluster: &ManagedCluster, role: Option<&ManagementRole>) -> Result<Self, Trouble> {
        let name = cluster.metadata.name.clone().unwrap_or_default();
        let look = format!("look at `kubectl describe mgc {name}`");
        let management_role = &cluster.spec.management_role;
        let role = role.ok_or_else(|| {
            let next = "create it, or delete this ManagedCluster and make it again under another one";
            not_moored(format!("there is no ManagementRole {management_role}"), next)
        })?;
        let management = management(role)?;
        let presentation = presentation(cluster, &management);
        let hub = HubSubject::of(role, management)?;
        let identity = Identity::of(cluster).map_err(|error| not_moored(error.to_string(), &look))?;
        let status = cluster.status.clone().unwrap_or_default();
        let says = operator_says(cluster);
        let waits = |what: &str| not_moored(format!("the operator has not {what} yet; {says}"), &look);
        let going = cluster.metadata.deletion_timestamp.is_some();
        let secret = status.secret.clone().ok_or_else(|| {
            if going {
                let gone = "the object is being removed, and its cluster Secret is gone or was never written: Argo CD comes to the cluster by it no more";
                return not_moored(gone.to_owned(), &look);
            }
            waits("written the cluster Secret")
        })?;
        let described = status.cluster.unwrap_or_default();
        let (Some(server), Some(certificate_authority)) = (described.endpoint, described.certificate_authority_sha256)
        else {
            return Err(waits("recorded the cluster's endpoint and certificate authority"));
        };
        let deployer = match &status.deployer_role {
            Some(recorded) => recorded
                .arn
                .parse()
                .map_err(|_| waits("recorded the deployer role's ARN"))?,
            None => identity.deployer(&hub.hub),
        };
        let told = |condition: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
            let ours = condition.type_ != ConditionType::Connected.as_str();
            (ours && condition.status == Verdict::False.as_str()).then(|| Told {
                condition: condition.type_.clone(),
                says: format!("{}: {}", condition.reason, condition.message),
            })
        };
        Ok(Self {
            name,
            uid: identity.uid,
            generation: cluster.metadata.generation,
            hub,
            cluster: identity.cluster,
            deployer,
            deployer_id: status.deployer_role.map(|role| role.id).filter(|id| !id.is_empty()),
            destination: Destination {
                server: server.trim_end_matches('/').to_owned(),
                certificate_authority,
            },
            secret,
            presentation,
            policies: cluster
                .spec
                .access
                .policies
                .iter()
                .map(|policy| (policy.name.clone(), policy.namespaces.clone()))
                .collect(),
            suspended: cluster.spec.mode == Mode::Suspended,
            told: status.conditions.iter().filter_map(told).collect(),
            mending: Mending::of_cluster(cluster),
        })
    }

    /// The name that an EKS token is minted for, given the one in the cluster Secret: the cluster's, and for a local
    /// cluster on Outposts its ID, which is a UUID (EKS user guide, "Create an Amazon EKS cluster on AWS Outposts").
    #[must_use]
    pub fn token_name<'a>(&'a self, in_secret: &'a str) -> &'a str {
        if is_cluster_id(in_secret) {
            in_secret
        } else {
            self.cluster.name.as_str()
        }
    }

    /// What there is to say of an object that is being removed.
    #[must_use]
    pub fn going(name: &str) -> Trouble {
        not_moored(
            "the object is being removed, and its chain is not walked any more".to_owned(),
            &format!(
                "`mooring doctor {name}` walks it once; kubectl describe mgc {name} says what the removal waits for"
            ),
        )
    }

    /// What the operator says of one part, where that part does not hold.
    #[must_use]
    pub fn told(&self, condition: ConditionType) -> Option<&str> {
        let about = |told: &&Told| told.condition == condition.as_str();
        self.told.iter().find(about).map(|told| told.says.as_str())
    }
}

fn not_moored(message: String, next: &str) -> Trouble {
    Trouble::new(Reason::NotMoored, message, next)
}

/// What the operator itself says of an object that is not moored: the real reason.
fn operator_says(cluster: &ManagedCluster) -> String {
    if cluster.metadata.deletion_timestamp.is_some() {
        return "the object is being removed".to_owned();
    }
    let conditions = cluster.status.as_ref().map(|status| status.conditions.as_slice());
    find(conditions.unwrap_or_default(), ConditionType::Ready).map_or_else(
        || format!("it has not looked at the object at all: does it run? (`{OPERATOR_PODS}`)"),
        |ready| format!("it says {}: {}", ready.reason, ready.message),
    )
}

/// What the `ManagementRole` gives its clusters to go by.
fn management(object: &ManagementRole) -> Result<Management, Trouble> {
    Management::read(object).map_err(|none| {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let why = match none {
            NoManagement::Missing(name) => format!("there is no ManagementRole {name}"),
            NoManagement::Unreadable(why) | NoManagement::NotReady { why, .. } => why,
        };
        not_moored(why, &format!("look at `kubectl describe mgr {name}`"))
    })
}

fn presentation(cluster: &ManagedCluster, management: &Management) -> Option<Presentation> {
    let seen = cluster.status.as_ref().and_then(|status| status.observed_generation);
    if seen != cluster.metadata.generation {
        return None;
    }
    let request = Request::parse(cluster, management).ok()?;
    Some(request.presentation)
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;
    use crate::argocd::fingerprint;

    /// The certificate authority of the cluster.
    pub(crate) const AUTHORITY: &[u8] = b"-----BEGIN CERTIFICATE-----";

    pub(crate) const ISSUER: &str = "https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF";

    pub(crate) fn role() -> ManagementRole {
        serde_json::from_value(json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagementRole", "metadata": {"name": "default", "uid": "r"},
            "spec": {
                "cluster": {"name": "hub", "region": "eu-west-1"},
                "serviceAccounts": ["argocd-application-controller", "argocd-server"],
                "allow": [{"accounts": ["222222222222"]}],
            },
            "status": {
                "hub": {"accountId": "111111111111", "region": "eu-west-1", "name": "hub", "arn": "arn:aws:eks:eu-west-1:111111111111:cluster/hub", "issuer": ISSUER},
                "role": {"arn": "arn:aws:iam::111111111111:role/mooring/111111111111-eu-west-1-hub/management-default-b949815e", "id": "AROAMANAGEMENT"},
            },
        }))
        .unwrap()
    }

    pub(crate) fn cluster() -> ManagedCluster {
        serde_json::from_value(json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagedCluster",
            "metadata": {"name": "prod", "uid": "c", "generation": 3},
            "spec": {
                "accountId": "222222222222", "region": "eu-central-1",
                "access": {"policies": [{"name": "AmazonEKSClusterAdminPolicy"}]},
            },
            "status": {
                "conditions": [],
                "cluster": {"accountId": "222222222222", "region": "eu-central-1", "name": "prod", "arn": "arn:aws:eks:eu-central-1:222222222222:cluster/prod", "endpoint": "https://0123.gr7.eu-central-1.eks.amazonaws.com", "certificateAuthoritySha256": fingerprint(AUTHORITY)},
                "deployerRole": {"arn": "arn:aws:iam::222222222222:role/mooring/111111111111-eu-west-1-hub/default/prod-1234abcd", "id": "AROADEPLOYER"},
                "secret": "cluster-0123",
            },
        }))
        .unwrap()
    }

    pub(crate) fn subject() -> Subject {
        Subject::read(&cluster(), Some(&role())).unwrap()
    }

    #[test]
    fn a_moored_cluster_can_be_walked() {
        let subject = subject();
        assert_eq!(
            subject.hub.token_subject("argocd-server"),
            "system:serviceaccount:argocd:argocd-server"
        );
        assert_eq!(subject.deployer_id.as_deref(), Some("AROADEPLOYER"));
        assert_eq!(subject.secret, "cluster-0123");
        assert_eq!(subject.told, []);
    }

    #[test]
    fn only_a_local_cluster_on_outposts_has_tokens_for_another_name() {
        let id = "a1b2c3d4-5678-90ab-cdef-111122223333";
        assert_eq!(subject().token_name(id), id);
        for other in ["prod", "staging", "", "a1b2c3d4-5678-90ab-cdef-11112222333x"] {
            assert_eq!(subject().token_name(other), "prod");
        }
    }

    #[test]
    fn what_is_not_made_yet_says_what_it_waits_for() {
        assert!(
            Subject::read(&cluster(), None)
                .unwrap_err()
                .message
                .contains("no ManagementRole default")
        );
        let mut unready = role();
        unready.status = None;
        let trouble = Subject::read(&cluster(), Some(&unready)).unwrap_err();
        assert_eq!(trouble.reason, Reason::NotMoored);
        assert!(
            trouble.message.contains("has not been looked at yet"),
            "{}",
            trouble.message
        );
        let mut unwritten = cluster();
        unwritten.status.as_mut().unwrap().secret = None;
        let trouble = Subject::read(&unwritten, Some(&role())).unwrap_err();
        assert!(trouble.message.contains("cluster Secret") && trouble.next.contains("describe mgc prod"));
        assert!(trouble.message.contains("does it run?"), "{}", trouble.message);
        let mut unrecorded = cluster();
        unrecorded
            .status
            .as_mut()
            .unwrap()
            .cluster
            .as_mut()
            .unwrap()
            .certificate_authority_sha256 = None;
        let trouble = Subject::read(&unrecorded, Some(&role())).unwrap_err();
        assert!(trouble.message.contains("certificate authority"), "{}", trouble.message);
    }

    #[test]
    fn what_is_not_moored_has_the_operators_own_reason() {
        let mut refused = cluster();
        let ready = json!({"type": "Ready", "status": "False", "reason": "NotAllowed", "message": "spec.allow has no account 222222222222", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let status = refused.status.as_mut().unwrap();
        (status.secret, status.conditions) = (None, vec![serde_json::from_value(ready).unwrap()]);
        let trouble = Subject::read(&refused, Some(&role())).unwrap_err();
        assert_eq!(
            trouble.message,
            "the operator has not written the cluster Secret yet; it says NotAllowed: spec.allow has no account \
             222222222222"
        );
    }

    #[test]
    fn what_the_operator_says_is_kept_for_the_hint_and_our_own_word_is_not() {
        let mut object = cluster();
        let condition = |kind: &str| {
            serde_json::from_value(json!({"type": kind, "status": "False", "reason": "EntryNotOurs", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"})).unwrap()
        };
        object.status.as_mut().unwrap().conditions = vec![condition("AccessEntryReady"), condition("Connected")];
        let subject = Subject::read(&object, Some(&role())).unwrap();
        assert_eq!(subject.told(ConditionType::AccessEntryReady), Some("EntryNotOurs: m"));
        assert_eq!(subject.told.len(), 1);
    }
}
