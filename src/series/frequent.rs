//! Counts the most frequent names in bounded memory.
//!
//! [`Frequent`] counts the lines with each name. It shows an operator what a client floods the
//! server with. [`Tally`] does the counting, with a bound of the error (Misra and Gries, several
//! names at a time).

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use hashbrown::HashTable;

use super::shard::NameHash;
use crate::few::{nth_highest, sort_many};

/// The counts since they were last taken.
///
/// The counts are exact while there are at most [`NAMES_MAX`] names. After that a count may be too
/// low, by at most one for every `NAMES_MAX / 2` lines, and rare names may be missing.
#[derive(Debug)]
pub struct Frequent(Tally);

/// At 50 bytes a name about a megabyte.
const NAMES_MAX: usize = 10_000;

impl Default for Frequent {
    fn default() -> Self {
        Self(Tally::new(NAMES_MAX))
    }
}

impl Frequent {
    /// Counts a line with this name.
    pub fn add(&mut self, name: &[u8], NameHash(hash): NameHash) {
        self.0.add(name, (), hash, 1);
    }

    /// Returns the most frequent `percent` of the names, rounded up, and starts counting again.
    pub fn take(&mut self, percent: u32) -> MostFrequent {
        let all = self.0.take();
        let left = (all.len() * percent as usize).div_ceil(100);
        MostFrequent { names: all.into(), left }
    }
}

/// An iterator over names, the most frequent first, names of equal counts in alphabetical order.
///
/// It is a heap, so that not all names are sorted in one turn of the loop.
#[derive(Debug, Default)]
pub struct MostFrequent {
    names: BinaryHeap<Counted>,
    left: usize,
}

impl Iterator for MostFrequent {
    type Item = Counted;

    fn next(&mut self) -> Option<Counted> {
        self.left = self.left.checked_sub(1)?;
        self.names.pop()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for MostFrequent {}

/// The counts of the most frequent names. `L` is what distinguishes equal names.
#[derive(Debug)]
pub(super) struct Tally<L = ()> {
    known: HashTable<Counted<L>>,
    /// The most names. If one more comes, at most half of them stay.
    max: usize,
    /// The bytes of all names. Past [`NAME_BYTES_MAX`] at most half of the names stay, too.
    bytes: usize,
    error: u64,
}

/// The most bytes of all names together. A single name is far shorter.
const NAME_BYTES_MAX: usize = 1 << 20;

/// A name and its count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted<L = ()> {
    pub name: Box<[u8]>,
    pub label: L,
    pub count: u64,
    hash: u64,
}

impl<L: Copy + Eq> Tally<L> {
    pub(super) fn new(max: usize) -> Self {
        Self { known: HashTable::new(), max, bytes: 0, error: 0 }
    }

    /// Adds to the count of a name. `hash` is that of the name, and may be of the label, too.
    pub(super) fn add(&mut self, name: &[u8], label: L, hash: u64, more: u64) {
        let is_it = |counted: &Counted<L>| counted.label == label && *counted.name == *name;
        if let Some(known) = self.known.find_mut(hash, is_it) {
            known.count += more;
            return;
        }
        while self.is_full(name.len()) {
            self.make_room();
        }
        self.bytes += name.len();
        let counted = Counted { name: name.into(), label, count: more, hash };
        self.known.insert_unique(hash, counted, |counted| counted.hash);
    }

    /// Whether there is no room for one more name of this length.
    fn is_full(&self, bytes: usize) -> bool {
        let is_long = self.bytes + bytes > NAME_BYTES_MAX && !self.known.is_empty();
        is_long || self.known.len() == self.max
    }

    /// Subtracts a number from every count, so that at most half of the names are left.
    ///
    /// The textbook subtracts 1, which may remove no name at all. Then each new name would scan the
    /// whole table again. Here half of the table goes at once, so at least `max / 2` new names come
    /// between two scans, however high the counts are.
    fn make_room(&mut self) {
        let mut counts: Vec<u64> = self.known.iter().map(|counted| counted.count).collect();
        let half = counts.len() / 2;
        let least = nth_highest(&mut counts, half);
        self.error += least;
        let bytes = &mut self.bytes;
        self.known.retain(|counted| {
            counted.count = counted.count.saturating_sub(least);
            let stays = counted.count > 0;
            if !stays {
                *bytes -= counted.name.len();
            }
            stays
        });
    }

    /// The number by which a count may be too low. A name that is not known may have this count.
    /// It is 0 while there were at most `max` names, with at most [`NAME_BYTES_MAX`] bytes. Unless
    /// names are long, it is at most the sum of all counts, divided by half of `max`.
    pub(super) fn error(&self) -> u64 {
        self.error
    }

