//! Making clusters true, and leaving them alone afterwards.

use std::collections::{BTreeMap, BTreeSet};

use mooring_sandbox::{aws::Call, control_plane::AuditedCall};
use serde_json::{Value, json};

use crate::support::{
    HUB_ACCOUNT, Setting, World, condition,
    manifest::{ADMIN, EDIT, VIEW, managed_cluster},
};

fn counts(calls: &[Call]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for call in calls {
        *counts.entry(call.operation.as_str()).or_default() += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn clusters_become_ready_within_their_budget_and_are_left_alone() {
    let boundary = "arn:aws:iam::333333333333:policy/limit";
    let mut setting = Setting::of(&[
        "222222222222/eu-west-1/first",
        "333333333333/eu-west-1/second",
        "222222222222/eu-west-1/prod-eu",
        "222222222222/eu-central-1/tools",
        "333333333333/eu-central-1/platform",
        "333333333333/eu-west-1/limited",
    ]);
    setting.boundaries = vec!["arn:aws:iam::aws:policy/AWSDenyAll".to_owned(), boundary.to_owned()];
    let world = World::ready(setting).await;
    let document =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "iam:*", "Resource": "*"}]});
    world.iam(
        "333333333333",
        "CreatePolicy",
        json!({"PolicyName": "limit", "PolicyDocument": document.to_string()}),
    );
    // The first cluster of an account also waits until the management role may go there.
    for name in ["first", "second", "hub"] {
        world.moored(name).await;
    }

    let (mark, audit) = (world.mark(), world.audit_mark().await);
    let team = json!({
        "access": {
            "policies": [{"name": VIEW}, {"name": EDIT, "namespaces": ["team-a", "team-b"]}],
            "kubernetesGroups": ["team-a", "team-b"],
            "deployerRole": {"tags": {"cost-centre": "42"}},
        },
    });
    let held = json!({
        "access": {"policies": [{"name": EDIT, "namespaces": ["team-b", "team-a"]}]},
        "argocd": {
            "name": "the-tools", "project": "tools", "shard": 3, "clusterResources": true, "namespaces": ["team-b", "team-a"],
            "labels": {"env": "prod"}, "annotations": {"example.com/vpc": "vpc-1"},
        },
    });
    world.moor("prod-eu", json!({})).await;
    world.moor("tools", held).await;
    world.moor("platform", team).await;
    let limited = json!({"access": {"deployerRole": {"permissionsBoundary": boundary}}});
    world.moor("limited", limited).await;
    let names = ["prod-eu", "tools", "platform", "limited"];
    for name in names {
        let object = world.is_ready("ManagedCluster", name).await;
        for kind in [
            "ManagementRoleReady",
            "ClusterReady",
            "DeployerRoleReady",
            "AccessEntryReady",
            "SecretReady",
        ] {
            assert_eq!(condition(&object, kind).unwrap().0, "True", "{name} {kind}");
        }
        assert_eq!(condition(&object, "Stalled"), None, "{name}");
        let calls = world.calls(name, mark);
        // Eight with one access policy, and one more for each further one.
        let policies = object["spec"]["access"]["policies"].as_array().unwrap().len();
        assert!(calls.len() <= 7 + policies, "{name}: {:?}", counts(&calls));
        assert_eq!(counts(&calls)["AssumeRole"], 1, "{name}");
    }
    // The event is written after the status: the last write of each.
    let writes = world
        .eventually("an event of each", async || {
            let writes = world.kubernetes_writes(audit).await;
            let events = writes.iter().filter(|write| write.resource == "events").count();
            (events >= names.len()).then_some(writes)
        })
        .await;
    for name in names {
        let own = |resource: &str| {
            let of = writes
                .iter()
                .filter(|write| write.resource == resource && write.name == name);
            of.count()
        };
        assert_eq!(
            (own("managedclusters"), own("managedclusters/status")),
            (1, 1),
            "{name}: {writes:#?}"
        );
    }
    // An event of an earlier object may come late.
    let own = |name: &str| names.iter().any(|own| name.starts_with(&format!("{own}.")));
    let late = |write: &&AuditedCall| write.resource == "events" && !own(&write.name);
    assert_eq!(
        writes.len() - writes.iter().filter(late).count(),
        4 * names.len(),
        "finalizer, Secret, status and event of each: {writes:#?}"
    );

    plain(&world).await;
    presented(&world).await;
    scoped(&world).await;
    assert_eq!(world.seen_role("limited").unwrap().boundary.unwrap(), boundary);
    world.never_denied();

    steady(&world, &["prod-eu", "tools", "platform", "hub"], 4).await;
    // Policies on a role with another boundary would count, so they are looked for.
    steady(&world, &["limited"], 6).await;
    world.never_denied();
}

