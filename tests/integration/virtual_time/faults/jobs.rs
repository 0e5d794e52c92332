//! Faults 20 to 25 and 42 to 49: what happens to single jobs.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::between::Ask;
use super::super::world::World;
use super::{LIMIT, faults, lives};

faults! {
    20 closed_is_answered_and_the_job_stays_open V9,
    21 closed_is_answered_and_the_job_has_moved V9,
    23 a_failed_job_waits_for_a_human V9,
    24 a_datafeed_is_in_the_way V7_13,
    25 the_job_is_deleted_while_it_closes V9,
    42 the_node_dies_while_the_job_closes V9,
    43 the_job_fails_while_it_closes V9,
    44 an_open_that_hangs_is_closed V9,
    45 somebody_opens_it_again_and_again V9,
    46 elasticsearch_closes_an_idle_job V9,
    47 a_group_gains_and_loses_members V9,
    48 ten_thousand_jobs_are_meant V9,
    49 the_job_is_blocked V9,
}

async fn closed_is_answered_and_the_job_stays_open(world: World) {
    let rule = json!({"api": "Close", "status": 200, "json": {"closed": true}, "count": 3});
    world.elastic.inject(&rule).await;
    lives(&world, 1, async |_| ()).await;
}

async fn closed_is_answered_and_the_job_has_moved(world: World) {
    world
        .elastic
        .turn("PUT", "nodes", &json!({"count": 2}))
        .await;
    lives(&world, 1, async |world| {
        world
            .elastic
            .turn("POST", "node_shutdown", &json!({}))
            .await;
        world.pass(world.chance(1, 30)).await;
        world
            .elastic
            .turn("PUT", "nodes", &json!({"count": 2}))
            .await;
        // Its process on the other node hangs like the one before.
        world
            .elastic
            .tune("hung", &json!({"close_ms": "hang"}))
            .await;
    })
    .await;
}

/// One job that is to be closed by this policy, running for a while of the seed.
fn one(world: &World, more: &Value) {
    world.connect(&json!({}));
    let mut spec = json!({"state": "Closed"});
    for (name, value) in more.as_object().into_iter().flatten() {
        spec[name] = value.clone();
    }
    world.job("a", &spec);
    world.start("one");
}

async fn a_failed_job_waits_for_a_human(world: World) {
    world.elastic.opened("a").await;
    world.elastic.tune("a", &json!({"close_ms": 60_000})).await;
    one(&world, &json!({"close": {"onFailed": "Stall"}}));
    world.pass(2 + world.chance(1, 50)).await;
    world
        .elastic
        .turn("POST", "jobs/a/fail", &json!({"reason": "x"}))
        .await;
    world.told(LIMIT, "a", "Stalled=True/JobFailed").await;
    world.pass(600).await;
    world.edit("a", &json!({"close": {"onFailed": "Force"}}));
    world.told(LIMIT, "a", "Ready=True").await;
    assert_eq!(world.verdict().await.forces, 1);
}

async fn a_datafeed_is_in_the_way(world: World) {
    lives(&world, 1, async |_| ()).await;
}

async fn the_job_is_deleted_while_it_closes(world: World) {
    world.elastic.opened("a").await;
    world.elastic.tune("a", &json!({"close_ms": 60_000})).await;
    one(&world, &json!({}));
    world.pass(2 + world.chance(1, 50)).await;
    world
        .elastic
        .call(
            "DELETE",
            "/_ml/anomaly_detectors/a?force=true",
            &Value::Null,
        )
        .await;
    world.told(LIMIT, "a", "Stalled=True/JobNotFound").await;
    world.elastic.opened("a").await;
    world.elastic.tune("a", &json!({"close_ms": 0})).await;
    world.told(LIMIT, "a", "Ready=True").await;
    assert_eq!(world.verdict().await.forces, 0);
}

