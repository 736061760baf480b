//! Every call is decided by the caller's policies, with the condition keys of the service authorization reference.

use std::collections::BTreeMap;

use mooring_sandbox::aws::authz::{Decision, Denial, Document, PolicyType, evaluate};
use mooring_sandbox::aws::contract::{Check, Service};
use serde_json::{Value, json};

use crate::support::*;

const PATH: &str = "arn:aws:iam::222222222222:role/argocd-fleet/deployer/*";

/// The provisioner policy of reference/aws.md 1.12, its IAM half.
fn provisioner() -> String {
    json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "DeployerRead", "Effect": "Allow", "Action": ["iam:GetRole", "iam:ListRolePolicies", "iam:ListAttachedRolePolicies", "iam:ListRoleTags"], "Resource": PATH},
        {"Sid": "DeployerWriteOnlyWithDenyAllBoundary", "Effect": "Allow",
            "Action": ["iam:CreateRole", "iam:UpdateRole", "iam:UpdateAssumeRolePolicy", "iam:DeleteRole", "iam:PutRolePermissionsBoundary"],
            "Resource": PATH, "Condition": {"StringEquals": {"iam:PermissionsBoundary": DENY_ALL}}},
        {"Sid": "DeployerTags", "Effect": "Allow", "Action": ["iam:TagRole", "iam:UntagRole"], "Resource": PATH}
    ]})
    .to_string()
}

fn create(name: &str, path: &str, boundary: Option<&str>, tags: bool) -> Value {
    let mut input = json!({"RoleName": name, "Path": path, "AssumeRolePolicyDocument": trust_of(&root_of(HUB))});
    if let Some(boundary) = boundary {
        input["PermissionsBoundary"] = json!(boundary);
    }
    if tags {
        input["Tags"] = json!([{"Key": "mooring.dev/hub", "Value": "x"}]);
    }
    input
}

/// A role can be made, changed and deleted with the boundary that the policy asks for, and only with it.
#[test]
fn the_boundary_of_a_request_and_of_a_role() {
    let world = world();
    let caller = actor(&world, SPOKE, "provisioner", &provisioner());
    let path = "/argocd-fleet/deployer/";
    iam(
        &world,
        &caller,
        "CreateRole",
        create("good", path, Some(DENY_ALL), true),
    )
    .unwrap();
    let arn = "arn:aws:iam::222222222222:role/argocd-fleet/deployer/bad";
    let why = " because no identity-based policy allows the iam:CreateRole action";
    let refused = format!(
        "User: {} is not authorized to perform: iam:CreateRole on resource: {arn}{why}",
        caller.arn
    );
    assert_refused(
        iam(&world, &caller, "CreateRole", create("bad", path, None, false)),
        403,
        "AccessDenied",
        &refused,
    );
    let other = "arn:aws:iam::aws:policy/AdministratorAccess";
    assert_refused(
        iam(&world, &caller, "CreateRole", create("bad", path, Some(other), false)),
        403,
        "AccessDenied",
        &refused,
    );
    assert_eq!(
        refusal(iam(
            &world,
            &caller,
            "CreateRole",
            create("bad", "/", Some(DENY_ALL), false)
        ))
        .1,
        "AccessDenied"
    );

    let trust = json!({"RoleName": "good", "PolicyDocument": trust_of(&root_of(HUB))});
    iam(&world, &caller, "UpdateAssumeRolePolicy", trust.clone()).unwrap();
    let put = |arn: &str| json!({"RoleName": "good", "PermissionsBoundary": arn});
    iam(&world, &caller, "PutRolePermissionsBoundary", put(DENY_ALL)).unwrap();
    assert_eq!(
        refusal(iam(&world, &caller, "PutRolePermissionsBoundary", put(other))).1,
        "AccessDenied"
    );
    assert_eq!(
        refusal(iam(
            &world,
            &caller,
            "DeleteRolePermissionsBoundary",
            json!({"RoleName": "good"})
        ))
        .1,
        "AccessDenied"
    );

    // Somebody else takes the boundary away: the role may only be given it again.
    iam(
        &world,
        &root(&world, SPOKE),
        "DeleteRolePermissionsBoundary",
        json!({"RoleName": "good"}),
    )
    .unwrap();
    assert_eq!(
        refusal(iam(&world, &caller, "UpdateAssumeRolePolicy", trust.clone())).1,
        "AccessDenied"
    );
    assert_eq!(
        refusal(iam(&world, &caller, "DeleteRole", json!({"RoleName": "good"}))).1,
        "AccessDenied"
    );
    iam(&world, &caller, "PutRolePermissionsBoundary", put(DENY_ALL)).unwrap();
    iam(&world, &caller, "UpdateAssumeRolePolicy", trust).unwrap();
    iam(&world, &caller, "DeleteRole", json!({"RoleName": "good"})).unwrap();
}

