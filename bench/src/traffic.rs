//! The bytes to send, built in advance. Pure: the same workload gives the same bytes.
//!
//! One pass is built and sent over and over. Its payloads lie end to end in one buffer, so that
//! TCP writes many of them at once without a copy. Every line, the last too, ends in a newline.

use crate::contexts::Contexts;
use crate::expected::Expected;
use crate::random::{Deck, Random};
use crate::workload::{Invalid, Kind, MAX_PACKET, Packing, Workload};

/// The least number of times that each name occurs in a pass. The second time is in another order
/// than the first. A server that profits from the order in which it created its series must have no
/// advantage.
const ROUNDS: usize = 2;

/// The fewest lines in a pass, for variety of values and for TCP writes of full size.
const MIN_LINES: usize = 10_000;

/// One pass of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traffic {
    bytes: Vec<u8>,
    packets: Vec<Packet>,
    lines: u64,
}

/// The place of a payload in the buffer, and its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packet {
    start: usize,
    end: usize,
    lines: u64,
}

/// Whole lines, sent as one packet (or, over TCP, as part of one write).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload<'a> {
    pub bytes: &'a [u8],
    pub lines: u64,
}

impl Traffic {
    /// Builds a pass: every name at least twice, and the mix exact in every 100 lines.
    pub fn build(workload: &Workload) -> Result<Self, Invalid> {
        workload.check()?;
        let mut script = Script::new(workload);
        let mut traffic = Self { bytes: Vec::new(), packets: Vec::new(), lines: 0 };
        for _ in 0..pass_lines(workload) {
            let start = traffic.bytes.len();
            script.write(&mut traffic.bytes);
            traffic.pack(start, workload.packing)?;
        }
        Ok(traffic)
    }

    /// The lines of one pass.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The payloads of one pass, in the order they are sent.
    pub fn payloads(&self) -> impl ExactSizeIterator<Item = Payload<'_>> {
        (0..self.packets.len()).map(|index| self.payload(index))
    }

    /// Returns the counts that a server must have after the first `lines` lines, which may be more
    /// than a pass.
    pub fn expected(&self, lines: u64) -> Expected {
        let mut expected = Expected::default();
        let mut feed = self.feed(lines);
        while let Some(payload) = feed.packet() {
            payload.each_line().for_each(|line| expected.add(line));
        }
        expected
    }

    /// Returns the sum of the counters among the first `lines` lines.
    pub fn counted(&self, lines: u64) -> u64 {
        let pass: u64 = self.payloads().map(Payload::counted).sum();
        let mut feed = self.feed(lines % self.lines);
        let rest: u64 = std::iter::from_fn(|| feed.packet()).map(Payload::counted).sum();
        lines / self.lines * pass + rest
    }

    /// Starts again from the first payload and ends after exactly `lines` lines.
    pub(crate) fn feed(&self, lines: u64) -> Feed<'_> {
        Feed { traffic: self, next: 0, taken: 0, lines }
    }

    /// Adds the line from `start` on to the last packet, or begins another packet. Fails if a
    /// packet of one line is over its limit of bytes, or a packet of several lines is longer than a
    /// UDP datagram.
    fn pack(&mut self, start: usize, packing: Packing) -> Result<(), Invalid> {
        let end = self.bytes.len();
        let fits = |packet: &&mut Packet| match packing {
            Packing::Bytes(limit) => end - packet.start <= limit,
            Packing::Lines(limit) => packet.lines < limit as u64,
        };
        if self.packets.last_mut().filter(fits).is_none() {
            self.packets.push(Packet { start, end, lines: 0 });
        }
        let packet = self.packets.last_mut().expect("added above");
        packet.end = end;
        packet.lines += 1;
        self.lines += 1;
        let bytes = end - packet.start;
        match packing {
            Packing::Bytes(limit) if bytes > limit => {
                Err(Invalid(format!("a packet would need {bytes} bytes and may have {limit}")))
            }
            Packing::Lines(_) if bytes > MAX_PACKET => {
                Err(Invalid(format!("a packet would need {bytes} bytes and may have {MAX_PACKET}")))
            }
            _ => Ok(()),
        }
    }

    fn payload(&self, index: usize) -> Payload<'_> {
        let Packet { start, end, lines } = self.packets[index];
        Payload { bytes: &self.bytes[start..end], lines }
    }
}

