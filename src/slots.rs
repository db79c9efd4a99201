//! A slab in which every key carries a generation, so that a key of an earlier occupant finds
//! nothing.
//!
//! Clients come and go within one turn of the loop. An event or a timer for a client that was
//! closed earlier in the same turn must not reach the next client in the same place.

use std::io;

use slab::Slab;

use crate::token::{Generation, Slot};

/// Clients, each under a key of its own.
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

    /// All clients with their keys, in the order of their places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        self.slab.iter().map(|(index, (generation, value))| (slot(index, *generation), value))
    }

    /// All clients with their keys, in the order of their places.
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
