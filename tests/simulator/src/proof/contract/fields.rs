//! Fields of an answer that its schema does not name.
//!
//! The description leaves `additionalProperties` open everywhere, so a validator lets a misspelt field pass. This walk
//! finds it. It must not judge values: that is the validator's part.

use serde_json::Value;

use super::adapt::component;

/// A field that no schema at its place names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unknown {
    /// The pointer of the object that has it.
    pub(super) place: String,
    /// The schema's name, a dot, and the field's name.
    pub(super) field: String,
}

/// All unknown fields of an instance, under a schema that carries its definitions.
pub(super) fn unknown(schema: &Value, instance: &Value) -> Vec<Unknown> {
    let mut found = Vec::new();
    walk(
        schema,
        &[("answer", schema)],
        instance,
        &mut String::new(),
        &mut found,
    );
    found
}

/// A schema without references and unions, and the name of the component it came from.
type Leaf<'a> = (&'a str, &'a Value);

fn walk(
    root: &Value,
    schemas: &[Leaf<'_>],
    instance: &Value,
    place: &mut String,
    found: &mut Vec<Unknown>,
) {
    let mut leaves = Vec::new();
    for (name, schema) in schemas {
        flatten(root, name, schema, 0, &mut leaves);
    }
    let length = place.len();
    match instance {
        Value::Array(list) => {
            let items: Vec<Leaf<'_>> = leaves
                .iter()
                .filter_map(|(n, leaf)| Some((*n, leaf.get("items")?)))
                .collect();
            for (i, one) in list.iter().enumerate() {
                *place += "/";
                *place += &i.to_string();
                walk(root, &items, one, place, found);
                place.truncate(length);
            }
        }
        Value::Object(map) => {
            let Some(owner) = leaves
                .iter()
                .find(|(_, leaf)| leaf.get("properties").is_some())
                .map(|(n, _)| *n)
            else {
                return;
            };
            for (key, value) in map {
                let Some(inner) = schemas_of(&leaves, key) else {
                    found.push(Unknown {
                        place: place.clone(),
                        field: format!("{owner}.{key}"),
                    });
                    continue;
                };
                *place += "/";
                *place += key;
                walk(root, &inner, value, place, found);
                place.truncate(length);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What the schemas say of a field: by its name, else of any other; `None` where they do not know it.
fn schemas_of<'a>(leaves: &[Leaf<'a>], key: &str) -> Option<Vec<Leaf<'a>>> {
    let named = under(leaves, |leaf| leaf.get("properties")?.get(key));
    let any = under(leaves, |leaf| {
        leaf.get("additionalProperties")
            .filter(|v| **v != Value::Bool(false))
    });
    [named, any].into_iter().find(|found| !found.is_empty())
}

fn under<'a>(leaves: &[Leaf<'a>], pick: impl Fn(&'a Value) -> Option<&'a Value>) -> Vec<Leaf<'a>> {
    leaves
        .iter()
        .filter_map(|(name, leaf)| Some((*name, pick(leaf)?)))
        .collect()
}

fn flatten<'a>(
    root: &'a Value,
    name: &'a str,
    schema: &'a Value,
    depth: usize,
    leaves: &mut Vec<Leaf<'a>>,
) {
    // The description's unions of queries and aggregations are recursive; none that answers carry is this deep.
    if depth > 16 {
        return;
    }
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(reference.trim_start_matches('#'));
        flatten(
            root,
            component(reference).unwrap_or(name),
            target.unwrap_or(&Value::Null),
            depth + 1,
            leaves,
        );
        return;
    }
    leaves.push((name, schema));
    for word in ["allOf", "anyOf"] {
        for part in schema
            .get(word)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            flatten(root, name, part, depth + 1, leaves);
        }
    }
}
