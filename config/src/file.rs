//! Files of a configuration: text of bounded length, and what is said of those that cannot be read or used.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use pipeline::settings::{Place, Problems, Severity};

/// Most bytes of a configuration file: hundreds of thousands of networks.
pub const LARGEST: u64 = 16 << 20;

/// The text of a file of at most so many bytes; it may be a pipe, but not one without end. Errs with
/// [`io::ErrorKind::FileTooLarge`] beyond that.
pub fn read(path: &Path, largest: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(largest + 1).read_to_string(&mut text)?;
    match text.len() as u64 > largest {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => Ok(text),
    }
}

/// Adds that a configuration file cannot be read, and what helps.
pub fn unreadable(path: &Path, error: &io::Error, problems: &mut Problems) {
    let help = match error.kind() {
        io::ErrorKind::NotFound => "check the name",
        io::ErrorKind::PermissionDenied => "let this user read it",
        io::ErrorKind::InvalidData => "write it as UTF-8 text",
        io::ErrorKind::FileTooLarge => "16 MiB is the most",
        _ => "see whether it is a file",
    };
    problems.error_at(&Place::file(&path.display().to_string()), "", format!("cannot be read: {error}"), help);
}

/// The text of errors, for standard error and the log.
pub fn refused(problems: &Problems) -> String {
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let errors = if errors == 1 { "1 error".to_owned() } else { format!("{errors} errors") };
    format!("the configuration cannot be used: {errors}\n{}", problems.to_string().trim_end())
}
