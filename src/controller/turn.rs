//! A turn to write to the API server: at most so many at once in the process, and a fair order among those that wait.
//!
//! It exists because a queue of writes is shared by all clusters and tenants, and a plain semaphore would let whoever
//! asked for most stand before all others. While somebody edits, what nobody waits for gets fewer places: an API server
//! that is kept full answers everybody late, the edit itself included. It knows nothing of what is written. A place cannot
//! get lost: whoever is dropped, waiting, just called or writing, gives it to the next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::reconciler::input::{Lane, Urgency};
use crate::reconciler::turns::Turns;

/// So long after one edit the next is expected.
const EDITING: Duration = Duration::from_secs(1);

/// Hands out turns; cheap to clone.
#[derive(Clone)]
pub(super) struct Gate {
    shared: Arc<Shared>,
}

/// The right to make one write. Dropping it gives the place to the next.
pub(super) struct Turn {
    shared: Arc<Shared>,
    lane: Lane,
}

struct Shared {
    begun: Instant,
    places: Mutex<Places>,
}

struct Places {
    /// Places nobody has.
    free: usize,
    /// Places that are had by what nobody waits for, and how many that may be while somebody edits.
    slow: usize,
    slow_beside_edits: usize,
    edited: Option<Duration>,
    turns: Turns<u64>,
    /// How those are called that wait.
    waiting: HashMap<u64, (Lane, oneshot::Sender<()>)>,
    last_number: u64,
}

impl Gate {
    /// A gate with this many places, of which the slow lane gets so many while somebody edits.
    pub(super) fn new(places: usize, slow_beside_edits: usize) -> Self {
        let places = Places {
            free: places,
            slow: 0,
            slow_beside_edits,
            edited: None,
            turns: Turns::default(),
            waiting: HashMap::new(),
            last_number: 0,
        };
        Self {
            shared: Arc::new(Shared {
                begun: Instant::now(),
                places: Mutex::new(places),
            }),
        }
    }

    /// A turn at once, where nobody waits and a place is free for it.
    pub(super) fn try_turn(&self, urgency: Urgency) -> Option<Turn> {
        let (lane, now) = (urgency.lane(), self.shared.begun.elapsed());
        let mut places = self.shared.lock();
        places.asked(urgency, now);
        if !places.turns.is_empty() || !places.may_enter(lane, now) {
            return None;
        }
        places.enter(lane);
        drop(places);
        Some(self.turn(lane))
    }

    /// Waits for a turn.
    pub(super) async fn wait(&self, tenant: &Arc<str>, urgency: Urgency) -> Turn {
        if let Some(turn) = self.try_turn(urgency) {
            return turn;
        }
        let lane = urgency.lane();
        let mut waiting = self.stand(tenant, lane);
        // The sender goes only when it calls, so an answer of any kind is the call.
        let _ = (&mut waiting.called).await;
        waiting.arrived = true;
        self.turn(lane)
    }

    fn turn(&self, lane: Lane) -> Turn {
        Turn {
            shared: Arc::clone(&self.shared),
            lane,
        }
    }

    fn stand(&self, tenant: &Arc<str>, lane: Lane) -> Waiting {
        let (call, called) = oneshot::channel();
        let now = self.shared.begun.elapsed();
        let mut places = self.shared.lock();
        places.last_number += 1;
        let number = places.last_number;
        places.turns.ask(tenant, number, lane, now);
        places.waiting.insert(number, (lane, call));
        // Between the look at the free places and this a place may have been given back.
        places.call_next(now);
        drop(places);
        Waiting {
            shared: Arc::clone(&self.shared),
            lane,
            number,
            called,
            arrived: false,
        }
    }
}

impl Shared {
    /// A panic while it is held leaves it as consistent as it was: each change below is made whole.
    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, lane: Lane) {
        let mut places = self.lock();
        places.free += 1;
        places.slow -= usize::from(lane == Lane::Slow);
        places.call_next(self.begun.elapsed());
    }
}

impl Places {
    fn asked(&mut self, urgency: Urgency, now: Duration) {
        if urgency == Urgency::ForEdit {
            self.edited = Some(now);
        }
    }

    fn may_enter(&self, lane: Lane, now: Duration) -> bool {
        let editing = self.edited.is_some_and(|at| now < at + EDITING);
        let crowded = lane == Lane::Slow && editing && self.slow >= self.slow_beside_edits;
        self.free > 0 && !crowded
    }

    fn enter(&mut self, lane: Lane) {
        self.free -= 1;
        self.slow += usize::from(lane == Lane::Slow);
    }

    /// Whoever holds a place calls the next when it is given back, so nobody waits while all places are free.
    fn call_next(&mut self, now: Duration) {
        while let Some(number) = self.next(now) {
            // One that is dropped right now gives its place back itself: it finds that it was called.
            if let Some((lane, call)) = self.waiting.remove(&number) {
                self.enter(lane);
                let _ = call.send(());
            }
        }
    }

