//! Closing an interval: the tick, the sweep in slices, and the figures each series ends as. Pure.

mod percentile;

pub use percentile::Percentile;