impl<'a> Payload<'a> {
    /// Its lines, without their newlines.
    pub fn each_line(self) -> impl Iterator<Item = &'a [u8]> {
        self.bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty())
    }

    fn counted(self) -> u64 {
        let value = |line: &[u8]| {
            let start = memchr::memchr(b':', line)? + 1;
            let value = line[start..].strip_suffix(b"|c").or_else(|| {
                let end = memchr::memchr(b'|', &line[start..])?;
                line[start + end..].starts_with(b"|c|").then(|| &line[start..start + end])
            })?;
            std::str::from_utf8(value).ok()?.parse::<u64>().ok()
        };
        self.each_line().filter_map(value).sum()
    }

    /// The first `lines` lines.
    fn head(self, lines: u64) -> Self {
        if lines >= self.lines {
            return self;
        }
        let length = self.each_line().zip(0..lines).map(|(line, _)| line.len() + 1).sum();
        Self { bytes: &self.bytes[..length], lines }
    }
}

/// Payloads one after the other, pass after pass, cut off after an exact number of lines.
#[derive(Debug)]
pub(crate) struct Feed<'a> {
    traffic: &'a Traffic,
    next: usize,
    taken: u64,
    lines: u64,
}

impl<'a> Feed<'a> {
    /// The lines handed out so far.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.taken == self.lines
    }

    pub(crate) fn packet(&mut self) -> Option<Payload<'a>> {
        if self.is_empty() {
            return None;
        }
        let payload = self.traffic.payload(self.next).head(self.lines - self.taken);
        self.next = (self.next + 1) % self.traffic.packets.len();
        self.taken += payload.lines;
        Some(payload)
    }

    /// Returns neighbouring packets as one payload. It ends at `lines` lines, at `bytes` bytes or
    /// at the end of the pass.
    pub(crate) fn chunk(&mut self, lines: u64, bytes: usize) -> Option<Payload<'a>> {
        let start = self.traffic.packets[self.next].start;
        let mut chunk = self.packet()?;
        while chunk.lines < lines && chunk.bytes.len() < bytes && self.next != 0 {
            let Some(packet) = self.packet() else { break };
            let end = start + chunk.bytes.len() + packet.bytes.len();
            chunk.bytes = &self.traffic.bytes[start..end];
            chunk.lines += packet.lines;
        }
        Some(chunk)
    }
}

/// Enough lines that each type's share of them names each of its names `ROUNDS` times.
fn pass_lines(workload: &Workload) -> usize {
    if workload.dogstatsd {
        return (workload.names * ROUNDS).max(MIN_LINES);
    }
    let needed = |kind: Kind| {
        let share = workload.mix.share(kind).max(1);
        (workload.names_of(kind) * ROUNDS * 100).div_ceil(share)
    };
    let lines = Kind::ALL.into_iter().map(needed).fold(MIN_LINES, usize::max);
    lines.next_multiple_of(100)
}

/// Writes line after line: the type from a deck of 100, the name from the deck of that type.
struct Script<'a> {
    workload: &'a Workload,
    random: Random,
    kinds: Deck<Kind>,
    names: [Deck<usize>; 4],
    /// The lines of Datadog's clients, in place of names, and their order.
    contexts: Option<(Contexts, Deck<usize>)>,
}

impl<'a> Script<'a> {
    fn new(workload: &'a Workload) -> Self {
        let hundred = Kind::ALL
            .into_iter()
            .flat_map(|kind| std::iter::repeat_n(kind, workload.mix.share(kind)));
        let contexts = || {
            let names = workload.names;
            (Contexts::new(workload.seed, names), Deck::new(0..names))
        };
        let names = |kind| if workload.dogstatsd { 0 } else { workload.names_of(kind) };
        Self {
            workload,
            random: Random::new(workload.seed),
            kinds: Deck::new(hundred),
            names: Kind::ALL.map(|kind| Deck::new(0..names(kind))),
            contexts: workload.dogstatsd.then(contexts),
        }
    }

    /// Appends a line and its newline.
    fn write(&mut self, out: &mut Vec<u8>) {
        if let Some((contexts, order)) = &mut self.contexts {
            contexts.append(order.deal(&mut self.random), out);
            return out.push(b'\n');
        }
        let kind = self.kinds.deal(&mut self.random);
        let name = self.names[kind as usize].deal(&mut self.random);
        let value = self.value(kind);
        let tags = if self.workload.tags { tags(name) } else { String::new() };
        let prefix = &self.workload.prefix;
        let code = kind.code();
        out.extend(format!("{prefix}.{code}.{name:06}:{value}|{code}{tags}\n").bytes());
    }

    /// Whole numbers without a sample rate, so that sums are exact everywhere.
    fn value(&mut self, kind: Kind) -> usize {
        match kind {
            Kind::Counter => 1 + self.random.below(9),
            Kind::Timing => 1 + self.random.below(1000),
            Kind::Gauge => self.random.below(10_000),
            Kind::Set => self.random.below(1000),
        }
    }
}

fn tags(name: usize) -> String {
    format!("|#env:prod,region:eu-{},host:web{:03}", name % 4, name % 64)
}

#[cfg(test)]
#[path = "traffic_tests.rs"]
mod tests;
