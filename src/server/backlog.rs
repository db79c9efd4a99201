//! Sources that used up their budget: the poller will not name them again, so the loop remembers them.

use super::token::Source;
use crate::ingest::Drained;

#[derive(Debug, Default)]
pub(super) struct Backlog(Vec<Source>);

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps a source that has more for the next turn.
    pub(super) fn note(&mut self, source: Source, drained: Drained) {
        if drained == Drained::More && !self.0.contains(&source) {
            self.0.push(source);
        }
    }

    /// Appends the sources to be asked again now, in the order they came, and forgets them.
    pub(super) fn move_to(&mut self, sources: &mut Vec<Source>) {
        sources.append(&mut self.0);
    }
}
