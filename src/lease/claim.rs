//! The proof of leadership that is carried to where it is needed. A claim is a value with an expiry, not a flag that
//! somebody sets: it is judged when it is asked, so a process that was paused, or whose renewals hang, sees itself not
//! current without anybody having to tell it. It must never be asked early and remembered.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock::Clock;

/// Until when a claim holds: so long after a renewal was *sent*. Nobody can take the lease earlier than the whole lease
/// duration after the server *got* that renewal.
#[derive(Clone, Copy, Debug)]
struct Held {
    sent: Instant,
    sent_wall: Timestamp,
    holds_for: Duration,
}

impl Held {
    fn is_current(&self, wall: Timestamp) -> bool {
        // The monotonic clock stands still while a whole machine sleeps; the wall clock of the same machine has moved
        // when it wakes. A wall clock that was set forward costs one renewal, one set back changes nothing.
        let passed = wall.duration_since(self.sent_wall);
        let slept_through = Duration::try_from(passed).is_ok_and(|passed| passed >= self.holds_for);
        self.sent.elapsed() < self.holds_for && !slept_through
    }
}

/// Leadership with an expiry; cheap to clone and to ask.
#[derive(Clone, Debug)]
pub struct Claim {
    held: watch::Receiver<Option<Held>>,
    clock: Clock,
}

/// The other end of a [`Claim`]: renews it or gives it up. Dropped, it takes the claim with it.
#[derive(Debug)]
pub struct Grant {
    held: watch::Sender<Option<Held>>,
    clock: Clock,
}

impl Grant {
    /// A claim that holds for `holds_for` after `sent`, the moment before the request was sent that won it.
    pub fn new(sent: Instant, holds_for: Duration, clock: Clock) -> (Self, Claim) {
        let (sender, held) = watch::channel(None);
        let grant = Self {
            held: sender,
            clock: clock.clone(),
        };
        grant.renew(sent, holds_for);
        (grant, Claim { held, clock })
    }

    /// Prolongs the claim: it now holds for `holds_for` after `sent`.
    pub fn renew(&self, sent: Instant, holds_for: Duration) {
        // The wall clock is read now, and put back by what has passed since `sent`.
        let passed = SignedDuration::try_from(sent.elapsed()).unwrap_or(SignedDuration::MAX);
        let sent_wall = self.clock.now().saturating_sub(passed);
        let sent_wall = sent_wall.unwrap_or(Timestamp::MIN);
        self.held.send_replace(Some(Held {
            sent,
            sent_wall,
            holds_for,
        }));
    }
}

impl Claim {
    /// Whether this process may act now. To be asked right before each mutating call.
    pub fn is_current(&self) -> bool {
        let is_current = |held: Held| held.is_current(self.clock.now());
        self.held.has_changed().is_ok() && self.held.borrow().is_some_and(is_current)
    }

    /// Returns when the claim is no longer current and will not become so again by itself: given up, taken, or run out.
    /// Safe to drop and to call again.
    pub async fn lost(&self) {
        let mut receiver = self.held.clone();
        loop {
            let Some(held) = *receiver.borrow_and_update() else {
                return;
            };
            let runs_out = tokio::time::sleep_until(held.sent + held.holds_for);
            tokio::select! {
                biased;
                changed = receiver.changed() => if changed.is_err() { return },
                () = runs_out => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLDS: Duration = Duration::from_secs(13);

    #[tokio::test(start_paused = true)]
    async fn a_claim_runs_out_by_itself_counted_from_the_sending() {
        let sent = Instant::now();
        tokio::time::advance(Duration::from_secs(4)).await;
        let (grant, claim) = Grant::new(sent, HOLDS, Clock::system());
        tokio::time::advance(Duration::from_millis(8999)).await;
        assert!(claim.is_current());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!claim.is_current());
        claim.lost().await;
        drop(grant);
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_was_paused_is_not_current_the_moment_it_wakes() {
        let (_grant, claim) = Grant::new(Instant::now(), HOLDS, Clock::system());
        // No task has run in between, as after SIGSTOP and SIGCONT: the claim must not need one.
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(!claim.is_current());
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_slept_is_not_current_though_the_monotonic_clock_stood_still() {
        let held = Held {
            sent: Instant::now(),
            sent_wall: Timestamp::UNIX_EPOCH,
            holds_for: HOLDS,
        };
        let after = |seconds| Timestamp::from_second(seconds).unwrap();
        assert!(!held.is_current(after(60)));
        assert!(held.is_current(after(1)) && held.is_current(after(-3600)));
    }

    #[tokio::test(start_paused = true)]
    async fn renewals_keep_it_and_dropping_the_grant_ends_it_for_all_clones() {
        let (grant, claim) = Grant::new(Instant::now(), HOLDS, Clock::system());
        let clone = claim.clone();
        for _ in 0..10 {
            tokio::time::advance(Duration::from_secs(10)).await;
            assert!(clone.is_current());
            grant.renew(Instant::now(), HOLDS);
        }
        drop(grant);
        assert!(!claim.is_current() && !clone.is_current());
        clone.lost().await;
    }
}
