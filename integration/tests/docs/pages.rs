//! The files that people read: source, documentation, settings; and what in them is prose.

use std::fs;
use std::path::{Path, PathBuf};

/// A text file of the repository.
#[derive(Clone, Debug)]
pub struct Page {
    /// From the root of the repository.
    pub path: String,
    pub text: String,
}

impl Page {
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// All of them, but for what is built, fetched or recorded.
    pub fn all() -> Vec<Self> {
        let mut pages = Vec::new();
        read(&root(), &mut pages);
        pages.sort_by(|a, b| a.path.cmp(&b.path));
        pages
    }

    /// How its name ends.
    pub fn kind(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(_, kind)| kind)
    }

    /// Its name without folders.
    pub fn name(&self) -> &str {
        self.path.rsplit_once('/').map_or(&self.path, |(_, name)| name)
    }

    /// The text in its lines, without what is no prose: of source and settings only the comments are left.
    pub fn prose(&self) -> String {
        let comment: fn(&str, &mut bool) -> String = match self.kind() {
            "md" => return self.text.clone(),
            "toml" => |line, _| after(line, "#"),
            "rs" => |line, _| after(line, "//"),
            _ => block_or_line,
        };
        let mut within = false;
        let lines: Vec<String> = self.text.lines().map(|line| comment(line, &mut within)).collect();
        lines.join("\n")
    }
}

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn read(folder: &Path, pages: &mut Vec<Page>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        let is_folder = entry.file_type().expect("a type").is_dir();
        if is_folder && !name.starts_with('.') && !name.starts_with("target") && name != "node_modules" {
            read(&path, pages);
        } else if !is_folder
            && ["rs", "c", "h", "md", "toml"].iter().any(|kind| path.extension() == Some(kind.as_ref()))
        {
            let relative = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
            pages.push(Page { path: relative, text: fs::read_to_string(&path).expect("text") });
        }
    }
}

/// What stands behind a mark that begins the line or follows a space outside of quotes.
fn after(line: &str, mark: &str) -> String {
    let begins = |&(at, _): &(usize, &str)| {
        let before = &line[..at];
        let quotes = before.matches('"').count() - before.matches("\\\"").count();
        before.trim().is_empty() || (before.ends_with(' ') && quotes.is_multiple_of(2))
    };
    let comment = line.match_indices(mark).find(begins).map(|(at, _)| &line[at..]);
    comment.unwrap_or_default().trim_start_matches(['/', '!', '#']).to_owned()
}

/// The same in C, where a comment may also stand between marks; `within` tells whether one goes on.
fn block_or_line(line: &str, within: &mut bool) -> String {
    let mut prose = String::new();
    let mut rest = line;
    if *within {
        rest = rest.trim_start().trim_start_matches("* ");
    }
    loop {
        if *within {
            let (inside, behind) = rest.split_once("*/").unwrap_or((rest, ""));
            prose.push_str(inside);
            *within = !rest.contains("*/");
            rest = behind;
        } else if let Some((before, behind)) = rest.split_once("/*") {
            prose.push_str(&after(before, "//"));
            *within = true;
            rest = behind;
        } else {
            prose.push_str(&after(rest, "//"));
            return prose;
        }
        if *within && rest.is_empty() {
            return prose;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Page;

    #[test]
    fn comments_are_the_prose_of_source() {
        let prose = |path, text| Page::new(path, text).prose();
        assert_eq!(prose("a.rs", "//! One.\nlet url = \"a // b\"; // Two.\ncode(3.4);"), " One.\n Two.\n");
        assert_eq!(prose("a.toml", "# One.\nkey = 2 # Two."), " One.\n Two.");
        assert_eq!(
            prose("a.c", "/* One,\n * two. */ code(3.4); /* Three. */\n\t// Four."),
            " One,\ntwo.  Three. \n Four."
        );
        assert_eq!(prose("a.md", "All."), "All.");
    }
}
