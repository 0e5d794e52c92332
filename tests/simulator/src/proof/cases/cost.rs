//! What calls cost a real cluster: updates of the master's one queue, and searches (reference 17.17, measurements of 7.10).

use serde_json::{Value, json};

use super::request_with;
use super::world::{FEEDS, JOBS, World, closed, until};
use crate::proof::wire::Request;

/// Searches by api since the log was emptied.
fn searches(world: &World) -> Value {
    world.rig.knob("GET", "counts/searches", &json!({}))
}

fn version(world: &World) -> u64 {
    let answer = world.get("/_cluster/state/version?filter_path=version");
    answer.at("/version").as_u64().expect("a version")
}

#[test]
fn statistics_cost_four_searches_a_closed_job_one_an_opened_one_and_one_a_call() {
    for (opened, cost) in [(false, 401), (true, 101)] {
        let world = World::nine();
        world.rig.knob(
            "POST",
            "jobs_bulk",
            &json!({"prefix": "j", "count": 100, "opened": opened}),
        );
        assert_eq!(
            world
                .get(&format!("{JOBS}/_stats?filter_path=jobs.state"))
                .status,
            200
        );
        assert_eq!(searches(&world), json!({"JobStats": cost}));
        world.rig.clear_log();
        assert_eq!(world.get(&format!("{JOBS}/j00000/_stats")).status, 200);
        assert_eq!(
            searches(&world),
            json!({"JobStats": if opened { 2 } else { 5 }})
        );
    }
}

#[test]
fn a_close_costs_two_searches_however_many_jobs_it_names_and_reading_tasks_costs_none() {
    for profile in ["7.10", "7.13", "7.17", "8", "9"] {
        let world = World::of(profile);
        world.rig.knob(
            "POST",
            "jobs_bulk",
            &json!({"prefix": "j", "count": 3, "opened": true}),
        );
        closed(&world.close("j00000", ""));
        closed(&world.close("j00000", ""));
        closed(&world.close("j00001,j00002", "?force=true"));
        assert_eq!(world.close("nope", "").status, 404);
        assert_eq!(
            searches(&world),
            json!({"Close": 2 + 2 + 2 + 1}),
            "{profile}"
        );
        world.rig.clear_log();
        for (target, status) in [
            ("/", 200),
            ("/_ml/info", 200),
            (
                "/_cluster/state/metadata?filter_path=metadata.persistent_tasks",
                200,
            ),
            (JOBS, 200),
            (FEEDS, 200),
            ("/_ml/datafeeds/_stats", 200),
        ] {
            assert_eq!(world.get(target).status, status, "{target}");
        }
        assert_eq!(world.post(&format!("{JOBS}/j00001/_open")).status, 200);
        assert_eq!(
            world.post(&format!("{JOBS}/j00001/_close?odd=1")).status,
            400
        );
        assert_eq!(
            searches(&world),
            json!({"FeedStats": 1, "GetFeeds": 1, "GetJobs": 1}),
            "{profile}"
        );
    }
}

#[test]
fn a_close_is_two_updates_a_forced_one_is_one_and_an_open_is_two() {
    let world = World::nine();
    world.jobs(&["a", "b"]);
    let spent = |call: &dyn Fn()| {
        let before = version(&world);
        call();
        version(&world) - before
    };
    assert_eq!(spent(&|| world.open("a")), 2);
    assert_eq!(spent(&|| closed(&world.close("a", ""))), 2);
    world.open("b");
    assert_eq!(spent(&|| closed(&world.close("b", "?force=true"))), 1);
}

#[test]
fn with_a_serial_master_each_update_waits_for_those_before_it() {
    let world = World::nine();
    world.rig.knob("PUT", "master", &json!({"update_ms": 25}));
    world.jobs(&["a", "b"]);
    let open = |id: &str| world.background(Request::new("POST", &format!("{JOBS}/{id}/_open")));
    let (a, b) = (open("a"), open("b"));
    world.rig.until_received("/_open", 2);
    assert_eq!(world.states(&["a", "b"]), ["closed", "closed"]);
    // The creation of both, then the two processes that are up.
    world.rig.advance_ms(25);
    world.rig.advance_ms(25);
    assert_eq!(world.states(&["a", "b"]), ["opening", "opening"]);
    world.rig.advance_ms(25);
    let mut states = world.states(&["a", "b"]);
    states.sort();
    assert_eq!(states, ["opened", "opening"]);
    world.rig.advance_ms(25);
    for call in [a, b] {
        assert_eq!(call.join().expect("an answer").status, 200);
    }
    // Four updates: closing, closing, and the two removals.
    let list = world.background(request_with("POST", "a,b", ""));
    world.rig.until_received("/_close", 1);
    world.rig.advance_ms(50);
    assert_eq!(world.states(&["a", "b"]), ["closing", "closing"]);
    world.rig.advance_ms(49);
    assert!(!list.is_finished());
    world.rig.advance_ms(1);
    closed(&list.join().expect("an answer"));
}

#[test]
fn four_hundred_forced_closes_take_the_master_ten_seconds() {
    let world = World::nine();
    world.rig.knob(
        "POST",
        "jobs_bulk",
        &json!({"prefix": "j", "count": 400, "groups": ["g"], "opened": true}),
    );
    world.rig.knob("PUT", "master", &json!({"update_ms": 25}));
    let call = world.background(request_with("POST", "g", "?force=true"));
    world.rig.until_received("/_close?force=true", 1);
    world.rig.advance_ms(9_999);
    assert_eq!(world.states(&["j00398", "j00399"]), ["closed", "opened"]);
    world.rig.advance_ms(1);
    closed(&call.join().expect("an answer"));
}

#[test]
fn a_close_that_waits_for_the_master_is_told_when_its_job_fails_meanwhile() {
    let world = World::of("8");
    world.opened(&["a"]);
    world.rig.knob("PUT", "master", &json!({"update_ms": 25}));
    let call = world.background(request_with("POST", "a", ""));
    world.rig.until_received("/_close", 1);
    world.rig.fail_job("a", "boom");
    assert_eq!(call.join().expect("an answer").status, 500);
    world.rig.advance_ms(100);
    assert_eq!(world.state("a"), "failed");
}

#[test]
fn a_close_that_overtakes_a_queued_open_finds_nothing_to_close() {
    let world = World::nine();
    world.rig.knob("PUT", "master", &json!({"update_ms": 25}));
    world.jobs(&["a"]);
    let open = world.background(Request::new("POST", &format!("{JOBS}/a/_open")));
    world.rig.until_received("/_open", 1);
    closed(&world.close("a", ""));
    world.rig.advance_ms(50);
    assert_eq!(open.join().expect("an answer").status, 200);
    until("a is opened", || world.state("a") == "opened");
}
