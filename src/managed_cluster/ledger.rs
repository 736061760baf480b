//! The removals that have begun, remembered across restarts in the status of their `ManagementRole`, and what the breaker
//! says of the next one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::{Api, Resource, core::DeserializeGuard};
use serde_json::json;
use tokio::sync::Mutex;

use crate::{
    api::{FINALIZER, ManagedCluster, ManagementRole, REMOVALS_CONFIRMED_AT, RemovalStatus, WhileInUse},
    domain::commands::{scale_application_sets, while_in_use},
    kubernetes::{KubernetesError, finalizer, objects},
};

use super::{
    Context,
    blocked::Blocked,
    breaker::{Asked, Burst, Removals, meant_until},
    context::now,
    observe::Secrets,
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
    pub(super) async fn held(
        &self,
        context: &Context,
        (going, stage): (&ObjectMeta, Stage<'_>),
        identity: &Identity,
    ) -> Option<Blocked> {
        if self.limit == 0 {
            return None;
        }
        let begun = self.begun.lock().await;
        let (clusters, roles) = (context.clusters.state(), context.management_roles.state());
        let hub = Hub::of(&clusters, &roles);
        hub.judge(self.limit, &hub.seen(&begun), (going, stage), identity)
    }

    /// The same right before something is taken away. What may go on is recorded first, so that it counts however this
    /// process ends.
    ///
    /// # Errors
    /// When it could not be recorded: nothing may be taken away then.
    pub(super) async fn begin(
        &self,
        context: &Context,
        (going, stage): (&ObjectMeta, Stage<'_>),
        identity: &Identity,
    ) -> Result<Option<Blocked>, KubernetesError> {
        if self.limit == 0 {
            return Ok(None);
        }
        let mut begun = self.begun.lock().await;
        recall(context, &identity.management_role, &mut begun).await?;
        let (clusters, roles) = (context.clusters.state(), context.management_roles.state());
        let hub = Hub::of(&clusters, &roles);
        let seen = hub.seen(&begun);
        if let Some(blocked) = hub.judge(self.limit, &seen, (going, stage), identity) {
            return Ok(Some(blocked));
        }
        let (asked, role) = (asked(going), &identity.management_role);
        let recorded = seen.recorded.get(role).is_some_and(|begun| begun.contains(&asked));
        if recorded || !seen.removals.counts(&asked) {
            return Ok(None);
        }
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
}

/// Whether a removal is held up because too many were asked for, by an operator that allows `limit` an hour, as far as the
/// objects of the hub tell.
#[must_use]
pub fn held(
    hub: &Hub<'_>,
    limit: u32,
    (going, stage): (&ObjectMeta, Stage<'_>),
    identity: &Identity,
) -> Option<Blocked> {
    hub.judge(limit, &hub.seen(&BTreeMap::new()), (going, stage), identity)
}

/// How far a removal has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage<'a> {
    /// Argo CD's way to the cluster stands.
    Whole,
    /// The same, and the labels of the cluster Secret were taken off for ApplicationSets to let go of the cluster.
    Drained {
        /// Argo CD's namespace.
        argocd: &'a str,
    },
    /// The cluster Secret is gone, or goes.
    Parting,
}

impl Stage<'_> {
    /// By the cluster Secrets that stand, and by whether one was taken away before.
    #[must_use]
    pub fn of(secrets: &Secrets, taken: bool) -> Self {
        let own = &secrets.own;
        let stands = !own.is_empty() && own.iter().all(|secret| !secret.deleting);
        if stands && !taken { Self::Whole } else { Self::Parting }
    }
}

/// What is known of the objects of a hub.
#[derive(Clone, Debug, Default)]
pub struct Hub<'a> {
    /// Each `ManagedCluster`, and the `ManagementRole` that it names where it can be read.
    pub clusters: Vec<(&'a ObjectMeta, Option<&'a str>)>,
    /// Each `ManagementRole`, and the removals that its status records.
    pub roles: Vec<(&'a ObjectMeta, &'a [RemovalStatus])>,
}

impl<'a> Hub<'a> {
    fn of(
        clusters: &'a [Arc<DeserializeGuard<ManagedCluster>>],
        roles: &'a [Arc<DeserializeGuard<ManagementRole>>],
    ) -> Self {
        let names = |cluster: &'a DeserializeGuard<ManagedCluster>| {
            let read = cluster.0.as_ref().ok();
            read.map(|cluster| cluster.spec.management_role.as_str())
        };
        let records = |role: &'a DeserializeGuard<ManagementRole>| {
            let status = role.0.as_ref().ok().and_then(|role| role.status.as_ref());
            status.map(|status| status.removals.as_slice()).unwrap_or_default()
        };
        Self {
            clusters: clusters.iter().map(|one| (one.meta(), names(one))).collect(),
            roles: roles.iter().map(|one| (one.meta(), records(one))).collect(),
        }
    }

    fn judge(
        &self,
        limit: u32,
        seen: &Seen,
        (going, stage): (&ObjectMeta, Stage<'_>),
        identity: &Identity,
    ) -> Option<Blocked> {
        let this = asked(going);
        let burst = if seen.removals.waiting.contains(&this) {
            seen.removals.burst(limit)?
        } else {
            // One that has begun is carried to its end once its Secret is gone. One that drains can still be stopped.
            let meant = confirmed(going).ok().flatten().is_some_and(|until| this.at <= until);
            if stage == Stage::Parting || meant || !seen.removals.begun.contains(&this) {
                return None;
            }
            seen.removals.with_waiting(&this).burst(limit)?
        };
        let named = |(role, _): &&(&ObjectMeta, _)| role.name.as_deref() == Some(identity.management_role.as_str());
        let role = self.roles.iter().find(named).map(|(role, _)| *role);
        // Which one an object names that cannot be read is known here alone.
        let by_role = role.and_then(|role| confirmed(role).ok().flatten());
        if by_role.is_some_and(|until| this.at <= until) {
            return None;
        }
        let kinds = [("this object", Some(going)), ("the ManagementRole", role)];
        let note = |(whose, metadata): (&str, Option<&ObjectMeta>)| {
            let why = confirmed(metadata?).err()?;
            Some(format!("The annotation {REMOVALS_CONFIRMED_AT} of {whose}: {why}"))
        };
        let notes = kinds.into_iter().filter_map(note);
        Some(Blocked::RemovalsPaused {
            why: words(&burst, limit, identity, stage, &notes.collect::<Vec<_>>()),
        })
    }

    fn seen(&self, begun: &BTreeMap<String, BTreeSet<Asked>>) -> Seen {
        let mut recorded = begun.clone();
        let mut confirmed_by_role = BTreeMap::new();
        for (metadata, removals) in &self.roles {
            let name = metadata.name.clone().unwrap_or_default();
            confirmed_by_role.insert(name.clone(), confirmed(metadata).ok().flatten());
            recorded.entry(name).or_default().extend(removals.iter().map(record));
        }
        let by_role = |role: Option<&str>| role.and_then(|role| confirmed_by_role.get(role).copied()).flatten();
        let meant = |until: Option<Timestamp>, at: Timestamp| until.is_some_and(|until| at <= until);
        let uids: BTreeSet<&str> = recorded.values().flatten().map(|asked| asked.uid.as_str()).collect();
        let mut removals = Removals::default();
        for (metadata, role) in &self.clusters {
            let uid = metadata.uid.as_deref().unwrap_or_default();
            let going = metadata.deletion_timestamp.is_some() && finalizer::bears(metadata, FINALIZER);
            if !going || uids.contains(uid) {
                continue;
            }
            let asked = asked(metadata);
            if meant(by_role(*role), asked.at) {
                continue;
            }
            // One that is meant by itself says nothing of the others: for them it counts as before.
            let own = meant(confirmed(metadata).ok().flatten(), asked.at);
            let among = if own {
                &mut removals.begun
            } else {
                &mut removals.waiting
            };
            among.insert(asked);
        }
        for (role, records) in &recorded {
            let counts = records.iter().filter(|asked| !meant(by_role(Some(role)), asked.at));
            removals.begun.extend(counts.cloned());
        }
        Seen { removals, recorded }
    }
}

