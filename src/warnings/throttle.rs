//! Limits the warnings that the log shows: one line a minute for each cause and sender. Pure.
//!
//! Clients cause warnings, and a client can forge the address that it sends from. So only some
//! senders of a cause get lines of their own. All others share one line, which reports their
//! number. Every event is in exactly one line.
//!
//! ```text
//!  cause ─┬─ sender ─ sender ─ … at most SENDERS_MAX, each with a line of its own
//!         └─ others: all further senders, in one line
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use crate::sender::Sender;
use crate::time::Tick;

/// A line for the log, about events of one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Throttled<K> {
    /// The cause.
    pub what: K,
    /// How many events the line stands for.
    pub count: u64,
    /// The input that the first event was about, at most 200 bytes of it. Empty if no input is to
    /// blame.
    pub example: Vec<u8>,
    /// The sender of the first event.
    pub sender: Sender,
    /// How many senders share the line. It is 0 if the line is about one sender. At most
    /// [`OTHERS_MAX`] are counted.
    pub other_senders: usize,
}

/// The events that were not logged yet, and when they may be.
#[derive(Debug)]
pub(super) struct Throttle<K> {
    causes: Vec<Cause<K>>,
    /// Before this time no line is due, and no sender is forgotten. So a turn of the loop without
    /// anything to log costs one comparison.
    next: Tick,
}

#[derive(Debug)]
struct Cause<K> {
    what: K,
    /// The senders that have lines of their own.
    senders: Vec<Events>,
    /// The events of all other senders.
    others: Events,
    /// The other senders since the last line about them, without their ports.
    other_senders: BTreeSet<Sender>,
}

/// The events that share a line.
#[derive(Debug, Default)]
struct Events {
    count: u64,
    example: Vec<u8>,
    sender: Sender,
    /// The earliest time at which the line is logged: a minute after the previous line.
    quiet_until: Tick,
}

/// The time between two lines about the same cause and sender.
const QUIET: Duration = Duration::from_secs(60);
const EXAMPLE_BYTES_MAX: usize = 200;
/// Senders of one cause that have lines of their own. More lines a minute would not be read.
const SENDERS_MAX: usize = 20;
/// The most further senders of one cause that are distinguished, in order to count them.
const OTHERS_MAX: usize = 1000;

impl<K> Default for Throttle<K> {
    fn default() -> Self {
        Self { causes: Vec::new(), next: Tick::NEVER }
    }
}

impl<K: Copy + PartialEq> Throttle<K> {
    /// Adds `times` events of one cause and sender. `line` is the input that the first of them was
    /// about.
    ///
    /// It does not read the clock, so it can be called for every bad line.
    pub(super) fn add(&mut self, what: K, sender: Sender, times: u64, line: &[u8]) {
        let known = self.causes.iter().position(|cause| cause.what == what);
        let at = known.unwrap_or_else(|| {
            self.causes.push(Cause::new(what));
            self.causes.len() - 1
        });
        let events = self.causes[at].events(sender);
        events.add(sender, times, line);
        self.next = self.next.min(events.quiet_until);
    }

    /// Takes the lines that may be logged at `now`.
    pub(super) fn take_due(&mut self, now: Tick) -> Vec<Throttled<K>> {
        if now < self.next {
            return Vec::new();
        }
        self.take(now, |events| events.quiet_until <= now)
    }

    /// Takes all lines, for the end of the process.
    pub(super) fn take_all(&mut self, now: Tick) -> Vec<Throttled<K>> {
        self.take(now, |_| true)
    }

    fn take(&mut self, now: Tick, is_due: impl Fn(&Events) -> bool) -> Vec<Throttled<K>> {
        let mut lines = Vec::new();
        let mut next = Tick::NEVER;
        self.causes.retain_mut(|cause| {
            let what = cause.what;
            for events in &mut cause.senders {
                if events.count > 0 && is_due(events) {
                    lines.push(events.take(what, 0, now));
                }
            }
            if cause.others.count > 0 && is_due(&cause.others) {
                let senders = std::mem::take(&mut cause.other_senders).len();
                lines.push(cause.others.take(what, senders, now));
            }
            // A sender that was silent for a minute gives its place to another one.
            cause.senders.retain(|events| events.is_needed(now));
            let needed = cause.senders.iter().chain(Some(&cause.others));
            let needed = needed.filter(|events| events.is_needed(now));
            let soonest = needed.map(|events| events.quiet_until).min();
            next = next.min(soonest.unwrap_or(Tick::NEVER));
            soonest.is_some()
        });
        self.next = next;
        lines
    }
}

