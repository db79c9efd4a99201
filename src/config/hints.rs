//! Suggests which section, key or name was meant by an unknown one. Pure.

use super::keys::KEYS;
use super::limits::GUESSED_MAX;
use super::sections::SECTIONS;

/// Returns the message for a section that does not exist. `section` is its name up to the first
/// dot, and `behind` is the dot and the rest of the name. A suggestion is taken from `kinds`.
pub(super) fn unknown_section(section: &str, behind: &str, kinds: &[&'static str]) -> String {
    let [found, behind] = [section, behind].map(str::escape_debug);
    let hint = match nearest(section, kinds.iter().copied()) {
        Some(kind) => format!("did you mean [{kind}{behind}]?"),
        None => format!("expected one of {}", SECTIONS.join(", ")),
    };
    format!("[{found}{behind}]: no such section; {hint}")
}

/// Returns the message for a key that its section does not have. `names` are the keys that the
/// section has. If none is similar, but another section has the key, the message names that
/// section.
pub(super) fn unknown_key(names: &[&'static str], name: &str) -> String {
    let elsewhere = || KEYS.iter().find(|key| key.name == name).map(|key| key.uses[0].section);
    let hint = match (nearest(name, names.iter().copied()), elsewhere()) {
        (Some(near), _) => format!("did you mean {near}?"),
        (None, Some(section)) => format!("did you mean to give it in [{section}]?"),
        (None, None) => format!("expected one of {}", names.join(", ")),
    };
    format!("no such key; {hint}")
}

/// Returns the candidate that is most similar to the wanted word. At most a third of the letters
/// may differ, or one letter of a short word. Returns `None` if no candidate is similar enough.
pub(super) fn nearest<'a>(
    wanted: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let allowed = (wanted.len() / 3).max(1);
    // The distance takes long to compute for long words, and a reload calls this inside the loop.
    // So it is not computed for candidates whose length alone differs too much.
    let may_be_near = |candidate: &&str| {
        wanted.len().max(candidate.len()) <= GUESSED_MAX
            && wanted.len().abs_diff(candidate.len()) <= allowed
    };
    let wanted = wanted.to_ascii_lowercase();
    let distance = |candidate: &&str| strsim::osa_distance(&wanted, candidate);
    let near = candidates.filter(may_be_near).map(|candidate| (distance(&candidate), candidate));
    let nearest = near.min_by_key(|(distance, _)| *distance)?;
    Some(nearest.1).filter(|_| nearest.0 <= allowed)
}
