//! How good answers are written, and how they become [`super::answers`].
//!
//! Unknown fields are passed over: Elasticsearch adds some with every version. Missing ones are not: an
//! answer that lacks what we read is of another shape, and says nothing. What is free text is cut here.

use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, SystemTime};

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::answers::{Flavor, Identity, MlInfo, Version};
use super::error::{Error, Impostor, Malformed};

/// `cluster_uuid` of a cluster that has not formed since it started.
pub(super) const NOT_FORMED: &str = "_na_";
const TAGLINE: &str = "You Know, for Search";

/// What an answer may take: its bytes, and this much for each of its values, in bytes. What is made of it is less.
const BUDGET: usize = 20 * 1024 * 1024;
const VALUE: usize = 48;
/// The longest text of an answer, in bytes.
const LONGEST: usize = 256 * 1024;

/// Reads JSON of a known shape.
pub(super) fn parse<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Malformed> {
    if !is_modest(body) {
        return Err(Malformed::TooMuch);
    }
    serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            Malformed::WrongShape
        } else {
            Malformed::NotJson
        }
    })
}

/// Values are not many and texts are not long, so that little is made of it: some of what Elasticsearch lists takes fifty
/// times its bytes. Whether it is JSON at all is not asked.
pub(super) fn is_modest(body: &[u8]) -> bool {
    let (mut values, mut begun, mut at) = (0_usize, None, 0);
    while let Some(byte) = body.get(at) {
        at += match (byte, begun) {
            (b'\\', Some(_)) => 2,
            (b'"', Some(from)) => {
                if at - from > LONGEST {
                    return false;
                }
                begun = None;
                1
            }
            (b'"', None) => {
                begun = Some(at);
                1
            }
            (b',' | b'[' | b'{', None) => {
                values += 1;
                1
            }
            _ => 1,
        };
    }
    let ends = begun.is_none_or(|from| body.len() - from <= LONGEST);
    ends && body.len() + values * VALUE <= BUDGET
}

/// A list that ends, with an error, behind so many entries.
pub(super) struct AtMost<T, const N: usize>(pub(super) Vec<T>);

impl<T, const N: usize> Default for AtMost<T, N> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for AtMost<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Entries(PhantomData))
    }
}

struct Entries<T, const N: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for Entries<T, N> {
    type Value = AtMost<T, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {N}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(entry) = from.next_element()? {
            if all.len() == N {
                return Err(A::Error::invalid_length(N + 1, &self));
            }
            all.push(entry);
        }
        Ok(AtMost(all))
    }
}

#[derive(Deserialize)]
pub(super) struct Root {
    cluster_name: String,
    cluster_uuid: String,
    version: RootVersion,
    tagline: String,
}

#[derive(Deserialize)]
struct RootVersion {
    number: String,
    build_flavor: Option<String>,
    distribution: Option<String>,
}

impl Root {
    /// Checks that this is an Elasticsearch, of a version that is supported, in a cluster that has formed.
    pub(super) fn identity(self, has_header: bool) -> Result<Identity, Error> {
        if self.version.distribution.is_some() || self.tagline != TAGLINE {
            return Err(Error::NotElasticsearch(Impostor::OtherProduct));
        }
        let stranger = Error::NotElasticsearch(Impostor::Stranger);
        let version = Version::parse(&self.version.number).ok_or(stranger)?;
        if !has_header && version >= Version::WITH_PRODUCT_HEADER {
            return Err(Error::NotElasticsearch(Impostor::NoProductHeader));
        }
        let flavor = match self.version.build_flavor.as_deref() {
            Some("default") => Flavor::Default,
            Some("oss") => Flavor::Oss,
            Some("serverless") => Flavor::Serverless,
            _ => Flavor::Other,
        };
        if version < Version::OLDEST && flavor != Flavor::Serverless {
            return Err(Error::VersionTooOld(version));
        }
        if self.cluster_uuid == NOT_FORMED {
            return Err(Error::NotFormed);
        }
        let good_uuid = is_uuid(&self.cluster_uuid);
        let good_name = self.cluster_name.chars().count() <= 255
            && !self.cluster_name.chars().any(char::is_control);
        if !good_uuid || !good_name {
            return Err(Error::UnexpectedAnswer {
                status: 200,
                what: Malformed::WrongShape,
            });
        }
        Ok(Identity {
            cluster_name: self.cluster_name,
            cluster_uuid: self.cluster_uuid,
            version,
            flavor,
        })
    }
}

/// The form of a `cluster_uuid`.
pub(super) fn is_uuid(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    (1..=64).contains(&text.len()) && text.bytes().all(good)
}

/// `_ml/info`. `defaults` is read to know the answer for what it is: where `/` is refused, this form is the
/// only proof that an Elasticsearch answers.
#[derive(Deserialize)]
pub(super) struct Info {
    upgrade_mode: bool,
    #[serde(rename = "defaults")]
    _defaults: InfoDefaults,
}
#[derive(Deserialize)]
struct InfoDefaults {
    #[serde(rename = "datafeeds")]
    _datafeeds: InfoDatafeeds,
}
#[derive(Deserialize)]
struct InfoDatafeeds {
    #[serde(rename = "scroll_size")]
    _scroll_size: u64,
}

impl From<Info> for MlInfo {
    fn from(info: Info) -> Self {
        Self {
            upgrade_mode: info.upgrade_mode,
        }
    }
}

/// `GET /_license`.
#[derive(Deserialize)]
pub(super) struct WireLicense {
    license: Licensed,
}

#[derive(Deserialize)]
struct Licensed {
    status: String,
    #[serde(rename = "type")]
    kind: String,
}

impl WireLicense {
    /// Whether machine learning is in it. Of a word that is not known here nothing bad is said.
    pub(super) fn has_ml(&self) -> bool {
        let Licensed { status, kind } = &self.license;
        !matches!(status.as_str(), "expired" | "invalid")
            && !matches!(kind.as_str(), "basic" | "standard" | "gold")
    }
}

/// What the credentials hold of what was asked for.
#[derive(Deserialize)]
pub(super) struct HasPrivileges {
    pub(super) cluster: std::collections::BTreeMap<String, bool>,
}

/// `{"closed":true}`.
#[derive(Deserialize)]
pub(super) struct Closed {
    pub(super) closed: bool,
}

/// `{"opened":true,"node":".."}`; the node is empty where none has taken the job yet.
#[derive(Deserialize)]
pub(super) struct Opened {
    pub(super) opened: bool,
}

/// `{"started":true}`.
#[derive(Deserialize)]
pub(super) struct Started {
    pub(super) started: bool,
}

/// `{"stopped":true}`.
#[derive(Deserialize)]
pub(super) struct Stopped {
    pub(super) stopped: bool,
}

/// A time as Elasticsearch writes it, in ms since 1970.
pub(super) fn time(millis: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}

/// A duration as Elasticsearch prints it: `13s`, `1.5m`, `2.1h`, `3d`, `500ms`, `12micros`, `7nanos`.
pub(super) fn time_value(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at_checked(unit_at)?;
    let seconds = match unit {
        "nanos" => 1e-9,
        "micros" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number: f64 = plain.then(|| number.parse().ok()).flatten()?;
    Duration::try_from_secs_f64(number * seconds).ok()
}

/// A text from outside for people to read: cut, and with control characters escaped.
pub(super) fn printable(text: &str, length: usize) -> String {
    let escaped = text.chars().flat_map(|c| {
        if c.is_control() {
            c.escape_default().collect::<Vec<_>>()
        } else {
            vec![c]
        }
    });
    escaped.take(length).collect()
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
