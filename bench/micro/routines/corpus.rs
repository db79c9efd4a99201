//! The packets that a routine reads, stored in `bench/corpus` or made.

use std::ops::Range;

use statsd_bench::{Mix, Random, Workload};

use super::super::recipe::text;
use super::Scale;

/// Packets end to end, as a batch of them lies in the receive buffer.
#[derive(Debug, Default)]
pub(crate) struct Corpus {
    bytes: Vec<u8>,
    packets: Vec<Range<usize>>,
}

/// What fits one frame of Ethernet, as most clients have it.
const PACKET_BYTES: usize = 1432;

impl Corpus {
    pub(crate) fn w2() -> Self {
        Self::packed(include_bytes!("../../corpus/w2.txt"))
    }

    pub(crate) fn w5() -> Self {
        Self::packed(include_bytes!("../../corpus/w5.txt"))
    }

    pub(crate) fn clients() -> Self {
        let mut all = Self::default();
        include_str!("../../corpus/clients.txt").lines().for_each(|it| all.push(&unescaped(it)));
        all
    }

    /// W3, each name so often.
    pub(crate) fn w3(scale: Scale, rounds: usize) -> Self {
        let workload = Workload { names: scale.names, ..Workload::default() };
        Self::packed(&text(&workload, scale.names * rounds))
    }

    /// W5 with as many names as W3, each once.
    pub(crate) fn tagged(scale: Scale) -> Self {
        let workload = Workload { names: scale.names, tags: true, ..Workload::default() };
        Self::packed(&text(&workload, scale.names))
    }

    /// Each counter once.
    pub(crate) fn counters(scale: Scale) -> Self {
        let workload = Workload { names: scale.names, mix: Mix::COUNTERS, ..Workload::default() };
        Self::packed(&text(&workload, scale.names))
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

    /// As many whole lines in a packet as fit.
    fn packed(text: &[u8]) -> Self {
        let mut all = Self { bytes: text.to_vec(), packets: Vec::new() };
        let (mut start, mut end) = (0, 0);
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            if end + line.len() - start > PACKET_BYTES {
                all.packets.push(start..end);
                start = end;
            }
            end += line.len();
        }
        all.packets.push(start..end);
        all
    }

    fn push(&mut self, packet: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(packet);
        self.packets.push(start..self.bytes.len());
    }
}

/// A line of `clients.txt` as the datagram it stands for.
fn unescaped(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b'\\') => b'\\',
                other => panic!("{other:?} behind a backslash: {text}"),
            },
            byte => byte,
        });
    }
    bytes
}
