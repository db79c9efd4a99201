//! Guesses what an unknown section, key or name was meant to be. Pure.

use super::keys::KEYS;
use super::limits::GUESSED_MAX;
use super::sections::SECTIONS;

/// Returns the mistake of a section that does not exist. `behind` is the dot after its kind and
/// what follows the dot. `kinds` are the kinds it may have meant.
pub(super) fn unknown_section(section: &str, behind: &str, kinds: &[&'static str]) -> String {
    let [found, behind] = [section, behind].map(str::escape_debug);
    let hint = match nearest(section, kinds.iter().copied()) {
        Some(kind) => format!("did you mean [{kind}{behind}]?"),
        None => format!("expected one of {}", SECTIONS.join(", ")),
    };
    format!("[{found}{behind}]: no such section; {hint}")
}

/// Returns the mistake of a key that its section does not have. `names` are the keys it has.
pub(super) fn unknown_key(names: &[&'static str], name: &str) -> String {
    let elsewhere = || KEYS.iter().find(|key| key.name == name).map(|key| key.uses[0].section);
    let hint = match (nearest(name, names.iter().copied()), elsewhere()) {
        (Some(near), _) => format!("did you mean {near}?"),
        (None, Some(section)) => format!("did you mean to give it in [{section}]?"),
        (None, None) => format!("expected one of {}", names.join(", ")),
    };
    format!("no such key; {hint}")
}

/// Returns the candidate that is most like the wanted word. At most a third of the word's letters
/// may differ, or one letter of a short word.
pub(super) fn nearest<'a>(
    wanted: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let allowed = (wanted.len() / 3).max(1);
    // The distance is at least the difference in length, and takes long to compute for long words.
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
