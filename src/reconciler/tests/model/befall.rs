//! What a fault does to a situation. Which there are, and when, is in `faults`; all of it is told to nobody but the world.

use std::time::Duration;

use super::faults::{Blow, Fault, Outside};
use super::plans::Edit;
use super::scene::{OnTheWay, Scene, Sent};
use crate::api::{JobId, Reason};
use crate::reconciler::input::*;
use crate::reconciler::tests::coming::Coming;
use crate::reconciler::tests::scenarios::sentences::say;
use crate::reconciler::tests::world::{World, trouble};

impl Scene {
    /// It happens.
    pub(super) fn fail(&mut self, fault: &Fault) {
        match fault {
            Fault::Late(at) => self.dawdle(*at),
            Fault::Dawdles(at) => self.delay(*at),
            Fault::AnswerLost(at) => self.lose(*at, true),
            Fault::RequestLost(at) | Fault::Missed(at) => self.lose(*at, false),
            Fault::Refused(at) => self.refuse(*at),
            Fault::Twice(at) => self.double(*at),
            Fault::Crash(taken) => self.crash(*taken),
            Fault::CrashBefore => self.crash_before(),
            Fault::CrashStale => self.crash_stale(),
            Fault::Away(what) => self.others(|world| say(world, away(*what, true))),
            Fault::Befalls(id, blow) => {
                let sentence = befalls(id, *blow);
                self.others(|world| say(world, &sentence));
            }
            Fault::Edited(key, number) => {
                let edit = &self.plan.edits[*number];
                self.others(|world| perform(world, key.name(), edit));
            }
        }
    }

    pub(in super::super) fn refuse(&mut self, at: usize) {
        if let Sent::Asked(request, _) = self.coming.remove(at).what
            && let Output::Call { ticket, .. } = *request
        {
            let refusal = Refusal::Overloaded(trouble(Reason::Overloaded));
            self.tell(Coming::Called(ticket, Err(refusal)));
        }
    }

    pub(in super::super) fn dawdle(&mut self, at: usize) {
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

    /// It comes later: a request itself, or what is told.
    pub(in super::super) fn delay(&mut self, at: usize) {
        match self.coming[at].what {
            Sent::Asked(..) => self.coming[at].late = true,
            Sent::Comes(_) => self.dawdle(at),
        }
    }

    pub(in super::super) fn lose(&mut self, at: usize, taken: bool) {
        let Sent::Asked(request, order) = self.coming.remove(at).what else {
            // The watch finds out, some time.
            self.lossy = true;
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

    pub(in super::super) fn double(&mut self, at: usize) {
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
    pub(in super::super) fn crash(&mut self, taken: usize) {
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

    pub(in super::super) fn crash_before(&mut self) {
        self.coming.retain(OnTheWay::calls);
        for way in &mut self.coming {
            (way.late, way.orphan) = (true, true);
        }
        self.restart();
        self.relist();
        self.connect();
    }

    pub(in super::super) fn crash_stale(&mut self) {
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
}

/// The sentence for what goes away, or comes back.
pub(super) fn away(what: Outside, away: bool) -> &'static str {
    match (what, away) {
        (Outside::Elasticsearch, true) => "elasticsearch fails: ClusterUnreachable",
        (Outside::Elasticsearch, false) => "elasticsearch answers",
        (Outside::Master, true) => "elasticsearch refuses calls: NoMaster",
        (Outside::Master, false) => "elasticsearch takes calls",
        (Outside::UpgradeMode, true) => "elasticsearch is in upgrade mode",
        (Outside::UpgradeMode, false) => "elasticsearch is not in upgrade mode",
        (Outside::ApiServer, true) => "the API server is down",
        (Outside::ApiServer, false) => "the API server is up",
        (Outside::Connection, true) => "the connection is unusable: ClusterChanged",
        (Outside::Connection, false) => "the connection is usable",
    }
}

/// The sentence for what is done to a job.
pub(super) fn befalls(id: &JobId, blow: Blow) -> String {
    let what = match blow {
        Blow::Reopened => "is opened",
        Blow::ClosedElsewhere => "is closed",
        Blow::Failed => "is failed",
        Blow::NodeLost => "has no node",
        Blow::LostClose => "ignores 1 closes",
        Blow::ConfigLost => "has no config",
        Blow::Deleted => "is missing",
        Blow::Blocked => "is blocked",
        Blow::Unblocked => "is not blocked",
        Blow::FeedStarted => "has a datafeed that runs",
        Blow::FeedStopped => "has a datafeed that is stopped",
    };
    format!("job {id} {what}")
}

fn perform(world: &mut World, name: &str, edit: &Edit) {
    match edit {
        Edit::Wishes(_, asks) => world.edit(name, |wish| {
            for (ask, args) in asks {
                ask(wish, args);
            }
        }),
        Edit::Delete => world.delete(name),
        Edit::Recreate => world.recreate(name),
        Edit::Wipe => say(world, &format!("the status of {name} is wiped")),
    }
}
