//! Reads that are no statistics: configurations, the info and licence pages, cluster state and health.

use serde_json::{Map, Value, json};

use super::{core::Cluster, error::ApiError, expression::Expression};

const STOP_WORDS: &[&str] = &[
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "Mon",
    "Tue",
    "Wed",
    "Thu",
    "Fri",
    "Sat",
    "Sun",
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
    "GMT",
    "UTC",
];

/// A list with its count. The list is moved: `json!` would copy ten thousand entries.
pub(super) fn page(name: &str, list: Vec<Value>) -> Value {
    let mut page = Map::with_capacity(2);
    page.insert("count".into(), list.len().into());
    page.insert(name.into(), list.into());
    page.into()
}

impl Cluster {
    /// `GET /_ml/anomaly_detectors[/{expr}]`; jobs being deleted are included.
    ///
    /// # Errors
    /// 404 of the expression.
    pub fn jobs(
        &self,
        expression: &str,
        allow_no_match: bool,
        bare: bool,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Value, ApiError> {
        let expression = Expression::parse(expression);
        self.searched(1);
        expression.check()?;
        let entries = self
            .jobs
            .values()
            .map(|job| (job.id.as_str(), job.groups.as_slice()));
        let ids = expression
            .resolve(entries, std::iter::empty(), allow_no_match)
            .map_err(|tokens| ApiError::no_job(&tokens))?;
        let feed_wanted = wanted("datafeed_config") && self.profile.embedded_datafeeds();
        let list: Vec<Value> = ids
            .iter()
            .filter_map(|id| self.jobs.get(id))
            .map(|job| {
                let mut shown = self.job_part(job, bare, wanted);
                let feed = self
                    .feed_of_job
                    .get(&job.id)
                    .and_then(|feed| self.feeds.get(feed))
                    .filter(|_| feed_wanted);
                if let (Some(feed), Some(map)) = (feed, shown.as_object_mut()) {
                    map.insert("datafeed_config".into(), feed.config.clone().into());
                }
                shown
            })
            .collect();
        Ok(page("jobs", list))
    }

    /// Rows of `_cat/ml/anomaly_detectors`: id and state.
    ///
    /// # Errors
    /// 404 of the expression.
    pub fn cat_jobs(
        &self,
        expression: &str,
        allow_no_match: bool,
    ) -> Result<Vec<(String, &'static str)>, ApiError> {
        let ids = self.stats_ids(expression, allow_no_match)?;
        self.count_stats(&ids);
        Ok(ids
            .into_iter()
            .map(|id| {
                let word = self.state_word(&id);
                (id, word)
            })
            .collect())
    }

    /// `GET /_ml/info`.
    pub fn info(&self) -> Value {
        let (old, seven) = (!self.profile.running_state(), self.profile.is_7());
        let analyzer = if old {
            json!({"tokenizer": "ml_classic", "filter": [{"type": "stop", "stopwords": STOP_WORDS}]})
        } else {
            json!({"char_filter": ["first_line_with_letters"], "tokenizer": "ml_standard", "filter": [{"type": "stop", "stopwords": STOP_WORDS}, {"type": "limit", "max_token_count": "100"}]})
        };
        let mut detectors = Map::new();
        detectors.insert("model_memory_limit".into(), "1gb".into());
        detectors.insert("categorization_examples_limit".into(), 4.into());
        detectors.insert("model_snapshot_retention_days".into(), 10.into());
        detectors.insert("daily_model_snapshot_retention_after_days".into(), 1.into());
        detectors.insert("categorization_analyzer".into(), analyzer);
        let mut limits = json!({"effective_max_model_memory_limit": "7191mb"});
        let mut native = json!({});
        if let (false, Some(limits), Some(native)) =
            (seven, limits.as_object_mut(), native.as_object_mut())
        {
            limits.insert("total_ml_memory".into(), "7231mb".into());
            limits.insert("total_ml_processors".into(), 8.into());
            limits.insert("max_single_ml_node_processors".into(), 8.into());
            native.insert("version".into(), self.profile.build().number.into());
            native.insert("build_hash".into(), "0123456789abcd".into());
        }
        if let (Some(max), Some(limits)) = (
            self.setting("xpack.ml.max_model_memory_limit"),
            limits.as_object_mut(),
        ) {
            limits.insert("max_model_memory_limit".into(), max.into());
        }
        json!({
            "defaults": {"anomaly_detectors": detectors, "datafeeds": {"scroll_size": 1000}}, "upgrade_mode": self.upgrade_mode, "native_code": native,
            "limits": limits,
        })
    }

    /// `GET /`.
    pub fn root(&self) -> Value {
        let build = self.profile.build();
        json!({
            "name": self.nodes.first().map_or("node-1", |node| node.name.as_str()), "cluster_name": self.name, "cluster_uuid": self.uuid,
            "version": {
                "number": build.number, "build_flavor": "default", "build_type": "tar", "build_hash": build.hash, "build_date": build.date,
                "build_snapshot": self.profile.recorded(), "lucene_version": build.lucene, "minimum_wire_compatibility_version": build.wire,
                "minimum_index_compatibility_version": build.index,
            },
            "tagline": "You Know, for Search",
        })
    }

    /// `GET /_license`. The dates are made by the caller, who knows calendars.
    pub fn licence_json(&self, issued: &(u64, String), expires: &(u64, String)) -> Value {
        json!({"license": {
            "status": if self.licence_valid { "active" } else { "expired" }, "uid": "929e9b31-8f11-46a6-b12f-d1275c2681e8", "type": self.licence_type,
            "issue_date": issued.1, "issue_date_in_millis": issued.0, "expiry_date": expires.1, "expiry_date_in_millis": expires.0,
            "max_nodes": 1000, "issued_to": self.name, "issuer": "elasticsearch", "start_date_in_millis": -1,
        }})
    }

    /// `GET /_cluster/health`.
    pub fn health(&self) -> Value {
        let nodes = self.nodes.len().max(1);
        json!({
            "cluster_name": self.name, "status": self.health_word(), "timed_out": false, "number_of_nodes": nodes, "number_of_data_nodes": nodes,
            "active_primary_shards": 1, "active_shards": 1, "relocating_shards": 0, "initializing_shards": 0, "unassigned_shards": 0,
            "delayed_unassigned_shards": 0, "number_of_pending_tasks": 0, "number_of_in_flight_fetch": 0, "task_max_waiting_in_queue_millis": 0,
            "active_shards_percent_as_number": 100.0,
        })
    }

    /// `GET /_cluster/state/{metrics}`; with indices named, tasks are left out. `wanted` tells which paths the caller keeps.
    pub fn cluster_state(
        &self,
        metrics: &str,
        with_customs: bool,
        wanted: &dyn Fn(&[&str]) -> bool,
    ) -> Value {
        let has = |name: &str| {
            metrics
                .split(',')
                .any(|metric| metric == name || metric == "_all")
        };
        let mut state = Map::new();
        state.insert("cluster_name".into(), self.name.clone().into());
        state.insert("cluster_uuid".into(), self.uuid.clone().into());
        if has("version") {
            state.insert("version".into(), self.version.into());
            state.insert(
                "state_uuid".into(),
                super::core::make_uuid(self.epoch, self.version).into(),
            );
        }
        if has("metadata") {
            let mut metadata = json!({"cluster_uuid": self.uuid, "cluster_uuid_committed": true, "cluster_coordination": {"term": 1}, "templates": {}, "indices": {}});
            if let (Some(tasks), Some(map)) = (
                self.persistent_tasks(wanted).filter(|_| with_customs),
                metadata.as_object_mut(),
            ) {
                map.insert("persistent_tasks".into(), tasks);
            }
            state.insert("metadata".into(), metadata);
        }
        Value::Object(state)
    }
}
