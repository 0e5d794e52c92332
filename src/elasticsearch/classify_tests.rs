//! One case per row of the reference's tables of errors, with the texts of the versions that differ.

use std::time::Duration;

use serde_json::json;

use super::*;

const TASKS: &str = "Timed out when waiting for persistent tasks after 20s";

fn answer(status: u16, body: impl Into<Vec<u8>>, retry_after: Option<Duration>) -> Answer {
    Answer {
        status,
        has_header: true,
        retry_after,
        body: body.into(),
        _turn: None,
    }
}

fn job(id: &str) -> JobId {
    JobId::parse(id).unwrap()
}

fn close(ids: &[&str]) -> Call {
    Call::close(
        &Ids::new(ids.iter().map(|id| job(id))).unwrap(),
        Duration::from_secs(20),
    )
}

fn stop() -> Call {
    Call::stop_datafeed(
        &DatafeedId::parse("d").unwrap(),
        false,
        Duration::from_secs(20),
    )
}

fn body(status: u16, kind: &str, reason: &str) -> Value {
    let cause = json!({"type": kind, "reason": reason});
    json!({"error": {"root_cause": [cause], "type": kind, "reason": reason}, "status": status})
}

/// The class of a refusal of `close(["a", "b"])`.
fn of(status: u16, kind: &str, reason: &str) -> Error {
    meaning(status, &body(status, kind, reason), &close(&["a", "b"]))
}

fn meaning(status: u16, body: &Value, call: &Call) -> Error {
    classify(&answer(status, body.to_string(), None), call)
}

fn refused(status: u16, kind: &str) -> Error {
    Error::RequestRefused {
        status,
        kind: ErrorType::parse(kind),
    }
}

#[test]
fn a_bad_request_is_refused_for_good() {
    let unrecognized =
        "request [/_ml/anomaly_detectors/a/_close] contains unrecognized parameter: [bogus]";
    for (kind, reason) in [
        ("illegal_argument_exception", unrecognized),
        (
            "illegal_argument_exception",
            "failed to parse setting [timeout] with value [abc] as a time value: unit is missing or unrecognized",
        ),
        (
            "x_content_parse_exception",
            "[1:2] [cluster:admin/xpack/ml/job/close] unknown field [bogus]",
        ),
        (
            "too_long_frame_exception",
            "HTTP header is larger than 8192 bytes.",
        ),
    ] {
        assert_eq!(of(400, kind, reason), refused(400, kind), "{reason}");
    }
}

#[test]
fn a_line_that_is_too_long_has_two_types() {
    let reason = "An HTTP line is larger than 4096 bytes.";
    assert_eq!(
        of(400, "too_long_frame_exception", reason),
        Error::LineTooLong
    );
    assert_eq!(
        of(400, "too_long_http_line_exception", reason),
        Error::LineTooLong
    );
    for status in [413, 414, 431] {
        let foreign = classify(&answer(status, "<html>", None), &close(&["a"]));
        assert_eq!(foreign, Error::LineTooLong);
        assert_eq!(of(status, "status_exception", "x"), Error::LineTooLong);
    }
}

#[test]
fn unknown_jobs_are_named_by_the_text_and_only_if_they_were_sent() {
    let unknown = |list: &str| {
        of(
            404,
            "resource_not_found_exception",
            &format!("No known job with id '{list}'"),
        )
    };
    assert_eq!(unknown("a"), Error::NoSuchJob(vec![job("a")]));
    assert_eq!(unknown("b,a,b"), Error::NoSuchJob(vec![job("a"), job("b")]));
    assert_eq!(
        unknown("a,secret-of-another"),
        Error::NoSuchJob(vec![job("a")])
    );
    for foreign in ["x", "", "*", "<script>", "a'b"] {
        assert_eq!(
            unknown(foreign),
            refused(404, "resource_not_found_exception"),
            "{foreign}"
        );
    }
    let reason = "No datafeed with id [d] exists";
    let datafeed = meaning(
        404,
        &body(404, "resource_not_found_exception", reason),
        &stop(),
    );
    assert_eq!(
        datafeed,
        Error::NoSuchDatafeed(vec![DatafeedId::parse("d").unwrap()])
    );
}

