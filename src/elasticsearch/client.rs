//! The calls. Each sends what its name says and nothing else, once, and says what came back.
//!
//! Reads of lists may take several requests: see `reads`. Changes are one request each and are never repeated: whether to repeat is decided
//! by who knows the states.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use serde::Deserialize;

use super::answers::{
    DatafeedConfig, DatafeedStats, Identity, JobConfig, JobStats, MlInfo, Snapshot, Tasks, Version,
    View,
};
use super::classify::classify;
use super::endpoint::{Endpoint, SetupError, checked_url};
use super::error::{Error, Impostor, Malformed};
use super::ids::Ids;
use super::line::Line;
use super::privileges;
use super::product::{Product, Proven};
use super::rate::Rate;
use super::reach::{self, Reach};
use super::request::{self, Call};
use super::tls;
use super::transport::{Answer, Carrier, Room, exchange, over};
use super::wire::{
    Closed, HasPrivileges, Info, Opened, Root, Started, Stopped, WireLicense, parse,
};
use super::wire_lists::{WireDatafeed, WireDatafeedStats, WireJob, WireJobStats};
use super::wire_tasks::{ClusterState, Snapshots};
use crate::api::JobPattern;
use crate::api::id::{DatafeedId, JobId};

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
    /// How many requests the read of one whole list may take, where one answer does not hold it.
    pub list_requests: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            call: Duration::from_secs(30),
            request_line: 4095,
            list_requests: 400,
        }
    }
}

/// A client for one Elasticsearch cluster. Clones share connections and what is known about the product.
#[derive(Clone)]
pub struct Client {
    carrier: Carrier,
    pub(super) base: Url,
    authorization: Option<HeaderValue>,
    /// The host of the url, where requests are made out to another name.
    host: Option<HeaderValue>,
    rate: Arc<Rate>,
    room: Room,
    pub(super) limits: Limits,
    pub(super) line: Arc<Line>,
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
        let place = checked_url(&endpoint.url, endpoint.allow_plaintext)?;
        let base = reach::named(place.clone(), endpoint.server_name.as_deref())?;
        let reach = Reach::to(&place, &endpoint.network);
        let certificate = endpoint.credentials.client_certificate()?;
        let roots = endpoint.ca_pem.as_deref().map(tls::roots).transpose()?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("anomalyjob-operator/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .dns_resolver(Arc::new(reach.clone()))
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
        if let Some(certificate) = certificate {
            builder = builder.identity(certificate);
        }
        // All else was checked above, so what is left to fail is the reading of the system's roots.
        let http = builder.build().map_err(|_| SetupError::NoSystemRoots)?;
        Self::carried(endpoint, limits, over(http, reach))
    }

