//! The way to one Elasticsearch: from a connection to a client that was proven.
//!
//! Runs beside the cluster's task and tells it what the connection is worth; looks at the credentials once a minute, sooner
//! after trouble, at once when asked. A cluster whose answers are being read is not probed besides. What the connection
//! names is read by `resolve`.

use std::sync::Arc;
use std::time::Duration;

use kube::Client as KubeClient;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::Dial;
use super::cluster::Message;
use super::connection_status::{self, Acknowledged, Beside, Probe};
use super::pulse::{Pulse, Signs};
use super::rejection::Rejection;
use super::resolve::Place;
use super::source::{Home, Known, Source};
use super::translate::trouble_of;
use super::writer::Writer;
use crate::api::{
    Access, ClusterElasticsearchConnection, ConnectionKind, ElasticsearchConnection, Reason,
};
use crate::clock::Clock;
use crate::elasticsearch::{Client, Endpoint, Error, Product, Version, privileges};
use crate::reconciler::health::needs_a_human;
use crate::reconciler::input::{Connection, Trouble, Urgency, Usable};

/// How often a good connection is proven again.
const PROBE: Duration = Duration::from_secs(60);
/// A cluster that has answered within this time need not be probed.
const PULSE: Duration = Duration::from_secs(150);
/// So long its version and licence are taken to be what they were.
const SAME_FOR: Duration = Duration::from_secs(3600);
/// How many jobs close at once where the connection does not say.
const DEFAULT_MAX_CLOSING: usize = 64;
/// How many calls are on their way at once, likewise.
const DEFAULT_MAX_IN_FLIGHT: usize = 8;
/// Nothing asks for a probe more often than this.
const AT_MOST_EVERY: Duration = Duration::from_secs(5);
/// The annotation by which a human accepts that another cluster answers at the url.
const ACCEPT_UUID: &str = "anomalyjob.dev/accept-cluster-uuid";

impl Known {
    /// A probe of the one would find out the same as a probe of the other.
    fn asks_the_same(&self, other: &Self) -> bool {
        let (Self::Object(one), Self::Object(two)) = (self, other) else {
            return self.is(other);
        };
        let of = |object: &Source| {
            let meta = &object.metadata;
            let accepted = meta
                .annotations
                .as_ref()
                .and_then(|all| all.get(ACCEPT_UUID))
                .cloned();
            (meta.uid.clone(), meta.generation, accepted)
        };
        of(one) == of(two)
    }
}

/// The client in use.
struct Current {
    endpoint: Endpoint,
    client: Client,
    /// The names by which people find the credentials.
    credentials: String,
}

/// Proves one connection, for as long as the cluster's task lives.
pub(super) struct Link {
    pub(super) home: Arc<Home>,
    /// The namespace of the Secrets and ConfigMaps that the connection names.
    pub(super) secrets: String,
    pub(super) kube: KubeClient,
    pub(super) writer: Writer,
    pub(super) known: watch::Receiver<Known>,
    pub(super) recheck: mpsc::Receiver<()>,
    pub(super) cluster: mpsc::UnboundedSender<Message>,
    pub(super) pulse: Pulse,
    pub(super) clock: Clock,
    pub(super) dial: Dial,
    pub(super) way: Way,
}

/// How far it has come.
#[derive(Default)]
pub(super) struct Way {
    current: Option<Current>,
    rejection: Rejection,
    /// An answer to another request has made this look necessary: it was the first try.
    suspected: bool,
    /// The actions that the credentials lacked when that was asked last: at first, after something was refused, and until nothing
    /// that is needed is. `None`: it was not answered.
    lacks: Option<Vec<&'static str>>,
    /// It was asked of this client.
    asked: bool,
    /// What its licence was when that was answered last.
    licensed: Option<bool>,
    /// What the last probe found, for as long as nothing says that it is no longer so.
    proven: Option<Probe>,
    /// When that was asked.
    probed: Option<Instant>,
    /// What failed beside the probes, for its owner. As it was at the last one: each change of it is a write.
    complaint: Option<Trouble>,
    /// Its own last write.
    acknowledged: Acknowledged,
}