#[test]
fn a_task_that_went_away_is_not_an_unknown_job() {
    for reason in [
        "the task with id job-a and allocation id 7 doesn't exist",
        "the task with id job-a doesn't exist",
    ] {
        assert_eq!(
            of(404, "resource_not_found_exception", reason),
            Error::TaskGone
        );
    }
    assert_eq!(
        of(404, "index_not_found_exception", "no such index []"),
        refused(404, "index_not_found_exception")
    );
}

#[test]
fn the_conflicts_are_told_apart() {
    let conflict = |reason: &str| of(409, "status_exception", reason);
    assert_eq!(
        conflict("cannot close job [a] because it failed, use force close"),
        Error::JobFailed(Some(job("a")))
    );
    assert_eq!(
        conflict("cannot close job [x] because it failed, use force close"),
        Error::JobFailed(None)
    );
    assert_eq!(
        conflict("one or more jobs have state failed, use force close"),
        Error::JobFailed(None)
    );
    assert_eq!(
        conflict("cannot close job datafeed [d] hasn't been stopped"),
        Error::DatafeedRunning
    );
    assert_eq!(
        conflict(
            "failed to close jobs as one or more had started datafeeds that could not be stopped: started datafeeds [d], error stopping them [cannot close job [a] because it failed]"
        ),
        Error::DatafeedNotStopped
    );
    assert_eq!(
        conflict("Close job interrupted by kill request"),
        Error::InterruptedByKill
    );
    assert_eq!(conflict("something new"), refused(409, "status_exception"));
}

#[test]
fn upgrade_mode_and_overload_are_told_apart() {
    for action in ["job/close", "datafeed/stop"] {
        let reason = format!(
            "Cannot perform cluster:admin/xpack/ml/{action} action while upgrade mode is enabled"
        );
        assert_eq!(of(429, "status_exception", &reason), Error::UpgradeMode);
    }
    let overloaded = |status| Error::Overloaded {
        status,
        retry_after: None,
    };
    assert_eq!(
        of(429, "circuit_breaking_exception", "[parent] Data too large"),
        overloaded(429)
    );
    assert_eq!(
        of(503, "circuit_breaking_exception", "[parent] Data too large"),
        overloaded(503)
    );
    assert_eq!(
        of(429, "es_rejected_execution_exception", "rejected execution"),
        overloaded(429)
    );
    assert_eq!(
        of(429, "status_exception", "something new"),
        overloaded(429)
    );
    assert_eq!(
        of(
            503,
            "process_cluster_event_timeout_exception",
            "failed to process"
        ),
        overloaded(503)
    );
    let asked = answer(429, "slow down", Some(Duration::from_secs(9)));
    let expected = Error::Overloaded {
        status: 429,
        retry_after: Some(Duration::from_secs(9)),
    };
    assert_eq!(classify(&asked, &close(&["a"])), expected);
    assert_eq!(expected.retry_after(), Some(Duration::from_secs(9)));
    let gateway = classify(
        &answer(503, "<html>", Some(Duration::from_secs(4))),
        &close(&["a"]),
    );
    assert!(matches!(gateway, Error::GatewayFailed { status: 503, .. }));
    assert_eq!(gateway.retry_after(), Some(Duration::from_secs(4)));
    assert_eq!(Error::NoMaster.retry_after(), None);
}

