//! The small worlds that are explored, in the words of the scenarios: who wants what of which jobs, how the jobs behave, what
//! people may do to the objects, and which kinds of faults there are.
//!
//! Each is as small as its question. What the faults are is in `faults`; a counterexample begins with these words.

use std::sync::LazyLock;

use crate::reconciler::input::Desired;
use crate::reconciler::tests::scenarios::wishes::{Asks, asks};

/// What may go wrong, by who does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Requests and answers are late, lost, doubled or refused.
    Answers,
    /// The process dies.
    Process,
    /// The watch lags, repeats or loses.
    Watch,
    /// The cluster, its master, the connection or the API server is away.
    Outside,
    /// Others change jobs and their datafeeds, or these break.
    Jobs,
    /// Others edit, delete and create objects.
    People,
}

use Family::{Answers, Jobs, Outside, People, Process, Watch};

/// What somebody may do to an object.
#[derive(Debug)]
pub(super) enum Edit {
    /// Edits these fields.
    Wishes(&'static str, Asks),
    Delete,
    /// Deletes it and creates it anew under the same name.
    Recreate,
    /// Somebody else's tool empties the status.
    Wipe,
}

impl Edit {
    fn of(text: &'static str) -> Self {
        match text {
            "delete" => Self::Delete,
            "recreate" => Self::Recreate,
            "wipe" => Self::Wipe,
            wishes => Self::Wishes(wishes, asks(wishes)),
        }
    }

    /// It would change something.
    pub(super) fn changes(&self, desired: &Desired) -> bool {
        let Self::Wishes(_, asks) = self else {
            return true;
        };
        let mut wish = desired.clone();
        for (ask, args) in asks {
            ask(&mut wish, args);
        }
        wish != *desired
    }
}

/// A small world.
#[derive(Debug)]
pub(super) struct Plan {
    pub name: &'static str,
    pub given: &'static [&'static str],
    /// Objects and what they ask for.
    pub apply: &'static [(&'static str, &'static str)],
    pub edits: Vec<Edit>,
    pub menu: &'static [Family],
    /// So many faults along a path are to be exhausted.
    pub faults: u8,
    /// They happen within so many seconds from the beginning.
    pub within: u64,
}

const PEOPLE: &[&str] = &[
    "suspend true",
    "suspend false",
    "no state",
    "Closed",
    "onTimeout Wait",
    "onTimeout Force",
    "mode Immediate",
    "mode Graceful",
    "delete",
    "recreate",
    "wipe",
];

/// A world that a scenario fills.
pub(super) static NOTHING: Plan = Plan {
    name: "",
    given: &[],
    apply: &[],
    edits: Vec::new(),
    menu: &[],
    faults: 0,
    within: 0,
};

/// A world in which anything may go wrong once.
fn plan(
    name: &'static str,
    given: &'static [&'static str],
    apply: &'static [(&'static str, &'static str)],
    edits: &[&'static str],
) -> Plan {
    Plan {
        name,
        given,
        apply,
        edits: edits.iter().copied().map(Edit::of).collect(),
        menu: &[Answers, Process, Watch, Outside, Jobs, People],
        faults: 1,
        within: 10_000,
    }
}

impl Plan {
    /// Only these kinds of faults, so many of them, within so many seconds.
    fn only(self, menu: &'static [Family], faults: u8, within: u64) -> Self {
        Self {
            menu,
            faults,
            within,
            ..self
        }
    }
}

const HANGS: &[&str] = &["job a is opened", "job a hangs when it is closed"];
const IGNORES: &[&str] = &["job a is opened", "job a ignores every close"];
const CLOSES: &[&str] = &["job a is opened", "job a closes within 2s"];
const FED: &[&str] = &[
    "job a is opened",
    "job a closes within 2s",
    "job a has a datafeed that runs",
];
const ONE: &[(&str, &str)] = &[("x", "Closed, jobId a, timeout 20s")];

const QUICK: &[(&str, &str)] = &[("x", "Closed, jobId a, timeout 2s")];
const BOTH: &[(&str, &str)] = &[
    ("x", "Closed, jobId a, timeout 20s"),
    ("y", "Closed, jobId a, timeout 20s"),
];
const TWO: &[&str] = &[
    "job a is opened",
    "job a closes within 2s",
    "job b is opened",
    "job b hangs when it is closed",
];
const OPENED: &[(&str, &str)] = &[("x", "Opened, jobId a, timeout 20s, open.timeout 20s")];
const FLIP: &[&str] = &["Closed", "Opened", "suspend true", "recreate", "wipe"];

