//! The fake EKS, driven by AWS's own SDK client: each test holds one behaviour that AWS documents.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test fails as a test does"
)]

mod clients;

use std::time::Duration;

use aws_sdk_eks::Client;
use aws_sdk_eks::types::{AccessScope, AccessScopeType, ClusterStatus as Status};
use clients::{config, role};
use mooring_sandbox::aws::contract::Service::Iam;
use mooring_sandbox::aws::{AuthenticationMode, ClusterSeed, ClusterStatus, FakeAws, Settings};
use serde_json::{Value, json};

const SPOKE: &str = "222222222222";
const REGION: &str = "eu-west-1";
const ADMIN: &str = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy";
const EDIT: &str = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy";

struct Stage {
    aws: FakeAws,
    client: Client,
    /// The ARN of a role with a path.
    principal: String,
}

async fn stage() -> Stage {
    stage_with(Settings::default()).await
}

async fn stage_with(settings: Settings) -> Stage {
    let aws = FakeAws::start(settings).await.unwrap();
    aws.add_cluster(ClusterSeed::new(SPOKE, REGION, "prod"));
    let principal = role(&aws, SPOKE, "/mooring/hub/", "deployer", &json!([]));
    let client = Client::new(&config(&aws, REGION, &aws.root(SPOKE)));
    Stage { aws, client, principal }
}

impl Stage {
    async fn create(&self) -> aws_sdk_eks::types::AccessEntry {
        let create = self
            .client
            .create_access_entry()
            .cluster_name("prod")
            .principal_arn(&self.principal);
        create.send().await.unwrap().access_entry().unwrap().clone()
    }

    async fn associate(&self, policy: &str, namespaces: &[&str]) {
        let scope = scope(namespaces);
        let request = self
            .client
            .associate_access_policy()
            .cluster_name("prod")
            .principal_arn(&self.principal);
        request.policy_arn(policy).access_scope(scope).send().await.unwrap();
    }

    async fn associations(&self) -> Vec<(String, Vec<String>)> {
        let request = self
            .client
            .list_associated_access_policies()
            .cluster_name("prod")
            .principal_arn(&self.principal);
        let output = request.send().await.unwrap();
        let one = |policy: &aws_sdk_eks::types::AssociatedAccessPolicy| {
            let namespaces = policy.access_scope().unwrap().namespaces().to_vec();
            (policy.policy_arn().unwrap().to_owned(), namespaces)
        };
        output.associated_access_policies().iter().map(one).collect()
    }

    /// A client with a role session under these statements.
    fn limited(&self, name: &str, statements: &Value) -> Client {
        let arn = role(&self.aws, SPOKE, "/", name, statements);
        let session = self.aws.session(&arn, "me", &[]).unwrap();
        Client::new(&config(&self.aws, REGION, &session))
    }
}

fn scope(namespaces: &[&str]) -> AccessScope {
    let kind = if namespaces.is_empty() {
        AccessScopeType::Cluster
    } else {
        AccessScopeType::Namespace
    };
    let namespaces = (!namespaces.is_empty()).then(|| namespaces.iter().map(|name| (*name).to_owned()).collect());
    AccessScope::builder().r#type(kind).set_namespaces(namespaces).build()
}

#[tokio::test]
async fn describe_cluster_shows_endpoint_and_ca_only_once_the_cluster_is_active() {
    let stage = stage().await;
    stage
        .aws
        .update_cluster(SPOKE, REGION, "prod", |seed| {
            seed.status = ClusterStatus::Creating;
            seed.endpoint = "https://abc.gr7.eu-west-1.eks.amazonaws.com".to_owned();
            seed.endpoint_public_access = false;
            seed.public_access_cidrs = vec!["192.0.2.0/24".to_owned()];
        })
        .unwrap();
    let describe = async || {
        stage
            .client
            .describe_cluster()
            .name("prod")
            .send()
            .await
            .unwrap()
            .cluster()
            .unwrap()
            .clone()
    };
    let creating = describe().await;
    assert_eq!(creating.status(), Some(&Status::Creating));
    assert_eq!(
        (
            creating.endpoint(),
            creating.certificate_authority().and_then(|ca| ca.data())
        ),
        (None, None)
    );
    stage
        .aws
        .update_cluster(SPOKE, REGION, "prod", |seed| seed.status = ClusterStatus::Updating)
        .unwrap();
    let updating = describe().await;
    assert_eq!(
        updating.endpoint(),
        Some("https://abc.gr7.eu-west-1.eks.amazonaws.com"),
        "stays valid while updating"
    );
    assert!(updating.certificate_authority().unwrap().data().is_some());
    assert!(
        updating
            .identity()
            .unwrap()
            .oidc()
            .unwrap()
            .issuer()
            .unwrap()
            .starts_with("https://oidc.eks.eu-west-1.amazonaws.com/id/")
    );
    assert!(!updating.resources_vpc_config().unwrap().endpoint_public_access());
    assert_eq!(
        updating.resources_vpc_config().unwrap().public_access_cidrs(),
        ["192.0.2.0/24"]
    );
    assert_eq!(
        updating
            .access_config()
            .unwrap()
            .authentication_mode()
            .unwrap()
            .as_str(),
        "API"
    );
    assert!(updating.created_at().unwrap().secs() > 1_700_000_000);
}

