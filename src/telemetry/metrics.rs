//! What the operator counts. One handle with a method for each thing that can happen, so that no other room knows a
//! metric's name. It must not decide anything and must not fail: a count that cannot be made is left out.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::labels::{
    self, CloseOutcome, ElasticsearchApi, ElasticsearchOutcome, EventOutcome, EventType,
    StatusWrite,
};
use super::process::Process;

/// Upper edges in seconds of the duration of a close. 1800 is one of them: it is the API's default timeout, and what
/// lies beyond it was forced or would have been.
const CLOSE_SECONDS: [f64; 11] = [
    1.0, 2.0, 5.0, 15.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0,
];

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A handle on all counts, cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    leader: Gauge,
    requests: Family<labels::Request, Counter>,
    request_seconds: Counter<f64, std::sync::atomic::AtomicU64>,
    status_writes: Family<labels::Write, Counter>,
    events: Family<labels::Event, Counter>,
    closes: Family<labels::Close, Histogram, fn() -> Histogram>,
}

fn close_histogram() -> Histogram {
    Histogram::new(CLOSE_SECONDS)
}

impl Metrics {
    /// All metrics at zero. `lease_name` is the label of the leader gauge, the one that client-go gives it.
    pub fn new(lease_name: &str) -> Self {
        let mut inner = Inner {
            registry: Registry::default(),
            leader: Gauge::default(),
            requests: Family::default(),
            request_seconds: Counter::default(),
            status_writes: Family::default(),
            events: Family::default(),
            closes: Family::new_with_constructor(close_histogram),
        };
        inner.register(lease_name);
        inner.start_at_zero();
        Self(Arc::new(inner))
    }

    /// Whether this process holds the lease.
    pub fn leading(&self, leading: bool) {
        self.0.leader.set(i64::from(leading));
    }

    /// One request to Elasticsearch has ended after `took`.
    pub fn elasticsearch_request(
        &self,
        api: ElasticsearchApi,
        outcome: ElasticsearchOutcome,
        took: Duration,
    ) {
        self.0
            .requests
            .get_or_create(&labels::Request { api, outcome })
            .inc();
        self.0.request_seconds.inc_by(took.as_secs_f64());
    }

    /// One write of a status has ended.
    pub fn status_write(&self, outcome: StatusWrite) {
        self.0
            .status_writes
            .get_or_create(&labels::Write { outcome })
            .inc();
    }

    /// One event was published or dropped.
    pub fn event(&self, r#type: EventType, outcome: EventOutcome) {
        self.0
            .events
            .get_or_create(&labels::Event { r#type, outcome })
            .inc();
    }

    /// The close of one job has ended, `took` after it was first asked for.
    pub fn close(&self, outcome: CloseOutcome, took: Duration) {
        self.0
            .closes
            .get_or_create(&labels::Close { outcome })
            .observe(took.as_secs_f64());
    }

    /// All metrics as OpenMetrics text.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.0.registry)?;
        Ok(text)
    }
}

impl Inner {
    fn register(&mut self, lease_name: &str) {
        let registry = &mut self.registry;
        let info: Family<labels::Build, Gauge> = Family::default();
        let version = env!("CARGO_PKG_VERSION");
        info.get_or_create(&labels::Build { version }).set(1);
        registry.register(
            "anomalyjob_operator_build_info",
            "Which operator this is",
            info,
        );

        let leader: Family<labels::LeaseName, Gauge> = Family::default();
        self.leader = leader.get_or_create_owned(&labels::LeaseName {
            name: lease_name.to_owned(),
        });
        registry.register(
            "leader_election_master_status",
            "1 where this process holds the lease of that name, else 0",
            leader,
        );

        registry.register(
            "elasticsearch_client_requests",
            "Requests to Elasticsearch by API and outcome",
            self.requests.clone(),
        );
        registry.register(
            "elasticsearch_client_request_seconds",
            "Time spent waiting for answers of Elasticsearch",
            self.request_seconds.clone(),
        );
        registry.register(
            "anomalyjob_status_writes",
            "Writes of a status by outcome",
            self.status_writes.clone(),
        );
        registry.register(
            "anomalyjob_events",
            "Kubernetes events by type and outcome",
            self.events.clone(),
        );
        registry.register(
            "anomalyjob_close_duration_seconds",
            "From the first request for a close to its end, by outcome",
            self.closes.clone(),
        );
        registry.register_collector(Box::new(Process::new()));
    }

