//! Paths, queries and request lines: what may stand in them and what never.

use serde_json::json;

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
        target(&Call::open(&JobId::parse("a").unwrap(), seconds)),
        "POST /_ml/anomaly_detectors/a/_open?timeout=30s"
    );
    assert_eq!(
        target(&Call::start_datafeed(&feed, seconds)),
        "POST /_ml/datafeeds/d/_start?timeout=30s"
    );
    assert_eq!(
        target(&Call::stop_datafeed(&feed, true, seconds)),
        "POST /_ml/datafeeds/d/_stop?timeout=30s&force=true"
    );
    assert_eq!(
        target(&Call::stop_datafeed(&feed, false, seconds)),
        "POST /_ml/datafeeds/d/_stop?timeout=30s"
    );
}

#[test]
fn each_read_has_the_path_of_the_reference_and_asks_for_some_fields_only() {
    let ab = jobs(&["a", "b"]);
    let feed = DatafeedId::parse("d").unwrap();
    assert!(
        target(&Call::all_jobs())
            .starts_with("GET /_ml/anomaly_detectors?filter_path=count,jobs.job_id,")
    );
    assert!(target(&Call::jobs(&ab)).starts_with("GET /_ml/anomaly_detectors/a,b?filter_path="));
    assert!(
        target(&Call::job_stats(&ab))
            .starts_with("GET /_ml/anomaly_detectors/a,b/_stats?filter_path=")
    );
    assert!(target(&Call::all_datafeeds()).starts_with("GET /_ml/datafeeds?filter_path="));
    let like = ["a-*", "b*"].map(|text| JobPattern::parse(text).unwrap());
    let like = target(&Call::job_stats_like(&like));
    assert!(
        like.starts_with("GET /_ml/anomaly_detectors/a-*,b*/_stats?filter"),
        "{like}"
    );
    assert!(
        target(&Call::all_datafeed_stats()).starts_with("GET /_ml/datafeeds/_stats?filter_path=")
    );
    let tasks = target(&Call::persistent_tasks());
    assert!(tasks.starts_with("GET /_cluster/state/metadata?filter_path=cluster_uuid,"));
    assert!(tasks.contains(",metadata.persistent_tasks.tasks.task.*.state.state,"));
    let newest = target(&Call::newest_snapshot(&JobId::parse("a").unwrap()));
    let path = "GET /_ml/anomaly_detectors/a/model_snapshots?size=1&sort=timestamp&desc=true&";
    assert!(newest.starts_with(path), "{newest}");
    let one = target(&Call::datafeeds(&Ids::one(feed.clone())));
    assert!(one.starts_with("GET /_ml/datafeeds/d?filter_path="));
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
fn parts_fill_the_request_line_up_to_4095_bytes_and_no_further() {
    let many = Ids::new((0..500).map(|n| JobId::parse(&format!("a-job-with-a-name-{n}")).unwrap()))
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
fn prefixes_stand_as_wildcards_in_reads_and_fit_their_line() {
    let mut parts = crate::elasticsearch::parts::Parts::behind(Some("y9"), 10_000);
    let all = Call::all_jobs();
    let limit = 512;
    let room = room(&base(), limit, &all, 0) - 1;
    let mut seen = String::new();
    while let Some(crate::elasticsearch::parts::Part::Below(prefixes)) = parts.next(room) {
        for call in [
            Call::jobs_below(&prefixes),
            Call::datafeeds_below(&prefixes),
        ] {
            let url = call.url(&base()).unwrap();
            assert!(call.line_length(&url) <= limit, "{url}");
            assert_eq!((&call.method, call.is_list()), (&Method::GET, true));
            seen.push_str(url.path());
        }
    }
    let first = "/_ml/anomaly_detectors/y9-*,y9.*,y90*,";
    assert!(
        seen.starts_with(first) && seen.contains(",y_*,ya*") && seen.ends_with(",z*"),
        "{seen}"
    );
}

/// The longest entries that 10 000 jobs can have: ids of 64 signs, and of what is not bounded by a rule a good deal.
#[test]
fn the_views_of_ten_thousand_jobs_fit_into_the_limit() {
    let id = "j".repeat(64);
    let node = "eS54toPPTFKFu_DjwyQJgg";
    let why = format!("Not opening job [{id}] on node [{{node-1}}{{ml.machine_memory=25276514304}}], because this node is full.").repeat(5);
    let groups = vec![&id; 12];
    let config = json!({"job_id": id, "groups": groups, "create_time": 1_600_000_000_000_u64, "finished_time": 1_600_000_000_000_u64,
        "blocked": {"reason": "revert"}, "deleting": true});
    let stats = json!({"job_id": id, "state": "opening", "node": {"id": node}, "assignment_explanation": why, "open_time": "13s",
        "data_counts": {"latest_record_timestamp": 1_600_000_000_000_u64, "last_data_time": 1_600_000_000_000_u64}});
    let job = json!({"id": format!("job-{id}"), "task": {"xpack/ml/job": {"params": {"job_id": id}, "state": {"state": "opened"}}},
        "assignment": {"executor_node": node}});
    let feed = json!({"id": format!("datafeed-{id}"), "task": {"xpack/ml/datafeed": {"params": {"job_id": id, "end": "1600000000000"},
        "state": {"state": "started"}}}, "assignment": {"executor_node": node}});
    let size = |entry: &serde_json::Value| (entry.to_string().len() + 1) * 10_000;
    for (view, size) in [
        ("configs", size(&config)),
        ("stats", size(&stats)),
        ("tasks", size(&job) + size(&feed)),
    ] {
        assert!(size <= READ_LIMIT, "{view}: {size} bytes");
    }
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