    /// The number of names that are known.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Returns the count of a name, or 0 if it is not known.
    pub(super) fn count(&self, name: &[u8], label: L, hash: u64) -> u64 {
        let is_it = |counted: &Counted<L>| counted.label == label && *counted.name == *name;
        self.known.find(hash, is_it).map_or(0, |known| known.count)
    }

    /// All names with their counts, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = &Counted<L>> {
        self.known.iter()
    }

    /// Returns the `n` highest counts in descending order, equal ones by name.
    pub(super) fn top(&self, n: usize) -> Vec<Counted<L>> {
        let mut all: Vec<&Counted<L>> = self.known.iter().collect();
        sort_many(&mut all, |a, b| b.cmp_counts(a));
        all.into_iter().take(n).cloned().collect()
    }

    /// Takes all counts, and starts again.
    pub(super) fn take(&mut self) -> Vec<Counted<L>> {
        self.error = 0;
        self.bytes = 0;
        std::mem::take(&mut self.known).into_iter().collect()
    }
}

impl<L: Copy> Counted<L> {
    /// Compares the counts. Of two equal ones the name that is first in the alphabet is greater.
    fn cmp_counts(&self, other: &Self) -> Ordering {
        self.count.cmp(&other.count).then_with(|| other.name.cmp(&self.name))
    }
}

impl Ord for Counted {
    fn cmp(&self, other: &Self) -> Ordering {
        self.cmp_counts(other)
    }
}

impl PartialOrd for Counted {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(frequent: &mut Frequent, name: &str, times: usize) {
        let hash = name.bytes().fold(7, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        });
        (0..times).for_each(|_| frequent.add(name.as_bytes(), NameHash(hash)));
    }

    fn taken(frequent: &mut Frequent, percent: u32) -> Vec<(String, u64)> {
        let text =
            |counted: Counted| (String::from_utf8(counted.name.into()).unwrap(), counted.count);
        frequent.take(percent).map(text).collect()
    }

    #[test]
    fn the_most_frequent_come_first_and_equal_ones_by_name() {
        let mut frequent = Frequent::default();
        for (name, times) in [("b", 2), ("c", 3), ("a", 2), ("b", 0), ("d", 1), ("c", 1)] {
            add(&mut frequent, name, times);
        }
        let all = [("c", 4), ("a", 2), ("b", 2), ("d", 1)].map(|(name, n)| (name.to_owned(), n));
        assert_eq!(taken(&mut frequent, 100), all);
        assert_eq!(taken(&mut frequent, 100), [], "counting began again");
        ["a", "b", "c"].iter().for_each(|name| add(&mut frequent, name, 1));
        assert_eq!(taken(&mut frequent, 34).len(), 2, "rounded up, as Node's loop does");
    }

    #[test]
    fn a_flood_of_names_hides_nothing_frequent_and_takes_no_more_room() {
        let mut frequent = Frequent::default();
        for junk in 0..50_000 {
            add(&mut frequent, &format!("junk.{junk}"), 1);
            add(&mut frequent, "flooded", 1);
        }
        assert!(frequent.0.top(usize::MAX).len() <= NAMES_MAX);
        let (name, count) = taken(&mut frequent, 1).swap_remove(0);
        assert_eq!(name, "flooded");
        assert!((50_000 - 100_000 / (NAMES_MAX as u64 / 2)..=50_000).contains(&count), "{count}");
    }

    #[test]
    fn high_counts_do_not_make_each_new_name_look_through_all_of_them() {
        let mut frequent = Frequent::default();
        for name in 0..NAMES_MAX {
            add(&mut frequent, &format!("known.{name}"), 100);
        }
        add(&mut frequent, "new", 1);
        assert!(frequent.0.top(usize::MAX).len() <= NAMES_MAX / 2 + 1, "more are left");
    }

    #[test]
    fn long_names_take_no_more_memory_and_the_most_frequent_stays() {
        let mut tally = Tally::new(4000);
        let name = |n: u64| format!("{n}{}", "x".repeat(8000)).into_bytes();
        for n in 1..2000 {
            tally.add(&name(0), (), 0, 1);
            tally.add(&name(n), (), n, 1);
            let bytes: usize = tally.known.iter().map(|counted| counted.name.len()).sum();
            assert_eq!(tally.bytes, bytes);
            assert!(bytes <= NAME_BYTES_MAX);
        }
        let top = tally.top(1).remove(0);
        assert_eq!(*top.name, *name(0));
        assert!((1999 - tally.error()..=1999).contains(&top.count), "{top:?}");
        tally.take();
        assert_eq!(tally.bytes, 0);
    }
}
