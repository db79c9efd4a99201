//! A network and the peers at its end, in memory. A trial decides what happens to each connection,
//! as a real network or a real peer would: a reset, a stall, or the end of the peer.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use memchr::memrchr;
use mio::{Registry, Token};

use super::process::{Lines, OnLine, PeerProcess, Seen, Speech};
use crate::sink::error::SinkError;
use crate::sink::platform::{Dialer, Socket};
use crate::sys::PeerActivity;
use crate::time::Tick;

/// What the sending and the receiving kernel hold.
const SEND_ROOM: usize = 96 << 10;
const RECEIVE_ROOM: usize = 256 << 10;
const TRIP: Duration = Duration::from_millis(3);

/// A peer. Shared by the link, the sockets it dials and the test.
#[derive(Clone, Debug)]
pub(super) struct Peer(Rc<RefCell<PeerState>>);

#[derive(Debug)]
struct PeerState {
    now: Tick,
    /// The number of flushes begun so far, which the test sets.
    flush: u64,
    behaviour: Behaviour,
    wires: Vec<PeerWire>,
    events: Vec<Token>,
    process: PeerProcess,
    lost: Vec<Lost>,
    resets: usize,
}

/// What the peer does, until the trial changes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Behaviour {
    pub(super) dialling: Dialling,
    /// Bytes its process reads in a millisecond.
    pub(super) reads: usize,
    /// Bytes the kernel takes in one write, if it takes any.
    pub(super) takes: usize,
    /// Packets get through, both ways.
    pub(super) carries: bool,
    /// It closes each connection at its first bytes and reads none, as a port for another protocol
    /// does.
    pub(super) closes_early: bool,
    /// The status of its answers, if it speaks HTTP. 0 means that it never answers.
    pub(super) status: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialling {
    Answered,
    Refused,
    /// The call itself fails, as without a route.
    Impossible,
}

impl Behaviour {
    pub(super) const WELL: Self = Self {
        dialling: Dialling::Answered,
        reads: usize::MAX >> 20,
        takes: usize::MAX,
        carries: true,
        closes_early: false,
        status: 204,
    };
}

/// A line whose last byte was acknowledged, and which was lost unread with its connection.
#[derive(Clone, Debug)]
pub(super) struct Lost {
    pub(super) line: Vec<u8>,
    /// How many flushes had begun when it was acknowledged, and when it was lost.
    pub(super) acknowledged: u64,
    pub(super) lost: u64,
    /// The server had closed its end before.
    pub(super) closed_by_server: bool,
    /// The peer closed the connection at its first bytes.
    pub(super) closed_early: bool,
}

/// One connection.
#[derive(Debug)]
struct PeerWire {
    token: Token,
    stage: WireStage,
    /// Written and not acknowledged.
    in_flight: VecDeque<u8>,
    /// Acknowledged and not read.
    received: VecDeque<u8>,
    /// A line or a request of which the process has read the beginning.
    unfinished: Vec<u8>,
    /// Answers that the server has not read.
    answers: VecDeque<u8>,
    /// The server has no event for these answers yet.
    has_new_answer: bool,
    /// How many bytes were acknowledged in all, and by which flush.
    acknowledged: VecDeque<(usize, u64)>,
    read_bytes: usize,
    last_ack: Tick,
    /// When the first bytes on it were acknowledged.
    began: Option<Tick>,
    /// A write found no room.
    waits: bool,
    closed_by_server: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WireStage {
    Dialled {
        until: Tick,
        refused: bool,
    },
    Up,
    /// The peer has closed its half of the connection.
    HalfClosed,
    /// The peer's process has ended, and the server's end got no packet about it.
    PeerEnded,
    Broken(ErrorKind),
}

impl Peer {
    pub(super) fn new(speech: Speech, on_line: OnLine) -> Self {
        Self(Rc::new(RefCell::new(PeerState {
            now: Tick::default(),
            flush: 0,
            behaviour: Behaviour::WELL,
            wires: Vec::new(),
            events: Vec::new(),
            process: PeerProcess::new(speech, on_line),
            lost: Vec::new(),
            resets: 0,
        })))
    }

