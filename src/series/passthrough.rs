//! Values that make no series and are sent as they came, with the next flush: key/values, and what brings its own time.

use super::add_error::AddError;
use crate::wire::{In, Put};

/// A value on its way past the series.
#[derive(Clone, Debug, PartialEq)]
pub struct Passing {
    pub name: Box<[u8]>,
    pub what: Untouched,
    pub value: f64,
    /// Seconds since 1970; None: the flush's stamp.
    pub timestamp: Option<u64>,
}

/// What a value that nothing is added to is sent as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untouched {
    Count,
    Level,
    Kv,
}

/// What waits for the next flush, and what of the last one is still to be sent.
#[derive(Debug)]
pub struct Passthrough {
    limit: usize,
    used: usize,
    open: Vec<Passing>,
    closing: std::vec::IntoIter<Passing>,
}

impl Passing {
    pub fn save(&self, out: &mut Vec<u8>) {
        out.put_u8(self.what as u8);
        out.put_name(&self.name);
        out.put_f64(self.value);
        out.put_u8(u8::from(self.timestamp.is_some()));
        out.put_u64(self.timestamp.unwrap_or(0));
    }

    /// None for damage.
    pub fn restore(input: &mut In<'_>) -> Option<Self> {
        const ALL: [Untouched; 3] = [Untouched::Count, Untouched::Level, Untouched::Kv];
        let what = *ALL.get(usize::from(input.u8()?))?;
        let name = input.name()?.into();
        let value = input.finite()?;
        let has_timestamp = input.u8()? == 1;
        let timestamp = Some(input.u64()?).filter(|_| has_timestamp);
        Some(Self { name, what, value, timestamp })
    }
}

impl Passthrough {
    pub fn new(limit: usize) -> Self {
        Self { limit, used: 0, open: Vec::new(), closing: Vec::new().into_iter() }
    }

    /// From now on another limit holds; what waits stays.
    pub fn limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    pub fn add(&mut self, passing: Passing) -> Result<(), AddError> {
        let bytes = size(&passing);
        if self.used + bytes > self.limit {
            return Err(AddError::NoMemory);
        }
        self.used += bytes;
        self.open.push(passing);
        Ok(())
    }

    /// Ends the interval: what came in it can be taken.
    pub fn tick(&mut self) {
        debug_assert!(self.closing.len() == 0, "a tick waits until the one before is swept");
        self.closing = std::mem::take(&mut self.open).into_iter();
    }

    /// What came in the open interval, in the order it came.
    pub fn open(&self) -> &[Passing] {
        &self.open
    }

    /// The next value of the interval before the tick, in the order they came.
    pub fn take(&mut self) -> Option<Passing> {
        let passing = self.closing.next()?;
        self.used -= size(&passing);
        Some(passing)
    }
}

fn size(passing: &Passing) -> usize {
    // A vector may hold twice what is in it while it grows.
    2 * size_of::<Passing>() + passing.name.len() + 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_its_memory_it_refuses_until_values_have_gone() {
        let name = || b"a"[..].into();
        let passing =
            |value| Passing { name: name(), what: Untouched::Count, value, timestamp: Some(5) };
        let mut passthrough = Passthrough::new(size(&passing(1.0)) * 2);
        assert_eq!(passthrough.add(passing(1.0)), Ok(()));
        assert_eq!(passthrough.add(passing(2.0)), Ok(()));
        assert_eq!(passthrough.add(passing(3.0)), Err(AddError::NoMemory));
        passthrough.tick();
        assert_eq!(passthrough.add(passing(4.0)), Err(AddError::NoMemory), "both are still here");
        assert_eq!(passthrough.take(), Some(passing(1.0)));
        assert_eq!(passthrough.add(passing(5.0)), Ok(()));
        assert_eq!(passthrough.take(), Some(passing(2.0)));
        assert_eq!(passthrough.take(), None, "the open interval's waits for its own tick");
    }
}
