//! The persistent tasks of the cluster state as an operator reads them, and what a restart makes of them.

use serde_json::{Value, json};

use super::world::{FEEDS, JOBS, World, closed};
use crate::proof::wire::Request;

const TASKS: &str = "/_cluster/state/metadata?filter_path=cluster_uuid,metadata.persistent_tasks.tasks.id,metadata.persistent_tasks.tasks.task.*.state.state,metadata.persistent_tasks.tasks.task.*.params.job_id,metadata.persistent_tasks.tasks.task.*.params.end,metadata.persistent_tasks.tasks.assignment.executor_node";

/// The tasks, each without its node.
fn tasks(world: &World) -> Vec<Value> {
    let answer = world.get(TASKS);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.at("/cluster_uuid").is_string(), "{}", answer.text());
    let mut tasks = answer.at("/metadata/persistent_tasks/tasks");
    for task in tasks.as_array_mut().into_iter().flatten() {
        let assignment = task
            .as_object_mut()
            .and_then(|task| task.remove("assignment"));
        assert!(assignment.is_some(), "{task}");
    }
    tasks.as_array().cloned().unwrap_or_default()
}

#[test]
fn an_operators_filter_keeps_states_jobs_and_ends_and_nothing_else() {
    let world = World::nine();
    assert!(tasks(&world).is_empty());
    world.running("a", "feed");
    world.jobs(&["closed"]);
    world.opened(&["b"]);
    world.datafeed("bounded", "b");
    world.rig.job("b", &json!({"lookback_ms": "hang"}));
    world.start_feed("bounded", "?start=0&end=1000");
    world.job_with(
        "big",
        &json!({"analysis_limits": {"model_memory_limit": "3000gb"}, "allow_lazy_open": true}),
    );
    world.open("big");
    let job = |id: &str, state: Option<&str>| {
        let mut task = json!({"params": {"job_id": id}});
        if let Some(state) = state {
            task["state"] = json!({"state": state});
        }
        json!({"id": format!("job-{id}"), "task": {"xpack/ml/job": task}})
    };
    assert_eq!(
        tasks(&world),
        [
            job("a", Some("opened")),
            job("b", Some("opened")),
            job("big", None),
            json!({"id": "datafeed-bounded", "task": {"xpack/ml/datafeed": {"params": {"job_id": "b", "end": "1000"}, "state": {"state": "started"}}}}),
            json!({"id": "datafeed-feed", "task": {"xpack/ml/datafeed": {"params": {"job_id": "a"}, "state": {"state": "started"}}}}),
        ]
    );
    let nodes = world.get("/_cluster/state/metadata?filter_path=metadata.persistent_tasks.tasks.assignment.executor_node");
    let list = nodes.at("/metadata/persistent_tasks/tasks");
    assert_eq!(list.at_node(2), json!(null), "{list}");
    assert!(list.at_node(0).is_string(), "{list}");
}

/// The node of an entry of a list of tasks.
trait Node {
    fn at_node(&self, entry: usize) -> Value;
}

impl Node for Value {
    fn at_node(&self, entry: usize) -> Value {
        self.pointer(&format!("/{entry}/assignment/executor_node"))
            .unwrap_or_else(|| panic!("no node at {entry}: {self}"))
            .clone()
    }
}

/// Status, type and reason of the job's statistics.
fn refusal(world: &World) -> (u16, Value, Value) {
    let answer = world.get(&format!("{JOBS}/a/_stats"));
    let (kind, reason) = (answer.at("/error/type"), answer.at("/error/reason"));
    (answer.status, kind, reason)
}

fn restart(world: &World) {
    let times = json!({"state_ms": 100, "initial_ms": 800, "shards_ms": 900, "memory_ms": 15_800});
    world.rig.knob("POST", "restart", &times);
}

#[test]
fn finding_02_right_after_a_restart_no_task_is_shown_and_that_is_not_closed() {
    let world = World::seven();
    world.running("a", "feed");
    let before = tasks(&world);
    restart(&world);
    let answer = world.get("/_cluster/state/metadata?filter_path=metadata.persistent_tasks");
    assert_eq!((answer.status, answer.json()), (200, json!({})));
    assert!(tasks(&world).is_empty());
    let reason = "blocked by: [SERVICE_UNAVAILABLE/1/state not recovered / initialized];";
    let blocked = (503, json!("cluster_block_exception"), json!(reason));
    assert_eq!(refusal(&world), blocked);
    assert_eq!(world.close("a", "").status, 503);
    assert_eq!(world.get("/_cluster/health").at("/status"), json!("red"));
    world.rig.advance_ms(100);
    assert_eq!(tasks(&world), before);
    let kind = json!("search_phase_execution_exception");
    assert_eq!(refusal(&world), (503, kind, json!("all shards failed")));
}

#[test]
fn a_restarted_cluster_says_why_a_job_waits_until_it_runs_again() {
    let world = World::seven();
    world.running("a", "feed");
    restart(&world);
    let explanation = || {
        let path = "metadata.persistent_tasks.tasks.assignment.explanation";
        let answer = world.get(&format!("/_cluster/state/metadata?filter_path={path}"));
        let text = answer.at("/metadata/persistent_tasks/tasks/0/assignment/explanation");
        text.as_str().unwrap_or_default().to_owned()
    };
    world.rig.advance_ms(100);
    assert_eq!(explanation(), "waiting for initial assignment");
    world.rig.advance_ms(800);
    let words = "Not opening job [a], because not all primary shards are active for the following indices [.ml-config,";
    assert!(explanation().starts_with(words), "{}", explanation());
    world.rig.advance_ms(900);
    let entry = world.get(&format!("{JOBS}/a/_stats")).at("/jobs/0");
    let seen = (&entry["state"], entry.get("node"));
    assert_eq!(seen, (&json!("opened"), None));
    let words = "Not opening job [a] because job memory requirements are stale - refresh requested";
    assert_eq!(entry["assignment_explanation"], words);
    assert_eq!(world.get("/_cluster/health").at("/status"), json!("green"));
    world.rig.advance_ms(15_800);
    let entry = world.get(&format!("{JOBS}/a/_stats")).at("/jobs/0");
    let seen = (&entry["state"], &entry["assignment_explanation"]);
    assert_eq!(seen, (&json!("opened"), &json!("")));
    assert!(entry["node"]["id"].is_string(), "{entry}");
    assert_eq!(world.feed_state("feed"), "started");
    assert_eq!(world.post(&format!("{FEEDS}/feed/_stop")).status, 200);
    world.rig.hold(false);
    closed(&world.close("a", ""));
}

#[test]
fn a_close_that_a_restart_meets_is_cut_and_completed_by_the_next_node() {
    let world = World::nine();
    world.opened(&["a"]);
    world.rig.job("a", &json!({"close_ms": "hang"}));
    let call = world.background(Request::new("POST", &format!("{JOBS}/a/_close")));
    super::world::until("a is closing", || world.state("a") == "closing");
    world.rig.knob(
        "POST",
        "restart",
        &json!({"state_ms": 0, "initial_ms": 0, "shards_ms": 0, "memory_ms": 100}),
    );
    assert!(call.join().is_err(), "the call was answered");
    assert_eq!(world.state("a"), "closing");
    world.rig.advance_ms(200);
    assert_eq!(world.state("a"), "closed");
}
