//! From the configuration to the engine's settings.

use crate::config::Config;
use crate::engine::Settings;
use crate::series::Seeds;

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

/// From the system's source of randomness, by way of ahash.
pub(super) fn random_seeds() -> Seeds {
    let random = ahash::RandomState::new();
    let [a, b, c, d, e, f] = [1, 2, 3, 4, 5, 6].map(|part: u8| random.hash_one(part));
    Seeds { names: [a, b, c, d], members: [e, f] }
}
