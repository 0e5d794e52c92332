//! Sending: what asks for a call waits its turn here, closes gather into lists, and never too many go at once.
//!
//! A close goes at once where none is on its way; while one is, the next gather and leave together. What waits is decided
//! anew when its turn comes, because the world may have changed. What an answer means is in `answers`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::batch::{Batch, Window, cost};
use super::decision::{Ask, Decision};
use super::input::{Call, Moment, ObjectKey, Output, Ticket, Uid, Usable, Wanted};
use super::isolate::Isolation;
use super::job::Job;
use super::member::Claimed;
use super::steps::is_close;
use super::turns::{Lane, Turns};
use super::{Reconciler, Spot, pace, report};
use crate::api::{JobId, JobState};

/// The default of `limits.maxClosing`, so that saving models does not flood the disks of a cluster.
const MAX_CLOSING: usize = 64;
/// Edits that somebody waits for, each by itself; more of them in one list are a flood.
pub(super) const FEW: usize = 8;
/// Bytes of ids in a list until the connection says how many fit.
const LIST_ROOM: usize = 2048;

/// What waits and what is on its way.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    pub(super) in_flight: BTreeMap<Ticket, Sent>,
    closes: Turns<Spot>,
    others: Turns<Spot>,
    /// Bytes of the ids that wait to be closed.
    waiting: usize,
    pub(super) window: Window,
    pub(super) isolations: BTreeMap<u64, Isolating>,
    /// Jobs that are closing, or are being asked to.
    pub(super) closing: BTreeSet<JobId>,
    /// How many of them there were when calls were sent last, and when there were fewer than before.
    held: usize,
    freed_at: Option<Duration>,
    list_room: usize,
    max_closing: usize,
}

/// A call on its way.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) call: Call,
    /// For whom; without those whose job was seen to have taken it.
    pub(super) of: Vec<(Spot, Uid)>,
    /// The jobs that were seen to have taken it: its answer says that it is worth looking at them.
    pub(super) taken: Vec<JobId>,
    pub(super) at: Duration,
    /// Whether its answer is looked into at once.
    pub(super) lane: Lane,
    pub(super) isolation: Option<u64>,
}

impl Sent {
    /// All of its jobs were seen to have taken it: it holds no place.
    pub(super) fn is_taken(&self) -> bool {
        self.of.is_empty()
    }
}

/// A refused list in which the refused ids are being sought.
#[derive(Debug, Clone)]
pub(super) struct Isolating {
    pub(super) search: Isolation,
    pub(super) owners: BTreeMap<JobId, ObjectKey>,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            in_flight: BTreeMap::new(),
            closes: Turns::default(),
            others: Turns::default(),
            waiting: 0,
            window: Window::default(),
            isolations: BTreeMap::new(),
            closing: BTreeSet::new(),
            held: 0,
            freed_at: None,
            list_room: LIST_ROOM,
            max_closing: MAX_CLOSING,
        }
    }
}

impl Calls {
    /// What the connection allows.
    pub(super) fn limit(&mut self, usable: &Usable) {
        self.list_room = usable.list_room.max(1);
        self.max_closing = usable.max_closing.max(1);
        self.window.limit(usable.max_in_flight);
    }

    /// Another cluster: nothing is on its way to it, or waits.
    pub(super) fn begin_anew(&mut self) {
        *self = Self {
            list_room: self.list_room,
            max_closing: self.max_closing,
            window: std::mem::take(&mut self.window),
            ..Self::default()
        };
    }

    /// Lists have to be shorter from now on.
    pub(super) fn shorten(&mut self, list_room: usize) {
        self.list_room = list_room.clamp(1, self.list_room);
    }

    /// The job holds no place in the wave.
    pub(super) fn free(&mut self, job: &JobId) {
        self.closing.remove(job);
    }

    /// Nothing is asked for it any more.
    pub(super) fn forget(&mut self, spot: &Spot) {
        if self.closes.contains(spot) {
            self.closes.forget(spot);
            self.waiting = self.waiting.saturating_sub(cost(&spot.1));
        }
        self.others.forget(spot);
    }