impl<K> Cause<K> {
    fn new(what: K) -> Self {
        Self {
            what,
            senders: Vec::new(),
            others: Events::default(),
            other_senders: BTreeSet::new(),
        }
    }

    /// Returns the entry to which events of `sender` are added.
    ///
    /// The port of a sender does not matter: a client that opens a socket for each packet is one
    /// sender.
    fn events(&mut self, sender: Sender) -> &mut Events {
        let host = sender.without_port();
        let known = self.senders.iter().position(|events| events.sender.without_port() == host);
        if let Some(at) = known {
            return &mut self.senders[at];
        }
        if self.senders.len() < SENDERS_MAX {
            self.senders.push(Events { sender, ..Events::default() });
            return self.senders.last_mut().unwrap_or(&mut self.others);
        }
        if self.other_senders.len() < OTHERS_MAX {
            self.other_senders.insert(host);
        }
        &mut self.others
    }
}

impl Events {
    fn add(&mut self, sender: Sender, times: u64, line: &[u8]) {
        if self.count == 0 {
            self.sender = sender;
            self.example = line[..line.len().min(EXAMPLE_BYTES_MAX)].to_vec();
        }
        self.count += times;
    }

    fn take<K>(&mut self, what: K, other_senders: usize, now: Tick) -> Throttled<K> {
        self.quiet_until = now + QUIET;
        let example = std::mem::take(&mut self.example);
        let count = std::mem::take(&mut self.count);
        Throttled { what, count, example, sender: self.sender, other_senders }
    }

