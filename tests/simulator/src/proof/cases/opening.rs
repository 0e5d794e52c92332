//! Cases 22, 23, 30, 31, 53, 56: when and how a job opens, and what closing has to do with it.

use serde_json::json;

use super::world::{JOBS, World, closed, ok, refused, unknown_job, until};
use crate::proof::wire::Request;

#[test]
fn case_22_and_23_a_job_too_big_for_any_node_opens_lazily_and_closes() {
    let world = World::nine();
    let big = json!({"analysis_limits": {"model_memory_limit": "3000gb"}, "allow_lazy_open": true});
    world.job_with("big", &big);
    ok(
        &world.post(&format!("{JOBS}/big/_open")),
        &json!({"opened": true, "node": ""}),
    );
    assert_eq!(world.state("big"), "opening");
    closed(&world.close("big", ""));
    assert_eq!(world.state("big"), "closed");
}

#[test]
fn case_30_an_open_that_may_take_no_time_times_out_with_408() {
    let world = World::nine();
    world.jobs(&["a"]);
    world.rig.job("a", &json!({"open_ms": 1_000}));
    let call = world.background(Request::new(
        "POST",
        &format!("{JOBS}/a/_open?timeout=1nanos"),
    ));
    world.rig.until_received("/_open?timeout=1nanos", 1);
    world.rig.advance_ms(1);
    refused(
        &call.join().expect("an answer"),
        408,
        "status_exception",
        "Opening job [a] timed out after [1nanos]",
    );
    assert_eq!(world.state("a"), "opening");
    world.rig.advance_ms(1_000);
    assert_eq!(
        world.state("a"),
        "opened",
        "section 4: the task is not cancelled by the timeout"
    );
}

#[test]
fn case_31_while_assignment_is_disabled_nothing_opens() {
    let world = World::nine();
    world.jobs(&["a"]);
    let setting =
        |value| json!({"transient": {"cluster.persistent_tasks.allocation.enable": value}});
    assert_eq!(
        world
            .put("/_cluster/settings", &setting(Some("none")))
            .status,
        200
    );
    let reason = "Cannot open jobs because persistent task assignment is disabled by the \
                  [cluster.persistent_tasks.allocation.enable] setting";
    refused(
        &world.post(&format!("{JOBS}/a/_open")),
        429,
        "status_exception",
        reason,
    );
    assert_eq!(world.state("a"), "closed");
    assert_eq!(world.put("/_cluster/settings", &setting(None)).status, 200);
    let answer = world.post(&format!("{JOBS}/a/_open"));
    assert!(
        answer
            .at("/node")
            .as_str()
            .is_some_and(|node| !node.is_empty()),
        "{}",
        answer.text()
    );
}

#[test]
fn case_53_with_primaries_away_nothing_opens() {
    let world = World::nine();
    world.jobs(&["a"]);
    world
        .rig
        .missing_primaries(&[".ml-state", ".ml-anomalies-shared"]);
    let answer = world.post(&format!("{JOBS}/a/_open"));
    refused(
        &answer,
        429,
        "status_exception",
        "Could not open job because no ML nodes with sufficient capacity were found",
    );
    let cause = answer.at("/error/caused_by/reason");
    let phrase = "not all primary shards are active for the following indices";
    assert!(
        cause.as_str().is_some_and(|text| text.contains(phrase)),
        "{cause}"
    );
    assert_eq!(world.state("a"), "closed");
}

#[test]
fn case_56_an_open_that_someone_forces_closed_waits_to_its_timeout() {
    let world = World::nine();
    world.jobs(&["a"]);
    world.rig.job("a", &json!({"open_ms": 600_000}));
    let open = world.background(Request::new("POST", &format!("{JOBS}/a/_open?timeout=30s")));
    until("the job is opening", || world.state("a") == "opening");
    closed(&world.close("a", "?force=true"));
    assert_eq!(world.state("a"), "closed");
    world.rig.advance_ms(29_000);
    assert!(!open.is_finished(), "the open answered before its timeout");
    world.rig.advance_ms(1_000);
    refused(
        &open.join().expect("an answer"),
        408,
        "status_exception",
        "Opening job [a] timed out after [30s]",
    );
}

