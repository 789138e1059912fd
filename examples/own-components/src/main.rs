//! `ringside-own`: all that ringside has, and three components more.

mod by_network;
mod call_list;
mod hep;

use std::process::ExitCode;

use ringside::{Role, Type};

fn main() -> ExitCode {
    let mut catalogue = ringside::catalogue();
    catalogue.build.version = concat!(env!("CARGO_PKG_VERSION"), "-own");
    let about = "messages that HEP agents send (heplify, Kamailio, OpenSIPS, FreeSWITCH)";
    catalogue.receivers.push(Type::new("hep", Role::Receives, about, hep::Config::check, hep::build));
    let about = "the network a call came from as its carrier, where it has none";
    catalogue.processors.push(Type::new(
        "by_network",
        Role::UsesFacts,
        about,
        by_network::Config::check,
        by_network::build,
    ));
    let about = "a line of CSV for each call";
    catalogue.exporters.push(Type::new("call_list", Role::Exports, about, call_list::Config::check, call_list::build));
    ringside::main(&catalogue)
}
