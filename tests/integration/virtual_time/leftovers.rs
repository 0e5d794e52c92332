//! A life of several clusters with faults all the time, and what is left of it in the process: no task, no connection to a
//! cluster, no watch more than before the first object was there.
//!
//! Here, because it is the shell as it ships with all of its tasks on one runtime that counts them: a call that nobody waits for,
//! a link whose cluster is gone, a connection that is not let go would each be a task that stays. Real time would show no more of it,
//! only later. What has no task is looked for elsewhere: the maps of the shell in `src/controller/dispatch_tests.rs`, those
//! of the brain in `src/reconciler/tests/chaos/long.rs`, descriptors in `tests/integration/long/descriptors.rs`.

use std::time::Duration;

use elasticsearch_simulator::Profile;
use serde_json::{Value, json};

use super::api::kinds::Kind;
use super::between::Server::{self, Elasticsearch, Kubernetes};
use super::between::{Effect, When};
use super::elastic::Elastic;
use super::world::{NAMESPACE, World, run_over};

const CLUSTERS: [Profile; 5] = [
    Profile::V9,
    Profile::V9,
    Profile::V7_13,
    Profile::V9,
    Profile::V9,
];
/// All is deleted, and created again, so often.
const ROUNDS: u64 = 3;
/// The longest that a world may take to come right again, in seconds.
const LIMIT: u64 = 3600;

/// What the process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    /// Of the operator, and one for each end of each connection to a cluster.
    tasks: usize,
    watches: usize,
}

/// What is held by what lasts: a request that is on its way at one moment is not at another.
async fn held(world: &World) -> Held {
    let runtime = tokio::runtime::Handle::current();
    let mut least = Held {
        tasks: usize::MAX,
        watches: usize::MAX,
    };
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(730)).await;
        least.tasks = least.tasks.min(runtime.metrics().num_alive_tasks());
        least.watches = least.watches.min(world.api.watches());
    }
    least
}

/// What one cluster has in it, by the names of its jobs.
struct Part<'a> {
    world: &'a World,
    elastic: &'a Elastic,
    number: usize,
}

impl Part<'_> {
    fn connection(&self) -> String {
        format!("c{}", self.number)
    }

    fn name(&self, what: &str) -> String {
        format!("c{}-{what}", self.number)
    }

    /// The jobs, once for all rounds.
    async fn populate(&self) {
        let uuid = json!({"uuid": format!("uuid-{}", self.number)});
        self.elastic.turn("PUT", "uuid", &uuid).await;
        for what in ["quick", "slow", "hung"] {
            self.elastic.fed(&self.name(what)).await;
        }
        for what in ["one", "two"] {
            let groups = [self.name("group")];
            let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
            self.elastic.create(&self.name(what), &groups).await;
            self.elastic.open(&self.name(what)).await;
        }
        let slow = json!({"close_ms": 90_000});
        self.elastic.tune(&self.name("slow"), &slow).await;
        let hung = json!({"close_ms": "hang"});
        self.elastic.tune(&self.name("hung"), &hung).await;
    }

    fn connect(&self) {
        let spec = json!({"url": self.elastic.url(), "allowPlaintext": true});
        let body = json!({"spec": spec});
        self.world
            .create("elasticsearchconnections", &self.connection(), body);
    }

    fn ask(&self) {
        for what in ["quick", "slow", "hung", "group", "o*"] {
            // The younger of the last two meets the claims of the older.
            let name = self.name(what).replace('*', "thers");
            let spec = json!({
                "jobId": self.name(what), "state": "Closed", "connectionRef": {"name": self.connection()},
                "close": {"timeout": "3m", "onTimeout": "Force"},
                "deletionPolicy": if what == "slow" { "Close" } else { "Retain" },
            });
            self.world.job(&name, &spec);
        }
    }

    fn objects(&self) -> Vec<String> {
        let all = self.world.api.store().keys("anomalyjobs").into_iter();
        let ours = all.filter(|key| key.2.starts_with(&format!("c{}-", self.number)));
        ours.map(|key| key.2).collect()
    }

    /// These of its jobs are opened by somebody else, where they can be.
    async fn reopen(&self, jobs: &[&str]) {
        for what in jobs {
            let path = format!("/_ml/anomaly_detectors/{}/_open", self.name(what));
            self.elastic.send("POST", &path).await;
        }
    }
}

fn parts(world: &World) -> Vec<Part<'_>> {
    let part = |(number, elastic)| Part {
        world,
        elastic,
        number,
    };
    world.clusters.iter().enumerate().map(part).collect()
}

/// What a share of the requests to one side meets, in percent, by a random number.
type OfRequests = (Server, u64, fn(u64) -> (When, Effect));

const OF_REQUESTS: [OfRequests; 8] = [
    (Elasticsearch, 30, |luck| (of(luck), Effect::Reset)),
    (Elasticsearch, 30, |luck| (of(luck), Effect::Silence)),
    (Elasticsearch, 20, |_| (When::After, Effect::Drip)),
    (Elasticsearch, 40, |luck| {
        let late = Duration::from_millis(luck % 40_000);
        (of(luck), Effect::Delay(late))
    }),
    (Elasticsearch, 3, |_| (When::Before, Effect::Panic)),
    (Kubernetes, 30, |luck| (of(luck), Effect::Reset)),
    (Kubernetes, 5, |_| (When::Before, Effect::Silence)),
    (Kubernetes, 1, |_| (When::Before, Effect::Drop)),
];

