//! What differs between the version profiles (reference 0, 3, 4, 8; "Known differences" of the recorded README).

use serde_json::{Value, json};

use super::world::{FEEDS, JOBS, World, closed, ok, refused};
use crate::proof::wire::Request;

const ALL: [&str; 5] = ["7.10", "7.13", "7.17", "8", "9"];

/// The profiles from one on.
fn from(first: &str) -> impl Iterator<Item = (&'static str, bool)> {
    let at = ALL
        .iter()
        .position(|profile| *profile == first)
        .expect("a profile");
    ALL.into_iter()
        .enumerate()
        .map(move |(place, profile)| (profile, place >= at))
}

#[test]
fn the_root_page_tells_the_version_and_from_7_14_on_every_answer_the_product() {
    for (profile, new) in from("7.17") {
        let world = World::of(profile);
        let root = world.get("/");
        let number = root.at("/version/number");
        assert!(
            number
                .as_str()
                .is_some_and(|number| number.starts_with(profile)),
            "{number}"
        );
        assert_eq!(
            root.header("x-elastic-product"),
            new.then_some("Elasticsearch"),
            "{profile}"
        );
        let missing = world.get(&format!("{JOBS}/nope"));
        assert_eq!(
            missing.header("x-elastic-product"),
            new.then_some("Elasticsearch")
        );
    }
}

#[test]
fn from_7_14_on_a_close_stops_the_datafeed_and_before_it_refuses() {
    for (profile, new) in from("7.17") {
        let world = World::of(profile);
        world.running("a", "feed");
        for rest in ["?force=true", ""] {
            let answer = world.close("a", rest);
            if new {
                closed(&answer);
            } else {
                refused(
                    &answer,
                    409,
                    "status_exception",
                    "cannot close job datafeed [feed] hasn't been stopped",
                );
            }
        }
        let state = if new {
            ("closed", "stopped")
        } else {
            ("opened", "started")
        };
        world.rig.advance_ms(1_000);
        assert_eq!(
            (world.state("a").as_str(), world.feed_state("feed").as_str()),
            state,
            "{profile}"
        );
    }
}

#[test]
fn from_7_14_on_blocks_are_told_and_a_reset_is_there() {
    for (profile, new) in from("7.17") {
        let world = World::of(profile);
        world.jobs(&["a"]);
        world.rig.block_job("a", "revert");
        assert_eq!(world.config("a").get("blocked").is_some(), new, "{profile}");
        let reason = if new {
            "Cannot open job [a] because it is executing [revert]"
        } else {
            "Cannot open job [a] because it is being deleted"
        };
        refused(
            &world.post(&format!("{JOBS}/a/_open")),
            409,
            "status_exception",
            reason,
        );
        world
            .rig
            .knob("PUT", "jobs/a/block", &json!({"reason": null}));
        let reset = world.post(&format!("{JOBS}/a/_reset"));
        assert_eq!(
            reset.status,
            if new { 200 } else { 400 },
            "{profile}: {}",
            reset.text()
        );
    }
}

#[test]
fn from_7_13_on_a_running_datafeed_tells_whether_it_is_real_time() {
    for (profile, new) in from("7.13") {
        let world = World::of(profile);
        world.running("a", "feed");
        let stats = world
            .get(&format!("{FEEDS}/feed/_stats"))
            .at("/datafeeds/0/running_state/real_time_configured");
        assert_eq!(
            stats,
            if new { json!(true) } else { Value::Null },
            "{profile}"
        );
    }
}

#[test]
fn the_old_names_end_with_7_but_8_understands_them_with_compatible_headers() {
    for (profile, new) in from("8") {
        let world = World::of(profile);
        world.jobs(&["a"]);
        let close = world.close("a", "?allow_no_jobs=true");
        assert_eq!(close.status, if new { 400 } else { 200 }, "{profile}");
        assert_eq!(close.header("warning").is_some(), !new);
        let old = world.get("/_xpack/ml/anomaly_detectors/_stats");
        assert_eq!(old.status, if new { 400 } else { 200 }, "{profile}");
        assert_eq!(old.header("warning").is_some(), !new);
        let compatible = "application/vnd.elasticsearch+json;compatible-with=7";
        let request = Request::new("POST", &format!("{JOBS}/a/_close?allow_no_jobs=true"))
            .header("Accept", compatible);
        let status = if profile == "9" { 400 } else { 200 };
        assert_eq!(world.send(&request).status, status, "{profile}");
    }
}

