//! The tokens of the poller: which descriptor an event is for. No other file reads their bits.
//!
//! Listeners and signals are fixed for the life of a configuration. Connections and the descriptors
//! of sinks come and go, so their tokens carry a generation. An event for a descriptor that was
//! closed earlier in the same turn then has no effect.

use std::io;

use mio::Token;
use slab::Slab;

/// The owner of a registered descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventSource {
    Signals,
    Datagrams(u16),
    /// A listener for streams of lines.
    Listener(u16),
    /// A listener for clients of the admin port.
    AdminListener(u16),
    /// A client that sends streams of lines.
    Connection(Slot),
    /// A client of the admin port.
    AdminClient(Slot),
    /// A descriptor of a sink: the index of the sink, and the generation of the descriptor.
    Sink(u16, Generation),
}

/// The key of a client: its place among the clients of its kind, and the generation that separates
/// it from earlier clients in the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot {
    pub index: u16,
    pub generation: Generation,
}

/// Distinguishes the descriptors that one slot holds one after the other.
///
/// It wraps after 8,192, which is enough: a stale event lives no longer than the turn it came in,
/// and a turn accepts or dials far fewer. With thirteen bits a token fits into a `usize` of 32
/// bits, as on a Raspberry Pi.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Generation(u16);

impl Generation {
    #[must_use]
    pub const fn next(self) -> Self {
        Self((self.0 + 1) & GENERATION_MASK)
    }
}

const GENERATION_BITS: u32 = 13;
const GENERATION_MASK: u16 = (1 << GENERATION_BITS) - 1;
const KIND_SHIFT: u32 = GENERATION_BITS + u16::BITS;

impl From<EventSource> for Token {
    fn from(source: EventSource) -> Self {
        let fixed = Generation::default();
        let (kind, index, generation) = match source {
            EventSource::Signals => (0, 0, fixed),
            EventSource::Datagrams(index) => (1, index, fixed),
            EventSource::Listener(index) => (2, index, fixed),
            EventSource::Connection(Slot { index, generation }) => (3, index, generation),
            EventSource::AdminClient(Slot { index, generation }) => (4, index, generation),
            EventSource::Sink(index, generation) => (5, index, generation),
            EventSource::AdminListener(index) => (6, index, fixed),
        };
        let index = usize::from(index) << GENERATION_BITS;
        Self((kind << KIND_SHIFT) | index | usize::from(generation.0))
    }
}

impl TryFrom<Token> for EventSource {
    type Error = ();

    fn try_from(Token(bits): Token) -> Result<Self, ()> {
        #[allow(clippy::cast_possible_truncation)] // the index is the sixteen bits kept
        let index = (bits >> GENERATION_BITS) as u16;
        #[allow(clippy::cast_possible_truncation)] // masked
        let generation = Generation(bits as u16 & GENERATION_MASK);
        Ok(match bits >> KIND_SHIFT {
            0 => Self::Signals,
            1 => Self::Datagrams(index),
            2 => Self::Listener(index),
            3 => Self::Connection(Slot { index, generation }),
            4 => Self::AdminClient(Slot { index, generation }),
            5 => Self::Sink(index, generation),
            6 => Self::AdminListener(index),
            _ => return Err(()),
        })
    }
}

/// Clients, each under a key that carries a generation.
///
/// Clients come and go within one turn of the loop. An event or a timer for a client that was
/// closed earlier in the same turn must not reach the next client in the same place.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    slab: Slab<(Generation, T)>,
    /// The generation of the newest client.
    newest: Generation,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { slab: Slab::new(), newest: Generation::default() }
    }
}

impl<T> Slots<T> {
    /// Inserts what `make` returns for its key. Fails if `make` fails, or if there are 65,536
    /// clients already.
    pub(crate) fn insert(&mut self, make: impl FnOnce(Slot) -> io::Result<T>) -> io::Result<Slot> {
        let entry = self.slab.vacant_entry();
        let index = u16::try_from(entry.key()).map_err(|_| io::ErrorKind::QuotaExceeded)?;
        let slot = Slot { index, generation: self.newest.next() };
        entry.insert((slot.generation, make(slot)?));
        self.newest = slot.generation;
        Ok(slot)
    }

    /// Returns the client with this key, or `None` if it was removed.
    pub(crate) fn get(&self, slot: Slot) -> Option<&T> {
        let (generation, value) = self.slab.get(slot.index.into())?;
        (*generation == slot.generation).then_some(value)
    }

    /// Returns the client with this key, or `None` if it was removed.
    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        let (generation, value) = self.slab.get_mut(slot.index.into())?;
        (*generation == slot.generation).then_some(value)
    }

    /// Removes a client. Returns `None` if it was removed already.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<T> {
        self.get(slot)?;
        self.slab.try_remove(slot.index.into()).map(|(_, value)| value)
    }

    pub(crate) fn clear(&mut self) {
        self.slab.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// Returns all clients with their keys, in the order of their places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        self.slab.iter().map(|(index, (generation, value))| (slot(index, *generation), value))
    }

    /// As [`iter`](Self::iter).
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Slot, &mut T)> {
        self.slab.iter_mut().map(|(index, (generation, value))| (slot(index, *generation), value))
    }
}

fn slot(index: usize, generation: Generation) -> Slot {
    let index = u16::try_from(index).expect("`insert` refuses greater ones");
    Slot { index, generation }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_survives_the_way_to_a_token_and_back() {
        let newest = Generation(GENERATION_MASK);
        for source in [
            EventSource::Signals,
            EventSource::Datagrams(3),
            EventSource::Listener(1),
            EventSource::AdminListener(2),
            EventSource::Connection(Slot { index: u16::MAX, generation: newest }),
            EventSource::AdminClient(Slot { index: 7, generation: Generation(1) }),
            EventSource::Sink(2, newest.next()),
        ] {
            assert_eq!(EventSource::try_from(Token::from(source)), Ok(source));
        }
    }

    #[test]
    fn a_token_fits_thirty_two_bits() {
        for source in [
            EventSource::Sink(u16::MAX, Generation(GENERATION_MASK)),
            EventSource::AdminListener(u16::MAX),
        ] {
            let Token(bits) = source.into();
            assert!(u32::try_from(bits).is_ok());
        }
    }

    #[test]
    fn a_key_of_an_earlier_occupant_finds_nothing() {
        let mut slots = Slots::default();
        let first = slots.insert(|_| Ok("first")).unwrap();
        assert_eq!(slots.get(first), Some(&"first"));
        assert_eq!(slots.remove(first), Some("first"));
        let second = slots.insert(|slot| Ok(if slot == first { "same" } else { "other" })).unwrap();
        assert_eq!((first.index, slots.get(second)), (second.index, Some(&"other")));
        assert_eq!(slots.get(first), None);
        assert_eq!(slots.get_mut(first), None);
        assert_eq!((slots.remove(first), slots.len()), (None, 1));
    }

    #[test]
    fn a_client_that_cannot_be_made_takes_no_place() {
        let mut slots = Slots::<()>::default();
        assert!(slots.insert(|_| Err(io::ErrorKind::Other.into())).is_err());
        assert!(slots.is_empty() && slots.iter().next().is_none());
    }
}
