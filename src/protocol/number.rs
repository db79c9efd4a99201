//! Decimal numbers as clients write them: optional sign, digits with an optional point, optional
//! exponent.
//!
//! The fast path is Clinger's. A mantissa below 2^53 and a power of ten up to 22 are both exact
//! doubles. So one multiplication or division rounds only once, which gives the nearest double. The
//! standard library reads all longer numbers. The tests compare the fast path with it.
//!
//! The standard library is exact for many digits near the halfway point of two doubles. That takes
//! longer the further they are from 1, up to 10 µs for 50 bytes. So only the first [`SIGNIFICANT`]
//! digits of such numbers count, and no packet of them takes long. The result may then be the
//! neighbour of the nearest double.

use std::fmt::Write as _;

use arrayvec::ArrayString;

/// The powers of ten that are exact doubles.
pub(super) const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Returns the number in `text`, which may have white space around it. Returns `None` for anything
/// that is not a finite decimal number.
pub fn decimal(text: &[u8]) -> Option<f64> {
    let text = text.trim_ascii();
    let (negative, digits) = match text.first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let parts = Parts::read(digits)?;
    let magnitude = match parts.exactly() {
        Some(value) => value,
        None => parts.long(digits)?,
    };
    magnitude.is_finite().then_some(if negative { -magnitude } else { magnitude })
}

/// Reads a sample rate: an unsigned decimal number over 0 and at most 1.
pub(super) fn rate(text: &[u8]) -> Option<f64> {
    if !matches!(text.first()?, b'0'..=b'9' | b'.') {
        return None;
    }
    decimal(text).filter(|rate| *rate > 0.0 && *rate <= 1.0)
}

/// Reads a timestamp: a positive whole number of seconds, with digits only.
pub(super) fn seconds(text: &[u8]) -> Option<u64> {
    const LATEST: u64 = 253_402_300_799; // the end of year 9999
    if text.is_empty() || text.len() > 12 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = text.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
    (1..=LATEST).contains(&value).then_some(value)
}

/// The parts of an unsigned decimal number: mantissa × 10^exponent.
struct Parts {
    mantissa: u64,
    exponent: i64,
    /// The mantissa holds every digit.
    whole: bool,
}

impl Parts {
    /// Splits a number without a sign into its parts. Returns `None` if it is not a number.
    fn read(text: &[u8]) -> Option<Self> {
        let mut parts = Self { mantissa: 0, exponent: 0, whole: true };
        let integer = parts.take_digits(text);
        let mut at = integer;
        if text.get(at) == Some(&b'.') {
            let fraction = parts.take_digits(&text[at + 1..]);
            if integer + fraction == 0 {
                return None;
            }
            parts.exponent = -i64::try_from(fraction).ok()?;
            at += 1 + fraction;
        } else if integer == 0 {
            return None;
        }
        if let Some(b'e' | b'E') = text.get(at) {
            parts.exponent = parts.exponent.saturating_add(exponent(&text[at + 1..])?);
            at = text.len();
        }
        (at == text.len()).then_some(parts)
    }

    /// Adds the digits at the start of `text` to the mantissa. Returns their number.
    fn take_digits(&mut self, text: &[u8]) -> usize {
        const ROOM: u64 = (1 << 53) / 10;
        let mut taken = 0;
        for digit in text.iter().take_while(|byte| byte.is_ascii_digit()) {
            if self.mantissa < ROOM {
                self.mantissa = self.mantissa * 10 + u64::from(digit - b'0');
            } else {
                self.whole = false;
            }
            taken += 1;
        }
        taken
    }

    /// Returns the value if one exact operation gives it.
    fn exactly(&self) -> Option<f64> {
        if !self.whole {
            return None;
        }
        let power = *POWERS.get(usize::try_from(self.exponent.unsigned_abs()).ok()?)?;
        let mantissa = self.mantissa as f64;
        Some(if self.exponent < 0 { mantissa / power } else { mantissa * power })
    }

    /// Parses `text`, whose parts `self` holds, by the slow path. Digits after the first
    /// [`SIGNIFICANT`] are dropped only from very large and very small numbers.
    #[cold]
    fn long(&self, text: &[u8]) -> Option<f64> {
        let mantissa = text.iter().take_while(|byte| !matches!(byte, b'e' | b'E'));
        let mut digits = mantissa.filter(|byte| **byte != b'.').skip_while(|byte| **byte == b'0');
        let mut cut: ArrayString<48> = ArrayString::new();
        digits.by_ref().take(SIGNIFICANT).for_each(|digit| cut.push(char::from(*digit)));
        let dropped = i64::try_from(digits.count()).ok()?;
        let exponent = self.exponent.saturating_add(dropped);
        let is_near = exponent.unsigned_abs() <= NEAR;
        let text = if dropped == 0 || is_near {
            std::str::from_utf8(text).ok()?
        } else {
            write!(cut, "e{exponent}").ok()?;
            &cut
        };
        text.parse().ok()
    }
}

