//! The indented lines of a scenario: what is expected to be so at that moment.
//!
//! Each compares one text with one text, so that what was is told in the words in which it would have been expected.

use super::calls;
use super::grammar::{Args, Table};
use super::story::{Rule, Story, Wrong};
use crate::api::{ConditionStatus, ConditionType, FINALIZER, Reason};
use crate::reconciler::tests::world::{FakeJob, job, key};

/// Every line that may stand indented.
pub(super) const ALL: Table<Rule> = &[
    ("calls: CALLS", |story, args| {
        same(&args.rest, calls::list(&story.new_calls()))
    }),
    ("status NAME: CONDITIONS", status),
    ("says NAME: TEXT", |story, args| {
        let said = said(story, args.name());
        if said.contains(&args.rest) {
            return Ok(());
        }
        same(&args.rest, said)
    }),
    ("summary NAME: TEXT", |story, args| {
        let summary = story.scene.world.status(args.name()).summary.clone();
        same(&args.rest, summary)
    }),
    ("last close NAME: TEXT", |story, args| {
        same(&args.rest, last_close(story, args.name()))
    }),
    ("resumes NAME: TEXT", |story, args| {
        let feeds = &story.scene.world.status(args.name()).resume_datafeeds;
        same(&args.rest, joined(feeds))
    }),
    ("events: TEXT", |story, args| {
        same(&args.rest, joined(&story.new_events()))
    }),
    ("writes: COUNT", |story, args| {
        let writes = story.new_writes();
        same(&args.count.to_string(), writes.to_string())
    }),
    ("jobs: STATES", |story, args| {
        let is = |id: &str| {
            let found = story.scene.world.jobs.get(&job(id));
            found.map_or("missing", |job| job.state.as_str())
        };
        same(&args.rest, as_listed(&args.rest, is))
    }),
    ("datafeeds: STATES", |story, args| {
        let is = |id: &str| {
            let found = story.scene.world.jobs.get(&job(id)).and_then(FakeJob::feed);
            found.map_or("missing", |state| state.as_str())
        };
        same(&args.rest, as_listed(&args.rest, is))
    }),
    ("object NAME: gone", |story, args| is(story, args, "gone")),
    ("object NAME: held", |story, args| is(story, args, "held")),
    ("object NAME: free", |story, args| is(story, args, "free")),
];

fn same(expected: &str, was: String) -> Result<(), Wrong> {
    if expected == was {
        return Ok(());
    }
    Err(Wrong {
        expected: expected.to_owned(),
        was,
    })
}

fn joined<T: ToString>(all: &[T]) -> String {
    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
    if all.is_empty() {
        "none".to_owned()
    } else {
        all.join(", ")
    }
}

/// `TYPE=STATUS/REASON` each, or what is none of that.
pub(super) fn conditions(text: &str) -> Result<Vec<(ConditionType, String)>, String> {
    let one = |part: &str| {
        let (of, value) = part.split_once('=')?;
        let (status, reason) = value.split_once('/')?;
        ConditionStatus::parse(status)?;
        Reason::parse(reason)?;
        Some((ConditionType::parse(of)?, part.to_owned()))
    };
    let each = text.split(", ").map(|part| {
        one(part).ok_or_else(|| format!("{part:?} is no TYPE=STATUS/REASON that there is"))
    });
    each.collect()
}

/// What is named is so, and of what is present only at times nothing else is.
fn status(story: &mut Story, args: &Args) -> Result<(), Wrong> {
    let named = conditions(&args.rest).unwrap();
    let always = |of: ConditionType| matches!(of, ConditionType::Ready | ConditionType::Closed);
    let mut was = Vec::new();
    for of in ConditionType::ALL {
        let is_named = named.iter().any(|(named, _)| named == of);
        let found = story.scene.world.condition(args.name(), of.as_str());
        if let Some((status, reason)) = found.filter(|_| is_named || !always(*of)) {
            was.push(format!("{of}={status}/{reason}"));
        }
    }
    let mut expected: Vec<&String> = named.iter().map(|(_, part)| part).collect();
    let mut found: Vec<&String> = was.iter().collect();
    expected.sort();
    found.sort();
    if expected == found {
        return Ok(());
    }
    same(&args.rest, joined(&was))
}

/// `JOB STATE` each, or what is none of that.
pub(super) fn states(text: &str) -> Result<Vec<(&str, &str)>, String> {
    let words = [
        "opening", "opened", "closing", "closed", "failed", "missing", "started", "stopped",
    ];
    let mut all = Vec::new();
    for part in text.split(", ") {
        let found = part
            .split_once(' ')
            .filter(|(_, word)| words.contains(word));
        let wrong = || format!("{part:?} is no job and one of: {}", words.join(", "));
        all.push(found.ok_or_else(wrong)?);
    }
    Ok(all)
}

/// The states of the jobs that are listed, in the same order.
fn as_listed(listed: &str, is: impl Fn(&str) -> &'static str) -> String {
    let one = |(id, _): &(&str, &str)| format!("{id} {}", is(id));
    joined(&states(listed).unwrap().iter().map(one).collect::<Vec<_>>())
}

fn said(story: &Story, name: &str) -> String {
    let conditions = story.scene.world.status(name).conditions.iter();
    let messages: Vec<&str> = conditions.map(|of| of.message.as_str()).collect();
    messages.join(" | ")
}

fn last_close(story: &Story, name: &str) -> String {
    let Some(last) = &story.scene.world.status(name).last_close else {
        return "none".to_owned();
    };
    let mut parts = vec![format!("{} graceful", last.graceful)];
    for (what, jobs) in [("forced", &last.forced), ("unsaved", &last.unsaved)] {
        if !jobs.is_empty() {
            parts.push(format!("{what} {}", joined(jobs)));
        }
    }
    parts.join("; ")
}

fn is(story: &mut Story, args: &Args, expected: &str) -> Result<(), Wrong> {
    let ours = |name: &String| name == FINALIZER;
    let was = match story.scene.world.stored.get(&key(args.name())) {
        None => "gone",
        Some(stored) if stored.finalizers.iter().any(ours) => "held",
        Some(_) => "free",
    };
    same(expected, was.to_owned())
}
