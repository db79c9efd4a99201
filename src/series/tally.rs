//! Counts names in bounded memory, with a bound of the error (Misra and Gries, several names at a
//! time).

use std::cmp::Ordering;

use hashbrown::HashTable;

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
        let (_, &mut least, _) = counts.select_nth_unstable_by(half, |a, b| b.cmp(a));
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
        all.sort_unstable_by(|a, b| b.cmp_counts(a));
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
