//! The timer wheel: one deadline for each key, with the earliest one always known. It holds no
//! clock.
//!
//! A key shows what a deadline is for. So no caller keeps a handle: setting a deadline again
//! replaces it. If the object of a key was closed, its deadline has no effect.
//!
//! The wheel has one slot for each millisecond, and turns once in about four seconds. A slot holds
//! the deadlines of that millisecond in *every* turn, in order. So the first one of a slot shows
//! whether any of them is due in this turn:
//! ```text
//!           base: no deadline is before it
//!             ▼
//!   slots  │ 0 │ 1 │ 2 │ 3 │ … │ 4095 │        occupied: a bit a slot
//!                    └─▶ 2.1 ─▶ 2.9 ─▶ 4098.4   a ring, in order of deadline, then of setting
//! ```
//! To find the earliest deadline, the first entry of each occupied slot is read, from the base on,
//! until one is of this turn. An insert walks its slot from the end. Timeouts of one length come in
//! order, so they find their place at once, also if many are equal.

use std::hash::Hash;
use std::iter;

use ahash::HashMap;
use slab::Slab;

use crate::time::Tick;

/// Deadlines, one for each key.
#[derive(Debug)]
pub(super) struct Wheel<K> {
    entries: Slab<Entry<K>>,
    by_key: HashMap<K, usize>,
    /// The first entry of each slot, [`NONE`] where it is empty.
    firsts: Box<[usize]>,
    occupied: Occupied,
    /// In milliseconds, as every `home`. It is never after the home of an entry, and only moves
    /// forward.
    base: u64,
    earliest: Earliest,
}

/// Part of a ring: the entries of one slot in the order of their deadlines. Equal ones are in the
/// order in which they were set.
#[derive(Debug)]
struct Entry<K> {
    key: K,
    deadline: Tick,
    /// The millisecond of the deadline, or the base when it was set for earlier than that.
    home: u64,
    next: usize,
    prev: usize,
}

/// Which entry has the earliest deadline.
#[derive(Clone, Copy, Debug)]
enum Earliest {
    Known(Option<usize>),
    /// The earliest one was taken out. [`Wheel::earliest`] searches the next one when it is needed.
    Unknown,
}

const SLOTS: usize = 64 * 64;
const NONE: usize = usize::MAX;

impl<K: Copy + Eq + Hash> Wheel<K> {
    pub(super) fn new() -> Self {
        Self {
            entries: Slab::new(),
            by_key: HashMap::default(),
            firsts: vec![NONE; SLOTS].into(),
            occupied: Occupied { words: [0; 64], nonzero: 0 },
            base: 0,
            earliest: Earliest::Known(None),
        }
    }

    /// Replaces the deadline of a key. `None` takes it out. A deadline in the past is due at once.
    ///
    /// The same deadline keeps its place among equal ones.
    pub(super) fn set(&mut self, key: K, deadline: Option<Tick>) {
        if let Some(&index) = self.by_key.get(&key) {
            if deadline == Some(self.entries[index].deadline) {
                return;
            }
            self.remove(index);
        }
        if let Some(deadline) = deadline {
            self.insert(key, deadline);
        }
    }

    /// Returns the earliest deadline. It is stored until it is taken out, so this is cheap.
    pub(super) fn deadline(&mut self) -> Option<Tick> {
        self.earliest().map(|index| self.entries[index].deadline)
    }

    /// Takes out the earliest deadline if it is not after `now`, and returns its key. Of equal ones
    /// the one that was set first comes first.
    pub(super) fn pop_due(&mut self, now: Tick) -> Option<K> {
        let earliest = self.earliest().map(|index| (index, self.entries[index].deadline));
        let due = earliest.filter(|&(_, deadline)| deadline <= now);
        let reached = due.map_or(now, |(_, deadline)| deadline);
        self.base = self.base.max(millis(reached));
        let (index, _) = due?;
        Some(self.remove(index))
    }

    fn earliest(&mut self) -> Option<usize> {
        if let Earliest::Known(earliest) = self.earliest {
            return earliest;
        }
        let earliest = self.find_earliest();
        self.earliest = Earliest::Known(earliest);
        earliest
    }

    /// Returns the first entry of the first slot that has one in this turn. If there is none,
    /// returns the earliest entry of the later turns.
    fn find_earliest(&self) -> Option<usize> {
        let start = slot_of(self.base);
        let mut later = None;
        for slot in self.occupied.round(start) {
            let first = self.firsts[slot];
            let turned = (slot + SLOTS - start) % SLOTS;
            if self.entries[first].home == self.base + turned as u64 {
                return Some(first);
            }
            later = Some(later.map_or(first, |least| self.earlier(least, first)));
        }
        later
    }

    /// Returns the entry with the earlier deadline, or `one` if they are equal.
    fn earlier(&self, one: usize, other: usize) -> usize {
        if self.entries[other].deadline < self.entries[one].deadline { other } else { one }
    }

