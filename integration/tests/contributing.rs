//! The contributor's page speaks of the tree as it is: every file and folder that it names is there.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What stands between backquotes or behind a link and looks like a path: with a slash or the end of a file's name, and
/// without a space. A name alone (`config.rs`) is that of many files.
fn paths(page: &str) -> Vec<&str> {
    let prose = page.split("```").step_by(2);
    let quoted = prose.clone().flat_map(|text| text.split('`').skip(1).step_by(2));
    let linked = prose.flat_map(|text| text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()));
    let is_path = |word: &&str| {
        let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
        plain && (word.contains('/') || ["README.md", "Cargo.toml", "pipeline.toml"].contains(word))
    };
    quoted.chain(linked).filter(is_path).collect()
}

#[test]
fn what_the_contributors_page_names_is_there() {
    let page = std::fs::read_to_string(root().join("CONTRIBUTING.md")).expect("the page");
    let paths = paths(&page);
    let missing: Vec<_> = paths.iter().filter(|path| !root().join(path).exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(paths.len() > 50, "{paths:?}");
}

#[test]
fn a_path_is_told_from_other_words() {
    let page =
        "`sip/src/`, `a b/c`, `make x`, `Cargo.toml`, `-> bob`\n```rust\nuse `x/y`;\n```\n[here](docs/a.md#b) `z`";
    assert_eq!(paths(page), ["sip/src/", "Cargo.toml", "docs/a.md"]);
}
