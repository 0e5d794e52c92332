//! Which addresses are never connected to, because who may write a connection must not reach what only the operator can.
//!
//! Pure: it judges addresses, and looks none up. What is closed: loopback, link-local, metadata services, multicast,
//! unspecified and reserved addresses, and the API server, in every form that leads there. What is private
//! is not closed: Elasticsearch lives there. Who runs the operator may open some (`--allow-endpoints`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Where metadata services answer beside link-local addresses: Alibaba, Azure, Oracle.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];
/// The same for IPv6: Amazon, Google.
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254),
    Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254),
];

/// What is opened all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// A network, or one address.
    Network(IpAddr, u8),
    /// This host, wherever it is.
    Name(String),
    /// All hosts below this domain.
    Below(String),
}

/// What is no network and no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an endpoint is an address such as 127.0.0.1, a network such as 10.0.0.0/8 or fd00::/8, a host name, or *. and a domain"
)]
pub struct NoOpening;

impl FromStr for Opening {
    type Err = NoOpening;

    fn from_str(text: &str) -> Result<Self, NoOpening> {
        let (address, bits) = text
            .split_once('/')
            .map_or((text, None), |(a, b)| (a, Some(b)));
        if let Ok(address) = address.parse::<IpAddr>() {
            let most = if address.is_ipv4() { 32 } else { 128 };
            let digits = |bits: &str| bits.bytes().all(|byte| byte.is_ascii_digit());
            let bits = match bits {
                None => most,
                Some(bits) if digits(bits) => bits.parse().map_err(|_| NoOpening)?,
                Some(_) => return Err(NoOpening),
            };
            return (bits <= most)
                .then_some(Self::Network(address, bits))
                .ok_or(NoOpening);
        }
        let (name, below) = match text.strip_prefix("*.") {
            Some(domain) => (domain, true),
            None => (text, false),
        };
        let name = name.to_ascii_lowercase();
        // An address in another notation would be a name that nothing ever has.
        let numeric = name
            .rsplit('.')
            .next()
            .is_none_or(|last| last.starts_with(|first: char| first.is_ascii_digit()));
        let is_label = |label: &str| {
            let word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            (1..=63).contains(&label.len()) && label.chars().all(word)
        };
        if bits.is_some() || numeric || name.len() > 253 || !name.split('.').all(is_label) {
            return Err(NoOpening);
        }
        Ok(if below {
            Self::Below(name)
        } else {
            Self::Name(name)
        })
    }
}

impl Opening {
    fn lets(&self, host: &str, address: IpAddr) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        match self {
            Self::Network(network, bits) => contains(*network, *bits, address),
            Self::Name(name) => host.eq_ignore_ascii_case(name),
            Self::Below(domain) => host
                .to_ascii_lowercase()
                .strip_suffix(domain)
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        }
    }
}

fn contains(network: IpAddr, bits: u8, address: IpAddr) -> bool {
    let (network, address, width) = match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => (
            u128::from(network.to_bits()),
            u128::from(address.to_bits()),
            32,
        ),
        (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits(), address.to_bits(), 128),
        _ => return false,
    };
    let ignored = u32::from(width - bits.min(width));
    network.checked_shr(ignored).unwrap_or(0) == address.checked_shr(ignored).unwrap_or(0)
}

/// What is closed, and what is opened all the same. The default opens nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fence {
    /// What may be reached although it is closed to others.
    pub open: Vec<Opening>,
    /// Hosts whose addresses are closed too, such as the API server; names and addresses.
    pub guarded: Vec<String>,
}

impl Fence {
    /// Whether the address, to which `host` led, may be connected to. `guarded` are the addresses of the guarded hosts.
    pub fn lets(&self, host: &str, address: IpAddr, guarded: &[IpAddr]) -> bool {
        let forms = forms(address);
        let is_guarded = |form: &IpAddr| guarded.contains(form);
        let is_closed = forms
            .iter()
            .any(|form| is_closed(*form) || is_guarded(form));
        let is_open = |form: &IpAddr| self.open.iter().any(|opening| opening.lets(host, *form));
        !is_closed || forms.iter().any(is_open)
    }
}

/// The address, and the IPv4 address that it leads to by way of a translation.
fn forms(address: IpAddr) -> Vec<IpAddr> {
    let mut all = vec![address];
    if let IpAddr::V6(six) = address {
        all.extend(embedded(six).into_iter().map(IpAddr::V4));
    }
    all
}

