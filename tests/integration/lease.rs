//! The lease against the real API server, whose compare-and-swap no fake has. What depends on exact times is tested in
//! virtual time beside the code; here the promises are: one acts, and another takes over soon.

use std::process::Command;
use std::time::{Duration, Instant};

use anomalyjob_operator::clock::Clock;
use anomalyjob_operator::lease::{Claim, Lease, unique};
use k8s_openapi::api::coordination::v1::Lease as Record;
use kube::Api;
use kube::api::{DeleteParams, PostParams};

use crate::support::controlplane::{self, ControlPlane};

const NAME: &str = "the-lease";
/// For what must come, but whose time is not the point.
const LIMIT: Duration = Duration::from_secs(60);

/// A namespace on a control plane, and candidates for the lease in it.
struct Election {
    plane: &'static ControlPlane,
    namespace: String,
}

impl Election {
    fn new() -> Self {
        let plane = controlplane::shared();
        Self {
            plane,
            namespace: plane.namespace(),
        }
    }

    async fn candidate(&self, identity: &str) -> Lease {
        let client = self.plane.client().await;
        Lease::new(
            client,
            &self.namespace,
            NAME,
            unique(identity),
            Clock::system(),
        )
    }

    async fn api(&self) -> Api<Record> {
        Api::namespaced(self.plane.client().await, &self.namespace)
    }
}

async fn acquire(lease: &mut Lease) -> Claim {
    tokio::time::timeout(LIMIT, lease.acquire(|| ()))
        .await
        .expect("the lease was not acquired")
}

/// Waits until the stored record is as it should be.
async fn stored(api: &Api<Record>, what: &str, holds: impl Fn(&Record) -> bool) -> Record {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(record) = api.get_opt(NAME).await.unwrap().filter(&holds) {
            return record;
        }
        assert!(Instant::now() < end, "never seen: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn holder(record: &Record) -> Option<&str> {
    record.spec.as_ref()?.holder_identity.as_deref()
}

fn transitions(record: &Record) -> Option<i32> {
    record.spec.as_ref()?.lease_transitions
}

fn renewed(record: &Record) -> Option<String> {
    Some(record.spec.as_ref()?.renew_time.as_ref()?.0.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_acts_and_after_its_clean_stop_the_other_within_3_s() {
    let election = Election::new();
    let api = election.api().await;
    let mut first = election.candidate("twin").await;
    let mut second = election.candidate("twin").await;
    assert_ne!(
        first.identity(),
        second.identity(),
        "two of one name are two"
    );
    let claim = acquire(&mut first).await;
    let me = first.identity().to_owned();

    let waiting = tokio::spawn(async move {
        let claim = acquire(&mut second).await;
        (second, claim, Instant::now())
    });
    let taken = stored(&api, "the first holds it", |record| {
        holder(record) == Some(&me)
    })
    .await;
    for _ in 0..2 {
        let before = renewed(&api.get(NAME).await.unwrap());
        stored(&api, "a renewal", |record| renewed(record) != before).await;
        assert!(claim.is_current() && !waiting.is_finished());
    }
    let now = api.get(NAME).await.unwrap();
    assert_eq!(
        (transitions(&now), holder(&now)),
        (transitions(&taken), Some(me.as_str()))
    );

    let stopped = Instant::now();
    first.release().await.unwrap();
    assert!(!claim.is_current());
    let (second, claim, acquired) = waiting.await.unwrap();
    let took = acquired - stopped;
    assert!(took <= Duration::from_secs(3), "taken over after {took:?}");
    assert!(claim.is_current());
    let now = api.get(NAME).await.unwrap();
    assert_eq!(holder(&now), Some(second.identity()));
    assert_eq!(transitions(&now), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_lease_is_taken_over_within_20_s_and_no_sooner_than_it_may() {
    let election = Election::new();
    let mut first = election.candidate("first").await;
    let claim = acquire(&mut first).await;
    let mut second = election.candidate("second").await;
    drop(first);
    let abandoned = Instant::now();
    claim.lost().await;
    assert!(!claim.is_current());
    let other = acquire(&mut second).await;
    let took = abandoned.elapsed();
    assert!(
        took >= Duration::from_secs(14),
        "the holder may still have acted: {took:?}"
    );
    assert!(took <= Duration::from_secs(20), "taken over after {took:?}");
    assert!(other.is_current());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_object_deleted_under_its_holder_is_put_back_by_it() {
    let election = Election::new();
    let api = election.api().await;
    let mut first = election.candidate("first").await;
    let claim = acquire(&mut first).await;
    let mut second = election.candidate("second").await;
    let standing_by = std::sync::Arc::new(tokio::sync::Notify::new());
    let read = standing_by.clone();
    let waiting = tokio::spawn(async move { second.acquire(|| read.notify_one()).await });
    standing_by.notified().await;
    api.delete(NAME, &DeleteParams::default()).await.unwrap();
    let back = stored(&api, "the object is back", |record| {
        holder(record).is_some()
    })
    .await;
    assert_eq!(holder(&back), Some(first.identity()));
    assert!(claim.is_current() && !waiting.is_finished());
    waiting.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_somebody_writes_another_holder_into_is_lost() {
    let election = Election::new();
    let api = election.api().await;
    let mut first = election.candidate("first").await;
    let claim = acquire(&mut first).await;
    let mut record = api.get(NAME).await.unwrap();
    record.spec.as_mut().unwrap().holder_identity = Some("thief".to_owned());
    api.replace(NAME, &PostParams::default(), &record)
        .await
        .unwrap();
    tokio::time::timeout(LIMIT, claim.lost()).await.unwrap();
    assert!(!claim.is_current());
    first.release().await.unwrap();
    let after = api.get(NAME).await.unwrap();
    assert_eq!(
        holder(&after),
        Some("thief"),
        "somebody else's lease is not released"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_swallows_everything_ends_the_claim_before_another_could_take_it() {
    // An own one, because it is frozen: connections stay open, and nothing is ever answered.
    let plane = ControlPlane::start(&[]);
    let namespace = plane.namespace();
    let client = plane.client().await;
    let me = "first".to_owned();
    let mut lease = Lease::new(client, &namespace, NAME, me, Clock::system());
    let claim = acquire(&mut lease).await;
    let frozen = Instant::now();
    signal(&plane, "STOP");
    tokio::time::timeout(LIMIT, claim.lost()).await.unwrap();
    let held = frozen.elapsed();
    assert!(!claim.is_current());
    // The last renewal was sent before the freeze; 15 s after it another may act.
    assert!(
        held < Duration::from_secs(13),
        "current for {held:?} without an answer"
    );
    signal(&plane, "CONT");
    assert!(
        acquire(&mut lease).await.is_current(),
        "it starts anew when the API server is back"
    );
}

fn signal(plane: &ControlPlane, name: &str) {
    let pid = std::fs::read_to_string(plane.folder().join("kube-apiserver.pid")).unwrap();
    let status = Command::new("kill")
        .args([&format!("-{name}"), pid.trim()])
        .status()
        .unwrap();
    assert!(status.success());
}
