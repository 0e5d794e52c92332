//! One job of one object: how far it is there. And the sorted list of them that an object has.
//!
//! A member at rest is small, because an object may have ten thousand of them, or a cluster ten thousand objects. What is
//! done about it is decided elsewhere.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use smallvec::SmallVec;

use super::decision::Decision;
use super::facts::Facts;
use super::input::{Moment, ObjectKey, Ticket, Trouble};
use super::pace;
use super::seldom::{Seldom, rare};
use crate::api::{CloseMode, JobId, JobState, Reason, Step, Target, stamp};

/// Whether this object acts on the job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Claimed {
    /// It does not mean to.
    #[default]
    No,
    /// It was asked for and not ruled yet.
    Asked,
    /// It does.
    Ours,
    /// Another object does.
    Rival(ObjectKey),
}

/// What somebody else, or Elasticsearch itself, did to the job after it had been where it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drift {
    /// Who or what did it.
    pub cause: Reason,
    /// The state that was seen.
    pub seen: JobState,
    /// When it was seen.
    pub at: Timestamp,
    /// It is back.
    pub corrected: bool,
}

/// The last drift of a job and the corrections that led to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drifting {
    /// What somebody else did.
    pub drift: Option<Drift>,
    /// Corrections of drift, each soon after the one before.
    pub corrections: u32,
    /// When the last of them was decided.
    pub corrected_at: Option<Timestamp>,
    /// The next correction may be made after this.
    pub correct_after: Duration,
}

rare!(Drifting);

/// One job of one object.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Member {
    facts: Seldom<Facts>,
    /// The last decision.
    pub decision: Option<Decision>,
    /// The job was seen where it should be, at this generation.
    pub arrived: bool,
    /// It came there once, and nobody was seen to have changed its state since: what waits there for a node, say, has not
    /// arrived any more, and whoever closes it then is somebody else all the same.
    pub placed: bool,
    /// The job was read since this generation was delivered.
    pub sighted: bool,
    /// Whether it may act.
    pub claimed: Claimed,
    /// The claim that a ruling must answer to be one.
    pub claim: Ticket,
    /// What somebody else did, and what was done about it.
    pub drifting: Seldom<Drifting>,
    /// Why the close in progress, or the last one, used force.
    pub force_reason: Option<Reason>,
    /// A close or an open was begun and its end not seen yet: who ran before it is still to be known, also where a crash
    /// or a flip of the wanted state came between.
    pub resuming: bool,
    /// The live reads in flight.
    pub verifying: Option<Ticket>,
    /// When it is stepped again without an input.
    pub timer: Option<Duration>,
    /// Counts up with each arrival of a member of the object: the latest are shown.
    pub arrival: u64,
}

impl Member {
    /// The facts of the attempt in progress.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The same, to be changed.
    pub fn facts_mut(&mut self) -> &mut Facts {
        &mut self.facts
    }

    /// What passes until it is seen again is no evidence of anything.
    pub fn lose_count(&mut self) {
        self.facts.lessen(Facts::outage);
    }

    /// Gives back the room of what is nothing at rest.
    pub fn pack(&mut self) {
        self.facts.pack();
        self.drifting.pack();
    }

    /// Nothing is under way or amiss, and nothing is going to happen by itself.
    pub(super) fn is_at_rest(&self) -> bool {
        let waits = self.verifying.is_some() || self.timer.is_some();
        self.is_settled() && !waits && self.facts.is_nothing() && self.drifting.is_nothing()
    }

    /// Everything begins again.
    pub fn start_over(&mut self) {
        self.facts.lessen(Facts::start_over);
    }

    /// What a new generation, or a human's request, makes worth another try.
    pub fn rearm(&mut self) {
        self.drifting.lessen(|drifting| {
            *drifting = Drifting {
                drift: drifting.drift,
                ..Drifting::default()
            };
        });
        self.facts.lessen(|facts| {
            facts.failures = 0;
            facts.last_error = None;
            facts.call_ended = None;
        });
    }

    /// A member as a status told of it: what must survive a crash is taken from there.
    pub fn restored(target: &Target, now: Moment) -> Self {
        let step = target.step;
        Self {
            arrived: step == Step::Done,
            placed: step == Step::Done,
            resuming: step != Step::Done,
            drifting: Seldom::from(drifting_of(target, now)),
            facts: Seldom::from(facts_of(target, now)),
            ..Self::default()
        }
    }

