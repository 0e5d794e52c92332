//! `/_simulator/`: what tests turn and read. Unknown keys and paths are refused with what would be right; nothing here is
//! authenticated or logged.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    answer::Answer,
    connection::Shared,
    core::{Core, Network},
    inject::Rule,
    request::Request,
    uri,
};
use crate::cluster::model::{Capacity, Delay, Knobs, OnKill};

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
            Ok(json!({"acknowledged": true}))
        }
        ("GET", ["defaults"]) => Ok(shown(&core.cluster.defaults())),
        ("PUT", ["defaults"]) => {
            let knobs = merged(core.cluster.defaults(), &body)?;
            core.cluster.set_defaults(knobs);
            Ok(shown(&knobs))
        }
        (_, ["jobs" | "datafeeds", ..]) => job(core, request.method.as_str(), &parts, &body),
        (_, ["log" | "counts" | "inject" | "network"] | ["clock", ..]) => {
            tools(core, request.method.as_str(), &parts, &body)
        }
        _ => cluster(core, request.method.as_str(), &parts, &body),
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
        Ok(json!({"acknowledged": true}))
    } else {
        Err(format!("there is no {what}"))
    }
}

fn job(
    core: &mut Core,
    method: &str,
    parts: &[&str],
    body: &Map<String, Value>,
) -> Result<Value, String> {
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    match (method, parts) {
        ("GET", ["jobs", id]) => Ok(shown(&core.cluster.job_knobs(id))),
        ("PUT", ["jobs", id]) => {
            let knobs = merged(core.cluster.job_knobs(id), body)?;
            core.cluster.set_job_knobs(id, knobs);
            Ok(shown(&knobs))
        }
        ("POST", ["jobs", id, "fail"]) => {
            only(body, &["reason"])?;
            done(
                core.cluster
                    .fail_job(id, text("reason").unwrap_or("simulated failure")),
                "task of this job: only an open job can fail",
            )
        }
        ("POST", ["jobs", id, "lose_config"]) => done(core.cluster.lose_config(id), "such job"),
        ("POST", ["jobs", id, "lose_task"]) => done(core.cluster.lose_task(id), "task of this job"),
        ("PUT", ["jobs", id, "deleting"]) => {
            only(body, &["deleting"])?;
            done(
                core.cluster.mark_deleting(
                    id,
                    body.get("deleting")
                        .and_then(Value::as_bool)
                        .unwrap_or(true),
                ),
                "such job",
            )
        }
        ("PUT", ["jobs", id, "block"]) => {
            only(body, &["reason"])?;
            done(core.cluster.set_blocked(id, text("reason")), "such job")
        }
        ("PUT", ["jobs", id, "data"]) => {
            only(body, &["records", "latest_ms"])?;
            let records = body.get("records").and_then(Value::as_u64).unwrap_or(1);
            done(
                core.cluster
                    .set_counts(id, records, body.get("latest_ms").and_then(Value::as_u64)),
                "such job",
            )
        }
        ("POST", ["datafeeds", id, "lose_config"]) => {
            done(core.cluster.lose_feed_config(id), "such datafeed")
        }
        ("POST", ["datafeeds", id, "end"]) => {
            done(core.cluster.end_lookback(id), "running datafeed of this id")
        }
        _ => Err(format!("no knob {method} {}", parts.join("/"))),
    }
}

fn cluster(
    core: &mut Core,
    method: &str,
    parts: &[&str],
    body: &Map<String, Value>,
) -> Result<Value, String> {
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let flag = |name: &str| {
        body.get(name)
            .and_then(Value::as_bool)
            .ok_or_else(|| format!("'{name}' is true or false"))
    };
    match (method, parts) {
        ("PUT", ["nodes"]) => {
            only(body, &["count"])?;
            let count = body
                .get("count")
                .and_then(Value::as_u64)
                .ok_or("'count' is a number")?;
            core.cluster.set_nodes(usize::try_from(count).unwrap_or(0));
            Ok(json!({"nodes": core.cluster.node_count()}))
        }
        ("POST", ["node_loss"]) => {
            only(body, &["node"])?;
            done(core.cluster.lose_node(text("node")), "such node")
        }
        ("PUT", ["master"]) => {
            only(body, &["present"])?;
            core.cluster.set_master(flag("present")?);
            Ok(json!({"acknowledged": true}))
        }
        ("PUT", ["upgrade_mode"]) => {
            only(body, &["enabled"])?;
            core.cluster.set_upgrade_mode(flag("enabled")?);
            Ok(json!({"acknowledged": true}))
        }
        ("PUT", ["license"]) => {
            only(body, &["valid", "type"])?;
            core.cluster
                .set_licence(flag("valid").unwrap_or(true), text("type"));
            Ok(json!({"acknowledged": true}))
        }
        ("PUT", ["capacity"]) => {
            only(body, &["max_open_jobs", "memory_bytes", "lazy_nodes"])?;
            let old = core.cluster.capacity();
            let max_open_jobs = body
                .get("max_open_jobs")
                .map_or(old.max_open_jobs, Value::as_u64);
            let memory = body
                .get("memory_bytes")
                .and_then(Value::as_u64)
                .unwrap_or(old.memory);
            core.cluster.set_capacity(Capacity {
                max_open_jobs,
                memory,
                lazy_nodes: flag("lazy_nodes").unwrap_or(old.lazy_nodes),
            });
            Ok(json!({"acknowledged": true}))
        }
        ("PUT", ["missing_primaries"]) => {
            only(body, &["indices"])?;
            let indices = body
                .get("indices")
                .and_then(Value::as_array)
                .ok_or("'indices' is a list of names")?;
            let names = indices.iter().filter_map(Value::as_str);
            core.cluster
                .set_missing_primaries(names.map(str::to_owned).collect());
            Ok(json!({"acknowledged": true}))
        }
        ("PUT", ["uuid"]) => {
            only(body, &["uuid"])?;
            core.cluster.set_uuid(text("uuid"));
            Ok(json!({"cluster_uuid": core.cluster.uuid()}))
        }
        _ => Err(format!("no knob {method} {}", parts.join("/"))),
    }
}

