//! Every operation of IAM and STS through AWS's own SDK: what it reads of the answers, and how it types the errors.

use aws_sdk_iam::types::Tag;
use mooring_sandbox::aws::{Credentials, FakeAws, Settings};
use serde_json::Value;

use crate::clients::config;
use crate::support::{DENY_ALL, HUB, SPOKE, allow, root_of, trust_of};

async fn start() -> FakeAws {
    let aws = FakeAws::start(Settings::default()).await.unwrap();
    aws.add_account(HUB, "aws");
    aws.add_account(SPOKE, "aws");
    aws
}

fn iam(aws: &FakeAws, credentials: &Credentials) -> aws_sdk_iam::Client {
    aws_sdk_iam::Client::new(&config(aws, "eu-west-1", credentials))
}

fn sts(aws: &FakeAws, credentials: &Credentials) -> aws_sdk_sts::Client {
    aws_sdk_sts::Client::new(&config(aws, "eu-west-1", credentials))
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build().unwrap()
}

fn decoded(document: &str) -> Value {
    crate::support::decoded(&Value::from(document))
}

#[tokio::test]
async fn a_role() {
    let aws = start().await;
    let iam = iam(&aws, &aws.root(SPOKE));
    let create = iam
        .create_role()
        .role_name("deployer")
        .path("/mooring/hub/")
        .assume_role_policy_document(trust_of(&root_of(HUB)))
        .description("a + b & <c>")
        .max_session_duration(7_200)
        .permissions_boundary(DENY_ALL)
        .tags(tag("mooring.dev/hub", "arn:aws:eks:eu-west-1:1:cluster/hub"));
    let made = create.clone().send().await.unwrap();
    let role = made.role().unwrap();
    assert_eq!(role.arn(), "arn:aws:iam::222222222222:role/mooring/hub/deployer");
    assert!(
        create
            .send()
            .await
            .unwrap_err()
            .into_service_error()
            .is_entity_already_exists_exception()
    );

    let shown = iam.get_role().role_name("deployer").send().await.unwrap();
    let shown = shown.role().unwrap();
    assert_eq!((shown.role_id(), shown.path()), (role.role_id(), "/mooring/hub/"));
    assert_eq!(
        (shown.description(), shown.max_session_duration()),
        (Some("a + b & <c>"), Some(7_200))
    );
    let boundary = shown.permissions_boundary().unwrap();
    assert_eq!(boundary.permissions_boundary_arn(), Some(DENY_ALL));
    assert_eq!(shown.tags()[0].key(), "mooring.dev/hub");
    let trust = decoded(shown.assume_role_policy_document().unwrap());
    assert_eq!(trust["Statement"][0]["Principal"], root_of(HUB));
    assert!(shown.create_date().secs() > 0);

    iam.update_role()
        .role_name("deployer")
        .description("changed")
        .send()
        .await
        .unwrap();
    let update = iam.update_assume_role_policy().role_name("deployer");
    update
        .clone()
        .policy_document(trust_of(&root_of(SPOKE)))
        .send()
        .await
        .unwrap();
    let refused = update.policy_document("{}").send().await.unwrap_err();
    assert!(refused.into_service_error().is_malformed_policy_document_exception());
    iam.tag_role()
        .role_name("deployer")
        .tags(tag("k", "v"))
        .send()
        .await
        .unwrap();
    iam.untag_role()
        .role_name("deployer")
        .tag_keys("mooring.dev/hub")
        .send()
        .await
        .unwrap();
    let tags = iam.list_role_tags().role_name("deployer").send().await.unwrap();
    assert_eq!(tags.tags(), [tag("k", "v")]);
}

