//! The state machine of reference section 10, case by case, in virtual time.

use serde_json::{Map, Value, json};

use super::{
    ApiError, CloseRequest, Cluster, OpenRequest, Reply, StartRequest, TimeValue,
    model::{Delay, Knobs, Ticket},
};
use crate::profile::Profile;

fn map(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn cluster_with(profile: Profile, jobs: &[&str]) -> Cluster {
    let mut cluster = Cluster::new(profile, 1_000_000);
    let body = map(
        &json!({"analysis_config": {"detectors": [{"function": "count"}]}, "data_description": {}, "analysis_limits": {"model_memory_limit": "10mb"}}),
    );
    for job in jobs {
        cluster.put_job(job, &body).unwrap();
        cluster.set_job_knobs(
            job,
            Knobs {
                close: Delay::Ms(1_000),
                ..cluster.defaults()
            },
        );
        assert!(matches!(open(&mut cluster, job), Reply::Now(Ok(_))));
    }
    cluster
}

fn open(cluster: &mut Cluster, job: &str) -> Reply {
    cluster.open(&OpenRequest {
        job: job.into(),
        timeout: TimeValue::seconds(20),
    })
}

fn close(cluster: &mut Cluster, expression: &str, force: bool, seconds: i64) -> Reply {
    cluster.close(CloseRequest {
        expression: expression.into(),
        allow_no_match: true,
        force,
        timeout: TimeValue::seconds(seconds),
    })
}

fn knob(cluster: &mut Cluster, job: &str, turn: impl FnOnce(&mut Knobs)) {
    let mut knobs = cluster.job_knobs(job);
    turn(&mut knobs);
    cluster.set_job_knobs(job, knobs);
}

fn state(cluster: &Cluster, job: &str) -> String {
    let stats = cluster
        .job_stats(job, true, &|name| name == "state")
        .unwrap();
    stats["jobs"][0]["state"].as_str().unwrap().to_owned()
}

fn error(reply: Reply) -> ApiError {
    match reply {
        Reply::Now(Err(error)) => error,
        other @ (Reply::Now(Ok(_)) | Reply::Later(_)) => panic!("no error but {other:?}"),
    }
}

fn ticket(reply: Reply) -> Ticket {
    match reply {
        Reply::Later(ticket) => ticket,
        Reply::Now(outcome) => panic!("answered at once: {outcome:?}"),
    }
}

/// The answer of a waiting call, if it has come.
fn answer(cluster: &mut Cluster, ticket: Ticket) -> Option<Result<Value, ApiError>> {
    cluster
        .take_finished()
        .into_iter()
        .find(|(done, _)| *done == ticket)
        .map(|(_, outcome)| outcome)
}

fn with_feed(profile: Profile, end: Option<i64>) -> Cluster {
    let mut cluster = cluster_with(profile, &["a"]);
    cluster.put_index("i").unwrap();
    cluster
        .put_datafeed("d", &map(&json!({"job_id": "a", "indices": ["i"]})))
        .unwrap();
    let request = StartRequest {
        feed: "d".into(),
        start: "0".into(),
        end,
        timeout: TimeValue::seconds(20),
    };
    assert!(matches!(cluster.start_feed(&request), Reply::Now(Ok(_))));
    cluster
}

fn feed_state(cluster: &Cluster) -> String {
    cluster.datafeed_stats("d", true, &|_| true).unwrap()["datafeeds"][0]["state"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn a_close_answers_when_the_native_close_has_ended_and_notes_the_time() {
    let mut cluster = cluster_with(Profile::V9, &["a"]);
    let call = ticket(close(&mut cluster, "a", false, 60));
    assert_eq!(state(&cluster, "a"), "closing");
    cluster.advance(999);
    assert_eq!(answer(&mut cluster, call), None);
    cluster.advance(1_000);
    assert_eq!(
        answer(&mut cluster, call),
        Some(Ok(json!({"closed": true})))
    );
    assert_eq!(state(&cluster, "a"), "closed");
    assert_eq!(
        cluster.jobs("a", true, false, &|_| true).unwrap()["jobs"][0]["finished_time"],
        json!(1_001_000)
    );
}

#[test]
fn the_timeout_does_not_bound_the_native_close_of_the_first_caller() {
    let mut cluster = cluster_with(Profile::V9, &["a"]);
    knob(&mut cluster, "a", |knobs| knobs.close = Delay::Ms(30_000));
    let call = ticket(close(&mut cluster, "a", false, 1));
    cluster.advance(29_999);
    assert_eq!(answer(&mut cluster, call), None);
    cluster.advance(30_000);
    assert!(matches!(answer(&mut cluster, call), Some(Ok(_))));
}

#[test]
fn a_close_of_a_closing_job_waits_exactly_its_timeout_and_gets_500() {
    let mut cluster = cluster_with(Profile::V9, &["a"]);
    knob(&mut cluster, "a", |knobs| knobs.close = Delay::Hang);
    ticket(close(&mut cluster, "a", false, 60));
    let second = ticket(close(&mut cluster, "a", false, 20));
    cluster.advance(19_999);
    assert_eq!(answer(&mut cluster, second), None);
    cluster.advance(20_000);
    let error = answer(&mut cluster, second).unwrap().unwrap_err();
    assert_eq!(
        (error.status, error.reason.as_deref()),
        (
            500,
            Some("Timed out when waiting for persistent tasks after 20s")
        )
    );
    assert_eq!(state(&cluster, "a"), "closing");
}

#[test]
fn a_lost_close_changes_nothing_waits_out_its_timeout_and_the_next_one_works() {
    let mut cluster = cluster_with(Profile::V9, &["a"]);
    knob(&mut cluster, "a", |knobs| knobs.lost_closes = 1);
    let lost = ticket(close(&mut cluster, "a", false, 5));
    cluster.advance(5_000);
    assert_eq!(answer(&mut cluster, lost).unwrap().unwrap_err().status, 500);
    assert_eq!(state(&cluster, "a"), "opened");
    ticket(close(&mut cluster, "a", false, 5));
    assert_eq!(state(&cluster, "a"), "closing");
}

#[test]
fn a_failed_job_answers_409_to_a_plain_close_and_nothing_is_touched() {
    let mut cluster = cluster_with(Profile::V9, &["a", "b"]);
    cluster.fail_job("a", "boom");
    assert_eq!(
        error(close(&mut cluster, "a", false, 5)).reason.as_deref(),
        Some("cannot close job [a] because it failed, use force close")
    );
    assert_eq!(
        error(close(&mut cluster, "a,b", false, 5))
            .reason
            .as_deref(),
        Some("one or more jobs have state failed, use force close")
    );
    assert_eq!(
        (state(&cluster, "a").as_str(), state(&cluster, "b").as_str()),
        ("failed", "opened")
    );
    assert!(matches!(
        close(&mut cluster, "a", true, 5),
        Reply::Now(Ok(_))
    ));
    assert_eq!(state(&cluster, "a"), "closed");
}

#[test]
fn a_force_close_ends_a_closing_job_and_the_first_caller_is_interrupted() {
    let mut cluster = cluster_with(Profile::V9, &["a"]);
    knob(&mut cluster, "a", |knobs| knobs.close = Delay::Hang);
    let first = ticket(close(&mut cluster, "a", false, 60));
    assert!(matches!(
        close(&mut cluster, "a", true, 60),
        Reply::Now(Ok(_))
    ));
    let error = answer(&mut cluster, first).unwrap().unwrap_err();
    assert_eq!(
        (error.status, error.reason.as_deref()),
        (409, Some("Close job interrupted by kill request"))
    );
    assert_eq!(state(&cluster, "a"), "closed");
}

#[test]
fn of_two_force_closes_at_once_one_gets_500_on_7_10_alone() {
    for (profile, status) in [(Profile::V7_10, Some(500)), (Profile::V9, None)] {
        let mut cluster = cluster_with(profile, &["a"]);
        knob(&mut cluster, "a", |knobs| knobs.force = Delay::Ms(10));
        let (first, second) = (
            ticket(close(&mut cluster, "a", true, 5)),
            ticket(close(&mut cluster, "a", true, 5)),
        );
        cluster.advance(10);
        let answers = cluster.take_finished();
        let of = |ticket| {
            answers
                .iter()
                .find(|(done, _)| *done == ticket)
                .map(|(_, outcome)| outcome.clone())
                .unwrap()
        };
        assert!(of(first).is_ok());
        assert_eq!(of(second).err().map(|error| error.status), status);
    }
}

#[test]
fn a_native_close_that_fails_makes_the_job_failed_and_answers_500() {
    let mut cluster = cluster_with(Profile::V9, &["a"]);
    knob(&mut cluster, "a", |knobs| knobs.persist_fails = true);
    let call = ticket(close(&mut cluster, "a", false, 60));
    cluster.advance(1_000);
    assert_eq!(
        answer(&mut cluster, call)
            .unwrap()
            .unwrap_err()
            .reason
            .as_deref(),
        Some("Exception closing autodetect process")
    );
    assert_eq!(state(&cluster, "a"), "failed");
}

#[test]
fn before_7_14_a_running_datafeed_refuses_the_close_even_with_force() {
    let mut cluster = with_feed(Profile::V7_10, None);
    for force in [false, true] {
        assert_eq!(
            error(close(&mut cluster, "a", force, 5)).reason.as_deref(),
            Some("cannot close job datafeed [d] hasn't been stopped")
        );
    }
    assert_eq!(
        (state(&cluster, "a").as_str(), feed_state(&cluster).as_str()),
        ("opened", "started")
    );
}

#[test]
fn from_7_14_on_a_close_stops_the_datafeed_first() {
    let mut cluster = with_feed(Profile::V9, None);
    knob(&mut cluster, "a", |knobs| knobs.feed_stop = Delay::Ms(500));
    let call = ticket(close(&mut cluster, "a", false, 60));
    assert_eq!(
        (state(&cluster, "a").as_str(), feed_state(&cluster).as_str()),
        ("opened", "stopping")
    );
    cluster.advance(500);
    assert_eq!(
        (state(&cluster, "a").as_str(), feed_state(&cluster).as_str()),
        ("closing", "stopped")
    );
    cluster.advance(1_500);
    assert!(matches!(answer(&mut cluster, call), Some(Ok(_))));
}

#[test]
fn a_datafeed_that_cannot_be_stopped_keeps_its_job_open() {
    let mut cluster = with_feed(Profile::V9, None);
    knob(&mut cluster, "a", |knobs| knobs.feed_stop_fails = true);
    let error = error(close(&mut cluster, "a", false, 5));
    assert_eq!(error.status, 409);
    assert!(error.reason.unwrap().starts_with(
        "failed to close jobs as one or more had started datafeeds that could not be stopped"
    ));
    assert_eq!(state(&cluster, "a"), "opened");
}

#[test]
fn a_lookback_closes_its_job_and_a_force_close_isolates_it() {
    let mut cluster = with_feed(Profile::V9, Some(10));
    cluster.advance(100);
    assert_eq!(
        (state(&cluster, "a").as_str(), feed_state(&cluster).as_str()),
        ("closing", "stopped")
    );
    let mut cluster = with_feed(Profile::V9, Some(10));
    assert!(matches!(
        close(&mut cluster, "a", true, 5),
        Reply::Now(Ok(_))
    ));
    assert!(
        cluster
            .changes()
            .iter()
            .all(|change| change["to"] != "closing")
    );
}

#[test]
fn after_node_loss_the_stats_keep_the_state_without_a_node_until_another_one_comes() {
    let mut cluster = cluster_with(Profile::V9, &["a", "b"]);
    knob(&mut cluster, "b", |knobs| knobs.close = Delay::Hang);
    let closing = ticket(close(&mut cluster, "b", false, 60));
    assert!(cluster.lose_node(None));
    assert_eq!(
        answer(&mut cluster, closing).unwrap().unwrap_err().kind,
        "failed_node_exception"
    );
    assert_eq!(
        (state(&cluster, "a").as_str(), state(&cluster, "b").as_str()),
        ("opened", "closing")
    );
    assert_eq!(
        cluster.job_stats("a", true, &|_| true).unwrap()["jobs"][0].get("node"),
        None
    );
    cluster.set_nodes(1);
    assert_eq!(
        (state(&cluster, "a").as_str(), state(&cluster, "b").as_str()),
        ("opened", "closed")
    );
    assert!(
        cluster.job_stats("a", true, &|_| true).unwrap()["jobs"][0]
            .get("node")
            .is_some()
    );
}

#[test]
fn an_unassigned_job_is_closed_by_removing_its_task() {
    let mut cluster = cluster_with(Profile::V9, &["a"]);
    cluster.lose_node(None);
    assert!(matches!(
        close(&mut cluster, "a", false, 5),
        Reply::Now(Ok(_))
    ));
    assert_eq!(
        cluster.jobs("a", true, false, &|_| true).unwrap()["jobs"][0].get("finished_time"),
        None
    );
}

#[test]
fn upgrade_mode_keeps_states_and_takes_nodes_away() {
    let mut cluster = cluster_with(Profile::V9, &["a"]);
    cluster.set_upgrade_mode(true);
    let stats = cluster.job_stats("a", true, &|_| true).unwrap();
    assert_eq!(stats["jobs"][0]["state"], "opened");
    assert_eq!(
        stats["jobs"][0]["assignment_explanation"],
        "persistent task cannot be assigned while upgrade mode is enabled."
    );
    cluster.set_upgrade_mode(false);
    assert_eq!(
        cluster.job_stats("a", true, &|_| true).unwrap()["jobs"][0]["assignment_explanation"],
        ""
    );
}

#[test]
fn without_a_master_a_close_fails_at_once_and_an_open_after_thirty_seconds() {
    let mut cluster = cluster_with(Profile::V9, &["a"]);
    cluster.set_master(false);
    assert_eq!(
        error(close(&mut cluster, "a", false, 5)),
        ApiError::no_master()
    );
    let call = ticket(open(&mut cluster, "a"));
    cluster.advance(29_999);
    assert_eq!(answer(&mut cluster, call), None);
    cluster.advance(30_000);
    assert_eq!(
        answer(&mut cluster, call).unwrap(),
        Err(ApiError::no_master())
    );
}

#[test]
fn an_open_that_times_out_is_408_or_500_by_version_and_goes_on() {
    for (profile, status) in [(Profile::V9, 408), (Profile::V7_10, 500)] {
        let mut cluster = cluster_with(profile, &["a"]);
        close(&mut cluster, "a", true, 5);
        knob(&mut cluster, "a", |knobs| knobs.open = Delay::Ms(30_000));
        let call = ticket(open(&mut cluster, "a"));
        cluster.advance(20_000);
        assert_eq!(
            answer(&mut cluster, call).unwrap().unwrap_err().status,
            status
        );
        cluster.advance(30_000);
        assert_eq!(state(&cluster, "a"), "opened");
    }
}

#[test]
fn a_close_during_an_open_ends_it_with_409_and_a_force_close_leaves_it_waiting() {
    for (force, status) in [(false, 409), (true, 408)] {
        let mut cluster = cluster_with(Profile::V9, &["a"]);
        close(&mut cluster, "a", true, 5);
        knob(&mut cluster, "a", |knobs| knobs.open = Delay::Ms(10_000));
        let call = ticket(open(&mut cluster, "a"));
        assert!(matches!(
            close(&mut cluster, "a", force, 5),
            Reply::Now(Ok(_))
        ));
        cluster.advance(20_000);
        assert_eq!(
            answer(&mut cluster, call).unwrap().unwrap_err().status,
            status
        );
        assert_eq!(state(&cluster, "a"), "closed");
    }
}

#[test]
fn a_lost_configuration_is_404_to_a_plain_close_and_closed_by_force() {
    let mut cluster = cluster_with(Profile::V9, &["a"]);
    assert!(cluster.lose_config("a"));
    assert_eq!(
        error(close(&mut cluster, "a", false, 5)),
        ApiError::no_job("a")
    );
    assert!(matches!(
        close(&mut cluster, "a*", false, 5),
        Reply::Now(Ok(_))
    ));
    assert_eq!(state(&cluster, "a"), "opened");
    assert!(matches!(
        close(&mut cluster, "a", true, 5),
        Reply::Now(Ok(_))
    ));
}

#[test]
fn a_blocked_job_is_closed_already_and_cannot_be_opened() {
    let mut cluster = cluster_with(Profile::V9, &["a"]);
    close(&mut cluster, "a", true, 5);
    assert!(cluster.set_blocked("a", Some("revert")));
    assert!(matches!(
        close(&mut cluster, "a", false, 5),
        Reply::Now(Ok(_))
    ));
    assert_eq!(
        error(open(&mut cluster, "a")).reason.as_deref(),
        Some("Cannot open job [a] because it is executing [revert]")
    );
}

#[test]
fn ten_thousand_jobs_are_cut_silently() {
    let mut cluster = Cluster::new(Profile::V9, 0);
    let body = map(
        &json!({"analysis_config": {"detectors": [{"function": "count"}]}, "data_description": {}}),
    );
    for at in 0..10_001 {
        cluster.put_job(&format!("j{at:05}"), &body).unwrap();
    }
    assert!(matches!(open(&mut cluster, "j10000"), Reply::Now(Ok(_))));
    assert_eq!(
        cluster
            .jobs("_all", true, false, &|name| name == "job_id")
            .unwrap()["count"],
        10_000
    );
    assert!(matches!(
        close(&mut cluster, "_all", false, 5),
        Reply::Now(Ok(_))
    ));
    assert_eq!(state(&cluster, "j10000"), "opened");
    assert_eq!(
        error(close(&mut cluster, "*,j10000", false, 5)),
        ApiError::no_job("j10000")
    );
}
