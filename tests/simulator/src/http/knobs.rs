//! `/_simulator/`: what tests turn and read. Unknown keys and paths are refused with what would be right; nothing here is
//! authenticated or logged.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    answer::Answer,
    connection::Shared,
    core::{Core, Network},
    inject::Rule,
    knob_values::{merged, shown},
    request::Request,
    uri,
};
use crate::cluster::model::Capacity;

/// Every knob, as `GET /_simulator/` lists them.
const LIST: &[(&str, &str)] = &[
    (
        "POST reset",
        "a new, empty cluster; knobs, rules and logs gone",
    ),
    (
        "GET|PUT defaults",
        "durations and faults of all jobs: open_ms, close_ms, remove_ms, force_ms (ms, or null/\"hang\"), lost_closes, persist_fails, finalise_fails, on_kill (409|404|200), feed_start_ms, feed_stop_ms, feed_stop_fails, lookback_ms, feed_notice_ms",
    ),
    (
        "GET|PUT jobs/{id}",
        "the same for one job, which need not exist yet",
    ),
    ("POST jobs/{id}/fail", "{reason}: the process dies"),
    (
        "POST jobs/{id}/lose_config",
        "the configuration goes, the task stays",
    ),
    (
        "POST jobs/{id}/lose_task",
        "the task goes, the datafeed stays",
    ),
    (
        "PUT jobs/{id}/deleting",
        "{deleting}: the mark in the configuration",
    ),
    ("PUT jobs/{id}/block", "{reason: delete|reset|revert|null}"),
    (
        "PUT jobs/{id}/data",
        "{records, latest_ms}: what _stats counts",
    ),
    (
        "POST datafeeds/{id}/end",
        "the datafeed reaches its end and closes its job",
    ),
    (
        "POST datafeeds/{id}/lose_config",
        "the configuration goes, the task stays",
    ),
    (
        "PUT missing_primaries",
        "{indices}: their primary shards are away, no job opens; [] = all are back",
    ),
    ("PUT nodes", "{count}"),
    ("POST node_loss", "{node}: name, or the last one"),
    ("PUT master", "{present}"),
    ("PUT upgrade_mode", "{enabled}"),
    ("PUT license", "{valid, type}"),
    (
        "PUT capacity",
        "{max_open_jobs (null = no limit), memory_bytes, lazy_nodes}",
    ),
    (
        "GET|POST|DELETE inject",
        "a fault: {api|path_contains, method, count (1; null = always), skip, status, type, reason, retry_after, headers, delay_ms, cut: before|after, body: html|endless|truncated|not_json|other_product|error|silence, json, gzip, location}",
    ),
    (
        "PUT uuid",
        "{uuid}: another cluster_uuid; without one a new one",
    ),
    (
        "PUT network",
        "{mode: up|refuse|blackhole, for_ms}: blackhole still answers /_simulator/, refuse does not",
    ),
    ("GET|PUT clock", "{hold}"),
    ("POST clock/advance", "{ms}"),
    ("GET|DELETE log", "{requests, changes}"),
    ("GET counts", "requests by api"),
];

/// Whether a path belongs to the knobs.
pub(crate) fn is_knob(path: &str) -> bool {
    path == "/_simulator" || path.starts_with("/_simulator/")
}

/// Turns or reads a knob.
pub(crate) fn answer(shared: &Shared, request: &Request) -> Answer {
    let mut core = shared.lock();
    core.tick();
    let outcome = turn(&mut core, request);
    core.tick();
    let profile = core.profile;
    drop(core);
    shared.changed.notify_one();
    match outcome {
        Ok(value) => Answer::json(200, &value, profile),
        Err(reason) => Answer::json(
            400,
            &json!({"error": reason, "see": "GET /_simulator/"}),
            profile,
        ),
    }
}

