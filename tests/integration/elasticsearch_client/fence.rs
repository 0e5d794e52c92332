//! Addresses that are closed: nothing is sent there, not even a connection, however the url spells them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use anomalyjob_operator::elasticsearch::{Client, Endpoint, Error, Fence, Limits, Names, Network};
use futures::future::BoxFuture;

use super::server::{INFO, PRODUCT, Server, answer};

/// Names that mean what a test says, each time the next of their answers; the last one is repeated.
#[derive(Debug, Default)]
struct Fake(Mutex<HashMap<String, Vec<Vec<IpAddr>>>>);

impl Fake {
    fn of<const N: usize>(name: &str, answers: [&[&str]; N]) -> Arc<Self> {
        let fake = Self::default();
        let one = |addresses: &&[&str]| addresses.iter().map(|a| a.parse().unwrap()).collect();
        let mut all: Vec<Vec<IpAddr>> = answers.iter().map(one).collect();
        all.reverse();
        fake.0.lock().unwrap().insert(name.to_owned(), all);
        Arc::new(fake)
    }
}

impl Names for Fake {
    fn lookup(&self, host: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let mut all = self.0.lock().unwrap();
        let answers = all.get_mut(host.trim_end_matches('.'));
        let found = answers.and_then(|answers| match answers.len() {
            0 | 1 => answers.last().cloned(),
            _ => answers.pop(),
        });
        let found = found.ok_or_else(|| std::io::Error::other("no such name"));
        Box::pin(async move { found })
    }
}

/// Takes connections at every address of this machine, and counts them.
struct Listener {
    port: u16,
    seen: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listener {
    async fn start() -> Self {
        let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let listener = tokio::net::TcpListener::bind(everywhere).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counter.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { port, seen, task }
    }

    fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

/// How a call over this url ends, where names mean closed addresses.
async fn attempt(url: &str, network: &Network) -> String {
    let endpoint = Endpoint {
        url: url.to_owned(),
        allow_plaintext: true,
        network: network.clone(),
        ..Endpoint::default()
    };
    match Client::new(&endpoint, Limits::default()) {
        Err(error) => error.category().to_owned(),
        Ok(client) => match client.ml_info().await {
            Ok(_) => "answered".to_owned(),
            Err(error) => error.category().to_owned(),
        },
    }
}

/// Spellings of closed addresses as a host; `evil.example` is a name for one.
const HOSTS: [&str; 62] = [
    "127.0.0.1",
    "127.0.0.2",
    "127.255.255.254",
    "127.1",
    "127.0.1",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "0177.0.0.1",
    "0177.1",
    "017700000001",
    "2130706433",
    "127.0.0.1.",
    "127.000.000.001",
    "0x7F.0x0.0x0.0x1",
    "0",
    "0.0.0.0",
    "0x0",
    "00",
    "0.0.0.1",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "169.16689662",
    "169.254.43518",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "224.0.0.1",
    "255.255.255.255",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:0:127.0.0.1]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]",
    "[2001:0:0:0:0:0:80ff:fffe]",
    "[fe80::1]",
    "[febf::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[2001:db8::5efe:7f00:1]",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "evil.example",
    "EVIL.example",
    "evil.example.",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
];

/// What stands around a host to make it look like another one.
fn spellings(host: &str, port: u16) -> Vec<String> {
    vec![
        format!("http://{host}:{port}"),
        format!("https://{host}:{port}"),
        format!("http://{host}:{port}/es.example/"),
    ]
}

fn tricks(port: u16) -> Vec<String> {
    let local = format!("127.0.0.1:{port}");
    [
        "http://es.example@LOCAL",
        "http://es.example:x@LOCAL",
        "http://LOCAL\\@es.example",
        "http://LOCAL#@es.example",
        "http://LOCAL?@es.example",
        "http:LOCAL",
        "http:/LOCAL",
        "http:\\\\LOCAL",
        "http:///LOCAL",
        " http://LOCAL",
        "http://LOCAL\n",
        "ht\ntp://LOCAL",
        "http://\tLOCAL",
        "HTTP://LOCAL",
        "ftp://LOCAL",
        "file://LOCAL/etc/passwd",
        "gopher://LOCAL",
        "ws://LOCAL",
        "unix:///LOCAL",
        "//LOCAL",
        "LOCAL",
        "http://[LOCAL]",
        "http://%31%32%37.0.0.1:PORT",
        "http://127%2e0%2e0%2e1:PORT",
        "http://127.0.0.1%00:PORT",
        "http://es.example:80:PORT",
        "http://[::1%25lo]:PORT",
        "http://[::ffff:127.0.0.1:PORT",
        "http://1.1.1.1 &@LOCAL",
        "http://LOCAL/../..",
    ]
    .map(|text| {
        text.replace("LOCAL", &local)
            .replace("PORT", &port.to_string())
    })
    .into()
}

