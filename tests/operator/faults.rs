//! AWS as it is on a bad day: refusing, and late to show what was written. That every call may fail is swept in `sweep`.

use std::time::Duration;

use futures::future::join_all;
use mooring_sandbox::{
    aws::{Effect, Fault},
    stage::{Signal, ready},
};
use serde_json::json;

use crate::support::{Setting, World, condition, manifest::VIEW, message};

/// Every call of a create but the entering of the account, with where a failure of it is told.
const CALLS: [(&str, &str); 7] = [
    ("DescribeCluster", "ClusterReady"),
    ("GetRole", "DeployerRoleReady"),
    ("DescribeAccessEntry", "AccessEntryReady"),
    ("ListAssociatedAccessPolicies", "AccessEntryReady"),
    ("CreateRole", "DeployerRoleReady"),
    ("CreateAccessEntry", "AccessEntryReady"),
    ("AssociateAccessPolicy", "AccessEntryReady"),
];

fn account(number: usize) -> String {
    format!("{}", 200_000_000_000_u64 + number as u64)
}

/// What stands at the end is exactly one of each, made for each other.
async fn whole(world: &World, name: &str) {
    let object = world.is_ready("ManagedCluster", name).await;
    let role = world
        .eventually("the role is seen", async || world.seen_role(name))
        .await;
    assert_eq!(object["status"]["deployerRole"]["id"], json!(role.id), "{name}");
    world
        .eventually(
            "the entry is seen from everywhere, and made for this role",
            async || {
                let entry = world.seen_entry(name)?;
                let policies = [(VIEW.to_owned(), "*".to_owned())].into();
                (entry.tags["mooring.dev/role-id"] == role.id && entry.policies == policies).then_some(())
            },
        )
        .await;
    assert!(world.secret(name).await.is_some(), "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_the_action_the_principal_and_the_resource_and_ends_when_it_is_lifted() {
    let spokes: Vec<String> = (CALLS.iter().enumerate())
        .map(|(number, (operation, _))| format!("{}/eu-west-1/{}", account(number), operation.to_lowercase()))
        .collect();
    let spokes: Vec<&str> = spokes.iter().map(String::as_str).collect();
    let world = World::ready(Setting::of(&spokes)).await;
    let faults = world.stage.aws.faults();
    for (number, (operation, _)) in CALLS.iter().enumerate() {
        let fault = Fault::on(operation, Effect::AccessDenied).in_account(&account(number));
        faults.add(fault).unwrap();
    }
    join_all(CALLS.iter().enumerate().map(|(number, (operation, kind))| {
        let (world, name) = (&world, operation.to_lowercase());
        async move {
            world
                .moor(&name, json!({"access": {"policies": [{"name": VIEW}]}}))
                .await;
            let told = world.until_reason("ManagedCluster", &name, "AccessDenied").await;
            let service = if operation.ends_with("Role") { "iam" } else { "eks" };
            let text = message(&told);
            for words in [
                &format!("{service}:{operation}"),
                &format!("arn:aws:iam::{}:role/mooring-provisioner", account(number)),
                "service control policy",
                "Next: ",
            ] {
                assert!(text.contains(words), "{name} does not say {words}: {text}");
            }
            // Every try has another, and a status that changed with each would be written with each.
            assert!(!text.contains("request ID"), "{text}");
            assert_eq!(condition(&told, kind).unwrap().1, "AccessDenied", "{name}");
            assert_eq!(condition(&told, "Stalled").unwrap().0, "True", "{name}");
            assert!(world.secret(&name).await.is_none(), "{name}: the Secret comes last");
        }
    }))
    .await;
    let told = |line: &&str| line.contains("\"outcome\":\"denied\"") && line.contains("\"request_id\":");
    assert!(
        world.log().lines().filter(told).count() >= CALLS.len(),
        "the log names each request"
    );
    faults.clear();
    join_all(CALLS.map(|(operation, _)| {
        let (world, name) = (&world, operation.to_lowercase());
        async move {
            world.ask("ManagedCluster", &name).await;
            whole(world, &name).await;
        }
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_cannot_be_entered_says_so_and_keeps_no_other_waiting() {
    let world = World::ready(Setting::of(&[
        "222222222222/eu-west-1/shut",
        "333333333333/eu-west-1/open",
    ]))
    .await;
    let input = json!({"RoleName": "mooring-provisioner", "PolicyName": "none"});
    let trust = crate::support::hands::loose_trust("222222222222");
    let role = world.iam("222222222222", "GetRole", input.clone());
    let proper = crate::support::hands::document(&role["Role"]["AssumeRolePolicyDocument"]);
    let change = |document: &str| {
        let input = json!({"RoleName": "mooring-provisioner", "PolicyDocument": document});
        world.iam("222222222222", "UpdateAssumeRolePolicy", input);
    };
    change(&trust);
    world.moor("shut", json!({})).await;
    world.moor("open", json!({})).await;
    world.is_ready("ManagedCluster", "open").await;
    let told = world.until_reason("ManagedCluster", "shut", "AccountNotEntered").await;
    for words in [
        "sts:AssumeRole",
        "arn:aws:iam::222222222222:role/mooring-provisioner",
        "Next: ",
    ] {
        assert!(message(&told).contains(words), "{}", message(&told));
    }
    change(&proper.to_string());
    world.ask("ManagedCluster", "shut").await;
    world.is_ready("ManagedCluster", "shut").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_arrive_late_are_waited_for_and_not_repeated_blindly() {
    let mut setting = Setting::of(&[
        "222222222222/eu-west-1/one",
        "222222222222/eu-west-1/two",
        "333333333333/eu-central-1/three",
    ])
    .flag(&["--confirm-after", "8s"]);
    setting.aws.propagation = Duration::from_secs(3);
    setting.aws.eks_propagation = Duration::from_secs(2);
    let world = World::start(setting).await;
    // What the platform team made is everywhere by then.
    tokio::time::sleep(Duration::from_secs(4)).await;
    world.apply(&world.setting.management.clone()).await;
    world.is_ready("ManagementRole", "default").await;
    let names = ["one", "two", "three"];
    for name in names {
        world
            .moor(name, json!({"access": {"policies": [{"name": VIEW}]}}))
            .await;
    }
    for name in names {
        whole(&world, name).await;
        let writes = world.writes(name, 0);
        let count = |operation: &str| writes.iter().filter(|write| *write == operation).count();
        assert_eq!(count("CreateRole"), 1, "{name}: {writes:?}");
        assert_eq!(
            count("DeleteRole") + count("DeleteAccessEntry"),
            0,
            "{name}: {writes:?}"
        );
        assert!(count("CreateAccessEntry") <= 4, "{name}: {writes:?}");
        assert!(count("AssociateAccessPolicy") <= 4, "{name}: {writes:?}");
    }
    // Seen from everywhere, nothing is left to do.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let mark = world.mark();
    for name in names {
        world.whole_pass("ManagedCluster", name).await;
        assert_eq!(world.writes(name, mark), Vec::<String>::new(), "{name}");
    }
    for name in names {
        world.delete("ManagedCluster", name).await;
    }
    for name in names {
        world.until_gone("ManagedCluster", name).await;
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    for name in names {
        assert_eq!((world.seen_role(name), world.seen_entry(name)), (None, None), "{name}");
    }
    assert!(
        world
            .get("ManagementRole", "default")
            .await
            .is_some_and(|object| ready(&object).0 == "True")
    );
}

/// EKS may show an entry for some seconds that is gone, beside the role that was made afresh: what was seen before the heal is
/// no second look at what it made.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_heal_deleted_and_reads_still_show_is_not_deleted_again() {
    let mut setting = Setting::of(&["222222222222/eu-west-1/one"]).flag(&["--confirm-after", "2s"]);
    setting.aws.eks_propagation = Duration::from_secs(6);
    let world = World::start(setting).await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    world.apply(&world.setting.management.clone()).await;
    world.is_ready("ManagementRole", "default").await;
    world.moored("one").await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    let mark = world.mark();
    let count = |operation: &str| {
        let writes = world.writes("one", mark);
        writes.iter().filter(|write| *write == operation).count()
    };
    world.role("one", "DeleteRole", json!({}));
    world.ask("ManagedCluster", "one").await;
    world
        .eventually("the role to be made afresh", async || {
            (count("CreateAccessEntry") > 0).then_some(())
        })
        .await;
    for _ in 0..8 {
        world.ask("ManagedCluster", "one").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    world.is_ready("ManagedCluster", "one").await;
    assert_eq!(
        (count("DeleteAccessEntry"), count("CreateRole")),
        (1, 1),
        "{:?}",
        world.writes("one", mark)
    );
    let (role, entry) = (world.seen_role("one").unwrap(), world.seen_entry("one").unwrap());
    assert_eq!(entry.tags["mooring.dev/role-id"], role.id);
}

/// A process that has just begun knows nothing of what the one before it wrote: a read that does not show it yet is no alarm.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_read_after_a_restart_alarms_nobody() {
    let world = World::ready(Setting::of(&["222222222222/eu-west-1/one"]).flag(&["--confirm-after", "4s"])).await;
    world.moored("one").await;
    world.end_operator(Signal::Kill).await;
    let absent = Effect::Error {
        status: 404,
        code: "NoSuchEntity",
        message: "The role cannot be found.".to_owned(),
    };
    let hidden = Fault::on("GetRole", absent).in_account("222222222222").first(1);
    let faults = world.stage.aws.faults();
    let hidden = faults.add(hidden).unwrap();
    let mark = world.mark();
    world.start_operator().await;
    let told = world.until_reason("ManagedCluster", "one", "StalePrincipal").await;
    assert_eq!(ready(&told).0, "Unknown", "one look says so");
    assert!(message(&told).contains("once a second look"), "{}", message(&told));
    world.is_ready("ManagedCluster", "one").await;
    assert_eq!(faults.struck(hidden), 1);
    assert_eq!(world.writes("one", mark), Vec::<String>::new());
    let events = world.events("one").await;
    assert!(
        !events.iter().any(|event| event.starts_with("StalePrincipal")),
        "{events:?}"
    );
}

/// What AWS does not answer is no fault of the spec's and nobody's to mend: it is told as that, what stands is left as it is,
/// and it goes on by itself.
#[tokio::test(flavor = "multi_thread")]
async fn aws_that_fails_is_told_as_that_and_what_stands_is_left() {
    let error = |status, code| Effect::Error {
        status,
        code,
        message: "It failed.".to_owned(),
    };
    let ways = [
        ("throttled", error(429, "ThrottlingException"), "Throttled"),
        ("failing", error(500, "ServerException"), "AwsFailure"),
        ("closed", Effect::CloseBefore, "Unreachable"),
        ("hung", Effect::Hang, "Unreachable"),
    ];
    let spokes: Vec<String> = (ways.iter().enumerate())
        .map(|(number, (name, ..))| format!("{}/eu-west-1/{name}", account(number)))
        .collect();
    let spokes: Vec<&str> = spokes.iter().map(String::as_str).collect();
    // A call that hangs is given up after 20 s, each time.
    let world = World::ready(Setting::of(&spokes).flag(&["--aws-attempts", "1"])).await;
    join_all(ways.iter().map(|(name, ..)| world.moored(name))).await;
    let (mark, faults) = (world.mark(), world.stage.aws.faults());
    for (number, (_, effect, _)) in ways.iter().enumerate() {
        let fault = Fault::on("DescribeAccessEntry", effect.clone()).in_account(&account(number));
        faults.add(fault).unwrap();
    }
    join_all(ways.iter().map(async |(name, _, reason)| {
        world.ask("ManagedCluster", name).await;
        let told = world.until_reason("ManagedCluster", name, reason).await;
        let (verdict, _, says) = condition(&told, "Ready").unwrap();
        assert_eq!(verdict, "Unknown", "{name}: nobody knows");
        assert!(
            says.contains("eks:DescribeAccessEntry") && says.contains(" Next: "),
            "{name}: {says}"
        );
        assert_eq!(condition(&told, "AccessEntryReady").unwrap().1, *reason, "{name}");
        assert_ne!(
            condition(&told, "Stalled").map(|(verdict, ..)| verdict).as_deref(),
            Some("True"),
            "{name}: it ends by itself"
        );
        assert!(world.seen_entry(name).is_some() && world.secret(name).await.is_some());
        assert_eq!(world.writes(name, mark), Vec::<String>::new());
    }))
    .await;
    faults.clear();
    join_all(ways.iter().map(|(name, ..)| whole_again(&world, name))).await;
    world.never_denied();
}

/// It ends by itself with the next try, which by now may be minutes away: whoever mended it need not wait for that.
async fn whole_again(world: &World, name: &str) {
    world.ask("ManagedCluster", name).await;
    world.is_ready("ManagedCluster", name).await;
    assert!(world.seen_role(name).is_some() && world.seen_entry(name).is_some());
}
