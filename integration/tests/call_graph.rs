//! Calls between the files of `processor-dialog`: no two files call each other, so that a rule can be read with what it
//! calls and without what calls it. `scripts/call-graph.sh` prints them.
//!
//! Read as text: a name that several files define, or the standard library, is passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// How often one file calls another.
type Pairs = BTreeMap<(String, String), usize>;

/// The source of a file without its tests and comments.
fn source(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The names that stand before `(`, with what stands before them.
fn names(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.match_indices('(').filter_map(|(at, _)| {
        let before = &text[..at];
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let start = before.rfind(|c| !is_part(c)).map_or(0, |end| end + 1);
        (start < at).then(|| (&text[..start], &before[start..]))
    })
}

/// Who calls whom among files: their names and texts.
fn calls(files: &[(String, String)]) -> Pairs {
    let mut defined: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (file, text) in files {
        for (before, name) in names(text) {
            if before.ends_with("fn ") {
                defined.entry(name).or_default().insert(file);
            }
        }
    }
    let mut pairs = Pairs::new();
    for (file, text) in files {
        for (before, name) in names(text) {
            if before.ends_with("fn ") || STANDARD.contains(&name) {
                continue;
            }
            let Some(homes) = defined.get(name) else { continue };
            let [home] = homes.iter().collect::<Vec<_>>()[..] else { continue };
            let is_call = before.ends_with('.') || before.ends_with("::") || !before.ends_with(char::is_alphanumeric);
            if is_call && **home != **file {
                *pairs.entry((file.clone(), (*home).to_owned())).or_default() += 1;
            }
        }
    }
    pairs
}

/// Names of the crate that the standard library or another crate has as well.
const STANDARD: &[&str] = &[
    "cancel",
    "clear",
    "close",
    "drain",
    "extend",
    "find",
    "first",
    "free",
    "get",
    "get_mut",
    "insert",
    "is_empty",
    "iter",
    "join",
    "len",
    "new",
    "now",
    "open",
    "pop",
    "process",
    "push",
    "remove",
    "retain",
    "set",
    "take",
    "telemetry",
    "tell",
];

fn both_ways(pairs: &Pairs) -> Vec<(&str, &str)> {
    let back = |(from, to): &&(String, String)| from < to && pairs.contains_key(&(to.clone(), from.clone()));
    pairs.keys().filter(back).map(|(from, to)| (from.as_str(), to.as_str())).collect()
}

#[test]
fn no_two_files_of_the_dialog_processor_call_each_other() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../processor-dialog/src");
    let entries = fs::read_dir(&folder).expect("the folder is there").map(|entry| entry.expect("it is read").path());
    let files: Vec<(String, String)> = entries
        .map(|path| {
            let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
            (name, source(&fs::read_to_string(path).expect("it is text")))
        })
        .collect();
    let pairs = calls(&files);
    assert!(pairs.len() > 20, "the files call each other somewhere: {pairs:?}");
    for ((from, to), count) in &pairs {
        println!("{from} -> {to} {count}");
    }
    println!("{} pairs of files, {} calls", pairs.len(), pairs.values().sum::<usize>());
    assert_eq!(both_ways(&pairs), []);
}

#[test]
fn two_files_that_call_each_other_are_found() {
    let file = |name: &str, text: &str| (name.to_owned(), source(text));
    let one = file("one.rs", "fn begin(x: u8) { second(x) } // third(x)");
    let two = file("two.rs", "impl Two { fn second(&self) { self.own(); begin(1) } fn own(&self) {} }");
    let pairs = calls(&[one, two]);
    assert_eq!(both_ways(&pairs), [("one.rs", "two.rs")]);
    assert_eq!(pairs.values().sum::<usize>(), 2);
}
