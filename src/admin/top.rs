//! `top`: the largest of something.

use super::senders::put_largest;
use super::text::{put_escaped, write};
use super::view::View;
use crate::engine::NamedCrowd;
use crate::ledger::SenderRecord;
use crate::protocol::MetricKind;
use crate::series::Counted;

/// Appends the `most` largest of what `what` names.
pub(super) fn put_top(view: &mut View<'_>, what: &[u8], most: usize, out: &mut Vec<u8>) {
    let figure: fn(&SenderRecord) -> u64 = match what {
        b"samples" => return put_samples(view, most, out),
        b"new" => return put_new(view, most, out),
        b"tags" => return put_tags(view, most, out),
        b"senders" => |record| record.lines,
        b"bytes" => |record| record.bytes,
        b"bad" => |record| record.bad_lines,
        _ => {
            let known = "samples, new, senders, bad, bytes or tags";
            return write(out, format_args!("ERROR WHAT must be {known}\n"));
        }
    };
    put_largest(view.engine.ledger().senders(), most, figure, out);
}

fn put_samples(view: &View<'_>, most: usize, out: &mut Vec<u8>) {
    let top = view.engine.table().top_samples(most);
    for counted in &top.counts {
        put_counted(counted, out);
        let kind = match counted.label {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Timing => "timer",
            MetricKind::Set => "set",
        };
        write(out, format_args!(" {kind}\n"));
    }
    put_error(top.too_low, out);
}

fn put_new(view: &mut View<'_>, most: usize, out: &mut Vec<u8>) {
    let top = view.engine.table().top_new(most);
    for counted in &top.counts {
        put_counted(counted, out);
        out.push(b'\n');
    }
    put_error(top.too_low, out);
    let Some(NamedCrowd { crowd, sender }) = view.engine.crowd() else { return };
    write(out, format_args!("max_series is reached: {} % of the series are of ", crowd.percent()));
    match &crowd.prefix {
        Some(prefix) => {
            put_escaped(prefix, out);
            write(out, format_args!(", sent by {sender}"));
        }
        None => write(out, format_args!("{sender}")),
    }
    out.extend_from_slice(b", such as ");
    put_escaped(&crowd.example, out);
    out.push(b'\n');
}

fn put_tags(view: &View<'_>, most: usize, out: &mut Vec<u8>) {
    let top = view.engine.table().top_tags(most);
    for tag in &top {
        write(out, format_args!("{} ", tag.values));
        put_escaped(&tag.key, out);
        out.push(b'\n');
    }
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