#[test]
fn failures_of_the_server_are_told_apart() {
    assert_eq!(
        of(500, "illegal_state_exception", TASKS),
        Error::StillClosing
    );
    assert_eq!(
        meaning(500, &body(500, "illegal_state_exception", TASKS), &stop()),
        Error::DatafeedNotStopped
    );
    assert_eq!(
        of(
            500,
            "status_exception",
            "Exception closing autodetect process"
        ),
        Error::JobProcessDied
    );
    let mut old = body(500, "exception", "wrapped");
    old["error"]["caused_by"] =
        json!({"type": "x", "reason": "[a] Unexpected death of autodetect: no such file"});
    assert_eq!(meaning(500, &old, &close(&["a"])), Error::JobProcessDied);
    for kind in [
        "failed_node_exception",
        "node_closed_exception",
        "node_disconnected_exception",
    ] {
        assert_eq!(of(500, kind, "Failed node [n1]"), Error::NodeLost);
    }
    let forced = "Failed to force close job [a] with [1] failures, rethrowing first. All Exceptions: [Timed out when waiting for persistent tasks after 30s]";
    assert_eq!(of(500, "status_exception", forced), Error::ForceCloseFailed);
    let forced = "Failed to force close job [a] with [1] failures, rethrowing last, all Exceptions: [the task with id job-a doesn't exist]";
    assert_eq!(of(500, "exception", forced), Error::ForceCloseFailed);
    let stopping = "Failed to stop datafeed [d] after 8 due to inconsistencies between local and persistent tasks within the cluster";
    assert_eq!(
        meaning(500, &body(500, "exception", stopping), &stop()),
        Error::DatafeedNotStopped
    );
    let kind = ErrorType::parse("null_pointer_exception");
    assert_eq!(
        of(500, "null_pointer_exception", "x"),
        Error::ServerError { status: 500, kind }
    );
}

#[test]
fn a_closed_index_of_results_is_no_lack_of_a_right_and_no_trouble_of_the_cluster() {
    let reason = "index [.ml-anomalies-old] blocked by: [FORBIDDEN/4/index closed];";
    let closed = of(403, "cluster_block_exception", reason);
    assert_eq!(closed, Error::IndexClosed);
    assert_eq!(closed.scope(), crate::elasticsearch::Scope::Call);
    let read_only = "blocked by: [FORBIDDEN/6/cluster read-only (api)];";
    assert_eq!(
        of(403, "cluster_block_exception", read_only),
        refused(403, "cluster_block_exception")
    );
}

#[test]
fn a_cluster_without_master_or_without_state_is_known_as_such() {
    let mut silent = body(503, "master_not_discovered_exception", "");
    silent["error"]["reason"] = Value::Null;
    assert_eq!(meaning(503, &silent, &close(&["a"])), Error::NoMaster);
    let blocked = |by: &str| {
        of(
            503,
            "cluster_block_exception",
            &format!("blocked by: [SERVICE_UNAVAILABLE/{by}];"),
        )
    };
    assert_eq!(blocked("2/no master"), Error::NoMaster);
    assert_eq!(
        blocked("1/state not recovered / initialized"),
        Error::StateNotRecovered
    );
    assert_eq!(
        of(503, "search_phase_execution_exception", "all shards failed"),
        Error::StateNotRecovered
    );
    assert_eq!(
        of(400, "search_phase_execution_exception", "too many clauses"),
        refused(400, "search_phase_execution_exception")
    );
}