#[test]
fn from_8_5_on_an_open_times_out_with_408_and_a_close_still_with_500() {
    for (profile, new) in from("8") {
        let world = World::of(profile);
        world.jobs(&["a"]);
        world
            .rig
            .job("a", &json!({"open_ms": 1_000, "close_ms": 1_000}));
        let open = world.background(super::request_to(
            "POST",
            &format!("{JOBS}/a/_open?timeout=1s"),
        ));
        world.rig.until_received("/_open?timeout=1s", 1);
        world.rig.job("a", &json!({"open_ms": "hang"}));
        world.jobs(&["b"]);
        world.rig.job("b", &json!({"open_ms": "hang"}));
        let hangs = world.background(super::request_to(
            "POST",
            &format!("{JOBS}/b/_open?timeout=2s"),
        ));
        world.rig.until_received("/_open?timeout=2s", 1);
        world.rig.advance_ms(2_000);
        assert_eq!(open.join().expect("an answer").status, 200);
        let (status, kind) = if new {
            (408, "status_exception")
        } else {
            (500, "exception")
        };
        refused(
            &hangs.join().expect("an answer"),
            status,
            kind,
            "Opening job [b] timed out after [2s]",
        );
        let first = world.closing("a", "");
        let second = world.background(super::request_with("POST", "a", "?timeout=100ms"));
        world.rig.until_received("/_close?timeout=100ms", 1);
        world.rig.advance_ms(100);
        let answer = second.join().expect("an answer");
        refused(
            &answer,
            500,
            "illegal_state_exception",
            "Timed out when waiting for persistent tasks after 100ms",
        );
        world.rig.advance_ms(1_000);
        closed(&first.join().expect("an answer"));
    }
}

#[test]
fn a_request_line_of_4096_bytes_is_refused_with_the_versions_own_type() {
    for (profile, new) in from("8") {
        let world = World::of(profile);
        let start = format!("{JOBS}/");
        let rest = "GET  HTTP/1.1".len();
        let target = format!("{start}{}", "a".repeat(4096 - start.len() - rest));
        let answer = world.get(&target);
        let kind = if new {
            "too_long_http_line_exception"
        } else {
            "too_long_frame_exception"
        };
        refused(
            &answer,
            400,
            kind,
            "An HTTP line is larger than 4096 bytes.",
        );
    }
}

#[test]
fn the_stop_of_a_bounded_datafeed_closes_its_job_only_where_close_job_is_not_known() {
    for (profile, new) in from("9") {
        let world = World::of(profile);
        world.opened(&["a"]);
        world.datafeed("feed", "a");
        world.rig.job("a", &json!({"lookback_ms": "hang"}));
        world.start_feed("feed", "?start=0&end=1000");
        ok(
            &world.post(&format!("{FEEDS}/feed/_stop")),
            &json!({"stopped": true}),
        );
        world.rig.advance_ms(1_000);
        assert_eq!(
            world.state("a"),
            if new { "opened" } else { "closed" },
            "{profile}"
        );
        let asked = world.post(&format!("{FEEDS}/feed/_stop?close_job=true"));
        assert_eq!(asked.status, if new { 200 } else { 400 }, "{profile}");
    }
}

#[test]
fn of_two_forced_closes_at_once_one_fails_in_7_and_none_later() {
    for (profile, new) in from("8") {
        let world = World::of(profile);
        world.opened(&["a"]);
        world.rig.job("a", &json!({"force_ms": 50}));
        let force = || world.background(super::request_with("POST", "a", "?force=true"));
        let calls = [force(), force()];
        world.rig.until_received("/_close?force=true", 2);
        world.rig.advance_ms(50);
        let mut statuses = calls.map(|call| call.join().expect("an answer").status);
        statuses.sort_unstable();
        assert_eq!(
            statuses,
            if new { [200, 200] } else { [200, 500] },
            "{profile}"
        );
    }
}

#[test]
fn a_datafeed_stands_in_the_way_of_its_jobs_delete_until_8() {
    for (profile, new) in from("8") {
        let world = World::of(profile);
        world.jobs(&["a"]);
        world.datafeed("feed", "a");
        let answer = world.delete(&format!("{JOBS}/a"));
        assert_eq!(answer.status, if new { 200 } else { 409 }, "{profile}");
    }
}
