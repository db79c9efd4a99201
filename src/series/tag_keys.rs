//! The keys of new tags, and how many values each has had since the start. A tag with a value for
//! each request or user is the usual cause of too many series.

use hashbrown::HashTable;

use super::bounds::{Bounds, Exactness};
use super::distinct::Members;
use super::memory::Pool;
use crate::few::sort_few;

/// The keys and their values.
#[derive(Debug)]
pub(super) struct TagKeys {
    keys: HashTable<TagKey>,
    /// The memory of the values.
    pool: Pool,
}

#[derive(Debug)]
struct TagKey {
    key: Box<[u8]>,
    hash: u64,
    values: Members,
}

/// A tag key and the number of its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagValues {
    pub key: Box<[u8]>,
    pub values: usize,
    /// Whether the number is an estimate, with a standard error of 3 %.
    pub is_estimate: bool,
}

/// If one more key comes, it replaces the key with fewest values.
const KEYS_MAX: usize = 256;
const KEY_BYTES_MAX: usize = 128;
/// The values of a key that are counted exactly.
const EXACT: usize = 200;
const ERROR: f64 = 0.03;
const MEMORY: usize = 2 << 20;

impl Default for TagKeys {
    fn default() -> Self {
        let bounds = Bounds { set_exact: EXACT, set_error: ERROR, ..Bounds::default() };
        Self { keys: HashTable::new(), pool: Pool::new(MEMORY, Exactness::new(&bounds)) }
    }
}

impl TagKeys {
    /// Adds a tag: `key=value`. A tag that some series has must have been added already.
    pub(super) fn add(&mut self, tag: &[u8], hash: impl Fn(&[u8]) -> u64) {
        let end = memchr::memchr(b'=', tag).unwrap_or(tag.len());
        let key = &tag[..end];
        if (1..=KEY_BYTES_MAX).contains(&key.len()) {
            self.add_value(key, hash(key), hash(&tag[end..]));
        }
    }

    fn add_value(&mut self, key: &[u8], hash: u64, value: u64) {
        let is_it = |known: &TagKey| *known.key == *key;
        if self.keys.find(hash, is_it).is_none() {
            if self.keys.len() >= KEYS_MAX {
                self.remove_rarest();
            }
            let new = TagKey { key: key.into(), hash, values: Members::default() };
            self.keys.insert_unique(hash, new, |known| known.hash);
        }
        if let Some(known) = self.keys.find_mut(hash, is_it) {
            // Without memory the number of values is too low. 2 MiB are enough for all keys.
            let _ = known.values.add(value, &mut self.pool);
        }
    }

    fn remove_rarest(&mut self) {
        let rarest = self.keys.iter().min_by_key(|known| known.values.len());
        let Some((hash, key)) = rarest.map(|known| (known.hash, known.key.clone())) else { return };
        if let Ok(entry) = self.keys.find_entry(hash, |known| known.key == key) {
            let (removed, _) = entry.remove();
            removed.values.release(&mut self.pool);
        }
    }

    /// Returns the `n` keys with most values.
    pub(super) fn top(&self, n: usize) -> Vec<TagValues> {
        let mut all: Vec<TagValues> = self
            .keys
            .iter()
            .map(|TagKey { key, values, .. }| TagValues {
                key: key.clone(),
                values: values.len(),
                is_estimate: matches!(values, Members::Estimate(_)),
            })
            .collect();
        sort_few(&mut all, |a, b| b.values.cmp(&a.values).then_with(|| a.key.cmp(&b.key)));
        all.truncate(n);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(text: &[u8]) -> u64 {
        let [a, b, c, d] = [1, 2, 3, 4];
        ahash::RandomState::with_seeds(a, b, c, d).hash_one(text)
    }

    #[test]
    fn the_key_with_most_values_comes_first_among_ever_new_keys() {
        let mut keys = TagKeys::default();
        for n in 0..20_000 {
            let tags = format!("env=prod;user={n};host=h{};k{n}=1", n % 200);
            tags.split(';').for_each(|tag| keys.add(tag.as_bytes(), hash));
        }
        let top = keys.top(2);
        assert_eq!(&*top[0].key, b"user");
        assert!(top[0].is_estimate);
        assert!((18_000..22_000).contains(&top[0].values), "{top:?}");
        let host = TagValues { key: (*b"host").into(), values: 200, is_estimate: false };
        assert_eq!(top[1], host);
        assert!(keys.keys.len() <= KEYS_MAX);
    }

    #[test]
    fn all_keys_with_many_values_fit_into_the_memory() {
        let mut keys = TagKeys::default();
        for key in 0..KEYS_MAX {
            (0..EXACT + 50).for_each(|n| {
                keys.add(format!("k{key}={n}").as_bytes(), hash);
            });
        }
        assert!(keys.top(KEYS_MAX).iter().all(|key| key.values > EXACT), "none was refused");
        assert!(keys.pool.used() <= MEMORY);
    }
}
