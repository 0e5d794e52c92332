//! OpenAPI 3.0 schemas as JSON Schema: the two dialects differ in a few words.
//!
//! It must not make a schema laxer than the description, with one exception: `oneOf` becomes `anyOf`, because the
//! description writes its unions as `oneOf` of members that overlap (a duration is a string, or "-1", or "0").

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Words of OpenAPI that mean nothing to a validator.
const DROPPED: [&str; 7] = [
    "discriminator",
    "externalDocs",
    "deprecated",
    "example",
    "examples",
    "nullable",
    "xml",
];

/// A schema of the document with all that it refers to, as one JSON Schema; without `required` unless asked for.
pub(super) fn with_definitions(document: &Value, schema: &Value, required: bool) -> Value {
    let mut out = adapt(schema, required);
    let mut waiting = references(&out);
    let mut schemas = Map::new();
    while let Some(name) = waiting.pop_first() {
        if schemas.contains_key(&name) {
            continue;
        }
        let found = &document["components"]["schemas"][&name];
        assert!(found.is_object(), "the description has no schema {name}");
        let adapted = adapt(found, required);
        waiting.append(&mut references(&adapted));
        schemas.insert(name, adapted);
    }
    out["components"] = json!({ "schemas": schemas });
    out
}

/// The names of the component schemas that a schema refers to.
fn references(schema: &Value) -> BTreeSet<String> {
    match schema {
        Value::Object(map) => {
            let own = map.get("$ref").and_then(Value::as_str).and_then(component);
            let deeper = map.values().flat_map(references);
            own.map(str::to_owned).into_iter().chain(deeper).collect()
        }
        Value::Array(list) => list.iter().flat_map(references).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => BTreeSet::new(),
    }
}

/// The name of the component schema a reference leads to.
pub(super) fn component(reference: &str) -> Option<&str> {
    reference.strip_prefix("#/components/schemas/")
}

fn adapt(schema: &Value, required: bool) -> Value {
    let Value::Object(map) = schema else {
        return schema.clone();
    };
    if let Some(reference) = map.get("$ref") {
        return json!({ "$ref": reference });
    }
    let mut out = Map::new();
    for (word, value) in map {
        let (word, value) = match word.as_str() {
            w if DROPPED.contains(&w) || w.starts_with("x-") => continue,
            "required" if !required => continue,
            "properties" => (word.as_str(), adapt_map(value, required)),
            "items" | "additionalProperties" | "not" => (word.as_str(), adapt(value, required)),
            "oneOf" | "anyOf" => ("anyOf", adapt_list(value, required)),
            "allOf" => ("allOf", adapt_list(value, required)),
            _ => (word.as_str(), value.clone()),
        };
        out.insert(word.to_owned(), value);
    }
    let out = Value::Object(out);
    if map.get("nullable") == Some(&Value::Bool(true)) {
        json!({"anyOf": [out, {"type": "null"}]})
    } else {
        out
    }
}

fn adapt_list(list: &Value, required: bool) -> Value {
    list.as_array()
        .into_iter()
        .flatten()
        .map(|one| adapt(one, required))
        .collect()
}

fn adapt_map(map: &Value, required: bool) -> Value {
    map.as_object()
        .into_iter()
        .flatten()
        .map(|(name, one)| (name.clone(), adapt(one, required)))
        .collect()
}
