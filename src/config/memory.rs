//! Derives the limits of memory that the file leaves empty from one number, `[limits] max_memory`.
//! Pure.
//!
//! ```text
//!  max_memory, without the clients that may connect, which get at most half of it;
//!  else half of the memory of the machine or of the cgroup, and the clients what is left
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

/// The key that limits the number of clients.
const CLIENTS: &str = "max_connections";

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

/// A limit that the file does not set.
struct DerivedLimit {
    /// `None` for the queue of a destination that has no key for it.
    key: Option<&'static Key>,
    /// The index of the section of the key, or of the destination.
    at: usize,
    /// The bytes of one of `least` and `most`: more than one for a number of clients.
    unit: u64,
    least: u64,
    most: u64,
}

impl DerivedLimit {
    fn is_of_clients(&self) -> bool {
        self.unit > 1
    }

    /// Returns the value after this many steps. Bytes are in a whole number of units that people
    /// write.
    fn after(&self, steps: u64) -> u64 {
        let value = self.most * steps / STEPS;
        let step = match value {
            _ if self.is_of_clients() => 1,
            0..=0x7f_ffff => 64 << 10,
            _ => 1 << 20,
        };
        (value / step * step).max(self.least).min(self.most)
    }

    fn set(&self, config: &mut Config, value: u64) {
        let limit = match self.key {
            Some(key) => key.number_mut(config, self.at),
            None => Some(&mut config.destinations[self.at].queue.bytes),
        };
        *limit.expect("a derived key is a number") = usize::try_from(value).unwrap_or(usize::MAX);
    }
}

/// Sets the limits of clients, or all others, to the largest values with which they take at most
/// `room` bytes together, or to their least.
fn share(config: &mut Config, derived: &[DerivedLimit], of_clients: bool, room: u64) {
    let limits = || derived.iter().filter(|limit| limit.is_of_clients() == of_clients);
    let bytes = |steps| limits().map(|limit| limit.after(steps) * limit.unit).sum::<u64>();
    let steps = (0..=STEPS).rev().find(|steps| bytes(*steps) <= room).unwrap_or(0);
    limits().for_each(|limit| limit.set(config, limit.after(steps)));
}

/// Sets each derived limit that has no value.
///
/// With `max_memory` they take at most that together with the limits that have a value, the clients
/// that may connect, and what the allocator holds. Without it they take at most half of the memory
/// of the machine. The other half is for clients, receive buffers and other programs.
///
/// Fails if `max_memory` is set and the limits that have a value exceed it.
pub(super) fn derive(
    config: &mut Config,
    given: &GivenSettings,
    machine: Option<MemoryLimit>,
) -> Result<(), String> {
    let set = config.max_memory.map(|bytes| bytes as u64);
    let Some(most) = set.or_else(|| machine.map(|limit| limit.bytes)) else { return Ok(()) };
    let derived = derived_limits(config, given);
    derived.iter().for_each(|limit| limit.set(config, 0));
    let given_clients = client_bytes(config);
    let fixed = derivable_bytes(config) - given_clients;
    // A freed block cannot always be used for a block of another size. The allocator was seen to
    // hold a half more than is in use.
    let room = |bytes: u64| bytes.saturating_sub(fixed) / 3 * 2;
    let half = most / 2;
    share(config, &derived, false, room(half.min(most.saturating_sub(given_clients))));
    let kernel = if set.is_some() { 0 } else { recv_buffers(config).bytes };
    let others = kernel + half.max(derivable_bytes(config) - given_clients);
    share(config, &derived, true, most.saturating_sub(others + given_clients));
    if set.is_none() {
        return Ok(());
    }
    share(config, &derived, false, room(most.saturating_sub(client_bytes(config))));
    let total = derivable_bytes(config);
    if total <= most {
        return Ok(());
    }
    let keys = derivable_keys(config, false);
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
            let unit = unit(config, header, key, false);
            let least = (key.least_derived.unwrap_or(0) as u64).min(most);
            derived.push(DerivedLimit { key: Some(key), at, unit, least, most });
        }
    });
    for (at, to) in config.destinations.iter().enumerate().filter(|(_, to)| has_fixed_queue(to)) {
        let most = to.queue.bytes as u64;
        derived.push(DerivedLimit { key: None, at, unit: 1, least: QUEUE_LEAST.min(most), most });
    }
    derived
}

