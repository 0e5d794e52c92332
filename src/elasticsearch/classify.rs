//! What a refusal means, from status, type and text (reference 3.7, 7, 9.3, 13 and 17).
//!
//! Elasticsearch tells many things apart by text alone, and the texts differ between versions; each row has a
//! test with its texts. A text decides only which class it is: no part of it goes further, except ids that
//! the call sent and privilege names in their form.

use serde_json::Value;

use super::classify_start::starting;
use super::error::{Error, ErrorType, Malformed};
use super::ids::Ids;
use super::request::{Call, Subject};
use super::transport::Answer;
use crate::api::id::{DatafeedId, JobId};

/// How many causes are followed.
const MAX_CAUSES: usize = 8;

/// The body of a refusal, as far as it has Elasticsearch's form (reference 2.1).
#[derive(Default)]
pub(super) struct Refusal {
    /// `error` is there, as an object with a type or as a string.
    is_elasticsearch: bool,
    kind: String,
    reason: String,
    /// Reason and those of its causes, in order.
    texts: Vec<String>,
    license_expired: bool,
}

impl Refusal {
    fn read(body: &[u8]) -> Self {
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            return Self::default();
        };
        match body.get("error") {
            Some(Value::String(reason)) => Self {
                is_elasticsearch: true,
                reason: reason.clone(),
                texts: vec![reason.clone()],
                ..Self::default()
            },
            Some(error @ Value::Object(_)) => Self::of(error),
            _ => Self::default(),
        }
    }

    fn of(error: &Value) -> Self {
        let text = |of: &Value, key: &str| {
            of.get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let mut texts = Vec::new();
        let mut next = Some(error);
        while let Some(cause) = next.filter(|_| texts.len() < MAX_CAUSES) {
            texts.push(text(cause, "reason"));
            next = cause.get("caused_by");
        }
        let kind = text(error, "type");
        Self {
            is_elasticsearch: !kind.is_empty(),
            reason: text(error, "reason"),
            texts,
            license_expired: error.get("license.expired.feature").is_some(),
            kind,
        }
    }

    /// The reason begins with `start`.
    pub(super) fn says(&self, start: &str) -> bool {
        self.reason.starts_with(start)
    }

    /// The reason or that of a cause contains `part`.
    pub(super) fn mentions(&self, part: &str) -> bool {
        self.texts.iter().any(|text| text.contains(part))
    }
}

/// The meaning of an answer that is no 2xx.
pub(super) fn classify(answer: &Answer, call: &Call) -> Error {
    let refusal = Refusal::read(&answer.body);
    // Of its texts nothing is logged: what answers may say back what it was sent, credentials and all.
    let kind = ErrorType::parse(&refusal.kind);
    tracing::debug!(
        status = answer.status,
        kind = kind.as_ref().map(ErrorType::as_str),
        "elasticsearch refused a call"
    );
    if refusal.is_elasticsearch {
        return by_type(answer, &refusal).unwrap_or_else(|| by_status(answer, &refusal, call));
    }
    match answer.status {
        401 => Error::CredentialsInvalid,
        413 | 414 | 431 => Error::LineTooLong,
        429 => overloaded(answer),
        status @ 502..=504 => Error::GatewayFailed {
            status,
            retry_after: answer.retry_after,
        },
        status @ 500.. => Error::ServerError { status, kind: None },
        status => Error::UnexpectedAnswer {
            status,
            what: Malformed::ForeignRefusal,
        },
    }
}

/// Types that mean the same with every status.
fn by_type(answer: &Answer, refusal: &Refusal) -> Option<Error> {
    Some(match refusal.kind.as_str() {
        "master_not_discovered_exception" => Error::NoMaster,
        "circuit_breaking_exception" | "es_rejected_execution_exception" => overloaded(answer),
        "too_long_http_line_exception" => Error::LineTooLong,
        // Netty's type before it was translated; the same type is used for headers (reference 17, point 12).
        "too_long_frame_exception" if refusal.mentions("HTTP line") => Error::LineTooLong,
        "failed_node_exception"
        | "node_closed_exception"
        | "node_disconnected_exception"
        | "node_not_connected_exception"
        | "connect_transport_exception" => Error::NodeLost,
        "cluster_block_exception" if refusal.mentions("/no master]") => Error::NoMaster,
        "cluster_block_exception" if refusal.mentions("/index closed]") => Error::IndexClosed,
        "cluster_block_exception" | "search_phase_execution_exception" if answer.status == 503 => {
            Error::StateNotRecovered
        }
        _ => return None,
    })
}

fn by_status(answer: &Answer, refusal: &Refusal, call: &Call) -> Error {
    let kind = ErrorType::parse(&refusal.kind);
    let found = match answer.status {
        400 | 405 => not_there(refusal).or_else(|| starting(refusal)),
        401 => Some(Error::CredentialsInvalid),
        403 => forbidden(refusal, call),
        404 => not_found(refusal, call).or_else(|| starting(refusal)),
        409 => conflict(refusal, call).or_else(|| starting(refusal)),
        408 => starting(refusal),
        413 | 414 | 431 => Some(Error::LineTooLong),
        429 if refusal.mentions("upgrade mode is enabled") => Some(Error::UpgradeMode),
        429 | 503 => starting(refusal)
            .or_else(|| server_failure(refusal, call))
            .or_else(|| Some(overloaded(answer))),
        500.. => starting(refusal).or_else(|| server_failure(refusal, call)),
        _ => None,
    };
    found.unwrap_or(match answer.status {
        status @ 500.. => Error::ServerError { status, kind },
        status => Error::RequestRefused { status, kind },
    })
}

