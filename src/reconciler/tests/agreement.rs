//! Whether what is stored says what is so, when nothing goes wrong any more: told by the world and the spec alone.
//!
//! Shared by the random walk and the model. It says what is wrong in a word and makes no text that nobody reads.

use super::meant::{Listed, all_of, means, meant};
use super::world::{FakeJob, World};
use crate::api::{AnomalyJobStatus, DatafeedState, JobId, JobState, OnFailed, OnTimeout};
use crate::finalizer;
use crate::reconciler::input::*;

/// Who is meant in this world.
fn all(world: &World) -> Listed {
    all_of(&world.listing())
}

/// Another object acts on the job, because it is older, or of an earlier name where they are of one age.
fn has_an_older_rival(world: &World, of: &Delivered, id: &JobId) -> bool {
    let rank = |object: &Delivered| (object.created_at, object.key.clone());
    let all = all(world);
    world.stored.values().any(|other| {
        let desired = &other.desired;
        let enforces =
            desired.wanted != Wanted::Observed && !desired.suspended && desired.deleting.is_none();
        enforces && means(desired, &all, id) && rank(other) < rank(of)
    })
}

fn find<'a>(status: &'a AnomalyJobStatus, of: &str) -> Option<(&'a str, &'a str)> {
    let found = status.conditions.iter().find(|c| c.type_ == of)?;
    Some((found.status.as_str(), found.reason.as_str()))
}

/// The first object that does not say what is so, and in what.
pub(super) fn disagreement(world: &World) -> Option<(ObjectKey, &'static str)> {
    world
        .stored
        .values()
        .find_map(|object| Some((object.key.clone(), wrong(world, object)?)))
}

/// Elasticsearch knows the job.
fn known<'a>(world: &'a World, id: &JobId) -> Option<&'a FakeJob> {
    let fake = world.jobs.get(id)?;
    (fake.config || fake.state != JobState::Closed).then_some(fake)
}

fn wrong(world: &World, object: &Delivered) -> Option<&'static str> {
    let (status, desired) = (&object.status, &object.desired);
    if desired.deleting.is_some() {
        return finalizer::is_in(&object.finalizers).then_some("it is still held");
    }
    if status.observed_generation != object.generation {
        return Some("another generation");
    }
    let ids: Vec<JobId> = meant(desired, &all(world)).into_iter().collect();
    let closed = |id: &JobId| known(world, id).is_some_and(|fake| fake.state == JobState::Closed);
    let are = if ids.iter().all(closed) {
        "True"
    } else {
        "False"
    };
    if find(status, "Closed").map(|c| c.0) != Some(are) {
        return Some("Closed");
    }
    let ready = find(status, "Ready");
    match ids.as_slice() {
        [_] if desired.suspended => {
            (ready != Some(("False", "Suspended"))).then_some("not Suspended")
        }
        [_] if desired.wanted == Wanted::Observed => {
            (ready != Some(("True", "Observing"))).then_some("not Observing")
        }
        [id] if has_an_older_rival(world, object, id) => {
            (find(status, "Stalled") != Some(("True", "Conflict"))).then_some("no Conflict")
        }
        [id] => alone(object, known(world, id)),
        ids => together(world, object, ids),
    }
}

/// Of an object that acts on several jobs: each is where it must be by itself, whatever is wrong with the others.
fn together(world: &World, object: &Delivered, ids: &[JobId]) -> Option<&'static str> {
    let mut there = true;
    for id in ids {
        let expected = match object.desired.wanted {
            _ if has_an_older_rival(world, object, id) || object.desired.suspended => continue,
            Wanted::Observed => continue,
            Wanted::Opened => opened(known(world, id)),
            Wanted::Closed => ended(object, known(world, id)),
        };
        let Some(expected) = expected else {
            return Some("one of them is not where it should be by now");
        };
        there &= expected == "InDesiredState";
    }
    let ready = find(&object.status, "Ready").is_some_and(|(status, _)| status == "True");
    (ready && !there).then_some("Ready, though one of them is not")
}

/// Of an object that acts on one job.
fn alone(object: &Delivered, fake: Option<&FakeJob>) -> Option<&'static str> {
    let status = &object.status;
    let expected = match object.desired.wanted {
        Wanted::Opened => opened(fake),
        Wanted::Closed | Wanted::Observed => ended(object, fake),
    };
    let Some(expected) = expected else {
        return Some("it is not where it should be by now");
    };
    let there = expected == "InDesiredState";
    let moves = matches!(expected, "Waiting" | "JobBlocked" | "AwaitingNode");
    if find(status, "Ready") != Some((if there { "True" } else { "False" }, expected)) {
        return Some("Ready");
    }
    if find(status, "Reconciling") != moves.then_some(("True", expected)) {
        return Some("Reconciling");
    }
    if find(status, "Stalled") != (!there && !moves).then_some(("True", expected)) {
        return Some("Stalled");
    }
    let feed = fake.and_then(|fake| fake.datafeed.as_ref());
    let runs = feed.is_some_and(|(_, state)| *state != DatafeedState::Stopped);
    (there && runs && object.desired.wanted == Wanted::Closed).then_some("the datafeed runs")
}

/// What is said where it is wanted closed; `None` where it must not be left as it is.
fn ended(object: &Delivered, fake: Option<&FakeJob>) -> Option<&'static str> {
    let close = &object.desired.close;
    let Some(fake) = fake else {
        return Some("JobNotFound");
    };
    let timed_out = |stall| match close.on_timeout {
        OnTimeout::Stall => Some(stall),
        OnTimeout::Wait => Some("Waiting"),
        OnTimeout::Force => None,
    };
    match fake.state {
        _ if !fake.config => (close.on_failed == OnFailed::Stall).then_some("ConfigLost"),
        _ if fake.blocked => Some("JobBlocked"),
        JobState::Closed => Some("InDesiredState"),
        JobState::Failed => (close.on_failed == OnFailed::Stall).then_some("JobFailed"),
        JobState::Closing => timed_out("CloseTimedOut"),
        JobState::Opened | JobState::Opening => timed_out("CloseNotAccepted"),
    }
}

/// The same where it is wanted open.
fn opened(fake: Option<&FakeJob>) -> Option<&'static str> {
    let Some(fake) = fake else {
        return Some("JobNotFound");
    };
    match fake.state {
        _ if !fake.config => Some("ConfigLost"),
        _ if fake.blocked => Some("JobBlocked"),
        JobState::Opened if fake.assigned => Some("InDesiredState"),
        JobState::Opened => Some("AwaitingNode"),
        JobState::Failed => Some("JobFailed"),
        JobState::Closing => Some("CloseHangs"),
        JobState::Opening => Some("OpenTimedOut"),
        JobState::Closed => None,
    }
}
