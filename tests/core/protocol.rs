//! The wire protocol as tables: every line that the grammar accepts and every one that it refuses,
//! one case a line.

use crate::reading::{check, message, read, read_binary};
use crate::rig::{Core, settings};
use statsd::encode::namespace::Namespace;
use statsd::ledger::OwnCounter;
use statsd::protocol::{Grammar, LineReader, ParsedLine, Reject};
use statsd_bench::Random;

#[test]
fn types_and_values() {
    check(
        &Grammar::default(),
        &[
            ("a:1|c", "a count 1"),
            ("a:-1|c", "a count -1"),
            ("a:+1|c", "a count 1"),
            ("a:1.5|c", "a count 1.5"),
            ("a:.5|c", "a count 0.5"),
            ("a:5.|c", "a count 5"),
            ("a:1e3|c", "a count 1000"),
            ("a: 1 |c", "a count 1"),
            ("a:1| c ", "a count 1"),
            ("a:3|m|@0.5", "a count 6"),
            ("a:7|C", "a cumulative 7"),
            ("a:-7|C", "a cumulative -7"),
            ("a:7.5|kv", "a kv 7.5"),
            ("a:-7|kv", "a kv -7"),
            ("a:320|ms", "a time 320"),
            ("a:12.000000|ms", "a time 12"),
            ("a:0|ms", "a time 0"),
            ("a:-0|ms", "a time -0"),
            ("a:7|h", "a time 7"),
            ("a:-7|h", "a time -7"),
            ("a:-7.5|d", "a time -7.5"),
            ("a:10|g", "a level 10"),
            ("a:-10|g", "a change -10"),
            ("a:+4|g", "a change 4"),
            ("a: -10|g", "a change -10"),
            ("a:x|s", "a member x"),
            ("a:|s", "a member 0"),
            ("a: x|s", "a member  x"),
            ("a:::1|s", "a member ::1"),
            ("a:http://h:80/|s", "a member http://h:80/"),
        ],
    );
}

#[test]
fn rates() {
    check(
        &Grammar::default(),
        &[
            ("a:1|c|@0.1", "a count 10"),
            ("a:2|c|@0.1", "a count 20"),
            ("a:1|c|@1", "a count 1"),
            ("a:1|c|@1e-05", "a count 99999.99999999999"),
            ("a:1|c|@1.0e-05", "a count 99999.99999999999"),
            ("a:1|c|@0.100000", "a count 10"),
            ("a:3|ms|@0.5", "a time 3x2"),
            ("a:3|h|@0.5", "a time 3x2"),
            ("a:3|C|@0.5", "a cumulative 3x2"),
            ("a:3|kv|@0.5", "a kv 3"),
            ("a:3|g|@0.5", "a level 3"),
            ("a:x|s|@0.5", "a member x"),
            ("a:1|c|@0.5|@0.1", "a count 2"),
            ("a:3|g|@2", "a !BadRate"),
            ("a:3|C|@2", "a !BadRate"),
            ("a:3|kv|@0", "a !BadRate"),
            ("a:1|ms|@1e-320", "a !TooLarge"),
            ("a:0|c|@1e-320", "a !TooLarge"),
            ("a:1|C|@1e-320", "a !TooLarge"),
            ("a:x|s|@0", "a !BadRate"),
            ("a:1|c|@0", "a !BadRate"),
            ("a:1|c|@1.1", "a !BadRate"),
            ("a:1|c|@-0.5", "a !BadRate"),
            ("a:1|c|@+0.5", "a !BadRate"),
            ("a:1|c|@ 0.5", "a !BadRate"),
            ("a:1|c|@", "a !BadRate"),
            ("a:1|c|@Infinity", "a !BadRate"),
            ("a:1|c|@0x1", "a !BadRate"),
            ("a:1|c|@wtf", "a !BadRate"),
            ("a:1|c|@05f.6", "a !BadRate"),
        ],
    );
}

