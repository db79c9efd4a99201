//! The samples of a timing in one interval: all of them, or a sketch if there are too many.

use super::bounds::{AddError, RestoreError};
use super::memory::Pool;
use super::sketch::Sketch;
use crate::wire::{In, Put};

#[derive(Debug)]
pub(super) enum TimingSamples {
    /// The samples in the order of arrival. The weight is the number of events they stand for, each
    /// 1 / rate.
    Exact {
        values: Vec<f64>,
        weight: f64,
    },
    /// One sample. It needs no buffer: many timings have no more in an interval.
    One {
        value: f64,
        weight: f64,
    },
    Sketch(Box<Sketch>),
}

impl Default for TimingSamples {
    fn default() -> Self {
        Self::Exact { values: Vec::new(), weight: 0.0 }
    }
}

impl TimingSamples {
    /// Returns no samples, with a spare buffer if the pool has one.
    pub(super) fn new(pool: &mut Pool) -> Self {
        Self::Exact { values: pool.buffer(), weight: 0.0 }
    }

    /// The number of values that closing the series reads.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Exact { values, .. } => values.len(),
            Self::One { .. } => 1,
            Self::Sketch(sketch) => sketch.len(),
        }
    }

    /// Adds a sample that stands for `weight` events.
    #[inline]
    pub(super) fn add(&mut self, value: f64, more: f64, pool: &mut Pool) -> Result<(), AddError> {
        // Nearly every sample finds room in the buffer.
        if let Self::Exact { values, weight } = self
            && values.len() < values.capacity()
            && values.len() < pool.exactness.timer_exact
            && (*weight + more).is_finite()
        {
            values.push(value);
            *weight += more;
            return Ok(());
        }
        self.add_or_grow(value, more, pool)
    }

    #[inline(never)]
    fn add_or_grow(&mut self, value: f64, weight: f64, pool: &mut Pool) -> Result<(), AddError> {
        if !(self.weight() + weight).is_finite() {
            return Err(AddError::NotFinite);
        }
        if self.push(value, weight, pool) { Ok(()) } else { Err(AddError::NoMemory) }
    }

    /// The events that the samples stand for.
    pub(super) fn weight(&self) -> f64 {
        match self {
            Self::Exact { weight, .. } | Self::One { weight, .. } => *weight,
            Self::Sketch(sketch) => sketch.moments().weight(),
        }
    }

    /// Returns false if there is no memory for the sample.
    #[must_use]
    fn push(&mut self, value: f64, more: f64, pool: &mut Pool) -> bool {
        let (values, weight) = match self {
            Self::Exact { values, weight } => (values, weight),
            Self::One { .. } => return self.buffer(pool) && self.push(value, more, pool),
            Self::Sketch(sketch) => return sketch.add(value, more, pool),
        };
        if values.len() >= pool.exactness.timer_exact {
            return self.sketch(pool) && self.push(value, more, pool);
        }
        if values.capacity() == 0 {
            *self = Self::One { value, weight: more };
            return true;
        }
        let granted = pool.reserve_one(values);
        if granted {
            values.push(value);
            *weight += more;
        }
        granted
    }

    /// Moves a single sample to a buffer. Returns false if there is no memory for it.
    #[must_use]
    fn buffer(&mut self, pool: &mut Pool) -> bool {
        let Self::One { value, weight } = *self else { return true };
        let mut values = Vec::new();
        let granted = pool.reserve_one(&mut values);
        if granted {
            values.push(value);
            *self = Self::Exact { values, weight };
        }
        granted
    }

    /// Reduces the memory held, if possible: first the unused part of the buffer, then by replacing
    /// the samples with a sketch.
    pub(super) fn condense(&mut self, pool: &mut Pool) {
        let Self::Exact { values, weight } = self else { return };
        let held = values.capacity() * size_of::<f64>();
        if values.len() < values.capacity() / 4 {
            values.shrink_to_fit();
            let kept = values.capacity() * size_of::<f64>();
            pool.holds(kept);
            return pool.give_back(held - kept);
        }
        let sketch = Sketch::of(values, *weight, pool.exactness.resolution);
        // Samples spread over the whole range of doubles need less memory than their sketch.
        if sketch.bytes() < held && pool.exchange(held, sketch.bytes()) {
            *self = Self::Sketch(sketch);
        }
    }

    /// Removes the samples, and frees the memory that this interval did not need.
    pub(super) fn empty(&mut self, pool: &mut Pool) {
        match self {
            Self::Exact { values, weight } => {
                pool.empty(values);
                *weight = 0.0;
            }
            Self::One { .. } => *self = Self::default(),
            Self::Sketch(_) => std::mem::take(self).release(pool),
        }
    }

    /// Returns all memory to the pool.
    pub(super) fn release(self, pool: &mut Pool) {
        match self {
            Self::Exact { values, .. } => pool.keep(values),
            Self::One { .. } => {}
            Self::Sketch(sketch) => pool.give_back(sketch.bytes()),
        }
    }

    pub(super) fn save(&self, out: &mut Vec<u8>) {
        match self {
            Self::Exact { values, weight } => {
                out.put_u8(0);
                out.put_f64(*weight);
                out.put_u32(u32::try_from(values.len()).expect("timer_exact is less"));
                values.iter().for_each(|value| out.put_f64(*value));
            }
            Self::One { value, weight } => {
                out.put_u8(0);
                out.put_f64(*weight);
                out.put_u32(1);
                out.put_f64(*value);
            }
            Self::Sketch(sketch) => {
                out.put_u8(1);
                sketch.save(out);
            }
        }
    }

    /// Adds saved samples to those that are there. Returns false if there is no memory for them.
    pub(super) fn restore(
        &mut self,
        input: &mut In<'_>,
        pool: &mut Pool,
    ) -> Result<bool, RestoreError> {
        let is_sketch = input.u8().ok_or(RestoreError::Damaged)? == 1;
        if is_sketch && matches!(self, Self::Sketch(_)) {
            return Err(RestoreError::BothEstimates);
        }
        if !self.buffer(pool) {
            return Ok(false);
        }
        let restored = if is_sketch {
            self.restore_sketch(input, pool)
        } else {
            self.restore_exact(input, pool)
        };
        restored.ok_or(RestoreError::Damaged)
    }

    /// Returns `None` if the sketch is damaged.
    fn restore_sketch(&mut self, input: &mut In<'_>, pool: &mut Pool) -> Option<bool> {
        let sketch = Sketch::restore(input)?;
        if !pool.take(sketch.bytes()) {
            return Some(false);
        }
        let before = std::mem::replace(self, Self::Sketch(sketch));
        let Self::Exact { values, mut weight } = before else { return None };
        let is_whole =
            values.iter().all(|value| self.push(*value, std::mem::take(&mut weight), pool));
        pool.keep(values);
        Some(is_whole)
    }

    /// Returns `None` if the samples are damaged.
    fn restore_exact(&mut self, input: &mut In<'_>, pool: &mut Pool) -> Option<bool> {
        // Only the sum of the weights is stored, so the first sample gets all of it.
        let mut weight = input.finite()?;
        let count = usize::try_from(input.u32()?).ok()?;
        let samples = input.u64s(count)?;
        if !(self.weight() + weight).is_finite() {
            return Some(false);
        }
        if let Self::Exact { values, .. } = self
            && values.capacity() == 0
            && count > 1
            && count <= pool.exactness.timer_exact
            && !pool.reserve(values, count)
        {
            return Some(false);
        }
        for bits in samples {
            let value = Some(f64::from_bits(bits)).filter(|value| value.is_finite())?;
            if !self.push(value, std::mem::take(&mut weight), pool) {
                return Some(false);
            }
        }
        Some(true)
    }

    /// Replaces the samples with a sketch. Returns false if there is no memory for it.
    #[must_use]
    fn sketch(&mut self, pool: &mut Pool) -> bool {
        let Self::Exact { values, weight } = self else { return true };
        let sketch = Sketch::of(values, *weight, pool.exactness.resolution);
        let done = pool.exchange(values.capacity() * size_of::<f64>(), sketch.bytes());
        if done {
            *self = Self::Sketch(sketch);
        }
        done
    }
}