    pub(super) fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.0.borrow_mut().behaviour);
    }

    /// Ends its process, every connection, and what was not read.
    pub(super) fn crash(&self) {
        self.0.borrow_mut().crash();
    }

    /// Closes every connection, after reading all that was received.
    pub(super) fn close_connections(&self) {
        let state = &mut *self.0.borrow_mut();
        if !state.behaviour.carries {
            return; // it would not come through
        }
        for wire in state.wires.iter_mut().filter(|wire| wire.stage == WireStage::Up) {
            wire.read(usize::MAX, state.behaviour, &mut state.process);
            wire.stage = WireStage::HalfClosed;
            state.events.push(wire.token);
        }
    }

    pub(super) fn flush_begins(&self) {
        self.0.borrow_mut().flush += 1;
    }

    pub(super) fn flush(&self) -> u64 {
        self.0.borrow().flush
    }

    /// Lets time pass. Returns the tokens of the sockets that have events.
    pub(super) fn advance(&self, now: Tick) -> Vec<Token> {
        let state = &mut *self.0.borrow_mut();
        let millis = usize::try_from((now - state.now).as_micros().div_ceil(1000)).unwrap();
        state.now = now;
        for wire in &mut state.wires {
            wire.carry(now, state.flush, state.behaviour, &mut state.events);
            if state.behaviour.closes_early
                && !wire.received.is_empty()
                && wire.stage == WireStage::Up
            {
                let unread = wire.unread_lines(state.flush, state.process.speech);
                let closed_early = wire.began == Some(now);
                state.lost.extend(unread.into_iter().map(|lost| Lost { closed_early, ..lost }));
                state.resets += 1;
                wire.stage = WireStage::Broken(ErrorKind::ConnectionReset);
                state.events.push(wire.token);
            }
            let bytes = state.behaviour.reads.saturating_mul(millis);
            wire.read(bytes, state.behaviour, &mut state.process);
        }
        state.wires.retain(|wire| !wire.is_over());
        std::mem::take(&mut state.events)
    }

    /// Reads, or changes, what its process has found out.
    pub(super) fn seen<T>(&self, act: impl FnOnce(&mut Seen) -> T) -> T {
        act(&mut self.0.borrow_mut().process.seen)
    }

    /// Passes on what its process has read.
    pub(super) fn with_read<T>(&self, act: impl FnOnce(&Lines) -> T) -> T {
        act(&self.0.borrow().process.read)
    }

    /// Returns the lines that it has lost.
    pub(super) fn lost(&self) -> Vec<Lost> {
        self.0.borrow().lost.clone()
    }

    pub(super) fn resets(&self) -> usize {
        self.0.borrow().resets
    }
}

impl PeerState {
    fn crash(&mut self) {
        for wire in &mut self.wires {
            if !matches!(wire.stage, WireStage::Up | WireStage::HalfClosed) {
                continue;
            }
            self.lost.extend(wire.unread_lines(self.flush, self.process.speech));
            self.resets += 1;
            if self.behaviour.carries {
                wire.stage = WireStage::Broken(ErrorKind::ConnectionReset);
                self.events.push(wire.token);
            } else {
                wire.stage = WireStage::PeerEnded;
            }
        }
    }

    fn wire(&mut self, token: Token) -> &mut PeerWire {
        let is_its = |wire: &&mut PeerWire| wire.token == token && !wire.closed_by_server;
        self.wires.iter_mut().find(is_its).expect("it is open")
    }
}

impl PeerWire {
    fn new(token: Token, now: Tick, refused: bool) -> Self {
        Self {
            token,
            stage: WireStage::Dialled { until: now + TRIP, refused },
            in_flight: VecDeque::new(),
            received: VecDeque::new(),
            unfinished: Vec::new(),
            answers: VecDeque::new(),
            has_new_answer: false,
            acknowledged: VecDeque::new(),
            read_bytes: 0,
            last_ack: now,
            began: None,
            waits: false,
            closed_by_server: false,
        }
    }

