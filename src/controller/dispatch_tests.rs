//! A long life of the shell's own books: objects and connections come, change, move, become unreadable and go, tasks of clusters
//! panic, and the API server answers or not. When all of it is gone, every map is empty and no task is left.
//!
//! What is written down is taken apart field by field, so that a new field cannot be added without being looked at here.

use std::collections::BTreeMap;
use std::sync::Mutex;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use kube::Client;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::admin::Readiness;
use crate::api::{ClusterElasticsearchConnection, ElasticsearchConnection};
use crate::clock::Clock;
use crate::elasticsearch::{Client as ElasticsearchClient, Limits};
use crate::lease::Grant;
use crate::telemetry::Metrics;

/// The objects that the API server lists.
type Stored = Arc<Mutex<BTreeMap<String, Value>>>;

const OWN: ConnectionKind = ConnectionKind::ElasticsearchConnection;
const WIDE: ConnectionKind = ConnectionKind::ClusterElasticsearchConnection;
const CONNECTIONS: u64 = 5;
const OBJECTS: u64 = 40;
const STEPS: u64 = 1000;

struct World {
    dispatch: Dispatch,
    stored: Stored,
    chance: fastrand::Rng,
    uids: u64,
    _grant: Grant,
}

/// An API server that answers a list, sometimes, and nothing else well.
fn api_server(stored: &Stored, seed: u64) -> Client {
    let stored = Arc::clone(stored);
    let chance = Arc::new(Mutex::new(fastrand::Rng::with_seed(seed)));
    let server = move |request: Request| {
        let luck = chance.lock().unwrap().u8(0..10);
        let lists = request.method() == "GET" && request.uri().path().ends_with("/anomalyjobs");
        let items: Vec<Value> = stored.lock().unwrap().values().cloned().collect();
        async move {
            match luck {
                0 => std::future::pending().await,
                1..7 if lists => {
                    let list = json!({"kind": "AnomalyJobList", "apiVersion": "anomalyjob.dev/v1alpha1", "metadata": {}, "items": items});
                    (StatusCode::OK, list.to_string())
                }
                _ => (StatusCode::SERVICE_UNAVAILABLE, String::new()),
            }
        }
    };
    Client::new(Router::new().fallback(server), "default")
}

/// Clusters of which none answers: they refuse, are silent, or panic in the middle of the task that asks.
fn dial(seed: u64) -> crate::controller::Dial {
    let chance = Arc::new(Mutex::new(fastrand::Rng::with_seed(seed)));
    Arc::new(move |endpoint| {
        let chance = Arc::clone(&chance);
        let carrier: crate::elasticsearch::Carrier = Arc::new(move |_| {
            let luck = chance.lock().unwrap().u8(0..20);
            Box::pin(async move {
                match luck {
                    0 => panic!("as the test says"),
                    1..4 => std::future::pending().await,
                    _ => Err("refused".into()),
                }
            })
        });
        ElasticsearchClient::carried(endpoint, Limits::default(), carrier)
    })
}

impl World {
    fn new(seed: u64) -> Self {
        Self::with(seed, None)
    }

    fn with(seed: u64, cluster_connections: Option<String>) -> Self {
        let stored = Stored::default();
        let client = api_server(&stored, seed);
        let lasts = Duration::from_secs(1_000_000_000);
        let (grant, claim) = Grant::new(Instant::now(), lasts, Clock::system());
        let metrics = Metrics::new("x");
        let (writer, telling) = Writer::new(client.clone(), claim.clone(), metrics.clone());
        // Dropped with the last writer.
        tokio::spawn(telling);
        let settings = Settings {
            client,
            namespaces: Vec::new(),
            cluster_connections,
            claim,
            metrics,
            readiness: Readiness::default(),
            clock: Clock::system(),
            dial: dial(seed),
        };
        Self {
            dispatch: Dispatch::new(settings, writer),
            stored,
            chance: fastrand::Rng::with_seed(seed),
            uids: 0,
            _grant: grant,
        }
    }

