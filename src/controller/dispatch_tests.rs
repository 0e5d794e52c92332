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
        places,
        invalid,
        tasks,
        homes,
        anew,
    } = dispatch;
    assert!(clusters.is_empty() && places.is_empty());
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

#[path = "dispatch_wide_tests.rs"]
mod wide;
