//! What happened, for the log. No address, number or Call-ID is in it.

use std::fmt;

use affinity::control::{Anomaly, Change};

use crate::config::Mode;

/// Something that an operator may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A weight changed, or would have.
    Weight {
        /// Of which service.
        service: String,
        /// How.
        change: Change,
        /// It applies; otherwise it is only reported.
        applied: bool,
    },
    /// Overload began or ended.
    Overload {
        /// Of which service.
        service: String,
        /// It began.
        on: bool,
    },
    /// Something is wrong with steering.
    Anomaly {
        /// Of which service.
        service: String,
        /// What.
        kind: Anomaly,
    },
    /// Nothing is wrong any more.
    Sound {
        /// With which service.
        service: String,
    },
    /// A backend is down, or up again.
    Backend {
        /// Of which service.
        service: String,
        /// Which.
        backend: String,
        /// It is down.
        down: bool,
    },
    /// All backends are down and so treated as up, or no longer.
    Panic {
        /// Of which service.
        service: String,
        /// It began.
        on: bool,
    },
    /// A backend that was gone is forgotten: no dialog of it is left.
    Forgotten {
        /// Of which service.
        service: String,
        /// Which.
        backend: String,
    },
    /// The mode changed: enough dialogs are known.
    Mode(Mode),
}

impl Notice {
    /// Somebody should look at it.
    pub fn is_warning(&self) -> bool {
        matches!(
            self,
            Self::Anomaly { .. }
                | Self::Backend { down: true, .. }
                | Self::Panic { on: true, .. }
                | Self::Overload { on: true, .. }
        )
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weight { service, change: Change { backend, from, to, reason }, applied } => {
                let would = if *applied { "" } else { " would" };
                let (from, to) = (f64::from(*from) / 1000.0, f64::from(*to) / 1000.0);
                write!(
                    f,
                    "weight of {service}/{backend}{would} change from {from} to {to} of what is configured: {}",
                    reason.as_str()
                )
            }
            Self::Overload { service, on: true } => write!(f, "{service} is overloaded: its rules for that apply"),
            Self::Overload { service, on: false } => write!(f, "{service} is no longer overloaded"),
            Self::Anomaly { service, kind } => {
                write!(f, "steering of {service} is not sound ({}): new dialogs take the standard path", kind.as_str())
            }
            Self::Sound { service } => write!(f, "steering of {service} is sound again"),
            Self::Backend { service, backend, down: true } => {
                write!(f, "{service}/{backend} is down: its dialogs go to others")
            }
            Self::Backend { service, backend, down: false } => write!(f, "{service}/{backend} is up again"),
            Self::Panic { service, on: true } => {
                write!(f, "all backends of {service} are down, so they are all treated as up")
            }
            Self::Panic { service, on: false } => write!(f, "a backend of {service} is up again"),
            Self::Forgotten { service, backend } => {
                write!(f, "{service}/{backend} is gone, and no dialog of it is left")
            }
            Self::Mode(mode) => write!(f, "mode {}: enough dialogs are known", mode.as_str()),
        }
    }
}
