//! Which jobs an object means, as the catalogue changes, and whether it may act on them.
//!
//! It must not decide what is done about a job. What cannot be found out for sure leaves the object without the jobs
//! concerned: to act on less is safe, to act on more never is.

use std::sync::Arc;
use std::time::Duration;

use super::catalogue::Changes;
use super::decision::Decision;
use super::expression::resolve;
use super::input::{
    Allowances, Claim, Lane, Moment, ObjectKey, Output, Ruling, SeenDatafeed, SeenState, Ticket,
    Wanted,
};
use super::meant::meant;
use super::member::Claimed;
use super::object::Object;
use super::seldom::Seldom;
use super::{Reconciler, Spot, drift, pace, report};
use crate::api::{Allow, JobId, Reason, Target};

impl Reconciler {
    /// Finds out anew which jobs the object means.
    pub(super) fn resolve(&mut self, key: &ObjectKey, now: Moment) {
        // The list is asked for since there is a connection.
        if !self.catalogue.is_known() {
            return;
        }
        // Who is meant here says nothing of what was seen elsewhere.
        let known = |object: &&mut Object| object.from.is_none();
        let Some(object) = self.objects.get_mut(key).filter(known) else {
            return;
        };
        let scope = &object.desired.scope;
        let found = resolve(
            &scope.expression,
            &scope.exclude,
            scope.allow_no_match,
            self.catalogue.names(),
        );
        let allow = self.health.allow(key.namespace());
        let (jobs, unmet) = meant(scope, &object.unmet, found, &self.catalogue, allow);
        object.unmet = Seldom::from(unmet);
        object.resolved = true;
        object.interrupt_all_but(&jobs);
        let mut members = std::mem::take(&mut object.members);
        let (came, went) = members.become_these(&jobs, |job| object.member_for(job, now));
        // Nobody looks at them for this object any more.
        for job in &went {
            object.unfinished.lessen(|rest| rest.answered(job));
        }
        object.members = members;
        if let [id] = came.as_slice() {
            object.desired.scope.expression.share(id);
        }
        self.join(key, &came, now);
        self.look_as_asked(key, now);
        for job in &went {
            self.leave(key, job);
        }
        if !went.is_empty() {
            self.release(key, went);
        }
        if let Some(object) = self.objects.get_mut(key)
            && object.unmet.obstacle.is_none()
        {
            object
                .unfinished
                .lessen(|rest| rest.restoring = Box::default());
        }
        self.claim(key);
        self.unsaid.insert(key.clone());
    }

    /// What was just asked for may be newer than the list: where that lacks anything, it is read again.
    pub(super) fn doubt(&mut self, key: &ObjectKey, now: Moment) {
        let Some(object) = self.objects.get(key).filter(|object| object.resolved) else {
            return;
        };
        let listed = object
            .literal()
            .is_some_and(|job| self.catalogue.config(&job).is_some());
        if !listed {
            self.reads.list_by(now.monotonic);
        }
    }

    fn join(&mut self, key: &ObjectKey, came: &[JobId], now: Moment) {
        let closes_idle_jobs = self.health.closes_idle_jobs();
        for job in came {
            let known = self.jobs.entry(job.clone()).or_default();
            known.used_by(key);
            let Some(object) = self.objects.get_mut(key) else {
                return;
            };
            if object.enforces() == Some(Wanted::Opened) {
                // The close that the status told of is not wanted any more.
                report::cut_short(object, job);
            }
            let stored = object
                .unfinished
                .restoring
                .iter()
                .find(|target| target.job_id == *job);
            if let Some((state, feed)) = stored.and_then(remembered) {
                known.remember(state, feed);
            }
            let same = stored
                .is_some_and(|stored| stored.state.is_some() && known.state() == stored.state);
            let enforces = object.enforces();
            let rests = enforces.is_none();
            let Some(member) = object.members.get_mut(job) else {
                continue;
            };
            member.sighted &= same;
            if known.seen.as_ref().is_some_and(|seen| seen.current) {
                // What was seen for others is newer than what is stored of this one.
                drift::notice(member, enforces, known, None, closes_idle_jobs, now);
            }
            let config = self.catalogue.config(job);
            let odd = config.is_none_or(|config| config.blocked.is_some());
            if member.sighted && !odd {
                // It stands as it is stored, until something says otherwise.
                member.decision = Some(if rests {
                    Decision::Rest(Reason::Observing)
                } else {
                    Decision::Done
                });
            } else {
                self.due.insert((key.clone(), job.clone()));
            }
        }
    }

