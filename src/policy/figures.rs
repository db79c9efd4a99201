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

    /// Returns the rank of statsite's quantile among `n` samples, of which there is at least one:
    /// 96 for the 95th percentile of 100. The percentile must be positive.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at most n, never negative
    pub fn quantile_rank(self, n: usize) -> usize {
        // 33.3 % of 1000 samples must be 333. Rounding may make the product slightly smaller, and
        // `floor` would then give 332.
        let below = (self.0 * n as f64 / 100.0 * (1.0 + 4.0 * f64::EPSILON)).floor() as usize;
        (below + 1).min(n)
    }
}

/// A bin of a histogram. It has the values from one bound on that are below the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// Minus infinity for the first bin.
    from: f64,
    /// Infinity if the bin has no upper bound.
    bound: f64,
    /// Whether the name in statsite has two decimals, as in statsite. `false` if two bins of the
    /// histogram would have the same name then.
    is_rounded: bool,
}

impl Bin {
    /// Returns the bins with these upper bounds, which ascend and are not NaN. The first bin has
    /// everything below its bound. -0 becomes 0.
    pub fn histogram(bounds: &[f64]) -> Vec<Self> {
        let rounded = |bound: &f64| format!("{bound:.2}");
        let is_rounded = bounds.windows(2).all(|pair| rounded(&pair[0]) != rounded(&pair[1]));
        let lower = std::iter::once(&f64::NEG_INFINITY).chain(bounds);
        let bin = |(from, bound)| Self { from: from + 0.0, bound: bound + 0.0, is_rounded };
        lower.zip(bounds).map(bin).collect()
    }

    pub fn bound(self) -> f64 {
        self.bound
    }

    /// The lower bound. Minus infinity for the first bin.
    pub fn from(self) -> f64 {
        self.from
    }

    /// Returns the name of its figure in Node, such as `bin_2_21` or `bin_inf`.
    pub fn label(self) -> String {
        format!("bin_{self}").replacen('.', "_", 1)
    }

    /// Returns the name of its figure in statsite: `bin_<10.00`, `bin_10.00` or `bin_>90.00`.
    pub fn statsite_label(self) -> String {
        let text = |bound| if self.is_rounded { format!("{bound:.2}") } else { shortest(bound) };
        if self.from == f64::NEG_INFINITY {
            format!("bin_<{}", text(self.bound))
        } else if self.bound == f64::INFINITY {
            format!("bin_>{}", text(self.from))
        } else {
            format!("bin_{}", text(self.from))
        }
    }

    /// Returns a key that is the same only for equal bins.
    pub(super) fn key(self) -> (u64, u64, bool) {
        (self.from.to_bits(), self.bound.to_bits(), self.is_rounded)
    }
}

/// Shows the upper bound, as the configuration writes it.
impl std::fmt::Display for Bin {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&shortest(self.bound))
    }
}

fn shortest(bound: f64) -> String {
    if bound.is_finite() { ryu_js::Buffer::new().format(bound).into() } else { "inf".into() }
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
/// The figures of a percentile: five in Node, and after them the quantile in statsite.
const PER_PERCENTILE: usize = NODE_PARTS + 1;
const NODE_PARTS: usize = 5;

/// Returns the names of the five figures of a percentile in Node, in their order.
pub(super) fn parts(percentile: Percentile) -> [&'static str; NODE_PARTS] {
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
                // statsite has no quantile from the top, so this figure has its name in Node.
                let statsite = (part == "lower").then(|| node.clone());
                [Some(node), statsite]
            }));
            let is_quantile = percentile.percent() > 0.0;
            names.push([None, is_quantile.then(|| format!("p{label}"))]);
        }
        let histogram = |label| Some(format!("histogram.{label}"));
        let of_bin = |bin: &Bin| [bin.label(), bin.statsite_label()].map(histogram);
        names.extend(bins.iter().map(of_bin));
        Self { percentiles: percentiles.to_vec(), bins: bins.to_vec(), names }
    }

    /// Returns the figure of a percentile with the index `part`: count, mean, boundary, sum, sum of
    /// squares.
    pub(super) fn of_percentile(&self, percentile: Percentile, part: usize) -> FigureId {
        let nth = self.percentiles.iter().position(|known| *known == percentile);
        FigureId::at(FIXED.len() + nth.expect("all are known") * PER_PERCENTILE + part)
    }

    /// Returns the figure that is statsite's quantile of a percentile.
    pub(super) fn of_quantile(&self, percentile: Percentile) -> FigureId {
        self.of_percentile(percentile, NODE_PARTS)
    }

    pub(super) fn of_bin(&self, bin: Bin) -> FigureId {
        let nth = self.bins.iter().position(|known| *known == bin);
        self.at_bin(nth.expect("all are known"))
    }

    fn at_bin(&self, nth: usize) -> FigureId {
        FigureId::at(FIXED.len() + self.percentiles.len() * PER_PERCENTILE + nth)
    }

    /// Returns each percentile and the figure that is its quantile in statsite.
    pub fn quantiles(&self) -> impl Iterator<Item = (Percentile, FigureId)> {
        self.percentiles.iter().map(|percentile| (*percentile, self.of_quantile(*percentile)))
    }

    /// Returns each bin and its figure.
    pub fn bins(&self) -> impl Iterator<Item = (Bin, FigureId)> {
        self.bins.iter().enumerate().map(|(nth, bin)| (*bin, self.at_bin(nth)))
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
    // Some figures under their names in statsite, and the figures that only its style has.
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
    /// statsite's quantile.
    pub(crate) quantile: Option<FigureId>,
}

