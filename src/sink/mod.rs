//! Sinks: destinations of encoded chunks.
//!
//! ```text
//!   encoder ──Rc<Chunk>──▶ Outbox ──bytes──▶ Outlet ══▶ carbon
//!                            ▲                 │
//!                            └─ acknowledged, broken
//! ```
//! What differs from kind to kind is the [`Outlet`]: a [`Link`] is that of a TCP destination (which speaks plainly or HTTP,
//! see `framing.rs`), [`Datagrams`] that of a UDP one, [`Console`] that of standard output,
//! [`Exec`] starts a command for each flush.
//! A sink never sees a series and never touches a chunk's bytes. The loop drives it: [`Sink::push`] what is encoded,
//! [`Sink::ready`] for an event, [`Sink::timeout`] at its [`Sink::deadline`], [`Sink::look`] at each tick, and after
//! any of these [`Sink::pump`].

use std::rc::Rc;
use std::time::Duration;

use mio::Registry;

use crate::config::{CONSOLE, Destination, DestinationKind, Over, Queue};
use crate::encode::chunk::Chunk;
use crate::encode::encoders::EncoderId;
use crate::encode::repeated::Carriage;
use crate::privileges::Login;
use crate::standard::StandardStream;
use crate::time::{Now, Tick, UnixTime};
use crate::token::Generation;

mod backoff;
mod connection;
mod console;
mod datagrams;
mod exec;
mod flushes;
mod framing;
mod group;
mod http;
mod link;
pub mod outbox;
mod outlet;
mod overflow;
pub mod resolve;
mod sinks;
mod socket;
pub mod spool;

use console::Console;
use datagrams::Datagrams;
use exec::Exec;
use flushes::Flushes;
use link::Link;
use outbox::Outbox;
use outlet::Outlet;
use overflow::{Overflow, Parking};
pub use sinks::Sinks;
use spool::Spool;

/// One destination: what waits for it, and the way to it.
#[derive(Debug)]
pub struct Sink {
    name: String,
    takes: Feed,
    outbox: Outbox,
    outlet: Box<dyn Outlet>,
    flushes: Flushes,
    overflow: Option<Overflow>,
    /// The queue does not hold what is to be retained, and that was said.
    is_short: bool,
    /// Between the start of a flush and its end: the spool waits.
    is_flushing: bool,
    /// It is no destination any more, and is closed then at the latest.
    leaves: Option<Tick>,
    /// The sink is closed, and its data is being moved to the spool or given up.
    parking: Option<Parking>,
}

/// Whose chunks a sink takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    Flushes(EncoderId),
    Packets(Carriage),
}

/// What a sink says of itself. Totals are since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Bytes unsent or unacknowledged at the moment; what is retained for a resend does not count.
    pub queue_bytes: usize,
    pub dropped_lines: u64,
    pub resent_lines: u64,
    pub in_doubt: u64,
    /// Connections after the first.
    pub reconnects: u64,
    pub sent_bytes: u64,
    /// When a flush was last acknowledged to its last byte; none so far.
    pub last_flush: Option<UnixTime>,
    /// When the link last went down; never so far.
    pub last_exception: Option<UnixTime>,
    /// From the tick of that flush to its last acknowledgement.
    pub flush_time: Duration,
    /// Bytes of that flush.
    pub flush_length: u64,
    /// `idle`, `resolving`, `connecting`, `up` or `backing_off`.
    pub state: &'static str,
    pub last_error: Option<String>,
    /// Bytes that wait on disk, if there is a spool.
    pub spool_bytes: Option<u64>,
}

