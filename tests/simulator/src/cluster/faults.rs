//! What tests steer from outside: knobs of durations, lost configurations, blocks, licence, capacity, identity.

use super::{
    core::{Cluster, make_uuid},
    model::{Capacity, Counts, Knobs},
};

impl Cluster {
    /// The knobs every job has unless it has its own.
    pub fn defaults(&self) -> Knobs {
        self.defaults
    }

    /// Sets the default knobs.
    pub fn set_defaults(&mut self, knobs: Knobs) {
        self.defaults = knobs;
    }

    /// The knobs of one job, its own or the defaults.
    pub fn job_knobs(&self, job: &str) -> Knobs {
        self.knobs_of(job)
    }

    /// Sets one job's knobs; the job need not exist yet.
    pub fn set_job_knobs(&mut self, job: &str, knobs: Knobs) {
        self.knobs.insert(job.to_owned(), knobs);
    }

    /// Removes a job's configuration and leaves its task (reference 17.15). False if there was none.
    pub fn lose_config(&mut self, job: &str) -> bool {
        self.take_job(job).is_some()
    }

    /// Removes a datafeed's configuration and leaves its task. False if there was none.
    pub fn lose_feed_config(&mut self, feed: &str) -> bool {
        let Some(config) = self.feeds.remove(feed) else {
            return false;
        };
        self.feed_of_job.remove(&config.job);
        true
    }

    /// Removes a job's task and leaves its datafeed running, as after the failures of es 64067. False if there was none.
    pub fn lose_task(&mut self, job: &str) -> bool {
        let Some(alloc) = self.tasks.get(job).map(|task| task.place.alloc) else {
            return false;
        };
        self.remove_job_task(job, alloc, "lost");
        self.settle();
        true
    }

    /// Says which indices' primary shards are away; with none, waiting tasks try again.
    pub fn set_missing_primaries(&mut self, indices: Vec<String>) {
        self.missing_primaries = indices;
        self.look_for_nodes();
        self.settle();
    }

    /// Marks a job deleting in its configuration; from 7.14 on this is a block too.
    pub fn mark_deleting(&mut self, job: &str, deleting: bool) -> bool {
        if self.profile.blocked_and_reset() {
            return self.set_blocked(job, deleting.then_some("delete"));
        }
        self.jobs
            .get_mut(job)
            .map(|job| job.deleting = deleting)
            .is_some()
    }

    /// Sets or clears the block of a job.
    pub fn set_blocked(&mut self, job: &str, reason: Option<&str>) -> bool {
        let Some(config) = self.jobs.get_mut(job) else {
            return false;
        };
        config.blocked = reason.map(str::to_owned);
        config.deleting = reason == Some("delete");
        self.note("job", job, "block", reason.unwrap_or("none"), "knob");
        true
    }

    /// Gives a job data, as if a datafeed had read it.
    pub fn set_counts(&mut self, job: &str, records: u64, latest: Option<u64>) -> bool {
        let now = self.wall();
        let Some(config) = self.jobs.get_mut(job) else {
            return false;
        };
        config.dirty = records > 0;
        let latest = latest.or(Some(now)).filter(|_| records > 0);
        config.counts = Counts {
            records,
            bytes: records * 19,
            earliest: latest,
            latest,
            last_data_time: Some(now).filter(|_| records > 0),
            seen: records > 0,
        };
        true
    }

    /// Ends a datafeed as if it had reached its end: it stops and closes its job.
    pub fn end_lookback(&mut self, feed: &str) -> bool {
        let Some(task) = self.feed_tasks.get_mut(feed) else {
            return false;
        };
        task.has_end = true;
        self.remove_feed_task(feed, "lookback ended");
        self.settle();
        true
    }

    /// Sets the licence.
    ///
    /// One that lapses makes the nodes close their jobs, if `closes`.
    pub fn set_licence(&mut self, valid: bool, kind: Option<&str>, closes: bool) {
        let lapses = self.licence_valid && !valid;
        self.licence_valid = valid;
        if lapses && closes {
            self.close_for_licence();
        }
        if let Some(kind) = kind {
            kind.clone_into(&mut self.licence_type);
        }
    }

    /// Type and validity of the licence.
    pub fn licence(&self) -> (&str, bool) {
        (&self.licence_type, self.licence_valid)
    }

    /// The limits of a node.
    pub fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// Sets the limits of a node; waiting tasks try again.
    pub fn set_capacity(&mut self, capacity: Capacity) {
        self.capacity = capacity;
        self.look_for_nodes();
        self.settle();
    }

    /// Gives the cluster another identity, as a swapped cluster would have it.
    pub fn set_uuid(&mut self, uuid: Option<&str>) {
        self.uuid = uuid.map_or_else(|| make_uuid(self.epoch, self.now ^ 0xA5A5), str::to_owned);
    }

    /// How many nodes are up.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// How many jobs there are.
    pub fn job_count(&self) -> usize {
        self.jobs.len()
    }
}
