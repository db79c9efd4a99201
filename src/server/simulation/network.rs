//! A network and the carbon at its end, in memory. A trial decides what happens to each connection,
//! as a real network or a real peer would: a reset, a stall, or the end of the peer.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use ahash::HashMap;
use memchr::memrchr;
use mio::{Registry, Token};

use crate::sink::dialer::{Dialer, Socket};
use crate::sink::error::SinkError;
use crate::sys::Signs;
use crate::time::Tick;

/// What the sending and the receiving kernel hold.
const SEND_ROOM: usize = 96 << 10;
const RECEIVE_ROOM: usize = 256 << 10;
const TRIP: Duration = Duration::from_millis(3);

/// Shared by the link, the sockets it dials and the test.
#[derive(Clone, Debug)]
pub(super) struct Peer(Rc<RefCell<PeerState>>);

/// What a peer makes of each line that its process reads, in order.
pub(super) type OnLine = fn(&[u8], &mut Seen);

/// What a peer's reader has found out.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The sum of our counters.
    pub(super) sum: u64,
    /// The stamp of the last line.
    pub(super) stamp: Option<u64>,
    /// A part of a flush has arrived.
    pub(super) is_torn: bool,
    /// The stamps of whole flushes, in the order of arrival.
    pub(super) stamps: Vec<u64>,
    /// The last value of each of our gauges.
    pub(super) gauges: HashMap<Vec<u8>, u64>,
    /// A gauge that went back, and its values.
    pub(super) went_back: Option<(Vec<u8>, u64, u64)>,
}

/// Lines, and how many of each.
pub(super) type Lines = HashMap<Vec<u8>, u64>;

#[derive(Debug)]
struct PeerState {
    now: Tick,
    /// Flushes begun so far, as the test says.
    flush: u64,
    manner: Manner,
    wires: Vec<Wire>,
    events: Vec<Token>,
    /// How often its process has read each line.
    read: Lines,
    reader: OnLine,
    seen: Seen,
    lost: Vec<Lost>,
    resets: usize,
}

/// What the peer does, until it is told otherwise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) dialling: Dialling,
    /// Bytes its process reads in a millisecond.
    pub(super) reads: usize,
    /// Bytes the kernel takes in one write, if it takes any.
    pub(super) takes: usize,
    /// Packets get through, both ways.
    pub(super) carries: bool,
    /// It closes each connection at its first bytes and reads none, as a port for another protocol
    /// does.
    pub(super) shuns: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialling {
    Answered,
    Refused,
    /// The call itself fails, as without a route.
    Impossible,
}

impl Manner {
    pub(super) const WELL: Self = Self {
        dialling: Dialling::Answered,
        reads: usize::MAX >> 20,
        takes: usize::MAX,
        carries: true,
        shuns: false,
    };
}

/// A line whose last byte was acknowledged, and which died unread with its connection.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) line: Vec<u8>,
    /// How many flushes had begun when it was acknowledged, and when it died.
    pub(super) acknowledged: u64,
    pub(super) died: u64,
    /// The server had closed its end before.
    pub(super) left: bool,
    /// The peer closed the connection at its first bytes.
    pub(super) shunned: bool,
}

#[derive(Debug)]
struct Wire {
    token: Token,
    stage: WireStage,
    /// Written and not acknowledged.
    in_flight: VecDeque<u8>,
    /// Acknowledged and not read.
    received: VecDeque<u8>,
    /// A line the process has read the beginning of.
    torn: Vec<u8>,
    /// How many bytes were acknowledged in all, and by which flush.
    acknowledged: VecDeque<(usize, u64)>,
    read_bytes: usize,
    last_ack: Tick,
    /// When the first bytes on it were acknowledged.
    began: Option<Tick>,
    /// A write found no room.
    waits: bool,
    /// The server has closed it.
    left: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WireStage {
    Dialled {
        until: Tick,
        refused: bool,
    },
    Up,
    /// The peer has said that it sends no more.
    Farewell,
    /// The peer's process has ended, and this end was not told.
    Gone,
    Broken(ErrorKind),
}

impl Peer {
    pub(super) fn new(reader: OnLine) -> Self {
        Self(Rc::new(RefCell::new(PeerState {
            now: Tick::default(),
            flush: 0,
            manner: Manner::WELL,
            wires: Vec::new(),
            events: Vec::new(),
            read: Lines::default(),
            reader,
            seen: Seen::default(),
            lost: Vec::new(),
            resets: 0,
        })))
    }

    pub(super) fn behave(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut self.0.borrow_mut().manner);
    }

    /// Its process dies: every connection with it, and what was not read.
    pub(super) fn dies(&self) {
        self.0.borrow_mut().die();
    }