#[tokio::test]
async fn a_cluster_is_found_in_its_own_account_and_region_only() {
    let stage = stage().await;
    let (status, code, message) = refusal!(stage.client.describe_cluster().name("nope").send());
    assert_eq!((status, code.as_str()), (404, "ResourceNotFoundException"));
    assert_eq!(message, "No cluster found for name: nope.");
    let elsewhere = Client::new(&config(&stage.aws, "eu-west-2", &stage.aws.root(SPOKE)));
    assert_eq!(refusal!(elsewhere.describe_cluster().name("prod").send()).0, 404);
    let stranger = Client::new(&config(&stage.aws, REGION, &stage.aws.root("999999999999")));
    assert_eq!(refusal!(stranger.describe_cluster().name("prod").send()).0, 404);
    assert_eq!(stage.aws.clusters().len(), 1);
    stage.aws.remove_cluster(SPOKE, REGION, "prod").unwrap();
    stage.aws.remove_cluster(SPOKE, REGION, "prod").unwrap_err();
    assert_eq!(
        refusal!(stage.client.list_access_entries().cluster_name("prod").send()).0,
        404
    );
}

#[tokio::test]
async fn a_config_map_cluster_has_no_access_entries() {
    let stage = stage().await;
    stage
        .aws
        .update_cluster(SPOKE, REGION, "prod", |seed| {
            seed.authentication_mode = AuthenticationMode::ConfigMap;
        })
        .unwrap();
    let expected =
        "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.";
    let create = stage
        .client
        .create_access_entry()
        .cluster_name("prod")
        .principal_arn(&stage.principal);
    let answer = refusal!(create.send());
    assert_eq!(answer, (400, "InvalidRequestException".to_owned(), expected.to_owned()));
    assert_eq!(
        refusal!(stage.client.list_access_entries().cluster_name("prod").send()).1,
        "InvalidRequestException"
    );
    let both = |seed: &mut ClusterSeed| seed.authentication_mode = AuthenticationMode::ApiAndConfigMap;
    stage.aws.update_cluster(SPOKE, REGION, "prod", both).unwrap();
    stage.create().await;
}

