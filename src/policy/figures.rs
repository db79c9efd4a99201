//! The figures that a series is sent as, numbered once, so that a flush handles no text; and the
//! percentiles and histogram bins that some of them belong to.
//!
//! [`Plan`]: the figures that a timing is sent as: percentiles, histogram bins and the filter,
//! resolved to numbers once for many flushes.

/// A percentile in percent: positive for the lowest part of the samples, negative for the highest.
/// Never 0, at most ±100.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percentile(f64);

impl Percentile {
    /// Returns `None` if `percent` is zero, below -100, above 100, or NaN.
    pub fn new(percent: f64) -> Option<Self> {
        let within = percent != 0.0 && percent.abs() <= 100.0;
        within.then_some(Self(percent))
    }

    pub fn percent(self) -> f64 {
        self.0
    }

    /// Returns its form in names, such as `90`, `99_9` or `top10`.
    pub fn label(self) -> String {
        let mut digits = ryu_js::Buffer::new();
        digits.format(self.0).replacen('.', "_", 1).replacen('-', "top", 1)
    }

    /// Returns how many of `n` samples it includes, rounded half up as by Node's `Math.round`.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at most n, never negative
    pub fn rank(self, n: usize) -> usize {
        (self.0.abs() / 100.0 * n as f64 + 0.5).floor() as usize
    }
}

/// A bin of a histogram, given by its upper bound, which is not part of it. Infinity stands for no
/// bound. The bound is never NaN.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Bin(f64);

impl Bin {
    /// The bin without a bound.
    pub const INF: Self = Self(f64::INFINITY);

    /// Returns `None` for NaN. -0 becomes 0.
    pub fn below(bound: f64) -> Option<Self> {
        (!bound.is_nan()).then_some(Self(bound + 0.0))
    }

    pub fn bound(self) -> f64 {
        self.0
    }

    /// Returns the name of its figure, such as `bin_2_21` or `bin_inf`.
    pub fn label(self) -> String {
        format!("bin_{self}").replacen('.', "_", 1)
    }
}

impl std::fmt::Display for Bin {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_finite() {
            out.write_str(ryu_js::Buffer::new().format(self.0))
        } else {
            out.write_str("inf")
        }
    }
}

/// A figure's place in [`FigureNames`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FigureId(u16);

impl FigureId {
    /// The only figure of a gauge, or of an own figure of the server. It adds nothing to the name.
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
    /// The median again. It exists only if 50 is among the percentiles.
    pub const QUANTILE_MEDIAN: Self = Self(13);

    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    fn at(index: usize) -> Self {
        Self(u16::try_from(index).expect("the limits of the rules keep figures within a u16"))
    }
}

/// One number of a summary, with the figure it is the value of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    pub id: FigureId,
    pub value: f64,
}

/// The name of each figure in Node StatsD and in statsite. `None` if that server does not send it.
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

/// Returns the names of the five figures of a percentile, in their order.
pub(super) fn parts(percentile: Percentile) -> [&'static str; PER_PERCENTILE] {
    let boundary = if percentile.percent() > 0.0 { "upper" } else { "lower" };
    ["count", "mean", boundary, "sum", "sum_squares"]
}

/// The names of all figures in Node StatsD and in statsite: one list for all rules together.
#[derive(Clone, Debug)]
pub struct FigureNames {
    percentiles: Vec<Percentile>,
    bins: Vec<Bin>,
    names: Vec<[Option<String>; 2]>,
}

