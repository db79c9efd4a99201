//! [`Stages`]: the engine, the encoders and the sinks, and how data moves between them.

use super::outputs;
use crate::config::Config;
use crate::encode::encoder::RefusalReason;
use crate::encode::encoders::Encoders;
use crate::encode::repeated::{PacketTransport, Repeated};
use crate::engine::{Engine, Settings};
use crate::ledger::OwnCounter;
use crate::sender::Sender;
use crate::series::Seeds;
use crate::sink::{Feed, Sinks};
use crate::warnings::WarningKind;

/// What the samples of an interval go through, in this order.
#[derive(Debug)]
pub(super) struct Stages {
    pub(super) engine: Engine,
    pub(super) encoders: Encoders,
    pub(super) sinks: Sinks,
}

/// Series that are closed between two readings of the clock.
const SWEEP_STEP: usize = 256;

impl Stages {
    /// Makes the engine and the encoders that a configuration needs. There are no sinks yet.
    pub(super) fn new(config: &Config, seeds: Seeds) -> Self {
        Self {
            engine: Engine::new(&settings(config), seeds),
            encoders: outputs::encoders(config),
            sinks: Sinks::default(),
        }
    }

    /// Closes [`SWEEP_STEP`] series, and encodes them. Returns `true` if all are closed.
    pub(super) fn sweep_step(&mut self) -> bool {
        let Self { engine, encoders, .. } = self;
        engine.sweep(SWEEP_STEP, &mut |summary| encoders.encode(summary))
    }

    /// Queues the full chunks of all encoders in the sinks that take their format.
    pub(super) fn queue_chunks(&mut self) {
        for (encoder, chunk) in self.encoders.take() {
            self.sinks.push(Feed::Flushes(encoder), &chunk);
        }
    }

    /// Counts the points that a destination cannot store, and adds a warning about them.
    pub(super) fn note_refused(&mut self) {
        let Self { engine, encoders, sinks } = self;
        for (encoder, refused) in encoders.take_refused() {
            for sink in sinks.iter_mut().filter(|sink| sink.takes(Feed::Flushes(encoder))) {
                sink.note_refused_points(refused.points);
            }
            engine.ledger_mut().count(OwnCounter::PointsRefused, refused.points);
            let what = WarningKind::PointRefused(refused.reason);
            let ledger = engine.ledger_mut();
            let record = ledger.count_senders().by_id(refused.sender);
            let sender = record.map_or(Sender::Unknown, |record| record.sender);
            ledger.warn_about(what, sender, refused.points, &refused.example);
        }
    }

    /// Counts the lines of the present sender that no datagram to a repeater can hold, and adds a
    /// warning about them.
    #[inline]
    pub(super) fn note_refused_lines(&mut self, repeated: &mut Repeated) {
        let Some(refused) = repeated.take_refused() else { return };
        let to_datagrams = Feed::Packets(PacketTransport::Datagrams);
        for sink in self.sinks.iter_mut().filter(|sink| sink.takes(to_datagrams)) {
            sink.note_refused_points(refused.lines);
        }
        let ledger = self.engine.ledger_mut();
        ledger.count(OwnCounter::PointsRefused, refused.lines);
        let what = WarningKind::PointRefused(RefusalReason::RepeatedLineTooLong);
        ledger.warn_about(what, ledger.sender(), refused.lines, &refused.example);
    }
}

/// Returns the settings of the engine. They depend on the configuration alone.
pub(super) fn settings(config: &Config) -> Settings {
    Settings {
        grammar: config.grammar.clone(),
        bounds: config.bounds,
        rules: config.rules.clone(),
        flush_interval: config.flush_interval,
        prefix_stats: config.namespaces[0].prefix_stats.clone(),
        count_names: config.key_flush.interval.is_some(),
    }
}
