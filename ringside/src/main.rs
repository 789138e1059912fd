//! The binary: a command line in, an exit code out. What it does is in the modules, one for each subcommand.

mod calls;
mod captures;
mod cli;
mod components;
mod doctor;
mod failure;
mod json;
mod ladder;
mod logs;
mod replay;
mod run;
mod settings;
mod show;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use cli::{Command, CommandLine};

/// After a million calls the C library's allocator keeps three quarters of what they took, this one a tenth; and records
/// of calls, which leave on other threads than they began on, cost a tenth less. Without huge pages, which would double
/// what a small site takes; its second version, since the third keeps twice as much.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let result = match CommandLine::parse().command() {
        Command::Run(arguments) => run::run(&arguments),
        Command::Validate(configured) => show::validate(configured),
        Command::PrintConfig(configured) => show::print_config(configured),
        Command::Components => show::components(),
        Command::Doctor(configured) => doctor::doctor(configured),
        Command::Replay(arguments) => replay::replay(&arguments),
        Command::Calls(arguments) => calls::calls(arguments),
        Command::Ladder(arguments) => ladder::ladder(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            show::say(&format!("ringside: {failure}\n"));
            failure.code()
        }
    }
}
