//! The fuzz targets, one function each. A target panics if a property that must hold does not.
// Each fuzz binary uses one of the targets. A target that cannot go on must fail.
#![allow(dead_code, clippy::unwrap_used)]

pub(crate) mod import;
pub(crate) mod rules;
pub(crate) mod web;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use statsd::config::{self, Origin, Overrides, Surroundings};
use statsd::encode::chunk::Chunk;
use statsd::memory_limit::MemoryLimit;

use statsd::encode::encoders::{Encoders, Format};
use statsd::encode::namespace::Namespace;
use statsd::engine::{Closing, Engine, Settings};
use statsd::flush::Schedule;
use statsd::ingest::frames::{ConnectionSplitter, StreamLimits};
use statsd::ingest::lines::Piece;
use statsd::policy::FigureNames;
use statsd::protocol::{
    Dialect, Dialects, Grammar, LineReader, MetricKind, PackedValues, ParsedLine, Plain, Reject,
    Sample, is_plain_for, plain_series_name, read_plain,
};
use statsd::series::{Bounds, Seeds};
use statsd::sink::spool::{Disk, Record, SegmentFile, Spool};
use statsd::state::{self, StateHead};
use statsd::time::UnixTime;
use statsd::warnings::PacketLoss;
use statsd::wire::In;

pub(crate) type Target = fn(&[u8]);

/// Every target and the folder of its corpus.
pub(crate) const ALL: [(&str, Target); 10] = [
    ("packet", packet),
    ("stream", stream),
    ("binary", binary),
    ("ini", ini),
    ("import", import::import),
    ("flush", flush),
    ("rules", rules::rules),
    ("state", state),
    ("spool", spool),
    ("http", web::http),
];

/// Lines, under grammars that differ: names are never empty nor too long, numbers always finite.
/// The reader of plain lines makes the same of a line as the general one.
pub(crate) fn packet(data: &[u8]) {
    for grammar in grammars() {
        let mut reader = LineReader::new(grammar.clone());
        for line in data.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let plain = plain_sample(&grammar, line);
            let mut general = None;
            if let ParsedLine::Metrics(line) = reader.read(line) {
                check_name(&grammar, line.name);
                assert!(line.samples().count() > 0);
                line.samples().flatten().for_each(check_sample);
                let samples: Vec<_> = line.samples().collect();
                general = Some((line.name.to_vec(), format!("{samples:?}")));
            }
            assert!(plain.is_none() || plain == general, "{plain:?}, {general:?}");
        }
    }
}

/// Returns the name and the sample of a plain line, or `None` if it is another line.
fn plain_sample(grammar: &Grammar, line: &[u8]) -> Option<(Vec<u8>, String)> {
    let mut room = vec![0; grammar.max_key_length];
    let read = read_plain(grammar, line)?;
    let Plain { name, value, weight, .. } = read.plain;
    let name = match read.tags {
        None if is_plain_for(grammar, name) => name,
        None => return None, // the general reader reads it
        Some(tags) => plain_series_name(grammar, name, tags, &mut room)?,
    };
    let sample = match read.plain.kind {
        MetricKind::Counter => Sample::Count(value * weight),
        MetricKind::Gauge => Sample::Level(value),
        MetricKind::Timing => Sample::Time { value, weight },
        MetricKind::Set => Sample::Member(read.plain.text),
    };
    Some((name.to_vec(), format!("{:?}", [Ok::<_, Reject>(sample)])))
}

/// A unix stream, the first byte saying how it is cut: whatever the pieces, the same series.
pub(crate) fn stream(data: &[u8]) {
    let Some((size, data)) = data.split_first() else { return };
    assert_eq!(streamed(data, usize::from(*size).max(1)), streamed(data, usize::MAX));
}

/// One binary message.
pub(crate) fn binary(data: &[u8]) {
    for grammar in grammars() {
        let mut reader = LineReader::new(grammar.clone());
        if let Ok(message) = reader.read_binary(data) {
            check_name(&grammar, message.name);
            check_sample(message.sample);
        }
    }
}

/// A configuration file: what is printed of a good one is read as the same one. Warnings name only
/// lines that are there.
pub(crate) fn ini(data: &[u8]) {
    let file = Path::new("fuzz.conf");
    if let Ok((config, given)) = config::parse_with_places(file, data, &Overrides::default()) {
        let printed = config::render(&config);
        assert_eq!(config::parse(file, printed.as_bytes()).unwrap(), config, "{printed}");
        let origin = Origin::of_file(file, given);
        let memory = Some(MemoryLimit { bytes: 64 << 20, of: "the cgroup" });
        let surroundings = Surroundings { memory, ..Surroundings::default() };
        let lines = data.split(|byte| *byte == b'\n').count();
        for warning in config::warnings(&config, &origin, &surroundings) {
            assert!(warning.at.is_none_or(|at| (1..=lines).contains(&at.line())), "{warning}");
        }
    }
}

