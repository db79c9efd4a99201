//! Counts the most frequent names, of which it stores a bounded number. They show an operator what
//! a client floods the server with.
//!
//! [`Newcomers`] counts which prefixes of names have the most new series, so that a warning can
//! name one.

use std::collections::BinaryHeap;

use super::shard::NameHash;
use super::tally::{Counted, Tally};

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

/// Counts prefixes in bounded memory, by the space-saving rule: if all places are taken, a new
/// prefix replaces the rarest one and continues its count. So a count may be too high, by the count
/// of the prefix that was replaced. But the prefix with the most new series is never missed.
#[derive(Debug, Default)]
pub struct Newcomers {
    prefixes: Vec<(Vec<u8>, u64)>,
    /// The index of the prefix that was counted last. The next series often has the same.
    last: usize,
}

const PREFIXES_MAX: usize = 16;
const PREFIX_BYTES_MAX: usize = 128;

impl Newcomers {
    /// Counts a new series with this [`prefix`]. Returns whether it is that of the series before.
    pub(super) fn add(&mut self, prefix: &[u8]) -> bool {
        if let Some((known, count)) = self.prefixes.get_mut(self.last)
            && known == prefix
        {
            *count += 1;
            return true;
        }
        if let Some(at) = self.prefixes.iter().position(|(known, _)| known == prefix) {
            self.last = at;
        } else if self.prefixes.len() < PREFIXES_MAX {
            self.last = self.prefixes.len();
            self.prefixes.push((prefix.to_vec(), 0));
        } else {
            let rarest = self.prefixes.iter().enumerate().min_by_key(|(_, (_, count))| *count);
            self.last = rarest.map_or(0, |(at, _)| at);
            let (name, _) = &mut self.prefixes[self.last];
            name.clear();
            name.extend_from_slice(prefix);
        }
        self.prefixes[self.last].1 += 1;
        false
    }

    /// Returns the prefix with the most new series. All counts are halved, so that the next answer
    /// is about later series.
    pub fn take_busiest(&mut self) -> Option<Vec<u8>> {
        let (prefix, _) = self.prefixes.iter().max_by_key(|(_, count)| *count)?;
        let busiest = prefix.clone();
        for (_, count) in &mut self.prefixes {
            *count /= 2;
        }
        Some(busiest)
    }
}

/// The first two elements of a name, without its tags.
pub(super) fn prefix(name: &[u8]) -> &[u8] {
    let name = &name[..name.len().min(PREFIX_BYTES_MAX)];
    let mut has_dot = false;
    for (at, byte) in name.iter().enumerate() {
        match byte {
            b'.' if !has_dot => has_dot = true,
            b'.' | b';' => return &name[..at],
            _ => {}
        }
    }
    name
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
    fn a_prefix_is_two_elements_without_tags() {
        for (name, expected) in
            [("a.b.c.d", "a.b"), ("a.b", "a.b"), ("a", "a"), ("a;t=x.y.z", "a"), ("a.b;t=1", "a.b")]
        {
            assert_eq!(prefix(name.as_bytes()), expected.as_bytes());
        }
        assert_eq!(prefix(&[b'x'; 2000]).len(), PREFIX_BYTES_MAX);
    }

    #[test]
    fn the_busiest_is_named_among_ever_new_ones() {
        let mut newcomers = Newcomers::default();
        assert_eq!(newcomers.take_busiest(), None);
        for n in 0..1000 {
            newcomers.add(prefix(format!("once.{n}.x").as_bytes()));
            newcomers.add(prefix(format!("app.junk.{n}").as_bytes()));
        }
        assert!(newcomers.prefixes.len() <= PREFIXES_MAX);
        assert_eq!(newcomers.take_busiest().as_deref(), Some(&b"app.junk"[..]));
        for n in 0..2000 {
            newcomers.add(prefix(format!("later.on.{n}").as_bytes()));
        }
        assert_eq!(newcomers.take_busiest().as_deref(), Some(&b"later.on"[..]));
    }
}