#[test]
fn a_plain_close_of_an_opening_job_refuses_the_open_that_waits() {
    let world = World::nine();
    world.jobs(&["a"]);
    world.rig.job("a", &json!({"open_ms": 600_000}));
    let open = world.background(Request::new("POST", &format!("{JOBS}/a/_open")));
    until("the job is opening", || world.state("a") == "opening");
    closed(&world.close("a", ""));
    let reason = "The job has been closed while waiting to be opened";
    refused(
        &open.join().expect("an answer"),
        409,
        "status_exception",
        reason,
    );
}

#[test]
fn without_a_licence_close_works_and_open_is_403() {
    let world = World::nine();
    world.jobs(&["b"]);
    world.opened(&["a"]);
    world.rig.licence_lapses();
    let answer = world.post(&format!("{JOBS}/b/_open"));
    refused(
        &answer,
        403,
        "security_exception",
        "current license is non-compliant for [ml]",
    );
    assert_eq!(answer.at("/error/license.expired.feature"), json!("ml"));
    closed(&world.close("a", ""));
}

#[test]
fn an_open_whose_process_cannot_start_ends_in_failed() {
    let world = World::nine();
    world.jobs(&["a"]);
    world.rig.job("a", &json!({"open_fails": true}));
    let reason = "Unexpected job state [failed] with reason [simulated failure to restore the state] while waiting for job to be opened";
    let open = || world.post(&format!("{JOBS}/a/_open"));
    refused(&open(), 500, "exception", reason);
    assert_eq!(world.state("a"), "failed");
    let reason = "Cannot open job [a] because it has already been opened";
    refused(&open(), 409, "status_exception", reason);
    closed(&world.close("a", "?force=true"));
    world.rig.job("a", &json!({"open_fails": false}));
    world.open("a");
}

#[test]
fn a_job_whose_snapshot_is_too_old_does_not_open() {
    let world = World::nine();
    world.jobs(&["a"]);
    let old = json!({"snapshots": [{"timestamp_ms": 100_000, "min_version": "7.9.0"}]});
    world.rig.knob("PUT", "jobs/a/snapshots", &old);
    let reason = "[a] job model snapshot [100] has min version before [8.3.0], please revert to a newer model snapshot or reset the job";
    let answer = world.post(&format!("{JOBS}/a/_open"));
    refused(&answer, 400, "status_exception", reason);
    assert_eq!(world.state("a"), "closed");
}

#[test]
fn a_job_that_is_being_deleted_is_blocked_and_no_wildcard_finds_it() {
    let world = World::nine();
    world.opened(&["a", "b"]);
    world
        .rig
        .knob("PUT", "jobs/a/deleting", &json!({"deleting": true}));
    let config = world.config("a");
    assert_eq!(
        (&config["blocked"]["reason"], &config["deleting"]),
        (&json!("delete"), &json!(true))
    );
    unknown_job(&world.close("a", ""), "a");
    closed(&world.close("*", ""));
    assert_eq!(world.states(&["a", "b"]), ["opened", "closed"]);
    closed(&world.close("a", "?force=true"));
    let reason = "Cannot open job [a] because it is executing [delete]";
    let answer = world.post(&format!("{JOBS}/a/_open"));
    refused(&answer, 409, "status_exception", reason);
}

#[test]
fn a_blocked_job_closes_but_does_not_open() {
    let world = World::nine();
    world.jobs(&["a"]);
    world.rig.block_job("a", "revert");
    assert_eq!(world.config("a")["blocked"]["reason"], "revert");
    refused(
        &world.post(&format!("{JOBS}/a/_open")),
        409,
        "status_exception",
        "Cannot open job [a] because it is executing [revert]",
    );
    closed(&world.close("a", ""));
}
