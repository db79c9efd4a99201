//! Sections and packed values as tables: every type with every section, in every position, and the
//! one group that a malformed section costs.

use crate::reading::{check, read};
use crate::rig::{Core, configured, settings};
use statsd::encode::namespace::Namespace;
use statsd::ledger::OwnCounter;
use statsd::protocol::{Grammar, PackedValues};
use statsd::time::Tick;
use statsd::warnings::{Warning, WarningKind};

/// Every type, and the result of the value 3.
const TYPES: [(&str, &str); 9] = [
    ("c", "count 3"),
    ("m", "count 3"),
    ("C", "cumulative 3"),
    ("ms", "time 3"),
    ("h", "time 3"),
    ("d", "time 3"),
    ("g", "level 3"),
    ("s", "member 3"),
    ("kv", "kv 3"),
];

/// Sections that make their group bad wherever they stand, and the reason.
const MALFORMED: [(&str, &str); 22] = [
    ("0.1", "BareNumber"),
    ("1", "BareNumber"),
    ("+5", "BareNumber"),
    ("-5", "BareNumber"),
    (".5", "BareNumber"),
    (" 0.1", "BareNumber"),
    ("0,456456", "BareNumber"),
    ("1e-05", "BareNumber"),
    ("5foo", "BareNumber"),
    ("@", "BadRate"),
    ("@0", "BadRate"),
    ("@2", "BadRate"),
    ("@-0.5", "BadRate"),
    ("@+0.5", "BadRate"),
    ("@ 0.5", "BadRate"),
    ("@x", "BadRate"),
    ("@0x1", "BadRate"),
    ("@@0.5", "BadRate"),
    (" @0.5", "BadRate"),
    ("@nan", "BadRate"),
    ("@1e-400", "BadRate"),
    ("@0.5x", "BadRate"),
];

/// Sections that change no value.
const HARMLESS: [&str; 14] = [
    "c:83c0a9",
    "c:",
    "c:1:2",
    "e:it-false,cn-x",
    "e:x:y",
    "card:low",
    "other",
    "c",
    "f:x",
    "f:x:y",
    "f:http://x:80/",
    "f:",
    "~",
    "\u{e9}",
];

#[test]
fn a_malformed_section_costs_its_group_whatever_the_type_and_wherever_it_stands() {
    for (of, taken) in TYPES {
        for (section, reason) in MALFORMED {
            let bad = format!("!{reason}");
            for (line, expected) in [
                (format!("a:3|{of}|{section}"), format!("a {bad}")),
                (format!("a:3|{of}|{section}|#k:v"), format!("a;k=v {bad}")),
                (format!("a:3|{of}|#k:v|{section}"), format!("a;k=v {bad}")),
                (format!("a:3|{of}|@1|{section}"), rate_first(section, taken, &bad)),
                (format!("a:3|{of}|c:id|{section}|e:x"), format!("a {bad}")),
                (format!("a:3|{of}|{section}:7|ms"), format!("a {bad} time 7")),
                (format!("a:7|ms:3|{of}|{section}"), format!("a time 7 {bad}")),
                (format!("a:7|ms:3|{of}|{section}:8|d"), format!("a time 7 {bad} time 8")),
                (format!("a:7|ms|{section}:3|{of}"), format!("a {bad} {taken}")),
            ] {
                assert_eq!(read(&Grammar::default(), line.as_bytes()), expected, "{line}");
            }
        }
    }
}

/// A second rate is ignored, even a wrong one. Any other section counts.
fn rate_first(section: &str, taken: &str, bad: &str) -> String {
    if section.starts_with('@') { format!("a {taken}") } else { format!("a {bad}") }
}

