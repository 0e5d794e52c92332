//! What a story does to the objects and jobs of its world, and what it asks about them afterwards.

use std::sync::Arc;
use std::time::Duration;

use super::{FakeJob, World, desired, job, key, moment, trouble, uid};
use crate::api::{AnomalyJobStatus, ClosePolicy, JobId, JobState, Reason};
use crate::reconciler::input::*;

impl World {
    /// Creates an object that means the job of the same name.
    pub(in super::super) fn apply(&mut self, name: &str, wanted: Wanted, close: ClosePolicy) {
        self.create(name, desired(name, wanted, close));
    }

    /// Creates an object that asks for this.
    pub(in super::super) fn create(&mut self, name: &str, desired: Desired) {
        self.create_as(key(name), 1, desired);
    }

    /// The same, under a key of its own and for one of two brains.
    pub(in super::super) fn create_as(&mut self, key: ObjectKey, side: u64, desired: Desired) {
        self.sides.insert(key.clone(), side);
        let delivered = self.store(key, desired);
        self.tell_to(side, Input::Delivered(Box::new(delivered)));
    }

    /// The same, while no operator runs that would be told.
    pub(in super::super) fn store(&mut self, key: ObjectKey, desired: Desired) -> Delivered {
        self.objects += 1;
        self.store_as(key, uid(self.objects), desired)
    }

    /// Deletes the object and creates it anew under the same name; where something holds it, it is only being deleted.
    pub(in super::super) fn recreate(&mut self, name: &str) {
        let desired = self.stored[&key(name)].desired.clone();
        self.delete(name);
        if !self.stored.contains_key(&key(name)) {
            self.create(name, desired);
        }
    }

    /// The same, under a uid of its own.
    pub(in super::super) fn store_as(
        &mut self,
        key: ObjectKey,
        uid: Uid,
        desired: Desired,
    ) -> Delivered {
        self.version += 1;
        let delivered = Delivered {
            key: key.clone(),
            uid,
            created_at: moment(Duration::from_secs(self.clock.as_secs())).wall,
            generation: 1,
            resource_version: Arc::from(self.version.to_string()),
            finalizers: Vec::new(),
            desired,
            status: AnomalyJobStatus::default(),
        };
        self.stored.insert(key, delivered.clone());
        delivered
    }

    /// A status as the API server takes it, or not.
    pub(in super::super) fn store_status(
        &mut self,
        key: &ObjectKey,
        uid: &Uid,
        version: &str,
        status: &AnomalyJobStatus,
    ) -> Result<Arc<str>, WriteRefused> {
        self.store_change(key, uid, version, |stored| {
            assert!(
                stored.status != *status,
                "a write without a difference: {status:#?}"
            );
            stored.status = status.clone();
        })
    }

    /// Finalizers as the API server takes them, or not; the object goes with the last of them where it is being deleted.
    pub(in super::super) fn store_finalizers(
        &mut self,
        key: &ObjectKey,
        uid: &Uid,
        version: &str,
        finalizers: Vec<String>,
    ) -> Result<Arc<str>, WriteRefused> {
        let answer = self.store_change(key, uid, version, |stored| stored.finalizers = finalizers);
        self.stored.retain(|of, stored| {
            of != key || stored.desired.deleting.is_none() || !stored.finalizers.is_empty()
        });
        answer
    }

    fn store_change(
        &mut self,
        key: &ObjectKey,
        uid: &Uid,
        version: &str,
        change: impl FnOnce(&mut Delivered),
    ) -> Result<Arc<str>, WriteRefused> {
        let new: Arc<str> = Arc::from((self.version + 1).to_string());
        let Some(stored) = self.stored.get_mut(key) else {
            return Err(WriteRefused::Gone);
        };
        if *stored.resource_version != *version || stored.uid != *uid {
            return Err(WriteRefused::Conflict);
        }
        change(stored);
        stored.resource_version = Arc::clone(&new);
        self.version += 1;
        Ok(new)
    }