async fn the_node_dies_while_the_job_closes(world: World) {
    world
        .elastic
        .turn("PUT", "nodes", &json!({"count": 1}))
        .await;
    world.elastic.opened("a").await;
    world.elastic.tune("a", &json!({"close_ms": 60_000})).await;
    one(&world, &json!({}));
    world.pass(3 + world.chance(1, 50)).await;
    world.elastic.turn("POST", "node_loss", &json!({})).await;
    world.pass(world.chance(2, 40)).await;
    world
        .elastic
        .turn("PUT", "nodes", &json!({"count": 1}))
        .await;
    world.told(LIMIT, "a", "Ready=True").await;
    let unsaved = world.get("anomalyjobs", "a")["status"]["lastClose"]["unsaved"].clone();
    assert_eq!(unsaved, json!(["a"]), "seed {}", world.seed);
    assert_eq!(world.verdict().await.forces, 0);
}

async fn the_job_fails_while_it_closes(world: World) {
    world.elastic.opened("a").await;
    world
        .elastic
        .tune(
            "a",
            &json!({"close_ms": 20_000 + world.chance(1, 40_000), "persist_fails": true}),
        )
        .await;
    one(&world, &json!({"close": {"onFailed": "Force"}}));
    world.told(LIMIT, "a", "Ready=True").await;
    assert_eq!(world.verdict().await.forces, 1);
}

async fn an_open_that_hangs_is_closed(world: World) {
    world.elastic.create("a", &[]).await;
    world
        .elastic
        .tune("a", &json!({"open_ms": "hang", "close_ms": "hang"}))
        .await;
    let elastic = world.elastic.clone();
    // Answered by an error after its time is over, or never: what counts is that it was sent.
    tokio::spawn(async move { elastic.send("POST", "/_ml/anomaly_detectors/a/_open").await });
    world.pass(1 + world.chance(1, 20)).await;
    one(
        &world,
        &json!({"close": {"timeout": "3m", "onTimeout": "Force"}}),
    );
    world.told(LIMIT, "a", "Ready=True").await;
    assert!(world.verdict().await.forces <= 1);
}

async fn somebody_opens_it_again_and_again(world: World) {
    world.elastic.opened("a").await;
    one(&world, &json!({}));
    world.told(LIMIT, "a", "Ready=True").await;
    world.pass(world.chance(1, 100)).await;
    world.elastic.open("a").await;
    let corrected = || world.has("a", "Drifted=False/Corrected");
    assert!(world.until(LIMIT, corrected).await, "put back once");
    for round in 0..20 {
        world
            .told(
                3 * LIMIT,
                "a",
                if world.has("a", "Stalled=True") {
                    "Stalled=True"
                } else {
                    "Closed=True"
                },
            )
            .await;
        if world.has("a", "Stalled=True") {
            break;
        }
        world.pass(120 + world.chance(round, 60)).await;
        world
            .elastic
            .send("POST", "/_ml/anomaly_detectors/a/_open")
            .await;
        world.pass(60).await;
    }
    world.told(LIMIT, "a", "Stalled=True/Flapping").await;
    world.edit("a", &json!({"maxJobs": 7}));
    world.told(LIMIT, "a", "Ready=True").await;
    assert_eq!(world.verdict().await.forces, 0);
}

