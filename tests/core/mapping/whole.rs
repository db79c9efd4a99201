//! Whatever comes, each series sends what its lines have brought: lines, rules, reloads, restarts,
//! expiry and eviction in any order. A model beside the server has the value of each series.

use std::collections::{BTreeMap, BTreeSet};

use super::rule_sets::{RULES, RuleSet, Tags, joined, split};
use crate::rig::{Core, SEEDS, configured};
use statsd::engine::Engine;
use statsd::ledger::OwnCounter;
use statsd::protocol::MetricKind;
use statsd::series::{Audience, Cursor, Seeds, Values};
use statsd::wire::In;
use statsd_bench::Random;

/// A kind of series, and a name.
type Key = (u8, String);

/// Returns a name as some client may write it: with `more` bytes that are removed when it is
/// cleaned.
fn spelled(random: &mut Random, bare: &str, more: usize) -> String {
    let mut spelled = bare.to_owned();
    (0..more).for_each(|_| spelled.push(*random.pick(&['!', '*'])));
    spelled
}

/// What the model knows of a series.
#[derive(Clone, Debug, Default)]
struct Model {
    /// The value of the open interval: a count, a number of samples or of members, or the level of
    /// a gauge. NaN for a level that is not known.
    value: f64,
    /// The samples of the open interval since the last start.
    samples: u64,
    /// Whether the open interval has a sample.
    is_active: bool,
    /// The number of intervals since that of the last sample, without the open one.
    idle: u32,
    /// The names that clients have sent to the series.
    sent: BTreeSet<String>,
    /// The last value of `C` of each of them.
    totals: BTreeMap<String, f64>,
}

/// A server whose lines and rules are random, and the model.
struct Trial {
    seed: u64,
    random: Random,
    /// What the configuration has beside the rules.
    base: String,
    core: Core,
    rules: &'static RuleSet,
    series: BTreeMap<Key, Model>,
    /// The number of series that the table has removed.
    removed: u64,
    /// The series to which the names of lines have led since the last sweep, or since the rules
    /// changed.
    led: BTreeMap<Key, String>,
    /// The values that tags have had, and the flush before which a series had each last.
    places: BTreeMap<(&'static str, String), u64>,
    flushes: u64,
    /// What the sweep that is under way must send.
    closed: BTreeMap<Key, (f64, bool)>,
    is_sweeping: bool,
    /// Whether some series may have a policy from before the last reload.
    has_old_policies: bool,
    /// The total of each client that sends `C`, by the name that it sends.
    totals: BTreeMap<String, f64>,
    members: u32,
    /// Whether names are raw. What is checked is what destinations of clean names get.
    is_raw: bool,
    /// Whether clients write each line in another way, and half of them that of one series.
    is_flood: bool,
}

const COUNTER: u8 = MetricKind::Counter as u8;
const GAUGE: u8 = MetricKind::Gauge as u8;

impl Trial {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let expire = ["", "expire = 20s\n", "delete_idle = yes\n"][random.below(3)];
        let limits = ["", "[limits]\nmax_series = 40\nevict_after = 0\n"][random.below(2)];
        let is_raw = limits.is_empty() && random.one_in(3);
        let raw = if is_raw { "sanitize_keys = no\n" } else { "" };
        let rules = &RULES[random.below(RULES.len())];
        Self::with(seed, &format!("[statsd]\n{raw}{expire}{limits}"), rules)
    }

    /// A server with this configuration beside the rules.
    fn with(seed: u64, base: &str, rules: &'static RuleSet) -> Self {
        Self {
            seed,
            random: Random::new(seed),
            core: core(&format!("{base}{}", rules.text), seed),
            base: base.to_owned(),
            rules,
            series: BTreeMap::new(),
            removed: 0,
            led: BTreeMap::new(),
            places: BTreeMap::new(),
            flushes: 0,
            closed: BTreeMap::new(),
            is_sweeping: false,
            has_old_policies: false,
            totals: BTreeMap::new(),
            members: 0,
            is_raw: base.contains("sanitize_keys = no"),
            is_flood: false,
        }
    }

