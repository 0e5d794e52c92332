//! Who may run where, and what an unassigned task says of itself (reference 4, 7 and 17.18).

use serde_json::{Value, json};

use super::world::{FEEDS, JOBS, World, closed, ok, refused};
use crate::proof::wire::Answer;

const NO_ROOM: &str = "Could not open job because no ML nodes with sufficient capacity were found";

fn capacity(world: &World, body: &Value) {
    world.rig.knob("PUT", "capacity", body);
}

fn open(world: &World, id: &str) -> Answer {
    world.post(&format!("{JOBS}/{id}/_open"))
}

fn explanation(world: &World, id: &str) -> String {
    let stats = world.get(&format!("{JOBS}/{id}/_stats"));
    let text = stats.at("/jobs/0/assignment_explanation");
    text.as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_full_node_refuses_and_names_itself_in_the_words_of_its_version() {
    for (profile, words) in [
        (
            "7.10",
            "because this node is full. Number of opened jobs [1], xpack.ml.max_open_jobs [1]",
        ),
        (
            "7.17",
            "on node [node-1]. Reason: This node is full. Number of opened jobs [1], xpack.ml.max_open_jobs [1].",
        ),
        (
            "9",
            "on node [node-1]. Reason: This node is full. Number of opened jobs [1], xpack.ml.max_open_jobs [1].",
        ),
    ] {
        let world = World::of(profile);
        world.opened(&["a"]);
        world.jobs(&["b"]);
        capacity(&world, &json!({"max_open_jobs": 1}));
        let answer = open(&world, "b");
        refused(&answer, 429, "status_exception", NO_ROOM);
        let cause = answer.at("/error/caused_by/reason");
        assert!(
            cause.as_str().is_some_and(|text| text.contains(words)),
            "{profile}: {cause}"
        );
        assert_eq!(world.state("b"), "closed");
        capacity(&world, &json!({"max_open_jobs": 2}));
        world.open("b");
    }
}

#[test]
fn memory_is_added_up_once_it_is_limited() {
    let world = World::nine();
    world.jobs(&["a", "b"]);
    capacity(&world, &json!({"memory_bytes": 100 << 20}));
    world.open("a");
    world.open("b");
    world.jobs(&["c", "d", "e", "f", "g"]);
    for id in ["c", "d", "e", "f"] {
        world.open(id);
    }
    let answer = open(&world, "g");
    refused(&answer, 429, "status_exception", NO_ROOM);
    let cause = answer.at("/error/caused_by/reason");
    let words = "This node has insufficient available memory. Available memory for ML [104857600 (100mb)], memory required by existing jobs [62914560 (60mb)], estimated memory required for this job [52428800 (50mb)].";
    assert!(
        cause.as_str().is_some_and(|text| text.contains(words)),
        "{cause}"
    );
}

#[test]
fn too_many_at_once_in_opening_are_refused_and_may_try_again() {
    for (profile, words) in [
        (
            "7.10",
            "node exceeds [1] the maximum number of jobs [1] in opening state",
        ),
        (
            "9",
            "Node exceeds [1] the maximum number of jobs [1] in opening state.",
        ),
    ] {
        let world = World::of(profile);
        world.jobs(&["a", "b"]);
        world.rig.job("a", &json!({"open_ms": 1_000}));
        capacity(&world, &json!({"max_opening": 1}));
        let call = world.background(super::request_to("POST", &format!("{JOBS}/a/_open")));
        world.rig.until_received("/a/_open", 1);
        let answer = open(&world, "b");
        refused(&answer, 429, "status_exception", NO_ROOM);
        let cause = answer.at("/error/caused_by/reason");
        assert!(
            cause.as_str().is_some_and(|text| text.contains(words)),
            "{profile}: {cause}"
        );
        world.rig.advance_ms(1_000);
        assert_eq!(call.join().expect("an answer").status, 200);
        world.open("b");
    }
}

#[test]
fn a_lazy_job_waits_and_opens_when_there_is_room() {
    let world = World::nine();
    world.opened(&["a"]);
    world.job_with("lazy", &json!({"allow_lazy_open": true}));
    capacity(&world, &json!({"max_open_jobs": 1}));
    ok(&open(&world, "lazy"), &json!({"opened": true, "node": ""}));
    assert_eq!(
        explanation(&world, "lazy"),
        "persistent task is awaiting node assignment."
    );
    closed(&world.close("a", ""));
    assert_eq!(
        (world.state("lazy"), explanation(&world, "lazy")),
        ("opened".into(), String::new())
    );
}

#[test]
fn a_job_that_lost_its_node_says_why_no_other_takes_it() {
    let world = World::nine();
    world.rig.knob("PUT", "nodes", &json!({"count": 2}));
    world.opened(&["a", "b"]);
    capacity(&world, &json!({"max_open_jobs": 1}));
    world
        .rig
        .knob("POST", "node_loss", &json!({"node": "node-1"}));
    let (a, b) = (explanation(&world, "a"), explanation(&world, "b"));
    let full = |id: &str, open: u64| {
        format!(
            "Not opening job [{id}] on node [node-2]. Reason: This node is full. Number of opened jobs [{open}], xpack.ml.max_open_jobs [1]."
        )
    };
    assert_eq!((a, b), (String::new(), full("b", 1)));
    assert_eq!(world.states(&["a", "b"]), ["opened", "opened"]);
    closed(&world.close("b", ""));
    let config = world.config("b");
    assert!(config.get("finished_time").is_none(), "{config}");
}

#[test]
fn a_node_that_shuts_down_persists_its_jobs_and_hands_them_over() {
    let world = World::nine();
    world.running("a", "feed");
    world.rig.knob("PUT", "jobs/a/data", &json!({"records": 3}));
    let node = || {
        world
            .get(&format!("{JOBS}/a/_stats"))
            .at("/jobs/0/node/name")
    };
    assert_eq!(node(), json!("node-1"));
    world
        .rig
        .knob("POST", "node_shutdown", &json!({"node": "node-1"}));
    assert_eq!(
        explanation(&world, "a"),
        "previously assigned node [node-1] is shutting down"
    );
    assert_eq!((world.state("a"), node()), ("opened".into(), Value::Null));
    assert_eq!(
        world.get(&format!("{JOBS}/a/model_snapshots")).at("/count"),
        json!(1)
    );
    world.rig.knob("PUT", "nodes", &json!({"count": 1}));
    assert_eq!(
        (world.state("a"), node()),
        ("opened".into(), json!("node-2"))
    );
    assert_eq!(world.feed_state("feed"), "started");
}

#[test]
fn a_datafeed_of_a_job_that_waits_for_a_node_starts_with_it() {
    let world = World::nine();
    world.job_with("a", &json!({"allow_lazy_open": true}));
    capacity(&world, &json!({"max_open_jobs": 0}));
    world.open("a");
    world.datafeed("feed", "a");
    ok(
        &world.post(&format!("{FEEDS}/feed/_start")),
        &json!({"started": true, "node": ""}),
    );
    assert_eq!(world.feed_state("feed"), "starting");
    capacity(&world, &json!({"max_open_jobs": 1}));
    assert_eq!(
        (world.state("a"), world.feed_state("feed")),
        ("opened".into(), "started".into())
    );
}

#[test]
fn a_datafeed_of_an_opening_job_waits_for_it() {
    let world = World::nine();
    world.jobs(&["a"]);
    world.rig.job("a", &json!({"open_ms": 500}));
    let open = world.background(super::request_to("POST", &format!("{JOBS}/a/_open")));
    world.rig.until_received("/a/_open", 1);
    world.datafeed("feed", "a");
    let start = world.background(super::request_to("POST", &format!("{FEEDS}/feed/_start")));
    world.rig.until_received("/feed/_start", 1);
    assert_eq!(world.feed_state("feed"), "starting");
    world.rig.advance_ms(500);
    assert_eq!(open.join().expect("an answer").status, 200);
    assert_eq!(start.join().expect("an answer").status, 200);
    assert_eq!(world.feed_state("feed"), "started");
}

#[test]
fn while_assignment_is_disabled_no_datafeed_starts() {
    let world = World::nine();
    world.opened(&["a"]);
    world.datafeed("feed", "a");
    let off = json!({"transient": {"cluster.persistent_tasks.allocation.enable": "none"}});
    assert_eq!(world.put("/_cluster/settings", &off).status, 200);
    let reason = "No node found to start datafeed [feed], allocation explanation [no persistent task assignments are allowed due to cluster settings]";
    refused(
        &world.post(&format!("{FEEDS}/feed/_start")),
        409,
        "status_exception",
        reason,
    );
    assert_eq!(world.feed_state("feed"), "stopped");
}
