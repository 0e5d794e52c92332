//! What all targets have in common: a client of the operator whose requests end in memory, and what must hold of all
//! that it is given. A target uses the public client and nothing inside it, so what is tried is the way that ships.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anomalyjob_operator::elasticsearch::{Carrier, Client, Endpoint, Limits, SetupError};
use peak_alloc::PeakAlloc;
use tokio::runtime::Runtime;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What no error may show, wherever it was put.
pub const SENTINEL: &str = "S3NTINEL";

/// The most that an input of libFuzzer's size may cost, in bytes.
const MOST: usize = 8 << 20;

std::thread_local! {
    static RUNTIME: Runtime = runtime();
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    // Waiting takes no time, so what waits too long ends at once, as an error.
    let builder = builder.enable_all().start_paused(true);
    builder.build().expect("a runtime")
}

/// Runs it to its end in paused time.
pub fn run<T>(of: impl Future<Output = T>) -> T {
    RUNTIME.with(|runtime| runtime.block_on(of))
}

/// Does it, and fails where that takes more memory than any input is worth.
pub fn bounded<T>(what: impl FnOnce() -> T) -> T {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let done = what();
    let used = MEMORY.peak_usage().saturating_sub(before);
    assert!(used <= MOST, "it took {used} bytes");
    done
}

/// The requests that were made.
pub type Seen = Arc<Mutex<Vec<reqwest::Request>>>;

/// A client whose requests are all answered so; and what it asked.
pub fn client(
    endpoint: &Endpoint,
    answer: impl Fn() -> http::Response<Vec<u8>> + Send + Sync + 'static,
) -> Result<(Client, Seen), SetupError> {
    let seen = Seen::default();
    let kept = Arc::clone(&seen);
    let carrier: Carrier = Arc::new(move |request| {
        kept.lock().expect("nobody panics in it").push(request);
        let answer = answer().into();
        Box::pin(async move { Ok(answer) })
    });
    let limits = Limits {
        call: Duration::from_secs(1),
        list_requests: 8,
        ..Limits::default()
    };
    Ok((Client::carried(endpoint, limits, carrier)?, seen))
}

/// Nothing secret is in it.
pub fn silent(shown: &str) {
    assert!(!shown.contains(SENTINEL), "{shown}");
}
