//! A hundred thousand random expressions over random clusters, against the simulator's own resolver, which shares no code
//! with this one. A seed replays a case exactly.

use std::iter;

use elasticsearch_simulator::cluster::Expression;
use elasticsearch_simulator::cluster::expression::plain;

use super::*;

const CASES: u64 = 100_000;

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let end = u64::try_from(end).unwrap();
        usize::try_from((mixed ^ (mixed >> 31)) % end).unwrap()
    }

    fn chance(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    /// A few signs of a small alphabet, so that names meet.
    fn text(&mut self, alphabet: &str, most: usize) -> String {
        let signs: Vec<char> = alphabet.chars().collect();
        let length = 1 + self.below(most);
        (0..length)
            .map(|_| signs[self.below(signs.len())])
            .collect()
    }

    fn name(&mut self) -> String {
        if self.chance(8) {
            return format!("{}-{}", self.text("ab", 2), self.text("ab", 2));
        }
        self.text("ab", 4)
    }

    fn token(&mut self) -> String {
        match self.below(16) {
            0..5 => self.name(),
            5..11 => self.text("aabb**-", 5),
            11..13 => self.text("ab*?", 4),
            13 => self.text("ab*\\?", 4),
            14 => ["_all", "*", "**", "?", "A", "ö*", "x*", "..", "a/b", ""][self.below(10)].into(),
            _ => format!(" {} ", self.name()),
        }
    }

    fn pattern(&mut self) -> JobPattern {
        let text = self.text("aabb**", 4);
        JobPattern::parse(&text).unwrap()
    }
}

type Jobs = BTreeMap<String, Vec<String>>;

fn cluster(dice: &mut Dice) -> (Jobs, Names) {
    let mut jobs = Jobs::new();
    for _ in 0..dice.below(9) {
        let groups = (0..dice.below(4)).map(|_| dice.name()).collect();
        jobs.insert(dice.name(), groups);
    }
    let mut names = Names::default();
    for (id, groups) in &jobs {
        let groups: Vec<Arc<str>> = groups.iter().map(|group| Arc::from(&**group)).collect();
        names.insert(&JobId::parse(id).unwrap(), &groups, false);
    }
    (jobs, names)
}

/// Whether the case had a match, a 404 and something left out, to know that the dice fall on all sides.
fn case(seed: u64) -> [bool; 3] {
    let mut dice = Dice(seed);
    let (jobs, mut names) = cluster(&mut dice);
    let tokens: Vec<String> = (0..=dice.below(5)).map(|_| dice.token()).collect();
    let text = tokens.join(",");
    let exclude: Vec<_> = (0..dice.below(3)).map(|_| dice.pattern()).collect();
    let allow_no_match = dice.chance(2);
    let Ok(expression) = JobExpression::parse(&text) else {
        assert!(text.chars().all(|sign| " ,".contains(sign)), "{text:?}");
        return [false; 3];
    };
    let found = resolve(&expression, &exclude, allow_no_match, &names);

    let other = Expression::parse(&text);
    let entries = || {
        jobs.iter()
            .map(|(id, groups)| (id.as_str(), groups.as_slice()))
    };
    let unmatched = match other.resolve(entries(), iter::empty(), allow_no_match) {
        Ok(ids) => {
            let left_out = |id: &String| exclude.iter().any(|p| plain(p.as_str(), id));
            let (out, kept): (Vec<_>, Vec<_>) = ids.into_iter().partition(left_out);
            let got: Vec<_> = found.jobs.iter().map(JobId::to_string).collect();
            assert_eq!(
                (got, found.excluded),
                (kept, out.len()),
                "seed {seed}: {text:?} {jobs:?}"
            );
            String::new()
        }
        Err(missing) => missing,
    };
    assert_eq!(
        found.unmatched.join(","),
        unmatched,
        "seed {seed}: {text:?} {jobs:?}"
    );
    assert_eq!(expression.is_all(), other.is_all(), "seed {seed}: {text:?}");

    // A job that is being deleted, with every group there is, changes nothing unless it is named.
    let groups: Vec<Arc<str>> = names.groups.keys().cloned().collect();
    names.insert(&JobId::parse("ab.deleted").unwrap(), &groups, true);
    let again = resolve(&expression, &exclude, allow_no_match, &names);
    assert_eq!(
        again, found,
        "seed {seed}: {text:?} with a job that is being deleted"
    );
    [
        !found.jobs.is_empty(),
        !unmatched.is_empty(),
        found.excluded > 0,
    ]
}

#[test]
fn a_hundred_thousand_expressions_mean_what_the_simulator_takes_them_for() {
    let mut seen = [0; 3];
    for seed in 0..CASES {
        for (count, saw) in seen.iter_mut().zip(case(seed)) {
            *count += u64::from(saw);
        }
    }
    assert!(
        seen.iter().all(|count| *count > CASES / 20),
        "the dice are loaded: {seen:?}"
    );
}
