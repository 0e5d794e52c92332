//! Whatever answers: each call ends within its limits, with the right class, and shows nothing of it.

use std::time::Duration;

use anomalyjob_operator::api::id::{DatafeedId, JobId};
use anomalyjob_operator::elasticsearch::error::{Impostor, Malformed};
use anomalyjob_operator::elasticsearch::{Client, Endpoint, Error, Ids, Limits};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::net::TcpListener;

use super::cluster::everything;
use super::server::{PRODUCT, Reply, Server, answer, lab};

const SENTINEL: &str = "S3NTINEL";

fn job() -> Ids<JobId> {
    Ids::one(JobId::parse("a").unwrap())
}

type Outcome = (&'static str, Option<Error>);

fn named<'a, T>(
    name: &'static str,
    call: impl Future<Output = Result<T, Error>> + Send + 'a,
) -> BoxFuture<'a, Outcome> {
    call.map(move |result| (name, result.err())).boxed()
}

/// Every call once, all at the same time. Each with its name and how it failed, if it did.
async fn all_calls(client: &Client) -> Vec<Outcome> {
    let second = Duration::from_secs(1);
    let (jobs, datafeed) = (job(), DatafeedId::parse("d").unwrap());
    let datafeeds = Ids::one(datafeed.clone());
    let everything = everything();
    let calls = vec![
        named("identify", client.identify()),
        named("ml_info", client.ml_info()),
        named("jobs", client.jobs()),
        named("job_configs", client.job_configs(&jobs)),
        named("job_stats", client.job_stats(&jobs)),
        named("datafeeds", client.datafeeds()),
        named("datafeed_stats", client.datafeed_stats(&datafeeds)),
        named("job_stats_like", client.job_stats_like(&everything)),
        named("all_datafeed_stats", client.all_datafeed_stats()),
        named(
            "newest_snapshot",
            client.newest_snapshot(&jobs.as_slice()[0]),
        ),
        named("persistent_tasks", client.persistent_tasks()),
        named("open", client.open(&jobs.as_slice()[0], second)),
        named("start", client.start_datafeed(&datafeed, second)),
        named("close", client.close(&jobs, second)),
        named("force_close", client.force_close(&jobs.as_slice()[0])),
        named("stop", client.stop_datafeed(&datafeed, false, second)),
    ];
    futures::future::join_all(calls).await
}

/// Every call fails with `expected` when answered so, and nothing of the answer or the key is shown.
async fn every_call_fails(
    script: impl Fn(&str) -> Reply + Send + Sync + 'static,
    limit: Duration,
    expected: impl Fn(&Error) -> bool,
) {
    calls_fail(script, limit, "", expected).await;
}

/// The same for every call but one, which may succeed.
async fn calls_fail(
    script: impl Fn(&str) -> Reply + Send + Sync + 'static,
    limit: Duration,
    but: &str,
    expected: impl Fn(&Error) -> bool,
) {
    let server = Server::start(script).await;
    let client = server
        .client_with_key(&format!("{SENTINEL}:{SENTINEL}"))
        .within(limit);
    for (call, error) in all_calls(&client).await {
        if call == but && error.is_none() {
            continue;
        }
        let error = error.unwrap_or_else(|| panic!("{call} succeeded"));
        assert!(expected(&error), "{call}: {error:?}");
        let shown = format!("{error} {error:?} {client:?}");
        assert!(!shown.contains(SENTINEL), "{call}: {shown}");
    }
    assert_eq!(
        server.heads().len(),
        16,
        "each call is one request: {:?}",
        server.lines()
    );
}

const PATIENT: Duration = Duration::from_secs(60);