impl Plan {
    /// An empty `metrics` means all figures. `names` must have every percentile and bin. `statsite`
    /// adds the figures that only statsite sends.
    pub fn new(
        percentiles: &[Percentile],
        metrics: &[TimerMetric],
        bins: &[Bin],
        names: &FigureNames,
        statsite: bool,
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
                .map(|percentile| PlannedPercentile::new(*percentile, &wants, names, statsite))
                .filter(|planned| planned.has_figures())
                .collect(),
            bins: bins.iter().map(|bin| (*bin, names.of_bin(*bin))).collect(),
            sorts: false,
        };
        if !statsite {
            plan.wanted &= !(1 << FigureId::STDEV.index() | 1 << FigureId::SUM_PS.index());
        } else if plan.wants(FigureId::MEDIAN)
            && percentiles.iter().any(|known| known.percent() == 50.0)
        {
            plan.wanted |= 1 << FigureId::QUANTILE_MEDIAN.index();
        }
        plan.bins.retain(|_| wants(TimerMetric::Histogram));
        plan.sorts = plan.needs_order();
        plan
    }

    /// Returns the boundary of the highest percentile from the bottom, if there is one that is
    /// sent.
    pub fn upper_percentile(&self) -> Option<FigureId> {
        let upper = self.percentiles.iter().filter(|planned| planned.percentile.percent() > 0.0);
        let highest =
            upper.max_by(|a, b| a.percentile.percent().total_cmp(&b.percentile.percent()))?;
        highest.figures[2].or(highest.quantile)
    }

    pub(crate) fn wants(&self, id: FigureId) -> bool {
        self.wanted >> id.index() & 1 == 1
    }

    /// Whether timings have a histogram.
    pub fn has_bins(&self) -> bool {
        !self.bins.is_empty()
    }

    /// The upper bounds of the bins, in ascending order.
    pub fn bounds(&self) -> impl Iterator<Item = f64> {
        self.bins.iter().map(|(bin, _)| bin.bound())
    }

    /// The percentiles, of which those from the top are negative.
    pub fn percents(&self) -> impl Iterator<Item = f64> {
        self.percentiles.iter().map(|planned| planned.percentile.percent())
    }

    fn needs_order(&self) -> bool {
        use FigureId as Id;
        let ordered =
            [Id::STD, Id::STDEV, Id::SUM, Id::SUM_PS, Id::SUM_SQUARES, Id::MEAN, Id::MEDIAN];
        let of_percentile = |planned: &PlannedPercentile| {
            planned.figures[1..] != [None; 4] || planned.quantile.is_some()
        };
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
        statsite: bool,
    ) -> Self {
        let mut figures = [None; 5];
        for (part, name) in parts(percentile).into_iter().enumerate() {
            if wants(TimerMetric::Percent(name)) {
                figures[part] = Some(names.of_percentile(percentile, part));
            }
        }
        let is_quantile = percentile.percent() > 0.0 && wants(TimerMetric::Percent("upper"));
        let quantile = (statsite && is_quantile).then(|| names.of_quantile(percentile));
        Self { percentile, figures, quantile }
    }

    fn has_figures(&self) -> bool {
        self.figures.iter().any(Option::is_some) || self.quantile.is_some()
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
    fn statsites_quantile_is_the_first_sample_with_that_part_of_all_below_it() {
        for (percent, n, rank) in [
            (95.0, 100, 96),
            (50.0, 3, 2),
            (50.0, 4, 3),
            (90.0, 1, 1),
            (100.0, 10, 10),
            (0.001, 10, 1),
            (29.0, 100, 30),
            (33.3, 1000, 334),
            (99.9, 1000, 1000),
        ] {
            assert_eq!(
                Percentile::new(percent).unwrap().quantile_rank(n),
                rank,
                "{percent} of {n}"
            );
        }
        for tenths in 1..1000_usize {
            let percentile = Percentile::new(tenths as f64 / 10.0).unwrap();
            for n in (1000..100_000).step_by(1000) {
                assert_eq!(percentile.quantile_rank(n), tenths * n / 1000 + 1);
            }
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
            assert_eq!(Bin::histogram(&[bound])[0].label(), label);
        }
    }

    #[test]
    fn a_bin_has_the_label_that_statsite_writes() {
        let inf = f64::INFINITY;
        for (bounds, labels) in [
            (
                &[10.0, 20.0, 30.0, inf][..],
                &["bin_<10.00", "bin_10.00", "bin_20.00", "bin_>30.00"][..],
            ),
            (&[-0.0, 0.125, 2.5], &["bin_<0.00", "bin_0.00", "bin_0.12"]),
            // With two decimals, two bins would have one name.
            (&[0.001, 0.002, 1.0, inf], &["bin_<0.001", "bin_0.001", "bin_0.002", "bin_>1"]),
            (&[inf], &["bin_<inf"]),
            (&[], &[]),
        ] {
            let found = Bin::histogram(bounds);
            assert_eq!(found.into_iter().map(Bin::statsite_label).collect::<Vec<_>>(), labels);
        }
    }
}
