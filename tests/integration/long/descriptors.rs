//! What a process has open after a life of several clusters: the same descriptors as before the first.
//!
//! A real process, because only there is a client a pool of sockets, kept open for whoever asks next, which has to go with the
//! connection that it was made for. The rest of what may be left over is `tests/integration/virtual_time/leftovers.rs`.

use std::collections::BTreeSet;
use std::time::Duration;

use anomalyjob_operator::api::{AnomalyJob, ElasticsearchConnection};
use elasticsearch_simulator::Profile;
use serde_json::json;

use super::{figure, sized};
use crate::support::chance::Chance;
use crate::support::elastic::Elastic;
use crate::support::operator::Operator;
use crate::support::room::Room;
use crate::support::{controlplane, until};

const CLUSTERS: usize = 5;
const JOBS: usize = 6;

/// A client that was kept lets its idle connections go after half a minute, and would not be seen then.
const SOON: Duration = Duration::from_secs(20);

/// What the process has open, but for its connections to the API server: they come and go with what is written at once, and
/// how many watches there are is counted in `virtual_time/leftovers.rs`.
fn open(operator: &Operator, room: &Room) -> BTreeSet<String> {
    let process = format!("/proc/{}", operator.pid());
    let table = std::fs::read_to_string(format!("{process}/net/tcp")).expect("its connections");
    let api = api_port(room);
    let to_api = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let port = words.get(2)?.rsplit(':').next()?;
        let there = u16::from_str_radix(port, 16).ok()? == api;
        there.then(|| format!("socket:[{}]", words.get(9).unwrap_or(&"")))
    };
    let to_api: BTreeSet<String> = table.lines().skip(1).filter_map(to_api).collect();
    let entries = std::fs::read_dir(format!("{process}/fd")).expect("its descriptors");
    let open = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let what = std::fs::read_link(&path).ok()?.display().to_string();
        (!to_api.contains(&what)).then(|| format!("{} {what}", path.display()))
    });
    open.collect()
}

fn api_port(room: &Room) -> u16 {
    let config = std::fs::read_to_string(room.plane.kubeconfig()).expect("kubeconfig");
    let mut after = config.split("https://127.0.0.1:").skip(1);
    let port = after
        .next()
        .and_then(|after| after.split('"').next()?.parse().ok());
    port.expect("a port")
}

/// All clusters are connected to, their jobs closed while answers are cut, late and refused; then all is deleted.
fn round(room: &Room, clusters: &[Elastic], chance: &mut Chance, number: usize) {
    let name = |cluster: usize, job: usize| format!("r{number}-c{cluster}-{job}");
    for (cluster, elastic) in clusters.iter().enumerate() {
        for job in 0..JOBS {
            elastic.opened(&name(cluster, job));
        }
        room.connect_to(&format!("c{cluster}"), &elastic.url(), &json!({}));
        let spec = |job| {
            let (id, of) = (name(cluster, job), format!("c{cluster}"));
            let spec = json!({"jobId": id, "state": "Closed", "connectionRef": {"name": of}});
            (name(cluster, job), spec)
        };
        room.jobs_at_once((0..JOBS).map(spec).collect());
        for rule in [
            json!({"cut": "after", "count": chance.within(1, 4)}),
            json!({"status": 503, "body": "html", "count": chance.within(1, 4)}),
            json!({"delay_ms": chance.within(0, 800), "count": chance.within(1, 4)}),
        ] {
            elastic.inject(&rule);
        }
    }
    std::thread::sleep(Duration::from_millis(chance.within(100, 1500)));
    for elastic in clusters {
        elastic.cut_off();
    }
    std::thread::sleep(Duration::from_millis(chance.within(100, 1500)));
    for elastic in clusters {
        elastic.come_back();
        elastic.stop_injecting();
    }
    // Each is talked to in the end: otherwise nothing had to be let go.
    for cluster in 0..clusters.len() {
        for job in 0..JOBS {
            room.until(&name(cluster, job), &["Ready=True/InDesiredState"]);
        }
    }
    room.delete_all::<AnomalyJob>();
    room.delete_all::<ElasticsearchConnection>();
}

#[test]
fn after_a_life_of_five_clusters_the_process_has_the_same_open_as_before_the_first() {
    let rounds = sized(2, 30);
    let room = Room::new(controlplane::shared());
    let clusters: Vec<Elastic> = (0..CLUSTERS).map(|_| Elastic::new(Profile::V9)).collect();
    let operator = room.operator();
    operator.until_ready();
    // The last look at whether it is ready has been hung up on by now, or will be.
    let before = (0..20).map(|_| open(&operator, &room));
    let before = before.min_by_key(BTreeSet::len).expect("twenty");
    let mut chance = Chance::new(1);
    for number in 0..rounds {
        round(&room, &clusters, &mut chance, number);
        until("nothing is left open", SOON, || {
            let now = open(&operator, &room);
            let left: Vec<&String> = now.difference(&before).collect();
            let gone: Vec<&String> = before.difference(&now).collect();
            (left.is_empty() && gone.is_empty())
                .then_some(())
                .ok_or_else(|| format!("more: {left:?}, less: {gone:?}"))
        });
    }
    let held = before.len();
    figure(
        "descriptors",
        &format!(
            "{rounds} rounds of {CLUSTERS} clusters: {held} open before and after each, without those to the API server"
        ),
    );
}
