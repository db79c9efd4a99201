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
}

impl Load {
    /// Every name once, and a second at least.
    pub(crate) fn warm(&self) -> Plan {
        Plan::lines(self.warm_lines()).at(self.rate)
    }

    pub(crate) fn warm_lines(&self) -> u64 {
        // A type with a small share of the lines has its share of the names too: a pass names each
        // name twice.
        self.rate.max(self.workload.names as u64)
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
    };
    let alone = Workload { mix: Mix::COUNTERS, packing: Packing::Lines(1), ..mixed.clone() };
    let tagged = Workload { tags: true, ..mixed.clone() };
    let names = |names| Workload { names, ..mixed.clone() };
    vec![
        Load { rate: 50_000, ..load("W1", "one counter a packet, 1,000 names", alone) },
        load("W2", "1,432-byte packets, mixed types, 1,000 names", mixed.clone()),
        load("W3", "as W2, 100,000 names", names(100_000)),
        Load { transport: Transport::Tcp, ..load("W4", "as W2, over TCP", mixed.clone()) },
        load("W5", "as W2, three tags", tagged),
        load("W6", "as W2, 1,000,000 names", names(1_000_000)),
    ]
}
