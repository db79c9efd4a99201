//! Warnings about a configuration: values that are legal and almost surely wrong. Pure.
//!
//! ```text
//!  Config, GivenSettings, ──▶ times, figures, rules, names, idle_keys, ──▶ ConfigWarning
//!  Surroundings               listeners, destinations, memory
//! ```
//! A warning has the line, the reason, and what to write instead. `statsd --check` prints the
//! warnings, and a start and a reload log them. A value must not cause a warning if some operator
//! needs it. What can never work is a mistake, and `parse` refuses it.
//!
//! Some rules compare the configuration with the machine. What they need of it is in
//! [`Surroundings`], which the server fills in, so that no rule reads anything itself.

mod context;
mod destinations;
mod figures;
mod idle_keys;
mod listeners;
mod memory;
mod names;
mod rule_keys;
mod rules;
mod times;

pub use context::{ConfigWarning, PassedAddress, Surroundings};

use context::Lint;

use super::load::Origin;
use super::model::Config;

/// Returns the warnings about a configuration, in the order of their lines.
pub fn warnings(
    config: &Config,
    origin: &Origin,
    surroundings: &Surroundings,
) -> Vec<ConfigWarning> {
    let mut lint = Lint::new(config, origin, surroundings);
    for check in [
        times::check,
        figures::check,
        rules::check,
        names::check,
        idle_keys::check,
        listeners::check,
        destinations::check,
        memory::check,
    ] {
        check(&mut lint);
    }
    lint.into_warnings()
}

#[cfg(test)]
mod tests;
