//! Knobs of the cluster as a whole: nodes, master, licence, capacity, restart.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    core::{Core, Network},
    knob_body::{acknowledged, done, flag, no_knob, number, only, text},
};
use crate::cluster::{RestartTimes, model::Capacity};

/// Turns a knob of the cluster.
pub(super) fn cluster(
    core: &mut Core,
    method: &str,
    parts: &[&str],
    body: &Map<String, Value>,
) -> Result<Value, String> {
    let cluster = &mut core.cluster;
    match (method, parts) {
        (_, ["nodes" | "node_loss" | "node_shutdown"]) => nodes(core, method, parts, body),
        ("GET", ["master"]) => Ok(master(core)),
        ("PUT", ["master"]) => {
            only(body, &["present", "update_ms"])?;
            if body.contains_key("update_ms") {
                cluster.set_master_update(number(body, "update_ms")?);
            }
            if body.contains_key("present") || body.is_empty() {
                cluster.set_master(flag(body, "present")?);
            }
            Ok(master(core))
        }
        ("PUT", ["upgrade_mode"]) => {
            only(body, &["enabled"])?;
            cluster.set_upgrade_mode(flag(body, "enabled")?);
            Ok(acknowledged())
        }
        ("PUT", ["license"]) => {
            only(body, &["valid", "type", "closes"])?;
            let valid = flag(body, "valid").unwrap_or(true);
            let closes = flag(body, "closes").unwrap_or(true);
            cluster.set_licence(valid, text(body, "type"), closes);
            Ok(acknowledged())
        }
        ("PUT", ["capacity"]) => capacity(core, body),
        ("POST", ["restart"]) => restart(core, body),
        ("POST", ["idle_close"]) => {
            only(body, &["idle_ms"])?;
            let usual = cluster.idle_timeout().unwrap_or(u64::MAX);
            let idle = number(body, "idle_ms").unwrap_or(usual);
            Ok(json!({"closed": cluster.close_idle(idle)}))
        }
        ("PUT", ["missing_primaries"]) => missing_primaries(core, body),
        ("PUT", ["uuid"]) => {
            only(body, &["uuid"])?;
            cluster.set_uuid(text(body, "uuid"));
            Ok(json!({"cluster_uuid": cluster.uuid()}))
        }
        _ => no_knob(method, parts),
    }
}

fn nodes(
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
        ("POST", ["node_shutdown"]) => {
            only(body, &["node"])?;
            let what = "such node, or no node shutdown in this version";
            done(cluster.shut_node_down(text(body, "node")), what)
        }
        _ => no_knob(method, parts),
    }
}

fn capacity(core: &mut Core, body: &Map<String, Value>) -> Result<Value, String> {
    only(
        body,
        &["max_open_jobs", "max_opening", "memory_bytes", "lazy_nodes"],
    )?;
    let old = core.cluster.capacity();
    core.cluster.set_capacity(Capacity {
        max_open_jobs: body
            .get("max_open_jobs")
            .map_or(old.max_open_jobs, Value::as_u64),
        max_opening: body
            .get("max_opening")
            .map_or(old.max_opening, Value::as_u64),
        memory: number(body, "memory_bytes").unwrap_or(old.memory),
        sums: old.sums || body.contains_key("memory_bytes"),
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

fn master(core: &Core) -> Value {
    json!({"present": core.cluster.has_master(), "update_ms": core.cluster.master_update()})
}

/// All nodes stop and come back, the port closed for `down_ms` meanwhile.
fn restart(core: &mut Core, body: &Map<String, Value>) -> Result<Value, String> {
    let names = [
        "state_ms",
        "initial_ms",
        "shards_ms",
        "memory_ms",
        "down_ms",
    ];
    only(body, &names)?;
    let usual = RestartTimes::default();
    let of = |name: &str, usual: u64| number(body, name).unwrap_or(usual);
    let down = of("down_ms", 0);
    core.cluster.restart(RestartTimes {
        state: down + of("state_ms", usual.state),
        initial: of("initial_ms", usual.initial),
        shards: of("shards_ms", usual.shards),
        memory: of("memory_ms", usual.memory),
    });
    // Whoever waits for an answer is cut off.
    core.waiting.clear();
    if down > 0 {
        core.pending_network = Some((Network::Refuse, Some(Duration::from_millis(down))));
    }
    Ok(acknowledged())
}
