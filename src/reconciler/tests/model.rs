//! The shipped brain, explored exhaustively in small worlds: every order of what is on its way, and everything that may go
//! wrong, up to a number of faults along a path.
//!
//! It is the shipped `Reconciler` that is cloned and searched, not a copy of it. The ghost judges every call and every
//! status by the world alone; `settle` judges where it all ends. `MODEL_STATES` says how many situations are searched,
//! `MODEL_ONLY` in which worlds (with `MODEL_EXACT` the one of that name, with all the faults that its plan has, also without an optimised
//! build); `MODEL_REPLAY='name: 0 3 1'` replays a line that a failure printed. What is broken is printed as a scenario.
//!
//! It is exhaustive within clamps: time moves in seconds, nothing is late by more than 65 s, what is away comes back within
//! 25 s or after more than five minutes, and ages are told apart as far as `digest` says. Each world tells how many faults
//! along a path it exhausted.

mod befall;
mod digest;
mod explore;
mod faults;
mod perform;
mod plans;
mod reached;
pub(super) mod scene;
mod settle;
mod steps;
mod words;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use self::digest::Digester;
use self::explore::{Broken, Search};
use self::plans::{PLANS, Plan, named};
use self::reached::Reached;
use self::scene::Scene;
use super::agreement::disagreement;
use super::scenarios::{script, story};

/// What was found out about one world.
struct Told {
    plan: &'static Plan,
    /// The greatest number of faults for which nothing was left out.
    exhausted: Option<u8>,
    most: u8,
    states: usize,
    steps: u64,
    circles: usize,
    took: f64,
    reached: Reached,
}

impl Told {
    /// Something was left out.
    fn is_cut(&self) -> bool {
        self.exhausted != Some(self.most)
    }
}

/// One fault more each time, until so many situations are known that it would be too many.
fn explore(plan: &'static Plan, states: usize, faults: Option<u8>) -> Result<Told, Broken> {
    let began = Instant::now();
    let (mut exhausted, mut most) = (None, 0);
    let mut search = Search::new(plan);
    loop {
        search.begin(most);
        search.run(states)?;
        let all = search.is_exhausted();
        search.follow()?;
        let circles = search.settles()?;
        if all {
            exhausted = Some(most);
        }
        if !all || most == faults.unwrap_or(plan.faults) {
            return Ok(Told {
                plan,
                exhausted,
                most,
                states: search.nodes.len(),
                steps: search.made,
                circles,
                took: began.elapsed().as_secs_f64(),
                reached: search.reached,
            });
        }
        most += 1;
    }
}

fn tell(told: &Told) {
    let all = match told.exhausted {
        Some(faults) if !told.is_cut() => format!("all with {faults} faults"),
        Some(faults) => format!("all with {faults} faults, cut with {}", told.most),
        None => format!("cut with {} faults", told.most),
    };
    println!(
        "model {:22} {:9} states {:10} steps {:6} ends {:6.1} s  {all}",
        told.plan.name, told.states, told.steps, told.circles, told.took
    );
}

fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok()?.parse().ok()
}

