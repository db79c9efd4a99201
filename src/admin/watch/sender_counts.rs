//! `senders GLOB`: who sends the lines of a name, and what they have in them. Pure.
//!
//! Every line of the name is counted while a client waits, none is sampled. So one wrong sender
//! among many is seen, and one that sends too few lines.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use super::filter::{MadeName, PreviewedLine};
use crate::admin::text::{number, put_address, shown_millis, write};
use crate::few::sort_few;
use crate::policy::Glob;
use crate::protocol::{Reject, Sample};
use crate::sender::Sender;
use crate::time::{Tick, UnixTime};

/// The lines of one name, or of the names that match a pattern, by sender and type.
#[derive(Debug)]
pub(super) struct SenderCounts {
    glob: Glob,
    /// Sorted by sender and type.
    records: Vec<SentValues>,
    /// The lines so far.
    lines: u64,
    /// The values of senders without a record.
    others: u64,
    /// The rules that drop values of the name, and how many.
    drops: Vec<(String, u64)>,
    /// A sender differs from the others.
    has_odd_one: bool,
}

/// What one sender has sent of one type.
#[derive(Clone, Debug)]
struct SentValues {
    /// With its port, or with port 0 if the host uses too many.
    sender: Sender,
    sent: SentType,
    lines: u64,
    /// The number of the last line that counts in `lines`.
    last_line: u64,
    values: u64,
    /// What counters have added, rates included.
    adds: f64,
    /// Of the values as the lines have them.
    sum: f64,
    min: f64,
    max: f64,
    last: f64,
    /// The first rates that came, and the number of their values.
    rates: [(f64, u64); RATES_MAX],
    /// The reason of the last bad value.
    reject: Option<Reject>,
    last_seen: UnixTime,
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum SentType {
    Counter,
    Total,
    Gauge,
    SignedGauge,
    Timer,
    Set,
    Kv,
    Bad,
}

/// How a record differs from those of the other senders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Difference {
    sent: bool,
    rate: bool,
    value: bool,
    lines: bool,
}

const RECORDS_MAX: usize = 256;
const RATES_MAX: usize = 4;
/// A host with more sockets than this has one record. Its clients may use a new socket for each
/// packet.
const SOCKETS_MAX: usize = 32;

/// A mean, or a number of lines, that differs from the median by more than this factor.
const FACTOR: f64 = 4.0;
/// The fewest senders that are compared.
const COMPARED_MIN: usize = 3;

impl SenderCounts {
    pub(super) fn new(glob: Glob) -> Self {
        Self {
            glob,
            records: Vec::new(),
            lines: 0,
            others: 0,
            drops: Vec::new(),
            has_odd_one: false,
        }
    }

