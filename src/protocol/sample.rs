//! Samples, and the four types of metrics that they belong to.

/// The name spaces a series can live in: one name may be in all four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MetricKind {
    Counter,
    Gauge,
    Timing,
    Set,
}

/// One parsed value, ready to be added to its series. All numbers are finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sample<'a> {
    /// What to add to a counter: the value × (1 / rate), in Node's order of operations.
    Count(f64),
    /// What a counter kept by the client has come to; its rise × `weight` (1 / rate) is what to add.
    Cumulative { value: f64, weight: f64 },
    /// What a gauge now is.
    Level(f64),
    /// What to add to a gauge.
    Change(f64),
    /// A timing's value, and the number of events it stands for (1 / rate).
    Time { value: f64, weight: f64 },
    /// A member of a set.
    Member(&'a [u8]),
    /// A key/value: sent as it came with the next flush.
    Kv(f64),
}

impl Sample<'_> {
    /// Of the series it belongs to; a key/value makes none.
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
