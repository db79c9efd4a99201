//! [`SeriesCounts`]: how many series there are, and what they take.

use crate::protocol::MetricKind;

/// The bytes of a series beside its name, as measured with a million series of each kind:
/// docs/operations.md has the numbers.
pub(super) const COUNTER_OR_GAUGE: usize = 95;
const TIMING_OR_SET: usize = 215;

/// The bytes of a series beside its name.
pub(super) fn bytes_beside_name(kind: MetricKind) -> usize {
    match kind {
        MetricKind::Counter | MetricKind::Gauge => COUNTER_OR_GAUGE,
        MetricKind::Timing | MetricKind::Set => TIMING_OR_SET,
    }
}

/// The bytes of a stored name of this length from which rules have made that of a series. Its tags
/// count as those of all series do.
pub(super) fn original_bytes(length: Option<usize>) -> usize {
    const BESIDE: usize = 32;
    length.map_or(0, |length| length + BESIDE)
}

/// The number of series, and what has happened to series since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeriesCounts {
    /// The series of each [`MetricKind`], in the order of the enum.
    pub kinds: [usize; 4],
    /// About the bytes of all series, without tags, samples and members of sets.
    pub(super) bytes: usize,
    pub created: u64,
    /// Idle or new series that made room for others, because the table was full.
    pub evicted: u64,
    /// Series that were removed because they were idle for too long, or because a rule of a reload
    /// drops them.
    pub expired: u64,
}

impl SeriesCounts {
    /// Returns the number of series that clients of the admin port have deleted. It follows from
    /// the other counts.
    pub fn deleted(&self) -> u64 {
        let present: usize = self.kinds.iter().sum();
        self.created.saturating_sub(self.evicted + self.expired + present as u64)
    }
}
