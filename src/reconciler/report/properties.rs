//! What a status says of any facts: that a restart takes it up as it was, that it is written once, and what kstatus makes of it.
//!
//! The facts are chosen freely, also such as no run comes to; where the brain itself is to have found them the kstatus
//! properties of `reconciler::tests` ask.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;

use super::super::decision::{Ask, Decision};
use super::super::facts::Facts;
use super::super::input::*;
use super::super::member::{Drift, Member};
use super::super::tests::{
    are_well_formed, desired, is, job, key, kstatus, moment, policy, usable,
};
use super::*;
use crate::api::{
    ConditionStatus, ConditionType, DatafeedId, DatafeedSeen, DatafeedState, DriftSeen, Elapsed,
    LastClose, LastError, Loss, Reason, Step, Target, stamp,
};
use crate::properties::{Choices, Met, holds};

const STATES: [JobState; 5] = [
    JobState::Closed,
    JobState::Opened,
    JobState::Closing,
    JobState::Opening,
    JobState::Failed,
];

fn at(choices: &mut Choices) -> Timestamp {
    let micros = SignedDuration::from_micros(i64::from(choices.number()) * 250);
    moment(Duration::ZERO).wall - micros
}

fn id(number: usize) -> JobId {
    job(&format!("j{number:03}"))
}

fn trouble(choices: &mut Choices) -> Trouble {
    Trouble::new(choices.of(Reason::ALL), "as it was chosen")
}

/// A target as the operator may have written it.
fn target(choices: &mut Choices, job: JobId) -> Target {
    let accepted = choices.some(40, at);
    let time = |choices: &mut Choices, percent| choices.some(percent, at).map(stamp);
    Target {
        state: choices.some(80, |choices| choices.of(&STATES)),
        datafeed: choices.some(20, |choices| DatafeedSeen {
            id: DatafeedId::parse("feed").unwrap(),
            state: choices.of(&[DatafeedState::Stopped, DatafeedState::Started]),
        }),
        step: choices.of(&[
            Step::Done,
            Step::Pending,
            Step::ClosingGracefully,
            Step::ForceClosing,
            Step::Waiting,
        ]),
        requested_at: time(choices, 50),
        accepted_at: accepted.map(stamp),
        evidence: choices.some(30, |choices| {
            Elapsed::from(Duration::from_secs(1 + u64::from(choices.number() >> 12)))
        }),
        deadline: time(choices, 50).filter(|_| accepted.is_some()),
        forced_at: time(choices, 20),
        attempts: choices.number() >> 29,
        failures: choices.number() >> 29,
        last_error: choices.some(20, |choices| {
            Box::new(LastError {
                category: choices.of(Reason::ALL).to_string(),
                message: choices.many(4, Choices::sign).into_iter().collect(),
            })
        }),
        corrections: choices.number() >> 29,
        corrected_at: time(choices, 20),
        drift: choices.some(20, |choices| {
            Box::new(DriftSeen {
                cause: choices.of(Reason::ALL).to_string(),
                state: choices.of(&STATES),
                at: stamp(at(choices)),
                corrected: choices.chance(50),
            })
        }),
        ..Target::new(job)
    }
}

fn last_close(choices: &mut Choices) -> LastClose {
    let forced: Vec<JobId> = (0..choices.below(3)).map(id).collect();
    let loss = |job: &JobId| Loss {
        job_id: job.clone(),
        snapshot_at: Some(stamp(moment(Duration::ZERO).wall)),
        snapshot_age: None,
        lost_from: None,
        lost_until: None,
    };
    LastClose {
        started_at: Some(stamp(at(choices))),
        finished_at: choices.some(50, at).map(stamp),
        graceful: choices.number() >> 28,
        losses: forced.iter().map(loss).collect(),
        forced,
        ..LastClose::default()
    }
}

