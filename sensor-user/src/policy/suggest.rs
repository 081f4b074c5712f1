//! "Did you mean …": the nearest of the words that would have been right.

/// A hint that names the candidate nearest to `word`, if one is near enough to be meant.
pub(crate) fn suggest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<String> {
    // A third of the letters may be wrong: `redd` is `read`, `xyz` is nothing.
    let limit = (word.chars().count() / 3).clamp(1, 3);
    let lower = word.to_lowercase();
    let nearest = candidates
        .into_iter()
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
            (distance, candidate)
        })
        .min()?;
    (nearest.0 <= limit).then(|| format!("did you mean `{}`?", nearest.1))
}
