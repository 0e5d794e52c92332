//! What an AnomalyJob of a scenario asks for: the fields of its spec, by their names, with the defaults of the API.
//!
//! The schema is not checked here (`tests/integration/schema.rs` does that); a wish only has to be one that it lets pass.

use super::grammar::{Args, Table, find_each};
use crate::api::{
    CloseMode, ClosePolicy, DEFAULT_MAX_JOBS, DeletionPolicy, DriftPolicy, JobExpression,
    JobPattern, OnFailed, OnTimeout, OpenDatafeed,
};
use crate::reconciler::input::{Desired, Wanted};
use crate::reconciler::tests::world::desired;

pub(in super::super) type Ask = fn(&mut Desired, &Args);

/// Changes that were recognised.
pub(in super::super) type Asks = Vec<(Ask, Args)>;

/// Every field, or value of a field, that an object may name.
pub(super) const ALL: Table<Ask> = &[
    ("Closed", |wish, _| wish.wanted = Wanted::Closed),
    ("Opened", |wish, _| wish.wanted = Wanted::Opened),
    ("no state", |wish, _| wish.wanted = Wanted::Observed),
    ("jobId EXPRESSION", |wish, args| {
        wish.scope.expression = JobExpression::parse(&args.rest).unwrap();
    }),
    ("exclude PATTERN", |wish, args| {
        let pattern = JobPattern::parse(&args.rest).unwrap();
        wish.scope.exclude.push(pattern);
    }),
    ("allowNoMatch false", |wish, _| {
        wish.scope.allow_no_match = false;
    }),
    ("maxJobs COUNT", |wish, args| {
        wish.scope.max_jobs = args.count;
    }),
    ("suspend true", |wish, _| wish.suspended = true),
    ("suspend false", |wish, _| wish.suspended = false),
    ("mode Immediate", |wish, _| {
        wish.close.mode = CloseMode::Immediate;
    }),
    ("mode Graceful", |wish, _| {
        wish.close.mode = CloseMode::Graceful;
    }),
    ("timeout TIME", |wish, args| {
        wish.close.timeout = args.span.unwrap();
    }),
    ("onTimeout Force", |wish, _| {
        wish.close.on_timeout = OnTimeout::Force;
    }),
    ("onTimeout Wait", |wish, _| {
        wish.close.on_timeout = OnTimeout::Wait;
    }),
    ("onTimeout Stall", |wish, _| {
        wish.close.on_timeout = OnTimeout::Stall;
    }),
    ("onFailed Force", |wish, _| {
        wish.close.on_failed = OnFailed::Force;
    }),
    ("onFailed Stall", |wish, _| {
        wish.close.on_failed = OnFailed::Stall;
    }),
    ("open.timeout TIME", |wish, args| {
        wish.open.timeout = args.span.unwrap();
    }),
    ("datafeed Start", |wish, _| {
        wish.open.datafeed = OpenDatafeed::Start;
    }),
    ("datafeed Leave", |wish, _| {
        wish.open.datafeed = OpenDatafeed::Leave;
    }),
    ("driftPolicy Report", |wish, _| {
        wish.drift = DriftPolicy::Report;
    }),
    ("driftPolicy Correct", |wish, _| {
        wish.drift = DriftPolicy::Correct;
    }),
    ("deletionPolicy Close", |wish, _| {
        wish.deletion = DeletionPolicy::Close;
    }),
    ("deletionPolicy Retain", |wish, _| {
        wish.deletion = DeletionPolicy::Retain;
    }),
];

/// A new object of this name: it means the job of the same name, where no `jobId` says otherwise.
pub(in super::super) fn of(name: &str, wishes: &str) -> Desired {
    let own = name.rsplit('/').next().unwrap_or(name);
    let mut wish = desired(own, Wanted::Observed, ClosePolicy::default());
    wish.scope.max_jobs = DEFAULT_MAX_JOBS;
    change(&mut wish, wishes);
    wish
}

/// Changes the fields that are named. They were recognised before.
pub(super) fn change(wish: &mut Desired, wishes: &str) {
    for (ask, args) in asks(wishes) {
        ask(wish, &args);
    }
}

/// What is asked for. It was recognised before.
pub(in super::super) fn asks(wishes: &str) -> Asks {
    find_each(ALL, wishes).unwrap()
}
