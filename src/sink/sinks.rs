//! All sinks, each with an index that its tokens carry and that does not change.

use std::rc::Rc;

use slab::Slab;

use super::sink::{Feed, Sink};
use crate::encode::chunk::Chunk;

/// The most sinks, including those that are being removed. The loop visits each of them in every
/// turn.
const SINKS_MAX: usize = 80;

#[derive(Debug, Default)]
pub struct Sinks(Slab<Sink>);

impl Sinks {
    /// Whether `more` sinks may be added. Each reload may add 16 destinations with new names,
    /// while the old ones stay until they have delivered their data.
    pub fn have_room_for(&self, more: usize) -> bool {
        self.0.len() + more <= SINKS_MAX
    }

    /// Adds the sink that `make` returns for its index. There must be [room](Self::have_room_for).
    pub fn add(&mut self, make: impl FnOnce(u16) -> Sink) -> &mut Sink {
        let entry = self.0.vacant_entry();
        let index = u16::try_from(entry.key()).expect("there are few of them");
        entry.insert(make(index))
    }

    pub fn remove(&mut self, index: u16) {
        self.0.try_remove(index.into());
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

    pub fn by_name(&mut self, name: &str) -> Option<&mut Sink> {
        self.iter_mut().find(|sink| sink.name() == name)
    }

    pub fn at(&mut self, index: u16) -> Option<&mut Sink> {
        self.0.get_mut(index.into())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Sink> {
        self.0.iter().map(|(_, sink)| sink)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Sink> {
        self.0.iter_mut().map(|(_, sink)| sink)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All indices in use are below.
    pub fn end(&self) -> u16 {
        u16::try_from(self.0.capacity()).unwrap_or(u16::MAX)
    }
}
