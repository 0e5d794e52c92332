//! The steps that a situation allows, in an order that depends on nothing else: a number names one of them.
//!
//! First what happens by itself, the first of which is what happens when nothing goes wrong; then what may go wrong.

use std::time::Duration;

use super::faults::Fault;
use super::scene::{Scene, Sent};
use crate::reconciler::input::Input;
use crate::reconciler::tests::coming::Coming;

/// Wake-ups and ends come at multiples of this.
const GRAIN_MS: u128 = 1000;

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A request arrives and is answered, or an answer arrives.
    Arrive(usize),
    /// The brain is told the time.
    Tick,
    /// The watch finds out that it has lost something.
    Relist,
    /// The outage ends.
    Answers,
    /// Upgrade mode ends.
    Upgraded,
    /// Time passes until something is due.
    Pass,
    /// Something goes wrong, or others do something.
    Fault(Fault),
}

impl Scene {
    /// All steps; faults where there is still one to come.
    pub(super) fn steps(&self, most: u8) -> Vec<Step> {
        let mut steps = Vec::new();
        let now = self.world.clock;
        let mut first_watched = true;
        let mut waits = false;
        for (at, way) in self.coming.iter().enumerate() {
            if let Sent::Comes(Coming::Watched(..)) = &way.what
                && !std::mem::take(&mut first_watched)
            {
                // The watch keeps its order.
                continue;
            }
            if way.at <= now {
                waits |= !way.late;
                steps.push(Step::Arrive(at));
            }
        }
        let tick = self.world.brain.next_wake().is_some_and(|at| at <= now);
        if tick {
            steps.push(Step::Tick);
        }
        if self.lossy {
            steps.push(Step::Relist);
        }
        if self.world.trouble.is_some() {
            steps.push(Step::Answers);
        }
        if self.world.upgrade_mode {
            steps.push(Step::Upgraded);
        }
        if !waits && !tick && self.next_event().is_some() {
            steps.push(Step::Pass);
        }
        if self.used < most {
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
        [comes, closes, opens, wake].into_iter().flatten().min()
    }

    /// Makes a step.
    pub(super) fn make(&mut self, step: &Step) {
        if self.loud {
            println!("  {step:?} {}", self.told_of(step));
        }
        self.past.wrote = false;
        match step {
            Step::Arrive(at) => self.arrive(*at),
            Step::Tick => self.handle(Input::Tick),
            Step::Relist => {
                self.lossy = false;
                self.relist();
            }
            Step::Answers => self.world.trouble = None,
            Step::Upgraded => self.world.upgrade_mode = false,
            Step::Pass => self.pass(),
            Step::Fault(fault) => {
                self.used += 1;
                self.fail(fault);
            }
        }
        self.ghost.sync(&self.world);
        self.world.calls.clear();
        self.world.reads.clear();
    }

    fn told_of(&self, step: &Step) -> String {
        match step {
            Step::Arrive(at) => format!("{:?}", self.coming[*at]),
            _ => String::new(),
        }
    }

    fn arrive(&mut self, at: usize) {
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
        let now = self.world.clock;
        let Some(next) = self.next_event() else {
            return;
        };
        let steps = next.max(now).as_millis().div_ceil(GRAIN_MS);
        let to = Duration::from_millis(u64::try_from(steps * GRAIN_MS).unwrap());
        let to = if to > now {
            to
        } else {
            now + Duration::from_secs(1)
        };
        self.ghost.pass(&self.world, to - now);
        self.world.clock = to;
        self.world.finish_closes();
    }
}
