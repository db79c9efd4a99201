//! Reads the head of a saved series. `aggregate.rs` has the format.

use crate::protocol::MetricKind;
use crate::wire::In;

/// A saved series whose values are not decoded yet.
#[derive(Debug)]
pub(super) struct SavedSeries<'a> {
    pub(super) kind: MetricKind,
    /// The number of intervals since the last sample.
    pub(super) idle: u32,
    pub(super) name: &'a [u8],
    pub(super) values: In<'a>,
}

impl<'a> SavedSeries<'a> {
    /// Returns `None` if the record is damaged.
    pub(super) fn read(mut input: In<'a>) -> Option<Self> {
        let kind = *KINDS.get(usize::from(input.u8()?))?;
        let idle = input.u32()?;
        let name = input.name().filter(|name| !name.is_empty())?;
        Some(Self { kind, idle, name, values: input })
    }
}

/// The kinds by the byte that stands for each in a record.
const KINDS: [MetricKind; 4] =
    [MetricKind::Counter, MetricKind::Gauge, MetricKind::Timing, MetricKind::Set];
