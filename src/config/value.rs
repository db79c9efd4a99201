//! [`ValueKind`]: values as the file writes them, from text to types and back. A value that is
//! shown and read again is the same value; `--print-config` relies on this. Pure.
//!
//! An error is a text that names what was expected. The reader of the file adds the line and the
//! key.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ahash::AHashSet;

use crate::policy::Percentile;

/// A way to write values of type `T`.
pub(super) trait ValueKind<T> {
    /// Returns the value that `text` stands for. Returns what was expected if it stands for none.
    fn read(&self, text: &str) -> Result<T, String>;
    /// Returns the text of a value. [`read`](Self::read) must accept it.
    fn show(&self, value: &T) -> String;
}

/// A duration of at least the given one, in whole milliseconds: `10s`, `500ms`, `2m`, `1h`, `0.5s`.
/// A bare number is seconds.
pub(super) struct Span(pub(super) Duration);

/// A year. A longer duration is a mistake, and the bound keeps deadlines from overflowing.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// The units, largest first. A value is shown in the largest unit of which it is a whole number.
const SPAN_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl ValueKind<Duration> for Span {
    fn read(&self, text: &str) -> Result<Duration, String> {
        let within = |span: &Duration| (self.0..=LONGEST).contains(span);
        millis(text).map(Duration::from_millis).filter(within).ok_or_else(|| {
            let least = self.show(&self.0);
            let most = self.show(&LONGEST);
            format!("expected a duration such as 10s, 500ms, 2m or 1h, from {least} to {most}")
        })
    }

    fn show(&self, span: &Duration) -> String {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        in_largest_unit(millis, &SPAN_UNITS)
    }
}

/// A [`Span`], or `None`, which is written as 0.
pub(super) struct SpanOrNever;

impl ValueKind<Option<Duration>> for SpanOrNever {
    fn read(&self, text: &str) -> Result<Option<Duration>, String> {
        Span(Duration::ZERO).read(text).map(|span| Some(span).filter(|span| !span.is_zero()))
    }

    fn show(&self, span: &Option<Duration>) -> String {
        Span(Duration::ZERO).show(&span.unwrap_or_default())
    }
}

/// A number of bytes within this range, in powers of 1024: `64k`, `16m`, `1g`. A bare number is
/// bytes.
pub(super) struct Size(pub(super) RangeInclusive<usize>);

