//! Where samples come in: sockets on one side, the engine on the other.

use super::token::Source;
use super::{Server, Timer};
use crate::complaints::Grievance;
use crate::config::Tcp;
use crate::flush::Own;
use crate::ingest::Drained;
use crate::ingest::connections::{Connections, Limits};
use crate::ingest::lines::Piece;
use crate::sys::batch::RecvBatch;
use crate::time::Now;

/// What all sources share.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) connections: Connections,
    batch: RecvBatch,
    /// When something last came.
    pub(super) heard: Option<Now>,
}

impl Input {
    pub(super) fn new(tcp: &Tcp) -> Self {
        let limits =
            Limits { connections: tcp.max_connections, idle: tcp.idle_timeout, line: tcp.max_line };
        Self { connections: Connections::new(limits), batch: RecvBatch::new(), heard: None }
    }
}

impl Server {
    /// Gives one source its turn, and remembers it if it has more.
    pub(super) fn receive(&mut self, source: Source) {
        let drained = match source {
            Source::Udp(index) => self.receive_datagrams(index),
            Source::TcpListener(index) => self.accept(index),
            Source::Connection(slot, generation) => {
                let (engine, now) = (&mut self.engine, self.now);
                self.input.heard = Some(now);
                let connections = &mut self.input.connections;
                let drained = connections.read(slot, generation, now.tick, |piece| match piece {
                    Piece::Line(line) => engine.line(line),
                    Piece::Overlong(start) => engine.overlong_line(start),
                });
                if connections.deadline(slot, generation).is_none() {
                    self.wheel.set(Timer::Connection(slot, generation), None);
                }
                drained
            }
            _ => Drained::Dry,
        };
        self.backlog.note(source, drained);
    }

    fn receive_datagrams(&mut self, index: u16) -> Drained {
        let Some(listener) = self.listeners.udp.get_mut(usize::from(index)) else {
            return Drained::Dry;
        };
        let engine = &mut self.engine;
        self.input.heard = Some(self.now);
        let drained = listener.drain(&mut self.input.batch, |datagram| match datagram {
            Some(bytes) => engine.packet(bytes),
            None => {
                engine.count(Own::PacketsReceived, 1);
                engine.count(Own::PacketsTruncated, 1);
            }
        });
        drained.unwrap_or_else(|error| {
            log::warn!("udp=failed reason=\"{error}\"");
            Drained::Dry
        })
    }

    fn accept(&mut self, index: u16) -> Drained {
        let (wheel, engine) = (&mut self.wheel, &mut self.engine);
        let (connections, backlog) = (&mut self.input.connections, &mut self.backlog);
        let (now, registry) = (self.now.tick, self.poll.registry());
        let Some(listener) = self.listeners.tcp.get_mut(usize::from(index)) else {
            return Drained::Dry;
        };
        let drained =
            listener.accept(now, |stream| match connections.admit(stream, now, registry) {
                Some(source @ Source::Connection(slot, generation)) => {
                    let deadline = connections.deadline(slot, generation);
                    wheel.set(Timer::Connection(slot, generation), deadline);
                    backlog.note(source, Drained::More); // its first bytes may be here already
                }
                _ => engine.count(Own::ConnectionsRefused, 1),
            });
        wheel.set(Timer::TcpListener(index), listener.deadline());
        drained
    }

    /// What the kernel dropped on our sockets since the last flush.
    pub(super) fn count_drops(&mut self) {
        let drops: u64 = self.listeners.udp.iter_mut().map(|udp| u64::from(udp.take_drops())).sum();
        if drops > 0 {
            self.engine.count(Own::UdpDrops, drops);
            self.engine.complaints().add_many(Grievance::UdpDrops, drops, b"");
        }
    }
}
