//! `watch`: shows lines to admin clients while they arrive. `senders GLOB`: counts them by sender.
//!
//! ```text
//!  a piece of input ──▶ Watch::lines ─┬─ most lines ───────────────────▶ Engine
//!                           │         └─ a line that is wanted ────────▶ Engine, alone
//!                           ▼                    │ the line, its counters
//!              SenderCounts of each              ▼
//!              `senders GLOB`          pending lines
//!                                                │ explained, a few in a turn
//!                                                ▼
//!                                      queue of each watcher ──▶ output, by a step of its client
//! ```
//! While no client watches, a piece of input costs one test. While one watches, at most
//! [`sampler::PER_SECOND`] lines a second are explained, at most [`PER_TURN`] in a turn, and each
//! queue is bounded. The rest is counted, and shown as `missed`. Input never waits for a watch.

mod filter;
mod queue;
mod sampler;
mod sender_counts;
mod shown_line;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use filter::{LinePreview, MadeNames, PreviewedLine};
use queue::Watcher;
use sampler::Sampler;
use sender_counts::SenderCounts;
use shown_line::{LineCounts, ShownLine, overlong_text};

use crate::encode::encoders::Encoders;
use crate::encode::sent_names::NameEncoders;
use crate::engine::Engine;
use crate::policy::Glob;
use crate::protocol::{MetricKind, first_piece, is_binary, trimmed};
use crate::sender::Sender;
use crate::sink::Sinks;
use crate::time::{Now, Tick};

pub(super) use filter::WatchFilter;
pub(super) use queue::WatchJob;
pub(super) use sender_counts::SenderCountJob;

/// The clients that watch, and what they share.
///
/// A watcher is shared with the job of its client: lines are queued on one side and read on the
/// other. The job is dropped with the client, wherever that happens. The number of references then
/// shows that the client has left, so no path that closes a client has to report it here.
#[derive(Debug, Default)]
pub struct Watch {
    watchers: Vec<Rc<RefCell<Watcher>>>,
    /// The counts of `senders GLOB`, each until its answer begins.
    counts: Vec<Rc<RefCell<SenderCounts>>>,
    preview: Option<LinePreview>,
    made: MadeNames,
    names: Option<NameEncoders>,
    sampler: Sampler,
    /// Lines that were taken in, the first one first, with the clients that want them.
    pending: VecDeque<(ShownLine, Vec<Rc<RefCell<Watcher>>>)>,
    pending_bytes: usize,
    now: Now,
}

/// The lines that are explained in a turn. Each takes about 70 us, and all clients together have
/// half a millisecond of a turn.
const PER_TURN: usize = 4;

/// The pending lines. With more, lines are missed.
const PENDING_MAX: usize = sampler::BURST as usize;
const PENDING_BYTES_MAX: usize = 1 << 20;

/// The clients that may count lines at the same time.
const COUNTS_MAX: usize = 8;

impl Watch {
    /// Whether a client watches or counts.
    #[inline]
    pub fn is_on(&self) -> bool {
        !(self.watchers.is_empty() && self.counts.is_empty())
    }

    /// Begins a turn of the loop. Forgets the clients that have left.
    pub(super) fn begin_turn(&mut self, now: Now) {
        if self.is_on() {
            self.watchers.retain(|watcher| Rc::strong_count(watcher) > 1);
            self.counts.retain(|counts| Rc::strong_count(counts) > 1);
            if !self.is_on() {
                *self = Self::default(); // free the memory
            }
        }
        self.now = now;
        self.sampler.advance(now.tick);
    }

    /// Forgets what depends on the configuration.
    pub fn reconfigure(&mut self) {
        self.preview = None;
        self.made = MadeNames::default();
        self.names = None;
    }

    /// Adds a client that watches.
    pub(super) fn add(&mut self, filter: WatchFilter) -> WatchJob {
        let watcher = Rc::new(RefCell::new(Watcher::new(filter)));
        self.watchers.push(Rc::clone(&watcher));
        WatchJob::new(watcher, self.now.tick)
    }

