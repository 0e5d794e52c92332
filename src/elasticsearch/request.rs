//! The requests: method, path, query. The only place that builds a URL.
//!
//! A path is made of fixed words and typed ids, a query of fixed words, booleans and durations; no text from
//! outside has a way in. Options go into the query and never into a body, because Elasticsearch reads one or
//! the other (reference 1, point 10).

use std::fmt::Display;
use std::fmt::Write as _;
use std::time::Duration;

use reqwest::{Method, Url};

use super::ids::Ids;
use crate::api::id::{DatafeedId, JobId};

/// Body limits by kind of call, in bytes.
const CALL_LIMIT: usize = 64 * 1024;
const READ_LIMIT: usize = 16 * 1024 * 1024;

const JOB_FIELDS: &str =
    "count,jobs.job_id,jobs.create_time,jobs.finished_time,jobs.blocked.reason,jobs.deleting";
const JOB_STATS_FIELDS: &str =
    "count,jobs.job_id,jobs.state,jobs.node.id,jobs.assignment_explanation,jobs.open_time";
const DATAFEED_FIELDS: &str = "count,datafeeds.datafeed_id,datafeeds.job_id";
const DATAFEED_STATS_FIELDS: &str = "count,datafeeds.datafeed_id,datafeeds.state,datafeeds.node.id,datafeeds.assignment_explanation";
const INFO_FIELDS: &str = "upgrade_mode,defaults.datafeeds.scroll_size";

/// Whom a call names, so that ids in a refusal can be told from invented ones.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    /// Nobody in particular.
    Cluster,
    /// These jobs.
    Jobs(Ids<JobId>),
    /// These datafeeds.
    Datafeeds(Ids<DatafeedId>),
}

/// Which proof of the product an answer without header may bring by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// `/`: name and version say it.
    Root,
    /// `_ml/info`: its form says it where `/` is refused.
    MlInfo,
    /// None.
    None,
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    segments: Vec<String>,
    query: String,
    /// The cluster privilege that it needs at least (reference 17, point 16).
    pub(super) privilege: &'static str,
    pub(super) subject: Subject,
    pub(super) proof: Proof,
    /// The largest body of a good answer, in bytes.
    pub(super) body_limit: usize,
}

impl Call {
    fn read(segments: &[&str], fields: &str, subject: Subject) -> Self {
        Self {
            method: Method::GET,
            segments: segments.iter().map(ToString::to_string).collect(),
            query: format!("filter_path={fields}"),
            privilege: "monitor_ml",
            subject,
            proof: Proof::None,
            body_limit: READ_LIMIT,
        }
    }

    fn change(segments: &[&str], query: String, subject: Subject) -> Self {
        Self {
            method: Method::POST,
            segments: segments.iter().map(ToString::to_string).collect(),
            query,
            privilege: "manage_ml",
            subject,
            proof: Proof::None,
            body_limit: CALL_LIMIT,
        }
    }

    /// `GET /` (reference 9.1).
    pub(super) fn root() -> Self {
        let call = Self::read(&[], "", Subject::Cluster);
        Self {
            query: String::new(),
            privilege: "monitor",
            proof: Proof::Root,
            body_limit: CALL_LIMIT,
            ..call
        }
    }

    /// `GET /_ml/info` (reference 8).
    pub(super) fn ml_info() -> Self {
        let call = Self::read(&["_ml", "info"], INFO_FIELDS, Subject::Cluster);
        Self {
            proof: Proof::MlInfo,
            body_limit: CALL_LIMIT,
            ..call
        }
    }

    /// `GET /_ml/anomaly_detectors`, all of them (reference 5.1).
    pub(super) fn all_jobs() -> Self {
        Self::read(&["_ml", "anomaly_detectors"], JOB_FIELDS, Subject::Cluster)
    }

    /// `GET /_ml/anomaly_detectors/{ids}`.
    pub(super) fn jobs(ids: &Ids<JobId>) -> Self {
        Self::read(
            &["_ml", "anomaly_detectors", &ids.joined()],
            JOB_FIELDS,
            Subject::Jobs(ids.clone()),
        )
    }

    /// `GET /_ml/anomaly_detectors/{ids}/_stats` (reference 5.2).
    pub(super) fn job_stats(ids: &Ids<JobId>) -> Self {
        let segments = ["_ml", "anomaly_detectors", &ids.joined(), "_stats"];
        Self::read(&segments, JOB_STATS_FIELDS, Subject::Jobs(ids.clone()))
    }

    /// `GET /_ml/datafeeds`, all of them (reference 7).
    pub(super) fn all_datafeeds() -> Self {
        Self::read(&["_ml", "datafeeds"], DATAFEED_FIELDS, Subject::Cluster)
    }

