//! "Did you mean": finds the known word that is most similar to an unknown one. Pure.

/// The most bytes of an unknown word for which a suggestion is searched, and of the suggestion. The
/// time to compare two words grows with the product of their lengths.
pub(crate) const GUESSED_MAX: usize = 32;

/// Returns the candidate that is most similar to the wanted word. At most a third of the letters
/// may differ, or one letter of a short word. Returns `None` if no candidate is similar enough.
pub(crate) fn nearest<'a>(
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
