//! What nobody asks for: everything is looked at again after a while, and after a start in an order that lets those wait
//! for whom all was well.

use std::collections::BTreeSet;

use kube::api::{Patch, PatchParams};
use mooring_sandbox::stage::Signal;
use serde_json::{Value, json};

use crate::support::{HUB_ACCOUNT, Setting, World, hands::loose_trust, manifest};

/// Each time once more: after a pass that found nothing to do, and after one that mended something.
#[tokio::test(flavor = "multi_thread")]
async fn drift_is_found_by_a_resync_that_nobody_asked_for() {
    let setting = Setting::of(&["222222222222/eu-west-1/one"])
        .flag(&["--resync-interval", "2s"])
        .flag(&["--confirm-after", "1s"]);
    let world = World::ready(setting).await;
    world.moored("one").await;
    let before = world.seen_entry("one").unwrap();
    let management = world.hub().management_role_arn(None);
    let trust = || {
        world
            .seen_role_named(HUB_ACCOUNT, management.name.as_str())
            .unwrap()
            .trust
    };
    let whole = trust();
    for _ in 0..2 {
        world.entry("one", "DeleteAccessEntry", json!({}));
        let loose = json!({"RoleName": management.name.as_str(), "PolicyDocument": loose_trust(HUB_ACCOUNT)});
        world.iam(HUB_ACCOUNT, "UpdateAssumeRolePolicy", loose);
        world
            .eventually("the access entry is made again", async || {
                let entry = world.seen_entry("one")?;
                (entry.policies == before.policies).then_some(())
            })
            .await;
        world
            .eventually("the trust policy of the management role is put back", async || {
                (trust() == whole).then_some(())
            })
            .await;
    }
    // What the access entry was made for is a ghost, which EKS does not say.
    let former = world.seen_role("one").unwrap().id;
    let mark = world.mark();
    world.role("one", "DeleteRole", json!({}));
    world
        .eventually("role and access entry are made afresh", async || {
            let (role, entry) = (world.seen_role("one")?, world.seen_entry("one")?);
            (role.id != former && entry.tags["mooring.dev/role-id"] == role.id).then_some(())
        })
        .await;
    let told = world.told("one", "StalePrincipal: ").await;
    assert!(told.contains(&former), "{told}");
    // Within one resync: the pass that ran, the next, which suspects it, that which agrees, and one or the other that others
    // caused.
    let calls = world.calls("one", mark);
    let operations = calls.iter().map(|call| call.operation.as_str());
    let before = operations.take_while(|operation| *operation != "CreateRole");
    let looks = before.filter(|operation| *operation == "GetRole").count();
    assert!(looks <= 6, "{looks} looks");
    world.never_denied();
}

/// Of these all was well before the operator was started.
const SETTLED: usize = 300;
/// These are new to it.
const NEW: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn after_a_start_what_is_new_is_looked_at_before_most_of_what_was_well() {
    let world = World::ready(Setting::of(&["222222222222/eu-west-1/one"])).await;
    // From here on the management role has its way into the account.
    world.moored("one").await;
    world.end_operator(Signal::Terminate).await;
    let object = |name: &str| {
        let mut object = manifest::managed_cluster(world.cluster("one"), json!({}));
        object["metadata"]["name"] = json!(name);
        object
    };
    let api = world.stage.mooring("ManagedCluster").unwrap();
    let ready = json!({"status": {"observedGeneration": 1, "conditions": [{
        "type": "Ready", "status": "True", "reason": "Moored", "message": "all was well",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]}});
    // The new ones come last by their names, too.
    let settled: Vec<String> = (0..SETTLED).map(|number| format!("settled-{number:03}")).collect();
    let new: Vec<String> = (0..NEW).map(|number| format!("the-new-{number}")).collect();
    for name in &settled {
        world.apply(&object(name)).await;
        let params = PatchParams::default();
        api.patch_status(name, &params, &Patch::Merge(&ready)).await.unwrap();
    }
    for name in &new {
        world.apply(&object(name)).await;
    }
    let mark = world.mark();
    world.start_operator().await;
    let hub = &world.stage.fleet.hub.name;
    let entered = || {
        let calls = world
            .stage
            .aws
            .log()
            .select(mark, |call| call.operation == "AssumeRole");
        let session = |call: &mooring_sandbox::aws::Call| {
            let name = call.input.get("RoleSessionName").and_then(Value::as_str)?;
            name.strip_suffix(&format!("@{hub}")).map(str::to_owned)
        };
        calls.iter().filter_map(session).collect::<Vec<String>>()
    };
    let order = world
        .eventually("the account was entered for everything that is new", async || {
            let order = entered();
            new.iter().all(|name| order.contains(name)).then_some(order)
        })
        .await;
    let first = |name: &String| order.iter().position(|entered| entered == name).unwrap();
    let last = new.iter().map(first).max().unwrap();
    let before: BTreeSet<&String> = order[..last].iter().filter(|name| settled.contains(name)).collect();
    assert!(before.len() < SETTLED / 2, "{} went before what is new", before.len());
    // And they are looked at in the end.
    world
        .eventually("what was well is looked at as well", async || {
            entered().iter().any(|name| settled.contains(name)).then_some(())
        })
        .await;
}
