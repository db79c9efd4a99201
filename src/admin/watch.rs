//! `watch`: shows lines to admin clients while they arrive.
//!
//! ```text
//!  a piece of input ──▶ Watch::lines ─┬─ most lines ──────────────────────────────▶ Engine
//!                                     └─ a line that is wanted ──▶ explained ─────▶ Engine, alone
//!                                                                      │              │ counters
//!                                        queue of each watcher ◀── text, verdict ◀────┘
//!                                              ▼ a step of its client
//!                                           output
//! ```
//! While no client watches, a piece of input costs one test. While one watches, at most
//! [`sampler::PER_SECOND`] lines a second are explained, at most [`sampler::PER_TURN`] in a turn,
//! and each queue is bounded. A datagram with more lines goes on in the next turn. The rest is
//! counted, and shown as `missed`. The verdict of a line is what the engine counted for it.

mod filter;
mod sampler;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use filter::Sieve;
use sampler::Sampler;

use super::text::{put_quoted, write};
use crate::encode::encoders::Encoders;
use crate::encode::sent_names::{NameEncoders, SentNames};
use crate::engine::Engine;
use crate::engine::explain::{Explanation, Foresight, SampleVerdict, explain};
use crate::ledger::Own;
use crate::protocol::{Reject, first_piece, is_binary, trimmed};
use crate::sender::Sender;
use crate::series::AddError;
use crate::sink::{Feed, Sinks};
use crate::time::{Now, Tick};

pub(super) use filter::WatchFilter;

/// The clients that watch, and what they share.
#[derive(Debug, Default)]
pub struct Watch {
    watchers: Vec<Rc<RefCell<Watcher>>>,
    sieve: Option<Sieve>,
    names: Option<NameEncoders>,
    sampler: Sampler,
    now: Now,
}

/// The lines that a client has not read yet.
#[derive(Debug)]
struct Watcher {
    filter: WatchFilter,
    queue: VecDeque<Box<[u8]>>,
    queued_bytes: usize,
    /// Wanted lines that the sampling left out.
    not_sampled: u64,
    /// Lines that found the queue full.
    not_read: u64,
}

impl Watcher {
    /// The lines that were left out since the last report.
    fn missed(&self) -> u64 {
        self.not_sampled + self.not_read
    }
}

/// What is queued for one client. Its unsent output comes on top.
const QUEUE_BYTES_MAX: usize = 64 * 1024;

/// The bytes of a line that are shown, as by `dump_messages`.
const SHOWN_BYTES_MAX: usize = 200;

/// The time between two reports of missed lines.
const REPORT_EVERY: Duration = Duration::from_secs(1);

impl Watch {
    /// Whether a client watches.
    #[inline]
    pub fn is_on(&self) -> bool {
        !self.watchers.is_empty()
    }

    /// Begins a turn of the loop. Forgets the clients that have left.
    pub(super) fn begin_turn(&mut self, now: Now) {
        if self.is_on() {
            self.watchers.retain(|watcher| Rc::strong_count(watcher) > 1);
            if !self.is_on() {
                *self = Self::default(); // free the memory
            }
        }
        self.now = now;
        self.sampler.begin_turn(now.tick);
    }

    /// Forgets what depends on the configuration.
    pub fn reconfigure(&mut self) {
        self.sieve = None;
        self.names = None;
    }

    /// Adds a client.
    pub(super) fn add(&mut self, filter: WatchFilter) -> Watching {
        let watcher = Rc::new(RefCell::new(Watcher {
            filter,
            queue: VecDeque::new(),
            queued_bytes: 0,
            not_sampled: 0,
            not_read: 0,
        }));
        self.watchers.push(Rc::clone(&watcher));
        Watching { watcher, reported: self.now.tick }
    }

    /// Whether this turn has shown all lines that it may show.
    #[inline]
    pub fn is_sated(&self) -> bool {
        self.sampler.is_sated()
    }

