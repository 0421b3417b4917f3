//! Finding the word that somebody meant.

/// How many slips of the pen (a letter too many, too few, wrong, or two swapped) may lie
/// between a word and the one that was meant.
const SLIPS_MAX: usize = 2;

/// The candidate nearest to `word`, if one is near enough to have been meant.
pub fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let slips = |name: &str| strsim::damerau_levenshtein(word, name);
    let near = candidates.into_iter().map(|name| (slips(name), name)).min();
    near.filter(|&(slips, name)| slips <= SLIPS_MAX && slips < name.len())
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_word_is_offered() {
        assert_eq!(nearest("limmit", ["limit", "pages"]), Some("limit"));
        assert_eq!(nearest("x", ["limit", "op"]), None);
    }
}
