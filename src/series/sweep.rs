//! Closes the interval before the tick for the series of the table, one after the other.

use super::closed::Closed;
use super::eviction::{Holder, Largest, LongIdle, Rest};
use super::memory::Pool;
use super::raw::Audience;
use super::shard::{PREFETCH, SHARDS};
use super::shards::{Cursor, Shards};
use super::top::Top;
use super::update::update_policy;
use crate::policy::Generations;

/// What a sweep needs of a table.
pub(super) struct SeriesSweep<'a> {
    pub(super) shards: &'a mut Shards,
    pub(super) pool: &'a mut Pool,
    pub(super) policies: &'a mut Generations,
    pub(super) largest: &'a mut Largest,
    pub(super) top: &'a mut Top,
    pub(super) long_idle: &'a mut LongIdle,
    pub(super) now: u32,
    /// Whether the table has `max_series` series.
    pub(super) is_full: bool,
}

impl SeriesSweep<'_> {
    /// Closes series from `cursor` on, for as much work as `left`. Returns true once all series are
    /// closed.
    #[inline]
    pub(super) fn run(
        self,
        cursor: &mut Cursor,
        left: usize,
        close: impl FnMut(Audience, Closed<'_>),
    ) -> bool {
        // Without raw names the audience of a series is a constant, so that their meaning costs
        // nothing where they are off.
        if self.shards.raw.is_some() {
            self.walk::<true>(cursor, left, close)
        } else {
            self.walk::<false>(cursor, left, close)
        }
    }

    /// Does the same. With raw names, `RAW` must be true.
    fn walk<const RAW: bool>(
        self,
        cursor: &mut Cursor,
        mut left: usize,
        mut close: impl FnMut(Audience, Closed<'_>),
    ) -> bool {
        let Self { shards, pool, policies, largest, top, long_idle, now, is_full } = self;
        while cursor.shard < SHARDS {
            let mut shard = &mut shards.all[cursor.shard];
            while cursor.at < shard.end() {
                if left == 0 {
                    return false;
                }
                if cursor.at.is_multiple_of(PREFETCH) {
                    shard.prefetch_names(cursor.at);
                }
                if let Some((slot, series, total)) = shard.at_mut(cursor.at) {
                    left = left.saturating_sub(series.work());
                    let rest = Rest::of(series, now);
                    let is_kept =
                        update_policy(policies, (&shards.names, &mut shards.tags), series, pool);
                    if !is_kept || series.is_expired(now, policies) {
                        if let Some(series) = shards.take(cursor.shard, slot) {
                            series.release(pool, &mut shards.tags);
                            shards.counts.expired += 1;
                        }
                        shard = &mut shards.all[cursor.shard];
                    } else {
                        let raw = shards.raw.as_ref().filter(|_| RAW);
                        let tags = &mut shards.tags;
                        let audience = Audience::of(raw, series, tags, now);
                        let mut close =
                            |closed: Closed<'_>| close(audience, audience.named(closed));
                        let memory = (&mut *pool, &mut *tags);
                        series.close(now, policies, memory, total, &mut close);
                        largest.note(pool.take_grown(), Holder::new(cursor.shard, slot));
                        // A series that came after the tick keeps its count: if it makes room for
                        // another one, its samples must be counted as lost.
                        if rest.was_open {
                            top.take_samples(series, &shards.names, tags);
                        }
                        let owner = shard.owner_mut(cursor.at);
                        let at = (cursor.shard, slot);
                        long_idle.see(rest, at, owner, is_full, &shards.budget);
                    }
                }
                cursor.at += 1;
            }
            *cursor = Cursor { shard: cursor.shard + 1, at: 0 };
        }
        true
    }
}
