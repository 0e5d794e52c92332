//! Knobs of single jobs and datafeeds, and those that make many at once.

use serde_json::{Map, Value, json};

use super::{
    core::Core,
    knob_body::{done, flag, no_knob, number, only, text},
    knob_values::{merged, shown},
};
use crate::cluster::{Bulk, Feeds, model::Snapshot};

/// Turns a knob of `jobs` or `datafeeds`.
pub(super) fn job(
    core: &mut Core,
    method: &str,
    parts: &[&str],
    body: &Map<String, Value>,
) -> Result<Value, String> {
    let cluster = &mut core.cluster;
    match (method, parts) {
        ("GET", ["jobs", id]) => Ok(shown(&cluster.job_knobs(id))),
        ("PUT", ["jobs", id]) => {
            let knobs = merged(cluster.job_knobs(id), body)?;
            cluster.set_job_knobs(id, knobs);
            Ok(shown(&knobs))
        }
        ("POST", ["jobs", id, "fail"]) => {
            only(body, &["reason"])?;
            let reason = text(body, "reason").unwrap_or("simulated failure");
            let what = "task of this job: only an open job can fail";
            done(cluster.fail_job(id, reason), what)
        }
        ("POST", ["jobs", id, "lose_config"]) => done(cluster.lose_config(id), "such job"),
        ("POST", ["jobs", id, "lose_task"]) => done(cluster.lose_task(id), "task of this job"),
        ("PUT", ["jobs", id, "deleting"]) => {
            only(body, &["deleting"])?;
            let mark = flag(body, "deleting").unwrap_or(true);
            done(cluster.mark_deleting(id, mark), "such job")
        }
        ("PUT", ["jobs", id, "block"]) => {
            only(body, &["reason"])?;
            done(cluster.set_blocked(id, text(body, "reason")), "such job")
        }
        ("PUT", ["jobs", id, "data"]) => {
            only(body, &["records", "latest_ms"])?;
            let records = number(body, "records").unwrap_or(1);
            let latest = number(body, "latest_ms").ok();
            done(cluster.set_counts(id, records, latest), "such job")
        }
        ("PUT", ["jobs", id, "snapshots"]) => snapshots(core, id, body),
        ("POST", ["datafeeds", id, "lose_config"]) => {
            done(cluster.lose_feed_config(id), "such datafeed")
        }
        ("POST", ["datafeeds", id, "end"]) => {
            done(cluster.end_lookback(id), "running datafeed of this id")
        }
        _ => no_knob(method, parts),
    }
}

/// Replaces the model snapshots of a job.
fn snapshots(core: &mut Core, id: &str, body: &Map<String, Value>) -> Result<Value, String> {
    only(body, &["snapshots"])?;
    let list = body
        .get("snapshots")
        .and_then(Value::as_array)
        .ok_or("'snapshots' is a list")?;
    let usual = core.profile.snapshot_version();
    let mut snapshots = Vec::with_capacity(list.len());
    for entry in list {
        let entry = entry.as_object().ok_or("a snapshot is an object")?;
        only(
            entry,
            &["id", "timestamp_ms", "latest_record_ms", "min_version"],
        )?;
        let timestamp = number(entry, "timestamp_ms")?;
        let latest = number(entry, "latest_record_ms").ok();
        snapshots.push(Snapshot {
            id: text(entry, "id").map_or_else(|| (timestamp / 1000).to_string(), str::to_owned),
            timestamp,
            latest_record: latest,
            latest_result: latest,
            min_version: text(entry, "min_version").unwrap_or(usual).to_owned(),
            description: "Periodic background persist".into(),
        });
    }
    done(core.cluster.set_snapshots(id, snapshots), "such job")
}

/// Makes many jobs at once, without the cost of a PUT each.
pub(super) fn bulk(core: &mut Core, body: &Map<String, Value>) -> Result<Value, String> {
    only(
        body,
        &[
            "prefix",
            "from",
            "count",
            "groups",
            "opened",
            "datafeeds",
            "records",
            "latest_ms",
        ],
    )?;
    let groups = match body.get("groups") {
        None => Vec::new(),
        Some(groups) => serde_json::from_value(groups.clone())
            .map_err(|_| "'groups' is a list of names".to_owned())?,
    };
    let datafeeds = match text(body, "datafeeds").unwrap_or("none") {
        "none" => Feeds::None,
        "stopped" => Feeds::Stopped,
        "started" => Feeds::Started,
        _ => return Err("'datafeeds' is none, stopped or started".into()),
    };
    let bulk = Bulk {
        prefix: text(body, "prefix").unwrap_or("job-").to_owned(),
        from: number(body, "from").unwrap_or(0),
        count: number(body, "count")?,
        groups,
        opened: flag(body, "opened").unwrap_or(false),
        datafeeds,
        records: number(body, "records").unwrap_or(0),
        latest: number(body, "latest_ms").ok(),
    };
    let (first, last) = core
        .cluster
        .put_many(&bulk)
        .map_err(|error| error.reason.unwrap_or_default())?;
    Ok(json!({"count": bulk.count, "first": first, "last": last}))
}
