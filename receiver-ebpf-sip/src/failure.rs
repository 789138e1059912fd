//! Errors as an operator reads them.

/// An error and its causes, in one line.
pub fn failure(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {}", error.to_string().lines().next().unwrap_or_default());
        cause = error.source();
    }
    line
}
