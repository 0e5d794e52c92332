//! Cluster settings, calendars, indices and licence: the small things around ML that the recorded conversations touch.

use serde_json::{Map, Value, json};

use super::{config::missing_index, core::Cluster, error::ApiError, expression::plain};

/// Nests dotted keys: `a.b` = `c` becomes `{"a":{"b":"c"}}`.
fn nest(flat: &std::collections::BTreeMap<String, String>, keys: &[String]) -> Value {
    let mut root = Map::new();
    for (key, value) in flat.iter().filter(|(key, _)| keys.contains(key)) {
        let parts: Vec<&str> = key.split('.').collect();
        let mut at = &mut root;
        for part in parts.iter().take(parts.len().saturating_sub(1)) {
            let next = at.entry(*part).or_insert_with(|| json!({}));
            let Some(map) = next.as_object_mut() else {
                return Value::Object(root);
            };
            at = map;
        }
        if let Some(last) = parts.last() {
            at.insert((*last).into(), value.clone().into());
        }
    }
    Value::Object(root)
}

fn flatten(prefix: &str, value: &Value, out: &mut Vec<(String, Option<String>)>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                let key = if prefix.is_empty() {
                    name.clone()
                } else {
                    format!("{prefix}.{name}")
                };
                flatten(&key, inner, out);
            }
        }
        Value::Null => out.push((prefix.to_owned(), None)),
        Value::String(text) => out.push((prefix.to_owned(), Some(text.clone()))),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            out.push((prefix.to_owned(), Some(value.to_string())));
        }
    }
}

impl Cluster {
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        self.transient
            .get(name)
            .or_else(|| self.persistent.get(name))
            .map(String::as_str)
    }

    /// `PUT /_cluster/settings`; the answer holds what was set in this call.
    ///
    /// # Errors
    /// 400 for values out of range.
    pub fn put_settings(&mut self, body: &Map<String, Value>) -> Result<Value, ApiError> {
        let mut answer = json!({"acknowledged": true, "persistent": {}, "transient": {}});
        for scope in ["persistent", "transient"] {
            let mut changes = Vec::new();
            flatten("", body.get(scope).unwrap_or(&Value::Null), &mut changes);
            changes.retain(|(key, _)| !key.is_empty());
            for (key, value) in &changes {
                check_setting(key, value.as_deref())?;
            }
            let store = if scope == "transient" {
                &mut self.transient
            } else {
                &mut self.persistent
            };
            for (key, value) in &changes {
                match value {
                    Some(value) => drop(store.insert(key.clone(), value.clone())),
                    None => store.retain(|name, _| name != key && !plain(key, name)),
                }
            }
            let keys: Vec<String> = changes
                .into_iter()
                .filter(|(_, value)| value.is_some())
                .map(|(key, _)| key)
                .collect();
            let shown = nest(store, &keys);
            if let Some(map) = answer.as_object_mut() {
                map.insert(scope.into(), shown);
            }
        }
        self.assign_enabled =
            self.setting("cluster.persistent_tasks.allocation.enable") != Some("none");
        let max = self
            .setting("xpack.ml.max_open_jobs")
            .and_then(|value| value.parse().ok());
        self.capacity.max_open_jobs = max.or(self.profile.default_max_open_jobs());
        self.look_for_nodes();
        self.settle();
        Ok(answer)
    }

    /// `GET /_cluster/settings`.
    pub fn settings(&self) -> Value {
        let all = |store: &std::collections::BTreeMap<String, String>| {
            nest(store, &store.keys().cloned().collect::<Vec<_>>())
        };
        json!({"persistent": all(&self.persistent), "transient": all(&self.transient)})
    }

    /// `PUT /{index}`.
    ///
    /// # Errors
    /// 400 for bad names and for an index that exists.
    pub fn put_index(&mut self, name: &str) -> Result<Value, ApiError> {
        check_index_name(name)?;
        if !self.indices.insert(name.to_owned()) {
            return Err(
                ApiError::exists(format!("index [{name}/simulated] already exists"))
                    .with("index_uuid", "simulated")
                    .with("index", name),
            );
        }
        Ok(json!({"acknowledged": true, "shards_acknowledged": true, "index": name}))
    }

    /// `DELETE /{index}`, wildcards allowed.
    ///
    /// # Errors
    /// 404 for an unknown literal.
    pub fn delete_index(&mut self, expression: &str, lenient: bool) -> Result<Value, ApiError> {
        for token in expression.split(',') {
            let results = self.delete_results(token);
            if token.contains('*') {
                self.indices.retain(|name| !plain(token, name));
            } else if !self.indices.remove(token) && !results && !lenient {
                return Err(missing_index(token));
            }
        }
        Ok(json!({"acknowledged": true}))
    }

    /// `GET /{index}`.
    ///
    /// # Errors
    /// 400 for bad names, 404 for unknown ones.
    pub fn get_index(&self, name: &str) -> Result<Value, ApiError> {
        check_index_name(name)?;
        if !self.indices.contains(name) {
            return Err(missing_index(name));
        }
        Ok(json!({name: {"aliases": {}, "mappings": {}, "settings": {}}}))
    }

    /// `PUT /_ml/calendars/{id}`.
    ///
    /// # Errors
    /// 400 when it exists.
    pub fn put_calendar(&mut self, id: &str, jobs: &[String]) -> Result<Value, ApiError> {
        if self.calendars.contains_key(id) {
            return Err(ApiError::status(
                400,
                format!("Cannot create calendar with id [{id}] as it already exists"),
            ));
        }
        self.calendars.insert(id.to_owned(), jobs.to_vec());
        Ok(json!({"calendar_id": id, "job_ids": jobs}))
    }

    /// `GET /_ml/calendars[/{id}]`.
    ///
    /// # Errors
    /// 404 for an unknown id.
    pub fn calendars(&self, id: Option<&str>) -> Result<Value, ApiError> {
        let wanted = id.filter(|id| !matches!(*id, "_all" | "*" | ""));
        if let Some(id) = wanted.filter(|id| !id.contains('*') && !self.calendars.contains_key(*id))
        {
            return Err(ApiError::not_found(format!("No calendar with id [{id}]")));
        }
        let list: Vec<Value> = self
            .calendars
            .iter()
            .filter(|(name, _)| wanted.is_none_or(|wanted| plain(wanted, name)))
            .map(|(id, jobs)| json!({"calendar_id": id, "job_ids": jobs}))
            .collect();
        Ok(json!({"count": list.len(), "calendars": list}))
    }

    /// `DELETE /_ml/calendars/{id}`.
    ///
    /// # Errors
    /// 404 for an unknown id.
    pub fn delete_calendar(&mut self, id: &str) -> Result<Value, ApiError> {
        match self.calendars.remove(id) {
            Some(_) => Ok(json!({"acknowledged": true})),
            None => Err(ApiError::not_found(format!("No calendar with id [{id}]"))),
        }
    }
}

