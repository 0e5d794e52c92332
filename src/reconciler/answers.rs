//! What the answer of a call means: for the jobs of the call, for the list that it was, for the cluster.
//!
//! An answer is a hint; the states that are read after it are facts. Nothing is sent from here.

use std::collections::BTreeMap;

use super::calls::{Isolating, Sent};
use super::decision::Ask;
use super::input::{Call, Moment, Output, Refusal, Ticket, Trouble, Uid};
use super::isolate::Isolation;
use super::{Reconciler, Spot, pace};
use crate::api::{JobId, JobState, Reason};

impl Reconciler {
    /// A call was answered.
    pub(super) fn called(&mut self, ticket: Ticket, answer: Result<(), Refusal>, now: Moment) {
        let Some(sent) = self.calls.in_flight.remove(&ticket) else {
            return;
        };
        self.look_at_taken(&sent, now);
        let refusal = answer.err();
        if sent.is_taken() && refusal.is_some() {
            // It was taken long ago: a connection that is cut since, or time that ran out, says nothing of the cluster.
            return;
        }
        // Time that ran out is told by a clock: only soon after it was sent does that show that there is a master.
        let soon = now.monotonic.saturating_sub(sent.at) <= pace::PROVES_WITHIN;
        let proves = match refusal {
            None => true,
            Some(Refusal::LookAgain { answered }) => answered && soon,
            Some(_) => false,
        };
        if proves || matches!(refusal, Some(Refusal::Refused(_) | Refusal::Unknown(_))) {
            if self.health.called() {
                // Since when there is a master again nobody knows.
                self.lose_count();
                self.wake_all();
            }
            self.calls.window.went_well();
        }
        if proves {
            self.prove(now);
        }
        let of = if let Some(refusal) = refusal {
            self.refused_call(sent, refusal, now)
        } else {
            self.ended(&sent, now);
            self.each(&sent, |member, call| {
                member.facts_mut().succeeded(now);
                member.facts_mut().answered += u32::from(should_show(call));
            });
            self.narrow(sent.isolation, None, now);
            sent.of
        };
        for (spot, _) in of {
            self.note_closing(&spot.1);
            self.give_way(&spot);
            self.forget_unused(&spot.1);
            self.due.insert(spot);
        }
    }

    /// It was not answered with success.
    fn refused_call(&mut self, sent: Sent, refusal: Refusal, now: Moment) -> Vec<(Spot, Uid)> {
        match refusal {
            Refusal::Unknown(ids) => self.unknown(&sent, &ids, now),
            Refusal::ListTooLong(room) => {
                self.calls.shorten(room);
                self.untouched(&sent, now);
            }
            Refusal::Overloaded(trouble) => {
                let asked = trouble.retry_after;
                if self.calls.window.overloaded(asked, now.monotonic) {
                    self.wake_all();
                }
                self.untouched(&sent, now);
            }
            Refusal::Refused(_) if sent.of.len() > 1 && sent.isolation.is_none() => {
                self.isolate(&sent, now);
            }
            Refusal::Refused(trouble) => {
                if sent.isolation.is_some() {
                    self.release_in_flight(&sent);
                } else {
                    self.ended(&sent, now);
                    self.each(&sent, |member, _| member.refused(trouble.clone(), now));
                }
                self.narrow(sent.isolation, Some(&trouble), now);
            }
            Refusal::LookAgain { answered } => {
                self.ended(&sent, now);
                self.each(&sent, |member, call| {
                    let facts = member.facts_mut();
                    facts.call_ended = Some(now.monotonic);
                    facts.answered += u32::from(answered && should_show(call));
                });
                self.narrow(sent.isolation, None, now);
            }
            refusal @ (Refusal::DatafeedRuns | Refusal::UpgradeMode | Refusal::Cluster(_)) => {
                self.ended(&sent, now);
                self.abandon(&sent);
                if refusal == Refusal::DatafeedRuns {
                    for ((_, id), _) in &sent.of {
                        self.jobs
                            .entry(id.clone())
                            .and_modify(|job| job.doings.odd_feed = true);
                    }
                }
                self.refused(refusal, now);
            }
        }
        sent.of
    }

    /// The call changed nothing or everything: what was seen before it is not acted on any more.
    fn ended(&mut self, sent: &Sent, now: Moment) {
        let next = self.next_ticket();
        for ((_, id), _) in &sent.of {
            if let Some(job) = self.jobs.get_mut(id) {
                job.touch(next);
                self.reads.look_after_call(id, sent, now);
            }
        }
    }

