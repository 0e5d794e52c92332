//! Many jobs of many kinds that are to be closed, whatever is done to the operator meanwhile; and the judge. What is right
//! at the end follows from the kind of a job alone. Every word of a status is held against the simulator's own record.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::chance::Chance;
use super::lived::{Lived, lives};
use super::room::{Room, has, has_any};

/// How a job behaves, and by that what its object asks for and what the end must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Closes at once.
    Quick,
    /// Takes some seconds, less than its timeout.
    Slow,
    /// Has a running datafeed.
    Fed,
    /// Never ends its close: a force is due.
    Hangs,
    /// The same, and its object says to go on waiting.
    HangsAndWaits,
    /// The same, and its object says to stop.
    HangsAndStalls,
    /// Has failed: a force is due.
    Failed,
    /// The same, and its object says to stop.
    FailedAndStalls,
    /// Fails while it closes: a force is due.
    Breaks,
}

/// Half of what closes in a campaign is plain.
pub(crate) const MIXED: [Kind; 13] = [
    Kind::Quick,
    Kind::Quick,
    Kind::Slow,
    Kind::Slow,
    Kind::Slow,
    Kind::Fed,
    Kind::Hangs,
    Kind::Hangs,
    Kind::HangsAndWaits,
    Kind::HangsAndStalls,
    Kind::Failed,
    Kind::FailedAndStalls,
    Kind::Breaks,
];

/// How long a close may be seen to go on before it is forced, in ms.
const TIMEOUT: u64 = 3000;

/// Jobs and their objects in one room.
pub(crate) struct Campaign<'r, 'p> {
    pub(crate) room: &'r Room<'p>,
    pub(crate) seed: u64,
    kinds: BTreeMap<String, Kind>,
    waiting: Vec<String>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) jobs: usize,
    pub(crate) closed: usize,
    pub(crate) held: usize,
    pub(crate) forces: usize,
    pub(crate) requests: usize,
    pub(crate) took: Duration,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            jobs,
            closed,
            held,
            forces,
            requests,
            took,
        } = self;
        write!(
            to,
            "{jobs} jobs: {closed} closed, {held} held where their policy says so, {forces} forces and each allowed, \
             no job forced twice, no status untrue; {requests} requests to Elasticsearch; {} s",
            took.as_secs()
        )
    }
}

impl<'r, 'p> Campaign<'r, 'p> {
    /// Jobs of these kinds, drawn by the seed, opened and ready to be closed; the connection is made too.
    pub(crate) fn new(room: &'r Room<'p>, seed: u64, count: usize, of: &[Kind]) -> Self {
        Self::over(room, seed, count, of, &json!({}))
    }

    /// The same, over a connection with these further fields.
    pub(crate) fn over(
        room: &'r Room<'p>,
        seed: u64,
        count: usize,
        of: &[Kind],
        connection: &Value,
    ) -> Self {
        let mut chance = Chance::new(seed);
        let mut kinds = BTreeMap::new();
        for number in 0..count {
            // Each kind once at least, where there is room for it.
            let kind = of.get(number).copied().unwrap_or_else(|| chance.of(of));
            let name = format!("job-{number}");
            prepare(room, &name, kind, &mut chance);
            kinds.insert(name, kind);
        }
        let mut waiting: Vec<String> = kinds.keys().cloned().collect();
        chance.shuffle(&mut waiting);
        room.connect(connection);
        Self {
            room,
            seed,
            kinds,
            waiting,
        }
    }

    /// Creates the objects of so many more of the jobs, each of which shall be closed.
    pub(crate) fn ask(&mut self, count: usize) {
        let left = self.waiting.len().saturating_sub(count);
        let some = self.waiting.split_off(left);
        let spec = |name: &String| {
            let policy = self.kinds[name].policy();
            json!({"jobId": name, "state": "Closed", "close": policy})
        };
        let specs = some.iter().map(|name| (name.clone(), spec(name)));
        self.room.jobs_at_once(specs.collect());
    }

    pub(crate) fn ask_all(&mut self) {
        self.ask(self.waiting.len());
    }