fn overloaded(answer: &Answer) -> Error {
    Error::Overloaded {
        status: answer.status,
        retry_after: answer.retry_after,
    }
}

/// Without machine learning its paths are unknown, or are taken for those of an index (recorded, 02-routing).
fn not_there(refusal: &Refusal) -> Option<Error> {
    let routing = refusal.kind.is_empty()
        && (refusal.says("no handler found for uri")
            || refusal.says("Incorrect HTTP method for uri"));
    (routing || refusal.kind == "invalid_index_name_exception").then_some(Error::MlUnavailable)
}

fn forbidden(refusal: &Refusal, call: &Call) -> Option<Error> {
    if refusal.kind != "security_exception" {
        return None;
    }
    if refusal.license_expired || refusal.says("current license is non-compliant") {
        return Some(Error::LicenseMissing);
    }
    // Before 7.13 or so the text names no privilege; then the one that the call needs is said.
    let named = privileges(&refusal.reason).unwrap_or_else(|| vec![call.privilege.to_owned()]);
    Some(Error::MissingPrivilege(named))
}

/// The names in "... granted by the cluster privileges [manage_ml,manage,all]".
fn privileges(reason: &str) -> Option<Vec<String>> {
    let (_, list) = reason.split_once("this action is granted by the cluster privileges [")?;
    let (list, _) = list.split_once(']')?;
    let names: Vec<String> = list.split(',').map(|name| name.trim().to_owned()).collect();
    let form = |name: &String| {
        (1..=40).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    };
    (names.len() <= 8 && names.iter().all(form)).then_some(names)
}

/// A 404 is read by its text: only two of them mean that something is unknown (reference 17, point 5).
fn not_found(refusal: &Refusal, call: &Call) -> Option<Error> {
    if refusal.mentions("the task with id") && refusal.mentions("doesn't exist") {
        return Some(Error::TaskGone);
    }
    let named = |start: &str, end: char| {
        let list = refusal.reason.strip_prefix(start)?;
        list.rsplit_once(end).map(|(list, _)| list)
    };
    match &call.subject {
        Subject::Jobs(sent) => {
            let ids = sent_ids(named("No known job with id '", '\'')?, sent, |id| {
                JobId::parse(id).ok()
            });
            Some(Error::NoSuchJob(ids?))
        }
        Subject::Datafeeds(sent) => {
            if refusal.says("No known job with id '") {
                return Some(Error::DatafeedJobNotOpen);
            }
            let ids = sent_ids(named("No datafeed with id [", ']')?, sent, |id| {
                DatafeedId::parse(id).ok()
            });
            Some(Error::NoSuchDatafeed(ids?))
        }
        Subject::Cluster | Subject::Prefixes(_) => None,
    }
}

/// Those of the listed ids that the call sent; nothing where it sent none of them.
fn sent_ids<T>(list: &str, sent: &Ids<T>, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>>
where
    T: Ord + Clone + std::fmt::Display,
{
    let known = list
        .split(',')
        .filter_map(|id| parse(id.trim()))
        .filter(|id| sent.contains(id));
    Ids::new(known).map(|ids| ids.as_slice().to_vec())
}

fn conflict(refusal: &Refusal, call: &Call) -> Option<Error> {
    if refusal.says("failed to close jobs as one or more had started datafeeds") {
        return Some(Error::DatafeedNotStopped);
    }
    if refusal.says("cannot close job datafeed [") && refusal.mentions("hasn't been stopped") {
        return Some(Error::DatafeedRunning);
    }
    if refusal.mentions("Close job interrupted by kill request") {
        return Some(Error::InterruptedByKill);
    }
    if refusal.says("one or more jobs have state failed") {
        return Some(Error::JobFailed(None));
    }
    let job = refusal.reason.strip_prefix("cannot close job [")?;
    let (job, rest) = job.split_once(']')?;
    rest.starts_with(" because it failed").then(|| {
        let Subject::Jobs(sent) = &call.subject else {
            return Error::JobFailed(None);
        };
        Error::JobFailed(JobId::parse(job).ok().filter(|id| sent.contains(id)))
    })
}

fn server_failure(refusal: &Refusal, call: &Call) -> Option<Error> {
    // First, because this text quotes others.
    if refusal.says("Failed to force close job") {
        return Some(Error::ForceCloseFailed);
    }
    if refusal.says("Failed to stop datafeed") {
        return Some(Error::DatafeedNotStopped);
    }
    if refusal.says("Timed out when waiting for persistent tasks") {
        let of_datafeed = matches!(call.subject, Subject::Datafeeds(_));
        return Some(if of_datafeed {
            Error::DatafeedNotStopped
        } else {
            Error::StillClosing
        });
    }
    if refusal.mentions("Exception closing autodetect process")
        || refusal.mentions("Unexpected death of autodetect")
    {
        return Some(Error::JobProcessDied);
    }
    None
}

#[cfg(test)]
#[path = "classify_tests.rs"]
mod tests;
