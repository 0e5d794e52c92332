//! What a scenario says of the world: how Elasticsearch, its jobs and the API server are, or what others do to them.
//!
//! Each sentence changes the world and nothing else; what the operator makes of that is never decided here.

use super::grammar::{Args, Table, feed_of, find};
use crate::api::{Allow, AllowForce, DatafeedState, JobPattern, JobState};
use crate::reconciler::input::{Connection, Input, Trouble};
use crate::reconciler::tests::world::{FakeJob, World, job, key, secs, trouble};

type Set = fn(&mut World, &Args);

/// Every sentence that may follow `given` or `now`.
pub(super) const ALL: Table<Set> = &[
    ("JOB is STATE", |world, args| {
        for name in &args.names {
            become_(world, name, args.state.unwrap());
        }
    }),
    ("JOB is missing", |world, args| {
        for name in &args.names {
            world.jobs.remove(&job(name));
        }
    }),
    ("JOB is in group NAME", |world, args| {
        // The world keeps groups for ever, so they may be leaked.
        let (group, jobs) = args.names.split_last().unwrap();
        for name in jobs {
            world.fake(name).groups = vec![group.clone().leak()];
        }
    }),
    ("JOB is in no group", |world, args| {
        each(world, args, |job| job.groups.clear());
    }),
    ("JOB has no node", |world, args| {
        each(world, args, |job| job.assigned = false);
    }),
    ("JOB has a node", |world, args| {
        each(world, args, |job| job.assigned = true);
    }),
    ("JOB has no config", |world, args| {
        each(world, args, |job| job.config = false);
    }),
    ("JOB has its config", |world, args| {
        each(world, args, |job| job.config = true);
    }),
    ("JOB is blocked", |world, args| {
        each(world, args, |job| job.blocked = true);
    }),
    ("JOB has a closed index of results", |world, args| {
        each(world, args, |job| job.is_untold = true);
    }),
    ("JOB has an open index of results", |world, args| {
        each(world, args, |job| job.is_untold = false);
    }),
    ("JOB is not blocked", |world, args| {
        each(world, args, |job| job.blocked = false);
    }),
    ("JOB closes within TIME", |world, args| {
        each(world, args, |job| job.close_takes = Some(args.time()));
    }),
    ("JOB hangs when it is closed", |world, args| {
        each(world, args, |job| job.close_takes = None);
    }),
    ("JOB ignores COUNT closes", |world, args| {
        each(world, args, |job| job.lost_closes = args.count);
    }),
    ("JOB ignores every close", |world, args| {
        each(world, args, |job| job.lost_closes = u32::MAX);
    }),
    (
        "JOB stays open after closes that say it is closed",
        |world, args| each(world, args, |job| job.left_its_node = true),
    ),
    ("JOB ignores force", |world, args| {
        each(world, args, |job| job.ignores_force = true);
    }),
    ("JOB obeys force", |world, args| {
        each(world, args, |job| job.ignores_force = false);
    }),
    ("JOB spoils lists", |world, args| {
        each(world, args, |job| job.refuses_lists = true);
    }),
    ("JOB opens within TIME", |world, args| {
        each(world, args, |job| job.open_takes = Some(args.time()));
    }),
    ("JOB hangs when it is opened", |world, args| {
        each(world, args, |job| job.open_takes = None);
    }),
    ("JOB cannot be opened: REASON", |world, args| {
        each(world, args, |job| job.refuses_open = refusal(args));
    }),
    ("JOB can be opened", |world, args| {
        each(world, args, |job| job.refuses_open = None);
    }),
    ("JOB has a snapshot and data of now", |world, args| {
        let now = world.clock;
        each(world, args, |job| {
            (job.snapshot, job.latest_record) = (Some((now, now)), Some(now));
        });
    }),
    ("JOB has data of now", |world, args| {
        let now = world.clock;
        each(world, args, |job| job.latest_record = Some(now));
    }),
    ("JOB has a datafeed that runs", |world, args| {
        feed(world, args, DatafeedState::Started);
    }),
    ("JOB has a datafeed that runs to an end", |world, args| {
        feed(world, args, DatafeedState::Started);
        each(world, args, |job| job.has_end = true);
    }),
    ("JOB has a datafeed that is stopped", |world, args| {
        feed(world, args, DatafeedState::Stopped);
    }),
    (
        "JOB has a datafeed that ignores every stop",
        |world, args| {
            each(world, args, |job| job.refuses_stops = u32::MAX);
        },
    ),
    (
        "JOB has a datafeed that hinders its close",
        |world, args| {
            each(world, args, |job| job.feed_hinders = true);
        },
    ),
    ("JOB has a datafeed that tells of no end", |world, args| {
        each(world, args, |job| job.feed_is_mute = true);
    }),
    (
        "JOB has a datafeed that cannot be started: REASON",
        |world, args| each(world, args, |job| job.refuses_start = refusal(args)),
    ),
    ("JOB has a datafeed that can be started", |world, args| {
        each(world, args, |job| job.refuses_start = None);
    }),
    ("elasticsearch is older than 7.14", |world, _| {
        world.before_7_14 = true;
        world.connect();
    }),
    (
        "elasticsearch is older than 7.14 and hides it",
        |world, _| world.before_7_14 = true,
    ),
    ("elasticsearch hides its tasks", |world, _| {
        world.monitor = false;
    }),
    ("elasticsearch fails: REASON", |world, args| {
        world.trouble = args.reason.map(trouble);
    }),
    ("elasticsearch answers", |world, _| world.trouble = None),
    ("elasticsearch refuses calls: REASON", |world, args| {
        world.refuses_calls = args.reason.map(trouble);
    }),
    ("elasticsearch takes calls", |world, _| {
        world.refuses_calls = None;
    }),
    (
        "elasticsearch is too busy for COUNT calls",
        |world, args| {
            world.overloads = args.count as usize;
        },
    ),
    ("elasticsearch is in upgrade mode", |world, _| {
        world.upgrade_mode = true;
    }),
    ("elasticsearch is not in upgrade mode", |world, _| {
        world.upgrade_mode = false;
    }),
    ("elasticsearch lists no jobs", |world, _| {
        world.lists_nothing = true;
    }),
    ("elasticsearch lists COUNT jobs at most", |world, args| {
        world.cut_at = Some(args.count as usize);
    }),
    ("elasticsearch lists all jobs", |world, _| {
        (world.lists_nothing, world.cut_at) = (false, None);
    }),
    (
        "elasticsearch takes half of a list and breaks off",
        |world, _| world.halves_lists = true,
    ),
    ("elasticsearch takes whole lists", |world, _| {
        world.halves_lists = false;
    }),
    ("the connection is unusable: REASON", |world, args| {
        let trouble = trouble(args.reason.unwrap());
        world.tell(Input::Connection(Connection::Unusable(trouble)));
    }),
    ("the connection is usable", |world, _| world.connect()),
    (
        "the connection lets COUNT jobs close at once",
        |world, args| {
            world.max_closing = args.count as usize;
            world.connect();
        },
    ),
    ("the connection allows only jobs NAME", |world, args| {
        world.allow.jobs = JobPattern::parse(args.name()).into_iter().collect();
        world.connect();
    }),
    ("the connection allows all jobs", |world, _| {
        world.allow.jobs = Allow::default().jobs;
        world.connect();
    }),
    ("the connection allows no force", |world, _| {
        world.allow.force = AllowForce::Never;
        world.connect();
    }),
    ("the connection allows force for failed jobs", |world, _| {
        world.allow.force = AllowForce::Failed;
        world.connect();
    }),
    ("the connection allows force", |world, _| {
        world.allow.force = AllowForce::Always;
        world.connect();
    }),
    ("the API server is down", |world, _| {
        world.api_server_down = true;
    }),
    ("the API server is up", |world, _| {
        world.api_server_down = false;
    }),
    ("the API server answers no write", |world, _| {
        world.lose_acks = true;
    }),
    ("the API server answers writes", |world, _| {
        world.lose_acks = false;
    }),
    ("the operator restarts", |world, _| world.crash()),
    ("the status of NAME is wiped", |world, args| {
        world.version += 1;
        let version = world.version.to_string();
        let stored = world.stored.get_mut(&key(args.name())).unwrap();
        stored.status = crate::api::AnomalyJobStatus::default();
        stored.resource_version = version.into();
        let wiped = stored.clone();
        world.tell(Input::Delivered(Box::new(wiped)));
    }),
];

