//! The calls around ML: root page, licence, info, upgrade mode, cluster state, settings, cat and tasks.

use serde_json::{Map, Value, json};

use super::{
    call::{Call, Ran, Reader},
    dates, indices,
    routes::Endpoint,
};
use crate::cluster::{ApiError, TimeValue};

const DAY: u64 = 86_400_000;

/// Reads one of these calls.
///
/// # Errors
/// The 400s of its parameters and body.
pub(crate) fn read(reader: &mut Reader) -> Result<Call, ApiError> {
    match reader.endpoint {
        Endpoint::Root => simple(reader, "cluster:monitor/main", &[], |core| {
            Ran::Json(200, core.cluster.root())
        }),
        Endpoint::License => license(reader),
        Endpoint::Info => simple(reader, "cluster:monitor/xpack/ml/info/get", &[], |core| {
            Ran::Json(200, core.cluster.info())
        }),
        Endpoint::UpgradeMode => upgrade_mode(reader),
        Endpoint::CatJobs => cat(reader),
        Endpoint::Health => health(reader),
        Endpoint::ClusterState => state(reader),
        Endpoint::GetSettings => {
            let names = [
                "flat_settings",
                "include_defaults",
                "local",
                "master_timeout",
            ];
            simple(reader, "cluster:monitor/state", &names, |core| {
                Ran::Json(200, core.cluster.settings())
            })
        }
        Endpoint::PutSettings => put_settings(reader),
        Endpoint::Tasks => tasks(reader),
        Endpoint::Xpack => xpack(reader),
        Endpoint::NodesStats => simple(
            reader,
            "cluster:monitor/nodes/stats",
            &["level", "timeout"],
            |_| Ran::Json(200, json!({"nodes": {}})),
        ),
        _ => indices::read(reader),
    }
}

fn simple(
    reader: &mut Reader,
    action: &'static str,
    names: &[&str],
    work: impl FnOnce(&mut super::core::Core) -> Ran + Send + 'static,
) -> Result<Call, ApiError> {
    for name in names {
        reader.params.text(name);
    }
    reader.done()?;
    Ok(Call::new(action, work))
}

fn license(reader: &mut Reader) -> Result<Call, ApiError> {
    simple(
        reader,
        "cluster:monitor/xpack/license/get",
        &["local", "accept_enterprise"],
        |core| {
            let issued = core.cluster.wall() - core.cluster.now();
            let of = |ms: u64| (ms, dates::iso(ms));
            Ran::Json(
                200,
                core.cluster
                    .licence_json(&of(issued), &of(issued + 30 * DAY)),
            )
        },
    )
}

fn put_settings(reader: &mut Reader) -> Result<Call, ApiError> {
    let body = reader.loose("cluster_update_settings_request")?;
    simple(
        reader,
        "cluster:admin/settings/update",
        &["flat_settings", "timeout", "master_timeout"],
        move |core| core.cluster.put_settings(&body).into(),
    )
}

fn xpack(reader: &mut Reader) -> Result<Call, ApiError> {
    simple(
        reader,
        "cluster:monitor/xpack/info",
        &["categories", "accept_enterprise"],
        |core| {
            let (kind, _) = core.cluster.licence();
            Ran::Json(
                200,
                json!({"license": {"type": kind, "mode": kind, "status": "active"}, "features": {"ml": {"available": true, "enabled": true}}, "tagline": "You know, for X"}),
            )
        },
    )
}

fn upgrade_mode(reader: &mut Reader) -> Result<Call, ApiError> {
    let on = reader.params.flag("enabled", false)?;
    reader.params.time("timeout", TimeValue::seconds(30))?;
    reader
        .params
        .time("master_timeout", TimeValue::seconds(30))?;
    reader.done()?;
    Ok(Call::new(
        "cluster:admin/xpack/ml/upgrade_mode",
        move |core| {
            core.cluster.set_upgrade_mode(on);
            Ran::Json(200, json!({"acknowledged": true}))
        },
    ))
}

fn health(reader: &mut Reader) -> Result<Call, ApiError> {
    for name in [
        "index",
        "level",
        "wait_for_status",
        "wait_for_nodes",
        "wait_for_events",
        "wait_for_no_relocating_shards",
        "wait_for_active_shards",
        "wait_for_no_initializing_shards",
    ] {
        reader.params.text(name);
    }
    reader.params.flag("local", false)?;
    reader
        .params
        .time("master_timeout", TimeValue::seconds(30))?;
    reader.params.time("timeout", TimeValue::seconds(30))?;
    reader.done()?;
    Ok(Call::new("cluster:monitor/health", |core| {
        Ran::Json(200, core.cluster.health())
    }))
}

