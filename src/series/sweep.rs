//! [`Sweep`]: closes the interval before the tick, one series after the other, and removes those
//! that have expired. It comes in steps, so that the loop receives in between.

use super::bounds::LARGE;
use super::closed::Closed;
use super::eviction::Idleness;
use super::live_series::LiveSeries;
use super::membership::Flood;
use super::raw::Audience;
use super::shard::{Placed, SHARDS, SeriesPlace};
use super::shards::Cursor;

/// A step of a sweep. Without `RAW` names the audience of a series is a constant, so that their
/// meaning costs nothing where they are off.
pub(super) struct Sweep<'a, const RAW: bool, F> {
    live: &'a mut LiveSeries,
    close: F,
    /// The work that is left to do in this step, as a number of counters.
    left: usize,
    is_full: bool,
    flood: Flood,
    /// Whether places of values of tags are given away, so that lines with a replaced value are
    /// compared with the rules again.
    gives_places: bool,
}

impl<'a, const RAW: bool, F: FnMut(Audience, Closed<'_>)> Sweep<'a, RAW, F> {
    #[inline]
    pub(super) fn new(live: &'a mut LiveSeries, work: usize, close: F) -> Self {
        let is_full = live.room().is_full();
        let flood = live.shards.groups.flood();
        let gives_places = live.rules.gives_places();
        live.note_room();
        Self { live, close, left: work, is_full, flood, gives_places }
    }

    /// Closes series from `cursor` on. Returns true once all series are closed.
    #[inline]
    pub(super) fn run(mut self, cursor: &mut Cursor) -> bool {
        self.live.pool.sort_freed_memory();
        while let Some(taken) = self.live.evicted.open.pop() {
            self.left = self.left.saturating_sub(taken.series.work());
            self.live.close_and_release(taken, &mut self.close);
            if self.left == 0 {
                return false;
            }
        }
        while cursor.shard < SHARDS {
            if !self.close_shard(cursor) {
                return false;
            }
            self.left = self.left.saturating_sub(self.live.shards.compact(cursor.shard));
            *cursor = Cursor { shard: cursor.shard + 1, at: 0 };
        }
        true
    }

    /// Closes the series of the shard at `cursor`, and removes those that have expired, until no
    /// work is left. Returns true once all series of the shard are closed.
    #[inline(always)]
    fn close_shard(&mut self, cursor: &mut Cursor) -> bool {
        // Not looked up again for each series, which would take several instructions.
        let mut shard = &mut self.live.shards.all[cursor.shard];
        while cursor.at < shard.end() {
            if self.left == 0 {
                return false;
            }
            let at = cursor.at;
            cursor.at += 1;
            let Some(Placed { slot, series, name, original }) = shard.at_mut(at) else { continue };
            let place = SeriesPlace::new(cursor.shard, slot);
            if self.gives_places && series.is_limited() {
                cursor.at = at;
                if !self.forget_limited(place) {
                    return false;
                }
                shard = &mut self.live.shards.all[cursor.shard];
                continue;
            }
            self.left = self.left.saturating_sub(series.work());
            let idleness = Idleness::of(series, self.live.tick);
            let tags = &mut self.live.shards.tags;
            let original = || original.name();
            let is_kept = self.live.rules.update(series, name, original, tags, &mut self.live.pool);
            let policy = self.live.rules.policies.at(series.policy());
            if !is_kept || policy.is_expired(series.kind(), idleness.idle) {
                if !self.expire(place) {
                    cursor.at = at;
                    return false;
                }
                shard = &mut self.live.shards.all[cursor.shard];
                continue;
            }
            // A series that came after the tick is closed already. It keeps the count of its
            // samples: if it makes room for another one, they must be counted as lost.
            if idleness.closes_interval {
                let raw = self.live.shards.raw.as_ref().filter(|_| RAW);
                let text = name.text(tags);
                let audience = Audience::of(raw, series.kind(), text, self.live.tick);
                let mut close = |closed: Closed<'_>| (self.close)(audience, audience.named(closed));
                let has_begun = series.has_begun_next();
                series.close_open(self.live.tick, policy, text, &mut self.live.pool, &mut close);
                let grown = self.live.pool.take_grown();
                // Without this, the place of each series would be written to memory.
                if grown >= LARGE {
                    self.live.largest.note(grown, place);
                }
                if !has_begun {
                    self.live.top.take_samples(series, name, &self.live.shards.names, tags);
                }
            }
            let is_long = self.live.long_idle.is_long(idleness);
            let has_changed = series.note_sweep(idleness.closes_interval, is_long);
            if has_changed || idleness.idle > 0 && (self.is_full || is_long) {
                self.note_idle(place, idleness, has_changed);
                shard = &mut self.live.shards.all[cursor.shard];
            }
        }
        true
    }

    /// Removes the aliases of a series that lines with a replaced value led to. It is then one
    /// without such lines, and is closed in the same step. Returns false if work is left for a
    /// later step.
    #[inline(never)]
    fn forget_limited(&mut self, place: SeriesPlace) -> bool {
        let shard = place.shard();
        let at = place.slot().at;
        let aliases = &mut self.live.shards.aliases;
        let removed = aliases.remove_some(shard, at, self.left);
        if aliases.count(shard, at) > 0 {
            return false;
        }
        self.left = (self.left - removed).max(1);
        if let Some(series) = self.live.shards.get_mut(place) {
            series.set_limited(false);
        }
        true
    }

    /// Removes a series. Returns false if work is left for a later step.
    #[inline(never)]
    fn expire(&mut self, place: SeriesPlace) -> bool {
        if !self.live.shards.remove_aliases(place, &mut self.left) {
            return false;
        }
        if let Some(taken) = self.live.shards.take(place) {
            self.live.release(taken);
            self.live.shards.counts.expired += 1;
        }
        true
    }

    /// Notes a series that may be evicted, or whose group may count it from now on.
    #[inline(never)]
    fn note_idle(&mut self, place: SeriesPlace, idleness: Idleness, has_changed: bool) {
        let LiveSeries { shards, long_idle, .. } = &mut *self.live;
        let Some(series) = shards.get(place) else { return };
        let membership = shards.membership_at(place);
        let is_of_flood = self.flood.has(membership);
        let dormant = series.can_be_dormant().then_some((membership, &shards.groups));
        long_idle.note(idleness, series.is_new(), is_of_flood, dormant, place);
        if has_changed {
            shards.count_spare(place);
        }
        // A line may evict it from now on, and has no time for many aliases.
        if long_idle.is_long(idleness) {
            shards.remove_aliases(place, &mut self.left);
        }
    }
}