    /// Who is meant is known, and a request to look at them had been made before.
    fn look_as_asked(&mut self, key: &ObjectKey, now: Moment) {
        let object = self.objects.get_mut(key);
        if let Some(object) = object.filter(|object| object.unfinished.asked) {
            object.unfinished.asked = false;
            self.look_at_everything(key, now);
        }
    }

    /// The object does not mean this job any more.
    pub(super) fn leave(&mut self, key: &ObjectKey, job: &JobId) {
        let spot = (key.clone(), job.clone());
        self.due.remove(&spot);
        self.missing.remove(&spot);
        self.calls.forget(&spot);
        if let Some(known) = self.jobs.get_mut(job) {
            known.users.retain(|user| user != key);
            self.forget_unused(job);
        }
    }

    /// Nobody means this job any more, and no call for it is on its way: it is not read and holds no place in the wave.
    pub(super) fn forget_unused(&mut self, job: &JobId) {
        let unused = self
            .jobs
            .get(job)
            .is_some_and(|known| known.users.is_empty() && !known.is_busy());
        if unused {
            self.jobs.remove(job);
            self.reads.looks.forget(job);
            self.reads.untold.forget(job);
            self.calls.free(job);
        }
    }

    /// A list brought something new: expressions may mean other jobs, and what was missing may be there.
    pub(super) fn relist(&mut self, changes: &Changes, first: bool, asked: Ticket, now: Moment) {
        for key in self.whose_names_changed(changes) {
            self.resolve(&key, now);
        }
        for (job, known) in &mut self.jobs {
            known.keep_datafeed(self.catalogue.datafeed(job), asked);
        }
        let next = self.next_ticket();
        for job in &changes.jobs {
            let Some(known) = self.jobs.get_mut(job) else {
                continue;
            };
            if let Some(feed) = self.catalogue.datafeed(job) {
                known.new_feed(feed, next);
            }
            let odd = self
                .catalogue
                .config(job)
                .is_none_or(|config| config.blocked.is_some());
            for key in &known.users {
                let member = self.objects.restless(key, job);
                if odd || member.is_some_and(|member| !member.is_settled()) {
                    self.due.insert((key.clone(), job.clone()));
                }
            }
        }
        for job in changes.jobs.iter().filter(|_| !first) {
            if self.jobs.contains_key(job) {
                self.look_soon(job, next, Lane::Fresh, now);
            }
        }
        self.due.extend(self.missing.iter().cloned());
        self.count_unmatched(now);
    }

    /// The objects that may mean other jobs now.
    fn whose_names_changed(&self, changes: &Changes) -> Vec<ObjectKey> {
        if changes.everything {
            return self.objects.keys().cloned().collect();
        }
        if changes.names.is_empty() {
            return Vec::new();
        }
        let other = |object: &Object| match object.literal() {
            Some(id) => changes.names.contains(id.as_str()),
            None => true,
        };
        let others = self.objects.iter().filter(|(_, object)| other(object));
        others.map(|(key, _)| key.clone()).collect()
    }

    /// How long answered lists have not known what is meant.
    fn count_unmatched(&mut self, now: Moment) {
        for (key, object) in self.objects.all_restless_mut() {
            if object.unmet.unmatched.is_empty() {
                object.unmet.lessen(|unmet| {
                    unmet.unmatched_for = Duration::ZERO;
                    unmet.unmatched_at = None;
                });
                continue;
            }
            let gap = object
                .unmet
                .unmatched_at
                .map_or(Duration::ZERO, |at| now.monotonic.saturating_sub(at));
            object.unmet.unmatched_for += gap.min(pace::SWEEP * 2);
            object.unmet.unmatched_at = Some(now.monotonic);
            self.unsaid.insert(key.clone());
            let soon = object.unmet.unmatched_for < pace::GRACE;
            let gap = if soon {
                pace::SWEEP / 3
            } else {
                pace::CATALOGUE_UNRESOLVED
            };
            self.reads.list_by(now.monotonic + gap);
        }
    }

