//! One world in paused time: an API server, an Elasticsearch, and the operator's processes as they ship, all in one thread and
//! without a socket, so that a day takes a moment and the same seed gives the same run.
//!
//! What is not as in a process: kube's recorder of events reads the wall clock of the machine, and kube's pause between two
//! tries of a watch is never reset by time; nothing that is judged depends on either.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anomalyjob_operator::admin::Readiness;
use anomalyjob_operator::clock::Clock;
use anomalyjob_operator::controller;
use anomalyjob_operator::elasticsearch::{Client, Limits};
use anomalyjob_operator::lease::Lease;
use anomalyjob_operator::replica::{Replica, Settings};
use anomalyjob_operator::shutdown;
use anomalyjob_operator::telemetry::Metrics;
use base64::Engine as _;
use elasticsearch_simulator::Profile;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};

use super::api::Api;
use super::api::kinds::Kind;
use super::api::store::Target;
use super::between::{Ask, Between, Ending};
use super::digest::Digest;
use super::elastic::{Elastic, URL};
use super::judge::Judge;
use super::sentinel::{self, SECRET};

/// Where everything is.
pub(crate) const NAMESPACE: &str = "here";
/// When worlds begin: 2026-01-01.
const BEGIN: i64 = 1_767_225_600;
/// So long a process takes to start, also in the place of one that ended.
const RESTART: Duration = Duration::from_secs(1);

/// A world; cheap to clone.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) api: Api,
    /// The cluster of the connection `default`, the first of all.
    pub(crate) elastic: Elastic,
    pub(crate) clusters: Arc<[Elastic]>,
    pub(crate) between: Between,
    pods: Rc<RefCell<Vec<Pod>>>,
    /// When something other than the operator kept Elasticsearch from answering it.
    pub(crate) outages: Rc<RefCell<Vec<(Duration, Duration)>>>,
    /// When the lease was taken by somebody who did not wait.
    pub(crate) stolen: Rc<RefCell<Vec<Duration>>>,
    /// Those of all processes.
    metrics: Arc<Mutex<Vec<Metrics>>>,
}

/// Keeps a process running under a name.
struct Pod {
    name: String,
    task: JoinHandle<()>,
    clock: Arc<AtomicI64>,
    stop: shutdown::Trigger,
}

/// Runs a story in a world of its own, and returns what it comes to.
pub(crate) fn run<T, F>(seed: u64, profile: Profile, story: impl FnOnce(World) -> F) -> T
where
    F: Future<Output = T>,
{
    run_over(seed, &[profile], story)
}

/// The same, with several clusters.
pub(crate) fn run_over<T, F>(seed: u64, of: &[Profile], story: impl FnOnce(World) -> F) -> T
where
    F: Future<Output = T>,
{
    // All chance of kube's pauses comes from here; everything else has none.
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let between = Between::new();
        let wall = Timestamp::from_second(BEGIN).expect("a time");
        let begin = BEGIN.unsigned_abs() * 1000;
        let cluster = |(number, profile): (usize, &Profile)| {
            Elastic::new(between.clone(), number, *profile, begin)
        };
        let clusters: Arc<[Elastic]> = of.iter().enumerate().map(cluster).collect();
        let world = World {
            seed,
            api: Api::new(between.clone(), wall),
            elastic: clusters.first().expect("a cluster").clone(),
            clusters,
            between,
            pods: Rc::default(),
            outages: Rc::default(),
            stolen: Rc::default(),
            metrics: Arc::default(),
        };
        story(world).await
    })
}

impl World {
    /// Since the world began.
    pub(crate) fn now(&self) -> Duration {
        self.between.now()
    }

    /// A number below this, the same for the same seed and purpose.
    pub(crate) fn chance(&self, purpose: u64, below: u64) -> u64 {
        fastrand::Rng::with_seed(self.seed.wrapping_mul(1_000_003).wrapping_add(purpose))
            .u64(0..below)
    }

    /// Starts a replica, and a new process in its place whenever it ends.
    pub(crate) fn start(&self, name: &str) {
        let clock = Arc::new(AtomicI64::new(0));
        let (stop, stopped) = shutdown::channel();
        let life = Life {
            world: (
                self.api.clone(),
                Arc::clone(&self.clusters),
                self.between.clone(),
            ),
            clock: Arc::clone(&clock),
            metrics: Arc::clone(&self.metrics),
        };
        let of = name.to_owned();
        let task = tokio::spawn(async move {
            for number in 1.. {
                tokio::time::sleep(RESTART).await;
                life.live(format!("{of}-{number}"), stopped.clone()).await;
                if stopped.is_requested() {
                    return;
                }
            }
        });
        self.pods.borrow_mut().push(Pod {
            name: name.to_owned(),
            task,
            clock,
            stop,
        });
    }

