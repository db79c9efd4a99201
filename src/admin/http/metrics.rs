//! `/metrics`: the figures of the server, and then every series, in the order of the families.
//!
//! A step of the walk over the series takes a fraction of a millisecond. If a client does not read
//! and another dump waits, the walk is paused. It frees its memory, and later begins again after
//! the last series that it has written.

use crate::admin::view::View;
use crate::config::MetricsShown;
use crate::encode::exposition::{Exposition, SeriesExposition};
use crate::figures::write_metrics;

/// One answer, in progress.
#[derive(Debug)]
pub(super) struct MetricsPage {
    exposition: Exposition,
    phase: MetricsPhase,
    series: SeriesExposition,
}

/// What is written next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MetricsPhase {
    Own,
    Series,
    End,
}

impl MetricsPage {
    pub(super) fn new(exposition: Exposition) -> Self {
        Self { exposition, phase: MetricsPhase::Own, series: SeriesExposition::new(exposition) }
    }

    /// Returns the type of the answer.
    pub(super) fn content_type(exposition: Exposition) -> &'static str {
        match exposition {
            Exposition::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Exposition::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Whether the walk holds memory for every series.
    pub(super) fn is_begun(&self) -> bool {
        self.series.is_begun()
    }

    /// The bytes that the walk holds.
    pub(super) fn bytes(&self) -> usize {
        self.series.bytes()
    }

    /// Whether the next step would begin the walk.
    pub(super) fn is_about_to_begin(&self) -> bool {
        self.phase == MetricsPhase::Series && !self.series.is_begun()
    }

    /// Frees the memory of the walk. It goes on later, after the last series that it has written.
    pub(super) fn pause(&mut self) {
        self.series.pause();
    }

    /// Does a part of the work. Returns `true` once the answer is complete.
    pub(super) fn step(&mut self, view: &mut View<'_>, out: &mut Vec<u8>) -> bool {
        match self.phase {
            MetricsPhase::Own => {
                write_metrics(&view.server, self.exposition, out);
                self.phase = match view.server.config.admin.metrics {
                    MetricsShown::All => MetricsPhase::Series,
                    MetricsShown::Own | MetricsShown::Off => MetricsPhase::End,
                };
            }
            MetricsPhase::Series => {
                if self.series.step(view.server.engine.table_mut(), out) {
                    self.phase = MetricsPhase::End;
                    self.series.pause(); // frees what is left
                }
            }
            MetricsPhase::End => {
                if self.exposition == Exposition::OpenMetrics {
                    out.extend_from_slice(b"# EOF\n");
                }
                return true;
            }
        }
        false
    }
}
