//! The node side of a plain close: the end of the native close, finalising, and its failure (reference 3.2, J9 to J11).

use super::{
    core::Cluster,
    error::ApiError,
    model::{Delay, Event, JobState},
};

impl Cluster {
    /// The node has closed the process: it replies, finalises, and asks for the removal of the task.
    pub(super) fn native_close_ended(&mut self, id: &str, alloc: u64) {
        if !self
            .tasks
            .get(id)
            .is_some_and(|task| task.place.alloc == alloc && task.state == Some(JobState::Closing))
        {
            return;
        }
        let knobs = self.knobs_of(id);
        if knobs.persist_fails {
            self.native_close_failed(id);
            return;
        }
        self.finalise(id, knobs.finalise_fails);
        let impatient = self.node_replied(id);
        // Removal is a cluster-state update of its own: a caller that does not wait still sees the task.
        let delay = match knobs.remove {
            Delay::Ms(ms) if impatient => Delay::Ms(ms.max(50)),
            Delay::Ms(ms) => Delay::Ms(ms),
            Delay::Hang => Delay::Hang,
        };
        self.commit(delay, Event::RemoveJob(id.to_owned(), alloc, "closed"));
    }

    fn finalise(&mut self, id: &str, fails: bool) {
        let wall = self.wall();
        let live = self
            .tasks
            .get_mut(id)
            .is_some_and(|task| std::mem::replace(&mut task.live, false));
        if live {
            self.persist(id);
        }
        if let Some(job) = self.jobs.get_mut(id).filter(|_| !fails) {
            job.finished_time = Some(wall);
        }
    }

    fn native_close_failed(&mut self, id: &str) {
        if let Some(task) = self.tasks.get_mut(id) {
            task.state = Some(JobState::Failed);
            task.live = false;
            task.reason = Some(format!(
                "[{id}] Unexpected death of autodetect: the process could not persist its state"
            ));
        }
        self.note("job", id, "closing", "failed", "the native close failed");
        let cause = ApiError::new(
            500,
            "exception",
            format!(
                "[{id}] Unexpected death of autodetect: the process could not persist its state"
            ),
        );
        let kind = if self.profile.is_7() {
            "exception"
        } else {
            "status_exception"
        };
        let error =
            ApiError::new(500, kind, "Exception closing autodetect process").caused_by(cause);
        self.fail_node_stage(id, &error);
    }
}
