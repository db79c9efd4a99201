//! [`Largest`]: the series that hold most memory in the open interval, found without reading any
//! other series. They are condensed when the memory of samples is used up.
//!
//! A series is noted when a large buffer of it grows, or is carried over from the interval before.
//! A buffer grows once for each doubling, so this costs almost nothing for a sample.
//!
//! The notes are in classes, one for each power of two of the size. The last note in the highest
//! class counts as the largest series, which is right up to a factor of two. A heap would be exact,
//! but would move an entry at each growth.
//!
//! A note may be stale: its series may have grown, or be condensed or removed. The caller checks
//! the series.

use super::bounds::LARGE;
use super::memory::Pool;
use super::shard::SeriesPlace;
use super::shards::Shards;

/// Notes of the series that hold most memory in the open interval.
#[derive(Debug)]
pub(super) struct Largest {
    /// One list for each power of two of the bytes held, the smallest first.
    classes: Vec<Vec<SeriesPlace>>,
    /// The bytes that all holders can have together. It bounds the number of notes.
    limit: usize,
}

impl Largest {
    pub(super) fn new(limit: usize) -> Self {
        Self { classes: Vec::new(), limit }
    }

    pub(super) fn limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Notes that a series holds this many bytes, unless they are few.
    pub(super) fn note(&mut self, bytes: usize, holder: SeriesPlace) {
        if bytes >= LARGE {
            self.note_large(bytes, holder);
        }
    }

    fn note_large(&mut self, bytes: usize, holder: SeriesPlace) {
        let class = (bytes / LARGE).ilog2();
        if self.classes.len() <= class as usize {
            self.classes.resize(class as usize + 1, Vec::new());
        }
        let notes = &mut self.classes[class as usize];
        // Series that are deleted and created again leave stale notes. So there are at most twice
        // as many notes as there can be holders.
        if notes.len() <= (self.limit >> class) / (LARGE / 2) {
            notes.push(holder);
        }
    }

    /// Takes the note of the largest series.
    fn pop(&mut self) -> Option<SeriesPlace> {
        while let Some(notes) = self.classes.last_mut() {
            if let Some(holder) = notes.pop() {
                return Some(holder);
            }
            self.classes.pop();
        }
        None
    }

    /// Condenses the largest series until the pool has room again. Each one takes time, so a call
    /// condenses at most a few. `tick` is the number of the open interval.
    pub(super) fn condense(&mut self, shards: &mut Shards, pool: &mut Pool, tick: u32) {
        const AT_ONCE: usize = 16;
        let needed = pool.take_refused();
        for _ in 0..AT_ONCE {
            if pool.has_room(needed) {
                return;
            }
            let Some(largest) = self.pop() else { return };
            // The note may be stale. Condensing a small or another series does no harm: it frees
            // little, and the next note follows.
            if let Some(series) = shards.get_mut(largest) {
                series.condense(tick, pool);
                self.note(pool.take_grown(), largest);
            }
        }
    }

    /// Whether no series is noted.
    pub(super) fn is_empty(&self) -> bool {
        self.classes.iter().all(Vec::is_empty)
    }

    /// Removes all notes, at the beginning of an interval.
    pub(super) fn clear(&mut self) {
        self.classes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::shard::SeriesSlot;
    use super::*;

    /// Shows that an explanation may copy a large timer: the copy has no limit.
    #[test]
    fn a_large_holder_is_noted_without_a_limit() {
        let mut largest = Largest::new(usize::MAX);
        let holder = SeriesPlace::new(1, SeriesSlot { hash: 1, at: 2 });
        largest.note(LARGE, holder);
        assert_eq!((largest.pop(), largest.pop()), (Some(holder), None));
    }

    fn holder(at: u32) -> SeriesPlace {
        SeriesPlace::new(0, SeriesSlot { hash: 0, at })
    }

    #[test]
    fn the_largest_comes_first_and_small_ones_never() {
        let mut largest = Largest::new(1 << 20);
        for (at, bytes) in [(1, 4096), (2, LARGE - 1), (3, 100_000), (4, 2048), (5, 70_000)] {
            largest.note(bytes, holder(at));
        }
        let order: Vec<_> =
            std::iter::from_fn(|| largest.pop()).map(|known| known.slot().at).collect();
        assert_eq!(order, [5, 3, 1, 4], "70,000 and 100,000 are of one class");
        largest.note(4096, holder(6));
        largest.clear();
        assert_eq!(largest.pop(), None);
    }

    #[test]
    fn notes_are_bounded_by_the_holders_there_can_be() {
        let mut largest = Largest::new(10 * LARGE);
        (0..1000).for_each(|at| largest.note(LARGE, holder(at)));
        assert_eq!(std::iter::from_fn(|| largest.pop()).count(), 21);
    }
}