    fn next(&mut self, now: Duration) -> Option<u64> {
        if self.free == 0 {
            return None;
        }
        let first = self.turns.first(now)?;
        let lane = self.waiting.get(first).map(|(lane, _)| *lane);
        if lane.is_none_or(|lane| self.may_enter(lane, now)) {
            return self.turns.next(now);
        }
        // What waited long and has risen stands among the edits, and has to leave them the places that are theirs.
        self.turns.next_fresh()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.shared.give_back(self.lane);
    }
}

/// Stands in the queue for as long as it lives.
struct Waiting {
    shared: Arc<Shared>,
    lane: Lane,
    number: u64,
    called: oneshot::Receiver<()>,
    /// The place it was called to is held by a [`Turn`] now.
    arrived: bool,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.arrived {
            return;
        }
        let mut places = self.shared.lock();
        let was_called = places.waiting.remove(&self.number).is_none();
        places.turns.forget(&self.number);
        drop(places);
        if was_called {
            self.shared.give_back(self.lane);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;
    use tokio::sync::mpsc;

    use super::*;

    fn tenant(name: &str) -> Arc<str> {
        Arc::from(name)
    }

    /// Nobody waits, nothing is remembered, and all places can be had.
    fn assert_at_rest(gate: &Gate, places: usize) {
        let held: Vec<Turn> = std::iter::from_fn(|| gate.try_turn(Urgency::ForEdit)).collect();
        assert_eq!(held.len(), places);
        let shared = gate.shared.lock();
        assert!(shared.turns.is_empty() && shared.waiting.is_empty() && shared.slow == 0);
        drop(shared);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_its_places_are_had_at_once() {
        let gate = Gate::new(8, 8);
        let held: Vec<Turn> = std::iter::from_fn(|| gate.try_turn(Urgency::ForEdit)).collect();
        assert_eq!(held.len(), 8);
        let ninth = gate.wait(&tenant("a"), Urgency::ForEdit).now_or_never();
        assert!(ninth.is_none(), "a ninth was let in");
        drop(held);
        assert_at_rest(&gate, 8);
    }

    #[tokio::test(start_paused = true)]
    async fn while_somebody_edits_a_catch_up_has_a_few_of_the_places_and_a_second_later_all() {
        let gate = Gate::new(8, 4);
        let slow = || gate.try_turn(Urgency::None);
        let catch_up: Vec<Turn> = std::iter::from_fn(slow).collect();
        assert_eq!(catch_up.len(), 8, "nobody edits");
        drop(catch_up);
        drop(gate.try_turn(Urgency::ForEdit).unwrap());
        let beside: Vec<Turn> = std::iter::from_fn(slow).collect();
        assert_eq!(beside.len(), 4);
        let tenant = tenant("a");
        let mut waiting = Box::pin(gate.wait(&tenant, Urgency::None));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(
            gate.try_turn(Urgency::ForEdit).is_none(),
            "who waits is not passed"
        );
        let edit = gate.wait(&tenant, Urgency::ForEdit).now_or_never();
        assert!(edit.is_some(), "an edit has its place at once");
        tokio::time::advance(EDITING).await;
        drop(edit);
        assert!(waiting.as_mut().now_or_never().is_some());
        drop((waiting, beside));
        assert_at_rest(&gate, 8);
    }

    #[tokio::test(start_paused = true)]
    async fn an_edit_has_its_place_also_where_what_has_risen_stands_before_it() {
        let gate = Gate::new(8, 2);
        let (many, other) = (tenant("many"), tenant("other"));
        let held: Vec<Turn> = std::iter::from_fn(|| gate.try_turn(Urgency::None)).collect();
        let mut waiting: Vec<_> = (0..20)
            .map(|_| Box::pin(gate.wait(&many, Urgency::None)))
            .collect();
        for slow in &mut waiting {
            assert!(slow.as_mut().now_or_never().is_none());
        }
        tokio::time::advance(Duration::from_secs(31)).await;
        let mut edits = Vec::new();
        for tenant in [&many, &other, &many] {
            edits.push(Box::pin(gate.wait(tenant, Urgency::ForEdit)));
        }
        for edit in &mut edits {
            assert!(edit.as_mut().now_or_never().is_none(), "all places are had");
        }
        drop(held.into_iter().take(5).collect::<Vec<_>>());
        for edit in edits {
            assert!(edit.now_or_never().is_some());
        }
        drop(waiting);
        assert_at_rest(&gate, 8);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_call_waits_for_comes_early_and_is_no_edit() {
        let gate = Gate::new(8, 2);
        drop(gate.try_turn(Urgency::ForCall).unwrap());
        let slow: Vec<Turn> = std::iter::from_fn(|| gate.try_turn(Urgency::None)).collect();
        assert_eq!(slow.len(), 8);
        drop(slow);
        assert_at_rest(&gate, 8);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_is_not_passed_by_one_that_comes_at_once() {
        let gate = Gate::new(1, 1);
        let held = gate.try_turn(Urgency::ForEdit).unwrap();
        let tenant = tenant("a");
        let mut waiting = Box::pin(gate.wait(&tenant, Urgency::None));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(held);
        assert!(
            gate.try_turn(Urgency::ForEdit).is_none(),
            "the place was promised"
        );
        drop(waiting.await);
        assert_at_rest(&gate, 1);
    }

    /// Each takes its turn, says its name and writes for a millisecond.
    async fn order(gate: &Gate, asks: Vec<(&'static str, Urgency)>) -> Vec<String> {
        let (said, mut heard) = mpsc::unbounded_channel();
        let held: Vec<Turn> = std::iter::from_fn(|| gate.try_turn(Urgency::ForEdit)).collect();
        let mut tasks = Vec::new();
        for (number, (of, urgency)) in asks.into_iter().enumerate() {
            let (gate, said) = (gate.clone(), said.clone());
            tasks.push(tokio::spawn(async move {
                let _turn = gate.wait(&tenant(of), urgency).await;
                said.send(format!("{of}{number}")).unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }));
            tokio::task::yield_now().await;
        }
        drop((held, said));
        let mut names = Vec::new();
        while let Some(name) = heard.recv().await {
            names.push(name);
        }
        for task in tasks {
            task.await.unwrap();
        }
        names
    }

    #[tokio::test(start_paused = true)]
    async fn namespaces_take_turns_and_edits_come_before_a_catch_up() {
        let gate = Gate::new(1, 1);
        let asks = vec![
            ("a", Urgency::None),
            ("a", Urgency::None),
            ("a", Urgency::None),
            ("b", Urgency::None),
            ("c", Urgency::ForEdit),
        ];
        assert_eq!(order(&gate, asks).await, ["c4", "a0", "b3", "a1", "a2"]);
        assert_at_rest(&gate, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_catch_up_that_waited_long_is_not_passed_by_a_flood_of_edits() {
        let gate = Gate::new(1, 1);
        let held = gate.try_turn(Urgency::ForEdit).unwrap();
        let (quiet, flood) = (tenant("quiet"), tenant("flood"));
        let mut slow = Box::pin(gate.wait(&quiet, Urgency::None));
        assert!(slow.as_mut().now_or_never().is_none());
        tokio::time::advance(Duration::from_secs(30)).await;
        let mut edits: Vec<_> = (0..2)
            .map(|_| Box::pin(gate.wait(&flood, Urgency::ForEdit)))
            .collect();
        for edit in &mut edits {
            assert!(edit.as_mut().now_or_never().is_none());
        }
        drop(held);
        drop(edits.remove(0).await);
        assert!(slow.as_mut().now_or_never().is_some(), "it waited 30 s");
        drop(edits);
        assert_at_rest(&gate, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_gives_up_waiting_leaves_nothing_and_delays_nobody() {
        let gate = Gate::new(1, 1);
        let held = gate.try_turn(Urgency::ForEdit).unwrap();
        let tenant = tenant("a");
        let brief = Duration::from_secs(1);
        let given_up = tokio::time::timeout(brief, gate.wait(&tenant, Urgency::ForEdit)).await;
        assert!(given_up.is_err());
        let mut patient = Box::pin(gate.wait(&tenant, Urgency::None));
        assert!(patient.as_mut().now_or_never().is_none());
        drop(held);
        drop(patient.await);
        assert_at_rest(&gate, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_dropped_between_its_call_and_its_turn_gives_the_place_to_the_next() {
        let gate = Gate::new(1, 1);
        let held = gate.try_turn(Urgency::ForEdit).unwrap();
        let tenant = tenant("a");
        let mut called = Box::pin(gate.wait(&tenant, Urgency::ForEdit));
        let mut next = Box::pin(gate.wait(&tenant, Urgency::ForEdit));
        assert!(called.as_mut().now_or_never().is_none());
        assert!(next.as_mut().now_or_never().is_none());
        drop(held);
        drop(called);
        assert!(next.as_mut().now_or_never().is_some());
        drop(next);
        assert_at_rest(&gate, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_is_aborted_while_it_writes_gives_its_place_back() {
        let gate = Gate::new(2, 2);
        let mut tasks = Vec::new();
        for _ in 0..20 {
            let gate = gate.clone();
            tasks.push(tokio::spawn(async move {
                let _turn = gate.wait(&tenant("a"), Urgency::ForEdit).await;
                std::future::pending::<()>().await;
            }));
        }
        tokio::task::yield_now().await;
        for task in tasks {
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        }
        assert_at_rest(&gate, 2);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_place_is_lost_where_many_threads_wait_write_and_give_up() {
        let gate = Gate::new(3, 3);
        let mut tasks = Vec::new();
        for number in 0..400_u64 {
            let gate = gate.clone();
            tasks.push(tokio::spawn(async move {
                let tenant = tenant(if number % 3 == 0 { "a" } else { "b" });
                let patience = Duration::from_micros(number % 7 * 300);
                let turn = gate.wait(&tenant, Urgency::ForEdit);
                if let Ok(turn) = tokio::time::timeout(patience, turn).await {
                    tokio::time::sleep(Duration::from_micros(number % 5 * 100)).await;
                    drop(turn);
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_at_rest(&gate, 3);
    }
}
