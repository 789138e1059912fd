//! `ringside completions` and `ringside man`: what shells and readers are told of the command line, made of it.

use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man as Page;

use crate::cli::{CommandLine, Completions, Man};
use crate::failure::Failure;
use crate::show::print;

/// Prints the script of one shell.
pub fn completions(arguments: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut <CommandLine as CommandFactory>::command(), NAME, &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// Prints a manual page, or writes all of them.
pub fn man(arguments: &Man) -> Result<(), Failure> {
    let pages = pages();
    match (&arguments.output, &arguments.subcommand) {
        (Some(folder), _) => write(&pages, folder),
        (None, None) => print(&pages[0].1),
        (None, Some(subcommand)) => {
            let name = format!("{NAME}-{subcommand}");
            let page = pages.iter().find(|(page, _)| *page == name);
            let unknown =
                || Failure::Usage(format!("there is no subcommand {subcommand:?}; `ringside --help` lists them"));
            print(&page.ok_or_else(unknown)?.1)
        }
    }
}

fn write(pages: &[(String, String)], folder: &Path) -> Result<(), Failure> {
    for (name, page) in pages {
        let path = folder.join(format!("{name}.1"));
        fs::write(&path, page).map_err(|error| {
            let help = "see whether its folder exists and may be written";
            Failure::Failed(format!("{}: cannot be written: {error}; {help}", path.display()))
        })?;
    }
    Ok(())
}

/// The page of the whole first, then one for each subcommand, each with its name.
fn pages() -> Vec<(String, String)> {
    let mut whole = <CommandLine as CommandFactory>::command();
    whole.build();
    let of = |name: String, command: Command| {
        let mut page = Vec::new();
        let rendered = Page::new(command).title(name.clone()).render(&mut page);
        rendered.expect("a vector takes everything");
        (name, String::from_utf8_lossy(&page).into_owned())
    };
    let subcommands = whole.get_subcommands().filter(|command| command.get_name() != "help").cloned();
    let pages: Vec<_> = subcommands.map(|command| of(format!("{NAME}-{}", command.get_name()), command)).collect();
    [of(NAME.to_owned(), whole)].into_iter().chain(pages).collect()
}

const NAME: &str = "ringside";
