//! Lines as statsite writes them to its commands: `name|value|timestamp\n`, in the style of
//! statsite. Counts are whole numbers. All other values have six decimals, as `%f` of C writes
//! them.

use super::chunk::Chunks;
use super::encoder::Encoder;
use super::graphite::line_end;
use super::names::Points;
use super::namespace::Namespace;
use super::number::{append_six_decimals, append_whole};
use crate::flush::{Subject, Summary};
use crate::policy::{FigureId, FigureNames};

/// The encoder of statsite's lines.
#[derive(Debug)]
pub(super) struct StatsiteLines {
    points: Points,
    /// The first figure that is a bin of a histogram. All later ones are bins.
    first_bin: usize,
    /// The end of every line of the flush: separator, timestamp in seconds, newline.
    stamp: Vec<u8>,
    chunks: Chunks,
}

impl StatsiteLines {
    pub(super) fn new(namespace: &Namespace, figures: &FigureNames) -> Self {
        let first_bin = figures.bins().next().map_or(usize::MAX, |(_, id)| id.index());
        Self {
            points: Points::new(namespace, figures),
            first_bin,
            stamp: Vec::new(),
            chunks: Chunks::default(),
        }
    }
}

impl Encoder for StatsiteLines {
    fn begin(&mut self, flush: u64, stamp: u64) {
        self.stamp = line_end(b'|', stamp);
        self.chunks.begin(flush);
    }

    fn encode(&mut self, summary: &Summary<'_>) {
        let Self { points, first_bin, stamp, chunks } = self;
        points.of(summary, |point, id| {
            let is_count = match summary.subject {
                Subject::Set => true,
                Subject::Timing => id == FigureId::COUNT || id.index() >= *first_bin,
                _ => false,
            };
            let line = chunks.line();
            point.append_name(line);
            line.push(b'|');
            if is_count {
                append_whole(point.value, line);
            } else {
                append_six_decimals(point.value, line);
            }
            match point.timestamp {
                None => line.extend_from_slice(stamp),
                Some(own_time) => line.extend_from_slice(&line_end(b'|', own_time)),
            }
        });
    }

    fn end(&mut self) {
        self.chunks.end();
    }

    fn chunks(&mut self) -> &mut Chunks {
        &mut self.chunks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Bin, Figure, Percentile};

    #[test]
    fn counts_are_whole_and_the_rest_has_six_decimals() {
        let percentiles = [Percentile::new(90.0).unwrap()];
        let names = FigureNames::new(&percentiles, &Bin::histogram(&[10.0, f64::INFINITY]));
        let namespace = Namespace { extended_counters: true, ..Namespace::statsite() };
        let mut lines = StatsiteLines::new(&namespace, &names);
        lines.begin(1, 10);
        let (_, quantile) = names.quantiles().next().unwrap();
        let bins: Vec<_> = names.bins().map(|(_, id)| id).collect();
        let summaries: [(Subject, &[FigureId], f64, Option<u64>); 7] = [
            (Subject::Counter, &[FigureId::RATE, FigureId::COUNT], 10.25, None),
            (Subject::Timing, &[FigureId::COUNT, FigureId::MEAN, quantile], 7.9, None),
            (Subject::Timing, &bins, 3.0, None),
            (Subject::Set, &[FigureId::COUNT], 2.0, None),
            (Subject::Gauge, &[FigureId::VALUE], -0.5, Some(7)),
            (Subject::Kv, &[FigureId::VALUE], 1e-7, None),
            (Subject::OwnCounter, &[FigureId::COUNT], 4.0, None),
        ];
        for (subject, ids, value, timestamp) in summaries {
            let figures: Vec<_> = ids.iter().map(|&id| Figure { id, value }).collect();
            let summary = Summary::new(subject, b"a;k=v", &figures);
            lines.encode(&Summary { timestamp, ..summary });
        }
        lines.end();
        let text = lines.chunks().take().flat_map(|chunk| chunk.bytes().to_vec()).collect();
        let expected = "\
counts.a.rate;k=v|10.250000|10
counts.a.count;k=v|10.250000|10
timers.a.count;k=v|7|10
timers.a.mean;k=v|7.900000|10
timers.a.p90;k=v|7.900000|10
timers.a.histogram.bin_<10.00;k=v|3|10
timers.a.histogram.bin_>10.00;k=v|3|10
sets.a;k=v|2|10
gauges.a;k=v|-0.500000|7
kv.a;k=v|0.000000|10
counts.statsd.a.count;k=v|4.000000|10
";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }
}
