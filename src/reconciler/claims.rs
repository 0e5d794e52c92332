//! Who acts on a job: of several objects that mean the same job of the same cluster, the oldest; but first those through a
//! cluster-wide connection, for who owns one namespace must not hold the objects of others by a connection of his own.
//!
//! Pure, and one for the whole process: the objects may belong to different brains, because two connections may lead to
//! one cluster. A younger holder is asked to give way and the older one is told only when it has, so that never two of
//! them have a call for the job on its way. It must not know what is done about a job.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

use super::input::{ObjectKey, Ticket, Uid};
use crate::api::{ConnectionKind, JobId};

/// An object that means to act on jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Who the cluster is, however it is reached.
    pub cluster: Arc<str>,
    /// The object.
    pub key: ObjectKey,
    /// Its uid.
    pub uid: Uid,
    /// Through which kind of connection: a cluster-wide one comes first.
    pub through: ConnectionKind,
    /// Its age decides then; its name where two are of the same second.
    pub created_at: Timestamp,
    /// The rulings carry it.
    pub ticket: Ticket,
    /// The jobs.
    pub jobs: Vec<JobId>,
}

/// What is said to an object of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// The claim that it answers. One that was given up meanwhile, and perhaps made again, is answered by no old ruling.
    pub ticket: Ticket,
    /// The object.
    pub key: ObjectKey,
    /// Its uid.
    pub uid: Uid,
    /// The job.
    pub job: JobId,
    /// `None`: it acts. Otherwise the one that does; where this one acted until now it gives way by a release.
    pub rival: Option<ObjectKey>,
}

#[derive(Debug, Clone)]
struct Claimant {
    brain: u64,
    key: ObjectKey,
    uid: Uid,
    through: ConnectionKind,
    created_at: Timestamp,
    ticket: Ticket,
    holds: bool,
    told: Told,
}

/// What a claimant knows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    Nothing,
    Acts,
    Rival(ObjectKey),
}

impl Claimant {
    fn rank(&self) -> (bool, Timestamp, &ObjectKey) {
        let own = self.through == ConnectionKind::ElasticsearchConnection;
        (own, self.created_at, &self.key)
    }
}

/// All claims of the process.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    /// The claimants of each job of each cluster. Few clusters are known, so nothing is kept of who claims in which.
    clusters: BTreeMap<Arc<str>, Claimed>,
    /// Brains that were not told of all objects yet.
    waiting: BTreeSet<u64>,
}

type Claimed = BTreeMap<JobId, Vec<Claimant>>;

/// Rulings and the brains they are for.
pub type Rulings = BTreeMap<u64, Vec<Ruling>>;