impl Sink {
    /// The sink whose tokens bear `index` and which is sent the chunks of one feed. `seed` is for the jitter between attempts to connect.
    /// The console comes with what it is to write to.
    pub fn new(
        index: u16,
        to: &Destination,
        takes: Feed,
        seed: u64,
        stdout: Option<StandardStream>,
    ) -> Self {
        let net = || to.net.as_ref().expect("a destination on the network has an address");
        let outlet: Box<dyn Outlet> = match &to.kind {
            DestinationKind::Exec(exec) => Box::new(Exec::new(index, &to.name, exec)),
            DestinationKind::Carbon(_) => Box::new(Link::new(index, to, net(), seed)),
            DestinationKind::Influxdb(influxdb) => match influxdb.protocol {
                Over::Http => Box::new(Link::new(index, to, net(), seed)),
                Over::Udp => Box::new(Datagrams::new(index, to, net(), seed)),
            },
            DestinationKind::Ganglia(_) => Box::new(Datagrams::new(index, to, net(), seed)),
            DestinationKind::Repeater(repeater) => match repeater.protocol {
                Carriage::Datagrams => Box::new(Datagrams::new(index, to, net(), seed)),
                Carriage::Stream => Box::new(Link::new(index, to, net(), seed)),
            },
            DestinationKind::Console(_) => {
                Box::new(Console::new(index, stdout.expect("it was opened for the console")))
            }
        };
        let Queue { bytes, resend, resend_keep } = to.queue;
        Self {
            name: to.name.clone(),
            takes,
            outbox: Outbox::new(bytes, resend, resend_keep),
            outlet,
            flushes: Flushes::default(),
            overflow: None,
            is_short: false,
            is_flushing: false,
            leaves: None,
            parking: None,
        }
    }

