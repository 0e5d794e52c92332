//! Calls to Elasticsearch as a scenario writes them.
//!
//! A call is written in one way only, so that two texts are equal exactly when the calls are.

use std::time::Duration;

use crate::reconciler::input::Call;

/// How every call begins.
pub(super) const KINDS: [&str; 7] = [
    "close",
    "confirm",
    "force",
    "stop datafeed of",
    "force-stop datafeed of",
    "open",
    "start datafeed of",
];

/// A call as it is written.
pub(in super::super) fn text_of(call: &Call) -> String {
    Made::of(&(Duration::ZERO, call.clone())).text()
}

fn kind_of(call: &Call) -> &'static str {
    match call {
        Call::Close(_) => "close",
        Call::Confirm(_) => "confirm",
        Call::ForceClose(_) => "force",
        Call::StopDatafeed { force: false, .. } => "stop datafeed of",
        Call::StopDatafeed { force: true, .. } => "force-stop datafeed of",
        Call::Open(_) => "open",
        Call::StartDatafeed { .. } => "start datafeed of",
    }
}

/// A call that was made.
pub(super) struct Made {
    pub at: Duration,
    kind: &'static str,
    jobs: Vec<String>,
}

impl Made {
    pub(super) fn of((at, call): &(Duration, Call)) -> Self {
        Self {
            at: *at,
            kind: kind_of(call),
            jobs: call.jobs().iter().map(ToString::to_string).collect(),
        }
    }

    pub(super) fn text(&self) -> String {
        format!("{} {}", self.kind, self.jobs.join(" "))
    }

    /// Whether it is of this kind, or of this kind and for this job.
    pub(super) fn is(&self, part: &str) -> bool {
        let of = |job: &String| part == format!("{} {job}", self.kind);
        part == self.kind || self.jobs.iter().any(of)
    }
}

/// All of them in order; what was made several times in a row is counted.
pub(super) fn list(made: &[Made]) -> String {
    let mut runs: Vec<(usize, String)> = Vec::new();
    for text in made.iter().map(Made::text) {
        match runs.last_mut().filter(|(_, last)| *last == text) {
            Some((count, _)) => *count += 1,
            None => runs.push((1, text)),
        }
    }
    let one = |(count, text): (usize, String)| match count {
        1 => text,
        count => format!("{count} times {text}"),
    };
    let all: Vec<String> = runs.into_iter().map(one).collect();
    if all.is_empty() {
        "none".to_owned()
    } else {
        all.join(", ")
    }
}

/// Whether a text could be such a list.
pub(super) fn check(text: &str) -> Result<(), String> {
    for part in text.split(", ").filter(|_| text != "none") {
        let call = match part.split_once(" times ") {
            Some((count, call)) if count.parse::<u32>().is_ok_and(|count| count > 1) => call,
            Some(_) => return Err(format!("{part:?}: say `2 times`, or more")),
            None => part,
        };
        if !KINDS
            .iter()
            .any(|kind| call.starts_with(&format!("{kind} ")))
        {
            let all = KINDS.join(" JOB, ");
            return Err(format!("{part:?} is no call; calls are: {all} JOB"));
        }
    }
    Ok(())
}
