//! Reads that may need more than one request.
//!
//! By id: in as many requests as the line makes necessary, with shorter lines where they are refused, again without ids
//! that turn out to be unknown, and by halves where one keeps the others from being told. Of everything: in parts, where one
//! answer cannot hold it. How many requests it took is told. Nothing is changed here, so asking again does no harm.

use std::collections::VecDeque;
use std::fmt::Display;

use serde::Deserialize;

use super::answers::View;
use super::client::{Client, shape};
use super::error::Error;
use super::ids::Ids;
use super::parts::{self, Part, Parts, Prefixes};
use super::request::{self, Call};
use super::wire_lists::{CUT_AT, Entry, List, Name as _};
use crate::api::JobPattern;

/// How often a read by id is asked again without ids that are unknown. Elasticsearch names all of them at
/// once, so more than a second time happens only where jobs are deleted meanwhile.
const MAX_ROUNDS: usize = 4;
/// So many refusals for an index that is closed are followed by halves, or one for so many ids where those are more: enough to
/// find each of thirty-two, or thirty of ten thousand; and where the index that most of them share is closed, no flood.
const CLOSED_AT_MOST: usize = 40;
const IDS_FOR_EACH: usize = 16;

/// An answer, and its last id where its entries are sorted.
type Page<T> = (
    View<<T as Entry>::Id, <T as Entry>::Item>,
    Option<<T as Entry>::Id>,
);

/// The members of a group fill the answer, and who is behind them is not told; or one keeps the others from being told. That
/// one is found by halves, and where there are very many such ones that is given up.
fn keeps_others_untold<I: Ord, T>(
    page: &Result<(View<I, T>, Option<I>), Error>,
    goes_on: bool,
) -> bool {
    match page {
        Ok((found, _)) => found.cut,
        Err(error) => *error == Error::IndexClosed && goes_on,
    }
}

impl Client {
    async fn page<T>(&self, call: &Call, asked: Option<&[T::Id]>) -> Result<Page<T>, Error>
    where
        T: Entry + for<'de> Deserialize<'de>,
    {
        let answer = self.send(call, self.limits.call).await?;
        let list: List<T> = shape(&answer)?;
        let status = answer.status;
        // Before as much is made of it again.
        drop(answer);
        let end = list.last();
        let unusable = |what| Error::UnexpectedAnswer { status, what };
        let view = list.view(asked).map_err(unusable)?;
        Ok((view, end))
    }

    /// All, or the first 10 000, in one request.
    pub(super) async fn all<T>(&self, call: &Call) -> Result<View<T::Id, T::Item>, Error>
    where
        T: Entry + for<'de> Deserialize<'de>,
    {
        Ok(self.page::<T>(call, None).await?.0)
    }

