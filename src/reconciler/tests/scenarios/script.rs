//! A scenario file as it is read: every line recognised before any of them runs, and what each file must hold.
//!
//! A file that asserts too little is refused here, so that a scenario that cannot fail does not come to be.

use super::grammar::{Args, find};
use super::story::Rule;
use super::{by_hand, commands, looks};

/// A file whose lines are all understood.
pub(in super::super) struct Script {
    pub file: String,
    /// Ids of the table in the README.
    pub covers: Vec<String>,
    pub(super) steps: Vec<Step>,
}

impl Script {
    /// The same without its last line.
    pub(in super::super) fn but_the_end(mut self) -> Self {
        self.steps.pop();
        self
    }
}

/// One line.
pub(super) struct Step {
    pub line: usize,
    /// Without its indentation.
    pub text: String,
    pub indented: bool,
    pub rule: Rule,
    pub args: Args,
}

impl Step {
    fn begins(&self, word: &str) -> bool {
        self.text.starts_with(word)
    }
}

/// Reads a file; what is wrong is told with its line.
pub(in super::super) fn read(file: &str, text: &str) -> Result<Script, String> {
    let at = |line: usize, why: &str| format!("{file}:{line}: {why}");
    let mut lines = text.lines();
    if lines.next().is_none_or(|title| !title.starts_with("# ")) {
        return Err(at(1, "the first line is a title: `# What is shown`"));
    }
    let covers = lines
        .next()
        .and_then(|line| line.strip_prefix("# covers: "));
    let covers = covers.ok_or_else(|| at(2, "the second line is `# covers: ID, ID`"))?;
    let mut steps: Vec<Step> = Vec::new();
    for (n, line) in text.lines().enumerate().skip(2) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let step = step(n + 1, line).map_err(|why| at(n + 1, &why))?;
        place(&steps, &step).map_err(|why| at(n + 1, why))?;
        steps.push(step);
    }
    ends(&steps).map_err(|why| at(text.lines().count(), why))?;
    Ok(Script {
        file: file.to_owned(),
        covers: covers.split(", ").map(str::to_owned).collect(),
        steps,
    })
}

fn step(line: usize, text: &str) -> Result<Step, String> {
    let indented = text.starts_with(' ');
    let (rule, args) = if indented {
        find(looks::ALL, text)?
    } else {
        // What is wrong with a line is said of the words that every scenario has.
        find(by_hand::ALL, text).or_else(|_| find(commands::ALL, text))?
    };
    Ok(Step {
        line,
        text: text.trim().to_owned(),
        indented,
        rule,
        args,
    })
}

/// What may stand where.
fn place(before: &[Step], step: &Step) -> Result<(), &'static str> {
    let begun = before
        .iter()
        .any(|step| step.begins("apply") || step.begins("after"));
    let last = before.last();
    if step.begins("given") && begun {
        return Err("`given` is how a scenario begins; later it is `now`");
    }
    if step.begins("now") && !begun {
        return Err("how a scenario begins is `given`");
    }
    if step.indented && last.is_none_or(|last| !last.indented && !last.begins("after")) {
        return Err("what is expected stands under `after`");
    }
    if last.is_some_and(|last| last.begins("never")) && !step.begins("never") {
        return Err("`never` speaks of the whole scenario and stands at its end");
    }
    Ok(())
}

/// At its end every scenario says which calls were made, and what became of an object.
fn ends(steps: &[Step]) -> Result<(), &'static str> {
    let said = |step: &&Step| !step.begins("never");
    if steps
        .iter()
        .rfind(said)
        .is_some_and(|step| step.begins("settles"))
    {
        // By hand every call and every status is judged, and so is the end.
        return Ok(());
    }
    let mut looks = steps.iter().rev().skip_while(|step| step.begins("never"));
    let (mut calls, mut object) = (false, false);
    for step in looks.by_ref().take_while(|step| step.indented) {
        calls |= step.begins("calls:");
        object |= step.begins("status ") || step.begins("object ");
    }
    if calls && object {
        return Ok(());
    }
    Err("a scenario ends with `calls:` and with `status` or `object` under its last `after`")
}
