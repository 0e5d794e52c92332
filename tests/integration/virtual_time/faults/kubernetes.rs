//! Faults 1 to 16: what the API server does to the operator.

use std::time::Duration;

use http::HeaderMap;
use serde_json::{Value, json};

use super::super::between::{Ask, Effect, Server, When};
use super::super::world::World;
use super::{LIMIT, by_user, during, faults, lives};

faults! {
    1 a_watch_ends_within_an_event V9,
    2 a_watch_cannot_go_on_from_where_it_was V9,
    3 lists_are_refused V9,
    4 watches_are_forbidden_in_many_lines V9,
    5 an_api_server_that_lags_behind_a_restart V9,
    6 two_api_servers_that_lag_differently V9,
    7 status_writes_meet_conflicts V9,
    8 the_answer_of_a_status_write_is_lost V9,
    9 the_api_server_is_silent_for_ten_minutes V9,
    9 watches_and_lists_are_never_answered V9,
    10 events_are_forbidden V9,
    11 the_secret_may_not_be_read_for_a_while V9,
    12 the_crd_is_replaced V9,
    13 an_object_that_cannot_be_decoded V9,
    14 recreated_in_the_middle_of_a_close V9,
    15 the_namespace_is_deleted_in_the_middle_of_a_close V9,
    16 a_finalizer_of_somebody_else V9,
}

fn answer(code: u16, reason: &str) -> (When, Effect) {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": reason, "reason": reason, "code": code,
    });
    (When::Before, Effect::Answer(code, body))
}

fn raw(code: u16, text: &str) -> (When, Effect) {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().expect("a value"));
    headers.insert("retry-after", "2".parse().expect("a value"));
    (
        When::Before,
        Effect::Raw(code, headers, text.to_owned().into()),
    )
}

async fn a_watch_ends_within_an_event(world: World) {
    lives(&world, 1, async |world| {
        for _ in 0..3 {
            world.between.set_watching(|watching| {
                watching.epoch += 1;
                watching.torn = true;
            });
            world.pass(1 + world.chance(1, 40)).await;
        }
        world.between.set_watching(|watching| watching.torn = false);
    })
    .await;
}

/// Makes all watches end, and what they would go on from forgotten.
fn forget(world: &World) {
    world.patch(
        "anomalyjobs",
        "open",
        &json!({"metadata": {"annotations": {"somebody": "here"}}}),
    );
    world.api.store().forget();
    world.between.set_watching(|watching| watching.epoch += 1);
}

async fn a_watch_cannot_go_on_from_where_it_was(world: World) {
    lives(&world, 1, async |world| {
        for _ in 0..2 {
            forget(&world);
            world.pass(20).await;
        }
    })
    .await;
}

async fn lists_are_refused(world: World) {
    lives(&world, 1, async |world| {
        world.api.refuse_streaming((world.seed == 1).then_some(422));
        forget(&world);
        let mut count = 0;
        during(&world, 120, move |ask| {
            let lists = ask.query.contains("sendInitialEvents")
                || (ask.method == "GET" && ask.point().starts_with("list"));
            count += usize::from(lists);
            lists.then(|| {
                raw(
                    [500, 503, 429][count % 3],
                    r#"{"kind":"Status","status":"Failure","code":500}"#,
                )
            })
        })
        .await;
    })
    .await;
}

async fn watches_are_forbidden_in_many_lines(world: World) {
    lives(&world, 1, async |world| {
        world.between.set_watching(|watching| watching.epoch += 1);
        let text = "{\n  \"kind\": \"Status\",\n  \"status\": \"Failure\",\n  \"reason\": \"Forbidden\",\n  \"code\": 403\n}\n";
        during(&world, 120, move |ask| ask.is_watch().then(|| raw(403, text))).await;
    })
    .await;
}

async fn an_api_server_that_lags_behind_a_restart(world: World) {
    lives(&world, 1, async |world| {
        // Nothing may be forced after this, though the next process is told of the object as it was before.
        world
            .between
            .set_watching(|watching| watching.lag = Duration::from_secs(60));
        world.edit("hung", &json!({"suspend": true}));
        world.kill("one");
        world.start("one");
        world.pass(400).await;
        world
            .between
            .set_watching(|watching| watching.lag = Duration::ZERO);
        world.edit("hung", &json!({"suspend": false}));
    })
    .await;
}

