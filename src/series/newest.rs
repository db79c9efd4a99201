//! [`Newest`]: the prefixes of the names that came last. A misspelt name is among them.

use std::collections::VecDeque;

use super::frequent::prefix;

/// The last prefixes with a new series, the newest first.
#[derive(Debug, Default)]
pub(super) struct Newest {
    places: VecDeque<NewestPlace>,
}

/// A prefix and its newest series.
#[derive(Debug, Default)]
pub(super) struct NewestPlace {
    /// The hash of the prefix.
    pub(super) hash: u64,
    /// The name of the series, cut off at [`NAME_BYTES_MAX`]. The prefix is its beginning.
    pub(super) name: Vec<u8>,
    /// The number of the interval in which it came.
    pub(super) interval: u32,
}

/// The most prefixes.
pub(super) const PLACES_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 128;

impl Newest {
    /// Notes a new series. `hash` is that of its prefix.
    pub(super) fn add(&mut self, name: &[u8], hash: u64, interval: u32) {
        let cut = &name[..name.len().min(NAME_BYTES_MAX)];
        // Most new series have the prefix of the one before.
        if let Some(first) = self.places.front_mut().filter(|first| first.hash == hash) {
            first.set(cut, interval);
            return;
        }
        let known = self.places.iter().position(|place| place.hash == hash);
        let mut place = match known {
            Some(at) => self.places.remove(at),
            None if self.places.len() >= PLACES_MAX => self.places.pop_back(),
            None => None,
        }
        .unwrap_or_default();
        place.hash = hash;
        place.set(cut, interval);
        self.places.push_front(place);
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &NewestPlace> {
        self.places.iter()
    }
}

impl NewestPlace {
    fn set(&mut self, name: &[u8], interval: u32) {
        self.name.clear();
        self.name.extend_from_slice(name);
        self.interval = interval;
    }

    pub(super) fn prefix(&self) -> &[u8] {
        prefix(&self.name)
    }
}
