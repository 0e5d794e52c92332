//! What stands between a process and the two servers that it talks to: every request is numbered and kept, and a rule may
//! do something to it, before the server acts or after. It knows nothing of jobs.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{HeaderMap, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Collected, Full, StreamBody};
use hyper::body::Frame;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Body = UnsyncBoxBody<Bytes, Error>;

/// Which server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Server {
    Kubernetes,
    Elasticsearch,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// Among all of the world, from 1.
    pub(crate) number: usize,
    /// Since the world began.
    pub(crate) at: Duration,
    /// Who asks: the name in the lease.
    pub(crate) process: String,
    pub(crate) server: Server,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) body: Bytes,
}

impl Ask {
    pub(crate) fn is_watch(&self) -> bool {
        self.query.contains("watch=true")
    }

    pub(crate) fn is_force(&self) -> bool {
        self.path.ends_with("/_close") && self.query.contains("force=true")
    }

    /// A call that changes a job or a datafeed.
    pub(crate) fn is_call(&self) -> bool {
        self.server == Server::Elasticsearch
            && self.method == "POST"
            && self.path.starts_with("/_ml/")
    }

    /// What is asked for, without what differs from one request of the kind to the next.
    pub(crate) fn point(&self) -> &'static str {
        let lease = self.path.contains("/leases");
        let status = self.path.ends_with("/status");
        match (self.server, self.method.as_str()) {
            (Server::Kubernetes, "GET") if self.is_watch() => "watch",
            (Server::Kubernetes, "GET") if lease => "read lease",
            (Server::Kubernetes, _) if lease => "write lease",
            (Server::Kubernetes, "PUT") if status && self.path.contains("/anomalyjobs/") => {
                "write status"
            }
            (Server::Kubernetes, "PUT") if status => "write status of connection",
            (Server::Kubernetes, "PATCH") if self.path.contains("/anomalyjobs/") => {
                "write finalizers"
            }
            (Server::Kubernetes, _) if self.path.contains("/events") => "tell event",
            (Server::Kubernetes, _) if self.path.contains("/anomalyjobs/") => "read object",
            (Server::Kubernetes, _) if self.path.contains("/anomalyjobs") => "list objects",
            (Server::Kubernetes, _) if self.path.contains("/secrets/") => "read secret",
            (Server::Kubernetes, _) if self.path.contains("/configmaps/") => "read config map",
            (Server::Kubernetes, _) if self.query.contains("fieldSelector") => "read connection",
            (Server::Kubernetes, _) => "list connections",
            (Server::Elasticsearch, "POST") if self.is_force() => "force close",
            (Server::Elasticsearch, "POST") if self.path.ends_with("/_close") => "close",
            (Server::Elasticsearch, "POST") if self.path.ends_with("/_open") => "open",
            (Server::Elasticsearch, "POST") if self.path.ends_with("/_stop") => "stop datafeed",
            (Server::Elasticsearch, "POST") if self.path.ends_with("/_start") => "start datafeed",
            (Server::Elasticsearch, "POST") => "ask privileges",
            (Server::Elasticsearch, _) if self.path == "/" => "identify",
            (Server::Elasticsearch, _) if self.path == "/_ml/info" => "ml info",
            (Server::Elasticsearch, _) if self.path == "/_license" => "license",
            (Server::Elasticsearch, _) if self.path.starts_with("/_cluster") => "tasks",
            (Server::Elasticsearch, _) if self.path.contains("model_snapshots") => "snapshots",
            (Server::Elasticsearch, _)
                if self.path.contains("datafeeds") && self.path.ends_with("/_stats") =>
            {
                "datafeed stats"
            }
            (Server::Elasticsearch, _) if self.path.contains("datafeeds") => "datafeeds",
            (Server::Elasticsearch, _) if self.path.ends_with("/_stats") => "job stats",
            (Server::Elasticsearch, _) => "jobs",
        }
    }
}

