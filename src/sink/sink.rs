//! A sink: one destination, with the queue of its chunks and the way to it. And all sinks.

use std::rc::Rc;
use std::time::Duration;

use mio::Registry;
use slab::Slab;

use super::flushes::Flushes;
use super::outbox::Outbox;
use super::outlet::Outlet;
use super::overflow::{OverflowCounts, OverflowReport};
use super::spool::Spool;
use crate::config::{CONSOLE, Destination, Queue};
use crate::encode::chunk::Chunk;
use crate::encode::encoders::EncoderId;
use crate::encode::repeated::Carriage;
use crate::privileges::Login;
use crate::standard::StandardStream;
use crate::time::{Now, Tick, UnixTime};
use crate::token::Generation;

/// One destination: the chunks that wait for it, and the way to it.
#[derive(Debug)]
pub struct Sink {
    name: String,
    takes: Feed,
    pub(super) outbox: Outbox,
    pub(super) outlet: Outlet,
    flushes: Flushes,
    pub(super) overflow: OverflowReport,
    /// Between the start of a flush and its end, and during a stop. No chunk is read back from the
    /// spool meanwhile.
    is_flushing: bool,
    /// The destination is removed. It may deliver its data until then.
    removal: Option<Tick>,
    /// The sink is closed, and its data is being spilled.
    spill: Option<Spill>,
}

/// The chunks that a sink takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// The flushes of one encoder.
    Flushes(EncoderId),
    /// Packets as they are received.
    Packets(Carriage),
}

/// The figures of a sink. Totals are since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Bytes that are unsent or unacknowledged now. Retained chunks do not count.
    pub queue_bytes: usize,
    pub dropped_lines: u64,
    pub resent_lines: u64,
    pub in_doubt: u64,
    /// Connections after the first.
    pub reconnects: u64,
    pub sent_bytes: u64,
    /// When a flush was last acknowledged to its last byte. `None` if none was so far.
    pub last_flush: Option<UnixTime>,
    /// When the way out last failed. `None` if it never did so far.
    pub last_exception: Option<UnixTime>,
    /// The time from the tick of that flush to its last acknowledgement.
    pub flush_time: Duration,
    /// Bytes of that flush.
    pub flush_length: u64,
    /// `idle`, `resolving`, `connecting`, `up` or `backing_off`.
    pub state: &'static str,
    pub last_error: Option<String>,
    /// Bytes that wait on disk, if there is a spool.
    pub spool_bytes: Option<u64>,
}

/// The spilling of a closed sink's data, until all of it is in the spool or dropped.
#[derive(Debug)]
struct Spill {
    before: OverflowCounts,
    /// Bytes that were not delivered.
    bytes: usize,
    /// Lines that were not delivered and are not kept either.
    lost_lines: u64,
    has_delivered: bool,
}

