//! What may go wrong in a situation, and what others may do there: each of these is one of the few that a path may have.
//!
//! Answers are late, lost, doubled or refused, the process dies between two outputs, the watch lags and loses; the
//! cluster, its master or the API server is away; people reopen jobs and edit objects; jobs fail, vanish and lose their nodes.
//! What each of them does is in `befall`.

use super::plans::Family;
use super::scene::{OnTheWay, Scene, Sent};
use crate::api::{DatafeedState, JobId, JobState};
use crate::reconciler::input::*;
use crate::reconciler::tests::coming::Coming;
use crate::reconciler::tests::world::FakeJob;

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
    Missed(usize),
    /// Something outside of the operator is away for a while.
    Away(Outside),
    /// Something is done to a job.
    Befalls(JobId, Blow),
    /// An object is edited, as the plan has it.
    Edited(ObjectKey, usize),
}

/// What may be away for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outside {
    Elasticsearch,
    Master,
    UpgradeMode,
    ApiServer,
    /// Another cluster answers under the address.
    Connection,
}

/// What may be done to a job, by somebody else or by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blow {
    Reopened,
    ClosedElsewhere,
    Failed,
    NodeLost,
    /// Elasticsearch will lose a close.
    LostClose,
    ConfigLost,
    Deleted,
    /// A reset, a revert or a delete works on it, until somebody says otherwise.
    Blocked,
    /// That ends. It needs no fault.
    Unblocked,
    FeedStarted,
    FeedStopped,
}

impl Scene {
    /// All that may go wrong here.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let has = |family| self.plan.menu.contains(&family);
        self.of_messages(has(Family::Answers), has(Family::Watch), &mut faults);
        if has(Family::Process) {
            self.of_processes(&mut faults);
        }
        if has(Family::Outside) && self.away().is_none() {
            let all = [
                Outside::Elasticsearch,
                Outside::Master,
                Outside::UpgradeMode,
                Outside::ApiServer,
                Outside::Connection,
            ];
            faults.extend(all.map(Fault::Away));
        }
        if has(Family::Jobs) {
            for (id, fake) in &self.world.jobs {
                faults.extend(blows(fake).map(|blow| Fault::Befalls(id.clone(), blow)));
            }
        }
        if has(Family::People) {
            self.of_people(&mut faults);
        }
        faults
    }

    fn of_people(&self, faults: &mut Vec<Fault>) {
        for (key, object) in &self.world.stored {
            if object.desired.deleting.is_some() {
                continue;
            }
            for (number, edit) in self.plan.edits.iter().enumerate() {
                if edit.changes(&object.desired) {
                    faults.push(Fault::Edited(key.clone(), number));
                }
            }
        }
    }

    fn of_messages(&self, answers: bool, watch: bool, faults: &mut Vec<Fault>) {
        let mut first_watched = true;
        for (at, way) in self.coming.iter().enumerate().filter(|(_, way)| !way.late) {
            match &way.what {
                Sent::Asked(request, _) if answers => {
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
                Sent::Comes(Coming::Watched(..)) if watch && std::mem::take(&mut first_watched) => {
                    faults.extend([Fault::Late(at), Fault::Missed(at), Fault::Twice(at)]);
                }
                Sent::Comes(Coming::Called(..)) if answers => faults.push(Fault::Late(at)),
                Sent::Asked(..) | Sent::Comes(_) => {}
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
}

/// What may be done to a job as it is.
fn blows(fake: &FakeJob) -> impl Iterator<Item = Blow> {
    let (closed, open) = (JobState::Closed, JobState::Opened);
    let runs = fake.feed() == Some(DatafeedState::Started);
    let moves = fake.state != closed && fake.state != JobState::Failed;
    let all = [
        (Blow::Reopened, fake.state != open && fake.config),
        (Blow::ClosedElsewhere, fake.state == open),
        (Blow::LostClose, fake.state == open && fake.lost_closes == 0),
        (Blow::Failed, moves),
        (Blow::NodeLost, moves && fake.assigned),
        (Blow::ConfigLost, fake.state != closed && fake.config),
        (Blow::Deleted, fake.state == closed),
        (Blow::Blocked, !fake.blocked && fake.config),
        (
            Blow::FeedStarted,
            fake.datafeed.is_some() && !runs && fake.state == open,
        ),
        (Blow::FeedStopped, runs),
    ];
    all.into_iter()
        .filter_map(|(blow, may)| may.then_some(blow))
}

impl OnTheWay {
    /// It changes something when it arrives.
    pub(super) fn changes(&self) -> bool {
        matches!(&self.what, Sent::Asked(request, _) if changes(request))
    }

    pub(super) fn calls(&self) -> bool {
        matches!(&self.what, Sent::Asked(request, _) if matches!(**request, Output::Call { .. }))
    }
}

fn changes(request: &Output) -> bool {
    matches!(
        request,
        Output::Call { .. } | Output::Write { .. } | Output::Finalize { .. }
    )
}
