//! Datafeed configurations: PUT, `_update`, DELETE and how they are shown (reference section 7).

use serde_json::{Map, Value, json};

use super::{
    config::valid_id, core::Cluster, error::ApiError, model::Datafeed, open::invalid_id,
    tasks::feed_word, views::page,
};

impl Cluster {
    /// Checks that need no cluster.
    ///
    /// # Errors
    /// 400 for ids that are none, a missing job or missing indices.
    pub fn check_datafeed_body(id: &str, body: &Map<String, Value>) -> Result<(), ApiError> {
        if let Some(given) = body
            .get("datafeed_id")
            .and_then(Value::as_str)
            .filter(|given| *given != id)
        {
            return Err(ApiError::bad_argument(format!(
                "Inconsistent datafeed_id; '{given}' specified in the body differs from '{id}' specified as a URL argument"
            )));
        }
        if body.get("job_id").and_then(Value::as_str).is_none() {
            return Err(ApiError::bad_argument("[job_id] must not be null."));
        }
        if !valid_id(id) || id.len() > 64 {
            return Err(ApiError::status(400, invalid_id("datafeed_id", id)));
        }
        check_indices(body)
    }

    /// `PUT /_ml/datafeeds/{id}`.
    ///
    /// # Errors
    /// 404 without the job, 409 when the job has a datafeed, 400 when the id is taken.
    pub fn put_datafeed(&mut self, id: &str, body: &Map<String, Value>) -> Result<Value, ApiError> {
        if !self.master {
            return Err(ApiError::no_master());
        }
        let job = body
            .get("job_id")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        if let Some(other) = self.feed_of_job.get(&job) {
            return Err(ApiError::status(
                409,
                format!("A datafeed [{other}] already exists for job [{job}]"),
            ));
        }
        if self.feeds.contains_key(id) {
            return Err(ApiError::exists(format!(
                "A datafeed with id [{id}] already exists"
            )));
        }
        if !self.jobs.contains_key(&job) {
            return Err(ApiError::no_job(&job));
        }
        let config = normal(id, body);
        self.feed_of_job.insert(job.clone(), id.to_owned());
        self.feeds.insert(
            id.to_owned(),
            Datafeed {
                job,
                config: config.clone(),
            },
        );
        Ok(config.into())
    }

    /// `POST /_ml/datafeeds/{id}/_update`.
    ///
    /// # Errors
    /// 404, or 409 while it runs or when the new job has another datafeed.
    pub fn update_datafeed(
        &mut self,
        id: &str,
        body: &Map<String, Value>,
    ) -> Result<Value, ApiError> {
        if !self.master {
            return Err(ApiError::no_master());
        }
        let feed = self
            .feeds
            .get(id)
            .ok_or_else(|| ApiError::no_datafeed(id))?;
        if let Some(task) = self.feed_tasks.get(id) {
            return Err(ApiError::status(
                409,
                format!(
                    "Cannot update datafeed [{id}] while its status is {}",
                    feed_word(task)
                ),
            ));
        }
        if let Some(job) = body
            .get("job_id")
            .and_then(Value::as_str)
            .filter(|job| *job != feed.job)
        {
            if let Some(other) = self.feed_of_job.get(job) {
                return Err(ApiError::status(
                    409,
                    format!("A datafeed [{other}] already exists for job [{job}]"),
                ));
            }
            return Err(ApiError::bad_argument(
                "Datafeed's job_id can not be changed.",
            ));
        }
        let mut merged = feed.config.clone();
        for (name, value) in body {
            merged.insert(name.clone(), value.clone());
        }
        check_indices(&merged)?;
        let config = normal(id, &merged);
        if let Some(feed) = self.feeds.get_mut(id) {
            feed.config.clone_from(&config);
        }
        Ok(config.into())
    }

    /// `DELETE /_ml/datafeeds/{id}`.
    ///
    /// # Errors
    /// 404, or 409 while it runs unless forced.
    pub fn delete_datafeed(&mut self, id: &str, force: bool) -> Result<Value, ApiError> {
        if !self.master {
            return Err(ApiError::no_master());
        }
        if !self.feeds.contains_key(id) {
            return Err(ApiError::no_datafeed(id));
        }
        if let Some(task) = self.feed_tasks.get_mut(id) {
            if !force {
                return Err(ApiError::status(
                    409,
                    format!(
                        "Cannot delete datafeed [{id}] while its status is {}",
                        feed_word(task)
                    ),
                ));
            }
            task.isolated = true;
            self.remove_feed_task(id, "force delete");
        }
        if let Some(feed) = self.feeds.remove(id) {
            self.feed_of_job.remove(&feed.job);
        }
        self.settle();
        Ok(json!({"acknowledged": true}))
    }

