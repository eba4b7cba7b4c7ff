//! "Did you mean": the nearest known word.

/// Words longer than this are not compared.
const WORD_CHARS_MAX: usize = 64;

/// The known word nearest to `found`, if it is near enough to be a slip.
pub(crate) fn nearest<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let found = fold(found);
    let bound = (found.len() / 3).clamp(1, 3);
    let with_distance = known.into_iter().map(|word| (distance(&found, &fold(word)), word));
    with_distance
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, w)| w)
}

/// Case and separators do not count.
fn fold(word: &str) -> Vec<char> {
    let same = word.chars().take(WORD_CHARS_MAX).map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() });
    same.collect()
}

/// Edits to turn one word into the other: insert, delete, change, swap neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let mut best = (rows[i][j + 1] + 1).min(row[j] + 1).min(rows[i][j] + usize::from(from != to));
            if i > 0 && j > 0 && *from == b[j - 1] && a[i - 1] == *to {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found() {
        let known = ["address", "max_connections", "compression"];
        assert_eq!(nearest("adress", known), Some("address"));
        assert_eq!(nearest("max-conections", known), Some("max_connections"));
        assert_eq!(nearest("MaxConnections", known), Some("max_connections"));
        assert_eq!(nearest("timeout", known), None);
        assert_eq!(nearest("", known), None);
    }
}
