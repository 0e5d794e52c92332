//! Task lists and snapshots as they were recorded, and such as nobody should write.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::super::wire::parse;
use super::*;

fn job(id: &str) -> JobId {
    JobId::parse(id).unwrap()
}

fn feed(id: &str) -> DatafeedId {
    DatafeedId::parse(id).unwrap()
}

#[allow(clippy::needless_pass_by_value, reason = "json! makes values")]
fn of(tasks: Value) -> Tasks {
    let state = json!({"cluster_uuid": "03oTFWkpQs6_TlHKvl1yrw", "metadata": {"persistent_tasks": {"tasks": tasks}}});
    read(&state).unwrap().tasks().unwrap()
}

fn read(state: &Value) -> Result<ClusterState, Malformed> {
    parse(state.to_string().as_bytes())
}

#[test]
fn no_task_at_all_is_an_empty_list() {
    for empty in [
        json!({}),
        json!({"metadata": {}}),
        json!({"metadata": {"persistent_tasks": {}}}),
        json!({"metadata": {"persistent_tasks": {"last_allocation_id": 3, "tasks": []}}}),
    ] {
        assert_eq!(
            read(&empty).unwrap().tasks(),
            Ok(Tasks::default()),
            "{empty}"
        );
    }
    let named = read(&json!({"cluster_uuid": "abc"}))
        .unwrap()
        .tasks()
        .unwrap();
    assert_eq!(named.cluster_uuid.as_deref(), Some("abc"));
}

#[test]
fn states_nodes_and_ends_are_read_and_an_absent_state_is_the_first() {
    let tasks = of(json!([
        {"id": "job-a", "task": {"xpack/ml/job": {"params": {"job_id": "a"}, "state": {"state": "opened"}}}, "assignment": {"executor_node": "n"}},
        {"id": "job-b", "task": {"xpack/ml/job": {"params": {"job_id": "b"}}}, "assignment": {"executor_node": null}},
        {"id": "job-c", "task": {"xpack/ml/job": {"params": {"job_id": "c"}, "state": {"state": "failed"}}}},
        {"id": "datafeed-d", "task": {"xpack/ml/datafeed": {"params": {"job_id": "a", "end": "17"}, "state": {"state": "started"}}}},
        {"id": "datafeed-e", "task": {"xpack/ml/datafeed": {"params": {"job_id": "b", "end": null}}}},
        {"id": "datafeed-f", "task": {"xpack/ml/datafeed": {"state": {"state": "stopping"}}}},
    ]));
    let of_job = |state, assigned| JobTask { state, assigned };
    assert_eq!(tasks.jobs[&job("a")], of_job(JobState::Opened, true));
    assert_eq!(tasks.jobs[&job("b")], of_job(JobState::Opening, false));
    assert_eq!(tasks.jobs[&job("c")], of_job(JobState::Failed, false));
    let of_feed = |job_id: Option<&str>, state, has_end| DatafeedTask {
        job_id: job_id.map(job),
        state,
        has_end,
    };
    assert_eq!(
        tasks.datafeeds[&feed("d")],
        of_feed(Some("a"), DatafeedState::Started, true)
    );
    assert_eq!(
        tasks.datafeeds[&feed("e")],
        of_feed(Some("b"), DatafeedState::Starting, false)
    );
    assert_eq!(
        tasks.datafeeds[&feed("f")],
        of_feed(None, DatafeedState::Stopping, false)
    );
}

#[test]
fn a_state_that_is_not_known_is_neither_a_task_nor_nothing() {
    let tasks = of(json!([
        {"id": "job-a", "task": {"xpack/ml/job": {"state": {"state": "hibernating"}}}},
        {"id": "datafeed-d", "task": {"xpack/ml/datafeed": {"state": {"state": "hibernating"}}}},
    ]));
    assert!(tasks.jobs.is_empty() && tasks.datafeeds.is_empty());
    assert_eq!(tasks.unreadable, [job("a")]);
    assert_eq!(tasks.unreadable_datafeeds, [feed("d")]);
}

#[test]
fn tasks_of_other_plugins_are_passed_over_whatever_their_form() {
    let tasks = of(json!([
        {"id": "job-snapshot-upgrade-a-1", "task": {"xpack/ml/job/snapshot/upgrade": {"params": {"job_id": "a"}, "state": {"state": "saving_new_snapshot"}}}},
        {"id": "data_frame_analytics-x", "task": {"xpack/ml/data_frame/analytics": {"state": {"state": "started"}}}},
        {"id": "job-b", "task": {"another": {"params": {"job_id": 7, "end": {}}, "state": {"state": []}}}},
        {"id": "datafeed-c", "task": {}},
        {"id": "job-c"},
        {"id": "job-", "task": {"xpack/ml/job": {}}},
        {"id": "job-NO ID", "task": {"xpack/ml/job": {}}},
        {"id": "a", "task": {"xpack/ml/job": {}}},
        {"id": "geoip-downloader", "assignment": {"executor_node": "n"}},
    ]));
    let uuid = Some("03oTFWkpQs6_TlHKvl1yrw".to_owned());
    assert_eq!(
        tasks,
        Tasks {
            cluster_uuid: uuid,
            ..Tasks::default()
        }
    );
}

#[test]
fn a_cluster_state_of_another_form_says_nothing() {
    for odd in [
        json!([]),
        json!({"metadata": 7}),
        json!({"metadata": {"persistent_tasks": {"tasks": {}}}}),
        json!({"metadata": {"persistent_tasks": {"tasks": [{}]}}}),
        json!({"cluster_uuid": 7}),
    ] {
        assert_eq!(read(&odd).err(), Some(Malformed::WrongShape), "{odd}");
    }
    let uuid = |uuid: &str| read(&json!({"cluster_uuid": uuid})).unwrap().tasks();
    assert_eq!(uuid("_na_"), Err(Error::NotFormed));
    assert!(matches!(uuid("a b"), Err(Error::UnexpectedAnswer { .. })));
}

#[test]
fn the_newest_snapshot_is_taken_and_no_snapshot_is_none() {
    let newest =
        |value: Value| parse::<Snapshots>(value.to_string().as_bytes()).and_then(Snapshots::newest);
    assert_eq!(newest(json!({"count": 0})), Ok(None));
    let at = |millis| Some(SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
    let two = json!({"count": 9, "model_snapshots": [
        {"timestamp": 1_700_000_000_000_u64, "latest_record_time_stamp": 5},
        {"timestamp": 1_700_000_000_001_u64, "latest_record_time_stamp": 4},
    ]});
    let expected = Snapshot {
        taken_at: at(1_700_000_000_001),
        latest_record: at(4),
    };
    assert_eq!(newest(two), Ok(Some(expected)));
    let bare = json!({"count": 1, "model_snapshots": [{"timestamp": 7}]});
    assert_eq!(
        newest(bare),
        Ok(Some(Snapshot {
            taken_at: at(7),
            latest_record: None
        }))
    );
    for odd in [
        json!({}),
        json!({"count": 1}),
        json!({"count": 1, "model_snapshots": [{"timestamp": "x"}]}),
    ] {
        assert_eq!(newest(odd.clone()), Err(Malformed::WrongShape), "{odd}");
    }
}