/// A status of so many jobs.
fn stored(choices: &mut Choices, jobs: usize) -> AnomalyJobStatus {
    let condition = |choices: &mut Choices, of| {
        let status = choices.of(&[
            ConditionStatus::True,
            ConditionStatus::False,
            ConditionStatus::Unknown,
        ]);
        new_condition(
            of,
            status,
            choices.of(Reason::ALL),
            "as it was",
            1,
            at(choices),
        )
    };
    AnomalyJobStatus {
        observed_generation: 1,
        targets: (0..jobs)
            .map(|number| target(choices, id(number)))
            .collect(),
        last_close: choices.some(40, last_close),
        resume_datafeeds: choices
            .some(30, |_| DatafeedId::parse("feed").unwrap())
            .into_iter()
            .collect(),
        last_handled_reconcile_at: choices.some(30, |_| "then".to_owned()),
        conditions: [
            ConditionType::Ready,
            ConditionType::Closed,
            ConditionType::Forced,
        ]
        .map(|of| condition(choices, of))
        .into(),
        ..AnomalyJobStatus::default()
    }
}

/// The operator has started again and found these jobs.
fn restarted(status: &AnomalyJobStatus, wanted: Wanted, jobs: usize, now: Moment) -> Object {
    let delivered = Delivered {
        key: key("x"),
        uid: Uid::from("uid"),
        created_at: now.wall,
        generation: 1,
        resource_version: Arc::from("1"),
        finalizers: Vec::new(),
        desired: desired("*", wanted, policy()),
        status: status.clone(),
    };
    let mut object = Object::new(delivered, 0, Ticket(1), now);
    let jobs: BTreeSet<JobId> = (0..jobs).map(id).collect();
    let mut members = std::mem::take(&mut object.members);
    members.become_these(&jobs, |job| object.member_for(job, now));
    object.members = members;
    object.resolved = true;
    object
}

/// What Elasticsearch says of the jobs, as far as their targets said it.
fn seen(status: &AnomalyJobStatus) -> BTreeMap<JobId, Box<Job>> {
    let seen = status.targets.iter().map(|target| {
        let mut job = Job::default();
        if let Some(state) = target.state {
            job.remember(SeenState::of(state), target.datafeed.as_ref().map(feed_of));
        }
        (target.job_id.clone(), Box::new(job))
    });
    seen.collect()
}

fn feed_of(feed: &DatafeedSeen) -> SeenDatafeed {
    SeenDatafeed {
        id: feed.id.clone(),
        state: feed.state,
        real_time: None,
    }
}

/// A decision, and what goes with it: what is away has not arrived.
fn decide(choices: &mut Choices, member: &mut Member) {
    let gap = Duration::from_secs(1);
    let decision = match choices.below(8) {
        0 => Decision::Done,
        1 => Decision::Wait(
            choices.of(&[Step::Waiting, Step::Pending, Step::ClosingGracefully]),
            choices.of(Reason::ALL),
            gap,
        ),
        2 => Decision::Stall(trouble(choices)),
        3 => Decision::NoteForce,
        4 => Decision::Hold(trouble(choices)),
        5 => Decision::Observe,
        6 => Decision::Call(Ask::Close),
        _ => return,
    };
    member.arrived = decision == Decision::Done || member.arrived && !decision.is_away();
    member.sighted |= decision == Decision::Done;
    member.decision = Some(decision);
}

struct Around {
    jobs: BTreeMap<JobId, Box<Job>>,
    catalogue: Catalogue,
    health: Health,
    unobserved: bool,
    shut: bool,
}

impl Around {
    /// All is well.
    fn of(jobs: BTreeMap<JobId, Box<Job>>, now: Moment) -> Self {
        let mut health = Health::new(now);
        health.connect(Connection::Usable(usable()), now);
        Self {
            jobs,
            catalogue: Catalogue::default(),
            health,
            unobserved: false,
            shut: false,
        }
    }

    fn says(&self, object: &Object, now: Moment) -> (AnomalyJobStatus, Conditions) {
        let surroundings = Surroundings {
            jobs: &self.jobs,
            untold: &Untold::default(),
            catalogue: &self.catalogue,
            health: &self.health,
            connection: &ConnectionSeen::default(),
            unobserved: self.unobserved,
            stalled: self.health.stalled(now).is_some(),
            shut: self.shut,
        };
        status(object, &surroundings, now)
    }
}

fn bytes(status: &AnomalyJobStatus) -> String {
    serde_json::to_string(status).unwrap()
}

/// What of a target must be the same after a restart: all but what is seen and decided anew.
fn kept(target: &Target) -> Target {
    Target {
        state: None,
        datafeed: None,
        step: Step::Pending,
        ..target.clone()
    }
}

