//! The whole protocol in simulated time: processes that are stopped, killed and cut off, an API server that is slow or
//! loses answers, and people who edit the Lease.

use std::{
    collections::BTreeSet,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::Method;
use kube::{Client, client::Body};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

use super::*;

const TERMS: Terms = Terms {
    duration: Duration::from_secs(15),
};

/// How the way between one process and the API server is.
#[derive(Clone, Copy, Debug, Default)]
struct Way {
    there: Duration,
    back: Duration,
    /// Nothing arrives at all.
    cut: bool,
}

/// The one Lease, as an API server keeps it.
#[derive(Clone, Default)]
struct Server {
    lease: Arc<Mutex<Option<Value>>>,
    next: Arc<AtomicU64>,
    writes: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// With the empty Lease that is installed.
    fn installed() -> Self {
        let server = Self::default();
        server.store(json!({"metadata": {"name": "l", "namespace": "n"}}), true);
        server
    }

    fn store(&self, mut lease: Value, anew: bool) -> Value {
        let number = self.next.fetch_add(1, Ordering::SeqCst).to_string();
        if anew {
            lease["metadata"]["uid"] = json!(number);
        }
        lease["metadata"]["resourceVersion"] = json!(number);
        *self.lease.lock().unwrap() = Some(lease.clone());
        lease
    }

    fn now(&self) -> Option<Value> {
        self.lease.lock().unwrap().clone()
    }

    fn holder(&self) -> Option<String> {
        Some(self.now()?["spec"]["holderIdentity"].as_str()?.to_owned())
    }

    /// What `kubectl edit` does.
    fn edit(&self, change: impl FnOnce(&mut Value)) {
        if let Some(mut lease) = self.now() {
            change(&mut lease);
            self.store(lease, false);
        }
    }

    fn delete(&self) {
        *self.lease.lock().unwrap() = None;
    }

    fn answer(&self, method: &Method, sent: Value) -> (u16, Value) {
        let refusal = |code: u16| {
            let reason = if code == 404 { "NotFound" } else { "Conflict" };
            (
                code,
                json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "m", "reason": reason, "code": code}),
            )
        };
        let there = self.now();
        let code = match (method, &there) {
            (&Method::GET, Some(lease)) => return (200, lease.clone()),
            (&Method::POST, None) => 201,
            (&Method::PUT, Some(lease)) => {
                let same = |key: &str| sent["metadata"][key] == lease["metadata"][key];
                if same("uid") && same("resourceVersion") {
                    200
                } else {
                    409
                }
            }
            (&Method::POST, Some(_)) => 409,
            _ => 404,
        };
        if code > 201 {
            return refusal(code);
        }
        let holder = sent["spec"]["holderIdentity"].as_str().unwrap_or("nobody").to_owned();
        self.writes.lock().unwrap().push(format!("{method} {holder}"));
        (code, self.store(sent, code == 201))
    }

    fn client(&self, way: &Arc<Mutex<Way>>) -> Client {
        let (server, way) = (self.clone(), Arc::clone(way));
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let (server, way) = (server.clone(), *way.lock().unwrap());
            async move {
                let method = request.method().clone();
                let body = request.into_body().collect_bytes().await.unwrap();
                let sent = serde_json::from_slice(&body).unwrap_or(Value::Null);
                sleep(way.there).await;
                if way.cut {
                    std::future::pending::<()>().await;
                }
                // What has arrived is carried out, whether or not anybody still waits for the answer.
                let (code, answer) = server.answer(&method, sent);
                sleep(way.back).await;
                let response = http::Response::builder().status(code);
                Ok::<_, std::io::Error>(response.body(Body::from(answer.to_string().into_bytes())).unwrap())
            }
        });
        Client::new(service, "n")
    }
}

