//! The check that each line is delivered, queued, spooled or counted as lost, for each destination
//! of a trial.
//!
//! Each kind of destination has a *reference*: a destination that gets the same chunks and has no
//! faults. What a reference was to get, each configured destination of its kind had to get.

use std::net::{SocketAddr, UdpSocket};

use ahash::HashMap;

use super::console::ConsolePipe;
use super::coverage::{Bound, Reached};
use super::network::{Lost, Peer};
use super::process::{Lines, OnLine, Speech};
use super::reference::read_flushed;
use crate::config::{CONSOLE, Config};
use crate::sink::spool::testing::MemoryDisk;
use crate::sink::testing::{self, Account};
use crate::sink::{LostLines, Sink, Sinks};

/// All destinations of a trial.
#[derive(Debug)]
pub(super) struct Destinations {
    pub(super) references: Vec<Reference>,
    pub(super) faulty: Vec<Faulty>,
    /// What the sinks have lost that were removed in this run.
    removed: LostLines,
}

/// A destination without faults.
#[derive(Debug)]
pub(super) struct Reference {
    pub(super) name: &'static str,
    /// What its link reaches. `None` if that is a real socket.
    pub(super) peer: Option<Peer>,
    /// Lines pushed to it in this run.
    pushed: u64,
    /// Lines pushed to it in the last turn.
    more: u64,
}

/// A destination with faults, which may come and go.
#[derive(Debug)]
pub(super) struct Faulty {
    pub(super) name: &'static str,
    reference: usize,
    pub(super) peer: Option<Peer>,
    /// Where it writes if it is the console.
    pub(super) console: Option<ConsolePipe>,
    /// The disk of its spool.
    pub(super) disk: Option<MemoryDisk>,
    /// It gets packets as they come, not flushes.
    gets_packets: bool,
    /// The configuration in force had it before this turn.
    was_configured: bool,
    /// The present sink.
    present: Option<Present>,
    pub(super) totals: LineTotals,
}

/// What the checks know of the present sink of a destination.
#[derive(Clone, Copy, Debug)]
struct Present {
    /// Lines pushed to it.
    pushed: u64,
    account: Account,
    /// The most bytes that the configuration in force allows, as long as it has the destination.
    queue: usize,
    disk_bytes: usize,
    spool_limit: usize,
}

/// Figures of all sinks of a destination in a trial.
#[derive(Debug, Default)]
pub(super) struct LineTotals {
    /// Lines that were dropped, or whose delivery is unknown. The server has counted them.
    counted: u64,
    /// Lines that were lost with a killed server.
    killed: u64,
    /// Lines flushed while it was no destination.
    unconfigured: u64,
    /// The number of flushes begun when delivered lines that could be sent again were forgotten.
    forgotten: Vec<u64>,
    removals: u64,
}

pub(super) const CARBON: &str = "carbon";
pub(super) const REFERENCE: &str = "carbon.reference";
pub(super) const REPEATED: &str = "repeater";

/// Chunks that are being written are not removed, and the chunk that was just pushed may be one.
const QUEUE_SLACK: usize = 128 << 10;
/// A chunk of the largest size, and its head on disk.
const CHUNK: usize = 70 << 10;

