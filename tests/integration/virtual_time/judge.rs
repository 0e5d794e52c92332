//! What must be true of every run, told by the world alone: by what was sent and when, by what the API server stored, and by
//! what Elasticsearch did. It knows nothing of the operator's facts or tables, and computes the closing time itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anomalyjob_operator::api::TimeSpan;
use serde_json::Value;

use super::api::store::Change;
use super::between::Ask;
use super::elastic::Elastic;
use super::sentinel;
use super::world::World;

/// A status tells of a read that is not older than this.
const NEWS: Duration = Duration::from_secs(20);
/// Longer than this after its last renewal nobody may act.
const LEASE: Duration = Duration::from_secs(15);
/// Who lost it to one that did not wait knows it after this time.
const LOOK: Duration = Duration::from_secs(5);
/// After a force of ours nothing is opened, and nothing is forced again, for so long.
const AFTER_FORCE: Duration = Duration::from_secs(60);
/// A live read before a call is not older than this.
const LIVE: Duration = Duration::from_secs(90);

/// A change of a job, as Elasticsearch tells it.
struct Turn {
    at: Duration,
    to: String,
    why: String,
}

/// All that happened in a world.
pub(crate) struct Judge {
    asks: Vec<Ask>,
    delivered: Vec<(Duration, String, String, u64)>,
    history: Vec<Change>,
    turns: BTreeMap<String, Vec<Turn>>,
    /// Close requests that reached Elasticsearch: when, whom, by force.
    closes: Vec<(Duration, Vec<String>, bool)>,
    groups: BTreeMap<String, BTreeSet<String>>,
    outages: Vec<(Duration, Duration)>,
    stolen: Vec<Duration>,
    found: Vec<String>,
}

