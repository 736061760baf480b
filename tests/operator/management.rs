//! The management role: one writer, few writes, and never a set that is too small.

use futures::future::join_all;
use mooring_sandbox::{
    aws::{Effect, Fault},
    stage::Fleet,
};
use serde_json::{Value, json};

use crate::support::{
    HUB_ACCOUNT, Setting, World, condition,
    hands::{SeenRole, document, loose_trust},
    manifest::VIEW,
    message,
};

/// The management role.
pub(crate) fn role(world: &World) -> Option<SeenRole> {
    let role = world.hub().management_role_arn(None);
    world.seen_role_named(role.account.as_str(), role.name.as_str())
}

/// Somebody writes to the management role.
pub(crate) fn by_hand(world: &World, operation: &str, mut input: Value) {
    input["RoleName"] = json!(world.hub().management_role_arn(None).name.as_str());
    world.iam(HUB_ACCOUNT, operation, input);
}

/// The pattern of one account.
fn way(world: &World, account: &str) -> String {
    format!("arn:aws:iam::{account}:role{}*", world.hub().path())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_is_kept_as_it_should_be() {
    let world = World::ready(Setting::of(&["222222222222/eu-west-1/one"]).flag(&["--confirm-after", "2s"])).await;
    made(&world).await;
    kept(&world).await;
    paused_meanwhile(&world).await;
    world.never_denied();
}

/// Moors cluster `one`, and breaks the management role in every way.
pub(crate) async fn kept(world: &World) {
    world
        .moor("one", json!({"access": {"policies": [{"name": VIEW}]}}))
        .await;
    world.is_ready("ManagedCluster", "one").await;
    drift(world).await;
    service_accounts(world).await;
    provider(world).await;
}

/// A pass that was under way when the object was paused writes nothing more.
async fn paused_meanwhile(world: &World) {
    let before = role(world).unwrap();
    let pause = |value: Value| json!({"metadata": {"annotations": {"mooring.dev/paused": value}}});
    by_hand(
        world,
        "UpdateAssumeRolePolicy",
        json!({"PolicyDocument": loose_trust(HUB_ACCOUNT)}),
    );
    let faults = world.stage.aws.faults();
    let hung = Fault::on("GetRole", Effect::Hang).in_account(HUB_ACCOUNT).first(1);
    let hung = faults.add(hung).unwrap();
    let mark = world.mark();
    world.ask("ManagementRole", "default").await;
    world
        .eventually("a look that hangs", async || {
            let calls = world.calls("default", mark);
            calls.iter().any(|call| call.fault).then_some(())
        })
        .await;
    world.patch("ManagementRole", "default", pause(json!("true"))).await;
    let told = world.until_reason("ManagementRole", "default", "Paused").await;
    assert!(
        message(&told).contains("restore the trust policy"),
        "{}",
        message(&told)
    );
    assert_eq!(world.writes("default", mark), Vec::<String>::new());
    faults.remove(hung);
    world.patch("ManagementRole", "default", pause(Value::Null)).await;
    world.until_reason("ManagementRole", "default", "Ready").await;
    world
        .eventually("the trust policy to be put back", async || {
            (role(world).unwrap() == before).then_some(())
        })
        .await;
}

async fn made(world: &World) {
    let seen = role(world).unwrap();
    let object = world.get("ManagementRole", "default").await.unwrap();
    assert_eq!(object["status"]["role"], json!({"arn": seen.arn, "id": seen.id}));
    let issuer = world.stage.fleet.hub.issuer();
    let host = issuer.strip_prefix("https://").unwrap();
    let subjects = [
        "argocd-application-controller",
        "argocd-applicationset-controller",
        "argocd-server",
    ]
    .map(|name| format!("system:serviceaccount:argocd:{name}"));
    let expected = json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "ArgoCD", "Effect": "Allow",
        "Principal": {"Federated": format!("arn:aws:iam::{HUB_ACCOUNT}:oidc-provider/{host}")},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {(format!("{host}:aud")): "sts.amazonaws.com", (format!("{host}:sub")): subjects}},
    }]});
    assert_eq!(seen.trust, expected);
    assert_eq!(
        seen.boundary.as_deref(),
        Some("arn:aws:iam::111111111111:policy/mooring-management")
    );
    assert_eq!(seen.tags["mooring.dev/hub"], world.hub().cluster.to_string());
    assert!(world.assumable().is_empty(), "nobody to assume yet");
}

