//! Input that broke other servers, and input that should never have been sent. It must not cause a
//! panic, and must not cost the lines beside it.

use crate::reading::message;
use crate::rig::{Core, receive, settings};
use statsd::encode::namespace::Namespace;
use statsd::ingest::lines::{Piece, StreamSplitter};
use statsd::ledger::OwnCounter;
use statsd_bench::Random;

fn core() -> Core {
    Core::new(&settings(), &Namespace::default())
}

/// A line, and the number of bad values that it is counted as. Each has the server that it broke,
/// or the client that sends it.
const JUNK: &[(&str, &[u8], u64)] = &[
    ("kills Node", b"a:1|c|@+0.5", 1),
    ("kills Node", b"a:1|c|@ 0.5", 1),
    ("kills Node", b"a:1|c|@Infinity", 1),
    ("infinite in Node", b"a:1|c|@0", 1),
    ("infinite in Node", b"a:1|c|@0x10", 1),
    ("infinite in Node", b"a:Infinity|c", 1),
    ("over 1 in Node", b"a:1|c|@2", 1),
    ("negative rate", b"a:1|c|@-1", 1),
    ("a time in Node for its trailing CR", b"a:-1|ms\r", 1),
    ("a counter in Node", b"a:1|MS", 1),
    ("a counter in Node", b"a:1|gauge", 1),
    ("hexadecimal in Node", b"a:0x10|c", 1),
    ("a prefix in statsite", b"a:1abc|c", 1),
    ("0 in Node, empty in brubeck", b"a: |c", 1),
    ("0 in brubeck", b"a:|c", 1),
    ("sticks in statsd_exporter", b"a:NaN|g", 1),
    ("pystatsd's server dies", b"a:1|c|@x", 1),
    ("statsd-c's 100-byte key", &[b'k'; 5000], 1),
    ("statsdpy", b".", 1),
    ("statsdpy", b" ", 0),
    ("statsdpy", b":", 1),
    ("statsdpy", b" : |c", 1),
    ("statsdpy", b"baditem:1|k", 1),
    ("statsdpy", b"1|c|@", 1),
    ("statsdpy", b"@wtf", 1),
    ("statsdpy", b"@05f.6", 1),
    ("statsdpy", b"badtimer:5.0f|ms", 1),
    ("statsdpy", b"badgauge:K|g", 1),
    ("hot-shots", b"a:--5|g", 1),
    ("tim-group", b"a:1|c@0.1", 1),
    ("10 times too few in most", b"a:1|c|0.1", 1),
    ("10 times too few in most", b"a:1|c| @0.1", 1),
    ("cut before its rate", b"a:1|c|", 1),
    ("tags in place of a type", b"a:1|#env:prod", 1),
    ("a buffer with NULs", b"a:1|c\0\0b:1|c", 1),
    ("a length before the packet", b"\x05\0\0\0a:1|c", 1),
    ("only NULs", b"\0\0\0", 0),
    ("no UTF-8", b"\xff\xfe\x80", 1),
    ("HTTP", b"GET / HTTP/1.1", 1),
    ("JSON", b"{\"a\": 1}", 1),
    ("every separator", b"::||@@##;;,,[[]]==", 1),
    ("a binary message cut short", b"\xaa\x02\x02", 1),
    ("a binary message of no type", b"\xaa\x00\x00\x00", 1),
    ("Latin-1 that looks binary", b"\xaabc:1|c", 1),
];

#[test]
fn junk_costs_no_good_neighbour() {
    for (what, junk, bad) in JUNK {
        let mut core = core();
        receive(&mut core.engine, &[&b"good:1|c\n"[..], junk, b"\ngood:2|c"].concat());
        let seen = core.engine.own().total(OwnCounter::BadLinesSeen);
        assert_eq!(seen, *bad, "{what}: {}", junk.escape_ascii());
        let lines = core.flush(10);
        assert_eq!(lines, ["stats.good 0.3 10", "stats_counts.good 3 10"], "{what}");
    }
}

/// Returns the effect of a stream that is cut at the given sizes.
fn streamed(stream: &[u8], mut sizes: impl FnMut() -> usize) -> (Vec<String>, u64, u64) {
    let (mut core, mut splitter, mut rest) = (core(), StreamSplitter::default(), stream);
    let mut take = |piece: Piece<'_>| match piece {
        Piece::Lines(text) => core.engine.lines(text),
        Piece::Binary(message) => core.engine.binary(message),
        Piece::Overlong(start) => core.engine.overlong_line(start),
        _ => unreachable!("a text stream has no packets"),
    };
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(sizes().clamp(1, rest.len()));
        splitter.feed(piece, 64, &mut take);
        rest = behind;
    }
    splitter.end(&mut take);
    let own = |own| core.engine.own().total(own);
    let (received, bad) = (own(OwnCounter::MetricsReceived), own(OwnCounter::BadLinesSeen));
    (core.flush(10), received, bad)
}

/// Returns a stream of good lines, binary messages and noise.
fn random_stream(random: &mut Random) -> Vec<u8> {
    let parts: [&[u8]; 12] = [
        b"a:1|c\n",
        b"b;k=v:2.5|ms|@0.5\n",
        b"b:3|g|#k:v,l\n",
        b"s:x:y|s\r\n",
        b"up:5|C\nup:9|C\n",
        b"v:1|kv\n",
        &message(2, b"a\0", 2.0),
        &message(5, b"b\n\0", -2.0),
        &message(9, b"?\0", 0.0),
        b"\xaa\x04\x02\x00\x02\x00s\0m\0",
        b"\n",
        &[b'z'; 80],
    ];
    let noise = b"ab:|@#;=,.~T01e+-\xaa \t\r\0\xff/Ccmsgkv\n";
    let mut stream = Vec::new();
    for _ in 0..random.below(12) {
        if random.one_in(4) {
            (0..random.below(8)).for_each(|_| stream.push(*random.pick(noise)));
        } else {
            stream.extend(*random.pick(&parts));
        }
    }
    stream
}

#[test]
fn splitting_a_stream_anywhere_gives_the_same_series() {
    for seed in 0..3_000 {
        let mut random = Random::new(seed);
        let stream = random_stream(&mut random);
        let whole = streamed(&stream, || usize::MAX);
        for most in [1, 3, 20] {
            let pieces = streamed(&stream, || 1 + random.below(most));
            assert_eq!(pieces, whole, "seed {seed}, up to {most} bytes: {}", stream.escape_ascii());
        }
    }
}

#[test]
fn no_bytes_in_any_chunking_make_it_panic() {
    let mut random = Random::new(0x57a7_5d11);
    for _ in 0..20_000 {
        let bytes: Vec<u8> =
            (0..random.below(64)).map(|_| random.bits().to_le_bytes()[0]).collect();
        core_of(&bytes);
        streamed(&bytes, || 1 + random.below(9));
    }
}

/// The same bytes as a datagram.
fn core_of(bytes: &[u8]) {
    let mut core = core();
    receive(&mut core.engine, bytes);
    core.flush(10);
}
