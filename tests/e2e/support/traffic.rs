//! Random traffic from a seed, in the grammar that Node's statsd and this server read in the same
//! way. So there are no packed values, no colon in a set's member, no type except `c m g ms s`, one
//! tag a line, and rates as plain decimals.

use statsd_bench::Random;

const NAMES: &[&str] = &[
    "api.hits",
    "api.latency",
    "web/page view",
    "web  tab\tname",
    "odd$%&()name",
    "deep.er.and.deeper",
    "k=v",
    "UPPER-lower_9",
    ".dots.",
    "0",
    "queue.length",
    "db.rows",
];
const COUNTS: &[&str] =
    &["1", "2", "17", "-3", "0", "+4", "2.5", ".5", "5.", "1e3", "2.5e-3", "0.1"];
const DURATIONS: &[&str] = &["0", "1", "3", "12", "320.000000", "3.7", ".25", "1e2", "99.9", "250"];
const LEVELS: &[&str] = &["0", "5", "10.25", "-10", "+3", "-0.5", "+1e2", "1000000", "-7"];
const MEMBERS: &[&str] = &["ann", "bob", "42", "-1", "a b", "x@y", "", "ann", "caf\u{e9}"];
const RATES: &[&str] = &["", "", "", "|@0.1", "|@0.5", "|@0.25", "|@1", "|@.5"];
const TAGS: &[&str] = &["", "", "", "", "|#env:prod", "|#zone:a.b-c"];
/// Returns a line that both servers refuse.
const BAD: &[&str] = &[
    "bad",
    "bad:1",
    "bad:x|c",
    "bad:|c",
    "bad:1x|g",
    "bad:--5|g",
    "bad:-5|ms",
    "bad:1|c|@",
    "bad:1|c|@x",
    "bad:1|ms|@-0.5",
    "bad:nan|ms",
    "good.part:1|c:x|c",
];

/// Returns datagrams of one to six lines. They are few enough for any receive buffer.
pub(crate) fn packets(seed: u64, count: usize) -> Vec<String> {
    let random = &mut Random::new(seed);
    (0..count).map(|_| packet(random)).collect()
}

fn packet(random: &mut Random) -> String {
    let lines: Vec<String> = (0..=random.below(6)).map(|_| line(random)).collect();
    lines.join("\n") + *random.pick(&["", "", "\n", "\n\n"])
}

fn line(random: &mut Random) -> String {
    let name = random.pick(NAMES).to_string();
    match random.below(10) {
        0 => random.pick(BAD).to_string(),
        1 => name + &repeated(random),
        2 => String::new(),
        _ => format!("{name}:{}{}", value(random), random.pick(TAGS)),
    }
}

/// Returns a line with Node's repeated groups: `name:1|c:2|ms|@0.1`.
fn repeated(random: &mut Random) -> String {
    (0..2 + random.below(3)).map(|_| format!(":{}", value(random))).collect()
}

fn value(random: &mut Random) -> String {
    let (choices, kind) = match random.below(7) {
        0 | 1 => (COUNTS, "c"),
        2 => (COUNTS, "m"),
        3 | 4 => (DURATIONS, "ms"),
        5 => (LEVELS, "g"),
        _ => (MEMBERS, "s"),
    };
    format!("{}|{kind}{}", random.pick(choices), random.pick(RATES))
}
