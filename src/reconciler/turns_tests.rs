//! Order and fairness of turns, as sentences; and a long run of random asks against a slow, obvious model.

use std::collections::BTreeSet;

use super::*;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn tenant(name: &str) -> Arc<str> {
    Arc::from(name)
}

/// Asks for each, all at the beginning.
fn asked(asks: &[(&str, u32, Lane)]) -> Turns<u32> {
    let mut turns = Turns::default();
    for (of, key, lane) in asks {
        turns.ask(&tenant(of), *key, *lane, at(0));
    }
    turns
}

fn rest(turns: &mut Turns<u32>, now: Duration) -> Vec<u32> {
    std::iter::from_fn(|| turns.next(now)).collect()
}

/// Nothing is left of what is over.
fn assert_at_rest(turns: &Turns<u32>) {
    assert!(turns.is_empty() && turns.rising.is_empty());
    for round in [&turns.fresh, &turns.slow] {
        assert!(round.tenants.is_empty() && round.order.is_empty());
    }
}

#[test]
fn who_asks_first_within_a_tenant_comes_first() {
    let mut turns = asked(&[
        ("a", 3, Lane::Fresh),
        ("a", 1, Lane::Fresh),
        ("a", 2, Lane::Fresh),
    ]);
    assert_eq!(rest(&mut turns, at(0)), [3, 1, 2]);
    assert_at_rest(&turns);
}

#[test]
fn tenants_take_turns_within_a_lane() {
    for lane in [Lane::Fresh, Lane::Slow] {
        let mut turns = asked(&[
            ("a", 1, lane),
            ("a", 2, lane),
            ("a", 3, lane),
            ("b", 11, lane),
            ("b", 12, lane),
            ("c", 21, lane),
        ]);
        assert_eq!(rest(&mut turns, at(0)), [1, 11, 21, 2, 12, 3]);
    }
}

#[test]
fn the_fresh_lane_comes_before_the_slow_one_whoever_asked_first() {
    let mut turns = asked(&[
        ("a", 1, Lane::Slow),
        ("b", 2, Lane::Slow),
        ("a", 3, Lane::Fresh),
    ]);
    assert_eq!(rest(&mut turns, at(0)), [3, 1, 2]);
}

#[test]
fn five_thousand_asks_of_one_tenant_delay_anothers_by_one_turn_at_most() {
    for lane in [Lane::Fresh, Lane::Slow] {
        for served in [0, 1, 17] {
            let mut turns = Turns::default();
            for key in 0..5000 {
                turns.ask(&tenant("greedy"), key, lane, at(0));
            }
            for _ in 0..served {
                turns.next(at(0));
            }
            turns.ask(&tenant("modest"), 9999, lane, at(0));
            turns.next(at(0));
            assert_eq!(turns.next(at(0)), Some(9999), "{lane:?} after {served}");
        }
    }
}

#[test]
fn who_is_first_is_who_comes_next_whatever_has_risen_and_whoever_asks() {
    let mut turns = Turns::default();
    let mut seed = 1_u32;
    let mut told = 0;
    for step in 0..4000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (of, lane) = (
            seed >> 20,
            if seed & 1024 == 0 {
                Lane::Fresh
            } else {
                Lane::Slow
            },
        );
        let now = at(step / 20);
        if seed & 2048 == 0 {
            turns.ask(&tenant(&format!("{}", of % 3)), of % 400, lane, now);
        } else {
            let first = turns.first(now).copied();
            assert_eq!(turns.next(now), first);
            told += u32::from(first.is_some());
        }
    }
    assert!(told > 1000);
}

#[test]
fn what_has_risen_of_one_tenant_delays_anothers_edit_by_one_turn_at_most() {
    let mut turns = Turns::default();
    for key in 0..5000 {
        turns.ask(&tenant("greedy"), key, Lane::Slow, at(0));
    }
    assert_eq!(turns.next(at(31)), Some(0));
    turns.ask(&tenant("modest"), 9999, Lane::Fresh, at(31));
    assert_eq!(turns.next(at(31)), Some(1));
    assert_eq!(turns.next(at(31)), Some(9999));
}