    /// Waits until the cluster has had so many more requests, or until nothing has come for a while: after a random
    /// number of them is a moment in the middle of something.
    pub(crate) fn after_requests(&self, count: u64) {
        let asked = || self.room.elastic.asked();
        let (before, begun) = (asked(), Instant::now());
        while asked() < before + count && begun.elapsed() < Duration::from_secs(4) {
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    /// Holds what statuses claim now against the world. Jobs close and are not opened again here, so what was claimed before
    /// the record was read must be true of it.
    pub(crate) fn tells_no_lie(&self) {
        let objects = self.objects();
        let world = lives(&self.room.elastic.log());
        let untrue = objects.iter().filter_map(|object| {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            lie(object, &world[name])
        });
        let untrue: Vec<String> = untrue.collect();
        assert!(untrue.is_empty(), "seed {}: {untrue:#?}", self.seed);
    }

    /// Waits until each job is where it should be and each status says so, then judges all that was called.
    pub(crate) fn ends_well(&self, limit: Duration) -> Figures {
        assert!(self.waiting.is_empty(), "not all was asked for");
        let begun = Instant::now();
        let lives = loop {
            let objects = self.objects();
            let lives = lives(&self.room.elastic.log());
            let open = self.unsettled(&objects, &lives);
            if open.is_empty() {
                break lives;
            }
            let some = &open[..open.len().min(5)];
            let (seed, left) = (self.seed, open.len());
            assert!(
                begun.elapsed() < limit,
                "seed {seed}: {limit:?} passed and {left} are not settled: {some:#?}"
            );
            std::thread::sleep(Duration::from_millis(400));
        };
        self.judge(&lives);
        self.figures(&lives, begun.elapsed())
    }

    fn objects(&self) -> Vec<Value> {
        let mut all = self.room.all_jobs();
        let name = |object: &Value| object["metadata"]["name"].as_str().map(str::to_owned);
        all.retain(|object| name(object).is_some_and(|name| self.kinds.contains_key(&name)));
        all
    }

    fn unsettled(&self, objects: &[Value], lives: &BTreeMap<String, Lived>) -> Vec<String> {
        let mut open = Vec::new();
        if objects.len() != self.kinds.len() {
            open.push(format!("{} objects", objects.len()));
        }
        for object in objects {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let (kind, life) = (self.kinds[name], &lives[name]);
            if let Err(why) = kind.settled(object, life) {
                let status = &object["status"];
                open.push(format!("{name}, {kind:?}: {why}; {life:?}; {status}"));
            }
        }
        open
    }

    /// A force at most once, only where it is allowed, and not before its time; and no call that came too late.
    fn judge(&self, lives: &BTreeMap<String, Lived>) {
        let seed = self.seed;
        for (name, kind) in &self.kinds {
            let life = &lives[name];
            let what = || format!("seed {seed}: {name}, {kind:?}: {life:?}");
            let due = usize::from(kind.is_forced());
            assert_eq!(life.sessions, 1, "somebody opened it: {}", what());
            assert_eq!(
                life.forced.len(),
                due,
                "forces that took effect: {}",
                what()
            );
            assert_eq!(
                life.forces.len(),
                due,
                "forces that were called: {}",
                what()
            );
            if *kind == Kind::Hangs {
                let closing = life.closing_at.expect("it was closing");
                let early = || format!("forced too early: {}", what());
                // The simulator's clock and the operator's are two.
                assert!(life.forces[0] + 50 >= closing + TIMEOUT, "{}", early());
            }
        }
    }

    fn figures(&self, lives: &BTreeMap<String, Lived>, took: Duration) -> Figures {
        let closed = lives.values().filter(|life| life.state == "closed").count();
        Figures {
            jobs: self.kinds.len(),
            closed,
            held: self.kinds.len() - closed,
            forces: lives.values().map(|life| life.forces.len()).sum(),
            requests: self.room.elastic.log().len(),
            took,
        }
    }
}

/// Makes a job that behaves like its kind.
fn prepare(room: &Room, name: &str, kind: Kind, chance: &mut Chance) {
    let elastic = &room.elastic;
    if kind == Kind::Fed {
        elastic.fed(name);
    } else {
        elastic.opened(name);
    }
    match kind {
        Kind::Quick => elastic.tune(name, &json!({"close_ms": chance.within(0, 50)})),
        Kind::Slow => elastic.tune(name, &json!({"close_ms": chance.within(500, 6000)})),
        Kind::Fed => elastic.tune(name, &json!({"close_ms": chance.within(0, 1000)})),
        Kind::Hangs | Kind::HangsAndWaits | Kind::HangsAndStalls => {
            elastic.tune(name, &json!({"close_ms": "hang"}));
        }
        Kind::Failed | Kind::FailedAndStalls => {
            let boom = json!({"reason": "boom"});
            elastic.turn("POST", &format!("jobs/{name}/fail"), &boom);
        }
        Kind::Breaks => {
            let close_ms = chance.within(0, 1500);
            elastic.tune(name, &json!({"close_ms": close_ms, "persist_fails": true}));
        }
    }
}

impl Kind {
    fn policy(self) -> Value {
        let timeout = format!("{}s", TIMEOUT / 1000);
        match self {
            Self::Quick | Self::Fed | Self::Failed | Self::Breaks => json!({}),
            Self::Slow => json!({"timeout": "10m"}),
            Self::Hangs => json!({ "timeout": timeout }),
            Self::HangsAndWaits => json!({"timeout": timeout, "onTimeout": "Wait"}),
            Self::HangsAndStalls => json!({"timeout": timeout, "onTimeout": "Stall"}),
            Self::FailedAndStalls => json!({"onFailed": "Stall"}),
        }
    }

    fn is_forced(self) -> bool {
        matches!(self, Self::Hangs | Self::Failed | Self::Breaks)
    }

    /// The state that the job stays in, and what its object must then say.
    fn end(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Quick | Self::Slow | Self::Fed => {
                ("closed", &["Ready=True/InDesiredState", "Closed=True"])
            }
            Self::Hangs => (
                "closed",
                &[
                    "Ready=True/InDesiredState",
                    "Closed=True",
                    "Forced=True/DeadlinePassed",
                ],
            ),
            Self::Failed | Self::Breaks => (
                "closed",
                &[
                    "Ready=True/InDesiredState",
                    "Closed=True",
                    "Forced=True/JobFailed",
                ],
            ),
            Self::HangsAndWaits => ("closing", &["Ready=False/Waiting", "Reconciling=True"]),
            Self::HangsAndStalls => ("closing", &["Stalled=True/CloseTimedOut"]),
            Self::FailedAndStalls => ("failed", &["Stalled=True/JobFailed"]),
        }
    }

    fn settled(self, object: &Value, life: &Lived) -> Result<(), String> {
        let (state, conditions) = self.end();
        let missing: Vec<_> = conditions
            .iter()
            .filter(|condition| !has(object, condition))
            .collect();
        let status = &object["status"];
        let counted = status["jobs"][state].as_u64() == Some(1);
        if life.state != state {
            Err(format!("it is {}, and should be {state}", life.state))
        } else if let Some(lie) = lie(object, life) {
            Err(lie)
        } else if !missing.is_empty() {
            Err(format!("{missing:?} is missing"))
        } else if state == "closed"
            && (has_any(object, "Reconciling") || has_any(object, "Stalled"))
        {
            Err("it is closed and not done".to_owned())
        } else if !counted {
            Err(format!("status does not count it as {state}"))
        } else {
            Ok(())
        }
    }
}

/// What a status claims and the world does not bear out.
fn lie(object: &Value, life: &Lived) -> Option<String> {
    let name = &object["metadata"]["name"];
    let told = object["status"]["lastClose"]["forced"].as_array();
    let told = told.is_some_and(|jobs| jobs.contains(name));
    let claims = [
        (has(object, "Ready=True"), life.state == "closed", "Ready"),
        (has(object, "Closed=True"), life.state == "closed", "Closed"),
        (
            has(object, "Forced=True"),
            !life.forces.is_empty(),
            "Forced",
        ),
        (told, !life.forced.is_empty(), "lastClose.forced"),
    ];
    let untrue = claims.iter().find(|(claimed, so, _)| *claimed && !so);
    if let Some((_, _, what)) = untrue {
        return Some(format!("{name} claims {what}, but {life:?}"));
    }
    // What is told as done must tell of a force.
    let silent = has(object, "Closed=True") && !life.forced.is_empty() && !told;
    silent.then(|| format!("{name} keeps its force to itself: {life:?}"))
}
