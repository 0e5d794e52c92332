//! The calls on what a job has analysed: data, flush, reset, model snapshots, results. Only as deep as an operator looks:
//! no result is ever made up here.

use serde_json::{Value, json};

use super::{
    call::{Call, Ran, Reader},
    feeds::epoch,
    routes::Endpoint,
};
use crate::cluster::{ApiError, SnapshotQuery};

/// Reads one of these calls.
///
/// # Errors
/// The 400s of its parameters.
pub(crate) fn read(reader: &mut Reader) -> Result<Call, ApiError> {
    match reader.endpoint {
        Endpoint::Flush => flush(reader),
        Endpoint::PostData => post_data(reader),
        Endpoint::Reset => reset(reader),
        Endpoint::Revert => revert(reader),
        Endpoint::Snapshots => snapshots(reader),
        Endpoint::Results => results(reader),
        Endpoint::UpdateSnapshot => {
            no_snapshot(reader, "cluster:admin/xpack/ml/job/model_snapshots/update")
        }
        Endpoint::DeleteSnapshot => {
            no_snapshot(reader, "cluster:admin/xpack/ml/job/model_snapshots/delete")
        }
        _ => Err(ApiError::bad_argument("no such call")),
    }
}

fn flush(reader: &mut Reader) -> Result<Call, ApiError> {
    let id = reader.part("job_id");
    for name in ["start", "end", "advance_time", "skip_time", "calc_interim"] {
        reader.params.text(name);
    }
    reader.done()?;
    Ok(Call::new("cluster:admin/xpack/ml/job/flush", move |core| {
        let seven = core.profile.is_7();
        let end = core.cluster.wall();
        core.cluster
            .flush(&id)
            .map(|flushed| {
                if seven {
                    flushed
                } else {
                    json!({"flushed": true, "last_finalized_bucket_end": end})
                }
            })
            .into()
    }))
}

fn post_data(reader: &mut Reader) -> Result<Call, ApiError> {
    let id = reader.part("job_id");
    reader.params.text("reset_start");
    reader.params.text("reset_end");
    reader.done()?;
    let body = reader.request.body.clone();
    Ok(Call::new(
        "cluster:admin/xpack/ml/job/data/post",
        move |core| match core.cluster.post_data(&id, &body) {
            Ok(counts) => Ran::Json(202, counts),
            error => error.into(),
        },
    ))
}

fn reset(reader: &mut Reader) -> Result<Call, ApiError> {
    let id = reader.part("job_id");
    let wait = reader.params.flag("wait_for_completion", true)?;
    reader.params.flag("delete_user_annotations", false)?;
    reader.done()?;
    Ok(Call::new("cluster:admin/xpack/ml/job/reset", move |core| {
        core.cluster.reset_job(&id, wait).into()
    }))
}

fn revert(reader: &mut Reader) -> Result<Call, ApiError> {
    let (id, snapshot) = (reader.part("job_id"), reader.part("snapshot_id"));
    reader.params.flag("delete_intervening_results", false)?;
    reader.done()?;
    Ok(Call::new(
        "cluster:admin/xpack/ml/job/model_snapshots/revert",
        move |core| core.cluster.revert_job(&id, &snapshot).into(),
    ))
}

/// A whole number of zero or more.
fn count(name: &str, value: Option<&str>, default: usize) -> Result<usize, ApiError> {
    let Some(text) = value else {
        return Ok(default);
    };
    let number: i64 = text.parse().map_err(|_| {
        ApiError::bad_argument(format!(
            "Failed to parse int parameter [{name}] with value [{text}]"
        ))
    })?;
    usize::try_from(number)
        .map_err(|_| ApiError::bad_argument(format!("Parameter [{name}] cannot be < 0")))
}

/// `null`, a text or a number of the body as text.
fn plain_text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

fn snapshots(reader: &mut Reader) -> Result<Call, ApiError> {
    let (job, expression) = (reader.part("job_id"), reader.part("snapshot_id"));
    let mut given: [Option<String>; 5] = [const { None }; 5];
    let names = ["from", "size", "sort", "start", "end"];
    // Newest first, unless a body says what it wants and leaves this out.
    let descending;
    if reader.has_content() {
        let body = reader.loose("get_model_snapshots")?;
        let page = body.get("page").and_then(Value::as_object);
        for (slot, name) in given.iter_mut().zip(names) {
            *slot = match name {
                "from" | "size" => plain_text(page.and_then(|page| page.get(name))),
                _ => plain_text(body.get(name)),
            };
        }
        descending = body.get("desc").and_then(Value::as_bool).unwrap_or(false);
    } else {
        for (slot, name) in given.iter_mut().zip(names) {
            *slot = reader.params.text(name);
        }
        descending = reader.params.flag("desc", true)?;
    }
    let [from, size, sort, start, end] = given;
    let time = |name: &str, text: Option<String>| match text {
        Some(text) => epoch(name, &text).map(|ms| u64::try_from(ms).ok()),
        None => Ok(None),
    };
    let query = SnapshotQuery {
        job,
        expression,
        sort,
        descending,
        from: count("from", from.as_deref(), 0)?,
        size: count("size", size.as_deref(), 100)?,
        start: time("start", start)?,
        end: time("end", end)?,
    };
    reader.done()?;
    Ok(Call::new(
        "cluster:monitor/xpack/ml/job/model_snapshots/get",
        move |core| core.cluster.snapshots(&query).into(),
    ))
}

fn results(reader: &mut Reader) -> Result<Call, ApiError> {
    let id = reader.part("job_id");
    reader.done()?;
    Ok(Call::new(
        "cluster:monitor/xpack/ml/job/results/buckets/get",
        move |core| {
            core.cluster
                .known_job(&id)
                .map(|()| json!({"count": 0, "buckets": []}))
                .into()
        },
    ))
}

fn no_snapshot(reader: &mut Reader, action: &'static str) -> Result<Call, ApiError> {
    let (id, snapshot) = (reader.part("job_id"), reader.part("snapshot_id"));
    reader.done()?;
    Ok(Call::new(action, move |_| {
        Err(ApiError::not_found(format!(
            "No model snapshot with id [{snapshot}] exists for job [{id}]"
        )))
        .into()
    }))
}
