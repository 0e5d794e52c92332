//! How a line of a scenario is recognised by a pattern, and what is said of one that fits none.
//!
//! It knows words and nothing of what they do: that stands beside the patterns, in the tables of `sentences`, `wishes`,
//! `commands` and `looks`.

use std::time::Duration;

use super::{calls, commands, looks, sentences, wishes};
use crate::api::{DatafeedId, JobExpression, JobId, JobPattern, JobState, Reason, TimeSpan};

/// What stood where a pattern has words in capitals.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Args {
    pub names: Vec<String>,
    pub span: Option<TimeSpan>,
    pub count: u32,
    pub reason: Option<Reason>,
    pub state: Option<JobState>,
    /// The rest of the line.
    pub rest: String,
}

impl Args {
    pub(super) fn name(&self) -> &str {
        &self.names[0]
    }

    pub(super) fn time(&self) -> Duration {
        self.span.as_ref().unwrap().as_duration()
    }
}

/// A pattern and what it means. `JOB`, `TIME` and so on stand for words of their kind, see [`word`] and [`rest`].
pub(super) type Table<T> = &'static [(&'static str, T)];

enum Match {
    Yes(Args),
    /// It is this pattern, and a word in it is wrong.
    Bad(String),
    No,
}

/// The first pattern that the text fits; otherwise what is wrong with it, or all that is allowed.
pub(super) fn find<T: Copy>(table: Table<T>, text: &str) -> Result<(T, Args), String> {
    let mut bad = None;
    for (pattern, meaning) in table {
        match matches(pattern, text) {
            Match::Yes(args) => return Ok((*meaning, args)),
            Match::Bad(why) => bad = bad.or(Some(why)),
            Match::No => {}
        }
    }
    let allowed = || {
        let all: Vec<&str> = table.iter().map(|(pattern, _)| *pattern).collect();
        format!("{text:?} is unknown; allowed are:\n  {}", all.join("\n  "))
    };
    Err(bad.unwrap_or_else(allowed))
}

/// Each of a list with `, ` between, recognised.
pub(super) fn find_each<T: Copy>(table: Table<T>, text: &str) -> Result<Vec<(T, Args)>, String> {
    text.split(", ").map(|part| find(table, part)).collect()
}

fn matches(pattern: &str, text: &str) -> Match {
    let mut args = Args::default();
    let mut words: Vec<&str> = text.split_whitespace().collect();
    for part in pattern.split(' ') {
        if words.is_empty() {
            return Match::No;
        }
        if let Some(check) = rest(part) {
            args.rest = words.join(" ");
            return match check(&args.rest) {
                Ok(()) => Match::Yes(args),
                Err(why) => Match::Bad(why),
            };
        }
        let taken = if part == "JOB" {
            jobs(&words, &mut args)
        } else {
            word(part, words[0], &mut args).map(usize::from)
        };
        match taken {
            Ok(0) => return Match::No,
            Ok(taken) => drop(words.drain(..taken)),
            Err(why) => return Match::Bad(why),
        }
    }
    if words.is_empty() {
        Match::Yes(args)
    } else {
        Match::No
    }
}

/// `job a`, or `each of a, b, c`: how many words that are.
fn jobs(words: &[&str], args: &mut Args) -> Result<usize, String> {
    let taken = match words {
        ["job", _, ..] => 2,
        ["each", "of", ids @ ..] => {
            let more = ids.iter().take_while(|id| id.ends_with(',')).count();
            2 + (more + 1).min(ids.len())
        }
        _ => return Ok(0),
    };
    let from = if words[0] == "job" { 1 } else { 2 };
    for id in &words[from..taken] {
        let id = id.trim_end_matches(',');
        JobId::parse(id).map_err(|why| format!("{id:?} is no job id: {why}"))?;
        args.names.push(id.to_owned());
    }
    Ok(taken)
}

/// Whether one word is what the pattern has there.
fn word(part: &str, word: &str, args: &mut Args) -> Result<bool, String> {
    let (part, word) = match part.strip_suffix(':') {
        None => (part, Some(word)),
        Some(part) => (part, word.strip_suffix(':')),
    };
    let Some(word) = word else { return Ok(false) };
    match part {
        "NAME" => args.names.push(word.to_owned()),
        "TIME" => args.span = Some(TimeSpan::parse(word).map_err(|why| why.to_string())?),
        "COUNT" => args.count = word.parse().map_err(|_| format!("{word:?} is no number"))?,
        "REASON" => {
            let reason = Reason::parse(word);
            args.reason = Some(reason.ok_or_else(|| format!("{word:?} is no reason"))?);
        }
        "STATE" => args.state = Some(word.parse().map_err(|_| format!("{word:?} is no state"))?),
        _ => return Ok(part == word),
    }
    Ok(true)
}

type Check = fn(&str) -> Result<(), String>;

/// What the rest of a line is, and how it is looked through before anything runs.
fn rest(part: &str) -> Option<Check> {
    Some(match part {
        "SENTENCE" => |text| find(sentences::ALL, text).map(|_| ()),
        "WISHES" => |text| find_each(wishes::ALL, text).map(|_| ()),
        "CALLS" => calls::check,
        "KINDS" => commands::check_kinds,
        "CONDITIONS" => |text| looks::conditions(text).map(|_| ()),
        "STATES" => |text| looks::states(text).map(|_| ()),
        "EXPRESSION" => |text| {
            JobExpression::parse(text)
                .map(|_| ())
                .map_err(|why| why.to_string())
        },
        "PATTERN" => |text| {
            JobPattern::parse(text)
                .map(|_| ())
                .map_err(|why| why.to_string())
        },
        "TEXT" => |_| Ok(()),
        _ => return None,
    })
}

/// A datafeed has the name of its job, with this before it.
pub(super) fn feed_of(job: &str) -> DatafeedId {
    DatafeedId::parse(&format!("datafeed-{job}")).unwrap()
}