#[test]
fn an_empty_section_is_bad_at_the_end_of_the_line_alone() {
    for (of, taken) in TYPES {
        for (line, expected) in [
            (format!("a:3|{of}|"), "a !EmptySection".into()),
            (format!("a:3|{of}||"), "a !EmptySection".into()),
            (format!("a:3|{of}|\t"), "a !EmptySection".into()),
            (format!("a:3|{of}|@1|"), "a !EmptySection".into()),
            (format!("a:3|{of}|#k:v|"), "a;k=v !EmptySection".into()),
            (format!("a:3|{of}|c:id|"), "a !EmptySection".into()),
            (format!("a:7|ms:3|{of}|"), "a time 7 !EmptySection".into()),
            (format!("a:3|{of}||@1"), format!("a {taken}")),
            (format!("a:3|{of}| |@1"), format!("a {taken}")),
            (format!("a:3|{of}||#k:v"), format!("a;k=v {taken}")),
            (format!("a:3|{of}||c:id"), format!("a {taken}")),
            (format!("a:3|{of}|:7|ms"), format!("a {taken} time 7")),
            (format!("a:3|{of}||:7|ms"), format!("a {taken} time 7")),
            (format!("a:3|{of}| :7|ms"), format!("a {taken} time 7")),
            (format!("a:7|ms|:3|{of}"), format!("a time 7 {taken}")),
            (format!("a:7|ms|@0.5|:3|{of}"), format!("a time 7x2 {taken}")),
            (format!("a:3|{of}|:"), format!("a {taken} !NoType")),
        ] {
            assert_eq!(read(&Grammar::default(), line.as_bytes()), expected, "{line}");
        }
    }
}

#[test]
fn other_sections_change_nothing() {
    for (of, taken) in TYPES {
        for section in HARMLESS {
            for (line, expected) in [
                (format!("a:3|{of}|{section}"), format!("a {taken}")),
                (format!("a:3|{of}|{section}|#k:v"), format!("a;k=v {taken}")),
                (format!("a:3|{of}|@1|{section}|#k:v"), format!("a;k=v {taken}")),
                (format!("a:3|{of}|#k:v|{section}|@1"), format!("a;k=v {taken}")),
                (format!("a:7|ms:3|{of}|{section}"), format!("a time 7 {taken}")),
            ] {
                assert_eq!(read(&Grammar::default(), line.as_bytes()), expected, "{line}");
            }
        }
    }
}

#[test]
fn a_whole_group_ends_a_section_that_is_not_known() {
    for (of, taken) in TYPES {
        for (line, expected) in [
            (format!("a:1|g|foo:3|{of}"), format!("a !UnknownSection {taken}")),
            (format!("a:1|g|foo:3|{of}|#k:v"), format!("a;k=v !UnknownSection {taken}")),
            (format!("a:1|g|foo:3|{of}|@1"), format!("a !UnknownSection {taken}")),
            (format!("a:1|g|foo:3| {of} "), format!("a !UnknownSection {taken}")),
            (format!("a:1|g|foo:3|{of}:5|ms"), format!("a !UnknownSection {taken} time 5")),
            (format!("a:3|{of}|foo:5|ms"), "a !UnknownSection time 5".into()),
        ] {
            assert_eq!(read(&Grammar::default(), line.as_bytes()), expected, "{line}");
        }
    }
    check(
        &Grammar::default(),
        &[
            ("a:1|c|foo:2|c", "a !UnknownSection count 2"),
            ("a:1|c|foo:2:3|c", "a !UnknownSection count 2 count 3"),
            ("a:1|c|foo:2:|ms", "a !UnknownSection time 2"),
            ("a:1|c|foo:x|s", "a !UnknownSection member x"),
            ("a:1|c|foo:|s", "a !UnknownSection member 0"),
            ("a:1|c|foo:2|c|foo:3|c", "a !UnknownSection !UnknownSection count 3"),
            ("a:1|c|@0.5|foo:2|c", "a !UnknownSection count 2"),
            // No whole group follows the first colon.
            ("a:1|c|foo:2", "a count 1"),
            ("a:1|c|foo:2|", "a !EmptySection"),
            ("a:1|c|foo:2|zz", "a count 1"),
            ("a:1|c|foo:x|c", "a count 1"),
            ("a:1|c|foo:|c", "a count 1"),
            ("a:1|c|foo:2:x|c", "a count 1"),
            ("a:1|c|foo:2|#k:v", "a;k=v count 1"),
            ("a:1|c|foo:2|@0.5", "a count 2"),
            ("a:1|c|foo:2|T5", "a count 1 at 5"),
            // The fields of Datadog's clients end at the next bar.
            ("a:1|c|c:2|c", "a count 1"),
            ("a:1|c|e:2|c", "a count 1"),
            ("a:1|c|card:2|c", "a count 1"),
            ("a:1|c|#k:2|c", "a;k=2 count 1"),
        ],
    );
}

