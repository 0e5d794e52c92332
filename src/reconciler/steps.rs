//! From a decision to what is asked of the shell: notes before calls, looks, timers, calls.
//!
//! It never decides what a situation means (that is the tables') and never says it to people (the report's).

use std::collections::BTreeSet;
use std::time::Duration;

use super::decision::{Ask, Decision, Situation};
use super::input::{Event, Lane, Moment, ObjectKey, Output, SeenDatafeed, Ticket, Wanted};
use super::job::Seen;
use super::member::{Claimed, Member, stamped};
use super::object::Object;
use super::target::{decide, running};
use super::{Reconciler, drift, pace, report};
use crate::api::{DatafeedId, DeletionPolicy, JobId, JobState, OpenDatafeed, Reason};

impl Reconciler {
    /// Decides for one job of one object, and does what follows.
    pub(super) fn step(&mut self, key: &ObjectKey, job: &JobId, now: Moment) {
        self.objects.unfold(key);
        let Some(decision) = self.decide(key, job, now) else {
            return;
        };
        self.act(key, job, &decision, now);
        let answering = self.health.trouble().is_none();
        let spot = (key.clone(), job.clone());
        if decision.is_over() {
            // Whoever only waits for Elasticsearch or a human must not keep others from being closed.
            self.calls.free(job);
        }
        if !matches!(decision, Decision::Call(_)) {
            self.calls.forget(&spot);
        }
        if self.catalogue.is_known() && self.catalogue.config(job).is_none() {
            self.missing.insert(spot);
        } else {
            self.missing.remove(&spot);
        }
        if let Some(member) = self.member(key, job) {
            // What was seen since, and is not where it should be, undoes the arrival; silence does not.
            member.arrived &= !(answering && decision.is_away());
            if member.facts().verified_at.is_some() && !decision.leads_to_force() {
                // What they found was no ground for a force, so they are none for a later one.
                member.facts_mut().verified_at = None;
            }
            member.decision = Some(decision);
        }
    }

    pub(super) fn member(
        &mut self,
        key: &ObjectKey,
        job: &JobId,
    ) -> Option<&mut super::member::Member> {
        self.objects.get_mut(key)?.members.get_mut(job)
    }

    fn lane(&self, key: &ObjectKey) -> Lane {
        let object = self.objects.get(key);
        object.map_or(Lane::Slow, |object| object.lane)
    }

    /// What the table says of a job of an object as things are.
    pub(super) fn decide(&mut self, key: &ObjectKey, id: &JobId, now: Moment) -> Option<Decision> {
        let object = self.objects.get(key)?;
        let member = object.members.get(id)?;
        let job = self.jobs.get(id)?;
        let feed = job.seen.as_ref().and_then(running);
        Some(decide(&Situation {
            desired: &object.desired,
            enforces: object.enforces(),
            id,
            member,
            key,
            lane: object.lane,
            job,
            config: self.catalogue.config(id),
            listed: self.catalogue.is_known(),
            health: &self.health,
            list_is_stale: self.is_list_stale(&object, id),
            untold: self.reads.untold.spell(id, object.sight_from),
            datafeed_is_noted: feed.is_none_or(|feed| {
                feed.real_time != Some(true) || object.is_safe_to_stop(&feed.id)
            }),
            resumes: job
                .seen
                .as_ref()
                .and_then(|seen| seen.datafeed.as_ref())
                .is_some_and(|feed| object.resume.contains(&feed.id)),
            kind_is_coming: self.asks_for_kind(job),
            held: object.is_held() || object.desired.deletion == DeletionPolicy::Retain,
            open_after: open_after(&object, job.doings.forced, id, now),
            now,
        }))
    }

    /// Does what the decision says.
    fn act(&mut self, key: &ObjectKey, job: &JobId, decision: &Decision, now: Moment) {
        if decision.is_missing() {
            self.gone_by_force(key, job, now);
        }
        match decision {
            Decision::Rest(_) => self.rest(key, job, now),
            Decision::Hold(_) => self.held(key, job, now),
            Decision::Observe => {
                self.observe(key, job, self.lane(key), now);
            }
            Decision::Wait(_, reason, gap) => {
                let listed = matches!(
                    reason,
                    Reason::JobNotFound | Reason::JobBlocked | Reason::ConfigLost
                );
                if listed {
                    self.reads.list_by(now.monotonic + *gap);
                }
                let at = self.reads.looks.within(now.monotonic, *gap, self.lane(key));
                self.reads.looks.by(job, at);
            }
            Decision::Stall(trouble) => {
                if matches!(trouble.reason, Reason::Conflict | Reason::NotAllowed) {
                    // What is done about it is another's matter; what is seen of it is told here too.
                    self.rest(key, job, now);
                }
                self.stalled(key, job, now);
            }
            Decision::Done => self.arrive(key, job, now),
            Decision::NoteDatafeed(datafeed) => {
                if let Some(object) = self.objects.get_mut(key) {
                    object.resume.insert(datafeed.clone());
                }
            }
            Decision::NoteForce => {
                if let Some(member) = self.member(key, job) {
                    member.facts_mut().forced_at.get_or_insert(stamped(now));
                }
                if let Some(object) = self.objects.get_mut(key) {
                    report::note_cost(object, job);
                }
            }
            Decision::Verify => self.verify(key, job, now),
            Decision::Call(ask) => self.ask(key, job, ask, now),
        }
    }

