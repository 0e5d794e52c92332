//! Closes that leave together: how many requests and writes many jobs cost, and what becomes of a list that is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use anomalyjob_operator::api::AnomalyJob;
use serde_json::{Value, json};

use crate::support::elastic::Log;
use crate::support::operator::Operator;
use crate::support::room::Room;
use crate::support::{LIMIT, controlplane, side_by_side, until_true};

const IN_STATE: [&str; 2] = ["Ready=True/InDesiredState", "Closed=True/AllClosed"];

/// So many open jobs of the group `web`, and an operator that knows their cluster.
fn room(count: usize) -> (Room<'static>, Operator) {
    let room = Room::new(controlplane::shared());
    room.elastic.opened_bulk("web-", "web", count);
    room.connect(&json!({}));
    let operator = room.operator();
    room.job("watch", &json!({"jobId": "web", "maxJobs": 1000}));
    room.until("watch", &["Ready=True/Observing"]);
    room.until_connection("default", &["Ready=True/Connected"]);
    until_true("both statuses are counted", LIMIT, || {
        operator.status_writes() >= 2
    });
    (room, operator)
}

fn close(room: &Room, name: &str, more: &Value) {
    let mut spec = json!({"jobId": "web", "maxJobs": 1000, "state": "Closed"});
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    room.job(name, &spec);
}

fn assert_each_closed_once(log: &Log, count: usize, but: &[&str]) {
    for number in 0..count {
        let job = format!("web-{number:05}");
        if !but.contains(&job.as_str()) {
            assert_eq!((log.closed(&job), log.forces(&job)), (1, 0), "{job}");
        }
    }
}

fn by_api(log: &Log) -> BTreeMap<&str, usize> {
    let mut all = BTreeMap::new();
    for api in log.apis() {
        *all.entry(api).or_default() += 1;
    }
    all
}

/// Two hundred jobs of one object: as many closes as waves, at most one look at each, one write.
fn two_hundred_of_one_object() {
    let (room, operator) = room(200);
    let (before, writes) = (room.elastic.log(), operator.status_writes());
    close(&room, "all", &json!({}));
    let object = room.until("all", &IN_STATE);
    assert_eq!(object["status"]["lastClose"]["graceful"], 200);
    assert_eq!(
        object["status"]["targets"].as_array().map(Vec::len),
        Some(100)
    );
    let log = room.elastic.log().since(&before);
    assert_each_closed_once(&log, 200, &[]);
    let mut calls = by_api(&log);
    // A look that is under way when a list is answered tells of the next one too.
    let looks = calls.remove("JobStats").unwrap_or_default();
    assert!((1..=4).contains(&looks), "{looks} looks at four lists");
    // Who is meant, then as many lists as waves.
    let lists = [("Close", 4), ("GetFeeds", 1), ("GetJobs", 1), ("Info", 1)];
    assert_eq!(calls, BTreeMap::from(lists));
    // The object that watches tells of it too.
    room.until("watch", &["Closed=True/AllClosed"]);
    until_true("both are told", LIMIT, || {
        operator.status_writes() - writes >= 2
    });
    assert_eq!(operator.status_writes() - writes, 2);
}

/// Two that fail while a list with them is on its way: it is refused as a whole and nobody says for whom.
fn one_percent_failed() {
    let (room, _operator) = room(200);
    room.elastic
        .inject(&json!({"api": "Close", "delay_ms": 1500}));
    let before = room.elastic.log();
    close(&room, "all", &json!({"close": {"onFailed": "Stall"}}));
    room.elastic
        .until("the first list", |log| log.since(&before).of("Close") > 0);
    let failed = ["web-00003", "web-00040"];
    for job in failed {
        room.elastic
            .turn("POST", &format!("jobs/{job}/fail"), &json!({}));
    }
    let object = room.until("all", &["Ready=False/JobFailed", "Stalled=True/JobFailed"]);
    assert_eq!(object["status"]["summary"], "198/200 closed");
    let log = room.elastic.log().since(&before);
    assert_each_closed_once(&log, 200, &failed);
    let said = object["status"]["conditions"][0]["message"]
        .as_str()
        .expect("a message");
    assert!(
        said.contains(failed[0]) && said.contains(failed[1]),
        "{said}"
    );
    // They were seen failed while the list was on its way, so nothing has to be searched for: the rest leaves once more.
    assert_eq!((log.of("Close"), refused(&log)), (5, 1));
}

fn refused(log: &Log) -> usize {
    let refused = |line: &&Value| line["api"] == "Close" && line["status"] != 200;
    log.requests.iter().filter(refused).count()
}

