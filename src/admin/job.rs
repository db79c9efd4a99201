//! Work that a command leaves for the turns to come.

use super::delete::Delete;
use super::dump::Dump;
use super::view::View;

#[derive(Debug)]
pub(super) enum Job {
    Dump(Box<Dump>),
    Delete(Box<Delete>),
}

impl Job {
    /// Whether it holds memory for every series.
    pub(super) fn is_dumping(&self) -> bool {
        matches!(self, Self::Dump(dump) if dump.is_begun())
    }

    /// Frees the memory that a dump holds. It begins again later, where it stopped.
    pub(super) fn pause(&mut self) {
        if let Self::Dump(dump) = self {
            dump.pause();
        }
    }

    /// Whether it may begin while so many others are at it.
    pub(super) fn may_go_on(&self, may_dump: bool) -> bool {
        may_dump || !matches!(self, Self::Dump(dump) if !dump.is_begun())
    }

    /// Goes on for a while, appending to `out`; true once all of the answer is there.
    pub(super) fn step(&mut self, view: &mut View<'_>, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Dump(dump) => dump.step(view, out),
            Self::Delete(delete) => delete.step(view, out),
        }
    }
}