#[test]
fn groups_and_sections() {
    check(
        &Grammar::default(),
        &[
            ("a:1|c:2|c", "a count 1 count 2"),
            ("a:1|c:2|c|@0.1", "a count 1 count 20"),
            ("a:1|c|@0.1:2|c", "a count 10 count 2"),
            ("a:1|c:2|ms:3|g", "a count 1 time 2 level 3"),
            ("a:1:2:3|ms", "a time 1 time 2 time 3"),
            ("lat:1:2:3|ms|@0.5|#env:prod", "lat;env=prod time 1x2 time 2x2 time 3x2"),
            ("a:1:2|c:3|g", "a count 1 count 2 level 3"),
            ("a:x:y|s:1|c", "a member x:y count 1"),
            ("a:1|c|#t:v|@0.5", "a;t=v count 2"),
            ("a:1|c|@0.5|#t:v", "a;t=v count 2"),
            ("a:1|c|#t:v|@0.5:7|c", "a;t=v count 2 count 7"),
            ("a:1|c:2|c|#t:v", "a;t=v count 1 count 2"),
            ("a:1|c|c:83c0a9|#t:v|e:x:y|card:low|other", "a;t=v count 1"),
            ("a:1|c|#t:v|#u:w", "a;t=v;u=w count 1"),
            ("a:1|c|T1656581400", "a count 1 at 1656581400"),
            ("a:1|g|T1656581400|#t:v", "a;t=v level 1 at 1656581400"),
            ("a:1|c:2|c|T5", "a count 1 count 2 at 5"),
        ],
    );
}

#[test]
fn bad_values_cost_their_neighbours_nothing() {
    check(
        &Grammar::default(),
        &[
            ("a:x|c", "a !BadValue"),
            ("a:|c", "a !BadValue"),
            ("a:.|c", "a !BadValue"),
            ("a:e5|c", "a !BadValue"),
            ("a:0x10|c", "a !BadValue"),
            ("a:inf|g", "a !BadValue"),
            ("a:nan|g", "a !BadValue"),
            ("a:NaN|ms", "a !BadValue"),
            ("a:null|c", "a !BadValue"),
            ("a:undefined|c", "a !BadValue"),
            ("a:1e400|c", "a !BadValue"),
            ("a:--5|g", "a !BadValue"),
            ("badtimer:5.0f|ms", "badtimer !BadValue"),
            ("badgauge:K|g", "badgauge !BadValue"),
            ("a:-1|ms", "a !NegativeTime"),
            ("a:-1|ms|#k:v", "a;k=v time -1"),
            ("a:-1:2|ms|@0.5|#k:v", "a;k=v time -1x2 time 2x2"),
            ("a:1e308|c|@1e-5", "a !TooLarge"),
            ("a:1|", "a !UnknownType"),
            ("a:1|KV", "a !UnknownType"),
            ("a:1|MS", "a !UnknownType"),
            ("a:1|kx", "a !UnknownType"),
            ("baditem:1|k", "baditem !UnknownType"),
            ("a:1|c@0.1", "a !RateInType"),
            ("a:1", "a !NoType"),
            ("a:", "a !NoType"),
            ("a:1:2", "a !NoType !NoType"),
            ("a:1|c:", "a count 1 !NoType"),
            ("a:1|c:2", "a count 1 !NoType"),
            ("a:1:x:3|c", "a count 1 !BadValue count 3"),
            ("a:1:2|zz", "a !UnknownType !UnknownType"),
            ("a:1:2|c|@7", "a !BadRate !BadRate"),
            ("a:x:y:z|s|@7", "a !BadRate"),
            ("a:1|c|@7:2|c", "a !BadRate count 2"),
            ("a:1|zz:2|c", "a !UnknownType count 2"),
            ("a:+1|g|T5", "a !TimedChange at 5"),
        ],
    );
}

#[test]
fn lines_refused_as_a_whole() {
    check(
        &Grammar::default(),
        &[
            ("a", "!NoValue"),
            (".", "!NoValue"),
            ("1|c|@", "!NoValue"),
            ("@wtf", "!NoValue"),
            (":", "!EmptyName"),
            (":1|c", "!EmptyName"),
            ("$%:1|c", "!EmptyName"),
            (";t=v:1|c", "!EmptyName"),
            (":1|c|#t:v", "!EmptyName"),
            ("a:1|c|T0", "!BadTimestamp"),
            ("a:1|c|T-5", "!BadTimestamp"),
            ("a:1|c|T", "!BadTimestamp"),
            ("a:1|ms|T1.5", "!BadTimestamp"),
        ],
    );
}

#[test]
fn names_are_cleaned_as_node_cleans_them() {
    check(
        &Grammar::default(),
        &[
            ("k e/y$%:1|c", "k_e-y count 1"),
            ("a  \t b:1|c", "a_b count 1"),
            (" a:1|c", "_a count 1"),
            ("a.b-c_d=e:1|c", "a.b-c_d=e count 1"),
            ("caf\u{e9}:1|c", "caf count 1"),
            ("a,env=prod:1|c", "aenv=prod count 1"),
            ("~a:1|c", "a count 1"),
        ],
    );
}