    /// Adds a deadline for a key that has none.
    fn insert(&mut self, key: K, deadline: Tick) {
        let home = millis(deadline).max(self.base);
        let index = self.entries.insert(Entry { key, deadline, home, next: NONE, prev: NONE });
        self.by_key.insert(key, index);
        self.link(index, slot_of(home));
        if let Earliest::Known(earliest) = self.earliest {
            let earliest = earliest.map_or(index, |least| self.earlier(least, index));
            self.earliest = Earliest::Known(Some(earliest));
        }
    }

    /// Takes out an entry. If it was the earliest, the next one is searched later, since the caller
    /// often inserts an earlier one or removes more first.
    fn remove(&mut self, index: usize) -> K {
        let slot = slot_of(self.entries[index].home);
        self.unlink(index, slot);
        let Entry { key, .. } = self.entries.remove(index);
        self.by_key.remove(&key);
        if matches!(self.earliest, Earliest::Known(Some(earliest)) if earliest == index) {
            self.earliest = Earliest::Unknown;
        }
        key
    }

    /// Puts an entry into the ring of its slot, after the last one that is not later. The search
    /// begins at the end, since most deadlines are set in ascending order.
    fn link(&mut self, index: usize, slot: usize) {
        let deadline = self.entries[index].deadline;
        let first = self.firsts[slot];
        if first == NONE {
            self.join(index, index);
            self.firsts[slot] = index;
            self.occupied.insert(slot);
            return;
        }
        let last = self.entries[first].prev;
        let before = iter::successors(Some(last), |&at| {
            Some(self.entries[at].prev).filter(|&at| at != last)
        })
        .find(|&at| self.entries[at].deadline <= deadline);
        let prev = before.unwrap_or(last);
        let next = self.entries[prev].next;
        self.join(prev, index);
        self.join(index, next);
        if before.is_none() {
            self.firsts[slot] = index;
        }
    }

    /// Takes an entry out of the ring of its slot.
    fn unlink(&mut self, index: usize, slot: usize) {
        let Entry { prev, next, .. } = self.entries[index];
        self.join(prev, next);
        if next == index {
            self.firsts[slot] = NONE;
            self.occupied.remove(slot);
        } else if self.firsts[slot] == index {
            self.firsts[slot] = next;
        }
    }

    /// Makes `next` the successor of `prev`.
    fn join(&mut self, prev: usize, next: usize) {
        self.entries[prev].next = next;
        self.entries[next].prev = prev;
    }
}

impl<K: Copy + Eq + Hash> Default for Wheel<K> {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns units of 1024 microseconds, so that the slot is computed with a shift. This is close
/// enough to a millisecond, since deadlines are compared exactly.
fn millis(tick: Tick) -> u64 {
    tick.as_micros() >> 10
}

#[allow(clippy::cast_possible_truncation)] // the low bits are the slot
fn slot_of(home: u64) -> usize {
    home as usize % SLOTS
}

/// A set of slots: 64 words with one bit for each slot, and one word with a bit for each of those
/// words that is not zero.
#[derive(Debug)]
struct Occupied {
    words: [u64; 64],
    nonzero: u64,
}

impl Occupied {
    fn insert(&mut self, slot: usize) {
        self.words[slot / 64] |= 1 << (slot % 64);
        self.nonzero |= 1 << (slot / 64);
    }

    fn remove(&mut self, slot: usize) {
        self.words[slot / 64] &= !(1 << (slot % 64));
        if self.words[slot / 64] == 0 {
            self.nonzero &= !(1 << (slot / 64));
        }
    }

    /// Returns every slot of the set once: from `start` to the end, then from 0.
    fn round(&self, start: usize) -> impl Iterator<Item = usize> {
        let upward =
            |from| iter::successors(self.at_or_after(from), |&slot| self.at_or_after(slot + 1));
        upward(start).chain(upward(0).take_while(move |&slot| slot < start))
    }

