//! A configured percentile and the names of the figures it yields.

/// A percentile in percent: positive for the lowest part of the samples, negative for the highest.
/// Never 0, at most ±100.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percentile(f64);

impl Percentile {
    /// None when `percent` is zero, over 100 either way, or no number.
    pub fn new(percent: f64) -> Option<Self> {
        let within = percent != 0.0 && percent.abs() <= 100.0;
        within.then_some(Self(percent))
    }

    pub fn percent(self) -> f64 {
        self.0
    }

    /// How names write it: `90`, `99_9`, `top10`.
    pub fn label(self) -> String {
        let mut digits = ryu_js::Buffer::new();
        digits.format(self.0).replacen('.', "_", 1).replacen('-', "top", 1)
    }

    /// How many of `n` samples it takes in, rounded half up as Node's `Math.round`.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at most n, never negative
    pub fn rank(self, n: usize) -> usize {
        (self.0.abs() / 100.0 * n as f64 + 0.5).floor() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_what_node_writes() {
        for (percent, label) in
            [(90.0, "90"), (99.9, "99_9"), (-10.0, "top10"), (-0.5, "top0_5"), (100.0, "100")]
        {
            assert_eq!(Percentile::new(percent).unwrap().label(), label);
        }
    }

    #[test]
    fn ranks_round_half_up() {
        for (percent, n, rank) in
            [(90.0, 4, 4), (50.0, 5, 3), (-10.0, 4, 0), (-10.0, 5, 1), (99.9, 1000, 999)]
        {
            assert_eq!(Percentile::new(percent).unwrap().rank(n), rank, "{percent} of {n}");
        }
    }

    #[test]
    fn a_percentile_that_means_nothing_cannot_be_made() {
        for percent in [0.0, 100.1, -101.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Percentile::new(percent), None);
        }
    }
}
