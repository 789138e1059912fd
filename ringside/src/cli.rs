//! The command line: what can be typed, and nothing of what it does.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Watches SIP, counts what RFC 6076 measures, and never sends a packet.
#[derive(Debug, Parser)]
#[command(name = "ringside", version, args_conflicts_with_subcommands = true)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

impl CommandLine {
    /// What is to be done; without a subcommand, `run`.
    pub fn command(self) -> Command {
        self.command.unwrap_or(Command::Run(self.run))
    }
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the collector (also without a subcommand)
    Run(Run),
    /// Show every error of a configuration, each with file, line and column
    Validate(Configured),
    /// Print the effective configuration, secrets hidden
    PrintConfig(Configured),
    /// List the components compiled in
    Components,
    /// Can it capture here, and does it see SIP? Each finding with its cure
    Doctor(Configured),
    /// Print the metrics of capture files as they are at the last packet
    Replay(Replay),
}

/// Which configuration.
#[derive(Clone, Debug, Default, Args)]
pub struct Configured {
    /// Configuration file; may be repeated, later ones are merged over earlier ones
    /// [default: ./pipeline.toml, /etc/ringside/pipeline.toml, built-in]
    #[arg(long = "config", value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Which configuration, and what is put over it.
#[derive(Clone, Debug, Default, Args)]
pub struct Run {
    #[command(flatten)]
    pub configured: Configured,
    /// Set one key of the configuration, for instance exporters.prometheus.endpoint=127.0.0.1:2113
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub set: Vec<String>,
}

/// Which captures, and how to show them.
#[derive(Debug, Args)]
pub struct Replay {
    /// Capture files: pcap, pcapng, gzip of either; - is standard input
    #[arg(required = true, value_name = "CAPTURE")]
    pub captures: Vec<PathBuf>,
    /// How the metrics are printed
    #[arg(long, value_enum, default_value_t = Format::Prometheus)]
    pub format: Format,
    /// Also write one JSON object for each call
    #[arg(long, value_name = "FILE")]
    pub calls: Option<PathBuf>,
    /// Ports SIP is spoken on, for instance 5060,5080 [default: those of the configuration]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub ports: Vec<u16>,
    #[command(flatten)]
    pub run: Run,
}

/// How `replay` prints metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The text of a scrape
    Prometheus,
    /// An array with an object for each series
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <CommandLine as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn without_a_subcommand_it_runs() {
        let line = CommandLine::parse_from(["ringside", "--config", "a.toml", "--set", "x.y=1"]);
        let Command::Run(run) = line.command() else { panic!("`run` is the default") };
        assert_eq!((run.configured.files, run.set), (vec![PathBuf::from("a.toml")], vec!["x.y=1".to_owned()]));
    }

    #[test]
    fn what_is_not_built_yet_is_unknown() {
        for line in [
            &["ringside", "calls", "x.pcap"][..],
            &["ringside", "ladder", "x"],
            &["ringside", "replay", "x", "--export"],
        ] {
            assert!(CommandLine::try_parse_from(line).is_err(), "{line:?}");
        }
    }
}
