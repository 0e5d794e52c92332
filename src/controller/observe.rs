//! A question of the brain as requests to Elasticsearch, and their answers as one.
//!
//! A read is answered as a whole or fails as a whole: half a view would let something be claimed of what was not seen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::translate::{
    seen_config, seen_datafeed, seen_snapshot, seen_state, seen_tasks, trouble_of,
};
use crate::api::{DatafeedId, JobId, JobPattern, Reason};
use crate::elasticsearch::{Client, DatafeedStats, Error, Ids, JobStats, View};
use crate::reconciler::input::{Answer, Listing, LiveLook, Question, Refusal, SeenJob, Trouble};
use crate::reconciler::untold;
use crate::telemetry::{ElasticsearchApi, Metrics};

/// More datafeeds than fit into a request or two are asked for all at once.
const MANY_DATAFEEDS: usize = 300;

/// One cluster's client, and where its requests are counted.
pub(super) struct Observer<'a> {
    pub(super) client: &'a Client,
    pub(super) metrics: &'a Metrics,
    /// The uuid that the cluster has to have, where it is known.
    pub(super) uuid: Option<&'a str>,
}

impl Observer<'_> {
    /// Asks Elasticsearch what the brain wants to know.
    pub(super) async fn ask(&self, question: Question) -> Result<Answer, Trouble> {
        match question {
            Question::Catalogue => self.catalogue().await.map(Answer::Catalogue),
            Question::Tasks => self.tasks().await,
            Question::Info => {
                let info = self
                    .timed(ElasticsearchApi::Info, self.client.ml_info())
                    .await?;
                Ok(Answer::Info(info.upgrade_mode))
            }
            Question::States {
                jobs,
                datafeeds,
                wildcards,
            } => {
                let states = self.states(jobs, datafeeds, &wildcards).await;
                states.map(|(seen, undecided)| Answer::States(seen, undecided))
            }
        }
    }

    async fn catalogue(&self) -> Result<Listing, Trouble> {
        let client = self.client;
        let info = self.timed(ElasticsearchApi::Info, client.ml_info()).await?;
        let configs = self.timed(ElasticsearchApi::Jobs, client.jobs()).await?;
        let feeds = self
            .timed(ElasticsearchApi::Datafeeds, client.datafeeds())
            .await?;
        let requests = 1 + configs.requests + feeds.requests;
        let jobs = configs.found.into_iter();
        let datafeeds = feeds.found.into_iter();
        Ok(Listing {
            jobs: jobs.map(|(id, config)| (id, seen_config(config))).collect(),
            datafeeds: datafeeds.map(|(id, feed)| (feed.job_id, id)).collect(),
            complete: !configs.cut && !feeds.cut,
            upgrade_mode: info.upgrade_mode,
            requests,
        })
    }

    async fn tasks(&self) -> Result<Answer, Trouble> {
        let answer = self.client.persistent_tasks();
        match self.counted(ElasticsearchApi::Tasks, answer).await {
            Ok(tasks) => {
                if let (Some(ours), Some(theirs)) = (self.uuid, tasks.cluster_uuid.as_deref())
                    && ours != theirs
                {
                    let message =
                        format!("another cluster answers at the url: {theirs} instead of {ours}");
                    return Err(Trouble::new(Reason::ClusterChanged, message));
                }
                Ok(Answer::Tasks(Some(seen_tasks(tasks))))
            }
            // What may not be asked here, by its rights or by what stands before it, is no trouble of the cluster.
            Err(Error::MissingPrivilege(_) | Error::RequestRefused { .. }) => {
                Ok(Answer::Tasks(None))
            }
            Err(error) => Err(trouble_of(&error)),
        }
    }

    async fn states(
        &self,
        jobs: Vec<JobId>,
        datafeeds: Vec<(JobId, DatafeedId)>,
        wildcards: &[JobPattern],
    ) -> Result<(BTreeMap<JobId, SeenJob>, Vec<JobId>), Trouble> {
        let Some(ids) = Ids::new(jobs) else {
            return Ok((BTreeMap::new(), Vec::new()));
        };
        let stats = self.job_stats(&ids, wildcards).await?;
        let untold: BTreeSet<&JobId> = stats.unreadable.iter().chain(&stats.undecided).collect();
        let readable = ids.iter().filter(|id| !untold.contains(id));
        let jobs = readable.map(|id| {
            let job = SeenJob {
                state: stats.found.get(id).map(seen_state),
                datafeed: None,
            };
            (id.clone(), job)
        });
        let mut seen: BTreeMap<JobId, SeenJob> = jobs.collect();
        self.add_datafeeds(&mut seen, datafeeds).await?;
        Ok((seen, stats.undecided))
    }

    /// By the wildcards first; what none of them means, or what a cut answer does not tell, by the ids.
    async fn job_stats(
        &self,
        ids: &Ids<JobId>,
        wildcards: &[JobPattern],
    ) -> Result<View<JobId, JobStats>, Trouble> {
        let (api, client) = (ElasticsearchApi::JobStats, self.client);
        if wildcards.is_empty() {
            return self.timed(api, client.job_stats(ids)).await;
        }
        let mut stats = match self.counted(api, client.job_stats_like(wildcards)).await {
            Ok(stats) => stats,
            // Perhaps by a job that nobody means.
            Err(Error::IndexClosed) => return self.timed(api, client.job_stats(ids)).await,
            Err(error) => return Err(trouble_of(&error)),
        };
        let meant = |id: &JobId| wildcards.iter().any(|wildcard| wildcard.matches(id));
        let is_left = |id: &&JobId| {
            !(if stats.cut {
                stats.tells(id)
            } else {
                meant(id)
            })
        };
        if let Some(left) = Ids::new(ids.iter().filter(is_left).cloned()) {
            stats.absorb(self.timed(api, client.job_stats(&left)).await?);
        }
        Ok(stats)
    }

    async fn add_datafeeds(
        &self,
        seen: &mut BTreeMap<JobId, SeenJob>,
        datafeeds: Vec<(JobId, DatafeedId)>,
    ) -> Result<(), Trouble> {
        let job_of: BTreeMap<DatafeedId, JobId> = datafeeds
            .into_iter()
            .filter(|(job, _)| seen.contains_key(job))
            .map(|(job, feed)| (feed, job))
            .collect();
        let Some(ids) = Ids::new(job_of.keys().cloned()) else {
            return Ok(());
        };
        let stats = self.datafeed_stats(&ids).await?;
        for (id, stats) in stats.found {
            if let Some(job) = job_of.get(&id).and_then(|job| seen.get_mut(job)) {
                job.datafeed = Some(seen_datafeed(id, &stats));
            }
        }
        Ok(())
    }

    async fn datafeed_stats(
        &self,
        ids: &Ids<DatafeedId>,
    ) -> Result<View<DatafeedId, DatafeedStats>, Trouble> {
        let api = ElasticsearchApi::DatafeedStats;
        if ids.as_slice().len() > MANY_DATAFEEDS {
            let mut stats = self.timed(api, self.client.all_datafeed_stats()).await?;
            let left = Ids::new(ids.iter().filter(|id| !stats.tells(id)).cloned());
            if let Some(left) = left.filter(|_| stats.cut) {
                stats.absorb(self.timed(api, self.client.datafeed_stats(&left)).await?);
            }
            return Ok(stats);
        }
        self.timed(api, self.client.datafeed_stats(ids)).await
    }

    /// What is true of one job right now, before it is closed by force.
    pub(super) async fn live(
        &self,
        job: &JobId,
        datafeed: Option<DatafeedId>,
    ) -> Result<LiveLook, Refusal> {
        let look = self.live_look(job, datafeed).await;
        look.map_err(Refusal::Cluster)?.ok_or_else(|| {
            // This is no trouble of the cluster, and nobody else's matter.
            Refusal::Refused(untold::trouble(job.as_str()))
        })
    }

    /// Nothing where all was answered but its state.
    async fn live_look(
        &self,
        job: &JobId,
        datafeed: Option<DatafeedId>,
    ) -> Result<Option<LiveLook>, Trouble> {
        let ids = Ids::one(job.clone());
        let info = self
            .timed(ElasticsearchApi::Info, self.client.ml_info())
            .await?;
        let mut configs = self
            .timed(ElasticsearchApi::Jobs, self.client.job_configs(&ids))
            .await?;
        // What it will have cost is told afterwards; not to know it is no reason to wait.
        let snapshot = self
            .timed(
                ElasticsearchApi::Snapshots,
                self.client.newest_snapshot(job),
            )
            .await;
        let datafeeds = datafeed
            .map(|feed| (job.clone(), feed))
            .into_iter()
            .collect();
        let (mut seen, _) = self.states(vec![job.clone()], datafeeds, &[]).await?;
        Ok(seen.remove(job).map(|job_seen| LiveLook {
            job: job_seen,
            config: configs.found.remove(job).map(seen_config),
            upgrade_mode: info.upgrade_mode,
            snapshot: snapshot.ok().flatten().and_then(seen_snapshot),
        }))
    }

    /// Makes one call, counts it, and says what went wrong in the words of conditions.
    async fn timed<T>(
        &self,
        api: ElasticsearchApi,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Trouble> {
        let answer = self.counted(api, call).await;
        answer.map_err(|error| trouble_of(&error))
    }

    async fn counted<T>(
        &self,
        api: ElasticsearchApi,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let begun = Instant::now();
        let answer = call.await;
        let outcome = super::outcome(answer.as_ref().err());
        self.metrics
            .elasticsearch_request(api, outcome, begun.elapsed());
        answer
    }
}
