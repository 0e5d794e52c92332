//! Model snapshots and counts of data: what a graceful close leaves behind and a forced one does not (reference 8).

use serde_json::{Value, json};

use super::world::{JOBS, World, closed, refused, unknown_job};

fn snapshots(world: &World, rest: &str) -> Vec<Value> {
    let answer = world.get(&format!("{JOBS}/a/model_snapshots{rest}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let list = answer.at("/model_snapshots");
    list.as_array().expect("a list").clone()
}

fn ids(world: &World, rest: &str) -> Vec<String> {
    let text = |one: &Value| one["snapshot_id"].as_str().unwrap_or_default().to_owned();
    snapshots(world, rest).iter().map(text).collect()
}

#[test]
fn a_graceful_close_after_data_adds_a_snapshot_and_any_other_close_adds_none() {
    let world = World::nine();
    world.opened(&["a"]);
    let data = |latest: u64| {
        let body = json!({"records": 10, "latest_ms": latest});
        world.rig.knob("PUT", "jobs/a/data", &body);
    };
    closed(&world.close("a", ""));
    assert!(snapshots(&world, "").is_empty(), "a snapshot of nothing");
    world.open("a");
    data(1_700_000_000_000);
    closed(&world.close("a", ""));
    let list = snapshots(&world, "");
    assert_eq!(list.len(), 1);
    assert_eq!(
        list[0]["latest_record_time_stamp"],
        json!(1_700_000_000_000_u64)
    );
    assert_eq!(
        list[0]["snapshot_id"],
        world.config("a")["model_snapshot_id"]
    );
    // No new data, and data lost to a force: nothing is added.
    world.open("a");
    closed(&world.close("a", ""));
    world.open("a");
    data(1_700_000_900_000);
    closed(&world.close("a", "?force=true"));
    world.open("a");
    closed(&world.close("a", ""));
    assert_eq!(snapshots(&world, "").len(), 1);
    let counts = world
        .get(&format!("{JOBS}/a/_stats"))
        .at("/jobs/0/data_counts");
    assert_eq!(
        counts["latest_record_timestamp"],
        json!(1_700_000_900_000_u64)
    );
    assert!(counts["last_data_time"].is_u64(), "{counts}");
}

#[test]
fn snapshots_come_newest_first_in_pages_and_by_expression() {
    let world = World::nine();
    world.jobs(&["a"]);
    let one =
        |at: u64, latest: u64| json!({"timestamp_ms": at * 1_000, "latest_record_ms": latest});
    world.rig.knob(
        "PUT",
        "jobs/a/snapshots",
        &json!({"snapshots": [one(100, 30), one(300, 10), one(200, 20)]}),
    );
    assert_eq!(ids(&world, ""), ["300", "200", "100"]);
    assert_eq!(ids(&world, "?desc=false"), ["100", "200", "300"]);
    assert_eq!(ids(&world, "?size=1"), ["300"]);
    assert_eq!(ids(&world, "?from=1&size=1"), ["200"]);
    assert_eq!(
        ids(&world, "?sort=latest_record_time_stamp&desc=true"),
        ["100", "200", "300"]
    );
    assert_eq!(ids(&world, "?start=200000&end=300000"), ["200"]);
    assert_eq!(ids(&world, "/2*,100"), ["200", "100"]);
    assert_eq!(ids(&world, "/_all"), ["300", "200", "100"]);
    assert!(ids(&world, "/nope").is_empty());
    let page = world.get(&format!(
        "{JOBS}/a/model_snapshots?size=1&sort=timestamp&desc=true"
    ));
    assert_eq!(page.at("/count"), json!(3));
    let body = world.post_json(
        &format!("{JOBS}/a/model_snapshots"),
        &json!({"page": {"size": 1}, "desc": true}),
    );
    assert_eq!(body.at("/model_snapshots/0/snapshot_id"), json!("300"));
    let body = world.post_json(
        &format!("{JOBS}/a/model_snapshots"),
        &json!({"page": {"size": 1}}),
    );
    assert_eq!(body.at("/model_snapshots/0/snapshot_id"), json!("100"));
}

#[test]
fn snapshots_of_an_unknown_job_and_odd_pages_are_refused() {
    let world = World::nine();
    unknown_job(&world.get(&format!("{JOBS}/nope/model_snapshots")), "nope");
    world.jobs(&["a"]);
    let get = |rest: &str| world.get(&format!("{JOBS}/a/model_snapshots?{rest}"));
    let reason = "Parameter [size] cannot be < 0";
    refused(&get("size=-1"), 400, "illegal_argument_exception", reason);
    let reason = "Failed to parse int parameter [from] with value [x]";
    refused(&get("from=x"), 400, "illegal_argument_exception", reason);
    assert_eq!(get("sort=nope").status, 400);
    assert_eq!(get("odd=1").status, 400);
}

#[test]
fn a_revert_makes_an_older_snapshot_the_active_one() {
    let world = World::nine();
    world.jobs(&["a"]);
    let list = json!({"snapshots": [{"timestamp_ms": 100_000}, {"timestamp_ms": 200_000}]});
    world.rig.knob("PUT", "jobs/a/snapshots", &list);
    assert_eq!(world.config("a")["model_snapshot_id"], "200");
    let revert = |id: &str| world.post(&format!("{JOBS}/a/model_snapshots/{id}/_revert"));
    assert_eq!(revert("100").at("/model/snapshot_id"), json!("100"));
    assert_eq!(world.config("a")["model_snapshot_id"], "100");
    let reason = "No model snapshot with id [300] exists for job [a]";
    refused(&revert("300"), 404, "resource_not_found_exception", reason);
}
