//! The settings that decide what a series is called on its way out.

/// Whose names are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Node StatsD's older name space: `stats.K`, `stats_counts.K`, `stats.timers.K.…`.
    Legacy,
    /// Node StatsD's newer one: `stats.counters.K.rate`, `stats.timers.K.…`.
    Modern,
}

/// One `[namespace]` section. Empty prefixes and suffixes are left out together with their dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    pub style: Style,
    pub global_prefix: String,
    pub global_suffix: String,
    pub prefix_counter: String,
    pub prefix_timer: String,
    pub prefix_gauge: String,
    pub prefix_set: String,
    pub prefix_stats: String,
    /// Whether a counter's count is written beside its rate.
    pub flush_counts: bool,
}

impl Default for Namespace {
    fn default() -> Self {
        Self {
            style: Style::Legacy,
            global_prefix: "stats".into(),
            global_suffix: String::new(),
            prefix_counter: "counters".into(),
            prefix_timer: "timers".into(),
            prefix_gauge: "gauges".into(),
            prefix_set: "sets".into(),
            prefix_stats: "statsd".into(),
            flush_counts: true,
        }
    }
}
