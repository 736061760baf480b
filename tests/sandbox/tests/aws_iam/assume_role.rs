//! `AssumeRole` and `GetCallerIdentity` (IAM user guide, evaluation logic; STS API reference).

use mooring_sandbox::aws::contract::{ApiError, Caller};
use mooring_sandbox::aws::world::World;
use serde_json::{Value, json};

use crate::support::*;

const ACTIONS: &[&str] = &["sts:AssumeRole", "sts:TagSession"];

fn assume(world: &World, caller: &Caller, arn: &str) -> Result<Value, ApiError> {
    sts(
        world,
        caller,
        "AssumeRole",
        json!({"RoleArn": arn, "RoleSessionName": "session"}),
    )
}

fn denied(caller: &Caller, action: &str, arn: &str, why: &str) -> String {
    format!(
        "User: {} is not authorized to perform: {action} on resource: {arn}{why}",
        caller.arn
    )
}

/// Trust in the hub's root with `aws:PrincipalArn`, as DESIGN.md has it for deployer roles.
fn deployer_trust(principal: &str) -> String {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": root_of(HUB), "Action": ACTIONS,
        "Condition": {"ArnEquals": {"aws:PrincipalArn": principal}}}]})
    .to_string()
}

#[test]
fn a_session_is_who_it_says() {
    let world = world();
    let management = actor(&world, HUB, "management", &allow(ACTIONS, "*"));
    let deployer = role(&world, SPOKE, "/mooring/hub/", "deployer", &trust_of(&root_of(HUB)));
    let answer = assume(&world, &management, &deployer).unwrap();
    let id = world.principal_id(&deployer).unwrap();
    assert_eq!(
        answer["AssumedRoleUser"]["Arn"],
        "arn:aws:sts::222222222222:assumed-role/deployer/session"
    );
    assert_eq!(answer["AssumedRoleUser"]["AssumedRoleId"], format!("{id}:session"));
    assert!(answer.get("PackedPolicySize").is_none());
    let key = answer["Credentials"]["AccessKeyId"].as_str().unwrap();
    assert!(key.starts_with("ASIA") && key.len() == 20, "{key}");
    let record = world.credentials(key).unwrap();
    assert_eq!(
        record.session_token.as_deref(),
        answer["Credentials"]["SessionToken"].as_str()
    );
    let lasts = record.expiration.unwrap().as_second() - world.now().as_second();
    assert!((3_595..=3_600).contains(&lasts), "{lasts}");
    let identity = sts(&world, &record.caller, "GetCallerIdentity", json!({})).unwrap();
    assert_eq!(
        identity,
        json!({"UserId": format!("{id}:session"), "Account": SPOKE,
        "Arn": "arn:aws:sts::222222222222:assumed-role/deployer/session"})
    );
    let mut keys = std::collections::BTreeSet::new();
    assert!((0..100).all(|_| {
        keys.insert(assume(&world, &management, &deployer).unwrap()["Credentials"]["AccessKeyId"].to_string())
    }));
}

