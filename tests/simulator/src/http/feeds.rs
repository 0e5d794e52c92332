//! The calls on datafeeds and calendars: how their parameters and bodies are read.

use serde_json::Value;

use super::{
    call::{Call, Ran, Reader},
    json_kinds::{Kind, Spec},
    routes::Endpoint,
};
use crate::cluster::{ApiError, Cluster, StartRequest, StopRequest, TimeValue};

const STOP: &[(&str, Kind)] = &[
    ("datafeed_id", Kind::Text),
    ("timeout", Kind::Time),
    ("force", Kind::Bool),
    ("allow_no_match", Kind::Bool),
];
const FEED_FIELDS: &[(&str, Kind)] = &[
    ("datafeed_id", Kind::Text),
    ("job_id", Kind::Text),
    ("indices", Kind::Texts),
    ("indexes", Kind::Texts),
    ("query_delay", Kind::Time),
    ("frequency", Kind::Time),
    ("query", Kind::Object),
    ("aggregations", Kind::Object),
    ("aggs", Kind::Object),
    ("script_fields", Kind::Object),
    ("scroll_size", Kind::Count),
    ("chunking_config", Kind::Object),
    ("delayed_data_check_config", Kind::Object),
    ("max_empty_searches", Kind::Number),
    ("indices_options", Kind::Object),
];

/// Reads a call on datafeeds or calendars.
///
/// # Errors
/// The 400s of its parameters and body.
pub(crate) fn read(reader: &mut Reader) -> Result<Call, ApiError> {
    match reader.endpoint {
        Endpoint::GetFeeds => get(reader),
        Endpoint::FeedStats => stats(reader),
        Endpoint::StartFeed => start(reader),
        Endpoint::StopFeed => stop(reader),
        Endpoint::PutFeed => put(reader),
        Endpoint::UpdateFeed => update(reader),
        Endpoint::DeleteFeed => delete(reader),
        _ => calendars(reader),
    }
}

fn get(reader: &mut Reader) -> Result<Call, ApiError> {
    let expression = reader.part("datafeed_id");
    let allow = reader.allow_no_match("allow_no_datafeeds")?;
    let bare =
        reader.profile.exclude_generated() && reader.params.flag("exclude_generated", false)?;
    reader.done()?;
    Ok(Call::new(
        "cluster:monitor/xpack/ml/datafeeds/get",
        move |core| {
            let filter = core.filter();
            core.cluster
                .datafeeds(&expression, allow, bare, &|name| {
                    filter.wants(&["datafeeds", name])
                })
                .into()
        },
    ))
}

fn stats(reader: &mut Reader) -> Result<Call, ApiError> {
    let expression = reader.part("datafeed_id");
    let allow = reader.allow_no_match("allow_no_datafeeds")?;
    reader.done()?;
    Ok(Call::new(
        "cluster:monitor/xpack/ml/datafeeds/stats/get",
        move |core| {
            let filter = core.filter();
            core.cluster
                .datafeed_stats(&expression, allow, &|name| {
                    filter.wants(&["datafeeds", name])
                })
                .into()
        },
    ))
}

/// A date as epoch ms: a number, `now`, or the day and time of an ISO date.
pub(super) fn epoch(name: &str, text: &str) -> Result<i64, ApiError> {
    if let Ok(ms) = text.parse::<i64>() {
        return Ok(ms);
    }
    if text.starts_with("now") {
        return Ok(i64::MAX);
    }
    if let Some(ms) = super::dates::parse_iso(text) {
        return Ok(ms);
    }
    let format = format!(
        "failed to parse date field [{text}] with format [strict_date_optional_time||epoch_millis]"
    );
    let deepest = ApiError::new(
        400,
        "date_time_parse_exception",
        "Failed to parse with all enclosed parsers",
    );
    let argument = ApiError::bad_argument(format.clone()).caused_by(ApiError {
        own: false,
        ..deepest
    });
    let parse =
        ApiError::new(400, "parse_exception", format!("{format}: [{format}]")).caused_by(argument);
    Err(ApiError::new(400, "parse_exception", format!("Query param [{name}] with value [{text}] cannot be parsed as a date or converted to a number (epoch).")).caused_by(parse))
}

fn start(reader: &mut Reader) -> Result<Call, ApiError> {
    let feed = reader.part("datafeed_id");
    let mut given: [Option<String>; 3] = [None, None, None];
    if reader.has_content() {
        // Unknown fields of this body are taken, as recorded.
        let body = reader.loose("start_datafeed")?;
        for (slot, name) in given.iter_mut().zip(["start", "end", "timeout"]) {
            *slot = body.get(name).map(|value| {
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned)
            });
        }
    } else {
        for (slot, name) in given.iter_mut().zip(["start", "end", "timeout"]) {
            if reader.params.has(name) {
                *slot = reader.params.text(name);
            }
        }
    }
    let [start, end, timeout] = given;
    let start = start.unwrap_or_else(|| "0".into());
    let from = epoch("start", &start)?;
    let end = end
        .filter(|end| !end.is_empty())
        .map(|end| epoch("end", &end))
        .transpose()?;
    let timeout = timeout.map_or(Ok(TimeValue::seconds(20)), |text| {
        TimeValue::parse(&text, "timeout")
    })?;
    reader.done()?;
    if let Some(end) = end.filter(|end| *end <= from) {
        return Err(ApiError::new(
            400,
            "action_request_validation_exception",
            format!("Validation Failed: 1: start [{from}] must be earlier than end [{end}];"),
        ));
    }
    let request = StartRequest {
        feed,
        start: from.to_string(),
        end,
        timeout,
    };
    Ok(Call::new(
        "cluster:admin/xpack/ml/datafeed/start",
        move |core| Ran::Reply(core.cluster.start_feed(&request)),
    ))
}

