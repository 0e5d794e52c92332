//! What Helm, Flux and kapp make of a status, by the rules that kstatus has published, and a brain that meets anything.
//!
//! The real library judges whole runs in `tests/integration`; here its rules are a function, so that it can be asked for
//! each of very many states.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::meant::{Listed, hear, meant};
use super::world::{FakeJob, World, desired, job, key, moment, policy, secs, trouble};
use crate::api::{
    AnomalyJobStatus, ConditionStatus, ConditionType, DatafeedState, JobId, JobState, OnFailed,
    OnTimeout, Reason,
};
use crate::properties::{Choices, Met, holds};
use crate::reconciler::input::*;

const JOBS: [&str; 3] = ["a", "b", "c"];
const EXPRESSIONS: [&str; 7] = ["a", "b", "a,b", "a,b,c", "g", "*", "g,x*"];
const STATES: [JobState; 5] = [
    JobState::Closed,
    JobState::Opened,
    JobState::Closing,
    JobState::Opening,
    JobState::Failed,
];

/// <https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus>, of an object that is not being deleted: another
/// generation is in progress; then the two abnormal conditions as they stand; then Ready, where there is one.
pub(in crate::reconciler) fn kstatus(status: &AnomalyJobStatus, generation: i64) -> &'static str {
    if status.observed_generation != generation {
        return "InProgress";
    }
    for condition in &status.conditions {
        match (condition.type_.as_str(), condition.status.as_str()) {
            ("Reconciling", "True") => return "InProgress",
            ("Stalled", "True") => return "Failed",
            _ => {}
        }
    }
    let mut conditions = status.conditions.iter();
    match conditions.find(|condition| condition.type_ == "Ready") {
        Some(ready) if ready.status != "True" => "InProgress",
        _ => "Current",
    }
}

/// The condition has this value.
pub(in crate::reconciler) fn is(
    status: &AnomalyJobStatus,
    of: ConditionType,
    value: ConditionStatus,
) -> bool {
    let mut conditions = status.conditions.iter();
    conditions.any(|found| found.type_ == of.as_str() && found.status == value.as_str())
}

/// What is asked of the conditions of every status.
pub(in crate::reconciler) fn are_well_formed(status: &AnomalyJobStatus, generation: i64) {
    assert_eq!(status.observed_generation, generation);
    let types: BTreeSet<&str> = status
        .conditions
        .iter()
        .map(|found| found.type_.as_str())
        .collect();
    assert_eq!(types.len(), status.conditions.len(), "one of each");
    assert!(types.contains("Ready") && types.contains("Closed"));
    assert!(!types.contains("Reconciling") || !types.contains("Stalled"));
    for found in &status.conditions {
        assert_eq!(found.observed_generation, Some(generation));
        assert!(Reason::parse(&found.reason).is_some() && !found.message.is_empty());
        let aspect = ["Reconciling", "Stalled"].contains(&found.type_.as_str());
        assert!(!aspect || found.status == "True", "{found:?}");
    }
    let aspect = types.contains("Reconciling") || types.contains("Stalled");
    assert!(!aspect || is(status, ConditionType::Ready, ConditionStatus::False));
}

/// One brain, one object, three jobs; each step is chosen.
struct Walk {
    world: World,
    asked: Vec<Output>,
    listed: Listed,
    doubted: bool,
    seen: BTreeMap<JobId, SeenJob>,
    /// The newest ticket, and the newest when a call for the job ended: what was asked until then tells of the time before.
    newest: Ticket,
    touched: BTreeMap<JobId, Ticket>,
}

