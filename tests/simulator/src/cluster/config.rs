//! Job configurations: how a new one is stored, normalised and shown (reference 5.1 and 6).
//! Only the fields an operator meets are checked; the rest is stored and shown as given.

use serde_json::{Map, Value, json};

use super::{
    config_shape::{MB, bytes_of, normal_data, normal_detector, normal_limits, normal_plot},
    core::Cluster,
    error::ApiError,
    model::Job,
};

/// The id rule of jobs, datafeeds, groups and calendars (reference 6).
pub(super) fn valid_id(id: &str) -> bool {
    let edge = |sign: Option<char>| {
        sign.is_some_and(|sign| sign.is_ascii_lowercase() || sign.is_ascii_digit())
    };
    let inner = |sign: char| {
        sign.is_ascii_lowercase() || sign.is_ascii_digit() || matches!(sign, '_' | '-' | '.')
    };
    edge(id.chars().next()) && edge(id.chars().last()) && id.chars().all(inner)
}

pub(super) fn strings(value: Option<&Value>) -> Vec<String> {
    value
        .and_then(Value::as_array)
        .map(|list| {
            list.iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        })
        .unwrap_or_default()
}

impl Cluster {
    /// `PUT /_ml/anomaly_detectors/{job_id}`.
    ///
    /// # Errors
    /// The 400s of reference 6.
    pub fn put_job(&mut self, id: &str, body: &Map<String, Value>) -> Result<Value, ApiError> {
        if !self.master {
            return Err(ApiError::no_master());
        }
        let job = self.checked_job(id, body)?;
        let datafeed = body
            .get("datafeed_config")
            .and_then(Value::as_object)
            .cloned();
        self.insert_job(job);
        self.has_config_index = true;
        if let Some(mut feed) = datafeed {
            let feed_id = feed
                .get("datafeed_id")
                .and_then(Value::as_str)
                .unwrap_or(id)
                .to_owned();
            feed.insert("job_id".into(), id.into());
            if let Err(error) = self.put_datafeed(&feed_id, &feed) {
                self.take_job(id);
                return Err(error);
            }
        }
        Ok(self
            .jobs
            .get(id)
            .map(|job| self.job_json(job, false))
            .unwrap_or_default())
    }

    /// Stores a configuration, in place of an older one.
    pub(super) fn insert_job(&mut self, job: Job) {
        self.take_job(&job.id);
        for group in &job.groups {
            *self.group_uses.entry(group.clone()).or_insert(0) += 1;
        }
        self.memory_of_all += job.memory;
        self.jobs.insert(job.id.clone(), job);
    }

    /// Removes a configuration.
    pub(super) fn take_job(&mut self, id: &str) -> Option<Job> {
        let job = self.jobs.remove(id)?;
        self.memory_of_all = self.memory_of_all.saturating_sub(job.memory);
        for group in &job.groups {
            let left = self
                .group_uses
                .get(group)
                .map_or(0, |uses| uses.saturating_sub(1));
            if left == 0 {
                self.group_uses.remove(group);
            } else {
                self.group_uses.insert(group.clone(), left);
            }
        }
        Some(job)
    }

    pub(super) fn checked_job(&self, id: &str, body: &Map<String, Value>) -> Result<Job, ApiError> {
        let groups = strings(body.get("groups"));
        if self.jobs.contains_key(id) {
            return Err(ApiError::exists(format!(
                "The job cannot be created with the Id '{id}'. The Id is already used."
            )));
        }
        self.check_names(id, &groups)?;
        let limit = body
            .get("analysis_limits")
            .and_then(|limits| limits.get("model_memory_limit"));
        let memory = match limit {
            None => 1024 * MB,
            Some(value) => bytes_of(value).ok_or_else(|| {
                ApiError::bad_argument(format!(
                    "failed to parse setting [model_memory_limit] with value [{value}]"
                ))
            })?,
        };
        self.check_memory(memory, limit)?;
        let lazy = body
            .get("allow_lazy_open")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        let fields = self.normal_fields(body, memory);
        Ok(Job {
            id: id.into(),
            groups,
            create_time: self.wall(),
            memory,
            lazy,
            fields,
            ..Job::default()
        })
    }

    /// Job ids and groups are one namespace.
    pub(super) fn check_names(&self, id: &str, groups: &[String]) -> Result<(), ApiError> {
        let clash = |name: &str| {
            ApiError::exists(format!(
                "job and group names must be unique but job [{name}] and group [{name}] have the same name"
            ))
        };
        for group in groups {
            if group == id || self.jobs.contains_key(group) {
                return Err(clash(group));
            }
        }
        if !self.jobs.contains_key(id) && self.group_uses.contains_key(id) {
            return Err(clash(id));
        }
        Ok(())
    }

    pub(super) fn check_memory(&self, memory: u64, given: Option<&Value>) -> Result<(), ApiError> {
        if memory < MB {
            return Err(ApiError::bad_argument(format!(
                "model_memory_limit must be at least 1 MiB. Value = {}",
                memory / MB
            )));
        }
        let Some(max) = self.setting("xpack.ml.max_model_memory_limit") else {
            return Ok(());
        };
        if bytes_of(&Value::String(max.to_owned())).is_some_and(|max| memory > max) {
            let shown = given.map_or_else(
                || "1gb".into(),
                |value| {
                    value
                        .as_str()
                        .map_or_else(|| format!("{value}mb"), str::to_owned)
                },
            );
            return Err(ApiError::status(
                400,
                format!(
                    "model_memory_limit [{shown}] must be less than the value of the xpack.ml.max_model_memory_limit setting [{max}]"
                ),
            ));
        }
        Ok(())
    }

