//! The table against what is written about it.

use super::*;

const PAGE: &str = include_str!("../../../../../docs/traces.md");
const REGISTRY: &str = include_str!("../../../../../docs/semantic-conventions/model/sip/registry.yaml");

/// The table as the page shows it.
fn table() -> String {
    let mut table = "| attribute | type | on | what it says |\n|---|---|---|---|\n".to_owned();
    for attribute in ALL {
        let on: Vec<&str> = attribute.on.chars().map(part).collect();
        let Attribute { key, kind, about, .. } = attribute;
        table += &format!("| `{key}` | {} | {} | {about} |\n", kind.as_str(), on.join(", "));
    }
    table
}

fn part(letter: char) -> &'static str {
    match letter {
        'r' => "call",
        't' => "transaction",
        'e' => "ringing",
        's' => "session",
        'm' => "message",
        'v' => "media event",
        'q' => "report",
        other => panic!("{other:?} stands for nothing"),
    }
}

#[test]
fn the_page_has_the_whole_table() {
    assert!(PAGE.contains(&table()), "docs/traces.md should have this table:\n{}", table());
}

#[test]
fn no_attribute_stands_twice() {
    let mut keys: Vec<&str> = ALL.iter().map(|attribute| attribute.key).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), ALL.len());
}

#[test]
fn what_is_proposed_upstream_is_what_is_sent() {
    let mut proposed = 0;
    for attribute in ALL.iter().filter(|attribute| attribute.key.starts_with("sip.")) {
        let head = format!("- id: {}\n        type:", attribute.key);
        let Some(at) = REGISTRY.find(&head) else { panic!("{} is not proposed", attribute.key) };
        let rest = &REGISTRY[at + head.len()..];
        let kind = rest.lines().next().unwrap_or_default().trim();
        // A set of members is an enumeration of text.
        let fits = kind == attribute.kind.as_str() || kind.is_empty() && attribute.kind == Kind::String;
        assert!(fits, "{} is proposed as {kind}", attribute.key);
        proposed += 1;
    }
    assert_eq!(REGISTRY.matches("- id: sip.").count(), proposed, "nothing else is proposed");
}
