//! One connection: reading requests byte for byte with Elasticsearch's limits, writing answers, and the faults that live at
//! this height (cuts, silence, a dead network). It never judges what a request means.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{Notify, watch},
};

use super::{
    answer::{Answer, Style},
    core::{Core, Logged, Network},
    dispatch::{self, Step},
    inject::{Fault, Wire},
    knobs,
    request::Request,
    routes::Match,
    wire::{head, write},
};
use crate::{cluster::ApiError, profile::Profile};

/// Longest request line, its carriage return included.
const MAX_LINE: usize = 4096;
/// Longest header block.
const MAX_HEADER: usize = 8192;
const MAX_BODY: usize = 100 * 1024 * 1024;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    core: Mutex<Core>,
    /// Something may be due earlier than the ticker thinks.
    pub(crate) changed: Notify,
    /// State of the network.
    pub(crate) network: watch::Sender<Network>,
    /// When the network comes back by itself.
    pub(crate) back_at: Mutex<Option<Instant>>,
}

impl Shared {
    pub(crate) fn new(core: Core) -> Self {
        Self {
            core: Mutex::new(core),
            changed: Notify::new(),
            network: watch::Sender::new(Network::Up),
            back_at: Mutex::new(None),
        }
    }

    /// The state; a panic elsewhere does not take the server down.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the network, for good or for a while.
    pub(crate) fn set_network(&self, mode: Network, time: Option<Duration>) {
        *self.back_at.lock().unwrap_or_else(PoisonError::into_inner) =
            time.map(|time| Instant::now() + time);
        self.network.send_replace(mode);
        self.changed.notify_one();
    }
}

/// What reading a request came to.
enum Read {
    Request(Request),
    /// Not readable; the answer, after which the connection ends.
    Bad(Box<Answer>),
    Gone,
}

/// Serves one connection until it ends.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, shared: Arc<Shared>) {
    let mut network = shared.network.subscribe();
    let mut buffer = Vec::new();
    loop {
        let read = tokio::select! {
            read = read_request(&mut stream, &mut buffer, &shared) => read,
            () = refused(&mut network) => return,
        };
        let request = match read {
            Read::Request(request) => request,
            Read::Bad(answer) => {
                let profile = shared.lock().profile;
                drop(write(&mut stream, &answer, false, true, profile).await);
                drain(&mut stream).await;
                return;
            }
            Read::Gone => return,
        };
        let go_on = tokio::select! {
            go_on = respond(&mut stream, &request, &shared) => go_on,
            () = refused(&mut network) => return,
        };
        if !go_on || request.last {
            drop(stream.shutdown().await);
            return;
        }
    }
}

/// Waits until the network refuses.
async fn refused(network: &mut watch::Receiver<Network>) {
    if network
        .wait_for(|mode| *mode == Network::Refuse)
        .await
        .is_err()
    {
        std::future::pending::<()>().await;
    }
}

/// Takes what the client still sends, so that closing does not cut off the answer.
async fn drain<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    drop(stream.shutdown().await);
    let mut waste = [0_u8; 4096];
    let rest = async { while matches!(stream.read(&mut waste).await, Ok(read) if read > 0) {} };
    drop(tokio::time::timeout(Duration::from_millis(500), rest).await);
}

async fn more<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> bool {
    matches!(stream.read_buf(buffer).await, Ok(read) if read > 0)
}

fn too_long(text: String, profile: Profile) -> Read {
    let kind = if profile.is_7() {
        "too_long_frame_exception"
    } else {
        "too_long_http_line_exception"
    };
    Read::Bad(Box::new(Answer::error(
        &ApiError::new(400, kind, text),
        &Style::default(),
        profile,
    )))
}