/// "No permissions are required", and an explicit deny does not stop it (`GetCallerIdentity`).
#[test]
fn get_caller_identity_needs_no_permission() {
    let world = world();
    let caller = actor(
        &world,
        HUB,
        "nobody",
        &json!({"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}).to_string(),
    );
    iam(
        &world,
        &root(&world, HUB),
        "PutRolePermissionsBoundary",
        json!({"RoleName": "nobody", "PermissionsBoundary": DENY_ALL}),
    )
    .unwrap();
    assert_eq!(
        sts(&world, &caller, "GetCallerIdentity", json!({})).unwrap()["Account"],
        HUB
    );
    let root = root(&world, SPOKE);
    let identity = sts(&world, &root, "GetCallerIdentity", json!({})).unwrap();
    assert_eq!(
        identity,
        json!({"UserId": SPOKE, "Account": SPOKE, "Arn": "arn:aws:iam::222222222222:root"})
    );
}

/// Across accounts both sides must allow, and the refusal names no policy type.
#[test]
fn across_accounts_both_sides_are_needed() {
    let world = world();
    let management = actor(
        &world,
        HUB,
        "management",
        &allow(ACTIONS, "arn:aws:iam::222222222222:role/mooring/*"),
    );
    let other = actor(&world, HUB, "other", &allow(ACTIONS, "*"));
    let idle = actor(&world, HUB, "idle", &allow(&["iam:GetRole"], "*"));
    let arn = |name: &str| format!("arn:aws:iam::111111111111:role/{name}");
    let deployer = role(
        &world,
        SPOKE,
        "/mooring/",
        "deployer",
        &deployer_trust(&arn("management")),
    );
    let elsewhere = role(&world, SPOKE, "/", "elsewhere", &deployer_trust(&arn("management")));
    let named = role(
        &world,
        SPOKE,
        "/mooring/",
        "named",
        &trust_of(&json!({"AWS": arn("idle")})),
    );
    assume(&world, &management, &deployer).unwrap();
    for (caller, arn) in [
        (&other, &deployer),
        (&management, &elsewhere),
        (&idle, &named),
        (&management, &named),
    ] {
        let refused = denied(caller, "sts:AssumeRole", arn, "");
        assert_refused(assume(&world, caller, arn), 403, "AccessDenied", &refused);
    }
}

/// In one account a trust policy that names the role needs no identity policy; naming the account's root does.
#[test]
fn within_an_account_a_named_role_needs_no_identity_policy() {
    let world = world();
    let caller = actor(&world, HUB, "caller", &allow(&["iam:GetRole"], "*"));
    let named = role(
        &world,
        HUB,
        "/",
        "named",
        &trust_of(&json!({"AWS": "arn:aws:iam::111111111111:role/caller"})),
    );
    let by_root = role(&world, HUB, "/", "by-root", &trust_of(&root_of(HUB)));
    let other = role(&world, HUB, "/", "other", &trust_of(&root_of(SPOKE)));
    let session = role(&world, HUB, "/", "session", &trust_of(&json!({"AWS": caller.arn})));
    assume(&world, &caller, &named).unwrap();
    assume(&world, &caller, &session).unwrap();
    let why = " because no identity-based policy allows the sts:AssumeRole action";
    assert_refused(
        assume(&world, &caller, &by_root),
        403,
        "AccessDenied",
        &denied(&caller, "sts:AssumeRole", &by_root, why),
    );
    let why = " because no role trust policy allows the sts:AssumeRole action";
    assert_refused(
        assume(&world, &caller, &other),
        403,
        "AccessDenied",
        &denied(&caller, "sts:AssumeRole", &other, why),
    );
    // "Resource-based policies that grant permissions to an IAM role ARN are limited by an implicit deny in a
    // permissions boundary"; those that name the session are not.
    let read = "arn:aws:iam::aws:policy/ReadOnlyAccess";
    iam(
        &world,
        &root(&world, HUB),
        "PutRolePermissionsBoundary",
        json!({"RoleName": "caller", "PermissionsBoundary": read}),
    )
    .unwrap();
    let why = " because no permissions boundary allows the sts:AssumeRole action";
    assert_refused(
        assume(&world, &caller, &named),
        403,
        "AccessDenied",
        &denied(&caller, "sts:AssumeRole", &named, why),
    );
    assume(&world, &caller, &session).unwrap();
    // An explicit deny wins over everything.
    iam(
        &world,
        &root(&world, HUB),
        "PutRolePermissionsBoundary",
        json!({"RoleName": "caller", "PermissionsBoundary": DENY_ALL}),
    )
    .unwrap();
    let why = " with an explicit deny in a permissions boundary";
    assert_refused(
        assume(&world, &caller, &session),
        403,
        "AccessDenied",
        &denied(&caller, "sts:AssumeRole", &session, why),
    );
}

/// A trust policy pinned to a role's unique ID does not let a new role of the same name in; `aws:PrincipalArn` does.
#[test]
fn a_recreated_role_is_another_principal() {
    let world = world();
    actor(&world, HUB, "management", &allow(ACTIONS, "*"));
    let arn = "arn:aws:iam::111111111111:role/management";
    let pinned = role(&world, SPOKE, "/", "pinned", &trust_of(&json!({"AWS": arn})));
    let by_arn = role(&world, SPOKE, "/", "by-arn", &deployer_trust(arn));
    let hub = root(&world, HUB);
    iam(
        &world,
        &hub,
        "DeleteRolePolicy",
        json!({"RoleName": "management", "PolicyName": "grant"}),
    )
    .unwrap();
    iam(&world, &hub, "DeleteRole", json!({"RoleName": "management"})).unwrap();
    let again = actor(&world, HUB, "management", &allow(ACTIONS, "*"));
    assert_eq!(refusal(assume(&world, &again, &pinned)).1, "AccessDenied");
    assume(&world, &again, &by_arn).unwrap();
}

/// A session of a role that is gone may do nothing, but is still who it was.
#[test]
fn sessions_outlive_their_role_without_its_rights() {
    let world = world();
    let caller = actor(&world, HUB, "short", &allow(&["iam:GetRole"], "*"));
    iam(&world, &caller, "GetRole", json!({"RoleName": "short"})).unwrap();
    let root = root(&world, HUB);
    iam(
        &world,
        &root,
        "DeleteRolePolicy",
        json!({"RoleName": "short", "PolicyName": "grant"}),
    )
    .unwrap();
    iam(&world, &root, "DeleteRole", json!({"RoleName": "short"})).unwrap();
    actor(&world, HUB, "short", &allow(&["iam:GetRole"], "*"));
    assert_eq!(
        refusal(iam(&world, &caller, "GetRole", json!({"RoleName": "short"}))).1,
        "AccessDenied"
    );
    sts(&world, &caller, "GetCallerIdentity", json!({})).unwrap();
}

/// A missing role, an unknown account and the root user are refused alike, with `AccessDenied`.
#[test]
fn what_cannot_be_assumed_at_all() {
    let world = world();
    let caller = actor(&world, HUB, "caller", &allow(ACTIONS, "*"));
    for missing in [
        "arn:aws:iam::222222222222:role/none",
        "arn:aws:iam::999999999999:role/none",
    ] {
        let refused = denied(&caller, "sts:AssumeRole", missing, "");
        assert_refused(assume(&world, &caller, missing), 403, "AccessDenied", &refused);
    }
    let by_root = role(&world, HUB, "/", "by-root", &trust_of(&root_of(HUB)));
    let refused = "Roles may not be assumed by root accounts.";
    assert_refused(
        assume(&world, &root(&world, HUB), &by_root),
        403,
        "AccessDenied",
        refused,
    );
}

/// The external ID stops the confused deputy (IAM user guide, confused-deputy).
#[test]
fn an_external_id_is_asked_for() {
    let world = world();
    let caller = actor(&world, HUB, "caller", &allow(ACTIONS, "*"));
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": root_of(HUB), "Action": ACTIONS,
        "Condition": {"StringEquals": {"sts:ExternalId": "tenant-1"}}}]});
    let arn = role(&world, SPOKE, "/", "guarded", &trust.to_string());
    let with = |id: &str| json!({"RoleArn": arn, "RoleSessionName": "session", "ExternalId": id});
    assert_eq!(refusal(assume(&world, &caller, &arn)).1, "AccessDenied");
    assert_eq!(
        refusal(sts(&world, &caller, "AssumeRole", with("tenant-2"))).1,
        "AccessDenied"
    );
    sts(&world, &caller, "AssumeRole", with("tenant-1")).unwrap();
}

