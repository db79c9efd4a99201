//! The pure core for tests: an engine and an encoder, without sockets and clocks.

use std::collections::BTreeMap;
use std::time::Duration;

use statsd::encode::encoders::{Encoders, Format};
use statsd::encode::namespace::Namespace;
use statsd::engine::{Closing, Engine, Settings};
use statsd::ledger::OwnCounter;
use statsd::policy::FigureNames;
use statsd::policy::Rules;
use statsd::protocol::{Grammar, MetricKind};
use statsd::series::{Bounds, Seeds};
use statsd::time::UnixTime;

pub(crate) const SEEDS: Seeds = Seeds { names: [1, 2, 3, 4], members: [5, 6] };

pub(crate) struct Core {
    pub(crate) engine: Engine,
    encoders: Encoders,
    /// Whether the server's own figures are among the lines.
    pub(crate) own: bool,
    pub(crate) closing: Closing,
}

/// The settings of a server with the default configuration.
pub(crate) fn settings() -> Settings {
    Settings {
        grammar: Grammar::default(),
        bounds: Bounds::default(),
        rules: Rules::default(),
        flush_interval: Duration::from_secs(10),
        prefix_stats: "statsd".into(),
        count_names: false,
    }
}

/// The settings that a configuration file with this text makes.
pub(crate) fn configured(text: &str) -> Settings {
    let config = statsd::config::parse("test.conf".as_ref(), text.as_bytes());
    let config = config.unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    Settings {
        grammar: config.grammar,
        bounds: config.bounds,
        rules: config.rules,
        flush_interval: config.flush_interval,
        prefix_stats: config.namespaces[0].prefix_stats.clone(),
        count_names: config.key_flush.interval.is_some(),
    }
}

/// The values of lines by name; a name that is there twice was closed twice.
pub(crate) fn values(lines: &[String]) -> BTreeMap<&str, &str> {
    let mut values = BTreeMap::new();
    for line in lines {
        let mut words = line.split(' ');
        let (name, value) = (words.next().unwrap(), words.next().unwrap());
        assert_eq!(values.insert(name, value), None, "{name} was sent twice");
    }
    values
}

/// Takes in a datagram of lines, and counts it as the server does.
pub(crate) fn receive(engine: &mut Engine, packet: &[u8]) {
    engine.ledger_mut().count(OwnCounter::PacketsReceived, 1);
    engine.lines(packet);
}

impl Core {
    /// A server with this text for a configuration file.
    pub(crate) fn configured(text: &str) -> Self {
        Self::new(&configured(text), &Namespace::default())
    }

    pub(crate) fn new(settings: &Settings, namespace: &Namespace) -> Self {
        let names = FigureNames::new(&settings.rules.percentiles(), &settings.rules.bins());
        Self {
            engine: Engine::new(settings, SEEDS),
            encoders: Encoders::new([(Format::Plaintext, namespace, true)], &names),
            own: false,
            closing: Closing::default(),
        }
    }

    pub(crate) fn packet(&mut self, packet: &str) {
        receive(&mut self.engine, packet.as_bytes());
    }

    /// A whole flush at once; its lines, sorted.
    pub(crate) fn flush(&mut self, stamp: u64) -> Vec<String> {
        self.tick(stamp);
        while !self.sweep(usize::MAX) {}
        self.finish()
    }

    pub(crate) fn tick(&mut self, stamp: u64) {
        let flush = self.engine.tick();
        self.encoders.begin(flush, UnixTime::from_secs(stamp));
    }

    /// One slice; true at the end.
    pub(crate) fn sweep(&mut self, work: usize) -> bool {
        self.engine.sweep(work, &mut |summary| self.encoders.encode(summary))
    }

    pub(crate) fn remove(&mut self, kind: MetricKind, name: &str) -> bool {
        self.engine.remove(kind, name.as_bytes(), &mut |summary| self.encoders.encode(summary))
    }

    /// The lines of the flush, sorted.
    pub(crate) fn finish(&mut self) -> Vec<String> {
        let encoders = &mut self.encoders;
        let own = self.own;
        self.engine.finish(&self.closing, &mut |summary| {
            if own {
                encoders.encode(summary);
            }
        });
        encoders.end();
        let mut lines = Vec::new();
        for (_, chunk) in encoders.take() {
            let text = String::from_utf8(chunk.bytes().to_vec()).unwrap();
            assert_eq!(text.lines().count(), chunk.lines() as usize);
            lines.extend(text.lines().map(str::to_owned));
        }
        lines.sort();
        lines
    }
}