async fn read_request<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    shared: &Shared,
) -> Read {
    let (mut line_end, mut at) = (None, 0);
    let head_end = loop {
        // Empty lines before a request are allowed.
        while line_end.is_none() && matches!(buffer.first(), Some(b'\r' | b'\n')) {
            buffer.remove(0);
            at = 0;
        }
        while let Some(found) = buffer
            .get(at..)
            .and_then(|rest| rest.iter().position(|byte| *byte == b'\n'))
        {
            let start = at;
            at += found + 1;
            let blank = matches!(buffer.get(start..at), Some(b"\r\n" | b"\n"));
            match line_end {
                None => {
                    if at - 1 > MAX_LINE {
                        return too_long(
                            "An HTTP line is larger than 4096 bytes.".into(),
                            shared.lock().profile,
                        );
                    }
                    line_end = Some(at);
                }
                Some(line) if at - line > MAX_HEADER => {
                    return too_long(
                        "HTTP header is larger than 8192 bytes.".into(),
                        shared.lock().profile,
                    );
                }
                Some(_) if blank => break,
                Some(_) => {}
            }
        }
        if line_end.is_some()
            && matches!(buffer.get(..at), Some(head) if head.ends_with(b"\r\n\r\n") || head.ends_with(b"\n\n"))
        {
            break at;
        }
        let limit = line_end.map_or(MAX_LINE, |line| line + MAX_HEADER);
        if buffer.len() > limit + 2 {
            let text = if line_end.is_none() {
                "An HTTP line is larger than 4096 bytes."
            } else {
                "HTTP header is larger than 8192 bytes."
            };
            return too_long(text.into(), shared.lock().profile);
        }
        if !more(stream, buffer).await {
            return Read::Gone;
        }
    };
    let head: Vec<u8> = buffer.drain(..head_end).collect();
    let Some(mut request) =
        Request::parse(head.get(..head.len().saturating_sub(2)).unwrap_or_default())
    else {
        return Read::Gone;
    };
    match read_body(stream, buffer, &request).await {
        Some(body) => request.body = body,
        None => return Read::Gone,
    }
    Read::Request(request)
}

async fn read_body<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    request: &Request,
) -> Option<Vec<u8>> {
    if request
        .header("expect")
        .is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
    {
        stream
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            .await
            .ok()?;
    }
    if request
        .header("transfer-encoding")
        .is_some_and(|value| value.to_ascii_lowercase().contains("chunked"))
    {
        return chunked(stream, buffer).await;
    }
    let length: usize = request
        .header("content-length")
        .map_or(Some(0), |value| value.parse().ok())
        .filter(|length| *length <= MAX_BODY)?;
    while buffer.len() < length {
        if !more(stream, buffer).await {
            return None;
        }
    }
    Some(buffer.drain(..length).collect())
}

async fn chunked<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = loop {
            if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                break buffer.drain(..=end).collect::<Vec<u8>>();
            }
            if !more(stream, buffer).await {
                return None;
            }
        };
        let text = String::from_utf8_lossy(&line).trim().to_owned();
        if text.is_empty() {
            continue;
        }
        let size =
            usize::from_str_radix(text.split(';').next().unwrap_or_default().trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        if body.len() + size > MAX_BODY {
            return None;
        }
        while buffer.len() < size {
            if !more(stream, buffer).await {
                return None;
            }
        }
        body.extend(buffer.drain(..size));
    }
}

