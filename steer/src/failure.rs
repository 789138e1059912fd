//! Why the program ends with something else than 0, and with what.

use std::process::ExitCode;

use steer::daemon::{RunError, chain};
use steer::kernel::KernelError;

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

impl From<KernelError> for Failure {
    fn from(error: KernelError) -> Self {
        match error {
            KernelError::Permission { .. } => Self::Privilege(format!(
                "{}; run it as root, or give it these as deploy/steer/ringside-steer.service does",
                chain(&error)
            )),
            error => Self::Failed(chain(&error)),
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Kernel(error) => error.into(),
            error => Self::Failed(chain(&error)),
        }
    }
}
