//! The refusals of open and start, with the texts of the reference and of the recorded answers.

use super::*;

fn open() -> Call {
    Call::open(&job("a"), Duration::from_secs(20))
}

fn start() -> Call {
    Call::start_datafeed(&DatafeedId::parse("d").unwrap(), Duration::from_secs(20))
}

/// The class of a refusal with the reason and that of its cause.
fn caused(call: &Call, status: u16, reason: &str, cause: &str) -> Error {
    let mut body = body(status, "status_exception", reason);
    body["error"]["caused_by"] = json!({"type": "illegal_state_exception", "reason": cause});
    meaning(status, &body, call)
}

#[test]
fn the_refusals_of_an_open_are_told_apart() {
    let of =
        |status, kind: &str, reason: &str| meaning(status, &body(status, kind, reason), &open());
    let plain = |status, reason: &str| of(status, "status_exception", reason);
    let already = "Cannot open job [a] because it has already been opened";
    assert_eq!(plain(409, already), Error::AlreadyOpen);
    assert_eq!(
        caused(&open(), 409, already, "task with id {job-a} already exist"),
        Error::AlreadyOpen
    );
    for blocked in [
        "it is executing [delete]",
        "it is executing [reset]",
        "it is executing [revert]",
        "it is being deleted",
    ] {
        let reason = format!("Cannot open job [a] because {blocked}");
        assert_eq!(plain(409, &reason), Error::JobBlocked);
    }
    let closed = "The job has been closed while waiting to be opened";
    assert_eq!(plain(409, closed), Error::ClosedWhileOpening);
    let closing = "Unexpected job state [closing] while waiting for job to be opened";
    assert_eq!(of(500, "exception", closing), Error::ClosedWhileOpening);
    // The reason of the failure may be any text, one of another class too.
    let failed = "Unexpected job state [failed] with reason [[a] Unexpected death of autodetect: x] while waiting for job to be opened";
    assert_eq!(of(500, "exception", failed), Error::OpenFailed);
    let old = "[a] job model snapshot [1491852978] has min version before [8.3.0], please revert to a newer model snapshot or reset the job";
    assert_eq!(plain(400, old), Error::SnapshotTooOld);
    let late = "Opening job [a] timed out after [30m]";
    assert_eq!(plain(408, late), Error::OpenTimedOut);
    assert_eq!(of(500, "exception", late), Error::OpenTimedOut);
    let unknown = "No known job with id 'a'";
    assert_eq!(
        of(404, "resource_not_found_exception", unknown),
        Error::NoSuchJob(vec![job("a")])
    );
    assert_eq!(
        plain(409, "Cannot open job [a] because of something new"),
        refused(409, "status_exception")
    );
    let licence = "current license is non-compliant for [ml]";
    assert_eq!(
        of(403, "security_exception", licence),
        Error::LicenseMissing
    );
}

#[test]
fn an_open_without_a_node_says_what_is_missing() {
    let capacity = "Could not open job because no ML nodes with sufficient capacity were found";
    let nodes = |why: &str| {
        format!(
            "Could not open job because no suitable nodes were found, allocation explanation [{why}]"
        )
    };
    let causes = [
        "Not opening job [a] on node [{node-1}], because this node is full. Number of opened jobs [2], xpack.ml.max_open_jobs [2]",
        "Not opening job [a] on node [node-1]. Reason: Node exceeds [16] the maximum number of jobs [16] in opening state.",
        "Not opening [a], because not all primary shards are active for the following indices [.ml-state]",
    ];
    for cause in causes {
        assert_eq!(
            caused(&open(), 429, capacity, &nodes(cause)),
            Error::NoCapacity
        );
        assert_eq!(
            meaning(429, &body(429, "status_exception", &nodes(cause)), &open()),
            Error::NoCapacity
        );
    }
}

