//! The shipped brain, explored exhaustively in small worlds: every order of what is on its way, and everything that may go
//! wrong, up to a number of faults along a path.
//!
//! It is the shipped `Reconciler` that is cloned and searched, not a copy of it. The ghost judges every call and every
//! status by the world alone; `settle` judges where it all ends. `MODEL_STATES` says how many situations are searched,
//! `MODEL_ONLY` in which worlds; `MODEL_REPLAY='name: 0 3 1'` replays a line that a failure printed.

mod digest;
mod explore;
mod faults;
mod perform;
mod plans;
mod reached;
mod scene;
mod settle;
mod steps;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use self::digest::Digester;
use self::explore::{Broken, Search};
use self::plans::{PLANS, Plan};
use self::reached::Reached;
use self::scene::Scene;
use super::agreement::disagreement;
use super::world::moment;

/// What was found out about one world.
struct Told {
    plan: &'static str,
    /// The greatest number of faults for which nothing was left out.
    exhausted: Option<u8>,
    most: u8,
    states: usize,
    steps: u64,
    circles: usize,
    took: f64,
    reached: Reached,
}

/// One fault more each time, until so many situations are known that it would be too many.
fn explore(plan: &'static Plan, states: usize, faults: u8) -> Result<Told, Broken> {
    let began = Instant::now();
    let (mut exhausted, mut most) = (None, 0);
    loop {
        let mut search = Search::new(plan, most);
        search.run(states)?;
        let all = search.is_exhausted();
        search.follow()?;
        let circles = search.settles()?;
        if all {
            exhausted = Some(most);
        }
        if !all || most == faults {
            return Ok(Told {
                plan: plan.name,
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
        Some(faults) if faults == told.most => format!("all with {faults} faults"),
        Some(faults) => format!("all with {faults} faults, cut with {}", told.most),
        None => format!("cut with {} faults", told.most),
    };
    println!(
        "model {:22} {:9} states {:10} steps {:6} ends {:6.1} s  {all}",
        told.plan, told.states, told.steps, told.circles, told.took
    );
}

fn number(name: &str, default: usize) -> usize {
    let given = std::env::var(name).ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Explores these worlds on two threads, each with the same number of states.
fn explore_all(plans: &[&'static Plan], states: usize, faults: u8) -> (Vec<Told>, Vec<Broken>) {
    let (told, broken) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(plan) = plans.get(next.fetch_add(1, Ordering::Relaxed)) {
            match explore(plan, states / plans.len(), faults) {
                Ok(found) => {
                    tell(&found);
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

fn explain(broken: &Broken) {
    let line: Vec<String> = broken.line.iter().map(ToString::to_string).collect();
    println!("model {} is broken: {}", broken.plan, broken.why);
    println!(
        "replay with MODEL_REPLAY='{}: {}'",
        broken.plan,
        line.join(" ")
    );
    let plan = PLANS.iter().find(|plan| plan.name == broken.plan).unwrap();
    let mut scene = Scene::new(plan);
    for number in &broken.line {
        let steps = scene.steps(u8::MAX);
        let step = &steps[usize::from(*number)];
        println!("  {:?} {step:?}", scene.world.clock);
        let step = step.clone();
        let made = std::panic::AssertUnwindSafe(|| scene.make(&step));
        if std::panic::catch_unwind(made).is_err() {
            return;
        }
    }
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
    let plans: Vec<&Plan> = PLANS
        .iter()
        .filter(|plan| plan.name.contains(&only))
        .collect();
    // Without an optimised build it is searched without faults: a glance.
    let states = number("MODEL_STATES", 14_000);
    let faults = u8::try_from(number(
        "MODEL_FAULTS",
        if cfg!(debug_assertions) { 0 } else { 3 },
    ))
    .unwrap();
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
    assert!(
        !only.is_empty() || states < 14_000 || reached.is_everything(),
        "{reached:?}"
    );
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
    let plan = PLANS.iter().find(|plan| plan.name == name).unwrap();
    let (one, other) = (
        replay(plan, &line, given.is_some()),
        replay(plan, &line, false),
    );
    let mut digester = Digester::default();
    assert_eq!(digester.key(&one), digester.key(&other));
    if given.is_some() {
        println!("{:#?} {:#?}", one.world.stored, disagreement(&one.world));
    }
}
