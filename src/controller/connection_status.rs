//! The status of an ElasticsearchConnection as a function of what the last probe found. Pure.

use std::fmt::Write as _;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

use super::pulse::Signs;
use super::source::Source;
use super::writer::Precondition;
use crate::api::{
    ConditionStatus, ConditionType, ElasticsearchConnectionStatus, Lacking, Privileges, Reason,
    new_condition,
};
use crate::elasticsearch::privileges;
use crate::reconciler::health::needs_a_human;
use crate::reconciler::input::Trouble;

/// What is missing may still be created for so many seconds before a human is called.
const GRACE: i64 = 120;

/// What a successful probe found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Probe {
    /// `cluster_uuid`, where `GET /` may be read.
    pub(super) cluster_uuid: Option<Arc<str>>,
    /// `cluster_name`, likewise.
    pub(super) cluster_name: Option<Arc<str>>,
    /// `version.number`, likewise.
    pub(super) version: Option<Arc<str>>,
    /// The licence has machine learning, or may not be read.
    pub(super) has_license: bool,
    /// 7.14 or later: a close stops running datafeeds.
    pub(super) stops_datafeeds: bool,
    /// It may be of a version that closes idle jobs by itself.
    pub(super) closes_idle_jobs: bool,
}

/// What is known beside a probe.
#[derive(Clone, Copy, Default)]
pub(super) struct Beside<'a> {
    /// The actions that the credentials lack.
    pub(super) lacks: Option<&'a [&'static str]>,
    /// What the cluster does to itself.
    pub(super) signs: Signs,
    /// What failed all the same, of which the objects that it serves are not told why.
    pub(super) complaint: Option<&'a Trouble>,
}

/// The preconditions of a write, owned.
pub(super) struct At {
    namespace: String,
    name: String,
    uid: String,
    resource_version: String,
}

impl At {
    pub(super) fn borrowed(&self) -> Precondition<'_> {
        Precondition {
            namespace: &self.namespace,
            name: &self.name,
            uid: &self.uid,
            resource_version: &self.resource_version,
        }
    }
}

/// The write that was acknowledged last. Until the watch brings it back, what the watch has told of is older.
#[derive(Default)]
pub(super) struct Acknowledged(Option<Written>);

struct Written {
    over: At,
    version: Arc<str>,
    status: ElasticsearchConnectionStatus,
}

impl Acknowledged {
    /// This status was stored under this version.
    pub(super) fn note(
        &mut self,
        over: At,
        version: Arc<str>,
        status: ElasticsearchConnectionStatus,
    ) {
        self.0 = Some(Written {
            over,
            version,
            status,
        });
    }

    /// The object is the one that was written over.
    fn of(&self, at: &At) -> Option<&Written> {
        let same = |written: &&Written| {
            written.over.uid == at.uid && written.over.resource_version == at.resource_version
        };
        self.0.as_ref().filter(same)
    }
}

/// Connected, what the credentials may not do, and what failed all the same: nothing of that keeps a connection from being used.
fn connected(probe: &Probe, beside: Beside) -> String {
    let mut text = "connected".to_owned();
    let lacks = beside.lacks.unwrap_or_default();
    if let Some(Trouble {
        reason, message, ..
    }) = beside.complaint
    {
        let _ = write!(
            text,
            "; but not all that is asked of the cluster succeeds ({reason}): {message}"
        );
    }
    if probe.version.is_none() {
        text.push_str("; the credentials may not read GET / (privilege monitor), so version and uuid are unknown, and what others do to jobs is noticed later");
    }
    let lacking = |(action, _): &&(&str, &str)| lacks.contains(action);
    let changes: Vec<_> = privileges::CHANGES.iter().filter(lacking).collect();
    if !changes.is_empty() {
        let words: Vec<&str> = changes.iter().map(|(_, words)| *words).collect();
        let actions: Vec<&str> = changes.iter().map(|(action, _)| *action).collect();
        let (words, actions) = (words.join(", "), actions.join(", "));
        let _ = write!(
            text,
            "; they may not {words}: give them the cluster privilege manage_ml, or {actions}"
        );
    }
    let reads = privileges::READS
        .iter()
        .filter(|action| lacks.contains(action));
    let reads: Vec<&str> = reads.copied().collect();
    if !reads.is_empty() {
        let _ = write!(
            text,
            "; they lack {}, which manage_ml has",
            reads.join(", ")
        );
    }
    text
}

/// What keeps a cluster that answers from doing all that is asked of it.
fn concern(probe: &Probe, signs: Signs) -> Option<Trouble> {
    if !probe.has_license {
        return Some(Trouble::new(
            Reason::LicenseMissing,
            "the licence of the cluster has no machine learning, or has expired: jobs can be closed, but neither opened nor their datafeeds started; renew it, or start a trial",
        ));
    }
    if signs.no_master {
        return Some(Trouble::new(
            Reason::NoMaster,
            "the cluster answers, but has no master: nothing is called until it has one; look at its nodes",
        ));
    }
    signs.upgrade_mode?.then(|| {
        Trouble::new(
            Reason::UpgradeMode,
            "machine learning is in upgrade mode: nothing is called until it ends; end it with POST _ml/set_upgrade_mode?enabled=false",
        )
    })
}

