//! When two situations are one state: the same text of everything that matters, with times told from now and numbers by rank.
//!
//! The brain is opaque, so its `Debug` text is taken. Merging may only leave something out, it never makes a situation up:
//! what is explored was reached. Ages and counts beyond all that the brain compares them with are taken for equal.

use std::fmt::Write;
use std::time::Duration;

use super::scene::Scene;

/// The clock of a model begins here: a duration from here on is a moment, a smaller one is a span.
pub(super) const BEGIN: u64 = 100_000;
/// Versions of objects begin here, so that they are told from other numbers.
pub(super) const FIRST_VERSION: u64 = 9_000_000_000;
/// The same for the order of the ghost's reads.
pub(super) const FIRST_ORDER: u64 = 8_000_000_000;

/// Counts beyond this are equal.
const MANY: u64 = 8;
/// Ages and spans beyond this are equal, in thousandths of a second: longer than all that the brain compares one with, but for
/// what [`longest`] names.
const LONG: i64 = 130_000;
/// The same while something is away, where five minutes are a threshold.
const LONG_SILENCE: i64 = 310_000;

/// How long the time in a field is told apart: a little longer than all that it is compared with, where every timeout of a
/// model is 20 s. What is only told to people is not told apart at all.
fn longest(field: &[u8], silent: bool) -> i64 {
    match field {
        b"last_transition_time" | b"started_at" | b"snapshot_at" | b"duration" | b"deadline" => 0,
        b"last_answer" | b"since" if !silent => 0,
        b"away" if !silent => LONG,
        b"last_answer" | b"since" | b"away" => LONG_SILENCE,
        b"freed_at" => 2_000,
        b"started" | b"verified_at" | b"progress_at" | b"answered_at" => 12_000,
        b"evidence" | b"checkpoint" | b"opening_for" | b"lit" | b"dark" | b"slack" => 27_000,
        b"unproven" => 32_000,
        b"requested_at" | b"accepted_at" | b"opened_at" | b"open_for" => 45_000,
        b"at" | b"forced" | b"forced_at" | b"durable_forced_at" | b"force_sent"
        | b"finished_at" | b"counted" | b"feed_ran" | b"unwritten_since" | b"created_at"
        | b"call_ended" => 75_000,
        _ => LONG,
    }
}

/// What is renumbered by rank.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Ticket,
    Version,
    Order,
    Digest,
}

/// Makes keys; keeps its room.
#[derive(Default)]
pub(super) struct Digester {
    text: String,
    out: Vec<u8>,
    ranked: Vec<(Kind, u64, usize)>,
    /// Ages are written in letters.
    readable: bool,
}

impl Digester {
    /// The key of a situation.
    pub(super) fn key(&mut self, scene: &Scene) -> u128 {
        self.text.clear();
        scene.describe(&mut self.text).unwrap();
        self.canonical(scene.world.clock, scene.away().is_some());
        hash(&self.out)
    }

    /// The same as text, for people.
    pub(super) fn shown(&mut self, scene: &Scene) -> String {
        self.readable = true;
        self.key(scene);
        self.readable = false;
        String::from_utf8_lossy(&self.out).into_owned()
    }

    fn canonical(&mut self, clock: Duration, silent: bool) {
        self.out.clear();
        self.ranked.clear();
        let now = i64::try_from(clock.as_millis()).unwrap();
        let text = std::mem::take(&mut self.text);
        let bytes = text.as_bytes();
        let (mut at, mut field): (usize, &[u8]) = (0, b"");
        while at < bytes.len() {
            let byte = bytes[at];
            if byte.is_ascii_digit() {
                at = self.number(bytes, at, now, longest(field, silent));
            } else if byte.is_ascii_alphabetic() || byte == b'_' {
                let end = run(bytes, at, |b| b.is_ascii_alphanumeric() || b == b'_');
                self.out.extend_from_slice(&bytes[at..end]);
                if bytes.get(end) == Some(&b':') {
                    field = &bytes[at..end];
                }
                at = end;
            } else {
                self.out.push(byte);
                at += 1;
            }
        }
        self.text = text;
        self.rank();
    }