async fn drift(world: &World) {
    let before = role(world).unwrap();
    let ways = world.assumable();
    assert!(ways.contains(&way(world, "222222222222")));
    let open = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    let harms: [(&str, &str, &dyn Fn()); 6] = [
        ("UpdateAssumeRolePolicy", "restore the trust policy of ", &|| {
            by_hand(
                world,
                "UpdateAssumeRolePolicy",
                json!({"PolicyDocument": loose_trust(HUB_ACCOUNT)}),
            );
        }),
        (
            "PutRolePermissionsBoundary",
            "set the permissions boundary of ",
            &|| by_hand(world, "DeleteRolePermissionsBoundary", json!({})),
        ),
        ("TagRole", "restore the tags of ", &|| {
            by_hand(
                world,
                "UntagRole",
                json!({"TagKeys": ["mooring.dev/hub", "mooring.dev/uid"]}),
            )
        }),
        ("UpdateRole", "set the ", &|| {
            by_hand(world, "UpdateRole", json!({"MaxSessionDuration": 43_200}));
        }),
        ("PutRolePolicy", "take away statement", &|| {
            let input = json!({"PolicyName": "mooring-assume-deployers", "PolicyDocument": open.to_string()});
            by_hand(world, "PutRolePolicy", input);
        }),
        ("PutRolePolicy", "assume deployer roles by ", &|| {
            by_hand(
                world,
                "DeleteRolePolicy",
                json!({"PolicyName": "mooring-assume-deployers"}),
            );
        }),
    ];
    for (write, event, harm) in harms {
        let mended = async || {
            let mut events = world.events("default").await;
            events.retain(|text| text.starts_with("DriftMended: ") && text.contains(event));
            events.len()
        };
        let before_it = mended().await;
        harm();
        let mark = world.mark();
        world.whole_pass("ManagementRole", "default").await;
        world.is_ready("ManagementRole", "default").await;
        assert_eq!(world.writes("default", mark), [write]);
        assert_eq!(role(world).unwrap(), before);
        assert_eq!(world.assumable(), ways);
        world
            .eventually(&format!("an event DriftMended with `{event}`"), async || {
                (mended().await > before_it).then_some(())
            })
            .await;
    }
    boundary_gone(world, &before).await;
    // A policy of somebody else's is named, and not touched: the boundary holds it.
    by_hand(
        world,
        "PutRolePolicy",
        json!({"PolicyName": "theirs", "PolicyDocument": open.to_string()}),
    );
    world.ask("ManagementRole", "default").await;
    let told = world
        .until_reason("ManagementRole", "default", "ForeignPolicyAttached")
        .await;
    assert!(message(&told).contains("theirs"), "{}", message(&told));
    by_hand(world, "DeleteRolePolicy", json!({"PolicyName": "theirs"}));
    world.ask("ManagementRole", "default").await;
    world.is_ready("ManagementRole", "default").await;
    // A pass writes its event after its status; the next begins after both.
    world.whole_pass("ManagementRole", "default").await;
    let (mark, audit) = (world.mark(), world.audit_mark().await);
    world.whole_pass("ManagementRole", "default").await;
    assert_eq!(world.writes("default", mark), Vec::<String>::new());
    let writes = world.kubernetes_writes(audit).await;
    assert!(writes.is_empty(), "{writes:#?}");
}

