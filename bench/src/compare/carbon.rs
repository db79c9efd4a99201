//! The end of the pipe: a carbon that reads what servers send, adds up counts, and notes when the bytes came.

use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use statsd_bench::{Clock, beside};

#[derive(Debug)]
pub(crate) struct Carbon {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    ends: AtomicBool,
    heard: Mutex<Heard>,
}

/// What has come so far.
#[derive(Debug, Default)]
struct Heard {
    lines: u64,
    counts: Option<Counts>,
    bursts: Vec<Burst>,
}

#[derive(Debug)]
struct Counts {
    /// What lines begin with that are counts.
    start: Vec<u8>,
    sum: f64,
}

/// Bytes that came without a pause between them: a flush.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Burst {
    pub(crate) first: Duration,
    pub(crate) last: Duration,
    pub(crate) lines: u64,
}

/// A longer silence ends a burst.
const PAUSE: Duration = Duration::from_millis(500);

impl Carbon {
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            clock: Clock::start(),
            ends: AtomicBool::new(false),
            heard: Mutex::default(),
        });
        let here = Arc::clone(&shared);
        beside(move || accept(&listener, &here));
        Ok(Self { port, shared })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// From now on the values of lines that begin so are added up.
    pub(crate) fn count(&self, start: &str) {
        self.heard().counts = Some(Counts { start: start.into(), sum: 0.0 });
    }

    pub(crate) fn counted(&self) -> Option<f64> {
        self.heard().counts.as_ref().map(|counts| counts.sum)
    }

    /// The time as bursts tell it.
    pub(crate) fn now(&self) -> Duration {
        self.shared.clock.elapsed()
    }

    /// Those that have ended.
    pub(crate) fn bursts(&self) -> Vec<Burst> {
        let now = self.now();
        self.heard().bursts.iter().filter(|burst| burst.last + PAUSE < now).copied().collect()
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.shared.heard.lock().expect("no reader panics")
    }
}

impl Drop for Carbon {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while !shared.ends.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((stream, _)) => {
                let shared = Arc::clone(shared);
                beside(move || read(stream, &shared));
            }
            Err(_) => Clock::sleep(Duration::from_millis(20)),
        }
    }
}

fn read(mut stream: TcpStream, shared: &Shared) {
    let mut buffer = vec![0; 1 << 20];
    let mut held = 0;
    let _ = stream.set_nonblocking(false);
    while let Ok(count @ 1..) = stream.read(&mut buffer[held..]) {
        held += count;
        let whole = memchr::memrchr(b'\n', &buffer[..held]).map_or(0, |end| end + 1);
        shared
            .heard
            .lock()
            .expect("no reader panics")
            .take(&buffer[..whole], shared.clock.elapsed());
        buffer.copy_within(whole..held, 0);
        held -= whole;
        if held == buffer.len() {
            return; // no line is so long
        }
    }
}

impl Heard {
    fn take(&mut self, lines: &[u8], now: Duration) {
        let count = memchr::memchr_iter(b'\n', lines).count() as u64;
        self.lines += count;
        match self.bursts.last_mut().filter(|burst| now < burst.last + PAUSE) {
            Some(burst) => {
                burst.last = now;
                burst.lines += count;
            }
            None => self.bursts.push(Burst { first: now, last: now, lines: count }),
        }
        if let Some(counts) = &mut self.counts {
            for line in lines.split(|&byte| byte == b'\n') {
                if line.starts_with(&counts.start) {
                    counts.sum += value(line).unwrap_or(0.0);
                }
            }
        }
    }
}

/// Of `name value stamp`.
fn value(line: &[u8]) -> Option<f64> {
    std::str::from_utf8(line).ok()?.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_and_a_pause_ends_a_burst() {
        let counts = Some(Counts { start: b"stats_counts.b".to_vec(), sum: 0.0 });
        let mut heard = Heard { counts, ..Heard::default() };
        let at = Duration::from_millis;
        heard.take(b"stats_counts.b.x 3 10\nstats.b.x 0.3 10\n", at(1000));
        heard.take(b"stats_counts.b.y 4.5 10\n", at(1400));
        heard.take(b"stats_counts.c 9 20\n", at(2000));
        assert_eq!(heard.counts.unwrap().sum, 7.5);
        let bursts: Vec<_> =
            heard.bursts.iter().map(|burst| (burst.first, burst.last, burst.lines)).collect();
        assert_eq!(bursts, [(at(1000), at(1400), 3), (at(2000), at(2000), 1)]);
    }
}
