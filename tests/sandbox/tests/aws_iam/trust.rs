//! Trust policies: what is refused, and how principals are kept (IAM user guide, `reference_policies_elements_principal`).

use serde_json::{Value, json};

use crate::support::*;

fn update(
    world: &mooring_sandbox::aws::world::World,
    name: &str,
    document: &str,
) -> Result<Value, mooring_sandbox::aws::contract::ApiError> {
    let input = json!({"RoleName": name, "PolicyDocument": document});
    iam(world, &root(world, SPOKE), "UpdateAssumeRolePolicy", input)
}

/// A principal that does not exist is refused when the policy is saved.
#[test]
fn a_principal_that_does_not_exist_is_invalid() {
    let world = world();
    role(&world, SPOKE, "/", "deployer", &trust_of(&root_of(HUB)));
    for missing in [
        "arn:aws:iam::111111111111:role/none",
        "arn:aws:iam::111111111111:user/none",
        "arn:aws:iam::999999999999:root",
        "999999999999",
        "arn:aws-cn:iam::111111111111:root",
        "AROAAAAAAAAAAAAAAAAAA",
        "nonsense",
    ] {
        let refused = format!("Invalid principal in policy: \"AWS\":\"{missing}\"");
        let answer = update(&world, "deployer", &trust_of(&json!({"AWS": missing})));
        assert_refused(answer, 400, "MalformedPolicyDocument", &refused);
    }
    let made = role(&world, HUB, "/argocd/", "management", &trust_of(&root_of(HUB)));
    update(&world, "deployer", &trust_of(&json!({"AWS": made}))).unwrap();
    let wrong_path = json!({"AWS": "arn:aws:iam::111111111111:role/management"});
    assert_eq!(
        refusal(update(&world, "deployer", &trust_of(&wrong_path))).1,
        "MalformedPolicyDocument"
    );
}

/// "IAM transforms the ARN to the user's or role's unique principal ID when you save the policy ... the ID appears in
/// the policy because AWS can no longer map it back to a valid ARN"; a new role of the same name does not mend it.
#[test]
fn principals_are_pinned_to_unique_ids() {
    let world = world();
    let arn = role(&world, HUB, "/", "management", &trust_of(&root_of(HUB)));
    let id = world.principal_id(&arn).unwrap();
    role(
        &world,
        SPOKE,
        "/",
        "deployer",
        &trust_of(&json!({"AWS": [arn, "arn:aws:iam::111111111111:root"]})),
    );
    let shown = |world: &_| shown_trust(world, SPOKE, "deployer")["Statement"][0]["Principal"]["AWS"].clone();
    assert_eq!(shown(&world), json!([arn, "arn:aws:iam::111111111111:root"]));
    iam(
        &world,
        &root(&world, HUB),
        "DeleteRole",
        json!({"RoleName": "management"}),
    )
    .unwrap();
    assert_eq!(shown(&world)[0], json!(id));
    assert_eq!(world.principal_arn(&id), None);
    role(&world, HUB, "/", "management", &trust_of(&root_of(HUB)));
    assert_eq!(shown(&world)[0], json!(id));
    assert_ne!(world.principal_id(&arn).unwrap(), id);
    let healed = trust_of(&json!({"AWS": arn}));
    update(&world, "deployer", &healed).unwrap();
    assert_eq!(shown(&world), json!(arn));
}

/// An account number means the account's root, and a list of one comes back as the one.
#[test]
fn accounts_and_lists_come_back_in_one_form() {
    let world = world();
    role(&world, SPOKE, "/", "deployer", &trust_of(&json!({"AWS": [HUB]})));
    let shown = shown_trust(&world, SPOKE, "deployer");
    assert_eq!(
        shown["Statement"][0]["Principal"]["AWS"],
        "arn:aws:iam::111111111111:root"
    );
}