    fn wait(&mut self, spot: &Spot, ask: &Ask, lane: Lane, now: Moment) {
        let tenant = spot.0.namespace();
        if *ask != Ask::Close {
            if self.closes.contains(spot) {
                self.forget(spot);
            }
            return self.others.ask(tenant, spot.clone(), lane, now.monotonic);
        }
        if !self.closes.contains(spot) {
            self.waiting += cost(&spot.1);
        }
        self.closes.ask(tenant, spot.clone(), lane, now.monotonic);
    }

    fn take_close(&mut self, now: Moment) {
        if let Some(spot) = self.closes.next(now.monotonic) {
            self.waiting = self.waiting.saturating_sub(cost(&spot.1));
        }
    }

    fn has_slot(&self) -> bool {
        let in_flight = self.in_flight.values().filter(|sent| !sent.is_taken());
        in_flight.count() < self.window.size()
    }

    /// One answer of a master tells for all jobs that are closing.
    fn is_confirming(&self) -> bool {
        let confirms = |sent: &Sent| matches!(sent.call, Call::Confirm(_));
        self.in_flight.values().any(confirms)
    }

    /// The call that was sent first of those that need not be waited for, where there are too many of them.
    pub(super) fn one_too_many(&self) -> Option<Ticket> {
        let mut awaited = self.in_flight.iter().filter(|(_, sent)| sent.is_taken());
        let oldest = awaited.next().map(|(ticket, _)| *ticket);
        oldest.filter(|_| awaited.count() >= pace::MAX_AWAITED)
    }

    /// A list is on its way that may be answered any moment, so that it pays to gather until then.
    fn gathers_until(&self) -> Option<Duration> {
        let close = |sent: &&Sent| matches!(sent.call, Call::Close(_));
        let newest = self
            .in_flight
            .values()
            .filter(close)
            .map(|sent| sent.at)
            .max();
        newest.map(|at| at + pace::GATHER)
    }

    /// When closes may leave; `None` while none waits, or there is no place for any.
    fn closes_leave_at(&self) -> Option<Duration> {
        let (room, waiting) = (self.room(), self.closes.len());
        if waiting == 0 || room == 0 {
            return None;
        }
        let full = self.waiting > self.list_room || waiting >= self.max_closing;
        let gathered = self.gathers_until().filter(|_| !full);
        // Places come free one list after the other; what leaves together ends together, and is read together.
        let hurried = (1..=FEW).contains(&self.closes.fresh());
        let roomy = hurried || room >= waiting || room * 2 >= self.max_closing;
        let freed = self.freed_at.filter(|_| !roomy);
        let freed = freed.map(|at| at + pace::GATHER_PLACES);
        Some(gathered.max(freed).unwrap_or_default())
    }

    fn room(&self) -> usize {
        self.max_closing.saturating_sub(self.closing.len())
    }

    /// Notes when the first place came free since closes were sent.
    fn watch_room(&mut self, now: Moment) {
        if self.closing.len() < self.held {
            self.freed_at.get_or_insert(now.monotonic);
        }
        self.held = self.closing.len();
    }
}

impl Reconciler {
    /// Asks for a call: it is sent when its turn has come and there is room for it.
    pub(super) fn ask(&mut self, key: &ObjectKey, job: &JobId, ask: &Ask, now: Moment) {
        let Some(object) = self.objects.get(key) else {
            return;
        };
        let spot = (key.clone(), job.clone());
        self.calls.wait(&spot, ask, object.lane, now);
    }

    /// Sends what has its turn, as far as there is room.
    pub(super) fn send_calls(&mut self, now: Moment) {
        if self.health.trouble().is_some() {
            return;
        }
        self.calls.window.tick(now.monotonic);
        self.calls.watch_room(now);
        self.search_on(now);
        while self.calls.has_slot() {
            if let Some(spot) = self.calls.others.next(now.monotonic) {
                self.send_alone(spot, now);
            } else if self
                .calls
                .closes_leave_at()
                .is_some_and(|at| at <= now.monotonic)
            {
                self.send_list(now);
            } else {
                return;
            }
        }
    }

    /// When something that waits may be sent without another input.
    pub(super) fn next_call(&self) -> Option<Duration> {
        if self.health.trouble().is_some() {
            return None;
        }
        let calls = &self.calls;
        if calls.window.opens_at().is_some() {
            return calls.window.opens_at();
        }
        // What waits for a place is woken by the answer, or the read, that makes it.
        calls.closes_leave_at().filter(|_| calls.has_slot())
    }