/// A boundary that somebody has deleted comes by no waiting, and is told as that.
async fn boundary_gone(world: &World, before: &SeenRole) {
    let boundary = json!({"PolicyArn": before.boundary});
    let policy = world.iam(HUB_ACCOUNT, "GetPolicy", boundary.clone())["Policy"].clone();
    let version = json!({"PolicyArn": before.boundary, "VersionId": policy["DefaultVersionId"]});
    let found = world.iam(HUB_ACCOUNT, "GetPolicyVersion", version)["PolicyVersion"]["Document"].clone();
    by_hand(world, "DeleteRolePermissionsBoundary", json!({}));
    world.iam(HUB_ACCOUNT, "DeletePolicy", boundary);
    world.ask("ManagementRole", "default").await;
    let told = world.until_reason("ManagementRole", "default", "BoundaryMissing").await;
    assert_eq!(condition(&told, "Stalled").unwrap().0, "True");
    assert_eq!(condition(&told, "RoleReady").unwrap().1, "BoundaryMissing");
    for part in [before.boundary.as_deref().unwrap(), "`mooring bootstrap -f FILE"] {
        assert!(message(&told).contains(part), "{part}: {}", message(&told));
    }
    let again = json!({"PolicyName": policy["PolicyName"], "PolicyDocument": document(&found).to_string()});
    world.iam(HUB_ACCOUNT, "CreatePolicy", again);
    world.ask("ManagementRole", "default").await;
    world.is_ready("ManagementRole", "default").await;
    assert_eq!(role(world).unwrap(), *before);
}

async fn service_accounts(world: &World) {
    let mark = world.mark();
    world
        .patch(
            "ManagementRole",
            "default",
            json!({"spec": {"serviceAccounts": ["argocd-server"]}}),
        )
        .await;
    world.is_ready("ManagementRole", "default").await;
    assert_eq!(world.writes("default", mark), ["UpdateAssumeRolePolicy"]);
    let trust = role(world).unwrap().trust.to_string();
    assert!(trust.contains("system:serviceaccount:argocd:argocd-server"), "{trust}");
    assert!(!trust.contains("argocd-application"), "{trust}");
}

/// The hub's OIDC provider is made when it is missing, or only missed; it is never deleted.
async fn provider(world: &World) {
    let arn = world
        .hub()
        .oidc_provider(&world.stage.fleet.hub.issuer())
        .unwrap()
        .to_string();
    let named = json!({"OpenIDConnectProviderArn": arn});
    let remove = || world.iam(HUB_ACCOUNT, "DeleteOpenIDConnectProvider", named.clone());
    let clients = || world.iam(HUB_ACCOUNT, "GetOpenIDConnectProvider", named.clone())["ClientIDList"].clone();
    remove();
    let mark = world.mark();
    world.whole_pass("ManagementRole", "default").await;
    assert_eq!(world.writes("default", mark), ["CreateOpenIDConnectProvider"]);
    assert_eq!(clients(), json!(["sts.amazonaws.com"]));
    remove();
    let other = json!({"Url": world.stage.fleet.hub.issuer(), "ClientIDList": ["another"]});
    world.iam(HUB_ACCOUNT, "CreateOpenIDConnectProvider", other.clone());
    let mark = world.mark();
    world.whole_pass("ManagementRole", "default").await;
    assert_eq!(world.writes("default", mark), ["AddClientIDToOpenIDConnectProvider"]);
    assert_eq!(clients(), json!(["another", "sts.amazonaws.com"]));

    world
        .patch(
            "ManagementRole",
            "default",
            json!({"spec": {"oidcProvider": "Require"}}),
        )
        .await;
    // A pass that began before would make it again.
    world.until_reason("ManagementRole", "default", "Ready").await;
    remove();
    let mark = world.mark();
    world.ask("ManagementRole", "default").await;
    let told = world
        .until_reason("ManagementRole", "default", "OidcProviderMissing")
        .await;
    assert_eq!(condition(&told, "Stalled").unwrap().0, "True");
    assert!(message(&told).contains(&arn), "{}", message(&told));
    world.iam(HUB_ACCOUNT, "CreateOpenIDConnectProvider", other);
    world.ask("ManagementRole", "default").await;
    world.until_reason("ManagementRole", "default", "AudienceMissing").await;
    let audience = json!({"OpenIDConnectProviderArn": arn, "ClientID": "sts.amazonaws.com"});
    world.iam(HUB_ACCOUNT, "AddClientIDToOpenIDConnectProvider", audience);
    world.ask("ManagementRole", "default").await;
    world.is_ready("ManagementRole", "default").await;
    assert_eq!(world.writes("default", mark), Vec::<String>::new());
}

