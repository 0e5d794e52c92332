//! Cases 37 to 43, 50 to 52, 58: creating, changing and deleting jobs, and what the views show.

use serde_json::json;

use super::world::{FEEDS, JOBS, World, closed, job, ok, refused, unknown_job};

#[test]
fn case_37_an_id_is_taken_once() {
    let world = World::nine();
    world.jobs(&["a"]);
    let answer = world.put(&format!("{JOBS}/a"), &job(&json!({})));
    let reason = "The job cannot be created with the Id 'a'. The Id is already used.";
    refused(&answer, 400, "resource_already_exists_exception", reason);
}

#[test]
fn case_38_the_body_must_not_name_another_job() {
    let world = World::nine();
    let answer = world.put(&format!("{JOBS}/a"), &job(&json!({"job_id": "b"})));
    let reason = "Inconsistent job_id; 'b' specified in the body differs from 'a' specified as a URL argument";
    assert_eq!(
        (answer.status, answer.at("/error/reason")),
        (400, json!(reason)),
        "{}",
        answer.text()
    );
}

#[test]
fn case_39_a_group_must_not_have_a_jobs_name() {
    let world = World::nine();
    world.jobs(&["a", "b"]);
    let answer = world.post_json(&format!("{JOBS}/a/_update"), &json!({"groups": ["b"]}));
    let reason = "job and group names must be unique but job [b] and group [b] have the same name";
    refused(&answer, 400, "resource_already_exists_exception", reason);
}

#[test]
fn case_40_limits_change_only_while_the_job_is_closed() {
    let world = World::nine();
    world.opened(&["a"]);
    let change = json!({"analysis_limits": {"model_memory_limit": "20mb"}});
    let answer = world.post_json(&format!("{JOBS}/a/_update"), &change);
    assert_eq!(answer.status, 400);
    let reason = answer.at("/error/reason");
    assert!(
        reason
            .as_str()
            .is_some_and(|r| r.contains("Cannot update analysis_limits while the job is open")),
        "{reason}"
    );
    closed(&world.close("a", ""));
    let answer = world.post_json(&format!("{JOBS}/a/_update"), &change);
    assert_eq!(
        (
            answer.status,
            answer.at("/analysis_limits/model_memory_limit")
        ),
        (200, json!("20mb")),
        "{}",
        answer.text()
    );
}

#[test]
fn case_41_all_jobs_cannot_be_updated_at_once() {
    let world = World::nine();
    world.jobs(&["a"]);
    let answer = world.post_json(
        &format!("{JOBS}/_all/_update"),
        &json!({"description": "x"}),
    );
    assert_eq!(answer.status, 400, "{}", answer.text());
}

#[test]
fn case_42_an_opened_job_is_not_deleted_without_force() {
    let world = World::nine();
    world.opened(&["a"]);
    let answer = world.delete(&format!("{JOBS}/a"));
    refused(
        &answer,
        409,
        "status_exception",
        "Cannot delete job [a] because the job is opened",
    );
    ok(
        &world.delete(&format!("{JOBS}/a?force=true")),
        &json!({"acknowledged": true}),
    );
    unknown_job(&world.get(&format!("{JOBS}/a")), "a");
}

#[test]
fn case_43_only_a_closed_job_can_be_reset() {
    let world = World::nine();
    world.opened(&["a"]);
    let reset = |id: &str| world.post(&format!("{JOBS}/{id}/_reset"));
    unknown_job(&reset("nope"), "nope");
    let answer = reset("a");
    let reason = answer.at("/error/reason");
    assert_eq!(answer.status, 409, "{}", answer.text());
    assert!(
        reason
            .as_str()
            .is_some_and(|r| r.contains("Can only reset a job when it is closed")),
        "{reason}"
    );
    closed(&world.close("a", ""));
    ok(&reset("a"), &json!({"acknowledged": true}));
}

#[test]
fn case_50_the_node_is_shown_while_a_process_answers() {
    let world = World::nine();
    world.opened(&["a"]);
    world.rig.advance_ms(13_000);
    let stats = world.get(&format!("{JOBS}/a/_stats")).at("/jobs/0");
    assert!(
        stats["node"]["name"].is_string() && stats["node"]["transport_address"].is_string(),
        "{stats}"
    );
    assert_eq!(stats["open_time"], "13s");
    assert_eq!(stats["assignment_explanation"], "");
    closed(&world.close("a", ""));
    let stats = world.get(&format!("{JOBS}/a/_stats")).at("/jobs/0");
    for field in ["node", "open_time", "assignment_explanation"] {
        assert!(
            stats.get(field).is_none(),
            "{field} of a closed job: {stats}"
        );
    }
}

