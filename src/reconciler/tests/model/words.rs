//! A way through a world of the model as a scenario: its steps in the words of `tests/scenarios/README.md`, and a story that
//! is let through by hand in those words.
//!
//! What is printed here is read by `scenarios`, and leads to the same situation; it decides nothing.

use super::befall::{away, befalls};
use super::faults::{Blow, Fault};
use super::plans::Edit;
use super::scene::{Scene, Sent};
use super::steps::Step;
use crate::reconciler::input::*;
use crate::reconciler::tests::agreement::disagreement;
use crate::reconciler::tests::coming::Coming;
use crate::reconciler::tests::scenarios::calls::text_of;
use crate::reconciler::tests::world::secs;

impl Scene {
    /// The lines before the first step.
    pub(super) fn beginning(&self) -> Vec<String> {
        let mut lines = vec!["by hand".to_owned()];
        lines.extend(self.plan.given.iter().map(|so| format!("given {so}")));
        let apply = self.plan.apply.iter();
        lines.extend(apply.map(|(name, wishes)| format!("apply {name}: {wishes}")));
        lines
    }

    /// The line that makes a step.
    pub(super) fn line(&self, step: &Step) -> String {
        match step {
            Step::Arrive(at) => format!("arrives: {}", self.name(*at)),
            Step::Tick => "the operator wakes".to_owned(),
            Step::Relist => "the watch begins anew".to_owned(),
            Step::Back(what) => format!("now {}", away(*what, false)),
            Step::Pass => format!("after {}s", self.span().as_secs()),
            Step::Unblocked(id) => format!("now {}", befalls(id, Blow::Unblocked)),
            Step::Fault(fault) => self.line_of(fault),
        }
    }

    fn line_of(&self, fault: &Fault) -> String {
        match fault {
            Fault::Late(at) if matches!(self.coming[*at].what, Sent::Asked(..)) => {
                format!("answered late: {}", self.name(*at))
            }
            Fault::Late(at) | Fault::Dawdles(at) => format!("late: {}", self.name(*at)),
            Fault::AnswerLost(at) => format!("answer lost: {}", self.name(*at)),
            Fault::RequestLost(at) | Fault::Missed(at) => format!("lost: {}", self.name(*at)),
            Fault::Refused(at) => format!("refused: {}", self.name(*at)),
            Fault::Twice(at) => format!("twice: {}", self.name(*at)),
            Fault::Crash(taken) => format!("the operator dies when {taken} were taken"),
            Fault::CrashBefore => "the operator dies before its calls arrive".to_owned(),
            Fault::CrashStale => "the operator dies and is told of what was".to_owned(),
            Fault::Away(what) => format!("now {}", away(*what, true)),
            Fault::Befalls(id, blow) => format!("now {}", befalls(id, *blow)),
            Fault::Edited(key, number) => match &self.plan.edits[*number] {
                Edit::Wishes(text, _) => format!("edit {}: {text}", key.name()),
                Edit::Delete => format!("delete {}", key.name()),
                Edit::Recreate => format!("recreate {}", key.name()),
                Edit::Wipe => format!("now the status of {} is wiped", key.name()),
            },
        }
    }

    /// What is on its way, in words; of several that are called the same the number is told.
    fn name(&self, at: usize) -> String {
        let name = name_of(&self.coming[at].what);
        let same = |way: &&super::scene::OnTheWay| name_of(&way.what) == name;
        match self.coming[..at].iter().filter(same).count() {
            0 => name,
            before => format!("{name}, number {}", before + 1),
        }
    }

    /// Where it is on its way, or what is.
    pub(in super::super) fn find(&self, name: &str) -> Result<usize, String> {
        let all: Vec<String> = (0..self.coming.len()).map(|at| self.name(at)).collect();
        let found = all.iter().position(|of| of == name);
        found.ok_or_else(|| format!("on their way are: {}", all.join("; ")))
    }

    /// Everything arrives by itself for an hour, and then status and world agree and nothing is written any more.
    pub(in super::super) fn settle(&mut self) -> Result<(), String> {
        let (half, end) = (self.world.clock + secs(1800), self.world.clock + secs(3600));
        for _ in 0..200_000 {
            if self.world.clock >= end && self.is_quiet() {
                let wrong = disagreement(&self.world);
                return wrong.map_or(Ok(()), |(key, what)| {
                    Err(format!("{key} does not agree: {what}"))
                });
            }
            let Some(step) = self.steps(0).first().cloned() else {
                return Err("nothing follows".to_owned());
            };
            self.make(&step);
            if self.past.wrote && self.world.clock > half {
                return Err("a status is written again and again".to_owned());
            }
        }
        Err("it goes round for ever".to_owned())
    }
}

fn name_of(sent: &Sent) -> String {
    match sent {
        Sent::Asked(request, _) => request_name(request),
        Sent::Comes(coming) => match coming {
            Coming::Watched(key, ..) => format!("news of {}", key.name()),
            Coming::Refreshed(key, ..) => format!("refreshed {}", key.name()),
            Coming::Read(..) => "an answer to a read".to_owned(),
            Coming::Ruled(_) => "who acts".to_owned(),
            Coming::Listed => "the end of the list of objects".to_owned(),
            Coming::Turn(key) => format!("the turn of {}", key.name()),
            Coming::Verified(_, job, ..) => format!("an answer to the live reads of {job}"),
            Coming::Called(..) => "an answer to a call".to_owned(),
            Coming::Written(_, key, ..) => format!("an answer to the status of {}", key.name()),
            Coming::Finalized(..) => "an answer to finalizers".to_owned(),
        },
    }
}

fn request_name(request: &Output) -> String {
    match request {
        Output::Read { question, .. } => match question {
            Question::Catalogue => "the list".to_owned(),
            Question::Tasks => "the tasks".to_owned(),
            Question::Info => "upgrade mode".to_owned(),
            Question::States { jobs, .. } => {
                let ids: Vec<&str> = jobs.iter().map(crate::api::JobId::as_str).collect();
                format!("a look at {}", ids.join(" "))
            }
        },
        Output::Call { call, .. } => text_of(call),
        Output::Verify { job, .. } => format!("live reads of {job}"),
        Output::Write { key, .. } => format!("the status of {}", key.name()),
        Output::Finalize { key, .. } => format!("finalizers of {}", key.name()),
        Output::Refresh(key, _) => format!("a look at object {}", key.name()),
        _ => "nothing".to_owned(),
    }
}
