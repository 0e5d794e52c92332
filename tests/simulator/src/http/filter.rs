//! `filter_path`: keeps or drops parts of an answer, as XContent's filter does. Errors are never filtered.

use serde_json::{Map, Value};

use crate::cluster::expression::plain;

/// A parsed `filter_path`.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    includes: Vec<Vec<String>>,
    excludes: Vec<Vec<String>>,
}

impl Filter {
    /// Parses the parameter; empty means no filter.
    pub(crate) fn parse(text: &str) -> Self {
        let mut filter = Self::default();
        for path in text
            .split(',')
            .map(str::trim)
            .filter(|path| !path.is_empty())
        {
            let (list, path) = match path.strip_prefix('-') {
                Some(rest) => (&mut filter.excludes, rest),
                None => (&mut filter.includes, path),
            };
            list.push(split(path));
        }
        filter
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.includes.is_empty() && self.excludes.is_empty()
    }

    /// Applies the filter; what is left of nothing is `{}`.
    pub(crate) fn apply(&self, value: Value) -> Value {
        let mut value = value;
        if !self.includes.is_empty() {
            let paths: Vec<&[String]> = self.includes.iter().map(Vec::as_slice).collect();
            value = include(value, &paths).unwrap_or_else(|| Value::Object(Map::new()));
        }
        if !self.excludes.is_empty() {
            let paths: Vec<&[String]> = self.excludes.iter().map(Vec::as_slice).collect();
            value = exclude(value, &paths).unwrap_or_else(|| Value::Object(Map::new()));
        }
        value
    }

    /// Whether anything at this path or below it can be part of the answer: lets the cluster leave out the dear parts.
    pub(crate) fn wants(&self, path: &[&str]) -> bool {
        self.includes.is_empty() || self.includes.iter().any(|include| reaches(include, path))
    }
}

fn reaches(include: &[String], path: &[&str]) -> bool {
    match (include.split_first(), path.split_first()) {
        (None, _) | (_, None) => true,
        (Some((head, _)), _) if head == "**" => true,
        (Some((head, rest)), Some((name, below))) => plain(head, name) && reaches(rest, below),
    }
}

/// Splits at dots that no backslash protects.
fn split(path: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for sign in path.chars() {
        match sign {
            '\\' if !escaped => escaped = true,
            '.' if !escaped => parts.push(String::new()),
            other => {
                escaped = false;
                if let Some(last) = parts.last_mut() {
                    last.push(other);
                }
            }
        }
    }
    parts
}

/// What remains of the paths below `name`; `None` when the whole subtree is meant.
fn below<'p>(paths: &[&'p [String]], name: &str) -> Option<Vec<&'p [String]>> {
    let mut rest: Vec<&'p [String]> = Vec::new();
    for path in paths {
        let Some((head, tail)) = path.split_first() else {
            continue;
        };
        if head == "**" {
            rest.push(path);
            let (Some((next, after)), true) = (tail.split_first(), !tail.is_empty()) else {
                return None;
            };
            if plain(next, name) {
                if after.is_empty() {
                    return None;
                }
                rest.push(after);
            }
        } else if plain(head, name) {
            if tail.is_empty() {
                return None;
            }
            rest.push(tail);
        }
    }
    Some(rest)
}

fn include(value: Value, paths: &[&[String]]) -> Option<Value> {
    match value {
        Value::Object(map) => {
            let kept: Map<String, Value> = map
                .into_iter()
                .filter_map(|(name, inner)| match below(paths, &name) {
                    None => Some((name, inner)),
                    Some(rest) if rest.is_empty() => None,
                    Some(rest) => include(inner, &rest).map(|inner| (name, inner)),
                })
                .collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(list) => {
            let kept: Vec<Value> = list
                .into_iter()
                .filter_map(|inner| include(inner, paths))
                .collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn exclude(value: Value, paths: &[&[String]]) -> Option<Value> {
    match value {
        Value::Object(map) => {
            let before = map.len();
            let kept: Map<String, Value> = map
                .into_iter()
                .filter_map(|(name, inner)| match below(paths, &name) {
                    None => None,
                    Some(rest) if rest.is_empty() => Some((name, inner)),
                    Some(rest) => exclude(inner, &rest).map(|inner| (name, inner)),
                })
                .collect();
            (before == 0 || !kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(list) => {
            let before = list.len();
            let kept: Vec<Value> = list
                .into_iter()
                .filter_map(|inner| exclude(inner, paths))
                .collect();
            (before == 0 || !kept.is_empty()).then_some(Value::Array(kept))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(value),
    }
}

#[cfg(test)]
mod tests {
    use super::Filter;
    use serde_json::json;

    #[test]
    fn paths_keep_subtrees_and_drop_empty_parents() {
        let answer = json!({"count": 1, "jobs": [{"job_id": "a", "state": "opened", "node": {"attributes": {"xpack.installed": "true", "ml.x": "1"}}}]});
        let keep = |path: &str| Filter::parse(path).apply(answer.clone());
        assert_eq!(
            keep("count,jobs.job_id"),
            json!({"count": 1, "jobs": [{"job_id": "a"}]})
        );
        assert_eq!(keep("nothing"), json!({}));
        assert_eq!(keep("-jobs"), json!({"count": 1}));
        assert_eq!(keep("**.state"), json!({"jobs": [{"state": "opened"}]}));
        assert_eq!(keep(""), answer);
    }

    #[test]
    fn a_star_stands_for_one_name_and_may_hold_slashes() {
        let answer = json!({"tasks": [{"id": "job-a", "task": {"xpack/ml/job": {"params": {"x": 1}, "state": {"state": "opened"}}}}]});
        assert_eq!(
            Filter::parse("tasks.task.*.state").apply(answer.clone()),
            json!({"tasks": [{"task": {"xpack/ml/job": {"state": {"state": "opened"}}}}]})
        );
        assert_eq!(
            Filter::parse("tasks.task.xpack/ml/job.state.state").apply(answer),
            json!({"tasks": [{"task": {"xpack/ml/job": {"state": {"state": "opened"}}}}]})
        );
    }
}
