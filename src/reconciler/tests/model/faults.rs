//! What may go wrong, and what others do: each of these is one of the few that a path may have.
//!
//! Answers are late, lost, doubled or refused, the process dies between two outputs, the watch lags and loses; the
//! cluster is away; people reopen jobs and edit objects; jobs fail and lose their nodes.

use std::sync::Arc;
use std::time::Duration;

use super::plans::Edit;
use super::scene::{OnTheWay, Scene, Sent};
use crate::api::{AnomalyJobStatus, CloseMode, JobId, JobState, OnTimeout, Reason};
use crate::reconciler::input::*;
use crate::reconciler::tests::coming::Coming;
use crate::reconciler::tests::world::trouble;

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// A request is taken and its answer dawdles, or what comes dawdles.
    Late(usize),
    /// A request itself dawdles: what it asks for happens later.
    Dawdles(usize),
    /// It is taken, and nobody learns of it.
    AnswerLost(usize),
    /// It is not taken, and nobody says so.
    RequestLost(usize),
    /// It is refused for load.
    Refused(usize),
    /// It arrives twice.
    Twice(usize),
    /// The process dies when so many of its calls and writes have been taken.
    Crash(usize),
    /// It dies, and its calls arrive later all the same.
    CrashBefore,
    /// It dies, and the new one is told of an older object first.
    CrashStale,
    /// The watch loses its next event.
    Missed,
    Outage,
    UpgradeMode,
    /// Somebody else opens the job.
    Reopened(JobId),
    /// Somebody else closes it.
    ClosedElsewhere(JobId),
    Failed(JobId),
    /// Its node dies.
    NodeLost(JobId),
    /// Elasticsearch will lose a close.
    LostClose(JobId),
    Edited(ObjectKey, Edit),
}