    fn meta(&mut self, name: &str) -> Value {
        self.uids += 1;
        json!({"namespace": "ns", "name": name, "uid": format!("uid-{}", self.uids), "generation": 1, "resourceVersion": self.uids.to_string()})
    }

    fn object(&mut self, name: &str) -> Value {
        // One more than there are.
        let of = format!("connection-{}", self.chance.u64(0..=CONNECTIONS));
        let job = format!("job-{}", self.chance.u64(0..10));
        json!({
            "apiVersion": "anomalyjob.dev/v1alpha1", "kind": "AnomalyJob", "metadata": self.meta(name),
            "spec": {"connectionRef": {"name": of}, "jobId": job, "state": "Closed"},
        })
    }

    fn unreadable(&mut self, name: &str) -> Undecodable {
        self.uids += 1;
        Undecodable {
            key: ObjectKey::new("ns", name),
            uid: format!("uid-{}", self.uids),
            resource_version: self.uids.to_string(),
            generation: 1,
            status: serde_json::Map::new(),
            why: "as the test says".to_owned(),
        }
    }

    fn gone<K>(name: &str) -> Change<K> {
        Change::Gone(ObjectKey::new("ns", name))
    }

    fn change_object(&mut self, name: &str) {
        let change = match self.chance.u8(0..10) {
            0..6 => {
                let object = self.object(name);
                let mut stored = self.stored.lock().unwrap();
                stored.insert(name.to_owned(), object.clone());
                Change::of(serde_json::from_value(object).unwrap())
            }
            6 => {
                self.stored.lock().unwrap().remove(name);
                Change::Undecodable(Box::new(self.unreadable(name)))
            }
            _ => {
                self.stored.lock().unwrap().remove(name);
                Self::gone(name)
            }
        };
        self.dispatch.job(change);
    }

    fn change_connection(&mut self, name: &str) {
        let change: Change<ElasticsearchConnection> = match self.chance.u8(0..10) {
            0..6 => {
                let spec = json!({"url": "http://elasticsearch.test:9200", "allowPlaintext": true});
                let object = json!({"metadata": self.meta(name), "spec": spec});
                Change::of(serde_json::from_value(object).unwrap())
            }
            6 => Change::Undecodable(Box::new(self.unreadable(name))),
            _ => Self::gone(name),
        };
        self.dispatch.connection(OWN, change);
    }

    /// What a run of the controller does beside its watches.
    async fn pass(&mut self, span: Duration) {
        let tending = async {
            loop {
                self.dispatch.tend().await;
            }
        };
        let _ = tokio::time::timeout(span, tending).await;
    }

    async fn live(&mut self) {
        for _ in 0..STEPS {
            let (object, connection) = (
                format!("object-{}", self.chance.u64(0..OBJECTS)),
                format!("connection-{}", self.chance.u64(0..CONNECTIONS)),
            );
            match self.chance.u8(0..20) {
                0..12 => self.change_object(&object),
                12..15 => self.change_connection(&connection),
                _ => {
                    let span = Duration::from_millis(self.chance.u64(0..4000));
                    self.pass(span).await;
                }
            }
        }
    }

    async fn end(&mut self) {
        for number in 0..OBJECTS {
            let name = format!("object-{number}");
            self.stored.lock().unwrap().remove(&name);
            self.dispatch.job(Self::gone(&name));
        }
        for number in 0..CONNECTIONS {
            let gone: Change<ElasticsearchConnection> = Self::gone(&format!("connection-{number}"));
            self.dispatch.connection(OWN, gone);
        }
        self.pass(Duration::from_secs(600)).await;
    }
}