/// Passes datagrams, separated by the byte `1e`, to an engine between the slices of two flushes.
/// Every line that is sent must be one that carbon accepts.
pub(crate) fn flush(data: &[u8]) {
    let (mut engine, settings) = (engine(), settings());
    let namespace = Namespace::default();
    let figures = FigureNames::new(&settings.rules.percentiles(), &settings.rules.bins());
    let mut encoders = Encoders::new([(Format::Plaintext, &namespace, true)], &figures);
    let mut packets = data.split(|byte| *byte == 0x1e);
    for stamp in [10, 20] {
        packets.by_ref().take(4).for_each(|packet| engine.lines(packet));
        encoders.begin(engine.tick(), UnixTime::from_secs(stamp));
        while !engine.sweep(1, &mut |summary| encoders.encode(summary)) {
            packets.by_ref().take(1).for_each(|packet| engine.lines(packet));
        }
        engine.finish(&Closing::default(), &mut |summary| encoders.encode(summary));
        encoders.end();
        for (_, chunk) in encoders.take() {
            let text = std::str::from_utf8(chunk.bytes()).unwrap();
            assert!(text.is_ascii() && text.ends_with('\n'), "{text:?}");
            text.lines().for_each(check_line);
        }
    }
}

/// Checks a state file without its checksum: the state read from it can be saved, and is the same
/// when read again.
pub(crate) fn state(data: &[u8]) {
    let _ = state::checked(data);
    let checksum = crc32fast::hash(data).to_le_bytes();
    let Ok(head) = state::checked(&[data, &checksum].concat()) else { return };
    let mut records = In::new(data);
    StateHead::read(&mut records).unwrap();
    Schedule::resume(settings().flush_interval, true, head.end).tick(UnixTime::from_secs(15));
    assert!(head.end.as_secs() < 1 << 40);
    // An engine with little room, which refuses much, reading gauges alone.
    let mut small = engine();
    small.restore(records.clone(), head.interval, false);
    small.lines(b"a:1|c\na:1|ms\na:x|s\na:+1|g\na:1|C\na:1|kv");
    closed(small);
    engine().restore(records.clone(), head.interval, true);
    let mut first = roomy();
    first.restore(records, head.interval, false);
    let mut saved = Vec::new();
    let rest = first.save(|bytes| {
        saved.append(bytes);
        Ok::<_, ()>(())
    });
    saved.extend(rest.unwrap());
    let mut second = roomy();
    // Idle times and rates are now in the reader's own interval.
    let restored = second.restore(In::new(&saved), settings().flush_interval, false);
    assert!(!restored.damaged && restored.refused == 0, "{restored:?}");
    assert_eq!(second.table().len(), first.table().len());
    first.restore(In::new(b""), settings().flush_interval, false);
    assert_eq!(closed(first), closed(second));
}

/// Checks a spool of segments and a note on a disk, and a series of steps. Reading always ends, and
/// every line is accounted for.
///
/// The first byte says whether checksums are corrected and how many segments follow. Each segment
/// has its number (a byte), its length (two bytes) and its bytes. Then come the note's 16 bytes,
/// and a byte for each step.
pub(crate) fn spool(data: &[u8]) {
    let Some((disk, steps)) = MemoryDisk::read(data) else { return };
    let Ok(spool) = Spool::open(Box::new(disk.clone()), "plaintext", 1 << 16) else { return };
    let mut user = SpoolUser { disk, spool, out: Vec::new(), accepted: 0, arrived: 0 };
    user.check();
    for step in steps.iter().take(200) {
        user.step(*step);
        user.check();
    }
    user.recall(0);
    user.spool.wake();
    for _ in 0..10_000 {
        let Some(record) = user.next() else { break };
        user.settle(&record);
    }
    assert!(user.next().is_none(), "no more is handed out than there is");
    user.check();
    let again = Spool::open(Box::new(user.disk.clone()), "plaintext", 1 << 16);
    again.unwrap().waiting_bytes();
}

