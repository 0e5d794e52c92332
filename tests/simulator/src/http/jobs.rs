//! The calls on anomaly detection jobs: how their parameters and bodies are read.

use serde_json::Value;

use super::{
    call::{Call, Ran, Reader},
    job_data, job_shapes,
    json_kinds::{Kind, Spec},
    routes::Endpoint,
};
use crate::cluster::{ApiError, CloseRequest, Cluster, DeleteRequest, OpenRequest, TimeValue};

const CLOSE: Spec = Spec {
    parser: "cluster:admin/xpack/ml/job/close",
    fields: &[
        ("job_id", Kind::Text),
        ("timeout", Kind::Time),
        ("force", Kind::Bool),
        ("allow_no_match", Kind::Bool),
    ],
    old: &[("allow_no_jobs", "allow_no_match")],
    check: None,
};
const OPEN: Spec = Spec {
    parser: "xpack/ml/job",
    fields: &[("job_id", Kind::Text), ("timeout", Kind::Time)],
    old: &[],
    check: None,
};
fn text(body: &super::json::Body, name: &str) -> Option<String> {
    body.fields
        .get(name)
        .and_then(Value::as_str)
        .map(str::to_owned)
}

fn flag(body: &super::json::Body, name: &str, default: bool) -> bool {
    body.fields
        .get(name)
        .and_then(Value::as_bool)
        .unwrap_or(default)
}

/// Reads a call on jobs.
///
/// # Errors
/// The 400s of its parameters and body.
pub(crate) fn read(reader: &mut Reader) -> Result<Call, ApiError> {
    match reader.endpoint {
        Endpoint::Close => close(reader),
        Endpoint::Open => open(reader),
        Endpoint::GetJobs => get(reader),
        Endpoint::JobStats => stats(reader),
        Endpoint::PutJob => put(reader),
        Endpoint::UpdateJob => update(reader),
        Endpoint::DeleteJob => delete(reader),
        _ => job_data::read(reader),
    }
}

fn close(reader: &mut Reader) -> Result<Call, ApiError> {
    let expression = reader.part("job_id");
    let mut request = CloseRequest {
        expression,
        allow_no_match: true,
        force: false,
        timeout: TimeValue::minutes(30),
    };
    if reader.has_content() {
        let body = reader.body(CLOSE)?;
        request.force = flag(&body, "force", false);
        request.allow_no_match = flag(&body, "allow_no_match", true);
        if let Some(timeout) = text(&body, "timeout") {
            request.timeout = TimeValue::parse(&timeout, "timeout")?;
        }
    } else {
        // Absent parameters are not read, and so are no candidates for a suggestion.
        if reader.params.has("timeout") {
            request.timeout = reader.params.time("timeout", request.timeout)?;
        }
        if reader.params.has("force") {
            request.force = reader.params.flag("force", false)?;
        }
        request.allow_no_match = reader.allow_no_match("allow_no_jobs")?;
    }
    reader.done()?;
    Ok(Call::new("cluster:admin/xpack/ml/job/close", move |core| {
        Ran::Reply(core.cluster.close(request))
    }))
}

fn open(reader: &mut Reader) -> Result<Call, ApiError> {
    let mut request = OpenRequest {
        job: reader.part("job_id"),
        timeout: TimeValue::minutes(30),
    };
    if reader.has_content() {
        let body = reader.body(OPEN)?;
        if let Some(timeout) = text(&body, "timeout") {
            request.timeout = TimeValue::parse(&timeout, "timeout")?;
        }
    } else if reader.params.has("timeout") {
        request.timeout = reader.params.time("timeout", request.timeout)?;
    }
    reader.done()?;
    Ok(Call::new("cluster:admin/xpack/ml/job/open", move |core| {
        Ran::Reply(core.cluster.open(&request))
    }))
}

fn get(reader: &mut Reader) -> Result<Call, ApiError> {
    let expression = reader.part("job_id");
    let allow = reader.allow_no_match("allow_no_jobs")?;
    let bare =
        reader.profile.exclude_generated() && reader.params.flag("exclude_generated", false)?;
    reader.done()?;
    Ok(Call::new("cluster:monitor/xpack/ml/job/get", move |core| {
        let filter = core.filter();
        core.cluster
            .jobs(&expression, allow, bare, &|name| {
                filter.wants(&["jobs", name])
            })
            .into()
    }))
}

fn stats(reader: &mut Reader) -> Result<Call, ApiError> {
    let expression = reader.part("job_id");
    let allow = reader.allow_no_match("allow_no_jobs")?;
    reader.done()?;
    Ok(Call::new(
        "cluster:monitor/xpack/ml/job/stats/get",
        move |core| {
            let filter = core.filter();
            core.cluster
                .job_stats(&expression, allow, &|name| filter.wants(&["jobs", name]))
                .into()
        },
    ))
}

fn put(reader: &mut Reader) -> Result<Call, ApiError> {
    let id = reader.part("job_id");
    let fields = job_shapes::put_fields(reader.profile);
    let body = reader
        .body(Spec {
            parser: "job_details",
            fields: &fields,
            old: &[],
            check: None,
        })?
        .fields;
    Cluster::check_job_body(&id, &body)?;
    reader.done()?;
    Ok(Call::new("cluster:admin/xpack/ml/job/put", move |core| {
        core.cluster.put_job(&id, &body).into()
    }))
}

fn update(reader: &mut Reader) -> Result<Call, ApiError> {
    let id = reader.part("job_id");
    let fields = job_shapes::update_fields(reader.profile);
    let body = reader
        .body(Spec {
            parser: "job_update",
            fields: &fields,
            old: &[],
            check: None,
        })?
        .fields;
    reader.done()?;
    Ok(Call::new(
        "cluster:admin/xpack/ml/job/update",
        move |core| {
            if id == "_all" {
                return Err(ApiError::status(
                    400,
                    "Cannot update more than 1 job at a time",
                ))
                .into();
            }
            core.cluster.update_job(&id, &body).into()
        },
    ))
}

fn delete(reader: &mut Reader) -> Result<Call, ApiError> {
    let job = reader.part("job_id");
    let force = reader.params.flag("force", false)?;
    reader.params.time("timeout", TimeValue::seconds(30))?;
    reader
        .params
        .time("master_timeout", TimeValue::seconds(30))?;
    let wait = reader.params.flag("wait_for_completion", true)?;
    if !reader.profile.is_7() {
        reader.params.flag("delete_user_annotations", false)?;
    }
    reader.done()?;
    let request = DeleteRequest { job, force, wait };
    Ok(Call::new(
        "cluster:admin/xpack/ml/job/delete",
        move |core| core.delete_job(&request),
    ))
}
