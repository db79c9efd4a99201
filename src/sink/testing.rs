//! Shared by the tests of the sinks: a turn of the loop with a clock that the test sets, and
//! stand-ins for carbon.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use mio::{Events, Poll};
use socket2::{SockFilter, SockRef};

use super::datagrams::Datagrams;
use super::link::Link;
use super::look_up::LookUpCommand;
use super::outlet::Outlet;
use super::platform::{Dialer, Platform, SystemPlatform};
use super::spool::Disk;
use super::{Feed, Sink, outbox, spool};
use crate::config::{
    ApiVersion, Carbon, Destination, DestinationKind, InfluxTransport, Influxdb, Net, Protocol,
    Queue, Remote, Resend, Secret,
};
use crate::encode::chunk::Chunk;
use crate::encode::encoders::EncoderId;
use crate::time::{Now, Tick, UnixTime};
use crate::token::EventSource;

/// Calls `attempt` until it returns a result. `attempt` should itself wait a moment.
#[allow(clippy::disallowed_methods)] // so that a test that fails ends
pub(super) fn patiently<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(result) = attempt() {
            return result;
        }
        assert!(Instant::now() < deadline, "still waiting for {what}");
    }
}

pub(super) fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(script);
    command
}

pub(super) fn carbon(address: SocketAddr) -> Destination {
    let carbon = Carbon { protocol: Protocol::Plaintext, pickle_batch: 500 };
    to(address, "carbon", DestinationKind::Carbon(carbon), Resend::Flush)
}

pub(super) fn influxdb(address: SocketAddr) -> Destination {
    influxdb_with(address, |_| {})
}

/// Returns an InfluxDB with other settings of its own.
pub(super) fn influxdb_with(
    address: SocketAddr,
    change: impl FnOnce(&mut Influxdb),
) -> Destination {
    let mut influxdb = Influxdb {
        protocol: InfluxTransport::Http,
        version: ApiVersion::V1,
        database: "statsd".into(),
        username: String::new(),
        password: Secret::default(),
        org: String::new(),
        bucket: String::new(),
        token: Secret::default(),
    };
    change(&mut influxdb);
    to(address, "influxdb", DestinationKind::Influxdb(influxdb), Resend::Unacked)
}

fn to(address: SocketAddr, name: &str, kind: DestinationKind, resend: Resend) -> Destination {
    let remote = Remote { host: address.ip().to_string(), port: address.port() };
    Destination {
        net: Some(Net { remote, reconnect_max: Duration::from_secs(30), ..Net::default() }),
        queue: Queue { bytes: 64 << 20, resend, resend_keep: 2 },
        ..Destination::new(name, kind)
    }
}

/// Returns the destination with a queue of this many bytes.
pub(super) fn with_queue(bytes: usize, mut to: Destination) -> Destination {
    to.queue.bytes = bytes;
    to
}

pub(super) fn with_resend(resend: Resend, mut to: Destination) -> Destination {
    to.queue.resend = resend;
    to
}

pub(super) fn feed() -> Feed {
    Feed::Flushes(EncoderId::default())
}

/// Returns `to` with a name for its host, so that it is looked up.
pub(super) fn with_host(host: &str, mut to: Destination) -> Destination {
    to.net.as_mut().unwrap().remote.host = host.to_owned();
    to
}

thread_local! {
    /// The shell script that answers the look-ups of this test.
    static LOOK_UP: Cell<&'static str> = const { Cell::new("echo error: no script") };
}

/// Sets the shell script that answers the look-ups of this test from now on. It gets the port of
/// the destination as `$PORT`.
pub(super) fn answer_look_ups(script: &'static str) {
    LOOK_UP.set(script);
}

/// The real network and disks, but with look-ups by the script of the test.
#[derive(Debug)]
pub(super) struct ScriptedNames;

impl Platform for ScriptedNames {
    fn dialer(&self, destination: &str) -> Box<dyn Dialer> {
        SystemPlatform.dialer(destination)
    }

    fn disk(&self, folder: &Path) -> io::Result<Box<dyn Disk>> {
        SystemPlatform.disk(folder)
    }

    fn look_up(&self) -> LookUpCommand {
        |_, port| {
            let mut command = shell(LOOK_UP.get());
            command.env("PORT", port.to_string());
            command
        }
    }
}

/// A sink and the loop around it. Events are real, and the test sets the time.
pub(super) struct Rig {
    pub(super) sink: Sink,
    pub(super) now: Now,
    pub(super) poll: Poll,
    events: Events,
    flush: u64,
}

impl Rig {
    pub(super) fn new(destination: &Destination) -> Self {
        Self {
            sink: Sink::new(0, destination, feed(), &ScriptedNames, 7, None),
            now: Now { tick: Tick::from_millis(1000), unix: UnixTime::from_secs(1_000_000) },
            poll: Poll::new().unwrap(),
            events: Events::with_capacity(64),
            flush: 0,
        }
    }

    pub(super) fn advance(&mut self, span: Duration) {
        self.now.tick = self.now.tick + span;
        let millis = u64::try_from(span.as_millis()).unwrap();
        self.now.unix = UnixTime::from_millis(self.now.unix.as_millis() + millis);
    }

    /// Advances the clock to the sink's deadline. Returns by how much.
    pub(super) fn advance_to_deadline(&mut self) -> Duration {
        let wait = self.sink.deadline().expect("a deadline") - self.now.tick;
        self.advance(wait);
        wait
    }

