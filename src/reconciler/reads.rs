//! Shared reads for all objects of a cluster: one list of configs, one list of tasks, states only where something moves.
//!
//! Jobs ask to be looked at by a time; what is due together is read together, and while one read is in flight the next
//! ones gather; only the end of an edit is read beside a read of very many. At rest the tasks tell when a state has
//! changed; where they may not be read, some of the quiet jobs are asked at a time, in turn. A cluster in trouble is probed
//! with growing gaps, once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::calls::{FEW, Sent};
use super::cover::cover;
use super::decision::Decision;
use super::due::Due;
use super::input::{Answer, Listing, Moment, Output, Question, SeenJob, Tasks, Ticket, Trouble};
use super::looks::{Looks, VERY_MANY};
use super::turns::Lane;
use super::untold::Untold;
use super::{Reconciler, pace};
use crate::api::{DatafeedId, JobId, JobPattern, JobState};

/// Bytes of ids that are asked for in one request line.
pub(super) const LINE: usize = 3500;

/// What is to be read, and what is being read.
#[derive(Debug, Clone, Default)]
pub(super) struct Reads {
    pub(super) looks: Looks,
    pub(super) untold: Untold,
    /// The reads of states that are on their way: one, and beside one of very many jobs another of a few.
    states: Vec<(Ticket, Vec<JobId>)>,
    /// The list, the tasks, upgrade mode: when next, and the read in flight.
    list: Due,
    /// The newest list that was taken.
    listed: Ticket,
    pub(super) tasks: Due,
    /// The newest read of the tasks that was answered.
    pub(super) tasks_told: Ticket,
    info: Due,
    /// The tasks may not be read, so jobs are asked in turn; the last one that was.
    pub(super) roll: Option<Due>,
    pub(super) rolled: Option<JobId>,
    pub(super) rolling: BTreeSet<JobId>,
    /// Jobs that run and that no list has named.
    unheard: BTreeSet<JobId>,
}

impl Reads {
    /// Looks at a job after a call for it: where somebody waits for it, also beside a read of very many.
    pub(super) fn look_after_call(&mut self, job: &JobId, call: &Sent, now: Moment) {
        self.looks.gather(job, now.monotonic, call.lane);
        if call.lane == Lane::Fresh && call.call.jobs().len() <= FEW {
            self.looks.hurry(job);
        }
    }

    /// The newest read of the job's state that is on its way was sent under this ticket.
    pub(super) fn looking(&self, job: &JobId) -> Option<Ticket> {
        let reads = self.states.iter();
        let of = reads.filter(|(_, jobs)| jobs.binary_search(job).is_ok());
        of.map(|(ticket, _)| *ticket).max()
    }

    /// What may be asked for beside a read that is on its way: nothing, but a few jobs beside very many.
    fn take_hurried(&mut self) -> Vec<JobId> {
        match self.states.as_slice() {
            [(_, jobs)] if jobs.len() > VERY_MANY => self.looks.take_hurried(),
            _ => Vec::new(),
        }
    }

    /// Asks for the configs at `at` or earlier.
    pub(super) fn list_by(&mut self, at: Duration) {
        self.list.by(at);
    }

    /// The newest list that was taken.
    pub(super) fn listed(&self) -> Ticket {
        self.listed
    }

    /// Asks for upgrade mode at `at` or earlier.
    pub(super) fn ask_info(&mut self, at: Duration) {
        self.info.by(at);
    }

    /// Another cluster, or other rights: what may be read is found out anew.
    pub(super) fn reconnected(&mut self, now: Moment) {
        self.roll = None;
        self.list.by(now.monotonic);
        self.tasks.by(now.monotonic);
    }
}

impl Reconciler {
    /// Sends the reads that are due.
    pub(super) fn send_reads(&mut self, now: Moment) {
        let nothing_to_know = self.objects.is_empty();
        if !self.health.readable() || nothing_to_know || now.monotonic < self.health.retry_at() {
            return;
        }
        let at = now.monotonic;
        // While a cluster is in trouble one question is enough to find out whether that has ended.
        let probing = self.health.trouble().is_some();
        if self.is_answered_enough(probing) {
            return;
        }
        if self.reads.list.is_due(at) {
            let asked = Some(self.question(Question::Catalogue));
            self.reads.list = Due { at: None, asked };
        }
        // They are compared with the jobs that are meant, which only the list tells.
        let listed = self.catalogue.is_known();
        if listed && !self.is_answered_enough(probing) && self.reads.tasks.is_due(at) {
            let asked = Some(self.question(Question::Tasks));
            self.reads.tasks = Due { at: None, asked };
        }
        if !self.is_answered_enough(probing) && self.reads.info.is_due(at) {
            let asked = Some(self.question(Question::Info));
            self.reads.info = Due { at: None, asked };
        }
        if self.is_answered_enough(probing) {
            return;
        }
        self.call_the_roll(at);
        self.read_states(at, probing);
    }

