//! What can come back in place of an answer, each kind by its meaning.
//!
//! The texts are for people and go into conditions and events. They never hold a part of an answer but the
//! HTTP status, an error type of letters and underscores, privilege names of the same form, and ids that
//! the call itself sent. The rest goes nowhere, not even into a log.

use std::time::Duration;

use super::answers::Version;
use super::tls::TlsProblem;
use crate::api::id::{DatafeedId, JobId};

/// Whom an error concerns, which says how far the caller has to step back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The way to the cluster, the credentials, or what answers there: no call will succeed.
    Connection,
    /// The cluster as a whole, for some time: wait and ask again.
    Cluster,
    /// The jobs or datafeeds of this call.
    Call,
}

/// `error.type` of an answer, taken only where it is 1 to 64 lower-case letters and underscores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorType(String);

impl ErrorType {
    /// Takes a well-formed type.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let form = text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        ((1..=64).contains(&text.len()) && form).then(|| Self(text.to_owned()))
    }

    /// The type as Elasticsearch wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a 2xx answer does not come from an Elasticsearch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Impostor {
    /// The header that Elasticsearch sends since 7.14 is missing and nothing proves an older one.
    #[error("it answers without the header X-Elastic-Product")]
    NoProductHeader,
    /// `version.distribution` or the tagline of `/` names another product.
    #[error("it says that it is another product")]
    OtherProduct,
    /// `/` answers something else than Elasticsearch's JSON.
    #[error("what it answers to / is not Elasticsearch's")]
    Stranger,
}

/// What is wrong with an answer as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// More bytes than the call may answer with.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// Compressed, which was not asked for.
    #[error("the answer is compressed, which was not asked for")]
    Encoded,
    /// No JSON.
    #[error("the answer is no JSON")]
    NotJson,
    /// JSON of another shape.
    #[error("the answer is JSON of another shape")]
    WrongShape,
    /// More values, or a longer one, than any answer that is meant has.
    #[error("the answer has more in it than can be meant")]
    TooMuch,
    /// An error without Elasticsearch's form of errors.
    #[error("the refusal is not in Elasticsearch's form")]
    ForeignRefusal,
    /// No HTTP, or headers without end.
    #[error("what came is no HTTP/1.1 answer of a sensible size")]
    NotHttp,
}

