//! How often and how many: poll gaps, retry delays, limits. Pure functions of counts and ages.
//!
//! No clock and no randomness here: the same facts give the same delay, so a run replays exactly.

use std::time::Duration;

/// A read of states older than this is not acted on.
pub const FRESH_FOR: Duration = Duration::from_secs(45);
/// Quiet jobs are read this often, all in one sweep.
pub const SWEEP: Duration = Duration::from_secs(30);
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
/// Live reads that found no room are tried again after this long.
pub const VERIFY_LATER: Duration = Duration::from_millis(250);
/// A close that ends within this time is reported with one write, at its end.
pub const QUIET_FOR: Duration = Duration::from_secs(2);
/// Closes answered but without effect before that counts as "not accepted".
pub const TRIES_BEFORE_NOT_ACCEPTED: u32 = 3;
/// Jobs closing at once in one cluster, so that saving models does not flood its disks.
pub const MAX_CLOSING: usize = 64;
/// Calls in flight at once to one cluster.
pub const MAX_IN_FLIGHT: usize = 8;
/// How often a cluster in upgrade mode is asked whether it has ended.
pub const UPGRADE_MODE_POLL: Duration = Duration::from_secs(10);

const FIRST_LOOK: Duration = Duration::from_millis(500);
const SLOWEST_LOOK: Duration = Duration::from_secs(10);

/// Gap to the next look at a job in transition: often at first, then less, but often enough to count `timeout`.
pub fn look_gap(in_transition_for: Duration, timeout: Duration) -> Duration {
    let by_age = in_transition_for / 4;
    let by_timeout = (timeout / 8).max(FIRST_LOOK);
    by_age.clamp(FIRST_LOOK, SLOWEST_LOOK).min(by_timeout)
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
    // A fifth, by the seed and the count, keeps a thousand objects from coming back at the same moment.
    let spread = (seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ u64::from(count)) % 200;
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

    #[test]
    fn looks_are_often_at_first_then_less_and_never_too_coarse_for_the_timeout() {
        let half_hour = Duration::from_secs(1800);
        assert_eq!(
            look_gap(Duration::ZERO, half_hour),
            Duration::from_millis(500)
        );
        assert_eq!(
            look_gap(Duration::from_secs(8), half_hour),
            Duration::from_secs(2)
        );
        assert_eq!(
            look_gap(Duration::from_secs(900), half_hour),
            Duration::from_secs(10)
        );
        assert_eq!(
            look_gap(Duration::from_secs(900), Duration::from_secs(8)),
            Duration::from_secs(1)
        );
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
    fn the_first_correction_goes_at_once_and_the_gap_grows_to_an_hour() {
        assert_eq!(correction_gap(0), Duration::ZERO);
        assert_eq!(correction_gap(1), Duration::from_secs(60));
        assert_eq!(correction_gap(20), Duration::from_secs(3600));
    }
}
