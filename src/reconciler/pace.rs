//! How often and how many: poll gaps, retry delays, limits. Pure functions of counts and ages.
//!
//! No clock and no randomness here: the same facts give the same delay, so a run replays exactly.

use std::time::Duration;

use super::turns::Lane;

/// A state that was neither read nor confirmed for this long is not acted on.
pub const FRESH_FOR: Duration = Duration::from_secs(60);
/// What waits for somebody else, a missing or a blocked job, is looked at thrice in this time; gaps between two looks
/// that are longer than twice this time count as so much and no more.
pub const SWEEP: Duration = Duration::from_secs(30);
/// The tasks of the cluster are read this often: the greatest delay with which a change of state is noticed at rest.
pub const TASKS: Duration = Duration::from_secs(50);
/// Where they may not be read, so often some of the quiet jobs are asked for their states, one line's worth each time.
pub const ROLL: Duration = Duration::from_secs(90);
/// Two looks at an open job without a node, which tells no age, are of one session when they are no further apart.
pub const UNBROKEN: Duration = Duration::from_secs(180);
/// The configs are listed again after this time for each request that it takes: three of them where no list is cut.
pub const CATALOGUE_FOR_EACH_REQUEST: Duration = Duration::from_secs(100);
/// While an expression or an id matches nothing they are listed this often.
pub const CATALOGUE_UNRESOLVED: Duration = Duration::from_secs(60);
/// An empty list is read again after this time before it is believed.
pub const DOUBT: Duration = Duration::from_secs(1);
/// No job is opened so soon after a force of ours: its process may still be dying.
pub const NO_OPEN_AFTER_FORCE: Duration = Duration::from_secs(60);
/// A job is called flapping after so many corrections, each within [`FLAPPING_WITHIN`] of the one before.
pub const FLAPPING_AFTER: u32 = 5;
/// See [`FLAPPING_AFTER`].
pub const FLAPPING_WITHIN: Duration = Duration::from_secs(86_400);
/// Elasticsearch closes jobs that were idle for this long (reference section 0, 9.4 and later).
pub const IDLE: Duration = Duration::from_secs(172_800);
/// A bounded datafeed closes its job within this time of its own end, as far as looks tell that.
pub const ENDED_WITHIN: Duration = Duration::from_secs(300);
/// Jobs of the slow lane are looked at within this time, first and after a call, so that many are read together.
pub const LOOK_TOGETHER: Duration = Duration::from_millis(500);
/// Closes gather while a call of theirs is younger than this; an older one waits for models to be saved, not for a master.
pub const GATHER: Duration = Duration::from_millis(100);
/// Less than half of the places that may be closing at once are filled again only after this time, when more came free.
pub const GATHER_PLACES: Duration = Duration::from_secs(1);
/// Progress of many jobs is written this often at most.
pub const PROGRESS: Duration = Duration::from_secs(10);
/// A deletion that was to close first is given up this long after `close.timeout`.
pub const DELETION_MARGIN: Duration = Duration::from_secs(60);
/// A cluster that did not answer for this long is not observed any more.
pub const NOT_OBSERVED_AFTER: Duration = Duration::from_secs(300);
/// What is missing may still be created for this long before a human is called.
pub const GRACE: Duration = Duration::from_secs(120);
/// A force that showed no effect may be repeated after this long.
pub const FORCE_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Live reads are worth this long for the force they were made for.
pub const VERIFIED_FOR: Duration = Duration::from_secs(10);
/// Evidence is confirmed by a call that needs a master after this much of it, or where it would reach the timeout.
pub const CONFIRM_AFTER: Duration = Duration::from_secs(30);
/// An answer that time ran out is told by a clock; it shows that there is a master where the call was sent so recently.
pub const PROVES_WITHIN: Duration = Duration::from_secs(2);
/// Live reads that found no room are tried again after this long.
pub const VERIFY_LATER: Duration = Duration::from_millis(250);
/// A close that ends within this time is reported with one write, at its end.
pub const QUIET_FOR: Duration = Duration::from_secs(2);
/// The same in the slow lane, where nobody waits for a word on the way and ten thousand of them would delay the outcomes.
pub const QUIET_FOR_MANY: Duration = Duration::from_secs(60);
/// The same where a cluster in trouble keeps them from going on, so that there is no outcome to come.
pub const QUIET_IN_TROUBLE: Duration = Duration::from_secs(30);
/// Closes answered but without effect before that counts as "not accepted".
pub const TRIES_BEFORE_NOT_ACCEPTED: u32 = 3;
/// Calls in flight at once to one cluster.
pub const MAX_IN_FLIGHT: usize = 8;
/// How often a cluster in upgrade mode is asked whether it has ended.
pub const UPGRADE_MODE_POLL: Duration = Duration::from_secs(10);

