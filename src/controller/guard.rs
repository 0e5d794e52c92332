//! An object of a list or a watch that may not be what its schema says: what cannot be decoded still says who it is.
//!
//! kube has a guard of this kind, which keeps each object as a tree of values and copies that: a fifth of the processor time of a
//! catch-up. Here the text is kept until it is decoded, so it works for JSON, with the type of a watch event before
//! its object as every API server sends them, and for nothing else. Who owns which field is cut out of the text: nobody
//! here reads it, and decoded it would be the largest part of an object.

use std::borrow::Cow;
use std::fmt::Debug;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::PartialObjectMeta;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// An object, or what is known of it where it cannot be decoded.
#[derive(Debug, Clone)]
pub(super) struct Guarded<K>(pub(super) Result<K, Undecoded>);

/// Why an object cannot be decoded, and who it is.
#[derive(Debug, Clone)]
pub(super) struct Undecoded {
    pub(super) error: String,
    pub(super) metadata: ObjectMeta,
    /// Its status as it stands; empty where there is none.
    pub(super) status: Map<String, Value>,
}

/// All that is asked of an object that cannot be decoded.
#[derive(Deserialize)]
struct Rest {
    #[serde(default)]
    status: Value,
}

impl<'de, K> Deserialize<'de> for Guarded<K>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = without_managed_fields(Box::<RawValue>::deserialize(deserializer)?);
        match serde_json::from_str(&text) {
            Ok(object) => Ok(Self(Ok(object))),
            Err(error) => {
                let known: PartialObjectMeta<K> =
                    serde_json::from_str(&text).map_err(D::Error::custom)?;
                let rest: Rest = serde_json::from_str(&text).map_err(D::Error::custom)?;
                Ok(Self(Err(Undecoded {
                    error: without_position(&error),
                    metadata: known.metadata,
                    status: match rest.status {
                        Value::Object(status) => status,
                        _ => Map::new(),
                    },
                })))
            }
        }
    }
}

#[derive(Deserialize)]
struct Shape<'a> {
    #[serde(borrow)]
    metadata: ShapeMeta<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ShapeMeta<'a> {
    #[serde(borrow)]
    managed_fields: Option<&'a RawValue>,
}

/// The same object, of which nobody owns a field.
fn without_managed_fields(object: Box<RawValue>) -> String {
    let place = |text: &str| {
        let fields = serde_json::from_str::<Shape>(text).ok()?;
        let fields = fields.metadata.managed_fields?.get();
        let start = fields.as_ptr().addr() - text.as_ptr().addr();
        Some(start..start + fields.len())
    };
    let place = place(object.get());
    let mut text = String::from(Box::<str>::from(object));
    if let Some(place) = place {
        text.replace_range(place, "[]");
    }
    text
}

/// The line and column are those of a text that nobody sees.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&position).unwrap_or(&text).to_owned()
}

impl<K: Resource> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(of: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(of)
    }

    fn group(of: &Self::DynamicType) -> Cow<'_, str> {
        K::group(of)
    }

    fn version(of: &Self::DynamicType) -> Cow<'_, str> {
        K::version(of)
    }

    fn plural(of: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0
            .as_ref()
            .map_or_else(|undecoded| &undecoded.metadata, K::meta)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0
            .as_mut()
            .map_or_else(|undecoded| &mut undecoded.metadata, K::meta_mut)
    }
}

#[cfg(test)]
mod tests {
    use kube::ResourceExt as _;
    use kube::core::{ObjectList, WatchEvent};

    use super::*;
    use crate::api::AnomalyJob;

    fn object(spec: &str) -> String {
        object_of(r#""name":"a","namespace":"n""#, spec)
    }

    fn object_of(metadata: &str, spec: &str) -> String {
        format!(
            r#"{{"apiVersion":"anomalyjob.dev/v1alpha1","kind":"AnomalyJob","metadata":{{{metadata}}},"spec":{spec}}}"#
        )
    }

    fn decoded(object: &Guarded<AnomalyJob>) -> Result<&str, &str> {
        assert_eq!(
            (&*object.name_any(), object.namespace().as_deref()),
            ("a", Some("n"))
        );
        object
            .0
            .as_ref()
            .map(|job| job.spec.job_id.as_str())
            .map_err(|undecoded| undecoded.error.as_str())
    }

    #[test]
    fn an_event_of_a_watch_tells_the_object_or_who_it_is_and_what_is_wrong() {
        for (spec, expected) in [
            (r#"{"jobId":"x"}"#, Ok("x")),
            (
                r#"{"jobId":"x","suspend":"no"}"#,
                Err("invalid type: string \"no\", expected a boolean"),
            ),
        ] {
            let text = format!(r#"{{"type":"ADDED","object":{}}}"#, object(spec));
            let WatchEvent::Added(found) = serde_json::from_str(&text).unwrap() else {
                panic!("not what was sent: {text}");
            };
            match (decoded(&found), expected) {
                (Ok(id), Ok(expected)) => assert_eq!(id, expected),
                (Err(error), Err(expected)) => assert_eq!(error, expected),
                (found, _) => panic!("{found:?}"),
            }
        }
    }

    #[test]
    fn who_owns_a_field_is_left_out_and_nothing_else() {
        let owned = r#""managedFields":[{"manager":"kubectl","operation":"Apply","fieldsV1":{"f:spec":{"f:jobId":{}}}}]"#;
        let annotations = r#""annotations":{"managedFields":"[]"}"#;
        for [one, other] in [[owned, annotations], [annotations, owned]] {
            let metadata = format!(r#"{one},{other},"name":"a","namespace":"n""#);
            let text = object_of(&metadata, r#"{"jobId":"x"}"#);
            let found: Guarded<AnomalyJob> = serde_json::from_str(&text).unwrap();
            assert_eq!(decoded(&found), Ok("x"));
            let mut whole: AnomalyJob = serde_json::from_str(&text).unwrap();
            assert_eq!(whole.metadata.managed_fields.take().unwrap().len(), 1);
            let mut found = found.0.unwrap();
            assert_eq!(found.metadata.managed_fields.take(), Some(Vec::new()));
            assert_eq!(found.metadata, whole.metadata);
        }
    }

    #[test]
    fn one_bad_object_of_a_list_leaves_the_others() {
        let text = format!(
            r#"{{"apiVersion":"v1","kind":"List","metadata":{{"resourceVersion":"7"}},"items":[{},{}]}}"#,
            object("7"),
            object(r#"{"jobId":"x"}"#)
        );
        let list: ObjectList<Guarded<AnomalyJob>> = serde_json::from_str(&text).unwrap();
        let decoded: Vec<bool> = list
            .items
            .iter()
            .map(|item| decoded(item).is_ok())
            .collect();
        assert_eq!(decoded, [false, true]);
    }
}
