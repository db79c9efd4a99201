//! The figures that a timing is sent as: percentiles, histogram bins and the filter, resolved to
//! numbers once for many flushes.

use super::figures::{Bin, FigureId, FigureNames, Percentile, parts};

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

    pub(crate) fn wants(&self, id: FigureId) -> bool {
        self.wanted >> id.index() & 1 == 1
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