/// "If you assume a role using role chaining and provide a `DurationSeconds` value greater than one hour, the operation
/// fails", and the role's own maximum holds.
#[test]
fn durations() {
    let world = world();
    let caller = actor(&world, HUB, "caller", &allow(ACTIONS, "*"));
    let arn = role(&world, SPOKE, "/", "r", &trust_of(&root_of(HUB)));
    iam(
        &world,
        &root(&world, SPOKE),
        "UpdateRole",
        json!({"RoleName": "r", "MaxSessionDuration": 43_200}),
    )
    .unwrap();
    let lasting = |seconds: i64| json!({"RoleArn": arn, "RoleSessionName": "session", "DurationSeconds": seconds});
    let refused = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.";
    assert_refused(
        sts(&world, &caller, "AssumeRole", lasting(3_601)),
        400,
        "ValidationError",
        refused,
    );
    let answer = sts(&world, &caller, "AssumeRole", lasting(900)).unwrap();
    let key = answer["Credentials"]["AccessKeyId"].as_str().unwrap();
    let lasts = world.credentials(key).unwrap().expiration.unwrap().as_second() - world.now().as_second();
    assert!((895..=900).contains(&lasts), "{lasts}");
}

/// Tags need `sts:TagSession` on both sides; transitive ones are handed down and need it again (IAM user guide,
/// `id_session-tags`).
#[test]
fn session_tags_are_permitted_handed_down_and_asked_for() {
    let world = world();
    let first = actor(&world, HUB, "first", &allow(ACTIONS, "*"));
    let untagging = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": root_of(HUB), "Action": "sts:AssumeRole"}]}).to_string();
    let second = role(&world, HUB, "/", "second", &trust_of(&root_of(HUB)));
    grant(&world, HUB, "second", &allow(ACTIONS, "*"));
    let plain = role(&world, SPOKE, "/", "plain", &untagging);
    let team = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": root_of(HUB), "Action": ACTIONS,
        "Condition": {"StringEquals": {"aws:PrincipalTag/team": "blue", "aws:RequestTag/team": "blue"}}}]});
    let tagging = role(&world, SPOKE, "/", "tagging", &team.to_string());
    let tagged = |arn: &str, transitive: &[&str]| json!({"RoleArn": arn, "RoleSessionName": "session", "Tags": [{"Key": "team", "Value": "blue"}, {"Key": "shift", "Value": "late"}], "TransitiveTagKeys": transitive});
    assert_eq!(
        refusal(sts(&world, &first, "AssumeRole", tagged(&plain, &[]))).1,
        "AccessDenied"
    );
    assume(&world, &first, &plain).unwrap();

    let answer = sts(&world, &first, "AssumeRole", tagged(&second, &["team"])).unwrap();
    assert!(answer["PackedPolicySize"].as_u64().unwrap() > 0);
    let inner = assumed(&world, &answer);
    let refused = denied(&inner, "sts:TagSession", &plain, "");
    assert_refused(assume(&world, &inner, &plain), 403, "AccessDenied", &refused);
    let last = assumed(&world, &assume(&world, &inner, &tagging).unwrap());
    assert_eq!(
        last.session.unwrap().tags,
        [("team".to_owned(), "blue".to_owned())].into()
    );

    let conflict = sts(&world, &inner, "AssumeRole", tagged(&tagging, &[]));
    assert_eq!(refusal(conflict).1, "InvalidParameterValue");
    let unknown = sts(&world, &first, "AssumeRole", tagged(&second, &["absent"]));
    assert_eq!(refusal(unknown).1, "InvalidParameterValue");
}

