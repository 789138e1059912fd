//! The binary: a command line in, an exit code out.

mod check;
mod cli;
mod commands;
mod explain;
mod failure;
mod logs;
mod privileges;
mod shown;

use std::process::ExitCode;

use clap::Parser;

use cli::CommandLine;

fn main() -> ExitCode {
    match commands::carry_out(CommandLine::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            shown::say(&format!("ringside-steer: {failure}\n"));
            failure.code()
        }
    }
}
