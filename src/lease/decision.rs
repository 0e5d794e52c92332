//! Who may lead, decided without a clock, a network or chance. The rules are client-go's: the only proof that a holder
//! is gone is that its record did not change for the whole lease duration *as measured here*. No time that stands in the
//! record is ever compared with a clock of ours, so a holder whose clock is an hour wrong is treated like any other.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease as Record, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;

/// What a candidate or a holder should do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// The record says that this process holds it: write it again.
    Renew,
    /// Nobody holds it, or nobody has renewed it for its whole duration: write this process into it.
    Acquire,
    /// Somebody holds it, at least until then.
    Wait(Instant),
}

/// The lease record as this process saw it, and since when it has not changed.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// The newest version that was delivered, or the last one before the object was deleted.
    record: Record,
    /// Whether the object was there at the last read.
    exists: bool,
    /// When a read first showed the record as it is, by this machine's monotonic clock.
    changed: Instant,
}

impl Seen {
    /// Nothing was read yet, and the object may not be there.
    pub(super) fn nothing(now: Instant) -> Self {
        Self {
            record: Record::default(),
            exists: false,
            changed: now,
        }
    }

    /// Takes note of what a read or a write has returned at `now`.
    ///
    /// A record that was deleted keeps its holder and its age: a holder puts it back within one renewal, and until its
    /// duration is over nobody who has seen it may think that it is free.
    pub(super) fn observe(&mut self, delivered: Option<Record>, now: Instant) {
        self.exists = delivered.is_some();
        let Some(record) = delivered else { return };
        if record.spec != self.record.spec {
            self.changed = now;
        }
        self.record = record;
    }

    /// The identity that holds it, if any does.
    pub(super) fn holder(&self) -> Option<&str> {
        self.spec()?
            .holder_identity
            .as_deref()
            .filter(|holder| !holder.is_empty())
    }

    fn spec(&self) -> Option<&LeaseSpec> {
        self.record.spec.as_ref()
    }

    /// How long the holder may be silent: what it has written, or `ours` where it wrote nothing sensible.
    fn duration(&self, ours: Duration) -> Duration {
        let written = self.spec().and_then(|spec| spec.lease_duration_seconds);
        match written.and_then(|seconds| u64::try_from(seconds).ok()) {
            None | Some(0) => ours,
            Some(seconds) => Duration::from_secs(seconds),
        }
    }

    /// The record to write for `decision`. It carries the resourceVersion that was seen, so the API server refuses it
    /// (409) where somebody was faster; and none where the object was gone, so that creating it is refused likewise.
    pub(super) fn claimed(&self, me: &str, duration: Duration, wall: Timestamp) -> Record {
        let before = self.record.spec.clone().unwrap_or_default();
        let renewal = self.holder() == Some(me);
        let transitions = before.lease_transitions.unwrap_or(0);
        let first = before.holder_identity.is_none() && before.lease_transitions.is_none();
        self.with_spec(LeaseSpec {
            holder_identity: Some(me.to_owned()),
            lease_duration_seconds: Some(i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)),
            acquire_time: if renewal {
                before.acquire_time
            } else {
                Some(MicroTime(wall))
            },
            renew_time: Some(MicroTime(wall)),
            lease_transitions: Some(if renewal || first {
                transitions
            } else {
                transitions.saturating_add(1)
            }),
            ..before
        })
    }

    /// The record to write when this process gives the lease up: without a holder, so that anybody may take it at once.
    pub(super) fn released(&self, wall: Timestamp) -> Record {
        let before = self.record.spec.clone().unwrap_or_default();
        self.with_spec(LeaseSpec {
            holder_identity: None,
            acquire_time: None,
            renew_time: Some(MicroTime(wall)),
            ..before
        })
    }

    fn with_spec(&self, spec: LeaseSpec) -> Record {
        let mut metadata = self.record.metadata.clone();
        metadata.managed_fields = None;
        if !self.exists {
            metadata.resource_version = None;
            metadata.uid = None;
            metadata.creation_timestamp = None;
        }
        Record {
            metadata,
            spec: Some(spec),
        }
    }
}

/// What `me` should do at `now`, given what it has seen. `ours` is the duration that counts for a record without one.
pub(super) fn decide(seen: &Seen, me: &str, ours: Duration, now: Instant) -> Decision {
    match seen.holder() {
        None => Decision::Acquire,
        Some(holder) if holder == me => Decision::Renew,
        Some(_) => match seen.changed.checked_add(seen.duration(ours)) {
            Some(expiry) if now >= expiry => Decision::Acquire,
            Some(expiry) => Decision::Wait(expiry),
            // A duration beyond all time: look again when one of ours has passed.
            None => Decision::Wait(now + ours),
        },
    }
}

#[cfg(test)]
#[path = "decision_tests.rs"]
mod tests;