/// What only a person mends of the role keeps neither its policy from being mended nor a new cluster from being moored.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_is_refused_keeps_no_other_from_being_done() {
    let spokes = [
        "222222222222/eu-west-1/one",
        "333333333333/eu-west-1/two",
        "444444444444/eu-west-1/three",
    ];
    let world = World::ready(Setting::of(&spokes)).await;
    world.moored("one").await;
    let before = role(&world).unwrap();
    let faults = world.stage.aws.faults();
    let refuse = |operation: &str| {
        let fault = Fault::on(operation, Effect::AccessDenied).in_session("default@hub");
        faults.add(fault).unwrap();
    };
    let widen = || {
        let wide = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "sts:*", "Resource": way(&world, "222222222222")},
            {"Effect": "Allow", "Action": "*", "Resource": "arn:aws:iam::999999999999:role/theirs"},
        ]});
        let input = json!({"PolicyName": "mooring-assume-deployers", "PolicyDocument": wide.to_string()});
        by_hand(&world, "PutRolePolicy", input);
    };
    let policy = || {
        let input = json!({"RoleName": before.arn.rsplit('/').next(), "PolicyName": "mooring-assume-deployers"});
        document(&world.iam(HUB_ACCOUNT, "GetRolePolicy", input)["PolicyDocument"]).to_string()
    };

    // A tag that the organisation does not let anybody set.
    refuse("TagRole");
    let tags = json!({"spec": {"role": {"tags": {"team": "platform"}}}});
    world.patch("ManagementRole", "default", tags).await;
    let told = world.until_reason("ManagementRole", "default", "AccessDenied").await;
    assert_eq!(condition(&told, "Stalled").unwrap().0, "True");
    assert!(message(&told).contains("iam:TagRole"), "{}", message(&told));
    widen();
    world.ask("ManagementRole", "default").await;
    world
        .eventually("the policy is mended", async || {
            (!policy().contains("theirs")).then_some(())
        })
        .await;
    world.moored("two").await;
    let told = world.get("ManagementRole", "default").await.unwrap();
    assert_eq!(condition(&told, "RoleReady").unwrap().1, "AccessDenied");
    assert_eq!(condition(&told, "PolicyReady").unwrap().0, "True");

    // Nobody new may be had by a role that others may act as; what they should not have is taken all the same.
    refuse("UpdateAssumeRolePolicy");
    let loose = json!({"PolicyDocument": loose_trust(HUB_ACCOUNT)});
    by_hand(&world, "UpdateAssumeRolePolicy", loose);
    widen();
    world.moor("three", json!({})).await;
    world
        .eventually("the policy is narrowed", async || {
            (!policy().contains("theirs")).then_some(())
        })
        .await;
    world.until_reason("ManagedCluster", "three", "PolicyPending").await;
    let assumable = world.assumable();
    assert_eq!(assumable, [way(&world, "222222222222")].into());
    let told = world
        .until("ManagementRole", "default", |object| {
            object["status"]["assumable"] == json!([way(&world, "222222222222")])
        })
        .await;
    assert!(
        message(&told).contains("iam:UpdateAssumeRolePolicy"),
        "{}",
        message(&told)
    );
    assert_eq!(condition(&told, "PolicyReady").unwrap().1, "NotReached");

    faults.clear();
    world.ask("ManagementRole", "default").await;
    world.is_ready("ManagementRole", "default").await;
    let now = role(&world).unwrap();
    assert_eq!(
        (now.trust, now.tags["team"].as_str()),
        (before.trust.clone(), "platform")
    );
    for name in ["one", "two", "three"] {
        world.is_ready("ManagedCluster", name).await;
    }
}

fn many(accounts: usize, clusters: usize) -> Setting {
    let mut setting = Setting::of(&[]);
    setting.fleet = Fleet::of(accounts, clusters);
    setting.management = crate::support::manifest::management_role(&setting.fleet);
    setting
}