/// What was told before is told again: of every job, or where there are too `many` to be listed of those that were forced, and of
/// those on their way while stalled ones leave them `room`.
fn is_kept(before: &AnomalyJobStatus, status: &AnomalyJobStatus, many: bool, room: bool) {
    for old in &before.targets {
        let new = status.targets.iter().find(|new| new.job_id == old.job_id);
        let begun = old.requested_at.is_some() || old.accepted_at.is_some();
        let must = old.forced_at.is_some() || begun && room;
        assert!(new.is_some() || !must && many, "{old:?}");
        assert!(
            new.is_none_or(|new| kept(new) == kept(old)),
            "{new:?} was {old:?}"
        );
    }
    assert_eq!(status.last_close, before.last_close);
    assert_eq!(status.resume_datafeeds, before.resume_datafeeds);
    assert_eq!(
        status.last_handled_reconcile_at,
        before.last_handled_reconcile_at
    );
    for new in &status.conditions {
        let same =
            |old: &&crate::api::Condition| old.type_ == new.type_ && old.status == new.status;
        if let Some(old) = before.conditions.iter().find(same) {
            assert_eq!(old.last_transition_time, new.last_transition_time);
        }
    }
}

#[test]
fn what_a_status_tells_is_told_by_the_one_after_a_restart() {
    let met = Met::new(["a force", "more than are listed", "a close that ended"]);
    holds(file!(), 160, |choices| {
        let now = moment(Duration::from_secs(1));
        let told = choices.below(5);
        let before = stored(choices, told);
        let wanted = choices.of(&[Wanted::Closed, Wanted::Opened]);
        let others = if choices.chance(5) {
            choices.below(220)
        } else {
            choices.below(3)
        };
        let mut object = restarted(&before, wanted, told + others, now);
        let mut stalled = 0;
        for (_, member) in object.members.iter_mut().skip(told) {
            decide(choices, member);
            stalled += usize::from(matches!(member.decision, Some(Decision::Stall(_))));
        }
        let (status, _) = Around::of(seen(&before), now).says(&object, now);
        let again: AnomalyJobStatus = serde_json::from_str(&bytes(&status)).unwrap();
        assert_eq!(again, status);

        assert!(status.targets.len() == object.members.len().min(100));
        let listed: BTreeSet<&JobId> = status.targets.iter().map(|target| &target.job_id).collect();
        assert_eq!(listed.len(), status.targets.len());
        is_kept(&before, &status, others > 90, stalled < 100 - told);
        met.note([
            before
                .targets
                .iter()
                .any(|target| target.forced_at.is_some()),
            object.members.len() > 100,
            before
                .last_close
                .is_some_and(|last| last.finished_at.is_some()),
        ]);
    });
    met.is_often();
}

/// Where a job may stay for a while.
fn settled(choices: &mut Choices) -> Decision {
    let gap = Duration::from_secs(1);
    match choices.below(3) {
        0 => Decision::Done,
        1 => Decision::Stall(trouble(choices)),
        _ => Decision::Wait(Step::ClosingGracefully, Reason::Closing, gap),
    }
}

#[test]
fn the_same_facts_are_told_in_the_same_bytes_later_and_after_a_restart() {
    let met = Met::new(["stalled", "moving", "arrived"]);
    holds(file!(), 120, |choices| {
        let now = moment(Duration::from_secs(1));
        let jobs = 1 + choices.below(4);
        let mut before = stored(choices, jobs);
        before.targets.retain(|_| choices.chance(50));
        let wanted = choices.of(&[Wanted::Closed, Wanted::Opened]);
        let mut object = restarted(&before, wanted, jobs, now);
        for (_, member) in object.members.iter_mut() {
            member.sighted = true;
            member.decision = Some(settled(choices));
            member.arrived = member.decision == Some(Decision::Done);
            if member.arrived {
                object.arrivals += 1;
                member.arrival = object.arrivals;
            }
        }
        let around = Around::of(seen(&before), now);
        let (status, held) = around.says(&object, now);
        let later = moment(Duration::from_secs(1 + u64::from(choices.number())));
        object.published.conditions = held;
        assert_eq!(bytes(&around.says(&object, later).0), bytes(&status));

        let mut restarted = restarted(&status, wanted, jobs, later);
        for (job, member) in restarted.members.iter_mut() {
            member.sighted = true;
            member
                .decision
                .clone_from(&object.members.get(job).unwrap().decision);
        }
        assert_eq!(bytes(&around.says(&restarted, later).0), bytes(&status));
        let any = |wanted: fn(&Decision) -> bool| {
            let mut decisions = object
                .members
                .iter()
                .filter_map(|(_, member)| member.decision.as_ref());
            decisions.any(wanted)
        };
        met.note([
            any(|decision| matches!(decision, Decision::Stall(_))),
            any(|decision| matches!(decision, Decision::Wait(..))),
            any(|decision| *decision == Decision::Done),
        ]);
    });
    met.is_often();
}

