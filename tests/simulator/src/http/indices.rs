//! Index and document calls: enough for datafeeds to have an index, and for the two surgeries on `.ml-config` that make
//! states no API makes. No document is stored.

use serde_json::{Value, json};

use super::{
    call::{Call, Ran, Reader},
    routes::Endpoint,
};
use crate::cluster::ApiError;

/// Parameters that are taken and change nothing.
const IDLE: [&str; 11] = [
    "refresh",
    "pipeline",
    "routing",
    "timeout",
    "master_timeout",
    "ignore_unavailable",
    "allow_no_indices",
    "expand_wildcards",
    "wait_for_active_shards",
    "include_type_name",
    "local",
];

/// Reads one of these calls.
///
/// # Errors
/// The 400s of its path and parameters.
pub(crate) fn read(reader: &mut Reader) -> Result<Call, ApiError> {
    let index = reader.part("index");
    let id = reader.part("id");
    check_type(reader)?;
    for name in IDLE {
        reader.params.text(name);
    }
    let lenient = reader.params.peek("ignore_unavailable") == Some("true");
    reader.done()?;
    Ok(match reader.endpoint {
        Endpoint::GetIndex => Call::new("indices:admin/get", move |core| {
            core.cluster.get_index(&index).into()
        }),
        Endpoint::PutIndex => Call::new("indices:admin/create", move |core| {
            core.cluster.put_index(&index).into()
        }),
        Endpoint::DeleteIndex => Call::new("indices:admin/delete", move |core| {
            core.cluster.delete_index(&index, lenient).into()
        }),
        Endpoint::CloseIndex => Call::new("indices:admin/close", move |core| {
            core.cluster.close_index(&index, true).into()
        }),
        Endpoint::OpenIndex => Call::new("indices:admin/open", move |core| {
            core.cluster.close_index(&index, false).into()
        }),
        Endpoint::Refresh => Call::new("indices:admin/refresh", |_| {
            Ran::Json(200, json!({"_shards": shards()}))
        }),
        Endpoint::Bulk => Call::new("indices:data/write/bulk", |_| {
            Ran::Json(200, json!({"took": 1, "errors": false, "items": []}))
        }),
        Endpoint::GetDoc => Call::new("indices:data/read/get", move |core| {
            core.cluster.get_document(&index).into()
        }),
        Endpoint::DeleteDoc => delete_document(&index, &id),
        Endpoint::UpdateDoc => update_document(reader, &index, &id),
        _ => Call::new("indices:data/write/index", move |core| {
            core.cluster.ensure_index(&index);
            Ran::Json(201, written(&index, &id, "created"))
        }),
    })
}

/// Paths of 7.x with a document type.
fn check_type(reader: &mut Reader) -> Result<(), ApiError> {
    let kind = reader.params.text("type");
    if kind.is_some() && reader.endpoint == Endpoint::GetDoc {
        reader.params.warnings.push("[types removal] Specifying types in document get requests is deprecated, use the /{index}/_doc/{id} endpoint instead.".into());
    }
    if kind.as_deref() == Some("") {
        return Err(ApiError::new(
            400,
            "action_request_validation_exception",
            "Validation Failed: 1: type is missing;",
        ));
    }
    Ok(())
}

fn shards() -> Value {
    json!({"total": 1, "successful": 1, "failed": 0})
}

fn written(index: &str, id: &str, result: &str) -> Value {
    json!({"_index": index, "_type": "_doc", "_id": id, "_version": 1, "result": result, "_shards": shards()})
}

/// The job whose configuration a document of `.ml-config` is.
fn configured_job(index: &str, id: &str) -> Option<String> {
    id.strip_prefix("anomaly_detector-")
        .filter(|_| index == ".ml-config")
        .map(str::to_owned)
}

fn delete_document(index: &str, id: &str) -> Call {
    let job = configured_job(index, id);
    let gone = written(index, id, "deleted");
    Call::new("indices:data/write/delete", move |core| {
        if let Some(job) = job {
            core.cluster.lose_config(&job);
        }
        Ran::Json(200, gone)
    })
}

fn update_document(reader: &Reader, index: &str, id: &str) -> Call {
    let job = configured_job(index, id);
    let deleting = reader
        .loose("doc")
        .ok()
        .and_then(|body| body.get("doc")?.get("deleting")?.as_bool());
    let made = written(index, id, "created");
    Call::new("indices:data/write/update", move |core| {
        if let (Some(job), Some(deleting)) = (job, deleting) {
            core.cluster.mark_deleting(&job, deleting);
        }
        Ran::Json(200, made)
    })
}