fn assert_nothing_left(dispatch: &Dispatch) {
    let Dispatch {
        settings: _,
        writer,
        registry,
        directory,
        complete: _,
        clusters,
        objects,
        places,
        invalid,
        tasks,
        homes,
        anew,
    } = dispatch;
    assert!(clusters.is_empty() && objects.is_empty() && places.is_empty());
    assert!(directory.is_empty() && invalid.is_empty() && anew.is_empty());
    assert!(tasks.is_empty() && homes.is_empty());
    registry.assert_empty();
    writer.assert_idle();
}

/// How many tasks there are, when those that end have ended: events that are left wait for a server that is silent.
async fn alive() -> usize {
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let runtime = tokio::runtime::Handle::current();
    runtime.metrics().num_alive_tasks()
}

#[tokio::test(start_paused = true)]
async fn when_all_objects_and_connections_are_gone_nothing_is_left_of_them() {
    for seed in 0..3 {
        let mut world = World::new(seed);
        world.dispatch.job(Change::Came {
            namespace: String::new(),
        });
        let connections: Change<ElasticsearchConnection> = Change::Came {
            namespace: String::new(),
        };
        world.dispatch.connection(OWN, connections);
        // Of the client, and the one that tells events.
        let before = alive().await;
        world.live().await;
        let (clusters, tasks) = (world.dispatch.clusters.len(), world.dispatch.tasks.len());
        assert!(clusters > 1 && tasks > 1, "a life in which nothing happens");
        world.end().await;
        assert_nothing_left(&world.dispatch);
        assert_eq!(alive().await, before, "seed {seed}");
    }
}

impl World {
    /// A connection called `default`: of the namespace, or for all.
    fn default_connection(&mut self, namespace: Option<&str>) {
        let mut meta = json!({"name": "default", "uid": "uid", "generation": 1});
        let mut spec = json!({"url": "http://elasticsearch.test:9200", "allowPlaintext": true});
        if let Some(namespace) = namespace {
            meta["namespace"] = json!(namespace);
            let object = json!({"metadata": meta, "spec": spec});
            let object: ElasticsearchConnection = serde_json::from_value(object).unwrap();
            self.dispatch.connection(OWN, Change::of(object));
        } else {
            spec["allowedNamespaces"] = json!([{"selector": {}}]);
            let object = json!({"metadata": meta, "spec": spec});
            let object: ClusterElasticsearchConnection = serde_json::from_value(object).unwrap();
            self.dispatch.connection(WIDE, Change::of(object));
        }
    }

    fn came<K: Resource<DynamicType = ()> + Into<Source> + 'static>(
        &mut self,
        kind: ConnectionKind,
    ) {
        let namespace = String::new();
        self.dispatch
            .connection(kind, Change::<K>::Came { namespace });
    }

    fn kind_in_use(&self) -> Option<ConnectionKind> {
        let home = self.dispatch.home_of(&ObjectKey::new("ns", "object"))?;
        Some(home.kind())
    }
}

impl World {
    /// An object that names no connection, where both kinds are listed.
    fn of_no_connection() -> Self {
        let mut world = Self::with(1, Some("home".to_owned()));
        world.came::<ElasticsearchConnection>(OWN);
        world.came::<ClusterElasticsearchConnection>(WIDE);
        world
    }

    fn deliver(&mut self) {
        self.deliver_with(&Value::Null);
    }

    fn deliver_with(&mut self, status: &Value) {
        let mut object = self.object("object");
        object["status"] = status.clone();
        let spec = object["spec"].as_object_mut().unwrap();
        spec.remove("connectionRef");
        let mut stored = self.stored.lock().unwrap();
        stored.insert("object".to_owned(), object.clone());
        drop(stored);
        let object = serde_json::from_value(object).unwrap();
        self.dispatch.job(Change::of(object));
    }

    fn wide_goes(&mut self) {
        let gone: Change<ClusterElasticsearchConnection> =
            Change::Gone(ObjectKey::new("", "default"));
        self.dispatch.connection(WIDE, gone);
    }
}

