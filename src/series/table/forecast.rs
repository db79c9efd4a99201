//! [`Forecast`]: the series that new ones would replace in a full table, without a change of it.
//!
//! It repeats the steps of [`Shards::make_room`](super::super::shards::Shards::make_room). Each
//! creation and eviction changes the counts of the groups, which decide the next eviction.

use std::collections::VecDeque;

use super::super::budget::GroupChanges;
use super::super::eviction::IdleSeries;
use super::super::live_series::LiveSeries;
use super::super::owner::Owner;
use super::super::shard::SeriesSlot;
use super::super::shards::NEWEST_TRIES;

/// The position of a series.
type SeriesPlace = (usize, SeriesSlot);

/// What the creations of a line have changed so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Forecast {
    groups: GroupChanges,
    created: usize,
    /// The series that were evicted.
    evicted: Vec<SeriesPlace>,
    /// The series that have a sample of the line. They are not idle any more.
    touched: Vec<SeriesPlace>,
    /// How many of the idle series, and of the newest ones, that the table has noted were tried.
    idle: usize,
    newest: usize,
    /// The series of the line at the end of the newest ones.
    own: usize,
    /// The newest series that were put back. `None` is a series of the line.
    put_back: VecDeque<Option<SeriesPlace>>,
}

impl Forecast {
    /// Whether the line has evicted this series.
    pub(super) fn has_evicted(&self, place: SeriesPlace) -> bool {
        self.evicted.contains(&place)
    }

    /// Notes that a series gets a sample.
    pub(super) fn touch(&mut self, place: SeriesPlace) {
        self.touched.push(place);
    }

    /// Makes creations of the line, up to `created` of them in all.
    pub(super) fn create(&mut self, live: &LiveSeries, newcomer: &Owner, created: usize, tries: usize) {
        while self.created < created && self.create_one(live, newcomer, tries) {}
    }

    /// Returns how many more series the line can create, at most `most`.
    pub(super) fn room(&self, live: &LiveSeries, newcomer: &Owner, most: usize, tries: usize) -> usize {
        let mut forecast = self.clone();
        (0..most).take_while(|_| forecast.create_one(live, newcomer, tries)).count()
    }

    /// Creates a series. Returns `false` if there is no room for it.
    fn create_one(&mut self, live: &LiveSeries, newcomer: &Owner, tries: usize) -> bool {
        if live.shards.len() + self.created - self.evicted.len() >= live.max_series {
            let taken = self
                .take_idle(live, newcomer, tries)
                .or_else(|| self.take_newest(live, newcomer));
            let Some((shard, slot)) = taken else { return false };
            let owner = live.shards.all[shard].owner(slot.at as usize);
            self.groups.remove(owner);
            self.evicted.push((shard, slot));
        }
        self.groups.add(&live.shards.budget, newcomer);
        self.created += 1;
        self.own += 1;
        true
    }

    /// Takes the series that has been idle for longest. At most `tries` are checked.
    fn take_idle(&mut self, live: &LiveSeries, newcomer: &Owner, tries: usize) -> Option<SeriesPlace> {
        let shards = &live.shards;
        for _ in 0..tries {
            let idle: &IdleSeries = live.long_idle.ready().get(self.idle)?;
            if !idle.may_go_for(newcomer, self.groups.culprit(&shards.budget)) {
                return None;
            }
            self.idle += 1;
            let place = (usize::from(idle.shard), idle.slot);
            let series = shards.get(place.0, place.1);
            let is_still_idle = series.is_some_and(|series| series.seen() == idle.seen);
            if is_still_idle && self.is_as_before(place) {
                let twin = shards.clean_twin(place.0, place.1);
                if twin.is_none_or(|twin| self.has_evicted(twin)) {
                    return Some(place);
                }
            }
        }
        None
    }

    /// Takes the newest series of the culprit that is not known yet.
    fn take_newest(&mut self, live: &LiveSeries, newcomer: &Owner) -> Option<SeriesPlace> {
        let shards = &live.shards;
        if shards.raw.is_some() || self.groups.gives_newest_to(&shards.budget, newcomer) == 0 {
            return None;
        }
        for _ in 0..NEWEST_TRIES {
            let next = if self.own > 0 {
                self.own -= 1;
                None
            } else if let Some(place) = shards.budget.newest().nth(self.newest) {
                self.newest += 1;
                Some(place)
            } else {
                self.put_back.pop_front()?
            };
            let Some((shard, slot)) = next else {
                self.put_back.push_back(None);
                continue;
            };
            if shards.get(shard, slot).is_none() || self.has_evicted((shard, slot)) {
                continue;
            }
            let culprit = self.groups.culprit(&shards.budget);
            if self.is_as_before((shard, slot)) && shards.may_go(shard, slot, live.tick, culprit) {
                return Some((shard, slot));
            }
            self.put_back.push_back(Some((shard, slot)));
        }
        None
    }

    /// Whether the line has changed nothing of a series.
    fn is_as_before(&self, place: SeriesPlace) -> bool {
        !self.touched.contains(&place) && !self.has_evicted(place)
    }
}
