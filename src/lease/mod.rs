//! Leadership: of several replicas one acts. It exists, and not a crate in its place, because none of those for this
//! kube version has all of compare-and-swap writes, expiry by the local clock, bounded calls and a claim that ends by
//! itself. It is no fence: a call that was sent while the claim was current may arrive later, so what is sent must be
//! harmless then, or checked by the receiver.
//!
//! ```text
//! sent 0 s      renew 5 s        give up 10 s   claim ends 13 s   another may take it 15 s or later
//! ```
//! What remains open: a machine that sleeps is noticed by its wall clock only; and a lease object that is deleted by hand
//! can be taken at once by a replica that starts in the seconds before the holder puts it back.

mod claim;
mod decision;
mod elector;
mod records;

use std::hash::{BuildHasher as _, RandomState};

use kube::{Api, Client};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::clock::Clock;

pub use claim::{Claim, Grant};
use elector::{Elector, Lost, Timing};
pub use records::Error;
use records::Kubernetes;

/// `name` with a random suffix, so that two processes of the same name, or one and its dead predecessor, are never taken
/// for each other.
pub fn unique(name: &str) -> String {
    let chance = RandomState::new().hash_one(std::process::id());
    format!("{name}_{chance:016x}")
}

/// This process's part in the election for one lease object.
pub struct Lease {
    records: Kubernetes,
    identity: String,
    timing: Timing,
    clock: Clock,
    /// `None` while a keeper has it.
    elector: Option<Elector<Kubernetes>>,
    keeper: Option<Keeper>,
}

struct Keeper {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Elector<Kubernetes>>,
}

impl Lease {
    /// A participant in the election for the lease `name` in `namespace`. No other may ever have had this `identity`: see
    /// [`unique`].
    pub fn new(
        client: Client,
        namespace: &str,
        name: &str,
        identity: String,
        clock: Clock,
    ) -> Self {
        let records = Kubernetes {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
        };
        Self {
            records,
            identity,
            timing: Timing::default(),
            clock,
            elector: None,
            keeper: None,
        }
    }

    /// What stands in the lease while this process holds it.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Waits, for ever if need be, until this process holds the lease, and keeps it in the background. A claim that was
    /// given before ends here. May be dropped while waiting, and called again. `standing_by` is called whenever a read
    /// has shown that another holds it.
    pub async fn acquire(&mut self, standing_by: impl Fn()) -> Claim {
        self.stop_keeping().await;
        let elector = self.elector();
        let sent = elector.acquire(standing_by).await;
        let (grant, claim) = Grant::new(sent, self.timing.claim_holds(), self.clock.clone());
        info!(identity = self.identity, "acquired the lease");
        if let Some(elector) = self.elector.take() {
            let (stop, stopped) = oneshot::channel();
            let task = tokio::spawn(keep(elector, grant, sent, stopped));
            self.keeper = Some(Keeper { stop, task });
        }
        claim
    }

    /// Ends the claim and empties the holder, so that another replica takes over at its next look. To be called when
    /// nothing of the controller runs any more.
    pub async fn release(mut self) -> Result<(), Error> {
        self.stop_keeping().await;
        self.elector().release().await
    }

    fn elector(&mut self) -> &mut Elector<Kubernetes> {
        let Self {
            records,
            identity,
            timing,
            clock,
            elector,
            ..
        } = self;
        elector.get_or_insert_with(|| {
            Elector::new(records.clone(), identity.clone(), *timing, clock.clone())
        })
    }

    async fn stop_keeping(&mut self) {
        let Some(Keeper { stop, task }) = self.keeper.take() else {
            return;
        };
        // A keeper that has ended by itself no longer listens.
        let _ = stop.send(());
        // One that panicked takes what it had seen with it; a new one reads again.
        self.elector = task.await.ok();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(keeper) = &self.keeper {
            keeper.task.abort();
        }
    }
}

/// Keeps the lease until it is lost or the keeping is stopped. The grant is dropped before this returns.
async fn keep(
    mut elector: Elector<Kubernetes>,
    grant: Grant,
    sent: tokio::time::Instant,
    stopped: oneshot::Receiver<()>,
) -> Elector<Kubernetes> {
    tokio::select! {
        biased;
        _ = stopped => {}
        lost = elector.keep(&grant, sent) => match lost {
            Lost::Taken => warn!("lost the lease: another replica holds it"),
            Lost::Late => warn!("lost the lease: it could not be renewed in time"),
        },
    }
    drop(grant);
    elector
}