    /// Everything that is only stored, in the order it is shown.
    fn normal_fields(&self, body: &Map<String, Value>, memory: u64) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut copy = |name: &str, default: Option<Value>| {
            if let Some(value) = body
                .get(name)
                .filter(|value| !value.is_null())
                .cloned()
                .or(default)
            {
                fields.insert(name.into(), value);
            }
        };
        copy("description", None);
        copy("analysis_config", None);
        copy("analysis_limits", None);
        copy("data_description", None);
        for name in [
            "model_plot_config",
            "renormalization_window_days",
            "background_persist_interval",
        ] {
            copy(name, None);
        }
        copy("model_snapshot_retention_days", Some(10.into()));
        copy("daily_model_snapshot_retention_after_days", Some(1.into()));
        copy("results_retention_days", None);
        copy("custom_settings", None);
        copy("results_index_name", Some("shared".into()));
        let custom = fields
            .get("results_index_name")
            .and_then(Value::as_str)
            .filter(|name| *name != "shared")
            .map(|name| format!("custom-{name}"));
        if let Some(custom) = custom {
            fields.insert("results_index_name".into(), custom.into());
        }
        if let Some(analysis) = body.get("analysis_config").and_then(Value::as_object) {
            fields.insert("analysis_config".into(), self.normal_analysis(analysis));
        }
        fields.insert(
            "analysis_limits".into(),
            normal_limits(body.get("analysis_limits"), memory),
        );
        if let Some(data) = body.get("data_description").and_then(Value::as_object) {
            fields.insert("data_description".into(), normal_data(data));
        }
        normal_plot(&mut fields);
        fields
    }

    fn normal_analysis(&self, given: &Map<String, Value>) -> Value {
        let mut analysis = Map::new();
        analysis.insert(
            "bucket_span".into(),
            given
                .get("bucket_span")
                .cloned()
                .unwrap_or_else(|| "5m".into()),
        );
        for (name, value) in given.iter().filter(|(name, _)| {
            !matches!(name.as_str(), "bucket_span" | "detectors" | "influencers")
        }) {
            analysis.insert(name.clone(), value.clone());
        }
        let detectors = given
            .get("detectors")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default();
        analysis.insert(
            "detectors".into(),
            detectors
                .iter()
                .enumerate()
                .map(|(at, detector)| normal_detector(at, detector))
                .collect(),
        );
        analysis.insert(
            "influencers".into(),
            given
                .get("influencers")
                .cloned()
                .unwrap_or_else(|| json!([])),
        );
        if self.profile.blocked_and_reset() {
            analysis
                .entry("model_prune_window")
                .or_insert_with(|| "30d".into());
        }
        analysis.into()
    }

    /// A job's configuration as every call shows it; `bare` leaves out what PUT would refuse.
    pub(super) fn job_json(&self, job: &Job, bare: bool) -> Value {
        self.job_part(job, bare, &|_| true)
    }

    /// Those fields of a configuration that are kept; the others are not even built.
    pub(super) fn job_part(&self, job: &Job, bare: bool, keeps: &dyn Fn(&str) -> bool) -> Value {
        let mut shown = Map::new();
        let mut put = |name: &str, value: &dyn Fn() -> Option<Value>| {
            if keeps(name)
                && let Some(value) = value()
            {
                shown.insert(name.into(), value);
            }
        };
        let field = |name: &str| job.fields.get(name).cloned();
        let told = |value: Value| (!bare).then_some(value);
        put("job_id", &|| told(job.id.clone().into()));
        put("job_type", &|| told("anomaly_detector".into()));
        put("job_version", &|| told(self.profile.job_version().into()));
        put("groups", &|| {
            (!job.groups.is_empty()).then(|| job.groups.clone().into())
        });
        put("description", &|| field("description"));
        put("create_time", &|| told(job.create_time.into()));
        put("finished_time", &|| told(job.finished_time?.into()));
        for name in [
            "analysis_config",
            "analysis_limits",
            "data_description",
            "model_plot_config",
            "renormalization_window_days",
            "background_persist_interval",
            "model_snapshot_retention_days",
            "daily_model_snapshot_retention_after_days",
            "results_retention_days",
            "custom_settings",
        ] {
            put(name, &|| field(name));
        }
        put("model_snapshot_id", &|| told(job.snapshot.clone()?.into()));
        put("results_index_name", &|| field("results_index_name"));
        put("deleting", &|| told(true.into()).filter(|_| job.deleting));
        put("allow_lazy_open", &|| Some(job.lazy.into()));
        put("blocked", &|| {
            let reason = job
                .blocked
                .as_deref()
                .filter(|_| self.profile.blocked_and_reset())?;
            let node = self.nodes.first().map_or("node", |node| node.id.as_str());
            told(json!({"reason": reason, "task_id": format!("{node}:4711")}))
        });
        Value::Object(shown)
    }
}

/// `index_not_found_exception` for an index name.
pub(super) fn missing_index(index: &str) -> ApiError {
    ApiError::new(
        404,
        "index_not_found_exception",
        format!("no such index [{index}]"),
    )
    .with("resource.type", "index_expression")
    .with("resource.id", index)
    .with("index_uuid", "_na_")
    .with("index", index)
}