#[tokio::test]
async fn an_entry_gets_its_arn_type_and_username_from_eks() {
    let stage = stage().await;
    let entry = stage.create().await;
    let start = "arn:aws:eks:eu-west-1:222222222222:access-entry/prod/role/222222222222/deployer/";
    let uuid = entry.access_entry_arn().unwrap().strip_prefix(start).unwrap();
    assert_eq!(uuid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    assert_eq!(entry.r#type(), Some("STANDARD"));
    assert_eq!(
        entry.username(),
        Some("arn:aws:sts::222222222222:assumed-role/deployer/{{SessionName}}"),
        "without the path"
    );
    assert_eq!(
        entry.principal_arn(),
        Some("arn:aws:iam::222222222222:role/mooring/hub/deployer")
    );
    assert!(entry.kubernetes_groups().is_empty());
    assert!(entry.created_at().is_some() && entry.modified_at().is_some());
    let describe = stage
        .client
        .describe_access_entry()
        .cluster_name("prod")
        .principal_arn(&stage.principal);
    assert_eq!(describe.send().await.unwrap().access_entry(), Some(&entry));
}

#[tokio::test]
async fn a_principal_has_one_entry_on_a_cluster() {
    let stage = stage().await;
    stage.create().await;
    let create = stage
        .client
        .create_access_entry()
        .cluster_name("prod")
        .principal_arn(&stage.principal);
    let (status, code, message) = refusal!(create.clone().send());
    assert_eq!((status, code.as_str()), (409, "ResourceInUseException"));
    assert!(message.contains("already in use on this cluster"), "{message}");
    let delete = stage
        .client
        .delete_access_entry()
        .cluster_name("prod")
        .principal_arn(&stage.principal);
    delete.clone().send().await.unwrap();
    assert_eq!(refusal!(delete.send()).1, "ResourceNotFoundException");
    create.send().await.unwrap();
}

#[tokio::test]
async fn a_repeated_create_with_its_token_is_answered_as_the_first_was() {
    let stage = stage().await;
    let create = |group: &str| {
        let create = stage
            .client
            .create_access_entry()
            .cluster_name("prod")
            .principal_arn(&stage.principal);
        create.client_request_token("one").kubernetes_groups(group)
    };
    let first = create("a").send().await.unwrap();
    assert_eq!(create("a").send().await.unwrap().access_entry(), first.access_entry());
    assert_eq!(
        refusal!(create("b").send()).1,
        "ResourceInUseException",
        "not the same request"
    );
}

#[tokio::test]
async fn principals_must_exist_and_be_iam_principals() {
    let stage = stage().await;
    let principals = [
        "arn:aws:iam::222222222222:role/nobody",
        "arn:aws:iam::222222222222:role/deployer",
        "arn:aws:sts::222222222222:assumed-role/deployer/me",
        "arn:aws-cn:iam::222222222222:role/mooring/hub/deployer",
        "deployer",
    ];
    for principal in principals {
        let create = stage
            .client
            .create_access_entry()
            .cluster_name("prod")
            .principal_arn(principal);
        let (status, code, message) = refusal!(create.send());
        assert_eq!(
            (status, code.as_str()),
            (400, "InvalidParameterException"),
            "{principal}"
        );
        assert_eq!(
            message, "The specified principalArn is invalid: invalid principal.",
            "{principal}"
        );
    }
    let elsewhere = role(&stage.aws, "333333333333", "/", "visitor", &json!([]));
    let create = stage
        .client
        .create_access_entry()
        .cluster_name("prod")
        .principal_arn(&elsewhere);
    let entry = create.send().await.unwrap().access_entry().unwrap().clone();
    let start = "arn:aws:eks:eu-west-1:222222222222:access-entry/prod/role/333333333333/visitor/";
    assert!(
        entry.access_entry_arn().unwrap().starts_with(start),
        "a principal may be in another account"
    );
}

#[tokio::test]
async fn a_role_that_was_made_a_moment_ago_is_an_invalid_principal_until_iam_has_propagated() {
    let settings = Settings {
        propagation: Duration::from_mins(1),
        ..Settings::default()
    };
    let stage = stage_with(settings).await;
    let create = stage
        .client
        .create_access_entry()
        .cluster_name("prod")
        .principal_arn(&stage.principal);
    let (_, _, message) = refusal!(create.clone().send());
    assert_eq!(message, "The specified principalArn is invalid: invalid principal.");
    stage.aws.advance(Duration::from_mins(1));
    create.send().await.unwrap();
}

#[tokio::test]
async fn groups_and_usernames_that_belong_to_kubernetes_or_aws_are_refused() {
    let stage = stage().await;
    let create = || {
        stage
            .client
            .create_access_entry()
            .cluster_name("prod")
            .principal_arn(&stage.principal)
    };
    let (_, code, message) = refusal!(create().kubernetes_groups("system:masters").send());
    assert_eq!(code, "InvalidParameterException");
    assert_eq!(
        message,
        "The kubernetes group name system:masters is invalid, it cannot start with system:"
    );
    for username in [
        "system:admin",
        "eks:x",
        "aws:x",
        "amazon:x",
        "iam:x",
        "{{SessionName}}",
        "me{{SessionName}}",
    ] {
        assert_eq!(
            refusal!(create().username(username).send()).1,
            "InvalidParameterException",
            "{username}"
        );
    }
    assert_eq!(
        refusal!(create().r#type("SPECIAL").send()).1,
        "InvalidParameterException"
    );
    assert_eq!(
        refusal!(create().tags("aws:mine", "x").send()).1,
        "InvalidParameterException"
    );
    let created = create()
        .username("team:{{SessionName}}")
        .kubernetes_groups("team")
        .send()
        .await
        .unwrap();
    assert_eq!(created.access_entry().unwrap().username(), Some("team:{{SessionName}}"));
    let update = stage
        .client
        .update_access_entry()
        .cluster_name("prod")
        .principal_arn(&stage.principal);
    assert_eq!(
        refusal!(update.kubernetes_groups("system:x").send()).1,
        "InvalidParameterException"
    );
}

#[tokio::test]
async fn an_update_replaces_groups_and_leaves_alone_what_it_does_not_name() {
    let stage = stage().await;
    stage.associate_after_create().await;
    let update = || {
        stage
            .client
            .update_access_entry()
            .cluster_name("prod")
            .principal_arn(&stage.principal)
    };
    let updated = update()
        .kubernetes_groups("b")
        .kubernetes_groups("c")
        .send()
        .await
        .unwrap();
    assert_eq!(updated.access_entry().unwrap().kubernetes_groups(), ["b", "c"]);
    let updated = update()
        .username("me")
        .send()
        .await
        .unwrap()
        .access_entry()
        .unwrap()
        .clone();
    assert_eq!(updated.kubernetes_groups(), ["b", "c"]);
    assert_eq!(updated.username(), Some("me"));
    let updated = update()
        .set_kubernetes_groups(Some(Vec::new()))
        .send()
        .await
        .unwrap()
        .access_entry()
        .unwrap()
        .clone();
    assert!(updated.kubernetes_groups().is_empty(), "an empty list is a list");
    assert_eq!(stage.associations().await.len(), 1, "associations stay");
}

impl Stage {
    async fn associate_after_create(&self) {
        self.create().await;
        self.associate(ADMIN, &[]).await;
    }
}

#[tokio::test]
async fn associating_a_policy_again_changes_its_scope() {
    let stage = stage().await;
    stage.associate_after_create().await;
    stage.associate(EDIT, &["dev-*", "test"]).await;
    let narrow = vec!["dev-*".to_owned(), "test".to_owned()];
    assert_eq!(
        stage.associations().await,
        [(ADMIN.to_owned(), vec![]), (EDIT.to_owned(), narrow)]
    );
    stage.associate(ADMIN, &["one"]).await;
    assert_eq!(
        stage.associations().await[0],
        (ADMIN.to_owned(), vec!["one".to_owned()])
    );
    let disassociate = stage
        .client
        .disassociate_access_policy()
        .cluster_name("prod")
        .principal_arn(&stage.principal);
    disassociate.clone().policy_arn(ADMIN).send().await.unwrap();
    assert_eq!(stage.associations().await.len(), 1);
    assert_eq!(
        refusal!(disassociate.policy_arn(ADMIN).send()).1,
        "ResourceNotFoundException"
    );
}

#[tokio::test]
async fn associations_need_a_known_policy_and_a_scope_that_makes_sense() {
    let stage = stage().await;
    stage.create().await;
    let associate = |policy: &str, scope: AccessScope| {
        let request = stage
            .client
            .associate_access_policy()
            .cluster_name("prod")
            .principal_arn(&stage.principal);
        request.policy_arn(policy).access_scope(scope)
    };
    let invented = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSGodPolicy";
    let other_partition = "arn:aws-cn:eks::aws:cluster-access-policy/AmazonEKSEditPolicy";
    for policy in [invented, other_partition, "AmazonEKSEditPolicy"] {
        assert_eq!(
            refusal!(associate(policy, scope(&[])).send()).1,
            "InvalidParameterException",
            "{policy}"
        );
    }
    let nowhere = AccessScope::builder().r#type(AccessScopeType::Namespace).build();
    let everywhere = AccessScope::builder()
        .r#type(AccessScopeType::Cluster)
        .namespaces("x")
        .build();
    for wrong in [nowhere, everywhere, AccessScope::builder().build()] {
        assert_eq!(refusal!(associate(EDIT, wrong).send()).1, "InvalidParameterException");
    }
    let node = role(&stage.aws, SPOKE, "/", "node", &json!([]));
    let create = stage
        .client
        .create_access_entry()
        .cluster_name("prod")
        .principal_arn(&node)
        .r#type("EC2_LINUX");
    create.send().await.unwrap();
    let request = stage
        .client
        .associate_access_policy()
        .cluster_name("prod")
        .principal_arn(&node)
        .policy_arn(EDIT);
    let (_, code, message) = refusal!(request.access_scope(scope(&[])).send());
    assert_eq!(code, "InvalidRequestException");
    assert_eq!(
        message,
        "This operation can only be performed on Access Entries with a type of \"STANDARD\""
    );
    let policies = stage.client.list_access_policies().send().await.unwrap();
    assert!(
        policies
            .access_policies()
            .iter()
            .any(|policy| policy.arn() == Some(ADMIN))
    );
}

#[tokio::test]
async fn deleting_an_entry_removes_its_associations_and_an_entry_survives_its_role() {
    let stage = stage().await;
    stage.associate_after_create().await;
    let root = stage.aws.root(SPOKE);
    stage
        .aws
        .call(&root, Iam, "DeleteRole", json!({"RoleName": "deployer"}))
        .unwrap();
    assert_eq!(
        stage.associations().await.len(),
        1,
        "the entry does not go with its role"
    );
    stage
        .client
        .delete_access_entry()
        .cluster_name("prod")
        .principal_arn(&stage.principal)
        .send()
        .await
        .unwrap();
    role(&stage.aws, SPOKE, "/mooring/hub/", "deployer", &json!([]));
    stage.create().await;
    assert!(stage.associations().await.is_empty());
}

#[tokio::test]
async fn a_role_made_anew_under_the_same_arn_does_not_match_its_old_entry() {
    let stage = stage().await;
    stage.associate_after_create().await;
    let who = |session: &str| {
        let credentials = stage.aws.session(&stage.principal, session, &[]).unwrap();
        let caller = stage.aws.caller(&credentials).unwrap();
        stage.aws.access(SPOKE, REGION, "prod", &caller)
    };
    let access = who("a@b").unwrap();
    assert_eq!(access.username, "arn:aws:sts::222222222222:assumed-role/deployer/a-b");
    assert_eq!(access.policies[0].policy_arn, ADMIN);
    let root = stage.aws.root(SPOKE);
    stage
        .aws
        .call(&root, Iam, "DeleteRole", json!({"RoleName": "deployer"}))
        .unwrap();
    assert_eq!(
        role(&stage.aws, SPOKE, "/mooring/hub/", "deployer", &json!([])),
        stage.principal
    );
    assert_eq!(who("me"), None, "the entry pins the unique ID of the role that is gone");
    let describe = stage
        .client
        .describe_access_entry()
        .cluster_name("prod")
        .principal_arn(&stage.principal);
    let shown = format!("{:?}", describe.send().await.unwrap());
    assert!(
        shown.contains(&stage.principal) && !shown.contains("AROA"),
        "and the API does not show it"
    );
}

#[tokio::test]
async fn what_was_just_written_is_not_there_for_a_while() {
    let settings = Settings {
        eks_propagation: Duration::from_mins(1),
        ..Settings::default()
    };
    let stage = stage_with(settings).await;
    stage.create().await;
    let associate = || {
        let request = stage
            .client
            .associate_access_policy()
            .cluster_name("prod")
            .principal_arn(&stage.principal);
        request.policy_arn(ADMIN).access_scope(scope(&[]))
    };
    let (status, code, message) = refusal!(associate().send());
    assert_eq!((status, code.as_str()), (404, "ResourceNotFoundException"));
    assert!(
        message.starts_with("The specified principalArn could not be found"),
        "{message}"
    );
    let list = async || {
        stage
            .client
            .list_access_entries()
            .cluster_name("prod")
            .send()
            .await
            .unwrap()
            .access_entries()
            .len()
    };
    assert_eq!(list().await, 0);
    let again = stage
        .client
        .create_access_entry()
        .cluster_name("prod")
        .principal_arn(&stage.principal);
    assert_eq!(
        refusal!(again.send()).1,
        "ResourceInUseException",
        "the service itself knows"
    );
    stage.aws.advance(Duration::from_mins(1));
    assert_eq!(list().await, 1);
    associate().send().await.unwrap();
    assert!(stage.associations().await.is_empty(), "stale");
    stage.aws.advance(Duration::from_mins(1));
    assert_eq!(stage.associations().await.len(), 1);
    stage
        .client
        .delete_access_entry()
        .cluster_name("prod")
        .principal_arn(&stage.principal)
        .send()
        .await
        .unwrap();
    assert_eq!(list().await, 1, "stale");
}

#[tokio::test]
async fn lists_come_in_pages() {
    let stage = stage().await;
    for index in 0..5 {
        let principal = role(&stage.aws, SPOKE, "/", &format!("role-{index}"), &json!([]));
        let create = stage
            .client
            .create_access_entry()
            .cluster_name("prod")
            .principal_arn(principal);
        create.send().await.unwrap();
    }
    let first = stage
        .client
        .list_access_entries()
        .cluster_name("prod")
        .max_results(2)
        .send()
        .await
        .unwrap();
    assert_eq!(first.access_entries().len(), 2);
    assert!(first.next_token().is_some());
    let pages = stage
        .client
        .list_access_entries()
        .cluster_name("prod")
        .into_paginator()
        .page_size(2)
        .items()
        .send();
    let all = pages.collect::<Result<Vec<_>, _>>().await.unwrap();
    assert_eq!(all.len(), 5);
    let forged = stage.client.list_access_entries().cluster_name("prod").next_token("x");
    assert_eq!(refusal!(forged.send()).1, "InvalidParameterException");
    let request = stage
        .client
        .associate_access_policy()
        .cluster_name("prod")
        .principal_arn(&all[3]);
    request.policy_arn(EDIT).access_scope(scope(&[])).send().await.unwrap();
    let filtered = stage
        .client
        .list_access_entries()
        .cluster_name("prod")
        .associated_policy_arn(EDIT)
        .send();
    assert_eq!(filtered.await.unwrap().access_entries(), [all[3].clone()]);
}

#[tokio::test]
async fn a_cluster_has_at_most_three_thousand_entries() {
    let stage = stage().await;
    let settings = json!({"RoleName": "x", "AssumeRolePolicyDocument": clients::trust("aws", SPOKE)});
    let accounts = ["300000000001", "300000000002", "300000000003"];
    let root = stage.aws.root(SPOKE);
    let mut entry = json!({"clusterName": "prod"});
    for account in accounts {
        let other = stage.aws.root(account);
        for index in 0..1_000 {
            let mut input = settings.clone();
            input["RoleName"] = format!("r{index}").into();
            input["AssumeRolePolicyDocument"] = clients::trust("aws", account).into();
            let role = stage.aws.call(&other, Iam, "CreateRole", input).unwrap();
            entry["principalArn"] = role["Role"]["Arn"].clone();
            stage
                .aws
                .call(
                    &root,
                    mooring_sandbox::aws::contract::Service::Eks,
                    "CreateAccessEntry",
                    entry.clone(),
                )
                .unwrap();
        }
    }
    let create = stage
        .client
        .create_access_entry()
        .cluster_name("prod")
        .principal_arn(&stage.principal);
    let (status, code, _) = refusal!(create.send());
    assert_eq!((status, code.as_str()), (400, "ResourceLimitExceededException"));
}

#[tokio::test]
async fn tags_of_an_entry_are_changed_by_its_arn() {
    let stage = stage().await;
    let create = stage
        .client
        .create_access_entry()
        .cluster_name("prod")
        .principal_arn(&stage.principal);
    let entry = create
        .tags("a", "1")
        .tags("b", "2")
        .send()
        .await
        .unwrap()
        .access_entry()
        .unwrap()
        .clone();
    let arn = entry.access_entry_arn().unwrap();
    stage
        .client
        .tag_resource()
        .resource_arn(arn)
        .tags("a", "3")
        .tags("c", "4")
        .send()
        .await
        .unwrap();
    stage
        .client
        .untag_resource()
        .resource_arn(arn)
        .tag_keys("b")
        .send()
        .await
        .unwrap();
    let describe = stage
        .client
        .describe_access_entry()
        .cluster_name("prod")
        .principal_arn(&stage.principal);
    let tags = describe
        .send()
        .await
        .unwrap()
        .access_entry()
        .unwrap()
        .tags()
        .unwrap()
        .clone();
    assert_eq!((tags["a"].as_str(), tags["c"].as_str(), tags.len()), ("3", "4", 2));
    let many = (0..49).map(|index| (format!("t{index}"), String::new())).collect();
    let (status, code, _) = refusal!(
        stage
            .client
            .tag_resource()
            .resource_arn(arn)
            .set_tags(Some(many))
            .send()
    );
    assert_eq!((status, code.as_str()), (400, "BadRequestException"), "51 tags");
    let gone = stage
        .client
        .tag_resource()
        .resource_arn(format!("{arn}x"))
        .tags("a", "1");
    assert_eq!(refusal!(gone.send()).1, "NotFoundException");
}

#[tokio::test]
async fn access_denied_names_caller_action_and_resource() {
    let stage = stage().await;
    let nobody = stage.limited("nobody", &json!([]));
    let (status, code, message) = refusal!(nobody.describe_cluster().name("prod").send());
    assert_eq!((status, code.as_str()), (403, "AccessDeniedException"));
    let expected = "User: arn:aws:sts::222222222222:assumed-role/nobody/me is not authorized to perform: eks:DescribeCluster \
                    on resource: arn:aws:eks:eu-west-1:222222222222:cluster/prod";
    assert!(message.starts_with(expected), "{message}");
    assert_eq!(
        refusal!(nobody.describe_cluster().name("absent").send()).0,
        403,
        "denied before it is looked for"
    );
}

#[tokio::test]
async fn creating_an_entry_is_decided_by_principal_type_groups_username_and_tags() {
    let stage = stage().await;
    let deployer = "arn:aws:iam::222222222222:role/mooring/hub/*";
    let limited = stage.limited("limited", &json!([
        {"Effect": "Allow", "Action": "eks:CreateAccessEntry", "Resource": "arn:aws:eks:*:222222222222:cluster/*", "Condition": {
            "ArnLike": {"eks:principalArn": deployer},
            "StringEquals": {"eks:accessEntryType": "STANDARD", "aws:RequestTag/mooring.dev/hub": "us"},
            "ForAllValues:StringEquals": {"eks:kubernetesGroups": ["team"]},
            "Null": {"eks:username": "true"},
        }},
        {"Effect": "Allow", "Action": "eks:TagResource", "Resource": "arn:aws:eks:*:222222222222:access-entry/*", "Condition": {
            "StringEquals": {"aws:RequestTag/mooring.dev/hub": "us"},
        }},
    ]));
    let other = role(&stage.aws, SPOKE, "/", "other", &json!([]));
    let create = |principal: &str| {
        limited
            .create_access_entry()
            .cluster_name("prod")
            .principal_arn(principal)
            .tags("mooring.dev/hub", "us")
    };
    assert_eq!(refusal!(create(&other).send()).0, 403, "another principal");
    assert_eq!(
        refusal!(create(&stage.principal).r#type("EC2_LINUX").send()).0,
        403,
        "another type"
    );
    assert_eq!(
        refusal!(create(&stage.principal).kubernetes_groups("admins").send()).0,
        403,
        "another group"
    );
    assert_eq!(
        refusal!(create(&stage.principal).username("me").send()).0,
        403,
        "a username"
    );
    let untagged = limited
        .create_access_entry()
        .cluster_name("prod")
        .principal_arn(&stage.principal);
    assert_eq!(refusal!(untagged.send()).0, 403, "no tag");
    create(&stage.principal).kubernetes_groups("team").send().await.unwrap();
    let checks = &aws_log_last(&stage.aws).checks;
    assert_eq!(
        checks.iter().map(|check| check.action).collect::<Vec<_>>(),
        ["eks:CreateAccessEntry", "eks:TagResource"]
    );
    let tagless = stage.limited(
        "tagless",
        &json!([{"Effect": "Allow", "Action": "eks:CreateAccessEntry", "Resource": "*"}]),
    );
    let create = tagless
        .create_access_entry()
        .cluster_name("prod")
        .principal_arn(&other)
        .tags("a", "b");
    let (_, _, message) = refusal!(create.send());
    assert!(message.contains("is not authorized to perform: eks:TagResource on resource: arn:aws:eks:eu-west-1:222222222222:access-entry/prod/role/222222222222/other/"), "{message}");
}

fn aws_log_last(aws: &FakeAws) -> mooring_sandbox::aws::Call {
    aws.log().all().pop().unwrap()
}

#[tokio::test]
async fn acting_on_an_entry_is_decided_by_what_the_entry_is_and_what_is_asked() {
    let stage = stage().await;
    let create = stage
        .client
        .create_access_entry()
        .cluster_name("prod")
        .principal_arn(&stage.principal);
    create
        .tags("mooring.dev/hub", "us")
        .kubernetes_groups("team")
        .send()
        .await
        .unwrap();
    let foreign = role(&stage.aws, SPOKE, "/", "foreign", &json!([]));
    stage
        .client
        .create_access_entry()
        .cluster_name("prod")
        .principal_arn(&foreign)
        .send()
        .await
        .unwrap();
    let limited = stage.limited("limited", &json!([
        {"Effect": "Allow", "Action": ["eks:DeleteAccessEntry", "eks:DescribeAccessEntry"], "Resource": "*", "Condition": {
            "StringEquals": {"aws:ResourceTag/mooring.dev/hub": "us", "eks:clusterName": "prod", "eks:accessEntryType": "STANDARD"},
            "ArnLike": {"eks:principalArn": "arn:aws:iam::222222222222:role/mooring/*"},
        }},
        {"Effect": "Allow", "Action": "eks:UpdateAccessEntry", "Resource": "*", "Condition": {
            "ForAllValues:StringEquals": {"eks:kubernetesGroups": ["team", "dev"]},
        }},
        {"Effect": "Allow", "Action": ["eks:AssociateAccessPolicy", "eks:DisassociateAccessPolicy"], "Resource": "*", "Condition": {
            "ArnEquals": {"eks:policyArn": EDIT},
            "StringEquals": {"eks:accessScope": "namespace"},
            "ForAllValues:StringEquals": {"eks:namespaces": ["dev"]},
        }},
    ]));
    let describe = |principal: &str| {
        limited
            .describe_access_entry()
            .cluster_name("prod")
            .principal_arn(principal)
    };
    describe(&stage.principal).send().await.unwrap();
    assert_eq!(refusal!(describe(&foreign).send()).0, 403, "no tag");
    let update = || {
        limited
            .update_access_entry()
            .cluster_name("prod")
            .principal_arn(&stage.principal)
    };
    assert_eq!(
        refusal!(update().kubernetes_groups("admins").send()).0,
        403,
        "the groups that are asked for count"
    );
    update().kubernetes_groups("dev").send().await.unwrap();
    let associate = |policy: &str, namespaces: &[&str]| {
        let request = limited
            .associate_access_policy()
            .cluster_name("prod")
            .principal_arn(&stage.principal);
        request.policy_arn(policy).access_scope(scope(namespaces))
    };
    assert_eq!(refusal!(associate(ADMIN, &["dev"]).send()).0, 403, "another policy");
    assert_eq!(refusal!(associate(EDIT, &[]).send()).0, 403, "the whole cluster");
    assert_eq!(
        refusal!(associate(EDIT, &["dev", "kube-system"]).send()).0,
        403,
        "another namespace"
    );
    associate(EDIT, &["dev"]).send().await.unwrap();
    let disassociate = limited
        .disassociate_access_policy()
        .cluster_name("prod")
        .principal_arn(&stage.principal);
    disassociate.policy_arn(EDIT).send().await.unwrap();
    limited
        .delete_access_entry()
        .cluster_name("prod")
        .principal_arn(&stage.principal)
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn tagging_is_decided_by_the_tags_asked_for_and_the_tags_there() {
    let stage = stage().await;
    let create = stage
        .client
        .create_access_entry()
        .cluster_name("prod")
        .principal_arn(&stage.principal);
    let entry = create
        .tags("owner", "us")
        .send()
        .await
        .unwrap()
        .access_entry()
        .unwrap()
        .clone();
    let arn = entry.access_entry_arn().unwrap();
    let limited = stage.limited(
        "limited",
        &json!([{
            "Effect": "Allow", "Action": ["eks:TagResource", "eks:UntagResource"], "Resource": arn, "Condition": {
                "StringEquals": {"aws:ResourceTag/owner": "us"},
                "ForAllValues:StringEquals": {"aws:TagKeys": ["note"]},
            },
        }]),
    );
    limited
        .tag_resource()
        .resource_arn(arn)
        .tags("note", "x")
        .send()
        .await
        .unwrap();
    assert_eq!(
        refusal!(limited.tag_resource().resource_arn(arn).tags("owner", "them").send()).0,
        403
    );
    limited
        .untag_resource()
        .resource_arn(arn)
        .tag_keys("note")
        .send()
        .await
        .unwrap();
    assert_eq!(
        refusal!(limited.untag_resource().resource_arn(arn).tag_keys("owner").send()).0,
        403
    );
    let absent = format!("{arn}x");
    let nobody = stage.limited("nobody", &json!([]));
    assert_eq!(
        refusal!(nobody.tag_resource().resource_arn(absent).tags("note", "x").send()).0,
        403
    );
}