/// `CreateRole` with tags needs `iam:TagRole` as well (API reference, `CreateRole`).
#[test]
fn tags_of_a_new_role_need_tag_role() {
    let world = world();
    let caller = actor(&world, SPOKE, "maker", &allow(&["iam:CreateRole"], "*"));
    iam(&world, &caller, "CreateRole", create("plain", "/", None, false)).unwrap();
    let (_, code, message) = refusal(iam(&world, &caller, "CreateRole", create("tagged", "/", None, true)));
    assert_eq!(code, "AccessDenied");
    assert!(
        message.contains("iam:TagRole on resource: arn:aws:iam::222222222222:role/tagged because"),
        "{message}"
    );
    assert_eq!(get_role(&world, SPOKE, "tagged").unwrap_err().code, "NoSuchEntity");
}

/// Tags of the request and of the resource.
#[test]
fn tag_conditions() {
    let world = world();
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "iam:TagRole", "Resource": "*", "Condition": {
            "StringEquals": {"aws:RequestTag/owner": "me"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["owner", "note"]}}},
        {"Effect": "Allow", "Action": "iam:DeleteRole", "Resource": "*", "Condition": {"StringEquals": {"aws:ResourceTag/owner": "me"}}},
        {"Effect": "Allow", "Action": "iam:UpdateRole", "Resource": "*", "Condition": {"StringEquals": {"iam:ResourceTag/owner": "me"}}}]});
    let caller = actor(&world, SPOKE, "tagger", &policy.to_string());
    role(&world, SPOKE, "/", "r", &trust_of(&root_of(HUB)));
    let tag = |keys: &[(&str, &str)]| {
        let tags: Vec<_> = keys
            .iter()
            .map(|(key, value)| json!({"Key": key, "Value": value}))
            .collect();
        json!({"RoleName": "r", "Tags": tags})
    };
    let name = || json!({"RoleName": "r"});
    assert_eq!(refusal(iam(&world, &caller, "DeleteRole", name())).1, "AccessDenied");
    assert_eq!(
        refusal(iam(&world, &caller, "TagRole", tag(&[("owner", "you")]))).1,
        "AccessDenied"
    );
    assert_eq!(
        refusal(iam(&world, &caller, "TagRole", tag(&[("owner", "me"), ("more", "x")]))).1,
        "AccessDenied"
    );
    iam(&world, &caller, "TagRole", tag(&[("owner", "me"), ("note", "x")])).unwrap();
    iam(&world, &caller, "UpdateRole", name()).unwrap();
    iam(&world, &caller, "DeleteRole", name()).unwrap();
}

/// The tags of the calling role, and of its session, which win.
#[test]
fn tags_of_the_principal() {
    let world = world();
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:GetRole",
        "Resource": "arn:aws:iam::222222222222:role/${aws:PrincipalTag/team}/*"}]});
    let caller = actor(&world, SPOKE, "member", &policy.to_string());
    role(&world, SPOKE, "/blue/", "r", &trust_of(&root_of(HUB)));
    let get = |caller: &_| iam(&world, caller, "GetRole", json!({"RoleName": "r"}));
    assert_eq!(refusal(get(&caller)).1, "AccessDenied");
    let tag = |value: &str| json!({"RoleName": "member", "Tags": [{"Key": "team", "Value": value}]});
    iam(&world, &root(&world, SPOKE), "TagRole", tag("blue")).unwrap();
    get(&caller).unwrap();
    iam(&world, &root(&world, SPOKE), "TagRole", tag("*")).unwrap();
    assert_eq!(refusal(get(&caller)).1, "AccessDenied");
    let tags = [("team".to_owned(), "blue".to_owned())];
    let session = world
        .session_credentials("arn:aws:iam::222222222222:role/member", "tagged", &tags)
        .unwrap();
    get(&self::caller(&world, &session)).unwrap();
}

/// `iam:PolicyARN` is a key of attaching and detaching.
#[test]
fn policies_that_may_be_attached() {
    let world = world();
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["iam:AttachRolePolicy", "iam:DetachRolePolicy"],
        "Resource": "*", "Condition": {"ArnEquals": {"iam:PolicyARN": DENY_ALL}}}]});
    let caller = actor(&world, SPOKE, "attacher", &policy.to_string());
    let attach = |arn: &str| json!({"RoleName": "attacher", "PolicyArn": arn});
    let admin = attach("arn:aws:iam::aws:policy/AdministratorAccess");
    assert_eq!(
        refusal(iam(&world, &caller, "AttachRolePolicy", admin)).1,
        "AccessDenied"
    );
    iam(&world, &caller, "AttachRolePolicy", attach(DENY_ALL)).unwrap();
    let (_, _, message) = refusal(iam(&world, &caller, "DetachRolePolicy", attach(DENY_ALL)));
    let refused = "iam:DetachRolePolicy on resource: role attacher with an explicit deny in an identity-based policy";
    assert!(message.ends_with(refused), "{message}");
}