impl Destinations {
    /// Without `has_ganglia` there is no destination with a real socket. Those need more time than
    /// a slow server has for its stop.
    pub(super) fn new(has_ganglia: bool, count_repeated: OnLine) -> Self {
        let peer = |speech| Some(Peer::new(speech, |_, _| {}));
        let reference = |name, peer| Reference { name, peer, pushed: 0, more: 0 };
        let faulty = |name, reference, speech: Option<Speech>, has_spool: bool| Faulty {
            name,
            reference,
            peer: speech.and_then(peer),
            console: None,
            disk: has_spool.then(MemoryDisk::default),
            gets_packets: reference == 2,
            was_configured: false,
            present: None,
            totals: LineTotals::default(),
        };
        let mut all = Self {
            references: vec![
                reference(REFERENCE, Some(Peer::new(Speech::Lines, read_flushed))),
                reference("influxdb.reference", peer(Speech::Http)),
                reference(REPEATED, Some(Peer::new(Speech::Lines, count_repeated))),
            ],
            faulty: vec![
                faulty(CARBON, 0, Some(Speech::Lines), true),
                faulty("carbon.extra", 0, Some(Speech::Lines), true),
                faulty("influxdb", 1, Some(Speech::Http), true),
                faulty("repeater.extra", 2, Some(Speech::Lines), false),
            ],
            removed: LostLines::default(),
        };
        all.faulty
            .push(Faulty { console: Some(ConsolePipe::new()), ..faulty(CONSOLE, 0, None, false) });
        if has_ganglia {
            all.references.push(reference("ganglia.reference", None));
            all.faulty.push(faulty("ganglia", 3, None, false));
        }
        all
    }

    /// All peers of the simulated network, with the names of their destinations.
    pub(super) fn peers(&self) -> Vec<(&'static str, Peer)> {
        let references = self.references.iter().map(|to| (to.name, to.peer.clone()));
        let all = references.chain(self.faulty.iter().map(|to| (to.name, to.peer.clone())));
        all.filter_map(|(name, peer)| Some((name, peer?))).collect()
    }

    pub(super) fn named(&self, name: &str) -> &Faulty {
        self.faulty.iter().find(|to| to.name == name).expect("a destination of the trial")
    }

    /// The standard output of the server.
    pub(super) fn console(&self) -> &ConsolePipe {
        self.named(CONSOLE).console.as_ref().expect("it has a pipe")
    }

    /// The peer of the reference of carbon, which shows what was flushed.
    pub(super) fn flushed(&self) -> &Peer {
        self.references[0].peer.as_ref().expect("it is simulated")
    }

    /// The peer of the reference of the repeaters, which shows what came in.
    pub(super) fn repeated(&self) -> &Peer {
        self.references[2].peer.as_ref().expect("it is simulated")
    }

    /// A flush begins.
    pub(super) fn note_flush(&self) {
        self.faulty.iter().filter_map(|to| to.peer.as_ref()).for_each(Peer::flush_begins);
    }

    /// A run has begun, with these sinks.
    pub(super) fn begin_run(&mut self, sinks: &Sinks, config: &Config) {
        self.removed = LostLines::default();
        self.references.iter_mut().for_each(|to| to.pushed = 0);
        for to in &mut self.faulty {
            to.present = find(sinks, to.name).map(|sink| to.present_of(sink, 0, config));
        }
    }

    /// Notes which destinations are configured before a turn.
    pub(super) fn begin_turn(&mut self, config: &Config) {
        for to in &mut self.faulty {
            to.was_configured = config.active_destinations().any(|active| active.name == to.name);
        }
    }

    /// Checks where the lines are after a turn.
    pub(super) fn check_turn(
        &mut self,
        sinks: &Sinks,
        config: &Config,
        spool_part: u64,
        reached: &mut Reached,
    ) {
        for to in &mut self.references {
            to.note_pushed(find(sinks, to.name).expect("a reference stays"));
        }
        let lost = |lost: LostLines| lost.dropped + lost.in_doubt;
        let of_sinks: u64 = sinks.iter().map(|sink| lost(sink.lost_lines())).sum();
        let removed = lost(sinks.lost_lines()) - of_sinks;
        let lost_with_removed = removed - lost(self.removed);
        self.removed = LostLines { dropped: removed, in_doubt: 0 };
        for to in &mut self.faulty {
            let more = self.references[to.reference].more;
            match find(sinks, to.name) {
                Some(sink) => to.check(sink, more, (config, spool_part), reached),
                None => to.note_removed(more, lost_with_removed, config),
            }
        }
    }

