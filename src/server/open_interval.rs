//! [`OpenInterval`]: the times of the interval that a state file continues.

use std::time::Duration;

use crate::time::UnixTime;

/// The interval whose samples are being received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpenInterval {
    /// When it began, as far as is known. This is not the end less `next_length`: a reload may
    /// have changed the interval since.
    pub(super) start: UnixTime,
    /// Its scheduled end.
    pub(super) end: UnixTime,
    /// The length of the next intervals.
    pub(super) next_length: Duration,
}
