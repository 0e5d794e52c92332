//! The watches: objects in, one event after the other. An object that cannot be decoded is an event like any other.
//!
//! Nothing is kept here but names, to notice what is missing from a new list. The first list streams where the server can
//! do that: ten thousand objects come in a quarter of the time, and are never in memory together.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use http::{Request, Response};
use kube::client::Body;
use kube::runtime::watcher::{Config, Error as WatchError, Event};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tower::BoxError;

use super::guard::{Guarded, Undecoded};
use crate::reconciler::input::ObjectKey;

/// Where lists do not stream, fewer objects a page keep the peak of memory low at the start.
pub(super) const PAGE: u32 = 100;
/// How long the API server may take to begin a watch, or to tell a whole page.
const BEGUN_WITHIN: Duration = Duration::from_secs(30);

/// What happened to an object of kind `K`.
#[derive(Debug)]
pub(super) enum Change<K> {
    /// It is there, like this. Its key is the one that is kept here, so that all who keep it share it.
    Present(ObjectKey, Box<K>),
    /// It is there, and cannot be decoded.
    Undecodable(Box<Undecodable>),
    /// It is gone.
    Gone(ObjectKey),
    /// The list of this namespace, or where that is empty of all, was delivered to its end.
    Came { namespace: String },
    /// The API server did not give it; it is asked again.
    Failed { namespace: String, why: Failure },
}

/// Why a list, or what comes after it, cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The operator has no right to it.
    Forbidden,
    /// There is no such kind.
    NoSuchKind,
    /// The API server did not answer, or not well.
    Unanswered,
}

/// What is known of an object that cannot be decoded.
#[derive(Debug)]
pub(super) struct Undecodable {
    pub(super) key: ObjectKey,
    pub(super) uid: String,
    pub(super) resource_version: String,
    pub(super) generation: i64,
    pub(super) status: Map<String, Value>,
    pub(super) why: String,
}

/// Watches a kind that stands in namespaces, in these; none means all. Comes back by itself after errors, more slowly each
/// time.
pub(super) fn changes<K>(
    client: &Client,
    namespaces: &[String],
) -> impl Stream<Item = Change<K>> + Send + use<K>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + 'static,
{
    let client = bounded(client);
    let apis: Vec<(String, Api<Guarded<K>>)> = if namespaces.is_empty() {
        vec![(String::new(), Api::all(client))]
    } else {
        let one = |namespace: &String| {
            let api = Api::namespaced(client.clone(), namespace);
            (namespace.clone(), api)
        };
        namespaces.iter().map(one).collect()
    };
    stream::select_all(apis.into_iter().map(|(of, api)| one_api(of, api).boxed()))
}

/// The same for a kind that stands in no namespace.
pub(super) fn changes_of_all<K>(client: &Client) -> impl Stream<Item = Change<K>> + Send + use<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    one_api(String::new(), Api::all(bounded(client)))
}

fn one_api<K>(of: String, api: Api<Guarded<K>>) -> impl Stream<Item = Change<K>> + Send
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut keys = Keys::default();
    events(api).flat_map(move |event| {
        let changes = match event {
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), %error, "the watch failed and begins again");
                let (namespace, why) = (of.clone(), failure(&error));
                vec![Change::Failed { namespace, why }]
            }
            Ok(Event::Init) => {
                keys.begin();
                Vec::new()
            }
            Ok(Event::InitApply(object)) => {
                let key = keys.of(&object);
                keys.listing.insert(key.clone());
                vec![present(key, object)]
            }
            Ok(Event::InitDone) => {
                let gone = keys.end().into_iter().map(Change::Gone);
                let namespace = of.clone();
                gone.chain([Change::Came { namespace }]).collect()
            }
            Ok(Event::Apply(object)) => {
                let key = keys.of(&object);
                keys.known.insert(key.clone());
                vec![present(key, object)]
            }
            Ok(Event::Delete(object)) => {
                let key = keys.of(&object);
                keys.known.remove(&key);
                vec![Change::Gone(key)]
            }
        };
        stream::iter(changes)
    })
}

/// The same client, with a bound for what kube-runtime leaves without one: it ends a watch that falls silent, and would wait for ever
/// for one that never begins, or for a page.
fn bounded(client: &Client) -> Client {
    let namespace = client.default_namespace().to_owned();
    let client = client.clone();
    let service = tower::service_fn(move |request| {
        let client = client.clone();
        async move { tokio::time::timeout(BEGUN_WITHIN, begin(&client, request)).await? }
    });
    Client::new(service, namespace)
}