/// Calls whose jobs were all seen to be taken, and that are waited for beside those in flight: their answers come the moment
/// that the jobs are closed.
pub const MAX_AWAITED: usize = 8;

const FIRST_LOOK: Duration = Duration::from_millis(500);
const FIRST_LOOK_AT_MANY: Duration = Duration::from_secs(2);
const SLOWEST_LOOK: Duration = Duration::from_secs(10);

/// Gap to the next look at a job in transition: often at first, then less, but often enough to count `timeout`. Where nobody
/// waits for it, less often: one look at thousands costs as many searches.
pub fn look_gap(in_transition_for: Duration, timeout: Duration, lane: Lane) -> Duration {
    let (first, by_age) = match lane {
        Lane::Fresh => (FIRST_LOOK, in_transition_for / 4),
        Lane::Slow => (FIRST_LOOK_AT_MANY, in_transition_for),
    };
    let by_timeout = (timeout / 8).max(FIRST_LOOK);
    by_age.clamp(first, SLOWEST_LOOK).min(by_timeout)
}

/// Delay before the next try after `failures` failures in a row: 1 s, doubling, at most a minute, spread by `seed`.
pub fn retry_delay(failures: u32, seed: u64) -> Duration {
    doubling(
        Duration::from_secs(1),
        failures,
        Duration::from_secs(60),
        seed,
    )
}

/// Gap between corrections of a job that somebody else keeps opening: none, then 1 m, doubling, at most 1 h.
pub fn correction_gap(corrections: u32) -> Duration {
    match corrections {
        0 => Duration::ZERO,
        n => doubling(Duration::from_secs(60), n, Duration::from_secs(3600), 0),
    }
}

fn doubling(first: Duration, count: u32, most: Duration, seed: u64) -> Duration {
    let exponent = count.saturating_sub(1).min(16);
    let base = first.saturating_mul(1 << exponent).min(most);
    // A fifth, by the seed and the count, keeps a thousand objects from coming back at the same moment. The upper bits of the
    // product are mixed, the lower ones are not.
    let mixed = seed
        .wrapping_add(u64::from(count))
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let spread = (mixed >> 32) % 200;
    base + base.mul_f64(if seed == 0 {
        0.0
    } else {
        f64::from(u32::try_from(spread).unwrap_or(0)) / 1000.0
    })
}

/// How long before an answered close without effect is repeated.
pub fn repeat_close_after(attempts: u32) -> Duration {
    doubling(Duration::from_secs(1), attempts, Duration::from_secs(30), 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn looks_are_often_at_first_then_less_and_never_too_coarse_for_the_timeout() {
        let (half_hour, eight) = (1_800_000, 8000);
        for (age, timeout, fresh, slow) in [
            (0, half_hour, 500, 2000),
            (8000, half_hour, 2000, 8000),
            (900_000, half_hour, 10_000, 10_000),
            (900_000, eight, 1000, 1000),
        ] {
            let gap = |lane| {
                let gap = look_gap(
                    Duration::from_millis(age),
                    Duration::from_millis(timeout),
                    lane,
                );
                gap.as_millis()
            };
            assert_eq!((gap(Lane::Fresh), gap(Lane::Slow)), (fresh, slow));
        }
    }

    #[test]
    fn retries_wait_longer_each_time_up_to_a_minute_and_never_overflow() {
        assert_eq!(retry_delay(1, 0), Duration::from_secs(1));
        assert_eq!(retry_delay(4, 0), Duration::from_secs(8));
        assert_eq!(retry_delay(u32::MAX, 0), Duration::from_secs(60));
        assert!(
            retry_delay(3, 77) >= Duration::from_secs(4)
                && retry_delay(3, 77) < Duration::from_secs(5)
        );
    }

    #[test]
    fn retries_of_many_are_spread_over_a_fifth_of_the_time() {
        let delays = (1..=1000).map(|seed| retry_delay(1, seed).as_millis());
        let delays: BTreeSet<u128> = delays.collect();
        assert!(delays.len() > 150, "{}", delays.len());
        assert!(delays.iter().all(|delay| (1000..1200).contains(delay)));
    }

    #[test]
    fn the_first_correction_goes_at_once_and_the_gap_grows_to_an_hour() {
        assert_eq!(correction_gap(0), Duration::ZERO);
        assert_eq!(correction_gap(1), Duration::from_secs(60));
        assert_eq!(correction_gap(20), Duration::from_secs(3600));
    }
}
