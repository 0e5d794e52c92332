//! The loops in virtual time against a record in memory: what they do when the API server is slow, silent or refuses.

use std::sync::{Arc, Mutex};

use k8s_openapi::api::coordination::v1::Lease as Record;

use super::super::claim::Claim;
use super::*;

#[derive(Clone, Copy, Default, PartialEq)]
enum Weather {
    #[default]
    Fine,
    /// Nothing is answered, and nothing arrives.
    BlackHole,
    /// Writes arrive, their answers do not.
    AnswersLost,
    /// A write arrives at once, and is answered 4 s later.
    Slow,
    /// 503.
    Refused,
}

#[derive(Default)]
struct Server {
    record: Option<Record>,
    version: u64,
    weather: Weather,
    writes: u32,
}

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Server>>);

impl Memory {
    fn with<T>(&self, change: impl FnOnce(&mut Server) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    fn weather(&self, weather: Weather) {
        self.with(|server| server.weather = weather);
    }

    fn holder(&self) -> Option<String> {
        self.with(|server| server.record.clone()?.spec?.holder_identity)
    }

    /// What no call can be answered with in this weather.
    async fn endure(&self) -> Result<(), Error> {
        match self.with(|server| server.weather) {
            Weather::BlackHole => std::future::pending().await,
            Weather::Refused => Err(Error::Kubernetes(Box::new(
                kube::Error::LinesCodecMaxLineLengthExceeded,
            ))),
            Weather::Fine | Weather::AnswersLost | Weather::Slow => Ok(()),
        }
    }
}

impl Server {
    fn compare_and_swap(&mut self, mut record: Record) -> Result<Record, Error> {
        let stored = self
            .record
            .as_ref()
            .and_then(|record| record.metadata.resource_version.clone());
        if record.metadata.resource_version != stored {
            return Err(Error::Conflict);
        }
        self.version += 1;
        self.writes += 1;
        record.metadata.resource_version = Some(self.version.to_string());
        self.record = Some(record.clone());
        Ok(record)
    }
}

impl Records for Memory {
    async fn read(&self) -> Result<Option<Record>, Error> {
        self.endure().await?;
        if self.with(|server| server.weather) == Weather::AnswersLost {
            std::future::pending::<()>().await;
        }
        Ok(self.with(|server| server.record.clone()))
    }