#[test]
fn credentials_privileges_and_licence_are_told_apart() {
    for reason in [
        "missing authentication credentials for REST request [/_ml/anomaly_detectors/a/_close]",
        "unable to authenticate user [elastic] for REST request [/_ml/anomaly_detectors/a/_close]",
    ] {
        assert_eq!(
            of(401, "security_exception", reason),
            Error::CredentialsInvalid
        );
    }
    assert_eq!(
        classify(&answer(401, "", None), &close(&["a"])),
        Error::CredentialsInvalid
    );
    let lacking =
        |names: &[&str]| Error::MissingPrivilege(names.iter().map(ToString::to_string).collect());
    let old = "action [cluster:admin/xpack/ml/job/close] is unauthorized for user [u]";
    assert_eq!(of(403, "security_exception", old), lacking(&["manage_ml"]));
    let new = format!(
        "{old} with effective roles [r], this action is granted by the cluster privileges [manage_ml,manage,all]"
    );
    assert_eq!(
        of(403, "security_exception", &new),
        lacking(&["manage_ml", "manage", "all"])
    );
    let odd = format!("{old}, this action is granted by the cluster privileges [Robert'); DROP]");
    assert_eq!(of(403, "security_exception", &odd), lacking(&["manage_ml"]));
    let root = meaning(403, &body(403, "security_exception", old), &Call::root());
    assert_eq!(root, lacking(&["monitor"]));
    let licence = of(
        403,
        "security_exception",
        "current license is non-compliant for [ml]",
    );
    assert_eq!(licence, Error::LicenseMissing);
    let mut keyed = body(403, "security_exception", "another text");
    keyed["error"]["license.expired.feature"] = json!("ml");
    assert_eq!(meaning(403, &keyed, &close(&["a"])), Error::LicenseMissing);
}

#[test]
fn machine_learning_that_is_not_there_is_known_by_routing_errors() {
    for (status, text) in [
        (400, "no handler found for uri [/_ml/info] and method [GET]"),
        (
            405,
            "Incorrect HTTP method for uri [/_ml/info] and method [GET], allowed: [POST]",
        ),
    ] {
        let string = json!({"error": text, "status": status});
        assert_eq!(
            meaning(status, &string, &Call::ml_info()),
            Error::MlUnavailable
        );
    }
    assert_eq!(
        of(
            400,
            "invalid_index_name_exception",
            "Invalid index name [_ml]"
        ),
        Error::MlUnavailable
    );
}

#[test]
fn refusals_that_are_not_elasticsearchs_say_so() {
    let foreign = |status, body: &str| classify(&answer(status, body, None), &close(&["a"]));
    for body in [
        "<html>nginx</html>",
        "",
        "{}",
        "[]",
        "{\"error\":7}",
        "{\"error\":{}}",
    ] {
        for status in [502, 503, 504] {
            assert_eq!(
                foreign(status, body),
                Error::GatewayFailed {
                    status,
                    retry_after: None
                },
                "{body}"
            );
        }
        for status in [400, 403, 404, 409, 418] {
            let expected = Error::UnexpectedAnswer {
                status,
                what: Malformed::ForeignRefusal,
            };
            assert_eq!(foreign(status, body), expected, "{body}");
        }
        assert_eq!(
            foreign(500, body),
            Error::ServerError {
                status: 500,
                kind: None
            }
        );
    }
}

#[test]
fn nothing_that_the_server_wrote_is_shown() {
    let sentinel = "S3NTINEL";
    let reasons = [
        sentinel.to_owned(),
        format!("No known job with id '{sentinel}'"),
        format!("No known job with id 'a,{sentinel}'"),
        format!("cannot close job [{sentinel}] because it failed, use force close"),
        format!("cannot close job datafeed [{sentinel}] hasn't been stopped"),
        format!("x this action is granted by the cluster privileges [{sentinel}]"),
        format!("blocked by: [{sentinel}/no master];"),
    ];
    for status in (400..=431).chain(500..=511).chain([599]) {
        for reason in &reasons {
            for kind in [
                "status_exception",
                "security_exception",
                sentinel,
                "cluster_block_exception",
            ] {
                let error = of(status, kind, reason);
                let shown = format!("{error} {error:?} {}", error.category());
                assert!(!shown.contains(sentinel), "{shown}");
            }
        }
    }
}

#[test]
fn endless_causes_are_followed_to_a_bound() {
    let mut deep = json!({"type": "x", "reason": "innermost: Unexpected death of autodetect"});
    for _ in 0..40 {
        deep = json!({"type": "x", "reason": "outer", "caused_by": deep});
    }
    let error = meaning(500, &json!({"error": deep, "status": 500}), &close(&["a"]));
    assert!(matches!(error, Error::ServerError { .. }), "{error:?}");
}

#[path = "classify_start_tests.rs"]
mod start;
