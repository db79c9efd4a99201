//! A batch of samples whose series are looked up together, so that the waits for memory overlap.
//!
//! A table of a hundred thousand series does not fit in the cache. A lookup then waits for memory
//! three times: for the index, for the series and for its name. If samples are looked up one after
//! the other, these waits add up. `Table::find_all` makes each step for the whole batch before the
//! next step, so the processor fetches the memory of several samples at once.

use arrayvec::ArrayVec;

use super::aliases::AliasKey;
use super::bounds::AddError;
use super::shard::{NameHash, SeriesKey, SeriesSlot};
use crate::protocol::{MetricKind, Plain, PlainLine, Sample};

/// By what a series is looked up.
#[derive(Clone, Copy, Debug)]
pub enum Lookup<'a> {
    /// The hash of the name. The line has no `#` section.
    Name(NameHash),
    /// The key of the name and the tags as the line writes them, and those tags. The line need
    /// not be read.
    Alias(AliasKey, &'a [u8]),
}

impl Lookup<'_> {
    /// The hash by which the table remembers that rules drop such lines.
    #[inline]
    pub(super) fn hash(self) -> u64 {
        match self {
            Self::Name(NameHash(hash)) => hash,
            Self::Alias(alias, _) => alias.first(),
        }
    }
}

/// What became of a sample whose series was looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookedUpResult {
    Added,
    Refused(AddError),
    /// The series is unknown, and was not created.
    NoSeries,
}

impl From<Result<(), AddError>> for LookedUpResult {
    fn from(added: Result<(), AddError>) -> Self {
        added.map_or_else(Self::Refused, |()| Self::Added)
    }
}

/// The sample of a plain line, before its series is known.
#[derive(Clone, Copy, Debug)]
pub struct PendingSample<'a> {
    /// The line, without its newline.
    pub line: &'a [u8],
    /// The name without the tags of the `#` section, as the line writes it.
    pub name: &'a [u8],
    pub lookup: Lookup<'a>,
    pub(super) value: f64,
    pub(super) weight: f64,
    /// The value as the line writes it: the member if the series is a set.
    pub(super) member: &'a [u8],
    pub kind: MetricKind,
    /// If the sample is looked up by an alias, this is the key of the series in `slot`.
    pub(super) key: SeriesKey,
    /// The slot that `Table::find_all` found, if any.
    pub(super) slot: Option<SeriesSlot>,
}

/// The hardware overlaps about as many waits, and a packet rarely brings more samples.
const BATCH: usize = 16;

pub type Batch<'a> = ArrayVec<PendingSample<'a>, BATCH>;

impl<'a> PendingSample<'a> {
    /// The sample of the plain line that `text` begins with.
    pub fn new(line: PlainLine<'a>, text: &'a [u8], lookup: Lookup<'a>) -> Self {
        let PlainLine { plain, length, .. } = line;
        let hash = match lookup {
            Lookup::Name(hash) => hash,
            Lookup::Alias(..) => NameHash::default(),
        };
        let Plain { name, kind, value, weight, text: member } = plain;
        let key = SeriesKey::new(hash, kind);
        let line = &text[..length];
        Self { line, name, lookup, value, weight, member, kind, key, slot: None }
    }

    /// Returns the sample. Its name may still have to be read.
    pub fn sample(&self) -> Sample<'a> {
        match self.kind {
            MetricKind::Counter => Sample::Count(self.value * self.weight),
            MetricKind::Gauge => Sample::Level(self.value),
            MetricKind::Timing => Sample::Time { value: self.value, weight: self.weight },
            MetricKind::Set => Sample::Member(self.member),
        }
    }
}
