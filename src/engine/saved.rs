//! The engine as bytes, and back: the own counters, what passes the series, the series.

use std::time::Duration;

use super::Engine;
use crate::flush::Own;
use crate::protocol::{MetricKind, is_clean};
use crate::series::{AddError, Cursor, Passing};
use crate::wire::{In, Put};

/// What a record holds; others are passed over.
const OWN: u8 = 1;
const PASSING: u8 = 2;
const SERIES: u8 = 3;

/// Series saved between two looks at how much there is.
const STEP: usize = 256;

/// What became of a state that was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    pub series: u64,
    /// Series and values that a rule, or a limit that was lowered, keeps out.
    pub refused: u64,
    /// It ended in the middle of something.
    pub damaged: bool,
}

impl Engine {
    /// Writes the open interval in records; `spill` may take from time to time what there is so far. Returns what it has
    /// not taken. No sweep may be under way.
    pub fn save<E>(
        &self,
        mut spill: impl FnMut(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Vec<u8>, E> {
        assert!(!self.is_sweeping(), "a save waits for the sweep");
        let mut out = Vec::new();
        for (name, count) in self.intake.own.open() {
            out.put_record(|out| {
                out.put_u8(OWN);
                out.put_name(name.as_bytes());
                out.put_u64(count);
            });
        }
        for passing in self.intake.passthrough.open() {
            out.put_record(|out| {
                out.put_u8(PASSING);
                passing.save(out);
            });
            spill(&mut out)?;
        }
        let mut cursor = Cursor::default();
        while !self.save_series(&mut cursor, None, STEP, &mut out) {
            spill(&mut out)?;
        }
        Ok(out)
    }

    /// Writes the gauges, about `work` series a call; true at the end. No sweep may be under way.
    pub fn save_gauges(&self, cursor: &mut Cursor, work: usize, out: &mut Vec<u8>) -> bool {
        assert!(!self.is_sweeping(), "a save waits for the sweep");
        self.save_series(cursor, Some(MetricKind::Gauge), work, out)
    }

    fn save_series(
        &self,
        cursor: &mut Cursor,
        kind: Option<MetricKind>,
        work: usize,
        out: &mut Vec<u8>,
    ) -> bool {
        self.intake.table.save(cursor, kind, work, out, SERIES)
    }

    /// Takes over what was saved by a server that flushed every `interval`: all of it, or gauges alone. Nothing has come
    /// in yet.
    pub fn restore(&mut self, mut input: In<'_>, interval: Duration, gauges: bool) -> Restored {
        let kind = gauges.then_some(MetricKind::Gauge);
        if !gauges {
            self.flush.summarizer.interval(interval.as_secs_f64()); // of the one that is taken over
        }
        let ratio = interval.as_secs_f64() / self.flush_interval.as_secs_f64();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates
        let age = |idle: u32| (f64::from(idle) * ratio) as u32;
        let mut restored = Restored::default();
        while !input.is_empty() {
            let Some(result) =
                input.record().and_then(|record| self.take_record(record, kind, age))
            else {
                restored.damaged = true;
                break;
            };
            match result {
                Ok(series) => restored.series += u64::from(series),
                Err(_) => restored.refused += 1,
            }
        }
        // They may have been taken in as they came, by another configuration.
        self.trusts &= self.intake.table.names().all(is_clean);
        restored
    }

    /// Whether it was a series. None for damage.
    fn take_record(
        &mut self,
        mut record: In<'_>,
        kind: Option<MetricKind>,
        age: impl Fn(u32) -> u32,
    ) -> Option<Result<bool, AddError>> {
        let intake = &mut self.intake;
        match record.u8()? {
            SERIES => {
                let before = intake.table.len();
                let taken = intake.table.restore(record, kind, age)?;
                Some(taken.map(|()| intake.table.len() > before))
            }
            OWN if kind.is_none() => {
                let (name, count) = (record.name()?, record.u64()?);
                let known = Own::ALL.iter().find(|(_, known, _)| known.as_bytes() == name);
                if let Some((own, _, _)) = known {
                    intake.own.add(*own, count);
                }
                Some(Ok(false))
            }
            PASSING if kind.is_none() => {
                let passing = Passing::restore(&mut record)?;
                Some(intake.passthrough.add(passing).map(|()| false))
            }
            _ => Some(Ok(false)),
        }
    }
}
