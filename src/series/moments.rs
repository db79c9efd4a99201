//! The figures of a timing that need no stored samples: count, sums, extremes and spread. They are
//! exact except for rounding.

use crate::wire::{In, Put};

/// Running figures of one interval.
#[derive(Debug)]
pub struct Moments {
    samples: u64,
    weight: f64,
    sum: f64,
    sum_squares: f64,
    lower: f64,
    upper: f64,
    /// The mean so far, and the sum of the squared distances to it (Welford's method). The
    /// difference between the sum of squares and the square of the sum would lose all digits if
    /// values are large and close together.
    mean: f64,
    squared_distances: f64,
}

impl Moments {
    /// Returns the moments of samples that stand for `weight` events.
    pub(super) fn of(values: &[f64], weight: f64) -> Self {
        let samples = values.len() as u64;
        let sum: f64 = in_lanes(values, 0.0, |sum, value| sum + value).iter().sum();
        let mean = if samples > 0 { sum / samples as f64 } else { 0.0 };
        let squares = in_lanes(values, 0.0, |sum, value| sum + value * value);
        let distances = in_lanes(values, 0.0, |sum, value| sum + (value - mean) * (value - mean));
        let lowers = in_lanes(
            values,
            f64::INFINITY,
            |least, value| {
                if value < least { value } else { least }
            },
        );
        let uppers = in_lanes(
            values,
            f64::NEG_INFINITY,
            |most, value| {
                if value > most { value } else { most }
            },
        );
        Self {
            samples,
            weight,
            sum,
            sum_squares: squares.iter().sum(),
            lower: lowers.into_iter().fold(f64::INFINITY, f64::min),
            upper: uppers.into_iter().fold(f64::NEG_INFINITY, f64::max),
            mean,
            squared_distances: distances.iter().sum(),
        }
    }

    pub(super) fn save(&self, out: &mut Vec<u8>) {
        out.put_u64(self.samples);
        for figure in [
            self.weight,
            self.sum,
            self.sum_squares,
            self.lower,
            self.upper,
            self.mean,
            self.squared_distances,
        ] {
            out.put_f64(figure);
        }
    }

    /// Returns `None` if the input is damaged.
    pub(super) fn restore(input: &mut In<'_>) -> Option<Self> {
        let moments = Self {
            samples: input.u64()?,
            weight: input.finite()?,
            sum: input.f64()?,
            sum_squares: input.f64()?,
            lower: input.finite()?,
            upper: input.finite()?,
            mean: input.f64()?,
            squared_distances: input.f64()?,
        };
        (moments.lower <= moments.upper).then_some(moments)
    }

    pub(super) fn add(&mut self, value: f64, weight: f64) {
        self.samples += 1;
        self.weight += weight;
        self.sum += value;
        self.sum_squares += value * value;
        self.lower = self.lower.min(value);
        self.upper = self.upper.max(value);
        let distance = value - self.mean;
        self.mean += distance / self.samples as f64;
        self.squared_distances += distance * (value - self.mean);
    }

    /// The number of samples, however many events each stands for.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// The number of events that the samples stand for: 1 / rate for each sample.
    pub fn weight(&self) -> f64 {
        self.weight
    }

    pub fn sum(&self) -> f64 {
        self.sum
    }

    pub fn sum_squares(&self) -> f64 {
        self.sum_squares
    }

    /// The lowest sample. It is infinity if there is none.
    pub fn lower(&self) -> f64 {
        self.lower
    }

    pub fn upper(&self) -> f64 {
        self.upper
    }

    /// The sum of the squared distances to the mean. Divided by the number of samples it is the
    /// variance.
    pub fn squared_distances(&self) -> f64 {
        self.squared_distances
    }
}

/// Folds the values in four lanes, each over every fourth value. The lanes do not depend on each
/// other, so the processor computes several at once.
#[inline]
fn in_lanes(values: &[f64], first: f64, step: impl Fn(f64, f64) -> f64) -> [f64; 4] {
    let mut lanes = [first; 4];
    let (fours, rest) = values.as_chunks::<4>();
    for four in fours {
        for (lane, value) in lanes.iter_mut().zip(four) {
            *lane = step(*lane, *value);
        }
    }
    lanes[0] = rest.iter().fold(lanes[0], |lane, value| step(lane, *value));
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_spread_of_large_values_is_not_cancelled() {
        let values: Vec<_> = (0..100_000).map(|n| 1e9 + f64::from(n % 2)).collect();
        for known in [0, 1, 50_000, 100_000] {
            let mut moments = Moments::of(&values[..known], known as f64);
            values[known..].iter().for_each(|value| moments.add(*value, 1.0));
            let variance = moments.squared_distances() / 100_000.0;
            assert!((variance - 0.25).abs() < 1e-6, "{variance}");
            assert_eq!((moments.samples(), moments.weight()), (100_000, 100_000.0));
            assert_eq!((moments.lower(), moments.upper()), (1e9, 1e9 + 1.0));
        }
    }
}
