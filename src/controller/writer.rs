//! The only place that writes to the API server: status by compare-and-swap, our finalizer, and events.
//!
//! A status is replaced whole through its subresource, and the finalizers by a patch that names nothing else, both with
//! uid and resource version as preconditions; `spec` is never written. Nothing is written without a current claim, and no
//! more than eight writes are on their way at once, events among them, in the fair order of `turn`.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{Patch, PatchParams, PostParams};
use kube::core::Request;
use kube::runtime::events::{Event as KubeEvent, EventType as KubeEventType, Recorder, Reporter};
use kube::{Client, Resource};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::turn::{Gate, Turn};
use crate::api::AnomalyJob;
use crate::finalizer;
use crate::kubernetes::is_gone;
use crate::lease::Claim;
use crate::reconciler::input::{Event, ObjectKey, Uid, Urgency, WriteRefused};
use crate::telemetry::{EventOutcome, EventType, Metrics, StatusWrite};

/// The name under which fields of status are owned.
pub(super) const FIELD_MANAGER: &str = "anomalyjob-operator";
/// More writers only make each of them slower (measured: performance.md 2.1).
const WRITERS: usize = 8;
/// So many of them serve a catch-up while somebody edits.
const WRITERS_BESIDE_EDITS: usize = 2;
/// An API server that does not answer within this time is asked again later.
pub(super) const API_SERVER_LIMIT: Duration = Duration::from_secs(15);
/// How many events a recorder is used for.
const REMEMBERED_EVENTS: usize = 256;
/// Events are told if there is room for them; a status never waits for one.
const WAITING_EVENTS: usize = 1024;

/// Writes status; cheap to clone.
#[derive(Clone)]
pub(super) struct Writer {
    client: Client,
    claim: Claim,
    metrics: Metrics,
    gate: Gate,
    events: mpsc::Sender<(ObjectKey, Uid, Event)>,
}

/// Which object is written, and on which condition.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Precondition<'a> {
    /// Empty for an object that stands in none.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) uid: &'a str,
    pub(super) resource_version: &'a str,
}

/// What is sent of an object. It is made of its parts as they are: a tree of values in between would cost as much as the
/// write itself.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a, S> {
    api_version: &'a str,
    kind: &'a str,
    metadata: &'a Precondition<'a>,
    status: &'a S,
}

/// What is read of an answer. Its managed fields would be a tree of values, the largest part of the object.
#[derive(Deserialize)]
struct Stored {
    metadata: StoredMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredMeta {
    resource_version: String,
}

impl Writer {
    /// A writer, and the task that tells its events.
    pub(super) fn new(
        client: Client,
        claim: Claim,
        metrics: Metrics,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (events, told) = mpsc::channel(WAITING_EVENTS);
        let writer = Self {
            client,
            claim,
            metrics,
            gate: Gate::new(WRITERS, WRITERS_BESIDE_EDITS),
            events,
        };
        let telling = Telling {
            client: writer.client.clone(),
            claim: writer.claim.clone(),
            metrics: writer.metrics.clone(),
            gate: writer.gate.clone(),
        };
        (writer, telling.tell(told))
    }

    /// Waits for a fair turn among all writes of the process; the tenant is the namespace that is written to.
    pub(super) async fn turn(&self, tenant: &Arc<str>, urgency: Urgency) -> Turn {
        self.gate.wait(tenant, urgency).await
    }

    /// A turn at once, where nobody waits and a place is free.
    pub(super) fn try_turn(&self, urgency: Urgency) -> Option<Turn> {
        self.gate.try_turn(urgency)
    }

    /// Replaces the status of an object and returns its new resource version. The turn is used up.
    pub(super) async fn write<K>(
        &self,
        turn: Turn,
        at: &Precondition<'_>,
        status: &impl Serialize,
    ) -> Result<Arc<str>, WriteRefused>
    where
        K: Resource<DynamicType = ()>,
    {
        let (outcome, answer) = self.bounded(at, self.put::<K>(at, status)).await;
        drop(turn);
        if let Some(outcome) = outcome {
            self.metrics.status_write(outcome);
        }
        answer
    }

    /// Replaces the finalizers of an AnomalyJob and returns its new resource version. Nothing else of the object is named
    /// in the patch. The turn is used up.
    pub(super) async fn finalize(
        &self,
        turn: Turn,
        at: &Precondition<'_>,
        finalizers: &[String],
    ) -> Result<Arc<str>, WriteRefused> {
        let (_, answer) = self.bounded(at, self.patch(at, finalizers)).await;
        drop(turn);
        answer
    }

