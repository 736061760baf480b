//! The little that is remembered between passes. Nothing of it is needed for correctness: a restart forgets it and arrives at
//! the same state, some calls later.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use crate::{
    api::ManagedClusterStatus,
    argocd::{CLUSTER_ANNOTATION, WantedSecret},
    domain::eks::{AccessPolicyArn, Associations},
};

use super::{
    in_use::Earlier,
    living::Lives,
    step::Suspicion,
    unmoved::{Tried, Unmoved},
};

/// How long AWS may show what was deleted. Its pages say seconds; what shows for longer is there.
pub(super) const SHOWN_LATE: Duration = Duration::from_mins(1);

/// What is remembered of each object, by UID.
#[derive(Default)]
pub struct Memories {
    of: Mutex<HashMap<String, Memory>>,
}

#[derive(Default)]
struct Memory {
    suspicion: Option<(Suspicion, Instant)>,
    scopes: Tried,
    status: Option<ManagedClusterStatus>,
    unwritten: bool,
    /// What is stored of an object that cannot be read, at a version of it.
    lives: Option<(String, Lives)>,
    secret: Option<WantedSecret>,
    claim: Option<Claim>,
    /// What it takes over, and the object's name.
    adopts: Option<(String, String)>,
    clean_since: Option<Instant>,
    going_secret: Option<String>,
    used: bool,
    unused_since: Option<Instant>,
    pending_since: Option<Instant>,
    deleted: HashMap<String, Instant>,
    secret_deleted: Option<Instant>,
    healed: HashMap<String, Instant>,
    made: Option<(String, Instant)>,
    first_waited: Option<i64>,
    looked_at: bool,
    /// The generation of the spec with which all was well.
    well_at: Option<i64>,
    asked: Option<watch::Sender<()>>,
}

/// A server and a name in one Argo CD, for one object alone.
struct Claim {
    namespace: String,
    server: String,
    name: String,
    object: String,
}

