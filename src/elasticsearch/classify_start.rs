//! What a refusal to open a job or to start a datafeed means (reference 4 and 7, recorded 51, 53, 60 and 81).
//!
//! Known by text alone, because the status of one and the same refusal differs between versions. As in `classify`, no
//! part of a text goes further.

use super::classify::Refusal;
use super::error::Error;

/// Refusals of open and start, whatever their status: it differs between versions (reference 4 and 7).
pub(super) fn starting(refusal: &Refusal) -> Option<Error> {
    opening(refusal).or_else(|| starting_datafeed(refusal))
}

fn opening(refusal: &Refusal) -> Option<Error> {
    let job = refusal.says("Cannot open job [");
    if job && refusal.mentions("because it has already been opened") {
        return Some(Error::AlreadyOpen);
    }
    let blocked = ["because it is executing [", "because it is being deleted"];
    if job && blocked.iter().any(|text| refusal.mentions(text)) {
        return Some(Error::JobBlocked);
    }
    if refusal.says("The job has been closed while waiting to be opened") {
        return Some(Error::ClosedWhileOpening);
    }
    // First, because the explanation of a want of nodes may quote the next one.
    let disabled = [
        "Cannot open jobs because persistent task assignment is disabled",
        "no persistent task assignments are allowed due to cluster settings",
    ];
    if disabled.iter().any(|text| refusal.mentions(text)) {
        return Some(Error::AssignmentDisabled);
    }
    if refusal.says("Could not open job because no ") {
        return Some(Error::NoCapacity);
    }
    if refusal.says("Opening job [") && refusal.mentions("] timed out after [") {
        return Some(Error::OpenTimedOut);
    }
    if refusal.says("Unexpected job state [")
        && refusal.mentions("while waiting for job to be opened")
    {
        let failed = refusal.says("Unexpected job state [failed]");
        return Some(if failed {
            Error::OpenFailed
        } else {
            Error::ClosedWhileOpening
        });
    }
    (refusal.mentions("job model snapshot [") && refusal.mentions("has min version before ["))
        .then_some(Error::SnapshotTooOld)
}

fn starting_datafeed(refusal: &Refusal) -> Option<Error> {
    if refusal.says("No node found to start datafeed [") {
        return Some(Error::DatafeedNoNode);
    }
    if refusal.says("Could not start datafeed [") && refusal.mentions("indices are being upgraded")
    {
        return Some(Error::UpgradeMode);
    }
    if refusal.says("Starting datafeed [") && refusal.mentions("] timed out after [") {
        return Some(Error::DatafeedStartTimedOut);
    }
    if refusal.says("cannot start datafeed [") {
        return Some(if refusal.mentions("because it has already been started") {
            Error::DatafeedAlreadyStarted
        } else if refusal.mentions("] because job [") {
            Error::DatafeedJobNotOpen
        } else {
            Error::DatafeedRefused
        });
    }
    let unreadable = [
        "] cannot retrieve data because ",
        "] cannot retrieve field [",
    ];
    unreadable
        .iter()
        .any(|text| refusal.mentions(text))
        .then_some(Error::DatafeedRefused)
}