impl Link {
    /// Runs until the cluster's task is gone.
    pub(super) async fn run(mut self) {
        let mut failures = 0_u32;
        loop {
            let known = self.known.borrow_and_update().clone();
            let mut signs = self.pulse.watch();
            let outcome = self.prove(&known).await;
            self.way.proven = outcome.as_ref().ok().cloned();
            self.way.complaint = self.pulse.complaint();
            failures = if outcome.is_ok() || !matches!(known, Known::Object(_)) {
                0
            } else {
                failures.saturating_add(1)
            };
            if !matches!(known, Known::NotYet) {
                self.tell(&known, &outcome);
            }
            // What was found out is said of what was asked about, and of no connection that came meanwhile.
            let newest = self.known.borrow().clone();
            if newest.asks_the_same(&known)
                && let Known::Object(object) = &newest
            {
                self.report(object, &outcome).await;
            }
            let pause = match (&known, &outcome) {
                // There is nothing to be probed before another one is known.
                (Known::NotYet | Known::Unusable(_), _) => None,
                (_, Ok(_)) => Some(PROBE),
                (_, Err(trouble)) if waits_for_a_human(trouble.reason) => Some(PROBE),
                (_, Err(_)) => Some(Duration::from_secs(1 << failures.min(5)).min(PROBE)),
            };
            if !self.wait(pause, &known, &outcome, &mut signs).await {
                return;
            }
        }
    }

