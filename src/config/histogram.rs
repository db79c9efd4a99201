//! [`Bins`]: the bins of a histogram as the file writes them. Pure.

use super::value::ValueKind;
use crate::policy::{BINS_MAX, Bin};

/// The bins of a histogram: their upper bounds in ascending order. The last bound may be `inf`.
/// `min:max:width` stands for the bounds `min`, `min + width` and so on to `max`, and `inf`.
pub(super) struct Bins;

impl ValueKind<Vec<Bin>> for Bins {
    fn read(&self, text: &str) -> Result<Vec<Bin>, String> {
        let expected = || {
            format!(
                "expected at most {BINS_MAX} bounds in ascending order such as 10, 100, inf, \
                 or min:max:width with whole widths between"
            )
        };
        let bounds = if text.contains(':') { even_bounds(text) } else { listed_bounds(text) };
        let sound = |bounds: &Vec<f64>| {
            bounds.len() <= BINS_MAX && bounds.is_sorted_by(|one, next| one < next)
        };
        bounds.filter(sound).map(|bounds| Bin::histogram(&bounds)).ok_or_else(expected)
    }

    fn show(&self, bins: &Vec<Bin>) -> String {
        bins.iter().map(Bin::to_string).collect::<Vec<_>>().join(", ")
    }
}

/// Returns the bounds of a list. Returns `None` if one of them is not a number.
fn listed_bounds(text: &str) -> Option<Vec<f64>> {
    let words = text.split(',').map(str::trim).filter(|_| !text.is_empty());
    let bound = |word| if word == "inf" { Some(f64::INFINITY) } else { plain(word) };
    // One more than allowed, so that the caller finds a list that is too long, but no more work.
    words.take(BINS_MAX + 1).map(bound).collect()
}

/// Returns the bounds of `min:max:width`. It computes with integers, in units of the last decimal
/// place that is written. With floats 0:1:0.1 would have the bound 0.30000000000000004. Returns
/// `None` if the widths are not whole or there are too many bins.
fn even_bounds(text: &str) -> Option<Vec<f64>> {
    let words: Vec<_> = text.split(':').map(str::trim).collect();
    let places = |word: &&str| word.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let places = words.iter().map(places).max().filter(|&places| places <= 9)?;
    let unit = 10_f64.powi(i32::try_from(places).ok()?);
    let units = |word: &str| {
        let units = (plain(word)? * unit).round();
        #[allow(clippy::cast_possible_truncation)] // within what a double counts exactly
        (units.abs() < 9e15).then_some(units as i64)
    };
    let [min, max, width] = words[..] else { return None };
    let min = units(min)?;
    let max = units(max)?;
    let width = units(width)?;
    if width <= 0 || max < min || (max - min) % width != 0 || (max - min) / width >= BINS_MAX as i64
    {
        return None;
    }
    let bounds = (0..=(max - min) / width).map(|nth| (min + nth * width) as f64 / unit);
    Some(bounds.chain([f64::INFINITY]).collect())
}

/// Parses a number with sign, digits and a point, or with an exponent, as large numbers are shown.
/// `parse` alone would also accept `inf` and `nan`.
fn plain(text: &str) -> Option<f64> {
    let usual = text.bytes().all(|byte| byte.is_ascii_digit() || b".-+e".contains(&byte));
    text.parse().ok().filter(|number: &f64| usual && number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::super::value::tests::{both_ways, refused};
    use super::*;

    #[test]
    fn histograms() {
        let of = Bin::histogram;
        let inf = f64::INFINITY;
        both_ways(
            &Bins,
            &[
                ("", of(&[]), ""),
                ("10,100, inf", of(&[10.0, 100.0, inf]), "10, 100, inf"),
                ("-0.5, 2.21", of(&[-0.5, 2.21]), "-0.5, 2.21"),
                ("0:30:10", of(&[0.0, 10.0, 20.0, 30.0, inf]), "0, 10, 20, 30, inf"),
                ("0.1:0.4:0.1", of(&[0.1, 0.2, 0.3, 0.4, inf]), "0.1, 0.2, 0.3, 0.4, inf"),
                ("-5 : 5 : 10", of(&[-5.0, 5.0, inf]), "-5, 5, inf"),
                ("1, 1e21", of(&[1.0, 1e21]), "1, 1e+21"),
            ],
        );
        let wrong = [
            "inf, 1",
            "2, 1",
            "1, 1",
            "1,",
            "x",
            "nan",
            "infinity",
            "-inf",
            "0:10",
            "0:10:0",
            "10:0:1",
            "0:10:3",
            "0:1000:1",
            "0:1:0.0000000001",
            "0:1e300:1",
            "0:inf:1",
            "1:2:3:4",
        ];
        refused(&Bins, &wrong, "expected at most 256 bounds");
    }
}
