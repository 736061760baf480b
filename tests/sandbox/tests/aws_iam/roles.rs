//! Roles: names, members, deletion, tags, paging.

use serde_json::json;

use crate::support::*;

fn create(name: &str, path: &str) -> serde_json::Value {
    json!({"RoleName": name, "Path": path, "AssumeRolePolicyDocument": trust_of(&root_of(HUB))})
}

/// "Names are not distinguished by case", and the path is no part of uniqueness (`CreateRole`, `RoleName`).
#[test]
fn names_are_unique_without_case_and_path() {
    let world = world();
    let root = root(&world, HUB);
    iam(&world, &root, "CreateRole", create("Deployer", "/one/")).unwrap();
    assert_refused(
        iam(&world, &root, "CreateRole", create("dePLOYer", "/two/")),
        409,
        "EntityAlreadyExists",
        "Role with name dePLOYer already exists.",
    );
    let found = get_role(&world, HUB, "DEPLOYER").unwrap();
    assert_eq!(found["RoleName"], "Deployer");
    assert_eq!(found["Arn"], format!("arn:aws:iam::{HUB}:role/one/Deployer"));
    assert_refused(
        get_role(&world, SPOKE, "Deployer"),
        404,
        "NoSuchEntity",
        "The role with name Deployer cannot be found.",
    );
}

/// `GetRole` gives what was asked for at creation, and the document URL-encoded per RFC 3986.
#[test]
fn a_role_is_shown_with_all_its_members() {
    let world = world();
    let root = root(&world, HUB);
    let mut input = create("full", "/team+a/");
    input["Description"] = json!("for a test");
    input["MaxSessionDuration"] = json!(7_200);
    input["PermissionsBoundary"] = json!(DENY_ALL);
    input["Tags"] = json!([{"Key": "Owner", "Value": "platform"}]);
    let made = iam(&world, &root, "CreateRole", input).unwrap();
    let shown = get_role(&world, HUB, "full").unwrap();
    assert_eq!(shown["RoleId"], made["Role"]["RoleId"]);
    assert_eq!(shown["Description"], "for a test");
    assert_eq!(shown["MaxSessionDuration"], 7_200);
    assert_eq!(shown["PermissionsBoundary"]["PermissionsBoundaryArn"], DENY_ALL);
    assert_eq!(shown["Tags"], json!([{"Key": "Owner", "Value": "platform"}]));
    assert_eq!(shown["RoleLastUsed"], json!({}));
    assert!(made["Role"].get("RoleLastUsed").is_none());
    let text = shown["AssumeRolePolicyDocument"].as_str().unwrap();
    assert!(
        text.starts_with("%7B%22") && text.contains("sts%3AAssumeRole"),
        "{text}"
    );
    assert!(
        text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)),
        "{text}"
    );
    let created = shown["CreateDate"].as_str().unwrap();
    assert!(
        created.ends_with('Z') && created.parse::<jiff::Timestamp>().is_ok(),
        "{created}"
    );
}

/// A unique ID is AROA and seventeen letters and digits; it does not come back with the name.
#[test]
fn role_ids_are_never_used_again() {
    let world = world();
    let root = root(&world, HUB);
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let made = iam(&world, &root, "CreateRole", create("again", "/")).unwrap();
        let id = made["Role"]["RoleId"].as_str().unwrap().to_owned();
        assert!(id.starts_with("AROA") && id.len() == 21, "{id}");
        assert!(id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()), "{id}");
        assert!(ids.insert(id));
        iam(&world, &root, "DeleteRole", json!({"RoleName": "again"})).unwrap();
    }
}

#[test]
fn update_role_changes_what_it_is_given_and_keeps_the_rest() {
    let world = world();
    let root = root(&world, HUB);
    iam(&world, &root, "CreateRole", create("r", "/")).unwrap();
    iam(
        &world,
        &root,
        "UpdateRole",
        json!({"RoleName": "r", "Description": "new"}),
    )
    .unwrap();
    iam(
        &world,
        &root,
        "UpdateRole",
        json!({"RoleName": "r", "MaxSessionDuration": 43_200}),
    )
    .unwrap();
    let shown = get_role(&world, HUB, "r").unwrap();
    assert_eq!(
        (&shown["Description"], &shown["MaxSessionDuration"]),
        (&json!("new"), &json!(43_200))
    );
    assert_refused(
        iam(&world, &root, "UpdateRole", json!({"RoleName": "other"})),
        404,
        "NoSuchEntity",
        "The role with name other cannot be found.",
    );
}

