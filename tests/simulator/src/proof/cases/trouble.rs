//! Cases 24 to 29, 32 to 35: lost nodes, lost configurations, no master, upgrade mode.

use serde_json::json;

use super::world::{FEEDS, JOBS, World, closed, ok, refused, unknown_job, until};
use crate::proof::wire::Request;

const UPGRADING: &str = "persistent task cannot be assigned while upgrade mode is enabled.";

#[test]
fn case_24_after_the_loss_of_its_node_a_job_still_says_opened() {
    let world = World::nine();
    world.running("a", "feed");
    world.rig.lose_nodes();
    let stats = world.get(&format!("{JOBS}/a/_stats"));
    assert_eq!(
        (stats.at("/jobs/0/state"), stats.at("/jobs/0/node")),
        (json!("opened"), json!(null))
    );
    let stats = world.get(&format!("{FEEDS}/feed/_stats"));
    assert_eq!(
        (
            stats.at("/datafeeds/0/state"),
            stats.at("/datafeeds/0/node")
        ),
        (json!("started"), json!(null))
    );
}

#[test]
fn case_25_without_a_node_stop_and_close_still_work() {
    for (stop, close) in [
        ("", ""),
        ("?force=true", ""),
        ("", "?force=true"),
        ("?force=true", "?force=true"),
    ] {
        let world = World::nine();
        world.running("a", "feed");
        world.rig.lose_nodes();
        ok(
            &world.post(&format!("{FEEDS}/feed/_stop{stop}")),
            &json!({"stopped": true}),
        );
        closed(&world.close("a", close));
        assert_eq!(
            (world.state("a"), world.feed_state("feed")),
            ("closed".into(), "stopped".into())
        );
        let audit = world.rig.knob("GET", "audit", &json!({}));
        let closing = if close.is_empty() {
            "Job is closing"
        } else {
            "Job is closing (forced)"
        };
        let messages: Vec<_> = audit["messages"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|line| (line["job"].as_str(), line["message"].as_str()))
            .collect();
        let of_a = |message| (Some("a"), Some(message));
        assert_eq!(messages, [of_a("Datafeed stopped"), of_a(closing)]);
    }
}

#[test]
fn case_26_a_failed_job_with_a_datafeed_stuck_in_stopping_goes_by_force() {
    let world = World::nine();
    world.running("a", "feed");
    world.rig.job("a", &json!({"feed_stop_ms": "hang"}));
    let stop = world.background(Request::new("POST", &format!("{FEEDS}/feed/_stop")));
    until("the datafeed is stopping", || {
        world.feed_state("feed") == "stopping"
    });
    world.rig.fail_job("a", "native process has died");
    world.rig.lose_nodes();
    ok(
        &world.post(&format!("{FEEDS}/feed/_stop?force=true")),
        &json!({"stopped": true}),
    );
    closed(&world.close("a", "?force=true"));
    assert_eq!(
        (world.state("a"), world.feed_state("feed")),
        ("closed".into(), "stopped".into())
    );
    stop.join().expect("an answer");
}

#[test]
fn case_27_a_job_without_configuration_is_unknown_to_close_but_not_to_force() {
    let world = World::nine();
    world.opened(&["a"]);
    world.rig.lose_job_config("a");
    unknown_job(&world.close("a", "?allow_no_match=false"), "a");
    unknown_job(&world.close("a", ""), "a");
    closed(&world.close("a", "?force=true"));
    unknown_job(&world.close("a", "?force=true"), "a");
}

#[test]
fn case_28_a_datafeed_without_configuration_is_unknown_to_stop_but_not_to_force() {
    let world = World::nine();
    world.running("a", "feed");
    world.rig.lose_feed_config("feed");
    let stop = |rest: &str| world.post(&format!("{FEEDS}/feed/_stop{rest}"));
    refused(
        &stop(""),
        404,
        "resource_not_found_exception",
        "No datafeed with id [feed] exists",
    );
    ok(&stop("?force=true"), &json!({"stopped": true}));
}

