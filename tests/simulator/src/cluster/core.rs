//! The heart of the cluster: its state, its clock, its queue of events and the calls that wait.
//! Transitions are in the sibling files; this one only keeps order: nothing happens outside `settle`.

use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap},
};

use serde_json::{Value, json};

use super::{
    close::CloseCall,
    datafeed::{StartCall, StopCall},
    error::ApiError,
    model::{
        Calendars, Capacity, Change, Datafeed, Delay, Event, FeedTask, Job, JobTask, Knobs, Node,
        Notice, OnKill, Recovery, Ticket,
    },
    open::OpenCall,
};
use crate::profile::Profile;

/// How a call ends.
pub type Outcome = Result<Value, ApiError>;

/// What a call gives back: its end, or a ticket for it.
#[derive(Debug)]
pub enum Reply {
    /// The answer is known.
    Now(Outcome),
    /// The answer comes later under this ticket.
    Later(Ticket),
}

impl From<Outcome> for Reply {
    fn from(outcome: Outcome) -> Self {
        Self::Now(outcome)
    }
}

/// A call whose answer is still open.
#[derive(Debug)]
pub(super) enum Call {
    Close(CloseCall),
    Open(OpenCall),
    Start(StartCall),
    Stop(StopCall),
    /// An answer that is fixed already and only comes later (no master).
    Fixed(Outcome),
}

/// One Elasticsearch cluster.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the cluster of its own, any combination is possible"
)]
pub struct Cluster {
    pub(super) profile: Profile,
    pub(super) now: u64,
    pub(super) epoch: u64,
    pub(super) jobs: BTreeMap<String, Job>,
    /// Bytes of all jobs' memory limits.
    pub(super) memory_of_all: u64,
    /// How many jobs name a group: job ids and groups are one namespace.
    pub(super) group_uses: HashMap<String, usize>,
    pub(super) tasks: BTreeMap<String, JobTask>,
    pub(super) feeds: BTreeMap<String, Datafeed>,
    pub(super) feed_of_job: HashMap<String, String>,
    pub(super) feed_tasks: BTreeMap<String, FeedTask>,
    pub(super) calendars: Calendars,
    pub(super) indices: std::collections::BTreeSet<String>,
    /// Closed indices, of results or of data.
    pub(super) closed_indices: std::collections::BTreeSet<String>,
    pub(super) notices: Vec<Notice>,
    pub(super) nodes: Vec<Node>,
    pub(super) nodes_made: u64,
    pub(super) master: bool,
    pub(super) upgrade_mode: bool,
    pub(super) licence_valid: bool,
    pub(super) licence_type: String,
    pub(super) assign_enabled: bool,
    /// Indices whose primary shards are away: no job opens.
    pub(super) missing_primaries: Vec<String>,
    pub(super) transient: BTreeMap<String, String>,
    pub(super) persistent: BTreeMap<String, String>,
    pub(super) capacity: Capacity,
    pub(super) defaults: Knobs,
    pub(super) knobs: HashMap<String, Knobs>,
    pub(super) last_alloc: u64,
    pub(super) had_tasks: bool,
    /// Some task may be without a node; spares a walk over all tasks on each change.
    pub(super) maybe_unassigned: bool,
    pub(super) has_config_index: bool,
    /// A restart under way.
    pub(super) recovery: Option<Recovery>,
    pub(super) restarts: u64,
    /// Ms of one cluster-state update; 0 = no queue.
    pub(super) master_update: u64,
    /// Searches a real server would have made.
    pub(super) searches: Cell<u64>,
    /// Clock ms at which the master has worked off its queue.
    pub(super) master_idle_at: u64,
    pub(super) uuid: String,
    pub(super) name: String,
    pub(super) version: u64,
    events: BTreeMap<(u64, u64), Event>,
    event_seq: u64,
    pub(super) calls: HashMap<Ticket, Call>,
    pub(super) watchers: HashMap<String, Vec<Ticket>>,
    next_ticket: Ticket,
    finished: Vec<(Ticket, Outcome)>,
    changes: Vec<Change>,
    change_seq: u64,
}

