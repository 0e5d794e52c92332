//! Data sent to an open job: just enough to count records, to give a close something to persist, and to make the
//! recorder's one failing record fail the job.

use serde_json::{Value, json};

use super::{
    core::Cluster,
    error::ApiError,
    model::{Counts, Delay, Event, JobState},
};

/// From this record time on (year 9999 and later) the recorder's analysis process dies with "simulated failure".
const DEADLY_TIME: u64 = 253_402_300_799_000;

/// Epoch ms of the records in the body, one JSON object per line.
fn record_times(description: Option<&Value>, body: &[u8]) -> Vec<u64> {
    let text = |name: &str, default| {
        description
            .and_then(|data| data.get(name))
            .and_then(Value::as_str)
            .unwrap_or(default)
    };
    let field = text("time_field", "time");
    let scale = if text("time_format", "epoch") == "epoch" {
        1000
    } else {
        1
    };
    let stream = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
    stream
        .map_while(Result::ok)
        .filter_map(|record| Some(record.get(field)?.as_u64()? * scale))
        .collect()
}

impl Cluster {
    /// `POST .../_data` with one JSON object per line; answers 202.
    ///
    /// # Errors
    /// 404 for an unknown job, 409 without a process.
    pub fn post_data(&mut self, id: &str, body: &[u8]) -> Result<Value, ApiError> {
        let job = self.jobs.get(id).ok_or_else(|| ApiError::no_job(id))?;
        if !self
            .tasks
            .get(id)
            .is_some_and(|task| task.live && task.state == Some(JobState::Opened))
        {
            return Err(ApiError::status(
                409,
                format!(
                    "Cannot process data because job [{id}] does not have a corresponding autodetect process"
                ),
            ));
        }
        let times = record_times(job.fields.get("data_description"), body);
        let now = self.wall();
        let Some(job) = self.jobs.get_mut(id) else {
            return Err(ApiError::no_job(id));
        };
        let first = times
            .first()
            .copied()
            .filter(|_| !std::mem::replace(&mut job.counts.seen, !times.is_empty()));
        let sent = Counts {
            records: u64::try_from(times.len()).unwrap_or(u64::MAX),
            bytes: u64::try_from(body.len()).unwrap_or(u64::MAX),
            earliest: first,
            latest: times.iter().max().copied(),
            last_data_time: Some(now),
            seen: true,
        };
        let deadly = times.iter().any(|time| *time >= DEADLY_TIME);
        if !deadly {
            let counts = &mut job.counts;
            counts.records += sent.records;
            counts.bytes += sent.bytes;
            counts.earliest = counts.earliest.or(sent.earliest);
            counts.latest = counts.latest.max(sent.latest);
            counts.last_data_time = sent.last_data_time;
            job.dirty |= sent.records > 0;
        }
        let answer = super::stats::data_counts(id, &sent);
        if deadly {
            self.fail_job(id, "simulated failure");
        }
        Ok(answer)
    }

    /// `POST .../_flush`.
    ///
    /// # Errors
    /// 404 for an unknown job, 409 without a process.
    pub fn flush(&self, id: &str) -> Result<Value, ApiError> {
        if !self.jobs.contains_key(id) {
            return Err(ApiError::no_job(id));
        }
        if !self.tasks.get(id).is_some_and(|task| task.live) {
            return Err(ApiError::status(
                409,
                format!(
                    "Cannot flush because job [{id}] does not have a corresponding autodetect process"
                ),
            ));
        }
        Ok(json!({"flushed": true}))
    }

    /// The process of an open job dies (J6, J7); its datafeed notices later (D8).
    pub fn fail_job(&mut self, id: &str, reason: &str) -> bool {
        let was = self.state_word(id);
        let Some(task) = self.tasks.get_mut(id) else {
            return false;
        };
        task.state = Some(JobState::Failed);
        task.live = false;
        task.reason = Some(reason.to_owned());
        self.note("job", id, was, "failed", reason);
        // Also for a close whose `closing` still waits in the master's queue.
        let death = format!("[{id}] Unexpected death of autodetect: {reason}");
        let error = ApiError::new(500, "exception", "Exception closing autodetect process")
            .caused_by(ApiError::new(500, "exception", death));
        self.fail_node_stage(id, &error);
        self.open_sees_failure(id, reason);
        if let Some(feed) = self
            .feed_of_job
            .get(id)
            .filter(|feed| self.feed_tasks.contains_key(*feed))
            .cloned()
        {
            let alloc = self
                .feed_tasks
                .get(&feed)
                .map_or(0, |task| task.place.alloc);
            let notice = self.knobs_of(id).feed_notice;
            if let Some(task) = self.feed_tasks.get_mut(&feed) {
                task.isolated = true;
            }
            self.commit(notice, Event::FeedStopped(feed, alloc));
        }
        self.after(Delay::Ms(0), Event::Reassign);
        self.settle();
        true
    }
}