    /// It closes every connection, having read all it has received.
    pub(super) fn says_farewell(&self) {
        let state = &mut *self.0.borrow_mut();
        if !state.manner.carries {
            return; // it would not come through
        }
        for wire in state.wires.iter_mut().filter(|wire| wire.stage == WireStage::Up) {
            let all = wire.received.len();
            wire.read(all, &mut state.read, (state.reader, &mut state.seen));
            wire.stage = WireStage::Farewell;
            state.events.push(wire.token);
        }
    }

    pub(super) fn flush_begins(&self) {
        self.0.borrow_mut().flush += 1;
    }

    pub(super) fn flush(&self) -> u64 {
        self.0.borrow().flush
    }

    /// Lets time pass; returns whose sockets have news.
    pub(super) fn advance(&self, now: Tick) -> Vec<Token> {
        let state = &mut *self.0.borrow_mut();
        let millis = usize::try_from((now - state.now).as_micros().div_ceil(1000)).unwrap();
        state.now = now;
        for wire in &mut state.wires {
            wire.carry(now, state.flush, state.manner, &mut state.events);
            if state.manner.shuns && !wire.received.is_empty() && wire.stage == WireStage::Up {
                let unread = wire.unread_lines(state.flush);
                let shunned = wire.began == Some(now);
                state.lost.extend(unread.into_iter().map(|lost| Lost { shunned, ..lost }));
                state.resets += 1;
                wire.stage = WireStage::Broken(ErrorKind::ConnectionReset);
                state.events.push(wire.token);
            }
            let bytes = state.manner.reads.saturating_mul(millis);
            wire.read(bytes, &mut state.read, (state.reader, &mut state.seen));
        }
        state.wires.retain(|wire| !wire.is_over());
        std::mem::take(&mut state.events)
    }

    /// Looks at, or changes, what its reader has found out.
    pub(super) fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.0.borrow_mut().seen)
    }

    /// What its process has read.
    pub(super) fn take_read(&self) -> Lines {
        std::mem::take(&mut self.0.borrow_mut().read)
    }

    pub(super) fn take_lost(&self) -> Vec<Lost> {
        std::mem::take(&mut self.0.borrow_mut().lost)
    }

    pub(super) fn resets(&self) -> usize {
        self.0.borrow().resets
    }
}

impl PeerState {
    fn die(&mut self) {
        for wire in &mut self.wires {
            if !matches!(wire.stage, WireStage::Up | WireStage::Farewell) {
                continue;
            }
            self.lost.extend(wire.unread_lines(self.flush));
            self.resets += 1;
            if self.manner.carries {
                wire.stage = WireStage::Broken(ErrorKind::ConnectionReset);
                self.events.push(wire.token);
            } else {
                wire.stage = WireStage::Gone;
            }
        }
    }

    fn wire(&mut self, token: Token) -> &mut Wire {
        self.wires.iter_mut().find(|wire| wire.token == token && !wire.left).expect("it is open")
    }
}

impl Wire {
    fn new(token: Token, now: Tick, refused: bool) -> Self {
        Self {
            token,
            stage: WireStage::Dialled { until: now + TRIP, refused },
            in_flight: VecDeque::new(),
            received: VecDeque::new(),
            torn: Vec::new(),
            acknowledged: VecDeque::new(),
            read_bytes: 0,
            last_ack: now,
            began: None,
            waits: false,
            left: false,
        }
    }

    /// Takes packets from one end to the other.
    fn carry(&mut self, now: Tick, flush: u64, manner: Manner, events: &mut Vec<Token>) {
        if !manner.carries {
            return;
        }
        match self.stage {
            WireStage::Dialled { until, refused } if until <= now => {
                self.stage = if refused {
                    WireStage::Broken(ErrorKind::ConnectionRefused)
                } else {
                    WireStage::Up
                };
                self.last_ack = now;
                events.push(self.token);
            }
            WireStage::Gone if !self.in_flight.is_empty() => {
                self.stage = WireStage::Broken(ErrorKind::ConnectionReset);
                events.push(self.token);
            }
            WireStage::Up | WireStage::Farewell => {
                let moved = self.in_flight.len().min(RECEIVE_ROOM - self.received.len());
                shift(&mut self.in_flight, moved, |bytes| self.received.extend(bytes));
                if moved > 0 {
                    self.began.get_or_insert(now);
                    let before = self.acknowledged.back().map_or(0, |(bytes, _)| *bytes);
                    self.acknowledged.push_back((before + moved, flush));
                }
                self.last_ack = now; // of data, or of a probe of the closed window
                if self.waits && self.in_flight.len() < SEND_ROOM / 2 {
                    self.waits = false;
                    events.push(self.token);
                }
            }
            _ => {}
        }
    }

