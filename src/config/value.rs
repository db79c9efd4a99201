//! [`ValueKind`]: values as the file writes them, from text to types and back. A value that is
//! shown and read again is the same value; `--print-config` relies on this. Pure.
//!
//! Spellings of other programs are accepted, too: `64MB`, `10 sec`, `INFO`, `p99`. They are shown
//! in the form of the example.
//!
//! An error is a text that names what was expected. The reader of the file adds the line, the key
//! and the text that was found.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ahash::AHashMap;

use super::ini::excerpt;
use crate::policy::Percentile;

/// A way to write values of type `T`.
pub(super) trait ValueKind<T> {
    /// Returns the value that `text` stands for. Returns what was expected if it stands for none.
    fn read(&self, text: &str) -> Result<T, String>;
    /// Returns the text of a value. [`read`](Self::read) must accept it.
    fn show(&self, value: &T) -> String;
    /// Returns the value if it is a number, which `max_memory` may set.
    fn number<'a>(&self, _value: &'a T) -> Option<&'a usize> {
        None
    }
    /// As [`number`](Self::number).
    fn number_mut<'a>(&self, _value: &'a mut T) -> Option<&'a mut usize> {
        None
    }
    /// Returns what a message shows in place of the expected: the wrong text, or the wrong element
    /// of a list. [`read`](Self::read) must have refused the text.
    fn found(&self, text: &str) -> String {
        excerpt(text)
    }
    /// As [`read`](Self::read), but the error also quotes the text that was found.
    fn read_or_explain(&self, text: &str) -> Result<T, String> {
        self.read(text).map_err(|expected| format!("{expected}, not {}", self.found(text)))
    }
}

/// A duration of at least the given one, in whole milliseconds: `10s`, `500ms`, `2 min`, `0.5
/// hours`. A bare number is seconds.
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

/// A [`Span`], or `None`, which is written as 0. Words such as `never` are read as `None`, too.
pub(super) struct SpanOrNever;

impl ValueKind<Option<Duration>> for SpanOrNever {
    fn read(&self, text: &str) -> Result<Option<Duration>, String> {
        if ["never", "no", "off", "none"].iter().any(|word| word.eq_ignore_ascii_case(text)) {
            return Ok(None);
        }
        Span(Duration::ZERO).read(text).map(|span| Some(span).filter(|span| !span.is_zero()))
    }

    fn show(&self, span: &Option<Duration>) -> String {
        Span(Duration::ZERO).show(&span.unwrap_or_default())
    }
}

/// A number of bytes within this range, in powers of 1024: `64k`, `16 MB`, `1.5GiB`. A bare number
/// is bytes.
pub(super) struct Size(pub(super) RangeInclusive<usize>);

const SIZE_UNITS: [(&str, u64); 4] =
    [("t", 1 << 40), ("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)];

impl ValueKind<usize> for Size {
    fn read(&self, text: &str) -> Result<usize, String> {
        let size = bytes(text);
        size.filter(|size| self.0.contains(size)).ok_or_else(|| {
            let least = self.show(self.0.start());
            let most = self.show(self.0.end());
            // An example may be out of the range, and would contradict it.
            let examples = if size.is_some() { "" } else { " such as 64k, 16m or 1g," };
            format!("expected a size{examples} from {least} to {most}")
        })
    }

    fn show(&self, size: &usize) -> String {
        size_text(*size as u64)
    }

    fn number<'a>(&self, size: &'a usize) -> Option<&'a usize> {
        Some(size)
    }

    fn number_mut<'a>(&self, size: &'a mut usize) -> Option<&'a mut usize> {
        Some(size)
    }
}

/// Returns a number of bytes as [`Size`] reads it.
pub(super) fn size_text(bytes: u64) -> String {
    in_largest_unit(bytes, &SIZE_UNITS)
}

/// A whole number in this range, such as 1000000 or 1_000_000.
pub(super) struct Count(pub(super) RangeInclusive<u32>);