    /// A probe is on its way, and one is enough.
    fn is_answered_enough(&self, probing: bool) -> bool {
        let reads = &self.reads;
        let single = [&reads.list, &reads.tasks, &reads.info];
        let single = single.iter().any(|due| due.asked.is_some());
        probing && (single || !reads.states.is_empty())
    }

    fn question(&mut self, question: Question) -> Ticket {
        let ticket = self.ticket();
        self.outputs.push(Output::Read { ticket, question });
        ticket
    }

    /// The answer of a call is followed by looks, also where all of its jobs were seen to be taken.
    fn more_looks_may_come(&self) -> bool {
        !self.calls.in_flight.is_empty()
    }

    fn read_states(&mut self, now: Duration, probing: bool) {
        let more_may_come = self.more_looks_may_come();
        let next = self.reads.looks.next(more_may_come);
        if next.is_none_or(|at| at > now) {
            return;
        }
        let mut jobs = if self.reads.states.is_empty() {
            self.reads.looks.take(now, more_may_come)
        } else {
            self.reads.take_hurried()
        };
        for job in self.reads.untold.split(&mut jobs) {
            self.reads.looks.by(&job, now);
        }
        if jobs.is_empty() {
            return;
        }
        if probing {
            for job in jobs.split_off(1.min(jobs.len())) {
                self.reads.looks.by(&job, now);
            }
        }
        let rolling = &mut self.reads.rolling;
        let rolled = jobs.iter().filter(|job| rolling.remove(*job)).cloned();
        let rolled: BTreeSet<JobId> = rolled.collect();
        let datafeeds = self.datafeeds_of(&jobs, &rolled);
        let ticket = self.question(Question::States {
            wildcards: self.wildcards(&jobs),
            jobs: jobs.clone(),
            datafeeds,
        });
        self.reads.states.push((ticket, jobs));
    }

    /// What fits into one request is asked for by its ids.
    fn wildcards(&self, jobs: &[JobId]) -> Vec<JobPattern> {
        let bytes: usize = jobs.iter().map(super::batch::cost).sum();
        if bytes <= LINE || !self.catalogue.is_complete() {
            return Vec::new();
        }
        if jobs.len() > VERY_MANY && jobs.len() * 2 >= self.catalogue.len() {
            return JobPattern::parse("*").into_iter().collect();
        }
        cover(jobs, &self.catalogue)
    }

    /// Those that may run: their state was never seen, they ran, the job moves, or nothing else would tell.
    fn datafeeds_of(&self, jobs: &[JobId], rolled: &BTreeSet<JobId>) -> Vec<(JobId, DatafeedId)> {
        let wanted = jobs.iter().filter_map(|job| {
            let id = self.catalogue.datafeed(job)?;
            let known = self.jobs.get(job);
            let seen = known.and_then(|job| job.seen.as_ref());
            let feed = seen.and_then(|seen| seen.datafeed.as_ref());
            let stopped = feed.is_some_and(|feed| !feed.runs() && feed.id == *id);
            let odd =
                known.is_some_and(|job| job.doings.in_flight.is_some() || job.doings.odd_feed);
            (!stopped || odd || rolled.contains(job) || self.is_wanted_open(job))
                .then(|| (job.clone(), id.clone()))
        });
        wanted.collect()
    }

    fn is_wanted_open(&self, job: &JobId) -> bool {
        let users = self.jobs.get(job).into_iter().flat_map(|job| &job.users);
        users
            .filter_map(|key| self.objects.get(key))
            .any(|object| object.enforces() == Some(super::input::Wanted::Opened))
    }

