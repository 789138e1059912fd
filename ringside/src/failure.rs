//! Why the program ends with something else than 0, and with what.

use std::process::ExitCode;

use pipeline::{ExporterError, ExtensionError, ReceiverError};

/// What ended it. The text is for the operator and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It failed while running: exit code 1.
    #[error("{0}")]
    Failed(String),
    /// Bad usage or a bad configuration: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Privileges are missing: exit code 77.
    #[error("{0}")]
    Privilege(String),
}

impl Failure {
    /// The exit code.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Privilege(_) => 77,
        })
    }
}

impl From<ReceiverError> for Failure {
    fn from(error: ReceiverError) -> Self {
        match error {
            ReceiverError::Privilege { .. } => Self::Privilege(error.to_string()),
            ReceiverError::Failed { .. } => Self::Failed(error.to_string()),
        }
    }
}

impl From<ExtensionError> for Failure {
    fn from(error: ExtensionError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<ExporterError> for Failure {
    fn from(error: ExporterError) -> Self {
        Self::Failed(error.to_string())
    }
}
