//! Lists of what is known to differ from what is expected: they can only shrink.

/// Holds the differences found in each thing of a name against the names of those `known` to differ: one complaint for
/// each of the others that differs, and for each of these that does not.
pub fn unexpected(known: &[&str], found: impl IntoIterator<Item = (String, Vec<String>)>) -> Vec<String> {
    let complaint = |(name, differences): (String, Vec<String>)| match (differences.is_empty(), known.contains(&&*name))
    {
        (false, false) => Some(format!("{name}\n  {}", differences.join("\n  "))),
        (true, true) => Some(format!("{name} does not differ any more: take it off the list")),
        _ => None,
    };
    found.into_iter().filter_map(complaint).collect()
}

#[cfg(test)]
mod tests {
    use super::unexpected;

    #[test]
    fn what_differs_must_be_listed_and_what_is_listed_must_differ() {
        let found = [("a", vec![]), ("b", vec!["1, not 2", "3, not 4"]), ("c", vec![]), ("d", vec!["5, not 6"])];
        let found =
            found.map(|(name, differences)| (name.to_owned(), differences.into_iter().map(str::to_owned).collect()));
        let complaints = unexpected(&["c", "d", "not found"], found);
        assert_eq!(complaints, ["b\n  1, not 2\n  3, not 4", "c does not differ any more: take it off the list"]);
    }
}
