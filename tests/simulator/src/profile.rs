//! What differs between Elasticsearch versions, gathered in one place so that no other file compares version numbers.
//! It must hold facts only (reference section 0 and the recorded README), never behaviour.

use std::str::FromStr;

/// The Elasticsearch version whose answers are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// 7.10, as recorded from a real server.
    V7_10,
    /// A recent 9.x, as described by the reference and the OpenAPI contract.
    V9,
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "7.10" => Ok(Self::V7_10),
            "9" => Ok(Self::V9),
            other => Err(format!("unknown profile '{other}': one of 7.10, 9")),
        }
    }
}

impl Profile {
    /// Whether this is the recorded 7.10.
    pub fn is_7(self) -> bool {
        self == Self::V7_10
    }

    /// `version.number` of `GET /`.
    pub fn number(self) -> &'static str {
        if self.is_7() {
            "7.10.0-SNAPSHOT"
        } else {
            "9.4.0"
        }
    }

    /// `job_version` of a new job: from 8.10 on it is the version of the ML configuration, not of the server.
    pub fn job_version(self) -> &'static str {
        if self.is_7() { "7.10.0" } else { "12.0.0" }
    }

    /// `version.build_hash` of `GET /`, also part of each `Warning` header.
    pub fn build_hash(self) -> &'static str {
        if self.is_7() {
            "cb5e9d3beed837fee175d9d913b6f2e1c2e100d6"
        } else {
            "5f1c1ad0ecb1d0a63d07ac9a5d5b1f2a6e0f6c11"
        }
    }

    /// `X-elastic-product` on every answer (7.14).
    pub fn product_header(self) -> bool {
        !self.is_7()
    }

    /// Close stops running datafeeds (7.14) instead of answering 409.
    pub fn close_stops_datafeeds(self) -> bool {
        !self.is_7()
    }

    /// `allow_no_jobs`, `allow_no_datafeeds` and the `/_xpack/ml` paths are understood (until 8.0).
    pub fn old_names(self) -> bool {
        self.is_7()
    }

    /// Timeouts of open and datafeed start are 408 (8.5), not 500. Close stays 500.
    pub fn timeouts_408(self) -> bool {
        !self.is_7()
    }

    /// The `blocked` field, `_reset` and `exclude_generated` (7.12 to 7.14).
    pub fn blocked_and_reset(self) -> bool {
        !self.is_7()
    }

    /// Milliseconds a native close takes unless a knob says otherwise: the recorded server took 50 to 100.
    pub fn default_close_ms(self) -> u64 {
        if self.is_7() { 60 } else { 0 }
    }

    /// Jobs a node may hold; `None` is no limit (the 9 profile leaves capacity to its knob).
    pub fn default_max_open_jobs(self) -> Option<u64> {
        if self.is_7() { Some(20) } else { None }
    }
}
