//! "Did you mean": the known word closest to a mistyped one.

use strsim::osa_distance;

/// Of `known`, the word fewest edits away from `word` (insert, delete, replace a character, or swap two neighbours); `None` when more than a third of it would have to change.
pub(crate) fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (osa_distance(word, candidate), candidate))
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
