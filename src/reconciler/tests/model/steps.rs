//! The steps that a situation allows, in an order that depends on nothing else: a number names one of them.
//!
//! First what happens by itself, the first of which is what happens when nothing goes wrong; then what may go wrong.

use std::time::Duration;

use super::befall::{away, befalls};
use super::digest::BEGIN;
use super::faults::{Blow, Fault, Outside};
use super::scene::{OnTheWay, Scene, Sent};
use crate::api::JobId;
use crate::reconciler::input::Input;
use crate::reconciler::tests::coming::Coming;
use crate::reconciler::tests::scenarios::sentences::say;

/// Wake-ups and ends come at multiples of this.
const GRAIN_MS: u128 = 1000;

/// Nothing is late by more than this.
const LATE: Duration = Duration::from_secs(65);
/// What is away or blocked comes back within this time, or only after a long one.
const SHORT: Duration = Duration::from_secs(25);
/// A little longer than after what a silent cluster is not observed any more.
const LONG_OUTAGE: Duration = Duration::from_secs(310);
/// A little longer than what a human has to be called after.
const LONG_BLOCK: Duration = Duration::from_secs(130);

fn may_end(age: Duration, long: Duration) -> bool {
    age <= SHORT || age >= long
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A request arrives and is answered, or an answer arrives.
    Arrive(usize),
    /// The brain is told the time.
    Tick,
    /// The watch finds out that it has lost something.
    Relist,
    /// What was away is back.
    Back(Outside),
    /// Time passes until something is due.
    Pass,
    /// What blocks a job ends.
    Unblocked(JobId),
    /// Something goes wrong, or others do something.
    Fault(Fault),
}

impl Scene {
    /// All steps; faults where there is still one to come.
    pub(super) fn steps(&self, most: u8) -> Vec<Step> {
        let mut steps = Vec::new();
        let now = self.world.clock;
        let mut first_watched = true;
        let (mut waits, mut late) = (false, Vec::new());
        for (at, way) in self.coming.iter().enumerate() {
            if let Sent::Comes(Coming::Watched(..)) = &way.what
                && !std::mem::take(&mut first_watched)
            {
                // The watch keeps its order.
                continue;
            }
            if way.at <= now {
                waits |= !way.late;
                let to = if way.late { &mut late } else { &mut steps };
                to.push(Step::Arrive(at));
            }
        }
        let tick = self.world.brain.next_wake().is_some_and(|at| at <= now);
        if tick {
            steps.push(Step::Tick);
        }
        if self.lossy {
            steps.push(Step::Relist);
        }
        // What is late comes after all that is on time.
        steps.append(&mut late);
        if let Some(what) = self
            .away()
            .filter(|_| may_end(now - self.since, LONG_OUTAGE))
        {
            steps.push(Step::Back(what));
        }
        let too_late = |way: &OnTheWay| way.late && way.at + LATE < now;
        waits |= self.coming.iter().any(too_late);
        if !waits && !tick && self.next_event().is_some() {
            steps.push(Step::Pass);
        }
        let ends = may_end(now - self.since, LONG_BLOCK);
        let blocked = self
            .world
            .jobs
            .iter()
            .filter(|(_, fake)| fake.blocked && ends);
        steps.extend(blocked.map(|(id, _)| Step::Unblocked(id.clone())));
        let open = now <= Duration::from_secs(BEGIN + self.plan.within);
        if self.used < most && open {
            steps.extend(self.faults().into_iter().map(Step::Fault));
        }
        steps
    }

    fn next_event(&self) -> Option<Duration> {
        let comes = self.coming.iter().map(|way| way.at);
        let comes = comes.filter(|at| *at > self.world.clock).min();
        let closes = self
            .world
            .jobs
            .values()
            .filter_map(|job| job.closes_at)
            .min();
        let opens = self
            .world
            .jobs
            .values()
            .filter_map(|job| job.opens_at)
            .min();
        let wake = self.world.brain.next_wake();
        let back = self.away().map(|_| self.since + LONG_OUTAGE);
        let back = back.filter(|at| *at > self.world.clock);
        [comes, closes, opens, wake, back]
            .into_iter()
            .flatten()
            .min()
    }

    /// Makes a step.
    pub(super) fn make(&mut self, step: &Step) {
        if self.loud {
            println!("  {step:?} {}", self.told_of(step));
        }
        self.past.wrote = false;
        match step {
            Step::Arrive(at) => self.arrive(*at),
            Step::Tick => self.wake(),
            Step::Relist => self.relist_now(),
            Step::Back(what) => self.others(|world| say(world, away(*what, false))),
            Step::Pass => self.pass(),
            Step::Unblocked(id) => {
                let sentence = befalls(id, Blow::Unblocked);
                self.others(|world| say(world, &sentence));
            }
            Step::Fault(fault) => {
                self.used += 1;
                self.fail(fault);
            }
        }
        self.ghost.sync(&self.world);
    }

    /// The brain is told the time.
    pub(in super::super) fn wake(&mut self) {
        self.handle(Input::Tick);
    }

    /// The watch finds out that it has lost something.
    pub(in super::super) fn relist_now(&mut self) {
        self.lossy = false;
        self.relist();
    }

    fn told_of(&self, step: &Step) -> String {
        match step {
            Step::Arrive(at) => format!("{:?}", self.coming[*at]),
            _ => String::new(),
        }
    }

    pub(in super::super) fn arrive(&mut self, at: usize) {
        let way = self.coming.remove(at);
        match way.what {
            Sent::Comes(coming) => self.tell(coming),
            Sent::Asked(request, order) => match self.arrives(*request, order) {
                Some(_) if way.orphan => {}
                Some((Duration::ZERO, coming)) => self.tell(coming),
                Some((after, coming)) => self.answer(after, coming),
                None => {}
            },
        }
    }

    /// The brain is told of what has come.
    pub(super) fn tell(&mut self, coming: Coming) {
        coming.heard_by(&mut self.ghost, self.world.clock);
        if coming.is_passed_on(&mut self.watched) {
            self.handle(coming.into_input());
        }
    }

    fn pass(&mut self) {
        self.pass_by(self.span());
    }

    /// How long it is until something is due.
    pub(super) fn span(&self) -> Duration {
        let now = self.world.clock;
        let next = self.next_event().unwrap_or(now).max(now);
        let steps = next.as_millis().div_ceil(GRAIN_MS);
        let to = Duration::from_millis(u64::try_from(steps * GRAIN_MS).unwrap());
        (to - now).max(Duration::from_secs(1))
    }

    /// So much time passes, and nothing arrives.
    pub(in super::super) fn pass_by(&mut self, span: Duration) {
        self.ghost.pass(&self.world, span);
        self.world.clock += span;
        self.world.finish_closes();
    }
}