    /// Nothing is called for it: for as long as the cluster is in trouble, or until something is told that is asked for now.
    fn held(&mut self, key: &ObjectKey, job: &JobId, now: Moment) {
        if self.health.trouble().is_some() {
            let at = self.health.stalled_at();
            if at > now.monotonic {
                self.wake_at(at, key, job);
            }
            return;
        }
        let object = self.objects.get(key);
        if object.is_some_and(|object| self.is_list_stale(&object, job)) {
            self.reads.list_by(now.monotonic);
        }
        if self.reads.untold.spell(job, Ticket::default()).is_some() {
            self.observe(key, job, self.lane(key), now);
        }
        let known = self.jobs.get(job);
        if known.is_some_and(|job| self.asks_for_kind(job)) {
            self.ask_tasks(now);
        }
    }

    /// A job that is meant by its one id is meant whatever a list says.
    fn is_list_stale(&self, object: &Object, job: &JobId) -> bool {
        object.list_from > self.reads.listed() && object.literal().as_ref() != Some(job)
    }

    fn observe(&mut self, key: &ObjectKey, job: &JobId, lane: Lane, now: Moment) {
        let from = self
            .objects
            .get(key)
            .map(|object| object.sight_from)
            .unwrap_or_default();
        self.look_soon(job, from, lane, now);
    }

    fn rest(&mut self, key: &ObjectKey, job: &JobId, now: Moment) {
        let unseen = self.objects.get(key).is_some_and(|object| {
            object.desired.deleting.is_none()
                && object
                    .members
                    .get(job)
                    .is_some_and(|member| !member.sighted)
        });
        if unseen {
            self.observe(key, job, Lane::Fresh, now);
        }
    }

    /// The tasks, or the roll call, tell when something changes; what was refused is tried again after a while.
    fn stalled(&mut self, key: &ObjectKey, job: &JobId, now: Moment) {
        if self.catalogue.config(job).is_none() {
            self.reads
                .list_by(now.monotonic + pace::CATALOGUE_UNRESOLVED);
            self.reads
                .looks
                .by(job, now.monotonic + pace::CATALOGUE_UNRESOLVED);
        }
        if self.member(key, job).is_some_and(|member| !member.sighted) {
            // What another object acts on is told of all the same.
            self.observe(key, job, Lane::Fresh, now);
        }
        let ended = self
            .member(key, job)
            .and_then(|member| member.facts().call_ended);
        let again = ended.map(|ended| ended + pace::NOT_OBSERVED_AFTER);
        if let Some(again) = again.filter(|again| *again > now.monotonic) {
            self.wake_at(again, key, job);
        }
    }

    /// A read said something about a job: what it means for one object. Returns whether something may follow from it.
    pub(super) fn sees(
        &mut self,
        key: &ObjectKey,
        job: &JobId,
        before: Option<&Seen>,
        news: bool,
        sent: Ticket,
        now: Moment,
    ) -> bool {
        let closes_idle_jobs = self.health.closes_idle_jobs();
        let next = self.next_ticket();
        let Some(known) = self.jobs.get(job) else {
            return false;
        };
        let Some(seen) = known.seen.as_ref() else {
            return false;
        };
        let Some(object) = self.objects.get_mut(key) else {
            return false;
        };
        let enforces = object.enforces();
        let close = object.desired.close.timeout.as_duration();
        let open = object.desired.open.timeout.as_duration();
        let sight_from = object.sight_from;
        let answers = object
            .unfinished
            .lessen(|rest| sent >= rest.requested.0 && rest.answered(job));
        let Some(member) = object.members.get_mut(job) else {
            return false;
        };
        let first_sight = !member.sighted && sent >= sight_from;
        member.sighted |= first_sight;
        let (state, config) = (seen.state.as_ref(), self.catalogue.config(job));
        if !self.catalogue.is_known() {
            return first_sight;
        }
        // A closed job at rest keeps no facts.
        let unusual = enforces.is_some()
            && !matches!(member.claimed, Claimed::Rival(_))
            && (member.facts().in_progress()
                || config.is_none()
                || state.is_none_or(|state| state.state != JobState::Closed));
        if unusual && enforces == Some(Wanted::Opened) {
            member.facts_mut().observe_opening(state, config, open, now);
        } else if unusual {
            member.facts_mut().observe(state, config, close, now);
        }
        let was = member.drifting.drift;
        drift::notice(member, enforces, known, before, closes_idle_jobs, now);
        let drifted = member.drifting.drift != was;
        let settled = member.is_settled();
        if drifted {
            object.list_from = next;
        }
        if enforces == Some(Wanted::Closed) {
            report::note_unsaved(object, job);
        }
        news || first_sight || answers || !settled
    }