impl ValueKind<u32> for Count {
    fn read(&self, text: &str) -> Result<u32, String> {
        let least = self.0.start();
        let most = self.0.end();
        grouped(text)
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

    fn number<'a>(&self, count: &'a usize) -> Option<&'a usize> {
        Some(count)
    }

    fn number_mut<'a>(&self, count: &'a mut usize) -> Option<&'a mut usize> {
        Some(count)
    }
}

/// A whole number of percent in this range, with or without a percent sign.
pub(super) struct WholePercent(pub(super) RangeInclusive<u32>);

impl ValueKind<u32> for WholePercent {
    fn read(&self, text: &str) -> Result<u32, String> {
        Count(self.0.clone()).read(without_percent_sign(text))
    }

    fn show(&self, percent: &u32) -> String {
        percent.to_string()
    }
}

/// A decimal number in this range, such as 0.01, or 1% for the same.
pub(super) struct Fraction(pub(super) RangeInclusive<f64>);

impl ValueKind<f64> for Fraction {
    fn read(&self, text: &str) -> Result<f64, String> {
        let number = without_percent_sign(text);
        let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        // The exponent divides exactly. `0.1 / 100.0` is not the double of `0.001`.
        let exponent = if number == text { "" } else { "e-2" };
        let fraction = format!("{number}{exponent}").parse().ok();
        let fraction = fraction.filter(|fraction| plain && self.0.contains(fraction));
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
        // No argument of a process can contain a NUL, so such a command could never be started.
        if text.contains('\0') {
            return Err("expected a command without NUL".into());
        }
        Ok(text.into())
    }

    fn show(&self, command: &String) -> String {
        command.clone()
    }
}