    fn read(&mut self, bytes: usize, lines: &mut Lines, (reader, seen): (OnLine, &mut Seen)) {
        let bytes = bytes.min(self.received.len());
        self.read_bytes += bytes;
        shift(&mut self.received, bytes, |bytes| self.torn.extend_from_slice(bytes));
        if let Some(end) = memrchr(b'\n', &self.torn) {
            let rest = self.torn.split_off(end + 1);
            for line in self.torn.split_inclusive(|&byte| byte == b'\n') {
                reader(line, seen);
                match lines.get_mut(line) {
                    Some(times) => *times += 1,
                    None => _ = lines.insert(line.to_vec(), 1),
                }
            }
            self.torn = rest;
        }
    }

    /// The whole lines that die with it, and what is left of it.
    fn unread_lines(&mut self, flush: u64) -> Vec<Lost> {
        let mut at = self.read_bytes - self.torn.len();
        let mut bytes = std::mem::take(&mut self.torn);
        bytes.extend(self.received.drain(..));
        let whole = memrchr(b'\n', &bytes).map_or(0, |end| end + 1);
        let lines = bytes[..whole].split_inclusive(|&byte| byte == b'\n');
        let lost = lines.map(|line| {
            at += line.len();
            let place = self.acknowledged.partition_point(|(end, _)| *end < at);
            let acknowledged = self.acknowledged[place].1;
            Lost { line: line.to_vec(), acknowledged, died: flush, left: self.left, shunned: false }
        });
        lost.collect()
    }

    /// Whether nothing more can happen on this wire.
    fn is_over(&self) -> bool {
        let is_done = self.in_flight.is_empty() && self.received.is_empty();
        self.left && (is_done || !matches!(self.stage, WireStage::Up | WireStage::Farewell))
    }

    fn error(&self) -> io::Result<()> {
        match self.stage {
            WireStage::Broken(kind) => Err(kind.into()),
            _ => Ok(()),
        }
    }
}

/// Takes bytes from the front.
fn shift(from: &mut VecDeque<u8>, count: usize, mut to: impl FnMut(&[u8])) {
    let (front, back) = from.as_slices();
    to(&front[..count.min(front.len())]);
    to(&back[..count.saturating_sub(front.len())]);
    from.drain(..count);
}

impl Dialer for Peer {
    fn dial(&mut self, _: SocketAddr, _: &Registry, token: Token) -> io::Result<Box<dyn Socket>> {
        let state = &mut *self.0.borrow_mut();
        if state.manner.dialling == Dialling::Impossible {
            return Err(ErrorKind::NetworkUnreachable.into());
        }
        let refused = state.manner.dialling == Dialling::Refused;
        state.wires.push(Wire::new(token, state.now, refused));
        Ok(Box::new(WireEnd { peer: self.clone(), token }))
    }
}

/// The server's end of a wire.
#[derive(Debug)]
struct WireEnd {
    peer: Peer,
    token: Token,
}

impl Socket for WireEnd {
    fn is_established(&self) -> Result<bool, SinkError> {
        let mut state = self.peer.0.borrow_mut();
        let wire = state.wire(self.token);
        wire.error()?;
        Ok(!matches!(wire.stage, WireStage::Dialled { .. }))
    }

    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        let mut state = self.peer.0.borrow_mut();
        let wire = state.wire(self.token);
        wire.error()?;
        if wire.stage == WireStage::Farewell { Ok(0) } else { Err(ErrorKind::WouldBlock.into()) }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.peer.0.borrow_mut();
        let takes = state.manner.takes;
        let wire = state.wire(self.token);
        wire.error()?;
        let room = SEND_ROOM - wire.in_flight.len();
        let written = bytes.len().min(takes).min(room);
        if written == 0 {
            wire.waits = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        wire.in_flight.extend(&bytes[..written]);
        Ok(written)
    }

    fn outstanding(&self) -> io::Result<usize> {
        Ok(self.peer.0.borrow_mut().wire(self.token).in_flight.len())
    }

    fn signs(&self) -> io::Result<Signs> {
        let mut state = self.peer.0.borrow_mut();
        let (now, carries) = (state.now, state.manner.carries);
        let wire = state.wire(self.token);
        let is_there = carries && matches!(wire.stage, WireStage::Up | WireStage::Farewell);
        let owes_answer = !is_there && !wire.in_flight.is_empty();
        Ok(Signs { last_ack: now - wire.last_ack, owes_answer })
    }
}

impl Drop for WireEnd {
    fn drop(&mut self) {
        self.peer.0.borrow_mut().wire(self.token).left = true;
    }
}
