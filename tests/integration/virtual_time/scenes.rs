//! Short lives of objects, each with its right end: what crashes and faults are played over. Each waits for its end itself,
//! longer than any single fault may take, and fails where it does not come.

use std::future::Future;
use std::pin::Pin;

use elasticsearch_simulator::Profile;
use serde_json::{Value, json};

use super::world::World;

/// The longest that a scene may take to come right after a fault, in seconds.
const LIMIT: u64 = 900;

/// One of them.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) profile: Profile,
    pub(crate) play: fn(World) -> Pin<Box<dyn Future<Output = ()>>>,
}

macro_rules! scenes {
    ($($name:ident $profile:ident),* $(,)?) => {
        pub(crate) const SCENES: &[Scene] = &[$(Scene {
            name: stringify!($name),
            profile: Profile::$profile,
            play: |world| Box::pin($name(world)),
        }),*];
    };
}

scenes! {
    a_close V9,
    a_close_with_a_datafeed V9,
    a_close_that_hangs_is_forced V9,
    a_failed_job_is_forced V9,
    an_immediate_close V9,
    closed_and_opened_again V9,
    a_group V9,
    two_objects_mean_one_job V9,
    deleted_and_closed V9,
    suspended_while_it_closes V9,
    recreated_under_the_same_name V9,
    stopped_before_it_is_closed V7_13,
    with_a_secret_and_an_authority V9,
    the_close_is_lost V9,
}

fn closed(more: &Value) -> Value {
    let mut spec = json!({"state": "Closed"});
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    spec
}

async fn a_close(world: World) {
    world.elastic.opened("a").await;
    world.elastic.tune("a", &json!({"close_ms": 4000})).await;
    world.connect(&json!({}));
    world.job("a", &closed(&json!({})));
    world.start("pod");
    world.told(LIMIT, "a", "Ready=True").await;
}

async fn a_close_with_a_datafeed(world: World) {
    world.elastic.fed("a").await;
    world.elastic.tune("a", &json!({"close_ms": 4000})).await;
    world.connect(&json!({}));
    world.job("a", &closed(&json!({})));
    world.start("pod");
    world.told(LIMIT, "a", "Ready=True").await;
    let kept = world.get("anomalyjobs", "a")["status"]["resumeDatafeeds"].clone();
    assert_eq!(kept, json!(["feed-a"]), "who ran is known");
}

async fn a_close_that_hangs_is_forced(world: World) {
    world.elastic.fed("a").await;
    world.elastic.tune("a", &json!({"close_ms": "hang"})).await;
    world.connect(&json!({}));
    world.job(
        "a",
        &closed(&json!({"close": {"timeout": "60s", "onTimeout": "Force"}})),
    );
    world.start("pod");
    world.told(LIMIT, "a", "Ready=True").await;
}

async fn a_failed_job_is_forced(world: World) {
    world.elastic.opened("a").await;
    world
        .elastic
        .turn("POST", "jobs/a/fail", &json!({"reason": "x"}))
        .await;
    world.connect(&json!({}));
    world.job("a", &closed(&json!({"close": {"onFailed": "Force"}})));
    world.start("pod");
    world.told(LIMIT, "a", "Ready=True").await;
}

async fn an_immediate_close(world: World) {
    world.elastic.opened("a").await;
    world.connect(&json!({}));
    world.job("a", &closed(&json!({"close": {"mode": "Immediate"}})));
    world.start("pod");
    world.told(LIMIT, "a", "Ready=True").await;
}

async fn closed_and_opened_again(world: World) {
    world.elastic.fed("a").await;
    world.connect(&json!({}));
    world.job("a", &closed(&json!({})));
    world.start("pod");
    world.told(LIMIT, "a", "Closed=True").await;
    world.edit("a", &json!({"state": "Opened"}));
    world.told(LIMIT, "a", "Ready=True").await;
    world.pass(5).await;
}

