//! What the ghost knows, for the model: as text, from which it tells whether two situations are one, and who may act.
//!
//! It judges nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::Ghost;
use super::policy::{closes, opens};
use crate::api::JobId;
use crate::reconciler::input::*;
use crate::reconciler::tests::meant::means;
use crate::reconciler::tests::world::World;

impl Ghost {
    /// The first read has this number.
    pub(in super::super) fn beginning_at(order: u64) -> Self {
        Self {
            order,
            ..Self::default()
        }
    }

    /// What it knows, so far as it will be asked for; what was told as it is stored is not told twice.
    pub(in super::super) fn describe(
        &self,
        stored: &BTreeMap<ObjectKey, Delivered>,
        text: &mut String,
    ) -> std::fmt::Result {
        for (key, told) in &self.told {
            let version = told.object.as_ref().map(|object| &object.resource_version);
            let same = version == stored.get(key).map(|object| &object.resource_version);
            write!(text, "{}{}{:?}", told.version, told.since, version)?;
            if !same {
                write!(text, "{:?}", told.object)?;
            }
        }
        write!(
            text,
            "{:?}{:?}{:?}{:?}{:?}{:?}forced: {:?}{:?}{:?}{:?}{:?}{}{}{}{}",
            self.sessions,
            self.samples,
            self.in_flight,
            self.seen,
            self.feeds,
            self.all_seen(),
            self.forced,
            self.touched,
            self.rivals,
            self.taken_over,
            self.or_before,
            self.is_dark,
            self.noticed,
            self.mixed,
            self.cut_off
        )
    }

    /// What was seen for objects that are no more, and of which no old news can come, is not asked for again.
    pub(in super::super) fn forget_the_gone(
        &mut self,
        world: &World,
        old_news: &[(u64, Delivered)],
    ) {
        let told = self.told.values().filter_map(|told| told.object.as_ref());
        let old = old_news.iter().map(|(_, object)| object);
        let stored = world.stored.values().chain(old);
        let all = stored.chain(told);
        let known: BTreeSet<Uid> = all.map(|object| object.uid.clone()).collect();
        self.seen_in.retain(|(uid, ..)| known.contains(uid));
    }

    /// The object as the brain was told of it last.
    pub(in super::super) fn as_told(&self, key: &ObjectKey) -> Option<&Delivered> {
        self.told.get(key)?.object.as_ref()
    }

    /// The object means the job, by what was listed last.
    pub(in super::super) fn means(&self, object: &Delivered, id: &JobId) -> bool {
        means(&object.desired, &self.listed, id)
    }

    /// The objects that want something of a job, as the brain was told of them, the oldest first.
    pub(in super::super) fn willing(&self, id: &JobId) -> Vec<ObjectKey> {
        let told = self.told.values().filter_map(|told| told.object.as_ref());
        let mut willing: Vec<&Delivered> = told
            .filter(|object| {
                self.means(object, id) && (closes(&object.desired) || opens(&object.desired))
            })
            .collect();
        willing.sort_by_key(|object| (object.created_at, object.key.clone()));
        willing
            .into_iter()
            .map(|object| object.key.clone())
            .collect()
    }
}
