//! The documents that Mooring issues. Nothing that a person writes can put a wildcard in one: ARNs are parsed, and
//! the only patterns are ours, at the end of a path of ours.

use crate::domain::{
    arn::{ClusterArn, OidcProviderArn, RoleArn},
    glob::glob,
    hub::Hub,
    name::{AccountId, KubernetesName},
};

use super::document::{Document, Effect, Principals, Statement};

/// The two actions of every hop: Pod Identity's session tags are transitive, so whoever may assume must also be let
/// tag (EKS user guide, "Grant Pods access to AWS resources based on tags").
const ASSUME: [&str; 2] = ["sts:AssumeRole", "sts:TagSession"];

/// The audience of tokens for AWS, in every partition (EKS user guide, "IAM roles for service accounts").
pub const AUDIENCE: &str = "sts.amazonaws.com";

/// The `Sid` of our statement in the trust policy of a deployer role.
pub const MANAGEMENT_ROLE: &str = "ManagementRole";

/// The `Sid` of the statements by which the management role may assume itself.
pub const ITSELF: &str = "Itself";

/// An external ID, where a hop asks for one.
pub type ExternalId = Option<String>;

/// Actions and what they may act on, in a session policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionGrant {
    /// The statement's `Sid`.
    pub sid: &'static str,
    /// Actions, `iam:*` for all of a service: the session policy narrows what the role's own policy gives.
    pub actions: Vec<&'static str>,
    /// ARNs.
    pub resources: Vec<String>,
}

fn root(of: &RoleArn) -> Principals {
    account_root(of.partition.name(), &of.account)
}

fn account_root(partition: &str, account: &AccountId) -> Principals {
    Principals::of("AWS", [format!("arn:{partition}:iam::{account}:root")])
}

/// The trust policy of a deployer role: the hub account's root, and of it only the management role.
///
/// Naming the root and pinning `aws:PrincipalArn` is as tight as naming the role while the role exists, survives its
/// re-creation and never meets "Invalid principal in policy" (IAM user guide, "AWS JSON policy elements: Principal").
#[must_use]
pub fn deployer_trust(management_role: &RoleArn) -> Document {
    Document::new(vec![
        Statement::allow(MANAGEMENT_ROLE, ASSUME)
            .to(root(management_role))
            .when("ArnEquals", "aws:PrincipalArn", [management_role]),
    ])
}

/// The statement of a role's trust policy by which it may assume itself. A role does not trust itself by being itself
/// (IAM user guide, "Methods to assume a role"; announced for 2022-09-21).
#[must_use]
pub fn trusts_itself(role: &RoleArn) -> Statement {
    Statement::allow(ITSELF, ASSUME)
        .to(root(role))
        .when("ArnEquals", "aws:PrincipalArn", [role])
}

/// The trust policy of a provisioner role: the operator's role, with the external ID where one is set.
#[must_use]
pub fn provisioner_trust(operator_role: &RoleArn, external_id: &ExternalId) -> Document {
    let statement = Statement::allow("Operator", ASSUME).to(root(operator_role)).when(
        "ArnEquals",
        "aws:PrincipalArn",
        [operator_role],
    );
    let Some(id) = external_id else {
        return Document::new(vec![statement]);
    };
    // TagSession is decided in the same call, and its context has the external ID as well.
    Document::new(vec![statement.when("StringEquals", "sts:ExternalId", [id])])
}

/// The trust policy of a reader role: these roles, with the external ID where one is set.
#[must_use]
pub fn reader_trust(readers: &[RoleArn], external_id: &ExternalId) -> Document {
    let mut by_account: std::collections::BTreeMap<&str, Vec<&RoleArn>> = std::collections::BTreeMap::new();
    for reader in readers {
        by_account.entry(reader.account.as_str()).or_default().push(reader);
    }
    let statements = by_account.into_iter().filter_map(|(account, readers)| {
        let statement = Statement::allow(&format!("Readers{account}"), ASSUME)
            .to(root(readers.first()?))
            .when("ArnEquals", "aws:PrincipalArn", readers.iter().copied());
        Some(match external_id {
            Some(id) => statement.when("StringEquals", "sts:ExternalId", [id]),
            None => statement,
        })
    });
    Document::new(statements.collect())
}

