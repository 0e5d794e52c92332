//! The proof of leadership that is carried to where it is needed. A claim is a value with an expiry, not a flag that
//! somebody sets: it is judged when it is asked, so a process that was paused, or whose renewals hang, sees itself not
//! current without anybody having to tell it. It must never be asked early and remembered.

use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::Instant;

/// Until when a claim holds: so long after a renewal was *sent*. Nobody can take the lease earlier than the whole lease
/// duration after the server *got* that renewal.
#[derive(Clone, Copy, Debug)]
struct Held {
    sent: Instant,
    sent_wall: SystemTime,
    holds_for: Duration,
}

impl Held {
    fn is_current(&self) -> bool {
        // The monotonic clock stands still while a whole machine sleeps; the wall clock of the same machine has moved
        // when it wakes. A wall clock that was set forward costs one renewal, one set back changes nothing.
        let slept_through = self
            .sent_wall
            .elapsed()
            .is_ok_and(|elapsed| elapsed >= self.holds_for);
        self.sent.elapsed() < self.holds_for && !slept_through
    }
}

/// Leadership with an expiry; cheap to clone and to ask.
#[derive(Clone, Debug)]
pub struct Claim(watch::Receiver<Option<Held>>);

/// The other end of a [`Claim`]: renews it or gives it up. Dropped, it takes the claim with it.
#[derive(Debug)]
pub struct Grant(watch::Sender<Option<Held>>);

impl Grant {
    /// A claim that holds for `holds_for` after `sent`, the moment before the request was sent that won it.
    pub fn new(sent: Instant, holds_for: Duration) -> (Self, Claim) {
        let (sender, receiver) = watch::channel(None);
        let grant = Self(sender);
        grant.renew(sent, holds_for);
        (grant, Claim(receiver))
    }

    /// Prolongs the claim: it now holds for `holds_for` after `sent`.
    pub fn renew(&self, sent: Instant, holds_for: Duration) {
        // The wall clock is read now, and put back by what has passed since `sent`.
        let sent_wall = SystemTime::now()
            .checked_sub(sent.elapsed())
            .unwrap_or(SystemTime::UNIX_EPOCH);
        self.0.send_replace(Some(Held {
            sent,
            sent_wall,
            holds_for,
        }));
    }
}

impl Claim {
    /// Whether this process may act now. To be asked right before each mutating call.
    pub fn is_current(&self) -> bool {
        self.0.has_changed().is_ok() && self.0.borrow().is_some_and(|held| held.is_current())
    }

    /// Returns when the claim is no longer current and will not become so again by itself: given up, taken, or run out.
    /// Safe to drop and to call again.
    pub async fn lost(&self) {
        let mut receiver = self.0.clone();
        loop {
            let Some(held) = *receiver.borrow_and_update() else {
                return;
            };
            let runs_out = tokio::time::sleep_until(held.sent + held.holds_for);
            tokio::select! {
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
        let (grant, claim) = Grant::new(sent, HOLDS);
        tokio::time::advance(Duration::from_millis(8999)).await;
        assert!(claim.is_current());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!claim.is_current());
        claim.lost().await;
        drop(grant);
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_was_paused_is_not_current_the_moment_it_wakes() {
        let (_grant, claim) = Grant::new(Instant::now(), HOLDS);
        // No task has run in between, as after SIGSTOP and SIGCONT: the claim must not need one.
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(!claim.is_current());
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_slept_is_not_current_though_the_monotonic_clock_stood_still() {
        let held = Held {
            sent: Instant::now(),
            sent_wall: SystemTime::now() - Duration::from_secs(60),
            holds_for: HOLDS,
        };
        assert!(!held.is_current());
        let clock_set_back = Held {
            sent_wall: SystemTime::now() + Duration::from_secs(3600),
            ..held
        };
        assert!(clock_set_back.is_current());
    }

    #[tokio::test(start_paused = true)]
    async fn renewals_keep_it_and_dropping_the_grant_ends_it_for_all_clones() {
        let (grant, claim) = Grant::new(Instant::now(), HOLDS);
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
