//! Wrong AnomalyJobs, each one step away from a good one, and the text that must say what would be right.

use serde_json::json;

use super::job;
use super::wrong::{EMPTY, MISSING, NAME, SPANS, Wrong, each, table};

/// What names no job, or holds what no name can.
pub(super) const BLANK: [&str; 5] = [" ", ",", " , ", ",,,,", "   "];
pub(super) const CONTROL: [&str; 7] = [
    "low\n", "\na", "a,\tb", "a\r", "\u{0}", "a\u{7f}b", "a\u{85}",
];
/// What can leave out no job.
pub(super) const NO_PATTERNS: [&str; 13] = [
    "Web-*", "a,b", "a b", " a", "a?", "-a", "a-", "_all", "*_", ".*", "jöb", "a/b", "a\n",
];
/// What means every job of a cluster, whatever it is called.
pub(super) const EVERY_JOB: [&str; 11] = [
    "_all",
    "*",
    " _all ",
    "_all,",
    ",*,",
    "**",
    "*?",
    "?*?",
    "a,*",
    "web-*, ** ,b",
    "a , *",
];

/// AnomalyJobs that must be refused.
pub(super) fn jobs() -> Vec<Wrong> {
    [
        expressions(),
        limits(),
        time_spans(),
        choices(),
        job_forms(),
        list_forms(),
        job_typos(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn expressions() -> Vec<Wrong> {
    let blank =
        "must name a job, for example low_request_rate; where every job is meant, write _all";
    let control = "must have no line break, tab or other control character: write it in one line, for example web-*,nightly";
    let pattern = "must be one id or one wildcard of ids: lower-case letters, digits, '_', '-', '.' and '*', beginning and ending with a letter, a digit or '*', for example web-canary-*";
    let mut all = each(job, "spec.jobId", BLANK, blank);
    all.extend(each(job, "spec.jobId", CONTROL, control));
    let exclude = NO_PATTERNS.map(|text| ("spec.exclude", json!(["web-*", text]), pattern));
    all.extend(table(job, exclude));
    all
}

fn limits() -> Vec<Wrong> {
    let says = "spec.maxJobs: Required value: maxJobs must be said where jobId means every job: the most jobs that this object may close or open, for example maxJobs: 500";
    let max = "spec.maxJobs";
    let mut all = each(job, "spec.jobId", EVERY_JOB, says);
    all.extend(table(
        job,
        [
            (max, json!(0), "should be greater than or equal to 1"),
            (max, json!(-1), "should be greater than or equal to 1"),
            (
                max,
                json!(100_001),
                "should be less than or equal to 100000",
            ),
            (max, json!("100"), r#"must be of type integer: "string""#),
            (max, json!(1.5), r#"must be of type integer: "number""#),
        ],
    ));
    all
}

fn time_spans() -> Vec<Wrong> {
    let says = "must be one whole number from 1 and one unit of s, m, h, d, for example 90s, 30m, 2h or 1d";
    let mut all = each(job, "spec.close.timeout", SPANS, says);
    all.extend(each(job, "spec.open.timeout", SPANS, says));
    all
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn choices() -> Vec<Wrong> {
    let words = |path, values: &[&str], says| -> Vec<Wrong> {
        values
            .iter()
            .flat_map(|value| each(job, path, [*value], says))
            .collect()
    };
    let on_failed = r#"supported values: "Force", "Stall""#;
    [
        words("spec.close.onFailed", &["Wait", "stall"], on_failed),
        words(
            "spec.state",
            &["closed", "CLOSED", "opened", "Open", ""],
            r#"supported values: "Closed", "Opened""#,
        ),
        words(
            "spec.close.mode",
            &["graceful", "Force", ""],
            r#"supported values: "Graceful", "Immediate""#,
        ),
        words(
            "spec.close.onTimeout",
            &["force", "Fail"],
            r#"supported values: "Force", "Wait", "Stall""#,
        ),
        words(
            "spec.open.datafeed",
            &["resume", "Stop", ""],
            r#"supported values: "Resume", "Start", "Leave""#,
        ),
        words(
            "spec.driftPolicy",
            &["correct", "Ignore", ""],
            r#"supported values: "Correct", "Report""#,
        ),
        words(
            "spec.deletionPolicy",
            &["close", "Delete", "Orphan", ""],
            r#"supported values: "Retain", "Close""#,
        ),
        words(
            "spec.connectionRef.kind",
            &["elasticsearchconnection", "Secret", ""],
            r#"supported values: "ElasticsearchConnection", "ClusterElasticsearchConnection""#,
        ),
        words(
            "spec.connectionRef.name",
            &["Logs", "a/b", "-a", "a_b", "a..b"],
            NAME,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn job_forms() -> Vec<Wrong> {
    let string_not_integer = r#"must be of type string: "integer""#;
    let name = "spec.connectionRef.name";
    table(
        job,
        [
            (
                "spec.jobId",
                json!("a,".repeat(2_049)),
                "may not be more than 4096 bytes",
            ),
            ("spec.jobId", json!(""), EMPTY),
            ("spec.jobId", json!(7), string_not_integer),
            (
                "spec.jobId",
                json!(["a"]),
                r#"must be of type string: "array""#,
            ),
            ("spec.jobId", json!(null), "spec.jobId: Required value"),
            ("spec.jobId", json!(MISSING), "spec.jobId: Required value"),
            ("spec", json!(MISSING), "spec: Required value"),
            (name, json!(""), EMPTY),
            (
                name,
                json!("a".repeat(254)),
                "may not be more than 253 bytes",
            ),
            (
                "spec.connectionRef",
                json!("default"),
                r#"must be of type object: "string""#,
            ),
            (
                "spec.state",
                json!(true),
                r#"must be of type string: "boolean""#,
            ),
            (
                "spec.suspend",
                json!("true"),
                r#"must be of type boolean: "string""#,
            ),
            (
                "spec.suspend",
                json!(1),
                r#"must be of type boolean: "integer""#,
            ),
            (
                "spec.close",
                json!("Graceful"),
                r#"must be of type object: "string""#,
            ),
            ("spec.close.timeout", json!(30), string_not_integer),
            (
                "spec.close.onTimeout",
                json!(false),
                r#"must be of type string: "boolean""#,
            ),
        ],
    )
}

fn list_forms() -> Vec<Wrong> {
    let many: Vec<_> = (0..101).map(|n| format!("job{n}")).collect();
    let boolean = r#"must be of type boolean: "string""#;
    table(
        job,
        [
            (
                "spec.exclude",
                json!("web-*"),
                r#"spec.exclude: Invalid value: "string": spec.exclude in body must be of type array"#,
            ),
            (
                "spec.exclude",
                json!(["a", "a"]),
                r#"spec.exclude[1]: Duplicate value: "a""#,
            ),
            ("spec.exclude", json!(many), "must have at most 100 items"),
            ("spec.exclude", json!([""]), EMPTY),
            (
                "spec.exclude",
                json!(["a".repeat(65)]),
                "may not be more than 64 bytes",
            ),
            (
                "spec.exclude",
                json!([7]),
                r#"must be of type string: "integer""#,
            ),
            ("spec.allowNoMatch", json!("no"), boolean),
            (
                "spec.open",
                json!("Resume"),
                r#"must be of type object: "string""#,
            ),
        ],
    )
}

fn job_typos() -> Vec<Wrong> {
    table(
        job,
        [
            (
                "spec.connectionRef.namespace",
                json!("x"),
                r#"unknown field "spec.connectionRef.namespace""#,
            ),
            (
                "spec.close.force",
                json!(true),
                r#"unknown field "spec.close.force""#,
            ),
            ("spec.maxjobs", json!(5), r#"unknown field "spec.maxjobs""#),
            (
                "spec.open.force",
                json!(true),
                r#"unknown field "spec.open.force""#,
            ),
            (
                "spec.excludes",
                json!(["a"]),
                r#"unknown field "spec.excludes""#,
            ),
            ("spec.stat", json!("Closed"), r#"unknown field "spec.stat""#),
            ("spec.job_id", json!("a"), r#"unknown field "spec.job_id""#),
            ("state", json!("Closed"), r#"unknown field "state""#),
        ],
    )
}