    /// The series of the table, as destinations of clean names have them.
    fn listed(&mut self) -> BTreeSet<Key> {
        let mut listed = BTreeSet::new();
        self.core.engine.table_mut().visit(&mut Cursor::default(), usize::MAX, |visited| {
            if visited.audience == Audience::Raw {
                return;
            }
            let name = String::from_utf8(visited.name().to_vec()).unwrap();
            assert!(listed.insert((visited.kind as u8, name)));
        });
        listed
    }

    /// Removes the series from the model that the table no longer has. Returns the number of their
    /// samples in the open interval.
    fn note_removed(&mut self) -> u64 {
        let counts = self.core.engine.table().counts();
        let removed = counts.evicted + counts.expired;
        if std::mem::replace(&mut self.removed, removed) == removed {
            return 0;
        }
        let listed = self.listed();
        let mut samples = 0;
        self.series.retain(|key, series| {
            let stays = listed.contains(key);
            samples += if stays { 0 } else { series.samples };
            stays
        });
        samples
    }

    /// How long ago a series had its last sample, how many it has had, whether it is merged from
    /// raw names, the count of its open interval, and if its policy removes it after `idle`
    /// intervals.
    fn seen(&mut self, (kind, name): &Key, idle: u32) -> Option<(([u32; 2], bool), f64, bool)> {
        let table = self.core.engine.table_mut();
        let kind = MetricKind::ALL[usize::from(*kind)];
        let merged = format!("\0{name}");
        let is_merged = table.look_up(kind, merged.as_bytes()).is_some();
        let name = if is_merged { &merged } else { name };
        let visited = table.look_up(kind, name.as_bytes())?;
        let samples = [visited.series.idle_until(visited.tick), visited.series.samples()];
        let samples = (samples, is_merged);
        let is_expired = visited.policy.is_expired(kind, idle);
        let count = match visited.series.open(visited.tick) {
            Values::Counter(count) => count,
            _ => f64::NAN,
        };
        Some((samples, count, is_expired))
    }

