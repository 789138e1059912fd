//! The real binary as an operator uses it: what is typed, what is printed, how it ends.
//!
//! Nothing here needs a privilege or sends a packet: what captures live is tested in `integration`.

mod calls;
mod checked_in;
mod configuration;
mod program;
mod replay;
mod running;
mod usage;
