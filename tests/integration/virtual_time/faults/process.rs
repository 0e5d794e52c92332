//! Faults 17 to 19, 59 and 60: leases, clocks, and two processes at once.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::between::{Ask, Effect, When};
use super::super::world::World;
use super::{during, faults, lives};

faults! {
    17 the_lease_is_stolen V9,
    18 the_lease_is_slow V9,
    19 the_clock_of_one_replica_is_an_hour_off V9,
    59 the_wall_clock_jumps_by_a_day V9,
    60 two_versions_overlap V9,
}

async fn the_lease_is_stolen(world: World) {
    lives(&world, 2, async |world| {
        world.pass(20).await;
        world.patch(
            "leases",
            "operator",
            &json!({"spec": {"holderIdentity": "a-thief"}}),
        );
        let from = world.now();
        world.pass(14).await;
        // Who held it finds out at its next renewal, at the latest when its claim ends.
        let calls = |ask: &Ask| ask.is_call() && ask.at > from + Duration::from_secs(5);
        assert!(
            !world.between.asks().iter().any(calls),
            "called without the lease"
        );
        world.stolen.borrow_mut().push(from);
    })
    .await;
}

async fn the_lease_is_slow(world: World) {
    lives(&world, 2, async |world| {
        let late = Duration::from_secs(4 + world.chance(1, 8));
        during(&world, 200, move |ask| {
            let when = if ask.number % 2 == 0 {
                When::Before
            } else {
                When::After
            };
            ask.point()
                .ends_with("lease")
                .then_some((when, Effect::Delay(late)))
        })
        .await;
    })
    .await;
}

async fn the_clock_of_one_replica_is_an_hour_off(world: World) {
    let off = if world.seed.is_multiple_of(2) {
        3600
    } else {
        -3600
    };
    lives(&world, 2, async |world| {
        world.set_clock("one", off);
        world.pass(60).await;
        world.kill("two");
        world.pass(60).await;
        world.start("two");
        world.pass(30).await;
        world.kill("one");
        world.start("one");
    })
    .await;
}

async fn the_wall_clock_jumps_by_a_day(world: World) {
    let day = 86_400;
    lives(&world, 1, async |world| {
        for off in [day, 0, -day, day, 0] {
            world.set_clock("one", off);
            world.pass(20 + world.chance(off.unsigned_abs(), 40)).await;
        }
    })
    .await;
}

async fn two_versions_overlap(world: World) {
    lives(&world, 1, async |world| {
        world.start("new");
        world.pass(60).await;
        world.stop("one").await;
        let lease = world.get("leases", "operator")["spec"]["holderIdentity"].clone();
        assert!(
            lease == Value::Null
                || lease
                    .as_str()
                    .is_some_and(|holder| holder.starts_with("new")),
            "{lease}"
        );
    })
    .await;
}