/// The trust policy of the management role for IRSA: exactly these service accounts, exactly this audience.
#[must_use]
pub fn irsa_trust(
    provider: &OidcProviderArn,
    namespace: &KubernetesName,
    service_accounts: &[KubernetesName],
) -> Document {
    let issuer = &provider.issuer_host_and_path;
    let subjects = service_accounts
        .iter()
        .map(|name| format!("system:serviceaccount:{namespace}:{name}"));
    Document::new(vec![
        Statement::allow("ArgoCD", ["sts:AssumeRoleWithWebIdentity"])
            .to(Principals::of("Federated", [provider]))
            .when("StringEquals", &format!("{issuer}:aud"), [AUDIENCE])
            .when("StringEquals", &format!("{issuer}:sub"), subjects),
    ])
}

/// The trust policy of the operator's own role: its service account through EKS Pod Identity, pinned to the hub and
/// the service account, and through the issuer where that is known.
#[must_use]
pub fn operator_trust(
    hub: &Hub,
    provider: Option<&OidcProviderArn>,
    namespace: &KubernetesName,
    service_account: &KubernetesName,
) -> Document {
    let ClusterArn { account, .. } = &hub.cluster;
    let pod_identity = Statement::allow("PodIdentity", ASSUME)
        .to(Principals::of("Service", ["pods.eks.amazonaws.com"]))
        .when("StringEquals", "aws:SourceAccount", [account])
        .when("StringEquals", "aws:RequestTag/eks-cluster-arn", [&hub.cluster])
        .when("StringEquals", "aws:RequestTag/kubernetes-namespace", [namespace])
        .when(
            "StringEquals",
            "aws:RequestTag/kubernetes-service-account",
            [service_account],
        );
    let irsa = provider.map(|provider| irsa_trust(provider, namespace, std::slice::from_ref(service_account)));
    let mut statements = vec![pod_identity];
    for mut statement in irsa.into_iter().flat_map(|document| document.statements) {
        statement.sid = Some("Irsa".to_owned());
        statements.push(statement);
    }
    Document::new(statements)
}

/// The management role's permission policy: to assume these roles, `itself` where that is given, and nothing else.
/// `None` when there is no role to assume, since IAM takes no policy without statements.
#[must_use]
pub fn assume_deployers(resources: &std::collections::BTreeSet<String>, itself: Option<&RoleArn>) -> Option<Document> {
    let deployers = (!resources.is_empty()).then(|| Statement::allow("Deployers", ASSUME).on(resources));
    let itself = itself.map(|role| Statement::allow(ITSELF, ASSUME).on([role]));
    let statements: Vec<Statement> = deployers.into_iter().chain(itself).collect();
    (!statements.is_empty()).then(|| Document::new(statements))
}

/// Whether a policy that was found surely lets its role assume all that a resource of ours names, so that to write that
/// anew gives nothing.
#[must_use]
pub fn gives(found: &Document, resource: &str) -> bool {
    let all_of = |statement: &Statement| {
        let acts = |action: &str| {
            let mut patterns = statement.action.iter().map(|pattern| pattern.to_ascii_lowercase());
            patterns.any(|pattern| glob(&pattern, action))
        };
        let on = [resource, "*"].iter().any(|on| statement.resource.contains(*on));
        on && statement.condition.is_empty() && ASSUME.iter().all(|action| acts(&action.to_ascii_lowercase()))
    };
    let mut allowing = found.statements.iter();
    // What denies may speak of just this.
    let denies = allowing.clone().any(|statement| statement.effect == Effect::Deny);
    !denies && allowing.any(all_of)
}