/// Mapped, compatible, 6to4, Teredo, NAT64 with the well-known and the local prefix, ISATAP.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let words = address.segments();
    let of = |at: usize| {
        let word = |at: usize| u32::from(words.get(at).copied().unwrap_or_default());
        Ipv4Addr::from_bits((word(at) << 16) | word(at + 1))
    };
    match words {
        [0, 0, 0, 0, 0, 0xffff, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [0x0064, 0xff9b, 0, 0, 0, 0, ..]
        | [0x0064, 0xff9b, 1, ..]
        | [_, _, _, _, 0 | 0x0200, 0x5efe, ..] => Some(of(6)),
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => Some(of(6)),
        [0x2002, ..] => Some(of(1)),
        // Teredo turns each bit of the address of its client round.
        [0x2001, 0, ..] => Some(Ipv4Addr::from_bits(!of(6).to_bits())),
        _ => None,
    }
}

fn is_closed(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => {
            let [first, ..] = four.octets();
            // 0/8 is this network, 224/4 multicast, 240/4 reserved with the broadcast.
            first == 0
                || first >= 224
                || four.is_loopback()
                || four.is_link_local()
                || METADATA_V4.contains(&four)
        }
        IpAddr::V6(six) => {
            let [first, ..] = six.segments();
            // fe80::/10 is link-local, fec0::/10 its old sister.
            six.is_unspecified()
                || six.is_loopback()
                || six.is_multicast()
                || (0xfe80..=0xfeff).contains(&first)
                || METADATA_V6.contains(&six)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lets(fence: &Fence, host: &str, address: &str) -> bool {
        let guarded = ["10.96.0.1".parse().unwrap(), "fd12::1".parse().unwrap()];
        fence.lets(host, address.parse().unwrap(), &guarded)
    }

    fn opened(openings: &[&str]) -> Fence {
        Fence {
            open: openings.iter().map(|text| text.parse().unwrap()).collect(),
            ..Fence::default()
        }
    }

    /// The forms of an IPv6 address that lead to an IPv4 address.
    fn forms_of(four: Ipv4Addr) -> Vec<String> {
        let [a, b, c, d] = four.octets();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let mut forms = vec![
            format!("::ffff:{four}"),
            format!("::ffff:0:{four}"),
            format!("64:ff9b::{four}"),
            format!("64:ff9b:1::{four}"),
            format!("2002:{high:x}:{low:x}::1"),
            format!("2001:0:1:2:3:4:{:x}:{:x}", !high, !low),
            format!("2001:db8::5efe:{four}"),
            format!("2001:db8::200:5efe:{four}"),
        ];
        if high != 0 {
            forms.push(format!("::{four}"));
        }
        forms
    }

    #[test]
    fn what_only_the_operator_can_reach_is_closed_in_every_form() {
        let fours = [
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.0.1",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "10.96.0.1",
        ];
        for four in fours {
            assert!(!lets(&Fence::default(), "es", four), "{four}");
            for form in forms_of(four.parse().unwrap()) {
                assert!(!lets(&Fence::default(), "es", &form), "{form}");
            }
        }
        for six in [
            "::",
            "::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "fd12::1",
        ] {
            assert!(!lets(&Fence::default(), "es", six), "{six}");
        }
    }

    #[test]
    fn where_elasticsearch_lives_is_open() {
        for address in [
            "10.96.0.2",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "198.51.100.7",
            "223.255.255.255",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.1.1",
            "2001:db8::1",
            "fd12::2",
            "fc00::1",
            "::ffff:10.0.0.1",
            "64:ff9b::c633:6407",
            "2002:a00:1::",
        ] {
            assert!(lets(&Fence::default(), "es", address), "{address}");
        }
    }

    #[test]
    fn an_opening_opens_what_it_names_and_nothing_else() {
        let lab = opened(&["127.0.0.0/8", "fe80::/10", "10.96.0.1"]);
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "::ffff:127.0.0.1",
            "fe80::7",
            "10.96.0.1",
        ] {
            assert!(lets(&lab, "es", address), "{address}");
        }
        for address in ["169.254.169.254", "::1", "0.0.0.0", "fd12::1"] {
            assert!(!lets(&lab, "es", address), "{address}");
        }
        let named = opened(&["es.lab", "*.Test.example"]);
        for host in ["es.lab", "ES.lab.", "a.test.example", "a.b.TEST.example"] {
            assert!(lets(&named, host, "127.0.0.1"), "{host}");
        }
        for host in [
            "es.lab.evil",
            "xes.lab",
            "test.example",
            ".test.example",
            "atest.example",
            "",
        ] {
            assert!(!lets(&named, host, "127.0.0.1"), "{host}");
        }
        assert!(lets(&opened(&["0.0.0.0/0", "::/0"]), "es", "169.254.1.1"));
    }

    #[test]
    fn what_names_no_endpoint_is_refused() {
        for text in [
            "",
            "/8",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0/8",
            "127.1",
            "0x7f.1",
            "2130706433",
            "es:9200",
            "https://es",
            "es/8",
            "*",
            "*.",
            "a..b",
            "a b",
            "*.*.a",
            "[::1]",
        ] {
            assert_eq!(text.parse::<Opening>(), Err(NoOpening), "{text}");
        }
    }
}
