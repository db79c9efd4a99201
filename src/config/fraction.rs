//! Parts of a whole as the file writes them. Pure.

use std::ops::RangeInclusive;

use super::value::Kind;

/// Part of a whole, such as 0.01.
pub(super) struct Fraction(pub(super) RangeInclusive<f64>);

impl Kind<f64> for Fraction {
    fn read(&self, text: &str) -> Result<f64, String> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let fraction = text.parse().ok().filter(|fraction| plain && self.0.contains(fraction));
        let (least, most) = (self.0.start(), self.0.end());
        fraction.ok_or_else(|| format!("expected a number from {least} to {most}"))
    }

    fn show(&self, fraction: &f64) -> String {
        fraction.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
