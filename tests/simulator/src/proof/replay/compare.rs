//! Whether an answer is the recorded one: what may differ is normalised or left out, all else must be equal.
//!
//! It implements the `volatile` rules and the normalisations of `tests/contract/recorded/README.md` and nothing beyond
//! them. It must not grow an exception for a fault of the simulator.

use std::collections::HashSet;

use serde_json::Value;

use super::text::text_normalised;
use crate::proof::wire::Answer;

/// The headers that were recorded when present; their absence counts as well.
const HEADERS: [&str; 4] = ["content-type", "allow", "warning", "www-authenticate"];

/// What of an answer is free: from a conversation's `volatile` list.
#[derive(Debug, Default)]
pub(crate) struct Volatile {
    names: HashSet<String>,
    pointers: Vec<Vec<String>>,
    unordered: Vec<Vec<String>>,
}

impl Volatile {
    pub(crate) fn new(rules: &[&str]) -> Self {
        let mut volatile = Self::default();
        for rule in rules {
            if let Some(pointer) = rule.strip_prefix("unordered:") {
                volatile.unordered.push(segments(pointer));
            } else if rule.starts_with('/') {
                volatile.pointers.push(segments(rule));
            } else if *rule != "text:capacity" {
                // `text:capacity` names the normalisation of node memory and node names, which is done for every text.
                volatile.names.insert((*rule).to_owned());
            }
        }
        volatile
    }

    fn free(&self, path: &[String]) -> bool {
        self.pointers.iter().any(|pattern| matches(pattern, path))
    }

    fn is_unordered(&self, path: &[String]) -> bool {
        self.unordered.iter().any(|pattern| matches(pattern, path))
    }
}

fn segments(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(str::to_owned).collect()
}

fn matches(pattern: &[String], path: &[String]) -> bool {
    pattern.len() == path.len() && pattern.iter().zip(path).all(|(p, s)| p == "*" || p == s)
}

/// All differences between an answer and what was recorded, one line each; empty when there is none.
pub(crate) fn differences(expected: &Value, answer: &Answer, volatile: &Volatile) -> Vec<String> {
    let mut found = Vec::new();
    let status = expected["status"].as_u64();
    if status != Some(u64::from(answer.status)) {
        found.push(format!(
            "status: expected {}, got {}",
            expected["status"], answer.status
        ));
    }
    for name in HEADERS {
        let recorded = recorded_header(&expected["headers"][name]);
        let mut got: Vec<String> = answer
            .header_values(name)
            .into_iter()
            .map(|v| header_text(name, v))
            .collect();
        got.sort();
        let recorded: Vec<String> = sorted(recorded.iter().map(|v| header_text(name, v)).collect());
        if recorded != got {
            found.push(format!("header {name}: expected {recorded:?}, got {got:?}"));
        }
    }
    body_differences(expected, answer, volatile, &mut found);
    found
}

fn body_differences(
    expected: &Value,
    answer: &Answer,
    volatile: &Volatile,
    found: &mut Vec<String>,
) {
    if let Some(text) = expected.get("body_text").and_then(Value::as_str) {
        let (want, got) = (text_normalised(text), text_normalised(&answer.text()));
        if want != got {
            found.push(format!("body: expected the text {want:?}, got {got:?}"));
        }
        return;
    }
    let Some(body) = expected.get("body") else {
        return;
    };
    if body == "{{*}}" {
        return;
    }
    let Ok(got) = serde_json::from_slice::<Value>(&answer.body) else {
        found.push(format!(
            "body: expected {body}, got no JSON but {:?}",
            answer.text()
        ));
        return;
    };
    let indented = answer.text().starts_with("{\n  ");
    if indented != expected["pretty"].as_bool().unwrap_or(false) {
        found.push(format!("body: indented is {indented}"));
    }
    compare(body, &got, &mut Vec::new(), volatile, found);
}

fn recorded_header(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

fn header_text(name: &str, value: &str) -> String {
    if name == "allow" {
        sorted(value.split(',').map(|m| m.trim().to_owned()).collect()).join(",")
    } else {
        text_normalised(value)
    }
}

pub(super) fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort();
    list
}

