//! What is said of an object that cannot be decoded: a status with one reason, laid over what stands there already.
//!
//! Nothing is forgotten that the operator has noted, for the object may be mended: forces, datafeeds to be resumed, the uuid of a
//! cluster. The parser's text may quote a value of the object, never of a Secret; it is cut and its control characters are
//! escaped.

use std::any::TypeId;
use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use serde_json::{Map, Value, json};
use tokio::task::{AbortHandle, JoinSet};

use super::watch::Undecodable;
use super::writer::{Precondition, Writer};
use crate::api::{
    AnomalyJob, Condition, ConditionStatus, ConditionType, Reason, Target, new_condition,
};
use crate::reconciler::input::{ObjectKey, Urgency, WriteRefused};
use crate::reconciler::stored::restorable;

/// The longest text of a parser that is shown.
const SHOWN: usize = 256;
/// A write that was not taken is repeated after this time, and after twice the one before.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// At the latest: a schema may refuse for ever what stands beside our words.
const AGAIN_AT_LATEST: Duration = Duration::from_secs(600);

/// The objects that cannot be decoded now, by kind and name.
#[derive(Default)]
pub(super) struct Invalid(HashMap<(TypeId, ObjectKey), Telling>);

/// What was told of one, and the write that tells it.
struct Telling {
    uid: String,
    generation: i64,
    write: Option<AbortHandle>,
}

impl Invalid {
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// It can be decoded, or is gone.
    pub(super) fn forget<K: 'static>(&mut self, key: &ObjectKey) {
        let told = self.0.remove(&(TypeId::of::<K>(), key.clone()));
        told.inspect(Telling::stop);
    }

    /// Says once for each generation what cannot be decoded, however often it is delivered: our own status comes back
    /// too. Returns whether it is news.
    pub(super) fn tell<K>(
        &mut self,
        object: Undecodable,
        (writer, tasks): (&Writer, &mut JoinSet<()>),
        now: Timestamp,
    ) -> bool
    where
        K: Resource<DynamicType = ()> + 'static,
    {
        let key = (TypeId::of::<K>(), object.key.clone());
        let told = self.0.get(&key);
        let told =
            told.filter(|told| told.uid == object.uid && told.generation == object.generation);
        if told.is_some_and(Telling::was_taken) {
            return false;
        }
        let is_new = told.is_none();
        if is_new {
            tracing::warn!(kind = %K::kind(&()), namespace = %object.key.namespace(), name = object.key.name(), "cannot be decoded: {}", shown(&object.why));
        }
        let (uid, generation) = (object.uid.clone(), object.generation);
        let status = status::<K>(&object, now);
        let write = (status != object.status)
            .then(|| tasks.spawn(write::<K>(writer.clone(), object, status)));
        let is_news = is_new && write.is_some();
        let telling = Telling {
            uid,
            generation,
            write,
        };
        let before = self.0.insert(key, telling);
        before.inspect(Telling::stop);
        is_news
    }
}

impl Telling {
    /// What it says stands at the API server, or the object is gone.
    fn was_taken(&self) -> bool {
        self.write.as_ref().is_none_or(AbortHandle::is_finished)
    }

    fn stop(&self) {
        if let Some(write) = &self.write {
            write.abort();
        }
    }
}

/// What is said of the object, from the parser's text.
pub(super) fn message(why: &str) -> String {
    format!(
        "the object cannot be read, so nothing is called: {}",
        shown(why)
    )
}

/// A parser's text as it may stand in a status or a log.
pub(super) fn shown(why: &str) -> String {
    why.chars()
        .take(SHOWN)
        .flat_map(char::escape_debug)
        .collect()
}

/// What stands there, with Ready=False and Stalled=True for the reason `InvalidObject`, and without what is not known any more:
/// the state of the jobs, and what is being done.
fn status<K: 'static>(object: &Undecodable, now: Timestamp) -> Map<String, Value> {
    let mut status = object.status.clone();
    let looked_at = status.get("observedGeneration") == Some(&json!(object.generation));
    if !looked_at && let Some(targets) = status.get("targets").and_then(of_earlier) {
        status.insert("targets".to_owned(), targets);
    }
    status.retain(|field, _| !["summary", "jobs"].contains(&field.as_str()));
    status.insert("observedGeneration".to_owned(), json!(object.generation));
    let conditions = conditions::<K>(object, now);
    status.insert("conditions".to_owned(), conditions.into());
    status
}

/// Jobs of a status of an earlier generation, as another process would take them up; `None` where they cannot be decoded either.
fn of_earlier(targets: &Value) -> Option<Value> {
    let targets: Vec<Target> = serde_json::from_value(targets.clone()).ok()?;
    serde_json::to_value(restorable(targets, false, false)).ok()
}

fn conditions<K: 'static>(object: &Undecodable, now: Timestamp) -> Vec<Value> {
    let said = object.status.get("conditions").and_then(Value::as_array);
    let said: &[Value] = said.map_or(&[], Vec::as_slice);
    let is = |condition: &Value, of: ConditionType| condition["type"] == of.as_str();
    let condition = |of: ConditionType, status: ConditionStatus| {
        let same = |stored: &&Value| is(stored, of) && stored["status"] == status.as_str();
        let stored = said.iter().find(same).cloned();
        let stored = stored.and_then(|same| serde_json::from_value::<Condition>(same).ok());
        let since = stored.map_or(now, |stored| stored.last_transition_time.0);
        let (reason, message) = (Reason::InvalidObject, message(&object.why));
        json!(new_condition(
            of,
            status,
            reason,
            &message,
            object.generation,
            since
        ))
    };
    let mut conditions = vec![condition(ConditionType::Ready, ConditionStatus::False)];
    if TypeId::of::<K>() == TypeId::of::<AnomalyJob>() {
        conditions.push(condition(ConditionType::Closed, ConditionStatus::Unknown));
    }
    conditions.push(condition(ConditionType::Stalled, ConditionStatus::True));
    let gone = |stored: &Value| is(stored, ConditionType::Reconciling);
    let told = |stored: &Value| conditions.iter().any(|told| told["type"] == stored["type"]);
    let others = said.iter().filter(|stored| !gone(stored) && !told(stored));
    let others: Vec<Value> = others.cloned().collect();
    conditions.extend(others);
    conditions
}

/// Writes the status until it is taken. Whoever changes the object meanwhile has it delivered again, and this one stopped.
async fn write<K: Resource<DynamicType = ()>>(
    writer: Writer,
    object: Undecodable,
    status: Map<String, Value>,
) {
    let at = Precondition {
        namespace: object.key.namespace(),
        name: object.key.name(),
        uid: &object.uid,
        resource_version: &object.resource_version,
    };
    let mut pause = AGAIN_AFTER;
    loop {
        let turn = writer.turn(object.key.namespace(), Urgency::None).await;
        match writer.write::<K>(turn, &at, &status).await {
            Ok(_) | Err(WriteRefused::Gone) => return,
            Err(WriteRefused::Conflict | WriteRefused::Failed) => tokio::time::sleep(pause).await,
        }
        pause = AGAIN_AT_LATEST.min(pause * 2);
    }
}

#[cfg(test)]
#[path = "invalid_tests.rs"]
mod tests;
