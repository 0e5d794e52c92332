//! The rules of the lease, one by one, and then all interleavings of two candidates.

use super::*;

const OURS: Duration = Duration::from_secs(15);

fn wall() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn at(start: Instant, seconds: u64) -> Instant {
    start + Duration::from_secs(seconds)
}

/// A record as the API server would deliver it.
fn record(version: u64, spec: LeaseSpec) -> Record {
    let mut record = Record {
        spec: Some(spec),
        ..Record::default()
    };
    record.metadata.resource_version = Some(version.to_string());
    record
}

fn held_by(holder: &str, renewed: Timestamp) -> LeaseSpec {
    LeaseSpec {
        holder_identity: Some(holder.to_owned()),
        lease_duration_seconds: Some(15),
        renew_time: Some(MicroTime(renewed)),
        lease_transitions: Some(3),
        ..LeaseSpec::default()
    }
}

fn seen_at(now: Instant, delivered: Option<Record>) -> Seen {
    let mut seen = Seen::nothing(now);
    seen.observe(delivered, now);
    seen
}

#[test]
fn a_lease_that_nobody_holds_is_acquired() {
    let now = Instant::now();
    let empty_holder = LeaseSpec {
        holder_identity: Some(String::new()),
        ..LeaseSpec::default()
    };
    for delivered in [
        None,
        Some(Record::default()),
        Some(record(1, LeaseSpec::default())),
        Some(record(1, empty_holder)),
    ] {
        assert_eq!(
            decide(&seen_at(now, delivered), "me", OURS, now),
            Decision::Acquire
        );
    }
}

#[test]
fn a_holder_is_waited_for_as_long_as_its_record_was_seen_to_change() {
    let start = Instant::now();
    let mut seen = seen_at(start, Some(record(1, held_by("other", wall()))));
    assert_eq!(
        decide(&seen, "me", OURS, at(start, 14)),
        Decision::Wait(at(start, 15))
    );
    seen.observe(
        Some(record(2, held_by("other", wall() + Duration::from_secs(5)))),
        at(start, 14),
    );
    assert_eq!(
        decide(&seen, "me", OURS, at(start, 28)),
        Decision::Wait(at(start, 29))
    );
    assert_eq!(decide(&seen, "me", OURS, at(start, 29)), Decision::Acquire);
}

#[test]
fn reading_the_same_record_again_proves_no_life() {
    let start = Instant::now();
    let mut seen = seen_at(start, Some(record(1, held_by("other", wall()))));
    for second in 1..15 {
        seen.observe(Some(record(1, held_by("other", wall()))), at(start, second));
    }
    assert_eq!(decide(&seen, "me", OURS, at(start, 15)), Decision::Acquire);
}

#[test]
fn a_holder_whose_clock_is_an_hour_wrong_is_treated_like_any_other() {
    let start = Instant::now();
    for renewed in [
        wall() - Duration::from_secs(3600),
        wall() + Duration::from_secs(3600),
    ] {
        let seen = seen_at(start, Some(record(1, held_by("other", renewed))));
        assert_eq!(
            decide(&seen, "me", OURS, at(start, 14)),
            Decision::Wait(at(start, 15))
        );
        assert_eq!(decide(&seen, "me", OURS, at(start, 15)), Decision::Acquire);
    }
}

#[test]
fn the_duration_that_the_holder_wrote_counts_and_ours_where_it_wrote_none() {
    let start = Instant::now();
    for (written, expected) in [
        (Some(60), 60),
        (Some(4), 4),
        (None, 15),
        (Some(0), 15),
        (Some(-7), 15),
    ] {
        let spec = LeaseSpec {
            lease_duration_seconds: written,
            ..held_by("other", wall())
        };
        let seen = seen_at(start, Some(record(1, spec)));
        assert_eq!(
            decide(&seen, "me", OURS, start),
            Decision::Wait(at(start, expected)),
            "{written:?}"
        );
    }
}

#[test]
fn a_record_without_times_or_transitions_is_held_all_the_same_and_filled_in_when_taken() {
    let start = Instant::now();
    let spec = LeaseSpec {
        holder_identity: Some("other".to_owned()),
        ..LeaseSpec::default()
    };
    let seen = seen_at(start, Some(record(9, spec)));
    assert_eq!(
        decide(&seen, "me", OURS, start),
        Decision::Wait(at(start, 15))
    );
    let written = seen.claimed("me", OURS, wall());
    let spec = written.spec.unwrap();
    assert_eq!(spec.lease_transitions, Some(1));
    assert_eq!(spec.lease_duration_seconds, Some(15));
    assert_eq!(spec.acquire_time, Some(MicroTime(wall())));
    assert_eq!(written.metadata.resource_version.as_deref(), Some("9"));
}

#[test]
fn transitions_count_changes_of_holder_and_not_renewals() {
    let start = Instant::now();
    let transitions = |record: &Record| record.spec.as_ref().unwrap().lease_transitions.unwrap();
    let mut seen = seen_at(start, None);
    let first = seen.claimed("a", OURS, wall());
    assert_eq!(transitions(&first), 0);
    seen.observe(Some(record(1, first.spec.unwrap())), start);
    let renewed = seen.claimed("a", OURS, wall());
    assert_eq!(transitions(&renewed), 0);
    seen.observe(Some(record(2, renewed.spec.unwrap())), start);
    let taken = seen.claimed("b", OURS, wall());
    assert_eq!(transitions(&taken), 1);
    seen.observe(Some(record(3, taken.spec.unwrap())), start);
    let released = seen.released(wall());
    assert_eq!(transitions(&released), 1);
    seen.observe(Some(record(4, released.spec.unwrap())), start);
    assert_eq!(transitions(&seen.claimed("b", OURS, wall())), 2);
}

