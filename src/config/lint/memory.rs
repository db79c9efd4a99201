//! Warns if the limits of a configuration together exceed the memory of the machine or of the
//! cgroup. The kernel then kills the server, long before a limit refuses anything. Pure.

use super::context::{Lint, MemoryLimit};
use crate::config::destination::Destination;
use crate::config::model::Config;
use crate::config::value::{Size, ValueKind as _};

/// What the process has when it is idle: code, stack, the receive batch.
const IDLE_BYTES: u64 = 4 << 20;

/// The bytes of a series: a counter or a gauge with a name of 40 bytes, its entry in the index, and
/// the slack of both. Measured with a million series of each kind. Each byte of the name adds one.
/// A timer or a set takes 125 bytes more, and its samples, which `timer_memory` limits.
const SERIES_BYTES: u64 = 150;

/// The part of the memory that the suggested limits may use, in percent.
const USED_PERCENT: u64 = 90;

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

    /// Returns the value that takes this part, in per mille, of the bytes. Rounded down to a number
    /// that is easy to read.
    fn scaled(&self, permille: u64) -> u64 {
        let value = u64::try_from(u128::from(self.value) * u128::from(permille) / 1000);
        let value = value.unwrap_or(u64::MAX);
        let step = if !self.is_size {
            10_u64.pow(value.checked_ilog10().unwrap_or(0).saturating_sub(1))
        } else if value >= 1 << 20 {
            1 << 20
        } else {
            1 << 10
        };
        let rounded = value / step * step;
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
    let parts = parts(lint.config);
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

/// Returns the keys that limit memory. The last ones, from [`SMALL`] on, limit the input, and are
/// lowered only if the others are not enough.
fn parts(config: &Config) -> Vec<MemoryPart> {
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
    parts.extend(queued.map(|to| size(&to.name, "queue", to.queue.bytes, 1 << 20)));
    let has_streams = !config.tcp.bind.is_empty() || config.unix.stream.is_some();
    let line = if has_streams { config.tcp.max_line as u64 } else { 0 };
    parts.push(count("tcp", "max_connections", config.tcp.max_connections, line, 16));
    let sockets = config.udp.bind.len() + usize::from(config.unix.datagram.is_some());
    let buffer = size("udp", "recv_buffer", config.udp.recv_buffer, 256 << 10);
    parts.push(MemoryPart { unit: sockets as u64, ..buffer });
    parts
}

/// The number of the parts that limit the input.
const SMALL: usize = 2;

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
fn suggestion(parts: &[MemoryPart], fixed: u64, limit: u64) -> Option<Vec<String>> {
    let most = limit / 100 * USED_PERCENT;
    let large = parts.len() - SMALL;
    let try_to_lower = |count: usize| {
        (1..1000).rev().find_map(|permille| {
            let lowered = parts.iter().enumerate().map(|(at, part)| {
                let value = if at < count { part.scaled(permille) } else { part.value };
                MemoryPart { value, ..part.clone() }
            });
            let lowered: Vec<MemoryPart> = lowered.collect();
            (total(&lowered, fixed) <= most).then_some(lowered)
        })
    };
    // A series limit below a twentieth of the configured one is of little use. Then the limits of
    // the input are lowered, too.
    let is_enough = |lowered: &Vec<MemoryPart>| lowered[0].value >= parts[0].value / 20;
    let lowered = try_to_lower(large).filter(is_enough).or_else(|| try_to_lower(parts.len()))?;
    let changed = parts.iter().zip(&lowered).filter(|(before, after)| before.value != after.value);
    Some(changed.map(|(_, part)| part.shown(part.value)).collect())
}

/// Returns a number of bytes for readers, in MiB.
fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}
