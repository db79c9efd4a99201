//! The figures a series can end as, numbered once so that a flush handles no text.

use super::Percentile;

/// One number of a summary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    pub id: FigureId,
    pub value: f64,
}

/// A figure's place in [`FigureNames`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FigureId(u16);

impl FigureId {
    /// The only figure of a gauge or an own figure; it adds nothing to the name.
    pub const VALUE: Self = Self(0);
    pub const RATE: Self = Self(1);
    pub const COUNT: Self = Self(2);
    pub const COUNT_PS: Self = Self(3);
    pub const STD: Self = Self(4);
    pub const UPPER: Self = Self(5);
    pub const LOWER: Self = Self(6);
    pub const SUM: Self = Self(7);
    pub const SUM_SQUARES: Self = Self(8);
    pub const MEAN: Self = Self(9);
    pub const MEDIAN: Self = Self(10);

    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The `part`th figure of the `nth` percentile: count, mean, boundary, sum, sum of squares.
    pub(super) fn of_percentile(nth: usize, part: usize) -> Self {
        let index = FIXED.len() + nth * PER_PERCENTILE + part;
        Self(u16::try_from(index).expect("a configuration lists few percentiles"))
    }
}

const FIXED: [&str; 11] = [
    "",
    "rate",
    "count",
    "count_ps",
    "std",
    "upper",
    "lower",
    "sum",
    "sum_squares",
    "mean",
    "median",
];
const PER_PERCENTILE: usize = 5;

/// What Node StatsD calls each figure.
#[derive(Clone, Debug)]
pub struct FigureNames(Vec<String>);

impl FigureNames {
    pub fn new(percentiles: &[Percentile]) -> Self {
        let mut names: Vec<String> = FIXED.map(str::to_owned).into();
        for percentile in percentiles {
            let boundary = if percentile.percent() > 0.0 { "upper" } else { "lower" };
            for part in ["count", "mean", boundary, "sum", "sum_squares"] {
                names.push(format!("{part}_{}", percentile.label()));
            }
        }
        Self(names)
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    pub fn name(&self, id: FigureId) -> &str {
        &self.0[id.index()]
    }
}