#[test]
fn a_section_in_place_of_a_type_is_read_and_the_type_is_missing() {
    for (of, taken) in TYPES {
        for (line, expected) in [
            (format!("a:3|{of}:2|#env:prod"), format!("a;env=prod {taken} !NoType")),
            (format!("a:3|{of}:2|@0.5"), format!("a {taken} !NoType")),
            (format!("a:2|#env:prod|{of}"), "a;env=prod !NoType".into()),
            (format!("a:2|@0.5:3|{of}"), format!("a !NoType {taken}")),
        ] {
            assert_eq!(read(&Grammar::default(), line.as_bytes()), expected, "{line}");
        }
    }
    check(
        &Grammar::default(),
        &[
            ("a:1|#k:v", "a;k=v !NoType"),
            ("a:1|#", "a !NoType"),
            ("a:1|@0.5", "a !NoType"),
            ("a:1|T5", "a !NoType at 5"),
            ("a:1|T5:2|c", "a !NoType count 2 at 5"),
            ("a:1|c:2|T5", "a count 1 !NoType at 5"),
            ("a:1|c:2|T0", "!BadTimestamp"),
            ("a:1:2|#k:v", "a;k=v !NoType !NoType"),
            ("a:1|c:2|#k:v|#l:w", "a;k=v;l=w count 1 !NoType"),
            ("a:1|c:2|#k:v:3|c", "a;k=v3 count 1 !NoType"),
        ],
    );
}

#[test]
fn a_rate_beside_a_time_is_checked_and_not_applied() {
    check(
        &Grammar::default(),
        &[
            ("a:2|c|@0.25|T1656581400", "a count 2 at 1656581400"),
            ("a:2|c|T1656581400|@0.25", "a count 2 at 1656581400"),
            ("a:2|m|@0.25|T5", "a count 2 at 5"),
            ("a:2|g|@0.25|T5", "a level 2 at 5"),
            ("a:2|c|@0.5:3|c|@0.25|T5", "a count 2 count 3 at 5"),
            ("a:1:2|c|@0.5|T5", "a count 1 count 2 at 5"),
            ("a:2|c|@1e-320|T5", "a count 2 at 5"),
            ("a:2|c|@2|T5", "a !BadRate at 5"),
            ("a:2|g|@0|T5", "a !BadRate at 5"),
            ("a:2|c|0.25|T5", "a !BareNumber at 5"),
            // The time of another type is ignored, so its rate counts.
            ("a:2|ms|@0.25|T5", "a time 2x4 at 5"),
            ("a:2|C|@0.25|T5", "a cumulative 2x4 at 5"),
            // A time ends at a colon.
            ("a:2|c|T5:3|c", "a count 2 count 3 at 5"),
            ("a:2|c|@0.5|T5:3|c|@0.5", "a count 2 count 3 at 5"),
            ("a:2|c|T5x:3|c", "!BadTimestamp"),
        ],
    );
}

