//! What is under way between an object and the API server: the write that was sent, the turn that was asked for.
//!
//! What its answer means is decided by the object: a watch may have been faster, and somebody else may have written meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::input::{Ticket, Urgency};
use super::seldom::rare;
use super::stored::{Durable, Published};

/// All of it. It goes on whatever becomes of the clusters that the object means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dealings {
    /// The write in flight.
    pub writing: Option<Box<Writing>>,
    /// A turn to write was asked for, what for, and how urgently.
    pub wants_turn: Option<(Said, Urgency)>,
    /// Writes that failed in a row.
    pub failures: u32,
    /// No write before this.
    pub not_before: Duration,
    /// When it is looked at again for a write, or the end of its deletion.
    pub timer: Option<Duration>,
    /// When status was written last, of an object with more than one job.
    pub progress_at: Option<Duration>,
    /// Since when the status differs from what is stored.
    pub unwritten_since: Option<Duration>,
    /// An answer to a read of the object is wanted; one that comes after a later write was acknowledged is not.
    pub refreshing: bool,
    /// Nothing more is done: its finalizer is off, or being taken off.
    pub leaving: bool,
    /// Versions of writes of ours that the watch has not brought back yet.
    pub echoes: VecDeque<Arc<str>>,
}

/// What is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Said {
    /// How far it is.
    OnTheWay,
    /// How it ended, or what a call waits for.
    Outcome,
}

rare!(Dealings);

impl Dealings {
    /// The turn that was asked for is to tell an outcome.
    pub fn is_outcome_wanted(&self) -> bool {
        self.wants_turn
            .is_some_and(|(said, _)| said == Said::Outcome)
    }
}

/// A write that was sent and not answered yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writing {
    /// Its ticket.
    pub ticket: Ticket,
    /// What will be stored when it is taken; `None` where only the finalizers are written.
    pub content: Option<(Published, Durable)>,
    /// The watch brought it back already, under this version: it was taken, whatever its answer says.
    pub echoed: Option<Arc<str>>,
    /// The finalizers that will be, where they are written.
    pub finalizers: Option<Vec<String>>,
    /// Something else was delivered meanwhile: whatever its answer says, nobody knows which of the two came last.
    pub overtaken: bool,
}

impl Writing {
    /// A status that is being sent.
    pub fn status(ticket: Ticket, published: Published, durable: Durable) -> Self {
        Self {
            ticket,
            content: Some((published, durable)),
            echoed: None,
            finalizers: None,
            overtaken: false,
        }
    }

    /// Finalizers that are being sent.
    pub fn finalizers(ticket: Ticket, finalizers: Vec<String>) -> Self {
        Self {
            ticket,
            content: None,
            echoed: None,
            finalizers: Some(finalizers),
            overtaken: false,
        }
    }
}
