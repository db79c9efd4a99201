//! The state that outlives the process: the open interval at a stop, and the gauges at each
//! `state_interval`.
//!
//! ```text
//!  stop ──────────▶ own counters, passed-through values, series ─┐
//!  every minute ──▶ gauges, in slices ───────────────────────────┴─▶ FILE.new ──rename──▶ FILE
//!  start ◀───────── FILE, or the gauges of FILE.old           (the file before becomes FILE.old)
//! ```
//! A file is a head, records with their lengths, and a checksum of all of it. A reader skips
//! records of unknown kinds. `engine.rs` and `server/state_saver.rs` write the records. Only
//! `file.rs` uses the disk.

use std::time::Duration;

pub mod file;

use crate::time::UnixTime;
use crate::wire::{In, Put};

/// The first bytes of a file. The number is the version of the format.
pub const MAGIC: &[u8; 16] = b"statsd-state 1\0\n";

/// The head of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateHead {
    /// Whether the file holds all of an open interval. Otherwise it holds only gauges.
    pub whole: bool,
    /// When the interval began, and when it is to end.
    pub start: UnixTime,
    pub end: UnixTime,
    /// The time between two flushes. The idle times of series are saved as numbers of intervals.
    pub interval: Duration,
    /// The key of the hashes of set members.
    pub members: [u64; 2],
}

impl StateHead {
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(MAGIC);
        out.put_u8(u8::from(self.whole));
        out.put_u64(self.start.as_millis());
        out.put_u64(self.end.as_millis());
        out.put_u64(u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX));
        self.members.iter().for_each(|half| out.put_u64(*half));
    }

    /// Returns `None` if the input does not begin as our files do, or has a time that no clock
    /// shows.
    pub fn read(input: &mut In<'_>) -> Option<Self> {
        (input.take(MAGIC.len())? == MAGIC).then_some(())?;
        Some(Self {
            whole: input.u8()? == 1,
            start: UnixTime::from_millis(millis(input)?),
            end: UnixTime::from_millis(millis(input)?),
            interval: Duration::from_millis(millis(input)?.max(1)),
            members: [input.u64()?, input.u64()?],
        })
    }
}

/// Reads a time, at most the end of the year 9999, so that adding to it never overflows.
fn millis(input: &mut In<'_>) -> Option<u64> {
    const LATEST: u64 = 253_402_300_799_999;
    input.u64().filter(|millis| *millis <= LATEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_this_to_the_byte() {
        let head = StateHead {
            whole: true,
            start: UnixTime::from_millis(1),
            end: UnixTime::from_millis(0x0203),
            interval: Duration::from_secs(10),
            members: [4, 5],
        };
        let mut bytes = Vec::new();
        head.write(&mut bytes);
        let expected = b"statsd-state 1\0\n\x01\
            \x01\0\0\0\0\0\0\0\x03\x02\0\0\0\0\0\0\x10\x27\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0";
        assert_eq!(bytes, expected);
        assert_eq!(StateHead::read(&mut In::new(&bytes)), Some(head));
        for cut in 0..bytes.len() {
            assert_eq!(StateHead::read(&mut In::new(&bytes[..cut])), None);
        }
        for time in [17, 25, 33] {
            let mut bytes = bytes.clone();
            bytes[time..time + 8].fill(0xff);
            assert_eq!(StateHead::read(&mut In::new(&bytes)), None, "no clock shows this time");
        }
    }
}
