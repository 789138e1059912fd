//! From files to settings, or to every mistake at once, each with its line.

use std::fs::File as Handle;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use config::node::{Node, parse_path};
use config::{NOTHING, Sources};
use pipeline::settings::{Place, Problems, Severity};

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
        match read_text(path, LARGEST) {
            Ok(text) => texts.push((path.display().to_string(), text)),
            Err(error) => unreadable(path, &error, &mut problems),
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
    let file: File = tree.read(&[], problems)?;
    let mut found = Problems::default();
    let settings = check::check(&file, &mut found);
    for problem in found.iter_mut() {
        let path = parse_path(&problem.path).unwrap_or_default();
        problem.place.get_or_insert_with(|| tree.nearest(&path).clone());
    }
    problems.append(found);
    settings
}

/// The text of errors, for standard error and the log.
pub fn refused(problems: &Problems) -> String {
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let errors = if errors == 1 { "1 error".to_owned() } else { format!("{errors} errors") };
    format!("the configuration cannot be used: {errors}\n{}", problems.to_string().trim_end())
}

/// The text of a file of at most so many bytes; it may be a pipe, but not one without end.
pub fn read_text(path: &Path, largest: u64) -> io::Result<String> {
    let mut text = String::new();
    Handle::open(path)?.take(largest + 1).read_to_string(&mut text)?;
    match text.len() as u64 > largest {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => Ok(text),
    }
}

/// Bytes of a configuration file.
const LARGEST: u64 = 16 << 20;

fn unreadable(path: &Path, error: &io::Error, problems: &mut Problems) {
    let help = match error.kind() {
        io::ErrorKind::NotFound => "check the name",
        io::ErrorKind::PermissionDenied => "let this user read it",
        io::ErrorKind::InvalidData => "write it as UTF-8 text",
        io::ErrorKind::FileTooLarge => "16 MiB is the most",
        _ => "see whether it is a file",
    };
    problems.error_at(&Place::file(&path.display().to_string()), "", format!("cannot be read: {error}"), help);
}
