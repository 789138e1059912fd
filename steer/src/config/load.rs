//! From files to settings, or to every mistake at once, each with its line.

use std::path::PathBuf;

use config::file::{self, LARGEST};
use config::node::Node;
use config::{NOTHING, Sources};
use pipeline::settings::Problems;

use super::{DEFAULT_FILE, File, Settings, check};

/// A configuration without errors.
#[derive(Debug)]
pub struct Loaded {
    /// What it comes to.
    pub settings: Settings,
    /// Names of the files, for the operator.
    pub files: Vec<String>,
    /// Warnings only.
    pub warnings: Problems,
}

/// Reads and checks these files, later ones merged over earlier ones; none: the default one. Errs with everything that is
/// wrong, in the order of the files.
pub fn load(files: &[PathBuf], variable: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Problems> {
    let mut problems = Problems::default();
    let default = [PathBuf::from(DEFAULT_FILE)];
    let mut texts = Vec::new();
    for path in if files.is_empty() { &default } else { files } {
        match file::read(path, LARGEST) {
            Ok(text) => texts.push((path.display().to_string(), text)),
            Err(error) => file::unreadable(path, &error, &mut problems),
        }
    }
    let files: Vec<String> = texts.iter().map(|(name, _)| name.clone()).collect();
    // What is missing from a file that cannot be read is no mistake of the others.
    let readable = !problems.has_errors();
    let tree = Sources { files: texts, ..Sources::default() }.load(variable, &mut problems);
    for problem in problems.iter_mut().filter(|problem| problem.what == NOTHING) {
        "start from deploy/steer/steer.toml of the project".clone_into(&mut problem.help);
    }
    let settings = tree.filter(|_| readable).and_then(|tree| check_tree(&tree, &mut problems));
    problems.sort(&files.iter().map(String::as_str).collect::<Vec<_>>());
    match settings {
        Some(settings) if !problems.has_errors() => Ok(Loaded { settings, files, warnings: problems }),
        _ => Err(problems),
    }
}

fn check_tree(tree: &Node, problems: &mut Problems) -> Option<Settings> {
    let read = tree.read::<File>(&[], problems);
    let mut found = Problems::default();
    let settings = read.check(&mut found, check::check).flatten();
    tree.locate(&mut found);
    problems.append(found);
    settings
}
