//! A slow twin of the outbox, which finds each answer by visiting every chunk, and a peer that
//! checks what it receives.

use statsd_bench::Random;

use super::*;

#[derive(Clone)]
struct TwinItem {
    id: u64,
    flush: u64,
    kept_with: u64,
    text: Vec<u8>,
    lines: u64,
    /// On this connection.
    written: usize,
    acked: usize,
    /// On any.
    arrived: bool,
    acked_ever: bool,
    begun: bool,
    /// It arrived on this connection since that was last trusted.
    arrived_here: bool,
    doubted: bool,
}

/// How a connection ends.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// The server has closed the connection.
    Planned,
    Late,
    Early,
    EarlyAgain,
}

impl TwinItem {
    fn is_delivered(&self) -> bool {
        self.acked == self.text.len()
    }
}

struct Twin {
    limit: usize,
    resend: Resend,
    keep: usize,
    items: Vec<TwinItem>,
    /// Flushes in the order in which their first chunk arrived.
    arrivals: Vec<u64>,
    closed: u64,
    /// The chunk at which the last connection broke, and its breaks: true for each break before
    /// which another chunk had arrived since the last counted one.
    failed: Option<(u64, Vec<bool>)>,
    others_pass: bool,
    /// A chunk was acknowledged on this connection for the first time.
    progressed: bool,
    new_first: bool,
    /// Lines that arrived on this connection and were removed.
    gone: u64,
    tally: OutboxTally,
}

impl Twin {
    fn push(&mut self, item: TwinItem) {
        self.items.push(item);
        while self.items.iter().map(|item| item.text.len()).sum::<usize>() > self.limit {
            let retained = self.items.iter().position(TwinItem::is_delivered);
            let again = |item: &TwinItem| item.written == 0 && item.acked_ever;
            let again = || self.items.iter().position(again);
            let unsent = || self.items.iter().position(|item| item.written == 0);
            let Some(at) = retained.or_else(again).or_else(unsent) else { break };
            self.discard(at);
        }
    }

    fn discard(&mut self, at: usize) {
        let item = self.items.remove(at);
        if item.arrived_here {
            self.gone += item.lines;
        }
        if item.is_delivered() {
            self.tally.displaced_lines += item.lines;
        } else if item.doubted {
            self.tally.twice_lines -= if item.arrived { 0 } else { item.lines };
        } else if !item.arrived {
            self.tally.dropped_lines += item.lines;
        } else {
            self.tally.in_doubt += item.lines;
            self.tally.twice_lines += item.lines;
        }
    }

    fn wrote(&mut self, bytes: usize) {
        let item = self.items.iter_mut().find(|item| item.written < item.text.len()).unwrap();
        if item.written == 0 {
            self.tally.resent_lines += if item.begun { item.lines } else { 0 };
            item.begun = true;
        }
        item.written += bytes;
        self.tally.sent_bytes += bytes as u64;
    }

    fn in_flight(&self) -> usize {
        self.items.iter().map(|item| item.written - item.acked).sum()
    }

    fn acknowledged_except(&mut self, outstanding: usize) {
        for _ in outstanding..self.in_flight() {
            let item = self.items.iter_mut().find(|item| item.acked < item.written).unwrap();
            item.acked += 1;
            if item.is_delivered() {
                let id = item.id;
                if !item.acked_ever {
                    item.acked_ever = true;
                    self.progressed = true;
                    self.others_pass = true;
                }
                if !item.arrived {
                    item.arrived = true;
                    item.arrived_here = true;
                    self.tally.delivered_lines += item.lines;
                    item.kept_with = item.flush.max(self.closed);
                    self.arrivals.push(item.kept_with);
                    self.arrivals.sort_unstable();
                    self.arrivals.dedup();
                }
                self.failed.take_if(|(failed, _)| *failed == id);
            }
        }
        self.age();
        self.new_first &= !self.items.iter().all(TwinItem::is_delivered);
    }

    fn trust(&mut self) {
        self.gone = 0;
        self.items.iter_mut().for_each(|item| item.arrived_here = false);
    }

    fn age(&mut self) {
        let waiting: Vec<u64> =
            self.items.iter().filter(|item| !item.arrived).map(|item| item.flush).collect();
        let whole =
            |flush: u64| flush <= self.closed && waiting.iter().all(|&waiting| waiting > flush);
        let newest = self.arrivals.last().copied();
        let kept = self.keep + usize::from(!newest.is_some_and(whole));
        let kept: Vec<u64> = match self.resend {
            Resend::Flush => self.arrivals.iter().rev().take(kept).copied().collect(),
            _ => Vec::new(),
        };
        let goes = |item: &TwinItem| item.is_delivered() && !kept.contains(&item.kept_with);
        let gone = self.items.iter().filter(|item| item.arrived_here && goes(item));
        self.gone += gone.map(|item| item.lines).sum::<u64>();
        self.items.retain(|item| !goes(item));
    }