async fn arrive(world: &World) -> Vec<String> {
    let names: Vec<String> = world
        .stage
        .fleet
        .spokes
        .iter()
        .map(|spoke| spoke.name.clone())
        .collect();
    join_all(names.iter().map(|name| world.moor(name, json!({})))).await;
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_clusters_that_arrive_together_cause_a_handful_of_writes() {
    let world = World::ready(many(5, 100)).await;
    let mark = world.mark();
    let names = arrive(&world).await;
    join_all(names.iter().map(|name| world.is_ready("ManagedCluster", name))).await;
    let writes = world.writes("default", mark);
    assert!(!writes.is_empty() && writes.len() <= 5, "{writes:?}");
    assert!(writes.iter().all(|write| write == "PutRolePolicy"), "{writes:?}");
    let accounts: Vec<String> = (0..5)
        .map(|number| way(&world, &format!("{}", 200_000_000_000_u64 + number)))
        .collect();
    assert_eq!(world.assumable(), accounts.into_iter().collect());
    world.never_denied();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_full_says_so_before_anything_is_made() {
    let mut setting = many(3, 125);
    setting.management["spec"]["assumePolicy"] = json!("Explicit");
    let world = World::ready(setting).await;
    let names = arrive(&world).await;
    let told = world.until_reason("ManagementRole", "default", "PolicyFull").await;
    assert_eq!(condition(&told, "Stalled").unwrap().0, "True");
    assert!(message(&told).contains("PerAccount"), "{}", message(&told));
    let assumable = world.assumable();
    assert!(
        assumable.len() > 60 && assumable.len() < names.len(),
        "{}",
        assumable.len()
    );
    let (fit, left_out): (Vec<&String>, Vec<&String>) = names
        .iter()
        .partition(|name| assumable.contains(&world.deployer(name).to_string()));
    assert_eq!(fit.len(), assumable.len(), "every deployer role by its ARN");
    join_all(fit.iter().map(|name| world.is_ready("ManagedCluster", name))).await;
    for name in &left_out {
        let waiting = world.until_reason("ManagedCluster", name, "PolicyFull").await;
        assert_eq!(condition(&waiting, "Stalled").unwrap().0, "True");
        assert!(
            message(&waiting).contains("ManagementRole default"),
            "{}",
            message(&waiting)
        );
        assert!(
            world.calls(name, 0).is_empty(),
            "{name}: nothing is done in its account"
        );
    }
    // Room that becomes free is given to those who wait, and the others keep theirs.
    world.delete("ManagedCluster", fit[0]).await;
    world.until_gone("ManagedCluster", fit[0]).await;
    world
        .eventually("one that waited is let in", async || {
            let now = world.assumable();
            let kept = fit[1..]
                .iter()
                .all(|name| now.contains(&world.deployer(name).to_string()));
            assert!(kept, "nobody loses his way");
            left_out
                .iter()
                .any(|name| now.contains(&world.deployer(name).to_string()))
                .then_some(())
        })
        .await;
    // A refused tag hides nothing of that: what had no room has none for all that the policy is as it was planned.
    let faults = world.stage.aws.faults();
    let refused = Fault::on("TagRole", Effect::AccessDenied).in_session("default@hub");
    let refused = faults.add(refused).unwrap();
    let tags = json!({"spec": {"role": {"tags": {"team": "platform"}}}});
    world.patch("ManagementRole", "default", tags).await;
    let told = world.until_reason("ManagementRole", "default", "AccessDenied").await;
    let policy = condition(&told, "PolicyReady").unwrap();
    assert_eq!((policy.0.as_str(), policy.1.as_str()), ("False", "PolicyFull"));
    faults.remove(refused);
    // And PerAccount has room for all.
    world
        .patch(
            "ManagementRole",
            "default",
            json!({"spec": {"assumePolicy": "PerAccount"}}),
        )
        .await;
    join_all(
        names
            .iter()
            .filter(|name| *name != fit[0])
            .map(|name| world.is_ready("ManagedCluster", name)),
    )
    .await;
    world.never_denied();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_of_somebody_elses_is_never_written_to() {
    let mut setting = Setting::of(&["222222222222/eu-west-1/one"]);
    let arn = "arn:aws:iam::111111111111:role/platform/argocd";
    setting.management["spec"]["identity"] = json!({"type": "Existing", "roleArn": arn});
    let world = World::start(setting).await;
    world.apply(&world.setting.management.clone()).await;
    let told = world.until_reason("ManagementRole", "default", "RoleMissing").await;
    assert!(message(&told).contains(arn), "{}", message(&told));
    world.moor("one", json!({})).await;
    world
        .until_reason("ManagedCluster", "one", "ManagementRoleNotReady")
        .await;
    let input =
        json!({"RoleName": "argocd", "Path": "/platform/", "AssumeRolePolicyDocument": loose_trust(HUB_ACCOUNT)});
    world.iam(HUB_ACCOUNT, "CreateRole", input.clone());
    let before = world.seen_role_named(HUB_ACCOUNT, "argocd");
    world.ask("ManagementRole", "default").await;
    world.is_ready("ManagementRole", "default").await;
    world.is_ready("ManagedCluster", "one").await;
    assert!(world.seen_role("one").unwrap().trust.to_string().contains(arn));
    // Another role under its name acts on every cluster from now on: that is told.
    world.iam(HUB_ACCOUNT, "DeleteRole", json!({"RoleName": "argocd"}));
    world.iam(HUB_ACCOUNT, "CreateRole", input);
    let former = before.unwrap().id;
    let before = world.seen_role_named(HUB_ACCOUNT, "argocd");
    let now = before.clone().unwrap().id;
    world.ask("ManagementRole", "default").await;
    world
        .eventually("an event about the role that was made anew", async || {
            let events = world.events("default").await;
            let told = |event: &String| {
                event.starts_with("StalePrincipal: ") && event.contains(&former) && event.contains(&now)
            };
            events.iter().any(told).then_some(())
        })
        .await;
    world.delete("ManagedCluster", "one").await;
    world.until_gone("ManagedCluster", "one").await;
    world.delete("ManagementRole", "default").await;
    world.until_gone("ManagementRole", "default").await;
    assert_eq!(world.writes("default", 0), Vec::<String>::new());
    assert_eq!(world.seen_role_named(HUB_ACCOUNT, "argocd"), before);
    world.never_denied();
}

/// To IAM a name is the same in another case, whatever its path (IAM API, `CreateRole`, `RoleName`).
#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_has_our_name_in_another_case_is_told_and_never_written_to() {
    let setting = Setting::of(&["222222222222/eu-west-1/one"]).flag(&["--confirm-after", "2s"]);
    let world = World::start(setting).await;
    let ours = world.hub().management_role_arn(None);
    let theirs = ours.name.as_str().to_ascii_uppercase();
    let by_hand = |operation: &str, mut input: Value| {
        input["RoleName"] = json!(theirs);
        world.iam(HUB_ACCOUNT, operation, input);
    };
    for path in [ours.path.as_str(), "/theirs/"] {
        by_hand(
            "CreateRole",
            json!({"Path": path, "AssumeRolePolicyDocument": loose_trust(HUB_ACCOUNT)}),
        );
        let before = role(&world).expect("it is found under our name");
        assert_eq!(before.arn, format!("arn:aws:iam::{HUB_ACCOUNT}:role{path}{theirs}"));
        world.apply(&world.setting.management.clone()).await;
        let object = world.until_reason("ManagementRole", "default", "RoleNotOurs").await;
        let told = message(&object);
        for part in [before.arn.as_str(), &ours.to_string(), "whatever their path and case"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert_eq!(condition(&object, "Stalled").unwrap().1, "RoleNotOurs");
        world.whole_pass("ManagementRole", "default").await;
        // Its removal does not touch it either.
        world.delete("ManagementRole", "default").await;
        world.until_gone("ManagementRole", "default").await;
        assert_eq!(world.writes("default", 0), Vec::<String>::new());
        assert_eq!(role(&world), Some(before));
        by_hand("DeleteRole", json!({}));
    }
    // Once the name is free it is ours.
    world.apply(&world.setting.management.clone()).await;
    world.is_ready("ManagementRole", "default").await;
    assert_eq!(role(&world).unwrap().arn, ours.to_string());
    world.never_denied();
}
