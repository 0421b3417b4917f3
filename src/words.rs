//! Finding the word that somebody meant.

/// The candidate nearest to `word`, if one is near enough to have been meant.
pub fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let allowed = word.chars().count().max(3) / 3;
    let distances = candidates
        .into_iter()
        .map(|it| (edit_distance(word, it), it));
    distances
        .filter(|&(distance, _)| distance <= allowed)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, it)| it)
}

/// Levenshtein's distance, in characters.
fn edit_distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (deleted, from_char) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = deleted + 1;
        for (index, &to_char) in to.iter().enumerate() {
            let substituted = diagonal + usize::from(from_char != to_char);
            diagonal = row[index + 1];
            row[index + 1] = substituted.min(diagonal + 1).min(row[index] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_single_edits() {
        assert_eq!(edit_distance("retry", "retry"), 0);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
    }

    #[test]
    fn only_a_near_word_is_offered() {
        assert_eq!(nearest("limmit", ["limit", "pages"]), Some("limit"));
        assert_eq!(nearest("x", ["limit", "pages"]), None);
    }
}
