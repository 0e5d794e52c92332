//! A situation: the shipped brain, the world around it, the ghost, and what is on its way between them.
//!
//! It moves only by the steps that `steps` and `faults` name. What is judged is judged by the ghost.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use super::digest::{BEGIN, FIRST_ORDER, FIRST_VERSION};
use super::faults::Outside;
use super::plans::{self, Plan};
use crate::reconciler::claims::Claims;
use crate::reconciler::input::*;
use crate::reconciler::tests::coming::Coming;
use crate::reconciler::tests::ghost::Ghost;
use crate::reconciler::tests::scenarios::{sentences::say, wishes};
use crate::reconciler::tests::world::{World, brain, moment, secs};

/// Something that was sent.
#[derive(Debug, Clone)]
pub(super) enum Sent {
    /// A request that nobody has taken yet, and its place in the order of reads.
    Asked(Box<Output>, u64),
    /// An answer, or the watch's news.
    Comes(Coming),
}

/// Something on its way.
#[derive(Debug, Clone)]
pub(super) struct OnTheWay {
    /// It arrives then, or later.
    pub at: Duration,
    /// It may arrive whenever it likes, and nobody waits for it.
    pub late: bool,
    /// Who sent it is dead, so nobody hears the answer.
    pub orphan: bool,
    pub what: Sent,
}

/// What came to pass on the way here. It tells no two situations apart.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Past {
    pub crashed: bool,
    pub rivals: bool,
    pub wrote: bool,
}

/// A situation.
#[derive(Clone)]
pub(in super::super) struct Scene {
    pub(super) plan: &'static Plan,
    pub world: World,
    pub ghost: Ghost,
    pub claims: Claims,
    pub(super) coming: Vec<OnTheWay>,
    /// Objects of whose existence the watch has told this process.
    pub watched: BTreeSet<ObjectKey>,
    /// The version before the one that is stored.
    pub before: BTreeMap<ObjectKey, (u64, Delivered)>,
    /// The watch has lost something and will find out.
    pub lossy: bool,
    /// As the brain was told last.
    pub connected: bool,
    /// When something went away, or a job was blocked, last.
    pub since: Duration,
    /// Faults until here.
    pub used: u8,
    pub(super) past: Past,
    /// Steps are told.
    pub loud: bool,
}

impl Scene {
    /// The beginning of a world of the model.
    pub(super) fn new(plan: &'static Plan) -> Self {
        let mut scene = Self::of(plan);
        scene.by_hand();
        for sentence in plan.given {
            scene.others(|world| say(world, sentence));
        }
        for (name, wishes) in plan.apply {
            scene.others(|world| world.create(name, wishes::of(name, wishes)));
        }
        scene
    }

    /// A world in which nothing is yet.
    pub(in super::super) fn empty() -> Self {
        Self::of(&plans::NOTHING)
    }

    fn of(plan: &'static Plan) -> Self {
        Self {
            plan,
            world: World::new(),
            ghost: Ghost::beginning_at(FIRST_ORDER),
            claims: Claims::default(),
            coming: Vec::new(),
            watched: BTreeSet::new(),
            before: BTreeMap::new(),
            lossy: false,
            connected: true,
            since: Duration::ZERO,
            used: 0,
            past: Past::default(),
            loud: false,
        }
    }

    /// From now on nothing arrives by itself.
    pub(in super::super) fn by_hand(&mut self) {
        let world = &mut self.world;
        world.waits = Some(Vec::new());
        world.clock = secs(BEGIN);
        world.version = FIRST_VERSION;
        world.brain = brain(world.clock);
        self.connect();
    }

    /// Others do something in the world; whom it concerns will be told.
    pub(in super::super) fn others(&mut self, what: impl FnOnce(&mut World)) {
        let (version, before) = (self.world.version, self.world.stored.clone());
        let hindered = self.is_hindered();
        what(&mut self.world);
        for input in self.world.waits.replace(Vec::new()).unwrap_or_default() {
            let (key, at, found) = match input {
                Input::Delivered(found) => {
                    let at = found.resource_version.parse().unwrap();
                    (found.key.clone(), at, Some(found))
                }
                Input::Gone(key) => (key, version + 1, None),
                told => {
                    self.handle(told);
                    continue;
                }
            };
            if let Some(old) = before.get(&key) {
                self.before.insert(key.clone(), (version, old.clone()));
            }
            self.answer(Duration::ZERO, Coming::Watched(key, at, found));
        }
        if self.is_hindered() && !hindered {
            self.since = self.world.clock;
        }
    }

