//! [`Outlet`]: how the chunks of an outbox reach a destination, for each kind of destination.

use std::rc::Rc;

use mio::Registry;

use super::advice::Advice;
use super::console::Console;
use super::datagrams::Datagrams;
use super::exec::Exec;
use super::link::Link;
use super::outage::OutageReport;
use super::outbox::Outbox;
use super::platform::Platform;
use super::state::SinkState;
use crate::config::{Destination, DestinationKind, InfluxTransport};
use crate::encode::repeated::PacketTransport;
use crate::privileges::Login;
use crate::stdio::StandardStream;
use crate::time::{Now, Tick};
use crate::token::Generation;

/// The part of a sink that sends. It writes the head of the outbox. It reports to the outbox what
/// was written and delivered, and when a connection broke. No call blocks.
#[derive(Debug)]
pub(super) enum Outlet {
    /// A TCP connection, plain or with HTTP.
    Link(Box<Link>),
    /// UDP datagrams.
    Datagrams(Box<Datagrams>),
    /// Standard output.
    Console(Box<Console>),
    /// A command for each flush.
    Exec(Box<Exec>),
}

impl Outlet {
    /// Returns the outlet for a destination. The tokens of its descriptors carry `index`. `seed` is
    /// for the jitter between attempts to connect. Only the console needs `stdout`, and panics
    /// without it.
    pub(super) fn new(
        index: u16,
        to: &Destination,
        advice: &Rc<Advice>,
        platform: &dyn Platform,
        seed: u64,
        stdout: Option<StandardStream>,
    ) -> Self {
        let net = || to.net.as_ref().expect("a destination on the network has an address");
        let advice = || Rc::clone(advice);
        let link = || Self::Link(Box::new(Link::new(index, to, net(), advice(), platform, seed)));
        let datagrams = || {
            Self::Datagrams(Box::new(Datagrams::new(index, to, net(), advice(), platform, seed)))
        };
        match &to.kind {
            DestinationKind::Carbon(_) => link(),
            DestinationKind::Influxdb(influxdb) => match influxdb.protocol {
                InfluxTransport::Http => link(),
                InfluxTransport::Udp => datagrams(),
            },
            DestinationKind::Ganglia(_) => datagrams(),
            DestinationKind::Repeater(repeater) => match repeater.protocol {
                PacketTransport::Datagrams => datagrams(),
                PacketTransport::Stream => link(),
            },
            DestinationKind::Console(_) => {
                let stdout = stdout.expect("it was opened for the console");
                Self::Console(Box::new(Console::new(index, stdout)))
            }
            DestinationKind::Exec(exec) => Self::Exec(Box::new(Exec::new(index, &to.name, exec))),
        }
    }

    /// Changes the settings. `to` must be of the same kind and protocol: another protocol needs
    /// another outlet, and the queue holds chunks of the old one.
    pub(super) fn reconfigure(&mut self, to: &Destination, outbox: &mut Outbox, now: Now) {
        match self {
            Self::Link(link) => link.reconfigure(to, outbox, now),
            Self::Datagrams(datagrams) => datagrams.reconfigure(to, now),
            Self::Console(_) => {}
            Self::Exec(exec) => exec.reconfigure(to),
        }
    }

    /// Sets the account that this process has become. Commands get its name and home.
    pub(super) fn run_as(&mut self, account: &Rc<Login>) {
        if let Self::Exec(exec) = self {
            exec.run_as(account);
        }
    }

    /// Handles an event for a descriptor of this outlet. Spurious and stale events do no harm.
    pub(super) fn ready(
        &mut self,
        on: Generation,
        outbox: &mut Outbox,
        now: Now,
        registry: &Registry,
    ) {
        match self {
            Self::Link(link) => link.ready(on, outbox, now, registry),
            Self::Datagrams(datagrams) => datagrams.ready(on, outbox, now),
            Self::Console(console) => console.ready(),
            Self::Exec(exec) => exec.ready(on),
        }
    }

    /// Does what is due at `now`. A call that is early, late or repeated does no harm.
    pub(super) fn timeout(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry) {
        match self {
            Self::Link(link) => link.timeout(outbox, now, registry),
            Self::Datagrams(datagrams) => datagrams.timeout(outbox, now),
            Self::Console(console) => console.timeout(now),
            Self::Exec(exec) => exec.check(outbox, now),
        }
    }

    /// Returns when [`timeout`](Self::timeout) has something to do.
    pub(super) fn deadline(&self) -> Option<Tick> {
        match self {
            Self::Link(link) => link.deadline(),
            Self::Datagrams(datagrams) => datagrams.deadline(),
            Self::Console(console) => console.deadline(),
            Self::Exec(exec) => exec.deadline(),
        }
    }