    /// Takes in lines as [`Engine::some_lines`] does, and shows some of them. If there is a share,
    /// it ends with the last line that the turn may show.
    pub fn lines<'a>(
        &mut self,
        engine: &mut Engine,
        encoders: &Encoders,
        sinks: &Sinks,
        text: &'a [u8],
        share: usize,
    ) -> &'a [u8] {
        let enough = text.len().saturating_sub(share);
        let may_end = share < usize::MAX && !self.is_sated();
        let mut untaken = text;
        let mut rest = text;
        while rest.len() > enough {
            let (piece, after) = first_piece(rest);
            if self.wants(engine, piece) {
                let before = untaken.len() - rest.len();
                if before > 0 {
                    engine.lines(&untaken[..before]);
                }
                self.show(engine, encoders, sinks, piece);
                untaken = after;
            }
            rest = after;
            if may_end && self.is_sated() {
                break;
            }
        }
        let last = untaken.len() - rest.len();
        if last > 0 {
            engine.lines(&untaken[..last]);
        }
        rest
    }

    /// Shows that a line was refused because it is too long. `start` is its beginning.
    pub fn overlong(&mut self, engine: &mut Engine, start: &[u8]) {
        let sender = engine.ledger().sender();
        let is_wanted = |watcher: &Watcher| watcher.filter.wants_sender(sender);
        if self.samples(is_wanted) {
            let verdict = format!("refused: {}", Reject::LineTooLong);
            let text = self.begin_text(sender, start, &verdict);
            let shows = |filter: &WatchFilter| filter.wants_sender(sender) && !filter.has_glob();
            self.push(text, shows);
        }
    }

    /// Whether a client wants the line, and the sampling takes it.
    fn wants(&mut self, engine: &mut Engine, piece: &[u8]) -> bool {
        if trimmed(piece).is_empty() {
            return false;
        }
        let sender = engine.ledger().sender();
        let mut sieve = self.sieve.take();
        let of_engine = sieve.get_or_insert_with(|| Sieve::new(engine));
        let is_wanted = |watcher: &Watcher| {
            watcher.filter.wants_sender(sender) && watcher.filter.may_want(piece, of_engine)
        };
        let wants = self.samples(is_wanted);
        self.sieve = sieve;
        wants
    }

    /// Whether the sampling takes a line that `is_wanted` by some watchers. If it does not, they
    /// miss the line.
    fn samples(&mut self, mut is_wanted: impl FnMut(&Watcher) -> bool) -> bool {
        let Some(first) = self.watchers.iter().position(|known| is_wanted(&known.borrow())) else {
            return false;
        };
        if self.sampler.takes() {
            return true;
        }
        self.watchers[first].borrow_mut().not_sampled += 1;
        for watcher in &self.watchers[first + 1..] {
            let mut watcher = watcher.borrow_mut();
            let misses = is_wanted(&watcher);
            watcher.not_sampled += u64::from(misses);
        }
        false
    }

    /// Takes in a line, and queues it for the watchers that want it.
    fn show(&mut self, engine: &mut Engine, encoders: &Encoders, sinks: &Sinks, piece: &[u8]) {
        let names = self.names.get_or_insert_with(|| NameEncoders::of(encoders));
        let explanation = explain(engine, names, piece, Foresight::Line);
        let before = LineCounts::of(engine);
        engine.lines(piece);
        let counted = LineCounts::of(engine).since(&before);
        let sender = engine.ledger().sender();
        let line = if is_binary(piece) { piece } else { trimmed(piece) };
        let mut text = self.begin_text(sender, line, &verdict(&explanation, &counted));
        let mut name = None;
        if let Explanation::Metrics(line) = &explanation {
            name = Some(line.sent_name.as_ref().unwrap_or(&line.name).as_slice());
            text.extend_from_slice(b" series=");
            put_quoted(&line.name, &mut text);
            let rules: Vec<&str> = line.rules.iter().map(|(name, _)| name.as_str()).collect();
            write(&mut text, format_args!(" rules={:?}", rules.join(",")));
            text.extend_from_slice(b" sent=");
            let sent = sent_as(line.sent.iter().flat_map(|series| &series.points), sinks);
            put_quoted(&sent, &mut text);
        }
        let is_bad = counted.bad > 0;
        self.push(text, |filter| filter.wants(sender, name, line, is_bad));
    }

    /// Returns the first fields of a line's text.
    fn begin_text(&self, sender: Sender, line: &[u8], verdict: &str) -> Vec<u8> {
        let time = UNIX_EPOCH + Duration::from_millis(self.now.unix.as_millis());
        let mut text = Vec::new();
        let time = humantime::format_rfc3339_millis(time);
        write(&mut text, format_args!("{time} {sender} line="));
        put_quoted(&line[..line.len().min(SHOWN_BYTES_MAX)], &mut text);
        if line.len() > SHOWN_BYTES_MAX {
            text.extend_from_slice(b"...");
        }
        write(&mut text, format_args!(" verdict={verdict:?}"));
        text
    }

    /// Queues the text of a line.
    fn push(&self, mut text: Vec<u8>, is_shown: impl Fn(&WatchFilter) -> bool) {
        text.push(b'\n');
        for watcher in &self.watchers {
            let mut watcher = watcher.borrow_mut();
            if !is_shown(&watcher.filter) {
                continue;
            }
            if watcher.queued_bytes + text.len() > QUEUE_BYTES_MAX {
                watcher.not_read += 1;
            } else {
                watcher.queued_bytes += text.len();
                watcher.queue.push_back(text.as_slice().into());
            }
        }
    }
}

