//! The command line: what can be typed, and nothing of what it does.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Keeps SIP dialogs on one backend, in the kernel, on a node that runs SIP behind a service address.
#[derive(Debug, Parser)]
#[command(name = "ringside-steer", version)]
pub struct CommandLine {
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon
    Run(Configured),
    /// Look at the configuration and at this node; each finding with what to do about it
    Check(Configured),
    /// Show how the daemon and the steering are
    Status(Asking),
    /// Show services and their backends
    Services(Asking),
    /// Show decisions as they are made, until it is stopped
    Watch(Asking),
    /// Show which backend a dialog has
    Dialog {
        /// Its Call-ID
        call_id: String,
        #[command(flatten)]
        asking: Asking,
    },
    /// Change the mode; active waits until enough dialogs are known
    Mode {
        /// The new mode
        #[arg(value_enum)]
        mode: Mode,
        /// Whatever it breaks
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        asking: Asking,
    },
    /// Have a backend take no new dialogs
    Drain(Backend),
    /// Have a backend take new dialogs
    Up(Backend),
    /// Have a backend take nothing; its dialogs go to others
    Down(Backend),
    /// Have a backend weigh something else
    Weight {
        /// Which, as `services` shows it
        #[arg(value_name = "SERVICE/BACKEND")]
        backend: String,
        /// 0 to 1000
        #[arg(value_name = "N")]
        weight: u32,
        #[command(flatten)]
        asking: Asking,
    },
    /// Take everything out of the kernel, and end the daemon
    Detach {
        /// Whatever it breaks
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        asking: Asking,
    },
    /// Say what would be decided of each packet of a capture, and why; needs no privilege
    Explain {
        /// Capture file: pcap, pcapng, gzip of either; - is standard input
        #[arg(value_name = "CAPTURE")]
        capture: PathBuf,
        #[command(flatten)]
        configured: Configured,
    },
}

/// Which configuration.
#[derive(Clone, Debug, Default, Args)]
pub struct Configured {
    /// Configuration file; may be repeated, later ones are merged over earlier ones
    /// [default: /etc/ringside/steer.toml]
    #[arg(long = "config", value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Whom to ask, and how the answer is shown.
#[derive(Clone, Debug, Default, Args)]
pub struct Asking {
    /// The daemon's control socket [default: that of the configuration]
    #[arg(long, value_name = "SOCKET")]
    pub control: Option<PathBuf>,
    #[command(flatten)]
    pub configured: Configured,
    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

/// Which backend.
#[derive(Clone, Debug, Args)]
pub struct Backend {
    /// Which, as `services` shows it
    #[arg(value_name = "SERVICE/BACKEND")]
    pub backend: String,
    #[command(flatten)]
    pub asking: Asking,
}

/// A mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Packets pass, and what would be done is counted
    Observe,
    /// They are steered
    Active,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::CommandLine;

    #[test]
    fn the_command_line_is_sound() {
        CommandLine::command().debug_assert();
    }
}
