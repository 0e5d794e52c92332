//! What is said of an object that cannot be decoded: a status with one reason, written without knowing the object.
//!
//! The parser's text may quote a value of the object, never of a Secret; it is cut and its control characters are escaped.

use std::any::TypeId;
use std::collections::HashMap;

use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use serde_json::json;

use super::watch::Undecodable;
use super::writer::{Precondition, Writer};
use crate::api::{ConditionStatus, ConditionType, Reason, new_condition};
use crate::reconciler::input::{ObjectKey, Urgency};

/// The longest text of a parser that is shown.
const SHOWN: usize = 256;

/// What was told of already, by kind and name: the uid and generation that it was told of.
#[derive(Default)]
pub(super) struct Told(HashMap<(TypeId, ObjectKey), (String, i64)>);

impl Told {
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it was not told of yet at this generation. It is from now on.
    pub(super) fn is_news<K: 'static>(&mut self, object: &Undecodable) -> bool {
        let key = (TypeId::of::<K>(), object.key.clone());
        let version = (object.uid.clone(), object.generation);
        self.0.insert(key, version.clone()) != Some(version)
    }

    /// It can be decoded, or is gone.
    pub(super) fn forget<K: 'static>(&mut self, key: &ObjectKey) {
        self.0.remove(&(TypeId::of::<K>(), key.clone()));
    }
}

/// What the status is written about.
pub(super) struct Seen {
    key: ObjectKey,
    uid: String,
    resource_version: String,
    generation: i64,
    message: String,
}

impl Seen {
    pub(super) fn of(object: &Undecodable) -> Self {
        Self {
            key: object.key.clone(),
            uid: object.uid.clone(),
            resource_version: object.resource_version.clone(),
            generation: object.generation,
            message: message(&object.why),
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

/// Writes Ready=False and Stalled=True with the reason `InvalidObject`.
pub(super) async fn report<K: Resource<DynamicType = ()>>(
    writer: Writer,
    seen: Seen,
    now: Timestamp,
) {
    let condition = |of, status| {
        new_condition(
            of,
            status,
            Reason::InvalidObject,
            &seen.message,
            seen.generation,
            now,
        )
    };
    let status = json!({
        "observedGeneration": seen.generation,
        "conditions": [
            condition(ConditionType::Ready, ConditionStatus::False),
            condition(ConditionType::Stalled, ConditionStatus::True),
        ],
    });
    let at = Precondition {
        namespace: seen.key.namespace(),
        name: seen.key.name(),
        uid: &seen.uid,
        resource_version: &seen.resource_version,
    };
    // A conflict means that it was changed, and then it is delivered again.
    let turn = writer.turn(seen.key.namespace(), Urgency::None).await;
    let _ = writer.write::<K>(turn, &at, &status).await;
}
