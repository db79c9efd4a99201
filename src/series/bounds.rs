//! The limits of the table (numbers of series, memory, and what is kept exactly), and why a sample
//! that exceeds one is not added.
//!
//! [`Exactness`]: how much of an interval is kept exactly, and how large the error of the rest may
//! be. It follows from the limits.

use std::fmt;
use std::time::Duration;

/// The limits of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The number of series of all kinds together.
    pub max_series: usize,
    /// The bytes of all series together, with their names and tags. Samples and members of sets are
    /// limited by `sample_memory`.
    pub series_memory: usize,
    /// If the table is full, a series that has been idle for this long is evicted for a
    /// new one. A new one of the sender or prefix with the most may be evicted sooner.
    pub evict_after: Duration,
    /// The bytes of timing samples and set members of all series together.
    pub sample_memory: usize,
    /// The number of samples of one timing that are kept exactly in one interval.
    pub timer_exact: usize,
    /// The relative error of percentiles of a timing with more samples. At least 0.001.
    pub timer_error: f64,
    /// The number of members of one set that are kept exactly in one interval.
    pub set_exact: usize,
    /// The relative standard error of the number of members of a larger set.
    pub set_error: f64,
    /// The bytes of key/values, and of values with a timestamp of their own, that wait for the
    /// flush.
    pub passthrough_memory: usize,
    /// Whether timings have running totals, which `/metrics` shows. Counters always have them.
    pub keeps_totals: bool,
    /// How long points of series are kept for charts.
    pub history: Duration,
    /// The bytes of the points of series. 0 if none are kept.
    pub history_memory: usize,
}

/// When the table is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SeriesLimits {
    pub(super) count: usize,
    pub(super) bytes: usize,
}

impl SeriesLimits {
    /// For a table that must not fill up.
    pub(super) const NONE: Self = Self { count: usize::MAX, bytes: usize::MAX };

    pub(super) fn new(bounds: &Bounds) -> Self {
        Self { count: bounds.max_series, bytes: bounds.series_memory }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            max_series: 1_000_000,
            series_memory: 256 << 20,
            evict_after: Duration::from_secs(600),
            sample_memory: 64 << 20,
            timer_exact: 50_000,
            timer_error: 0.01,
            set_exact: 10_000,
            set_error: 0.02,
            passthrough_memory: 16 << 20,
            keeps_totals: false,
            history: Duration::from_secs(3600),
            history_memory: 4 << 20,
        }
    }
}

/// Why a valid sample was not added to a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddError {
    /// The series is new, the table is full by `max_series` or `series_memory`, and no series can
    /// be evicted.
    TooManySeries,
    /// The rule with this number drops the name.
    ByRule(u8),
    /// `sample_memory` is used up for this interval.
    NoMemory,
    /// `passthrough_memory` is used up for this interval.
    NoPassthroughMemory,
    /// The sample would take its series out of the range of a double.
    NotFinite,
}

impl fmt::Display for AddError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::TooManySeries => {
                "the table of series is full, and no series makes room for the name"
            }
            Self::ByRule(_) => "a rule drops the name",
            Self::NoMemory => "timer_memory is used up",
            Self::NoPassthroughMemory => "passthrough_memory is used up",
            Self::NotFinite => "the value takes its series out of the range of a double",
        })
    }
}

/// Why a saved series was not restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreError {
    /// The record makes no sense.
    Damaged,
    /// A rule or a limit leaves no room for the series.
    Refused(AddError),
    /// Rules make one series of two saved ones, and the values of both are estimates.
    BothEstimates,
}

/// Series that hold fewer bytes stay exact, since a sketch is hardly smaller than so few samples.
pub(super) const LARGE: usize = 2048;

/// What is kept exactly, and the precision of what is not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Exactness {
    /// The number of samples of a timing that are kept.
    pub(super) timer_exact: usize,
    pub(super) resolution: Resolution,
    /// The number of members of a set that are kept.
    pub(super) set_exact: usize,
    pub(super) precision: Precision,
}

/// How finely a sketch distinguishes values, and how many pages it may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Resolution {
    /// The natural logarithm of the ratio between the bounds of a bucket.
    pub(super) ln_gamma: f64,
    pub(super) per_ln_gamma: f64,
    pub(super) pages_max: usize,
}

/// The number of registers of an estimate, as a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Precision(pub(super) u8);

/// The buckets of a page of a sketch.
pub(super) const PLACES: u8 = 32;
/// The decimal orders of magnitude that values may fill without a gap before buckets are merged.
const ORDERS: f64 = 18.0;
/// The pages for zero and for outliers, in addition to those for [`ORDERS`].
const PAGES_MORE: usize = 16;

impl Exactness {
    pub(super) fn new(bounds: &Bounds) -> Self {
        Self {
            timer_exact: bounds.timer_exact,
            resolution: Resolution::new(bounds.timer_error),
            set_exact: bounds.set_exact,
            precision: Precision::new(bounds.set_error),
        }
    }
}

impl Resolution {
    /// `error` is relative: 0.01 for 1 %.
    pub(super) fn new(error: f64) -> Self {
        Self::with_ln_gamma(libm::log((1.0 + error) / (1.0 - error)))
    }

    /// Returns `None` for a number that no valid error gives.
    pub(super) fn of_ln_gamma(ln_gamma: f64) -> Option<Self> {
        (0.001..=1.0).contains(&ln_gamma).then(|| Self::with_ln_gamma(ln_gamma))
    }

    fn with_ln_gamma(ln_gamma: f64) -> Self {
        let buckets = ORDERS * std::f64::consts::LN_10 / ln_gamma;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // some hundred
        let pages_max = (buckets / f64::from(PLACES)).ceil() as usize + PAGES_MORE;
        Self { ln_gamma, per_ln_gamma: 1.0 / ln_gamma, pages_max }
    }
}

impl Precision {
    /// Returns the lowest precision whose standard error, 1.04 / sqrt(registers), is at most
    /// `error`.
    pub(super) fn new(error: f64) -> Self {
        // With 2^11 registers `hyperloglockless` 0.5.0 returns 0 for up to 10,000 members.
        let enough = |bits: &u8| *bits != 11 && 1.04 / f64::from(1u32 << bits).sqrt() <= error;
        Self((4..18).find(enough).unwrap_or(18))
    }
}
