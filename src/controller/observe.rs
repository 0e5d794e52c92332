//! One read of the brain as requests to Elasticsearch, and their answers as one view.
//!
//! A read is answered as a whole or fails as a whole: half a view would let something be claimed of what was not seen.

use std::collections::BTreeMap;
use std::time::Instant;

use super::translate::{seen_config, seen_state, trouble, trouble_of};
use crate::api::{DatafeedId, JobId, Reason};
use crate::elasticsearch::{Client, Error, Ids, JobStats, View as Found};
use crate::reconciler::input::{Depth, SeenDatafeed, SeenJob, Trouble, View};
use crate::telemetry::{ElasticsearchApi, Metrics};

/// Asks Elasticsearch what the brain wants to know.
pub(super) async fn read(
    client: &Client,
    metrics: &Metrics,
    depth: Depth,
    jobs: Vec<JobId>,
    datafeeds: Vec<(JobId, DatafeedId)>,
) -> Result<View, Trouble> {
    let Some(ids) = Ids::new(jobs) else {
        return Ok(View::default());
    };
    match depth {
        Depth::States => states(client, metrics, &ids, datafeeds).await,
        Depth::Full => full(client, metrics, &ids).await,
    }
}

async fn states(
    client: &Client,
    metrics: &Metrics,
    ids: &Ids<JobId>,
    datafeeds: Vec<(JobId, DatafeedId)>,
) -> Result<View, Trouble> {
    let stats = job_stats(client, metrics, ids).await?;
    let mut view = view_of(ids, &stats);
    add_datafeeds(client, metrics, &mut view, datafeeds).await?;
    Ok(view)
}

async fn full(client: &Client, metrics: &Metrics, ids: &Ids<JobId>) -> Result<View, Trouble> {
    let info = timed(metrics, ElasticsearchApi::Info, client.ml_info()).await?;
    let configs = timed(metrics, ElasticsearchApi::Jobs, client.jobs()).await?;
    let configs = if configs.cut {
        // Elasticsearch names the first 10 000 and says nothing of the rest: ask for ours by name.
        timed(metrics, ElasticsearchApi::Jobs, client.job_configs(ids)).await?
    } else {
        configs
    };
    let feeds = timed(metrics, ElasticsearchApi::Datafeeds, client.datafeeds()).await?;
    if feeds.cut {
        return Err(trouble(
            Reason::UnexpectedAnswer,
            "the cluster has 10 000 datafeeds or more and names only the first of them, so nothing is claimed",
        ));
    }
    let stats = job_stats(client, metrics, ids).await?;
    let mut view = view_of(ids, &stats);
    view.upgrade_mode = Some(info.upgrade_mode);
    for (id, job) in &mut view.jobs {
        job.config = configs.found.get(id).map(seen_config);
    }
    let ours = feeds
        .found
        .iter()
        .filter(|(_, feed)| ids.contains(&feed.job_id));
    let ours = ours
        .map(|(id, feed)| (feed.job_id.clone(), id.clone()))
        .collect();
    add_datafeeds(client, metrics, &mut view, ours).await?;
    Ok(view)
}

async fn job_stats(
    client: &Client,
    metrics: &Metrics,
    ids: &Ids<JobId>,
) -> Result<Found<JobId, JobStats>, Trouble> {
    timed(metrics, ElasticsearchApi::JobStats, client.job_stats(ids)).await
}

fn view_of(ids: &Ids<JobId>, stats: &Found<JobId, JobStats>) -> View {
    let readable = ids.iter().filter(|id| !stats.unreadable.contains(id));
    let jobs = readable.map(|id| {
        let seen = SeenJob {
            state: stats.found.get(id).map(seen_state),
            ..SeenJob::default()
        };
        (id.clone(), seen)
    });
    View {
        jobs: jobs.collect(),
        upgrade_mode: None,
    }
}

async fn add_datafeeds(
    client: &Client,
    metrics: &Metrics,
    view: &mut View,
    datafeeds: Vec<(JobId, DatafeedId)>,
) -> Result<(), Trouble> {
    let job_of: BTreeMap<DatafeedId, JobId> = datafeeds
        .into_iter()
        .map(|(job, feed)| (feed, job))
        .collect();
    let Some(ids) = Ids::new(job_of.keys().cloned()) else {
        return Ok(());
    };
    let stats = timed(
        metrics,
        ElasticsearchApi::DatafeedStats,
        client.datafeed_stats(&ids),
    )
    .await?;
    for (id, stats) in stats.found {
        if let Some(job) = job_of.get(&id).and_then(|job| view.jobs.get_mut(job)) {
            job.datafeed = Some(SeenDatafeed {
                id,
                state: stats.state,
            });
        }
    }
    Ok(())
}

/// Makes one call, counts it, and says what went wrong in the words of conditions.
async fn timed<T>(
    metrics: &Metrics,
    api: ElasticsearchApi,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Trouble> {
    let begun = Instant::now();
    let answer = call.await;
    metrics.elasticsearch_request(api, super::outcome(answer.as_ref().err()), begun.elapsed());
    answer.map_err(|error| trouble_of(&error))
}
