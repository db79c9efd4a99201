//! The tracks of the series of one kind.

use ahash::{AHashMap, RandomState};

use super::track::Track;

/// Tracks by the name of their series, in maps of about [`MAP_TRACKS`]. So neither a walk over one
/// of them nor its growth takes long, however many series the history keeps.
#[derive(Debug)]
pub(super) struct TrackMaps {
    maps: Box<[TrackMap]>,
    /// Decides in which map a name is.
    names: RandomState,
}

/// Some of the tracks.
pub(super) type TrackMap = AHashMap<Box<[u8]>, Track>;

pub(super) const MAP_TRACKS: usize = 1024;
/// The most maps. With more than four million tracks of a kind, each of them has more.
const MAPS_MAX: usize = 4096;

impl TrackMaps {
    /// Maps for this many tracks.
    pub(super) fn new(tracks: usize) -> Self {
        let maps = (tracks / MAP_TRACKS).clamp(1, MAPS_MAX);
        let maps = std::iter::repeat_with(TrackMap::default).take(maps).collect();
        Self { maps, names: RandomState::new() }
    }

    /// The map in which a track of this name is, if there is one.
    pub(super) fn of(&self, name: &[u8]) -> &TrackMap {
        &self.maps[self.index(name)]
    }

    pub(super) fn of_mut(&mut self, name: &[u8]) -> &mut TrackMap {
        &mut self.maps[self.index(name)]
    }

    fn index(&self, name: &[u8]) -> usize {
        if self.maps.len() == 1 {
            return 0; // most histories keep so few
        }
        let hash = self.names.hash_one(name) % self.maps.len() as u64;
        usize::try_from(hash).unwrap_or_default()
    }

    pub(super) fn maps(&self) -> &[TrackMap] {
        &self.maps
    }

    pub(super) fn maps_mut(&mut self) -> &mut [TrackMap] {
        &mut self.maps
    }

    /// All names.
    pub(super) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.maps.iter().flat_map(|map| map.keys()).map(|name| &**name)
    }

    /// The number of tracks.
    pub(super) fn len(&self) -> usize {
        self.maps.iter().map(|map| map.len()).sum()
    }
}

impl Default for TrackMaps {
    fn default() -> Self {
        Self::new(0)
    }
}
