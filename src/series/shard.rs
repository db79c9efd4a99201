//! One of the table's 256 parts: a slab of series and an index of hash → slot.
//!
//! Each grows on its own, so no step of growth is long on the way to a million series. The index keeps part of the hash
//! beside the slot: growing reads no series, and a probe reads one only when 32 bits of hash agree.

use hashbrown::HashTable;
use slab::Slab;

use super::aggregate::Series;
use crate::protocol::MetricKind;

/// Where a series lies in its shard. Slots are used again: the hash tells whose one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    pub(super) hash: u32,
    pub(super) at: u32,
}

#[derive(Debug, Default)]
pub(super) struct Shard {
    index: HashTable<Slot>,
    series: Slab<Series>,
    /// One more than the highest slot ever used: where a walk ends.
    end: usize,
}

/// As many waits as the hardware overlaps, about.
pub(super) const PREFETCH: usize = 16;

impl Shard {
    pub(super) fn end(&self) -> usize {
        self.end
    }

    pub(super) fn find(&self, hash: u32, kind: MetricKind, name: &[u8]) -> Option<Slot> {
        let is_it = |slot: &Slot| {
            slot.hash == hash && {
                let series = &self.series[slot.at as usize];
                series.kind() == kind && series.name() == name
            }
        };
        self.index.find(spread(hash), is_it).copied()
    }

    /// The slot that the index has for a hash; whose it is has to be looked at.
    pub(super) fn candidate(&self, hash: u32) -> Option<Slot> {
        self.index.find(spread(hash), |slot| slot.hash == hash).copied()
    }

    /// Whether it is of that kind, with a name of that length.
    pub(super) fn resembles(&self, slot: Slot, kind: MetricKind, length: usize) -> bool {
        let series = &self.series[slot.at as usize];
        series.kind() == kind && series.name().len() == length
    }

    pub(super) fn is_called(&self, slot: Slot, name: &[u8]) -> bool {
        self.series[slot.at as usize].name() == name
    }

    /// Adds a series that [`Self::find`] did not find.
    pub(super) fn insert(&mut self, series: Series) -> Slot {
        let hash = series.hash;
        let at = self.series.insert(series);
        self.end = self.end.max(at + 1);
        let at = u32::try_from(at).expect("a shard holds a small part of max_series, a u32");
        let slot = Slot { hash, at };
        self.index.insert_unique(spread(hash), slot, |slot| spread(slot.hash));
        slot
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Series> {
        self.series.get_mut(slot.at as usize).filter(|series| series.hash == slot.hash)
    }

    pub(super) fn at(&self, at: usize) -> Option<&Series> {
        self.series.get(at)
    }

    /// The series in the slot of that number, whichever it is.
    pub(super) fn at_mut(&mut self, at: usize) -> Option<(Slot, &mut Series)> {
        let series = self.series.get_mut(at)?;
        let at = u32::try_from(at).expect("inserted as a u32");
        Some((Slot { hash: series.hash, at }, series))
    }

    /// Has the names of the next [`PREFETCH`] slots fetched, for a walk that is going to read them: the waits for memory overlap
    /// here, which they do not when each name is read after the work on the one before.
    pub(super) fn prefetch_names(&self, from: usize) {
        let ends = |name: &[u8]| name.first().zip(name.last()).map(|(first, last)| first ^ last);
        let next = (from..from + PREFETCH).filter_map(|at| self.series.get(at));
        let touched = next.filter_map(|series| ends(series.name())).fold(0, |all, ends| all ^ ends);
        // Else the compiler sees that nobody wants to know.
        std::hint::black_box(touched);
    }

    /// Takes a series out, if it is there.
    pub(super) fn take(&mut self, slot: Slot) -> Option<Series> {
        let entry = self.index.find_entry(spread(slot.hash), |known| *known == slot).ok()?;
        entry.remove();
        Some(self.series.remove(slot.at as usize))
    }

    /// Every series' slot, in no order.
    pub(super) fn slots(&self) -> impl Iterator<Item = (Slot, &Series)> {
        self.series.iter().map(|(at, series)| {
            let at = u32::try_from(at).expect("inserted as a u32");
            (Slot { hash: series.hash, at }, series)
        })
    }
}

/// The 32 bits kept, spread over the 64 that the index wants: its control bytes use the top ones.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