/// Says it. It was recognised before.
pub(in super::super) fn say(world: &mut World, sentence: &str) {
    let (set, args) = find(ALL, sentence).unwrap();
    set(world, &args);
}

fn each(world: &mut World, args: &Args, change: impl Fn(&mut FakeJob)) {
    for name in &args.names {
        let id = job(name);
        assert!(
            world.jobs.contains_key(&id),
            "say first in which state job {name} is"
        );
        change(world.fake(name));
    }
}

/// The job is in this state from now on, whoever brought it there.
fn become_(world: &mut World, name: &str, state: JobState) {
    // Long ago, where it is so when the story begins.
    let opened_at = world.clock.saturating_sub(secs(3600));
    let known = world.jobs.contains_key(&job(name));
    if !known {
        let fake = FakeJob {
            opened_at,
            ..FakeJob::new(state)
        };
        world.jobs.insert(job(name), fake);
        return;
    }
    match state {
        JobState::Opened => world.reopen(name),
        JobState::Closed => world.fake(name).closed(),
        _ => {
            let fake = world.fake(name);
            // What was under way comes to no other end any more.
            (fake.opens_at, fake.closes_at) = (None, None);
            fake.state = state;
        }
    }
}

fn feed(world: &mut World, args: &Args, state: DatafeedState) {
    for name in &args.names {
        world.fake(name).datafeed = Some((feed_of(name), state));
    }
}

fn refusal(args: &Args) -> Option<Trouble> {
    args.reason.map(trouble)
}