#[test]
fn empty_values_of_a_packed_group_are_skipped() {
    for (of, taken) in TYPES.into_iter().filter(|(of, _)| *of != "s") {
        for (values, expected) in [
            ("3:3:", format!("{taken} {taken}")),
            (":3", taken.into()),
            ("3:", taken.into()),
            ("3::3", format!("{taken} {taken}")),
            (":::3:::3:::", format!("{taken} {taken}")),
            ("3:x:3", format!("{taken} !BadValue {taken}")),
            ("3: :3", format!("{taken} {taken}")),
            (" :3", taken.into()),
            ("3: ", taken.into()),
            ("3:\t\r: 3 : ", format!("{taken} {taken}")),
            (" ", "!BadValue".into()),
            (": :\t:", "!BadValue".into()),
            ("", "!BadValue".into()),
            (":", "!BadValue".into()),
            (":::", "!BadValue".into()),
        ] {
            let line = format!("a:{values}|{of}");
            assert_eq!(
                read(&Grammar::default(), line.as_bytes()),
                format!("a {expected}"),
                "{line}"
            );
        }
    }
    check(
        &Grammar::default(),
        &[
            ("a:1:2:|ms", "a time 1 time 2"),
            ("a:::1|s", "a member ::1"),
            ("a::|s", "a member :"),
            ("a:1:2:|zz", "a !UnknownType !UnknownType"),
            ("a:::|zz", "a !UnknownType"),
            ("a::1", "a !NoType"),
            ("a:::", "a !NoType"),
            ("a:1:2:|c|0.1", "a !BareNumber !BareNumber"),
            ("a:-1:2:|ms", "a !NegativeTime time 2"),
        ],
    );
}

/// Returns what several values of a type are with each setting: `None` if they are a packed group.
fn reading_of(of: &str, packed_values: PackedValues) -> Option<&'static str> {
    match (of, packed_values) {
        ("s", _) => Some("whole"),
        (_, PackedValues::All) | ("ms" | "h" | "d", PackedValues::Timings) => None,
        _ => Some("last"),
    }
}

#[test]
fn packed_values_are_read_for_the_types_that_the_key_lists() {
    for (of, taken) in TYPES {
        for packed_values in [PackedValues::All, PackedValues::Timings, PackedValues::No] {
            let grammar = Grammar { packed_values, ..Grammar::default() };
            for (values, all, last, member) in [
                ("3", "3", "3", "3"),
                ("3:3", "3 3", "!NotLast 3", "3:3"),
                ("3:3:3", "3 3 3", "!NotLast !NotLast 3", "3:3:3"),
                ("x:3", "!BadValue 3", "!NotLast 3", "x:3"),
                ("3:x", "3 !BadValue", "!NotLast !BadValue", "3:x"),
                (":3", "3", "!NotLast 3", ":3"),
                ("3:", "3", "!NotLast !BadValue", "3:"),
                (":", "!BadValue", "!NotLast !BadValue", ":"),
            ] {
                let shown = |text: &str| {
                    let words = text.split(' ').map(|word| match word {
                        "3" => taken.to_owned(),
                        word => word.to_owned(),
                    });
                    words.collect::<Vec<_>>().join(" ")
                };
                let expected = match reading_of(of, packed_values) {
                    None => shown(all),
                    Some("last") => shown(last),
                    Some(_) => format!("member {member}"),
                };
                let line = format!("a:{values}|{of}|#k:v");
                let expected = format!("a;k=v {expected}");
                assert_eq!(read(&grammar, line.as_bytes()), expected, "{packed_values:?} {line}");
            }
        }
    }
    let as_node = Grammar { packed_values: PackedValues::No, ..Grammar::default() };
    check(
        &as_node,
        &[
            ("host:8080:1|c", "host !NotLast count 1"),
            ("a:1:2|c:3:4|g", "a !NotLast count 2 !NotLast level 4"),
            ("a:1:2|c|@0.5", "a !NotLast count 4"),
            ("a:1:2|c|@2", "a !BadRate !BadRate"),
            ("a:1:2|g|T5", "a !NotLast level 2 at 5"),
            ("a:1:2", "a !NoType !NoType"),
            ("a:1::2", "a !NoType !NoType !NoType"),
            ("a:1|c:2:", "a count 1 !NoType !NoType"),
            ("a:1::2|zz", "a !UnknownType !UnknownType !UnknownType"),
            ("a:1:|#k:v", "a;k=v !NoType !NoType"),
        ],
    );
}

/// Returns the warnings that a packet causes, and the number of bad lines.
fn warnings(conf: &str, packet: &str) -> (Vec<Warning>, u64) {
    let mut core = Core::configured(conf);
    core.packet(packet);
    let bad = core.engine.own().total(OwnCounter::BadLinesSeen);
    let now = Tick::from_millis(1000);
    (core.engine.ledger_mut().take_warnings(now), bad)
}