    /// Ends a replica for good, without a word.
    pub(crate) fn kill(&self, name: &str) {
        let mut pods = self.pods.borrow_mut();
        pods.retain(|pod| {
            if pod.name == name {
                pod.task.abort();
            }
            pod.name != name
        });
    }

    /// Asks a replica to stop, and waits until it has.
    pub(crate) async fn stop(&self, name: &str) {
        let index = self.pods.borrow().iter().position(|pod| pod.name == name);
        let pod = self
            .pods
            .borrow_mut()
            .remove(index.expect("such a replica"));
        pod.stop.request();
        pod.task.await.expect("no panic");
    }

    /// Sets the wall clock of a replica this many seconds off.
    pub(crate) fn set_clock(&self, name: &str, seconds: i64) {
        for pod in self.pods.borrow().iter().filter(|pod| pod.name == name) {
            pod.clock.store(seconds, Ordering::Relaxed);
        }
    }

    /// Nothing of the operator runs any more.
    pub(crate) fn end(&self) {
        for pod in self.pods.borrow_mut().drain(..) {
            pod.task.abort();
        }
    }

    pub(crate) fn create(&self, plural: &str, name: &str, mut body: Value) -> Value {
        body["metadata"]["name"] = json!(name);
        let created = self
            .api
            .store()
            .create(Kind::of(plural), NAMESPACE, &body, self.api.now());
        self.api.announce();
        created.expect("it is taken")
    }

    /// The connection `default`, to the world's Elasticsearch, with these further fields.
    pub(crate) fn connect(&self, more: &Value) {
        let mut spec = json!({"url": URL, "allowPlaintext": true});
        if self.elastic.is_planted() {
            spec["auth"] = sentinel::credentials(self);
        }
        add(&mut spec, more);
        self.create("elasticsearchconnections", "default", json!({"spec": spec}));
    }

    /// An AnomalyJob of the job of the same name.
    pub(crate) fn job(&self, name: &str, more: &Value) {
        let mut spec = json!({"jobId": name});
        add(&mut spec, more);
        self.create("anomalyjobs", name, json!({"spec": spec}));
    }

    /// A Secret with a name and the secret value.
    pub(crate) fn secret(&self, name: &str, user: &str) {
        self.hold(name, &json!({"username": user, "password": SECRET}));
    }

    /// A Secret that holds these.
    pub(crate) fn hold(&self, name: &str, values: &Value) {
        let mut data = values.clone();
        for value in data
            .as_object_mut()
            .into_iter()
            .flat_map(|all| all.values_mut())
        {
            let text = value.as_str().expect("a text");
            *value = json!(base64::engine::general_purpose::STANDARD.encode(text));
        }
        self.create("secrets", name, json!({"data": data}));
    }

    /// From now on sentinels stand in each answer of Elasticsearch, and in the credentials of what is connected.
    pub(crate) fn plant(&self) {
        self.clusters.iter().for_each(Elastic::plant);
    }

    pub(crate) fn patch(&self, plural: &str, name: &str, patch: &Value) {
        let patched = self
            .api
            .store()
            .merge(&target(plural, name), patch, self.api.now());
        self.api.announce();
        patched.expect("it is taken");
    }

    /// Changes the spec of an AnomalyJob.
    pub(crate) fn edit(&self, name: &str, spec: &Value) {
        self.patch("anomalyjobs", name, &json!({"spec": spec}));
    }

    pub(crate) fn delete(&self, plural: &str, name: &str) {
        let deleted = self
            .api
            .store()
            .delete(&target(plural, name), self.api.now());
        self.api.announce();
        deleted.expect("it is there");
    }

    /// Ends the world: what it came to, if all that happened in it was right.
    pub(crate) async fn verdict(&self) -> Digest {
        let judge = Judge::new(self).await;
        let digest = Digest::new(self, judge.forces_arrived()).await;
        let mut found = judge.verdict();
        for metrics in &*self.metrics.lock().expect("nobody panics in it") {
            found.extend(sentinel::find(&metrics.render().expect("text")));
        }
        self.end();
        assert!(
            found.is_empty(),
            "seed {}: {found:#?}\n{digest:#?}\n{}",
            self.seed,
            self.story()
        );
        digest
    }

    /// What was asked, without the lease and the watches.
    pub(crate) fn story(&self) -> String {
        let asks = self.between.asks();
        let told = asks.iter().filter(|ask| !ask.point().ends_with("lease"));
        let line = |ask: &Ask| {
            // kube names an event by the machine's clock.
            let path = ask.path.split("/events/").next().unwrap_or_default();
            format!("{:?} {} {} {path}", ask.at, ask.process, ask.point())
        };
        let lines = told.map(line);
        lines.collect::<Vec<_>>().join("\n")
    }

