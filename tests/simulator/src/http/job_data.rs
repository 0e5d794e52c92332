//! The calls on what a job has analysed: data, flush, reset, model snapshots, results. Only as deep as an operator looks:
//! no result and no snapshot is ever made up here.

use serde_json::json;

use super::{
    call::{Call, Ran, Reader},
    routes::Endpoint,
};
use crate::cluster::ApiError;

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

fn snapshots(reader: &mut Reader) -> Result<Call, ApiError> {
    let id = reader.part("job_id");
    reader.part("snapshot_id");
    for name in ["from", "size", "desc", "sort", "start", "end"] {
        reader.params.text(name);
    }
    reader.done()?;
    Ok(Call::new(
        "cluster:monitor/xpack/ml/job/model_snapshots/get",
        move |core| core.cluster.snapshots(&id).into(),
    ))
}

fn results(reader: &mut Reader) -> Result<Call, ApiError> {
    let id = reader.part("job_id");
    reader.done()?;
    Ok(Call::new(
        "cluster:monitor/xpack/ml/job/results/buckets/get",
        move |core| {
            core.cluster
                .snapshots(&id)
                .map(|_| json!({"count": 0, "buckets": []}))
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
