//! The samples of a timing that has too many to keep: counts in buckets whose width grows with the
//! value (DDSketch). Any percentile is off by at most `timer_error` of itself. Sums and extremes
//! are exact except for rounding.
//!
//! ```text
//!  value ──▶ place: … -2 -1 │ 0 │ 1 2 3 …   one axis, in the order of the values: the powers of
//!              │                            gamma below zero, zero, the powers of gamma above it
//!              └─▶ page: 32 places          only pages that hold samples exist, so an outlier
//!                                           costs one page
//! ```
//! Memory is bounded by the number of pages. If one page too many is needed, neighbouring buckets
//! are merged everywhere. This doubles the error, but every percentile still has a bound. The
//! default has room for values that fill 18 orders of magnitude.
//!
//! The crates `sketches-ddsketch` 0.4.2, `ddsketchy` 0.1.8 and `tdigest` 1.0.1 were tried first.
//! None of them returns what is needed to close an interval: the buckets with their counts and
//! bounds (for the sum of a percentile), and the bytes held (for `timer_memory`). The two other
//! DDSketches merge the lowest buckets into one if values lie far apart, so that one absurd sample
//! spoils all percentiles. A t-digest bounds the error of the rank, but not of the value.
//!
//! A bucket of a sketch ends at a power of gamma, and the exponent of a value is that power.
//!
//! [`exponent`] takes one value, and [`exponents`] takes many, for which the compiler makes vector
//! code: a timing that turns to a sketch has thousands of samples at once. The two functions differ
//! only for values within a billionth of a bucket's bound.
//!
//! Logarithms and powers come from this file or from the crate `libm`. The methods of `f64` would
//! load the C library's `libm.so`, which is half a mebibyte of the memory of an idle server.

use std::f64::consts::{LN_2, SQRT_2};

use super::bounds::{PLACES, Resolution};
use super::memory::Pool;
use super::moments::Moments;
use crate::wire::{In, Put};

#[derive(Debug)]
pub struct Sketch {
    moments: Moments,
    resolution: Resolution,
    /// How often neighbouring buckets were merged.
    merges: u32,
    /// In the order of their numbers.
    pages: Vec<Page>,
}

#[derive(Clone, Copy, Debug)]
struct Page {
    number: i32,
    counts: [u64; PLACES as usize],
}

/// It is larger than any exponent of gamma, so that a place has the sign of its value.
const CENTRE: i32 = 1 << 20;

impl Sketch {
    /// Makes a sketch of samples that stand for `weight` events. The caller must still take its
    /// memory from the pool.
    pub(super) fn of(values: &[f64], weight: f64, resolution: Resolution) -> Box<Self> {
        let moments = Moments::of(values, weight);
        let mut sketch = Box::new(Self { moments, resolution, merges: 0, pages: Vec::new() });
        let mut unbounded = Pool::unbounded();
        let mut batch = [0; BATCH];
        for values in values.chunks(BATCH) {
            exponents(values, resolution.per_ln_gamma, &mut batch);
            for (value, &exponent) in values.iter().zip(&batch) {
                let counted = if value.abs() >= f64::MIN_POSITIVE {
                    sketch.count_at(*value, exponent, &mut unbounded)
                } else {
                    sketch.count(*value, &mut unbounded)
                };
                debug_assert!(counted, "without a bound there is room");
            }
        }
        sketch
    }

    /// Count, sums and extremes.
    pub fn moments(&self) -> &Moments {
        &self.moments
    }

    pub(super) fn save(&self, out: &mut Vec<u8>) {
        self.moments.save(out);
        out.put_f64(self.resolution.ln_gamma);
        out.put_u32(self.merges);
        out.put_u32(u32::try_from(self.pages.len()).expect("bounded by its resolution"));
        for page in &self.pages {
            out.put_u64(u64::from(page.number.cast_unsigned()));
            page.counts.iter().for_each(|count| out.put_u64(*count));
        }
    }

    /// Restores a sketch, which may have another resolution than is set now. The caller must still
    /// take its memory from the pool. Returns `None` if the input is damaged.
    pub(super) fn restore(input: &mut In<'_>) -> Option<Box<Self>> {
        let moments = Moments::restore(input)?;
        let resolution = Resolution::of_ln_gamma(input.finite()?)?;
        let merges = input.u32().filter(|merges| *merges < 32)?;
        let count =
            usize::try_from(input.u32()?).ok().filter(|pages| *pages <= resolution.pages_max)?;
        let mut numbers = input.u64s(count * (1 + usize::from(PLACES)))?;
        let mut pages: Vec<Page> = Vec::with_capacity(count);
        let mut counted = 0;
        for _ in 0..count {
            let number = u32::try_from(numbers.next()?).ok()?.cast_signed();
            let is_next = pages.last().is_none_or(|last| last.number < number);
            let is_near = number.unsigned_abs() <= (2 * CENTRE).unsigned_abs() / u32::from(PLACES);
            (is_next && is_near).then_some(())?;
            let mut counts = [0; PLACES as usize];
            for count in &mut counts {
                *count = numbers.next()?;
                counted = u64::checked_add(counted, *count)?;
            }
            pages.push(Page { number, counts });
        }
        (counted == moments.samples()).then_some(())?;
        Some(Box::new(Self { moments, resolution, merges, pages }))
    }

