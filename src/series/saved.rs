//! The record of a series in the state file.
//!
//! A saved series is these bytes:
//! ```text
//!  kind  idle  name      counter: current, last, (name, last)…
//!   u8   u32   u16 + …   gauge: level
//!                        timing: 0, weight, samples… │ 1, sketch
//!                        set: 0, members… │ 1, registers
//! ```
//! A cumulative counter has a last value for each name that clients send to it. All but the first
//! are stored with the hash of the name, a `u64`.
//!
//! If rules have made the name, the highest bit of `kind` is set, and the name from which they made
//! it follows. The next bit is set if the series is not established: see `Series::is_established`.
//! The third one is set if clients have sent several names to the series.

use super::distinct::Members;
use super::memory::Pool;
use super::timing_samples::TimingSamples;
use crate::protocol::MetricKind;
use crate::wire::{In, Put};

/// A saved series whose values are not decoded yet.
#[derive(Clone, Debug)]
pub(super) struct SavedSeries<'a> {
    pub(super) kind: MetricKind,
    /// The number of intervals since the last sample.
    pub(super) idle: u32,
    pub(super) name: &'a [u8],
    /// The name from which rules have made `name`.
    pub(super) original: Option<&'a [u8]>,
    /// Whether the series had samples in two intervals. Such a series may not make room for others
    /// after a restart either.
    pub(super) is_established: bool,
    /// Whether clients have sent several names to the series.
    pub(super) is_joined: bool,
    pub(super) values: In<'a>,
}

/// Set in the kind of a saved series that has an original name.
const HAS_ORIGINAL: u8 = 0x80;
/// Set in the kind of a saved series that is not established.
const IS_NEW: u8 = 0x40;
/// Set in the kind of a saved series that has the values of several names.
const IS_JOINED: u8 = 0x20;

impl<'a> SavedSeries<'a> {
    /// Returns `None` if the record is damaged.
    pub(super) fn read(mut input: In<'a>) -> Option<Self> {
        let kind = input.u8()?;
        let has_original = kind & HAS_ORIGINAL != 0;
        let is_established = kind & IS_NEW == 0;
        let is_joined = kind & IS_JOINED != 0;
        let kind = kind & !(HAS_ORIGINAL | IS_NEW | IS_JOINED);
        let kind = *MetricKind::ALL.get(usize::from(kind))?;
        let idle = input.u32()?;
        let mut next_name = || input.name().filter(|name| !name.is_empty());
        let name = next_name()?;
        let original = if has_original { Some(next_name()?) } else { None };
        Some(Self { kind, idle, name, original, is_established, is_joined, values: input })
    }

    /// The events of the saved interval: the count of a counter, the events that the samples of a
    /// timing stand for, the members of a set, and 1 for a gauge with a sample. Returns 0 if the
    /// values are damaged.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates
    pub(super) fn events(&self) -> u64 {
        let mut values = self.values.clone();
        let pool = &mut Pool::unbounded();
        let events = match self.kind {
            MetricKind::Counter => values.finite().map(f64::abs),
            MetricKind::Gauge => Some(f64::from(u8::from(self.idle == 0))),
            MetricKind::Timing => {
                let mut samples = TimingSamples::default();
                samples.restore(&mut values, pool).ok().map(|_| samples.weight())
            }
            MetricKind::Set => {
                let mut members = Members::default();
                members.restore(&mut values, pool).ok().map(|_| members.len() as f64)
            }
        };
        events.unwrap_or_default().ceil() as u64
    }

    /// Appends what [`read`](Self::read) reads: with `marks`, whether the series is not
    /// established, and whether it is joined. The values follow.
    pub(super) fn put_head(
        kind: MetricKind,
        idle: u32,
        name: &[u8],
        original: Option<&[u8]>,
        [is_new, is_joined]: [bool; 2],
        out: &mut Vec<u8>,
    ) {
        let bit = |is_set, bit| if is_set { bit } else { 0 };
        let has_original = bit(original.is_some(), HAS_ORIGINAL);
        out.put_u8(kind as u8 | has_original | bit(is_new, IS_NEW) | bit(is_joined, IS_JOINED));
        out.put_u32(idle);
        out.put_name(name);
        if let Some(original) = original {
            out.put_name(original);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_with_an_empty_name_is_damaged() {
        let empty: &[u8] = b"";
        for (name, original, is_whole) in [
            (&b"a"[..], None, true),
            (b"a", Some(&b"b"[..]), true),
            (empty, None, false),
            (empty, Some(b"b"), false),
            (b"a", Some(empty), false),
        ] {
            let mut record = Vec::new();
            SavedSeries::put_head(MetricKind::Gauge, 0, name, original, [false; 2], &mut record);
            let read = SavedSeries::read(In::new(&record));
            assert_eq!(read.is_some(), is_whole, "{name:?} {original:?}");
            if let Some(read) = read {
                assert_eq!((read.name, read.original), (name, original));
            }
        }
    }
}
