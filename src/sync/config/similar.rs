//! What somebody meant who typed something else.

/// The known word that is nearest, if any is near enough to be meant.
pub(super) fn did_you_mean<'k>(
    typed: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    let lower = typed.to_lowercase();
    // Nobody means a key by a text of another length.
    if lower.chars().count() > 40 {
        return None;
    }
    let near = known.into_iter().map(|word| (distance(&lower, word), word));
    let (distance, word) = near.min_by_key(|(distance, _)| *distance)?;
    let letters = word.chars().count();
    let allowed = if letters <= 3 { 1 } else { 2 + letters / 8 };
    (distance <= allowed && distance < letters).then_some(word)
}

/// How many letters must be put in, taken out, changed or swapped with the next one (the optimal
/// string alignment distance).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    let mut previous = None;
    for (row, letter) in from.chars().enumerate() {
        let mut current = vec![row + 1];
        let mut before = None;
        for (column, wanted) in to.iter().enumerate() {
            let at =
                |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
            let changed = at(&last, column) + usize::from(letter != *wanted);
            let mut least = changed
                .min(at(&last, column + 1) + 1)
                .min(at(&current, column) + 1);
            if previous == Some(*wanted) && before == Some(letter) && column > 0 {
                least = least.min(at(&before_last, column - 1) + 1);
            }
            current.push(least);
            before = Some(*wanted);
        }
        before_last = std::mem::replace(&mut last, current);
        previous = Some(letter);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_meant() {
        let known = ["tags", "to", "from", "platforms", "referrers", "at"];
        for (typed, meant) in [
            ("tgas", Some("tags")),
            ("tag", Some("tags")),
            ("Tags", Some("tags")),
            ("platfroms", Some("platforms")),
            ("platform", Some("platforms")),
            ("refferers", Some("referrers")),
            ("form", Some("from")),
            ("ot", Some("to")),
            ("x", None),
            ("", None),
            ("completely", None),
        ] {
            assert_eq!(did_you_mean(typed, known), meant, "{typed}");
        }
        assert_eq!(did_you_mean(&"x".repeat(100_000), known), None);
    }
}
