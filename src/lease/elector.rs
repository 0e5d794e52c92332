//! The two loops around the decision: waiting for the lease, and keeping it. They sleep, call and log; who may lead is
//! not theirs to judge. Every call is bounded in time, and a renewal that has not succeeded by its deadline ends the claim.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tracing::{debug, info, warn};

use super::claim::Grant;
use super::decision::{Decision, Seen, decide};
use super::records::{Error, Records};
use crate::clock::Clock;

/// After somebody else's write: long enough not to race in circles, short beside a renewal.
const AFTER_CONFLICT: Duration = Duration::from_millis(100);
/// The same trouble is logged again after this long.
const LOG_AGAIN: Duration = Duration::from_secs(60);

/// The durations of the protocol. The defaults are client-go's, but for the renewal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// How long a holder may be silent before another may take the lease.
    pub(super) duration: Duration,
    /// How long after the last renewal the next is sent.
    pub(super) renew_every: Duration,
    /// How long after the last renewal a holder gives up.
    pub(super) renew_deadline: Duration,
    /// Between two tries: this, and up to as much again by chance.
    pub(super) retry: Duration,
    /// The longest a call may take.
    pub(super) call: Duration,
    /// How much earlier than another could take it a claim ends.
    pub(super) margin: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            renew_every: Duration::from_secs(5),
            renew_deadline: Duration::from_secs(10),
            retry: Duration::from_secs(1),
            call: Duration::from_secs(5),
            margin: Duration::from_secs(2),
        }
    }
}

impl Timing {
    /// How long after the sending of a renewal a claim holds.
    pub(super) fn claim_holds(&self) -> Duration {
        self.duration.saturating_sub(self.margin)
    }
}

/// How a try ended that was answered.
#[derive(Debug, PartialEq, Eq)]
enum Tried {
    /// This process holds the lease by a write sent at that time.
    Held(Instant),
    /// Another does, at least until then.
    Wait(Instant),
}

/// Why a claim ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The record names another holder.
    Taken,
    /// No renewal was acknowledged in time.
    Late,
}

/// One participant: what it has seen, and how it writes.
pub(super) struct Elector<R> {
    records: R,
    me: String,
    timing: Timing,
    clock: Clock,
    /// How many pauses were made.
    pauses: u64,
    seen: Seen,
    /// Whether `seen` is the newest version as far as is known, so that a write may be tried without a read.
    fresh: bool,
    /// The last trouble that was logged, and when.
    logged: Option<(String, Instant)>,
}

impl<R: Records> Elector<R> {
    pub(super) fn new(records: R, me: String, timing: Timing, clock: Clock) -> Self {
        let seen = Seen::nothing(Instant::now().into_std());
        Self {
            records,
            me,
            timing,
            clock,
            pauses: 0,
            seen,
            fresh: false,
            logged: None,
        }
    }

    /// Waits for ever until this process holds the lease; returns when the write was sent that won it. Says `standing_by`
    /// whenever a read has shown that another holds it.
    pub(super) async fn acquire(&mut self, standing_by: impl Fn()) -> Instant {
        loop {
            match self.attempt().await {
                Ok(Tried::Held(sent)) => return sent,
                Ok(Tried::Wait(until)) => {
                    standing_by();
                    self.log(
                        format!("{} holds the lease", self.seen.holder().unwrap_or("nobody")),
                        false,
                    );
                    let pause = self.pause();
                    sleep_until(until.min(Instant::now() + pause)).await;
                }
                Err(error) => self.after(&error).await,
            }
        }
    }

    /// Renews what was won by the write of `sent`, until that fails for good.
    pub(super) async fn keep(&mut self, grant: &Grant, mut sent: Instant) -> Lost {
        loop {
            sleep_until(sent + self.timing.renew_every).await;
            let deadline = sent + self.timing.renew_deadline;
            if Instant::now() >= deadline {
                // A process that was paused must not even try: it starts anew, as any candidate.
                return Lost::Late;
            }
            match timeout_at(deadline, self.renew()).await {
                Ok(Some(renewed)) => {
                    sent = renewed;
                    grant.renew(sent, self.timing.claim_holds());
                }
                Ok(None) => return Lost::Taken,
                Err(_) => return Lost::Late,
            }
        }
    }

