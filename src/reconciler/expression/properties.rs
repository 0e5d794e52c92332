//! What any expression means in any cluster, against the simulator's own resolver, which shares no code with this one.

use elasticsearch_simulator::cluster::Expression;
use elasticsearch_simulator::cluster::expression::plain;

use super::*;
use crate::api::InvalidExpression;
use crate::properties::{Choices, Met, holds};

/// The groups of each job, and whether it is being deleted.
type Cluster = BTreeMap<String, (Vec<String>, bool)>;

/// Of few signs, so that names meet.
fn name(choices: &mut Choices) -> String {
    let begins = choices.text("ab", 4);
    if choices.chance(15) {
        let between = choices.of(&["-", ".", "_", ".."]);
        return format!("{begins}{between}{}", choices.text("ab", 2));
    }
    begins
}

fn cluster(choices: &mut Choices) -> Cluster {
    let job = |choices: &mut Choices| {
        let groups = choices.many(3, name);
        (name(choices), (groups, choices.chance(15)))
    };
    choices.many(8, job).into_iter().collect()
}

fn token(choices: &mut Choices) -> String {
    let odd = [
        "_all", "*", "**", "?", "A", "ö*", "jöb", "x*", "..", "a/b", "", "a\u{a0}", "\u{a0}",
    ];
    match choices.below(16) {
        0..5 => name(choices),
        5..11 => choices.text("aabb**-.", 5),
        11..13 => choices.text("ab*?", 4),
        13 => choices.text("ab*\\?", 4),
        14 => choices.of(&odd).to_owned(),
        _ => format!(" {} ", name(choices)),
    }
}

fn expression(choices: &mut Choices) -> String {
    match choices.below(400) {
        398 => choices
            .of(&["a\n", "\tb,a", "a\u{85}", "\u{7f}", " ", ",, ,", ""])
            .to_owned(),
        399 if choices.chance(50) => "ö".repeat(4090 + choices.below(10)),
        399 => vec!["a*"; 508 + choices.below(8)].join(","),
        _ => {
            let first = token(choices);
            let others = choices.many(4, token);
            others
                .into_iter()
                .fold(first, |text, token| text + "," + &token)
        }
    }
}

fn pattern(choices: &mut Choices) -> JobPattern {
    JobPattern::parse(&choices.text("aabb**", 4)).unwrap()
}

fn names(cluster: &Cluster) -> Names {
    let config = |(id, (groups, deleting)): (&String, &(Vec<String>, bool))| {
        let groups: Vec<&str> = groups.iter().map(|group| &**group).collect();
        let config = SeenConfig::of(&groups, None, *deleting);
        (JobId::parse(id).unwrap(), config)
    };
    Names::of(cluster.iter().map(config).collect())
}

/// Whether it is refused for what a user may write, whatever Elasticsearch would make of it.
fn refused(text: &str) -> Option<InvalidExpression> {
    let length = text.chars().count();
    let control = text.chars().find(|sign| sign.is_control());
    let none = text.chars().all(|sign| " ,".contains(sign));
    (length > 4096)
        .then_some(InvalidExpression::TooLong(length))
        .or(control.map(InvalidExpression::Control))
        .or(none.then_some(InvalidExpression::NoToken))
}

/// What the simulator takes it for: ids, or else what its 404 names.
fn simulated(text: &str, cluster: &Cluster, allow: bool) -> Result<BTreeSet<String>, String> {
    let live = cluster.iter().filter(|(_, (_, deleting))| !deleting);
    let entries = live.map(|(id, (groups, _))| (id.as_str(), groups.as_slice()));
    let found = Expression::parse(text).resolve(entries, std::iter::empty(), allow);
    found.map(|ids| ids.into_iter().collect())
}

/// The same with the jobs that are being deleted: each is found by its own id, and by nothing else.
fn expected(text: &str, cluster: &Cluster, allow: bool) -> (BTreeSet<String>, String) {
    let tokens: Vec<&str> = text
        .split(',')
        .map(str::trim_ascii)
        .filter(|token| !token.is_empty())
        .collect();
    let leaves = |token: &&str| cluster.get(*token).is_some_and(|(_, deleting)| *deleting);
    let is_group = |token: &str| {
        let mut live = cluster.values().filter(|(_, deleting)| !deleting);
        live.any(|(groups, _)| groups.iter().any(|group| group == token))
    };
    let leaving = tokens.iter().copied().filter(leaves).map(str::to_owned);
    let mut ids: BTreeSet<String> = leaving.collect();
    let others: Vec<&str> = tokens
        .iter()
        .copied()
        .filter(|token| !leaves(token) || is_group(token))
        .collect();
    if others.is_empty() {
        return (ids, String::new());
    }
    // Alone, `_all` would not be the name that it is beside others.
    let alone = others.len() == 1 && tokens.len() > 1;
    let asked = others.repeat(if alone { 2 } else { 1 }).join(",");
    match simulated(&asked, cluster, allow) {
        Ok(found) => {
            ids.extend(found);
            (ids, String::new())
        }
        Err(missing) => {
            // Those that do exist are told all the same. Beside others, `_all` is a name like any other.
            for token in others.iter().filter(|token| **token != "_all") {
                ids.extend(simulated(token, cluster, true).unwrap_or_default());
            }
            let missing = if alone { others.concat() } else { missing };
            (ids, missing)
        }
    }
}

#[test]
fn any_expression_means_what_the_simulator_takes_it_for() {
    let met = Met::new(["found", "404", "left out", "deleting", "namesake"]);
    holds(file!(), 96, |choices| {
        let (text, cluster) = (expression(choices), cluster(choices));
        let (exclude, allow) = (choices.many(2, pattern), choices.chance(50));
        let parsed = JobExpression::parse(&text);
        let Ok(expression) = parsed else {
            return assert_eq!(parsed.err(), refused(&text));
        };
        assert_eq!(refused(&text), None);
        let other = Expression::parse(&text);
        assert_eq!(expression.is_all(), other.is_all());
        let literal = other.single_literal().map(JobId::parse);
        assert_eq!(expression.literal(), literal.and_then(Result::ok));

        let found = resolve(&expression, &exclude, allow, &names(&cluster));
        if other.check().is_err() {
            assert!(found.refused && found.jobs.is_empty() && found.unmatched.is_empty());
            return;
        }
        let (ids, missing) = expected(&text, &cluster, allow);
        let left_out = |id: &String| exclude.iter().any(|one| plain(one.as_str(), id));
        let (out, kept): (BTreeSet<_>, BTreeSet<_>) = ids.into_iter().partition(left_out);
        let got: BTreeSet<_> = found.jobs.iter().map(JobId::to_string).collect();
        assert_eq!((got, found.excluded), (kept, out.len()));
        assert_eq!(found.unmatched.join(","), missing);
        assert!(!found.refused);
        met.note([
            !found.jobs.is_empty(),
            !missing.is_empty(),
            !out.is_empty(),
            found.jobs.iter().any(|id| cluster[id.as_str()].1),
            found.jobs.iter().any(|id| {
                let mut groups = cluster.values().flat_map(|(groups, _)| groups);
                groups.any(|group| group == id.as_str())
            }),
        ]);
    });
    met.is_often();
}
