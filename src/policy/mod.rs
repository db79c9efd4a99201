//! The settings of a name: those that `[statsd]` gives every name, and those that a `[rule.NAME]`
//! gives some names. Pure.
//!
//! ```text
//!  Rules { base, rules } ──▶ Policies::resolve ──▶ a number ──▶ Policy { lives, absolute, plan }
//!   as configured             when a series is      that the      looked up by number
//!                             created               series keeps  from then on
//! ```
//! Each setting comes from the first rule in file order that matches the name and has the setting.
//! Otherwise it comes from `[statsd]`.

mod dropped_names;
mod figures;
mod glob;
mod mapping;
mod policies;
mod rules;
mod template;

pub use figures::{
    Bin, Figure, FigureId, FigureNames, Percentile, Plan, TIMER_METRICS, TimerMetric,
};
pub use glob::{CAPTURES_MAX, Glob};
pub use mapping::{LimitedTag, OTHER};
pub use policies::{AppliedRules, Policies, Policy, PolicySets, ResolvedName};
pub use rules::{
    BINS_MAX, BaseSettings, PERCENTILES_MAX, RULES_MAX, Rule, Rules, SignedGauges, flushes,
};
pub use template::{NameRegex, NewTag, RuleName, TagLimit, TagPattern, TagRename, Template};

pub(crate) use figures::PlannedPercentile;
pub(crate) use policies::clean_form;
