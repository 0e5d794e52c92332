//! Elasticsearch's own closings: idle jobs at night, a lapsed licence, the end of a lookback (J26 to J28).

use serde_json::{Value, json};

use super::world::{FEEDS, JOBS, World, ok, until};

const HOUR: u64 = 3_600_000;

/// Why the job came into this state, by the log of changes.
fn reasons(world: &World, job: &str, to: &str) -> Vec<Value> {
    let changes = world.rig.all_changes();
    let mine = changes.iter().filter(|c| c["job"] == job && c["to"] == to);
    mine.map(|c| c["why"].clone()).collect()
}

fn now(world: &World) -> u64 {
    let answer = world.get("/_license");
    answer
        .at("/license/issue_date_in_millis")
        .as_u64()
        .expect("a time")
}

/// Jobs with a datafeed that does not run, but for `none` and `running`, and records of now, but for `nothing`.
fn fleet(world: &World) {
    world.opened(&["idle", "none", "nothing", "recent"]);
    for job in ["idle", "nothing", "recent"] {
        world.datafeed(&format!("feed-{job}"), job);
    }
    world.running("running", "feed-running");
    let start = now(world);
    for (job, latest) in [
        ("idle", start),
        ("none", start),
        ("running", start),
        ("recent", start + 20 * HOUR),
    ] {
        let body = json!({"records": 1, "latest_ms": latest});
        world.rig.knob("PUT", &format!("jobs/{job}/data"), &body);
    }
}

#[test]
fn at_night_the_newest_profile_closes_jobs_whose_stopped_datafeed_left_them_idle_for_two_days() {
    let world = World::nine();
    fleet(&world);
    let jobs = ["idle", "none", "nothing", "recent", "running"];
    world.rig.advance_ms(47 * HOUR);
    assert_eq!(world.states(&jobs), ["opened"; 5]);
    // The second night ends the 48 hours exactly; the third is later.
    world.rig.advance_ms(25 * HOUR);
    assert_eq!(
        world.states(&jobs),
        ["closed", "opened", "opened", "closed", "opened"]
    );
    assert_eq!(reasons(&world, "idle", "closing"), ["idle"]);
}

#[test]
fn idle_closing_can_be_run_at_once_and_switched_off() {
    let world = World::nine();
    fleet(&world);
    world.rig.advance_ms(HOUR);
    assert_eq!(
        world.rig.knob("POST", "idle_close", &json!({})),
        json!({"closed": []})
    );
    let off = json!({"persistent": {"xpack.ml.idle_job_auto_close_timeout": "-1"}});
    assert_eq!(world.put("/_cluster/settings", &off).status, 200);
    world.rig.advance_ms(100 * HOUR);
    assert_eq!(world.state("idle"), "opened");
    assert_eq!(
        world
            .rig
            .knob("POST", "idle_close", &json!({"idle_ms": 48 * HOUR})),
        json!({"closed": ["idle", "recent"]})
    );
    assert_eq!(
        world.states(&["idle", "recent", "running"]),
        ["closed", "closed", "opened"]
    );
}

#[test]
fn older_profiles_have_no_night() {
    for profile in ["7.10", "7.17", "8"] {
        let world = World::of(profile);
        world.opened(&["idle"]);
        world.datafeed("feed", "idle");
        world
            .rig
            .knob("PUT", "jobs/idle/data", &json!({"records": 1}));
        world.rig.advance_ms(100 * HOUR);
        assert_eq!(world.state("idle"), "opened", "{profile}");
    }
}

#[test]
fn a_licence_that_lapses_stops_datafeeds_and_closes_jobs_gracefully() {
    for profile in ["7.10", "7.17", "8", "9"] {
        let world = World::of(profile);
        world.running("a", "feed");
        world.rig.job("a", &json!({"close_ms": 500}));
        world.rig.knob("PUT", "jobs/a/data", &json!({"records": 1}));
        world.rig.licence_lapses();
        assert_eq!(
            (world.state("a"), world.feed_state("feed")),
            ("closing".into(), "stopped".into()),
            "{profile}"
        );
        world.rig.advance_ms(500);
        until("a is closed", || world.state("a") == "closed");
        assert_eq!(reasons(&world, "a", "closing"), ["invalid license"]);
        assert!(world.config("a")["finished_time"].is_u64());
        assert_eq!(
            world.get(&format!("{JOBS}/a/model_snapshots")).at("/count"),
            json!(1)
        );
        assert_eq!(world.post(&format!("{JOBS}/a/_open")).status, 403);
    }
}

#[test]
fn the_end_of_a_lookback_closes_its_job_and_says_so() {
    let world = World::nine();
    world.opened(&["a"]);
    world.datafeed("feed", "a");
    world.rig.job("a", &json!({"lookback_ms": 700}));
    world.start_feed("feed", "?start=0&end=1000");
    let running = world.get(&format!(
        "{FEEDS}/feed/_stats?filter_path=datafeeds.running_state.real_time_configured"
    ));
    ok(
        &running,
        &json!({"datafeeds": [{"running_state": {"real_time_configured": false}}]}),
    );
    world.rig.advance_ms(700);
    assert_eq!(
        (world.state("a"), world.feed_state("feed")),
        ("closed".into(), "stopped".into())
    );
    assert_eq!(reasons(&world, "a", "closing"), ["lookback ended"]);
}