    /// Writes a turn's share of the outbox. Returns whether there is more to do at once, without an
    /// event.
    pub(super) fn pump(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry) -> bool {
        match self {
            Self::Link(link) => link.pump(outbox, now, registry),
            Self::Datagrams(datagrams) => {
                datagrams.pump(outbox, now, registry);
                false
            }
            Self::Console(console) => console.pump(outbox, now, registry),
            Self::Exec(exec) => exec.pump(outbox, now, registry),
        }
    }

    /// Polls for acknowledgements and passes them on to the outbox. Called at each tick. The
    /// console and commands need no poll: written is delivered.
    pub(super) fn poll_acks(&mut self, outbox: &mut Outbox, now: Now) {
        match self {
            Self::Link(link) => link.poll_acks(outbox, now),
            Self::Datagrams(datagrams) => datagrams.poll_acks(outbox, now),
            Self::Console(_) | Self::Exec(_) => {}
        }
    }

    /// Prepares for a stop or a removal, which waits until the outbox is drained. A wait between
    /// two attempts is cut short.
    pub(super) fn drain(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry) {
        match self {
            Self::Link(link) => link.drain(outbox, now, registry),
            Self::Datagrams(datagrams) => datagrams.drain(),
            Self::Console(console) => console.drain(now),
            Self::Exec(exec) => exec.drain(now),
        }
    }

    /// Whether an attempt has failed, and the next one is due only after a long rest. A stop does
    /// not wait for that. Destinations on the network are tried again within `reconnect_max`.
    pub(super) fn rests(&self, now: Tick) -> bool {
        match self {
            Self::Link(_) | Self::Datagrams(_) => false,
            Self::Console(console) => console.rests(now),
            Self::Exec(exec) => exec.rests(now),
        }
    }

    /// Ends the connection or the command, because the time for a stop is over.
    pub(super) fn close(&mut self, outbox: &mut Outbox) {
        match self {
            Self::Link(link) => link.close(outbox),
            Self::Exec(exec) => exec.close(outbox),
            Self::Datagrams(_) | Self::Console(_) => {}
        }
    }

    /// Whether a stop must wait although the outbox is drained: a command still runs, or a peer may
    /// still close its connection early.
    pub(super) fn is_busy(&self) -> bool {
        match self {
            Self::Link(link) => link.is_busy(),
            Self::Exec(exec) => exec.is_busy(),
            Self::Datagrams(_) | Self::Console(_) => false,
        }
    }

    /// Reaps the ended child process `child` if this outlet started it. Returns whether it did.
    pub(super) fn note_exit(&mut self, child: u32) -> bool {
        match self {
            Self::Link(link) => link.note_exit(child),
            Self::Datagrams(datagrams) => datagrams.note_exit(child),
            Self::Console(_) => false,
            Self::Exec(exec) => exec.note_exit(child),
        }
    }

    /// Whether the destination can be written to now.
    pub(super) fn is_up(&self) -> bool {
        match self {
            Self::Link(link) => link.is_up(),
            Self::Datagrams(datagrams) => datagrams.is_up(),
            Self::Console(console) => console.is_up(),
            Self::Exec(_) => true,
        }
    }

    /// Whether bytes were written or acknowledged in the last second.
    pub(super) fn is_moving(&self, now: Tick) -> bool {
        match self {
            Self::Link(link) => link.is_moving(now),
            Self::Datagrams(datagrams) => datagrams.is_moving(now),
            Self::Console(console) => console.is_moving(now),
            Self::Exec(exec) => exec.is_moving(now),
        }
    }

    /// Returns when the last acknowledgement came, or `now` if that is unknown.
    pub(super) fn last_ack(&self, now: Tick) -> Tick {
        match self {
            Self::Link(link) => link.last_ack(now),
            Self::Datagrams(datagrams) => datagrams.last_ack(now),
            Self::Console(console) => console.last_ack(now),
            Self::Exec(exec) => exec.last_ack(now),
        }
    }

    /// Whether the destination is connected, but accepts nothing.
    pub(super) fn is_stalled(&self) -> bool {
        matches!(self, Self::Link(link) if link.is_stalled())
    }

    /// Whether the last command failed, or could not be started.
    pub(super) fn is_failing(&self) -> bool {
        matches!(self, Self::Exec(exec) if exec.outages().is_out())
    }

    pub(super) fn state(&self) -> SinkState {
        match self {
            Self::Link(link) => link.state(),
            Self::Datagrams(datagrams) => datagrams.state(),
            Self::Console(console) => console.state(),
            Self::Exec(exec) => exec.state(),
        }
    }

    /// Returns the failures since the start.
    pub(super) fn outages(&self) -> &OutageReport {
        match self {
            Self::Link(link) => link.outages(),
            Self::Datagrams(datagrams) => datagrams.outages(),
            Self::Console(console) => console.outages(),
            Self::Exec(exec) => exec.outages(),
        }
    }
}
