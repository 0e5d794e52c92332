//! A cluster that floods, hangs or lies costs the process no more than 32 MiB at its highest, however it goes about it.
//! That it costs the other clusters nothing is shown in virtual time, where that is exact: `virtual_time/hostile.rs`.

use std::fmt::Write as _;

use anomalyjob_operator::api::{AnomalyJob, ElasticsearchConnection};
use serde_json::json;

use crate::elasticsearch_client::server::{INFO, PRODUCT, Reply, Server, answer};
use crate::support::operator::Operator;
use crate::support::room::Room;
use crate::support::{LIMIT, RUNTIME, controlplane, side_by_side, until_true};

/// What it may cost, in KiB.
const MOST: u64 = 32 * 1024;
/// So many requests have come before that is looked at. Of what is no Elasticsearch they come one by one, later each time.
const TIMES: usize = 8;
const TIMES_FROM_THE_START: usize = 3;
const MIB: usize = 1 << 20;

fn head(more: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{PRODUCT}{more}\r\n").into_bytes()
}

fn endless() -> Reply {
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    Reply::Endless(head("transfer-encoding: chunked\r\n"), chunk.into_bytes())
}

/// Ten MiB that would be ten GiB: it is never unpacked, and so zeros do.
fn bomb() -> Reply {
    let length = 10 * MIB;
    let headers = format!("content-encoding: gzip\r\ncontent-length: {length}\r\n");
    Reply::Bytes([head(&headers), vec![0; length]].concat())
}

fn slow() -> Reply {
    let whole = [head("content-length: 1000000\r\n"), vec![b'['; 1000]].concat();
    Reply::Slow(whole)
}

fn deep() -> Reply {
    answer("200 OK", PRODUCT, &"[".repeat(MIB))
}

fn header() -> Reply {
    let start = b"HTTP/1.1 200 OK\r\nx: ".to_vec();
    Reply::Endless(start, vec![b'a'; 0x10000])
}

/// So many of an entry as fit into what is read.
fn many(entry: impl Fn(usize) -> String) -> Reply {
    let mut body = String::from(r#"{"count":1,"cluster_uuid":"u","jobs":["#);
    let mut number = 0;
    while body.len() < 11 * MIB {
        let _ = write!(body, "{},", entry(number));
        number += 1;
    }
    body.pop();
    body.push_str("]}");
    answer("200 OK", PRODUCT, &body)
}

fn lies() -> Reply {
    many(|number| {
        let name = format!("{number:07}");
        format!(
            r#"{{"job_id":"j{name}","state":"opened","groups":["g{name}","h{name}","i{name}"]}}"#
        )
    })
}

fn groups() -> Reply {
    many(|number| {
        let names: Vec<String> = (0..1000)
            .map(|group| format!(r#""g{number}-{group}""#))
            .collect();
        format!(r#"{{"job_id":"j{number}","groups":[{}]}}"#, names.join(","))
    })
}

fn texts() -> Reply {
    let text = "\\u0061".repeat(200_000);
    many(|number| {
        format!(r#"{{"job_id":"j{number}","state":"opened","assignment_explanation":"{text}"}}"#)
    })
}

fn trifles() -> Reply {
    many(|_| "0".to_owned())
}

/// Its name, whether it is one from the start, and what is answered.
type Way = (&'static str, bool, fn() -> Reply);

/// Of the process in KiB: what it has now, or had at most.
fn memory(operator: &Operator, line: &str) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", operator.pid())).expect("it runs");
    let found = status.lines().find_map(|all| all.strip_prefix(line));
    let number = found.and_then(|rest| rest.split_whitespace().next());
    number.expect(line).parse().expect("a number")
}

/// It is an Elasticsearch until it is believed, and then answers like this, to everybody at once.
fn costs(name: &str, from_the_start: bool, reply: fn() -> Reply) {
    let script = move |head: &str| match head.split(' ').nth(1).unwrap_or_default() {
        _ if from_the_start => reply(),
        "/" => {
            let root = json!({"cluster_name": "c", "cluster_uuid": "u", "tagline": "You Know, for Search",
                "version": {"number": "9.2.1", "build_flavor": "default"}});
            answer("200 OK", PRODUCT, &root.to_string())
        }
        path if path.starts_with("/_ml/info") => answer("200 OK", PRODUCT, INFO),
        _ => reply(),
    };
    let room = Room::new(controlplane::shared());
    room.connect(&json!({}));
    room.elastic.opened("good");
    let operator = room.operator_with(&["--log-level", "info"]);
    room.close("good", &json!({}));
    room.until("good", &["Closed=True"]);
    std::fs::write(format!("/proc/{}/clear_refs", operator.pid()), "5")
        .expect("its peak is forgotten");
    let before = memory(&operator, "VmRSS:");
    let server = RUNTIME.block_on(Server::start(script));
    let url = format!("http://{}", server.address);
    room.connect_to("bad", &url, &json!({}));
    for number in 0..20 {
        let spec = json!({"state": "Closed", "connectionRef": {"name": "bad"}, "jobId": format!("j{number:07}")});
        room.job(&format!("bad-{number}"), &spec);
    }
    let asked = || server.heads().len();
    let times = if from_the_start {
        TIMES_FROM_THE_START
    } else {
        TIMES
    };
    until_true("it is asked often", 3 * LIMIT, || asked() >= times);
    let cost = memory(&operator, "VmHWM:").saturating_sub(before);
    println!(
        "a hostile cluster, {name}: {} KiB at the most, {} requests",
        cost,
        asked()
    );
    assert!(cost <= MOST, "{name} costs {cost} KiB");
    room.patch::<AnomalyJob>("good", &json!({"spec": {"state": "Opened"}}));
    room.until("good", &["Ready=True/InDesiredState"]);
    let said = room
        .get::<ElasticsearchConnection>("default")
        .expect("it is there");
    assert!(said.to_string().contains("Connected"), "{said}");
}

#[test]
fn a_hostile_cluster_costs_32_mib_at_most() {
    let all: [Way; 12] = [
        ("endless", false, endless),
        ("endless from the start", true, endless),
        ("bomb", false, bomb),
        ("slow", false, slow),
        ("deep", false, deep),
        ("deep from the start", true, deep),
        ("header", false, header),
        ("header from the start", true, header),
        ("lies", false, lies),
        ("groups", false, groups),
        ("texts", false, texts),
        ("trifles", false, trifles),
    ];
    let part = |part: usize| {
        move || {
            for (name, from_the_start, reply) in all.iter().skip(part).step_by(6) {
                costs(name, *from_the_start, *reply);
            }
        }
    };
    side_by_side(&[
        ("one", &part(0)),
        ("two", &part(1)),
        ("three", &part(2)),
        ("four", &part(3)),
        ("five", &part(4)),
        ("six", &part(5)),
    ]);
}
