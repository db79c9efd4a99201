//! `counters`, `timers`, `gauges`, `sets`: the open interval as one JSON object, with sorted keys.
//!
//! Each entry has a line of its own, because scripts and Datadog's agent count the lines.
//!
//! If a client does not read and another dump waits, the client's dump is paused. It frees its
//! memory, except for the last name that it has written, and later begins again after that name.

use super::json::{put_number, put_string};
use super::sorted::SortedNames;
use super::view::View;
use crate::few::sort_few;
use crate::ledger::OwnCounters;
use crate::protocol::MetricKind;
use crate::series::Values;

/// A dump of one kind of series, in progress.
#[derive(Debug)]
pub(super) struct Dump {
    kind: MetricKind,
    names: SortedNames,
    /// The server's own counters, which are no series, the lowest name last. `None` until all names
    /// are sorted.
    own: Option<Vec<(Box<[u8]>, u64)>>,
    /// The last name written.
    last: Option<Box<[u8]>>,
    /// The start of the object is written.
    is_open: bool,
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
            names: SortedNames::new(kind, Box::default()),
            own: None,
            last: None,
            is_open: false,
        }
    }

    /// Whether the dump has begun to sort, and so holds memory.
    pub(super) fn is_begun(&self) -> bool {
        self.names.is_begun()
    }

    /// The bytes that the walk over the series holds.
    pub(super) fn bytes(&self) -> usize {
        self.names.bytes()
    }

    /// Frees the memory it holds. It goes on later, after the last name it has written.
    pub(super) fn pause(&mut self) {
        let last = self.last.take();
        *self = Self { last, is_open: self.is_open, ..Self::new(self.kind) };
    }

    /// Does a part of the work. Returns `true` once the object and its `END` are written.
    pub(super) fn step(&mut self, view: &mut View<'_>, out: &mut Vec<u8>) -> bool {
        if self.own.is_some() {
            return self.merge(view, out);
        }
        if self.names.sort(view.server.engine.table_mut(), self.last.as_deref()) {
            self.begin(view, out);
        }
        false
    }

    /// Collects the own counters that are still to be written.
    fn begin(&mut self, view: &View<'_>, out: &mut Vec<u8>) {
        let mut own = Vec::new();
        if self.kind == MetricKind::Counter {
            own = own_counters(view.server.engine.own(), view.server.engine.prefix_stats());
            own.retain(|(name, _)| self.last.as_ref().is_none_or(|last| last < name));
        }
        self.own = Some(own);
        if !self.is_open {
            out.push(b'{');
            self.is_open = true;
        }
    }

    /// Writes the lowest names that are left, up to the bounds of a step. Returns `true` at the
    /// end.
    fn merge(&mut self, view: &mut View<'_>, out: &mut Vec<u8>) -> bool {
        let full = out.len() + STEP_BYTES;
        let own = self.own.as_mut().expect("collected before the merge");
        for _ in 0..BATCH {
            if out.len() >= full {
                break;
            }
            let start = out.len();
            let is_own = match (self.names.peek(), own.last()) {
                (None, None) => {
                    out.extend_from_slice(b"\n}\nEND\n\n");
                    return true;
                }
                (Some(name), Some((own, _))) => &**own < name,
                (name, _) => name.is_none(),
            };
            out.extend_from_slice(if self.last.is_some() { b",\n" } else { b"\n" });
            if is_own && let Some((name, value)) = own.pop() {
                put_key(&name, out);
                put_number(value as f64, out);
                self.last = Some(name);
                continue;
            }
            let table = view.server.engine.table_mut();
            let Some(next) = self.names.next(table) else {
                out.truncate(start);
                continue;
            };
            match table.visit_one(next.place) {
                Some(visited) => {
                    put_key(&next.name, out);
                    put_value(&visited.series.open(visited.tick), out);
                    self.last = Some(next.name);
                }
                None => out.truncate(start), // deleted since its name was read
            }
        }
        false
    }
}

/// Returns the server's own counters. Node shows them among the counters, so this server does, too.
fn own_counters(own: &OwnCounters, prefix_stats: &str) -> Vec<(Box<[u8]>, u64)> {
    let name = |own: &str| format!("{prefix_stats}.{own}").into_bytes().into_boxed_slice();
    let mut counters: Vec<_> = own.open().map(|(own, count)| (name(own), count)).collect();
    sort_few(&mut counters, |a, b| b.0.cmp(&a.0));
    counters
}

fn put_key(name: &[u8], out: &mut Vec<u8>) {
    put_string(name, out);
    out.extend_from_slice(b": ");
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
