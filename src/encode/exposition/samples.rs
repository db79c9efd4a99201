//! [`SeriesSamples`]: what `/metrics` shows of one series, as lines of either format. Pure.
//!
//! ```text
//!  # TYPE web_hits counter           (web_hits_total in the text format)
//!  # HELP web_hits StatsD counter, as a running total
//!  web_hits_total{env="prod"} 12
//! ```
//! OpenMetrics forbids totals, sums and quantiles below zero. Such a sample is left out there. It
//! also requires whole numbers of events, so a running `_count` with a fraction is rounded there.

use super::legal::FamilyKind;
use crate::encode::number::Number;

/// The two formats that Prometheus reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    /// OpenMetrics 1.0. The caller appends `# EOF` after its last family.
    OpenMetrics,
    /// Prometheus's text format 0.0.4, in which a counter's family has the name of its sample.
    Text,
}

/// The present values of a series.
#[derive(Debug, PartialEq)]
pub(super) enum SeriesSamples<'a> {
    /// The running total of a counter.
    Total(f64),
    /// The level of a gauge, or the number of members of a set.
    Level(f64),
    Summary {
        /// Each quantile of the last interval, from 0 to 1, in ascending order.
        quantiles: &'a [(f64, f64)],
        sum: f64,
        count: f64,
    },
    Histogram {
        /// The bound of each bin, in ascending order, and the running number of samples in it.
        bins: &'a [(f64, f64)],
        sum: f64,
        count: f64,
    },
}

/// Writes samples, and the head of each family before its first one.
#[derive(Debug)]
pub(super) struct SampleWriter {
    exposition: Exposition,
    /// The family whose head was written last.
    family: Vec<u8>,
    bounds: BoundTexts,
}

/// The texts of the quantiles or bounds of the last series. Most series have the same ones.
#[derive(Debug, Default)]
struct BoundTexts(Vec<(u64, Vec<u8>)>);

impl Exposition {
    /// Whether the format has totals of this value.
    fn may_show(self, total: f64) -> bool {
        self == Self::Text || total >= 0.0
    }

    /// Returns a number of events as the format has it. Sample rates such as 0.3 make fractions.
    ///
    /// The running total is rounded, not its rises. So a rise is at most one event from what
    /// Graphite was sent, however long the series lives. Without the sample, Prometheus would lose
    /// the count of each timer that is sampled so.
    fn whole(self, count: f64) -> f64 {
        match self {
            Self::OpenMetrics => count.round(),
            Self::Text => count,
        }
    }
}

impl SampleWriter {
    pub(super) fn new(exposition: Exposition) -> Self {
        Self { exposition, family: Vec::new(), bounds: BoundTexts::default() }
    }

    /// Appends the samples of a series. All series of a family must follow each other.
    pub(super) fn put(
        &mut self,
        family: &[u8],
        kind: FamilyKind,
        labels: &[u8],
        samples: &SeriesSamples<'_>,
        out: &mut Vec<u8>,
    ) {
        let start = out.len();
        if self.family != family {
            self.put_head(family, kind, out);
        }
        let head_end = out.len();
        let exposition = self.exposition;
        let bounds = &mut self.bounds;
        let mut line = |suffix: &str, bound: Option<(&str, &[u8])>, value: f64| {
            put_sample(family, suffix, labels, bound, value, out);
        };
        match samples {
            SeriesSamples::Total(total) => {
                if exposition.may_show(*total) {
                    line("_total", None, *total);
                }
            }
            SeriesSamples::Level(level) => line("", None, *level),
            SeriesSamples::Summary { quantiles, sum, count } => {
                // NaN is allowed: it is the quantile of an interval without samples.
                let may_show = |value: f64| exposition.may_show(value) || value.is_nan();
                let shown = quantiles.iter().filter(|(_, value)| may_show(*value));
                for (index, (quantile, value)) in shown.enumerate() {
                    line("", Some(("quantile", bounds.text(index, *quantile))), *value);
                }
                if exposition.may_show(*sum) {
                    line("_sum", None, *sum);
                }
                line("_count", None, exposition.whole(*count));
            }
            SeriesSamples::Histogram { bins, sum, count } => {
                let mut below = 0.0;
                let finite = bins.iter().filter(|(bound, _)| bound.is_finite());
                for (index, (bound, samples)) in finite.enumerate() {
                    below += samples;
                    line("_bucket", Some(("le", bounds.text(index, *bound))), below);
                }
                line("_bucket", Some(("le", b"+Inf")), *count);
                let has_negative = bins.first().is_some_and(|(bound, _)| *bound < 0.0);
                if exposition == Exposition::Text || !has_negative && exposition.may_show(*sum) {
                    line("_sum", None, *sum);
                    line("_count", None, *count);
                }
            }
        }
        if out.len() == head_end {
            out.truncate(start); // a head would have no sample
        } else if self.family != family {
            self.family.clear();
            self.family.extend_from_slice(family);
        }
    }

