//! The actions of Elasticsearch that the operator asks for, by the names that roles grant them under.
//!
//! Measured on a real cluster (`tests/contract/recorded/privileges.json`); a test holds each to be needed and all of them to
//! be enough.

/// Changes jobs and datafeeds. `manage_ml` has all of them.
pub const CHANGES: [(&str, &str); 4] = [
    ("cluster:admin/xpack/ml/job/close", "close jobs"),
    ("cluster:admin/xpack/ml/job/open", "open jobs"),
    ("cluster:admin/xpack/ml/datafeed/start", "start datafeeds"),
    ("cluster:admin/xpack/ml/datafeed/stop", "stop datafeeds"),
];

/// Sees jobs and datafeeds. `manage_ml` and `monitor_ml` have all of them.
pub const READS: [&str; 6] = [
    "cluster:monitor/xpack/ml/info/get",
    "cluster:monitor/xpack/ml/job/get",
    "cluster:monitor/xpack/ml/job/stats/get",
    "cluster:monitor/xpack/ml/job/model_snapshots/get",
    "cluster:monitor/xpack/ml/datafeeds/get",
    "cluster:monitor/xpack/ml/datafeeds/stats/get",
];

/// `GET /`: version and uuid. `monitor` has it; without it they are unknown.
pub const MAIN: &str = "cluster:monitor/main";
/// The persistent tasks. `monitor` has it; without it what others do to jobs is noticed later.
pub const STATE: &str = "cluster:monitor/state";

/// The licence. `monitor` has it; without it that machine learning is not in it is noticed at the first open.
pub const LICENSE: &str = "cluster:monitor/xpack/license/get";

/// Whether jobs cannot be seen, closed and opened without it.
pub fn is_needed(action: &str) -> bool {
    ![MAIN, STATE, LICENSE].contains(&action)
}

/// All of them.
pub fn all() -> impl Iterator<Item = &'static str> {
    let changes = CHANGES.iter().map(|(action, _)| *action);
    changes.chain(READS).chain([MAIN, STATE, LICENSE])
}
