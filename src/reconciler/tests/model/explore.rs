//! The search: depth first, each situation once, with a bound on what goes wrong along a path, which is raised by one each time.
//!
//! When the bound is raised, the fewest faults that lead to each situation of the bounds before are known, so none is ever
//! searched twice under one bound, and a bound that was exhausted is exhausted for every path. What a step breaks is told
//! with the way there, as numbers.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::digest::Digester;
use super::plans::Plan;
use super::reached::Reached;
use super::scene::Scene;
use super::steps::Step;
use crate::reconciler::tests::agreement::disagreement;

/// No situation, or no way.
pub(super) const NONE: u32 = u32::MAX;

/// A situation that was reached.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    /// What follows when nothing goes wrong.
    pub next: u32,
    /// The way here.
    pub way: u32,
    /// The fewest faults that lead here.
    pub used: u8,
    /// The bound under which it was taken up last.
    under: u8,
    /// The step to `next` writes a status.
    pub writes: bool,
    pub quiet: bool,
    pub agrees: bool,
}

/// What was broken, and the numbers of the steps that lead there.
#[derive(Debug)]
pub(super) struct Broken {
    pub plan: &'static str,
    pub why: String,
    pub line: Vec<u16>,
}

/// Keys are hashes already.
#[derive(Default)]
struct Plain(u64);

impl Hasher for Plain {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {}
    fn write_u128(&mut self, key: u128) {
        self.0 = u64::try_from(key & u128::from(u64::MAX)).unwrap();
    }
}

/// A situation that is to be searched.
struct Open {
    scene: Scene,
    node: u32,
    way: u32,
}

/// The search in one small world.
pub(super) struct Search {
    pub plan: &'static Plan,
    pub most: u8,
    index: HashMap<u128, u32, BuildHasherDefault<Plain>>,
    pub nodes: Vec<Node>,
    /// Each way is a shorter one and a step.
    ways: Vec<(u32, u16)>,
    stack: Vec<Open>,
    digester: Digester,
    pub made: u64,
    pub reached: Reached,
}

impl Search {
    /// Nothing is searched yet.
    pub(super) fn new(plan: &'static Plan) -> Self {
        Self {
            plan,
            most: 0,
            index: HashMap::default(),
            nodes: Vec::new(),
            ways: Vec::new(),
            stack: Vec::new(),
            digester: Digester::default(),
            made: 0,
            reached: Reached::default(),
        }
    }

    /// From now on so much may go wrong along a path: one more than before.
    pub(super) fn begin(&mut self, most: u8) {
        self.most = most;
        self.meet(Scene::new(self.plan), NONE);
    }

    /// Nothing is left to be searched.
    pub(super) fn is_exhausted(&self) -> bool {
        self.stack.is_empty()
    }

    /// Searches until so many situations are known. What was begun then is followed until it settles.
    pub(super) fn run(&mut self, states: usize) -> Result<(), Broken> {
        while self.nodes.len() < states
            && let Some(open) = self.stack.pop()
        {
            self.open(&open, self.most)?;
        }
        Ok(())
    }

    /// Follows what was not searched, without anything more going wrong.
    pub(super) fn follow(&mut self) -> Result<(), Broken> {
        while let Some(open) = self.stack.pop() {
            if self.nodes[open.node as usize].next == NONE {
                self.open_first(&open)?;
            }
        }
        Ok(())
    }

    fn open(&mut self, open: &Open, most: u8) -> Result<(), Broken> {
        let steps = open.scene.steps(most);
        for (number, step) in steps.iter().enumerate().rev() {
            self.try_step(open, number, step)?;
        }
        Ok(())
    }

    fn open_first(&mut self, open: &Open) -> Result<(), Broken> {
        match open.scene.steps(0).first() {
            Some(step) => self.try_step(open, 0, step),
            None => Ok(()),
        }
    }

    fn try_step(&mut self, open: &Open, number: usize, step: &Step) -> Result<(), Broken> {
        self.made += 1;
        self.ways.push((open.way, u16::try_from(number).unwrap()));
        let way = u32::try_from(self.ways.len() - 1).unwrap();
        let mut scene = open.scene.clone();
        let made = catch_unwind(AssertUnwindSafe(|| scene.make(step)));
        if let Err(panic) = made {
            return Err(self.broken(way, text_of(panic.as_ref())));
        }
        self.reached.note(&scene);
        let writes = scene.past.wrote;
        scene.world.calls.clear();
        scene.world.events.clear();
        let (next, new) = self.meet(scene, way);
        if !new {
            self.ways.pop();
        }
        if number == 0 {
            let node = &mut self.nodes[open.node as usize];
            (node.next, node.writes) = (next, writes);
        }
        Ok(())
    }

    /// A situation was reached. Returns which it is, and whether it is to be searched.
    fn meet(&mut self, scene: Scene, way: u32) -> (u32, bool) {
        let key = self.digester.key(&scene);
        let at = u32::try_from(self.nodes.len()).unwrap();
        let node = *self.index.entry(key).or_insert(at);
        if node == at {
            let quiet = scene.is_quiet();
            let agrees = quiet && disagreement(&scene.world).is_none();
            self.reached.settled(&scene, agrees);
            self.nodes.push(Node {
                next: NONE,
                way,
                used: scene.used,
                under: self.most,
                writes: false,
                quiet,
                agrees,
            });
        } else {
            let known = &mut self.nodes[node as usize];
            // One that fewer faults lead to is taken up on that path.
            if known.under == self.most || known.used < scene.used {
                return (node, false);
            }
            (known.under, known.way) = (self.most, way);
        }
        self.stack.push(Open { scene, node, way });
        (node, true)
    }

    /// What is wrong at the end of a way.
    pub(super) fn broken(&self, way: u32, why: String) -> Broken {
        Broken {
            plan: self.plan.name,
            why,
            line: self.line(way),
        }
    }

    /// A way as the numbers of its steps.
    fn line(&self, mut way: u32) -> Vec<u16> {
        let mut line = Vec::new();
        while way != NONE {
            let (before, step) = self.ways[way as usize];
            line.push(step);
            way = before;
        }
        line.reverse();
        line
    }
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "a panic without words".to_owned())
}
