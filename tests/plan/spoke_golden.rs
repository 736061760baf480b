//! Each drift, each obstacle and each removal of one cluster: in brief here, in full in the golden files.

use k8s_openapi::{ByteString, apimachinery::pkg::apis::meta::v1::Time};
use mooring::{
    domain::eks::{AccessPolicyArn, AccessScope, AuthenticationMode, ClusterState},
    managed_cluster::{
        living::Lives,
        observe::Spoke,
        removal::{TakenOver, plan_removal},
        unmoved::Unmoved,
    },
};

use crate::{
    golden,
    world::{ADMIN, World, brief, endpoint, foreign_secret, others_tags, owned_by},
};

const BOUNDED: &str = r#"
accountId: "222222222222"
region: eu-west-1
access:
  policies: [{name: AmazonEKSClusterAdminPolicy}]
  deployerRole: {permissionsBoundary: "arn:aws:iam::222222222222:policy/team/limit"}
"#;
const SCOPED: &str = r#"
accountId: "222222222222"
region: eu-west-1
access:
  policies: [{name: AmazonEKSEditPolicy, namespaces: [a, b]}, {name: AmazonEKSViewPolicy}]
  kubernetesGroups: [team-a]
  deployerRole: {tags: {cost: "7"}}
argocd: {name: prod, project: team, namespaces: [a, b], clusterResources: true, shard: 2, labels: {env: prod}, annotations: {note: x}}
"#;

fn policy(name: &str) -> AccessPolicyArn {
    AccessPolicyArn::from_aws(&format!("arn:aws:eks::aws:cluster-access-policy/{name}"))
}

fn namespaces(names: &[&str]) -> AccessScope {
    AccessScope::Namespaces(names.iter().map(|name| (*name).to_owned()).collect())
}

/// A scope that was given once and still shows as it was, beside an access policy that the spec does not give.
fn scope_that_does_not_show(w: &mut World) -> Unmoved {
    let edit = policy("AmazonEKSEditPolicy");
    let wanted = w.request.associations[&edit].clone();
    let found = AccessScope::Cluster;
    w.associations.insert(edit.clone(), found.clone());
    w.associations
        .insert(policy("AmazonEKSAdminPolicy"), AccessScope::Cluster);
    Unmoved::new(edit, found, wanted)
}

fn now() -> Time {
    Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH)
}

fn bytes(text: &str) -> ByteString {
    ByteString(text.as_bytes().to_vec())
}

type Case = (&'static str, &'static str, fn(&mut World), &'static [&'static str]);

/// What is made from nothing, in the order of the chain: role, entry, policies, and the Secret last.
const CREATE: &[&str] = &[
    "CreateRole",
    "CreateAccessEntry",
    "Associate AmazonEKSClusterAdminPolicy",
    "ApplySecret",
];
const ANEW: &[&str] = &[
    "DeleteAccessEntry",
    "CreateRole",
    "CreateAccessEntry",
    "Associate AmazonEKSClusterAdminPolicy",
    "ApplySecret",
];

#[test]
fn from_nothing() {
    for (name, spec, wanted) in [
        ("create", ADMIN, CREATE),
        ("create-bounded", BOUNDED, CREATE),
        (
            "create-scoped",
            SCOPED,
            &[
                "CreateRole",
                "CreateAccessEntry",
                "Associate AmazonEKSEditPolicy",
                "Associate AmazonEKSViewPolicy",
                "ApplySecret",
            ][..],
        ),
    ] {
        let plan = World::new(spec).plan();
        assert_eq!(brief(&plan), wanted, "{name}");
        golden(name, &plan);
    }
}

#[test]
fn the_second_plan_is_empty() {
    for spec in [ADMIN, BOUNDED, SCOPED] {
        let plan = World::moored(spec).plan();
        assert!(plan.is_clean() && plan.suspicion.is_none(), "{plan:?}");
    }
}

