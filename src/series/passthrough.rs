//! Values that belong to no series. The next flush sends them as they arrived: key/values, and
//! values with a timestamp of their own.

use super::bounds::AddError;
use crate::wire::{In, Put};

/// A value that is sent without being aggregated.
#[derive(Clone, Debug, PartialEq)]
pub struct PassthroughValue {
    pub name: Box<[u8]>,
    pub what: PassthroughKind,
    pub value: f64,
    /// Seconds since 1970. `None` stands for the timestamp of the flush.
    pub timestamp: Option<u64>,
    /// The number of the sender. It is 0 for a restored value, since a restart numbers the senders
    /// again.
    pub sender: u16,
}

/// The type of metric that such a value is sent as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassthroughKind {
    Count,
    Level,
    Kv,
}

/// The values for the next flush, and those of the last flush that must still be sent.
#[derive(Debug)]
pub struct Passthrough {
    limit: usize,
    used: usize,
    open: Vec<PassthroughValue>,
    closing: std::vec::IntoIter<PassthroughValue>,
}

impl PassthroughValue {
    pub fn save(&self, out: &mut Vec<u8>) {
        out.put_u8(self.what as u8);
        out.put_name(&self.name);
        out.put_f64(self.value);
        out.put_u8(u8::from(self.timestamp.is_some()));
        out.put_u64(self.timestamp.unwrap_or(0));
    }

    /// Returns `None` if the record is damaged.
    pub fn restore(input: &mut In<'_>) -> Option<Self> {
        const ALL: [PassthroughKind; 3] =
            [PassthroughKind::Count, PassthroughKind::Level, PassthroughKind::Kv];
        let what = *ALL.get(usize::from(input.u8()?))?;
        let name = input.name()?.into();
        let value = input.finite()?;
        let has_timestamp = input.u8()? == 1;
        let timestamp = Some(input.u64()?).filter(|_| has_timestamp);
        Some(Self { name, what, value, timestamp, sender: 0 })
    }
}

impl Passthrough {
    pub fn new(limit: usize) -> Self {
        Self { limit, used: 0, open: Vec::new(), closing: Vec::new().into_iter() }
    }

    /// Sets another limit. The values already held stay.
    pub fn limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Returns the bytes of the values that are held.
    pub fn used(&self) -> usize {
        self.used
    }

    /// The bytes that are left of the limit.
    pub fn free(&self) -> usize {
        self.limit.saturating_sub(self.used)
    }

    pub fn add(&mut self, passing: PassthroughValue) -> Result<(), AddError> {
        let bytes = size(&passing);
        if self.used + bytes > self.limit {
            return Err(AddError::NoPassthroughMemory);
        }
        self.used += bytes;
        self.open.push(passing);
        Ok(())
    }

    /// Ends the interval. Its values can be taken.
    pub fn tick(&mut self) {
        debug_assert!(self.closing.len() == 0, "a tick waits until the one before is swept");
        self.closing = std::mem::take(&mut self.open).into_iter();
    }

    /// The values of the open interval, in the order of arrival.
    pub fn open(&self) -> &[PassthroughValue] {
        &self.open
    }

    /// Takes the next value of the interval before the tick, in the order of arrival.
    pub fn take(&mut self) -> Option<PassthroughValue> {
        let passing = self.closing.next()?;
        self.used -= size(&passing);
        Some(passing)
    }
}

fn size(passing: &PassthroughValue) -> usize {
    // A vector may hold twice what is in it while it grows.
    2 * size_of::<PassthroughValue>() + passing.name.len() + 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_its_memory_it_refuses_until_values_have_gone() {
        let name = || b"a"[..].into();
        let passing = |value| PassthroughValue {
            name: name(),
            what: PassthroughKind::Count,
            value,
            timestamp: Some(5),
            sender: 0,
        };
        let mut passthrough = Passthrough::new(size(&passing(1.0)) * 2);
        assert_eq!(passthrough.add(passing(1.0)), Ok(()));
        assert_eq!(passthrough.add(passing(2.0)), Ok(()));
        assert_eq!(passthrough.add(passing(3.0)), Err(AddError::NoPassthroughMemory));
        passthrough.tick();
        assert_eq!(
            passthrough.add(passing(4.0)),
            Err(AddError::NoPassthroughMemory),
            "both are still here"
        );
        assert_eq!(passthrough.take(), Some(passing(1.0)));
        assert_eq!(passthrough.add(passing(5.0)), Ok(()));
        assert_eq!(passthrough.take(), Some(passing(2.0)));
        assert_eq!(passthrough.take(), None, "the open interval's waits for its own tick");
    }
}