fn ms(value: &Value) -> Duration {
    Duration::from_millis(value.as_u64().unwrap_or_default())
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(super) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// What happened to each job.
fn turns(log: &Value) -> BTreeMap<String, Vec<Turn>> {
    let mut turns: BTreeMap<String, Vec<Turn>> = BTreeMap::new();
    let states = ["opening", "opened", "closing", "closed", "failed"];
    let of_job =
        |line: &&Value| line["job"].is_string() && states.iter().any(|state| line["to"] == *state);
    for line in list(&log["changes"]).filter(of_job) {
        turns.entry(text(&line["job"])).or_default().push(Turn {
            at: ms(&line["at_ms"]),
            to: text(&line["to"]),
            why: text(&line["why"]),
        });
    }
    turns
}

impl Judge {
    /// Takes the evidence of a world.
    pub(crate) async fn new(world: &World) -> Self {
        let mut judge = Self {
            asks: world.between.asks(),
            delivered: world.between.delivered(),
            history: world.api.store().history.clone(),
            turns: BTreeMap::new(),
            closes: Vec::new(),
            groups: BTreeMap::new(),
            outages: world.outages.borrow().clone(),
            stolen: world.stolen.borrow().clone(),
            found: Vec::new(),
        };
        for elastic in world.clusters.iter() {
            judge.hear(elastic).await;
        }
        judge
    }

    /// Takes what a cluster tells of itself. No two have jobs of one id.
    async fn hear(&mut self, elastic: &Elastic) {
        let log = elastic.log().await;
        self.turns.extend(turns(&log));
        let closes = list(&log["requests"])
            .filter(|line| line["api"] == "Close")
            .map(|line| {
                let path = text(&line["path"]);
                let ids = path.split('/').rev().nth(1).unwrap_or_default();
                (
                    ms(&line["at_ms"]),
                    ids.split(',').map(str::to_owned).collect(),
                    text(&line["query"]).contains("force=true"),
                )
            });
        self.closes.extend(closes);
        let configs = elastic
            .call("GET", "/_ml/anomaly_detectors", &Value::Null)
            .await;
        let groups = list(&configs["jobs"]).map(|job| {
            let groups = list(&job["groups"]).map(text).collect();
            (text(&job["job_id"]), groups)
        });
        self.groups.extend(groups);
    }

    /// All that is wrong.
    pub(crate) fn verdict(mut self) -> Vec<String> {
        let calls: Vec<Ask> = self
            .asks
            .iter()
            .filter(|ask| ask.is_call())
            .cloned()
            .collect();
        for ask in &calls {
            self.leads(ask);
            self.is_wanted(ask);
            self.opens_late(ask);
        }
        self.forces();
        self.claims();
        self.secrets();
        self.found
    }

    pub(crate) fn forces_arrived(&self) -> usize {
        self.closes.iter().filter(|(_, _, force)| *force).count()
    }

    fn wrong(&mut self, ask: &Ask, what: &str) {
        self.found.push(format!(
            "{what}: {:?} {} {} {}?{}",
            ask.at, ask.process, ask.method, ask.path, ask.query
        ));
    }

    /// Who calls holds the lease at this moment.
    fn leads(&mut self, ask: &Ask) {
        let stolen = |at: Duration| self.stolen.contains(&at) && ask.at.saturating_sub(at) <= LOOK;
        let mut leases = self.history.iter().rev();
        let held = leases
            .find(|change| change.key.0 == "leases" && change.at <= ask.at && !stolen(change.at));
        let leads = held.is_some_and(|change| {
            let ours = change.object["spec"]["holderIdentity"] == *ask.process;
            ours && ask.at.saturating_sub(change.at) <= LEASE
        });
        if !leads {
            self.wrong(ask, "a call without the lease");
        }
    }

    fn jobs_of(ask: &Ask) -> Vec<String> {
        let id = ask.path.split('/').rev().nth(1).unwrap_or_default();
        let job = |id: &str| id.strip_prefix("feed-").unwrap_or(id).to_owned();
        id.split(',').map(job).collect()
    }

    /// Some object that this process was told of wants it of each of these jobs.
    fn is_wanted(&mut self, ask: &Ask) {
        let told = self.told(ask);
        for job in Self::jobs_of(ask) {
            if job.is_empty() || job.contains(['*', '%']) || job == "_all" {
                self.wrong(ask, "no id");
            } else if !told.iter().any(|object| self.wants(object, ask, &job)) {
                self.wrong(ask, "nobody wants this");
            }
        }
        if ask.is_force() && Self::jobs_of(ask).len() != 1 {
            self.wrong(ask, "a force of several");
        }
    }

    /// The versions of objects that count for this process now: those that it was told of last, and those it has read live.
    fn told(&self, ask: &Ask) -> Vec<Value> {
        let mut newest: BTreeMap<&str, u64> = BTreeMap::new();
        let mut count = BTreeSet::new();
        for (at, process, key, version) in &self.delivered {
            if *process != ask.process || *at > ask.at {
                continue;
            }
            if *at < ask.at {
                newest.insert(key, *version);
            } else {
                count.insert(*version);
            }
        }
        count.extend(newest.values());
        let live = |read: &&Ask| {
            read.process == ask.process
                && read.point() == "read object"
                && read.at <= ask.at
                && ask.at.saturating_sub(read.at) <= LIVE
        };
        for read in self.asks.iter().filter(live) {
            let name = read.path.rsplit('/').next().unwrap_or_default();
            let mut stored = self.history.iter().rev();
            let stored = stored.find(|change| {
                change.key.0 == "anomalyjobs" && change.key.2 == name && change.at <= read.at
            });
            count.extend(stored.map(|change| change.version));
        }
        let of = |version: &u64| {
            let change = &self.history[usize::try_from(*version).expect("small") - 1];
            (change.what != "DELETED").then(|| change.object.clone())
        };
        count.iter().filter_map(of).collect()
    }

    fn wants(&self, object: &Value, ask: &Ask, job: &str) -> bool {
        let spec = &object["spec"];
        let closes = matches!(ask.point(), "close" | "force close" | "stop datafeed");
        let deleted = object["metadata"]["deletionTimestamp"].is_string();
        let state = spec["state"].as_str().unwrap_or_default();
        let wanted = if deleted {
            closes && spec["deletionPolicy"] == "Close"
        } else {
            spec["suspend"] != true && state == if closes { "Closed" } else { "Opened" }
        };
        object["kind"] == "AnomalyJob" && wanted && self.means(spec, job)
    }

    fn means(&self, spec: &Value, job: &str) -> bool {
        let none = BTreeSet::new();
        let groups = self.groups.get(job).unwrap_or(&none);
        let meant = |part: &str| {
            let like = |name: &str| matches(part, name);
            part == "_all" || like(job) || groups.iter().any(|group| like(group))
        };
        let excluded = |part: &Value| matches(part.as_str().unwrap_or_default(), job);
        let expression = spec["jobId"].as_str().unwrap_or_default();
        expression.split(',').any(meant) && !list(&spec["exclude"]).any(excluded)
    }

    fn opens_late(&mut self, ask: &Ask) {
        if ask.point() != "open" {
            return;
        }
        let jobs = Self::jobs_of(ask);
        let soon = |(at, ids, force): &(Duration, Vec<String>, bool)| {
            *force
                && *at < ask.at
                && ask.at.saturating_sub(*at) < AFTER_FORCE
                && jobs.iter().any(|job| ids.contains(job))
        };
        if self.closes.iter().any(soon) {
            self.wrong(ask, "opened too soon after a force");
        }
    }

    /// The last that happened to a job before this time.
    fn last(&self, job: &str, at: Duration, is: impl Fn(&Turn) -> bool) -> Option<&Turn> {
        let turns = self.turns.get(job).map(Vec::as_slice).unwrap_or_default();
        turns.iter().rev().find(|turn| turn.at < at && is(turn))
    }

    /// Each force came after the time that the policy gives, and at most one a session took effect.
    fn forces(&mut self) {
        let mut before: BTreeMap<(String, Duration), Duration> = BTreeMap::new();
        let mut found = Vec::new();
        for (at, ids, _) in self.closes.iter().filter(|(_, _, force)| *force) {
            let job = ids.first().cloned().unwrap_or_default();
            let session = self
                .last(&job, *at, |turn| turn.to == "opened")
                .map_or(Duration::ZERO, |turn| turn.at);
            let last = before.insert((job.clone(), session), *at);
            if last.is_some_and(|last| at.saturating_sub(last) < AFTER_FORCE) {
                found.push(format!("forced twice in a session: {job} at {at:?}"));
            }
            if let Some(why) = self.too_early(&job, session, *at) {
                found.push(format!("forced {why}: {job} at {at:?}"));
            }
        }
        for (job, turns) in &self.turns {
            let mut forced = 0;
            for turn in turns {
                match (turn.to.as_str(), turn.why.as_str()) {
                    ("opened", _) => forced = 0,
                    ("closed", "force close") => forced += 1,
                    _ => {}
                }
                if forced > 1 {
                    found.push(format!("two forces took effect in a session of {job}"));
                }
            }
        }
        self.found.extend(found);
    }

    /// When the close began that this force ends.
    fn closing_since(&self, job: &str, session: Duration, at: Duration) -> Option<Duration> {
        let closing = self
            .last(job, at, |turn| turn.to == "closing" && turn.at >= session)
            .map(|turn| turn.at);
        let mut asked = self.closes.iter().filter(|(when, ids, force)| {
            !force && *when >= session && ids.iter().any(|id| id == job)
        });
        closing.or_else(|| asked.next().map(|(when, _, _)| *when))
    }

    fn too_early(&self, job: &str, session: Duration, at: Duration) -> Option<String> {
        let policies = self
            .asks
            .iter()
            .rev()
            .filter(|ask| ask.point() == "read object" && ask.at <= at);
        let policy = policies.filter_map(|read| {
            let name = read.path.rsplit('/').next()?;
            let mut stored = self.history.iter().rev();
            stored.find(|change| {
                change.key.0 == "anomalyjobs" && change.key.2 == name && change.at <= read.at
            })
        });
        let Some(object) = policy
            .map(|change| &change.object)
            .find(|object| self.means(&object["spec"], job))
        else {
            return Some("without a live read".to_owned());
        };
        let close = &object["spec"]["close"];
        if close["mode"] == "Immediate" {
            return None;
        }
        // In the moment of the force it may have failed, and been closed by the force.
        let before = self.last(job, at + Duration::from_millis(1), |turn| {
            turn.why != "force close"
        });
        let failed = before.is_some_and(|turn| turn.to == "failed");
        if failed {
            return (close["onFailed"] != "Force").then(|| "against onFailed".to_owned());
        }
        if close["onTimeout"] != "Force" {
            return Some("against onTimeout".to_owned());
        }
        let timeout = close["timeout"]
            .as_str()
            .and_then(|text| TimeSpan::parse(text).ok());
        let timeout = timeout.map_or(Duration::from_secs(1800), TimeSpan::as_duration);
        let since = self.closing_since(job, session, at);
        let Some(since) = since else {
            return Some("without a close before".to_owned());
        };
        let dark: Duration = self
            .outages
            .iter()
            .map(|(from, to)| (*to).min(at).saturating_sub((*from).max(since)))
            .sum();
        let lit = at.saturating_sub(since).saturating_sub(dark);
        (lit < timeout).then(|| format!("after {lit:?} of {timeout:?}"))
    }

    /// What a status claims was so not long ago.
    fn claims(&mut self) {
        let mut found = Vec::new();
        let written = self.history.iter();
        for change in written.filter(|change| change.key.0 == "anomalyjobs") {
            let Some(state) = claimed(&change.object) else {
                continue;
            };
            // What was claimed before is no new claim.
            let earlier = usize::try_from(change.version).expect("small") - 1;
            let mut before = self.history[..earlier].iter().rev();
            let before = before.find(|before| before.key == change.key);
            if before.is_some_and(|before| said(&before.object) == said(&change.object)) {
                continue;
            }
            let meant = |job: &&String| self.means(&change.object["spec"], job);
            for job in self.groups.keys().filter(meant) {
                if !self.was(job, state, change.at) {
                    let (at, name) = (change.at, &change.key.2);
                    found.push(format!("{at:?}: {name} says that {job} is {state}"));
                }
            }
        }
        self.found.extend(found);
    }

    /// Whether a job was in this state at some time shortly before.
    fn was(&self, job: &str, state: &str, at: Duration) -> bool {
        let from = at.saturating_sub(NEWS);
        let turns = self.turns.get(job).map(Vec::as_slice).unwrap_or_default();
        let then = turns
            .iter()
            .rev()
            .find(|turn| turn.at <= from)
            .map_or("closed", |turn| turn.to.as_str());
        then == state
            || turns
                .iter()
                .any(|turn| turn.at >= from && turn.at <= at && turn.to == state)
    }

    fn secrets(&mut self) {
        for ask in self.asks.clone() {
            let sent = format!(
                "{}?{} {}",
                ask.path,
                ask.query,
                String::from_utf8_lossy(&ask.body)
            );
            if sentinel::find(&sent).is_some() {
                self.wrong(&ask, "a secret");
            }
        }
    }
}

/// The state in which an object says that all of its jobs are.
fn claimed(object: &Value) -> Option<&'static str> {
    let generation = &object["metadata"]["generation"];
    let says = |of: &str| {
        list(&object["status"]["conditions"]).any(|condition| {
            condition["type"] == of
                && condition["status"] == "True"
                && condition["observedGeneration"] == *generation
        })
    };
    let ready = says("Ready") && !object["metadata"]["deletionTimestamp"].is_string();
    match object["spec"]["state"].as_str() {
        _ if says("Closed") => Some("closed"),
        Some("Closed") if ready => Some("closed"),
        Some("Opened") if ready => Some("opened"),
        _ => None,
    }
}

/// What the conditions of an object say, without their words.
fn said(object: &Value) -> Vec<(&Value, &Value, &Value)> {
    let conditions = list(&object["status"]["conditions"]);
    let said = conditions.map(|one| (&one["type"], &one["status"], &one["observedGeneration"]));
    said.collect()
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => {
            let rest = name.strip_prefix(before);
            rest.is_some_and(|rest| {
                (0..=rest.len()).any(|at| rest.is_char_boundary(at) && matches(after, &rest[at..]))
            })
        }
    }
}