    /// The job is where it should be.
    fn arrive(&mut self, key: &ObjectKey, job: &JobId, now: Moment) {
        let feed = self
            .jobs
            .get(job)
            .and_then(|known| known.seen.as_ref()?.datafeed.clone());
        let Some(object) = self.objects.get_mut(key) else {
            return;
        };
        let opened = object.enforces() == Some(Wanted::Opened);
        object.arrivals += 1;
        let arrivals = object.arrivals;
        let wants = object.desired.open.datafeed;
        let Some(member) = object.members.get_mut(job) else {
            return;
        };
        if !member.arrived {
            member.arrival = arrivals;
        }
        member.arrived = true;
        member.placed = true;
        member.resuming = false;
        let corrected = member.is_back();
        let mut events = Vec::new();
        if opened {
            events.extend(report::opened(object, job, now));
            // Who ran is known until it runs again, or until it was said that it shall not.
            if feed.as_ref().is_none_or(SeenDatafeed::runs) || wants == OpenDatafeed::Leave {
                forget(object, feed.as_ref().map(|feed| &feed.id));
            }
        } else {
            events.extend(self.end_close(key, job, now));
        }
        if let Some(object) = self.objects.get_mut(key) {
            if let Some(member) = object.members.get_mut(job) {
                member.start_over();
            }
            events.extend(corrected.then(|| report::corrected(job, opened)));
        }
        for event in events {
            self.event(key, Some(job), event);
        }
    }

    /// A close came to its end; what is said of it, where it was the object's only job.
    fn end_close(&mut self, key: &ObjectKey, job: &JobId, now: Moment) -> Option<Event> {
        let object = self.objects.get_mut(key)?;
        let alone = object.members.len() == 1;
        let end = report::finish(object, job, now)?;
        self.outputs.push(Output::Finished {
            outcome: end.outcome,
            took: end.took,
        });
        alone.then_some(end.event)
    }

    /// Of a job that had lost its config a force leaves nothing: that it is gone is the end of that close.
    fn gone_by_force(&mut self, key: &ObjectKey, job: &JobId, now: Moment) {
        let sent = self
            .jobs
            .get(job)
            .is_some_and(|known| known.doings.forced.is_some());
        let forced = |member: &Member| sent && member.facts().force_is_durable();
        let object = self.objects.get(key);
        if !object.is_some_and(|object| object.members.get(job).is_some_and(forced)) {
            return;
        }
        let told = self.end_close(key, job, now);
        if let Some(member) = self.member(key, job) {
            member.resuming = false;
            member.start_over();
        }
        if let Some(event) = told {
            self.event(key, Some(job), event);
        }
    }

    /// Somebody asked for everything to be looked at again.
    pub(super) fn look_at_everything(&mut self, key: &ObjectKey, now: Moment) {
        self.reads.list_by(now.monotonic);
        let next = self.next_ticket();
        let Some(object) = self.objects.get_mut(key) else {
            return;
        };
        let jobs: BTreeSet<JobId> = object.members.iter().map(|(job, _)| job.clone()).collect();
        for job in &jobs {
            self.reads.looks.by(job, now.monotonic);
        }
        object.unfinished.asked |= !object.resolved;
        if !jobs.is_empty() {
            object.unfinished.requested = (next, jobs);
        }
        object
            .unmet
            .lessen(|unmet| unmet.unmatched_for = Duration::ZERO);
    }
}

fn forget(object: &mut Object, feed: Option<&DatafeedId>) {
    if let Some(feed) = feed.filter(|feed| object.resume.contains(*feed)) {
        object.resume.lessen(|resume| resume.remove(feed));
    }
}

/// How long a job may not be opened yet, because its process may still be dying of our force.
fn open_after(object: &Object, forced: Option<Duration>, job: &JobId, now: Moment) -> Duration {
    let here = forced.map_or(Duration::ZERO, |at| {
        (at + pace::NO_OPEN_AFTER_FORCE).saturating_sub(now.monotonic)
    });
    let noted = object.durable.forced.get(job).copied();
    let last = object
        .last_close
        .as_ref()
        .filter(|last| last.forced.contains(job));
    let stored = noted.or_else(|| last.and_then(|last| last.finished_at.as_ref().map(|at| at.0)));
    let since =
        stored.map(|at| Duration::try_from(now.wall.duration_since(at)).unwrap_or_default());
    let then = since.map_or(Duration::ZERO, |since| {
        pace::NO_OPEN_AFTER_FORCE.saturating_sub(since)
    });
    here.max(then)
}

/// The call for this ask needs no request of its own.
pub(super) fn is_close(decision: &Decision) -> bool {
    matches!(decision, Decision::Call(Ask::Close))
}