/// A spool as the code writes it, partly read, and steps that go on with it.
pub(crate) fn small_spool(chunks: u32, released: usize, steps: &[u8]) -> Vec<u8> {
    let disk = MemoryDisk::default();
    let mut spool = Spool::open(Box::new(disk.clone()), "plaintext", 1 << 20).unwrap();
    for nth in 1..=chunks {
        spool.save(&Chunk::new(b"stats.a 1 10\n".repeat(nth as usize), nth, 1));
    }
    for _ in 0..released {
        let place = spool.take_next().unwrap().place;
        spool.note_arrived(place);
        spool.release(place);
    }
    [disk.written(), steps.to_vec()].concat()
}

/// Returns the state that a server would save after these packets, without its checksum.
pub(crate) fn small_state(whole: bool, packets: &[&str]) -> Vec<u8> {
    let mut engine = roomy();
    packets.iter().for_each(|packet| engine.lines(packet.as_bytes()));
    let (start, end) = (UnixTime::from_secs(10), UnixTime::from_secs(20));
    let interval = settings().flush_interval;
    let mut bytes = Vec::new();
    StateHead { whole, start, end, interval, members: [1, 2] }.write(&mut bytes);
    let rest = engine.save(|saved| {
        bytes.append(saved);
        Ok::<_, ()>(())
    });
    bytes.extend(rest.unwrap());
    bytes
}

/// The reader of a spool, in place of an outbox.
struct SpoolUser {
    disk: MemoryDisk,
    spool: Spool,
    /// Records that are handed out and not released.
    out: Vec<Record>,
    accepted: u64,
    arrived: u64,
}

impl SpoolUser {
    fn step(&mut self, step: u8) {
        let nth = usize::from(step >> 3);
        match step & 7 {
            0 => {
                let lines = u32::from(step) + 1;
                self.accepted += u64::from(lines);
                self.spool.save(&Chunk::new(vec![b'x'; 1 + nth * 1000], lines, 1));
            }
            1 | 2 => {
                let next = self.next();
                self.out.extend(next);
            }
            3 if !self.out.is_empty() => {
                let record = self.out.remove(0);
                self.settle(&record);
            }
            4 => self.recall(nth),
            5 if self.out.first().is_some_and(|first| !first.arrived) => {
                let (place, lines) = (self.out[0].place, self.out[0].lines);
                self.spool.recall(place);
                self.out.clear();
                self.spool.drop_recalled(place, lines);
            }
            // Another process removes a file.
            6 if nth % 2 == 1 => _ = self.disk.0.borrow_mut().segments.pop_first(),
            6 => self.spool.wake(),
            _ => self.spool.limit(1 << (10 + nth % 8)),
        }
        self.disk.0.borrow_mut().calls = 0;
        self.spool.take_events();
    }

    fn recall(&mut self, nth: usize) {
        if let Some(record) = self.out.get(nth) {
            self.spool.recall(record.place);
            self.out.truncate(nth);
        }
    }

    fn next(&mut self) -> Option<Record> {
        let record = self.spool.take_next();
        self.disk.0.borrow_mut().calls = 0;
        record
    }

    fn settle(&mut self, record: &Record) {
        if !record.arrived {
            self.spool.note_arrived(record.place);
            self.arrived += u64::from(record.lines);
        }
        self.spool.release(record.place);
    }

    fn check(&self) {
        let (tally, waiting) = (self.spool.tally(), self.spool.waiting_lines());
        let known = self.accepted + tally.found_lines;
        assert_eq!(known, self.arrived + tally.dropped_lines + waiting, "{tally:?}");
        self.spool.waiting_bytes();
    }
}

/// Takes `most` bytes off the front of fuzz input, or all that it has.
fn up_to(input: &mut &[u8], most: usize) -> Vec<u8> {
    let (taken, rest) = input.split_at(most.min(input.len()));
    *input = rest;
    taken.to_owned()
}

/// A spool's files in memory, shared with the test.
#[derive(Clone, Debug, Default)]
struct MemoryDisk(Rc<RefCell<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    segments: BTreeMap<u64, Vec<u8>>,
    note: Vec<u8>,
    /// Calls since this was last set back.
    calls: usize,
}

impl MemoryDisk {
    /// Reads the files from fuzz input. Returns them and the rest of the input, which holds the
    /// steps.
    fn read(mut input: &[u8]) -> Option<(Self, &[u8])> {
        let first = *input.split_off_first()?;
        let is_resealed = first & 0x80 != 0;
        let mut contents = Contents::default();
        for _ in 0..first & 7 {
            let number = match u64::from(*input.split_off_first()?) {
                last @ 250.. => u64::MAX - (255 - last),
                number => number,
            };
            let length = [*input.split_off_first()?, *input.split_off_first()?];
            let mut bytes = up_to(&mut input, u16::from_le_bytes(length).into());
            if is_resealed {
                fix_checksums(&mut bytes);
            }
            contents.segments.insert(number, bytes);
        }
        contents.note = up_to(&mut input, 16);
        let checksum = crc32fast::hash(&contents.note);
        contents.note.extend(checksum.to_le_bytes());
        Some((Self(Rc::new(RefCell::new(contents))), input))
    }

