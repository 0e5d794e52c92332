//! A call of the brain as a request to Elasticsearch, and its answer in the brain's words.
//!
//! One request each, never repeated: whether to repeat is decided by who knows the states.

use std::time::Duration;

use tokio::time::Instant;

use super::outcome;
use super::translate::refusal;
use crate::elasticsearch::{Client, Ids};
use crate::reconciler::input::{Call, ObjectKey, Refusal};
use crate::telemetry::{ElasticsearchApi, Metrics};

/// How long Elasticsearch may hold a call; the deadline is the operator's own.
const SERVER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long Elasticsearch may wait before it says that a job is still closing.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(1);
/// A force is answered at once, or its fate is looked up.
const FORCE_LIMIT: Duration = Duration::from_secs(15);

/// What a log calls it.
pub(super) fn name(call: &Call) -> &'static str {
    match call {
        Call::Close(_) => "close",
        Call::Confirm(_) => "close, which goes on",
        Call::ForceClose(_) => "close by force",
        Call::StopDatafeed { .. } => "stop datafeed",
        Call::Open(_) => "open",
        Call::StartDatafeed { .. } => "start datafeed",
    }
}

/// Makes the call.
pub(super) async fn make(client: &Client, metrics: &Metrics, call: &Call) -> Result<(), Refusal> {
    let begun = Instant::now();
    let (api, answer) = match call {
        Call::Close(jobs) => {
            let Some(ids) = Ids::new(jobs.iter().cloned()) else {
                return Ok(());
            };
            let answer = client.close(&ids, SERVER_TIMEOUT).await;
            (ElasticsearchApi::Close, answer)
        }
        Call::Confirm(job) => {
            let again = client.close(&Ids::one(job.clone()), CONFIRM_TIMEOUT).await;
            (ElasticsearchApi::Close, again)
        }
        Call::ForceClose(job) => {
            let answer = client.within(FORCE_LIMIT).force_close(job).await;
            (ElasticsearchApi::ForceClose, answer)
        }
        Call::StopDatafeed {
            datafeed, force, ..
        } => {
            let answer = client.stop_datafeed(datafeed, *force, SERVER_TIMEOUT).await;
            (ElasticsearchApi::StopDatafeed, answer)
        }
        Call::Open(job) => (
            ElasticsearchApi::Open,
            client.open(job, SERVER_TIMEOUT).await,
        ),
        Call::StartDatafeed { datafeed, .. } => {
            let answer = client.start_datafeed(datafeed, SERVER_TIMEOUT).await;
            (ElasticsearchApi::StartDatafeed, answer)
        }
    };
    metrics.elasticsearch_request(api, outcome(answer.as_ref().err()), begun.elapsed());
    answer.map_err(|error| {
        tracing::debug!(call = name(call), %error, "refused");
        refusal(&error, call, client.list_room())
    })
}

/// Says what is about to be called, and for whom.
pub(super) fn log(call: &Call, objects: &[ObjectKey]) {
    /// As many as a reader of a log wants to see in a line.
    const SHOWN: usize = 20;
    let shown = |all: Vec<String>| {
        let more = all.len().saturating_sub(SHOWN);
        let text = all.into_iter().take(SHOWN).collect::<Vec<_>>().join(",");
        if more == 0 {
            text
        } else {
            format!("{text} and {more} more")
        }
    };
    tracing::info!(
        objects = shown(objects.iter().map(ToString::to_string).collect()),
        job = shown(call.jobs().iter().map(ToString::to_string).collect()),
        "calling Elasticsearch: {}",
        name(call)
    );
}