    /// Adds a client that counts the lines of a name by their senders, until `end`. Returns `None`
    /// if there are too many.
    pub(super) fn count(&mut self, glob: Glob, end: Tick) -> Option<SenderCountJob> {
        if self.counts.len() >= COUNTS_MAX {
            return None;
        }
        let counts = Rc::new(RefCell::new(SenderCounts::new(glob)));
        self.counts.push(Rc::clone(&counts));
        Some(SenderCountJob::new(counts, end))
    }

    /// Takes in lines as [`Engine::lines_up_to`] does, and notes those that clients want.
    pub fn lines<'a>(&mut self, engine: &mut Engine, text: &'a [u8], share: usize) -> &'a [u8] {
        let enough = text.len().saturating_sub(share);
        let mut untaken = text;
        let mut rest = text;
        while rest.len() > enough {
            let (piece, after) = first_piece(rest);
            let wanted = match trimmed(piece) {
                b"" => Wanted::default(),
                _ => self.wants(engine, piece),
            };
            if wanted.is_by_a_client() {
                let before = untaken.len() - rest.len();
                if before > 0 {
                    engine.lines(&untaken[..before]);
                }
                self.take(engine, piece, wanted);
                untaken = after;
            }
            rest = after;
        }
        let last = untaken.len() - rest.len();
        if last > 0 {
            engine.lines(&untaken[..last]);
        }
        rest
    }

    /// Takes in a binary message as [`Engine::binary`] does, and notes it if clients want it.
    pub fn binary(&mut self, engine: &mut Engine, message: &[u8]) {
        let wanted = self.wants(engine, message);
        if wanted.is_by_a_client() {
            self.take(engine, message, wanted);
        } else {
            engine.binary(message);
        }
    }

    /// Shows that a line was refused because it is too long. `start` is its beginning.
    pub fn overlong(&mut self, engine: &mut Engine, start: &[u8]) {
        let sender = engine.ledger().sender();
        let wants =
            |watcher: &Watcher| watcher.filter.wants_sender(sender) && !watcher.filter.has_glob();
        let watchers = self.sample(sender, wants);
        if watchers.is_empty() {
            return;
        }
        let text = overlong_text(self.now.unix, sender, start);
        watchers.iter().for_each(|watcher| watcher.borrow_mut().push(&text));
    }

    /// Counts a line for `senders GLOB`. Returns the clients that get to see it.
    fn wants(&mut self, engine: &Engine, piece: &[u8]) -> Wanted {
        let sender = engine.ledger().sender();
        let is_read = |known: &Rc<RefCell<Watcher>>| known.borrow().filter.reads_lines();
        if self.counts.is_empty() && !self.watchers.iter().any(is_read) {
            let watchers = self.sample(sender, |watcher| watcher.filter.wants_sender(sender));
            return Wanted { watchers, if_bad: WatcherList::new() };
        }
        let mut preview = self.preview.take().unwrap_or_else(|| LinePreview::new(engine));
        let line = preview.read(piece);
        let made_names = std::mem::take(&mut self.made);
        let made = |name: &[u8]| made_names.of(engine.table(), name);
        for counts in &self.counts {
            let dropping_rule = |name: &[u8]| engine.table().rules_of(name).dropped_by;
            counts.borrow_mut().add(sender, &line, &made, dropping_rule, self.now.unix);
        }
        let may_want = |watcher: &Watcher, only_bad: bool| {
            let filter = &watcher.filter;
            filter.is_only_bad() == only_bad
                && filter.wants_sender(sender)
                && filter.may_want(&line, &made)
        };
        let watchers = self.sample(sender, |watcher| may_want(watcher, false));
        let wants_bad = |known: &&Rc<RefCell<Watcher>>| {
            let watcher = known.borrow();
            !watcher.is_ending() && may_want(&watcher, true)
        };
        let if_bad = self.watchers.iter().filter(wants_bad).map(Rc::clone).collect();
        self.preview = Some(preview);
        self.made = made_names;
        Wanted { watchers, if_bad }
    }

    /// Returns the clients for which `wants` returns `true`, if the sampling takes the line. If it
    /// does not, they miss the line.
    fn sample(&mut self, sender: Sender, wants: impl Fn(&Watcher) -> bool) -> WatcherList {
        let wants = |watcher: &Watcher| !watcher.is_ending() && wants(watcher);
        let Some(first) = self.watchers.iter().position(|known| wants(&known.borrow())) else {
            return WatcherList::new();
        };
        let is_taken = self.takes(sender);
        let mut watchers = WatcherList::new();
        for known in &self.watchers[first..] {
            let mut watcher = known.borrow_mut();
            if !wants(&watcher) {
                continue;
            }
            if is_taken {
                watchers.push(Rc::clone(known));
            } else {
                watcher.not_sampled += 1;
            }
        }
        watchers
    }

    /// Whether the sampling takes the next line, and there is room for it.
    fn takes(&mut self, sender: Sender) -> bool {
        let has_room = self.pending.len() < PENDING_MAX && self.pending_bytes < PENDING_BYTES_MAX;
        self.sampler.takes(sender) && has_room
    }

    /// Takes in a line that may be shown. The lines before it must have been taken in.
    fn take(&mut self, engine: &mut Engine, piece: &[u8], wanted: Wanted) {
        let Wanted { mut watchers, if_bad } = wanted;
        let preview = self.preview.get_or_insert_with(|| LinePreview::new(engine));
        let held = held(engine, &preview.read(piece));
        let before = LineCounts::of(engine);
        // A message of an unknown type may contain a newline, which does not divide it.
        if is_binary(piece) {
            engine.binary(piece)
        } else {
            engine.lines(piece)
        }
        let counted = LineCounts::of(engine).since(&before);
        let sender = engine.ledger().sender();
        // Only now is it known whether the line is bad. A good one does not use up the sampling.
        if counted.bad > 0 && !if_bad.is_empty() {
            if !watchers.is_empty() || self.takes(sender) {
                watchers.extend(if_bad);
            } else {
                if_bad.iter().for_each(|watcher| watcher.borrow_mut().not_sampled += 1);
            }
        }
        if watchers.is_empty() {
            return;
        }
        let line = ShownLine { time: self.now.unix, sender, piece: piece.into(), held, counted };
        watchers.iter().for_each(|watcher| watcher.borrow_mut().pending += 1);
        self.pending_bytes += piece.len();
        self.pending.push_back((line, watchers));
    }

    /// Explains some pending lines, and queues their texts. Returns `true` if there are more.
    pub(super) fn explain(&mut self, engine: &Engine, encoders: &Encoders, sinks: &Sinks) -> bool {
        for _ in 0..PER_TURN {
            let Some((line, watchers)) = self.pending.pop_front() else { return false };
            self.pending_bytes -= line.piece.len();
            let names = self.names.get_or_insert_with(|| NameEncoders::of(encoders));
            let mut text = Vec::new();
            for watcher in &watchers {
                let mut watcher = watcher.borrow_mut();
                watcher.pending -= 1;
                if text.is_empty() {
                    text = line.text(engine, names, sinks);
                }
                watcher.push(&text);
            }
        }
        !self.pending.is_empty()
    }
}

type WatcherList = Vec<Rc<RefCell<Watcher>>>;

/// The clients that a line is for.
#[derive(Debug, Default)]
struct Wanted {
    /// Those that get it in any case. The sampling has taken the line.
    watchers: WatcherList,
    /// Those that get it if it turns out to be bad.
    if_bad: WatcherList,
}

impl Wanted {
    fn is_by_a_client(&self) -> bool {
        !self.watchers.is_empty() || !self.if_bad.is_empty()
    }
}

/// Returns for each kind of a line's values whether there is a series of its name.
fn held(engine: &Engine, line: &PreviewedLine<'_>) -> [bool; 4] {
    let Some(name) = line.series else { return [false; 4] };
    let mut held = line.kinds();
    for kind in MetricKind::ALL {
        let is_held = &mut held[kind as usize];
        *is_held = *is_held && engine.table().has_series(kind, name);
    }
    held
}

#[cfg(test)]
mod tests;