    /// Waits for the next probe; false when there is nobody to probe for.
    async fn wait(
        &mut self,
        pause: Option<Duration>,
        proven: &Known,
        outcome: &Result<Probe, Trouble>,
        signs: &mut watch::Receiver<Signs>,
    ) -> bool {
        let over = pause.map(|pause| Instant::now() + pause);
        let floor = Instant::now() + AT_MOST_EVERY;
        loop {
            let asked = async {
                tokio::time::sleep_until(floor).await;
                self.recheck.recv().await
            };
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(over.unwrap_or(floor)), if over.is_some() => return true,
                asked = asked => {
                    self.way.proven = None;
                    self.way.suspected = true;
                    return asked.is_some();
                }
                changed = self.known.changed() => {
                    if changed.is_err() {
                        return false;
                    }
                    let now = self.known.borrow_and_update().clone();
                    if !now.asks_the_same(proven) {
                        self.way.proven = None;
                        return true;
                    }
                    // Our own write came back, or somebody else wrote the status.
                    if let Known::Object(object) = &now {
                        self.report(object, outcome).await;
                    }
                }
                Ok(()) = signs.changed() => {
                    let now = self.known.borrow().clone();
                    if let Known::Object(object) = &now
                        && now.asks_the_same(proven)
                    {
                        self.report(object, outcome).await;
                    }
                }
            }
        }
    }

    fn tell(&self, known: &Known, outcome: &Result<Probe, Trouble>) {
        let current = outcome.as_ref().ok().and(self.way.current.as_ref());
        let connection = match (known, outcome, current) {
            (Known::Object(object), Ok(probe), Some(current)) => {
                Connection::Usable(usable(&object.access, probe, current))
            }
            (_, Err(trouble), _) => Connection::Unusable(trouble.clone()),
            (_, Ok(_), _) => Connection::Unusable(Trouble::new(Reason::Pending, "no client yet")),
        };
        let client = current.map(|current| Box::new(current.client.clone()));
        // Nobody listens any more: the next wait ends this task.
        let _ = self.cluster.send(Message::Link(client, connection));
    }

    fn object(known: &Known) -> Result<Arc<Source>, Trouble> {
        match known {
            Known::NotYet => Err(Trouble::new(
                Reason::Pending,
                "the connections were not listed yet",
            )),
            Known::Unusable(trouble) => Err(trouble.clone()),
            Known::Object(object) => Ok(Arc::clone(object)),
        }
    }

    async fn prove(&mut self, known: &Known) -> Result<Probe, Trouble> {
        let object = Self::object(known)?;
        if object.access.suspend {
            return Err(Trouble::new(
                Reason::ConnectionSuspended,
                "the connection is suspended (suspend: true), so nothing is sent to Elasticsearch",
            ));
        }
        let suspected = std::mem::take(&mut self.way.suspected);
        self.connect(&object).await?;
        let recent = self.way.probed.is_some_and(|at| at.elapsed() < SAME_FOR);
        let proven = self.way.proven.take();
        let proven = proven.filter(|_| recent && self.pulse.within(PULSE));
        if let Some(probe) =
            proven.filter(|probe| probe.has_license && !self.lacks_what_is_needed())
        {
            return Ok(probe);
        }
        let mut answer = self.ask().await?;
        if let Err(error) = &answer
            && others_may_do(error)
        {
            // What was read may have been replaced meanwhile.
            let first = *error == Error::CredentialsInvalid && !suspected;
            if self.connect(&object).await? || first {
                answer = self.ask().await?;
            }
        }
        let denied = matches!(answer, Err(Error::MissingPrivilege(_)));
        let new = answer.is_ok() && !self.way.asked;
        if new || denied || suspected || self.lacks_what_is_needed() {
            self.way.asked = true;
            self.way.lacks = self.lacks().await;
        }
        let probe = answer.map_err(|error| self.trouble(&error))?;
        self.way.probed = Some(Instant::now());
        self.way.licensed = Some(probe.has_license);
        same_cluster(&object, &probe)?;
        Ok(probe)
    }

    /// What the credentials lack. A cluster without security refuses the question, and nobody lacks anything there.
    async fn lacks(&self) -> Option<Vec<&'static str>> {
        match &self.way.current {
            Some(current) if !current.endpoint.credentials.are_none() => {
                current.client.lacks().await.ok()
            }
            _ => None,
        }
    }

    fn lacks_what_is_needed(&self) -> bool {
        let mut lacks = self.way.lacks.iter().flatten();
        lacks.any(|action| privileges::is_needed(action))
    }

    /// Reads what the connection names, and makes a client of it. Returns whether it is another one than before.
    async fn connect(&mut self, object: &Source) -> Result<bool, Trouble> {
        let place = Place {
            kube: &self.kube,
            namespace: &self.secrets,
        };
        let resolved = place.resolve(&object.access).await?;
        let same = |current: &Current| current.endpoint.same(&resolved.endpoint);
        if self.way.current.as_ref().is_some_and(same) {
            return Ok(false);
        }
        let client = (self.dial)(&resolved.endpoint).map_err(|error| resolved.trouble(&error))?;
        self.way.current = Some(Current {
            client,
            credentials: resolved.credentials_from().to_owned(),
            endpoint: resolved.endpoint,
        });
        self.way.proven = None;
        self.way.lacks = None;
        self.way.asked = false;
        self.way.licensed = None;
        Ok(true)
    }

    /// Probes, unless these credentials were rejected a moment ago.
    async fn ask(&self) -> Result<Result<Probe, Error>, Trouble> {
        let Some(current) = &self.way.current else {
            return Err(Trouble::new(Reason::Pending, "no client yet"));
        };
        match self.way.rejection.of(&current.endpoint) {
            Some(trouble) => Err(trouble.clone()),
            None => Ok(probe(&current.client, &self.pulse, self.way.licensed).await),
        }
    }

    /// What a failed probe means; credentials that are rejected rest from now on.
    fn trouble(&mut self, error: &Error) -> Trouble {
        let mut trouble = trouble_of(error);
        if trouble.reason == Reason::MissingPrivilege && self.lacks_what_is_needed() {
            let lacks = self.way.lacks.iter().flatten().copied();
            let lacks: Vec<&str> = lacks
                .filter(|action| privileges::is_needed(action))
                .collect();
            let lacks = lacks.join(", ");
            trouble.message = Arc::from(format!(
                "the credentials lack {lacks} (HTTP 403); the cluster privilege manage_ml is enough"
            ));
        }
        if let Some(current) = &self.way.current
            && *error == Error::CredentialsInvalid
        {
            trouble.message = Arc::from(rejected(&current.credentials));
            self.way.rejection.note(&current.endpoint, &trouble);
        }
        trouble
    }

    async fn report(&mut self, object: &Source, outcome: &Result<Probe, Trouble>) {
        let beside = Beside {
            lacks: self.way.lacks.as_deref(),
            signs: self.pulse.signs(),
            complaint: self.way.complaint.as_ref(),
        };
        let (known, now) = (&self.way.acknowledged, self.clock.now());
        if let Some((over, status)) = connection_status::next(object, known, outcome, beside, now) {
            let tenant = Arc::from(self.home.namespace());
            let turn = self.writer.turn(&tenant, Urgency::ForCall).await;
            // A conflict or an outage: the next probe, or the delivery of what changed, comes here again.
            let (writer, at) = (&self.writer, over.borrowed());
            let answer = match object.kind() {
                ConnectionKind::ElasticsearchConnection => {
                    let write = writer.write::<ElasticsearchConnection>(turn, &at, &status);
                    write.await
                }
                ConnectionKind::ClusterElasticsearchConnection => {
                    let write = writer.write::<ClusterElasticsearchConnection>(turn, &at, &status);
                    write.await
                }
            };
            if let Ok(version) = answer {
                self.way.acknowledged.note(over, version, status);
            }
        }
    }
}

