//! The kernel side as the daemon sees it: tables in, counters and dialogs out.
//!
//! [`Kernel`] is what the daemon asks for, so that tests of the daemon put their own in place. Times are CLOCK_MONOTONIC in
//! nanoseconds, which is the clock of the programs.

mod apply;
mod counts;
mod layout;
mod links;
mod maps;
mod steering;

use std::error::Error;
use std::io;

use affinity::CallHash;
use affinity::steer::{Counters, Dialog, Tables};

pub use links::foreign as foreign_programs;
pub use steering::{Programs, Steering};

/// The clock of the programs.
pub fn now() -> u64 {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).expect("every kernel has it");
    time.tv_sec().cast_unsigned() * 1_000_000_000 + time.tv_nsec().cast_unsigned()
}

/// Names of the programs of tcx on a device, ours and those of others. Without CAP_NET_ADMIN, and before Linux 6.6, the kernel
/// names none.
pub fn programs_on(device: u32) -> Result<Vec<String>, KernelError> {
    links::programs(device)
}

/// What the daemon asks of the kernel side.
pub trait Kernel {
    /// Makes the programs obey these tables, from now on and as a whole. What did not change is not written. A change from
    /// [`affinity::steer::Mode::Observe`] to active begins the time to settle.
    fn apply(&mut self, tables: &Tables, now: u64) -> Result<(), KernelError>;

    /// Says that the daemon lives: every 100 ms. After a silence longer than `grace` the time to settle begins anew.
    fn beat(&mut self, now: u64) -> Result<(), KernelError>;

    /// When the last heartbeat was, of this daemon or one before; `None` before the first.
    fn last_beat(&self) -> Result<Option<u64>, KernelError>;

    /// Puts the programs on a device, pinned. On one that has them it changes nothing.
    ///
    /// Errs with [`KernelError::Foreign`] where other programs are that `beside` does not name, with
    /// [`KernelError::NotEthernet`] where packets have no Ethernet header.
    fn attach(&mut self, device: u32, beside: &[String]) -> Result<(), KernelError>;

    /// Takes the programs off a device. On one that has none it changes nothing.
    fn detach(&mut self, device: u32) -> Result<(), KernelError>;

    /// Takes everything out, pins included.
    fn detach_all(&mut self) -> Result<(), KernelError>;

    /// Indexes of the devices that have the programs.
    fn attached(&self) -> Vec<u32>;

    /// Everything counted since the maps were made, over all processors.
    fn counters(&self) -> Result<Counters, KernelError>;

    /// What is remembered of a dialog of a service.
    fn dialog(&self, service: u16, hash: CallHash) -> Result<Option<Dialog>, KernelError>;

    /// Goes through all dialogs, forgets those that are over, and says how many there are.
    fn sweep(&mut self, now: u64) -> Result<Census, KernelError>;

    /// Has records of decisions written, or no more.
    fn watch(&mut self, on: bool) -> Result<(), KernelError>;

    /// The next record, if one is there.
    fn event(&mut self) -> Option<Event>;
}

/// How full the maps are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Dialogs by number of their backend.
    pub dialogs: std::collections::BTreeMap<u16, u64>,
    /// Dialogs that were forgotten now.
    pub forgotten: u64,
    /// Entries of the other maps that are in use.
    pub flows: u64,
    /// Likewise.
    pub fragments: u64,
    /// Likewise.
    pub buckets: u64,
}

/// A decision, as `watch` shows it: no address, number or Call-ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// CLOCK_MONOTONIC, ns.
    pub at: u64,
    /// Of its Call-ID; 0 without one.
    pub hash: CallHash,
    /// Number of the service.
    pub service: u16,
    /// Number of the backend that got it or sent it; `None` without one.
    pub backend: Option<u16>,
    /// What the message is.
    pub kind: affinity::steer::Kind,
    /// Its status, 100 to 699; 0 of a request.
    pub status: u16,
    /// What became of it; `None` of what a backend sent.
    pub action: Option<affinity::steer::Action>,
    /// Why it took the standard path.
    pub why: Option<affinity::steer::StandardPath>,
    /// Number of the rule it fell under; 0 for none.
    pub rule: u8,
    /// It entered by the device of this index.
    pub device: u32,
}

/// Why the kernel side cannot do as asked.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// A capability is missing: CAP_BPF, CAP_NET_ADMIN or CAP_PERFMON.
    #[error("the kernel refuses to {what} without CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON")]
    Permission {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The verifier refused a program.
    #[error("the kernel's verifier refused the program: {0}")]
    Verifier(String),
    /// There are programs of others on a device.
    #[error("device {device} has programs of others: {}", .programs.join(", "))]
    Foreign {
        /// Index of the device.
        device: u32,
        /// Their names.
        programs: Vec<String>,
    },
    /// A device whose packets have no Ethernet header.
    #[error("packets of device {device} have no Ethernet header")]
    NotEthernet {
        /// Index of the device.
        device: u32,
    },
    /// Tables beyond the bounds that [`affinity::steer`] gives.
    #[error("the tables hold {what}")]
    Tables {
        /// What is too much or wrong.
        what: &'static str,
    },
    /// The kernel refused a system call.
    #[error("the kernel could not {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

impl KernelError {
    /// What was tried, and what the kernel said to it, wherever in a chain of errors that stands.
    fn of(what: &'static str, error: impl Error + Send + Sync + 'static) -> Self {
        let mut next: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(error) = next {
            if let Some(aya::programs::ProgramError::LoadError { verifier_log, io_error }) = error.downcast_ref() {
                let log = verifier_log.to_string();
                // Without rights there is no log.
                if io_error.kind() != io::ErrorKind::PermissionDenied || !log.is_empty() {
                    let lines: Vec<&str> = log.lines().collect();
                    return Self::Verifier(lines[lines.len().saturating_sub(VERIFIER_LINES)..].join("\n"));
                }
            }
            if let Some(error) = error.downcast_ref::<io::Error>()
                && let Some(code) = error.raw_os_error()
            {
                let source = io::Error::from_raw_os_error(code);
                return match source.kind() {
                    io::ErrorKind::PermissionDenied => Self::Permission { what, source },
                    _ => Self::System { what, source },
                };
            }
            next = error.source();
        }
        Self::System { what, source: io::Error::other(error) }
    }
}

/// Last lines of what the verifier wrote that are shown.
const VERIFIER_LINES: usize = 5;