    /// Asks to act on all members, where something is enforced; gives up what is not any more.
    pub(super) fn claim(&mut self, key: &ObjectKey) {
        let Some(cluster) = self.health.claims_as() else {
            return;
        };
        let Some(object) = self.objects.get_mut(key) else {
            return;
        };
        let acts = object.enforces().is_some();
        let ticket = Ticket(self.last_ticket + 1);
        let (mut jobs, mut given_up) = (Vec::new(), Vec::new());
        for (job, member) in object.members.iter_mut() {
            match (acts, &member.claimed) {
                (true, Claimed::No) => {
                    (member.claimed, member.claim) = (Claimed::Asked, ticket);
                    // Otherwise it is asked for anew when what was begun under the old claim has ended.
                    if !self.yielding.contains(&(key.clone(), job.clone())) {
                        jobs.push(job.clone());
                    }
                }
                (false, Claimed::Asked | Claimed::Ours | Claimed::Rival(_)) => {
                    member.claimed = Claimed::No;
                    given_up.push(job.clone());
                }
                (true, _) | (false, Claimed::No) => {}
            }
        }
        let (uid, created_at) = (object.uid.clone(), object.created_at);
        if !given_up.is_empty() {
            self.release(key, given_up);
        }
        if jobs.is_empty() {
            return;
        }
        let ticket = self.ticket();
        let claim = Claim {
            cluster,
            key: key.clone(),
            uid,
            through: self.connection.kind,
            created_at,
            ticket,
            jobs,
        };
        // Claims that follow each other are ruled on at one moment.
        match self.outputs.last_mut() {
            Some(Output::Claim(claims)) => claims.push(claim),
            _ => self.outputs.push(Output::Claim(vec![claim])),
        }
    }

    /// The connection allows something else than before: what is not covered any more is let go, and what is now is meant.
    pub(super) fn allowed(&mut self, allowances: Allowances, now: Moment) {
        let Some(before) = self.health.allowed(allowances) else {
            return;
        };
        let differs =
            |key: &&ObjectKey| before.of(key.namespace()) != self.health.allow(key.namespace());
        let concerned = self.objects.keys().filter(differs).cloned().collect();
        self.mean_anew(concerned, now);
    }

    /// The same, of the objects of one namespace.
    pub(super) fn allowed_to(&mut self, namespace: &Arc<str>, allow: Allow, now: Moment) {
        if !self.health.allowed_to(namespace, allow) {
            return;
        }
        let from = ObjectKey::new(Arc::clone(namespace), "");
        let here = self.objects.keys_from(from);
        let here = here.take_while(|key| key.namespace() == namespace);
        let concerned = here.cloned().collect();
        self.mean_anew(concerned, now);
    }

    fn mean_anew(&mut self, objects: Vec<ObjectKey>, now: Moment) {
        for key in objects {
            self.resolve(&key, now);
            self.wake_members(&key);
            self.unsaid.insert(key);
        }
    }

    /// Gives up claims; one of a job for which a call is on its way when that has ended.
    pub(super) fn release(&mut self, key: &ObjectKey, jobs: Vec<JobId>) {
        let (busy, free): (Vec<JobId>, Vec<JobId>) =
            jobs.into_iter().partition(|job| !self.is_free(job));
        self.yielding
            .extend(busy.into_iter().map(|job| (key.clone(), job)));
        if !free.is_empty() {
            self.outputs.push(Output::Release(key.clone(), free));
        }
    }

    /// No call for the job is on its way, and it is not one of a list in which refused ones are sought.
    fn is_free(&self, job: &JobId) -> bool {
        let known = self.jobs.get(job);
        known.is_none_or(|job| !job.is_busy())
    }