#[test]
fn a_renewal_keeps_the_time_of_acquisition_and_the_labels_of_the_object() {
    let start = Instant::now();
    let acquired = wall() - Duration::from_secs(500);
    let mut delivered = record(
        1,
        LeaseSpec {
            acquire_time: Some(MicroTime(acquired)),
            ..held_by("me", wall())
        },
    );
    delivered.metadata.labels = Some([("app".to_owned(), "x".to_owned())].into());
    let seen = seen_at(start, Some(delivered.clone()));
    let renewed = seen.claimed("me", OURS, wall() + Duration::from_secs(5));
    assert_eq!(renewed.metadata.labels, delivered.metadata.labels);
    assert_eq!(
        renewed.spec.unwrap().acquire_time,
        Some(MicroTime(acquired))
    );
}

#[test]
fn a_lease_that_was_stolen_is_not_renewed() {
    let start = Instant::now();
    let mut seen = seen_at(start, Some(record(1, held_by("me", wall()))));
    assert_eq!(decide(&seen, "me", OURS, start), Decision::Renew);
    seen.observe(Some(record(2, held_by("thief", wall()))), at(start, 5));
    assert_eq!(
        decide(&seen, "me", OURS, at(start, 5)),
        Decision::Wait(at(start, 20))
    );
}

#[test]
fn a_record_deleted_under_its_holder_is_put_back_by_it_and_not_taken_by_those_who_knew_it() {
    let start = Instant::now();
    let mut seen = seen_at(start, Some(record(1, held_by("holder", wall()))));
    seen.observe(None, at(start, 3));
    assert_eq!(decide(&seen, "holder", OURS, at(start, 5)), Decision::Renew);
    assert_eq!(
        decide(&seen, "other", OURS, at(start, 5)),
        Decision::Wait(at(start, 15))
    );
    assert_eq!(
        decide(&seen, "other", OURS, at(start, 15)),
        Decision::Acquire
    );
    let back = seen.claimed("holder", OURS, wall());
    assert_eq!(
        back.metadata.resource_version, None,
        "it is created, so that a faster one wins"
    );
    assert_eq!(back.spec.unwrap().lease_transitions, Some(3));
}

/// A store with compare-and-swap, and candidates as small programs over it: every step is one call to the store.
#[derive(Clone)]
struct World {
    stored: Option<(u64, LeaseSpec)>,
    candidates: Vec<Candidate>,
}

#[derive(Clone)]
struct Candidate {
    name: &'static str,
    seen: Seen,
    /// What it is about to write.
    draft: Option<Record>,
    wins: u32,
    steps_left: u32,
}

impl World {
    fn new(now: Instant, stored: Option<(u64, LeaseSpec)>, names: &[&'static str]) -> Self {
        let delivered = stored.clone().map(|(version, spec)| record(version, spec));
        let candidate = |&name: &&'static str| Candidate {
            name,
            seen: seen_at(now, delivered.clone()),
            draft: None,
            wins: 0,
            steps_left: 6,
        };
        Self {
            stored,
            candidates: names.iter().map(candidate).collect(),
        }
    }

    /// One candidate makes one step: reads and decides, or writes what it has decided.
    fn step(&mut self, who: usize, now: Instant) {
        let candidate = &mut self.candidates[who];
        candidate.steps_left -= 1;
        if let Some(draft) = candidate.draft.take() {
            let expected = draft
                .metadata
                .resource_version
                .map(|version| version.parse::<u64>().unwrap());
            if expected == self.stored.as_ref().map(|(version, _)| *version) {
                self.stored = Some((expected.unwrap_or(0) + 1, draft.spec.unwrap()));
                candidate.wins += 1;
            }
            return;
        }
        let delivered = self
            .stored
            .clone()
            .map(|(version, spec)| record(version, spec));
        candidate.seen.observe(delivered, now);
        if decide(&candidate.seen, candidate.name, OURS, now) == Decision::Acquire {
            candidate.draft = Some(candidate.seen.claimed(candidate.name, OURS, wall()));
        }
    }
}

/// Walks all orders of steps; returns how many ends there were.
fn explore(world: &World, now: Instant, check: &dyn Fn(&World)) -> usize {
    check(world);
    let mut ends = 0;
    let mut moved = false;
    for who in 0..world.candidates.len() {
        if world.candidates[who].steps_left > 0 {
            moved = true;
            let mut next = world.clone();
            next.step(who, now);
            ends += explore(&next, now, check);
        }
    }
    ends + usize::from(!moved)
}

fn one_wins(start: Instant, stored: Option<(u64, LeaseSpec)>) {
    let world = World::new(start, stored, &["a", "b"]);
    let now = at(start, 15);
    let ends = explore(&world, now, &|world| {
        let wins: u32 = world
            .candidates
            .iter()
            .map(|candidate| candidate.wins)
            .sum();
        assert!(wins <= 1, "both have won");
        if world
            .candidates
            .iter()
            .all(|candidate| candidate.steps_left == 0)
        {
            assert_eq!(wins, 1, "nobody has won");
        }
    });
    assert_eq!(ends, 924, "all orders of two times six steps");
}

#[test]
fn of_two_candidates_on_an_expired_lease_exactly_one_wins_in_every_order() {
    one_wins(Instant::now(), Some((7, held_by("gone", wall()))));
}

#[test]
fn of_two_candidates_on_a_lease_that_does_not_exist_exactly_one_wins_in_every_order() {
    one_wins(Instant::now(), None);
}

#[test]
fn of_two_candidates_on_a_released_lease_exactly_one_wins_in_every_order() {
    let start = Instant::now();
    let held = seen_at(start, Some(record(7, held_by("gone", wall()))));
    one_wins(start, Some((8, held.released(wall()).spec.unwrap())));
}
