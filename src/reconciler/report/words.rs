//! The sentences of a status: what is being done, what was lost. For people who know Elasticsearch.

use std::time::Duration;

use super::super::decision::Decision;
use super::super::input::Wanted;
use super::super::member::Member;
use super::super::object::Object;
use super::Surroundings;
use super::sum::{NAMED, Sum};
use crate::api::{JobId, LastClose, Loss, Reason, Step};

/// `job a`, or `5 jobs`.
pub(super) fn count(object: &Object) -> String {
    match object.members.only() {
        Some((job, _)) => format!("job {job}"),
        None if object.members.is_empty() => match object.literal() {
            Some(job) => format!("job {job}"),
            None => "the jobs that spec.jobId means".to_owned(),
        },
        None => format!("{} jobs", object.members.len()),
    }
}

/// `1 of 5 jobs is`, or `2 of 5 jobs are`.
pub(super) fn some_are(count: usize, object: &Object) -> String {
    let are = if count == 1 { "is" } else { "are" };
    format!("{count} of {} jobs {are}", object.members.len())
}

/// What is meant and not allowed, if anything: by its name only where the object names it.
pub(super) fn barred(object: &Object) -> Option<String> {
    let (named, others) = (&object.unmet.barred.named, object.unmet.barred.others);
    let mut said = Vec::new();
    if !named.is_empty() {
        let first: Vec<&str> = named.iter().take(NAMED).map(JobId::as_str).collect();
        let more = match named.len() - first.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let ids = first.join(", ");
        said.push(format!(
            "the connection does not let job {ids}{more} be looked at, closed or opened (its allow.jobs does not cover it)"
        ));
    }
    if others > 0 {
        let are = if others == 1 {
            "job that matches is"
        } else {
            "jobs that match are"
        };
        said.push(format!(
            "{others} {are} not allowed (allow.jobs of the connection does not cover them)"
        ));
    }
    (!said.is_empty()).then(|| format!("{}; ask who owns it, or mend spec.jobId", said.join("; ")))
}

/// What is under way with the jobs that move.
pub(super) fn moving(object: &Object, sum: &Sum, reason: Reason, around: &Surroundings) -> String {
    if let Some((job, member)) = object.members.only() {
        return doing(object, job, member, reason, around);
    }
    let example = sum.moving.first.iter().find(
        |(_, member)| matches!(&member.decision, Some(Decision::Wait(_, why, _)) if *why == reason),
    );
    let example = example.or(sum.moving.first.first());
    let says = example.map(|(job, member)| doing(object, job, member, reason, around));
    format!(
        "{} under way; {}",
        some_are(sum.moving.count, object),
        says.unwrap_or_default()
    )
}

/// What is under way with one job.
pub(super) fn doing(
    object: &Object,
    job: &JobId,
    member: &Member,
    reason: Reason,
    around: &Surroundings,
) -> String {
    let (close, facts) = (&object.desired.close, member.facts());
    match reason {
        Reason::Closing if object.enforces() == Some(Wanted::Opened) => {
            format!("waiting until job {job} has closed, to open it then")
        }
        Reason::Closing if facts.accepted_at.is_some() => format!(
            "Elasticsearch is closing job {job} and saves its model; close.onTimeout: {:?} applies after {} of it",
            close.on_timeout, close.timeout
        ),
        Reason::Closing => format!("asked Elasticsearch to close job {job}"),
        Reason::ForceClosing => format!(
            "closing job {job} by force; changes to its model since the last snapshot are lost"
        ),
        Reason::StoppingDatafeed => format!("stopping the datafeed of job {job}"),
        Reason::Opening if matches!(&member.decision, Some(Decision::Wait(Step::Waiting, ..))) => {
            format!("job {job} was closed by force a moment ago; opening it a minute after that")
        }
        Reason::Opening if facts.requested_at.is_none() => {
            format!("job {job} is opening, as somebody else asked for")
        }
        Reason::Opening => format!("asked Elasticsearch to open job {job}"),
        Reason::AwaitingNode => awaiting(job, around),
        Reason::StartingDatafeed => format!("starting the datafeed of job {job}"),
        Reason::JobBlocked => format!(
            "Elasticsearch is resetting, reverting or deleting job {job}; waiting until that ends"
        ),
        Reason::JobNotFound => format!("Elasticsearch knows no job or group {job} yet"),
        Reason::ConfigLost => format!("job {job} has a running task but no config"),
        Reason::Waiting => format!(
            "job {job} is still closing after {}, and close.onTimeout is Wait",
            close.timeout
        ),
        Reason::ReopenedElsewhere => {
            format!("job {job} keeps being opened by somebody else; closing it again after a pause")
        }
        Reason::ClosedElsewhere => {
            format!("job {job} keeps being closed by somebody else; opening it again after a pause")
        }
        Reason::RetryingAfterError
        | Reason::NoCapacity
        | Reason::OpenRefused
        | Reason::DatafeedRefused => facts.last_error.as_ref().map_or_else(
            || format!("trying again with job {job}"),
            |error| format!("trying again with job {job}: {}", error.message),
        ),
        other => other.meaning().to_owned(),
    }
}

