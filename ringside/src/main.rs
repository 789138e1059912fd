//! The binary: a command line in, an exit code out. What it does is in the modules, one for each subcommand.

mod advise;
mod allocator;
mod calls;
mod captures;
mod cli;
mod components;
mod doctor;
mod extract;
mod failure;
mod folders;
mod hash;
mod json;
mod ladder;
mod live;
mod logs;
mod manual;
mod probe;
mod replay;
mod run;
mod settings;
mod show;
mod telemetry;
mod terminal;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use cli::{Command, CommandLine, Components};

#[global_allocator]
static ALLOCATOR: allocator::Allocator = allocator::Allocator;

fn main() -> ExitCode {
    let result = match CommandLine::parse().command() {
        Command::Run(arguments) => run::run(&arguments),
        Command::Validate(configured) => show::validate(configured),
        Command::PrintConfig(configured) => show::print_config(configured),
        Command::Components(Components { metrics: false }) => show::components(),
        Command::Components(Components { metrics: true }) => show::metrics(),
        Command::Doctor(configured) => doctor::doctor(configured),
        Command::Replay(arguments) => replay::replay(&arguments),
        Command::Calls(arguments) => calls::calls(arguments),
        Command::Advise(arguments) => advise::advise(&arguments),
        Command::Probe(arguments) => probe::probe(&arguments),
        Command::Ladder(arguments) => ladder::ladder(&arguments),
        Command::Extract(arguments) => extract::extract(&arguments),
        Command::Hash(arguments) => hash::hash(&arguments),
        Command::Completions(arguments) => manual::completions(&arguments),
        Command::Man(arguments) => manual::man(&arguments),
        Command::Watch(arguments) => watch::watch(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            show::say(&format!("ringside: {failure}\n"));
            failure.code()
        }
    }
}
