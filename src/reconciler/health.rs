//! What is known of the cluster as a whole: whether it may be called, and what it is doing to itself.
//!
//! A cluster in trouble is not called and nobody's deadline moves; that is all this file decides.

use std::sync::Arc;
use std::time::Duration;

use super::input::{Allowances, Connection, Moment, Trouble};
use super::pace;
use crate::api::{Allow, Reason};

/// The health of one cluster.
#[derive(Debug, Clone)]
pub struct Health {
    connection: Option<Connection>,
    identity: Option<Arc<str>>,
    /// The newest uuid that was told, and uuid and version as they were told last.
    cluster: Option<Arc<str>>,
    told_of: (Option<Arc<str>>, Option<Arc<str>>),
    allow: Allowances,
    trouble: Option<Trouble>,
    failures: u32,
    refused_calls: u32,
    /// Why calls are refused, until one is not.
    refusal: Option<Trouble>,
    retry_at: Duration,
    upgrade_mode: bool,
    datafeeds_first: bool,
    last_answer: Duration,
    since: Duration,
}

impl Health {
    /// Of a cluster that nothing is known of yet.
    pub fn new(now: Moment) -> Self {
        Self {
            connection: None,
            identity: None,
            cluster: None,
            told_of: (None, None),
            allow: Allowances::default(),
            trouble: None,
            failures: 0,
            refused_calls: 0,
            refusal: None,
            retry_at: Duration::ZERO,
            upgrade_mode: false,
            datafeeds_first: false,
            last_answer: now.monotonic,
            since: now.monotonic,
        }
    }

    /// The connection was resolved, lost or changed. Returns whether that is news.
    pub fn connect(&mut self, connection: Connection, now: Moment) -> bool {
        if self.connection.as_ref() == Some(&connection) {
            return false;
        }
        let was = self.reason();
        if let Connection::Usable(usable) = &connection {
            self.identity = Some(Arc::clone(&usable.identity));
            self.told_of = (usable.cluster_uuid.clone(), usable.version.clone());
            let before = self.cluster.clone();
            self.cluster = usable.cluster_uuid.clone().or(self.cluster.take());
            if before.is_some() && self.cluster != before {
                // What was learned of its ways was learned of another one.
                (self.upgrade_mode, self.datafeeds_first) = (false, false);
            }
        }
        self.connection = Some(connection);
        if self.reason() != was {
            self.since = now.monotonic;
        }
        self.trouble = None;
        self.failures = 0;
        self.refused_calls = 0;
        self.refusal = None;
        self.retry_at = now.monotonic;
        true
    }

    /// A read was answered. Returns whether that ends a trouble.
    pub fn answered(&mut self, upgrade_mode: Option<bool>, now: Moment) -> bool {
        let mut news = upgrade_mode.is_some_and(|mode| mode != self.upgrade_mode);
        self.last_answer = now.monotonic;
        if let Some(mode) = upgrade_mode {
            self.upgrade_mode = mode;
        }
        // That reads are answered says nothing of calls: without a master only those are refused.
        if self.refused_calls == 0 || now.monotonic >= self.retry_at {
            news |= self.trouble.take().is_some();
            self.failures = 0;
            self.retry_at = now.monotonic;
        }
        news
    }

    /// The cluster as a whole did not answer. Returns whether that is news.
    pub fn failed(&mut self, trouble: Trouble, now: Moment) -> bool {
        let news = self.reason() != Some(trouble.reason);
        if news {
            self.since = now.monotonic;
        }
        self.failures = self.failures.saturating_add(1);
        self.retry_at = now.monotonic
            + pace::retry_delay(self.failures, 1).max(trouble.retry_after.unwrap_or_default());
        self.trouble = Some(trouble);
        news
    }

    /// A call was refused for the state of the whole cluster. Returns whether that is news. The next try comes later
    /// each time, however many calls were refused together and whatever was read since.
    pub fn refused(&mut self, trouble: Trouble, now: Moment) -> bool {
        if self.refused_calls > 0 && self.trouble.is_some() && now.monotonic < self.retry_at {
            return false;
        }
        self.failures = self.failures.max(self.refused_calls);
        self.refused_calls = self.refused_calls.saturating_add(1);
        self.refusal = Some(trouble.clone());
        self.failed(trouble, now)
    }

    /// A call was answered by a cluster that is able to. Returns whether that is news.
    pub fn called(&mut self) -> bool {
        self.refused_calls = 0;
        self.refusal.take().is_some()
    }

    /// What people are told: that calls are refused stays true while another one is tried.
    pub fn told(&self) -> Option<Trouble> {
        self.trouble().or_else(|| self.refusal.clone())
    }

    /// A call was refused because of upgrade mode.
    pub fn upgrading(&mut self) {
        self.upgrade_mode = true;
    }