#[test]
fn an_open_that_a_setting_or_the_upgrade_mode_forbids_is_no_want_of_room() {
    let capacity = "Could not open job because no ML nodes with sufficient capacity were found";
    let nodes = |why: &str| {
        format!(
            "Could not open job because no suitable nodes were found, allocation explanation [{why}]"
        )
    };
    let disabled = "no persistent task assignments are allowed due to cluster settings";
    assert_eq!(
        caused(&open(), 429, capacity, &nodes(disabled)),
        Error::AssignmentDisabled
    );
    let setting = "Cannot open jobs because persistent task assignment is disabled by the [cluster.persistent_tasks.allocation.enable] setting";
    assert_eq!(
        meaning(429, &body(429, "status_exception", setting), &open()),
        Error::AssignmentDisabled
    );
    for upgrade in [
        "Cannot perform cluster:admin/xpack/ml/job/open action while upgrade mode is enabled",
        "Cannot open jobs when upgrade mode is enabled",
    ] {
        assert_eq!(
            meaning(429, &body(429, "status_exception", upgrade), &open()),
            Error::UpgradeMode
        );
    }
    let queue = meaning(
        429,
        &body(429, "es_rejected_execution_exception", "rejected execution"),
        &open(),
    );
    assert_eq!(
        queue,
        Error::Overloaded {
            status: 429,
            retry_after: None
        }
    );
}

#[test]
fn the_refusals_of_a_start_are_told_apart() {
    let of =
        |status, kind: &str, reason: &str| meaning(status, &body(status, kind, reason), &start());
    let plain = |status, reason: &str| of(status, "status_exception", reason);
    for state in ["closed", "closing", "failed"] {
        let reason = format!("cannot start datafeed [d] because job [a] is {state}");
        assert_eq!(plain(409, &reason), Error::DatafeedJobNotOpen);
    }
    let unknown = "No known job with id 'a'";
    assert_eq!(
        of(404, "resource_not_found_exception", unknown),
        Error::DatafeedJobNotOpen
    );
    let already = "cannot start datafeed [d] because it has already been started";
    assert_eq!(plain(409, already), Error::DatafeedAlreadyStarted);
    let nowhere =
        |why: &str| format!("No node found to start datafeed [d], allocation explanation [{why}]");
    let shards = nowhere(
        "cannot start datafeed [d] because index [i] does not have all primary shards active yet.",
    );
    assert_eq!(plain(409, &shards), Error::DatafeedNoNode);
    let disabled = nowhere("no persistent task assignments are allowed due to cluster settings");
    assert_eq!(plain(409, &disabled), Error::AssignmentDisabled);
    for (status, kind, reason) in [
        (
            404,
            "resource_not_found_exception",
            "datafeed [d] cannot retrieve data because index [rec-missing] does not exist",
        ),
        (
            400,
            "status_exception",
            "datafeed [d] cannot retrieve data because no index matches datafeed's indices [x-*]",
        ),
        (
            400,
            "status_exception",
            "datafeed [d] cannot retrieve field [f] because it has no mappings",
        ),
    ] {
        assert_eq!(of(status, kind, reason), Error::DatafeedRefused, "{reason}");
    }
}

#[test]
fn a_start_that_is_late_or_not_allowed_is_told_apart() {
    let of =
        |status, kind: &str, reason: &str| meaning(status, &body(status, kind, reason), &start());
    let plain = |status, reason: &str| of(status, "status_exception", reason);
    let late = "Starting datafeed [d] timed out after [20s]";
    assert_eq!(plain(408, late), Error::DatafeedStartTimedOut);
    assert_eq!(of(500, "exception", late), Error::DatafeedStartTimedOut);
    for upgrade in [
        "Cannot perform cluster:admin/xpack/ml/datafeed/start action while upgrade mode is enabled",
        "Could not start datafeed [d] as indices are being upgraded",
    ] {
        assert_eq!(plain(429, upgrade), Error::UpgradeMode);
    }
    let bounds = "Validation Failed: 1: start [5] must be earlier than end [0];";
    assert_eq!(
        of(400, "action_request_validation_exception", bounds),
        refused(400, "action_request_validation_exception")
    );
    let action = "action [cluster:admin/xpack/ml/datafeed/start] is unauthorized for user [u]";
    assert_eq!(
        of(403, "security_exception", action),
        Error::MissingPrivilege(vec!["manage_ml".to_owned()])
    );
}
