//! A series as bytes, and back: what it holds of the open interval, and for how long it has been idle.
//!
//! ```text
//!  kind  idle  name     counter: current, last   gauge: level   timing: 0, weight, samples… │ 1, sketch
//!   u8   u32   u16 + …                                          set: 0, members… │ 1, registers
//! ```

use super::{Series, State};
use crate::protocol::MetricKind;
use crate::series::Refused;
use crate::series::memory::Pool;
use crate::wire::{In, Put};

/// A series read from bytes, its values not yet looked at.
#[derive(Debug)]
pub(in crate::series) struct Saved<'a> {
    pub(in crate::series) kind: MetricKind,
    /// Intervals without a sample.
    pub(in crate::series) idle: u32,
    pub(in crate::series) name: &'a [u8],
    values: In<'a>,
}

const KINDS: [MetricKind; 4] =
    [MetricKind::Counter, MetricKind::Gauge, MetricKind::Timing, MetricKind::Set];

impl Series {
    /// What the interval before held must be closed.
    pub(in crate::series) fn save(&self, now: u32, out: &mut Vec<u8>) {
        debug_assert!(self.is_closed(now), "a save waits for the sweep");
        let kind = KINDS.iter().position(|kind| *kind == self.kind()).unwrap_or_default();
        out.put_u8(u8::try_from(kind).expect("one of four"));
        out.put_u32(self.idle_until(now));
        out.put_name(&self.name);
        match &self.state {
            State::Counter { current, last, .. } => {
                out.put_f64(*current);
                out.put_f64(*last);
            }
            State::Gauge { current, .. } => out.put_f64(*current),
            State::Timing(two) => two.current.save(out),
            State::Set(two) => two.current.save(out),
        }
    }

    /// Intervals since the last sample: 0 if one came in the open interval.
    fn idle_until(&self, now: u32) -> u32 {
        now.wrapping_sub(self.seen)
    }

    /// Takes the values over; the series was made just now. None for damage.
    pub(in crate::series) fn restore(
        &mut self,
        saved: Saved<'_>,
        now: u32,
        pool: &mut Pool,
    ) -> Option<Result<(), Refused>> {
        let mut values = saved.values;
        self.seen = now.wrapping_sub(saved.idle);
        let taken = match &mut self.state {
            State::Counter { current, last, .. } => {
                (*current, *last) = (values.finite()?, values.f64()?);
                true
            }
            State::Gauge { current, .. } => {
                *current = values.finite()?;
                true
            }
            State::Timing(two) => two.current.restore(&mut values, pool)?,
            State::Set(two) => two.current.restore(&mut values, pool)?,
        };
        Some(if taken { Ok(()) } else { Err(Refused::NoMemory) })
    }
}

impl<'a> Saved<'a> {
    /// None for damage.
    pub(in crate::series) fn read(mut input: In<'a>) -> Option<Self> {
        let kind = *KINDS.get(usize::from(input.u8()?))?;
        let idle = input.u32()?;
        let name = input.name().filter(|name| !name.is_empty())?;
        Some(Self { kind, idle, name, values: input })
    }
}