/// A session has what the role's policies and the session policy both allow, and a policy fits in 2,048 characters.
#[test]
fn session_policies_limit_a_session() {
    let world = world();
    let caller = actor(&world, HUB, "caller", &allow(ACTIONS, "*"));
    let arn = role(&world, SPOKE, "/", "provisioner", &trust_of(&root_of(HUB)));
    grant(
        &world,
        SPOKE,
        "provisioner",
        &allow(&["iam:GetRole", "iam:ListRolePolicies"], "*"),
    );
    let with = |policy: &str| json!({"RoleArn": arn, "RoleSessionName": "session", "Policy": policy});
    let session = sts(
        &world,
        &caller,
        "AssumeRole",
        with(&allow(
            &["iam:GetRole", "iam:DeleteRole"],
            "arn:aws:iam::222222222222:role/provisioner",
        )),
    )
    .unwrap();
    let session = assumed(&world, &session);
    let name = json!({"RoleName": "provisioner"});
    iam(&world, &session, "GetRole", name.clone()).unwrap();
    let why = |action: &str, policy: &str| {
        format!(
            "User: {} is not authorized to perform: {action} on resource: role provisioner because no {policy} allows the {action} action",
            session.arn
        )
    };
    let refused = why("iam:ListRolePolicies", "session policy");
    assert_refused(
        iam(&world, &session, "ListRolePolicies", name.clone()),
        403,
        "AccessDenied",
        &refused,
    );
    let refused = why("iam:DeleteRole", "identity-based policy");
    assert_refused(
        iam(&world, &session, "DeleteRole", name.clone()),
        403,
        "AccessDenied",
        &refused,
    );

    let managed = json!({"RoleArn": arn, "RoleSessionName": "session", "PolicyArns": [{"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}]});
    let session = assumed(&world, &sts(&world, &caller, "AssumeRole", managed).unwrap());
    iam(&world, &session, "ListRolePolicies", name).unwrap();

    let long = allow(
        &["iam:GetRole"],
        &format!("arn:aws:iam::222222222222:role/{}", "x".repeat(2_048)),
    );
    let (status, code, message) = refusal(sts(&world, &caller, "AssumeRole", with(&long)));
    assert_eq!((status, code), (400, "PackedPolicyTooLarge"));
    assert!(message.starts_with("Packed policy consumes 10"), "{message}");
    let broken = sts(&world, &caller, "AssumeRole", with("{\"Version\":\"2012-10-17\"}"));
    assert_eq!(refusal(broken).1, "MalformedPolicyDocument");
}

/// What a session carries makes its token longer, up to 4,096 bytes.
#[test]
fn tokens_grow_with_what_they_carry() {
    let world = world();
    let caller = actor(&world, HUB, "caller", &allow(ACTIONS, "*"));
    let arn = role(&world, SPOKE, "/", "r", &trust_of(&root_of(HUB)));
    let size = |input: Value| {
        let answer = sts(&world, &caller, "AssumeRole", input).unwrap();
        let size = answer["Credentials"]["SessionToken"].as_str().unwrap().len();
        assert_eq!(answer["SessionTokenSize"], json!(size));
        size
    };
    let plain = size(json!({"RoleArn": arn, "RoleSessionName": "session"}));
    let tagged =
        size(json!({"RoleArn": arn, "RoleSessionName": "session", "Tags": [{"Key": "k", "Value": "v".repeat(200)}]}));
    assert!(tagged > plain + 190);
    assert_eq!(
        size(json!({"RoleArn": arn, "RoleSessionName": "session", "MinimumSessionTokenSize": 3_000})),
        3_000
    );
}

const CLUSTER: &str = "arn:aws:eks:eu-west-1:111111111111:cluster/hub";

fn pod_trust(actions: &[&str]) -> String {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": actions,
        "Condition": {
            "StringEquals": {"aws:SourceAccount": HUB, "aws:RequestTag/kubernetes-namespace": "argocd", "aws:RequestTag/kubernetes-service-account": ["argocd-server"]},
            "ArnEquals": {"aws:RequestTag/eks-cluster-arn": CLUSTER, "aws:SourceArn": CLUSTER}}}]})
    .to_string()
}

