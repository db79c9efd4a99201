//! Derives the limits of memory that the file leaves empty from one number, `[limits] max_memory`.
//! Pure.
//!
//! ```text
//!  max_memory, else half of the memory of the machine or of the cgroup, and no more than its
//!  clients leave
//!    − the limits that have a value, and the idle process
//!    = the rest: the allocator gets a third, and the derived limits share two thirds, in
//!      proportion to the largest value of each
//! ```

use super::destination::{Destination, DestinationKind};
use super::ini::GivenSettings;
use super::key::Key;
use super::keys::KEYS;
use super::model::Config;
use super::sections::indices;
use crate::memory_limit::MemoryLimit;
use crate::protocol::PACKET_BYTES_MAX;

/// What the process has when it is idle: code, stack, the receive batch.
const IDLE_BYTES: u64 = 4 << 20;

/// What the encoder of a `[ganglia]` destination remembers of the metrics, beside its queue.
const GANGLIA_BYTES: u64 = 2 << 20;

/// What an admin client has at most: an answer and a command, and what the kernel holds of the
/// answer.
const ADMIN_CLIENT_BYTES: u64 = 192 << 10;

/// What the kernel has for a connection, beside the bytes that wait in it.
const SOCKET_BYTES: u64 = 4 << 10;

/// The least queue of a destination that has no key for it. A shorter one may have no room for a
/// flush.
const QUEUE_LEAST: u64 = 2 << 20;

/// Each derived limit is the same number of steps, of this many from nothing to its largest value.
const STEPS: u64 = 1024;

/// A key that limits memory, in a section of a configuration.
#[derive(Clone, Debug)]
pub(super) struct MemoryKey {
    pub(super) header: String,
    pub(super) name: &'static str,
    /// The bytes of one unit of the value, such as those of one connection.
    pub(super) unit: u64,
    /// The most bytes that the key allows.
    pub(super) bytes: u64,
}

impl MemoryKey {
    fn of(header: &str, name: &'static str, unit: u64, count: usize) -> Self {
        let bytes = unit.saturating_mul(count as u64);
        Self { header: header.into(), name, unit, bytes }
    }
}

/// A limit that the file does not set.
struct DerivedLimit {
    /// `None` for the queue of a destination that has no key for it.
    key: Option<&'static Key>,
    /// The index of the section of the key, or of the destination.
    at: usize,
    least: u64,
    most: u64,
}

impl DerivedLimit {
    /// Returns the value after this many steps, in a whole number of units that people write.
    fn after(&self, steps: u64) -> u64 {
        let bytes = self.most / STEPS * steps;
        let unit = if bytes < 8 << 20 { 64 << 10 } else { 1 << 20 };
        (bytes / unit * unit).max(self.least).min(self.most)
    }

    fn set(&self, config: &mut Config, bytes: u64) {
        let limit = match self.key {
            Some(key) => key.size_mut(config, self.at),
            None => Some(&mut config.destinations[self.at].queue.bytes),
        };
        *limit.expect("a derived key is a size") = usize::try_from(bytes).unwrap_or(usize::MAX);
    }
}

