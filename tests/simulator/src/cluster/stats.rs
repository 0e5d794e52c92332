//! `_stats` of jobs and datafeeds (reference 5.2 and 7). A caller that filters says so, and only those fields are built.

use serde_json::{Map, Value, json};

use super::{
    core::Cluster,
    error::ApiError,
    expression::Expression,
    model::{Counts, Node, Place},
    tasks::feed_word,
    views::page,
};

/// Which top-level fields of an entry are wanted.
pub type Wanted<'a> = &'a dyn Fn(&str) -> bool;

/// `data_counts` of a job.
pub(super) fn data_counts(id: &str, counts: &Counts) -> Value {
    let mut shown = json!({
        "job_id": id, "processed_record_count": counts.records, "processed_field_count": 0, "input_bytes": counts.bytes, "input_field_count": 0,
        "invalid_date_count": 0, "missing_field_count": 0, "out_of_order_timestamp_count": 0, "empty_bucket_count": 0, "sparse_bucket_count": 0,
        "bucket_count": 0,
    });
    if let Some(map) = shown.as_object_mut() {
        for (name, value) in [
            ("earliest_record_timestamp", counts.earliest),
            ("latest_record_timestamp", counts.latest),
            ("last_data_time", counts.last_data_time),
        ] {
            if let Some(value) = value {
                map.insert(name.into(), value.into());
            }
        }
        map.insert("input_record_count".into(), counts.records.into());
    }
    shown
}

/// The fields of an entry of jobs, in order.
const JOB_FIELDS: [&str; 9] = [
    "job_id",
    "data_counts",
    "model_size_stats",
    "forecasts_stats",
    "state",
    "node",
    "assignment_explanation",
    "open_time",
    "timing_stats",
];

impl Cluster {
    /// Ids `_stats` of jobs would list.
    pub(super) fn stats_ids(
        &self,
        expression: &str,
        allow_no_match: bool,
    ) -> Result<Vec<String>, ApiError> {
        let expression = Expression::parse(expression);
        self.searched(1);
        expression.check()?;
        if let Some(id) = expression.single_literal()
            && (self.tasks.contains_key(id) || self.jobs.get(id).is_some_and(|job| !job.deleting))
        {
            return Ok(vec![id.to_owned()]);
        }
        let entries = self
            .jobs
            .values()
            .filter(|job| !job.deleting)
            .map(|job| (job.id.as_str(), job.groups.as_slice()));
        expression
            .resolve(
                entries,
                self.tasks.keys().map(String::as_str),
                allow_no_match,
            )
            .map_err(|tokens| ApiError::no_job(&tokens))
    }

    /// What statistics of these jobs cost: a live process tells its own counts and leaves one search for its forecasts,
    /// the others are four searches each (reference 17.17).
    pub(super) fn count_stats(&self, ids: &[String]) {
        let live = ids
            .iter()
            .filter(|id| self.tasks.get(*id).is_some_and(|task| task.live))
            .count();
        self.searched(live + 4 * (ids.len() - live));
    }

    /// `GET /_ml/anomaly_detectors[/{expr}]/_stats`.
    ///
    /// # Errors
    /// 404 of the expression.
    pub fn job_stats(
        &self,
        expression: &str,
        allow_no_match: bool,
        wanted: Wanted,
    ) -> Result<Value, ApiError> {
        let ids = self.stats_ids(expression, allow_no_match)?;
        self.count_stats(&ids);
        self.results_readable(&ids)?;
        let keeps: Vec<&str> = JOB_FIELDS.into_iter().filter(|name| wanted(name)).collect();
        let list: Vec<Value> = ids
            .iter()
            .map(|id| self.one_job(id, &|name| keeps.contains(&name)))
            .collect();
        Ok(page("jobs", list))
    }

