//! The binary protocol of statsite: tables of messages and what they are read as, alone and between
//! lines.

use crate::reading::{member, message, read_binary};
use crate::rig::{Core, receive, settings};
use statsd::encode::namespace::Namespace;
use statsd::ingest::lines::{Piece, StreamSplitter};
use statsd::ledger::OwnCounter;
use statsd::protocol::{Dialect, Dialects, Grammar};

#[track_caller]
fn check(grammar: &Grammar, cases: &[(Vec<u8>, &str)]) {
    for (message, expected) in cases {
        assert_eq!(read_binary(grammar, message), *expected, "{}", message.escape_ascii());
    }
}

#[test]
fn every_type_is_read() {
    check(
        &Grammar::default(),
        &[
            (message(1, b"k\0", 1.5), "k kv 1.5"),
            (message(2, b"k\0", 3.0), "k count 3"),
            (message(2, b"k\0", -3.0), "k count -3"),
            (message(3, b"k\0", 12.5), "k time 12.5"),
            (message(3, b"k\0", 0.0), "k time 0"),
            (message(5, b"k\0", 7.0), "k level 7"),
            (message(5, b"k\0", -7.0), "k level -7"),
            (message(6, b"k\0", 4.0), "k change 4"),
            (message(6, b"k\0", -4.0), "k change -4"),
            (member(b"k\0", b"m\0"), "k member m"),
            (member(b"k\0", b"::1\0"), "k member ::1"),
            (member(b"k\0", b"\0"), "k member 0"),
        ],
    );
    // As statsite's README lays it out, byte by byte.
    let bytes = b"\xaa\x02\x02\x00\x00\x00\x00\x00\x00\x00\x08\x40k\x00";
    assert_eq!(message(2, b"k\0", 3.0), bytes);
}

#[test]
fn names_are_cleaned_and_tags_read_as_in_a_line() {
    let all = Grammar { dialects: Dialects::from_iter(Dialect::ALL), ..Grammar::default() };
    check(
        &all,
        &[
            (message(2, b"k e/y$:|\n\0", 1.0), "k_e-y_ count 1"),
            (message(2, b"k;b=2;a=1\0", 1.0), "k;a=1;b=2 count 1"),
            (message(2, b"k,b=2,a=1\0", 1.0), "k;a=1;b=2 count 1"),
            (message(2, b"k[b=2].c\0", 1.0), "k.c;b=2 count 1"),
            (message(2, b"k\0junk\0", 1.0), "k count 1"),
            (member(b"k\0\0", b"m\0n\0"), "k member m"),
        ],
    );
}

#[test]
fn what_is_wrong_is_named() {
    let short = Grammar { max_key_length: 8, ..Grammar::default() };
    let no_type = [&[0xaa, 0][..], &[0; 20]].concat();
    let whole = message(2, b"k\0", 1.0);
    check(
        &short,
        &[
            (no_type, "!UnknownCode"),
            (message(7, b"k\0", 1.0), "!UnknownCode"),
            (message(2, b"k\0", f64::NAN), "!NotFinite"),
            (message(5, b"k\0", f64::INFINITY), "!NotFinite"),
            (message(1, b"k\0", f64::NEG_INFINITY), "!NotFinite"),
            (message(3, b"k\0", -1.0), "!NegativeTime"),
            (message(2, b"", 1.0), "!NoNul"),
            (message(2, b"k", 1.0), "!NoNul"),
            (member(b"", b""), "!NoNul"),
            (member(b"k\0", b""), "!NoNul"),
            (member(b"", b"m\0"), "!NoNul"),
            (member(b"k\0", b"m"), "!NoNul"),
            (message(2, b"\0", 1.0), "!EmptyName"),
            (message(2, b"$\0", 1.0), "!EmptyName"),
            (message(2, b"123456789\0", 1.0), "!NameTooLong"),
            (message(2, b"12345678\0", 1.0), "12345678 count 1"),
            (whole[..13].to_vec(), "!CutShort"),
            (whole[..3].to_vec(), "!CutShort"),
            (whole[..1].to_vec(), "!CutShort"),
            ([&whole[..], b"x"].concat(), "!CutShort"),
        ],
    );
}

#[test]
fn in_a_datagram_messages_and_lines_stand_in_any_order() {
    let mut core = Core::new(&settings(), &Namespace::default());
    let packet = [
        &message(2, b"a\0", 1.0)[..],
        &message(2, b"a\n\0", 2.0), // a newline in a key ends nothing
        b"a:4|c\n",
        &message(2, b"a\0", f64::NAN), // it has the stated length, so the next message begins after it
        &message(2, b"a\0", 8.0),
        b"\n\n",
        &message(9, b"a\0", 100.0), // its length is unknown
        &message(2, b"a\0", 100.0),
        b"\na:16|c\n",
        &member(b"s\0", b"m\0"),
        &message(5, b"g\0", -3.0),
        &message(6, b"g\0", 1.0),
        &message(1, b"v\0", 5.0),
        b"b:1|c\n\xaa\x02\xff\xff gone\nb:2|c\r\n\xaa\x02",
    ];
    receive(&mut core.engine, &packet.concat());
    let own = |own| core.engine.own().total(own);
    assert_eq!((own(OwnCounter::MetricsReceived), own(OwnCounter::BadLinesSeen)), (15, 4));
    assert_eq!(own(OwnCounter::PacketsReceived), 1);
    let expected = [
        "stats.a 2.9 10",
        "stats.a_ 0.2 10",
        "stats.b 0.3 10",
        "stats.gauges.g -2 10",
        "stats.kv.v 5 10",
        "stats.sets.s.count 1 10",
        "stats_counts.a 29 10",
        "stats_counts.a_ 2 10",
        "stats_counts.b 3 10",
    ];
    assert_eq!(core.flush(10), expected);
}

#[test]
fn on_a_stream_an_overlong_message_costs_its_neighbours_nothing() {
    let stream = [
        &message(2, b"a\0", 1.0)[..],
        &member(b"s\0", &[b'm'; 1000]),
        &message(2, b"a\0", 2.0),
        b"a:4|c\n",
        &message(9, b"a\0", 100.0),
        b"\na:8|c",
    ]
    .concat();
    for size in 1..stream.len() {
        let mut core = Core::new(&settings(), &Namespace::default());
        let mut splitter = StreamSplitter::default();
        let mut take = |piece: Piece<'_>| match piece {
            Piece::Lines(text) => core.engine.lines(text),
            Piece::Binary(message) => core.engine.binary(message),
            Piece::Overlong(start) => core.engine.overlong_line(start),
            _ => unreachable!("a text stream has no packets"),
        };
        for piece in stream.chunks(size) {
            splitter.feed(piece, 100, &mut take);
        }
        splitter.end(&mut take);
        assert_eq!(core.engine.own().total(OwnCounter::BadLinesSeen), 2, "in pieces of {size}");
        assert_eq!(core.flush(10), ["stats.a 1.5 10", "stats_counts.a 15 10"]);
    }
}