/// "Before attempting to delete a role, remove the following attached items: inline policies, attached managed
/// policies" (`DeleteRole`).
#[test]
fn a_role_with_policies_is_not_deleted() {
    let world = world();
    let root = root(&world, HUB);
    iam(&world, &root, "CreateRole", create("r", "/")).unwrap();
    grant(&world, HUB, "r", &allow(&["iam:GetRole"], "*"));
    let name = json!({"RoleName": "r"});
    let attach = json!({"RoleName": "r", "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"});
    iam(&world, &root, "AttachRolePolicy", attach.clone()).unwrap();
    let refused = "Cannot delete entity, must detach all policies first.";
    assert_refused(
        iam(&world, &root, "DeleteRole", name.clone()),
        409,
        "DeleteConflict",
        refused,
    );
    iam(&world, &root, "DetachRolePolicy", attach).unwrap();
    let refused = "Cannot delete entity, must delete policies first.";
    assert_refused(
        iam(&world, &root, "DeleteRole", name.clone()),
        409,
        "DeleteConflict",
        refused,
    );
    iam(
        &world,
        &root,
        "DeleteRolePolicy",
        json!({"RoleName": "r", "PolicyName": "grant"}),
    )
    .unwrap();
    iam(&world, &root, "DeleteRole", name.clone()).unwrap();
    assert_eq!(refusal(iam(&world, &root, "DeleteRole", name)).1, "NoSuchEntity");
}

/// Tag keys keep their case but are not told apart by it (IAM user guide, `id_tags`).
#[test]
fn tags_of_a_role() {
    let world = world();
    let root = root(&world, HUB);
    iam(&world, &root, "CreateRole", create("r", "/")).unwrap();
    let tag = |key: &str, value: &str| json!({"RoleName": "r", "Tags": [{"Key": key, "Value": value}]});
    iam(&world, &root, "TagRole", tag("Team", "a")).unwrap();
    iam(&world, &root, "TagRole", tag("team", "b")).unwrap();
    iam(&world, &root, "TagRole", tag("Other", "c")).unwrap();
    let listed = iam(&world, &root, "ListRoleTags", json!({"RoleName": "r"})).unwrap();
    let expected = json!([{"Key": "team", "Value": "b"}, {"Key": "Other", "Value": "c"}]);
    assert_eq!((&listed["Tags"], &listed["IsTruncated"]), (&expected, &json!(false)));
    iam(
        &world,
        &root,
        "UntagRole",
        json!({"RoleName": "r", "TagKeys": ["TEAM", "absent"]}),
    )
    .unwrap();
    assert_eq!(
        get_role(&world, HUB, "r").unwrap()["Tags"],
        json!([{"Key": "Other", "Value": "c"}])
    );
    let twice = json!({"RoleName": "r", "Tags": [{"Key": "k", "Value": "1"}, {"Key": "K", "Value": "2"}]});
    let refused = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
    assert_refused(iam(&world, &root, "TagRole", twice), 400, "InvalidInput", refused);
    assert_eq!(
        refusal(iam(&world, &root, "TagRole", tag("aws:x", "y"))).1,
        "InvalidInput"
    );
}