    fn send_alone(&mut self, spot: Spot, now: Moment) {
        match self.decide(&spot.0, &spot.1, now) {
            Some(Decision::Call(Ask::Confirm)) if self.calls.is_confirming() => {
                self.wake_at(now.monotonic + pace::VERIFY_LATER, &spot.0, &spot.1);
            }
            Some(Decision::Call(ask)) if ask != Ask::Close => {
                let call = ask.call(spot.1.clone());
                self.send(call, &ask, vec![spot], None, now);
            }
            _ => drop(self.due.insert(spot)),
        }
    }

    /// Closes that wait, as many as fit; one that was refused before goes alone.
    fn send_list(&mut self, now: Moment) {
        let mut batch = Batch::new(self.calls.list_room, self.calls.room());
        let mut spots: Vec<Spot> = Vec::new();
        while let Some(spot) = self.calls.closes.first(now.monotonic).cloned() {
            let decision = self.decide(&spot.0, &spot.1, now);
            let closes = decision.as_ref().is_some_and(is_close);
            let failed = self
                .member(&spot.0, &spot.1)
                .is_some_and(|member| member.facts().failures > 0);
            if closes && (!batch.fits(&spot.1) || failed && !batch.is_empty()) {
                // It keeps its turn for the next list.
                break;
            }
            self.calls.take_close(now);
            if !closes {
                self.due.insert(spot);
                continue;
            }
            batch.push(spot.1.clone());
            spots.push(spot);
            if failed {
                break;
            }
        }
        if !spots.is_empty() {
            self.send_closes(spots, None, now);
        }
    }

    /// Goes on with the searches in refused lists.
    fn search_on(&mut self, now: Moment) {
        for number in self.calls.isolations.keys().copied().collect::<Vec<_>>() {
            if !self.calls.has_slot() {
                return;
            }
            self.withdraw_unwilling(number);
            let Some(found) = self.calls.isolations.get_mut(&number) else {
                continue;
            };
            let Some(ids) = found.search.ask() else {
                continue;
            };
            let owners = &found.owners;
            let spots = ids
                .iter()
                .filter_map(|id| Some((owners.get(id)?.clone(), id.clone())));
            let spots: Vec<Spot> = spots.collect();
            self.send_closes(spots, Some(number), now);
        }
    }

    /// Nothing is sent for an object that does not want it any more.
    fn withdraw_unwilling(&mut self, number: u64) {
        let Some(found) = self.calls.isolations.get_mut(&number) else {
            return;
        };
        let wants = |id: &&JobId| {
            let object = found.owners.get(*id).and_then(|key| self.objects.get(key));
            object.is_some_and(|object| {
                let member = object.members.get(id);
                object.enforces() == Some(Wanted::Closed)
                    && member.is_some_and(|member| member.claimed == Claimed::Ours)
            })
        };
        let unwilling: Vec<JobId> = found
            .search
            .waiting()
            .filter(|id| !wants(id))
            .cloned()
            .collect();
        let mut freed = Vec::new();
        for id in unwilling {
            found.search.withdraw(&id);
            if let Some(owner) = found.owners.get(&id) {
                freed.push((owner.clone(), id));
            }
        }
        if found.search.is_over() {
            self.calls.isolations.remove(&number);
        }
        self.acquit(freed);
    }

    fn send_closes(&mut self, spots: Vec<Spot>, isolation: Option<u64>, now: Moment) {
        let ids = spots.iter().map(|(_, job)| job.clone()).collect();
        self.send(Call::Close(ids), &Ask::Close, spots, isolation, now);
    }

    fn send(
        &mut self,
        call: Call,
        ask: &Ask,
        spots: Vec<Spot>,
        isolation: Option<u64>,
        now: Moment,
    ) {
        let ticket = self.ticket();
        let mut fresh = 0;
        let mut of = Vec::with_capacity(spots.len());
        for spot in spots {
            let Some(object) = self.objects.get(&spot.0) else {
                continue;
            };
            fresh += usize::from(object.lane == Lane::Fresh);
            of.push((spot.clone(), object.uid.clone()));
            self.sending(ticket, &spot, ask, now);
            // On its way it is looked at from time to time.
            self.due.insert(spot);
        }
        let mut objects: Vec<ObjectKey> = of.iter().map(|((key, _), _)| key.clone()).collect();
        objects.dedup();
        self.outputs.push(Output::Call {
            ticket,
            call: call.clone(),
            objects,
        });
        let sent = Sent {
            call,
            of,
            taken: Vec::new(),
            at: now.monotonic,
            lane: if (1..=FEW).contains(&fresh) {
                Lane::Fresh
            } else {
                Lane::Slow
            },
            isolation,
        };
        if matches!(sent.call, Call::Close(_)) {
            self.calls.freed_at = None;
        }
        self.calls.in_flight.insert(ticket, sent);
    }

