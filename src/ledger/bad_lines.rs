//! The last bad lines, with their senders and reasons.

use std::collections::VecDeque;

use crate::protocol::Reject;
use crate::sender::Sender;
use crate::time::UnixTime;

/// The number of lines that are kept.
pub const BAD_LINES_KEPT: usize = 100;

/// The most bytes of a line that are kept.
pub const BAD_LINE_BYTES: usize = 200;

/// A line that was refused, or of which a value was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    pub time: UnixTime,
    /// The sender, with its port.
    pub sender: Sender,
    pub reason: Reject,
    /// The line, or its first [`BAD_LINE_BYTES`] bytes.
    pub line: Vec<u8>,
    /// Whether the line was longer.
    pub is_cut: bool,
}

/// The last bad lines, at most [`BAD_LINES_KEPT`].
#[derive(Debug, Default)]
pub struct BadLines {
    lines: VecDeque<BadLine>,
}

impl BadLines {
    /// Returns the last `most` lines, the oldest first.
    pub fn last(&self, most: usize) -> impl Iterator<Item = &BadLine> {
        self.lines.iter().skip(self.lines.len().saturating_sub(most))
    }

    /// Adds a line. The oldest one makes room, and its buffer is used again: a client may send
    /// nothing but bad lines.
    pub(super) fn add(&mut self, time: UnixTime, sender: Sender, reason: Reject, line: &[u8]) {
        let oldest = (self.lines.len() == BAD_LINES_KEPT).then(|| self.lines.pop_front()).flatten();
        let mut kept = oldest.map(|oldest| oldest.line).unwrap_or_default();
        kept.clear();
        kept.extend_from_slice(&line[..line.len().min(BAD_LINE_BYTES)]);
        let is_cut = line.len() > BAD_LINE_BYTES;
        self.lines.push_back(BadLine { time, sender, reason, line: kept, is_cut });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_long_ones_are_cut() {
        let mut lines = BadLines::default();
        assert_eq!(lines.last(20).count(), 0);
        for number in 0..1000 {
            let line = format!("{number}{}", "x".repeat(number % 400));
            let time = UnixTime::from_millis(number as u64);
            lines.add(time, Sender::Stdin, Reject::NoValue, line.as_bytes());
        }
        let last: Vec<u64> = lines.last(3).map(|line| line.time.as_millis()).collect();
        assert_eq!(last, [997, 998, 999]);
        assert_eq!(lines.last(usize::MAX).count(), BAD_LINES_KEPT);
        for line in lines.last(usize::MAX) {
            let number = usize::try_from(line.time.as_millis()).unwrap();
            assert_eq!(line.line.len(), (3 + number % 400).min(BAD_LINE_BYTES));
            assert_eq!(line.is_cut, 3 + number % 400 > BAD_LINE_BYTES);
            assert!(line.line.capacity() <= 2 * BAD_LINE_BYTES);
        }
    }
}
