//! The state behind the server: the cluster with its clock, the directory of callers, waiting answers, faults and logs.
//! One lock guards it; nothing in here blocks or sleeps.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Map, Value, json};
use tokio::{sync::oneshot, time::Instant};

use super::{
    auth::{Caller, Directory},
    call::Ran,
    filter::Filter,
    inject::Rule,
    routes::Routes,
};
use crate::{
    cluster::{ApiError, Cluster, DeleteRequest, Outcome, model::Ticket},
    profile::Profile,
};

/// Simulated time: runs with the runtime's clock, which tests may have paused, unless it is held.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    since: Instant,
    base: u64,
    pub(crate) held: bool,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            since: Instant::now(),
            base: 0,
            held: false,
        }
    }

    /// Clock ms.
    pub(crate) fn now(&self) -> u64 {
        if self.held {
            self.base
        } else {
            self.base + u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX / 2)
        }
    }

    /// Stops or lets run.
    pub(crate) fn hold(&mut self, held: bool) {
        self.base = self.now();
        self.since = Instant::now();
        self.held = held;
    }

    /// Jumps forward.
    pub(crate) fn advance(&mut self, ms: u64) {
        self.base = self.now() + ms;
        self.since = Instant::now();
    }

    /// Wall instant of a clock time.
    pub(crate) fn instant(&self, due: u64) -> Instant {
        self.since + std::time::Duration::from_millis(due.saturating_sub(self.base))
    }
}

/// One line of the request log.
#[derive(Debug, Clone)]
pub(crate) struct Logged {
    pub(crate) seq: u64,
    pub(crate) at: u64,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) api: String,
    pub(crate) status: Option<u16>,
    pub(crate) user: Option<String>,
}

/// Whether and how the network works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    Up,
    Refuse,
    Blackhole,
}

/// Everything behind the lock.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) cluster: Cluster,
    pub(crate) profile: Profile,
    pub(crate) routes: Arc<Routes>,
    pub(crate) directory: Directory,
    /// As at the start, for `reset`.
    pub(crate) first_directory: Directory,
    pub(crate) first_close: Option<u64>,
    pub(crate) first_open: Option<u64>,
    pub(crate) first_master: Option<u64>,
    pub(crate) clock: Clock,
    /// Wall time at the start, in ms since 1970.
    pub(crate) first_wall: Option<u64>,
    pub(crate) waiting: HashMap<Ticket, oneshot::Sender<Outcome>>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) log: Vec<Logged>,
    pub(crate) log_seq: u64,
    pub(crate) counts: BTreeMap<String, u64>,
    /// Searches that a real server would have made, by api.
    pub(crate) searches: BTreeMap<String, u64>,
    /// Ids whose bad delete has been answered once (7.10 never answers a second one).
    pub(crate) poisoned: HashSet<String>,
    /// The filter and the caller of the request at work.
    pub(crate) current_filter: Arc<Filter>,
    pub(crate) caller: Option<Caller>,
    pub(crate) keys_made: u64,
    /// A change of the network that waits until its own answer is written.
    pub(crate) pending_network: Option<(Network, Option<std::time::Duration>)>,
}

/// Wall time in ms since 1970.
pub(crate) fn wall_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| u64::try_from(since.as_millis()).ok())
        .unwrap_or_default()
}

impl Core {
    pub(crate) fn new(
        profile: Profile,
        directory: Directory,
        first_close: Option<u64>,
        first_open: Option<u64>,
        first_master: Option<u64>,
        first_wall: Option<u64>,
    ) -> Self {
        let clock = Clock::new();
        let mut core = Self {
            cluster: Cluster::new(profile, first_wall.unwrap_or_else(wall_now)),
            profile,
            routes: Arc::new(Routes::new(profile)),
            first_directory: directory.clone(),
            directory,
            first_close,
            first_open,
            first_master,
            clock,
            first_wall,
            waiting: HashMap::new(),
            rules: Vec::new(),
            log: Vec::new(),
            log_seq: 0,
            counts: BTreeMap::new(),
            searches: BTreeMap::new(),
            poisoned: HashSet::new(),
            current_filter: Arc::default(),
            caller: None,
            keys_made: 0,
            pending_network: None,
        };
        core.first_knobs();
        core
    }

    fn first_knobs(&mut self) {
        let mut knobs = self.cluster.defaults();
        if let Some(ms) = self.first_close {
            knobs.close = crate::cluster::model::Delay::Ms(ms);
        }
        if let Some(ms) = self.first_open {
            knobs.open = crate::cluster::model::Delay::Ms(ms);
        }
        self.cluster.set_defaults(knobs);
        if let Some(ms) = self.first_master {
            self.cluster.set_master_update(ms);
        }
    }

    /// A new cluster, as at the start; waiting callers are cut off.
    pub(crate) fn reset(&mut self) {
        self.cluster = Cluster::new(self.profile, self.first_wall.unwrap_or_else(wall_now));
        self.first_knobs();
        self.directory = self.first_directory.clone();
        self.clock = Clock::new();
        self.waiting.clear();
        self.rules.clear();
        self.log.clear();
        self.counts.clear();
        self.searches.clear();
        self.poisoned.clear();
    }

    /// Lets the cluster catch up with the clock and hands finished answers to their waiters.
    pub(crate) fn tick(&mut self) {
        let now = self.clock.now();
        self.cluster.advance(now);
        self.hand_out();
    }

    /// Hands finished answers to their waiters; one who has left is passed over.
    pub(crate) fn hand_out(&mut self) {
        for (ticket, outcome) in self.cluster.take_finished() {
            if let Some(waiter) = self.waiting.remove(&ticket) {
                drop(waiter.send(outcome));
            }
        }
    }

    /// The filter of the request at work.
    pub(crate) fn filter(&self) -> Arc<Filter> {
        Arc::clone(&self.current_filter)
    }

    /// Deletes a job, with 7.10's fault: a second delete of something that is no id is never answered.
    pub(crate) fn delete_job(&mut self, request: &DeleteRequest) -> Ran {
        if self.poisoned.contains(&request.job) {
            return Ran::Never;
        }
        let outcome = self.cluster.delete_job(request);
        if self.profile.recorded() && outcome.as_ref().is_err_and(|error| error.status == 400) {
            self.poisoned.insert(request.job.clone());
        }
        outcome.into()
    }

    /// 403 for a datafeed whose caller may not read its indices: index rights are not modelled, so only a superuser has them.
    pub(crate) fn refuse_indices(&self, id: &str, body: &Map<String, Value>) -> Option<ApiError> {
        let caller = self.caller.as_ref().filter(|caller| !caller.indices)?;
        let names: Map<String, Value> = body
            .get("indices")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(|name| (name.to_owned(), json!({"indices:data/read/search": false})))
            .collect();
        let text = format!(
            "Cannot create datafeed [{id}] because user {} lacks permissions on the indices: {}",
            caller.user,
            Value::Object(names)
        );
        Some(ApiError::new(403, "security_exception", text))
    }
}
