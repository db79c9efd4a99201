//! Warns if the limits of a configuration together exceed the memory of the machine or of the
//! cgroup. The kernel then kills the server, long before a limit refuses anything. Pure.

use super::context::{Lint, MemoryLimit};
use super::listeners::listening;
use crate::config::destination::Destination;
use crate::config::model::Config;
use crate::config::value::{Size, ValueKind as _};
use crate::protocol::PACKET_BYTES_MAX;

/// What the process has when it is idle: code, stack, the receive batch.
const IDLE_BYTES: u64 = 4 << 20;

/// The bytes of a series: a counter or a gauge with a name of 40 bytes, its entry in the index, and
/// the slack of both. Measured with a million series of each kind. Each byte of the name adds one.
/// A timer or a set takes 125 bytes more, and its samples, which `timer_memory` limits.
const SERIES_BYTES: u64 = 150;

/// The part of the memory that the suggested limits may use, in percent.
const USED_PERCENT: u64 = 90;

/// A value below this part of the configured one is suggested for one key alone only if all other
/// keys take less.
const USEFUL_PART: u64 = 20;

/// The least queue that is suggested. A shorter one has no room for the flushes that most
/// configurations retain for a resend.
const QUEUE_LEAST: u64 = 2 << 20;

/// A key that limits memory.
#[derive(Clone, Debug)]
struct MemoryPart {
    section: String,
    key: &'static str,
    /// The bytes of one unit of the value.
    unit: u64,
    value: u64,
    /// Whether the value is written as a size, such as 64m.
    is_size: bool,
    /// The least value that is suggested.
    least: u64,
}

impl MemoryPart {
    fn bytes(&self) -> u64 {
        self.value.saturating_mul(self.unit)
    }

    /// Returns the largest value that takes at most `bytes` and is easy to read. Returns `least` if
    /// that is more, and the value itself if it takes no more than `bytes`.
    fn within(&self, bytes: u64) -> u64 {
        if self.bytes() <= bytes {
            return self.value;
        }
        let value = bytes / self.unit.max(1);
        let rounded = if self.is_size { round_size(value) } else { round_count(value) };
        rounded.max(self.least).min(self.value)
    }

    fn shown(&self, value: u64) -> String {
        let value = usize::try_from(value).unwrap_or(usize::MAX);
        let size = Size(0..=usize::MAX);
        let text = if self.is_size { size.show(&value) } else { value.to_string() };
        format!("[{}] {} = {text}", self.section, self.key)
    }
}

pub(super) fn check(lint: &mut Lint<'_>) {
    let Some(MemoryLimit { bytes: limit, of }) = lint.surroundings.memory else { return };
    let parts = parts(lint);
    let fixed = fixed(lint.config);
    let total = total(&parts, fixed);
    if total <= limit {
        return;
    }
    let largest = parts.iter().max_by_key(|part| part.bytes()).expect("there are some");
    let reason = format!(
        "all limits together are {}, {} with [{}] {} alone, and {of} has {}",
        mib(total),
        mib(largest.bytes()),
        largest.section,
        largest.key,
        mib(limit)
    );
    let remedy = match suggestion(&parts, fixed, limit) {
        Some(values) => format!("write {}", values.join(", ")),
        None => format!("give it more memory, such as {}", mib(total + total / 10)),
    };
    let section = largest.section.clone();
    let key = largest.key;
    lint.warn(&section, key, reason, remedy);
}

/// Returns the keys that limit memory.
fn parts(lint: &Lint<'_>) -> Vec<MemoryPart> {
    let config = lint.config;
    let bounds = &config.bounds;
    let size = |section: &str, key, value: usize, least| MemoryPart {
        section: section.to_owned(),
        key,
        unit: 1,
        value: value as u64,
        is_size: true,
        least,
    };
    let count = |section: &str, key, value: usize, unit, least| MemoryPart {
        unit,
        is_size: false,
        ..size(section, key, value, least)
    };
    let mut parts = vec![
        count("limits", "max_series", bounds.max_series, SERIES_BYTES, 1000),
        size("statsd", "timer_memory", bounds.sample_memory, 1 << 20),
        size("statsd", "passthrough_memory", bounds.passthrough_memory, 256 << 10),
    ];
    let queued = config.active_destinations().filter(|to| has_queue_key(to));
    parts.extend(queued.map(|to| size(&to.name, "queue", to.queue.bytes, QUEUE_LEAST)));
    let connection = connection_bytes(lint);
    parts.push(count("tcp", "max_connections", config.tcp.max_connections, connection, 16));
    let sockets = config.udp.bind.len() + usize::from(config.unix.datagram.is_some());
    let buffer = size("udp", "recv_buffer", config.udp.recv_buffer, 256 << 10);
    parts.push(MemoryPart { unit: sockets as u64, ..buffer });
    parts
}

