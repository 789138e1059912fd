//! The real binary as an operator uses it: what is typed, what is printed, how it ends.
//!
//! Nothing here needs a privilege, and probes go to loopback alone: what captures live is tested in `integration`.

mod advise;
mod anonymous;
mod backend;
mod calls;
mod checked_in;
mod configuration;
mod console;
mod doctor;
mod export;
mod privacy;
mod probing;
mod program;
mod pushing;
mod recording;
mod replay;
mod running;
mod schema;
mod usage;
mod watching;
