//! [`ReadTotals`]: what one read of a socket has brought.

use crate::ingest::ListenerCounts;
use crate::ledger::{Ledger, OwnCounter};

/// The totals before a read. What the read has brought is the difference, so nothing is counted for
/// each line.
pub(super) struct ReadTotals {
    packets: u64,
    lines: u64,
    samples: u64,
}

impl ReadTotals {
    pub(super) fn of(ledger: &Ledger) -> Self {
        Self {
            packets: ledger.own().total(OwnCounter::PacketsReceived),
            lines: ledger.own().total(OwnCounter::MetricsReceived),
            samples: ledger.samples(),
        }
    }

    /// Returns what a read of `bytes` has brought.
    pub(super) fn until(&self, ledger: &Ledger, bytes: u64) -> ListenerCounts {
        let now = Self::of(ledger);
        ListenerCounts {
            connections: 0,
            packets: now.packets - self.packets,
            lines: now.lines - self.lines,
            samples: now.samples.saturating_sub(self.samples),
            bytes,
        }
    }
}
