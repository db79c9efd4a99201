//! What has come in by one listener.

use std::ops::AddAssign;

/// The counts of one listener since it was opened.
///
/// They are added up once for each read. Nothing is counted for each line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenerCounts {
    /// The connections that were accepted. Always 0 for a socket for datagrams.
    pub connections: u64,
    /// The datagrams, empty ones too. Always 0 for a listener for streams.
    pub packets: u64,
    pub lines: u64,
    /// The values that were added to a series, or are passed through.
    pub samples: u64,
    pub bytes: u64,
}

impl AddAssign for ListenerCounts {
    fn add_assign(&mut self, more: Self) {
        self.connections += more.connections;
        self.packets += more.packets;
        self.lines += more.lines;
        self.samples += more.samples;
        self.bytes += more.bytes;
    }
}