    /// An object, or null where it is gone.
    pub(crate) fn get(&self, plural: &str, name: &str) -> Value {
        self.api
            .store()
            .get(&target(plural, name))
            .unwrap_or(Value::Null)
    }

    pub(crate) async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    /// Waits until it holds of what is stored; false where it never does within this many seconds.
    pub(crate) async fn until(&self, seconds: u64, mut holds: impl FnMut() -> bool) -> bool {
        let mut changes = self.api.changes();
        let wait = async {
            while !holds() {
                let _ = changes.changed().await;
            }
        };
        let limit = Duration::from_secs(seconds);
        tokio::time::timeout(limit, wait).await.is_ok()
    }

    /// Waits until an AnomalyJob has this condition, like `Closed=True` or `Ready=False/Reason`, of its newest generation.
    pub(crate) async fn told(&self, seconds: u64, name: &str, condition: &str) {
        let held = self.until(seconds, || self.has(name, condition)).await;
        assert!(
            held,
            "seed {}: {name} never had {condition}: {}",
            self.seed,
            self.get("anomalyjobs", name)["status"]
        );
    }

    pub(crate) fn has(&self, name: &str, condition: &str) -> bool {
        crate::support::room::has(&self.get("anomalyjobs", name), condition)
    }
}

fn target<'a>(plural: &str, name: &'a str) -> Target<'a> {
    Target {
        kind: Kind::of(plural),
        namespace: NAMESPACE,
        name,
        status: false,
    }
}

fn add(spec: &mut Value, more: &Value) {
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
}

/// What the processes of a pod have in common.
struct Life {
    world: (Api, Arc<[Elastic]>, Between),
    clock: Arc<AtomicI64>,
    metrics: Arc<Mutex<Vec<Metrics>>>,
}

impl Life {
    /// One process, from its start to its end.
    async fn live(&self, identity: String, stopped: shutdown::Shutdown) {
        let mut ending = self.world.2.ending(&identity);
        let mut dropped = 0;
        loop {
            // Of its own, for what has to end with it.
            let mut process = JoinSet::new();
            let (settings, lease) = self.parts(&identity);
            let mut replica = Replica::new(settings, lease, stopped.clone());
            process.spawn(async move {
                let ended = replica.lead().await;
                replica.leave().await;
                ended.map_err(|error| format!("{error}: {:?}", std::error::Error::source(&error)))
            });
            tokio::select! {
                biased;
                _ = ending.wait_for(|ending| *ending != Ending::Live && *ending != Ending::Drop(dropped)) => {}
                ended = process.join_next() => {
                    let ended = ended.expect("one").expect("no panic");
                    assert_eq!(ended, Ok(()), "a process ended by itself");
                    return;
                }
            }
            match *ending.borrow_and_update() {
                Ending::Live | Ending::Die => return,
                // All of it is dropped, and the same process begins anew with what it holds: the lease.
                Ending::Drop(number) => dropped = number,
            }
            process.shutdown().await;
        }
    }

    fn parts(&self, identity: &str) -> (Settings, Lease) {
        let (api, clusters, _) = &self.world;
        let (wall, offset) = (api.clone(), Arc::clone(&self.clock));
        let (between, of) = (self.world.2.clone(), identity.to_owned());
        let clock = Clock::new(move || {
            between.step(&of);
            wall.now().wall + SignedDuration::from_secs(offset.load(Ordering::Relaxed))
        });
        let client = api.client(identity);
        let lease = Lease::new(
            client.clone(),
            NAMESPACE,
            "operator",
            identity.to_owned(),
            clock.clone(),
        );
        let (clusters, process) = (Arc::clone(clusters), identity.to_owned());
        let dial: controller::Dial = Arc::new(move |endpoint| {
            let there = clusters.iter().find(|one| one.is_at(&endpoint.url));
            // The first one carries what is asked elsewhere, too.
            let there = there.or(clusters.first()).expect("a cluster");
            let carrier = there.carrier(&process);
            Client::carried(endpoint, Limits::default(), carrier)
        });
        let metrics = Metrics::new("operator");
        let mut all = self.metrics.lock().expect("nobody panics in it");
        all.push(metrics.clone());
        drop(all);
        let settings = Settings {
            client,
            namespaces: vec![NAMESPACE.to_owned()],
            cluster_connections: None,
            metrics,
            readiness: Readiness::default(),
            clock,
            dial,
        };
        (settings, lease)
    }
}
