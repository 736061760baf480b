//! The removals that have begun, remembered across restarts in the status of their `ManagementRole`, and what the breaker
//! says of the next one.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::{Api, Resource, core::DeserializeGuard};
use serde_json::json;
use tokio::sync::Mutex;

use crate::{
    api::{FINALIZER, ManagementRole, REMOVALS_CONFIRMED_AT, RemovalStatus},
    kubernetes::{KubernetesError, finalizer, objects},
};

use super::{
    Context,
    blocked::Blocked,
    breaker::{Asked, Burst, Removals, meant_until},
    context::now,
    request::Identity,
    words::some,
};

/// The field manager of the record: it owns nothing else in the status.
const RECORDER: &str = "mooring-removals";

/// The most that a record holds (the schema's bound).
const LONGEST: usize = 1000;

/// What this process has begun, by `ManagementRole`: the watch may not have brought the records back yet.
#[derive(Debug)]
pub struct Ledger {
    limit: u32,
    begun: Mutex<BTreeMap<String, BTreeSet<Asked>>>,
}

impl Ledger {
    /// Allows `limit` removals an hour; any number where it is 0.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self {
            limit,
            begun: Mutex::default(),
        }
    }

    /// Whether a removal is held up because too many were asked for.
    pub(super) async fn held(&self, context: &Context, going: &ObjectMeta, identity: &Identity) -> Option<Blocked> {
        if self.limit == 0 {
            return None;
        }
        let begun = self.begun.lock().await;
        self.judge(&Seen::gather(context, &begun), going, identity, context)
    }

    /// The same right before something is taken away. What may go on is recorded first, so that it counts however this
    /// process ends.
    ///
    /// # Errors
    /// When it could not be recorded: nothing may be taken away then.
    pub(super) async fn begin(
        &self,
        context: &Context,
        going: &ObjectMeta,
        identity: &Identity,
    ) -> Result<Option<Blocked>, KubernetesError> {
        if self.limit == 0 {
            return Ok(None);
        }
        let mut begun = self.begun.lock().await;
        recall(context, &identity.management_role, &mut begun).await?;
        let seen = Seen::gather(context, &begun);
        if let Some(blocked) = self.judge(&seen, going, identity, context) {
            return Ok(Some(blocked));
        }
        let asked = asked(going);
        if !seen.removals.waiting.contains(&asked) {
            return Ok(None);
        }
        let role = &identity.management_role;
        let count = seen.removals.still_count(now());
        let mut record: BTreeSet<Asked> = seen.recorded.get(role).into_iter().flatten().cloned().collect();
        record.retain(|one| count.contains(one));
        record.insert(asked);
        while record.len() > LONGEST {
            record.pop_first();
        }
        let items: Vec<RemovalStatus> = record.iter().map(status).collect();
        let api: Api<DeserializeGuard<ManagementRole>> = Api::all(context.client.clone());
        objects::apply_status(&api, role, RECORDER, &json!({ "removals": items })).await?;
        begun.insert(role.clone(), record);
        Ok(None)
    }

    fn judge(&self, seen: &Seen, going: &ObjectMeta, identity: &Identity, context: &Context) -> Option<Blocked> {
        if !seen.removals.waiting.contains(&asked(going)) {
            return None;
        }
        let burst = seen.removals.burst(self.limit)?;
        let role = context.management_role(&identity.management_role);
        let notes = [Some(going), role.as_ref().map(|role| role.meta())];
        let notes = notes
            .into_iter()
            .flatten()
            .filter_map(|metadata| confirmed(metadata).err());
        Some(Blocked::RemovalsPaused {
            why: words(&burst, self.limit, identity, &notes.collect::<Vec<_>>()),
        })
    }
}

/// Reads what was recorded in a `ManagementRole` that does not parse, which the watch does not bring.
async fn recall(
    context: &Context,
    role: &str,
    begun: &mut BTreeMap<String, BTreeSet<Asked>>,
) -> Result<(), KubernetesError> {
    let broken = context.management_role(role).is_some_and(|object| object.0.is_err());
    if !broken || begun.contains_key(role) {
        return Ok(());
    }
    let stored = objects::stored::<ManagementRole>(&context.client, role).await?;
    let removals = stored.and_then(|stored| stored.data.pointer("/status/removals").cloned());
    let removals = removals.and_then(|removals| serde_json::from_value::<Vec<RemovalStatus>>(removals).ok());
    begun.insert(role.to_owned(), removals.iter().flatten().map(record).collect());
    Ok(())
}