/// The watch of one client. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Watching {
    watcher: Rc<RefCell<Watcher>>,
    /// When missed lines were last reported.
    reported: Tick,
}

impl Watching {
    /// Whether there is something to show.
    pub(super) fn has_news(&self, now: Tick) -> bool {
        let watcher = self.watcher.borrow();
        !watcher.queue.is_empty() || (watcher.missed() > 0 && self.is_report_due(now))
    }

    fn is_report_due(&self, now: Tick) -> bool {
        self.reported + REPORT_EVERY <= now
    }

    /// Shows the rest, for the end of the watch.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        self.step(Tick::NEVER, out);
    }

    /// Moves queued lines to `out`, and reports missed ones. Returns `false` if there was nothing
    /// to do.
    pub(super) fn step(&mut self, now: Tick, out: &mut Vec<u8>) -> bool {
        let mut watcher = self.watcher.borrow_mut();
        let missed = watcher.missed();
        let is_due = missed > 0 && self.is_report_due(now);
        if watcher.queue.is_empty() && !is_due {
            return false;
        }
        for text in watcher.queue.drain(..) {
            out.extend_from_slice(&text);
        }
        watcher.queued_bytes = 0;
        if is_due {
            self.reported = now;
            let not_sampled = std::mem::take(&mut watcher.not_sampled);
            let not_read = std::mem::take(&mut watcher.not_read);
            write(
                out,
                format_args!("missed={missed} not_sampled={not_sampled} not_read={not_read}\n"),
            );
        }
        true
    }
}

/// What the engine has counted.
#[derive(Debug, PartialEq)]
struct LineCounts {
    bad: u64,
    dropped: u64,
    rejected: u64,
}

impl LineCounts {
    fn of(engine: &Engine) -> Self {
        let own = engine.own();
        Self {
            bad: own.total(Own::BadLinesSeen),
            dropped: own.total(Own::SamplesDropped),
            rejected: own.total(Own::SeriesRejected),
        }
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            bad: self.bad - before.bad,
            dropped: self.dropped - before.dropped,
            rejected: self.rejected - before.rejected,
        }
    }

    fn add(&mut self, verdict: &SampleVerdict) {
        match verdict {
            SampleVerdict::Bad(_) => self.bad += 1,
            SampleVerdict::Dropped(_) => self.dropped += 1,
            SampleVerdict::Refused(AddError::TooManySeries) => self.rejected += 1,
            SampleVerdict::Refused(_) => self.dropped += 1,
            _ => {}
        }
    }

    /// Returns what was counted, for a line that did something else than was foreseen.
    fn text(&self) -> String {
        let all = [
            (self.bad, "refused: bad_lines_seen"),
            (self.dropped, "dropped: samples_dropped"),
            (self.rejected, "refused: series_rejected"),
        ];
        let counted = all.iter().filter(|(count, _)| *count > 0);
        let texts: Vec<_> = counted.map(|(count, text)| format!("{text} {count}")).collect();
        if texts.is_empty() { "accepted".into() } else { texts.join("; ") }
    }
}

/// Returns the verdict on a line. If the engine has counted something else than was foreseen, its
/// counters are the verdict.
fn verdict(explanation: &Explanation, counted: &LineCounts) -> String {
    let foreseen = match explanation {
        Explanation::Empty => return "ignored: the line is empty".into(),
        Explanation::Event => return "ignored: an event or a service check".into(),
        Explanation::Binary if counted.bad == 0 && counted.dropped + counted.rejected == 0 => {
            return "accepted, a binary message".into();
        }
        Explanation::Binary => return counted.text(),
        Explanation::Bad(reject) => return format!("refused: {reject}"),
        Explanation::Metrics(line) => &line.samples,
    };
    let mut expected = LineCounts { bad: 0, dropped: 0, rejected: 0 };
    let mut verdicts: Vec<(&SampleVerdict, usize)> = Vec::new();
    for sample in foreseen {
        expected.add(&sample.verdict);
        match verdicts.iter_mut().find(|(known, _)| **known == sample.verdict) {
            Some((_, count)) => *count += 1,
            None => verdicts.push((&sample.verdict, 1)),
        }
    }
    if expected != *counted {
        return counted.text();
    }
    let shown = |(verdict, count): &(&SampleVerdict, usize)| match count {
        1 => verdict.to_string(),
        _ => format!("{count} values {verdict}"),
    };
    verdicts.iter().take(4).map(shown).collect::<Vec<_>>().join("; ")
}