    fn broke(&mut self, end: End) {
        let head = self.items.iter().find(|item| !item.is_delivered() && item.written > 0);
        let counts = !matches!(end, End::Planned | End::EarlyAgain);
        let head = head.filter(|_| self.resend != Resend::Never && counts);
        let head = head.map(|item| item.id);
        if matches!(end, End::Early | End::EarlyAgain) {
            for item in self.items.iter_mut().filter(|item| item.arrived_here) {
                item.arrived = false;
                self.tally.delivered_lines -= item.lines;
            }
            self.tally.in_doubt += self.gone;
            self.tally.twice_lines += self.gone;
        }
        self.gone = 0;
        if self.resend == Resend::Never {
            let written = self.items.iter().filter(|item| item.written > 0);
            self.tally.in_doubt += written.map(|item| item.lines).sum::<u64>();
            self.items.retain(|item| item.written == 0);
        }
        if end == End::EarlyAgain {
            let sent = self.items.iter_mut().filter(|item| item.written == item.text.len());
            let sent = sent.map(|item| item.acked_ever = true).count();
            self.items.rotate_left(sent);
        } else if self.resend == Resend::Flush && self.items.iter().any(|item| item.written > 0) {
            self.new_first |= !self.progressed;
        }
        self.progressed = false;
        for item in &mut self.items {
            item.written = 0;
            item.acked = 0;
            item.arrived_here = false;
            if end == End::EarlyAgain && item.begun && !item.arrived && !item.doubted {
                item.doubted = true;
                self.tally.in_doubt += item.lines;
                self.tally.twice_lines += item.lines;
            }
        }
        if end == End::EarlyAgain || self.new_first {
            self.items.sort_by_key(|item| item.acked_ever);
        }
        if let Some(at) = self.items.iter().position(|item| Some(item.id) == head) {
            self.count_failure(at);
        }
    }

    fn count_failure(&mut self, at: usize) {
        let id = self.items[at].id;
        let earlier = self.failed.take().filter(|(failed, _)| *failed == id);
        let is_failure = self.others_pass || earlier.is_none();
        self.others_pass = false;
        let mut breaks = earlier.map_or_else(Vec::new, |(_, breaks)| breaks);
        breaks.push(is_failure);
        if breaks.iter().filter(|&&is_failure| is_failure).count() == 3 {
            self.discard(at);
            return;
        }
        if breaks.len().is_multiple_of(3) && at + 1 < self.items.len() {
            self.items.swap(at, at + 1);
        }
        self.failed = Some((id, breaks));
    }

    fn waiting_lines(&self) -> u64 {
        self.items.iter().filter(|item| !item.arrived).map(|item| item.lines).sum()
    }
}

/// Checks that a connection carried whole chunks, each once, the last one perhaps torn.
fn check_stream(stream: &[u8], pushed: &[Vec<u8>]) {
    let mut rest = stream;
    let mut carried = Vec::new();
    while !rest.is_empty() {
        let is_next = |text: &[u8]| rest.starts_with(text) || text.starts_with(rest);
        let at = (0..pushed.len()).find(|at| !carried.contains(at) && is_next(&pushed[*at]));
        let at = at.expect("a chunk that this connection has not carried yet");
        rest = &rest[pushed[at].len().min(rest.len())..];
        carried.push(at);
    }
}

struct Trial {
    outbox: Outbox,
    twin: Twin,
    random: Random,
    flush: u64,
    pushed: Vec<Vec<u8>>,
    accepted: u64,
    stream: Vec<u8>,
}

