//! The members of an object, counted: how many are where, and what keeps the others.
//!
//! One walk over the members for everything that a status says of all of them. It finds no words.

use super::super::decision::Decision;
use super::super::input::{Ticket, Trouble};
use super::super::member::Member;
use super::super::object::Object;
use super::{Surroundings, is};
use crate::api::{JobCounts, JobId, JobState, Reason, Step};

/// How many jobs a message names.
pub(super) const NAMED: usize = 8;

/// Jobs of one kind: the first few by name, and how many there are.
#[derive(Debug, Default)]
pub(super) struct Named<'a> {
    pub(super) count: usize,
    pub(super) first: Vec<(&'a JobId, &'a Member)>,
}

impl<'a> Named<'a> {
    fn add(&mut self, job: &'a JobId, member: &'a Member) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push((job, member));
        }
    }

    /// `a, b and 7 more`.
    pub(super) fn names(&self) -> String {
        let names: Vec<&str> = self.first.iter().map(|(job, _)| job.as_str()).collect();
        let more = self.count - self.first.len();
        if more == 0 {
            return names.join(", ");
        }
        format!("{} and {more} more", names.join(", "))
    }
}

/// The members, counted.
#[derive(Debug, Default)]
pub(super) struct Sum<'a> {
    pub(super) counts: JobCounts,
    /// Members of whose job something was seen.
    pub(super) seen: usize,
    /// The state of the only member.
    pub(super) only_state: Option<JobState>,
    /// Their state is not told, and never was at this generation, or not for long.
    pub(super) untold: Named<'a>,
    pub(super) untold_for_long: bool,
    /// Jobs whose state is told at this generation.
    pub(super) sighted: usize,
    /// Jobs that were seen where they should be.
    pub(super) there: usize,
    /// Only a human can help these, each with its reason.
    pub(super) stalled: Named<'a>,
    pub(super) stall: Option<&'a Trouble>,
    /// Something is under way, the most telling reason of all.
    pub(super) moving: Named<'a>,
    pub(super) moves: Option<Reason>,
    /// Elasticsearch may go on closing these for as long as it takes.
    pub(super) waiting: Named<'a>,
    /// Nothing was said or seen yet.
    pub(super) pending: usize,
    /// Nothing is called for them at the moment: the cluster, or another object, comes first.
    pub(super) held: Option<&'a Trouble>,
    /// Seen and not closed.
    pub(super) not_closed: Named<'a>,
    pub(super) worst: Option<JobState>,
    /// Not known to Elasticsearch.
    pub(super) missing: Named<'a>,
}

impl<'a> Sum<'a> {
    pub(super) fn of(object: &'a Object, around: &Surroundings) -> Self {
        let mut sum = Self::default();
        for (job, member) in object.members.iter() {
            sum.see(job, member, around);
            sum.decided(job, member);
        }
        sum
    }

    fn see(&mut self, job: &'a JobId, member: &'a Member, around: &Surroundings) {
        let seen = around.jobs.get(job).and_then(|known| known.seen.as_ref());
        let state = seen
            .and_then(|seen| seen.state.as_ref())
            .map(|state| state.state);
        let known = state.is_some() || around.catalogue.config(job).is_some();
        self.counts.matched += u32::from(known);
        self.counts.opened += is(JobState::Opened, state);
        self.counts.opening += is(JobState::Opening, state);
        self.counts.closing += is(JobState::Closing, state);
        self.counts.closed += is(JobState::Closed, state);
        self.counts.failed += is(JobState::Failed, state);
        self.seen += usize::from(seen.is_some());
        self.only_state = state;
        let spell = around.untold.spell(job, Ticket::default());
        if let Some(spell) = spell.filter(|spell| !member.sighted || spell.is_long) {
            self.untold_for_long |= spell.is_long;
            return self.untold.add(job, member);
        }
        if !member.sighted || seen.is_none() {
            return;
        }
        self.sighted += 1;
        match state {
            Some(JobState::Closed) => {}
            None => self.missing.add(job, member),
            Some(state) => {
                self.not_closed.add(job, member);
                self.worst = self.worst.max(Some(state));
            }
        }
    }

    fn decided(&mut self, job: &'a JobId, member: &'a Member) {
        if member.arrived {
            self.there += 1;
        }
        match &member.decision {
            Some(Decision::Done | Decision::Rest(_)) => {}
            Some(Decision::Hold(trouble)) => self.held = self.held.or(Some(trouble)),
            Some(Decision::Stall(trouble)) => {
                self.stalled.add(job, member);
                self.stall = self.stall.or(Some(trouble));
            }
            Some(Decision::Wait(Step::Waiting, Reason::Waiting, _)) => {
                self.waiting.add(job, member);
            }
            Some(Decision::Wait(_, reason, _)) => self.moves(job, member, *reason),
            Some(Decision::NoteForce | Decision::Verify) => {
                self.moves(job, member, Reason::ForceClosing);
            }
            Some(Decision::Observe | Decision::NoteDatafeed(_) | Decision::Call(_)) | None => {
                self.pending += 1;
            }
        }
    }

    fn moves(&mut self, job: &'a JobId, member: &'a Member, reason: Reason) {
        self.moving.add(job, member);
        let tells_more = self.moves.is_none_or(|before| rank(reason) > rank(before));
        if tells_more {
            self.moves = Some(reason);
        }
    }
}

/// What tells most where jobs wait for different things.
fn rank(reason: Reason) -> u8 {
    match reason {
        Reason::RetryingAfterError
        | Reason::NoCapacity
        | Reason::OpenRefused
        | Reason::DatafeedRefused => 5,
        Reason::ForceClosing => 4,
        Reason::JobNotFound | Reason::ConfigLost | Reason::JobBlocked | Reason::AwaitingNode => 3,
        Reason::ReopenedElsewhere | Reason::ClosedElsewhere => 2,
        Reason::StoppingDatafeed | Reason::StartingDatafeed => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of two jobs that wait for these, in this order, what is told.
    fn told(first: Reason, second: Reason) -> Option<Reason> {
        let (job, member) = (JobId::parse("a").unwrap(), Member::default());
        let mut sum = Sum::default();
        sum.moves(&job, &member, first);
        sum.moves(&job, &member, second);
        assert_eq!(sum.moving.count, 2);
        sum.moves
    }

    #[test]
    fn what_tells_most_is_told_and_of_what_tells_as_much_the_first() {
        let ranks = [
            &[Reason::Closing, Reason::Opening][..],
            &[Reason::StoppingDatafeed, Reason::StartingDatafeed],
            &[Reason::ReopenedElsewhere, Reason::ClosedElsewhere],
            &[
                Reason::JobNotFound,
                Reason::ConfigLost,
                Reason::JobBlocked,
                Reason::AwaitingNode,
            ],
            &[Reason::ForceClosing],
            &[
                Reason::RetryingAfterError,
                Reason::NoCapacity,
                Reason::OpenRefused,
                Reason::DatafeedRefused,
            ],
        ];
        for (at, rank) in ranks.iter().enumerate() {
            for reason in *rank {
                for same in *rank {
                    assert_eq!(told(*reason, *same), Some(*reason));
                }
                for less in ranks[..at].iter().copied().flatten() {
                    assert_eq!(told(*reason, *less), Some(*reason));
                    assert_eq!(told(*less, *reason), Some(*reason));
                }
            }
        }
    }
}
