//! Who is next, where many want something of which there is little: a write, a place in the wave.
//!
//! It exists so that an edit a person waits for is not queued behind a start-up, and that a tenant who asks for much
//! delays only itself. Pure: it is given the time and must not act, wait or know what the keys mean.
//!
//! Two lanes; in each the tenants take turns, and what a tenant asked for comes in the order it was asked. What has
//! waited long in the slow lane rises to the fresh one. There it still stands apart: within a tenant's turns the risen
//! and the fresh alternate, or a catch-up longer than the ageing would delay the same tenant's edits by all of itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// An entry of the slow lane that has waited this long counts as fresh.
const RISES_AFTER: Duration = Duration::from_secs(30);

/// How urgent an ask is; `Fresh` comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Somebody waits for it: an edit, a deletion.
    Fresh,
    /// A re-check, the start-up, a drift.
    Slow,
}

/// Who is next: two lanes with ageing, a fair turn for each tenant. O(log n) an operation, over a run of them.
#[derive(Debug, Clone)]
pub struct Turns<K> {
    places: BTreeMap<K, Place>,
    fresh: Round<K>,
    slow: Round<K>,
    /// What may rise, the longest waiting first.
    rising: BTreeMap<(Duration, u64), K>,
    last_number: u64,
}

#[derive(Debug, Clone)]
struct Place {
    tenant: Arc<str>,
    standing: Standing,
    number: u64,
    asked: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Fresh,
    Risen,
    Slow,
}

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self {
            places: BTreeMap::new(),
            fresh: Round::default(),
            slow: Round::default(),
            rising: BTreeMap::new(),
            last_number: 0,
        }
    }
}

impl<K: Ord + Clone> Turns<K> {
    /// Asks for a turn. A key that waits already keeps its place; `Fresh` lifts it out of the slow lane.
    pub fn ask(&mut self, tenant: &Arc<str>, key: K, lane: Lane, now: Duration) {
        if let Some(place) = self.places.get(&key).cloned() {
            if lane == Lane::Fresh && place.standing != Standing::Fresh {
                self.leave(&place);
                self.stand(key, place, Standing::Fresh);
            }
            return;
        }
        self.last_number += 1;
        let standing = match lane {
            Lane::Fresh => Standing::Fresh,
            Lane::Slow => Standing::Slow,
        };
        let place = Place {
            tenant: Arc::clone(tenant),
            standing,
            number: self.last_number,
            asked: now,
        };
        self.stand(key, place, standing);
    }

    /// Whose turn it is; [`Turns::next`] takes it out.
    pub fn first(&mut self, now: Duration) -> Option<&K> {
        self.rise(now);
        self.fresh.first().or_else(|| self.slow.first())
    }

    /// Takes out whose turn it is.
    pub fn next(&mut self, now: Duration) -> Option<K> {
        self.rise(now);
        let key = self.fresh.take().or_else(|| self.slow.take())?;
        if let Some(place) = self.places.remove(&key) {
            self.rising.remove(&(place.asked, place.number));
        }
        Some(key)
    }

    /// Takes out the first of those that were asked for as fresh, whoever has risen.
    pub fn next_fresh(&mut self) -> Option<K> {
        let key = self.fresh.take_asked()?;
        self.places.remove(&key);
        Some(key)
    }

