//! Two processes, each with half of the power: who can mint tokens of Argo CD's service accounts writes nothing to AWS,
//! and who writes to AWS can mint none, and is nobody that a deployer role lets in.

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, api::PostParams};
use mooring_sandbox::aws::{
    Credentials,
    contract::{ApiError, Service},
    operations::{self, Operation},
};
use serde_json::{Map, Value, json};

use crate::{
    connected::{SPOKE, world},
    support::{
        HUB_ACCOUNT, NAMESPACE, World,
        bootstrap::{OPERATOR_NAMESPACE, OPERATOR_ROLE, OPERATOR_SERVICE_ACCOUNT},
        hands::policy_arn,
        manifest::ADMIN,
        verifier::{SERVICE_ACCOUNTS, VERIFIER},
    },
};

const SPOKE_ACCOUNT: &str = "222222222222";

/// An input that AWS would take, of what is required alone, about what Mooring made for the cluster; `entry` is the ARN of
/// its access entry.
fn input(world: &World, entry: &str, operation: &Operation) -> Value {
    let deployer = world.deployer(SPOKE);
    let document = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{HUB_ACCOUNT}:root")}, "Action": "sts:AssumeRole",
    }]});
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    let of = |member: &str| match member {
        "RoleName" => json!(deployer.name.as_str()),
        "PolicyName" | "InstanceProfileName" => json!("all"),
        "AssumeRolePolicyDocument" => json!(document.to_string()),
        "PolicyDocument" if operation.name == "UpdateAssumeRolePolicy" => json!(document.to_string()),
        "PolicyDocument" => json!(policy.to_string()),
        "PermissionsBoundary" => json!("arn:aws:iam::aws:policy/AdministratorAccess"),
        // What is AWS's own nobody may change.
        "PolicyArn" => json!(format!("arn:aws:iam::{HUB_ACCOUNT}:policy/mooring-management")),
        "Tags" => json!([{"Key": "a", "Value": "b"}]),
        "tags" => json!({"a": "b"}),
        "TagKeys" | "tagKeys" => json!(["a"]),
        "Url" => json!("https://oidc.example/id/1"),
        "ClientID" => json!("sts.amazonaws.com"),
        "ClientIDList" => json!(["sts.amazonaws.com"]),
        "ThumbprintList" => json!(["0123456789012345678901234567890123456789"]),
        "OpenIDConnectProviderArn" => json!(format!("arn:aws:iam::{HUB_ACCOUNT}:oidc-provider/oidc.example/id/1")),
        "VersionId" => json!("v1"),
        "clusterName" => json!(SPOKE),
        "principalArn" => json!(deployer.to_string()),
        "policyArn" => json!(policy_arn(ADMIN)),
        "accessScope" => json!({"type": "cluster"}),
        "resourceArn" => json!(entry),
        other => panic!("say what {other} of {} is", operation.name),
    };
    let required = operation.input.iter().filter(|field| field.required);
    let members: Map<String, Value> = required.map(|field| (field.name.to_owned(), of(field.name))).collect();
    Value::Object(members)
}

fn asks(world: &World, by: &Credentials, entry: &str, operation: &Operation) -> Result<Value, ApiError> {
    let region = &world.cluster(SPOKE).region;
    let aws = &world.stage.aws;
    aws.call_in(
        region,
        by,
        operation.service,
        operation.name,
        input(world, entry, operation),
    )
}

fn assumes(world: &World, by: &Credentials, role: &str) -> Result<Value, ApiError> {
    let input = json!({"RoleArn": role, "RoleSessionName": "somebody"});
    world.stage.aws.call(by, Service::Sts, "AssumeRole", input)
}

fn is_denied(answer: &Result<Value, ApiError>) -> bool {
    matches!(answer, Err(error) if error.code.starts_with("AccessDenied"))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_mints_tokens_writes_nothing_to_aws_and_who_writes_to_aws_mints_none() {
    let world = world(&[]).await;
    let aws = &world.stage.aws;
    let entry = world.seen_entry(SPOKE).unwrap().arn;
    let role = |account: &str, name: &str| format!("arn:aws:iam::{account}:role/{name}");
    let session = |arn: &str| aws.session(arn, "x", &[]).unwrap();
    let writes: Vec<&Operation> = operations::all().filter(|operation| operation.write).collect();
    assert!(writes.len() >= 15, "{}", writes.len());

    // The verifier, and whom it may become.
    let verifier = session(&role(HUB_ACCOUNT, VERIFIER));
    let readers = [HUB_ACCOUNT, SPOKE_ACCOUNT].map(|account| session(&role(account, "mooring-reader")));
    for by in readers.iter().chain([&verifier]) {
        for operation in &writes {
            let answer = asks(&world, by, &entry, operation);
            assert!(is_denied(&answer), "{} by {by:?}: {answer:?}", operation.name);
        }
    }
    let management = world.hub().management_role_arn(None).to_string();
    let deployer = world.deployer(SPOKE).to_string();
    for account in [HUB_ACCOUNT, SPOKE_ACCOUNT] {
        let provisioner = role(account, "mooring-provisioner");
        let answer = assumes(&world, &verifier, &provisioner);
        assert!(is_denied(&answer), "{provisioner}: {answer:?}");
        let reader = role(account, "mooring-reader");
        assumes(&world, &verifier, &reader).unwrap_or_else(|error| panic!("{reader}: {error:?}"));
    }

    // The operator, and whom it may become.
    let operator = session(&role(HUB_ACCOUNT, OPERATOR_ROLE));
    let provisioners = [HUB_ACCOUNT, SPOKE_ACCOUNT].map(|account| session(&role(account, "mooring-provisioner")));
    for by in provisioners.iter().chain([&operator]) {
        for target in [&management, &deployer] {
            let answer = assumes(&world, by, target);
            assert!(is_denied(&answer), "{target} by {by:?}: {answer:?}");
        }
    }
    let groups = [
        "system:serviceaccounts",
        "system:serviceaccounts:mooring-system",
        "system:authenticated",
    ];
    let mints = async |account: &str, name: &str| {
        let user = format!("system:serviceaccount:{OPERATOR_NAMESPACE}:{account}");
        let client = world.stage.hub.client_of_user(&user, &groups).unwrap();
        let api: Api<ServiceAccount> = Api::namespaced(client, NAMESPACE);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: vec!["sts.amazonaws.com".to_owned()],
                expiration_seconds: Some(600),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        match api.create_token_request(name, &PostParams::default(), &request).await {
            Ok(_) => 201,
            Err(kube::Error::Api(status)) => status.code,
            Err(error) => panic!("{error}"),
        }
    };
    for name in SERVICE_ACCOUNTS {
        assert_eq!(mints(OPERATOR_SERVICE_ACCOUNT, name).await, 403, "{name}");
        assert_eq!(mints(VERIFIER, name).await, 201, "{name}");
    }

    // Nothing of all this is refused for another reason: whoever may is not.
    for operation in &writes {
        let account = if operation.service == Service::Eks {
            SPOKE_ACCOUNT
        } else {
            HUB_ACCOUNT
        };
        let answer = asks(&world, &aws.root(account), &entry, operation);
        assert!(!is_denied(&answer), "{}: {answer:?}", operation.name);
        let refused = answer.err().map(|error| error.code);
        let unlike = ["ValidationError", "InvalidAction", "InvalidParameterException"];
        assert!(refused.is_none_or(|code| !unlike.contains(&code)), "{}", operation.name);
    }
}
