//! Raw names (`sanitize_keys = no`), of which several may be one clean name.
//!
//! ```text
//!  a b:1|c ──┬──▶ "a b"   1 ──▶ destinations that store raw names
//!            ▼
//!      merged "a_b"       3 ──▶ the other destinations
//!            ▲
//!  a_b:2|c ──┴──▶ "a_b"   2 ──▶ destinations that store raw names
//! ```
//! A merged series gets the samples of all raw names that are one clean name, as if they had been
//! cleaned when they were read. It exists only for a clean name that some raw name differs from. So
//! a server whose names are all clean has no merged series, and each series is for all
//! destinations.
//!
//! The table holds a merged series under its clean name with a NUL in front. A name from a client
//! never begins with a NUL.

use ahash::AHashMap;

use super::bounds::AddError;
use super::closed::Closed;
use crate::protocol::{MetricKind, cleaned, is_clean};

/// The destinations that a summary is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    Every,
    /// The destinations that store raw names.
    Raw,
    /// The destinations that store only clean names.
    Clean,
}

impl Audience {
    /// The destinations that the interval before `tick` of a series is for.
    #[inline]
    pub(super) fn of(raw: Option<&RawNames>, kind: MetricKind, name: &[u8], tick: u32) -> Self {
        raw.map_or(Self::Every, |raw| raw.audience(kind, name, tick))
    }

    /// Gives a closed series the name that it is sent under.
    #[inline]
    pub(super) fn named(self, closed: Closed<'_>) -> Closed<'_> {
        match self {
            Self::Every | Self::Raw => closed,
            Self::Clean => Closed { name: without_mark(closed.name), ..closed },
        }
    }
}

const MERGED: u8 = 0;

/// Returns the name under which the table holds the merged series of a clean name.
pub(super) fn merged_name(clean: &[u8]) -> Vec<u8> {
    [&[MERGED], clean].concat()
}

/// Whether the table holds a merged series under this name.
pub(super) fn is_merged(name: &[u8]) -> bool {
    name.first() == Some(&MERGED)
}

/// Returns a name that the table holds without the mark of a merged series: the name that
/// destinations get.
pub(super) fn without_mark(name: &[u8]) -> &[u8] {
    name.strip_prefix(&[MERGED]).unwrap_or(name)
}

/// Whether a sample is counted that was added to a raw series and to its merged series.
pub(super) fn raw_and_merged<T>(
    raw: Result<T, AddError>,
    merged: Result<T, AddError>,
) -> Result<(), AddError> {
    match (raw, merged) {
        // The sweep after a reload has dropped the merged series, and not yet the raw one. It drops
        // that with the sample, and counts the sample then.
        (Ok(_), Err(AddError::ByRule(_))) => Ok(()),
        (raw, merged) => merged.and(raw).map(|_| ()),
    }
}

/// The bytes of an entry of [`RawNames`], with the slack of its map. A series has at most one.
pub(super) const RAW_NAME_BYTES: usize = 32;

/// The merged series of a table.
#[derive(Debug)]
pub(super) struct RawNames {
    hasher: ahash::RandomState,
    /// For each merged series a hash of its kind and clean name, and the number of the flush that
    /// began its first interval. Two names of the same hash are as unlikely as two equal members
    /// of a set.
    merged: AHashMap<u64, u32>,
    /// The number of merged series of each kind.
    counts: [usize; 4],
    /// For each clean name, as the same hash, the number of series with names that are not clean
    /// and that it is the clean name of.
    unclean_series: AHashMap<u64, usize>,
}

impl RawNames {
    pub(super) fn new(hasher: ahash::RandomState) -> Self {
        Self { hasher, merged: AHashMap::new(), counts: [0; 4], unclean_series: AHashMap::new() }
    }

    /// About the bytes that are taken.
    pub(super) fn bytes(&self) -> usize {
        (self.merged.len() + self.unclean_series.len()) * RAW_NAME_BYTES
    }

    /// Whether there is no merged series.
    pub(super) fn is_empty(&self) -> bool {
        self.merged.is_empty()
    }

    /// The number of merged series of each kind.
    pub(super) fn counts(&self) -> [usize; 4] {
        self.counts
    }

    /// Notes a series that the table has created at `tick`.
    pub(super) fn note_created(&mut self, kind: MetricKind, name: &[u8], tick: u32) {
        if is_merged(name) {
            let before = self.merged.insert(self.hash(kind, without_mark(name)), tick);
            self.counts[kind as usize] += usize::from(before.is_none());
        } else if !is_clean(name) {
            let hash = self.hash(kind, &cleaned(name));
            *self.unclean_series.entry(hash).or_default() += 1;
        }
    }

    /// Notes a series that the table no longer has.
    pub(super) fn note_removed(&mut self, kind: MetricKind, name: &[u8]) {
        if is_merged(name) {
            let removed = self.merged.remove(&self.hash(kind, without_mark(name)));
            self.counts[kind as usize] -= usize::from(removed.is_some());
        } else if !is_clean(name) {
            let hash = self.hash(kind, &cleaned(name));
            if let Some(count) = self.unclean_series.get_mut(&hash) {
                *count -= 1;
                if *count == 0 {
                    self.unclean_series.remove(&hash);
                }
            }
        }
    }

    /// Whether the clean name has a merged series.
    pub(super) fn has_merged(&self, kind: MetricKind, clean: &[u8]) -> bool {
        !self.is_empty() && self.merged.contains_key(&self.hash(kind, clean))
    }

    /// Whether there is a series of another name that this is the clean name of.
    pub(super) fn has_unclean(&self, kind: MetricKind, clean: &[u8]) -> bool {
        self.unclean_series.contains_key(&self.hash(kind, clean))
    }

    /// The destinations that the interval before `tick` is for.
    ///
    /// A merged series that was created after the tick has no part in that interval.
    fn audience(&self, kind: MetricKind, name: &[u8], tick: u32) -> Audience {
        if is_merged(name) {
            return Audience::Clean;
        }
        if !is_clean(name) {
            return Audience::Raw;
        }
        if self.is_empty() {
            return Audience::Every;
        }
        match self.merged.get(&self.hash(kind, name)) {
            Some(created) if *created != tick => Audience::Raw,
            _ => Audience::Every,
        }
    }

    /// The destinations that the open interval is for.
    pub(super) fn reader(&self, kind: MetricKind, name: &[u8]) -> Audience {
        if is_merged(name) {
            Audience::Clean
        } else if !is_clean(name) || self.has_merged(kind, name) {
            Audience::Raw
        } else {
            Audience::Every
        }
    }

    fn hash(&self, kind: MetricKind, clean: &[u8]) -> u64 {
        self.hasher.hash_one((kind, clean))
    }
}