fn tools(
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
            Ok(json!({"acknowledged": true}))
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
            Ok(json!({"acknowledged": true}))
        }
        ("GET", ["clock"]) => Ok(json!({"now_ms": core.clock.now(), "held": core.clock.held})),
        ("PUT", ["clock"]) => {
            only(body, &["hold"])?;
            core.clock.hold(
                body.get("hold")
                    .and_then(Value::as_bool)
                    .ok_or("'hold' is true or false")?,
            );
            Ok(json!({"now_ms": core.clock.now(), "held": core.clock.held}))
        }
        ("POST", ["clock", "advance"]) => {
            only(body, &["ms"])?;
            core.clock.advance(
                body.get("ms")
                    .and_then(Value::as_u64)
                    .ok_or("'ms' is a number")?,
            );
            core.tick();
            Ok(json!({"now_ms": core.clock.now(), "held": core.clock.held}))
        }
        ("PUT", ["network"]) => {
            only(body, &["mode", "for_ms"])?;
            let mode = match body.get("mode").and_then(Value::as_str) {
                Some("up") => Network::Up,
                Some("refuse") => Network::Refuse,
                Some("blackhole") => Network::Blackhole,
                _ => return Err("'mode' is up, refuse or blackhole".into()),
            };
            core.pending_network = Some((
                mode,
                body.get("for_ms")
                    .and_then(Value::as_u64)
                    .map(Duration::from_millis),
            ));
            Ok(json!({"acknowledged": true}))
        }
        _ => Err(format!("no knob {method} {}", parts.join("/"))),
    }
}

fn delay(value: &Value) -> Result<Delay, String> {
    match value {
        Value::Null => Ok(Delay::Hang),
        Value::String(text) if text == "hang" => Ok(Delay::Hang),
        Value::Number(number) => number
            .as_u64()
            .map(Delay::Ms)
            .ok_or_else(|| "a duration is a whole number of ms".into()),
        other @ (Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => Err(
            format!("a duration is a number of ms, null or \"hang\", not {other}"),
        ),
    }
}

fn merged(knobs: Knobs, body: &Map<String, Value>) -> Result<Knobs, String> {
    let mut knobs = knobs;
    for (name, value) in body {
        let flag = || {
            value
                .as_bool()
                .ok_or_else(|| format!("'{name}' is true or false"))
        };
        match name.as_str() {
            "open_ms" => knobs.open = delay(value)?,
            "close_ms" => knobs.close = delay(value)?,
            "remove_ms" => knobs.remove = delay(value)?,
            "force_ms" => knobs.force = delay(value)?,
            "lost_closes" => {
                knobs.lost_closes = value
                    .as_u64()
                    .and_then(|number| u32::try_from(number).ok())
                    .ok_or("'lost_closes' is a number")?;
            }
            "persist_fails" => knobs.persist_fails = flag()?,
            "finalise_fails" => knobs.finalise_fails = flag()?,
            "on_kill" => {
                knobs.on_kill = match value.as_u64() {
                    Some(409) => OnKill::Interrupted,
                    Some(404) => OnKill::TaskGone,
                    Some(200) => OnKill::Closed,
                    _ => return Err("'on_kill' is 409, 404 or 200".into()),
                }
            }
            "feed_start_ms" => knobs.feed_start = delay(value)?,
            "feed_stop_ms" => knobs.feed_stop = delay(value)?,
            "feed_stop_fails" => knobs.feed_stop_fails = flag()?,
            "lookback_ms" => knobs.lookback = delay(value)?,
            "feed_notice_ms" => knobs.feed_notice = delay(value)?,
            odd => {
                return Err(format!(
                    "unknown key '{odd}': see 'defaults' in the list of knobs"
                ));
            }
        }
    }
    Ok(knobs)
}

fn shown(knobs: &Knobs) -> Value {
    let ms = |delay: Delay| match delay {
        Delay::Ms(ms) => json!(ms),
        Delay::Hang => json!("hang"),
    };
    let on_kill = match knobs.on_kill {
        OnKill::Interrupted => 409,
        OnKill::TaskGone => 404,
        OnKill::Closed => 200,
    };
    json!({
        "open_ms": ms(knobs.open), "close_ms": ms(knobs.close), "remove_ms": ms(knobs.remove), "force_ms": ms(knobs.force), "lost_closes": knobs.lost_closes,
        "persist_fails": knobs.persist_fails, "finalise_fails": knobs.finalise_fails, "on_kill": on_kill, "feed_start_ms": ms(knobs.feed_start),
        "feed_stop_ms": ms(knobs.feed_stop), "feed_stop_fails": knobs.feed_stop_fails, "lookback_ms": ms(knobs.lookback), "feed_notice_ms": ms(knobs.feed_notice),
    })
}
