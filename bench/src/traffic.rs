//! The bytes to send, built in advance. Pure: the same workload gives the same bytes.
//!
//! One pass is built and sent over and over. Its packets lie end to end in one buffer. Every line,
//! the last too, ends in a newline.

use crate::contexts::Contexts;
use crate::random::{Deck, Random};
use crate::workload::{Mix, Workload};

/// The least number of times that each name occurs in a pass. The second time is in another order
/// than the first. A server that profits from the order in which it created its series must have no
/// advantage.
const ROUNDS: usize = 2;

/// The fewest lines in a pass, for variety of values.
const MIN_LINES: usize = 10_000;

/// The code of each type, its lowest value, and the number of its values. Values are whole numbers
/// without a sample rate, so that sums are exact everywhere.
const KINDS: [(&str, usize, usize); 4] =
    [("c", 1, 9), ("ms", 1, 1000), ("g", 0, 10_000), ("s", 0, 1000)];

/// One pass of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traffic {
    bytes: Vec<u8>,
    packets: Vec<Packet>,
}

/// The place of a packet in the buffer, and its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packet {
    start: usize,
    end: usize,
    lines: u64,
}

/// Whole lines, sent as one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload<'a> {
    pub bytes: &'a [u8],
    pub lines: u64,
}

impl Traffic {
    /// Builds a pass: every name at least twice, and the mix exact in every 100 lines.
    ///
    /// # Panics
    /// Panics if there are fewer names than types.
    pub fn build(workload: &Workload) -> Self {
        let mut traffic = Self { bytes: Vec::new(), packets: Vec::new() };
        let mut script = script(workload);
        for _ in 0..pass_lines(workload) {
            let start = traffic.bytes.len();
            script(&mut traffic.bytes);
            traffic.pack(start, workload.packet);
        }
        traffic
    }

    /// Returns the packets of the first `lines` lines, pass after pass. The last one is cut to fit.
    pub fn packets(&self, mut lines: u64) -> impl Iterator<Item = Payload<'_>> {
        let mut all = self.packets.iter().cycle();
        std::iter::from_fn(move || {
            let &Packet { start, end, lines: whole } = all.next().filter(|_| lines > 0)?;
            let payload = Payload { bytes: &self.bytes[start..end], lines: whole }.head(lines);
            lines -= payload.lines;
            Some(payload)
        })
    }

    /// Returns the name and the value of each counter among the first `lines` lines.
    pub fn counters(&self, lines: u64) -> impl Iterator<Item = (&str, u64)> {
        self.packets(lines).flat_map(Payload::each_line).filter_map(counter)
    }

    /// Adds the line from `start` on to the last packet, or begins another packet.
    fn pack(&mut self, start: usize, limit: usize) {
        let end = self.bytes.len();
        match self.packets.last_mut().filter(|packet| end - packet.start <= limit) {
            Some(packet) => *packet = Packet { end, lines: packet.lines + 1, ..*packet },
            None => self.packets.push(Packet { start, end, lines: 1 }),
        }
    }
}

impl<'a> Payload<'a> {
    /// Its lines, without their newlines.
    fn each_line(self) -> impl Iterator<Item = &'a [u8]> {
        self.bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty())
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

/// Name and value of `NAME:VALUE|c` or `NAME:VALUE|c|#TAGS`.
fn counter(line: &[u8]) -> Option<(&str, u64)> {
    let (name, rest) = std::str::from_utf8(line).ok()?.split_once(':')?;
    let (value, kind) = rest.split_once('|')?;
    let is_counter = kind == "c" || kind.starts_with("c|");
    Some((name, value.parse().ok().filter(|_| is_counter)?))
}

/// Enough lines that each type's share of them names each of its names `ROUNDS` times.
fn pass_lines(workload: &Workload) -> usize {
    if workload.dogstatsd {
        return (workload.names * ROUNDS).max(MIN_LINES);
    }
    let Mix(shares) = workload.mix;
    let needed = |(names, share): (usize, usize)| (names * ROUNDS * 100).div_ceil(share.max(1));
    let lines = workload.names_by_type().into_iter().zip(shares).map(needed);
    lines.fold(MIN_LINES, usize::max).next_multiple_of(100)
}

/// Appends the next line and its newline.
type Script = Box<dyn FnMut(&mut Vec<u8>)>;

