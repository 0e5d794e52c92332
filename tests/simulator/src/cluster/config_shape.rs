//! The normal form of parts of a job configuration: defaults filled in, memory in megabytes, detectors described. Pure.

use serde_json::{Map, Value, json};

/// Bytes of a megabyte.
pub(super) const MB: u64 = 1024 * 1024;

/// Parses `10mb`, `3gb`, `2048` (megabytes) into bytes.
pub(super) fn bytes_of(value: &Value) -> Option<u64> {
    let text = match value {
        Value::Number(number) => return Some(number.as_u64()? * MB),
        Value::String(text) => text.trim().to_lowercase(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let units = [
        ("tb", MB * MB),
        ("gb", MB * 1024),
        ("mb", MB),
        ("kb", 1024),
        ("t", MB * MB),
        ("g", MB * 1024),
        ("m", MB),
        ("k", 1024),
        ("b", 1),
        ("", MB),
    ];
    let (suffix, unit) = units.iter().find(|(suffix, _)| text.ends_with(suffix))?;
    text.strip_suffix(suffix)?
        .trim()
        .parse::<u64>()
        .ok()?
        .checked_mul(*unit)
}

/// A `model_memory_limit` in whole megabytes; `None` for what is no size.
pub fn megabytes(value: &Value) -> Option<u64> {
    bytes_of(value).map(|bytes| bytes / MB)
}

pub(super) fn normal_limits(given: Option<&Value>, memory: u64) -> Value {
    let examples = given
        .and_then(|limits| limits.get("categorization_examples_limit"))
        .cloned()
        .unwrap_or_else(|| 4.into());
    json!({"model_memory_limit": format!("{}mb", memory / MB), "categorization_examples_limit": examples})
}

/// Annotations of the model plot follow the plot itself where nothing is said of them.
pub(super) fn normal_plot(fields: &mut Map<String, Value>) {
    let plot = fields.get_mut("model_plot_config");
    let Some(plot) = plot.and_then(Value::as_object_mut) else {
        return;
    };
    let enabled = plot.get("enabled").cloned().unwrap_or(true.into());
    plot.entry("annotations_enabled").or_insert(enabled);
}

pub(super) fn normal_data(given: &Map<String, Value>) -> Value {
    let mut data = Map::new();
    data.insert(
        "time_field".into(),
        given
            .get("time_field")
            .cloned()
            .unwrap_or_else(|| "time".into()),
    );
    data.insert(
        "time_format".into(),
        given
            .get("time_format")
            .cloned()
            .unwrap_or_else(|| "epoch".into()),
    );
    for (name, value) in given
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "time_field" | "time_format"))
    {
        data.insert(name.clone(), value.clone());
    }
    data.into()
}

pub(super) fn normal_detector(at: usize, given: &Value) -> Value {
    let text = |name: &str| given.get(name).and_then(Value::as_str);
    let mut about = text("function").unwrap_or_default().to_owned();
    if let Some(field) = text("field_name") {
        about = format!("{about}({field})");
    }
    for (name, word) in [
        ("by_field_name", " by "),
        ("over_field_name", " over "),
        ("partition_field_name", " partitionfield="),
    ] {
        if let Some(field) = text(name) {
            about = format!("{about}{word}{field}");
        }
    }
    let mut detector = Map::new();
    detector.insert(
        "detector_description".into(),
        text("detector_description")
            .map_or(about, str::to_owned)
            .into(),
    );
    for (name, value) in given
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| name.as_str() != "detector_description")
    {
        detector.insert(name.clone(), value.clone());
    }
    detector.insert("detector_index".into(), at.into());
    detector.into()
}
