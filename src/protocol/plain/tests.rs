//! Compares the reader of plain lines with the general reader. Where both read a line, they agree.

use statsd_bench::Random;

use super::super::{
    Dialect, Dialects, LineReader, PackedValues, ParsedLine, Sample, is_plain_for, trimmed,
};
use super::*;

/// The result of reading a line: the name of its series, and its samples as text.
type Read = Option<(Vec<u8>, String)>;

/// Reads a line with the general reader.
fn general(grammar: &Grammar, line: &[u8]) -> Read {
    let mut reader = LineReader::new(grammar.clone());
    let ParsedLine::Metrics(line) = reader.read(trimmed(line)) else { return None };
    let samples: Result<Vec<_>, _> = line.samples().collect();
    let is_usual = line.timestamp.is_none() && !line.has_unread_tags;
    is_usual.then_some((line.name.to_vec(), format!("{:?}", samples.ok()?)))
}

/// Reads the plain line at the start of `text`. Returns its length, too.
fn plain(grammar: &Grammar, text: &[u8]) -> Option<((Vec<u8>, String), usize)> {
    let mut room = vec![b'?'; grammar.max_key_length];
    let PlainLine { plain, length, tags } = read_plain(grammar, text)?;
    let Plain { name, value, weight, .. } = plain;
    let name = match tags {
        None if is_plain_for(grammar, name) => name,
        None => return None, // the caller checks the name
        Some(tags) => plain_series_name(grammar, name, tags, &mut room)?,
    };
    let sample = match plain.kind {
        MetricKind::Counter => Sample::Count(value * weight),
        MetricKind::Gauge => Sample::Level(value),
        MetricKind::Timing => Sample::Time { value, weight },
        MetricKind::Set => Sample::Member(plain.text),
    };
    Some(((name.to_vec(), format!("{:?}", [sample])), length))
}

#[track_caller]
fn agrees(grammar: &Grammar, line: &[u8]) {
    let shown = line.escape_ascii();
    let expected = general(grammar, line).map(|read| (read, line.len()));
    assert_eq!(plain(grammar, line), expected, "{shown}");
    let more = [line, b"\nb:2|c\n"].concat();
    assert_eq!(plain(grammar, &more), expected, "{shown}, and another line");
}

#[test]
fn common_lines_are_plain() {
    for line in [
        "a.b:1|c",
        "a:0|g",
        "a:12.5|ms",
        "a:5.|ms",
        "a:42|s",
        "a:1|c|@0.1",
        "a:3|ms|@0.25",
        "a:3|ms|@1",
        "a:999999999999999|c",
        "a:1234567|c",
        "a:12345678|c",
        "a:123456789|g",
        "a-b_c.D9:000|g",
        "a:0000007|s",
        "a:7|g|@0.5",
        "a:7|s|@0.5",
        "a:1|c|#k:v",
        "a.b:12.5|ms|@0.5|#host:web-1,env:prod",
        "a:1|g|#b:2,a:1,c:3",
        "a:9|s|@0.1|#k:v",
        "a:1|h",
        "a:2.5|d|@0.5|#k:v",
        "a:1|c|#k:v|c:1",
        "a:1|c|#k:v|e:it-false,cn-x|c:ci-5|card:low",
        "a:1|c|#k:v\r",
        "a:1|c|#k:v \r\0 ",
    ] {
        assert!(plain(&Grammar::default(), line.as_bytes()).is_some(), "{line}");
        agrees(&Grammar::default(), line.as_bytes());
    }
}

/// Numbers of every length that is read here, with every sort of end.
#[test]
fn numbers_of_all_lengths_are_read() {
    let mut random = Random::new(7);
    for digits in 1..=13 {
        for _ in 0..200 {
            let number: String = (0..digits).map(|_| char::from(b'0' + random.below(10))).collect();
            for end in ["|c", ".5|ms", "|g|@0.5", "|s|#k:v"] {
                agrees(&Grammar::default(), format!("a:{number}{end}").as_bytes());
            }
        }
    }
}