    /// Whether nothing waits for any destination, in memory or on disk. All must be configured.
    pub(super) fn are_delivered(&self, sinks: &Sinks) -> bool {
        self.faulty.iter().all(|to| {
            find(sinks, to.name).is_some_and(|sink| {
                let figures = sink.figures();
                figures.queue_bytes == 0 && figures.spool_bytes.unwrap_or(0) == 0
            })
        })
    }

    /// Whether everything was delivered to the references.
    pub(super) fn is_reference_drained(&self, sinks: &Sinks) -> bool {
        self.references.iter().all(|to| find(sinks, to.name).is_some_and(Sink::is_drained))
    }

    /// A stop has ended.
    pub(super) fn end_run(&mut self, sinks: &Sinks) {
        for to in &mut self.faulty {
            let before = to.present.take().map_or(0, |present| present.account.queued);
            let Some(sink) = find(sinks, to.name) else { continue };
            let account = testing::account(sink);
            assert_eq!(
                account.queued, 0,
                "{}: lines stay in the queue of a stopped server",
                to.name
            );
            to.totals.counted += account.dropped + account.in_doubt;
            to.console.iter().for_each(ConsolePipe::end_writer);
            if to.disk.is_none() || sink.figures().spool_bytes.is_none() || before > 0 {
                to.forget();
            }
        }
    }

    /// The server was killed.
    pub(super) fn note_kill(&mut self, sinks: &Sinks) {
        for to in &mut self.faulty {
            to.present = None;
            if let Some(sink) = find(sinks, to.name) {
                let account = testing::account(sink);
                to.totals.counted += account.dropped + account.in_doubt;
                to.totals.killed += account.queued + account.spooled_in_memory;
            }
            to.console.iter().for_each(ConsolePipe::end_writer);
            to.forget();
            if let Some(disk) = &mut to.disk {
                *disk = disk.snapshot();
            }
        }
    }

    pub(super) fn accounts(&self) -> Vec<(&'static str, Option<Account>)> {
        self.faulty.iter().map(|to| (to.name, to.present.map(|present| present.account))).collect()
    }

    pub(super) fn counted(&self) -> u64 {
        self.faulty.iter().map(|to| to.totals.counted).sum()
    }

    pub(super) fn removals(&self) -> u64 {
        self.faulty.iter().map(|to| to.totals.removals).sum()
    }

    /// Returns for each destination of flushes what it was to get and did not, in the end.
    pub(super) fn missing(&self) -> Vec<Missing<'_>> {
        let flushed = self.faulty.iter().filter(|to| !to.gets_packets);
        flushed
            .filter_map(|to| {
                let sent = self.references[to.reference].peer.as_ref()?;
                sent.with_read(|sent| to.with_read(|read| to.missing(sent, read)))
            })
            .collect()
    }
}

impl Reference {
    fn note_pushed(&mut self, sink: &Sink) {
        let Account { delivered, queued, dropped, in_doubt, .. } = testing::account(sink);
        assert_eq!((dropped, in_doubt), (0, 0), "{} has no faults", self.name);
        self.more = delivered + queued - self.pushed;
        self.pushed += self.more;
    }
}

impl Faulty {
    fn present_of(&self, sink: &Sink, pushed: u64, config: &Config) -> Present {
        let configured = config.active_destinations().find(|to| to.name == self.name);
        let present = self.present.as_ref();
        let queue =
            configured.map(|to| to.queue.bytes).or_else(|| present.map(|present| present.queue));
        Present {
            pushed,
            account: testing::account(sink),
            queue: queue.expect("a sink is made for a configured destination"),
            disk_bytes: self.disk.as_ref().map_or(0, MemoryDisk::bytes),
            spool_limit: usize::try_from(sink.figures().spool_limit.unwrap_or(0)).unwrap(),
        }
    }

