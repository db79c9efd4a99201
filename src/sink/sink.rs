//! [`Sink`]: one destination, with its queue of chunks and its outlet.
//!
//! No part refers to another: the outlet gets the outbox as an argument. `Sink` connects
//! them. It also keeps the figures of each flush and logs overflows.

use std::ops::AddAssign;
use std::rc::Rc;
use std::time::Duration;

use mio::Registry;

use super::advice::Advice;
use super::flushes::{ArrivalSigns, Flushes};
use super::outbox::Outbox;
use super::outlet::Outlet;
use super::overflow::{OverflowCounts, OverflowReport};
use super::platform::Platform;
use super::spool::Spool;
use super::state::{SinkState, StateSince};
use crate::config::{Destination, Queue, QueueContract};
use crate::encode::chunk::Chunk;
use crate::encode::encoders::EncoderId;
use crate::encode::repeated::PacketTransport;
use crate::privileges::Login;
use crate::stdio::StandardStream;
use crate::time::{Now, Tick, UnixTime};
use crate::token::Generation;

/// One destination: its queued chunks, and the outlet that sends them.
#[derive(Debug)]
pub struct Sink {
    name: String,
    queue_contract: QueueContract,
    feed: Feed,
    pub(super) outbox: Outbox,
    pub(super) outlet: Outlet,
    flushes: Flushes,
    /// The delivered lines when a flush was last found to have left the queue.
    delivered_lines: u64,
    pub(super) overflow: OverflowReport,
    /// No chunk is read back from the spool: a flush is being pushed, or the sink drains. Otherwise
    /// new chunks would queue up after old ones, and a stop would send the whole spool.
    pauses_refill: bool,
    /// The destination is being removed. It may deliver its queued chunks until this tick.
    removal: Option<Tick>,
    /// The sink is closed, and its data is being spilled.
    spill: Option<Spill>,
    state: StateSince,
    /// Bytes of all chunks that were pushed.
    pushed_bytes: u64,
    /// Lines of these chunks.
    pushed_lines: u64,
    /// Points that its encoder left out, because the destination cannot store them.
    points_refused: u64,
    /// The hints of the log lines about this destination.
    advice: Rc<Advice>,
}

/// Which chunks a sink gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// The flushes of one encoder.
    Flushes(EncoderId),
    /// Packets as they are received.
    Packets(PacketTransport),
}

/// The figures of a sink. Totals are since the start.
///
/// Each line is in one place: `pushed_lines` + `found_lines` + `twice_lines` is always the sum of
/// `delivered_lines`, `dropped_lines`, `in_doubt`, `queue_lines` and `spool_lines`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkFigures {
    /// Bytes that are unsent or unacknowledged now. Retained chunks do not count.
    pub queue_bytes: usize,
    /// Lines that were queued.
    pub pushed_lines: u64,
    /// Lines of an earlier run that were found in the spool. `None` if there is no spool.
    pub found_lines: Option<u64>,
    /// Lines that were acknowledged.
    pub delivered_lines: u64,
    pub dropped_lines: u64,
    /// Undelivered lines that are in memory alone.
    pub queue_lines: u64,
    /// Undelivered lines in the spool. `None` if there is no spool.
    pub spool_lines: Option<u64>,
    /// Lines that count twice.
    pub twice_lines: u64,
    pub resent_lines: u64,
    pub in_doubt: u64,
    /// Connections after the first.
    pub reconnects: u64,
    pub sent_bytes: u64,
    /// When a flush was last acknowledged to its last byte. `None` if none has been yet. A flush
    /// without bytes counts if the outlet is up.
    pub last_flush: Option<UnixTime>,
    /// When the outlet last failed. `None` if it has never failed.
    pub last_exception: Option<UnixTime>,
    /// The time from the tick of the `last_flush` to its last acknowledgement.
    pub flush_time: Duration,
    /// Bytes of the `last_flush`.
    pub flush_length: u64,
    /// The state of the outlet in one word, such as `up` or `backing_off`.
    pub state: &'static str,
    pub last_error: Option<String>,
    /// Bytes in the spool that are not released. `None` if there is no spool.
    pub spool_bytes: Option<u64>,
    /// The most bytes of its spool: its share of `[spool] max_size`, or what it has if that is
    /// more.
    pub spool_limit: Option<u64>,
    /// Since when the outlet is in its state. The states between two connections (`resolving`,
    /// `connecting`, `backing_off`) count as one. `None` until the first turn.
    pub since: Option<Now>,
    /// Whether the destination can be written to now.
    pub is_up: bool,
    /// The most bytes that are queued or retained in memory.
    pub queue_limit: usize,
    /// All bytes in memory: queued and retained.
    pub held_bytes: usize,
    /// Bytes that were queued.
    pub pushed_bytes: u64,
    /// Points that were left out, because the destination cannot store them.
    pub points_refused: u64,
}

