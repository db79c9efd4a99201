//! The figures of all series, numbered once, so that a flush handles no text.

use super::bin::Bin;
use super::percentile::Percentile;

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
    /// The standard deviation of a sample: divided by n - 1.
    pub const STDEV: Self = Self(11);
    /// A timing's sum for each second.
    pub const SUM_PS: Self = Self(12);
    /// The median again, there only when 50 is among the percentiles.
    pub const QUANTILE_MEDIAN: Self = Self(13);

    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    fn at(index: usize) -> Self {
        Self(u16::try_from(index).expect("the limits of the rules keep figures within a u16"))
    }
}

/// What Node StatsD calls each figure, and what statsite does; None: it does not send it.
const FIXED: [[Option<&str>; 2]; 14] = [
    [Some(""), Some("")],
    [Some("rate"), None],
    [Some("count"), Some("count")],
    [Some("count_ps"), Some("sample_rate")],
    [Some("std"), None],
    [Some("upper"), Some("upper")],
    [Some("lower"), Some("lower")],
    [Some("sum"), Some("sum")],
    [Some("sum_squares"), Some("sum_sq")],
    [Some("mean"), Some("mean")],
    [Some("median"), None],
    [None, Some("stdev")],
    [None, Some("rate")],
    [None, Some("median")],
];
const PER_PERCENTILE: usize = 5;

/// What the five figures of a percentile are called, in their order.
pub(super) fn parts(percentile: Percentile) -> [&'static str; PER_PERCENTILE] {
    let boundary = if percentile.percent() > 0.0 { "upper" } else { "lower" };
    ["count", "mean", boundary, "sum", "sum_squares"]
}

/// What each figure is called, in both vocabularies: one list for all rules together.
#[derive(Clone, Debug)]
pub struct FigureNames {
    percentiles: Vec<Percentile>,
    bins: Vec<Bin>,
    names: Vec<[Option<String>; 2]>,
}

impl FigureNames {
    /// Every percentile and every bin that any name may have, each once.
    pub fn new(percentiles: &[Percentile], bins: &[Bin]) -> Self {
        let owned = |names: [Option<&str>; 2]| names.map(|name| name.map(str::to_owned));
        let mut names: Vec<_> = FIXED.map(owned).into();
        for percentile in percentiles {
            let label = percentile.label();
            names.extend(parts(*percentile).map(|part| {
                let node = format!("{part}_{label}");
                let statsite = match part {
                    "upper" => Some(format!("p{label}")),
                    // statsite has no quantile from the top: it goes by the name it has elsewhere.
                    "lower" => Some(node.clone()),
                    _ => None,
                };
                [Some(node), statsite]
            }));
        }
        let bin = |bin: &Bin| Some(format!("histogram.{}", bin.label()));
        names.extend(bins.iter().map(|of| [bin(of), bin(of)]));
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

    /// Node StatsD's, in the order of [`FigureId`].
    pub fn node(&self) -> impl Iterator<Item = Option<&str>> {
        self.names.iter().map(|[node, _]| node.as_deref())
    }

    /// statsite's, in the same order.
    pub fn statsite(&self) -> impl Iterator<Item = Option<&str>> {
        self.names.iter().map(|[_, statsite]| statsite.as_deref())
    }
}