    /// Takes packets from one end to the other.
    fn carry(&mut self, now: Tick, flush: u64, behaviour: Behaviour, events: &mut Vec<Token>) {
        if !behaviour.carries {
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
            WireStage::PeerEnded if !self.in_flight.is_empty() => {
                self.stage = WireStage::Broken(ErrorKind::ConnectionReset);
                events.push(self.token);
            }
            WireStage::Up | WireStage::HalfClosed => {
                let moved = self.in_flight.len().min(RECEIVE_ROOM - self.received.len());
                shift(&mut self.in_flight, moved, |bytes| self.received.extend(bytes));
                if moved > 0 {
                    self.began.get_or_insert(now);
                    let before = self.acknowledged.back().map_or(0, |(bytes, _)| *bytes);
                    self.acknowledged.push_back((before + moved, flush));
                }
                self.last_ack = now; // of data, or of a probe of the closed window
                let has_room = self.waits && self.in_flight.len() < SEND_ROOM / 2;
                self.waits &= !has_room;
                if has_room || std::mem::take(&mut self.has_new_answer) {
                    events.push(self.token);
                }
            }
            _ => {}
        }
    }

    /// Lets the process read at most `bytes`.
    fn read(&mut self, bytes: usize, behaviour: Behaviour, process: &mut PeerProcess) {
        let bytes = bytes.min(self.received.len());
        if bytes == 0 {
            return;
        }
        self.read_bytes += bytes;
        shift(&mut self.received, bytes, |bytes| self.unfinished.extend_from_slice(bytes));
        let answers = process.take(&mut self.unfinished, behaviour.status);
        self.has_new_answer |= !answers.is_empty();
        self.answers.extend(answers);
    }

    /// Returns the whole lines that are lost with it. Of HTTP there are none: a request without an
    /// answer is sent again.
    fn unread_lines(&mut self, flush: u64, speech: Speech) -> Vec<Lost> {
        let mut at = self.read_bytes - self.unfinished.len();
        let mut bytes = std::mem::take(&mut self.unfinished);
        bytes.extend(self.received.drain(..));
        if speech == Speech::Http {
            return Vec::new();
        }
        let whole = memrchr(b'\n', &bytes).map_or(0, |end| end + 1);
        let lines = bytes[..whole].split_inclusive(|&byte| byte == b'\n');
        let lost = lines.map(|line| {
            at += line.len();
            let place = self.acknowledged.partition_point(|(end, _)| *end < at);
            Lost {
                line: line.to_vec(),
                acknowledged: self.acknowledged[place].1,
                lost: flush,
                closed_by_server: self.closed_by_server,
                closed_early: false,
            }
        });
        lost.collect()
    }

    /// Whether nothing more can happen on this wire.
    fn is_over(&self) -> bool {
        let is_empty = self.in_flight.is_empty() && self.received.is_empty();
        let is_open = matches!(self.stage, WireStage::Up | WireStage::HalfClosed);
        self.closed_by_server && (is_empty || !is_open)
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
        if state.behaviour.dialling == Dialling::Impossible {
            return Err(ErrorKind::NetworkUnreachable.into());
        }
        let refused = state.behaviour.dialling == Dialling::Refused;
        state.wires.push(PeerWire::new(token, state.now, refused));
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

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.peer.0.borrow_mut();
        let carries = state.behaviour.carries;
        let wire = state.wire(self.token);
        wire.error()?;
        let bytes = buffer.len().min(wire.answers.len());
        if carries && bytes > 0 {
            for (at, byte) in wire.answers.drain(..bytes).enumerate() {
                buffer[at] = byte;
            }
            return Ok(bytes);
        }
        if wire.stage == WireStage::HalfClosed { Ok(0) } else { Err(ErrorKind::WouldBlock.into()) }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.peer.0.borrow_mut();
        let takes = state.behaviour.takes;
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

    fn peer_activity(&self) -> io::Result<PeerActivity> {
        let mut state = self.peer.0.borrow_mut();
        let now = state.now;
        let carries = state.behaviour.carries;
        let wire = state.wire(self.token);
        let is_there = carries && matches!(wire.stage, WireStage::Up | WireStage::HalfClosed);
        let owes_answer = !is_there && !wire.in_flight.is_empty();
        Ok(PeerActivity { last_ack: now - wire.last_ack, owes_answer })
    }
}

impl Drop for WireEnd {
    fn drop(&mut self) {
        self.peer.0.borrow_mut().wire(self.token).closed_by_server = true;
    }
}
