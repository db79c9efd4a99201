//! Warns if the limits of a configuration together exceed the memory of the machine or of the
//! cgroup. The kernel then kills the server, long before a limit refuses anything. Pure.
//!
//! Limits that the file leaves empty are derived so that they fit. So only limits with a value can
//! exceed the memory.

use super::context::Lint;
use crate::config::memory::{MemoryKey, memory_keys, mib, recv_buffers, with_fixed};
use crate::config::value::size_text;
use crate::memory_limit::MemoryLimit;

/// The part of the memory that the suggested limit may use, in percent.
const USED_PERCENT: u64 = 90;

pub(super) fn check(lint: &mut Lint<'_>) {
    let Some(MemoryLimit { bytes: limit, of }) = lint.surroundings.memory else { return };
    let keys = memory_keys(lint.config, lint.surroundings.has_passed_unix_stream);
    let total = with_fixed(lint.config, &keys);
    if total <= limit {
        return;
    }
    let is_given = |key: &&MemoryKey| lint.given.has_value(&key.header, key.name);
    let given = keys.iter().filter(is_given).max_by_key(|key| key.bytes);
    let largest = given.or_else(|| keys.iter().max_by_key(|key| key.bytes));
    let MemoryKey { header, name: key, unit, bytes } = largest.expect("there are some").clone();
    let reason = format!(
        "all limits together are {}, {} with [{header}] {key} alone, and {of} has {}",
        mib(total),
        mib(bytes),
        mib(limit)
    );
    if given.is_none() && lint.given.has_value("limits", "max_memory") {
        let fitting = limit.saturating_sub(recv_buffers(lint.config).bytes);
        let reason = format!("all limits together are {}, and {of} has {}", mib(total), mib(limit));
        let remedy = format!("write [limits] max_memory = {}", size_text(fitting >> 20 << 20));
        return lint.warn("limits", "max_memory", reason, remedy);
    }
    let room = (limit / 100 * USED_PERCENT).saturating_sub(total - bytes) / unit.max(1);
    let remedy = if given.is_none() || room == 0 {
        format!("lower the limits, or give it more memory, such as {}", mib(total + total / 10))
    } else if key == "max_connections" {
        format!("write [{header}] {key} = {}", round_count(room))
    } else {
        format!("write [{header}] {key} = {}", size_text(round_size(room)))
    };
    lint.warn(&header, key, reason, remedy);
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