impl FigureNames {
    /// `percentiles` and `bins` are all that any name may have, each once.
    pub fn new(percentiles: &[Percentile], bins: &[Bin]) -> Self {
        let owned = |names: [Option<&str>; 2]| names.map(|name| name.map(str::to_owned));
        let mut names: Vec<_> = FIXED.map(owned).into();
        for percentile in percentiles {
            let label = percentile.label();
            names.extend(parts(*percentile).map(|part| {
                let node = format!("{part}_{label}");
                let statsite = match part {
                    "upper" => Some(format!("p{label}")),
                    // statsite has no quantile from the top, so this figure has its name in Node.
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

    /// Returns the figure of a percentile with the index `part`: count, mean, boundary, sum, sum of
    /// squares.
    pub(super) fn of_percentile(&self, percentile: Percentile, part: usize) -> FigureId {
        let nth = self.percentiles.iter().position(|known| *known == percentile);
        FigureId::at(FIXED.len() + nth.expect("all are known") * PER_PERCENTILE + part)
    }

    pub(super) fn of_bin(&self, bin: Bin) -> FigureId {
        let nth = self.bins.iter().position(|known| *known == bin);
        let before = FIXED.len() + self.percentiles.len() * PER_PERCENTILE;
        FigureId::at(before + nth.expect("all are known"))
    }

    /// Returns the names in Node StatsD, in the order of [`FigureId`].
    pub fn node(&self) -> impl Iterator<Item = Option<&str>> {
        self.names.iter().map(|[node, _]| node.as_deref())
    }

    /// Returns the names in statsite, in the same order.
    pub fn statsite(&self) -> impl Iterator<Item = Option<&str>> {
        self.names.iter().map(|[_, statsite]| statsite.as_deref())
    }
}

/// A value of `timer_metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerMetric {
    Figure(FigureId),
    /// This figure of every percentile.
    Percent(&'static str),
    /// Every bin.
    Histogram,
}

/// Their names in the configuration.
pub const TIMER_METRICS: [(&str, TimerMetric); 20] = [
    ("count", TimerMetric::Figure(FigureId::COUNT)),
    ("count_ps", TimerMetric::Figure(FigureId::COUNT_PS)),
    ("std", TimerMetric::Figure(FigureId::STD)),
    ("upper", TimerMetric::Figure(FigureId::UPPER)),
    ("lower", TimerMetric::Figure(FigureId::LOWER)),
    ("sum", TimerMetric::Figure(FigureId::SUM)),
    ("sum_squares", TimerMetric::Figure(FigureId::SUM_SQUARES)),
    ("mean", TimerMetric::Figure(FigureId::MEAN)),
    ("median", TimerMetric::Figure(FigureId::MEDIAN)),
    // statsite's own names of some, and what only its style has.
    ("sample_rate", TimerMetric::Figure(FigureId::COUNT_PS)),
    ("sum_sq", TimerMetric::Figure(FigureId::SUM_SQUARES)),
    ("stdev", TimerMetric::Figure(FigureId::STDEV)),
    ("rate", TimerMetric::Figure(FigureId::SUM_PS)),
    ("count_percent", TimerMetric::Percent("count")),
    ("mean_percent", TimerMetric::Percent("mean")),
    ("upper_percent", TimerMetric::Percent("upper")),
    ("lower_percent", TimerMetric::Percent("lower")),
    ("sum_percent", TimerMetric::Percent("sum")),
    ("sum_squares_percent", TimerMetric::Percent("sum_squares")),
    ("histogram", TimerMetric::Histogram),
];

/// The figures of a timing that are sent.
#[derive(Clone, Debug)]
pub struct Plan {
    /// A bit for each figure that does not depend on the configuration, at its number.
    wanted: u32,
    pub(crate) percentiles: Vec<PlannedPercentile>,
    /// In ascending order.
    pub(crate) bins: Vec<(Bin, FigureId)>,
    /// Whether a figure needs the samples in order. Sums do, since they must equal Node's to the
    /// last digit.
    pub(crate) sorts: bool,
}

/// A percentile with at least one figure that is sent.
#[derive(Clone, Debug)]
pub(crate) struct PlannedPercentile {
    pub(crate) percentile: Percentile,
    /// Count, mean, boundary, sum, sum of squares.
    pub(crate) figures: [Option<FigureId>; 5],
}

impl Plan {
    /// An empty `metrics` means all figures. `names` must have every percentile and bin.
    pub fn new(
        percentiles: &[Percentile],
        metrics: &[TimerMetric],
        bins: &[Bin],
        names: &FigureNames,
    ) -> Self {
        let wants = |metric| metrics.is_empty() || metrics.contains(&metric);
        let figures = TIMER_METRICS.iter().filter_map(|(_, metric)| match metric {
            TimerMetric::Figure(id) if wants(*metric) => Some(1 << id.index()),
            _ => None,
        });
        let mut plan = Self {
            wanted: figures.fold(0, |all, bit: u32| all | bit),
            percentiles: percentiles
                .iter()
                .map(|percentile| PlannedPercentile::new(*percentile, &wants, names))
                .filter(|planned| planned.figures.iter().any(Option::is_some))
                .collect(),
            bins: bins.iter().map(|bin| (*bin, names.of_bin(*bin))).collect(),
            sorts: false,
        };
        if plan.wants(FigureId::MEDIAN) && percentiles.iter().any(|known| known.percent() == 50.0) {
            plan.wanted |= 1 << FigureId::QUANTILE_MEDIAN.index();
        }
        plan.bins.retain(|_| wants(TimerMetric::Histogram));
        plan.sorts = plan.needs_order();
        plan
    }

    pub(crate) fn wants(&self, id: FigureId) -> bool {
        self.wanted >> id.index() & 1 == 1
    }

    fn needs_order(&self) -> bool {
        use FigureId as Id;
        let ordered =
            [Id::STD, Id::STDEV, Id::SUM, Id::SUM_PS, Id::SUM_SQUARES, Id::MEAN, Id::MEDIAN];
        let of_percentile = |planned: &PlannedPercentile| planned.figures[1..] != [None; 4];
        ordered.into_iter().any(|id| self.wants(id))
            || !self.bins.is_empty()
            || self.percentiles.iter().any(of_percentile)
    }
}

impl PlannedPercentile {
    fn new(
        percentile: Percentile,
        wants: &impl Fn(TimerMetric) -> bool,
        names: &FigureNames,
    ) -> Self {
        let mut figures = [None; 5];
        for (part, name) in parts(percentile).into_iter().enumerate() {
            if wants(TimerMetric::Percent(name)) {
                figures[part] = Some(names.of_percentile(percentile, part));
            }
        }
        Self { percentile, figures }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_has_the_label_that_node_writes() {
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

    #[test]
    fn a_bin_has_the_label_that_node_writes() {
        for (bound, label) in [
            (1.0, "bin_1"),
            (2.21, "bin_2_21"),
            (-0.5, "bin_-0_5"),
            (-0.0, "bin_0"),
            (1e21, "bin_1e+21"),
            (f64::INFINITY, "bin_inf"),
        ] {
            assert_eq!(Bin::below(bound).unwrap().label(), label);
        }
        assert_eq!(Bin::below(f64::NAN), None);
    }
}