    /// Takes a number with what belongs to it; returns where it ends.
    fn number(&mut self, bytes: &[u8], at: usize, now: i64, long: i64) -> usize {
        let end = run(bytes, at, |b| b.is_ascii_digit());
        if end - at == 4 && bytes.get(end) == Some(&b'-') && bytes.get(at + 10) == Some(&b'T') {
            let (wall, end) = timestamp(bytes, at);
            self.age(now - wall, long);
            return end;
        }
        let whole = parse(&bytes[at..end]);
        let (mut fraction, mut stop) = (0, end);
        if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
            stop = run(bytes, end + 1, |b| b.is_ascii_digit());
            fraction = thousandths(&bytes[end + 1..stop]);
        }
        let unit = run(bytes, stop, |b| b.is_ascii_alphabetic() || b >= 0x80);
        let whole_ms = i64::try_from(whole.min(1 << 40)).unwrap() * 1000 + fraction;
        match &bytes[stop..unit] {
            b"s" if whole >= BEGIN => self.age(now - whole_ms, long),
            b"s" => self.age(whole_ms, long),
            b"ms" => self.age(whole_ms / 1000, long),
            b"ns" => self.age(0, long),
            _ => {
                self.plain(bytes, at, whole);
                return stop.max(end);
            }
        }
        unit
    }

    fn plain(&mut self, bytes: &[u8], at: usize, number: u64) {
        let before = &bytes[..at];
        let kind = if before.ends_with(b"Ticket(") || before.ends_with(b"last_ticket: ") {
            Kind::Ticket
        } else if before.ends_with(b"digest: ") {
            Kind::Digest
        } else if number >= FIRST_VERSION {
            Kind::Version
        } else if number >= FIRST_ORDER {
            Kind::Order
        } else {
            let number = number.min(MANY);
            self.out.push(b'0' + u8::try_from(number).unwrap());
            return;
        };
        self.ranked.push((kind, number, self.out.len()));
        self.out.extend_from_slice(&[0; 2]);
    }

    /// An age in thousandths of a second, told in tenths; what is due is told from what is to come, however soon.
    fn age(&mut self, age: i64, long: i64) {
        let age = i32::try_from(age.min(long).max(-400_000).div_euclid(100)).unwrap();
        if self.readable {
            self.out.extend_from_slice(format!("<{age}>").as_bytes());
            return;
        }
        self.out.extend_from_slice(&age.to_le_bytes());
    }

    /// Only the order of these numbers means something; of digests only which are equal.
    fn rank(&mut self) {
        let mut digests: Vec<u64> = Vec::new();
        for (kind, number, _) in &mut self.ranked {
            if *kind == Kind::Digest {
                let known = digests.iter().position(|known| known == number);
                *number = known.unwrap_or(digests.len()) as u64;
                if known.is_none() {
                    digests.push(0);
                }
            }
        }
        self.ranked.sort_unstable();
        let (mut rank, mut last) = (0_u16, None);
        for (kind, number, at) in &self.ranked {
            match last {
                Some(before) if before == (*kind, *number) => {}
                Some((before, _)) if before == *kind => rank += 1,
                _ => rank = 0,
            }
            last = Some((*kind, *number));
            self.out[*at..at + 2].copy_from_slice(&rank.to_le_bytes());
        }
    }
}

fn run(bytes: &[u8], from: usize, belongs: impl Fn(u8) -> bool) -> usize {
    let rest = &bytes[from..];
    from + rest.iter().position(|b| !belongs(*b)).unwrap_or(rest.len())
}

fn parse(digits: &[u8]) -> u64 {
    let digit = |sum: u64, b: &u8| sum.wrapping_mul(10).wrapping_add(u64::from(b - b'0'));
    digits.iter().fold(0, digit)
}

fn thousandths(digits: &[u8]) -> i64 {
    let padded = digits.iter().chain(b"000").take(3);
    padded.fold(0, |sum, b| sum * 10 + i64::from(b - b'0'))
}

/// A moment of the wall clock as a moment of the model's, in thousandths, and where it ends. All are of one year.
fn timestamp(bytes: &[u8], at: usize) -> (i64, usize) {
    const START: i64 = ((322 * 24 + 10) * 60 + 26) * 60 + 40;
    const DAYS: [i64; 13] = [0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let two = |from: usize| i64::try_from(parse(&bytes[at + from..at + from + 2])).unwrap();
    let month = usize::try_from(two(5)).unwrap();
    let day = DAYS.get(month).copied().unwrap_or(0) + two(8);
    let seconds = ((day * 24 + two(11)) * 60 + two(14)) * 60 + two(17);
    let mut end = at + 19;
    let mut fraction = 0;
    if bytes.get(end) == Some(&b'.') {
        let stop = run(bytes, end + 1, |b| b.is_ascii_digit());
        fraction = thousandths(&bytes[end + 1..stop]);
        end = stop;
    }
    ((seconds - START) * 1000 + fraction, end + 1)
}

/// Two lanes of a multiplicative hash: collisions among some ten million states are out of the question.
fn hash(bytes: &[u8]) -> u128 {
    let mix = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        u64::try_from(product >> 64).unwrap()
            ^ u64::try_from(product & u128::from(u64::MAX)).unwrap()
    };
    let (mut left, mut right) = (0x9E37_79B9_7F4A_7C15_u64, 0xD134_2543_DE82_EF95_u64);
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let word = u64::from_le_bytes(word);
        left = mix(left ^ word, 0xA076_1D64_78BD_642F);
        right = mix(right.rotate_left(23) ^ word, 0xE703_7ED1_A0B4_28DB).wrapping_add(word);
    }
    let length = bytes.len() as u64;
    u128::from(mix(left ^ length, 0x8EBC_6AF0_9C88_C6E3)) << 64
        | u128::from(mix(right ^ length, 0x5899_65CC_7537_4CC3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconciler::tests::world::{moment, secs};

    fn text(of: &str, clock: u64) -> Vec<u8> {
        let mut digester = Digester {
            text: of.to_owned(),
            ..Digester::default()
        };
        digester.canonical(secs(clock), false);
        digester.out
    }

    #[test]
    fn what_differs_only_in_when_it_is_and_how_it_is_numbered_is_one_state() {
        let mut texts = Vec::new();
        for (clock, ticket, version) in [
            (100_000, 3, 9_000_000_001_u64),
            (163_421, 70, 9_000_000_345),
        ] {
            let mut of = String::new();
            let (at, soon) = (moment(secs(clock)).wall, secs(clock + 5));
            write!(
                of,
                "{at:?} {soon:?} {:?} {version} Ticket({ticket}) Ticket({})",
                secs(5),
                ticket + 2
            )
            .unwrap();
            texts.push(text(&of, clock));
        }
        assert_eq!(texts[0], texts[1]);
        assert_ne!(text("100005s", 100_000), text("100005s", 100_001));
        assert_ne!(
            text("Ticket(1) Ticket(2)", 100_000),
            text("Ticket(2) Ticket(1)", 100_000)
        );
    }
}
