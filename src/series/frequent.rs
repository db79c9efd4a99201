//! Which names come most often: counts of a bounded number of names, for whoever wants to know what a client floods.

use hashbrown::HashTable;

use super::table::NameHash;

/// The counts since they were last taken (Misra and Gries).
///
/// They are exact as long as no more than [`NAMES_MAX`] names come. Past that a count may be too low, by at most one for
/// every `NAMES_MAX` lines, and what came more seldom may be gone: the frequent ones stay.
#[derive(Debug, Default)]
pub struct Frequent(HashTable<Counted>);

/// A name and how many lines were about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    pub name: Box<[u8]>,
    pub count: u64,
    hash: u64,
}

/// At 50 bytes a name about a megabyte.
const NAMES_MAX: usize = 10_000;

impl Frequent {
    pub fn add(&mut self, name: &[u8], NameHash(hash): NameHash) {
        if let Some(known) = self.0.find_mut(hash, |counted| *counted.name == *name) {
            known.count += 1;
        } else if self.0.len() < NAMES_MAX {
            let counted = Counted { name: name.into(), count: 1, hash };
            self.0.insert_unique(hash, counted, |counted| counted.hash);
        } else {
            self.make_room();
        }
    }

    /// Every line counted pays for being taken off once, so this costs a line no more than counting it did.
    fn make_room(&mut self) {
        self.0.retain(|counted| {
            counted.count -= 1;
            counted.count > 0
        });
    }

    /// The most frequent so many percent of the names (rounded up), the first first; counting begins anew.
    pub fn take(&mut self, percent: u32) -> Vec<Counted> {
        let mut all: Vec<_> = std::mem::take(&mut self.0).into_iter().collect();
        all.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
        all.truncate((all.len() * percent as usize).div_ceil(100));
        all
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
        frequent.take(percent).into_iter().map(text).collect()
    }

    #[test]
    fn the_most_frequent_come_first_and_equal_ones_by_name() {
        let mut frequent = Frequent::default();
        for (name, times) in [("b", 2), ("c", 3), ("a", 2), ("b", 0), ("d", 1), ("c", 1)] {
            add(&mut frequent, name, times);
        }
        let all = [("c", 4), ("a", 2), ("b", 2), ("d", 1)].map(|(name, n)| (name.to_owned(), n));
        assert_eq!(taken(&mut frequent, 100), all);
        assert_eq!(taken(&mut frequent, 100), [], "counting began anew");
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
        assert!(frequent.0.len() <= NAMES_MAX);
        let (name, count) = taken(&mut frequent, 1).swap_remove(0);
        assert_eq!(name, "flooded");
        assert!((50_000 - 100_000 / NAMES_MAX as u64..=50_000).contains(&count), "{count}");
    }
}
