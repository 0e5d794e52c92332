//! One object, many jobs that fare differently: a bad member keeps no good one open, and each has its own clock.

use super::groups::{crowd, hanging, open_jobs, opened, within};
use super::world::{FakeJob, World, desired, job, secs};
use crate::api::{ClosePolicy, JobState, OnFailed, OnTimeout};
use crate::reconciler::input::*;

/// Ten thousand healthy jobs and one of each bad kind in one group.
fn mixed(on_timeout: OnTimeout) -> World {
    let mut world = crowd(10_000);
    world.max_closing = 2000;
    world.connect();
    let failed = FakeJob {
        groups: vec!["all"],
        ..FakeJob::new(JobState::Failed)
    };
    world.jobs.insert(job("bad-failed"), failed);
    world.jobs.insert(job("bad-hanging"), hanging(&["all"]));
    let blocked = FakeJob {
        blocked: true,
        ..opened(&["all"])
    };
    world.jobs.insert(job("bad-blocked"), blocked);
    let close = ClosePolicy {
        on_failed: OnFailed::Stall,
        on_timeout,
        ..within(10)
    };
    world.create("o", desired("all,bad-missing", Wanted::Closed, close));
    world
}

#[test]
fn bad_members_beside_ten_thousand_healthy_ones_keep_none_of_them_open() {
    let mut world = mixed(OnTimeout::Stall);
    world.pass(secs(20));
    assert_eq!(
        open_jobs(&world),
        ["bad-blocked", "bad-failed", "bad-hanging"]
    );
    let counts = world.status("o").jobs.unwrap();
    assert_eq!(
        (counts.matched, counts.closed, counts.failed),
        (10_003, 10_000, 1)
    );
    assert_eq!(world.status("o").summary, "10000/10003 closed");
    let first: Vec<&str> = world
        .status("o")
        .targets
        .iter()
        .take(4)
        .map(|target| target.job_id.as_str())
        .collect();
    for bad in ["bad-failed", "bad-hanging", "bad-blocked", "bad-missing"] {
        assert!(
            first.contains(&bad),
            "{bad} is listed before the healthy ones: {first:?}"
        );
    }
    assert!(
        world
            .status("o")
            .last_close
            .as_ref()
            .is_some_and(|last| last.graceful == 10_000)
    );
}

#[test]
fn it_is_reconciling_while_anything_moves_and_stalled_only_when_nothing_does() {
    let mut world = mixed(OnTimeout::Stall);
    world.pass(secs(300));
    assert!(
        world.condition("o", "Stalled").is_none(),
        "one is closing, one is blocked"
    );
    assert!(
        world.is("o", "Reconciling", "True", "JobBlocked"),
        "{:?}",
        world.condition("o", "Reconciling")
    );
    let message = world.status("o").conditions[0].message.clone();
    assert!(
        message.contains("bad-failed"),
        "what is stuck is named all the while: {message}"
    );
    world.jobs.get_mut(&job("bad-blocked")).unwrap().blocked = false;
    world.pass(secs(120));
    assert_eq!(world.state("bad-blocked"), JobState::Closed);
    assert!(
        world.is("o", "Reconciling", "True", "Closing"),
        "{:?}",
        world.condition("o", "Ready")
    );
    world.pass(secs(400));
    assert!(
        world.condition("o", "Reconciling").is_none(),
        "{:#?} {:#?}",
        world.status("o").conditions,
        world.status("o").targets.iter().take(4).collect::<Vec<_>>()
    );
    assert!(world.condition("o", "Stalled").is_some());
    let both = |status: &crate::api::AnomalyJobStatus| {
        let has = |of: &str| {
            status
                .conditions
                .iter()
                .any(|condition| condition.type_ == of)
        };
        has("Reconciling") && has("Stalled")
    };
    assert!(!world.writes.iter().any(|(_, status)| both(status)));
}

#[test]
fn a_hanging_member_is_forced_alone_by_its_own_clock_and_policy() {
    let mut world = mixed(OnTimeout::Force);
    world.pass(secs(900));
    let forced: Vec<&Call> = world
        .calls
        .iter()
        .map(|(_, call)| call)
        .filter(|call| matches!(call, Call::ForceClose(_)))
        .collect();
    assert_eq!(forced, [&Call::ForceClose(job("bad-hanging"))]);
    assert_eq!(open_jobs(&world), ["bad-blocked", "bad-failed"]);
}
