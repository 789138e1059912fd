//! "Did you mean": the known word closest to a mistyped one.

/// Of `known`, the word fewest edits away from `word`; `None` when more than a third of it would have to change.
pub(crate) fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(d, _)| *d <= allowed)
        .min()
        .map(|(_, c)| c)
}

/// `did you mean "x"? expected: "x", "y"`, or only the second half.
pub(crate) fn help(word: &str, known: &[&str]) -> String {
    let quoted: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
    let expected = format!("expected here: {}", quoted.join(", "));
    match closest(word, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`? {expected}"),
        None => expected,
    }
}

/// Edits between two words: insert, delete, replace a character, or swap two neighbours.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for i in 0..=left.len() {
        for j in 0..=right.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let same = left[i - 1] == right[j - 1];
                let mut best =
                    (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + usize::from(!same));
                if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn a_slip_of_the_finger_finds_its_word() {
        let known = ["ports", "interfaces", "transports", "promiscuous"];
        for (typed, meant) in
            [("port", "ports"), ("prots", "ports"), ("interface", "interfaces"), ("promiscous", "promiscuous")]
        {
            assert_eq!(closest(typed, known), Some(meant), "{typed}");
        }
    }

    #[test]
    fn another_word_suggests_nothing() {
        assert_eq!(closest("endpoint", ["ports", "interfaces"]), None);
        assert_eq!(closest("x", []), None);
    }
}