/// Sets each derived limit that has no value, to at most its default. All limits together, with
/// what the allocator holds, take at most `max_memory`.
///
/// Without `max_memory` they take at most half of the memory of the machine, and no more than all
/// clients that may connect leave of it. The rest is for these clients, receive buffers and other
/// programs.
///
/// Fails if `max_memory` is set and the limits that have a value exceed it.
pub(super) fn derive(
    config: &mut Config,
    given: &GivenSettings,
    machine: Option<MemoryLimit>,
) -> Result<(), String> {
    let clients: u64 = client_keys(config, false).iter().map(|key| key.bytes).sum();
    let half = machine.map(|limit| (limit.bytes / 2).min(limit.bytes.saturating_sub(clients)));
    let Some(most) = config.max_memory.map(|bytes| bytes as u64).or(half) else { return Ok(()) };
    let derived = derived_limits(config, given);
    let largest: u64 = derived.iter().map(|limit| limit.most).sum();
    let room = most.saturating_sub(derivable_bytes(config).saturating_sub(largest));
    // A freed block cannot always be used for a block of another size. The allocator was seen to
    // hold a half more than is in use.
    let room = room / 3 * 2;
    let fits = |steps: &u64| derived.iter().map(|limit| limit.after(*steps)).sum::<u64>() <= room;
    let steps = (0..=STEPS).rev().find(fits).unwrap_or(0);
    for limit in &derived {
        limit.set(config, limit.after(steps));
    }
    let total = derivable_bytes(config);
    if config.max_memory.is_none() || total <= most {
        return Ok(());
    }
    let keys = derivable_keys(config);
    let is_given = |key: &&MemoryKey| given.has_value(&key.header, key.name);
    let largest = keys.iter().filter(is_given).max_by_key(|key| key.bytes);
    let reason = match largest {
        Some(MemoryKey { header, name, bytes, .. }) => format!(
            "the limits together are {}, {} with [{header}] {name} alone; lower or empty [{header}] \
             {name}",
            mib(total),
            mib(*bytes)
        ),
        None => {
            let needed = total.div_ceil(1 << 20);
            return Err(format!(
                "with all limits at their smallest the server takes {needed} MiB; write at least \
                 {needed}m here"
            ));
        }
    };
    Err(format!("{reason}, or write at least {}m here", total.div_ceil(1 << 20)))
}

/// Returns the derived limits without a value.
fn derived_limits(config: &Config, given: &GivenSettings) -> Vec<DerivedLimit> {
    let mut derived = Vec::new();
    each_derived(config, &mut |key, header, at, most| {
        if !given.has_value(header, key.name) {
            let least = (key.least_derived.unwrap_or(0) as u64).min(most);
            derived.push(DerivedLimit { key: Some(key), at, least, most });
        }
    });
    for (at, to) in config.destinations.iter().enumerate().filter(|(_, to)| has_fixed_queue(to)) {
        let most = to.queue.bytes as u64;
        derived.push(DerivedLimit { key: None, at, least: QUEUE_LEAST.min(most), most });
    }
    derived
}

