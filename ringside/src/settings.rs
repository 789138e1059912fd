//! Where the configuration comes from: files in their order, `--set`, the environment; or the built-in one.

use std::io;
use std::path::Path;

use pipeline::config::{Catalogue, Configuration, Node, Place, Problems, Sources};

use crate::cli::Run;
use crate::failure::Failure;

/// A configuration without errors.
pub struct Loaded {
    /// What was written; knows places and variables.
    pub tree: Node,
    /// What it means.
    pub configuration: Configuration,
    /// Names of the files, for the operator.
    pub files: Vec<String>,
    /// Warnings only.
    pub warnings: Problems,
}

/// Reads and checks the configuration that `run` names. Errs with every error found, in order of the files.
pub fn load(run: &Run, catalogue: &Catalogue) -> Result<Loaded, Problems> {
    load_adjusted(run, catalogue, &mut |_| {})
}

/// The same, after `adjust` has changed the tree: for a command that runs something else than the pipelines
/// as written. These are checked first, as they are, so that a file is right or wrong for every command.
pub fn load_adjusted(run: &Run, catalogue: &Catalogue, adjust: &mut dyn FnMut(&mut Node)) -> Result<Loaded, Problems> {
    let mut problems = Problems::default();
    let sources = sources(run, &mut problems);
    let files: Vec<String> = sources.files.iter().map(|(name, _)| name.clone()).collect();
    let tree = sources.load(&|name| std::env::var(name).ok(), &mut problems);
    let checked = tree.and_then(|mut tree| {
        Configuration::check(&tree, catalogue, &mut problems)?;
        let mut again = Problems::default();
        adjust(&mut tree);
        let configuration = Configuration::check(&tree, catalogue, &mut again);
        if configuration.is_none() {
            problems.append(again);
        }
        Some((tree, configuration?))
    });
    let order: Vec<&str> = files.iter().map(String::as_str).collect();
    problems.sort(&order);
    match checked {
        Some((tree, configuration)) if !problems.has_errors() => {
            Ok(Loaded { tree, configuration, files, warnings: problems })
        }
        _ => Err(problems),
    }
}

/// The text of errors, for standard error.
pub fn refused(problems: &Problems) -> Failure {
    let errors = problems.iter().filter(|problem| problem.severity == pipeline::config::Severity::Error).count();
    let errors = if errors == 1 { "1 error".to_owned() } else { format!("{errors} errors") };
    Failure::Usage(format!("the configuration cannot be used: {errors}\n{}", problems.to_string().trim_end()))
}

/// What is used when nothing is given and nothing is found.
const BUILT_IN: (&str, &str) = ("built-in default", include_str!("default.toml"));

/// Where a configuration is looked for.
const LOOKED_FOR: [&str; 2] = ["./pipeline.toml", "/etc/ringside/pipeline.toml"];

fn sources(run: &Run, problems: &mut Problems) -> Sources {
    let mut files = Vec::new();
    for path in &run.configured.files {
        match std::fs::read_to_string(path) {
            Ok(text) => files.push((path.display().to_string(), text)),
            Err(error) => unreadable(path, &error, problems),
        }
    }
    if run.configured.files.is_empty() {
        files.push(found(problems).unwrap_or_else(|| (BUILT_IN.0.to_owned(), BUILT_IN.1.to_owned())));
    }
    Sources { files, set: run.set.clone() }
}

/// The first file there is. One that cannot be read is not passed over.
fn found(problems: &mut Problems) -> Option<(String, String)> {
    for name in LOOKED_FOR {
        match std::fs::read_to_string(name) {
            Ok(text) => return Some((name.to_owned(), text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => unreadable(Path::new(name), &error, problems),
        }
    }
    None
}

fn unreadable(path: &Path, error: &io::Error, problems: &mut Problems) {
    let cure = match error.kind() {
        io::ErrorKind::NotFound => "check the name",
        io::ErrorKind::PermissionDenied => "let this user read it",
        io::ErrorKind::InvalidData => "write it as UTF-8 text",
        _ => "see whether it is a file",
    };
    problems.error_at(&Place::file(&path.display().to_string()), "", format!("cannot be read: {error}"), cure);
}
