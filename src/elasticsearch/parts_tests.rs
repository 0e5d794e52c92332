//! Lists that are longer than an answer, read in parts from a list in memory that answers as Elasticsearch does.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Jobs by id, each with the groups that it is in.
struct List {
    jobs: BTreeMap<String, Vec<&'static str>>,
    /// The longest answer.
    most: usize,
    /// Answers are sorted by id, as they should be.
    sorted: bool,
}

struct Read {
    found: BTreeSet<String>,
    requests: usize,
}

impl List {
    fn new(most: usize) -> Self {
        Self {
            jobs: BTreeMap::new(),
            most,
            sorted: true,
        }
    }

    fn with(mut self, ids: impl Iterator<Item = String>, groups: &[&'static str]) -> Self {
        self.jobs.extend(ids.map(|id| (id, groups.to_vec())));
        self
    }

    fn answer(&self, matches: impl Fn(&str) -> bool) -> Vec<String> {
        let meant = self
            .jobs
            .iter()
            .filter(|(id, groups)| matches(id) || groups.iter().any(|group| matches(group)));
        let mut ids: Vec<String> = meant.map(|(id, _)| id.clone()).collect();
        if !self.sorted {
            ids.reverse();
        }
        ids.truncate(self.most);
        ids
    }

    fn read(&self, room: usize) -> Read {
        let first = self.answer(|_| true);
        let mut read = Read {
            found: first.iter().cloned().collect(),
            requests: 1,
        };
        let last = |ids: &[String]| ids.last().cloned().filter(|_| self.sorted);
        let mut parts = Parts::behind(last(&first).as_deref(), self.most);
        while let Some(part) = parts.next(room) {
            read.requests += 1;
            assert!(read.requests < 5_000, "it ends");
            let ids = match &part {
                Part::Below(prefixes) => {
                    assert!(prefixes.len() <= MOST && prefixes.len() > 0);
                    assert!(prefixes.joined().len() <= room || prefixes.len() == 1);
                    self.answer(|text| prefixes.cover(text))
                }
                Part::Exact(exact) => self.answer(|text| text == exact),
            };
            if ids.len() == self.most {
                let own = match &part {
                    Part::Below(prefixes) => ids.iter().filter(|id| prefixes.cover(id)).count(),
                    Part::Exact(_) => 0,
                };
                parts.was_cut(part, last(&ids).as_deref(), own);
            }
            read.found.extend(ids);
        }
        read
    }

    fn is_whole(&self, read: &Read) -> bool {
        self.jobs.keys().all(|id| read.found.contains(id))
    }
}

fn numbered(start: &'static str, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |n| format!("{start}{n:06}"))
}

#[test]
fn what_is_behind_the_last_id_is_read_page_by_page() {
    for (count, most_requests) in [(1_200, 2), (10_000, 14)] {
        let list = List::new(1_000).with(numbered("job-", count), &[]);
        let read = list.read(3_900);
        assert!(list.is_whole(&read));
        assert!(read.requests <= most_requests, "{count}: {}", read.requests);
    }
}

#[test]
fn the_longest_ids_take_more_requests_but_not_many() {
    let ids = (0..1_500).map(|n| format!("{n:064}"));
    let list = List::new(1_000).with(ids, &[]);
    let read = list.read(3_900);
    assert!(list.is_whole(&read));
    assert!(read.requests <= 40, "{}", read.requests);
    let read = list.read(300);
    assert!(
        list.is_whole(&read) && read.requests <= 400,
        "{}",
        read.requests
    );
}

#[test]
fn the_members_of_a_group_do_not_hide_who_is_behind_them() {
    let groups: [(usize, &'static str); 4] =
        [(2_000, "kpi"), (999, "kpi"), (2_000, "z"), (3_000, "m0")];
    for (members, group) in groups {
        let list = List::new(1_000)
            .with(numbered("a", members), &[group])
            .with(numbered("b", 500), &[])
            .with(numbered("kp", 1_200), &["x"])
            .with(
                ["m", "kpj", "zz", "z0", "m-0", "m00"]
                    .iter()
                    .map(ToString::to_string),
                &[],
            );
        let read = list.read(3_900);
        assert!(list.is_whole(&read), "{members} {group}");
        assert!(read.requests < 400, "{members} {group}: {}", read.requests);
    }
}

#[test]
fn answers_that_are_not_sorted_are_read_by_prefix_alone() {
    let mut list = List::new(1_000)
        .with(numbered("job-", 2_500), &[])
        .with(numbered("b", 3), &["j"]);
    list.sorted = false;
    let read = list.read(3_900);
    assert!(
        list.is_whole(&read) && read.requests < 400,
        "{}",
        read.requests
    );
}

#[test]
fn any_set_of_ids_and_groups_is_read_whole() {
    let mut seed = 7_u64;
    let mut next = |below: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    let edges = ["a", "b", "z", "0", "9", "x"];
    let inner = ["-", ".", "_", "a", "z", "0", "--", "a.b"];
    for _ in 0..40 {
        let mut list = List::new(2 + next(20));
        for _ in 0..next(150) {
            let groups: &[&'static str] = [&["g"][..], &["a"], &["zz", "b"], &[]][next(4)];
            let text = [
                edges[next(6)],
                inner[next(8)],
                inner[next(8)],
                edges[next(6)],
            ]
            .concat();
            if !["g", "a", "zz", "b"].contains(&text.as_str()) {
                list.jobs.insert(text, groups.to_vec());
            }
        }
        assert!(list.is_whole(&list.read(50 + next(500))), "{:?}", list.jobs);
    }
}

#[test]
fn nothing_is_behind_the_last_of_all_ids() {
    let last = "z".repeat(64);
    assert_eq!(Parts::behind(Some(&last), 9).next(4_000), None);
    let one = Parts::behind(Some("zz"), 9).next(4_000).unwrap();
    let Part::Below(prefixes) = one else {
        panic!("{one:?}")
    };
    assert!(
        prefixes.cover("zz-a")
            && prefixes.cover("zza")
            && !prefixes.cover("zz")
            && !prefixes.cover("zy")
    );
}
