//! No more requests a second than the connection allows.
//!
//! It keeps one number, the moment up to which requests are spent, and makes who asks wait. It never refuses and knows
//! nothing of what is sent.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// A second's worth may go together; more of them one after the other.
#[derive(Debug)]
pub(super) struct Rate {
    /// The time that one request takes up; zero: there is no ceiling.
    each: Duration,
    /// All time before is spent.
    spent: Mutex<Instant>,
}

impl Rate {
    /// So many requests a second; none: no ceiling.
    pub(super) fn new(per_second: Option<u32>) -> Self {
        let each = per_second.map_or(Duration::ZERO, |most| Duration::from_secs(1) / most.max(1));
        Self {
            each,
            spent: Mutex::new(Instant::now()),
        }
    }

    /// Waits until one more request may be sent.
    pub(super) async fn turn(&self) {
        if self.each.is_zero() {
            return;
        }
        let now = Instant::now();
        let until = {
            // A panic elsewhere leaves a moment as it should be.
            let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
            *spent = (*spent).max(now) + self.each;
            *spent
        };
        let earned = until.checked_sub(Duration::from_secs(1));
        sleep_until(earned.unwrap_or(now)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_seconds_worth_goes_together_and_the_rest_one_after_the_other() {
        let (rate, begun) = (Rate::new(Some(4)), Instant::now());
        let mut at = Vec::new();
        for _ in 0..8 {
            rate.turn().await;
            at.push(begun.elapsed().as_millis());
        }
        assert_eq!(at, [0, 0, 0, 0, 250, 500, 750, 1000]);
        // A pause earns one second's worth and no more.
        tokio::time::sleep(Duration::from_secs(60)).await;
        let begun = Instant::now();
        for _ in 0..5 {
            rate.turn().await;
        }
        assert_eq!(begun.elapsed().as_millis(), 250);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_ceiling_nobody_waits() {
        let (rate, begun) = (Rate::new(None), Instant::now());
        for _ in 0..10_000 {
            rate.turn().await;
        }
        assert!(begun.elapsed().is_zero());
    }
}
