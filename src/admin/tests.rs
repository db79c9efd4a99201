//! What the unit tests of the admin port share.

use std::time::Duration;

use crate::engine::{Engine, Settings};
use crate::policy::Rules;
use crate::protocol::Grammar;
use crate::series::{Bounds, Seeds};

/// An engine without series.
pub(super) fn engine(rules: Rules) -> Engine {
    let settings = Settings {
        grammar: Grammar::default(),
        bounds: Bounds { keeps_totals: true, ..Bounds::default() },
        rules,
        flush_interval: Duration::from_secs(10),
        prefix_stats: "statsd".into(),
        count_names: false,
    };
    Engine::new(&settings, Seeds { names: [1, 2, 3, 4], members: [5, 6] })
}
