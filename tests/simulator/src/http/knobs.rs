//! `/_simulator/`: what tests turn and read. Unknown keys and paths are refused with what would be right; nothing here is
//! authenticated or logged.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    answer::Answer,
    connection::Shared,
    core::{Core, Network},
    inject::Rule,
    knob_body::{acknowledged, flag, no_knob, number, only, text},
    knob_list::LIST,
    knob_values::{merged, shown},
    knobs_cluster::cluster,
    knobs_jobs::{bulk, job},
    request::Request,
    uri,
};

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
        ("POST", ["jobs_bulk"]) => bulk(core, &body),
        (method, ["jobs" | "datafeeds", ..]) => job(core, method, &parts, &body),
        (method, ["log" | "audit" | "counts" | "inject", ..]) => {
            records(core, method, &parts, &body)
        }
        (method, ["network"] | ["clock", ..]) => surroundings(core, method, &parts, &body),
        (method, _) => cluster(core, method, &parts, &body),
    }
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
            core.searches.clear();
            core.cluster.clear_changes();
            Ok(acknowledged())
        }
        ("GET", ["audit"]) => Ok(json!({"messages": core.cluster.notices()})),
        ("GET", ["counts"]) => Ok(json!(core.counts)),
        ("GET", ["counts", "searches"]) => Ok(json!(core.searches)),
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
