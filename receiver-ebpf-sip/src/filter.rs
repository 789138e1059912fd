//! The filter on the packet socket: eBPF, or the classic one where bpf() is refused.

use std::io;
use std::os::fd::BorrowedFd;

use aya::maps::MapError;

use crate::capabilities::setcap_command;
use crate::classic;
use crate::config::{Config, Transport};
use crate::failure::failure;
use crate::interfaces::{Changes, Wanted};
use crate::program::{LoadError, Program};
use crate::sys;

/// What decides in the kernel which packets are copied.
pub enum Filter {
    /// The program of `ebpf/capture`.
    Ebpf(Box<Program>),
    /// The classic filter: knows ports, keeps every interface's packets.
    Classic,
}

/// Why a change could not be told to the kernel.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// A map of the eBPF program refused the update.
    #[error("the eBPF program's map could not be changed")]
    Map(#[from] MapError),
    /// The classic filter was refused.
    #[error("the classic filter could not be attached")]
    Classic(#[source] io::Error),
}

impl Filter {
    /// Puts the best filter there is on the socket: the eBPF program, or else, said aloud, the classic one, which knows no
    /// media. `media`: it is wanted.
    pub fn attach(socket: BorrowedFd<'_>, config: &Config, media: bool) -> Result<Self, FilterError> {
        let mut filter = match load(socket, media) {
            Ok(program) => Self::Ebpf(Box::new(program)),
            Err(error) => {
                tracing::warn!(error = failure(&error), help = help(&error), "capturing with the classic filter");
                Self::Classic
            }
        };
        filter.set(socket, config)?;
        Ok(filter)
    }

    /// `"ebpf"` or `"classic"`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Ebpf(_) => "ebpf",
            Self::Classic => "classic",
        }
    }

    /// Whether packets of interfaces nobody asked for come through.
    pub fn knows_interfaces(&self) -> bool {
        matches!(self, Self::Ebpf(_))
    }

    /// Replaces ports, those of WebSockets too, and transports; takes effect with the next packet.
    pub fn set(&mut self, socket: BorrowedFd<'_>, config: &Config) -> Result<(), FilterError> {
        let Config { ports, ws_ports, vxlan_ports, transports, .. } = config;
        match self {
            Self::Ebpf(program) => {
                program.set_ports(config)?;
                Ok(program.set_transports(transports)?)
            }
            Self::Classic => {
                let tcp = transports.contains(&Transport::Tcp) || !ws_ports.is_empty();
                let ports = [&ports[..], ws_ports].concat();
                sys::attach_classic(socket, &classic::filter(&ports, vxlan_ports, tcp)).map_err(FilterError::Classic)
            }
        }
    }

    /// Changes the interfaces. What is wanted before and after is captured without a gap.
    pub fn set_interfaces(&mut self, wanted: &Wanted, changes: &Changes) -> Result<(), FilterError> {
        let Self::Ebpf(program) = self else { return Ok(()) };
        for interface in &changes.appeared {
            program.add_interface(interface.index)?;
        }
        program.capture_every_interface(*wanted == Wanted::Every)?;
        for interface in &changes.disappeared {
            program.remove_interface(interface.index)?;
        }
        Ok(())
    }
}

fn load(socket: BorrowedFd<'_>, media: bool) -> Result<Program, LoadError> {
    let mut program = Program::load(media)?;
    program.attach(socket)?;
    Ok(program)
}

/// What the operator can do to get the eBPF program.
pub fn help(error: &LoadError) -> String {
    if error.is_permission() {
        let setcap = setcap_command();
        format!("grant CAP_BPF for the cheaper and more precise eBPF filter: {setcap}; in a container also allow bpf()")
    } else {
        "see `ringside doctor` for what the kernel said; Linux 6.1 or later is expected".into()
    }
}