/// The knobs of every job that has none of its own.
fn usual_knobs(profile: Profile) -> Knobs {
    Knobs {
        close: Delay::Ms(profile.default_close_ms()),
        // 7.10 was seen to answer 404 to a close that a force close overtook; later versions say why.
        on_kill: if profile.is_7() {
            OnKill::TaskGone
        } else {
            OnKill::Interrupted
        },
        lookback: Delay::Ms(100),
        feed_notice: Delay::Ms(2_000),
        ..Knobs::default()
    }
}

impl Cluster {
    /// An empty cluster of one node. `epoch` is the wall time, in ms since 1970, of clock 0.
    pub fn new(profile: Profile, epoch: u64) -> Self {
        let capacity = Capacity {
            max_open_jobs: profile.default_max_open_jobs(),
            max_opening: None,
            memory: 7_582_954_291,
            sums: profile.recorded(),
            lazy_nodes: false,
        };
        let mut cluster = Self {
            profile,
            epoch,
            master: true,
            licence_valid: true,
            licence_type: "trial".into(),
            assign_enabled: true,
            capacity,
            defaults: usual_knobs(profile),
            uuid: make_uuid(epoch, 7),
            name: "simulated".into(),
            version: 1,
            ..Self::default()
        };
        cluster.add_node();
        cluster.await_night();
        cluster
    }

    /// The profile it was made with.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Clock ms.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Wall time in ms since 1970 that corresponds to the clock.
    pub fn wall(&self) -> u64 {
        self.epoch + self.now
    }

    /// Lets time pass up to `now` (clock ms; never backwards) and does all that is due.
    pub fn advance(&mut self, now: u64) {
        let goal = now.max(self.now);
        while let Some((&key, _)) = self
            .events
            .first_key_value()
            .filter(|((due, _), _)| *due <= goal)
        {
            self.now = key.0.max(self.now);
            if let Some(event) = self.events.remove(&key) {
                self.happen(event);
            }
        }
        self.now = goal;
    }

    /// Does what is due at this moment.
    pub(super) fn settle(&mut self) {
        self.advance(self.now);
    }

    /// Clock ms of the next event.
    pub fn next_due(&self) -> Option<u64> {
        self.events.first_key_value().map(|((due, _), _)| *due)
    }

    /// Answers that have become known since the last call.
    pub fn take_finished(&mut self) -> Vec<(Ticket, Outcome)> {
        std::mem::take(&mut self.finished)
    }

    pub(super) fn happen(&mut self, event: Event) {
        match event {
            Event::Asked(update) => self.enqueue(*update),
            Event::CreateJob(ticket) => self.create_job_task(ticket),
            Event::Closing(job, alloc, why) => self.set_closing(&job, alloc, why),
            Event::Opened(job, alloc) => self.process_is_up(&job, alloc),
            Event::NativeClosed(job, alloc) => self.native_close_ended(&job, alloc),
            Event::RemoveJob(job, alloc, why) => self.remove_job_task(&job, alloc, why),
            Event::FeedStarted(feed, alloc) => self.feed_is_up(&feed, alloc),
            Event::FeedStopped(feed, alloc) => self.feed_has_stopped(&feed, alloc, "stopped"),
            Event::LookbackEnded(feed, alloc) => self.lookback_ended(&feed, alloc),
            Event::Night => self.night(),
            Event::Reassign => self.reassign(),
            Event::Recovered(restart, phase) => self.recovered(restart, phase),
            Event::Deadline(ticket) => self.deadline(ticket),
        }
    }

    fn deadline(&mut self, ticket: Ticket) {
        match self.calls.get(&ticket) {
            Some(Call::Close(_)) => self.close_deadline(ticket),
            Some(Call::Open(_)) => self.open_deadline(ticket),
            Some(Call::Start(_)) => self.start_deadline(ticket),
            Some(Call::Stop(_)) => self.stop_deadline(ticket),
            Some(Call::Fixed(outcome)) => {
                let outcome = outcome.clone();
                self.finish(ticket, outcome);
            }
            None => {}
        }
    }

    /// Puts an event onto the queue, `Delay` from now; a hang is never queued.
    pub(super) fn after(&mut self, delay: Delay, event: Event) {
        if let Delay::Ms(ms) = delay {
            self.event_seq += 1;
            self.events
                .insert((self.now.saturating_add(ms), self.event_seq), event);
        }
    }