    fn put_head(&self, family: &[u8], kind: FamilyKind, out: &mut Vec<u8>) {
        let is_total = kind == FamilyKind::Counter && self.exposition == Exposition::Text;
        for (start, end) in ["# TYPE ", "# HELP "].into_iter().zip(kind.head_ends()) {
            out.extend_from_slice(start.as_bytes());
            out.extend_from_slice(family);
            if is_total {
                out.extend_from_slice(b"_total");
            }
            out.extend_from_slice(end.as_bytes());
        }
    }
}

impl BoundTexts {
    /// Returns the text of a quantile or bound. `index` is its place among those of its series,
    /// which must be passed in order.
    fn text(&mut self, index: usize, value: f64) -> &[u8] {
        let bits = value.to_bits();
        let is_known = self.0.get(index).is_some_and(|(known, _)| *known == bits);
        if !is_known {
            let mut text = Vec::new();
            put_canonical(value, &mut text);
            self.0.truncate(index);
            self.0.push((bits, text));
        }
        &self.0[index].1
    }
}

fn put_sample(
    family: &[u8],
    suffix: &str,
    labels: &[u8],
    bound: Option<(&str, &[u8])>,
    value: f64,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(family);
    out.extend_from_slice(suffix.as_bytes());
    if !labels.is_empty() || bound.is_some() {
        out.push(b'{');
        out.extend_from_slice(labels);
        if let Some((key, bound)) = bound {
            if !labels.is_empty() {
                out.push(b',');
            }
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(b"=\"");
            out.extend_from_slice(bound);
            out.push(b'"');
        }
        out.push(b'}');
    }
    out.push(b' ');
    put_value(value, out);
    out.push(b'\n');
}

fn put_value(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        Number::new().append(value, out);
    } else {
        put_canonical(value, out);
    }
}

