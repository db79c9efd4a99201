//! Which power of gamma a value's bucket ends at: one value at a time by the library's logarithm,
//! many at once by a series that the compiler turns into vector code. The two differ only for
//! values within a billionth of a bucket's bound.

use std::f64::consts::{LN_2, SQRT_2};

/// Values told apart at once.
pub(super) const BATCH: usize = 256;

/// That of a value other than 0.
pub(super) fn exponent(value: f64, per_ln_gamma: f64) -> i32 {
    let exact = value.abs().ln() * per_ln_gamma;
    #[allow(clippy::cast_possible_truncation)] // some ten thousand, for every double and error
    let towards_zero = exact as i32;
    // `ceil` is a call on a plain x86-64.
    towards_zero + i32::from(exact > f64::from(towards_zero))
}

/// Those of up to [`BATCH`] values; what it gives for those under [`f64::MIN_POSITIVE`] means
/// nothing.
pub(super) fn exponents(values: &[f64], per_ln_gamma: f64, out: &mut [i32; BATCH]) {
    for (exponent, value) in out.iter_mut().zip(values) {
        *exponent = rounded(ln_of_normal(*value) * per_ln_gamma + 0.5);
    }
}

/// The natural logarithm of the value's magnitude, 1e-11 off at the most.
#[inline]
fn ln_of_normal(value: f64) -> f64 {
    const FRACTION: u64 = (1 << 52) - 1;
    let bits = value.to_bits();
    #[allow(clippy::cast_possible_truncation)] // eleven bits
    let power = ((bits >> 52) & 0x7ff) as i32 - 1023;
    let mantissa = f64::from_bits(bits & FRACTION | 1.0_f64.to_bits());
    // Nearer to 1 the series needs fewer terms.
    let (half, more) = if mantissa > SQRT_2 { (0.5, 1.0) } else { (1.0, 0.0) };
    let m = mantissa * half;
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    // Twice the inverse hyperbolic tangent of s.
    let tail = 1.0 / 7.0 + z * (1.0 / 9.0 + z / 11.0);
    let series = 2.0 * s * (1.0 + z * (1.0 / 3.0 + z * (1.0 / 5.0 + z * tail)));
    (f64::from(power) + more) * LN_2 + series
}

/// To the nearest, for magnitudes that fit: so large a number is added that its last digit is the
/// one of whole numbers.
#[inline]
fn rounded(value: f64) -> i32 {
    const LAST_DIGIT_IS_ONE: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52: either sign
    #[allow(clippy::cast_possible_truncation)] // that is meant: the digits of the small number
    let low = (value + LAST_DIGIT_IS_ONE).to_bits() as u32;
    low.cast_signed()
}

#[cfg(test)]
mod tests {
    use statsd_bench::Random;

    use super::*;

    /// Shows that the quick way puts every value where the exact one does, but those that lie on a
    /// bound.
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