/// What is there, as far as the watches and this process know.
struct Seen {
    removals: Removals,
    /// What has begun, by `ManagementRole`, whether or not it counts.
    recorded: BTreeMap<String, BTreeSet<Asked>>,
}

impl Seen {
    fn gather(context: &Context, begun: &BTreeMap<String, BTreeSet<Asked>>) -> Self {
        let mut recorded = begun.clone();
        let mut confirmed_by_role = BTreeMap::new();
        for role in context.management_roles.state() {
            let name = role.meta().name.clone().unwrap_or_default();
            confirmed_by_role.insert(name.clone(), confirmed(role.meta()).ok().flatten());
            let status = role.0.as_ref().ok().and_then(|role| role.status.as_ref());
            let records = status.into_iter().flat_map(|status| &status.removals).map(record);
            recorded.entry(name).or_default().extend(records);
        }
        let by_role = |role: Option<&str>| role.and_then(|role| confirmed_by_role.get(role).copied()).flatten();
        let meant = |until: Option<Timestamp>, at: Timestamp| until.is_some_and(|until| at <= until);
        let uids: BTreeSet<&str> = recorded.values().flatten().map(|asked| asked.uid.as_str()).collect();
        let mut removals = Removals::default();
        for cluster in context.clusters.state() {
            let metadata = cluster.meta();
            let uid = metadata.uid.as_deref().unwrap_or_default();
            let going = metadata.deletion_timestamp.is_some() && finalizer::bears(metadata, FINALIZER);
            if !going || uids.contains(uid) {
                continue;
            }
            let asked = asked(metadata);
            let role = cluster
                .0
                .as_ref()
                .ok()
                .map(|cluster| cluster.spec.management_role.as_str());
            if !meant(confirmed(metadata).ok().flatten(), asked.at) && !meant(by_role(role), asked.at) {
                removals.waiting.insert(asked);
            }
        }
        for (role, records) in &recorded {
            let counts = records.iter().filter(|asked| !meant(by_role(Some(role)), asked.at));
            removals.begun.extend(counts.cloned());
        }
        Self { removals, recorded }
    }
}

/// Until when a person has said that removals are meant, by an object's annotation.
fn confirmed(metadata: &ObjectMeta) -> Result<Option<Timestamp>, String> {
    let annotation = metadata
        .annotations
        .as_ref()
        .and_then(|all| all.get(REMOVALS_CONFIRMED_AT));
    annotation.map(|text| meant_until(text, now())).transpose()
}

fn asked(metadata: &ObjectMeta) -> Asked {
    Asked {
        at: metadata.deletion_timestamp.as_ref().map_or_else(now, |Time(at)| *at),
        name: metadata.name.clone().unwrap_or_default(),
        uid: metadata.uid.clone().unwrap_or_default(),
    }
}

fn record(removal: &RemovalStatus) -> Asked {
    Asked {
        at: removal.requested_at.0,
        name: removal.name.clone(),
        uid: removal.uid.clone(),
    }
}

fn status(asked: &Asked) -> RemovalStatus {
    RemovalStatus {
        name: asked.name.clone(),
        uid: asked.uid.clone(),
        requested_at: Time(asked.at),
    }
}

fn words(burst: &Burst, limit: u32, identity: &Identity, notes: &[String]) -> String {
    let (role, name) = (&identity.management_role, &identity.name);
    let annotation = format!("{REMOVALS_CONFIRMED_AT}=\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\"");
    let notes = notes
        .iter()
        .flat_map(|note| [". The annotation ", note.as_str()])
        .collect::<String>();
    format!(
        "{} removals of ManagedClusters were asked for within an hour, and --removals-per-hour allows {limit}: it may be \
         an accident, so nothing is taken away for those that wait ({}). If they are meant, say so: `kubectl \
         annotate mgr {role} --overwrite {annotation}` for all that name it, or `kubectl annotate mgc {name} --overwrite \
         {annotation}` for this one{notes}",
        burst.count,
        some(&burst.waiting)
    )
}
