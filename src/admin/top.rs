//! `top`: the largest of something.

use super::senders::SenderList;
use super::text::{put_escaped, put_list, put_quoted, write};
use super::view::View;
use crate::engine::NamedGroup;
use crate::ledger::SenderRecord;
use crate::series::Counted;

/// Appends the `most` largest of what `what` names. Returns a list that is still to be written if
/// these are senders.
pub(super) fn put_top(
    view: &mut View<'_>,
    what: &[u8],
    most: usize,
    out: &mut Vec<u8>,
) -> Option<SenderList> {
    let figure: fn(&SenderRecord) -> u64 = match what {
        b"samples" => {
            put_samples(view, most, out);
            return None;
        }
        b"new" => {
            put_new(view, most, out);
            return None;
        }
        b"newest" => {
            put_newest(view, most, out);
            return None;
        }
        b"tags" => {
            put_tags(view, most, out);
            return None;
        }
        b"senders" => |record| record.lines,
        b"bytes" => |record| record.bytes,
        b"bad" => |record| record.bad_lines,
        _ => {
            let known = "samples, new, newest, senders, bad, bytes or tags";
            write(out, format_args!("ERROR WHAT must be {known}\n"));
            return None;
        }
    };
    Some(SenderList::largest(view, most, figure))
}

fn put_samples(view: &View<'_>, most: usize, out: &mut Vec<u8>) {
    let top = view.server.engine.table().top().samples(most);
    put_list(top.counts.iter(), top.more, out, |counted, out| {
        put_counted(counted, out);
        write(out, format_args!(" {}\n", counted.label.name()));
    });
    put_error(top.too_low, out);
}

/// The prefixes with the most new series. The newest series is named after them: a misspelt name
/// has a prefix with few.
fn put_new(view: &mut View<'_>, most: usize, out: &mut Vec<u8>) {
    let table = view.server.engine.table();
    let top = table.top().prefixes(most);
    put_list(top.counts.iter(), top.more, out, |counted, out| {
        put_counted(counted, out);
        out.push(b'\n');
    });
    if let Some(new) = table.newest_prefixes().0.first() {
        out.extend_from_slice(b"newest ");
        put_escaped(&new.newest, out);
        write(out, format_args!(" flushes_ago={}; top newest shows more\n", new.flushes));
    }
    put_error(top.too_low, out);
    put_largest_group(view, out);
}

/// The prefixes that got a new series last, the newest first.
fn put_newest(view: &mut View<'_>, most: usize, out: &mut Vec<u8>) {
    let (prefixes, too_low) = view.server.engine.table().newest_prefixes();
    let more = prefixes.len().saturating_sub(most);
    put_list(prefixes.iter().take(most), more, out, |new, out| {
        write(out, format_args!("{} ", new.count));
        put_escaped(&new.prefix, out);
        out.extend_from_slice(b" newest=");
        put_quoted(&new.newest, out);
        write(out, format_args!(" flushes_ago={}\n", new.flushes));
    });
    put_error(too_low, out);
    put_largest_group(view, out);
}

/// Appends the sender or prefix that fills the table, if the table refuses its names.
fn put_largest_group(view: &mut View<'_>, out: &mut Vec<u8>) {
    let Some(NamedGroup { group, sender }) = view.server.engine.largest_group() else { return };
    write(
        out,
        format_args!(
            "the table of series is full: {} % of its {} are of ",
            group.percent, group.of
        ),
    );
    match &group.prefix {
        Some(prefix) => {
            put_escaped(prefix, out);
            write(out, format_args!(", sent by {sender}"));
        }
        None => write(out, format_args!("{sender}")),
    }
    out.extend_from_slice(b", such as ");
    put_escaped(&group.example, out);
    let remedy =
        "fix that program, drop its names by a rule, or raise [limits] max_series or series_memory";
    write(out, format_args!("; {remedy}\n"));
}

fn put_tags(view: &View<'_>, most: usize, out: &mut Vec<u8>) {
    let top = view.server.engine.table().top().tags(usize::MAX);
    put_list(top.iter().take(most), top.len().saturating_sub(most), out, |tag, out| {
        write(out, format_args!("{} ", tag.values));
        put_escaped(&tag.key, out);
        out.push(b'\n');
    });
    if top.iter().any(|tag| tag.is_estimate) {
        write(out, format_args!("numbers over 200 are estimates, within about 3 %\n"));
    }
}

fn put_counted<L>(counted: &Counted<L>, out: &mut Vec<u8>) {
    write(out, format_args!("{} ", counted.count));
    put_escaped(&counted.name, out);
}

/// Appends by how much a count may be too low, unless all are exact.
fn put_error(too_low: u64, out: &mut Vec<u8>) {
    if too_low > 0 {
        write(out, format_args!("counts may be too low by up to {too_low}\n"));
    }
}
