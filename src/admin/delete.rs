//! `delcounters`, `deltimers`, `delgauges` and `delsets`: deletes names one after the other, and
//! the names of a folder (`name.*`) in their order.

use super::sorted::SortedNames;
use super::text::put_escaped;
use super::view::View;
use crate::protocol::MetricKind;

/// A command that deletes series, in progress.
#[derive(Debug)]
pub(super) struct Delete {
    kind: MetricKind,
    /// The names that are still to be deleted, the next one last.
    names: Vec<Box<[u8]>>,
    folder: Option<NameFolder>,
}

/// A `name.*` whose names are being deleted.
#[derive(Debug)]
struct NameFolder {
    pattern: Box<[u8]>,
    names: SortedNames,
    found: bool,
}

/// Names deleted in one step.
const BATCH: usize = 256;

impl Delete {
    pub(super) fn new(kind: MetricKind, mut names: Vec<Box<[u8]>>) -> Self {
        names.reverse();
        Self { kind, names, folder: None }
    }

    /// Whether the deletion holds memory for every series of a folder.
    pub(super) fn is_begun(&self) -> bool {
        self.folder.as_ref().is_some_and(|folder| folder.names.is_begun())
    }

    /// The bytes that the walk over a folder, and the names, hold.
    pub(super) fn bytes(&self) -> usize {
        let names: usize = self.names.iter().map(|name| name.len() + size_of_val(name)).sum();
        names + self.folder.as_ref().map_or(0, |folder| folder.names.bytes())
    }

    /// Whether the next step would allocate memory for every series of a folder.
    pub(super) fn is_about_to_begin(&self) -> bool {
        self.folder.as_ref().is_some_and(|folder| !folder.names.is_begun())
    }

    /// Frees the memory for a folder. A later step searches the folder again, and does not find
    /// names that were deleted.
    pub(super) fn pause(&mut self) {
        if let Some(folder) = &mut self.folder {
            folder.names.restart();
        }
    }

    /// Deletes one name, or a part of a folder. Returns `true` once the answer is complete.
    pub(super) fn step(&mut self, view: &mut View<'_>, out: &mut Vec<u8>) -> bool {
        if let Some(folder) = &mut self.folder {
            if folder.step(self.kind, view, out) {
                self.folder = None;
            }
            return false;
        }
        let Some(name) = self.names.pop() else {
            out.extend_from_slice(b"END\n\n");
            return true;
        };
        let found = view.delete(self.kind, &name);
        if found {
            say(out, b"deleted: ", &name, b"\n");
        }
        if let Some(prefix) = name.strip_suffix(b"*").filter(|prefix| prefix.ends_with(b".")) {
            let names = SortedNames::new(self.kind, prefix.into());
            self.folder = Some(NameFolder { pattern: name, names, found });
        } else if !found {
            say(out, b"metric ", &name, b" not found\n");
        }
        false
    }
}

impl NameFolder {
    /// Sorts a part of the names, or deletes some of them. Returns `true` once all are deleted.
    fn step(&mut self, kind: MetricKind, view: &mut View<'_>, out: &mut Vec<u8>) -> bool {
        if !self.names.sort(view.server.engine.table_mut(), None) {
            return false;
        }
        for _ in 0..BATCH {
            let Some(next) = self.names.next(view.server.engine.table_mut()) else {
                if !self.found {
                    say(out, b"metric ", &self.pattern, b" not found\n");
                }
                return true;
            };
            if view.delete(kind, &next.name) {
                say(out, b"deleted: ", &next.name, b"\n");
                self.found = true;
            }
        }
        false
    }
}

fn say(out: &mut Vec<u8>, before: &[u8], name: &[u8], after: &[u8]) {
    out.extend_from_slice(before);
    put_escaped(name, out);
    out.extend_from_slice(after);
}
