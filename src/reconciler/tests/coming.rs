//! What is on its way to the brain, and how the ghost hears of it.
//!
//! Shared by the random walk and the model, so that both judge by the same ears. It decides nothing and sends nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::ghost::Ghost;
use crate::api::{AnomalyJobStatus, JobId};
use crate::reconciler::input::*;

/// What is on its way to the brain.
#[derive(Debug, Clone)]
pub(super) enum Coming {
    /// From the watch, as of this version.
    Watched(ObjectKey, u64, Option<Box<Delivered>>),
    Refreshed(ObjectKey, Uid, u64, Option<Box<Delivered>>),
    Read(Ticket, u64, Duration, Result<Answer, Trouble>),
    Ruled(Vec<Ruling>),
    Turn(ObjectKey),
    Verified(
        Ticket,
        JobId,
        u64,
        Duration,
        u64,
        Result<Box<Live>, Refusal>,
    ),
    Called(Ticket, Result<(), Refusal>),
    Written(
        Ticket,
        ObjectKey,
        Uid,
        AnomalyJobStatus,
        Result<Arc<str>, WriteRefused>,
    ),
    /// The watch has told of all that was there when the process began.
    Listed,
    /// Finalizers were written, or not.
    Finalized(Ticket, Result<Arc<str>, WriteRefused>),
}

impl Coming {
    /// The ghost hears what the brain is being told.
    pub(super) fn heard_by(&self, ghost: &mut Ghost, now: Duration) {
        match self {
            Self::Watched(key, version, object) => ghost.tell(key, *version, object.as_deref()),
            Self::Refreshed(key, uid, version, found) => {
                // Where another or none was found, the watch will say so too.
                if let Some(found) = found.as_ref().filter(|found| found.uid == *uid) {
                    ghost.tell(key, *version, Some(found));
                }
            }
            Self::Read(_, order, took, answer) => match answer {
                Ok(Answer::States(states, _)) => ghost.read(*order, *took, states, false),
                Ok(Answer::Info(mode)) => ghost.upgrading(*mode),
                Ok(Answer::Catalogue(listing)) => {
                    ghost.upgrading(listing.upgrade_mode);
                    ghost.listed(*order, listing);
                }
                Ok(Answer::Tasks(_)) => {}
                Err(_) => ghost.silent(),
            },
            Self::Verified(ticket, job, order, took, version, answer) => match answer {
                Ok(live) => {
                    let look = &live.look;
                    if let Some(object) = &live.object {
                        ghost.tell(&object.key, *version, Some(object));
                    }
                    ghost.upgrading(look.upgrade_mode);
                    let seen = [(job.clone(), look.job.clone())].into();
                    ghost.read(*order, *took, &seen, true);
                    ghost.verified(*ticket, now);
                }
                Err(Refusal::Cluster(_)) => ghost.silent(),
                Err(_) => {}
            },
            Self::Called(ticket, answer) => {
                if matches!(answer, Err(Refusal::Cluster(_) | Refusal::UpgradeMode)) {
                    ghost.silent();
                }
                ghost.answered(*ticket);
            }
            Self::Written(_, key, uid, status, answer) => {
                if let Ok(version) = answer {
                    ghost.acknowledged(key, uid, version.parse().unwrap(), status);
                }
            }
            Self::Ruled(rulings) => ghost.ruled(rulings),
            Self::Turn(_) | Self::Listed | Self::Finalized(..) => {}
        }
    }

    /// A watch tells only of what it has told of before that it is gone; `watched` is what it has told of.
    pub(super) fn is_passed_on(&self, watched: &mut BTreeSet<ObjectKey>) -> bool {
        match self {
            Self::Watched(key, _, Some(_)) => {
                watched.insert(key.clone());
                true
            }
            Self::Watched(key, _, None) => watched.remove(key),
            _ => true,
        }
    }

    /// As the brain is told of it.
    pub(super) fn into_input(self) -> Input {
        match self {
            Self::Watched(_, _, Some(object)) => Input::Delivered(object),
            Self::Watched(key, _, None) => Input::Gone(key),
            Self::Refreshed(key, uid, _, found) => Input::Refreshed(key, uid, found),
            Self::Read(ticket, _, _, answer) => Input::Read(ticket, answer),
            Self::Ruled(rulings) => Input::Ruled(rulings),
            // It is told to the claims, and no brain asks.
            Self::Listed => Input::Tick,
            Self::Turn(key) => Input::Turn(key),
            Self::Verified(ticket, _, _, _, _, answer) => Input::Verified(ticket, answer),
            Self::Called(ticket, answer) => Input::Called(ticket, answer),
            Self::Written(ticket, _, _, _, answer) | Self::Finalized(ticket, answer) => {
                Input::Written(ticket, answer)
            }
        }
    }
}
