//! `delcounters`, `deltimers`, `delgauges` and `delsets`: deletes names one after the other, and
//! the names of a folder (`name.*`) shard by shard.

use super::view::View;
use crate::protocol::MetricKind;
use crate::series::Table;

/// A command that deletes series, in progress.
#[derive(Debug)]
pub(super) struct Delete {
    kind: MetricKind,
    /// The names that are still to be deleted, the next one last.
    names: Vec<Box<[u8]>>,
    folder: Option<NameFolder>,
}

/// A `name.*` whose names are being searched in the table.
#[derive(Debug)]
struct NameFolder {
    pattern: Box<[u8]>,
    shard: usize,
    found: bool,
}

impl NameFolder {
    /// Returns the prefix of the names in the folder, with its dot.
    fn prefix(&self) -> &[u8] {
        &self.pattern[..self.pattern.len() - 1]
    }
}

/// Names deleted in one step.
const BATCH: usize = 256;

impl Delete {
    pub(super) fn new(kind: MetricKind, mut names: Vec<Box<[u8]>>) -> Self {
        names.reverse();
        Self { kind, names, folder: None }
    }

    /// Deletes one name, or a part of a folder. Returns `true` once the answer is complete.
    pub(super) fn step(&mut self, view: &mut View<'_>, out: &mut Vec<u8>) -> bool {
        if let Some(folder) = &mut self.folder {
            if sweep(folder, self.kind, view, out) {
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
        if name.ends_with(b".*") {
            self.folder = Some(NameFolder { pattern: name, shard: 0, found });
        } else if !found {
            say(out, b"metric ", &name, b" not found\n");
        }
        false
    }
}

/// Deletes the names of a folder in a part of the table. Returns `true` at the end of the table.
fn sweep(
    folder: &mut NameFolder,
    kind: MetricKind,
    view: &mut View<'_>,
    out: &mut Vec<u8>,
) -> bool {
    if folder.shard == Table::shards() {
        if !folder.found {
            say(out, b"metric ", &folder.pattern, b" not found\n");
        }
        return true;
    }
    let inside: Vec<Box<[u8]>> = view
        .engine
        .table()
        .in_shard(folder.shard, kind)
        .filter(|(_, name)| name.starts_with(folder.prefix()))
        .map(|(_, name)| name.into())
        .take(BATCH)
        .collect();
    for name in &inside {
        view.delete(kind, name);
        say(out, b"deleted: ", name, b"\n");
    }
    folder.found |= !inside.is_empty();
    if inside.len() < BATCH {
        folder.shard += 1;
    }
    false
}

fn say(out: &mut Vec<u8>, before: &[u8], name: &[u8], after: &[u8]) {
    out.extend_from_slice(before);
    put_escaped(name, out);
    out.extend_from_slice(after);
}

/// Appends a name, with `\x1b` for a control character and for a byte that is not UTF-8. With
/// `sanitize_keys = no` a client could otherwise send commands to the operator's terminal.
fn put_escaped(name: &[u8], out: &mut Vec<u8>) {
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            let mut room = [0; 4];
            let bytes = character.encode_utf8(&mut room).as_bytes();
            if character.is_control() {
                put_hex(bytes, out);
            } else {
                out.extend_from_slice(bytes);
            }
        }
        put_hex(chunk.invalid(), out);
    }
}

fn put_hex(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
    }
}
