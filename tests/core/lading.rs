//! DogStatsD traffic like that of the load generator DataDog/lading with its default profile: names
//! of 1 to 200 bytes, 2 to 50 tags with keys and values of up to 100 bytes, packed values, rates,
//! container ids, numbers of any size. Its own output was read without a bad line, too.

use crate::rig::Core;
use statsd::ledger::OwnCounter;
use statsd_bench::Random;

/// The types, as often as the profile has them in a hundred lines.
const TYPES: [(&str, u64); 6] = [("c", 34), ("g", 34), ("ms", 5), ("d", 1), ("s", 1), ("h", 25)];

fn text(random: &mut Random, least: usize, most: usize) -> String {
    const LETTERS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let length = least + random.below(most + 1 - least);
    (0..length).map(|_| char::from(*random.pick(LETTERS))).collect()
}

fn value(random: &mut Random) -> String {
    let value = random.bits().cast_signed();
    if random.one_in(2) { format!("{:?}", value as f64) } else { value.to_string() }
}

/// The name and the tags of a context.
fn context(random: &mut Random) -> (String, String) {
    let tags: Vec<_> = (0..2 + random.below(49))
        .map(|_| format!("{}:{}", text(random, 1, 75), text(random, 1, 75)))
        .collect();
    (text(random, 1, 200), tags.join(","))
}

fn line(random: &mut Random, (name, tags): &(String, String)) -> String {
    let mut at = random.below::<u64>(100);
    let fits = |(_, share): &&(&str, u64)| {
        let is_it = at < *share;
        at = at.saturating_sub(*share);
        is_it
    };
    let kind = TYPES.iter().find(fits).unwrap().0;
    let count = if random.below::<u64>(100) < 8 { 2 + random.below(31) } else { 1 };
    let values: Vec<_> = (0..count).map(|_| value(random)).collect();
    let mut line = format!("{name}:{}|{kind}", values.join(":"));
    if kind != "g" && kind != "s" && random.one_in(2) {
        line += &format!("|@{}", 1.0 / (1 + random.below::<u64>(10)) as f64);
    }
    line += &format!("|#{tags}");
    if random.one_in(2) {
        line += &format!("|c:{}", text(random, 1, 40));
    }
    line
}

/// Shows that no line is refused with the default configuration, whatever the seed.
#[test]
fn no_line_is_refused() {
    for seed in 1..=5 {
        let mut random = Random::new(seed);
        let contexts: Vec<_> = (0..1000).map(|_| context(&mut random)).collect();
        let mut core = Core::configured("");
        let (mut lines, mut longest) = (0, 0);
        let mut packet = String::new();
        for _ in 0..5000 {
            let context = random.below::<usize>(contexts.len());
            let line = line(&mut random, &contexts[context]);
            longest = longest.max(line.len());
            if packet.len() + line.len() > 8191 {
                core.packet(&packet);
                packet.clear();
            }
            packet += &line;
            packet.push('\n');
            lines += 1;
        }
        core.packet(&packet);
        let own = core.engine.own();
        let totals =
            [OwnCounter::MetricsReceived, OwnCounter::BadLinesSeen, OwnCounter::SamplesDropped];
        assert_eq!(totals.map(|which| own.total(which)), [lines, 0, 0], "seed {seed}");
        assert!(longest > 4000, "{longest}");
    }
}