/// One of a few words, in capital or small letters. If several words have the same meaning, the
/// first of them is shown.
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
        let is_meant = |(word, _): &&(&str, T)| word.eq_ignore_ascii_case(text);
        let chosen = self.0.iter().find(is_meant).map(|&(_, value)| value);
        chosen.ok_or_else(|| {
            let is_first = |&(word, value): &(&str, T)| self.show(&value) == word;
            let words = self.0.iter().copied().filter(is_first).map(|(word, _)| word);
            format!("expected one of {}", words.collect::<Vec<_>>().join(", "))
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

    fn found(&self, text: &str) -> String {
        self.0.found(text)
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

/// Why a text is no list.
struct BadList {
    expected: String,
    found: String,
}

impl<K> List<K> {
    fn items<T>(&self, text: &str) -> Result<Vec<T>, BadList>
    where
        K: ValueKind<T>,
    {
        let mut items = Vec::new();
        each_word(text, &mut |word| {
            let found = |expected| BadList { expected, found: self.0.found(word) };
            let item = self.0.read(word).map_err(found)?;
            let shown = self.0.show(&item);
            items.push(item);
            Ok(shown)
        })?;
        Ok(items)
    }
}

/// Passes each word of a list to `read`, which returns how its value is shown. Fails if two words
/// have the same value.
///
/// It does not depend on the type of the values, so the program has it once.
fn each_word(
    text: &str,
    read: &mut dyn FnMut(&str) -> Result<String, BadList>,
) -> Result<(), BadList> {
    let mut words = AHashMap::new();
    for word in text.split(',').map(str::trim).filter(|_| !text.is_empty()) {
        let shown = read(word).map_err(|bad| match word {
            "" => BadList { found: "an empty element next to a comma".into(), ..bad },
            _ => bad,
        })?;
        // 0.5 and 0.50 are the same value, so the texts to compare are those that are shown.
        if let Some(before) = words.insert(shown, word) {
            let expected = format!("expected {word} only once");
            let found = match before {
                before if before == word => "again".into(),
                before => format!("after {before}, which is the same"),
            };
            return Err(BadList { expected, found });
        }
    }
    Ok(())
}

impl<T, K: ValueKind<T>> ValueKind<Vec<T>> for List<K> {
    fn read(&self, text: &str) -> Result<Vec<T>, String> {
        self.items(text).map_err(|bad| bad.expected)
    }

    fn show(&self, items: &Vec<T>) -> String {
        items.iter().map(|item| self.0.show(item)).collect::<Vec<_>>().join(", ")
    }

    fn found(&self, text: &str) -> String {
        self.items(text).err().map_or_else(|| excerpt(text), |bad| bad.found)
    }
}

/// A list of at most this many values.
pub(super) struct AtMost<K>(pub(super) usize, pub(super) K);

impl<T, K: ValueKind<Vec<T>>> ValueKind<Vec<T>> for AtMost<K> {
    fn read(&self, text: &str) -> Result<Vec<T>, String> {
        // The count is checked before any value is read, because there may be very many.
        if count_of_words(text) > self.0 {
            return Err(format!("expected at most {}", self.0));
        }
        self.1.read(text)
    }

    fn show(&self, items: &Vec<T>) -> String {
        self.1.show(items)
    }

    fn found(&self, text: &str) -> String {
        match count_of_words(text) {
            count if count > self.0 => count.to_string(),
            _ => self.1.found(text),
        }
    }
}

/// The number of words in a list that is not empty.
fn count_of_words(list: &str) -> usize {
    list.bytes().filter(|byte| *byte == b',').count() + 1
}

/// A percentile, in percent: `99.9`, `99.9%` or `p99.9`. A negative one refers to the highest
/// samples: -10 to the highest tenth.
pub(super) struct Percent;

impl ValueKind<Percentile> for Percent {
    fn read(&self, text: &str) -> Result<Percentile, String> {
        let number = text.strip_prefix(['p', 'P']).filter(|number| !number.starts_with('-'));
        let number = number.unwrap_or_else(|| without_percent_sign(text));
        let plain = number.bytes().all(|byte| byte.is_ascii_digit() || b".-".contains(&byte));
        let percent = number.parse().ok().filter(|percent: &f64| plain && percent.abs() >= 0.001);
        percent
            .and_then(Percentile::new)
            .ok_or_else(|| "expected percentiles from 0.001 to 100, or from -0.001 to -100".into())
    }

    fn show(&self, percentile: &Percentile) -> String {
        percentile.percent().to_string()
    }
}

/// Returns the milliseconds of a duration. Returns `None` if the text is not a duration, not in
/// whole milliseconds, or does not fit a `u64`.
fn millis(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text);
    // `M` is not read as minutes, because it is a month in other programs.
    if unit == "M" {
        return None;
    }
    let scale = match unit.to_ascii_lowercase().as_str() {
        "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => 1,
        "" | "s" | "sec" | "secs" | "second" | "seconds" => 1000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 24 * 3_600_000,
        _ => return None,
    };
    scaled(number, scale)
}

/// Returns the bytes of a size. Returns `None` if the text is not a size, not in whole bytes, or
/// does not fit a `usize`.
fn bytes(text: &str) -> Option<usize> {
    let (number, unit) = split_unit(text);
    let scale = match unit.to_ascii_lowercase().as_str() {
        "" | "b" | "byte" | "bytes" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return None,
    };
    usize::try_from(scaled(number, scale)?).ok()
}

/// Returns a decimal number times `scale`. Returns `None` if that is not a whole number. It
/// computes with integers, so that 0.1s is exactly 100 ms.
fn scaled(number: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let places = u32::try_from(fraction.len()).ok().filter(|&places| places <= 9)?;
    let product = digits(fraction)?.checked_mul(scale)?;
    let tens = 10_u64.pow(places);
    let exact = product % tens == 0;
    grouped(whole)?.checked_mul(scale)?.checked_add(product / tens).filter(|_| exact)
}

/// Splits a text into its number and the unit after it, which may be empty.
fn split_unit(text: &str) -> (&str, &str) {
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    (number.trim_end(), &text[number.len()..])
}

fn without_percent_sign(text: &str) -> &str {
    text.strip_suffix('%').map_or(text, str::trim_end)
}

/// Parses a number whose digits may be grouped: `1000000` or `1_000_000`.
fn grouped(text: &str) -> Option<u64> {
    if text.split('_').any(str::is_empty) { None } else { digits(&text.replace('_', "")) }
}

/// Parses a number of digits only. `parse` alone would also accept a leading `+`.
pub(super) fn digits(text: &str) -> Option<u64> {
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
pub(super) mod tests;