#[test]
fn a_catch_up_that_has_risen_alternates_with_the_edits_of_its_own_tenant() {
    let mut turns = asked(&[
        ("a", 1, Lane::Slow),
        ("a", 2, Lane::Slow),
        ("a", 3, Lane::Slow),
    ]);
    turns.ask(&tenant("a"), 8, Lane::Fresh, at(40));
    turns.ask(&tenant("a"), 9, Lane::Fresh, at(40));
    assert_eq!(rest(&mut turns, at(40)), [8, 1, 9, 2, 3]);
    assert_at_rest(&turns);
}

#[test]
fn who_was_asked_for_as_fresh_can_be_taken_past_what_has_risen() {
    let mut turns = asked(&[("a", 1, Lane::Slow), ("a", 2, Lane::Slow)]);
    assert_eq!(turns.next(at(31)), Some(1));
    assert_eq!(turns.next_fresh(), None);
    turns.ask(&tenant("a"), 8, Lane::Fresh, at(31));
    turns.ask(&tenant("b"), 9, Lane::Fresh, at(31));
    assert_eq!(turns.next_fresh(), Some(8));
    assert_eq!(turns.next_fresh(), Some(9));
    assert_eq!(turns.next_fresh(), None);
    assert_eq!(rest(&mut turns, at(31)), [2]);
    assert_at_rest(&turns);
}

#[test]
fn a_slow_ask_rises_after_thirty_seconds_and_not_before() {
    let both = [("a", 1, Lane::Slow), ("b", 2, Lane::Fresh)];
    let later = |turns: &mut Turns<u32>| turns.ask(&tenant("b"), 3, Lane::Fresh, at(1));
    let mut turns = asked(&both);
    later(&mut turns);
    assert_eq!(rest(&mut turns, at(29)), [2, 3, 1]);
    let mut turns = asked(&both);
    later(&mut turns);
    assert_eq!(rest(&mut turns, at(30)), [2, 1, 3]);
}

#[test]
fn nothing_starves_under_a_flood_of_edits() {
    let mut turns = Turns::default();
    turns.ask(&tenant("quiet"), 0, Lane::Slow, at(0));
    turns.ask(&tenant("flood"), 1, Lane::Slow, at(0));
    let mut waiting = BTreeSet::from([0, 1]);
    let mut key = 2;
    for second in 0..40 {
        for _ in 0..3 {
            turns.ask(&tenant("flood"), key, Lane::Fresh, at(second));
            key += 1;
        }
        waiting.remove(&turns.next(at(second)).unwrap());
    }
    assert!(waiting.is_empty(), "still waiting: {waiting:?}");
}

#[test]
fn asking_again_keeps_the_place_and_counts_once() {
    let mut turns = asked(&[
        ("a", 1, Lane::Slow),
        ("a", 2, Lane::Slow),
        ("a", 1, Lane::Slow),
    ]);
    assert_eq!(turns.len(), 2);
    assert_eq!(rest(&mut turns, at(0)), [1, 2]);
    let mut turns = asked(&[
        ("a", 1, Lane::Fresh),
        ("a", 2, Lane::Fresh),
        ("a", 1, Lane::Slow),
    ]);
    assert_eq!(rest(&mut turns, at(0)), [1, 2]);
    assert_at_rest(&turns);
}

#[test]
fn asking_again_does_not_make_an_ask_younger() {
    let mut turns = asked(&[("a", 1, Lane::Slow)]);
    turns.ask(&tenant("a"), 1, Lane::Slow, at(20));
    turns.ask(&tenant("b"), 2, Lane::Fresh, at(20));
    turns.ask(&tenant("b"), 3, Lane::Fresh, at(20));
    assert_eq!(rest(&mut turns, at(30)), [2, 1, 3]);
}

