//! [`NewestSeries`]: the series that were created last. When the table is full, and none has been
//! idle for long, a new series of the flood makes room for a new name.

use std::collections::VecDeque;

use super::membership::{Flood, Membership};
use super::series::Series;
use super::series_groups::RoomClaim;
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
    pub(super) fn cursor(&self) -> Cursor {
        self.search
    }

    /// Takes out a series of the flood that may be given up, the newest if that is noted.
    /// `newcomer` takes its place. `tick` is the number of the open interval.
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
        let RoomClaim { flood, is_of_flood, giver, .. } = shards.groups.claim(newcomer);
        if let Some(giver) = giver {
            let giver = Flood::of(giver);
            return self
                .take_newest(flood, shards, tick)
                .or_else(|| {
                    self.search(giver, shards);
                    self.take_newest(flood, shards, tick)
                })
                // Its groups may have less in common than it seemed.
                .or_else(|| self.take_newest(giver, shards, tick));
        }
        // If the sender makes up prefixes, nothing else distinguishes the new series from others.
        if !is_of_flood || !flood.is_of_sender() {
            return None;
        }
        self.take_single(flood, shards, tick).or_else(|| {
            self.search(flood, shards);
            self.take_single(flood, shards, tick)
        })
    }

    /// Finds more series of these groups that may be given up, and notes them.
    fn search(&mut self, of: Flood, shards: &Shards) {
        let mut search = self.search;
        for place in find_spare(shards, &mut search, of) {
            self.note(place);
        }
        self.search = search;
    }

    /// Takes out the newest series of these groups that may be given up.
    fn take_newest(&mut self, of: Flood, shards: &mut Shards, tick: u32) -> Option<TakenSeries> {
        for _ in 0..NEWEST_TRIES {
            let place = self.places.pop_back()?;
            if can_be_evicted(shards, place, tick, of) {
                return shards.take(place);
            }
            if shards.get(place).is_some() {
                // It may be one of the flood later.
                self.places.push_front(place);
            }
        }
        None
    }

    /// Takes out a series that the flood has sent once, in the open interval. Of the newest series
    /// the oldest is taken. So a name that is sent again soon stays, however many others come.
    fn take_single(&mut self, of: Flood, shards: &mut Shards, tick: u32) -> Option<TakenSeries> {
        for _ in 0..NEWEST_TRIES {
            let place = self.places.pop_front()?;
            let Some(series) = shards.get(place) else { continue };
            let is_single = series.seen() == tick && series.samples() <= 1;
            if is_single && can_be_evicted(shards, place, tick, of) {
                return shards.take(place);
            }
            self.note(place);
        }
        None
    }
}

/// Finds series of these groups that may be given up, from `search` on, which moves on.
pub(super) fn find_spare(shards: &Shards, search: &mut Cursor, of: Flood) -> Vec<SeriesPlace> {
    let mut found = Vec::new();
    for _ in 0..SEARCH_MAX {
        let Some(shard) = shards.all.get(search.shard) else { break };
        let at = search.at;
        if at == shard.end() {
            *search = Cursor { shard: search.shard + 1, at: 0 };
            continue;
        }
        search.at += 1;
        if shard.at(at).is_some_and(Series::is_spare)
            && of.has(shard.membership(at))
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

/// Whether a series of these groups can be evicted.
pub(super) fn can_be_evicted(shards: &Shards, place: SeriesPlace, tick: u32, of: Flood) -> bool {
    let Some(series) = shards.get(place) else { return false };
    // An interval before the open one must have been sent, or the loss could not be counted.
    series.is_spare() && series.is_closed(tick) && of.has(shards.membership_at(place))
}