    /// Looks at a job, where no read is on its way that was sent under ticket `from` or later and will tell the same.
    pub(super) fn look_soon(&mut self, id: &JobId, from: Ticket, lane: Lane, now: Moment) {
        let asked = self.reads.looking(id).filter(|asked| *asked >= from);
        let known = self.jobs.get(id);
        // What a call has touched is looked at when that was planned at its end, together with others.
        let touched = known
            .and_then(|job| job.seen.as_ref())
            .is_some_and(|seen| !seen.current);
        let planned_at = self.reads.looks.planned(id);
        let planned = planned_at.is_some_and(|set| set <= now.monotonic + pace::LOOK_TOGETHER);
        if planned_at.is_some() && self.reads.untold.spell(id, from).is_some() {
            return;
        }
        let awaited = asked.is_some_and(|asked| known.is_some_and(|job| job.believes(asked)));
        if awaited || touched && planned {
            return;
        }
        self.reads.looks.gather(id, now.monotonic, lane);
    }

    /// When the next read becomes due.
    pub(super) fn next_read(&self) -> Option<Duration> {
        let probing = self.health.trouble().is_some();
        if !self.health.readable() || self.objects.is_empty() || self.is_answered_enough(probing) {
            return None;
        }
        let reads = &self.reads;
        let listed = self.catalogue.is_known();
        let look = reads.looks.next(self.more_looks_may_come());
        let look = look.filter(|_| reads.states.is_empty());
        let roll = reads.roll.as_ref().and_then(Due::next);
        let tasks = reads.tasks.next().filter(|_| listed);
        let next = [look, reads.list.next(), tasks, reads.info.next(), roll];
        let next = next.into_iter().flatten().min()?;
        Some(next.max(self.health.retry_at()))
    }

    /// A read was answered.
    pub(super) fn read(&mut self, ticket: Ticket, answer: Result<Answer, Trouble>, now: Moment) {
        let asked = Some(ticket);
        let reads = &mut self.reads;
        let again = now.monotonic;
        let singles = [&mut reads.list, &mut reads.tasks, &mut reads.info];
        if let Some(due) = singles.into_iter().find(|due| due.asked == asked) {
            due.asked = None;
            if answer.is_err() {
                due.by(again);
            }
        } else if let Some(at) = reads.states.iter().position(|(sent, _)| *sent == ticket) {
            let (_, jobs) = reads.states.swap_remove(at);
            if let Ok(Answer::States(states, undecided)) = &answer {
                self.note_untold(ticket, &jobs, (states, undecided), now);
            } else {
                let meant = jobs.iter().filter(|job| self.jobs.contains_key(*job));
                meant.for_each(|job| reads.looks.by(job, again));
            }
        } else {
            return;
        }
        match answer {
            Ok(answer) => self.answered(ticket, answer, now),
            Err(trouble) => self.in_trouble(trouble, now),
        }
    }

    fn answered(&mut self, ticket: Ticket, answer: Answer, now: Moment) {
        let mode = match &answer {
            Answer::Catalogue(listing) => Some(listing.upgrade_mode),
            Answer::Info(mode) => Some(*mode),
            Answer::Tasks(_) | Answer::States(..) => None,
        };
        if self.health.answered(mode, now) {
            self.reads.untold.lose_count(now);
            self.wake_all();
        }
        if self.health.upgrade_mode() {
            self.reads.ask_info(now.monotonic + pace::UPGRADE_MODE_POLL);
        }
        match answer {
            Answer::Catalogue(listing) => self.listed(ticket, listing, now),
            Answer::Tasks(Some(tasks)) => {
                self.tasked(ticket, &tasks, now);
                self.told_kinds(ticket);
            }
            Answer::Tasks(None) => {
                let mut roll = Due::default();
                roll.by(now.monotonic + pace::ROLL);
                self.reads.roll.get_or_insert(roll);
                self.told_kinds(ticket);
            }
            Answer::Info(_) => {}
            Answer::States(states, _) => self.see(ticket, states, now),
        }
    }

