//! The bodies of jobs: which fields PUT and `_update` take, and what is inside them. What is made of the values is the cluster's.

use serde_json::{Map, Value};

use super::json_kinds::{Kind, Spec, Unmade};
use crate::{cluster::ApiError, profile::Profile};

const DETECTOR: Spec = Spec {
    parser: "detector",
    fields: &[
        ("detector_description", Kind::Text),
        ("function", Kind::Function),
        ("field_name", Kind::Text),
        ("by_field_name", Kind::Text),
        ("over_field_name", Kind::Text),
        ("partition_field_name", Kind::Text),
        ("use_null", Kind::Bool),
        ("exclude_frequent", Kind::Text),
        ("custom_rules", Kind::Any),
        ("detector_index", Kind::Number),
    ],
    old: &[],
    check: None,
};

const ANALYSIS_FIELDS: [(&str, Kind); 11] = [
    ("detectors", Kind::List(&DETECTOR)),
    ("bucket_span", Kind::Time),
    ("categorization_field_name", Kind::Text),
    ("categorization_filters", Kind::Texts),
    ("categorization_analyzer", Kind::Any),
    ("per_partition_categorization", Kind::Object),
    ("latency", Kind::Time),
    ("summary_count_field_name", Kind::Text),
    ("influencers", Kind::Texts),
    ("multivariate_by_fields", Kind::Bool),
    ("model_prune_window", Kind::Time),
];

const ANALYSIS: Spec = Spec {
    parser: "analysis_config",
    fields: &ANALYSIS_FIELDS,
    old: &[],
    check: Some(check_analysis),
};

/// Without what came with 7.14.
const ANALYSIS_7: Spec = Spec {
    fields: ANALYSIS_FIELDS.split_at(10).0,
    ..ANALYSIS
};

const LIMITS: Spec = Spec {
    parser: "analysis_limits",
    fields: &[
        ("model_memory_limit", Kind::Memory),
        ("categorization_examples_limit", Kind::Number),
    ],
    old: &[],
    check: Some(check_limits),
};

const DATA: Spec = Spec {
    parser: "data_description",
    fields: &[
        ("format", Kind::Text),
        ("time_field", Kind::Text),
        ("time_format", Kind::Text),
        ("field_delimiter", Kind::Text),
        ("quote_character", Kind::Text),
    ],
    old: &[],
    check: None,
};

/// What a new job may say.
pub(super) fn put_fields(profile: Profile) -> Vec<(&'static str, Kind)> {
    let analysis = if profile.blocked_and_reset() {
        &ANALYSIS
    } else {
        &ANALYSIS_7
    };
    let mut fields = vec![
        ("job_id", Kind::Text),
        ("job_type", Kind::Text),
        ("groups", Kind::Texts),
        ("description", Kind::TextOrNull),
        ("analysis_config", Kind::Shaped(analysis)),
        ("analysis_limits", Kind::Shaped(&LIMITS)),
        ("data_description", Kind::Shaped(&DATA)),
        ("model_plot_config", Kind::Object),
        ("renormalization_window_days", Kind::Number),
        ("background_persist_interval", Kind::Time),
        ("results_retention_days", Kind::Number),
        ("model_snapshot_retention_days", Kind::Number),
        ("daily_model_snapshot_retention_after_days", Kind::Number),
        ("custom_settings", Kind::Object),
        ("results_index_name", Kind::Text),
        ("allow_lazy_open", Kind::Bool),
        ("job_version", Kind::Text),
        ("create_time", Kind::Any),
        ("finished_time", Kind::Any),
        ("model_snapshot_id", Kind::TextOrNull),
        ("model_snapshot_min_version", Kind::TextOrNull),
        ("deleting", Kind::Bool),
    ];
    if profile.embedded_datafeeds() {
        fields.push(("datafeed_config", Kind::Any));
    }
    fields
}