    /// A close was refused because a datafeed runs: this Elasticsearch is older than 7.14.
    pub fn stop_datafeeds_first(&mut self) {
        self.datafeeds_first = true;
    }

    /// A client exists, so reads can be tried.
    pub fn readable(&self) -> bool {
        matches!(self.connection, Some(Connection::Usable(_)))
    }

    /// The time before which no further read is tried.
    pub fn retry_at(&self) -> Duration {
        self.retry_at
    }

    /// Why nothing can be said or done, if that is so.
    pub fn trouble(&self) -> Option<Trouble> {
        match &self.connection {
            None => Some(Trouble::new(Reason::Pending, "connecting to Elasticsearch")),
            Some(Connection::Unusable(trouble)) => Some(trouble.clone()),
            Some(Connection::Usable(_)) => self.trouble.clone(),
        }
    }

    /// Nothing may be asked for these objects, so nothing is claimed of what was seen for them before.
    pub fn shut_out(&self) -> Option<Trouble> {
        self.trouble()
            .filter(|trouble| trouble.reason == Reason::NamespaceNotAllowed)
    }

    /// Who the cluster is for claims. It stays who it was while it cannot be reached.
    pub fn claims_as(&self) -> Option<Arc<str>> {
        self.identity.clone()
    }

    /// What may be done through the connection, as it was told last. Nothing is called before it was told.
    pub fn allow(&self, namespace: &str) -> &Allow {
        self.allow.of(namespace)
    }

    /// Something else may be done from now on. Returns what might be done before, where that differs.
    pub fn allowed(&mut self, now: Allowances) -> Option<Allowances> {
        let before = std::mem::replace(&mut self.allow, now);
        (before != self.allow).then_some(before)
    }

    /// The objects of this namespace may do this from now on. Returns whether that is new.
    pub fn allowed_to(&mut self, namespace: &Arc<str>, allow: Allow) -> bool {
        self.allow.allow(namespace, allow)
    }

    fn reason(&self) -> Option<Reason> {
        self.trouble().map(|trouble| trouble.reason)
    }

    /// Elasticsearch's upgrade mode is on.
    pub fn upgrade_mode(&self) -> bool {
        self.upgrade_mode
    }

    /// A running datafeed has to be stopped by an own step before a close.
    pub fn datafeeds_first(&self) -> bool {
        self.datafeeds_first
            || matches!(
                &self.connection,
                Some(Connection::Usable(usable)) if !usable.stops_datafeeds
            )
    }

    /// Elasticsearch may close idle jobs by itself.
    pub fn closes_idle_jobs(&self) -> bool {
        match &self.connection {
            Some(Connection::Usable(usable)) => usable.closes_idle_jobs,
            Some(Connection::Unusable(_)) | None => true,
        }
    }

    /// The cluster's uuid and version, as far as they are known. They stay what they were while it cannot be reached.
    pub fn identity(&self) -> (Option<Arc<str>>, Option<Arc<str>>) {
        self.told_of.clone()
    }

    /// The newest uuid that was told, also where that of now may not be read.
    pub fn cluster(&self) -> Option<Arc<str>> {
        self.cluster.clone()
    }

    /// The cluster has not answered for so long that nothing may be claimed of it.
    pub fn not_observed(&self, now: Moment) -> bool {
        self.trouble().is_some() && now.monotonic >= self.not_observed_at()
    }

    /// When that is or was.
    pub fn not_observed_at(&self) -> Duration {
        self.last_answer + pace::NOT_OBSERVED_AFTER
    }

    /// The trouble is one that a human must mend and has lasted longer than the time in which it may still be created.
    pub fn stalled(&self, now: Moment) -> Option<Trouble> {
        let stalled = self.stalls_at().is_some_and(|at| now.monotonic >= at);
        self.trouble().filter(|_| stalled)
    }

    /// From when on that is so, as long as this trouble lasts; `None` where it is no such trouble.
    pub fn stalls_at(&self) -> Option<Duration> {
        let trouble = self.trouble();
        let needs = trouble.is_some_and(|trouble| needs_a_human(trouble.reason));
        needs.then(|| self.stalled_at())
    }

    /// When a trouble that a human must mend has lasted for so long.
    pub fn stalled_at(&self) -> Duration {
        self.since + pace::GRACE
    }
}

/// Reasons that do not heal by themselves.
pub fn needs_a_human(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::ConnectionNotFound
            | Reason::NamespaceNotAllowed
            | Reason::SecretNotFound
            | Reason::SecretInvalid
            | Reason::CAInvalid
            | Reason::URLInvalid
            | Reason::EndpointNotAllowed
            | Reason::CredentialsInvalid
            | Reason::MissingPrivilege
            | Reason::VersionTooOld
            | Reason::MLUnavailable
            | Reason::LicenseMissing
            | Reason::ClusterChanged
            | Reason::RequestRefused
    )
}
