//! Instance profiles.

use serde_json::json;

use crate::support::*;

/// "An instance profile can contain only one role" (IAM user guide, "Use instance profiles"), and a role may be in several.
#[test]
fn a_role_is_listed_with_every_profile_that_holds_it_and_not_deleted_before() {
    let world = world();
    let root = root(&world, SPOKE);
    role(&world, SPOKE, "/x/", "web", &trust_of(&root_of(SPOKE)));
    role(&world, SPOKE, "/", "other", &trust_of(&root_of(SPOKE)));
    let call = |operation: &str, input| iam(&world, &root, operation, input);
    for name in ["one", "two", "three"] {
        call(
            "CreateInstanceProfile",
            json!({"InstanceProfileName": name, "Path": "/p/"}),
        )
        .unwrap();
        if name != "three" {
            let input = json!({"InstanceProfileName": name, "RoleName": "web"});
            call("AddRoleToInstanceProfile", input).unwrap();
        }
    }
    let again = json!({"InstanceProfileName": "ONE", "RoleName": "other"});
    let refused = "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1";
    assert_refused(call("AddRoleToInstanceProfile", again), 409, "LimitExceeded", refused);

    let page = call("ListInstanceProfilesForRole", json!({"RoleName": "WEB", "MaxItems": 1})).unwrap();
    let first = &page["InstanceProfiles"][0];
    assert_eq!(first["Arn"], format!("arn:aws:iam::{SPOKE}:instance-profile/p/one"));
    assert_eq!(first["Roles"][0]["Arn"], format!("arn:aws:iam::{SPOKE}:role/x/web"));
    assert!(first["InstanceProfileId"].as_str().unwrap().starts_with("AIPA"));
    assert_eq!(page["IsTruncated"], true);
    let rest = json!({"RoleName": "web", "Marker": page["Marker"]});
    let rest = call("ListInstanceProfilesForRole", rest).unwrap();
    assert_eq!(rest["InstanceProfiles"][0]["InstanceProfileName"], "two");
    let none = call("ListInstanceProfilesForRole", json!({"RoleName": "other"})).unwrap();
    assert_eq!(
        (&none["InstanceProfiles"], &none["IsTruncated"]),
        (&json!([]), &json!(false))
    );

    let refused = "Cannot delete entity, must remove roles from instance profile first.";
    assert_refused(
        call("DeleteRole", json!({"RoleName": "web"})),
        409,
        "DeleteConflict",
        refused,
    );
    let one = json!({"InstanceProfileName": "one"});
    assert_refused(
        call("DeleteInstanceProfile", one.clone()),
        409,
        "DeleteConflict",
        refused,
    );
    for name in ["one", "two"] {
        let input = json!({"InstanceProfileName": name, "RoleName": "web"});
        call("RemoveRoleFromInstanceProfile", input.clone()).unwrap();
        assert_eq!(refusal(call("RemoveRoleFromInstanceProfile", input)).1, "NoSuchEntity");
    }
    call("DeleteInstanceProfile", one).unwrap();
    call("DeleteRole", json!({"RoleName": "web"})).unwrap();
}

/// Reading the profiles of a role is judged on the role, putting one in on both (service authorization reference, IAM).
#[test]
fn who_reads_needs_the_role_and_who_puts_a_role_in_passes_it() {
    let world = world();
    let (web, profile) = (
        role(&world, SPOKE, "/x/", "web", &trust_of(&root_of(SPOKE))),
        format!("arn:aws:iam::{SPOKE}:instance-profile/p"),
    );
    let root = root(&world, SPOKE);
    iam(
        &world,
        &root,
        "CreateInstanceProfile",
        json!({"InstanceProfileName": "p"}),
    )
    .unwrap();
    let reads = |name: &str, resource: &str| {
        let policy = allow(&["iam:ListInstanceProfilesForRole"], resource);
        let caller = actor(&world, SPOKE, name, &policy);
        iam(
            &world,
            &caller,
            "ListInstanceProfilesForRole",
            json!({"RoleName": "web"}),
        )
        .is_ok()
    };
    assert!(reads("reader", &web) && !reads("stranger", "arn:aws:iam::222222222222:role/y/*"));
    let adds = |name: &str, actions: &[&str], resource: &str| {
        let caller = actor(&world, SPOKE, name, &allow(actions, resource));
        let input = json!({"InstanceProfileName": "p", "RoleName": "web"});
        iam(&world, &caller, "AddRoleToInstanceProfile", input).is_ok()
    };
    assert!(!adds("no-pass", &["iam:AddRoleToInstanceProfile"], &profile));
    assert!(adds("both", &["iam:AddRoleToInstanceProfile", "iam:PassRole"], "*"));
}