/// What happens to a request.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// It takes this long; who asks may have left by then, and the server acts all the same.
    Delay(Duration),
    /// The connection is cut.
    Reset,
    /// Nobody listens.
    Refused,
    /// Nothing, for ever.
    Silence,
    /// This answer, in place of the server's.
    Answer(u16, Value),
    /// These bytes as a body, with these headers.
    Raw(u16, HeaderMap, Bytes),
    /// The answer comes byte by byte, one a second.
    Drip,
    /// The process is gone from here on.
    Kill,
    /// What the process was doing is dropped; the process lives.
    Drop,
    /// What carries it panics, in the middle of what the process was doing.
    Panic,
    /// It comes a second time, so much later, as from a proxy that repeats.
    Again(Duration),
}

/// Whether the server had acted when it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum When {
    Before,
    After,
}

type Rule = Box<dyn FnMut(&Ask) -> Option<(When, Effect)> + Send>;

/// How the ways of one process to the API server are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watching {
    /// Watches tell what happened this much later.
    pub(crate) lag: Duration,
    /// Watches of an older epoch end.
    pub(crate) epoch: u64,
    /// They end in the middle of the text of an event.
    pub(crate) torn: bool,
}

#[derive(Default)]
struct Inner {
    asks: Vec<Ask>,
    rules: BTreeMap<&'static str, Rule>,
    /// What a watch has told, of whom, and when: process, key, version.
    delivered: Vec<(Duration, String, String, u64)>,
    endings: BTreeMap<String, watch::Sender<Ending>>,
    /// Polls of requests, and looks at the clock, which each turn of a brain takes.
    steps: u64,
    /// What happens to the process that makes this step.
    at_step: Option<(u64, Ending)>,
}

/// What a process is to do with itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Live,
    Drop(u64),
    Die,
}

/// Shared by all processes of a world.
#[derive(Clone)]
pub(crate) struct Between {
    begun: Instant,
    inner: Arc<Mutex<Inner>>,
    watching: watch::Sender<Watching>,
}

impl Between {
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            inner: Arc::default(),
            watching: watch::Sender::default(),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// From now on, until it is lifted, this may do something to each request. One of a name.
    pub(crate) fn rule(
        &self,
        name: &'static str,
        rule: impl FnMut(&Ask) -> Option<(When, Effect)> + Send + 'static,
    ) {
        self.inner
            .lock()
            .unwrap()
            .rules
            .insert(name, Box::new(rule));
    }

    pub(crate) fn lift(&self, name: &'static str) {
        self.inner.lock().unwrap().rules.remove(name);
    }

    pub(crate) fn asks(&self) -> Vec<Ask> {
        self.inner.lock().unwrap().asks.clone()
    }

    pub(crate) fn watching(&self) -> watch::Receiver<Watching> {
        self.watching.subscribe()
    }

    pub(crate) fn set_watching(&self, change: impl FnOnce(&mut Watching)) {
        self.watching.send_modify(change);
    }

    /// A watch has told this process of a version of an object.
    pub(crate) fn deliver(&self, process: &str, key: String, version: u64) {
        let line = (self.now(), process.to_owned(), key, version);
        self.inner.lock().unwrap().delivered.push(line);
    }

    pub(crate) fn delivered(&self) -> Vec<(Duration, String, String, u64)> {
        self.inner.lock().unwrap().delivered.clone()
    }

    /// The way in which a process is told to end.
    pub(crate) fn ending(&self, process: &str) -> watch::Receiver<Ending> {
        let mut inner = self.inner.lock().unwrap();
        let sender = inner.endings.entry(process.to_owned());
        sender
            .or_insert_with(|| watch::Sender::new(Ending::Live))
            .subscribe()
    }

    pub(crate) fn end(&self, process: &str, ending: Ending) {
        let inner = self.inner.lock().unwrap();
        if let Some(sender) = inner.endings.get(process) {
            sender.send_replace(ending);
        }
    }

    /// A process has made a step.
    pub(crate) fn step(&self, process: &str) {
        let mut inner = self.inner.lock().unwrap();
        inner.steps += 1;
        let now = inner.steps;
        let ending = inner.at_step.filter(|(step, _)| *step == now);
        if let (Some((_, ending)), Some(sender)) = (ending, inner.endings.get(process)) {
            sender.send_replace(ending);
        }
    }

    pub(crate) fn steps(&self) -> u64 {
        self.inner.lock().unwrap().steps
    }

