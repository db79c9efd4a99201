//! `top`: the largest of something.

use super::senders::put_largest;
use super::text::write;
use super::view::View;
use crate::ledger::SenderRecord;

/// Appends the `most` largest of what `what` names.
pub(super) fn put_top(view: &mut View<'_>, what: &[u8], most: usize, out: &mut Vec<u8>) {
    let figure: fn(&SenderRecord) -> u64 = match what {
        b"senders" => |record| record.lines,
        b"bytes" => |record| record.bytes,
        b"bad" => |record| record.bad_lines,
        _ => return write(out, format_args!("WHAT must be senders, bytes or bad\n")),
    };
    put_largest(view.engine.ledger().senders(), most, figure, out);
}
