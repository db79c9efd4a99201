//! Tags are stored once for all series that have them. Whatever comes in which order, no count is
//! lost, and a tag goes with its last series. A plain map is the model.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use statsd::encode::namespace::Namespace;
use statsd::engine::Settings;
use statsd::ledger::OwnCounter;
use statsd::protocol::{Dialect, MetricKind};
use statsd::series::{Cursor, Values};
use statsd_bench::Random;

use crate::rig::{Core, settings};

const NAMES: u64 = 8;

/// Settings with or without tags of DogStatsD, and with other limits.
fn chosen(random: &mut Random, max_series: usize) -> Settings {
    let mut settings = settings();
    if random.one_in(4) {
        settings.grammar.dialects = [Dialect::Graphite].into_iter().collect();
    }
    settings.bounds.max_series = max_series;
    settings.bounds.evict_after = Duration::from_secs(10);
    let intervals = 1 + random.below(3);
    settings.rules.base.expire = Some(Duration::from_secs(10 * intervals));
    settings
}

/// A counter of one, and its canonical name.
fn line(random: &mut Random, reads_tags: bool) -> (String, String) {
    let name = format!("n{}", random.below(NAMES));
    let mut tags: Vec<(String, String)> = Vec::new();
    for key in 0..random.below(5_u32) {
        tags.push((format!("k{key}"), format!("v{}", random.below(3_u32))));
    }
    random.shuffle(&mut tags);
    let written: Vec<_> = tags.iter().map(|(key, value)| format!("{key}:{value}")).collect();
    let sections =
        if written.is_empty() { String::new() } else { format!("|#{}", written.join(",")) };
    let end = *random.pick(&["", "", "|c:ci-1", "\r", "|e:it-false"]);
    let values = *random.pick(&["1", "1", "1e0", "+1"]);
    let line = format!("{name}:{values}|c{sections}{end}");
    tags.sort();
    let mut canonical = name;
    if reads_tags {
        tags.iter().for_each(|(key, value)| canonical += &format!(";{key}={value}"));
    }
    (line, canonical)
}

/// Checks that the store has exactly the tags of the series that exist.
fn check_tags(core: &mut Core) {
    let mut tags = BTreeSet::new();
    let table = core.engine.table_mut();
    table.visit(&mut Cursor::default(), usize::MAX, |visited| {
        let name = String::from_utf8(visited.name().to_vec()).unwrap();
        tags.extend(name.split(';').skip(1).map(str::to_owned));
    });
    assert_eq!(table.tags().0, tags.len());
}

/// The counts of a flush by canonical name.
fn sent(lines: &[String]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for line in lines {
        let mut words = line.split(' ');
        let (name, value) = (words.next().unwrap(), words.next().unwrap());
        if let Some(name) = name.strip_prefix("stats_counts.") {
            let count: u64 = value.parse().unwrap();
            assert_eq!(counts.insert(name.to_owned(), count), None, "{name} was sent twice");
        }
    }
    counts
}

fn trial(seed: u64, max_series: usize) {
    let mut random = Random::new(seed);
    let mut settings = chosen(&mut random, max_series);
    let mut core = Core::new(&settings, &Namespace::default());
    // What came in, and what went out or was deleted, by name.
    let mut came: BTreeMap<String, u64> = BTreeMap::new();
    let mut went: BTreeMap<String, u64> = BTreeMap::new();
    for stamp in 1..15 {
        let reads_tags = settings.grammar.dialects.has(Dialect::Dogstatsd);
        let mut packet = |random: &mut Random| {
            let count = 1 + random.below(60);
            let lines: Vec<_> = (0..count).map(|_| line(random, reads_tags)).collect();
            lines.iter().for_each(|(_, name)| *came.entry(name.clone()).or_default() += 1);
            lines.into_iter().map(|(line, _)| line).collect::<Vec<_>>().join("\n")
        };
        for _ in 0..4 {
            core.packet(&packet(&mut random));
            let (_, name) = line(&mut random, reads_tags);
            let table = core.engine.table_mut();
            if let Some(visited) = table.look_up(MetricKind::Counter, name.as_bytes()) {
                let Values::Counter(open) = visited.series.open(visited.tick) else { panic!() };
                assert_eq!(visited.name(), name.as_bytes());
                assert!(core.remove(MetricKind::Counter, &name));
                let open: u64 = open.to_string().parse().unwrap();
                *went.entry(name).or_default() += open;
            }
            check_tags(&mut core);
        }
        core.tick(stamp);
        while !core.sweep(1 + random.below(40_usize)) {
            core.packet(&packet(&mut random));
        }
        for (name, count) in sent(&core.finish()) {
            *went.entry(name).or_default() += count;
        }
        check_tags(&mut core);
        let next = chosen(&mut random, max_series);
        if core.engine.can_take(&next.rules, next.flush_interval) && random.one_in(2) {
            core.engine.reconfigure(&next);
            settings = next;
        }
    }
    for stamp in 15..25 {
        for (name, count) in sent(&core.flush(stamp)) {
            *went.entry(name).or_default() += count;
        }
    }
    let total = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>();
    let rejected: u64 = total(&came) - total(&went);
    assert_eq!(core.engine.own().total(OwnCounter::SeriesRejected), rejected, "seed {seed}");
    if rejected == 0 {
        went.retain(|_, count| *count > 0);
        assert_eq!(came, went, "seed {seed}");
    }
    let table = core.engine.table();
    assert!(table.is_empty());
    assert_eq!((table.tags(), table.aliases().0), ((0, 0), 0));
}

#[test]
fn counts_are_whole_and_every_tag_is_freed() {
    (0..20).for_each(|seed| trial(seed, 100_000));
}

#[test]
fn a_full_table_frees_the_tags_of_those_that_make_room() {
    (0..40).for_each(|seed| trial(seed, 60));
}
