//! An object at rest, folded: what is its own, beside a pattern that it shares with all that rest in the same way.
//!
//! Ten thousand closed jobs differ in their names, versions and times, and in nothing else. So only these are kept of each, and
//! the object is made of them again whenever it is looked at. What does not fit stays as it is: an object with several jobs,
//! one in the middle of something, or with a story of its own. Nothing is decided here, and nothing may be lost.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use uuid::Uuid;

use super::input::Ticket;
use super::member::{Member, Members};
use super::object::{Object, Unfinished};
use super::seldom::{Seldom, rare};
use super::stored::Conditions;
use crate::api::{DatafeedId, Elapsed, JobExpression, JobId, LastClose, Target};

/// Ways to rest that are kept. There are few: what is asked for, times which conditions are told of it.
const PATTERNS: usize = 64;
/// Conditions that an object at rest may have.
const CONDITIONS: usize = 4;

/// What stands in a pattern for the ids of a job and of its datafeed.
static ANY: LazyLock<Option<(JobId, DatafeedId)>> =
    LazyLock::new(|| Some((JobId::parse("any").ok()?, DatafeedId::parse("any").ok()?)));

/// An object, and its only member where it has one, without what is their own.
#[derive(Clone, PartialEq)]
struct Pattern {
    object: Object,
    member: Option<Member>,
}

/// A folded object.
#[derive(Clone)]
pub(super) struct Folded {
    pattern: Arc<Pattern>,
    own: Own,
}

/// What is its own, in as little room as it takes.
#[derive(Clone)]
struct Own {
    job: JobId,
    few: Seldom<Few>,
    resume: Seldom<BTreeSet<DatafeedId>>,
    uid: Uuid,
    version: u64,
    digest: u64,
    sight_from: Ticket,
    list_from: Ticket,
    claim: Ticket,
    /// In microseconds, as status keeps the times of a close.
    started_at: i64,
    finished_at: i64,
    /// In seconds, as Kubernetes keeps all others.
    created_at: u32,
    since: [u32; CONDITIONS],
    took: u32,
    generation: u32,
    arrivals: u32,
    arrival: u32,
}

/// What few have, and each of them another.
#[derive(Debug, Clone, Default, PartialEq)]
struct Few {
    /// The datafeed that the status told of, of a job that is not a member yet.
    feed: Option<DatafeedId>,
    /// The newest request, and the one that was answered last.
    requested: Option<Arc<str>>,
    handled: Option<Arc<str>>,
}

rare!(Few);

/// It is at rest in a way that others may share, or waits as it was stored for the first list of jobs.
pub(super) fn is_foldable(object: &Object) -> bool {
    let quiet = match object.members.only() {
        Some((job, member)) => {
            let alone = object.desired.scope.expression.is(job);
            alone && member.is_at_rest() && object.unfinished.is_nothing()
        }
        None => !object.resolved && is_as_stored(object),
    };
    let close = object.last_close.as_ref();
    let lost_nothing = |close: &LastClose| {
        close.unsaved.is_empty() && close.forced.is_empty() && close.losses.is_empty()
    };
    quiet
        && object.unmet.is_nothing()
        && object.dealings.is_nothing()
        && object.resume == object.durable.resume
        && object.durable.forced.is_empty()
        && close.is_none_or(lost_nothing)
}

/// It has no members yet, names one job, and nothing was begun with that.
fn is_as_stored(object: &Object) -> bool {
    let Some(job) = object.literal() else {
        return false;
    };
    let stored = object.unfinished.restoring.iter();
    let told = stored.map(|target| Target {
        state: target.state,
        datafeed: target.datafeed.clone(),
        step: target.step,
        ..Target::new(job.clone())
    });
    let nothing_begun = Unfinished {
        restoring: told.collect(),
        ..Unfinished::default()
    };
    *object.unfinished == nothing_begun
        && object.unfinished.restoring.len() <= 1
        && object.members.is_empty()
        && object.desired.scope.expression.is(&job)
}

impl Folded {
    /// Folds one that is foldable; `None` where one of its texts or numbers has no room, or too many others rest in other ways.
    pub(super) fn of(object: &Object, patterns: &mut Patterns) -> Option<Self> {
        let mut pattern = Pattern {
            object: object.clone(),
            member: None,
        };
        let own = pattern.take_own()?;
        Some(Self {
            pattern: patterns.share(pattern)?,
            own,
        })
    }

    /// The object, as it was.
    pub(super) fn unfold(&self) -> Object {
        let mut pattern = Pattern::clone(&self.pattern);
        pattern.give(&self.own);
        pattern.object
    }

    #[cfg(test)]
    pub(super) fn shares(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pattern, &other.pattern)
    }
}

impl Pattern {
    fn take_own(&mut self) -> Option<Own> {
        let (any_job, any_feed) = ANY.clone()?;
        let object = &mut self.object;
        let (job, mut member) = match std::mem::take(&mut object.members).into_only() {
            Some((job, member)) => (job, Some(member)),
            None => (object.literal()?, None),
        };
        object.desired.scope.expression = JobExpression::of(&any_job);
        object.durable.resume = Seldom::default();
        let few = Few {
            feed: take_feed(&mut object.unfinished, any_job, any_feed),
            requested: object.desired.requested.take(),
            handled: object.handled_request.take(),
        };
        let close = object.last_close.as_mut();
        let (started_at, finished_at, took) = close.map_or(Some((0, 0, 0)), take_times)?;
        let (mut claim, mut arrival) = (Ticket::default(), 0);
        if let Some(member) = &mut member {
            claim = std::mem::take(&mut member.claim);
            arrival = std::mem::take(&mut member.arrival).try_into().ok()?;
        }
        self.member = member;
        Some(Own {
            job,
            few: Seldom::from(few),
            resume: std::mem::take(&mut object.resume),
            uid: std::mem::take(&mut object.uid).uuid()?,
            version: number(&std::mem::take(&mut object.resource_version))?,
            digest: std::mem::take(&mut object.published.digest),
            sight_from: std::mem::take(&mut object.sight_from),
            list_from: std::mem::take(&mut object.list_from),
            claim,
            started_at,
            finished_at,
            created_at: take_seconds(&mut object.created_at)?,
            since: take_since(&mut object.published.conditions)?,
            took,
            generation: std::mem::take(&mut object.generation).try_into().ok()?,
            arrivals: std::mem::take(&mut object.arrivals).try_into().ok()?,
            arrival,
        })
    }

