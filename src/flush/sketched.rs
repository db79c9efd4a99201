//! The figures of a timing that had too many samples to keep.
//!
//! - Exact except for rounding: `count`, `count_ps`, `sum`, `sum_squares`, `mean`, `std`, `lower`,
//!   `upper`, statsite's `stdev` and `rate`, the `count` of a percentile, and all figures of a
//!   percentile that includes all samples.
//! - Within `timer_error` of the sample at the same rank: the boundary of a percentile, and
//!   `median`. The median is the boundary of the 50th percentile, since a sketch cannot distinguish
//!   the middle two samples.
//! - `sum`, `mean` and `sum_squares` of a percentile use the value of its bucket for each sample.
//!   They are off by at most `timer_error` of the sum of the samples' magnitudes, squares by twice
//!   that.
//! - A histogram counts a whole bucket by its value, as if the bounds of the bins were off by at
//!   most `timer_error`.

use crate::policy::{Bin, Figure, FigureId, Percentile, Plan, PlannedPercentile};
use crate::series::{Moments, Sketch};

/// Ascending values, and the number of samples that each stands for. They are computed once and
/// read for each figure.
type Buckets = [(f64, u64)];

/// Appends the figures in `plan` of `sketch`, whose interval had this many `seconds`.
pub(super) fn append(plan: &Plan, sketch: &Sketch, seconds: f64, out: &mut Vec<Figure>) {
    let all = sketch.moments();
    let buckets = &sketch.buckets().collect::<Vec<_>>();
    let mut push = |id, value| {
        if plan.wants(id) {
            out.push(Figure { id, value });
        }
    };
    let squares = all.squared_distances();
    push(FigureId::STD, (squares / all.samples() as f64).sqrt());
    push(FigureId::UPPER, all.upper());
    push(FigureId::LOWER, all.lower());
    push(FigureId::COUNT, all.weight());
    push(FigureId::COUNT_PS, all.weight() / seconds);
    push(FigureId::SUM, all.sum());
    push(FigureId::SUM_SQUARES, all.sum_squares());
    push(FigureId::MEAN, all.sum() / all.samples() as f64);
    let median = median(all, buckets);
    push(FigureId::MEDIAN, median);
    push(FigureId::QUANTILE_MEDIAN, median);
    // These are infinite only if a figure above is too, which is counted already.
    for (id, value) in [
        (FigureId::STDEV, (squares / (all.samples() - 1).max(1) as f64).sqrt()),
        (FigureId::SUM_PS, all.sum() / seconds),
    ] {
        push(id, if value.is_finite() { value } else { continue });
    }
    for planned in &plan.percentiles {
        percentile(planned, all, buckets, out);
    }
    histogram(&plan.bins, buckets, out);
}

/// Appends the figures of one percentile.
fn percentile(
    planned: &PlannedPercentile,
    all: &Moments,
    buckets: &Buckets,
    out: &mut Vec<Figure>,
) {
    let samples = all.samples();
    if let Some(id) = planned.quantile {
        let rank = planned.percentile.quantile_rank(whole(samples)) as u64;
        out.push(Figure { id, value: range(all, buckets, 0, rank).last });
    }
    let rank = rank(planned.percentile, samples);
    if rank == 0 {
        return;
    }
    // The samples after the lowest `after`, up to the one at rank `upto`. The boundary is the last
    // of them, or the first if the percentile is one from the top.
    let lowest = planned.percentile.percent() > 0.0;
    let (after, upto) = if lowest { (0, rank) } else { (samples - rank, samples) };
    let Part { sum, sum_squares, first, last } = range(all, buckets, after, upto);
    let boundary = if lowest { last } else { first };
    let figures = [rank as f64, sum / rank as f64, boundary, sum, sum_squares];
    let wanted = planned.figures.iter().zip(figures);
    out.extend(wanted.filter_map(|(id, value)| Some(Figure { id: (*id)?, value })));
}

/// Some of the samples in ascending order.
struct Part {
    sum: f64,
    sum_squares: f64,
    first: f64,
    last: f64,
}

/// Sums the samples after the lowest `after`, up to the one at rank `upto`.
fn range(all: &Moments, buckets: &Buckets, after: u64, upto: u64) -> Part {
    let lower = all.lower();
    let upper = all.upper();
    let mut part = Part { sum: 0.0, sum_squares: 0.0, first: lower, last: upper };
    let mut seen = 0;
    for &(value, count) in buckets {
        let end = seen + count;
        let taken = end.min(upto).saturating_sub(after.max(seen)) as f64;
        part.sum += value * taken;
        part.sum_squares += value * value * taken;
        // The lowest and the highest sample are known exactly, so they replace their buckets.
        if (seen..end).contains(&after) && after > 0 {
            part.first = value;
        }
        if (seen + 1..=end).contains(&upto) && upto < all.samples() {
            part.last = value;
        }
        seen = end;
    }
    if (after, upto) == (0, all.samples()) {
        part.sum = all.sum();
        part.sum_squares = all.sum_squares();
    }
    part
}

/// Appends the count of each bin.
fn histogram(bins: &[(Bin, FigureId)], buckets: &Buckets, out: &mut Vec<Figure>) {
    let mut buckets = buckets.iter().peekable();
    for (bin, id) in bins {
        let mut count = 0;
        while let Some((_, more)) = buckets.next_if(|(value, _)| *value < bin.bound()) {
            count += more;
        }
        out.push(Figure { id: *id, value: count as f64 });
    }
}

fn median(all: &Moments, buckets: &Buckets) -> f64 {
    let fifty = Percentile::new(50.0).expect("it is between 0 and 100");
    range(all, buckets, 0, rank(fifty, all.samples()).max(1)).last
}

fn rank(percentile: Percentile, samples: u64) -> u64 {
    let samples = whole(samples);
    percentile.rank(samples).min(samples) as u64
}

fn whole(samples: u64) -> usize {
    usize::try_from(samples).expect("counted one at a time")
}