    /// Whether this sink writes to standard output and only waits for a slow reader. A full disk is
    /// not a slow reader.
    pub fn may_have_slow_reader(&self) -> bool {
        self.name == CONSOLE && self.outlet.is_up()
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the chunks of this feed are for it.
    pub fn takes(&self, feed: Feed) -> bool {
        self.takes == feed && self.leaves.is_none()
    }

    /// Other settings for the same destination. What is queued stays.
    pub fn reconfigure(&mut self, to: &Destination, takes: Feed, now: Now) {
        let Queue { bytes, resend, resend_keep } = to.queue;
        self.takes = takes;
        self.leaves = None;
        self.parking = None; // data that was moved to the spool is read back from there
        self.outbox.reconfigure(bytes, resend, resend_keep);
        self.is_short = false;
        self.outlet.reconfigure(to, &mut self.outbox, now);
        self.log_news();
    }

    /// Sets the account that commands run as, in its home folder.
    pub fn run_as(&mut self, account: &Rc<Login>) {
        self.outlet.run_as(account);
    }

    /// It is no destination any more: it delivers what it holds until then.
    pub fn leave(&mut self, until: Tick, now: Now, registry: &Registry) {
        if self.leaves.is_none() {
            self.leaves = Some(until);
            self.hurry(now, registry);
        }
    }

    /// Whether all is delivered, or the time for it is over. Then [`part`](Self::part) must be
    /// called.
    pub fn has_left(&self, now: Tick) -> bool {
        self.leaves.is_some_and(|until| until <= now || self.is_drained())
    }

    /// Whether [`part`](Self::part) has begun.
    pub fn is_parting(&self) -> bool {
        self.parking.is_some()
    }

    /// A flush begins. Numbers go up by one; chunks of it follow, until [`flush_ended`](Self::flush_ended).
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

    /// Queues a chunk. It is written by [`pump`](Self::pump).
    pub fn push(&mut self, chunk: Rc<Chunk>) {
        self.flushes.grow(chunk.flush(), chunk.len());
        let before = self.overflown();
        self.outbox.push(chunk);
        self.note_overflow(before);
    }

    /// An event for the token of this sink with this generation. Spurious and stale ones are harmless.
    pub fn ready(&mut self, generation: Generation, now: Now, registry: &Registry) {
        if self.parking.is_some() {
            return;
        }
        self.outlet.ready(generation, &mut self.outbox, now, registry);
        self.note_arrivals(now);
    }

    /// Does what is due at `now`. Early, late or twice is harmless.
    pub fn timeout(&mut self, now: Now, registry: &Registry) {
        if self.parking.is_some() {
            return;
        }
        self.outlet.timeout(&mut self.outbox, now, registry);
        self.note_arrivals(now);
    }

    /// When [`timeout`](Self::timeout) has something to do; it moves with every other call.
    pub fn deadline(&self) -> Option<Tick> {
        if self.parking.is_some() {
            return None; // each turn does its share
        }
        [self.outlet.deadline(), self.leaves].into_iter().flatten().min()
    }

    /// Dials at the first call, and writes at most a turn's share. True: call again next turn without an event.
    pub fn pump(&mut self, now: Now, registry: &Registry) -> bool {
        if self.parking.is_some() {
            return true;
        }
        let tidies = self.tidy();
        let refills = self.outlet.is_up() && !self.is_flushing;
        if refills {
            self.outbox.refill();
            self.log_news();
        }
        let more = self.outlet.pump(&mut self.outbox, now, registry);
        self.note_arrivals(now);
        more || tidies || (refills && self.outbox.wants_refill())
    }

    /// At a tick: learns what has arrived, so that the figures of this flush tell it and what is retained ages.
    pub fn look(&mut self, now: Now) {
        if self.parking.is_none() {
            self.outlet.look(&mut self.outbox, now);
        }
        self.note_arrivals(now);
    }

    /// At a stop: somebody waits until this [`is_drained`](Self::is_drained).
    pub fn hurry(&mut self, now: Now, registry: &Registry) {
        self.is_flushing = true; // no chunk is read back any more
        if self.parking.is_some() {
            return;
        }
        self.outlet.hurry(&mut self.outbox, now, registry);
        self.note_arrivals(now);
    }

    /// Whether a stop must call [`park`](Self::park): the sink holds data, in memory or on disk.
    pub fn needs_parking(&self) -> bool {
        !self.is_drained() || self.outbox.has_spooled()
    }

    /// Whether all that was pushed is acknowledged, or gone.
    pub fn is_drained(&self) -> bool {
        self.outbox.is_drained() && !self.outlet.is_busy() && self.parking.is_none()
    }

    /// Whether a stop need not wait for it: it is sent packets, and is not there.
    pub fn is_given_up(&self) -> bool {
        matches!(self.takes, Feed::Packets(_)) && !self.outlet.is_up()
    }

    /// Whether the sweep had better wait: over half of the queue is still to be written, and it is going out.
    pub fn holds_sweep(&self, now: Tick) -> bool {
        let takes_flushes = matches!(self.takes, Feed::Flushes(_));
        takes_flushes && self.outbox.is_half_full() && self.outlet.is_moving(now)
    }

    pub fn figures(&self) -> Figures {
        let tally = self.outbox.tally();
        let history = self.outlet.history();
        let last = self.flushes.last();
        Figures {
            queue_bytes: self.outbox.queued_bytes(),
            dropped_lines: tally.dropped_lines,
            resent_lines: tally.resent_lines,
            in_doubt: tally.in_doubt,
            reconnects: history.connects.saturating_sub(1),
            sent_bytes: tally.sent_bytes,
            last_flush: last.map(|flush| flush.at),
            last_exception: history.last_exception,
            flush_time: last.map_or(Duration::ZERO, |flush| flush.took),
            flush_length: last.map_or(0, |flush| flush.bytes),
            state: self.outlet.state(),
            last_error: history.last_error.clone(),
            spool_bytes: self.outbox.spool().map(Spool::waiting_bytes),
        }
    }

    /// Whether flushes have arrived to their last byte, and whether an overflow is over.
    fn note_arrivals(&mut self, now: Now) {
        let whole = self.outbox.newest_whole_flush();
        if self.flushes.is_news(whole) {
            let acked = self.outlet.last_ack(now.tick);
            let ago = u64::try_from((now.tick - acked).as_millis()).unwrap_or(u64::MAX);
            let at = UnixTime::from_millis(now.unix.as_millis().saturating_sub(ago));
            self.flushes.arrive(whole, acked, at);
        }
        self.note_drained();
    }
}

/// What the tests of this stage share.
#[cfg(test)]
mod testing;
#[cfg(test)]
pub(crate) use self::{
    socket::{Network, Socket},
    testing::Account,
};
#[cfg(test)]
mod tests;
