//! The measurements, and the workloads that servers are compared with.

use clap::ValueEnum;
use serde::Deserialize;
use statsd_bench::{Mix, Workload};

/// The kinds of measurements, in the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    Cost,
    Highest,
    Flush,
    Memory,
    Quiet,
    Connections,
}

impl What {
    pub(crate) fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// A row of a table of workloads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) workload: Workload,
    pub(crate) transport: Transport,
    /// Lines a second, at the moderate rate.
    pub(crate) rate: u64,
    /// Rounds of the cost: one where rounds hardly differ.
    pub(crate) rounds: u32,
    /// Whether the highest rate is measured, too.
    pub(crate) has_highest: bool,
    /// Lines before the measurement begins, so that every name is known. With 0, the measurement
    /// begins with the first line. In a filling: the lines between two flushes.
    pub(crate) lines: u64,
    /// The least seconds between flushes. No flush may happen while a filling is sent.
    pub(crate) interval: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    Udp,
    Tcp,
    /// Unix datagrams.
    Unix,
}

const W2: Load = Load {
    name: "W2",
    about: "1,432-byte packets, mixed types, 1,000 names",
    workload: Workload::W2,
    transport: Transport::Udp,
    rate: 200_000,
    rounds: 2,
    has_highest: true,
    lines: 200_000,
    interval: 0,
};

const W1: Load = Load {
    name: "W1",
    about: "one counter a packet, 1,000 names",
    workload: Workload { mix: Mix::COUNTERS, packet: 1, ..Workload::W2 },
    rate: 50_000,
    lines: 50_000,
    ..W2
};

const W3: Load = Load {
    name: "W3",
    about: "as W2, 100,000 names",
    workload: Workload { names: 100_000, ..Workload::W2 },
    ..W2
};

const W7: Load = Load {
    name: "W7",
    about: "10,000 contexts of Datadog's clients, 8 KiB Unix datagrams",
    workload: Workload { dogstatsd: true, names: 10_000, packet: 8192, ..Workload::W2 },
    transport: Transport::Unix,
    rate: 50_000,
    rounds: 1,
    lines: 50_000,
    ..W2
};

const W8: Load = Load {
    name: "W8",
    about: "as W7, 250,000 contexts",
    workload: Workload { names: 250_000, ..W7.workload },
    lines: 250_000,
    ..W7
};

pub(crate) const LOADS: [Load; 10] = [
    W1,
    Load {
        name: "W1 slow",
        about: "as W1, on a nearly idle machine",
        rate: 1_000,
        rounds: 1,
        has_highest: false,
        lines: 1_000,
        ..W1
    },
    W2,
    W3,
    Load {
        name: "W3 cold",
        about: "W3 from the first line on",
        has_highest: false,
        lines: 0,
        ..W3
    },
    Load { name: "W4", about: "as W2, over TCP", transport: Transport::Tcp, rounds: 1, ..W2 },
    Load {
        name: "W5",
        about: "as W2, three tags",
        workload: Workload { tags: true, ..Workload::W2 },
        rounds: 1,
        ..W2
    },
    Load {
        name: "W6",
        about: "as W2, 1,000,000 names",
        workload: Workload { names: 1_000_000, ..Workload::W2 },
        rounds: 1,
        lines: 1_000_000,
        ..W2
    },
    W7,
    W8,
];

/// What a server is filled with between two flushes to measure its memory.
const FILLINGS: [Load; 5] = [
    Load { name: "100 k counters", lines: 100_000, interval: 5, ..counters(100_000) },
    Load { name: "1 M counters", lines: 1_000_000, interval: 7, ..counters(1_000_000) },
    Load {
        name: "10 k timings × 100",
        workload: Workload { names: 10_000, mix: Mix::TIMINGS, ..Workload::W2 },
        lines: 1_000_000,
        interval: 7,
        ..W2
    },
    Load { lines: 10_000, interval: 5, ..W7 },
    Load { interval: 12, ..W8 },
];

/// One sample of each of `names` counters. It has no name: it is the only load of a flush.
const fn counters(names: usize) -> Load {
    let workload = Workload { names, mix: Mix::COUNTERS, ..Workload::W2 };
    Load { name: "", about: "", workload, ..W2 }
}

/// The loads of a measurement.
pub(crate) fn of(what: What) -> Vec<Load> {
    match what {
        What::Cost => LOADS.to_vec(),
        What::Highest => LOADS.into_iter().filter(|load| load.has_highest).collect(),
        What::Memory => FILLINGS.to_vec(),
        What::Flush | What::Quiet => vec![counters(100_000)],
        What::Connections => vec![Load { transport: Transport::Tcp, ..counters(100_000) }],
    }
}
