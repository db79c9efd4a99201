//! The fuzz target of rules that change names and tags.

use std::collections::BTreeSet;
use std::path::Path;

use statsd::config;
use statsd::encode::encoders::{Encoders, Format};
use statsd::encode::namespace::Namespace;
use statsd::engine::{Closing, Engine, Settings};
use statsd::flush::{Subject, Summary};
use statsd::policy::{FigureNames, Rules};
use statsd::series::{Audience, Bounds, Cursor, Seeds, Values};
use statsd::time::UnixTime;
use statsd::wire::In;

use super::{check_line, settings};

/// Configurations for [`rules`], if a part of its input is none.
const SOME_RULES: [&str; 7] = [
    "",
    "[rule.a]\nmatch = *.*, **-*\nname = ${1}x\ntags = t=$1\n",
    "[rule.a]\nmatch = **\nname = $1$1\nmax_tag_values = 1, t=2\nrename_tag = a=b, b=a\n",
    "[rule.a]\nmatch_regex = ^(.*?)(.)\nname = $2\ntags = a=$1\n[rule.b]\nmatch_tags = t\ndrop = yes\n",
    "[rule.a]\nmatch = **\nkeep_tags = t*\ndrop_tags = tt\ntags = z=$0\n",
    "[statsd]\nsanitize_keys = no\n",
    "[statsd]\nsanitize_keys = no\n[rule.a]\nmatch_regex = (.)$\nname = $1\nmax_tag_values = 1\n",
];

/// An engine whose series are checked after each step.
struct Server {
    engine: Engine,
    settings: Settings,
    stamp: u64,
}

impl Server {
    fn new(settings: Settings) -> Self {
        let engine = Engine::new(&settings, Seeds { names: [1, 2, 3, 4], members: [5, 6] });
        Self { engine, settings, stamp: 0 }
    }

    /// Changes the rules, unless the series still have to get the policies of a reload before.
    /// Whether names are cleaned does not change.
    fn reload(&mut self, mut settings: Settings) {
        settings.grammar.sanitize = self.settings.grammar.sanitize;
        if self.engine.can_take(&settings.rules, settings.flush_interval) {
            self.engine.reconfigure(&settings);
            self.settings = settings;
        }
    }

    /// Returns another server that has the saved series of this one. Nothing may be lost, and no
    /// value may be counted twice.
    fn restarted(&mut self, settings: Settings) -> Self {
        let before = self.check();
        let saved = self.engine.save(|_| Ok::<(), ()>(())).unwrap();
        let mut other = Self::new(settings);
        let restored = other.engine.restore(In::new(&saved), self.settings.flush_interval, false);
        assert!(!restored.damaged, "{restored:?}");
        let after = other.check();
        if (restored.refused, restored.dropped) == (0, 0) {
            let is_close = (before - after).abs() <= before.abs() * 1e-9;
            assert!(is_close || !before.is_finite(), "{before} became {after}");
        }
        other
    }

    fn flush(&mut self) {
        self.stamp += 10;
        let namespace = Namespace::default();
        let figures = FigureNames::new(&[], &[]);
        let mut encoders = Encoders::new([(Format::Plaintext, &namespace, true)], &figures);
        encoders.begin(self.engine.tick(), UnixTime::from_secs(self.stamp));
        let mut count = |summary: &Summary<'_>| {
            if summary.subject == Subject::Counter {
                encoders.encode(summary);
            }
        };
        while !self.engine.sweep(1, &mut count) {}
        self.engine.finish(&Closing::default(), &mut |_| {});
        encoders.end();
        for (_, chunk) in encoders.take() {
            let text = std::str::from_utf8(chunk.bytes()).unwrap();
            text.lines().for_each(check_line);
        }
    }

    /// Checks the names of all series. Returns the sum of the absolute open counts that
    /// destinations of clean names will get.
    fn check(&mut self) -> f64 {
        let mut names = BTreeSet::new();
        let mut sum = 0.0;
        self.engine.table_mut().visit(&mut Cursor::default(), usize::MAX, |visited| {
            let name = visited.key();
            let is_new = names.insert((visited.series.kind() as u8, name.to_vec()));
            assert!(is_new, "{} is there twice", name.escape_ascii());
            let name = visited.name();
            assert!(!name.is_empty() && name[0] != b';', "{}", name.escape_ascii());
            if let (Values::Counter(count), true) =
                (visited.series.open(visited.tick), visited.audience != Audience::Raw)
            {
                sum += count;
            }
        });
        sum
    }

    /// Removes all series, and checks that nothing of them is left.
    fn end(mut self) {
        self.flush();
        let mut deleting = settings();
        deleting.rules.base.delete_idle = true;
        self.reload(deleting);
        (0..5).for_each(|_| self.flush());
        let table = self.engine.table();
        assert_eq!((table.len(), table.tags(), table.aliases().0), (0, (0, 0), 0));
        let bytes = [table.series_bytes(), table.record_bytes(), table.sample_bytes()];
        assert_eq!(bytes, [0; 3], "series, records and samples");
    }
}

/// The settings that a part of the input stands for: a configuration, or one of [`SOME_RULES`].
fn settings_of(part: &[u8], count_names: bool) -> Settings {
    let file = Path::new("fuzz.conf");
    let some = SOME_RULES[usize::from(part.first().copied().unwrap_or(0)) % SOME_RULES.len()];
    let config =
        config::parse(file, part).unwrap_or_else(|_| config::parse(file, some.as_bytes()).unwrap());
    let bounds = Bounds { max_series: 16, ..Bounds::default() };
    let mut settings = Settings { rules: config.rules, bounds, count_names, ..settings() };
    settings.grammar.sanitize = config.grammar.sanitize;
    settings
}

/// Passes datagrams, separated by the byte `1e`, to an engine with rules, which the first part may
/// give. A part that begins with the byte `1d` changes the rules, and one that begins with `1c`
/// restarts the server with others. Every line that is sent must be one that carbon accepts, each
/// name is that of one series of its kind, a restart keeps the counts, and all memory is freed with
/// the last series.
pub(crate) fn rules(data: &[u8]) {
    let mut parts = data.split(|byte| *byte == 0x1e);
    let count_names = data.len().is_multiple_of(2);
    let settings_of = |part: &[u8]| settings_of(part, count_names);
    let mut server = Server::new(settings_of(parts.next().unwrap_or_default()));
    for (at, part) in parts.take(32).enumerate() {
        match part {
            [0x1d, part @ ..] => server.reload(settings_of(part)),
            [0x1c, part @ ..] => server = server.restarted(settings_of(part)),
            packet => server.engine.lines(packet),
        }
        server.check();
        if at % 4 == 3 {
            server.flush();
        }
    }
    let same = server.settings.clone();
    server.restarted(same).end();
    server.restarted(Settings { rules: Rules::default(), ..settings() }).end();
    server.end();
}
