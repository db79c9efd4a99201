//! Computes the figures of a timing from its samples in Node's order of operations, so that they
//! are equal to Node's to the last digit.

use crate::few::sort_few;
use crate::policy::{Bin, Figure, FigureId, Percentile, Plan, PlannedPercentile};

/// Computes the figures of one timing after another, and reuses its buffer.
#[derive(Debug, Default)]
pub(super) struct TimingFigures {
    /// The running sums over the lowest `count` samples, for each count that a percentile needs.
    cuts: Vec<Cut>,
}

/// The sums over the lowest `count` samples.
#[derive(Clone, Copy, Debug)]
struct Cut {
    count: usize,
    sum: f64,
    sum_squares: f64,
}

impl TimingFigures {
    /// Appends the figures in `plan` of `samples`, which stand for `weight` events in `seconds`.
    /// Reorders the samples: the lowest is the first then, and the highest the last. Returns the
    /// sum of the samples.
    pub(super) fn append(
        &mut self,
        plan: &Plan,
        samples: &mut [f64],
        weight: f64,
        seconds: f64,
        out: &mut Vec<Figure>,
    ) -> f64 {
        let mut push = |id, value| {
            if plan.wants(id) {
                out.push(Figure { id, value });
            }
        };
        if samples.is_empty() {
            push(FigureId::COUNT, 0.0);
            push(FigureId::COUNT_PS, 0.0);
            return 0.0;
        }
        if plan.sorts {
            sort(samples);
        } else {
            put_ends_in_place(samples);
        }
        let total = self.run_sums(plan, samples);
        let n = samples.len();
        let mean = total.sum / n as f64;
        let squares = if plan.wants(FigureId::STD) || plan.wants(FigureId::STDEV) {
            squared_deviations(samples, mean)
        } else {
            0.0
        };
        push(FigureId::STD, (squares / n as f64).sqrt());
        push(FigureId::UPPER, samples[n - 1]);
        push(FigureId::LOWER, samples[0]);
        push(FigureId::COUNT, weight);
        push(FigureId::COUNT_PS, weight / seconds);
        push(FigureId::SUM, total.sum);
        push(FigureId::SUM_SQUARES, total.sum_squares);
        push(FigureId::MEAN, mean);
        push(FigureId::MEDIAN, median(samples));
        push(FigureId::QUANTILE_MEDIAN, median(samples));
        // These are infinite only if a figure above is too, which is counted already.
        for (id, value) in [
            (FigureId::STDEV, (squares / (n - 1).max(1) as f64).sqrt()),
            (FigureId::SUM_PS, total.sum / seconds),
        ] {
            push(id, if value.is_finite() { value } else { continue });
        }
        for planned in &plan.percentiles {
            self.percentile(planned, samples, total, out);
        }
        histogram(&plan.bins, samples, out);
        total.sum
    }

    /// Sums all samples from the lowest up, and stores the running sums at the boundary of each
    /// percentile.
    fn run_sums(&mut self, plan: &Plan, samples: &[f64]) -> Cut {
        let n = samples.len();
        self.cuts.clear();
        for planned in &plan.percentiles {
            let count = cut_at(planned.percentile, n);
            self.cuts.push(Cut { count, sum: 0.0, sum_squares: 0.0 });
        }
        sort_few(&mut self.cuts, |one, other| one.count.cmp(&other.count));
        let mut running = Cut { count: 0, sum: 0.0, sum_squares: 0.0 };
        for cut in &mut self.cuts {
            running.extend(&samples[running.count..cut.count]);
            *cut = running;
        }
        running.extend(&samples[running.count..]);
        running
    }

    /// Appends the figures of one percentile.
    fn percentile(
        &self,
        planned: &PlannedPercentile,
        samples: &[f64],
        total: Cut,
        out: &mut Vec<Figure>,
    ) {
        let n = samples.len();
        let percentile = planned.percentile;
        if let Some(id) = planned.quantile {
            out.push(Figure { id, value: samples[percentile.quantile_rank(n) - 1] });
        }
        let rank = if n == 1 { 1 } else { percentile.rank(n) };
        if rank == 0 {
            return;
        }
        let cut = self.cut(cut_at(percentile, n));
        let (boundary, sum, sum_squares) = if n == 1 {
            (samples[0], total.sum, total.sum_squares)
        } else if percentile.percent() > 0.0 {
            (samples[rank - 1], cut.sum, cut.sum_squares)
        } else {
            (samples[n - rank], total.sum - cut.sum, total.sum_squares - cut.sum_squares)
        };
        let figures = [rank as f64, sum / rank as f64, boundary, sum, sum_squares];
        let wanted = planned.figures.iter().zip(figures);
        out.extend(wanted.filter_map(|(id, value)| Some(Figure { id: (*id)?, value })));
    }