#[test]
fn each_drift_leads_to_its_own_mending_and_nothing_else() {
    let cases: &[Case] = &[
        ("trust", ADMIN, |w| w.role().trust = "{}".into(), &["SetTrust"]),
        (
            "trust-of-a-ghost",
            ADMIN,
            |w| w.role().trust = w.role().trust.replace("arn:aws:iam::111111111111:root", "AROAGHOST"),
            &["SetTrust"],
        ),
        ("boundary", ADMIN, |w| w.role().boundary = None, &["SetBoundary"]),
        (
            "role-tags",
            SCOPED,
            |w| {
                w.role().tags.remove("cost");
            },
            &["TagRole"],
        ),
        (
            "longest-session",
            ADMIN,
            |w| w.role().longest_session = Some(43_200),
            &["UpdateRole"],
        ),
        (
            "description",
            ADMIN,
            |w| w.role().description = Some("theirs".into()),
            &["UpdateRole"],
        ),
        // The provisioner may touch trust only on a role that has the boundary, so that comes first.
        (
            "role-all",
            ADMIN,
            |w| {
                w.role().boundary = None;
                w.role().trust = String::new();
                w.role().tags.clear();
            },
            &["SetBoundary", "SetTrust", "TagRole"],
        ),
        (
            "foreign-tag",
            ADMIN,
            |w| {
                w.role().tags.insert("theirs".into(), "x".into());
            },
            &[],
        ),
        (
            "role-tags-of-another",
            ADMIN,
            |w| {
                let tags = others_tags(&w.role().tags.clone());
                w.role().tags = tags;
            },
            &["TagRole"],
        ),
        (
            "groups",
            SCOPED,
            |w| {
                w.entry().groups.insert("admins".into());
            },
            &["SetGroups"],
        ),
        (
            "username",
            ADMIN,
            |w| w.entry().username = Some("alice".into()),
            &["SetUsername"],
        ),
        ("username-unset", ADMIN, |w| w.entry().username = None, &[]),
        // The mark first: the provisioner may do nothing to an entry that lacks it.
        (
            "entry-unmarked",
            SCOPED,
            |w| {
                w.entry().tags.remove("mooring.dev/uid");
                w.entry().tags.remove("mooring.dev/hub");
                w.entry().username = Some("alice".into());
                w.entry().groups.insert("admins".into());
                w.associations
                    .insert(policy("AmazonEKSAdminPolicy"), AccessScope::Cluster);
            },
            &["TagAccessEntry", "SetUsername", "Disassociate AmazonEKSAdminPolicy"],
        ),
        (
            "entry-tags-of-another",
            ADMIN,
            |w| {
                let tags = others_tags(&w.entry().tags.clone());
                w.entry().tags = tags;
            },
            &["TagAccessEntry"],
        ),
        (
            "entry-tags",
            SCOPED,
            |w| {
                w.entry().tags.remove("cost");
            },
            &["TagAccessEntry"],
        ),
        (
            "association-missing",
            SCOPED,
            |w| {
                w.associations.remove(&policy("AmazonEKSViewPolicy"));
            },
            &["Associate AmazonEKSViewPolicy"],
        ),
        (
            "association-extra",
            SCOPED,
            |w| {
                w.associations
                    .insert(policy("AmazonEKSClusterAdminPolicy"), AccessScope::Cluster);
            },
            &["Disassociate AmazonEKSClusterAdminPolicy"],
        ),
        (
            "association-swapped",
            SCOPED,
            |w| {
                w.associations.clear();
                w.associations
                    .insert(policy("AmazonEKSClusterAdminPolicy"), AccessScope::Cluster);
            },
            &[
                "Associate AmazonEKSEditPolicy",
                "Associate AmazonEKSViewPolicy",
                "Disassociate AmazonEKSClusterAdminPolicy",
            ],
        ),
        (
            "scope-too-wide",
            SCOPED,
            |w| {
                w.associations
                    .insert(policy("AmazonEKSEditPolicy"), AccessScope::Cluster);
            },
            &["Rescope AmazonEKSEditPolicy"],
        ),
        (
            "scope-that-does-not-show-again",
            SCOPED,
            |w| {
                let unmoved = scope_that_does_not_show(w);
                w.unmoved.push(Unmoved {
                    confirmed: true,
                    ..unmoved
                });
            },
            // What goes away for good goes after it, and covers it meanwhile.
            &["Reassociate AmazonEKSEditPolicy", "Disassociate AmazonEKSAdminPolicy"],
        ),
        (
            "widening-before-narrowing",
            SCOPED,
            |w| {
                w.associations.insert(policy("AmazonEKSEditPolicy"), namespaces(&["c"]));
                w.associations.insert(policy("AmazonEKSViewPolicy"), namespaces(&["a"]));
                w.associations
                    .insert(policy("AmazonEKSAdminPolicy"), AccessScope::Cluster);
            },
            &[
                "Rescope AmazonEKSViewPolicy",
                "Rescope AmazonEKSEditPolicy",
                "Disassociate AmazonEKSAdminPolicy",
            ],
        ),
        (
            // What it gives is given before the group goes that stood for it.
            "group-exchanged-for-a-wider-scope",
            SCOPED,
            |w| {
                w.associations.insert(policy("AmazonEKSViewPolicy"), namespaces(&["a"]));
                w.entry().groups = ["team-before".to_owned()].into();
            },
            &["Rescope AmazonEKSViewPolicy", "SetGroups"],
        ),
        (
            "secret-value",
            ADMIN,
            |w| {
                w.secret().data.as_mut().unwrap().insert("config".into(), bytes("{}"));
            },
            &["ApplySecret"],
        ),
        (
            "secret-label-gone",
            SCOPED,
            |w| {
                w.secret().metadata.labels.as_mut().unwrap().remove("env");
            },
            &["ApplySecret"],
        ),
        (
            "secret-type-label-gone",
            ADMIN,
            |w| {
                w.secret().metadata.labels.as_mut().unwrap().clear();
            },
            &["ApplySecret"],
        ),
        (
            "secret-annotations-gone",
            ADMIN,
            |w| w.secret().metadata.annotations = None,
            &["ApplySecret"],
        ),
        (
            "secret-written-anew",
            ADMIN,
            |w| {
                let secret = w.secret();
                secret.metadata.annotations = None;
                secret.metadata.labels = None;
                secret.data.as_mut().unwrap().insert("config".into(), bytes("{}"));
            },
            &["ApplySecret"],
        ),
        (
            "secret-foreign-label",
            ADMIN,
            |w| {
                w.secret()
                    .metadata
                    .labels
                    .as_mut()
                    .unwrap()
                    .insert("theirs".into(), "x".into());
            },
            &[],
        ),
        (
            "secret-foreign-key",
            ADMIN,
            |w| {
                w.secret().data.as_mut().unwrap().insert("shard".into(), bytes("3"));
            },
            &["NullSecretKeys"],
        ),
        (
            "secret-unknown-key",
            ADMIN,
            |w| {
                w.secret().data.as_mut().unwrap().insert("unknown".into(), bytes("3"));
            },
            &[],
        ),
        (
            "secret-narrowed-spec",
            SCOPED,
            |w| w.request = crate::world::request(ADMIN),
            &[
                "Associate AmazonEKSClusterAdminPolicy",
                "SetGroups",
                "Disassociate AmazonEKSEditPolicy",
                "Disassociate AmazonEKSViewPolicy",
                "ApplySecret",
            ],
        ),
        ("secret-gone", ADMIN, |w| w.secrets.clear(), &["ApplySecret"]),
        // With its owner Kubernetes would delete it.
        (
            "secret-owned",
            ADMIN,
            |w| w.secret().metadata.owner_references = Some(vec![owned_by("ConfigMap", "theirs")]),
            &["DropOwners"],
        ),
        (
            "secret-owned-and-unmarked",
            ADMIN,
            |w| {
                let secret = w.secret();
                secret.metadata.owner_references = Some(vec![owned_by("ConfigMap", "theirs")]);
                secret.metadata.labels.as_mut().unwrap().clear();
                secret.data.as_mut().unwrap().insert("shard".into(), bytes("3"));
            },
            &["NullSecretKeys", "ApplySecret", "DropOwners"],
        ),
        // What is as the spec says needs no write, and labels can be written.
        ("secret-immutable", ADMIN, |w| w.secret().immutable = Some(true), &[]),
        (
            "secret-immutable-label-gone",
            SCOPED,
            |w| {
                let secret = w.secret();
                secret.immutable = Some(true);
                secret.metadata.labels.as_mut().unwrap().remove("env");
            },
            &["ApplySecret"],
        ),
        (
            "secret-copy",
            ADMIN,
            |w| {
                let mut copy = w.secret().clone();
                copy.metadata.name = Some("a-copy".into());
                w.secrets.insert("a-copy".into(), copy);
            },
            &["DeleteSecret"],
        ),
        (
            "secret-keeps-its-name",
            ADMIN,
            |w| {
                let mut secret = w.secrets.pop_first().unwrap().1;
                secret.metadata.name = Some("named-by-hand".into());
                secret
                    .metadata
                    .labels
                    .as_mut()
                    .unwrap()
                    .remove("argocd.argoproj.io/secret-type");
                secret
                    .metadata
                    .labels
                    .as_mut()
                    .unwrap()
                    .insert("argocd.argoproj.io/secret-type".into(), "cluster".into());
                secret.data.as_mut().unwrap().insert("config".into(), bytes("{}"));
                w.secrets.insert("named-by-hand".into(), secret);
            },
            &["ApplySecret"],
        ),
        (
            "ca-rotated",
            ADMIN,
            |w| {
                w.cluster.as_mut().unwrap().certificate_authority =
                    Some("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUMKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=".into());
            },
            &["ApplySecret"],
        ),
        // Another cluster under the same name: the entry went with the old one, and the Secret keeps its name and UID.
        (
            "recreated",
            ADMIN,
            |w| {
                w.entry = None;
                w.associations.clear();
                let cluster = w.cluster.as_mut().unwrap();
                cluster.endpoint =
                    Some("https://FEDCBA9876543210FEDCBA9876543210.gr7.eu-west-1.eks.amazonaws.com".into());
                cluster.issuer =
                    Some("https://oidc.eks.eu-west-1.amazonaws.com/id/FEDCBA9876543210FEDCBA9876543210".into());
            },
            &[
                "CreateAccessEntry",
                "Associate AmazonEKSClusterAdminPolicy",
                "ApplySecret",
            ],
        ),
        (
            "updating",
            ADMIN,
            |w| w.cluster.as_mut().unwrap().state = ClusterState::Updating,
            &[],
        ),
        // With AWSDenyAll, a policy on the role changes nothing, and is not looked for.
        (
            "policy-under-deny-all",
            ADMIN,
            |w| {
                w.policies.inline.insert("evil".into());
            },
            &[],
        ),
    ];
    run("drift", cases);
}

