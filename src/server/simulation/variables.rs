//! The environment variables of a run: which trials it makes.

/// Whether a single trial is run, which then shows its faults.
pub(super) fn is_replay() -> bool {
    number("SIMULATE_SEED").is_some()
}

/// Returns the number that a variable holds, or `None` if it is not set.
pub(super) fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().expect("a number"))
}
