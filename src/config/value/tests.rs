//! Each kind of values: what it reads, how it shows it, and what it refuses.

use super::*;

/// Checks that each text reads as its value, and that the value is shown as the third element.
pub(in super::super) fn both_ways<T: PartialEq + std::fmt::Debug>(
    kind: &impl ValueKind<T>,
    cases: &[(&str, T, &str)],
) {
    for (text, value, shown) in cases {
        assert_eq!(kind.read(text).as_ref(), Ok(value), "{text}");
        assert_eq!(kind.show(value), *shown, "{text}");
        assert_eq!(kind.read(shown).as_ref(), Ok(value), "{text}");
    }
}

pub(in super::super) fn refused<T: std::fmt::Debug>(
    kind: &impl ValueKind<T>,
    texts: &[&str],
    expected: &str,
) {
    for text in texts {
        let message = kind.read(text).expect_err(text);
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn durations() {
    let ms = Duration::from_millis;
    let any = Span(Duration::ZERO);
    both_ways(
        &any,
        &[
            ("10s", ms(10_000), "10s"),
            ("500ms", ms(500), "500ms"),
            ("2m", ms(120_000), "2m"),
            ("60s", ms(60_000), "1m"),
            ("1h", ms(3_600_000), "1h"),
            ("90", ms(90_000), "90s"),
            ("0.5s", ms(500), "500ms"),
            ("1.5h", ms(5_400_000), "90m"),
            ("10 s", ms(10_000), "10s"),
            ("10 sec", ms(10_000), "10s"),
            ("10 Seconds", ms(10_000), "10s"),
            ("1min", ms(60_000), "1m"),
            ("2 minutes", ms(120_000), "2m"),
            ("100 ms", ms(100), "100ms"),
            ("250 MSEC", ms(250), "250ms"),
            ("1.5 hours", ms(5_400_000), "90m"),
            ("7d", ms(604_800_000), "168h"),
            ("10_000ms", ms(10_000), "10s"),
            ("0", ms(0), "0"),
            ("8760h", LONGEST, "8760h"),
        ],
    );
    let wrong = [
        "", "s", "-1s", "+1s", "1w", "1.s", ".5s", "1.2.3s", "0.5ms", "1e3", "8761h", "1 0s", "1M",
        "1_s", "_1s", "0.0_5s", "1s 500ms",
    ];
    refused(&any, &wrong, "expected a duration such as 10s");
    refused(&any, &["99999999999999999999h", "1.0000000000s"], "to 8760h");
    refused(&Span(ms(1000)), &["0", "999ms"], "from 1s");
    both_ways(
        &SpanOrNever,
        &[
            ("0", None, "0"),
            ("Never", None, "0"),
            ("off", None, "0"),
            ("10m", Some(ms(600_000)), "10m"),
        ],
    );
    refused(&SpanOrNever, &["", "yes"], "expected a duration such as");
}

#[test]
fn sizes() {
    let any = Size(0..=usize::MAX);
    both_ways(
        &any,
        &[
            ("64k", 64 << 10, "64k"),
            ("16M", 16 << 20, "16m"),
            ("1g", 1 << 30, "1g"),
            ("1024k", 1 << 20, "1m"),
            ("64MB", 64 << 20, "64m"),
            ("64 MiB", 64 << 20, "64m"),
            ("64mb", 64 << 20, "64m"),
            ("4 KiB", 4 << 10, "4k"),
            ("1.5g", 1536 << 20, "1536m"),
            ("1tb", 1 << 40, "1t"),
            ("512 bytes", 512, "512"),
            ("512B", 512, "512"),
            ("1_048_576", 1 << 20, "1m"),
            ("1000", 1000, "1000"),
            ("0", 0, "0"),
        ],
    );
    refused(&any, &["", "k", "0.1k", "1kbit", "1 k b", "-1", "99999999999g"], "expected a size");
    refused(&Size(64..=1 << 20), &["63", "1025k"], "from 64 to 1m");
}

#[test]
fn counts() {
    both_ways::<u32>(&Count(1..=100), &[("1", 1, "1"), ("100", 100, "100")]);
    both_ways::<usize>(&Count(1..=100), &[("007", 7, "7"), ("1_0", 10, "10")]);
    both_ways(&WholePercent(1..=100), &[("7", 7, "7"), ("99%", 99, "99"), ("9 %", 9, "9")]);
    refused(&WholePercent(1..=100), &["0%", "101%", "%", "1%%"], "from 1 to 100");
    refused::<u32>(&Count(1..=100), &["0", "101", "1k", "", "+1", "-1"], "from 1 to 100");
}

#[test]
fn a_fraction_is_plain_and_within_its_range() {
    let fraction = Fraction(0.001..=0.2);
    for (text, value) in [
        ("0.01", Some(0.01)),
        (".2", Some(0.2)),
        ("0.001", Some(0.001)),
        ("1%", Some(0.01)),
        ("0.1 %", Some(0.001)),
        ("2.3%", Some(0.023)),
    ] {
        assert_eq!(fraction.read(text).ok(), value, "{text}");
    }
    for text in ["", "0", "0.21", "1e-2", "+0.1", "-0.1", "nan", "21%", "%", "."] {
        assert_eq!(fraction.read(text), Err("expected a number from 0.001 to 0.2".into()));
    }
    assert_eq!(fraction.show(&0.05), "0.05");
}

#[test]
fn words() {
    both_ways(
        &YES_NO,
        &[
            ("yes", true, "yes"),
            ("on", true, "yes"),
            ("0", false, "no"),
            ("On", true, "yes"),
            ("TRUE", true, "yes"),
            ("False", false, "no"),
        ],
    );
    refused(&YES_NO, &["", "maybe", "ye"], "expected one of yes, no");
}

#[test]
fn name_parts() {
    let part = NamePart(1..=4);
    both_ways(&part, &[("a.b", "a.b".to_string(), "a.b"), ("_-9Z", "_-9Z".into(), "_-9Z")]);
    refused(&part, &["", "abcde", "a b", "é", "a\0"], "expected 1 to 4 of A-Z");
}

#[test]
fn paths() {
    let path = |text: &str| Some(PathBuf::from(text));
    both_ways(
        &FilePath,
        &[("", None, ""), ("/var/log/a b.log", path("/var/log/a b.log"), "/var/log/a b.log")],
    );
    refused(&FilePath, &["a#b", "a\"", "a;b", "a\tb"], "expected a path");
}

#[test]
fn lists_of_percentiles() {
    let of = |percents: &[f64]| {
        percents.iter().map(|&percent| Percentile::new(percent).unwrap()).collect::<Vec<_>>()
    };
    both_ways(
        &List(Percent),
        &[
            ("", of(&[]), ""),
            ("90", of(&[90.0]), "90"),
            ("50,95 , 99.9, -10", of(&[50.0, 95.0, 99.9, -10.0]), "50, 95, 99.9, -10"),
            ("p50, P99.9, 90 %, -5%", of(&[50.0, 99.9, 90.0, -5.0]), "50, 99.9, 90, -5"),
        ],
    );
    refused(&List(Percent), &["p", "p-1", "pp1", "%", "p90%"], "expected percent");
    refused(&List(Percent), &["0", "101", "1e1", "inf", "90,", ",", "1-2"], "expected percent");
    refused(&List(Percent), &["90, 90.0"], "90.0 only once");
    refused(&AtMost(1, List(Percent)), &["90, 91"], "expected at most 1");
}

#[test]
fn a_message_names_the_wrong_element_of_a_list() {
    let list = AtMost(4, List(Percent));
    let expected = "expected percentiles from 0.001 to 100, or from -0.001 to -100, not";
    for (text, found) in [
        ("50, x90, 99", format!("{expected} \"x90\"")),
        ("50, 90,", format!("{expected} an empty element next to a comma")),
        ("50, 90, 50", "expected 50 only once, not again".into()),
        ("50, 90, 50.0", "expected 50.0 only once, not after 50, which is the same".into()),
        ("1, 2, 3, 4, 5", "expected at most 4, not 5".into()),
    ] {
        assert_eq!(list.read_or_explain(text), Err(found), "{text}");
    }
}