#[test]
fn whatever_else_is_left_to_the_general_reader() {
    for line in [
        "",
        ":1|c",
        "a:|c",
        "a:1",
        "a:1|",
        "a:1|x",
        "a:+1|g",
        "a:-1|c",
        "a:1e3|c",
        "a:.5|c",
        "a:1:2|c",
        "a:1|c\r",
        "a:1|c ",
        "a b:1|c",
        "a/b:1|c",
        "a;t=1:1|c",
        "a=b:1|c",
        "a,t=1:1|c",
        "a:1|c|#",
        "a:1|c|#k",
        "a:1|c|#k:",
        "a:1|c|#:v",
        "a:1|c|#k:v,",
        "a:1|c|#k:v:w",
        "a:1|c|#k:v,k:w",
        "a:1|c|#k:v w",
        "a:1|c|#~k:v",
        "a;b=c:1|c|#k:v",
        "a b:1|c|#k:v",
        "a:1|c|@2|#k:v",
        "a:-1|c|#k:v",
        "a:1|c|@0",
        "a:1|c|@2",
        "a:1|c|@.5",
        "a:1|c|@",
        "a:1|c|",
        "a:1.2.3|c",
        "a:1|ms|@1e-1",
        "a:1|m",
        "a:1|C",
        "a:1|kv",
        "a:1|ss",
        "a:1|cc",
        "a:1|c:2|g",
        "a:1000000000000000|c",
        "_e{1,1}:a|b",
        "_sc|a|0",
    ] {
        assert_eq!(plain(&Grammar::default(), line.as_bytes()), None, "{line}");
    }
    let grammar = Grammar { max_key_length: 3, ..Grammar::default() };
    assert!(plain(&grammar, b"abc:1|c").is_some());
    assert_eq!(plain(&grammar, b"abcd:1|c"), None);
    let grammar = Grammar { max_key_length: 6, ..Grammar::default() };
    assert!(plain(&grammar, b"a:1|c|#k:vw").is_some());
    assert_eq!(plain(&grammar, b"a:1|c|#k:vwx"), None);
}

#[test]
fn sections_and_values_that_are_checked_are_left_to_the_general_reader() {
    for line in [
        "a:1|c||",
        "a:1|c|0.1",
        "a:1|c|+5",
        "a:1|ms|@0.5|",
        "a:1|ms|@0.5|0.1",
        "a:1|c|@0.5|:2|ms",
        "a:1|c|foo:2|c",
        "a:1|c:2|#k:v",
        "a:1|#k:v",
        "a:1|@0.5",
        "a:1|T5",
        "a:1|c|T5",
        "a:1|c|@0.5|T5",
        "a:1:2:|ms",
        "a:1:|c",
        "a::1|c",
        "a:1|c|#k=v",
        "a:1|c|#k:v=w",
        "a:1|c|#k:v;w",
        "a:1|c|#k:v\u{a0}w",
        "a\u{a0}b:1|c",
        "\u{feff}a:1|c",
        "a\0:1|c",
        "a:1\0|c",
        "a:1|c\0",
        "a:1|c|#k\0:v",
        "a:1|c|#k:v |c:1",
        "a:1|c|#k:v|c:1|",
        "a:1|c|#k:v|c:\x001",
        "a:1|c|#k:v|T5",
        "a:1|c|#k:v|@0.5",
        "a:1|c|#k:v|c:1|#k:w",
        "a:1|dd",
        "a:1|d|x",
    ] {
        assert_eq!(plain(&Grammar::default(), line.as_bytes()), None, "{line}");
    }
}

#[test]
fn a_name_is_looked_for_in_its_own_line() {
    let long = "a".repeat(100);
    let grammar = Grammar::default();
    assert!(plain(&grammar, format!("{long}:1|c").as_bytes()).is_some());
    let next_has_one = format!("{long}\nb:1|c");
    assert_eq!(read_plain(&grammar, next_has_one.as_bytes()), None);
}

