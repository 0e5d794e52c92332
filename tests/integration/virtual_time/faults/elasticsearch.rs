//! Faults 22 and 26 to 41, 50: what Elasticsearch as a whole, and what stands before it, does to the operator.

use std::time::Duration;

use http::HeaderMap;
use serde_json::json;

use super::super::between::{Ask, Effect, When};
use super::super::elastic::URL;
use super::super::world::World;
use super::{LIMIT, by_user, dark, during, faults, live, lives};

faults! {
    22 a_close_outlasts_the_wait_of_its_call V9,
    26 a_storm_of_429_and_503 V9,
    27 credentials_are_rejected_until_they_are_changed V9,
    28 calls_are_forbidden_for_a_while V9,
    31 connections_are_reset_before_and_after V9,
    32 answers_are_cut V9,
    33 ten_minutes_of_silence V9,
    34 one_byte_a_second V9,
    35 answers_without_an_end_and_packed_ones V9,
    36 a_login_page V9,
    37 redirects V9,
    38 the_master_is_lost_for_two_minutes V9,
    39 all_nodes_restart V9,
    40 upgrade_mode V9,
    41 another_cluster_answers V9,
    50 a_proxy_sends_each_call_again V9,
    56 the_address_refuses V9,
}

fn error(status: u16, kind: &str) -> (When, Effect) {
    let body = json!({"error": {"type": kind, "reason": kind, "root_cause": []}, "status": status});
    (When::Before, Effect::Answer(status, body))
}

async fn a_close_outlasts_the_wait_of_its_call(world: World) {
    lives(&world, 1, async |world| {
        let text = "Timed out when waiting for persistent tasks after 30s";
        let body = json!({"error": {"type": "illegal_state_exception", "reason": text, "root_cause": []}, "status": 500});
        during(&world, 60, move |ask| {
            let closes = ask.point() == "close";
            closes.then(|| (When::After, Effect::Answer(500, body.clone())))
        })
        .await;
    })
    .await;
}

async fn a_storm_of_429_and_503(world: World) {
    for number in 0..50 {
        let job = format!("crowd-{number}");
        world.elastic.opened(&job).await;
        world.job(
            &job,
            &json!({"state": "Closed", "close": {"timeout": "60s", "onTimeout": "Force"}}),
        );
    }
    let mut count = 0_usize;
    world.between.rule("storm", move |ask| {
        count += 1;
        let answer = [
            error(429, "es_rejected_execution_exception"),
            error(503, "cluster_block_exception"),
        ];
        let storm = ask.server == super::Server::Elasticsearch && ask.at < Duration::from_secs(600);
        storm.then(|| answer[count % 2].clone())
    });
    world
        .outages
        .borrow_mut()
        .push((Duration::ZERO, Duration::from_secs(600)));
    world.connect(&json!({}));
    world.start("one");
    world.pass(600 + 300).await;
    for number in 0..50 {
        world
            .told(1, &format!("crowd-{number}"), "Ready=True")
            .await;
    }
    assert_eq!(world.verdict().await.forces, 0);
}

async fn credentials_are_rejected_until_they_are_changed(world: World) {
    world.secret("es", "elastic");
    lives(&world, 1, async |world| {
        let auth = json!({"spec": {"auth": by_user("es")}});
        let from = world.now();
        world.between.rule("fault", |ask| {
            let rejected = ask.server == super::Server::Elasticsearch;
            rejected.then(|| error(401, "security_exception"))
        });
        world.patch("elasticsearchconnections", "default", &auth);
        world.pass(200 + world.chance(1, 60)).await;
        world.between.lift("fault");
        world.outages.borrow_mut().push((from, world.now()));
        world.patch("secrets", "es", &json!({"data": {"username": "bmV3"}}));
    })
    .await;
}

async fn calls_are_forbidden_for_a_while(world: World) {
    lives(&world, 1, async |world| {
        during(&world, 240, |ask| {
            ask.is_call().then(|| error(403, "security_exception"))
        })
        .await;
    })
    .await;
}

async fn connections_are_reset_before_and_after(world: World) {
    let mut chance = fastrand::Rng::with_seed(world.seed);
    lives(&world, 1, async |world| {
        during(&world, 300, move |ask| {
            let hit = ask.server == super::Server::Elasticsearch && chance.u8(0..4) == 0;
            let when = if chance.bool() {
                When::Before
            } else {
                When::After
            };
            hit.then_some((when, Effect::Reset))
        })
        .await;
    })
    .await;
}

