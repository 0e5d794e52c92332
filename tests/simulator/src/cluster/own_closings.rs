//! Closings nobody has asked for: idle jobs by the nightly maintenance (9.4), and all jobs when the licence lapses
//! (reference 9.2, J26 and J27). The end of a lookback is with the datafeeds.

use super::{
    close::CloseRequest,
    core::Cluster,
    model::{Delay, Event, JobState},
    time_value::TimeValue,
};

const DAY: u64 = 24 * 60 * 60 * 1_000;
const IDLE_SETTING: &str = "xpack.ml.idle_job_auto_close_timeout";

impl Cluster {
    /// The first night, where this version has one.
    pub(super) fn await_night(&mut self) {
        if self.profile.closes_idle_jobs() {
            self.after(Delay::Ms(DAY), Event::Night);
        }
    }

    /// The nightly maintenance, which comes again a day later.
    pub(super) fn night(&mut self) {
        if let Some(idle) = self.idle_timeout() {
            self.close_idle(idle);
        }
        self.await_night();
    }

    /// ms of `xpack.ml.idle_job_auto_close_timeout`; `None` = negative, switched off.
    pub fn idle_timeout(&self) -> Option<u64> {
        let text = self.setting(IDLE_SETTING).unwrap_or("48h");
        if text.starts_with('-') {
            return None;
        }
        TimeValue::parse(text, IDLE_SETTING)
            .ok()
            .map(TimeValue::millis)
    }

    /// Closes opened jobs that have a datafeed, none that runs, and whose last record is older than `idle` ms. Gives their ids.
    pub fn close_idle(&mut self, idle: u64) -> Vec<String> {
        let before = self.wall().saturating_sub(idle);
        let is_idle = |id: &String| {
            let feed = self.feed_of_job.get(id);
            let latest = self.jobs.get(id).and_then(|job| job.counts.latest);
            feed.is_some_and(|feed| !self.feed_tasks.contains_key(feed))
                && latest.is_some_and(|latest| latest < before)
        };
        let jobs: Vec<String> = self
            .tasks
            .iter()
            .filter(|(id, task)| task.state == Some(JobState::Opened) && is_idle(id))
            .map(|(id, _)| id.clone())
            .collect();
        for job in &jobs {
            self.close_by_itself(job, "idle");
        }
        self.settle();
        jobs
    }

    /// A normal close that a node issues; whatever it answers, nobody listens.
    pub(super) fn close_by_itself(&mut self, job: &str, why: &'static str) {
        let request = CloseRequest {
            expression: job.to_owned(),
            allow_no_match: true,
            force: false,
            timeout: TimeValue::minutes(30),
        };
        // An error (the job has failed, say) leaves the job as it is, as it does on a real node.
        let _ = self.begin_close(request, why);
    }

    /// The nodes stop their datafeeds and close their jobs gracefully.
    pub(super) fn close_for_licence(&mut self) {
        const WHY: &str = "invalid license";
        for feed in self.feed_tasks.keys().cloned().collect::<Vec<_>>() {
            if let Some(task) = self.feed_tasks.get_mut(&feed) {
                task.isolated = true;
            }
            self.stop_feed(&feed, false, true, WHY);
        }
        let running: Vec<(String, u64)> = self
            .tasks
            .iter()
            .filter(|(_, task)| {
                task.place.node.is_some() && matches!(task.state, None | Some(JobState::Opened))
            })
            .map(|(id, task)| (id.clone(), task.place.alloc))
            .collect();
        for (id, alloc) in running {
            self.close_on_node(None, &id, alloc, WHY);
        }
        self.settle();
    }
}
