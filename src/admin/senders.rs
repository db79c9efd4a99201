//! `senders`: what each sender has sent, and what its clients report about themselves. `bad`: the
//! last bad lines, with their senders.

use super::text::{put_address, put_escaped, shown_millis, shown_seconds, write};
use super::view::View;
use crate::engine::Engine;
use crate::engine::explain::dropping_rule;
use crate::ledger::{SenderRecord, Senders};
use crate::sender::Sender;
use crate::series::AddError;

/// Appends a line for each of the `most` senders with the most lines, and one for all others.
pub(super) fn put_senders(view: &mut View<'_>, most: usize, out: &mut Vec<u8>) {
    view.server.engine.ledger().senders(); // adds up what was counted so far
    let senders = view.server.engine.read_ledger().read_senders();
    let all = senders.largest(usize::MAX, |record| record.lines);
    let (shown, rest) = all.split_at(most.min(all.len()));
    shown.iter().for_each(|record| put_sender(record, view.server.engine, out));
    let mut others = senders.others();
    rest.iter().for_each(|record| others.add_sender(record));
    if others == Default::default() {
        return;
    }
    write(
        out,
        format_args!(
            "others senders={} packets={} lines={} bytes={} bad_lines={} series={} refused={}\n",
            others.senders,
            others.packets,
            others.lines,
            others.bytes,
            others.bad_lines,
            others.series_created,
            others.values_refused,
        ),
    );
}

fn put_sender(record: &SenderRecord, engine: &Engine, out: &mut Vec<u8>) {
    put_address(record.sender, out);
    let SenderRecord { packets, lines, bytes, bad_lines, .. } = record;
    write(
        out,
        format_args!(" packets={packets} lines={lines} bytes={bytes} bad_lines={bad_lines}"),
    );
    if let Some(reason) = record.commonest_reason {
        write(out, format_args!(" bad_reason=\"{reason}\""));
    }
    let SenderRecord { series_created, values_refused, .. } = record;
    write(out, format_args!(" series={series_created} refused={values_refused}"));
    if let Some(reason) = refusal_of(record, engine) {
        write(out, format_args!(" refused_reason={reason:?}"));
    }
    write(out, format_args!(" last_seen={}", shown_seconds(record.last_seen)));
    if let Some(reported) = record.reported {
        write(out, format_args!(" {reported}"));
    }
    out.push(b'\n');
}

/// Returns why one of the last values of a sender was dropped: the rule, or the limit.
pub(super) fn refusal_of(record: &SenderRecord, engine: &Engine) -> Option<String> {
    let (error, line) = record.refusal.as_ref()?;
    if !matches!(error, AddError::ByRule(_)) {
        return Some(error.to_string());
    }
    let rule = dropping_rule(engine, line);
    Some(rule.map_or_else(|| error.to_string(), |rule| format!("dropped by [rule.{rule}]")))
}

/// Appends the `most` senders with the largest figure, as lines of the figure and the sender.
/// Returns how many more there are.
pub(super) fn put_largest(
    senders: &Senders,
    most: usize,
    figure: fn(&SenderRecord) -> u64,
    out: &mut Vec<u8>,
) -> usize {
    let mut largest = senders.largest(usize::MAX, figure);
    largest.retain(|record| figure(record) > 0);
    for record in largest.iter().take(most) {
        write(out, format_args!("{} ", figure(record)));
        put_address(record.sender, out);
        out.push(b'\n');
    }
    largest.len().saturating_sub(most)
}

/// Appends the last `most` bad lines, the oldest first.
pub(super) fn put_bad_lines(view: &mut View<'_>, most: usize, out: &mut Vec<u8>) {
    for bad in view.server.engine.ledger().bad_lines().last(most) {
        let time = shown_millis(bad.time);
        write(out, format_args!("{time} {} {}: ", ShownSender(bad.sender), bad.reason));
        put_escaped(&bad.line, out);
        out.extend_from_slice(if bad.is_cut { b"...\n" } else { b"\n" });
    }
}

/// A sender, with the user of a process.
struct ShownSender(Sender);

impl std::fmt::Display for ShownSender {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(out)?;
        match self.0 {
            Sender::UnixProcess { user, .. } => write!(out, " user={user}"),
            _ => Ok(()),
        }
    }
}