    /// `GET /_ml/datafeeds/{ids}/_stats`.
    pub(super) fn datafeed_stats(ids: &Ids<DatafeedId>) -> Self {
        let segments = ["_ml", "datafeeds", &ids.joined(), "_stats"];
        Self::read(
            &segments,
            DATAFEED_STATS_FIELDS,
            Subject::Datafeeds(ids.clone()),
        )
    }

    /// `POST /_ml/anomaly_detectors/{ids}/_close` (reference 3).
    pub(super) fn close(ids: &Ids<JobId>, server_timeout: Duration) -> Self {
        let segments = ["_ml", "anomaly_detectors", &ids.joined(), "_close"];
        Self::change(
            &segments,
            format!("timeout={}", duration(server_timeout)),
            Subject::Jobs(ids.clone()),
        )
    }

    /// `POST /_ml/anomaly_detectors/{id}/_close?force=true`: one id, and no timeout, which it ignores.
    pub(super) fn force_close(id: &JobId) -> Self {
        let segments = ["_ml", "anomaly_detectors", id.as_str(), "_close"];
        Self::change(
            &segments,
            "force=true".to_owned(),
            Subject::Jobs(Ids::one(id.clone())),
        )
    }

    /// `POST /_ml/datafeeds/{id}/_stop` (reference 7).
    pub(super) fn stop_datafeed(id: &DatafeedId, force: bool, server_timeout: Duration) -> Self {
        let mut query = format!("timeout={}", duration(server_timeout));
        if force {
            query.push_str("&force=true");
        }
        let segments = ["_ml", "datafeeds", id.as_str(), "_stop"];
        Self::change(&segments, query, Subject::Datafeeds(Ids::one(id.clone())))
    }

    /// The whole URL below `base`, or nothing where `base` cannot have a path.
    pub(super) fn url(&self, base: &Url) -> Option<Url> {
        let mut url = base.clone();
        url.path_segments_mut()
            .ok()?
            .pop_if_empty()
            .extend(&self.segments);
        url.set_query((!self.query.is_empty()).then_some(&self.query));
        Some(url)
    }

    /// The length of the request line without its line break, in bytes.
    pub(super) fn line_length(&self, url: &Url) -> usize {
        let query = url.query().map_or(0, |query| 1 + query.len());
        self.method.as_str().len() + 1 + url.path().len() + query + " HTTP/1.1".len()
    }
}

/// The ids in as few parts as fit into request lines of `limit` bytes.
pub(super) fn split<T>(
    ids: &Ids<T>,
    base: &Url,
    limit: usize,
    call: impl Fn(&Ids<T>) -> Call,
) -> Vec<Ids<T>>
where
    T: Ord + Clone + Display,
{
    let Some(first) = ids.as_slice().first() else {
        return Vec::new();
    };
    let one = call(&Ids::one(first.clone()));
    let Some(url) = one.url(base) else {
        return vec![ids.clone()];
    };
    let frame = one
        .line_length(&url)
        .saturating_sub(first.to_string().len());
    ids.split(limit.saturating_sub(frame))
}

