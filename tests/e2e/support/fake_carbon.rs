//! A stand-in for carbon, which stores every byte that it receives, in order, for each connection.
//! It can be down at first, go down, and come back, all on one port.

use std::collections::BTreeSet;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::Socket;

use super::{DEADLINE, listen_on, read, reserve_tcp, until};

/// One received line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) name: String,
    /// The line as it was sent.
    pub(crate) value: String,
    pub(crate) stamp: u64,
    /// The number of the connection, from 1.
    pub(crate) connection: usize,
}

impl Point {
    pub(crate) fn number(&self) -> f64 {
        self.value.parse().unwrap()
    }

    /// Whether the line is one of the server's own figures.
    pub(crate) fn is_own(&self) -> bool {
        self.name.split('.').any(|element| element == "statsd")
    }
}

#[derive(Debug)]
pub(crate) struct FakeCarbon {
    address: SocketAddr,
    /// Reserves the port while this carbon does not listen.
    _reserved: Socket,
    received: Arc<Received>,
    listening: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

#[derive(Debug, Default)]
struct Received {
    points: Mutex<Vec<Point>>,
    /// Lines that are no points, and the last bytes of a connection that had no newline.
    broken: Mutex<Vec<String>>,
    connections: AtomicUsize,
    /// The connections from which more may come.
    open: AtomicUsize,
    to_hang_up_on: AtomicUsize,
    paused: AtomicBool,
    /// The number of the last connection that existed when the test broke all connections.
    cut: AtomicUsize,
    live: Mutex<Vec<TcpStream>>,
}

impl FakeCarbon {
    /// Returns a carbon that listens from the start.
    pub(crate) fn start() -> Self {
        let mut carbon = Self::absent();
        carbon.listen();
        carbon
    }

