//! Crash points: at every request of a scene, before the server acts and after, the process is killed, what it was doing is
//! dropped, the request fails, or it takes a minute; and between any two steps of the process it is killed or dropped. The
//! end must be that of the clean run, with no more force than there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::awaits;
use super::between::{Ask, Effect, Ending, When};
use super::digest::Digest;
use super::scenes::{SCENES, Scene};
use super::world::{World, run};

/// So many requests of a kind are points of their own in a scene; the rest repeat them.
const OF_A_KIND: usize = 2;
/// The length of a delay.
const DELAY: Duration = Duration::from_secs(60);
/// How long a scene goes on after its end, in seconds, and where something comes late.
const QUIET: u64 = 10;
const LATE: u64 = 90;
/// Between two steps of the process, up to this one.
const STEPS: u64 = 200;

/// What happens, and how long the scene goes on after its end.
type End = (&'static str, fn() -> Effect, u64);

const ENDS: [End; 4] = [
    ("killed", || Effect::Kill, QUIET),
    ("dropped", || Effect::Drop, QUIET),
    ("failed", || Effect::Reset, QUIET),
    ("delayed", || Effect::Delay(DELAY), LATE),
];

fn play(scene: &Scene, rest: u64, prepare: impl Fn(&World)) -> (Digest, Vec<Ask>, u64) {
    run(1, scene.profile, |world| async move {
        prepare(&world);
        (scene.play)(world.clone()).await;
        // Whatever comes late has come now.
        world.pass(rest).await;
        let digest = world.verdict().await;
        (digest, world.between.asks(), world.between.steps())
    })
}

/// The numbers of the requests that are points of their own.
fn points(asks: &[Ask]) -> Vec<usize> {
    let mut met: BTreeMap<&str, usize> = BTreeMap::new();
    let is_point = |ask: &&Ask| {
        let times = met.entry(ask.point()).or_default();
        *times += 1;
        *times <= OF_A_KIND
    };
    asks.iter().filter(is_point).map(|ask| ask.number).collect()
}

fn same_end(clean: &Digest, crashed: &Digest, what: &str) {
    assert!(crashed.forces <= clean.forces, "{what}: {crashed:#?}");
    assert_eq!(clean.states, crashed.states, "{what}");
    assert_eq!(clean.objects, crashed.objects, "{what}");
}

/// What happened at which kind of request.
type Met = BTreeSet<(&'static str, &'static str, When)>;

/// All ends at all points of a scene; how many they were.
fn at_requests(scene: &Scene, met: &Mutex<Met>) -> usize {
    let (clean, asks, _) = play(scene, QUIET, |_| ());
    let mut count = 0;
    for number in points(&asks) {
        let point = asks[number - 1].point();
        for (name, end, rest) in ENDS {
            for when in [When::Before, When::After] {
                let what = format!("{}: {name} {when:?} request {number}, {point}", scene.name);
                let (digest, crashed, _) = play(scene, rest, |world| {
                    let rule = move |ask: &Ask| (ask.number == number).then(|| (when, end()));
                    world.between.rule("crash", rule);
                });
                assert_eq!(crashed[number - 1].point(), point, "{what}: another run");
                same_end(&clean, &digest, &what);
                met.lock().unwrap().insert((point, name, when));
                count += 1;
            }
        }
    }
    count
}

/// Killed and dropped between any two of the first steps.
fn at_steps(scene: &Scene, _: &Mutex<Met>) -> usize {
    let (clean, _, steps) = play(scene, QUIET, |_| ());
    let last = steps.min(STEPS);
    for step in 1..=last {
        for ending in [Ending::Die, Ending::Drop(step)] {
            let end = |world: &World| world.between.end_at_step(step, ending);
            let (digest, ..) = play(scene, QUIET, end);
            let what = format!("{}: {ending:?} at step {step}", scene.name);
            same_end(&clean, &digest, &what);
        }
    }
    usize::try_from(last).expect("small") * 2
}

/// Does it with each of these scenes, in two threads.
fn with_all(scenes: &[&Scene], work: fn(&Scene, &Mutex<Met>) -> usize) -> (usize, Met) {
    let (met, next, runs) = (
        Mutex::new(Met::new()),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    let worker = || {
        while let Some(scene) = scenes.get(next.fetch_add(1, Ordering::Relaxed)) {
            runs.fetch_add(work(scene, &met), Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(worker);
        worker();
    });
    (runs.into_inner(), met.into_inner().unwrap())
}

#[test]
fn a_process_that_ends_at_any_request_comes_to_the_same_end_with_no_more_force() {
    let only = std::env::var("VIRTUAL_SCENE").ok();
    let mut scenes: Vec<&Scene> = SCENES.iter().collect();
    scenes.retain(|scene| only.as_ref().is_none_or(|only| scene.name == only));
    let (runs, met) = with_all(&scenes, at_requests);
    println!("crash runs: {runs} at requests of {} scenes", scenes.len());
    for point in awaits::points().into_iter().filter(|_| only.is_none()) {
        for (name, ..) in ENDS {
            for when in [When::Before, When::After] {
                let all = (point.as_str(), name, when);
                let was = met.iter().any(|met| *met == all);
                assert!(was, "{point} was never {name} {when:?}");
            }
        }
    }
}

#[test]
fn a_process_that_ends_between_any_two_steps_comes_to_the_same_end_with_no_more_force() {
    let named = |name: &str| SCENES.iter().find(|scene| scene.name == name).expect(name);
    let scenes = [
        named("a_close_that_hangs_is_forced"),
        named("closed_and_opened_again"),
    ];
    let (runs, _) = with_all(&scenes, at_steps);
    assert!(runs > 2 * usize::try_from(STEPS).expect("small"), "{runs}");
    println!("crash runs: {runs} between steps");
}