/// The counts of a sink that must not be lost with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LostLines {
    /// Lines that were given up.
    pub dropped: u64,
    /// Lines whose delivery is unknown.
    pub in_doubt: u64,
}

impl AddAssign for LostLines {
    fn add_assign(&mut self, more: Self) {
        self.dropped += more.dropped;
        self.in_doubt += more.in_doubt;
    }
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
    /// Returns a sink that gets the chunks of one feed. Its tokens carry `index`, by which the loop
    /// finds it again. `seed` is for the jitter between attempts to connect. It may be the same for
    /// all sinks: they do not retry in step. Only the console needs `stdout`, and panics without
    /// it.
    pub(crate) fn new(
        index: u16,
        to: &Destination,
        feed: Feed,
        platform: &dyn Platform,
        seed: u64,
        stdout: Option<StandardStream>,
    ) -> Self {
        let Queue { bytes, resend, resend_keep } = to.queue;
        let seed = seed.wrapping_add(index.into());
        let advice = Rc::new(Advice::new(to));
        Self {
            name: to.name.clone(),
            queue_contract: to.queue_contract(),
            feed,
            outbox: Outbox::new(bytes, resend, resend_keep),
            outlet: Outlet::new(index, to, &advice, platform, seed, stdout),
            flushes: Flushes::default(),
            delivered_lines: 0,
            overflow: OverflowReport::new(&to.name, Rc::clone(&advice)),
            pauses_refill: false,
            removal: None,
            spill: None,
            state: StateSince::default(),
            pushed_bytes: 0,
            pushed_lines: 0,
            points_refused: 0,
            advice,
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it gets the chunks of this feed. A sink that is being removed gets no more chunks.
    pub fn takes(&self, feed: Feed) -> bool {
        self.feed == feed && self.removal.is_none()
    }

    /// Whether the destination is being removed, and its queue and its outlet cannot serve `to`, a
    /// destination of the same name, because their protocols differ.
    pub fn must_end_before(&self, to: &Destination) -> bool {
        self.removal.is_some() && self.name == to.name && self.queue_contract != to.queue_contract()
    }

    /// Changes the settings of the destination. Queued chunks stay. A removal is cancelled. The
    /// sink must [not have to end](Self::must_end_before) first.
    pub fn reconfigure(&mut self, to: &Destination, feed: Feed, now: Now) {
        let Queue { bytes, resend, resend_keep } = to.queue;
        self.feed = feed;
        self.removal = None;
        // Chunks that were already spilled are read back from the spool.
        self.spill = None;
        self.outbox.reconfigure(bytes, resend, resend_keep);
        self.overflow.note_reconfigured();
        self.outlet.reconfigure(to, &mut self.outbox, now);
        self.state.note(self.outlet.state(), now);
        self.log_spool_events();
    }

    /// Sets the account that commands run as, in its home folder.
    pub fn run_as(&mut self, account: &Rc<Login>) {
        self.outlet.run_as(account);
    }

    /// Adds a spool: from now on chunks that do not fit the queue are spilled to it. Chunks that an
    /// earlier run left in it are sent as well.
    pub fn attach(&mut self, mut spool: Spool) {
        spool.set_aside_foreign();
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
        self.log_spool_events();
    }

    /// Hints no longer recommend a spool: this process has none.
    pub fn exclude_spool(&mut self) {
        self.advice.exclude_spool();
    }

    /// Sets the bytes that its spool may grow to, if it has one.
    pub fn limit_spool(&mut self, share: u64) {
        if let Some(spool) = self.outbox.spool_mut() {
            spool.limit(share);
        }
    }

    /// Drops the oldest segment of its spool. Returns whether there was one.
    pub(super) fn shrink_spool(&mut self) -> bool {
        let has_dropped = self.outbox.spool_mut().is_some_and(Spool::shrink);
        self.log_spool_events();
        has_dropped
    }

    /// Returns the bytes of its spool. Zero without a spool.
    pub(super) fn spool_bytes(&self) -> u64 {
        self.outbox.spool().map_or(0, Spool::bytes)
    }

    /// Returns the longest time that one call to the spool's disk has taken since the last call of
    /// this function. Zero without a spool.
    pub fn take_disk_stall(&mut self) -> Duration {
        self.outbox.spool_mut().map_or(Duration::ZERO, Spool::take_stall)
    }

    /// Begins a flush. Its chunks follow, until [`flush_ended`](Self::flush_ended). Flush numbers
    /// must ascend. An earlier flush that has not ended is ended here.
    pub fn flush_started(&mut self, now: Now, number: u64) {
        self.flush_ended(now, number.saturating_sub(1));
        self.flushes.start(number, now.tick);
        self.pauses_refill = true;
    }

    /// Ends a flush: its last chunk was pushed. Only now can the flush count as arrived.
    pub fn flush_ended(&mut self, now: Now, number: u64) {
        self.outbox.close(number);
        self.pauses_refill = false;
        self.note_arrivals(now);
    }

    /// Queues a chunk. [`pump`](Self::pump) writes it.
    pub fn push(&mut self, chunk: Rc<Chunk>) {
        self.flushes.grow(chunk.flush(), chunk.len());
        self.pushed_bytes += chunk.len() as u64;
        self.pushed_lines += u64::from(chunk.lines());
        let before = OverflowCounts::of(&self.outbox);
        self.outbox.push(chunk);
        self.overflow.note_growth(before, &mut self.outbox);
    }

    /// Counts points that its encoder left out.
    pub fn note_refused_points(&mut self, points: u64) {
        self.points_refused += points;
    }

    /// Handles an event for the token of this sink with this generation. Spurious and stale events
    /// are harmless.
    pub fn ready(&mut self, generation: Generation, now: Now, registry: &Registry) {
        if self.spill.is_none() {
            self.outlet.ready(generation, &mut self.outbox, now, registry);
            self.note_arrivals(now);
        }
    }

    /// Does what is due at `now`. A call that is early, late or repeated does no harm.
    pub fn timeout(&mut self, now: Now, registry: &Registry) {
        if self.spill.is_none() {
            self.outlet.timeout(&mut self.outbox, now, registry);
            self.note_arrivals(now);
        }
    }

    /// Returns when [`timeout`](Self::timeout) has something to do. Every call of another method
    /// may change this time, so the loop must read it again after each turn.
    pub fn deadline(&self) -> Option<Tick> {
        if self.spill.is_some() {
            return None; // `spill_some` is called in every turn, so no timer is needed
        }
        [self.outlet.deadline(), self.removal].into_iter().flatten().min()
    }

    /// Writes at most a turn's share of the queue. The first call dials. Returns whether it must be
    /// called in the next turn even without an event.
    pub fn pump(&mut self, now: Now, registry: &Registry) -> bool {
        if self.spill.is_some() {
            return true;
        }
        let tidies = self.tidy();
        // Reading the spool while the destination is down would only move chunks from a large disk
        // to a small queue.
        let refills = self.outlet.is_up() && !self.pauses_refill;
        if refills {
            self.outbox.refill();
            self.log_spool_events();
        }
        let more = self.outlet.pump(&mut self.outbox, now, registry);
        self.note_arrivals(now);
        more || tidies || (refills && self.outbox.wants_refill())
    }

    /// Does a turn's share of deferred work: removing aged chunks, and shrinking the queue to a
    /// limit that a reload has lowered. Returns whether there is more.
    pub(super) fn tidy(&mut self) -> bool {
        let before = OverflowCounts::of(&self.outbox);
        let more = self.outbox.tidy();
        self.overflow.note_growth(before, &mut self.outbox);
        more
    }

    /// Polls for acknowledgements. The loop calls this at each tick, because the kernel sends no
    /// event for an acknowledgement. Without it, the figures of the last flush would be late and
    /// retained chunks would not age.
    pub fn poll_acks(&mut self, now: Now) {
        if self.spill.is_none() {
            self.outlet.poll_acks(&mut self.outbox, now);
        }
        self.note_arrivals(now);
    }

    /// Sends the queued chunks as soon as possible: a wait between attempts to connect is cut
    /// short. A stop or a removal then waits until [`is_drained`](Self::is_drained). From now on no
    /// chunk is read back from the spool.
    pub fn drain(&mut self, now: Now, registry: &Registry) {
        self.pauses_refill = true;
        if self.spill.is_none() {
            self.outlet.drain(&mut self.outbox, now, registry);
            self.note_arrivals(now);
        }
    }

    /// Begins to remove the destination. It gets no more chunks, and may deliver the queued ones
    /// until `until`.
    pub fn begin_removal(&mut self, until: Tick, now: Now, registry: &Registry) {
        if self.removal.is_none() {
            self.removal = Some(until);
            self.drain(now, registry);
        }
    }

    /// Whether a destination that is being removed has delivered all its chunks, or has run out of
    /// time for that. The caller must then call [`spill_some`](Self::spill_some) in each turn.
    pub fn is_removal_due(&self, now: Tick) -> bool {
        self.removal.is_some_and(|until| until <= now || self.is_drained())
    }

    /// Whether [`spill_some`](Self::spill_some) has begun.
    pub fn is_spilling(&self) -> bool {
        self.spill.is_some()
    }

    /// Spills a turn's share of the chunks of a removed destination. Returns true after the last
    /// share; the caller then drops the sink. It does not sync the disk, because that would block
    /// the loop.
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

    /// Moves all undelivered chunks to the spool and syncs the disk. Without a spool the chunks are
    /// dropped. This blocks, so only the end of a stop may call it.
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
        self.log_spool_events();
        self.log_spilled(&spill);
    }

    fn begin_spill(&mut self) {
        if self.spill.is_none() {
            let before = OverflowCounts::of(&self.outbox);
            self.outlet.close(&mut self.outbox);
            self.spill = Some(Spill {
                before,
                bytes: self.outbox.queued_bytes(),
                lost_lines: 0,
                has_delivered: self.outbox.is_drained(),
            });
            self.outbox.begin_spill();
        }
    }

    /// Moves a turn's share of chunks to the spool. Returns true after the last share.
    fn spill_slice(&mut self) -> bool {
        let lost = self.outbox.spill_some();
        self.log_spool_events();
        if let Some(spill) = &mut self.spill {
            spill.lost_lines += lost;
        }
        self.outbox.is_empty()
    }

    fn log_spilled(&self, spill: &Spill) {
        let now = OverflowCounts::of(&self.outbox);
        let spooled = now.spooled_lines - spill.before.spooled_lines;
        // `lost_lines` counts the chunks of this spill only. The dropped lines also include lines
        // that were spooled earlier, if their files were found missing just now.
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
                hint = self.advice.on_abandoned();
                "undelivered lines are lost"
            ),
        }
    }

    fn log_spool_events(&mut self) {
        self.overflow.log_spool_events(&mut self.outbox);
    }

    /// Reaps an ended child of this process if this sink has started it. Returns whether it has.
    pub(super) fn note_exit(&mut self, child: u32) -> bool {
        self.outlet.note_exit(child)
    }

    /// Whether all pushed chunks are acknowledged or removed, and the outlet has no work left, such
    /// as a command that still runs.
    pub fn is_drained(&self) -> bool {
        self.outbox.is_drained() && !self.outlet.is_busy() && self.spill.is_none()
    }

    /// Whether a stop need not wait for this sink. That is so if its last attempt has failed, and
    /// the next one is far away. It is also so if it repeats packets, and its destination is down:
    /// packets are worth nothing once their interval is over.
    pub fn is_given_up(&self, now: Tick) -> bool {
        let is_late = matches!(self.feed, Feed::Packets(_)) && !self.outlet.is_up();
        is_late || self.outlet.rests(now)
    }

    /// Whether this sink writes to standard output, and writing works. Its queue is then full only
    /// because the reader is slow. After an error, such as a full disk, the answer is false.
    pub fn may_have_slow_reader(&self) -> bool {
        matches!(self.outlet, Outlet::Console(_)) && self.outlet.is_up()
    }

    /// Whether the sweep should pause, because over half of the queue is unsent and bytes are being
    /// sent. So a flush that is larger than the queue loses nothing to a peer that still reads. A
    /// peer that has stopped reading does not hold the sweep up. Nor does a destination that is
    /// being removed, because it gets no chunk of the sweep.
    pub fn holds_sweep(&self, now: Tick) -> bool {
        let takes_flushes = matches!(self.feed, Feed::Flushes(_)) && self.removal.is_none();
        takes_flushes && self.outbox.is_half_full() && self.outlet.is_moving(now)
    }

    /// Whether the sweep of `--stdin` should pause, because over half of the queue waits for the
    /// reader of standard output.
    pub fn waits_for_reader(&self) -> bool {
        self.may_have_slow_reader() && self.outbox.is_half_full()
    }

    pub fn state(&self) -> SinkState {
        self.outlet.state()
    }

    /// Returns for how long the peer of a connection has acknowledged nothing of the bytes that
    /// were written to it. Asks the kernel.
    pub fn unacknowledged_for(&self, now: Tick) -> Option<Duration> {
        match &self.outlet {
            Outlet::Link(link) => link.silent_since().map(|since| now - since),
            _ => None,
        }
    }

    /// Returns the counts that must not be lost with the sink.
    pub fn lost_lines(&self) -> LostLines {
        let tally = self.outbox.tally();
        LostLines { dropped: tally.dropped_lines, in_doubt: tally.in_doubt }
    }

    pub fn figures(&self) -> SinkFigures {
        let tally = self.outbox.tally();
        let outages = self.outlet.outages();
        let last = self.flushes.last();
        let spool = self.outbox.spool();
        SinkFigures {
            queue_bytes: self.outbox.queued_bytes(),
            pushed_lines: self.pushed_lines,
            found_lines: spool.map(|spool| spool.tally().found_lines),
            delivered_lines: tally.delivered_lines,
            dropped_lines: tally.dropped_lines,
            queue_lines: self.outbox.queued_lines(),
            spool_lines: spool.map(Spool::waiting_lines),
            twice_lines: tally.twice_lines,
            resent_lines: tally.resent_lines,
            in_doubt: tally.in_doubt,
            reconnects: outages.connects().saturating_sub(1),
            sent_bytes: tally.sent_bytes,
            last_flush: last.map(|flush| flush.at),
            last_exception: outages.last_exception(),
            flush_time: last.map_or(Duration::ZERO, |flush| flush.took),
            flush_length: last.map_or(0, |flush| flush.bytes),
            state: self.state().name(),
            last_error: outages.last_error().map(ToOwned::to_owned),
            spool_bytes: spool.map(Spool::waiting_bytes),
            spool_limit: spool.map(Spool::max_bytes),
            since: self.state.since,
            is_up: self.outlet.is_up() && !self.outlet.is_stalled() && !self.outlet.is_failing(),
            queue_limit: self.outbox.limit(),
            held_bytes: self.outbox.held_bytes(),
            pushed_bytes: self.pushed_bytes,
            points_refused: self.points_refused,
        }
    }

    /// Notes flushes that have arrived to their last byte, and the end of an overflow.
    fn note_arrivals(&mut self, now: Now) {
        let whole = self.outbox.newest_whole_flush();
        if self.flushes.has_arrivals(whole) {
            // The poll that found the acknowledgement may come much later than the acknowledgement
            // itself, so the figures use the time that the outlet reports.
            let acked = self.outlet.last_ack(now.tick);
            let delivered_lines = self.outbox.tally().delivered_lines;
            let has_delivered = delivered_lines > self.delivered_lines;
            self.delivered_lines = delivered_lines;
            let is_up = self.outlet.is_up() && !self.outlet.rests(now.tick);
            self.flushes.arrive(whole, acked, ArrivalSigns { is_up, has_delivered }, now);
        }
        self.overflow.note_progress(&self.outbox, now.tick);
        // Every call that can change the state of the outlet ends here.
        self.state.note(self.outlet.state(), now);
    }
}