fn of(luck: u64) -> When {
    if luck.is_multiple_of(2) {
        When::Before
    } else {
        When::After
    }
}

async fn some(world: &World, (server, share, effect): OfRequests, seconds: u64) {
    let mut chance = fastrand::Rng::with_seed(world.seed ^ world.now().as_secs());
    world.between.rule("fault", move |ask| {
        let met = ask.server == server && chance.u64(0..100) < share;
        met.then(|| effect(chance.u64(..)))
    });
    world.pass(seconds).await;
    world.between.lift("fault");
}

/// One of the faults, at the clusters, the API server or the process itself.
async fn fault(world: &World, chance: &mut fastrand::Rng) {
    let (number, luck) = (chance.usize(0..14), chance.u64(0..1_000_000));
    let seconds = 20 + luck % 60;
    if let Some(of_requests) = OF_REQUESTS.get(number) {
        return some(world, *of_requests, seconds).await;
    }
    let parts = parts(world);
    let part = &parts[chance.usize(0..parts.len())];
    match number {
        8 => {
            world.kill("one");
            world.pass(seconds).await;
            world.start("one");
        }
        9 => world.between.set_watching(|watching| {
            watching.epoch += 1;
            watching.torn = luck.is_multiple_of(2);
        }),
        10 => {
            world.delete("elasticsearchconnections", &part.connection());
            world.pass(seconds).await;
            part.connect();
        }
        11 => {
            let mode = |on: bool| json!({ "enabled": on });
            part.elastic.turn("PUT", "upgrade_mode", &mode(true)).await;
            world.pass(seconds).await;
            part.elastic.turn("PUT", "upgrade_mode", &mode(false)).await;
        }
        12 => {
            // It names another cluster for a while, where no such job is.
            let other = parts[(part.number + 1) % parts.len()].connection();
            let name = |name: &str| json!({"connectionRef": {"name": name}});
            world.edit(&part.name("quick"), &name(&other));
            world.pass(seconds).await;
            world.edit(&part.name("quick"), &name(&part.connection()));
        }
        _ => part.reopen(&["quick", "slow", "one"]).await,
    }
}

/// All objects go, and then the connections, or the other way round.
async fn delete_all(world: &World, connections_first: bool) {
    let kinds = ["anomalyjobs", "elasticsearchconnections"];
    for kind in if connections_first {
        [kinds[1], kinds[0]]
    } else {
        kinds
    } {
        let keys = world.api.store().keys(Kind::of(kind).plural);
        for key in keys {
            assert_eq!(key.1, NAMESPACE);
            world.delete(kind, &key.2);
        }
        world.pass(5).await;
    }
    let gone = || {
        kinds
            .iter()
            .all(|kind| world.api.store().keys(kind).is_empty())
    };
    assert!(world.until(LIMIT, gone).await, "something is held back");
    // Whatever is bounded in time has ended.
    world.pass(600).await;
}

async fn round(world: &World, chance: &mut fastrand::Rng) {
    let parts = parts(world);
    for part in &parts {
        part.reopen(&["quick", "slow", "hung", "one", "two"]).await;
        part.connect();
        part.ask();
    }
    for _ in 0..12 {
        fault(world, chance).await;
        world.pass(chance.u64(0..60)).await;
    }
    world.between.set_watching(|watching| watching.torn = false);
    for part in &parts {
        for name in part
            .objects()
            .iter()
            .filter(|name| !name.ends_with("-others"))
        {
            world.told(LIMIT, name, "Ready=True").await;
        }
    }
}

async fn live(world: World) -> (Vec<Held>, Value) {
    for part in parts(&world) {
        part.populate().await;
    }
    let mut chance = fastrand::Rng::with_seed(world.seed);
    world.start("one");
    world.start("two");
    world.pass(120).await;
    let mut all = vec![held(&world).await];
    for _ in 0..ROUNDS {
        round(&world, &mut chance).await;
        delete_all(&world, chance.bool()).await;
        all.push(held(&world).await);
    }
    let digest = world.verdict().await;
    (
        all,
        json!({"forces": digest.forces, "asks": world.between.asks().len(), "story": world.story()}),
    )
}

#[test]
fn after_a_life_with_faults_no_task_no_connection_and_no_watch_is_left() {
    for seed in 1..=2 {
        let (held, figures) = run_over(seed, &CLUSTERS, live);
        println!(
            "leftovers: seed {seed}: {held:?}; {} requests, {} forces",
            figures["asks"], figures["forces"]
        );
        // In more rounds than one; what hangs is also ended by upgrade mode.
        assert!(figures["forces"].as_u64() > Some(CLUSTERS.len() as u64));
        let before = held[0];
        assert!(
            held.iter().all(|held| *held == before),
            "seed {seed}: {held:?}"
        );
    }
}