    /// Whether there are events to be logged, or the minute after a line is not over.
    fn is_needed(&self, now: Tick) -> bool {
        self.count > 0 || self.quiet_until > now
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;

    fn at(secs: u64) -> Tick {
        Tick::from_millis(secs * 1000)
    }

    fn sender(host: u32, port: u16) -> Sender {
        let host = Ipv4Addr::from(0x0a00_0000 + host);
        Sender::Internet(SocketAddr::from((host, port)))
    }

    /// The cause, the count, the last number of the sender's address, and the number of others.
    fn shown(lines: &[Throttled<char>]) -> Vec<(char, u64, u8, usize)> {
        let shown = |line: &Throttled<char>| {
            let Sender::Internet(SocketAddr::V4(address)) = line.sender else { panic!("{line:?}") };
            (line.what, line.count, address.ip().octets()[3], line.other_senders)
        };
        lines.iter().map(shown).collect()
    }

    #[test]
    fn a_line_a_minute_for_each_cause_and_sender() {
        let mut throttle = Throttle::default();
        for (what, host) in [('a', 1), ('a', 1), ('b', 1), ('a', 2), ('a', 1)] {
            throttle.add(what, sender(host, 1000), 1, b"x");
        }
        let lines = throttle.take_due(at(1));
        assert_eq!(shown(&lines), [('a', 3, 1, 0), ('a', 1, 2, 0), ('b', 1, 1, 0)]);
        // The noisy sender waits for its minute. Another sender and another cause do not.
        throttle.add('a', sender(1, 1000), 1000, b"x");
        throttle.add('a', sender(3, 1000), 1, b"x");
        throttle.add('c', sender(1, 1000), 1, b"x");
        assert_eq!(shown(&throttle.take_due(at(2))), [('a', 1, 3, 0), ('c', 1, 1, 0)]);
        throttle.add('a', sender(1, 1000), 1, b"x");
        assert_eq!(throttle.take_due(Tick::from_millis(60_999)), []);
        assert_eq!(shown(&throttle.take_due(at(61))), [('a', 1001, 1, 0)]);
        assert_eq!(throttle.take_due(at(121)), []);
        throttle.add('a', sender(1, 1000), 1, b"x");
        assert_eq!(shown(&throttle.take_due(at(122))), [('a', 1, 1, 0)], "it was silent");
    }

    #[test]
    fn a_client_with_a_socket_for_each_packet_is_one_sender() {
        let mut throttle = Throttle::default();
        (1..=100).for_each(|port| throttle.add('a', sender(1, port), 1, b"x"));
        let mapped = Sender::Internet("[::ffff:10.0.0.1]:7".parse().unwrap());
        throttle.add('a', mapped, 1, b"x");
        let lines = throttle.take_due(at(1));
        assert_eq!(shown(&lines), [('a', 101, 1, 0)]);
        assert_eq!(lines[0].sender, sender(1, 1), "the port of the example is shown");
        for sender in [Sender::Unix, Sender::Stdin, Sender::Unknown, Sender::Unix] {
            throttle.add('a', sender, 1, b"x");
        }
        let counts: Vec<_> = throttle.take_due(at(2)).iter().map(|line| line.count).collect();
        assert_eq!(counts, [2, 1, 1]);
    }

    /// Shows that senders without a line of their own are summed in one, that no event is lost, and
    /// that neither lines nor memory grow with the number of senders.
    #[test]
    fn any_number_of_senders_is_a_bounded_number_of_lines() {
        let mut throttle = Throttle::default();
        let crowd = 5000;
        let shout = |throttle: &mut Throttle<char>| {
            for host in 0..crowd {
                throttle.add('a', sender(host, 1), 2, &[b'x'; 10_000]);
            }
        };
        shout(&mut throttle);
        let lines = throttle.take_due(at(1));
        assert_eq!(lines.len(), SENDERS_MAX + 1);
        assert!(lines[..SENDERS_MAX].iter().all(|line| (line.count, line.other_senders) == (2, 0)));
        let rest = &lines[SENDERS_MAX];
        assert_eq!(rest.count, 2 * (u64::from(crowd) - SENDERS_MAX as u64));
        assert_eq!((rest.other_senders, rest.sender), (OTHERS_MAX, sender(20, 1)));
        assert!(lines.iter().all(|line| line.example.len() == EXAMPLE_BYTES_MAX));
        shout(&mut throttle);
        throttle.add('b', sender(7777, 1), 1, b"x");
        assert_eq!(throttle.take_due(at(2)).len(), 1, "another cause has a line at once");
        assert_eq!(throttle.take_due(at(60)), []);
        let all: u64 = throttle.take_due(at(61)).iter().map(|line| line.count).sum();
        assert_eq!(all, 2 * u64::from(crowd));
        for host in [100, 101, 101] {
            throttle.add('a', sender(host, 1), 1, b"x");
        }
        let lines = throttle.take_due(at(121));
        assert_eq!(shown(&lines), [('a', 3, 100, 2)]);
        // After the minute, all places for senders are free again.
        throttle.add('a', sender(102, 1), 1, b"x");
        assert_eq!(shown(&throttle.take_due(at(122))), [('a', 1, 102, 0)]);
        assert_eq!(throttle.take_due(at(200)), []);
        assert!(throttle.causes.is_empty(), "{throttle:?}");
    }

    #[test]
    fn the_end_takes_the_lines_that_are_not_due() {
        let mut throttle = Throttle::default();
        throttle.add('a', sender(1, 1), 1, b"first");
        assert_eq!(throttle.take_all(at(1)).len(), 1);
        throttle.add('a', sender(1, 1), 5, b"second");
        assert_eq!(throttle.take_due(at(2)), []);
        let lines = throttle.take_all(at(2));
        assert_eq!((lines[0].count, &lines[0].example[..]), (5, &b"second"[..]));
        assert_eq!(throttle.take_all(at(2)), []);
    }

    /// Shows that each event is in exactly one line, and that no line comes too early.
    #[test]
    fn no_event_is_lost_and_no_line_is_early() {
        let mut random = statsd_bench::Random::new(11);
        let mut throttle = Throttle::default();
        let mut now = 0;
        let mut events = 0_u64;
        let mut logged = 0_u64;
        let mut last: Vec<(char, Sender, bool, u64)> = Vec::new();
        for _ in 0..20_000 {
            if random.one_in(8) {
                now += random.below(4000_u64);
                for line in throttle.take_due(Tick::from_millis(now)) {
                    logged += line.count;
                    let is_rest = line.other_senders > 0;
                    let whose = if is_rest { Sender::Unknown } else { line.sender.without_port() };
                    let key = (line.what, whose, is_rest);
                    let before = last.iter().position(|(a, b, c, _)| (*a, *b, *c) == key);
                    match before {
                        Some(at) => {
                            assert!(now - last[at].3 >= 60_000, "{line:?}");
                            last[at].3 = now;
                        }
                        None => last.push((key.0, key.1, key.2, now)),
                    }
                }
            } else {
                let host = random.below(60_u32);
                let times = 1 + random.below(3_u64);
                throttle.add(*random.pick(&['a', 'b', 'c']), sender(host, 9), times, b"x");
                events += times;
            }
        }
        let rest: u64 =
            throttle.take_all(Tick::from_millis(now)).iter().map(|line| line.count).sum();
        assert_eq!(logged + rest, events);
    }
}
