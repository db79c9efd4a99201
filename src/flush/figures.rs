//! The figures a series can end as, numbered once so that a flush handles no text.

use super::{Bin, Percentile};

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

    fn at(index: usize) -> Self {
        Self(u16::try_from(index).expect("the limits of the rules keep figures within a u16"))
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

/// What the five figures of a percentile are called, in their order.
pub(super) fn parts(percentile: Percentile) -> [&'static str; PER_PERCENTILE] {
    let boundary = if percentile.percent() > 0.0 { "upper" } else { "lower" };
    ["count", "mean", boundary, "sum", "sum_squares"]
}

/// What Node StatsD calls each figure: one list for all rules together.
#[derive(Clone, Debug)]
pub struct FigureNames {
    percentiles: Vec<Percentile>,
    bins: Vec<Bin>,
    names: Vec<String>,
}

impl FigureNames {
    /// Every percentile and every bin that any name may have, each once.
    pub fn new(percentiles: &[Percentile], bins: &[Bin]) -> Self {
        let mut names: Vec<String> = FIXED.map(str::to_owned).into();
        for percentile in percentiles {
            let label = percentile.label();
            names.extend(parts(*percentile).map(|part| format!("{part}_{label}")));
        }
        names.extend(bins.iter().map(|bin| format!("histogram.{}", bin.label())));
        Self { percentiles: percentiles.to_vec(), bins: bins.to_vec(), names }
    }

    /// The `part`th figure of a percentile: count, mean, boundary, sum, sum of squares.
    pub(super) fn of_percentile(&self, percentile: Percentile, part: usize) -> FigureId {
        let nth = self.percentiles.iter().position(|known| *known == percentile);
        FigureId::at(FIXED.len() + nth.expect("all are known") * PER_PERCENTILE + part)
    }

    pub(super) fn of_bin(&self, bin: Bin) -> FigureId {
        let nth = self.bins.iter().position(|known| *known == bin);
        let before = FIXED.len() + self.percentiles.len() * PER_PERCENTILE;
        FigureId::at(before + nth.expect("all are known"))
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    pub fn name(&self, id: FigureId) -> &str {
        &self.names[id.index()]
    }
}