#[test]
fn case_51_a_job_without_data_has_counted_nothing() {
    let world = World::nine();
    world.jobs(&["a"]);
    let stats = world.get(&format!("{JOBS}/a/_stats")).at("/jobs/0");
    assert_eq!(stats["data_counts"]["processed_record_count"], 0);
    assert_eq!(stats["model_size_stats"]["model_bytes"], 0);
    assert_eq!(stats["timing_stats"]["bucket_count"], 0);
    for field in ["minimum", "maximum", "average"] {
        let name = format!("{field}_bucket_processing_time_ms");
        assert!(
            stats["timing_stats"].get(&name).is_none(),
            "{name}: {stats}"
        );
    }
}

#[test]
fn case_52_without_its_results_a_job_has_zeros_and_with_them_closed_no_statistics() {
    let world = World::nine();
    world.jobs(&["a"]);
    world.job_with("other", &json!({"results_index_name": "other"}));
    let counted = |id: &str| {
        let stats = world.get(&format!("{JOBS}/{id}/_stats")).at("/jobs/0");
        let model = stats["model_size_stats"]["model_bytes"].as_u64();
        (
            stats["data_counts"]["processed_record_count"].as_u64(),
            model,
        )
    };
    for id in ["a", "other"] {
        let path = format!("jobs/{id}/data");
        world.rig.knob("PUT", &path, &json!({"records": 7}));
        assert_eq!(counted(id), (Some(7), Some(448)));
    }
    assert_eq!(world.post("/.ml-anomalies-shared/_close").status, 200);
    let reason = "index [.ml-anomalies-shared] blocked by: [FORBIDDEN/4/index closed];";
    for expression in ["a", "_all"] {
        let stats = world.get(&format!("{JOBS}/{expression}/_stats"));
        refused(&stats, 403, "cluster_block_exception", reason);
    }
    assert_eq!(counted("other"), (Some(7), Some(448)));
    assert_eq!(world.post("/.ml-anomalies-shared/_open").status, 200);
    assert_eq!(counted("a"), (Some(7), Some(448)));
    assert_eq!(world.delete("/.ml-anomalies-shared").status, 200);
    assert_eq!(counted("a"), (Some(0), Some(0)));
    assert_eq!(counted("other"), (Some(7), Some(448)));
}

#[test]
fn case_58_a_memory_limit_is_shown_in_megabytes() {
    let world = World::nine();
    for (id, given, shown) in [
        ("a", json!(2048), "2048mb"),
        ("b", json!("3000g"), "3072000mb"),
    ] {
        world.job_with(
            id,
            &json!({"analysis_limits": {"model_memory_limit": given}}),
        );
        assert_eq!(
            world.config(id)["analysis_limits"]["model_memory_limit"],
            shown
        );
    }
}

#[test]
fn ids_follow_the_rule_of_section_6() {
    let world = World::nine();
    let long = "a".repeat(64);
    for id in ["a", "0", "a-b_c.d", "a..b", &long] {
        assert_eq!(
            world.put(&format!("{JOBS}/{id}"), &job(&json!({}))).status,
            200,
            "{id}"
        );
    }
    let longer = "a".repeat(65);
    for id in ["A", "-a", "a-", "_all", "a%20b", ".a", &longer] {
        let answer = world.put(&format!("{JOBS}/{id}"), &job(&json!({})));
        assert_eq!(
            (answer.status, answer.at("/error/type")),
            (400, json!("illegal_argument_exception")),
            "{id}: {}",
            answer.text()
        );
    }
}

#[test]
fn the_root_the_licence_and_the_limits_answer_as_described() {
    let world = World::nine();
    let root = world.get("/");
    assert_eq!(root.at("/tagline"), json!("You Know, for Search"));
    assert_eq!(root.header("x-elastic-product"), Some("Elasticsearch"));
    assert!(
        root.at("/version/number")
            .as_str()
            .is_some_and(|v| v.starts_with("9.")),
        "{}",
        root.text()
    );
    assert_eq!(
        world.get("/_license").at("/license/status"),
        json!("active")
    );
    assert_eq!(world.get("/_ml/info").at("/upgrade_mode"), json!(false));
    let jobs = world.get(&format!("{FEEDS}/_stats"));
    ok(&jobs, &json!({"count": 0, "datafeeds": []}));
}