async fn elasticsearch_closes_an_idle_job(world: World) {
    world.elastic.fed("a").await;
    world
        .elastic
        .call("POST", "/_ml/datafeeds/feed-a/_stop", &json!({}))
        .await;
    let three_days_ago = (world.api.now().wall.as_second() - 3 * 86_400) * 1000;
    world
        .elastic
        .turn(
            "PUT",
            "jobs/a/data",
            &json!({"records": 5, "latest_ms": three_days_ago}),
        )
        .await;
    world.connect(&json!({}));
    world.job(
        "a",
        &json!({"state": "Opened", "open": {"datafeed": "Leave"}}),
    );
    world.start("one");
    world.told(LIMIT, "a", "Ready=True").await;
    world.pass(600 + world.chance(1, 3600)).await;
    let begun = world.now();
    world
        .elastic
        .turn("POST", "idle_close", &json!({"idle_ms": 0}))
        .await;
    world.told(LIMIT, "a", "Stalled=True/IdleClosed").await;
    world.pass(3600).await;
    let calls = |ask: &Ask| ask.is_call() && ask.at >= begun;
    assert!(
        !world.between.asks().iter().any(calls),
        "fought against Elasticsearch"
    );
    world.edit("a", &json!({"state": "Closed"}));
    world.told(LIMIT, "a", "Ready=True").await;
    assert_eq!(world.verdict().await.forces, 0);
}

async fn a_group_gains_and_loses_members(world: World) {
    for job in ["a", "b"] {
        world.elastic.create(job, &["g"]).await;
        world.elastic.open(job).await;
        world.elastic.tune(job, &json!({"close_ms": 200_000})).await;
    }
    world.connect(&json!({}));
    world.job(
        "all",
        &json!({"jobId": "g", "state": "Closed", "close": {"timeout": "6m", "onTimeout": "Force"}}),
    );
    world.start("one");
    world.pass(2 + world.chance(1, 300)).await;
    let late = world.now();
    world.elastic.create("c", &["g"]).await;
    world.elastic.open("c").await;
    world.elastic.tune("c", &json!({"close_ms": "hang"})).await;
    world
        .elastic
        .call(
            "POST",
            "/_ml/anomaly_detectors/b/_update",
            &json!({"groups": []}),
        )
        .await;
    world.told(LIMIT, "all", "Forced=True").await;
    world.told(LIMIT, "all", "Ready=True").await;
    let early = |ask: &Ask| ask.is_force() && ask.at < late + Duration::from_secs(360);
    assert!(
        !world.between.asks().iter().any(early),
        "by the clock of another member"
    );
    // It was in the group when it was called: what was asked of it then stands in the sources of the judge no more.
    world
        .elastic
        .call(
            "POST",
            "/_ml/anomaly_detectors/b/_update",
            &json!({"groups": ["g"]}),
        )
        .await;
    assert_eq!(world.verdict().await.forces, 1);
}

async fn ten_thousand_jobs_are_meant(world: World) {
    // A minute of processor time for all seeds: the others are the same with a tenth.
    let count = if world.seed == 1 { 10_000 } else { 1_000 };
    let bulk = json!({"prefix": "many-", "count": count, "groups": ["g"], "opened": true});
    world.elastic.turn("POST", "jobs_bulk", &bulk).await;
    world.elastic.opened("a").await;
    one(&world, &json!({}));
    world.job("all", &json!({"jobId": "g", "state": "Closed"}));
    world.told(LIMIT, "all", "Stalled=True/TooManyJobs").await;
    world.told(LIMIT, "a", "Ready=True").await;
    world.pass(world.chance(1, 300)).await;
    let size = world.get("anomalyjobs", "all").to_string().len();
    assert!(size < 64 * 1024, "{size} bytes of status");
    let calls = |ask: &Ask| ask.is_call() && ask.path.contains("many-");
    assert!(!world.between.asks().iter().any(calls));
    world.end();
}

async fn the_job_is_blocked(world: World) {
    world.elastic.create("a", &[]).await;
    world
        .elastic
        .turn("PUT", "jobs/a/block", &json!({"reason": "reset"}))
        .await;
    world.connect(&json!({}));
    world.job("a", &json!({"state": "Opened"}));
    world.start("one");
    world.pass(60 + world.chance(1, 300)).await;
    assert!(!world.has("a", "Ready=True"));
    world
        .elastic
        .turn("PUT", "jobs/a/block", &json!({"reason": null}))
        .await;
    world.told(LIMIT, "a", "Ready=True").await;
    assert_eq!(world.verdict().await.forces, 0);
}
