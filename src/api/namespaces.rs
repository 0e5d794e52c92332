//! Whom a ClusterElasticsearchConnection serves: namespaces by name or by their labels, each with what they may do.
//!
//! It is data with one question, answered from a name and labels that are told; nothing is read here.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::allow::Allow;
use super::schema;

/// Labels of a namespace.
pub type Labels = BTreeMap<String, String>;

/// Some namespaces, and what their AnomalyJobs may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::allowed_namespaces_rules()))]
pub struct AllowedNamespaces {
    /// The namespaces by their names. Not together with `selector`. Example: `[team-a, team-b]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::namespace_names")]
    pub names: Option<Vec<String>>,

    /// The namespaces by their labels. `{}` means every namespace. Not together with `names`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "NamespaceSelector")]
    pub selector: Option<NamespaceSelector>,

    /// What AnomalyJobs of these namespaces may do through the connection. Default: everything.
    #[serde(default)]
    pub allow: Allow,
}

/// Labels that a namespace must have: all that is said must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// Labels with their values. Every namespace has the label `kubernetes.io/metadata.name`, which is its name.
    /// Example: `{ml: enabled}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub match_labels: Labels,

    /// What else must hold of labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    pub match_expressions: Vec<LabelRequirement>,
}

/// What must hold of a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::label_requirement_rules()))]
pub struct LabelRequirement {
    /// The label. Example: `team`.
    #[schemars(schema_with = "schema::label_key")]
    pub key: String,

    /// What must hold of it.
    /// - `In`: the namespace has it, with one of `values`.
    /// - `NotIn`: the namespace does not have it, or with none of `values`.
    /// - `Exists`: the namespace has it.
    /// - `DoesNotExist`: the namespace does not have it.
    pub operator: LabelOperator,

    /// The values, for `In` and `NotIn`. Example: `[search, logs]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::label_values")]
    pub values: Vec<String>,
}

/// What must hold of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LabelOperator {
    /// There, with one of the values.
    In,
    /// Not there, or with none of the values.
    NotIn,
    /// There.
    Exists,
    /// Not there.
    DoesNotExist,
}

/// What a namespace is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granted<'a> {
    /// This.
    This(&'a Allow),
    /// It is not served.
    Nothing,
    /// Only its labels can tell.
    NotKnown,
}

impl<'a> Granted<'a> {
    /// By the first of these entries that means the namespace; one that cannot be told keeps all behind it from counting.
    pub fn by(entries: &'a [AllowedNamespaces], namespace: &str, labels: Option<&Labels>) -> Self {
        for entry in entries {
            match entry.mean(namespace, labels) {
                Some(true) => return Self::This(&entry.allow),
                Some(false) => {}
                None => return Self::NotKnown,
            }
        }
        Self::Nothing
    }
}

impl AllowedNamespaces {
    /// Whether this namespace is meant; `None` where only labels can tell, and none were given.
    pub fn mean(&self, namespace: &str, labels: Option<&Labels>) -> Option<bool> {
        if let Some(names) = &self.names {
            return Some(names.iter().any(|name| name == namespace));
        }
        match &self.selector {
            None => Some(false),
            Some(selector) if selector.is_everything() => Some(true),
            Some(selector) => labels.map(|labels| selector.matches(labels)),
        }
    }

    /// Whether labels have to be known to tell whom it means.
    pub fn needs_labels(&self) -> bool {
        let selector = self.selector.as_ref();
        self.names.is_none() && selector.is_some_and(|selector| !selector.is_everything())
    }
}

impl NamespaceSelector {
    fn is_everything(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    fn matches(&self, labels: &Labels) -> bool {
        let has = |(key, value): (&String, &String)| labels.get(key) == Some(value);
        let holds = |requirement: &LabelRequirement| requirement.holds(labels);
        self.match_labels.iter().all(has) && self.match_expressions.iter().all(holds)
    }
}

impl LabelRequirement {
    fn holds(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        let listed = value.is_some_and(|value| self.values.contains(value));
        match self.operator {
            LabelOperator::In => listed,
            LabelOperator::NotIn => !listed,
            LabelOperator::Exists => value.is_some(),
            LabelOperator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn entry(value: Value) -> AllowedNamespaces {
        serde_json::from_value(value).unwrap()
    }

    fn labels(all: &[(&str, &str)]) -> Labels {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        all.iter().map(owned).collect()
    }

    #[test]
    fn a_name_means_that_namespace_whatever_its_labels_are() {
        let named = entry(json!({"names": ["team-a", "team-b"]}));
        assert_eq!(named.mean("team-a", None), Some(true));
        assert_eq!(named.mean("team", Some(&labels(&[]))), Some(false));
        assert!(!named.needs_labels());
    }

    #[test]
    fn a_selector_without_labels_tells_nothing_unless_it_means_all() {
        let all = entry(json!({"selector": {}}));
        assert_eq!(
            (all.mean("x", None), all.needs_labels()),
            (Some(true), false)
        );
        let some = entry(json!({"selector": {"matchLabels": {"ml": "yes"}}}));
        assert_eq!((some.mean("x", None), some.needs_labels()), (None, true));
    }

    #[test]
    fn selectors_match_as_those_of_kubernetes_do() {
        let team = |operator: &str, values: Value| json!({"matchExpressions": [{"key": "team", "operator": operator, "values": values}]});
        let (none, search, logs) = (labels(&[]), [("team", "search")], [("team", "logs")]);
        let (search, logs) = (labels(&search), labels(&logs));
        for (selector, expected) in [
            (
                json!({"matchLabels": {"team": "search"}}),
                [false, true, false],
            ),
            (team("In", json!(["search", "x"])), [false, true, false]),
            (team("NotIn", json!(["search"])), [true, false, true]),
            (team("Exists", json!([])), [false, true, true]),
            (team("DoesNotExist", json!([])), [true, false, false]),
            (
                json!({"matchLabels": {"team": "logs", "ml": "yes"}}),
                [false, false, false],
            ),
        ] {
            let entry = entry(json!({ "selector": selector }));
            let found = [&none, &search, &logs].map(|labels| entry.mean("x", Some(labels)));
            assert_eq!(found, expected.map(Some), "{selector}");
        }
    }

    #[test]
    fn an_entry_that_says_neither_means_nobody() {
        // The API server refuses it; an object that is older than that rule may still be there.
        let neither = entry(json!({}));
        assert_eq!(neither.mean("x", Some(&labels(&[]))), Some(false));
    }
}
