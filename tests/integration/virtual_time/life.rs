//! The harness itself: that time is exact, that a run replays, and that a plain close goes as on a real server.

use elasticsearch_simulator::Profile;
use serde_json::json;

use super::scenes::SCENES;
use super::world::run;

#[test]
fn a_close_of_twenty_minutes_takes_no_time_and_replays_exactly() {
    let story = |seed| {
        run(seed, Profile::V9, |world| async move {
            world.elastic.fed("a").await;
            world
                .elastic
                .tune("a", &json!({"close_ms": 1_200_000}))
                .await;
            world.connect(&json!({}));
            world.job("a", &json!({"state": "Closed"}));
            world.start("first");
            world.start("second");
            world.told(1300, "a", "Closed=True").await;
            world.pass(600).await;
            world.verdict().await;
            let asks = world.between.asks();
            let lines = asks.iter().map(|ask| {
                format!(
                    "{:?} {} {} {}?{}",
                    ask.at, ask.process, ask.method, ask.path, ask.query
                )
            });
            lines.collect::<Vec<_>>()
        })
    };
    let one = story(1);
    assert!(one.len() > 1000, "{one:?}");
    assert_eq!(one, story(1));
}

#[test]
fn each_scene_has_its_end_without_any_fault_and_replays() {
    for scene in SCENES {
        let once = || {
            run(1, scene.profile, |world| async move {
                (scene.play)(world.clone()).await;
                (world.verdict().await, world.story())
            })
        };
        let (digest, story) = once();
        println!("{}\n{digest:#?}\n{story}", scene.name);
        assert_eq!((digest, story), once(), "{}", scene.name);
    }
}
