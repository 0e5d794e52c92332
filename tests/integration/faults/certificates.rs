//! The certificate of Elasticsearch runs out, or comes from another authority.

use std::time::Duration;

use anomalyjob_operator::api::ElasticsearchConnection;
use k8s_openapi::api::core::v1::ConfigMap;
use rcgen::date_time_ymd;
use serde_json::json;

use super::{END, in_the_middle, passed};
use crate::support::campaign::{Campaign, MIXED};
use crate::support::chance::{Chance, each_seed};
use crate::support::controlplane;
use crate::support::room::Room;
use crate::support::tls::{Authority, Front};

/// Whom the certificates are for.
const NAME: &str = "127.0.0.1";

fn text(authority: &Authority) -> String {
    String::from_utf8(authority.pem()).expect("PEM")
}

/// A campaign over TLS, in whose middle `fault` comes; what `mend` does is what any administrator must do.
fn over_tls(
    seed: u64,
    (number, reason): (u32, &str),
    fault: impl Fn(&Front, &Authority),
    mend: impl Fn(&Room, &Front, &Authority),
) {
    let room = Room::new(controlplane::shared());
    let authority = Authority::new();
    let front = Front::before(room.elastic.port(), authority.acceptor(NAME, |_| {}));
    room.create::<ConfigMap>("ca", json!({"data": {"ca.crt": text(&authority)}}));
    let tls = json!({
        "url": front.url(),
        "allowPlaintext": false,
        "tls": {"ca": {"configMapRef": {"name": "ca"}}},
    });
    let mut campaign = Campaign::over(&room, seed, MIXED.len(), &MIXED, &tls);
    let mut operator = room.operator();
    in_the_middle(&mut campaign, &mut Chance::new(seed));
    fault(&front, &authority);
    // What is known of a cluster that cannot be trusted grows no older: no deadline passes, and nobody is forced for it.
    let untrusted = format!("Ready=False/{reason}");
    room.until_within::<ElasticsearchConnection>(END, "default", &[&untrusted]);
    let before = room.elastic.asked();
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(
        room.elastic.asked(),
        before,
        "it spoke to somebody whom it cannot trust"
    );
    campaign.tells_no_lie();
    mend(&room, &front, &authority);
    passed(&campaign, number);
    assert!(operator.is_running(), "the same process");
}

#[test]
fn fault_29_another_authority_signs_and_is_then_trusted() {
    each_seed(3, |seed| {
        let next = Authority::new();
        let mend = |room: &Room, _: &Front, _: &Authority| {
            room.patch::<ConfigMap>("ca", &json!({"data": {"ca.crt": text(&next)}}));
        };
        let other = |front: &Front, _: &Authority| front.change(next.acceptor(NAME, |_| {}));
        over_tls(seed, (29, "TLSUntrusted"), other, mend);
    });
}

#[test]
fn fault_30_the_certificate_has_run_out_and_is_then_renewed() {
    each_seed(3, |seed| {
        let mend = |_: &Room, front: &Front, authority: &Authority| {
            front.change(authority.acceptor(NAME, |_| {}));
        };
        let runs_out = |front: &Front, authority: &Authority| {
            front.change(authority.acceptor(NAME, |certificate| {
                certificate.not_before = date_time_ymd(2020, 1, 1);
                certificate.not_after = date_time_ymd(2021, 1, 1);
            }));
        };
        over_tls(seed, (30, "TLSExpired"), runs_out, mend);
    });
}