/// What does not work without an action, and the privilege that has it.
fn consequence(action: &str) -> String {
    let changes = privileges::CHANGES
        .iter()
        .find(|(known, _)| *known == action);
    match (action, changes) {
        (_, Some((_, words))) => format!("the operator cannot {words} (privilege manage_ml)"),
        (privileges::MAIN, _) => "version and cluster id are unknown (privilege monitor)".to_owned(),
        (privileges::STATE, _) => "what others do to closed jobs is noticed later, as they are asked for in turn (privilege monitor)".to_owned(),
        (privileges::LICENSE, _) => "a licence without machine learning is noticed at the first open (privilege monitor)".to_owned(),
        _ => "jobs and datafeeds cannot be seen as a whole (privilege manage_ml)".to_owned(),
    }
}

fn told(lacks: &[&'static str]) -> Privileges {
    let (lacking, granted): (Vec<&str>, Vec<&str>) =
        privileges::all().partition(|action| lacks.contains(action));
    let lacking = lacking.into_iter().map(|action| Lacking {
        action: action.to_owned(),
        consequence: consequence(action),
    });
    Privileges {
        granted: granted.into_iter().map(str::to_owned).collect(),
        lacking: lacking.collect(),
    }
}

/// Whether a human is waited for, or it goes on by itself. A connection that is suspended does neither.
fn outlook(trouble: &Trouble, seconds: i64) -> Option<ConditionType> {
    match trouble.reason {
        // A Secret may come a moment after the connection that names it.
        Reason::SecretNotFound if seconds < GRACE => Some(ConditionType::Reconciling),
        Reason::ConnectionSuspended => None,
        Reason::InvalidObject => Some(ConditionType::Stalled),
        reason if needs_a_human(reason) => Some(ConditionType::Stalled),
        _ => Some(ConditionType::Reconciling),
    }
}

/// What is known of the cluster now. What was known before stands where it cannot be asked.
fn seen(
    before: ElasticsearchConnectionStatus,
    outcome: &Result<Probe, Trouble>,
    reason: Reason,
    Beside { lacks, signs, .. }: Beside,
) -> ElasticsearchConnectionStatus {
    let mut after = before;
    if let Ok(probe) = outcome {
        let text = |value: &Option<Arc<str>>| value.as_ref().map(ToString::to_string);
        // A uuid that was known stays recorded where it can no longer be read.
        after.cluster_uuid = text(&probe.cluster_uuid).or(after.cluster_uuid);
        after.cluster_name = text(&probe.cluster_name).or(after.cluster_name);
        after.version = text(&probe.version);
        after.ml_available = Some(probe.has_license);
        after.upgrade_mode = signs.upgrade_mode.or(after.upgrade_mode);
        after.privileges = lacks.map(told);
    }
    match reason {
        Reason::MLUnavailable | Reason::LicenseMissing => after.ml_available = Some(false),
        Reason::MissingPrivilege => after.privileges = lacks.map(told).or(after.privileges),
        _ => {}
    }
    after
}

/// The status that follows from the probe, or nothing where it is stored already.
pub(super) fn next(
    object: &Source,
    acknowledged: &Acknowledged,
    outcome: &Result<Probe, Trouble>,
    beside: Beside,
    now: Timestamp,
) -> Option<(At, ElasticsearchConnectionStatus)> {
    let (at, before) = stored(object, acknowledged);
    let generation = object.metadata.generation.unwrap_or_default();
    let trouble = match outcome {
        Ok(probe) => concern(probe, beside.signs),
        Err(trouble) => Some(trouble.clone()),
    };
    let (status, reason, message) = match (&trouble, outcome) {
        (None, Ok(probe)) => (
            ConditionStatus::True,
            Reason::Connected,
            connected(probe, beside),
        ),
        (Some(trouble), _) | (None, Err(trouble)) => (
            ConditionStatus::False,
            trouble.reason,
            trouble.message.to_string(),
        ),
    };
    let since = |of: ConditionType, status: ConditionStatus| {
        let stored = before.conditions.iter();
        let mut stored = stored.filter(|stored| stored.type_ == of.as_str());
        let same = stored.find(|stored| stored.status == status.as_str());
        same.map_or(now, |stored| stored.last_transition_time.0)
    };
    let say = |of: ConditionType, status: ConditionStatus| {
        new_condition(of, status, reason, &message, generation, since(of, status))
    };
    let mut conditions = vec![say(ConditionType::Ready, status)];
    let lasts = now.duration_since(since(ConditionType::Ready, status));
    let outlook = trouble
        .as_ref()
        .and_then(|trouble| outlook(trouble, lasts.as_secs()));
    conditions.extend(outlook.map(|of| say(of, ConditionStatus::True)));
    let after = ElasticsearchConnectionStatus {
        observed_generation: generation,
        conditions,
        ..seen(before.clone(), outcome, reason, beside)
    };
    (after != before).then_some((at, after))
}

/// What the API server has, as far as it is known, and what has to be written over.
fn stored(object: &Source, acknowledged: &Acknowledged) -> (At, ElasticsearchConnectionStatus) {
    let meta = &object.metadata;
    let told = At {
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        resource_version: meta.resource_version.clone().unwrap_or_default(),
    };
    match acknowledged.of(&told) {
        Some(written) => (
            At {
                resource_version: written.version.to_string(),
                ..told
            },
            written.status.clone(),
        ),
        None => (told, object.status.clone().unwrap_or_default()),
    }
}

#[cfg(test)]
#[path = "connection_status_tests.rs"]
mod tests;
