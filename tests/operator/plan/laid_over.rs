//! A manifest laid over what stands: what it says counts, also over what cannot be read, and what is suspended loses its
//! access whatever else becomes of it.

use mooring_sandbox::stage::Signal;
use serde_json::{Value, json};

use super::Planner;
use crate::{
    removal::definition,
    support::{
        Setting,
        manifest::{VIEW, managed_cluster},
    },
};

const OBJECT: &str = "ManagedCluster kept";

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_planned_over_what_stands_also_where_that_cannot_be_read() {
    let planner = Planner::new(Setting::of(&["222222222222/eu-west-1/kept"])).await;
    let world = &planner.world;
    world.apply(&world.setting.management).await;
    world.is_ready("ManagementRole", "default").await;
    let spec = json!({"access": {"policies": [{"name": VIEW}]}});
    world.moor("kept", spec.clone()).await;
    world.is_ready("ManagedCluster", "kept").await;
    let file = |change: &dyn Fn(&mut Value)| {
        let mut file = managed_cluster(world.cluster("kept"), spec.clone());
        change(&mut file);
        file
    };

    // Its annotations count as those that are there do.
    let paused = file(&|file| {
        file["metadata"]["annotations"] = json!({"mooring.dev/paused": "true"});
        file["spec"]["access"] = json!({"kubernetesGroups": ["team-a"]});
    });
    let said = planner.plan(&[], &[&paused]).await;
    let notes = said.objects[OBJECT]["notes"].to_string();
    assert!(notes.contains("so the operator does nothing of this"), "{}", said.text);

    // What is suspended loses its access first, also where the role is kept.
    for (policy, steps) in [
        ("Retain", &["DeleteAccessEntry", "DeleteSecret"][..]),
        ("Delete", &["DeleteAccessEntry", "DeleteSecret", "DeleteRole"]),
    ] {
        let suspended = file(&|file| {
            file["spec"]["mode"] = json!("Suspended");
            file["spec"]["deletion"] = json!({"policy": policy});
        });
        let said = planner.plan(&["--removal", "kept"], &[&suspended]).await;
        assert_eq!(said.steps(OBJECT), steps, "{policy}: {}", said.text);
        let lost = said.change(OBJECT, "DeleteAccessEntry")["lost"].to_string();
        assert!(lost.contains(VIEW), "{policy}: {}", said.text);
    }

    world.end_operator(Signal::Terminate).await;
    let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    definition(world, ("ManagedCluster", "kept"), &any).await;
    let garbled = json!({"spec": {"access": "everything"}});
    world.patch("ManagedCluster", "kept", garbled).await;
    let said = planner.plan(&[], &[&file(&|_| {})]).await;
    assert_eq!(said.code, 0, "it is the same object still: {}", said.text);
    assert!(said.steps(OBJECT).is_empty(), "{}", said.text);

    definition(world, ("ManagementRole", "default"), &any).await;
    let garbled = json!({"spec": {"allow": "everything"}});
    world.patch("ManagementRole", "default", garbled).await;
    let said = planner.plan(&[], &[&file(&|_| {})]).await;
    assert_eq!(said.code, 1, "{}", said.text);
    let why = said.objects[OBJECT]["why"].as_str().unwrap();
    let says = "ManagementRole default cannot be read: ";
    assert!(why.starts_with(says) && why.contains("everything"), "{}", said.text);
    let suspended = file(&|file| file["spec"]["mode"] = json!("Suspended"));
    let said = planner.plan(&[], &[&suspended]).await;
    assert_eq!(said.steps(OBJECT), ["DeleteAccessEntry"], "{}", said.text);
    let unseen = said.objects[OBJECT]["notLookedAt"].to_string();
    assert!(unseen.contains(says), "{}", said.text);
    let said = planner.plan(&["--removal", "kept"], &[&file(&|_| {})]).await;
    let all = ["DeleteSecret", "DeleteAccessEntry", "DeleteRole"];
    assert_eq!(said.steps(OBJECT), all, "{}", said.text);
    // Over it, too, a manifest is that object still: the same role, and nothing to do.
    let said = planner.plan(&[], &[&world.setting.management, &file(&|_| {})]).await;
    assert_eq!(said.code, 0, "{}", said.text);
    planner.wrote_nothing().await;
}
