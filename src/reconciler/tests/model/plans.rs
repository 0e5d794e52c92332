//! The small worlds that are explored: who wants what of which jobs, how the jobs behave, and what else people do.
//!
//! Each is as small as its question. What may go wrong in all of them is in `faults`.

use crate::api::{
    CloseMode, ClosePolicy, DatafeedState, DeletionPolicy, JobState, OnFailed, OnTimeout, TimeSpan,
};
use crate::reconciler::input::{Desired, Wanted};
use crate::reconciler::tests::world::{FakeJob, desired, policy, secs};

/// What people do to the objects of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edit {
    /// Suspends, or the opposite.
    Suspend,
    /// Takes `state` away, or puts it back.
    Observe,
    /// Closed where it was Opened, and the opposite.
    Flip,
    /// `onTimeout: Wait`, or back to Force.
    Wait,
    /// `mode: Immediate`, or back.
    Immediate,
    /// Deletes the object.
    Delete,
    /// Deletes it and creates it anew under the same name.
    Recreate,
    /// Somebody else's tool empties the status.
    Wipe,
}

/// A small world.
#[derive(Debug)]
pub(super) struct Plan {
    pub name: &'static str,
    pub objects: fn() -> Vec<(&'static str, Desired)>,
    pub jobs: fn() -> Vec<(&'static str, FakeJob)>,
    pub edits: &'static [Edit],
    /// Elasticsearch is older than 7.14.
    pub old: bool,
}

fn close(on_timeout: OnTimeout) -> ClosePolicy {
    ClosePolicy {
        timeout: TimeSpan::parse("20s").unwrap(),
        on_timeout,
        ..policy()
    }
}

fn wants(jobs: &str, close: ClosePolicy) -> Desired {
    desired(jobs, Wanted::Closed, close)
}

fn open(close_takes: Option<u64>) -> FakeJob {
    let mut fake = FakeJob::new(JobState::Opened);
    fake.close_takes = close_takes.map(secs);
    fake
}

fn graceful() -> Vec<(&'static str, Desired)> {
    vec![("x", wants("a", close(OnTimeout::Force)))]
}

fn waits() -> Vec<(&'static str, Desired)> {
    vec![("x", wants("a", close(OnTimeout::Wait)))]
}

fn stalls() -> Vec<(&'static str, Desired)> {
    let close = ClosePolicy {
        on_failed: OnFailed::Stall,
        ..close(OnTimeout::Stall)
    };
    vec![("x", wants("a", close))]
}

fn immediate() -> Vec<(&'static str, Desired)> {
    let close = ClosePolicy {
        mode: CloseMode::Immediate,
        ..close(OnTimeout::Force)
    };
    vec![("x", wants("a", close))]
}

fn rivals() -> Vec<(&'static str, Desired)> {
    let both = wants("a", close(OnTimeout::Force));
    vec![("x", both.clone()), ("y", both)]
}

fn both() -> Vec<(&'static str, Desired)> {
    vec![("x", wants("a,b", close(OnTimeout::Force)))]
}

fn apart() -> Vec<(&'static str, Desired)> {
    let wish = |job| wants(job, close(OnTimeout::Force));
    vec![("x", wish("a")), ("y", wish("b"))]
}

fn opened() -> Vec<(&'static str, Desired)> {
    let mut wish = wants("a", close(OnTimeout::Force));
    wish.wanted = Wanted::Opened;
    wish.open.timeout = TimeSpan::parse("20s").unwrap();
    vec![("x", wish)]
}

fn held() -> Vec<(&'static str, Desired)> {
    let mut wish = wants("a", close(OnTimeout::Force));
    wish.deletion = DeletionPolicy::Close;
    vec![("x", wish)]
}

fn fed() -> FakeJob {
    open(Some(2)).with_feed(DatafeedState::Started)
}

const PEOPLE: &[Edit] = &[
    Edit::Suspend,
    Edit::Observe,
    Edit::Wait,
    Edit::Immediate,
    Edit::Delete,
    Edit::Recreate,
    Edit::Wipe,
];

const fn plan(
    name: &'static str,
    objects: fn() -> Vec<(&'static str, Desired)>,
    jobs: fn() -> Vec<(&'static str, FakeJob)>,
    edits: &'static [Edit],
) -> Plan {
    Plan {
        name,
        objects,
        jobs,
        edits,
        old: false,
    }
}

/// All of them.
pub(super) static PLANS: &[Plan] = &[
    plan("closes", graceful, || vec![("a", open(Some(2)))], PEOPLE),
    plan("hangs-force", graceful, || vec![("a", open(None))], PEOPLE),
    plan("hangs-wait", waits, || vec![("a", open(None))], PEOPLE),
    plan("hangs-stall", stalls, || vec![("a", open(None))], PEOPLE),
    plan(
        "failed",
        graceful,
        || vec![("a", FakeJob::new(JobState::Failed))],
        PEOPLE,
    ),
    plan("immediate", immediate, || vec![("a", open(None))], PEOPLE),
    plan(
        "two-objects-one-job",
        rivals,
        || vec![("a", open(None))],
        PEOPLE,
    ),
    plan(
        "one-object-two-jobs",
        both,
        || vec![("a", open(Some(2))), ("b", open(None))],
        PEOPLE,
    ),
    plan(
        "two-objects-two-jobs",
        apart,
        || vec![("a", open(Some(2))), ("b", open(Some(1)))],
        PEOPLE,
    ),
    plan(
        "opened",
        opened,
        || vec![("a", FakeJob::new(JobState::Closed))],
        &[Edit::Flip, Edit::Suspend, Edit::Recreate, Edit::Wipe],
    ),
    plan(
        "flips",
        graceful,
        || vec![("a", open(None))],
        &[Edit::Flip, Edit::Wipe],
    ),
    plan("deletion-close", held, || vec![("a", open(None))], PEOPLE),
    plan("datafeed", graceful, || vec![("a", fed())], PEOPLE),
    Plan {
        old: true,
        ..plan("datafeed-old", graceful, || vec![("a", fed())], PEOPLE)
    },
];