fn turn(core: &mut Core, request: &Request) -> Result<Value, String> {
    let body = if request.body.is_empty() {
        Map::new()
    } else {
        serde_json::from_slice::<Map<String, Value>>(&request.body)
            .map_err(|error| format!("the body is no JSON object: {error}"))?
    };
    let path = uri::decode(request.path(), false)?;
    let parts: Vec<&str> = uri::segments(&path).into_iter().skip(1).collect();
    match (request.method.as_str(), parts.as_slice()) {
        ("GET", []) => Ok(
            json!({"knobs": LIST.iter().map(|(call, about)| json!({"call": call, "about": about})).collect::<Vec<_>>()}),
        ),
        ("POST", ["reset"]) => {
            core.reset();
            Ok(acknowledged())
        }
        ("GET", ["defaults"]) => Ok(shown(&core.cluster.defaults())),
        ("PUT", ["defaults"]) => {
            let knobs = merged(core.cluster.defaults(), &body)?;
            core.cluster.set_defaults(knobs);
            Ok(shown(&knobs))
        }
        (method, ["jobs" | "datafeeds", ..]) => job(core, method, &parts, &body),
        (method, ["log" | "counts" | "inject"]) => records(core, method, &parts, &body),
        (method, ["network"] | ["clock", ..]) => surroundings(core, method, &parts, &body),
        (method, _) => cluster(core, method, &parts, &body),
    }
}

fn only(body: &Map<String, Value>, known: &[&str]) -> Result<(), String> {
    match body.keys().find(|key| !known.contains(&key.as_str())) {
        Some(odd) => Err(format!("unknown key '{odd}': one of {}", known.join(", "))),
        None => Ok(()),
    }
}

fn done(ok: bool, what: &str) -> Result<Value, String> {
    if ok {
        Ok(acknowledged())
    } else {
        Err(format!("there is no {what}"))
    }
}

fn acknowledged() -> Value {
    json!({"acknowledged": true})
}

fn no_knob(method: &str, parts: &[&str]) -> Result<Value, String> {
    Err(format!("no knob {method} {}", parts.join("/")))
}

fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    body.get(name).and_then(Value::as_str)
}

fn flag(body: &Map<String, Value>, name: &str) -> Result<bool, String> {
    body.get(name)
        .and_then(Value::as_bool)
        .ok_or_else(|| format!("'{name}' is true or false"))
}

fn number(body: &Map<String, Value>, name: &str) -> Result<u64, String> {
    body.get(name)
        .and_then(Value::as_u64)
        .ok_or_else(|| format!("'{name}' is a number"))
}

fn job(
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
        ("POST", ["datafeeds", id, "lose_config"]) => {
            done(cluster.lose_feed_config(id), "such datafeed")
        }
        ("POST", ["datafeeds", id, "end"]) => {
            done(cluster.end_lookback(id), "running datafeed of this id")
        }
        _ => no_knob(method, parts),
    }
}

fn cluster(
    core: &mut Core,
    method: &str,
    parts: &[&str],
    body: &Map<String, Value>,
) -> Result<Value, String> {
    let cluster = &mut core.cluster;
    match (method, parts) {
        ("PUT", ["nodes"]) => {
            only(body, &["count"])?;
            cluster.set_nodes(usize::try_from(number(body, "count")?).unwrap_or(0));
            Ok(json!({"nodes": cluster.node_count()}))
        }
        ("POST", ["node_loss"]) => {
            only(body, &["node"])?;
            done(cluster.lose_node(text(body, "node")), "such node")
        }
        ("PUT", ["master"]) => {
            only(body, &["present"])?;
            cluster.set_master(flag(body, "present")?);
            Ok(acknowledged())
        }
        ("PUT", ["upgrade_mode"]) => {
            only(body, &["enabled"])?;
            cluster.set_upgrade_mode(flag(body, "enabled")?);
            Ok(acknowledged())
        }
        ("PUT", ["license"]) => {
            only(body, &["valid", "type"])?;
            cluster.set_licence(flag(body, "valid").unwrap_or(true), text(body, "type"));
            Ok(acknowledged())
        }
        ("PUT", ["capacity"]) => capacity(core, body),
        ("PUT", ["missing_primaries"]) => missing_primaries(core, body),
        ("PUT", ["uuid"]) => {
            only(body, &["uuid"])?;
            cluster.set_uuid(text(body, "uuid"));
            Ok(json!({"cluster_uuid": cluster.uuid()}))
        }
        _ => no_knob(method, parts),
    }
}