    /// The key does not want its turn any more.
    pub fn forget(&mut self, key: &K) {
        if let Some(place) = self.places.remove(key) {
            self.leave(&place);
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// How many wait that were asked for as fresh.
    pub fn fresh(&self) -> usize {
        let tenants = self.fresh.tenants.values();
        tenants.map(|tenant| tenant.asked.len()).sum()
    }

    /// Nobody waits.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The key waits.
    pub fn contains(&self, key: &K) -> bool {
        self.places.contains_key(key)
    }

    fn rise(&mut self, now: Duration) {
        while let Some(((asked, _), _)) = self.rising.first_key_value()
            && asked.saturating_add(RISES_AFTER) <= now
            && let Some((_, key)) = self.rising.pop_first()
        {
            if let Some(place) = self.places.get(&key).cloned() {
                self.leave(&place);
                self.stand(key, place, Standing::Risen);
            }
        }
    }

    fn stand(&mut self, key: K, place: Place, standing: Standing) {
        let round = match standing {
            Standing::Fresh | Standing::Risen => &mut self.fresh,
            Standing::Slow => &mut self.slow,
        };
        round.add(
            &place.tenant,
            place.number,
            key.clone(),
            standing == Standing::Risen,
        );
        if standing == Standing::Slow {
            self.rising.insert((place.asked, place.number), key.clone());
        }
        self.places.insert(key, Place { standing, ..place });
    }

    fn leave(&mut self, place: &Place) {
        match place.standing {
            Standing::Fresh | Standing::Risen => self.fresh.remove(&place.tenant, place.number),
            Standing::Slow => self.slow.remove(&place.tenant, place.number),
        }
        self.rising.remove(&(place.asked, place.number));
    }
}

/// One lane: its tenants in the order of their turns.
#[derive(Debug, Clone)]
struct Round<K> {
    tenants: BTreeMap<Arc<str>, Tenant<K>>,
    order: BTreeMap<u64, Arc<str>>,
    last_turn: u64,
}

/// What a tenant waits for in one lane, by the numbers of the asks.
#[derive(Debug, Clone)]
struct Tenant<K> {
    turn: u64,
    asked: BTreeMap<u64, K>,
    risen: BTreeMap<u64, K>,
    risen_next: bool,
}

impl<K> Default for Round<K> {
    fn default() -> Self {
        Self {
            tenants: BTreeMap::new(),
            order: BTreeMap::new(),
            last_turn: 0,
        }
    }
}

impl<K> Round<K> {
    fn add(&mut self, tenant: &Arc<str>, number: u64, key: K, risen: bool) {
        let Self {
            tenants,
            order,
            last_turn,
        } = self;
        let known = tenants.entry(Arc::clone(tenant)).or_insert_with(|| {
            *last_turn += 1;
            order.insert(*last_turn, Arc::clone(tenant));
            Tenant::new(*last_turn)
        });
        let line = if risen {
            &mut known.risen
        } else {
            &mut known.asked
        };
        line.insert(number, key);
    }

    fn first(&self) -> Option<&K> {
        let (_, tenant) = self.order.first_key_value()?;
        let (_, key) = self.tenants.get(tenant)?.line().first_key_value()?;
        Some(key)
    }

    fn take(&mut self) -> Option<K> {
        let (_, tenant) = self.order.pop_first()?;
        let key = self.tenants.get_mut(&tenant)?.take();
        self.had_its_turn(tenant);
        key
    }

    fn take_asked(&mut self) -> Option<K> {
        let asks = |tenant: &Arc<str>| {
            let known = self.tenants.get(tenant);
            known.is_some_and(|known| !known.asked.is_empty())
        };
        let mut order = self.order.iter();
        let (turn, tenant) = order.find(|(_, tenant)| asks(tenant))?;
        let (turn, tenant) = (*turn, Arc::clone(tenant));
        self.order.remove(&turn);
        let (_, key) = self.tenants.get_mut(&tenant)?.asked.pop_first()?;
        self.had_its_turn(tenant);
        Some(key)
    }

    /// It comes again behind all others, where it wants more.
    fn had_its_turn(&mut self, tenant: Arc<str>) {
        let Some(known) = self.tenants.get_mut(&tenant) else {
            return;
        };
        if known.is_empty() {
            self.tenants.remove(&tenant);
        } else {
            self.last_turn += 1;
            known.turn = self.last_turn;
            self.order.insert(self.last_turn, tenant);
        }
    }

    fn remove(&mut self, tenant: &Arc<str>, number: u64) {
        let Some(known) = self.tenants.get_mut(tenant) else {
            return;
        };
        known.asked.remove(&number);
        known.risen.remove(&number);
        if known.is_empty() {
            self.order.remove(&known.turn);
            self.tenants.remove(tenant);
        }
    }
}

impl<K> Tenant<K> {
    fn new(turn: u64) -> Self {
        Self {
            turn,
            asked: BTreeMap::new(),
            risen: BTreeMap::new(),
            risen_next: false,
        }
    }

    /// The line that the next one comes from is the risen one.
    fn is_for_risen(&self) -> bool {
        self.asked.is_empty() || (self.risen_next && !self.risen.is_empty())
    }

    fn line(&self) -> &BTreeMap<u64, K> {
        if self.is_for_risen() {
            &self.risen
        } else {
            &self.asked
        }
    }

    fn take(&mut self) -> Option<K> {
        let risen = self.is_for_risen();
        self.risen_next = !risen;
        let line = if risen {
            &mut self.risen
        } else {
            &mut self.asked
        };
        line.pop_first().map(|(_, key)| key)
    }

    fn is_empty(&self) -> bool {
        self.asked.is_empty() && self.risen.is_empty()
    }
}

#[cfg(test)]
#[path = "turns_tests.rs"]
mod tests;