/// Returns for each destination its first name, and the number of further names.
fn sent_as<'a>(points: impl Iterator<Item = &'a SentNames>, sinks: &Sinks) -> Vec<u8> {
    let points: Vec<_> = points.collect();
    let mut text = Vec::new();
    for sink in sinks.iter() {
        let its = points.iter().filter(|points| sink.takes(Feed::Flushes(points.encoder)));
        let mut names = its.flat_map(|points| &points.names);
        let Some(first) = names.next() else { continue };
        let comma = if text.is_empty() { "" } else { ", " };
        write(&mut text, format_args!("{comma}{}: ", sink.name()));
        text.extend_from_slice(first);
        let more = names.count();
        if more > 0 {
            write(&mut text, format_args!(" +{more}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use statsd_bench::Random;

    use super::*;
    use crate::config::Config;
    use crate::encode::encoders::Format;
    use crate::encode::namespace::Namespace;
    use crate::engine::Settings;
    use crate::policy::FigureNames;
    use crate::series::Seeds;
    use crate::time::UnixTime;

    fn engine() -> Engine {
        let config = Config::default();
        let settings = Settings {
            grammar: config.grammar,
            bounds: crate::series::Bounds { max_series: 30, ..config.bounds },
            rules: config.rules,
            flush_interval: config.flush_interval,
            prefix_stats: "statsd".into(),
            count_names: false,
        };
        Engine::new(&settings, Seeds { names: [1, 2, 3, 4], members: [5, 6] })
    }

    fn encoders() -> Encoders {
        let wanted = [(Format::Plaintext, &Namespace::default(), true)];
        let rules = Config::default().rules;
        Encoders::new(wanted, &FigureNames::new(&rules.percentiles(), &rules.bins()))
    }

    fn filter(text: &str) -> WatchFilter {
        let words: Vec<_> = text.split_whitespace().map(|word| word.as_bytes().into()).collect();
        WatchFilter::parse(&words).unwrap()
    }

    fn begin_turn(watch: &mut Watch, millis: u64) {
        let tick = Tick::from_millis(millis);
        watch.begin_turn(Now { tick, unix: UnixTime::from_millis(millis) });
    }

    fn random_packet(random: &mut Random) -> Vec<u8> {
        let mut packet = Vec::new();
        for _ in 0..random.below(30_u64) {
            let name = random.pick(&["a", "web.x", "c d", ""]);
            let value = random.pick(&["1", "x", "1e308", "-1e308", "2:3", ""]);
            let end = random.pick(&["|c", "|ms", "|g|#k:v", "|c|T5", "", "|s"]);
            let number = random.below(20_u64);
            packet.extend_from_slice(format!("{name}{number}:{value}{end}\n").as_bytes());
            if random.one_in(20) {
                packet.extend_from_slice(b"\xaa\x02\x02\0\0\0\0\0\0\0\xf0\x3fb\0");
            }
        }
        packet
    }

    /// Shows that the engine takes the same lines in the same order whether clients watch or not.
    #[test]
    fn lines_have_the_same_effect_while_they_are_watched() {
        for seed in 0..20 {
            let mut random = Random::new(seed);
            let mut plain = engine();
            let mut watched = engine();
            let mut watch = Watch::default();
            let filters = ["", "web.*", "bad", "c_d* bad"];
            let mut watching: Vec<_> = filters.iter().map(|text| watch.add(filter(text))).collect();
            for turn in 0..100 {
                begin_turn(&mut watch, turn * random.below(200_u64));
                let packet = random_packet(&mut random);
                let share = 1 + random.below(400_usize);
                plain.lines(&packet);
                let mut rest = &packet[..];
                while !rest.is_empty() {
                    rest = watch.lines(&mut watched, &encoders(), &Sinks::default(), rest, share);
                }
                let saved = |engine: &Engine| engine.save(|_| Ok::<_, ()>(())).unwrap();
                assert!(saved(&plain) == saved(&watched), "seed {seed}");
                let mut out = Vec::new();
                watching.iter_mut().for_each(|one| _ = one.step(Tick::default(), &mut out));
            }
        }
    }

    /// Shows that a client that does not read costs a bounded queue, and learns what it missed.
    #[test]
    fn a_slow_reader_misses_lines_that_are_counted() {
        let mut engine = engine();
        let mut watch = Watch::default();
        let mut watching = watch.add(WatchFilter::default());
        for turn in 0..200 {
            begin_turn(&mut watch, turn * 10);
            let packet = "name:1|c\n".repeat(10);
            watch.lines(&mut engine, &encoders(), &Sinks::default(), packet.as_bytes(), usize::MAX);
        }
        let mut out = Vec::new();
        assert!(watching.step(Tick::from_millis(5000), &mut out));
        assert!(!watching.step(Tick::from_millis(9000), &mut out), "once");
        assert!(out.len() < QUEUE_BYTES_MAX + 100);
        let text = String::from_utf8(out).unwrap();
        let shown = text.lines().filter(|line| line.contains(" line=\"name:1|c\" ")).count();
        let missed: usize = text
            .lines()
            .filter_map(|line| {
                line.strip_prefix("missed=")?.split(' ').next()?.parse::<usize>().ok()
            })
            .sum();
        assert_eq!(shown + missed, 2000, "{text}");
        assert!(text.contains(" not_sampled=") && !text.contains(" not_read=0\n"));
    }

    /// Shows that a turn shows few lines. Those of a datagram wait for the next turn, those of a
    /// stream do not.
    #[test]
    fn a_turn_shows_few_lines() {
        let mut engine = engine();
        let mut watch = Watch::default();
        let mut watching = watch.add(WatchFilter::default());
        let packet = "name:1|c\n".repeat(25);
        let mut take = |millis: u64, text: &[u8], share: usize| {
            begin_turn(&mut watch, millis);
            let rest = watch.lines(&mut engine, &encoders(), &Sinks::default(), text, share).len();
            assert_eq!(watch.is_sated(), text.len() > 80);
            let mut out = Vec::new();
            watching.step(Tick::from_millis(millis), &mut out);
            (rest / 9, String::from_utf8(out).unwrap().matches("verdict=").count())
        };
        let text = packet.as_bytes();
        assert_eq!(take(1, text, 10_000), (15, 10));
        assert_eq!(take(2, &text[10 * 9..], 10_000), (5, 10));
        assert_eq!(take(3, &text[20 * 9..], 10_000), (0, 5));
        assert_eq!(take(200, text, usize::MAX), (0, 10));
        // Without a line left, a turn takes in the share all the same.
        assert_eq!(watch.lines(&mut engine, &encoders(), &Sinks::default(), text, 9).len(), 24 * 9);
    }

    /// Shows that a watch ends with its client, and costs nothing from then on.
    #[test]
    fn a_client_that_leaves_is_forgotten() {
        let mut watch = Watch::default();
        let watching = watch.add(WatchFilter::default());
        begin_turn(&mut watch, 1);
        assert!(watch.is_on());
        drop(watching);
        begin_turn(&mut watch, 2);
        assert!(!watch.is_on());
    }

    /// Shows what is shown of lines, by each filter.
    #[test]
    fn lines_are_shown_with_their_verdicts() {
        let mut engine = engine();
        let mut watch = Watch::default();
        let mut all = watch.add(filter(""));
        let mut bad = watch.add(filter("bad"));
        let mut web = watch.add(filter("web.*"));
        begin_turn(&mut watch, 1_795_862_607_000);
        engine.ledger().set_sender(Sender::Internet("10.0.0.1:7".parse().unwrap()));
        let packet = b"web.a:1:2|c|#k:v\na\"\x1b:1|c\nweb.b:x|g\n_sc|a|0\n\n";
        watch.lines(&mut engine, &encoders(), &Sinks::default(), packet, usize::MAX);
        let shown = |watching: &mut Watching| {
            let mut out = Vec::new();
            watching.step(Tick::default(), &mut out);
            String::from_utf8(out).unwrap()
        };
        let text = shown(&mut all);
        let lines: Vec<_> = text.lines().collect();
        let head = "2026-11-28T10:43:27.000Z 10.0.0.1:7 ";
        assert_eq!(
            lines[0],
            format!(
                "{head}line=\"web.a:1:2|c|#k:v\" verdict=\"accepted, makes a new series; \
                 accepted, the series exists\" series=\"web.a;k=v\" rules=\"\" sent=\"\""
            )
        );
        assert!(lines[1].starts_with(&format!("{head}line=\"a\\\"\\x1b:1|c\" verdict=")));
        assert!(lines[3].contains("verdict=\"ignored: an event or a service check\""));
        assert_eq!(lines.len(), 4, "{text}");
        assert_eq!(shown(&mut bad), format!("{}\n", lines[2]));
        assert_eq!(shown(&mut web), format!("{}\n{}\n", lines[0], lines[2]));
    }
}
