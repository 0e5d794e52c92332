//! `_update` of a job (reference 6): what an update may change, and when. What a body may say at all is checked before.

use serde_json::{Map, Value};

use super::{
    config::{missing_index, strings, valid_id},
    config_checks::check_groups,
    config_shape::{bytes_of, normal_limits, normal_plot},
    core::Cluster,
    error::ApiError,
    model::Job,
    open::invalid_id,
};

impl Cluster {
    /// `POST .../_update`.
    ///
    /// # Errors
    /// 400, 404 and the clash of names (reference 6).
    pub fn update_job(&mut self, id: &str, body: &Map<String, Value>) -> Result<Value, ApiError> {
        if !self.master {
            return Err(ApiError::no_master());
        }
        if !valid_id(id) {
            return Err(ApiError::bad_argument(invalid_id("job_id", id)));
        }
        if !self.has_config_index {
            return Err(missing_index(".ml-config"));
        }
        let job = self.jobs.get(id).ok_or_else(|| ApiError::no_job(id))?;
        let groups = body
            .contains_key("groups")
            .then(|| strings(body.get("groups")));
        if let Some(groups) = &groups {
            check_groups(groups)?;
            self.check_names(id, groups)?;
        }
        let mut changed = job.clone();
        if let Some(limits) = body.get("analysis_limits") {
            self.update_limits(&mut changed, limits)?;
        }
        if let Some(groups) = groups {
            changed.groups = groups;
        }
        changed.lazy = body
            .get("allow_lazy_open")
            .and_then(Value::as_bool)
            .unwrap_or(changed.lazy);
        update_analysis(&mut changed, body);
        for (name, value) in body.iter().filter(|(name, value)| {
            !value.is_null()
                && !matches!(
                    name.as_str(),
                    "job_id"
                        | "groups"
                        | "analysis_limits"
                        | "allow_lazy_open"
                        | "detectors"
                        | "categorization_filters"
                )
        }) {
            changed.fields.insert(name.clone(), value.clone());
        }
        normal_plot(&mut changed.fields);
        let shown = self.job_json(&changed, false);
        self.insert_job(changed);
        Ok(shown)
    }

    fn update_limits(&self, changed: &mut Job, limits: &Value) -> Result<(), ApiError> {
        if self.tasks.contains_key(&changed.id) {
            return Err(ApiError::status(
                400,
                "Cannot update analysis_limits while the job is open",
            ));
        }
        let given = limits.get("model_memory_limit");
        changed.memory = given
            .map_or(Some(changed.memory), bytes_of)
            .unwrap_or(changed.memory);
        self.check_memory(changed.memory, given)?;
        // What the update does not name stays as it was.
        let examples = "categorization_examples_limit";
        let shown = if limits.get(examples).is_some() {
            normal_limits(Some(limits), changed.memory)
        } else {
            normal_limits(changed.fields.get("analysis_limits"), changed.memory)
        };
        changed.fields.insert("analysis_limits".into(), shown);
        Ok(())
    }
}

/// What an update says of the analysis: descriptions of detectors by their index, and the filters.
fn update_analysis(job: &mut Job, body: &Map<String, Value>) {
    let Some(analysis) = job
        .fields
        .get_mut("analysis_config")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    if let Some(filters) = body.get("categorization_filters") {
        analysis.insert("categorization_filters".into(), filters.clone());
    }
    let updates = body.get("detectors").and_then(Value::as_array);
    for update in updates.into_iter().flatten() {
        let at = update.get("detector_index").and_then(Value::as_u64);
        let detector = at
            .and_then(|at| usize::try_from(at).ok())
            .and_then(|at| analysis.get_mut("detectors")?.get_mut(at)?.as_object_mut());
        let Some(detector) = detector else {
            continue;
        };
        for (theirs, ours) in [
            ("description", "detector_description"),
            ("custom_rules", "custom_rules"),
        ] {
            if let Some(value) = update.get(theirs) {
                detector.insert(ours.into(), value.clone());
            }
        }
    }
}