    fn check(
        &mut self,
        sink: &Sink,
        more: u64,
        (config, spool_part): (&Config, u64),
        reached: &mut Reached,
    ) {
        let before = self.present;
        let has_come = before.is_none();
        let account = testing::account(sink);
        let Account { delivered, queued, spooled, dropped, in_doubt, .. } = account;
        let places = delivered + queued + spooled + dropped + in_doubt;
        let pushed = match before {
            Some(before) if self.was_configured => before.pushed + more,
            Some(before) => before.pushed,
            // Packets may have come after the reload in the same turn.
            None if self.gets_packets => places,
            None => 0,
        };
        if has_come || !self.was_configured {
            self.totals.unconfigured += more;
        }
        if let Some(to) = config.active_destinations().find(|to| to.name == self.name) {
            assert!(testing::serves(sink, to), "{} has the outlet of another protocol", self.name);
        }
        assert_eq!(
            pushed + account.found + account.twice,
            places,
            "{}: a line is in no place, or in two: {account:?}",
            self.name
        );
        let now = self.present_of(sink, pushed, config);
        // A limit that a reload has lowered takes some turns to be kept.
        let held_before = before.map_or(0, |before| before.account.held_bytes);
        let held = account.held_bytes;
        let queue = now.queue.max(before.map_or(0, |before| before.queue));
        assert!(
            held <= held_before.max(queue + QUEUE_SLACK),
            "{}: {held} bytes in a queue of {queue}",
            self.name
        );
        reached.note(Bound::Queue, held + CHUNK > now.queue);
        // A share that a reload has lowered is kept as soon as what is there was sent.
        let part = usize::try_from(spool_part).unwrap();
        let limit = now.spool_limit;
        let limit_before = before.map_or(usize::MAX, |before| before.spool_limit);
        assert!(
            limit <= limit_before.max(part) && (part == 0 || now.disk_bytes <= limit),
            "{}: {} bytes in a spool of {limit}, with a share of {part}",
            self.name,
            now.disk_bytes
        );
        reached.note(Bound::Spool, part > 0 && now.disk_bytes + CHUNK > part);
        self.present = Some(now);
    }

    /// It has no sink. The sinks that were removed in this turn have lost `lost` lines.
    fn note_removed(&mut self, more: u64, lost: u64, config: &Config) {
        let is_configured = config.active_destinations().any(|to| to.name == self.name);
        assert!(!is_configured, "{} is configured and has no sink", self.name);
        self.totals.unconfigured += more;
        let Some(last) = self.present.take() else { return };
        let last_lost = last.account.dropped + last.account.in_doubt;
        assert!(lost >= last_lost, "{}: a removed sink takes its counts with it", self.name);
        self.totals.removals += 1;
        self.console.iter().for_each(ConsolePipe::end_writer);
        self.totals.counted += lost;
        self.forget();
    }

    /// Delivered lines that could be sent again are forgotten.
    fn forget(&mut self) {
        self.totals.forgotten.extend(self.peer.as_ref().map(Peer::flush));
    }

    /// Passes on the lines that were read at its other end. `None` if that is a socket without a
    /// reader.
    fn with_read<T>(&self, act: impl FnOnce(&Lines) -> T) -> Option<T> {
        match (&self.peer, &self.console) {
            (Some(peer), _) => Some(peer.with_read(act)),
            (None, Some(console)) => Some(console.with_read(act)),
            (None, None) => None,
        }
    }

    fn missing(&self, sent: &Lines, read: &Lines) -> Missing<'_> {
        let invented: Vec<_> = read.keys().filter(|line| !sent.contains_key(*line)).collect();
        assert!(invented.is_empty(), "{}: lines that were never flushed: {invented:?}", self.name);
        let missing = sent.keys().filter(|line| !read.contains_key(*line));
        let mut lines: HashMap<_, _> = missing.map(|line| (line.clone(), Vec::new())).collect();
        for lost in self.peer.iter().flat_map(Peer::lost) {
            if let Some(losses) = lines.get_mut(&lost.line) {
                losses.push(lost);
            }
        }
        let LineTotals { counted, killed, unconfigured, forgotten, .. } = &self.totals;
        Missing { name: self.name, lines, counted: counted + killed + unconfigured, forgotten }
    }
}