/// The answer as soon as a watch begins; all of it where it is no watch.
async fn begin(client: &Client, request: Request<Body>) -> Result<Response<Body>, BoxError> {
    let query = request.uri().query().unwrap_or_default();
    let watches = query.contains("watch=true");
    let mut answer = client.send(request).await?;
    if !(watches && answer.status().is_success()) {
        let body = std::mem::replace(answer.body_mut(), Body::empty());
        *answer.body_mut() = Body::from(body.collect_bytes().await?);
    }
    Ok(answer)
}

/// The events of a watch whose list streams, or comes in pages where the server does not stream it.
fn events<K>(api: Api<K>) -> impl Stream<Item = watcher::Result<Event<K>>> + Send
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let begin = |api: &Api<K>, config| watcher(api.clone(), config).default_backoff().boxed();
    let streaming = begin(&api, Config::default().streaming_lists());
    stream::unfold(
        (api, streaming, true),
        move |(api, mut events, mut streams)| async move {
            loop {
                let event = events.next().await?;
                if streams && event.as_ref().is_err_and(is_no_streaming) {
                    tracing::debug!(kind = %K::kind(&()), "lists do not stream here; they are read in pages");
                    streams = false;
                    events = begin(&api, Config::default().page_size(PAGE));
                    continue;
                }
                return Some((event, (api, events, streams)));
            }
        },
    )
}

/// A server that cannot stream a list says 422 (or 400, where it knows less of it), and one that cannot now says 429.
fn is_no_streaming(error: &WatchError) -> bool {
    let WatchError::WatchStartFailed(kube::Error::Api(status)) = error else {
        return false;
    };
    matches!(status.code, 400 | 422 | 429)
}

fn failure(error: &WatchError) -> Failure {
    let (WatchError::InitialListFailed(kube::Error::Api(status))
    | WatchError::WatchStartFailed(kube::Error::Api(status))) = error
    else {
        return Failure::Unanswered;
    };
    if status.is_forbidden() {
        Failure::Forbidden
    } else if status.is_not_found() {
        Failure::NoSuchKind
    } else {
        Failure::Unanswered
    }
}

/// The keys of all objects that are there.
#[derive(Default)]
struct Keys {
    known: BTreeSet<ObjectKey>,
    /// Those that a list has told of that is not at its end yet.
    listing: BTreeSet<ObjectKey>,
    /// The namespace of the last: most objects come with many others of theirs.
    namespace: Arc<str>,
}

impl Keys {
    /// The key of an object, and where it is known the same one.
    fn of<K: Resource<DynamicType = ()>>(&mut self, object: &Guarded<K>) -> ObjectKey {
        let namespace = object.meta().namespace.as_deref().unwrap_or_default();
        if *self.namespace != *namespace {
            self.namespace = Arc::from(namespace);
        }
        let key = ObjectKey::new(Arc::clone(&self.namespace), object.name_any());
        self.known.get(&key).cloned().unwrap_or(key)
    }

    /// A list begins. What one that broke off has told of may be gone by now too.
    fn begin(&mut self) {
        self.known.append(&mut self.listing);
    }

    /// It is at its end; what it did not tell of is gone.
    fn end(&mut self) -> Vec<ObjectKey> {
        let gone = self.known.difference(&self.listing).cloned().collect();
        self.known = std::mem::take(&mut self.listing);
        gone
    }
}

fn present<K: Resource<DynamicType = ()>>(key: ObjectKey, object: Guarded<K>) -> Change<K> {
    match object.0 {
        Ok(object) => Change::Present(key, Box::new(object)),
        Err(Undecoded {
            error,
            metadata,
            status,
        }) => Change::Undecodable(Box::new(Undecodable {
            key,
            uid: metadata.uid.unwrap_or_default(),
            resource_version: metadata.resource_version.unwrap_or_default(),
            generation: metadata.generation.unwrap_or_default(),
            status,
            why: error,
        })),
    }
}

#[cfg(test)]
impl<K: Resource<DynamicType = ()>> Change<K> {
    /// As of an object that came.
    pub(super) fn of(object: K) -> Self {
        let object = Guarded(Ok(object));
        present(Keys::default().of(&object), object)
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