#[test]
fn every_character_that_is_white_space_is_a_part_of_its_run() {
    let raw = Grammar { sanitize: false, ..Grammar::default() };
    assert!(('\u{3100}'..=char::MAX).all(|letter| !letter.is_whitespace()));
    let others = ['\u{fefe}', '\u{feff}', '\u{ff00}', '\u{fffd}', '\u{1f600}', char::MAX];
    for letter in ('\u{1}'..='\u{3100}').chain(others) {
        if letter.is_ascii_alphanumeric() || "\n_-./=;:|,#".contains(letter) {
            continue;
        }
        let line = format!("a{letter} {letter}b:1|c|#k{letter}:{letter}v");
        let is_blank = letter.is_whitespace();
        let expected = if is_blank { "a_b;k_=_v count 1" } else { "a_b;k=v count 1" };
        assert_eq!(read(&Grammar::default(), line.as_bytes()), expected, "{letter:?}");
        // With raw names, too, a name is one that leaves something after cleaning.
        let is_taken = read(&raw, format!("{letter}:1|c").as_bytes()) != "!EmptyName";
        assert_eq!(is_taken, is_blank, "{letter:?}");
    }
}

#[test]
fn byte_order_marks_in_front_of_a_line_are_no_part_of_it() {
    const MARK: &str = "\u{feff}";
    let received = |packet: &str, conf: &str| {
        let mut core = Core::configured(conf);
        core.packet(packet);
        let own = core.engine.own();
        let totals =
            [OwnCounter::MetricsReceived, OwnCounter::BadLinesSeen, OwnCounter::EventsIgnored];
        let counts = totals.map(|which| own.total(which));
        (counts, core.flush(10))
    };
    for marks in [MARK.to_owned(), MARK.repeat(3)] {
        for conf in ["", "[statsd]\nsanitize_keys = no\n"] {
            for (line, counts) in [
                ("", [0, 0, 0]),
                (" \r", [0, 0, 0]),
                ("a:1|c", [1, 0, 0]),
                ("a:1:2|ms|#k:v", [1, 0, 0]),
                ("_e{1,1}:a|b", [1, 0, 1]),
                ("_sc|a|0", [1, 0, 1]),
                ("bad", [1, 1, 0]),
            ] {
                for (before, after) in [("", ""), ("b:1|c\n", "\nb:1|c")] {
                    let marked = format!("{before}{marks}{line}{after}");
                    let found = received(&marked, conf);
                    assert_eq!(found, received(&format!("{before}{line}{after}"), conf));
                    let others = 2 * u64::from(!before.is_empty());
                    let expected = [counts[0] + others, counts[1], counts[2]];
                    assert_eq!(found.0, expected, "{}", marked.escape_debug());
                }
            }
        }
    }
    // A known raw name must not take a line away from the name without the mark.
    let raw = Grammar { sanitize: false, ..Grammar::default() };
    let key = message(2, "\u{feff}a\0".as_bytes(), 3.0);
    assert_eq!(read_binary(&raw, &key), "a count 3");
}

#[test]
fn white_space_and_byte_order_marks() {
    check(
        &Grammar::default(),
        &[
            ("a\u{a0}b:1|c", "a_b count 1"),
            ("a\u{3000}\t \u{2028}b:1|c", "a_b count 1"),
            ("\u{a0}:1|c", "_ count 1"),
            ("a\u{85}:1|c", "a_ count 1"),
            ("\u{feff}a:1|c", "a count 1"),
            ("a\u{feff}b:1|c", "ab count 1"),
            ("a \u{feff} b:1|c", "a_b count 1"),
            ("a $ b:1|c", "a__b count 1"),
            ("\u{feff}:1|c", "!EmptyName"),
            ("\u{feff} a:1|c", "_a count 1"),
            ("a\u{200b}b:1|c", "ab count 1"),
            ("a:1|c|#k\u{a0}\u{a0}l:v\u{feff}w\u{3000}x", "a;k_l=vw_x count 1"),
            ("a;k=v\u{2003}w:1|c", "a;k=v_w count 1"),
        ],
    );
    // Halves of characters are bytes like any other.
    for (name, expected) in [
        (&b"a\xc2b:1|c"[..], "ab count 1"),
        (b"a\xe3\x80b:1|c", "ab count 1"),
        (b"a\xef\xbb:1|c", "a count 1"),
        (b"a\xe2\xc2\xa0b:1|c", "a_b count 1"),
        (b"a\xa0b:1|c", "ab count 1"),
    ] {
        assert_eq!(read(&Grammar::default(), name), expected, "{}", name.escape_ascii());
    }
}

