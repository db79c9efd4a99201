//! Values that bring a timestamp of their own: they make no series and are sent as they came, with the next flush.

use super::Refused;
use crate::protocol::Kind;

/// A value to be sent under its own time.
#[derive(Clone, Debug, PartialEq)]
pub struct Timed {
    pub name: Box<[u8]>,
    pub kind: Kind,
    pub value: f64,
    /// Seconds since 1970.
    pub timestamp: u64,
}

/// What waits for the next flush, and what of the last one is still to be sent.
#[derive(Debug)]
pub struct Passthrough {
    limit: usize,
    used: usize,
    open: Vec<Timed>,
    closing: std::vec::IntoIter<Timed>,
}

impl Passthrough {
    pub fn new(limit: usize) -> Self {
        Self { limit, used: 0, open: Vec::new(), closing: Vec::new().into_iter() }
    }

    pub fn add(&mut self, timed: Timed) -> Result<(), Refused> {
        let bytes = size(&timed);
        if self.used + bytes > self.limit {
            return Err(Refused::NoMemory);
        }
        self.used += bytes;
        self.open.push(timed);
        Ok(())
    }

    /// Ends the interval: what came in it can be taken.
    pub fn tick(&mut self) {
        debug_assert!(self.closing.len() == 0, "a tick waits until the one before is swept");
        self.closing = std::mem::take(&mut self.open).into_iter();
    }

    /// The next value of the interval before the tick, in the order they came.
    pub fn take(&mut self) -> Option<Timed> {
        let timed = self.closing.next()?;
        self.used -= size(&timed);
        Some(timed)
    }
}

fn size(timed: &Timed) -> usize {
    // A vector may hold twice what is in it while it grows.
    2 * size_of::<Timed>() + timed.name.len() + 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_its_memory_it_refuses_until_values_have_gone() {
        let timed =
            |value| Timed { name: b"a"[..].into(), kind: Kind::Counter, value, timestamp: 5 };
        let mut passthrough = Passthrough::new(size(&timed(1.0)) * 2);
        assert_eq!(passthrough.add(timed(1.0)), Ok(()));
        assert_eq!(passthrough.add(timed(2.0)), Ok(()));
        assert_eq!(passthrough.add(timed(3.0)), Err(Refused::NoMemory));
        passthrough.tick();
        assert_eq!(passthrough.add(timed(4.0)), Err(Refused::NoMemory), "both are still here");
        assert_eq!(passthrough.take(), Some(timed(1.0)));
        assert_eq!(passthrough.add(timed(5.0)), Ok(()));
        assert_eq!(passthrough.take(), Some(timed(2.0)));
        assert_eq!(passthrough.take(), None, "the open interval's waits for its own tick");
    }
}