const PIECES: [&[u8]; 43] = [
    b"|c:x",
    b"|e:y",
    b"|d",
    b"|h",
    b"a",
    b"b.c",
    b"=",
    b":",
    b":",
    b"1",
    b"0",
    b"27",
    b".",
    b"|c",
    b"|ms",
    b"|g",
    b"|s",
    b"|",
    b"|@",
    b"0.1",
    b"@",
    b"-",
    b"e",
    b"|#t:1",
    b"\r",
    b" ",
    b"999999999",
    b"m",
    b",k:v",
    b"~",
    b"#",
    b"/",
    b"x:y",
    b"\0",
    b"\xc2\xa0",
    b"\xef\xbb\xbf",
    b"|0.1",
    b"|+",
    b"|:",
    b"|x:2|c",
    b"|T5",
    b";",
    b",k=v",
];

/// Reads random lines made of the pieces that matter.
#[test]
fn it_agrees_with_the_general_reader() {
    let settings = [PackedValues::All, PackedValues::Timings, PackedValues::No];
    for (sanitize, packed_values) in [true, false].iter().flat_map(|of| settings.map(|p| (*of, p)))
    {
        let squeeze_dots = packed_values == PackedValues::No;
        let grammar = Grammar { sanitize, packed_values, squeeze_dots, ..Grammar::default() };
        let mut random = Random::new(1);
        let mut plain_ones = 0;
        let mut tagged = 0;
        for _ in 0..130_000 {
            let mut line = Vec::new();
            match random.below(4) {
                0 => line.extend_from_slice(b"a:1"),
                1 => line.extend_from_slice(b"a:1|c|#k:v"),
                _ => {}
            }
            for _ in 0..1 + random.below(6) {
                line.extend(*random.pick(&PIECES));
            }
            if let Some((read, length)) = plain(&grammar, &line) {
                plain_ones += 1;
                tagged += usize::from(read.0.contains(&b';'));
                assert_eq!(length, line.len());
                assert_eq!(Some(read), general(&grammar, &line), "{}", line.escape_ascii());
            }
        }
        assert!(plain_ones > 2000 && tagged > 1000, "{plain_ones}, {tagged}");
    }
}

/// Shows that a canonical name is read as itself. The engine relies on it.
#[test]
fn a_canonical_name_reads_as_itself() {
    const PIECES: [&[u8]; 25] = [
        b".",
        b"\xc2\xa0",
        b"\xe3\x80\x80",
        b"\xef\xbb\xbf",
        b"==",
        b"a",
        b"b.c",
        b"=",
        b";",
        b";k=v",
        b",x=y",
        b"[",
        b"]",
        b"#t=1",
        b" ",
        b"/",
        b"~",
        b"\xff",
        b"Z",
        b"-",
        b"_",
        b"0",
        b"\t",
        b"t=",
        b";;",
    ];
    let mut random = Random::new(3);
    for (dialects, squeeze_dots) in [
        (vec![Dialect::Graphite], false),
        (Dialect::ALL.to_vec(), false),
        (Dialect::ALL.to_vec(), true),
    ] {
        let dialects = Dialects::from_iter(dialects);
        let grammar = Grammar { dialects, squeeze_dots, ..Grammar::default() };
        assert!(grammar.is_idempotent());
        for _ in 0..100_000 {
            let count = 1 + random.below(6);
            let mut line: Vec<u8> =
                (0..count).flat_map(|_| *random.pick(&PIECES)).copied().collect();
            line.extend_from_slice(b":1|c");
            let Some((name, _)) = general(&grammar, &line) else { continue };
            let again = general(&grammar, &[&name[..], b":1|c"].concat()).map(|read| read.0);
            assert_eq!(
                again.as_ref(),
                Some(&name),
                "{} of {}",
                name.escape_ascii(),
                line.escape_ascii()
            );
        }
    }
}