    /// Tries until it is renewed (when that was sent) or held by another (`None`).
    async fn renew(&mut self) -> Option<Instant> {
        loop {
            match self.attempt().await {
                Ok(Tried::Held(sent)) => return Some(sent),
                Ok(Tried::Wait(_)) => return None,
                Err(error) => self.after(&error).await,
            }
        }
    }

    /// Gives the lease up where this process holds it. Three tries against others' writes.
    pub(super) async fn release(&mut self) -> Result<(), Error> {
        let mut result = Ok(());
        for _ in 0..3 {
            self.refresh().await?;
            if self.seen.holder() != Some(self.me.as_str()) {
                return Ok(());
            }
            result = self.write(self.seen.released(self.clock.now())).await;
            if !matches!(result, Err(Error::Conflict)) {
                return result;
            }
        }
        result
    }

    async fn attempt(&mut self) -> Result<Tried, Error> {
        self.refresh().await?;
        let now = Instant::now();
        match decide(&self.seen, &self.me, self.timing.duration, now.into_std()) {
            Decision::Wait(until) => {
                self.fresh = false;
                Ok(Tried::Wait(until.into()))
            }
            Decision::Renew | Decision::Acquire => {
                let wall = self.clock.now();
                let claimed = self.seen.claimed(&self.me, self.timing.duration, wall);
                self.write(claimed).await?;
                Ok(Tried::Held(now))
            }
        }
    }

    async fn refresh(&mut self) -> Result<(), Error> {
        if !self.fresh {
            let read = timeout(self.timing.call, self.records.read()).await;
            let record = read.map_err(|_| Error::Timeout(self.timing.call))??;
            self.seen.observe(record, Instant::now().into_std());
            self.fresh = true;
        }
        Ok(())
    }

    async fn write(
        &mut self,
        record: k8s_openapi::api::coordination::v1::Lease,
    ) -> Result<(), Error> {
        // Until it is answered nobody knows what the record is; so too where this future is dropped.
        self.fresh = false;
        let written = timeout(self.timing.call, self.records.write(record)).await;
        let record = written.map_err(|_| Error::Timeout(self.timing.call))??;
        self.seen.observe(Some(record), Instant::now().into_std());
        self.fresh = true;
        Ok(())
    }

    async fn after(&mut self, error: &Error) {
        if matches!(error, Error::Conflict) {
            debug!("the lease was written by somebody else; reading it again");
            sleep(AFTER_CONFLICT).await;
        } else {
            self.log(
                format!("the lease cannot be read or written: {error}"),
                true,
            );
            let pause = self.pause();
            sleep(pause).await;
        }
    }

    /// Its length differs from one participant to the next, because no two have the same name, so they do not race in step.
    fn pause(&mut self) -> Duration {
        self.pauses += 1;
        let mut hasher = DefaultHasher::new();
        (&self.me, self.pauses).hash(&mut hasher);
        let chance = u32::try_from(hasher.finish() % 1000).unwrap_or(0);
        self.timing.retry + self.timing.retry * chance / 1000
    }

    /// Logs what is new, and what is not new once a minute.
    fn log(&mut self, text: String, trouble: bool) {
        if self
            .logged
            .as_ref()
            .is_some_and(|(last, when)| *last == text && when.elapsed() < LOG_AGAIN)
        {
            return;
        }
        if trouble {
            warn!("{text}");
        } else {
            info!("{text}");
        }
        self.logged = Some((text, Instant::now()));
    }
}

#[cfg(test)]
#[path = "elector_tests.rs"]
mod tests;