/// Pod Identity needs both actions, and its six tags go along (EKS user guide, pod-id-abac).
#[test]
fn pod_identity() {
    let world = world();
    let arn = role(&world, HUB, "/", "management", &pod_trust(ACTIONS));
    grant(&world, HUB, "management", &allow(ACTIONS, "*"));
    let half = role(&world, HUB, "/", "half", &pod_trust(&["sts:AssumeRole"]));
    let credentials = world
        .assume_for_pod(&arn, CLUSTER, "argocd", "argocd-server", "argocd-server-0")
        .unwrap();
    let caller = caller(&world, &credentials);
    let session = caller.session.clone().unwrap();
    assert!(!session.chained);
    assert_eq!(session.transitive.len(), 6);
    assert_eq!(session.tags["eks-cluster-name"], "hub");
    assert!(session.session_name.starts_with("eks-hub-argocd-server-0-") && session.session_name.len() <= 64);

    let service =
        |namespace, account, arn: &str| world.assume_for_pod(arn, CLUSTER, namespace, account, "p").unwrap_err();
    assert_eq!(service("other", "argocd-server", &arn).code, "AccessDenied");
    assert_eq!(service("argocd", "other", &arn).code, "AccessDenied");
    assert!(
        service("argocd", "argocd-server", &half)
            .message
            .contains("sts:TagSession")
    );
    assert_eq!(
        service("argocd", "argocd-server", "arn:aws:iam::111111111111:role/none").code,
        "AccessDenied"
    );

    let untagging = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": root_of(HUB), "Action": "sts:AssumeRole"}]});
    let plain = role(&world, SPOKE, "/", "plain", &untagging.to_string());
    let deployer = role(&world, SPOKE, "/", "deployer", &deployer_trust(&arn));
    let refused = denied(&caller, "sts:TagSession", &plain, "");
    assert_refused(assume(&world, &caller, &plain), 403, "AccessDenied", &refused);
    assume(&world, &caller, &deployer).unwrap();
}
