//! Watches: what happened since a version, and what happens from now on, as lines of JSON; with a list before it where that is
//! asked for. They may lag, end, and end within a line.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::Response;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::super::between::{Body, Error, Watching};
use super::kinds::Kind;
use super::refusal::Refusal;
use super::{Api, Asked, refused};

/// How often a watch says how far it is where nothing happens.
const BOOKMARK: Duration = Duration::from_secs(60);

struct Watch {
    api: Api,
    kind: &'static Kind,
    namespace: Option<String>,
    process: String,
    /// What is told before all that happens.
    first: VecDeque<First>,
    /// What happened up to this version was told.
    version: u64,
    ends: Instant,
    bookmarks: bool,
    changed: watch::Receiver<u64>,
    watching: watch::Receiver<Watching>,
    epoch: u64,
    over: bool,
}

/// A line of a list before a watch, and of which object at which version it tells.
type First = (Option<(String, u64)>, Value);

/// What comes next in a watch.
enum Next {
    Event(String, u64, Value),
    Bookmark,
    Torn,
    End,
}

impl Api {
    pub(super) fn watch(&self, asked: &Asked, process: &str) -> Response<Body> {
        let streams = asked.param("sendInitialEvents") == Some("true");
        let status = *self.streaming_refused.lock().unwrap();
        if let Some(status) = status.filter(|_| streams) {
            return refused(&Refusal::new(
                status,
                "Invalid",
                "sendInitialEvents is forbidden for watch",
            ));
        }
        let from = asked
            .param("resourceVersion")
            .and_then(|version| version.parse().ok());
        let (first, version) = self.beginning(asked, from, streams);
        let watching = self.between.watching();
        let seconds = asked
            .param("timeoutSeconds")
            .and_then(|text| text.parse().ok());
        let epoch = watching.borrow().epoch;
        let watch = Watch {
            api: self.clone(),
            kind: asked.kind,
            namespace: asked.namespace.clone(),
            process: process.to_owned(),
            first,
            version,
            ends: Instant::now() + Duration::from_secs(seconds.unwrap_or(1800)),
            bookmarks: asked.param("allowWatchBookmarks") == Some("true"),
            changed: self.changed.subscribe(),
            watching,
            epoch,
            over: false,
        };
        let lines = stream::unfold(watch, Watch::line).map(|line| line.map(Frame::data));
        let mut response = Response::new(StreamBody::new(lines).boxed_unsync());
        let json = http::HeaderValue::from_static("application/json");
        response.headers_mut().insert("content-type", json);
        response
    }

    /// What a watch tells before all that happens, and the version that it begins at.
    fn beginning(&self, asked: &Asked, from: Option<u64>, streams: bool) -> (VecDeque<First>, u64) {
        let store = self.store();
        let lag = self.between.watching().borrow().lag;
        let mut first = VecDeque::new();
        let version = match from {
            Some(version) if version > 0 && version < store.compacted => {
                let error = Refusal::expired(version).body();
                first.push_back((None, json!({"type": "ERROR", "object": error})));
                version
            }
            Some(version) if version > 0 => version,
            _ => {
                // A server that lags lists what it has.
                let known = self.now().at.saturating_sub(lag);
                let seen = store
                    .history
                    .iter()
                    .take_while(|change| lag.is_zero() || change.at <= known);
                seen.last().map_or(0, |change| change.version)
            }
        };
        if streams {
            for object in store.list_at(asked.kind, asked.namespace.as_deref(), version) {
                let of = of(&object);
                first.push_back((Some(of), json!({"type": "ADDED", "object": object})));
            }
            first.push_back((None, bookmark(asked.kind, version, true)));
        }
        (first, version)
    }
}

impl Watch {
    async fn line(mut self) -> Option<(Result<Bytes, Error>, Self)> {
        if self.over {
            return None;
        }
        let (of, event) = match self.first.pop_front() {
            Some(first) => first,
            None => match self.next().await {
                Next::Event(key, version, event) => (Some((key, version)), event),
                Next::Bookmark => (None, bookmark(self.kind, self.version, false)),
                Next::Torn => {
                    self.over = true;
                    let half = Bytes::from_static(b"{\"type\":\"MODIFIED\",\"object\":{\"apiVers");
                    return Some((Ok(half), self));
                }
                Next::End => return None,
            },
        };
        self.over = event["type"] == "ERROR";
        if let Some((key, version)) = of {
            self.api.between.deliver(&self.process, key, version);
        }
        Some((Ok(Bytes::from(format!("{event}\n"))), self))
    }

    async fn next(&mut self) -> Next {
        let idle = Instant::now() + BOOKMARK;
        loop {
            self.changed.borrow_and_update();
            let watching = self.watching.borrow_and_update().clone();
            if watching.epoch > self.epoch {
                return if watching.torn { Next::Torn } else { Next::End };
            }
            let due = match self.waiting() {
                None => {
                    self.version = self.api.store().version();
                    None
                }
                Some((at, event)) => {
                    let due = at + watching.lag;
                    if due <= self.api.now().at {
                        self.version = event.1;
                        return Next::Event(event.0, event.1, event.2);
                    }
                    Some(due.saturating_sub(self.api.now().at))
                }
            };
            let due = Instant::now() + due.unwrap_or(Duration::from_secs(86400));
            tokio::select! {
                biased;
                _ = self.changed.changed() => {}
                _ = self.watching.changed() => {}
                () = tokio::time::sleep_until(due) => {}
                () = tokio::time::sleep_until(self.ends) => return Next::End,
                () = tokio::time::sleep_until(idle), if self.bookmarks => return Next::Bookmark,
            }
        }
    }

    /// The next thing that happened and was not told, and when it happened.
    fn waiting(&self) -> Option<(Duration, (String, u64, Value))> {
        let store = self.api.store();
        let ours = |kind: &str, namespace: &str| {
            kind == self.kind.plural && self.namespace.as_deref().is_none_or(|of| of == namespace)
        };
        let start = store
            .history
            .partition_point(|change| change.version <= self.version);
        let next = store.history[start..]
            .iter()
            .find(|change| ours(change.key.0, &change.key.1))?;
        let event = json!({"type": next.what, "object": next.object});
        Some((next.at, (of(&next.object).0, next.version, event)))
    }
}

fn of(object: &Value) -> (String, u64) {
    let meta = &object["metadata"];
    let text = |name: &str| meta[name].as_str().unwrap_or_default();
    let key = format!(
        "{}/{}/{}",
        object["kind"].as_str().unwrap_or_default(),
        text("namespace"),
        text("name")
    );
    (key, text("resourceVersion").parse().unwrap_or(0))
}

fn bookmark(kind: &Kind, version: u64, ends_list: bool) -> Value {
    let mut meta = json!({"resourceVersion": version.to_string()});
    if ends_list {
        meta["annotations"] = json!({"k8s.io/initial-events-end": "true"});
    }
    json!({"type": "BOOKMARK", "object": {
        "apiVersion": kind.api_version(), "kind": kind.kind, "metadata": meta,
    }})
}