#[test]
fn a_nul_inside_a_line_makes_it_bad() {
    for line in [
        "a\0:1|c",
        "\0a:1|c",
        "a:1\0|c",
        "a:1|c\0|#k:v",
        "a:1|c|@0.5\0|#k:v",
        "a:1|c|#k\0:v",
        "a:1|c|#k:v\0w",
        "a:1|c|c:i\0d",
        "a:1|c|T5\0|#k:v",
        "a:x\0y|s",
        "a:1|c|\0|#k:v",
        "\x55\0\0\0a:1|c",
        "_e{1,1}:a\0|b",
        "\0",
        "a\0",
    ] {
        assert_eq!(read(&Grammar::default(), line.as_bytes()), "!NulInside", "{line:?}");
        let raw = Grammar { sanitize: false, ..Grammar::default() };
        assert_eq!(read(&raw, line.as_bytes()), "!NulInside", "{line:?}");
    }
    let mut core = Core::new(&settings(), &Namespace::default());
    core.packet("a:1|c\0\0\nb:1|c\0c:1|c\nd:1|c \0\r\0");
    assert_eq!(core.engine.own().total(OwnCounter::BadLinesSeen), 1);
    let lines = core.flush(10);
    let counts: Vec<_> = lines.iter().filter(|line| line.starts_with("stats_counts")).collect();
    assert_eq!(counts, ["stats_counts.a 1 10", "stats_counts.d 1 10"]);
}

#[test]
fn a_name_may_be_as_long_as_the_limit_with_its_tags() {
    let short = Grammar { max_key_length: 7, ..Grammar::default() };
    check(
        &short,
        &[
            ("1234567:1|c", "1234567 count 1"),
            ("12345678:1|c", "!NameTooLong"),
            ("abc;d=e:1|c", "abc;d=e count 1"),
            ("abcd:1|c|#d:e", "!NameTooLong"),
            ("$1234567:1|c", "1234567 count 1"),
        ],
    );
}

#[test]
fn a_line_may_have_as_many_tags_as_the_limit() {
    let two = Grammar { max_tags: 2, ..Grammar::default() };
    check(
        &two,
        &[
            ("a:1|c|#k:v,l:w", "a;k=v;l=w count 1"),
            ("a:1|c|#k:v,l:w,m:x", "!TooManyTags"),
            ("a:1|c|#k:v,k:w,k:x", "!TooManyTags"),
            ("a;k=v:1|c|#l:w", "a;k=v;l=w count 1"),
            ("a;k=v;l=w:1|c|#m:x", "!TooManyTags"),
            ("a:1|c|#k:v,,:x,l:w,", "a;k=v;l=w count 1"),
        ],
    );
    let none = Grammar { max_tags: 0, ..Grammar::default() };
    check(
        &none,
        &[("a:1|c", "a count 1"), ("a:1|c|#", "a count 1"), ("a:1|c|#k:v", "!TooManyTags")],
    );
}

#[test]
fn names_and_tags_have_room_for_what_datadogs_agent_takes() {
    let tags: Vec<_> = (0..50).map(|n| format!("key{n:0>72}:{}", "v".repeat(74))).collect();
    let line = format!("{}:1|c|#{}", "n".repeat(200), tags.join(","));
    assert!(line.len() > 7700);
    assert!(read(&Grammar::default(), line.as_bytes()).ends_with(" count 1"));
}

