//! Samples, and the four types of metrics that they belong to.

/// The kinds of metrics. One name may have a series of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MetricKind {
    Counter,
    Gauge,
    Timing,
    Set,
}

impl MetricKind {
    /// Every kind, in the order of the enum. State files have the numbers of kinds, so the order
    /// must not change.
    pub const ALL: [Self; 4] = [Self::Counter, Self::Gauge, Self::Timing, Self::Set];

    /// Returns the name that operators read.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Timing => "timer",
            Self::Set => "set",
        }
    }
}

/// One parsed value. All numbers are finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sample<'a> {
    /// A change of a counter: the value × (1 / rate), in Node's order of operations.
    Count(f64),
    /// The total of a counter that the client keeps. Its increase × `weight` (1 / rate) is added.
    Cumulative { value: f64, weight: f64 },
    /// The new level of a gauge.
    Level(f64),
    /// A change of a gauge.
    Change(f64),
    /// The value of a timing, and the number of events it stands for (1 / rate).
    Time { value: f64, weight: f64 },
    /// A member of a set.
    Member(&'a [u8]),
    /// A key/value, which the next flush sends unchanged.
    Kv(f64),
}

impl Sample<'_> {
    /// The kind of series that the sample belongs to. A key/value belongs to none.
    pub fn kind(&self) -> Option<MetricKind> {
        match self {
            Self::Count(_) | Self::Cumulative { .. } => Some(MetricKind::Counter),
            Self::Level(_) | Self::Change(_) => Some(MetricKind::Gauge),
            Self::Time { .. } => Some(MetricKind::Timing),
            Self::Member(_) => Some(MetricKind::Set),
            Self::Kv(_) => None,
        }
    }
}
