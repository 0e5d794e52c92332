//! What a spec allows, as the ghost reads it: which calls an object wants at all, and whether it wants a force now.
//!
//! It must not ask the brain's tables; it says in its own words what the design says.

use std::time::Duration;

use super::Sample;
use crate::api::{CloseMode, DeletionPolicy, JobState, OnFailed, OnTimeout};
use crate::reconciler::input::*;

/// `open_time` is told in seconds, and the session margin of the design is two of them.
const MARGIN: Duration = Duration::from_secs(4);

/// It wants its jobs closed, and says so now.
pub(super) fn closes(desired: &Desired) -> bool {
    let goes = desired.deleting.is_some();
    let goes_closed =
        desired.deletion == DeletionPolicy::Close && desired.wanted != Wanted::Observed;
    let wants = if goes {
        goes_closed
    } else {
        desired.wanted == Wanted::Closed
    };
    wants && !desired.suspended
}

/// It wants its jobs open, and says so now.
pub(super) fn opens(desired: &Desired) -> bool {
    desired.wanted == Wanted::Opened && !desired.suspended && desired.deleting.is_none()
}

/// A call of this kind serves what it wants.
pub(super) fn wants(desired: &Desired, call: &Call) -> bool {
    match call {
        Call::Open(_) | Call::StartDatafeed { .. } => opens(desired),
        Call::Close(_) | Call::Confirm(_) | Call::ForceClose(_) | Call::StopDatafeed { .. } => {
            closes(desired)
        }
    }
}

/// Whether the policy, and what was true when the live reads were made, allow a force.
pub(super) fn allows(desired: &Desired, sample: &Sample) -> bool {
    let (close, session) = (&desired.close, &sample.session);
    let Some(job) = &sample.job else {
        return false;
    };
    let time = session.lit + session.slack + MARGIN >= close.timeout.as_duration();
    let state = match job.state {
        JobState::Failed => close.on_failed == OnFailed::Force,
        JobState::Closing => close.on_timeout == OnTimeout::Force && time,
        // Three, of which one may have been on its way when the session began.
        JobState::Opened | JobState::Opening => {
            close.on_timeout == OnTimeout::Force && time && session.closes >= 2
        }
        JobState::Closed => false,
    };
    if !job.config {
        return close.on_failed == OnFailed::Force;
    }
    state || close.mode == CloseMode::Immediate && job.state != JobState::Closed
}