    /// Returns the first slot of the set from `slot` on.
    fn at_or_after(&self, slot: usize) -> Option<usize> {
        let word = slot / 64;
        let here = lowest(*self.words.get(word)? & (u64::MAX << (slot % 64)));
        here.map(|bit| word * 64 + bit).or_else(|| {
            let word = lowest(self.nonzero & (u64::MAX << word << 1))?;
            lowest(self.words[word]).map(|bit| word * 64 + bit)
        })
    }
}

/// Returns the index of the lowest bit that is set.
fn lowest(word: u64) -> Option<usize> {
    (word != 0).then(|| word.trailing_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use statsd_bench::Random;

    use super::*;

    fn wheel(deadlines: &[(char, u64)]) -> Wheel<char> {
        let mut wheel = Wheel::new();
        for &(key, millis) in deadlines {
            wheel.set(key, Some(Tick::from_millis(millis)));
        }
        wheel
    }

    /// Returns the keys that pop until nothing more is due.
    fn due(wheel: &mut Wheel<char>, now: u64) -> String {
        iter::from_fn(|| wheel.pop_due(Tick::from_millis(now))).collect()
    }

    #[test]
    fn due_ones_pop_earliest_first_and_equal_ones_as_they_were_set() {
        for (deadlines, now, popped) in [
            (&[('a', 5), ('b', 3), ('c', 9)][..], 5, "ba"),
            (&[('z', 4), ('a', 4), ('m', 4)], 4, "zam"),
            (&[('a', 4), ('b', 4), ('a', 4)], 4, "ab"),
            (&[('a', 4), ('b', 4), ('a', 5), ('a', 4)], 4, "ba"),
            (&[('a', 5), ('a', 7)], 6, ""),
            (&[('a', 7), ('a', 5)], 6, "a"),
            (&[('a', 4200), ('b', 1), ('c', 8400), ('d', 4195)], 10_000, "bdac"),
            (&[('h', 3_600_000), ('d', 86_400_000)], 86_400_000, "hd"),
            (&[], 1, ""),
        ] {
            assert_eq!(due(&mut wheel(deadlines), now), popped, "{deadlines:?} at {now}");
        }
    }

    #[test]
    fn nothing_pops_a_microsecond_early() {
        let mut wheel = Wheel::new();
        wheel.set((), Some(Tick::from_micros(10_500)));
        assert_eq!(wheel.pop_due(Tick::from_micros(10_499)), None);
        assert_eq!(wheel.deadline(), Some(Tick::from_micros(10_500)));
        assert_eq!(wheel.pop_due(Tick::from_micros(10_500)), Some(()));
        assert_eq!(wheel.deadline(), None);
    }

    #[test]
    fn a_deadline_set_in_the_past_is_due_at_once_and_before_others() {
        let mut wheel = wheel(&[('a', 70_000), ('b', 70_001)]);
        assert_eq!(due(&mut wheel, 60_000), "");
        wheel.set('c', Some(Tick::from_millis(1)));
        assert_eq!(wheel.deadline(), Some(Tick::from_millis(1)));
        assert_eq!(due(&mut wheel, 70_000), "ca");
    }

    #[test]
    fn none_takes_a_deadline_out() {
        let mut wheel = wheel(&[('a', 1), ('b', 2)]);
        wheel.set('a', None);
        wheel.set('x', None);
        assert_eq!(wheel.deadline(), Some(Tick::from_millis(2)));
        assert_eq!(due(&mut wheel, 9), "b");
    }

    /// A wheel that sorts all deadlines: slow, but simple enough to compare with.
    #[derive(Default)]
    struct Twin {
        deadlines: BTreeMap<u16, (Tick, u64)>,
        order: BTreeSet<(Tick, u64, u16)>,
        sets: u64,
    }

    impl Twin {
        fn set(&mut self, key: u16, deadline: Option<Tick>) {
            let old = self.deadlines.get(&key).copied();
            if old.is_some() && old.map(|(old, _)| old) == deadline {
                return;
            }
            if let Some((old, set)) = self.deadlines.remove(&key) {
                self.order.remove(&(old, set, key));
            }
            self.sets += 1;
            if let Some(deadline) = deadline {
                self.deadlines.insert(key, (deadline, self.sets));
                self.order.insert((deadline, self.sets, key));
            }
        }

        fn deadline(&self) -> Option<Tick> {
            self.order.first().map(|&(deadline, ..)| deadline)
        }

        fn pop_due(&mut self, now: Tick) -> Option<u16> {
            let (.., key) =
                self.order.first().copied().filter(|&(deadline, ..)| deadline <= now)?;
            self.set(key, None);
            Some(key)
        }
    }

    /// Returns a time span in microseconds. Most are short, a few take hours.
    fn span(random: &mut Random) -> u64 {
        let longest = [10, 5_000, 1_000_000, 5_000_000, 60_000_000, 20_000_000_000];
        let longest = *random.pick(&longest);
        random.below(longest)
    }

    fn runs_like_the_twin(seed: u64, keys: u64) {
        let (mut random, mut wheel, mut twin) = (Random::new(seed), Wheel::new(), Twin::default());
        let mut now = 0;
        for step in 0..3_000 {
            let key = u16::try_from(random.below(keys)).unwrap();
            let deadline = match random.below(8) {
                0 => None,
                1 => Some(Tick::from_micros(now / 1000 * 999)),
                _ => Some(Tick::from_micros(now + span(&mut random))),
            };
            wheel.set(key, deadline);
            twin.set(key, deadline);
            assert_eq!(wheel.deadline(), twin.deadline(), "seed {seed}, step {step}");
            now += if random.one_in(4) { span(&mut random) } else { random.below(100) };
            for _ in 0..random.below(4) {
                let tick = Tick::from_micros(now);
                assert_eq!(wheel.pop_due(tick), twin.pop_due(tick), "seed {seed}, step {step}");
            }
        }
        assert_eq!(wheel.by_key.len(), twin.order.len(), "seed {seed}");
    }

    #[test]
    fn random_mixes_run_like_the_twin() {
        for seed in 1..=40 {
            runs_like_the_twin(seed, 10);
            runs_like_the_twin(seed, 2_000);
        }
    }
}
