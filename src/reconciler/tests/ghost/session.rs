//! The true history of each job's session: how long it was closing, and how much of that anybody could have known.
//!
//! It follows the world and nothing else. It is asked at each event, so it looks closely only at what has changed.

use std::time::Duration;

use super::Ghost;
use crate::api::{JobId, JobState};
use crate::reconciler::tests::world::{World, secs};

/// The true history of the session that a job is in.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Session {
    pub(super) state: Option<JobState>,
    pub(super) opened_at: Duration,
    /// Time in this state while Elasticsearch could have said so.
    pub(super) lit: Duration,
    /// The same in the dark period that lasts.
    pub(super) dark: Duration,
    /// What late answers may add.
    pub(super) slack: Duration,
    pub(super) closes: u32,
}

/// Nothing that Elasticsearch says now shows that a job is being closed: it says nothing, or has no master.
fn is_dark(world: &World) -> bool {
    world.trouble.is_some() || world.refuses_calls.is_some() || world.upgrade_mode
}

impl Ghost {
    /// Time passes in the state that the world is in.
    pub(in super::super) fn pass(&mut self, world: &World, span: Duration) {
        let dark = is_dark(world);
        let mut jobs = world.jobs.iter();
        for (id, session) in &mut self.sessions {
            // Side by side they need not be looked up, which of many jobs is most of the work.
            let job = match jobs.next() {
                Some((of, job)) if of == id => Some(job),
                _ => world.jobs.get(id),
            };
            let counts = match job.map(|job| job.state) {
                Some(JobState::Closing) => true,
                Some(JobState::Opened | JobState::Opening) => session.closes > 0,
                _ => false,
            };
            if counts && dark {
                session.dark += span;
            } else if counts {
                session.lit += span;
            }
        }
    }

    /// The world may have changed: new sessions and states begin new counts, dark periods begin and end.
    pub(in super::super) fn sync(&mut self, world: &World) {
        if !self.is_in_step(world) {
            self.follow(world);
        }
        let dark = is_dark(world);
        if dark && !self.is_dark {
            (self.noticed, self.mixed) = (false, false);
        }
        self.mixed |= world.trouble.is_some() && world.upgrade_mode;
        if self.is_dark && !dark {
            for session in self.sessions.values_mut() {
                if !self.noticed {
                    session.lit += session.dark;
                } else if self.mixed {
                    session.slack += secs(20);
                }
                session.dark = Duration::ZERO;
            }
        }
        self.is_dark = dark;
    }

    /// Each job is in the session and state in which it was seen before: nearly always, and told without a look-up.
    fn is_in_step(&self, world: &World) -> bool {
        let mut pairs = self.sessions.iter().zip(&world.jobs);
        self.sessions.len() == world.jobs.len()
            && pairs.all(|((of, session), (id, job))| {
                of == id && session.opened_at == job.opened_at && session.state == Some(job.state)
            })
    }

    fn follow(&mut self, world: &World) {
        self.sessions.retain(|id, _| world.jobs.contains_key(id));
        for (id, job) in &world.jobs {
            let session = self.sessions.entry(id.clone()).or_default();
            let opening = Some(JobState::Opening);
            if session.opened_at != job.opened_at
                && session.state == opening
                && Some(job.state) == opening
            {
                // Nothing that Elasticsearch says tells these two apart.
                session.opened_at = job.opened_at;
            }
            if session.opened_at != job.opened_at {
                *session = Session {
                    opened_at: job.opened_at,
                    ..Session::default()
                };
            }
            let begins = job.state == JobState::Closing && session.state != Some(JobState::Closing);
            if begins {
                *session = Session {
                    opened_at: job.opened_at,
                    closes: session.closes,
                    ..Session::default()
                };
            }
            session.state = Some(job.state);
        }
    }

    /// A graceful close reached Elasticsearch.
    pub(in super::super) fn closed(&mut self, id: &JobId) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.closes += 1;
        }
    }
}