impl Sink {
    /// A sink whose tokens have this `index`, and which gets the chunks of one feed. `seed` is for
    /// the jitter between attempts to connect. The console needs `stdout`, which it writes to.
    pub fn new(
        index: u16,
        to: &Destination,
        takes: Feed,
        seed: u64,
        stdout: Option<StandardStream>,
    ) -> Self {
        let Queue { bytes, resend, resend_keep } = to.queue;
        Self {
            name: to.name.clone(),
            takes,
            outbox: Outbox::new(bytes, resend, resend_keep),
            outlet: Outlet::new(index, to, seed, stdout),
            flushes: Flushes::default(),
            overflow: OverflowReport::new(to),
            is_flushing: false,
            removal: None,
            spill: None,
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it gets the chunks of this feed.
    pub fn takes(&self, feed: Feed) -> bool {
        self.takes == feed && self.removal.is_none()
    }

    /// Changes the settings of the destination. Queued chunks stay. A removal is cancelled.
    pub fn reconfigure(&mut self, to: &Destination, takes: Feed, now: Now) {
        let Queue { bytes, resend, resend_keep } = to.queue;
        self.takes = takes;
        self.removal = None;
        self.spill = None; // data that was moved to the spool is read back from there
        self.outbox.reconfigure(bytes, resend, resend_keep);
        self.overflow.note_reconfigured();
        self.outlet.reconfigure(to, &mut self.outbox, now);
        self.log_spool_news();
    }

    /// Sets the account that commands run as, in its home folder.
    pub fn run_as(&mut self, account: &Rc<Login>) {
        self.outlet.run_as(account);
    }

    /// From now on chunks that do not fit the queue are spilled to this spool. Chunks of an earlier
    /// run in it are sent as well.
    pub fn attach(&mut self, spool: Spool) {
        let bytes = spool.waiting_bytes();
        if bytes > 0 {
            log::info!(
                sink = self.name,
                spool = spool.location(),
                found_bytes = bytes;
                "chunks of an earlier run wait in the spool"
            );
        }
        self.outbox.attach(spool);
        self.log_spool_news();
    }

    /// Hints no longer recommend a spool: this process has none.
    pub fn exclude_spool(&mut self) {
        self.overflow.advice.exclude_spool();
    }

    /// Sets the most bytes of its spool, if it has one.
    pub fn limit_spool(&mut self, max_bytes: u64) {
        if let Some(spool) = self.outbox.spool_mut() {
            spool.limit(max_bytes);
        }
    }

    /// Returns the longest call to the spool's disk since the last call of this.
    pub fn take_disk_stall(&mut self) -> Duration {
        self.outbox.spool_mut().map_or(Duration::ZERO, Spool::take_stall)
    }

    /// A flush begins. Its chunks follow, until [`flush_ended`](Self::flush_ended). Each flush has
    /// the next number.
    pub fn flush_started(&mut self, now: Now, number: u64) {
        self.flush_ended(now, number.saturating_sub(1));
        self.flushes.start(number, now.tick);
        self.is_flushing = true;
    }

    /// The last chunk of a flush was pushed.
    pub fn flush_ended(&mut self, now: Now, number: u64) {
        self.outbox.close(number);
        self.is_flushing = false;
        self.note_arrivals(now);
    }

    /// Queues a chunk. [`pump`](Self::pump) writes it.
    pub fn push(&mut self, chunk: Rc<Chunk>) {
        self.flushes.grow(chunk.flush(), chunk.len());
        let before = OverflowCounts::of(&self.outbox);
        self.outbox.push(chunk);
        self.overflow.note_growth(before, &mut self.outbox);
    }

    /// Handles an event for the token of this sink with this generation. Spurious and stale events
    /// are harmless.
    pub fn ready(&mut self, generation: Generation, now: Now, registry: &Registry) {
        if self.spill.is_none() {
            self.outlet.ready(generation, &mut self.outbox, now, registry);
            self.note_arrivals(now);
        }
    }

    /// Does what is due at `now`. Early, late or twice is harmless.
    pub fn timeout(&mut self, now: Now, registry: &Registry) {
        if self.spill.is_none() {
            self.outlet.timeout(&mut self.outbox, now, registry);
            self.note_arrivals(now);
        }
    }

    /// When [`timeout`](Self::timeout) has something to do. Every other call may change it.
    pub fn deadline(&self) -> Option<Tick> {
        if self.spill.is_some() {
            return None; // each turn does its share
        }
        [self.outlet.deadline(), self.removal].into_iter().flatten().min()
    }

    /// Dials at the first call, and writes a turn's share at most. Returns whether it must be
    /// called again next turn without an event.
    pub fn pump(&mut self, now: Now, registry: &Registry) -> bool {
        if self.spill.is_some() {
            return true;
        }
        let tidies = self.tidy();
        let refills = self.outlet.is_up() && !self.is_flushing;
        if refills {
            self.outbox.refill();
            self.log_spool_news();
        }
        let more = self.outlet.pump(&mut self.outbox, now, registry);
        self.note_arrivals(now);
        more || tidies || (refills && self.outbox.wants_refill())
    }

    /// Does a turn's share of the work that changed settings or the age of retained chunks have
    /// left. Returns whether there is more.
    pub(super) fn tidy(&mut self) -> bool {
        let before = OverflowCounts::of(&self.outbox);
        let more = self.outbox.tidy();
        self.overflow.note_growth(before, &mut self.outbox);
        more
    }

    /// At a tick: polls what was acknowledged, for the figures of this flush and so that retained
    /// chunks age.
    pub fn poll_acks(&mut self, now: Now) {
        if self.spill.is_none() {
            self.outlet.poll_acks(&mut self.outbox, now);
        }
        self.note_arrivals(now);
    }

    /// Sends what is queued as soon as possible, since a stop or a removal waits until this
    /// [`is_drained`](Self::is_drained). No chunk is read back from the spool any more.
    pub fn drain(&mut self, now: Now, registry: &Registry) {
        self.is_flushing = true;
        if self.spill.is_none() {
            self.outlet.drain(&mut self.outbox, now, registry);
            self.note_arrivals(now);
        }
    }

    /// Begins to remove the destination: no chunk is pushed any more, and those in the queue may be
    /// delivered until then.
    pub fn remove(&mut self, until: Tick, now: Now, registry: &Registry) {
        if self.removal.is_none() {
            self.removal = Some(until);
            self.drain(now, registry);
        }
    }

    /// Whether a removed destination has delivered all, or the time for that is over. Then
    /// [`spill_some`](Self::spill_some) must be called.
    pub fn is_removal_due(&self, now: Tick) -> bool {
        self.removal.is_some_and(|until| until <= now || self.is_drained())
    }

    /// Whether [`spill_some`](Self::spill_some) has begun.
    pub fn is_spilling(&self) -> bool {
        self.spill.is_some()
    }

    /// Does a turn's share of spilling the data of a removed destination. Returns whether that was
    /// the last share.
    pub fn spill_some(&mut self) -> bool {
        self.begin_spill();
        if !self.spill_slice() {
            return false;
        }
        if let Some(spill) = self.spill.take() {
            if spill.has_delivered {
                log::info!(sink = self.name, state = "removed"; "a removed destination has ended");
            } else {
                self.log_spilled(&spill);
            }
        }
        true
    }

    /// Whether a stop must call [`spill`](Self::spill): the sink holds data, in memory or on disk.
    pub fn needs_spill(&self) -> bool {
        !self.is_drained() || self.outbox.has_spooled()
    }

    /// Moves undelivered data to the spool when the time for a stop is over, and waits for the
    /// disk. Without a spool the data is lost.
    pub fn spill(&mut self) {
        self.begin_spill();
        while !self.spill_slice() {}
        let Some(spill) = self.spill.take() else { return };
        let synced = self.outbox.spool_mut().map_or(Ok(()), Spool::sync);
        if let Err(error) = synced {
            log::error!(
                sink = self.name,
                spool = "unsynced",
                error:% = error,
                reason = "a power cut may lose the chunks in the spool",
                hint = "check the disk of [spool] dir";
                "the disk does not confirm what was written"
            );
        }
        self.log_spool_news();
        self.log_spilled(&spill);
    }

    fn begin_spill(&mut self) {
        if self.spill.is_none() {
            self.outlet.close(&mut self.outbox);
            self.spill = Some(Spill {
                before: OverflowCounts::of(&self.outbox),
                bytes: self.outbox.queued_bytes(),
                lost_lines: 0,
                has_delivered: self.outbox.is_drained(),
            });
            self.outbox.begin_spill();
        }
    }

    /// Moves a turn's share to the spool. Returns whether that was the last share.
    fn spill_slice(&mut self) -> bool {
        let lost = self.outbox.spill_some();
        self.log_spool_news();
        if let Some(spill) = &mut self.spill {
            spill.lost_lines += lost;
        }
        self.outbox.is_empty()
    }

    fn log_spilled(&self, spill: &Spill) {
        let now = OverflowCounts::of(&self.outbox);
        let spooled = now.spooled_lines - spill.before.spooled_lines;
        // These include lines spooled earlier, if their files were removed.
        let missing = now.dropped_lines - spill.before.dropped_lines;
        let bytes = spill.bytes;
        let lost = spill.lost_lines.max(missing);
        let name = &self.name;
        let reason = "not delivered when the time was over";
        match self.outbox.spool() {
            Some(_) if lost > 0 => log::warn!(
                sink = name,
                state = "spooled",
                spooled_lines = spooled,
                lost_lines = lost,
                reason,
                hint = "check the disk of [spool] dir; the log lines before this one show why";
                "the spool could not keep all lines"
            ),
            _ if spill.has_delivered => {}
            Some(_) => {
                log::info!(
                    sink = name,
                    state = "spooled",
                    spooled_lines = spooled,
                    reason;
                    "undelivered lines wait in the spool"
                );
            }
            None => log::warn!(
                sink = name,
                state = "abandoned",
                lost_lines = lost,
                lost_bytes = bytes,
                reason,
                hint = self.overflow.advice.on_abandoned();
                "undelivered lines are lost"
            ),
        }
    }

    fn log_spool_news(&mut self) {
        self.overflow.log_spool_news(&mut self.outbox);
    }

    /// Reaps an ended child of this process if this sink has started it. Returns whether it has.
    pub(super) fn note_exit(&mut self, child: u32) -> bool {
        self.outlet.note_exit(child)
    }

    /// Whether all pushed chunks are acknowledged or removed.
    pub fn is_drained(&self) -> bool {
        self.outbox.is_drained() && !self.outlet.is_busy() && self.spill.is_none()
    }

    /// Whether a stop need not wait for it: it gets packets, and its destination is not there.
    pub fn is_given_up(&self) -> bool {
        matches!(self.takes, Feed::Packets(_)) && !self.outlet.is_up()
    }

    /// Whether this sink writes to standard output and only waits for a slow reader. A full disk is
    /// not a slow reader.
    pub fn may_have_slow_reader(&self) -> bool {
        self.name == CONSOLE && self.outlet.is_up()
    }

    /// Whether the sweep should wait: over half of the queue is still to be written, and bytes are
    /// going out.
    pub fn holds_sweep(&self, now: Tick) -> bool {
        let takes_flushes = matches!(self.takes, Feed::Flushes(_));
        takes_flushes && self.outbox.is_half_full() && self.outlet.is_moving(now)
    }

    pub fn figures(&self) -> Figures {
        let tally = self.outbox.tally();
        let outages = self.outlet.outages();
        let last = self.flushes.last();
        Figures {
            queue_bytes: self.outbox.queued_bytes(),
            dropped_lines: tally.dropped_lines,
            resent_lines: tally.resent_lines,
            in_doubt: tally.in_doubt,
            reconnects: outages.connects().saturating_sub(1),
            sent_bytes: tally.sent_bytes,
            last_flush: last.map(|flush| flush.at),
            last_exception: outages.last_exception(),
            flush_time: last.map_or(Duration::ZERO, |flush| flush.took),
            flush_length: last.map_or(0, |flush| flush.bytes),
            state: self.outlet.state(),
            last_error: outages.last_error().map(ToOwned::to_owned),
            spool_bytes: self.outbox.spool().map(Spool::waiting_bytes),
        }
    }

    /// Notes flushes that have arrived to their last byte, and the end of an overflow.
    fn note_arrivals(&mut self, now: Now) {
        let whole = self.outbox.newest_whole_flush();
        if self.flushes.is_news(whole) {
            let acked = self.outlet.last_ack(now.tick);
            let ago = u64::try_from((now.tick - acked).as_millis()).unwrap_or(u64::MAX);
            let at = UnixTime::from_millis(now.unix.as_millis().saturating_sub(ago));
            self.flushes.arrive(whole, acked, at);
        }
        self.overflow.note_drained(&self.outbox);
    }
}

/// The most sinks, including those that are being removed. The loop visits each of them in every
/// turn.
const SINKS_MAX: usize = 80;

/// All sinks, each with an index that its tokens carry and that does not change.
#[derive(Debug, Default)]
pub struct Sinks(Slab<Sink>);

impl Sinks {
    /// Whether `more` sinks may be added. Each reload may add 16 destinations with new names,
    /// while the old ones stay until they have delivered their data.
    pub fn have_room_for(&self, more: usize) -> bool {
        self.0.len() + more <= SINKS_MAX
    }

    /// Adds the sink that `make` returns for its index. There must be [room](Self::have_room_for).
    pub fn add(&mut self, make: impl FnOnce(u16) -> Sink) -> &mut Sink {
        let entry = self.0.vacant_entry();
        let index = u16::try_from(entry.key()).expect("there are few of them");
        entry.insert(make(index))
    }

    pub fn remove(&mut self, index: u16) {
        self.0.try_remove(index.into());
    }

    /// Reaps an ended child of this process if one of the sinks started it. Returns whether one
    /// did.
    pub fn note_exit(&mut self, child: u32) -> bool {
        self.iter_mut().any(|sink| sink.note_exit(child))
    }

    /// Queues a chunk in every sink that takes this feed.
    pub fn push(&mut self, feed: Feed, chunk: &Rc<Chunk>) {
        for sink in self.iter_mut().filter(|sink| sink.takes(feed)) {
            sink.push(Rc::clone(chunk));
        }
    }

    pub fn by_name(&mut self, name: &str) -> Option<&mut Sink> {
        self.iter_mut().find(|sink| sink.name() == name)
    }

    pub fn at(&mut self, index: u16) -> Option<&mut Sink> {
        self.0.get_mut(index.into())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Sink> {
        self.0.iter().map(|(_, sink)| sink)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Sink> {
        self.0.iter_mut().map(|(_, sink)| sink)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All indices in use are below.
    pub fn end(&self) -> u16 {
        u16::try_from(self.0.capacity()).unwrap_or(u16::MAX)
    }
}