#[tokio::test]
async fn the_policies_of_a_role_and_its_end() {
    let aws = start().await;
    let iam = iam(&aws, &aws.root(SPOKE));
    let create = iam.create_role().role_name("deployer").permissions_boundary(DENY_ALL);
    create
        .assume_role_policy_document(trust_of(&root_of(HUB)))
        .send()
        .await
        .unwrap();
    let text = allow(&["iam:GetRole"], "*");
    let put = iam.put_role_policy().role_name("deployer").policy_document(&text);
    put.clone().policy_name("a").send().await.unwrap();
    put.policy_name("b").send().await.unwrap();
    let page = iam
        .list_role_policies()
        .role_name("deployer")
        .max_items(1)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (page.policy_names(), page.is_truncated()),
        (&["a".to_owned()][..], true)
    );
    let next = iam
        .list_role_policies()
        .role_name("deployer")
        .marker(page.marker().unwrap());
    assert_eq!(next.send().await.unwrap().policy_names(), ["b"]);
    let policy = iam
        .get_role_policy()
        .role_name("deployer")
        .policy_name("a")
        .send()
        .await
        .unwrap();
    assert_eq!(
        decoded(policy.policy_document()),
        serde_json::from_str::<Value>(&text).unwrap()
    );
    iam.attach_role_policy()
        .role_name("deployer")
        .policy_arn(DENY_ALL)
        .send()
        .await
        .unwrap();
    let attached = iam
        .list_attached_role_policies()
        .role_name("deployer")
        .send()
        .await
        .unwrap();
    assert_eq!(attached.attached_policies()[0].policy_name(), Some("AWSDenyAll"));

    let delete = iam.delete_role().role_name("deployer");
    assert!(
        delete
            .clone()
            .send()
            .await
            .unwrap_err()
            .into_service_error()
            .is_delete_conflict_exception()
    );
    iam.detach_role_policy()
        .role_name("deployer")
        .policy_arn(DENY_ALL)
        .send()
        .await
        .unwrap();
    for name in ["a", "b"] {
        iam.delete_role_policy()
            .role_name("deployer")
            .policy_name(name)
            .send()
            .await
            .unwrap();
    }
    iam.delete_role_permissions_boundary()
        .role_name("deployer")
        .send()
        .await
        .unwrap();
    let put = iam
        .put_role_permissions_boundary()
        .role_name("deployer")
        .permissions_boundary(DENY_ALL);
    put.send().await.unwrap();
    delete.send().await.unwrap();
    let gone = iam.get_role().role_name("deployer").send().await.unwrap_err();
    assert!(gone.into_service_error().is_no_such_entity_exception());
}

#[tokio::test]
async fn managed_policies_and_providers() {
    let aws = start().await;
    let iam = iam(&aws, &aws.root(HUB));
    let create = iam
        .create_policy()
        .policy_name("boundary")
        .policy_document(allow(&["sts:AssumeRole"], "*"));
    let made = create.tags(tag("k", "v")).send().await.unwrap();
    let arn = made.policy().unwrap().arn().unwrap();
    let version = iam.create_policy_version().policy_arn(arn).set_as_default(true);
    let version = version
        .policy_document(allow(&["sts:TagSession"], "*"))
        .send()
        .await
        .unwrap();
    assert_eq!(version.policy_version().unwrap().version_id(), Some("v2"));
    let shown = iam.get_policy().policy_arn(arn).send().await.unwrap();
    assert_eq!(shown.policy().unwrap().default_version_id(), Some("v2"));
    let version = iam
        .get_policy_version()
        .policy_arn(arn)
        .version_id("v2")
        .send()
        .await
        .unwrap();
    let document = decoded(version.policy_version().unwrap().document().unwrap());
    assert_eq!(document["Statement"][0]["Action"][0], "sts:TagSession");
    iam.delete_policy_version()
        .policy_arn(arn)
        .version_id("v1")
        .send()
        .await
        .unwrap();
    iam.delete_policy().policy_arn(arn).send().await.unwrap();
    let gone = iam.get_policy().policy_arn(arn).send().await.unwrap_err();
    assert!(gone.into_service_error().is_no_such_entity_exception());

    let create = iam
        .create_open_id_connect_provider()
        .url("https://issuer.example/id/1")
        .client_id_list("a");
    let made = create.clone().tags(tag("k", "v")).send().await.unwrap();
    let arn = made.open_id_connect_provider_arn().unwrap();
    assert!(
        create
            .send()
            .await
            .unwrap_err()
            .into_service_error()
            .is_entity_already_exists_exception()
    );
    let add = iam
        .add_client_id_to_open_id_connect_provider()
        .open_id_connect_provider_arn(arn);
    add.client_id("b").send().await.unwrap();
    let tagged = iam
        .tag_open_id_connect_provider()
        .open_id_connect_provider_arn(arn)
        .tags(tag("l", "w"));
    tagged.send().await.unwrap();
    let shown = iam
        .get_open_id_connect_provider()
        .open_id_connect_provider_arn(arn)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (shown.url(), shown.client_id_list()),
        (Some("issuer.example/id/1"), &["a".to_owned(), "b".to_owned()][..])
    );
    assert_eq!(shown.tags().len(), 2);
    let listed = iam.list_open_id_connect_providers().send().await.unwrap();
    assert_eq!(listed.open_id_connect_provider_list()[0].arn(), Some(arn));
}

