//! The packets that a routine reads: those of the bench's workloads, and `bench/corpus`.

use std::ops::Range;

use statsd_bench::{Mix, Random, Traffic, Workload};

use super::Scale;

/// Packets end to end, as a batch of them lies in the receive buffer.
#[derive(Debug, Default)]
pub(crate) struct Corpus {
    bytes: Vec<u8>,
    packets: Vec<Range<usize>>,
}

impl Corpus {
    /// Each name three times.
    pub(crate) fn w2() -> Self {
        Self::of(Workload::W2, 3000)
    }

    /// Each name twice.
    pub(crate) fn w5() -> Self {
        Self::of(Workload { tags: true, ..Workload::W2 }, 2000)
    }

    pub(crate) fn clients() -> Self {
        let mut all = Self::default();
        include_str!("../../corpus/clients.txt").lines().for_each(|it| all.push(&unescaped(it)));
        all
    }

    /// W3, each name so often.
    pub(crate) fn w3(scale: Scale, rounds: usize) -> Self {
        Self::of(Workload { names: scale.names, ..Workload::W2 }, scale.names * rounds)
    }

    /// W5 with as many names as W3, each once.
    pub(crate) fn tagged(scale: Scale) -> Self {
        Self::of(Workload { names: scale.names, tags: true, ..Workload::W2 }, scale.names)
    }

    /// Each counter once.
    pub(crate) fn counters(scale: Scale) -> Self {
        let mix = Mix::COUNTERS;
        Self::of(Workload { names: scale.names, mix, ..Workload::W2 }, scale.names)
    }

    /// The samples of a timing in one line, as packing clients send them; in no order.
    pub(crate) fn timings(scale: Scale) -> Self {
        let mut all = Self::default();
        let mut random = Random::new(20_261_124);
        for timing in 0..scale.timings {
            let mut line = format!("bench.web.api.ms.{timing:06}");
            for _ in 0..scale.samples {
                line.push_str(&format!(":{}", 1 + random.below(1000)));
            }
            line.push_str("|ms\n");
            all.push(line.as_bytes());
        }
        all
    }

    pub(crate) fn packets(&self) -> impl Iterator<Item = &[u8]> {
        self.packets.iter().map(|packet| &self.bytes[packet.clone()])
    }

    /// The lines of all packets, without what may stand at their ends.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let lines = self.packets().flat_map(|packet| packet.split(|byte| *byte == b'\n'));
        lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)).filter(|line| !line.is_empty())
    }

    /// The first lines of a workload.
    fn of(workload: Workload, lines: usize) -> Self {
        let mut all = Self::default();
        let traffic = Traffic::build(&workload);
        traffic.packets(lines as u64).for_each(|packet| all.push(packet.bytes));
        all
    }

    fn push(&mut self, packet: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(packet);
        self.packets.push(start..self.bytes.len());
    }
}

/// A line of `clients.txt` as the datagram it stands for. `\n` and `\r` are escaped.
fn unescaped(text: &str) -> Vec<u8> {
    text.replace("\\n", "\n").replace("\\r", "\r").into_bytes()
}
