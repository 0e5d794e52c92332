//! Lists as they are written by 7.10 and later, and such as nobody should write.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::wire::parse;
use super::*;

fn ids(of: &[&str]) -> Vec<JobId> {
    of.iter().map(|id| JobId::parse(id).unwrap()).collect()
}

fn read<T: for<'a> Deserialize<'a>>(value: &Value) -> Result<T, Malformed> {
    parse(value.to_string().as_bytes())
}

#[allow(clippy::needless_pass_by_value, reason = "json! makes values")]
fn stats(jobs: Value, asked: Option<&[JobId]>) -> View<JobId, JobStats> {
    let count = jobs.as_array().unwrap().len();
    read::<List<WireJobStats>>(&json!({"count": count, "jobs": jobs}))
        .unwrap()
        .view(asked)
        .unwrap()
}

#[test]
fn a_job_with_a_node_and_one_without_are_told_apart() {
    let view = stats(
        json!([
            {"job_id": "a", "state": "opened", "node": {"id": "n"}, "assignment_explanation": "", "open_time": "13s"},
            {"job_id": "b", "state": "closed"},
        ]),
        None,
    );
    let a = &view.found[&ids(&["a"])[0]];
    assert!(
        a.has_node && a.open_for == Some(Duration::from_secs(13)) && a.state == JobState::Opened
    );
    let b = &view.found[&ids(&["b"])[0]];
    assert!(!b.has_node && b.open_for.is_none() && b.assignment_explanation.is_none());
}

#[test]
fn a_group_answers_with_its_jobs_and_is_missing_all_the_same() {
    let asked = ids(&["a", "g"]);
    let view = stats(
        json!([{"job_id": "a", "state": "closed"}, {"job_id": "b", "state": "opened"}]),
        Some(&asked),
    );
    assert_eq!(view.found.keys().cloned().collect::<Vec<_>>(), ids(&["a"]));
    assert_eq!(view.missing, ids(&["g"]));
}

#[test]
fn a_job_in_an_unknown_state_is_neither_found_nor_missing() {
    let view = stats(
        json!([{"job_id": "a", "state": "hibernating"}]),
        Some(&ids(&["a"])),
    );
    assert!(view.found.is_empty() && view.missing.is_empty());
    assert_eq!(view.unreadable, ids(&["a"]));
}

#[test]
fn ten_thousand_entries_are_a_cut_view_and_one_less_is_whole() {
    let jobs = |n: usize| {
        (0..n)
            .map(|n| json!({"job_id": format!("j{n}"), "state": "closed"}))
            .collect()
    };
    assert!(stats(jobs(10_000), None).cut);
    assert!(!stats(jobs(9_999), None).cut);
}

#[test]
fn a_list_that_does_not_hold_what_it_counts_is_refused() {
    let view = |value: Value| read::<List<WireJob>>(&value).and_then(|list| list.view(None));
    assert!(view(json!({"count": 0})).unwrap().found.is_empty());
    assert_eq!(view(json!({"count": 1})), Err(Malformed::WrongShape));
    for odd in [
        json!({}),
        json!([]),
        json!({"count": -1}),
        json!({"jobs": []}),
        json!({"count": 1, "jobs": [{}]}),
    ] {
        assert_eq!(view(odd.clone()), Err(Malformed::WrongShape), "{odd}");
    }
}

#[test]
fn the_config_of_a_job_says_what_blocks_it() {
    let list = json!({"count": 2, "jobs": [
        {"job_id": "a", "create_time": 1_600_000_000_000_u64, "finished_time": 1_600_000_060_000_u64},
        {"job_id": "b", "blocked": {"reason": "revert", "task_id": "x"}, "deleting": true},
    ]});
    let view = read::<List<WireJob>>(&list).unwrap().view(None).unwrap();
    let a = &view.found[&ids(&["a"])[0]];
    assert_eq!(
        a.finished_time
            .unwrap()
            .duration_since(a.create_time.unwrap())
            .unwrap()
            .as_secs(),
        60
    );
    let b = &view.found[&ids(&["b"])[0]];
    assert_eq!((b.blocked, b.deleting), (Some(Blocked::Revert), true));
}

#[test]
fn groups_counts_and_ends_are_read_where_they_are_there() {
    let list = json!({"count": 3, "jobs": [
        {"job_id": "a", "groups": ["g", "h"]}, {"job_id": "b", "groups": ["g", "NO ID"]}, {"job_id": "c"},
    ]});
    let view = read::<List<WireJob>>(&list).unwrap().view(None).unwrap();
    let groups = |id: &str| &view.found[&ids(&[id])[0]].groups;
    assert_eq!(
        groups("a").iter().map(AsRef::as_ref).collect::<Vec<_>>(),
        ["g", "h"]
    );
    assert_eq!(groups("b").len(), 1);
    assert!(Arc::ptr_eq(&groups("a")[0], &groups("b")[0]), "kept once");
    assert!(groups("c").is_empty());
    let counts = json!({"latest_record_timestamp": 1000, "last_data_time": 2000});
    let view = stats(
        json!([{"job_id": "a", "state": "opened", "data_counts": counts}, {"job_id": "b", "state": "closed", "data_counts": {}}]),
        None,
    );
    let a = &view.found[&ids(&["a"])[0]];
    assert_eq!(a.latest_record, time(1000));
    assert_eq!(view.found[&ids(&["b"])[0]].latest_record, None);
    let feeds = json!({"count": 2, "datafeeds": [
        {"datafeed_id": "d", "state": "started", "running_state": {"real_time_configured": false}}, {"datafeed_id": "e", "state": "stopped"},
    ]});
    let view = read::<List<WireDatafeedStats>>(&feeds)
        .unwrap()
        .view(None)
        .unwrap();
    let real_time: Vec<Option<bool>> = view.found.values().map(|feed| feed.real_time).collect();
    assert_eq!(real_time, [Some(false), None]);
}

#[test]
fn the_last_id_is_told_of_sorted_lists_only() {
    let last = |of: &[&str]| {
        let jobs: Vec<Value> = of.iter().map(|id| json!({"job_id": id})).collect();
        read::<List<WireJob>>(&json!({"count": jobs.len(), "jobs": jobs}))
            .unwrap()
            .last()
    };
    assert_eq!(
        last(&["a", "a-b", "a_b", "b"]),
        Some(ids(&["b"])[0].clone())
    );
    for of in [&[][..], &["b", "a"], &["a", "a"], &["a", "b b"]] {
        assert_eq!(last(of), None, "{of:?}");
    }
}