/// Inline policies come back as they were sent, and their names in pages of `MaxItems`.
#[test]
fn inline_policies_and_paging() {
    let world = world();
    let root = root(&world, HUB);
    iam(&world, &root, "CreateRole", create("r", "/")).unwrap();
    let text = "{ \"Version\": \"2012-10-17\", \"Statement\": {\"Effect\":\"Allow\",\"Action\":\"s3:Get+*\",\"Resource\":\"*\"} }";
    for name in ["a", "b", "c", "d", "e"] {
        let input = json!({"RoleName": "r", "PolicyName": name, "PolicyDocument": text});
        iam(&world, &root, "PutRolePolicy", input).unwrap();
    }
    let got = iam(
        &world,
        &root,
        "GetRolePolicy",
        json!({"RoleName": "r", "PolicyName": "c"}),
    )
    .unwrap();
    let document = got["PolicyDocument"].as_str().unwrap();
    assert!(document.contains("s3%3AGet%2B%2A"), "{document}");
    assert_eq!(
        percent_encoding::percent_decode_str(document).decode_utf8().unwrap(),
        text
    );
    assert_refused(
        iam(
            &world,
            &root,
            "GetRolePolicy",
            json!({"RoleName": "r", "PolicyName": "x"}),
        ),
        404,
        "NoSuchEntity",
        "The role policy with name x cannot be found.",
    );
    let (mut names, mut marker) = (Vec::new(), None::<String>);
    loop {
        let mut input = json!({"RoleName": "r", "MaxItems": 2});
        if let Some(marker) = &marker {
            input["Marker"] = json!(marker);
        }
        let page = iam(&world, &root, "ListRolePolicies", input).unwrap();
        let found = page["PolicyNames"].as_array().unwrap();
        assert!(found.len() <= 2);
        names.extend(found.iter().map(|name| name.as_str().unwrap().to_owned()));
        marker = page["Marker"].as_str().map(str::to_owned);
        assert_eq!(page["IsTruncated"], json!(marker.is_some()));
        if marker.is_none() {
            break;
        }
    }
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
    let refused = iam(
        &world,
        &root,
        "ListRolePolicies",
        json!({"RoleName": "r", "Marker": "nonsense"}),
    );
    assert_eq!(refusal(refused).1, "ValidationError");
}

/// A boundary is a managed policy that exists, of the account or of AWS in the account's own partition.
#[test]
fn permissions_boundaries() {
    let world = world();
    let root = root(&world, HUB);
    iam(&world, &root, "CreateRole", create("r", "/")).unwrap();
    let put = |arn: &str| json!({"RoleName": "r", "PermissionsBoundary": arn});
    for missing in [
        "arn:aws:iam::aws:policy/NoSuchPolicy",
        "arn:aws-cn:iam::aws:policy/AWSDenyAll",
        "arn:aws:iam::111111111111:policy/none",
    ] {
        let refused = format!("Scope ARN: {missing} does not exist or is not attachable.");
        assert_refused(
            iam(&world, &root, "PutRolePermissionsBoundary", put(missing)),
            404,
            "NoSuchEntity",
            &refused,
        );
        let mut input = create("other", "/");
        input["PermissionsBoundary"] = json!(missing);
        assert_refused(iam(&world, &root, "CreateRole", input), 404, "NoSuchEntity", &refused);
    }
    iam(&world, &root, "PutRolePermissionsBoundary", put(DENY_ALL)).unwrap();
    let shown = get_role(&world, HUB, "r").unwrap();
    assert_eq!(shown["PermissionsBoundary"]["PermissionsBoundaryArn"], DENY_ALL);
    iam(&world, &root, "DeleteRolePermissionsBoundary", json!({"RoleName": "r"})).unwrap();
    assert!(get_role(&world, HUB, "r").unwrap().get("PermissionsBoundary").is_none());
    let again = iam(&world, &root, "DeleteRolePermissionsBoundary", json!({"RoleName": "r"}));
    assert_eq!(refusal(again).1, "NoSuchEntity");
}

/// Accounts of another partition have ARNs, AWS policies and principals of that partition alone.
#[test]
fn partitions_do_not_mix() {
    let world = world();
    world.add_account("444444444444", "aws-cn");
    let caller = root(&world, "444444444444");
    let mut request = request(
        mooring_sandbox::aws::contract::Service::Iam,
        Some(&caller),
        "CreateRole",
        &json!({"RoleName": "r", "PermissionsBoundary": "arn:aws-cn:iam::aws:policy/AWSDenyAll",
            "AssumeRolePolicyDocument": trust_of(&json!({"AWS": "arn:aws-cn:iam::444444444444:root"}))}),
    );
    assert_eq!(world.iam(&request).unwrap_err().code, "InvalidClientTokenId");
    request.partition = "aws-cn";
    let made = world.iam(&request).unwrap();
    assert_eq!(made["Role"]["Arn"], "arn:aws-cn:iam::444444444444:role/r");
    let policy = json!({"RoleName": "r", "PolicyName": "p", "PolicyDocument": allow(&["iam:GetRole"], "arn:aws:iam::444444444444:role/r")});
    request.operation = "PutRolePolicy";
    request.input = policy.as_object().unwrap().clone();
    let refused = world.iam(&request).unwrap_err();
    assert_eq!(
        refused.message,
        "Partition \"aws\" is not valid for resource \"arn:aws:iam::444444444444:role/r\"."
    );
}
