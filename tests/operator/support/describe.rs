//! What `kubectl get` and `kubectl describe` would show of an object: for a person to read each state that a test comes to.
//! `MOORING_DESCRIBE=DIR cargo test --test operator` writes a file for each into a folder of the test there, and otherwise
//! nothing.

use std::{env, fmt::Write, fs, path::PathBuf, thread};

use k8s_openapi::api::events::v1::Event;
use kube::{Api, api::ListParams};
use serde_json::Value;

use super::{World, condition, folder};

/// The folder that the descriptions of this test go to: its thread has its name.
fn target() -> Option<PathBuf> {
    let all = env::var_os("MOORING_DESCRIBE").map(PathBuf::from)?;
    let thread = thread::current();
    Some(all.join(thread.name().unwrap_or("unnamed").replace("::", ".")))
}

/// Writes down what is shown of an object now. Of one state there is one file in a test: its last.
pub(super) async fn describe(world: &World, kind: &str, name: &str, object: &Value) {
    let Some(target) = target().filter(|_| object["status"]["conditions"].is_array()) else {
        return;
    };
    let (verdict, reason, _) = condition(object, "Ready").unwrap_or_default();
    let going = if object["metadata"]["deletionTimestamp"].is_string() {
        "-going"
    } else {
        ""
    };
    // What a walk of the chain met makes a state of its own, where it says more than Ready.
    let chain = condition(object, "Connected").filter(|(_, met, _)| met != "ChainHolds" && *met != reason);
    let chain = chain.map_or_else(String::new, |(_, met, _)| format!("-{met}"));
    let events = events(world, name).await;
    let text = format!("{}\n{}{events}", columns(kind, object), described(object));
    fs::create_dir_all(&target).unwrap();
    fs::write(
        target.join(format!("{kind}-{reason}-{verdict}{chain}{going}-{name}.txt")),
        text,
    )
    .unwrap();
}

/// The printer columns of the definition, the wide ones too.
fn columns(kind: &str, object: &Value) -> String {
    let file = format!("crds/{}s.yaml", kind.to_lowercase());
    let text = fs::read_to_string(folder(&file)).unwrap();
    let definition: Value = serde_saphyr::from_str(&text).unwrap();
    let columns = definition["spec"]["versions"][0]["additionalPrinterColumns"].as_array();
    let mut out = String::new();
    for column in columns.into_iter().flatten() {
        let text = |key: &str| column[key].as_str().unwrap();
        let wide = if column["priority"] == 1 { " (wide)" } else { "" };
        writeln!(out, "{}{wide}: {}", text("name"), at(object, text("jsonPath"))).unwrap();
    }
    out
}

/// As much of `JSONPath` as printer columns use: fields, and a condition by its type.
fn at(object: &Value, path: &str) -> String {
    let mut value = object;
    let (to_condition, of_condition) = path.split_once("[?(@.type==\"").unwrap_or((path, ""));
    for field in to_condition.split('.').skip(1) {
        value = &value[field];
    }
    if let Some((wanted, field)) = of_condition.split_once("\")].") {
        let found = value
            .as_array()
            .and_then(|all| all.iter().find(|one| one["type"] == wanted));
        value = found.map_or(&Value::Null, |condition| &condition[field]);
    }
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn described(object: &Value) -> String {
    let mut out = String::new();
    for path in [
        "/metadata/annotations",
        "/metadata/deletionTimestamp",
        "/metadata/finalizers",
        "/spec",
    ] {
        if let Some(value) = object.pointer(path) {
            writeln!(out, "{path}: {value}").unwrap();
        }
    }
    let status = object["status"].as_object().unwrap();
    for (key, value) in status.iter().filter(|(key, _)| *key != "conditions") {
        writeln!(out, "status.{key}: {value:#}").unwrap();
    }
    for condition in status["conditions"].as_array().unwrap() {
        let text = |key: &str| condition[key].as_str().unwrap_or_default();
        writeln!(
            out,
            "{} = {} {}\n    {}",
            text("type"),
            text("status"),
            text("reason"),
            text("message")
        )
        .unwrap();
    }
    out
}

async fn events(world: &World, name: &str) -> String {
    let api: Api<Event> = Api::namespaced(world.stage.client().unwrap(), "default");
    let mut all = api.list(&ListParams::default()).await.unwrap().items;
    all.retain(|event| event.regarding.as_ref().and_then(|about| about.name.as_deref()) == Some(name));
    all.sort_by_key(|event| event.metadata.creation_timestamp.clone());
    let mut out = String::from("events:\n");
    for event in all {
        let text = |text: Option<String>| text.unwrap_or_default();
        let count = event.series.map_or(1, |series| series.count);
        writeln!(
            out,
            "  {} {} x{count}: {}",
            text(event.type_),
            text(event.reason),
            text(event.note)
        )
        .unwrap();
    }
    out
}