fn compare(
    want: &Value,
    got: &Value,
    path: &mut Vec<String>,
    volatile: &Volatile,
    found: &mut Vec<String>,
) {
    if volatile.free(path) {
        return;
    }
    match (want, got) {
        (Value::Object(w), Value::Object(g)) => {
            for (key, value) in w {
                path.push(key.clone());
                match g.get(key) {
                    None => found.push(format!("{}: missing, expected {value}", shown(path))),
                    Some(other)
                        if volatile.names.contains(key) && scalar(value) && scalar(other) => {}
                    Some(other) => compare(value, other, path, volatile, found),
                }
                path.pop();
            }
            for (key, value) in g.iter().filter(|(key, _)| !w.contains_key(*key)) {
                found.push(format!("{}/{key}: not expected, got {value}", shown(path)));
            }
        }
        (Value::Array(w), Value::Array(g)) if w.len() == g.len() => {
            if volatile.is_unordered(path) {
                compare_unordered(w, g, path, volatile, found);
                return;
            }
            for (i, (one, other)) in w.iter().zip(g).enumerate() {
                path.push(i.to_string());
                compare(one, other, path, volatile, found);
                path.pop();
            }
        }
        (Value::String(w), Value::String(g)) if text_normalised(w) == text_normalised(g) => {}
        _ if want == got => {}
        _ => found.push(format!("{}: expected {want}, got {got}", shown(path))),
    }
}

fn compare_unordered(
    want: &[Value],
    got: &[Value],
    path: &mut Vec<String>,
    volatile: &Volatile,
    found: &mut Vec<String>,
) {
    let mut left: Vec<&Value> = got.iter().collect();
    for one in want {
        path.push("*".into());
        let same = left.iter().position(|other| {
            let mut none = Vec::new();
            compare(one, other, path, volatile, &mut none);
            none.is_empty()
        });
        path.pop();
        match same {
            Some(index) => drop(left.remove(index)),
            None => found.push(format!(
                "{}: expected in any order {one}, left over {left:?}",
                shown(path)
            )),
        }
    }
}

fn scalar(value: &Value) -> bool {
    !value.is_object() && !value.is_array()
}

fn shown(path: &[String]) -> String {
    path.iter().fold(String::new(), |text, s| text + "/" + s)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(body: &Value) -> Answer {
        Answer {
            status: 200,
            headers: vec![],
            body: body.to_string().into_bytes(),
        }
    }

    fn differ(rules: &[&str], want: &Value, got: &Value) -> usize {
        differences(
            &json!({"status": 200, "body": want}),
            &answer(got),
            &Volatile::new(rules),
        )
        .len()
    }

    #[test]
    fn a_volatile_name_frees_scalars_only_and_must_be_there() {
        assert_eq!(
            differ(&["node"], &json!({"node": "a"}), &json!({"node": "b"})),
            0
        );
        assert_eq!(differ(&["node"], &json!({"node": "a"}), &json!({})), 1);
        assert_eq!(
            differ(&["node"], &json!({"node": "a"}), &json!({"node": {}})),
            1
        );
        assert_eq!(
            differ(
                &["node"],
                &json!({"node": {"id": 1}}),
                &json!({"node": {"id": 2}})
            ),
            1
        );
    }

    #[test]
    fn a_pointer_frees_one_place_and_an_unordered_array_only_its_order() {
        assert_eq!(
            differ(
                &["/jobs/*/id"],
                &json!({"jobs": [{"id": 1}]}),
                &json!({"jobs": [{"id": 2}]})
            ),
            0
        );
        assert_eq!(
            differ(
                &["/jobs/*/id"],
                &json!({"jobs": [{"id": 1, "n": 1}]}),
                &json!({"jobs": [{"id": 2, "n": 2}]})
            ),
            1
        );
        assert_eq!(
            differ(
                &["unordered:/a"],
                &json!({"a": [1, 2]}),
                &json!({"a": [2, 1]})
            ),
            0
        );
        assert_eq!(
            differ(
                &["unordered:/a"],
                &json!({"a": [1, 2]}),
                &json!({"a": [2, 2]})
            ),
            1
        );
        assert_eq!(differ(&[], &json!({"a": [1, 2]}), &json!({"a": [2, 1]})), 2);
    }

    #[test]
    fn a_wrong_status_header_or_field_is_a_difference() {
        let volatile = Volatile::new(&[]);
        let mut got = answer(&json!({"closed": true}));
        let want = json!({"status": 200, "headers": {}, "body": {"closed": true}});
        assert_eq!(differences(&want, &got, &volatile), Vec::<String>::new());
        got.headers
            .push(("warning".into(), "299 Elasticsearch-9 \"x\"".into()));
        got.status = 202;
        got.body = br#"{"closed":false,"more":1}"#.to_vec();
        assert_eq!(differences(&want, &got, &volatile).len(), 4);
    }
}