/// Answers one request. False: the connection is to be closed.
async fn respond<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    request: &Request,
    shared: &Arc<Shared>,
) -> bool {
    if knobs::is_knob(request.path()) {
        let answer = knobs::answer(shared, request);
        let profile = shared.lock().profile;
        let written = write(
            stream,
            &answer,
            request.method == "HEAD",
            request.last,
            profile,
        )
        .await
        .is_ok();
        let pending = shared.lock().pending_network.take();
        if let Some((mode, time)) = pending {
            shared.set_network(mode, time);
        }
        return written;
    }
    if *shared.network.borrow() == Network::Blackhole {
        return std::future::pending().await;
    }
    let (seq, fault, delay, profile) = arrive(shared, request);
    if delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    match fault {
        Fault::CutBefore => return false,
        Fault::Silence => return std::future::pending().await,
        Fault::Instead(canned) => {
            let wire = canned.wire(profile);
            return put_on_wire(stream, wire, request, profile, seq, shared).await;
        }
        Fault::Pass | Fault::CutAfter => {}
    }
    let step = {
        let mut core = shared.lock();
        let step = dispatch::dispatch(&mut core, request);
        let user = core.caller.as_ref().map(|caller| caller.user.clone());
        if let Some(line) = core.log.iter_mut().rev().find(|line| line.seq == seq) {
            line.user = user;
        }
        step
    };
    shared.changed.notify_one();
    if fault == Fault::CutAfter {
        return false;
    }
    let answer = match step {
        Step::Done(answer) => Some(answer),
        Step::Never => None,
        // A waiter that is dropped by a reset is cut off; one whose client leaves changes nothing.
        Step::Wait(receiver, finish) => match receiver.await {
            Ok(outcome) => finish.outcome(200, outcome),
            Err(_) => return false,
        },
    };
    if *shared.network.borrow() == Network::Blackhole {
        return std::future::pending().await;
    }
    let Some(answer) = answer else {
        return std::future::pending().await;
    };
    log_status(shared, seq, answer.status);
    write(
        stream,
        &answer,
        request.method == "HEAD",
        request.last,
        profile,
    )
    .await
    .is_ok()
}

/// Logs a request and finds the fault that is meant for it.
fn arrive(shared: &Shared, request: &Request) -> (u64, Fault, u64, Profile) {
    let mut core = shared.lock();
    let api = match core.routes.find(&request.method, request.path()) {
        Match::Found { endpoint, .. } => format!("{endpoint:?}"),
        Match::Methods { .. } | Match::Nothing => "Unknown".to_owned(),
    };
    core.log_seq += 1;
    let (seq, at) = (core.log_seq, core.clock.now());
    let line = Logged {
        seq,
        at,
        method: request.method.clone(),
        path: request.path().to_owned(),
        query: request.query().to_owned(),
        api: api.clone(),
        status: None,
        user: None,
    };
    core.log.push(line);
    *core.counts.entry(api.clone()).or_insert(0) += 1;
    let hit = core.rules.iter_mut().find_map(|rule| {
        rule.takes(request, &api)
            .then(|| (rule.fault.clone(), rule.delay_ms))
    });
    core.rules.retain(|rule| rule.left != Some(0));
    let (fault, delay) = hit.unwrap_or((Fault::Pass, 0));
    (seq, fault, delay, core.profile)
}

fn log_status(shared: &Shared, seq: u64, status: u16) {
    if let Some(line) = shared
        .lock()
        .log
        .iter_mut()
        .rev()
        .find(|line| line.seq == seq)
    {
        line.status = Some(status);
    }
}

async fn put_on_wire<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    wire: Wire,
    request: &Request,
    profile: Profile,
    seq: u64,
    shared: &Shared,
) -> bool {
    match wire {
        Wire::Whole(answer) => {
            log_status(shared, seq, answer.status);
            write(
                stream,
                &answer,
                request.method == "HEAD",
                request.last,
                profile,
            )
            .await
            .is_ok()
        }
        Wire::Truncated(answer) => {
            let head = head(&answer, Some(answer.body.len() + 1000), true, profile);
            drop(
                stream
                    .write_all(&[head.as_bytes(), &answer.body].concat())
                    .await,
            );
            false
        }
        Wire::Endless(answer) => {
            let head = head(&answer, None, true, profile);
            let mut alive = stream.write_all(head.as_bytes()).await.is_ok();
            let chunk = format!("1000\r\n{}\r\n", "0,".repeat(2048));
            while alive {
                alive = stream.write_all(chunk.as_bytes()).await.is_ok();
            }
            false
        }
    }
}
