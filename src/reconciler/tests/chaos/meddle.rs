//! What others do to the world of the random walk, what is left when they stop, and whether status agrees with it.

use std::sync::Arc;

use super::{Chaos, EXPRESSIONS, JOBS, OBJECTS};
use crate::api::{
    AnomalyJobStatus, CloseMode, DatafeedState, JobExpression, JobId, JobState, OnFailed,
    OnTimeout, Reason, TimeSpan,
};
use crate::reconciler::input::*;
use crate::reconciler::tests::world::{desired, job, key, moment, policy, trouble};

impl Chaos {
    pub(super) fn create(&mut self, name: &str) {
        self.uids += 1;
        let mut close = policy();
        close.timeout = TimeSpan::parse(self.rng.of(&["20s", "1m", "5m"])).unwrap();
        let wanted = if self.rng.chance(80) {
            Wanted::Closed
        } else {
            Wanted::Observed
        };
        let desired = Desired {
            suspended: self.rng.chance(10),
            ..desired(self.rng.of(&EXPRESSIONS), wanted, close)
        };
        self.world.version += 1;
        let delivered = Delivered {
            key: key(name),
            uid: Arc::from(format!("uid-{}", self.uids)),
            created_at: moment(self.world.clock).wall,
            generation: 1,
            finalizers: Vec::new(),
            resource_version: Arc::from(self.world.version.to_string()),
            desired,
            status: AnomalyJobStatus::default(),
        };
        self.world.stored.insert(key(name), delivered);
        self.watch(&key(name));
    }

    fn edit(&mut self, name: &str) {
        let what = self.rng.below(9);
        let pick = self.rng.next();
        let timeout = self.rng.of(&["20s", "1m", "5m", "10m"]);
        let expression = JobExpression::parse(self.rng.of(&EXPRESSIONS)).unwrap();
        self.world.edit_silently(name, |desired| match what {
            0 => {
                desired.close.on_timeout =
                    [OnTimeout::Force, OnTimeout::Wait, OnTimeout::Stall][(pick % 3) as usize];
            }
            1 => desired.close.on_failed = [OnFailed::Force, OnFailed::Stall][(pick % 2) as usize],
            2 => {
                desired.close.mode = [
                    CloseMode::Graceful,
                    CloseMode::Graceful,
                    CloseMode::Immediate,
                ][(pick % 3) as usize];
            }
            3 => desired.close.timeout = TimeSpan::parse(timeout).unwrap(),
            4 => desired.suspended = !desired.suspended,
            5 => desired.wanted = Wanted::Observed,
            6 => desired.wanted = Wanted::Closed,
            7 => desired.scope.expression = expression,
            _ => desired.suspended = false,
        });
        self.watch(&key(name));
    }

    /// Somebody else writes the object without changing its spec.
    fn touch(&mut self, name: &str, wipe: bool) {
        self.world.version += 1;
        let version = Arc::from(self.world.version.to_string());
        if let Some(stored) = self.world.stored.get_mut(&key(name)) {
            stored.resource_version = version;
            if wipe {
                stored.status = AnomalyJobStatus::default();
            }
            self.watch(&key(name));
        }
    }

    fn delete(&mut self, name: &str) {
        let key = key(name);
        if self.rng.chance(40) {
            let now = moment(self.world.clock).wall;
            self.world
                .edit_silently(name, |desired| desired.deleting = Some(now));
            self.watch(&key);
        } else {
            self.world.version += 1;
            self.world.stored.remove(&key);
            if self.rng.chance(50) {
                self.create(name);
            } else {
                self.watch(&key);
            }
        }
    }

    pub(super) fn meddle(&mut self) {
        let name = self.rng.of(&OBJECTS);
        let id = job(self.rng.of(&JOBS));
        let exists = self.world.stored.contains_key(&key(name));
        match self.rng.below(34) {
            _ if !exists && self.rng.chance(30) => self.create(name),
            0..=4 if exists => self.edit(name),
            5 if exists => self.delete(name),
            6 if exists => self.touch(name, true),
            7 if exists => self.touch(name, false),
            8 if !self.history.is_empty() => self.crash(),
            9 | 10 => {
                self.world.trouble = self
                    .rng
                    .chance(40)
                    .then(|| trouble(Reason::ClusterUnreachable));
            }
            11 => self.world.upgrade_mode = self.rng.chance(40),
            12 => self.world.api_server_down = self.rng.chance(40),
            13 => self.world.lose_acks = self.rng.chance(40),
            14 => {
                self.lossy = !self.lossy && self.rng.chance(50);
                if !self.lossy {
                    self.relist();
                }
            }
            15 => {
                let reason = self
                    .rng
                    .of(&[Reason::ConnectionNotFound, Reason::ClusterUnreachable]);
                self.handle(Input::Connection(Connection::Unusable(trouble(reason))));
            }
            16 | 17 => self.connect(),
            18..=21 => {
                let state = self
                    .rng
                    .of(&[JobState::Opened, JobState::Opened, JobState::Opening]);
                let fake = self.fake(id.as_str(), state);
                self.world.jobs.insert(id, fake);
            }
            22 => drop(self.world.jobs.remove(&id)),
            _ => self.break_job(&id),
        }
        self.ghost.sync(&self.world);
    }