/// A duration as Elasticsearch reads it: a whole number and a unit, never `0`, which has a meaning of its
/// own (reference 17, point 13).
fn duration(of: Duration) -> String {
    let millis = of.as_millis().clamp(1, 86_400_000);
    let mut text = String::new();
    let _ = if millis % 1000 == 0 {
        write!(text, "{}s", millis / 1000)
    } else {
        write!(text, "{millis}ms")
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Url {
        Url::parse("https://es:9200").unwrap()
    }

    fn jobs(ids: &[&str]) -> Ids<JobId> {
        Ids::new(ids.iter().map(|id| JobId::parse(id).unwrap())).unwrap()
    }

    fn target(call: &Call) -> String {
        let url = call.url(&base()).unwrap();
        let query = url
            .query()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        format!("{} {}{query}", call.method, url.path())
    }

    #[test]
    fn each_call_has_the_path_and_query_of_the_reference() {
        let ab = jobs(&["a", "b"]);
        let feed = DatafeedId::parse("d").unwrap();
        let seconds = Duration::from_secs(30);
        assert_eq!(target(&Call::root()), "GET /");
        assert_eq!(
            target(&Call::ml_info()),
            "GET /_ml/info?filter_path=upgrade_mode,defaults.datafeeds.scroll_size"
        );
        assert_eq!(
            target(&Call::close(&ab, seconds)),
            "POST /_ml/anomaly_detectors/a,b/_close?timeout=30s"
        );
        assert_eq!(
            target(&Call::force_close(&JobId::parse("a").unwrap())),
            "POST /_ml/anomaly_detectors/a/_close?force=true"
        );
        assert_eq!(
            target(&Call::stop_datafeed(&feed, true, seconds)),
            "POST /_ml/datafeeds/d/_stop?timeout=30s&force=true"
        );
        assert_eq!(
            target(&Call::stop_datafeed(&feed, false, seconds)),
            "POST /_ml/datafeeds/d/_stop?timeout=30s"
        );
        assert!(
            target(&Call::all_jobs())
                .starts_with("GET /_ml/anomaly_detectors?filter_path=count,jobs.job_id,")
        );
        assert!(
            target(&Call::jobs(&ab)).starts_with("GET /_ml/anomaly_detectors/a,b?filter_path=")
        );
        assert!(
            target(&Call::job_stats(&ab))
                .starts_with("GET /_ml/anomaly_detectors/a,b/_stats?filter_path=")
        );
        assert!(target(&Call::all_datafeeds()).starts_with("GET /_ml/datafeeds?filter_path="));
        let feeds = Call::datafeed_stats(&Ids::one(feed));
        assert!(target(&feeds).starts_with("GET /_ml/datafeeds/d/_stats?filter_path="));
    }

    #[test]
    fn a_path_in_the_base_url_stays_with_and_without_a_slash_at_its_end() {
        for base in ["https://proxy/es", "https://proxy/es/"] {
            let base = Url::parse(base).unwrap();
            assert_eq!(Call::ml_info().url(&base).unwrap().path(), "/es/_ml/info");
            assert!(matches!(
                Call::root().url(&base).unwrap().path(),
                "/es" | "/es/"
            ));
        }
    }

    #[test]
    fn no_text_that_is_an_id_changes_the_path_or_the_query() {
        let alphabet = [
            "a", "z", "0", "-", "_", ".", "..", "/", "?", "#", "%2e", "%2F", ",", "*", "&", " ",
            "\n", "_all", "\\", ";", ":", "@", "é", "\u{0}", "A",
        ];
        let mut taken = 0;
        for first in alphabet {
            for second in alphabet {
                for third in alphabet {
                    let text = format!("{first}{second}{third}");
                    let Ok(id) = JobId::parse(&text) else {
                        continue;
                    };
                    taken += 1;
                    let call = Call::close(&Ids::one(id), Duration::from_secs(1));
                    let url = call.url(&base()).unwrap();
                    let segments: Vec<&str> = url.path_segments().unwrap().collect();
                    assert_eq!(
                        segments,
                        ["_ml", "anomaly_detectors", &text, "_close"],
                        "{text:?}"
                    );
                    assert_eq!(
                        (url.query(), url.fragment()),
                        (Some("timeout=1s"), None),
                        "{text:?}"
                    );
                }
            }
        }
        assert!(taken > 50, "the loop has met ids: {taken}");
        for text in [
            "", ".", "..", "_all", "*", ",", "a,b", "a/b", "a?b", "a#b", "a b", "%2e", "-a", "a-",
        ] {
            assert!(JobId::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn parts_fill_the_request_line_up_to_4095_bytes_and_no_further() {
        let many =
            Ids::new((0..500).map(|n| JobId::parse(&format!("a-job-with-a-name-{n}")).unwrap()))
                .unwrap();
        let base = Url::parse("https://proxy/some/path").unwrap();
        let parts = split(&many, &base, 4095, Call::job_stats);
        let lengths: Vec<usize> = parts
            .iter()
            .map(|part| {
                let call = Call::job_stats(part);
                call.line_length(&call.url(&base).unwrap())
            })
            .collect();
        assert_eq!(
            parts
                .iter()
                .map(|part| part.as_slice().len())
                .sum::<usize>(),
            500
        );
        assert!(lengths.iter().all(|&length| length <= 4095), "{lengths:?}");
        let (_, full) = lengths.split_last().unwrap();
        assert!(full.iter().all(|&length| length > 4095 - 25), "{lengths:?}");
    }

    #[test]
    fn a_line_of_exactly_the_limit_passes() {
        let ids = Ids::new((0..70).map(|n| JobId::parse(&format!("{n:064}")).unwrap())).unwrap();
        let whole = Call::close(&ids, Duration::from_secs(30));
        let length = whole.line_length(&whole.url(&base()).unwrap());
        let close = |ids: &Ids<JobId>| Call::close(ids, Duration::from_secs(30));
        assert_eq!(split(&ids, &base(), length, close).len(), 1);
        assert_eq!(split(&ids, &base(), length - 1, close).len(), 2);
    }

    #[test]
    fn durations_are_whole_numbers_with_a_unit_and_never_zero() {
        let cases = [
            (0, "1ms"),
            (1, "1ms"),
            (999, "999ms"),
            (1000, "1s"),
            (1500, "1500ms"),
            (90_000, "90s"),
        ];
        for (millis, text) in cases {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
        assert_eq!(duration(Duration::MAX), "86400s");
    }
}