/// What an update may say.
pub(super) fn update_fields(profile: Profile) -> Vec<(&'static str, Kind)> {
    let mut fields = vec![
        ("job_id", Kind::Text),
        ("groups", Kind::Texts),
        ("description", Kind::TextOrNull),
        ("detectors", Kind::Any),
        ("model_plot_config", Kind::Object),
        ("analysis_limits", Kind::Shaped(&LIMITS)),
        ("background_persist_interval", Kind::Time),
        ("renormalization_window_days", Kind::Number),
        ("results_retention_days", Kind::Number),
        ("model_snapshot_retention_days", Kind::Number),
        ("daily_model_snapshot_retention_after_days", Kind::Number),
        ("categorization_filters", Kind::Texts),
        ("per_partition_categorization", Kind::Object),
        ("custom_settings", Kind::Object),
        ("allow_lazy_open", Kind::Bool),
    ];
    if profile.blocked_and_reset() {
        fields.push(("model_prune_window", Kind::Time));
    }
    fields
}

fn check_analysis(given: &Map<String, Value>) -> Result<(), Unmade> {
    match given.get("detectors").and_then(Value::as_array) {
        None => Err(Unmade::Missing("detectors")),
        Some(list) if list.is_empty() => Err(Unmade::Refused(ApiError::status(
            400,
            "No detectors configured",
        ))),
        Some(_) => Ok(()),
    }
}

fn check_limits(given: &Map<String, Value>) -> Result<(), Unmade> {
    let limit = given.get("model_memory_limit");
    match limit.and_then(crate::cluster::megabytes) {
        Some(0) => Err(Unmade::Refused(ApiError::status(
            400,
            "model_memory_limit must be at least 1 MiB. Value = 0",
        ))),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::json::parse_object, put_fields};
    use crate::{cluster::ApiError, http::json_kinds::Spec, profile::Profile};

    fn refusal(body: &str) -> ApiError {
        let spec = Spec {
            parser: "job_details",
            fields: &put_fields(Profile::V7_10),
            old: &[],
            check: None,
        };
        parse_object(body.as_bytes(), spec).unwrap_err()
    }

    fn reasons(error: &ApiError) -> Vec<&str> {
        let causes = std::iter::successors(Some(error), |error| error.cause.as_deref());
        causes.filter_map(|error| error.reason.as_deref()).collect()
    }

    #[test]
    fn an_unknown_field_inside_is_told_from_the_outside_in() {
        let error = refusal(r#"{"analysis_config":{"detectors":[{"function":"count","odd":2}]}}"#);
        assert_eq!(
            reasons(&error),
            [
                "[1:60] [job_details] failed to parse field [analysis_config]",
                "[1:60] [analysis_config] failed to parse field [detectors]",
                "[1:54] [detector] unknown field [odd]",
            ]
        );
        assert_eq!(
            error.root().reason.as_deref(),
            Some("[1:54] [detector] unknown field [odd]")
        );
    }

    #[test]
    fn a_job_without_detectors_fails_when_its_list_ends() {
        let error = refusal(r#"{"analysis_config":{"detectors":[],"bucket_span":"5m"}}"#);
        assert_eq!(
            reasons(&error),
            [
                "[1:34] [job_details] failed to parse field [analysis_config]",
                "[1:34] [analysis_config] failed to parse field [detectors]",
                "Failed to build [analysis_config] after last required field arrived",
                "No detectors configured",
            ]
        );
    }

    #[test]
    fn values_of_a_wrong_type_or_size_are_refused_at_their_place() {
        assert_eq!(
            reasons(&refusal(r#"{"groups":5}"#)),
            ["[1:11] [job_details] groups doesn't support values of type: VALUE_NUMBER"]
        );
        let small = refusal(r#"{"analysis_limits":{"model_memory_limit":"1kb"}}"#);
        assert_eq!(
            reasons(&small).last(),
            Some(&"model_memory_limit must be at least 1 MiB. Value = 0")
        );
    }
}