#[test]
fn each_obstacle_stops_what_comes_after_it() {
    let cases: &[Case] = &[
        ("cluster-gone", ADMIN, |w| w.cluster = None, &["!ClusterGone"]),
        (
            "secret-immutable",
            ADMIN,
            |w| {
                let secret = w.secret();
                secret.immutable = Some(true);
                secret.data.as_mut().unwrap().insert("config".into(), bytes("{}"));
                secret.data.as_mut().unwrap().insert("shard".into(), bytes("3"));
                secret.metadata.owner_references = Some(vec![owned_by("ConfigMap", "theirs")]);
            },
            &["DropOwners", "!SecretImmutable"],
        ),
        (
            "cluster-missing",
            ADMIN,
            |w| {
                *w = World::new(ADMIN);
                w.cluster = None;
            },
            &["!ClusterNotFound"],
        ),
        (
            "creating",
            ADMIN,
            |w| w.cluster.as_mut().unwrap().state = ClusterState::Creating,
            &["!ClusterNotActive"],
        ),
        (
            "pending",
            ADMIN,
            |w| w.cluster.as_mut().unwrap().state = ClusterState::Pending,
            &["!ClusterNotActive"],
        ),
        (
            "of-no-known-state",
            ADMIN,
            |w| w.cluster.as_mut().unwrap().state = ClusterState::Unknown,
            &["!ClusterNotActive"],
        ),
        (
            "creating-with-a-role-that-others-opened",
            ADMIN,
            |w| {
                w.cluster.as_mut().unwrap().state = ClusterState::Creating;
                w.role().trust = "{}".into();
                w.role().boundary = None;
            },
            &["SetBoundary", "SetTrust", "!ClusterNotActive"],
        ),
        (
            "failed",
            ADMIN,
            |w| w.cluster.as_mut().unwrap().state = ClusterState::Failed,
            &["!ClusterNotActive"],
        ),
        (
            "deleting",
            ADMIN,
            |w| w.cluster.as_mut().unwrap().state = ClusterState::Deleting,
            &["!ClusterNotActive"],
        ),
        (
            "config-map",
            ADMIN,
            |w| w.cluster.as_mut().unwrap().authentication_mode = AuthenticationMode::ConfigMap,
            &["!AccessEntriesDisabled"],
        ),
        (
            "connected",
            ADMIN,
            |w| w.cluster.as_mut().unwrap().connected = true,
            &["!ConnectedCluster"],
        ),
        (
            "no-endpoint",
            ADMIN,
            |w| w.cluster.as_mut().unwrap().endpoint = None,
            &["!ClusterNotActive"],
        ),
        (
            "unusable",
            ADMIN,
            |w| w.cluster.as_mut().unwrap().certificate_authority = Some("x".into()),
            &["!UnusableConnection"],
        ),
        (
            "role-foreign",
            ADMIN,
            |w| {
                w.recorded_role = None;
                w.role().tags.clear();
            },
            &["!RoleNotOurs"],
        ),
        (
            "role-elsewhere",
            ADMIN,
            |w| w.role().arn = "arn:aws:iam::222222222222:role/other/prod-eu-49950450".into(),
            &["!RoleNotOurs"],
        ),
        (
            "role-of-another",
            ADMIN,
            |w| {
                w.recorded_role = None;
                let tags = others_tags(&w.role().tags.clone());
                w.role().tags = tags;
            },
            &["!RoleNotOurs"],
        ),
        (
            "role-arn-on-its-way",
            ADMIN,
            |w| {
                let id = w.role().id.clone();
                w.role().arn = id;
            },
            &["!Propagating"],
        ),
        (
            "stranger",
            ADMIN,
            |w| w.role().id = "AROASTRANGER".into(),
            &["!StalePrincipal"],
        ),
        // Ours is gone, and somebody else's stands under its name: told apart from a role that was never ours.
        (
            "role-replaced",
            ADMIN,
            |w| {
                w.role().id = "AROASTRANGER".into();
                w.role().tags.clear();
            },
            &["!StalePrincipal"],
        ),
        (
            "stranger-with-policies",
            ADMIN,
            |w| {
                w.role().id = "AROASTRANGER".into();
                w.policies
                    .attached
                    .insert("arn:aws:iam::aws:policy/AdministratorAccess".into());
            },
            &["!ForeignPolicyAttached"],
        ),
        ("role-gone-entry-left", ADMIN, |w| w.role = None, &["!StalePrincipal"]),
        (
            "entry-for-another-role",
            ADMIN,
            World::of_another_role,
            &["!StalePrincipal"],
        ),
        (
            "entry-foreign",
            ADMIN,
            entry_made_anew_by_others,
            &["!AccessEntryNotOurs"],
        ),
        // Ours by its ARN, and taken over by an object that is there.
        (
            "entry-of-another-object",
            ADMIN,
            |w| {
                let tags = others_tags(&w.entry().tags.clone());
                w.entry().tags = tags;
                w.living.insert("somebody-else".into(), Lives::default());
            },
            &["!AccessEntryNotOurs"],
        ),
        // Ours by its ARN, and the account's owner gave it to another hub, which took it.
        (
            "entry-of-another-hub",
            ADMIN,
            |w| {
                for key in ["mooring.dev/hub", "mooring.dev/adopt"] {
                    w.entry().tags.insert(key.into(), "arn:another-hub".into());
                }
            },
            &["!AccessEntryNotOurs"],
        ),
        // Without a tag that says so, nobody knows any more for which role it was made.
        // And nothing was recorded of its role.
        (
            "entry-untagged",
            ADMIN,
            |w| {
                w.entry().tags.clear();
                w.given.as_mut().unwrap().role_id = None;
            },
            &["!StalePrincipal"],
        ),
        // The first obstacle in the chain is told first.
        (
            "entry-and-role-foreign",
            ADMIN,
            |w| {
                w.recorded_role = None;
                entry_made_anew_by_others(w);
                w.role().tags.clear();
            },
            &["!RoleNotOurs", "!AccessEntryNotOurs"],
        ),
        // A role is mended even while the entry is somebody else's; the Secret is not written.
        (
            "entry-foreign-and-drift",
            ADMIN,
            |w| {
                entry_made_anew_by_others(w);
                w.role().trust.clear();
                w.secrets.clear();
            },
            &["SetTrust", "!AccessEntryNotOurs"],
        ),
        (
            "bounded-with-policy",
            BOUNDED,
            |w| {
                w.policies.inline.insert("evil".into());
                w.secrets.clear();
            },
            &["!ForeignPolicyAttached"],
        ),
        (
            "bounded-with-policy-and-drift",
            BOUNDED,
            |w| {
                w.policies.inline.insert("evil".into());
                w.role().boundary = None;
                w.role().trust.clear();
            },
            &["SetBoundary", "SetTrust", "!ForeignPolicyAttached"],
        ),
        // What gives nothing under AWSDenyAll is not let out of it.
        (
            "closed-with-policy",
            BOUNDED,
            |w| {
                w.policies.attached.insert("evil".into());
                w.role().boundary = Some("arn:aws:iam::aws:policy/AWSDenyAll".into());
                w.role().trust.clear();
            },
            &["SetTrust", "!ForeignPolicyAttached"],
        ),
        (
            "closed-with-policy-on-a-cluster-that-cannot-be-used",
            BOUNDED,
            |w| {
                w.policies.attached.insert("evil".into());
                w.role().boundary = Some("arn:aws:iam::aws:policy/AWSDenyAll".into());
                w.cluster.as_mut().unwrap().state = ClusterState::Failed;
            },
            &["!ClusterNotActive"],
        ),
        // Argo CD goes on by the Secret that stands.
        (
            "bounded-with-policy-and-secret-drift",
            BOUNDED,
            |w| {
                w.policies.inline.insert("evil".into());
                let data = w.secret().data.as_mut().unwrap();
                data.insert("namespaces".into(), bytes("kube-system"));
            },
            &["NullSecretKeys", "!ForeignPolicyAttached"],
        ),
        // And nothing is deleted before that is settled.
        (
            "bounded-with-policy-and-a-copy",
            BOUNDED,
            |w| {
                w.policies.inline.insert("evil".into());
                let mut copy = w.secret().clone();
                copy.metadata.name = Some("a-copy".into());
                w.secrets.insert("a-copy".into(), copy);
            },
            &["!ForeignPolicyAttached"],
        ),
        // An entry of ours gives no more than the spec, whatever is the matter with the role.
        (
            "role-replaced-and-more-access",
            SCOPED,
            |w| {
                w.role().id = "AROASTRANGER".into();
                w.role().tags.clear();
                w.entry().groups = ["others".to_owned()].into();
                w.entry().username = Some("alice".into());
                w.entry().tags.remove("mooring.dev/uid");
                w.associations.remove(&policy("AmazonEKSViewPolicy"));
                w.associations
                    .insert(policy("AmazonEKSEditPolicy"), AccessScope::Cluster);
                w.associations
                    .insert(policy("AmazonEKSAdminPolicy"), AccessScope::Cluster);
            },
            &[
                "TagAccessEntry",
                "SetUsername",
                "Rescope AmazonEKSEditPolicy",
                "Disassociate AmazonEKSAdminPolicy",
                "!StalePrincipal",
            ],
        ),
        // An entry of somebody else's is not narrowed, though it says that it was made for the role.
        (
            "bounded-with-policy-and-foreign-entry",
            BOUNDED,
            |w| {
                w.policies.inline.insert("evil".into());
                w.entry().arn.push_str("-theirs");
                w.entry().tags.retain(|tag, _| tag == "mooring.dev/role-id");
                w.entry().groups.insert("others".into());
            },
            &["!ForeignPolicyAttached", "!AccessEntryNotOurs"],
        ),
        // What the spec took away is taken away all the same.
        (
            "bounded-with-policy-and-more-access",
            BOUNDED,
            |w| {
                w.policies.inline.insert("evil".into());
                w.entry().groups.insert("others".into());
                w.associations
                    .insert(policy("AmazonEKSAdminPolicy"), AccessScope::Cluster);
            },
            &[
                "SetGroups",
                "Disassociate AmazonEKSAdminPolicy",
                "!ForeignPolicyAttached",
            ],
        ),
        // Nothing is healed by a deletion meanwhile.
        (
            "bounded-with-policy-and-entry-for-another-role",
            BOUNDED,
            |w| {
                w.policies.inline.insert("evil".into());
                w.of_another_role();
                w.associations
                    .insert(policy("AmazonEKSAdminPolicy"), AccessScope::Cluster);
            },
            &["!ForeignPolicyAttached"],
        ),
        // A first look does not take away what EKS may only be late to show.
        (
            "scope-that-does-not-show",
            SCOPED,
            |w| {
                let unmoved = scope_that_does_not_show(w);
                w.unmoved.push(unmoved);
            },
            &["Disassociate AmazonEKSAdminPolicy", "!Propagating"],
        ),
        (
            "duplicate-server",
            ADMIN,
            |w| {
                w.secrets
                    .insert("d".into(), foreign_secret("d", &format!("{}/", endpoint()), "d"));
            },
            &["!DuplicateCluster"],
        ),
        (
            "duplicate-name",
            ADMIN,
            |w| {
                w.secrets
                    .insert("d".into(), foreign_secret("d", "https://other", "prod-eu"));
            },
            &["!DuplicateCluster"],
        ),
        (
            "name-taken",
            ADMIN,
            |w| {
                w.secret().metadata.labels = None;
                w.secret().metadata.annotations = None;
                w.recorded_secret = None;
            },
            &["!SecretNotOurs"],
        ),
        (
            "secret-going",
            ADMIN,
            |w| w.secret().metadata.deletion_timestamp = Some(now()),
            &["!SecretGoing"],
        ),
    ];
    run("blocked", cases);
}

