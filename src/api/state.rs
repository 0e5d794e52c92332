//! The states that Elasticsearch reports, in its own words.
//!
//! A word that is not known here is an error and never a default: to take an unknown state for
//! `closed` would be a lie, to take it for `failed` would force a healthy job.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Elasticsearch said a state that this version of the operator does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{of} state {word:?} is not known")]
pub struct UnknownState {
    /// Of what: `job` or `datafeed`.
    pub of: &'static str,
    /// The word, cut to 40 characters.
    pub word: String,
}

macro_rules! states {
    ($(#[$doc:meta])* $name:ident of $of:literal { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $word)] $variant,)*
        }
        impl $name {
            /// Every state, in the order of a life.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word that Elasticsearch uses.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// Reads the word that Elasticsearch said.
            pub fn parse(word: &str) -> Result<Self, UnknownState> {
                match word {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(UnknownState { of: $of, word: word.chars().take(40).collect() }),
                }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl std::str::FromStr for $name {
            type Err = UnknownState;
            fn from_str(word: &str) -> Result<Self, UnknownState> {
                Self::parse(word)
            }
        }
    };
}

states! {
    /// The state of an anomaly detection job, from `_stats`.
    JobState of "job" {
        /// A node takes the job up.
        Opening = "opening",
        /// It takes data.
        Opened = "opened",
        /// A close was accepted; it writes what it has learned.
        Closing = "closing",
        /// It has no task.
        Closed = "closed",
        /// It has a task, and Elasticsearch refuses all but force.
        Failed = "failed",
    }
}

states! {
    /// The state of a datafeed, from its `_stats`.
    DatafeedState of "datafeed" {
        /// It looks for a node.
        Starting = "starting",
        /// It sends data.
        Started = "started",
        /// It ends its last search.
        Stopping = "stopping",
        /// It has no task.
        Stopped = "stopped",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_written_in_the_words_of_elasticsearch() {
        for state in JobState::ALL {
            assert_eq!(JobState::parse(state.as_str()), Ok(*state));
            assert_eq!(
                serde_json::to_string(state).unwrap(),
                format!("\"{state}\"")
            );
        }
        for state in DatafeedState::ALL {
            assert_eq!(DatafeedState::parse(state.as_str()), Ok(*state));
            assert_eq!(
                serde_json::to_string(state).unwrap(),
                format!("\"{state}\"")
            );
        }
    }

    #[test]
    fn an_unknown_word_is_an_error_and_never_a_state() {
        for word in ["", "Closed", "reverting", "closed "] {
            assert!(JobState::parse(word).is_err(), "{word:?}");
            assert!(
                serde_json::from_value::<JobState>(word.into()).is_err(),
                "{word:?}"
            );
            assert!(DatafeedState::parse(word).is_err(), "{word:?}");
        }
    }
}
