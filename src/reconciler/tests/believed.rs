//! What is believed of a job, answer by answer: which reads are too old, what the tasks confirm, whose datafeed it is.

use std::time::Duration;

use super::world::{moment, secs};
use crate::api::{DatafeedId, DatafeedState, JobState};
use crate::reconciler::decision::Ask;
use crate::reconciler::input::{SeenDatafeed, SeenJob, SeenState, SeenTask, Ticket};
use crate::reconciler::job::Job;

const STOPPED: DatafeedState = DatafeedState::Stopped;
const STARTED: DatafeedState = DatafeedState::Started;

fn feed(id: &str, state: DatafeedState) -> SeenDatafeed {
    SeenDatafeed {
        id: DatafeedId::parse(id).unwrap(),
        state,
        real_time: None,
    }
}

/// What a read tells that asked about its datafeed as well, or not.
fn job(job: JobState, datafeed: Option<DatafeedState>) -> SeenJob {
    SeenJob {
        state: Some(SeenState::of(job)),
        datafeed: datafeed.map(|state| feed("feed", state)),
    }
}

fn with(datafeed: SeenDatafeed) -> SeenJob {
    SeenJob {
        state: Some(SeenState::of(JobState::Opened)),
        datafeed: Some(datafeed),
    }
}

/// An answer, at the second that is also the number of its read.
fn sees(of: &mut Job, number: u64, found: SeenJob) -> Option<bool> {
    of.see(Ticket(number), found, moment(secs(number)))
}

/// A job that was seen by the tenth read.
fn seen(found: SeenJob) -> Job {
    let mut job = Job::default();
    assert_eq!(sees(&mut job, 10, found), Some(true));
    job
}

#[test]
fn that_a_read_does_not_tell_of_a_job_counts_from_when_its_last_call_has_ended() {
    let mut known = seen(job(JobState::Opened, None));
    let current = |known: &Job| known.seen.as_ref().unwrap().current;
    assert!(!known.is_not_told(Ticket(9)) && current(&known));
    assert!(known.is_not_told(Ticket(10)) && !current(&known));
    known.touch(Ticket(14));
    assert!(!known.is_not_told(Ticket(13)));
    assert!(known.is_not_told(Ticket(14)));
}

#[test]
fn a_read_that_was_sent_before_a_newer_one_or_before_a_call_ended_says_nothing_of_now() {
    let mut known = seen(job(JobState::Opened, None));
    let opened = || job(JobState::Opened, None);
    assert_eq!(sees(&mut known, 11, opened()), Some(false), "no news");
    let closed = || job(JobState::Closed, None);
    assert_eq!(sees(&mut known, 10, closed()), None);
    assert_eq!(known.state(), Some(JobState::Opened));
    assert!(known.is_newer_than(Ticket(10)) && !known.is_newer_than(Ticket(11)));

    known.doings.in_flight = Some((Ticket(12), Ask::Close));
    known.touch(Ticket(14));
    assert!(known.doings.in_flight.is_none());
    assert!(known.fresh(moment(secs(14))).is_none());
    assert!(!known.believes(Ticket(13)) && known.believes(Ticket(14)));
    assert_eq!(sees(&mut known, 13, closed()), None);
    assert_eq!(
        sees(&mut known, 14, opened()),
        Some(true),
        "it is known again"
    );
    assert_eq!(sees(&mut known, 15, closed()), Some(true));
    assert_eq!(
        sees(&mut known, 16, job(JobState::Closed, Some(STOPPED))),
        Some(true)
    );
}

#[test]
fn what_was_seen_may_be_acted_on_for_a_minute() {
    let known = seen(job(JobState::Opened, None));
    assert!(known.fresh(moment(secs(70))).is_some());
    assert!(
        known
            .fresh(moment(secs(70) + Duration::from_nanos(1)))
            .is_none()
    );
}

#[test]
fn a_datafeed_that_an_old_answer_shows_running_is_asked_about_until_it_was_told_of() {
    let mut known = seen(job(JobState::Opened, Some(STOPPED)));
    sees(&mut known, 9, job(JobState::Opened, Some(STOPPED)));
    assert!(!known.doings.odd_feed);
    sees(&mut known, 9, job(JobState::Opened, Some(STARTED)));
    assert!(known.doings.odd_feed);
    // What is not asked about is known as it was.
    sees(&mut known, 11, job(JobState::Opened, None));
    assert!(
        known.doings.odd_feed
            && known.seen.as_ref().unwrap().datafeed == Some(feed("feed", STOPPED))
    );
    sees(&mut known, 12, job(JobState::Opened, Some(STARTED)));
    assert!(!known.doings.odd_feed);
    assert_eq!(known.doings.feed_ran, Some(secs(12)));
    sees(&mut known, 13, job(JobState::Opened, Some(STOPPED)));
    assert_eq!(known.doings.feed_ran, Some(secs(12)));
}

#[test]
fn a_datafeed_that_stopped_is_known_by_what_it_told_while_it_ran() {
    let without_end = SeenDatafeed {
        real_time: Some(true),
        ..feed("feed", STARTED)
    };
    for (id, kind) in [("feed", Some(true)), ("another", None)] {
        let mut known = seen(with(without_end.clone()));
        let now = feed(id, STOPPED);
        sees(&mut known, 11, with(now));
        let datafeed = known.seen.unwrap().datafeed.unwrap();
        assert_eq!(datafeed.real_time, kind, "{id}");
    }
}