#[test]
fn a_confirmed_suspicion_is_healed_by_making_afresh() {
    let stranger: &[&str] = &[
        "DeleteAccessEntry",
        "DeleteRole",
        "CreateRole",
        "CreateAccessEntry",
        "Associate AmazonEKSClusterAdminPolicy",
    ];
    let cases: &[Case] = &[
        ("stranger", ADMIN, |w| w.role().id = "AROASTRANGER".into(), stranger),
        (
            "stranger-unbounded",
            ADMIN,
            |w| {
                w.role().id = "AROASTRANGER".into();
                w.role().boundary = None;
                w.entry = None;
            },
            &[
                "SetBoundary",
                "DeleteRole",
                "CreateRole",
                "CreateAccessEntry",
                "Associate AmazonEKSClusterAdminPolicy",
            ],
        ),
        (
            "role-gone",
            ADMIN,
            |w| {
                w.role = None;
                w.secrets.clear();
            },
            ANEW,
        ),
        (
            "entry-for-another-role",
            ADMIN,
            World::of_another_role,
            &[
                "DeleteAccessEntry",
                "CreateAccessEntry",
                "Associate AmazonEKSClusterAdminPolicy",
            ],
        ),
        // And nothing was recorded of its role.
        (
            "entry-untagged",
            ADMIN,
            |w| {
                w.entry().tags.clear();
                w.given.as_mut().unwrap().role_id = None;
            },
            &[
                "TagAccessEntry",
                "DeleteAccessEntry",
                "CreateAccessEntry",
                "Associate AmazonEKSClusterAdminPolicy",
            ],
        ),
        (
            "never-recorded",
            ADMIN,
            |w| {
                w.recorded_role = None;
                w.entry = None;
                w.secrets.clear();
                w.recorded_secret = None;
            },
            &[
                "DeleteRole",
                "CreateRole",
                "CreateAccessEntry",
                "Associate AmazonEKSClusterAdminPolicy",
                "ApplySecret",
            ],
        ),
    ];
    let mut all = serde_json::Map::new();
    for (name, spec, change, wanted) in cases {
        let mut world = World::moored(spec);
        change(&mut world);
        let first = world.pass();
        assert_eq!(brief(&first), ["!StalePrincipal"], "{name}");
        // What a later look does not agree with is not acted on.
        let mut other = world.clone();
        if other.role.is_some() {
            other.role().id = "AROAYETANOTHER".into();
            assert_eq!(brief(&other.plan()), ["!StalePrincipal"], "{name}");
        }
        let second = world.pass();
        assert_eq!(brief(&second), *wanted, "{name}");
        assert!(world.plan().is_clean(), "{name}: {:?}", world.plan());
        assert_eq!(world.pinned, world.recorded_role, "{name}");
        all.insert((*name).to_owned(), serde_json::to_value(&second).unwrap());
    }
    golden("healed", &all);
}

