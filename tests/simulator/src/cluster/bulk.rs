//! Many jobs at once for tests of size: what ten thousand PUTs, opens and starts would leave, without their cost.
//! It must leave nothing that the API could not have made, but for capacity, which is not asked.

use serde_json::{Value, json};

use super::{
    config::valid_id,
    core::Cluster,
    error::ApiError,
    model::{FeedState, FeedTask, Job, JobState, JobTask, Place},
};

/// Whether each job has a datafeed, `datafeed-` and its id, that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feeds {
    /// None at all.
    None,
    /// Configured only.
    Stopped,
    /// Running in real time; the jobs must be opened.
    Started,
}

/// What to make.
#[derive(Debug, Clone)]
pub struct Bulk {
    /// Ids are this and a number of at least five digits.
    pub prefix: String,
    /// The first number.
    pub from: u64,
    /// How many.
    pub count: u64,
    /// Groups of each.
    pub groups: Vec<String>,
    /// With a live process on one of the nodes, in turn.
    pub opened: bool,
    /// Datafeeds.
    pub datafeeds: Feeds,
    /// Records each has seen; 0 = no data.
    pub records: u64,
    /// Epoch ms of the last record.
    pub latest: Option<u64>,
}

/// More would only fill the memory of the test machine.
const MOST: u64 = 200_000;
const BODY: &str = r#"{"analysis_config":{"bucket_span":"15m","detectors":[{"function":"count"}]},"analysis_limits":{"model_memory_limit":"10mb"},"data_description":{"time_field":"time"}}"#;

impl Cluster {
    /// Makes jobs; those that exist are refused. Gives the first and the last id.
    ///
    /// # Errors
    /// 400 for ids and groups that PUT would refuse.
    pub fn put_many(&mut self, bulk: &Bulk) -> Result<(String, String), ApiError> {
        let id = |at: u64| format!("{}{:05}", bulk.prefix, bulk.from + at);
        let last = bulk.count.saturating_sub(1);
        if !(1..=MOST).contains(&bulk.count) {
            return Err(ApiError::bad_argument(format!("'count' is 1 to {MOST}")));
        }
        for at in [0, last] {
            if !valid_id(&id(at)) || id(at).len() > 64 {
                return Err(ApiError::bad_argument(format!("'{}' is no id", id(at))));
            }
        }
        if bulk.datafeeds == Feeds::Started && !bulk.opened {
            let text = "a datafeed runs only for an opened job";
            return Err(ApiError::bad_argument(text));
        }
        if bulk.opened && self.nodes.is_empty() {
            return Err(ApiError::bad_argument("there is no node to open jobs on"));
        }
        for at in 0..bulk.count {
            let id = id(at);
            if self.jobs.contains_key(&id) {
                return Err(ApiError::exists(format!("there is a job {id}")));
            }
            self.check_names(&id, &bulk.groups)?;
        }
        let template = self.template(bulk)?;
        for at in 0..bulk.count {
            self.put_one_of_many(bulk, &template, id(at), at)?;
        }
        self.has_config_index = true;
        self.version += bulk.count;
        Ok((id(0), id(last)))
    }

    fn template(&self, bulk: &Bulk) -> Result<Job, ApiError> {
        let body: Value = serde_json::from_str(BODY).unwrap_or_default();
        let body = body.as_object().cloned().unwrap_or_default();
        let mut job = self.checked_job(&format!("{}template", bulk.prefix), &body)?;
        job.groups.clone_from(&bulk.groups);
        Ok(job)
    }

    fn put_one_of_many(
        &mut self,
        bulk: &Bulk,
        template: &Job,
        id: String,
        at: u64,
    ) -> Result<(), ApiError> {
        self.insert_job(Job {
            id: id.clone(),
            ..template.clone()
        });
        if bulk.records > 0 {
            self.set_counts(&id, bulk.records, bulk.latest);
        }
        let node = usize::try_from(at).unwrap_or(0) % self.nodes.len().max(1);
        let node = self.nodes.get(node).map(|node| node.id.clone());
        let feed = format!("datafeed-{id}");
        if bulk.opened {
            self.open_one_of_many(&id, node.clone());
        }
        if bulk.datafeeds != Feeds::None {
            let config = json!({"job_id": id, "indices": ["data"]});
            let config = config.as_object().cloned().unwrap_or_default();
            self.put_datafeed(&feed, &config)?;
        }
        if bulk.datafeeds == Feeds::Started {
            let params = json!({"datafeed_id": feed, "start": "0", "timeout": "20s", "job_id": id, "indices": ["data"]});
            let place = Place {
                alloc: self.next_alloc(),
                node,
                explanation: String::new(),
            };
            let task = FeedTask {
                state: Some(FeedState::Started),
                place,
                job: id,
                params,
                has_end: false,
                isolated: false,
            };
            self.feed_tasks.insert(feed, task);
        }
        Ok(())
    }

    fn open_one_of_many(&mut self, id: &str, node: Option<String>) {
        let alloc = self.next_alloc();
        let config = self
            .jobs
            .get(id)
            .map(|job| self.job_json(job, false))
            .unwrap_or_default();
        self.had_tasks = true;
        let task = JobTask {
            state: Some(JobState::Opened),
            state_alloc: alloc,
            reason: None,
            place: Place {
                alloc,
                node,
                explanation: String::new(),
            },
            live: true,
            opened_at: self.now,
            timeout: "30m".into(),
            removing: false,
            config,
        };
        self.tasks.insert(id.to_owned(), task);
    }
}