#[test]
fn a_fresh_ask_lifts_what_waits_in_the_slow_lane_or_has_risen() {
    for now in [0, 60] {
        let mut turns = asked(&[
            ("a", 1, Lane::Slow),
            ("a", 2, Lane::Slow),
            ("a", 3, Lane::Slow),
        ]);
        if now == 60 {
            assert_eq!(turns.next(at(60)), Some(1));
        }
        turns.ask(&tenant("a"), 3, Lane::Fresh, at(now));
        assert_eq!(turns.next(at(now)), Some(3));
        let left = rest(&mut turns, at(now));
        assert_eq!(left, if now == 60 { vec![2] } else { vec![1, 2] });
        assert_at_rest(&turns);
    }
}

#[test]
fn what_is_forgotten_gets_no_turn_and_leaves_nothing_behind() {
    let mut turns = asked(&[
        ("a", 1, Lane::Fresh),
        ("a", 2, Lane::Slow),
        ("b", 3, Lane::Slow),
    ]);
    assert_eq!((turns.len(), turns.fresh()), (3, 1));
    turns.forget(&1);
    turns.forget(&3);
    turns.forget(&77);
    assert_eq!((turns.len(), turns.fresh()), (1, 0));
    assert!(!turns.contains(&1) && turns.contains(&2));
    assert_eq!(rest(&mut turns, at(100)), [2]);
    assert_at_rest(&turns);
}

#[test]
fn a_tenant_that_comes_back_stands_behind_those_that_wait() {
    let mut turns = asked(&[("a", 1, Lane::Fresh), ("b", 2, Lane::Fresh)]);
    assert_eq!(turns.next(at(0)), Some(1));
    turns.ask(&tenant("a"), 3, Lane::Fresh, at(0));
    assert_eq!(rest(&mut turns, at(0)), [2, 3]);
}

/// A generator of its own, so that a failing run is told by its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        u32::try_from(self.0 >> 33).unwrap_or(0) % sides
    }
}

#[test]
fn in_any_run_each_ask_gets_one_turn_and_no_fresh_ask_is_passed_over_by_a_slow_one() {
    for seed in 0..50 {
        let mut dice = Dice(seed);
        let mut turns = Turns::default();
        let mut waiting: BTreeMap<u32, (u32, Lane, Duration)> = BTreeMap::new();
        for step in 0..2000 {
            let now = Duration::from_millis(step * 100);
            let (key, of) = (dice.roll(300), dice.roll(4));
            let of = waiting.get(&key).map_or(of, |(of, ..)| *of);
            match dice.roll(5) {
                0 | 1 => {
                    let lane = [Lane::Fresh, Lane::Slow][dice.roll(2) as usize];
                    turns.ask(&tenant(&of.to_string()), key, lane, now);
                    let stands = waiting.entry(key).or_insert((of, lane, now));
                    stands.1 = stands.1.min(lane);
                }
                2 => {
                    turns.forget(&key);
                    waiting.remove(&key);
                }
                _ => {
                    let got = turns.next(now);
                    let gone = got.map(|got| waiting.remove(&got).expect("it was asked for"));
                    assert!(got.is_some() || waiting.is_empty());
                    if let Some((_, lane, asked)) = gone {
                        let urgent = lane == Lane::Fresh || asked + RISES_AFTER <= now;
                        let passed = waiting.values().any(|(_, lane, _)| *lane == Lane::Fresh);
                        assert!(
                            urgent || !passed,
                            "seed {seed}: a fresh ask was passed over"
                        );
                    }
                }
            }
            assert_eq!(turns.len(), waiting.len(), "seed {seed}, step {step}");
        }
        while let Some(key) = turns.next(at(1000)) {
            assert!(waiting.remove(&key).is_some());
        }
        assert!(waiting.is_empty());
        assert_at_rest(&turns);
    }
}
