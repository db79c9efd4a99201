//! The series that hold most memory in the open interval, found without reading any other series.
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

use super::shard::SeriesSlot;

#[derive(Debug)]
pub(super) struct Largest {
    /// One list for each power of two of the bytes held, the smallest first.
    classes: Vec<Vec<Holder>>,
    /// The bytes that all holders can have together. It bounds the number of notes.
    limit: usize,
}

/// The position of a series in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) shard: u32,
    pub(super) slot: SeriesSlot,
}

impl Holder {
    pub(super) fn new(shard: usize, slot: SeriesSlot) -> Self {
        #[allow(clippy::cast_possible_truncation)] // there are 256
        Self { shard: shard as u32, slot }
    }
}

/// Series that hold fewer bytes stay exact, since a sketch is hardly smaller than so few samples.
pub(super) const LARGE: usize = 2048;

impl Largest {
    pub(super) fn new(limit: usize) -> Self {
        Self { classes: Vec::new(), limit }
    }

    pub(super) fn limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Notes that a series holds this many bytes, unless they are few.
    ///
    /// It is inlined because a sweep calls it for every series, and nearly all of them hold little.
    #[inline]
    pub(super) fn note(&mut self, bytes: usize, holder: Holder) {
        if bytes >= LARGE {
            self.note_large(bytes, holder);
        }
    }

    #[inline(never)]
    fn note_large(&mut self, bytes: usize, holder: Holder) {
        let class = (bytes / LARGE).ilog2();
        if self.classes.len() <= class as usize {
            self.classes.resize(class as usize + 1, Vec::new());
        }
        let notes = &mut self.classes[class as usize];
        // Series that are deleted and created again leave stale notes. So there are at most twice
        // as many notes as there can be holders.
        if notes.len() <= 2 * (self.limit >> class) / LARGE {
            notes.push(holder);
        }
    }

    /// Takes the note of the largest series.
    pub(super) fn pop(&mut self) -> Option<Holder> {
        while let Some(notes) = self.classes.last_mut() {
            if let Some(holder) = notes.pop() {
                return Some(holder);
            }
            self.classes.pop();
        }
        None
    }

    /// Removes all notes, at the beginning of an interval.
    pub(super) fn clear(&mut self) {
        self.classes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(at: u32) -> Holder {
        Holder { shard: 0, slot: SeriesSlot { hash: 0, at } }
    }

    #[test]
    fn the_largest_comes_first_and_small_ones_never() {
        let mut largest = Largest::new(1 << 20);
        for (at, bytes) in [(1, 4096), (2, LARGE - 1), (3, 100_000), (4, 2048), (5, 70_000)] {
            largest.note(bytes, holder(at));
        }
        let order: Vec<_> =
            std::iter::from_fn(|| largest.pop()).map(|known| known.slot.at).collect();
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