async fn two_api_servers_that_lag_differently(world: World) {
    lives(&world, 2, async |world| {
        for round in 0..6 {
            let lag = Duration::from_secs(world.chance(round, 60));
            world.between.set_watching(|watching| {
                watching.lag = lag;
                watching.epoch += 1;
            });
            world.edit(
                "open",
                &json!({"driftPolicy": if round % 2 == 0 { "Report" } else { "Correct" }}),
            );
            if round == 3 {
                world.kill("one");
                world.start("one");
            }
            world.pass(20).await;
        }
        world
            .between
            .set_watching(|watching| watching.lag = Duration::ZERO);
    })
    .await;
}

async fn status_writes_meet_conflicts(world: World) {
    let times = if world.seed.is_multiple_of(2) { 50 } else { 1 };
    let mut left = times;
    world.between.rule("conflicts", move |ask| {
        let meets = ask.point() == "write status" && left > 0;
        left -= usize::from(meets);
        meets.then(|| answer(409, "Conflict"))
    });
    lives(&world, 1, async |_| ()).await;
}

async fn the_answer_of_a_status_write_is_lost(world: World) {
    let first = 1 + usize::try_from(world.chance(1, 4)).expect("small");
    let mut count = 0;
    world.between.rule("lost", move |ask| {
        count += usize::from(ask.point() == "write status");
        let lost = ask.point() == "write status" && (first..first + 3).contains(&count);
        lost.then_some((
            When::After,
            if count % 2 == 0 {
                Effect::Silence
            } else {
                Effect::Reset
            },
        ))
    });
    lives(&world, 1, async |_| ()).await;
}

async fn the_api_server_is_silent_for_ten_minutes(world: World) {
    lives(&world, 2, async |world| {
        let begun = world.now();
        world
            .between
            .set_watching(|watching| watching.lag = Duration::from_secs(100_000));
        during(&world, 600, |ask| {
            (ask.server == Server::Kubernetes).then_some((When::Before, Effect::Silence))
        })
        .await;
        world.between.set_watching(|watching| {
            watching.lag = Duration::ZERO;
            watching.epoch += 1;
        });
        let late = |ask: &Ask| ask.is_call() && ask.at > begun + Duration::from_secs(15);
        assert!(
            !world.between.asks().iter().any(late),
            "called without the API server"
        );
    })
    .await;
}

/// While the lease is renewed as ever, so that nothing but their own bound ends them.
async fn watches_and_lists_are_never_answered(world: World) {
    lives(&world, 1, async |world| {
        world
            .api
            .refuse_streaming((world.seed % 2 == 1).then_some(422));
        forget(&world);
        during(&world, 60, |ask| {
            let lists = ask.method == "GET" && ask.point().starts_with("list");
            (ask.is_watch() || lists).then_some((When::Before, Effect::Silence))
        })
        .await;
    })
    .await;
}

async fn events_are_forbidden(world: World) {
    world.between.rule("events", |ask| {
        (ask.point() == "tell event").then(|| answer(403, "Forbidden"))
    });
    lives(&world, 1, async |_| ()).await;
}

async fn the_secret_may_not_be_read_for_a_while(world: World) {
    world.secret("es", "elastic");
    let auth = by_user("es");
    lives(&world, 1, async |world| {
        world.patch(
            "elasticsearchconnections",
            "default",
            &json!({"spec": {"auth": auth}}),
        );
        let from = world.now();
        during(&world, 300, |ask| {
            (ask.point() == "read secret").then(|| answer(403, "Forbidden"))
        })
        .await;
        world.outages.borrow_mut().push((from, world.now()));
    })
    .await;
}