/// Hub to spoke as the operator and Argo CD go it: assume with a session policy, work in the session, be refused.
#[tokio::test]
async fn sessions() {
    use aws_sdk_iam::error::ProvideErrorMetadata as _;
    let aws = start().await;
    let hub = iam(&aws, &aws.root(HUB));
    let create = hub
        .create_role()
        .role_name("operator")
        .assume_role_policy_document(trust_of(&root_of(HUB)));
    let operator = create.send().await.unwrap().role().unwrap().arn().to_owned();
    let grant = hub.put_role_policy().role_name("operator").policy_name("p");
    grant
        .policy_document(allow(&["sts:AssumeRole"], "*"))
        .send()
        .await
        .unwrap();
    let spoke = iam(&aws, &aws.root(SPOKE));
    let create = spoke.create_role().role_name("provisioner");
    let create = create.assume_role_policy_document(trust_of(&root_of(HUB)));
    let provisioner = create.send().await.unwrap().role().unwrap().arn().to_owned();
    let grant = spoke.put_role_policy().role_name("provisioner").policy_name("p");
    grant.policy_document(allow(&["iam:*"], "*")).send().await.unwrap();

    let session = aws.session(&operator, "pod", &[]).unwrap();
    let assume = sts(&aws, &session)
        .assume_role()
        .role_arn(&provisioner)
        .role_session_name("hub.prod-eu");
    let answer = assume
        .policy(allow(&["iam:GetRole"], &provisioner))
        .duration_seconds(900)
        .send()
        .await
        .unwrap();
    let given = answer.credentials().unwrap();
    let credentials = Credentials {
        access_key_id: given.access_key_id().to_owned(),
        secret_access_key: given.secret_access_key().to_owned(),
        session_token: Some(given.session_token().to_owned()),
        expiration: None,
    };
    assert!(answer.session_token_utilization().unwrap() > 0);
    let identity = sts(&aws, &credentials).get_caller_identity().send().await.unwrap();
    assert_eq!(
        identity.arn(),
        Some("arn:aws:sts::222222222222:assumed-role/provisioner/hub.prod-eu")
    );
    let inside = iam(&aws, &credentials);
    inside.get_role().role_name("provisioner").send().await.unwrap();
    let refused = inside.delete_role().role_name("provisioner").send().await.unwrap_err();
    assert_eq!(refused.code(), Some("AccessDenied"));
    let words = "User: arn:aws:sts::222222222222:assumed-role/provisioner/hub.prod-eu is not authorized to perform: iam:DeleteRole on resource: role provisioner because no session policy allows the iam:DeleteRole action";
    assert_eq!(refused.message(), Some(words));

    let web = sts(&aws, &session)
        .assume_role_with_web_identity()
        .role_arn(&operator)
        .role_session_name("pod");
    let refused = web.web_identity_token("no.jwt.at-all").send().await.unwrap_err();
    assert!(refused.into_service_error().is_invalid_identity_token_exception());
}