fn malformed(error: &Error, expected: &[Malformed]) -> bool {
    matches!(error, Error::UnexpectedAnswer { what, .. } if expected.contains(what))
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_says_where_to_mend_it() {
    let target = Server::start(|_| answer("200 OK", PRODUCT, "{}")).await;
    for status in [
        "301 Moved",
        "302 Found",
        "303 See Other",
        "307 Temporary",
        "308 Permanent",
    ] {
        let headers = format!("location: http://{}/{SENTINEL}\r\n", target.address);
        let code = status[..3].parse().unwrap();
        every_call_fails(
            move |_| answer(status, &headers, ""),
            PATIENT,
            |error| *error == Error::Redirected(code) && error.to_string().contains("url"),
        )
        .await;
    }
    assert_eq!(target.heads().len(), 0, "nothing reaches the target");
}

#[tokio::test]
async fn a_login_page_is_no_elasticsearch() {
    let page = format!("<html>{SENTINEL}</html>");
    every_call_fails(
        move |_| answer("200 OK", "content-type: text/html\r\n", &page),
        PATIENT,
        |error| matches!(error, Error::NotElasticsearch(_)),
    )
    .await;
}

#[tokio::test]
async fn json_of_another_shape_is_unusable_even_with_the_product_header() {
    let bodies = [
        "[]",
        "{}",
        "null",
        "{\"closed\":\"S3NTINEL\"}",
        "{\"count\":\"S3NTINEL\"}",
        "{\"count\":1}",
    ];
    for body in bodies {
        // A cluster state without any of the fields that were asked for is one without tasks.
        let but = if body.starts_with('{') {
            "persistent_tasks"
        } else {
            ""
        };
        calls_fail(
            move |_| answer("200 OK", PRODUCT, body),
            PATIENT,
            but,
            |error| malformed(error, &[Malformed::WrongShape]),
        )
        .await;
    }
    for body in ["<html>S3NTINEL", "", "{\"closed\":tru"] {
        every_call_fails(
            move |_| answer("200 OK", PRODUCT, body),
            PATIENT,
            |error| malformed(error, &[Malformed::NotJson]),
        )
        .await;
    }
}

#[tokio::test]
async fn json_a_million_deep_does_no_harm() {
    let deep = "[".repeat(1_000_000);
    let in_field = format!("{{\"x\":{deep}");
    for body in [deep, in_field] {
        let small = body[..60_000].to_owned();
        every_call_fails(
            move |_| answer("200 OK", PRODUCT, &small),
            PATIENT,
            |error| malformed(error, &[Malformed::WrongShape, Malformed::NotJson]),
        )
        .await;
        // Reads of states may be large, so there all of it is parsed.
        let server = Server::start(move |_| answer("200 OK", PRODUCT, &body)).await;
        let error = server.client().job_stats(&job()).await.unwrap_err();
        assert!(malformed(&error, &[Malformed::TooMuch]), "{error:?}");
    }
    let deep = "{\"error\":".repeat(7_000);
    every_call_fails(
        move |_| answer("409 Conflict", PRODUCT, &deep),
        PATIENT,
        |error| malformed(error, &[Malformed::ForeignRefusal]),
    )
    .await;
}

#[tokio::test]
async fn an_endless_body_is_read_to_its_limit_only() {
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000)).into_bytes();
    for status in ["200 OK", "409 Conflict", "500 Oh"] {
        let start = format!("HTTP/1.1 {status}\r\n{PRODUCT}transfer-encoding: chunked\r\n\r\n")
            .into_bytes();
        let chunk = chunk.clone();
        every_call_fails(
            move |_| Reply::Endless(start.clone(), chunk.clone()),
            PATIENT,
            |error| {
                matches!(
                    error,
                    Error::UnexpectedAnswer {
                        what: Malformed::TooLarge(_),
                        ..
                    }
                )
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a_body_announced_too_large_is_not_read() {
    every_call_fails(
        |_| {
            Reply::Bytes(
                format!("HTTP/1.1 200 OK\r\n{PRODUCT}content-length: 99999999999\r\n\r\n")
                    .into_bytes(),
            )
        },
        PATIENT,
        |error| {
            matches!(
                error,
                Error::UnexpectedAnswer {
                    what: Malformed::TooLarge(_),
                    ..
                }
            )
        },
    )
    .await;
}

#[tokio::test]
async fn a_compressed_answer_is_not_unpacked() {
    for encoding in ["gzip", "br", "deflate", "zstd"] {
        let headers = format!("{PRODUCT}content-encoding: {encoding}\r\n");
        every_call_fails(
            move |_| answer("200 OK", &headers, "\u{1f}\u{8b}"),
            PATIENT,
            |error| malformed(error, &[Malformed::Encoded]),
        )
        .await;
    }
}

#[tokio::test]
async fn headers_without_end_are_bounded() {
    let start = format!("HTTP/1.1 200 OK\r\nx-{SENTINEL}: ").into_bytes();
    every_call_fails(
        move |_| Reply::Endless(start.clone(), SENTINEL.repeat(10_000).into_bytes()),
        PATIENT,
        |error| malformed(error, &[Malformed::NotHttp]),
    )
    .await;
    every_call_fails(
        |_| Reply::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"x-y: z\r\n".repeat(1000)),
        PATIENT,
        |error| malformed(error, &[Malformed::NotHttp]),
    )
    .await;
}

#[tokio::test]
async fn what_is_no_http_is_unusable() {
    for bytes in [
        &b"SSH-2.0-OpenSSH_9.6\r\n"[..],
        b"HTTP/9.9 777 \xff\r\n\r\n",
        b"\0\0\0\0\0\0\0\0",
        b"220 mail S3NTINEL\r\n",
    ] {
        every_call_fails(
            move |_| Reply::Bytes(bytes.to_vec()),
            PATIENT,
            |error| malformed(error, &[Malformed::NotHttp]),
        )
        .await;
    }
}

/// What the server has said of its answer when it falls silent, or says a byte at a time, is of no use: the call ends.
#[tokio::test]
async fn silence_and_one_byte_at_a_time_end_with_the_time_limit() {
    let head = format!("HTTP/1.1 200 OK\r\n{PRODUCT}content-length: 60000\r\n\r\n");
    let ways: [fn(Vec<u8>) -> Reply; 3] = [|_| Reply::Stall(Vec::new()), Reply::Slow, Reply::Stall];
    for way in ways {
        let head = head.clone().into_bytes();
        let server = Server::start(move |_| way(head.clone())).await;
        let client = server.client();
        let timed_out = async {
            // Only time passes from here on: what is left to come would come sooner.
            server.until_asked(16).await;
            tokio::time::pause();
            tokio::time::advance(PATIENT).await;
        };
        let patient = client.within(PATIENT);
        let (outcomes, ()) = futures::future::join(all_calls(&patient), timed_out).await;
        for (call, error) in outcomes {
            assert_eq!(error, Some(Error::TimedOut(PATIENT)), "{call}");
        }
        assert_eq!(server.heads().len(), 16, "each call is one request");
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_cut_connection_is_a_lost_one_wherever_it_is_cut() {
    for bytes in [
        String::new(),
        "HTTP/1.1 200".to_owned(),
        format!("HTTP/1.1 200 OK\r\n{PRODUCT}content-length: 100\r\n\r\n{{\"closed\":true}}"),
        format!("HTTP/1.1 200 OK\r\n{PRODUCT}transfer-encoding: chunked\r\n\r\n5\r\n{{\"clo"),
        format!("HTTP/1.1 409 Conflict\r\n{PRODUCT}content-length: 100\r\n\r\n{{"),
    ] {
        every_call_fails(
            move |_| Reply::Bytes(bytes.clone().into_bytes()),
            PATIENT,
            |error| *error == Error::ConnectionLost && error.category() == "ClusterUnreachable",
        )
        .await;
    }
}

#[tokio::test]
async fn a_gateway_without_elasticsearch_behind_it_is_unreachable() {
    for status in [502, 503, 504] {
        let page = format!("<html>{SENTINEL}</html>");
        every_call_fails(
            move |_| {
                answer(
                    &format!("{status} Bad"),
                    "content-type: text/html\r\n",
                    &page,
                )
            },
            PATIENT,
            |error| matches!(error, Error::GatewayFailed { status: seen, .. } if *seen == status),
        )
        .await;
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_refuses_and_a_name_that_is_none_is_not_resolved() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for (url, expected) in [
        (format!("http://{address}"), Error::ConnectionRefused),
        (
            "http://no-such-host.invalid:9200".to_owned(),
            Error::NameNotResolved,
        ),
    ] {
        let endpoint = Endpoint {
            url,
            allow_plaintext: true,
            network: lab(),
            ..Endpoint::default()
        };
        let client = Client::new(&endpoint, Limits::default()).unwrap();
        for (call, error) in all_calls(&client).await {
            assert_eq!(error.as_ref(), Some(&expected), "{call}");
        }
    }
}

#[tokio::test]
async fn refusals_of_any_status_are_classified_without_a_panic() {
    for status in (400..=431).chain([451, 499]).chain(500..=511).chain([599]) {
        let body = format!(
            "{{\"error\":{{\"type\":\"{SENTINEL}\",\"reason\":\"{SENTINEL}\"}},\"status\":{status}}}"
        );
        let expected_status = status.to_string();
        let server = Server::start(move |_| answer(&format!("{status} X"), PRODUCT, &body)).await;
        for (call, error) in all_calls(&server.client()).await {
            let shown = error
                .unwrap_or_else(|| panic!("{call} succeeded"))
                .to_string();
            assert!(!shown.contains(SENTINEL), "{call}: {shown}");
            let known = ["credentials", "line is too long"]
                .iter()
                .any(|word| shown.contains(word));
            assert!(known || shown.contains(&expected_status), "{call}: {shown}");
        }
    }
}

#[tokio::test]
async fn a_server_that_always_names_another_unknown_job_is_not_asked_for_ever() {
    let server = Server::start(|head| {
        // One id of those that were sent, never all of them.
        let path = head.split(' ').nth(1).unwrap_or_default();
        let first = path.trim_start_matches("/_ml/anomaly_detectors/").split([',', '/']).next().unwrap_or_default();
        let reason = format!("No known job with id '{first}'");
        let body = format!("{{\"error\":{{\"type\":\"resource_not_found_exception\",\"reason\":\"{reason}\"}},\"status\":404}}");
        answer("404 Not Found", PRODUCT, &body)
    })
    .await;
    let ids = Ids::new((0..50).map(|n| JobId::parse(&format!("job-{n:02}")).unwrap())).unwrap();
    let error = server.client().job_stats(&ids).await.unwrap_err();
    assert!(matches!(error, Error::NoSuchJob(_)), "{error:?}");
    assert_eq!(server.heads().len(), 4);
}

#[tokio::test]
async fn a_stranger_without_the_header_is_not_believed() {
    let server = Server::start(|_| {
        answer(
            "200 OK",
            "content-type: application/json\r\n",
            "{\"closed\":true}",
        )
    })
    .await;
    let error = server.client().close(&job(), Duration::from_secs(1)).await;
    assert_eq!(
        error,
        Err(Error::NotElasticsearch(Impostor::NoProductHeader))
    );
}
