//! [`NewestSeries`]: the series that were created last. When the table is full, and none has been
//! idle for long, a new series of the largest group makes room for a new name.

use std::collections::VecDeque;

use super::membership::{Group, Membership};
use super::shard::{SeriesPlace, TakenSeries};
use super::shards::{Cursor, Shards};

/// The newest series of a table, and where a search for more of them goes on.
#[derive(Debug, Default)]
pub(super) struct NewestSeries {
    /// The newest at the end. A series of it may be removed already.
    places: VecDeque<SeriesPlace>,
    /// Each sweep begins the search again. So all searches between two sweeps walk over the table
    /// once.
    search: Cursor,
}

/// The most series whose order of creation is known. They take 48 KiB.
pub(super) const NEWEST_MAX: usize = 4096;
/// The newest series that are checked for one that makes room, so that a creation stays short. One
/// series with a name of 8 KiB makes room for about 80 with short names, which then are the newest.
pub(super) const NEWEST_TRIES: usize = 96;
/// The newest series that are found by a search at a time, and the places that it checks, so that a
/// creation stays short: it takes some 20 microseconds.
const SEARCH_FOUND_MAX: usize = 256;
const SEARCH_MAX: usize = 8192;

impl NewestSeries {
    /// Notes the newest series of a table that is nearly full.
    pub(super) fn note(&mut self, place: SeriesPlace) {
        if self.places.len() == NEWEST_MAX {
            self.places.pop_front();
        }
        self.places.push_back(place);
    }

    /// Ends a sweep. The next search begins at the first series of the table.
    pub(super) fn end_sweep(&mut self) {
        self.search = Cursor::default();
    }

    /// Returns the newest series, the newest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = SeriesPlace> {
        self.places.iter().rev().copied()
    }

    /// Where the next search goes on.
    pub(super) fn search(&self) -> Cursor {
        self.search
    }

    /// Takes out a series of the largest group that is not established, the newest if that is
    /// noted. `newcomer` takes its place. `tick` is the number of the open interval.
    #[cold]
    pub(super) fn take_for(
        &mut self,
        newcomer: &Membership,
        shards: &mut Shards,
        tick: u32,
    ) -> Option<TakenSeries> {
        if shards.raw.is_some() {
            return None;
        }
        let take = if shards.groups.gives_up_newest_for(newcomer) {
            Self::take_newest
        } else if shards.groups.is_sender_of(newcomer) {
            Self::take_single
        } else {
            return None;
        };
        take(self, shards, tick).or_else(|| {
            let mut search = self.search;
            for place in find_new(shards, &mut search, shards.groups.largest_group()) {
                self.note(place);
            }
            self.search = search;
            take(self, shards, tick)
        })
    }

    /// Takes out the newest series of the largest group that is not established.
    fn take_newest(&mut self, shards: &mut Shards, tick: u32) -> Option<TakenSeries> {
        for _ in 0..NEWEST_TRIES {
            let place = self.places.pop_back()?;
            if can_be_evicted(shards, place, tick, shards.groups.largest_group()) {
                return shards.take(place);
            }
            if shards.get(place).is_some() {
                // Its group may be the largest group later.
                self.places.push_front(place);
            }
        }
        None
    }

    /// Takes out a series that the largest group has sent once, in the open interval. Of the newest
    /// series the oldest is taken. So a name that is sent again soon stays, however many others
    /// come.
    fn take_single(&mut self, shards: &mut Shards, tick: u32) -> Option<TakenSeries> {
        for _ in 0..NEWEST_TRIES {
            let place = self.places.pop_front()?;
            let Some(series) = shards.get(place) else { continue };
            let is_single = series.is_in_first_interval() && series.samples() <= 1;
            if is_single && can_be_evicted(shards, place, tick, shards.groups.largest_group()) {
                return shards.take(place);
            }
            self.note(place);
        }
        None
    }
}

/// Finds series of the largest group that are not established, from `search` on, which moves on.
pub(super) fn find_new(
    shards: &Shards,
    search: &mut Cursor,
    largest: Option<Group>,
) -> Vec<SeriesPlace> {
    let mut found = Vec::new();
    for _ in 0..SEARCH_MAX {
        let Some(shard) = shards.all.get(search.shard) else { break };
        let at = search.at;
        if at == shard.end() {
            *search = Cursor { shard: search.shard + 1, at: 0 };
            continue;
        }
        search.at += 1;
        if shard.at(at).is_some_and(|series| !series.is_established())
            && shard.membership(at).is_in(largest)
            && let Some(place) = shard.place(search.shard, at)
        {
            found.push(place);
            if found.len() == SEARCH_FOUND_MAX {
                break;
            }
        }
    }
    found
}

/// Whether a series of the largest group can be evicted because it is new.
pub(super) fn can_be_evicted(
    shards: &Shards,
    place: SeriesPlace,
    tick: u32,
    largest: Option<Group>,
) -> bool {
    let Some(series) = shards.get(place) else { return false };
    // An interval before the open one must have been sent, or the loss could not be counted.
    let has_one_interval = series.had_one_interval(series.seen() == tick);
    has_one_interval && series.is_closed(tick) && shards.membership_at(place).is_in(largest)
}