/// Calls `out` with each derived key in each section that has it, the header and the index of the
/// section, and the value.
fn each_derived(config: &Config, out: &mut dyn FnMut(&'static Key, &str, usize, u64)) {
    for key in KEYS.iter().filter(|key| key.is_derived()) {
        for (header, at) in key.uses.iter().flat_map(|used| indices(used.section, config)) {
            out(key, &header, at, key.size(config, at).unwrap_or(0) as u64);
        }
    }
}

/// Returns the derived keys in each section, with or without a value.
fn derivable_keys(config: &Config) -> Vec<MemoryKey> {
    let mut keys = Vec::new();
    each_derived(config, &mut |key, header, _, bytes| {
        keys.push(MemoryKey { header: header.into(), name: key.name, unit: 1, bytes });
    });
    keys
}

/// Returns the bytes of the limits that can be derived, with or without a value, and of the idle
/// process.
fn derivable_bytes(config: &Config) -> u64 {
    with_fixed(config, &derivable_keys(config))
}

/// Returns the keys that limit memory. `takes_packets` is as for [`client_keys`].
pub(super) fn memory_keys(config: &Config, takes_packets: bool) -> Vec<MemoryKey> {
    let mut keys = derivable_keys(config);
    keys.extend(client_keys(config, takes_packets));
    let sockets = config.udp.bind.len() + usize::from(config.unix.datagram.is_some());
    keys.push(MemoryKey::of("udp", "recv_buffer", sockets as u64, config.udp.recv_buffer));
    keys
}

/// Returns the keys that limit the number of clients. `takes_packets` is whether a unix stream was
/// passed in. Its clients may send the length of each packet before it, so each connection then
/// holds a packet, else a line.
fn client_keys(config: &Config, takes_packets: bool) -> [MemoryKey; 2] {
    let Config { tcp, unix, admin, .. } = config;
    let line = if takes_packets || unix.stream.is_some() {
        tcp.max_line.max(PACKET_BYTES_MAX)
    } else {
        tcp.max_line
    };
    let connection = line as u64 + SOCKET_BYTES;
    [
        MemoryKey::of("tcp", "max_connections", connection, tcp.max_connections),
        MemoryKey::of("admin", "max_connections", ADMIN_CLIENT_BYTES, admin.max_connections),
    ]
}

/// Returns the bytes that these keys allow, with those that no key limits: of the idle process, of
/// the queues that have no key, and of the metrics of Ganglia.
pub(super) fn with_fixed(config: &Config, keys: &[MemoryKey]) -> u64 {
    let queues = config.destinations.iter().filter(|to| has_fixed_queue(to));
    let fixed = queues.fold(IDLE_BYTES, |sum, to| {
        let is_ganglia = matches!(to.kind, DestinationKind::Ganglia(_));
        let metrics = if is_ganglia { GANGLIA_BYTES } else { 0 };
        sum.saturating_add(to.queue.bytes as u64 + metrics)
    });
    keys.iter().fold(fixed, |sum, key| sum.saturating_add(key.bytes))
}

/// Whether a destination is on, and no key sets the size of its queue.
fn has_fixed_queue(to: &Destination) -> bool {
    to.is_on() && to.spooled_format().is_none()
}

/// Returns a number of bytes for readers, in MiB.
pub(super) fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::overrides::Overrides;
    use super::super::parse::parse_with_places;
    use super::super::render;
    use super::*;

    fn derived(text: &str, mib: u64) -> Result<Config, String> {
        let parsed = parse_with_places(Path::new("t.conf"), text.as_bytes(), &Overrides::NONE);
        let (mut config, given) = parsed.expect(text);
        let machine = MemoryLimit { bytes: mib << 20, of: "the machine" };
        derive(&mut config, &given, Some(machine)).map(|()| config)
    }

    #[test]
    fn a_large_machine_has_the_largest_limits() {
        for mib in [1536, 1 << 20] {
            assert_eq!(derived("", mib).unwrap(), Config::default());
        }
        assert_eq!(
            derived("[limits]\nmax_memory = 1g", 1).unwrap().bounds,
            Config::default().bounds
        );
    }

    #[test]
    fn on_a_small_one_they_take_half_of_the_memory_with_what_the_allocator_holds() {
        for mib in [64, 100, 128, 200, 256, 512, 800] {
            let config = derived("", mib).unwrap();
            let total = derivable_bytes(&config) - IDLE_BYTES;
            let most = ((mib << 20) / 2 - IDLE_BYTES) / 3 * 2;
            assert!(total <= most && total > most - (6 << 20), "{mib}: {total}");
        }
        let config = derived("", 256).unwrap();
        let megabytes = |bytes: usize| bytes >> 20;
        assert_eq!(megabytes(config.bounds.series_memory), 52);
        assert_eq!(megabytes(config.bounds.sample_memory), 13);
        let rendered = render(&config);
        assert!(rendered.contains("\nseries_memory = 52m\n"), "{rendered}");
    }

    #[test]
    fn a_value_wins_and_an_empty_one_is_derived() {
        let text = "[limits]\nmax_memory = 100m\nseries_memory =\n[statsd]\ntimer_memory = 40m\n\
                    [carbon]\nqueue =\n[carbon.b]\naddress = b\nqueue = 3m";
        let config = derived(text, 1).unwrap();
        assert_eq!(config.bounds.sample_memory, 40 << 20);
        let queues: Vec<_> = config.active_destinations().map(|to| to.queue.bytes >> 20).collect();
        assert_eq!(queues, [6, 3]);
        assert!(derivable_bytes(&config) <= 100 << 20);
    }

    #[test]
    fn limits_with_values_that_exceed_max_memory_are_a_mistake_only_if_it_is_set() {
        let text = "[statsd]\ntimer_memory = 200m\n";
        let mistake = derived(&format!("{text}[limits]\nmax_memory = 128m"), 1).unwrap_err();
        let expected = "the limits together are 208 MiB, 200 MiB with [statsd] timer_memory alone; \
                        lower or empty [statsd] timer_memory, or write at least 208m here";
        assert_eq!(mistake, expected);
        let config = derived(text, 64).unwrap();
        assert_eq!(config.bounds.sample_memory, 200 << 20);
        assert_eq!(config.bounds.series_memory, 1 << 20, "the least");
    }
}
