//! What several tests need. No test stands here.

pub(crate) mod campaign;
pub(crate) mod chance;
pub(crate) mod clock;
pub(crate) mod controlplane;
pub(crate) mod elastic;
pub(crate) mod gate;
pub(crate) mod http;
pub(crate) mod kstatus;
pub(crate) mod lived;
pub(crate) mod operator;
pub(crate) mod room;
pub(crate) mod tls;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// For what must come, but whose time is not the point.
pub(crate) const LIMIT: Duration = Duration::from_secs(45);

/// Where simulators and Kubernetes clients of the blocking tests live: one for all, because each costs threads.
pub(crate) static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
});

/// Asks until there is an answer, and fails with what was asked after `limit`.
pub(crate) fn until<T>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> Result<T, String>,
) -> T {
    let end = Instant::now() + limit;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(last) if Instant::now() >= end => {
                panic!("{limit:?} passed without: {what}; last seen: {last}")
            }
            Err(_) => std::thread::sleep(Duration::from_millis(40)),
        }
    }
}

/// Waits until `holds`.
pub(crate) fn until_true(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    until(what, limit, || {
        if holds() {
            Ok(())
        } else {
            Err("not so".to_owned())
        }
    });
}

/// Runs scenarios that mostly wait next to each other, so that they do not use up the threads of the test runner.
/// All come to their end; then the first that failed fails the test.
pub(crate) fn side_by_side(scenarios: &[(&str, &(dyn Fn() + Sync))]) {
    let failed: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = scenarios
            .iter()
            .map(|(name, scenario)| {
                let run = move || catch_unwind(AssertUnwindSafe(scenario));
                (*name, scope.spawn(run))
            })
            .collect();
        let ended = running
            .into_iter()
            .map(|(name, run)| (name, run.join().expect("caught")));
        ended
            .filter_map(|(name, end)| Some((name, end.err()?)))
            .collect()
    });
    for (name, _) in &failed {
        println!("failed: {name}");
    }
    if let Some((_, panic)) = failed.into_iter().next() {
        std::panic::resume_unwind(panic);
    }
}
