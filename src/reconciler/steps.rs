//! From a decision to what is asked of the shell: calls where there is room, notes before calls, looks, timers.
//!
//! It never decides what a situation means (that is the table's) and never says it to people (the report's).

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::input::{
    Call, Delivered, Depth, Event, Moment, ObjectKey, Output, Refusal, SeenJob, Ticket, View,
    Wanted,
};
use super::job::Job;
use super::object::{Drift, Object};
use super::target::{Decision, Situation, decide};
use super::{Reconciler, pace, report};
use crate::api::{DatafeedState, JobId, JobState, Reason};

/// A decision may lead to the next at once; more than this many in a row would be a loop.
const DECISIONS_IN_A_ROW: usize = 8;

impl Reconciler {
    /// Decides for one object, does what follows, and reports.
    pub(super) fn step(&mut self, key: &ObjectKey, now: Moment) {
        for _ in 0..DECISIONS_IN_A_ROW {
            let Some(decision) = self.decide(key, now) else {
                return;
            };
            let again = self.act(key, &decision, now);
            let answering = self.health.trouble().is_none();
            if let Some(object) = self.objects.get_mut(key) {
                // What was seen since, and is not where it should be, undoes the arrival; silence does not.
                object.arrived &= !(answering && decision.is_away());
                if decision.is_over() {
                    // Whoever only waits for Elasticsearch or a human must not keep others from being closed.
                    self.room.forget(&object.desired.job);
                }
                object.decision = Some(decision);
            }
            if !again {
                break;
            }
        }
        self.publish(key, now);
    }

    fn decide(&mut self, key: &ObjectKey, now: Moment) -> Option<Decision> {
        let object = self.objects.get_mut(key)?;
        let job = self.jobs.get(&object.desired.job)?;
        if let Some(seen) = job.fresh(now) {
            notice_drift(object, &seen.job, now);
        }
        let object = self.objects.get(key)?;
        Some(decide(&Situation {
            desired: &object.desired,
            facts: &object.facts,
            job,
            health: &self.health,
            durable_resume: object.safe_resume(),
            sighted: object.sighted,
            correct_after: object.correct_after,
            now,
        }))
    }

    /// Does what the decision says. Returns whether to decide again at once.
    fn act(&mut self, key: &ObjectKey, decision: &Decision, now: Moment) -> bool {
        let Some(object) = self.objects.get_mut(key) else {
            return false;
        };
        let job = object.desired.job.clone();
        match decision {
            Decision::Rest(_) => {
                if !object.sighted && !object.desired.deleting {
                    self.reads.look(&job, now.monotonic, Depth::Full);
                }
            }
            Decision::Hold(_) => {
                let times = [self.health.stalled_at(), self.health.not_observed_at()];
                for at in times.into_iter().filter(|at| *at > now.monotonic) {
                    self.wake_at(at, key);
                }
            }
            Decision::Observe(depth) => self.reads.look(&job, now.monotonic, *depth),
            Decision::Wait(_, reason, gap) => {
                let whole = matches!(
                    reason,
                    Reason::JobNotFound | Reason::JobBlocked | Reason::ConfigLost
                );
                let depth = if whole { Depth::Full } else { Depth::States };
                self.reads.look(&job, now.monotonic + *gap, depth);
            }
            // The sweep looks at it again.
            Decision::Stall(_) => {}
            Decision::Done => self.arrive(key, now),
            Decision::NoteDatafeed(datafeed) => object.resume = vec![datafeed.clone()],
            Decision::NoteForce => {
                if object.facts.forced_at.is_none() {
                    object.facts.forced_at = Some(crate::api::stamp(now.wall).0);
                }
            }
            Decision::Verify => self.verify(key, now),
            Decision::Call(call) => return self.call(key, call, now),
        }
        false
    }

    /// Makes the live reads before a force; no more of them at once than calls.
    fn verify(&mut self, key: &ObjectKey, now: Moment) {
        if self.verifications.len() >= pace::MAX_IN_FLIGHT {
            self.wake_at(now.monotonic + pace::VERIFY_LATER, key);
            return;
        }
        let ticket = self.ticket();
        let Some(object) = self
            .objects
            .get_mut(key)
            .filter(|object| object.verifying.is_none())
        else {
            return;
        };
        object.verifying = Some(ticket);
        let (uid, job) = (object.uid.clone(), object.desired.job.clone());
        self.verifications.insert(ticket, key.clone());
        self.outputs.push(Output::Verify {
            ticket,
            key: key.clone(),
            uid,
            job,
        });
    }

