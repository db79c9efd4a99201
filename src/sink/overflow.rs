//! [`OverflowReport`]: logs when a queue is full and when it is empty again, and the events of its
//! spool.

use std::mem;
use std::rc::Rc;

use super::advice::Advice;
use super::outage::ONE_A_MINUTE;
use super::outbox::Outbox;
use crate::time::Tick;

/// Counts of lines that did not fit the queue, at one moment. The difference of two of them shows
/// what has happened in between.
#[derive(Clone, Copy, Debug)]
pub(super) struct OverflowCounts {
    pub(super) dropped_lines: u64,
    pub(super) displaced_lines: u64,
    pub(super) spooled_lines: u64,
}

impl OverflowCounts {
    pub(super) fn of(outbox: &Outbox) -> Self {
        let tally = outbox.tally();
        Self {
            dropped_lines: tally.dropped_lines,
            displaced_lines: tally.displaced_lines,
            spooled_lines: outbox.spool().map_or(0, |spool| spool.tally().saved_lines),
        }
    }
}

/// Logs the start and the end of each overflow of one queue.
#[derive(Debug)]
pub(super) struct OverflowReport {
    sink: String,
    advice: Rc<Advice>,
    /// The counts before the overflow. `None` once all chunks are delivered.
    pub(super) current: Option<OverflowCounts>,
    /// When the log last showed how many lines were dropped, and their number until then.
    shown: Option<(Tick, u64)>,
    /// The warning was logged that the queue is too small for the flushes it should retain.
    is_short: bool,
}

impl OverflowReport {
    pub(super) fn new(sink: &str, advice: Rc<Advice>) -> Self {
        Self { sink: sink.into(), advice, current: None, shown: None, is_short: false }
    }

    /// Notes that the queue may have another size. If it is too small again, that is logged again.
    pub(super) fn note_reconfigured(&mut self) {
        self.is_short = false;
    }

    /// Logs the start of an overflow: chunks were spilled or dropped since the counts `before`.
    /// Logs nothing while an overflow that was logged lasts.
    pub(super) fn note_growth(&mut self, before: OverflowCounts, outbox: &mut Outbox) {
        self.log_spool_events(outbox);
        let now = OverflowCounts::of(outbox);
        let held = outbox.held_bytes();
        let name = &self.sink;
        let displaced = now.displaced_lines > before.displaced_lines;
        if displaced && !mem::replace(&mut self.is_short, true) {
            log::warn!(
                sink = name,
                queue = "short",
                held_bytes = held,
                reason = "the queue has no room for resend_keep flushes",
                hint = self.advice.on_short_queue();
                "delivered flushes were removed before their time"
            );
        }
        let dropped = now.dropped_lines > before.dropped_lines;
        let spooled = now.spooled_lines > before.spooled_lines;
        if self.current.is_some() || !(dropped || spooled) {
            return;
        }
        self.current = Some(before);
        match outbox.spool() {
            Some(spool) => {
                log::info!(
                    sink = name,
                    queue = "full",
                    held_bytes = held,
                    spool = spool.location();
                    "the queue is full, and its oldest chunks are moved to the spool"
                );
            }
            None => log::warn!(
                sink = name,
                queue = "full",
                held_bytes = held,
                dropping = "oldest",
                hint = self.advice.on_full_queue();
                "the queue is full, and the oldest chunks are dropped"
            ),
        }
    }

    /// Logs the end of an overflow if the queue and the spool are empty. Before that, logs once a
    /// minute how many lines were dropped.
    pub(super) fn note_progress(&mut self, outbox: &Outbox, now: Tick) {
        let Some(before) = self.current else { return };
        if !outbox.is_drained() || outbox.has_spooled() {
            return self.show_dropped(before.dropped_lines, outbox, now);
        }
        self.current = None;
        self.shown = None;
        let now = OverflowCounts::of(outbox);
        log::info!(
            sink = self.sink,
            queue = "drained",
            spooled_lines = now.spooled_lines - before.spooled_lines,
            dropped_lines = now.dropped_lines - before.dropped_lines;
            "the queue is empty again"
        );
    }

    /// Logs how many lines were dropped since the last such line, at most once a minute. `before`
    /// is the number before the overflow.
    fn show_dropped(&mut self, before: u64, outbox: &Outbox, now: Tick) {
        let (at, shown) = *self.shown.get_or_insert((now, before));
        let dropped = outbox.tally().dropped_lines;
        if dropped == shown || now - at < ONE_A_MINUTE {
            return;
        }
        self.shown = Some((now, dropped));
        let hint = match outbox.spool() {
            Some(_) => self.advice.on_full_spool(),
            None => self.advice.on_full_queue(),
        };
        log::warn!(
            sink = self.sink,
            queue = "full",
            held_bytes = outbox.held_bytes(),
            dropped_lines = dropped - shown,
            hint;
            "the queue is still full, and lines are dropped"
        );
    }

    /// Logs the events of the spool in the order in which they happened.
    pub(super) fn log_spool_events(&self, outbox: &mut Outbox) {
        let Some(spool) = outbox.spool_mut() else { return };
        let events = spool.take_events();
        if events.is_empty() {
            return;
        }
        let location = spool.location();
        events.iter().for_each(|event| event.log(&self.sink, &location));
    }
}
