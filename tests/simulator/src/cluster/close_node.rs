//! The node side of a plain close: its begin, the end of the native close, finalising, and its failure (reference 3.2, J9 to J11).

use super::{
    core::Cluster,
    error::ApiError,
    model::{Delay, Event, JobState, Ticket},
};

impl Cluster {
    /// Step 9 for one job: the request to its executor node; without a ticket Elasticsearch closes it by itself.
    pub(super) fn close_on_node(
        &mut self,
        ticket: Option<Ticket>,
        id: &str,
        alloc: u64,
        why: &'static str,
    ) {
        let knobs = self.knobs_of(id);
        let Some(task) = self.tasks.get(id).filter(|task| task.place.alloc == alloc) else {
            return;
        };
        if task.place.node.is_none() {
            let removal = Event::RemoveJob(id.to_owned(), alloc, "close of an unassigned job");
            self.commit(Delay::Ms(0), removal);
            return;
        }
        if knobs.lost_closes > 0 && ticket.is_some() {
            self.knobs.entry(id.to_owned()).or_insert(knobs).lost_closes = knobs.lost_closes - 1;
            return;
        }
        if let Some(call) = ticket.and_then(|ticket| self.close_call(ticket)) {
            call.nodes.insert(id.to_owned());
        }
        self.commit_now(Event::Closing(id.to_owned(), alloc, why));
    }

    /// The node has told the cluster that it closes the job, and does so now.
    pub(super) fn set_closing(&mut self, id: &str, alloc: u64, why: &'static str) {
        let was = self.state_word(id);
        let Some(task) = self.tasks.get_mut(id).filter(|task| {
            task.place.alloc == alloc && matches!(task.state, None | Some(JobState::Opened))
        }) else {
            return;
        };
        let ready = task.live;
        task.state = Some(JobState::Closing);
        task.state_alloc = alloc;
        self.note("job", id, was, "closing", why);
        let close = self.knobs_of(id).close;
        // A process that is still restoring is killed: there is nothing to persist.
        self.after(
            if ready { close } else { Delay::Ms(0) },
            Event::NativeClosed(id.to_owned(), alloc),
        );
    }

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