impl Scene {
    /// All that may go wrong here.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        self.of_messages(&mut faults);
        self.of_processes(&mut faults);
        if self.world.trouble.is_none() && !self.world.upgrade_mode {
            faults.extend([Fault::Outage, Fault::UpgradeMode]);
        }
        for (id, fake) in &self.world.jobs {
            let closed = fake.state == JobState::Closed;
            if fake.state == JobState::Opened {
                faults.push(Fault::ClosedElsewhere(id.clone()));
                if fake.lost_closes == 0 {
                    faults.push(Fault::LostClose(id.clone()));
                }
            } else {
                faults.push(Fault::Reopened(id.clone()));
            }
            if !closed && fake.state != JobState::Failed {
                faults.push(Fault::Failed(id.clone()));
                if fake.assigned {
                    faults.push(Fault::NodeLost(id.clone()));
                }
            }
        }
        for (key, object) in &self.world.stored {
            if object.desired.deleting.is_none() {
                let edits = self.plan.edits.iter();
                faults.extend(edits.map(|edit| Fault::Edited(key.clone(), *edit)));
            }
        }
        faults
    }

    fn of_messages(&self, faults: &mut Vec<Fault>) {
        let mut first_watched = true;
        for (at, way) in self.coming.iter().enumerate().filter(|(_, way)| !way.late) {
            match &way.what {
                Sent::Asked(request, _) => {
                    faults.push(Fault::Late(at));
                    if !matches!(**request, Output::Refresh(..)) {
                        faults.push(Fault::RequestLost(at));
                    }
                    if changes(request) {
                        faults.extend([
                            Fault::Dawdles(at),
                            Fault::AnswerLost(at),
                            Fault::Twice(at),
                        ]);
                    }
                    if matches!(**request, Output::Call { .. }) {
                        faults.push(Fault::Refused(at));
                    }
                }
                Sent::Comes(Coming::Watched(..)) if std::mem::take(&mut first_watched) => {
                    faults.extend([Fault::Late(at), Fault::Missed, Fault::Twice(at)]);
                }
                Sent::Comes(Coming::Called(..)) => faults.push(Fault::Late(at)),
                Sent::Comes(_) => {}
            }
        }
    }

    fn of_processes(&self, faults: &mut Vec<Fault>) {
        let changing = self.coming.iter().filter(|way| way.changes()).count();
        faults.extend((0..=changing).map(Fault::Crash));
        let calls = self.coming.iter().any(OnTheWay::calls);
        faults.extend(calls.then_some(Fault::CrashBefore));
        faults.extend((!self.before.is_empty()).then_some(Fault::CrashStale));
    }

    pub(super) fn fail(&mut self, fault: &Fault) {
        match fault {
            Fault::Late(at) => self.dawdle(*at),
            Fault::Dawdles(at) => self.coming[*at].late = true,
            Fault::AnswerLost(at) => self.lose(*at, true),
            Fault::RequestLost(at) => self.lose(*at, false),
            Fault::Refused(at) => {
                if let Sent::Asked(request, _) = self.coming.remove(*at).what
                    && let Output::Call { ticket, .. } = *request
                {
                    let refusal = Refusal::Overloaded(trouble(Reason::Overloaded));
                    self.tell(Coming::Called(ticket, Err(refusal)));
                }
            }
            Fault::Twice(at) => self.double(*at),
            Fault::Crash(taken) => self.crash(*taken),
            Fault::CrashBefore => self.crash_before(),
            Fault::CrashStale => self.crash_stale(),
            Fault::Missed => {
                let watched = |way: &OnTheWay| matches!(way.what, Sent::Comes(Coming::Watched(..)));
                if let Some(at) = self.coming.iter().position(watched) {
                    self.coming.remove(at);
                }
                self.lossy = true;
            }
            Fault::Outage => self.world.trouble = Some(trouble(Reason::ClusterUnreachable)),
            Fault::UpgradeMode => self.world.upgrade_mode = true,
            Fault::Edited(key, edit) => self.edit(key, *edit),
            Fault::Reopened(id)
            | Fault::ClosedElsewhere(id)
            | Fault::Failed(id)
            | Fault::NodeLost(id)
            | Fault::LostClose(id) => self.befall(id, fault),
        }
    }

    fn dawdle(&mut self, at: usize) {
        if let Sent::Asked(..) = self.coming[at].what {
            let way = self.coming.remove(at);
            if let Sent::Asked(request, order) = way.what
                && let Some((after, coming)) = self.arrives(*request, order)
            {
                self.answer(after, coming);
                // The watch may have been given news meanwhile; the answer is the last.
                if let Some(last) = self.coming.last_mut() {
                    last.late = true;
                }
            }
        } else {
            // What the watch tells after it dawdles too.
            let watch = matches!(self.coming[at].what, Sent::Comes(Coming::Watched(..)));
            for way in &mut self.coming[at..] {
                let watched = matches!(way.what, Sent::Comes(Coming::Watched(..)));
                way.late |= watch && watched;
            }
            self.coming[at].late = true;
        }
    }

    fn lose(&mut self, at: usize, taken: bool) {
        let Sent::Asked(request, order) = self.coming.remove(at).what else {
            return;
        };
        let answer = match &*request {
            Output::Call { ticket, .. } => {
                let look = Refusal::LookAgain { answered: false };
                Coming::Called(*ticket, Err(look))
            }
            Output::Write {
                ticket,
                key,
                uid,
                status,
                ..
            } => {
                let failed = Err(WriteRefused::Failed);
                Coming::Written(*ticket, key.clone(), uid.clone(), *status.clone(), failed)
            }
            Output::Finalize { ticket, .. } => {
                Coming::Finalized(*ticket, Err(WriteRefused::Failed))
            }
            Output::Read { ticket, .. } => {
                let away = Err(trouble(Reason::ClusterUnreachable));
                Coming::Read(*ticket, order, Duration::ZERO, away)
            }
            Output::Verify { ticket, job, .. } => {
                let refused = Refusal::Refused(trouble(Reason::RetryingAfterError));
                let (took, version) = (Duration::ZERO, self.world.version);
                Coming::Verified(*ticket, job.clone(), order, took, version, Err(refused))
            }
            _ => return,
        };
        if taken {
            drop(self.arrives(*request, order));
        }
        self.tell(answer);
    }

    fn double(&mut self, at: usize) {
        let mut again = self.coming[at].clone();
        match again.what.clone() {
            Sent::Comes(coming) => {
                self.coming.remove(at);
                again.late = true;
                self.coming.insert(0, again);
                self.tell(coming);
            }
            Sent::Asked(request, order) => {
                self.coming.remove(at);
                if let Some((after, coming)) = self.arrives(*request, order) {
                    self.answer(after, coming.clone());
                    if let Some(last) = self.coming.last_mut() {
                        last.late = true;
                    }
                    self.tell(coming);
                }
            }
        }
    }

    /// So many of what was asked for are taken before the process dies; of the rest nobody hears.
    fn crash(&mut self, taken: usize) {
        let coming = std::mem::take(&mut self.coming);
        let mut left = taken;
        for way in coming.into_iter().filter(OnTheWay::changes) {
            if let Sent::Asked(request, order) = way.what
                && left > 0
            {
                left -= 1;
                drop(self.arrives(*request, order));
            }
        }
        self.coming.clear();
        self.restart();
        self.relist();
        self.connect();
    }

    fn crash_before(&mut self) {
        self.coming.retain(OnTheWay::calls);
        for way in &mut self.coming {
            (way.late, way.orphan) = (true, true);
        }
        self.restart();
        self.relist();
        self.connect();
    }

    fn crash_stale(&mut self) {
        self.coming.clear();
        self.restart();
        for (key, (version, old)) in self.before.clone() {
            let news = Coming::Watched(key, version, Some(Box::new(old)));
            self.answer(Duration::ZERO, news);
        }
        let told = self.coming.len();
        self.relist();
        for way in self.coming.iter_mut().skip(told) {
            way.late = true;
        }
        self.connect();
    }

    fn befall(&mut self, id: &JobId, fault: &Fault) {
        let clock = self.world.clock;
        let Some(fake) = self.world.jobs.get_mut(id) else {
            return;
        };
        match fault {
            Fault::Reopened(_) => {
                fake.state = JobState::Opened;
                fake.opened_at = clock;
                fake.assigned = true;
                fake.closes_at = None;
            }
            Fault::ClosedElsewhere(_) => fake.closed(),
            Fault::Failed(_) => {
                fake.state = JobState::Failed;
                (fake.closes_at, fake.opens_at) = (None, None);
            }
            Fault::NodeLost(_) => fake.assigned = false,
            _ => fake.lost_closes += 1,
        }
    }

    fn edit(&mut self, key: &ObjectKey, edit: Edit) {
        self.keep_before(key);
        self.world.version += 1;
        let (version, now) = (self.world.version, self.world.clock);
        let Some(stored) = self.world.stored.get_mut(key) else {
            return;
        };
        stored.resource_version = Arc::from(version.to_string());
        let desired = &mut stored.desired;
        match edit {
            Edit::Wipe => stored.status = AnomalyJobStatus::default(),
            Edit::Recreate | Edit::Delete => {
                let held = crate::finalizer::is_in(&stored.finalizers);
                if held {
                    desired.deleting = Some(crate::api::stamp(super::moment(now).wall).0);
                    stored.generation += 1;
                } else {
                    let desired = desired.clone();
                    self.world.stored.remove(key);
                    if edit == Edit::Recreate {
                        return self.create(&key.name, desired);
                    }
                }
                return self.watch(key);
            }
            Edit::Suspend => desired.suspended = !desired.suspended,
            Edit::Observe if desired.wanted == Wanted::Observed => desired.wanted = Wanted::Closed,
            Edit::Observe => desired.wanted = Wanted::Observed,
            Edit::Flip if desired.wanted == Wanted::Closed => desired.wanted = Wanted::Opened,
            Edit::Flip => desired.wanted = Wanted::Closed,
            Edit::Wait if desired.close.on_timeout == OnTimeout::Wait => {
                desired.close.on_timeout = OnTimeout::Force;
            }
            Edit::Wait => desired.close.on_timeout = OnTimeout::Wait,
            Edit::Immediate if desired.close.mode == CloseMode::Immediate => {
                desired.close.mode = CloseMode::Graceful;
            }
            Edit::Immediate => desired.close.mode = CloseMode::Immediate,
        }
        if edit != Edit::Wipe {
            stored.generation += 1;
        }
        self.watch(key);
    }
}

impl OnTheWay {
    /// It changes something when it arrives.
    pub(super) fn changes(&self) -> bool {
        matches!(&self.what, Sent::Asked(request, _) if changes(request))
    }

    fn calls(&self) -> bool {
        matches!(&self.what, Sent::Asked(request, _) if matches!(**request, Output::Call { .. }))
    }
}

fn changes(request: &Output) -> bool {
    matches!(
        request,
        Output::Call { .. } | Output::Write { .. } | Output::Finalize { .. }
    )
}