    /// What is to happen to the process that makes the step of this number.
    pub(crate) fn end_at_step(&self, step: u64, ending: Ending) {
        self.inner.lock().unwrap().at_step = Some((step, ending));
    }

    /// Carries a request to its server, by the rules; each poll is a step of the process.
    pub(crate) async fn carry<F>(
        &self,
        ask: Ask,
        act: impl Fn() -> F + Send + 'static,
    ) -> Result<Response<Body>, Error>
    where
        F: Future<Output = Result<Response<Body>, Error>> + Send + 'static,
    {
        let process = ask.process.clone();
        let mut carried = Box::pin(self.by_the_rules(ask, act));
        std::future::poll_fn(|context| {
            self.step(&process);
            carried.as_mut().poll(context)
        })
        .await
    }

    async fn by_the_rules<F>(
        &self,
        mut ask: Ask,
        act: impl Fn() -> F + Send + 'static,
    ) -> Result<Response<Body>, Error>
    where
        F: Future<Output = Result<Response<Body>, Error>> + Send + 'static,
    {
        let effect = {
            let mut inner = self.inner.lock().unwrap();
            ask.number = inner.asks.len() + 1;
            ask.at = self.now();
            let effect = inner.rules.values_mut().find_map(|rule| rule(&ask));
            inner.asks.push(ask.clone());
            effect
        };
        let Some((when, effect)) = effect else {
            return act().await;
        };
        let answer = if when == When::After {
            Some(act().await)
        } else {
            None
        };
        self.do_to(&ask, effect, answer, act).await
    }

    /// Does it to a request that was, or was not, answered already.
    async fn do_to<F>(
        &self,
        ask: &Ask,
        effect: Effect,
        answer: Option<Result<Response<Body>, Error>>,
        act: impl Fn() -> F + Send + 'static,
    ) -> Result<Response<Body>, Error>
    where
        F: Future<Output = Result<Response<Body>, Error>> + Send + 'static,
    {
        match effect {
            Effect::Delay(time) => {
                if let Some(answer) = answer {
                    tokio::time::sleep(time).await;
                    return answer;
                }
                let late = async move {
                    tokio::time::sleep(time).await;
                    act().await
                };
                tokio::spawn(late).await?
            }
            Effect::Reset => Err(io::Error::from(io::ErrorKind::ConnectionReset).into()),
            Effect::Refused => Err(io::Error::from(io::ErrorKind::ConnectionRefused).into()),
            Effect::Silence => std::future::pending().await,
            Effect::Answer(status, value) => {
                let mut headers = HeaderMap::new();
                headers.insert("content-type", "application/json".parse()?);
                headers.insert("x-elastic-product", "Elasticsearch".parse()?);
                Ok(response(status, headers, value.to_string().into()))
            }
            Effect::Raw(status, headers, bytes) => Ok(response(status, headers, bytes)),
            Effect::Drip => answer
                .unwrap_or_else(|| Ok(response(200, HeaderMap::new(), Bytes::new())))
                .map(|answer| answer.map(drip)),
            Effect::Panic => panic!("as the test says"),
            Effect::Kill => {
                self.end(&ask.process, Ending::Die);
                std::future::pending().await
            }
            Effect::Drop => {
                self.end(&ask.process, Ending::Drop(ask.number as u64));
                std::future::pending().await
            }
            Effect::Again(time) => {
                let answer = act().await;
                tokio::spawn(async move {
                    tokio::time::sleep(time).await;
                    let _ = act().await;
                });
                answer
            }
        }
    }
}

fn response(status: u16, headers: HeaderMap, bytes: Bytes) -> Response<Body> {
    let mut response = Response::new(whole(bytes));
    *response.status_mut() = status.try_into().expect("a status");
    *response.headers_mut() = headers;
    response
}

/// The same bytes, one a second.
pub(crate) fn drip(body: Body) -> Body {
    let bytes = stream::once(body.collect()).flat_map(|all| {
        let bytes = all.map(Collected::to_bytes).unwrap_or_default();
        stream::iter(bytes.into_iter().map(|byte| Bytes::from(vec![byte])))
    });
    let slow = bytes.then(|byte| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(Frame::data(byte))
    });
    StreamBody::new(slow).boxed_unsync()
}

pub(crate) fn whole(bytes: Bytes) -> Body {
    Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}