    /// The call reached no job: what was seen of them still holds.
    fn release_in_flight(&mut self, sent: &Sent) {
        for ((_, id), _) in &sent.of {
            if let Some(job) = self.jobs.get_mut(id) {
                job.doings.lessen(|doings| doings.in_flight = None);
            }
        }
    }

    fn untouched(&mut self, sent: &Sent, now: Moment) {
        self.release_in_flight(sent);
        if matches!(sent.call, Call::Close(_)) {
            self.abandon(sent);
        } else {
            self.ended(sent, now);
        }
        // It was no try of theirs.
        self.each(sent, |member, _| {
            let facts = member.facts_mut();
            facts.attempts = facts.attempts.saturating_sub(1);
            if facts.attempts == 0 && facts.accepted_at.is_none() && facts.forced_at.is_none() {
                facts.requested_at = None;
            }
        });
    }

    /// 404: the unknown ones are taken out, the others leave together once more.
    fn unknown(&mut self, sent: &Sent, ids: &[JobId], now: Moment) {
        self.untouched(sent, now);
        self.reads.list_by(now.monotonic);
        let next = self.next_ticket();
        for id in ids {
            if let Some(job) = self.jobs.get_mut(id) {
                job.touch(next);
                self.reads.looks.by(id, now.monotonic);
            }
        }
    }

    /// For each object that still is the one that asked.
    fn each(&mut self, sent: &Sent, change: impl Fn(&mut super::member::Member, &Call)) {
        for ((key, id), uid) in &sent.of {
            // An object that was made anew under the name, or means other jobs now, did not ask for this.
            let object = self
                .objects
                .get_mut(key)
                .filter(|object| object.uid == *uid);
            if let Some(member) = object.and_then(|object| object.members.get_mut(id)) {
                change(member, &sent.call);
            }
        }
    }

    /// A list was refused and nobody says for which of its ids.
    fn isolate(&mut self, sent: &Sent, now: Moment) {
        self.untouched(sent, now);
        for ((_, id), _) in &sent.of {
            if let Some(job) = self.jobs.get_mut(id) {
                job.doings.suspect = true;
            }
        }
        let owners = sent
            .of
            .iter()
            .map(|((key, id), _)| (id.clone(), key.clone()));
        let ids = sent.of.iter().map(|((_, id), _)| id.clone());
        let number = self.next_ticket().0;
        self.calls.isolations.insert(
            number,
            Isolating {
                search: Isolation::new(ids.collect()),
                owners: owners.collect(),
            },
        );
    }

    /// What the answer says in the search that the call belongs to.
    fn narrow(&mut self, number: Option<u64>, refused: Option<&Trouble>, now: Moment) {
        let Some(number) = number else {
            return;
        };
        let Some(found) = self.calls.isolations.get_mut(&number) else {
            return;
        };
        let verdict = found.search.answered(refused.is_some());
        let over = found.search.is_over();
        let judged = verdict.taken.iter().chain(&verdict.refused);
        let owners: BTreeMap<JobId, super::input::ObjectKey> = judged
            .filter_map(|id| Some((id.clone(), found.owners.get(id)?.clone())))
            .collect();
        let owner = verdict
            .refused
            .as_ref()
            .and_then(|id| owners.get(id))
            .cloned();
        if over {
            self.calls.isolations.remove(&number);
        }
        for id in verdict.taken.iter().chain(&verdict.refused) {
            if let Some(job) = self.jobs.get_mut(id) {
                job.doings.lessen(|doings| doings.suspect = false);
            }
            if let Some(owner) = owners.get(id) {
                self.give_way(&(owner.clone(), id.clone()));
            }
            self.forget_unused(id);
        }
        if let (Some(id), Some(owner)) = (verdict.refused, owner) {
            let trouble = refused.cloned().unwrap_or_else(|| {
                Trouble::new(
                    Reason::RequestRefused,
                    format!("Elasticsearch refuses to close job {id} together with others"),
                )
            });
            let next = self.next_ticket();
            if let Some(job) = self.jobs.get_mut(&id) {
                job.touch(next);
                self.reads.looks.by(&id, now.monotonic);
            }
            if let Some(member) = self.member(&owner, &id) {
                member.facts_mut().calling(now);
                member.facts_mut().failed(trouble, now);
            }
            self.due.insert((owner, id));
        }
    }