async fn a_group(world: World) {
    for job in ["a", "b", "c"] {
        world.elastic.create(job, &["g"]).await;
        world.elastic.open(job).await;
    }
    world.elastic.tune("b", &json!({"close_ms": 8000})).await;
    world.connect(&json!({}));
    world.job("all", &closed(&json!({"jobId": "g"})));
    world.start("pod");
    world.told(LIMIT, "all", "Ready=True").await;
}

async fn two_objects_mean_one_job(world: World) {
    world.elastic.opened("a").await;
    world.connect(&json!({}));
    world.job("older", &closed(&json!({"jobId": "a"})));
    world.pass(2).await;
    world.job("younger", &json!({"jobId": "a", "state": "Opened"}));
    world.start("pod");
    world.told(LIMIT, "older", "Ready=True").await;
    world.told(LIMIT, "younger", "Ready=False/Conflict").await;
}

async fn deleted_and_closed(world: World) {
    world.elastic.opened("a").await;
    world.elastic.tune("a", &json!({"close_ms": 4000})).await;
    world.connect(&json!({}));
    world.job("a", &json!({"deletionPolicy": "Close"}));
    world.start("pod");
    world.told(LIMIT, "a", "Ready=True").await;
    world.delete("anomalyjobs", "a");
    let gone = || world.get("anomalyjobs", "a").is_null();
    assert!(world.until(LIMIT, gone).await, "it is gone");
}

async fn suspended_while_it_closes(world: World) {
    world.elastic.opened("a").await;
    world.elastic.opened("b").await;
    world.elastic.tune("a", &json!({"close_ms": 20_000})).await;
    world.connect(&json!({"limits": {"maxClosing": 1}}));
    world.job("all", &closed(&json!({"jobId": "a,b"})));
    world.start("pod");
    world.pass(3).await;
    world.edit("all", &json!({"suspend": true}));
    world.told(LIMIT, "all", "Ready=False/Suspended").await;
    world.pass(60).await;
    world.edit("all", &json!({"suspend": false}));
    world.told(LIMIT, "all", "Ready=True").await;
}

async fn recreated_under_the_same_name(world: World) {
    world.elastic.opened("a").await;
    world.elastic.tune("a", &json!({"close_ms": "hang"})).await;
    world.connect(&json!({}));
    let spec = closed(&json!({"close": {"timeout": "60s", "onTimeout": "Force"}}));
    world.job("a", &spec);
    world.start("pod");
    world.pass(40).await;
    world.delete("anomalyjobs", "a");
    world.job("a", &spec);
    world.told(LIMIT, "a", "Ready=True").await;
}

async fn stopped_before_it_is_closed(world: World) {
    world.elastic.fed("a").await;
    world.connect(&json!({}));
    world.job("a", &closed(&json!({})));
    world.start("pod");
    world.told(LIMIT, "a", "Ready=True").await;
}

async fn with_a_secret_and_an_authority(world: World) {
    world.elastic.opened("a").await;
    let authority = rcgen::generate_simple_self_signed(["elasticsearch.test".to_owned()]);
    let pem = authority.expect("a certificate").cert.pem();
    world.create("configmaps", "ca", json!({"data": {"ca.crt": pem}}));
    world.secret("es", "elastic");
    world.connect(&json!({
        "auth": {"basicSecretRef": {"name": "es"}},
        "tls": {"ca": {"configMapRef": {"name": "ca", "key": "ca.crt"}}},
    }));
    world.job("a", &closed(&json!({})));
    world.start("pod");
    world.told(LIMIT, "a", "Ready=True").await;
}

async fn the_close_is_lost(world: World) {
    world.elastic.opened("a").await;
    world.elastic.tune("a", &json!({"lost_closes": 1})).await;
    world.connect(&json!({}));
    world.job("a", &closed(&json!({})));
    world.start("pod");
    world.told(LIMIT, "a", "Ready=True").await;
}
