//! A batch of samples whose series are looked up together, so that the waits for memory overlap.
//!
//! A table of a hundred thousand series does not fit in the cache. A lookup then waits for memory
//! three times: for the index, for the series and for its name. If samples are looked up one after
//! the other, these waits add up. `Table::find_all` makes each step for the whole batch before the
//! next step, so the processor fetches the memory of several samples at once.

use arrayvec::ArrayVec;

use super::shard::{NameHash, SeriesKey, SeriesSlot};
use crate::protocol::{MetricKind, Plain, PlainLine, Sample};

/// The sample of a plain line, before its series is known.
#[derive(Clone, Copy, Debug)]
pub struct PendingSample<'a> {
    /// The line, without its newline.
    pub line: &'a [u8],
    pub name: &'a [u8],
    pub hash: NameHash,
    /// Whether the name is known to be canonical.
    pub is_checked: bool,
    pub(super) value: f64,
    pub(super) weight: f64,
    /// The value as the line writes it: the member if the series is a set.
    pub(super) member: &'a [u8],
    pub(super) kind: MetricKind,
    pub(super) key: SeriesKey,
    /// The slot that `Table::find_all` found, if any.
    pub(super) slot: Option<SeriesSlot>,
}

/// The hardware overlaps about as many waits, and a packet rarely brings more samples.
const BATCH: usize = 16;

pub type Batch<'a> = ArrayVec<PendingSample<'a>, BATCH>;

impl<'a> PendingSample<'a> {
    /// The sample of the plain line that `text` begins with. `hash` is the hash of its name.
    pub fn new(line: PlainLine<'a>, text: &'a [u8], hash: NameHash) -> Self {
        let PlainLine { plain, length, is_checked } = line;
        let Plain { name, kind, value, weight, text: member } = plain;
        let key = SeriesKey::new(hash, kind);
        let line = &text[..length];
        Self { line, name, hash, is_checked, value, weight, member, kind, key, slot: None }
    }

    /// Returns the value if the line is a counter.
    pub fn as_count(&self) -> Option<f64> {
        (self.kind == MetricKind::Counter).then_some(self.value * self.weight)
    }

    pub(super) fn sample(&self) -> Sample<'a> {
        match self.kind {
            MetricKind::Counter => Sample::Count(self.value * self.weight),
            MetricKind::Gauge => Sample::Level(self.value),
            MetricKind::Timing => Sample::Time { value: self.value, weight: self.weight },
            MetricKind::Set => Sample::Member(self.member),
        }
    }
}