/// What the grammar of trust policies excludes (IAM user guide, `reference_policies_grammar`).
#[test]
fn malformed_trust_policies() {
    let world = world();
    role(&world, SPOKE, "/", "deployer", &trust_of(&root_of(HUB)));
    let statement = |change: &dyn Fn(&mut Value)| {
        let mut statement = json!({"Effect": "Allow", "Principal": root_of(HUB), "Action": "sts:AssumeRole"});
        change(&mut statement);
        json!({"Version": "2012-10-17", "Statement": statement}).to_string()
    };
    let without = |key: &'static str| statement(&move |s| drop(s.as_object_mut().unwrap().remove(key)));
    let with = |key: &'static str, value: Value| statement(&move |s| s[key] = value.clone());
    let syntax = "Syntax errors in policy.";
    for (document, message) in [
        ("{".to_owned(), "This policy contains invalid Json"),
        ("{}".to_owned(), "Missing required field Statement"),
        (without("Principal"), "Missing required field Principal"),
        (without("Action"), "Policy statement must contain actions."),
        (without("Effect"), syntax),
        (with("Effect", json!("allow")), syntax),
        (with("Resource", json!("*")), "Has prohibited field Resource"),
        (with("Actions", json!("sts:AssumeRole")), syntax),
        (
            with("Action", json!("AssumeRole")),
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ),
        (
            with("Action", json!("iam:GetRole")),
            "AssumeRole policy may only specify STS AssumeRole actions.",
        ),
        (with("Principal", json!({})), syntax),
        (with("Principal", json!({"Role": "x"})), syntax),
        (
            with("Principal", json!({"Service": "pods.eks"})),
            "Invalid principal in policy: \"SERVICE\":\"pods.eks\"",
        ),
        (
            with("Principal", json!({"Federated": "arn:aws:iam::222222222222:role/x"})),
            "Federated principals must be valid domain names or SAML metadata ARNs",
        ),
        (
            with("Condition", json!({"StringEqual": {"aws:PrincipalArn": "x"}})),
            syntax,
        ),
        (
            with("Condition", json!({"Bool": {"aws:SecureTransport": "maybe"}})),
            syntax,
        ),
        (json!({"Version": "2013-01-01", "Statement": []}).to_string(), syntax),
    ] {
        assert_refused(
            update(&world, "deployer", &document),
            400,
            "MalformedPolicyDocument",
            message,
        );
    }
    update(
        &world,
        "deployer",
        &with("Principal", json!({"Service": "pods.eks.amazonaws.com"})),
    )
    .unwrap();
    update(&world, "deployer", &with("Action", json!("sts:*"))).unwrap();
    update(&world, "deployer", &with("Principal", json!("*"))).unwrap();
}

/// What the grammar of identity policies excludes; the words are those that AWS gave to moto's recorded tests.
#[test]
fn malformed_identity_policies() {
    let world = world();
    role(&world, SPOKE, "/", "r", &trust_of(&root_of(HUB)));
    let put = |document: &str| {
        let input = json!({"RoleName": "r", "PolicyName": "p", "PolicyDocument": document});
        iam(&world, &root(&world, SPOKE), "PutRolePolicy", input)
    };
    let of = |statement: Value| json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    let action = |action: Value| of(json!({"Effect": "Allow", "Action": action, "Resource": "*"}));
    let on = |resource: Value| of(json!({"Effect": "Allow", "Action": "s3:ListBucket", "Resource": resource}));
    let sid = |sid: &str| json!({"Sid": sid, "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"});
    for (document, message) in [
        ("not json".to_owned(), "Syntax errors in policy."),
        (
            json!({"Statement": sid("a")}).to_string(),
            "Policy document must be version 2012-10-17 or greater.",
        ),
        (
            of(json!({"Effect": "Allow", "Action": "s3:ListBucket"})),
            "Policy statement must contain resources.",
        ),
        (
            of(json!({"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*", "Principal": "*"})),
            "Policy document should not specify a principal.",
        ),
        (
            action(json!("ListBucket")),
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ),
        (
            action(json!("s3:List:Bucket")),
            "Actions/Condition can contain only one colon.",
        ),
        (action(json!("a a:ListBucket")), "Vendor a a is not valid"),
        (on(json!("bucket")), "Resource bucket must be in ARN format or \"*\"."),
        (
            on(json!("arn:error:s3:::bucket")),
            "Partition \"error\" is not valid for resource \"arn:error:s3:::bucket\".",
        ),
        (on(json!("arn:aws:s3::bucket")), "The policy failed legacy parsing"),
        (
            on(json!("arn:aws:iam:eu-west-1:1:role/x")),
            "IAM resource arn:aws:iam:eu-west-1:1:role/x cannot contain region information.",
        ),
        (
            json!({"Version": "2012-10-17", "Statement": [sid("a"), sid("a")]}).to_string(),
            "Statement IDs (SID) in a single policy must be unique.",
        ),
    ] {
        assert_refused(put(&document), 400, "MalformedPolicyDocument", message);
    }
    put(&on(json!(["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"]))).unwrap();
}
