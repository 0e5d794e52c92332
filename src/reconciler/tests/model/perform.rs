//! What becomes of an output: a request on its way, and what the world makes of it when it arrives there.
//!
//! A request is judged when it is sent, and what it finds or changes is found or changed when it arrives.

use std::sync::Arc;
use std::time::Duration;

use super::scene::{OnTheWay, Scene, Sent};
use crate::api::AnomalyJobStatus;
use crate::reconciler::claims::Rulings;
use crate::reconciler::input::*;
use crate::reconciler::tests::coming::Coming;
use crate::reconciler::tests::world::secs;

/// What Elasticsearch is asked to wait for at most.
const SERVER_TIMEOUT: Duration = Duration::from_secs(30);
/// An answer that comes within this time comes at once.
const AT_ONCE: Duration = Duration::from_millis(5);

impl Scene {
    /// The brain asks for this.
    pub(super) fn take(&mut self, output: Output) {
        match output {
            Output::Claim(claims) => {
                let rulings = self.claims.claim(1, &claims);
                self.rule(rulings);
            }
            Output::Release(key, jobs) => {
                let rulings = self.claims.release(1, &key, &jobs);
                self.rule(rulings);
            }
            Output::GiveWay(key, job) => {
                let rulings = self.claims.give_way(1, &key, &[job]);
                self.rule(rulings);
            }
            Output::WantTurn(key, _) => self.answer(Duration::ZERO, Coming::Turn(key)),
            Output::LetGo(ticket) => {
                self.ghost.answered(ticket);
                self.coming.retain(|way| {
                    !matches!(&way.what, Sent::Comes(Coming::Called(sent, _)) if *sent == ticket)
                });
            }
            Output::Event { event, .. } => self.world.events.push(event),
            Output::Finished { .. } => {}
            request => self.send(request),
        }
    }

    fn rule(&mut self, mut rulings: Rulings) {
        if let Some(ours) = rulings.remove(&1) {
            self.past.rivals |= ours.iter().any(|ruling| ruling.rival.is_some());
            self.answer(Duration::ZERO, Coming::Ruled(ours));
        }
    }

    fn send(&mut self, request: Output) {
        let mut order = 0;
        match &request {
            Output::Call {
                ticket,
                call,
                objects,
            } => {
                self.world.calls.push((self.world.clock, call.clone()));
                self.oldest_calls(call, objects);
                self.ghost.call(&self.world, *ticket, call);
            }
            Output::Write {
                key, uid, status, ..
            } => self.ghost.write(key, uid, status),
            Output::Read { .. } | Output::Verify { .. } => order = self.ghost.next(),
            _ => {}
        }
        self.coming.push(OnTheWay {
            at: self.world.clock,
            late: false,
            orphan: false,
            what: Sent::Asked(Box::new(request), order),
        });
    }

    /// Of several objects that mean a job the oldest calls, once all that was ruled has been told.
    fn oldest_calls(&self, call: &Call, objects: &[ObjectKey]) {
        let ruled = |way: &OnTheWay| matches!(way.what, Sent::Comes(Coming::Ruled(_)));
        if self.coming.iter().any(ruled) {
            return;
        }
        for id in call.jobs() {
            let willing = self.ghost.willing(id);
            let means = |key: &&ObjectKey| {
                let object = self.ghost.as_told(key);
                object.is_some_and(|object| self.ghost.means(object, id))
            };
            for caller in objects.iter().filter(means) {
                assert!(
                    willing.first().is_none_or(|oldest| oldest == caller),
                    "{call:?} for {caller}, but of {willing:?} the first acts"
                );
            }
        }
    }

    /// A request arrives; `None` where nobody answers it. The answer comes after a while.
    pub(super) fn arrives(&mut self, request: Output, order: u64) -> Option<(Duration, Coming)> {
        let at_once = |coming| Some((Duration::ZERO, coming));
        match request {
            Output::Read { ticket, question } => {
                let answer = match &self.world.trouble {
                    Some(trouble) => Err(trouble.clone()),
                    None => Ok(self.world.look(&question)),
                };
                at_once(Coming::Read(ticket, order, Duration::ZERO, answer))
            }
            Output::Call { ticket, call, .. } => Some(self.called(ticket, &call)),
            Output::Verify {
                ticket,
                key,
                uid,
                job,
                ..
            } => {
                self.ghost.verifying(&self.world, ticket, &key, &uid, &job);
                let answer = self.world.verify(&key, &uid, &job);
                let version = self.world.version;
                let took = Duration::ZERO;
                at_once(Coming::Verified(ticket, job, order, took, version, answer))
            }
            Output::Write {
                ticket,
                key,
                uid,
                resource_version,
                status,
            } => {
                let answer = self.written(&key, &uid, &resource_version, &status);
                at_once(Coming::Written(ticket, key, uid, *status, answer))
            }
            Output::Finalize {
                ticket,
                key,
                uid,
                resource_version,
                finalizers,
            } => {
                let answer = self.finalized(&key, &uid, &resource_version, finalizers);
                at_once(Coming::Finalized(ticket, answer))
            }
            Output::Refresh(..) if self.world.api_server_down => None,
            Output::Refresh(key, uid) => {
                let found = self.world.stored.get(&key).cloned().map(Box::new);
                at_once(Coming::Refreshed(key, uid, self.world.version, found))
            }
            _ => None,
        }
    }

    fn called(&mut self, ticket: Ticket, call: &Call) -> (Duration, Coming) {
        if let Call::Close(ids) = call {
            for id in ids {
                self.ghost.closed(id);
            }
        }
        let (after, answer) = self.world.call(call);
        self.ghost.sync(&self.world);
        let (after, answer) = if after > SERVER_TIMEOUT {
            let look = Err(Refusal::LookAgain { answered: true });
            (SERVER_TIMEOUT, look)
        } else {
            (after, answer)
        };
        let after = if after <= AT_ONCE {
            secs(0)
        } else {
            after - AT_ONCE
        };
        (after, Coming::Called(ticket, answer))
    }

    fn written(
        &mut self,
        key: &ObjectKey,
        uid: &Uid,
        version: &str,
        status: &AnomalyJobStatus,
    ) -> Result<Arc<str>, WriteRefused> {
        self.keep_before(key);
        if self.world.api_server_down {
            return Err(WriteRefused::Failed);
        }
        let answer = self.world.store_status(key, uid, version, status);
        if answer.is_ok() {
            self.past.wrote = true;
            self.watch(key);
        }
        answer
    }

    fn finalized(
        &mut self,
        key: &ObjectKey,
        uid: &Uid,
        version: &str,
        finalizers: Vec<String>,
    ) -> Result<Arc<str>, WriteRefused> {
        if self.world.api_server_down {
            return Err(WriteRefused::Failed);
        }
        self.keep_before(key);
        let answer = self.world.store_finalizers(key, uid, version, finalizers);
        if answer.is_ok() {
            self.watch(key);
        }
        answer
    }

    /// What is stored now is going to be what was stored before.
    pub(super) fn keep_before(&mut self, key: &ObjectKey) {
        if let Some(stored) = self.world.stored.get(key) {
            let kept = (self.world.version, stored.clone());
            self.before.insert(key.clone(), kept);
        }
    }
}