    /// A series that is absent until its first event hides that event from `rate()`; the sets are closed and small, so
    /// all are there from the start. Requests apart: of their product most pairs never happen.
    fn start_at_zero(&self) {
        for &outcome in StatusWrite::ALL {
            drop(self.status_writes.get_or_create(&labels::Write { outcome }));
        }
        for &r#type in EventType::ALL {
            for &outcome in EventOutcome::ALL {
                drop(
                    self.events
                        .get_or_create(&labels::Event { r#type, outcome }),
                );
            }
        }
        for &outcome in CloseOutcome::ALL {
            drop(self.closes.get_or_create(&labels::Close { outcome }));
        }
        for &api in ElasticsearchApi::ALL {
            let outcome = ElasticsearchOutcome::Success;
            drop(
                self.requests
                    .get_or_create(&labels::Request { api, outcome }),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, series: &str) -> Option<f64> {
        text.lines()
            .find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }

    #[test]
    fn each_thing_that_happens_is_counted_under_its_own_labels() {
        let metrics = Metrics::new("the-lease");
        metrics.leading(true);
        metrics.elasticsearch_request(
            ElasticsearchApi::Close,
            ElasticsearchOutcome::Overloaded,
            Duration::from_millis(1500),
        );
        metrics.status_write(StatusWrite::Conflict);
        metrics.event(EventType::Warning, EventOutcome::Published);
        metrics.close(CloseOutcome::Forced, Duration::from_secs(1800));
        let text = metrics.render().unwrap();
        for (series, expected) in [
            ("leader_election_master_status{name=\"the-lease\"}", 1.0),
            (
                "elasticsearch_client_requests_total{api=\"close\",outcome=\"overloaded\"}",
                1.0,
            ),
            ("elasticsearch_client_request_seconds_total", 1.5),
            ("anomalyjob_status_writes_total{outcome=\"conflict\"}", 1.0),
            (
                "anomalyjob_events_total{type=\"Warning\",outcome=\"published\"}",
                1.0,
            ),
            (
                "anomalyjob_close_duration_seconds_bucket{le=\"1800.0\",outcome=\"forced\"}",
                1.0,
            ),
            (
                "anomalyjob_close_duration_seconds_count{outcome=\"forced\"}",
                1.0,
            ),
        ] {
            assert_eq!(value(&text, series), Some(expected), "{series} in\n{text}");
        }
    }

    #[test]
    fn the_closed_sets_start_at_zero_so_that_a_first_event_is_seen_as_a_rise() {
        let text = Metrics::new("x").render().unwrap();
        assert_eq!(
            value(&text, "anomalyjob_status_writes_total{outcome=\"failed\"}"),
            Some(0.0)
        );
        assert_eq!(
            value(
                &text,
                "anomalyjob_close_duration_seconds_count{outcome=\"unsaved\"}"
            ),
            Some(0.0)
        );
        assert_eq!(
            value(&text, "leader_election_master_status{name=\"x\"}"),
            Some(0.0)
        );
    }

    #[test]
    fn the_number_of_series_is_bounded_whatever_happens() {
        let metrics = Metrics::new("x");
        for &api in ElasticsearchApi::ALL {
            for &outcome in ElasticsearchOutcome::ALL {
                metrics.elasticsearch_request(api, outcome, Duration::ZERO);
            }
        }
        let series = metrics
            .render()
            .unwrap()
            .lines()
            .filter(|line| !line.starts_with('#'))
            .count();
        assert!(series < 200, "{series} series");
    }
}