    /// Returns a carbon that refuses connections until the test makes it listen.
    pub(crate) fn absent() -> Self {
        let (reserved, address) = reserve_tcp();
        Self { address, _reserved: reserved, received: Arc::default(), listening: None }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn listen(&mut self) {
        let listener = listen_on(self.address);
        listener.set_nonblocking(true).unwrap();
        let open = Arc::new(AtomicBool::new(true));
        let (received, still_open) = (Arc::clone(&self.received), Arc::clone(&open));
        let accepting = std::thread::spawn(move || accept(&listener, &received, &still_open));
        self.listening = Some((open, accepting));
    }

    /// Closes the listener and every connection.
    pub(crate) fn close(&mut self) {
        let Some((open, accepting)) = self.listening.take() else { return };
        open.store(false, Ordering::SeqCst);
        accepting.join().unwrap();
        self.break_connections();
    }

    /// Closes every connection and continues to listen.
    pub(crate) fn break_connections(&self) {
        self.received.cut.store(self.connections(), Ordering::SeqCst);
        for stream in self.received.live.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Accepts the next `count` connections and closes them at once.
    pub(crate) fn hang_up_on(&self, count: usize) {
        self.received.to_hang_up_on.store(count, Ordering::SeqCst);
    }

    /// Keeps the connections and reads nothing until the test calls `read_on`.
    pub(crate) fn stop_reading(&self) {
        self.received.paused.store(true, Ordering::SeqCst);
    }

    pub(crate) fn read_on(&self) {
        self.received.paused.store(false, Ordering::SeqCst);
    }

    /// Returns the number of accepted connections, including those that it closed at once.
    pub(crate) fn connections(&self) -> usize {
        self.received.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn broken_lines(&self) -> Vec<String> {
        self.received.broken.lock().unwrap().clone()
    }

    /// Returns every received point, in order.
    pub(crate) fn points(&self) -> Vec<Point> {
        self.received.points.lock().unwrap().clone()
    }

    /// Waits until the server has closed its connections, as it does at a stop, and returns every
    /// point that it sent. The end of the server's process does not mean that all was read.
    pub(crate) fn points_at_the_end(&self) -> Vec<Point> {
        until(DEADLINE, "the end of each connection", || {
            let is_over = self.connections() > 0 && self.received.open.load(Ordering::SeqCst) == 0;
            is_over.then(|| self.points())
        })
    }

    /// Returns the stamps of a series, in order. A repeated one occurs once.
    pub(crate) fn stamps(&self, name: &str) -> BTreeSet<u64> {
        self.series(name).iter().map(|point| point.stamp).collect()
    }

    /// Returns the points of one series, in order.
    pub(crate) fn series(&self, name: &str) -> Vec<Point> {
        let points = self.received.points.lock().unwrap();
        points.iter().filter(|point| point.name == name).cloned().collect()
    }

    /// Waits until `look` returns a value for the received points.
    pub(crate) fn until<T>(&self, what: &str, mut look: impl FnMut(&[Point]) -> Option<T>) -> T {
        until(DEADLINE, what, || look(&self.received.points.lock().unwrap()))
    }

    /// Waits for a point with this name and value, and returns the first.
    pub(crate) fn until_point(&self, name: &str, value: f64) -> Point {
        self.until(&format!("{name} {value} at carbon"), |points| {
            points.iter().find(|point| point.name == name && point.number() == value).cloned()
        })
    }

    /// Waits for all of the first flush with a stamp after `stamp`. Returns its stamp and points.
    /// The own figures are the last lines of a flush. `numStats` marks the end of all other lines
    /// and of the own counters. Further own figures come after it, so they may be missing.
    pub(crate) fn flush_after(&self, stamp: u64) -> (u64, Vec<Point>) {
        self.until("a whole flush at carbon", |points| {
            let ends = |point: &&Point| point.stamp > stamp && point.name.ends_with(".numStats");
            let stamp = points.iter().find(ends)?.stamp;
            let flush = points.iter().filter(|point| point.stamp == stamp);
            Some((stamp, flush.cloned().collect()))
        })
    }
}

impl Drop for FakeCarbon {
    fn drop(&mut self) {
        self.close();
    }
}

fn accept(listener: &TcpListener, received: &Arc<Received>, open: &AtomicBool) {
    while open.load(Ordering::SeqCst) {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(2));
            continue;
        };
        let number = received.connections.fetch_add(1, Ordering::SeqCst) + 1;
        let less = |left: usize| left.checked_sub(1);
        if received.to_hang_up_on.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
            continue;
        }
        stream.set_nonblocking(false).unwrap();
        received.open.fetch_add(1, Ordering::SeqCst);
        received.live.lock().unwrap().push(stream.try_clone().unwrap());
        let received = Arc::clone(received);
        std::thread::spawn(move || {
            receive(stream, number, &received);
            received.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

fn receive(mut stream: TcpStream, connection: usize, received: &Received) {
    let mut buffer = vec![0; 256 * 1024];
    let mut pending = Vec::new();
    while let Ok(count @ 1..) = read(&mut stream, &mut buffer) {
        while received.paused.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(2));
        }
        pending.extend_from_slice(&buffer[..count]);
        let Some(end) = pending.iter().rposition(|&byte| byte == b'\n') else { continue };
        let rest = pending.split_off(end + 1);
        let whole = std::mem::replace(&mut pending, rest);
        note(&String::from_utf8_lossy(&whole), connection, received);
    }
    // A connection that this carbon has broken may end in the middle of a line.
    let ours = received.cut.load(Ordering::SeqCst) >= connection;
    if !pending.is_empty() && !ours {
        received.broken.lock().unwrap().push(String::from_utf8_lossy(&pending).into_owned());
    }
}

fn note(lines: &str, connection: usize, received: &Received) {
    let mut points = received.points.lock().unwrap();
    for line in lines.lines() {
        match point(line, connection) {
            Some(point) => points.push(point),
            None => received.broken.lock().unwrap().push(line.to_owned()),
        }
    }
}

fn point(line: &str, connection: usize) -> Option<Point> {
    let mut fields = line.split(' ');
    let (name, value, stamp) = (fields.next()?, fields.next()?, fields.next()?);
    value.parse::<f64>().ok()?;
    let stamp = stamp.parse().ok()?;
    let whole = fields.next().is_none() && !name.is_empty();
    whole.then(|| Point { name: name.to_owned(), value: value.to_owned(), stamp, connection })
}