/// All of them.
pub(super) static PLANS: LazyLock<Vec<Plan>> = LazyLock::new(|| {
    // The smallest first: what they leave over is for the others.
    let mut all = few_faults_more_of_them();
    all.extend(closing());
    all.extend(special());
    all
});

/// One job that is wanted closed.
fn closing() -> Vec<Plan> {
    const WAITS: &[(&str, &str)] = &[("x", "Closed, jobId a, timeout 20s, onTimeout Wait")];
    const STALLS: &[(&str, &str)] = &[(
        "x",
        "Closed, jobId a, timeout 20s, onTimeout Stall, onFailed Stall",
    )];
    const IMMEDIATE: &[(&str, &str)] = &[("x", "Closed, jobId a, timeout 20s, mode Immediate")];
    const HELD: &[(&str, &str)] = &[("x", "Closed, jobId a, timeout 20s, deletionPolicy Close")];
    const OLD: &[&str] = &[
        "elasticsearch is older than 7.14",
        "job a is opened",
        "job a closes within 2s",
        "job a has a datafeed that runs",
    ];
    vec![
        plan("closes", CLOSES, ONE, PEOPLE),
        plan("hangs-force", HANGS, ONE, PEOPLE),
        plan("hangs-wait", HANGS, WAITS, PEOPLE),
        plan("hangs-stall", HANGS, STALLS, PEOPLE),
        plan("failed", &["job a is failed"], ONE, PEOPLE),
        plan("immediate", HANGS, IMMEDIATE, PEOPLE),
        plan("deletion-close", HANGS, HELD, PEOPLE),
        plan("datafeed", FED, ONE, PEOPLE),
        plan("datafeed-old", OLD, ONE, PEOPLE),
    ]
}

/// Several jobs or objects, and jobs that are wanted opened.
fn special() -> Vec<Plan> {
    const CLOSED_FEED: &[&str] = &["job a is closed", "job a has a datafeed that is stopped"];
    const START: &[(&str, &str)] = &[(
        "x",
        "Opened, jobId a, timeout 20s, open.timeout 20s, datafeed Start",
    )];
    const TOGETHER: &[(&str, &str)] = &[("x", "Closed, jobId a,b, timeout 20s")];
    const APART: &[(&str, &str)] = &[
        ("x", "Closed, jobId a, timeout 20s"),
        ("y", "Closed, jobId b, timeout 20s"),
    ];
    const OTHER: &[&str] = &["jobId a", "jobId b", "suspend true", "recreate"];
    vec![
        plan("two-objects-one-job", HANGS, BOTH, PEOPLE),
        plan("one-object-two-jobs", TWO, TOGETHER, PEOPLE),
        plan("two-objects-two-jobs", TWO, APART, PEOPLE),
        plan("another-job", TWO, ONE, OTHER),
        plan("opened", &["job a is closed"], OPENED, FLIP),
        plan("opened-datafeed", CLOSED_FEED, START, FLIP),
        plan("flips", HANGS, ONE, FLIP),
        plan("flips-datafeed", FED, ONE, FLIP),
    ]
}

/// Few kinds of faults, and two or three of them along a path, while a close is under way.
fn few_faults_more_of_them() -> Vec<Plan> {
    const HELD: &[(&str, &str)] = &[("x", "Closed, jobId a, timeout 2s, deletionPolicy Close")];
    const EDITS: &[&str] = &["onTimeout Wait", "onTimeout Force"];
    vec![
        plan("stale", IGNORES, QUICK, &["suspend true"]).only(&[Watch, People], 2, 12),
        plan("edits", CLOSES, QUICK, EDITS).only(&[People], 2, 12),
        plan("crashes", HANGS, QUICK, &[]).only(&[Process], 2, 12),
        plan("dies-and-edits", HANGS, QUICK, &["suspend true", "wipe"]).only(
            &[Process, People],
            2,
            8,
        ),
        plan("reopened", HANGS, QUICK, &[]).only(&[Jobs, Watch], 2, 8),
        plan("held", HANGS, HELD, &["delete"]).only(&[Process, People], 2, 8),
    ]
}

/// The one of this name.
pub(super) fn named(name: &str) -> Option<&'static Plan> {
    PLANS.iter().find(|plan| plan.name == name)
}
