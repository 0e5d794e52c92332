//! What a new job's body must say (reference 6), in the order in which Elasticsearch looks; nothing here knows other jobs.

use serde_json::{Map, Value};

use super::{
    config::{strings, valid_id},
    core::Cluster,
    error::ApiError,
    open::invalid_id,
};

impl Cluster {
    /// Checks that need no cluster, so that the HTTP room can refuse before it asks for privileges.
    ///
    /// # Errors
    /// 400 for ids that are none and for missing parts.
    pub fn check_job_body(id: &str, body: &Map<String, Value>) -> Result<(), ApiError> {
        if let Some(given) = body
            .get("job_id")
            .and_then(Value::as_str)
            .filter(|given| *given != id)
        {
            return Err(ApiError::bad_argument(format!(
                "Inconsistent job_id; '{given}' specified in the body differs from '{id}' specified as a URL argument"
            )));
        }
        for name in ["analysis_config", "data_description"] {
            if !body.get(name).is_some_and(Value::is_object) {
                let article = if name == "analysis_config" { "An" } else { "A" };
                return Err(ApiError::bad_argument(format!(
                    "{article} {name} must be set"
                )));
            }
        }
        check_days(body)?;
        if !valid_id(id) {
            return Err(ApiError::bad_argument(invalid_id("job_id", id)));
        }
        if id.len() > 64 {
            return Err(ApiError::bad_argument(
                "The job id cannot contain more than 64 characters.",
            ));
        }
        check_groups(&strings(body.get("groups")))?;
        if let Some(index) = body.get("results_index_name").and_then(Value::as_str)
            && !index.is_empty()
            && !valid_id(index)
        {
            return Err(ApiError::bad_argument(invalid_id(
                "results_index_name",
                index,
            )));
        }
        check_generated(body)
    }
}

/// What a new job may not bring along, in Elasticsearch's order.
fn check_generated(body: &Map<String, Value>) -> Result<(), ApiError> {
    let mut generated = vec!["model_snapshot_id", "finished_time", "create_time"];
    generated.retain(|name| body.get(*name).is_some_and(|value| !value.is_null()));
    if generated.is_empty() {
        return Ok(());
    }
    Err(ApiError::bad_argument(format!(
        "The job is configured with fields [{}] that are illegal to set at job creation",
        generated.join(",")
    )))
}

fn check_days(body: &Map<String, Value>) -> Result<(), ApiError> {
    for name in [
        "renormalization_window_days",
        "model_snapshot_retention_days",
        "results_retention_days",
    ] {
        let days = body.get(name).and_then(Value::as_i64);
        if let Some(days) = days.filter(|days| *days < 0) {
            return Err(ApiError::bad_argument(format!(
                "{name} cannot be less than 0. Value = {days}"
            )));
        }
    }
    Ok(())
}

pub(super) fn check_groups(groups: &[String]) -> Result<(), ApiError> {
    match groups.iter().find(|group| !valid_id(group)) {
        None => Ok(()),
        Some(bad) => Err(ApiError::bad_argument(format!(
            "Invalid group id '{bad}'; must be non-empty string and may contain lowercase alphanumeric (a-z and 0-9), hyphens or underscores; must start and end with alphanumeric"
        ))),
    }
}