impl Memories {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Memory>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, uid: &str, change: impl FnOnce(&mut Memory) -> T) -> T {
        change(self.lock().entry(uid.to_owned()).or_default())
    }

    /// What an earlier look suspected, at least `after` ago.
    pub fn confirmed(&self, uid: &str, after: Duration) -> Option<Suspicion> {
        self.with(uid, |memory| {
            memory
                .suspicion
                .as_ref()
                .filter(|(_, since)| since.elapsed() >= after)
                .map(|(what, _)| what.clone())
        })
    }

    /// Remembers what this look suspects; agreeing with an earlier one keeps the earlier one's time.
    pub fn suspect(&self, uid: &str, suspicion: Option<&Suspicion>) {
        self.with(uid, |memory| match (suspicion, &memory.suspicion) {
            (Some(now), Some((before, _))) if now == before => {}
            (now, _) => memory.suspicion = now.map(|what| (what.clone(), Instant::now())),
        });
    }

    /// The scopes that were given to access policies and did not show; a look that agrees `after` that is the second.
    pub fn unmoved(&self, uid: &str, after: Duration) -> Vec<Unmoved> {
        self.with(uid, |memory| memory.scopes.all(after))
    }

    /// Forgets the scopes that show by now, or that somebody has changed again.
    pub fn still_unmoved(&self, uid: &str, found: Option<&Associations>) {
        let shows = |unmoved: &Unmoved| found.and_then(|found| found.get(&unmoved.policy)) == Some(&unmoved.found);
        self.with(uid, |memory| memory.scopes.keep(shows));
    }

    /// Remembers a scope that was given and does not show, and forgets the policies that were associated anew.
    pub fn rescoped(&self, uid: &str, unmoved: Option<&Unmoved>, anew: &[AccessPolicyArn]) {
        self.with(uid, |memory| {
            for policy in anew {
                memory.scopes.forget(policy);
            }
            if let Some(unmoved) = unmoved {
                memory.scopes.note(unmoved.clone());
            }
        });
    }

    /// The status that we came to last: the watch may not have brought it back yet.
    pub fn status(&self, uid: &str) -> Option<ManagedClusterStatus> {
        self.with(uid, |memory| memory.status.clone())
    }

    /// Remembers the status that a pass came to, and whether the API server said that it has it. A role that was made
    /// is ours also where that could not be written down, and is not to be made afresh.
    pub fn told_status(&self, uid: &str, status: &ManagedClusterStatus, written: bool) {
        self.with(uid, |memory| {
            memory.status = Some(status.clone());
            memory.unwritten = !written;
        });
    }

    /// Whether the status that is remembered may not be the one that the API server has.
    pub fn status_unwritten(&self, uid: &str) -> bool {
        self.with(uid, |memory| memory.unwritten)
    }

    /// What was read of an object that cannot be read as what it is, where that is still its version.
    pub fn lives(&self, uid: &str, version: &str) -> Option<Lives> {
        let all = self.lock();
        let (of, lives) = all.get(uid)?.lives.as_ref()?;
        (of == version).then(|| lives.clone())
    }

    /// The same, whatever its version is by now.
    pub fn last_lives(&self, uid: &str) -> Option<Lives> {
        self.lock().get(uid)?.lives.as_ref().map(|(_, lives)| lives.clone())
    }

    /// Remembers what was read of an object that cannot be read as what it is, at this version.
    pub fn read_lives(&self, uid: &str, version: &str, lives: &Lives) {
        self.with(uid, |memory| memory.lives = Some((version.to_owned(), lives.clone())));
    }

    /// Remembers the Secret that is wanted, under the name that it has, so that the watch can tell our own writes from
    /// other people's.
    pub fn want_secret(&self, uid: &str, secret: Option<WantedSecret>) {
        self.with(uid, |memory| memory.secret = secret);
    }

    /// The Secret that is wanted.
    pub fn wanted_secret(&self, uid: &str) -> Option<WantedSecret> {
        self.lock().get(uid).and_then(|memory| memory.secret.clone())
    }

    /// Claims the server and the name of a Secret that is about to be written in Argo CD's namespace, so that of two objects
    /// that want the same and are looked at side by side one gives way. Gives the names of those that are `present` and have
    /// claimed either; then nothing is claimed, unless the Secret `stands` already. Who does not `take` only asks, and keeps
    /// nobody out.
    pub fn claim(
        &self,
        uid: &str,
        present: &BTreeSet<String>,
        (namespace, wanted): (&str, &WantedSecret),
        (stands, take): (bool, bool),
    ) -> Vec<String> {
        let mut all = self.lock();
        let key = |key: &str| wanted.data.get(key).cloned().unwrap_or_default();
        let claim = Claim {
            namespace: namespace.to_owned(),
            server: key("server"),
            name: key("name"),
            object: wanted.annotations.get(CLUSTER_ANNOTATION).cloned().unwrap_or_default(),
        };
        let others = all
            .iter()
            .filter(|(other, _)| other.as_str() != uid && !stands && present.contains(*other))
            .filter_map(|(_, memory)| memory.claim.as_ref())
            .filter(|held| held.namespace == claim.namespace)
            .filter(|held| held.server == claim.server || held.name == claim.name)
            .map(|held| held.object.clone());
        let others: Vec<String> = others.collect();
        let claimed = &mut all.entry(uid.to_owned()).or_default().claim;
        if !take && !stands {
            *claimed = None;
        } else if others.is_empty() && take {
            *claimed = Some(claim);
        }
        others
    }

    /// Claims what an object takes over, so that of two that want the same and are looked at side by side one gives way:
    /// until its tags show, nothing else tells whose it is. Gives the name of another object that is `present` and has claimed
    /// it; then nothing is claimed. What the object claimed before and does not want any more is given up; and who does
    /// not `take` only asks.
    pub fn claim_adoption(
        &self,
        (uid, object): (&str, &str),
        present: &BTreeSet<String>,
        what: &str,
        (adopting, take): (bool, bool),
    ) -> Option<String> {
        let mut all = self.lock();
        let own = &mut all.entry(uid.to_owned()).or_default().adopts;
        *own = own.take().filter(|(held, _)| held == what);
        if !adopting {
            return None;
        }
        let others = all
            .iter()
            .filter(|(other, _)| other.as_str() != uid && present.contains(*other));
        let mut others = others.filter_map(|(_, memory)| memory.adopts.as_ref());
        let other = others.find(|(held, _)| held == what).map(|(_, object)| object.clone());
        if other.is_none() && take {
            all.entry(uid.to_owned()).or_default().adopts = Some((what.to_owned(), object.to_owned()));
        }
        other
    }

    /// Gives up what the object claimed.
    pub fn unclaim(&self, uid: &str) {
        self.with(uid, |memory| {
            memory.claim = None;
            memory.adopts = None;
        });
    }

    /// The objects whose wanted Secret has this server or this name in Argo CD.
    pub fn claiming(&self, server: &str, name: &str) -> Vec<String> {
        let is = |secret: &WantedSecret, key: &str, value: &str| secret.data.get(key).is_some_and(|text| text == value);
        let all = self.lock();
        let wants = |memory: &Memory| (memory.secret.iter()).any(|of| is(of, "server", server) || is(of, "name", name));
        let claims = all.iter().filter(|(_, memory)| wants(memory));
        claims.map(|(uid, _)| uid.clone()).collect()
    }

    /// Whether the object has waited for the management role's policy for less than `grace`.
    pub fn just_pending(&self, uid: &str, grace: Duration) -> bool {
        self.with(uid, |memory| {
            memory.pending_since.get_or_insert_with(Instant::now).elapsed() < grace
        })
    }

    /// Remembers what this process deleted for the object: the ARN of an access entry, the unique ID of a role. AWS
    /// gives neither twice, so what still shows up under it for a while is a read from before the deletion.
    pub fn deleted(&self, uid: &str, what: impl IntoIterator<Item = String>) {
        let now = Instant::now();
        self.with(uid, |memory| {
            memory.deleted.extend(what.into_iter().map(|one| (one, now)));
        });
    }

    /// Remembers what this process deleted though the object stays, by the same names.
    pub fn healed(&self, uid: &str, what: impl IntoIterator<Item = String>) {
        let now = Instant::now();
        self.with(uid, |memory| {
            memory.healed.extend(what.into_iter().map(|one| (one, now)));
        });
    }

    /// Whether this process deleted what has this name just now: then it is a read from before that, and no ghost. What
    /// shows for `shown_late` is there: a deletion counts as done also where AWS did not see the thing yet.
    pub fn was_healed(&self, uid: &str, what: Option<&String>, shown_late: Duration) -> bool {
        let all = self.lock();
        let at = what.and_then(|what| all.get(uid)?.healed.get(what));
        at.is_some_and(|at| at.elapsed() < shown_late)
    }

    /// Remembers that all is well with this generation of the spec.
    pub fn all_well(&self, uid: &str, generation: Option<i64>) {
        self.with(uid, |memory| memory.well_at = generation);
    }

    /// Whether all was well with this generation at some time: what is done from then on is nothing that the spec still asks for.
    pub fn was_well(&self, uid: &str, generation: Option<i64>) -> bool {
        self.with(uid, |memory| generation.is_some() && memory.well_at == generation)
    }

    /// Remembers that this process made the deployer role just now, under this unique ID.
    pub fn made_role(&self, uid: &str, id: &str) {
        self.with(uid, |memory| memory.made = Some((id.to_owned(), Instant::now())));
    }

    /// Whether this process made the deployer role less than `within` ago: a read may be from before that.
    pub fn just_made_role(&self, uid: &str, within: Duration) -> bool {
        self.with(uid, |memory| {
            memory.made.as_ref().is_some_and(|(_, made)| made.elapsed() < within)
        })
    }

    /// What this process deleted for the object, less than `within` ago where that is given.
    pub fn all_deleted(&self, uid: &str, within: Option<Duration>) -> BTreeSet<String> {
        let all = self.lock();
        let deleted = all.get(uid).into_iter().flat_map(|memory| &memory.deleted);
        let deleted = deleted.filter(|(_, at)| within.is_none_or(|within| at.elapsed() < within));
        deleted.map(|(what, _)| what.clone()).collect()
    }

    /// Remembers that this process deleted a cluster Secret of the object just now.
    pub fn deleted_secret(&self, uid: &str) {
        self.with(uid, |memory| memory.secret_deleted = Some(Instant::now()));
    }

    /// Whether this process deleted its cluster Secret.
    pub fn has_deleted_secret(&self, uid: &str) -> bool {
        let all = self.lock();
        all.get(uid).is_some_and(|memory| memory.secret_deleted.is_some())
    }

    /// How long it takes until a clean look says that nothing is left for sure: it is `known` what became of all of it, or
    /// looks `after` apart agree. After a cluster Secret went the look must be as late in any case: Argo CD writes the Secrets
    /// that it read a moment before, and so makes them anew. `clean` says whether this look found nothing: zero is sure then,
    /// and otherwise leaves when to look again to the caller.
    pub fn unsure_for(&self, uid: &str, known: bool, after: Duration, clean: bool) -> Duration {
        let left = |since: Option<Instant>| since.map_or(Duration::ZERO, |at| after.saturating_sub(at.elapsed()));
        self.with(uid, |memory| {
            memory.clean_since = clean.then(|| memory.clean_since.unwrap_or_else(Instant::now));
            let settled = left(memory.secret_deleted);
            match (known, clean) {
                (true, _) => settled,
                (false, true) => settled.max(left(memory.clean_since)),
                (false, false) => Duration::ZERO,
            }
        })
    }

    /// The name of the cluster Secret of an object that is being removed: as `recorded`, or as it was before it was gone.
    pub fn going_secret(&self, uid: &str, recorded: Option<&str>) -> Option<String> {
        self.with(uid, |memory| {
            if let Some(name) = recorded {
                memory.going_secret = Some(name.to_owned());
            }
            memory.going_secret.clone()
        })
    }

    /// What earlier looks for those who use the cluster found, where one that is at least `after` old counts.
    pub fn earlier_use(&self, uid: &str, after: Duration) -> Earlier {
        self.with(uid, |memory| Earlier {
            used: memory.used,
            unused: memory.unused_since.is_some_and(|since| since.elapsed() >= after),
        })
    }

    /// Remembers whether a look found somebody who uses the cluster.
    pub fn looked_for_use(&self, uid: &str, used: bool) {
        self.with(uid, |memory| {
            memory.used |= used;
            memory.unused_since = if used {
                None
            } else {
                memory.unused_since.or_else(|| Some(Instant::now()))
            };
        });
    }

    /// Whether the object has been edited since a pass of it first waited for its account, at this generation or before.
    pub fn edited_since_waiting(&self, uid: &str, generation: Option<i64>) -> bool {
        let generation = generation.unwrap_or_default();
        self.with(uid, |memory| {
            *memory.first_waited.get_or_insert(generation) != generation
        })
    }

    /// Whether this process has not been called for the object before.
    pub fn first_look(&self, uid: &str) -> bool {
        self.with(uid, |memory| !std::mem::replace(&mut memory.looked_at, true))
    }

    /// Remembers that the object got its turn: what is edited from now on is known by its status.
    pub fn waited(&self, uid: &str) {
        self.with(uid, |memory| memory.first_waited = None);
    }

    /// Says to a pass that waits for its turn that a person changed the object.
    pub fn asked_again(&self, uid: &str) {
        if let Some(asked) = self.lock().get(uid).and_then(|memory| memory.asked.as_ref()) {
            asked.send_replace(());
        }
    }

    /// Resolves at each later [`Self::asked_again`].
    pub fn asks(&self, uid: &str) -> watch::Receiver<()> {
        self.with(uid, |memory| {
            memory.asked.get_or_insert_with(|| watch::channel(()).0).subscribe()
        })
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Argo CD writes a Secret that it read before ours went, and so makes it anew: also after the role is gone.
    #[test]
    fn nothing_is_surely_gone_right_after_a_secret_went() {
        let memories = Memories::default();
        let minute = Duration::from_mins(1);
        assert!(memories.unsure_for("a", true, minute, true).is_zero());
        memories.deleted_secret("a");
        for clean in [true, false] {
            let wait = memories.unsure_for("a", true, minute, clean);
            assert!(wait > minute / 2 && wait <= minute, "{wait:?}");
        }
        assert!(memories.unsure_for("a", true, Duration::ZERO, true).is_zero());
    }

    #[test]
    fn a_look_that_finds_somebody_is_never_forgotten_and_starts_the_wait_anew() {
        let memory = Memories::default();
        let earlier = |after| memory.earlier_use("1", after);
        let at_once = Duration::ZERO;
        assert_eq!(earlier(at_once), Earlier::default());
        memory.looked_for_use("1", false);
        let nobody = Earlier {
            used: false,
            unused: true,
        };
        assert_eq!(earlier(at_once), nobody);
        assert_eq!(
            earlier(Duration::from_hours(1)),
            Earlier::default(),
            "not long enough ago"
        );
        memory.looked_for_use("1", true);
        let somebody = Earlier {
            used: true,
            unused: false,
        };
        assert_eq!(earlier(at_once), somebody);
        memory.looked_for_use("1", false);
        assert_eq!(
            earlier(at_once),
            Earlier {
                unused: true,
                ..somebody
            }
        );
    }

    #[test]
    fn what_was_read_of_an_object_that_cannot_be_read_is_for_its_version_and_the_last_of_it_for_who_cannot_ask() {
        let memory = Memories::default();
        let lives = |name: &str| Lives {
            name: name.to_owned(),
            ..Lives::default()
        };
        assert_eq!(memory.last_lives("1").map(|lives| lives.name), None);
        memory.read_lives("1", "7", &lives("at-seven"));
        assert_eq!(
            memory.lives("1", "7").map(|lives| lives.name).as_deref(),
            Some("at-seven")
        );
        assert_eq!(memory.lives("1", "8").map(|lives| lives.name), None);
        assert_eq!(
            memory.last_lives("1").map(|lives| lives.name).as_deref(),
            Some("at-seven")
        );
        assert_eq!(memory.last_lives("2").map(|lives| lives.name), None);
    }

    /// The first objects by their UIDs.
    fn present(first: usize) -> BTreeSet<String> {
        (0..first).map(|uid| uid.to_string()).collect()
    }

    fn secret(object: &str, server: &str, name: &str) -> WantedSecret {
        let texts = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into()))
                .collect()
        };
        WantedSecret {
            name: "cluster-x".into(),
            data: texts(&[("server", server), ("name", name)]),
            labels: BTreeMap::new(),
            annotations: texts(&[(CLUSTER_ANNOTATION, object)]),
        }
    }

    #[test]
    fn of_two_that_want_one_server_or_one_name_the_second_is_told_of_the_first() {
        let memory = Memories::default();
        let claim = |uid: &str, server, name, (stands, take)| {
            let object = format!("object-{uid}");
            let wanted = secret(&object, server, name);
            memory.claim(uid, &present(6), ("argocd", &wanted), (stands, take))
        };
        let (new, asks, stands) = ((false, true), (false, false), (true, true));
        let first = ["object-1".to_owned()];
        assert_eq!(claim("0", "s", "n", asks), [""; 0], "who only asks keeps nobody out");
        assert_eq!(claim("1", "s", "n", new), [""; 0]);
        assert_eq!(claim("2", "s", "other", new), first);
        assert_eq!(claim("1", "s", "n", new), [""; 0], "who was told keeps nobody out");
        assert_eq!(claim("2", "other", "n", new), first);
        assert_eq!(claim("2", "s", "n", asks), first, "who asks is told all the same");
        assert_eq!(
            claim("3", "other", "other", new),
            [""; 0],
            "who was told has claimed nothing"
        );
        assert_eq!(claim("1", "s", "n", new), [""; 0], "its own keeps nobody from it");
        // A Secret that stands is written to whatever others wait for, and they are told of it from then on.
        assert_eq!(claim("4", "s", "n", stands), [""; 0]);
        assert_eq!(claim("1", "s", "n", new), ["object-4"]);
        memory.unclaim("4");
        // Whoever wants something else by now has given up what it wanted.
        assert_eq!(claim("1", "s2", "n2", new), [""; 0]);
        assert_eq!(claim("2", "s", "n", new), [""; 0]);
        assert_eq!(claim("2", "s", "n", asks), [""; 0]);
        assert_eq!(claim("5", "s", "n", new), [""; 0], "and so has who only asks by now");
        memory.unclaim("5");
        assert_eq!(claim("2", "s", "n", new), [""; 0]);
        // Another Argo CD knows clusters of its own.
        let wanted = secret("object-3", "s", "n");
        let elsewhere = |namespace| memory.claim("3", &present(6), (namespace, &wanted), new);
        assert_eq!(elsewhere("argocd-two"), [""; 0]);
        assert_eq!(elsewhere("argocd"), ["object-2"]);
        memory.forget("2");
        assert_eq!(claim("1", "s", "n", new), [""; 0]);
    }

    #[test]
    fn of_two_that_take_one_thing_over_the_second_is_told_of_the_first() {
        let memory = Memories::default();
        let claim = |uid: &str, what: &str, adopting, take| {
            memory.claim_adoption((uid, &format!("object-{uid}")), &present(6), what, (adopting, take))
        };
        let first = Some("object-1".to_owned());
        assert_eq!(claim("0", "role", true, false), None, "who only asks keeps nobody out");
        assert_eq!(claim("1", "role", true, true), None);
        assert_eq!(claim("2", "role", true, true), first);
        assert_eq!(claim("1", "role", true, true), None, "who was told keeps nobody out");
        assert_eq!(claim("2", "other", true, true), None);
        // Once it is taken over there is nothing left to take over, and a read may be late.
        assert_eq!(claim("1", "role", false, true), None);
        assert_eq!(claim("2", "role", true, true), first);
        // Who wants something else by now has given it up.
        assert_eq!(claim("1", "another", false, true), None);
        assert_eq!(claim("2", "role", true, true), None);
        memory.unclaim("2");
        assert_eq!(claim("1", "role", true, true), None);
        memory.forget("1");
        assert_eq!(claim("2", "role", true, true), None);
    }

    const AT_ONCE: Duration = Duration::ZERO;
    const AN_HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn who_stands_and_only_asks_claims_nothing_new() {
        let memory = Memories::default();
        let claim = |uid, name, how| memory.claim(uid, &present(6), ("argocd", &secret(name, "s", "n")), how);
        assert_eq!(claim("1", "one", (true, false)), [""; 0]);
        assert_eq!(claim("2", "two", (false, true)), [""; 0]);
    }

    #[test]
    fn an_object_that_is_there_no_more_keeps_nobody_out() {
        let memory = Memories::default();
        let claim =
            |uid, all: &BTreeSet<String>| memory.claim(uid, all, ("argocd", &secret("x", "s", "n")), (false, true));
        assert_eq!(claim("1", &present(6)), [""; 0]);
        assert_eq!(claim("2", &present(6)), ["x"]);
        assert_eq!(claim("0", &present(1)), [""; 0], "0 alone is there");
        let adopt = |uid, all: &BTreeSet<String>| memory.claim_adoption((uid, "x"), all, "role", (true, true));
        assert_eq!(adopt("1", &present(6)), None);
        assert_eq!(adopt("2", &present(6)).as_deref(), Some("x"));
        assert_eq!(adopt("0", &present(1)), None);
    }

    #[test]
    fn who_takes_a_thing_over_is_not_in_its_own_way_and_who_has_it_is_told_of_nobody() {
        let memory = Memories::default();
        let claim = |uid: &str, adopting| {
            memory.claim_adoption((uid, &format!("object-{uid}")), &present(6), "role", (adopting, true))
        };
        assert_eq!(claim("1", true), None);
        assert_eq!(claim("1", true), None, "as when a pass broke off");
        assert_eq!(claim("2", false), None, "it takes nothing over");
        assert_eq!(claim("1", true), None);
    }

    #[test]
    fn who_wants_a_server_or_a_name_is_found_by_either() {
        let memory = Memories::default();
        memory.want_secret("1", Some(secret("one", "s", "n")));
        assert_eq!(memory.claiming("s", "other"), ["1"]);
        assert_eq!(memory.claiming("other", "n"), ["1"]);
        assert_eq!(memory.claiming("n", "s"), [""; 0]);
        memory.want_secret("1", None);
        assert_eq!(memory.claiming("s", "n"), [""; 0]);
    }

    #[test]
    fn only_a_suspicion_that_lasts_is_confirmed() {
        let memory = Memories::default();
        let stranger = |id: &str| Suspicion {
            role_id: Some(id.to_owned()),
            entry_made_for: None,
            entry_older_than: None,
        };
        let (one, two) = (stranger("AROAONE"), stranger("AROATWO"));
        let began = |memory: &Memories| memory.with("1", |memory| memory.suspicion.as_ref().map(|(_, since)| *since));
        assert_eq!(memory.confirmed("1", AT_ONCE), None);
        memory.suspect("1", Some(&one));
        assert_eq!(memory.confirmed("1", AN_HOUR), None, "not long enough ago");
        assert_eq!(memory.confirmed("1", AT_ONCE), Some(one.clone()));
        assert_eq!(memory.confirmed("2", AT_ONCE), None, "of another object");
        let first = began(&memory);
        std::thread::sleep(Duration::from_millis(2));
        memory.suspect("1", Some(&one));
        assert_eq!(began(&memory), first, "a look that agrees");
        memory.suspect("1", Some(&two));
        assert!(began(&memory) > first, "one that does not begins anew");
        assert_eq!(memory.confirmed("1", AT_ONCE), Some(two));
        memory.suspect("1", None);
        assert_eq!(memory.confirmed("1", AT_ONCE), None);
    }

    #[test]
    fn what_this_process_did_is_known_until_the_object_is_forgotten() {
        let memory = Memories::default();
        let id = "AROAONE".to_owned();
        assert!(!memory.was_healed("1", Some(&id), AN_HOUR) && !memory.just_made_role("1", AN_HOUR));
        memory.healed("1", [id.clone()]);
        memory.made_role("1", &id);
        let healed = |uid, what| memory.was_healed(uid, what, AN_HOUR);
        assert!(healed("1", Some(&id)) && !healed("2", Some(&id)));
        let other = "AROATWO".to_owned();
        assert!(!healed("1", Some(&other)) && !healed("1", None));
        assert!(
            !memory.was_healed("1", Some(&id), AT_ONCE),
            "what shows for so long is there"
        );
        assert!(memory.just_made_role("1", AN_HOUR) && !memory.just_made_role("1", AT_ONCE));
        let status = ManagedClusterStatus::default();
        memory.told_status("1", &status, false);
        assert!(memory.status_unwritten("1") && memory.status("1").is_some());
        memory.told_status("1", &status, true);
        assert!(!memory.status_unwritten("1"));
        memory.forget("1");
        assert!(!memory.was_healed("1", Some(&id), AN_HOUR) && memory.status("1").is_none());
    }

    /// What is gone for sure lets the finalizer go: this process deleted all of it, or two looks agree.
    #[test]
    fn what_is_not_seen_is_gone_once_it_was_deleted_or_two_looks_agree() {
        let memory = Memories::default();
        let gone = |uid: &str, known, after| memory.unsure_for(uid, known, after, true).is_zero();
        assert!(!gone("1", false, AN_HOUR), "one look");
        assert!(gone("1", false, AT_ONCE), "another, long enough after");
        assert!(
            memory.unsure_for("1", false, AN_HOUR, false).is_zero(),
            "it is looked at again soon"
        );
        std::thread::sleep(Duration::from_millis(2));
        let looked = Instant::now();
        let anew = memory.unsure_for("1", false, AN_HOUR, true);
        assert!(
            anew >= AN_HOUR.saturating_sub(looked.elapsed()) && anew <= AN_HOUR,
            "it begins anew: {anew:?}"
        );
        assert!(gone("2", true, AN_HOUR));
        assert_eq!(memory.going_secret("3", None), None);
        for recorded in [Some("cluster-x"), None] {
            assert_eq!(memory.going_secret("3", recorded).as_deref(), Some("cluster-x"));
        }
        memory.deleted("2", ["arn:entry".to_owned(), "AROAONE".to_owned()]);
        assert_eq!(memory.all_deleted("2", None).len(), 2);
        assert_eq!(memory.all_deleted("2", Some(AN_HOUR)).len(), 2);
        assert_eq!(
            memory.all_deleted("2", Some(AT_ONCE)).len(),
            0,
            "what shows for so long is there"
        );
    }

    #[test]
    fn an_edit_while_an_object_waits_for_its_turn_is_known_by_its_generation() {
        let memory = Memories::default();
        assert!(!memory.edited_since_waiting("1", Some(1)));
        assert!(!memory.edited_since_waiting("1", Some(1)));
        assert!(memory.edited_since_waiting("1", Some(2)));
        memory.waited("1");
        assert!(!memory.edited_since_waiting("1", Some(2)));
        assert!(memory.just_pending("1", AN_HOUR) && !memory.just_pending("1", AT_ONCE));
        assert!(memory.first_look("1") && !memory.first_look("1"));
    }
}
