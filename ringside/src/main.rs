//! The binary: command line and the list of components compiled in.
fn main() {}
