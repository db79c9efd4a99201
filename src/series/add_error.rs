//! Why the table does not take a sample.

/// Why a valid sample was not added to a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddError {
    /// The series is new, the table holds `max_series` series, and none of them has been idle for
    /// `evict_after`.
    TooManySeries,
    /// A rule drops the name.
    ByRule,
    /// `sample_memory` or `passthrough_memory` is used up for this interval.
    NoMemory,
    /// The sample would take its series out of the range of a double.
    NotFinite,
}
