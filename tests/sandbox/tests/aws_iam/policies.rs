//! Customer managed policies.

use serde_json::json;

use crate::support::*;

#[test]
fn a_managed_policy_through_its_life() {
    let world = world();
    let root = root(&world, HUB);
    let create = json!({"PolicyName": "boundary", "Path": "/mooring/", "PolicyDocument": allow(&["sts:AssumeRole"], "*"), "Tags": [{"Key": "k", "Value": "v"}]});
    let made = iam(&world, &root, "CreatePolicy", create.clone()).unwrap();
    let arn = made["Policy"]["Arn"].as_str().unwrap();
    assert_eq!(arn, "arn:aws:iam::111111111111:policy/mooring/boundary");
    let refused = "A policy called boundary already exists. Duplicate names are not allowed.";
    assert_refused(
        iam(&world, &root, "CreatePolicy", create),
        409,
        "EntityAlreadyExists",
        refused,
    );

    role(&world, HUB, "/", "r", &trust_of(&root_of(HUB)));
    iam(
        &world,
        &root,
        "AttachRolePolicy",
        json!({"RoleName": "r", "PolicyArn": arn}),
    )
    .unwrap();
    iam(
        &world,
        &root,
        "PutRolePermissionsBoundary",
        json!({"RoleName": "r", "PermissionsBoundary": arn}),
    )
    .unwrap();
    let shown = iam(&world, &root, "GetPolicy", json!({"PolicyArn": arn})).unwrap()["Policy"].clone();
    assert_eq!(
        (&shown["AttachmentCount"], &shown["PermissionsBoundaryUsageCount"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(shown["Tags"], json!([{"Key": "k", "Value": "v"}]));
    let attached = iam(&world, &root, "ListAttachedRolePolicies", json!({"RoleName": "r"})).unwrap();
    assert_eq!(
        attached["AttachedPolicies"],
        json!([{"PolicyName": "boundary", "PolicyArn": arn}])
    );
    let elsewhere = json!({"RoleName": "r", "PathPrefix": "/other/"});
    assert_eq!(
        iam(&world, &root, "ListAttachedRolePolicies", elsewhere).unwrap()["AttachedPolicies"],
        json!([])
    );

    let delete = json!({"PolicyArn": arn});
    let refused = "Cannot delete a policy attached to entities.";
    assert_refused(
        iam(&world, &root, "DeletePolicy", delete.clone()),
        409,
        "DeleteConflict",
        refused,
    );
    iam(
        &world,
        &root,
        "DetachRolePolicy",
        json!({"RoleName": "r", "PolicyArn": arn}),
    )
    .unwrap();
    assert_refused(
        iam(&world, &root, "DeletePolicy", delete.clone()),
        409,
        "DeleteConflict",
        refused,
    );
    iam(&world, &root, "DeleteRolePermissionsBoundary", json!({"RoleName": "r"})).unwrap();

    iam(&world, &root, "DeletePolicy", delete.clone()).unwrap();
    let refused = format!("Policy {arn} was not found.");
    assert_refused(iam(&world, &root, "GetPolicy", delete), 404, "NoSuchEntity", &refused);
}

#[test]
fn versions_of_a_managed_policy() {
    let world = world();
    let root = root(&world, HUB);
    let create = json!({"PolicyName": "p", "PolicyDocument": allow(&["sts:AssumeRole"], "*")});
    let made = iam(&world, &root, "CreatePolicy", create).unwrap();
    let arn = made["Policy"]["Arn"].as_str().unwrap();
    let delete = json!({"PolicyArn": arn});
    let version = json!({"PolicyArn": arn, "PolicyDocument": allow(&["sts:TagSession"], "*")});
    iam(&world, &root, "CreatePolicyVersion", version).unwrap();
    let get = |id: &str| {
        iam(
            &world,
            &root,
            "GetPolicyVersion",
            json!({"PolicyArn": arn, "VersionId": id}),
        )
    };
    let second = get("v2").unwrap()["PolicyVersion"].clone();
    assert_eq!(second["IsDefaultVersion"], false);
    assert_eq!(
        decoded(&second["Document"])["Statement"][0]["Action"],
        json!(["sts:TagSession"])
    );
    assert_eq!(refusal(get("v3")).1, "NoSuchEntity");
    let listed = iam(&world, &root, "ListPolicyVersions", delete.clone()).unwrap();
    let listed: Vec<_> = listed["Versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| &v["VersionId"])
        .collect();
    assert_eq!(listed, ["v2", "v1"]);
    assert_eq!(
        refusal(iam(&world, &root, "DeletePolicy", delete.clone())).1,
        "DeleteConflict"
    );
    let default = iam(
        &world,
        &root,
        "DeletePolicyVersion",
        json!({"PolicyArn": arn, "VersionId": "v1"}),
    );
    assert_eq!(refusal(default).1, "DeleteConflict");
    iam(
        &world,
        &root,
        "DeletePolicyVersion",
        json!({"PolicyArn": arn, "VersionId": "v2"}),
    )
    .unwrap();
    iam(&world, &root, "DeletePolicy", delete).unwrap();
}

#[test]
fn policies_of_aws_are_there_and_stay_as_they_are() {
    let world = world();
    let root = root(&world, HUB);
    for name in ["AWSDenyAll", "AdministratorAccess", "ReadOnlyAccess"] {
        let arn = format!("arn:aws:iam::aws:policy/{name}");
        let shown = iam(&world, &root, "GetPolicy", json!({"PolicyArn": arn})).unwrap();
        assert_eq!(shown["Policy"]["PolicyName"], name);
        let version = json!({"PolicyArn": arn, "PolicyDocument": allow(&["iam:GetRole"], "*")});
        assert_eq!(
            refusal(iam(&world, &root, "CreatePolicyVersion", version)).1,
            "AccessDenied"
        );
    }
    role(&world, HUB, "/", "r", &trust_of(&root_of(HUB)));
    let attach = json!({"RoleName": "r", "PolicyArn": "arn:aws:iam::aws:policy/None"});
    let refused = "Policy arn:aws:iam::aws:policy/None does not exist or is not attachable.";
    assert_refused(
        iam(&world, &root, "AttachRolePolicy", attach),
        404,
        "NoSuchEntity",
        refused,
    );
    let detach = json!({"RoleName": "r", "PolicyArn": DENY_ALL});
    let refused = format!("Policy {DENY_ALL} was not found.");
    assert_refused(
        iam(&world, &root, "DetachRolePolicy", detach),
        404,
        "NoSuchEntity",
        &refused,
    );
}
