//! A carbon that reads the flushes of servers, adds up the series that a measurement watches, and
//! notes when bytes arrived.

use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use statsd_bench::{Clock, beside};

#[derive(Debug)]
pub(crate) struct Carbon {
    port: u16,
    clock: Clock,
    arrivals: Arc<Mutex<Arrivals>>,
}

/// The data that has arrived so far.
#[derive(Debug, Default)]
struct Arrivals {
    watched: Vec<(Vec<u8>, Watched)>,
    /// Older points are ignored: a server may send points again that another carbon has received.
    after: u64,
    bursts: Vec<Burst>,
}

/// The lines with the watched prefix.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Watched {
    pub(crate) lines: u64,
    /// The sum of their values.
    pub(crate) sum: f64,
    pub(crate) largest: f64,
}

/// Bytes that arrived without a pause between them: a flush.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Burst {
    pub(crate) first: Duration,
    pub(crate) last: Duration,
    pub(crate) lines: u64,
}

/// A longer silence ends a burst.
const PAUSE: Duration = Duration::from_millis(500);

impl Carbon {
    /// Starts a carbon on a free port.
    pub(crate) fn start() -> io::Result<Self> {
        Self::listen((Ipv4Addr::LOCALHOST, 0).into())
    }

    pub(crate) fn listen(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let clock = Clock::start();
        let arrivals = Arc::default();
        let here = Arc::downgrade(&arrivals);
        // Listens as long as the carbon is there.
        beside(move || {
            while let Some(arrivals) = here.upgrade() {
                match listener.accept() {
                    Ok((stream, _)) => _ = beside(move || read(stream, clock, &arrivals)),
                    Err(_) => Clock::sleep(Duration::from_millis(20)),
                }
            }
        });
        Ok(Self { port, clock, arrivals })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// From now on adds up the values of lines with this prefix.
    pub(crate) fn watch(&self, start: &str) {
        self.arrivals().watched.push((start.into(), Watched::default()));
    }

    /// From now on ignores points of intervals that have ended.
    pub(crate) fn forget(&self) {
        self.arrivals().after = Clock::unix_seconds();
    }

    /// Returns what has arrived of it, which is nothing if it is not watched.
    pub(crate) fn watched(&self, start: &str) -> Watched {
        let arrivals = self.arrivals();
        let found = arrivals.watched.iter().find(|(watched, _)| watched == start.as_bytes());
        found.map(|(_, watched)| *watched).unwrap_or_default()
    }

    /// The clock of the times of bursts.
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// Returns the bursts that have ended.
    pub(crate) fn bursts(&self) -> Vec<Burst> {
        let now = self.clock.elapsed();
        self.arrivals().bursts.iter().filter(|burst| burst.last + PAUSE < now).copied().collect()
    }

    fn arrivals(&self) -> MutexGuard<'_, Arrivals> {
        self.arrivals.lock().expect("no reader panics")
    }
}

fn read(mut stream: TcpStream, clock: Clock, arrivals: &Mutex<Arrivals>) {
    let mut buffer = vec![0; 1 << 20];
    let mut held = 0;
    let _ = stream.set_nonblocking(false);
    // No line is as long as the buffer.
    while let Ok(count @ 1..) = stream.read(&mut buffer[held..]) {
        held += count;
        let whole = memchr::memrchr(b'\n', &buffer[..held]).map_or(0, |end| end + 1);
        let mut arrivals = arrivals.lock().expect("no reader panics");
        arrivals.take(&buffer[..whole], clock.elapsed());
        buffer.copy_within(whole..held, 0);
        held -= whole;
    }
}

impl Arrivals {
    fn take(&mut self, lines: &[u8], now: Duration) {
        let count = memchr::memchr_iter(b'\n', lines).count() as u64;
        match self.bursts.last_mut().filter(|burst| now < burst.last + PAUSE) {
            Some(burst) => {
                burst.last = now;
                burst.lines += count;
            }
            None => self.bursts.push(Burst { first: now, last: now, lines: count }),
        }
        if self.watched.is_empty() {
            return;
        }
        for line in lines.split(|&byte| byte == b'\n') {
            for (start, watched) in &mut self.watched {
                let point = if line.starts_with(start) { point(line) } else { None };
                if let Some((value, _)) = point.filter(|(_, stamp)| *stamp > self.after) {
                    watched.add(value);
                }
            }
        }
    }
}

impl Watched {
    fn add(&mut self, value: f64) {
        self.lines += 1;
        self.sum += value;
        self.largest = self.largest.max(value);
    }
}

/// Returns the value and the stamp of `name value stamp`.
fn point(line: &[u8]) -> Option<(f64, u64)> {
    let mut words = std::str::from_utf8(line).ok()?.split(' ').skip(1);
    Some((words.next()?.parse().ok()?, words.next()?.trim_end().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_watched_adds_up_and_a_pause_ends_a_burst() {
        let watched = vec![(b"stats_counts.b".to_vec(), Watched::default())];
        let mut arrivals = Arrivals { watched, ..Arrivals::default() };
        let at = Duration::from_millis;
        arrivals.after = 9;
        arrivals.take(b"stats_counts.b.x 800 9\n", at(999));
        arrivals.take(b"stats_counts.b.x 4.5 10\nstats.b.x 0.3 10\n", at(1000));
        arrivals.take(b"stats_counts.b.y 3 10\n", at(1400));
        arrivals.take(b"stats_counts.c 9 20\n", at(2000));
        assert_eq!(arrivals.watched[0].1, Watched { lines: 2, sum: 7.5, largest: 4.5 });
        let bursts: Vec<_> =
            arrivals.bursts.iter().map(|burst| (burst.first, burst.last, burst.lines)).collect();
        assert_eq!(bursts, [(at(999), at(1400), 4), (at(2000), at(2000), 1)]);
    }
}
