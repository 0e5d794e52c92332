//! SIGKILL at each stage of a close, and a new process: the same end, and never a second force that takes effect.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::room::{Room, has_any};
use crate::support::{controlplane, side_by_side, until_true};

/// A room with the open job `rate`, and a connection to it.
fn room(knobs: &Value) -> Room<'static> {
    let room = Room::new(controlplane::shared());
    room.elastic.opened("rate");
    room.elastic.tune("rate", knobs);
    room.connect(&json!({}));
    room
}

/// Kills the operator, and starts the next after what `between` does.
fn kill_and_go_on(
    room: &Room,
    mut operator: crate::support::operator::Operator,
    between: impl Fn(),
) {
    operator.kill();
    between();
    let next = room.operator_after_kill();
    drop(operator);
    let object = room.until("rate", &["Ready=True/InDesiredState", "Closed=True"]);
    assert_eq!(room.elastic.log().state("rate"), Some("closed"));
    assert!(!has_any(&object, "Reconciling") && !has_any(&object, "Stalled"));
    drop(next);
}

fn before_the_close_is_called() {
    let room = room(&json!({}));
    room.elastic
        .inject(&json!({"api": "GetJobs", "body": "silence", "count": null}));
    let operator = room.operator();
    room.close("rate", &json!({}));
    room.elastic.until("a read", |log| log.of("GetJobs") > 0);
    kill_and_go_on(&room, operator, || room.elastic.stop_injecting());
    let log = room.elastic.log();
    assert_eq!((log.closes("rate"), log.forces("rate")), (1, 0));
}

fn while_the_close_is_called_and_nothing_is_noted() {
    let room = room(&json!({"close_ms": 6000}));
    let operator = room.operator();
    room.close("rate", &json!({}));
    room.elastic
        .until("closing", |log| log.state("rate") == Some("closing"));
    kill_and_go_on(&room, operator, || ());
    let log = room.elastic.log();
    assert_eq!((log.closes("rate"), log.forces("rate")), (1, 0));
}

fn after_the_acceptance_was_noted() {
    let room = room(&json!({"close_ms": 9000}));
    let operator = room.operator();
    room.close("rate", &json!({}));
    let accepted = room.until_target("rate", "acceptedAt");
    kill_and_go_on(&room, operator, || {
        assert_eq!(room.until_target("rate", "acceptedAt"), accepted);
    });
    let log = room.elastic.log();
    assert_eq!((log.closes("rate"), log.forces("rate")), (1, 0));
}

fn after_the_force_took_effect_unseen() {
    let room = room(&json!({"close_ms": "hang"}));
    // Done, and then cut off: nobody tells the operator, and it is dead before its next look is answered.
    room.elastic
        .inject(&json!({"path_contains": "force=true", "cut": "after"}));
    room.elastic
        .inject(&json!({"api": "JobStats", "delay_ms": 800, "count": null}));
    let operator = room.operator();
    room.close("rate", &json!({"timeout": "2s"}));
    room.elastic
        .until("the force", |log| log.forces("rate") > 0);
    kill_and_go_on(&room, operator, || ());
    let log = room.elastic.log();
    assert_eq!(
        (log.closes("rate"), log.forces("rate"), log.forced("rate")),
        (1, 1, 1)
    );
    let object = room.until("rate", &["Forced=True"]);
    assert_eq!(object["status"]["lastClose"]["forced"], json!(["rate"]));
}

#[test]
fn killed_at_any_stage_of_a_close_it_comes_to_the_same_end_with_no_second_call() {
    side_by_side(&[
        ("before the close is called", &before_the_close_is_called),
        (
            "while closing",
            &while_the_close_is_called_and_nothing_is_noted,
        ),
        ("after acceptedAt", &after_the_acceptance_was_noted),
        ("after the force", &after_the_force_took_effect_unseen),
    ]);
}

/// The note is durable, and the force never arrived: a minute is given to it before another is sent.
pub(super) fn a_force_that_was_noted_and_never_arrived_is_sent_again_after_a_minute() {
    let room = room(&json!({"close_ms": "hang"}));
    room.elastic
        .inject(&json!({"path_contains": "force=true", "cut": "before"}));
    let operator = room.operator();
    room.close("rate", &json!({"timeout": "2s"}));
    room.elastic
        .until("the force", |log| log.forces("rate") > 0);
    let noted = room.until_target("rate", "forcedAt");
    let mut operator = operator;
    operator.kill();
    let next = room.operator_after_kill();
    let restarted = Instant::now();
    next.until_ready();
    assert_eq!(room.until_target("rate", "forcedAt"), noted);
    room.elastic
        .until_within(Duration::from_secs(80), "the second force", |log| {
            log.forces("rate") == 2
        });
    let waited = restarted.elapsed();
    assert!(
        waited >= Duration::from_secs(58),
        "sent again after {waited:?}"
    );
    room.until("rate", &["Ready=True", "Forced=True/DeadlinePassed"]);
    let log = room.elastic.log();
    assert_eq!(
        (log.closes("rate"), log.forces("rate"), log.forced("rate")),
        (1, 2, 1)
    );
    until_true("it is alive", Duration::from_secs(5), || next.is_ready());
}