impl Trial {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let resend = *random.pick(&[Resend::Flush, Resend::Unacked, Resend::Never]);
        let limit = 200 + random.below(2000);
        let keep = random.below(4);
        let twin = Twin {
            limit,
            resend,
            keep,
            items: Vec::new(),
            arrivals: Vec::new(),
            closed: 0,
            failed: None,
            others_pass: false,
            progressed: false,
            new_first: false,
            gone: 0,
            tally: OutboxTally::default(),
        };
        let outbox = Outbox::new(limit, resend, u32::try_from(keep).unwrap());
        let pushed = Vec::new();
        let stream = Vec::new();
        Self { outbox, twin, random, flush: 1, pushed, accepted: 0, stream }
    }

    fn step(&mut self) {
        match self.random.below(21) {
            20 => {
                self.outbox.trust();
                self.twin.trust();
            }
            0..6 => self.push(),
            6..8 => self.next_flush(),
            8..14 => self.write(),
            14..18 => self.acknowledge(),
            _ => self.break_off(),
        }
    }

    fn push(&mut self) {
        let id = self.pushed.len() as u64;
        let lines = 1 + self.random.below(8_u64);
        let text: Vec<u8> =
            (0..lines).flat_map(|line| format!("c{id}.{line} 1 2\n").into_bytes()).collect();
        let item = TwinItem {
            id,
            flush: self.flush,
            kept_with: self.flush,
            text: text.clone(),
            lines,
            written: 0,
            acked: 0,
            arrived: false,
            acked_ever: false,
            begun: false,
            arrived_here: false,
            doubted: false,
        };
        self.pushed.push(text.clone());
        self.accepted += lines;
        let before = self.twin.tally.dropped_lines;
        let dropped = self.outbox.push(Chunk::new(text, u32::try_from(lines).unwrap(), self.flush));
        self.twin.push(item);
        assert_eq!(dropped, self.twin.tally.dropped_lines - before);
    }

    fn next_flush(&mut self) {
        self.outbox.close(self.flush);
        self.twin.closed = self.flush;
        self.twin.age();
        self.flush += 1;
    }

    fn write(&mut self) {
        let Some(head) = self.outbox.head() else { return };
        let bytes = match self.random.below(2) {
            0 => head.len(),
            _ => self.random.below(head.len() + 1),
        };
        self.stream.extend_from_slice(&head[..bytes]);
        self.outbox.wrote(bytes);
        if bytes > 0 {
            self.twin.wrote(bytes);
        }
    }

    fn acknowledge(&mut self) {
        let outstanding = self.random.below(self.outbox.unacked_bytes() + 1);
        let before = self.twin.tally.delivered_lines;
        let arrived = self.outbox.acknowledged_except(outstanding);
        self.twin.acknowledged_except(outstanding);
        assert_eq!(arrived, self.twin.tally.delivered_lines > before);
    }

    fn break_off(&mut self) {
        let before = self.outbox.window.items.len();
        let ends = [End::Planned, End::Late, End::Late, End::Early, End::EarlyAgain];
        let end = *self.random.pick(&ends);
        let poison = match end {
            End::Planned => {
                self.outbox.disconnected();
                None
            }
            End::Late => self.outbox.broke(),
            End::Early => self.outbox.broke_early(),
            End::EarlyAgain => {
                self.outbox.broke_early_again();
                None
            }
        };
        self.twin.broke(end);
        if poison.is_some() {
            assert!(self.outbox.window.items.len() < before);
        }
        check_stream(&self.stream, &self.pushed);
        self.stream.clear();
    }

    fn compare(&self) {
        let outbox = &self.outbox;
        let twin = &self.twin;
        let held: Vec<_> =
            outbox.window.items.iter().map(|item| name(item.chunk.bytes())).collect();
        let expected: Vec<_> = twin.items.iter().map(|item| name(&item.text)).collect();
        assert_eq!(held, expected);
        assert_eq!(outbox.tally(), twin.tally);
        let total: usize = twin.items.iter().map(|item| item.text.len()).sum();
        let acked: usize = twin.items.iter().map(|item| item.acked).sum();
        let written: usize = twin.items.iter().map(|item| item.written).sum();
        assert_eq!(outbox.held_bytes(), total);
        assert_eq!(outbox.queued_bytes(), total - acked);
        assert_eq!(outbox.unsent_bytes(), total - written);
        assert_eq!(outbox.unacked_bytes(), twin.in_flight());
        assert_eq!(outbox.queued_lines(), twin.waiting_lines());
        assert_eq!(outbox.is_drained(), twin.items.iter().all(TwinItem::is_delivered));
        let head = twin.items.iter().find(|item| item.written < item.text.len());
        assert_eq!(outbox.head(), head.map(|item| &item.text[item.written..]));
        let evictable = twin.items.iter().any(|item| item.is_delivered() || item.written == 0);
        assert!(total <= twin.limit || !evictable, "{total} bytes held of {}", twin.limit);
        let OutboxTally { delivered_lines, dropped_lines, in_doubt, twice_lines, .. } =
            outbox.tally();
        let accounted = delivered_lines + dropped_lines + in_doubt + twin.waiting_lines();
        assert_eq!(self.accepted + twice_lines, accounted, "every line is somewhere, once");
    }
}

/// Returns the number of a chunk, which its first line contains.
fn name(text: &[u8]) -> &str {
    str::from_utf8(text).unwrap().split('.').next().unwrap()
}

/// Names the trial when one of its assertions fails.
struct Label(u64, usize);

impl Drop for Label {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {} step {}", self.0, self.1);
        }
    }
}

#[test]
fn the_outbox_and_its_slow_twin_agree() {
    for seed in 0..300 {
        let mut label = Label(seed, 0);
        let mut trial = Trial::new(seed);
        for step in 0..300 {
            label.1 = step;
            trial.step();
            trial.compare();
        }
    }
}
