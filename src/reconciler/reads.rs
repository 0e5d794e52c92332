//! Shared reads for all objects of a cluster: one list of configs, one list of tasks, states only where something moves.
//!
//! Jobs ask to be looked at by a time; what is due together is read together, and while one read is in flight the next
//! ones gather. At rest the tasks tell when a state has changed; where they may not be read, some of the quiet jobs are
//! asked at a time, in turn. A cluster in trouble is probed with growing gaps, once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::cover::cover;
use super::decision::Decision;
use super::input::{Answer, Listing, Moment, Output, Question, SeenJob, Tasks, Ticket, Trouble};
use super::turns::Lane;
use super::{Reconciler, pace};
use crate::api::{DatafeedId, JobId, JobPattern, JobState};

/// Looks within this time of one that is due go with it.
const TOGETHER: Duration = Duration::from_millis(100);
/// Bytes of ids that are asked for in one turn of the roll call: one request line.
const ROLL_BYTES: usize = 3500;
/// More jobs than this are asked for all at once, where they are most of the cluster's.
const ASK_FOR_ALL: usize = 400;

/// What is to be read, and what is being read.
#[derive(Debug, Clone, Default)]
pub(super) struct Reads {
    looks: BTreeMap<JobId, Duration>,
    by_time: BTreeSet<(Duration, JobId)>,
    states: Option<(Ticket, Vec<JobId>)>,
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
    rolled: Option<JobId>,
    rolling: BTreeSet<JobId>,
    /// Jobs that run and that no list has named.
    unheard: BTreeSet<JobId>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Due {
    at: Option<Duration>,
    asked: Option<Ticket>,
}

impl Due {
    pub(super) fn by(&mut self, at: Duration) {
        self.at = Some(self.at.map_or(at, |set| set.min(at)));
    }

    fn is_due(&self, now: Duration) -> bool {
        self.asked.is_none() && self.at.is_some_and(|at| at <= now)
    }

    fn next(&self) -> Option<Duration> {
        self.at.filter(|_| self.asked.is_none())
    }
}

impl Reads {
    /// Asks for a read of the job's state at `at` or earlier.
    pub(super) fn look(&mut self, job: &JobId, at: Duration) {
        let at = self.looks.get(job).map_or(at, |set| at.min(*set));
        self.forget(job);
        self.looks.insert(job.clone(), at);
        self.by_time.insert((at, job.clone()));
    }

    /// When a job is looked at that was just called, or found: at once where somebody waits for it, else with others.
    pub(super) fn soon(&self, now: Duration, lane: Lane) -> Duration {
        match lane {
            Lane::Fresh => now,
            Lane::Slow => self.shared(now, now + pace::LOOK_TOGETHER),
        }
    }

    /// When a job is looked at again that is to be looked at within `gap`.
    pub(super) fn within(&self, now: Duration, gap: Duration, lane: Lane) -> Duration {
        match lane {
            Lane::Fresh => now + gap,
            Lane::Slow => self.shared(now + gap * 3 / 4, now + gap),
        }
    }

    /// The first moment from `earliest` on at which others are looked at anyway, or else the latest.
    fn shared(&self, earliest: Duration, latest: Duration) -> Duration {
        let planned = self.by_time.iter();
        let mut planned = planned.map(|(at, _)| *at).skip_while(|at| *at < earliest);
        planned.next().map_or(latest, |at| at.min(latest))
    }

    pub(super) fn forget(&mut self, job: &JobId) {
        if let Some(at) = self.looks.remove(job) {
            self.by_time.remove(&(at, job.clone()));
        }
    }

    /// A read of the job's state is on its way, sent under this ticket.
    pub(super) fn looking(&self, job: &JobId) -> Option<Ticket> {
        let (ticket, jobs) = self.states.as_ref()?;
        jobs.binary_search(job).ok().map(|_| *ticket)
    }

    /// Asks for the configs at `at` or earlier.
    pub(super) fn list_by(&mut self, at: Duration) {
        self.list.by(at);
    }