    /// Something is away, or a job is blocked.
    fn is_hindered(&self) -> bool {
        self.away().is_some() || self.world.jobs.values().any(|fake| fake.blocked)
    }

    /// The watch is going to tell what is stored now.
    pub(super) fn watch(&mut self, key: &ObjectKey) {
        let stored = self.world.stored.get(key).cloned().map(Box::new);
        let news = Coming::Watched(key.clone(), self.world.version, stored);
        self.answer(Duration::ZERO, news);
    }

    /// All of them are told again.
    pub(super) fn relist(&mut self) {
        let stored = self.world.stored.keys().cloned();
        let keys: BTreeSet<ObjectKey> = stored.chain(self.watched.iter().cloned()).collect();
        for key in keys {
            self.watch(&key);
        }
    }

    pub(super) fn connect(&mut self) {
        let allow = self.world.allow.clone();
        self.handle(Input::Allowed(Allowances::All(allow)));
        let usable = self.world.usable();
        self.handle(Input::Connection(Connection::Usable(usable)));
    }

    pub(super) fn answer(&mut self, after: Duration, coming: Coming) {
        self.coming.push(OnTheWay {
            at: self.world.clock + after,
            late: false,
            orphan: false,
            what: Sent::Comes(coming),
        });
    }

    /// Tells the brain, and takes what it asks for.
    pub(super) fn handle(&mut self, input: Input) {
        self.ghost.sync(&self.world);
        if let Input::Connection(connection) = &input {
            self.connected = matches!(connection, Connection::Usable(_));
            self.ghost.connected(connection);
        }
        if self.loud {
            println!("    {:?} <- {input:?}", self.world.clock);
        }
        let now = moment(self.world.clock);
        for output in self.world.brain.handle(input, now) {
            if self.loud {
                println!("    {:?} -> {output:?}", self.world.clock);
            }
            self.take(output);
        }
    }

    /// A new process, which takes a moment to start.
    pub(super) fn restart(&mut self) {
        let takes = secs(1);
        self.ghost.pass(&self.world, takes);
        self.world.clock += takes;
        self.world.finish_closes();
        self.world.brain = brain(self.world.clock);
        self.ghost.crashed();
        self.watched.clear();
        self.claims = Claims::default();
        self.lossy = false;
        self.past.crashed = true;
    }

    /// What is away just now.
    pub(super) fn away(&self) -> Option<Outside> {
        let world = &self.world;
        let all = [
            (world.trouble.is_some(), Outside::Elasticsearch),
            (world.refuses_calls.is_some(), Outside::Master),
            (world.upgrade_mode, Outside::UpgradeMode),
            (world.api_server_down, Outside::ApiServer),
            (!self.connected, Outside::Connection),
        ];
        all.into_iter()
            .find_map(|(away, what)| away.then_some(what))
    }

    /// Nothing is on its way, nothing is wrong and nothing is to be done now.
    pub(super) fn is_quiet(&self) -> bool {
        let now = self.world.clock;
        self.coming.is_empty()
            && self.away().is_none()
            && !self.lossy
            && self.world.brain.next_wake().is_none_or(|at| at > now)
    }

    /// Everything that tells two situations apart.
    pub(super) fn describe(&self, text: &mut String) -> std::fmt::Result {
        let world = &self.world;
        write!(
            text,
            "{:?}|{:?}|{:?}|{:?}{}|",
            world.brain,
            self.claims,
            world.jobs,
            self.away(),
            self.lossy,
        )?;
        for (key, object) in &world.stored {
            write!(text, "{key}{object:?}")?;
        }
        if self.is_hindered() {
            write!(text, "away: {:?}", self.since)?;
        }
        for way in &self.coming {
            write!(text, "at: {:?}{}{}", way.at, way.late, way.orphan)?;
            match &way.what {
                Sent::Comes(Coming::Watched(key, version, Some(object)))
                    if world.stored.get(key).is_some_and(|stored| {
                        stored.resource_version == object.resource_version
                    }) =>
                {
                    write!(text, "as stored {key}{version}")?;
                }
                what => write!(text, "{what:?}")?,
            }
        }
        self.ghost.describe(&world.stored, text)?;
        for (version, object) in self.before.values() {
            write!(text, "{version}{:?}", object.generation)?;
        }
        Ok(())
    }
}