async fn the_crd_is_replaced(world: World) {
    lives(&world, 1, async |world| {
        world.between.set_watching(|watching| watching.epoch += 1);
        during(&world, 60, |ask| {
            ask.path
                .contains("/anomalyjobs")
                .then(|| answer(404, "NotFound"))
        })
        .await;
        // The new one has a field that the operator does not know.
        world.edit("open", &json!({"ofTheFuture": {"is": "here"}}));
    })
    .await;
}

async fn an_object_that_cannot_be_decoded(world: World) {
    lives(&world, 1, async |world| {
        world.elastic.opened("bad").await;
        world.create(
            "anomalyjobs",
            "bad",
            json!({"spec": {"jobId": "bad", "state": "Closed", "suspend": "no"}}),
        );
        world.told(LIMIT, "bad", "Ready=False/InvalidObject").await;
        world.pass(world.chance(1, 60)).await;
        world.edit("bad", &json!({"suspend": false}));
        world.told(LIMIT, "bad", "Ready=True").await;
        world.delete("anomalyjobs", "bad");
        world
            .elastic
            .call("DELETE", "/_ml/anomaly_detectors/bad", &Value::Null)
            .await;
    })
    .await;
}

async fn recreated_in_the_middle_of_a_close(world: World) {
    lives(&world, 1, async |world| {
        let spec = world.get("anomalyjobs", "hung")["spec"].clone();
        world.delete("anomalyjobs", "hung");
        world.create("anomalyjobs", "hung", json!({"spec": spec}));
        let anew = world.now();
        world.told(LIMIT, "hung", "Ready=True").await;
        let early =
            |ask: &Ask| ask.is_force() && ask.at > anew && ask.at < anew + Duration::from_secs(300);
        assert!(
            !world.between.asks().iter().any(early),
            "by the deadline of another object"
        );
    })
    .await;
}

async fn the_namespace_is_deleted_in_the_middle_of_a_close(world: World) {
    for job in ["kept", "ended"] {
        world.elastic.opened(job).await;
        world.elastic.tune(job, &json!({"close_ms": 180_000})).await;
    }
    world.secret("es", "elastic");
    world.connect(&json!({"auth": {"basicSecretRef": {"name": "es"}}}));
    world.job("kept", &json!({"state": "Closed"}));
    world.job(
        "ended",
        &json!({"state": "Opened", "deletionPolicy": "Close", "close": {"timeout": "10m"}}),
    );
    world.start("one");
    world.pass(2 + world.chance(0, 60)).await;
    world.between.rule("ended", |ask| {
        (ask.method == "POST" && ask.point() == "tell event").then(|| answer(403, "Forbidden"))
    });
    world.delete("secrets", "es");
    world.delete("elasticsearchconnections", "default");
    for name in ["kept", "ended"] {
        world.delete("anomalyjobs", name);
    }
    let gone = || world.api.store().keys("anomalyjobs").is_empty();
    assert!(
        world.until(15 * 60, gone).await,
        "seed {}: something is held back",
        world.seed
    );
    let then = world.now();
    world.pass(600).await;
    let later =
        |ask: &Ask| ask.server == Server::Elasticsearch && ask.at > then + Duration::from_secs(1);
    assert!(!world.between.asks().iter().any(later), "asked for nobody");
    assert_eq!(world.verdict().await.forces, 0);
}

async fn a_finalizer_of_somebody_else(world: World) {
    lives(&world, 1, async |world| {
        let spec = world.get("anomalyjobs", "hung")["spec"].clone();
        world.patch(
            "anomalyjobs",
            "hung",
            &json!({"metadata": {"finalizers": ["somebody.else/theirs"]}}),
        );
        world.delete("anomalyjobs", "hung");
        world.pass(60 + world.chance(1, 60)).await;
        let kept = world.get("anomalyjobs", "hung")["metadata"]["finalizers"].clone();
        assert_eq!(kept, json!(["somebody.else/theirs"]));
        world.patch(
            "anomalyjobs",
            "hung",
            &json!({"metadata": {"finalizers": null}}),
        );
        assert!(world.get("anomalyjobs", "hung").is_null());
        world.create("anomalyjobs", "hung", json!({"spec": spec}));
    })
    .await;
}
