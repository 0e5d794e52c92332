//! What the stories of a job's whole life need of the world: deletion, a second brain, and rules that hold in every one.
//!
//! The rules are told by the calls themselves, never by what the operator says of them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::world::{FakeJob, World, key, moment, policy, secs};
use crate::api::{ConnectionKind, DatafeedState, JobId, JobState};
use crate::reconciler::Reconciler;
use crate::reconciler::input::*;

/// A call on its way: the states that show that a job took it, and the jobs that were not seen to.
type Called = (&'static [JobState], Vec<JobId>);

/// Held by every world: one call at a time for each job, and no open within a minute of a force.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    in_flight: BTreeMap<(u64, Ticket), Called>,
    forced: BTreeMap<JobId, Duration>,
}

impl Rules {
    /// Nobody waits for the answers any more.
    pub(super) fn crashed(&mut self) {
        self.in_flight.clear();
    }

    pub(super) fn call(&mut self, ticket: (u64, Ticket), call: &Call, now: Duration) {
        for id in call.jobs() {
            let twice = self
                .in_flight
                .iter()
                .find(|(_, (_, jobs))| jobs.contains(id));
            assert!(
                twice.is_none(),
                "{now:?}: {call:?} while {twice:?} is on its way"
            );
            match call {
                Call::ForceClose(_) => drop(self.forced.insert(id.clone(), now)),
                Call::Open(_) => {
                    let since = self.forced.get(id).map(|at| now - *at);
                    assert!(
                        since.is_none_or(|since| since >= secs(60)),
                        "{id} was forced {since:?} ago"
                    );
                }
                _ => {}
            }
        }
        let taken: &[JobState] = match call {
            Call::Close(_) => &[JobState::Closing],
            Call::Open(_) => &[JobState::Opening, JobState::Opened],
            _ => &[],
        };
        self.in_flight.insert(ticket, (taken, call.jobs().to_vec()));
    }

    pub(super) fn ended(&mut self, ticket: (u64, Ticket)) {
        self.in_flight.remove(&ticket);
    }

    /// What was seen to have taken a call may be called again.
    pub(super) fn told(&mut self, side: u64, input: &Input) {
        match input {
            Input::Called(ticket, _) => self.ended((side, *ticket)),
            Input::Read(_, Ok(Answer::States(states, _))) => {
                for ((of, _), (taken, jobs)) in &mut self.in_flight {
                    let is_taken = |job: &JobId| {
                        let seen = states.get(job).and_then(|seen| seen.state.as_ref());
                        seen.is_some_and(|seen| taken.contains(&seen.state))
                    };
                    jobs.retain(|job| *of != side || !is_taken(job));
                }
            }
            _ => {}
        }
    }
}

/// A job with this datafeed.
pub(super) fn fed(state: JobState, feed: DatafeedState) -> FakeJob {
    FakeJob::new(state).with_feed(feed)
}

impl World {
    /// A world with one job and an object of the same name.
    pub(super) fn of(name: &str, fake: FakeJob, wanted: Wanted) -> Self {
        let mut world = Self::new();
        world.jobs.insert(super::world::job(name), fake);
        world.apply(name, wanted, policy());
        world
    }

    /// The job of this name, to be changed.
    pub(super) fn fake(&mut self, name: &str) -> &mut FakeJob {
        self.jobs.get_mut(&super::world::job(name)).unwrap()
    }

    pub(super) fn want(&mut self, name: &str, wanted: Wanted) {
        self.edit(name, |desired| desired.wanted = wanted);
    }

    /// `kubectl delete`: at once, or when the last finalizer is off.
    pub(super) fn delete(&mut self, name: &str) {
        let key = key(name);
        if self.stored[&key].finalizers.is_empty() {
            self.stored.remove(&key);
            self.version += 1;
            let side = self.side_of(&key);
            return self.tell_to(side, Input::Gone(key));
        }
        let now = moment(self.clock).wall;
        self.edit(name, |desired| desired.deleting = Some(now));
    }

    /// `kubectl annotate`: no new generation.
    pub(super) fn annotate(&mut self, name: &str, value: &str) {
        self.version += 1;
        let version = self.version.to_string();
        let stored = self.stored.get_mut(&key(name)).unwrap();
        stored.desired.requested = Some(value.into());
        stored.resource_version = version.into();
        let delivered = stored.clone();
        self.tell(Input::Delivered(Box::new(delivered)));
    }

    pub(super) fn opens(&self) -> usize {
        self.count(|call| matches!(call, Call::Open(_)))
    }

    pub(super) fn starts(&self) -> usize {
        self.count(|call| matches!(call, Call::StartDatafeed { .. }))
    }

    pub(super) fn message(&self, name: &str, of: &str) -> String {
        let conditions = &self.status(name).conditions;
        let found = conditions.iter().find(|condition| condition.type_ == of);
        found
            .map(|condition| condition.message.clone())
            .unwrap_or_default()
    }

    pub(super) fn told(&self, reason: &str) -> Vec<&str> {
        let of = self.events.iter().filter(|event| event.reason == reason);
        of.map(|event| event.note.as_str()).collect()
    }

    /// The brain that an object belongs to.
    pub(super) fn side_of(&self, key: &ObjectKey) -> u64 {
        self.sides.get(key).copied().unwrap_or(1)
    }

    /// Tells one of two brains.
    pub(super) fn tell_to(&mut self, side: u64, input: Input) {
        if side == self.side {
            return self.tell(input);
        }
        self.swap();
        self.tell(input);
        self.swap();
    }

    fn swap(&mut self) {
        let other = self.other.as_mut().unwrap();
        std::mem::swap(&mut self.brain, other);
        self.side = 3 - self.side;
    }

    /// A second connection to the same cluster, with a brain of its own.
    pub(super) fn second_brain(&mut self) {
        self.other = Some(Box::new(Reconciler::new(
            ConnectionKind::default(),
            "second",
            moment(self.clock),
        )));
        self.tell_to(2, Input::Allowed(Allowances::All(self.allow.clone())));
        let usable = self.usable();
        self.tell_to(2, Input::Connection(Connection::Usable(usable)));
    }
}