    /// The live reads before a force were answered; the decision is made anew with what they say.
    pub(super) fn verified(
        &mut self,
        ticket: Ticket,
        answer: Result<(Option<Box<Delivered>>, View), Refusal>,
        now: Moment,
    ) {
        let Some(key) = self.verifications.remove(&ticket) else {
            return;
        };
        let asked = self
            .objects
            .get_mut(&key)
            .and_then(|object| object.verifying.take());
        if asked != Some(ticket) {
            return;
        }
        match answer {
            Err(Refusal::Refused(trouble)) => {
                if let Some(object) = self.objects.get_mut(&key) {
                    object.facts.failed(trouble, now);
                }
            }
            Err(refusal) => self.refused(refusal, now),
            Ok((None, _)) => self.gone(&key),
            Ok((Some(delivered), view)) => {
                let job = delivered.desired.job.clone();
                self.delivered(*delivered, now);
                let looked_at = view.jobs.contains_key(&job);
                self.health.answered(view.upgrade_mode, now);
                self.see(ticket, Depth::Full, view, now);
                if let Some(object) = self.objects.get_mut(&key).filter(|_| looked_at) {
                    object.facts.verified_at = Some(now.monotonic);
                }
            }
        }
        self.due.insert(key);
    }

    /// Sends the call if there is room for it; otherwise the object waits its turn.
    fn call(&mut self, key: &ObjectKey, call: &Call, now: Moment) -> bool {
        if !self.has_room(call) {
            self.room.wait(key, call);
            return false;
        }
        let ticket = self.ticket();
        let Some(object) = self.objects.get_mut(key) else {
            return false;
        };
        let Some(job) = self.jobs.get_mut(&object.desired.job) else {
            return false;
        };
        if object.facts.requested_at.is_none() {
            forget_resume(object, job);
        }
        let closed = job.seen.as_ref().and_then(|seen| seen.job.state);
        let closed = closed.is_some_and(|seen| seen.state == JobState::Closed);
        // What confirms a close, or stops a stray datafeed, asks for no close.
        if !matches!(call, Call::Confirm(_)) && !closed {
            object.facts.calling(now);
        }
        let uid = Arc::clone(&object.uid);
        job.in_flight = Some((ticket, call.clone()));
        let event = match call {
            Call::ForceClose(_) => {
                object.facts.force_sent = Some(now.monotonic);
                object.facts.verified_at = None;
                let reason = report::why_forced(object, job);
                object.force_reason = Some(reason);
                Some(report::force_event(object, reason))
            }
            Call::Close(_) | Call::Confirm(_) | Call::StopDatafeed { .. } => None,
        };
        let objects = job.users.clone();
        self.note_closing(call.jobs());
        self.calls.insert(ticket, (key.clone(), uid, call.clone()));
        self.outputs.push(Output::Call {
            ticket,
            call: call.clone(),
            objects,
        });
        if let Some(event) = event {
            self.event(key, event);
        }
        true
    }

    fn has_room(&self, call: &Call) -> bool {
        let wave_is_full =
            matches!(call, Call::Close(_)) && self.room.closing.len() >= pace::MAX_CLOSING;
        self.calls.len() < pace::MAX_IN_FLIGHT && !wave_is_full
    }

    /// Counts the jobs that are closing, or are being asked to.
    pub(super) fn note_closing(&mut self, jobs: &[JobId]) {
        for id in jobs {
            let job = self.jobs.get(id);
            let asked = job.is_some_and(|job| matches!(job.in_flight, Some((_, Call::Close(_)))));
            let seen = job.and_then(|job| job.seen.as_ref()?.job.state);
            if asked || seen.is_some_and(|seen| seen.state == JobState::Closing) {
                self.room.closing.insert(id.clone());
            } else {
                self.room.closing.remove(id);
            }
        }
    }

    /// Lets one in that waited for room, first come first served; a full wave holds up nothing but closes.
    pub(super) fn fill_room(&mut self) {
        if self.calls.len() >= pace::MAX_IN_FLIGHT {
            return;
        }
        let wave_has_room = self.room.closing.len() < pace::MAX_CLOSING;
        let next = self.room.others.pop_front();
        let next = next.or_else(|| {
            if wave_has_room {
                self.room.closes.pop_front()
            } else {
                None
            }
        });
        self.due.extend(next);
    }

    /// A call was answered.
    pub(super) fn called(&mut self, ticket: Ticket, answer: Result<(), Refusal>, now: Moment) {
        let Some((key, uid, call)) = self.calls.remove(&ticket) else {
            return;
        };
        let next = self.next_ticket();
        for id in call.jobs() {
            if let Some(job) = self.jobs.get_mut(id) {
                job.touch(next);
                self.reads.look(id, now.monotonic, Depth::States);
            }
        }
        self.note_closing(call.jobs());
        for id in call.jobs() {
            self.forget_unused(id);
        }
        let refusal = answer.err();
        if matches!(
            refusal,
            None | Some(Refusal::LookAgain { answered: true } | Refusal::Refused(_))
        ) {
            self.health.called();
        }
        if matches!(refusal, None | Some(Refusal::LookAgain { answered: true })) {
            self.prove(now);
        }
        // An object that was made anew under the name, or means another job now, did not ask for this.
        let asked =
            |object: &&mut Object| object.uid == uid && call.jobs().contains(&object.desired.job);
        let object = self.objects.get_mut(&key).filter(asked);
        let facts = object.map(|object| &mut object.facts);
        match (refusal, facts) {
            (None, Some(facts)) => {
                facts.succeeded(now);
                facts.answered += u32::from(matches!(call, Call::Close(_)));
            }
            (Some(Refusal::LookAgain { answered }), Some(facts)) => {
                facts.call_ended = Some(now.monotonic);
                facts.answered += u32::from(answered && matches!(call, Call::Close(_)));
            }
            (Some(Refusal::Refused(trouble)), Some(facts)) => facts.failed(trouble, now),
            (Some(refusal @ Refusal::DatafeedRuns), _) => {
                for id in call.jobs().iter().filter(|id| self.jobs.contains_key(*id)) {
                    self.reads.look(id, now.monotonic, Depth::Full);
                }
                self.refused(refusal, now);
            }
            (Some(refusal), _) => self.refused(refusal, now),
            (None, None) => {}
        }
        self.due.insert(key);
    }