    /// One turn of the loop, with events if there are any now.
    pub(super) fn turn(&mut self) {
        // A signal about a child of another test may interrupt it.
        match self.poll.poll(&mut self.events, Some(Duration::from_millis(1))) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return,
            polled => polled.unwrap(),
        }
        let registry = self.poll.registry();
        for event in &self.events {
            let Ok(EventSource::Sink(_, generation)) = EventSource::try_from(event.token()) else {
                panic!("an event for another: {event:?}");
            };
            self.sink.ready(generation, self.now, registry);
        }
        self.sink.timeout(self.now, registry);
        self.sink.pump(self.now, registry);
    }

    /// Turns the loop until `condition` holds.
    pub(super) fn until(&mut self, what: &str, mut condition: impl FnMut(&Sink) -> bool) {
        patiently(what, || {
            self.turn();
            condition(&self.sink).then_some(())
        });
    }

    pub(super) fn until_state(&mut self, state: &str) {
        self.until(state, |sink| sink.figures().state == state);
    }

    /// A flush of one chunk.
    pub(super) fn flush(&mut self, text: &str) {
        self.flush += 1;
        self.sink.flush_started(self.now, self.flush);
        let lines = u32::try_from(text.lines().count()).unwrap();
        self.sink.push(Chunk::new(text.into(), lines, self.flush));
        self.sink.flush_ended(self.now, self.flush);
    }

    /// Turns the loop until a client is accepted.
    pub(super) fn accept(&mut self, listener: &TcpListener) -> Client {
        let stream = patiently("a connection", || {
            self.turn();
            listener.accept().ok()
        });
        stream.0.set_nonblocking(true).unwrap();
        Client { stream: stream.0, received: String::new() }
    }

    /// Turns the loop until the bytes that the client has received end with `end`.
    pub(super) fn until_text(&mut self, client: &mut Client, end: &str) {
        patiently("the text to arrive", || {
            self.turn();
            client.read().unwrap();
            client.received.ends_with(end).then_some(())
        });
    }

    /// Turns the loop until the client has received exactly this text since it was accepted.
    pub(super) fn until_received(&mut self, client: &mut Client, text: &str) {
        patiently("the text to arrive", || {
            self.turn();
            client.read().unwrap();
            (client.received.len() >= text.len()).then_some(())
        });
        assert!(client.received == text, "another text: {:.200}", client.received);
    }
}

/// Where the lines of a sink are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    pub(crate) delivered: u64,
    pub(crate) queued: u64,
    pub(crate) spooled: u64,
    /// Those of the spooled lines that are in memory alone.
    pub(crate) spooled_in_memory: u64,
    /// Read from what an earlier run left in the spool.
    pub(crate) found: u64,
    pub(crate) dropped: u64,
    pub(crate) in_doubt: u64,
    /// Counted as delivered, and as spooled or in doubt too.
    pub(crate) twice: u64,
    pub(crate) held_bytes: usize,
}

pub(crate) fn account(sink: &Sink) -> Account {
    let outbox = &sink.outbox;
    let figures = sink.figures();
    assert_eq!(figures.queue_lines, outbox::tests::waiting_lines(outbox));
    Account {
        delivered: figures.delivered_lines,
        queued: figures.queue_lines,
        spooled: figures.spool_lines.unwrap_or(0),
        spooled_in_memory: outbox.spool().map_or(0, spool::testing::lines_in_memory),
        found: figures.found_lines.unwrap_or(0),
        dropped: figures.dropped_lines,
        in_doubt: figures.in_doubt,
        twice: figures.twice_lines,
        held_bytes: figures.held_bytes,
    }
}

/// Whether a sink has the outlet that `to` needs.
pub(crate) fn serves(sink: &Sink, to: &Destination) -> bool {
    matches!(sink.outlet, Outlet::Datagrams(_)) == to.is_udp()
}

/// Replaces the network of a TCP sink.
pub(super) fn link(sink: &mut Sink) -> &mut Link {
    let Outlet::Link(link) = &mut sink.outlet else { panic!("this is no link") };
    link
}

pub(super) fn datagrams(sink: &mut Sink) -> &mut Datagrams {
    let Outlet::Datagrams(datagrams) = &mut sink.outlet else { panic!("these are no datagrams") };
    datagrams
}

pub(super) fn listener() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

/// The other end of a connection.
pub(super) struct Client {
    pub(super) stream: TcpStream,
    pub(super) received: String,
}

impl Client {
    /// Reads all bytes that have arrived.
    pub(super) fn read(&mut self) -> io::Result<()> {
        match self.stream.read_to_string(&mut self.received) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    /// Closes the connection with a reset.
    pub(super) fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// Makes a socket deaf: the kernel drops every segment for it.
pub(super) fn deafen(socket: &impl std::os::fd::AsFd) {
    const RETURN_NOTHING: u16 = 0x06;
    SockRef::from(socket).attach_filter(&[SockFilter::new(RETURN_NOTHING, 0, 0, 0)]).unwrap();
}

thread_local! {
    /// Each test has its thread, and so its log.
    static LOG: RefCell<Vec<(log::Level, String)>> = const { RefCell::new(Vec::new()) };
}

struct Capture;

impl log::Log for Capture {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = crate::logging::formatted(record);
        let text = line.trim_end().splitn(3, ' ').nth(2).unwrap_or_default(); // without time and level
        LOG.with_borrow_mut(|log| log.push((record.level(), text.to_owned())));
    }

    fn flush(&self) {}
}

/// The fields of a line, without its sentence.
pub(super) fn fields(line: &str) -> &str {
    &line[line.find("sink=").expect("all lines of sinks have this field")..]
}

/// Returns the lines that this test has logged since the last call. The first call starts the
/// capture.
pub(crate) fn logged() -> Vec<(log::Level, String)> {
    let _ = log::set_logger(&Capture); // fails for all but the first
    log::set_max_level(log::LevelFilter::Trace);
    LOG.take()
}
