//! The promises of traffic: it is repeatable, has whole lines, packets of the requested size, and
//! the requested mix of types.

use std::collections::BTreeMap;

use super::*;
use crate::workload::Mix;

fn build(workload: &Workload) -> Traffic {
    Traffic::build(workload).unwrap()
}

fn text(traffic: &Traffic) -> &str {
    std::str::from_utf8(&traffic.bytes).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let one = Workload::default();
    let two = Workload { seed: 2, ..Workload::default() };
    assert_eq!(build(&one), build(&one));
    assert_ne!(build(&one), build(&two));
}

#[test]
fn lines_look_like_this() {
    let traffic = build(&Workload { names: 4, ..Workload::default() });
    let start: Vec<_> = text(&traffic).lines().take(6).collect();
    assert_eq!(
        start,
        [
            "bench.web.api.c.000000:6|c",
            "bench.web.api.c.000000:1|c",
            "bench.web.api.c.000000:8|c",
            "bench.web.api.c.000000:3|c",
            "bench.web.api.c.000000:5|c",
            "bench.web.api.g.000000:8453|g",
        ]
    );
}

#[test]
fn the_mix_is_exact_in_every_hundred_lines() {
    let traffic = build(&Workload::default());
    let lines: Vec<_> = text(&traffic).lines().collect();
    for hundred in lines.chunks(100) {
        let share = |code: &str| {
            let end = format!("|{code}");
            hundred.iter().filter(|line| line.ends_with(&end)).count()
        };
        assert_eq!(Kind::ALL.map(|kind| share(kind.code())), [50, 30, 15, 5]);
    }
}

#[test]
fn packets_hold_as_many_whole_lines_as_fit() {
    for (bytes, tags) in [(1432, false), (1432, true), (100, true), (MAX_PACKET, false)] {
        let packing = Packing::Bytes(bytes);
        let traffic = build(&Workload { packing, tags, ..Workload::default() });
        let all: Vec<_> = traffic.payloads().collect();
        for pair in all.windows(2) {
            let next = pair[1].each_line().next().unwrap();
            assert!(pair[0].bytes.len() <= bytes);
            assert!(pair[0].bytes.len() + next.len() + 1 > bytes, "room for one more line");
        }
        whole_lines(&traffic);
    }
}

#[test]
fn packets_hold_the_number_of_lines_asked_for() {
    for lines in [1, 7, 1000] {
        let packing = Packing::Lines(lines);
        let traffic = build(&Workload { packing, ..Workload::default() });
        let (last, full) = traffic.packets.split_last().unwrap();
        assert!(full.iter().all(|packet| packet.lines == lines as u64));
        assert!(last.lines <= lines as u64);
        whole_lines(&traffic);
    }
}

fn whole_lines(traffic: &Traffic) {
    let mut lines = 0;
    for payload in traffic.payloads() {
        assert_eq!(payload.bytes.last(), Some(&b'\n'));
        assert_eq!(payload.each_line().count() as u64, payload.lines);
        lines += payload.lines;
    }
    assert_eq!(lines, traffic.lines());
}

#[test]
fn a_line_that_fits_no_packet_is_an_error() {
    let refused = |packing| {
        Traffic::build(&Workload { packing, ..Workload::default() }).expect_err("too large")
    };
    assert!(refused(Packing::Bytes(10)).to_string().ends_with("and may have 10"));
    assert!(refused(Packing::Lines(9000)).to_string().ends_with("and may have 65507"));
}

#[test]
fn every_name_comes_up_twice_in_a_pass() {
    for names in [4, 1000, 12_345] {
        let traffic = build(&Workload { names, ..Workload::default() });
        let mut seen = BTreeMap::new();
        for line in text(&traffic).lines() {
            let (name, _) = line.split_once(':').unwrap();
            *seen.entry(name).or_insert(0) += 1;
        }
        assert_eq!(seen.len(), names);
        assert!(seen.values().all(|&times| times >= ROUNDS));
    }
}

#[test]
fn as_many_counter_lines_as_names_reach_each_name_once() {
    let traffic = build(&Workload { names: 20_000, mix: Mix::COUNTERS, ..Workload::default() });
    let counters = traffic.expected(20_000).counters;
    assert_eq!(counters.len(), 20_000);
    assert!(counters.values().all(|&sum| (1..=9).contains(&sum)));
}

#[test]
fn a_name_keeps_its_three_tags() {
    let traffic = build(&Workload { tags: true, ..Workload::default() });
    let mut tags_of = BTreeMap::new();
    for line in text(&traffic).lines() {
        let (name, rest) = line.split_once(':').unwrap();
        let (_, tags) = rest.split_once("|#").unwrap();
        assert_eq!(tags.split(',').count(), 3);
        assert_eq!(*tags_of.entry(name).or_insert(tags), tags);
    }
}

#[test]
fn a_feed_ends_after_the_exact_line_and_goes_round_the_pass() {
    let traffic = build(&Workload::default());
    for lines in [0, 1, 44, traffic.lines(), 2 * traffic.lines() + 17] {
        let mut feed = traffic.feed(lines);
        let mut sent = Vec::new();
        while let Some(payload) = feed.packet() {
            sent.extend_from_slice(payload.bytes);
        }
        let wanted: String = text(&traffic)
            .split_inclusive('\n')
            .cycle()
            .zip(0..lines)
            .map(|(line, _)| line)
            .collect();
        assert_eq!((sent, feed.taken), (wanted.into_bytes(), lines));
    }
}

#[test]
fn chunks_are_the_same_bytes_as_packets() {
    let traffic = build(&Workload::default());
    let lines = 2 * traffic.lines() + 17;
    let mut packets = Vec::new();
    let mut chunks = Vec::new();
    let mut feed = traffic.feed(lines);
    while let Some(payload) = feed.packet() {
        packets.extend_from_slice(payload.bytes);
    }
    let mut feed = traffic.feed(lines);
    while let Some(chunk) = feed.chunk(u64::MAX, 64 << 10) {
        assert_eq!(chunk.each_line().count() as u64, chunk.lines);
        assert!(chunk.bytes.len() < (64 << 10) + 1432);
        chunks.extend_from_slice(chunk.bytes);
    }
    assert_eq!(packets, chunks);
}

/// As many lines as contexts send each context once, in datagrams of the size of Datadog's clients.
#[test]
fn each_context_comes_once_in_a_round_and_fits_a_datagram() {
    let packing = Packing::Bytes(8192);
    let workload = Workload { dogstatsd: true, names: 6_000, packing, ..Workload::default() };
    let traffic = build(&workload);
    assert_eq!(traffic.lines(), 12_000);
    let contexts = |line: &str| {
        let (name, rest) = line.split_once(':').unwrap();
        let (value, tags) = rest.split_once('|').unwrap();
        (format!("{name}|{tags}"), value.parse::<u64>().unwrap())
    };
    let all: Vec<_> = text(&traffic).lines().map(contexts).collect();
    let round = |lines: &[(String, u64)]| {
        let mut names: Vec<_> = lines.iter().map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    assert_eq!(round(&all[..6_000]).len(), 6_000);
    assert_eq!(round(&all[..6_000]), round(&all[6_000..]));
    assert!(all[..6_000] != all[6_000..], "the second round has another order");
    let counters = all[..100].iter().filter(|(name, _)| name.contains("|c|#"));
    assert_eq!(traffic.counted(100), counters.map(|(_, value)| value).sum::<u64>());
    whole_lines(&traffic);
}