/// Why a call has no answer. `Display` is safe to show to everybody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The host of `url` has no address.
    #[error("the host name in url cannot be resolved")]
    NameNotResolved,
    /// The address may not be connected to.
    #[error(
        "the host in url leads to an address that is closed: loopback, link-local, a metadata service or the API server; mend url, or have it opened by --allow-endpoints of the operator"
    )]
    NotAllowed,
    /// Nobody listens at that port.
    #[error("the connection is refused: nothing listens at the host and port in url")]
    ConnectionRefused,
    /// The time limit of the call ran out. What a mutating call did is not known.
    /// Of a close it is ordinary, and no sign of a bad connection: a process closes for as long as it takes,
    /// whatever server timeout was sent (reference 3.5).
    #[error("no complete answer within {}", seconds(.0))]
    TimedOut(Duration),
    /// No encrypted connection.
    #[error("no TLS connection: {0}")]
    Tls(TlsProblem),
    /// The connection could not be made, or broke. What a mutating call did is not known.
    #[error("the connection cannot be made or was cut")]
    ConnectionLost,
    /// Something in front of Elasticsearch answers that it cannot reach it (502, 503, 504, not in
    /// Elasticsearch's form). What a mutating call did is not known.
    #[error("HTTP {status} from something between here and Elasticsearch")]
    GatewayFailed {
        /// The status.
        status: u16,
        /// What the answer asked to wait, an hour at most.
        retry_after: Option<Duration>,
    },
    /// A redirect; it was not followed.
    #[error(
        "HTTP {0}, a redirect, which is never followed; put the address that it leads to into url"
    )]
    Redirected(u16),
    /// What answers is no Elasticsearch.
    #[error("this is not an Elasticsearch: {0}; correct url")]
    NotElasticsearch(Impostor),
    /// The answer cannot be used, and says nothing about jobs.
    #[error("unusable answer (HTTP {status}): {what}")]
    UnexpectedAnswer {
        /// The status; 0 where there was none.
        status: u16,
        /// What is wrong with it.
        what: Malformed,
    },
    /// Before 7.10.
    #[error("Elasticsearch {0} is too old: 7.10 or later is needed")]
    VersionTooOld(Version),
    /// `cluster_uuid` is `_na_`: the cluster has not formed since it started.
    #[error("the cluster has not formed yet")]
    NotFormed,
    /// 401.
    #[error("the credentials are rejected (HTTP 401)")]
    CredentialsInvalid,
    /// 403: any one of these cluster privileges would do.
    #[error("the credentials lack the cluster privilege {} (HTTP 403)", .0.join(" or "))]
    MissingPrivilege(Vec<String>),
    /// 403: the licence does not cover machine learning.
    #[error("the licence of the cluster does not cover machine learning (HTTP 403)")]
    LicenseMissing,
    /// There are no machine learning calls there.
    #[error("machine learning is not there: switched off, or not in this distribution")]
    MlUnavailable,
    /// All mutating calls are refused for now.
    #[error("the cluster is in machine learning upgrade mode")]
    UpgradeMode,
    /// No elected master.
    #[error("the cluster has no elected master")]
    NoMaster,
    /// The cluster has restarted and cannot say yet what its jobs do.
    #[error("the cluster has not recovered its state or its machine learning indices yet")]
    StateNotRecovered,
    /// 429 or the like: too much at once.
    #[error("the cluster is overloaded (HTTP {status})")]
    Overloaded {
        /// The status.
        status: u16,
        /// What the answer asked to wait, an hour at most.
        retry_after: Option<Duration>,
    },
    /// 404 by its text: these ids of the call are unknown. Nothing was done.
    #[error("no such job: {}", list(.0))]
    NoSuchJob(Vec<JobId>),
    /// 404 by its text: these ids of the call are unknown. Nothing was done.
    #[error("no such datafeed: {}", list(.0))]
    NoSuchDatafeed(Vec<DatafeedId>),
    /// 409: a failed job takes only force. The job where it was the only one. Nothing was done.
    #[error("{} failed, and is closed by force only", .0.as_ref().map_or("a job of this call has".to_owned(), |id| format!("job {id} has")))]
    JobFailed(Option<JobId>),
    /// 409 before 7.14: a datafeed of a job runs. Nothing was done.
    #[error("a datafeed runs, and before 7.14 it has to be stopped first")]
    DatafeedRunning,
    /// A datafeed could not be stopped; no job was closed, some datafeeds may have stopped.
    #[error("a datafeed could not be stopped")]
    DatafeedNotStopped,
    /// 409: somebody forced the close at the same time.
    #[error("the close was interrupted by a forced one")]
    InterruptedByKill,
    /// 404 by its text: the job's task went away during the call. The job is not unknown.
    #[error("the task of the job went away during the call")]
    TaskGone,
    /// 500: still closing when the server's timeout ran out, or the close was lost.
    #[error("the jobs were not closed when the server's timeout ran out")]
    StillClosing,
    /// 5xx: a forced close failed in part, for example because two ran at once.
    #[error("the forced close failed, at least in part")]
    ForceCloseFailed,
    /// 500: the analysis process died; the job is failed now.
    #[error("the analysis process died during the close")]
    JobProcessDied,
    /// 409: the job has a task, so it is opening, open, closing or failed. Nothing was done.
    #[error("the job has been opened already")]
    AlreadyOpen,
    /// 409: the job is being reset, reverted or deleted. Nothing was done.
    #[error("the job cannot be opened while it is being reset, reverted or deleted")]
    JobBlocked,
    /// The job was closed while the open waited for it.
    #[error("the job was closed while it was being opened")]
    ClosedWhileOpening,
    /// 429: no node can take the job now, for lack of room or of shards. It is closed again.
    #[error("no machine learning node can take the job now")]
    NoCapacity,
    /// 429 or the like: a setting of the cluster keeps all tasks from being given to nodes. Nothing was done.
    #[error(
        "the setting cluster.persistent_tasks.allocation.enable keeps jobs and datafeeds from starting"
    )]
    AssignmentDisabled,
    /// 408 or 500: not open when the server's timeout ran out. It goes on opening.
    #[error("the job was not open when the server's timeout ran out")]
    OpenTimedOut,
    /// 500: the job failed while it was being opened, and stays failed.
    #[error("the job failed while it was being opened")]
    OpenFailed,
    /// 400: its saved model is too old for this version. Nothing was done.
    #[error(
        "the saved model of the job is too old for this version of Elasticsearch; revert to a newer model snapshot or reset the job"
    )]
    SnapshotTooOld,
    /// 409: the datafeed has a task. Nothing was done.
    #[error("the datafeed has been started already")]
    DatafeedAlreadyStarted,
    /// The job of the datafeed is neither open nor opening, or is gone. Nothing was done.
    #[error("the datafeed cannot start, because its job is not open")]
    DatafeedJobNotOpen,
    /// 409: no node can take the datafeed now. Nothing was done.
    #[error("no node can take the datafeed now")]
    DatafeedNoNode,
    /// 408 or 500: not started when the server's timeout ran out. It goes on starting.
    #[error("the datafeed was not started when the server's timeout ran out")]
    DatafeedStartTimedOut,
    /// The datafeed cannot read what it shall: an index or a field of it is not there, for example. Nothing was done.
    #[error(
        "the datafeed cannot start, because it cannot read its indices; see its messages in Elasticsearch"
    )]
    DatafeedRefused,
    /// A node left during the call.
    #[error("a node of the cluster left during the call")]
    NodeLost,
    /// 403: the index that one of the jobs writes its results to is closed, so their states are not told (case 52).
    #[error("the index of results of a job is closed; open it")]
    IndexClosed,
    /// The request line is longer than the server, or this client, takes.
    #[error("the request line is too long")]
    LineTooLong,
    /// Another refusal: asking again changes nothing.
    #[error("refused{}", status_and_type(*.status, .kind.as_ref()))]
    RequestRefused {
        /// The status.
        status: u16,
        /// `error.type`.
        kind: Option<ErrorType>,
    },
    /// Another failure of the server.
    #[error("the server failed{}", status_and_type(*.status, .kind.as_ref()))]
    ServerError {
        /// The status.
        status: u16,
        /// `error.type`.
        kind: Option<ErrorType>,
    },
    /// The request could not be built: a defect of this program. Nothing was sent.
    #[error("the request could not be built")]
    Unsendable,
}

