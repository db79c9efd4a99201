//! A carbon that records the points of one series family, compactly enough for a million points.
//! It resets connections or stops reading when a test requests it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::SockRef;

use super::{DEADLINE, listen_on, until};

/// What the recorder does with its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Manner {
    Reads,
    /// Accepts, and reads nothing.
    Stalls,
    ReadsByteByByte,
    /// Resets each connection: the open ones at once, and new ones after their first bytes.
    Resets,
}

#[derive(Debug)]
pub(crate) struct Recorder {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    /// Only series whose names begin with this prefix are recorded.
    prefix: Vec<u8>,
    points: Mutex<Recorded>,
    manner: AtomicU8,
    connections: AtomicUsize,
    /// The number of the last connection that was closed. All before it are closed, too.
    cut: AtomicUsize,
    ends: AtomicBool,
}

#[derive(Debug, Default)]
struct Recorded {
    /// The last value, by the hash of the name and the stamp.
    values: HashMap<(u64, u64), f64>,
    /// The number of series that have a point, by the stamp.
    counts: BTreeMap<u64, usize>,
}

impl Recorder {
    pub(crate) fn start(address: SocketAddr, prefix: &str) -> Self {
        let listener = listen_on(address);
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let shared = Arc::new(Shared {
            prefix: prefix.into(),
            points: Mutex::default(),
            manner: AtomicU8::new(Manner::Reads as u8),
            connections: AtomicUsize::new(0),
            cut: AtomicUsize::new(0),
            ends: AtomicBool::new(false),
        });
        let here = Arc::clone(&shared);
        let accepting = Some(std::thread::spawn(move || accept(&listener, &here)));
        Self { address, shared, accepting }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn behave(&self, manner: Manner) {
        self.shared.manner.store(manner as u8, Ordering::SeqCst);
    }

    /// Closes every connection with its unread bytes, as the end of a process does.
    pub(crate) fn cut(&self) {
        self.shared.cut.store(self.connections(), Ordering::SeqCst);
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Returns the number of series that have a point with this stamp.
    pub(crate) fn count_at(&self, stamp: u64) -> usize {
        self.shared.points.lock().unwrap().counts.get(&stamp).copied().unwrap_or_default()
    }

    /// Returns the stamps from `first` on at which all series have a point.
    pub(crate) fn whole_stamps(&self, series: usize, first: u64) -> BTreeSet<u64> {
        let points = self.shared.points.lock().unwrap();
        let stamps = points.counts.range(first..).filter(|(_, count)| **count == series);
        stamps.map(|(stamp, _)| *stamp).collect()
    }

    /// Waits until at least `count` series have a point at a stamp after `stamp`. Returns that
    /// stamp.
    pub(crate) fn until_flush_after(&self, stamp: u64, count: usize) -> u64 {
        until(DEADLINE, &format!("{count} points after {stamp}"), || {
            let points = self.shared.points.lock().unwrap();
            let mut later = points.counts.range(stamp + 1..);
            later.find(|(_, found)| **found >= count).map(|(stamp, _)| *stamp)
        })
    }

    /// Returns the sum of all values.
    pub(crate) fn sum(&self) -> f64 {
        self.shared.points.lock().unwrap().values.values().fold(0.0, |sum, value| sum + value)
    }

    /// Waits until all series have a point at each of these stamps.
    pub(crate) fn until_whole(&self, series: usize, stamps: impl IntoIterator<Item = u64>) {
        for stamp in stamps {
            until(2 * DEADLINE, &format!("all points of {stamp}"), || {
                (self.count_at(stamp) == series).then_some(())
            });
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl Shared {
    fn is(&self, manner: Manner) -> bool {
        self.manner.load(Ordering::SeqCst) == manner as u8
    }

    fn note(&self, lines: &[u8]) {
        let mut points = self.points.lock().unwrap();
        for line in lines.split(|&byte| byte == b'\n') {
            let Some(rest) = line.strip_prefix(self.prefix.as_slice()) else { continue };
            let mut words = str::from_utf8(rest).unwrap().split(' ');
            let (name, value, stamp) = (words.next(), words.next(), words.next());
            let name = BuildHasherDefault::<DefaultHasher>::new().hash_one(name.unwrap());
            let stamp = stamp.unwrap().parse().unwrap();
            let value = value.unwrap().parse().unwrap();
            if points.values.insert((name, stamp), value).is_none() {
                *points.counts.entry(stamp).or_default() += 1;
            }
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while !shared.ends.load(Ordering::SeqCst) {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(2));
            continue;
        };
        let number = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
        let shared = Arc::clone(shared);
        std::thread::spawn(move || read(stream, number, &shared));
    }
}

fn read(mut stream: TcpStream, number: usize, shared: &Shared) {
    stream.set_nonblocking(true).unwrap();
    let (mut buffer, mut pending) = (vec![0; 1 << 18], Vec::new());
    while !shared.ends.load(Ordering::SeqCst) && shared.cut.load(Ordering::SeqCst) < number {
        if shared.is(Manner::Stalls) {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        let room = if shared.is(Manner::ReadsByteByByte) { 1 } else { buffer.len() };
        match stream.read(&mut buffer[..room]) {
            Ok(0) => return,
            Ok(_) if shared.is(Manner::Resets) => {
                let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                return;
            }
            Ok(count) => {
                pending.extend_from_slice(&buffer[..count]);
                if shared.is(Manner::ReadsByteByByte) && pending.len().is_multiple_of(32) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(_) => return,
        }
        if let Some(end) = pending.iter().rposition(|&byte| byte == b'\n') {
            let rest = pending.split_off(end + 1);
            shared.note(&std::mem::replace(&mut pending, rest));
        }
    }
}