#[test]
fn removals_take_what_is_ours_in_order_and_leave_the_rest() {
    let cases: &[Case] = &[
        (
            "everything",
            ADMIN,
            |_| {},
            &["DeleteSecret", "DeleteAccessEntry", "DeleteRole"],
        ),
        (
            "cluster-gone",
            ADMIN,
            |w| {
                w.cluster = None;
                w.entry = None;
                w.secrets.clear();
            },
            &["DeleteRole"],
        ),
        (
            "nothing-made",
            ADMIN,
            |w| {
                w.secrets.clear();
                w.entry = None;
                w.role = None;
            },
            &[],
        ),
        (
            "entry-foreign",
            ADMIN,
            entry_made_anew_by_others,
            &["DeleteSecret", "DeleteRole"],
        ),
        (
            "entry-untagged-but-recorded",
            ADMIN,
            |w| w.entry().tags.clear(),
            &["DeleteSecret", "TagAccessEntry", "DeleteAccessEntry", "DeleteRole"],
        ),
        (
            "role-foreign",
            ADMIN,
            |w| {
                w.recorded_role = None;
                w.role().tags.clear();
            },
            &["DeleteSecret", "DeleteAccessEntry"],
        ),
        (
            "role-elsewhere",
            ADMIN,
            |w| w.role().arn = "arn:aws:iam::222222222222:role/other/x".into(),
            &["DeleteSecret", "DeleteAccessEntry"],
        ),
        (
            "role-untagged-but-recorded",
            ADMIN,
            |w| w.role().tags.clear(),
            &["DeleteSecret", "DeleteAccessEntry", "DeleteRole"],
        ),
        (
            "role-with-policies",
            ADMIN,
            |w| {
                w.policies.inline.insert("x".into());
            },
            &["DeleteSecret", "DeleteAccessEntry", "!ForeignPolicyAttached"],
        ),
        (
            "boundary-restored",
            ADMIN,
            |w| w.role().boundary = Some("arn:aws:iam::aws:policy/ReadOnlyAccess".into()),
            &["DeleteSecret", "DeleteAccessEntry", "SetBoundary", "DeleteRole"],
        ),
        // Whatever the spec names may not be let in any more, and AWSDenyAll is.
        (
            "boundary-of-the-spec",
            BOUNDED,
            |_| {},
            &["DeleteSecret", "DeleteAccessEntry", "SetBoundary", "DeleteRole"],
        ),
        (
            "boundary-never-set",
            BOUNDED,
            |w| w.role().boundary = Some("arn:aws:iam::aws:policy/AWSDenyAll".into()),
            &["DeleteSecret", "DeleteAccessEntry", "DeleteRole"],
        ),
        (
            "secret-of-another",
            ADMIN,
            |w| {
                w.secrets.clear();
                w.secrets.insert("d".into(), foreign_secret("d", endpoint(), "prod-eu"));
            },
            &["DeleteAccessEntry", "DeleteRole"],
        ),
        (
            "secret-going",
            ADMIN,
            |w| w.secret().metadata.deletion_timestamp = Some(now()),
            &["!SecretGoing"],
        ),
        (
            "secret-held",
            ADMIN,
            |w| w.secret().metadata.finalizers = Some(vec!["example.com/theirs".into()]),
            &["DeleteSecret", "!SecretGoing"],
        ),
        (
            "secret-annotations-gone",
            ADMIN,
            |w| w.secret().metadata.annotations = None,
            &["DeleteSecret", "DeleteAccessEntry", "DeleteRole"],
        ),
    ];
    let mut all = serde_json::Map::new();
    for (name, spec, change, wanted) in cases {
        let mut world = World::moored(spec);
        change(&mut world);
        let plan = world.plan_removal();
        assert_eq!(brief(&plan), *wanted, "{name}");
        for step in &plan.steps {
            world.apply(step);
        }
        assert!(world.plan_removal().steps.is_empty(), "{name}");
        all.insert((*name).to_owned(), serde_json::to_value(&plan).unwrap());
    }
    golden("removal", &all);
}