    fn give(&mut self, own: &Own) {
        let object = &mut self.object;
        object.desired.scope.expression = JobExpression::of(&own.job);
        object.desired.requested.clone_from(&own.few.requested);
        object.handled_request.clone_from(&own.few.handled);
        object.resume = own.resume.clone();
        object.durable.resume = own.resume.clone();
        for (held, since) in object.published.conditions.iter_mut().zip(own.since) {
            held.since = at_seconds(since);
        }
        if let Some(close) = &mut object.last_close {
            give_times(close, own);
        }
        object.uid = own.uid.into();
        object.resource_version = Arc::from(own.version.to_string());
        object.published.digest = own.digest;
        object.sight_from = own.sight_from;
        object.list_from = own.list_from;
        object.created_at = at_seconds(own.created_at);
        object.generation = own.generation.into();
        object.arrivals = own.arrivals.into();
        if let Some(mut member) = self.member.take() {
            member.claim = own.claim;
            member.arrival = own.arrival.into();
            object.members = Members::of(own.job.clone(), member);
        }
        object
            .unfinished
            .lessen(|unfinished| give_feed(&mut unfinished.restoring, own));
    }
}

/// Of what is stored of the one job.
fn take_feed(
    unfinished: &mut Seldom<Unfinished>,
    any_job: JobId,
    any_feed: DatafeedId,
) -> Option<DatafeedId> {
    unfinished.lessen(|unfinished| {
        let target = unfinished.restoring.first_mut()?;
        target.job_id = any_job;
        let feed = target.datafeed.as_mut()?;
        Some(std::mem::replace(&mut feed.id, any_feed))
    })
}

fn give_feed(restoring: &mut [Target], own: &Own) {
    let Some(target) = restoring.first_mut() else {
        return;
    };
    target.job_id = own.job.clone();
    if let (Some(feed), Some(id)) = (&mut target.datafeed, &own.few.feed) {
        feed.id = id.clone();
    }
}

fn take_since(conditions: &mut Conditions) -> Option<[u32; CONDITIONS]> {
    if conditions.len() > CONDITIONS {
        return None;
    }
    let mut all = [0; CONDITIONS];
    for (held, since) in conditions.iter_mut().zip(&mut all) {
        *since = take_seconds(&mut held.since)?;
    }
    Some(all)
}

fn take_times(close: &mut LastClose) -> Option<(i64, i64, u32)> {
    let take = |at: &mut Option<MicroTime>| {
        let Some(MicroTime(at)) = at else {
            return Some(0);
        };
        let micros = at.as_microsecond();
        let fits = Timestamp::from_microsecond(micros).ok()? == *at;
        *at = Timestamp::UNIX_EPOCH;
        fits.then_some(micros)
    };
    let took = match &mut close.duration {
        None => 0,
        Some(took) => std::mem::take(took).as_duration().as_secs(),
    };
    let took = u32::try_from(took).ok()?;
    Some((
        take(&mut close.started_at)?,
        take(&mut close.finished_at)?,
        took,
    ))
}

fn give_times(close: &mut LastClose, own: &Own) {
    let times = [
        (&mut close.started_at, own.started_at),
        (&mut close.finished_at, own.finished_at),
    ];
    for (at, micros) in times {
        if let Some(MicroTime(at)) = at {
            *at = Timestamp::from_microsecond(micros).unwrap_or_default();
        }
    }
    if let Some(took) = &mut close.duration {
        *took = Elapsed::from(std::time::Duration::from_secs(own.took.into()));
    }
}

fn take_seconds(at: &mut Timestamp) -> Option<u32> {
    let seconds = at.as_second();
    let whole = at.subsec_nanosecond() == 0;
    *at = Timestamp::UNIX_EPOCH;
    u32::try_from(seconds).ok().filter(|_| whole)
}

fn at_seconds(seconds: u32) -> Timestamp {
    Timestamp::from_second(seconds.into()).unwrap_or_default()
}

/// A number that is written as this text and no other.
fn number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// The patterns of the objects of one cluster, the one that was used last first.
#[derive(Clone, Default)]
pub(super) struct Patterns(Vec<Arc<Pattern>>);

impl Patterns {
    /// The one that is kept and equals this. None where there are too many: one for each object would be more than it saves.
    fn share(&mut self, pattern: Pattern) -> Option<Arc<Pattern>> {
        let known = self.0.iter().position(|known| **known == pattern);
        let shared = if let Some(at) = known {
            self.0.remove(at)
        } else {
            if self.0.len() >= PATTERNS {
                self.0.retain(|known| Arc::strong_count(known) > 1);
            }
            if self.0.len() >= PATTERNS {
                return None;
            }
            Arc::new(pattern)
        };
        self.0.insert(0, Arc::clone(&shared));
        Some(shared)
    }
}
