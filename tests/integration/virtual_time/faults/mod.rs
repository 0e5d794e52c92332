//! The faults of the plan (reliability, 5.2) that virtual time can show, each by its number, and each with several seeds, which
//! say when it comes. After each, without a step by hand, every invariant holds and the end is right.
//!
//! Not here: what needs TLS (29, 30) or a real process (51 to 53, 55, 57, 58); `tests/faults.txt` says where that is.

mod elasticsearch;
mod jobs;
mod kubernetes;
mod process;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use elasticsearch_simulator::Profile;
use futures::future::LocalBoxFuture;
use serde_json::{Value, json};

use super::between::{Ask, Effect, Server, When};
use super::sentinel::{self, Heard, listening};
use super::world::{World, run};
use crate::support::chance::seeds;

/// The longest that a world may take to come right again, in seconds.
const LIMIT: u64 = 3600;

/// One of them.
struct Fault {
    number: u8,
    name: &'static str,
    profile: Profile,
    play: fn(World) -> LocalBoxFuture<'static, ()>,
}

/// Rows of the table: number, then the function that is also its name.
macro_rules! faults {
    ($($number:literal $name:ident $profile:ident),* $(,)?) => {
        pub(super) const FAULTS: &[super::Fault] = &[$(super::Fault {
            number: $number,
            name: stringify!($name),
            profile: elasticsearch_simulator::Profile::$profile,
            play: |world| Box::pin($name(world)),
        }),*];
    };
}
use faults;

/// Three objects: a close that takes three minutes, one that never ends and is forced after five, and an open job. The fault
/// comes at a time of the seed; then all of them get where they should be, and where they should be next.
async fn lives<F: Future<Output = ()>>(
    world: &World,
    replicas: u64,
    fault: impl FnOnce(World) -> F,
) {
    let forces = live(world, replicas, fault).await;
    assert_eq!(forces, 1, "seed {}: the one that hung, once", world.seed);
}

/// The same, where the fault itself may end what hangs. Returns how often was forced.
async fn live<F: Future<Output = ()>>(
    world: &World,
    replicas: u64,
    fault: impl FnOnce(World) -> F,
) -> usize {
    world.elastic.fed("slow").await;
    world.elastic.fed("hung").await;
    world.elastic.opened("open").await;
    world
        .elastic
        .tune("slow", &json!({"close_ms": 180_000}))
        .await;
    world
        .elastic
        .tune("hung", &json!({"close_ms": "hang"}))
        .await;
    world.connect(&json!({}));
    world.job(
        "slow",
        &json!({"state": "Closed", "close": {"timeout": "10m", "onTimeout": "Force"}}),
    );
    world.job(
        "hung",
        &json!({"state": "Closed", "close": {"timeout": "5m", "onTimeout": "Force"}}),
    );
    world.job("open", &json!({"state": "Opened"}));
    world.start("one");
    if replicas > 1 {
        world.start("two");
    }
    world.pass(world.chance(0, 240)).await;
    fault(world.clone()).await;
    for name in ["slow", "hung", "open"] {
        world.told(LIMIT, name, "Ready=True").await;
    }
    world.edit("slow", &json!({"state": "Opened"}));
    world.edit("open", &json!({"state": "Closed"}));
    for name in ["slow", "open"] {
        world.told(LIMIT, name, "Ready=True").await;
    }
    world.pass(30).await;
    let digest = world.verdict().await;
    let states: Vec<&str> = digest.states.values().map(String::as_str).collect();
    assert_eq!(
        states,
        ["stopped", "started", "closed", "closed", "opened"],
        "{digest:?}"
    );
    digest.forces
}

/// For so long, something happens to these requests.
async fn during(
    world: &World,
    seconds: u64,
    rule: impl FnMut(&Ask) -> Option<(When, Effect)> + Send + 'static,
) {
    world.between.rule("fault", rule);
    world.pass(seconds).await;
    world.between.lift("fault");
}

/// The same, while Elasticsearch can tell nothing of its jobs.
async fn dark(
    world: &World,
    seconds: u64,
    mut effect: impl FnMut(&Ask) -> (When, Effect) + Send + 'static,
) {
    let from = world.now();
    during(world, seconds, move |ask| {
        (ask.server == Server::Elasticsearch).then(|| effect(ask))
    })
    .await;
    world.outages.borrow_mut().push((from, world.now()));
}

/// Credentials of this Secret, and none of before.
fn by_user(secret: &str) -> Value {
    json!({
        "basicSecretRef": {"name": secret}, "apiKeySecretRef": null, "bearerTokenSecretRef": null,
        "clientCertificateSecretRef": null,
    })
}

/// What all runs came to.
#[derive(Default)]
struct Tally {
    failed: Vec<String>,
    runs: usize,
    heard: Heard,
}

impl Tally {
    /// One run, with sentinels in all that is secret and all that Elasticsearch says; whether it came to a good end.
    fn run(tally: &Mutex<Self>, fault: &Fault, seed: u64) -> bool {
        let story = |world: World| {
            world.plant();
            (fault.play)(world)
        };
        let once = || catch_unwind(AssertUnwindSafe(|| run(seed, fault.profile, story)));
        let (ended, mut heard) = listening(once);
        let mut tally = tally.lock().unwrap();
        tally.runs += 1;
        tally.heard.bytes += heard.bytes;
        tally.heard.panics += heard.panics;
        let good = ended.is_ok() && heard.found.is_empty();
        if !good {
            let what = format!("{} {} seed {seed}", fault.number, fault.name);
            println!("failed: {what} {:?}", heard.found);
            tally.failed.push(what);
        }
        tally.heard.found.append(&mut heard.found);
        good
    }
}

#[test]
fn after_each_fault_all_is_right_again_without_a_step_by_hand() {
    let mut all: Vec<&Fault> = [
        kubernetes::FAULTS,
        elasticsearch::FAULTS,
        jobs::FAULTS,
        process::FAULTS,
    ]
    .concat_refs();
    let only = std::env::var("FAULT_ONLY").ok();
    let only = only.map(|text| text.parse::<u8>().expect("FAULT_ONLY is a number"));
    all.retain(|fault| only.is_none_or(|only| fault.number == only));
    let seeds = seeds(5);
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    let worker = || {
        while let Some(fault) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            // The first seed that fails is enough to know of.
            let _ = seeds.iter().all(|seed| Tally::run(&tally, fault, *seed));
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(worker);
        worker();
    });
    let Tally {
        failed,
        runs,
        heard,
    } = tally.into_inner().unwrap();
    println!(
        "faults passed: {} of {}, {} seeds each",
        all.len() - failed.len(),
        all.len(),
        seeds.len()
    );
    println!(
        "sentinels: found {} times in what was written in {runs} runs; {} answers had them, {} bytes were logged, {} panics said something",
        heard.found.len(),
        sentinel::planted(),
        heard.bytes,
        heard.panics,
    );
    assert!(failed.is_empty(), "{failed:#?}");
    let whole = only.is_none() && seeds.len() >= 5;
    assert!(!whole || runs >= 200, "only {runs} runs");
}

/// All rows of several tables.
trait ConcatRefs {
    fn concat_refs(self) -> Vec<&'static Fault>;
}

impl<const N: usize> ConcatRefs for [&'static [Fault]; N] {
    fn concat_refs(self) -> Vec<&'static Fault> {
        self.into_iter().flatten().collect()
    }
}
