//! `counters`, `timers`, `gauges`, `sets`: the open interval as one JSON object, with sorted keys.
//!
//! Each entry has a line of its own, because scripts and Datadog's agent count the lines.
//!
//! First the slots of each shard are sorted by name, one shard in each step. Then the shards are
//! merged by means of a heap of their lowest names. This takes eight bytes for each series, and
//! copies of 257 names.
//!
//! Series are created and removed meanwhile. Those that are removed are skipped. Those that are new
//! are left out.
//!
//! If a client does not read and another dump waits, the client's dump is paused. It frees its
//! memory, except for the last name that it has written, and later begins again after that name.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Write as _;

use super::view::View;
use crate::encode::number::Number;
use crate::ledger::OwnCounters;
use crate::protocol::MetricKind;
use crate::series::{SeriesSlot, Table, Values};

/// A dump of one kind of series, in progress.
#[derive(Debug)]
pub(super) struct Dump {
    kind: MetricKind,
    /// The slots of each shard, with the lowest name last.
    shards: Vec<Vec<SeriesSlot>>,
    /// The server's own counters, which are no series, the lowest name last.
    own: Vec<(Box<[u8]>, u64)>,
    heads: BinaryHeap<Reverse<(Box<[u8]>, Head)>>,
    /// The last name written.
    last: Option<Box<[u8]>>,
    /// The start of the object is written.
    is_open: bool,
    stage: DumpStage,
}

/// The part of the work that is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DumpStage {
    Sorting,
    Merging,
}

/// Where a name in the heap comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Head {
    Series(usize, SeriesSlot),
    Own,
}

/// The most series that one step writes, and the bytes after which it ends in any case.
const BATCH: usize = 128;
const STEP_BYTES: usize = 16 * 1024;
/// Of a timing with more samples than this, only a summary is written.
const SAMPLES_MAX: usize = 1000;

impl Dump {
    pub(super) fn new(kind: MetricKind) -> Self {
        Self {
            kind,
            shards: Vec::new(),
            own: Vec::new(),
            heads: BinaryHeap::new(),
            last: None,
            is_open: false,
            stage: DumpStage::Sorting,
        }
    }

    /// Whether it has begun to sort, and so holds memory.
    pub(super) fn is_begun(&self) -> bool {
        !self.shards.is_empty()
    }

    /// Frees the memory it holds. It goes on later, after the last name it has written.
    pub(super) fn pause(&mut self) {
        let last = self.last.take();
        *self = Self { last, is_open: self.is_open, ..Self::new(self.kind) };
    }

    /// Does a part of the work. Returns `true` once the object and its `END` are written.
    pub(super) fn step(&mut self, view: &mut View<'_>, out: &mut Vec<u8>) -> bool {
        match self.stage {
            DumpStage::Sorting if self.shards.len() < Table::shards() => {
                self.sort_shard(view.engine.table());
                false
            }
            DumpStage::Sorting => {
                self.begin(view, out);
                false
            }
            DumpStage::Merging => self.merge(view, out),
        }
    }

    /// Sorts the names of the next shard that are still to be written.
    fn sort_shard(&mut self, table: &Table) {
        let mut names: Vec<(&[u8], SeriesSlot)> = table
            .in_shard(self.shards.len(), self.kind)
            .map(|(slot, name)| (name, slot))
            .filter(|(name, _)| self.is_to_come(name))
            .collect();
        names.sort_unstable_by(|a, b| b.0.cmp(a.0));
        self.shards.push(names.into_iter().map(|(_, slot)| slot).collect());
    }

    /// Whether a name is after the last one written.
    fn is_to_come(&self, name: &[u8]) -> bool {
        self.last.as_deref().is_none_or(|last| last < name)
    }

    /// Fills the heap with the lowest name of each shard and of the own counters.
    fn begin(&mut self, view: &mut View<'_>, out: &mut Vec<u8>) {
        if self.kind == MetricKind::Counter {
            self.own = own_counters(view.engine.own(), view.engine.prefix_stats());
            let last = self.last.as_deref();
            self.own.retain(|(name, _)| last.is_none_or(|last| last < name));
        }
        for shard in 0..self.shards.len() {
            self.next_of_shard(shard, view.engine.table_mut());
        }
        self.next_own();
        self.stage = DumpStage::Merging;
        if !self.is_open {
            out.push(b'{');
            self.is_open = true;
        }
    }

