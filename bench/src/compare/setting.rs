//! The settings that all servers of a comparison are started with.

use std::path::PathBuf;

#[derive(Debug, Clone)]
pub(crate) struct Setting {
    /// The folder of the repository.
    pub(crate) root: PathBuf,
    /// The statsd binary.
    pub(crate) bin: PathBuf,
    /// Seconds between two flushes.
    pub(crate) interval: u64,
    /// Bytes of a receive buffer.
    pub(crate) buffer: usize,
}