    /// The bytes held.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.pages.capacity() * size_of::<Page>()
    }

    /// The number of buckets that are read to close it.
    pub(super) fn len(&self) -> usize {
        self.pages.len() * usize::from(PLACES)
    }

    /// Adds a sample that stands for `weight` events. Returns `false` if there is no memory for its
    /// bucket.
    #[must_use]
    pub(super) fn add(&mut self, value: f64, weight: f64, pool: &mut Pool) -> bool {
        let counted = self.count(value, pool);
        if counted {
            self.moments.add(value, weight);
        }
        counted
    }

    /// Returns the buckets that hold samples, in ascending order. Each has a value that is within
    /// the error of its samples, and their number.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let lower = self.moments.lower();
        let upper = self.moments.upper();
        let ln_gamma = self.resolution.ln_gamma * f64::from(1_u32 << self.merges);
        // How far below the upper bound of a bucket its value is, as a logarithm. The relative
        // distance of that value to both bounds is the same.
        let below = libm::log(libm::exp(ln_gamma) / 2.0 + 0.5);
        let value = move |place: i32| {
            if place == 0 {
                return 0.0;
            }
            let magnitude = libm::exp(f64::from(place.abs() - CENTRE) * ln_gamma - below);
            if place > 0 { magnitude } else { -magnitude }
        };
        self.places().map(move |(place, count)| (value(place).clamp(lower, upper), count))
    }

    #[must_use]
    fn count(&mut self, value: f64, pool: &mut Pool) -> bool {
        let exponent = if value == 0.0 { 0 } else { exponent(value, self.resolution.per_ln_gamma) };
        self.count_at(value, exponent, pool)
    }

    /// Counts a value whose [`exponent`] is known.
    #[inline]
    #[must_use]
    fn count_at(&mut self, value: f64, exponent: i32, pool: &mut Pool) -> bool {
        loop {
            let (number, at) = page_of(self.place(value, exponent));
            match self.find(number) {
                Ok(page) => {
                    self.pages[page].counts[at] += 1;
                    return true;
                }
                Err(_) if self.pages.len() >= self.resolution.pages_max => self.merge(),
                Err(_) if !self.reserve_page(pool) => return false,
                Err(page) => {
                    self.pages.insert(page, Page { number, counts: [0; PLACES as usize] });
                }
            }
        }
    }

    /// Returns the index of the page with this number, or the index at which to insert it.
    #[inline]
    fn find(&self, number: i32) -> Result<usize, usize> {
        // Mostly there is no gap between the first page and this one.
        if let Some(first) = self.pages.first() {
            let guess = number.wrapping_sub(first.number).cast_unsigned() as usize;
            if self.pages.get(guess).is_some_and(|page| page.number == number) {
                return Ok(guess);
            }
        }
        self.pages.binary_search_by_key(&number, |page| page.number)
    }

    /// The buckets that hold samples and their counts, in ascending order.
    fn places(&self) -> impl Iterator<Item = (i32, u64)> {
        self.pages.iter().flat_map(|page| {
            let first = page.number * i32::from(PLACES);
            (first..).zip(page.counts).filter(|&(_, count)| count > 0)
        })
    }

    fn place(&self, value: f64, exponent: i32) -> i32 {
        if value == 0.0 {
            return 0;
        }
        let place = CENTRE + merged(exponent, self.merges);
        if value > 0.0 { place } else { -place }
    }

    /// Makes room for one more page. Returns `false` if there is no memory for it.
    #[must_use]
    fn reserve_page(&mut self, pool: &mut Pool) -> bool {
        let held = self.pages.capacity();
        if self.pages.len() < held {
            return true;
        }
        let more = (held / 2).max(2).min(self.resolution.pages_max - held);
        let granted = pool.take(more * size_of::<Page>());
        if granted {
            self.pages.reserve_exact(more);
            pool.force((self.pages.capacity() - held - more) * size_of::<Page>());
        }
        granted
    }

    /// Merges every two buckets into one. This needs no memory from the pool.
    fn merge(&mut self) {
        let mut pages: Vec<Page> = Vec::with_capacity(self.pages.capacity());
        for (place, count) in self.places() {
            let exponent = merged(place.abs() - CENTRE, 1);
            let (number, at) =
                page_of(if place == 0 { 0 } else { place.signum() * (CENTRE + exponent) });
            if pages.last().is_none_or(|page| page.number != number) {
                pages.push(Page { number, counts: [0; PLACES as usize] });
            }
            pages.last_mut().expect("pushed if there was none").counts[at] += count;
        }
        self.pages = pages;
        self.merges += 1;
    }
}

/// Returns the exponent of the bucket that this one is part of after `merges` merges. Each merge
/// halves the exponent, and rounds up.
fn merged(exponent: i32, merges: u32) -> i32 {
    -(-exponent >> merges)
}

fn page_of(place: i32) -> (i32, usize) {
    const { assert!(PLACES.is_power_of_two()) };
    // A shift rounds negative places down, too.
    (place >> PLACES.ilog2(), (place & (i32::from(PLACES) - 1)).unsigned_abs() as usize)
}

/// The number of values that [`exponents`] takes.
const BATCH: usize = 256;

/// Returns the exponent of `value`, which must not be 0. `per_ln_gamma` is 1 / ln(gamma).
fn exponent(value: f64, per_ln_gamma: f64) -> i32 {
    let magnitude = value.abs();
    let is_normal = magnitude >= f64::MIN_POSITIVE;
    let exact = per_ln_gamma * if is_normal { ln_of_normal(value) } else { libm::log(magnitude) };
    #[allow(clippy::cast_possible_truncation)] // some ten thousand, for every double and error
    let towards_zero = exact as i32;
    // `ceil` would do, but on a plain x86-64 it is a function call.
    towards_zero + i32::from(exact > f64::from(towards_zero))
}

/// Writes the exponents of up to [`BATCH`] values to the front of `out`. For values whose magnitude
/// is below [`f64::MIN_POSITIVE`] the result has no meaning: the caller must replace it.
fn exponents(values: &[f64], per_ln_gamma: f64, out: &mut [i32; BATCH]) {
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