const SIZE_UNITS: [(&str, u64); 3] = [("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)];

impl ValueKind<usize> for Size {
    fn read(&self, text: &str) -> Result<usize, String> {
        bytes(text).filter(|size| self.0.contains(size)).ok_or_else(|| {
            let least = self.show(self.0.start());
            let most = self.show(self.0.end());
            format!("expected a size such as 64k, 16m or 1g, from {least} to {most}")
        })
    }

    fn show(&self, size: &usize) -> String {
        in_largest_unit(*size as u64, &SIZE_UNITS)
    }
}

/// A whole number in this range.
pub(super) struct Count(pub(super) RangeInclusive<u32>);

impl ValueKind<u32> for Count {
    fn read(&self, text: &str) -> Result<u32, String> {
        let least = self.0.start();
        let most = self.0.end();
        digits(text)
            .and_then(|count| u32::try_from(count).ok())
            .filter(|count| self.0.contains(count))
            .ok_or_else(|| format!("expected a whole number from {least} to {most}"))
    }

    fn show(&self, count: &u32) -> String {
        count.to_string()
    }
}

impl ValueKind<usize> for Count {
    fn read(&self, text: &str) -> Result<usize, String> {
        ValueKind::<u32>::read(self, text).map(|count| count as usize)
    }

    fn show(&self, count: &usize) -> String {
        count.to_string()
    }
}

/// A decimal number in this range, such as 0.01.
pub(super) struct Fraction(pub(super) RangeInclusive<f64>);

impl ValueKind<f64> for Fraction {
    fn read(&self, text: &str) -> Result<f64, String> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let fraction = text.parse().ok().filter(|fraction| plain && self.0.contains(fraction));
        let least = self.0.start();
        let most = self.0.end();
        fraction.ok_or_else(|| format!("expected a number from {least} to {most}"))
    }

    fn show(&self, fraction: &f64) -> String {
        fraction.to_string()
    }
}

/// A command for the shell: the whole rest of the line. Quotes and `#` are part of it, because the
/// shell interprets them. Empty if there is no command.
pub(super) struct CommandLine;

impl ValueKind<String> for CommandLine {
    fn read(&self, text: &str) -> Result<String, String> {
        // A NUL would end the argument of execve early, and the shell would run half the command.
        if text.contains('\0') {
            return Err("expected a command without NUL".into());
        }
        Ok(text.into())
    }

    fn show(&self, command: &String) -> String {
        command.clone()
    }
}

/// One of a few words. If several words have the same meaning, the first of them is shown.
pub(super) struct Word<T: 'static>(pub(super) &'static [(&'static str, T)]);

pub(super) const YES_NO: Word<bool> = Word(&[
    ("yes", true),
    ("no", false),
    ("true", true),
    ("false", false),
    ("on", true),
    ("off", false),
    ("1", true),
    ("0", false),
]);

impl<T: Copy + PartialEq> ValueKind<T> for Word<T> {
    fn read(&self, text: &str) -> Result<T, String> {
        let chosen = self.0.iter().find(|(word, _)| *word == text).map(|&(_, value)| value);
        chosen.ok_or_else(|| {
            let words: Vec<_> = self.0.iter().map(|&(word, _)| word).collect();
            format!("expected one of {}", words.join(", "))
        })
    }

    fn show(&self, value: &T) -> String {
        self.0.iter().find(|(_, of)| of == value).map_or("", |&(word, _)| word).into()
    }
}

/// A value, or `None`, which is written as nothing.
pub(super) struct OrEmpty<K>(pub(super) K);

impl<T, K: ValueKind<T>> ValueKind<Option<T>> for OrEmpty<K> {
    fn read(&self, text: &str) -> Result<Option<T>, String> {
        if text.is_empty() { Ok(None) } else { self.0.read(text).map(Some) }
    }

    fn show(&self, value: &Option<T>) -> String {
        value.as_ref().map_or_else(String::new, |value| self.0.show(value))
    }
}

/// A part of a name, with a length in this range. It has only bytes that every destination can
/// store, so no encoder needs to rewrite it.
pub(super) struct NamePart(pub(super) RangeInclusive<usize>);

impl ValueKind<String> for NamePart {
    fn read(&self, text: &str) -> Result<String, String> {
        let clean = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if self.0.contains(&text.len()) && text.bytes().all(clean) {
            return Ok(text.into());
        }
        let least = self.0.start();
        let most = self.0.end();
        Err(format!("expected {least} to {most} of A-Z, a-z, 0-9, _, - and ."))
    }

    fn show(&self, part: &String) -> String {
        part.clone()
    }
}

/// The path of a file, or `None`, which is written as nothing.
pub(super) struct FilePath;

impl ValueKind<Option<PathBuf>> for FilePath {
    fn read(&self, text: &str) -> Result<Option<PathBuf>, String> {
        // Such a path would have to be quoted when it is shown, and it is probably a mistake.
        if text.chars().any(|letter| letter.is_control() || "\"#;".contains(letter)) {
            return Err("expected a path without quotes, # and ;".into());
        }
        Ok(Some(text).filter(|text| !text.is_empty()).map(PathBuf::from))
    }

    fn show(&self, path: &Option<PathBuf>) -> String {
        path.as_ref().map_or_else(String::new, |path| path.display().to_string())
    }
}

/// A list of values of one kind, separated by commas. No value may occur twice.
pub(super) struct List<K>(pub(super) K);

impl<T, K: ValueKind<T>> ValueKind<Vec<T>> for List<K> {
    fn read(&self, text: &str) -> Result<Vec<T>, String> {
        let mut items = Vec::new();
        let mut shown = AHashSet::new();
        for word in text.split(',').map(str::trim).filter(|_| !text.is_empty()) {
            let item = self.0.read(word)?;
            // 0.5 and 0.50 are the same value, so the texts to compare are those that are shown.
            if !shown.insert(self.0.show(&item)) {
                return Err(format!("expected {word} only once"));
            }
            items.push(item);
        }
        Ok(items)
    }

    fn show(&self, items: &Vec<T>) -> String {
        items.iter().map(|item| self.0.show(item)).collect::<Vec<_>>().join(", ")
    }
}

/// A list of at most this many values.
pub(super) struct AtMost<K>(pub(super) usize, pub(super) K);

impl<T, K: ValueKind<Vec<T>>> ValueKind<Vec<T>> for AtMost<K> {
    fn read(&self, text: &str) -> Result<Vec<T>, String> {
        // The count is checked before any value is read, because there may be very many.
        if text.bytes().filter(|byte| *byte == b',').count() >= self.0 {
            return Err(format!("expected at most {}", self.0));
        }
        self.1.read(text)
    }

    fn show(&self, items: &Vec<T>) -> String {
        self.1.show(items)
    }
}

/// A percentile, in percent. A negative one refers to the highest samples: -10 to the highest
/// tenth.
pub(super) struct Percent;

impl ValueKind<Percentile> for Percent {
    fn read(&self, text: &str) -> Result<Percentile, String> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b".-".contains(&byte));
        let percent = text.parse().ok().filter(|percent: &f64| plain && percent.abs() >= 0.001);
        percent
            .and_then(Percentile::new)
            .ok_or_else(|| "expected percentiles from 0.001 to 100, or from -0.001 to -100".into())
    }

    fn show(&self, percentile: &Percentile) -> String {
        percentile.percent().to_string()
    }
}

/// Returns the milliseconds of a duration. Returns `None` if the text is not a duration, not in
/// whole milliseconds, or does not fit a `u64`. It computes with integers, so that 0.1s is exactly
/// 100 ms.
fn millis(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text);
    let unit = if unit.is_empty() { "s" } else { unit };
    let (_, scale) = SPAN_UNITS.into_iter().find(|&(name, _)| name == unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let places = u32::try_from(fraction.len()).ok().filter(|&places| places <= 9)?;
    let scaled = digits(fraction)? * scale;
    let tens = 10_u64.pow(places);
    let exact = scaled % tens == 0;
    digits(whole)?.checked_mul(scale)?.checked_add(scaled / tens).filter(|_| exact)
}

/// Returns the bytes of a size. Returns `None` if the text is not a size, or does not fit a
/// `usize`.
fn bytes(text: &str) -> Option<usize> {
    let (number, unit) = split_unit(text);
    let unit = unit.to_ascii_lowercase();
    let scale = match unit.as_str() {
        "" => 1,
        unit => SIZE_UNITS.into_iter().find(|&(name, _)| name == unit)?.1,
    };
    usize::try_from(digits(number)?.checked_mul(scale)?).ok()
}

/// Splits a text into its number and the unit after it, which may be empty.
fn split_unit(text: &str) -> (&str, &str) {
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    (number.trim_end(), &text[number.len()..])
}

/// Parses a number of digits only. `parse` alone would also accept a leading `+`.
fn digits(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Returns a value in the largest unit of which it is a whole number.
fn in_largest_unit(value: u64, units: &[(&str, u64)]) -> String {
    match units.iter().find(|&&(_, scale)| value != 0 && value.is_multiple_of(scale)) {
        Some((unit, scale)) => format!("{}{unit}", value / scale),
        None => value.to_string(),
    }
}

#[cfg(test)]
pub(super) mod tests {
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
                ("0", ms(0), "0"),
                ("8760h", LONGEST, "8760h"),
            ],
        );
        let wrong =
            ["", "s", "-1s", "+1s", "1d", "1.s", ".5s", "1.2.3s", "0.5ms", "1e3", "8761h", "1 0s"];
        refused(&any, &wrong, "expected a duration such as 10s");
        refused(&any, &["99999999999999999999h", "1.0000000000s"], "to 8760h");
        refused(&Span(ms(1000)), &["0", "999ms"], "from 1s");
        both_ways(&SpanOrNever, &[("0", None, "0"), ("10m", Some(ms(600_000)), "10m")]);
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
                ("1000", 1000, "1000"),
                ("0", 0, "0"),
            ],
        );
        refused(&any, &["", "k", "1.5k", "1kb", "-1", "99999999999g"], "expected a size");
        refused(&Size(64..=1 << 20), &["63", "1025k"], "from 64 to 1m");
    }

    #[test]
    fn counts() {
        both_ways::<u32>(&Count(1..=100), &[("1", 1, "1"), ("100", 100, "100")]);
        both_ways::<usize>(&Count(1..=100), &[("007", 7, "7")]);
        refused::<u32>(&Count(1..=100), &["0", "101", "1k", "", "+1", "-1"], "from 1 to 100");
    }

    #[test]
    fn a_fraction_is_plain_and_within_its_range() {
        let fraction = Fraction(0.001..=0.2);
        for (text, value) in [("0.01", Some(0.01)), (".2", Some(0.2)), ("0.001", Some(0.001))] {
            assert_eq!(fraction.read(text).ok(), value, "{text}");
        }
        for text in ["", "0", "0.21", "1e-2", "+0.1", "-0.1", "nan", "1%", "."] {
            assert_eq!(fraction.read(text), Err("expected a number from 0.001 to 0.2".into()));
        }
        assert_eq!(fraction.show(&0.05), "0.05");
    }

    #[test]
    fn words() {
        both_ways(&YES_NO, &[("yes", true, "yes"), ("on", true, "yes"), ("0", false, "no")]);
        refused(&YES_NO, &["", "maybe", "YES"], "expected one of yes, no, true");
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
            ],
        );
        refused(&List(Percent), &["0", "101", "1e1", "inf", "90,", ",", "1-2"], "expected percent");
        refused(&List(Percent), &["90, 90.0"], "90.0 only once");
        refused(&AtMost(1, List(Percent)), &["90, 91"], "expected at most 1");
    }
}