    /// `GET /_ml/datafeeds[/{expr}]`.
    ///
    /// # Errors
    /// 404 of the expression.
    pub fn datafeeds(
        &self,
        expression: &str,
        allow_no_match: bool,
        bare: bool,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Value, ApiError> {
        let ids = self.feed_ids(expression, allow_no_match, false)?;
        let list: Vec<Value> = ids
            .iter()
            .filter_map(|id| self.feeds.get(id))
            .map(|feed| {
                let keeps = |name: &str| {
                    wanted(name) && !(bare && matches!(name, "datafeed_id" | "job_id"))
                };
                let kept = feed.config.iter().filter(|(name, _)| keeps(name));
                kept.map(|(name, value)| (name.clone(), value.clone()))
                    .collect::<Map<_, _>>()
                    .into()
            })
            .collect();
        Ok(page("datafeeds", list))
    }
}

/// A datafeed has indices, and none without a name.
fn check_indices(body: &Map<String, Value>) -> Result<(), ApiError> {
    let names: Vec<Value> = indices(body);
    if !names.is_empty() && names.iter().all(|name| name.as_str() != Some("")) {
        return Ok(());
    }
    let shown: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
    Err(ApiError::status(
        400,
        format!(
            "Invalid indices value '[{}]' in datafeed configuration",
            shown.join(", ")
        ),
    ))
}

/// The indices a body names, under either of their names.
pub(super) fn indices(body: &Map<String, Value>) -> Vec<Value> {
    let given = body.get("indices").or_else(|| body.get("indexes"));
    match given {
        Some(Value::Array(list)) => list.clone(),
        Some(Value::String(one)) => vec![one.clone().into()],
        Some(_) | None => Vec::new(),
    }
}

/// Without a delay Elasticsearch draws one between 60 and 120 s, with Java's generator seeded by the job id's hash: the same
/// job has the same delay for ever.
fn drawn_delay(job: &str) -> u64 {
    let hash = job.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    let mask = (1_i64 << 48) - 1;
    let mut seed = (i64::from(hash) ^ 0x5_DEEC_E66D) & mask;
    let mut next = || {
        seed = seed.wrapping_mul(0x5_DEEC_E66D).wrapping_add(0xB) & mask;
        // The upper 32 of 48 bits, as a signed number.
        i64::from(u32::try_from(seed >> 16).unwrap_or_default().cast_signed())
    };
    let drawn = (next() << 32).wrapping_add(next());
    60_000 + (drawn.cast_unsigned() >> 1) % 60_000
}

fn normal(id: &str, body: &Map<String, Value>) -> Map<String, Value> {
    let mut config = Map::new();
    let or = |name: &str, default: Value| body.get(name).cloned().unwrap_or(default);
    config.insert("datafeed_id".into(), id.into());
    config.insert("job_id".into(), or("job_id", Value::Null));
    let drawn = drawn_delay(
        body.get("job_id")
            .and_then(Value::as_str)
            .unwrap_or_default(),
    );
    config.insert(
        "query_delay".into(),
        or("query_delay", format!("{drawn}ms").into()),
    );
    if let Some(frequency) = body.get("frequency") {
        config.insert("frequency".into(), frequency.clone());
    }
    config.insert("indices".into(), indices(body).into());
    config.insert("query".into(), or("query", json!({"match_all": {}})));
    for name in [
        "aggregations",
        "aggs",
        "script_fields",
        "runtime_mappings",
        "max_empty_searches",
    ] {
        if let Some(value) = body.get(name) {
            config.insert(
                if name == "aggs" { "aggregations" } else { name }.into(),
                value.clone(),
            );
        }
    }
    config.insert("scroll_size".into(), or("scroll_size", 1000.into()));
    config.insert(
        "chunking_config".into(),
        or("chunking_config", json!({"mode": "auto"})),
    );
    config.insert(
        "delayed_data_check_config".into(),
        or("delayed_data_check_config", json!({"enabled": true})),
    );
    let options = json!({"expand_wildcards": ["open"], "ignore_unavailable": false, "allow_no_indices": true, "ignore_throttled": true});
    config.insert("indices_options".into(), or("indices_options", options));
    config
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_drawn_delay_is_the_recorded_one() {
        assert_eq!(
            (super::drawn_delay("jd"), super::drawn_delay("j1")),
            (118_421, 68_582)
        );
    }
}