    /// What the live reads before a force find.
    pub(in super::super) fn verify(
        &self,
        key: &ObjectKey,
        uid: &Uid,
        job: &JobId,
    ) -> Result<Box<Live>, Refusal> {
        if let Some(trouble) = &self.trouble {
            return Err(Refusal::Cluster(trouble.clone()));
        }
        if self.api_server_down {
            return Err(Refusal::Refused(trouble(Reason::RetryingAfterError)));
        }
        let object = self.stored.get(key).filter(|stored| stored.uid == *uid);
        Ok(Box::new(Live {
            object: object.cloned(),
            allow: self.allow.clone(),
            look: self.live(job),
        }))
    }

    /// What was spent so far is not counted.
    pub(in super::super) fn count_from_now(&mut self) {
        (self.requests, self.searches, self.finalizes) = (0, 0, 0);
        self.calls.clear();
        self.reads.clear();
        self.writes.clear();
        self.events.clear();
    }

    /// Edits the spec and delivers it.
    pub(in super::super) fn edit(&mut self, name: &str, change: impl FnOnce(&mut Desired)) {
        self.edit_silently(name, change);
        let delivered = self.stored[&key(name)].clone();
        let side = self.side_of(&delivered.key);
        self.tell_to(side, Input::Delivered(Box::new(delivered)));
    }

    /// Edits the spec; the watch has not delivered it yet.
    pub(in super::super) fn edit_silently(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut Desired),
    ) {
        self.version += 1;
        let stored = self.stored.get_mut(&key(name)).unwrap();
        change(&mut stored.desired);
        stored.generation += 1;
        stored.resource_version = Arc::from(self.version.to_string());
    }

    /// Somebody else opens the job.
    pub(in super::super) fn reopen(&mut self, id: &str) {
        let clock = self.clock;
        let job = self.jobs.get_mut(&job(id)).unwrap();
        job.state = JobState::Opened;
        job.opened_at = clock;
        job.assigned = true;
        job.closes_at = None;
    }

    pub(in super::super) fn status(&self, name: &str) -> &AnomalyJobStatus {
        &self.stored[&key(name)].status
    }

    pub(in super::super) fn condition(&self, name: &str, of: &str) -> Option<(String, String)> {
        let found = self
            .status(name)
            .conditions
            .iter()
            .find(|condition| condition.type_ == of)?;
        Some((found.status.clone(), found.reason.clone()))
    }

    pub(in super::super) fn is(&self, name: &str, of: &str, status: &str, reason: &str) -> bool {
        self.condition(name, of) == Some((status.to_owned(), reason.to_owned()))
    }

    pub(in super::super) fn count(&self, wanted: impl Fn(&Call) -> bool) -> usize {
        self.calls.iter().filter(|(_, call)| wanted(call)).count()
    }

    /// How often the configs were asked for.
    pub(in super::super) fn lists(&self) -> usize {
        let list = |question: &&Question| matches!(question, Question::Catalogue);
        self.reads.iter().filter(list).count()
    }

    pub(in super::super) fn closes(&self) -> usize {
        self.count(|call| matches!(call, Call::Close(_)))
    }

    pub(in super::super) fn forces(&self) -> usize {
        self.count(|call| matches!(call, Call::ForceClose(_)))
    }

    pub(in super::super) fn stops(&self) -> usize {
        self.count(|call| matches!(call, Call::StopDatafeed { .. }))
    }

    pub(in super::super) fn state(&self, id: &str) -> JobState {
        self.jobs[&job(id)].state
    }

    /// How many jobs are closed.
    pub(in super::super) fn closed(&self) -> usize {
        let closed = |job: &&FakeJob| job.state == JobState::Closed;
        self.jobs.values().filter(closed).count()
    }

    /// How many are not.
    pub(in super::super) fn not_closed(&self) -> usize {
        self.jobs.len() - self.closed()
    }
}
