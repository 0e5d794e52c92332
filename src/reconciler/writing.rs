//! A write of an object that is on its way to the API server.
//!
//! What its answer means is decided by the object: a watch may have been faster, and somebody else may have written meanwhile.

use std::sync::Arc;

use super::input::Ticket;
use super::stored::{Durable, Published};

/// A write that was sent and not answered yet.
#[derive(Debug, Clone)]
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
