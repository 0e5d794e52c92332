//! One connection: requests in, answers out, and the faults that live at
//! this height (cuts, silence, a dead network). It never judges what a request means.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{Notify, watch},
    time::Instant,
};

use super::{
    core::{Core, Logged, Network},
    dispatch::{self, Step},
    inject::{Fault, Wire},
    knobs,
    reading::{Read, read_request},
    request::Request,
    routes::Match,
    wire::{head, write},
};
use crate::profile::Profile;

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

/// Serves one connection until it ends.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, shared: Arc<Shared>) {
    let mut network = shared.network.subscribe();
    let mut buffer = Vec::new();
    loop {
        let read = tokio::select! {
            biased;
            read = read_request(&mut stream, &mut buffer, || shared.lock().profile) => read,
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
            biased;
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

/// Answers one request. False: the connection is to be closed.
async fn respond<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    request: &Request,
    shared: &Arc<Shared>,
) -> bool {
    if knobs::is_knob(request.path()) {
        return respond_knob(stream, request, shared).await;
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
    let step = work(shared, request, seq);
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

/// Turns a knob; a change of the network waits until its answer is out.
async fn respond_knob<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    request: &Request,
    shared: &Arc<Shared>,
) -> bool {
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
    written
}

/// Does what the request asks, and notes in the log who asked.
fn work(shared: &Shared, request: &Request, seq: u64) -> Step {
    let mut core = shared.lock();
    let step = dispatch::dispatch(&mut core, request);
    let user = core.caller.as_ref().map(|caller| caller.user.clone());
    if let Some(line) = core.log.iter_mut().rev().find(|line| line.seq == seq) {
        line.user = user;
    }
    step
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