/// A process that wants the lease.
struct Process {
    leadership: Leadership,
    way: Arc<Mutex<Way>>,
    stopped: Arc<AtomicBool>,
    end: Option<oneshot::Sender<()>>,
    /// How it ended.
    task: tokio::task::JoinHandle<Result<(), Lost>>,
    told: Arc<Mutex<Vec<Standing>>>,
}

/// A future that is not polled while the flag is up, as a process that got SIGSTOP.
struct Stoppable<F>(F, Arc<AtomicBool>);

impl<F: Future + Unpin> Future for Stoppable<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.1.load(Ordering::SeqCst) {
            // Looked at again soon, by a timer of the simulation and not of the process.
            let waker = context.waker().clone();
            tokio::spawn(async move {
                sleep(Duration::from_millis(10)).await;
                waker.wake();
            });
            return Poll::Pending;
        }
        Pin::new(&mut self.0).poll(context)
    }
}

/// The machine's clock: the runtime's, and what it slept besides.
fn clock(slept: &Arc<AtomicU64>) -> Clock {
    let (start, slept) = (Instant::now(), Arc::clone(slept));
    Clock::by(move || Duration::from_secs(1000 + slept.load(Ordering::SeqCst)) + start.elapsed())
}

impl Process {
    fn start(identity: &str, server: &Server) -> Self {
        Self::on_the_clock(identity, server, clock(&Arc::default()))
    }

    fn on_the_clock(identity: &str, server: &Server, clock: Clock) -> Self {
        let way = Arc::new(Mutex::new(Way::default()));
        let leadership = Leadership::none(clock.clone());
        let settings = Settings {
            name: "l".to_owned(),
            namespace: "n".to_owned(),
            identity: identity.to_owned(),
            terms: TERMS,
        };
        let mut elector = Elector::new(server.client(&way), settings, clock, leadership.clone());
        let (end, ended) = oneshot::channel::<()>();
        let stopped = Arc::new(AtomicBool::new(false));
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = Arc::clone(&told);
        let work = async move {
            elector
                .acquire(|standing| {
                    let mut told = tell.lock().unwrap();
                    if told.last() != Some(&standing) {
                        told.push(standing);
                    }
                })
                .await;
            elector
                .keep(async {
                    let _ = ended.await;
                })
                .await
        };
        let task = tokio::spawn(Stoppable(Box::pin(work), Arc::clone(&stopped)));
        Self {
            leadership,
            way,
            stopped,
            end: Some(end),
            task,
            told,
        }
    }

    fn writes(&self) -> bool {
        self.leadership.may_write()
    }

    fn way(&self, way: Way) {
        *self.way.lock().unwrap() = way;
    }

    fn cut(&self) {
        self.way(Way {
            cut: true,
            ..Way::default()
        });
    }

    fn stop(&self, stopped: bool) {
        self.stopped.store(stopped, Ordering::SeqCst);
    }

    fn kill(&self) {
        self.task.abort();
        // What was sent before may still arrive, but the process asks nobody any more.
        self.leadership.end();
    }

    fn end(&mut self) {
        drop(self.end.take());
    }
}