    /// Writes the lowest names of the heap, up to the bounds of a step. Returns `true` at the end.
    fn merge(&mut self, view: &mut View<'_>, out: &mut Vec<u8>) -> bool {
        let full = out.len() + STEP_BYTES;
        for _ in 0..BATCH {
            if out.len() >= full {
                break;
            }
            let Some(Reverse((name, head))) = self.heads.pop() else {
                out.extend_from_slice(b"\n}\nEND\n\n");
                return true;
            };
            let start = out.len();
            out.extend_from_slice(if self.last.is_some() { b",\n" } else { b"\n" });
            put_string(&name, out);
            out.extend_from_slice(b": ");
            match head {
                Head::Own => {
                    let value = self.own.pop().map_or(0, |(_, value)| value);
                    put_number(value as f64, out);
                    self.next_own();
                }
                Head::Series(shard, slot) => {
                    match view.engine.table_mut().get_mut(shard, slot) {
                        Some((series, now)) => put_value(&series.open(now), out),
                        None => {
                            out.truncate(start); // deleted since its name was read
                            self.next_of_shard(shard, view.engine.table_mut());
                            continue;
                        }
                    }
                    self.next_of_shard(shard, view.engine.table_mut());
                }
            }
            self.last = Some(name);
        }
        false
    }

    /// Puts the next name of a shard into the heap. Series that were deleted meanwhile are skipped.
    fn next_of_shard(&mut self, shard: usize, table: &mut Table) {
        while let Some(slot) = self.shards[shard].pop() {
            if let Some((series, _)) = table.get_mut(shard, slot) {
                self.heads.push(Reverse((series.name().into(), Head::Series(shard, slot))));
                return;
            }
        }
    }

    /// Puts the next own counter into the heap.
    fn next_own(&mut self) {
        if let Some((name, _)) = self.own.last() {
            self.heads.push(Reverse((name.clone(), Head::Own)));
        }
    }
}

/// Returns the server's own counters. Node shows them among the counters, so this server does, too.
fn own_counters(own: &OwnCounters, prefix_stats: &str) -> Vec<(Box<[u8]>, u64)> {
    let name = |own: &str| format!("{prefix_stats}.{own}").into_bytes().into_boxed_slice();
    let mut counters: Vec<_> = own.open().map(|(own, count)| (name(own), count)).collect();
    counters.sort_unstable_by(|a, b| b.0.cmp(&a.0));
    counters
}

fn put_value(values: &Values<'_>, out: &mut Vec<u8>) {
    match values {
        Values::Counter(value) | Values::Gauge(value) => put_number(*value, out),
        Values::Set { members } => put_number(*members as f64, out),
        Values::Timing { samples, weight } if samples.len() > SAMPLES_MAX => {
            let lower = samples.iter().copied().fold(f64::INFINITY, f64::min);
            let upper = samples.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum = samples.iter().sum();
            let fields = [("count", *weight), ("sum", sum), ("lower", lower), ("upper", upper)];
            put_object(fields, out);
        }
        Values::Sketch(sketch) => {
            let all = sketch.moments();
            let lower = all.lower();
            let upper = all.upper();
            let fields =
                [("count", all.weight()), ("sum", all.sum()), ("lower", lower), ("upper", upper)];
            put_object(fields, out);
        }
        Values::Timing { samples, .. } => {
            out.push(b'[');
            for (at, sample) in samples.iter().enumerate() {
                if at > 0 {
                    out.extend_from_slice(b", ");
                }
                put_number(*sample, out);
            }
            out.push(b']');
        }
    }
}

fn put_object(fields: [(&str, f64); 4], out: &mut Vec<u8>) {
    for (at, (name, value)) in fields.into_iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"{" } else { b", " });
        put_string(name.as_bytes(), out);
        out.extend_from_slice(b": ");
        if value.is_finite() {
            put_number(value, out);
        } else {
            out.extend_from_slice(b"null");
        }
    }
    out.push(b'}');
}

/// Appends `bytes` as a JSON string. Bytes that are not UTF-8 (names taken raw may hold them)
/// become U+FFFD.
fn put_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for character in String::from_utf8_lossy(bytes).chars() {
        match character {
            '"' | '\\' => out.extend_from_slice(&[b'\\', character as u8]),
            '\0'..='\x1f' | '\x7f' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character)); // a Vec takes every write
            }
            _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// Appends a finite number.
fn put_number(value: f64, out: &mut Vec<u8>) {
    Number::new().append(value, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_that_json_needs_escaped_is() {
        for (bytes, text) in [
            (&b"a.b;k=v"[..], "\"a.b;k=v\""),
            (b"q\"b\\", "\"q\\\"b\\\\\""),
            (b"\t\x00\x7f", "\"\\u0009\\u0000\\u007f\""),
            ("caf\u{e9}".as_bytes(), "\"caf\u{e9}\""),
            (b"\xff", "\"\u{fffd}\""),
        ] {
            let mut out = Vec::new();
            put_string(bytes, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
