//! An API server in memory, for processes in paused time. It is faithful where the operator relies on it, and `parity` holds
//! it to the real one; it checks no schema and no rights, which are tested against the real one alone.

pub(crate) mod kinds;
mod refusal;
pub(crate) mod store;
mod watches;

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::client::Body as KubeBody;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::between::{Ask, Between, Body, Error, Server, whole};
use kinds::Kind;
use refusal::Refusal;
use store::{Now, Store, Target};

/// The server; cheap to clone.
#[derive(Clone)]
pub(crate) struct Api {
    store: Arc<Mutex<Store>>,
    changed: watch::Sender<u64>,
    between: Between,
    /// The wall time when the world began.
    wall: Timestamp,
    /// Watches that begin with a list are refused with this status.
    streaming_refused: Arc<Mutex<Option<u16>>>,
}

/// A request, taken apart.
struct Asked {
    kind: &'static Kind,
    namespace: Option<String>,
    name: Option<String>,
    status: bool,
    query: Vec<(String, String)>,
}

impl Asked {
    fn parse(path: &str, query: &str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (group, rest) = match parts.as_slice() {
            ["api", "v1", rest @ ..] => ("", rest),
            ["apis", group, _, rest @ ..] => (*group, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] => (Some((*namespace).to_owned()), rest),
            rest => (None, rest),
        };
        let (plural, name, status) = match rest {
            [plural] => (plural, None, false),
            [plural, name] => (plural, Some((*name).to_owned()), false),
            [plural, name, "status"] => (plural, Some((*name).to_owned()), true),
            _ => return None,
        };
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name.to_owned(), value.to_owned())
        };
        Some(Self {
            kind: Kind::find(group, plural)?,
            namespace,
            name,
            status,
            query: query.split('&').map(pair).collect(),
        })
    }

    fn param(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(of, _)| of == name);
        found.map(|(_, value)| value.as_str())
    }

    fn target(&self) -> Target<'_> {
        Target {
            kind: self.kind,
            namespace: self.namespace.as_deref().unwrap_or_default(),
            name: self.name.as_deref().unwrap_or_default(),
            status: self.status,
        }
    }
}

impl Api {
    pub(crate) fn new(between: Between, wall: Timestamp) -> Self {
        Self {
            store: Arc::default(),
            changed: watch::Sender::new(0),
            between,
            wall,
            streaming_refused: Arc::default(),
        }
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap()
    }

    pub(crate) fn now(&self) -> Now {
        let at = self.between.now();
        let wall = self.wall + at;
        Now { at, wall }
    }

    /// Tells the watches that something was written past them.
    pub(crate) fn announce(&self) {
        self.changed.send_replace(self.store().version());
    }

    /// Tells of each write.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// How many watches are open.
    pub(crate) fn watches(&self) -> usize {
        self.changed.receiver_count()
    }

    /// Lists do not stream from now on, and are answered with this status where that is asked for.
    pub(crate) fn refuse_streaming(&self, status: Option<u16>) {
        *self.streaming_refused.lock().unwrap() = status;
    }

    /// A client as a process has one.
    pub(crate) fn client(&self, process: &str) -> Client {
        let (api, process) = (self.clone(), process.to_owned());
        let service = tower::service_fn(move |request: Request<KubeBody>| {
            let (api, process) = (api.clone(), process.clone());
            async move { api.carried(process, request).await }
        });
        Client::new(service, "default")
    }

    async fn carried(
        &self,
        process: String,
        request: Request<KubeBody>,
    ) -> Result<Response<Body>, Error> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let ask = Ask {
            number: 0,
            at: std::time::Duration::ZERO,
            process,
            server: Server::Kubernetes,
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            body,
        };
        let (api, asked) = (self.clone(), ask.clone());
        let act = move || {
            let (api, asked) = (api.clone(), asked.clone());
            async move { Ok(api.answer(&asked)) }
        };
        self.between.carry(ask, act).await
    }

    /// What the server does and says.
    fn answer(&self, ask: &Ask) -> Response<Body> {
        let Some(asked) = Asked::parse(&ask.path, &ask.query) else {
            return refused(&Refusal::new(
                404,
                "NotFound",
                "the server could not find the requested resource",
            ));
        };
        if asked.param("watch") == Some("true") {
            return self.watch(&asked, &ask.process);
        }
        let answer = match (ask.method.as_str(), &asked.name) {
            ("GET", None) => self.list(&asked),
            ("GET", Some(_)) => self.store().get(&asked.target()),
            (method, _) => self.write(method, &asked, &ask.body),
        };
        match answer {
            Ok(value) => {
                let created = ask.method == "POST";
                body_of(if created { 201 } else { 200 }, &value)
            }
            Err(refusal) => refused(&refusal),
        }
    }

    fn write(&self, method: &str, asked: &Asked, body: &Bytes) -> Result<Value, Refusal> {
        let value = || {
            serde_json::from_slice::<Value>(body)
                .map_err(|_| Refusal::new(400, "BadRequest", "no JSON"))
        };
        let (now, target) = (self.now(), asked.target());
        let mut store = self.store();
        let written = match method {
            "POST" => store.create(asked.kind, target.namespace, &value()?, now),
            "PUT" => store.replace(&target, &value()?, now),
            "PATCH" => store.merge(&target, &value()?, now),
            "DELETE" => store.delete(&target, now),
            _ => Err(Refusal::new(
                405,
                "MethodNotAllowed",
                "the server does not allow this method",
            )),
        };
        let version = store.version();
        drop(store);
        self.changed.send_replace(version);
        written
    }

    fn list(&self, asked: &Asked) -> Result<Value, Refusal> {
        let store = self.store();
        let (from, version) = match asked.param("continue").filter(|token| !token.is_empty()) {
            None => (0, store.version()),
            Some(token) => {
                let parsed = token
                    .split_once('-')
                    .and_then(|(from, version)| Some((from.parse().ok()?, version.parse().ok()?)));
                parsed
                    .ok_or_else(|| Refusal::new(400, "BadRequest", "continue key is not valid"))?
            }
        };
        if version < store.compacted {
            return Err(Refusal::expired(version));
        }
        let all = store.list_at(asked.kind, asked.namespace.as_deref(), version);
        let limit = asked.param("limit").and_then(|limit| limit.parse().ok());
        let limit: usize = limit.filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        let items: Vec<&Value> = all.iter().skip(from).take(limit).collect();
        let mut meta = json!({"resourceVersion": version.to_string()});
        if from + items.len() < all.len() {
            meta["continue"] = json!(format!("{}-{version}", from + items.len()));
            meta["remainingItemCount"] = json!(all.len() - from - items.len());
        }
        Ok(json!({
            "apiVersion": asked.kind.api_version(), "kind": format!("{}List", asked.kind.kind),
            "metadata": meta, "items": items,
        }))
    }
}

fn refused(refusal: &Refusal) -> Response<Body> {
    body_of(refusal.code, &refusal.body())
}

fn body_of(status: u16, value: &Value) -> Response<Body> {
    let mut response = Response::new(whole(value.to_string().into()));
    *response.status_mut() = status.try_into().expect("a status");
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert("content-type", json);
    response
}