fn state(reader: &mut Reader) -> Result<Call, ApiError> {
    let metric = reader
        .params
        .text("metric")
        .unwrap_or_else(|| "_all".into());
    let with_customs = reader.params.text("indices").is_none();
    for name in [
        "local",
        "master_timeout",
        "flat_settings",
        "wait_for_metadata_version",
        "wait_for_timeout",
        "ignore_unavailable",
        "allow_no_indices",
        "expand_wildcards",
    ] {
        reader.params.text(name);
    }
    reader.done()?;
    Ok(Call::new("cluster:monitor/state", move |core| {
        if core.cluster.has_master() {
            let filter = core.filter();
            let wanted = |path: &[&str]| filter.wants(path);
            Ran::Json(
                200,
                core.cluster.cluster_state(&metric, with_customs, &wanted),
            )
        } else {
            Ran::Reply(core.cluster.state_without_master())
        }
    }))
}

fn tasks(reader: &mut Reader) -> Result<Call, ApiError> {
    let grouped = reader.params.text("group_by").as_deref() != Some("none");
    for name in [
        "actions",
        "nodes",
        "detailed",
        "parent_task_id",
        "wait_for_completion",
        "timeout",
    ] {
        reader.params.text(name);
    }
    reader.done()?;
    Ok(Call::new("cluster:monitor/tasks/lists", move |core| {
        let one = |id: usize| json!({"node": "simulated", "id": id, "type": "persistent", "action": "xpack/ml/job[c]", "start_time_in_millis": 0, "running_time_in_nanos": 0, "cancellable": true, "headers": {}});
        let list: Vec<Value> = (1..=core.cluster.running_tasks()).map(one).collect();
        if !grouped {
            return Ran::Json(200, json!({"tasks": list}));
        }
        let by_id: Map<String, Value> = list
            .into_iter()
            .enumerate()
            .map(|(at, task)| (format!("simulated:{}", at + 1), task))
            .collect();
        Ran::Json(
            200,
            json!({"nodes": {"simulated": {"name": "node-1", "tasks": by_id}}}),
        )
    }))
}

fn cat(reader: &mut Reader) -> Result<Call, ApiError> {
    let expression = reader.part("job_id");
    let allow = reader.allow_no_match("allow_no_jobs")?;
    let json_wanted = matches!(reader.params.peek("format"), Some("json" | "yaml"));
    let columns = reader.params.text("h");
    let header = reader.params.flag("v", false)?;
    let sort = reader.params.text("s");
    for name in ["bytes", "time", "help", "ts"] {
        reader.params.text(name);
    }
    reader.done()?;
    Ok(Call::new(
        "cluster:monitor/xpack/ml/job/stats/get",
        move |core| {
            let mut rows = match core.cluster.cat_jobs(&expression, allow) {
                Ok(rows) => rows,
                Err(error) => return Err(error).into(),
            };
            if sort.as_deref().is_some_and(|sort| sort.ends_with(":desc")) {
                rows.reverse();
            }
            let columns = columns.unwrap_or_else(|| "id,state,data.processed_records,model.bytes,model.memory_status,forecasts.total,buckets.count".into());
            // What is no column is left out without a word.
            let columns: Vec<&str> = columns
                .split(',')
                .map(str::trim)
                .filter(|name| is_column(name))
                .collect();
            if json_wanted {
                let list: Vec<Value> = rows
                    .iter()
                    .map(|row| {
                        columns
                            .iter()
                            .map(|name| ((*name).to_owned(), Value::String(cell(row, name))))
                            .collect::<Map<_, _>>()
                            .into()
                    })
                    .collect();
                return Ran::Json(200, list.into());
            }
            Ran::Text(table(&rows, &columns, header))
        },
    ))
}

/// Whether a name is one of the columns, or an alias that is known here.
fn is_column(name: &str) -> bool {
    let groups = ["data.", "model.", "forecasts.", "buckets.", "node."];
    matches!(
        name,
        "id" | "state" | "s" | "opened_time" | "ot" | "assignment_explanation" | "ae"
    ) || groups.iter().any(|group| name.starts_with(group))
}

fn cell(row: &(String, &'static str), name: &str) -> String {
    match name {
        "id" => row.0.clone(),
        "state" | "s" => row.1.to_owned(),
        "model.bytes" => "0b".into(),
        "model.memory_status" => "ok".into(),
        "assignment_explanation" | "ae" => String::new(),
        "opened_time" | "ot" if row.1 == "closed" => String::new(),
        _ => "0".into(),
    }
}

fn table(rows: &[(String, &'static str)], columns: &[&str], header: bool) -> String {
    let mut lines: Vec<Vec<String>> = rows
        .iter()
        .map(|row| columns.iter().map(|name| cell(row, name)).collect())
        .collect();
    if header {
        lines.insert(0, columns.iter().map(|name| (*name).to_owned()).collect());
    }
    let widths: Vec<usize> = (0..columns.len())
        .map(|at| {
            lines
                .iter()
                .filter_map(|line| line.get(at))
                .map(String::len)
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for line in lines {
        // All columns but the id are aligned to the right.
        let padded: Vec<String> = line
            .iter()
            .zip(&widths)
            .zip(columns)
            .map(|((cell, width), name)| {
                if *name == "id" {
                    format!("{cell:width$}")
                } else {
                    format!("{cell:>width$}")
                }
            })
            .collect();
        text.push_str(&padded.join(" "));
        text.push('\n');
    }
    text
}