    /// Writes the files so that [`read`](Self::read) reads the same.
    fn written(&self) -> Vec<u8> {
        let contents = self.0.borrow();
        let mut out = vec![0x80 | u8::try_from(contents.segments.len()).unwrap()];
        for (number, bytes) in &contents.segments {
            out.push(u8::try_from(*number).unwrap());
            out.extend(u16::try_from(bytes.len()).unwrap().to_le_bytes());
            out.extend(bytes);
        }
        out.extend(contents.note.iter().chain(&[0; 16]).take(16));
        out
    }

    fn called(&self) -> std::cell::RefMut<'_, Contents> {
        let mut contents = self.0.borrow_mut();
        contents.calls += 1;
        assert!(contents.calls < 100_000, "the spool never ends");
        contents
    }
}

/// Corrects the checksums of a segment's records.
fn fix_checksums(segment: &mut [u8]) {
    let mut rest = segment.get_mut(32..).unwrap_or_default();
    while let Some((head, behind)) = rest.split_at_mut_checked(12) {
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        let Some((chunk, next)) = behind.split_at_mut_checked(length as usize) else { return };
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&head[..8]);
        checksum.update(chunk);
        head[8..].copy_from_slice(&checksum.finalize().to_le_bytes());
        rest = next;
    }
}

impl Disk for MemoryDisk {
    fn segments(&mut self) -> io::Result<Vec<SegmentFile>> {
        let contents = self.called();
        let file =
            |(&number, bytes): (&u64, &Vec<u8>)| SegmentFile { number, bytes: bytes.len() as u64 };
        Ok(contents.segments.iter().map(file).collect())
    }

    fn restore(&mut self) -> io::Result<bool> {
        Ok(false)
    }

    fn has(&mut self, segment: u64) -> io::Result<bool> {
        Ok(self.called().segments.contains_key(&segment))
    }

    fn write(&mut self, segment: u64, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut contents = self.called();
        if at > 0 && !contents.segments.contains_key(&segment) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let file = contents.segments.entry(segment).or_default();
        let at = usize::try_from(at).unwrap();
        assert!(at <= file.len(), "no holes");
        file.truncate(at);
        file.extend_from_slice(bytes);
        Ok(())
    }

    fn read(&mut self, segment: u64, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let contents = self.called();
        let file = contents.segments.get(&segment).ok_or(io::ErrorKind::NotFound)?;
        let rest = usize::try_from(at).ok().and_then(|at| file.get(at..)).unwrap_or_default();
        let got = rest.len().min(buffer.len());
        buffer[..got].copy_from_slice(&rest[..got]);
        Ok(got)
    }

    fn cut(&mut self, segment: u64, length: u64) -> io::Result<()> {
        let mut contents = self.called();
        let file = contents.segments.get_mut(&segment).ok_or(io::ErrorKind::NotFound)?;
        file.truncate(usize::try_from(length).unwrap());
        Ok(())
    }

    fn remove(&mut self, segment: u64) -> io::Result<()> {
        self.called().segments.remove(&segment).ok_or(io::ErrorKind::NotFound)?;
        Ok(())
    }

    fn set_aside(&mut self, segment: u64) -> io::Result<()> {
        self.remove(segment)
    }

    fn write_note(&mut self, note: &[u8]) -> io::Result<()> {
        self.called().note = note.to_owned();
        Ok(())
    }

    fn read_note(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.called().note.clone())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn take_stall(&mut self) -> Duration {
        Duration::ZERO
    }

    fn location(&self) -> String {
        "memory".into()
    }
}

fn check_name(grammar: &Grammar, name: &[u8]) {
    assert!(!name.is_empty() && name[0] != b';', "{}", name.escape_ascii());
    assert!(name.len() <= grammar.max_key_length);
    let clean = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.;=".contains(byte);
    assert!(!grammar.sanitize || name.iter().all(clean), "{}", name.escape_ascii());
    for tag in name.split(|byte| *byte == b';').skip(1) {
        let equals = tag.iter().position(|byte| *byte == b'=').expect("a value");
        assert!(equals > 0 && equals + 1 < tag.len(), "{}", name.escape_ascii());
    }
}

