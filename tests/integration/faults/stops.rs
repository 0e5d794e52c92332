//! It is asked to stop while nothing answers, and it is replaced in a rolling update.

use std::time::Duration;

use serde_json::json;

use super::{campaign, in_the_middle, passed};
use crate::long::storm;
use crate::support::chance::{Chance, crowd, each_seed};
use crate::support::room::Room;
use crate::support::{LIMIT, controlplane, until, until_true};

#[test]
fn fault_52_a_stop_with_many_objects_and_a_hung_cluster_is_clean_and_soon() {
    let room = Room::new(controlplane::shared());
    room.elastic
        .turn("PUT", "defaults", &json!({"close_ms": 1500}));
    let names = storm::objects(&room, crowd(200), "6s");
    let mut operator = room.operator();
    room.elastic.until("some are closing", |log| {
        log.changes.iter().any(|line| line["to"] == "closing")
    });
    room.elastic.swallow();
    std::thread::sleep(Duration::from_secs(2));
    let (status, took) = operator.terminate();
    assert_eq!(status.code(), Some(0));
    assert!(
        took < Duration::from_secs(20),
        "it took {took:?}, and is killed after 30 s"
    );
    room.elastic.come_back();
    let _next = room.operator();
    until("all is right", Duration::from_secs(200), || {
        let open = storm::open(&room, &names);
        open.first()
            .map_or(Ok(()), |one| Err(format!("{} are not: {one}", open.len())))
    });
    assert_eq!(storm::forces(&room), 0);
    println!("passed: fault 52, stopped in {} ms", took.as_millis());
}

#[test]
fn fault_60_an_old_and_a_new_replica_that_overlap_never_act_both() {
    each_seed(5, |seed| {
        let mut chance = Chance::new(seed);
        let room = Room::new(controlplane::shared());
        let mut campaign = campaign(&room, seed);
        let mut old = room.operator();
        until_true("the first leads", LIMIT, || old.leads());
        for _ in 0..3 {
            campaign.ask(4);
            let new = room.operator();
            until_true("the new one stands by", LIMIT, || new.is_ready());
            assert!(old.leads() && !new.leads());
            campaign.after_requests(chance.within(1, 12));
            std::thread::sleep(Duration::from_millis(chance.within(0, 1500)));
            let (status, _) = old.terminate();
            assert_eq!(status.code(), Some(0));
            until_true("the new one leads", LIMIT, || new.leads());
            campaign.tells_no_lie();
            old = new;
        }
        in_the_middle(&mut campaign, &mut chance);
        passed(&campaign, 60);
    });
}
