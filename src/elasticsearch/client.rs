//! The calls. Each sends what its name says and nothing else, once, and says what came back.
//!
//! Reads by id are asked in as many requests as the request line makes necessary, and again without ids that
//! turn out to be unknown. Changes are one request each and are never repeated: whether to repeat is decided
//! by who knows the states.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HeaderValue};
use serde::Deserialize;

use super::answers::{
    DatafeedConfig, DatafeedStats, Identity, JobConfig, JobStats, MlInfo, Snapshot, Tasks, Version,
    View,
};
use super::classify::classify;
use super::endpoint::{Endpoint, SetupError, checked_url};
use super::error::{Error, Impostor, Malformed};
use super::ids::Ids;
use super::product::{Product, Proven};
use super::request::{self, Call};
use super::tls;
use super::transport::{Answer, exchange};
use super::wire::{
    Closed, Entry, Info, List, Opened, Root, Started, Stopped, WireDatafeed, WireDatafeedStats,
    WireJob, WireJobStats, parse,
};
use super::wire_tasks::{ClusterState, Snapshots};
use crate::api::id::{DatafeedId, JobId};

/// How often a read by id is asked again without ids that are unknown. Elasticsearch names all of them at
/// once, so more than a second time happens only where jobs are deleted meanwhile.
const MAX_ROUNDS: usize = 4;

/// What a client allows itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For a connection to come about, TLS included.
    pub connect: Duration,
    /// For each request, from its start to the last byte of its answer. A change with a server timeout has
    /// that much longer.
    pub call: Duration,
    /// The longest request line, in bytes without the line break. Elasticsearch takes 4095 unless
    /// `http.max_initial_line_length` says otherwise (measured; reference 17, point 12).
    pub request_line: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            call: Duration::from_secs(30),
            request_line: 4095,
        }
    }
}

