//! `senders` and `top senders`: what each sender has sent, and what its clients report about
//! themselves. `bad`: the last bad lines, with their senders.

use super::text::{put_address, put_escaped, put_more, shown_millis, shown_seconds, write};
use super::view::View;
use crate::engine::Engine;
use crate::engine::explain::dropping_rule;
use crate::ledger::{OtherSenders, SenderRecord};
use crate::sender::Sender;
use crate::series::AddError;

/// A list of senders, a few of which are written in each turn: the name of a process is read from
/// `/proc`, and the rule that drops a value is searched among all rules.
#[derive(Debug)]
pub(super) struct SenderList {
    /// The numbers of the senders that are still to be written, the last one first.
    left: Vec<u16>,
    /// The figure that stands before each sender. `None` if all of them follow it.
    figure: Option<SenderFigure>,
    /// The last lines of the list.
    end: Vec<u8>,
}

/// A figure by which senders are ordered.
pub(super) type SenderFigure = fn(&SenderRecord) -> u64;

/// The senders that one step writes. Each takes up to 30 us.
const STEP_SENDERS: usize = 8;

impl SenderList {
    /// The `most` senders with the most lines, and the sum of all others.
    pub(super) fn all(view: &mut View<'_>, most: usize) -> Self {
        let senders = view.server.engine.ledger_mut().count_senders();
        let all = senders.largest(usize::MAX, |record| record.lines);
        let (shown, rest) = all.split_at(most.min(all.len()));
        let mut others = senders.others();
        rest.iter().for_each(|record| others.add_sender(record));
        let mut end = Vec::new();
        if others != Default::default() {
            put_others(&others, &mut end);
        }
        Self { left: shown.iter().rev().map(|record| record.id).collect(), figure: None, end }
    }

    /// The `most` senders with the largest figure, and how many more have one.
    pub(super) fn largest(view: &mut View<'_>, most: usize, figure: SenderFigure) -> Self {
        let mut all = view.server.engine.ledger_mut().count_senders().largest(usize::MAX, figure);
        all.retain(|record| figure(record) > 0);
        let mut end = Vec::new();
        put_more(all.len().saturating_sub(most), &mut end);
        all.truncate(most);
        let left = all.iter().rev().map(|record| record.id).collect();
        Self { left, figure: Some(figure), end }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty() && self.end.is_empty()
    }

    /// Writes some senders. Returns `true` after the last one.
    pub(super) fn step(&mut self, view: &View<'_>, out: &mut Vec<u8>) -> bool {
        for _ in 0..STEP_SENDERS {
            let Some(id) = self.left.pop() else {
                out.append(&mut self.end);
                return true;
            };
            // Another sender may have got its record meanwhile.
            let senders = view.server.engine.ledger().senders();
            let Some(record) = senders.by_id(id) else { continue };
            match self.figure {
                None => put_sender(record, view.server.engine, out),
                Some(figure) => {
                    write(out, format_args!("{} ", figure(record)));
                    put_address(record.sender, out);
                    out.push(b'\n');
                }
            }
        }
        false
    }
}

fn put_others(others: &OtherSenders, out: &mut Vec<u8>) {
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
    let [last, first] = [record.last_seen, record.first_seen].map(shown_seconds);
    write(out, format_args!(" last_seen={last} first_seen={first}"));
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

/// Appends the last `most` bad lines, the oldest first.
pub(super) fn put_bad_lines(view: &View<'_>, most: usize, out: &mut Vec<u8>) {
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
