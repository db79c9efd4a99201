//! The limits of the table (numbers of series, memory, and what is kept exactly), and why a sample
//! that exceeds one is not added.

use std::time::Duration;

/// The limits of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The number of series of all kinds together.
    pub max_series: usize,
    /// If the table holds `max_series`, a series that has been idle for this long is evicted for a
    /// new one.
    pub evict_after: Duration,
    /// The bytes of timing samples and set members of all series together.
    pub sample_memory: usize,
    /// The number of samples of one timing that are kept exactly in one interval.
    pub timer_exact: usize,
    /// The relative error of percentiles of a timing with more samples. At least 0.001.
    pub timer_error: f64,
    /// The number of members of one set that are kept exactly in one interval.
    pub set_exact: usize,
    /// The relative standard error of the number of members of a larger set.
    pub set_error: f64,
    /// The bytes of key/values, and of values with a timestamp of their own, that wait for the
    /// flush.
    pub passthrough_memory: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            max_series: 1_000_000,
            evict_after: Duration::from_secs(600),
            sample_memory: 64 << 20,
            timer_exact: 50_000,
            timer_error: 0.01,
            set_exact: 10_000,
            set_error: 0.02,
            passthrough_memory: 16 << 20,
        }
    }
}

/// Why a valid sample was not added to a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddError {
    /// The series is new, the table holds `max_series` series, and none of them has been idle for
    /// `evict_after`.
    TooManySeries,
    /// A rule drops the name.
    ByRule,
    /// `sample_memory` is used up for this interval.
    NoMemory,
    /// `passthrough_memory` is used up for this interval.
    NoPassthroughMemory,
    /// The sample would take its series out of the range of a double.
    NotFinite,
}