    fn listed(&mut self, ticket: Ticket, listing: Listing, now: Moment) {
        let requests = listing.requests.max(1);
        let first = !self.catalogue.is_known();
        let Some(changes) = self.catalogue.take(listing) else {
            return self.reads.list_by(now.monotonic + pace::DOUBT);
        };
        let gap = pace::CATALOGUE_FOR_EACH_REQUEST * requests;
        self.reads.list_by(now.monotonic + gap);
        self.relist(&changes, first, ticket, now);
        if first {
            let objects = self.objects.iter();
            let late = objects.filter(|(_, object)| object.sight_from > ticket);
            for key in late.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
                self.doubt(&key, now);
            }
        }
        let before = std::mem::replace(&mut self.reads.listed, ticket);
        let restless = self.objects.all_restless();
        for (key, object) in restless.filter(|(_, object)| object.list_from > before) {
            let held = object
                .members
                .iter()
                .filter(|(_, member)| matches!(member.decision, Some(Decision::Hold(_))));
            self.due
                .extend(held.map(|(job, _)| (key.clone(), job.clone())));
        }
    }

    /// The tasks are a hint: whatever differs from what was seen is looked at, and nothing is believed.
    fn tasked(&mut self, ticket: Ticket, tasks: &Tasks, now: Moment) {
        self.reads.tasks.by(now.monotonic + pace::TASKS);
        let unheard = tasks
            .jobs
            .keys()
            .filter(|job| self.catalogue.config(job).is_none());
        let unheard: BTreeSet<JobId> = unheard.cloned().collect();
        let mut odd = Vec::new();
        for (id, job) in &mut self.jobs {
            let (task, feed) = (tasks.jobs.get(id).copied(), tasks.datafeeds.get(id));
            if job.compare(ticket, task, feed, now) {
                odd.push(id.clone());
            }
        }
        for id in odd {
            self.look_soon(&id, Ticket::default(), Lane::Fresh, now);
        }
        // New, or without its config for ever: that is worth one list, not one at each look.
        if self.catalogue.is_known() && !unheard.is_subset(&self.reads.unheard) {
            self.reads.list_by(now.monotonic);
        }
        self.reads.unheard = unheard;
    }

    /// The cluster as a whole did not answer: nobody's evidence grows, and whoever waits is told why.
    fn in_trouble(&mut self, trouble: Trouble, now: Moment) {
        self.lose_count();
        self.reads.untold.lose_count(now);
        if self.health.failed(trouble, now) {
            self.wake_all();
        }
    }

    /// A call was refused for the state of the whole cluster: the same, also where reads are answered.
    pub(super) fn refused_by_cluster(&mut self, trouble: Trouble, now: Moment) {
        self.lose_count();
        if self.health.refused(trouble, now) {
            self.wake_all();
        }
    }

    /// Nobody answers: what passes until somebody does is no evidence.
    pub(super) fn lose_count(&mut self) {
        for (_, object) in self.objects.all_restless_mut() {
            for (_, member) in object.members.iter_mut() {
                member.lose_count();
            }
        }
    }

    /// Takes what was found out, and wakes exactly the objects whose jobs changed or are on their way.
    pub(super) fn see(&mut self, ticket: Ticket, found: BTreeMap<JobId, SeenJob>, now: Moment) {
        for (id, found) in found {
            let Some(job) = self.jobs.get_mut(&id) else {
                continue;
            };
            let before = job.seen.clone();
            let upgrading = found.state.as_ref().is_some_and(|state| state.upgrade_mode);
            let state = found.state.as_ref().map(|state| state.state);
            // Sent before the last call ended it says what was before, and since then another look is planned.
            let Some(news) = job.see(ticket, found, now) else {
                continue;
            };
            let users = job.users.clone();
            if upgrading && !self.health.upgrade_mode() {
                // Believed until asked: a call that is refused for it would be the dearer way to find out.
                self.health.upgrading();
                self.reads.ask_info(now.monotonic);
            }
            if state.is_some_and(|state| state != JobState::Closed)
                && self.catalogue.config(&id).is_none()
            {
                self.reads.list_by(now.monotonic + pace::SWEEP / 3);
            }
            self.taken(&id, state, ticket, now);
            self.note_closing(&id);
            for key in users {
                if self.sees(&key, &id, before.as_ref(), news, ticket, now) {
                    self.due.insert((key, id.clone()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_waits_for_is_asked_for_beside_a_read_of_very_many_and_waits_for_one_of_fewer_or_for_two()
     {
        let hurried = JobId::parse("hurried").unwrap();
        let read = |count: usize| {
            let jobs = (0..count).map(|n| JobId::parse(&format!("j-{n:04}")).unwrap());
            (Ticket(1), jobs.collect::<Vec<_>>())
        };
        for (states, taken) in [
            (vec![read(VERY_MANY)], 0),
            (vec![read(VERY_MANY + 1)], 1),
            (vec![read(VERY_MANY + 1), read(1)], 0),
        ] {
            let mut reads = Reads {
                states,
                ..Reads::default()
            };
            reads.looks.by(&hurried, Duration::ZERO);
            reads.looks.hurry(&hurried);
            assert_eq!(reads.take_hurried().len(), taken);
        }
    }
}