#[test]
fn an_account_that_cannot_be_entered_loses_its_secret_only() {
    let world = World::moored(ADMIN);
    let of = |spoke: Option<&Spoke>| {
        brief(&plan_removal(
            &world.request.deployer,
            &world.request.boundary,
            &world.request.owner,
            world.recorded_role.as_deref(),
            spoke,
            &world.found(),
            TakenOver {
                role: false,
                entry: world.known_entry(),
            },
        ))
    };
    assert_eq!(of(None), ["DeleteSecret"]);
}

#[test]
fn the_recorded_secret_stays_when_a_copy_sorts_before_it() {
    let mut world = World::moored(ADMIN);
    let kept = world.secrets.keys().next().unwrap().clone();
    world.pass();
    let mut copy = world.secret().clone();
    copy.metadata.name = Some("a-copy".into());
    world.secrets.insert("a-copy".into(), copy);
    // The deletion of the copy fails, and the next pass looks again.
    let before = world.clone();
    world.pass();
    assert_eq!(world.secrets.keys().collect::<Vec<_>>(), [&kept]);
    let mut again = before;
    again.recorded_secret = world.recorded_secret;
    assert_eq!(brief(&again.plan()), ["DeleteSecret"]);
    assert_eq!(again.recorded_secret.as_ref(), Some(&kept));
}

