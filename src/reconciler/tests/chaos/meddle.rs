//! What others do to the world of the random walk, what is left when they stop, and whether status agrees with it.

use std::sync::Arc;

use super::Chaos;
use crate::api::{
    AnomalyJobStatus, CloseMode, DatafeedState, DeletionPolicy, JobExpression, JobState, OnFailed,
    OnTimeout, Reason, TimeSpan,
};
use crate::reconciler::input::*;
use crate::reconciler::tests::agreement::disagreement;
use crate::reconciler::tests::world::{desired, job, key, moment, policy, secs, trouble, uid};

impl Chaos {
    pub(super) fn create(&mut self, name: &str) {
        self.uids += 1;
        let mut close = policy();
        close.timeout = TimeSpan::parse(self.rng.of(&self.setting.timeouts)).unwrap();
        let wanted = self.wish();
        let mut desired = Desired {
            suspended: self.rng.chance(10),
            ..desired(self.rng.any(&self.setting.expressions), wanted, close)
        };
        if self.setting.all_wishes && self.rng.chance(20) {
            desired.deletion = DeletionPolicy::Close;
        }
        self.world.store_as(key(name), uid(self.uids), desired);
        self.watch(&key(name));
    }

    fn wish(&mut self) -> Wanted {
        match self.rng.below(10) {
            0..2 => Wanted::Observed,
            2..5 if self.setting.all_wishes => Wanted::Opened,
            _ => Wanted::Closed,
        }
    }

    fn edit(&mut self, name: &str) {
        let what = self.rng.below(9);
        let wanted = self.wish();
        let pick = self.rng.next();
        let timeout = self.rng.of(&["20s", "1m", "5m", "10m"]);
        let expression = JobExpression::parse(self.rng.any(&self.setting.expressions)).unwrap();
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
            6 => desired.wanted = wanted,
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
        let held = !self.world.stored[&key].finalizers.is_empty();
        if held || self.rng.chance(40) {
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
        let setting = Arc::clone(&self.setting);
        let name = self.rng.any(&setting.objects);
        let id = job(self.rng.any(&setting.jobs));
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

    /// What was wrong with the cluster and the API server has ended.
    pub(super) fn heal(&mut self) {
        self.world.trouble = None;
        self.world.refuses_calls = None;
        self.world.overloads = 0;
        self.world.upgrade_mode = false;
        self.world.api_server_down = false;
        self.world.lose_acks = false;
        self.ghost.sync(&self.world);
        if std::mem::take(&mut self.lossy) {
            self.relist();
        }
        self.connect();
    }

    /// Somebody looks after the jobs: what failed, hangs or is broken is ended by hand or put in order.
    pub(super) fn mend(&mut self) {
        for fake in self.world.jobs.values_mut() {
            (fake.config, fake.blocked, fake.assigned) = (true, false, true);
            match fake.state {
                JobState::Failed => fake.closed(),
                JobState::Closing if fake.closes_at.is_none() => fake.closed(),
                JobState::Opening if fake.opens_at.is_none() => fake.state = JobState::Opened,
                _ => {}
            }
        }
        self.ghost.sync(&self.world);
    }

    /// What the short walk does not know: no master, a storm of refusals, a licence that ended, another name of the cluster.
    pub(super) fn hurt(&mut self) {
        match self.rng.below(5) {
            0 => self.world.refuses_calls = Some(trouble(Reason::NoMaster)),
            1 => self.world.overloads = 20 + usize::try_from(self.rng.below(200)).unwrap(),
            2 => {
                let unlicensed = self.rng.chance(50);
                let refusal = unlicensed.then(|| trouble(Reason::LicenseMissing));
                for fake in self.world.jobs.values_mut() {
                    fake.refuses_open.clone_from(&refusal);
                }
            }
            3 => {
                self.identity = self.rng.below(2);
                self.connect();
            }
            _ => {
                let mut overloaded = trouble(Reason::Overloaded);
                overloaded.retry_after = Some(secs(self.rng.below(600)));
                self.world.trouble = Some(overloaded);
            }
        }
        self.ghost.sync(&self.world);
    }

    /// Nothing goes wrong any more, and what was given up is tried again, because each object was edited.
    pub(super) fn rest(&mut self) {
        self.heal();
        for fake in self.world.jobs.values_mut() {
            fake.refuses_open = None;
        }
        for name in &Arc::clone(&self.setting).objects {
            if self.world.stored.contains_key(&key(name)) {
                self.world.edit_silently(name, |_| {});
            }
        }
        self.calm();
    }

    /// Somebody deletes all objects.
    pub(super) fn delete_all(&mut self) {
        let now = moment(self.world.clock).wall;
        for key in self.world.stored.keys().cloned().collect::<Vec<_>>() {
            if self.world.stored[&key].finalizers.is_empty() {
                self.world.version += 1;
                self.world.stored.remove(&key);
            } else {
                self.world.edit_silently(key.name(), |desired| {
                    desired.deleting.get_or_insert(now);
                });
            }
            self.watch(&key);
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

    pub(super) fn agree(&self) {
        if let Some((key, wrong)) = disagreement(&self.world) {
            let object = &self.world.stored[&key];
            panic!("{key}: {wrong}: {object:#?} {:#?}", self.world.jobs);
        }
    }
}
