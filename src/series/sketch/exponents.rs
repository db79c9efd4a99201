//! Computes the exponent of a value: a bucket of a sketch ends at a power of gamma, and the
//! exponent is that power.
//!
//! [`exponent`] takes one value and uses the library's logarithm. [`exponents`] takes many values
//! and uses a series, which the compiler turns into vector code. A timing that turns to a sketch
//! has thousands of samples at once. The two functions differ only for values within a billionth of
//! a bucket's bound.

use std::f64::consts::{LN_2, SQRT_2};

/// The number of values that [`exponents`] takes.
pub(super) const BATCH: usize = 256;

/// Returns the exponent of `value`, which must not be 0. `per_ln_gamma` is 1 / ln(gamma).
pub(super) fn exponent(value: f64, per_ln_gamma: f64) -> i32 {
    let exact = value.abs().ln() * per_ln_gamma;
    #[allow(clippy::cast_possible_truncation)] // some ten thousand, for every double and error
    let towards_zero = exact as i32;
    // `ceil` would do, but on a plain x86-64 it is a function call.
    towards_zero + i32::from(exact > f64::from(towards_zero))
}

/// Writes the exponents of up to [`BATCH`] values to the front of `out`. For values whose magnitude
/// is below [`f64::MIN_POSITIVE`] the result has no meaning: the caller must replace it.
pub(super) fn exponents(values: &[f64], per_ln_gamma: f64, out: &mut [i32; BATCH]) {
    for (exponent, value) in out.iter_mut().zip(values) {
        *exponent = rounded(ln_of_normal(*value) * per_ln_gamma + 0.5);
    }
}

/// Returns the natural logarithm of the value's magnitude, with an error of at most 1e-11.
#[inline]
fn ln_of_normal(value: f64) -> f64 {
    const FRACTION: u64 = (1 << 52) - 1;
    let bits = value.to_bits();
    #[allow(clippy::cast_possible_truncation)] // eleven bits
    let power = ((bits >> 52) & 0x7ff) as i32 - 1023;
    let mantissa = f64::from_bits(bits & FRACTION | 1.0_f64.to_bits());
    // Halve mantissas above the square root of 2. The closer a mantissa is to 1, the fewer terms of
    // the series are needed.
    let (half, more) = if mantissa > SQRT_2 { (0.5, 1.0) } else { (1.0, 0.0) };
    let m = mantissa * half;
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    // ln(m) is twice the inverse hyperbolic tangent of s. These are the first terms of its series.
    let tail = 1.0 / 7.0 + z * (1.0 / 9.0 + z / 11.0);
    let series = 2.0 * s * (1.0 + z * (1.0 / 3.0 + z * (1.0 / 5.0 + z * tail)));
    (f64::from(power) + more) * LN_2 + series
}

/// Rounds to the nearest whole number, if that fits into an `i32`. It adds a number so large that
/// the last bit of the sum counts ones. The low bits of the sum are then the result.
///
/// On a plain x86-64 `round` is a function call, so the compiler could not vectorize it.
#[inline]
fn rounded(value: f64) -> i32 {
    const LAST_DIGIT_IS_ONE: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52: either sign
    #[allow(clippy::cast_possible_truncation)] // the low bits are the result
    let low = (value + LAST_DIGIT_IS_ONE).to_bits() as u32;
    low.cast_signed()
}

#[cfg(test)]
mod tests {
    use statsd_bench::Random;

    use super::*;

    /// Shows that both functions return the same exponent, except for values at the bound of a
    /// bucket.
    #[test]
    fn many_at_once_are_as_one_by_one() {
        for error in [0.001, 0.01, 0.2] {
            let per_ln_gamma = 1.0 / f64::ln((1.0 + error) / (1.0 - error));
            let mut random = Random::new(7);
            for _ in 0..100 {
                let values: Vec<f64> = std::iter::repeat_with(|| f64::from_bits(random.bits()))
                    .filter(|v| v.is_normal())
                    .take(BATCH)
                    .collect();
                let mut found = [0; BATCH];
                exponents(&values, per_ln_gamma, &mut found);
                for (value, found) in values.iter().zip(found) {
                    let exact = value.abs().ln() * per_ln_gamma;
                    let above = f64::from(found) - exact;
                    assert!((-1e-6..1.0 + 1e-6).contains(&above), "{value} {exact} {found}");
                    if (1e-6..1.0 - 1e-6).contains(&above) {
                        assert_eq!(found, exponent(*value, per_ln_gamma), "{value}");
                    }
                }
            }
        }
    }
}