    /// What is noted of a job when a call for it is sent.
    fn sending(&mut self, ticket: Ticket, spot: &Spot, ask: &Ask, now: Moment) {
        let (key, id) = spot;
        self.calls.forget(spot);
        let Some(job) = self.jobs.get_mut(id) else {
            return;
        };
        job.doings.in_flight = Some((ticket, ask.clone()));
        if *ask == Ask::Force {
            job.doings.forced = Some(now.monotonic);
        }
        let closed = job.state() == Some(JobState::Closed);
        let mut events = Vec::new();
        if let Some(object) = self.objects.get_mut(key) {
            events.extend(report::not_resumed(object, id, job, ask));
            let begins = object
                .members
                .get(id)
                .is_some_and(|member| !member.facts().in_progress() && !member.resuming);
            if begins && matches!(ask, Ask::Close | Ask::Force | Ask::StopDatafeed { .. }) {
                forget_resume(object, job);
            }
            if let Some(member) = object.members.get_mut(id) {
                // What confirms a close, or stops a stray datafeed, asks for no close.
                let stray = closed && matches!(ask, Ask::StopDatafeed { .. });
                if *ask != Ask::Confirm && !stray {
                    member.facts_mut().calling(now);
                }
                // What it learned since its last snapshot went with its node.
                if *ask == Ask::Close && lost_its_node(job) {
                    member.facts_mut().unsaved = true;
                }
                member.resuming |= matches!(ask, Ask::Open | Ask::StartDatafeed(_));
                if *ask == Ask::Force {
                    let facts = member.facts_mut();
                    facts.force_sent = Some(now.monotonic);
                    facts.verified_at = None;
                }
            }
            if *ask == Ask::Force {
                events.push(report::forcing(object, id, job, self.catalogue.config(id)));
            }
        }
        self.note_closing(id);
        for event in events {
            self.event(key, Some(id), event);
        }
    }

    /// Counts the job where it is closing, or is being asked to.
    pub(super) fn note_closing(&mut self, id: &JobId) {
        let job = self.jobs.get(id);
        let asked = job.is_some_and(|job| matches!(job.doings.in_flight, Some((_, Ask::Close))));
        let seen = job.and_then(|job| job.state());
        if asked || seen == Some(JobState::Closing) {
            self.calls.closing.insert(id.clone());
        } else {
            self.calls.closing.remove(id);
        }
    }
}

fn lost_its_node(job: &Job) -> bool {
    let seen = job.seen.as_ref().and_then(|seen| seen.state.as_ref());
    seen.is_some_and(|seen| seen.state == JobState::Opened && !seen.assigned)
}

/// The datafeed that ran at an earlier close says nothing about this one.
fn forget_resume(object: &mut super::object::Object, job: &Job) {
    let Some(feed) = job.seen.as_ref().and_then(|seen| seen.datafeed.as_ref()) else {
        return;
    };
    if !feed.runs() && object.resume.contains(&feed.id) {
        object.resume.lessen(|resume| resume.remove(&feed.id));
    }
}

#[cfg(test)]
impl Calls {
    pub(super) fn assert_at_rest(&self, jobs: &BTreeMap<JobId, Box<Job>>) {
        assert!(self.in_flight.is_empty(), "calls: {:?}", self.in_flight);
        assert!(self.isolations.is_empty());
        assert!(
            self.closing.iter().all(|id| jobs.contains_key(id)),
            "a job that nobody means holds a place: {:?}",
            self.closing
        );
        assert!(self.closes.is_empty() && self.others.is_empty() && self.waiting == 0);
    }
}

#[cfg(test)]
#[path = "calls_tests.rs"]
mod tests;