    /// All that these wildcards mean; it is cut where one of the answers is.
    pub(super) async fn by_wildcard<T>(
        &self,
        wildcards: &[JobPattern],
        call: impl Fn(&[JobPattern]) -> Call,
    ) -> Result<View<T::Id, T::Item>, Error>
    where
        T: Entry + for<'de> Deserialize<'de>,
    {
        let mut view = View::default();
        let mut left = wildcards;
        while !left.is_empty() {
            let longest = self.line.longest();
            let room = request::room(&self.base, longest, &call(&[]), 0).saturating_sub(1);
            let lengths = left.iter().map(|wildcard| wildcard.as_str().len());
            let (asked, rest) = left.split_at(parts::fit(lengths, room));
            match self.page::<T>(&call(asked), None).await {
                Ok((found, _)) => {
                    view.absorb(found);
                    left = rest;
                }
                Err(Error::LineTooLong) if self.line.longest() < longest => view.requests += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(view)
    }

    /// These.
    pub(super) async fn by_id<T>(
        &self,
        ids: &Ids<T::Id>,
        call: impl Fn(&Ids<T::Id>) -> Call,
    ) -> Result<View<T::Id, T::Item>, Error>
    where
        T: Entry + for<'de> Deserialize<'de>,
    {
        let split = |ids: &Ids<T::Id>| request::split(ids, &self.base, self.line.longest(), &call);
        let mut view = View::default();
        let mut left = VecDeque::from([(ids.clone(), 1)]);
        let mut closed = 0;
        while let Some((asked, round)) = left.pop_front() {
            // Each time, because it may have been learned meanwhile that lines have to be shorter.
            let mut parts = split(&asked).into_iter();
            let Some(asked) = parts.next() else { continue };
            for part in parts.rev() {
                left.push_front((part, round));
            }
            let page = self.page::<T>(&call(&asked), Some(asked.as_slice())).await;
            closed += usize::from(matches!(page, Err(Error::IndexClosed)));
            let goes_on = closed <= CLOSED_AT_MOST.max(ids.as_slice().len() / IDS_FOR_EACH);
            if asked.as_slice().len() > 1 && keeps_others_untold(&page, goes_on) {
                view.requests += 1;
                left.extend(asked.halves().into_iter().map(|half| (half, round)));
                continue;
            }
            let error = match page {
                Ok((mut found, _)) => {
                    // Alone it is such a group, and a group's name is no job's.
                    found.cut = false;
                    view.absorb(found);
                    continue;
                }
                Err(error) => error,
            };
            view.requests += 1;
            if let Some(gone) = T::Id::unknown(&error).filter(|_| round < MAX_ROUNDS) {
                view.missing.extend_from_slice(gone);
                left.extend(asked.without(gone).map(|asked| (asked, round + 1)));
                continue;
            }
            if error == Error::IndexClosed {
                match asked.as_slice() {
                    [id] => view.unreadable.push(id.clone()),
                    ids => view.undecided.extend_from_slice(ids),
                }
                continue;
            }
            if error != Error::LineTooLong || split(&asked).len() < 2 {
                return Err(error);
            }
            left.push_front((asked, round));
        }
        view.missing.sort();
        view.unreadable.sort();
        Ok(view)
    }

    /// All, in parts where they are more than one answer holds. It is cut where the parts are too many.
    pub(super) async fn whole<T>(
        &self,
        all: &Call,
        below: impl Fn(&Prefixes) -> Call,
        exact: impl Fn(&Ids<T::Id>) -> Call,
    ) -> Result<View<T::Id, T::Item>, Error>
    where
        T: Entry + for<'de> Deserialize<'de>,
    {
        let (mut view, last) = self.page::<T>(all, None).await?;
        if !view.cut {
            return Ok(view);
        }
        let mut parts = Parts::behind(last.map(|last| last.to_string()).as_deref(), CUT_AT);
        while view.requests < self.limits.list_requests {
            let longest = self.line.longest();
            let room = request::room(&self.base, longest, all, 0).saturating_sub(1);
            let Some(part) = parts.next(room) else {
                view.cut = false;
                view.unreadable.sort();
                view.unreadable.dedup();
                return Ok(view);
            };
            let call = match &part {
                Part::Below(prefixes) => below(prefixes),
                Part::Exact(text) => match T::Id::of(text) {
                    Some(id) => exact(&Ids::one(id)),
                    None => continue,
                },
            };
            match self.page::<T>(&call, None).await {
                Ok((found, last)) => {
                    if found.cut {
                        let own = own(&part, &found);
                        let last = last.map(|last| last.to_string());
                        parts.was_cut(part, last.as_deref(), own);
                    }
                    view.absorb(found);
                }
                Err(Error::LineTooLong) if self.line.longest() < longest => {
                    view.requests += 1;
                    parts.put_back(part);
                }
                Err(error) if T::Id::unknown(&error).is_some() => view.requests += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(view)
    }
}

/// How many of these were asked for by their own id, and not by a group.
fn own<Id: Ord + Display, Item>(part: &Part, found: &View<Id, Item>) -> usize {
    let Part::Below(prefixes) = part else {
        return 0;
    };
    let covered = |id: &&Id| prefixes.cover(&id.to_string());
    found.found.keys().filter(covered).count()
}