/// Calls `out` with each derived key in each section that has it, the header and the index of the
/// section, and the value.
fn each_derived(config: &Config, out: &mut dyn FnMut(&'static Key, &str, usize, u64)) {
    for key in KEYS.iter().filter(|key| key.is_derived()) {
        for (header, at) in key.uses.iter().flat_map(|used| indices(used.section, config)) {
            out(key, &header, at, key.number(config, at).unwrap_or(0) as u64);
        }
    }
}

/// Returns the bytes that one of a derived key's value allows. `takes_packets` is whether a unix
/// stream was passed in. Its clients may send the length of each packet before it, so each
/// connection then holds a packet, else a line.
fn unit(config: &Config, header: &str, key: &Key, takes_packets: bool) -> u64 {
    match (header, key.name) {
        ("admin", CLIENTS) => ADMIN_CLIENT_BYTES,
        (_, CLIENTS) if takes_packets || config.unix.stream.is_some() => {
            config.tcp.max_line.max(PACKET_BYTES_MAX) as u64 + SOCKET_BYTES
        }
        (_, CLIENTS) => config.tcp.max_line as u64 + SOCKET_BYTES,
        _ => 1,
    }
}

/// Returns the derived keys in each section, with or without a value. `takes_packets` is as for
/// [`unit`].
fn derivable_keys(config: &Config, takes_packets: bool) -> Vec<MemoryKey> {
    let mut keys = Vec::new();
    each_derived(config, &mut |key, header, _, count| {
        let unit = unit(config, header, key, takes_packets);
        let bytes = unit.saturating_mul(count);
        keys.push(MemoryKey { header: header.into(), name: key.name, unit, bytes });
    });
    keys
}

/// Returns the bytes of the limits that can be derived, with or without a value, and of the idle
/// process.
fn derivable_bytes(config: &Config) -> u64 {
    with_fixed(config, &derivable_keys(config, false))
}

/// Returns the bytes of all clients that may connect.
fn client_bytes(config: &Config) -> u64 {
    let keys = derivable_keys(config, false);
    keys.iter().filter(|key| key.name == CLIENTS).map(|key| key.bytes).sum()
}

/// Returns the keys that limit memory. `takes_packets` is as for [`unit`].
pub(super) fn memory_keys(config: &Config, takes_packets: bool) -> Vec<MemoryKey> {
    let mut keys = derivable_keys(config, takes_packets);
    keys.push(recv_buffers(config));
    keys
}

/// Returns the key for the memory that the kernel has for datagrams.
pub(super) fn recv_buffers(config: &Config) -> MemoryKey {
    let unit = (config.udp.bind.len() + usize::from(config.unix.datagram.is_some())) as u64;
    let bytes = unit.saturating_mul(config.udp.recv_buffer as u64);
    MemoryKey { header: String::from("udp"), name: "recv_buffer", unit, bytes }
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
            let total = derivable_bytes(&config) - client_bytes(&config) - IDLE_BYTES;
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
        assert_eq!(queues, [2, 3]);
        assert!(derivable_bytes(&config) <= 100 << 20);
    }

    /// Shows that the clients fit beside the limits, with the receive buffer if the memory is that
    /// of the machine, and that none of them is turned away where there is room for all.
    #[test]
    fn clients_count_too() {
        let clients = |config: &Config| (config.tcp.max_connections, config.admin.max_connections);
        for mib in [10, 12, 16, 24, 32, 48, 63, 64, 79, 80, 100] {
            let machine = derived("", mib).unwrap();
            let set = derived(&format!("[limits]\nmax_memory = {mib}m"), 1).unwrap();
            let kernel = recv_buffers(&machine).bytes;
            for (config, outside, all_fit) in [(&machine, kernel, 80), (&set, 0, 64)] {
                let total = derivable_bytes(config) + outside;
                let least = outside + (10 << 20);
                assert!(total <= (mib << 20).max(least), "{mib}: {total}");
                assert!(client_bytes(config) <= (mib << 20) / 2, "{mib}");
                assert_eq!(clients(config) == (1024, 64), mib >= all_fit, "{mib}: {config:#?}");
            }
        }
        let small = clients(&derived("[limits]\nmax_memory = 32m", 1).unwrap());
        assert_eq!(small, (512, 32));
        let given = derived("[tcp]\nmax_connections = 900\n", 32).unwrap();
        assert_eq!(clients(&given), (900, 4));
    }

    #[test]
    fn limits_with_values_that_exceed_max_memory_are_a_mistake_only_if_it_is_set() {
        let text = "[statsd]\ntimer_memory = 200m\n";
        let mistake = derived(&format!("{text}[limits]\nmax_memory = 128m"), 1).unwrap_err();
        let expected = "the limits together are 209 MiB, 200 MiB with [statsd] timer_memory alone; \
                        lower or empty [statsd] timer_memory, or write at least 209m here";
        assert_eq!(mistake, expected);
        let text_of_clients = "[limits]\nmax_memory = 64m\n[tcp]\nmax_connections = 10000";
        let mistake = derived(text_of_clients, 1).unwrap_err();
        assert!(mistake.contains("lower or empty [tcp] max_connections"), "{mistake}");
        let config = derived(text, 64).unwrap();
        assert_eq!(config.bounds.sample_memory, 200 << 20);
        assert_eq!(config.bounds.series_memory, 1 << 20, "the least");
    }
}
