//! The workloads that servers are compared with.

use statsd_bench::{Mix, Packing, Plan, Workload};

use super::profile::Transport;

#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) transport: Transport,
    pub(crate) workload: Workload,
    /// Lines a second, at the moderate rate.
    pub(crate) rate: u64,
    /// Measured from the first line on, when no name is known. Such a load has a cost only.
    pub(crate) is_cold: bool,
}

impl Load {
    /// Every name once, for at least a second.
    pub(crate) fn warm(&self) -> Plan {
        Plan::lines(self.warm_lines()).at(self.rate)
    }

    pub(crate) fn warm_lines(&self) -> u64 {
        // A type with a small share of the lines also has a small share of the names, because a
        // pass has each name twice.
        if self.is_cold { 0 } else { self.rate.max(self.workload.names as u64) }
    }
}

pub(crate) fn all() -> Vec<Load> {
    let mixed = Workload::default();
    let load = |name, about, workload| Load {
        name,
        about,
        transport: Transport::Udp,
        workload,
        rate: 200_000,
        is_cold: false,
    };
    let clients = |name, about, names| Load {
        transport: Transport::Unix,
        rate: 50_000,
        ..load(name, about, contexts(names))
    };
    let alone = Workload { mix: Mix::COUNTERS, packing: Packing::Lines(1), ..mixed.clone() };
    let tagged = Workload { tags: true, ..mixed.clone() };
    let names = |names| Workload { names, ..mixed.clone() };
    vec![
        Load { rate: 50_000, ..load("W1", "one counter a packet, 1,000 names", alone) },
        load("W2", "1,432-byte packets, mixed types, 1,000 names", mixed.clone()),
        load("W3", "as W2, 100,000 names", names(100_000)),
        Load { is_cold: true, ..load("W3 cold", "W3 from the first line on", names(100_000)) },
        Load { transport: Transport::Tcp, ..load("W4", "as W2, over TCP", mixed.clone()) },
        load("W5", "as W2, three tags", tagged),
        load("W6", "as W2, 1,000,000 names", names(1_000_000)),
        clients("W7", "10,000 contexts of Datadog's clients, 8 KiB Unix datagrams", 10_000),
        clients("W8", "as W7, 250,000 contexts", 250_000),
    ]
}

fn contexts(names: usize) -> Workload {
    let packing = Packing::Bytes(8192);
    Workload { dogstatsd: true, names, packing, ..Workload::default() }
}

/// What a server is filled with to measure its memory.
#[derive(Debug, Clone)]
pub(crate) struct Filling {
    pub(crate) load: Load,
    pub(crate) lines: u64,
    /// The least seconds between flushes. No flush may happen while the lines are sent.
    pub(crate) interval: u64,
}

pub(crate) fn fillings() -> Vec<Filling> {
    let filling = |name, names, mix: &str, lines, interval| {
        let mix = mix.parse().expect("a mix");
        let workload = Workload { names, mix, ..Workload::default() };
        let load = Load {
            name,
            about: "",
            transport: Transport::Udp,
            workload,
            rate: 200_000,
            is_cold: true,
        };
        Filling { load, lines, interval }
    };
    let clients = |name, interval| {
        let load = all().into_iter().find(|load| load.name == name).expect("a workload");
        Filling { lines: load.workload.names as u64, load, interval }
    };
    vec![
        filling("100 k counters", 100_000, "c=100", 100_000, 5),
        filling("1 M counters", 1_000_000, "c=100", 1_000_000, 10),
        filling("10 k timings × 100", 10_000, "ms=100", 1_000_000, 10),
        clients("W7", 10),
        clients("W8", 20),
    ]
}