    /// A master answered, which one call shows for all jobs that are closing.
    fn prove(&mut self, now: Moment) {
        let closing = self.room.closing.iter().filter_map(|id| self.jobs.get(id));
        for key in closing.flat_map(|job| &job.users) {
            if let Some(object) = self.objects.get_mut(key) {
                let timeout = object.desired.close.timeout.as_duration();
                object.facts.proven(timeout, now);
            }
        }
    }

    /// A refusal that says something about the cluster.
    fn refused(&mut self, refusal: Refusal, now: Moment) {
        match refusal {
            Refusal::DatafeedRuns => self.health.stop_datafeeds_first(),
            Refusal::UpgradeMode => {
                self.health.upgrading();
                self.wake_all();
            }
            Refusal::Cluster(trouble) => self.refused_by_cluster(trouble, now),
            Refusal::LookAgain { .. } | Refusal::Refused(_) => {}
        }
    }

    /// The job is where it should be.
    fn arrive(&mut self, key: &ObjectKey, now: Moment) {
        let Some(object) = self.objects.get_mut(key) else {
            return;
        };
        let finished = report::finish(object, now);
        let finished = finished.map(|(outcome, took, event)| {
            self.outputs.push(Output::Finished { outcome, took });
            event
        });
        let back = object.drift.as_mut().filter(|drift| !drift.corrected);
        let corrected = back.map(|drift| drift.corrected = true).is_some();
        object.arrived = true;
        object.facts.start_over();
        let events = finished.into_iter().chain(corrected.then(|| Event {
            reason: "DriftCorrected",
            note: format!(
                "Closed job {} again after somebody else had opened it",
                object.desired.job
            ),
            warning: false,
        }));
        for event in events.collect::<Vec<_>>() {
            self.event(key, event);
        }
    }
}

/// Who waits for room for a call, and who takes it up.
#[derive(Debug, Default)]
pub(super) struct Room {
    closing: BTreeSet<JobId>,
    closes: VecDeque<ObjectKey>,
    others: VecDeque<ObjectKey>,
}

impl Room {
    fn wait(&mut self, key: &ObjectKey, call: &Call) {
        let queue = if matches!(call, Call::Close(_)) {
            &mut self.closes
        } else {
            &mut self.others
        };
        if !queue.contains(key) {
            queue.push_back(key.clone());
        }
    }

    pub(super) fn forget(&mut self, job: &JobId) {
        self.closing.remove(job);
    }

    pub(super) fn leave(&mut self, key: &ObjectKey) {
        self.closes.retain(|waiting| waiting != key);
        self.others.retain(|waiting| waiting != key);
    }
}

/// The datafeed that ran at an earlier close says nothing about this one.
fn forget_resume(object: &mut Object, job: &Job) {
    let seen = job
        .seen
        .as_ref()
        .and_then(|seen| seen.job.datafeed.as_ref());
    let running = seen.filter(|datafeed| datafeed.state != DatafeedState::Stopped);
    object
        .resume
        .retain(|id| running.is_some_and(|datafeed| datafeed.id == *id));
}

/// The job was where it should be, and now it is not: somebody else did that.
fn notice_drift(object: &mut Object, seen: &SeenJob, now: Moment) {
    let away = seen
        .state
        .is_some_and(|state| state.state != JobState::Closed);
    let enforced = object.desired.wanted == Wanted::Closed && !object.desired.suspended;
    let was_there = object.arrived;
    // Deleted or changed, by whomever: nothing may be claimed of it any more.
    let feeds = seen
        .datafeed
        .as_ref()
        .is_some_and(|datafeed| datafeed.state != DatafeedState::Stopped);
    object.arrived &= seen.state.is_some() && !away && !feeds;
    if !(was_there && away && enforced && object.facts.requested_at.is_none()) {
        return;
    }
    object.facts.start_over();
    object.drift = Some(Drift { corrected: false });
    let gap = pace::correction_gap(object.corrections);
    object.correct_after = now.monotonic + gap;
    object.corrections = object.corrections.saturating_add(1);
}

#[cfg(test)]
impl Room {
    pub(super) fn assert_at_rest(&self, jobs: &std::collections::BTreeMap<JobId, Job>) {
        assert!(
            self.closing.iter().all(|id| jobs.contains_key(id)),
            "a job that nobody means holds a place: {:?}",
            self.closing
        );
        assert!(self.closes.is_empty() && self.others.is_empty());
    }
}