    /// The search ends without a verdict: all that are left go their ordinary way again.
    fn abandon(&mut self, sent: &Sent) {
        let Some(number) = sent.isolation else {
            return;
        };
        if let Some(found) = self.calls.isolations.remove(&number) {
            let owned = |id: &JobId| Some((found.owners.get(id)?.clone(), id.clone()));
            self.acquit(found.search.left().filter_map(owned).collect());
        }
    }

    /// They are not sought any more.
    pub(super) fn acquit(&mut self, spots: Vec<Spot>) {
        for spot in spots {
            if let Some(job) = self.jobs.get_mut(&spot.1) {
                job.doings.lessen(|doings| doings.suspect = false);
            }
            self.give_way(&spot);
            self.forget_unused(&spot.1);
            self.due.insert(spot);
        }
    }

    /// A master answered, which one call shows for all jobs that are closing.
    fn prove(&mut self, now: Moment) {
        for id in &self.calls.closing {
            let Some(job) = self.jobs.get(id) else {
                continue;
            };
            for key in &job.users {
                let Some(object) = self.objects.get_mut(key) else {
                    continue;
                };
                let timeout = object.desired.close.timeout.as_duration();
                if let Some(member) = object.members.get_mut(id)
                    && member.facts().accepted_at.is_some()
                {
                    member.facts_mut().proven(timeout, now);
                }
            }
        }
    }

    /// A refusal that says something about the cluster.
    pub(super) fn refused(&mut self, refusal: Refusal, now: Moment) {
        match refusal {
            Refusal::DatafeedRuns => {
                self.health.stop_datafeeds_first();
                self.reads.list_by(now.monotonic);
            }
            Refusal::UpgradeMode => {
                self.health.upgrading();
                self.reads.ask_info(now.monotonic + pace::UPGRADE_MODE_POLL);
                self.wake_all();
            }
            Refusal::Cluster(trouble) => self.refused_by_cluster(trouble, now),
            Refusal::LookAgain { .. }
            | Refusal::Refused(_)
            | Refusal::Overloaded(_)
            | Refusal::Unknown(_)
            | Refusal::ListTooLong(_) => {}
        }
    }

    /// What Elasticsearch is seen working on, or done with, by a read that was sent under `asked`, holds no place among the
    /// calls. A few are waited for all the same: their answers come the moment that their jobs are where they should be.
    pub(super) fn taken(
        &mut self,
        id: &JobId,
        state: Option<JobState>,
        asked: Ticket,
        now: Moment,
    ) {
        let Some(job) = self.jobs.get_mut(id) else {
            return;
        };
        let Some((ticket, ask)) = &job.doings.in_flight else {
            return;
        };
        let Some(sent) = self.calls.in_flight.get_mut(ticket) else {
            return;
        };
        let taken = match (ask, state) {
            (Ask::Close, Some(JobState::Closing))
            | (Ask::Open, Some(JobState::Opening | JobState::Opened)) => true,
            // Of a list one may be long closed, and the answer waits for another that hangs.
            (Ask::Close, Some(JobState::Closed)) => *ticket < asked && sent.call.jobs().len() > 1,
            _ => false,
        };
        if !taken {
            return;
        }
        job.doings.lessen(|doings| doings.in_flight = None);
        // Nothing of a refused list is touched, so one that was taken speaks for all.
        let number = sent.isolation.take();
        let (gone, stay) = std::mem::take(&mut sent.of)
            .into_iter()
            .partition::<Vec<_>, _>(|(spot, _)| spot.1 == *id);
        sent.of = stay;
        sent.taken.push(id.clone());
        if let Some(ticket) = self.calls.one_too_many() {
            self.calls.in_flight.remove(&ticket);
            self.outputs.push(Output::LetGo(ticket));
        }
        self.narrow(number, None, now);
        for (spot, _) in gone {
            self.give_way(&spot);
            self.forget_unused(id);
        }
    }

    /// The answer of a call that some of its jobs had been seen to take: they may be where they should be by now.
    fn look_at_taken(&mut self, sent: &Sent, now: Moment) {
        for id in &sent.taken {
            let state = self.jobs.get(id).and_then(|job| job.state());
            if matches!(state, Some(JobState::Closing | JobState::Opening)) {
                self.reads.look_after_call(id, sent, now);
            }
        }
    }
}

/// What was answered and shows no effect is repeated, and counted.
fn should_show(call: &Call) -> bool {
    matches!(call, Call::Close(_) | Call::StartDatafeed { .. })
}