fn capacity(core: &mut Core, body: &Map<String, Value>) -> Result<Value, String> {
    only(body, &["max_open_jobs", "memory_bytes", "lazy_nodes"])?;
    let old = core.cluster.capacity();
    core.cluster.set_capacity(Capacity {
        max_open_jobs: body
            .get("max_open_jobs")
            .map_or(old.max_open_jobs, Value::as_u64),
        memory: number(body, "memory_bytes").unwrap_or(old.memory),
        lazy_nodes: flag(body, "lazy_nodes").unwrap_or(old.lazy_nodes),
    });
    Ok(acknowledged())
}

fn missing_primaries(core: &mut Core, body: &Map<String, Value>) -> Result<Value, String> {
    only(body, &["indices"])?;
    let indices = body
        .get("indices")
        .and_then(Value::as_array)
        .ok_or("'indices' is a list of names")?;
    let names = indices.iter().filter_map(Value::as_str);
    core.cluster
        .set_missing_primaries(names.map(str::to_owned).collect());
    Ok(acknowledged())
}

/// What was asked and what was put between.
fn records(
    core: &mut Core,
    method: &str,
    parts: &[&str],
    body: &Map<String, Value>,
) -> Result<Value, String> {
    match (method, parts) {
        ("GET", ["log"]) => {
            let requests: Vec<Value> = core
                .log
                .iter()
                .map(|line| json!({"seq": line.seq, "at_ms": line.at, "method": line.method, "path": line.path, "query": line.query, "api": line.api, "status": line.status, "user": line.user}))
                .collect();
            Ok(json!({"requests": requests, "changes": core.cluster.changes()}))
        }
        ("DELETE", ["log"]) => {
            core.log.clear();
            core.counts.clear();
            core.cluster.clear_changes();
            Ok(acknowledged())
        }
        ("GET", ["counts"]) => Ok(json!(core.counts)),
        ("GET", ["inject"]) => {
            Ok(json!({"rules": core.rules.iter().map(Rule::shown).collect::<Vec<_>>()}))
        }
        ("POST", ["inject"]) => {
            core.log_seq += 1;
            let rule = Rule::parse(core.log_seq, body)?;
            let id = rule.id;
            core.rules.push(rule);
            Ok(json!({"id": id}))
        }
        ("DELETE", ["inject"]) => {
            core.rules.clear();
            Ok(acknowledged())
        }
        _ => no_knob(method, parts),
    }
}

/// Clock and network.
fn surroundings(
    core: &mut Core,
    method: &str,
    parts: &[&str],
    body: &Map<String, Value>,
) -> Result<Value, String> {
    let clock = |core: &Core| Ok(json!({"now_ms": core.clock.now(), "held": core.clock.held}));
    match (method, parts) {
        ("GET", ["clock"]) => clock(core),
        ("PUT", ["clock"]) => {
            only(body, &["hold"])?;
            core.clock.hold(flag(body, "hold")?);
            clock(core)
        }
        ("POST", ["clock", "advance"]) => {
            only(body, &["ms"])?;
            core.clock.advance(number(body, "ms")?);
            core.tick();
            clock(core)
        }
        ("PUT", ["network"]) => {
            only(body, &["mode", "for_ms"])?;
            let mode = match text(body, "mode") {
                Some("up") => Network::Up,
                Some("refuse") => Network::Refuse,
                Some("blackhole") => Network::Blackhole,
                _ => return Err("'mode' is up, refuse or blackhole".into()),
            };
            let time = number(body, "for_ms").ok().map(Duration::from_millis);
            core.pending_network = Some((mode, time));
            Ok(acknowledged())
        }
        _ => no_knob(method, parts),
    }
}
