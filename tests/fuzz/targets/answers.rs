//! Answers of Elasticsearch, or of what stands in its place. The first byte says which call is answered, the second how: status
//! and headers; the rest is the body. Whatever it is: the call ends, in bounded memory and few requests, no error shows a part
//! of it, and a view has in it only what was asked for.

#![no_main]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a target stops at what is wrong"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use anomalyjob_operator::api::JobPattern;
use anomalyjob_operator::api::id::{DatafeedId, JobId};
use anomalyjob_operator::elasticsearch::{
    Client, Credentials, Endpoint, Error, Identity, Ids, JobConfig, View,
};
use libfuzzer_sys::{Corpus, fuzz_target};

/// How an answer looks from outside: status, whether it has the product header, further headers.
type Form = (u16, bool, &'static [(&'static str, &'static str)]);

const FORMS: [Form; 17] = [
    (200, true, &[]),
    (200, false, &[]),
    (400, true, &[]),
    (401, true, &[]),
    (403, true, &[]),
    (404, true, &[]),
    (405, true, &[]),
    (408, true, &[]),
    (409, true, &[]),
    (413, false, &[]),
    (429, true, &[("retry-after", "7")]),
    (500, true, &[]),
    (502, false, &[]),
    (503, true, &[("retry-after", "99999999999999999999")]),
    (302, true, &[("location", "http://elsewhere.example/")]),
    (200, true, &[("content-encoding", "gzip")]),
    (201, true, &[]),
];
/// The most requests that one call may come to here, where lists have at most eight.
const REQUESTS: usize = 64;
const SECOND: Duration = Duration::from_secs(1);

fuzz_target!(|input: &[u8]| -> Corpus {
    let [call, form, body @ ..] = input else {
        return Corpus::Reject;
    };
    fuzz::bounded(|| answered(*call, FORMS[usize::from(*form) % FORMS.len()], body));
    Corpus::Keep
});

fn answered(call: u8, (status, proven, headers): Form, body: &[u8]) {
    let endpoint = Endpoint {
        url: "https://es.example/proxy".to_owned(),
        credentials: Credentials::ApiKey(format!("id:{}", fuzz::SENTINEL).into()),
        ..Endpoint::default()
    };
    let body = body.to_vec();
    let answer = move || {
        let mut answer = http::Response::builder().status(status);
        if proven {
            answer = answer.header("x-elastic-product", "Elasticsearch");
        }
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        answer.body(body.clone()).expect("an answer")
    };
    let (client, seen) = fuzz::client(&endpoint, answer).expect("a good endpoint");
    let (changes, error) = fuzz::run(ask(&client, call));
    let shown = format!(
        "{client:?} {error:?} {}",
        error.as_ref().map(ToString::to_string).unwrap_or_default()
    );
    fuzz::silent(&shown);
    assert!(shown.len() < 8192, "an error of {} bytes", shown.len());
    let seen = seen.lock().expect("nobody panics in it");
    let most = if changes { 1 } else { REQUESTS };
    assert!((1..=most).contains(&seen.len()), "{} requests", seen.len());
    for request in &*seen {
        let url = request.url();
        assert!(
            url.path().starts_with("/proxy/") || url.path() == "/proxy",
            "{url}"
        );
        assert!(!url.as_str().contains(fuzz::SENTINEL), "{url}");
        assert!(changes || request.method() == "GET" || url.path().ends_with("/_has_privileges"));
    }
}

fn jobs() -> Ids<JobId> {
    let all = ["a", "low_request_rate", "web-1", "web-2", "group"];
    Ids::new(all.map(|id| JobId::parse(id).expect("an id"))).expect("ids")
}

fn feeds() -> Ids<DatafeedId> {
    let all = ["a", "datafeed-a", "feed-web-1"];
    Ids::new(all.map(|id| DatafeedId::parse(id).expect("an id"))).expect("ids")
}

/// Makes the call, and holds a good answer to what must be true of it. Says whether it is one that changes something.
async fn ask(client: &Client, call: u8) -> (bool, Option<Error>) {
    match call % 17 {
        call @ 0..12 => (false, read(client, call).await),
        call => (true, change(client, call).await),
    }
}

async fn read(client: &Client, call: u8) -> Option<Error> {
    let (jobs, feeds) = (jobs(), feeds());
    let all = [JobPattern::parse("*").expect("a wildcard")];
    match call {
        0 => held(client.identify().await, identity),
        1 => held(client.ml_info().await, |_| ()),
        2 => held(client.lacks().await, |_| ()),
        3 => held(client.jobs().await, configs),
        4 => held(client.job_configs(&jobs).await, |view| {
            configs(view);
            asked(view, &jobs);
        }),
        5 => held(client.job_stats(&jobs).await, |view| {
            asked(view, &jobs);
            explained(view.found.values().map(|job| &job.assignment_explanation));
        }),
        6 => held(client.job_stats_like(&all).await, |view| {
            ids(view.found.keys());
            explained(view.found.values().map(|job| &job.assignment_explanation));
        }),
        7 => held(client.newest_snapshot(&jobs.as_slice()[0]).await, |_| ()),
        8 => held(client.persistent_tasks().await, |tasks| {
            ids(tasks.jobs.keys());
        }),
        9 => held(client.datafeeds().await, |_| ()),
        10 => held(client.datafeed_stats(&feeds).await, |view| {
            asked(view, &feeds);
            explained(view.found.values().map(|feed| &feed.assignment_explanation));
        }),
        _ => held(client.all_datafeed_stats().await, |_| ()),
    }
}

async fn change(client: &Client, call: u8) -> Option<Error> {
    let (jobs, feeds) = (jobs(), feeds());
    let (job, feed) = (&jobs.as_slice()[0], &feeds.as_slice()[0]);
    let answer = match call {
        12 => client.close(&jobs, SECOND).await,
        13 => client.force_close(job).await,
        14 => client.open(job, SECOND).await,
        15 => client.start_datafeed(feed, SECOND).await,
        _ => client.stop_datafeed(feed, true, SECOND).await,
    };
    assert!(client.list_room() > 0, "no list fits any more");
    answer.err()
}

fn held<T>(answer: Result<T, Error>, check: impl FnOnce(&T)) -> Option<Error> {
    match answer {
        Ok(good) => {
            check(&good);
            None
        }
        Err(error) => Some(error),
    }
}

fn identity(identity: &Identity) {
    printable(&identity.cluster_name, 255);
    let form = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    assert!(identity.cluster_uuid.chars().all(form) && identity.cluster_uuid.len() <= 64);
}

fn explained<'a>(all: impl Iterator<Item = &'a Option<String>>) {
    for text in all.flatten() {
        printable(text, 512);
    }
}

/// A view has in it what was asked for, each in one place.
fn asked<Id: Ord + Clone + std::fmt::Display, Item>(view: &View<Id, Item>, sent: &Ids<Id>) {
    let all = view
        .found
        .keys()
        .chain(&view.missing)
        .chain(&view.unreadable);
    let mut times: BTreeMap<&Id, usize> = BTreeMap::new();
    for id in all {
        assert!(sent.contains(id), "nobody asked for {id}");
        *times.entry(id).or_default() += 1;
    }
    let both = view.found.keys().any(|id| view.missing.contains(id));
    assert!(!both, "found and missing");
}

fn configs(view: &View<JobId, JobConfig>) {
    ids(view.found.keys());
    for group in view.found.values().flat_map(|config| &config.groups) {
        assert!(JobId::parse(group).is_ok(), "a group that is none");
    }
}

/// They are ids.
fn ids<'a>(all: impl Iterator<Item = &'a JobId>) {
    for id in all {
        assert!(JobId::parse(id.as_str()).is_ok(), "{id}");
    }
}

/// Fit to be shown to people.
fn printable(text: &str, most: usize) {
    assert!(text.chars().count() <= most, "{} characters", text.len());
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
