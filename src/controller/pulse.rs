//! What a cluster has said lately by the way, so that nobody asks it only to find that out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::api::Reason;
use crate::reconciler::input::{Answer, Input, Refusal, Trouble};

/// What failed is repeated within this time, as long as anybody wants it.
const FORGOTTEN: Duration = Duration::from_secs(150);

/// A moment in seconds since some beginning, plus one; 0: none yet.
#[derive(Default)]
struct Second(AtomicU64);

impl Second {
    fn is(&self, begun: Instant) {
        self.0
            .store(begun.elapsed().as_secs() + 1, Ordering::Relaxed);
    }

    fn is_within(&self, begun: Instant, span: Duration) -> bool {
        let at = self.0.load(Ordering::Relaxed);
        at > 0 && begun.elapsed().as_secs().saturating_sub(at - 1) <= span.as_secs()
    }
}

/// Shared by a cluster's task, whose reads are answered, and its link, which would have to probe otherwise.
#[derive(Clone)]
pub(super) struct Pulse {
    begun: Instant,
    /// When it answered last.
    last: Arc<Second>,
    /// When a call was refused last for want of a master.
    refused: Arc<Second>,
    signs: Arc<watch::Sender<Signs>>,
    /// What failed last of what only the owner of the connection may hear, and when.
    complaint: Arc<watch::Sender<Option<(Instant, Trouble)>>>,
}

/// What the cluster does to itself. It answers all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Signs {
    /// Machine learning is in upgrade mode; `None`: it did not say.
    pub(super) upgrade_mode: Option<bool>,
    /// It has no master.
    pub(super) no_master: bool,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            last: Arc::default(),
            refused: Arc::default(),
            signs: Arc::new(watch::Sender::default()),
            complaint: Arc::new(watch::Sender::default()),
        }
    }

    /// Takes from an input of the brain what it says of the cluster.
    pub(super) fn hear(&self, input: &Input) {
        match input {
            Input::Read(_, Ok(answer)) => {
                self.beat();
                match answer {
                    Answer::Info(mode) => self.upgrade_mode(*mode),
                    Answer::Catalogue(listing) => self.upgrade_mode(listing.upgrade_mode),
                    // Both are told without a master too.
                    Answer::Tasks(_) | Answer::States(..) => {}
                }
            }
            Input::Called(_, Ok(()) | Err(Refusal::LookAgain { answered: true })) => {
                self.master(true);
            }
            Input::Called(_, Err(Refusal::UpgradeMode)) => self.upgrade_mode(true),
            Input::Called(_, Err(Refusal::Cluster(trouble))) | Input::Read(_, Err(trouble))
                if trouble.reason == Reason::NoMaster =>
            {
                self.master(false);
            }
            _ => {}
        }
    }

    fn beat(&self) {
        self.last.is(self.begun);
    }

    /// It has said whether it is in upgrade mode.
    pub(super) fn upgrade_mode(&self, mode: bool) {
        self.sign(|signs| signs.upgrade_mode = Some(mode));
    }

    fn master(&self, there: bool) {
        if !there {
            self.refused.is(self.begun);
        }
        self.sign(|signs| signs.no_master = !there);
    }

    fn sign(&self, change: impl FnOnce(&mut Signs)) {
        self.signs.send_if_modified(|signs| {
            let before = *signs;
            change(signs);
            *signs != before
        });
    }

    /// What it has said. That a call was refused is forgotten after a while in which none was made.
    pub(super) fn signs(&self) -> Signs {
        let mut signs = *self.signs.borrow();
        signs.no_master &= self.refused.is_within(self.begun, FORGOTTEN);
        signs
    }

    /// Something failed of which objects are not told why.
    pub(super) fn complain(&self, trouble: Trouble) {
        self.complaint.send_replace(Some((Instant::now(), trouble)));
    }

    /// What failed last of that. It is forgotten after a while in which nothing did.
    pub(super) fn complaint(&self) -> Option<Trouble> {
        let last = self.complaint.borrow();
        let last = last.as_ref().filter(|(at, _)| at.elapsed() <= FORGOTTEN);
        last.map(|(_, trouble)| trouble.clone())
    }

    /// Tells when the signs change.
    pub(super) fn watch(&self) -> watch::Receiver<Signs> {
        self.signs.subscribe()
    }

    /// It has answered within this time.
    pub(super) fn within(&self, span: Duration) -> bool {
        self.last.is_within(self.begun, span)
    }
}