    /// Counts a line, if it is one of the name. `made` returns the name that rules make of a name,
    /// and `dropping_rule` the rule that drops a series.
    pub(super) fn add<'a>(
        &mut self,
        sender: Sender,
        line: &PreviewedLine<'_>,
        made: MadeName<'_>,
        dropping_rule: impl Fn(&[u8]) -> Option<&'a str>,
        now: UnixTime,
    ) {
        if !line.is_about(&self.glob, made) {
            return;
        }
        self.lines += 1;
        let line_number = self.lines;
        let sender = canonical(sender);
        let mut valid = 0;
        line.each_value(&mut |text, rate, sample| {
            valid += u64::from(sample.is_ok());
            let sent = SentType::of(sample);
            match self.find_or_create(sender, sent) {
                Some(at) => self.records[at].add(line_number, text, rate, sample, now),
                None => self.others += 1,
            }
        });
        if let Some(rule) = line.series.and_then(dropping_rule).filter(|_| valid > 0) {
            match self.drops.iter_mut().find(|(known, _)| known == rule) {
                Some((_, values)) => *values += valid,
                None => self.drops.push((rule.to_owned(), valid)),
            }
        }
    }

    /// Returns the index of the record of a sender and type. Returns `None` if there is no room.
    fn find_or_create(&mut self, sender: Sender, sent: SentType) -> Option<usize> {
        let find = |records: &[SentValues], sender: Sender| {
            records.binary_search_by(|record| (record.sender, record.sent).cmp(&(sender, sent)))
        };
        let at = match find(&self.records, sender) {
            Ok(at) => return Some(at),
            Err(at) => at,
        };
        let host = sender.without_port();
        if let Ok(at) = find(&self.records, host) {
            return Some(at);
        }
        let is_its =
            |record: &SentValues| record.sent == sent && record.sender.without_port() == host;
        if self.records.iter().filter(|record| is_its(record)).count() >= SOCKETS_MAX {
            let mut merged = SentValues::new(host, sent);
            self.records.retain(|record| {
                if is_its(record) {
                    merged.merge(record);
                }
                !is_its(record)
            });
            let at = find(&self.records, host).unwrap_or_else(|at| at);
            self.records.insert(at, merged);
            return Some(at);
        }
        if self.records.len() >= RECORDS_MAX {
            return None;
        }
        self.records.insert(at, SentValues::new(sender, sent));
        Some(at)
    }

    /// Returns the records, those first that differ from the others.
    fn take_records(&mut self) -> Vec<(Difference, SentValues)> {
        let records = std::mem::take(&mut self.records);
        // The names of a pattern have values of their own.
        let is_pattern = self.glob.as_str().contains(['*', '?']);
        let differences = if is_pattern {
            vec![Difference::default(); records.len()]
        } else {
            differences(&records)
        };
        self.has_odd_one = differences.iter().any(|differs| *differs != Difference::default());
        let mut all: Vec<_> = differences.into_iter().zip(records).collect();
        sort_few(&mut all, |(a_differs, a), (b_differs, b)| {
            let is_usual = |differs: &Difference| *differs == Difference::default();
            is_usual(a_differs).cmp(&is_usual(b_differs)).then(b.lines.cmp(&a.lines))
        });
        all
    }

    /// Writes what follows the records.
    fn put_end(&self, out: &mut Vec<u8>) {
        if self.others > 0 {
            write(out, format_args!("others values={}\n", self.others));
        }
        for (rule, values) in &self.drops {
            write(out, format_args!("dropped by [rule.{rule}] values={values}\n"));
        }
        if self.has_odd_one {
            let what = "differs: from most senders of this name; value and lines by more than a \
                        factor of 4";
            let cause = "a sender with rates=\"1 ...\" may sample and not send its @0.1";
            write(out, format_args!("{what}; {cause}\n"));
        }
        if self.lines == 0 {
            let hint = "top newest shows new names, also misspelt ones";
            write(out, format_args!("no line of this name came; {hint}\n"));
        }
    }
}

/// Compares each record with those of the same type. `records` are in any order.
fn differences(records: &[SentValues]) -> Vec<Difference> {
    let mut differences = vec![Difference::default(); records.len()];
    let places_of = |sent: SentType| -> Vec<usize> {
        (0..records.len()).filter(|at| records[*at].sent == sent).collect()
    };
    let places = SentType::ALL.map(places_of);
    let most = places.iter().map(Vec::len).max().unwrap_or(0);
    for (sent, places) in SentType::ALL.into_iter().zip(&places) {
        let is_odd_type = most >= COMPARED_MIN && places.len() * COMPARED_MIN <= most;
        places.iter().for_each(|at| differences[*at].sent = is_odd_type);
        if places.len() < COMPARED_MIN || sent == SentType::Bad {
            continue;
        }
        let of_type = || places.iter().map(|at| &records[*at]);
        if sent.has_rate() {
            let rates: Vec<f64> = of_type().map(SentValues::rate).collect();
            for (at, rate) in places.iter().zip(&rates) {
                let same = rates.iter().filter(|other| *other == rate).count();
                differences[*at].rate = same * COMPARED_MIN <= places.len();
            }
        }
        for (at, is_odd) in places.iter().zip(odd_ones(of_type().map(|record| record.lines as f64)))
        {
            differences[*at].lines = is_odd;
        }
        if sent.has_number() {
            for (at, is_odd) in places.iter().zip(odd_ones(of_type().map(SentValues::mean))) {
                differences[*at].value = is_odd;
            }
        }
    }
    differences
}

