//! A scenario that runs: its world, what was looked at already, and the tale that is told where it does not hold.
//!
//! It expects nothing by itself; a step that is wrong ends it.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::calls::Made;
use super::grammar::Args;
use super::script::Script;
use crate::reconciler::input::Event;
use crate::reconciler::tests::model::scene::Scene;
use crate::reconciler::tests::world::World;

/// What a line of a scenario does.
pub(super) type Rule = fn(&mut Story, &Args) -> Result<(), Wrong>;

/// What was expected, and what was.
pub(super) struct Wrong {
    pub expected: String,
    pub was: String,
}

pub(super) struct Story {
    pub scene: Scene,
    calls: usize,
    events: usize,
    writes: usize,
}

impl Story {
    fn new() -> Self {
        Self {
            scene: Scene::empty(),
            calls: 0,
            events: 0,
            writes: 0,
        }
    }

    /// Others do something; by hand, what they do is told by a message.
    pub(super) fn others(&mut self, what: impl FnOnce(&mut World)) {
        if self.scene.world.waits.is_some() {
            self.scene.others(what);
        } else {
            what(&mut self.scene.world);
        }
    }

    /// Time passes.
    pub(super) fn pass(&mut self, span: Duration) {
        if self.scene.world.waits.is_some() {
            self.scene.pass_by(span);
        } else {
            self.scene.world.pass(span);
        }
    }

    /// The calls since they were looked at last.
    pub(super) fn new_calls(&mut self) -> Vec<Made> {
        let new = self.scene.world.calls[self.calls..]
            .iter()
            .map(Made::of)
            .collect();
        self.calls = self.scene.world.calls.len();
        new
    }

    /// The events since they were looked at last, by their reasons.
    pub(super) fn new_events(&mut self) -> Vec<String> {
        let said = |event: &Event| {
            let warning = if event.warning { "warning " } else { "" };
            format!("{warning}{}", event.reason)
        };
        let new = self.scene.world.events[self.events..]
            .iter()
            .map(said)
            .collect();
        self.events = self.scene.world.events.len();
        new
    }

    /// How often status was written since that was asked last.
    pub(super) fn new_writes(&mut self) -> usize {
        let before = std::mem::replace(&mut self.writes, self.scene.world.writes.len());
        self.writes - before
    }
}

/// Runs all of it. `Err` is the whole tale.
pub(in super::super) fn run(script: &Script) -> Result<(), String> {
    play(script).map(drop)
}

/// The same; the situation at its end.
pub(in super::super) fn play(script: &Script) -> Result<Scene, String> {
    let mut story = Story::new();
    let mut told = Vec::new();
    for step in &script.steps {
        let begun = story.scene.world.clock;
        let ran = catch_unwind(AssertUnwindSafe(|| (step.rule)(&mut story, &step.args)));
        told.push((begun, step.text.as_str()));
        story.scene.ghost.sync(&story.scene.world);
        let why = match ran {
            Ok(Ok(())) => continue,
            Ok(Err(wrong)) => format!("  expected: {}\n  was:      {}", wrong.expected, wrong.was),
            Err(panic) => format!("  the world broke: {}", message(&*panic)),
        };
        let at = format!("{}:{}: {}", script.file, step.line, step.text);
        return Err(format!("{at}\n{why}\n{}", tale(&story.scene.world, &told)));
    }
    Ok(story.scene)
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("?")
}

/// The lines that ran and the calls that were made, by their time; then what every object says.
fn tale(world: &World, told: &[(Duration, &str)]) -> String {
    let mut tale = "the story so far:\n".to_owned();
    let mut calls = world.calls.iter().map(Made::of).peekable();
    for (n, (at, text)) in told.iter().enumerate() {
        let _ = writeln!(tale, "  {:>9.1}s  {text}", at.as_secs_f64());
        let until = told.get(n + 1).map_or(Duration::MAX, |(next, _)| *next);
        while let Some(call) = calls.next_if(|call| call.at <= until) {
            let _ = writeln!(
                tale,
                "  {:>9.1}s    called: {}",
                call.at.as_secs_f64(),
                call.text()
            );
        }
    }
    for (key, stored) in &world.stored {
        for of in &stored.status.conditions {
            let (name, what) = (key.name(), &of.type_);
            let _ = writeln!(
                tale,
                "  {name} says {what}={}/{}: {}",
                of.status, of.reason, of.message
            );
        }
    }
    tale
}
