//! The live reads before a force: the object and what its connection allows from the API server itself, the job from
//! Elasticsearch, all newer than the decision that asked for them.
//!
//! What they find is taken in like any other news, and the decision is made anew. Nothing is called from here.

use super::facts::Cost;
use super::input::{Live, LiveLook, Moment, ObjectKey, Output, Refusal, SeenSnapshot, Ticket};
use super::member::stamped;
use super::{Reconciler, pace};
use crate::api::JobId;

impl Reconciler {
    /// Makes the live reads; no more of them at once than calls.
    pub(super) fn verify(&mut self, key: &ObjectKey, job: &JobId, now: Moment) {
        if self.verifications.len() >= pace::MAX_IN_FLIGHT {
            self.wake_at(now.monotonic + pace::VERIFY_LATER, key, job);
            return;
        }
        let ticket = self.ticket();
        let datafeed = self.catalogue.datafeed(job).cloned();
        let Some(object) = self.objects.get_mut(key) else {
            return;
        };
        let uid = object.uid.clone();
        let Some(member) = object
            .members
            .get_mut(job)
            .filter(|member| member.verifying.is_none())
        else {
            return;
        };
        member.verifying = Some(ticket);
        self.verifications
            .insert(ticket, (key.clone(), job.clone()));
        self.outputs.push(Output::Verify {
            ticket,
            key: key.clone(),
            uid,
            job: job.clone(),
            datafeed,
        });
    }

    /// They were answered.
    pub(super) fn verified(
        &mut self,
        ticket: Ticket,
        answer: Result<Box<Live>, Refusal>,
        now: Moment,
    ) {
        let Some((key, job)) = self.verifications.remove(&ticket) else {
            return;
        };
        // An answer that was for an object of the same name before this one must not take the place of the one that is awaited.
        let awaited = |asked: &mut Ticket| *asked == ticket;
        let asked = self
            .member(&key, &job)
            .and_then(|member| member.verifying.take_if(awaited));
        if asked.is_none() {
            return;
        }
        match answer {
            Err(Refusal::Refused(trouble) | Refusal::Overloaded(trouble)) => {
                if let Some(member) = self.member(&key, &job) {
                    member.facts_mut().failed(trouble, now);
                }
            }
            Err(refusal) => self.refused(refusal, now),
            Ok(live) => match live.object {
                None => self.gone(&key),
                Some(delivered) => {
                    self.allowed_to(key.namespace(), live.allow, now);
                    self.delivered(delivered, now);
                    self.take_live(ticket, &key, &job, live.look, now);
                }
            },
        }
        self.due.insert((key, job));
    }

    fn take_live(
        &mut self,
        ticket: Ticket,
        key: &ObjectKey,
        job: &JobId,
        look: LiveLook,
        now: Moment,
    ) {
        if self.health.answered(Some(look.upgrade_mode), now) {
            self.wake_all();
        }
        self.catalogue.correct(job, look.config);
        let cost = cost(&look.job, look.snapshot, now);
        self.see(ticket, [(job.clone(), look.job)].into(), now);
        if let Some(member) = self.member(key, job) {
            let facts = member.facts_mut();
            facts.verified_at = Some(now.monotonic);
            if facts.force_sent.is_some() {
                // Each force has its own note, for nothing is opened within a minute of the last.
                facts.forced_at = None;
            }
            facts.cost = Some(cost);
        }
    }
}

fn cost(seen: &super::input::SeenJob, snapshot: Option<SeenSnapshot>, now: Moment) -> Cost {
    Cost {
        snapshot_at: snapshot.map(|snapshot| snapshot.taken_at),
        from: snapshot.and_then(|snapshot| snapshot.latest_record),
        until: seen
            .state
            .as_ref()
            .and_then(|state| Some(state.latest_record?.timestamp())),
        at: stamped(now),
    }
}