    async fn write(&self, record: Record) -> Result<Record, Error> {
        self.endure().await?;
        let written = self.with(|server| server.compare_and_swap(record));
        match self.with(|server| server.weather) {
            Weather::AnswersLost => std::future::pending().await,
            Weather::Slow => sleep(seconds(4)).await,
            Weather::Fine | Weather::BlackHole | Weather::Refused => {}
        }
        written
    }
}

fn elector(memory: &Memory, me: &str) -> Elector<Memory> {
    Elector::new(
        memory.clone(),
        me.to_owned(),
        Timing::default(),
        Clock::system(),
    )
}

struct Leader {
    claim: Claim,
    since: Instant,
    keeping: tokio::task::JoinHandle<(Lost, Elector<Memory>)>,
}

/// Acquires, and keeps it in a task as `Lease` does.
async fn lead(mut elector: Elector<Memory>) -> Leader {
    let since = elector.acquire(|| ()).await;
    let (grant, claim) = Grant::new(since, elector.timing.claim_holds(), Clock::system());
    let keeping = tokio::spawn(async move { (elector.keep(&grant, since).await, elector) });
    Leader {
        claim,
        since,
        keeping,
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_leader_renews_every_five_seconds_with_one_write_each_and_stays_current() {
    let memory = Memory::default();
    let leader = lead(elector(&memory, "a")).await;
    for _ in 0..60 {
        sleep(seconds(1)).await;
        assert!(leader.claim.is_current());
    }
    let writes = memory.with(|server| server.writes);
    assert!((12..=13).contains(&writes), "{writes} writes in 60 s");
}

#[tokio::test(start_paused = true)]
async fn a_second_replica_waits_while_the_first_renews_and_leads_within_20_s_of_its_death() {
    let memory = Memory::default();
    let first = lead(elector(&memory, "a")).await;
    let memory_of_second = memory.clone();
    let second = tokio::spawn(async move { lead(elector(&memory_of_second, "b")).await });
    sleep(seconds(120)).await;
    assert!(!second.is_finished());
    assert_eq!(memory.holder().as_deref(), Some("a"));
    first.keeping.abort();
    let died = Instant::now();
    let second = second.await.unwrap();
    let took = second.since - died;
    assert!(took <= seconds(20), "{took:?}");
    assert!(second.claim.is_current());
    assert!(!first.claim.is_current());
}

#[tokio::test(start_paused = true)]
async fn a_clean_stop_lets_the_other_lead_within_3_s() {
    let memory = Memory::default();
    let mut first = elector(&memory, "a");
    first.acquire(|| ()).await;
    let memory_of_second = memory.clone();
    let second = tokio::spawn(async move { lead(elector(&memory_of_second, "b")).await });
    sleep(seconds(7)).await;
    let released = Instant::now();
    first.release().await.unwrap();
    let took = second.await.unwrap().since - released;
    assert!(took <= seconds(3), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_gets_no_answer_is_not_current_before_another_can_take_over() {
    for weather in [Weather::BlackHole, Weather::Refused] {
        let memory = Memory::default();
        let leader = lead(elector(&memory, "a")).await;
        sleep(seconds(12)).await;
        let last_renewal = leader.since + seconds(10);
        memory.weather(weather);
        leader.claim.lost().await;
        assert!(!leader.claim.is_current());
        let held = last_renewal.elapsed();
        assert!(
            held <= seconds(10),
            "held on for {held:?} after the last renewal; the deadline is 10 s, and another may take it at 15 s"
        );
        assert_eq!(leader.keeping.await.unwrap().0, Lost::Late);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_does_not_prolong_a_claim_which_counts_from_the_sending() {
    let memory = Memory::default();
    memory.weather(Weather::Slow);
    let sent = Instant::now();
    let leader = lead(elector(&memory, "a")).await;
    assert_eq!(sent.elapsed(), seconds(4));
    assert_eq!(leader.since, sent);
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_costs_nothing() {
    let memory = Memory::default();
    let leader = lead(elector(&memory, "a")).await;
    for _ in 0..20 {
        memory.weather(Weather::Refused);
        sleep(seconds(3)).await;
        memory.weather(Weather::Fine);
        sleep(seconds(10)).await;
        assert!(leader.claim.is_current());
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_was_lost_is_found_again_by_reading() {
    let memory = Memory::default();
    memory.weather(Weather::AnswersLost);
    let memory_of_first = memory.clone();
    let mut first = elector(&memory_of_first, "a");
    // The object cannot be read in this weather, so the write comes from what is known: nothing, hence a creation.
    first.fresh = true;
    assert!(matches!(first.attempt().await, Err(Error::Timeout(_))));
    assert_eq!(memory.holder().as_deref(), Some("a"));
    memory.weather(Weather::Fine);
    let leader = lead(first).await;
    assert!(leader.claim.is_current());
    assert_eq!(
        memory.with(|server| server
            .record
            .clone()
            .unwrap()
            .spec
            .unwrap()
            .lease_transitions),
        Some(0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_stolen_lease_ends_the_claim_at_the_next_renewal() {
    let memory = Memory::default();
    let leader = lead(elector(&memory, "a")).await;
    memory.with(|server| {
        let mut record = server.record.clone().unwrap();
        record.spec.as_mut().unwrap().holder_identity = Some("thief".to_owned());
        server.compare_and_swap(record).unwrap();
    });
    let (lost, _) = leader.keeping.await.unwrap();
    assert_eq!(lost, Lost::Taken);
    assert!(leader.since.elapsed() < seconds(6));
    assert!(!leader.claim.is_current());
    assert_eq!(memory.holder().as_deref(), Some("thief"));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_is_put_back_by_its_holder() {
    let memory = Memory::default();
    let leader = lead(elector(&memory, "a")).await;
    memory.with(|server| server.record = None);
    sleep(seconds(7)).await;
    assert_eq!(memory.holder().as_deref(), Some("a"));
    assert!(leader.claim.is_current());
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_was_paused_gives_up_without_another_write() {
    let memory = Memory::default();
    let leader = lead(elector(&memory, "a")).await;
    tokio::time::advance(seconds(60)).await;
    assert!(!leader.claim.is_current());
    assert_eq!(leader.keeping.await.unwrap().0, Lost::Late);
    assert_eq!(memory.with(|server| server.writes), 1);
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_lease_is_not_released() {
    let memory = Memory::default();
    let _leader = lead(elector(&memory, "a")).await;
    elector(&memory, "b").release().await.unwrap();
    assert_eq!(memory.holder().as_deref(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn a_standby_says_so_only_when_it_has_read_the_lease() {
    let memory = Memory::default();
    let leader = lead(elector(&memory, "a")).await;
    memory.weather(Weather::Refused);
    let standing_by = Arc::new(Mutex::new(0));
    let counter = standing_by.clone();
    let mut second = elector(&memory, "b");
    let waiting =
        tokio::spawn(async move { second.acquire(|| *counter.lock().unwrap() += 1).await });
    sleep(seconds(4)).await;
    assert_eq!(*standing_by.lock().unwrap(), 0);
    memory.weather(Weather::Fine);
    sleep(seconds(4)).await;
    assert!(*standing_by.lock().unwrap() > 0);
    waiting.abort();
    drop(leader);
}

#[tokio::test]
async fn pauses_differ_between_participants_and_stay_between_one_and_two_retries() {
    let memory = Memory::default();
    let pauses = |me| {
        let mut elector = elector(&memory, me);
        (0..50).map(|_| elector.pause()).collect::<Vec<_>>()
    };
    let (one, other) = (pauses("one"), pauses("other"));
    let retry = Timing::default().retry;
    assert!(one.iter().all(|pause| (retry..retry * 2).contains(pause)));
    assert!(one.iter().any(|pause| *pause != one[0]));
    assert_ne!(one, other);
}
