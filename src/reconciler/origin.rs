//! Where that was seen what an object knows: evidence of one cluster says nothing of another, whose jobs bear the same names.
//!
//! It is decided once it is known which cluster this one is, and never before: what only a status remembers must not be
//! lost because a connection is missing for a minute. Until then all of it is carried as it is stored.

use super::input::{Delivered, Moment, ObjectKey, Output};
use super::member::Claimed;
use super::{Reconciler, catalogue, reads};
use crate::api::{AnomalyJobStatus, ConnectionSeen, JobId};

impl Reconciler {
    /// Decides for the objects of which it was not known yet.
    pub(super) fn settle_origins(&mut self, now: Moment) {
        let open = self
            .objects
            .iter()
            .filter(|(_, object)| object.from.is_some());
        for key in open.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.settle_origin(&key, now);
            self.resolve(&key, now);
        }
    }

    /// Decides whether what an object knows is of this cluster; where it is not, the object begins anew.
    pub(super) fn settle_origin(&mut self, key: &ObjectKey, now: Moment) {
        if !self.health.readable() {
            return;
        }
        let object = self.objects.get_mut(key);
        let from = object.and_then(|object| object.from.take());
        if from.is_some_and(|from| !self.is_here(&from)) {
            self.begin_anew(key, now);
        }
    }

    /// A delivery of a known object. What is stored of it may still be of the cluster where it was before: until its next
    /// write arrives, nothing of that counts here.
    pub(super) fn sifted(&self, delivered: Delivered) -> Delivered {
        let known = self.objects.get(&delivered.key);
        let settled =
            known.is_some_and(|object| object.uid == delivered.uid && object.from.is_none());
        let from = delivered.status.connection.as_ref();
        if !settled || from.is_none_or(|from| self.is_here(from)) {
            return delivered;
        }
        Delivered {
            status: AnomalyJobStatus::default(),
            ..delivered
        }
    }

    /// The uuid tells, where both are known; else by what name it is reached.
    fn is_here(&self, from: &ConnectionSeen) -> bool {
        match (self.health.identity().0, &from.cluster_uuid) {
            (Some(here), Some(there)) => *here == **there,
            _ => from.kind == self.connection.kind && from.name == self.connection.name,
        }
    }

    fn begin_anew(&mut self, key: &ObjectKey, now: Moment) {
        let next = self.next_ticket();
        if let Some(object) = self.objects.remove(key) {
            let anew = object.anew(key, next, now);
            self.objects.insert(key.clone(), anew);
        }
    }

    /// Another cluster answers in the place of the one that was known: whatever was seen, begun or claimed there is over, and
    /// answers that are still on their way from there say nothing.
    pub(super) fn start_over(&mut self, now: Moment) {
        let yielding = std::mem::take(&mut self.yielding);
        let yielded = yielding.into_iter().map(|(key, job)| (key, vec![job]));
        let mut given_up: Vec<(ObjectKey, Vec<JobId>)> = yielded.collect();
        for (key, object) in self.objects.iter() {
            let members = object.members.iter();
            let claimed = members.filter(|(_, member)| member.claimed != Claimed::No);
            let jobs: Vec<JobId> = claimed.map(|(job, _)| job.clone()).collect();
            if !jobs.is_empty() {
                given_up.push((key.clone(), jobs));
            }
        }
        let releases = given_up.into_iter();
        self.outputs
            .extend(releases.map(|(key, jobs)| Output::Release(key, jobs)));
        self.catalogue = catalogue::Catalogue::default();
        self.reads = reads::Reads::default();
        self.calls.begin_anew();
        self.jobs.clear();
        self.verifications.clear();
        self.missing.clear();
        self.due.clear();
        self.timers.retain(|(.., job)| job.is_none());
        let known = self.objects.iter();
        let known = known.filter(|(_, object)| object.from.is_none());
        for key in known.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.begin_anew(&key, now);
            self.resolve(&key, now);
        }
    }
}