/// Passes over clusters that are as they should be: reads within the budget, and nothing else.
async fn steady(world: &World, names: &[&str], budget: usize) {
    for name in names {
        let (mark, audit) = (world.mark(), world.audit_mark().await);
        world.whole_pass("ManagedCluster", name).await;
        let calls = world.calls(name, mark);
        let counts = counts(&calls);
        assert!(
            calls.iter().all(|call| !call.write && call.operation != "AssumeRole"),
            "{name}: {counts:?}"
        );
        assert!(
            counts.len() <= budget && counts.values().all(|count| *count <= 2),
            "{name}: {counts:?}"
        );
        let writes = world.kubernetes_writes(audit).await;
        assert!(writes.is_empty(), "{name}: {writes:#?}");
    }
}

/// A cluster without anything special is as DESIGN says, in every part.
async fn plain(world: &World) {
    let object = world.get("ManagedCluster", "prod-eu").await.unwrap();
    let uid = object["metadata"]["uid"].as_str().unwrap();
    let cluster = world.cluster("prod-eu").clone();
    let role = world.seen_role("prod-eu").unwrap();
    let path = "arn:aws:iam::222222222222:role/mooring/111111111111-eu-west-1-hub/default/prod-eu-";
    let hash = role.arn.strip_prefix(path).unwrap();
    assert!(
        hash.len() == 8 && hash.chars().all(|c| c.is_ascii_hexdigit()),
        "{}",
        role.arn
    );
    assert_eq!(
        object["status"]["deployerRole"],
        json!({"arn": role.arn, "id": role.id})
    );

    let management = world.hub().management_role_arn(None).to_string();
    let expected = json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "ManagementRole", "Effect": "Allow",
        "Principal": {"AWS": format!("arn:aws:iam::{HUB_ACCOUNT}:root")},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {"ArnEquals": {"aws:PrincipalArn": management}},
    }]});
    assert_eq!(role.trust, expected);
    assert_eq!(role.boundary.as_deref(), Some("arn:aws:iam::aws:policy/AWSDenyAll"));
    let mut tags: BTreeMap<String, String> = [
        ("mooring.dev/hub", "arn:aws:eks:eu-west-1:111111111111:cluster/hub"),
        ("mooring.dev/uid", uid),
        ("mooring.dev/object", "prod-eu"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    assert_eq!(role.tags, tags);
    for operation in ["ListRolePolicies", "ListAttachedRolePolicies"] {
        let answer = world.role("prod-eu", operation, json!({}));
        let lists: Vec<_> = answer
            .as_object()
            .unwrap()
            .values()
            .filter_map(Value::as_array)
            .collect();
        assert!(
            !lists.is_empty() && lists.iter().all(|list| list.is_empty()),
            "{answer}"
        );
    }

    let entry = world.seen_entry("prod-eu").unwrap();
    tags.insert("mooring.dev/role-id".to_owned(), role.id);
    assert_eq!(entry.tags, tags);
    assert_eq!(
        (entry.groups, entry.policies),
        (BTreeSet::new(), [(ADMIN.to_owned(), "*".to_owned())].into())
    );

    let secret = world.secret("prod-eu").await.unwrap();
    let name = secret.metadata.name.clone().unwrap();
    let host = cluster
        .endpoint()
        .strip_prefix("https://")
        .unwrap()
        .to_ascii_lowercase();
    assert!(name.starts_with(&format!("cluster-{host}-")), "{name}");
    assert_eq!(object["status"]["secret"], json!(name));
    let labels = secret.metadata.labels.unwrap();
    assert_eq!(
        labels,
        [("argocd.argoproj.io/secret-type".to_owned(), "cluster".to_owned())].into()
    );
    let annotations = secret.metadata.annotations.unwrap();
    assert_eq!(annotations["mooring.dev/uid"], uid);
    let data = data(&secret.data.unwrap());
    assert_eq!(
        data.keys().map(String::as_str).collect::<Vec<_>>(),
        ["config", "name", "server"]
    );
    assert_eq!(
        (data["name"].as_str(), data["server"].clone()),
        ("prod-eu", cluster.endpoint())
    );
    let described = world.eks("prod-eu", "DescribeCluster", json!({}));
    let config: Value = serde_json::from_str(&data["config"]).unwrap();
    assert_eq!(
        config,
        json!({
            "tlsClientConfig": {"insecure": false, "caData": described["cluster"]["certificateAuthority"]["data"]},
            "awsAuthConfig": {"clusterName": "prod-eu", "roleARN": role.arn},
        })
    );
}

/// What the spec says of Argo CD is what the Secret says, and what Argo CD reads in it.
async fn presented(world: &World) {
    let read = world.argo_cd_reads().await;
    let tools = &read["the-tools"];
    assert_eq!(
        (&tools["project"], &tools["shard"], &tools["namespaces"]),
        (&json!("tools"), &json!(3), &json!(["team-b", "team-a"])),
        "{tools}"
    );
    let secret = world.secret("tools").await.unwrap();
    assert_eq!(secret.metadata.labels.unwrap()["env"], "prod");
    assert_eq!(secret.metadata.annotations.unwrap()["example.com/vpc"], "vpc-1");
    let data = data(&secret.data.unwrap());
    let told = ["name", "project", "shard", "clusterResources", "namespaces"].map(|key| data[key].as_str());
    assert_eq!(told, ["the-tools", "tools", "3", "true", "team-b,team-a"]);
    let entry = world.seen_entry("tools").unwrap();
    assert_eq!(entry.policies, [(EDIT.to_owned(), "team-a,team-b".to_owned())].into());
}

/// Several policies with their scopes, groups and tags.
async fn scoped(world: &World) {
    let entry = world.seen_entry("platform").unwrap();
    assert_eq!(entry.groups, ["team-a", "team-b"].map(str::to_owned).into());
    let policies = [(VIEW, "*"), (EDIT, "team-a,team-b")].map(|(name, scope)| (name.to_owned(), scope.to_owned()));
    assert_eq!(entry.policies, policies.into());
    assert_eq!(entry.tags["cost-centre"], "42");
    assert_eq!(world.seen_role("platform").unwrap().tags["cost-centre"], "42");
    let secret = world.secret("platform").await.unwrap();
    let data = data(&secret.data.unwrap());
    assert!(
        !data.contains_key("namespaces"),
        "one policy holds in the whole cluster: {data:?}"
    );
}

fn data(data: &BTreeMap<String, k8s_openapi::ByteString>) -> BTreeMap<String, String> {
    let text = |bytes: &k8s_openapi::ByteString| String::from_utf8(bytes.0.clone()).unwrap();
    data.iter().map(|(key, value)| (key.clone(), text(value))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_namespaces_of_the_policies_are_argo_cds_and_a_default_name_is_the_objects() {
    let world = World::ready(Setting::of(&["222222222222/eu-west-1/held"])).await;
    let mut manifest = managed_cluster(
        world.cluster("held"),
        json!({"clusterName": "held", "access": {"policies": [{"name": EDIT, "namespaces": ["b", "a"]}]}}),
    );
    manifest["metadata"]["name"] = json!("another");
    world.apply(&manifest).await;
    world.is_ready("ManagedCluster", "another").await;
    let data = data(&world.secret("another").await.unwrap().data.unwrap());
    assert_eq!((data["namespaces"].as_str(), data["name"].as_str()), ("a,b", "another"));
    let config: Value = serde_json::from_str(&data["config"]).unwrap();
    assert_eq!(config["awsAuthConfig"]["clusterName"], "held");
    world.never_denied();
}