    /// The series to which a line of this name may go. There are several only if the values that
    /// count against a limit depend on how far the sweep has got, or on which places are kept.
    fn expected(&self, kind: u8, sent: &str) -> Vec<String> {
        let (bare, tags) = split(sent);
        let (bare, tags) = (self.rules.make)(bare, tags);
        let full = joined(&bare, &tags);
        // Until the next flush, all lines of a name go where the first one of them went.
        let led = self.led.get(&(kind, sent.to_owned())).filter(|_| !self.has_old_policies);
        if let Some(led) = led
            && self.series.contains_key(&(kind, led.clone()))
        {
            return vec![led.clone()];
        }
        let is_limited = tags.keys().any(|key| (self.rules.most)(key).is_some());
        if self.series.contains_key(&(kind, full.clone())) && !(self.is_raw && is_limited) {
            return vec![full]; // it keeps its lines
        }
        let in_use = |key: &str| {
            let value =
                |name: &'_ String| Some(name.split_once(&format!(";{key}="))?.1.as_bytes()[0]);
            let values = self.series.keys().filter_map(|(_, name)| value(name));
            values.filter(|value| *value != b'o').collect::<BTreeSet<_>>()
        };
        // Another spelling of a raw name is another name, which is compared with the rules, too.
        let is_unsure = self.has_old_policies || self.is_sweeping || self.is_raw;
        let mut made = vec![Tags::new()];
        for (key, value) in tags {
            let other = "other".to_owned();
            let used = in_use(key);
            let values = match (self.rules.most)(key) {
                None => vec![value],
                Some(_) if is_unsure => vec![value, other],
                Some(_) if used.contains(&value.as_bytes()[0]) => vec![value],
                Some(most) if used.len() >= most && !self.may_have_place(key, &value) => {
                    vec![other]
                }
                Some(_) => vec![value, other],
            };
            let with = |tags: &Tags| {
                let with = |value| tags.clone().into_iter().chain([(key, value)]).collect();
                values.clone().into_iter().map(with).collect::<Vec<Tags>>()
            };
            made = made.iter().flat_map(with).collect();
        }
        let made = made.iter().map(|tags| joined(&bare, tags));
        made.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Whether a value of a tag may have a place although no series has it: places are given away
    /// once a minute.
    fn may_have_place(&self, key: &'static str, value: &str) -> bool {
        let last = self.places.get(&(key, value.to_owned()));
        last.is_some_and(|last| self.flushes - last <= 7)
    }

    /// Notes the values that series have.
    fn note_places(&mut self) {
        for (_, name) in self.series.keys() {
            for tag in split(name).1 {
                self.places.insert(tag, self.flushes);
            }
        }
    }

    fn random_line(&mut self) {
        let random = &mut self.random;
        let mut letter = || ["a", "b", "x", "1"][random.below(4)];
        let bare = match [letter(), letter()] {
            ["x", name] => name.to_owned(),
            [first, second] => format!("{first}.{second}"),
        };
        let mut tag = |values: u32| random.below(values).to_string();
        let tags = match tag(3).as_str() {
            "0" => Tags::new(),
            "1" => Tags::from([("t", tag(3))]),
            _ => Tags::from([("t", tag(3)), ("u", tag(4))]),
        };
        let is_favourite = self.is_flood && random.one_in(2);
        let (bare, tags) = if is_favourite {
            ("a.b".to_owned(), Tags::from([("t", "1".to_owned())]))
        } else {
            (bare, tags)
        };
        let sent = joined(&bare, &tags);
        let mut texts: Vec<_> = tags.iter().map(|(key, value)| format!("{key}:{value}")).collect();
        if random.below(4) == 0 {
            texts.reverse(); // the same name, in other bytes
        }
        let section =
            if texts.is_empty() { String::new() } else { format!("|#{}", texts.join(",")) };
        // A gauge whose level was forgotten is not shown, but is there.
        let kinds = if self.base.contains("delete_idle") { 4 } else { 5 };
        let value = f64::from(1 + random.below(5_u32));
        let (kind, letter, value) = match if is_favourite { 0 } else { random.below(kinds) } {
            0 => (MetricKind::Counter, "c", value),
            1 => {
                let total = self.totals.entry(sent.clone()).or_default();
                let has_restarted = random.below(20) == 0;
                *total = value + if has_restarted { 0.0 } else { *total };
                (MetricKind::Counter, "C", *total)
            }
            2 => (MetricKind::Timing, "ms", value),
            3 => {
                self.members += 1;
                (MetricKind::Set, "s", f64::from(self.members))
            }
            _ => (MetricKind::Gauge, "g", f64::from(random.below(1000_u32))),
        };
        let more = match self.random.below(3) {
            _ if self.is_flood => 20,
            // Totals of two raw names are not compared with each other.
            0 if !self.is_raw || letter != "C" => self.random.below(15),
            _ => 0,
        };
        let spelled = spelled(&mut self.random, &bare, more);
        let line = format!("{spelled}:{value}|{letter}{section}");
        self.line(kind as u8, &sent, letter, value, &line);
    }

    /// Sends a line, and adds it to the series of the model that has got it.
    fn line(&mut self, kind: u8, sent: &str, letter: &str, value: f64, line: &str) {
        let context =
            format!("seed {}, {line} with {:?} {:?}", self.seed, self.base, self.rules.text);
        let keys: Vec<Key> =
            self.expected(kind, sent).into_iter().map(|name| (kind, name)).collect();
        let before: Vec<_> = keys.iter().map(|key| self.seen(key, 0)).collect();
        let shown = self.core.engine.table().series_name(sent.as_bytes()).into_owned();
        let rejected = self.core.engine.own().total(OwnCounter::SeriesRejected);
        self.core.packet(line);
        let rejected = self.core.engine.own().total(OwnCounter::SeriesRejected) - rejected;
        let lost = self.note_removed();
        let mut grown = Vec::new();
        for (key, before) in keys.iter().zip(before) {
            // An idle series that the sweep would have removed begins again with the sample.
            let idle = self.series.get(key).map_or(0, |series| series.idle);
            if let Some((samples, count, is_expired)) = self.seen(key, idle)
                && before.is_none_or(|before| before.0 != samples)
            {
                let has_begun = is_expired || before.is_none();
                grown.push((key.clone(), count, has_begun));
            }
        }
        if rejected == lost + 1 {
            assert_eq!(grown, [], "{context}");
            return;
        }
        assert_eq!(rejected, lost, "{context}: the values of evicted series");
        let [(key, count, has_begun)] = &grown[..] else {
            panic!("{context}: {grown:?} of {keys:?}")
        };
        self.led.insert((kind, sent.to_owned()), key.1.clone());
        if keys.len() == 1 || !self.has_old_policies {
            assert_eq!(shown, key.1.as_bytes(), "{context}");
        }
        for tag in split(&key.1).1 {
            self.places.insert(tag, self.flushes);
        }
        let series = self.series.entry(key.clone()).or_default();
        if *has_begun {
            series.totals.clear();
        }
        series.samples += 1;
        series.is_active = true;
        series.idle = 0;
        series.sent.insert(sent.to_owned());
        match letter {
            "c" => series.value += value,
            "C" => {
                series.value += match series.totals.insert(sent.to_owned(), value) {
                    None => 0.0,
                    Some(last) if value < last => value,
                    Some(last) => value - last,
                };
            }
            "g" => series.value = value,
            _ => series.value += 1.0,
        }
        assert!(kind != COUNTER || *count == series.value, "{context}: {count}, {series:?}");
    }

    fn reload(&mut self, rules: &'static RuleSet) {
        let settings = configured(&format!("{}{}", self.base, rules.text));
        if self.core.engine.can_take(&settings.rules, settings.flush_interval) {
            self.core.engine.reconfigure(&settings);
            if rules.text != self.rules.text {
                self.has_old_policies = true;
                self.led.clear();
            }
            self.rules = rules;
        }
    }

    /// Saves all series, and restores them in a server with these rules. Returns false, and does
    /// nothing, if the order in which series are restored decides about their names.
    fn restart(&mut self, rules: &'static RuleSet) -> bool {
        let mut series: BTreeMap<Key, Model> = BTreeMap::new();
        for ((kind, name), saved) in &self.series {
            let key = (
                *kind,
                if saved.sent.len() > 1 {
                    name.clone()
                } else {
                    // A series of one name gets the name that the rules make of that.
                    let (bare, tags) = split(saved.sent.first().unwrap());
                    let (bare, mut tags) = (rules.make)(bare, tags);
                    let had = split(name).1;
                    for (key, value) in &mut tags {
                        match had.get(key) {
                            _ if (rules.most)(key).is_none() => {}
                            Some(had) if had == value => {}
                            Some(had) if had == "other" => *value = "other".to_owned(),
                            _ => return false,
                        }
                    }
                    joined(&bare, &tags)
                },
            );
            let saved = Model { samples: 0, ..saved.clone() };
            let Some(known) = series.get_mut(&key) else {
                series.insert(key, saved);
                continue;
            };
            known.value += if *kind == GAUGE { f64::NAN } else { saved.value };
            known.is_active |= saved.is_active;
            known.idle = known.idle.min(saved.idle);
            known.sent.extend(saved.sent);
            for (name, total) in saved.totals {
                let known = known.totals.entry(name).or_insert(total);
                *known = known.max(total);
            }
        }
        let state = self.core.engine.save(|_| Ok::<(), ()>(())).unwrap();
        let config = format!("{}{}", self.base, rules.text);
        let interval = configured(&config).flush_interval;
        self.core = core(&config, self.random.below(1000_u64));
        let restored = self.core.engine.restore(In::new(&state), interval, false);
        let context = format!("seed {}: {:?} to {:?}", self.seed, self.rules.text, rules.text);
        let losses = (restored.damaged, restored.refused, restored.not_added, restored.dropped);
        assert_eq!(losses, (false, 0, 0, 0), "{context}");
        let listed = self.listed();
        assert_eq!(listed, series.keys().cloned().collect::<BTreeSet<_>>(), "{context}");
        for (key, model) in &series {
            let count = self.seen(key, 0).unwrap().1;
            assert!(
                key.0 != COUNTER || count == model.value,
                "{context}: {key:?} {count} {model:?}"
            );
        }
        self.series = series;
        self.led.clear();
        self.removed = 0;
        self.rules = rules;
        self.has_old_policies = false;
        true
    }

    /// Removes a series, as the admin port does.
    fn delete(&mut self) {
        let nth = self.random.below(self.series.len().max(1));
        let Some(key) = self.series.keys().nth(nth).cloned() else { return };
        let kind = MetricKind::ALL[usize::from(key.0)];
        // One that expires at its next sample, or at the sweep, may be gone already.
        self.core.remove(kind, &key.1);
        self.series.remove(&key);
    }

    /// Ends an interval, with lines between the slices of the sweep.
    fn flush(&mut self, stamp: u64) {
        self.note_places();
        self.flushes += 1;
        self.core.tick(stamp);
        self.is_sweeping = true;
        for (key, series) in &mut self.series {
            self.closed.insert(key.clone(), (series.value, series.is_active));
            series.idle += u32::from(!series.is_active);
            series.is_active = false;
            series.samples = 0;
            if key.0 != GAUGE {
                series.value = 0.0;
            }
        }
        loop {
            let work = 1 + self.random.below(5);
            let is_done = self.core.sweep(work);
            assert_eq!(self.note_removed(), 0, "seed {}: expired with samples", self.seed);
            match self.random.below(12) {
                0..4 => self.random_line(),
                4 if !self.is_raw => self.delete(),
                _ => {}
            }
            if is_done {
                break;
            }
        }
        let lines = self.core.finish();
        self.led.clear(); // values may get places that were kept
        self.is_sweeping = false;
        self.has_old_policies = false;
        let mut sent = values(&lines);
        for (key, (value, was_active)) in std::mem::take(&mut self.closed) {
            let context = format!("seed {}, {key:?}: {lines:?}", self.seed);
            match sent.remove(&key) {
                Some(sent) => assert!(sent == value || value.is_nan(), "{value}, {context}"),
                None => assert!(!was_active && (value == 0.0 || key.0 == GAUGE), "{context}"),
            }
        }
        assert!(sent.is_empty(), "seed {}: {sent:?}", self.seed);
    }
}

/// A server in which the series have an order of their own.
fn core(config: &str, seed: u64) -> Core {
    let settings = configured(config);
    let mut core = Core::new(&settings, &Default::default());
    core.engine = Engine::new(&settings, Seeds { names: [seed, 2, 3, 4], ..SEEDS });
    core
}

/// The counts of counters, timers and sets, and the levels of gauges.
fn values(lines: &[String]) -> BTreeMap<Key, f64> {
    let mut values = BTreeMap::new();
    for line in lines {
        let mut words = line.split(' ');
        let (name, value) = (words.next().unwrap(), words.next().unwrap());
        let (bare, tags) = name.split_at(name.find(';').unwrap_or(name.len()));
        let subject = |prefix: &str, suffix| bare.strip_prefix(prefix)?.strip_suffix(suffix);
        let found = [
            (MetricKind::Counter, subject("stats_counts.", "")),
            (MetricKind::Gauge, subject("stats.gauges.", "")),
            (MetricKind::Timing, subject("stats.timers.", ".count")),
            (MetricKind::Set, subject("stats.sets.", ".count")),
        ];
        if let Some((kind, Some(bare))) = found.into_iter().find(|(_, bare)| bare.is_some()) {
            let before =
                values.insert((kind as u8, format!("{bare}{tags}")), value.parse().unwrap());
            assert_eq!(before, None, "{name} was sent twice");
        }
    }
    values
}

/// Shows that each series sends what its lines have brought, once, and that each tag is freed with
/// its last series.
#[test]
fn any_interleaving_of_lines_rules_and_restarts_keeps_the_value_of_each_series() {
    let mut restarts = 0;
    for seed in 0..70 {
        let mut trial = Trial::new(seed);
        for flush in 1..40 {
            for _ in 0..trial.random.below(30) {
                trial.random_line();
                match trial.random.below(80) {
                    // Raw names of one clean name are restored apart, so with other rules some of
                    // them may get another name. `raw.rs` has that.
                    0 | 1 if !trial.is_raw || seed % 2 == 0 => {
                        let rules = &RULES[trial.random.below(RULES.len())];
                        trial.reload(rules);
                    }
                    2 if trial.is_raw && seed % 2 == 0 => {}
                    2 => {
                        let other = &RULES[trial.random.below(RULES.len())];
                        let is_same = trial.is_raw || trial.random.below(2) == 0;
                        let rules = if is_same { trial.rules } else { other };
                        restarts += u32::from(trial.restart(rules));
                    }
                    3 if !trial.is_raw => trial.delete(),
                    _ => {}
                }
            }
            trial.flush(flush * 10);
        }
        trial.flush(400);
        trial.reload(&RULES[0]);
        let mut sent = BTreeMap::new();
        (41..46).for_each(|flush| sent = values(&trial.core.flush(flush * 10)));
        assert!(sent.iter().all(|((kind, _), value)| *kind == GAUGE || *value == 0.0), "{sent:?}");
        if trial.base.contains("expire") || trial.base.contains("delete_idle") {
            let table = trial.core.engine.table();
            let left = (table.len(), table.tags(), table.aliases().0);
            assert_eq!(left, (0, (0, 0), 0), "seed {seed}");
            let bytes = [table.series_bytes(), table.record_bytes(), table.sample_bytes()];
            assert_eq!(bytes, [0; 3], "seed {seed}: series, records and samples");
        }
    }
    assert!(restarts > 200, "{restarts}");
}

/// Shows that the index of unread names stays bounded however clients write a name, and that each
/// line counts for its series while entries of the index are removed.
#[test]
fn more_ways_to_write_names_than_the_index_holds_lose_no_value() {
    /// 64 in each of 256 parts, the least bound.
    const BOUND: usize = 64 * 256;
    let base = "[statsd]\nexpire = 20s\n[limits]\nseries_memory = 2m\n";
    for (seed, rules) in [(0, &RULES[0]), (1, &RULES[5]), (2, &RULES[7])] {
        let mut trial = Trial::with(seed, base, rules);
        trial.is_flood = true;
        let mut most = 0;
        for flush in 1..4 {
            for _ in 0..7000 {
                trial.random_line();
                most = most.max(trial.core.engine.table().aliases().0);
            }
            trial.flush(flush * 10);
        }
        assert!((BOUND / 2..=BOUND).contains(&most), "seed {seed}: {most}");
        (4..9).for_each(|flush| drop(trial.core.flush(flush * 10)));
        let table = trial.core.engine.table();
        assert_eq!((table.aliases(), table.series_bytes()), ((0, 0), 0), "seed {seed}");
    }
}