    fn cut(&self, count: usize) -> Cut {
        let at = self.cuts.partition_point(|cut| cut.count < count);
        self.cuts[at]
    }
}

/// Returns the number of the lowest samples that a percentile takes in, or that it leaves out if it
/// is negative.
fn cut_at(percentile: Percentile, n: usize) -> usize {
    let rank = percentile.rank(n).min(n);
    if percentile.percent() > 0.0 { rank } else { n - rank }
}

impl Cut {
    fn extend(&mut self, samples: &[f64]) {
        for value in samples {
            self.sum += value;
            self.sum_squares += value * value;
        }
        self.count += samples.len();
    }
}

/// Puts the lowest sample first and the highest last, if no figure needs the others in order.
fn put_ends_in_place(samples: &mut [f64]) {
    for at in 1..samples.len() {
        if samples[at].total_cmp(&samples[0]).is_lt() {
            samples.swap(at, 0);
        }
    }
    let last = samples.len() - 1;
    for at in 0..last {
        if samples[at].total_cmp(&samples[last]).is_gt() {
            samples.swap(at, last);
        }
    }
}

/// Counts the samples below the bound of each bin and not below the bound before it.
fn histogram(bins: &[(Bin, FigureId)], sorted: &[f64], out: &mut Vec<Figure>) {
    let mut rest = sorted;
    for (bin, id) in bins {
        let count = rest.partition_point(|value| *value < bin.bound());
        out.push(Figure { id: *id, value: count as f64 });
        rest = &rest[count..];
    }
}

fn squared_deviations(samples: &[f64], mean: f64) -> f64 {
    let mut sum = 0.0;
    for value in samples {
        sum += (value - mean) * (value - mean);
    }
    sum
}

