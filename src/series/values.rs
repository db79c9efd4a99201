//! What a timing and a set keep of one interval, exactly.

use hashbrown::HashTable;

use super::memory::Pool;

/// A timing's samples of one interval.
#[derive(Debug, Default)]
pub(super) struct Samples {
    pub(super) values: Vec<f64>,
    /// Events the samples stand for: each weighs 1 / rate.
    pub(super) weight: f64,
}

/// A set's members of one interval, each as a 64-bit keyed hash.
///
/// Two members meet in one hash once in 10^11 sets of 10,000: exact for every purpose, at nine bytes a member.
#[derive(Debug, Default)]
pub(super) struct Members(HashTable<u64>);

impl Members {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// False if there is no memory for a new one.
    #[must_use]
    pub(super) fn insert(&mut self, member: u64, pool: &mut Pool) -> bool {
        if self.0.find(member, |known| *known == member).is_some() {
            return true;
        }
        let held = self.0.allocation_size();
        if self.0.len() == self.0.capacity() {
            let more = held.max(64);
            if !pool.take(more) {
                return false;
            }
            self.0.reserve(1, |member| *member);
            let grown = self.0.allocation_size() - held;
            pool.give_back(more);
            pool.force(grown);
        }
        self.0.insert_unique(member, member, |member| *member);
        true
    }

    /// Forgets the members, and the memory this interval did not need.
    pub(super) fn empty(&mut self, pool: &mut Pool) {
        const SMALL: usize = 64;
        let (len, held) = (self.0.len(), self.0.allocation_size());
        self.0.clear();
        if self.0.capacity() > SMALL && len < self.0.capacity() / 4 {
            self.0.shrink_to(len * 2, |member| *member);
        }
        pool.give_back(held - self.0.allocation_size());
    }

    /// Gives all memory back.
    pub(super) fn release(self, pool: &mut Pool) {
        pool.give_back(self.0.allocation_size());
    }
}