#[tokio::test]
async fn no_hostile_url_brings_a_connection() {
    let listener = Listener::start().await;
    let fake = Fake::of("evil.example", [&["127.0.0.1", "169.254.169.254", "::1"]]);
    fake.0.lock().unwrap().insert(
        "localhost".to_owned(),
        vec![vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]],
    );
    let network = Network {
        names: fake,
        ..Network::default()
    };
    let urls: Vec<String> = HOSTS
        .iter()
        .flat_map(|host| spellings(host, listener.port))
        .chain(tricks(listener.port))
        .collect();
    assert!(urls.len() >= 200, "only {}", urls.len());
    let mut closed = 0;
    for url in &urls {
        let ended = attempt(url, &network).await;
        closed += usize::from(ended == "EndpointNotAllowed");
        let known = ["EndpointNotAllowed", "URLInvalid", "CAInvalid"].contains(&&*ended);
        assert!(known, "{url:?} ended as {ended}");
    }
    assert!(
        closed >= 120,
        "only {closed} of {} by the fence",
        urls.len()
    );
    assert_eq!(listener.seen(), 0);
    // The listener would have noticed.
    tokio::net::TcpStream::connect(("127.0.0.1", listener.port))
        .await
        .unwrap();
    for _ in 0..100 {
        if listener.seen() == 1 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the listener counts nothing");
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_the_next_time_does_not_pass() {
    let server = Server::start(|_| answer("200 OK", PRODUCT, INFO)).await;
    let listener = Listener::start().await;
    // The first answer is open here, as an address of a cluster would be; the second one is not.
    let network = Network {
        fence: Arc::new(Fence {
            open: vec!["127.0.0.1".parse().unwrap()],
            ..Fence::default()
        }),
        names: Fake::of(
            "es.example",
            [&["127.0.0.1"], &["127.0.0.2"], &["127.0.0.2", "127.0.0.1"]],
        ),
    };
    let client = |port: u16| {
        let endpoint = Endpoint {
            url: format!("http://es.example:{port}"),
            allow_plaintext: true,
            network: network.clone(),
            ..Endpoint::default()
        };
        Client::new(&endpoint, Limits::default()).unwrap()
    };
    // The server ends each connection, so that the next request needs another.
    let good = client(server.address.port());
    good.ml_info().await.unwrap();
    assert_eq!(good.ml_info().await, Err(Error::NotAllowed));
    // Of several addresses only the open ones are tried.
    good.ml_info().await.unwrap();
    assert_eq!(server.heads().len(), 2);
    assert_eq!(listener.seen(), 0);
}

#[tokio::test]
async fn the_api_server_is_closed_by_its_address_and_by_its_name() {
    let server = Server::start(|_| answer("200 OK", PRODUCT, INFO)).await;
    let names = || Fake::of("kubernetes.example", [&["127.0.0.1"]]);
    let port = server.address.port();
    for (guarded, url) in [
        ("127.0.0.1", format!("http://127.0.0.1:{port}")),
        ("127.0.0.1", format!("http://kubernetes.example:{port}")),
        ("kubernetes.example", format!("http://127.0.0.1:{port}")),
        (
            "kubernetes.example",
            format!("http://[::ffff:127.0.0.1]:{port}"),
        ),
        (
            "kubernetes.example",
            format!("http://kubernetes.example:{port}"),
        ),
    ] {
        let fence = Fence {
            guarded: vec![guarded.to_owned()],
            ..Fence::default()
        };
        let network = Network {
            fence: Arc::new(fence),
            names: names(),
        };
        assert_eq!(attempt(&url, &network).await, "EndpointNotAllowed", "{url}");
    }
    assert!(server.heads().is_empty());
}

#[tokio::test]
async fn the_name_of_a_certificate_is_no_way_around() {
    let listener = Listener::start().await;
    let network = Network {
        names: Fake::of("es.example", [&["198.51.100.1"]]),
        ..Network::default()
    };
    let endpoint = Endpoint {
        url: format!("https://127.0.0.1:{}", listener.port),
        server_name: Some("es.example".to_owned()),
        ca_pem: Some(
            rcgen::generate_simple_self_signed(["x".to_owned()])
                .unwrap()
                .cert
                .pem()
                .into(),
        ),
        network,
        ..Endpoint::default()
    };
    let client = Client::new(&endpoint, Limits::default()).unwrap();
    assert_eq!(client.ml_info().await, Err(Error::NotAllowed));
    assert_eq!(listener.seen(), 0);
}

/// Names that are looked up for ever.
#[derive(Debug)]
struct Silence;

impl Names for Silence {
    fn lookup(&self, _: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_guarded_name_that_is_never_found_takes_no_longer_than_the_call() {
    let fence = Fence {
        guarded: vec!["kubernetes.example".to_owned()],
        ..Fence::default()
    };
    let endpoint = Endpoint {
        url: "http://198.51.100.1:9200".to_owned(),
        allow_plaintext: true,
        network: Network {
            fence: Arc::new(fence),
            names: Arc::new(Silence),
        },
        ..Endpoint::default()
    };
    let limits = Limits::default();
    let client = Client::new(&endpoint, limits).unwrap();
    assert_eq!(client.ml_info().await, Err(Error::TimedOut(limits.call)));
}
