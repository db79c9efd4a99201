//! The lines that wait for one watching client, and what it misses of them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use super::filter::WatchFilter;
use crate::admin::text::write;
use crate::time::Tick;

/// The lines that a client has not read yet.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) filter: WatchFilter,
    queue: VecDeque<Box<[u8]>>,
    queued_bytes: usize,
    /// Lines that were taken for it, and whose text is not made yet.
    pub(super) pending: usize,
    /// Wanted lines that the sampling left out.
    pub(super) not_sampled: u64,
    /// Lines that found the queue full.
    not_read: u64,
    /// The watch is ending: no further line is wanted.
    is_ending: bool,
}

/// What is queued for one client. Its unsent output comes on top.
pub(super) const QUEUE_BYTES_MAX: usize = 64 * 1024;

/// The time between two reports of missed lines.
const REPORT_EVERY: Duration = Duration::from_secs(1);

impl Watcher {
    pub(super) fn new(filter: WatchFilter) -> Self {
        Self {
            filter,
            queue: VecDeque::new(),
            queued_bytes: 0,
            pending: 0,
            not_sampled: 0,
            not_read: 0,
            is_ending: false,
        }
    }

    pub(super) fn is_ending(&self) -> bool {
        self.is_ending
    }

    /// Queues the text of a line.
    pub(super) fn push(&mut self, text: &[u8]) {
        if self.queued_bytes + text.len() > QUEUE_BYTES_MAX {
            self.not_read += 1;
        } else {
            self.queued_bytes += text.len();
            self.queue.push_back(text.into());
        }
    }

    /// The lines that were left out since the last report.
    fn missed(&self) -> u64 {
        self.not_sampled + self.not_read
    }
}

/// The watch of one client. It ends when this is dropped.
#[derive(Debug)]
pub(in crate::admin) struct WatchJob {
    watcher: Rc<RefCell<Watcher>>,
    /// When missed lines were last reported.
    reported: Tick,
}

impl WatchJob {
    pub(super) fn new(watcher: Rc<RefCell<Watcher>>, now: Tick) -> Self {
        Self { watcher, reported: now }
    }

    /// Whether there is something to show.
    pub(in crate::admin) fn has_news(&self, now: Tick) -> bool {
        let watcher = self.watcher.borrow();
        let may_end = watcher.is_ending && watcher.pending == 0;
        may_end || !watcher.queue.is_empty() || (watcher.missed() > 0 && self.is_report_due(now))
    }

    fn is_report_due(&self, now: Tick) -> bool {
        self.reported + REPORT_EVERY <= now
    }

    /// Begins to end the watch. Returns `false` if lines that were taken for the client are still
    /// to be shown. The caller must then try again.
    pub(in crate::admin) fn end(&mut self, out: &mut Vec<u8>) -> bool {
        let mut watcher = self.watcher.borrow_mut();
        watcher.is_ending = true;
        if watcher.pending > 0 {
            return false;
        }
        drop(watcher);
        self.step(Tick::NEVER, out);
        true
    }

    /// Moves queued lines to `out`, and reports missed ones. Returns `false` if there was nothing
    /// to do.
    pub(in crate::admin) fn step(&mut self, now: Tick, out: &mut Vec<u8>) -> bool {
        let mut watcher = self.watcher.borrow_mut();
        let missed = watcher.missed();
        let is_due = missed > 0 && self.is_report_due(now);
        if watcher.queue.is_empty() && !is_due {
            return false;
        }
        for text in watcher.queue.drain(..) {
            out.extend_from_slice(&text);
        }
        watcher.queued_bytes = 0;
        if is_due {
            self.reported = now;
            let not_sampled = std::mem::take(&mut watcher.not_sampled);
            let not_read = std::mem::take(&mut watcher.not_read);
            write(
                out,
                format_args!("missed={missed} not_sampled={not_sampled} not_read={not_read}\n"),
            );
        }
        true
    }
}