    /// Makes a write, if this replica may; no outcome where it may not. Conflicts are no news: the caller reads again.
    async fn bounded(
        &self,
        at: &Precondition<'_>,
        write: impl Future<Output = Result<String, kube::Error>>,
    ) -> (Option<StatusWrite>, Result<Arc<str>, WriteRefused>) {
        if !self.claim.is_current() {
            return (None, Err(WriteRefused::Failed));
        }
        let (outcome, answer) = match tokio::time::timeout(API_SERVER_LIMIT, write).await {
            Ok(Ok(version)) => (StatusWrite::Written, Ok(Arc::from(version))),
            Ok(Err(kube::Error::Api(status))) if status.is_conflict() => {
                tracing::debug!(
                    namespace = at.namespace,
                    name = at.name,
                    version = at.resource_version,
                    "somebody else wrote meanwhile"
                );
                (StatusWrite::Conflict, Err(WriteRefused::Conflict))
            }
            Ok(Err(error)) if is_gone(&error, at.name) => {
                (StatusWrite::Gone, Err(WriteRefused::Gone))
            }
            Ok(Err(error)) => {
                tracing::warn!(namespace = at.namespace, name = at.name, %error, "a write was not taken");
                (StatusWrite::Failed, Err(WriteRefused::Failed))
            }
            Err(_) => (StatusWrite::Failed, Err(WriteRefused::Failed)),
        };
        (Some(outcome), answer)
    }

    async fn patch(
        &self,
        at: &Precondition<'_>,
        finalizers: &[String],
    ) -> Result<String, kube::Error> {
        let body = finalizer::patch(at.uid, at.resource_version, finalizers);
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let request = Request::new(AnomalyJob::url_path(&(), Some(at.namespace)))
            .patch(at.name, &params, &Patch::Merge(body))
            .map_err(kube::Error::BuildRequest)?;
        let stored: Stored = self.client.request(request).await?;
        Ok(stored.metadata.resource_version)
    }

    async fn put<K>(
        &self,
        at: &Precondition<'_>,
        status: &impl Serialize,
    ) -> Result<String, kube::Error>
    where
        K: Resource<DynamicType = ()>,
    {
        let body = Body {
            api_version: &K::api_version(&()),
            kind: &K::kind(&()),
            metadata: at,
            status,
        };
        let bytes = serde_json::to_vec(&body).map_err(kube::Error::SerdeError)?;
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let namespace = Some(at.namespace).filter(|namespace| !namespace.is_empty());
        let request = Request::new(K::url_path(&(), namespace))
            .replace_subresource("status", at.name, &params, bytes)
            .map_err(kube::Error::BuildRequest)?;
        let stored: Stored = self.client.request(request).await?;
        Ok(stored.metadata.resource_version)
    }

    /// Tells an event, if there is room for it.
    pub(super) fn tell(&self, key: ObjectKey, uid: Uid, event: Event) {
        let of = event_type(&event);
        if self.events.try_send((key, uid, event)).is_err() {
            self.metrics.event(of, EventOutcome::Dropped);
        }
    }
}

#[cfg(test)]
impl Writer {
    /// All places are free, and nobody waits for one.
    pub(super) fn assert_idle(&self) {
        let held: Vec<Turn> = std::iter::from_fn(|| self.try_turn(Urgency::ForEdit)).collect();
        assert_eq!(held.len(), WRITERS, "a place is lost, or somebody waits");
    }
}

fn event_type(event: &Event) -> EventType {
    if event.warning {
        EventType::Warning
    } else {
        EventType::Normal
    }
}

/// Tells events, one after the other. It has no [`Writer`], which would keep its own queue open for ever.
struct Telling {
    client: Client,
    claim: Claim,
    metrics: Metrics,
    gate: Gate,
}

impl Telling {
    async fn tell(self, mut events: mpsc::Receiver<(ObjectKey, Uid, Event)>) {
        let recorder = || Recorder::new(self.client.clone(), Reporter::from(FIELD_MANAGER));
        let (mut teller, mut told) = (recorder(), 0);
        while let Some((key, uid, event)) = events.recv().await {
            // A recorder keeps what it told for six minutes, several KiB each, to count repetitions: that has to have a bound.
            told += 1;
            if told % REMEMBERED_EVENTS == 0 {
                teller = recorder();
            }
            let of = event_type(&event);
            let outcome = if self.publish(&teller, &key, &uid, event).await {
                EventOutcome::Published
            } else {
                EventOutcome::Dropped
            };
            self.metrics.event(of, outcome);
        }
    }

    /// Nobody waits for an event: it stands behind what its namespace has to write already.
    async fn publish(&self, teller: &Recorder, key: &ObjectKey, uid: &Uid, event: Event) -> bool {
        let kube_event = KubeEvent {
            type_: if event.warning {
                KubeEventType::Warning
            } else {
                KubeEventType::Normal
            },
            reason: event.reason.to_owned(),
            note: Some(event.note),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        let object = reference(key, uid);
        let turn = self.gate.wait(key.namespace(), Urgency::None).await;
        let publish = tokio::time::timeout(API_SERVER_LIMIT, teller.publish(&kube_event, &object));
        let published = self.claim.is_current() && matches!(publish.await, Ok(Ok(())));
        drop(turn);
        published
    }
}

fn reference(key: &ObjectKey, uid: &Uid) -> k8s_openapi::api::core::v1::ObjectReference {
    k8s_openapi::api::core::v1::ObjectReference {
        api_version: Some(AnomalyJob::api_version(&()).into_owned()),
        kind: Some(AnomalyJob::kind(&()).into_owned()),
        namespace: Some(key.namespace().to_string()),
        name: Some(key.name().to_string()),
        uid: Some(uid.to_string()),
        ..Default::default()
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
