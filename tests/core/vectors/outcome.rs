//! Feeds a packet to the core, and collects the result.

use std::collections::BTreeMap;
use std::fmt;

use statsd::engine::{Closing, Engine, Settings};
use statsd::flush::{Subject, Summary};
use statsd::policy::{FigureId, FigureNames};
use statsd::protocol::Sample;
use statsd::series::{Audience, Cursor, Table, Values};

use crate::rig::{SEEDS, receive};

/// The result of a packet: its series and points, and the numbers of bad values and of events.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) series: AllSeries,
    pub(super) bad: u64,
    pub(super) events: u64,
}

pub(super) type AllSeries = BTreeMap<Key, Series>;
/// The members that a suite expects of each set.
pub(super) type Members = BTreeMap<Vec<u8>, Vec<Vec<u8>>>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// `c`, `g`, `t`, `s` or `kv`.
    pub(super) kind: &'static str,
    /// The canonical name, with tags.
    pub(super) name: Vec<u8>,
    /// The time of a value that has its own.
    pub(super) time: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Series {
    /// The count of a counter, the value of a gauge, the sorted samples of a timer, the number of
    /// members of a set, or all values of a name that are sent unchanged.
    pub(super) numbers: Vec<f64>,
    /// The number of events that the samples of a timer stand for.
    pub(super) weight: f64,
    /// The figures of a timer, by Node's names.
    pub(super) figures: BTreeMap<String, f64>,
    /// How many of the expected members a set does not have.
    pub(super) missing: usize,
}

/// Sends the packet to a new core, and closes the interval.
pub(super) fn run(settings: &Settings, packet: &[u8], members: &Members) -> Outcome {
    let names = FigureNames::new(&settings.rules.percentiles(), &settings.rules.bins());
    let names: Vec<Option<&str>> = names.node().collect();
    let mut engine = Engine::new(settings, SEEDS);
    let first = interval(&mut engine, &names, packet, members);
    // The second time all names are known, and plain lines take another way through the reader.
    let again = interval(&mut engine, &names, packet, members);
    first.assert_same(&again, packet);
    first
}

fn interval(
    engine: &mut Engine,
    names: &[Option<&str>],
    packet: &[u8],
    members: &Members,
) -> Outcome {
    receive(engine, packet);
    let mut outcome = Outcome::default();
    for (own, count) in engine.own().open() {
        match own {
            "bad_lines_seen" => outcome.bad = count,
            "events_ignored" => outcome.events = count,
            _ => {}
        }
    }
    outcome.read_open(engine.table_mut());
    for (name, members) in members {
        outcome.find_members(engine.table_mut(), name, members);
    }
    engine.tick();
    while !engine.sweep(usize::MAX, &mut |summary| outcome.read_closed(summary, names)) {}
    engine.finish(&Closing::default(), &mut |_| {});
    outcome
}

impl Outcome {
    /// Reads the samples of timers and the sizes of sets, which no figure has.
    fn read_open(&mut self, table: &mut Table) {
        let mut cursor = Cursor::default();
        while !table.visit(&mut cursor, 1000, |visited| {
            let name = visited.name().to_vec();
            match visited.series.open(visited.tick) {
                Values::Timing { samples, weight } => {
                    samples.sort_by(f64::total_cmp);
                    let series = Series { numbers: samples.to_vec(), weight, ..Series::default() };
                    self.series.insert(Key { kind: "t", name, time: None }, series);
                }
                Values::Set { members } => {
                    let series = Series { numbers: vec![members as f64], ..Series::default() };
                    self.series.insert(Key { kind: "s", name, time: None }, series);
                }
                Values::Counter(_) | Values::Gauge(_) => {}
                Values::Sketch(_) => panic!("a sketch of a few samples"),
            }
        }) {}
    }

    /// Adds the expected members to a set. If it has them all, that changes nothing; see
    /// [`read_closed`](Self::read_closed).
    fn find_members(&self, table: &mut Table, name: &[u8], members: &[Vec<u8>]) {
        if !self.series.contains_key(&Key { kind: "s", name: name.to_vec(), time: None }) {
            return;
        }
        for member in members {
            let hash = table.hash(name);
            table.add(name, hash, Sample::Member(member)).unwrap();
        }
    }

    fn read_closed(&mut self, summary: &Summary<'_>, names: &[Option<&str>]) {
        if summary.audience == Audience::Clean {
            return; // with raw names, the suites are compared with what a store of raw names gets
        }
        let kind = match summary.subject {
            Subject::Counter => "c",
            Subject::Gauge => "g",
            Subject::Timing => "t",
            Subject::Set => "s",
            Subject::Kv => "kv",
            own => panic!("{own:?} is not of a line"),
        };
        let key = Key { kind, name: summary.name.to_vec(), time: summary.timestamp };
        let figure = |id: FigureId| {
            let figure = summary.figures.iter().find(|figure| figure.id == id);
            figure.map_or(f64::NAN, |figure| figure.value)
        };
        let series = self.series.entry(key).or_default();
        match kind {
            "c" => series.numbers.push(figure(FigureId::COUNT)),
            "g" | "kv" => series.numbers.push(figure(FigureId::VALUE)),
            "t" => {
                for figure in summary.figures {
                    let name = names[figure.id.index()].unwrap_or_default();
                    series.figures.insert(name.to_owned(), figure.value);
                }
            }
            _ => {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small counts
                let missing = (figure(FigureId::COUNT) - series.numbers[0]) as usize;
                series.missing = missing;
            }
        }
    }

    /// Checks that the same packet had the same effect in the second interval. Gauges and
    /// cumulative counters go on from their values, so only their names are compared.
    #[track_caller]
    fn assert_same(&self, again: &Self, packet: &[u8]) {
        let comparable = |outcome: &Self| {
            let mut series = outcome.series.clone();
            let goes_on = |key: &Key| {
                key.kind == "g" || (key.kind == "c" && packet.windows(2).any(|text| text == b"|C"))
            };
            series.iter_mut().filter(|(key, _)| goes_on(key)).for_each(|(_, series)| {
                series.numbers.clear();
            });
            (series, outcome.bad, outcome.events)
        };
        assert_eq!(comparable(self), comparable(again), "{}", packet.escape_ascii());
    }
}

/// `c NAME 10; t NAME 1,2,3 n=6; g NAME 1 T1656581400; bad 1`
impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> =
            self.series.iter().map(|(key, series)| shown(key, series)).collect();
        if self.bad > 0 {
            parts.push(format!("bad {}", self.bad));
        }
        if self.events > 0 {
            parts.push(format!("event {}", self.events));
        }
        out.write_str(&if parts.is_empty() { "nothing".to_owned() } else { parts.join("; ") })
    }
}

/// A series as text, without the figures of a timer.
pub(super) fn shown(key: &Key, series: &Series) -> String {
    let numbers: Vec<String> = series.numbers.iter().map(f64::to_string).collect();
    let mut text = format!("{} {} {}", key.kind, key.name.escape_ascii(), numbers.join(","));
    if key.kind == "t" && series.weight != series.numbers.len() as f64 {
        text += &format!(" n={}", series.weight);
    }
    if series.missing > 0 {
        text += &format!(" missing={}", series.missing);
    }
    if let Some(time) = key.time {
        text += &format!(" T{time}");
    }
    text
}