    /// Why a job in this state is closed by force, where its config is there.
    pub fn why_forced(state: Option<JobState>, mode: CloseMode) -> Reason {
        match (state, mode) {
            (Some(JobState::Failed), _) => Reason::JobFailed,
            (_, CloseMode::Immediate) => Reason::RequestedByUser,
            (Some(JobState::Closing), _) => Reason::DeadlinePassed,
            _ => Reason::CloseNotAccepted,
        }
    }

    /// The force was written down and is not acknowledged.
    pub fn waits_for_the_note(&self) -> bool {
        let facts = self.facts();
        facts.forced_at.is_some() && !facts.force_is_durable()
    }

    /// What is stored of a force.
    pub fn durable_force(&mut self, at: Option<Timestamp>) {
        if self.facts().durable_forced_at != at {
            self.facts_mut().durable_forced_at = at;
        }
    }

    /// A call was refused. Where the licence is missing, that is also why Elasticsearch had closed the job.
    pub fn refused(&mut self, trouble: Trouble, now: Moment) {
        if trouble.reason == Reason::LicenseMissing
            && let Some(drift) = &mut self.drifting.drift
            && !drift.corrected
        {
            drift.cause = trouble.reason;
        }
        self.facts_mut().failed(trouble, now);
    }

    /// The job is where it should be again. Returns whether it was put there here; where others did that, or Elasticsearch,
    /// nothing was corrected and nothing is left to be told.
    pub fn is_back(&mut self) -> bool {
        let Some(drift) = self.drifting.drift.filter(|drift| !drift.corrected) else {
            return false;
        };
        let ours = self.facts().in_progress();
        self.drifting.drift = ours.then_some(Drift {
            corrected: true,
            ..drift
        });
        if !ours {
            self.drifting.corrections = self.drifting.corrections.saturating_sub(1);
        }
        ours
    }

    /// Nothing is under way.
    pub fn is_settled(&self) -> bool {
        matches!(self.decision, Some(Decision::Done | Decision::Rest(_)))
    }
}

fn drifting_of(target: &Target, now: Moment) -> Drifting {
    let drift = target.drift.as_ref().and_then(|drift| {
        Some(Drift {
            cause: Reason::parse(&drift.cause)?,
            seen: drift.state,
            at: drift.at.0,
            corrected: drift.corrected,
        })
    });
    Drifting {
        drift,
        corrections: target.corrections,
        corrected_at: target.corrected_at.as_ref().map(|at| at.0),
        correct_after: correct_after(target, now),
    }
}

/// A restart does not shorten the pause before the correction that was due.
fn correct_after(target: &Target, now: Moment) -> Duration {
    let Some(noticed) = target.corrected_at.as_ref() else {
        return Duration::ZERO;
    };
    let since = Duration::try_from(now.wall.duration_since(noticed.0)).unwrap_or_default();
    let gap = pace::correction_gap(target.corrections.saturating_sub(1));
    now.monotonic + gap.saturating_sub(since)
}

fn facts_of(target: &Target, now: Moment) -> Facts {
    let evidence = target
        .evidence
        .map_or(Duration::ZERO, crate::api::Elapsed::as_duration);
    let forced_at = target.forced_at.as_ref().map(|at| at.0);
    let begun = target.requested_at.is_some() || forced_at.is_some();
    Facts {
        requested_at: target.requested_at.as_ref().map(|at| at.0),
        accepted_at: target.accepted_at.as_ref().map(|at| at.0),
        evidence,
        checkpoint: evidence,
        deadline: target.deadline.as_ref().map(|at| at.0),
        forced_at,
        durable_forced_at: forced_at,
        // Whether the force that was written down was also sent is not known: it is given its time to show.
        force_sent: forced_at.map(|_| now.monotonic),
        attempts: target.attempts,
        failures: target.failures,
        last_error: target.last_error.as_ref().and_then(|error| {
            Some(Trouble::new(
                Reason::parse(&error.category)?,
                Arc::from(error.message.as_str()),
            ))
        }),
        started: begun.then_some(now.monotonic),
        ..Facts::NONE
    }
}

/// The members of an object, sorted by job; nearly always it is one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Members(SmallVec<[(JobId, Member); 1]>);

impl Members {
    /// The member for this job.
    pub fn get(&self, job: &JobId) -> Option<&Member> {
        let at = self.0.binary_search_by(|(known, _)| known.cmp(job)).ok()?;
        self.0.get(at).map(|(_, member)| member)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, job: &JobId) -> Option<&mut Member> {
        let at = self.0.binary_search_by(|(known, _)| known.cmp(job)).ok()?;
        self.0.get_mut(at).map(|(_, member)| member)
    }

