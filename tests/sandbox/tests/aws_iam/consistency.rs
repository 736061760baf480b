//! "Changes that you make in IAM ... take time to become visible" (IAM user guide, `troubleshoot_general`).

use std::time::Duration;

use serde_json::json;

use crate::support::*;

const DELAY: Duration = Duration::from_secs(10);

#[test]
fn reads_are_stale_until_a_write_has_arrived() {
    let world = with(DELAY);
    let root = root(&world, HUB);
    role(&world, HUB, "/", "r", &trust_of(&root_of(HUB)));
    assert_eq!(get_role(&world, HUB, "r").unwrap_err().code, "NoSuchEntity");
    let again = json!({"RoleName": "r", "AssumeRolePolicyDocument": trust_of(&root_of(HUB))});
    assert_eq!(
        refusal(iam(&world, &root, "CreateRole", again)).1,
        "EntityAlreadyExists"
    );
    world.advance(DELAY);
    assert!(get_role(&world, HUB, "r").is_ok());
    let update = json!({"RoleName": "r", "PolicyDocument": trust_of(&root_of(SPOKE))});
    iam(&world, &root, "UpdateAssumeRolePolicy", update).unwrap();
    let principal = |world: &_| shown_trust(world, HUB, "r")["Statement"][0]["Principal"].clone();
    assert_eq!(principal(&world), root_of(HUB));
    world.advance(DELAY);
    assert_eq!(principal(&world), root_of(SPOKE));
    iam(&world, &root, "DeleteRole", json!({"RoleName": "r"})).unwrap();
    assert!(get_role(&world, HUB, "r").is_ok());
    assert_eq!(
        refusal(iam(&world, &root, "DeleteRole", json!({"RoleName": "r"}))).1,
        "NoSuchEntity"
    );
    world.advance(DELAY);
    assert_eq!(get_role(&world, HUB, "r").unwrap_err().code, "NoSuchEntity");
}

/// A role that was just made is an invalid principal for a while, in trust policies and for EKS.
#[test]
fn a_new_role_is_no_principal_yet() {
    let world = with(DELAY);
    let arn = role(&world, HUB, "/", "management", &trust_of(&root_of(HUB)));
    let create = json!({"RoleName": "deployer", "AssumeRolePolicyDocument": trust_of(&json!({"AWS": arn}))});
    let refused = format!("Invalid principal in policy: \"AWS\":\"{arn}\"");
    let spoke = root(&world, SPOKE);
    assert_refused(
        iam(&world, &spoke, "CreateRole", create.clone()),
        400,
        "MalformedPolicyDocument",
        &refused,
    );
    assert_eq!(world.principal_id(&arn), None);
    world.advance(DELAY);
    let id = world.principal_id(&arn).unwrap();
    assert_eq!(world.principal_arn(&id), Some(arn));
    iam(&world, &spoke, "CreateRole", create).unwrap();
}

/// Policies count from when they have arrived.
#[test]
fn a_new_permission_does_not_count_yet() {
    let world = with(DELAY);
    let arn = role(&world, HUB, "/", "r", &trust_of(&root_of(HUB)));
    let caller = caller(&world, &world.session_credentials(&arn, "test", &[]).unwrap());
    world.advance(DELAY);
    grant(&world, HUB, "r", &allow(&["iam:GetRole"], "*"));
    let get = || iam(&world, &caller, "GetRole", json!({"RoleName": "r"}));
    assert_eq!(refusal(get()).1, "AccessDenied");
    world.advance(DELAY);
    get().unwrap();
    iam(
        &world,
        &root(&world, HUB),
        "DeleteRolePolicy",
        json!({"RoleName": "r", "PolicyName": "grant"}),
    )
    .unwrap();
    get().unwrap();
    world.advance(DELAY);
    assert_eq!(refusal(get()).1, "AccessDenied");
}