#[test]
fn a_packed_counter_or_gauge_is_a_warning_with_an_example() {
    for (of, _) in TYPES {
        let line = format!("host:8080:1|{of}|#k:v");
        let (found, bad) = warnings("", &format!("a:1|{of}\n{line}\nb:1:2|{of}"));
        if matches!(of, "ms" | "h" | "d" | "s") {
            assert_eq!((found, bad), (vec![], 0), "{of}");
            continue;
        }
        let [warning] = &found[..] else { panic!("{of}: {found:?}") };
        assert_eq!((warning.what, warning.count, bad), (WarningKind::PackedValues, 2, 0), "{of}");
        assert_eq!(warning.example, line.as_bytes());
        assert!(warning.what.text().hint.unwrap().contains("[statsd] packed_values"));
    }
    // One value is not packed. A value beside empty values is not packed either.
    for line in ["a:1|c:2|c", "a:1:|c", "a::1|g", "a:1|c|foo:2|c", "a:x:y|c", "a:x:1|c", "a:1:x|kv"]
    {
        let (found, _) = warnings("", line);
        let is_packed = |warning: &Warning| warning.what == WarningKind::PackedValues;
        assert!(!found.iter().any(is_packed), "{line}: {found:?}");
    }
    let (found, bad) = warnings("", "host:x:1:2|c");
    assert_eq!((found.len(), bad), (2, 1), "{found:?}");
    for value in ["timings", "no"] {
        let conf = format!("[statsd]\npacked_values = {value}\n");
        let (found, bad) = warnings(&conf, "host:8080:1|c");
        let [warning] = &found[..] else { panic!("{found:?}") };
        assert!(warning.what.reason().unwrap().contains("packed_values"));
        assert_eq!(bad, 1);
    }
}

#[test]
fn the_key_applies_to_a_running_server() {
    let mut core = Core::new(&settings(), &Namespace::default());
    core.packet("host:8080:1|c");
    assert_eq!(core.flush(10), ["stats.host 808.1 10", "stats_counts.host 8081 10"]);
    core.engine.reconfigure(&configured("[statsd]\npacked_values = no\n"));
    core.packet("host:8080:1|c");
    assert_eq!(core.flush(20), ["stats.host 0.1 20", "stats_counts.host 1 20"]);
    assert_eq!(core.engine.own().total(OwnCounter::BadLinesSeen), 1);
}

/// The lines of the manual of the protocol, and what each is.
#[test]
fn the_examples_of_the_contract() {
    check(
        &Grammar::default(),
        &[
            ("a:1|c|0.1", "a !BareNumber"),
            ("a:1|c|+5", "a !BareNumber"),
            ("a:1|c|", "a !EmptySection"),
            ("a:1|c|#", "a count 1"),
            ("a:1|c|@0.5|:2|ms", "a count 2 time 2"),
            ("a:1|c|foo:2|c", "a !UnknownSection count 2"),
            ("a:1|c:2|#env:prod", "a;env=prod count 1 !NoType"),
            ("a:1|c|#units=bytes", "a;units=bytes count 1"),
            ("a:1|c|#x:y=z", "a;x=y=z count 1"),
            ("a;x=y=z:1|c", "a;x=y=z count 1"),
            ("a:1|c|#tag:val;1", "a;tag=val_1 count 1"),
            ("a:1|c|#k:1,k:2", "a;k=2 count 1"),
            ("a:1|c|#prod", "a;prod=true count 1"),
            ("a:1:2:|ms", "a time 1 time 2"),
            ("host:8080:1|c", "host count 8080 count 1"),
            ("a:2|c|@0.25|T1656581400", "a count 2 at 1656581400"),
            ("k e/y$%:1|c", "k_e-y count 1"),
            ("a:-5|ms", "a !NegativeTime"),
            ("a:0x10|c", "a !BadValue"),
            ("a:1|zz", "a !UnknownType"),
            ("a:::1|s", "a member ::1"),
        ],
    );
}