    /// All, in the order of their jobs.
    pub fn iter(&self) -> impl Iterator<Item = (&JobId, &Member)> {
        self.0.iter().map(|(job, member)| (job, member))
    }

    /// All, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&JobId, &mut Member)> {
        self.0.iter_mut().map(|(job, member)| (&*job, member))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// None.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The only one, where there is one.
    pub fn only(&self) -> Option<(&JobId, &Member)> {
        match self.0.as_slice() {
            [(job, member)] => Some((job, member)),
            _ => None,
        }
    }

    /// One member alone.
    pub fn of(job: JobId, member: Member) -> Self {
        Self(SmallVec::from_buf([(job, member)]))
    }

    /// The only one, to be changed.
    pub fn only_mut(&mut self) -> Option<&mut Member> {
        match self.0.as_mut_slice() {
            [(_, member)] => Some(member),
            _ => None,
        }
    }

    /// The only one, taken out.
    pub fn into_only(self) -> Option<(JobId, Member)> {
        let mut members = self.0.into_iter();
        members.next().filter(|_| members.next().is_none())
    }

    /// Keeps and adds members so that these jobs are all; `make` makes the new ones. Returns who came and who went.
    pub fn become_these(
        &mut self,
        jobs: &BTreeSet<JobId>,
        mut make: impl FnMut(&JobId) -> Member,
    ) -> (Vec<JobId>, Vec<JobId>) {
        let (mut came, mut went) = (Vec::new(), Vec::new());
        let mut before = std::mem::take(&mut self.0).into_iter().peekable();
        self.0 = SmallVec::with_capacity(jobs.len());
        for job in jobs {
            while let Some((old, _)) = before.next_if(|(known, _)| known < job) {
                went.push(old);
            }
            if let Some(kept) = before.next_if(|(known, _)| known == job) {
                self.0.push(kept);
            } else {
                came.push(job.clone());
                self.0.push((job.clone(), make(job)));
            }
        }
        went.extend(before.map(|(old, _)| old));
        (came, went)
    }
}

/// The moment as status keeps it.
pub fn stamped(now: Moment) -> Timestamp {
    stamp(now.wall).0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(ids: &[&str]) -> BTreeSet<JobId> {
        ids.iter().map(|id| JobId::parse(id).unwrap()).collect()
    }

    #[test]
    fn members_follow_the_jobs_that_are_meant_and_keep_what_they_know() {
        let mut members = Members::default();
        let new = |_: &JobId| Member::default();
        let (came, went) = members.become_these(&jobs(&["b", "d"]), new);
        assert_eq!((came.len(), went.len()), (2, 0));
        let b = JobId::parse("b").unwrap();
        members.get_mut(&b).unwrap().arrived = true;
        let (came, went) = members.become_these(&jobs(&["a", "b", "c"]), new);
        assert_eq!((came.len(), went.len()), (2, 1));
        assert!(members.get(&b).unwrap().arrived);
        assert_eq!(members.len(), 3);
        let (_, went) = members.become_these(&jobs(&[]), new);
        assert!(went.len() == 3 && members.is_empty());
    }

    #[test]
    fn what_was_begun_before_a_start_is_under_way_since_and_its_note_is_stored() {
        let now = Moment {
            monotonic: Duration::from_secs(7),
            wall: Timestamp::UNIX_EPOCH,
        };
        let at = || Some(stamp(now.wall));
        let target = || Target::new(JobId::parse("a").unwrap());
        let asked = Target {
            requested_at: at(),
            ..target()
        };
        let forced = Target {
            forced_at: at(),
            ..target()
        };
        for (target, started) in [
            (asked, Some(now.monotonic)),
            (forced.clone(), Some(now.monotonic)),
            (target(), None),
        ] {
            assert_eq!(Member::restored(&target, now).facts().started, started);
        }
        let forced = Member::restored(&forced, now);
        assert!(forced.facts().force_is_durable() && !forced.waits_for_the_note());
    }

    #[test]
    fn a_member_at_rest_keeps_no_facts() {
        let mut member = Member::default();
        assert_eq!(*member.facts(), Facts::NONE);
        member.facts_mut().attempts = 3;
        assert_eq!(member.facts().attempts, 3);
        member.start_over();
        member.decision = Some(Decision::Done);
        assert!(member.is_at_rest());
    }
}
