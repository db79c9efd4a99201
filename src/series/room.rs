//! [`Room`]: how many series, and how many bytes of series, the table can still take.

use super::bounds::SeriesLimits;
use super::counts::COUNTER_OR_GAUGE;

/// What is left of the limits of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    series: usize,
    pub(super) bytes: usize,
}

/// A table with no room for a series of this size counts as full. Shorter names still fit.
const LONG_NAME: usize = 4 << 10;

impl Room {
    /// The room of a table with this many series that take `bytes`.
    pub(super) fn new(limits: SeriesLimits, series: usize, bytes: usize) -> Self {
        let SeriesLimits { count, bytes: most } = limits;
        Self { series: count.saturating_sub(series), bytes: most.saturating_sub(bytes) }
    }

    /// About how many more series there can be. Exact if `max_series` is the nearer limit.
    pub(super) fn series(self) -> usize {
        self.series.min(self.bytes / COUNTER_OR_GAUGE)
    }

    /// Whether a new series may need the place of another one.
    pub(super) fn is_full(self) -> bool {
        self.series == 0 || self.bytes < LONG_NAME
    }

    /// Whether this many more series fit, with this many bytes in all.
    pub(super) fn has(self, series: usize, bytes: usize) -> bool {
        series <= self.series && bytes <= self.bytes
    }
}