/// Sorts in the order of [`f64::total_cmp`].
///
/// That function computes two keys for each comparison. Here each sample is replaced by its key for
/// the time of the sort, which saves a third of the instructions.
fn sort(samples: &mut [f64]) {
    // A key is an integer that sorts as the sample does: all bits but the sign are inverted if the
    // sample is negative. The same step leads back.
    let exchange = |samples: &mut [f64]| {
        for sample in samples {
            let bits = sample.to_bits().cast_signed();
            *sample = f64::from_bits((bits ^ ((bits >> 63) & i64::MAX)).cast_unsigned());
        }
    };
    exchange(samples);
    samples.sort_unstable_by_key(|key| key.to_bits().cast_signed());
    exchange(samples);
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use statsd_bench::Random;

    use super::*;
    use crate::policy::FigureNames;

    /// Those that Node sends.
    fn figures(percents: &[f64], samples: &[f64], weight: f64) -> Vec<(String, f64)> {
        named(percents, samples, weight, |names| {
            names.node().map(|name| name.map(str::to_owned)).collect()
        })
    }

    fn named(
        percents: &[f64],
        samples: &[f64],
        weight: f64,
        names: fn(&FigureNames) -> Vec<Option<String>>,
    ) -> Vec<(String, f64)> {
        let percentiles: Vec<_> =
            percents.iter().map(|percent| Percentile::new(*percent).unwrap()).collect();
        let figure_names = FigureNames::new(&percentiles, &[]);
        let plan = Plan::new(&percentiles, &[], &[], &figure_names, true);
        let mut samples = samples.to_vec();
        let mut out = Vec::new();
        TimingFigures::default().append(&plan, &mut samples, weight, 10.0, &mut out);
        let names = names(&figure_names);
        let name = |figure: &Figure| Some((names[figure.id.index()].clone()?, figure.value));
        out.iter().filter_map(name).collect()
    }

    #[track_caller]
    fn expect(percents: &[f64], samples: &[f64], expected: &[(&str, f64)]) {
        let all = figures(percents, samples, samples.len() as f64);
        for (name, value) in expected {
            let found = all.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
            assert_eq!(found, Some(*value), "{name} of {samples:?}");
        }
    }

    #[test]
    fn an_idle_timing_sends_two_zeros() {
        let expected = [("count".to_owned(), 0.0), ("count_ps".to_owned(), 0.0)];
        assert_eq!(figures(&[90.0], &[], 0.0), expected);
    }

    #[test]
    fn one_sample_is_every_figure() {
        expect(
            &[90.0, -10.0, 0.5],
            &[7.0],
            &[
                ("upper_90", 7.0),
                ("lower_top10", 7.0),
                ("upper_0_5", 7.0),
                ("count_top10", 1.0),
                ("sum_squares_90", 49.0),
                ("median", 7.0),
                ("std", 0.0),
            ],
        );
    }

    #[test]
    fn a_negative_percentile_takes_the_highest() {
        expect(
            &[-40.0, -100.0],
            &[5.0, 1.0, 4.0, 2.0, 3.0],
            &[
                ("count_top40", 2.0),
                ("lower_top40", 4.0),
                ("sum_top40", 9.0),
                ("mean_top40", 4.5),
                ("sum_squares_top40", 41.0),
                ("count_top100", 5.0),
                ("lower_top100", 1.0),
                ("sum_top100", 15.0),
            ],
        );
    }

    #[test]
    fn a_percentile_that_takes_in_nothing_is_left_out() {
        let all = figures(&[1.0, 50.0], &[1.0, 2.0], 2.0);
        assert!(all.iter().all(|(name, _)| !name.ends_with("_1")), "{all:?}");
        assert!(all.iter().any(|(name, _)| name == "upper_50"));
    }

    #[test]
    fn statsite_divides_by_one_less_and_has_a_median_when_it_is_asked_for() {
        let statsite = |percents: &[f64], samples: &[f64]| {
            let names = |names: &FigureNames| {
                names.statsite().map(|name| name.map(str::to_owned)).collect()
            };
            let mut all = named(percents, samples, samples.len() as f64, names);
            all.sort_by(|(one, _), (other, _)| one.cmp(other));
            all.into_iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>()
        };
        assert_eq!(
            statsite(&[50.0, 99.9, -25.0], &[4.0, 1.0, 2.0, 5.0]),
            [
                "count 4",
                "lower 1",
                "lower_top25 5",
                "mean 3",
                "median 3",
                "p50 4",
                "p99_9 5",
                "rate 1.2",
                "sample_rate 0.4",
                "stdev 1.8257418583505538",
                "sum 12",
                "sum_sq 46",
                "upper 5",
            ]
        );
        let one = statsite(&[95.0], &[7.0]);
        assert!(one.contains(&"stdev 0".into()) && one.contains(&"p95 7".into()), "{one:?}");
        assert!(one.iter().all(|figure| !figure.starts_with("median")), "{one:?}");
    }

    #[test]
    fn the_count_is_the_weight_and_the_rest_the_samples() {
        let all = figures(&[], &[1.0, 3.0], 20.0);
        assert!(all.contains(&("count".into(), 20.0)) && all.contains(&("count_ps".into(), 2.0)));
        assert!(all.contains(&("mean".into(), 2.0)) && all.contains(&("sum".into(), 4.0)));
    }

    #[test]
    fn samples_are_sorted_as_by_total_cmp() {
        let mut random = Random::new(99);
        for round in 0..200 {
            let mut samples = vec![0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NEG_INFINITY];
            samples.extend((0..round).map(|_| f64::from_bits(random.bits())));
            let mut expected = samples.clone();
            expected.sort_by(f64::total_cmp);
            sort(&mut samples);
            let bits = |all: &[f64]| all.iter().map(|one| one.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&samples), bits(&expected), "round {round}");
        }
    }

    /// Node's arrays of running sums, written the plain way.
    #[test]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a rank is at most n
    fn sums_equal_nodes_running_sums_to_the_last_digit() {
        let mut random = Random::new(20_261_122);
        for round in 0..500usize {
            let mut samples = Vec::new();
            for _ in 0..=round % 97 {
                samples.push((random.bits() >> 40) as f64 / 777.0);
            }
            let percents = [90.0, 50.0, 99.9, -10.0, -33.3, 12.5];
            let all = figures(&percents, &samples, 1.0);
            samples.sort_by(f64::total_cmp);
            let mut sums = vec![0.0];
            samples.iter().for_each(|value| sums.push(sums[sums.len() - 1] + value));
            let n = samples.len();
            for percent in percents.into_iter().filter(|_| n > 1) {
                let k = (f64::abs(percent) / 100.0 * n as f64).round() as usize;
                let sum = if percent > 0.0 { sums[k] } else { sums[n] - sums[n - k] };
                let label = Percentile::new(percent).unwrap().label();
                let found = all.iter().find(|(name, _)| *name == format!("sum_{label}"));
                let expected = (k > 0).then_some(sum);
                assert_eq!(found.map(|(_, value)| *value), expected, "round {round}");
            }
        }
    }
}