fn stop(reader: &mut Reader) -> Result<Call, ApiError> {
    let mut request = StopRequest {
        expression: reader.part("datafeed_id"),
        allow_no_match: true,
        force: false,
        timeout: TimeValue::minutes(5),
        close_job: false,
    };
    let newer = reader.profile.close_job();
    if reader.has_content() {
        let mut fields = STOP.to_vec();
        if newer {
            fields.push(("close_job", Kind::Bool));
        }
        let spec = Spec {
            parser: "cluster:admin/xpack/ml/datafeed/stop",
            fields: &fields,
            old: &[("allow_no_datafeeds", "allow_no_match")],
            check: None,
        };
        let body = reader.body(spec)?.fields;
        let flag =
            |name: &str, default: bool| body.get(name).and_then(Value::as_bool).unwrap_or(default);
        request.force = flag("force", false);
        request.allow_no_match = flag("allow_no_match", true);
        request.close_job = flag("close_job", false);
        if let Some(timeout) = body.get("timeout").and_then(Value::as_str) {
            request.timeout = TimeValue::parse(timeout, "timeout")?;
        }
    } else {
        if reader.params.has("timeout") {
            request.timeout = reader.params.time("timeout", request.timeout)?;
        }
        if reader.params.has("force") {
            request.force = reader.params.flag("force", false)?;
        }
        request.allow_no_match = reader.allow_no_match("allow_no_datafeeds")?;
        request.close_job = newer && reader.params.flag("close_job", false)?;
    }
    reader.done()?;
    Ok(Call::new(
        "cluster:admin/xpack/ml/datafeed/stop",
        move |core| Ran::Reply(core.cluster.stop_feeds(&request)),
    ))
}

fn put(reader: &mut Reader) -> Result<Call, ApiError> {
    let id = reader.part("datafeed_id");
    for name in [
        "ignore_unavailable",
        "allow_no_indices",
        "ignore_throttled",
        "expand_wildcards",
    ] {
        if reader.params.has(name) {
            reader.params.text(name);
        }
    }
    let mut fields = FEED_FIELDS.to_vec();
    if reader.profile.running_state() {
        fields.push(("runtime_mappings", Kind::Any));
    }
    let body = reader
        .body(Spec {
            parser: "datafeed_config",
            fields: &fields,
            old: &[],
            check: None,
        })?
        .fields;
    Cluster::check_datafeed_body(&id, &body)?;
    reader.done()?;
    Ok(Call::new(
        "cluster:admin/xpack/ml/datafeeds/put",
        move |core| match core.refuse_indices(&id, &body) {
            Some(error) => Err(error).into(),
            None => core.cluster.put_datafeed(&id, &body).into(),
        },
    ))
}

fn update(reader: &mut Reader) -> Result<Call, ApiError> {
    let id = reader.part("datafeed_id");
    let body = reader
        .body(Spec {
            parser: "datafeed_update",
            fields: FEED_FIELDS,
            old: &[],
            check: None,
        })?
        .fields;
    reader.done()?;
    Ok(Call::new(
        "cluster:admin/xpack/ml/datafeeds/update",
        move |core| core.cluster.update_datafeed(&id, &body).into(),
    ))
}

fn delete(reader: &mut Reader) -> Result<Call, ApiError> {
    let id = reader.part("datafeed_id");
    let force = reader.params.has("force") && reader.params.flag("force", false)?;
    reader.params.time("timeout", TimeValue::seconds(30))?;
    reader
        .params
        .time("master_timeout", TimeValue::seconds(30))?;
    reader.done()?;
    Ok(Call::new(
        "cluster:admin/xpack/ml/datafeeds/delete",
        move |core| core.cluster.delete_datafeed(&id, force).into(),
    ))
}

fn calendars(reader: &mut Reader) -> Result<Call, ApiError> {
    let id = reader.params.text("calendar_id");
    let named = id.clone().unwrap_or_default();
    match reader.endpoint {
        Endpoint::PutCalendar => {
            let body = reader.loose("calendar")?;
            reader.done()?;
            let jobs: Vec<String> = body
                .get("job_ids")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            Ok(Call::new(
                "cluster:admin/xpack/ml/calendars/put",
                move |core| core.cluster.put_calendar(&named, &jobs).into(),
            ))
        }
        Endpoint::DeleteCalendar => {
            reader.done()?;
            Ok(Call::new(
                "cluster:admin/xpack/ml/calendars/delete",
                move |core| core.cluster.delete_calendar(&named).into(),
            ))
        }
        _ => {
            reader.params.text("from");
            reader.params.text("size");
            reader.done()?;
            Ok(Call::new(
                "cluster:monitor/xpack/ml/calendars/get",
                move |core| core.cluster.calendars(id.as_deref()).into(),
            ))
        }
    }
}