    fn break_job(&mut self, id: &crate::api::JobId) {
        let what = self.rng.below(8);
        let Some(fake) = self.world.jobs.get_mut(id) else {
            return;
        };
        match what {
            0 if fake.state != JobState::Closed => {
                fake.state = JobState::Failed;
                fake.closes_at = None;
            }
            1 => fake.assigned = false,
            2 => fake.assigned = true,
            3 => fake.blocked = !fake.blocked,
            4 => fake.config = !fake.config,
            5 if fake.state == JobState::Opening => fake.state = JobState::Opened,
            6 => {
                if let Some((_, state)) = &mut fake.datafeed {
                    *state = DatafeedState::Started;
                }
            }
            _ => fake.config = true,
        }
    }

    /// The faults stop; what remains is what Elasticsearch and the specs are now.
    pub(super) fn calm(&mut self) {
        self.faults = false;
        self.world.trouble = None;
        self.world.upgrade_mode = false;
        self.world.api_server_down = false;
        self.world.lose_acks = false;
        self.lossy = false;
        for fake in self.world.jobs.values_mut() {
            fake.ignores_force = false;
        }
        self.ghost.sync(&self.world);
        self.connect();
        self.relist();
    }

    /// Another object acts on the job, because it is older, or of an earlier name where they are of one age.
    fn has_an_older_rival(&self, of: &Delivered, id: &JobId) -> bool {
        let rank = |object: &Delivered| (object.created_at, object.key.clone());
        self.world.stored.values().any(|other| {
            let desired = &other.desired;
            let enforces = desired.wanted == Wanted::Closed
                && !desired.suspended
                && desired.deleting.is_none();
            enforces && meant(desired).contains(id) && rank(other) < rank(of)
        })
    }

    pub(super) fn agree(&self) {
        for (key, object) in &self.world.stored {
            if object.desired.deleting.is_some() {
                continue;
            }
            let status = &object.status;
            let find = |of: &str| {
                status
                    .conditions
                    .iter()
                    .find(|c| c.type_ == of)
                    .map(|c| (c.status.as_str(), c.reason.as_str()))
            };
            let (ready, closed, stalled, reconciling) = (
                find("Ready"),
                find("Closed"),
                find("Stalled"),
                find("Reconciling"),
            );
            let ids = meant(&object.desired);
            let told = format!(
                "{key} {:?} {:#?} {status:#?}",
                object.desired,
                ids.iter()
                    .map(|id| self.world.jobs.get(id))
                    .collect::<Vec<_>>()
            );
            assert_eq!(status.observed_generation, object.generation, "{told}");
            let known = |id: &JobId| {
                let fake = self.world.jobs.get(id);
                fake.filter(|fake| fake.config || fake.state != JobState::Closed)
            };
            let [id] = ids.as_slice() else {
                let all = ids
                    .iter()
                    .all(|id| known(id).is_some_and(|fake| fake.state == JobState::Closed));
                assert_eq!(
                    closed.map(|c| c.0),
                    Some(if all { "True" } else { "False" }),
                    "{told}"
                );
                continue;
            };
            let fake = known(id);
            let state = fake.map(|fake| fake.state);
            assert_eq!(
                closed.map(|c| c.0),
                Some(if state == Some(JobState::Closed) {
                    "True"
                } else {
                    "False"
                }),
                "{told}"
            );
            if object.desired.suspended {
                assert_eq!(ready, Some(("False", "Suspended")), "{told}");
                continue;
            }
            if object.desired.wanted == Wanted::Observed {
                assert_eq!(ready, Some(("True", "Observing")), "{told}");
                continue;
            }
            let close = &object.desired.close;
            if self.has_an_older_rival(object, id) {
                assert_eq!(stalled, Some(("True", "Conflict")), "{told}");
                continue;
            }
            let expected = match (state, fake.is_some_and(|fake| fake.config)) {
                (None, _) => "JobNotFound",
                (Some(_), false) if close.on_failed == OnFailed::Stall => "ConfigLost",
                (Some(_), true) if fake.is_some_and(|fake| fake.blocked) => "JobBlocked",
                (Some(JobState::Closed), true) => "InDesiredState",
                (Some(JobState::Failed), true) if close.on_failed == OnFailed::Stall => "JobFailed",
                (Some(JobState::Closing), true) if close.on_timeout == OnTimeout::Stall => {
                    "CloseTimedOut"
                }
                (Some(JobState::Opened | JobState::Opening), true)
                    if close.on_timeout == OnTimeout::Stall =>
                {
                    "CloseNotAccepted"
                }
                (Some(JobState::Opened | JobState::Opening | JobState::Closing), true)
                    if close.on_timeout == OnTimeout::Wait =>
                {
                    "Waiting"
                }
                _ => panic!("it should be closed by now: {told}"),
            };
            assert_eq!(ready.map(|c| c.1), Some(expected), "{told}");
            let waits = matches!(expected, "Waiting" | "JobBlocked").then_some(("True", expected));
            assert_eq!(reconciling, waits, "{told}");
            let fine = matches!(expected, "InDesiredState" | "Waiting" | "JobBlocked");
            assert_eq!(stalled, (!fine).then_some(("True", expected)), "{told}");
            assert_eq!(
                ready.map(|c| c.0),
                Some(if expected == "InDesiredState" {
                    "True"
                } else {
                    "False"
                }),
                "{told}"
            );
            if expected == "InDesiredState" {
                let feed = fake.and_then(|fake| fake.datafeed.as_ref());
                assert!(
                    feed.is_none_or(|(_, state)| *state == DatafeedState::Stopped),
                    "{told}"
                );
            }
        }
    }
}

/// The jobs that an object of the walk means: its tokens are ids.
pub(in super::super) fn meant(desired: &Desired) -> Vec<JobId> {
    let tokens = desired.scope.expression.tokens();
    tokens.map(|token| JobId::parse(token).unwrap()).collect()
}