/// One whose state says nothing, and that every list with it is refused for: it is found by halves, and no other is touched twice.
fn one_that_is_always_refused() {
    let (room, _operator) = room(200);
    let before = room.elastic.log();
    room.elastic.inject(&json!({
        "api": "Close", "path_contains": "web-00003", "count": null,
        "status": 400, "type": "illegal_argument_exception", "reason": "as the test says",
    }));
    close(&room, "all", &json!({}));
    let log = room.elastic.until("all others are closed", |log| {
        log.changes
            .iter()
            .filter(|line| line["to"] == "closed")
            .count()
            == 199
    });
    let log = log.since(&before);
    assert_each_closed_once(&log, 200, &["web-00003"]);
    // Four waves, and 2k*log2(n/k)+k for one of 64.
    let closes = log.of("Close");
    assert!(
        closes <= 4 + 2 * 6 + 1 && refused(&log) >= 4,
        "{closes} closes"
    );
    room.elastic.stop_injecting();
    room.until("all", &IN_STATE);
    assert_eq!(room.elastic.log().forces("web-00003"), 0);
}

/// One id of the list is unknown by then: named by the 404, taken out, and the rest leaves once more.
fn one_deleted_meanwhile() {
    let (room, _operator) = room(60);
    room.elastic
        .inject(&json!({"api": "Close", "delay_ms": 1500}));
    let before = room.elastic.log();
    close(&room, "all", &json!({}));
    room.elastic
        .until("the list", |log| log.since(&before).of("Close") > 0);
    let path = "/_ml/anomaly_detectors/web-00007";
    room.elastic
        .call("DELETE", &format!("{path}?force=true"), &Value::Null);
    let object = room.until("all", &IN_STATE);
    assert_eq!(object["status"]["summary"], "59/59 closed");
    let log = room.elastic.log().since(&before);
    assert_each_closed_once(&log, 60, &["web-00007"]);
    assert_eq!(log.of("Close"), 2, "the refused one and one more");
}

/// A proxy, or a server, takes shorter lines than was thought: learned, with nothing closed twice and nothing left.
fn shorter_lines(status: u16, more: &Value) {
    const LINE: usize = 700;
    let (room, _operator) = room(150);
    let mut rule = json!({"longer_than": LINE, "count": null, "status": status});
    for (key, value) in more.as_object().into_iter().flatten() {
        rule[key] = value.clone();
    }
    room.elastic.inject(&rule);
    let before = room.elastic.log();
    close(&room, "all", &json!({}));
    let object = room.until("all", &IN_STATE);
    assert_eq!(object["status"]["lastClose"]["graceful"], 150);
    let log = room.elastic.log().since(&before);
    assert_each_closed_once(&log, 150, &[]);
    let refused = log
        .requests
        .iter()
        .filter(|line| line["status"] == status)
        .count();
    assert!((1..=6).contains(&refused), "refused {refused} times");
    let most = 6 + 150_usize.div_ceil(40);
    assert!(log.of("Close") <= most, "{} closes", log.of("Close"));
}

/// One job more than Elasticsearch tells in an answer: that one is asked for by its id, and no other.
#[test]
fn of_ten_thousand_and_one_jobs_only_the_one_that_a_cut_answer_leaves_out_is_asked_for_by_name() {
    const JOBS: usize = 10_001;
    let room = Room::new(controlplane::shared());
    // Open jobs are known by their tasks as well, and never left out.
    let closed = json!({"prefix": "web-", "count": JOBS, "groups": ["web"]});
    room.elastic.turn("POST", "jobs_bulk", &closed);
    room.connect(&json!({}));
    let _operator = room.operator();
    room.job("watch", &json!({"jobId": "web", "maxJobs": JOBS}));
    let seen = ["Ready=True/Observing"];
    let object = room.until_within::<AnomalyJob>(Duration::from_secs(120), "watch", &seen);
    assert_eq!(object["status"]["summary"], "10001/10001 closed");
    let log = room.elastic.log();
    let looks = log.requests.iter().filter(|line| line["api"] == "JobStats");
    let looks: Vec<&str> = looks.filter_map(|line| line["path"].as_str()).collect();
    assert_eq!(
        looks,
        [
            "/_ml/anomaly_detectors/*/_stats",
            "/_ml/anomaly_detectors/web-10000/_stats"
        ]
    );
}

#[test]
fn many_jobs_of_one_object_cost_a_close_for_each_wave_and_one_bad_member_blocks_nobody() {
    side_by_side(&[
        ("two hundred", &two_hundred_of_one_object),
        ("1 % failed", &one_percent_failed),
        ("one refused", &one_that_is_always_refused),
        ("one deleted", &one_deleted_meanwhile),
    ]);
}

#[test]
fn a_line_limit_of_a_server_or_a_proxy_is_learned_whatever_it_answers() {
    let reason = "An HTTP line is larger than 700 bytes.";
    let own = json!({"type": "too_long_frame_exception", "reason": reason});
    side_by_side(&[
        ("413", &|| shorter_lines(413, &json!({"body": "html"}))),
        ("414", &|| shorter_lines(414, &json!({"body": "html"}))),
        ("400, a proxy", &|| {
            shorter_lines(400, &json!({"body": "html"}));
        }),
        ("400, Elasticsearch", &|| shorter_lines(400, &own)),
    ]);
}