/// Its claims go with the task, and whoever else means its jobs would act.
#[tokio::test(start_paused = true)]
async fn the_task_of_a_wide_connection_outlives_its_being_replaced() {
    let mut world = World::of_no_connection();
    world.default_connection(None);
    world.deliver();
    assert_eq!(world.kind_in_use(), Some(WIDE));
    let task = |world: &World| world.dispatch.clusters.values().next().unwrap().task;
    let before = task(&world);
    world.wide_goes();
    world.pass(Duration::from_secs(1)).await;
    assert_eq!(world.kind_in_use(), Some(WIDE));
    let invalid = world.unreadable("default");
    let invalid = Undecodable {
        key: ObjectKey::new("", invalid.key.name()),
        ..invalid
    };
    let change = Change::<ClusterElasticsearchConnection>::Undecodable(Box::new(invalid));
    world.dispatch.connection(WIDE, change);
    world.default_connection(None);
    assert_eq!(world.kind_in_use(), Some(WIDE));
    assert_eq!(task(&world), before);
    world.wide_goes();
    world.pass(Duration::from_secs(119)).await;
    assert_eq!(world.kind_in_use(), Some(WIDE));
    world.pass(Duration::from_secs(300)).await;
    assert_eq!(world.kind_in_use(), Some(OWN));
    world.dispatch.job(World::gone("object"));
    world.pass(Duration::from_secs(600)).await;
    assert_nothing_left(&world.dispatch);
}

#[tokio::test(start_paused = true)]
async fn an_own_default_is_missed_for_two_minutes_before_the_one_for_all_is_used() {
    let mut world = World::of_no_connection();
    world.default_connection(Some("ns"));
    world.default_connection(None);
    world.deliver();
    assert_eq!(world.kind_in_use(), Some(OWN));

    // It is replaced: gone, and back after a while.
    let gone = || World::gone::<ElasticsearchConnection>("default");
    world.dispatch.connection(OWN, gone());
    world.pass(Duration::from_secs(100)).await;
    assert_eq!(world.kind_in_use(), Some(OWN));
    world.default_connection(Some("ns"));
    world.pass(Duration::from_secs(300)).await;
    assert_eq!(world.kind_in_use(), Some(OWN));

    world.dispatch.connection(OWN, gone());
    world.pass(Duration::from_secs(119)).await;
    assert_eq!(world.kind_in_use(), Some(OWN));
    world.pass(Duration::from_secs(300)).await;
    assert_eq!(world.kind_in_use(), Some(WIDE));
}

/// The second between the two halves of a replace may be the one in which the leader changes.
#[tokio::test(start_paused = true)]
async fn an_own_default_that_a_status_remembers_is_missed_after_a_start_too() {
    let seen = |more: Value| {
        let mut seen = json!({"kind": "ElasticsearchConnection", "name": "default"});
        for (key, value) in more.as_object().unwrap() {
            seen[key] = value.clone();
        }
        json!({"observedGeneration": 1, "summary": "closed", "connection": seen})
    };
    let own = seen(json!({"clusterUUID": "u"}));
    for (status, used) in [
        (&Value::Null, WIDE),
        // It says so where there is none too.
        (&seen(json!({})), WIDE),
        (&seen(json!({"clusterUUID": "u", "name": "logs"})), WIDE),
        (
            &seen(json!({"clusterUUID": "u", "kind": "ClusterElasticsearchConnection"})),
            WIDE,
        ),
        (&own, OWN),
    ] {
        let mut world = World::of_no_connection();
        world.default_connection(None);
        // One that came before, and remembers nothing, waits with it.
        world.deliver();
        world.deliver_with(status);
        world.pass(Duration::from_secs(60)).await;
        assert_eq!(world.kind_in_use(), Some(used), "{status}");
        world.pass(Duration::from_secs(61)).await;
        assert_eq!(world.kind_in_use(), Some(WIDE), "{status}");
        // It is long since it began.
        world.deliver_with(&own);
        assert_eq!(world.kind_in_use(), Some(WIDE), "{status}");
    }
}