    /// The cluster turned out to be known by another name: what was claimed under the old one is claimed again.
    pub(super) fn claim_anew(&mut self) {
        let all: Vec<ObjectKey> = self.objects.keys().cloned().collect();
        for key in &all {
            let Some(object) = self.objects.get_mut(key) else {
                continue;
            };
            let mut held = Vec::new();
            for (job, member) in object.members.iter_mut() {
                if std::mem::take(&mut member.claimed) != Claimed::No {
                    held.push(job.clone());
                }
            }
            if !held.is_empty() {
                self.outputs.push(Output::Release(key.clone(), held));
            }
        }
        for key in all {
            self.claim(&key);
        }
    }

    /// It was said who acts.
    pub(super) fn ruled(&mut self, rulings: Vec<Ruling>) {
        let next = self.next_ticket();
        for ruling in rulings {
            let spot = (ruling.key, ruling.job);
            let object = self.objects.get_mut(&spot.0);
            let member = object
                .filter(|object| object.uid == ruling.uid)
                .and_then(|object| object.members.get_mut(&spot.1))
                .filter(|member| member.claimed != Claimed::No && member.claim == ruling.ticket);
            let Some(member) = member else {
                continue;
            };
            let acted = member.claimed == Claimed::Ours;
            let gives = ruling.rival.is_some();
            // What was seen before is over: another one acted on the job since.
            let takes_over = matches!(member.claimed, Claimed::Rival(_)) && !gives;
            let rests = member.is_settled() && !gives;
            member.sighted &= !takes_over;
            member.claimed = ruling.rival.map_or(Claimed::Ours, Claimed::Rival);
            if gives {
                self.lose(&spot);
            }
            if acted {
                self.give_way(&spot);
            }
            if let Some(job) = self.jobs.get_mut(&spot.1).filter(|_| takes_over) {
                job.touch(next);
            }
            if !rests {
                self.due.insert(spot);
            }
        }
    }

    /// Another one acts: what was begun here, and counted for it, is over.
    fn lose(&mut self, spot: &Spot) {
        let Some(object) = self.objects.get_mut(&spot.0) else {
            return;
        };
        report::cut_short(object, &spot.1);
        if let Some(member) = object.members.get_mut(&spot.1) {
            member.start_over();
            member.placed = false;
            member.drifting.lessen(|drifting| drifting.drift = None);
        }
    }

    /// What was begun under a claim has ended: it is given up, and asked for anew where it is wanted again by now.
    fn end_claim(&mut self, spot: Spot) {
        self.yielding.remove(&spot);
        let (key, job) = &spot;
        self.outputs
            .push(Output::Release(key.clone(), vec![job.clone()]));
        let again = self
            .member(key, job)
            .filter(|member| member.claimed != Claimed::No);
        if let Some(member) = again {
            member.claimed = Claimed::No;
            self.claim(key);
            self.due.insert(spot);
        }
    }

    /// Once no call of this one is on its way: lets the older object act, and gives up what it does not mean any more.
    pub(super) fn give_way(&mut self, spot: &Spot) {
        if !self.is_free(&spot.1) {
            return;
        }
        let (key, job) = spot;
        let yielding: Vec<Spot> = self
            .yielding
            .iter()
            .filter(|(_, of)| of == job)
            .cloned()
            .collect();
        for spot in yielding {
            self.end_claim(spot);
        }
        let member = self.member(key, job);
        if member.is_some_and(|member| matches!(member.claimed, Claimed::Rival(_))) {
            self.outputs.push(Output::GiveWay(key.clone(), job.clone()));
        }
    }
}

/// What a status told of a job, as something to go on saying.
fn remembered(target: &Target) -> Option<(SeenState, Option<SeenDatafeed>)> {
    let state = SeenState::of(target.state?);
    let feed = target.datafeed.as_ref().map(|feed| SeenDatafeed {
        id: feed.id.clone(),
        state: feed.state,
        real_time: None,
    });
    Some((state, feed))
}
