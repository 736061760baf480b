//! Quotas (IAM user guide, `reference_iam-quotas`): white space is not counted.

use std::time::Duration;

use mooring_sandbox::aws::world::{Settings, World};
use serde_json::{Value, json};

use crate::support::*;

/// A document that has exactly `length` characters when its white space is taken out.
fn padded(base: &Value, length: usize) -> String {
    let mut document = base.clone();
    document["Statement"][0]["Sid"] = json!("");
    let missing = length - document.to_string().len();
    document["Statement"][0]["Sid"] = json!("x".repeat(missing));
    let text = document.to_string().replace("\"Statement\"", "\n    \"Statement\"");
    assert_eq!(text.chars().filter(|c| !c.is_whitespace()).count(), length);
    text
}

fn policy(length: usize) -> String {
    padded(&serde_json::from_str(&allow(&["iam:GetRole"], "*")).unwrap(), length)
}

#[test]
fn a_trust_policy_has_2048_characters_at_most() {
    let world = world();
    let root = root(&world, HUB);
    let trust = |length| padded(&serde_json::from_str(&trust_of(&root_of(HUB))).unwrap(), length);
    let create = |name: &str, length| json!({"RoleName": name, "AssumeRolePolicyDocument": trust(length)});
    iam(&world, &root, "CreateRole", create("fits", 2_048)).unwrap();
    let refused = "Cannot exceed quota for ACLSizePerRole: 2048";
    assert_refused(
        iam(&world, &root, "CreateRole", create("long", 2_049)),
        409,
        "LimitExceeded",
        refused,
    );
    let update = json!({"RoleName": "fits", "PolicyDocument": trust(2_049)});
    assert_refused(
        iam(&world, &root, "UpdateAssumeRolePolicy", update),
        409,
        "LimitExceeded",
        refused,
    );
}

#[test]
fn inline_policies_share_10240_characters() {
    let world = world();
    let root = root(&world, HUB);
    role(&world, HUB, "/", "r", &trust_of(&root_of(HUB)));
    let put = |name: &str, length| json!({"RoleName": "r", "PolicyName": name, "PolicyDocument": policy(length)});
    iam(&world, &root, "PutRolePolicy", put("a", 6_000)).unwrap();
    iam(&world, &root, "PutRolePolicy", put("b", 4_240)).unwrap();
    let refused = "Maximum policy size of 10240 bytes exceeded for role r";
    assert_refused(
        iam(&world, &root, "PutRolePolicy", put("c", 200)),
        409,
        "LimitExceeded",
        refused,
    );
    assert_refused(
        iam(&world, &root, "PutRolePolicy", put("b", 4_241)),
        409,
        "LimitExceeded",
        refused,
    );
    iam(&world, &root, "PutRolePolicy", put("a", 5_999)).unwrap();
}

#[test]
fn a_managed_policy_has_6144_characters_and_five_versions() {
    let world = world();
    let root = root(&world, HUB);
    let create = |length| json!({"PolicyName": "p", "PolicyDocument": policy(length)});
    let refused = "Cannot exceed quota for PolicySize: 6144";
    assert_refused(
        iam(&world, &root, "CreatePolicy", create(6_145)),
        409,
        "LimitExceeded",
        refused,
    );
    let made = iam(&world, &root, "CreatePolicy", create(6_144)).unwrap();
    let version = json!({"PolicyArn": made["Policy"]["Arn"], "PolicyDocument": policy(200), "SetAsDefault": true});
    for number in 2..=5 {
        let answer = iam(&world, &root, "CreatePolicyVersion", version.clone()).unwrap();
        assert_eq!(answer["PolicyVersion"]["VersionId"], format!("v{number}"));
    }
    assert_eq!(
        refusal(iam(&world, &root, "CreatePolicyVersion", version.clone())).1,
        "LimitExceeded"
    );
    let oldest = json!({"PolicyArn": made["Policy"]["Arn"], "VersionId": "v1"});
    iam(&world, &root, "DeletePolicyVersion", oldest).unwrap();
    let answer = iam(&world, &root, "CreatePolicyVersion", version).unwrap();
    assert_eq!(answer["PolicyVersion"]["VersionId"], "v6");
}

#[test]
fn roles_tags_and_attached_policies_are_counted() {
    let world = World::new(Settings {
        roles_per_account: 2,
        propagation: Duration::ZERO,
        ..Settings::default()
    });
    world.add_account(HUB, "aws");
    let root = root(&world, HUB);
    role(&world, HUB, "/", "one", &trust_of(&root_of(HUB)));
    role(&world, HUB, "/", "two", &trust_of(&root_of(HUB)));
    let third = json!({"RoleName": "three", "AssumeRolePolicyDocument": trust_of(&root_of(HUB))});
    let refused = "Cannot exceed quota for RolesPerAccount: 2";
    assert_refused(
        iam(&world, &root, "CreateRole", third.clone()),
        409,
        "LimitExceeded",
        refused,
    );
    iam(&world, &root, "DeleteRole", json!({"RoleName": "two"})).unwrap();
    iam(&world, &root, "CreateRole", third).unwrap();

    let tags = |from: usize, to: usize| {
        let tags: Vec<_> = (from..to)
            .map(|n| json!({"Key": format!("k{n}"), "Value": ""}))
            .collect();
        json!({"RoleName": "one", "Tags": tags})
    };
    iam(&world, &root, "TagRole", tags(0, 50)).unwrap();
    iam(&world, &root, "TagRole", tags(0, 50)).unwrap();
    assert_eq!(refusal(iam(&world, &root, "TagRole", tags(50, 51))).1, "LimitExceeded");

    for number in 0..20 {
        let input = json!({"PolicyName": format!("p{number}"), "PolicyDocument": allow(&["iam:GetRole"], "*")});
        let made = iam(&world, &root, "CreatePolicy", input).unwrap();
        let attach = json!({"RoleName": "one", "PolicyArn": made["Policy"]["Arn"]});
        iam(&world, &root, "AttachRolePolicy", attach).unwrap();
    }
    let attach = json!({"RoleName": "one", "PolicyArn": DENY_ALL});
    let refused = "Cannot exceed quota for PoliciesPerRole: 20";
    assert_refused(
        iam(&world, &root, "AttachRolePolicy", attach),
        409,
        "LimitExceeded",
        refused,
    );
}
