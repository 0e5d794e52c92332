//! What every property of every kind must have; walked over the generated schema, so that a new
//! field cannot forget it.

use serde_json::{Map, Value};

use super::crds;

/// Calls `visit` for every property below the root, with its path.
fn walk(path: &str, schema: &Value, visit: &mut dyn FnMut(&str, &Map<String, Value>)) {
    let Some(object) = schema.as_object() else {
        return;
    };
    visit(path, object);
    for (name, property) in object
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        walk(&format!("{path}.{name}"), property, visit);
    }
    if let Some(items) = object.get("items") {
        walk(&format!("{path}[]"), items, visit);
    }
}

fn each_property(mut visit: impl FnMut(&str, &Map<String, Value>)) {
    for crd in crds() {
        let kind = &crd.spec.names.kind;
        for version in &crd.spec.versions {
            let schema = version
                .schema
                .as_ref()
                .and_then(|s| s.open_api_v3_schema.as_ref());
            let root = serde_json::to_value(schema).unwrap();
            walk(kind, &root, &mut visit);
        }
    }
}

fn offenders(mut wrong: impl FnMut(&str, &Map<String, Value>) -> Option<String>) -> Vec<String> {
    let (mut found, mut seen) = (Vec::new(), 0);
    each_property(|path, schema| {
        seen += 1;
        found.extend(wrong(path, schema).map(|why| format!("{path}: {why}")));
    });
    assert!(seen > 60, "the walk saw only {seen} properties");
    found
}

fn is(schema: &Map<String, Value>, kind: &str) -> bool {
    schema.get("type").and_then(Value::as_str) == Some(kind)
}

#[test]
fn every_property_is_described_and_forms_have_an_example() {
    let none: [String; 0] = [];
    assert_eq!(
        offenders(|path, schema| {
            let text = schema
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let has_form = ["pattern", "format"]
                .iter()
                .any(|k| schema.contains_key(*k));
            // Items of a list of words are described by their list.
            if path.ends_with("[]") && !is(schema, "object") {
                return None;
            }
            match () {
                () if text.len() < 15 => Some(format!("description {text:?}")),
                () if text.contains("Auto-generated") => Some("generated description".to_owned()),
                () if has_form && !text.contains("xample") && !text.contains("Default: `") => {
                    Some("no example".to_owned())
                }
                () => None,
            }
        }),
        none
    );
}

#[test]
fn every_value_of_an_enum_is_explained_at_its_field() {
    let none: [String; 0] = [];
    assert_eq!(
        offenders(|_, schema| {
            let text = schema
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let values = schema
                .get("enum")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            let missing: Vec<_> = values
                .filter_map(Value::as_str)
                .filter(|value| !text.contains(&format!("`{value}`")))
                .collect();
            (!missing.is_empty()).then(|| format!("does not explain {missing:?}"))
        }),
        none
    );
}

#[test]
fn every_string_list_and_integer_is_bounded() {
    let none: [String; 0] = [];
    assert_eq!(
        offenders(|_, schema| {
            let lacks = |keys: &[&str]| keys.iter().any(|key| !schema.contains_key(*key));
            if is(schema, "string") && !schema.contains_key("enum") && lacks(&["maxLength"]) {
                return Some("a string without maxLength".to_owned());
            }
            if is(schema, "array") && lacks(&["maxItems", "x-kubernetes-list-type"]) {
                return Some("a list without maxItems or list-type".to_owned());
            }
            if is(schema, "integer") && lacks(&["minimum", "maximum"]) {
                return Some("an integer without a range".to_owned());
            }
            None
        }),
        none
    );
}

#[test]
fn nothing_is_nullable_untyped_or_of_a_format_that_kubernetes_does_not_know() {
    let none: [String; 0] = [];
    assert_eq!(
        offenders(|_, schema| {
            let format = schema
                .get("format")
                .and_then(Value::as_str)
                .unwrap_or("int64");
            match () {
                () if schema.contains_key("nullable") => Some("nullable".to_owned()),
                () if !schema.contains_key("type") => Some("without a type".to_owned()),
                () if is(schema, "number") => Some("a float".to_owned()),
                () if !["int32", "int64", "date-time"].contains(&format) => {
                    Some(format!("format {format}"))
                }
                () if ["oneOf", "anyOf", "$ref"]
                    .iter()
                    .any(|k| schema.contains_key(*k)) =>
                {
                    Some("not plain".to_owned())
                }
                () => None,
            }
        }),
        none
    );
}

#[test]
fn rules_say_what_would_be_right_and_none_stands_at_the_root() {
    let none: [String; 0] = [];
    assert_eq!(
        offenders(|path, schema| {
            let rules = schema
                .get("x-kubernetes-validations")
                .and_then(Value::as_array)?;
            let silent = rules.iter().any(|rule| rule.get("message").is_none());
            match () {
                () if silent => Some("a rule without a message".to_owned()),
                () if !path.contains('.') => Some("a rule at the root".to_owned()),
                () => None,
            }
        }),
        none
    );
}

#[test]
fn references_never_cross_a_namespace() {
    let none: [String; 0] = [];
    assert_eq!(
        offenders(
            |path, _| (path.contains("Ref.") && path.ends_with(".namespace")).then(String::new)
        ),
        none
    );
}

#[test]
fn the_default_of_close_is_the_whole_policy() {
    let mut default = None;
    each_property(|path, schema| {
        if path == "AnomalyJob.spec.close" {
            default = schema.get("default").cloned();
        }
    });
    let policy = serde_json::json!({"mode": "Graceful", "timeout": "30m", "onTimeout": "Force", "onFailed": "Force"});
    assert_eq!(default, Some(policy));
}