    pub(super) fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        self.next_ticket
    }

    /// Ends a call.
    pub(super) fn finish(&mut self, ticket: Ticket, outcome: Outcome) {
        if self.calls.remove(&ticket).is_some() {
            self.finished.push((ticket, outcome));
        }
    }

    /// Registers a call and gives its answer at once if it ends in this moment.
    pub(super) fn wait_for(&mut self, ticket: Ticket) -> Reply {
        self.settle();
        let place = self.finished.iter().position(|(done, _)| *done == ticket);
        match place {
            Some(at) => Reply::Now(self.finished.swap_remove(at).1),
            None => Reply::Later(ticket),
        }
    }

    /// An answer that comes after a while, as master-node actions have it when there is no master.
    pub(super) fn answer_after(&mut self, ms: u64, outcome: Outcome) -> Reply {
        let ticket = self.ticket();
        self.calls.insert(ticket, Call::Fixed(outcome));
        self.after(Delay::Ms(ms), Event::Deadline(ticket));
        self.wait_for(ticket)
    }

    /// Master-node actions wait `master_timeout` (30 s) for a master (reference 9.5).
    pub(super) fn without_master(&mut self) -> Reply {
        self.answer_after(30_000, Err(ApiError::no_master()))
    }

    /// Whether there is an elected master.
    pub fn has_master(&self) -> bool {
        self.master
    }

    /// Whether upgrade mode is on.
    pub fn in_upgrade_mode(&self) -> bool {
        self.upgrade_mode
    }

    /// `cluster_uuid`.
    pub fn uuid(&self) -> &str {
        &self.uuid
    }

    /// `cluster_name`.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn knobs_of(&self, job: &str) -> Knobs {
        self.knobs.get(job).copied().unwrap_or(self.defaults)
    }

    pub(super) fn add_node(&mut self) {
        self.nodes_made += 1;
        let id = make_uuid(self.epoch, 100 + self.nodes_made);
        self.nodes.push(Node {
            id,
            name: format!("node-{}", self.nodes_made),
        });
    }

    /// Notes a change of state.
    pub(super) fn note(
        &mut self,
        subject: &'static str,
        id: &str,
        from: &str,
        to: &str,
        why: &str,
    ) {
        self.change_seq += 1;
        self.version += 1;
        self.changes.push(Change {
            seq: self.change_seq,
            at: self.now,
            subject,
            id: id.into(),
            from: from.into(),
            to: to.into(),
            why: why.into(),
        });
    }

    /// The log of changes as JSON.
    pub fn changes(&self) -> Vec<Value> {
        let line = |change: &Change| {
            let mut entry = json!({"seq": change.seq, "at_ms": change.at});
            if let Some(map) = entry.as_object_mut() {
                map.insert(change.subject.into(), change.id.clone().into());
                map.insert("from".into(), change.from.clone().into());
                map.insert("to".into(), change.to.clone().into());
                map.insert("why".into(), change.why.clone().into());
            }
            entry
        };
        self.changes.iter().map(line).collect()
    }

    /// Writes what Elasticsearch would write into `.ml-notifications`.
    pub(super) fn audit(&mut self, job: &str, message: &'static str) {
        self.notices.push(Notice {
            at: self.now,
            job: job.into(),
            message,
        });
    }

    /// The messages of `.ml-notifications` as JSON.
    pub fn notices(&self) -> Vec<Value> {
        let line = |notice: &Notice| json!({"at_ms": notice.at, "job": notice.job, "message": notice.message});
        self.notices.iter().map(line).collect()
    }

    /// Empties the log of changes and the notices.
    pub fn clear_changes(&mut self) {
        self.notices.clear();
        self.changes.clear();
    }
}

/// A 22-sign id of the shape Elasticsearch gives nodes and clusters, made from two numbers.
pub(super) fn make_uuid(seed: u64, salt: u64) -> String {
    const SIGNS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state = seed ^ salt.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut id = String::with_capacity(22);
    for _ in 0..22 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let at = usize::try_from(state >> 58).unwrap_or(0);
        id.push(char::from(SIGNS.get(at).copied().unwrap_or(b'A')));
    }
    id
}