/// Explores these worlds on two threads. What one leaves over is for those after it.
fn explore_all(
    plans: &[&'static Plan],
    states: usize,
    faults: Option<u8>,
) -> (Vec<Told>, Vec<Broken>) {
    let (told, broken) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let next = AtomicUsize::new(0);
    let left = Mutex::new(states);
    let take = |number: usize| {
        let mut left = left.lock().unwrap();
        let share = *left / (plans.len() - number);
        *left -= share;
        share
    };
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(plan) = plans.get(number) else {
                return;
            };
            let share = take(number);
            match explore(plan, share, faults) {
                Ok(found) => {
                    tell(&found);
                    *left.lock().unwrap() += share.saturating_sub(found.states);
                    told.lock().unwrap().push(found);
                }
                Err(found) => {
                    explain(&found);
                    broken.lock().unwrap().push(found);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    (told.into_inner().unwrap(), broken.into_inner().unwrap())
}

/// As a scenario that can be kept: it holds when what is broken is mended.
fn explain(broken: &Broken) {
    let line: Vec<String> = broken.line.iter().map(ToString::to_string).collect();
    let why = broken.why.lines().next().unwrap_or_default();
    println!("model {} is broken: {why}", broken.plan);
    println!(
        "replay with MODEL_REPLAY='{}: {}'",
        broken.plan,
        line.join(" ")
    );
    println!(
        "--- or keep it in tests/scenarios:\n{}---",
        as_scenario(broken)
    );
}

fn as_scenario(broken: &Broken) -> String {
    let why = broken.why.lines().next().unwrap_or_default();
    let mut scene = Scene::new(named(broken.plan).unwrap());
    let mut lines = vec![
        format!("# The model found: {why}"),
        "# covers: B13".to_owned(),
    ];
    lines.extend(scene.beginning());
    for number in &broken.line {
        let step = scene.steps(u8::MAX)[usize::from(*number)].clone();
        lines.push(scene.line(&step));
        let made = std::panic::AssertUnwindSafe(|| scene.make(&step));
        if std::panic::catch_unwind(made).is_err() {
            break;
        }
    }
    lines.push("settles\n".to_owned());
    lines.join("\n")
}

/// The situation at the end of a line of numbers.
fn replay(plan: &'static Plan, line: &[u16], loud: bool) -> Scene {
    let mut scene = Scene::new(plan);
    scene.loud = loud;
    for number in line {
        let step = scene.steps(u8::MAX)[usize::from(*number)].clone();
        scene.make(&step);
    }
    scene
}

#[test]
fn no_order_and_no_few_faults_break_a_rule_and_everything_settles() {
    let only = std::env::var("MODEL_ONLY").unwrap_or_default();
    let exact = std::env::var("MODEL_EXACT").is_ok();
    let plans: Vec<&Plan> = PLANS
        .iter()
        .filter(|plan| {
            if exact {
                plan.name == only
            } else {
                plan.name.contains(&only)
            }
        })
        .collect();
    let states = number("MODEL_STATES").unwrap_or(14_000);
    // Without an optimised build it is searched without faults: a glance.
    let glance = (cfg!(debug_assertions) && !exact).then_some(0);
    let faults = number("MODEL_FAULTS").or(glance);
    let faults = faults.map(|faults| u8::try_from(faults).unwrap());
    let began = Instant::now();
    let (told, broken) = explore_all(&plans, states, faults);
    let sum: usize = told.iter().map(|told| told.states).sum();
    println!(
        "model: {sum} distinct states of {} worlds in {:.0} s",
        told.len(),
        began.elapsed().as_secs_f64()
    );
    assert!(broken.is_empty(), "{} worlds are broken", broken.len());
    let reached = told.iter().map(|told| told.reached);
    let reached = reached.reduce(Reached::or).unwrap();
    println!("model: {reached:?}");
    if only.is_empty() && states >= 14_000 {
        assert!(reached.is_everything(faults.is_none()), "{reached:?}");
    }
    if only.is_empty() && faults.is_none() {
        let short = |told: &&Told| told.exhausted.is_none() || told.is_cut() && sum < states;
        let short: Vec<&str> = told
            .iter()
            .filter(short)
            .map(|told| told.plan.name)
            .collect();
        assert!(
            short.is_empty(),
            "searched less far than the budget goes: {short:?}"
        );
    }
}

#[test]
fn a_line_of_numbers_is_replayed_exactly() {
    let given = std::env::var("MODEL_REPLAY").ok();
    let text = given.as_deref().unwrap_or("closes: 0 0 0 0 0 0 0 0");
    let (name, line) = text.split_once(':').unwrap();
    let line: Vec<u16> = line
        .split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect();
    let plan = named(name).unwrap();
    let (one, other) = (
        replay(plan, &line, given.is_some()),
        replay(plan, &line, false),
    );
    let mut digester = Digester::default();
    assert_eq!(digester.key(&one), digester.key(&other));
    if given.is_some() {
        let why = disagreement(&one.world).map_or("it agrees".to_owned(), |of| format!("{of:?}"));
        let plan = plan.name;
        println!("{}", as_scenario(&Broken { plan, why, line }));
    }
}

#[test]
fn a_way_that_is_printed_as_a_scenario_leads_to_the_same_situation() {
    let mut digester = Digester::default();
    let mut told = std::collections::BTreeSet::new();
    for (number, plan) in PLANS.iter().enumerate() {
        for walk in 0..10_usize {
            let mut scene = Scene::new(plan);
            let mut lines = vec!["# A way".to_owned(), "# covers: B13".to_owned()];
            lines.extend(scene.beginning());
            let mut dice = number * 31 + walk * 7 + 1;
            for _ in 0..60 {
                // Of all that may go wrong something does, each third time or so.
                dice = dice
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_041);
                let steps = scene.steps(if (dice >> 60) < 5 { u8::MAX } else { 0 });
                let Some(step) = steps.get((dice >> 33) % steps.len().max(1)).cloned() else {
                    break;
                };
                lines.push(scene.line(&step));
                scene.make(&step);
            }
            told.extend(
                lines
                    .iter()
                    .filter_map(|line| line.split(':').next())
                    .map(str::to_owned),
            );
            lines.push("settles".to_owned());
            let script = script::read("way.txt", &lines.join("\n"))
                .unwrap()
                .but_the_end();
            let other = story::play(&script).unwrap_or_else(|why| panic!("{why}"));
            let texts = (digester.shown(&scene), digester.shown(&other));
            assert_eq!(texts.0, texts.1, "{}", lines.join("\n"));
        }
    }
    for kind in [
        "arrives",
        "late",
        "answered late",
        "answer lost",
        "lost",
        "refused",
        "twice",
    ] {
        assert!(told.contains(kind), "{kind} was never printed");
    }
}