/// Appends a number as OpenMetrics requires those of `le` and `quantile`: `1.0`, `0.25`, `1e+06`,
/// `+Inf`. Two texts of one number would be two labels.
fn put_canonical(value: f64, out: &mut Vec<u8>) {
    let size = value.abs();
    if !value.is_finite() {
        let text = if value.is_nan() { "NaN" } else { ["-Inf", "+Inf"][usize::from(value > 0.0)] };
        return out.extend_from_slice(text.as_bytes());
    }
    let start = out.len();
    if size == 0.0 || (1e-4..1e6).contains(&size) {
        Number::new().append(value, out);
        if !out[start..].contains(&b'.') {
            out.extend_from_slice(b".0");
        }
        return;
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    out.extend_from_slice(format!("{mantissa}e{sign}{digits:0>2}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(
        exposition: Exposition,
        samples: &[(&str, FamilyKind, &str, SeriesSamples<'_>)],
    ) -> String {
        let mut writer = SampleWriter::new(exposition);
        let mut out = Vec::new();
        for (family, kind, labels, samples) in samples {
            writer.put(family.as_bytes(), *kind, labels.as_bytes(), samples, &mut out);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_kind_has_its_samples() {
        use FamilyKind::{Counter, Gauge, Histogram, Summary};
        let nan = f64::NAN;
        let all = [
            ("a", Counter, "", SeriesSamples::Total(3.0)),
            ("a", Counter, "k=\"v\"", SeriesSamples::Total(0.5)),
            ("b_value", Gauge, "", SeriesSamples::Level(-1e21)),
            (
                "c_timer",
                Summary,
                "",
                SeriesSamples::Summary {
                    quantiles: &[(0.0, 1.0), (0.9, nan), (1.0, 7.0)],
                    sum: 8.0,
                    count: 2.0,
                },
            ),
            (
                "d_distribution",
                Histogram,
                "k=\"v\"",
                SeriesSamples::Histogram {
                    bins: &[(0.5, 1.0), (10.0, 2.0), (f64::INFINITY, 3.0)],
                    sum: 90.0,
                    count: 6.0,
                },
            ),
        ];
        let found = text(Exposition::OpenMetrics, &all);
        let lines: Vec<_> = found.lines().filter(|line| !line.starts_with("# HELP")).collect();
        let expected = [
            "# TYPE a counter",
            "a_total 3",
            "a_total{k=\"v\"} 0.5",
            "# TYPE b_value gauge",
            "b_value -1e+21",
            "# TYPE c_timer summary",
            "c_timer{quantile=\"0.0\"} 1",
            "c_timer{quantile=\"0.9\"} NaN",
            "c_timer{quantile=\"1.0\"} 7",
            "c_timer_sum 8",
            "c_timer_count 2",
            "# TYPE d_distribution histogram",
            "d_distribution_bucket{k=\"v\",le=\"0.5\"} 1",
            "d_distribution_bucket{k=\"v\",le=\"10.0\"} 3",
            "d_distribution_bucket{k=\"v\",le=\"+Inf\"} 6",
            "d_distribution_sum{k=\"v\"} 90",
            "d_distribution_count{k=\"v\"} 6",
        ];
        assert_eq!(lines, expected);
        let found = text(Exposition::Text, &all);
        assert!(found.starts_with("# TYPE a_total counter\n# HELP a_total StatsD"), "{found}");
        assert_eq!(found.lines().count(), lines.len() + 4);
    }

    #[test]
    fn openmetrics_has_no_total_below_zero_and_no_family_without_samples() {
        use FamilyKind::{Counter, Histogram, Summary};
        let summary = SeriesSamples::Summary { quantiles: &[], sum: -1.0, count: 1.0 };
        let histogram = SeriesSamples::Histogram { bins: &[(-1.0, 1.0)], sum: -5.0, count: 1.0 };
        let all = [
            ("a", Counter, "", SeriesSamples::Total(-1.0)),
            ("b_timer", Summary, "", summary),
            ("c_distribution", Histogram, "", histogram),
        ];
        let open = text(Exposition::OpenMetrics, &all);
        assert!(!open.contains("# TYPE a ") && !open.contains("_sum"), "{open}");
        assert!(open.contains("b_timer_count 1\n") && !open.contains("c_distribution_count"));
        let plain = text(Exposition::Text, &all);
        assert!(plain.contains("a_total -1\n") && plain.contains("c_distribution_sum -5\n"));
    }

    #[test]
    fn openmetrics_has_no_quantile_below_zero_and_no_part_of_an_event() {
        let quantiles = [(0.0, -5.0), (0.5, f64::NAN), (0.9, 0.0), (1.0, 7.0)];
        let summary = SeriesSamples::Summary { quantiles: &quantiles, sum: 2.0, count: 10.0 / 3.0 };
        let all = [("n_timer", FamilyKind::Summary, "", summary)];
        let open = text(Exposition::OpenMetrics, &all);
        assert!(!open.contains("-5") && open.contains("n_timer_count 3\n"), "{open}");
        for line in ["0.5\"} NaN\n", "0.9\"} 0\n", "1.0\"} 7\n"] {
            assert!(open.contains(line), "{line} in {open}");
        }
        let plain = text(Exposition::Text, &all);
        assert!(plain.contains("quantile=\"0.0\"} -5\n"), "{plain}");
        assert!(plain.contains("n_timer_count 3.3333333333333335\n"), "{plain}");
    }

    /// The texts of the bounds of one series are used for the next one.
    #[test]
    fn each_series_has_its_own_quantiles() {
        let first = [(0.0, 1.0), (0.5, 2.0), (1.0, 3.0)];
        let negative = [(0.0, -1.0), (0.5, 2.0), (1.0, 3.0)];
        let other = [(0.0, 1.0), (0.95, 2.0), (1.0, 3.0)];
        let short = [(0.5, 4.0)];
        let series = [&first[..], &negative, &first, &other, &short, &first];
        let all = series.map(|quantiles| {
            let samples = SeriesSamples::Summary { quantiles, sum: 0.0, count: 0.0 };
            ("t", FamilyKind::Summary, "", samples)
        });
        let text = text(Exposition::OpenMetrics, &all);
        let lines: Vec<_> = text.lines().filter(|line| line.contains("quantile=")).collect();
        let expected = series.iter().copied().flatten().filter(|(_, value)| *value >= 0.0);
        let expected: Vec<_> = expected
            .map(|(quantile, value)| format!("t{{quantile=\"{quantile:?}\"}} {value}"))
            .collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn numbers_of_labels_have_one_text() {
        for (value, text) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (0.999, "0.999"),
            (0.1 + 0.2, "0.30000000000000004"),
            (0.012_345_678, "0.012345678"),
            (100_000.0, "100000.0"),
            (999_999.0, "999999.0"),
            (1e6, "1e+06"),
            (2_500_000.0, "2.5e+06"),
            (1e21, "1e+21"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-2.5, "-2.5"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
            (f64::NAN, "NaN"),
        ] {
            let mut out = Vec::new();
            put_canonical(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