    fn one_job(&self, id: &str, wanted: Wanted) -> Value {
        let mut entry = Map::with_capacity(9);
        let mut put = |name: &str, value: &dyn Fn() -> Option<Value>| {
            if wanted(name)
                && let Some(value) = value()
            {
                entry.insert(name.into(), value);
            }
        };
        let task = self.tasks.get(id);
        put("job_id", &|| Some(id.into()));
        put("data_counts", &|| {
            Some(data_counts(
                id,
                &self
                    .jobs
                    .get(id)
                    .map(|job| job.counts.clone())
                    .unwrap_or_default(),
            ))
        });
        put("model_size_stats", &|| Some(self.model_size(id)));
        put("forecasts_stats", &|| {
            Some(json!({"total": 0, "forecasted_jobs": 0}))
        });
        put("state", &|| Some(self.state_word(id).into()));
        put("node", &|| {
            self.node_json(task.filter(|task| task.live).map(|task| &task.place)?, true)
        });
        put("assignment_explanation", &|| {
            Some(task?.place.explanation.clone().into())
        });
        put("open_time", &|| {
            Some(
                format!(
                    "{}s",
                    (self.now - task.filter(|task| task.live)?.opened_at) / 1000
                )
                .into(),
            )
        });
        put("timing_stats", &|| {
            Some(
                json!({"job_id": id, "bucket_count": 0, "total_bucket_processing_time_ms": 0.0, "exponential_average_bucket_processing_time_per_hour_ms": 0.0}),
            )
        });
        Value::Object(entry)
    }

    fn model_size(&self, id: &str) -> Value {
        let bytes = self.jobs.get(id).map_or(0, |job| job.counts.records * 64);
        json!({
            "job_id": id, "result_type": "model_size_stats", "model_bytes": bytes, "total_by_field_count": 0, "total_over_field_count": 0,
            "total_partition_field_count": 0, "bucket_allocation_failures_count": 0, "memory_status": "ok", "categorized_doc_count": 0,
            "total_category_count": 0, "frequent_category_count": 0, "rare_category_count": 0, "dead_category_count": 0, "failed_category_count": 0,
            "categorization_status": "ok", "log_time": self.wall(),
        })
    }

    fn node_json(&self, place: &Place, for_job: bool) -> Option<Value> {
        let id = place.node.as_deref()?;
        let node: &Node = self.nodes.iter().find(|node| node.id == id)?;
        let attributes = if for_job {
            json!({"ml.machine_memory": "25276514304", "xpack.installed": "true", "transform.node": "true", "ml.max_open_jobs": "20"})
        } else {
            json!({"ml.machine_memory": "25276514304", "ml.max_open_jobs": "20"})
        };
        Some(json!({
            "id": node.id, "name": node.name, "ephemeral_id": super::core::make_uuid(self.epoch, 9), "transport_address": "127.0.0.1:9300",
            "attributes": attributes,
        }))
    }

    /// `GET /_ml/datafeeds[/{expr}]/_stats`.
    ///
    /// # Errors
    /// 404 of the expression.
    pub fn datafeed_stats(
        &self,
        expression: &str,
        allow_no_match: bool,
        wanted: Wanted,
    ) -> Result<Value, ApiError> {
        let ids = self.feed_ids(expression, allow_no_match, true)?;
        let list: Vec<Value> = ids.iter().map(|id| self.one_feed(id, wanted)).collect();
        Ok(page("datafeeds", list))
    }

    fn one_feed(&self, id: &str, wanted: Wanted) -> Value {
        let task = self.feed_tasks.get(id);
        let job = self
            .feeds
            .get(id)
            .map(|feed| feed.job.as_str())
            .or(task.map(|task| task.job.as_str()))
            .unwrap_or_default();
        let mut entry = Map::new();
        entry.insert("datafeed_id".into(), id.into());
        entry.insert("state".into(), task.map_or("stopped", feed_word).into());
        if let Some(task) = task {
            let upgrade = self.upgrade_mode;
            if let Some(node) = self.node_json(&task.place, false).filter(|_| !upgrade) {
                entry.insert("node".into(), node);
            }
            entry.insert(
                "assignment_explanation".into(),
                task.place.explanation.clone().into(),
            );
        }
        let per_hour = if self.profile.is_7() {
            "exponential_average_search_time_per_hour_ms"
        } else {
            "exponential_average_calculation_context"
        };
        let mut timing = json!({"job_id": job, "search_count": 0, "bucket_count": 0, "total_search_time_ms": 0.0});
        if let Some(map) = timing.as_object_mut() {
            map.insert(
                "exponential_average_search_time_per_hour_ms".into(),
                json!(0.0),
            );
            if per_hour == "exponential_average_calculation_context" {
                map.insert(per_hour.into(), json!({"incremental_metric_value_ms": 0.0}));
            }
        }
        entry.insert("timing_stats".into(), timing);
        if let Some(task) = task.filter(|task| self.profile.running_state() && task.state.is_some())
        {
            entry.insert(
                "running_state".into(),
                json!({"real_time_configured": !task.has_end, "real_time_running": !task.has_end}),
            );
        }
        entry.retain(|name, _| wanted(name));
        Value::Object(entry)
    }
}
