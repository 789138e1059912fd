//! Steering: what user space compiles for the program in the kernel, and what that program decides by it.
//!
//! [`Tables`] are one plain value that the writer of the kernel's maps and the model here both take; [`Counters`] are what
//! either counts. A number means the same service or backend for as long as maps stay pinned: whoever makes tables keeps the
//! numbers of what it knew before, and gives the number of one that is gone to nobody while dialogs of it may be left.

mod counters;
mod dialog;
mod model;
mod packet;
mod rewrite;
mod rules;
mod scan;
mod state;
mod tables;

pub use counters::{
    Action, BackendCounters, Counters, FIRST_RESPONSE_BUCKETS, General, RuleCounters, ServiceCounters, StandardPath,
    first_response_bound, first_response_bucket,
};
pub use dialog::{Dialog, Entered, LINGER};
pub use model::{Decision, Model, Verdict};
pub use packet::EXTENSION_HEADERS;
pub use rules::{CLASSES, Kind, Limit, MAX_RULES, Marks, Over, Per, Rule, RuleTable, Then};
pub use scan::{BLANKS, CSEQ_DIGITS, Called, EXPIRES_DIGITS, LONGEST_EXPIRES, Scan};
pub use state::{FLOW_IDLE, FRAGMENT_LIFE, Flow, NOTED};
pub use tables::{
    Affinity, Backend, Capacity, Choice, Clients, Device, EMERGENCY_USER, Emergency, Hop, MAX_BACKENDS, MAX_CIDRS,
    MAX_DEVICES, MAX_EMERGENCY_USERS, MAX_SERVICES, Mode, Path, Service, Slots, State, Tables, Times,
};
