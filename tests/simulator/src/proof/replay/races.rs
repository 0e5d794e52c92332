//! Races: requests that were sent at once many times, and every outcome that was seen.
//!
//! A replay is right when each answer is one that the recording has for that request in the same race or its family; how
//! often each came is no matter. Which of two requests that were sent at once comes first is left to chance, here as there.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::{self, JoinHandle};

use serde_json::Value;

use super::text::text_normalised;
use crate::proof::rig::Rig;
use crate::proof::wire::{Answer, Connection, Request};

/// How often each race is run; the recording ran it 15 to 60 times.
const ROUNDS: usize = 5;

/// The answers recorded for one place in a race.
type Seen = BTreeMap<String, BTreeSet<String>>;

/// Runs all races of a conversation; gives how many there were.
pub(crate) fn run_all(races: &[Value], rig: &Rig) -> usize {
    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    for race in races {
        record(race, seen.entry(family(race)).or_default());
    }
    for race in races {
        for _ in 0..ROUNDS {
            run(race, &seen[&family(race)], rig);
        }
    }
    races.len()
}

fn family(race: &Value) -> String {
    race.get("family").unwrap_or(&race["name"]).to_string()
}

fn record(race: &Value, seen: &mut Seen) {
    for outcome in race["outcomes"].as_object().expect("outcomes").keys() {
        let outcome: Value = serde_json::from_str(outcome).expect("an outcome");
        for part in ["answers", "after"] {
            for (index, answer) in outcome[part].as_array().into_iter().flatten().enumerate() {
                let place = place(race, part, index);
                seen.entry(place)
                    .or_default()
                    .insert(answer.as_str().unwrap_or_default().to_owned());
            }
        }
    }
}

/// Where the requests of a race are alike, their answers are too, whichever came first.
fn place(race: &Value, part: &str, index: usize) -> String {
    if race["symmetric"] == true || alike(race) {
        part.to_owned()
    } else {
        format!("{part} {index}")
    }
}

fn alike(race: &Value) -> bool {
    let requests = race["parallel"].as_array().expect("requests");
    requests.iter().all(|one| *one == requests[0])
}

fn run(race: &Value, seen: &Seen, rig: &Rig) {
    let mut connection = Connection::new(rig.address());
    for step in race["setup"].as_array().into_iter().flatten() {
        let answer = connection.send(&request(step));
        assert_eq!(
            answer.status,
            200,
            "{}: setup: {}",
            race["name"],
            answer.text()
        );
    }
    let threads = fire(race, rig);
    for (index, one) in threads.into_iter().enumerate() {
        let answer = one.join().expect("an answer");
        expect(
            race,
            seen,
            &place(race, "answers", index),
            &in_short(&answer),
        );
    }
    for (index, step) in race["after"].as_array().into_iter().flatten().enumerate() {
        let answer = connection.send(&request(step));
        expect(
            race,
            seen,
            &place(race, "after", index),
            &answer.json().to_string(),
        );
    }
    for step in race["cleanup"].as_array().into_iter().flatten() {
        connection.send(&request(step));
    }
}

/// Sends the requests of a race, each after its delay on the simulator's clock: on a machine that is busy a real delay of
/// 15 ms may well be longer than the close that it should fall into.
fn fire(race: &Value, rig: &Rig) -> Vec<JoinHandle<Answer>> {
    let (mut clock, mut threads) = (0, Vec::new());
    rig.clear_log();
    rig.hold(true);
    for step in race["parallel"].as_array().into_iter().flatten() {
        let delay = step["delay_ms"].as_u64().unwrap_or(0);
        if delay > clock {
            rig.until_requests(threads.len());
            rig.advance_ms(delay - clock);
            clock = delay;
        }
        let (request, address) = (request(step), rig.address());
        threads.push(thread::spawn(move || {
            Connection::new(address).send(&request)
        }));
    }
    rig.until_requests(threads.len());
    rig.hold(false);
    threads
}

fn request(step: &Value) -> Request {
    Request::new(
        step["method"].as_str().unwrap_or_default(),
        step["path"].as_str().unwrap_or_default(),
    )
}

/// An answer as the recording writes it: the status, and for an error its type and reason.
fn in_short(answer: &Answer) -> String {
    let error = answer.at("/error");
    let (kind, reason) = (error["type"].as_str(), error["reason"].as_str());
    match (kind, reason) {
        (Some(kind), Some(reason)) => {
            format!("{} {kind}: {}", answer.status, text_normalised(reason))
        }
        _ => answer.status.to_string(),
    }
}

fn expect(race: &Value, seen: &Seen, place: &str, got: &str) {
    let known = &seen[place];
    assert!(
        known.contains(got),
        "race {}: {place} was never {got:?}, but one of {known:?}",
        race["name"]
    );
}
