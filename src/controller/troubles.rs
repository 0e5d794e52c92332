//! What a trouble is about: whether the way to the cluster has to be looked at, and what of it objects are told. Pure.
//!
//! A ClusterElasticsearchConnection belongs to others than the objects that it serves. What is wrong with it is told to objects
//! in one word and a sentence that says nothing of url, address, certificate, uuid, Secret or user. Everything that a brain is
//! told comes by here, so no way past it has to be thought of.

use std::sync::Arc;

use super::source::Home;
use crate::api::Reason;
use crate::reconciler::input::{Connection, Input, Refusal, Trouble};

/// Which privileges there are, and which licence, is found out beside.
pub(super) fn lacks_a_privilege(trouble: &Trouble) -> bool {
    matches!(
        trouble.reason,
        Reason::MissingPrivilege | Reason::LicenseMissing
    )
}

/// Another credential, authority or cluster may be the answer to it.
pub(super) fn concerns_the_link(trouble: &Trouble) -> bool {
    matches!(
        trouble.reason,
        Reason::CredentialsInvalid
            | Reason::TLSUntrusted
            | Reason::TLSExpired
            | Reason::TLSWrongName
            | Reason::TLSFailed
            | Reason::ClusterChanged
    )
}

/// An input as the brain of this home may hear it; and what is kept from it that its owner has not heard of by the link.
pub(super) fn told_to_objects(home: &Home, mut input: Input) -> (Input, Option<Trouble>) {
    let Home::Wide { name } = home else {
        return (input, None);
    };
    let hidden = match &mut input {
        // That it is gone is the directory's word, and for objects.
        Input::Connection(Connection::Unusable(trouble))
            if trouble.reason == Reason::ConnectionNotFound =>
        {
            None
        }
        // Whatever else it is that keeps the connection from being used.
        Input::Connection(Connection::Unusable(trouble)) => {
            hide(name, trouble);
            None
        }
        Input::Read(_, Err(trouble)) => hide_unless_of_jobs(name, trouble),
        Input::Called(_, Err(refusal)) | Input::Verified(_, Err(refusal)) => match refusal {
            Refusal::Overloaded(trouble)
            | Refusal::Cluster(trouble)
            | Refusal::Refused(trouble) => hide_unless_of_jobs(name, trouble),
            Refusal::LookAgain { .. }
            | Refusal::Unknown(_)
            | Refusal::ListTooLong(_)
            | Refusal::DatafeedRuns
            | Refusal::UpgradeMode => None,
        },
        _ => None,
    };
    (input, hidden)
}

fn hide_unless_of_jobs(name: &str, trouble: &mut Trouble) -> Option<Trouble> {
    (!is_of_jobs(trouble.reason)).then(|| {
        let hidden = trouble.clone();
        hide(name, trouble);
        hidden
    })
}

fn hide(name: &str, trouble: &mut Trouble) {
    tracing::debug!(connection = name, reason = %trouble.reason, "{}", trouble.message);
    trouble.message = Arc::from(format!(
        "ClusterElasticsearchConnection {name} cannot be used now; whoever owns it sees why in its conditions"
    ));
}

/// The texts of these tell of jobs, of this operator, or of what a cluster does to itself. A reason that is not here is hidden.
fn is_of_jobs(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Pending
            | Reason::RetryingAfterError
            | Reason::TimedOut
            | Reason::Overloaded
            | Reason::NoMaster
            | Reason::UpgradeMode
            | Reason::LicenseMissing
            | Reason::UnexpectedAnswer
            | Reason::RequestRefused
            | Reason::JobNotFound
            | Reason::JobFailed
            | Reason::JobBlocked
            | Reason::ClosedElsewhere
            | Reason::Opening
            | Reason::NoCapacity
            | Reason::OpenRefused
            | Reason::StartingDatafeed
            | Reason::DatafeedRefused
    )
}

#[cfg(test)]
#[path = "troubles_tests.rs"]
mod tests;