/// With this many digits the standard library never needs its slow exact comparison.
const SIGNIFICANT: usize = 19;
/// For numbers up to this many powers of ten from 1 the exact comparison is cheap.
const NEAR: u64 = 40;

/// Reads the exponent after an `e`, which may have a sign. It is limited to ±100,000, since a
/// larger one makes no difference to a double.
fn exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits
        .iter()
        .fold(0i64, |value, digit| (value * 10 + i64::from(digit - b'0')).min(100_000));
    Some(if negative { -size } else { size })
}

#[cfg(test)]
mod tests {
    use statsd_bench::Random;

    use super::*;

    #[test]
    fn what_is_a_number() {
        for (text, value) in [
            ("1", 1.0),
            ("-1", -1.0),
            ("+1", 1.0),
            (".5", 0.5),
            ("5.", 5.0),
            (" 12 ", 12.0),
            ("\t3", 3.0),
            ("1e3", 1000.0),
            ("1E+3", 1000.0),
            ("1e-05", 0.000_01),
            ("1.0e-05", 0.000_01),
            ("12.000000", 12.0),
            ("0.1", 0.1),
            ("1e21", 1e21),
            ("1e-400", 0.0),
            ("123456789012345678901234567890", 123_456_789_012_345_680_000_000_000_000.0),
            ("9007199254740993", 9_007_199_254_740_992.0),
            ("0.30000000000000004", 0.300_000_000_000_000_04),
            ("1.7976931348623157e308", f64::MAX),
        ] {
            assert_eq!(decimal(text.as_bytes()), Some(value), "{text:?}");
        }
    }

    #[test]
    fn what_is_none() {
        for text in [
            "",
            " ",
            ".",
            "+",
            "-",
            "e5",
            ".e5",
            "1e",
            "1e+",
            "1e1.5",
            "--5",
            "+-5",
            "0x10",
            "inf",
            "Infinity",
            "nan",
            "NaN",
            "null",
            "undefined",
            "1abc",
            "5.0f",
            "1 2",
            "1,5",
            "1_000",
            "1e309",
            "-1e999999999999999999999",
            "\u{0661}",
        ] {
            assert_eq!(decimal(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn agrees_with_the_standard_library() {
        let mut random = Random::new(0x5eed);
        for _ in 0..200_000 {
            let integer = random.below(1_u64 << 31) >> random.below(31);
            let text = match random.below(4) {
                0 => format!("{integer}"),
                1 => format!("{integer}.{}", random.below(1_u64 << 31)),
                2 => format!("{integer}.{}e{}", random.below(1000), random.below(60)),
                _ => format!("{}{integer}e-{}", random.below(1_u64 << 31), random.below(330)),
            };
            assert_eq!(decimal(text.as_bytes()), Some(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn of_a_number_far_from_one_only_the_first_digits_count() {
        let mut random = Random::new(1);
        let mut digits = |count: usize| -> String {
            (0..count).map(|_| char::from(b'1' + random.below(9))).collect()
        };
        let mut cut_short = 0;
        for _ in 0..2000 {
            let first = digits(SIGNIFICANT);
            let text = format!("00{first}.{}e-300", digits(30));
            let cut: f64 = format!("{first}e-300").parse().unwrap();
            assert_eq!(decimal(text.as_bytes()), Some(cut), "{text}");
            cut_short += u32::from(text.parse() != Ok(cut));
        }
        assert!(cut_short > 0, "the standard library looks at all of them");
    }

    #[test]
    fn rates_lie_over_zero_and_up_to_one() {
        for (text, value) in
            [("1", Some(1.0)), ("0.1", Some(0.1)), (".5", Some(0.5)), ("1e-05", Some(1e-5))]
        {
            assert_eq!(rate(text.as_bytes()), value, "{text}");
        }
        for text in ["", "0", "0.0", "1.1", "-0.5", "+0.5", " 0.5", "Infinity", "0x1", "x"] {
            assert_eq!(rate(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn seconds_are_positive_digits() {
        assert_eq!(seconds(b"1656581400"), Some(1_656_581_400));
        for text in ["", "0", "-1", "+1", "1.5", "1e9", " 1", "9999999999999"] {
            assert_eq!(seconds(text.as_bytes()), None, "{text:?}");
        }
    }
}
