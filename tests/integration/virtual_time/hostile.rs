//! Clusters share nothing: whatever one of them answers, what is asked of the others and what is written of their objects is the
//! same to the request and to the moment. What it costs in memory is measured of a process: `operator/hostile.rs`.

use bytes::Bytes;
use elasticsearch_simulator::Profile;
use futures::{StreamExt as _, stream};
use http::Response;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use serde_json::json;

use super::between::{Ask, Body, drip, whole};
use super::elastic::ELSEWHERE;
use super::world::run;

type Answer = fn(&str) -> Response<Body>;

fn good(body: Body) -> Response<Body> {
    let answer = Response::builder().header("x-elastic-product", "Elasticsearch");
    answer.body(body).expect("an answer")
}

fn endless(_: &str) -> Response<Body> {
    let chunk = Bytes::from(vec![b' '; 0x10000]);
    let chunks = stream::repeat_with(move || Ok(Frame::data(chunk.clone())));
    good(StreamBody::new(chunks).boxed_unsync())
}

fn bomb(_: &str) -> Response<Body> {
    let mut answer = good(whole(vec![0; 10 << 20].into()));
    let gzip = http::HeaderValue::from_static("gzip");
    answer.headers_mut().insert("content-encoding", gzip);
    answer
}

fn one_byte_a_second(_: &str) -> Response<Body> {
    good(drip(whole("[".repeat(100_000).into())))
}

fn deep(_: &str) -> Response<Body> {
    good(whole("[".repeat(1_000_000).into()))
}

fn silence(_: &str) -> Response<Body> {
    let never = stream::pending::<Result<Frame<Bytes>, super::between::Error>>();
    good(StreamBody::new(never.boxed()).boxed_unsync())
}

/// It is one until it is asked for its jobs.
fn in_the_middle(path: &str, then: Answer) -> Response<Body> {
    match path {
        "/" => good(whole(
            json!({"cluster_name": "c", "cluster_uuid": "u", "tagline": "You Know, for Search",
                "version": {"number": "9.2.1", "build_flavor": "default"}})
            .to_string()
            .into(),
        )),
        "/_ml/info" => good(whole(
            json!({"upgrade_mode": false, "defaults": {"datafeeds": {"scroll_size": 1000}}})
                .to_string()
                .into(),
        )),
        path => then(path),
    }
}

/// Ten minutes of three jobs, with this beside it: what was asked of the cluster, and written of its jobs.
fn beside(hostile: Option<(bool, Answer)>) -> (Vec<String>, usize) {
    run(1, Profile::V9, |world| async move {
        for job in ["a", "b", "c"] {
            world.elastic.fed(job).await;
            world.elastic.tune(job, &json!({"close_ms": 90_000})).await;
        }
        world.connect(&json!({}));
        if let Some((at_once, answer)) = hostile {
            world.elastic.elsewhere(move |path| {
                if at_once {
                    answer(path)
                } else {
                    in_the_middle(path, answer)
                }
            });
            let spec = json!({"url": ELSEWHERE, "allowPlaintext": true});
            world.create("elasticsearchconnections", "bad", json!({"spec": spec}));
            for job in ["bad-1", "bad-2"] {
                world.job(
                    job,
                    &json!({"state": "Closed", "connectionRef": {"name": "bad"}}),
                );
            }
        }
        for job in ["a", "b", "c"] {
            world.job(job, &json!({"state": "Closed"}));
        }
        world.start("one");
        world.pass(300).await;
        world.edit("a", &json!({"state": "Opened"}));
        world.pass(300).await;
        let ours = |ask: &&Ask| {
            let of_bad =
                ask.path.contains("/bad") || String::from_utf8_lossy(&ask.body).contains("bad-");
            let writes = matches!(
                ask.point(),
                "write status" | "tell event" | "write status of connection"
            );
            !of_bad && (ask.server == super::between::Server::Elasticsearch || writes)
        };
        let asks = world.between.asks();
        let line = |ask: &Ask| {
            let path = ask.path.split("/events/").next().unwrap_or_default();
            format!("{:?} {} {path}?{}", ask.at, ask.point(), ask.query)
        };
        let bad = asks.iter().filter(|ask| ask.path.contains("/bad")).count();
        (asks.iter().filter(ours).map(line).collect(), bad)
    })
}

#[test]
fn a_hostile_cluster_costs_the_others_no_request_no_write_and_no_moment() {
    let (alone, none) = beside(None);
    assert!(alone.len() > 60 && none == 0, "{alone:#?}");
    let answers: [(&str, Answer); 5] = [
        ("endless", endless),
        ("bomb", bomb),
        ("one byte a second", one_byte_a_second),
        ("deep", deep),
        ("silence", silence),
    ];
    for (name, answer) in answers {
        for at_once in [true, false] {
            let (with, bad) = beside(Some((at_once, answer)));
            assert!(bad > 0, "{name}: nothing was said of it");
            assert_eq!(with, alone, "{name}");
        }
    }
    println!(
        "beside a hostile cluster: {} requests and writes, as without",
        alone.len()
    );
}
