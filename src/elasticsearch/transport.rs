//! One request, one answer, bounded in time and size.
//!
//! The bytes come from outside and may be anything: a login page, endless, one byte a second. Nothing is
//! read beyond the limit of the call, no redirect is followed, nothing is unpacked. What a refusal means is
//! not decided here.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::header::{CONTENT_ENCODING, HeaderMap, RETRY_AFTER};
use reqwest::{Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::{Error, Malformed};
use super::reach::{Fenced, Reach};
use super::tls::TlsProblem;

/// The largest body of a refusal, in bytes: one that names every id of the longest list has some ten thousand.
const REFUSAL_LIMIT: usize = 64 * 1024;
/// Larger bodies of one cluster are read and understood one after the other, in bytes.
const SMALL: usize = 64 * 1024;
/// The longest pause that a server may ask for.
const MAX_RETRY_AFTER: u64 = 3600;

/// What carries one request to a cluster and its answer back: a connection of reqwest, or in tests memory.
pub type Carrier =
    Arc<dyn Fn(Request) -> BoxFuture<'static, Result<Response, CarrierError>> + Send + Sync>;

/// Why a request was not carried. Its causes are looked through; its text is not kept.
pub type CarrierError = Box<dyn StdError + Send + Sync>;

/// The carrier that a process has: over the network, as far as it reaches.
pub(super) fn over(http: reqwest::Client, reach: Reach) -> Carrier {
    Arc::new(move |request| {
        let (http, reach) = (http.clone(), reach.clone());
        Box::pin(async move {
            reach.check().await?;
            http.execute(request).await.map_err(CarrierError::from)
        })
    })
}

/// An answer that was read whole.
pub(super) struct Answer {
    pub(super) status: u16,
    /// `X-Elastic-Product: Elasticsearch` was there.
    pub(super) has_header: bool,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
    /// Ends when it is dropped, with the body.
    pub(super) _turn: Option<OwnedSemaphorePermit>,
}

/// Lets one large answer of a cluster be in memory at a time.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Answer {
    pub(super) fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Sends `request` and reads its answer, all within `time_limit`. `admit` is asked before the body of a good
/// answer is read whether it may come from an Elasticsearch.
pub(super) async fn exchange(
    carrier: &Carrier,
    request: Request,
    time_limit: Duration,
    (body_limit, room): (usize, &Room),
    admit: impl FnOnce(bool) -> Result<(), Error>,
) -> Result<Answer, Error> {
    let work = async {
        let response = carrier(request)
            .await
            .map_err(|error| failure(&*error, time_limit))?;
        read(response, time_limit, (body_limit, room), admit).await
    };
    tokio::time::timeout(time_limit, work)
        .await
        .unwrap_or(Err(Error::TimedOut(time_limit)))
}

async fn read(
    mut response: Response,
    time_limit: Duration,
    (body_limit, room): (usize, &Room),
    admit: impl FnOnce(bool) -> Result<(), Error>,
) -> Result<Answer, Error> {
    let status = response.status();
    if status.is_redirection() {
        return Err(Error::Redirected(status.as_u16()));
    }
    let has_header = response
        .headers()
        .get("x-elastic-product")
        .is_some_and(|v| v == "Elasticsearch");
    if status.is_success() {
        admit(has_header)?;
    }
    let unusable = |what| Error::UnexpectedAnswer {
        status: status.as_u16(),
        what,
    };
    if response
        .headers()
        .get(CONTENT_ENCODING)
        .is_some_and(|v| v != "identity")
    {
        return Err(unusable(Malformed::Encoded));
    }
    let limit = if status.is_success() {
        body_limit
    } else {
        REFUSAL_LIMIT
    };
    let retry_after = retry_after(response.headers());
    let (body, turn) = bounded(&mut response, limit, room)
        .await
        .map_err(|error| failure(&error, time_limit))?
        .ok_or_else(|| unusable(Malformed::TooLarge(limit)))?;
    Ok(Answer {
        status: status.as_u16(),
        has_header,
        retry_after,
        body,
        _turn: turn,
    })
}

/// A body, and the turn that a large one has taken.
type Taken = (Vec<u8>, Option<OwnedSemaphorePermit>);

/// The whole body, or nothing where it is longer than `limit`, announced or not. What is only announced takes no memory.
async fn bounded(
    response: &mut Response,
    limit: usize,
    room: &Room,
) -> Result<Option<Taken>, reqwest::Error> {
    if response.content_length().unwrap_or(0) > limit as u64 {
        return Ok(None);
    }
    let (mut body, mut turn) = (Vec::new(), None);
    while let Some(chunk) = response.chunk().await? {
        let length = body.len() + chunk.len();
        if length > limit {
            return Ok(None);
        }
        if length > SMALL && turn.is_none() {
            turn = Arc::clone(&room.0).acquire_owned().await.ok();
            // At once, so that it need not be moved; what is not written to takes no memory.
            body.reserve_exact(limit - body.len());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some((body, turn)))
}

/// `Retry-After` in seconds; the form with a date is passed over.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds.min(MAX_RETRY_AFTER)))
}

/// What a failed exchange meant. The texts of the causes are not kept: they may hold what the server sent.
fn failure(error: &(dyn StdError + 'static), time_limit: Duration) -> Error {
    let known = |is: fn(&reqwest::Error) -> bool| error.downcast_ref().is_some_and(is);
    if known(reqwest::Error::is_builder) {
        return Error::Unsendable;
    }
    if let Some(problem) = TlsProblem::find(error) {
        return Error::Tls(problem);
    }
    if is_fenced(error) {
        return Error::NotAllowed;
    }
    if known(reqwest::Error::is_dns) {
        return Error::NameNotResolved;
    }
    if known(reqwest::Error::is_timeout) {
        return Error::TimedOut(time_limit);
    }
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::ConnectionRefused
        {
            return Error::ConnectionRefused;
        }
        if cause
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_parse)
        {
            return Error::UnexpectedAnswer {
                status: 0,
                what: Malformed::NotHttp,
            };
        }
        next = cause.source();
    }
    Error::ConnectionLost
}

fn is_fenced(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if cause.is::<Fenced>() {
            return true;
        }
        next = cause.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn a_pause_is_taken_in_seconds_and_bounded() {
        let of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            retry_after(&headers).map(|pause| pause.as_secs())
        };
        assert_eq!(of("7"), Some(7));
        assert_eq!(of("999999999"), Some(3600));
        for text in [
            "",
            "-1",
            "soon",
            "1.5",
            "Wed, 21 Oct 2026 07:28:00 GMT",
            "99999999999999999999999",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
