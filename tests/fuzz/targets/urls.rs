//! Urls of a connection, names of certificates and openings of the fence, a line each. What is taken leads where it says: to
//! its host, below its path, with no query but ours. And however it is spelled, no connection is made to an address that is closed.

#![no_main]
#![allow(clippy::expect_used, reason = "a target stops at what is wrong")]

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anomalyjob_operator::api::id::JobId;
use anomalyjob_operator::elasticsearch::{
    Client, Endpoint, Error, Fence, Ids, Limits, Names, Network, Opening,
};
use futures::future::BoxFuture;
use http::HeaderValue;
use libfuzzer_sys::{Corpus, fuzz_target};
use reqwest::Url;

fuzz_target!(|input: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(input) else {
        return Corpus::Reject;
    };
    fuzz::bounded(|| {
        let mut lines = text.split('\0');
        let url = lines.next().unwrap_or_default();
        let name = lines.next().filter(|name| !name.is_empty());
        leads_where_it_says(url, name);
        is_closed(url, name);
        opens_what_it_names(lines.next().unwrap_or_default(), url);
    });
    Corpus::Keep
});

fn endpoint(url: &str, name: Option<&str>) -> Endpoint {
    Endpoint {
        url: url.to_owned(),
        allow_plaintext: true,
        server_name: name.map(str::to_owned),
        ..Endpoint::default()
    }
}

/// The client and a parser of urls agree on where requests go.
fn leads_where_it_says(url: &str, name: Option<&str>) {
    let endpoint = endpoint(url, name);
    let answer = || http::Response::new(Vec::new());
    let (client, seen) = match fuzz::client(&endpoint, answer) {
        Ok(made) => made,
        Err(error) => {
            fuzz::silent(&format!("{endpoint:?} {error:?} {error}"));
            assert_eq!(error.category(), "URLInvalid");
            return;
        }
    };
    let place = Url::parse(url).expect("it was taken");
    assert!(matches!(place.scheme(), "http" | "https"));
    assert!(place.username().is_empty() && place.password().is_none());
    assert!(place.query().is_none() && place.fragment().is_none());
    let job = Ids::one(JobId::parse("a.b-c_d").expect("an id"));
    let _ = fuzz::run(client.close(&job, Duration::from_secs(1)));
    let seen = seen.lock().expect("nobody panics in it");
    // Too long a line is not sent.
    let Some(request) = seen.first() else {
        return;
    };
    let sent = request.url();
    // Empty parts at its beginning say nothing, and may go.
    let plain = |path: &str| path.trim_start_matches('/').to_owned();
    let base = place.path().strip_suffix('/').unwrap_or(place.path());
    let expected = plain(&format!("{base}/_ml/anomaly_detectors/a.b-c_d/_close"));
    assert_eq!(plain(sent.path()), expected, "{url:?}");
    assert_eq!(sent.query(), Some("timeout=1s"));
    assert_eq!((sent.scheme(), sent.port()), (place.scheme(), place.port()));
    assert!(sent.fragment().is_none() && sent.username().is_empty() && sent.password().is_none());
    let host = request.headers().get("host").map(HeaderValue::as_bytes);
    match name {
        None => assert!(sent.host_str() == place.host_str() && host.is_none()),
        Some(_) if sent.host_str() == place.host_str() => {}
        Some(_) => assert_eq!(host, Some(place.authority().as_bytes())),
    }
}

/// Every name leads to this machine, and every address that is written out is the API server's: all there is, is closed.
#[derive(Debug)]
struct Closed(Vec<IpAddr>);

impl Names for Closed {
    fn lookup(&self, host: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let found = if host == "guarded" {
            self.0.clone()
        } else {
            vec![
                IpAddr::from([127, 0, 0, 1]),
                IpAddr::from([169, 254, 169, 254]),
            ]
        };
        Box::pin(async move { Ok(found) })
    }
}

fn is_closed(url: &str, name: Option<&str>) {
    let Ok(place) = Url::parse(url) else { return };
    // A client with TLS reads the roots of the system, which takes its time.
    let plain = match url.split_once(':') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => format!("http:{rest}"),
        _ => url.to_owned(),
    };
    let bare = place
        .host_str()
        .unwrap_or_default()
        .trim_matches(['[', ']'])
        .to_owned();
    let network = Network {
        fence: Arc::new(Fence {
            guarded: vec!["guarded".to_owned()],
            ..Fence::default()
        }),
        names: Arc::new(Closed(bare.parse().into_iter().collect())),
    };
    let endpoint = Endpoint {
        network,
        ..endpoint(&plain, name)
    };
    let Ok(client) = Client::new(&endpoint, Limits::default()) else {
        return;
    };
    let error = fuzz::run(client.ml_info()).expect_err("it is closed");
    // Too long a line is not sent, so nobody looks where it would lead.
    assert!(
        matches!(
            error,
            Error::NotAllowed | Error::Unsendable | Error::LineTooLong
        ),
        "{url:?}: {error:?}"
    );
}

/// An opening opens what it names and no host or address beside it.
fn opens_what_it_names(text: &str, url: &str) {
    let Ok(opening) = text.parse::<Opening>() else {
        return;
    };
    let fence = Fence {
        open: vec![opening.clone()],
        ..Fence::default()
    };
    let host = Url::parse(url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned));
    let host = host.unwrap_or_default();
    let loopback = IpAddr::from([127, 0, 0, 1]);
    let lets = fence.lets(&host, loopback, &[]);
    let named = host.strip_suffix('.').unwrap_or(&host).to_ascii_lowercase();
    let lower = text.to_ascii_lowercase();
    match opening {
        Opening::Network(network, bits) => {
            let begins = match network {
                IpAddr::V4(four) => {
                    let kept = u32::MAX
                        .checked_shl(32 - u32::from(bits))
                        .unwrap_or_default();
                    four.to_bits() & kept == 0x7f00_0001 & kept
                }
                IpAddr::V6(_) => false,
            };
            assert_eq!(lets, begins, "{text:?}");
        }
        Opening::Name(_) => assert_eq!(lets, named == lower, "{text:?} {host:?}"),
        Opening::Below(_) => {
            let end = lower.trim_start_matches('*');
            assert_eq!(
                lets,
                named.ends_with(end) && named.len() > end.len(),
                "{text:?} {host:?}"
            );
        }
    }
}