impl Error {
    /// One word of a closed set, for conditions, events and metrics. Of the scopes Connection and Cluster it
    /// is the reason of the conditions too, but `StateNotRecovered`, which passes by itself.
    pub fn category(&self) -> &'static str {
        match self {
            Self::NameNotResolved => "NameNotResolved",
            Self::NotAllowed => "EndpointNotAllowed",
            Self::ConnectionRefused => "ConnectionRefused",
            Self::TimedOut(_) => "TimedOut",
            Self::Tls(problem) => problem.category(),
            Self::ConnectionLost | Self::GatewayFailed { .. } => "ClusterUnreachable",
            // A redirect is most often the way to a login page, and is mended at the same field.
            Self::Redirected(_) | Self::NotElasticsearch(_) => "NotElasticsearch",
            Self::UnexpectedAnswer { .. } => "UnexpectedAnswer",
            Self::VersionTooOld(_) => "VersionTooOld",
            Self::NotFormed | Self::NoMaster => "NoMaster",
            Self::CredentialsInvalid => "CredentialsInvalid",
            Self::MissingPrivilege(_) => "MissingPrivilege",
            Self::LicenseMissing => "LicenseMissing",
            Self::MlUnavailable => "MLUnavailable",
            Self::UpgradeMode => "UpgradeMode",
            Self::StateNotRecovered => "StateNotRecovered",
            Self::Overloaded { .. } => "Overloaded",
            Self::NoSuchJob(_) => "JobNotFound",
            Self::NoSuchDatafeed(_) => "DatafeedNotFound",
            Self::JobFailed(_) | Self::OpenFailed => "JobFailed",
            Self::DatafeedRunning => "DatafeedRunning",
            Self::DatafeedNotStopped => "DatafeedNotStopped",
            Self::InterruptedByKill => "InterruptedByKill",
            Self::TaskGone => "TaskGone",
            Self::StillClosing => "StillClosing",
            Self::ForceCloseFailed => "ForceCloseFailed",
            Self::JobProcessDied => "JobProcessDied",
            Self::AlreadyOpen => "AlreadyOpen",
            Self::JobBlocked => "JobBlocked",
            Self::ClosedWhileOpening => "ClosedElsewhere",
            Self::NoCapacity => "NoCapacity",
            Self::AssignmentDisabled | Self::SnapshotTooOld => "OpenRefused",
            Self::OpenTimedOut => "Opening",
            Self::DatafeedAlreadyStarted => "DatafeedAlreadyStarted",
            Self::DatafeedJobNotOpen | Self::DatafeedRefused => "DatafeedRefused",
            Self::DatafeedNoNode | Self::DatafeedStartTimedOut => "StartingDatafeed",
            Self::NodeLost => "NodeLost",
            Self::LineTooLong | Self::IndexClosed | Self::RequestRefused { .. } => "RequestRefused",
            Self::ServerError { .. } => "ServerError",
            Self::Unsendable => "InternalError",
        }
    }

    /// What the answer asked to wait before anything is sent again, an hour at most.
    pub fn retry_after(&self) -> Option<Duration> {
        if let Self::Overloaded { retry_after, .. } | Self::GatewayFailed { retry_after, .. } = self
        {
            *retry_after
        } else {
            None
        }
    }

    /// Whom it concerns.
    #[allow(clippy::too_many_lines, reason = "one line an error")]
    pub fn scope(&self) -> Scope {
        match self {
            Self::NameNotResolved
            | Self::NotAllowed
            | Self::ConnectionRefused
            | Self::TimedOut(_)
            | Self::Tls(_)
            | Self::ConnectionLost
            | Self::GatewayFailed { .. }
            | Self::Redirected(_)
            | Self::NotElasticsearch(_)
            | Self::UnexpectedAnswer { .. }
            | Self::VersionTooOld(_)
            | Self::CredentialsInvalid
            | Self::MissingPrivilege(_)
            | Self::LicenseMissing
            | Self::MlUnavailable => Scope::Connection,
            Self::NotFormed
            | Self::UpgradeMode
            | Self::NoMaster
            | Self::StateNotRecovered
            | Self::Overloaded { .. } => Scope::Cluster,
            Self::NoSuchJob(_)
            | Self::NoSuchDatafeed(_)
            | Self::JobFailed(_)
            | Self::DatafeedRunning
            | Self::DatafeedNotStopped
            | Self::InterruptedByKill
            | Self::TaskGone
            | Self::StillClosing
            | Self::ForceCloseFailed
            | Self::JobProcessDied
            | Self::AlreadyOpen
            | Self::JobBlocked
            | Self::ClosedWhileOpening
            | Self::NoCapacity
            | Self::AssignmentDisabled
            | Self::OpenTimedOut
            | Self::OpenFailed
            | Self::SnapshotTooOld
            | Self::DatafeedAlreadyStarted
            | Self::DatafeedJobNotOpen
            | Self::DatafeedNoNode
            | Self::DatafeedStartTimedOut
            | Self::DatafeedRefused
            | Self::NodeLost
            | Self::LineTooLong
            | Self::IndexClosed
            | Self::RequestRefused { .. }
            | Self::ServerError { .. }
            | Self::Unsendable => Scope::Call,
        }
    }
}

