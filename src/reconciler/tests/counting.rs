//! What everything costs, as exact numbers: requests to Elasticsearch, the searches behind them, calls, status writes.
//!
//! The number of requests and of writes is the whole of performance (design section 4), and it does not depend on the
//! machine. A number here may be lowered; whoever raises one says why.

use std::time::Duration;

use super::fake_job::FakeJob;
use super::world::{World, job, policy, secs};
use crate::api::JobState;
use crate::reconciler::input::*;

/// What was spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cost {
    requests: usize,
    searches: usize,
    calls: usize,
    writes: usize,
}

fn spent(world: &World) -> Cost {
    Cost {
        requests: world.requests,
        searches: world.searches,
        calls: world.calls.len(),
        writes: world.writes.len(),
    }
}

/// What passes while the time does.
fn cost(world: &mut World, span: Duration) -> Cost {
    let before = spent(world);
    world.pass(span);
    let after = spent(world);
    Cost {
        requests: after.requests - before.requests,
        searches: after.searches - before.searches,
        calls: after.calls - before.calls,
        writes: after.writes - before.writes,
    }
}

/// An id of 20 characters.
fn id(n: usize) -> String {
    format!("orders-prod-eu-{n:05}")
}

fn world(max_closing: usize) -> World {
    let mut world = World::new();
    world.max_closing = max_closing;
    world.connect();
    world
}

/// So many objects, each with a job of its own in this state.
fn with(mut world: World, count: usize, state: JobState) -> World {
    for n in 0..count {
        world.jobs.insert(job(&id(n)), FakeJob::new(state));
        world.apply(&id(n), Wanted::Closed, policy());
    }
    world
}

fn all_closed(world: &World) -> bool {
    world.jobs.values().all(|job| job.state == JobState::Closed)
}

#[test]
fn probe() {
    for (count, max) in [(1, 64), (200, 64), (10_000, 64), (10_000, 2000)] {
        let begun = std::time::Instant::now();
        let mut world = with(world(max), count, JobState::Opened);
        eprintln!("made {:?}", begun.elapsed());
        let spent = cost(&mut world, secs(40));
        let states: usize = world
            .reads
            .iter()
            .filter(|r| matches!(r, Question::States { .. }))
            .count();
        eprintln!(
            "{count} {max}: {spent:?} closes {} states {states} closed {} {:?}",
            world.closes(),
            all_closed(&world),
            begun.elapsed()
        );
    }
}