#[test]
fn a_datafeed_is_kept_as_long_as_the_newest_list_names_it() {
    let (same, other) = (
        DatafeedId::parse("feed").unwrap(),
        DatafeedId::parse("other").unwrap(),
    );
    for (named, asked, kept) in [
        (Some(&same), 20, true),
        (Some(&other), 20, false),
        (None, 20, false),
        (None, 9, true),
    ] {
        let mut known = seen(job(JobState::Opened, Some(STARTED)));
        sees(&mut known, 15, job(JobState::Opened, None));
        known.keep_datafeed(named, Ticket(asked));
        let has = known.seen.unwrap().datafeed.is_some();
        assert_eq!(has, kept, "{named:?} in the list of {asked}");
    }
}

#[test]
fn a_datafeed_that_was_never_asked_about_is_looked_at_before_its_job_is_called() {
    for (before, id, known_already) in [
        (Some(STOPPED), "feed", true),
        (Some(STOPPED), "other", false),
        (None, "feed", false),
    ] {
        let mut known = seen(job(JobState::Opened, before));
        known.new_feed(&DatafeedId::parse(id).unwrap(), Ticket(12));
        assert_eq!(
            known.fresh(moment(secs(11))).is_some(),
            known_already,
            "{id}"
        );
        assert_eq!(known.believes(Ticket(11)), known_already);
    }
}

/// The tasks say so at the twentieth second; whether the job is worth a look, and whether that confirms what was seen.
fn compared(mut known: Job, task: Option<(JobState, bool)>, runs: bool) -> (bool, bool) {
    let task = task.map(|(state, assigned)| SeenTask { state, assigned });
    let datafeed = runs.then(|| (feed("feed", STARTED), false));
    let odd = known.compare(Ticket(20), task, datafeed.as_ref(), moment(secs(20)));
    let confirmed = known.seen.is_some_and(|seen| seen.at == secs(20));
    (odd, confirmed)
}

#[test]
fn tasks_confirm_what_was_seen_or_ask_for_a_look() {
    let opened = || seen(job(JobState::Opened, None));
    let closed = || seen(job(JobState::Closed, None));
    let (same, differs) = ((false, true), (true, false));
    for (known, task, runs, expected) in [
        (opened(), Some((JobState::Opened, true)), false, same),
        (opened(), Some((JobState::Opened, false)), false, differs),
        (opened(), Some((JobState::Closing, true)), false, differs),
        (opened(), Some((JobState::Opened, true)), true, differs),
        (opened(), None, false, differs),
        (closed(), None, false, same),
        (closed(), None, true, differs),
        (closed(), Some((JobState::Opened, true)), false, differs),
        (
            seen(job(JobState::Closing, None)),
            Some((JobState::Closing, false)),
            false,
            same,
        ),
        (
            seen(job(JobState::Opened, Some(STARTED))),
            Some((JobState::Opened, true)),
            true,
            same,
        ),
        (
            seen(job(JobState::Opened, Some(STARTED))),
            Some((JobState::Opened, true)),
            false,
            differs,
        ),
        (Job::default(), None, false, differs),
    ] {
        let text = format!("{known:?} and {task:?}, {runs}");
        assert_eq!(compared(known, task, runs), expected, "{text}");
    }
}

#[test]
fn tasks_that_were_asked_for_earlier_or_after_a_call_confirm_nothing() {
    let mut known = seen(job(JobState::Opened, None));
    sees(&mut known, 21, job(JobState::Opened, None));
    assert_eq!(compared(known.clone(), None, false), (false, false));
    known.touch(Ticket(22));
    assert_eq!(compared(known, None, false), (false, false));
    let mut known = seen(job(JobState::Opened, None));
    known.touch(Ticket(20));
    assert_eq!(compared(known, None, false), (true, false));
    // What was touched is not known again because its task is as it was.
    let mut known = seen(job(JobState::Opened, None));
    known.touch(Ticket(12));
    let task = Some((JobState::Opened, true));
    assert_eq!(compared(known, task, false), (false, false));
}

#[test]
fn tasks_tell_whether_a_datafeed_has_an_end_and_that_it_runs() {
    for has_end in [true, false] {
        let mut known = seen(job(JobState::Opened, Some(STARTED)));
        let datafeed = (feed("feed", STARTED), has_end);
        let task = SeenTask {
            state: JobState::Opened,
            assigned: true,
        };
        known.compare(Ticket(20), Some(task), Some(&datafeed), moment(secs(20)));
        let told = known.seen.unwrap().datafeed.unwrap();
        assert_eq!(told.real_time, Some(!has_end));
        assert_eq!(known.doings.feed_ran, Some(secs(20)));
        assert!(!known.doings.odd_feed);
    }
}

#[test]
fn what_a_status_remembers_is_told_until_the_job_is_looked_at_and_never_acted_on() {
    let mut known = Job::default();
    known.remember(SeenState::of(JobState::Opened), Some(feed("feed", STOPPED)));
    assert_eq!(known.state(), Some(JobState::Opened));
    assert!(known.fresh(moment(secs(0))).is_none());
    assert_eq!(
        sees(&mut known, 1, job(JobState::Opened, Some(STOPPED))),
        Some(true)
    );
    known.remember(SeenState::of(JobState::Closed), None);
    assert_eq!(known.state(), Some(JobState::Opened));
}