    /// The same, but for what carries the requests. TLS is the carrier's.
    pub fn carried(
        endpoint: &Endpoint,
        limits: Limits,
        carrier: Carrier,
    ) -> Result<Self, SetupError> {
        let place = checked_url(&endpoint.url, endpoint.allow_plaintext)?;
        let base = reach::named(place.clone(), endpoint.server_name.as_deref())?;
        let host = (base != place).then(|| HeaderValue::try_from(place.authority()));
        let host = host.transpose().map_err(|_| SetupError::ServerName)?;
        let authorization = endpoint.credentials.header()?;
        Ok(Self {
            carrier,
            base,
            authorization,
            host,
            rate: Arc::new(Rate::new(endpoint.requests_per_second)),
            room: Room::default(),
            limits,
            line: Arc::new(Line::new(limits.request_line)),
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

    /// Waits until another request may be sent without more of them in a second than the connection allows. Questions
    /// wait by themselves; who sends a change waits before the last look at whether it may be sent.
    pub async fn turn(&self) {
        self.rate.turn().await;
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

    /// `GET /_license`: whether machine learning is in the licence, so that jobs can be opened; closing needs none. Needs the
    /// privilege `monitor`.
    pub async fn has_ml_license(&self) -> Result<bool, Error> {
        let answer = self.send(&Call::license(), self.limits.call).await?;
        let license: WireLicense = shape(&answer)?;
        Ok(license.has_ml())
    }

    /// Which of [`privileges::all`] the credentials lack. Any user may ask that of itself; a cluster without security
    /// refuses the question.
    pub async fn lacks(&self) -> Result<Vec<&'static str>, Error> {
        let actions: Vec<&'static str> = privileges::all().collect();
        self.turn().await;
        let call = Call::has_privileges(&actions);
        let answer = self.send(&call, self.limits.call).await?;
        let held: HasPrivileges = shape(&answer)?;
        let lacks = |action: &&str| held.cluster.get(*action) == Some(&false);
        Ok(actions.into_iter().filter(lacks).collect())
    }

    /// The configs of all jobs. Where they are more than one answer holds, in several requests.
    pub async fn jobs(&self) -> Result<View<JobId, JobConfig>, Error> {
        self.whole::<WireJob>(&Call::all_jobs(), Call::jobs_below, Call::jobs)
            .await
    }

    /// The configs of these jobs.
    pub async fn job_configs(&self, ids: &Ids<JobId>) -> Result<View<JobId, JobConfig>, Error> {
        self.by_id::<WireJob>(ids, Call::jobs).await
    }

    /// The states of these jobs.
    pub async fn job_stats(&self, ids: &Ids<JobId>) -> Result<View<JobId, JobStats>, Error> {
        self.by_id::<WireJobStats>(ids, Call::job_stats).await
    }

    /// The states of all jobs that these wildcards mean, by id or by group, in as few requests as the line allows. Each
    /// of them tells of 10 000 at most (see [`View::cut`]). Four searches for each closed job: see
    /// [`Self::persistent_tasks`].
    pub async fn job_stats_like(
        &self,
        wildcards: &[JobPattern],
    ) -> Result<View<JobId, JobStats>, Error> {
        self.by_wildcard::<WireJobStats>(wildcards, Call::job_stats_like)
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

    /// The configs of all datafeeds, as with [`Self::jobs`].
    pub async fn datafeeds(&self) -> Result<View<DatafeedId, DatafeedConfig>, Error> {
        let all = Call::all_datafeeds();
        self.whole::<WireDatafeed>(&all, Call::datafeeds_below, Call::datafeeds)
            .await
    }

    /// The states of these datafeeds.
    pub async fn datafeed_stats(
        &self,
        ids: &Ids<DatafeedId>,
    ) -> Result<View<DatafeedId, DatafeedStats>, Error> {
        self.by_id::<WireDatafeedStats>(ids, Call::datafeed_stats)
            .await
    }

    /// The states of all datafeeds, 10 000 at most, in one request.
    pub async fn all_datafeed_stats(&self) -> Result<View<DatafeedId, DatafeedStats>, Error> {
        self.all::<WireDatafeedStats>(&Call::all_datafeed_stats())
            .await
    }

    /// How many bytes of ids, joined by commas, fit into one list for [`Self::close`]: see [`Ids::split`]. It becomes
    /// less when something on the way refuses a list as too long.
    pub fn list_room(&self) -> usize {
        request::close_room(&self.base, self.line.longest())
    }

    /// Closes these jobs gracefully, in one request. `Ok` means that their tasks are gone or moved, which
    /// is a hint: the states say whether they are closed. After [`Error::TimedOut`], a lost connection or a
    /// failed gateway the close may go on.
    ///
    /// [`Error::LineTooLong`] means that nothing was done, and that [`Self::list_room`] is now less.
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

    pub(super) async fn send(&self, call: &Call, time_limit: Duration) -> Result<Answer, Error> {
        let url = call.url(&self.base).ok_or(Error::Unsendable)?;
        let length = call.line_length(&url);
        // What cannot be made shorter is tried, whatever was learned of lists.
        let longest = if call.is_list() {
            self.line.longest()
        } else {
            self.limits.request_line
        };
        if length > longest {
            return Err(Error::LineTooLong);
        }
        let mut request = reqwest::Request::new(call.method.clone(), url);
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if call.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(host) = &self.host {
            headers.insert(HOST, host.clone());
        }
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        *request.body_mut() = call.body.clone().map(reqwest::Body::from);
        if call.method == reqwest::Method::GET {
            self.turn().await;
        }
        let time_limit = self.time_limit.unwrap_or(time_limit);
        let admit = |has_header| self.proven.admit(call.proof, has_header);
        let room = (call.body_limit, &self.room);
        let answer = exchange(&self.carrier, request, time_limit, room, admit).await?;
        if answer.is_good() {
            return Ok(answer);
        }
        let error = classify(&answer, call);
        if call.is_list() && may_be_length(&error) && self.line.was_refused(length) {
            return Err(Error::LineTooLong);
        }
        Err(error)
    }
}

/// Some proxies refuse a line that is too long for them with a plain 400.
fn may_be_length(error: &Error) -> bool {
    let foreign = Error::UnexpectedAnswer {
        status: 400,
        what: Malformed::ForeignRefusal,
    };
    *error == Error::LineTooLong || *error == foreign
}

pub(super) fn shape<'a, T: Deserialize<'a>>(answer: &'a Answer) -> Result<T, Error> {
    parse(&answer.body).map_err(|what| unusable(answer, what))
}

pub(super) fn unusable(answer: &Answer, what: Malformed) -> Error {
    let status = answer.status;
    Error::UnexpectedAnswer { status, what }
}
