//! Logs to standard output, as text for people or one JSON object a line for machines. Installed once by `main`; no other
//! place may install a subscriber.

use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line, the fields of the event and of its spans in it.
    Json,
}

/// Which events are logged: `info`, or `info,kube=debug` and the other forms of tracing's directives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(String);

impl FromStr for Filter {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        // Parsed here to refuse a wrong one at start, and again at use because the parsed form cannot be cloned.
        EnvFilter::builder().parse(text)?;
        Ok(Self(text.to_owned()))
    }
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is none.
    #[error("the log level is no filter: {0}")]
    Filter(#[from] ParseError),
    /// Something else had installed a subscriber.
    #[error("logging was set up twice: {0}")]
    Installed(#[from] TryInitError),
}

/// Installs the one subscriber of the process.
pub fn install(format: Format, filter: &Filter, colours: bool) -> Result<(), Error> {
    let filter = EnvFilter::builder().parse(&filter.0)?;
    // What cannot be written is lost: tracing would say so on standard error, and panic where that is full as well.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .log_internal_errors(false);
    match format {
        Format::Text => builder.with_ansi(colours).finish().try_init()?,
        Format::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .finish()
            .try_init()?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_checked_when_it_is_read() {
        assert!("info,kube=debug".parse::<Filter>().is_ok());
        assert!("info,kube=loud".parse::<Filter>().is_err());
    }
}
