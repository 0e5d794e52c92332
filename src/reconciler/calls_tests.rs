//! When closes that wait may leave, as a table: how many may be closing, how many are, and who waits.

use super::super::turns::Lane::{Fresh, Slow};
use super::*;

const FREED_AT: Duration = Duration::from_secs(10);

/// Of 64 places as many are held as are `closing`, and the first of them that came free did so at `FREED_AT`.
fn calls(closing: usize, waiting: usize, lane: Lane) -> Calls {
    let job = |number: usize| JobId::parse(&format!("job-{number}")).unwrap();
    let mut calls = Calls {
        closing: (0..closing).map(job).collect(),
        freed_at: Some(FREED_AT),
        ..Calls::default()
    };
    let key = ObjectKey::new("team", "object");
    let now = Moment {
        monotonic: FREED_AT,
        wall: k8s_openapi::jiff::Timestamp::UNIX_EPOCH,
    };
    for number in 0..waiting {
        let spot = (key.clone(), job(100 + number));
        calls.wait(&spot, &Ask::Close, lane, now);
    }
    calls
}

#[test]
fn closes_wait_for_more_places_only_where_few_are_free_and_many_want_them() {
    let at_once = Some(Duration::ZERO);
    let later = Some(FREED_AT + pace::GATHER_PLACES);
    for (closing, waiting, lane, leave) in [
        // There is a place for each.
        (50, 10, Slow, at_once),
        (54, 10, Slow, at_once),
        (55, 10, Slow, later),
        // Half of the places are free.
        (32, 40, Slow, at_once),
        (33, 40, Slow, later),
        // Somebody waits for each of a few edits.
        (60, 8, Fresh, at_once),
        (60, 9, Fresh, later),
        (60, 8, Slow, later),
        // Nothing may leave, or nothing wants to.
        (64, 8, Fresh, None),
        (0, 0, Slow, None),
    ] {
        let calls = calls(closing, waiting, lane);
        assert_eq!(
            calls.closes_leave_at(),
            leave,
            "{waiting} of {lane:?} wait beside {closing}"
        );
    }
}