#[test]
fn case_29_the_statistics_list_a_task_without_configuration() {
    let world = World::nine();
    world.opened(&["a"]);
    world.jobs(&["b"]);
    world.rig.lose_job_config("a");
    let stats = world.get(&format!(
        "{JOBS}/*/_stats?filter_path=jobs.job_id,jobs.state"
    ));
    ok(
        &stats,
        &json!({"jobs": [{"job_id": "a", "state": "opened"}, {"job_id": "b", "state": "closed"}]}),
    );
    ok(
        &world.get(&format!("{JOBS}/*?filter_path=jobs.job_id")),
        &json!({"jobs": [{"job_id": "b"}]}),
    );
}

#[test]
fn case_32_in_upgrade_mode_everything_that_changes_a_job_is_429_and_reading_is_not() {
    let world = World::nine();
    world.running("a", "feed");
    upgrade_mode(&world, true);
    let calls = [
        (
            "POST",
            format!("{JOBS}/a/_open"),
            "cluster:admin/xpack/ml/job/open",
        ),
        (
            "POST",
            format!("{JOBS}/a/_close"),
            "cluster:admin/xpack/ml/job/close",
        ),
        (
            "POST",
            format!("{JOBS}/a/_close?force=true"),
            "cluster:admin/xpack/ml/job/close",
        ),
        (
            "POST",
            format!("{FEEDS}/feed/_stop"),
            "cluster:admin/xpack/ml/datafeed/stop",
        ),
        (
            "POST",
            format!("{FEEDS}/feed/_start"),
            "cluster:admin/xpack/ml/datafeed/start",
        ),
        (
            "DELETE",
            format!("{JOBS}/a?force=true"),
            "cluster:admin/xpack/ml/job/delete",
        ),
    ];
    for (method, target, action) in calls {
        let reason = format!("Cannot perform {action} action while upgrade mode is enabled");
        refused(
            &world.send(&Request::new(method, &target)),
            429,
            "status_exception",
            &reason,
        );
    }
    assert_eq!(world.get("/_ml/info").at("/upgrade_mode"), json!(true));
    assert_eq!(world.get(JOBS).status, 200);
}

#[test]
fn case_33_and_34_upgrade_mode_unassigns_and_its_end_assigns_again() {
    let world = World::nine();
    world.running("a", "feed");
    upgrade_mode(&world, true);
    let stats = world.get(&format!("{JOBS}/a/_stats")).at("/jobs/0");
    assert_eq!(
        (
            &stats["state"],
            &stats["assignment_explanation"],
            stats.get("node")
        ),
        (&json!("opened"), &json!(UPGRADING), None)
    );
    let stats = world
        .get(&format!("{FEEDS}/feed/_stats"))
        .at("/datafeeds/0");
    assert_eq!(
        (&stats["state"], &stats["assignment_explanation"]),
        (&json!("started"), &json!(UPGRADING))
    );
    upgrade_mode(&world, false);
    world.rig.advance_ms(1_000);
    let stats = world.get(&format!("{JOBS}/a/_stats")).at("/jobs/0");
    assert_eq!(
        (&stats["state"], &stats["assignment_explanation"]),
        (&json!("opened"), &json!(""))
    );
    let explanation = world
        .get(&format!("{FEEDS}/feed/_stats"))
        .at("/datafeeds/0/assignment_explanation");
    let text = explanation.as_str().unwrap_or_default();
    assert!(text.is_empty() || text.contains("state is stale"), "{text}");
    closed(&world.close("a", ""));
}

#[test]
fn case_35_upgrade_mode_may_be_set_to_what_it_is() {
    let world = World::nine();
    upgrade_mode(&world, false);
    upgrade_mode(&world, true);
    upgrade_mode(&world, true);
}

#[test]
fn without_a_master_close_is_503_at_once_and_reading_goes_on() {
    let world = World::nine();
    world.opened(&["a"]);
    world.rig.master(false);
    let answer = world.close("a", "");
    assert_eq!(
        (answer.status, answer.at("/error/type")),
        (503, json!("master_not_discovered_exception")),
        "{}",
        answer.text()
    );
    world.rig.master(true);
    closed(&world.close("a", ""));
}

fn upgrade_mode(world: &World, on: bool) {
    let answer = world.post(&format!("/_ml/set_upgrade_mode?enabled={on}&timeout=30s"));
    ok(&answer, &json!({"acknowledged": true}));
}
