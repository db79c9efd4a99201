//! [`SeriesCounts`]: how many series there are, and what they take.

/// The bytes of a series beside its name, as measured with a million series of each kind:
/// docs/operations.md has the numbers.
pub(super) const COUNTER_OR_GAUGE: usize = 110;
const TIMING_OR_SET: usize = 235;

/// The bytes of the memory beside the text of the name from which rules have made another one.
pub(super) const ORIGINAL_BYTES: usize = 32;

/// The number of series, and what has happened to series since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeriesCounts {
    /// The series of each [`MetricKind`], in the order of the enum.
    pub kinds: [usize; 4],
    /// The bytes of all their names, without the texts of tags.
    pub name_bytes: usize,
    /// The bytes of the names from which rules have made those of series.
    pub(super) original_bytes: usize,
    pub created: u64,
    /// Idle series that made room for new ones, because the table was full.
    pub evicted: u64,
    /// Series that were removed because they were idle for too long, or because a rule of a reload
    /// drops them.
    pub expired: u64,
}

impl SeriesCounts {
    /// About the bytes of all series, without tags, samples and members of sets.
    pub(super) fn bytes(&self) -> usize {
        let [counters, gauges, timings, sets] = self.kinds;
        (counters + gauges) * COUNTER_OR_GAUGE
            + (timings + sets) * TIMING_OR_SET
            + self.name_bytes
            + self.original_bytes
    }

    /// Returns the number of series that clients of the admin port have deleted. It follows from
    /// the other counts.
    pub fn deleted(&self) -> u64 {
        let present: usize = self.kinds.iter().sum();
        self.created.saturating_sub(self.evicted + self.expired + present as u64)
    }
}