/// Somebody deleted our entry and made one of their own.
fn entry_made_anew_by_others(world: &mut World) {
    world.entry().arn.push_str("-theirs");
    world.entry().tags.clear();
}

fn run(name: &str, cases: &[Case]) {
    let mut all = serde_json::Map::new();
    for (case, spec, change, wanted) in cases {
        let mut world = World::moored(spec);
        world.pass();
        change(&mut world);
        let plan = world.pass();
        assert_eq!(brief(&plan), *wanted, "{case}");
        // What could be done is done: the second plan has no step.
        let second = world.plan();
        if plan.suspicion.is_none() {
            assert!(second.steps.is_empty(), "{case}: {:?}", brief(&second));
        }
        all.insert((*case).to_owned(), serde_json::to_value(&plan).unwrap());
    }
    golden(name, &all);
}

/// Anybody may take a tag off, or set it: what was recorded of the entry says for which role it was made.
#[test]
fn the_role_that_an_entry_was_made_for_is_known_by_what_was_recorded_and_by_its_tag_where_nothing_was() {
    let with = |tag: Option<&str>, recorded: Option<&str>| {
        let mut world = World::moored(ADMIN);
        world.entry().tags.remove("mooring.dev/role-id");
        if let Some(id) = tag {
            world.entry().tags.insert("mooring.dev/role-id".into(), id.into());
        }
        world.given.as_mut().unwrap().role_id = recorded.map(str::to_owned);
        world
    };
    let id = World::moored(ADMIN).recorded_role.unwrap();
    for tag in [None, Some("AROAOTHER")] {
        let mut world = with(tag, Some(&id));
        assert_eq!(brief(&world.pass()), ["TagAccessEntry"], "{tag:?}");
        assert!(world.plan().is_clean());
        // A status of before has no ID.
        assert_eq!(brief(&with(tag, None).plan()), ["!StalePrincipal"], "{tag:?}");
    }
    let mut world = with(Some(&id), None);
    assert!(world.pass().is_clean());
    assert_eq!(world.given.as_ref().unwrap().role_id.as_deref(), Some(id.as_str()));
    assert_eq!(brief(&with(Some(&id), Some("AROAOTHER")).plan()), ["!StalePrincipal"]);
    // What was recorded is of that entry alone.
    let mut world = with(Some(&id), Some("AROAOTHER"));
    world.entry().arn.push_str("-another");
    assert!(world.pass().is_clean());
    assert_eq!(world.given.as_ref().unwrap().role_id.as_deref(), Some(id.as_str()));
}