async fn seconds(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

/// Waits for something, at most a minute of simulated time; how long it took.
async fn until(what: impl Fn() -> bool) -> Duration {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < Duration::from_mins(1), "waited too long");
        sleep(Duration::from_millis(10)).await;
    }
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn the_first_takes_it_at_once_and_the_second_stands_by() {
    let server = Server::installed();
    let a = Process::start("a", &server);
    assert!(until(|| a.writes()).await < Duration::from_millis(100));
    let b = Process::start("b", &server);
    for _ in 0..600 {
        sleep(Duration::from_millis(100)).await;
        assert!(a.writes() && !b.writes());
    }
    assert_eq!(*b.told.lock().unwrap(), [Standing::Held { by: "a".to_owned() }]);
    let renewals = server.writes.lock().unwrap().len();
    assert!((29..=32).contains(&renewals), "every 2 s: {renewals}");
    assert_eq!(server.now().unwrap()["spec"]["leaseTransitions"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_clean_stop_hands_over_within_a_second_and_a_kill_within_twenty() {
    let server = Server::installed();
    let mut a = Process::start("a", &server);
    until(|| a.writes()).await;
    let b = Process::start("b", &server);
    seconds(5).await;
    a.end();
    assert!(until(|| b.writes()).await <= Duration::from_millis(1100));
    assert_eq!(a.task.await.unwrap(), Ok(()));
    let c = Process::start("c", &server);
    seconds(5).await;
    b.kill();
    let took = until(|| c.writes()).await;
    assert!(
        took > Duration::from_secs(12) && took < Duration::from_secs(17),
        "{took:?}"
    );
    assert_eq!(server.now().unwrap()["spec"]["leaseTransitions"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_started_again_does_not_go_on_in_the_time_of_the_one_before() {
    let server = Server::installed();
    let a = Process::start("pod_1", &server);
    until(|| a.writes()).await;
    a.kill();
    let again = Process::start("pod_2", &server);
    assert!(until(|| again.writes()).await >= Duration::from_secs(15));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_holder_knows_at_once_that_its_time_is_over_and_ends_when_it_goes_on() {
    let server = Server::installed();
    let a = Process::start("a", &server);
    until(|| a.writes()).await;
    let b = Process::start("b", &server);
    seconds(4).await;
    a.stop(true);
    seconds(11).await;
    assert!(!a.writes(), "two thirds of its time, before anybody else begins");
    assert!(!b.writes());
    until(|| b.writes()).await;
    a.stop(false);
    for _ in 0..100 {
        assert!(!a.writes());
        sleep(Duration::from_millis(10)).await;
    }
    let lost = a.task.await.unwrap().unwrap_err();
    assert!(matches!(lost, Lost::Expired { .. }), "{lost}");
    assert_eq!(server.holder().as_deref(), Some("b"));
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_is_not_fooled_by_a_clock_that_stood_still() {
    let server = Server::installed();
    let slept = Arc::default();
    let a = Process::on_the_clock("a", &server, clock(&slept));
    until(|| a.writes()).await;
    // The runtime's own clock knows nothing of it.
    slept.store(3600, Ordering::SeqCst);
    assert!(!a.writes());
    seconds(5).await;
    assert!(matches!(a.task.await.unwrap(), Err(Lost::Expired { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_gets_no_answer_stops_in_time_and_says_why() {
    let server = Server::installed();
    let a = Process::start("a", &server);
    until(|| a.writes()).await;
    let b = Process::start("b", &server);
    seconds(5).await;
    a.cut();
    let stopped = until(|| !a.writes()).await;
    assert!(stopped <= Duration::from_secs(10), "{stopped:?}");
    let lost = a.task.await.unwrap().unwrap_err().to_string();
    assert_eq!(
        lost,
        "could not renew leases.coordination.k8s.io/l in namespace n for 10 s, so that another may take it: could not \
         update leases.coordination.k8s.io/l in namespace n: no answer within 3 s; check that the API server can be reached"
    );
    assert!(!b.writes());
    let gap = until(|| b.writes()).await;
    assert!(gap >= Duration::from_secs(4), "time for calls under way: {gap:?}");
}

#[tokio::test(start_paused = true)]
async fn a_short_cut_costs_nothing() {
    let server = Server::installed();
    let a = Process::start("a", &server);
    until(|| a.writes()).await;
    for _ in 0..5 {
        a.cut();
        seconds(4).await;
        a.way(Way::default());
        for _ in 0..100 {
            assert!(a.writes());
            sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_lost_give_no_time_and_take_none() {
    let server = Server::installed();
    let a = Process::start("a", &server);
    // Every call is carried out, and its answer comes when nobody waits for it any more.
    a.way(Way {
        back: Duration::from_secs(4),
        ..Way::default()
    });
    seconds(30).await;
    assert!(!a.writes(), "nothing was ever confirmed");
    a.way(Way::default());
    assert!(until(|| a.writes()).await < Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_somebody_deletes_is_made_anew_by_its_holder() {
    let server = Server::installed();
    let a = Process::start("a", &server);
    until(|| a.writes()).await;
    let b = Process::start("b", &server);
    seconds(5).await;
    server.delete();
    seconds(1).await;
    // One that starts just now has never seen a holder.
    let c = Process::start("c", &server);
    for _ in 0..300 {
        assert!(a.writes() && !b.writes() && !c.writes());
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(server.holder().as_deref(), Some("a"));
    assert!(b.told.lock().unwrap().contains(&Standing::Vacant));
}

#[tokio::test(start_paused = true)]
async fn a_holder_whose_name_somebody_takes_off_ends_before_another_begins() {
    for holder in [Value::Null, json!(""), json!("somebody")] {
        let server = Server::installed();
        let a = Process::start("a", &server);
        until(|| a.writes()).await;
        let b = Process::start("b", &server);
        seconds(5).await;
        server.edit(|lease| lease["spec"]["holderIdentity"] = holder.clone());
        assert!(until(|| !a.writes()).await <= Duration::from_secs(2));
        assert!(!b.writes());
        let lost = a.task.await.unwrap().unwrap_err();
        let by = holder.as_str().filter(|by| !by.is_empty()).map(str::to_owned);
        assert!(matches!(&lost, Lost::Taken { by: taken, .. } if *taken == by), "{lost}");
        assert!(until(|| b.writes()).await <= Duration::from_secs(16));
    }
}

#[tokio::test(start_paused = true)]
async fn what_others_write_to_the_lease_stays_and_changes_nothing() {
    let server = Server::installed();
    let a = Process::start("a", &server);
    until(|| a.writes()).await;
    let b = Process::start("b", &server);
    for number in 0..40 {
        seconds(1).await;
        server.edit(|lease| lease["metadata"]["labels"] = json!({"touched": number.to_string()}));
        assert!(a.writes() && !b.writes());
    }
    assert_eq!(server.now().unwrap()["metadata"]["labels"]["touched"], "39");
    // Nor do they keep a dead holder's lease alive.
    a.kill();
    for number in 0..17 {
        seconds(1).await;
        server.edit(|lease| lease["metadata"]["labels"] = json!({"touched": number.to_string()}));
    }
    assert!(b.writes());
}

#[tokio::test(start_paused = true)]
async fn of_many_that_see_it_expire_one_takes_it() {
    let server = Server::installed();
    let a = Process::start("a", &server);
    until(|| a.writes()).await;
    let others: Vec<_> = (0..10)
        .map(|number| Process::start(&format!("b{number}"), &server))
        .collect();
    seconds(5).await;
    a.kill();
    let leaders = || others.iter().filter(|other| other.writes()).count();
    until(|| leaders() > 0).await;
    for _ in 0..300 {
        assert_eq!(leaders(), 1);
        sleep(Duration::from_millis(100)).await;
    }
}

#[derive(Clone, Debug)]
enum Event {
    Stop(usize, u64),
    Kill(usize),
    End(usize),
    Way(usize, Way),
    Delete,
    Rename(bool),
    Touch,
}

fn any_event() -> impl Strategy<Value = (u64, Event)> {
    let one = || 0..3_usize;
    let way = (0..6_u64, 0..6_u64, any::<bool>()).prop_map(|(there, back, cut)| Way {
        there: Duration::from_secs(there),
        back: Duration::from_secs(back),
        cut,
    });
    let event = prop_oneof![
        3 => (one(), 1..40_u64).prop_map(|(which, seconds)| Event::Stop(which, seconds)),
        2 => one().prop_map(Event::Kill),
        2 => one().prop_map(Event::End),
        3 => (one(), way).prop_map(|(which, way)| Event::Way(which, way)),
        2 => one().prop_map(|which| Event::Way(which, Way::default())),
        1 => Just(Event::Delete),
        1 => any::<bool>().prop_map(Event::Rename),
        1 => Just(Event::Touch),
    ];
    (0..8_000_u64, event)
}

/// Three processes, each started again when it has ended; whatever happens to them, at no moment may two write.
async fn never_two(events: Vec<(u64, Event)>) {
    let server = Server::installed();
    let started = AtomicU64::new(0);
    let start = || Process::start(&format!("p{}", started.fetch_add(1, Ordering::SeqCst)), &server);
    let mut processes = [start(), start(), start()];
    let mut resumes: BTreeSet<(Instant, usize)> = BTreeSet::new();
    let mut gone: Vec<Process> = Vec::new();
    let (heal, mut events) = (events.len(), events.into_iter().enumerate());
    let mut next = events.next();
    let mut due = Instant::now();
    let mut last = None;
    loop {
        while let Some((_, (pause, event))) = next
            .as_ref()
            .filter(|(_, (pause, _))| Instant::now() >= due + Duration::from_millis(*pause))
        {
            due += Duration::from_millis(*pause);
            match event.clone() {
                Event::Stop(which, seconds) => {
                    processes[which].stop(true);
                    resumes.insert((Instant::now() + Duration::from_secs(seconds), which));
                }
                Event::Kill(which) => {
                    processes[which].kill();
                    gone.push(std::mem::replace(&mut processes[which], start()));
                }
                Event::End(which) => processes[which].end(),
                Event::Way(which, way) => processes[which].way(way),
                Event::Delete => server.delete(),
                Event::Rename(to) => server.edit(|lease| {
                    if lease["spec"]["holderIdentity"].is_string() {
                        lease["spec"]["holderIdentity"] = if to { json!("somebody") } else { Value::Null };
                    }
                }),
                Event::Touch => server.edit(|lease| lease["metadata"]["labels"] = json!({"a": "b"})),
            }
            next = events.next();
            if next.is_none() {
                last = Some(Instant::now());
                for process in &processes {
                    process.way(Way::default());
                }
            }
        }
        if heal == 0 {
            last.get_or_insert_with(Instant::now);
        }
        while let Some(first) = resumes
            .first()
            .copied()
            .filter(|(at, _)| *at <= Instant::now() || next.is_none())
        {
            resumes.remove(&first);
            processes[first.1].stop(false);
        }
        for process in &mut processes {
            if process.task.is_finished() {
                assert!(!process.writes(), "it has ended");
                gone.push(std::mem::replace(process, start()));
            }
        }
        let writing = processes.iter().chain(&gone).filter(|process| process.writes()).count();
        assert!(writing <= 1, "{writing} write at once");
        if let Some(last) = last
            && last.elapsed() > Duration::from_secs(40)
        {
            assert_eq!(writing, 1, "nothing keeps them from it any more");
            return;
        }
        let mut tick = pin!(sleep(Duration::from_millis(50)));
        (&mut tick).await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_absences_are_not_taken_for_one() {
    let slow = Way {
        back: Duration::from_secs(2),
        ..Way::default()
    };
    // One is stopped while the lease is gone, and goes on when it is gone again: another held it meanwhile.
    never_two(vec![
        (1, Event::Way(0, slow)),
        (2000, Event::Delete),
        (745, Event::Stop(0, 1)),
        (255, Event::Stop(1, 18)),
        (0, Event::Kill(0)),
        (5956, Event::Way(0, Way::default())),
        (3854, Event::Way(0, Way::default())),
        (4735, Event::End(0)),
        (455, Event::Delete),
    ])
    .await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_never_two_may_write_and_in_the_end_one_may(
        events in proptest::collection::vec(any_event(), 0..25),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(never_two(events));
    }
}
