//! What is known of a cluster as a whole: since when it is in trouble, what counts as a try, what stays known of its ways.

use std::sync::Arc;
use std::time::Duration;

use super::world::{moment, secs, trouble, usable};
use crate::api::Reason;
use crate::reconciler::health::Health;
use crate::reconciler::input::*;

fn cluster(uuid: Option<&str>) -> Connection {
    Connection::Usable(Usable {
        cluster_uuid: uuid.map(Arc::from),
        ..usable()
    })
}

fn unusable(reason: Reason, message: &str) -> Connection {
    Connection::Unusable(Trouble::new(reason, message))
}

/// A connection that was resolved at the start.
fn connected() -> Health {
    let mut health = Health::new(moment(secs(0)));
    assert!(health.connect(cluster(Some("a")), moment(secs(0))));
    health
}

/// The seconds at which a human is called, of these.
fn stalled_at(health: &Health, seconds: [u64; 2]) -> [bool; 2] {
    seconds.map(|second| health.stalled(moment(secs(second))).is_some())
}

#[test]
fn what_was_learned_of_a_cluster_is_forgotten_where_another_one_answers_and_not_before() {
    let mut health = connected();
    health.upgrading();
    health.stop_datafeeds_first();
    let narrower = Connection::Usable(Usable {
        max_closing: 1,
        cluster_uuid: Some(Arc::from("a")),
        ..usable()
    });
    for connection in [
        narrower,
        unusable(Reason::SecretNotFound, "gone"),
        cluster(None),
        cluster(Some("a")),
    ] {
        assert!(health.connect(connection, moment(secs(1))));
        assert!(health.upgrade_mode() && health.datafeeds_first());
    }
    assert!(health.connect(cluster(Some("b")), moment(secs(2))));
    assert!(!health.upgrade_mode() && !health.datafeeds_first());
}

#[test]
fn a_human_is_called_two_minutes_after_a_trouble_began_however_it_is_worded_since() {
    let mut health = connected();
    let of = |second| moment(secs(second));
    assert!(health.connect(unusable(Reason::SecretNotFound, "no a"), of(600)));
    assert!(health.connect(unusable(Reason::SecretNotFound, "no b"), of(700)));
    assert_eq!(stalled_at(&health, [719, 720]), [false, true]);
    assert!(health.connect(unusable(Reason::CAInvalid, "no ca"), of(800)));
    assert_eq!(stalled_at(&health, [919, 920]), [false, true]);

    assert!(health.connect(cluster(Some("a")), of(1000)));
    assert!(health.failed(trouble(Reason::MissingPrivilege), of(1600)));
    assert!(!health.failed(trouble(Reason::MissingPrivilege), of(1700)));
    assert_eq!(stalled_at(&health, [1719, 1720]), [false, true]);
    assert!(health.failed(trouble(Reason::CredentialsInvalid), of(1800)));
    assert_eq!(stalled_at(&health, [1919, 1920]), [false, true]);
}

#[test]
fn calls_that_are_refused_together_count_as_one_try_and_the_next_comes_later() {
    let mut health = connected();
    let refused = |health: &mut Health, at: Duration| {
        health.refused(trouble(Reason::NoMaster), moment(at));
        health.retry_at() - at
    };
    let first = refused(&mut health, secs(10));
    let second = secs(10) + first;
    for at in [secs(10), second - Duration::from_nanos(1)] {
        assert!(!health.refused(trouble(Reason::NoMaster), moment(at)));
        assert_eq!(health.retry_at(), second);
    }
    let longer = refused(&mut health, second);
    assert!(longer > first.mul_f64(1.5), "{first:?}, {longer:?}");
    health.called();
    health.answered(None, moment(second + longer));
    let anew = second + longer + secs(60);
    assert_eq!(refused(&mut health, anew), first);
}

#[test]
fn that_calls_are_refused_is_news_also_where_a_read_had_just_failed() {
    let mut health = connected();
    assert!(health.failed(trouble(Reason::ClusterUnreachable), moment(secs(10))));
    assert!(health.refused(trouble(Reason::NoMaster), moment(secs(10))));
    assert_eq!(
        health.told().map(|told| told.reason),
        Some(Reason::NoMaster)
    );
    // Reads that are answered say nothing of calls.
    health.answered(None, moment(secs(10)));
    assert_eq!(
        health.told().map(|told| told.reason),
        Some(Reason::NoMaster)
    );
}