fn check_setting(key: &str, value: Option<&str>) -> Result<(), ApiError> {
    let (Some(value), "xpack.ml.max_open_jobs") = (value, key) else {
        return Ok(());
    };
    let bad = |rule: &str| {
        ApiError::bad_argument(format!(
            "Failed to parse value [{value}] for setting [{key}] must be {rule}"
        ))
    };
    match value.parse::<i64>() {
        Ok(number) if number < 1 => Err(bad(">= 1")),
        Ok(number) if number > 512 => Err(bad("<= 512")),
        Ok(_) => Ok(()),
        Err(_) => Err(ApiError::bad_argument(format!(
            "Failed to parse value [{value}] for setting [{key}]"
        ))),
    }
}

/// Index names that start with `_`, `-` or `+` are refused.
pub(super) fn check_index_name(name: &str) -> Result<(), ApiError> {
    let rule = if name.starts_with(['_', '-', '+']) {
        "must not start with '_'."
    } else if name.chars().any(char::is_uppercase) {
        "must be lowercase"
    } else {
        return Ok(());
    };
    let rule = if rule.starts_with("must not") && !name.starts_with('_') {
        "must not start with '_', '-', or '+'"
    } else {
        rule
    };
    Err(ApiError::new(
        400,
        "invalid_index_name_exception",
        format!("Invalid index name [{name}], {rule}"),
    )
    .with("index_uuid", "_na_")
    .with("index", name))
}

impl Cluster {
    /// Makes an index known, as writing a document does.
    pub fn ensure_index(&mut self, name: &str) {
        self.indices.insert(name.to_owned());
    }

    /// A document nobody has written.
    ///
    /// # Errors
    /// Always: 404 for the index.
    pub fn get_document(&self, index: &str) -> Result<Value, ApiError> {
        Err(missing_index(index))
    }

    /// The cluster state without a master: 503 after the master timeout.
    pub fn state_without_master(&mut self) -> super::core::Reply {
        self.without_master()
    }
}