/// A client for one Elasticsearch cluster. Clones share connections and what is known about the product.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    authorization: Option<HeaderValue>,
    limits: Limits,
    /// Set by [`Client::within`].
    time_limit: Option<Duration>,
    proven: Arc<Proven>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.base.as_str())
            .field("limits", &self.limits)
            .field("product", &self.product())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Checks the endpoint and makes a client of it. Sends nothing.
    pub fn new(endpoint: &Endpoint, limits: Limits) -> Result<Self, SetupError> {
        tls::install_provider();
        let base = checked_url(&endpoint.url, endpoint.allow_plaintext)?;
        let authorization = endpoint.credentials.header()?;
        let roots = endpoint.ca_pem.as_deref().map(tls::roots).transpose()?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("anomalyjob-operator/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .http1_only()
            .tls_version_min(reqwest::tls::Version::TLS_1_2)
            .connect_timeout(limits.connect)
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(8);
        if let Some(roots) = roots {
            builder = builder.tls_certs_only(roots);
        } else if base.scheme() == "http" {
            // Not even read where they are of no use: that costs time, and an image may have none.
            builder = builder.tls_certs_only([]);
        }
        // All else was checked above, so what is left to fail is the reading of the system's roots.
        let http = builder.build().map_err(|_| SetupError::NoSystemRoots)?;
        Ok(Self {
            http,
            base,
            authorization,
            limits,
            time_limit: None,
            proven: Arc::default(),
        })
    }

    /// This client with another time limit for each of its requests.
    #[must_use]
    pub fn within(&self, time_limit: Duration) -> Self {
        Self {
            time_limit: Some(time_limit),
            ..self.clone()
        }
    }

    /// What is proven about the server so far.
    pub fn product(&self) -> Product {
        self.proven.product()
    }

    /// `GET /`: which cluster this is, and whether it is one that is supported. Needs the privilege
    /// `monitor`: [`Error::MissingPrivilege`] means that [`Self::ml_info`] has to be the proof.
    pub async fn identify(&self) -> Result<Identity, Error> {
        let call = Call::root();
        let answer = match self.send(&call, self.limits.call).await {
            Ok(answer) => answer,
            Err(error) => {
                if matches!(error, Error::MissingPrivilege(_)) {
                    self.proven.root_was_refused();
                }
                return Err(error);
            }
        };
        let root: Root = parse(&answer.body).map_err(|what| match (answer.has_header, what) {
            // With the header it is Elasticsearch, in an odd form; without, a stranger.
            (true, what) => unusable(&answer, what),
            (false, _) => Error::NotElasticsearch(Impostor::Stranger),
        })?;
        let identity = root.identity(answer.has_header)?;
        self.proven
            .root_said(!answer.has_header && identity.version < Version::WITH_PRODUCT_HEADER);
        Ok(identity)
    }

    /// `GET /_ml/info`: upgrade mode, and the proof of the product where `/` was refused before.
    pub async fn ml_info(&self) -> Result<MlInfo, Error> {
        let answer = self.send(&Call::ml_info(), self.limits.call).await?;
        let info: Info =
            parse(&answer.body).map_err(|what| match (answer.has_header, self.product()) {
                (false, Product::Unproven) => Error::NotElasticsearch(Impostor::Stranger),
                _ => unusable(&answer, what),
            })?;
        self.proven.info_said(answer.has_header);
        Ok(info.into())
    }

    /// The configs of all jobs, 10 000 at most (see [`View::cut`]).
    pub async fn jobs(&self) -> Result<View<JobId, JobConfig>, Error> {
        self.list::<WireJob>(&Call::all_jobs(), None).await
    }

    /// The configs of these jobs.
    pub async fn job_configs(&self, ids: &Ids<JobId>) -> Result<View<JobId, JobConfig>, Error> {
        self.by_id::<WireJob>(ids, Call::jobs, job_is_missing).await
    }

    /// The states of these jobs.
    pub async fn job_stats(&self, ids: &Ids<JobId>) -> Result<View<JobId, JobStats>, Error> {
        self.by_id::<WireJobStats>(ids, Call::job_stats, job_is_missing)
            .await
    }

    /// The states of all jobs, 10 000 at most. Four searches for each closed one: see
    /// [`Self::persistent_tasks`].
    pub async fn all_job_stats(&self) -> Result<View<JobId, JobStats>, Error> {
        self.list::<WireJobStats>(&Call::all_job_stats(), None)
            .await
    }

    /// The newest saved model of a job. Not on serverless.
    pub async fn newest_snapshot(&self, id: &JobId) -> Result<Option<Snapshot>, Error> {
        let call = Call::newest_snapshot(id);
        let answer = self.send(&call, self.limits.call).await?;
        let snapshots: Snapshots = shape(&answer)?;
        snapshots.newest().map_err(|what| unusable(&answer, what))
    }

    /// The tasks of all jobs that are not closed and of all datafeeds that are not stopped, without any
    /// search. Needs the privilege `monitor`. Not on serverless.
    pub async fn persistent_tasks(&self) -> Result<Tasks, Error> {
        let answer = self
            .send(&Call::persistent_tasks(), self.limits.call)
            .await?;
        shape::<ClusterState>(&answer)?.tasks()
    }

    /// The configs of all datafeeds, 10 000 at most.
    pub async fn datafeeds(&self) -> Result<View<DatafeedId, DatafeedConfig>, Error> {
        self.list::<WireDatafeed>(&Call::all_datafeeds(), None)
            .await
    }

    /// The states of these datafeeds.
    pub async fn datafeed_stats(
        &self,
        ids: &Ids<DatafeedId>,
    ) -> Result<View<DatafeedId, DatafeedStats>, Error> {
        self.by_id::<WireDatafeedStats>(ids, Call::datafeed_stats, datafeed_is_missing)
            .await
    }

    /// The states of all datafeeds, 10 000 at most.
    pub async fn all_datafeed_stats(&self) -> Result<View<DatafeedId, DatafeedStats>, Error> {
        self.list::<WireDatafeedStats>(&Call::all_datafeed_stats(), None)
            .await
    }

    /// The jobs in as few lists as [`Self::close`] takes.
    pub fn close_lists(&self, ids: &Ids<JobId>, server_timeout: Duration) -> Vec<Ids<JobId>> {
        request::split(ids, &self.base, self.limits.request_line, |ids| {
            Call::close(ids, server_timeout)
        })
    }

    /// How many bytes of ids, joined by commas, fit into one list for [`Self::close`].
    pub fn list_room(&self) -> usize {
        request::close_room(&self.base, self.limits.request_line)
    }

    /// Closes these jobs gracefully, in one request. `Ok` means that their tasks are gone or moved, which
    /// is a hint: the states say whether they are closed. After [`Error::TimedOut`], a lost connection or a
    /// failed gateway the close may go on.
    ///
    /// `ids` must have been seen as jobs: a name that is a group's alone closes all jobs of the group.
    pub async fn close(&self, ids: &Ids<JobId>, server_timeout: Duration) -> Result<(), Error> {
        let call = Call::close(ids, server_timeout);
        self.change(&call, server_timeout, |closed: Closed| closed.closed)
            .await
    }

    /// Closes one job by force: its work since it last saved its model is lost.
    pub async fn force_close(&self, id: &JobId) -> Result<(), Error> {
        let call = Call::force_close(id);
        self.change(&call, Duration::ZERO, |closed: Closed| closed.closed)
            .await
    }

    /// Opens one job. `Ok` means that it is open, or waits for a node where it may.
    pub async fn open(&self, id: &JobId, server_timeout: Duration) -> Result<(), Error> {
        let call = Call::open(id, server_timeout);
        self.change(&call, server_timeout, |opened: Opened| opened.opened)
            .await
    }

    /// Starts one datafeed, without an end, where it stopped: behind the last record of its job.
    pub async fn start_datafeed(
        &self,
        id: &DatafeedId,
        server_timeout: Duration,
    ) -> Result<(), Error> {
        let call = Call::start_datafeed(id, server_timeout);
        self.change(&call, server_timeout, |started: Started| started.started)
            .await
    }

    /// Stops one datafeed, by force without waiting for its search to end.
    pub async fn stop_datafeed(
        &self,
        id: &DatafeedId,
        force: bool,
        server_timeout: Duration,
    ) -> Result<(), Error> {
        let call = Call::stop_datafeed(id, force, server_timeout);
        self.change(&call, server_timeout, |stopped: Stopped| stopped.stopped)
            .await
    }

    /// One change, whose answer has to say that it was done.
    async fn change<T: for<'de> Deserialize<'de>>(
        &self,
        call: &Call,
        server_timeout: Duration,
        is_done: impl Fn(T) -> bool,
    ) -> Result<(), Error> {
        let time_limit = self.limits.call.saturating_add(server_timeout);
        let answer = self.send(call, time_limit).await?;
        if is_done(shape(&answer)?) {
            Ok(())
        } else {
            Err(unusable(&answer, Malformed::WrongShape))
        }
    }

    async fn list<T>(
        &self,
        call: &Call,
        asked: Option<&[T::Id]>,
    ) -> Result<View<T::Id, T::Item>, Error>
    where
        T: Entry + for<'de> Deserialize<'de>,
    {
        let answer = self.send(call, self.limits.call).await?;
        let list: List<T> = shape(&answer)?;
        list.view(asked).map_err(|what| unusable(&answer, what))
    }

    async fn by_id<T>(
        &self,
        ids: &Ids<T::Id>,
        call: impl Fn(&Ids<T::Id>) -> Call,
        missing: impl Fn(&Error) -> Option<&[T::Id]>,
    ) -> Result<View<T::Id, T::Item>, Error>
    where
        T: Entry + for<'de> Deserialize<'de>,
        T::Id: std::fmt::Display,
    {
        let mut view = View::default();
        for part in request::split(ids, &self.base, self.limits.request_line, &call) {
            let mut left = Some(part);
            let mut rounds = 0;
            while let Some(asked) = left.take() {
                rounds += 1;
                match self.list::<T>(&call(&asked), Some(asked.as_slice())).await {
                    Ok(found) => view.absorb(found),
                    Err(error) => {
                        let Some(gone) = missing(&error).filter(|_| rounds < MAX_ROUNDS) else {
                            return Err(error);
                        };
                        view.missing.extend_from_slice(gone);
                        view.requests += 1;
                        left = asked.without(gone);
                    }
                }
            }
        }
        view.missing.sort();
        Ok(view)
    }

    async fn send(&self, call: &Call, time_limit: Duration) -> Result<Answer, Error> {
        let url = call.url(&self.base).ok_or(Error::Unsendable)?;
        if call.line_length(&url) > self.limits.request_line {
            return Err(Error::LineTooLong);
        }
        let mut request = reqwest::Request::new(call.method.clone(), url);
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let time_limit = self.time_limit.unwrap_or(time_limit);
        let admit = |has_header| self.proven.admit(call.proof, has_header);
        let answer = exchange(&self.http, request, time_limit, call.body_limit, admit).await?;
        if answer.is_good() {
            Ok(answer)
        } else {
            Err(classify(&answer, call))
        }
    }
}

fn shape<'a, T: Deserialize<'a>>(answer: &'a Answer) -> Result<T, Error> {
    parse(&answer.body).map_err(|what| unusable(answer, what))
}

fn unusable(answer: &Answer, what: Malformed) -> Error {
    Error::UnexpectedAnswer {
        status: answer.status,
        what,
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "one class is asked for")]
fn job_is_missing(error: &Error) -> Option<&[JobId]> {
    match error {
        Error::NoSuchJob(ids) => Some(ids),
        _ => None,
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "one class is asked for")]
fn datafeed_is_missing(error: &Error) -> Option<&[DatafeedId]> {
    match error {
        Error::NoSuchDatafeed(ids) => Some(ids),
        _ => None,
    }
}
