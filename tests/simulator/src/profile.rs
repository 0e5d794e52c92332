//! What differs between Elasticsearch versions, gathered in one place so that no other file compares version numbers.
//! It must hold facts only (reference sections 0, 3, 4, 8 and the recorded README), never behaviour.

use std::str::FromStr;

/// The Elasticsearch version whose answers are given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// 7.10, as recorded from a real server.
    V7_10,
    /// 7.13: the last that does not stop datafeeds.
    V7_13,
    /// 7.17, the last 7.x.
    V7_17,
    /// 8.19, the last 8.x.
    V8,
    /// A recent 9.x, as described by the reference and the OpenAPI contract.
    #[default]
    V9,
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "7.10" => Ok(Self::V7_10),
            "7.13" => Ok(Self::V7_13),
            "7.17" => Ok(Self::V7_17),
            "8" => Ok(Self::V8),
            "9" => Ok(Self::V9),
            other => Err(format!(
                "unknown profile '{other}': one of 7.10, 7.13, 7.17, 8, 9"
            )),
        }
    }
}

/// What `GET /` says of a version.
#[derive(Debug, Clone, Copy)]
pub struct Build {
    /// `version.number`.
    pub number: &'static str,
    /// `version.build_hash`, also part of each `Warning` header.
    pub hash: &'static str,
    /// `version.build_date`.
    pub date: &'static str,
    /// `version.lucene_version`.
    pub lucene: &'static str,
    /// `version.minimum_wire_compatibility_version`.
    pub wire: &'static str,
    /// `version.minimum_index_compatibility_version`.
    pub index: &'static str,
}

impl Profile {
    /// Whether this is the recorded 7.10, whose server had limits and faults of its own.
    pub fn recorded(self) -> bool {
        self == Self::V7_10
    }

    /// Any 7.x: typed paths, charset in the content type, older words in errors.
    pub fn is_7(self) -> bool {
        self < Self::V8
    }

    /// What `GET /` says.
    pub fn build(self) -> Build {
        match self {
            Self::V7_10 => Build {
                number: "7.10.0-SNAPSHOT",
                hash: "cb5e9d3beed837fee175d9d913b6f2e1c2e100d6",
                date: "2020-08-21T15:19:11.000Z",
                lucene: "8.6.0",
                wire: "6.8.0",
                index: "6.0.0-beta1",
            },
            Self::V7_13 => Build {
                number: "7.13.4",
                hash: "c5f60e894ca0c61cdbae4f5a686d9f08bcefc942",
                date: "2021-07-14T18:33:36.673943207Z",
                lucene: "8.8.2",
                wire: "6.8.0",
                index: "6.0.0-beta1",
            },
            Self::V7_17 => Build {
                number: "7.17.29",
                hash: "580aff1a0064ce4c93293aaab6fcc55e22c10d1c",
                date: "2025-06-19T01:37:57.847711500Z",
                lucene: "8.11.3",
                wire: "6.8.0",
                index: "6.0.0-beta1",
            },
            Self::V8 => Build {
                number: "8.19.8",
                hash: "0d3c5ad1a64a0e1d2c1a3b34d6dd0d0f9e5b7a11",
                date: "2025-11-25T22:09:28.000000000Z",
                lucene: "9.12.2",
                wire: "7.17.0",
                index: "7.0.0",
            },
            Self::V9 => Build {
                number: "9.4.0",
                hash: "5f1c1ad0ecb1d0a63d07ac9a5d5b1f2a6e0f6c11",
                date: "2026-04-14T10:00:00.000000000Z",
                lucene: "10.4.0",
                wire: "8.19.0",
                index: "8.0.0",
            },
        }
    }

    /// `job_version` of a new job: from 8.10 on it is the version of the ML configuration, not of the server.
    pub fn job_version(self) -> &'static str {
        match self {
            Self::V7_10 => "7.10.0",
            Self::V7_13 => "7.13.4",
            Self::V7_17 => "7.17.29",
            Self::V8 | Self::V9 => "12.0.0",
        }
    }

    /// `X-elastic-product` on every answer (7.14).
    pub fn product_header(self) -> bool {
        self >= Self::V7_17
    }

    /// Close stops running datafeeds (7.14) instead of answering 409.
    pub fn close_stops_datafeeds(self) -> bool {
        self >= Self::V7_17
    }

    /// The `blocked` field, `_reset`, `model_prune_window` (7.14).
    pub fn blocked_and_reset(self) -> bool {
        self >= Self::V7_17
    }

    /// `exclude_generated` (7.12).
    pub fn exclude_generated(self) -> bool {
        self >= Self::V7_13
    }

    /// `running_state` of datafeeds (7.13), `runtime_mappings` (7.11), the newer analyzer of `_ml/info`.
    pub fn running_state(self) -> bool {
        self >= Self::V7_13
    }

    /// A job's configuration holds its datafeed's, and takes one (late 7.x).
    pub fn embedded_datafeeds(self) -> bool {
        self >= Self::V7_17
    }

    /// Jobs leave a node that is told to shut down (7.15).
    pub fn node_shutdown(self) -> bool {
        self >= Self::V7_17
    }

    /// Assignment explanations in the words of 7.15 and later.
    pub fn short_assignment_texts(self) -> bool {
        self >= Self::V7_17
    }

    /// `allow_no_jobs`, `allow_no_datafeeds` and the `/_xpack/ml` paths are understood (until 8.0).
    pub fn old_names(self) -> bool {
        self.is_7()
    }

    /// `compatible-with` versions that are understood; none in 7.x, where the media types are taken as they come.
    pub fn compatible_with(self) -> Option<std::ops::RangeInclusive<u8>> {
        match self {
            Self::V7_10 | Self::V7_13 | Self::V7_17 => None,
            Self::V8 => Some(7..=8),
            Self::V9 => Some(8..=9),
        }
    }

    /// Timeouts of open and datafeed start are 408 (8.5), not 500. Close stays 500.
    pub fn timeouts_408(self) -> bool {
        self >= Self::V8
    }

    /// A request line that is too long has a type of its own (8.x).
    pub fn long_line_type(self) -> &'static str {
        if self.is_7() {
            "too_long_frame_exception"
        } else {
            "too_long_http_line_exception"
        }
    }

    /// A force close of a task that is gone already is no failure (8.x), also when ids were named.
    pub fn force_ignores_missing(self) -> bool {
        !self.is_7()
    }

    /// `min_version` of a snapshot that is taken now.
    pub fn snapshot_version(self) -> &'static str {
        if self.is_7() { "6.4.0" } else { "8.3.0" }
    }

    /// Snapshots with a `min_version` before this one cannot be opened.
    pub fn oldest_snapshot(self) -> Option<&'static str> {
        match self {
            Self::V7_10 | Self::V7_13 | Self::V7_17 => None,
            Self::V8 => Some("7.0.0"),
            Self::V9 => Some("8.3.0"),
        }
    }

    /// `_stop` of a datafeed takes `close_job` (9.3), and without it leaves the job open (2026-03).
    pub fn close_job(self) -> bool {
        self >= Self::V9
    }

    /// A nightly task closes idle jobs (9.4).
    pub fn closes_idle_jobs(self) -> bool {
        self >= Self::V9
    }

    /// Milliseconds a native close takes unless a knob says otherwise: the recorded server took 50 to 100.
    pub fn default_close_ms(self) -> u64 {
        if self.recorded() { 60 } else { 0 }
    }

    /// Jobs a node may hold; `None` is no limit (the other profiles leave capacity to its knob).
    pub fn default_max_open_jobs(self) -> Option<u64> {
        if self.recorded() { Some(20) } else { None }
    }
}
