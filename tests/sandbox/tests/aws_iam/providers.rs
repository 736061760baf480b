//! OpenID Connect providers.

use serde_json::json;

use crate::support::*;

const URL: &str = "https://oidc.eks.eu-west-1.amazonaws.com/id/ABC";
const ARN: &str = "arn:aws:iam::111111111111:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/ABC";

#[test]
fn a_provider_through_its_life() {
    let world = world();
    let root = root(&world, HUB);
    let create = json!({"Url": URL, "ClientIDList": ["sts.amazonaws.com"], "Tags": [{"Key": "k", "Value": "v"}]});
    let made = iam(&world, &root, "CreateOpenIDConnectProvider", create.clone()).unwrap();
    assert_eq!(made["OpenIDConnectProviderArn"], ARN);
    let refused = format!("Provider with url {URL} already exists.");
    assert_refused(
        iam(&world, &root, "CreateOpenIDConnectProvider", create),
        409,
        "EntityAlreadyExists",
        &refused,
    );

    let get = json!({"OpenIDConnectProviderArn": ARN});
    let shown = iam(&world, &root, "GetOpenIDConnectProvider", get.clone()).unwrap();
    assert_eq!(shown["Url"], "oidc.eks.eu-west-1.amazonaws.com/id/ABC");
    assert_eq!(shown["ClientIDList"], json!(["sts.amazonaws.com"]));
    assert_eq!(shown["ThumbprintList"][0].as_str().unwrap().len(), 40);
    assert_eq!(shown["Tags"], json!([{"Key": "k", "Value": "v"}]));
    let listed = iam(&world, &root, "ListOpenIDConnectProviders", json!({})).unwrap();
    assert_eq!(listed["OpenIDConnectProviderList"], json!([{"Arn": ARN}]));

    let add = |client: &str| json!({"OpenIDConnectProviderArn": ARN, "ClientID": client});
    iam(
        &world,
        &root,
        "AddClientIDToOpenIDConnectProvider",
        add("sts.amazonaws.com"),
    )
    .unwrap();
    iam(&world, &root, "AddClientIDToOpenIDConnectProvider", add("other")).unwrap();
    let tag = json!({"OpenIDConnectProviderArn": ARN, "Tags": [{"Key": "K", "Value": "w"}]});
    iam(&world, &root, "TagOpenIDConnectProvider", tag).unwrap();
    let shown = iam(&world, &root, "GetOpenIDConnectProvider", get).unwrap();
    assert_eq!(shown["ClientIDList"], json!(["sts.amazonaws.com", "other"]));
    assert_eq!(shown["Tags"], json!([{"Key": "K", "Value": "w"}]));

    let gone = json!({"OpenIDConnectProviderArn": ARN});
    iam(&world, &root, "DeleteOpenIDConnectProvider", gone.clone()).unwrap();
    for operation in ["GetOpenIDConnectProvider", "DeleteOpenIDConnectProvider"] {
        assert_eq!(
            iam(&world, &root, operation, gone.clone()).unwrap_err().code,
            "NoSuchEntity"
        );
    }
}

#[test]
fn what_is_refused() {
    let world = world();
    let root = root(&world, HUB);
    for url in [
        "http://issuer.example",
        "https://issuer.example:8443",
        "https://issuer.example/?x=y",
        "https://",
    ] {
        let answer = iam(&world, &root, "CreateOpenIDConnectProvider", json!({"Url": url}));
        assert_refused(answer, 400, "ValidationError", "Invalid Open ID Connect Provider URL");
    }
    let missing = json!({"OpenIDConnectProviderArn": ARN});
    let refused = format!("OpenIDConnect Provider not found for arn {ARN}");
    assert_refused(
        iam(&world, &root, "GetOpenIDConnectProvider", missing),
        404,
        "NoSuchEntity",
        &refused,
    );
    let many: Vec<String> = (0..101).map(|n| format!("client-{n}")).collect();
    let answer = iam(
        &world,
        &root,
        "CreateOpenIDConnectProvider",
        json!({"Url": URL, "ClientIDList": many}),
    );
    assert_eq!(refusal(answer).1, "LimitExceeded");
    iam(
        &world,
        &root,
        "CreateOpenIDConnectProvider",
        json!({"Url": URL, "ClientIDList": many[..100]}),
    )
    .unwrap();
    let add = json!({"OpenIDConnectProviderArn": ARN, "ClientID": "one more"});
    assert_eq!(
        refusal(iam(&world, &root, "AddClientIDToOpenIDConnectProvider", add)).1,
        "LimitExceeded"
    );
}

/// `CreateOpenIDConnectProvider` with tags needs `iam:TagOpenIDConnectProvider` as well.
#[test]
fn tags_need_their_own_permission() {
    let world = world();
    let caller = actor(&world, HUB, "maker", &allow(&["iam:CreateOpenIDConnectProvider"], "*"));
    let tagged = json!({"Url": URL, "Tags": [{"Key": "k", "Value": "v"}]});
    let refused = format!(
        "User: {} is not authorized to perform: iam:TagOpenIDConnectProvider on resource: {ARN} because no identity-based policy allows the iam:TagOpenIDConnectProvider action",
        caller.arn
    );
    assert_refused(
        iam(&world, &caller, "CreateOpenIDConnectProvider", tagged),
        403,
        "AccessDenied",
        &refused,
    );
    iam(&world, &caller, "CreateOpenIDConnectProvider", json!({"Url": URL})).unwrap();
}
