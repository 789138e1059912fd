//! The binary: the program of the library, with the components it has.

use std::process::ExitCode;

fn main() -> ExitCode {
    ringside::main(&ringside::catalogue())
}
