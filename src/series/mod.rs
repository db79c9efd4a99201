//! Names being aggregated: the table of series and what each kind keeps. Pure.

/// What the table may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Series of all kinds together.
    pub max_series: usize,
    /// Bytes of timing samples and set members of all series together.
    pub sample_memory: usize,
    /// Bytes of values with a timestamp of their own waiting for the flush.
    pub passthrough_memory: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { max_series: 1_000_000, sample_memory: 64 << 20, passthrough_memory: 16 << 20 }
    }
}