/// Anything at all of a few jobs, a cluster in any state.
fn anything(choices: &mut Choices, now: Moment) -> (Object, Around) {
    let jobs = choices.below(4);
    let before = stored(choices, jobs);
    let wanted = choices.of(&[Wanted::Closed, Wanted::Opened, Wanted::Observed]);
    let mut object = restarted(&before, wanted, jobs, now);
    for (_, member) in object.members.iter_mut() {
        member.sighted = choices.chance(70);
        decide(choices, member);
        member.drifting.drift = choices.some(20, |choices| Drift {
            cause: choices.of(Reason::ALL),
            seen: choices.of(&STATES),
            at: at(choices),
            corrected: choices.chance(50),
        });
        *member.facts_mut() = choices
            .some(50, |choices| Facts {
                requested_at: Some(at(choices)),
                last_error: choices.some(30, trouble),
                ..Facts::NONE
            })
            .unwrap_or(Facts::NONE);
    }
    object.generation = 1 + i64::from(choices.number() >> 30);
    object.resolved = choices.chance(80);
    object.regaining = choices.chance(10);
    object.desired.suspended = choices.chance(10);
    object.desired.scope.allow_no_match = choices.chance(50);
    object.unmet.obstacle = choices.some(10, trouble);
    object.unmet.unmatched = choices
        .many(1, |_| Arc::from("x*"))
        .into_iter()
        .filter(|_| choices.chance(30))
        .collect();
    object.unmet.unmatched_for = Duration::from_secs(u64::from(choices.number() >> 24));
    let mut around = Around::of(seen(&before), moment(Duration::ZERO));
    match choices.below(6) {
        4 => drop(
            around
                .health
                .failed(trouble(choices), moment(Duration::ZERO)),
        ),
        5 => drop(around.health.connect(
            Connection::Unusable(trouble(choices)),
            moment(Duration::ZERO),
        )),
        _ => {}
    }
    around.unobserved = choices.chance(10);
    around.shut = choices.chance(10);
    (object, around)
}

#[test]
fn kstatus_never_says_current_of_an_object_that_is_not_where_it_should_be() {
    let met = Met::new(["Current", "InProgress", "Failed", "closed"]);
    holds(file!(), 200, |choices| {
        let now = moment(Duration::from_secs(u64::from(choices.number() >> 23)));
        let (object, around) = anything(choices, now);
        let (status, _) = around.says(&object, now);
        let verdict = kstatus(&status, object.generation);
        let all =
            |wanted: fn(&Member) -> bool| object.members.iter().all(|(_, member)| wanted(member));
        let known = object.resolved && !object.regaining && !around.unobserved;
        let whole = object.unmet.obstacle.is_none() && object.unmet.unmatched.is_empty();
        let there = match object.enforces() {
            _ if object.desired.suspended => false,
            None => all(|member| member.sighted),
            Some(_) if object.members.is_empty() => object.desired.scope.allow_no_match,
            Some(_) => all(|member| member.arrived),
        };
        if verdict == "Current" {
            assert!(known && whole && there, "{status:#?}");
        }
        let closed = |(job, member): (&JobId, &Member)| {
            let state = around.jobs.get(job).and_then(|job| job.state());
            member.sighted && state == Some(JobState::Closed)
        };
        let is_closed = is(&status, ConditionType::Closed, ConditionStatus::True);
        if is_closed {
            assert!(
                known && whole && object.members.iter().all(closed),
                "{status:#?}"
            );
        }
        are_well_formed(&status, object.generation);
        met.note([
            verdict == "Current",
            verdict == "InProgress",
            verdict == "Failed",
            is_closed,
        ]);
    });
    met.is_often();
}