/// A session policy: at most 2,048 characters (STS `AssumeRole`, `Policy`).
#[must_use]
pub fn session(grants: &[ActionGrant]) -> Document {
    Document::new(
        grants
            .iter()
            .map(|grant| Statement::allow(grant.sid, &grant.actions).on(&grant.resources))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn management_role() -> RoleArn {
        "arn:aws-cn:iam::111111111111:role/mooring/111111111111-cn-north-1-hub/management-default-00000000"
            .parse()
            .unwrap()
    }

    #[test]
    fn deployers_trust_the_management_role_and_no_one_else() {
        // DESIGN: hub account root, ArnEquals aws:PrincipalArn, AssumeRole and TagSession.
        let expected = r#"{"Version":"2012-10-17","Statement":[{"Sid":"ManagementRole","Effect":"Allow","Principal":{"AWS":"arn:aws-cn:iam::111111111111:root"},"Action":["sts:AssumeRole","sts:TagSession"],"Condition":{"ArnEquals":{"aws:PrincipalArn":"arn:aws-cn:iam::111111111111:role/mooring/111111111111-cn-north-1-hub/management-default-00000000"}}}]}"#;
        assert_eq!(deployer_trust(&management_role()).to_json(), expected);
        assert!(expected.len() < 2048);
    }

    #[test]
    fn a_policy_surely_gives_what_it_names_without_more_ado() {
        let way = "arn:aws:iam::222222222222:role/mooring/x/*";
        let ours = assume_deployers(&[way.to_owned()].into(), None).unwrap();
        let changed = |change: &dyn Fn(&mut Statement)| {
            let mut document = ours.clone();
            change(&mut document.statements[0]);
            gives(&document, way)
        };
        assert!(changed(&|_| {}));
        assert!(changed(&|one| one.resource = ["*".to_owned()].into()));
        assert!(changed(&|one| one.action = ["STS:*".to_owned()].into()));
        assert!(!changed(
            &|one| one.resource = ["arn:aws:iam::333333333333:role/mooring/x/*".to_owned()].into()
        ));
        assert!(!changed(&|one| one.action = ["sts:AssumeRole".to_owned()].into()));
        assert!(!changed(&|one| one.effect = Effect::Deny));
        assert!(!changed(
            &|one| *one = one.clone().when("Bool", "aws:SecureTransport", ["true"])
        ));
        let mut denied = ours.clone();
        let deny = Statement {
            effect: Effect::Deny,
            ..Statement::allow("Not", ["s3:*"]).on(["*"])
        };
        denied.statements.push(deny);
        assert!(!gives(&denied, way));
    }

    #[test]
    fn irsa_trust_pins_each_subject_and_the_audience() {
        let provider = OidcProviderArn {
            partition: crate::domain::name::Partition::Aws,
            account: "111111111111".parse().unwrap(),
            issuer_host_and_path: "oidc.eks.eu-west-1.amazonaws.com/id/ABC".into(),
        };
        let accounts = ["argocd-application-controller", "argocd-server"].map(|name| name.parse().unwrap());
        // The form of the EKS user guide, "Assign IAM roles to Kubernetes service accounts".
        let expected = r#"{"Version":"2012-10-17","Statement":[{"Sid":"ArgoCD","Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111111111111:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/ABC"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"oidc.eks.eu-west-1.amazonaws.com/id/ABC:aud":"sts.amazonaws.com","oidc.eks.eu-west-1.amazonaws.com/id/ABC:sub":["system:serviceaccount:argocd:argocd-application-controller","system:serviceaccount:argocd:argocd-server"]}}}]}"#;
        assert_eq!(
            irsa_trust(&provider, &"argocd".parse().unwrap(), &accounts).to_json(),
            expected
        );
    }

    #[test]
    fn nothing_to_assume_is_no_policy() {
        assert_eq!(assume_deployers(&std::collections::BTreeSet::new(), None), None);
    }
}