async fn answers_are_cut(world: World) {
    lives(&world, 1, async |world| {
        dark(&world, 240, |_| {
            let mut headers = HeaderMap::new();
            headers.insert(
                "x-elastic-product",
                "Elasticsearch".parse().expect("a value"),
            );
            (
                When::After,
                Effect::Raw(200, headers, "{\"jobs\":[{\"job_id\":\"sl".into()),
            )
        })
        .await;
    })
    .await;
}

async fn ten_minutes_of_silence(world: World) {
    lives(&world, 1, async |world| {
        dark(&world, 600, |_| (When::Before, Effect::Silence)).await;
    })
    .await;
}

async fn one_byte_a_second(world: World) {
    lives(&world, 1, async |world| {
        dark(&world, 300, |_| (When::After, Effect::Drip)).await;
    })
    .await;
}

async fn answers_without_an_end_and_packed_ones(world: World) {
    lives(&world, 1, async |world| {
        world
            .elastic
            .inject(&json!({"body": "endless", "count": 5}))
            .await;
        world
            .elastic
            .inject(
                &json!({"status": 200, "json": {"count": 0, "jobs": []}, "gzip": true, "count": 5}),
            )
            .await;
    })
    .await;
}

async fn injected(world: World, seconds: u64, rule: serde_json::Value) {
    lives(&world, 1, async move |world| {
        let from = world.now();
        world.elastic.inject(&rule).await;
        world.pass(seconds).await;
        world
            .elastic
            .turn("DELETE", "inject", &serde_json::Value::Null)
            .await;
        world.outages.borrow_mut().push((from, world.now()));
    })
    .await;
}

async fn a_login_page(world: World) {
    injected(world, 300, json!({"body": "html", "count": null})).await;
}

async fn redirects(world: World) {
    injected(
        world,
        300,
        json!({"location": "http://elsewhere.test/", "status": 302, "count": null}),
    )
    .await;
}

async fn the_master_is_lost_for_two_minutes(world: World) {
    lives(&world, 1, async |world| {
        world
            .elastic
            .turn("PUT", "master", &json!({"present": false}))
            .await;
        world.pass(120).await;
        world
            .elastic
            .turn("PUT", "master", &json!({"present": true}))
            .await;
    })
    .await;
}

async fn all_nodes_restart(world: World) {
    let forces = live(&world, 1, async |world| {
        let from = world.now();
        world
            .elastic
            .turn("POST", "restart", &json!({"down_ms": 20_000}))
            .await;
        world.pass(60).await;
        world
            .outages
            .borrow_mut()
            .push((from, from + Duration::from_secs(20)));
    })
    .await;
    assert!(forces <= 1, "seed {}", world.seed);
}

async fn upgrade_mode(world: World) {
    let forces = live(&world, 1, async |world| {
        let from = world.now();
        world
            .elastic
            .turn("PUT", "upgrade_mode", &json!({"enabled": true}))
            .await;
        world.pass(600).await;
        world
            .elastic
            .turn("PUT", "upgrade_mode", &json!({"enabled": false}))
            .await;
        world.outages.borrow_mut().push((from, world.now()));
    })
    .await;
    assert!(forces <= 1, "seed {}", world.seed);
}

async fn another_cluster_answers(world: World) {
    lives(&world, 1, async |world| {
        world.told(LIMIT, "open", "Ready=True").await;
        let right =
            world.get("elasticsearchconnections", "default")["status"]["clusterUUID"].clone();
        let answers = async |uuid: &serde_json::Value| {
            world
                .elastic
                .turn("PUT", "uuid", &json!({"uuid": uuid}))
                .await;
        };
        answers(&json!("another")).await;
        // It is noticed by the next read of the tasks, or by the next probe.
        world.pass(130).await;
        let from = world.now();
        world.pass(300).await;
        let calls = |ask: &Ask| ask.is_call() && ask.at > from;
        assert!(
            !world.between.asks().iter().any(calls),
            "called another cluster"
        );
        world.outages.borrow_mut().push((from, world.now()));
        answers(&right).await;
    })
    .await;
}

async fn a_proxy_sends_each_call_again(world: World) {
    world.between.rule("again", |ask| {
        ask.is_call()
            .then_some((When::Before, Effect::Again(Duration::from_secs(30))))
    });
    lives(&world, 1, async |_| ()).await;
}

async fn the_address_refuses(world: World) {
    lives(&world, 1, async |world| {
        dark(&world, 300, |_| (When::Before, Effect::Refused)).await;
        // The same cluster at another address.
        let url = URL.replace("9200", "9201");
        world.patch(
            "elasticsearchconnections",
            "default",
            &json!({"spec": {"url": url}}),
        );
    })
    .await;
}