/// Returns which numbers are far from their median, if at most a third of them is. If more are, the
/// values vary or there are two groups of senders, and none of them is odd.
fn odd_ones(numbers: impl Iterator<Item = f64>) -> Vec<bool> {
    let numbers: Vec<f64> = numbers.collect();
    let usual = median(numbers.clone());
    let far: Vec<bool> = numbers.iter().map(|number| is_far(*number, usual)).collect();
    let count = far.iter().filter(|is_far| **is_far).count();
    if count * COMPARED_MIN <= numbers.len() { far } else { vec![false; numbers.len()] }
}

/// Whether a number differs from a median by more than [`FACTOR`].
fn is_far(number: f64, median: f64) -> bool {
    let has_other_sign = number * median < 0.0;
    let number = number.abs();
    let median = median.abs();
    has_other_sign || number > FACTOR * median || number * FACTOR < median
}

/// Returns the median of at least one number.
fn median(mut numbers: Vec<f64>) -> f64 {
    sort_few(&mut numbers, f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Returns the sender, with an IPv4 address as what it is.
fn canonical(sender: Sender) -> Sender {
    match sender {
        Sender::Internet(address) => {
            Sender::Internet(SocketAddr::new(address.ip().to_canonical(), address.port()))
        }
        other => other,
    }
}

impl SentType {
    const ALL: [Self; 8] = [
        Self::Counter,
        Self::Total,
        Self::Gauge,
        Self::SignedGauge,
        Self::Timer,
        Self::Set,
        Self::Kv,
        Self::Bad,
    ];

    fn of(sample: Result<Sample<'_>, Reject>) -> Self {
        match sample {
            Ok(Sample::Count(_)) => Self::Counter,
            Ok(Sample::Cumulative { .. }) => Self::Total,
            Ok(Sample::Level(_)) => Self::Gauge,
            Ok(Sample::Change(_)) => Self::SignedGauge,
            Ok(Sample::Time { .. }) => Self::Timer,
            Ok(Sample::Member(_)) => Self::Set,
            Ok(Sample::Kv(_)) => Self::Kv,
            Err(_) => Self::Bad,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Total => "counter_total",
            Self::Gauge => "gauge",
            Self::SignedGauge => "signed_gauge",
            Self::Timer => "timer",
            Self::Set => "set",
            Self::Kv => "kv",
            Self::Bad => "bad",
        }
    }

    fn has_rate(self) -> bool {
        matches!(self, Self::Counter | Self::Total | Self::Timer)
    }

    fn has_number(self) -> bool {
        !matches!(self, Self::Set | Self::Bad)
    }
}

impl SentValues {
    fn new(sender: Sender, sent: SentType) -> Self {
        Self {
            sender,
            sent,
            lines: 0,
            last_line: 0,
            values: 0,
            adds: 0.0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            last: 0.0,
            rates: [(0.0, 0); RATES_MAX],
            reject: None,
            last_seen: UnixTime::default(),
        }
    }

    fn add(
        &mut self,
        line_number: u64,
        text: Option<&[u8]>,
        rate: f64,
        sample: Result<Sample<'_>, Reject>,
        now: UnixTime,
    ) {
        self.lines += u64::from(self.last_line != line_number);
        self.last_line = line_number;
        self.values += 1;
        self.last_seen = now;
        let value = match sample {
            Ok(Sample::Count(more)) => {
                self.adds += more;
                let text = text.and_then(|text| str::from_utf8(text).ok());
                text.and_then(|text| text.trim().parse().ok()).unwrap_or(more * rate)
            }
            Ok(
                Sample::Level(value)
                | Sample::Change(value)
                | Sample::Kv(value)
                | Sample::Cumulative { value, .. }
                | Sample::Time { value, .. },
            ) => value,
            Ok(Sample::Member(_)) => return,
            Err(reject) => {
                self.reject = Some(reject);
                return;
            }
        };
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.last = value;
        self.note_rate(rate, 1);
    }

    fn note_rate(&mut self, rate: f64, times: u64) {
        let found = self.rates.iter_mut().find(|(known, count)| *known == rate || *count == 0);
        if let Some(place) = found {
            *place = (rate, place.1 + times);
        }
    }

    /// Adds the record of another socket of the same host.
    fn merge(&mut self, other: &Self) {
        self.lines += other.lines;
        self.last_line = self.last_line.max(other.last_line);
        self.values += other.values;
        self.adds += other.adds;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.reject = other.reject.or(self.reject);
        if other.last_seen >= self.last_seen {
            self.last_seen = other.last_seen;
            self.last = other.last;
        }
        for (rate, times) in other.rates {
            if times > 0 {
                self.note_rate(rate, times);
            }
        }
    }

    fn mean(&self) -> f64 {
        self.sum / self.values as f64
    }

    /// Returns the commonest rate.
    fn rate(&self) -> f64 {
        let mut commonest = self.rates[0];
        for other in self.rates {
            if other.1 > commonest.1 {
                commonest = other;
            }
        }
        commonest.0
    }

    fn put(&self, difference: Difference, out: &mut Vec<u8>) {
        match self.sender {
            Sender::Internet(address) if address.port() != 0 => {
                write(out, format_args!("{}", self.sender));
            }
            Sender::Internet(_) => {
                put_address(self.sender, out);
                write(out, format_args!(" sockets={}+", SOCKETS_MAX + 1));
            }
            _ => put_address(self.sender, out),
        }
        let Self { sent, lines, values, adds, min, max, last, .. } = *self;
        write(out, format_args!(" type={} lines={lines} values={values}", sent.name()));
        if let Some(reject) = self.reject {
            write(out, format_args!(" reason=\"{reject}\""));
        }
        if sent.has_rate() {
            let rates = self.rates.iter().filter(|(_, times)| *times > 0);
            let texts: Vec<_> =
                rates.map(|(rate, times)| format!("{} x{times}", short(*rate))).collect();
            write(out, format_args!(" rates=\"{}\"", texts.join(", ")));
        }
        if sent == SentType::Counter {
            write(out, format_args!(" adds={}", short(adds)));
        }
        if sent.has_number() {
            for (name, value) in [("mean", self.mean()), ("min", min), ("max", max), ("last", last)]
            {
                write(out, format_args!(" {name}={}", short(value)));
            }
        }
        write(out, format_args!(" last_seen={}", shown_millis(self.last_seen)));
        let words = [
            ("type", difference.sent),
            ("rate", difference.rate),
            ("value", difference.value),
            ("lines", difference.lines),
        ];
        let words: Vec<_> =
            words.iter().filter(|(_, differs)| *differs).map(|(word, _)| *word).collect();
        if !words.is_empty() {
            write(out, format_args!(" differs=\"{}\"", words.join(", ")));
        }
        out.push(b'\n');
    }
}

/// Returns a number with at most six decimals.
fn short(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    number(if value.abs() < 1e9 && rounded != 0.0 { rounded } else { value })
}

/// The wait of one client for the end of its count, and then the answer. The count ends when the
/// answer begins, or when this is dropped.
#[derive(Debug)]
pub(in crate::admin) struct SenderCountJob {
    counts: Rc<RefCell<SenderCounts>>,
    end: Tick,
    /// The records that are still to be written, the last one first. `None` until the end.
    left: Option<Vec<(Difference, SentValues)>>,
}

/// The records that one step writes. The name of a process is read from `/proc`, which takes 30 us.
const STEP_RECORDS: usize = 8;

impl SenderCountJob {
    pub(super) fn new(counts: Rc<RefCell<SenderCounts>>, end: Tick) -> Self {
        Self { counts, end, left: None }
    }

    /// When the answer is due. `None` if it is being written.
    pub(in crate::admin) fn due(&self) -> Option<Tick> {
        self.left.is_none().then_some(self.end)
    }

    /// Writes a part of the answer. Returns `true` once it is complete.
    pub(in crate::admin) fn step(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(left) = &mut self.left else {
            // The count ends here: `Watch` frees counts that it shares with no job.
            let glob = self.counts.borrow().glob.clone();
            let mut counts = self.counts.replace(SenderCounts::new(glob));
            let mut records = counts.take_records();
            records.reverse();
            self.counts = Rc::new(RefCell::new(counts));
            self.left = Some(records);
            return false;
        };
        for _ in 0..STEP_RECORDS {
            let Some((difference, record)) = left.pop() else {
                self.counts.borrow().put_end(out);
                return true;
            };
            record.put(difference, out);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter::LinePreview;
    use super::*;
    use crate::protocol::Grammar;

    /// Returns the answer, and the number of its steps.
    fn written(counts: SenderCounts) -> (String, usize) {
        let mut job = SenderCountJob::new(Rc::new(RefCell::new(counts)), Tick::default());
        let mut out = Vec::new();
        let mut steps = 1;
        while !job.step(&mut out) {
            assert_eq!(job.due(), None);
            steps += 1;
        }
        (String::from_utf8(out).unwrap(), steps)
    }

    fn counts(name: &str, lines: &[(u16, &str)]) -> Vec<String> {
        let mut counts = SenderCounts::new(Glob::new(name).unwrap());
        let mut preview = LinePreview::of(Grammar::default());
        for (port, line) in lines {
            let sender = Sender::Internet(format!("10.0.0.7:{port}").parse().unwrap());
            counts.add(
                sender,
                &preview.read(line.as_bytes()),
                &|name| name.starts_with(b"in.").then(|| [b"made.", name].concat()),
                |name| name.ends_with(b"=drop").then_some("junk"),
                UnixTime::from_millis(1_795_862_607_000),
            );
        }
        let text = written(counts).0;
        text.lines().map(|line| line.replace(" last_seen=2026-11-28T10:43:27.000Z", "")).collect()
    }

    #[test]
    fn lines_are_counted_by_sender_and_type() {
        let found = counts(
            "web.hits",
            &[
                (1, "web.hits:3|c|@0.1"),
                (1, "web.hits:5|c|@0.1|#a:b"),
                (1, "web.hits:1:2|c"),
                (2, "web.hits:4|ms"),
                (2, "web.hits:x|ms"),
                (2, "web.hits|c"),
                (3, "web.hits:-2|g:7|g"),
                (4, "web.hits:joe|s"),
                (4, "web.hit:1|c"),
            ],
        );
        assert_eq!(
            found,
            [
                "10.0.0.7:1 type=counter lines=3 values=4 rates=\"0.1 x2, 1 x2\" adds=83 \
                 mean=2.75 min=1 max=5 last=2",
                "10.0.0.7:2 type=bad lines=2 values=2 reason=\"no colon and value after the name\"",
                "10.0.0.7:2 type=timer lines=1 values=1 rates=\"1 x1\" mean=4 min=4 max=4 last=4",
                "10.0.0.7:3 type=gauge lines=1 values=1 mean=7 min=7 max=7 last=7",
                "10.0.0.7:3 type=signed_gauge lines=1 values=1 mean=-2 min=-2 max=-2 last=-2",
                "10.0.0.7:4 type=set lines=1 values=1",
            ]
        );
        let dropped = counts("a", &[(1, "a:1:x:2|c|#t:drop"), (1, "a:x|c|#t:drop"), (1, "a:1|c")]);
        assert_eq!(dropped.last().unwrap(), "dropped by [rule.junk] values=2", "{dropped:?}");
        for name in ["in.a", "made.in.a", "made.*.a"] {
            let made = counts(name, &[(1, "in.a:1|c"), (1, "b:1|c")]);
            assert!(made.len() == 1 && made[0].contains(" lines=1 "), "{made:?}");
        }
        assert_eq!(
            counts("no.such", &[(1, "web.hits:1|c")]),
            ["no line of this name came; top newest shows new names, also misspelt ones"]
        );
        let two = counts("web.*", &[(1, "web.hits:1|c"), (1, "web.a:1|c")]);
        assert!(two.len() == 1 && two[0].contains(" lines=2 "), "{two:?}");
    }

    /// Shows the sender that differs from twenty others first, and in what.
    #[test]
    fn the_sender_that_differs_comes_first() {
        let usual = "web.time:12|ms|@0.1";
        for (odd, differs) in [
            ("web.time:12|ms", "rate"),
            ("web.time:12000|ms|@0.1", "value"),
            ("web.time:0.012|ms|@0.1", "value"),
            ("web.time:12|h|@0.1\nagain", "lines"),
            ("web.time:12|g", "type"),
            ("web.time:12|c|@0.1", "type"),
            ("web.time:x|ms", "type"),
        ] {
            let mut lines: Vec<(u16, &str)> = Vec::new();
            for _ in 0..10 {
                lines.extend((1..21).map(|port| (port, usual)));
            }
            let (odd, times) = match odd.split_once('\n') {
                Some((line, _)) => (line, 1),
                None => (odd, 10),
            };
            lines.extend((0..times).map(|_| (99, odd)));
            let found = counts("web.time", &lines);
            assert_eq!(found.len(), 22);
            assert!(
                found[21].starts_with("differs: from most senders of this name; "),
                "{found:?}"
            );
            assert!(found[0].starts_with("10.0.0.7:99 "), "{found:?}");
            assert!(found[0].ends_with(&format!(" differs=\"{differs}\"")), "{odd}: {}", found[0]);
            assert!(found[1..21].iter().all(|line| !line.contains("differs")), "{found:?}");
        }
    }

    /// Shows that the figures of a type are read once, not once for each of its senders.
    #[test]
    fn the_senders_are_compared_in_one_pass() {
        let mut read = 0;
        let numbers = (0..256).map(|number| f64::from(if number == 7 { 900 } else { 10 }));
        let odd = odd_ones(numbers.inspect(|_| read += 1));
        assert_eq!(read, 256);
        assert!(odd[7] && odd.iter().filter(|is_odd| **is_odd).count() == 1);
        assert_eq!(odd_ones([1.0, 1.0, 90.0].into_iter()), [false, false, true]);
        assert_eq!(odd_ones([1.0, 1.0, 90.0, 90.0].into_iter()), [false; 4]);
    }

    #[test]
    fn hosts_with_many_sockets_have_one_line_and_memory_is_bounded() {
        let lines: Vec<_> = (1..1000).map(|port| (port, "web.hits:2|c")).collect();
        let found = counts("web.hits", &lines);
        assert_eq!(
            found,
            ["10.0.0.7 sockets=33+ type=counter lines=999 values=999 rates=\"1 x999\" adds=1998 \
              mean=2 min=2 max=2 last=2"]
        );
        let mut counts = SenderCounts::new(Glob::new("a").unwrap());
        let mut preview = LinePreview::of(Grammar::default());
        for host in 0..1000 {
            let address = format!("10.0.{}.{}:7", host / 250, host % 250);
            let sender = Sender::Internet(address.parse().unwrap());
            counts.add(sender, &preview.read(b"a:1|c"), &|_| None, |_| None, UnixTime::default());
        }
        assert_eq!(counts.records.len(), RECORDS_MAX);
        assert_eq!(counts.others, 1000 - RECORDS_MAX as u64);
        let (text, steps) = written(counts);
        assert_eq!(text.lines().count(), RECORDS_MAX + 1);
        assert!(steps >= RECORDS_MAX / STEP_RECORDS, "{steps}");
    }
}
