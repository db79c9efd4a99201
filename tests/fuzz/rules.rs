//! The fuzz target of rules that change names and tags.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use statsd::config;
use statsd::encode::encoders::{Encoders, Format};
use statsd::encode::namespace::Namespace;
use statsd::engine::{Closing, Engine, Settings};
use statsd::policy::FigureNames;
use statsd::series::{Bounds, Cursor, Seeds};
use statsd::time::UnixTime;
use statsd::wire::In;

use super::{check_line, settings};

/// Rules for [`rules`], if its input does not begin with some.
const SOME_RULES: [&str; 5] = [
    "",
    "[rule.a]\nmatch = *.*, **-*\nname = ${1}x\ntags = t=$1\n",
    "[rule.a]\nmatch = **\nname = $1$1\nmax_tag_values = 1, t=2\nrename_tag = a=b, b=a\n",
    "[rule.a]\nmatch_regex = ^(.*?)(.)\nname = $2\ntags = a=$1\n[rule.b]\nmatch_tags = t\ndrop = yes\n",
    "[rule.a]\nmatch = **\nkeep_tags = t*\ndrop_tags = tt\ntags = z=$0\n",
];

/// Passes datagrams, separated by the byte `1e`, to an engine with rules, which the first part may
/// give. A part that begins with the byte `1d` changes the rules. Every line that is sent must be
/// one that carbon accepts, each name is that of one series of its kind, and each tag is freed with
/// its last series.
pub(crate) fn rules(data: &[u8]) {
    let mut parts = data.split(|byte| *byte == 0x1e);
    let first = parts.next().unwrap_or_default();
    let settings_of = |part: &[u8]| {
        let file = Path::new("fuzz.conf");
        let some = SOME_RULES[usize::from(part.get(1).copied().unwrap_or(0)) % SOME_RULES.len()];
        let rules = match config::parse(file, part) {
            Ok(config) => config.rules,
            Err(_) => config::parse(file, some.as_bytes()).unwrap().rules,
        };
        let bounds = Bounds { max_series: 16, ..Bounds::default() };
        Settings { rules, bounds, count_names: data.len().is_multiple_of(2), ..settings() }
    };
    let mut engine =
        Engine::new(&settings_of(first), Seeds { names: [1, 2, 3, 4], members: [5, 6] });
    let figures = FigureNames::new(&[], &[]);
    let mut stamp = 0;
    let mut flush = |engine: &mut Engine| {
        stamp += 10;
        let namespace = Namespace::default();
        let mut encoders = Encoders::new([(Format::Plaintext, &namespace, true)], &figures);
        encoders.begin(engine.tick(), UnixTime::from_secs(stamp));
        let mut count = |summary: &statsd::flush::Summary<'_>| {
            if summary.subject == statsd::flush::Subject::Counter {
                encoders.encode(summary);
            }
        };
        while !engine.sweep(1, &mut count) {}
        engine.finish(&Closing::default(), &mut |_| {});
        encoders.end();
        for (_, chunk) in encoders.take() {
            let text = std::str::from_utf8(chunk.bytes()).unwrap();
            text.lines().for_each(check_line);
        }
    };
    for (at, part) in parts.take(32).enumerate() {
        match part {
            [0x1d, ..] => {
                let settings = settings_of(part);
                if engine.can_take(&settings.rules, settings.flush_interval) {
                    engine.reconfigure(&settings);
                }
            }
            packet => engine.lines(packet),
        }
        let mut names = BTreeSet::new();
        engine.table_mut().visit(&mut Cursor::default(), usize::MAX, |visited| {
            let name = visited.name();
            let is_new = names.insert((visited.series.kind() as u8, name.to_vec()));
            assert!(is_new, "{} is there twice", name.escape_ascii());
            assert!(!name.is_empty() && name[0] != b';', "{}", name.escape_ascii());
        });
        if at % 4 == 3 {
            flush(&mut engine);
        }
    }
    let expiring = Settings { rules: Default::default(), ..settings() };
    flush(&mut engine);
    engine.reconfigure(&expiring);
    flush(&mut engine);
    let ended = engine.save(|_| Ok::<(), ()>(())).unwrap();
    let mut again = Engine::new(&expiring, Seeds { names: [1, 2, 3, 4], members: [5, 6] });
    assert!(!again.restore(In::new(&ended), Duration::from_secs(10), false).damaged);
    let mut deleting = expiring;
    deleting.rules.base.delete_idle = true;
    for engine in [&mut engine, &mut again] {
        engine.reconfigure(&deleting);
        (0..4).for_each(|_| flush(engine));
        let table = engine.table();
        assert_eq!((table.len(), table.tags(), table.aliases().0), (0, (0, 0), 0));
    }
}