    /// Asks for the first list, where that is not on its way.
    pub(super) fn list_first(&mut self, at: Duration) {
        if self.list.asked.is_none() {
            self.list.by(at);
        }
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

    fn take_due(&mut self, until: Duration) -> Vec<JobId> {
        let due = self.by_time.iter().take_while(|(at, _)| *at <= until);
        let jobs: BTreeSet<JobId> = due.map(|(_, job)| job.clone()).collect();
        for job in &jobs {
            self.forget(job);
        }
        jobs.into_iter().collect()
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
        probing && (reads.states.is_some() || single.iter().any(|due| due.asked.is_some()))
    }

    fn question(&mut self, question: Question) -> Ticket {
        let ticket = self.ticket();
        self.outputs.push(Output::Read { ticket, question });
        ticket
    }

    fn read_states(&mut self, now: Duration, probing: bool) {
        let due = self.reads.by_time.first().is_some_and(|(at, _)| *at <= now);
        let waits_for_list = !self.catalogue.is_known();
        if !due || self.reads.states.is_some() || waits_for_list {
            return;
        }
        let mut jobs = self.reads.take_due(now + TOGETHER);
        if probing {
            for job in jobs.split_off(1.min(jobs.len())) {
                self.reads.look(&job, now);
            }
        }
        let rolled = std::mem::take(&mut self.reads.rolling);
        let datafeeds = self.datafeeds_of(&jobs, &rolled);
        let ticket = self.question(Question::States {
            wildcards: self.wildcards(&jobs),
            jobs: jobs.clone(),
            datafeeds,
        });
        self.reads.states = Some((ticket, jobs));
    }

    /// What fits into one request is asked for by its ids.
    fn wildcards(&self, jobs: &[JobId]) -> Vec<JobPattern> {
        let bytes: usize = jobs.iter().map(super::batch::cost).sum();
        if bytes <= ROLL_BYTES || !self.catalogue.is_complete() {
            return Vec::new();
        }
        if jobs.len() > ASK_FOR_ALL && jobs.len() * 2 >= self.catalogue.len() {
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
            let odd = known.is_some_and(|job| job.in_flight.is_some() || job.odd_feed);
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

    /// Without the tasks, some of the quiet jobs are looked at each time, all of them in turn.
    fn call_the_roll(&mut self, now: Duration) {
        let Some(roll) = self.reads.roll.as_mut().filter(|roll| roll.is_due(now)) else {
            return;
        };
        roll.at = Some(now + pace::ROLL);
        let start = match self.reads.rolled.take() {
            Some(last) => std::ops::Bound::Excluded(last),
            None => std::ops::Bound::Unbounded,
        };
        let (mut bytes, mut last) = (0, None);
        for job in self
            .jobs
            .range((start, std::ops::Bound::Unbounded))
            .map(|(job, _)| job)
        {
            bytes += super::batch::cost(job);
            if bytes > ROLL_BYTES {
                break;
            }
            self.reads.look(job, now);
            self.reads.rolling.insert(job.clone());
            last = Some(job.clone());
        }
        // At the end the next turn begins at the first.
        let more = last
            .as_ref()
            .is_some_and(|last| self.jobs.keys().next_back() != Some(last));
        self.reads.rolled = last.filter(|_| more);
    }

    /// Looks at a job, where no read is on its way that was sent under ticket `from` or later and will tell the same.
    pub(super) fn look_now(&mut self, id: &JobId, from: Ticket, at: Duration) {
        let asked = self.reads.looking(id).filter(|asked| *asked >= from);
        let known = self.jobs.get(id);
        // What a call has touched is looked at when that was planned at its end, together with others.
        let touched = known
            .and_then(|job| job.seen.as_ref())
            .is_some_and(|seen| !seen.current);
        let planned = self
            .reads
            .looks
            .get(id)
            .is_some_and(|set| *set <= at + pace::LOOK_TOGETHER);
        let awaited = asked.is_some_and(|asked| known.is_some_and(|job| job.believes(asked)));
        if awaited || touched && planned {
            return;
        }
        self.reads.look(id, at);
    }

    /// When the next read becomes due.
    pub(super) fn next_read(&self) -> Option<Duration> {
        let probing = self.health.trouble().is_some();
        if !self.health.readable() || self.objects.is_empty() || self.is_answered_enough(probing) {
            return None;
        }
        let reads = &self.reads;
        let listed = self.catalogue.is_known();
        let free = reads.states.is_none() && listed;
        let look = reads.by_time.first().map(|(at, _)| *at).filter(|_| free);
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
        } else if let Some((_, jobs)) = reads.states.take_if(|(sent, _)| *sent == ticket) {
            let meant = jobs.iter().filter(|job| self.jobs.contains_key(*job));
            for job in meant.filter(|_| answer.is_err()) {
                reads.look(job, again);
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
            Answer::Tasks(_) | Answer::States(_) => None,
        };
        if self.health.answered(mode, now) {
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
            Answer::States(states) => self.see(ticket, states, now),
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
        for (key, object) in self
            .objects
            .iter()
            .filter(|(_, object)| object.list_from > before)
        {
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
            self.look_now(&id, Ticket::default(), now.monotonic);
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
        for object in self.objects.values_mut() {
            for (_, member) in object.members.iter_mut() {
                if *member.facts() != super::facts::Facts::NONE {
                    member.facts_mut().outage();
                }
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
            let Some(news) = job.see(ticket, found, now) else {
                // Sent before the last call ended: what it says is of the time before.
                self.reads.look(&id, now.monotonic);
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