impl Walk {
    fn new(choices: &mut Choices) -> Self {
        let mut world = World::new();
        for id in JOBS {
            if choices.chance(85) {
                world.jobs.insert(job(id), fake(choices));
            }
        }
        let mut close = policy();
        close.on_timeout = choices.of(&[OnTimeout::Force, OnTimeout::Wait, OnTimeout::Stall]);
        close.on_failed = choices.of(&[OnFailed::Force, OnFailed::Stall]);
        let wanted = choices.of(&[
            Wanted::Closed,
            Wanted::Closed,
            Wanted::Opened,
            Wanted::Observed,
        ]);
        let mut desired = desired(choices.of(&EXPRESSIONS), wanted, close);
        desired.suspended = choices.chance(5);
        desired.scope.allow_no_match = choices.chance(50);
        let delivered = world.store(key("x"), desired);
        let mut walk = Self {
            world,
            asked: Vec::new(),
            listed: Listed::new(),
            doubted: false,
            seen: BTreeMap::new(),
            newest: Ticket::default(),
            touched: BTreeMap::new(),
        };
        walk.tell(Input::Delivered(Box::new(delivered)));
        walk
    }

    fn tell(&mut self, input: Input) {
        let now = moment(self.world.clock);
        let outputs = self.world.brain.handle(input, now);
        let wanted = |output: &Output| {
            !matches!(
                output,
                Output::Event { .. } | Output::Finished { .. } | Output::LetGo(_)
            )
        };
        for output in outputs.into_iter().filter(wanted) {
            if let Output::Read { ticket, .. }
            | Output::Call { ticket, .. }
            | Output::Verify { ticket, .. }
            | Output::Write { ticket, .. } = &output
            {
                self.newest = self.newest.max(*ticket);
            }
            self.asked.push(output);
        }
    }

    /// The one that was asked for first is answered, or the world changes.
    fn step(&mut self, choices: &mut Choices) {
        match choices.below(20) {
            14 => {
                let state = choices.of(&STATES);
                if let Some(fake) = self.world.jobs.get_mut(&job(choices.of(&JOBS))) {
                    fake.state = state;
                }
            }
            15 => drop(self.world.jobs.remove(&job(choices.of(&JOBS)))),
            16 => {
                self.world
                    .edit_silently("x", |desired| desired.wanted = Wanted::Opened);
                let stored = self.world.stored[&key("x")].clone();
                self.tell(Input::Delivered(Box::new(stored)));
            }
            17 => {
                self.world.trouble = choices.some(50, |choices| trouble(choices.of(Reason::ALL)));
            }
            18 => {
                self.world.clock += choices.of(&[secs(1), secs(61), secs(130), secs(400)]);
                self.tell(Input::Tick);
            }
            19 => {
                let usable = Connection::Usable(self.world.usable());
                let broken = choices.some(50, |choices| trouble(choices.of(Reason::ALL)));
                self.tell(Input::Connection(
                    broken.map_or(usable, Connection::Unusable),
                ));
            }
            _ if self.asked.is_empty() => {
                let wake = self.world.brain.next_wake().unwrap_or_default();
                self.world.clock = self.world.clock.max(wake);
                self.tell(Input::Tick);
            }
            _ => self.answer(choices),
        }
    }

    fn answer(&mut self, choices: &mut Choices) {
        self.world.clock += Duration::from_millis(5);
        match self.asked.remove(0) {
            Output::Read { ticket, question } => self.read(ticket, &question),
            Output::Claim(claims) => {
                let rival = choices.some(5, |_| key("older"));
                let ruled = |claim: Claim| {
                    let ruling = |job: &JobId| Ruling {
                        ticket: claim.ticket,
                        key: claim.key.clone(),
                        uid: claim.uid.clone(),
                        job: job.clone(),
                        rival: rival.clone(),
                    };
                    claim.jobs.iter().map(ruling).collect::<Vec<_>>()
                };
                self.tell(Input::Ruled(claims.into_iter().flat_map(ruled).collect()));
            }
            Output::Call { ticket, call, .. } => {
                let (_, answer) = self.world.call(&call);
                let touched = call.jobs().iter().map(|id| (id.clone(), self.newest));
                self.touched.extend(touched);
                self.tell(Input::Called(ticket, answer));
            }
            Output::WantTurn(key, _) => self.tell(Input::Turn(key)),
            Output::Write {
                ticket,
                key,
                uid,
                resource_version,
                status,
            } => {
                let answer = self
                    .world
                    .store_status(&key, &uid, &resource_version, &status);
                self.tell(Input::Written(ticket, answer));
            }
            Output::Verify {
                ticket,
                key,
                uid,
                job,
                ..
            } => {
                let answer = self.world.verify(&key, &uid, &job);
                if let Ok(live) = &answer {
                    self.see(ticket, job, live.look.job.clone());
                }
                self.tell(Input::Verified(ticket, answer));
            }
            _ => {}
        }
    }

