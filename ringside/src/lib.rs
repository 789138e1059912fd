//! The program as a library: what is compiled in is a value, and everything else follows from it.
//!
//! `ringside` is [`main`] over [`catalogue`]. A program with components of one's own is the same over a catalogue that
//! has more in it:
//!
//! ```no_run
//! # use std::process::ExitCode;
//! # fn own() -> ExitCode {
//! let mut catalogue = ringside::catalogue();
//! catalogue.build.version = "1.2.3-own";
//! // catalogue.processors.push(Type::new("by_network", Role::UsesFacts, "..", Config::check, ByNetwork::boxed));
//! ringside::main(&catalogue)
//! # }
//! ```
//!
//! `examples/own-components` is a whole one, `docs/components.md` walks through it. What a component is, and what crosses
//! from one to the next, is told by the crate `pipeline`.

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

use clap::{CommandFactory, FromArgMatches};

pub use components::catalogue;
pub use config::{Role, Type};
pub use engine::Catalogue;
pub use metrics::{ExporterContext, ExtensionContext};
pub use pipeline;

use cli::{Command, CommandLine, Components};

/// Of every program that this library is linked into.
#[global_allocator]
static ALLOCATOR: allocator::Allocator = allocator::Allocator;

/// Does what the command line says with the components of `catalogue`, until that is done. Errors are told on standard
/// error; the code is 0, 1 after a failure, 2 after a mistake in command line or configuration, 77 where a privilege is
/// missing.
pub fn main(catalogue: &Catalogue) -> ExitCode {
    let command = <CommandLine as CommandFactory>::command().version(cli::version(&catalogue.build));
    let line = CommandLine::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
    let result = match line.command() {
        Command::Run(arguments) => run::run(catalogue, &arguments),
        Command::Validate(run) => show::validate(catalogue, &run),
        Command::PrintConfig(run) => show::print_config(catalogue, &run),
        Command::PrintSchema => show::print_schema(catalogue),
        Command::Components(Components { metrics: false }) => show::components(catalogue),
        Command::Components(Components { metrics: true }) => show::metrics(),
        Command::Doctor(run) => doctor::doctor(catalogue, &run),
        Command::Replay(arguments) => replay::replay(catalogue, &arguments),
        Command::Calls(arguments) => calls::calls(catalogue, arguments),
        Command::Advise(arguments) => advise::advise(catalogue, &arguments),
        Command::Probe(arguments) => probe::probe(&arguments),
        Command::Ladder(arguments) => ladder::ladder(catalogue, &arguments),
        Command::Extract(arguments) => extract::extract(catalogue, &arguments),
        Command::Hash(arguments) => hash::hash(catalogue, &arguments),
        Command::Completions(arguments) => manual::completions(&arguments),
        Command::Man(arguments) => manual::man(&arguments),
        Command::Watch(arguments) => watch::watch(catalogue, &arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            show::say(&format!("ringside: {failure}\n"));
            failure.code()
        }
    }
}