fn script(workload: &Workload) -> Script {
    let mut random = Random::new(1);
    if workload.dogstatsd {
        let mut contexts = Contexts::new(1, workload.names);
        let mut order = Deck::new(0..workload.names);
        return Box::new(move |out| contexts.append(order.deal(&mut random), out));
    }
    // The type is from a deck of 100, the name from the deck of that type.
    let Mix(shares) = workload.mix;
    let mut kinds = Deck::new((0..4).flat_map(|kind| std::iter::repeat_n(kind, shares[kind])));
    let mut names = workload.names_by_type().map(|names| Deck::new(0..names));
    let has_tags = workload.tags;
    Box::new(move |out| {
        let kind = kinds.deal(&mut random);
        let name = names[kind].deal(&mut random);
        let (code, lowest, values) = KINDS[kind];
        let value = lowest + random.below(values);
        out.extend(format!("bench.web.api.{code}.{name:06}:{value}|{code}").bytes());
        if has_tags {
            let tags = format!("|#env:prod,region:eu-{},host:web{:03}", name % 4, name % 64);
            out.extend(tags.bytes());
        }
        out.push(b'\n');
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn text(traffic: &Traffic) -> &str {
        std::str::from_utf8(&traffic.bytes).unwrap()
    }

    #[test]
    fn lines_look_like_this() {
        let traffic = Traffic::build(&Workload { names: 4, ..Workload::W2 });
        let wanted = "bench.web.api.c.000000:6|c\nbench.web.api.c.000000:1|c\n\
                      bench.web.api.c.000000:8|c\nbench.web.api.c.000000:3|c\n\
                      bench.web.api.c.000000:5|c\nbench.web.api.g.000000:8453|g\n";
        assert!(text(&traffic).starts_with(wanted));
    }

    /// Each name comes at least twice, always with the same tags, and a hundred lines have the mix.
    #[test]
    fn names_keep_their_tags_and_types_their_share() {
        let traffic = Traffic::build(&Workload { tags: true, names: 3000, ..Workload::W2 });
        let mut names = BTreeMap::<_, Vec<_>>::new();
        for line in text(&traffic).lines() {
            let (name, rest) = line.split_once(':').unwrap();
            names.entry(name).or_default().push(rest.split_once("|#").unwrap().1);
        }
        assert_eq!(names.len(), 3000);
        for tags in names.values() {
            assert!(tags.len() >= ROUNDS && tags[0].split(',').count() == 3, "{tags:?}");
            assert!(tags.iter().all(|other| *other == tags[0]), "{tags:?}");
        }
        for hundred in text(&traffic).lines().collect::<Vec<_>>().chunks(100) {
            let share = |(code, ..): (&str, _, _)| {
                let is_it = |line: &&&str| line.contains(&format!("|{code}|#"));
                hundred.iter().filter(is_it).count()
            };
            assert_eq!(KINDS.map(share), Mix::MIXED.0);
        }
    }

    #[test]
    fn packets_hold_as_many_whole_lines_as_fit() {
        for packet in [1432, 8192, 1] {
            let traffic = Traffic::build(&Workload { packet, ..Workload::W2 });
            let lines = text(&traffic).lines().count() as u64;
            let all: Vec<_> = traffic.packets(lines).collect();
            for pair in all.windows(2) {
                let next = pair[1].each_line().next().unwrap();
                assert!(pair[0].bytes.len() <= packet || pair[0].lines == 1);
                assert!(pair[0].bytes.len() + next.len() + 1 > packet, "room for one more line");
                assert_eq!(pair[0].each_line().count() as u64, pair[0].lines);
            }
            assert_eq!(all.iter().map(|packet| packet.lines).sum::<u64>(), lines);
        }
    }

    #[test]
    fn packets_end_after_the_exact_line_and_go_round_the_pass() {
        let traffic = Traffic::build(&Workload::W2);
        let pass = text(&traffic).lines().count() as u64;
        for lines in [0, 1, 44, pass, 2 * pass + 17] {
            let sent: Vec<u8> = traffic.packets(lines).flat_map(|it| it.bytes).copied().collect();
            let all = text(&traffic).split_inclusive('\n').cycle().zip(0..lines);
            assert_eq!(sent, all.map(|(line, _)| line).collect::<String>().into_bytes());
        }
    }

    /// As many lines as contexts send each context once, in another order in the second round.
    #[test]
    fn each_context_comes_once_in_a_round() {
        let workload = Workload { dogstatsd: true, names: 6_000, packet: 8192, ..Workload::W2 };
        let traffic = Traffic::build(&workload);
        let context = |line| {
            let (name, rest): (&str, &str) = str::split_once(line, ':').unwrap();
            (name, rest.split_once('|').unwrap().1)
        };
        let all: Vec<_> = text(&traffic).lines().map(context).collect();
        let (first, second) = all.split_at(6_000);
        assert_eq!(BTreeSet::from_iter(first).len(), 6_000);
        assert_eq!(BTreeSet::from_iter(first), BTreeSet::from_iter(second));
        assert_ne!(first, second);
        let counters = first[..100].iter().filter(|(_, kind)| kind.starts_with("c|"));
        assert_eq!(traffic.counters(100).count(), counters.count());
    }
}
