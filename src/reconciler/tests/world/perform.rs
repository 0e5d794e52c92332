//! What becomes of the outputs of a brain: answers on their way, and what the API server keeps.

use std::sync::Arc;
use std::time::Duration;

use super::World;
use super::reads::requests;
use crate::api::AnomalyJobStatus;
use crate::reconciler::claims::Rulings;
use crate::reconciler::input::*;

impl World {
    pub(super) fn perform(&mut self, output: Output) {
        let soon = Duration::from_millis(5);
        match output {
            Output::Read { ticket, question } => {
                let answer = match &self.trouble {
                    Some(trouble) => Err(trouble.clone()),
                    None => Ok(self.look(&question)),
                };
                let asked = if answer.is_ok() {
                    requests(&question, self.list_room)
                } else {
                    1
                };
                self.requests += asked;
                self.searches += if answer.is_ok() {
                    self.searches_of(&question, asked)
                } else {
                    0
                };
                self.reads.push(question);
                self.answer(self.slow, Input::Read(ticket, answer));
            }
            Output::WantTurn(key, urgency) => {
                let tenant = Arc::clone(key.namespace());
                self.turns
                    .ask(&tenant, (self.side, key), urgency.lane(), self.clock);
            }
            Output::Claim(claims) => {
                let rulings = self.claims.claim(self.side, &claims);
                self.rule(rulings);
            }
            Output::Release(key, jobs) => {
                let rulings = self.claims.release(self.side, &key, &jobs);
                self.rule(rulings);
            }
            Output::GiveWay(key, job) => {
                let rulings = self.claims.give_way(self.side, &key, &[job]);
                self.rule(rulings);
            }
            Output::Finalize {
                ticket,
                key,
                uid,
                resource_version,
                finalizers,
            } => self.finalize(ticket, key, &uid, &resource_version, finalizers),
            Output::Call { ticket, call, .. } => {
                self.requests += 1;
                self.searches += 2;
                self.calls.push((self.clock, call.clone()));
                self.rules.call((self.side, ticket), &call, self.clock);
                let (after, answer) = self.call(&call);
                self.answer(after, Input::Called(ticket, answer));
            }
            Output::LetGo(ticket) => {
                self.let_go += 1;
                self.abandoned.insert((self.side, ticket));
                self.rules.ended((self.side, ticket));
            }
            Output::Verify {
                ticket,
                key,
                uid,
                job,
                ..
            } => {
                self.requests += 4;
                self.searches += 4;
                let answer = self.verify(&key, &uid, &job);
                self.answer(soon, Input::Verified(ticket, answer));
            }
            Output::Write {
                ticket,
                key,
                resource_version,
                status,
                ..
            } => self.write(ticket, key, &resource_version, *status),
            Output::Refresh(key, uid) => {
                let found = self.stored.get(&key).cloned().map(Box::new);
                self.answer(soon, Input::Refreshed(key, uid, found));
            }
            Output::Event { event, .. } => self.events.push(event),
            Output::Finished { outcome, .. } => self.finished.push(outcome),
        }
    }

    pub(super) fn write(
        &mut self,
        ticket: Ticket,
        key: ObjectKey,
        version: &str,
        status: AnomalyJobStatus,
    ) {
        let soon = Duration::from_millis(3);
        if self.api_server_down {
            return self.answer(soon, Input::Written(ticket, Err(WriteRefused::Failed)));
        }
        self.version += 1;
        let new = self.version.to_string();
        let answer = match self.stored.get_mut(&key) {
            None => Err(WriteRefused::Gone),
            Some(stored) if &*stored.resource_version != version => Err(WriteRefused::Conflict),
            Some(stored) => {
                stored.status = status.clone();
                stored.resource_version = Arc::from(new.as_str());
                self.writes.push((key.clone(), status));
                Ok(Arc::from(new.as_str()))
            }
        };
        let taken = answer.is_ok();
        if !(taken && self.lose_acks) {
            self.answer(soon, Input::Written(ticket, answer));
        }
        if taken {
            // The watch brings our own write back, as it does in life.
            let echo = self.stored[&key].clone();
            self.answer(soon * 2, Input::Delivered(Box::new(echo)));
        }
    }

    pub(super) fn rule(&mut self, mut rulings: Rulings) {
        for side in [1, 2] {
            if let Some(ruled) = rulings.remove(&side) {
                self.sent += 1;
                self.pending
                    .insert((self.clock, self.sent), (side, Input::Ruled(ruled)));
            }
        }
    }

    pub(super) fn finalize(
        &mut self,
        ticket: Ticket,
        key: ObjectKey,
        uid: &Uid,
        version: &str,
        finalizers: Vec<String>,
    ) {
        let soon = Duration::from_millis(3);
        if self.api_server_down {
            return self.answer(soon, Input::Written(ticket, Err(WriteRefused::Failed)));
        }
        self.finalizes += 1;
        let answer = self.store_finalizers(&key, uid, version, finalizers);
        let taken = answer.is_ok();
        self.answer(soon, Input::Written(ticket, answer));
        let news = match self.stored.get(&key).cloned() {
            Some(stored) => Input::Delivered(Box::new(stored)),
            None => Input::Gone(key),
        };
        if taken {
            self.answer(soon * 2, news);
        }
    }
}