    fn see(&mut self, asked: Ticket, id: JobId, seen: SeenJob) {
        if self.touched.get(&id).is_none_or(|touched| *touched < asked) {
            self.seen.insert(id, seen);
        }
    }

    fn read(&mut self, ticket: Ticket, question: &Question) {
        if let Some(trouble) = self.world.trouble.clone() {
            return self.tell(Input::Read(ticket, Err(trouble)));
        }
        let answer = self.world.look(question);
        match &answer {
            Answer::States(states, _) => {
                for (id, seen) in states {
                    self.see(ticket, id.clone(), seen.clone());
                }
            }
            Answer::Catalogue(listing) => hear(&mut self.listed, &mut self.doubted, listing),
            _ => {}
        }
        self.tell(Input::Read(ticket, Ok(answer)));
    }

    /// What would be written now, and what of it is true by what was answered last.
    fn judge(&self) -> (&'static str, bool) {
        let brain = &self.world.brain;
        let object = brain.objects.get(&key("x")).unwrap();
        let (status, _) = brain.report(&object, moment(self.world.clock));
        let verdict = kstatus(&status, object.generation);
        are_well_formed(&status, object.generation);
        let is_closed = is(&status, ConditionType::Closed, ConditionStatus::True);
        let desired = &self.world.stored[&key("x")].desired;
        let is_at = |wanted: JobState| {
            let mut jobs = meant(desired, &self.listed).into_iter();
            jobs.all(|id| {
                let seen = self.seen.get(&id);
                let state = seen.and_then(|seen| seen.state.as_ref());
                state.is_some_and(|state| state.state == wanted)
            })
        };
        let enforced = match desired.wanted {
            Wanted::Observed => None,
            Wanted::Opened => Some(JobState::Opened),
            Wanted::Closed => Some(JobState::Closed),
        };
        if verdict == "Current" {
            assert!(enforced.is_none_or(is_at), "{status:#?} {:#?}", self.seen);
        }
        assert!(
            !is_closed || is_at(JobState::Closed),
            "{status:#?} {:#?}",
            self.seen
        );
        (verdict, is_closed)
    }
}

fn fake(choices: &mut Choices) -> FakeJob {
    let mut fake = FakeJob::new(choices.of(&STATES));
    fake.close_takes = choices.of(&[Some(secs(0)), Some(secs(40)), None]);
    fake.config = !choices.chance(5);
    fake.blocked = choices.chance(5);
    fake.groups = choices.some(50, |_| "g").into_iter().collect();
    if choices.chance(20) {
        fake = fake.with_feed(choices.of(&[DatafeedState::Stopped, DatafeedState::Started]));
    }
    fake
}

#[test]
fn whatever_a_brain_meets_it_is_current_only_with_every_job_seen_where_it_should_be() {
    let met = Met::new(["Current", "InProgress", "Failed", "closed"]);
    holds(file!(), 80, |choices| {
        let mut walk = Walk::new(choices);
        let mut verdicts = Vec::new();
        for _ in 0..8 + choices.below(6) {
            walk.step(choices);
            verdicts.push(walk.judge());
        }
        let any = |wanted| verdicts.iter().any(|(verdict, _)| *verdict == wanted);
        let closed = verdicts.iter().any(|(_, closed)| *closed);
        met.note([any("Current"), any("InProgress"), any("Failed"), closed]);
    });
    met.is_often();
}