fn check_sample(sample: Sample<'_>) {
    let numbers = match sample {
        Sample::Count(value) | Sample::Level(value) | Sample::Change(value) | Sample::Kv(value) => {
            [value, 0.0]
        }
        Sample::Cumulative { value, weight } | Sample::Time { value, weight } => [value, weight],
        Sample::Member(member) => return assert!(!member.is_empty()),
    };
    assert!(numbers.iter().all(|number| number.is_finite()), "{sample:?}");
}

/// Name, value and stamp; the value a finite number.
fn check_line(line: &str) {
    assert!(line.len() < 4096, "{line}");
    let [name, value, stamp] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
    assert!(!name.is_empty() && value.parse::<f64>().unwrap().is_finite(), "{line}");
    assert!(stamp.parse::<u64>().is_ok(), "{line}");
}

/// The summaries of a stream that came in pieces of `size` bytes, sorted, own counters among them.
fn streamed(data: &[u8], size: usize) -> Vec<String> {
    let mut engine = engine();
    let mut splitter = ConnectionSplitter::undecided();
    let mut take = |piece: Piece<'_>| match piece {
        Piece::Lines(text) => engine.lines(text),
        Piece::Binary(message) => engine.binary(message),
        Piece::Overlong(start) => engine.overlong_line(start),
        Piece::Packet(packet) => engine.lines(packet),
        Piece::PacketTooLong => engine.ledger_mut().lose_packet(PacketLoss::FrameTooLong),
        Piece::PacketCutShort => engine.ledger_mut().lose_packet(PacketLoss::FrameCutShort),
    };
    let limits = StreamLimits { max_line: 64, share: size };
    let mut rest = data;
    while !rest.is_empty() {
        let (read, after) = rest.split_at(splitter.room(size).min(rest.len()));
        splitter.feed(read, limits, &mut take);
        while splitter.pass_on(size, &mut take) {}
        rest = after;
    }
    splitter.end(limits, &mut take);
    closed(engine)
}

/// Returns the summaries of the open interval, sorted, including own counters.
fn closed(mut engine: Engine) -> Vec<String> {
    engine.tick();
    let mut summaries = Vec::new();
    let mut show = |summary: &statsd::flush::Summary<'_>| summaries.push(format!("{summary:?}"));
    while !engine.sweep(usize::MAX, &mut show) {}
    engine.finish(&Closing::default(), &mut show);
    summaries.sort();
    summaries
}

fn grammars() -> [Grammar; 3] {
    let all = Grammar { dialects: Dialects::from_iter(Dialect::ALL), ..Grammar::default() };
    let packed_values = PackedValues::No;
    let squeeze_dots = true;
    let (max_key_length, max_tags) = (16, 3);
    let raw =
        Grammar { sanitize: false, packed_values, squeeze_dots, max_key_length, max_tags, ..all };
    [Grammar::default(), raw, Grammar { packed_values: PackedValues::Timings, ..all }]
}

fn engine() -> Engine {
    Engine::new(&settings(), Seeds { names: [1, 2, 3, 4], members: [5, 6] })
}

/// Returns an engine with room for all of a small state.
fn roomy() -> Engine {
    let bounds = Bounds {
        timer_exact: 8,
        timer_error: 0.2,
        set_exact: 8,
        set_error: 0.2,
        ..Bounds::default()
    };
    let rules = Default::default();
    let settings = Settings { bounds, rules, ..settings() };
    Engine::new(&settings, Seeds { names: [1, 2, 3, 4], members: [5, 6] })
}

/// Every sort of rule, and little room, so that its end is met.
fn settings() -> Settings {
    const CONF: &str = "[statsd]\npercentiles = 50, 99.9, -10\n[limits]\nevict_after = 0\n\
        [rule.drop]\nmatch = d*\ndrop = yes\n[rule.abs]\nmatch = g*\nsigned_gauges = absolute\n\
        [rule.bins]\nmatch = t*\nhistogram = 1, 10, inf\n[rule.idle]\nmatch = n*\ndelete_idle = yes\n";
    let config = config::parse(Path::new("fuzz.conf"), CONF.as_bytes()).unwrap();
    let bounds =
        Bounds { max_series: 8, sample_memory: 1024, passthrough_memory: 512, ..config.bounds };
    Settings {
        grammar: config.grammar,
        bounds,
        rules: config.rules,
        flush_interval: Duration::from_secs(10),
        prefix_stats: "statsd".into(),
        count_names: true,
    }
}