/// `/`, and `_ml/info`, which also proves the product where `/` may not be read; and the licence, where that may be read.
async fn probe(
    client: &Client,
    pulse: &Pulse,
    licensed_before: Option<bool>,
) -> Result<Probe, Error> {
    let identity = match client.identify().await {
        Ok(identity) => Some(identity),
        Err(Error::MissingPrivilege(_)) => None,
        Err(error) => return Err(error),
    };
    pulse.upgrade_mode(client.ml_info().await?.upgrade_mode);
    let has_license = match &identity {
        Some(_) => licensed(client.has_ml_license().await, licensed_before)?,
        None => true,
    };
    let before_7_14 = match &identity {
        Some(identity) => identity.version < Version::WITH_PRODUCT_HEADER,
        None => client.product() == Product::ElasticsearchBefore714,
    };
    Ok(Probe {
        cluster_uuid: identity
            .as_ref()
            .map(|identity| Arc::from(identity.cluster_uuid.as_str())),
        cluster_name: identity
            .as_ref()
            .map(|identity| Arc::from(identity.cluster_name.as_str())),
        version: identity
            .as_ref()
            .map(|identity| Arc::from(identity.version.to_string())),
        has_license,
        stops_datafeeds: !before_7_14,
        // Where the version is not known it may be one of these.
        closes_idle_jobs: identity
            .as_ref()
            .is_none_or(|identity| identity.version >= Version::CLOSES_IDLE_JOBS),
    })
}

/// Who may not read the licence, by its rights or by what stands before Elasticsearch, learns it at the first open. An answer
/// that did not come tells nothing: what was known stays.
fn licensed(answer: Result<bool, Error>, before: Option<bool>) -> Result<bool, Error> {
    match answer {
        Err(
            Error::MissingPrivilege(_)
            | Error::RequestRefused { .. }
            | Error::UnexpectedAnswer {
                status: 403..=405, ..
            },
        ) => Ok(true),
        Err(error) => before.ok_or(error),
        known @ Ok(_) => known,
    }
}

/// Other credentials, or another authority, may be the answer to it.
fn others_may_do(error: &Error) -> bool {
    matches!(error, Error::CredentialsInvalid | Error::Tls(_))
}

fn rejected(credentials: &str) -> String {
    if credentials.is_empty() {
        return "Elasticsearch wants credentials (HTTP 401), and none are given; name them in auth"
            .to_owned();
    }
    format!(
        "the credentials are rejected (HTTP 401): mend {credentials}; it is read again each minute, and what is in it now is tried again in five"
    )
}

/// A connection that works, in the words of the brain.
fn usable(access: &Access, probe: &Probe, current: &Current) -> Usable {
    let identity = probe.cluster_uuid.clone();
    let limits = access.limits.as_ref();
    let or = |said: Option<u32>, default| {
        let said = said.and_then(|most| usize::try_from(most).ok());
        said.unwrap_or(default)
    };
    Usable {
        identity: identity.unwrap_or_else(|| current.endpoint.identity()),
        cluster_uuid: probe.cluster_uuid.clone(),
        version: probe.version.clone(),
        stops_datafeeds: probe.stops_datafeeds,
        closes_idle_jobs: probe.closes_idle_jobs,
        list_room: current.client.list_room(),
        max_closing: or(
            limits.and_then(|limits| limits.max_closing),
            DEFAULT_MAX_CLOSING,
        ),
        max_in_flight: or(
            limits.and_then(|limits| limits.max_in_flight),
            DEFAULT_MAX_IN_FLIGHT,
        ),
    }
}

/// Nothing is called on a cluster whose uuid differs from the recorded one.
fn same_cluster(object: &Source, probe: &Probe) -> Result<(), Trouble> {
    let recorded = object
        .status
        .as_ref()
        .and_then(|status| status.cluster_uuid.as_deref());
    let accepted = object
        .metadata
        .annotations
        .as_ref()
        .and_then(|all| all.get(ACCEPT_UUID));
    match (recorded, probe.cluster_uuid.as_deref()) {
        (Some(before), Some(now)) if before != now && accepted.map(String::as_str) != Some(now) => {
            Err(Trouble::new(
                Reason::ClusterChanged,
                format!(
                    "another cluster answers at the url: {now} instead of {before}; if that is meant, annotate the connection with {ACCEPT_UUID}={now}"
                ),
            ))
        }
        _ => Ok(()),
    }
}

/// What only an edit mends is not probed faster and faster. A Secret often comes a moment after the connection that names it.
fn waits_for_a_human(reason: Reason) -> bool {
    let comes = matches!(
        reason,
        Reason::SecretNotFound | Reason::SecretInvalid | Reason::RequestRefused
    );
    reason == Reason::InvalidObject || needs_a_human(reason) && !comes
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