impl Claims {
    /// Nobody claims anything.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.clusters.is_empty() && self.waiting.is_empty()
    }

    /// This brain is going to be told of objects that are there already, in any order. Until it knows them all none of them
    /// acts, for one that comes later may be older, and know of a force.
    pub fn wait(&mut self, brain: u64) {
        self.waiting.insert(brain);
    }

    /// It was told of all of them.
    pub fn complete(&mut self, brain: u64) -> Rulings {
        let mut rulings = Rulings::new();
        if self.waiting.remove(&brain) {
            for (job, claimants) in self.clusters.values_mut().flatten() {
                settle(job, claimants, &self.waiting, &mut rulings);
            }
        }
        rulings
    }

    /// Objects of this brain claim jobs, in addition to those that they have claimed.
    pub fn claim(&mut self, brain: u64, claims: &[Claim]) -> Rulings {
        let mut rulings = Rulings::new();
        for claim in claims {
            self.enter(brain, claim, &mut rulings);
        }
        rulings
    }

    fn enter(&mut self, brain: u64, claim: &Claim, rulings: &mut Rulings) {
        let claimed = self.clusters.entry(Arc::clone(&claim.cluster)).or_default();
        for job in &claim.jobs {
            // Nearly always there is one, and a vector that grows by itself begins with room for four.
            let claimants = claimed
                .entry(job.clone())
                .or_insert_with(|| Vec::with_capacity(1));
            take(claimants, brain, claim);
            settle(job, claimants, &self.waiting, rulings);
        }
    }

    /// An object does not mean these jobs any more.
    pub fn release(&mut self, brain: u64, key: &ObjectKey, jobs: &[JobId]) -> Rulings {
        self.change(brain, key, jobs, |claimants, ours| {
            claimants.retain(|known| !ours(known));
        })
    }

    /// A holder that was told of an older one has no call on its way any more: the other one acts now.
    pub fn give_way(&mut self, brain: u64, key: &ObjectKey, jobs: &[JobId]) -> Rulings {
        self.change(brain, key, jobs, |claimants, ours| {
            for known in claimants.iter_mut().filter(|known| ours(known)) {
                known.holds = false;
            }
        })
    }

    fn change(
        &mut self,
        brain: u64,
        key: &ObjectKey,
        jobs: &[JobId],
        change: impl Fn(&mut Vec<Claimant>, &dyn Fn(&Claimant) -> bool),
    ) -> Rulings {
        let mut rulings = Rulings::new();
        let ours = |known: &Claimant| known.brain == brain && known.key == *key;
        for claimed in self.clusters.values_mut() {
            for job in jobs {
                let Some(claimants) = claimed.get_mut(job) else {
                    continue;
                };
                change(claimants, &ours);
                settle(job, claimants, &self.waiting, &mut rulings);
                if claimants.is_empty() {
                    claimed.remove(job);
                }
            }
        }
        self.clusters.retain(|_, claimed| !claimed.is_empty());
        rulings
    }

    /// A brain is no more, and with it all that it has claimed.
    pub fn forget(&mut self, brain: u64) -> Rulings {
        let mut rulings = Rulings::new();
        self.waiting.remove(&brain);
        for claimed in self.clusters.values_mut() {
            for (job, claimants) in &mut *claimed {
                claimants.retain(|known| known.brain != brain);
                settle(job, claimants, &self.waiting, &mut rulings);
            }
            claimed.retain(|_, claimants| !claimants.is_empty());
        }
        self.clusters.retain(|_, claimed| !claimed.is_empty());
        rulings
    }
}

/// A claim on a job: a new one, one that is made again, or that of an object of the same name, which is another one.
fn take(claimants: &mut Vec<Claimant>, brain: u64, claim: &Claim) {
    let same = |known: &Claimant| known.brain == brain && known.key == claim.key;
    claimants.retain(|known| !same(known) || known.uid == claim.uid);
    match claimants.iter_mut().find(|known| same(known)) {
        Some(known) if known.ticket == claim.ticket => {}
        Some(known) => (known.ticket, known.told) = (claim.ticket, Told::Nothing),
        None => claimants.push(Claimant {
            brain,
            key: claim.key.clone(),
            uid: claim.uid.clone(),
            through: claim.through,
            created_at: claim.created_at,
            ticket: claim.ticket,
            holds: false,
            told: Told::Nothing,
        }),
    }
}

/// Says to each claimant of a job what it does not know yet.
fn settle(job: &JobId, claimants: &mut [Claimant], waiting: &BTreeSet<u64>, rulings: &mut Rulings) {
    let Some(best) = claimants
        .iter()
        .enumerate()
        .min_by(|(_, one), (_, other)| one.rank().cmp(&other.rank()))
        .map(|(at, _)| at)
    else {
        return;
    };
    let taken = claimants.iter().any(|known| known.holds);
    let first = claimants.get_mut(best);
    if !taken && let Some(first) = first.filter(|first| !waiting.contains(&first.brain)) {
        first.holds = true;
    }
    let winner = claimants.get(best).map(|first| first.key.clone());
    for (at, known) in claimants.iter_mut().enumerate() {
        let says = if at != best {
            winner.clone().map_or(Told::Nothing, Told::Rival)
        } else if known.holds {
            Told::Acts
        } else {
            // Not before the present holder has given way.
            continue;
        };
        if known.told == says {
            continue;
        }
        known.told = says.clone();
        let rival = match says {
            Told::Rival(key) => Some(key),
            Told::Acts | Told::Nothing => None,
        };
        rulings.entry(known.brain).or_default().push(Ruling {
            ticket: known.ticket,
            key: known.key.clone(),
            uid: known.uid.clone(),
            job: job.clone(),
            rival,
        });
    }
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