/// A role that does not exist is told about by whoever may ask for its name under some path of his, or, in the
/// stricter reading, which is the sandbox's own, by whoever may ask for it at the path `/`.
#[test]
fn roles_that_do_not_exist() {
    let policy = allow(&["iam:GetRole"], "arn:aws:iam::*:role/mooring/hub-*");
    for (world, in_path, outside) in [
        (lenient(), "NoSuchEntity", "AccessDenied"),
        (world(), "AccessDenied", "AccessDenied"),
    ] {
        let caller = actor(&world, HUB, "reader", &policy);
        let get = |name: &str| refusal(iam(&world, &caller, "GetRole", json!({"RoleName": name})));
        assert_eq!(get("hub-one").1, in_path);
        assert_eq!(get("other").1, outside);
        let all = actor(&world, HUB, "everything", &allow(&["iam:GetRole"], "*"));
        assert_eq!(
            refusal(iam(&world, &all, "GetRole", json!({"RoleName": "none"}))).1,
            "NoSuchEntity"
        );
    }
}

/// EKS's refusals have a code of their own, and the same words.
#[test]
fn checks_of_other_services() {
    let world = world();
    let caller = actor(
        &world,
        SPOKE,
        "eks",
        &allow(
            &["eks:DescribeCluster"],
            "arn:aws:eks:eu-west-1:222222222222:cluster/prod-*",
        ),
    );
    let check = |name: &str| Check {
        action: "eks:DescribeCluster",
        resource: format!("arn:aws:eks:eu-west-1:222222222222:cluster/{name}"),
        context: BTreeMap::new(),
    };
    let request = request(Service::Eks, Some(&caller), "DescribeCluster", &json!({"name": "x"}));
    world.authorize(&caller, &[check("prod-eu")], &request).unwrap();
    let refused = world
        .authorize(&caller, &[check("prod-eu"), check("dev")], &request)
        .unwrap_err();
    assert_eq!((refused.status, refused.code), (403, "AccessDeniedException"));
    let words = "is not authorized to perform: eks:DescribeCluster on resource: arn:aws:eks:eu-west-1:222222222222:cluster/dev because no identity-based policy allows the eks:DescribeCluster action";
    assert_eq!(refused.message, format!("User: {} {words}", caller.arn));
    world
        .authorize(&root(&world, SPOKE), &[check("dev")], &request)
        .unwrap();
    let used = get_role(&world, SPOKE, "eks").unwrap()["RoleLastUsed"].clone();
    assert_eq!(used["Region"], "eu-west-1");
}

/// The pure function gives the same answers, so that a logged check can be asked again of a changed policy.
#[test]
fn a_logged_check_can_be_evaluated_again() {
    let world = world();
    let caller = actor(&world, SPOKE, "provisioner", &provisioner());
    let check = Check {
        action: "iam:CreateRole",
        resource: "arn:aws:iam::222222222222:role/argocd-fleet/deployer/x".to_owned(),
        context: BTreeMap::from([("iam:PermissionsBoundary".to_owned(), vec![DENY_ALL.to_owned()])]),
    };
    let whole = Document::parse(&provisioner()).unwrap();
    let decide = |identity: &[Document], boundary: Option<&Document>, session: Option<&Document>| {
        evaluate(identity, boundary, session, &check, &caller)
    };
    assert_eq!(decide(std::slice::from_ref(&whole), None, None), Decision::Allowed);
    let mutated = provisioner().replace("iam:CreateRole", "iam:GetUser");
    let missing = Denial::Implicit(PolicyType::Identity);
    assert_eq!(
        decide(&[Document::parse(&mutated).unwrap()], None, None),
        Decision::Denied(missing)
    );
    let other = Document::parse(&allow(&["iam:GetRole"], "*")).unwrap();
    let all = Document::parse(&allow(&["*"], "*")).unwrap();
    let outside = Denial::Implicit(PolicyType::Boundary);
    assert_eq!(
        decide(std::slice::from_ref(&whole), Some(&other), Some(&all)),
        Decision::Denied(outside)
    );
    let outside = Denial::Implicit(PolicyType::Session);
    assert_eq!(
        decide(std::slice::from_ref(&whole), Some(&all), Some(&other)),
        Decision::Denied(outside)
    );
    let deny =
        json!({"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "iam:Create*", "Resource": "*"}});
    let deny = Document::parse(&deny.to_string()).unwrap();
    let explicit = Denial::Explicit(PolicyType::Identity);
    assert_eq!(decide(&[whole, deny], None, None), Decision::Denied(explicit));
}
