//! Warnings about percentiles and the figures of timers. Pure.

use super::context::Lint;
use crate::config::value::{Percent, ValueKind as _};
use crate::encode::namespace::Style;
use crate::policy::{FigureNames, Percentile, TIMER_METRICS, TimerMetric};

pub(super) fn check(lint: &mut Lint<'_>) {
    let rules = &lint.config.rules;
    let base = TimerFigures {
        percentiles: &rules.base.percentiles,
        metrics: &rules.base.timer_metrics,
        has_bins: false,
    };
    of_section(lint, "statsd", base);
    for rule in &rules.rules {
        let figures = TimerFigures {
            percentiles: rule.percentiles.as_deref().unwrap_or_default(),
            metrics: rule.timer_metrics.as_deref().unwrap_or_default(),
            has_bins: rule.histogram.as_ref().is_some_and(|bins| !bins.is_empty()),
        };
        of_section(lint, &format!("rule.{}", rule.name), figures);
    }
    samples(lint);
}

/// What a section sets for timers. A key that is not set counts as empty.
struct TimerFigures<'a> {
    percentiles: &'a [Percentile],
    metrics: &'a [TimerMetric],
    has_bins: bool,
}

fn of_section(lint: &mut Lint<'_>, header: &str, figures: TimerFigures<'_>) {
    let TimerFigures { percentiles, metrics, has_bins } = figures;
    let sizes = || percentiles.iter().map(|percentile| percentile.percent().abs());
    if sizes().any(|size| size < 1.0) && sizes().all(|size| size <= 1.0) {
        let hundredfold = percentiles.iter().filter_map(|percentile| {
            Percentile::new(round(percentile.percent() * 100.0)).map(|meant| Percent.show(&meant))
        });
        let meant = hundredfold.collect::<Vec<_>>().join(", ");
        lint.warn(
            header,
            "percentiles",
            "percentiles are in percent, and these look like quantiles",
            format!("write percentiles = {meant}"),
        );
    }
    if metrics.is_empty() {
        return;
    }
    let lists_percent = metrics.iter().any(|metric| matches!(metric, TimerMetric::Percent(_)));
    if lint.gives(header, "percentiles") && !percentiles.is_empty() && !lists_percent {
        lint.warn(
            header,
            "percentiles",
            "timer_metrics lists no figure of percentiles, so none is sent",
            "add upper_percent to timer_metrics, or write percentiles =",
        );
    }
    if has_bins && !metrics.contains(&TimerMetric::Histogram) {
        lint.warn(
            header,
            "histogram",
            "timer_metrics does not list histogram, so no bin is sent",
            "add histogram to timer_metrics, or write histogram =",
        );
    }
    unknown_to_styles(lint, header, metrics);
}

/// Warns about figures that no style in use sends.
fn unknown_to_styles(lint: &mut Lint<'_>, header: &str, metrics: &[TimerMetric]) {
    let styles: Vec<_> = lint.config.namespaces.iter().map(|namespace| namespace.style).collect();
    let names = FigureNames::new(&[], &[]);
    let is_sent = |metric: &TimerMetric| {
        let TimerMetric::Figure(id) = metric else { return true };
        styles.iter().any(|style| match style {
            Style::Statsite => names.statsite().nth(id.index()).flatten().is_some(),
            Style::Legacy | Style::Modern => names.node().nth(id.index()).flatten().is_some(),
        })
    };
    let unsent: Vec<_> = metrics.iter().filter(|metric| !is_sent(metric)).map(name_of).collect();
    if !unsent.is_empty() {
        let reason = format!("the style does not send {}", unsent.join(" and "));
        lint.warn(header, "timer_metrics", reason, "remove them, or set the style in [namespace]");
    }
}

fn name_of(metric: &TimerMetric) -> &'static str {
    TIMER_METRICS.iter().find(|(_, known)| known == metric).map_or("", |(name, _)| name)
}

/// Warns about exact samples that do not fit the memory for samples.
fn samples(lint: &mut Lint<'_>) {
    let bounds = &lint.config.bounds;
    let needed = bounds.timer_exact * size_of::<f64>();
    // A quarter of the memory is kept free for the next interval.
    let room = bounds.sample_memory - bounds.sample_memory / 4;
    if needed > room {
        let most = room / size_of::<f64>();
        lint.warn(
            "statsd",
            "timer_exact",
            "the samples of one such timer do not fit timer_memory",
            format!("raise timer_memory, or write timer_exact = {most}"),
        );
    }
}

/// Removes the error of a multiplication: 0.57 × 100 is not exactly 57.
fn round(percent: f64) -> f64 {
    (percent * 1e6).round() / 1e6
}
