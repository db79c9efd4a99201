//! A carbon that reads the flushes of servers, adds up the series that a measurement watches, and
//! notes when bytes arrived.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Carbon {
    pub(crate) port: u16,
    arrivals: Arc<Mutex<Arrivals>>,
}

/// The data that has arrived so far.
#[derive(Debug, Default)]
struct Arrivals {
    /// By the prefix of the lines.
    watched: BTreeMap<String, Watched>,
    bursts: Vec<Burst>,
}

/// The values of the lines with a watched prefix.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Watched {
    pub(crate) sum: f64,
    pub(crate) largest: f64,
}

/// Bytes that arrived without a pause between them: a flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Burst {
    pub(crate) first: Instant,
    pub(crate) last: Instant,
    pub(crate) lines: u64,
}

/// A longer silence ends a burst.
const PAUSE: Duration = Duration::from_millis(500);

impl Carbon {
    /// Starts a carbon on a free port. It adds up the values of lines with these prefixes.
    pub(crate) fn start(prefixes: Vec<String>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let watched = prefixes.into_iter().map(|prefix| (prefix, Watched::default())).collect();
        let arrivals = Arc::new(Mutex::new(Arrivals { watched, bursts: Vec::new() }));
        let shared = Arc::clone(&arrivals);
        // Listens until the end of the program. A run starts a few hundred of these.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || read(stream, &shared));
            }
        });
        Ok(Self { port, arrivals })
    }

    pub(crate) fn watched(&self, prefix: &str) -> Watched {
        self.arrivals().watched.get(prefix).copied().unwrap_or_default()
    }

    /// Returns the bursts that have ended.
    pub(crate) fn bursts(&self) -> Vec<Burst> {
        let has_ended = |burst: &&Burst| burst.last.elapsed() > PAUSE;
        self.arrivals().bursts.iter().filter(has_ended).copied().collect()
    }

    fn arrivals(&self) -> MutexGuard<'_, Arrivals> {
        self.arrivals.lock().expect("no reader panics")
    }
}

fn read(mut stream: TcpStream, arrivals: &Mutex<Arrivals>) {
    let mut buffer = vec![0; 1 << 20];
    let mut held = 0;
    // No line is as long as the buffer.
    while let Ok(count @ 1..) = stream.read(&mut buffer[held..]) {
        held += count;
        let whole = memchr::memrchr(b'\n', &buffer[..held]).map_or(0, |end| end + 1);
        let mut arrivals = arrivals.lock().expect("no reader panics");
        arrivals.take(&buffer[..whole], Instant::now());
        buffer.copy_within(whole..held, 0);
        held -= whole;
    }
}

impl Arrivals {
    fn take(&mut self, lines: &[u8], now: Instant) {
        let count = memchr::memchr_iter(b'\n', lines).count() as u64;
        match self.bursts.last_mut().filter(|burst| now < burst.last + PAUSE) {
            Some(burst) => *burst = Burst { last: now, lines: burst.lines + count, ..*burst },
            None => self.bursts.push(Burst { first: now, last: now, lines: count }),
        }
        if self.watched.is_empty() {
            return;
        }
        for line in lines.split(|&byte| byte == b'\n') {
            for (prefix, watched) in &mut self.watched {
                if line.starts_with(prefix.as_bytes())
                    && let Some(value) = value(line)
                {
                    watched.sum += value;
                    watched.largest = watched.largest.max(value);
                }
            }
        }
    }
}

/// Returns the value of `name value stamp`.
fn value(line: &[u8]) -> Option<f64> {
    std::str::from_utf8(line).ok()?.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_watched_adds_up_and_a_pause_ends_a_burst() {
        let watched = [("stats_counts.b".to_owned(), Watched::default())].into();
        let mut arrivals = Arrivals { watched, ..Arrivals::default() };
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        arrivals.take(b"stats_counts.b.x 4.5 10\nstats.b.x 0.3 10\n", at(1000));
        arrivals.take(b"stats_counts.b.y 3 10\n", at(1400));
        arrivals.take(b"stats_counts.c 9 20\n", at(2000));
        assert_eq!(arrivals.watched["stats_counts.b"], Watched { sum: 7.5, largest: 4.5 });
        let bursts = [(1000, 1400, 3), (2000, 2000, 1)];
        let burst = |(first, last, lines)| Burst { first: at(first), last: at(last), lines };
        assert_eq!(arrivals.bursts, bursts.map(burst));
    }
}