#[test]
fn empty_elements_are_kept_or_removed() {
    let squeezed = Grammar { squeeze_dots: true, ..Grammar::default() };
    let raw = Grammar { sanitize: false, ..squeezed };
    for (line, kept, removed) in [
        ("a.b:1|c", "a.b", "a.b"),
        ("a..b:1|c", "a..b", "a.b"),
        ("..a...b....:1|c", "..a...b....", "a.b"),
        (
            "long.name.of.some.elements.:1|c",
            "long.name.of.some.elements.",
            "long.name.of.some.elements",
        ),
        ("a.$.b:1|c", "a..b", "a.b"),
        ("a.:1|c|#k:v..w.", "a.;k=v..w.", "a;k=v..w."),
        (".a;k.=.v:1|c", ".a;k.=.v", "a;k.=.v"),
    ] {
        assert_eq!(read(&Grammar::default(), line.as_bytes()), format!("{kept} count 1"), "{line}");
        assert_eq!(read(&squeezed, line.as_bytes()), format!("{removed} count 1"), "{line}");
    }
    assert_eq!(read(&squeezed, b"...:1|c"), "!EmptyName");
    assert_eq!(read(&squeezed, b"..:1|c|#k:v"), "!EmptyName");
    assert_eq!(read(&raw, b"a\\.\\..:1|c"), "a count 1", "no destination stores a \\ at the end");
    assert_eq!(read(&raw, b"a.$..b:1|c"), "a.$.b count 1");
    // The reader of most lines, and names that the table holds from before a reload.
    let mut core = Core::configured("[statsd]\nsqueeze_dots = yes\n");
    core.packet("a.b:1|c\na..b:2|c\n.a.b.:4|c|#k:v\na.b:8|c|#k:v\na..b:1|ms:2|ms\n");
    let lines = core.flush(10);
    let counts: Vec<_> = lines.iter().filter(|line| line.starts_with("stats_counts")).collect();
    assert_eq!(counts, ["stats_counts.a.b 3 10", "stats_counts.a.b;k=v 12 10"]);
}

#[test]
fn events_and_checks_are_known_for_what_they_are() {
    check(
        &Grammar::default(),
        &[
            ("_e{5,4}:title|text|#t:v", "event"),
            ("_sc|name|0|#t:v", "event"),
            ("_e:1|c", "_e count 1"),
            ("_sc:1|c", "_sc count 1"),
        ],
    );
}

#[test]
fn no_bytes_make_it_panic() {
    let alphabet: &[u8] = b"ab:|@#;=,.~T01e+- \t\r\0\xff/csmg";
    let mut random = Random::new(0x57a7_5d11);
    for round in 0..200_000u32 {
        let mut line = Vec::new();
        for _ in 0..round % 24 {
            line.push(*random.pick(alphabet));
        }
        read(&Grammar::default(), &line);
    }
}

#[test]
fn what_one_line_may_hold_is_bounded() {
    let refusals = |line: &str| {
        let mut reader = LineReader::new(Grammar::default());
        let (mut taken, mut refused) = (0, Vec::new());
        match reader.read(line.as_bytes()) {
            ParsedLine::Metrics(line) => line.samples().for_each(|sample| match sample {
                Ok(_) => taken += 1,
                Err(reject) => refused.push(reject),
            }),
            ParsedLine::Bad(reject) => refused.push(reject),
            ParsedLine::Event => {}
        }
        (taken, refused)
    };
    let most = 32 << 10;
    assert_eq!(refusals(&format!("a{}|c", ":1".repeat(most))), (most, vec![]));
    let too_many = vec![Reject::TooManyParts];
    assert_eq!(refusals(&format!("a{}|c", ":1".repeat(2 * most))), (most, too_many.clone()));
    assert_eq!(refusals(&format!("a{}", ":1|c".repeat(2 * most))), (0, too_many.clone()));
    assert_eq!(refusals(&format!("a:1|c{}", "|b".repeat(2 * most))), (0, too_many));
    let tags = |count| format!("a:1|c|#{}", "k:v,".repeat(count));
    assert_eq!(refusals(&tags(100)), (1, vec![]));
    assert_eq!(refusals(&tags(101)), (0, vec![Reject::TooManyTags]));
    assert_eq!(refusals(&tags(20_000)), (0, vec![Reject::TooManyTags]));
}

#[test]
fn every_reason_says_something_of_its_own() {
    let all = [
        Reject::NulInside,
        Reject::NoValue,
        Reject::NoType,
        Reject::EmptyName,
        Reject::NameTooLong,
        Reject::UnknownType,
        Reject::RateInType,
        Reject::BadValue,
        Reject::NotLast,
        Reject::NegativeTime,
        Reject::BadRate,
        Reject::BareNumber,
        Reject::EmptySection,
        Reject::UnknownSection,
        Reject::BadTimestamp,
        Reject::TimedChange,
        Reject::TooLarge,
        Reject::LineTooLong,
        Reject::TooManyParts,
        Reject::UnknownCode,
        Reject::CutShort,
        Reject::NoNul,
        Reject::NotFinite,
    ];
    let texts: std::collections::BTreeSet<String> = all.iter().map(Reject::to_string).collect();
    assert_eq!(texts.len(), all.len());
}