fn seconds(limit: &Duration) -> String {
    format!("{} s", limit.as_secs_f64())
}

fn list<T: std::fmt::Display>(ids: &[T]) -> String {
    ids.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn status_and_type(status: u16, kind: Option<&ErrorType>) -> String {
    match kind {
        Some(kind) => format!(" (HTTP {status}, {})", kind.as_str()),
        None => format!(" (HTTP {status})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_type_is_taken_only_in_its_form() {
        assert!(ErrorType::parse("status_exception").is_some());
        for text in ["", "Status", "a b", "a-b", "ä", "a1", &"a".repeat(65)] {
            assert_eq!(ErrorType::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_concerns_the_connection_has_a_reason_of_its_own() {
        let version = Version::OLDEST;
        let all = [
            Error::NameNotResolved,
            Error::NotAllowed,
            Error::ConnectionRefused,
            Error::TimedOut(Duration::ZERO),
            Error::Tls(TlsProblem::Expired),
            Error::ConnectionLost,
            Error::GatewayFailed {
                status: 502,
                retry_after: None,
            },
            Error::Redirected(302),
            Error::NotElasticsearch(Impostor::Stranger),
            Error::UnexpectedAnswer {
                status: 200,
                what: Malformed::NotJson,
            },
            Error::VersionTooOld(version),
            Error::NotFormed,
            Error::NoMaster,
            Error::CredentialsInvalid,
            Error::MissingPrivilege(Vec::new()),
            Error::LicenseMissing,
            Error::MlUnavailable,
            Error::UpgradeMode,
            Error::Overloaded {
                status: 429,
                retry_after: None,
            },
            Error::NoSuchJob(Vec::new()),
            Error::JobFailed(None),
            Error::StillClosing,
            Error::LineTooLong,
            Error::JobBlocked,
            Error::OpenFailed,
        ];
        for error in all {
            assert!(
                crate::api::Reason::parse(error.category()).is_some(),
                "{error:?}"
            );
        }
    }

    #[test]
    fn texts_read_as_sentences() {
        let job = JobId::parse("a").unwrap();
        let shown = |error: Error| error.to_string();
        assert_eq!(
            shown(Error::TimedOut(Duration::from_millis(1500))),
            "no complete answer within 1.5 s"
        );
        assert_eq!(
            shown(Error::JobFailed(Some(job.clone()))),
            "job a has failed, and is closed by force only"
        );
        assert_eq!(
            shown(Error::NoSuchJob(vec![job.clone(), job])),
            "no such job: a, a"
        );
        let kind = ErrorType::parse("illegal_argument_exception");
        assert_eq!(
            shown(Error::RequestRefused { status: 400, kind }),
            "refused (HTTP 400, illegal_argument_exception)"
        );
        assert_eq!(
            shown(Error::MissingPrivilege(vec![
                "manage_ml".into(),
                "manage".into()
            ])),
            "the credentials lack the cluster privilege manage_ml or manage (HTTP 403)"
        );
    }
}