/// The lines that a destination was to get and did not.
#[derive(Debug)]
pub(super) struct Missing<'a> {
    pub(super) name: &'static str,
    /// Each with the connections with which its peer has lost it.
    pub(super) lines: HashMap<Vec<u8>, Vec<Lost>>,
    /// How many may be missing, because the server has counted them, was killed, or had no such
    /// destination.
    counted: u64,
    forgotten: &'a [u64],
}

impl Missing<'_> {
    /// Checks that the server has counted the missing lines. `keep` delivered flushes are retained,
    /// if that is known. `cut_bytes` of spools could not be read, and the log shows so.
    pub(super) fn check(&self, keep: Option<u64>, cut_bytes: u64) {
        let needs_count = |losses: &[Lost]| !self.is_lost_by_peer(losses, keep);
        let needing = self.lines.iter().filter(|(_, losses)| needs_count(losses));
        let mut lengths: Vec<u64> = needing.map(|(line, _)| line.len() as u64).collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        let counted = usize::try_from(self.counted).unwrap().min(lengths.len());
        // The longest may be those that were counted as lines.
        let uncounted: u64 = lengths[counted..].iter().sum();
        assert!(
            uncounted <= cut_bytes,
            "{}: of {} missing lines {} were counted; {} were lost by a peer; {uncounted} bytes \
             are missing uncounted, {cut_bytes} were cut off; one of the lines: {}",
            self.name,
            self.lines.len(),
            self.counted,
            self.lines.len() - lengths.len(),
            self.lines.keys().next().map_or(String::new(), |line| line.escape_ascii().to_string())
        );
    }

    /// Whether a line with these losses was lost by its peer: TCP had taken it long before the peer
    /// ended without having read it, which may have happened more than once. Or the server would
    /// have sent it again, had it not ended.
    fn is_lost_by_peer(&self, losses: &[Lost], keep: Option<u64>) -> bool {
        let [first, ..] = losses else { return false };
        let last = losses.last().unwrap_or(first);
        // A connection closed unread does not justify a loss.
        let mut read = losses.iter().filter(|lost| !lost.closed_early);
        let first_read = read.next();
        let last_read = read.next_back().or(first_read);
        let is_old =
            |keep| first_read.zip(last_read).is_some_and(|(a, b)| b.lost - a.acknowledged >= keep);
        let is_forgotten = self.forgotten.iter().any(|end| *end >= last.lost);
        first.closed_by_server || last.closed_by_server || is_forgotten || keep.is_none_or(is_old)
    }
}

fn find<'a>(sinks: &'a Sinks, name: &str) -> Option<&'a Sink> {
    sinks.iter().find(|sink| sink.name() == name)
}

/// The socket at which ganglia listens. It has no reader: what the kernel takes is delivered.
#[derive(Debug)]
pub(super) struct Receiver {
    port: u16,
    socket: Option<UdpSocket>,
}

/// No server of a trial listens here, so none takes the packets while the socket is closed.
const RECEIVER: [u8; 4] = [127, 0, 77, 1];

impl Receiver {
    pub(super) fn new() -> Self {
        let socket = UdpSocket::bind(SocketAddr::from((RECEIVER, 0))).unwrap();
        Self { port: socket.local_addr().unwrap().port(), socket: Some(socket) }
    }

    pub(super) fn address(&self) -> String {
        let [a, b, c, d] = RECEIVER;
        format!("{a}.{b}.{c}.{d}:{}", self.port)
    }

    /// Opens or closes the port.
    pub(super) fn switch(&mut self, opens: bool) {
        if !opens {
            self.socket = None;
        } else if self.socket.is_none() {
            self.socket = UdpSocket::bind(SocketAddr::from((RECEIVER, self.port))).ok();
        }
    }
}