/// What is there, as far as anybody knows.
struct Seen {
    removals: Removals,
    /// What has begun, by `ManagementRole`, whether or not it counts.
    recorded: BTreeMap<String, BTreeSet<Asked>>,
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

fn words(burst: &Burst, limit: u32, identity: &Identity, stage: Stage<'_>, notes: &[String]) -> String {
    let (role, name) = (&identity.management_role, &identity.name);
    let annotation = format!("{REMOVALS_CONFIRMED_AT}=\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\"");
    let notes = notes.iter().flat_map(|note| [". ", note.as_str()]).collect::<String>();
    let keep = if identity.while_in_use == WhileInUse::Proceed || matches!(stage, Stage::Drained { .. }) {
        String::new()
    } else {
        format!(
            ". Where Applications use this cluster, what they deployed surely stays with `{}`, before it is confirmed",
            while_in_use(name, "Proceed")
        )
    };
    let (drained, lost) = match stage {
        Stage::Drained { argocd } => (
            format!(
                "the labels of this one's cluster Secret are off already, so ApplicationSets that choose it by them delete its Applications and what those deployed, also while it waits: if that is not meant, stop Argo CD's ApplicationSet controller at once, with `{}` (what is being deleted already goes on), put the manifest back in Git, and `{}`, so that this removal, once it is confirmed, waits for none of them; when the ManagedCluster that is made then is Ready, `{}` starts the controller again, with as many replicas as before. ",
                scale_application_sets(argocd, 0),
                while_in_use(name, "Proceed"),
                scale_application_sets(argocd, 1)
            ),
            "",
        ),
        Stage::Whole | Stage::Parting => (String::new(), "; nothing of them is lost until then"),
    };
    format!(
        "{drained}{} removals of ManagedClusters were asked for within an hour, and --removals-per-hour allows {limit}: it may be \
         an accident, so Mooring takes nothing away for those that wait ({}) until a person says so, however long that is. If they are meant: `kubectl \
         annotate mgr {role} --overwrite {annotation}` for all that name it, or `kubectl annotate mgc {name} --overwrite \
         {annotation}` for this one. If not, put the manifests back in Git first: a deletion cannot be undone, so \
         each of them goes once it is confirmed, and is then made again{lost}{keep}{notes}",
        burst.count,
        some(&burst.waiting)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn metadata(name: &str, minute: i64, more: &Value) -> ObjectMeta {
        let at = Timestamp::from_second(minute * 60).unwrap().to_string();
        let mut metadata = json!({"name": name, "uid": name, "deletionTimestamp": at, "finalizers": [FINALIZER]});
        metadata
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().cloned().unwrap_or_default());
        serde_json::from_value(metadata).unwrap()
    }

    fn identity(name: &str) -> Identity {
        let object = json!({"metadata": {"name": name, "uid": name}, "spec": {"accountId": "222222222222", "region": "eu-west-1"}});
        Identity::read(&object).unwrap()
    }

    /// Whether the first of these is held up where 2 removals an hour are allowed.
    fn told(clusters: &[ObjectMeta], role: &ObjectMeta, recorded: &[RemovalStatus]) -> Option<String> {
        let hub = Hub {
            clusters: clusters.iter().map(|one| (one, Some("default"))).collect(),
            roles: vec![(role, recorded)],
        };
        let first = &clusters[0];
        let held = held(
            &hub,
            2,
            (first, Stage::Parting),
            &identity(first.name.as_deref().unwrap()),
        );
        held.map(|blocked| blocked.message())
    }

    #[test]
    fn the_objects_of_the_hub_tell_whether_too_many_are_to_be_removed() {
        let none = || json!({});
        let three = ["a", "b", "c"].map(|name| metadata(name, 5, &none()));
        let role = metadata("default", 0, &none());
        let held = told(&three, &role, &[]).unwrap();
        assert!(held.contains("3 removals") && held.contains("(a, b, c)"), "{held}");
        assert_eq!(told(&three[..2], &role, &[]), None);
        // Who bears no finalizer of ours has nothing to be taken away, and who is over was recorded.
        let mut unmade = three.clone();
        unmade[2].finalizers = None;
        assert_eq!(told(&unmade, &role, &[]), None);
        let over = status(&asked(&metadata("d", 4, &none())));
        assert!(told(&three[..2], &role, std::slice::from_ref(&over)).is_some());
    }

    #[test]
    fn a_person_says_for_one_or_for_all_that_they_are_meant() {
        let three = ["a", "b", "c"].map(|name| metadata(name, 5, &json!({})));
        let meant = |time: &str| json!({"annotations": {REMOVALS_CONFIRMED_AT: time}});
        let role = |time: &str| metadata("default", 0, &meant(time));
        assert_eq!(told(&three, &role("1970-01-01T00:06:00Z"), &[]), None);
        assert!(
            told(&three, &role("1970-01-01T00:04:00Z"), &[]).is_some(),
            "said before"
        );
        let words = told(&three, &role("yes"), &[]).unwrap();
        assert!(words.contains("is not a time"), "{words}");
        let mut one = three.clone();
        one[0] = metadata("a", 5, &meant("1970-01-01T00:06:00Z"));
        let unsaid = metadata("default", 0, &json!({}));
        assert_eq!(told(&one, &unsaid, &[]), None);
        one.rotate_left(1);
        let held = told(&one, &unsaid, &[]).unwrap();
        assert!(
            held.contains("3 removals") && held.contains("(b, c)"),
            "nothing was said of these: {held}"
        );
        assert!(
            told(&one[..2], &unsaid, &[status(&asked(&one[2]))]).is_some(),
            "nor once it is over"
        );
    }

    #[test]
    fn what_has_begun_counts_whatever_recorded_it_and_goes_on() {
        let none = || json!({});
        let role = metadata("default", 0, &none());
        let three = ["a", "b", "c"].map(|name| metadata(name, 5, &none()));
        let begun = |one: &ObjectMeta| status(&asked(one));
        assert_eq!(
            told(&three, &role, &[begun(&three[0])]),
            None,
            "who has begun is not held up"
        );
        let [a, b, c] = three.clone();
        assert!(
            told(&[b, c, a], &role, &[begun(&three[0])]).is_some(),
            "and counts once"
        );
        // One that stays is none of them, whenever the others were asked for.
        let minute = now().as_second() / 60;
        let mut stays = ["a", "b", "c"].map(|name| metadata(name, minute, &none()));
        assert!(told(&stays, &role, &[]).is_some());
        stays[2].deletion_timestamp = None;
        assert_eq!(told(&stays, &role, &[]), None);
        // What was meant does not count any more: of those that are left there are two.
        let over = begun(&metadata("d", 4, &none()));
        let meant = metadata(
            "default",
            0,
            &json!({"annotations": {REMOVALS_CONFIRMED_AT: "1970-01-01T00:04:30Z"}}),
        );
        assert_eq!(told(&three[..2], &meant, std::slice::from_ref(&over)), None);

        let judged = |roles: Vec<(&ObjectMeta, &[RemovalStatus])>, begun: &BTreeMap<String, BTreeSet<Asked>>| {
            let hub = Hub {
                clusters: three[..2].iter().map(|one| (one, Some("default"))).collect(),
                roles,
            };
            hub.judge(2, &hub.seen(begun), (&three[0], Stage::Parting), &identity("a"))
                .is_some()
        };
        let (nothing, other) = (BTreeMap::new(), metadata("other", 0, &none()));
        assert!(!judged(vec![(&role, &[])], &nothing));
        let recorded = std::slice::from_ref(&over);
        assert!(
            judged(vec![(&role, &[]), (&other, recorded)], &nothing),
            "by another ManagementRole"
        );
        let mine = BTreeMap::from([("default".to_owned(), BTreeSet::from([record(&over)]))]);
        assert!(
            judged(vec![(&role, &[])], &mine),
            "by this process, before the watch shows it"
        );
    }

    #[test]
    fn what_has_begun_and_only_drains_is_held_up_until_it_is_meant_and_one_whose_secret_is_gone_is_not() {
        let role = metadata("default", 0, &json!({}));
        let three = ["a", "b", "c"].map(|name| metadata(name, 5, &json!({})));
        let judged = |going: &ObjectMeta, stage: Stage, role: &ObjectMeta, others: &[ObjectMeta]| {
            let recorded = [status(&asked(&three[0]))];
            let clusters = [going].into_iter().chain(others);
            let hub = Hub {
                clusters: clusters.map(|one| (one, Some("default"))).collect(),
                roles: vec![(role, &recorded)],
            };
            held(&hub, 2, (going, stage), &identity("a")).map(|blocked| blocked.message())
        };
        let told = judged(&three[0], Stage::Whole, &role, &three[1..]).unwrap();
        assert!(told.contains("3 removals") && told.contains("(a, b, c)"), "{told}");
        let (lost, at_once) = (
            "nothing of them is lost",
            "ApplicationSet controller at once, with `kubectl scale deployment -n argocd ",
        );
        assert!(told.contains(lost) && !told.contains(at_once), "{told}");
        let told = judged(&three[0], Stage::Drained { argocd: "argocd" }, &role, &three[1..]).unwrap();
        assert!(told.contains(at_once) && !told.contains(lost), "{told}");
        assert_eq!(judged(&three[0], Stage::Parting, &role, &three[1..]), None);
        assert_eq!(
            judged(&three[0], Stage::Whole, &role, &three[1..2]),
            None,
            "as many as allowed"
        );
        let word = json!({"annotations": {REMOVALS_CONFIRMED_AT: "1970-01-01T00:06:00Z"}});
        let (meant, all_meant) = (metadata("a", 5, &word), metadata("default", 0, &word));
        assert_eq!(judged(&meant, Stage::Whole, &role, &three[1..]), None);
        assert_eq!(judged(&three[0], Stage::Whole, &all_meant, &three[1..]), None);
    }

    #[test]
    fn what_is_meant_for_one_management_role_lets_nothing_through_that_names_another() {
        let three = ["a", "b", "c"].map(|name| metadata(name, 5, &json!({})));
        let meant = json!({"annotations": {REMOVALS_CONFIRMED_AT: "1970-01-01T00:06:00Z"}});
        let (role, other) = (metadata("default", 0, &json!({})), metadata("other", 0, &meant));
        let hub = Hub {
            clusters: three.iter().map(|one| (one, Some("default"))).collect(),
            roles: vec![(&role, &[]), (&other, &[])],
        };
        assert!(held(&hub, 2, (&three[0], Stage::Whole), &identity("a")).is_some());
    }

    #[test]
    fn objects_that_cannot_be_read_count_and_go_by_what_is_said_of_the_management_role_that_is_stored() {
        let three = ["a", "b", "c"].map(|name| metadata(name, 5, &json!({})));
        let meant = json!({"annotations": {REMOVALS_CONFIRMED_AT: "1970-01-01T00:06:00Z"}});
        for (said, is_held) in [(json!({}), true), (meant, false)] {
            let role = metadata("default", 0, &said);
            let hub = Hub {
                clusters: three.iter().map(|one| (one, None)).collect(),
                roles: vec![(&role, &[])],
            };
            assert_eq!(
                held(&hub, 2, (&three[0], Stage::Whole), &identity("a")).is_some(),
                is_held,
                "{said}"
            );
        }
    }
}