/// Returns the most bytes that one connection holds: a line, or a packet on a unix stream, whose
/// client may send the length of each packet before it. Returns 0 if no listener takes connections.
fn connection_bytes(lint: &Lint<'_>) -> u64 {
    let Config { tcp, unix, .. } = lint.config;
    let line = tcp.max_line as u64;
    if unix.stream.is_some() || lint.surroundings.has_passed_unix_stream {
        line.max(PACKET_BYTES_MAX as u64)
    } else if !listening(lint, "tcp").is_empty() {
        line
    } else {
        0
    }
}

fn has_queue_key(to: &Destination) -> bool {
    to.spooled_format().is_some()
}

/// Returns the bytes that do not depend on the keys of [`parts`].
fn fixed(config: &Config) -> u64 {
    let queues = config.active_destinations().filter(|to| !has_queue_key(to));
    queues.fold(IDLE_BYTES, |sum, to| sum.saturating_add(to.queue.bytes as u64))
}

fn total(parts: &[MemoryPart], fixed: u64) -> u64 {
    parts.iter().fold(fixed, |sum, part| sum.saturating_add(part.bytes()))
}

/// Returns the keys to lower and their values, so that all limits together fit. Returns `None` if
/// even the least values do not fit.
///
/// Only the largest key is lowered if that is enough. Otherwise the largest keys are lowered to
/// about the same number of bytes, and the small ones keep their values.
fn suggestion(parts: &[MemoryPart], fixed: u64, limit: u64) -> Option<Vec<String>> {
    let most = limit / 100 * USED_PERCENT;
    let largest = parts.iter().max_by_key(|part| part.bytes())?;
    let others = total(parts, fixed) - largest.bytes();
    let room = most.saturating_sub(others);
    let alone = largest.within(room);
    // A value far below that of the file is of little use, unless the others are smaller still.
    let is_useful = alone >= largest.value / USEFUL_PART
        || parts.iter().all(|part| std::ptr::eq(part, largest) || part.bytes() <= room);
    if is_useful && alone.saturating_mul(largest.unit) <= room {
        return Some(vec![largest.shown(alone)]);
    }
    let fits = |level: u64| {
        let bytes = |part: &MemoryPart| part.within(level).saturating_mul(part.unit);
        parts.iter().fold(fixed, |sum, part| sum.saturating_add(bytes(part))) <= most
    };
    if !fits(0) {
        return None;
    }
    // The sum grows with the level, so the largest level that fits is found by bisection.
    let mut low = 0;
    let mut high = largest.bytes();
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) { low = middle } else { high = middle }
    }
    let lowered = parts.iter().map(|part| (part, part.within(low)));
    let changed = lowered.filter(|(part, value)| *value != part.value);
    Some(changed.map(|(part, value)| part.shown(value)).collect())
}

/// Rounds a size down to one that people write: 1, 2, 3, 4, 6, 8, 12, 16, 24 … of its unit. Not 1.5
/// of it, which is shown as 1536 of the unit below.
fn round_size(bytes: u64) -> u64 {
    let log = bytes.checked_ilog2().unwrap_or(0);
    let step = 1 << if log.is_multiple_of(10) { log } else { log - 1 };
    bytes / step * step
}

/// Rounds a number down to one that people write, such as 1500, 2000 or 75000.
fn round_count(count: u64) -> u64 {
    let digit = 10_u64.pow(count.checked_ilog10().unwrap_or(0));
    let step = (digit / 2).max(1);
    count / step * step
}

/// Returns a number of bytes for readers, in MiB.
fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}
