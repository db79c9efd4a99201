//! [`Sinks`]: the sinks of all destinations.

use std::rc::Rc;

use slab::Slab;

use super::sink::{Feed, LostLines, Sink};
use crate::encode::chunk::Chunk;

/// The most sinks, including those that are being removed. The loop visits each of them in every
/// turn.
const SINKS_MAX: usize = 80;

/// All sinks. Each has an index that never changes and that its tokens carry.
#[derive(Debug, Default)]
pub struct Sinks {
    all: Slab<Sink>,
    /// The counts of removed sinks.
    removed: LostLines,
}

impl Sinks {
    /// Whether `more` sinks may be added. Each reload may add 16 destinations with new names, while
    /// the sinks of removed destinations stay until they have delivered or spilled their chunks.
    /// Without a bound, frequent reloads could pile up sinks.
    pub fn have_room_for(&self, more: usize) -> bool {
        self.all.len() + more <= SINKS_MAX
    }

    /// Adds the sink that `make` returns for its index. There must be [room](Self::have_room_for).
    pub fn add(&mut self, make: impl FnOnce(u16) -> Sink) -> &mut Sink {
        let entry = self.all.vacant_entry();
        let index = u16::try_from(entry.key()).expect("there are few of them");
        entry.insert(make(index))
    }

    /// Drops a sink, and keeps its counts of lost lines. The index may be used again.
    pub fn remove(&mut self, index: u16) {
        if let Some(sink) = self.all.try_remove(index.into()) {
            self.removed += sink.lost_lines();
        }
    }

    /// Returns the sums of all sinks since the start, including those that were removed.
    pub fn lost_lines(&self) -> LostLines {
        let mut sum = self.removed;
        self.iter().for_each(|sink| sum += sink.lost_lines());
        sum
    }

    /// Reaps an ended child of this process if one of the sinks started it. Returns whether one
    /// did.
    pub fn note_exit(&mut self, child: u32) -> bool {
        self.iter_mut().any(|sink| sink.note_exit(child))
    }

    /// Queues a chunk in every sink that takes this feed.
    pub fn push(&mut self, feed: Feed, chunk: &Rc<Chunk>) {
        for sink in self.iter_mut().filter(|sink| sink.takes(feed)) {
            sink.push(Rc::clone(chunk));
        }
    }

    /// If all spools together have more than `max_size` bytes, drops the oldest segment of the
    /// largest one. It has more than its share then: it had more before the share was set, and the
    /// other spools need the room now. Returns whether to call this again in the next turn. To
    /// remove many files at once would block the loop.
    pub fn bound_spools(&mut self, max_size: u64) -> bool {
        if self.iter().map(Sink::spool_bytes).sum::<u64>() <= max_size {
            return false;
        }
        let largest = self.iter_mut().max_by_key(|sink| sink.spool_bytes());
        largest.is_some_and(Sink::shrink_spool)
    }

    pub fn at(&mut self, index: u16) -> Option<&mut Sink> {
        self.all.get_mut(index.into())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Sink> {
        self.all.iter().map(|(_, sink)| sink)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Sink> {
        self.all.iter_mut().map(|(_, sink)| sink)
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns a bound: all indices in use are below it. Some indices below it may be free.
    pub fn index_limit(&self) -> u16 {
        u16::try_from(self.all.capacity()).unwrap_or(u16::MAX)
    }
}