fn awaiting(job: &JobId, around: &Surroundings) -> String {
    let seen = around.jobs.get(job).and_then(|job| job.seen.as_ref());
    let why = seen.and_then(|seen| seen.state.as_ref()?.on_node.explanation.clone());
    let why = why.unwrap_or_else(|| "Elasticsearch gives no reason".into());
    format!("no node runs job {job}: {why}")
}

/// What forces cost, job by job.
pub(super) fn lost(last: &LastClose) -> String {
    let of_forced = |loss: &&Loss| last.forced.contains(&loss.job_id);
    let known: Vec<String> = last.losses.iter().filter(of_forced).map(loss).collect();
    let all = "changes to the model since its last snapshot are lost";
    if known.is_empty() {
        return all.to_owned();
    }
    format!("{all}: {}", known.join("; "))
}

fn loss(of: &Loss) -> String {
    let job = &of.job_id;
    let snapshot = match of.snapshot_age {
        Some(age) => format!(
            "its newest snapshot was {} old",
            crate::api::humane(age.as_duration())
        ),
        None => "no snapshot of it was found".to_owned(),
    };
    match (&of.lost_from, &of.lost_until) {
        (Some(from), Some(until)) if from.0 < until.0 => {
            format!(
                "{job} ({snapshot}; data from {:.0} to {:.0})",
                from.0, until.0
            )
        }
        (Some(_), Some(_)) => format!("{job} ({snapshot} and has learned from all its data)"),
        (None, Some(until)) => format!("{job} ({snapshot}; data up to {:.0})", until.0),
        _ => format!("{job} ({snapshot})"),
    }
}

/// How long something took: `after 7m30s`, or `within a second`.
pub(super) fn after(took: Duration) -> String {
    if took < Duration::from_secs(1) {
        return "within a second".to_owned();
    }
    format!("after {}", crate::api::humane(took))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Elapsed, stamp};
    use k8s_openapi::jiff::Timestamp;

    #[test]
    fn what_took_less_than_a_second_is_told_without_its_length() {
        assert_eq!(after(Duration::from_millis(999)), "within a second");
        assert_eq!(after(Duration::from_secs(1)), "after 1s");
    }

    #[test]
    fn a_loss_tells_the_data_whose_learning_is_lost_as_far_as_it_is_known() {
        let at = |second| stamp(Timestamp::from_second(second).unwrap());
        let hour = "its newest snapshot was 1h old";
        for (from, until, expected) in [
            (
                Some(10),
                Some(20),
                format!("a ({hour}; data from 1970-01-01T00:00:10Z to 1970-01-01T00:00:20Z)"),
            ),
            (
                Some(20),
                Some(20),
                format!("a ({hour} and has learned from all its data)"),
            ),
            (
                None,
                Some(20),
                format!("a ({hour}; data up to 1970-01-01T00:00:20Z)"),
            ),
            (Some(10), None, format!("a ({hour})")),
            (None, None, format!("a ({hour})")),
        ] {
            let of = Loss {
                job_id: JobId::parse("a").unwrap(),
                snapshot_at: Some(at(0)),
                snapshot_age: Some(Elapsed::from(Duration::from_secs(3600))),
                lost_from: from.map(at),
                lost_until: until.map(at),
            };
            assert_eq!(loss(&of), expected);
        }
    }
}
