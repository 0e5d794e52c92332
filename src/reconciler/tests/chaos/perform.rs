//! What the random walk's Elasticsearch and API server make of an output, and when the answer comes.

use std::sync::Arc;
use std::time::Duration;

use super::Chaos;
use crate::api::{AnomalyJobStatus, Reason};
use crate::reconciler::claims::Rulings;
use crate::reconciler::input::*;
use crate::reconciler::tests::coming::Coming;
use crate::reconciler::tests::world::{secs, trouble};

impl Chaos {
    pub(super) fn perform(&mut self, output: Output) {
        let delay = self.delay();
        match output {
            Output::Read { ticket, question } => {
                let answer = match &self.world.trouble {
                    Some(trouble) => Err(trouble.clone()),
                    None => Ok(self.world.look(&question)),
                };
                let order = self.ghost.next();
                self.send(delay, Coming::Read(ticket, order, delay, answer));
            }
            Output::WantTurn(key, _) => {
                let wait = if self.rng.chance(90) {
                    Duration::ZERO
                } else {
                    delay
                };
                self.send(wait, Coming::Turn(key));
            }
            Output::Claim(new) => {
                let rulings = self.claims.lock().unwrap().claim(self.number, &new);
                self.rule(rulings);
            }
            Output::Release(key, jobs) => {
                let rulings = self
                    .claims
                    .lock()
                    .unwrap()
                    .release(self.number, &key, &jobs);
                self.rule(rulings);
            }
            Output::GiveWay(key, job) => {
                let rulings = self
                    .claims
                    .lock()
                    .unwrap()
                    .give_way(self.number, &key, &[job]);
                self.rule(rulings);
            }
            Output::Call { ticket, call, .. } => self.call(ticket, &call, delay),
            Output::LetGo(ticket) => {
                self.ghost.answered(ticket);
                self.coming.retain(
                    |_, coming| !matches!(coming, Coming::Called(sent, _) if *sent == ticket),
                );
            }
            Output::Verify {
                ticket,
                key,
                uid,
                job,
                ..
            } => {
                self.ghost.verifying(&self.world, ticket, &key, &uid, &job);
                let answer = self.world.verify(&key, &uid, &job);
                let (order, version) = (self.ghost.next(), self.world.version);
                self.send(
                    delay,
                    Coming::Verified(ticket, job, order, delay, version, answer),
                );
            }
            Output::Write {
                ticket,
                key,
                uid,
                resource_version,
                status,
            } => {
                self.ghost.write(&key, &uid, &status);
                let answer = self.write(&key, &uid, &resource_version, &status);
                let lost = self.world.lose_acks && answer.is_ok();
                let (after, answer) = if lost {
                    (secs(15), Err(WriteRefused::Failed))
                } else {
                    (delay, answer)
                };
                self.send(after, Coming::Written(ticket, key, uid, *status, answer));
            }
            Output::Refresh(key, uid) => {
                if !self.world.api_server_down {
                    let found = self.world.stored.get(&key).cloned().map(Box::new);
                    let version = self.world.version;
                    self.send(delay, Coming::Refreshed(key, uid, version, found));
                }
            }
            Output::Finalize {
                ticket,
                key,
                uid,
                resource_version,
                finalizers,
            } => {
                let answer = self.finalize(&key, &uid, &resource_version, finalizers);
                self.send(delay, Coming::Finalized(ticket, answer));
            }
            Output::Event { .. } | Output::Finished { .. } => {}
        }
    }

    pub(super) fn rule(&mut self, mut rulings: Rulings) {
        if let Some(ours) = rulings.remove(&self.number) {
            self.send(Duration::ZERO, Coming::Ruled(ours));
        }
    }

    fn call(&mut self, ticket: Ticket, call: &Call, delay: Duration) {
        self.ghost.call(&self.world, ticket, call);
        let luck = if self.faults { self.rng.below(100) } else { 50 };
        let lost = Err(Refusal::LookAgain { answered: false });
        if luck < 5 {
            let more = secs(self.rng.below(60));
            self.send(delay + more, Coming::Called(ticket, lost));
            return;
        }
        if luck < 8 {
            let refused = Err(Refusal::Refused(trouble(Reason::Overloaded)));
            return self.send(delay, Coming::Called(ticket, refused));
        }
        if let Call::Close(ids) = call {
            for id in ids {
                self.ghost.closed(id);
            }
        }
        let (after, answer) = self.world.call(call);
        let answer = if luck > 95 { lost } else { answer };
        self.send(after.min(secs(60)) + delay, Coming::Called(ticket, answer));
    }

    fn finalize(
        &mut self,
        key: &ObjectKey,
        uid: &Uid,
        version: &str,
        finalizers: Vec<String>,
    ) -> Result<Arc<str>, WriteRefused> {
        if self.world.api_server_down || self.faults && self.rng.chance(3) {
            return Err(WriteRefused::Failed);
        }
        let answer = self.world.store_finalizers(key, uid, version, finalizers);
        if answer.is_ok() {
            self.watch(key);
        }
        answer
    }

    fn write(
        &mut self,
        key: &ObjectKey,
        uid: &Uid,
        version: &str,
        status: &AnomalyJobStatus,
    ) -> Result<Arc<str>, WriteRefused> {
        if self.world.api_server_down || self.faults && self.rng.chance(3) {
            return Err(WriteRefused::Failed);
        }
        let answer = self.world.store_status(key, uid, version, status);
        if answer.is_ok() {
            let size = serde_json::to_vec(status).unwrap().len();
            self.largest = self.largest.max(size);
            self.world.writes.push((key.clone(), status.clone()));
            self.watch(key);
        }
        answer
    }
}
