//! What is read right before a force, and not from a watch.

use std::time::Duration;

use elasticsearch_simulator::Profile;
use serde_json::json;

use super::between::Ask;
use super::world::run;

#[test]
fn what_a_connection_forbids_is_not_done_although_no_watch_has_told_of_it() {
    for allow in [json!({"force": "Never"}), json!({"jobs": ["other-*"]})] {
        run(1, Profile::V9, |world| async move {
            world.elastic.opened("hung").await;
            world
                .elastic
                .tune("hung", &json!({"close_ms": "hang"}))
                .await;
            world.connect(&json!({}));
            let close = json!({"timeout": "5m", "onTimeout": "Force"});
            world.job("hung", &json!({"state": "Closed", "close": close}));
            world.start("one");
            world.pass(120).await;
            let far = Duration::from_secs(3600);
            world.between.set_watching(|watching| watching.lag = far);
            let narrowed = json!({"spec": {"allow": allow}});
            world.patch("elasticsearchconnections", "default", &narrowed);
            world.told(600, "hung", "Stalled=True/NotAllowed").await;
            world.pass(600).await;
            let asks = world.between.asks();
            let looked = |ask: &&Ask| ask.point() == "read connection";
            // Once a minute, as often as the connection is told of as it was before.
            let times = asks.iter().filter(looked).count();
            assert!((1..=20).contains(&times), "{times} times");
            assert_eq!(world.verdict().await.forces, 0);
        });
    }
}
