//! The limits of the table: numbers of series, memory, and what is kept exactly.

use std::time::Duration;

/// What the table may hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Series of all kinds together.
    pub max_series: usize,
    /// At `max_series`, a series idle for this long makes way for a new one.
    pub evict_after: Duration,
    /// Bytes of timing samples and set members of all series together.
    pub sample_memory: usize,
    /// Samples of one timing kept exactly in one interval.
    pub timer_exact: usize,
    /// The relative error of percentiles past that, from 0.001.
    pub timer_error: f64,
    /// Members of one set kept exactly in one interval.
    pub set_exact: usize,
    /// The relative standard error of their number past that.
    pub set_error: f64,
    /// Bytes of key/values, and of values with a timestamp of their own, waiting for the flush.
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
